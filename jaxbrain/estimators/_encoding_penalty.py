"""The penalty of the encoding stage, chosen on the recorded rows from one factorisation of them.

With the hat matrix H of a penalty nλ that stays fixed, and the mean in it, rows f that are left out
are missed by (1 − H)_ff⁻¹ times what is left of them: no refitting for any penalty or fold.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import map_factorisations, power_of_two
from .folds import Split

# Of the summed strengths of the inputs, in decades: below is rounding, above the shape is fixed.
_LEAST, _MOST = {8: -10.0, 4: -5.0}, 1.0
_STEPS_A_DECADE = 4
_GOLDEN = float(np.sqrt(5.0) - 1) / 2
_HALVINGS = 24


@jax.jit
def chosen_penalty(
    inputs: Float[Array, "n d"], recordings: Float[Array, "n p"], splits: Split | None
) -> Float[Array, ""]:
    """The penalty a sample with the least left-out squared error, all channels summed.

    Rows are left out one by one, or as the splits say. It is a constant to derivatives.
    """
    inputs, recordings = jax.lax.stop_gradient((inputs, recordings))
    n = len(inputs)
    unit = power_of_two(inputs)
    x, r = inputs / unit, recordings / power_of_two(recordings)
    x, r = x - jnp.mean(x, axis=0, keepdims=True), r - jnp.mean(r, axis=0, keepdims=True)
    if r.shape[1] > n:
        # Squared errors depend on R Rᵀ alone.
        r = jnp.linalg.qr(r.T, mode="r").T
    error, size = _left_out(x, r, splits)
    decades = np.arange(_LEAST[x.dtype.itemsize], _MOST, 1 / _STEPS_A_DECADE)
    grid = jnp.log(size) + jnp.asarray(np.log(10.0) * decades, x.dtype)
    errors = jax.lax.map(error, grid)
    lowest = jnp.argmin(jnp.where(jnp.isnan(errors), jnp.inf, errors))
    total = _golden_section(
        error, grid[jnp.maximum(lowest - 1, 0)], grid[jnp.minimum(lowest + 1, len(grid) - 1)]
    )
    # Two steps: the square of a unit may be no number.
    return jnp.exp(total) / n * unit * unit


def _left_out(x: Array, r: Array, splits: Split | None) -> tuple[Callable[[Array], Array], Array]:
    """The squared error of left-out rows as a function of log nλ, and the strength of the rows.

    1 − H is `kept` + modes · diag(left) · modesᵀ, less 1/n for the mean.
    """
    n, d = x.shape
    on_rows = n <= d + 1
    if on_rows:
        strengths, modes = jnp.linalg.eigh(x @ x.T)
        kept = 0.0
    else:
        strengths, vectors = jnp.linalg.eigh(x.T @ x)
        modes, kept = x @ vectors, 1.0
    strengths = jnp.maximum(strengths, 0.0)
    amplitudes = modes.T @ r

    def error(log_total: Array) -> Array:
        total = jnp.exp(log_total)
        left = (total if on_rows else -1.0) / (strengths + total)
        residual = kept * r + modes @ (left[:, None] * amplitudes)
        if splits is None:
            freedom = kept - 1 / n + modes**2 @ left
            return jnp.sum((residual / freedom[:, None]) ** 2)

        def one(case: tuple[Array, Array]) -> Array:
            judged, counts = case
            seen = counts[:, None] * modes[judged]
            own = jnp.diag(jnp.where(counts > 0, kept, 1.0))
            block = own - counts[:, None] * counts[None, :] / n + (seen * left[None, :]) @ seen.T
            return jnp.sum(jnp.linalg.solve(block, counts[:, None] * residual[judged]) ** 2)

        folds = splits.judged, splits.counts.astype(x.dtype)
        return jnp.sum(map_factorisations(one, folds, len(splits.judged)))

    return error, jnp.maximum(jnp.sum(strengths), jnp.finfo(x.dtype).tiny)


def _golden_section(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where the function is least between two ends, with one evaluation a step."""

    def within(low: Array, high: Array) -> tuple[Array, Array]:
        return high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)

    def narrow(_, state):
        low, high, (at_left, at_right) = state
        left, right = within(low, high)
        go_left = at_left < at_right
        low, high = jnp.where(go_left, low, left), jnp.where(go_left, right, high)
        left, right = within(low, high)
        new = function(jnp.where(go_left, left, right))
        at_left, at_right = (
            jnp.where(go_left, new, at_right),
            jnp.where(go_left, at_left, new),
        )
        return low, high, (at_left, at_right)

    # In one loop, so that the function is compiled once for both.
    begin = jax.lax.map(function, jnp.stack(within(low, high)))
    low, high, _ = jax.lax.fori_loop(0, _HALVINGS, narrow, (low, high, tuple(begin)))
    return (low + high) / 2
