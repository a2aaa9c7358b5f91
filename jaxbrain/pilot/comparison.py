"""Do these recordings help with this task? Held-out errors over repeated disjoint splits."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import as_floats, as_integer, check_key, check_kind
from .._linalg import map_factorisations
from .._threads import with_one_blas_thread
from .._typing import Whole
from ..estimators import VARIANTS, encode, find_variant
from ..estimators.encoding import orthonormal
from ..estimators.predictions import predictions
from ..estimators.registry import Variant
from ..tuning import KFold, tune_penalty
from .rank import _largest_rank, choose_rank
from .recordings import PilotData, PilotError, check_data
from .splits import (
    _FOLDS,
    SplitSizes,
    _displaced,
    _draw_rows,
    _fold_size,
    _slack,
    rows_together,
    split_sizes,
)

# No recordings of a user's hold the true subspace of a model.
# What the inputs' own spectrum does, their leading components show.
_COMPARED = (
    *(variant for variant in VARIANTS if variant.source != "model"),
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
)

ESTIMATORS = tuple(variant.name for variant in _COMPARED)
"""The estimators compared: two without recordings, and BEFS beside its controls."""

CONTROLS = {
    name: tuple(variant.name for variant in _COMPARED if variant.control_of == name)
    for name in dict.fromkeys(variant.control_of for variant in _COMPARED)
    if name is not None
}
"""BEFS with one and with two penalties, each with the same estimator on subspaces that know nothing
of the recordings."""

_REPEATS_FOR_RANK = 30
_NUMBERS_AT_ONCE = 2e7


class Evaluation(NamedTuple):
    """Held-out errors of all estimators, as `evaluate` finds them.

    **Fields**

    - `errors`, shape (estimators, repeats, targets): mean squared error on the test rows as a share
      of the target's variance, in the order of `ESTIMATORS`. 1 is what predicting the mean
      achieves. NaN where an estimator does not exist: ordinary least squares with too few rows.
    - `penalties`, shape (repeats, 2): those that BEFS with two penalties chose outside and inside
      the learned subspace, in units of the inputs' mean variance. The inside is held back more
      where the task depends on it less.
    - `rank`: dimension of the learned subspace.
    - `sizes`: rows in each split.
    - `errors_as_given`, shape (repeats, targets): those of ridge on the inputs as they came; None
      where the inputs are as they came.
    """

    errors: Float[Array, "e r t"]
    penalties: Float[Array, "r 2"]
    rank: int
    sizes: SplitSizes
    errors_as_given: Float[Array, "r t"] | None = None


@with_one_blas_thread
def evaluate(
    data: PilotData,
    sizes: SplitSizes,
    repeats: Whole,
    key: PRNGKeyArray,
    rank: Whole | None = None,
    block: Whole = 1,
    as_given: PilotData | None = None,
) -> Evaluation:
    """Compare estimators with and without recordings on repeated random splits of a study.

    Each repeat draws disjoint rows for the brain stage, the task stage and the test. Inputs,
    recordings and targets are centred by the rows that they are learned from. Each estimator's
    penalties are tuned on the task rows alone, by gradient descent on the error of five-fold
    cross-validation. They are the same for all targets. All repeats run in one compiled program, on
    an accelerator in batches that bound the memory. The key of each repeat depends on its number
    only.

    >>> import jax, numpy as np
    >>> from jaxbrain.pilot import ESTIMATORS, evaluate, pilot_data, split_sizes
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(120, 12))
    >>> recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + rng.normal(size=(120, 20))
    >>> targets = inputs[:, :2] + rng.normal(size=(120, 2))
    >>> data = pilot_data(inputs=inputs, recordings=recordings, targets=targets)
    >>> found = evaluate(data, split_sizes(data, 60, 24, 36), 3, jax.random.key(0), rank=2)
    >>> errors = dict(zip(ESTIMATORS, found.errors.mean(axis=(1, 2))))
    >>> bool(errors["befs"] < errors["shuffled_recordings"])
    True

    **Arguments**

    - `data`: the study.
    - `sizes`: rows of the three parts, as from `split_sizes`.
    - `repeats`: number of splits, at least 2.
    - `key`: of the splits.
    - `rank`: dimension of the learned subspace; by default that of `choose_rank`.
    - `block`: so many consecutive rows stay together, in splits and in the shuffled control. Rows
      of a time series depend on their neighbours, and single rows of it on both sides of a split
      share noise: BEFS can learn how that noise happens to go with the inputs of one run, which no
      control shows. Take blocks longer than that dependence lasts.
    - `as_given`: the study before its inputs were changed, as by `principal_components`. Ridge on
      the inputs as they came is what recordings have to beat.

    **Returns**

    An `Evaluation`: errors of all estimators, repeats and targets.

    **Raises**

    `PilotError` if rank, repeats or block do not fit the data, and if the inputs are collinear.

    **Source**

    The comparison is ours; for the estimators see `task_only`, `ridge` and `befs`.
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
    sizes = split_sizes(data, *sizes)
    largest = _largest_rank(data, sizes)
    problems = []
    if data.known_targets is not None:
        problems.append("targets are missing in some rows: leave those rows out")
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
    if rank is not None and not 1 <= rank <= largest:
        problems.append(
            f"rank = {rank} must lie between 1 and {largest}, which n_task, the inputs and the "
            "channels allow"
        )
    fold = sizes.n_brain - _fold_size(sizes.n_brain)
    if rank is None and fold < data.input_dim + 2:
        problems.append(
            f"rank cannot be chosen by cross-validation: n_brain = {sizes.n_brain} leaves {fold} "
            f"rows a fold for {data.input_dim} inputs: give the rank, or describe the inputs by "
            "fewer components"
        )
    if largest < 1:
        problems.append(f"n_task = {sizes.n_task} rows are too few for any subspace")
    collinear = _collinear(data.brain_inputs)
    spreads = (data.brain_inputs / np.max(np.abs(data.brain_inputs), axis=0)).std(axis=0)
    spreads = spreads * np.max(np.abs(data.brain_inputs), axis=0)
    if collinear and not _collinear(data.brain_inputs / spreads):
        problems.append(
            f"the variances of the inputs differ {(spreads.max() / spreads.min()) ** 2:.0e}-fold, "
            "beyond the digits of the computer: measure them in units of like scale, or "
            "standardise them"
        )
    elif collinear:
        problems.append(
            f"the {data.input_dim} inputs are collinear ({collinear} independent directions): "
            f"describe them by at most {collinear} components"
        )
    # One that is none is among the problems.
    block = max(block, 1)
    group = rows_together(data, block)
    left = len(data.task_inputs) - (sizes.n_brain if data.shared_rows else 0)
    slack = _slack(data, block)
    if sizes.n_task + sizes.n_test > left - slack:
        problems.append(
            f"n_task + n_test = {sizes.n_task + sizes.n_test}, but blocks and rows with the same "
            f"inputs must stay together, which leaves {max(left - slack, 0)} rows for them"
        )
    if problems:
        raise PilotError(problems)
    raw = None if as_given is None else jnp.asarray(_rotated(as_given.task_inputs))
    group = None if group is None else jnp.asarray(group)
    data = _rescaled(data)
    arrays = tuple(as_floats(**{name: getattr(data, name) for name in data._fields[:4]}))
    if rank is None:
        rank = choose_rank(data, sizes, min(repeats, _REPEATS_FOR_RANK), key, block)
    errors, penalties, alone = _all_repeats(
        arrays, raw, group, key, sizes, data.shared_rows, rank, repeats, block
    )
    return Evaluation(errors, penalties, rank, sizes, None if raw is None else alone)


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


def _collinear(inputs: np.ndarray) -> int:
    """The rank of the inputs if their columns depend on each other, else 0."""
    inputs = inputs / np.max(np.abs(inputs))
    strengths = np.linalg.svd(inputs - inputs.mean(axis=0), compute_uv=False)
    rank = int(np.sum(strengths > strengths[0] * max(inputs.shape) * np.finfo(float).eps))
    return rank if rank < inputs.shape[1] else 0


def _repeats_at_once(repeats: int, n_fold: int, d: int, n_targets: int) -> int:
    """As many repeats in one vmapped batch as keep its factors and predictions within bounds."""
    numbers = 4 * _FOLDS * (d**2 + n_fold * (d + n_targets))
    return int(np.clip(_NUMBERS_AT_ONCE // numbers, 1, min(repeats, 25)))


def _centred(array: Array) -> Array:
    return array - jnp.mean(array, axis=0, keepdims=True)


@partial(jax.jit, static_argnames=("sizes", "shared_rows", "rank", "repeats", "block"))
def _all_repeats(
    arrays: tuple[Array, Array, Array, Array],
    raw: Array | None,
    group: Array | None,
    key: PRNGKeyArray,
    sizes: SplitSizes,
    shared_rows: bool,
    rank: int,
    repeats: int,
    block: int,
) -> tuple[Float[Array, "e r t"], Float[Array, "r 2"], Float[Array, "r t"]]:
    brain_inputs, recordings, task_inputs, targets = arrays
    n_rows, d = (brain_inputs.shape[0], task_inputs.shape[0]), brain_inputs.shape[1]
    dtype = targets.dtype
    # Of inputs of mean variance 1. Rows that repeat may be fewer than inputs, where no penalty at
    # all has a limit that no factor can be computed for.
    least = float(jnp.finfo(dtype).eps) ** (2 / 3)

    def subspaces(key_shuffle: Array, key_random: Array, brain: Array) -> dict[str | None, Array]:
        seen, recorded = _centred(brain_inputs[brain]), _centred(recordings[brain])
        both = jnp.stack([recorded, recorded[_displaced(key_shuffle, sizes.n_brain, block)]])
        learned, shuffled = map_factorisations(lambda rows: encode(seen, rows, rank), both, 2)
        return {
            "recordings": learned,
            "shuffled recordings": shuffled,
            # Drawn with the inputs' covariance: as likely to hold what the inputs vary by.
            "chance": orthonormal(
                seen.T @ jr.normal(key_random, (sizes.n_brain, rank), seen.dtype)
            ),
            "inputs": jnp.linalg.eigh(seen.T @ seen)[1][:, -rank:],
            # No subspace at all is one whose weights are 0: one program for all with a single
            # penalty.
            None: jnp.zeros_like(learned),
        }

    def one_repeat(number: Array) -> tuple[Array, Array, Array]:
        key_rows, key_shuffle, key_random = jr.split(jr.fold_in(key, number), 3)
        brain, task, test = _draw_rows(key_rows, n_rows, sizes, shared_rows, block, group)
        bases = subspaces(key_shuffle, key_random, brain)
        inputs, labels = task_inputs[task], targets[task]

        # Penalties serve all targets, each counting by its variance: much steadier than one each
        # where rows are few.
        def one_penalty(case: tuple[Array, Array]) -> Array:
            basis, inside = case
            objective = KFold(inputs, labels, basis, folds=_FOLDS, inside_penalty=inside)
            return jnp.stack([jnp.maximum(tune_penalty(objective).penalty, least), inside])

        def two_penalties(basis: Array) -> Array:
            objective = KFold(inputs, labels, basis, folds=_FOLDS, both_penalties=True)
            return jnp.maximum(jnp.stack(tune_penalty(objective).penalty), least)

        one = [variant for variant in _COMPARED if variant.n_penalties == 1]
        two = [variant for variant in _COMPARED if variant.n_penalties == 2]
        held = jnp.asarray([0.0 if variant.source else jnp.inf for variant in one], dtype)
        stacked = jnp.stack([bases[variant.source] for variant in one])
        tuned = map_factorisations(one_penalty, (stacked, held), len(one))
        penalties = dict(zip(one, tuned, strict=True))
        stacked = jnp.stack([bases[variant.source] for variant in two])
        tuned = map_factorisations(two_penalties, stacked, len(two))
        penalties |= dict(zip(two, tuned, strict=True))

        x_mean, y_mean = (jnp.mean(rows, axis=0, keepdims=True) for rows in (inputs, labels))
        rows = inputs - x_mean, labels - y_mean, task_inputs[test] - x_mean
        y_new = targets[test] - y_mean

        def test_error(case: tuple[Array, Array]) -> Array:
            basis, (outside, inside) = case
            predicted = predictions(*rows, basis, outside, inside, sizes.n_task)
            return jnp.mean((y_new - predicted) ** 2, axis=0)

        none = jnp.zeros(2, dtype)
        stacked = jnp.stack([bases[variant.source] for variant in _COMPARED])
        used = jnp.stack([penalties.get(variant, none) for variant in _COMPARED])
        errors = map_factorisations(test_error, (stacked, used), len(_COMPARED))
        undetermined = [v.n_penalties == 0 and sizes.n_task <= d + 1 for v in _COMPARED]
        errors = jnp.where(jnp.asarray(undetermined)[:, None], jnp.nan, errors)
        alone = errors[0]
        if raw is not None:
            # Ridge on the inputs as they came.
            seen, new = raw[task], raw[test]
            tuned = jnp.maximum(tune_penalty(KFold(seen, labels, folds=_FOLDS)).penalty, least)
            mean = jnp.mean(seen, axis=0, keepdims=True)
            nothing = jnp.zeros((raw.shape[1], 1), dtype)
            predicted = predictions(
                seen - mean, labels - y_mean, new - mean, nothing, tuned, tuned, sizes.n_task
            )
            alone = jnp.mean((y_new - predicted) ** 2, axis=0)
        return errors, penalties[find_variant("befs_two_penalties")], alone

    n_fold = _fold_size(sizes.n_task)
    at_once = _repeats_at_once(repeats, n_fold, d, targets.shape[1])
    errors, penalties, alone = map_factorisations(one_repeat, jnp.arange(repeats), at_once)
    return jnp.swapaxes(errors, 0, 1), penalties, alone
