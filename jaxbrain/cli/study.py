"""A study as described on the command line or in a TOML file: a problem and its sample numbers."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models import Problem, presets
from .errors import UserError

PRESETS = ("fmri", "small")
_LARGEST = 1e15
_DEFAULT_SAMPLES = {"fmri": (18_000.0, 5_000.0), "small": (500.0, 100.0)}
_TOP_LEVEL = (
    "preset",
    "n_brain",
    "hours",
    "n_task",
    "samples_per_hour",
    "task_snr",
    "misalignment",
)
_PROBLEM = (
    "input_dim",
    "latent_dim",
    "recording_dim",
    "latent_noise",
    "recording_noise",
    "gain",
    "encoding_noise",
)


@dataclass(frozen=True)
class Study:
    """A problem together with how much of each kind of data there is."""

    problem: Problem
    n_brain: float
    n_task: float
    samples_per_hour: float | None

    @property
    def hours(self) -> float | None:
        """Hours of recording, where it is known how many samples an hour gives."""
        return None if self.samples_per_hour is None else self.n_brain / self.samples_per_hour


def read_study(config: Path | None, given: dict[str, Any]) -> Study:
    """The study of a TOML file, or of a preset, with what the command line gives taking precedence.

    Raises `UserError` that lists every problem at once.
    """
    problems: list[str] = []
    settings = {} if config is None else _read_toml(config, problems)
    described = settings.pop("problem", None)
    given = {name: value for name, value in given.items() if value is not None}
    if "n_brain" in given and "hours" in given:
        problems.append("--n-brain and --hours say the same thing: give one of them")
    for one, other in (("n_brain", "hours"), ("hours", "n_brain")):
        if one in given:
            settings.pop(other, None)
    settings |= given
    if "n_brain" in settings and "hours" in settings and "n_brain" not in given:
        problems.append(f"{config}: n_brain and hours say the same thing: give one of them")
    preset = settings.get("preset")
    if described is not None and preset is not None:
        problems.append("a preset and a [problem] table exclude each other: give one of them")
    if described is None and preset is None:
        preset = "fmri"
    if preset is not None and preset not in PRESETS:
        problems.append(f"preset must be one of {', '.join(PRESETS)}, but it is {preset!r}")
    numbers = {
        name: _number(name, settings[name], problems)
        for name in _TOP_LEVEL
        if name != "preset" and name in settings
    }
    share = numbers.get("misalignment")
    if share is not None and share > 1:
        problems.append(f"misalignment is a share between 0 and 1, but it is {share:g}")
    table = {} if described is None else _problem_table(described, problems)
    if described is not None:
        problems += [
            f"{name} is missing: a [problem] needs it"
            for name in ("task_snr", "misalignment")
            if name not in settings
        ]
    rate = numbers.get("samples_per_hour")
    if preset == "fmri" and rate is None:
        rate = float(presets.FMRI_SAMPLES_PER_HOUR)
    if "hours" in settings and rate is None:
        problems.append("hours needs samples_per_hour in a config: or give n_brain")
    if problems:
        raise UserError(problems)

    task = {name: numbers[name] for name in ("task_snr", "misalignment") if name in numbers}
    try:
        problem = (
            getattr(presets, str(preset))(**task).problem()
            if described is None
            else _described_problem(table, task)
        )
    except ValueError as error:
        raise UserError([str(error)]) from error
    default_brain, default_task = _DEFAULT_SAMPLES.get(
        preset or "", (10.0 * problem.input_dim, 2.0 * problem.input_dim)
    )
    n_brain = numbers.get("n_brain", default_brain)
    if "hours" in numbers and rate is not None:
        n_brain = numbers["hours"] * rate
    n_task = numbers.get("n_task", default_task)
    if n_brain <= problem.input_dim + 1:
        raise UserError(
            [
                f"{n_brain:g} brain samples cannot teach a subspace of {problem.input_dim} inputs: "
                f"it takes more than {problem.input_dim + 1}"
            ]
        )
    return Study(problem, n_brain, n_task, rate)


def _read_toml(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            settings = tomllib.load(file)
    except FileNotFoundError as error:
        raise UserError([f"{path}: there is no such file"]) from error
    except (OSError, ValueError) as error:
        raise UserError([f"{path}: cannot be read as TOML ({error})"]) from error
    known = (*_TOP_LEVEL, "problem")
    problems += [
        f"{path}: {name!r} is not known here; known are {', '.join(known)}"
        for name in settings
        if name not in known
    ]
    return {name: value for name, value in settings.items() if name in known}


def _number(name: str, value: Any, problems: list[str]) -> float:
    zero_allowed = name in ("misalignment", "n_task")
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        problems.append(f"{name} must be a number, but it is {value!r}")
    elif value > _LARGEST:
        problems.append(f"{name} must be at most {_LARGEST:g}")
    elif value < 0 or (value == 0 and not zero_allowed):
        bound = "at least 0" if zero_allowed else "greater than 0"
        problems.append(f"{name} must be {bound}, but it is {max(value, -_LARGEST):g}")
    else:
        return float(value)
    return math.nan


def _problem_table(table: Any, problems: list[str]) -> dict[str, Any]:
    if not isinstance(table, dict):
        problems.append("problem must be a table: [problem]")
        return {}
    problems += [
        f"[problem] {name!r} is not known here; known are {', '.join(_PROBLEM)}"
        for name in table
        if name not in _PROBLEM
    ]
    channels = ("latent_noise", "recording_noise", "gain")
    if "encoding_noise" in table:
        problems += [
            f"[problem] encoding_noise stands for {', '.join(channels)}: leave out {name}"
            for name in (*channels, "recording_dim")
            if name in table
        ]
        required: tuple[str, ...] = ("input_dim", "latent_dim")
    else:
        required = ("input_dim", "latent_dim", *channels)
    problems += [f"[problem] {name} is missing" for name in required if name not in table]
    for name in ("input_dim", "latent_dim", "recording_dim"):
        if name in table and (isinstance(table[name], bool) or not isinstance(table[name], int)):
            problems.append(f"[problem] {name} must be a whole number, but it is {table[name]!r}")
        elif name in table and not 1 <= table[name] <= 1_000_000:
            problems.append(f"[problem] {name} must lie between 1 and 1 000 000")
    for name in (*channels, "encoding_noise"):
        entries = table.get(name, 0.0)
        entries = entries if isinstance(entries, list) else [entries]
        if any(
            isinstance(e, bool) or not isinstance(e, int | float) or not 0 <= e <= _LARGEST
            for e in entries
        ):
            problems.append(
                f"[problem] {name} must be a number between 0 and {_LARGEST:g}, or a list of such"
            )
    return table


def _described_problem(table: dict[str, Any], task: dict[str, Any]) -> Problem:
    """Task weights of length 1, spread evenly over the latents."""
    if "encoding_noise" in table:
        return Problem.isotropic(**table, **task)
    latent_dim, share = table["latent_dim"], task["misalignment"]
    return Problem(
        **table,
        aligned_power=[(1 - share) / latent_dim] * latent_dim,
        misaligned_power=share,
        task_noise=1 / task["task_snr"],
    )
