"""Closed forms over the draws of a pilot: what is known of an answer, as far as the pilot tells."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._arguments import EstimatorOfRecordings
from .._checks import as_float_like
from .._threads import with_one_blas_thread
from .._typing import AnyArray
from ..models import Problem
from ..theory import optimal_encoding_penalty
from ..theory.any_covariance import (
    least_squares_of,
    ridge_risk_of,
    solve_cells,
    value_of_cells,
)
from .estimates import PilotEstimate

BASELINES = ("ols", "ridge")


def worth_over_draws(
    estimate: PilotEstimate,
    n_brain: AnyArray | float,
    n_task: AnyArray | float,
    encoding_penalty: float | str,
) -> dict[str, np.ndarray]:
    """What `jaxbrain.worth` tells, and the risk with two penalties, of each draw, by its names.

    NaN where a draw has too many latents for its subspace to be read out with so few labels.
    """
    both: tuple[EstimatorOfRecordings, ...] = ("befs", "befs_two_penalties")
    found = cells_over_draws(estimate, n_brain, n_task, encoding_penalty, both)
    (risk, of_two), against = np.moveaxis(found["risk"], 1, 0), found["value"]
    known = np.isfinite(risk)
    value = np.where(known, against[:, 0, 0], np.nan)
    information = np.maximum(against[:, 1, 1], 0.0)
    return {
        "risk": risk,
        "two_penalty_risk": of_two,
        "ridge_risk": found["ridge"],
        "task_only_risk": found["ols"],
        "value": value,
        "value_vs_ridge": np.where(known, against[:, 0, 1], np.nan),
        "information_value": np.where(np.asarray(n_task) > 0, information, 0.0),
        "exchange_rate": value / n_brain,
        "savings": value / (n_task + value),
    }


def cells_over_draws(
    estimate: PilotEstimate,
    n_brain: AnyArray | float,
    n_task: AnyArray | float,
    encoding_penalty: float | str,
    estimators: tuple[EstimatorOfRecordings, ...],
    penalty: AnyArray | None = None,
) -> dict[str, np.ndarray]:
    """Risks and values of each draw, at cells of the shape that all numbers broadcast to.

    `risk`, over draws, estimators and cells; `value`, over draws, estimators, baselines ("ols" and
    "ridge") and cells: labels that a baseline needs for that risk beyond n_task; `ols` and `ridge`,
    over draws and the shape of n_task: risks on the labels alone. `penalty` is that of BEFS; None
    is the best one, which other estimators always take. The encoding penalty `"optimal"` is the
    best one of the central problem. Where recordings are too few to tell the latents of a draw
    apart, its risk is infinite and its value NaN.
    """
    like = estimate.problem.task_noise
    # The best of a draw hardly differs, and a search in each takes twelve times as long.
    encoding = tuple(
        optimal_encoding_penalty(estimate.problem, n_brain, n_task, estimator=name)
        if isinstance(encoding_penalty, str)
        else as_float_like("encoding_penalty", encoding_penalty, like)
        for name in estimators
    )
    penalty = None if penalty is None else as_float_like("penalty", penalty, like)
    n_brain = as_float_like("n_brain", n_brain, like)
    n_task = as_float_like("n_task", n_task, like)
    found = []
    # A program for each number of latents, with all answers in it.
    for draws in estimate.draws:
        least = draws.input_dim + 1 if encoding_penalty == 0 else draws.latent_dim
        few = n_brain <= least
        some = jnp.where(few, least + 1.0, n_brain).astype(n_brain.dtype)
        each = _of_one_dimension(draws, some, n_task, penalty, encoding, estimators)
        found.append(
            each
            | {
                "risk": np.where(few, np.inf, each["risk"]),
                "value": np.where(few, np.nan, each["value"]),
            }
        )
    return {name: np.concatenate([np.asarray(each[name]) for each in found]) for name in found[0]}


@with_one_blas_thread
def _of_one_dimension(
    draws: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    encoding: tuple[Array, ...],
    estimators: tuple[str, ...],
) -> dict[str, Array]:
    return _map(draws, n_brain, n_task, penalty, encoding, estimators)


@partial(jax.jit, static_argnames="estimators")
def _map(
    draws: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    encoding: tuple[Array, ...],
    estimators: tuple[str, ...],
) -> dict[str, Array]:
    def of_one(problem: Problem) -> dict[str, Array]:
        def risk_of(estimator: str, ridge: Array) -> Array:
            held = penalty if estimator == "befs" else None
            return solve_cells(problem, n_brain, n_task, held, None, ridge, estimator).risk

        risks = jnp.stack(jnp.broadcast_arrays(*map(risk_of, estimators, encoding)))
        labels = jnp.broadcast_to(n_task, risks.shape)
        worth = [value_of_cells(problem, risks, labels, baseline) for baseline in BASELINES]
        return {
            "risk": risks,
            "value": jnp.stack(worth, axis=1),
            "ols": least_squares_of(problem, n_task),
            "ridge": ridge_risk_of(problem, n_task, None),
        }

    # One after the other: mapped as a batch these programs have been seen to hang on a CPU.
    return jax.lax.map(of_one, draws)


def interval(values: AnyArray) -> tuple[float, float]:
    """The middle 95 % of the draws of a number."""
    low, high = ends(values)
    return float(low), float(high)


def ends(values: AnyArray) -> tuple[np.ndarray, np.ndarray]:
    """The middle 95 % of the draws, which are the first axis, of each number.

    What is undefined in a draw counts as less than all others.
    """
    ordered = np.where(np.isnan(values), -np.inf, values)
    # Between two draws there may be nothing, where one is infinite.
    low, high = np.quantile(ordered, [0.025, 0.975], axis=0, method="nearest")
    return np.where(low > -np.inf, low, np.nan), np.where(high > -np.inf, high, np.nan)
