"""The best split of a budget among the amounts of recording that a simulated sweep knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._arguments import BASELINES, Baseline
from .._checks import check_choice, shown
from .._typing import Whole
from ..simulation.intervals import (
    check_dataset,
    check_single,
    curve,
    ends,
    labels_for,
    least_risk,
    least_unless_lucky,
    mean_in_samples,
    parts,
    resampled,
    spread_of_differences,
)
from ._money import checked_sum
from ._whole_numbers import (
    Limits,
    affordable,
    bill_of_labels,
    bill_of_recordings,
    labels_beside,
)
from .results import EmpiricalAllocation

if TYPE_CHECKING:
    import xarray


def empirical_allocation(
    dataset: xarray.Dataset,
    budget: float | int,
    cost_brain: float | int,
    cost_task: float | int,
    baseline: Baseline = "ridge",
    *,
    confidence: float = 0.95,
    resamples: Whole = 2000,
    seed: Whole = 0,
) -> EmpiricalAllocation:
    """The best split of a budget that a simulated sweep knows.

    It buys one of its n_brain, or no recordings. The rest of the money buys whole labels, whose
    number need not be on the grid, but within its ends.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
    >>> found = jb.sweep(problem, [20, 40, 80, 160], [10, 20, 40, 80, 160], trials=64, seeds=20,
    ...                  key=jax.random.key(0))
    >>> plan = jb.empirical_allocation(found, budget=100, cost_brain=0.1, cost_task=1.0)
    >>> plan.n_brain, plan.n_task
    (80, 91)

    **Arguments**

    - `dataset`: from `sweep`, of two seeds or more.
    - `budget`: money.
    - `cost_brain`, `cost_task`: price of a recorded sample and of a label.
    - `baseline`: `"ridge"`, or the paper's `"ols"`, as in `value`.
    - `confidence`, `resamples`, `seed`: as in `empirical_value`.

    **Returns**

    An `EmpiricalAllocation`. Each n_brain is taken at the penalty with the least risk. The plan
    costs no more than the budget, in exact arithmetic on the prices as given.

    **Raises**

    `ValueError` that names the argument: sums that are not greater than 0 and finite, an unknown
    `baseline`, a dataset that is no sweep, a budget that leaves no split within the sweep.

    **Source**

    Ours: the simulated risks, compared along the budget line. Between two points of a curve 1/risk
    is interpolated linearly, as in `empirical_value`.
    """
    check_choice("baseline", baseline, BASELINES)
    check_dataset(dataset)
    check_single(dataset)
    for name, number in (("budget", budget), ("cost_brain", cost_brain), ("cost_task", cost_task)):
        if not (isinstance(number, int | float | np.number) and 0 < number < np.inf):
            raise ValueError(f"{name} must be greater than 0 and finite, but it is {shown(number)}")
    n_brain, n_task = dataset.n_brain.values, dataset.n_task.values
    like = jnp.zeros(())
    offers = _offers(
        checked_sum("budget", budget, like, up=False),
        checked_sum("cost_brain", cost_brain, like, up=True),
        checked_sum("cost_task", cost_task, like, up=True),
        jnp.asarray([0, *n_brain], like.dtype),
    )
    labels, on_brain, on_task, within = (np.asarray(x, float) for x in offers)
    alone, labels = labels[0], labels[1:]
    feasible = (within[1:] > 0) & (labels >= n_task[0]) & (labels <= n_task[-1])
    known = dataset.n_task_only.values
    if not feasible.any() or not known[0] <= alone <= known[-1]:
        raise ValueError(
            "budget leaves no split within the sweep: it needs n_task from "
            f"{max(labels.min(), 0):.0f} to {labels.max():.0f} and n_task_only up to {alone:.0f}"
        )
    counts = resampled(dataset, confidence, resamples, seed)
    drawn = [
        _risks(dataset, part, baseline, labels, feasible, alone) for part in parts(dataset, counts)
    ]
    # A column a choice, the first without recordings; a row a sample, the first the means.
    risk, cautious, n, height = (
        np.concatenate(x) if np.ndim(x[0]) > 1 else x[0] for x in zip(*drawn, strict=True)
    )
    spent, amounts = on_brain + on_task, np.array([0, *n_brain])
    best = int(np.argmin(risk[0]))

    def saved_by(choice: int, risk_of_choice: np.ndarray) -> np.ndarray:
        """Of what the baseline would cost that is as good; infinite beyond the sweep."""
        rival = labels_for(risk_of_choice[:, None], n, height)[:, 0]
        # The rival buys whole labels too, and more than it can afford where the plan is better.
        rival = np.maximum(np.ceil(rival), alone + 1)
        saved = np.where(np.isinf(rival), np.inf, 1 - spent[choice] / (cost_task * rival))
        return np.where(risk_of_choice < risk[:, 0], saved, 0.0)

    saved = saved_by(best, risk[:, best])
    least = least_unless_lucky(cautious, risk[0], _spread_of_differences(risk, best))
    saved_low, _ = ends(saved_by(best, least)[1:], saved[1:], confidence)
    # Whichever is the best, it saves no more than it does by itself.
    each = np.stack([saved_by(choice, risk[:, choice]) for choice in range(len(amounts))], axis=1)
    _, highs = ends(each[1:], each[1:], confidence)
    kept = amounts[_may_be_best(risk, confidence)]
    return EmpiricalAllocation(
        n_brain=int(amounts[best]),
        n_task=int(labels[best - 1] if best else alone),
        risk=float(risk[0, best]),
        spent_on_brain=float(on_brain[best]),
        spent_on_task=float(on_task[best]),
        n_task_without_brain=int(alone),
        risk_without_brain=float(risk[0, 0]),
        saved=float(saved[0]) if saved[0] < np.inf else np.nan,
        n_brain_interval=(float(kept.min()), float(kept.max())),
        saved_interval=(float(saved_low), float(np.max(highs))),
    )


@jax.jit
def _offers(
    budget: Array, cost_brain: Array, cost_task: Array, n_brain: Array
) -> tuple[Array, Array, Array, Array]:
    """For each n_brain the labels that the rest buys, both sums, and whether it is affordable."""
    nothing, unlimited = jnp.zeros_like(budget), jnp.full_like(budget, jnp.inf)
    limits = Limits(
        cost_brain=cost_brain[None],
        fixed_brain=nothing[None],
        most_brain=unlimited[None],
        budget=budget,
        cost_task=cost_task,
        fixed_task=nothing,
        most_labels=unlimited,
    )
    rows = n_brain[:, None]
    labels = labels_beside(limits, rows)
    sums = bill_of_recordings(limits, n_brain, 0), bill_of_labels(limits, labels)
    return labels, *sums, affordable(limits, rows, labels)


def _risks(dataset, counts, baseline, labels, feasible, alone):
    """Of each choice in each sample, infinite where it cannot be, also as high as it may be.

    And the baseline's curve in each sample.
    """
    each = dataset.risk.values
    of_cells = mean_in_samples(each, counts)
    cautious = least_unless_lucky(of_cells, each.mean(axis=-1), spread_of_differences(each))
    n, height = curve(dataset, baseline, counts)
    with np.errstate(divide="ignore"):
        without = 1 / np.array([np.interp(alone, n, row) for row in height])
    n_task = dataset.n_task.values
    rows = np.arange(len(labels))

    def along_the_budget(risk: np.ndarray) -> np.ndarray:
        """Between two numbers of labels 1/risk is a line."""
        if len(n_task) > 1:
            right = np.clip(np.searchsorted(n_task, labels), 1, len(n_task) - 1)
            share = (labels - n_task[right - 1]) / (n_task[right] - n_task[right - 1])
            at = (1 - share) / risk[:, rows, right - 1] + share / risk[:, rows, right]
        else:
            at = 1 / risk[:, :, 0]
        with_brain = np.where(feasible & ~np.isnan(at), 1 / at, np.inf)
        return np.concatenate([without[:, None], with_brain], axis=1)

    return along_the_budget(least_risk(of_cells, axis=-1)), along_the_budget(cautious), n, height


def _spread_of_differences(risk: np.ndarray, choice: int) -> np.ndarray:
    """Standard error of ln risk of each choice less that of one of them, from the samples."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log(risk[1:] / risk[1:, [choice]])
        low, high = np.quantile(ratio, [0.16, 0.84], axis=0)
        return (high - low) / 2


def _may_be_best(risk: np.ndarray, confidence: float) -> np.ndarray:
    """Which choices are not worse than the best of the others beyond what luck explains.

    Were a choice the best, the others would be as far behind as they seem to be, less a standard
    error, and no less than nothing.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(risk)
    possible = np.isfinite(logs[0])
    keep = np.zeros(len(possible), bool)
    for choice in np.flatnonzero(possible).tolist():
        others = possible & (np.arange(len(possible)) != choice)
        lead = logs[:, others] - logs[:, [choice]]
        if not others.any():
            keep[choice] = True
            continue
        truth = np.maximum(lead[0] - _spread_of_differences(risk, choice)[others], 0.0)
        by_luck = np.min(lead[1:] - lead[0] + truth, axis=1)
        keep[choice] = np.min(lead[0]) >= np.quantile(by_luck, 1 - confidence)
    return keep
