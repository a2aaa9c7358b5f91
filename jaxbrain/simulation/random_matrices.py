"""Factors of Wishart matrices, and traces of their resolvents, drawn without any data."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray


def chi(key: PRNGKeyArray, degrees: Array) -> Array:
    """Chi-distributed numbers; 0 where there are no degrees of freedom left."""
    some = degrees > 0
    return jnp.where(some, jnp.sqrt(jr.chisquare(key, jnp.where(some, degrees, 1.0))), 0.0)


def bartlett(key: PRNGKeyArray, rows: int, columns: int, samples: Array | float) -> Array:
    """Upper-trapezoidal R, (rows, columns), with RᵀR ~ Wishart_columns(samples).

    `rows` must be min(columns, samples). R is the triangular factor of `samples` × `columns` standard normal
    numbers, with the diagonal made positive.

    **Source.** Bartlett (1933).
    """
    key_chi, key_normal = jr.split(key)
    dtype = jnp.asarray(samples, float).dtype
    diagonal = chi(key_chi, samples - jnp.arange(rows, dtype=dtype))
    above = jnp.triu(jr.normal(key_normal, (rows, columns), dtype), 1)
    return above.at[jnp.arange(rows), jnp.arange(rows)].set(diagonal)


class BidiagonalBlocks(NamedTuple):
    """A block lower-bidiagonal matrix: `diagonal` blocks in place, `below` each the one under it."""

    diagonal: Float[Array, "blocks k k"]
    below: Float[Array, "blocks_less_1 k k"]


def normal_blocks(key: PRNGKeyArray, d: int, n: int, k: int, dtype) -> BidiagonalBlocks:
    """B of d rows with B Bᵀ distributed as Z Zᵀ, Z a d × n matrix of standard normal numbers.

    Rotating columns so that the first k rows of Z become lower triangular leaves the rest normal;
    rotating rows k + 1, … so that the first k of their columns become upper triangular leaves the rest
    normal, and so on: nothing but triangles remain. B Bᵀ equals Z Zᵀ up to a rotation of rows beyond
    the first k, which must not matter to the caller. Rows beyond d are zero.

    **Source.** Block form of the bidiagonal model of Dumitriu and Edelman (2002): docs/theory.md,
    "Simulation".
    """
    count = -(-d // k)
    keys = jr.split(key, 4)
    place = jnp.arange(k)
    start = k * jnp.arange(count)[:, None]
    row_exists = start + place[None, :] < d
    column_exists = start + place[None, :] < n
    lower = jnp.tril(jr.normal(keys[0], (count, k, k), dtype), -1)
    on_diagonal = chi(keys[1], (n - start - place[None, :]).astype(dtype))
    diagonal = lower.at[:, place, place].set(on_diagonal)
    upper = jnp.triu(jr.normal(keys[2], (count - 1, k, k), dtype), 1)
    on_diagonal = chi(keys[3], (d - start[1:] - place[None, :]).astype(dtype))
    below = upper.at[:, place, place].set(on_diagonal)
    exists = row_exists[:, :, None] & column_exists[:, None, :]
    reaches = row_exists[1:, :, None] & column_exists[:-1, None, :]
    return BidiagonalBlocks(jnp.where(exists, diagonal, 0.0), jnp.where(reaches, below, 0.0))


class TraceDraws(NamedTuple):
    """Of W ~ Wishart_q(n), one entry a penalty; c times the identity is added to W."""

    noise: Array
    """tr W(W + c)⁻² = T − c tr (W + c)⁻², with T = tr (W + c)⁻¹."""
    kept: Array
    """c² tr (W + c)⁻²."""
    kept_squared: Array
    """c² T²."""


def trace_draws(
    key: PRNGKeyArray, q: int, n: Array, penalties: Float[Array, " l"]
) -> TraceDraws:
    """Traces of (W + c)⁻¹ and its square, W ~ Wishart_q(n), for each c of `penalties`, c > 0 or n > q.

    W is drawn as BᵀB, B bidiagonal with chi-distributed entries. The pivots of the factors of W + c, and
    their derivatives in c, follow from the stationary qd recursion: sums of positive terms, so that no
    digit is lost at any c. q steps, O(q) random numbers, no eigenvalue.

    **Source.** Dumitriu and Edelman (2002) for the model; the recursion: docs/theory.md, "Simulation".
    """
    key_diagonal, key_off = jr.split(key)
    dtype = penalties.dtype
    n = n.astype(dtype)
    # With n < q there are q − n zero eigenvalues, and the others are those of rows and columns exchanged.
    low, high = jnp.minimum(q, n), jnp.maximum(q, n)
    place = jnp.arange(q, dtype=dtype)
    exists = place < low
    follows = place < low - 1
    diagonal = jr.chisquare(key_diagonal, jnp.where(exists, high - place, 1.0))
    off = jr.chisquare(key_off, jnp.where(follows, low - 1 - place, 1.0))
    unlimited = jnp.isinf(penalties)
    c = jnp.where(unlimited, 1.0, penalties)

    def step(state, entry):
        pivot, slope, bend, trace, trace2 = state
        a, e, exists, follows = entry
        inverse = 1 / (pivot + a)
        gain = slope * inverse
        # Of log-pivots the first derivative is `gain`; `bend` is minus the second of the pivot.
        trace = trace + jnp.where(exists, gain, 0.0)
        trace2 = trace2 + jnp.where(exists, gain**2 + bend * inverse, 0.0)
        share = a * inverse
        next_bend = e * inverse * share * (bend + 2 * slope * gain)
        next_pivot, next_slope = c + e * (1 - share), 1 + e * gain * share
        state = (
            jnp.where(follows, next_pivot, pivot),
            jnp.where(follows, next_slope, slope),
            jnp.where(follows, next_bend, bend),
            trace,
            trace2,
        )
        return state, None

    zeros = jnp.zeros_like(c)
    start = (c, jnp.ones_like(c), zeros, zeros, zeros)
    (_, _, _, trace, trace2), _ = jax.lax.scan(step, start, (diagonal, off, exists, follows))
    void = q - low
    return TraceDraws(
        noise=jnp.where(unlimited, 0.0, jnp.maximum(trace - c * trace2, 0.0)),
        kept=jnp.where(unlimited, 1.0 * q, c**2 * trace2 + void),
        kept_squared=jnp.where(unlimited, 1.0 * q**2, (c * trace + void) ** 2),
    )
