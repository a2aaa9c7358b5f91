"""A plan in words: the table, the verdict, and why something should not be bought."""

from __future__ import annotations

import math
from typing import Any

from ...study import Purchase
from .over_draws import verdict_of_plan_draws
from .text import aligned, rounded, thousands

_LABELS = {
    "befs": "BEFS",
    "befs_two_penalties": "BEFS with two penalties",
    "ols": "least squares",
    "ridge": "ridge regression",
}
_HEADER = ("", "price", "samples", "hours", "labels", "on brain", "on labels", "risk", "saved")


def as_text(purchase: Purchase, answer: dict[str, Any]) -> str:
    """What was asked, a row for each modality and one without recordings, and the verdict."""
    problem = next(iter(purchase.modalities.values())).problem
    price = money(purchase.currency, purchase.cost_task)
    if purchase.fixed_cost_task > 0:
        price += f" and {money(purchase.currency, purchase.fixed_cost_task)} once"
    fixed = [modality.fixed_cost_brain for modality in purchase.modalities.values()]
    if not any((*fixed, purchase.fixed_cost_task)):
        price += "; no fixed costs"
    lines = [
        f"budget {money(purchase.currency, purchase.budget)}; a label {price}",
        f"task: {problem.input_dim} inputs, SNR {float(problem.task_snr):.3g}; risk of predicting "
        "0: "
        f"{float(problem.total_power):.4g}",
        f"with recordings {_LABELS[purchase.estimator]}, without {_LABELS[purchase.baseline]}",
        "",
        *aligned(_rows(purchase, answer)),
        "",
        answer["verdict"],
    ]
    if answer["best"] is not None:
        for name, found in answer["modalities"].items():
            reason = found["why_not"]
            if reason:
                # A name keeps its case.
                start = reason[0] if reason.startswith(name) else reason[0].upper()
                lines.append(f"{start}{reason[1:]}.")
    return "\n".join(lines)


def _rows(purchase: Purchase, answer: dict[str, Any]) -> list[tuple[str, ...]]:
    unit = f" ({purchase.currency})" if purchase.currency else ""
    rows = [tuple(name + (unit if name.startswith("on ") else "") for name in _HEADER)]
    for name, found in answer["modalities"].items():
        rate, hours = found["samples_per_hour"], found["hours"]
        price = (
            f"{found['cost_brain']:.3g} each"
            if rate is None
            else f"{amount_of_money(found['cost_brain'] * rate)} an hour"
        )
        fixed = found["fixed_cost_brain"]
        row = (
            name,
            f"{price} + {amount_of_money(fixed)}" if fixed > 0 else price,
            thousands(found["n_brain"]),
            "" if hours is None else f"{hours:.1f}",
            thousands(found["n_task"]),
            amount_of_money(found["spent_on_brain"]),
            amount_of_money(found["spent_on_task"]),
            f"{found['risk']:.4g}",
            f"{100 * found['saved']:.1f} %" if found["n_brain"] > 0 else "",
        )
        rows.append(row)
    alone = answer["without_brain"]
    spent = amount_of_money(alone["spent_on_task"])
    labels, risk = thousands(alone["n_task"]), f"{alone['risk']:.4g}"
    rows.append(("no recordings", "", "0", "", labels, "0", spent, risk, ""))
    if all(modality.samples_per_hour is None for modality in purchase.modalities.values()):
        rows = [(*row[:3], *row[4:]) for row in rows]
    return rows


def verdict(purchase: Purchase, answer: dict[str, Any]) -> str:
    """What to buy and what that saves, or why nothing should be bought, in one sentence."""
    best, alone = answer["best"], answer["without_brain"]
    if best is None:
        if not math.isfinite(alone["risk"]):
            return (
                f"No plan within this budget has a finite error: {_LABELS[purchase.baseline]} "
                "takes more "
                "labels than inputs."
            )
        reasons = "; ".join(why_not(purchase, answer, name) for name in answer["modalities"])
        return f"Buy no recordings: {reasons}."
    found = answer["modalities"][best]
    hours = "" if found["hours"] is None else f" ({found['hours']:.1f} h)"
    spent = found["spent_on_brain"] + found["spent_on_task"]
    rival = money(purchase.currency, rounded(spent + found["money_saved"]))
    saved = money(purchase.currency, rounded(found["money_saved"]))
    gain = (
        f"so that {100 * found['saved']:.0f} % ({saved}) are saved"
        if found["saved"] >= 0.01
        else f"so that less than 1 % ({saved}) is saved: hardly worth the effort"
    )
    return (
        f"Buy {f'{best} recordings'.strip()}: {thousands(rounded(found['n_brain']))} "
        f"samples{hours} for "
        f"{money(purchase.currency, rounded(found['spent_on_brain']))}, and "
        f"{thousands(rounded(found['n_task']))} labels; to be as good without recordings would "
        "cost "
        f"{rival} on labels, {gain}."
    )


def told(purchase: Purchase, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with its verdict, and with words for why something is not bought."""
    modalities = {
        name: found
        | {"why_not": None if found["why_not"] is None else why_not(purchase, answer, name)}
        for name, found in answer["modalities"].items()
    }
    said = verdict(purchase, answer)
    if "draws" in answer:
        said = f"By the pilot's central draw: {said} {verdict_of_plan_draws(answer)}"
    return answer | {"modalities": modalities, "verdict": said}


def why_not(purchase: Purchase, answer: dict[str, Any], name: str) -> str:
    """Why recordings of this kind should not be bought; "recording" where the kind has no name."""
    found, modality = answer["modalities"][name], purchase.modalities[name]
    alone, (kind, without) = answer["without_brain"], found["why_not"]
    name = name or "recording"
    if kind == "the least amount is above the budget":
        needed = money(purchase.currency, rounded(found["least_budget"]))
        return (
            f"{name} costs {needed} before a subspace of {modality.problem.input_dim} inputs can "
            "be "
            "learned at all, which is above the budget"
        )
    if kind == "no label can be bought":
        if purchase.fixed_cost_task > purchase.budget:
            due = f"labelling alone costs {money(purchase.currency, purchase.fixed_cost_task)} once"
        else:
            due = f"a label costs {money(purchase.currency, purchase.cost_task)}"
        return (
            f"{due}, so that a budget of {money(purchase.currency, purchase.budget)} buys none; "
            "recordings alone teach no task"
        )
    if kind == "labels leave nothing to improve":
        return (
            f"labels alone bring the risk to {without:.2g} already, which leaves {name} nothing to "
            "improve"
        )
    if kind == "teaches nothing":
        return (
            f"{name} teaches nothing about this task: no amount of it, even for free, would bring "
            "the "
            f"risk below that of {_LABELS[purchase.baseline]} without it"
        )
    reached, otherwise = (
        f"{number:.4g}" if math.isfinite(number) else "no finite value"
        for number in (min(found["frontier"]["risk"]), alone["risk"])
    )
    return (
        f"{name} is too expensive for what it teaches at this budget (at best the risk comes to "
        f"{reached} with it, and to {otherwise} if all is spent on labels)"
    )


def money(currency: str, amount: float) -> str:
    """A sum of money with its currency, if there is one."""
    return f"{amount_of_money(amount)} {currency}".strip()


def amount_of_money(amount: float) -> str:
    """Whole units, or three digits where they are few."""
    return thousands(amount) if abs(amount) >= 100 else f"{amount:.3g}"
