"""The task stage under any penalty: test error from how far labels can move each direction.

Directions enter through sums of powers of a = x/(C + x) alone, over directions and over the task's
power: m_p and b_p. All are derivatives of the first ones in log x: docs/theory.md, "Inputs of any
covariance".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import implicit_minimum, implicit_root
from .learned_prior import Freedom

_NODES = 12
"""Points at which the equations of the brain stage are solved around a penalty."""

_REACH = 3.5
"""How far these points reach in log x/C. a is analytic within π, so that 1e-4 is left out."""

_SEARCHED = 6
_ROUNDS = 12
_GRID = 65


class Moments(NamedTuple):
    """Sums of the first four powers of a, over directions and over the power of the task."""

    directions: Float[Array, "4"]
    power: Float[Array, "4"]


def risk_of_moments(
    moments: Moments, total_power: Array, noise: Array, n_task: Array
) -> Float[Array, ""]:
    """Test error, with its first finite-size term; infinite where labels are too few for this."""
    m1, m2, m3, m4 = moments.directions
    b0, b1, b2, b3, b4 = total_power, *moments.power
    x = n_task - m1
    solvable = x > 0
    omega = 1 / (jnp.where(solvable, x, 1.0) + jnp.maximum(m1 - m2, 0.0))
    mu, nu, theta = omega * (m2 - m3), omega * (m3 - m4), omega * m2
    e2, e3 = theta * mu - omega * m3, theta * nu - omega * m4
    variance = m2 + omega * ((3 * mu + 4 * mu**2 - 3 * nu) * m2 - (2 + 4 * mu) * m3 + 3 * m4)
    # The bias is Σ θ²(1 − a)² times a quadratic in a.
    constant = 1 + theta + omega * (mu * (2 * e2 + theta) + 2 * mu * e2 + 2 * e2 - 3 * e3)
    linear = -omega * ((2 * e2 + theta) + theta + 2 * mu * (1 + theta))
    square = 3 * omega * (1 + theta)
    bias = constant * (b0 - 2 * b1 + b2) + linear * (b1 - 2 * b2 + b3)
    bias += square * (b2 - 2 * b3 + b4)
    return jnp.where(solvable, jnp.maximum(bias + noise * omega * variance, 0.0), jnp.inf)


class Patch(NamedTuple):
    """Moments as polynomials in the logarithm of z = x/C_out around one value of it."""

    middle: Array
    reach: float
    terms: Float[Array, "8 nodes"]

    def moments(self, log_z: Array) -> Moments:
        """The moments at a penalty within reach."""
        at = jnp.clip((log_z - self.middle) / self.reach, -1.0, 1.0)
        values = self.terms @ _polynomials(at, self.terms.shape[1])
        return Moments(values[:4], values[4:])


def _polynomials(at: Array, count: int) -> Array:
    """Chebyshev polynomials at one point, by recurrence: arccos has no derivative at the ends."""
    values = [jnp.ones_like(at), at]
    for _ in range(count - 2):
        values.append(2 * at * values[-1] - values[-2])
    return jnp.stack(values)


def _points(count: int) -> np.ndarray:
    return np.cos(np.pi * (np.arange(count) + 0.5) / count)[::-1]


def patch_of(
    freedoms: Callable[[Array], Freedom], middle: Array, reach: float, count: int
) -> Patch:
    """Solve at points around `middle`; `freedoms` maps ascending logarithms of z to both sums."""
    points = _points(count)
    found = freedoms(middle + reach * jnp.asarray(points, middle.dtype))
    basis = np.polynomial.chebyshev.chebvander(points, count - 1)
    to_terms = np.linalg.inv(basis)
    slope = np.stack(
        [np.polynomial.chebyshev.chebder(unit, 1) if count > 1 else unit for unit in np.eye(count)],
        axis=1,
    )
    slope = np.concatenate([slope, np.zeros((1, count))]) / reach
    to_terms, slope = (jnp.asarray(matrix, middle.dtype) for matrix in (to_terms, slope))
    rows = []
    for values in (found.directions, found.power):
        # da/d log x = a − a²: Σ a^(p+1) = Σ a^p − (1/p) d Σ a^p / d log x.
        power = to_terms @ values
        for exponent in range(1, 5):
            rows.append(power)
            power = power - slope @ power / exponent
    return Patch(middle, reach, jnp.stack(rows))


class Tuned(NamedTuple):
    """The task stage at one penalty: test error, and the outside penalty a sample."""

    risk: Array
    penalty: Array
    log_z: Array


def stage(
    freedoms: Callable[[Array], Freedom],
    total_power: Array,
    noise: Array,
    n_task: Array,
    penalty: Array | None,
    guess: Array,
    lowest: Array,
    highest: Array,
) -> Tuned:
    """Test error at a given outside penalty, or at the best one.

    `guess` is where the search begins, in the logarithm of z; `lowest` and `highest` are its ends,
    where directions are all held, and all let go.
    """
    target = None if penalty is None else jnp.log(penalty)

    def log_penalty(patch: Patch, log_z: Array) -> Array:
        x = n_task - patch.moments(log_z).directions[0]
        known = x > 0
        return jnp.where(known, jnp.log(jnp.where(known, x, 1.0) / n_task) - log_z, -jnp.inf)

    def offset(patch: Patch) -> Array:
        """Where on the patch the answer is, in units of its reach."""
        at = jnp.linspace(-1.0, 1.0, 17, dtype=patch.middle.dtype)
        log_z = patch.middle + patch.reach * at
        if target is None:
            risks = jax.vmap(
                lambda one: risk_of_moments(patch.moments(one), total_power, noise, n_task)
            )(log_z)
            return at[jnp.argmin(risks)]
        above = jax.vmap(lambda one: log_penalty(patch, one))(log_z) > target
        return at[jnp.clip(jnp.sum(above), 0, 16)]

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        _, moved, count = state
        return (count < _ROUNDS) & (moved > 0.6)

    def improve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        middle, _, count = state
        away = offset(patch_of(freedoms, middle, _REACH, _SEARCHED))
        moved = jnp.clip(middle + _REACH * away, lowest, highest)
        return moved, jnp.abs(moved - middle) / _REACH, count + 1

    begin = jnp.clip(guess, lowest, highest)
    infinite = jnp.full_like(begin, jnp.inf)
    middle, *_ = jax.lax.while_loop(
        unfinished, improve, jax.lax.stop_gradient((begin, infinite, jnp.zeros((), int)))
    )
    patch = patch_of(freedoms, middle, _REACH, _NODES)

    def risk_at(log_z: Array) -> Array:
        return risk_of_moments(patch.moments(log_z), total_power, noise, n_task)

    if target is None:
        grid = middle + _REACH * jnp.linspace(-1.0, 1.0, _GRID, dtype=middle.dtype)
        grid = jnp.clip(grid, lowest, highest)
        best, _ = implicit_minimum(risk_at, grid)
    else:
        best = _at_penalty(lambda log_z: log_penalty(patch, log_z) - target, middle)
    best = jnp.clip(best, lowest, highest)
    x = n_task - patch.moments(best).directions[0]
    used = x / (n_task * jnp.exp(best)) if penalty is None else penalty
    return Tuned(risk_at(best), used, best)


def _at_penalty(mismatch: Callable[[Array], Array], middle: Array) -> Array:
    """Where a falling function is 0, within reach of the middle."""

    def halve(_, bracket):
        low, high = bracket
        at = (low + high) / 2
        above = mismatch(at) > 0
        return jnp.where(above, at, low), jnp.where(above, high, at)

    ends = jax.lax.stop_gradient((middle - _REACH, middle + _REACH))
    low, high = jax.lax.fori_loop(0, 40, halve, ends)
    near = jax.lax.stop_gradient((low + high) / 2)
    # At an end of the search there is no root, and nothing to differentiate.
    at_end = jnp.minimum(near - ends[0], ends[1] - near) < 1e-6 * _REACH
    root = implicit_root(lambda at: jnp.where(at_end, at - near, mismatch(at)), near)
    return jnp.where(jnp.isfinite(root), root, near)


def ridge_freedom(variances: Array, power: Array, log_z: Array) -> Moments:
    """Moments of ridge regression, exactly: power is that of the task along each variance."""
    z = jnp.exp(log_z)
    learned = z * variances / (1 + z * variances)
    powers = learned[:, None] ** jnp.arange(1, 5, dtype=z.dtype)[None, :]
    return Moments(jnp.sum(powers, axis=0), power @ powers)


def ridge_stage(
    variances: Array, power: Array, noise: Array, n_task: Array, penalty: Array | None
) -> Tuned:
    """Ridge regression at a given penalty, or at its best one."""
    total = jnp.sum(power)
    fixed = jax.lax.stop_gradient(variances)
    low, high = -jnp.log(jnp.max(fixed)) - 16.0, -jnp.log(jnp.min(fixed)) + 16.0

    def risk_at(log_z: Array) -> Array:
        return risk_of_moments(ridge_freedom(variances, power, log_z), total, noise, n_task)

    def log_penalty(log_z: Array) -> Array:
        x = n_task - ridge_freedom(variances, power, log_z).directions[0]
        known = x > 0
        return jnp.where(known, jnp.log(jnp.where(known, x, 1.0) / n_task) - log_z, -jnp.inf)

    grid = low + (high - low) * jnp.linspace(0.0, 1.0, 129, dtype=noise.dtype)
    if penalty is None:
        best, _ = implicit_minimum(risk_at, grid)
        x = n_task - ridge_freedom(variances, power, best).directions[0]
        return Tuned(risk_at(best), x / (n_task * jnp.exp(best)), best)
    above = jax.vmap(log_penalty)(grid) > jnp.log(penalty)
    start = jax.lax.stop_gradient(grid[jnp.clip(jnp.sum(above), 0, 128)])
    # Newton's method in log z, from where x is known.
    at = implicit_root(lambda one: log_penalty(one) - jnp.log(penalty), start - (high - low) / 128)
    at = jnp.where(jnp.isfinite(at), at, start)
    return Tuned(risk_at(at), penalty, at)
