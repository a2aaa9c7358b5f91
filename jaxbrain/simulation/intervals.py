"""Curves of simulated sweeps, and how sure their few seeds make them, for values and budgets."""

from __future__ import annotations

import numpy as np

from .._checks import as_integer, as_number, check_between
from .._typing import Whole

_CURVES = {"ols": "task_only_risk", "ridge": "ridge_risk"}
_CHUNK = 5e7
_MOST_RESAMPLES = 10_000_000
# Standard errors by which a rival may be worse and still count as equal. More make intervals that
# hold the truth too often, none makes them miss it where several are about as good.
_CLOSE = 0.5


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


def check_single(dataset) -> None:
    """Raise where a sweep has several penalties of one kind beside `penalty` itself."""
    for name in ("encoding_penalty", "inside_penalty"):
        if name in dataset.dims:
            raise ValueError(
                f"dataset has several of {name}: take one by dataset.isel({name}=0), or sweep with "
                "penalty='empirical'"
            )


def resampled(dataset, confidence: float, resamples: Whole, seed: Whole) -> np.ndarray:
    """Weights of the seeds in each sample: the sample itself, then draws around it.

    The weighted mean of a quantity is spread about its mean as Student's t says that the truth is,
    s/√g times t with g − 1 degrees of freedom. Resampling of seeds spreads it by √(1 − 1/g) of that
    and without the tails: from five seeds it covers 82 % where it says 95 %.
    """
    confidence = as_number("confidence", confidence)
    check_between("confidence", confidence, 0.5, 1 - 1e-9)
    resamples = as_integer("resamples", resamples, 100, _MOST_RESAMPLES)
    seed = as_integer("seed", seed, 0)
    seeds = dataset.sizes["seed"]
    if seeds < 2:
        raise ValueError(
            "dataset has a single seed: intervals come from the spread of several: run more"
        )
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((resamples, seeds))
    normal -= normal.mean(axis=1, keepdims=True)
    scale = np.sqrt(rng.chisquare(seeds - 1, (resamples, 1)) * seeds)
    return 1 / seeds + np.concatenate([np.zeros((1, seeds)), normal / scale])


def parts(dataset, counts: np.ndarray) -> list[np.ndarray]:
    """The samples in parts that fit into memory."""
    cells = dataset.risk[..., 0].size * (dataset.sizes["n_task_only"] + 2)
    return np.array_split(counts, -(-len(counts) * cells // int(_CHUNK)))


def mean_in_samples(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Risks (samples, ...) from (..., seed), spread in their logarithm: none is negative."""
    mean = values.mean(axis=-1)
    known = np.isfinite(mean) & (mean > 0)
    mean = np.where(known, mean, 1.0)
    with np.errstate(invalid="ignore"):
        change = np.moveaxis((values - mean[..., None]) @ counts.T, -1, 0) / mean
    return np.where(known, mean * np.exp(np.clip(change, -50.0, 50.0)), values.mean(axis=-1))


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


def spread_of_differences(values: np.ndarray) -> np.ndarray:
    """Standard error of ln risk less that of the least, from risks (..., candidates, seed)."""
    mean = values.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = values / mean
    least = np.argmin(np.where(np.isnan(mean), np.inf, mean), axis=-2, keepdims=True)
    difference = relative - np.take_along_axis(relative, least, axis=-2)
    return difference.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])


def least_unless_lucky(
    samples: np.ndarray, point: np.ndarray, spread: np.ndarray | float
) -> np.ndarray:
    """Samples of the least of several risks, (samples, ..., candidates), as high as it may be.

    The least of several noisy risks is too low, since luck decides among those that are close.
    So each candidate is spread about the least itself, and the highest of them counts. One that is
    worse by more than half a standard error is spread about as much below the least as it is above,
    less that half: it hardly ever counts. A single candidate is spread as ever.
    """
    known = np.isfinite(point) & (point > 0)
    at = np.log(np.where(known, point, 1.0))
    short = at - np.min(np.where(known, at, np.inf), axis=-1, keepdims=True, initial=np.inf)
    below = np.maximum(short - _CLOSE * np.where(np.isfinite(spread), spread, 0.0), 0.0)
    with np.errstate(invalid="ignore"):
        highest = np.max(np.where(known, np.log(samples) - short - below, -np.inf), axis=-1)
    return np.where(known.any(axis=-1), np.exp(highest), np.nan)


def ends(
    for_low: np.ndarray, for_high: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles over the samples that each end is read off; NaN where an end is not known."""

    def end(samples: np.ndarray, share: float) -> np.ndarray:
        known = ~np.isnan(samples).any(axis=0)
        found = np.sort(samples, axis=0)[round(share * (len(samples) - 1))]
        return np.where(known & np.isfinite(found), found, np.nan)

    tail = (1 - confidence) / 2
    return end(for_low, tail), end(for_high, 1 - tail)
