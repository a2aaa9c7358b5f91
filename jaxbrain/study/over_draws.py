"""Closed forms over the draws of a pilot: what is known of an answer, as far as the pilot tells."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._checks import as_float_like
from .._threads import with_one_blas_thread
from .._typing import AnyArray
from ..models import Problem
from ..pilot.estimates import PilotEstimate
from ..theory.any_covariance import (
    least_squares_of,
    ridge_risk_of,
    solve_cells,
    value_of_cells,
)

_ALL = ("befs", "befs_two_penalties", "banded_ridge")


def worth_over_draws(
    estimate: PilotEstimate, n_brain: float, n_task: float, encoding_penalty: float | str
) -> dict[str, np.ndarray]:
    """What `jaxbrain.worth` tells and other risks, of each draw, under the same names.

    NaN where a draw has too many latents for its subspace to be read out with so few labels.
    """
    found = cells_over_draws(estimate, n_brain, n_task, encoding_penalty)
    risk = found["befs"]
    known = np.isfinite(risk)
    value, against_ridge = (
        np.where(known, found[f"befs over {baseline}"], np.nan) for baseline in ("ols", "ridge")
    )
    information = np.maximum(found["befs_two_penalties over ridge"], 0.0)
    return {
        "risk": risk,
        "two_penalty_risk": found["befs_two_penalties"],
        "banded_ridge_risk": found["banded_ridge"],
        "ridge_risk": found["ridge"],
        "task_only_risk": found["ols"],
        "value": value,
        "value_vs_ridge": against_ridge,
        "information_value": information if n_task > 0 else 0.0 * information,
        "exchange_rate": value / n_brain,
        "savings": value / (n_task + value),
    }


def cells_over_draws(
    estimate: PilotEstimate,
    n_brain: AnyArray | float,
    n_task: AnyArray | float,
    encoding_penalty: float | str,
    estimators: tuple[str, ...] = _ALL,
    penalty: AnyArray | None = None,
) -> dict[str, np.ndarray]:
    """Risks and values of each draw, an axis before those that all numbers broadcast to.

    By the name of an estimator its risk; by `befs over ols` the labels that least squares needs for
    that risk beyond n_task, and by `befs over ridge` those of ridge regression; by `ols` and
    `ridge` their own risk on the labels alone. `penalty` is that of BEFS; None is the best one.
    """
    like = estimate.problem.task_noise
    best = isinstance(encoding_penalty, str)
    encoding = None if best else as_float_like("encoding_penalty", encoding_penalty, like)
    penalty = None if penalty is None else as_float_like("penalty", penalty, like)
    n_brain, n_task = (
        as_float_like(name, number, like)
        for name, number in (("n_brain", n_brain), ("n_task", n_task))
    )
    # A program for each number of latents, with all answers in it.
    found = [
        _of_one_dimension(draws, n_brain, n_task, penalty, encoding, estimators)
        for draws in estimate.draws
    ]
    return {name: np.concatenate([np.asarray(each[name]) for each in found]) for name in found[0]}


@with_one_blas_thread
def _of_one_dimension(
    draws: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    encoding: Array | None,
    estimators: tuple[str, ...],
) -> dict[str, Array]:
    return _map(draws, n_brain, n_task, penalty, encoding, estimators)


@partial(jax.jit, static_argnames="estimators")
def _map(
    draws: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    encoding: Array | None,
    estimators: tuple[str, ...],
) -> dict[str, Array]:
    def of_one(problem: Problem) -> dict[str, Array]:
        found = {
            "ols": least_squares_of(problem, n_task),
            "ridge": ridge_risk_of(problem, n_task, None),
        }
        for estimator in estimators:
            # Those with two penalties take their best ones.
            held = penalty if estimator == "befs" else None
            risk = solve_cells(problem, n_brain, n_task, held, None, encoding, estimator).risk
            found[estimator] = risk
            for baseline in ("ols", "ridge"):
                worth = value_of_cells(problem, risk, n_task, baseline)
                found[f"{estimator} over {baseline}"] = worth
        return found

    return jax.lax.map(of_one, draws)


def interval(values: AnyArray) -> tuple[float, float]:
    """The middle 95 % of the draws. What is undefined in a draw counts as less than all others."""
    ordered = np.where(np.isnan(values), -np.inf, values)
    # Between two draws there may be none, where one is infinite.
    low, high = np.quantile(ordered, [0.025, 0.975], method="nearest")
    return (float(low) if low > -np.inf else np.nan, float(high) if high > -np.inf else np.nan)
