"""Derivatives of both stages: forward and reverse, against central differences of the oracles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.regressions import (
    INF,
    befs_oracle,
    central_difference,
    encode_fitted,
    encode_oracle,
    orthonormal,
    task_data,
)


def degenerate_brain_data(rng, n, d, p, ridge, strengths):
    """Inputs and recordings whose regression has exactly these singular values in the fit.

    With XᵀX + nρ I = L Lᵀ the fit L⁻¹XᵀR is given; R = X(XᵀX)⁻¹L times it, and any residual
    that the inputs do not explain.
    """
    inputs = rng.normal(size=(n, d))
    lower = np.linalg.cholesky(inputs.T @ inputs + n * ridge * np.eye(d))
    rank = len(strengths)
    fit = (orthonormal(rng, d, rank) * strengths) @ orthonormal(rng, p, rank).T
    explained = inputs @ np.linalg.solve(inputs.T @ inputs, lower @ fit)
    noise = rng.normal(size=(n, p))
    return inputs, explained + noise - inputs @ np.linalg.lstsq(inputs, noise, rcond=None)[0]


SINGULAR_VALUES = {
    "distinct": [5.0, 4.0, 2.5, 1.0, 0.5],
    "repeated among the kept": [4.0, 4.0, 2.5, 1.0, 0.5],
    "repeated among the dropped": [5.0, 4.0, 1.0, 1.0, 1.0],
    "repeated in both": [4.0, 4.0, 1.0, 1.0, 1.0],
}


@pytest.mark.parametrize("strengths", SINGULAR_VALUES.values(), ids=SINGULAR_VALUES)
@pytest.mark.parametrize(("p", "ridge"), [(5, 0.0), (5, 0.3), (11, 0.0), (11, 0.3)])
def test_derivative_of_encode_is_that_of_its_projector(strengths, p, ridge):
    rng = np.random.default_rng(6)
    n, d = 20, 7
    inputs, recordings = degenerate_brain_data(rng, n, d, p, ridge, strengths)
    seen = np.linalg.svd(encode_fitted(inputs, recordings, ridge), compute_uv=False)[:5]
    np.testing.assert_allclose(seen, strengths, rtol=1e-12)

    # A ridge of 0 is the end of its range: its central difference does not exist.
    to_ridge = 1.0 if ridge else 0.0
    to_inputs, to_recordings = rng.normal(size=(n, d)), rng.normal(size=(n, p))
    expected = central_difference(
        lambda h: encode_oracle(
            inputs + h * to_inputs, recordings + h * to_recordings, 2, ridge + h * to_ridge
        )
    )
    point = jnp.asarray(inputs), jnp.asarray(recordings), jnp.asarray(ridge)
    tangent = jnp.asarray(to_inputs), jnp.asarray(to_recordings), jnp.asarray(to_ridge)
    weights = jnp.asarray(rng.normal(size=(d, d)))
    moved = pushed_projector(point, tangent)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-7)
    assert np.max(np.abs(expected)) > 1e-2
    along = sum(
        np.sum(gradient * change)
        for gradient, change in zip(pulled_projector(point, weights), tangent, strict=True)
    )
    np.testing.assert_allclose(along, np.sum(weights * expected), rtol=0, atol=1e-6)


def learned_projector(inputs, recordings, ridge):
    basis = jb.encode(inputs, recordings, 2, ridge)
    return basis @ basis.T


@jax.jit
def pushed_projector(point, tangent):
    return jax.jvp(learned_projector, point, tangent)[1]


@jax.jit
def pulled_projector(point, weights):
    return jax.vjp(learned_projector, *point)[1](weights)


@pytest.mark.parametrize("n", [20, 6, 5])
@pytest.mark.parametrize(
    ("penalty", "inside_penalty"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.2), (0.5, INF), (INF, 0.2)]
)
def test_derivative_of_befs_in_every_argument(n, penalty, inside_penalty):
    """Against central differences of the oracle; the basis moves as a span."""
    if n < 8 and penalty == 0:
        penalty = 1e-2
    rng = np.random.default_rng(7)
    inputs, targets, basis = task_data(8, n, 8, 3, 2)
    directions = [rng.normal(size=a.shape) for a in (inputs, targets, basis)]
    # Penalties of 0 and infinity are ends of their range.
    for value in (penalty, inside_penalty):
        directions.append(np.asarray(0.3 * value if 0 < value < INF else 0.0))

    point = [np.asarray(value) for value in (inputs, targets, basis, penalty, inside_penalty)]

    def moved_oracle(h):
        moved = [
            value + h * change if np.any(change) else value
            for value, change in zip(point, directions, strict=True)
        ]
        moved[2] = np.linalg.qr(moved[2])[0]
        return befs_oracle(*moved)

    expected = central_difference(moved_oracle)
    primal = tuple(jnp.asarray(value) for value in point)
    tangent = tuple(jnp.asarray(change) for change in directions)
    np.testing.assert_allclose(pushed_befs(primal, tangent), expected, rtol=0, atol=1e-7)
    assert np.max(np.abs(expected)) > 1e-2
    weights = jnp.asarray(rng.normal(size=expected.shape))
    gradients = pulled_befs(primal, weights)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    along = sum(np.sum(g * t) for g, t in zip(gradients, tangent, strict=True))
    np.testing.assert_allclose(along, np.sum(weights * expected), rtol=0, atol=1e-6)


def befs_of_span(inputs, targets, directions, penalty, inside_penalty):
    return jb.befs(inputs, targets, jnp.linalg.qr(directions)[0], penalty, inside_penalty)


@jax.jit
def pushed_befs(point, tangent):
    return jax.jvp(befs_of_span, point, tangent)[1]


@jax.jit
def pulled_befs(point, weights):
    return jax.vjp(befs_of_span, *point)[1](weights)


def test_derivative_at_the_ends_of_the_penalty():
    """At 0 the weights leave least squares by −(XᵀX/n)⁻¹K̂β; at infinity they move no more."""
    inputs, targets, basis = task_data(9, 20, 8, 3)
    slope = jax.jit(jax.jacfwd(lambda c: jb.befs(inputs, targets, basis, c)))
    least_squares = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    outside = least_squares - basis @ (basis.T @ least_squares)
    expected = -np.linalg.solve(inputs.T @ inputs / 20, outside)
    np.testing.assert_allclose(slope(0.0), expected, rtol=1e-10)
    assert not np.any(slope(INF))
    assert np.any(slope(1e6))


@pytest.mark.parametrize("n", [20, 6])
def test_derivative_of_the_path_in_penalties_and_targets(n):
    inputs, targets, basis = task_data(10, n, 8, 3, 2)
    rng = np.random.default_rng(11)
    penalties = np.array([0.05, 0.5, 4.0])
    to_targets, to_penalties = rng.normal(size=targets.shape), 0.3 * penalties
    expected = central_difference(
        lambda h: np.stack(
            [
                befs_oracle(inputs, targets + h * to_targets, basis, penalty, 0.1)
                for penalty in penalties + h * to_penalties
            ]
        )
    )

    def path(targets, penalties):
        return jb.befs_path(inputs, targets, basis, penalties, 0.1)

    point, tangent = (jnp.asarray(targets), jnp.asarray(penalties)), (to_targets, to_penalties)
    moved = jax.jit(lambda: jax.jvp(path, point, tangent)[1])()
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-7)
    weights = rng.normal(size=expected.shape)
    gradients = jax.jit(jax.grad(lambda *a: jnp.sum(weights * path(*a)), argnums=(0, 1)))(*point)
    along = sum(np.sum(g * t) for g, t in zip(gradients, tangent, strict=True))
    np.testing.assert_allclose(along, np.sum(weights * expected), rtol=0, atol=1e-6)
