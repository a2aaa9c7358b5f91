"""What an answer is over the draws of a pilot: intervals, and probabilities of what matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...pilot.estimates import PilotEstimate
from ...study import Purchase, Study
from .notes import without_infinities

if TYPE_CHECKING:
    import xarray

CLOSED_FORMS_OVER_DRAWS = (
    "intervals over the draws of the pilot are those of the closed form, also beside what is "
    "simulated"
)
# Of the labels there are; but at least one label.
_MATTERS = 0.01


@dataclass(frozen=True)
class OverDraws:
    """Ends of 95 % intervals by the name of a number, and probabilities by that of an event."""

    count: int
    """How many draws."""
    intervals: dict[str, tuple[float, float]]
    probabilities: dict[str, float]
    margin: float
    """From how many labels on the information is said to be worth something."""

    def fields(self) -> tuple[dict[str, Any], list[str]]:
        """What is printed as JSON, and notes on what is null in it."""
        intervals, notes = {}, []
        for name, ends in self.intervals.items():
            told, said = without_infinities(dict(zip(("low", "high"), ends, strict=True)))
            intervals[name] = list(told.values())
            notes += [f"{name}, end of its interval: {note}" for note in said]
        fields = {"intervals": intervals, "probabilities": self.probabilities}
        return fields | {"draws": self.count, "margin": self.margin}, notes


def notes_of_pilot(estimate: PilotEstimate | None) -> list[str]:
    """What to doubt, as the pilot says."""
    return [] if estimate is None else [f"of the pilot: {note}" for note in estimate.notes]


def worth_over_draws(study: Study) -> OverDraws | None:
    """Of the numbers of `answer_of`; None where no pilot measured the study."""
    from ...pilot.over_draws import interval
    from ...pilot.over_draws import worth_over_draws as over_draws

    if study.estimate is None:
        return None
    found = over_draws(study.estimate, study.n_brain, study.n_task, study.encoding_penalty)
    margin = max(1.0, _MATTERS * study.n_task)
    return OverDraws(
        count=study.estimate.count,
        intervals={name: interval(values) for name, values in found.items()},
        probabilities={
            "information_worth_margin": float(np.mean(found["information_value"] >= margin)),
            "befs_beats_ridge": float(np.mean(found["risk"] < found["ridge_risk"])),
        },
        margin=margin,
    )


def plan_over_draws(purchase: Purchase, answer: dict[str, Any]) -> dict[str, Any]:
    """What a plan says over the draws, as JSON has it; empty where no pilot measured the study.

    - `intervals`: of `risk` and `saved` at the numbers of the plan, where it buys recordings.
    - `probabilities`: that the plan is better than labels alone for the same budget
      (`plan_pays`), and that some of the splits compared is (`any_recording_pays`).
    - `compared`: these splits, each with its own probability.
    """
    from ...pilot.over_draws import interval
    from ...pilot.recommendation import Costs
    from ...pilot.recommendation import plan_over_draws as over_draws

    recordings = purchase.modalities.get("")
    if recordings is None or recordings.estimate is None:
        return {}
    planned, alone = answer["modalities"][""], answer["without_brain"]["n_task"]
    prices = Costs(
        recordings.cost_brain,
        purchase.cost_task,
        recordings.fixed_cost_brain,
        purchase.fixed_cost_task,
    )
    found = over_draws(
        recordings.estimate,
        purchase.budget,
        prices,
        planned["n_brain"],
        planned["n_task"],
        alone,
        estimator=purchase.estimator,
        baseline=purchase.baseline,
        encoding_penalty=recordings.encoding_penalty,
    )
    count = recordings.estimate.count
    if found is None:
        nothing = {"n_brain": [], "n_task": [], "probability": []}
        never = {"any_recording_pays": 0.0}
        return {"intervals": {}, "probabilities": never, "compared": nothing, "draws": count}
    probabilities = {"any_recording_pays": float(np.mean(found.pays.any(axis=1)))}
    intervals = {}
    if planned["n_brain"] > 0:
        probabilities["plan_pays"] = float(np.mean(found.pays[:, 0]))
        intervals = {
            name: list(interval(values[:, 0]))
            for name, values in (("risk", found.risk), ("saved", found.saved))
        }
    compared = {
        "n_brain": found.n_brain.tolist(),
        "n_task": found.n_task.tolist(),
        "probability": found.pays.mean(axis=0).tolist(),
    }
    return {
        "intervals": intervals,
        "probabilities": probabilities,
        "compared": compared,
        "draws": count,
    }


def cells_over_draws(
    study: Study, found: xarray.Dataset, rows: list[dict[str, Any]], baseline: str
) -> list[dict[str, Any]]:
    """The rows of a sweep with intervals of their closed forms, over the draws of a pilot.

    Closed forms are at the penalties that were given, and otherwise at the best ones.
    """
    from ...pilot.over_draws import cells_over_draws as over_draws
    from ...pilot.over_draws import interval

    estimate = study.estimate
    if estimate is None:
        return rows
    n_brain = found.n_brain.values[:, None, None] * 1.0
    n_task = found.n_task.values[None, :, None] * 1.0
    penalty = found.penalty.values
    given = penalty * 1.0 if penalty.dtype.kind == "f" else None
    estimator = found.attrs["estimator"]
    cells = over_draws(
        estimate,
        n_brain,
        n_task,
        study.encoding_penalty,
        (estimator,),
        given,
    )
    claims = {
        "closed_form": cells["risk"][:, 0],
        "value_closed_form": cells["value"][:, 0, ("ols", "ridge").index(baseline)],
    }
    shape = (len(found.n_brain), len(found.n_task), len(penalty))
    told = []
    for row, place in zip(rows, np.ndindex(shape), strict=True):
        ends: dict[str, float] = {}
        for name, values in claims.items():
            values = np.broadcast_to(values, (len(values), *shape))[(slice(None), *place)]
            low, high = interval(values)
            ends |= {f"{name}_low": low, f"{name}_high": high}
        told.append(row | ends)
    return told
