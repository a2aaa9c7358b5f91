"""Curves of simulated sweeps and the bootstrap over their seeds, for values and for budgets."""

from __future__ import annotations

import numpy as np

from .._checks import check_between, check_integer

_CURVES = {"ols": "task_only_risk", "ridge": "ridge_risk"}
_CHUNK = 5e7


def check_dataset(dataset) -> None:
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
            f"dataset must come from jaxbrain.sweep, but it lacks {', '.join(missing)}: select "
            "with lists, which keep dimensions, and keep the attributes"
        )
    for name in ("n_task", "n_task_only"):
        if np.any(np.diff(dataset[name].values) <= 0):
            raise ValueError(f"dataset: {name} must ascend: pass dataset.sortby({name!r})")


def resampled(dataset, confidence: float, resamples: int, seed: int) -> np.ndarray:
    """How often each seed is in each sample, as shares: the sample itself, then resamples."""
    check_between("confidence", confidence, 0.5, 1 - 1e-9)
    check_integer("resamples", resamples, 100)
    check_integer("seed", seed, 0)
    seeds = dataset.sizes["seed"]
    if seeds < 2:
        raise ValueError("dataset has a single seed: the bootstrap resamples seeds, run several")
    rng = np.random.default_rng(seed)
    picked = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    return np.concatenate([np.ones((1, seeds)), picked]) / seeds


def parts(dataset, counts: np.ndarray) -> list[np.ndarray]:
    """The samples in parts that fit into memory."""
    cells = dataset.risk[..., 0].size * (dataset.sizes["n_task_only"] + 2)
    return np.array_split(counts, -(-len(counts) * cells // int(_CHUNK)))


def mean_in_samples(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(samples, ...) from (..., seed)."""
    return np.moveaxis(values @ counts.T, -1, 0)


def curve(dataset, baseline: str, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of labels, and the baseline's 1/risk in each sample; the known point comes first."""
    risk = dataset[_CURVES[baseline]].values
    defined = np.isfinite(risk).all(axis=-1)
    n, height = dataset.n_task_only.values[defined], 1 / mean_in_samples(risk[defined], counts)
    if baseline == "ols":
        first, at_first = dataset.attrs["input_dim"] + 1, 0.0
    else:
        first, at_first = 0, 1 / dataset.attrs["risk_of_predicting_zero"]
    height = np.concatenate([np.full((len(height), 1), at_first), height], axis=1)
    return np.concatenate([[first], n]), np.maximum.accumulate(height, axis=1)


def labels_for(risk: np.ndarray, n: np.ndarray, height: np.ndarray) -> np.ndarray:
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


def least_risk(risk: np.ndarray, axis: int) -> np.ndarray:
    """The least of the risks that are known, NaN where none is."""
    least = np.min(np.where(np.isnan(risk), np.inf, risk), axis=axis)
    return np.where(np.isinf(least), np.nan, least)


def interval(samples: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles over the samples, NaN where an end is not known."""
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)
