"""`jaxbrain plan`: how to split a budget between brain recordings and labels."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import Annotated, Any

import tyro

from ..._arguments import Baseline, Estimator
from ...study.described import Preset
from ..answers.notes import without_infinities
from ..answers.plan import answer_of, curves_of, power_of
from ..errors import UserError, drawn, output_problems, write_outputs
from ..input.study import read_purchase
from ..words.plan import as_text, told
from ..words.text import wrote


def plan(
    config: Annotated[Path | None, tyro.conf.Positional] = None,
    *,
    preset: Preset | None = None,
    budget: float | None = None,
    cost_task: float | None = None,
    cost_hour: float | None = None,
    cost_brain: float | None = None,
    fixed_cost_brain: float | None = None,
    fixed_cost_task: float | None = None,
    task_snr: float | None = None,
    misalignment: float | None = None,
    estimator: Estimator | None = None,
    baseline: Baseline | None = None,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    plot: Path | None = None,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """How much brain recording and how many labels should you buy? The closed form; no data needed.

    Without prices of yours it takes illustrative ones. By default both sides shrink as well as they
    can: ridge regression is the best you can do without brain data. The paper compares befs with
    ols instead; a part of those savings is mere shrinkage.

    Args:
        config: A TOML file that describes one or more modalities; docs/files.md lists its keys.
            Name it first. (--config FILE is the same.)
        preset: A ready-made modality, instead of a file. By default fmri.
        budget: Your money for recordings and labels together. By default 30000 (preset fmri), 500
            (small), 1000 (images), or what the file says.
        cost_task: Price of one label. By default 0.5 (preset fmri), 1 (small, images), or what the
            file says.
        cost_hour: Price of an hour of recording. By default 600 (preset fmri).
        cost_brain: Price of one recorded sample, instead of --cost-hour. By default 0.3 (preset
            small) or 0.5 (images).
        fixed_cost_brain: What you pay once if you record anything. By default 0.
        fixed_cost_task: What you pay once if you label anything. By default 0.
        task_snr: Variance of the predictable part of a label, divided by the variance of its noise.
            A preset has 0.1.
        misalignment: Share of the task that no recording can reach, 0 to 1. A preset has 0.1.
        estimator: What learns from the recordings. By default befs_two_penalties.
        baseline: What learns without recordings. By default ridge.
        json: Print JSON instead of a table.
        plot: Draw into this file how the risk depends on the share of the budget spent on
            recordings.
        overwrite: Replace the plot if it exists.
    """
    unwritable = output_problems(plot, overwrite, (".png", ".svg", ".pdf"), config)
    try:
        purchase = read_purchase(
            config,
            {
                "preset": preset,
                "budget": budget,
                "cost_task": cost_task,
                "cost_hour": cost_hour,
                "cost_brain": cost_brain,
                "fixed_cost_brain": fixed_cost_brain,
                "fixed_cost_task": fixed_cost_task,
                "task_snr": task_snr,
                "misalignment": misalignment,
                "estimator": estimator,
                "baseline": baseline,
            },
        )
    except UserError as error:
        raise UserError(error.problems + unwritable) from error
    if unwritable:
        raise UserError(unwritable)

    notes: list[str] = []
    answer = answer_of(purchase, notes)
    if plot is not None:
        from ...figures import draw_plan

        curves, without = curves_of(purchase, answer), answer["without_brain"]["risk"]
        money = purchase.budget, purchase.currency
        drawing = draw_plan, curves, without / power_of(purchase), *money
        write_outputs(drawn(plot, *drawing), overwrite)
    answer = told(purchase, answer)
    if json:
        return _as_json(answer, notes)
    text = as_text(purchase, answer)
    return "\n".join([text, *(f"note: {note}" for note in notes), *wrote(plot)])


def _as_json(answer: dict[str, Any], notes: list[str]) -> str:
    def plain(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: plain(part, f"{name}.{key}".strip(".")) for key, part in value.items()}
        if isinstance(value, list):
            if not all(math.isfinite(part) for part in value):
                notes.append(f"{name} is infinite where it is null")
            return [part if math.isfinite(part) else None for part in value]
        if isinstance(value, float):
            fields, said = without_infinities({name: value})
            notes.extend(said)
            return fields[name]
        return value

    return json_module.dumps(plain(answer, "") | {"notes": notes}, indent=2)
