"""Whole numbers of recordings and labels near the best real ones, within the budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..theory.task_stage import TaskStage
from ..tuning.penalty import tune_penalty
from ._money import at_least, bill, most
from .designs import ClosedFormDesign

# Whole numbers around the best real ones that are tried, to each side.
_WINDOW = 32


_ROUNDS = 3


class _Limits(NamedTuple):
    """Money and counts: what there is to share."""

    cost_brain: Float[Array, " j"]
    fixed_brain: Float[Array, " j"]
    most_brain: Float[Array, " j"]
    budget: Array
    cost_task: Array
    fixed_task: Array
    most_labels: Array


def _total_bill(limits: _Limits, n_brain: Array, n_task: Array) -> Array:
    total = jnp.where(n_task > 0, bill(limits.fixed_task, limits.cost_task, n_task), 0.0)
    for j in range(limits.cost_brain.shape[0]):
        one = bill(limits.fixed_brain[j], limits.cost_brain[j], n_brain[..., j])
        total = at_least(total, jnp.where(n_brain[..., j] > 0, one, 0.0))
    return total


class _Whole(NamedTuple):
    n_brain: Array
    n_task: Array
    penalty: Array
    risk: Array
    loss: Array


def _whole_numbers(
    risk: Any,
    limits: _Limits,
    bought: Array,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    fewest: float,
    fewest_labels: Array,
    labels_lost: Callable[[TaskStage, Array], Array],
) -> _Whole:
    """Whole numbers near the best real ones: modality after modality, each with labels for what is left."""
    count, window = limits.cost_brain.shape[0], jnp.arange(-_WINDOW, _WINDOW + 1.0)
    window = window.astype(n_brain.dtype)
    closed = isinstance(risk, ClosedFormDesign)

    def costs_of(rows: Array) -> Array:
        price, fixed = limits.cost_brain[None], limits.fixed_brain[None]
        return jnp.where(rows > 0, rows * price + fixed, 0.0)

    def affordable(n_brain: Array, n_task: Array) -> Array:
        return _total_bill(limits, n_brain, n_task) <= limits.budget

    def replaced(n_brain: Array, j: int, numbers: Array) -> Array:
        rows = jnp.broadcast_to(n_brain[None], (len(numbers), count))
        return rows.at[:, j].set(numbers)

    def labels_beside(rows: Array) -> Array:
        spent = jnp.sum(costs_of(rows), axis=-1)
        estimate = (limits.budget - limits.fixed_task - spent) / limits.cost_task
        labels = most(estimate, lambda n: affordable(rows, n))
        return jnp.minimum(labels, limits.most_labels)

    def losses(rows: Array, labels: Array, j: int, relative: Array | None) -> tuple[Array, ...]:
        allowed = affordable(rows, labels) & (labels >= fewest_labels)
        within = (rows >= fewest) & (rows <= limits.most_brain[None])
        allowed &= jnp.all(~bought[None] | within, axis=-1) & (labels <= limits.most_labels)
        if closed:
            changed = risk.misalignment(j, jnp.maximum(rows[:, j], fewest))
            assert relative is not None
            table = jnp.broadcast_to(relative[None], rows.shape).at[:, j].set(changed)
            stage, best = jax.vmap(risk.of_misalignments, (None, 0, 0))(bought, table, labels)
        else:
            stage = jax.lax.map(
                lambda pair: risk(bought, jnp.maximum(pair[0], fewest), pair[1], penalty),
                (rows, labels),
            )
            assert penalty is not None
            table, best = jnp.zeros_like(rows), jnp.broadcast_to(penalty, labels.shape)
        lost = labels_lost(stage, labels)
        lost = jnp.where(allowed & ~jnp.isnan(lost), lost, jnp.inf)
        return lost, stage.risk, best, table

    def polish(plan: _Whole, j: int, relative: Array | None) -> tuple[_Whole, Array | None]:
        # All that the rest buys of labels beside each number of recordings, and the other way round.
        center = jnp.round(plan.n_brain[j])
        numbers = jnp.concatenate(
            [center + window, jnp.array([fewest]), limits.most_brain[j][None]]
        )
        numbers = jnp.where(jnp.isfinite(numbers), numbers, fewest)
        labels = jnp.clip(jnp.round(plan.n_task) + window, 0.0, limits.most_labels)
        others = jnp.sum(costs_of(plan.n_brain.at[j].set(0.0)[None]))
        rest = limits.budget - limits.fixed_task - others - limits.fixed_brain[j]
        beside = most(
            (rest - limits.cost_task * labels) / limits.cost_brain[j],
            lambda n: jax.vmap(lambda n, labels: affordable(plan.n_brain.at[j].set(n), labels))(
                n, labels
            ),
        )
        beside = jnp.minimum(beside, limits.most_brain[j])
        rows = replaced(plan.n_brain, j, jnp.concatenate([numbers, beside]))
        labels = jnp.concatenate([labels_beside(rows[: len(numbers)]), labels])
        lost, at_risk, best, table = losses(rows, labels, j, relative)
        chosen = jnp.argmin(lost)
        better = (lost[chosen] < plan.loss) & bought[j]
        new = _Whole(rows[chosen], labels[chosen], best[chosen], at_risk[chosen], lost[chosen])
        plan = jax.tree.map(lambda old, new: jnp.where(better, new, old), plan, new)
        if relative is not None:
            relative = jnp.where(better, table[chosen], relative)
        return plan, relative

    nothing = jnp.asarray(jnp.inf, n_brain.dtype)
    rounded = jnp.where(bought, jnp.round(n_brain), 0.0)
    plan = _Whole(rounded, n_task, jnp.full_like(nothing, jnp.nan), nothing, nothing)
    relative = None
    if closed:
        relative = jnp.stack(
            [risk.misalignment(j, jnp.maximum(rounded[j], fewest)) for j in range(count)]
        )
    for _ in range(_ROUNDS if count > 1 else 1):
        for j in range(count):
            plan, relative = polish(plan, j, relative)
    if not closed:
        objective = risk.risk_at(jnp.maximum(plan.n_brain[0], fewest), plan.n_task)
        tuned = tune_penalty(objective, penalty)
        plan = plan._replace(penalty=tuned.penalty, risk=tuned.value)
    return plan
