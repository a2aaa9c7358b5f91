"""The file of a study that a pilot measured: TOML for people, and its draws beside it."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from .._checks import check_flag, check_kind, kind_of
from .._reading import opened
from .._writing import write_files
from ..pilot.estimates import Measured, PilotEstimate
from ..store import read_table, table_contents
from ._draws import as_table, estimate_of
from .errors import Memory, flag
from .toml import SPECTRUM, only_known, shown

# The bytes of a file, as they come and as they were hashed, its table, the draws, and moments.
_COPIES = 5
# Six digits are written. Of float32 some hold less.
_AGREES = 1e-3
_ENDS = ("value", "low", "high")
MEASURED_ALREADY = ("preset", "problem", "task_snr", "misalignment", *SPECTRUM)
"""What no file or option says beside a pilot."""


def write_study(
    estimate: PilotEstimate, path: Path | str, *, overwrite: bool = False
) -> list[Path]:
    """Keep what a pilot measured as a study file, for `read_study` and for the command line.

    The file is TOML and can be read by people: numbers of the pilot's rows, and every number of the
    study with its 95 % interval. Its draws are in a netCDF file of the same name in .nc beside it.
    Both appear together, or neither. `jaxbrain worth`, `plan`, `report` and `simulate` take the
    TOML file.

    >>> import jax, jaxbrain as jb, numpy as np, pathlib, tempfile
    >>> from jaxbrain.pilot.estimates import PilotEstimate
    >>> alike = jb.Problem.power_law(12, 1.0, 2, 1.0, 0.2, 0.5)
    >>> problem = jb.Problem(
    ...     input_dim=12, latent_dim=2, latent_noise=0.5 * np.eye(2), gain=np.eye(2),
    ...     recording_noise=0.0, aligned_power=np.full((2, 2), 0.4), misaligned_power=0.2,
    ...     task_noise=1.0, geometry=alike.geometry)
    >>> draws = jax.tree.map(lambda number: np.stack([number] * 3), problem)
    >>> estimate = PilotEstimate(problem, (draws,), n_brain=60.0, n_task=40.0, notes=())
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.toml"
    >>> [file.name for file in jb.write_study(estimate, path)]
    ['mine.toml', 'mine.nc']
    >>> study = jb.read_study(path)
    >>> study.n_brain, study.estimate.count
    (60.0, 3)

    **Arguments**

    - `estimate`: what `jaxbrain.pilot.estimate` returns.
    - `path`: of the TOML file, which ends in .toml.
    - `overwrite`: replace files of these names. Without it, one that is there is an error.

    **Returns**

    The paths of both files.

    **Raises**

    `ValueError` where `estimate` is none, and where `path` ends in something else.
    `FileExistsError` where a file is there and `overwrite` is false. `OSError` where a file cannot
    be written.

    **Source**

    Ours.
    """
    check_kind("estimate", estimate, PilotEstimate, "pass what jaxbrain.pilot.estimate returns")
    check_flag("overwrite", overwrite)
    contents = study_contents(estimate, path)
    write_files(contents, overwrite=overwrite)
    return list(contents)


def study_contents(estimate: PilotEstimate, path: Path | str) -> dict[Path, bytes]:
    """The files that `write_study` writes, to be written beside others."""
    path = _checked(path)
    beside = path.with_suffix(".nc")
    contents = {path: _as_toml(estimate, beside.name).encode()}
    return contents | table_contents(as_table(estimate), beside, csv=False)


def _checked(path: Path | str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path must be the name of a file in .toml, but it is {kind_of(path)}")
    path = Path(path)
    if path.suffix.lower() != ".toml":
        raise ValueError(f"path must end in .toml, but it is {path}")
    if not path.name.isprintable():
        raise ValueError(f"path must have a name that can be read, not {path.name!a}")
    return path


def _as_toml(estimate: PilotEstimate, draws: str) -> str:
    from .. import __version__

    width = max(map(len, estimate.numbers))
    measured = (
        f"{name:<{width}} = {{ {', '.join(_ended(number))} }}"
        for name, number in estimate.numbers.items()
    )
    notes = "".join(f"\n    {_text(note)}," for note in estimate.notes)
    return f"""\
# A study as a pilot measured it, written by jaxbrain {__version__}.
# jaxbrain worth, plan, report and simulate take this file, and jaxbrain.read_study in Python.
# n_brain and n_task are yours to change, and so is encoding_penalty.
# Add samples_per_hour, or a table [budget] with your prices: see docs/files.md.

n_brain = {estimate.n_brain:.10g}
n_task = {estimate.n_task:.10g}
encoding_penalty = "optimal"

[pilot]
draws = {_text(draws)}
notes = [{notes}{chr(10) if notes else ""}]

# What the draws say, with 95 % intervals. Leave these numbers as they are: answers come from the
# draws, and a file whose numbers are not theirs is refused.
[measured]
{chr(10).join(measured)}
"""


def _ended(number: Measured) -> list[str]:
    return [f"{end} = {value:.6g}" for end, value in zip(_ENDS, number, strict=True)]


def _text(words: str) -> str:
    """A string of TOML. Those of JSON are such, but for one sign."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def has_pilot(content: dict[str, Any]) -> bool:
    """Whether this is what `write_study` wrote."""
    return "pilot" in content or "measured" in content


def not_beside_pilot(config: Path, settings: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """What cannot be said beside a pilot, which measured it; it is taken out of both."""
    problems = [
        f"{flag(name)} is what the pilot of {config} measured: leave it out"
        for name in MEASURED_ALREADY
        if given.pop(name, None) is not None
    ]
    return problems + [
        f"{config}: {name} cannot stand beside [pilot], which measured the study: leave it out"
        for name in MEASURED_ALREADY
        if settings.pop(name, None) is not None
    ]


def read_estimate(
    config: Path, settings: dict[str, Any], memory: Memory, problems: list[str]
) -> PilotEstimate | None:
    """What a pilot measured, by the tables [pilot] and [measured], which are taken out.

    None after a fault.
    """
    tables = {name: settings.pop(name, None) for name in ("pilot", "measured")}
    faults = [
        f"{config}: {name} must be a table: [{name}]"
        for name, table in tables.items()
        if table is not None and not isinstance(table, dict)
    ]
    faults += [
        f"{config}: the table [{name}] is missing: write the study anew by write_study"
        for name, table in tables.items()
        if table is None
    ]
    if faults:
        problems += faults
        return None
    where = f"{config}: [pilot]"
    pilot = only_known(tables["pilot"], ("draws", "notes"), where, faults)
    notes = pilot.get("notes", [])
    if not (isinstance(notes, list) and all(isinstance(note, str) for note in notes)):
        faults.append(f"{where} notes must be a list of texts, but it is {shown(notes)}")
    file = pilot.get("draws")
    if file is None:
        faults.append(f"{where} draws is missing: it names the .nc file that write_study wrote")
    elif not (isinstance(file, str) and file.lower().endswith(".nc")):
        faults.append(f"{where} draws must be the name of a file in .nc, but it is {shown(file)}")
    if faults:
        problems += faults
        return None
    path = config.parent / str(file)
    try:
        estimate = _read_draws(path, tuple(notes), memory)
    except FileNotFoundError:
        fault = "there is no such file: it belongs beside the study, as write_study wrote both"
    except OSError as error:
        fault = f"cannot be read ({error.strerror or error})"
    except (ValueError, KeyError) as error:
        said = str(error).removeprefix(f"{path} ").removeprefix("is damaged, or ")
        fault = f"is not what write_study wrote ({said}): write the study anew"
    else:
        faults += _edited(tables["measured"], estimate, f"{config}: [measured]", path.name)
        problems += faults
        return None if faults else estimate
    problems.append(f"{where} draws {path}: {fault}")
    return None


def _read_draws(path: Path, notes: tuple[str, ...], memory: Memory) -> PilotEstimate:
    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
    for fault in memory.problem("it takes", float(_COPIES * size), "draw fewer"):
        raise OSError(fault)
    return estimate_of(read_table(path), notes)


def _edited(measured: dict[str, Any], estimate: PilotEstimate, where: str, file: str) -> list[str]:
    """What is wrong where the numbers of the table are not those of the draws."""
    faults: list[str] = []
    numbers = estimate.numbers
    only_known(measured, tuple(numbers), where, faults)
    for name, told in numbers.items():
        found = measured.get(name)
        scale = max((abs(end) for end in told if math.isfinite(end)), default=0.0)
        if not (
            isinstance(found, dict)
            and set(found) == set(_ENDS)
            and all(
                _agree(found[end], number, scale) for end, number in zip(_ENDS, told, strict=True)
            )
        ):
            faults.append(
                f"{where} {name} is not what the draws in {file} say: put back "
                f"{{ {', '.join(_ended(told))} }}, or describe a study of your own by [problem]"
            )
    return faults


def _agree(found: Any, told: float, scale: float) -> bool:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    if not math.isfinite(told):
        return str(float(found)) == str(told)
    return abs(found - told) <= _AGREES * scale + 1e-12
