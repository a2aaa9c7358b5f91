"""Test inputs of another covariance, where learned ones may have any.

What labels leave of the task is (1 − A)θ in components of variance 1, and their noise lies along
A². A test covariance sees both. In the mean over recordings θᵀATAθ is what A says of a small change
of the labelled inputs along T: docs/theory.md, "Test inputs of any covariance".
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import implicit_minimum
from ..models import Problem
from ..models.geometry import InputGeometry, chebyshev_values, spectrum_terms
from ..models.shift import BlockShift
from .learned_prior import Equivalent, LearnedPrior, equivalent_at, mismatch
from .spectral_stage import (
    Stage,
    at_penalty,
    fewer_labels,
    learned_by_ridge,
    least_squares,
    next_power,
    of_few_labels,
    polynomial_through,
    risk_of_moments,
    with_more_labels,
)


class ShiftMoments(NamedTuple):
    """A test covariance T, in components of variance 1, between functions of the spectrum.

    Moments over Chebyshev polynomials T_p of the logarithm of a variance, as `InputGeometry` has
    them: of T's diagonal, and of θᵀT_p T T_q θ, θᵀT_p T T_q D and DᵀT_p T T_q D.
    """

    density: Float[Array, " terms"]
    task: Float[Array, "terms terms"]
    mixed: Float[Array, "terms terms k"]
    features: Float[Array, "terms terms k k"]

    @property
    def total_power(self) -> Array:
        """θᵀTθ, the test error of predicting 0."""
        return self.task[0, 0]

    @property
    def trace(self) -> Array:
        """tr T."""
        return self.density[0]


@jax.jit
def shift_moments(problem: Problem, shift: BlockShift | Array) -> ShiftMoments:
    """The moments of a shift, among latents.

    An array is the covariance along the principal axes, (d,) or (d, d).
    """
    geometry = problem.known_geometry
    if isinstance(shift, BlockShift):
        return _moments_of_blocks(geometry, shift, problem.misaligned_power)
    root = jnp.sqrt(geometry.variances)
    if shift.ndim == 1:
        return _moments_of_variances(geometry, shift / geometry.variances)
    return _moments_of_matrix(geometry, shift / root[:, None] / root[None, :])


def among_features(
    moments: ShiftMoments, mixing: Float[Array, "k k"], features: int
) -> ShiftMoments:
    """The same among features, combinations of latents, and so many with those that are none."""
    more = (0, features - len(mixing))
    mixed = moments.mixed @ mixing
    latents = jnp.einsum("ia,pqij,jb->pqab", mixing, moments.features, mixing)
    return moments._replace(
        mixed=jnp.pad(mixed, ((0, 0), (0, 0), more)),
        features=jnp.pad(latents, ((0, 0), (0, 0), more, more)),
    )


def _moments_of_variances(geometry: InputGeometry, ratios: Float[Array, " d"]) -> ShiftMoments:
    """Where T is diagonal: T_p T_q = (T_(p+q) + T_|p−q|)/2."""
    terms = len(geometry.density)
    values = chebyshev_values(geometry, 2 * terms)
    weighted = values * ratios[:, None]
    aligned = (weighted * geometry.weights[:, None]).T @ geometry.directions
    latents = jax.lax.map(
        lambda value: (value[:, None] * geometry.directions).T @ geometry.directions, weighted.T
    )
    order = jnp.arange(terms)
    plus, minus = order[:, None] + order[None, :], jnp.abs(order[:, None] - order[None, :])

    def both(single: Array) -> Array:
        return (single[plus] + single[minus]) / 2

    return ShiftMoments(
        density=jnp.sum(weighted, axis=0)[:terms],
        task=both(weighted.T @ geometry.weights**2),
        mixed=both(aligned),
        features=both(latents),
    )


def _moments_of_matrix(geometry: InputGeometry, matrix: Float[Array, "d d"]) -> ShiftMoments:
    values = chebyshev_values(geometry, len(geometry.density))
    weighted = values * geometry.weights[:, None]
    shown = matrix @ weighted

    def between(value: Array) -> tuple[Array, Array]:
        through = matrix @ (value[:, None] * geometry.directions)
        return weighted.T @ through, jax.lax.map(
            lambda other: (other[:, None] * geometry.directions).T @ through, values.T
        )

    mixed, latents = jax.lax.map(between, values.T)
    return ShiftMoments(
        density=values.T @ jnp.diagonal(matrix),
        task=weighted.T @ shown,
        mixed=jnp.swapaxes(mixed, 0, 1),
        features=jnp.swapaxes(latents, 0, 1),
    )


def _moments_of_blocks(
    geometry: InputGeometry, shift: BlockShift, misaligned_power: Array
) -> ShiftMoments:
    """T = a₀ + (a_P − a₀)DDᵀ + (a_β − a₀)vvᵀ, v along (1 − DDᵀ)θ."""
    rest = shift.insensitive
    ratios = jnp.broadcast_to(rest, geometry.variances.shape)
    plain = _moments_of_variances(geometry, ratios)
    aligned, latents, power = geometry.aligned, geometry.latents, geometry.power
    inside = aligned[0]
    some = misaligned_power > 0
    size = jnp.sqrt(jnp.where(some, misaligned_power, 1.0))
    along = jnp.where(some, shift.missed - rest, 0.0)
    within = shift.sensitive - rest
    # Of v with the latents, with the task, and with itself.
    latents_missed = (aligned - latents @ inside) / size
    task_missed = (power - aligned @ inside) / size
    missed = (power - 2 * aligned @ inside + latents @ inside @ inside) / size**2
    traces = jnp.trace(latents, axis1=1, axis2=2)
    return ShiftMoments(
        density=plain.density + within * traces + along * missed,
        task=plain.task
        + within * aligned @ aligned.T
        + along * task_missed[:, None] * task_missed[None, :],
        mixed=plain.mixed
        + within * jnp.einsum("pi,qik->pqk", aligned, latents)
        + along * task_missed[:, None, None] * latents_missed[None, :, :],
        features=plain.features
        + within * jnp.einsum("pai,qib->pqab", latents, latents)
        + along * latents_missed[:, None, :, None] * latents_missed[None, :, None, :],
    )


class Seen(NamedTuple):
    """Under a test covariance T: tr TA, and what A leaves of the task, θᵀ(1 − A)T(1 − A)θ."""

    directions: Array
    bias: Array


def seen_through(
    equivalent: Equivalent,
    prior: LearnedPrior,
    moments: ShiftMoments,
    n_brain: Array,
    encoding_penalty: Array,
    ratio: Array,
    feature_penalty: Array,
) -> Seen:
    """What the test covariance sees, in the mean over recordings."""
    z, inverse = equivalent.z, equivalent.inverse
    own, through = spectrum_terms(equivalent.own), spectrum_terms(equivalent.through)
    # From the right all that features do goes through the same function.
    half = jnp.tensordot(moments.features, through, axes=((1,), (0,)))
    both = jnp.tensordot(through, half, 1)
    told = inverse @ (through @ prior.aligned)
    mixed = jnp.einsum("pqk,q,k->p", moments.mixed, through, told)
    directions = own @ moments.density + z * jnp.sum(inverse * both)
    once = moments.task[0] @ own + z * mixed[0]
    # The square, as if the scalars did not know of T.
    twice = own @ moments.task @ own + 2 * z * (own @ mixed) + z**2 * (told @ both @ told)

    turned = equivalent.passed * equivalent.turned
    eased = equivalent.passed * equivalent.eased
    missed, multiplier = equivalent.missed, equivalent.multiplier

    def over_directions(function: Array) -> Array:
        return spectrum_terms(function) @ moments.density

    def with_features(function: Array) -> Array:
        return jnp.sum(inverse * jnp.tensordot(spectrum_terms(function), half, 1))

    def of_inverse(function: Array, more: Array | float = 0.0) -> Array:
        matrix = jnp.tensordot(spectrum_terms(function), prior.features, 1) + more
        return jnp.sum((inverse @ matrix @ inverse) * both)

    # How a change of labelled inputs along T changes the scalars.
    u = over_directions(turned**2) - 2 * with_features(multiplier * turned)
    u = u + of_inverse(multiplier**2)
    v = -over_directions(eased**2) + 2 * with_features(missed * eased)
    v = v - of_inverse(missed**2, prior.noise)
    t = -over_directions(turned * eased) - of_inverse(missed * multiplier)
    t = t + with_features(multiplier * eased) + with_features(missed * turned)
    change = z * jnp.stack([u, v, t]) / n_brain / jnp.exp(equivalent.logarithms)

    numbers = prior, n_brain, encoding_penalty, z, ratio, feature_penalty
    slopes = jax.jacfwd(mismatch)(equivalent.logarithms, *numbers)
    of_power = jax.grad(lambda at: equivalent_at(at, *numbers).freedom(prior).power)(
        equivalent.logarithms
    )
    twice = twice - of_power @ jnp.linalg.solve(slopes, change)
    return Seen(directions, moments.total_power - 2 * once + twice)


class ShiftedStage(NamedTuple):
    """A task stage, and what a test covariance T sees of it.

    `terms` are polynomials in log z, as those of the stage: tr TA², and what is left of the task.
    """

    stage: Stage
    terms: Float[Array, "2 points"]
    total_power: Array
    trace: Array

    def risk(self, log_z: Array, n_task: Array) -> Array:
        """Test error at one penalty."""
        stage = self.stage
        moments, seen = stage.terms @ stage.basis(log_z), self.terms @ stage.basis(log_z)
        return self._risk(moments, seen, risk_of_moments(moments, stage, n_task))

    def _risk(self, moments: Array, seen: Array, risk: Array) -> Array:
        """From the test error without a shift."""
        noise, bias = seen
        left = self.stage.total_power - 2 * moments[4] + moments[5]
        # To leading order the variance has the shape of A², whatever sees it; its size is that of
        # the test error without a shift, which is known to finite size.
        solvable = jnp.isfinite(risk)
        variance = jnp.maximum(jnp.where(solvable, risk, left) - left, 0.0)
        some = moments[1] > jnp.finfo(risk.dtype).tiny
        share = jnp.where(some, jnp.maximum(noise, 0.0) / jnp.where(some, moments[1], 1.0), 0.0)
        return jnp.where(solvable, jnp.maximum(bias, 0.0) + variance * share, jnp.inf)

    def at(self, n_task: Array, penalty: Array, *, best: bool) -> Array:
        """Test error at an outside penalty, 0 among them.

        `best` says that it is the best one without a shift, n_task times which no longer changes
        among many labels.
        """
        stage, free, labels = self.stage, penalty == 0, jnp.maximum(n_task, 1.0)
        fewer = labels
        if best:
            fewer = fewer_labels(stage.noise, stage.total_power, stage.input_dim, labels)
        found = at_penalty(stage, fewer, jnp.where(free, 1.0, penalty * labels / fewer))
        basis = stage.basis(found.log_z)
        risk = self._risk(stage.terms @ basis, self.terms @ basis, found.risk)
        numbers = stage.noise, stage.input_dim, self.trace
        if best:
            risk = with_more_labels(risk, fewer, n_task, *numbers)
        risk = of_few_labels(self.total_power, risk, n_task)
        unpenalised = least_squares(stage.noise, stage.input_dim, n_task, self.trace)
        return jnp.where(free, unpenalised, risk)

    def best_penalty(self, n_task: Array) -> Array:
        """The outside penalty of the least test error under the shift."""
        some = jnp.maximum(n_task, 1.0)
        numbers = self.stage.noise, self.stage.total_power, self.stage.input_dim
        labels = fewer_labels(*numbers, some)
        fixed = jax.lax.stop_gradient(self)
        log_z, moments = fixed.stage.grid()
        _, seen = fixed.stage.grid(fixed.terms)
        plain = risk_of_moments(moments, fixed.stage, labels)
        risks = jax.vmap(fixed._risk, in_axes=(1, 1, 0))(moments, seen, plain)
        lowest = jnp.clip(jnp.argmin(risks), 1, len(log_z) - 2)
        around = jax.lax.dynamic_slice_in_dim(log_z, lowest - 1, 3)
        best, _ = implicit_minimum(lambda at: self.risk(at, labels), around)
        return jnp.exp(self.stage.log_penalty(best, labels)) * labels / some


def shifted_stage(stage: Stage, seen: Seen, moments: ShiftMoments) -> ShiftedStage:
    """The stage under a shift, by what is seen at its points."""
    directions = polynomial_through(seen.directions)
    squares = next_power(directions, 1, stage.lowest, stage.highest)
    terms = jnp.stack([squares, polynomial_through(seen.bias)])
    return ShiftedStage(stage, terms, moments.total_power, moments.trace)


def shifted_ridge_stage(
    stage: Stage, variances: Float[Array, " terms"], moments: ShiftMoments
) -> ShiftedStage:
    """That of ridge regression."""
    learned = learned_by_ridge(variances, stage.lowest, stage.highest)
    left = spectrum_terms(1 - learned)
    bias = jnp.sum((left @ moments.task) * left, axis=-1)
    squares = spectrum_terms(learned**2) @ moments.density
    terms = jnp.stack([polynomial_through(squares), polynomial_through(bias)])
    return ShiftedStage(stage, terms, moments.total_power, moments.trace)
