"""Logistic regression with a penalty of 1, of any number of classes: Newton's method.

    minimise (1/n) Σ −log p(y | zV + b) + ½‖V‖²

At the solution V = Zᵀ(Y − P)/n: rows fewer than features need no more coordinates than rows. Steps
are solved by conjugate gradients, in coordinates in which ZᵀZ is diagonal: were all probabilities
alike, their preconditioner would be the inverse.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float

_STEPS, _HALVINGS, _OF_CG = 100, 30, 300
# As a logit: no probability, in any precision.
_NEVER = -1e4


class Logits(NamedTuple):
    """What makes the logits of rows: zV + b. Two classes have one column, more have one each."""

    weights: Float[Array, "m c"]
    intercept: Float[Array, " c"]


class _Frame(NamedTuple):
    """Coordinates in which the second moments of the features are diagonal."""

    rows: Float[Array, "n r"]
    strengths: Float[Array, " r"]
    vectors: Float[Array, "m r"] | None
    """Back to the features; None where rows are few, which give the weights themselves."""


def log_probabilities(logits: Float[Array, "n c"]) -> Float[Array, "n k"]:
    """Of all classes; a single column is that of the second of two."""
    if logits.shape[1] == 1:
        return jax.nn.log_sigmoid(jnp.concatenate([-logits, logits], axis=1))
    return jax.nn.log_softmax(logits, axis=1)


@partial(jax.jit, static_argnames="n_classes")
def fit_logits(features: Float[Array, "n m"], codes: Array, n_classes: int) -> Logits:
    """The minimum; NaN where it is not found. A class that no row shows has no probability."""
    dtype = features.dtype
    hot = jax.nn.one_hot(codes, n_classes, dtype=dtype)
    share = jnp.mean(hot, axis=0)
    if n_classes == 2:
        hot, share = hot[:, 1:], share[1:]
        is_known = (share > 0) & (share < 1)
        # Even odds stand for one class alone, which no finite intercept fits.
        hot = jnp.where(is_known[None, :], hot, 0.5)
        never = jnp.where(share > 0, jnp.inf, -jnp.inf).astype(dtype)
    else:
        is_known, never = share > 0, jnp.full_like(share, -jnp.inf)
    # The intercept takes what the means are: without them it has a direction of its own.
    means = jnp.mean(features, axis=0, keepdims=True)
    found = _minimum(features - means, hot)
    weights = jnp.where(is_known[None, :], found.weights, 0.0)
    intercept = found.intercept - (means @ weights)[0]
    return Logits(weights, jnp.where(is_known, intercept, never))


@jax.custom_jvp
def _minimum(features: Array, hot: Array) -> Logits:
    frame = _frame_of(features)
    at, logits = _newton(frame, hot)
    if frame.vectors is not None:
        return Logits(frame.vectors @ at.weights, at.intercept)
    return Logits(-features.T @ (_probabilities(logits, hot) - hot) / len(hot), at.intercept)


@_minimum.defjvp
def _minimum_jvp(primals, tangents):
    """The implicit function: targets have no derivative."""
    features, hot = primals
    at = _minimum(features, hot)

    def slope_of(features: Array) -> Logits:
        missed = _probabilities(features @ at.weights + at.intercept[None], hot) - hot
        return _with_penalty(features.T @ missed / len(hot), jnp.sum(missed, axis=0), at, len(hot))

    change = jax.jvp(slope_of, (features,), (tangents[0],))[1]
    p = _probabilities(features @ at.weights + at.intercept[None], hot)

    def by_cg(product, right: Logits) -> Logits:
        tolerance = float(jnp.finfo(features.dtype).eps) ** 0.75
        return cg(product, right, tol=tolerance, maxiter=10 * _OF_CG)[0]

    # `cg` alone cannot be transposed where its right side is a tangent.
    moved = jax.lax.custom_linear_solve(
        partial(_curvature, features, p), change, by_cg, symmetric=True
    )
    return at, jax.tree.map(jnp.negative, moved)


def _probabilities(logits: Array, hot: Array) -> Array:
    """Of each column. A class that no row shows is left out."""
    if hot.shape[1] > 1:
        logits = jnp.where(jnp.any(hot > 0, axis=0, keepdims=True), logits, _NEVER)
    return jnp.exp(log_probabilities(logits))[:, -logits.shape[1] :]


def _with_penalty(weights: Array, intercept: Array, at: Logits, n: int) -> Logits:
    """A slope or a curvature, with what the penalty adds to it.

    What all intercepts share changes no probability, and is held at 0.
    """
    shared = jnp.mean(at.intercept) if len(at.intercept) > 1 else 0.0
    return Logits(weights + at.weights, intercept / n + shared)


def _curvature(rows: Array, p: Array, along: Logits) -> Logits:
    """The second derivative times a direction."""
    turned = p * (rows @ along.weights + along.intercept[None])
    turned = turned - p * jnp.sum(turned, axis=1, keepdims=True)
    weights = rows.T @ turned / len(rows)
    return _with_penalty(weights, jnp.sum(turned, axis=0), along, len(rows))


def _frame_of(features: Array) -> _Frame:
    n, m = features.shape
    if n <= m:
        strengths, vectors = jnp.linalg.eigh(features @ features.T)
        strengths = jnp.maximum(strengths, 0.0)
        return _Frame(vectors * jnp.sqrt(strengths)[None, :], strengths, None)
    strengths, vectors = jnp.linalg.eigh(features.T @ features)
    return _Frame(features @ vectors, jnp.maximum(strengths, 0.0), vectors)


class _State(NamedTuple):
    at: Logits
    value: Array
    moved: Array
    """The largest change of a logit in the last step."""
    steps: Array


def _newton(frame: _Frame, hot: Array) -> tuple[Logits, Array]:
    """The minimum in the frame, and logits of the rows; NaN where it has not converged."""
    rows, strengths, _ = frame
    (n, r), c, dtype = rows.shape, hot.shape[1], rows.dtype
    eps = float(jnp.finfo(dtype).eps)
    unseen = jnp.zeros((1, c), bool) if c == 1 else ~jnp.any(hot > 0, axis=0, keepdims=True)
    seen = jnp.concatenate([1 - hot, hot], axis=1) if c == 1 else hot

    def logits_of(at: Logits) -> Array:
        return rows @ at.weights + at.intercept[None]

    def value_of(at: Logits) -> Array:
        log_p = log_probabilities(jnp.where(unseen, _NEVER, logits_of(at)))
        return jnp.sum(at.weights**2) / 2 - jnp.sum(seen * log_p) / n

    def slope_of(at: Logits, p: Array) -> Logits:
        return _with_penalty(rows.T @ (p - hot) / n, jnp.sum(p - hot, axis=0), at, n)

    def step(state: _State) -> _State:
        at = state.at
        p = _probabilities(logits_of(at), hot)
        slope = slope_of(at, p)
        spread = jnp.mean(p * (1 - p), axis=0) + eps

        def precondition(of: Logits) -> Logits:
            scale = 1 + strengths[:, None] * spread[None, :] / n
            return Logits(of.weights / scale, of.intercept / spread)

        along = cg(
            partial(_curvature, rows, p),
            slope,
            tol=1e-3 * eps**0.25,
            maxiter=_OF_CG,
            M=precondition,
        )[0]
        steepness = sum(jnp.sum(g * a) for g, a in zip(slope, along, strict=True))

        def moved_by(share: Array) -> Logits:
            return jax.tree.map(lambda x, a: x - share * a, at, along)

        def too_far(case: tuple[Array, Array]) -> Array:
            share, count = case
            # Of the last steps nothing but rounding is seen in the value.
            allowed = state.value - 1e-4 * share * steepness + 100 * eps * jnp.abs(state.value)
            return (count < _HALVINGS) & ~(value_of(moved_by(share)) <= allowed)

        share, _ = jax.lax.while_loop(
            too_far, lambda case: (case[0] / 2, case[1] + 1), (jnp.ones((), dtype), jnp.asarray(0))
        )
        to = moved_by(share)
        moved = jnp.max(jnp.abs(share * logits_of(along)))
        return _State(to, value_of(to), moved, state.steps + 1)

    def unfinished(state: _State) -> Array:
        # A step that is this small leaves its square to the next.
        return (state.steps < _STEPS) & ~(state.moved < 0.1 * eps**0.5) & jnp.isfinite(state.value)

    start = Logits(jnp.zeros((r, c), dtype), jnp.zeros(c, dtype))
    state = _State(start, value_of(start), jnp.asarray(jnp.inf, dtype), jnp.asarray(0))
    end = jax.lax.while_loop(unfinished, step, state)
    logits = logits_of(end.at)
    slope = slope_of(end.at, _probabilities(logits, hot)).weights
    # A penalty that is lost in rounding leaves a slope beside which weights are none.
    small = jnp.max(jnp.abs(slope)) <= eps**0.25 * jnp.max(jnp.abs(end.at.weights)) + eps**0.5
    good = (end.moved < eps**0.25) & small
    return jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), (end.at, logits))
