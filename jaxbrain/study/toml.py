"""Reading settings: TOML files, numbers, and tables that describe a problem.

Everything that is wrong is added to a list `problems`, so that the user hears of it at once.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any

from .._reading import read_file
from ..models import Problem
from .errors import flag

LARGEST = 1e15
_SMALLEST = 1e-15
# A study of ten thousand latents, one by one, takes a fifth.
_MOST_BYTES = 1_000_000
_MOST_TOLD = 20
_REPR = Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxdict, _REPR.maxstring = 4, 20, 20, 60
_DIMENSIONS = ("input_dim", "latent_dim", "recording_dim")
_CHANNELS = ("latent_noise", "recording_noise", "gain")
PROBLEM = (*_DIMENSIONS, *_CHANNELS, "encoding_noise")
SPECTRUM = ("exponent", "features", "latent_alignment", "task_alignment")
"""How the variance of inputs that are not white falls, and where brain and task lie in it."""


def read_toml(path: Path, problems: list[str]) -> dict[str, Any] | None:
    """What the file holds; None after a fault."""
    try:
        # Some editors begin a file with a byte-order mark, which is no part of the text.
        content = tomllib.loads(read_file(path, _MOST_BYTES).decode("utf-8-sig"))
        if content:
            return content
        fault = f"{path} is empty: see docs/files.md for what belongs into it"
    except FileNotFoundError:
        fault = f"{path}: there is no such file"
    except IsADirectoryError:
        fault = f"{path} is a folder: name a TOML file"
    except OSError as error:
        fault = f"{path}: cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        fault = f"{path} is not UTF-8: save it as UTF-8"
    except RecursionError:
        fault = f"{path} is nested too deeply"
    except ValueError as error:
        said = shortened(str(error)).replace("Cannot overwrite a value", "a key is given twice")
        fault = f"{path}: cannot be read as TOML ({said})"
    problems.append(fault)
    return None


def said_of(name: str, given: Collection[str], config: Path | None) -> str:
    """How a setting is called where it stands: an option, or a key of the file."""
    return flag(name) if config is None or name in given else f"{config}: {name}"


def only_known(
    settings: dict[str, Any], known: Sequence[str], where: str, problems: list[str]
) -> dict[str, Any]:
    """The settings that are known; the others are faults, told with what is known there."""
    unknown = [name for name in settings if name not in known]
    for name in unknown[:_MOST_TOLD]:
        # Names are compared letter by letter with each other.
        close = get_close_matches(name, known, 1) if len(name) < 60 else ()
        hint = f": did you mean {close[0]}?" if close else ""
        fault = f"{shown(name)} is not known here; known are {', '.join(known)}{hint}"
        problems.append(f"{where} {fault}")
    if len(unknown) > _MOST_TOLD:
        problems.append(f"{where} {len(unknown) - _MOST_TOLD} more keys are not known here")
    return {name: value for name, value in settings.items() if name in known}


def shown(value: Any) -> str:
    """The value as it was given, cut where it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    # Python writes out no integer beyond some thousand digits.
    if isinstance(value, int) and abs(value) > 10**50:
        return "a number of more than 50 digits"
    # The length of a table does not bound its depth.
    return shortened(_REPR.repr(value) if isinstance(value, list | dict) else repr(value))


def shortened(text: str) -> str:
    """Text that is cut where it is long."""
    return text if len(text) <= 60 else f"{text[:59]}…"


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and value == value


def number(name: str, value: Any, problems: list[str], *, zero_allowed: bool = False) -> float:
    """The value as a number, positive and neither absurdly large nor small; NaN after a fault."""
    if not _is_number(value):
        problems.append(f"{name} must be a number, but it is {shown(value)}")
    elif value > LARGEST:
        problems.append(f"{name} must be at most {LARGEST:g}, but it is {shown(value)}")
    elif value < 0 or (value == 0 and not zero_allowed):
        bound = "at least 0" if zero_allowed else "greater than 0"
        problems.append(f"{name} must be {bound}, but it is {shown(value)}")
    elif 0 < value < _SMALLEST:
        problems.append(f"{name} must be at least {_SMALLEST:g}, but it is {shown(value)}")
    else:
        return float(value)
    return math.nan


def share(name: str, value: Any, problems: list[str]) -> float:
    """The value as a number between 0 and 1; NaN after a fault."""
    if not _is_number(value):
        problems.append(f"{name} must be a number, but it is {shown(value)}")
    elif not 0 <= value <= 1:
        problems.append(f"{name} is a share between 0 and 1, but it is {shown(value)}")
    else:
        return float(value)
    return math.nan


def between(name: str, value: Any, low: float, high: float, problems: list[str]) -> float:
    """The value as a number between these two; NaN after a fault."""
    if not _is_number(value):
        problems.append(f"{name} must be a number, but it is {shown(value)}")
    elif not low <= value <= high:
        problems.append(f"{name} must lie between {low:g} and {high:g}, but it is {shown(value)}")
    else:
        return float(value)
    return math.nan


def dimension(name: str, value: Any, problems: list[str]) -> int | None:
    """The value as a number of inputs, latents or channels; None after a fault."""
    # 1e3 is a whole number too.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        problems.append(f"{name} must be a whole number, but it is {shown(value)}")
    elif not 1 <= value <= 1_000_000:
        problems.append(f"{name} must lie between 1 and 1 000 000, but it is {shown(value)}")
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

    `input_dim` is that of a table that does not give it, where it is known. Whole numbers in the
    table become integers.
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
    table |= {name: value for name, value in found.items() if value is not None}
    inputs, latents = found.get("input_dim", input_dim), found.get("latent_dim")
    channels = found.get("recording_dim")
    if inputs is not None and inputs < 2:
        problems.append(f"{where} input_dim must be at least 2, but it is {inputs}")
    elif inputs is not None and latents is not None and latents >= inputs:
        problems.append(
            f"{where} latent_dim must be between 1 and {inputs - 1}, less than input_dim, but it "
            "is "
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
    """Whether the value can be a variance or a gain: one for all, or a list of one a latent."""
    entries = value if isinstance(value, list) else [value]
    if not all(_is_number(entry) and 0 <= entry <= LARGEST for entry in entries):
        problems.append(
            f"{said} must be a number between 0 and {LARGEST:g}, or a list of such, but it is "
            f"{shown(value)}"
        )
    elif name == "gain" and 0 in entries:
        problems.append(f"{said} must be greater than 0: leave out latents that no channel records")
    if not isinstance(value, list):
        return
    if name == "recording_noise":
        problems.append(f"{said} must be one number for all channels, but it is a list")
    elif latents is not None and len(value) != latents:
        problems.append(
            f"{said} must have shape ({latents},), one entry a latent, or be one number, but it "
            "has "
            f"{len(value)} entries"
        )


def described_problem(table: dict[str, Any], task_snr: float, misalignment: float) -> Problem:
    """Task weights of length 1, spread evenly over the latents. Raises what `Problem` raises.

    `features` in the table are the rows themselves.
    """
    if "features" in table or "exponent" in table:
        if "encoding_noise" in table:
            table = table | {"latent_noise": table["encoding_noise"]}
            del table["encoding_noise"]
        made = Problem.from_features if "features" in table else Problem.power_law
        return made(**table, task_snr=task_snr, misalignment=misalignment)
    if "encoding_noise" in table:
        return Problem.isotropic(**table, task_snr=task_snr, misalignment=misalignment)
    latent_dim = table["latent_dim"]
    return Problem(
        **table,
        aligned_power=[(1 - misalignment) / latent_dim] * latent_dim,
        misaligned_power=misalignment,
        task_noise=1 / task_snr,
    )
