"""The task stage under any penalty: test error from how far labels can move each direction.

Directions enter through sums of powers of a = x/(C + x) alone, over directions and over the task's
power: m_p and b_p. All follow from the first ones, as functions of log x (docs/theory.md, "Inputs
of any covariance"). They are known at a few penalties, and in between by polynomials.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import implicit_minimum, implicit_root
from .learned_prior import Freedom

# a is analytic in log x within π of the real line: over 25 nats 1e-6 is left out.
_POINTS = 56
# From where all directions are held to where all are let go, in nats beyond the spectrum.
_HELD, _LOOSE = 10.5, 6.0
# Derivatives of polynomials lose most of their digits at the ends, which are not used.
_USED = 0.96
_GRID = 129


class Stage(NamedTuple):
    """What the task stage needs, for all penalties and numbers of labels.

    Polynomials in log z, z = x over the penalty outside, between `lowest` and `highest`: of m_1 to
    m_4 and b_1 to b_4.
    """

    terms: Float[Array, "*batch 8 points"]
    lowest: Array
    highest: Array
    total_power: Array
    noise: Array
    input_dim: Array
    free: Array
    """How many directions no penalty holds: those of the subspace in BEFS with one penalty."""

    def moments(self, log_z: Array) -> Float[Array, "8"]:
        """m_1 to m_4 and b_1 to b_4 at one penalty."""
        return self.terms @ self.basis(log_z)

    def basis(self, log_z: Array) -> Float[Array, " points"]:
        """The polynomials of which all terms here are."""
        at = (2 * log_z - self.lowest - self.highest) / (self.highest - self.lowest)
        at = jnp.clip(at, -_USED, _USED)
        order = jnp.arange(_POINTS, dtype=at.dtype)
        return jnp.cos(jnp.arccos(at) * order)

    def risk(self, log_z: Array, n_task: Array) -> Array:
        """Test error at one penalty."""
        return risk_of_moments(self.moments(log_z), self, n_task)

    def log_penalty(self, log_z: Array, n_task: Array) -> Array:
        """The logarithm of the penalty a sample; −∞ where labels are too few for one."""
        return _log_penalty(self.moments(log_z)[0], log_z, n_task)

    def grid(self, terms: Array | None = None) -> tuple[Array, Array]:
        """Penalties from end to end, and the moments there, or what has these terms."""
        terms = self.terms if terms is None else terms
        middle, half = (self.highest + self.lowest) / 2, (self.highest - self.lowest) / 2
        at = jnp.linspace(-_USED, _USED, _GRID, dtype=half.dtype)
        return middle + half * at, terms @ jnp.asarray(_grid_basis(), self.terms.dtype)


def _log_penalty(m1: Array, log_z: Array, n_task: Array) -> Array:
    x = n_task - m1
    known = x > 0
    return jnp.where(known, jnp.log(jnp.where(known, x, 1.0) / n_task) - log_z, -jnp.inf)


def risk_of_moments(
    moments: Float[Array, "8 *cells"], stage: Stage, n_task: Array, x: Array | None = None
) -> Float[Array, "*cells"]:
    """Test error, with its first finite-size term; infinite where labels are too few for this.

    `x` is n_task − m₁, unless it is known better. Directions that no penalty holds are regressed
    out, which takes as many labels and is exact: docs/theory.md, (7).
    """
    m1, m2, m3, m4, b1, b2, b3, b4 = moments
    spare = n_task - stage.free - 1
    x = jnp.asarray(n_task - m1 if x is None else x)
    solvable = (x > 0) & ((stage.free == 0) | (spare > 0))
    m2, m3, m4 = (m - stage.free for m in (m2, m3, m4))
    omega = 1 / (jnp.where(solvable, x, 1.0) + jnp.maximum(m1 - stage.free - m2, 0.0))
    mu, nu, theta = omega * (m2 - m3), omega * (m3 - m4), omega * m2
    e2, e3 = theta * mu - omega * m3, theta * nu - omega * m4
    correction = (3 * mu + 4 * mu**2 - 3 * nu) * m2 - (2 + 4 * mu) * m3 + 3 * m4
    variance = m2 * _corrected(omega * correction / jnp.where(m2 > 0, m2, 1.0))
    # The bias is Σ θ²(1 − a)² times a quadratic in a.
    constant = 1 + theta + omega * (mu * (2 * e2 + theta) + 2 * mu * e2 + 2 * e2 - 3 * e3)
    linear = -omega * ((2 * e2 + theta) + theta + 2 * mu * (1 + theta))
    square = 3 * omega * (1 + theta)
    bias = constant * (stage.total_power - 2 * b1 + b2) + linear * (b1 - 2 * b2 + b3)
    bias = bias + square * (b2 - 2 * b3 + b4)
    left = stage.total_power - 2 * b1 + b2
    some = left > 0
    bias = left * _corrected(bias / jnp.where(some, left, 1.0) - 1)
    # Among very many labels rounding can make either negative.
    held = jnp.maximum(bias, 0.0) + stage.noise * jnp.maximum(omega * variance, 0.0)
    freed = stage.free / jnp.where(solvable, jnp.where(spare > 0, spare, 1.0), 1.0)
    return jnp.where(solvable, held + (stage.noise + held) * freed, jnp.inf)


def _corrected(change: Array) -> Array:
    """1 + change, the first terms of a series, but positive where it has lost its meaning."""
    large = change < -0.5
    return jnp.where(large, 0.25 / -jnp.where(large, change, -1.0), 1 + change)


@cache
def _grid_basis() -> np.ndarray:
    """Polynomials on the grid, (points, grid)."""
    at = np.linspace(-_USED, _USED, _GRID)
    return np.polynomial.chebyshev.chebvander(at, _POINTS - 1).T


@cache
def _from_points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ascending points, and the matrices to terms, and from terms to those of the derivative."""
    points = np.cos(np.pi * (np.arange(_POINTS) + 0.5) / _POINTS)[::-1]
    to_terms = np.linalg.inv(np.polynomial.chebyshev.chebvander(points, _POINTS - 1))
    slope = [np.polynomial.chebyshev.chebder(unit) for unit in np.eye(_POINTS)]
    return points, to_terms, np.concatenate([np.stack(slope, axis=1), np.zeros((1, _POINTS))])


def ends(least: Array, largest: Array) -> tuple[Array, Array]:
    """Logarithms of z where all directions are held, and where all are let go."""
    return -jnp.log(largest) - _HELD, -jnp.log(least) + _LOOSE


def stage_of(
    freedoms: Callable[[Array], Freedom],
    lowest: Array,
    highest: Array,
    total_power: Array,
    noise: Array,
    input_dim: Array,
    free: Array,
) -> Stage:
    """Ask what labels can move at the points, ascending, and make polynomials of it."""
    found = freedoms(points_between(lowest, highest))
    rows = []
    for values in (found.directions, found.power):
        terms = polynomial_through(values)
        for exponent in range(1, 5):
            rows.append(terms)
            terms = next_power(terms, exponent, lowest, highest)
    return Stage(jnp.stack(rows), lowest, highest, total_power, noise, input_dim, free)


def points_between(lowest: Array, highest: Array) -> Float[Array, " points"]:
    """Ascending logarithms of z at which the polynomials have to be known."""
    points = jnp.asarray(_from_points()[0], lowest.dtype)
    return (highest + lowest) / 2 + (highest - lowest) / 2 * points


def polynomial_through(values: Float[Array, " points"]) -> Float[Array, " points"]:
    """Terms of the polynomial in log z that has these values at the points."""
    return jnp.asarray(_from_points()[1], values.dtype) @ values


def next_power(
    terms: Float[Array, " points"], exponent: int, lowest: Array, highest: Array
) -> Float[Array, " points"]:
    """Terms of Σ a^(p+1) from those of Σ a^p: da/d log x is a − a²."""
    slope = jnp.asarray(_from_points()[2], terms.dtype)
    return terms - slope @ terms / (exponent * (highest - lowest) / 2)


def ridge_stage_of(
    variances: Array,
    density: Callable[[Array], Array],
    power: Callable[[Array], Array],
    lowest: Array,
    highest: Array,
    total_power: Array,
    noise: Array,
    input_dim: Array,
) -> Stage:
    """The stage of ridge regression, a = zs/(1 + zs), by all of its moments.

    `density` and `power` sum functions of the given variances over directions and over the task.
    """
    learned = learned_by_ridge(variances, lowest, highest)
    sums = [over(learned**exponent) for over in (density, power) for exponent in range(1, 5)]
    terms = jax.vmap(polynomial_through)(jnp.stack(sums))
    free = jnp.zeros_like(total_power)
    return Stage(terms, lowest, highest, total_power, noise, input_dim, free)


def learned_by_ridge(
    variances: Float[Array, " terms"], lowest: Array, highest: Array
) -> Float[Array, "points terms"]:
    """a = zs/(1 + zs) at the points."""
    learned = jnp.exp(points_between(lowest, highest))[:, None] * variances[None, :]
    return learned / (1 + learned)


def fewer_labels(noise: Array, total_power: Array, input_dim: Array, n_task: Array) -> Array:
    """As many labels as the polynomials can tell from least squares, at most `n_task`.

    What a penalty gains falls as 1/n², and 1e-7 of the task's power is theirs.
    """
    spread = jnp.sqrt(noise / jnp.where(total_power > 0, total_power, 1.0))
    most = input_dim * jnp.maximum(300 * spread, 10.0)
    return jnp.minimum(n_task, jax.lax.stop_gradient(most))


def of_few_labels(total_power: Array, risk: Array, n_task: Array) -> Array:
    """Below one label the error falls in proportion, from that of none to `risk`, that of one."""
    some = jnp.isfinite(risk)
    change = jnp.where(some, risk, 0.0) - total_power
    known = total_power + jnp.clip(n_task, 0.0, 1.0) * change
    # Beyond, small errors keep their digits.
    return jnp.where((n_task < 1) & (some | (n_task == 0)), known, risk)


def with_more_labels(
    risk: Array, fewer: Array, n_task: Array, noise: Array, input_dim: Array, trace: Array
) -> Array:
    """The test error at the best penalties of `n_task` labels, from that of fewer.

    What recordings, or a penalty, are worth in labels of least squares no longer changes there.
    """
    more = n_task > fewer
    known = jnp.where(jnp.isfinite(risk) & (risk > 0), risk, 1.0)
    beyond = noise * trace / (n_task - fewer + noise * trace / known)
    return jnp.where(more, beyond, risk)


class AtPenalty(NamedTuple):
    """Test error, the outside penalty a sample, and its place in the polynomials."""

    risk: Array
    penalty: Array
    log_z: Array


def at_best_penalty(stage: Stage, n_task: Array) -> AtPenalty:
    """The least test error over all outside penalties, 0 among them."""
    log_z, moments = stage.grid()
    risks = risk_of_moments(moments, stage, n_task)
    lowest = jnp.clip(jnp.argmin(jax.lax.stop_gradient(risks)), 1, _GRID - 2)
    around = jax.lax.dynamic_slice_in_dim(jax.lax.stop_gradient(log_z), lowest - 1, 3)
    best, _ = implicit_minimum(lambda at: stage.risk(at, n_task), around)
    risk, penalty = stage.risk(best, n_task), jnp.exp(stage.log_penalty(best, n_task))
    # Among very many labels the polynomials end before the best penalty.
    unpenalised = least_squares(stage.noise, stage.input_dim, n_task)
    better = unpenalised < risk
    risk = jnp.where(better, unpenalised, risk)
    # Where all can be held, so can the task.
    risk = jnp.where(stage.free > 0, risk, jnp.minimum(risk, stage.total_power))
    return AtPenalty(risk, jnp.where(better, 0.0, penalty), best)


def least_squares(
    noise: Array, input_dim: Array, n_task: Array, trace: Array | None = None
) -> Array:
    """σ²d/(n − d − 1), whatever the covariance; infinite where labels are too few.

    Under a test covariance T, in components of variance 1, tr T takes the place of d on top.
    """
    spare = n_task - input_dim - 1
    known = spare > 0
    trace = input_dim if trace is None else trace
    return jnp.where(known, noise * trace / jnp.where(known, spare, 1.0), jnp.inf)


def at_penalty(stage: Stage, n_task: Array, penalty: Array) -> AtPenalty:
    """The test error at an outside penalty; beyond the ends, that at the ends."""
    hard = jnp.isinf(penalty)
    known = jnp.where(hard, 1.0, penalty)
    target = jnp.log(known)
    log_z, moments = jax.lax.stop_gradient(stage.grid())
    above = _log_penalty(moments[0], log_z, n_task) > target
    above = jnp.where(hard, 0, jnp.sum(above))
    # As a number: closures that are differentiated hold no truth values.
    inside = ((above > 0) & (above < _GRID)).astype(n_task.dtype)
    low = log_z[jnp.clip(above - 1, 0, _GRID - 1)]
    high = log_z[jnp.clip(above, 0, _GRID - 1)]

    def mismatch(at: Array) -> Array:
        # x = n − m₁, over n: not its logarithm, which has no meaning beyond the root where labels
        # are fewer than inputs. At an end there is no root, and nothing to differentiate.
        short = 1 - stage.moments(at)[0] / n_task - known * jnp.exp(at)
        return jnp.where(inside > 0, short, at - low)

    found = implicit_root(mismatch, (low + high) / 2, scale=1.0)
    found = jnp.where(jnp.isfinite(found), found, (low + high) / 2)
    found = jnp.clip(found, stage.lowest, stage.highest)
    moments = stage.moments(found)
    # What a small penalty leaves of x would be lost in n − m₁.
    x = jnp.where(inside > 0, known * n_task * jnp.exp(found), n_task - moments[0])
    return AtPenalty(risk_of_moments(moments, stage, n_task, x), penalty, found)


def labels_for(stage: Stage, risk: Array) -> Array:
    """How many labels bring the test error down to this, at the best penalty of each number."""
    hopeless = ~(risk < stage.total_power)
    numbers = stage.noise, stage.total_power, stage.input_dim
    most = fewer_labels(*numbers, jnp.full_like(risk, jnp.inf))
    at_most = at_best_penalty(stage, most).risk
    # Where more labels are needed than that, what a penalty is worth in them no longer changes.
    many = ~hopeless & (risk < at_most)
    wanted = jnp.where(hopeless, stage.total_power / 2, jnp.where(many, at_most, risk))
    power = stage.noise * stage.input_dim
    known = jnp.where(many, risk, 1.0)
    beyond_most = most + power / known - power / jnp.where(at_most > 0, at_most, 1.0)
    _, moments = jax.lax.stop_gradient(stage.grid())

    def least(log_labels: Array) -> Array:
        risks = risk_of_moments(moments, stage, jnp.exp(log_labels))
        return jnp.minimum(
            jnp.min(risks), least_squares(stage.noise, stage.input_dim, jnp.exp(log_labels))
        )

    def enough(bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (bracket[0] + bracket[1]) / 2
        more = least(middle) > jax.lax.stop_gradient(wanted)
        return jnp.where(more, middle, bracket[0]), jnp.where(more, bracket[1], middle)

    # Between one label, below which the error falls in proportion, and e⁴⁰.
    ends = jnp.zeros_like(wanted), jnp.full_like(wanted, 40.0)
    low, high = jax.lax.fori_loop(0, 16, lambda _, bracket: enough(bracket), ends)
    at_one = at_best_penalty(stage, jnp.ones_like(wanted)).risk
    # At one label the error has lost its meaning where a few inputs hold most of the variance, and
    # is no reason to stop.
    few = (wanted >= at_one) & (low <= 0)
    beyond = jnp.where(few, 0.0, 1.0)
    start = jnp.where(few, 1.0, (low + high) / 2)

    def excess(log_labels: Array) -> Array:
        there = at_best_penalty(stage, jnp.exp(log_labels)).risk / wanted - 1
        return jnp.where(beyond > 0, there, log_labels - start)

    # A few labels take little off the error: what it says of their number is rounded as much more.
    rounded = 16 * jnp.maximum(wanted / (stage.total_power - wanted), 1.0)
    found = jnp.exp(implicit_root(excess, start, scale=rounded))
    share = (stage.total_power - wanted) / jnp.where(few, stage.total_power - at_one, 1.0)
    found = jnp.where(many, beyond_most, jnp.where(few, share, found))
    return jnp.where(hopeless, 0.0, found)
