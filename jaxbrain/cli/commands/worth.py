"""`jaxbrain worth`: what recordings are worth, from the closed form."""

from __future__ import annotations

import json as json_module
import math
import sys
from pathlib import Path
from typing import Annotated

import tyro

from ...study import Study
from ...study.described import Preset
from ..answers.notes import without_infinities
from ..answers.over_draws import (
    CLOSED_FORMS_OVER_DRAWS,
    OverDraws,
    notes_of_pilot,
    worth_over_draws,
)
from ..answers.worth import answer_of, bytes_needed, changes_of, savings_of, simulated_of
from ..errors import (
    UserError,
    check_memory,
    drawn,
    memory_problems,
    output_problems,
    write_outputs,
)
from ..input.study import read_study
from ..words.text import wrote
from ..words.worth import as_table, long_wait

# Of so many a second goes into each penalty that is tried.
_MANY_LATENTS = 64


def worth(
    config: Annotated[Path | None, tyro.conf.Positional] = None,
    *,
    preset: Preset | None = None,
    n_brain: float | None = None,
    hours: float | None = None,
    n_task: float | None = None,
    task_snr: float | None = None,
    misalignment: float | None = None,
    encoding_penalty: str | None = None,
    exponent: float | None = None,
    features: Path | None = None,
    latent_alignment: float | None = None,
    task_alignment: float | None = None,
    what_if: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    max_gigabytes: float = 2.0,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    plot: Path | None = None,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """How many labels are your recordings worth? From the closed form; you need no data.

    Args:
        config: A TOML file that describes your study; docs/files.md lists its keys. Name it first.
            (--config FILE is the same.)
        preset: A ready-made study, instead of a file. By default fmri.
        n_brain: How many samples you record. By default 18000 (preset fmri), 500 (small, images),
            or what the file says, else 10 times its inputs.
        hours: How many hours you record, instead of --n-brain.
        n_task: How many labels you have. By default 100000 (preset fmri), 100 (small), 250
            (images), or what the file says, else twice its inputs.
        task_snr: Variance of the predictable part of a label, divided by the variance of its noise.
            A preset has 0.1, or 1 (images).
        misalignment: Share of the task that no recording can reach, 0 to 1. A preset has 0.1.
        encoding_penalty: Ridge of the stage that learns from recordings, for each sample: a number,
            or optimal. With one, recordings may be fewer than inputs. By default 0 for white
            inputs, optimal for others.
        exponent: How the variance of inputs falls, as i^-exponent, 0 to 10; for the [problem] of a
            file, like the next three.
        features: Features of your own, a row for each stimulus in a .npy file, whose spectrum the
            inputs have.
        latent_alignment: How the variance of a latent lies in that spectrum: in proportion to its
            power of this, -10 to 10. By default 1; 0 spreads it evenly, below 0 weak inputs lead.
        task_alignment: The same of the part of the task that no recording can reach.
        what_if: Also rank what changes the worth most. For one percent more of each thing you see
            the change in percent. (Noisier labels are worth less, so recordings are worth more of
            them.)
        max_gigabytes: Memory for closed forms, which latents that all differ take.
        json: Print JSON instead of a table.
        plot: Draw into this file which share of the labels you save, for several amounts of
            recording.
        overwrite: Replace the plot if it exists.
    """
    unwritable = output_problems(plot, overwrite, (".png", ".svg", ".pdf"), config)
    unwritable += memory_problems(max_gigabytes)
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
                "encoding_penalty": encoding_penalty,
                "exponent": exponent,
                "features": features,
                "latent_alignment": latent_alignment,
                "task_alignment": task_alignment,
            },
            max_gigabytes=max_gigabytes if 0 < max_gigabytes < math.inf else 2.0,
        )
    except UserError as error:
        raise UserError(error.problems + unwritable) from error
    if unwritable:
        raise UserError(unwritable)
    needed = bytes_needed(study, plot is not None)
    kinds = "kinds of latents" if study.is_white else "latents"
    check_memory(needed, max_gigabytes, f"describe fewer {kinds}")

    if not study.is_white and study.problem.latent_dim > _MANY_LATENTS:
        print(f"jaxbrain: {long_wait(study)}", file=sys.stderr, flush=True)

    accuracy: list[str] = notes_of_pilot(study.estimate)
    doubts = len(accuracy)
    numbers, beyond_ridge = answer_of(study, accuracy)
    errors: dict[str, float] = {}
    if len(accuracy) > doubts and not study.is_white:
        numbers, beyond_ridge, errors = simulated_of(study, numbers, accuracy)
    changes = changes_of(study, numbers, accuracy) if what_if else {}
    over = worth_over_draws(study)
    if over is not None and errors:
        accuracy.append(CLOSED_FORMS_OVER_DRAWS)
    if plot is not None:
        from ...figures import draw_savings

        curves, at_study = savings_of(study)
        drawing = draw_savings, curves, study.samples_per_hour, at_study
        write_outputs(drawn(plot, *drawing), overwrite)
    if json:
        return _as_json(study, numbers, changes, beyond_ridge, accuracy, errors, over)
    table = as_table(study, numbers, changes, beyond_ridge, errors, over)
    return "\n".join([table, *(f"note: {note}" for note in accuracy), *wrote(plot)])


def _as_json(
    study: Study,
    numbers: dict[str, float],
    changes: dict[str, dict[str, float]],
    beyond_ridge: bool,
    accuracy: list[str],
    errors: dict[str, float],
    over: OverDraws | None,
) -> str:
    fields, notes = without_infinities(numbers)
    notes += accuracy
    if beyond_ridge and math.isfinite(numbers["risk"]):
        notes.append("risk is at least that of predicting 0: value_vs_ridge stands at -n_task")
    extra: dict = {"encoding_penalty": study.encoding_penalty, "hours": study.hours}
    extra |= {"worse_than_predicting_zero": beyond_ridge, "notes": notes}
    extra |= {"standard_errors": errors}
    if over is not None:
        more, said = over.fields()
        extra |= more
        notes += said
    if changes:
        extra["elasticities"] = {
            measure: {
                name: change if math.isfinite(change) else None for name, change in row.items()
            }
            for measure, row in changes.items()
        }
    return json_module.dumps(fields | extra, indent=2)
