"""Do these recordings help with this task? Held-out errors over repeated disjoint splits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import as_floats, as_integer, check_key, check_kind, kind_of
from .._threads import with_one_blas_thread
from .._typing import Whole
from ..estimators import VARIANTS
from ..estimators.registry import Variant
from ._draws import Draw, Units, draw_rows, longest_of, units_of
from ._missing import parts_of, together
from ._penalties import Folds, folds_of
from ._stages import (
    Task,
    Taught,
    by_encoder,
    by_subspace,
    least_squares,
    ridge,
    task_of,
    teach,
)
from .recordings import PilotData, PilotError, check_data
from .splits import SplitSizes, _slack, split_sizes
from .transformations import standardiser

_BANDED = "banded_ridge"
# No recordings of a user's hold the true subspace of a model.
# What the inputs' own spectrum does, their leading components show.
_COMPARED = (
    *(variant for variant in VARIANTS if variant.source != "model"),
    Variant(
        f"random_{_BANDED}",
        "Takes channels drawn at random for a second band of features.",
        "chance",
        2,
        _BANDED,
        learns="encoder",
    ),
    Variant(
        "leading_components",
        "Shrinks the weights outside of the leading principal components of the inputs.",
        "inputs",
        1,
        "befs",
    ),
    Variant(
        "leading_components_two_penalties",
        "Shrinks the weights outside and inside of the leading principal components.",
        "inputs",
        2,
        "befs_two_penalties",
    ),
    Variant(
        f"leading_components_{_BANDED}",
        "Takes principal components of the inputs, by their variance, for a second band.",
        "inputs",
        2,
        _BANDED,
        learns="encoder",
    ),
)
_SOURCES = ("recordings", "shuffled recordings", "chance", "inputs")

ESTIMATORS = tuple(variant.name for variant in _COMPARED)
"""The estimators compared: two without recordings, and each with recordings beside its controls."""

CONTROLS = {
    name: tuple(variant.name for variant in _COMPARED if variant.control_of == name)
    for name in dict.fromkeys(variant.control_of for variant in _COMPARED)
    if name is not None
}
"""Each estimator that takes recordings, with the same estimator on what knows nothing of them."""

AS_GIVEN = "ridge_as_given"
"""Ridge on the inputs as they came, where they were changed: a point of the curves."""

_WITH_RECORDINGS = tuple(CONTROLS)
_FOLDS = 5
_LARGEST_SYSTEM = 1_500
_SHARES_OF_BRAIN_ROWS = (0.25, 0.5)
_SHARES_OF_TASK_ROWS = (0.5, 0.71)
_MULTIPLES_OF_TASK_ROWS = (1.41, 2.0, 2.83, 4.0)


class Cell(NamedTuple):
    """A point of a learning curve.

    **Fields**

    - `estimator`: its name.
    - `n_brain`, `n_task`: rows that it learned from; n_brain is 0 for one without recordings.
    """

    estimator: str
    n_brain: int
    n_task: int


class Design(NamedTuple):
    """Where the rows of all splits come from: whole numbers.

    **Fields**

    - `brain_rows`, `task_rows`: how many there are.
    - `n_brain`, `n_test`: how many of them each split takes.
    - `shared_rows`: whether they are the same rows.
    """

    brain_rows: int
    task_rows: int
    n_brain: int
    n_test: int
    shared_rows: bool


class Curves(NamedTuple):
    """Learning curves: errors at fewer brain rows, fewer task rows, and more of them for ridge.

    **Fields**

    - `cells`: the points.
    - `errors`, shape (points, repeats): error at each, mean over targets.
    - `row_losses`, shape (points, rows): the same for each labelled row, over the repeats that it
      was tested in; NaN where it never was.
    - `units`, shape (rows,): the unit of each labelled row, which no split divides.
    - `design`: where the rows of all splits come from.
    - `task_places`, shape (repeats, rows): the place of each labelled row among those that a split
      learns from, of which a point takes so many first; beyond the longest where it is not learned.
    - `brain_places`, shape (repeats, recorded rows): the same of the brain stage.
    """

    cells: tuple[Cell, ...]
    errors: np.ndarray
    row_losses: np.ndarray
    units: np.ndarray
    design: Design
    task_places: np.ndarray
    brain_places: np.ndarray

    def at(self, estimator: str, n_brain: int, n_task: int) -> int:
        """The place of a point; raises `ValueError` where it is not among the cells."""
        return self.cells.index(Cell(estimator, n_brain, n_task))


class Evaluation(NamedTuple):
    """Held-out errors of all estimators, as `evaluate` finds them.

    **Fields**

    - `errors`, shape (estimators, repeats, targets): mean squared error on the test rows as a share
      of the target's variance, in the order of `ESTIMATORS`. 1 is what predicting the mean
      achieves. NaN where an estimator does not exist: ordinary least squares with too few rows.
    - `penalties`, shape (repeats, 2): those that BEFS with two penalties chose outside and inside
      the learned subspace, in units of the inputs' mean variance. The inside is held back more
      where the task depends on it less.
    - `rank`: dimension of the learned subspace, the median over the splits.
    - `sizes`: rows in each split.
    - `scores`, shape (estimators,): the error of left-out task rows with which each estimator chose
      its penalties. It knows nothing of the test rows.
    - `curves`: errors at other numbers of rows.
    - `errors_as_given`, shape (repeats, targets): those of ridge on the inputs as they came; None
      where the inputs are as they came.
    """

    errors: Float[np.ndarray, "e r t"]
    penalties: Float[np.ndarray, "r 2"]
    rank: int
    sizes: SplitSizes
    scores: Float[np.ndarray, " e"]
    curves: Curves
    errors_as_given: Float[np.ndarray, "r t"] | None = None

    def place(self, estimator: str) -> int:
        """Of an estimator at the sizes of the splits, among the cells of the curves."""
        names = [cell.estimator for cell in self.curves.cells]
        # Cells begin with these sizes.
        return ESTIMATORS.index(estimator) if estimator in ESTIMATORS else names.index(estimator)


class _Plan(NamedTuple):
    """What is fixed while a program is compiled."""

    most: int
    rank: int | None
    brain_sizes: tuple[int, ...]
    task_sizes: tuple[int, ...]
    n_task: int
    long_sizes: tuple[int, ...]
    in_folds: bool
    standardise: tuple[str, ...]

    def folds(self, n: int) -> Folds | None:
        """Single rows are left out, or folds of neighbours."""
        return folds_of(n, _FOLDS) if self.in_folds else None


class _Arrays(NamedTuple):
    brain_inputs: Float[Array, "b d"]
    recordings: Float[Array, "b p"]
    task_inputs: Float[Array, "n d"]
    targets: Float[Array, "n t"]
    as_given: Float[Array, "n e"] | None


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
    _check(data, sizes, repeats, rank, block)
    if data.known_targets is not None:
        parts, found = parts_of(data), []
        for place, part in enumerate(parts):
            given = None if as_given is None else part.of_rows(as_given)
            told = _progress_of(progress, place, len(parts))
            found.append(evaluate(part.data, sizes, repeats, key, rank, block, given, told))
        return together(parts, found, units_of(data, block).task)
    units = units_of(data, block)
    longest = longest_of(data, sizes, units)
    plan = _plan(data, sizes, rank, units, longest)
    raw = None if as_given is None else _rotated(as_given.task_inputs)
    data = _rescaled(data)
    given = {name: getattr(data, name) for name in data._fields[:4]}
    given |= {} if raw is None else {"as_given": raw}
    arrays = _Arrays(*as_floats(**given), *([None] if raw is None else []))

    n_draws = -(-repeats // 2)

    def one_draw(number: int) -> tuple[Draw, list[_Compared], np.ndarray]:
        key_rows, key_controls = jr.split(jr.fold_in(key, number))
        draw = draw_rows(key_rows, sizes, units, block, plan.n_longest)
        taught = _teach(arrays, key_controls, draw.brain, draw.displaced, plan.rows)
        found = [
            jax.device_get(_compare(arrays, taught, draw.brain, task, test, plan.rows))
            for task, test in zip(draw.task, draw.test, strict=True)
        ]
        if progress is not None:
            progress(min(2 * number + 2, repeats), repeats)
        return draw, found, np.asarray(taught[0].rank)

    cells = _cells(plan.rows, sizes, raw is not None)
    sums, counts = np.zeros((len(cells), len(units.task))), np.zeros(len(units.task))
    compared, ranks, places = [], [], []
    # One after the other: programs that run beside each other can block each other for good on a
    # CPU with few cores.
    for number in range(n_draws):
        draw, found, kept = one_draw(number)
        ranks.append(kept)
        of_brain = _places(draw.brain, len(units.brain))
        for task, test, each in zip(draw.task, draw.test, found, strict=True):
            if len(compared) < repeats:
                places.append((_places(task, len(units.task)), of_brain))
                compared.append(each._replace(losses=None))
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


def _check(data: PilotData, sizes: SplitSizes, repeats: int, rank: int | None, block: int) -> None:
    """Raise unless repeats, rank and block fit the study."""
    problems = []
    if data.classes is not None:
        problems.append("targets are classes: turn them into numbers by class_indicators")
    if repeats < 2:
        problems.append(f"repeats = {repeats}: it takes at least 2 to say how sure the answer is")
    longest = len(data.task_inputs) // (3 if data.shared_rows else 2)
    if not 1 <= block <= longest:
        problems.append(
            f"block = {block} rows: a split needs a block for each of its parts, so pass 1 to "
            f"{longest}"
        )
    largest = _largest_rank(data, sizes)
    if rank is not None and not 1 <= rank <= largest:
        problems.append(
            f"rank = {rank} must lie between 1 and {largest}, which n_task, the inputs and the "
            "channels allow"
        )
    # One that is none is among the problems.
    slack = _slack(data, max(block, 1))
    left = len(data.task_inputs) - (sizes.n_brain if data.shared_rows else 0)
    if sizes.n_task + sizes.n_test > left - slack:
        problems.append(
            f"n_task + n_test = {sizes.n_task + sizes.n_test}, but blocks and rows with the same "
            f"inputs must stay together, which leaves {max(left - slack, 0)} rows for them"
        )
    if problems:
        raise PilotError(problems)


def _largest_rank(data: PilotData, sizes: SplitSizes) -> int:
    """The largest rank of which task rows can tell what it is worth."""
    return max(
        1, min(data.input_dim - 1, data.recordings.shape[1], sizes.n_brain - 2, sizes.n_task // 2)
    )


class _Sizes(NamedTuple):
    rows: _Plan
    n_longest: int


def _plan(
    data: PilotData, sizes: SplitSizes, rank: int | None, units: Units, longest: int
) -> _Sizes:
    """The sizes at which learning curves are measured."""
    d, n = data.input_dim, sizes.n_task

    def rounded(shares: tuple[float, ...], size: int) -> tuple[int, ...]:
        return tuple(dict.fromkeys(round(share * size) for share in shares))

    most = _largest_rank(data, sizes) if rank is None else rank
    fewer = tuple(size for size in rounded(_SHARES_OF_TASK_ROWS, n) if 5 <= size < n)
    # A system too large to solve so often is left to the extrapolation.
    more = tuple(
        size
        for size in rounded(_MULTIPLES_OF_TASK_ROWS, n)
        if n < size <= longest and min(size, d) <= _LARGEST_SYSTEM
    )
    brain = tuple(
        size
        for size in rounded(_SHARES_OF_BRAIN_ROWS, sizes.n_brain)
        if 8 <= size < sizes.n_brain and size > most
    )
    single = len(np.unique(units.task)) == len(units.task)
    single = single and len(np.unique(units.brain)) == len(units.brain)
    standardise = tuple(getattr(data, "standardise", ()))
    rows = _Plan(most, rank, brain, fewer, n, more, not single, standardise)
    return _Sizes(rows, max((n, *more)))


def _cells(plan: _Plan, sizes: SplitSizes, as_given: bool) -> tuple[Cell, ...]:
    """The points of the curves, in the order in which `_compare` returns them."""
    n_brain, n_task = sizes.n_brain, sizes.n_task
    cells = [Cell(one.name, n_brain if one.source else 0, n_task) for one in _COMPARED]
    for size in plan.brain_sizes:
        cells += [Cell(name, size, n_task) for name in _WITH_RECORDINGS]
    for size in plan.task_sizes:
        cells += [Cell("ridge", 0, size)]
        cells += [Cell(name, n_brain, size) for name in _WITH_RECORDINGS]
    cells += [Cell("ridge", 0, size) for size in plan.long_sizes]
    return (*cells, *([Cell(AS_GIVEN, 0, n_task)] if as_given else []))


@partial(jax.jit, static_argnames="plan")
def _teach(
    arrays: _Arrays, key: PRNGKeyArray, brain: Array, displaced: Array, plan: _Plan
) -> tuple[Taught, ...]:
    """What all brain rows teach, with the controls, and what fewer of them do."""
    inputs, recordings = arrays.brain_inputs[brain], arrays.recordings[brain]
    if "inputs" in plan.standardise:
        inputs = inputs / standardiser(inputs)[1]
    if "recordings" in plan.standardise:
        recordings = recordings / standardiser(recordings)[1]
    n = len(inputs)
    full = teach(key, inputs, recordings, displaced, plan.most, plan.rank, plan.folds(n))
    fewer = [
        teach(key, inputs[:m], recordings[:m], None, plan.most, plan.rank, plan.folds(m))
        for m in plan.brain_sizes
    ]
    return full, *fewer


class _Compared(NamedTuple):
    errors: Float[Array, "e t"]
    curve: Float[Array, " c"]
    losses: Float[Array, "c m"] | None
    scores: Float[Array, " e"]
    penalties: Float[Array, "2"]
    as_given: Float[Array, " t"] | None


@partial(jax.jit, static_argnames="plan")
def _compare(
    arrays: _Arrays,
    taught: tuple[Taught, ...],
    brain: Array,
    longest: Array,
    test: Array,
    plan: _Plan,
) -> _Compared:
    """All estimators on the task rows, and the points of their learning curves."""
    n = plan.n_task
    unit = jnp.ones((1, 1), arrays.targets.dtype)
    if "inputs" in plan.standardise:
        unit = standardiser(arrays.brain_inputs[brain])[1]
    inputs, y_new = arrays.task_inputs / unit, arrays.targets[test]
    full, *fewer = taught

    def at(size: int, inputs: Array) -> tuple[Task, Array]:
        rows = longest[:size]
        y = arrays.targets[rows]
        # Errors are in the unit of all rows.
        scale = standardiser(y)[1] if "targets" in plan.standardise else jnp.ones_like(y[:1])
        return task_of(inputs[rows], y / scale, inputs[test], y_new / scale), scale

    def learned(size: int, bases: Array, encoders: Array):
        (task, scale), folds = at(size, inputs), plan.folds(size)
        alone = ridge(task, folds)
        within = jax.lax.map(lambda basis: by_subspace(task, basis, alone, folds), bases)
        banded = jax.lax.map(lambda encoder: by_encoder(task, encoder, alone, folds), encoders)
        return task, scale, alone, within, banded

    width = full.encoder.shape[2]
    narrow = [jnp.pad(t.encoder, ((0, 0), (0, 0), (0, width - t.encoder.shape[2]))) for t in fewer]
    bases = jnp.concatenate([full.basis, *(each.basis for each in fewer)])
    encoders = jnp.concatenate([full.encoder, *narrow])
    task, scale, alone, within, banded = learned(n, bases, encoders)

    def of(variant: Variant) -> tuple[Array, Array]:
        if variant.source is None and variant.n_penalties == 0:
            missed = least_squares(task)
            return missed, jnp.full((), jnp.nan, missed.dtype)
        if variant.source is None:
            return alone.missed, alone.score
        found = banded if variant.learns == "encoder" else within.one
        if found is within.one and variant.n_penalties == 2:
            found = within.two
        place = _SOURCES.index(variant.source)
        return found.missed[place], found.score[place]

    missed, scores = zip(*(of(variant) for variant in _COMPARED), strict=True)
    missed = [each * scale for each in missed]
    points = list(missed)
    for place in range(len(_SOURCES), len(_SOURCES) + len(fewer)):
        points += [each.missed[place] * scale for each in (within.one, within.two, banded)]
    for size in plan.task_sizes:
        # A rank that task rows cannot tell the worth of is none.
        few = (jnp.arange(plan.most) < max(size // 2, 1)).astype(scale.dtype)
        _, scale_there, alone_there, one, band = learned(
            size, full.basis[:1] * few[None, None, :], full.encoder[:1]
        )
        points += [alone_there.missed * scale_there]
        points += [each.missed[0] * scale_there for each in (one.one, one.two, band)]
    for size in plan.long_sizes:
        task_there, scale_there = at(size, inputs)
        points += [ridge(task_there, plan.folds(size)).missed * scale_there]
    as_given = None
    if arrays.as_given is not None:
        raw, _ = at(n, arrays.as_given)
        points.append(ridge(raw, plan.folds(n)).missed * scale)
        as_given = jnp.mean(points[-1] ** 2, axis=0)
    losses = jnp.stack([jnp.mean(each**2, axis=1) for each in points])
    return _Compared(
        jnp.stack([jnp.mean(each**2, axis=0) for each in missed]),
        jnp.mean(losses, axis=1),
        losses,
        jnp.stack(scores),
        within.penalties[0],
        as_given,
    )


def _rotated(inputs: np.ndarray) -> np.ndarray:
    """The inputs in coordinates of their own, no more than rows: the same to ridge."""
    inputs = inputs / np.max(np.abs(inputs))
    frame, spread, _ = np.linalg.svd(inputs - inputs.mean(axis=0), full_matrices=False)
    kept = spread > spread[0] * max(inputs.shape) * np.finfo(float).eps
    scores = frame[:, kept] * spread[kept]
    return scores / np.sqrt(np.mean(scores**2))


def _rescaled(data: PilotData) -> PilotData:
    """Inputs of mean variance 1, recordings of mean variance 1, each target of variance 1.

    No answer depends on these units; the arithmetic does.
    """

    def unit(array: np.ndarray, axis: int | None) -> np.ndarray:
        array = array / np.max(np.abs(array), axis=axis, keepdims=True)
        centred = array - array.mean(axis=0)
        return array / np.sqrt(np.mean(centred**2, axis=axis, keepdims=True))

    if data.shared_rows:
        brain_inputs = task_inputs = unit(data.brain_inputs, None)
    else:
        both = unit(np.concatenate([data.brain_inputs, data.task_inputs]), None)
        brain_inputs, task_inputs = np.split(both, [len(data.brain_inputs)])
    return data._replace(
        brain_inputs=brain_inputs,
        recordings=unit(data.recordings, None),
        task_inputs=task_inputs,
        targets=unit(data.targets, 0),
    )
