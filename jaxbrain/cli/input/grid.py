"""The grid of a simulation: numbers of samples and of labels, penalties, trials."""

from __future__ import annotations

import math
from typing import Any

from ...simulation import brain_numbers, penalty_numbers, task_numbers
from ..errors import flag, in_flags
from .study import Study
from .toml import LARGEST

GRID = ("n_brain", "n_task", "penalty")


def grid_problems(problem: Any, options: dict[str, Any]) -> list[str]:
    """What is wrong with the grids; where the study could not be read, as far as that is known."""
    problems = []
    for name, check in (
        ("n_brain", lambda grid: brain_numbers(grid, problem)),
        ("n_task", lambda grid: task_numbers(grid, problem)),
        ("penalty", penalty_numbers),
    ):
        grid = options[name]
        if isinstance(grid, str) or not len(grid):
            continue
        ascending = sorted(set(grid))
        if name != "penalty" and not 0 < ascending[0] <= ascending[-1] <= LARGEST:
            wrong = next(number for number in grid if not 0 < number <= LARGEST)
            problems.append(
                f"{flag(name)} must lie between 1 and {LARGEST:g}, but there is {wrong}"
            )
        elif list(grid) != ascending and not any(math.isnan(number) for number in grid):
            given, better = (" ".join(map(_plain, numbers)) for numbers in (grid, ascending))
            problems.append(f"{flag(name)} must ascend, but it is {given}: give {better}")
        elif problem is not None or name == "penalty":
            try:
                check(grid)
            except ValueError as error:
                problems.append(in_flags(str(error), GRID))
    return problems


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def default_trials(study: Study | None) -> int:
    """In seconds rather than minutes, whether an option or a file names the preset."""
    return 2 if study is not None and study.preset == "fmri" else 100


def read_penalties(words: tuple[str, ...], problems: list[str]) -> list[float] | str:
    """Numbers, or the name of a rule."""
    if words in (("optimal",), ("empirical",)):
        return words[0]
    try:
        return [float(word) for word in words]
    except ValueError:
        given = " ".join(words)
        problems.append(
            f"--penalty must be optimal, empirical, or numbers, but it is {given or 'empty'}"
        )
        return []
