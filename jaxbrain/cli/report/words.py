"""A report in words: tables, what is assumed, a paragraph for a proposal. Plain text, not HTML."""

from __future__ import annotations

import math

import numpy as np

from ..plan_text import amount_of_money, money
from ..study import Study
from ..text import rounded, thousands
from ..worth_text import THINGS, samples
from .content import Content, Money
from .simulation import Simulation

AUTHORS = "Lane Lewis, Zhixin Wang, David Schwab, Xaq Pitkow"
TITLE = "How Much is Brain Data Worth for Machine Learning?"
ARXIV = "2605.09243"
CITATION = f"""@misc{{lewis2026brain,
  title = {{{TITLE}}},
  author = {{Lewis, Lane and Wang, Zhixin and Schwab, David and Pitkow, Xaq}},
  year = {{2026}},
  eprint = {{{ARXIV}}},
  archivePrefix = {{arXiv}}
}}"""

Rows = list[tuple[str, ...]]


def count(number: float) -> str:
    """A number of samples or labels to three digits."""
    return thousands(rounded(number)) if math.isfinite(number) else _without_end(number)


def digits(number: float) -> str:
    """Any number to three digits."""
    if not math.isfinite(number):
        return _without_end(number)
    return count(number) if abs(number) >= 1000 else f"{number:.3g}"


def _without_end(number: float) -> str:
    if number != number:
        return "undefined"
    return "infinite" if number > 0 else "minus infinite"


def percent(change: float) -> str:
    """A change with its sign."""
    if not math.isfinite(change):
        return "undefined"
    return f"{change:+.3f} %".replace("-", "−") if abs(change) >= 5e-4 else "0.000 %"


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
    return [
        ("brain samples", f"{thousands(study.n_brain)}"),
        *hours,
        ("labels (task samples)", thousands(study.n_task)),
        ("inputs (dimensions of what the machine sees)", thousands(p.input_dim)),
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


def results(content: Content) -> Rows:
    """Quantity, what it means, closed form, simulation where there is one."""
    numbers = content.numbers
    known = math.isfinite(numbers["risk"])
    rows = [
        (
            "value of the information",
            "labels that ridge regression would need on top; both sides shrink as well as they can",
            f"{count(numbers['information_value'])} labels",
            None,
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
        ("best penalty", "for each sample", digits4(numbers["penalty"]), None),
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
    return [(*row[:3], simulated(content, row[3])) for row in rows]


def digits4(number: float) -> str:
    """A risk to four digits."""
    return f"{number:.4g}" if math.isfinite(number) else _without_end(number)


def here(content: Content) -> dict[str, float] | None:
    """What the simulation says of the study itself; None where it does not reach it."""
    if content.simulation is None:
        return None
    found = content.simulation.found
    at = {"n_brain": round(content.study.n_brain), "n_task": round(content.study.n_task)}
    if any(at[name] not in found[name].values for name in at):
        return None
    cell = found.sel(at)
    return {str(name): float(cell[name]) for name in cell.data_vars}


def simulated(content: Content, name: str | None) -> str:
    """Mean and interval of a quantity at the study, or nothing."""
    cell = here(content)
    if cell is None or name is None or not math.isfinite(cell.get(name, math.nan)):
        return "–"
    if name.startswith("value") and content.beyond_ridge and name == "value_ridge":
        return "–"
    write = count if name.startswith("value") else digits4
    low, high = (cell[f"{name}{end}"] for end in ("_low", "_high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{write(cell[name])} (interval open)"
    if name.startswith("value"):
        # Intervals can be narrower than three digits show.
        return f"{thousands(cell[name])} ({thousands(low)} to {thousands(high)})"
    return f"{write(cell[name])} ({write(low)} to {write(high)})"


def about_simulation(content: Content) -> str:
    """How it was simulated and how far the closed form is from it, or why it was not."""
    simulation = content.simulation
    if not content.simulation_wanted:
        return "The closed forms were not simulated, as asked."
    if simulation is None:
        return (
            "The closed forms were not simulated: a draw of recordings of this size takes too long for a "
            "report. jaxbrain simulate does it."
        )
    total = simulation.seeds * simulation.trials
    draws = f"{thousands(total)} exact draws ({simulation.seeds} replicates of {simulation.trials}, seed {simulation.seed})"
    part = (
        f"Simulation: {draws} of recordings and of labels"
        if simulation.draws_labels
        else f"Simulation: {draws} of what the recordings teach; the part of the labels is the closed form"
    )
    part += ". Intervals cover 95 %: of risks by Student's t"
    part += ", of values by a bootstrap over replicates." if simulation.draws_labels else "."
    cell = here(content)
    if cell is None or not math.isfinite(cell["risk"]):
        return f"{part} The study itself has no finite error that could be simulated."
    off = cell["risk"] / content.numbers["risk"] - 1
    sigma = off * content.numbers["risk"] / cell["risk_error"]
    return (
        f"{part} At the study itself the simulated risk is {abs(100 * off):.2g} % "
        f"{'above' if off > 0 else 'below'} the closed form, {abs(sigma):.1f} standard errors."
    )


def changes(content: Content) -> Rows:
    """Thing, change of the value against least squares, change of the information value; in order."""
    return [
        (THINGS[name], percent(value), percent(information))
        for name, (value, information) in ranked_changes(content).items()
    ]


def ranked_changes(content: Content) -> dict[str, tuple[float, float]]:
    """Both changes by the name of the thing, the largest of the information value first."""
    value, information = content.changes["value"], content.changes["information_value"]
    measure = information if any(map(math.isfinite, information.values())) else value
    names = sorted(measure, key=lambda n: -abs(measure[n]) if math.isfinite(measure[n]) else 1)
    return {name: (value[name], information[name]) for name in names}


def break_even(content: Content) -> tuple[tuple[str, ...], Rows]:
    """Header and rows: up to which price recordings pay, in labels and, where known, hours and money."""
    price, rate = content.break_even, content.study.samples_per_hour
    header = ["recordings", "labels a sample"]
    if rate is not None:
        header.append("labels an hour")
    if content.money is not None:
        header.append(f"{content.money.prices.currency or 'money'} a sample")
    rows = []
    for name, number in (
        ("all of these, shrinkage apart", price.all_recordings),
        ("one more beside all of these, shrinkage apart", price.next_sample),
        ("all of these, against least squares", price.against_ols),
        ("the first ones at a large budget, against least squares", price.large_budgets),
    ):
        row = [name, digits(number)]
        if rate is not None:
            row.append(digits(number * rate))
        if content.money is not None:
            row.append(digits(number * content.money.prices.cost_task))
        rows.append(tuple(row))
    return tuple(header), rows


def about_break_even(content: Content) -> str:
    """What the break-even prices say, in a sentence or two."""
    price = content.break_even
    if price.all_recordings * content.study.n_brain < 0.5:
        first = (
            "These recordings replace next to no label: they pay at no price that is worth naming."
        )
    else:
        first = (
            f"All of these recordings together pay as long as a recorded sample costs less than "
            f"{digits(price.all_recordings)} labels"
        )
        first += (
            f", and one more sample beside them as long as it costs less than {digits(price.next_sample)}."
            if math.isfinite(price.next_sample)
            else "."
        )
    if math.isnan(price.large_budgets):
        return (
            f"{first} At large budgets none should be bought at any price: more of them take the learned "
            "subspace away from the task."
        )
    if math.isinf(price.large_budgets):
        return f"{first} At large budgets the first ones are worth any price."
    return (
        f"{first} At large budgets the first ones pay as long as a sample costs less than "
        f"{digits(price.large_budgets)} labels (the favourability at equal prices)."
    )


def splits(content: Content, found: Money) -> tuple[tuple[str, ...], Rows]:
    """Header and rows: the study, the best split of the budget, and labels alone."""
    unit = f" ({found.prices.currency})" if found.prices.currency else ""
    best, alone = found.plan["modalities"][""], found.plan["without_brain"]
    study = content.study
    labels = _on_labels(content, found)
    rows = [
        (
            "this study",
            thousands(study.n_brain),
            thousands(study.n_task),
            amount_of_money(found.bill - labels),
            amount_of_money(labels),
            digits4(found.risk),
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


def _on_labels(content: Content, found: Money) -> float:
    prices, n_task = found.prices, content.study.n_task
    return prices.fixed_cost_task + prices.cost_task * n_task if n_task > 0 else 0.0


def about_money(content: Content, found: Money) -> str:
    """Prices, the study's bill, and what labels alone would cost."""
    prices, rate = found.prices, content.study.samples_per_hour
    currency = prices.currency

    def said(amount: float) -> str:
        return money(currency, rounded(amount))

    sample = f"{digits(prices.cost_brain)} {currency}".strip()
    hour = "" if rate is None else f" ({digits(prices.cost_brain * rate)} an hour)"
    fixed = "".join(
        f", and {said(amount)} once there is any {what}"
        for amount, what in (
            (prices.fixed_cost_brain, "recording"),
            (prices.fixed_cost_task, "label"),
        )
        if amount > 0
    )
    whose = (
        "No budget is set: it is taken to be what the study costs."
        if prices.total is None
        else f"The budget is {said(prices.total)}."
    )
    return (
        f"A recorded sample costs {sample}{hour}, a label {digits(prices.cost_task)} {currency}".strip()
        + f"{fixed}. As described the study costs {said(found.bill)}; to be as good with labels alone would "
        f"cost {said(found.bill_of_labels)}. {whose}"
    )


ASSUMPTIONS = (
    "Inputs are Gaussian and white; brain and task are linear in them; all noise is Gaussian.",
    "Recordings and labels are independent samples, and tests look like training: there is no shift.",
    "The measurement noise of the channels is equal and independent (whiten them otherwise).",
    "The numbers of the inputs above are taken as true. In practice they are estimates, and the answer is no "
    "better than they are.",
    "Penalties are at their best values. Tuning them on data costs a little of what is shown here.",
)


def limits(content: Content) -> list[str]:
    """How far the numbers can be trusted."""
    study = content.study
    ratio = study.n_brain / study.problem.input_dim
    usual = "1 %" if ratio >= 1.5 else "3 %"
    found = [
        "Nothing here was measured on data. Whether recordings help with a task of your own is a question to "
        "a pilot: jaxbrain fit compares them with ridge regression and with controls.",
        f"There are {ratio:.3g} brain samples for each input dimension, where the closed form of the risk is "
        f"usually within {usual} of exact simulation; values magnify an error of the risk.",
        "Against least squares a part of any value is mere shrinkage, which needs no recordings; the value of "
        "the information leaves that part out.",
    ]
    if not math.isfinite(content.numbers["task_only_risk"]):
        found.append(
            "With so few labels the error of least squares on labels alone is infinite; its value compares "
            "with more labels than that."
        )
    if not math.isfinite(content.numbers["risk"]):
        found.append(
            "With so few labels the learned subspace cannot be read out unpenalised: value, exchange rate and "
            "savings of BEFS are undefined. Figures begin where they are defined."
        )
    elif content.beyond_ridge:
        found.append(
            "The risk of BEFS is above that of predicting 0: with so few labels its subspace should be "
            "penalised too, as for the value of the information."
        )
    return found + [f"Accuracy: {note}." for note in content.notes]


def proposal(content: Content) -> str:
    """A paragraph for a grant proposal, honest about what it rests on."""
    study, numbers, p = content.study, content.numbers, content.study.problem
    channels = "very many" if p.recording_dim is None else thousands(p.recording_dim)
    information = numbers["information_value"]
    worth = (
        f"worth about {count(information)} further labels"
        if information >= 0.5
        else "worth next to no further label"
    )
    parts = [
        "We estimated what brain recordings would contribute to this task with the linear-Gaussian model of "
        f"Lewis, Wang, Schwab and Pitkow (arXiv:{ARXIV}, 2026), by its closed forms at finite samples "
        f"(jaxbrain {content.versions['jaxbrain']}).",
        f"For {thousands(p.input_dim)} input dimensions, {thousands(p.latent_dim)} of them shown by {channels} "
        f"recording channels, a task signal-to-noise ratio of {digits(float(p.task_snr))}, and "
        f"{digits(100 * float(p.relative_misalignment))} % of the task out of reach of any recording, "
        f"{samples(study, 'recorded samples ')} beside {thousands(study.n_task)} labels are predicted to be "
        f"{worth}, with optimal regularisation on both sides and compared with ridge regression on labels "
        "alone.",
    ]
    if math.isfinite(numbers["value"]):
        parts.append(
            f"Against ordinary least squares they would count as {count(numbers['value'])} labels, a part of "
            "which is shrinkage that needs no recordings."
        )
    if content.beyond_ridge and math.isfinite(numbers["risk"]):
        parts.append(
            "Without a penalty inside the learned subspace the prediction would be worse than none at all."
        )
    cell = here(content)
    if cell is not None and math.isfinite(cell["risk"]) and content.simulation is not None:
        drawn = _drawn(content.simulation)
        parts.append(
            f"{drawn} of the same model put the excess test error of the two-stage estimator at "
            f"{digits(cell['risk'])} (95 % interval {digits(cell['risk_low'])} to "
            f"{digits(cell['risk_high'])}), where the closed form says {digits(numbers['risk'])}."
        )
    if content.money is not None:
        parts += _money_sentences(content.money)
    parts.append(
        "The estimate assumes Gaussian white inputs, linear brain and task maps, Gaussian noise, and "
        "independent samples of both kinds; the numbers above are taken as known and were not measured here. "
        "It is a planning figure that a pilot should check before recordings are collected at scale."
    )
    return " ".join(parts)


def _drawn(simulation: Simulation) -> str:
    total = thousands(simulation.seeds * simulation.trials)
    what = "" if simulation.draws_labels else " of the recording stage"
    return f"{total} exact Monte Carlo draws{what}"


def _money_sentences(found: Money) -> list[str]:
    def said(amount: float) -> str:
        return money(found.prices.currency, rounded(amount))

    best = found.plan["modalities"][""]
    first = (
        f"At {digits(found.prices.cost_brain)} {found.prices.currency}".strip()
        + " a recorded sample and "
        + f"{digits(found.prices.cost_task)} {found.prices.currency}".strip()
        + f" a label, this costs {said(found.bill)}; to be as good with labels alone would cost "
        f"{said(found.bill_of_labels)}."
    )
    if best["n_brain"] <= 0:
        return [
            first,
            f"At a budget of {said(found.plan['budget'])} no recordings should be bought.",
        ]
    return [
        first,
        f"The best split of {said(found.plan['budget'])} is {count(best['n_brain'])} recorded samples and "
        f"{count(best['n_task'])} labels, which saves {100 * best['saved']:.3g} % of what labels alone would "
        "cost.",
    ]
