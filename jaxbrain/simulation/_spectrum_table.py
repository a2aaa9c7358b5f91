"""The task stage given what was learned: moments of its shrinkage, for all penalties of a ratio.

With penalties C the labels of n samples shrink a direction by a = x/(C + x), where x solves
x + Σ a = n. Two penalties of one ratio share their directions: all that n and their size change is
where x/C lies. So a table over x/C serves every number of labels and every pair of that ratio.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Functions of the spectrum are polynomials in the logarithm of a variance, of so many terms up to a
# width of five decades, and beyond; those of the table in the logarithm of x/C. Risks are then good
# to 1e-6, over nine decades too. Variances of less than 1e-13 of the largest are nothing to anyone.
_SPECTRUM_NODES, _NODES_OF_WIDE = 48, 128
_WIDE, _LEAST = 11.5, 30.0
TABLE_NODES = 40
_TINY = 1e-280


class Spectrum(NamedTuple):
    """Variances of the inputs, and a few that stand for all of them."""

    nodes: Float[Array, " j"]
    cardinal: Float[Array, "d j"]
    """Polynomials that are 1 at a node and 0 at all others, at the logarithms of the variances."""


class Ratios(NamedTuple):
    """Pairs of penalties of one ratio: which directions, and where the table runs."""

    is_soft: Float[Array, " f"]
    """1, or 0 where the penalty outside is infinite: then the inside one is the unit."""
    inside: Float[Array, " f"]
    """The second penalty in that unit, from 0 to infinity."""
    low: Float[Array, " f"]
    """Where log(x/n) in that unit starts."""
    high: Float[Array, " f"]


class Table(NamedTuple):
    """Logarithms of seven moments for each ratio, at the nodes; what is free of any penalty."""

    logarithms: Float[Array, "f nodes 7"]
    """Σ a, Σ a², Σ a³, Σ a⁴ and Σ θ²(1 − a)²aʲ, j = 0, 1, 2, over the penalised directions."""
    free: Float[Array, " f"]
    """How many directions no penalty touches."""


def spectrum_of(variances: Float[Array, " d"]) -> Spectrum:
    """Nodes between the least and the largest variance."""
    logs = np.log(np.asarray(variances, float))
    logs = np.maximum(logs, logs.max() - _LEAST)
    middle = (logs.max() + logs.min()) / 2
    width = 1.02 * (logs.max() - logs.min()) / 2 + 0.25
    count = _SPECTRUM_NODES if logs.max() - logs.min() < _WIDE else _NODES_OF_WIDE
    angles = np.pi * (np.arange(count) + 0.5) / count
    at = np.arccos((logs - middle) / width)
    degrees = np.arange(count)
    terms = np.cos(at[:, None] * degrees) @ np.cos(degrees[:, None] * angles)
    cardinal = (2 * terms - 1) / count
    dtype = variances.dtype
    return Spectrum(
        jnp.asarray(np.exp(middle + width * np.cos(angles)), dtype), jnp.asarray(cardinal, dtype)
    )


def table_of(
    directions: Float[Array, "d r"],
    variances: Float[Array, " d"],
    weights: Float[Array, " d"],
    spectrum: Spectrum,
    ratios: Ratios,
    is_graded: bool,
) -> Table:
    """Moments at all nodes, from one pass over the directions.

    Shrinkage is A = α + U K Uᵀ, α diagonal and U of r columns: penalties differ from round ones in
    as many directions. Powers of it need r × r matrices alone.

    **Source.** docs/theory.md, "Simulation".
    """
    r = directions.shape[1]
    dtype = directions.dtype
    root = jnp.sqrt(variances)
    grams = jax.lax.map(
        lambda column: (directions * column[:, None]).T @ directions, spectrum.cardinal.T
    ).reshape(-1, r * r)
    eye = jnp.eye(r, dtype=dtype)

    def moments(node: tuple[Array, Array, Array]) -> Array:
        v, is_soft, inside = node
        q, share = v * is_soft, jnp.where(jnp.isinf(inside), 0.0, v / (v + inside))
        soft = 1 / (1 + q * spectrum.nodes)
        alpha = q * spectrum.nodes * soft
        if is_graded:
            kept, lift, factor = share * spectrum.nodes * soft, 1 - share, share
        else:
            kept = (share * spectrum.nodes + 1 - share) * soft
            lift, factor = 0.0, share - (1 - share) * q
        seen = spectrum.nodes * soft**2
        weighted = jnp.stack([kept, seen, seen * alpha, seen * alpha**2, seen * alpha**3])
        system, *parts = (weighted @ grams).reshape(5, r, r)
        lower = jnp.linalg.cholesky(system + lift * eye, symmetrize_input=False)

        def through(right: Array) -> Array:
            return factor * jax.scipy.linalg.cho_solve((lower, True), right)

        y0, y1, y2, y3 = jnp.split(through(jnp.concatenate(parts, axis=1)), 4, axis=1)
        square = y0 @ y0

        def trace(left: Array, right: Array) -> Array:
            return jnp.sum(left * right.T)

        soft_all = 1 / (1 + q * variances)
        a = q * variances * soft_all
        outer = soft_all * root

        def shrink(vector: Array) -> Array:
            inner = through(directions.T @ (outer * vector))
            return a * vector + outer * (directions @ inner)

        left_out = weights - shrink(weights)
        shrunk = shrink(left_out)
        return jnp.stack(
            [
                jnp.sum(a) + jnp.trace(y0),
                jnp.sum(a**2) + 2 * jnp.trace(y1) + trace(y0, y0),
                jnp.sum(a**3) + 3 * (jnp.trace(y2) + trace(y1, y0)) + trace(square, y0),
                jnp.sum(a**4)
                + 4 * (jnp.trace(y3) + trace(y2, y0) + trace(y1, square))
                + 2 * trace(y1, y1)
                + trace(square, square),
                left_out @ left_out,
                left_out @ shrunk,
                shrunk @ shrunk,
            ]
        )

    def of_ratio(ratio: tuple[Array, Array, Array, Array]) -> Array:
        is_soft, inside, low, high = ratio
        at = jnp.exp(low + (high - low) * (1 + _table_nodes(dtype)) / 2)
        same = jnp.broadcast_to(is_soft, at.shape), jnp.broadcast_to(inside, at.shape)
        return jax.lax.map(moments, (at, *same))

    found = jax.lax.map(of_ratio, tuple(ratios))
    free = jnp.where(ratios.inside == 0, 1.0 * r, 0.0).astype(dtype)
    found = found.at[..., :4].add(-free[:, None, None])
    return Table(jnp.log(jnp.maximum(found, _tiny(dtype))), free)


def read_table(
    table: Table, ratios: Ratios, which: Array, at: Float[Array, " cells"]
) -> Float[Array, "cells 7"]:
    """The moments of each cell, whose ratio is the `which`-th, at the logarithm of x/n.

    By the barycentric formula for Chebyshev nodes.
    """
    nodes = _table_nodes(at.dtype)
    low, high = ratios.low[which], ratios.high[which]
    place = jnp.clip(2 * (at - low) / (high - low) - 1, -1.0, 1.0)
    apart = place[:, None] - nodes[None, :]
    # At a node itself its own term is all there is.
    nearest = jnp.finfo(at.dtype).tiny ** 0.25
    apart = jnp.where(jnp.abs(apart) < nearest, nearest, apart)
    signs = np.where(np.arange(TABLE_NODES) % 2, -1.0, 1.0)
    sines = signs * np.sin(np.pi * (np.arange(TABLE_NODES) + 0.5) / TABLE_NODES)
    terms = jnp.asarray(sines, at.dtype)[None, :] / apart
    terms = terms / jnp.sum(terms, axis=1, keepdims=True)
    return jnp.exp(jnp.einsum("cn,cnm->cm", terms, table.logarithms[which]))


def _table_nodes(dtype) -> Array:
    angles = np.pi * (np.arange(TABLE_NODES) + 0.5) / TABLE_NODES
    return jnp.asarray(np.cos(angles), dtype)


def _tiny(dtype) -> float:
    return max(float(jnp.finfo(dtype).tiny), _TINY)
