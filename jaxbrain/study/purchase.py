"""What there is to buy: a budget and its prices, for modalities side by side or for one study."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from .._arguments import BASELINES, ESTIMATORS
from ..models import presets
from .described import described_study, preset_problem
from .errors import Memory, StudyError, flag
from .measured import MEASURED_ALREADY, has_pilot
from .records import Modality, Purchase, Study
from .spectrum import modality_spectrum, read_encoding_penalty
from .toml import (
    PROBLEM,
    SPECTRUM,
    check_problem_table,
    described_problem,
    dimension,
    number,
    only_known,
    read_toml,
    said_of,
    share,
    shown,
)

# Illustrative prices: of an hour in a scanner, of a label by a paid annotator.
_PRESETS: dict[str, dict[str, Any]] = {
    "fmri": {
        "budget": 30_000,
        "cost_task": 0.5,
        "cost_hour": 600,
        "samples_per_hour": presets.FMRI_SAMPLES_PER_HOUR,
    },
    "small": {"budget": 500, "cost_task": 1, "cost_brain": 0.3},
    "images": {"budget": 1000, "cost_task": 1, "cost_brain": 0.5},
}
_CHOICES = {"estimator": ESTIMATORS, "baseline": BASELINES}
_DEFAULT_CHOICES: dict[str, Any] = {"estimator": "befs_two_penalties", "baseline": "ridge"}
_NUMBERS = ("budget", "cost_task", "fixed_cost_task", "task_snr")
_PRICES = ("samples_per_hour", "cost_hour", "cost_brain", "fixed_cost_brain")
_RECORDINGS = tuple(name for name in PROBLEM if name != "input_dim")
_MODALITY = (*_PRICES, "misalignment", *_RECORDINGS, *SPECTRUM, "encoding_penalty")
_TOP_LEVEL = (*_NUMBERS, "currency", "input_dim", *_CHOICES, "modality")
# The table [budget] of a study.
_OF_STUDY = (
    *("total", "cost_brain", "cost_hour", "cost_task"),
    *("fixed_cost_brain", "fixed_cost_task"),
)
_SAID_TWICE = "--cost-hour and --cost-brain say the same thing: give one of them"


def read_purchase(config: Path | None, given: dict[str, Any], memory: Memory) -> Purchase:
    """The purchase of a TOML file, or of a preset, with what the command line gives taking
    precedence. Of a pilot's study it is what that study buys.

    Raises `StudyError` that lists every problem at once.
    """
    problems: list[str] = []
    given = {name: value for name, value in given.items() if value is not None}
    if config is not None and has_pilot(read_toml(config, []) or {}):
        return _of_pilot(config, given, memory)
    if config is None:
        preset = given.pop("preset", "fmri")
        settings, tables = _of_preset(preset, given)
    else:
        preset = None
        settings, tables = _of_file(config, given, problems)
    numbers = {
        name: number(
            said_of(name, given, config),
            settings[name],
            problems,
            zero_allowed=name.startswith("fixed"),
        )
        for name in _NUMBERS
        if name in settings
    }
    for name, choices in _CHOICES.items():
        if settings[name] not in choices:
            problems.append(
                f"{said_of(name, given, config)} must be {' or '.join(choices)}, but it is "
                f"{shown(settings[name])}"
            )
    currency = _currency(settings, f"{config}: currency", problems)
    prices, shares = {}, {}
    penalties: dict[str, float | Literal["optimal"]] = {}
    for name, table in tables.items():
        is_coloured = name == preset == "images" or "exponent" in table
        penalties[name] = "optimal" if is_coloured else 0.0
        if "encoding_penalty" in table:
            penalties[name] = read_encoding_penalty(
                f"{config}: [modality.{name}] encoding_penalty",
                table["encoding_penalty"],
                problems,
                typed=False,
            )
        said = {
            key: flag(key) if config is None else f"{config}: [modality.{name}] {key}"
            for key in (*_PRICES, "misalignment")
        }
        prices[name] = _prices(table, said, name, config, problems)
        if "misalignment" in table:
            shares[name] = share(said["misalignment"], table["misalignment"], problems)
    coloured = [name for name, table in tables.items() if "exponent" in table]
    if coloured and len(tables) > 1:
        problems.append(
            f"{config}: [modality.{coloured[0]}] exponent: several modalities share a budget where "
            "inputs are white, as the task of others is that of its latents: plan for one at a time"
        )
    if problems:
        raise StudyError(problems)

    modalities = {}
    for name, table in tables.items():
        try:
            if preset is None:
                described = (*_RECORDINGS, *SPECTRUM)
                recordings = {part: table[part] for part in described if part in table}
                recordings["input_dim"] = settings["input_dim"]
                problem = described_problem(recordings, numbers["task_snr"], shares[name])
            else:
                task = {part: numbers[part] for part in ("task_snr",) if part in numbers}
                task |= {"misalignment": shares[name]} if name in shares else {}
                problem = preset_problem(preset, task)
        except ValueError as error:
            where = f"{config}: [modality.{name}] " if preset is None else ""
            problems.append(f"{where}{error}")
        else:
            price, fixed, rate = prices[name]
            modalities[name] = Modality(problem, price, fixed, rate, penalties[name])
    if problems:
        raise StudyError(problems)
    return Purchase(
        budget=numbers["budget"],
        cost_task=numbers["cost_task"],
        fixed_cost_task=numbers.get("fixed_cost_task", 0.0),
        currency=currency,
        estimator=settings["estimator"],
        baseline=settings["baseline"],
        modalities=modalities,
    )


def _of_pilot(config: Path, given: dict[str, Any], memory: Memory) -> Purchase:
    """What the study of a pilot buys, by its table [budget] or by flags."""
    choices = {name: given.pop(name) for name in _CHOICES if name in given}
    measured = {name: given.pop(name) for name in MEASURED_ALREADY if name in given}
    prices = {"total" if name == "budget" else name: price for name, price in given.items()}
    problems: list[str] = []
    study = purchase = None
    try:
        study = described_study(config, measured, memory)
    except StudyError as error:
        problems += error.problems
    try:
        purchase = read_prices(config, prices, study)
        if purchase is None:
            problems.append(
                f"{config} has no prices: give --cost-task and --cost-brain or --cost-hour, or a "
                "table [budget]"
            )
    except StudyError as error:
        problems += error.problems
    if purchase is None or problems:
        raise StudyError(list(dict.fromkeys(problems)))
    return replace(purchase, **choices)


def _of_preset(
    preset: str, given: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    settings = _DEFAULT_CHOICES | _PRESETS[preset]
    if "cost_brain" in given or "cost_hour" in given:
        settings = {k: v for k, v in settings.items() if k not in ("cost_brain", "cost_hour")}
    settings |= given
    return settings, {preset: {name: settings[name] for name in _MODALITY if name in settings}}


def _of_file(
    config: Path, given: dict[str, Any], problems: list[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    if "preset" in given:
        problems.append(f"--preset and {config} exclude each other: give one of them")
    problems += [
        f"{flag(name)} is about a single modality: {config} says that of its own"
        for name in given
        if name in _MODALITY
    ]
    content = read_toml(config, problems)
    if "problem" in (content or {}) and "modality" not in (content or {}):
        problems.append(
            f"{config} describes a study, which worth, simulate and report take: a plan takes "
            "modalities, [modality.NAME]"
        )
        content = None
    if content is None:
        # What is missing now may stand in the file.
        return _DEFAULT_CHOICES | given, {}
    settings = only_known(content, _TOP_LEVEL, f"{config}:", problems)
    tables = settings.pop("modality", {})
    settings = _DEFAULT_CHOICES | settings | given
    problems += [
        f"{config}: {name} is missing"
        for name in ("budget", "cost_task", "task_snr", "input_dim")
        if name not in settings
    ]
    inputs = None
    if "input_dim" in settings:
        inputs = dimension(f"{config}: input_dim", settings["input_dim"], problems)
    if inputs is not None:
        settings["input_dim"] = inputs
    if inputs == 1:
        problems.append(f"{config}: input_dim must be at least 2, but it is 1")
        inputs = None
    if not isinstance(tables, dict) or not tables:
        problems.append(
            f"{config}: there is nothing to choose from: describe a modality, [modality.NAME]"
        )
        return settings, {}
    described = {}
    for name, table in tables.items():
        where = f"{config}: [modality.{name}]"
        if not (name.strip() and name.isprintable()):
            problems.append(
                f"{config}: a modality needs a name that can be read, not {shown(name)}"
            )
        if not isinstance(table, dict):
            problems.append(f"{config}: modality.{name} must be a table: [modality.{name}]")
            continue
        known = only_known(table, _MODALITY, where, problems)
        described[name] = {key: part for key, part in known.items() if key not in SPECTRUM}
        check_problem_table(described[name], ("latent_dim",), where, problems, inputs)
        described[name] |= modality_spectrum(known, where, problems)
        if "misalignment" not in table:
            problems.append(f"{where} misalignment is missing")
    return settings, described


def _prices(
    table: dict[str, Any],
    said: dict[str, str],
    name: str,
    config: Path | None,
    problems: list[str],
) -> tuple[float, float, float | None]:
    """Cost of a sample, fixed cost, and samples an hour where they are known."""
    found = {
        price: number(said[price], table[price], problems, zero_allowed=price.startswith("fixed"))
        for price in _PRICES
        if price in table
    }
    rate, fixed = found.get("samples_per_hour"), found.get("fixed_cost_brain", 0.0)
    either = (
        f"{config}: [modality.{name}] give either cost_hour or cost_brain, the cost of one sample"
    )
    no_rate = (
        f"--cost-hour needs to know how many samples an hour gives, which the preset {name} does "
        "not "
        "say: give --cost-brain"
        if config is None
        else f"{said['cost_hour']} needs samples_per_hour: or give cost_brain"
    )
    twice = _SAID_TWICE if config is None else either
    return _price_of_sample(found, rate, twice, either, no_rate, problems), fixed, rate


def read_prices(config: Path | None, given: dict[str, Any], study: Study | None) -> Purchase | None:
    """What a study buys at the prices of the table [budget], flags taking precedence; None without
    any.

    Without a `total` the budget is what the study costs. `study` is None where it could not be
    read. Raises `StudyError` that lists every problem at once."""
    problems: list[str] = []
    where, table = "", {}
    content = {} if config is None else read_toml(config, problems)
    if config is not None and content is not None:
        table = content.get("budget", {})
        where = f"{config}: [budget]"
        if not isinstance(table, dict):
            raise StudyError([f"{config}: budget must be a table: [budget]"])
        table = only_known(table, (*_OF_STUDY, "currency"), where, problems)
    given = {name: value for name, value in given.items() if value is not None}
    by_flag = [name for name in ("cost_hour", "cost_brain") if name in given]
    if by_flag:
        table = {k: v for k, v in table.items() if k not in ("cost_hour", "cost_brain")}
    settings = table | given
    if not settings and not problems:
        return None
    said = {name: _said(name, name in given, where) for name in (*_OF_STUDY, "currency")}
    numbers = {
        name: number(said[name], settings[name], problems, zero_allowed=name.startswith("fixed"))
        for name in _OF_STUDY
        if name in settings
    }
    currency = _currency(settings, said["currency"], problems)
    if content is None:
        # What is missing here may stand in the file.
        problems += [_SAID_TWICE] if len(by_flag) == 2 else []
        raise StudyError(problems)
    cost_task, cost_hour, cost_brain = (
        _said(name, not where, where) for name in ("cost_task", "cost_hour", "cost_brain")
    )
    if "cost_task" not in numbers:
        problems.append(f"{cost_task} is missing: a budget needs the price of a label")
    price = _price_of_sample(
        numbers,
        math.nan if study is None else study.samples_per_hour,
        _SAID_TWICE
        if by_flag
        else f"{where} give either cost_hour or cost_brain, the cost of one sample",
        f"a budget needs the price of recordings: give {cost_brain} or {cost_hour}",
        f"{said['cost_hour']} needs to know how many samples an hour gives, which "
        f"{'the preset does' if config is None else f'{config} does'} not say (samples_per_hour): "
        "give "
        "the price of a sample, cost_brain",
        problems,
    )
    if problems or study is None:
        raise StudyError(problems)
    fixed = numbers.get("fixed_cost_brain", 0.0)
    purchase = Purchase(
        budget=numbers.get("total", math.nan),
        cost_task=numbers["cost_task"],
        fixed_cost_task=numbers.get("fixed_cost_task", 0.0),
        currency=currency,
        modalities={
            "": Modality(
                study.problem,
                price,
                fixed,
                study.samples_per_hour,
                study.encoding_penalty,
                study.estimate,
            )
        },
        budget_is_set="total" in numbers,
        **_DEFAULT_CHOICES,
    )
    if purchase.budget_is_set:
        return purchase
    return replace(purchase, budget=bill(purchase, study))


def bill(purchase: Purchase, study: Study) -> float:
    """What the study costs as it is described."""
    recordings = purchase.modalities[""]
    spent = recordings.fixed_cost_brain + recordings.cost_brain * study.n_brain
    return spent + purchase.on_labels(study.n_task)


def _price_of_sample(
    found: dict[str, float],
    rate: float | None,
    twice: str,
    missing: str,
    no_rate: str,
    problems: list[str],
) -> float:
    """Price of a sample, from that of a sample or of an hour; NaN after a fault, which is told."""
    if "cost_hour" in found and "cost_brain" in found:
        problems.append(twice)
    elif "cost_brain" in found:
        return found["cost_brain"]
    elif "cost_hour" not in found:
        problems.append(missing)
    elif rate is None:
        problems.append(no_rate)
    else:
        return found["cost_hour"] / rate
    return math.nan


def _currency(settings: dict[str, Any], said: str, problems: list[str]) -> str:
    currency = settings.get("currency", "")
    if not (isinstance(currency, str) and currency.isprintable() and len(currency) <= 20):
        problems.append(f"{said} must be a word or a sign, but it is {shown(currency)}")
        return ""
    return currency.strip()


def _said(name: str, is_flag: bool, where: str) -> str:
    """How the setting is called where the user gave it."""
    if not is_flag:
        return f"{where} {name}".strip()
    return "--budget" if name == "total" else flag(name)
