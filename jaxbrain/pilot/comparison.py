"""Do these recordings help with this task? Held-out errors over repeated disjoint splits."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import as_floats, as_integer, check_key, check_kind, kind_of
from .._threads import with_one_blas_thread
from .._typing import Whole
from ._classes import of_split, over_splits
from ._draws import Draw, draw_rows, longest_of, units_of
from ._parts import parts_of, together
from ._plan import cells_of, check_sizes, plan_of
from ._programs import Arrays, Compared, compare, teach_all
from ._units import rescaled, rotated
from .evaluation import Curves, Design, Evaluation
from .recordings import PilotData, check_data
from .splits import SplitSizes, split_sizes
from .transformations import class_indicators


@with_one_blas_thread
def evaluate(
    data: PilotData,
    sizes: SplitSizes,
    repeats: Whole,
    key: PRNGKeyArray,
    rank: Whole | None = None,
    block: Whole = 1,
    as_given: PilotData | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Compare estimators with and without recordings on repeated random splits of a study.

    Each repeat draws disjoint rows for the brain stage, the task stage and the test; two repeats
    share their brain rows. Inputs, recordings and targets are centred by the rows that they are
    learned from. Recordings are encoded by ridge regression, so that rows may be fewer than inputs.
    Its penalty and the rank are those that predict left-out brain rows best. Each estimator's
    penalties are those of the largest marginal likelihood of the task rows, the same for all
    targets; where neighbours or groups stay together, those that predict left-out fifths of the
    task rows best. Targets that are missing in some rows are compared on the others, with those
    that are known in the same rows. The key of each repeat depends on its number only.

    Classes are told apart by logistic regression, and errors are in nats. Its penalties are those
    of least squares on columns of 0 and 1, brought into its unit, times a number that left-out
    fifths of the task rows choose. `class_indicators` leaves it at least squares.

    >>> import jax, numpy as np
    >>> from jaxbrain.pilot import ESTIMATORS, evaluate, pilot_data, split_sizes
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(120, 12))
    >>> recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + rng.normal(size=(120, 20))
    >>> targets = inputs[:, :2] + rng.normal(size=(120, 2))
    >>> data = pilot_data(inputs=inputs, recordings=recordings, targets=targets)
    >>> found = evaluate(data, split_sizes(data, 60, 24, 36), 4, jax.random.key(0))
    >>> errors = dict(zip(ESTIMATORS, found.errors.mean(axis=(1, 2))))
    >>> bool(errors["befs"] < errors["shuffled_recordings"])
    True

    **Arguments**

    - `data`: the study.
    - `sizes`: rows of the three parts, as from `split_sizes`.
    - `repeats`: number of splits, at least 2.
    - `key`: of the splits.
    - `rank`: dimension of the learned subspace; by default each split chooses its own.
    - `block`: so many consecutive rows stay together, in splits and in the shuffled control. Rows
      of a time series depend on their neighbours, and single rows of it on both sides of a split
      share noise: BEFS can learn how that noise happens to go with the inputs of one run, which no
      control shows. Take blocks longer than that dependence lasts.
    - `as_given`: the study before its inputs were changed, as by `principal_components`. Ridge on
      the inputs as they came is what recordings have to beat.
    - `progress`: called with the number of splits done and that of all.

    **Returns**

    An `Evaluation`: errors of all estimators, repeats and targets, and learning curves.

    **Raises**

    `PilotError` if rank, repeats or block do not fit the data.

    **Source**

    The comparison is ours; for the estimators see `task_only`, `ridge`, `befs` and `banded_ridge`.
    """
    check_key(key)
    repeats = as_integer("repeats", repeats, 0)
    block = as_integer("block", block, 0)
    check_data("data", data)
    check_kind("sizes", sizes, SplitSizes, "pass what split_sizes returns")
    if as_given is not None:
        check_data("as_given", as_given)
    if rank is not None:
        rank = as_integer("rank", rank, 0)
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function, but it is {kind_of(progress)}")
    sizes = split_sizes(data, *sizes)
    check_sizes(data, sizes, repeats, rank, block)
    if len(parts_of(data)) > 1 or data.known_targets is not None:
        parts, found = parts_of(data), []
        for place, part in enumerate(parts):
            given = None if as_given is None else part.of_rows(as_given)
            told = _progress_of(progress, place, len(parts))
            found.append(evaluate(part.data, sizes, repeats, key, rank, block, given, told))
        return together(parts, found, units_of(data, block).task)
    units = units_of(data, block)
    longest = longest_of(data, sizes, units)
    plan, n_longest = plan_of(data, sizes, rank, units, longest)
    raw = None if as_given is None else rotated(as_given.task_inputs)
    codes = None if data.classes is None else data.targets[:, 0].astype(np.int32)
    data = rescaled(class_indicators(data))
    given = {name: getattr(data, name) for name in data._fields[:4]}
    given |= {} if raw is None else {"as_given": raw}
    floats = dict(zip(given, as_floats(**given), strict=True))
    arrays = Arrays(**floats, codes=None if codes is None else jnp.asarray(codes))

    n_draws = -(-repeats // 2)

    def one_draw(number: int) -> tuple[Draw, list[Compared], np.ndarray]:
        key_rows, key_controls = jr.split(jr.fold_in(key, number))
        draw = draw_rows(key_rows, sizes, units, block, n_longest)
        taught = teach_all(arrays, key_controls, draw.brain, draw.displaced, plan)
        found = [
            jax.device_get(compare(arrays, taught, draw.brain, task, test, plan))
            for task, test in zip(draw.task, draw.test, strict=True)
        ]
        if progress is not None:
            progress(min(2 * number + 2, repeats), repeats)
        return draw, found, np.asarray(taught[0].rank)

    cells = cells_of(plan, sizes, raw is not None)
    sums, counts = np.zeros((len(cells), len(units.task))), np.zeros(len(units.task))
    compared, ranks, places, told = [], [], [], []
    # One after the other: programs that run beside each other can block each other for good on a
    # CPU with few cores.
    for number in range(n_draws):
        draw, found, kept = one_draw(number)
        ranks.append(kept)
        of_brain = _places(draw.brain, len(units.brain))
        for task, test, each in zip(draw.task, draw.test, found, strict=True):
            if len(compared) < repeats:
                places.append((_places(task, len(units.task)), of_brain))
                compared.append(each._replace(losses=None, log_p=None))
                if codes is not None:
                    told.append(
                        of_split(np.asarray(each.log_p), codes[task[: sizes.n_task]], codes[test])
                    )
                sums[:, test] += np.asarray(each.losses)
                counts[test] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        losses = np.where(counts > 0, sums / counts, np.nan)
    design = Design(
        len(data.brain_inputs), len(units.task), sizes.n_brain, sizes.n_test, data.shared_rows
    )
    errors = np.stack([each.errors for each in compared], axis=1)
    curves = Curves(
        cells,
        np.stack([each.curve for each in compared], axis=1),
        losses,
        units.task,
        design,
        *map(np.stack, zip(*places, strict=True)),
    )
    return Evaluation(
        errors,
        np.stack([each.penalties for each in compared]),
        int(np.median(ranks)),
        sizes,
        np.mean([each.scores for each in compared], axis=0),
        curves,
        None if raw is None else np.stack([each.as_given for each in compared]),
        None if codes is None else over_splits(told),
    )


def _progress_of(
    progress: Callable[[int, int], None] | None, place: int, count: int
) -> Callable[[int, int], None] | None:
    """What tells of one of several evaluations as a part of all."""
    if progress is None:
        return None
    return lambda done, of: progress(place * of + done, count * of)


def _places(rows: np.ndarray, count: int) -> np.ndarray:
    """Where each row comes among these; beyond all of them where it does not."""
    places = np.full(count, count, np.int32)
    places[rows] = np.arange(len(rows))
    return places
