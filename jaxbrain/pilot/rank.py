"""The dimension of the subspace, chosen by how well recordings of unseen rows are predicted."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._arguments import ENCODING_CRITERIA, EncodingCriterion
from .._checks import (
    as_floats,
    as_integer,
    as_number,
    check_choice,
    check_finite,
    check_key,
    check_kind,
    check_known,
    check_shape,
)
from .._linalg import map_factorisations
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real, Whole
from ..estimators import fit_encoder
from ..estimators.folds import Split, fold_of_groups, splits_of
from .recordings import PilotData, PilotError, check_data
from .splits import _FOLDS, SplitSizes, _draw_rows, _fold_size, rows_together


@with_one_blas_thread
def choose_rank(
    data: PilotData, sizes: SplitSizes, repeats: Whole, key: PRNGKeyArray, block: Whole = 1
) -> int:
    """Choose the rank of the subspace that predicts recordings of unseen rows best.

    Five-fold cross-validation of reduced-rank regression on the brain rows of random splits. One
    fit a fold serves every rank. Targets are never looked at.

    >>> import jax, numpy as np
    >>> from jaxbrain.pilot import choose_rank, pilot_data, split_sizes
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(120, 12))
    >>> recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + rng.normal(size=(120, 20))
    >>> data = pilot_data(inputs=inputs, recordings=recordings, targets=inputs[:, 0])
    >>> choose_rank(data, split_sizes(data), 5, jax.random.key(0))
    2

    **Arguments**

    - `data`, `sizes`, `repeats`, `key`, `block`: as in `evaluate`, which checks them.

    **Returns**

    The rank, at least 1.

    **Raises**

    `PilotError` where no rank has an error that is a number; `evaluate` refuses what else cannot
    be.

    **Source**

    Ours; reduced-rank regression: Izenman (1975).
    """
    check_data("data", data)
    check_kind("sizes", sizes, SplitSizes, "pass what split_sizes returns")
    repeats = as_integer("repeats", repeats, 1)
    block = as_integer("block", block, 1)
    check_key(key)
    errors = _rank_errors(
        *as_floats(brain_inputs=data.brain_inputs, recordings=data.recordings),
        jnp.zeros(()),
        key,
        sizes,
        data.shared_rows,
        _largest_rank(data, sizes),
        repeats,
        block,
        _as_group(data, block),
    )
    try:
        return _best(errors)
    except ValueError as problem:
        raise PilotError([str(problem)]) from problem


@with_one_blas_thread
def encoding_rank(
    inputs: AnyArray,
    recordings: AnyArray,
    ridge: Real | EncodingCriterion = 0.0,
    groups: Any = None,
) -> int:
    """Choose the rank of `encode` for rows that need no splitting.

    As `choose_rank`, by five folds of all rows in a fixed random order, or of whole groups.

    >>> import numpy as np
    >>> from jaxbrain.pilot import encoding_rank
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(120, 12))
    >>> recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + rng.normal(size=(120, 20))
    >>> encoding_rank(inputs, recordings)
    2

    **Arguments**

    - `inputs`: of the brain stage, shape (n, d).
    - `recordings`: row by row with them, shape (n, p).
    - `ridge`: penalty a sample, as in `encode`, at least 0. Needed where few rows are left a fold.
      `"leave_one_out"` or `"k_fold"` choose it on all rows, with the groups, as `fit_encoder` does.
    - `groups`: names of groups whose rows stay together, shape (n,).

    **Returns**

    The rank, at least 1.

    **Raises**

    `ValueError` where arrays do not fit, hold NaN, or have too few rows to leave a fifth of them
    out, and where no rank has an error that is a number.

    **Source**

    As `choose_rank`.
    """
    check_known(inputs=inputs, recordings=recordings, ridge=ridge)
    check_shape("inputs", inputs, ("n", "d"), "one row a sample")
    n, d = np.shape(inputs)
    check_shape("recordings", recordings, (n, "p"), "one row for each row of inputs")
    as_floats(inputs=inputs, recordings=recordings)  # refuses what holds no numbers
    inputs, recordings = np.asarray(inputs, float), np.asarray(recordings, float)
    for name, array in (("inputs", inputs), ("recordings", recordings)):
        check_finite(name, array)
    if isinstance(ridge, str):
        check_choice("ridge", ridge, ENCODING_CRITERIA)
        of_folds = groups if ridge == "k_fold" else None
        ridge = float(fit_encoder(inputs, recordings, ridge, groups=of_folds).penalty)
    check_finite("ridge", ridge)
    ridge = as_number("ridge", ridge, zero_allowed=True)
    splits, fold = None, n - _fold_size(n)
    if groups is not None:
        check_shape("groups", groups, (n,), "the group of each row of inputs")
        member = fold_of_groups(groups, _FOLDS)
        splits, fold = splits_of(member), n - int(np.max(np.bincount(member)))
    if fold < d + 2 and not ridge > 0:
        raise ValueError(
            f"rank cannot be chosen by cross-validation: {n} recorded rows leave {fold} a fold for "
            f"{d} inputs: give the rank"
        )
    sizes = SplitSizes(n_brain=n, n_task=0, n_test=0)
    largest = min(d - 1, recordings.shape[1], fold - 1)
    if largest < 1:
        raise ValueError(f"inputs: {n} rows of {d} leave no rank to choose from: pass more")
    of_inputs, of_recordings = (_unit(rows) for rows in (inputs, recordings))
    inputs = inputs / of_inputs
    if n < d:
        # Ridge regression is the same in coordinates of the rows, which are fewer.
        inputs = np.asarray(np.linalg.qr(inputs.T, mode="r")).T
    arrays = jnp.asarray(inputs), jnp.asarray(recordings / of_recordings)
    shrinkage = jnp.asarray(float(ridge) / of_inputs / of_inputs, arrays[0].dtype)
    if splits is not None:
        return _best(_errors_of_folds(*arrays, shrinkage, splits, largest))
    return _best(_rank_errors(*arrays, shrinkage, jr.key(0), sizes, True, largest, 1, 1))


def _as_group(data: PilotData, block: int) -> Array | None:
    group = rows_together(data, block)
    return None if group is None else jnp.asarray(group)


def _unit(array: np.ndarray) -> float:
    """The largest number in size: squares of what is divided by it are numbers."""
    return float(np.max(np.abs(array))) or 1.0


def _best(errors: Float[Array, "r k"]) -> int:
    """The rank with the least mean error; where that is no number, a rank has none."""
    # NumPy's: a program of its own would have to be compiled for each number.
    means = np.mean(np.asarray(errors), axis=0)
    if not np.any(np.isfinite(means)):
        raise ValueError(
            "rank cannot be chosen by cross-validation: no rank has an error that is a number: "
            "give the rank, or look for extreme inputs and recordings"
        )
    return int(np.argmin(np.where(np.isfinite(means), means, np.inf))) + 1


def _largest_rank(data: PilotData, sizes: SplitSizes) -> int:
    """The largest rank for which every stage has enough rows, inputs and channels."""
    brain_fold = sizes.n_brain - _fold_size(sizes.n_brain)
    task_fold = sizes.n_task - _fold_size(sizes.n_task)
    return min(data.input_dim - 1, data.recordings.shape[1], task_fold - 2, brain_fold - 1)


@partial(jax.jit, static_argnames=("sizes", "shared_rows", "largest", "repeats", "block"))
def _rank_errors(
    inputs: Array,
    recordings: Array,
    ridge: Array,
    key: PRNGKeyArray,
    sizes: SplitSizes,
    shared_rows: bool,
    largest: int,
    repeats: int,
    block: int,
    group: Array | None = None,
) -> Float[Array, "r k"]:
    n_fold = _fold_size(sizes.n_brain)

    def one_fold(rows: Array, fold: Array) -> Array:
        # The rows of the fold come first after rolling; all folds have the same size.
        rows = jnp.roll(rows, -fold * n_fold)
        ones = jnp.ones(len(rows), inputs.dtype)
        split = Split(learned=ones[n_fold:], judged=rows[:n_fold], counts=ones[:n_fold])
        return _fold_errors(inputs, recordings, rows[n_fold:], split, ridge, largest)

    def one_repeat(number: Array) -> Array:
        key_repeat = jr.fold_in(key, number)
        n_rows = inputs.shape[0], inputs.shape[0]
        brain, _, _ = _draw_rows(key_repeat, n_rows, sizes, shared_rows, block, group)
        folds = map_factorisations(partial(one_fold, brain), jnp.arange(_FOLDS), _FOLDS)
        return jnp.sum(folds, axis=0)

    return jax.lax.map(one_repeat, jnp.arange(repeats))


@partial(jax.jit, static_argnames="largest")
def _errors_of_folds(
    inputs: Array, recordings: Array, ridge: Array, splits: Split, largest: int
) -> Float[Array, "1 k"]:
    def one_fold(split: Split) -> Array:
        return _fold_errors(inputs, recordings, jnp.arange(len(inputs)), split, ridge, largest)

    return jnp.sum(map_factorisations(one_fold, splits, _FOLDS), axis=0, keepdims=True)


def _fold_errors(
    inputs: Array, recordings: Array, kept: Array, split: Split, ridge: Array, largest: int
) -> Float[Array, " k"]:
    """What each rank adds to the squared error of the judged rows, learned from those kept."""
    counts = split.learned[:, None]
    total = jnp.sum(counts)
    x, r = (jnp.take(array, kept, axis=0) for array in (inputs, recordings))
    input_mean, recording_mean = (
        jnp.sum(counts * array, axis=0, keepdims=True) / total for array in (x, r)
    )
    x, r = counts * (x - input_mean), counts * (r - recording_mean)
    # Inputs of length 1: no unit matters. One that is constant in these rows, but for rounding,
    # has no length, and says nothing.
    lengths = jnp.linalg.norm(x, axis=0, keepdims=True)
    rounding = total * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(inputs), axis=0, keepdims=True)
    x_unit = jnp.where(lengths > rounding, lengths, 1.0)
    x = jnp.where(lengths > rounding, x / x_unit, 0.0)
    # Where inputs depend on each other, what is shared among them is theirs alike. The least
    # of penalties, which rounding would hide elsewhere, decides it.
    least = 10 * x.shape[1] * jnp.finfo(x.dtype).eps
    lower = jnp.linalg.cholesky(x.T @ x + jnp.diag(least + total * ridge / x_unit[0] ** 2))
    solve = partial(jax.scipy.linalg.solve_triangular, lower, lower=True)
    moments = x.T @ r
    vectors = jnp.linalg.eigh(solve(solve(moments @ moments.T).T))[1][:, ::-1][:, :largest]
    # Channel patterns and their predictions: rank k adds the k-th outer product.
    directions = solve(vectors, trans="T")
    patterns = moments.T @ directions
    norms = jnp.linalg.norm(patterns, axis=0, keepdims=True)
    judged = split.counts[:, None]
    predicted = judged * ((inputs[split.judged] - input_mean) / x_unit @ (directions * norms))
    patterns = patterns / jnp.where(norms > 0, norms, 1.0)
    actual = (recordings[split.judged] - recording_mean) @ patterns
    return jnp.cumsum(jnp.sum(predicted**2 - 2 * predicted * actual, axis=0))
