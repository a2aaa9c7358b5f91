"""Inputs that are not white, and recordings that are learned from with a penalty."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from .errors import Memory, flag
from .features import read_features
from .toml import PROBLEM, SPECTRUM, between, check_problem_table, number, only_known, shown

_RANGES = {
    "exponent": (0.0, 10.0),
    "latent_alignment": (-10.0, 10.0),
    "task_alignment": (-10.0, 10.0),
}
_OF_FEATURES = ("exponent", "input_dim")


def read_encoding_penalty(
    said: str, value: Any, problems: list[str], *, typed: bool
) -> float | Literal["optimal"]:
    """A penalty, or the word for the best one; NaN after a fault. What is typed is text."""
    if value == "optimal":
        return "optimal"
    if isinstance(value, str):
        try:
            value = float(value if typed else "none")
        except ValueError:
            problems.append(f"{said} must be a number or optimal, but it is {shown(value)}")
            return math.nan
    return number(said, value, problems, zero_allowed=True)


def problem_table(
    table: Any,
    given: dict[str, Any],
    config: Path | None,
    memory: Memory,
    problems: list[str],
) -> dict[str, Any]:
    """A table [problem], with what options say of its spectrum; `features` become their rows."""
    if not isinstance(table, dict):
        problems.append(f"{config}: problem must be a table: [problem]")
        return {}
    where = f"{config}: [problem]"
    table = only_known(table, (*PROBLEM, *SPECTRUM), where, problems)
    said = {name: flag(name) if name in given else f"{where} {name}" for name in SPECTRUM}
    if "features" in given:
        # They take precedence over what the file says of inputs.
        table = {name: part for name, part in table.items() if name not in _OF_FEATURES}
    table |= given
    has_features = "features" in table
    sizes = ("latent_dim",) if has_features else ("input_dim", "latent_dim")
    described = {name: part for name, part in table.items() if name not in SPECTRUM}
    check_problem_table(described, sizes, where, problems)
    described |= _numbers_of(table, said, problems)
    if has_features:
        problems += [
            f"{said['features']} say what the inputs are: leave out {name}"
            for name in _OF_FEATURES
            if name in table
        ]
        described["features"] = _rows_of(
            table["features"],
            said["features"],
            Path() if "features" in given or config is None else config.parent,
            memory,
            problems,
        )
    else:
        _check_exponent(table, said, "an exponent, or features", problems)
    return described


def modality_spectrum(table: dict[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """What a table [modality.NAME] says of the spectrum of its inputs, which it does by numbers."""
    said = {name: f"{where} {name}" for name in SPECTRUM}
    if "features" in table:
        problems.append(
            f"{said['features']}: a modality tells its inputs by an exponent; `jaxbrain report` "
            "splits the budget of a study with features"
        )
    else:
        _check_exponent(table, said, "an exponent", problems)
    return _numbers_of(table, said, problems)


def _numbers_of(
    table: dict[str, Any], said: dict[str, str], problems: list[str]
) -> dict[str, float]:
    return {
        name: between(said[name], table[name], *limits, problems)
        for name, limits in _RANGES.items()
        if name in table
    }


def _check_exponent(
    table: dict[str, Any], said: dict[str, str], remedy: str, problems: list[str]
) -> None:
    if "exponent" not in table:
        problems += [
            f"{said[name]} is about inputs that are not white: give {remedy}"
            for name in ("latent_alignment", "task_alignment")
            if name in table
        ]


def _rows_of(path: Any, said: str, folder: Path, memory: Memory, problems: list[str]) -> Any:
    """What the file holds, which lies beside the one that names it."""
    if not isinstance(path, str | Path) or not str(path):
        problems.append(f"{said} must be the name of a file, but it is {shown(path)}")
        return None
    return read_features(folder / path, said, memory, problems)


def memory_of_directions(input_dim: int, latent_dim: int, memory: Memory) -> list[str]:
    """What is wrong where directions of latents among inputs take more memory than is allowed."""
    needed = 8.0 * (6 * input_dim * latent_dim + 30 * latent_dim**2 + 60 * input_dim)
    what = f"directions of {latent_dim} latents among {input_dim} inputs take"
    return memory.problem(what, needed, "describe fewer")
