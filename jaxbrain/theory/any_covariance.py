"""Test errors for inputs of any covariance and any number of recordings, cell by cell.

The brain stage is that of `learned_prior`, the task stage that of `spectral_stage`. What is best is
searched for here: along the penalty, and along a second one where the estimator has two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import is_concrete
from .._linalg import implicit_minimum, implicit_root
from ..models import Problem
from ..models.geometry import InputGeometry
from .accuracy import warn_outside_validated_ridge
from .learned_prior import (
    Freedom,
    LearnedPrior,
    banded_prior,
    befs_prior,
    first_guess,
    freedom,
    solve_fields,
)
from .spectral_stage import Tuned, ridge_stage, stage

# Second penalties and encoding penalties are searched over these many nats, at as many points.
_SECOND = {"befs_two_penalties": (-9.0, -0.02, 10), "banded_ridge": (-7.0, 7.0, 11)}
_ENCODING = (-7.0, 5.0, 9)


class Answer(NamedTuple):
    """One cell: the test error, and the penalties a sample at which it is reached."""

    risk: Array
    penalty: Array
    second_penalty: Array
    encoding_penalty: Array


def with_geometry(problem: Problem) -> Problem:
    """The same problem with a geometry, which white inputs leave out."""
    if problem.geometry is not None:
        return problem
    d, k = problem.input_dim, problem.latent_dim
    aligned = problem.aligned_power
    if problem.is_matrix_form:
        # An outer product: any of its columns tells the vector.
        largest = jnp.argmax(jnp.diagonal(aligned))
        size = aligned[largest, largest]
        known = size > 0
        inside = jnp.where(known, aligned[largest] / jnp.sqrt(jnp.where(known, size, 1.0)), 0.0)
    else:
        # Square roots have no derivative at 0.
        some = aligned > 0
        inside = jnp.where(some, jnp.sqrt(jnp.where(some, aligned, 1.0)), 0.0)
    missed = problem.misaligned_power
    some = missed > 0
    outside = jnp.where(some, jnp.sqrt(jnp.where(some, missed, 1.0)), 0.0)
    weights = jnp.zeros(d, inside.dtype).at[:k].set(inside).at[k].set(outside)
    eye = jnp.eye(d, k, dtype=inside.dtype)
    geometry = InputGeometry(jnp.ones(d, inside.dtype), eye, weights)
    return eqx.tree_at(lambda p: p.geometry, problem, geometry, is_leaf=lambda x: x is None)


def solve_cells(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array | None,
    estimator: str,
) -> Answer:
    """Answers of the shape that all numbers broadcast to; None stands for the best penalty."""
    given = [x for x in (penalty, second_penalty, encoding_penalty) if x is not None]
    cells = jnp.broadcast_arrays(n_brain, n_task, *given)
    shape = cells[0].shape
    return jax.tree.map(
        lambda x: x.reshape(shape),
        _solve_cells(
            problem,
            tuple(cell.ravel() for cell in cells),
            tuple(x is not None for x in (penalty, second_penalty, encoding_penalty)),
            estimator,
        ),
    )


def checked_cells(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array | None,
    estimator: str,
    stacklevel: int = 4,
) -> Answer:
    """`solve_cells` for a public function: checked, and with the warning where it is due."""
    check_labels(n_task)
    problem = with_geometry(problem)
    warn_outside_validated_ridge(problem, n_brain, encoding_penalty, estimator, stacklevel)
    cells = problem, n_brain, n_task, penalty, second_penalty, encoding_penalty
    return solve_cells(*cells, estimator)


def check_labels(n_task: Array) -> Array:
    """Raise on a known infinite number of labels, for which there is no limit here."""
    if is_concrete(n_task) and np.any(np.isinf(np.asarray(n_task))):
        raise ValueError(
            "n_task must be finite where inputs are not white or the encoding stage has a penalty"
        )
    return n_task


def check_options(shift: object, order: str) -> None:
    """Raise on what only white inputs have."""
    if shift is not None:
        raise ValueError(
            "shift: a BlockShift is for white inputs and encoding_penalty = 0; simulate others by "
            "sweep(..., method='data')"
        )
    if order != "finite":
        raise ValueError("order 'first' is for white inputs and encoding_penalty = 0")


@jax.jit
def least_squares_of(problem: Problem, n_task: Array) -> Array:
    """σ²d/(n − d − 1), whatever the covariance."""
    spare = n_task - problem.input_dim - 1
    known = spare > 0
    error = problem.task_noise * problem.input_dim / jnp.where(known, spare, 1.0)
    return jnp.where(known, error, jnp.inf)


def value_of_cells(problem: Problem, risk: Array, n_task: Array, baseline: str) -> Array:
    """Labels that least squares, or ridge at its best penalty, needs beyond n_task."""
    if baseline == "ols":
        return problem.input_dim + 1 + problem.task_noise * problem.input_dim / risk - n_task
    return labels_of_ridge(with_geometry(problem), risk, n_task) - n_task


def information_of_cells(problem: Problem, risk: Array, n_task: Array) -> Array:
    """`information_value` at the test error of the two best penalties."""
    worth = jnp.maximum(value_of_cells(problem, risk, n_task, "ridge"), 0.0)
    return jnp.where(jnp.broadcast_to(n_task == 0, worth.shape), 0.0, worth)


@eqx.filter_jit
def _solve_cells(problem: Problem, cells: Any, given: tuple[bool, ...], estimator: str) -> Answer:
    def one(numbers: Any) -> Answer:
        n_brain, n_task, *penalties = numbers
        penalties = iter(penalties)
        penalty, *others = (next(penalties) if known else None for known in given)
        # More recordings than these teach all there is; without labels and without a penalty
        # nothing has to be solved.
        n_brain = jnp.minimum(n_brain, 1e9 * problem.input_dim)
        labels = jnp.maximum(n_task, 1e-3)
        free = None if penalty is None else penalty == 0
        penalty = None if penalty is None else jnp.where(penalty == 0, 1.0, penalty)
        found = _cell(problem, n_brain, labels, penalty, *others, estimator)
        risk = jnp.where(n_task > 0, found.risk, problem.total_power)
        if free is None:
            return found._replace(risk=risk)
        return found._replace(
            risk=jnp.where(free, least_squares_of(problem, n_task), risk),
            penalty=jnp.where(free, 0.0, found.penalty),
        )

    return jax.lax.map(one, cells)


def _cell(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array | None,
    estimator: str,
) -> Answer:
    def at_encoding(encoding: Array) -> Answer:
        return _at_encoding_penalty(
            problem, n_brain, n_task, penalty, second_penalty, encoding, estimator
        )

    if encoding_penalty is not None:
        return at_encoding(encoding_penalty)
    # Ridge regression of one latent alone would take σ²d/n of a mean variance.
    geometry = problem.geometry
    noise = problem.trace(problem.encoding_noise) / problem.latent_dim
    centre = jnp.log(jnp.mean(geometry.variances) * (noise + 0.1) * geometry.input_dim / n_brain)
    low, high, count = _ENCODING
    best = best_along(lambda u: at_encoding(jnp.exp(u)).risk, centre + low, centre + high, count)
    return at_encoding(jnp.exp(best))


def best_along(risk: Callable[[Array], Array], low: Array, high: Array, count: int) -> Array:
    """Where a smooth function of one number is least, from its values at a few points.

    In between it is the polynomial through them; at equal values the derivative is still that of an
    implicit function.
    """
    points = np.cos(np.pi * np.arange(count) / (count - 1))
    middle, half = (low + high) / 2, (high - low) / 2
    at = middle + half * jnp.asarray(points, middle.dtype)
    values = jax.lax.map(risk, at)
    basis = np.linalg.inv(np.polynomial.chebyshev.chebvander(points, count - 1))
    terms = jnp.asarray(basis, middle.dtype) @ values

    def polynomial(u: Array) -> Array:
        scaled = (u - middle) / half
        previous, current = jnp.ones_like(scaled), scaled
        total = terms[0] + terms[1] * current
        for term in terms[2:]:
            previous, current = current, 2 * scaled * current - previous
            total = total + term * current
        return total

    grid = middle + half * jnp.linspace(-1.0, 1.0, 65, dtype=middle.dtype)
    return implicit_minimum(polynomial, grid)[0]


def _at_encoding_penalty(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array,
    estimator: str,
) -> Answer:
    geometry = problem.geometry
    noise, total = problem.task_noise, problem.total_power
    if estimator == "banded_ridge":
        prior = banded_prior(problem)
    else:
        prior = befs_prior(problem, lost_directions(problem, n_brain, encoding_penalty).noise)
    fixed = jax.lax.stop_gradient(geometry.variances)
    lowest, highest = -jnp.log(jnp.max(fixed)) - 14.0, -jnp.log(jnp.min(fixed)) + 9.0
    # A Bayesian's penalty on all weights, and what is left of the labels.
    scale = jax.lax.stop_gradient(noise * geometry.total_variance / total)
    guess = jnp.log(jnp.maximum(n_task, 1.0) / 2 / scale)

    def along(ratio: Array, features: Array, outside: Array | None) -> Tuned:
        freedoms = _freedoms(prior, n_brain, encoding_penalty, ratio, features)
        return stage(freedoms, total, noise, n_task, outside, guess, lowest, highest)

    zero = jnp.zeros_like(noise)
    if estimator == "befs":
        found = along(zero, zero, penalty)
        return Answer(found.risk, found.penalty, zero, encoding_penalty)
    low, high, count = _SECOND[estimator]
    if estimator == "befs_two_penalties":

        def at(log_ratio: Array, outside: Array | None) -> Tuned:
            return along(jnp.exp(log_ratio), zero, outside)

        centre = zero
    else:

        def at(log_ratio: Array, outside: Array | None) -> Tuned:
            return along(zero, jnp.exp(log_ratio), outside)

        # Of this size the prior variance of what latents show is that of the rest.
        shown = problem.trace(problem.gain) / problem.latent_dim
        centre = jax.lax.stop_gradient(jnp.log(shown / jnp.mean(geometry.variances)))
    if second_penalty is None:
        if penalty is None:
            best = best_along(lambda u: at(u, None).risk, centre + low, centre + high, count)
        else:
            best = best_along(lambda u: at(u, penalty).risk, centre + low, centre + high, count)
        found = at(best, penalty)
    elif penalty is None:
        # The ratio follows the outside penalty, of which the best one is wanted.
        def at_outside(log_outside: Array) -> Array:
            outside = jnp.exp(log_outside)
            return at(jnp.log(second_penalty / outside), outside).risk

        middle = jnp.log(scale / jnp.maximum(n_task, 1.0))
        log_outside = best_along(at_outside, middle - 6.0, middle + 6.0, 11)
        penalty = jnp.exp(log_outside)
        best = jnp.log(second_penalty / penalty)
        found = at(best, penalty)
    else:
        best = jnp.log(second_penalty / penalty)
        found = at(best, penalty)
    return Answer(found.risk, found.penalty, found.penalty * jnp.exp(best), encoding_penalty)


def _freedoms(
    prior: LearnedPrior, n_brain: Array, encoding_penalty: Array, ratio: Array, features: Array
) -> Callable[[Array], Freedom]:
    def freedoms(log_z: Float[Array, " points"]) -> Freedom:
        """Both sums at ascending penalties, each solved from where the ones before point."""

        def solve(state: tuple[Array, Array], log_z: Array) -> tuple[tuple[Array, Array], Freedom]:
            start, change = state
            z = jnp.exp(log_z)
            found = solve_fields(
                prior, n_brain, encoding_penalty, z, ratio, features, start + change
            )
            fixed = jax.lax.stop_gradient(found)
            learned = freedom(prior, encoding_penalty, z, ratio, features, found)
            return (fixed, fixed - start), learned

        first = first_guess(prior, n_brain, encoding_penalty, jnp.exp(log_z[0]), ratio)
        first = jax.lax.stop_gradient(first)
        return jax.lax.scan(solve, (first, jnp.zeros_like(first)), log_z)[1]

    return freedoms


class LostDirections(NamedTuple):
    """What is lost where directions are estimated among noisy channels, (k,) or (k, k)."""

    noise: Array
    """As encoding noise beside that of the latents."""
    share: Array
    """The mean share of a direction that lies among channels of noise alone."""


def lost_directions(problem: Problem, n_brain: Array, encoding_penalty: Array) -> LostDirections:
    """Noise of latents that stands for directions lost among channels: docs/theory.md, (12e)."""
    k, channels = problem.latent_dim, problem.recording_dim
    zero = jnp.zeros((), problem.task_noise.dtype)
    if channels is None or channels <= k:
        return LostDirections(zero, zero)
    geometry = problem.geometry
    s = jnp.exp(jnp.log(geometry.variances))

    # Of ridge encoding: a, and the means of Γ, of SW⁻¹S and of SW⁻¹SW⁻¹S over n.
    def mismatch(log_t: Array) -> Array:
        a = 1 / (1 + jnp.exp(log_t))
        return log_t - jnp.log(jnp.sum(s / (encoding_penalty + a * s)) / n_brain)

    start = jnp.log(jnp.sum(s / (encoding_penalty + s)) / n_brain)
    d = geometry.input_dim
    start = jnp.where(n_brain > d, jnp.maximum(start, jnp.log(d / jnp.abs(n_brain - d))), start)
    a = 1 / (1 + jnp.exp(implicit_root(mismatch, start)))
    q = 1 / (a * s + encoding_penalty)
    # The mean of Q1Q, Q the resolvent: docs/theory.md, (37).
    eta = a**2 * jnp.sum((s * q) ** 2) / n_brain
    twice = q**2 + s * q**2 * a**2 * jnp.sum(s * q**2) / (n_brain * (1 - eta))
    degrees = jnp.sum(1 - encoding_penalty * q)
    kept = 1 - encoding_penalty * a * q
    kept_twice = 1 - 2 * encoding_penalty * (1 - encoding_penalty * q) / s
    kept_twice = kept_twice + encoding_penalty**2 * (q - encoding_penalty * twice) / s
    shares = jnp.sum(geometry.directions**2, axis=1) / k
    seen, slope = shares @ kept, shares @ kept_twice / (shares @ kept)
    strength = n_brain * seen
    spare = (channels - k) * problem.recording_noise**2
    if problem.is_matrix_form:
        eye = jnp.eye(k, dtype=s.dtype)
        signal = (strength * eye + degrees * problem.latent_noise) @ problem.gain
        inverse = jnp.linalg.inv(signal)
        lost = degrees * slope * spare * inverse @ inverse
        share = jnp.minimum(jnp.trace(lost) / k, 1.0)
        lost = lost / (1 - jnp.minimum(share, 0.95))
        noise = lost @ (strength / degrees * eye + problem.encoding_noise)
        return LostDirections((noise + noise.T) / 2, share)
    signal = (strength + degrees * problem.latent_noise) * problem.gain
    lost = jnp.minimum(degrees * slope * spare / signal**2, 0.95)
    noise = lost / (1 - lost) * (strength / degrees + problem.encoding_noise)
    return LostDirections(jnp.diag(noise), jnp.mean(lost))


@eqx.filter_jit
def ridge_cells(problem: Problem, n_task: Array, penalty: Array | None) -> Tuned:
    """Ridge regression in the same coordinates, at a given penalty or its best one."""
    geometry = problem.geometry
    variances, power = geometry.variances, geometry.weights**2
    cells = (n_task,) if penalty is None else tuple(jnp.broadcast_arrays(n_task, penalty))

    def one(numbers: tuple[Array, ...]) -> Tuned:
        return ridge_stage(
            variances, power, problem.task_noise, numbers[0], *numbers[1:] or (None,)
        )

    found = jax.lax.map(one, tuple(cell.ravel() for cell in cells))
    return jax.tree.map(lambda x: x.reshape(cells[0].shape), found)


@jax.jit
def labels_of_ridge(problem: Problem, risk: Array, n_task: Array) -> Array:
    """How many labels ridge at its best penalty needs for this test error.

    `n_task` is where the search begins. 0 where predicting 0 is as good.
    """
    geometry = problem.geometry
    variances, power, noise = geometry.variances, geometry.weights**2, problem.task_noise
    total = jnp.sum(power)

    def risk_at(log_labels: Array) -> Array:
        return ridge_stage(variances, power, noise, jnp.exp(log_labels), None).risk

    def one(cell: tuple[Array, Array]) -> Array:
        wanted, start = cell
        hopeless = ~(wanted < total)
        wanted = jnp.where(hopeless, total / 2, wanted)

        def widen(step, bracket):
            low, high = bracket
            width = 2.0**step
            low = jnp.where(risk_at(low) < wanted, low - width, low)
            return low, jnp.where(risk_at(high) > wanted, high + width, high)

        begin = jnp.log(jnp.maximum(start, 1.0))
        low, high = jax.lax.fori_loop(0, 5, widen, (begin - 0.5, begin + 0.5))

        def halve(_, bracket):
            low, high = bracket
            middle = (low + high) / 2
            more = risk_at(middle) > wanted
            return jnp.where(more, middle, low), jnp.where(more, high, middle)

        low, high = jax.lax.stop_gradient(jax.lax.fori_loop(0, 12, halve, (low, high)))
        found = implicit_root(lambda at: risk_at(at) - wanted, (low + high) / 2)
        return jnp.where(hopeless, 0.0, jnp.exp(found))

    cells = jnp.broadcast_arrays(risk, n_task)
    return jax.lax.map(one, tuple(x.ravel() for x in cells)).reshape(cells[0].shape)
