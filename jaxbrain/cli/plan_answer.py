"""What a plan comes to: the best split for each modality, as plain numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .plan_config import Modality, Purchase
from .plan_text import verdict, why_not
from .text import accuracy_noted


def answer_of(purchase: Purchase, notes: list[str]) -> dict[str, Any]:
    """Everything that is printed, as plain numbers; `notes` on how far they can be trusted are added."""
    from ..theory import expected_misalignment, optimal_allocation

    modalities: dict[str, dict[str, Any]] = {}
    alone: dict[str, Any] = {}
    for name, modality in purchase.modalities.items():
        allocation = optimal_allocation(
            modality.problem,
            purchase.budget,
            modality.cost_brain,
            purchase.cost_task,
            modality.fixed_cost_brain,
            purchase.fixed_cost_task,
            estimator=purchase.estimator,
            baseline=purchase.baseline,
        )
        found = allocation._asdict()
        frontier = found.pop("frontier")
        numbers = {field: float(value) for field, value in found.items()}
        # The task is the same whatever is recorded, and so is what labels alone achieve.
        n_task = numbers.pop("n_task_without_brain")
        fixed = purchase.fixed_cost_task if n_task > 0 else 0.0
        alone = {
            "n_task": n_task,
            "spent_on_task": fixed + purchase.cost_task * n_task,
            "risk": numbers.pop("risk_without_brain"),
        }
        affordable = ~np.isnan(frontier.risk)
        rate = modality.samples_per_hour
        modalities[name] = {
            "cost_brain": modality.cost_brain,
            "fixed_cost_brain": modality.fixed_cost_brain,
            "samples_per_hour": rate,
            **numbers,
            "hours": None if rate is None else numbers["n_brain"] / rate,
            "money_saved": _money_saved(numbers),
            "least_budget": _least_budget(purchase, modality),
            "frontier": {
                field: np.asarray(values)[affordable].tolist()
                for field, values in frontier._asdict().items()
            },
        }
    bought = [name for name, found in modalities.items() if found["n_brain"] > 0]
    answer = {
        "budget": purchase.budget,
        "currency": purchase.currency,
        "cost_task": purchase.cost_task,
        "fixed_cost_task": purchase.fixed_cost_task,
        "estimator": purchase.estimator,
        "baseline": purchase.baseline,
        "without_brain": alone,
        "modalities": modalities,
        "best": min(bought, key=lambda name: modalities[name]["risk"], default=None),
    }
    for name, found in modalities.items():
        found["why_not"] = None
        doubts: list[str] = []
        if name in bought:
            with accuracy_noted(doubts):
                expected_misalignment(purchase.modalities[name].problem, found["n_brain"])
        else:
            with accuracy_noted([]):
                found["why_not"] = why_not(purchase, answer, name)
        notes += [f"{name}: {doubt}" if name else doubt for doubt in doubts]
    return answer | {"verdict": verdict(purchase, answer)}


def _money_saved(numbers: dict[str, float]) -> float:
    spent, saved = numbers["spent_on_brain"] + numbers["spent_on_task"], numbers["saved"]
    return math.inf if saved >= 1 else spent * saved / (1 - saved)


def _least_budget(purchase: Purchase, modality: Modality) -> float:
    """What the fewest recordings cost from which a subspace can be learned at all."""
    fewest = modality.problem.input_dim + 2
    fixed = purchase.fixed_cost_task + modality.fixed_cost_brain
    return fixed + modality.cost_brain * fewest
