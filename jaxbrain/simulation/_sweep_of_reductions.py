"""`method="reduced"`: subspaces for each n_brain, traces for each n_task, and their products.

What is compiled does not depend on the grids: one program draws subspaces for one n_brain, another
traces for eight n_task, and a power of two of dimensions and penalties.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._typing import AnyArray
from ..models import LinearGaussianModel, Problem
from ..models.shift import BlockShift
from ..theory import optimal_penalty
from ..theory.resolvent import resolvent
from ._grids import Grids, Plan, at_best_penalty, empirical_penalties
from ._trials import Moments, run_trials
from .brain_stage import (
    Dimensions,
    ReducedModel,
    SubspaceDraw,
    draw_subspace,
    is_dense,
    reduce_model,
)
from .data_trials import stage_keys
from .random_matrices import TraceDraws, trace_draws
from .task_stage import DrawnMoments, moments_of_draw, risk_from_moments

# Sweeps over other grids run the same compiled programs: so many numbers of labels at a time, and
# at least so many penalties.
_ROWS, _FEWEST_PENALTIES = 8, 4
# So many cells in each call of the closed form.
_CELLS = 64


def brain_trial(
    sizes: Dimensions, key: PRNGKeyArray, reduced: ReducedModel, n: Array
) -> SubspaceDraw:
    """The learned subspace of n recordings; for other n from the same random numbers."""
    return draw_subspace(stage_keys(key)[0], reduced, sizes, n)


def trace_trial(
    at_most: int, key: PRNGKeyArray, q: Array, n: Array, penalties: Array
) -> TraceDraws:
    """Traces for each number of rows and each of its penalties, (n, l); q up to `at_most`."""
    key = stage_keys(key)[1]
    return jax.vmap(lambda n, c: trace_draws(key, q, n, c, at_most))(n, penalties)


def simulate(
    model: LinearGaussianModel | Problem,
    plan: Plan,
    estimator: str | Callable[..., Any],
    shift: BlockShift | AnyArray | None,
) -> dict[str, np.ndarray]:
    """The variables of a sweep, as arrays."""
    if estimator != "befs":
        raise ValueError(f"estimator: {estimator} has no reduced draws; use method='data'")
    if shift is not None and not isinstance(shift, BlockShift):
        raise ValueError(
            "shift: reduced draws know a BlockShift alone; for a covariance matrix use "
            "method='data'"
        )
    reduced, sizes = reduce_model(model)
    d, k, _ = sizes
    q, grids = d - k, plan.grids
    noise, m = float(reduced.task_noise), float(reduced.misaligned_power)
    aligned = float(jnp.sum(reduced.aligned**2))
    power = aligned + m
    n_task = grids.n_task.astype(float)
    penalties = cell_penalties(model, plan, noise, power, q)

    subspaces = _subspaces(plan, reduced, sizes, shift)
    # Under the rule "optimal", and in a schedule, each n_brain has a penalty of its own, which to
    # the traces is one more.
    own = grids.rule in ("optimal", "schedule")
    strengths = (penalties[:, :, 0].T if own else penalties[0]) * n_task[:, None]
    traces = _traces(plan, q, n_task - k, strengths)

    def by_cell(rows: np.ndarray) -> np.ndarray:  # (seeds, n_brain, n_task, penalty, ...)
        return np.swapaxes(rows, 1, 2)[:, :, :, None] if own else rows[:, None]

    risk, error = _risk_at_means(
        (subspaces.means()[:, :, None, None], subspaces.covariance_of_means()[:, :, None, None]),
        (by_cell(traces.means()), by_cell(traces.covariance_of_means())),
        partial(risk_from_moments, noise=noise, k=k, q=q, n=n_task[:, None]),
    )
    # Without a penalty the error of fewer than d + 2 labels has no mean.
    defined = (penalties > 0) | (n_task[None, :, None] > d + 1)
    risk, error = (
        np.where(defined[..., None], np.moveaxis(x, 0, -1), np.nan) for x in (risk, error)
    )
    if grids.rule == "empirical":
        risk, error, penalties = at_best_penalty(risk, error, penalties)
    return {
        "working_bytes": np.asarray(working_bytes(sizes)),
        "risk": risk,
        "risk_standard_error": error,
        "penalty_used": penalties,
        "misalignment": subspaces.means()[..., 0].T,
        "misalignment_standard_error": np.sqrt(subspaces.covariance_of_means()[..., 0, 0]).T,
        **_baselines(plan, sizes, noise, aligned, m, shift),
    }


def cell_penalties(
    model: LinearGaussianModel | Problem, plan: Plan, noise: float, power: float, q: int
) -> np.ndarray:
    """The penalty of each cell, (n_brain, n_task, penalty)."""
    grids = plan.grids
    if grids.rule == "empirical":
        table = empirical_penalties(grids, noise, power, q)[None]
    elif grids.rule == "optimal":
        try:
            problem = model.problem() if isinstance(model, LinearGaussianModel) else model
        except ValueError as unequal:
            raise ValueError(
                "penalty 'optimal' is a closed form, which knows equal channels alone: pass "
                "'empirical' or "
                "a grid of penalties"
            ) from unequal
        table = _optimal_penalties(problem, grids)[..., None]
    elif grids.rule == "schedule":
        table = grids.penalty[..., None]
    else:
        table = grids.penalty[None, None, :]
    return np.broadcast_to(table, (len(grids.n_brain), len(grids.n_task), table.shape[-1]))


def _optimal_penalties(problem: Problem, grids: Grids) -> np.ndarray:
    """(n_brain, n_task), from calls of one shape."""
    n_brain, n_task = np.meshgrid(grids.n_brain * 1.0, grids.n_task * 1.0, indexing="ij")
    calls = -(-n_brain.size // _CELLS), _CELLS
    found = [
        np.asarray(optimal_penalty(problem, *cells), float)
        for cells in zip(np.resize(n_brain, calls), np.resize(n_task, calls), strict=True)
    ]
    return np.concatenate(found)[: n_brain.size].reshape(n_brain.shape)


def working_bytes(sizes: Dimensions) -> float:
    """Memory of a draw of the brain stage, roughly."""
    d, k, spare = sizes
    return 8.0 * (4 * min(d, k + spare) ** 2 if is_dense(sizes) else 30 * d * k)


def _subspaces(
    plan: Plan, reduced: ReducedModel, sizes: Dimensions, shift: BlockShift | None
) -> Moments:
    """Moments of the learned subspaces: (seeds, n_brain, the five of DrawnMoments)."""
    d, k, _ = sizes
    moments = Moments(plan.seeds)
    dtype, power = reduced.aligned.dtype, float(reduced.misaligned_power)
    variances = None if shift is None else jax.tree.map(float, shift)
    chunks = plan.chunks(48.0 * len(plan.grids.n_brain))
    for step, (seed, numbers) in enumerate(chunks):
        drawn = [
            run_trials(
                brain_trial,
                sizes,
                plan.key,
                numbers,
                (reduced, jnp.asarray(n, dtype)),
                mesh=plan.mesh,
                batch=plan.batch(working_bytes(sizes)),
            )
            for n in plan.grids.n_brain
        ]
        draws = jax.tree.map(lambda *x: np.stack(x, axis=1).astype(float), *drawn)
        moments.add(seed, np.stack(moments_of_draw(draws, power, k, d - k, variances), axis=-1))
        plan.report("subspaces", step + 1, len(chunks))
    return moments


def _traces(plan: Plan, q: int, rows: np.ndarray, penalties: np.ndarray) -> Moments:
    """Moments of the traces, (seeds, n, penalty, the three of TraceDraws); penalties by n."""
    moments = Moments(plan.seeds)
    dtype = jnp.zeros(()).dtype
    if plan.traces != "drawn":
        arguments = jnp.asarray(rows, dtype), jnp.asarray(penalties, dtype)
        exact = np.stack(_closed_traces(q, *arguments), axis=-1).astype(float)
        for seed in range(plan.seeds):
            moments.add(seed, np.stack([exact, exact]))
        return moments
    count, width = penalties.shape
    blocks = _in_blocks(rows, penalties)
    block_bytes = 8.0 * (4 * q * _ROWS + 10 * blocks[0][1].size)
    chunks = plan.chunks(8.0 * 3 * penalties.size)
    for step, (seed, numbers) in enumerate(chunks):
        drawn = [
            run_trials(
                trace_trial,
                _power_of_two(q),
                plan.key,
                numbers,
                tuple(jnp.asarray(x, dtype) for x in (q, *block)),
                mesh=plan.mesh,
                batch=plan.batch(block_bytes),
            )
            for block in blocks
        ]
        draws = [np.concatenate(x, axis=1)[:, :count, :width] for x in zip(*drawn, strict=True)]
        moments.add(seed, np.stack(draws, axis=-1).astype(float))
        plan.report("traces", step + 1, len(chunks))
    return moments


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _in_blocks(rows: np.ndarray, penalties: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """A grid cut into blocks of canonical shapes.

    Where it does not fill them its last entries stand again.
    """
    count, width = penalties.shape
    wider = max(_FEWEST_PENALTIES, _power_of_two(width))
    longer = (0, -count % _ROWS)
    rows = np.pad(rows, longer, mode="edge")
    penalties = np.pad(penalties, (longer, (0, wider - width)), mode="edge")
    starts = range(0, len(rows), _ROWS)
    return [(rows[start : start + _ROWS], penalties[start : start + _ROWS]) for start in starts]


@partial(jax.jit, static_argnums=0)
def _closed_traces(q: int, rows: Array, penalties: Array) -> TraceDraws:
    unlimited = jnp.isinf(penalties)
    top = jnp.where(unlimited, 1.0, penalties)
    bottom = jnp.where(unlimited, 0.0, 1.0)
    found = resolvent(top, bottom, q, jnp.broadcast_to(rows[:, None], top.shape))
    return TraceDraws(found.noise, found.c2_t2, found.c2_t11)


def _risk_at_means(
    subspaces: tuple[np.ndarray, np.ndarray],
    traces: tuple[np.ndarray, np.ndarray],
    risk: Callable[[DrawnMoments, TraceDraws], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Risk at the means, and its standard error.

    It is linear in the one and affine in the other.
    """
    (s, s_covariance), (t, t_covariance) = subspaces, traces

    def at(s: np.ndarray, t: np.ndarray) -> Any:
        return risk(DrawnMoments(*np.moveaxis(s, -1, 0)), TraceDraws(*np.moveaxis(t, -1, 0)))

    by_s = np.stack(np.broadcast_arrays(*(at(unit, t) for unit in np.eye(s.shape[-1]))), axis=-1)
    nothing = at(s, np.zeros(3))
    by_t = np.stack(np.broadcast_arrays(*(at(s, unit) - nothing for unit in np.eye(3))), axis=-1)
    variance = np.einsum("...a,...ab,...b->...", by_s, s_covariance, by_s)
    variance = variance + np.einsum("...a,...ab,...b->...", by_t, t_covariance, by_t)
    return at(s, t), np.sqrt(np.maximum(variance, 0.0))


def _baselines(
    plan: Plan, sizes: Dimensions, noise: float, aligned: float, m: float, shift: BlockShift | None
) -> dict[str, np.ndarray]:
    """Least squares and ridge regression at its best penalty for white test inputs.

    No subspace at all.
    """
    d, k, _ = sizes
    n, power = plan.grids.n_task_only.astype(float), aligned + m
    traces = _traces(plan, d, n, np.broadcast_to([0.0, noise * d / power], (len(n), 2)))
    total, missed = float(d), power
    if shift is not None:
        a_sensitive, a_missed, a_rest = (float(x) for x in jax.tree.leaves(shift))
        total = k * a_sensitive + a_missed + (d - k - 1) * a_rest
        missed = a_sensitive * aligned + a_missed * m
    nothing = np.array([power, 0.0, 0.0, missed, total])
    risk, error = _risk_at_means(
        (nothing, np.zeros((5, 5))),
        (traces.means(), traces.covariance_of_means()),
        partial(risk_from_moments, noise=noise, k=0, q=d, n=n[:, None]),
    )
    solvable = n > d + 1
    return {
        "risk_of_predicting_zero": np.asarray(missed),
        "task_only_risk": np.where(solvable[:, None], risk[:, :, 0].T, np.nan),
        "task_only_risk_standard_error": np.where(solvable[:, None], error[:, :, 0].T, np.nan),
        "ridge_risk": risk[:, :, 1].T,
        "ridge_risk_standard_error": error[:, :, 1].T,
    }
