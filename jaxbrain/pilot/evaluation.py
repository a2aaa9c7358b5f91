"""Do these recordings help with this task? Held-out errors over repeated disjoint splits."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_integer, check_key
from .._linalg import map_factorisations
from ..estimators import encode, random_subspace
from ..estimators.task import predictions_and_leverages
from ..tuning import KFold, tune_penalty
from .recordings import PilotData, PilotError

CONTROLS = {
    "befs": ("random_subspace", "shuffled_recordings"),
    "befs_two_penalties": (
        "random_subspace_two_penalties",
        "shuffled_recordings_two_penalties",
    ),
}
"""BEFS with one and with two penalties, each with the same estimator on subspaces that know nothing of
the recordings."""

ESTIMATORS = (
    "task_only",
    "ridge",
    "befs",
    *CONTROLS["befs"],
    "befs_two_penalties",
    *CONTROLS["befs_two_penalties"],
)
"""The estimators compared: two without recordings, and BEFS beside its controls."""

_FOLDS = 5
_REPEATS_FOR_RANK = 30
_NUMBERS_AT_ONCE = 2e7


class SplitSizes(NamedTuple):
    """Whole numbers of rows: `n_brain` for the brain stage, `n_task` for the task stage, `n_test` for testing."""

    n_brain: int
    n_task: int
    n_test: int


class Evaluation(NamedTuple):
    """Held-out errors of all estimators.

    - `errors`, shape (estimators, repeats, targets): mean squared error on the test rows as a share of
      the target's variance; 1 is what predicting the mean achieves. NaN where an estimator does
      not exist: ordinary least squares with too few rows.
    - `penalties`, shape (repeats, 2): those that BEFS with two penalties chose outside and inside the
      learned subspace, in units of the inputs' mean variance. The inside is held back more where the task
      depends on it less.
    - `rank`: dimension of the learned subspace; `sizes`: rows in each split.
    """

    errors: Float[Array, "e r t"]
    penalties: Float[Array, "r 2"]
    rank: int
    sizes: SplitSizes


def split_sizes(
    data: PilotData,
    n_brain: int | None = None,
    n_task: int | None = None,
    n_test: int | None = None,
) -> SplitSizes:
    """Sizes of the three parts of a split of `data`; what is not given is filled in.

    - `n_brain`, `n_task`, `n_test`: rows for the brain stage, the task stage, and testing.

    By default half of shared rows go to the brain stage and a quarter to the task stage; on separate
    rows all recordings and two thirds of the labelled rows. The rest is for testing.

    **Raises** `PilotError` that lists every size that cannot be.
    """
    for name, number in (("n_brain", n_brain), ("n_task", n_task), ("n_test", n_test)):
        if number is not None and (
            isinstance(number, bool) or not isinstance(number, int | np.integer)
        ):
            raise PilotError([f"{name} must be a whole number, but it is {number!r}"])
    rows_brain, rows_task = len(data.brain_inputs), len(data.task_inputs)
    given = n_task is not None, n_test is not None
    if n_brain is None:
        n_brain = rows_brain // 2 if data.shared_rows else rows_brain
    left = rows_task - n_brain if data.shared_rows else rows_task
    if n_task is None:
        n_task = max(left // 2, 5) if data.shared_rows else 2 * left // 3
    if n_test is None:
        n_test = max(left - n_task, 0)
    d, problems = data.input_dim, []
    if n_brain < d + 2:
        problems.append(
            f"n_brain = {n_brain} rows cannot teach a subspace of {d} inputs (it takes at least "
            f"{d + 2}): describe the inputs by fewer components, or record more"
        )
    # What is left when n_brain is too large is not to blame for it.
    possible = n_brain <= rows_brain
    if not possible:
        problems.append(f"n_brain = {n_brain}, but there are only {rows_brain} recorded rows")
        if data.shared_rows and rows_brain >= d + 9:
            problems[-1] += (
                f": pass {d + 2} to {rows_brain - 7}, so that 5 task and 2 test rows remain"
            )
    if n_task < 5 and (possible or given[0]):
        problems.append(f"n_task = {n_task} rows are too few to choose a penalty on: at least 5")
    if n_test < 2 and (possible or given[1]):
        problems.append(f"n_test = {n_test} rows are too few to test on: at least 2")
    if n_task + n_test > left and possible:
        problems.append(
            f"n_task + n_test = {n_task + n_test}, but there are only {left} rows left for them"
        )
    if problems:
        raise PilotError(problems)
    return SplitSizes(n_brain, n_task, n_test)


def evaluate(
    data: PilotData,
    sizes: SplitSizes,
    repeats: int,
    key: PRNGKeyArray,
    rank: int | None = None,
    block: int = 1,
) -> Evaluation:
    """Compare estimators with and without recordings on repeated random splits of a study.

    Each repeat draws disjoint rows for the brain stage, the task stage and the test. Inputs,
    recordings and targets are centred by the rows that they are learned from. Each estimator's
    penalties are tuned on the task rows alone, by gradient descent on the error of five-fold
    cross-validation, the same for all targets. All repeats run in one compiled program, on an accelerator
    in batches that bound the memory; the key of each repeat depends on its number only.

    - `data`: the study; `sizes`: rows of the three parts, as from `split_sizes`; `repeats`: splits, at least 2;
      `key`: of the splits.
    - `rank`: dimension of the learned subspace; by default `choose_rank`.
    - `block`: so many consecutive rows stay together, in splits and in the shuffled control. Rows of a time series
      depend on their neighbours, and single rows of it on both sides of a split share noise: BEFS can learn how
      that noise happens to go with the inputs of one run, which no control shows. Take blocks longer than that
      dependence lasts.

    **Raises** `PilotError` if rank, repeats or block do not fit the data, and if the inputs are collinear.

    **Source.** Ours, for the comparison; the estimators: see `task_only`, `ridge` and `befs`.
    """
    check_key(key)
    check_integer("repeats", repeats, 0)
    check_integer("block", block, 0)
    sizes = split_sizes(data, *sizes)
    largest = largest_rank(data, sizes)
    problems = []
    if repeats < 2:
        problems.append(f"repeats = {repeats}: it takes at least 2 to say how sure the answer is")
    longest = len(data.task_inputs) // (3 if data.shared_rows else 2)
    if not 1 <= block <= longest:
        problems.append(
            f"block = {block} rows: a split needs a block for each of its parts, so pass 1 to {longest}"
        )
    if rank is not None and not 1 <= rank <= largest:
        problems.append(
            f"rank = {rank} must lie between 1 and {largest}, which n_task, the inputs and the "
            "channels allow"
        )
    fold = sizes.n_brain - _fold_size(sizes.n_brain)
    if rank is None and fold < data.input_dim + 2:
        problems.append(
            f"rank cannot be chosen by cross-validation: n_brain = {sizes.n_brain} leaves {fold} rows "
            f"a fold for {data.input_dim} inputs: give the rank, or describe the inputs by fewer "
            "components"
        )
    if largest < 1:
        problems.append(f"n_task = {sizes.n_task} rows are too few for any subspace")
    collinear = _collinear(data.brain_inputs)
    if collinear:
        problems.append(
            f"the {data.input_dim} inputs are collinear ({collinear} independent directions): "
            f"describe them by at most {collinear} components"
        )
    if problems:
        raise PilotError(problems)
    data = _rescaled(data)
    arrays = tuple(jnp.asarray(array) for array in data[:4])
    if rank is None:
        rank = choose_rank(data, sizes, min(repeats, _REPEATS_FOR_RANK), key, block)
    errors, penalties = _all_repeats(arrays, key, sizes, data.shared_rows, rank, repeats, block)
    return Evaluation(errors, penalties, rank, sizes)


class Summary(NamedTuple):
    """Mean of a quantity over the repeats, with its 95 % interval.

    - `mean`: over the repeats that are finite, in the unit of the quantity.
    - `low`, `high`: ends of the 95 % interval for it. NaN, as the mean, with fewer than two such repeats.
    - `failed`: number of repeats that are not finite and left out.
    """

    mean: float
    low: float
    high: float
    failed: int


def summarise(per_repeat: np.ndarray) -> Summary:
    """Mean over repeats and a 95 % interval for it; repeats that are NaN are left out and counted.

    - `per_repeat`, shape (repeats,): an error, or a difference of two, in the same unit as what is returned. With
      fewer than two that are finite, mean and interval are NaN. Raises nothing.

    The interval is about the average over random splits of these rows. Splits share rows, so it says
    how well the repeats settle the comparison on this data set, not how it would fall out on another.

    **Source.** Student's interval for a mean; its quantile: Abramowitz and Stegun (1964), 26.7.5.
    """
    values = np.asarray(per_repeat)
    kept = values[np.isfinite(values)]
    failed = len(values) - len(kept)
    if len(kept) < 2:
        return Summary(float("nan"), float("nan"), float("nan"), failed)
    half = _student_t(len(kept) - 1) * np.std(kept, ddof=1) / np.sqrt(len(kept))
    mean = np.mean(kept)
    return Summary(float(mean), float(mean - half), float(mean + half), failed)


def _student_t(degrees: int) -> float:
    """The 97.5 % point of Student's t: Cornish-Fisher expansion about the normal, exact below 3."""
    if degrees < 3:
        return (12.7062, 4.3027)[degrees - 1]
    z, v = 1.959964, degrees
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def row_correlation(data: PilotData, lag: int = 1) -> float:
    """How alike rows are that follow each other: what single rows on both sides of a split would share.

    - `data`: the study. `lag`: rows from one to the other, at least 1 and less than there are.

    The correlation of each channel, and of each target, with itself so many rows later; the mean over channels
    or that over targets, whichever is larger. Independent rows lie within 2/√n of 0, n the number of rows.
    Raises nothing.

    **Source.** Ours.
    """

    def mean_over_columns(array: np.ndarray) -> float:
        centred = array - array.mean(axis=0)
        together = np.sum(centred[lag:] * centred[:-lag], axis=0)
        return float(np.mean(together / np.sum(centred**2, axis=0)))

    return max(mean_over_columns(data.recordings), mean_over_columns(data.targets))


def largest_rank(data: PilotData, sizes: SplitSizes) -> int:
    """The largest rank for which every stage has enough rows, inputs and channels."""
    brain_fold = sizes.n_brain - _fold_size(sizes.n_brain)
    task_fold = sizes.n_task - _fold_size(sizes.n_task)
    return min(data.input_dim - 1, data.recordings.shape[1], task_fold - 2, brain_fold - 1)


def choose_rank(
    data: PilotData, sizes: SplitSizes, repeats: int, key: PRNGKeyArray, block: int = 1
) -> int:
    """The rank of the subspace that predicts recordings of unseen rows best.

    - `data`, `sizes`, `repeats`, `key`, `block`: as in `evaluate`, which checks them.

    Five-fold cross-validation of reduced-rank regression on the brain rows of `repeats` splits; one
    fit a fold serves every rank. Targets are never looked at.

    **Source.** Ours; reduced-rank regression: Izenman (1975).
    """
    errors = _rank_errors(
        jnp.asarray(data.brain_inputs),
        jnp.asarray(data.recordings),
        key,
        sizes,
        data.shared_rows,
        largest_rank(data, sizes),
        repeats,
        block,
    )
    return int(jnp.argmin(jnp.mean(errors, axis=0))) + 1


def encoding_rank(inputs: np.ndarray, recordings: np.ndarray) -> int:
    """`choose_rank` for rows that need no splitting: five folds of them, in a fixed random order."""
    n, d = inputs.shape
    fold = n - _fold_size(n)
    if fold < d + 2:
        raise ValueError(
            f"rank cannot be chosen by cross-validation: {n} recorded rows leave {fold} a fold for {d} "
            "inputs: give the rank"
        )
    sizes = SplitSizes(n_brain=n, n_task=0, n_test=0)
    arrays = jnp.asarray(inputs), jnp.asarray(recordings)
    largest = min(d - 1, recordings.shape[1], fold - 1)
    errors = _rank_errors(*arrays, jr.key(0), sizes, True, largest, 1, 1)
    return int(jnp.argmin(errors[0])) + 1


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


def _permuted(key: PRNGKeyArray, n: int, block: int) -> Array:
    """The numbers below n in random order, in which so many consecutive ones stay together."""
    order = jr.permutation(key, -(-n // block))
    rows = (order[:, None] * block + jnp.arange(block)[None]).ravel()
    # The last block may be shorter: what it lacks goes to the end.
    return rows[jnp.argsort(rows >= n, stable=True)[:n]]


def _displaced(key: PRNGKeyArray, n: int, block: int) -> Array:
    """The numbers below n, apart from where they belong: in any order, or, to keep neighbours, all moved on."""
    if block == 1:
        return jr.permutation(key, n)
    least = min(block, n // 2)
    return (jnp.arange(n) + jr.randint(key, (), least, n - least + 1)) % n


def _rows(
    key: PRNGKeyArray, n_rows: tuple[int, int], sizes: SplitSizes, shared_rows: bool, block: int
) -> tuple[Array, Array, Array]:
    """Row numbers of the brain, task and test parts: disjoint where rows are shared."""
    key_brain, key_task = jr.split(key)
    brain = _permuted(key_brain, n_rows[0], block)
    labelled = brain[sizes.n_brain :] if shared_rows else _permuted(key_task, n_rows[1], block)
    task = labelled[: sizes.n_task]
    test = labelled[sizes.n_task : sizes.n_task + sizes.n_test]
    return brain[: sizes.n_brain], task, test


def _fold_size(n: int) -> int:
    """Rows held out in each fold; where n is no multiple, the last fold repeats some."""
    return -(-n // _FOLDS)


def _repeats_at_once(repeats: int, n_fold: int, d: int, n_targets: int) -> int:
    """As many repeats in one vmapped batch as keep its factors and predictions within bounds."""
    numbers = 4 * _FOLDS * (d**2 + n_fold * (d + n_targets))
    return int(np.clip(_NUMBERS_AT_ONCE // numbers, 1, min(repeats, 25)))


def _centred(array: Array) -> Array:
    return array - jnp.mean(array, axis=0, keepdims=True)


@partial(jax.jit, static_argnames=("sizes", "shared_rows", "rank", "repeats", "block"))
def _all_repeats(
    arrays: tuple[Array, Array, Array, Array],
    key: PRNGKeyArray,
    sizes: SplitSizes,
    shared_rows: bool,
    rank: int,
    repeats: int,
    block: int,
) -> tuple[Float[Array, "e r t"], Float[Array, "r 2"]]:
    brain_inputs, recordings, task_inputs, targets = arrays
    n_rows, d = (brain_inputs.shape[0], task_inputs.shape[0]), brain_inputs.shape[1]
    zero = jnp.zeros((), targets.dtype)

    def one_repeat(number: Array) -> tuple[Array, Array]:
        key_rows, key_shuffle, key_random = jr.split(jr.fold_in(key, number), 3)
        brain, task, test = _rows(key_rows, n_rows, sizes, shared_rows, block)
        seen, recorded = _centred(brain_inputs[brain]), _centred(recordings[brain])
        both = jnp.stack([recorded, recorded[_displaced(key_shuffle, sizes.n_brain, block)]])
        learned, shuffled = map_factorisations(lambda rows: encode(seen, rows, rank), both, 2)
        random = random_subspace(key_random, d, rank).astype(seen.dtype)
        # One program for all with a single penalty: no subspace at all (ridge) is one whose weights are 0.
        subspaces = jnp.stack([jnp.zeros_like(learned), learned, random, shuffled])
        held = jnp.asarray([jnp.inf, 0.0, 0.0, 0.0], targets.dtype)

        inputs, labels = task_inputs[task], targets[task]
        x_mean, y_mean = (jnp.mean(rows, axis=0, keepdims=True) for rows in (inputs, labels))
        x_new, y_new = task_inputs[test] - x_mean, targets[test] - y_mean

        def test_error(basis: Array, penalty: Array, inside: Array) -> Array:
            rows = inputs - x_mean, labels - y_mean, x_new
            predicted, _ = predictions_and_leverages(*rows, basis, penalty, inside, sizes.n_task)
            return jnp.mean((y_new - predicted) ** 2, axis=0)

        # Penalties serve all targets, each counting by its variance: much steadier than one each where
        # rows are few.
        def with_one_penalty(case: tuple[Array, Array]) -> Array:
            basis, inside = case
            objective = KFold(inputs, labels, basis, folds=_FOLDS, inside_penalty=inside)
            return test_error(basis, tune_penalty(objective).penalty, inside)

        def with_two_penalties(basis: Array) -> tuple[Array, Array]:
            objective = KFold(inputs, labels, basis, folds=_FOLDS, both_penalties=True)
            outside, inside = tune_penalty(objective).penalty
            return test_error(basis, outside, inside), jnp.stack([outside, inside])

        one = map_factorisations(with_one_penalty, (subspaces, held), len(subspaces))
        two, penalties = map_factorisations(with_two_penalties, subspaces[1:], len(subspaces) - 1)
        if sizes.n_task > d + 1:
            task_only = test_error(subspaces[0], zero, zero)
        else:
            task_only = jnp.full_like(one[0], jnp.nan)
        return jnp.concatenate([task_only[None], one, two]), penalties[0]

    n_fold = _fold_size(sizes.n_task)
    at_once = _repeats_at_once(repeats, n_fold, d, targets.shape[1])
    errors, penalties = map_factorisations(one_repeat, jnp.arange(repeats), at_once)
    return jnp.swapaxes(errors, 0, 1), penalties


@partial(jax.jit, static_argnames=("sizes", "shared_rows", "largest", "repeats", "block"))
def _rank_errors(
    inputs: Array,
    recordings: Array,
    key: PRNGKeyArray,
    sizes: SplitSizes,
    shared_rows: bool,
    largest: int,
    repeats: int,
    block: int,
) -> Float[Array, "r k"]:
    n_fold = _fold_size(sizes.n_brain)

    def one_fold(rows: Array, fold: Array) -> Array:
        # The rows of the fold come first after rolling; all folds have the same size.
        rows = jnp.roll(rows, -fold * n_fold)
        held_out, kept = rows[:n_fold], rows[n_fold:]
        input_mean = jnp.mean(inputs[kept], axis=0, keepdims=True)
        recording_mean = jnp.mean(recordings[kept], axis=0, keepdims=True)
        x, r = inputs[kept] - input_mean, recordings[kept] - recording_mean
        lower = jnp.linalg.cholesky(x.T @ x)
        solve = partial(jax.scipy.linalg.solve_triangular, lower, lower=True)
        moments = x.T @ r
        vectors = jnp.linalg.eigh(solve(solve(moments @ moments.T).T))[1][:, ::-1][:, :largest]
        # Channel patterns and their predictions: rank k adds the k-th outer product.
        directions = solve(vectors, trans="T")
        patterns = moments.T @ directions
        norms = jnp.linalg.norm(patterns, axis=0, keepdims=True)
        predicted = (inputs[held_out] - input_mean) @ (directions * norms)
        actual = (recordings[held_out] - recording_mean) @ (patterns / norms)
        return jnp.cumsum(jnp.sum(predicted**2 - 2 * predicted * actual, axis=0))

    def one_repeat(number: Array) -> Array:
        key_repeat = jr.fold_in(key, number)
        n_rows = inputs.shape[0], inputs.shape[0]
        brain, _, _ = _rows(key_repeat, n_rows, sizes, shared_rows, block)
        folds = map_factorisations(partial(one_fold, brain), jnp.arange(_FOLDS), _FOLDS)
        return jnp.sum(folds, axis=0)

    return jax.lax.map(one_repeat, jnp.arange(repeats))
