"""The brain encoding stage: a subspace of the inputs, learned from recordings."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._arguments import ENCODING_CRITERIA, EncodingCriterion
from .._checks import (
    as_float_like,
    as_floats,
    as_integer,
    check_choice,
    check_finite,
    check_integer,
    check_key,
    check_positive,
    check_shape,
    is_concrete,
    kind_of,
)
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real, Whole
from ..models import LinearGaussianModel
from ._encoding_penalty import chosen_penalty
from ._reduced_rank import learned_subspace, orthonormal
from ._regression import solve
from .folds import fold_of_groups, fold_of_rows, splits_of


@with_one_blas_thread
def encode(
    inputs: AnyArray,
    recordings: AnyArray,
    rank: Whole,
    ridge: Real | EncodingCriterion = 0.0,
    *,
    folds: Whole = 5,
    groups: Any = None,
) -> Float[Array, "d rank"]:
    """Find the input directions that recordings respond to, by reduced-rank regression.

    Minimises (1/n)‖R − X B‖² + ridge ‖B‖² over all B of the given rank. The column space of B is
    the learned brain-sensitive subspace.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small()
    >>> inputs, recordings = model.sample_brain(jax.random.key(1), 5_000)
    >>> basis = jb.encode(inputs, recordings, rank=6)
    >>> basis.shape
    (64, 6)
    >>> overlap = ((basis.T @ model.encoder) ** 2).sum() / 6
    >>> bool(overlap > 0.98)
    True

    **Arguments**

    - `inputs`: X, shape (n, d), a row for each sample. Centre them first.
    - `recordings`: R, shape (n, p), row by row with `inputs`. Centre them first.
    - `rank`: number k of latents to keep, at most min(d − 1, p, n).
    - `ridge`: penalty a sample, at least 0. Needed where n < d. `"leave_one_out"` or `"k_fold"`
      choose it, as in `fit_encoder`. A chosen one is a constant to derivatives.
    - `folds`, `groups`: of `"k_fold"`, as in `fit_encoder`.

    **Returns**

    An orthonormal basis of the subspace, shape (d, rank). Only its span means anything: columns may
    come in any rotation. Derivatives are those of the span. They are finite also where singular
    values repeat.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, or n < d without a ridge.

    **Source**

    Stage one of BEFS, Lewis et al., arXiv:2605.09243; reduced-rank regression: Izenman (1975).
    """
    inputs, recordings = checked_recordings(inputs, recordings)
    n, d = inputs.shape
    rank = as_integer("rank", rank, 1, min(d - 1, recordings.shape[1], n))
    for name, array in (("inputs", inputs), ("recordings", recordings)):
        if is_concrete(array) and not bool(jnp.any(array)):
            raise ValueError(f"{name} are all 0: no subspace can be learned from them")
    ridge = checked_penalty("ridge", ridge, inputs, recordings, folds, groups)
    return checked_solution(
        learned_subspace(inputs, recordings, ridge, rank), inputs=inputs, recordings=recordings
    )


class Encoder(NamedTuple):
    """What predicts recordings from inputs, as `fit_encoder` learns it.

    **Fields**

    - `weights`, shape (d, p): a column for each channel.
    - `penalty`: the ridge penalty a sample that they were learned with.
    """

    weights: Float[Array, "d p"]
    penalty: Float[Array, ""]


@with_one_blas_thread
def fit_encoder(
    inputs: AnyArray,
    recordings: AnyArray,
    penalty: Real | EncodingCriterion = "leave_one_out",
    *,
    folds: Whole = 5,
    groups: Any = None,
) -> Encoder:
    """Learn to predict recordings from inputs by ridge regression: the encoder of `banded_ridge`.

    All channels share one penalty, and a mean is learned too. Each channel counts by its variance:
    divide recordings by their standard deviations where units differ.

    One factorisation of the rows serves all penalties and all rows that are left out.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small()
    >>> inputs, recordings = model.sample_brain(jax.random.key(1), 40)
    >>> encoder = jb.fit_encoder(inputs, recordings)
    >>> encoder.weights.shape, bool(encoder.penalty > 0)
    ((64, 150), True)

    **Arguments**

    - `inputs`: a row for each sample, shape (n, d). Rows may be fewer than inputs.
    - `recordings`: row by row with them, shape (n, p).
    - `penalty`: a sample. `"leave_one_out"` takes that with the least error of each row predicted
      from all others; `"k_fold"` of each fold predicted from the others. What is held fixed when
      rows are left out is n times the penalty. A number of at least 0 is taken as it is, and must
      be more than 0 where n < d.
    - `folds`: of `"k_fold"`, 2 to n of them, of consecutive rows.
    - `groups`: of `"k_fold"`, shape (n,): names of groups whose rows stay together. Folds are of
      whole groups then.

    **Returns**

    An `Encoder`: the weights and the penalty. Weights are differentiable in every array and in a
    penalty that is given; a chosen one counts as a constant.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, an unknown criterion, groups for
    one that knows none.

    **Source**

    Hoerl and Kennard (1970); leave-one-out: docs/theory.md, "Tuning".
    """
    inputs, recordings = checked_recordings(inputs, recordings)
    penalty = checked_penalty("penalty", penalty, inputs, recordings, folds, groups)
    x, r = (array - jnp.mean(array, axis=0, keepdims=True) for array in (inputs, recordings))
    weights = solve(x, r, None, penalty, penalty)
    return Encoder(checked_solution(weights, inputs=inputs, recordings=recordings), penalty)


def checked_recordings(inputs: AnyArray, recordings: AnyArray) -> list[Array]:
    """Inputs and recordings, of one type; raises where shapes do not fit."""
    checked = as_floats(inputs=inputs, recordings=recordings)
    check_shape("inputs", checked[0], ("n", "d"), "one row a sample")
    check_shape("recordings", checked[1], (len(checked[0]), "p"), "one row for each row of inputs")
    for name, array in zip(("inputs", "recordings"), checked, strict=True):
        for axis, what in enumerate(("rows", "columns")):
            check_integer(f"the number of {what} of {name}", array.shape[axis], 1)
    return checked


def checked_penalty(
    name: str, penalty: Any, inputs: Array, recordings: Array, folds: Whole, groups: Any
) -> Float[Array, ""]:
    """The penalty of the encoding stage: as given, or chosen on the rows."""
    n, d = inputs.shape
    if not isinstance(penalty, str):
        if groups is not None:
            raise ValueError(f"groups: only {name}='k_fold' leaves groups out")
        number = as_float_like(name, penalty, inputs)
        check_shape(name, number, (), "one number, or 'leave_one_out' or 'k_fold'")
        check_finite(name, number)
        check_positive(name, number, zero_allowed=True)
        if n < d:
            check_positive_for(
                f"n = {n} recorded samples leave {d} inputs undetermined", name, number
            )
        return number
    check_choice(name, penalty, ENCODING_CRITERIA)
    check_integer("the number of rows of inputs", n, 3, remedy=f"pass a number as {name}")
    splits = None
    if penalty == "k_fold":
        folds = as_integer("folds", folds, 2, n)
        if groups is not None:
            check_shape("groups", groups, (n,), "the group of each row of inputs")
        fold = fold_of_rows(n, folds) if groups is None else fold_of_groups(groups, folds)
        splits = splits_of(fold)
    elif groups is not None:
        raise ValueError(f"groups: {name}='leave_one_out' leaves out single rows: pass 'k_fold'")
    check_finite("inputs", inputs)
    check_finite("recordings", recordings)
    return chosen_penalty(inputs, recordings, splits)


def checked_solution(solution: Array, **arrays: Array) -> Array:
    """The solution; raises if it is not finite, and says which array is the reason."""
    if is_concrete(solution) and not bool(jnp.all(jnp.isfinite(solution))):
        for name, array in arrays.items():
            check_finite(name, array)
        if bool(jnp.any(jnp.isinf(solution))):
            raise ValueError(
                f"the solution is too large for {solution.dtype}: pass inputs or targets in other "
                "units"
            )
        raise ValueError(
            "inputs leave the solution undetermined: they are collinear, or the penalty is lost in "
            "rounding; use fewer inputs or a larger penalty"
        )
    return solution


def check_positive_for(reason: str, name: str, value: Array) -> None:
    """Raise if a known value is 0 although `reason` makes a positive one necessary."""
    try:
        check_positive(name, value)
    except ValueError as problem:
        raise ValueError(f"{reason}: pass {name} > 0, or fewer inputs") from problem


@with_one_blas_thread
def random_subspace(
    key: PRNGKeyArray, input_dim: Whole, rank: Whole
) -> Float[Array, "input_dim rank"]:
    """Draw a uniformly random subspace: a control that knows nothing of any brain.

    What BEFS gains with it is the gain of leaving a few directions unpenalised, no more.

    >>> import jax, jaxbrain as jb
    >>> jb.random_subspace(jax.random.key(0), 10, 3).shape
    (10, 3)

    **Arguments**

    - `key`: of the draw.
    - `input_dim`: number d of inputs, at least 2.
    - `rank`: dimension k of the subspace, 1 to d − 1.

    **Returns**

    An orthonormal basis, shape (d, k).

    **Raises**

    `ValueError` that names the argument: a legacy key, or a number that cannot be.

    **Source**

    Ours, as a control: the orthonormal basis of a matrix of standard normals.
    """
    check_key(key)
    input_dim = as_integer("input_dim", input_dim, 2)
    rank = as_integer("rank", rank, 1, input_dim - 1)
    return orthonormal(jr.normal(key, (input_dim, rank)))


def shuffle_recordings(key: PRNGKeyArray, recordings: AnyArray) -> Float[Array, "n p"]:
    """Permute the rows of recordings: a control whose recordings no longer belong to the inputs.

    It keeps everything about the recordings but their relation to what was shown.

    >>> import jax, jax.numpy as jnp, jaxbrain as jb
    >>> shuffled = jb.shuffle_recordings(jax.random.key(0), jnp.eye(5))
    >>> float(shuffled.sum())
    5.0

    **Arguments**

    - `key`: of the permutation.
    - `recordings`: a row for each sample, shape (n, p).

    **Returns**

    The same rows in random order, shape (n, p).

    **Raises**

    `ValueError` that names the argument: a legacy key, or recordings without rows and columns.

    **Source**

    Ours, as a control: a permutation of the rows.
    """
    check_key(key)
    (recordings,) = as_floats(recordings=recordings)
    check_shape("recordings", recordings, ("n", "p"), "one row a sample")
    return jr.permutation(key, recordings, axis=0)


def oracle_subspace(model: LinearGaussianModel) -> Float[Array, "d k"]:
    """Take the true brain-sensitive subspace of a model: what unlimited recordings would teach.

    >>> import jaxbrain as jb
    >>> jb.oracle_subspace(jb.presets.small()).shape
    (64, 6)

    **Arguments**

    - `model`: the study.

    **Returns**

    Its `encoder`, an orthonormal basis of shape (d, k).

    **Raises**

    `ValueError` where `model` is no `LinearGaussianModel`.

    **Source**

    The encoder of the model in Lewis et al., arXiv:2605.09243, section 2.
    """
    if not isinstance(model, LinearGaussianModel):
        raise ValueError(
            f"model must be a jaxbrain.LinearGaussianModel, but it is {kind_of(model)}"
        )
    return model.encoder
