"""The brain stage for inputs of any covariance: what a penalty learned from recordings leaves free.

A deterministic equivalent over recordings, for any number of them: docs/theory.md, "Inputs of any
covariance". Numbers of inputs enter through moments over the spectrum alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import implicit_root, implicit_roots, inverse_of_covariance
from ..models import Problem
from ..models.geometry import spectrum_nodes, spectrum_terms

# So many roots say where the next one is: more save no step.
_REMEMBERED = 7


class LearnedPrior(NamedTuple):
    """What a penalty knows of the recordings: moments of the inputs, and noise of the features.

    The features are the k latents, for BEFS, or the k combinations of channels that show them, for
    banded ridge, which knows their strength and meets `spare` other channels of noise alone. Their
    number is rounded up, so that few programs serve all: `padding` is 1 for those that are none.
    """

    nodes: Float[Array, " terms"]
    density: Float[Array, " terms"]
    power: Float[Array, " terms"]
    aligned: Float[Array, "terms k"]
    features: Float[Array, "terms k k"]
    noise: Float[Array, "k k"]
    padding: Float[Array, " k"]
    spare: Array
    spare_noise: Array


class Freedom(NamedTuple):
    """What labels can move at some penalties: Σ a over directions, and over the task's power.

    a is x/(C + x), between 0 where the penalty C holds a direction and 1 where it lets it go.
    """

    directions: Array
    power: Array


def befs_prior(problem: Problem) -> LearnedPrior:
    """The subspace that latents span."""
    noise = problem.encoding_noise
    noise = noise if problem.is_matrix_form else jnp.diag(noise)
    geometry = problem.known_geometry
    zero = jnp.zeros_like(problem.task_noise)
    return _padded(problem, geometry.aligned, geometry.latents, noise, zero, zero)


def banded_prior(problem: Problem) -> LearnedPrior:
    """All recordings as features, each by how strongly it shows the inputs."""
    geometry, k = problem.known_geometry, problem.latent_dim
    if problem.is_matrix_form:
        lower = features_of(problem, "banded_ridge")
        noise = lower.T @ problem.latent_noise @ lower
        aligned = geometry.aligned @ lower
        features = jnp.einsum("ia,tij,jb->tab", lower, geometry.latents, lower)
    else:
        root = jnp.sqrt(problem.gain)
        noise = jnp.diag(problem.latent_noise * problem.gain)
        aligned = geometry.aligned * root[None, :]
        features = geometry.latents * (root[:, None] * root[None, :])[None]
    noise = noise + problem.recording_noise * jnp.eye(k, dtype=noise.dtype)
    channels = k if problem.recording_dim is None else problem.recording_dim
    spare = jnp.asarray(channels - k, noise.dtype)
    return _padded(problem, aligned, features, noise, spare, problem.recording_noise)


def features_of(problem: Problem, estimator: str) -> Float[Array, "k k"]:
    """The combinations of latents that are a penalty's features, one in each column."""
    if estimator != "banded_ridge":
        return jnp.eye(problem.latent_dim, dtype=problem.task_noise.dtype)
    if problem.is_matrix_form:
        return jnp.linalg.cholesky(problem.gain)
    return jnp.diag(jnp.sqrt(problem.gain))


def padded_dim(k: int) -> int:
    """The number of features that k are rounded up to."""
    step = 8 if k <= 64 else 64
    return -(-k // step) * step


def _padded(
    problem: Problem,
    aligned: Array,
    features: Array,
    noise: Array,
    spare: Array,
    spare_noise: Array,
) -> LearnedPrior:
    geometry, k = problem.known_geometry, problem.latent_dim
    more = (0, padded_dim(k) - k)
    # Without any noise the equations have a limit, which rounding must not be asked for.
    least = 1e3 * jnp.finfo(noise.dtype).eps * jnp.max(jnp.abs(features[0]))
    noise = noise + least * jnp.eye(k, dtype=noise.dtype)
    return LearnedPrior(
        spectrum_nodes(geometry.middle, geometry.width),
        geometry.density,
        geometry.power,
        jnp.pad(aligned, ((0, 0), more)),
        jnp.pad(features, ((0, 0), more, more)),
        jnp.pad(noise, (more, more)),
        jnp.pad(jnp.zeros(k, noise.dtype), more, constant_values=1.0),
        spare,
        spare_noise,
    )


class _Fields(NamedTuple):
    """The three scalars of the equivalent, as they enter: see `_unknowns`."""

    q0: Array
    a: Array
    held: Array
    loose: Array


def _fields(logarithms: Float[Array, "3"]) -> _Fields:
    u, v, t = jnp.exp(logarithms)
    q0 = 1 / (u * v + (1 + t) ** 2)
    return _Fields(q0, (1 + t) * q0, u * q0, v * q0)


def _responses(fields: _Fields, s: Array, e: Array, encoding_penalty: Array):
    """Functions of a variance s: the determinant, and responses of g, g − α and μ to α."""
    q0, a, p, r = fields
    l = encoding_penalty + a * s
    determinant = e * r * s + p * r * s**2 + l**2
    stiffness = (e * s * q0 + p * encoding_penalty**2) / determinant
    learned = s * (p * r * s + l * a) / determinant
    missed = (e * r * s + l * encoding_penalty) / determinant
    multiplier = s * (e * a - encoding_penalty * p) / determinant
    return l, determinant, stiffness, learned, missed, multiplier


def _features_inverse(
    prior: LearnedPrior, fields: _Fields, stiffness: Array, feature_penalty: Array
) -> tuple[Array, Array]:
    """K⁻¹, and its product with the moments of the features."""
    matrix = jnp.tensordot(spectrum_terms(stiffness), prior.features, 1)
    own = jnp.diag(feature_penalty + prior.padding)
    inverse = inverse_of_covariance(matrix + fields.held * prior.noise + own)
    return inverse, jnp.tensordot(prior.features, inverse, 2)


def _spare_channels(prior: LearnedPrior, fields: _Fields, feature_penalty: Array) -> Array:
    """tr Σ K⁻¹ of channels of noise alone, if there are any."""
    some = prior.spare * prior.spare_noise > 0
    held = fields.held * prior.spare_noise + feature_penalty
    return jnp.where(some, prior.spare * prior.spare_noise / jnp.where(some, held, 1.0), 0.0)


def _ease(s: Array, z: Array, ratio: Array) -> tuple[Array, Array]:
    """e, and 1/(1 + z s), in units of the outside penalty."""
    outside = 1 / (1 + z * s)
    return (1 - ratio) * (z * s + ratio) * outside, outside


def freedoms(
    prior: LearnedPrior,
    n_brain: Array,
    encoding_penalty: Array,
    ratio: Array,
    feature_penalty: Array,
    log_z: Float[Array, " points"],
) -> Freedom:
    """What labels can move at ascending penalties.

    `log_z` holds logarithms of x over the outside penalty. `ratio` is the inside penalty over the
    outside one, and `feature_penalty` that of the features over the outside one.
    """
    numbers = n_brain, encoding_penalty, ratio, feature_penalty
    return along_penalties(prior, *numbers, log_z, lambda found: found.freedom(prior))


def along_penalties(
    prior: LearnedPrior,
    n_brain: Array,
    encoding_penalty: Array,
    ratio: Array,
    feature_penalty: Array,
    log_z: Float[Array, " points"],
    read: Callable[[Equivalent], Any],
) -> Any:
    """What is read off the equivalent at ascending penalties, stacked; arguments as `freedoms`."""
    numbers = prior, n_brain, encoding_penalty

    def solve(state: Any, at: tuple[Array, Array]) -> tuple[Any, Any]:
        (roots, inverse), (log_z, weights) = state, at
        z = jnp.exp(log_z)
        change = jnp.clip(weights @ roots - roots[0], -2.0, 2.0)
        found, inverse = implicit_roots(
            mismatch, roots[0] + change, inverse, *numbers, z, ratio, feature_penalty
        )
        fixed = jax.lax.stop_gradient(found)
        given = n_brain, encoding_penalty, z, ratio, feature_penalty
        rest = jnp.concatenate([fixed[None], roots[:-1]]), inverse
        return rest, read(equivalent_at(found, prior, *given))

    first = jax.lax.stop_gradient(_first_guess(*numbers, jnp.exp(log_z[0]), ratio, feature_penalty))
    state = jnp.tile(first, (_REMEMBERED, 1)), jnp.eye(3, dtype=first.dtype)
    return jax.lax.scan(solve, state, (log_z, _ahead(jax.lax.stop_gradient(log_z))))[1]


def _ahead(points: Float[Array, " points"]) -> Float[Array, "points remembered"]:
    """Weights of the values before each point, the nearest first, in their polynomial there."""
    before = np.arange(len(points))[:, None] - np.arange(1, _REMEMBERED + 1)
    known = before >= 0
    # The first point has none before it: what is remembered there is its first guess.
    known[0, 0] = True
    where = points[np.maximum(before, 0)]
    other = known[:, None, :] & ~np.eye(_REMEMBERED, dtype=bool)
    gaps = jnp.where(other, where[:, :, None] - where[:, None, :], 1.0)
    ways = jnp.where(other, points[:, None, None] - where[:, None, :], 1.0)
    return jnp.where(known, jnp.prod(ways / gaps, axis=-1), 0.0)


def mismatch(
    logarithms: Float[Array, "3"],
    prior: LearnedPrior,
    n_brain: Array,
    encoding_penalty: Array,
    z: Array,
    ratio: Array,
    feature_penalty: Array,
) -> Float[Array, "3"]:
    """Zero where the three scalars, in logarithms, are what they say of each other."""
    s = prior.nodes
    e, _ = _ease(s, z, ratio)
    fields = _fields(logarithms)
    l, determinant, stiffness, _, missed, multiplier = _responses(fields, s, e, encoding_penalty)
    inverse, felt = _features_inverse(prior, fields, stiffness, feature_penalty)

    def over_directions(function: Array) -> Array:
        return spectrum_terms(function) @ prior.density

    def over_features(function: Array) -> Array:
        return spectrum_terms(function) @ felt

    spare = _spare_channels(prior, fields, feature_penalty)
    u = over_directions(s * (e + fields.held * s) / determinant)
    v = over_directions(s**2 * fields.loose / determinant)
    t = over_directions(s * l / determinant)
    u = u - over_features(multiplier**2)
    v = v + over_features(missed**2) + jnp.sum(inverse * prior.noise) + spare
    t = t + over_features(missed * multiplier)
    # Below the root of the equations u or t can be negative: far from it is far enough.
    found = jnp.stack([u, v, t]) / n_brain
    tiny = jnp.finfo(found.dtype).tiny
    return logarithms - jnp.log(jnp.maximum(found, jnp.exp(logarithms) / 10 + tiny))


class RidgeEncoding(NamedTuple):
    """The resolvent of the encoding stage as a function of a variance: docs/theory.md, (37)."""

    a: Array
    q: Float[Array, " terms"]
    twice: Float[Array, " terms"]
    density: Float[Array, " terms"]

    def over_directions(self, function: Array) -> Array:
        """The sum of a function, known at the nodes, over all directions of the inputs."""
        return spectrum_terms(function) @ self.density

    def over_latents(self, function: Array, moments: Float[Array, "terms k k"]) -> Array:
        """The trace of a function over latents or features."""
        return spectrum_terms(function) @ jnp.trace(moments, axis1=1, axis2=2)


def ridge_encoding(prior: LearnedPrior, n_brain: Array, encoding_penalty: Array) -> RidgeEncoding:
    """What ridge regression on recorded inputs makes of them, in the mean."""
    s, penalty = prior.nodes, encoding_penalty

    def over(function: Array) -> Array:
        return spectrum_terms(function) @ prior.density

    # 1/a = 1 + tr Σ(aΣ + λ)⁻¹/n, in t = 1/a − 1.
    def mismatch(log_t: Array) -> Array:
        a = 1 / (1 + jnp.exp(log_t))
        return log_t - jnp.log(over(s / (penalty + a * s)) / n_brain)

    start, d = jnp.log(over(s / (penalty + s)) / n_brain), prior.density[0]
    start = jnp.where(n_brain > d, jnp.maximum(start, jnp.log(d / jnp.abs(n_brain - d))), start)
    log_t = implicit_root(mismatch, start, scale=1.0)
    a = 1 / (1 + jnp.exp(jnp.where(jnp.isfinite(log_t), log_t, start)))
    q = 1 / (a * s + penalty)
    eta = a**2 * over((s * q) ** 2) / n_brain
    twice = q**2 + s * q**2 * a**2 * over(s * q**2) / (n_brain * (1 - eta))
    return RidgeEncoding(a, q, twice, prior.density)


def _first_guess(
    prior: LearnedPrior,
    n_brain: Array,
    encoding_penalty: Array,
    z: Array,
    ratio: Array,
    feature_penalty: Array,
) -> Float[Array, "3"]:
    """Logarithms of the scalars where the features are few beside the recordings."""
    s = prior.nodes
    e, _ = _ease(s, z, ratio)

    found = ridge_encoding(prior, n_brain, encoding_penalty)
    a, over_directions = found.a, found.over_directions
    l = encoding_penalty + a * s
    u = over_directions(s * e / l**2) / n_brain
    fields = _Fields(a**2, a, u * a**2, jnp.zeros_like(a))
    _, _, stiffness, _, missed, _ = _responses(fields, s, e, encoding_penalty)
    inverse, felt = _features_inverse(prior, fields, stiffness, feature_penalty)
    v = spectrum_terms(missed**2) @ felt + jnp.sum(inverse * prior.noise)
    v = (v + _spare_channels(prior, fields, feature_penalty)) / n_brain
    return jnp.log(jnp.stack([u, v, 1 / a - 1]))


class Equivalent(NamedTuple):
    """The mean over recordings of A = xΣ^½B⁻¹Σ^½, at one penalty: docs/theory.md, (36).

    A is own(Σ) + z through(Σ) D K⁻¹ Dᵀ through(Σ), D the directions of the features. Functions of
    the spectrum are known at the nodes.
    """

    logarithms: Float[Array, "3"]
    z: Array
    own: Float[Array, " terms"]
    through: Float[Array, " terms"]
    inverse: Float[Array, "k k"]
    felt: Float[Array, "terms"]
    passed: Float[Array, " terms"]
    missed: Float[Array, " terms"]
    multiplier: Float[Array, " terms"]
    turned: Float[Array, " terms"]
    """What E, the ease of the inputs' side of the pencil, makes of the multiplier: sL/D."""
    eased: Float[Array, " terms"]
    """And of the features' span: sρs/D."""

    def freedom(self, prior: LearnedPrior) -> Freedom:
        """tr A and θᵀAθ."""
        own, through = spectrum_terms(self.own), spectrum_terms(self.through)
        shown = through @ prior.aligned
        return Freedom(
            own @ prior.density + self.z * (spectrum_terms(self.through**2) @ self.felt),
            own @ prior.power + self.z * (shown @ self.inverse @ shown),
        )


def equivalent_at(
    logarithms: Float[Array, "3"],
    prior: LearnedPrior,
    n_brain: Array,
    encoding_penalty: Array,
    z: Array,
    ratio: Array,
    feature_penalty: Array,
) -> Equivalent:
    """The equivalent at scalars that solve `mismatch`, whose arguments these are."""
    s, fields = prior.nodes, _fields(logarithms)
    e, outside = _ease(s, z, ratio)
    l, determinant, stiffness, learned, missed, multiplier = _responses(
        fields, s, e, encoding_penalty
    )
    inverse, felt = _features_inverse(prior, fields, stiffness, feature_penalty)
    passed = (1 - ratio) * outside
    return Equivalent(
        logarithms,
        z,
        own=z * s * (outside + passed**2 * fields.loose * s / determinant),
        through=passed * learned,
        inverse=inverse,
        felt=felt,
        passed=passed,
        missed=missed,
        multiplier=multiplier,
        turned=s * l / determinant,
        eased=s * fields.loose * s / determinant,
    )
