"""Values and exchange rates that a simulated sweep shows: no formula, and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._arguments import BASELINES
from .._checks import check_choice
from .._typing import Whole
from .intervals import (
    check_dataset,
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

if TYPE_CHECKING:
    import xarray


def empirical_value(
    dataset: xarray.Dataset,
    baseline: str = "ridge",
    *,
    penalty: str = "each",
    confidence: float = 0.95,
    resamples: Whole = 2000,
    seed: Whole = 0,
) -> xarray.Dataset:
    """How many extra labels the recordings were worth in a simulated sweep, with intervals.

    On the simulated curve of the baseline, it finds the number of labels at which the baseline is
    as good as learning with recordings. The value is that number less the labels at hand. Of a
    sweep with two penalties, or of `banded_ridge`, at the best penalties it is the information
    value: ridge regression, which both contain, gains nothing by them.

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
      with the least risk, or the pair of them. Its interval allows for luck in that choice.
    - `confidence`: of the intervals.
    - `resamples`: number of draws around the means of the seeds, by Student's t, the same for both
      sides.
    - `seed`: of these draws.

    **Returns**

    A dataset over (n_brain, n_task, penalty), and over encoding_penalty and inside_penalty where
    the sweep has several: `value` and `exchange_rate`, each with `_low` and `_high`, and `status`:

    - "ok".
    - "infinite" where the risk is below the whole curve of the baseline: the value is above what
      the sweep can tell. `n_task_only` of `sweep` makes the curve longer.
    - "undefined" where the cell failed, or no baseline is that bad.

    Values that are not "ok", and ends of intervals that are not known, are NaN.

    A 95 % interval holds the truth in 93 to 97 % of sweeps of 5 seeds or more, measured on sweeps
    whose truth is known (benchmarks/README.md).

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    The paper's empirical exchange rates (Lewis et al., arXiv:2605.09243). Between two points of the
    curve 1/risk is interpolated linearly in n, as it is for least squares.
    """
    check_choice("baseline", baseline, BASELINES)
    check_choice("penalty", penalty, ("each", "best"))
    check_dataset(dataset)
    if penalty == "best" and "inside_penalty" in dataset.dims:
        dataset = _with_flat_penalties(dataset)
    counts = resampled(dataset, confidence, resamples, seed)
    found = [_values(dataset, baseline, penalty, part) for part in parts(dataset, counts)]
    cautious, samples = (np.concatenate(x) for x in zip(*found, strict=True))
    low, high = ends(cautious[1:], samples[1:], confidence)
    point = samples[0]
    status = np.where(np.isnan(point) | (point == -np.inf), "undefined", "ok")
    status = np.where(point == np.inf, "infinite", status)
    point = np.where(status == "ok", point, np.nan)
    dims = dataset.risk.dims[:-1]
    n_brain = _along(dataset, "n_brain")
    coords = {name: dataset[name].values for name in dims}
    if penalty == "best":
        coords["penalty"] = ["best"]
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


def _values(dataset, baseline: str, penalty: str, counts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Values in each sample, first as low as luck in the choice of the penalty makes them."""
    risk = mean_in_samples(dataset.risk.values, counts)
    n, height = curve(dataset, baseline, counts)

    n_task = _along(dataset, "n_task")

    def value_of(risk: np.ndarray) -> np.ndarray:
        found = labels_for(risk.reshape(len(counts), -1), n, height).reshape(risk.shape)
        return found - n_task

    if penalty == "each":
        values = value_of(risk)
        return values, values
    each = dataset.risk.values
    cautious = least_unless_lucky(risk, each.mean(axis=-1), spread_of_differences(each))
    return value_of(cautious[..., None]), value_of(least_risk(risk, axis=-1)[..., None])


def _along(dataset, name: str) -> np.ndarray:
    """Sample numbers, in the place that they have among the dimensions of a cell."""
    dims = dataset.risk.dims[:-1]
    values = dataset[name].values
    return values.reshape([-1 if each == name else 1 for each in dims])


def _with_flat_penalties(dataset):
    """All pairs of penalties as one dimension, in the place of the outside one."""
    import xarray

    risk = dataset.risk
    *cell, _, _, seed = risk.dims
    values = risk.values.reshape(*risk.shape[: len(cell)], -1, risk.sizes[seed])
    flat = dataset.drop_dims(["penalty", "inside_penalty"])
    coords = {"penalty": np.arange(values.shape[-2])}
    both = xarray.DataArray(values, dims=(*cell, "penalty", seed), coords=coords)
    return flat.assign(risk=both)
