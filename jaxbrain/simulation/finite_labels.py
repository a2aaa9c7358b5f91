"""The error of a regression on n labels whose shrinkage is known by its moments."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._typing import AnyArray
from ._spectrum_table import Ratios, Table, read_table

_STEPS = 30
# A first correction of this share of the leading order or more says that the series does not hold.
_LARGEST_CORRECTION = 0.5


class Cells(NamedTuple):
    """One number of labels and one pair of penalties each."""

    labels: Float[Array, " c"]
    which: Array
    """Their ratio among `Ratios`."""
    unit: Float[Array, " c"]
    """The penalty that is the unit of the ratio, a sample."""


def risk_of_cells(table: Table, ratios: Ratios, cells: Cells, noise: Array) -> Float[Array, " c"]:
    """E ‖θ̂ − θ‖² of each cell; NaN where the labels leave no mean, or the series does not hold.

    What no penalty touches is regressed out exactly: the other directions then have so many labels
    less.

    **Source.** docs/theory.md, "Simulation".
    """
    free = table.free[cells.which]
    n = cells.labels - free
    some = n > 1.5
    n = jnp.where(some, n, 2.0)
    scale = cells.labels * cells.unit

    def moments(at: Array) -> Array:
        return read_table(table, ratios, cells.which, at)

    # x + Σ a − n rises with log x: Newton's method, within bounds that close in.
    def improve(_, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        at, low, high = state
        found, x = moments(at), scale * jnp.exp(at)
        height = x + found[:, 0] - n
        low, high = jnp.where(height < 0, at, low), jnp.where(height < 0, high, at)
        step = at - height / (x + found[:, 0] - found[:, 1])
        inside = (step > low) & (step < high)
        return jnp.where(inside, step, (low + high) / 2), low, high

    low, high = ratios.low[cells.which], ratios.high[cells.which]
    at, _, _ = jax.lax.fori_loop(0, _STEPS, improve, ((low + high) / 2, low, high))
    found = moments(at)
    # Σ a is known from the sum itself.
    x = jnp.minimum(scale * jnp.exp(at), n)
    leading, corrected = risk_of_moments(x, found.T, noise)
    holds = jnp.abs(corrected - leading) < _LARGEST_CORRECTION * leading
    risk = corrected + (noise + corrected) * free / (n - 1)
    return jnp.where(some & holds, risk, jnp.nan)


def risk_of_moments(x: AnyArray, moments: AnyArray, noise: AnyArray) -> tuple[Array, Array]:
    """The error at leading order, and with its first finite-size term.

    - `moments`: the seven of `Table`, themselves.

    **Source.** docs/theory.md, "Simulation".
    """
    m1, m2, m3, m4, b0, b1, b2 = moments
    omega = 1 / (x + m1 - m2)
    mu, nu, theta = omega * (m2 - m3), omega * (m3 - m4), omega * m2
    second, third = theta * mu - omega * m3, theta * nu - omega * m4
    leading = b0 * (1 + theta) + noise * theta
    constant = mu * (4 * second + theta) + 2 * second - 3 * third
    slope = -2 * (second + theta + mu * (1 + theta))
    bias = b0 * constant + b1 * slope + b2 * 3 * (1 + theta)
    variance = m2 * (3 * mu + 4 * mu**2 - 3 * nu) - (2 + 4 * mu) * m3 + 3 * m4
    return leading, leading + omega * (bias + noise * omega * variance)
