"""Whole numbers of recordings and labels near the best real ones, within the budget."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._typing import Real
from ..models.problem import TracedProblem
from ..theory.task_stage import TaskStage, least_squares_risk, ridge_stage
from ..theory.value import labels_without_brain
from ._money import at_least, bill, most
from .designs import Design
from .results import Allocation, Frontier

# Whole numbers around the best real ones that are tried, to each side.
WINDOW = np.arange(-32.0, 33.0)
_ROUNDS = 3


class Limits(NamedTuple):
    """Money and counts: what there is to share among j modalities and labels."""

    cost_brain: Float[Array, " j"]
    fixed_brain: Float[Array, " j"]
    most_brain: Float[Array, " j"]
    budget: Array
    cost_task: Array
    fixed_task: Array
    most_labels: Array


def total_bill(limits: Limits, n_brain: Array, n_task: Array) -> Array:
    """What these numbers cost, never too low; the modalities along the last axis of `n_brain`."""
    return at_least(bill_of_all_recordings(limits, n_brain), bill_of_labels(limits, n_task))


def bill_of_labels(limits: Limits, n_task: Array) -> Array:
    """Fixed costs and labels, nothing for none."""
    return jnp.where(n_task > 0, bill(limits.fixed_task, limits.cost_task, n_task), 0.0)


def bill_of_all_recordings(limits: Limits, n_brain: Array) -> Array:
    """Fixed costs and recordings, the modalities along the last axis of `n_brain`."""
    bills = [
        bill_of_recordings(limits, n_brain[..., j], j) for j in range(limits.cost_brain.shape[0])
    ]
    return functools.reduce(at_least, bills)


def bill_of_recordings(limits: Limits, n_brain: Array, j: int) -> Array:
    """Fixed costs and recordings of one modality, nothing for none."""
    one = bill(limits.fixed_brain[j], limits.cost_brain[j], n_brain)
    return jnp.where(n_brain > 0, one, 0.0)


def affordable(limits: Limits, n_brain: Array, n_task: Array) -> Array:
    """Whether these numbers cost no more than the budget, in exact arithmetic on given prices."""
    return total_bill(limits, n_brain, n_task) <= limits.budget


def labels_beside(limits: Limits, rows: Float[Array, "n j"]) -> Float[Array, " n"]:
    """The most labels that the rest of the money buys beside each row of recordings."""
    estimate = (limits.budget - limits.fixed_task - _cost(limits, rows)) / limits.cost_task
    return jnp.minimum(
        most(estimate, lambda n_task: affordable(limits, rows, n_task)), limits.most_labels
    )


def recordings_beside(
    limits: Limits, n_brain: Float[Array, " j"], which: Array | int, labels: Float[Array, " n"]
) -> Float[Array, "n j"]:
    """Rows with the most recordings of one modality that are affordable beside so many labels."""

    def rows_of(numbers: Array) -> Array:
        rows = jnp.broadcast_to(n_brain[None], (*numbers.shape, len(n_brain)))
        return rows.at[:, which].set(numbers)

    others = _cost(limits, n_brain.at[which].set(0.0))
    rest = limits.budget - limits.fixed_task - others - limits.fixed_brain[which]
    numbers = most(
        (rest - limits.cost_task * labels) / limits.cost_brain[which],
        lambda numbers: affordable(limits, rows_of(numbers), labels),
    )
    return rows_of(jnp.minimum(numbers, limits.most_brain[which]))


def _cost(limits: Limits, rows: Array) -> Array:
    like = (1,) * (rows.ndim - 1) + (-1,)
    costs = rows * limits.cost_brain.reshape(like) + limits.fixed_brain.reshape(like)
    return jnp.sum(jnp.where(rows > 0, costs, 0.0), axis=-1)


class Alone(NamedTuple):
    """What the money does without recordings."""

    n_task: Array
    risk: Array


def without_recordings(problem: TracedProblem, limits: Limits, baseline: str) -> Alone:
    """All of the money spent on labels, and the risk of the baseline with them."""
    n_task = labels_alone(limits)
    if baseline == "ols":
        return Alone(n_task, least_squares_risk(problem, n_task, None))
    return Alone(n_task, ridge_stage(problem, n_task, None, None).risk)


def labels_alone(limits: Limits) -> Array:
    """All labels that the money buys where nothing else is bought."""
    n_task = most(
        (limits.budget - limits.fixed_task) / limits.cost_task,
        lambda n: bill(limits.fixed_task, limits.cost_task, n) <= limits.budget,
    )
    return jnp.minimum(n_task, limits.most_labels)


def share_saved(
    problem: TracedProblem, limits: Limits, baseline: str, risk: Array, spent: Array, alone: Alone
) -> Array:
    """Of what the baseline would have to spend to do no worse than a better plan, the rest."""
    return saved_beside(limits, labels_without_brain(problem, risk, baseline), spent, alone)


def saved_beside(limits: Limits, needed: Array, spent: Array, alone: Alone) -> Array:
    """The same, by how many labels the baseline would need.

    The rival buys whole labels too, and needs more than it can afford, since the plan is better.
    """
    needed = jnp.maximum(jnp.ceil(needed), alone.n_task + 1)
    rival = limits.fixed_task + limits.cost_task * needed
    return 1 - spent / jnp.maximum(rival, spent)


def plan_or_labels_alone(
    limits: Limits,
    n_brain: Array,
    n_task: Array,
    risk: Array,
    alone: Alone,
    needed: Callable[[Array], Array],
    frontier: Frontier,
) -> Allocation:
    """These numbers of one modality and of labels where they do better than labels alone.

    `needed` says how many labels the baseline needs to do no worse than a risk.
    """
    collect = risk < alone.risk
    n_brain = jnp.where(collect, n_brain, 0.0)
    n_task = jnp.where(collect, n_task, alone.n_task)
    risk = jnp.where(collect, risk, alone.risk)
    spent_on_brain = bill_of_recordings(limits, n_brain, 0)
    spent_on_task = bill_of_labels(limits, n_task)
    saved = saved_beside(limits, needed(risk), spent_on_brain + spent_on_task, alone)
    return Allocation(
        n_brain=n_brain,
        n_task=n_task,
        risk=risk,
        spent_on_brain=spent_on_brain,
        spent_on_task=spent_on_task,
        n_task_without_brain=alone.n_task,
        risk_without_brain=alone.risk,
        saved=jnp.where(collect, saved, 0.0),
        frontier=frontier,
    )


class WholePlan(NamedTuple):
    """Whole numbers, and what they lead to."""

    n_brain: Array
    n_task: Array
    penalty: Array
    risk: Array
    loss: Array


def whole_numbers(
    design: Design,
    limits: Limits,
    bought: Array,
    n_brain: Array,
    n_task: Array,
    fewest: Real,
    fewest_labels: Array,
    labels_lost: Callable[[TaskStage, Array], Array],
) -> WholePlan:
    """Whole numbers near the best real ones: each modality in turn, with labels for the rest."""
    count, window = limits.cost_brain.shape[0], jnp.asarray(WINDOW, n_brain.dtype)
    middle = len(WINDOW) // 2
    fewest = jnp.asarray(fewest, n_brain.dtype)

    def candidates(plan: WholePlan, j: Array) -> tuple[Array, Array]:
        # All that the rest buys of labels beside each number of recordings, and
        # the other way round.
        center = jnp.round(plan.n_brain[j])
        numbers = jnp.concatenate([center + window, fewest[None], limits.most_brain[j][None]])
        numbers = jnp.where(jnp.isfinite(numbers), numbers, fewest)
        rows = jnp.broadcast_to(plan.n_brain[None], (len(numbers), count)).at[:, j].set(numbers)
        labels = jnp.clip(jnp.round(plan.n_task) + window, 0.0, limits.most_labels)
        beside = recordings_beside(limits, plan.n_brain, j, labels)
        return (
            jnp.concatenate([rows, beside]),
            jnp.concatenate([labels_beside(limits, rows), labels]),
        )

    def polish(turn: Array, state: tuple[WholePlan, Array]) -> tuple[WholePlan, Array]:
        plan, taught = state
        j = turn % count
        rows, labels = candidates(plan, j)
        changed = design.taught(j, jnp.maximum(jnp.take(rows, j, axis=1), fewest))

        def choose() -> tuple[WholePlan, Array]:
            table = jnp.broadcast_to(taught[None], rows.shape).at[:, j].set(changed)
            allowed = affordable(limits, rows, labels) & (labels >= fewest_labels)
            within = (rows >= fewest) & (rows <= limits.most_brain[None])
            allowed &= jnp.all(~bought[None] | within, axis=-1) & (labels <= limits.most_labels)
            stage, best = design.outcomes(bought, table, labels)
            lost = labels_lost(stage, labels)
            lost = jnp.where(allowed & ~jnp.isnan(lost), lost, jnp.inf)
            chosen = jnp.argmin(lost)
            better = (lost[chosen] < plan.loss) & bought[j]
            new = WholePlan(
                rows[chosen], labels[chosen], best[chosen], stage.risk[chosen], lost[chosen]
            )
            return jax.tree.map(
                lambda old, new: jnp.where(better, new, old), (plan, taught), (new, table[chosen])
            )

        # Of several modalities a first round only asks what the numbers teach with which the search
        # begins.
        return jax.lax.cond(turn < count, lambda: (plan, taught.at[j].set(changed[middle])), choose)

    nothing = jnp.asarray(jnp.inf, n_brain.dtype)
    rounded = jnp.where(bought, jnp.round(n_brain), 0.0)
    plan = WholePlan(rounded, n_task, jnp.full_like(nothing, jnp.nan), nothing, nothing)
    # Of a single modality nothing is asked twice.
    asked, rounds = (count, _ROUNDS) if count > 1 else (0, 1)
    state = plan, jnp.zeros_like(rounded)
    return jax.lax.fori_loop(count - asked, count * (1 + rounds), polish, state)[0]
