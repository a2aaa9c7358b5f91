"""Worth in words: the verdict, and what the things are called that change it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...study import Study
from ..answers.over_draws import OverDraws
from ..answers.worth import ranked
from .over_draws import ends, verdict_of_draws
from .text import rounded, thousands

THINGS = {
    "n_brain": "brain samples",
    "n_task": "labels",
    "channels": "recording channels",
    "recording_noise": "measurement noise",
    "latent_noise": "neural variability",
    "misalignment": "misalignment",
    "task_noise": "label noise",
}


_CENTRAL = (
    "Numbers are those of the pilot's central draw; 95 % of its draws lie between those in "
    "parentheses."
)
_RISKS = "A risk is a variance: the mean squared error of a prediction, less the noise of labels."


def verdict(study: Study, numbers: dict[str, float], beyond_ridge: bool) -> str:
    """What the recordings are worth, in a sentence or two."""
    # Value is against least squares and counts shrinkage; the value of the information does not.
    information = numbers["information_value"]
    knows = (
        f"worth {thousands(rounded(information))} labels"
        if information >= 0.5
        else "worth next to nothing for this task"
    )
    measured = (
        "with all the shrinkage that helps on both sides and measured against ridge regression"
    )
    if not study.is_white:
        return f"The information in {samples(study, 'brain samples ')}, {measured}, is {knows}." + (
            _with_one_penalty(study, numbers, beyond_ridge)
        )
    if not math.isfinite(numbers["risk"]):
        return (
            f"With labels numbering {thousands(numbers['n_task'])} the subspace cannot even be "
            "read out "
            f"unpenalised ({study.problem.latent_dim} latents), but the information in the "
            "recordings, "
            f"{measured}, is {knows}."
        )
    labels = thousands(rounded(numbers["value"]))
    start = (
        f"{samples(study, 'brain samples ')} are worth {labels} extra labels against least squares"
    )
    if beyond_ridge:
        shrinkage = (
            "which is mere shrinkage, since the error stays above that of predicting 0, which "
            "needs no "
            "label at all"
        )
    elif numbers["value_vs_ridge"] <= 0:
        shrinkage = "which is mere shrinkage, since ridge regression without recordings does better"
    else:
        shrinkage = "a part of which is mere shrinkage"
    return f"{start}, {shrinkage}. The information in them, {measured}, is {knows}."


def _with_one_penalty(study: Study, numbers: dict[str, float], beyond_ridge: bool) -> str:
    """The paper's estimator beside, in a sentence."""
    value = numbers["value_vs_ridge"]
    if not math.isfinite(numbers["risk"]):
        few = thousands(numbers["n_task"])
        latents = study.problem.latent_dim
        return (
            f" Without a penalty inside of it, the subspace cannot even be read out with labels "
            f"numbering {few} ({latents} latents)."
        )
    if beyond_ridge:
        return (
            " Without a penalty inside of the subspace, the error is no better than that of "
            "predicting 0."
        )
    if value < 0.5:
        return (
            " Without a penalty inside of the subspace, ridge regression without recordings does "
            "as well or better."
        )
    return (
        f" Without a penalty inside of the subspace, they are worth {thousands(rounded(value))} "
        "labels against ridge regression."
    )


def long_wait(study: Study) -> str:
    """What is said before many latents are computed with, in matrices of their size."""
    said = f"{study.problem.latent_dim} latents among such inputs take minutes"
    if study.encoding_penalty == "optimal":
        said += "; a number for the encoding penalty, in place of optimal, takes a twelfth"
    return said


def _inputs(study: Study) -> str:
    """How many inputs, and how their variance falls where it does."""
    p = study.problem
    if p.geometry is None:
        return f"{p.input_dim} inputs"
    return f"{p.input_dim} inputs of variance {range_of_variances(study)}"


def range_of_variances(study: Study) -> str:
    """From the strongest principal component of the inputs to the weakest."""
    geometry = study.problem.geometry
    assert geometry is not None
    highest, lowest = (float(end(geometry.variances)) for end in (np.max, np.min))
    return f"{highest:.3g} to {lowest:.3g}"


def described(study: Study) -> dict[str, str]:
    """Which problem it is, in words, by what each is called."""
    p = study.problem
    channels = "many channels" if p.recording_dim is None else f"{p.recording_dim} channels"
    return {
        "study": f"{_inputs(study)}, {p.latent_dim} latents, {channels}",
        "task": f"SNR {float(p.task_snr):g}, misalignment {float(p.relative_misalignment):.2g}",
        "risk of predicting 0": f"{float(p.total_power):.4g}",
    }


def samples(study: Study, noun: str = "") -> str:
    """How much is recorded, in samples and, where it is known, hours."""
    hours = "" if study.hours is None else f"({study.hours:.1f} h)"
    return f"{thousands(study.n_brain)} {noun}{hours}".strip()


def _rows(study: Study, numbers: dict[str, float], beyond_ridge: bool) -> list[tuple[str, str]]:
    problem = described(study)
    rows = [
        *((name, problem[name]) for name in ("study", "task")),
        ("brain samples", samples(study)),
        ("labels", thousands(numbers["n_task"])),
        ("penalty", f"{numbers['penalty']:.4g}"),
        ("risk with recordings", f"{numbers['risk']:.4g}"),
        ("risk, least squares on labels alone", f"{numbers['task_only_risk']:.4g}"),
        ("risk, ridge on labels alone", f"{numbers['ridge_risk']:.4g}"),
        ("risk of predicting 0", problem["risk of predicting 0"]),
    ]
    if math.isfinite(numbers["risk"]):
        against_ridge = thousands(numbers["value_vs_ridge"]) + " labels"
        rows += [
            ("value against least squares", thousands(numbers["value"]) + " labels"),
            (
                "value against ridge",
                "none: worse than predicting 0" if beyond_ridge else against_ridge,
            ),
            ("value of the information", thousands(numbers["information_value"]) + " labels"),
            ("exchange rate", f"{numbers['exchange_rate']:.3g} labels a brain sample"),
            ("savings", f"{100 * numbers['savings']:.1f} % of the labels"),
        ]
    return rows


def encoding_penalty_of(study: Study) -> str:
    """The ridge of the stage that learns from recordings, in words."""
    encoding = study.encoding_penalty
    return "the best" if encoding == "optimal" else f"{encoding:.4g}"


def _rows_of_any_covariance(
    study: Study,
    numbers: dict[str, float],
    beyond_ridge: bool,
    errors: dict[str, float],
    over: OverDraws | None,
) -> list[tuple[str, str]]:
    """What counts first: errors of all that could be fitted, then the value of the information."""
    problem = described(study)
    intervals = {} if over is None else over.intervals

    def between(name: str, told: Callable[[float], str]) -> str:
        return f" ({ends(intervals[name], told)})" if name in intervals else ""

    def risk(name: str) -> str:
        drawn = f" ± {errors[name]:.2g} (simulated)" if name in errors else ""
        return f"{numbers[name]:.4g}{drawn}{between(name, lambda end: f'{end:.4g}')}"

    def labels(name: str) -> str:
        drawn = f" ± {thousands(errors[name])}" if name in errors else ""
        said = f"{thousands(numbers[name])}{drawn} labels{' (simulated)' if drawn else ''}"
        return f"{said}{between(name, thousands)}"

    rows = [
        *((name, problem[name]) for name in ("study", "task")),
        ("brain samples", samples(study)),
        ("labels", thousands(numbers["n_task"])),
        ("encoding penalty", encoding_penalty_of(study)),
        ("risk, BEFS with two penalties", risk("two_penalty_risk")),
        ("risk, banded ridge on recordings", risk("banded_ridge_risk")),
        ("risk, BEFS", risk("risk")),
        ("risk, ridge on labels alone", risk("ridge_risk")),
        ("risk, least squares on labels alone", risk("task_only_risk")),
        ("risk of predicting 0", problem["risk of predicting 0"]),
        ("value of the information", labels("information_value")),
    ]
    if math.isfinite(numbers["risk"]):
        none = "none: worse than predicting 0"
        rows += [
            ("value against ridge", none if beyond_ridge else labels("value_vs_ridge")),
            ("value against least squares", labels("value")),
            (
                "exchange rate against least squares",
                f"{numbers['exchange_rate']:.3g} labels a brain sample"
                + between("exchange_rate", lambda end: f"{end:.3g}"),
            ),
            (
                "savings against least squares",
                f"{100 * numbers['savings']:.1f} % of the labels"
                + between("savings", lambda end: f"{100 * end:.1f} %"),
            ),
        ]
    return rows


def as_table(
    study: Study,
    numbers: dict[str, float],
    changes: dict[str, dict[str, float]],
    beyond_ridge: bool,
    errors: dict[str, float],
    over: OverDraws | None = None,
) -> str:
    """The study, what its recordings are worth, what would change that, and the verdict.

    - `errors`: standard errors of the numbers that are simulated.
    - `over`: what the draws of a pilot say, where one measured the study.
    """
    if study.is_white:
        rows = _rows(study, numbers, beyond_ridge)
    else:
        rows = _rows_of_any_covariance(study, numbers, beyond_ridge, errors, over)
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
    ranking = f"{_what_if(changes)}\n\n" if changes else ""
    risks = "" if study.is_white else f"{_RISKS}\n\n"
    said = verdict(study, numbers, beyond_ridge)
    if over is not None:
        said = f"{_CENTRAL} {said}\n\n{verdict_of_draws(over)}"
    return f"{table}\n\n{risks}{ranking}{said}"


def _what_if(changes: dict[str, dict[str, float]]) -> str:
    def percent(change: float) -> str:
        return f"{change:+.3f} %" if math.isfinite(change) else "undefined"

    rows = [
        ("one percent more of … changes the", "value of the information", "against least squares")
    ]
    rows += [
        (THINGS[name], percent(information), percent(value))
        for name, (value, information) in ranked(changes).items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}" for row in rows
    )
