"""What a pilot leaves open, in words: probabilities and intervals over its draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..answers.over_draws import OverDraws
from ..answers.report import Content
from .numbers import count
from .text import rounded, thousands


def probability(share: float, draws: int) -> str:
    """A share of draws; so many of them tell no probability that is nearer to 0 or 1."""
    if share <= 0:
        return f"below {1 / draws:.2g}"
    if share >= 1:
        return f"above {1 - 1 / draws:.3g}"
    return f"{share:.2g}"


def ends(interval: tuple[float, float] | list[float], told: Callable[[float], str]) -> str:
    """From here to there."""
    low, high = (told(end) if math.isfinite(end) else _without_end(end) for end in interval)
    return f"{low} to {high}"


def _without_end(number: float) -> str:
    return "undefined" if number != number else "infinity"


def verdict_of_draws(over: OverDraws) -> str:
    """How likely it is that recordings are worth something, and how much."""
    sure = probability(over.probabilities["information_worth_margin"], over.count)
    beats = probability(over.probabilities["befs_beats_ridge"], over.count)
    labels = "one label" if over.margin == 1 else f"{count(over.margin)} labels (1 % of them)"
    between = ends(over.intervals["information_value"], lambda end: thousands(rounded(end)))
    return (
        f"By the {thousands(over.count)} draws of the pilot, with probability {sure} the "
        f"information in the recordings is worth at least {labels}; its 95 % interval is {between} "
        f"labels. With probability {beats} BEFS with one penalty does better than ridge regression."
    )


def verdict_of_plan_draws(answer: dict[str, Any]) -> str:
    """How likely it is that any recording pays at these prices, and what was compared for that."""
    draws, compared = answer["draws"], answer["compared"]
    if not compared["n_brain"]:
        return "No recording pays in any draw of the pilot: the budget buys none beside a label."
    sure = probability(answer["probabilities"]["any_recording_pays"], draws)
    amounts = " or ".join(dict.fromkeys(map(thousands, compared["n_brain"])))
    said = (
        f"With probability {sure} any recording pays: in each of the pilot's {thousands(draws)} "
        f"draws the budget, split into {amounts} samples and labels for the rest, was compared "
        "with the same budget spent on labels alone. Other splits were not tried, so the true "
        "probability may be higher."
    )
    if "plan_pays" in answer["probabilities"]:
        sure = probability(answer["probabilities"]["plan_pays"], draws)
        saved = ends(answer["intervals"]["saved"], lambda end: f"{100 * end:.0f} %")
        said += (
            f" The plan itself pays with probability {sure}; its saved share is {saved} (95 % of "
            "the draws; below 0 it costs more than labels alone that do as well)."
        )
    return said


def of_results(content: Content) -> dict[str, str]:
    """Intervals over the draws in the words of the table of a report, by the name of a number."""
    over = content.over_draws
    if over is None:
        return {}
    return {name: ends(interval, _told(name)) for name, interval in over.intervals.items()}


def _told(name: str) -> Callable[[float], str]:
    if name.endswith("risk"):
        return lambda end: f"{end:.4g}"
    if name == "savings":
        return lambda end: f"{100 * end:.3g} %"
    return (lambda end: f"{end:.3g}") if name == "exchange_rate" else count
