"""What a plan comes to: the best split for each modality, as plain numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ...study import Modality, Purchase
from .notes import accuracy_noted
from .over_draws import notes_of_pilot, plan_over_draws

if TYPE_CHECKING:
    import xarray


class Obstacle(NamedTuple):
    """Why a plan without recordings of some kind is better."""

    kind: Literal[
        "the least amount is above the budget",
        "no label can be bought",
        "labels leave nothing to improve",
        "teaches nothing",
        "too expensive",
    ]
    risk: float
    """What labels alone achieve where these are compared."""


def answer_of(purchase: Purchase, notes: list[str]) -> dict[str, Any]:
    """Everything that is printed, as plain numbers; `notes` on how far they can be trusted are
    added.

    Beside what is not bought stands an `Obstacle` as "why_not". Where a pilot measured the study,
    what its draws say stands beside too.
    """
    from ...budget import optimal_allocation

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
        doubts: list[str] = []
        with accuracy_noted(doubts):
            allocation = optimal_allocation(
                modality.problem,
                *sums,
                estimator=purchase.estimator,
                baseline=purchase.baseline,
                encoding_penalty=modality.encoding_penalty,
            )
        notes += notes_of_pilot(modality.estimate)
        notes += [f"{name}: {doubt}" if name else doubt for doubt in doubts]
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
            "encoding_penalty": modality.encoding_penalty,
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
        if name not in bought:
            with accuracy_noted([]):
                found["why_not"] = _obstacle(purchase, alone, found, name)
    return answer | plan_over_draws(purchase, answer)


def _obstacle(
    purchase: Purchase, alone: dict[str, Any], found: dict[str, Any], name: str
) -> Obstacle:
    from ...theory import ridge_risk, risk, task_only_risk, two_penalty_risk

    modality = purchase.modalities[name]
    problem = modality.problem
    if not found["frontier"]["risk"]:
        return Obstacle("the least amount is above the budget", alone["risk"])
    if alone["n_task"] < 1:
        return Obstacle("no label can be bought", alone["risk"])
    law = risk if purchase.estimator == "befs" else two_penalty_risk
    amounts = np.array([*found["frontier"]["n_brain"], np.inf])
    # Beside very many labels what anything is worth is lost in the digits of the risk.
    labels = min(alone["n_task"], 100.0 * problem.input_dim)
    encoding = modality.encoding_penalty
    for_free = float(np.nanmin(law(problem, amounts, labels, encoding_penalty=encoding)))
    rival = ridge_risk if purchase.baseline == "ridge" else task_only_risk
    without = float(rival(problem, labels))
    if without < 1e-9 * float(problem.total_power):
        return Obstacle("labels leave nothing to improve", without)
    if math.isfinite(without) and for_free >= without * (1 - 1e-9):
        return Obstacle("teaches nothing", without)
    return Obstacle("too expensive", alone["risk"])


def curves_of(purchase: Purchase, answer: dict[str, Any]) -> dict[str, xarray.Dataset]:
    """For each modality the risk over the share of the budget that is spent on recordings.

    Over `share`, in percent: `risk`, in units of that of predicting 0, where the rest of the budget
    buys labels. Empty where the budget is too small. The attributes `best_share` and `best_risk`
    are those of the best split, NaN where nothing is bought."""
    import xarray

    from ...theory import risk, two_penalty_risk

    law = risk if purchase.estimator == "befs" else two_penalty_risk
    power = power_of(purchase)
    curves = {}
    # A curve may pass through a corner that no plan is in.
    with accuracy_noted([]):
        for name, modality in purchase.modalities.items():
            found = answer["modalities"][name]
            paid = purchase.budget - purchase.fixed_cost_task - modality.fixed_cost_brain
            if modality.is_white:
                amounts = _affordable_amounts(modality.fewest, paid / modality.cost_brain)
                n_task = np.maximum(paid - modality.cost_brain * amounts, 0) / purchase.cost_task
                risks = amounts
                if amounts.size:
                    risks = np.asarray(law(modality.problem, amounts, n_task)) / power
            else:
                # Elsewhere every amount is dear, and the search has asked for some.
                amounts = np.asarray(found["frontier"]["n_brain"])
                risks = np.asarray(found["frontier"]["risk"]) / power
            spent = modality.fixed_cost_brain + modality.cost_brain * np.append(
                amounts, found["n_brain"]
            )
            shares = 100 * spent / purchase.budget
            best = (shares[-1], found["risk"] / power)
            if found["n_brain"] == 0:
                best = (math.nan, math.nan)
            curves[name] = xarray.Dataset(
                {"risk": ("share", risks)},
                coords={"share": shares[:-1]},
                attrs={"best_share": float(best[0]), "best_risk": float(best[1])},
            )
    return curves


def power_of(purchase: Purchase) -> float:
    """The risk of predicting 0, the unit in which risks are drawn."""
    return max(float(modality.problem.total_power) for modality in purchase.modalities.values())


def _affordable_amounts(fewest: int, most: float) -> np.ndarray:
    """Numbers of samples up to `most` at which a curve is drawn, denser towards its steep ends."""
    if most < fewest:
        return np.zeros(0)
    steps = np.geomspace(1, most - fewest + 1, 100) - 1
    return np.union1d(np.linspace(fewest, most, 100), [fewest + steps, most - steps])


def _in_whole_units(*sums: float) -> tuple[int, tuple[float, ...]]:
    """Sums of money in a unit so small that all of them are whole, and how many make one of the
    user's.

    A price of 0.2 is a trifle more than a fifth in binary, and would buy one label less than it
    should. Where there is no such unit the sums are left as they are."""
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
    fixed = purchase.fixed_cost_task + modality.fixed_cost_brain
    return fixed + modality.cost_brain * modality.fewest
