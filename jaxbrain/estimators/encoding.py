"""The brain encoding stage: a subspace of the inputs, learned from recordings."""

from __future__ import annotations

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import (
    as_floats,
    as_integer,
    check_finite,
    check_key,
    check_positive,
    check_shape,
    is_concrete,
    kind_of,
)
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real, Whole
from ..models import LinearGaussianModel
from ._reduced_rank import learned_subspace, orthonormal


@with_one_blas_thread
def encode(
    inputs: AnyArray,
    recordings: AnyArray,
    rank: Whole,
    ridge: Real = 0.0,
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
    - `ridge`: penalty a sample, at least 0. Needed where n < d.

    **Returns**

    An orthonormal basis of the subspace, shape (d, rank). Only its span means anything: columns may
    come in any rotation. Derivatives are those of the span. They are finite also where singular
    values repeat.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, or n < d without a ridge.

    **Source**

    Stage one of BEFS, Lewis et al., arXiv:2605.09243; reduced-rank regression: Izenman (1975).
    """
    inputs, recordings, ridge = as_floats(inputs=inputs, recordings=recordings, ridge=ridge)
    check_shape("inputs", inputs, ("n", "d"), "one row a sample")
    n, d = inputs.shape
    check_shape("recordings", recordings, (n, "p"), "one row for each row of inputs")
    check_shape("ridge", ridge, (), "one number")
    check_finite("ridge", ridge)
    check_positive("ridge", ridge, zero_allowed=True)
    rank = as_integer("rank", rank, 1, min(d - 1, recordings.shape[1], n))
    if n < d:
        check_positive_for(
            f"n = {n} recorded samples leave {d} inputs undetermined", "ridge", ridge
        )
    for name, array in (("inputs", inputs), ("recordings", recordings)):
        if is_concrete(array) and not bool(jnp.any(array)):
            raise ValueError(f"{name} are all 0: no subspace can be learned from them")
    return checked_solution(
        learned_subspace(inputs, recordings, ridge, rank), inputs=inputs, recordings=recordings
    )


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
