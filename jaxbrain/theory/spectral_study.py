"""A study as the closed forms for inputs of any covariance know it: in shapes that hardly depend on
its sizes, with what is lost of its directions among noisy channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..models import Problem
from ..models.geometry import InputGeometry, spectrum_terms
from .learned_prior import (
    Freedom,
    LearnedPrior,
    banded_prior,
    befs_prior,
    padded_dim,
    ridge_encoding,
)
from .spectral_stage import Stage, ends, ridge_stage_of, stage_of


class Study(NamedTuple):
    """A problem in shapes that hardly depend on its sizes."""

    prior: LearnedPrior
    total_power: Array
    noise: Array
    input_dim: Array
    latent_dim: Array
    mean_variance: Array
    mean_gain: Array
    mean_noise: Array
    lowest: Array
    highest: Array
    channels: Any


class Channels(NamedTuple):
    """What tells how well directions are estimated among channels: see `lost_directions`."""

    spare: Array
    latent_dim: Array
    noise: Array
    encoding_noise: Array
    latent_noise: Array
    gain: Array
    directions: Array


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
        inside = aligned[largest] / _root(jnp.where(size > 0, size, 1.0))
    else:
        inside = _root(aligned)
    outside = _root(problem.misaligned_power)
    weights = jnp.zeros(d, inside.dtype).at[:k].set(inside).at[k].set(outside)
    eye = jnp.eye(d, k, dtype=inside.dtype)
    geometry = InputGeometry(jnp.ones(d, inside.dtype), eye, weights)
    return eqx.tree_at(lambda p: p.geometry, problem, geometry, is_leaf=lambda x: x is None)


def _root(power: Array) -> Array:
    """Square roots, whose derivatives at 0 are 0."""
    some = power > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, power, 1.0)), 0.0)


@partial(jax.jit, static_argnames="estimator")
def study_of(problem: Problem, estimator: str, more_channels: Array | float = 1.0) -> Study:
    """What an estimator's closed form needs; `more_channels` for each of the problem's."""
    geometry, k = problem.known_geometry, problem.latent_dim
    banded = estimator == "banded_ridge"
    prior = banded_prior(problem) if banded else befs_prior(problem)
    channels = None
    if not banded and problem.recording_dim is not None and problem.recording_dim > k:
        more = (0, padded_dim(k) - k)
        matrices = (problem.encoding_noise, problem.latent_noise, problem.gain)
        if not problem.is_matrix_form:
            matrices = tuple(jnp.diag(spectrum) for spectrum in matrices)
        encoding, latent, gain = (jnp.pad(matrix, (more, more)) for matrix in matrices)
        channels = Channels(
            spare=problem.recording_dim * jnp.asarray(more_channels, encoding.dtype) - k,
            latent_dim=jnp.asarray(k, encoding.dtype),
            noise=problem.recording_noise,
            encoding_noise=encoding,
            latent_noise=latent,
            gain=gain + jnp.diag(prior.padding),
            directions=jnp.trace(geometry.latents, axis1=1, axis2=2) / k,
        )
    fixed = jax.lax.stop_gradient(geometry.variances)
    largest = jnp.max(fixed)
    lowest, highest = ends(jnp.maximum(jnp.min(fixed), 1e-8 * largest), largest)
    return Study(
        prior,
        problem.total_power,
        problem.task_noise,
        jnp.asarray(problem.input_dim, fixed.dtype),
        jnp.asarray(k, fixed.dtype),
        jnp.mean(geometry.variances),
        problem.trace(problem.gain) / k,
        problem.trace(problem.encoding_noise) / k,
        lowest,
        highest,
        channels,
    )


def prior_at(study: Study, n_brain: Array, encoding_penalty: Array) -> LearnedPrior:
    """The prior, with what is lost among noisy channels."""
    prior = study.prior
    if study.channels is None:
        return prior
    lost = lost_directions(prior, study.channels, n_brain, encoding_penalty)
    return prior._replace(noise=prior.noise + lost.noise)


def second_in(study: Study, second: Array, estimator: str) -> tuple[tuple[Array, Array], Array]:
    """The penalties inside and of features over the outside one; directions that none holds."""
    zero = jnp.zeros_like(second)
    pair = (zero, second) if estimator == "banded_ridge" else (second, zero)
    return pair, study.latent_dim if estimator == "befs" else zero


def stage_in(study: Study, freedoms: Callable[[Array], Freedom], unheld: Array) -> Stage:
    """The task stage of a study, with so many directions that no penalty holds."""
    numbers = study.lowest, study.highest, study.total_power, study.noise, study.input_dim
    return stage_of(freedoms, *numbers, unheld)


def ridge_stage_in(study: Study) -> Stage:
    """The task stage of ridge regression, whatever was recorded."""
    prior = study.prior
    return ridge_stage_of(
        prior.nodes,
        lambda function: spectrum_terms(function) @ prior.density,
        lambda function: spectrum_terms(function) @ prior.power,
        *(study.lowest, study.highest, study.total_power, study.noise, study.input_dim),
    )


class LostDirections(NamedTuple):
    """What is lost where directions are estimated among noisy channels."""

    noise: Float[Array, "k k"]
    """As encoding noise beside that of the latents."""
    share: Array
    """The mean share of a direction that lies among channels of noise alone."""


def lost_directions(
    prior: LearnedPrior, channels: Channels, n_brain: Array, encoding_penalty: Array
) -> LostDirections:
    """Noise of latents that stands for directions lost among channels: docs/theory.md, (38)."""
    s, penalty = prior.nodes, encoding_penalty
    found = ridge_encoding(prior, n_brain, penalty)
    a, q, twice = found.a, found.q, found.twice
    degrees = found.over_directions(1 - penalty * q)
    kept = 1 - penalty * a * q
    kept_twice = 1 - 2 * penalty * a * q + penalty**2 * (q - penalty * twice) / s
    seen = spectrum_terms(kept) @ channels.directions
    slope = spectrum_terms(kept_twice) @ channels.directions / seen
    strength, spare = n_brain * seen, channels.spare * channels.noise**2
    eye = jnp.eye(len(channels.gain), dtype=s.dtype)
    signal = (strength * eye + degrees * channels.latent_noise) @ channels.gain
    inverse = jnp.linalg.inv(signal)
    real = 1 - prior.padding
    lost = degrees * slope * spare * (inverse @ inverse) * (real[:, None] * real[None, :])
    # A direction can be lost but once.
    lost = lost @ jnp.linalg.inv(eye + lost / 0.95)
    share = jnp.trace(lost) / channels.latent_dim
    noise = jnp.linalg.solve(eye - lost, lost) @ (
        strength / degrees * eye + channels.encoding_noise
    )
    return LostDirections((noise + noise.T) / 2, share)
