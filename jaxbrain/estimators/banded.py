"""The task stage without a rank: what recordings would have been is a second band of features."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import (
    as_floats,
    check_finite,
    check_integer,
    check_positive,
    check_shape,
    is_concrete,
)
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real
from ._regression import solve
from .encoding import check_positive_for, checked_solution
from .task import checked_arrays, path_weights


def banded_ridge(
    inputs: AnyArray,
    targets: AnyArray,
    encoder: AnyArray,
    penalty: Real,
    encoder_penalty: Real,
) -> Float[Array, "d *t"]:
    """Learn a task with the help of recordings, without choosing how many latents they show.

    Minimises (1/n)‖y − X(β + Mγ)‖² + penalty ‖β‖² + encoder_penalty ‖γ‖² over both, and returns
    β + Mγ. X M is what the recordings of these inputs would have been: the regression takes it as
    features of their own, with a penalty of their own. M is the encoder in the unit in which
    tr M Mᵀ = d, so that the unit of recordings does not matter.

    In other words, weights have the prior covariance I/penalty + M Mᵀ/encoder_penalty. This is
    empirical Bayes with a covariance learned from recordings: directions count by how strongly the
    brain responds to them.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small(task_snr=1.0)
    >>> brain_inputs, recordings = model.sample_brain(jax.random.key(0), 2_000)
    >>> encoder = jb.fit_encoder(brain_inputs, recordings).weights
    >>> inputs, targets = model.sample_task(jax.random.key(1), 100)
    >>> with_brain = jb.banded_ridge(inputs, targets, encoder, 10.0, 0.3)
    >>> without = jb.ridge(inputs, targets, 1.0)
    >>> error = lambda weights: float(((weights - model.task_weights) ** 2).sum())
    >>> error(with_brain) < error(without) / 2
    True

    **Arguments**

    - `inputs`: a row for each label, shape (n, d).
    - `targets`: labels, shape (n,), or (n, t) for t tasks at once.
    - `encoder`: weights that predict p channels from the inputs, shape (d, p), as from
      `fit_encoder(brain_inputs, recordings)`. A channel counts by the variance that is
      predicted of it: divide recordings by their standard deviations where units differ.
    - `penalty`: of all weights alike, a sample. 0 is ordinary least squares (n >= d). Infinity
      leaves the predicted recordings alone as features.
    - `encoder_penalty`: of what predicted recordings contribute, a sample. Infinity gives ridge
      regression.

    Tune both by `tune_penalty(LeaveOneOut(inputs, targets, encoder=encoder, both_penalties=True))`.

    **Returns**

    Weights of shape (d,) or (d, t). Differentiable in every argument, penalties included.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, an encoder of zeros, or too few
    rows for a penalty of 0.

    **Source**

    Banded ridge regression: Nunez-Elizalde, Huth and Gallant (2019). Predicted recordings as a
    band: ours.
    """
    inputs, targets = checked_arrays(inputs, targets)
    stacked, basis, encoder = with_predicted_recordings(inputs, encoder)
    d = inputs.shape[1]
    penalty, encoder_penalty = _checked_penalties(
        inputs, encoder, "penalty", penalty, encoder_penalty
    )
    check_shape("penalty", penalty, (), "one number; banded_ridge_path takes several")
    weights = solve(stacked, targets, basis, penalty, encoder_penalty)
    weights = _checked_weights(weights, inputs, targets)
    return weights[:d] + encoder @ weights[d:]


@with_one_blas_thread
def banded_ridge_path(
    inputs: AnyArray,
    targets: AnyArray,
    encoder: AnyArray,
    penalties: AnyArray,
    encoder_penalty: Real,
) -> Float[Array, "l d *t"]:
    """Learn a task by `banded_ridge` for many penalties, at the cost of one factorisation.

    >>> import jax, jax.numpy as jnp, jaxbrain as jb
    >>> model = jb.presets.small()
    >>> inputs, targets = model.sample_task(jax.random.key(1), 100)
    >>> jb.banded_ridge_path(inputs, targets, model.encoder, jnp.logspace(-2, 2, 9), 0.1).shape
    (9, 64)

    **Arguments**

    - `inputs`, `targets`, `encoder`, `encoder_penalty`: as in `banded_ridge`.
    - `penalties`: of all weights alike, shape (l,). 0 and infinity are allowed as in
      `banded_ridge`.

    **Returns**

    Weights of shape (l, d) or (l, d, t). Differentiable in the penalties and the targets. For
    derivatives in inputs and encoder use `banded_ridge`.

    **Raises**

    `ValueError` as `banded_ridge` does.

    **Source**

    As `banded_ridge`; one diagonalisation of the regression for all penalties as in `befs_path`.
    """
    inputs, targets = checked_arrays(inputs, targets)
    stacked, basis, encoder = with_predicted_recordings(inputs, encoder)
    penalties, encoder_penalty = _checked_penalties(
        inputs, encoder, "penalties", penalties, encoder_penalty
    )
    check_shape("penalties", penalties, ("l",), "a list of penalties; banded_ridge takes one")
    weights = path_weights(stacked, targets, basis, penalties, encoder_penalty)
    weights, d = _checked_weights(weights, inputs, targets), inputs.shape[1]
    return weights[:, :d] + jax.vmap(lambda each: encoder @ each)(weights[:, d:])


def _checked_penalties(
    inputs: Array, encoder: Array, name: str, penalty: AnyArray | Real, encoder_penalty: Real
) -> tuple[Array, Array]:
    """Both penalties as arrays; raises where rows leave weights undetermined."""
    penalty, encoder_penalty = (
        value.astype(inputs.dtype)
        for value in as_floats(**{name: penalty, "encoder_penalty": encoder_penalty})
    )
    check_shape(
        "encoder_penalty", encoder_penalty, (), "one number; map over several with jax.vmap"
    )
    check_positive(name, penalty, zero_allowed=True)
    check_positive("encoder_penalty", encoder_penalty, zero_allowed=True)
    n, d = inputs.shape
    if n < d:
        check_positive_for(
            f"n_task = {n} rows of inputs leave {d} weights undetermined", name, penalty
        )
    if n < encoder.shape[1]:
        reason = f"n_task = {n} rows of inputs leave {encoder.shape[1]} channels undetermined"
        check_positive_for(reason, "encoder_penalty", encoder_penalty)
    return penalty, encoder_penalty


def _checked_weights(weights: Array, inputs: Array, targets: Array) -> Array:
    """The weights; raises where the rows leave them undetermined."""
    try:
        return checked_solution(weights, inputs=inputs, targets=targets)
    except ValueError as problem:
        if "undetermined" not in str(problem):
            raise
        raise ValueError(
            f"{problem}. Where predicted recordings are collinear it is encoder_penalty that must "
            "be larger"
        ) from problem


def with_predicted_recordings(
    inputs: Float[Array, "n d"], encoder: AnyArray
) -> tuple[Float[Array, "n e"], Float[Array, "e p"], Float[Array, "d p"]]:
    """[X, X M], the subspace of the last p columns, and M; raises where there is no encoder.

    Two penalties on them, outside of that subspace and inside, are those of `banded_ridge`.
    """
    d = inputs.shape[1]
    (encoder,) = as_floats(encoder=encoder)
    encoder = encoder.astype(inputs.dtype)
    check_shape("encoder", encoder, (d, "p"), "one row for each input, one column a channel")
    p = encoder.shape[1]
    check_integer("the number of columns of encoder", p, 1)
    check_finite("encoder", encoder)
    largest = jnp.max(jnp.abs(encoder))
    if is_concrete(encoder) and not np.asarray(largest) > 0:
        raise ValueError("encoder is all 0: nothing about the recordings was learned from inputs")
    encoder = encoder / largest
    encoder = encoder * jnp.sqrt(d / jnp.sum(encoder**2))
    basis = jnp.concatenate([jnp.zeros((d, p), inputs.dtype), jnp.eye(p, dtype=inputs.dtype)])
    return jnp.concatenate([inputs, inputs @ encoder], axis=1), basis, encoder
