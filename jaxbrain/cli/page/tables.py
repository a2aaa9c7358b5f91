"""The tables of a report, as rows of plain text."""

from __future__ import annotations

import math

import numpy as np

from ...study import Study
from ..answers.report import Content, Money, simulated_here
from ..answers.worth import ranked
from ..words.numbers import count, digits, digits4, interval, labels_in_interval, percent
from ..words.over_draws import of_results
from ..words.plan import amount_of_money
from ..words.text import thousands
from ..words.worth import THINGS, encoding_penalty_of, range_of_variances

Rows = list[tuple[str, ...]]
# What the closed form calls the rows of the results.
_NUMBERS = {
    "value of the information": "information_value",
    "value against ridge": "value_vs_ridge",
    "value against least squares": "value",
    "exchange rate": "exchange_rate",
    "savings": "savings",
    "risk with recordings": "risk",
    "risk with two penalties": "two_penalty_risk",
    "risk of ridge": "ridge_risk",
    "risk of least squares": "task_only_risk",
}


def inputs(study: Study) -> Rows:
    """What the answer rests on: name, value."""
    p = study.problem
    channels = "very many" if p.recording_dim is None else thousands(p.recording_dim)
    hours = [] if study.hours is None else [("hours of recording", f"{study.hours:.4g}")]
    noise = "encoding noise (variance of a latent read out from the channels)"
    sources = [
        (
            "neural variability of a latent (its stimulus-driven variance is 1)",
            _spectrum(p.latent_noise),
        ),
        ("measurement noise of a channel (variance)", f"{float(p.recording_noise):.4g}"),
        ("gain (summed squared weight of a latent in the channels)", _spectrum(p.gain)),
    ]
    # Given as one number, encoding noise has no sources that are known apart.
    if p.recording_dim is None and float(p.recording_noise) == 0:
        sources = []
    others = []
    if not study.is_white:
        others = [
            ("encoding penalty (ridge of what learns from recordings)", encoding_penalty_of(study))
        ]
    if p.geometry is not None:
        others.insert(0, ("variance of an input's principal component", range_of_variances(study)))
    return [
        ("brain samples", f"{thousands(study.n_brain)}"),
        *hours,
        ("labels (task samples)", thousands(study.n_task)),
        ("inputs (dimensions of what the machine sees)", thousands(p.input_dim)),
        *others,
        ("latents (dimensions that the recordings show)", thousands(p.latent_dim)),
        ("recording channels", channels),
        (
            "task SNR (predictable variance of a label over that of its noise)",
            f"{float(p.task_snr):.4g}",
        ),
        (
            "misalignment (share of the task that no recording can reach)",
            f"{100 * float(p.relative_misalignment):.3g} %",
        ),
        *sources,
        (noise, _spectrum(p.encoding_noise)),
    ]


def _spectrum(values) -> str:
    values = np.asarray(values)
    values = np.linalg.eigvalsh(values) if values.ndim == 2 else values
    words = [f"{value:.4g}" for value in values]
    if len(set(words)) == 1:
        return words[0]
    if len(words) <= 8:
        return ", ".join(words)
    return f"{values.min():.4g} to {values.max():.4g}, {values.mean():.4g} on average"


def results(content: Content) -> tuple[tuple[str, ...], Rows]:
    """Header and rows: quantity, what it means, closed form, and where there are such its interval
    over the draws of a pilot, and a simulation."""
    numbers = content.numbers
    known = math.isfinite(numbers["risk"])
    rows = [
        (
            "value of the information",
            "labels that ridge regression would need on top; both sides shrink as well as they can",
            f"{count(numbers['information_value'])} labels",
            "information_value",
        ),
        (
            "value against ridge",
            "the same, with weights inside the learned subspace left unpenalised (BEFS)",
            "none: worse than predicting 0"
            if content.beyond_ridge and known
            else f"{count(numbers['value_vs_ridge'])} labels",
            "value_ridge",
        ),
        (
            "value against least squares",
            "labels that least squares would need on top (BEFS); a part is mere shrinkage",
            f"{count(numbers['value'])} labels",
            "value_ols",
        ),
        (
            "exchange rate",
            "value against least squares for each recorded sample",
            f"{digits(numbers['exchange_rate'])} labels",
            None,
        ),
        (
            "savings",
            "share of the labels that least squares would need",
            f"{100 * numbers['savings']:.3g} %" if known else "undefined",
            None,
        ),
        (
            "risk with recordings",
            "excess test error of BEFS at its best penalty",
            digits4(numbers["risk"]),
            "risk",
        ),
        *_other_risks(numbers),
        ("best penalty", "for each sample (BEFS)", digits4(numbers["penalty"]), None),
        (
            "risk of ridge",
            "on the labels alone, at its best penalty",
            digits4(numbers["ridge_risk"]),
            "ridge_risk",
        ),
        (
            "risk of least squares",
            "on the labels alone",
            digits4(numbers["task_only_risk"]),
            "task_only_risk",
        ),
        (
            "risk of predicting 0",
            "the unit against which risks are drawn",
            digits4(float(content.study.problem.total_power)),
            None,
        ),
    ]
    header: list[str] = ["", "closed form"]
    told: list[tuple[str, ...]] = [row[:3] for row in rows]
    if content.over_draws is not None:
        header.append("over the pilot's draws (95 %)")
        between = of_results(content)
        told = [(*row, between.get(_NUMBERS.get(row[0], ""), "–")) for row in told]
    if content.simulation is not None:
        header.append("simulation (95 %)")
        told = [
            (*row, simulated(content, name)) for row, (*_, name) in zip(told, rows, strict=True)
        ]
    return tuple(header), told


def _other_risks(numbers: dict[str, float]) -> list[tuple[str, str, str, str]]:
    """Rows of estimators that stand beside where inputs are not white."""
    names = {
        "two_penalty_risk": ("risk with two penalties", "the same, weights inside shrunk too"),
        "banded_ridge_risk": (
            "risk of banded ridge",
            "predicted recordings as features with a penalty of their own",
        ),
    }
    return [(*words, digits4(numbers[n]), n) for n, words in names.items() if n in numbers]


def simulated(content: Content, name: str | None) -> str:
    """Mean and interval of a quantity at the study, or nothing."""
    cell = simulated_here(content)
    if cell is None or name is None or not math.isfinite(cell.get(name, math.nan)):
        return "–"
    if content.beyond_ridge and name == "value_ridge":
        return "–"
    low, high = (cell[f"{name}{end}"] for end in ("_low", "_high"))
    if name.endswith("risk"):
        return interval(cell[name], low, high)
    return labels_in_interval(cell[name], low, high)


def changes(content: Content) -> Rows:
    """Thing, change of the value against least squares, change of the information value, sorted."""
    return [
        (THINGS[name], percent(value), percent(information))
        for name, (value, information) in ranked(content.changes).items()
    ]


def break_even(content: Content) -> tuple[tuple[str, ...], Rows]:
    """Header and rows: up to which price recordings pay, in labels and, if known, in money."""
    price, rate = content.break_even, content.study.samples_per_hour
    header = ["recordings", "labels a sample"]
    if rate is not None:
        header.append("labels an hour")
    if content.money is not None:
        header.append(f"{content.money.purchase.currency or 'money'} a sample")
    rows = []
    for name, number in (
        ("all of these, shrinkage apart", price.all_recordings),
        ("one more beside all of these, shrinkage apart", price.next_sample),
        ("all of these, against least squares", price.against_ols),
        ("the best amount at a large budget, against least squares", price.large_budgets),
    ):
        if math.isnan(number) and not content.study.is_white:
            continue
        row = [name, digits(number)]
        if rate is not None:
            row.append(digits(number * rate))
        if content.money is not None:
            row.append(digits(number * content.money.purchase.cost_task))
        rows.append(tuple(row))
    return tuple(header), rows


def splits(content: Content, found: Money) -> tuple[tuple[str, ...], Rows]:
    """Header and rows: the study, the best split of the budget, and labels alone."""
    unit = f" ({found.purchase.currency})" if found.purchase.currency else ""
    best, alone = found.plan["modalities"][""], found.plan["without_brain"]
    study = content.study
    labels = found.purchase.on_labels(study.n_task)
    rows = [
        (
            "this study",
            thousands(study.n_brain),
            thousands(study.n_task),
            amount_of_money(found.bill - labels),
            amount_of_money(labels),
            digits4(content.numbers["two_penalty_risk"]),
        ),
        (
            "best split of the budget",
            thousands(best["n_brain"]),
            thousands(best["n_task"]),
            amount_of_money(best["spent_on_brain"]),
            amount_of_money(best["spent_on_task"]),
            digits4(best["risk"]),
        ),
        (
            "labels alone",
            "0",
            thousands(alone["n_task"]),
            "0",
            amount_of_money(alone["spent_on_task"]),
            digits4(alone["risk"]),
        ),
    ]
    if best["n_brain"] <= 0:
        # Then it is labels alone.
        del rows[1]
    return ("", "brain samples", "labels", f"on recordings{unit}", f"on labels{unit}", "risk"), rows
