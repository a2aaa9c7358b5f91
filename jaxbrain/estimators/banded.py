"""The task stage without a rank: what recordings would have been is a second band of features."""

from __future__ import annotations

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
from .._typing import AnyArray, Real
from ._regression import solve
from .encoding import check_positive_for, checked_solution
from .task import checked_arrays


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

    In other words, weights have the prior covariance I/penalty + M Mᵀ/encoder_penalty, learned from
    recordings: directions count by how strongly the brain responds to them.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small(task_snr=1.0)
    >>> brain_inputs, recordings = model.sample_brain(jax.random.key(0), 2_000)
    >>> encoder = jb.ridge(brain_inputs, recordings, penalty=0.1)
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
      `ridge(brain_inputs, recordings, penalty)`. A channel counts by the variance that is
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
    penalty, encoder_penalty = (
        value.astype(inputs.dtype)
        for value in as_floats(penalty=penalty, encoder_penalty=encoder_penalty)
    )
    for name, value in (("penalty", penalty), ("encoder_penalty", encoder_penalty)):
        check_shape(name, value, (), "one number; map over several with jax.vmap")
        check_positive(name, value, zero_allowed=True)
    stacked, basis, encoder = with_predicted_recordings(inputs, encoder)
    n, d = inputs.shape
    if n < d:
        reason = f"n_task = {n} rows of inputs leave {d} weights undetermined"
        check_positive_for(reason, "penalty", penalty)
    if n < encoder.shape[1]:
        reason = f"n_task = {n} rows of inputs leave {encoder.shape[1]} channels undetermined"
        check_positive_for(reason, "encoder_penalty", encoder_penalty)
    weights = solve(stacked, targets, basis, penalty, encoder_penalty)
    try:
        weights = checked_solution(weights, inputs=inputs, targets=targets)
    except ValueError as problem:
        if "undetermined" not in str(problem):
            raise
        raise ValueError(
            f"{problem}. Where predicted recordings are collinear it is encoder_penalty that must "
            "be larger"
        ) from problem
    return weights[:d] + encoder @ weights[d:]


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
