"""What a study may cost, as given by flags or in the table [budget] of its file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from .purchase import Modality, Purchase
from .study import Study
from .toml import number, only_known, read_toml, shown

_NUMBERS = (
    "total",
    "cost_brain",
    "cost_hour",
    "cost_task",
    "fixed_cost_brain",
    "fixed_cost_task",
)


@dataclass(frozen=True)
class Prices:
    """Price of a recorded sample and of a label, fixed costs, and a budget if one is set."""

    cost_brain: float
    cost_task: float
    fixed_cost_brain: float
    fixed_cost_task: float
    currency: str
    total: float | None

    def bill(self, study: Study) -> float:
        """What the study costs as it is described."""
        labels = self.fixed_cost_task + self.cost_task * study.n_task if study.n_task > 0 else 0.0
        return self.fixed_cost_brain + self.cost_brain * study.n_brain + labels

    def purchase(self, study: Study) -> Purchase:
        """What `jaxbrain plan` takes. Without a budget, all that the study itself costs."""
        return Purchase(
            budget=self.bill(study) if self.total is None else self.total,
            cost_task=self.cost_task,
            fixed_cost_task=self.fixed_cost_task,
            currency=self.currency,
            estimator="befs_two_penalties",
            baseline="ridge",
            # The recordings of a report have no rivals, and need no name.
            modalities={
                "": Modality(
                    study.problem, self.cost_brain, self.fixed_cost_brain, study.samples_per_hour
                )
            },
        )


def read_prices(config: Path | None, given: dict[str, Any], study: Study | None) -> Prices | None:
    """The prices of the table [budget], what the command line gives taking precedence; None without any.

    `study` is None where it could not be read. Raises `UserError` that lists every problem at once.
    """
    problems: list[str] = []
    where, table = "", {}
    content = {} if config is None else read_toml(config, problems)
    if config is not None and content is not None:
        table = content.get("budget", {})
        where = f"{config}: [budget]"
        if not isinstance(table, dict):
            raise UserError([f"{config}: budget must be a table: [budget]"])
        table = only_known(table, (*_NUMBERS, "currency"), where, problems)
    given = {name: value for name, value in given.items() if value is not None}
    if "cost_hour" in given and "cost_brain" in given:
        problems.append("--cost-hour and --cost-brain say the same thing: give one of them")
    elif "cost_hour" in given or "cost_brain" in given:
        table = {k: v for k, v in table.items() if k not in ("cost_hour", "cost_brain")}
    settings = table | given
    if not settings and not problems:
        return None
    numbers = {
        name: number(
            _said(name, name in given, where),
            settings[name],
            problems,
            zero_allowed=name.startswith("fixed"),
        )
        for name in _NUMBERS
        if name in settings
    }
    currency = settings.get("currency", "")
    if not (isinstance(currency, str) and currency.isprintable() and len(currency) <= 20):
        said = _said("currency", "currency" in given, where)
        problems.append(f"{said} must be a word or a sign, but it is {shown(currency)}")
    if content is None:
        # What is missing here may stand in the file.
        raise UserError(problems)
    cost_task, cost_hour, cost_brain = (
        _said(name, not where, where) for name in ("cost_task", "cost_hour", "cost_brain")
    )
    if "cost_task" not in numbers:
        problems.append(f"{cost_task} is missing: a budget needs the price of a label")
    if "cost_brain" not in numbers and "cost_hour" not in numbers:
        problems.append(f"a budget needs the price of recordings: give {cost_brain} or {cost_hour}")
    elif "cost_hour" in numbers:
        if "cost_brain" in table:
            problems.append(f"{where} give either cost_hour or cost_brain, the cost of one sample")
        rate = math.nan if study is None else study.samples_per_hour
        if rate is None:
            problems.append(
                f"{_said('cost_hour', 'cost_hour' in given, where)} needs to know how many samples an "
                f"hour gives, which {'the preset does' if config is None else f'{config} does'} not say "
                "(samples_per_hour): give the price of a sample, cost_brain"
            )
        else:
            numbers["cost_brain"] = numbers["cost_hour"] / rate
    if problems:
        raise UserError(problems)
    return Prices(
        cost_brain=numbers["cost_brain"],
        cost_task=numbers["cost_task"],
        fixed_cost_brain=numbers.get("fixed_cost_brain", 0.0),
        fixed_cost_task=numbers.get("fixed_cost_task", 0.0),
        currency=currency.strip(),
        total=numbers.get("total"),
    )


def _said(name: str, is_flag: bool, where: str) -> str:
    """How the setting is called where the user gave it."""
    if not is_flag:
        return f"{where} {name}".strip()
    return "--budget" if name == "total" else f"--{name.replace('_', '-')}"
