"""Values and exchange rates that a simulated sweep shows: no formula, bootstrap intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._arguments import BASELINES
from .._checks import check_between, check_choice, check_integer

if TYPE_CHECKING:
    import xarray

_CURVES = {"ols": "task_only_risk", "ridge": "ridge_risk"}
_CHUNK = 5e7


def empirical_value(
    dataset: xarray.Dataset,
    baseline: str = "ridge",
    *,
    penalty: str = "each",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> xarray.Dataset:
    """How many extra labels the recordings were worth in a simulated sweep, with intervals.

    On the simulated curve of the baseline, it finds the number of labels at which the baseline is
    as good as learning with recordings. The value is that number less the labels at hand.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
    >>> found = jb.sweep(problem, [80], [30], trials=64, seeds=20, key=jax.random.key(0))
    >>> worth = jb.empirical_value(found, "ols")
    >>> claim = float(jb.value(problem, 80, 30, baseline="ols"))
    >>> bool(worth.value_low.squeeze() < claim < worth.value_high.squeeze())
    True

    **Arguments**

    - `dataset`: from `sweep`, of two seeds or more.
    - `baseline`: `"ridge"`, or the paper's `"ols"`, as in `value`.
    - `penalty`: `"each"` gives a value for each penalty of the sweep. `"best"` takes the penalty
      with the least risk, chosen anew in every resample.
    - `confidence`: of the percentile intervals.
    - `resamples`: number of bootstrap samples. Seeds are resampled, the same for both sides.
    - `seed`: of the bootstrap.

    **Returns**

    A dataset over (n_brain, n_task, penalty): `value` and `exchange_rate`, each with `_low` and
    `_high`, and `status`:

    - "ok".
    - "infinite" where the risk is below the whole curve of the baseline: the value is above what
      the sweep can tell. `n_task_only` of `sweep` makes the curve longer.
    - "undefined" where the cell failed, or no baseline is that bad.

    Values that are not "ok", and ends of intervals that are not known, are NaN.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    The paper's empirical exchange rates (Lewis et al., arXiv:2605.09243). Between two points of the
    curve 1/risk is interpolated linearly in n, as it is for least squares.
    """
    check_choice("baseline", baseline, BASELINES)
    check_choice("penalty", penalty, ("each", "best"))
    _check_dataset(dataset)
    counts = _resampled(dataset, confidence, resamples, seed)
    samples = [_values(dataset, baseline, penalty, part) for part in _parts(dataset, counts)]
    point, *rest = np.split(np.concatenate(samples), [1])
    low, high = _interval(rest[0], confidence)
    point = point[0]
    status = np.where(np.isnan(point) | (point == -np.inf), "undefined", "ok")
    status = np.where(point == np.inf, "infinite", status)
    point = np.where(status == "ok", point, np.nan)
    dims = ("n_brain", "n_task", "penalty")
    n_brain = dataset.n_brain.values[:, None, None]
    label = ["best"] if penalty == "best" else dataset.penalty.values
    coords = {"n_brain": dataset.n_brain.values, "n_task": dataset.n_task.values, "penalty": label}
    import xarray

    return xarray.Dataset(
        {
            "value": (dims, point),
            "value_low": (dims, low),
            "value_high": (dims, high),
            "exchange_rate": (dims, point / n_brain),
            "exchange_rate_low": (dims, low / n_brain),
            "exchange_rate_high": (dims, high / n_brain),
            "status": (dims, status),
        },
        coords=coords,
        attrs={"baseline": baseline, "confidence": confidence, "resamples": resamples},
    )


class EmpiricalAllocation(NamedTuple):
    """The best split of a budget among the amounts of recording of a sweep, with intervals.

    - `n_brain`: recorded samples, one of the sweep's numbers, or 0. `n_task`: labels that the rest buys.
    - `risk`: simulated excess risk there, in the units of ‖β‖².
    - `risk_without_brain`: that of the baseline with all of the money spent on labels.
    - `saved`: share of the money that the baseline would need for the same risk which is spared; NaN if that
      is beyond the sweep.
    - `n_brain_interval`, `saved_interval`: (low, high) over the bootstrap resamples, at the confidence asked
      for.
    """

    n_brain: int
    n_task: float
    risk: float
    risk_without_brain: float
    saved: float
    n_brain_interval: tuple[float, float]
    saved_interval: tuple[float, float]


def empirical_allocation(
    dataset: xarray.Dataset,
    budget: float | int,
    cost_brain: float | int,
    cost_task: float | int,
    baseline: str = "ols",
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> EmpiricalAllocation:
    """The best split of a budget that a simulated sweep knows: one of its n_brain, or no recordings.

    The rest of the money buys labels; their number need not be on the grid, but within its ends.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small(task_snr=1.0)
    >>> found = jb.sweep(model, [100, 200, 400, 800], [20, 50, 100, 200, 400, 800], trials=50,
    ...                  seeds=20, key=jax.random.key(0))
    >>> plan = jb.empirical_allocation(found, budget=500, cost_brain=0.5, cost_task=1.0)
    >>> plan.n_brain, plan.n_task
    (200, 400.0)

    - `budget`, `cost_brain`, `cost_task`: money, and the prices of a recorded sample and of a label.
    - Others as in `empirical_value`; each n_brain is taken at the penalty with the least risk.

    **Raises** `ValueError` where the budget leaves no split within the sweep, or a positive price is missing.

    **Source.** Ours: the simulated risks, compared along the budget line; between two points of a curve
    1/risk is interpolated linearly, as in `empirical_value`.
    """
    check_choice("baseline", baseline, BASELINES)
    _check_dataset(dataset)
    for name, number in (("budget", budget), ("cost_brain", cost_brain), ("cost_task", cost_task)):
        if not (isinstance(number, int | float | np.number) and 0 < number < np.inf):
            raise ValueError(f"{name} must be greater than 0 and finite, but it is {number!r}")
    n_brain, n_task = dataset.n_brain.values, dataset.n_task.values
    labels = (budget - cost_brain * n_brain) / cost_task
    feasible = (labels >= n_task[0]) & (labels <= n_task[-1])
    alone = budget / cost_task
    known = dataset.n_task_only.values
    if not feasible.any() or not known[0] <= alone <= known[-1]:
        raise ValueError(
            "budget leaves no split within the sweep: it needs n_task from "
            f"{max(labels.min(), 0):.0f} to {labels.max():.0f} and n_task_only up to {alone:.0f}"
        )
    counts = _resampled(dataset, confidence, resamples, seed)
    found = [
        _split(dataset, part, baseline, labels, feasible, alone) for part in _parts(dataset, counts)
    ]
    place, risk, without, rival = (np.concatenate(x) for x in zip(*found, strict=True))
    chosen = np.where(place >= 0, n_brain[place], 0)
    with np.errstate(invalid="ignore"):
        saved = np.where(place >= 0, 1 - budget / (cost_task * rival), 0.0)
    saved_low, saved_high = _interval(saved[1:], confidence)
    tail = (1 - confidence) / 2
    low, high = np.quantile(chosen[1:], [tail, 1 - tail], method="nearest")
    return EmpiricalAllocation(
        n_brain=int(chosen[0]),
        n_task=float(labels[place[0]] if place[0] >= 0 else alone),
        risk=float(risk[0]),
        risk_without_brain=float(without[0]),
        saved=float(saved[0]) if rival[0] < np.inf else np.nan,
        n_brain_interval=(float(low), float(high)),
        saved_interval=(float(saved_low), float(saved_high)),
    )


def _check_dataset(dataset) -> None:
    """Raise unless this is what `sweep` returns, whole and in its order."""
    dims = ("n_brain", "n_task", "penalty", "seed", "n_task_only")
    known = getattr(dataset, "dims", ())
    missing = [name for name in dims if name not in known]
    missing += [
        name
        for name in ("input_dim", "risk_of_predicting_zero")
        if name not in getattr(dataset, "attrs", {})
    ]
    if missing:
        raise ValueError(
            f"dataset must come from jaxbrain.sweep, but it lacks {', '.join(missing)}: select with lists, "
            "which keep dimensions, and keep the attributes"
        )
    for name in ("n_task", "n_task_only"):
        if np.any(np.diff(dataset[name].values) <= 0):
            raise ValueError(f"dataset: {name} must ascend: pass dataset.sortby({name!r})")


def _resampled(dataset, confidence: float, resamples: int, seed: int) -> np.ndarray:
    """How often each seed is in each sample, as shares: the sample itself first, then the resamples."""
    check_between("confidence", confidence, 0.5, 1 - 1e-9)
    check_integer("resamples", resamples, 100)
    check_integer("seed", seed, 0)
    seeds = dataset.sizes["seed"]
    if seeds < 2:
        raise ValueError("dataset has a single seed: the bootstrap resamples seeds, run several")
    rng = np.random.default_rng(seed)
    picked = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    return np.concatenate([np.ones((1, seeds)), picked]) / seeds


def _parts(dataset, counts: np.ndarray) -> list[np.ndarray]:
    """The samples in parts that fit into memory."""
    cells = dataset.risk[..., 0].size * (dataset.sizes["n_task_only"] + 2)
    return np.array_split(counts, -(-len(counts) * cells // int(_CHUNK)))


def _mean_over_seeds(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(samples, ...) from (..., seed)."""
    return np.moveaxis(values @ counts.T, -1, 0)


def _curve(dataset, baseline: str, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of labels, ascending, and 1/risk of the baseline in each sample, with the known first point."""
    risk = dataset[_CURVES[baseline]].values
    defined = np.isfinite(risk).all(axis=-1)
    n, height = dataset.n_task_only.values[defined], 1 / _mean_over_seeds(risk[defined], counts)
    if baseline == "ols":
        first, at_first = dataset.attrs["input_dim"] + 1, 0.0
    else:
        first, at_first = 0, 1 / dataset.attrs["risk_of_predicting_zero"]
    height = np.concatenate([np.full((len(height), 1), at_first), height], axis=1)
    return np.concatenate([[first], n]), np.maximum.accumulate(height, axis=1)


def _labels_for(risk: np.ndarray, n: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Labels at which the curve reaches each risk, (samples, cells); ±infinite beyond its ends."""
    wanted = 1 / risk
    right = np.sum(height[:, None, :] < wanted[:, :, None], axis=-1)
    inside = np.clip(right, 1, len(n) - 1)
    low, high = (np.take_along_axis(height, inside - side, axis=1) for side in (1, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(high > low, (wanted - low) / (high - low), 1.0)
    found = n[inside - 1] + share * (n[inside] - n[inside - 1])
    found = np.where(wanted > height[:, -1:], np.inf, found)
    found = np.where(wanted < height[:, :1], -np.inf, found)
    return np.where(np.isnan(wanted), np.nan, found)


def _values(dataset, baseline: str, penalty: str, counts: np.ndarray) -> np.ndarray:
    risk = _mean_over_seeds(dataset.risk.values, counts)
    if penalty == "best":
        risk = _least(risk, axis=-1)[..., None]
    n, height = _curve(dataset, baseline, counts)
    found = _labels_for(risk.reshape(len(counts), -1), n, height).reshape(risk.shape)
    return found - dataset.n_task.values[:, None]


def _split(dataset, counts, baseline, labels, feasible, alone):
    """Place of the best n_brain (−1 for none), its risk, that without recordings, the rival's labels."""
    risk = _least(_mean_over_seeds(dataset.risk.values, counts), axis=-1)
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
    n, curve = _curve(dataset, baseline, counts)
    at = np.array([np.interp(alone, n, row) for row in curve])
    with np.errstate(divide="ignore"):
        without = 1 / at
    place = np.where(with_brain < without, best, -1)
    least = np.where(place >= 0, with_brain, without)
    return place, least, without, _labels_for(least[:, None], n, curve)[:, 0]


def _least(risk: np.ndarray, axis: int) -> np.ndarray:
    least = np.min(np.where(np.isnan(risk), np.inf, risk), axis=axis)
    return np.where(np.isinf(least), np.nan, least)


def _interval(samples: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)
