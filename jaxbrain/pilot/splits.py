"""Which rows are learned from and which are tested on: sizes, random splits, neighbours."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._checks import as_integer
from .._typing import Whole
from ._groups import in_common, most_lost, together, units_of_rows
from .recordings import PilotData, PilotError, check_data

_FOLDS = 5
_LEAST_BRAIN_ROWS = 8


class SplitSizes(NamedTuple):
    """How many rows each part of a split has: whole numbers.

    **Fields**

    - `n_brain`: rows for the brain stage.
    - `n_task`: rows for the task stage.
    - `n_test`: rows for testing.
    """

    n_brain: int
    n_task: int
    n_test: int


def split_sizes(
    data: PilotData,
    n_brain: Whole | None = None,
    n_task: Whole | None = None,
    n_test: Whole | None = None,
) -> SplitSizes:
    """Choose the sizes of the three parts of a split; what is not given is filled in.

    Of shared rows the brain stage gets half, the task stage a quarter, at least 5, and the rest is
    for testing. Of separate rows the brain stage gets all recordings, and the task stage and the
    test a third of the labelled rows each. The last third shows what more labels would do. Where
    `brain_groups` and `task_groups` have groups in common, the brain stage leaves out half of the
    recordings of these, so that there are other groups to test on.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, split_sizes
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> tuple(split_sizes(data, n_task=10))
    (25, 10, 15)

    **Arguments**

    - `data`: the study.
    - `n_brain`, `n_task`, `n_test`: rows for the brain stage, the task stage, and testing.

    **Returns**

    The `SplitSizes`.

    **Raises**

    `PilotError` that lists every size that cannot be.
    """
    check_data("data", data)
    n_brain, n_task, n_test = (
        _size(name, number)
        for name, number in (("n_brain", n_brain), ("n_task", n_task), ("n_test", n_test))
    )
    rows_brain, rows_task = len(data.brain_inputs), len(data.task_inputs)
    if data.known_targets is not None:
        # Every target has to do with the rows where it is known.
        rows_task = int(data.known_targets.sum(axis=0).min())
        rows_brain = rows_task if data.shared_rows else rows_brain
    given = n_task is not None, n_test is not None
    units = None if data.shared_rows else units_in_common(data)
    if n_brain is None:
        n_brain = rows_brain // 2 if data.shared_rows else rows_brain
        if units is not None:
            n_brain -= int(np.sum(np.isin(*units))) // 2
    left = rows_task - n_brain if data.shared_rows else rows_task
    if n_task is None:
        n_task = max(left // 2 if data.shared_rows else left // 3, 5)
    if n_test is None:
        rest = left - n_task - _slack(data)
        n_test = max(rest if data.shared_rows else rest - rest // 2, 0)
        if units is not None:
            n_test = min(n_test, _others(units, n_brain))
    problems = []
    if n_brain < _LEAST_BRAIN_ROWS:
        problems.append(
            f"n_brain = {n_brain} rows are too few to encode: at least {_LEAST_BRAIN_ROWS}"
        )
    # What is left when n_brain is too large is not to blame for it.
    possible = n_brain <= rows_brain
    if not possible:
        problems.append(f"n_brain = {n_brain}, but there are only {rows_brain} recorded rows")
        if data.shared_rows and rows_brain >= _LEAST_BRAIN_ROWS + 7:
            problems[-1] += (
                f": pass {_LEAST_BRAIN_ROWS} to {rows_brain - 7}, so that 5 task and 2 test rows "
                "remain"
            )
    if n_task < 5 and (possible or given[0]):
        problems.append(f"n_task = {n_task} rows are too few to choose a penalty on: at least 5")
    if n_test < 2 and (possible or given[1]):
        problems.append(f"n_test = {n_test} rows are too few to test on: at least 2")
    if units is not None and possible:
        problems += test_problems(units, n_brain, max(n_test, 2))
    slack = _slack(data)
    if n_task + n_test > left - slack and possible:
        alike = "with the same inputs" if data.task_groups is None else "of one group"
        apart = f", less {slack} that keep rows {alike} on one side of a split" if slack else ""
        problems.append(
            f"n_task + n_test = {n_task + n_test}, but there are only {left} rows left for "
            f"them{apart}"
        )
    if problems:
        raise PilotError(problems)
    return SplitSizes(n_brain, n_task, n_test)


def units_in_common(data: PilotData, block: int = 1) -> tuple[np.ndarray, np.ndarray] | None:
    """Units of recorded and of labelled rows, which groups join; None where they join none."""
    return in_common(
        units_of_rows(data.brain_inputs, data.brain_groups, block),
        units_of_rows(data.task_inputs, data.task_groups, block),
        (data.brain_groups, data.task_groups),
    )


def test_problems(units: tuple[np.ndarray, np.ndarray], n_brain: int, n_test: int) -> list[str]:
    """What is wrong where test rows must be of other units than brain rows."""
    left = _others(units, n_brain)
    if n_test <= left:
        return []
    return [
        f"n_test = {n_test}, but n_brain = {n_brain} recorded rows leave {left} labelled rows of "
        "groups that are not among theirs: pass fewer of either"
    ]


def _others(units: tuple[np.ndarray, np.ndarray], n_brain: int) -> int:
    """Labelled rows of other units than so many brain rows, however these are drawn."""
    return len(units[1]) - most_lost(*units, n_brain)


def _size(name: str, number: Whole | None) -> int | None:
    try:
        return None if number is None else as_integer(name, number, 0)
    except ValueError as problem:
        raise PilotError([str(problem)]) from problem


def row_correlation(data: PilotData, lag: Whole = 1) -> float:
    """Measure how alike rows are that follow each other.

    That much single rows on both sides of a split share.

    Independent rows lie within 2/√n of 0, n the number of rows.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, row_correlation
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(400, 4)), recordings=rng.normal(size=(400, 9)),
    ...                   targets=rng.normal(size=400))
    >>> abs(row_correlation(data)) < 0.1
    True

    **Arguments**

    - `data`: the study.
    - `lag`: rows from one to the other, at least 1 and less than there are.

    **Returns**

    The correlation of each channel, and of each target, with itself so many rows later: the mean
    over channels or that over targets, whichever is larger.

    **Raises**

    `ValueError` that names the argument.

    **Source**

    Ours.
    """
    check_data("data", data)
    lag = as_integer("lag", lag, 1, min(len(data.recordings), len(data.targets)) - 1)

    def mean_over_columns(array: np.ndarray) -> float:
        centred = array - array.mean(axis=0)
        together = np.sum(centred[lag:] * centred[:-lag], axis=0)
        return float(np.mean(together / np.sum(centred**2, axis=0)))

    return max(mean_over_columns(data.recordings), mean_over_columns(data.targets))


def rows_together(data: PilotData, block: Whole = 1) -> np.ndarray | None:
    """Find the labelled rows that a split must keep together: of one group, or of equal inputs.

    A stimulus that is shown twice has one row on each side of a random split. What is peculiar to
    it, in recordings and targets, then passes for help. The same holds for a subject or a session.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, rows_together
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=np.repeat(rng.normal(size=(3, 4)), 2, axis=0),
    ...                   recordings=rng.normal(size=(6, 9)), targets=rng.normal(size=6))
    >>> rows_together(data).tolist()
    [0, 0, 1, 1, 2, 2]

    **Arguments**

    - `data`: the study.
    - `block`: so many consecutive rows stay together too.

    **Returns**

    The number of the group of each row of `task_inputs`, in order of first appearance; None where
    all rows stand alone. Rows are joined by either reason, and by chains of them.

    **Raises**

    `ValueError` that names the argument.

    **Source**

    Ours.
    """
    check_data("data", data)
    block = as_integer("block", block, 1)
    return together(data.task_inputs, data.task_groups, block)


def _slack(data: PilotData, block: int = 1) -> int:
    """Rows that must stay out, so that no group of rows lies on both sides of a split."""
    group = rows_together(data, block)
    if group is None:
        return 0
    return (2 if data.shared_rows else 1) * (int(np.max(np.bincount(group))) - 1)


def _permuted_groups(key: PRNGKeyArray, group: Array, count: int) -> tuple[Array, Array]:
    """Rows by group, groups in random order; and that order for each of the rows."""
    place = jr.permutation(key, count)[group]
    rows = jnp.argsort(place, stable=True)
    return rows, place[rows]


def _permuted(key: PRNGKeyArray, n: int, block: int) -> Array:
    """The numbers below n in random order, in which so many consecutive ones stay together."""
    order = jr.permutation(key, -(-n // block))
    rows = (order[:, None] * block + jnp.arange(block)[None]).ravel()
    # The last block may be shorter: what it lacks goes to the end.
    return rows[jnp.argsort(rows >= n, stable=True)[:n]]


def _displaced(key: PRNGKeyArray, n: int, block: int) -> Array:
    """The numbers below n, out of place: in any order, or, to keep neighbours, all moved on."""
    if block == 1:
        return jr.permutation(key, n)
    least = min(block, n // 2)
    return (jnp.arange(n) + jr.randint(key, (), least, n - least + 1)) % n


def _draw_rows(
    key: PRNGKeyArray,
    n_rows: tuple[int, int],
    sizes: SplitSizes,
    shared_rows: bool,
    block: int,
    group: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Row numbers of the brain, task and test parts: disjoint where rows are shared.

    Rows of one group lie in one part alone: the next part begins after the last of them.
    """
    key_brain, key_task = jr.split(key)
    if group is not None:
        rows, place = _permuted_groups(key_brain if shared_rows else key_task, group, n_rows[1])

        def after(last: Array | int) -> Array:
            return jnp.searchsorted(place, place[last], side="right")

        def part(start: Array | int, size: int) -> Array:
            return jax.lax.dynamic_slice(rows, (jnp.asarray(start),), (size,))

        begin = after(sizes.n_brain - 1) if shared_rows else jnp.asarray(0)
        if shared_rows:
            brain = rows[: sizes.n_brain]
        else:
            brain = _permuted(key_brain, n_rows[0], block)[: sizes.n_brain]
        second = after(begin + max(sizes.n_task, 1) - 1)
        return brain, part(begin, sizes.n_task), part(second, sizes.n_test)
    brain = _permuted(key_brain, n_rows[0], block)
    labelled = brain[sizes.n_brain :] if shared_rows else _permuted(key_task, n_rows[1], block)
    task = labelled[: sizes.n_task]
    test = labelled[sizes.n_task : sizes.n_task + sizes.n_test]
    return brain[: sizes.n_brain], task, test


def _fold_size(n: int) -> int:
    """Rows held out in each fold; where n is no multiple, the last fold repeats some."""
    return -(-n // _FOLDS)
