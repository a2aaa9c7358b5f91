"""Factors of Wishart matrices, and traces of their resolvents, drawn without any data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray


def draw_numbers(
    key: PRNGKeyArray, degrees: Sequence[Array], shapes: Sequence[tuple[int, ...]], dtype
) -> tuple[list[Array], list[Array]]:
    """Chi-distributed numbers of these degrees of freedom, normal ones of these shapes.

    All of a kind come from one call, since each call is a program that takes long to compile. 0
    where there are no degrees of freedom left.
    """
    key_chi, key_normal = jr.split(key)
    return draw_chi(key_chi, degrees, dtype), draw_normal(key_normal, shapes, dtype)


def draw_chi(
    key: PRNGKeyArray, degrees: Sequence[Array], dtype, *, at_fixed_scores: bool = False
) -> list[Array]:
    """Chi-distributed numbers of these degrees of freedom, 0 where there are none left.

    - `at_fixed_scores`: derivatives in the degrees are those of the numbers as they are drawn, so
      that a descent over degrees sees the slopes of what it evaluates. By default they are those of
      quantiles, which are right in the mean.
    """
    together = jnp.concatenate([x.ravel().astype(dtype) for x in degrees])
    some = together > 0
    safe = jnp.where(some, together, 1.0)
    if at_fixed_scores:
        drawn = jr.chisquare(key, jax.lax.stop_gradient(safe), dtype=dtype)
        squared = _moving_with_degrees(drawn, safe)
    else:
        squared = jr.chisquare(key, safe, dtype=dtype)
    return _split(jnp.where(some, jnp.sqrt(squared), 0.0), [x.shape for x in degrees])


def draw_normal(key: PRNGKeyArray, shapes: Sequence[tuple[int, ...]], dtype) -> list[Array]:
    """Standard normal numbers of these shapes."""
    normal = jr.normal(key, (sum(math.prod(shape) for shape in shapes),), dtype)
    return _split(normal, shapes)


def _moving_with_degrees(squared: Array, degrees: Array) -> Array:
    """The same chi-squared numbers; they move with their degrees of freedom at fixed scores.

    Half of such a number is a (1 + x/√(9a))³, a = degrees/2 − 1/3, where x is nearly normal. JAX
    draws x, and keeps it while the degrees move a little, from two of them on.

    **Source.** Marsaglia and Tsang (2000).
    """
    fixed = jax.lax.stop_gradient(degrees)
    root = jnp.cbrt(squared / (fixed - 2 / 3))
    return squared + root**2 * (3 - root) / 2 * (degrees - fixed)


def _split(numbers: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    pieces = jnp.split(numbers, ends[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def bartlett_degrees(rows: int, samples: Array | float | int, dtype) -> Array:
    """Degrees of freedom of the diagonal of `bartlett`; rows = min(columns, samples)."""
    return jnp.asarray(samples, dtype) - jnp.arange(rows, dtype=dtype)


def bartlett(chi: Float[Array, " rows"], normal: Float[Array, "rows columns"]) -> Array:
    """Upper-trapezoidal R with RᵀR ~ Wishart(samples), from the numbers of `bartlett_degrees`.

    R is the triangular factor of samples × columns standard normal numbers, diagonal positive.

    **Source.** Bartlett (1933).
    """
    place = jnp.arange(len(chi))
    return jnp.triu(normal, 1).at[place, place].set(chi)


class BidiagonalBlocks(NamedTuple):
    """A block lower-bidiagonal matrix.

    `diagonal` blocks in place, `below` each the one under it.
    """

    diagonal: Float[Array, "blocks k k"]
    below: Float[Array, "blocks_less_1 k k"]


def blocks_degrees(d: int, n: int, k: int, dtype) -> list[Array]:
    """Degrees of freedom of the diagonals of `normal_blocks`."""
    start, place = _starts(d, k), jnp.arange(k)[None, :]
    return [(n - start - place).astype(dtype), (d - start[1:] - place).astype(dtype)]


def normal_blocks(
    chi: Sequence[Array], normal: Float[Array, "twice_blocks_less_1 k k"], d: int, n: int
) -> BidiagonalBlocks:
    """B of d rows with B Bᵀ distributed as Z Zᵀ, Z a d × n matrix of standard normal numbers.

    Rotating columns so that the first k rows of Z become lower triangular leaves the rest normal;
    rotating rows k + 1, … so that the first k of their columns become upper triangular leaves the
    rest normal, and so on: nothing but triangles remain. B Bᵀ equals Z Zᵀ up to a rotation of rows
    beyond the first k, which must not matter to the caller. Rows beyond d are zero.

    - `chi`: of `blocks_degrees`. `normal`: standard normal numbers, 2 ceil(d/k) − 1 blocks.

    **Source.** Block form of the bidiagonal model of Dumitriu and Edelman (2002): docs/theory.md,
    "Simulation".
    """
    k = normal.shape[-1]
    start, place = _starts(d, k), jnp.arange(k)
    count = len(start)
    diagonal = jnp.tril(normal[:count], -1).at[:, place, place].set(chi[0])
    below = jnp.triu(normal[count:], 1).at[:, place, place].set(chi[1])
    row_exists, column_exists = start + place[None, :] < d, start + place[None, :] < n
    exists = row_exists[:, :, None] & column_exists[:, None, :]
    reaches = row_exists[1:, :, None] & column_exists[:-1, None, :]
    return BidiagonalBlocks(jnp.where(exists, diagonal, 0.0), jnp.where(reaches, below, 0.0))


def _starts(d: int, k: int) -> Array:
    return k * jnp.arange(-(-d // k))[:, None]


class TraceDraws(NamedTuple):
    """Of W ~ Wishart_q(n), one entry a penalty; c times the identity is added to W."""

    noise: Array
    """tr W(W + c)⁻² = T − c tr (W + c)⁻², with T = tr (W + c)⁻¹."""
    kept: Array
    """c² tr (W + c)⁻²."""
    kept_squared: Array
    """c² T²."""


def trace_draws(
    key: PRNGKeyArray,
    q: int | Array,
    n: Array,
    penalties: Float[Array, " l"],
    at_most: int | None = None,
) -> TraceDraws:
    """Traces of (W + c)⁻¹ and its square for each c of `penalties`, W ~ Wishart_q(n).

    Either c > 0 or n > q.

    W is drawn as BᵀB, B bidiagonal with chi-distributed entries. The pivots of the factors of W +
    c, and their derivatives in c, follow from the stationary qd recursion: sums of positive terms,
    so that no digit is lost at any c. q steps, O(q) random numbers, no eigenvalue.

    - `at_most`: makes as many steps instead, so that one program serves every q up to there.

    **Source.** Dumitriu and Edelman (2002) for the model; the recursion: docs/theory.md,
    "Simulation".
    """
    dtype = penalties.dtype
    steps = q if at_most is None else at_most
    assert isinstance(steps, int)
    n, q = n.astype(dtype), jnp.asarray(q, dtype)
    # With n < q there are q − n zero eigenvalues, and the others are those of rows and columns
    # exchanged.
    low, high = jnp.minimum(q, n), jnp.maximum(q, n)
    place = jnp.arange(steps, dtype=dtype)
    exists, follows = place < low, place < low - 1
    # First q degrees of freedom of the diagonal, then q of what is beside it.
    both = jnp.arange(2 * steps, dtype=dtype)
    beside = both - q
    degrees = jnp.where(beside < 0, high - both, low - 1 - beside)
    left = jnp.where(beside < 0, both < low, beside < low - 1)
    drawn = jr.chisquare(key, jnp.where(left, degrees, 1.0), dtype=dtype)
    diagonal, off = drawn[:steps], jax.lax.dynamic_slice(drawn, (q.astype(int),), (steps,))
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
