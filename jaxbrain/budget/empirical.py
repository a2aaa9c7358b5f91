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
from ..simulation.bootstrap import (
    check_dataset,
    curve,
    interval,
    labels_for,
    least_risk,
    mean_in_samples,
    parts,
    resampled,
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
    >>> model = jb.presets.small(task_snr=1.0)
    >>> found = jb.sweep(model, [100, 200, 400, 800], [20, 50, 100, 200, 400, 800], trials=5,
    ...                  seeds=20, key=jax.random.key(0))
    >>> plan = jb.empirical_allocation(found, budget=500, cost_brain=0.5, cost_task=1.0)
    >>> plan.n_brain, plan.n_task
    (200, 400)

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
    found = [
        _split(dataset, part, baseline, labels, feasible, alone) for part in parts(dataset, counts)
    ]
    place, risk, without, rival = (np.concatenate(x) for x in zip(*found, strict=True))
    chosen = np.where(place >= 0, n_brain[place], 0)
    # The rival buys whole labels too, and more than it can afford where the plan is better.
    rival = np.maximum(np.ceil(rival), alone + 1)
    spent = on_brain + on_task
    saved = np.where(place >= 0, 1 - spent[place + 1] / (cost_task * rival), 0.0)
    saved_low, saved_high = interval(saved[1:], saved[0], confidence)
    low, high = interval(chosen[1:].astype(float), float(chosen[0]), confidence)
    return EmpiricalAllocation(
        n_brain=int(chosen[0]),
        n_task=int(labels[place[0]] if place[0] >= 0 else alone),
        risk=float(risk[0]),
        spent_on_brain=float(on_brain[place[0] + 1]),
        spent_on_task=float(on_task[place[0] + 1]),
        n_task_without_brain=int(alone),
        risk_without_brain=float(without[0]),
        saved=float(saved[0]) if rival[0] < np.inf else np.nan,
        n_brain_interval=(float(low), float(high)),
        saved_interval=(float(saved_low), float(saved_high)),
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


def _split(dataset, counts, baseline, labels, feasible, alone):
    """Place of the best n_brain (−1: none), its risk, that without recordings, rival's labels."""
    risk = least_risk(mean_in_samples(dataset.risk.values, counts), axis=-1)
    n_task = dataset.n_task.values
    right = (
        np.clip(np.searchsorted(n_task, labels), 1, len(n_task) - 1) if len(n_task) > 1 else None
    )
    rows = np.arange(risk.shape[1])
    if right is None:
        height = 1 / risk[:, :, 0]
    else:
        share = (labels - n_task[right - 1]) / (n_task[right] - n_task[right - 1])
        height = (1 - share) / risk[:, rows, right - 1] + share / risk[:, rows, right]
    height = np.where(feasible, height, -np.inf)
    best = np.argmax(np.where(np.isnan(height), -np.inf, height), axis=1)
    with_brain = 1 / np.take_along_axis(height, best[:, None], axis=1)[:, 0]
    n, height = curve(dataset, baseline, counts)
    at = np.array([np.interp(alone, n, row) for row in height])
    with np.errstate(divide="ignore"):
        without = 1 / at
    place = np.where(with_brain < without, best, -1)
    least = np.where(place >= 0, with_brain, without)
    return place, least, without, labels_for(least[:, None], n, height)[:, 0]
