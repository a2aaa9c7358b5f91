"""`method="data"` for inputs of any covariance, ridge encoding, two penalties, graded priors.

As `_sweep_of_data` it knows no formula but the scale of its grids; every sample number is a shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._checks import as_float_like, check_covariance, check_shape
from .._typing import AnyArray
from ..models import LinearGaussianModel, Problem
from ..models.shift import BlockShift
from ._best_penalties import encoding_of
from ._grids import Plan, at_best_penalty
from ._penalty_pairs import Scales, pairs_of, ridge_penalties
from ._stages import stages_of
from ._sweep_of_spectra import with_errors
from ._trials import Moments, run_trials
from .data_trials import CustomSizes, custom_trial
from .pair_trials import (
    BrainSizes,
    TaskSizes,
    alone,
    first_stage,
    model_of,
    root_of,
    second_stage,
    variances_of,
)


def simulate(
    model: LinearGaussianModel | Problem,
    plan: Plan,
    estimator: str | Callable[..., Any],
    shift: BlockShift | AnyArray | None,
) -> dict[str, np.ndarray]:
    """The variables of a sweep, as arrays: (n_brain, encoding penalty, n_task, inside, outside)."""
    if isinstance(model, Problem):
        model = model_of(model)
    if plan.traces != "drawn":
        raise ValueError("traces: with method='data' nothing is a closed form; leave it out")
    grids, dtype = plan.grids, model.task_weights.dtype
    d, p = model.input_dim, model.recording_dim
    variances = variances_of(model)
    white = root_of(variances if model.input_covariance is None else model.input_covariance)
    root = _test_root(model, shift, white)
    scales = Scales(np.asarray(variances, float), float(model.task_power), float(model.task_noise))
    stages = None if callable(estimator) else stages_of(estimator)
    encoding = encoding_of(model, grids, stages)
    pairs = pairs_of(model, grids, encoding, scales, stages)
    outside, inside = pairs.used
    is_graded = stages is not None and stages.is_graded
    wide = d + (p if is_graded else 0)
    width = (
        8.0 * max(grids.n_brain[-1] * (2 * d + 3 * p), 4.0 * grids.n_task_only[-1] * d)
        + 32.0 * (d**2 + wide**2)
        + 24.0 * grids.n_task[-1] * wide
    )
    if width > plan.max_bytes:
        raise ValueError(
            f"max_bytes must be at least {width:.2g} for a single trial of these sample numbers: "
            "allow more, or use method='reduced'"
        )
    batch = plan.batch(width)
    shape = outside.shape
    risks, misses = Moments(plan.seeds), Moments(plan.seeds)
    ridges, least_squares = Moments(plan.seeds), Moments(plan.seeds)
    penalties = ridge_penalties(scales, grids.n_task_only)
    columns = p if is_graded else model.latent_dim
    chunks = plan.chunks(8.0 * (encoding.size * d * columns + outside.size))
    for step, (seed, numbers) in enumerate(chunks):

        def run(trial, static, *arguments, mapped=(), numbers=numbers):
            return run_trials(
                trial, static, plan.key, numbers, arguments, mapped, mesh=plan.mesh, batch=batch
            )

        if stages is None:
            found = _with_function(run, model, root, plan, outside, estimator)
        else:
            learned = [
                run(
                    first_stage,
                    BrainSizes(int(n), stages.source, is_graded),
                    model,
                    white,
                    jnp.asarray(penalty, dtype),
                )
                for n, row in zip(grids.n_brain, encoding, strict=True)
                for penalty in row.ravel()
            ]
            first = np.stack([x for x, _ in learned], axis=1)
            # Each number of labels has what it learns from, or all have the same.
            first = first.reshape(len(numbers), *encoding.shape, *first.shape[2:])
            missed = np.stack([x for _, x in learned], axis=1).astype(float)
            misses.add(seed, missed.reshape(len(numbers), shape[0], -1, 1))
            found = [
                run(
                    second_stage,
                    TaskSizes(int(n), is_graded),
                    model,
                    root,
                    *(jnp.asarray(x[:, :, column].reshape(-1, x.shape[-1]), dtype) for x in pairs),
                    mapped=(
                        first[:, :, :, column % encoding.shape[2]].reshape(
                            len(numbers), -1, *first.shape[4:]
                        ),
                    ),
                )
                for column, n in enumerate(grids.n_task)
            ]
            found = np.stack(found, axis=2).astype(float)
        risks.add(seed, found.reshape(len(numbers), *shape, 1))
        baselines = [
            run(alone, int(n), model, root, jnp.asarray(penalty, dtype))
            for n, penalty in zip(grids.n_task_only, penalties, strict=True)
        ]
        for moments, each in zip(
            (least_squares, ridges), zip(*baselines, strict=True), strict=True
        ):
            moments.add(seed, np.stack(each, axis=1).astype(float)[..., None])
        plan.report("trials", step + 1, len(chunks))

    risk, error = with_errors(risks)
    n = grids.n_task[:, None, None]
    # Without a penalty the error of few labels has no mean.
    undefined = (outside == 0) & (n <= d + 1)
    if stages is not None:
        undefined |= (inside == 0) & (outside > 0) & (n <= columns + 1)
    risk = np.where(undefined[..., None], np.nan, risk)
    if stages is None:
        misalignment = (np.full((*shape[:2], plan.seeds), np.nan),) * 2
    else:
        misalignment = with_errors(misses)
    ridge, ridge_error, _ = at_best_penalty(*with_errors(ridges), penalties)
    baseline, baseline_error = with_errors(least_squares)
    few = (grids.n_task_only <= d + 1)[:, None]
    zero = model.task_weights if root is None else root @ model.task_weights
    return {
        "working_bytes": np.asarray(width),
        "risk": risk,
        "risk_of_predicting_zero": np.asarray(jnp.sum(zero**2)),
        "risk_standard_error": error,
        "penalty_used": outside,
        "inside_penalty_used": inside,
        "encoding_penalty_used": encoding[:, 0],
        "misalignment": misalignment[0],
        "misalignment_standard_error": misalignment[1],
        "task_only_risk": np.where(few, np.nan, baseline),
        "task_only_risk_standard_error": np.where(few, np.nan, baseline_error),
        "ridge_risk": ridge[..., 0, :],
        "ridge_risk_standard_error": ridge_error[..., 0, :],
    }


def _test_root(
    model: LinearGaussianModel, shift: BlockShift | AnyArray | None, white: AnyArray
) -> AnyArray:
    """A root of the covariance of the test inputs."""
    if shift is None:
        return white
    if isinstance(shift, BlockShift):
        raise ValueError(
            "shift: a BlockShift is of white inputs; pass the covariance matrix of the test inputs"
        )
    d = model.input_dim
    covariance = as_float_like("shift", shift, model.task_noise)
    check_shape("shift", covariance, (d, d), "the covariance of the test inputs")
    check_covariance("shift", covariance)
    return root_of(covariance)


def _with_function(run, model, root, plan: Plan, outside: np.ndarray, estimator) -> np.ndarray:
    """Risks of a user's own estimator, (trials, n_brain, n_task, penalty)."""
    grids, dtype = plan.grids, model.task_weights.dtype
    found = [
        [
            run(
                custom_trial,
                CustomSizes(int(n_brain), int(n_task), estimator),
                model,
                root,
                jnp.asarray(outside[row, 0, column, 0], dtype),
            )
            for column, n_task in enumerate(grids.n_task)
        ]
        for row, n_brain in enumerate(grids.n_brain)
    ]
    return np.stack([np.stack(row, axis=1) for row in found], axis=1).astype(float)
