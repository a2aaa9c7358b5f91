"""Reading settings: TOML files, numbers, and tables that describe a problem.

Everything that is wrong is added to a list `problems`, so that the user hears of it at once.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models import Problem
from .errors import UserError

LARGEST = 1e15
_DIMENSIONS = ("input_dim", "latent_dim", "recording_dim")
_CHANNELS = ("latent_noise", "recording_noise", "gain")
PROBLEM = (*_DIMENSIONS, *_CHANNELS, "encoding_noise")


def read_toml(path: Path) -> dict[str, Any]:
    """What the file holds. Raises `UserError` where there is no such file, or it is no TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise UserError([f"{path}: there is no such file"]) from error
    except (OSError, ValueError) as error:
        raise UserError([f"{path}: cannot be read as TOML ({error})"]) from error


def only_known(
    settings: dict[str, Any], known: Sequence[str], where: str, problems: list[str]
) -> dict[str, Any]:
    """The settings that are known; the others are faults, told with what is known there."""
    problems += [
        f"{where} {name!r} is not known here; known are {', '.join(known)}"
        for name in settings
        if name not in known
    ]
    return {name: value for name, value in settings.items() if name in known}


def number(name: str, value: Any, problems: list[str], *, zero_allowed: bool = False) -> float:
    """The value as a number, positive and not absurdly large; NaN after a fault."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        problems.append(f"{name} must be a number, but it is {value!r}")
    elif value > LARGEST:
        problems.append(f"{name} must be at most {LARGEST:g}")
    elif value < 0 or (value == 0 and not zero_allowed):
        bound = "at least 0" if zero_allowed else "greater than 0"
        problems.append(f"{name} must be {bound}, but it is {max(value, -LARGEST):g}")
    else:
        return float(value)
    return math.nan


def share(name: str, value: Any, problems: list[str]) -> float:
    """The value as a number between 0 and 1; NaN after a fault."""
    found = number(name, value, problems, zero_allowed=True)
    if found > 1:
        problems.append(f"{name} is a share between 0 and 1, but it is {found:g}")
    return found


def dimension(name: str, value: Any, problems: list[str]) -> int | None:
    """The value as a number of inputs, latents or channels; None after a fault."""
    if isinstance(value, bool) or not isinstance(value, int):
        problems.append(f"{name} must be a whole number, but it is {value!r}")
    elif not 1 <= value <= 1_000_000:
        problems.append(f"{name} must lie between 1 and 1 000 000")
    else:
        return value
    return None


def check_problem_table(
    table: dict[str, Any],
    dimensions: Sequence[str],
    where: str,
    problems: list[str],
    input_dim: int | None = None,
) -> None:
    """What is wrong with a table that describes recordings; `dimensions` are those it must give.

    `input_dim` is that of a table that does not give it, where it is known.
    """
    if "encoding_noise" in table:
        problems += [
            f"{where} encoding_noise stands for {', '.join(_CHANNELS)}: leave out {name}"
            for name in (*_CHANNELS, "recording_dim")
            if name in table
        ]
        required = (*dimensions,)
    else:
        required = (*dimensions, *_CHANNELS)
    problems += [f"{where} {name} is missing" for name in required if name not in table]
    found = {
        name: dimension(f"{where} {name}", table[name], problems)
        for name in _DIMENSIONS
        if name in table
    }
    inputs, latents = found.get("input_dim", input_dim), found.get("latent_dim")
    channels = found.get("recording_dim")
    if inputs is not None and inputs < 2:
        problems.append(f"{where} input_dim must be at least 2, but it is {inputs}")
    elif inputs is not None and latents is not None and latents >= inputs:
        problems.append(
            f"{where} latent_dim must be between 1 and {inputs - 1}, less than input_dim, but it is "
            f"{latents}"
        )
    if channels is not None and latents is not None and channels < latents:
        problems.append(
            f"{where} recording_dim must be at least latent_dim = {latents}, but it is {channels}"
        )
    for name in (*_CHANNELS, "encoding_noise"):
        if name in table:
            _check_amounts(f"{where} {name}", name, table[name], latents, problems)


def _check_amounts(
    said: str, name: str, value: Any, latents: int | None, problems: list[str]
) -> None:
    """Whether the value can be a variance or a gain, one for all or a list of one for each latent."""
    entries = value if isinstance(value, list) else [value]
    if any(
        isinstance(e, bool) or not isinstance(e, int | float) or not 0 <= e <= LARGEST
        for e in entries
    ):
        problems.append(f"{said} must be a number between 0 and {LARGEST:g}, or a list of such")
    elif name == "gain" and 0 in entries:
        problems.append(f"{said} must be greater than 0: leave out latents that no channel records")
    if not isinstance(value, list):
        return
    if name == "recording_noise":
        problems.append(f"{said} must be one number for all channels, but it is a list")
    elif latents is not None and len(value) != latents:
        problems.append(
            f"{said} must have shape ({latents},), one entry a latent, or be one number, but it has "
            f"{len(value)} entries"
        )


def described_problem(table: dict[str, Any], task_snr: float, misalignment: float) -> Problem:
    """Task weights of length 1, spread evenly over the latents. Raises `ValueError`, as Problem does."""
    if "encoding_noise" in table:
        return Problem.isotropic(**table, task_snr=task_snr, misalignment=misalignment)
    latent_dim = table["latent_dim"]
    return Problem(
        **table,
        aligned_power=[(1 - misalignment) / latent_dim] * latent_dim,
        misaligned_power=misalignment,
        task_noise=1 / task_snr,
    )
