"""A study as described on the command line or in a TOML file: a problem and its sample numbers."""

from __future__ import annotations

import inspect
import math
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import jax

from ..models import Problem, presets
from .errors import Memory, StudyError, flag
from .measured import MEASURED_ALREADY, has_pilot, not_beside_pilot, read_estimate
from .records import Study
from .spectrum import memory_of_directions, problem_table, read_encoding_penalty
from .toml import (
    LARGEST,
    SPECTRUM,
    described_problem,
    dimension,
    number,
    only_known,
    read_toml,
    said_of,
    share,
    shown,
)

Preset = Literal["fmri", "small", "images"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
_DEFAULT_SAMPLES = {
    "fmri": (18_000.0, 100_000.0),
    "small": (500.0, 100.0),
    "images": (500.0, 250.0),
}
_TOP_LEVEL = (
    "preset",
    "n_brain",
    "hours",
    "n_task",
    "samples_per_hour",
    "task_snr",
    "misalignment",
    "encoding_penalty",
)


def described_study(config: Path | None, given: dict[str, Any], memory: Memory) -> Study:
    """The study of a TOML file, or of a preset, with what the command line gives taking precedence.

    Features, and draws of a pilot, are read where they fit into memory. Raises `StudyError` that
    lists every problem at once.
    """
    problems: list[str] = []
    content = {} if config is None else read_toml(config, problems)
    if "modality" in (content or {}):
        problems.append(
            f"{config} describes modalities to buy: it is `jaxbrain plan` that takes it"
        )
        content = None
    given = {name: value for name, value in given.items() if value is not None}
    known = (*_TOP_LEVEL, "problem", "budget")
    is_measured = has_pilot(content or {})
    if config is not None and content is not None and is_measured:
        problems += not_beside_pilot(config, content, given)
        known = tuple(name for name in known if name not in MEASURED_ALREADY)
        known = (*known, "pilot", "measured")
    settings = only_known(content or {}, known, f"{config}:", problems)
    # What is in it matters where money does: `read_prices` reads it.
    if not isinstance(settings.pop("budget", {}), dict):
        problems.append(f"{config}: budget must be a table: [budget]")
    estimate = None
    if config is not None and is_measured:
        estimate = read_estimate(config, settings, memory, problems)
    described = settings.pop("problem", None)
    spectrum = {name: given.pop(name) for name in SPECTRUM if name in given}
    if "n_brain" in given and "hours" in given:
        problems.append("--n-brain and --hours say the same thing: give one of them")
    for one, other in (("n_brain", "hours"), ("hours", "n_brain")):
        if one in given:
            settings.pop(other, None)
    settings |= given
    if "n_brain" in settings and "hours" in settings and "n_brain" not in given:
        problems.append(f"{config}: n_brain and hours say the same thing: give one of them")
    said = {name: said_of(name, given, config) for name in _TOP_LEVEL}
    preset = settings.get("preset")
    if described is not None and preset is not None:
        problems.append(
            f"{said['preset']} and the table [problem] of {config} exclude each other: give one of "
            "them"
        )
    if described is None and preset is None and not is_measured:
        preset = "fmri"
    if preset is not None and preset not in PRESETS:
        problems.append(
            f"{said['preset']} must be one of {', '.join(PRESETS)}, but it is {shown(preset)}"
        )
        preset = None
    numbers = {
        name: number(said[name], settings[name], problems, zero_allowed=name == "n_task")
        for name in _TOP_LEVEL
        if name not in ("preset", "misalignment", "encoding_penalty") and name in settings
    }
    if "misalignment" in settings:
        numbers["misalignment"] = share(said["misalignment"], settings["misalignment"], problems)
    encoding = None
    if "encoding_penalty" in settings:
        encoding = read_encoding_penalty(
            said["encoding_penalty"],
            settings["encoding_penalty"],
            problems,
            typed="encoding_penalty" in given,
        )
    table = {}
    if described is not None:
        table = problem_table(described, spectrum, config, memory, problems)
    elif content is not None:
        problems += [
            f"{flag(name)} is about inputs that a file describes in [problem], and a preset has "
            "its own"
            for name in spectrum
        ]
    if described is not None:
        problems += [
            f"{config}: {name} is missing: a [problem] needs it"
            for name in ("task_snr", "misalignment")
            if name not in settings
        ]
    rate = numbers.get("samples_per_hour")
    if preset == "fmri" and rate is None:
        rate = float(presets.FMRI_SAMPLES_PER_HOUR)
    if "hours" in settings and rate is None and content is not None:
        problems.append(
            f"{said['hours']} needs to know how many samples an hour gives, which the preset "
            f"{preset} "
            "does not say: give --n-brain"
            if config is None
            else f"{said['hours']} needs samples_per_hour, which is missing in {config}: or give "
            "n_brain"
        )
    input_dim = None if preset is None else presets.SIZES[preset][0]
    if "input_dim" in table:
        # What is wrong with it is told already, and Python cannot write out every integer.
        input_dim = dimension("input_dim", table["input_dim"], [])
    n_brain = numbers.get("n_brain", _DEFAULT_SAMPLES.get(preset or "", (math.nan, math.nan))[0])
    if "hours" in numbers and rate is not None:
        n_brain = numbers["hours"] * rate
        if n_brain > LARGEST:
            problems.append(
                f"{said['hours']} must give at most {LARGEST:g} brain samples, but gives "
                f"{n_brain:g}"
            )
    if estimate is not None:
        input_dim = estimate.problem.input_dim
        n_brain = estimate.n_brain if math.isnan(n_brain) else n_brain
    is_coloured = preset == "images" or is_measured or "exponent" in table or "features" in table
    if encoding is None:
        encoding = "optimal" if is_coloured else 0.0
    latent_dim = None if preset is None else presets.SIZES[preset][1]
    if "latent_dim" in table:
        latent_dim = dimension("latent_dim", table["latent_dim"], [])
    if estimate is not None:
        latent_dim = max(estimate.latent_dims)

    def too_few(input_dim: int | None, latent_dim: int | None) -> list[str]:
        least, name = input_dim and input_dim + 1, "input_dim + 1"
        remedy = ": record more, or give an encoding_penalty"
        if encoding != 0:
            least, name, remedy = latent_dim, "latent_dim", ""
        if least is None or not n_brain <= least:
            return []
        return [
            f"{said['hours']} must give more than {least} brain samples ({name}), but gives "
            f"{n_brain:g}{remedy}"
            if "hours" in numbers
            else f"{said['n_brain']} must be greater than {least} ({name}), but it is "
            f"{n_brain:g}{remedy}"
        ]

    if content is not None:
        problems += too_few(input_dim, latent_dim)
    if (is_coloured or encoding != 0) and input_dim is not None and latent_dim is not None:
        problems += memory_of_directions(input_dim, latent_dim, memory)
    if problems:
        raise StudyError(problems)

    if estimate is not None:
        n_task = numbers.get("n_task", estimate.n_task)
        return Study(estimate.problem, n_brain, n_task, rate, None, encoding, estimate)
    task = {name: numbers[name] for name in ("task_snr", "misalignment") if name in numbers}
    try:
        problem = (
            preset_problem(str(preset), task)
            if described is None
            else described_problem(table, **task)
        )
    except ValueError as error:
        where = "" if described is None else f"{config}: [problem] "
        raise StudyError([f"{where}{error}"]) from error
    default_task = _DEFAULT_SAMPLES.get(preset or "", (0.0, 2.0 * problem.input_dim))[1]
    if math.isnan(n_brain):
        n_brain = 10.0 * problem.input_dim
    if "features" in table and (few := too_few(problem.input_dim, problem.latent_dim)):
        raise StudyError(few)
    n_task = numbers.get("n_task", default_task)
    return Study(problem, n_brain, n_task, rate, preset, encoding)


def preset_problem(preset: str, task: dict[str, float]) -> Problem:
    """The problem of a ready-made model, drawn and summarised by one program whatever the task."""
    given = inspect.signature(getattr(presets, preset)).bind(**task)
    given.apply_defaults()
    return _summary(preset, given.arguments)


@partial(jax.jit, static_argnames="preset")
def _summary(preset: str, settings: dict[str, Any]) -> Problem:
    return getattr(presets, preset)(**settings).problem()
