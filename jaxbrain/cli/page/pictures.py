"""The pictures of a report, each with what is to be seen in it, in words."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..answers.plan import power_of
from ..answers.report import Content, Money
from ..answers.worth import ranked
from ..words.numbers import count, digits, digits4, percent
from ..words.text import thousands
from ..words.worth import THINGS, samples
from .html import figure

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


# In the order of the page.
NAMES = ("risk", "value", "saved", "changes", "plan")


@dataclass(frozen=True)
class Picture:
    """A figure, and what is to be seen in it."""

    name: str
    """One of `NAMES`."""
    draw: Callable[[], Figure]
    alt: str
    caption: str


def pictures(content: Content) -> dict[str, Picture]:
    """By name, those that there are: changes where any is known, a plan where there are prices."""
    found = [_risk(content), _value(content), _saved(content)]
    if any(np.isfinite(list(row.values())).any() for row in content.changes.values()):
        found.append(_changes(content))
    if content.money is not None:
        found.append(_plan(content, content.money))
    return {picture.name: picture for picture in found}


def shown(picture: Picture) -> str:
    """A picture as a figure of the page."""
    return figure(_image(picture.draw), picture.alt, picture.caption)


def pdfs(content: Content) -> dict[str, bytes]:
    """The pictures as contents of PDF files, by name."""
    from ...figures import picture

    return {name: picture("pdf", each.draw) for name, each in pictures(content).items()}


def _risk(content: Content) -> Picture:
    from ...figures import draw_risk

    study, recordings = content.study, _recordings(content)
    power = float(study.problem.total_power)
    risk = content.numbers["two_penalty_risk"] / power
    drawn = partial(
        draw_risk,
        content.over_labels,
        _along_labels(content),
        power,
        recordings,
        (study.n_task, risk if _is_on_curves(content) else math.nan),
    )
    return Picture(
        "risk",
        drawn,
        _alt_risk(content),
        f"Excess test error over the number of labels, beside {recordings}. Lines are closed forms."
        f"{_points(content)}{_mark(content)}",
    )


def _value(content: Content) -> Picture:
    from ...figures import draw_value

    study, found = content.study, content.simulation
    labels = f"{thousands(max(study.n_task, _fewest_labels(content)))} labels"
    simulated = None if found is None else found.found
    if simulated is not None:
        simulated = simulated.sel(n_task=_nearest(simulated.n_task.values, study.n_task))
    information = content.numbers["information_value"]
    drawn = partial(
        draw_value,
        content.over_recordings,
        simulated,
        labels,
        study.samples_per_hour,
        (study.n_brain, information if _is_on_curves(content) else math.nan),
    )
    return Picture(
        "value",
        drawn,
        _alt_value(content, labels),
        f"What recordings are worth over how many there are, beside {labels}. A line ends where "
        f"the risk is above that of predicting 0.{_points(content)}{_mark(content, _COMPARED)}",
    )


def _saved(content: Content) -> Picture:
    from ...figures import draw_saved

    recordings = _recordings(content)
    drawn = partial(
        draw_saved,
        content.over_labels,
        _along_labels(content),
        recordings,
        (
            content.study.n_task if _is_on_curves(content) else 0.0,
            content.numbers["information_value"],
        ),
    )
    return Picture(
        "saved",
        drawn,
        _alt_saved(content),
        "Share of the labels that recordings save, over the number of labels, beside "
        f"{recordings}.{_points(content)}{_mark(content, _COMPARED)}",
    )


def _changes(content: Content) -> Picture:
    """The elasticities as bars."""
    from ...figures import draw_changes

    things = ranked(content.changes)
    told = "; ".join(
        f"{THINGS[name]} {percent(value)} and {percent(information)}"
        for name, (value, information) in things.items()
    )
    return Picture(
        "changes",
        partial(draw_changes, {THINGS[name]: pair for name, pair in things.items()}),
        "Bars: percent change of the value against least squares and of the information value for "
        f"one percent more of each thing: {told}.",
        "By how many percent the value changes for one percent more of each thing, all else equal.",
    )


def _plan(content: Content, found: Money) -> Picture:
    """The risk over the share of the budget spent on recordings."""
    from ...figures import draw_plan
    from ...figures.style import ONE_COLUMN

    plan, purchase = found.plan, found.purchase
    best, without = plan["modalities"][""], plan["without_brain"]["risk"]
    drawn = partial(
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
    return Picture(
        "plan",
        drawn,
        f"Line: risk over the share of the budget spent on recordings. {told}; the dashed line, "
        f"labels alone, is at {digits4(without)}.",
        "Risk over the share of the budget that is spent on recordings, which BEFS with two "
        "penalties learns from; the rest buys labels. Both sides are at their best penalties.",
    )


# What the marks of values compare; those of risks compare nothing.
_COMPARED = " against ridge, the value of the information"


def _mark(content: Content, compared: str = "") -> str:
    """Which estimator the mark of the study is about: that of the headline, in all figures."""
    if not _is_on_curves(content):
        return ""
    return f" The mark is this study: BEFS with two penalties{compared}."


def _points(content: Content) -> str:
    found = content.simulation
    if found is None:
        return ""
    draws = thousands(found.seeds * found.trials)
    return f" Points are the simulation ({draws} draws), bars its 95 % intervals."


def _recordings(content: Content) -> str:
    return samples(content.study, "brain samples ")


def _fewest_labels(content: Content) -> int:
    """Where curves over labels begin."""
    return content.study.problem.latent_dim + 2 if content.study.is_white else 1


def _is_on_curves(content: Content) -> bool:
    """Beside fewer labels than curves are drawn for, the study is not on them."""
    return content.study.n_task >= _fewest_labels(content)


def _along_labels(content: Content) -> xarray.Dataset | None:
    """What was simulated, beside the recordings of the study."""
    if content.simulation is None:
        return None
    found = content.simulation.found
    return found.sel(n_brain=_nearest(found.n_brain.values, content.study.n_brain))


def _image(draw: Callable[[], Figure]) -> str:
    """The figure as a data URL: SVG, sharp at any width, without a date and so always the same."""
    from ...figures import picture

    nothing: dict[str, Any] = dict.fromkeys(("Creator", "Format", "Type"))
    content = picture("svg", draw, metadata=nothing)
    return f"data:image/svg+xml;base64,{base64.b64encode(content).decode('ascii')}"


def _nearest(numbers: np.ndarray, number: float) -> int:
    return int(numbers[np.argmin(np.abs(numbers - number))])


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
