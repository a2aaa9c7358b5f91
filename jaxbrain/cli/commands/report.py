"""`jaxbrain report`: one page, complete in itself, on what recordings are worth in a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from ...study.described import Preset
from ..errors import UserError, output_problems, seed_problems, write_outputs
from ..input.study import read_prices, read_study
from ..page.pictures import NAMES
from ..words.text import wrote


def report(
    config: Annotated[Path | None, tyro.conf.Positional] = None,
    *,
    out: Path,
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
    budget: float | None = None,
    cost_task: float | None = None,
    cost_hour: float | None = None,
    cost_brain: float | None = None,
    fixed_cost_brain: float | None = None,
    fixed_cost_task: float | None = None,
    currency: str | None = None,
    simulate: bool = True,
    seed: int = 0,
    pdf: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """Write one HTML page on what recordings are worth in your study, ready to be shared.

    The page holds the verdict, inputs, results beside a simulation, figures, sensitivities, a
    budget, limits, and a paragraph for a grant proposal. It needs no network. Give prices with
    --cost-task and --cost-hour (or --cost-brain), or in the table [budget] of the file. Without
    prices the report states break-even prices in labels.

    Args:
        config: A TOML file that describes your study; docs/files.md lists its keys. Name it first.
        out: The page: a file that ends in .html.
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
            or optimal. By default 0 for white inputs, optimal for others.
        exponent: How the variance of inputs falls, as i^-exponent, 0 to 10; for the [problem] of a
            file, like the next three.
        features: Features of your own, a row for each stimulus in a .npy file, whose spectrum the
            inputs have.
        latent_alignment: How the variance of a latent lies in that spectrum: in proportion to its
            power of this, -10 to 10.
        task_alignment: The same of the part of the task that no recording can reach.
        budget: Your money for recordings and labels together. By default what the study costs.
        cost_task: Price of one label.
        cost_hour: Price of an hour of recording.
        cost_brain: Price of one recorded sample, instead of --cost-hour.
        fixed_cost_brain: What you pay once if you record anything. By default 0.
        fixed_cost_task: What you pay once if you label anything. By default 0.
        currency: A word or sign to print beside prices. By default none.
        simulate: Also draw from the model, where that takes no more than seconds.
        seed: Of the simulation's random numbers.
        pdf: Also write each figure as a PDF file beside the page: NAME-risk.pdf and so on.
        overwrite: Replace the page, and these files, if they exist.
    """
    problems = output_problems(out, overwrite, (".html",), config)
    problems += seed_problems(seed)
    study = purchase = None
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
        )
    except UserError as error:
        problems += error.problems
    try:
        purchase = read_prices(
            config,
            {
                "total": budget,
                "cost_task": cost_task,
                "cost_hour": cost_hour,
                "cost_brain": cost_brain,
                "fixed_cost_brain": fixed_cost_brain,
                "fixed_cost_task": fixed_cost_task,
                "currency": currency,
            },
            study,
        )
    except UserError as error:
        problems += error.problems
    names = [name for name in NAMES if name != "plan" or purchase is not None] if pdf else []
    files = {name: out.with_name(f"{out.stem}-{name}.pdf") for name in names}
    for file in files.values():
        problems += output_problems(file, overwrite, (".pdf",), config)
    if problems or study is None:
        raise UserError(list(dict.fromkeys(problems)))

    from ..answers.report import content_of
    from ..page.page import page_of
    from ..page.pictures import pdfs

    name = f"preset {preset or 'fmri'}" if config is None else config.name
    try:
        content = content_of(name, study, purchase, simulate, seed)
    except ValueError as error:
        raise UserError([str(error)]) from error
    # A file may have a name that is no text.
    contents = {out: page_of(content).encode("utf-8", errors="replace")}
    if pdf:
        contents |= {files[name]: picture for name, picture in pdfs(content).items()}
    write_outputs(contents, overwrite)
    return "\n".join(wrote(*contents))
