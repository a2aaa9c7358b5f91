"""The pictures of a report, each with what is to be seen in it, in words."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..answers.plan import power_of
from ..answers.report import Content
from ..answers.worth import ranked
from ..words.numbers import count, digits, digits4, percent
from ..words.text import thousands
from ..words.worth import THINGS, samples
from .html import figure

if TYPE_CHECKING:
    import xarray


def pictures(content: Content) -> list[str]:
    """Risk, value and savings, as figures of a page."""
    from ...figures import draw_risk, draw_saved, draw_value

    study, numbers = content.study, content.numbers
    recordings = samples(study, "brain samples ")
    fewest = study.problem.latent_dim + 2 if study.is_white else 1
    labels = f"{thousands(max(study.n_task, fewest))} labels"
    # Beside fewer labels than the curve is drawn for the study is not on it.
    at_study = study.n_task >= fewest
    power = float(study.problem.total_power)
    information = numbers["information_value"]
    found = None if content.simulation is None else content.simulation.found
    along_labels = None if found is None else found.sel(n_brain=_nearest(found, study.n_brain))
    along_brain = None
    if found is not None and content.simulation is not None and content.simulation.has_values:
        along_brain = found.sel(n_task=_middle(found, study.n_task))
    seen = ""
    if content.simulation is not None:
        draws = thousands(content.simulation.seeds * content.simulation.trials)
        seen = f" Points are the simulation ({draws} draws), bars its 95 % intervals."
    curves, amounts = content.over_labels, content.over_recordings
    return [
        figure(
            _image(
                draw_risk,
                curves,
                along_labels,
                power,
                recordings,
                (study.n_task, numbers[content.headline] / power),
            ),
            _alt_risk(content),
            f"Excess test error over the number of labels, beside {recordings}. Lines are closed "
            "forms."
            f"{seen}",
        ),
        figure(
            _image(
                draw_value,
                amounts,
                along_brain,
                labels,
                study.samples_per_hour,
                (study.n_brain, information if at_study else math.nan),
            ),
            _alt_value(content, labels),
            f"What recordings are worth over how many there are, beside {labels}. A line ends "
            "where the risk "
            f"is above that of predicting 0.{seen if along_brain is not None else ''}",
        ),
        figure(
            _image(
                draw_saved,
                curves,
                along_labels if along_labels is not None and "value_ols" in along_labels else None,
                recordings,
                (study.n_task if at_study else 0.0, information),
            ),
            _alt_saved(content),
            "Share of the labels that recordings save, over the number of labels, beside "
            f"{recordings}."
            f"{seen if along_brain is not None else ''}",
        ),
    ]


def picture_of_changes(content: Content) -> str:
    """The elasticities as bars."""
    from ...figures import draw_changes

    things = ranked(content.changes)
    told = "; ".join(
        f"{THINGS[name]} {percent(value)} and {percent(information)}"
        for name, (value, information) in things.items()
    )
    return figure(
        _image(draw_changes, {THINGS[name]: pair for name, pair in things.items()}),
        "Bars: percent change of the value against least squares and of the information value for "
        "one percent "
        f"more of each thing: {told}.",
        "By how many percent the value changes for one percent more of each thing, all else equal.",
    )


def picture_of_plan(content: Content) -> str:
    """The risk over the share of the budget spent on recordings."""
    from ...figures import draw_plan
    from ...figures.style import ONE_COLUMN

    assert content.money is not None
    found, plan = content.money, content.money.plan
    best, purchase = plan["modalities"][""], found.purchase
    without = plan["without_brain"]["risk"]
    image = _image(
        draw_plan,
        {"with recordings": found.curve},
        without / power_of(purchase),
        purchase.budget,
        purchase.currency,
        width=ONE_COLUMN,
    )
    share = 100 * best["spent_on_brain"] / purchase.budget
    told = (
        f"It is least, {digits4(best['risk'])}, where {share:.3g} % are spent on recordings"
        if best["n_brain"] > 0
        else "It is nowhere below the dashed line"
    )
    return figure(
        image,
        f"Line: risk over the share of the budget spent on recordings. {told}; the dashed line, "
        "labels alone, "
        f"is at {digits4(without)}.",
        "Risk over the share of the budget that is spent on recordings; the rest buys labels. Both "
        "sides are "
        "at their best penalties.",
    )


def _image(draw: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The figure as a data URL: SVG, sharp at any width, without a date and so always the same."""
    from ...figures import picture

    nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    content = picture("svg", draw, *arguments, metadata=nothing, **options)
    return f"data:image/svg+xml;base64,{base64.b64encode(content).decode('ascii')}"


def _nearest(found: xarray.Dataset, n_brain: float) -> int:
    amounts = found.n_brain.values
    return int(amounts[np.argmin(np.abs(amounts - n_brain))])


def _middle(found: xarray.Dataset, n_task: float) -> int:
    numbers = found.n_task.values
    return int(numbers[np.argmin(np.abs(numbers - n_task))])


def _alt_risk(content: Content) -> str:
    numbers, power = content.numbers, float(content.study.problem.total_power)
    shown = {
        "task_only_risk": "least squares",
        "ridge_risk": "ridge",
        "risk": "BEFS",
        "two_penalty_risk": "BEFS with two penalties",
        "banded_ridge_risk": "banded ridge",
    }
    told = ", ".join(
        f"{name} {digits4(numbers[key] / power)}" for key, name in shown.items() if key in numbers
    )
    more = "" if content.study.is_white else ", and for banded ridge"
    return (
        "Line chart: risk, in units of that of predicting 0, falls with the number of labels for "
        f"least squares, ridge, BEFS and BEFS with two penalties{more}. "
        f"With the {thousands(content.study.n_task)} labels of this study: {told}."
    )


def _alt_value(content: Content, labels: str) -> str:
    curve = content.over_recordings.information_value
    low, high = (count(float(curve.values[place])) for place in (0, -1))
    first, last = (thousands(float(curve.n_brain.values[place])) for place in (0, -1))
    return (
        f"Line chart: value in labels over brain samples, beside {labels}. The information value "
        "goes from "
        f"{low} labels with {first} brain samples to {high} labels with {last}; at this study it "
        "is "
        f"{count(content.numbers['information_value'])}, against least squares "
        f"{count(content.numbers['value'])}."
    )


def _alt_saved(content: Content) -> str:
    numbers, n_task = content.numbers, content.study.n_task
    information = numbers["information_value"]
    share = 100 * information / (n_task + information) if n_task > 0 else math.nan
    return (
        "Line chart: percent of the labels that recordings save, over the number of labels. At "
        "this study "
        f"{digits(100 * numbers['savings'])} % against least squares, {digits(share)} % of "
        "information against ridge."
    )
