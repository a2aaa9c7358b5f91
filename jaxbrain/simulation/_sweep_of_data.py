"""`method="data"`: draw everything, run the estimators.

Knows no formula; every sample number is a shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._checks import as_float_like, check_choice, check_covariance, check_shape
from .._typing import AnyArray
from ..models import LinearGaussianModel, Problem
from ..models.shift import BlockShift
from ._grids import Plan, at_best_penalty
from ._sweep_of_reductions import cell_penalties
from ._trials import Moments, run_trials
from .data_trials import (
    SUBSPACES,
    CustomSizes,
    Sizes,
    baseline_trial,
    brain_trial,
    custom_trial,
    representative,
    task_trial,
)


def simulate(
    model: LinearGaussianModel | Problem,
    plan: Plan,
    estimator: str | Callable[..., Any],
    shift: BlockShift | AnyArray | None,
) -> dict[str, np.ndarray]:
    """The variables of a sweep, as arrays."""
    if isinstance(model, Problem):
        model = representative(model)
    if isinstance(estimator, str):
        check_choice("estimator", estimator, SUBSPACES)
    elif not callable(estimator):
        raise ValueError(f"estimator must be a function or one of {', '.join(SUBSPACES)}")
    if plan.traces != "drawn":
        raise ValueError("traces: with method='data' nothing is a closed form; leave it out")
    grids = plan.grids
    d, k, p = model.input_dim, model.latent_dim, model.recording_dim
    power = float(jnp.sum(model.task_weights**2))
    penalties = cell_penalties(model, plan, float(model.task_noise), power, d - k)
    root = _root(model, shift)

    width = (
        8.0 * max(grids.n_brain[-1] * (2 * d + 3 * p), 4.0 * grids.n_task_only[-1] * d)
        + 64.0 * d**2
    )
    if width > plan.max_bytes:
        raise ValueError(
            f"max_bytes must be at least {width:.2g} for a single trial of these sample numbers: "
            "allow more, "
            "or use method='reduced'"
        )
    batch = plan.batch(width)
    risks, missed, alone = Moments(plan.seeds), Moments(plan.seeds), Moments(plan.seeds)
    chunks = plan.chunks(
        8.0 * len(grids.n_brain) * (d * k + len(grids.n_task) * penalties.shape[2])
    )
    for step, (seed, numbers) in enumerate(chunks):

        def run(trial, static, *arguments, mapped=(), numbers=numbers):
            return run_trials(
                trial, static, plan.key, numbers, arguments, mapped, mesh=plan.mesh, batch=batch
            )

        if isinstance(estimator, str):
            found, lost = _with_subspaces(run, model, root, plan, penalties, estimator)
            missed.add(seed, lost[..., None])
        else:
            found = _with_function(run, model, root, plan, penalties, estimator)
        risks.add(seed, found[..., None])
        ridge = float(model.task_noise) * d / power
        baselines = [
            run(
                baseline_trial,
                int(n),
                model,
                root,
                jnp.asarray(ridge / n, model.task_weights.dtype),
            )
            for n in grids.n_task_only
        ]
        alone.add(seed, np.asarray(baselines, float).transpose(2, 0, 1)[..., None])
        plan.report("trials", step + 1, len(chunks))

    risk, error = _with_errors(risks)
    # Without a penalty the error of fewer than d + 2 labels has no mean.
    undefined = (penalties == 0) & (grids.n_task[None, :, None] <= d + 1)
    risk = np.where(undefined[..., None], np.nan, risk)
    if grids.rule == "empirical":
        risk, error, penalties = at_best_penalty(risk, error, penalties)
    if isinstance(estimator, str):
        misalignment = _with_errors(missed)
    else:
        misalignment = (np.full((len(grids.n_brain), plan.seeds), np.nan),) * 2
    baseline, baseline_error = _with_errors(alone)
    few = (grids.n_task_only <= d + 1)[:, None]
    zero = model.task_weights if root is None else root @ model.task_weights
    return {
        "working_bytes": np.asarray(width),
        "risk": risk,
        "risk_of_predicting_zero": np.asarray(jnp.sum(zero**2)),
        "risk_standard_error": error,
        "penalty_used": penalties,
        "misalignment": misalignment[0],
        "misalignment_standard_error": misalignment[1],
        "task_only_risk": np.where(few, np.nan, baseline[:, 0]),
        "task_only_risk_standard_error": np.where(few, np.nan, baseline_error[:, 0]),
        "ridge_risk": baseline[:, 1],
        "ridge_risk_standard_error": baseline_error[:, 1],
    }


def _root(model: LinearGaussianModel, shift: BlockShift | AnyArray | None):
    """A root of the test covariance, rootᵀroot = Σ."""
    if shift is None:
        return None
    d = model.input_dim
    if isinstance(shift, BlockShift):
        inside = model.encoder @ model.encoder.T
        missed = model.task_weights - inside @ model.task_weights
        length = jnp.linalg.norm(missed)
        v = jnp.where(length > 0, missed / jnp.where(length > 0, length, 1.0), 0.0)
        rest = jnp.eye(d, dtype=inside.dtype) - inside
        along = v[:, None] * v[None, :]
        shift = shift.sensitive * inside + shift.missed * along + shift.insensitive * (rest - along)
    covariance = as_float_like("shift", shift, model.task_noise)
    check_shape("shift", covariance, (d, d), "a BlockShift, or the covariance of the test inputs")
    check_covariance("shift", covariance)
    values, vectors = jnp.linalg.eigh(covariance)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None, :]).T


def _with_subspaces(run, model, root, plan: Plan, penalties: np.ndarray, subspace: str):
    """Risks (trials, n_brain, n_task, penalty) and misalignments (trials, n_brain)."""
    grids = plan.grids
    learned = [run(brain_trial, Sizes(int(n), subspace), model) for n in grids.n_brain]
    bases = np.stack([basis for basis, _ in learned], axis=1)
    found = [
        run(
            task_trial,
            int(n),
            model,
            root,
            jnp.asarray(penalties[:, column], bases.dtype),
            mapped=(bases,),
        )
        for column, n in enumerate(grids.n_task)
    ]
    return np.stack(found, axis=2).astype(float), np.stack([m for _, m in learned], 1).astype(float)


def _with_function(run, model, root, plan: Plan, penalties: np.ndarray, estimator) -> np.ndarray:
    grids, dtype = plan.grids, model.task_weights.dtype
    found = [
        [
            run(
                custom_trial,
                CustomSizes(int(n_brain), int(n_task), estimator),
                model,
                root,
                jnp.asarray(penalties[row, column], dtype),
            )
            for column, n_task in enumerate(grids.n_task)
        ]
        for row, n_brain in enumerate(grids.n_brain)
    ]
    return np.stack([np.stack(row, axis=1) for row in found], axis=1).astype(float)


def _with_errors(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard errors, the seed as the last dimension."""
    error = np.sqrt(np.maximum(moments.covariance_of_means()[..., 0, 0], 0.0))
    return np.moveaxis(moments.means()[..., 0], 0, -1), np.moveaxis(error, 0, -1)
