"""`jaxbrain worth`: what recordings are worth, from the closed form."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..answers.notes import accuracy_noted, without_infinities
from ..answers.worth import answer_of, changes_of, ranked
from ..errors import UserError, output_problems, write_figure
from ..input.study import Study, described, read_study
from ..words.text import thousands, wrote
from ..words.worth import THINGS, samples, verdict


def worth(
    *,
    preset: Literal["fmri", "small"] | None = None,
    config: Path | None = None,
    n_brain: float | None = None,
    hours: float | None = None,
    n_task: float | None = None,
    task_snr: float | None = None,
    misalignment: float | None = None,
    what_if: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    plot: Path | None = None,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """How many labels are recordings worth? The closed form; no data needed.

    Args:
        preset: A ready-made study; fmri unless a config describes another.
        config: A TOML file that describes a study; see docs/files.md.
        n_brain: Number of recorded samples; by default 18000 (preset fmri), 500 (small), or that of the config,
            else 10 times its inputs.
        hours: Hours of recording, instead of --n-brain.
        n_task: Number of labels at hand; by default 100000 (preset fmri), 100 (small), or that of the config,
            else twice its inputs.
        task_snr: Variance of the predictable part of a label over that of its noise; a preset has 0.1.
        misalignment: Share of the task that no recording can reach, 0 to 1; a preset has 0.1.
        what_if: Also rank what changes the worth most, by percent for one percent. (Noisier labels are worth
            less, which makes recordings worth more of them.)
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

    accuracy: list[str] = []
    numbers, beyond_ridge = answer_of(study, accuracy)
    changes = changes_of(study, numbers, accuracy) if what_if else {}
    if plot is not None:
        from ...figures import draw_savings

        # A curve may pass through a corner that the study is not in.
        with accuracy_noted([]):
            described = study.problem, study.n_brain, study.n_task, study.samples_per_hour
            write_figure(plot, draw_savings, *described)
    if json:
        return _as_json(study, numbers, changes, beyond_ridge, accuracy)
    table = _as_table(study, numbers, changes, beyond_ridge)
    return "\n".join([table, *(f"note: {note}" for note in accuracy), *wrote(plot)])


def _as_json(
    study: Study,
    numbers: dict[str, float],
    changes: dict[str, dict[str, float]],
    beyond_ridge: bool,
    accuracy: list[str],
) -> str:
    fields, notes = without_infinities(numbers)
    notes += accuracy
    if beyond_ridge and math.isfinite(numbers["risk"]):
        notes.append("risk is at least that of predicting 0: value_vs_ridge stands at -n_task")
    extra: dict = {"hours": study.hours, "worse_than_predicting_zero": beyond_ridge, "notes": notes}
    if changes:
        extra["elasticities"] = {
            measure: {
                name: change if math.isfinite(change) else None for name, change in row.items()
            }
            for measure, row in changes.items()
        }
    return json_module.dumps(fields | extra, indent=2)


def _as_table(
    study: Study,
    numbers: dict[str, float],
    changes: dict[str, dict[str, float]],
    beyond_ridge: bool,
) -> str:
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
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
    ranking = f"{_what_if(changes)}\n\n" if changes else ""
    return f"{table}\n\n{ranking}{verdict(study, numbers, beyond_ridge)}"


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
