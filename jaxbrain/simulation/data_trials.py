"""Trials with data: draw inputs, recordings and labels, run estimators, evaluate their risk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from ..estimators import VARIANTS, befs_path, find_variant, ridge, task_only
from ..models import LinearGaussianModel, Problem
from .brain_stage import reduce_model

Estimator = Callable[..., Array]
"""`estimator(key, brain_inputs, recordings, task_inputs, targets, penalty)` → weights (d,)."""

SUBSPACES = tuple(
    variant.name for variant in VARIANTS if variant.source and variant.n_penalties == 1
)
"""Estimators with one penalty and a subspace: BEFS, its controls, and its limit."""


def representative(problem: Problem) -> LinearGaussianModel:
    """A model with this summary. Which of them cannot matter: all differ by rotations."""
    d, k = problem.input_dim, problem.latent_dim
    reduced, _ = reduce_model(problem)
    # Very many channels show the latents as they are, encoding noise included.
    many = problem.recording_dim is None
    p = k if problem.recording_dim is None else problem.recording_dim
    eye = jnp.eye(p, k, dtype=reduced.coupling.dtype)
    noise = problem.encoding_noise if many else problem.latent_noise
    weights = jnp.zeros(d, eye.dtype).at[:k].set(reduced.aligned)
    return LinearGaussianModel(
        encoder=jnp.eye(d, k, dtype=eye.dtype),
        readout=eye if many else eye @ reduced.coupling,
        latent_noise=noise if problem.is_matrix_form else jnp.diag(noise),
        recording_noise=jnp.zeros_like(problem.recording_noise)
        if many
        else problem.recording_noise,
        task_weights=weights.at[k].set(jnp.sqrt(problem.misaligned_power)),
        task_noise=problem.task_noise,
    )


class Sizes(NamedTuple):
    """Static sizes of a trial with data."""

    n: int
    subspace: str


def stage_keys(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """Keys of the brain stage and of the task stage of a trial, whatever the sample numbers."""
    return jr.fold_in(key, 0), jr.fold_in(key, 1)


def brain_trial(
    sizes: Sizes, key: PRNGKeyArray, model: LinearGaussianModel
) -> tuple[Float[Array, "d k"], Array]:
    """A basis of the learned subspace, and ‖K̂β‖²."""
    key, _ = stage_keys(key)
    key_data, key_control = jr.split(key)
    k, weights = model.latent_dim, model.task_weights
    variant, rows = find_variant(sizes.subspace), {}
    if variant.takes_recordings:
        rows = dict(
            zip(("inputs", "recordings"), model.sample_brain(key_data, sizes.n), strict=True)
        )
    basis = variant.learned(key_control, k, model=model, **rows)
    basis = jnp.asarray(basis, weights.dtype)
    return basis, jnp.sum((weights - basis @ (basis.T @ weights)) ** 2)


def task_trial(
    n_task: int,
    key: PRNGKeyArray,
    model: LinearGaussianModel,
    root: Float[Array, "r d"] | None,
    penalties: Float[Array, "b l"],
    bases: Float[Array, "b d k"],
) -> Float[Array, "b l"]:
    """Test risk for each learned subspace and each of its penalties, on one set of labels."""
    _, key = stage_keys(key)
    inputs, targets = model.sample_task(key, n_task)

    def risks(pair):
        basis, penalties = pair
        found = befs_path(inputs, targets, basis, penalties)
        return jax.vmap(partial(risk_of, model, root))(found)

    return jax.lax.map(risks, (bases, penalties))


def baseline_trial(
    n_task: int,
    key: PRNGKeyArray,
    model: LinearGaussianModel,
    root: Float[Array, "r d"] | None,
    penalty: Array,
) -> tuple[Array, Array]:
    """Test risk of least squares and of ridge regression, on the labels of `task_trial`."""
    _, key = stage_keys(key)
    inputs, targets = model.sample_task(key, n_task)
    risk = partial(risk_of, model, root)
    alone = jnp.asarray(jnp.nan, inputs.dtype)
    if n_task >= model.input_dim:
        alone = risk(task_only(inputs, targets))
    return alone, risk(ridge(inputs, targets, penalty))


class CustomSizes(NamedTuple):
    """Static sizes of a trial with a user's own estimator."""

    n_brain: int
    n_task: int
    estimator: Estimator


def custom_trial(
    sizes: CustomSizes,
    key: PRNGKeyArray,
    model: LinearGaussianModel,
    root: Float[Array, "r d"] | None,
    penalties: Float[Array, " l"],
) -> Float[Array, " l"]:
    """Test risk of a user's estimator at each penalty."""
    key_brain, key_task = stage_keys(key)
    key_data, key_own = jr.split(key_brain)
    brain = model.sample_brain(key_data, sizes.n_brain)
    task = model.sample_task(key_task, sizes.n_task)

    def risk(penalty):
        return risk_of(model, root, sizes.estimator(key_own, *brain, *task, penalty))

    return jax.lax.map(risk, penalties)


def risk_of(
    model: LinearGaussianModel, root: Float[Array, "r d"] | None, weights: Float[Array, " d"]
) -> Float[Array, ""]:
    """(β̂ − β)ᵀΣ(β̂ − β), Σ = rootᵀroot, or the identity."""
    error = weights - model.task_weights
    return jnp.sum(error**2) if root is None else jnp.sum((root @ error) ** 2)
