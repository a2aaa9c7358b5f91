"""`jaxbrain plan`: how to split a budget between brain recordings and labels."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from .errors import UserError, output_problems, write_figure
from .plan_config import Modality, Purchase, read_purchase
from .plan_text import as_text, verdict, why_not
from .text import accuracy_noted, without_infinities


def plan(
    *,
    preset: Literal["fmri", "small"] | None = None,
    config: Path | None = None,
    budget: float | None = None,
    cost_task: float | None = None,
    cost_hour: float | None = None,
    cost_brain: float | None = None,
    fixed_cost_brain: float | None = None,
    fixed_cost_task: float | None = None,
    task_snr: float | None = None,
    misalignment: float | None = None,
    estimator: Literal["befs", "befs_two_penalties"] | None = None,
    baseline: Literal["ols", "ridge"] | None = None,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    plot: Path | None = None,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """How much brain recording and how many labels to buy with a budget. Closed form; no data needed.

    Without prices of your own it takes illustrative ones. The defaults of --estimator and --baseline let
    both sides shrink as well as they can: ridge regression is the best plan without brain data. The
    paper compares befs with ols, of whose savings a part is mere shrinkage.

    Args:
        preset: A ready-made modality; fmri unless a config describes others.
        config: A TOML file that describes one or more modalities; see the README.
        budget: Money for recordings and labels together.
        cost_task: Price of one label.
        cost_hour: Price of an hour of recording.
        cost_brain: Price of one recorded sample, instead of --cost-hour.
        fixed_cost_brain: What is due as soon as anything is recorded.
        fixed_cost_task: What is due as soon as anything is labelled.
        task_snr: Variance of the predictable part of a label over that of its noise.
        misalignment: Share of the task that no recording can reach, 0 to 1.
        estimator: What recordings are used with; befs_two_penalties by default.
        baseline: What is done without recordings; ridge by default.
        json: Print JSON instead of a table.
        plot: Draw the risk over the share of the budget spent on recordings, into this file.
        overwrite: Replace the plot if it exists.
    """
    unwritable = output_problems(plot, overwrite, (".png", ".svg", ".pdf"))
    try:
        purchase = read_purchase(
            config,
            {
                "preset": preset,
                "budget": budget,
                "cost_task": cost_task,
                "cost_hour": cost_hour,
                "cost_brain": cost_brain,
                "fixed_cost_brain": fixed_cost_brain,
                "fixed_cost_task": fixed_cost_task,
                "task_snr": task_snr,
                "misalignment": misalignment,
                "estimator": estimator,
                "baseline": baseline,
            },
        )
    except UserError as error:
        raise UserError(error.problems + unwritable) from error
    if unwritable:
        raise UserError(unwritable)

    notes: list[str] = []
    answer = _answer(purchase, notes)
    if plot is not None:
        # A curve may pass through a corner that no plan is in.
        with accuracy_noted([]):
            _draw(purchase, answer, plot)
    if json:
        print(_as_json(answer, notes))
    else:
        print(as_text(purchase, answer))
        print("".join(f"note: {note}\n" for note in notes), end="")


def _answer(purchase: Purchase, notes: list[str]) -> dict[str, Any]:
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
        notes += [f"{name}: {doubt}" for doubt in doubts]
    return answer | {"verdict": verdict(purchase, answer)}


def _money_saved(numbers: dict[str, float]) -> float:
    spent, saved = numbers["spent_on_brain"] + numbers["spent_on_task"], numbers["saved"]
    return math.inf if saved >= 1 else spent * saved / (1 - saved)


def _least_budget(purchase: Purchase, modality: Modality) -> float:
    """What the fewest recordings cost from which a subspace can be learned at all."""
    fewest = modality.problem.input_dim + 2
    fixed = purchase.fixed_cost_task + modality.fixed_cost_brain
    return fixed + modality.cost_brain * fewest


def _draw(purchase: Purchase, answer: dict[str, Any], path: Path) -> None:
    from ..figures import BudgetLine, draw_plan

    lines = {
        name: BudgetLine(
            modality.problem,
            modality.cost_brain,
            modality.fixed_cost_brain,
            answer["modalities"][name]["n_brain"],
            answer["modalities"][name]["risk"],
        )
        for name, modality in purchase.modalities.items()
    }
    write_figure(
        path,
        draw_plan,
        lines,
        purchase.budget,
        purchase.cost_task,
        purchase.fixed_cost_task,
        answer["without_brain"]["risk"],
        estimator=purchase.estimator,
        currency=purchase.currency,
    )


def _as_json(answer: dict[str, Any], notes: list[str]) -> str:
    def plain(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: plain(part, f"{name}.{key}".strip(".")) for key, part in value.items()}
        if isinstance(value, list):
            if not all(math.isfinite(part) for part in value):
                notes.append(f"{name} is infinite where it is null")
            return [part if math.isfinite(part) else None for part in value]
        if isinstance(value, float):
            fields, said = without_infinities({name: value})
            notes.extend(said)
            return fields[name]
        return value

    return json_module.dumps(plain(answer, "") | {"notes": notes}, indent=2)
