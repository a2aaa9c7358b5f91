"""Closed forms over the draws of a pilot: what is known of an answer, as far as the pilot tells."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

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
from .records import Modality, Purchase

_BASELINES = ("ols", "ridge")
# Beside the planned amount of recordings so much of it is tried, or where nothing is planned so
# much of the money.
_LESS = (1.0, 0.5, 0.25)
# A label more than this counts as one.
_ROUNDING = 1e-6


class PlanOverDraws(NamedTuple):
    """A plan, and fewer recordings for the same money, beside labels alone, in each draw.

    **Fields**

    - `n_brain`, `n_task`: the splits of the budget that were compared, the planned one first.
    - `risk`, `saved`: of each draw and split: excess risk, and the share of the money that labels
      alone would cost to be as good. Negative where the split costs more than that.
    - `pays`: whether the split is better than labels alone for the whole budget.
    """

    n_brain: np.ndarray
    n_task: np.ndarray
    risk: np.ndarray
    saved: np.ndarray
    pays: np.ndarray


def worth_over_draws(
    estimate: PilotEstimate, n_brain: float, n_task: float, encoding_penalty: float | str
) -> dict[str, np.ndarray]:
    """What `jaxbrain.worth` tells, and the risk with two penalties, of each draw, by its names.

    NaN where a draw has too many latents for its subspace to be read out with so few labels.
    """
    both = ("befs", "befs_two_penalties")
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
        "information_value": information if n_task > 0 else 0.0 * information,
        "exchange_rate": value / n_brain,
        "savings": value / (n_task + value),
    }


def plan_over_draws(
    purchase: Purchase, recordings: Modality, n_brain: float, n_task: float, n_alone: float
) -> PlanOverDraws | None:
    """The split of the central problem in every draw, and fewer recordings for the same money.

    Each is compared with `n_alone` labels without recordings, which the budget buys too. Where
    `n_brain` is 0, recordings for a half, a quarter and an eighth of the money are. None where not
    even the fewest are affordable, beside a label.
    """
    estimate = recordings.estimate
    assert estimate is not None
    fewest = max(estimate.latent_dims) + 1.0
    if recordings.encoding_penalty == 0:
        fewest = estimate.problem.input_dim + 2.0
    paid = purchase.budget - recordings.fixed_cost_brain - purchase.fixed_cost_task
    planned = n_brain if n_brain > 0 else paid / recordings.cost_brain / 2
    amounts = np.maximum(np.floor(planned * np.asarray(_LESS)), fewest)
    labels = np.floor((paid - recordings.cost_brain * amounts) / purchase.cost_task + _ROUNDING)
    if n_brain > 0:
        amounts[0], labels[0] = n_brain, n_task
    kept = np.flatnonzero(labels >= 1)
    if not kept.size:
        return None
    # Always as many splits, so that one program serves.
    places = np.where(labels >= 1, np.arange(len(labels)), kept[0])
    amounts, labels = amounts[places], labels[places]
    found = cells_over_draws(
        estimate, amounts, labels, recordings.encoding_penalty, (purchase.estimator,)
    )
    values = found["value"][:, 0, _BASELINES.index(purchase.baseline)]
    needed = np.where(np.isfinite(found["risk"][:, 0]), labels + values, 0.0)
    spent = recordings.fixed_cost_brain + recordings.cost_brain * amounts
    spent = spent + purchase.fixed_cost_task + purchase.cost_task * labels
    whole = np.maximum(np.ceil(needed - _ROUNDING), 0.0)
    alone = purchase.fixed_cost_task + purchase.cost_task * whole
    saved = np.where(needed > 0, 1 - spent / np.where(needed > 0, alone, 1.0), np.nan)
    pays = needed > n_alone * (1 + _ROUNDING)
    return PlanOverDraws(amounts, labels, found["risk"][:, 0], saved, pays)


def cells_over_draws(
    estimate: PilotEstimate,
    n_brain: AnyArray | float,
    n_task: AnyArray | float,
    encoding_penalty: float | str,
    estimators: tuple[str, ...],
    penalty: AnyArray | None = None,
) -> dict[str, np.ndarray]:
    """Risks and values of each draw, at cells of the shape that all numbers broadcast to.

    `risk`, over draws, estimators and cells; `value`, over draws, estimators, baselines ("ols" and
    "ridge") and cells: labels that a baseline needs for that risk beyond n_task; `ols` and `ridge`,
    over draws and the shape of n_task: risks on the labels alone. `penalty` is that of BEFS; None
    is the best one, which other estimators always take. Where recordings are too few to tell the
    latents of a draw apart, its risk is infinite and its value NaN.
    """
    like = estimate.problem.task_noise
    encoding = None
    if not isinstance(encoding_penalty, str):
        encoding = as_float_like("encoding_penalty", encoding_penalty, like)
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
        def risk_of(estimator: str) -> Array:
            held = penalty if estimator == "befs" else None
            return solve_cells(problem, n_brain, n_task, held, None, encoding, estimator).risk

        risks = jnp.stack(jnp.broadcast_arrays(*map(risk_of, estimators)))
        labels = jnp.broadcast_to(n_task, risks.shape)
        worth = [value_of_cells(problem, risks, labels, baseline) for baseline in _BASELINES]
        return {
            "risk": risks,
            "value": jnp.stack(worth, axis=1),
            "ols": least_squares_of(problem, n_task),
            "ridge": ridge_risk_of(problem, n_task, None),
        }

    # One after the other: mapped as a batch these programs have been seen to hang on a CPU.
    return jax.lax.map(of_one, draws)


def interval(values: AnyArray) -> tuple[float, float]:
    """The middle 95 % of the draws. What is undefined in a draw counts as less than all others."""
    ordered = np.where(np.isnan(values), -np.inf, values)
    # Between two draws there may be nothing, where one is infinite.
    low, high = np.quantile(ordered, [0.025, 0.975], method="nearest")
    return (float(low) if low > -np.inf else np.nan, float(high) if high > -np.inf else np.nan)
