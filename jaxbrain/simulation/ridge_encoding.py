"""Exact draws of what recordings teach by ridge regression, for inputs of any covariance.

All is in principal components of the inputs, in the user's own units: there the penalties are
round. The cost does not depend on how many recordings there are, nor on how many channels show
nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._linalg import leading_eigenspace
from ..models import LinearGaussianModel, Problem
from ._iteration import leading_vectors
from .brain_stage import LARGEST_DENSE, Dimensions, reduce_channels, reduce_model
from .random_matrices import bartlett, bartlett_degrees, draw_numbers


class ColouredModel(NamedTuple):
    """A model in principal components: what draws of ridge regression need."""

    variances: Float[Array, " d"]
    """Of the inputs."""
    latents: Float[Array, "d k"]
    """Directions that latents respond to, in components of variance 1."""
    weights: Float[Array, " d"]
    """Of the task, in components of variance 1."""
    coupling: Float[Array, "c k"]
    """Latents to the k channels that show them, rotated from all; or all where these differ."""
    noise: Float[Array, "c c"]
    """L with L Lᵀ the covariance of what latents and measurement add in these channels."""
    spare_noise: Float[Array, ""]
    """Standard deviation of the channels without signal."""
    task_noise: Float[Array, ""]


class Learned(NamedTuple):
    """What a first stage teaches the second."""

    directions: Float[Array, "d r"]
    """Orthonormal basis of the subspace, or the encoder, scaled so that tr M Mᵀ = d."""
    settled: Array


def coloured_model(model: LinearGaussianModel | Problem) -> tuple[ColouredModel, Dimensions]:
    """The model in principal components.

    Channels without signal are apart where all have equal noise.
    """
    if isinstance(model, LinearGaussianModel):
        try:
            problem = model.problem()
        except ValueError:
            sizes = Dimensions(model.input_dim, model.latent_dim, 0)
            return _unequal_channels(model), sizes
    else:
        problem = model
    reduced, sizes = reduce_model(problem)
    d, k, _ = sizes
    geometry = problem.geometry
    if geometry is None:
        dtype = reduced.coupling.dtype
        variances, latents = jnp.ones(d, dtype), jnp.eye(d, k, dtype=dtype)
        weights = jnp.zeros(d, dtype).at[:k].set(reduced.aligned)
        weights = weights.at[k].set(jnp.sqrt(reduced.misaligned_power))
    else:
        variances, latents, weights = geometry.variances, geometry.directions, geometry.weights
    return (
        ColouredModel(
            variances,
            latents,
            weights,
            reduced.coupling,
            reduced.noise,
            reduced.spare_noise,
            reduced.task_noise,
        ),
        sizes,
    )


@jax.jit
def _unequal_channels(model: LinearGaussianModel) -> ColouredModel:
    """All channels as they are, each with noise of its own."""
    covariance, encoder, weights = model.input_covariance, model.encoder, model.task_weights
    if covariance is None:
        variances = jnp.ones_like(weights)
    elif covariance.ndim == 1:
        variances = covariance
    else:
        variances, axes = jnp.linalg.eigh(covariance)
        encoder, weights = axes.T @ encoder, axes.T @ weights
    root = jnp.sqrt(variances)
    reduced = reduce_channels(model)
    return ColouredModel(
        variances,
        root[:, None] * encoder,
        root * weights,
        reduced.coupling,
        reduced.noise,
        reduced.spare_noise,
        reduced.task_noise,
    )


def columns_of_encoder(model: ColouredModel, sizes: Dimensions) -> int:
    """Columns that an encoder is brought to by rotating channels."""
    return min(sizes.inputs, model.coupling.shape[0] + sizes.spare)


def draw_by_ridge(
    key: PRNGKeyArray,
    model: ColouredModel,
    sizes: Dimensions,
    is_graded: bool,
    n: Array,
    encoding_penalty: Array,
) -> Learned:
    """What n recordings teach by ridge regression with this penalty a sample, drawn exactly.

    Any n, also below d, if the penalty is positive. With X = Q T, T of d rows (those beyond the
    n-th are 0), recordings enter as QᵀR alone: signal T A Hᵀ, and noise of d rows.

    **Source.** docs/theory.md, "Simulation".
    """
    d, k, spare = sizes
    dtype = model.coupling.dtype
    n, place = n.astype(dtype), jnp.arange(d, dtype=dtype)
    columns = min(d, spare)
    degrees = [bartlett_degrees(d, n, dtype)]
    channels = model.coupling.shape[0]
    shapes = [(d, d), (d, channels)]
    if spare:
        degrees.append(bartlett_degrees(columns, spare, dtype))
        shapes.append((columns, d))
    chi, normal = draw_numbers(key, degrees, shapes, dtype)
    white = jnp.where(place[:, None] < n, bartlett(chi[0], normal[0]), 0.0)
    recorded = white @ model.latents @ model.coupling.T + normal[1] @ model.noise.T
    inputs = white * jnp.sqrt(model.variances)[None, :]
    system = inputs.T @ inputs + n * encoding_penalty * jnp.eye(d, dtype=dtype)
    lower = jnp.linalg.cholesky(system, symmetrize_input=False)
    if spare:
        noise = model.spare_noise * bartlett(chi[1], normal[2]).T
        recorded = jnp.concatenate([recorded, noise], axis=1)
    # F = W^−½XᵀR, of which the leading left singular vectors are kept.
    half = jax.scipy.linalg.solve_triangular(lower, inputs.T @ recorded, lower=True)
    leading, settled = half, jnp.ones((), bool)
    if half.shape[1] > k and not is_graded:
        if d <= LARGEST_DENSE or half.shape[1] <= LARGEST_DENSE:
            leading = _leading(half, k)
        else:
            signal = half[:, :k] if spare else half @ model.coupling
            rest = half[:, channels:] if spare else half
            edge = jnp.sum(rest**2) / d
            leading, settled = leading_vectors(half @ half.T, signal, edge)
    learned = jax.scipy.linalg.solve_triangular(lower, leading, lower=True, trans="T")
    if is_graded:
        learned = learned * jnp.sqrt(d / jnp.sum(learned**2))
        # No more columns than inputs: M Mᵀ alone counts.
        if learned.shape[1] > d:
            learned = jnp.linalg.qr(learned.T, mode="r").T
    else:
        learned = jnp.linalg.qr(learned)[0]
    return Learned(learned, settled)


def draw_at_random(key: PRNGKeyArray, sizes: Dimensions, dtype) -> Learned:
    """A subspace drawn at random in the user's coordinates."""
    drawn = jr.normal(key, (sizes.inputs, sizes.latents), dtype)
    return Learned(jnp.linalg.qr(drawn)[0], jnp.ones((), bool))


def true_subspace(model: ColouredModel) -> Learned:
    """What recordings without end teach: the encoder itself."""
    encoder = model.latents / jnp.sqrt(model.variances)[:, None]
    return Learned(jnp.linalg.qr(encoder)[0], jnp.ones((), bool))


def _leading(half: Float[Array, "d c"], k: int) -> Float[Array, "d k"]:
    """The k leading left singular vectors, or as many columns of the same span."""
    d, columns = half.shape
    if columns < d:
        return half @ leading_eigenspace(half.T @ half, k)
    return leading_eigenspace(half @ half.T, k)
