"""Test errors under a test covariance, for inputs of any covariance: all cells of a question."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..models import Problem
from ..models.shift import BlockShift
from .any_covariance import Answer, checked_cells
from .any_shift import (
    Seen,
    ShiftedStage,
    ShiftMoments,
    among_features,
    seen_through,
    shift_moments,
    shifted_ridge_stage,
    shifted_stage,
)
from .learned_prior import Equivalent, Freedom, along_penalties, features_of
from .spectral_stage import at_best_penalty, fewer_labels, points_between
from .spectral_study import (
    Study,
    prior_at,
    ridge_stage_in,
    second_in,
    stage_in,
    study_of,
    with_geometry,
)


def shifted_cells(
    problem: Problem,
    shift: BlockShift | Array,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array | None,
    estimator: str,
    stacklevel: int = 4,
) -> Answer:
    """`checked_cells`, with the test error under a shift at the penalties that are best without."""
    cells = problem, n_brain, n_task, penalty, second_penalty, encoding_penalty
    found = checked_cells(*cells, estimator, stacklevel + 1)
    encoding = found.encoding_penalty if encoding_penalty is None else encoding_penalty
    # BEFS with one penalty has no other, so that the brain stage does not ask for labels.
    ratio = jnp.zeros_like(n_brain)
    if estimator != "befs":
        held = found.penalty > 0
        ratio = jnp.where(held, found.second_penalty / jnp.where(held, found.penalty, 1.0), 1.0)
    stages, which = _shifted_stages(problem, shift, n_brain, encoding, ratio, estimator)
    shape = found.risk.shape
    which = np.broadcast_to(which, shape)
    task = (jnp.broadcast_to(x, shape).ravel() for x in (n_task, found.penalty))
    risk = _shifted_risks(stages, which.ravel(), *task, best=penalty is None)
    return found._replace(risk=risk.reshape(shape))


def best_penalty_of_shifted_cells(
    problem: Problem,
    shift: BlockShift | Array,
    n_brain: Array,
    n_task: Array,
    encoding_penalty: Array | None,
    stacklevel: int = 4,
) -> Array:
    """The penalty of BEFS that is best under a shift."""
    cells = problem, n_brain, n_task, None, None, encoding_penalty
    found = checked_cells(*cells, "befs", stacklevel + 1)
    encoding = found.encoding_penalty if encoding_penalty is None else encoding_penalty
    stages, which = _shifted_stages(
        problem, shift, n_brain, encoding, jnp.zeros_like(n_brain), "befs"
    )
    shape = found.risk.shape
    which = np.broadcast_to(which, shape).ravel()
    labels = jnp.broadcast_to(n_task, shape).ravel()
    return _shifted_penalties(stages, which, labels).reshape(shape)


def _shifted_stages(
    problem: Problem,
    shift: BlockShift | Array,
    n_brain: Array,
    encoding_penalty: Array,
    ratio: Array,
    estimator: str,
) -> tuple[ShiftedStage, np.ndarray]:
    """Stages under a shift, one for each of what the recordings decide, and which is whose."""
    problem = with_geometry(problem)
    study, moments = study_of(problem, estimator), shift_moments(problem, shift)
    moments = among_features(
        moments, features_of(problem, estimator), study.prior.aligned.shape[-1]
    )
    brain = jnp.broadcast_arrays(n_brain, encoding_penalty, ratio)
    which = np.arange(brain[0].size).reshape(brain[0].shape)
    stages = _solve_shifted(study, moments, tuple(x.ravel() for x in brain), estimator)
    return stages, which


@partial(jax.jit, static_argnames="estimator")
def _solve_shifted(
    study: Study, moments: ShiftMoments, brain: tuple[Array, ...], estimator: str
) -> ShiftedStage:
    def one(cell: tuple[Array, ...]) -> ShiftedStage:
        n_brain, encoding, second = cell
        n_brain = jnp.minimum(n_brain, 1e9 * study.input_dim)
        prior = prior_at(study, n_brain, encoding)
        pair, free = second_in(study, second, estimator)

        def read(equivalent: Equivalent) -> tuple[Freedom, Seen]:
            numbers = prior, moments, n_brain, encoding, *pair
            return equivalent.freedom(prior), seen_through(equivalent, *numbers)

        points = points_between(study.lowest, study.highest)
        found, seen = along_penalties(prior, n_brain, encoding, *pair, points, read)
        return shifted_stage(stage_in(study, lambda _: found, free), seen, moments)

    return jax.lax.map(one, brain)


@partial(jax.jit, static_argnames="best")
def _shifted_risks(
    stages: ShiftedStage, which: Array, n_task: Array, penalty: Array, *, best: bool
) -> Array:
    """`best`: the penalties are those that are best without a shift, of any number of labels."""

    def one(which: Array, n_task: Array, penalty: Array) -> Array:
        return jax.tree.map(lambda x: x[which], stages).at(n_task, penalty, best=best)

    return jax.vmap(one)(which, n_task, penalty)


@jax.jit
def _shifted_penalties(stages: ShiftedStage, which: Array, n_task: Array) -> Array:
    def one(which: Array, n_task: Array) -> Array:
        return jax.tree.map(lambda x: x[which], stages).best_penalty(n_task)

    return jax.vmap(one)(which, n_task)


def shifted_ridge_risk_of(
    problem: Problem, shift: BlockShift | Array, n_task: Array, penalty: Array | None
) -> Array:
    """Ridge regression under a shift, at a given penalty or at the one best without."""
    study, moments = study_of(problem, "befs"), shift_moments(problem, shift)
    numbers = (n_task,) if penalty is None else jnp.broadcast_arrays(n_task, penalty)
    risk = _shifted_ridge(study, moments, *(number.ravel() for number in numbers))
    return risk.reshape(numbers[0].shape)


@jax.jit
def _shifted_ridge(
    study: Study, moments: ShiftMoments, n_task: Array, penalty: Array | None = None
) -> Array:
    stage = ridge_stage_in(study)
    shifted = shifted_ridge_stage(stage, study.prior.nodes, moments)
    best = penalty is None
    if penalty is None:
        some = jnp.maximum(n_task, 1.0)
        labels = fewer_labels(study.noise, study.total_power, study.input_dim, some)
        penalty = jax.vmap(lambda n: at_best_penalty(stage, n).penalty)(labels) * labels / some
    return jax.vmap(partial(shifted.at, best=best))(n_task, penalty)
