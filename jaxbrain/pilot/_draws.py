"""Which rows each part of a comparison takes: brain rows, two draws of task rows, and test rows."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from ._groups import units_of_rows
from .recordings import PilotData
from .splits import SplitSizes, units_in_common


class Draw(NamedTuple):
    """Row numbers of one brain stage, and of the task stages that go with it.

    Rows of one unit (a block, equal inputs) lie in one part alone. Task rows come first among those
    that ridge goes on to learn from, and these are never tested on.
    """

    brain: np.ndarray
    displaced: np.ndarray
    """Another order of the brain rows, which puts none beside its recordings' own."""
    task: np.ndarray
    """Shape (task draws, n_longest)."""
    test: np.ndarray
    """Shape (task draws, n_test)."""


class Units(NamedTuple):
    """The unit of each row: what stays on one side of a split. Whole numbers."""

    brain: np.ndarray
    task: np.ndarray
    shared: bool
    """Whether units of both are the same, so that no task row may share one with a brain row."""
    joint: bool = False
    """Whether rows are different but some units the same: no test row shares one with a brain
    row."""


def units_of(data: PilotData, block: int) -> Units:
    """Blocks of consecutive rows, joined by equal inputs and by groups."""
    task = units_of_rows(data.task_inputs, data.task_groups, block)
    if data.shared_rows:
        return Units(task, task, True)
    both = units_in_common(data, block)
    if both is not None:
        return Units(*both, False, True)
    return Units(units_of_rows(data.brain_inputs, data.brain_groups, block), task, False)


def _permuted(rng: np.random.Generator, units: np.ndarray) -> np.ndarray:
    """All rows, unit after unit in random order."""
    place = rng.permutation(int(units.max()) + 1)[units]
    return np.argsort(place, kind="stable")


def _displaced(rng: np.random.Generator, n: int, block: int) -> np.ndarray:
    """The numbers below n in any order, or, to keep neighbours, all moved on."""
    if block == 1:
        return rng.permutation(n)
    least = min(block, n // 2)
    return np.roll(np.arange(n), -int(rng.integers(least, n - least + 1)))


def longest_of(data: PilotData, sizes: SplitSizes, units: Units) -> int:
    """How many rows ridge can learn from beside the test rows, whatever the draw."""
    slack = int(np.max(np.bincount(units.task))) - 1
    return max(len(data.task_inputs) - sizes.n_test - slack, sizes.n_task)


def draw_rows(
    key: PRNGKeyArray, sizes: SplitSizes, units: Units, block: int, n_longest: int, tasks: int = 2
) -> Draw:
    """Draw the rows of one brain stage and of its task stages; the key decides alone."""
    rng = np.random.default_rng(np.asarray(jax.device_get(jr.key_data(key)), np.uint32))
    order = _permuted(rng, units.brain)
    if units.joint:
        # Units that no task row is of come first: they cost no test rows.
        order = order[np.argsort(np.isin(units.brain[order], units.task), kind="stable")]
    brain = order[: sizes.n_brain]
    displaced = _displaced(rng, sizes.n_brain, block)
    free = np.arange(len(units.task))
    if units.shared:
        free = free[~np.isin(units.task, units.task[brain])]
    found = []
    for _ in range(tasks):
        rows = free[_permuted(rng, np.unique(units.task[free], return_inverse=True)[1])]
        if units.joint:
            apart = ~np.isin(units.task[rows], units.brain[brain])
            test = rows[apart][: sizes.n_test]
            rest = rows[~np.isin(units.task[rows], units.task[test])]
            found.append((rest[:n_longest], test))
            continue
        task = rows[: sizes.n_task]
        # The test begins after the last unit that is learned from.
        rest = rows[~np.isin(units.task[rows], units.task[task])]
        test = rest[: sizes.n_test]
        others = np.setdiff1d(np.arange(len(units.task)), task)
        others = others[~np.isin(units.task[others], units.task[test])]
        others = others[_permuted(rng, np.unique(units.task[others], return_inverse=True)[1])]
        more = others[: n_longest - sizes.n_task]
        found.append((np.concatenate([task, more]), test))
    task, test = (np.stack(part) for part in zip(*found, strict=True))
    return Draw(brain, displaced, task, test)
