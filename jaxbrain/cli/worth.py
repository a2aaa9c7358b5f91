"""`jaxbrain worth`: what recordings are worth, from the closed form."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from .errors import UserError, output_problems
from .study import Study, read_study


def worth(
    *,
    preset: Literal["fmri", "small"] | None = None,
    config: Path | None = None,
    n_brain: float | None = None,
    hours: float | None = None,
    n_task: float | None = None,
    task_snr: float | None = None,
    misalignment: float | None = None,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    plot: Path | None = None,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """How many labels are recordings worth? The closed form; no data needed.

    Args:
        preset: A ready-made study; fmri unless a config describes another.
        config: A TOML file that describes a study; see the README.
        n_brain: Number of recorded samples.
        hours: Hours of recording, instead of --n-brain.
        n_task: Number of labels at hand.
        task_snr: Variance of the predictable part of a label over that of its noise.
        misalignment: Share of the task that no recording can reach, 0 to 1.
        json: Print JSON instead of a table.
        plot: Draw savings over labels, for several amounts of recording, into this file.
        overwrite: Replace the plot if it exists.
    """
    unwritable = output_problems(plot, overwrite, (".png", ".svg", ".pdf"))
    try:
        study = read_study(
            config,
            {
                "preset": preset,
                "n_brain": n_brain,
                "hours": hours,
                "n_task": n_task,
                "task_snr": task_snr,
                "misalignment": misalignment,
            },
        )
    except UserError as error:
        raise UserError(error.problems + unwritable) from error
    if unwritable:
        raise UserError(unwritable)

    from ..theory import worth as compute_worth

    answer = compute_worth(study.problem, study.n_brain, study.n_task)
    numbers = {name: float(value) for name, value in answer._asdict().items()}
    beyond_ridge = bool(numbers.pop("worse_than_predicting_zero"))
    if math.isinf(numbers["risk"]):
        # Too few labels to read the subspace out: nothing that could be compared.
        undefined = ("value", "value_vs_ridge", "exchange_rate", "savings")
        numbers |= dict.fromkeys(undefined, math.nan)
    if plot is not None:
        from ..figures import save_savings

        try:
            save_savings(study.problem, study.n_brain, study.n_task, study.samples_per_hour, plot)
        except OSError as error:
            raise UserError([f"{plot}: cannot be written ({error.strerror})"]) from error
    if json:
        print(_as_json(study, numbers, beyond_ridge))
    else:
        print(_as_table(study, numbers, beyond_ridge))


def _as_json(study: Study, numbers: dict[str, float], beyond_ridge: bool) -> str:
    # JSON knows no infinity: such a number is null, and a note says what it stands for.
    kinds = {math.inf: "infinite", -math.inf: "minus infinity"}
    notes = [
        f"{name} is {kinds.get(value, 'undefined')}"
        for name, value in numbers.items()
        if not math.isfinite(value)
    ]
    if beyond_ridge and math.isfinite(numbers["risk"]):
        notes.append("risk is at least that of predicting 0: value_vs_ridge stands at -n_task")
    fields = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    extra = {"hours": study.hours, "worse_than_predicting_zero": beyond_ridge, "notes": notes}
    return json_module.dumps(fields | extra, indent=2)


def _as_table(study: Study, numbers: dict[str, float], beyond_ridge: bool) -> str:
    p = study.problem
    channels = "many channels" if p.recording_dim is None else f"{p.recording_dim} channels"
    power = float(p.total_power)
    rows = [
        ("study", f"{p.input_dim} inputs, {p.latent_dim} latents, {channels}"),
        ("task", f"SNR {float(p.task_snr):g}, misalignment {float(p.relative_misalignment):.2g}"),
        ("brain samples", _samples(study)),
        ("labels", thousands(numbers["n_task"])),
        ("penalty", f"{numbers['penalty']:.4g}"),
        ("risk with recordings", f"{numbers['risk']:.4g}"),
        ("risk, least squares on labels alone", f"{numbers['task_only_risk']:.4g}"),
        ("risk, ridge on labels alone", f"{numbers['ridge_risk']:.4g}"),
        ("risk of predicting 0", f"{power:.4g}"),
    ]
    if math.isfinite(numbers["risk"]):
        against_ridge = thousands(numbers["value_vs_ridge"]) + " labels"
        rows += [
            ("value against least squares", thousands(numbers["value"]) + " labels"),
            (
                "value against ridge",
                "none: worse than predicting 0" if beyond_ridge else against_ridge,
            ),
            ("exchange rate", f"{numbers['exchange_rate']:.3g} labels a brain sample"),
            ("savings", f"{100 * numbers['savings']:.1f} % of the labels"),
        ]
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
    return f"{table}\n\n{_verdict(study, numbers, beyond_ridge)}"


def _verdict(study: Study, numbers: dict[str, float], beyond_ridge: bool) -> str:
    labels = thousands(_rounded(numbers["value"]))
    start = f"{_samples(study, 'brain samples ')} are worth {labels} extra labels"
    if not math.isfinite(numbers["risk"]):
        return (
            f"With labels numbering {thousands(numbers['n_task'])} the subspace cannot even be read out "
            f"({study.problem.latent_dim} latents): more labels first, then recordings."
        )
    if beyond_ridge:
        return (
            f"{start}: measured against least squares. But the error is above that of predicting 0, "
            "which ridge regression reaches without a single label, so here the recordings buy "
            "nothing that shrinkage does not give for free."
        )
    against_ridge = numbers["value_vs_ridge"]
    if against_ridge <= 0:
        return (
            f"{start}: measured against least squares. Against ridge regression they are worth "
            f"{thousands(_rounded(against_ridge))} labels, so that gain is shrinkage, not knowledge "
            "of the brain."
        )
    return (
        f"{start}: measured against least squares. Against ridge regression, which needs no "
        f"recordings to shrink, they are worth {thousands(_rounded(against_ridge))} labels."
    )


def _samples(study: Study, noun: str = "") -> str:
    hours = "" if study.hours is None else f"({study.hours:.1f} h)"
    return f"{thousands(study.n_brain)} {noun}{hours}".strip()


def thousands(number: float) -> str:
    """A count with thin groups of three digits, as text."""
    if not math.isfinite(number):
        return f"{number}"
    return f"{round(number):,}".replace(",", " ")


def _rounded(number: float) -> float:
    """Three significant digits: more would claim what the model cannot know."""
    if number == 0 or not math.isfinite(number):
        return number
    digits = 2 - int(np.floor(np.log10(abs(number))))
    return round(number, digits)
