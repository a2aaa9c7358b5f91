"""A report in words, plain text: what tables say, what is assumed, a paragraph for a proposal."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..answers.report import Content, Money, simulated_here
from .numbers import count, digits, labels_in_interval
from .over_draws import ends
from .plan import money
from .text import rounded, thousands
from .worth import samples

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


def about_simulation(content: Content) -> str:
    """How it was simulated and how far the closed form is from it, or why it was not."""
    simulation = content.simulation
    if not content.simulation_wanted:
        return "The closed forms were not simulated, as asked."
    if simulation is None:
        return (
            "The closed forms were not simulated: a draw of recordings of this size takes too long "
            "for a "
            "report. jaxbrain simulate does it."
        )
    total = simulation.seeds * simulation.trials
    replicates = f"{simulation.seeds} replicates of {simulation.trials}"
    draws = f"{thousands(total)} exact draws ({replicates}, seed {simulation.seed})"
    part = (
        f"Simulation: {draws} of recordings and of labels"
        if simulation.draws_labels
        else f"Simulation: {draws} of what the recordings teach; the part of the labels is the "
        "closed form"
    )
    part += ". Intervals cover 95 %, by Student's t over replicates."
    if simulation.draws_labels:
        part += " With two penalties the part of the labels is the closed form."
    cell = simulated_here(content)
    if cell is None or not math.isfinite(cell["two_penalty_risk"]):
        return f"{part} The study itself could not be simulated with so few labels."
    off = cell["two_penalty_risk"] / content.numbers["two_penalty_risk"] - 1
    sigma = off * content.numbers["two_penalty_risk"] / cell["two_penalty_risk_error"]
    information = (cell[f"information_value{end}"] for end in ("", "_low", "_high"))
    return (
        f"{part} At the study itself the simulated risk with two penalties is "
        f"{abs(100 * off):.2g} % {'above' if off > 0 else 'below'} the closed form, "
        f"{abs(sigma):.1f} standard errors. The simulated value of the information is "
        f"{labels_in_interval(*information)} labels, that of the closed form "
        f"{thousands(content.numbers['information_value'])}."
    )


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
            ", and one more sample beside them as long as it costs less than "
            f"{digits(price.next_sample)}."
            if math.isfinite(price.next_sample)
            else "."
        )
    if not content.study.is_white:
        return f"{first} The law of large budgets is for white inputs."
    if math.isnan(price.large_budgets):
        return (
            f"{first} At large budgets the law for them names no price: more recordings do not "
            "bring the learned "
            "subspace closer to the task."
        )
    return (
        f"{first} At large budgets, against least squares, it pays to buy some of them as long as "
        "a sample "
        f"costs less than {digits(price.large_budgets)} labels."
    )


def about_money(content: Content, found: Money) -> str:
    """Prices, the study's bill, and what labels alone would cost."""
    purchase, rate = found.purchase, content.study.samples_per_hour
    recordings, currency = purchase.modalities[""], purchase.currency

    def said(amount: float) -> str:
        return money(currency, rounded(amount))

    sample = f"{digits(recordings.cost_brain)} {currency}".strip()
    hour = "" if rate is None else f" ({digits(recordings.cost_brain * rate)} an hour)"
    fixed = "".join(
        f", and {said(amount)} once there is any {what}"
        for amount, what in (
            (recordings.fixed_cost_brain, "recording"),
            (purchase.fixed_cost_task, "label"),
        )
        if amount > 0
    )
    whose = (
        f"The budget is {said(purchase.budget)}."
        if purchase.budget_is_set
        else "No budget is set: it is taken to be what the study costs."
    )
    label = f"{digits(purchase.cost_task)} {currency}".strip()
    return (
        f"A recorded sample costs {sample}{hour}, a label {label}{fixed}. "
        f"As described the study costs {said(found.bill)}; "
        f"to be as good with labels alone would cost {said(found.bill_of_labels)}. {whose}"
    )


def assumptions(content: Content) -> tuple[str, ...]:
    """What all numbers rest on."""
    white = content.study.problem.geometry is None
    inputs = "Inputs are Gaussian and white" if white else "Inputs are Gaussian, of these variances"
    taken = _TAKEN_AS_TRUE if content.over_draws is None else _MEASURED
    said = f"{inputs}; brain and task are linear in them; all noise is Gaussian."
    return said, *_ASSUMPTIONS[:2], taken, *_ASSUMPTIONS[2:]


_TAKEN_AS_TRUE = (
    "The numbers of the inputs above are taken as true. In practice they are estimates, and the "
    "answer is no better than they are."
)
_MEASURED = (
    "The numbers of the inputs above are those of a pilot's central draw. Other draws fit the "
    "pilot's rows as well under the same model: intervals over them say how sure an answer is."
)


_ASSUMPTIONS = (
    "Recordings and labels are independent samples, and tests look like training: there is no "
    "shift.",
    "The measurement noise of the channels is equal and independent (whiten them otherwise).",
    "Penalties are at their best values. Tuning them on data costs a little of what is shown here.",
)


_NOT_MEASURED = (
    "Nothing here was measured on data. Whether recordings help with a task of your own is a "
    "question to "
    "a pilot: jaxbrain fit compares them with ridge regression and with controls."
)
_NOT_TESTED = (
    "A pilot measured these numbers under the model; no prediction was tested on left-out rows "
    "here. jaxbrain fit compares recordings with ridge regression and with controls on such rows."
)


def limits(content: Content) -> list[str]:
    """How far the numbers can be trusted."""
    study = content.study
    ratio = study.n_brain / study.problem.input_dim
    usual = "2 %" if not study.is_white else "1 %" if ratio >= 1.5 else "3 %"
    found = [
        _NOT_MEASURED if content.over_draws is None else _NOT_TESTED,
        f"There are {ratio:.3g} brain samples for each input dimension, where the closed form of "
        "the risk is "
        f"usually within {usual} of exact simulation, unless directions are lost in the noise of "
        "the channels "
        "(it would say so below); values magnify an error of the risk.",
        "Against least squares a part of any value is mere shrinkage, which needs no recordings; "
        "the value of "
        "the information leaves that part out.",
    ]
    if not math.isfinite(content.numbers["task_only_risk"]):
        found.append(
            "With so few labels the error of least squares on labels alone is infinite; its value "
            "compares "
            "with more labels than that."
        )
    if not math.isfinite(content.numbers["risk"]):
        found.append(
            "With so few labels the learned subspace cannot be read out unpenalised: value, "
            "exchange rate and "
            "savings of BEFS are undefined. Figures begin where they are defined."
        )
    elif content.beyond_ridge:
        found.append(
            "The risk of BEFS is above that of predicting 0: with so few labels its subspace "
            "should be "
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
        "We estimated what brain recordings would contribute to this task with the linear-Gaussian "
        "model of "
        f"Lewis, Wang, Schwab and Pitkow (arXiv:{ARXIV}, 2026), by its closed forms at finite "
        "samples "
        f"(jaxbrain {content.versions['jaxbrain']}).",
        f"For {thousands(p.input_dim)} input dimensions, {thousands(p.latent_dim)} of them shown "
        f"by {channels} "
        f"recording channels, a task signal-to-noise ratio of {digits(float(p.task_snr))}, and "
        f"{digits(100 * float(p.relative_misalignment))} % of the task out of reach of any "
        "recording, "
        f"{samples(study, 'recorded samples ')} beside {thousands(study.n_task)} labels are "
        "predicted to be "
        f"{worth}, with optimal regularisation on both sides and compared with ridge regression on "
        "labels "
        "alone.",
    ]
    if math.isfinite(numbers["value"]):
        parts.append(
            f"Against ordinary least squares they would count as {count(numbers['value'])} labels, "
            "a part of "
            "which is shrinkage that needs no recordings."
        )
    if content.beyond_ridge and math.isfinite(numbers["risk"]):
        parts.append(
            "Without a penalty inside the learned subspace the prediction would be worse than none "
            "at all."
        )
    cell, name = simulated_here(content), "two_penalty_risk"
    if cell is not None and math.isfinite(cell[name]) and content.simulation is not None:
        drawn = thousands(content.simulation.seeds * content.simulation.trials)
        parts.append(
            f"{drawn} exact Monte Carlo draws of the recording stage of the same model put the "
            "excess test error of the two-stage estimator with two penalties at "
            f"{digits(cell[name])} ({_interval(cell, name)}), where the closed form says "
            f"{digits(numbers[name])}."
        )
        if information >= 0.5:
            simulated = cell["information_value"]
            parts.append(
                f"By these draws the recordings are worth {count(simulated)} further labels "
                f"({_interval(cell, 'information_value', count)})."
            )
    if content.money is not None:
        parts += _money_sentences(content.money)
    white = " white" if p.geometry is None else ""
    parts.append(
        f"The estimate assumes Gaussian{white} inputs, linear brain and task maps, Gaussian noise, "
        f"and independent samples of both kinds; {_source(content)}"
    )
    return " ".join(parts)


def _source(content: Content) -> str:
    over = content.over_draws
    if over is None:
        return (
            "the numbers above are taken as known and were not "
            "measured here. It is a planning figure that a pilot should check before recordings "
            "are collected at scale."
        )
    between = ends(over.intervals["information_value"], count)
    return (
        f"a pilot measured the numbers above, and over its {thousands(over.count)} draws the "
        f"recordings are worth {between} labels (95 %)."
    )


def _interval(cell: dict[str, float], name: str, written: Callable[[float], str] = digits) -> str:
    low, high = written(cell[f"{name}_low"]), written(cell[f"{name}_high"])
    return (
        "its 95 % interval is narrower than these digits"
        if low == high
        else (f"95 % interval {low} to {high}")
    )


def _money_sentences(found: Money) -> list[str]:
    currency, recordings = found.purchase.currency, found.purchase.modalities[""]

    def said(amount: float) -> str:
        return money(currency, rounded(amount))

    best = found.plan["modalities"][""]
    first = (
        f"At {digits(recordings.cost_brain)} {currency}".strip()
        + " a recorded sample and "
        + f"{digits(found.purchase.cost_task)} {currency}".strip()
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
        f"The best split of {said(found.plan['budget'])} is {count(best['n_brain'])} recorded "
        "samples and "
        f"{count(best['n_task'])} labels, which saves {100 * best['saved']:.3g} % of what labels "
        "alone would "
        "cost.",
    ]
