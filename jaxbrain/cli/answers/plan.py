"""What a plan comes to: the best split for each modality, as plain numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..input.purchase import Modality, Purchase
from ..words.plan import verdict, why_not
from .notes import accuracy_noted


def answer_of(purchase: Purchase, notes: list[str]) -> dict[str, Any]:
    """Everything that is printed, as plain numbers; `notes` on how far they can be trusted are added."""
    from ...budget import optimal_allocation
    from ...theory import expected_misalignment

    modalities: dict[str, dict[str, Any]] = {}
    alone: dict[str, Any] = {}
    for name, modality in purchase.modalities.items():
        unit, sums = _in_whole_units(
            purchase.budget,
            modality.cost_brain,
            purchase.cost_task,
            modality.fixed_cost_brain,
            purchase.fixed_cost_task,
        )
        allocation = optimal_allocation(
            modality.problem, *sums, estimator=purchase.estimator, baseline=purchase.baseline
        )
        found = allocation._asdict()
        frontier = found.pop("frontier")
        numbers = {field: float(value) for field, value in found.items()}
        for spent in ("spent_on_brain", "spent_on_task"):
            numbers[spent] /= unit
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


def _in_whole_units(*sums: float) -> tuple[int, tuple[float, ...]]:
    """Sums of money in a unit so small that all of them are whole, and how many make one of the user's.

    A price of 0.2 is a trifle more than a fifth in binary, and would buy one label less than it should.
    Where there is no such unit the sums are left as they are.
    """
    meant = [Fraction(each).limit_denominator(1_000_000) for each in sums]
    unit = math.lcm(*(each.denominator for each in meant))
    whole = [float(each * unit) for each in meant]
    if [float(each) for each in meant] != list(sums) or max(whole) > 2**53:
        return 1, sums
    return unit, tuple(whole)


def _money_saved(numbers: dict[str, float]) -> float:
    spent, saved = numbers["spent_on_brain"] + numbers["spent_on_task"], numbers["saved"]
    return math.inf if saved >= 1 else spent * saved / (1 - saved)


def _least_budget(purchase: Purchase, modality: Modality) -> float:
    """What the fewest recordings cost from which a subspace can be learned at all."""
    fewest = modality.problem.input_dim + 2
    fixed = purchase.fixed_cost_task + modality.fixed_cost_brain
    return fixed + modality.cost_brain * fewest
