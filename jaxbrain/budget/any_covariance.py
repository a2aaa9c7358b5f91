"""The best split of a budget where inputs have any covariance, or the encoding stage a penalty.

The brain stage is dear there, and the risk smooth along the budget line: few amounts are asked for,
ever closer to the best one.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..models import Problem
from ..theory.any_covariance import least_squares_of, ridge_risk_of, solve_cells, value_of_cells
from ..theory.spectral_study import with_geometry
from ._whole_numbers import (
    WINDOW,
    Alone,
    Limits,
    affordable,
    labels_alone,
    labels_beside,
    plan_or_labels_alone,
    recordings_beside,
)
from .results import Allocation, Frontier

# Amounts asked for at once, and in how many batches from the fewest to all that money buys. One
# more lies between the neighbours of the best, and one is of whole numbers.
_WIDTH, _BATCHES = 12, 2


def allocate(
    problem: Problem,
    limits: Limits,
    encoding_penalty: Array | None,
    fewest: int,
    estimator: str,
    baseline: str,
) -> Allocation:
    """The plan of one modality, from `fewest` recordings on; None is the best encoding penalty."""
    study = with_geometry(problem)
    cost_brain, cost_task = limits.cost_brain[0], limits.cost_task
    available = limits.budget - limits.fixed_brain[0] - limits.fixed_task

    def labels_left(n_brain: Array) -> Array:
        return (available - cost_brain * n_brain) / cost_task

    def risks_of(n_brain: Array, n_task: Array) -> Array:
        # One program for all batches, none of whose cells may be out of bounds.
        n_brain, n_task = jax.lax.stop_gradient((n_brain, n_task))
        some = jnp.maximum(n_brain, fewest), jnp.clip(n_task, 0.0, 1e12)
        found = solve_cells(study, *some, None, None, encoding_penalty, estimator)
        # Recordings alone teach no task.
        return jnp.where((n_brain >= fewest) & (n_task >= 1), found.risk, jnp.inf)

    def along(low: Array, high: Array, count: int) -> Array:
        share = jnp.linspace(0.0, 1.0, count, dtype=low.dtype)
        return jnp.exp(jnp.log(low) + (jnp.log(high) - jnp.log(low)) * share)

    # All that money buys beside a single label.
    least = jnp.asarray(float(fewest), available.dtype)
    highest = jnp.maximum((available - cost_task) / cost_brain, least)
    amounts = along(least, highest, _WIDTH * _BATCHES)
    parts = [amounts[i : i + _WIDTH] for i in range(0, len(amounts), _WIDTH)]
    risks = jnp.concatenate([risks_of(part, labels_left(part)) for part in parts])
    best = _least(risks)
    low, high = amounts[jnp.maximum(best - 1, 0)], amounts[jnp.minimum(best + 1, len(amounts) - 1)]
    points = along(low, high, _WIDTH - 1)
    # And the best amount so far with a few more labels.
    more = 0.01 * jnp.maximum(labels_left(amounts[best]), 1.0)
    numbers = jnp.append(points, amounts[best])
    labels = labels_left(numbers).at[-1].add(more)
    *heights, beside = risks_of(numbers, labels)
    heights = jax.lax.stop_gradient(jnp.stack(heights))
    slope = jax.lax.stop_gradient(beside - risks[best]) / more

    rows, labels = _whole_numbers(limits, points[_least(heights)], labels_left, least)
    allowed = affordable(limits, rows, labels) & (rows[:, 0] >= least) & (labels >= 1)
    # Near the best amount the risk is a parabola along the budget line, and a line beside it.
    roughly = _parabola(points, heights, rows[:, 0])
    roughly = roughly + slope * (labels - labels_left(rows[:, 0]))
    roughly = jnp.where(allowed & ~jnp.isnan(roughly), roughly, jnp.inf)
    chosen = jax.lax.top_k(-jax.lax.stop_gradient(roughly), _WIDTH)[1]
    rows, labels, allowed = rows[chosen], labels[chosen], allowed[chosen]
    exact = jnp.where(allowed, risks_of(rows[:, 0], labels), jnp.inf)
    best = _least(exact)
    return plan_or_labels_alone(
        limits,
        rows[best, 0],
        labels[best],
        exact[best],
        _without_recordings(study, limits, baseline),
        lambda risk: value_of_cells(study, risk, jnp.zeros_like(risk), baseline),
        _frontier(amounts, labels_left(amounts), risks),
    )


def _least(heights: Array) -> Array:
    return jnp.argmin(jnp.where(jnp.isnan(heights), jnp.inf, heights))


def _parabola(points: Array, heights: Array, at: Array) -> Array:
    """Through the lowest of these heights and its neighbours, over the logarithm."""
    best = jnp.clip(_least(heights), 1, len(points) - 2)
    x = jnp.log(jax.lax.dynamic_slice_in_dim(points, best - 1, 3))
    y = jax.lax.dynamic_slice_in_dim(heights, best - 1, 3)
    # Where there is but one amount all are the same.
    h = jnp.where(x[1] > x[0], x[1] - x[0], 1.0)
    u = (jnp.log(at) - x[1]) / h
    bend = jnp.where(jnp.isfinite(y[0] + y[2]), (y[0] + y[2]) / 2 - y[1], 0.0)
    tilt = jnp.where(jnp.isfinite(y[0] + y[2]), (y[2] - y[0]) / 2, 0.0)
    return y[1] + tilt * u + bend * u**2


def _whole_numbers(limits: Limits, n_brain: Array, labels_left, fewest: Array):
    """Whole recordings with all labels that the rest buys, and the other way round."""
    window = jnp.asarray(WINDOW, n_brain.dtype)
    brain = jnp.concatenate([jnp.round(n_brain) + window, fewest[None]])[:, None]
    brain = jnp.maximum(brain, fewest)
    labels = jnp.maximum(jnp.round(labels_left(n_brain)) + window, 0.0)
    rows = recordings_beside(limits, jnp.zeros(1, n_brain.dtype), 0, labels)
    rows = jnp.maximum(rows, 0.0)
    return (
        jnp.concatenate([brain, rows]),
        jnp.concatenate([labels_beside(limits, brain), labels]),
    )


def _frontier(n_brain: Array, n_task: Array, risk: Array) -> Frontier:
    shown = jnp.isfinite(risk)
    return Frontier(*(jnp.where(shown, x, jnp.nan) for x in (n_brain, n_task, risk)))


def _without_recordings(problem: Problem, limits: Limits, baseline: str) -> Alone:
    n_task = labels_alone(limits)
    if baseline == "ols":
        return Alone(n_task, least_squares_of(problem, n_task))
    return Alone(n_task, ridge_risk_of(problem, n_task, None))
