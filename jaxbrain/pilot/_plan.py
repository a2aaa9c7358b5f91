"""The sizes at which a comparison learns, and whether they fit the study."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._catalogue import AS_GIVEN, COMPARED, WITH_RECORDINGS
from ._draws import Units
from ._penalties import Folds, folds_of
from .evaluation import Cell
from .recordings import PilotData, PilotError
from .splits import SplitSizes, _slack, test_problems, units_in_common

FOLDS = 5
_LARGEST_SYSTEM = 1_500
_SHARES_OF_BRAIN_ROWS = (0.25, 0.5)
_SHARES_OF_TASK_ROWS = (0.5, 0.71)
_MULTIPLES_OF_TASK_ROWS = (1.41, 2.0, 2.83, 4.0)


class Plan(NamedTuple):
    """What is fixed while a program is compiled."""

    most: int
    rank: int | None
    brain_sizes: tuple[int, ...]
    task_sizes: tuple[int, ...]
    n_task: int
    long_sizes: tuple[int, ...]
    in_folds: bool
    standardise: tuple[str, ...]
    classes: int
    """How many; 0 where targets are numbers."""

    def folds(self, n: int) -> Folds | None:
        """Single rows are left out, or folds of neighbours."""
        return folds_of(n, FOLDS) if self.in_folds else None


def check_sizes(
    data: PilotData, sizes: SplitSizes, repeats: int, rank: int | None, block: int
) -> None:
    """Raise unless repeats, rank and block fit the study."""
    problems = []
    if repeats < 2:
        problems.append(f"repeats = {repeats}: it takes at least 2 to say how sure the answer is")
    longest = len(data.task_inputs) // (3 if data.shared_rows else 2)
    if not 1 <= block <= longest:
        problems.append(
            f"block = {block} rows: a split needs a block for each of its parts, so pass 1 to "
            f"{longest}"
        )
    largest = _largest_rank(data, sizes)
    if rank is not None and not 1 <= rank <= largest:
        problems.append(
            f"rank = {rank} must lie between 1 and {largest}, which n_task, the inputs and the "
            "channels allow"
        )
    # One that is none is among the problems.
    slack = _slack(data, max(block, 1))
    left = len(data.task_inputs) - (sizes.n_brain if data.shared_rows else 0)
    if sizes.n_task + sizes.n_test > left - slack:
        problems.append(
            f"n_task + n_test = {sizes.n_task + sizes.n_test}, but blocks and rows with the same "
            f"inputs must stay together, which leaves {max(left - slack, 0)} rows for them"
        )
    units = None if data.shared_rows else units_in_common(data, max(block, 1))
    if units is not None:
        problems += test_problems(units, sizes.n_brain, sizes.n_test)
    if problems:
        raise PilotError(problems)


def _largest_rank(data: PilotData, sizes: SplitSizes) -> int:
    """The largest rank of which task rows can tell what it is worth."""
    return max(
        1, min(data.input_dim - 1, data.recordings.shape[1], sizes.n_brain - 2, sizes.n_task // 2)
    )


def plan_of(
    data: PilotData, sizes: SplitSizes, rank: int | None, units: Units, longest: int
) -> tuple[Plan, int]:
    """The sizes at which learning curves are measured, and the longest of them."""
    d, n = data.input_dim, sizes.n_task

    def rounded(shares: tuple[float, ...], size: int) -> tuple[int, ...]:
        return tuple(dict.fromkeys(round(share * size) for share in shares))

    most = _largest_rank(data, sizes) if rank is None else rank
    fewer = tuple(size for size in rounded(_SHARES_OF_TASK_ROWS, n) if 5 <= size < n)
    # A system too large to solve so often is left to the extrapolation.
    more = tuple(
        size
        for size in rounded(_MULTIPLES_OF_TASK_ROWS, n)
        if n < size <= longest and min(size, d) <= _LARGEST_SYSTEM
    )
    brain = tuple(
        size
        for size in rounded(_SHARES_OF_BRAIN_ROWS, sizes.n_brain)
        if 8 <= size < sizes.n_brain and size > most
    )
    single = len(np.unique(units.task)) == len(units.task)
    single = single and len(np.unique(units.brain)) == len(units.brain)
    standardise = tuple(getattr(data, "standardise", ()))
    classes = 0 if data.classes is None else len(data.classes[0])
    plan = Plan(most, rank, brain, fewer, n, more, not single, standardise, classes)
    return plan, max((n, *more))


def cells_of(plan: Plan, sizes: SplitSizes, as_given: bool) -> tuple[Cell, ...]:
    """The points of the curves, in the order in which `_compare` returns them."""
    n_brain, n_task = sizes.n_brain, sizes.n_task
    cells = [Cell(one.name, n_brain if one.source else 0, n_task) for one in COMPARED]
    for size in plan.brain_sizes:
        cells += [Cell(name, size, n_task) for name in WITH_RECORDINGS]
    for size in plan.task_sizes:
        cells += [Cell("ridge", 0, size)]
        cells += [Cell(name, n_brain, size) for name in WITH_RECORDINGS]
    cells += [Cell("ridge", 0, size) for size in plan.long_sizes]
    return (*cells, *([Cell(AS_GIVEN, 0, n_task)] if as_given else []))
