"""Trials with data for inputs of any covariance, ridge encoding, two penalties, graded priors."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._linalg import map_factorisations
from ..estimators import befs_path, encode, random_subspace, ridge, shuffle_recordings, task_only
from ..estimators.banded import with_predicted_recordings
from ..models import LinearGaussianModel, Problem
from .brain_stage import reduce_model
from .data_trials import risk_of, stage_keys


class BrainSizes(NamedTuple):
    """Static sizes of a first stage."""

    n: int
    source: str
    is_graded: bool


class TaskSizes(NamedTuple):
    """Static sizes of a second stage."""

    n: int
    is_graded: bool


def model_of(problem: Problem) -> LinearGaussianModel:
    """A model with this summary, its inputs in principal components."""
    d, k = problem.input_dim, problem.latent_dim
    reduced, _ = reduce_model(problem)
    geometry = problem.geometry
    p = k if problem.recording_dim is None else problem.recording_dim
    dtype = reduced.coupling.dtype
    if geometry is None:
        encoder, covariance = jnp.eye(d, k, dtype=dtype), jnp.ones(d, dtype)
        weights = jnp.zeros(d, dtype).at[:k].set(reduced.aligned)
        weights = weights.at[k].set(jnp.sqrt(problem.misaligned_power))
    else:
        covariance = geometry.variances
        root = jnp.sqrt(covariance)
        encoder, weights = geometry.directions / root[:, None], geometry.weights / root
    noise = problem.latent_noise
    return LinearGaussianModel(
        encoder=encoder,
        readout=jnp.eye(p, k, dtype=dtype) @ reduced.coupling,
        latent_noise=noise if problem.is_matrix_form else jnp.diag(noise),
        recording_noise=problem.recording_noise,
        task_weights=weights,
        task_noise=problem.task_noise,
        input_covariance=covariance,
    )


def variances_of(model: LinearGaussianModel) -> Float[Array, " d"]:
    """Of the principal components."""
    covariance = model.input_covariance
    if covariance is None:
        return jnp.ones(model.input_dim, model.task_weights.dtype)
    return covariance if covariance.ndim == 1 else jnp.linalg.eigvalsh(covariance)


def root_of(covariance: Float[Array, "..."]) -> Float[Array, "d d"]:
    """A root of a covariance, or of variances, rootᵀroot = Σ."""
    if covariance.ndim == 1:
        return jnp.diag(jnp.sqrt(covariance))
    values, vectors = jnp.linalg.eigh(covariance)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None, :]).T


def first_stage(
    sizes: BrainSizes,
    key: PRNGKeyArray,
    model: LinearGaussianModel,
    root: Float[Array, "d d"],
    encoding_penalty: Array,
) -> tuple[Float[Array, "d e"], Array]:
    """What recordings teach: a subspace or an encoder, and what its features miss of the task.

    - `root`: of the covariance of the inputs.
    """
    key, _ = stage_keys(key)
    key_data, key_control = jr.split(key)
    source, is_graded = sizes.source, sizes.is_graded
    k, weights = model.latent_dim, model.task_weights
    if source == "model":
        learned = jnp.linalg.qr(model.encoder)[0]
    elif source == "chance":
        learned = random_subspace(key_control, model.input_dim, k)
    else:
        inputs, recordings = model.sample_brain(key_data, sizes.n)
        if source == "shuffled recordings":
            recordings = shuffle_recordings(key_control, recordings)
        if is_graded:
            learned = ridge(inputs, recordings, encoding_penalty)
        else:
            learned = encode(inputs, recordings, k, encoding_penalty)
    learned = jnp.asarray(learned, weights.dtype)
    if is_graded:
        return learned, jnp.full((), jnp.nan, weights.dtype)
    features, predicted = jnp.linalg.qr(root @ learned)[0], root @ weights
    return learned, jnp.sum((predicted - features @ (features.T @ predicted)) ** 2)


def second_stage(
    sizes: TaskSizes,
    key: PRNGKeyArray,
    model: LinearGaussianModel,
    root: Float[Array, "r d"] | None,
    outside: Float[Array, "b l"],
    inside: Float[Array, "b m"],
    learned: Float[Array, "b d e"],
) -> Float[Array, "b m l"]:
    """Test risk for each first stage and all pairs of its penalties, on one set of labels."""
    _, key = stage_keys(key)
    inputs, targets = model.sample_task(key, sizes.n)
    d = model.input_dim

    def risks(each: tuple[Array, Array, Array]) -> Array:
        learned, outside, inside = each
        rows, basis, encoder = inputs, learned, None
        if sizes.is_graded:
            rows, basis, encoder = with_predicted_recordings(inputs, learned)

        def of_inside(inside: Array) -> Array:
            found = befs_path(rows, targets, basis, outside, inside)
            if encoder is not None:
                found = found[:, :d] + found[:, d:] @ encoder.T
            return jax.vmap(partial(risk_of, model, root))(found)

        return map_factorisations(of_inside, inside, 1)

    return jax.lax.map(risks, (learned, outside, inside))


def alone(
    n: int,
    key: PRNGKeyArray,
    model: LinearGaussianModel,
    root: Float[Array, "r d"] | None,
    penalties: Float[Array, " l"],
) -> tuple[Array, Float[Array, " l"]]:
    """Test risk of least squares, and of ridge regression at each penalty.

    On the labels of `second_stage`.
    """
    _, key = stage_keys(key)
    inputs, targets = model.sample_task(key, n)

    def risk(penalty: Array) -> Array:
        return risk_of(model, root, ridge(inputs, targets, penalty))

    unpenalised = jnp.full((), jnp.nan, inputs.dtype)
    if n > model.input_dim + 1:
        unpenalised = risk_of(model, root, task_only(inputs, targets))
    return unpenalised, map_factorisations(risk, penalties, 1)
