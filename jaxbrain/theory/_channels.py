"""Encoding noise with that of directions estimated in channel space: which formula, and where."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..models.problem import TracedProblem
from ._many_directions import effective_noise

# Relative error of E m̂ that is left to the formula for few directions. Up to twice of it both
# formulas are blended, so that nothing jumps.
_LEFT = 1e-3
# Numbers of recordings solved together. Where directions are strong a tenth of the steps is enough.
_TOGETHER = 8


def channel_noise(problem: TracedProblem, numbers: Array, unread: Array) -> tuple[Array, Array]:
    """Noise s' = top/bottom of the latents that acts as estimated directions do, for each n_brain.

    Returns the pair (top, bottom), for each number spectra or matrices as the problem has them;
    s' = bottom⁻¹ top. Lost directions have bottom 0. Without known channels it is encoding noise.

    - `numbers`: numbers of recordings, shape (n,), each more than d + 1.
    - `unread`: those whose answer nobody will read, shape (n,). It is finite, and costs nothing.

    **Source.** Derived here, docs/theory.md, "The brain stage", (12) to (12d).
    """
    noise = problem.encoding_noise
    one = jnp.eye(len(noise), dtype=noise.dtype) if noise.ndim == 2 else jnp.ones_like(noise)
    if not problem.directions_are_estimated:
        shape = (*numbers.shape, *noise.shape)
        return jnp.broadcast_to(noise, shape), jnp.broadcast_to(one, shape)
    few, error = jax.vmap(partial(_few_directions, problem))(numbers)
    share = jnp.clip(error / _LEFT - 1, 0.0, 1.0)
    share = share**2 * (3 - 2 * share)
    quiet = (share == 0) | unread

    def solve(numbers):
        spare = -numbers.size % _TOGETHER if numbers.size > _TOGETHER else 0
        filled = jnp.pad(numbers, (0, spare), mode="edge"), jnp.pad(quiet, (0, spare), mode="edge")
        pairs = jax.lax.map(lambda x: effective_noise(problem, *x), filled, batch_size=_TOGETHER)
        return jax.tree.map(lambda x: x[: numbers.size], pairs)

    def skip(numbers):
        return few, jnp.broadcast_to(one, few.shape)

    # On a fine grid of quiet channels the equations for many would take most of the time.
    top, bottom = jax.lax.cond(jnp.all(quiet), skip, solve, numbers)
    lift = (slice(None),) + (None,) * noise.ndim
    share, quiet = share[lift], quiet[lift]
    mixed = bottom @ few if problem.is_matrix_form else bottom * few
    top = jnp.where(quiet, few, share * top + (1 - share) * mixed)
    return top, jnp.where(quiet, one, bottom)


def _few_directions(problem: TracedProblem, n: Array) -> tuple[Array, Array]:
    """s' by (12), for few and strong directions, and about how far E m̂ is off with it.

    Where it is not to be used s' is that without channels.
    """
    # With B = (n + dΣz)Γ, similar to G, and ε = d(p − k)σr⁴ B⁻²: Σ' − Σ = ε(1 − ε)⁻¹ (n/d + Σ).
    d, k = problem.input_dim, problem.latent_dim
    # Without spare channels or their noise nothing is added, but Σ may be 0, too.
    spread = jnp.asarray(d * (problem.recording_dim - k))
    noisy = spread * problem.recording_noise**2 > 0
    noise = jnp.where(noisy, problem.recording_noise, 1.0)
    if problem.is_matrix_form:
        one = jnp.eye(len(problem.gain), dtype=problem.gain.dtype)
        encoding = problem.latent_noise + noise * jnp.linalg.inv(problem.gain)
        strength = (n * one + d * problem.latent_noise) @ problem.gain / noise
        around = n / d * one + encoding
        confused = jnp.linalg.inv(strength @ strength)
        relative = spread * jnp.linalg.solve(encoding, confused @ around)
        size = jnp.sqrt(jnp.sum(relative * relative.T))
        eighth = jnp.linalg.matrix_power(relative / size, 8)
        powers = jnp.sum(eighth * eighth.T)
    else:
        encoding = problem.latent_noise + noise / problem.gain
        confused = (noise / (problem.gain * (n + d * problem.latent_noise))) ** 2
        relative = spread * confused * (n / d + encoding) / encoding
        size = jnp.sqrt(problem.trace(relative**2))
        powers = problem.trace((relative / size) ** 16)
    # The largest eigenvalue, nearly, from powers alone: they are cheap for matrices, too.
    largest = size * powers ** (1 / 16)
    error = jnp.where(noisy, (k / (2 * problem.outside_dim) + 0.005) * largest, 0.0)
    spread = jnp.where(error < 2 * _LEFT, spread, 0.0)
    if problem.is_matrix_form:
        added = jnp.linalg.solve(one - spread * confused, spread * confused @ around)
    else:
        added = spread * confused / (1 - spread * confused) * (n / d + encoding)
    return problem.encoding_noise + jnp.where(noisy, added, 0.0), error
