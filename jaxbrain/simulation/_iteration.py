"""Leading eigenspace of a large random matrix of which only a band is ever made."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .random_matrices import BidiagonalBlocks

# A residual this small, in units of the gap, moves ‖K̂β‖² by far less than draws differ.
_TOLERANCE = 1e-6
_MAX_ROUNDS = 60
_MAX_DEGREE = 40


class _State(NamedTuple):
    block: Float[Array, "blocks k b"]
    """Orthonormal columns, blocks of rows."""
    image: Float[Array, "blocks k b"]
    """S times the block."""
    values: Float[Array, " b"]
    """Ritz values, ascending."""
    residual: Array
    rounds: Array


def leading_block(
    signal: Float[Array, "k k"], noise: BidiagonalBlocks, edge: Array
) -> tuple[Float[Array, "k k"], Array]:
    """First k rows of the k leading eigenvectors of S = [T; 0][T; 0]ᵀ + B Bᵀ; are they settled?

    Subspace iteration with Chebyshev polynomials: everything below `edge`, and later below the
    smallest Ritz value, is damped. A few more vectors than wanted are carried along, for directions
    that are about to be lost in the noise. Settled means a residual below 1e-6 of the gap to what
    is left out.

    - `signal` T: acts on the first k coordinates.
    - `noise` B: blocks of k rows.
    - `edge`: where the spectrum of B Bᵀ ends, roughly.

    **Source.** Zhou, Saad, Tiago and Chelikowsky (2006) for the filter.
    """
    count, k, _ = noise.diagonal.shape
    dtype = signal.dtype
    extra = min(16 + k // 16, k)
    power = signal @ signal.T

    def product(block: Array) -> Array:
        inner = _batched(noise.diagonal.swapaxes(1, 2), block)
        inner = inner.at[:-1].add(_batched(noise.below.swapaxes(1, 2), block[1:]))
        outer = _batched(noise.diagonal, inner)
        outer = outer.at[1:].add(_batched(noise.below, inner[:-1]))
        return outer.at[0].add(power @ block[0])

    start = jnp.zeros((count, k, k + extra), dtype)
    start = start.at[0, :, extra:].set(jnp.eye(k, dtype=dtype))
    start = start.at[1, :extra, :extra].set(jnp.eye(extra, dtype=dtype))
    block, settled = _iterated(product, start, extra, edge)
    return block[0, :, extra:], settled


def leading_vectors(
    matrix: Float[Array, "d d"], start: Float[Array, "d k"], edge: Array
) -> tuple[Float[Array, "d k"], Array]:
    """The k leading eigenvectors of a matrix that is made; are they settled? As `leading_block`.

    - `start`: where they point, roughly; any basis of full rank.
    - `edge`: where the spectrum of what is not wanted ends, roughly.
    """
    d, k = start.shape
    extra = min(16 + k // 16, k, d - k)
    further = jnp.eye(d, extra, dtype=start.dtype)
    block = jnp.linalg.qr(jnp.concatenate([further, start], axis=1))[0]
    found, settled = _iterated(lambda block: matrix[None] @ block, block[None], extra, edge)
    return found[0, :, extra:], settled


def _iterated(
    product: Callable[[Array], Array], start: Array, extra: int, edge: Array
) -> tuple[Array, Array]:
    """A block whose columns but the first `extra` are leading eigenvectors; are they settled?"""
    dtype = start.dtype

    def ritz(block: Array, rounds: Array) -> _State:
        block = _orthonormal(_orthonormal(block))
        image = product(block)
        values, vectors = jnp.linalg.eigh(_inner(block, image))
        block, image = block @ vectors, image @ vectors
        kept = slice(extra, None)
        off = image[..., kept] - block[..., kept] * values[None, None, kept]
        gap = values[extra] - values[extra - 1]
        residual = jnp.sqrt(jnp.max(jnp.sum(off**2, axis=(0, 1)))) / gap
        return _State(block, image, values, residual, rounds)

    def improve(state: _State) -> _State:
        top = jnp.where(state.rounds == 0, jnp.minimum(edge, state.values[extra]), state.values[0])
        half = top / 2
        # More than this and the strongest direction would drown the weakest beyond rounding.
        growth = jnp.log(_growth(state.values[-1] / half - 1))
        growth -= jnp.log(_growth(jnp.maximum(state.values[extra] / half - 1, 1.0)))
        digits = -0.4 * jnp.log(jnp.finfo(dtype).eps)
        degree = jnp.clip(digits / jnp.maximum(growth, 1e-3), 1, _MAX_DEGREE).astype(int)

        def raise_degree(_, pair):
            before, now = pair
            return now, 2 * (product(now) / half - now) - before

        first = state.image / half - state.block
        _, block = jax.lax.fori_loop(1, degree, raise_degree, (state.block, first))
        block = block / jnp.sqrt(jnp.sum(block**2, axis=(0, 1), keepdims=True))
        return ritz(block, state.rounds + 1)

    def unfinished(state: _State) -> Array:
        return (state.residual > _TOLERANCE) & (state.rounds < _MAX_ROUNDS)

    state = jax.lax.while_loop(unfinished, improve, ritz(start, jnp.zeros((), int)))
    return state.block, state.residual <= _TOLERANCE


def _growth(x: Array) -> Array:
    """By how much a Chebyshev polynomial grows at x >= 1 with one degree more."""
    return x + jnp.sqrt(jnp.maximum(x**2 - 1, 0.0))


def _batched(left: Array, right: Array) -> Array:
    return left @ right


def _inner(left: Array, right: Array) -> Array:
    return jnp.einsum("jki,jkl->il", left, right)


def _orthonormal(block: Array) -> Array:
    """Orthonormal columns by Cholesky, which is good once the columns are nearly so."""
    gram = _inner(block, block)
    size = gram.shape[0]
    lift = 10 * size * jnp.finfo(gram.dtype).eps * jnp.trace(gram) / size
    lower = jnp.linalg.cholesky(gram + lift * jnp.eye(size, dtype=gram.dtype))
    count, k, _ = block.shape
    rows = block.reshape(count * k, size)
    return jax.scipy.linalg.solve_triangular(lower, rows.T, lower=True).T.reshape(block.shape)
