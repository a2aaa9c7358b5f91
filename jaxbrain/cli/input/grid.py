"""The grid of a simulation: numbers of samples and of labels, penalties, trials."""

from __future__ import annotations

import math
from typing import Any

from ...simulation import brain_numbers, penalty_numbers, task_numbers
from ...study import Study
from ...study.toml import LARGEST
from ..errors import flag, in_flags

GRID = ("n_brain", "n_task", "penalty")


def grid_problems(study: Study | None, options: dict[str, Any]) -> list[str]:
    """What is wrong with the grids; where the study could not be read, as far as that is known."""
    problems = []
    problem: Any = None if study is None else study.problem
    encoding = None if study is None else study.encoding_penalty
    estimator = options["estimator"]
    for name, check in (
        ("n_brain", lambda grid: brain_numbers(grid, problem, encoding)),
        ("n_task", lambda grid: task_numbers(grid, problem, encoding, estimator)),
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
    few = {"fmri": 2, "images": 2}
    return 100 if study is None else few.get(study.preset or "", 100)


def default_estimator(study: Study | None) -> str:
    """The paper's where inputs are white; otherwise the one whose value is that of information."""
    return "befs" if study is None or study.is_white else "befs_two_penalties"


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


def penalty_problems(penalty: list[float] | str, estimator: str) -> list[str]:
    """What is wrong with numbers for an estimator that has two penalties."""
    if isinstance(penalty, str) or estimator == "befs" or not penalty:
        return []
    return [
        f"--penalty must be optimal or empirical, since {estimator} has two penalties: or give "
        "--estimator befs"
    ]
