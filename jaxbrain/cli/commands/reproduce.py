"""`jaxbrain reproduce`: the results of the paper, and what goes beyond it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro

from ..errors import UserError, check_memory, memory_problems
from ..words.text import aligned


def reproduce(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ("all",),
    /,
    *,
    out: Path,
    quick: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    max_gigabytes: float = 2.0,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """Reproduce the paper: tables, figures drawn from them, and a verdict on each of its claims.

    Args:
        names: Results by name, or all: model, learning, exchange, shift, budget, agreement,
            imaging, information, boundaries.
        out: The folder to write into. It is made if it does not exist.
        quick: Simulate little. The claims are the same, their intervals wider; some two minutes in
            all.
        resume: Take the tables that are there, compute those that are missing, draw and judge anew.
        max_gigabytes: Memory for the arrays of trials and results.
        overwrite: Compute everything anew, whatever is there.
    """
    from ...reproduce import FULL, QUICK, RESULTS, VERDICTS, bytes_needed
    from ...reproduce import reproduce as run

    problems = [
        f"there is no result {name!r}: choose from all, {', '.join(RESULTS)}"
        for name in names
        if name not in ("all", *RESULTS)
    ]
    if resume and overwrite:
        problems.append("--resume and --overwrite exclude each other")
    try:
        if out.exists() and not out.is_dir():
            problems.append(f"{out} is a file: --out names a folder")
    except OSError as error:
        problems.append(f"{out}: cannot be written ({error.strerror})")
    problems += memory_problems(max_gigabytes)
    if problems:
        raise UserError(problems)
    scale = QUICK if quick else FULL
    check_memory(bytes_needed(scale), max_gigabytes, "pass --quick")
    chosen = list(RESULTS) if "all" in names else list(names)

    def report_progress(message: str) -> None:
        if sys.stderr.isatty():
            print(message, file=sys.stderr)

    try:
        found = run(
            chosen,
            out,
            scale=scale,
            resume=resume,
            overwrite=overwrite,
            progress=report_progress,
        )
    except FileExistsError as error:
        raise UserError([f"{error.args[0]} (--resume, --overwrite)"]) from error
    except OSError as error:
        raise UserError(
            [f"{error.filename or out}: cannot be read or written ({error.strerror})"]
        ) from error
    except ValueError as error:
        raise UserError([str(error)]) from error
    rows = [
        (
            name,
            *(str(sum(c.verdict == verdict for c in claims)) for verdict in VERDICTS),
        )
        for name, claims in found.items()
    ]
    lines = aligned([("result", *VERDICTS), *rows])
    for claims in found.values():
        for claim in claims:
            if claim.verdict != VERDICTS[0]:
                told_why = f": {claim.condition}" if claim.condition else ""
                told = f"{claim.verdict}: {claim.statement}\n  {claim.measured}{told_why}"
                lines += ["", told]
    return "\n".join([*lines, "", f"All claims with their numbers: {out / 'claims.md'}"])
