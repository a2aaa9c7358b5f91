"""`jaxbrain pilot`: the numbers of a study, from a user's own arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from ..answers.pilot import answer_of, bytes_needed
from ..errors import (
    UserError,
    check_memory,
    flag,
    in_flags,
    memory_problems,
    output_problems,
    seed_problems,
    write_outputs,
)
from ..input.arrays import Arrays
from ..progress import Progress
from ..words.arrays import about_arrays
from ..words.pilot import as_json, as_text
from ..words.text import wrote

_MOST = 1_000_000_000
_BOUNDS = {"rank": (1, _MOST), "block": (1, _MOST), "draws": (20, 100_000)}
# What `fit` does in its splits, and a pilot in its own way.
_OF_FIT = ("standardise_inputs", "standardise_targets", "raw_channels")


def pilot(
    arrays: Annotated[Arrays, tyro.conf.OmitArgPrefixes],
    *,
    out: Path | None = None,
    rank: int | None = None,
    more_inputs: Path | None = None,
    block: int = 1,
    draws: int = 500,
    seed: int = 0,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """What study do these recordings and labels speak of? Its numbers, with intervals.

    `worth`, `plan`, `report` and `simulate` take the study that this writes.

    Args:
        arrays: Where the arrays are.
        out: Write the study into this file, in .toml, and its draws beside it, in .nc. By default
            numbers are only printed.
        rank: Number of latents. By default it is uncertain as well: as many as suffice to predict
            left-out recordings, in resampled rows.
        more_inputs: Further inputs, without recordings or labels, a row each, in a .npy file. They
            tell how the inputs vary, which few rows leave open.
        block: That many consecutive rows depend on each other. For time series: longer than rows
            stay alike.
        draws: How many studies to draw that are as likely as these rows allow.
        seed: Of the draws.
        overwrite: Replace the files of --out if they exist.
        json: Print JSON instead of a table.
    """
    import jax

    from ...pilot import PilotError, class_indicators, estimate
    from ...study import StudyError
    from ...study.errors import Memory
    from ...study.features import read_features
    from ...study.measured import study_contents

    problems = seed_problems(seed) + memory_problems(arrays.max_gigabytes) + arrays.problems()
    problems += [
        f"{flag(name)} is for fit: a pilot brings channels and targets to one unit by itself"
        for name in _OF_FIT
        if getattr(arrays, name)
    ]
    for name, number in {"rank": rank, "block": block, "draws": draws}.items():
        low, high = _BOUNDS[name]
        if number is not None and not low <= number <= high:
            problems.append(f"{flag(name)} must lie between {low} and {high}, but it is {number}")
    problems += output_problems(out, overwrite, (".toml",), *arrays.paths)
    if out is not None:
        problems += output_problems(out.with_suffix(".nc"), overwrite, (".nc",), *arrays.paths)
    if arrays.file is None and not arrays.files:
        raise UserError(problems)
    more = None
    if more_inputs is not None:
        allowed = Memory.of_command(arrays.max_gigabytes)
        more = read_features(more_inputs, "--more-inputs", allowed, problems)
    try:
        as_read = arrays.read()
        if problems:
            raise UserError(problems)
        data = class_indicators(as_read)
        check_memory(bytes_needed(data, draws, rank), arrays.max_gigabytes, "draw fewer (--draws)")
        found = estimate(
            data.brain_inputs,
            data.recordings,
            data.task_inputs,
            data.targets,
            rank,
            inputs=more,
            brain_groups=data.brain_groups,
            task_groups=data.task_groups,
            block=block,
            draws=draws,
            key=jax.random.key(seed),
            progress=Progress("chains"),
        )
    except PilotError as error:
        names = ["rank", "block", "draws", *arrays.files]
        problems += [in_flags(problem, names) for problem in error.problems]
        raise UserError(problems) from error
    if out is not None:
        try:
            write_outputs(study_contents(found, out), overwrite)
        except StudyError as error:
            raise UserError(error.problems) from error
    answer = answer_of(found, data)
    if json:
        return as_json(answer, about_arrays(as_read, arrays.average_repeats), out)
    told = as_text(answer, about_arrays(as_read, arrays.average_repeats), out)
    return "\n".join([told, *wrote(out), *([] if out is None else wrote(out.with_suffix(".nc")))])
