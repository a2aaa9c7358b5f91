"""What rows say before anything is drawn: spectrum, placement, dependence, latent dimension."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from ._chain import Labelled, Recorded

# Where power lies in the spectrum: as the variance to one of these exponents.
_EXPONENTS = np.arange(0.0, 1.51, 0.25)
_LOG_RATIOS = np.linspace(np.log(1e-4), np.log(1e6), 47)
_FOLDS, _RESAMPLED = 5, 400
# Channels whose placement is looked at, and ranks that are compared.
_LEADING, _MOST_LATENTS = 10, 64
_FACTORINGS = 4
_LEFT = 0.05


class Inputs(NamedTuple):
    """Principal axes of the inputs, shape (d, c), and the variances along them, shape (c,).

    `rows` are the degrees of freedom that tell them.
    """

    axes: np.ndarray
    variances: np.ndarray
    rows: int

    def white(self, rows: np.ndarray) -> np.ndarray:
        """Rows, less their mean, in coordinates of variance 1."""
        return (rows - rows.mean(axis=0)) @ self.axes / np.sqrt(self.variances)

    def scales(self, exponent: float) -> np.ndarray:
        """Standard deviations of weights whose variance is 1 in all."""
        powers = exponent * np.log(self.variances / self.variances.max())
        return np.exp((powers - logsumexp(powers)) / 2)


def inputs_of(rows: np.ndarray) -> Inputs:
    """Principal axes of rows, each set less its own mean, and what inputs vary along them.

    Of few rows the largest sample variances are too large and the smallest too small. Their
    shrinkage is that of Ledoit and Wolf (2020), "Analytical nonlinear shrinkage of
    large-dimensional covariance matrices", with the mean taken off.
    """
    n, d = len(rows) - 1, rows.shape[1]
    if n >= d:
        variances, axes = np.linalg.eigh(rows.T @ rows / n)
        kept = variances > variances[-1] * d * np.finfo(float).eps
        variances, axes = variances[kept], axes[:, kept]
    else:
        axes, strengths, _ = np.linalg.svd(rows.T / np.sqrt(n), full_matrices=True)
        variances = np.zeros(d)
        variances[: len(strengths)] = strengths**2
        axes, variances = axes[:, ::-1], variances[::-1]
        # One row is lost to the mean.
        variances[: d - n] = 0.0
    # They fall as the sample variances do, and their sum is right as it is.
    shrunken = np.maximum.accumulate(_shrunken(variances, n))
    return Inputs(axes, shrunken * (np.sum(variances) / np.sum(shrunken)), n)


def _shrunken(variances: np.ndarray, n: int) -> np.ndarray:
    d = len(variances)
    if n > 50 * d:
        return variances
    found = variances[max(0, d - n) :]
    width = n ** (-1 / 3)
    bandwidth = width * found
    x = (found[:, None] - found) / bandwidth
    root = np.sqrt(5.0)
    density = 3 / 4 / root * np.mean(np.maximum(1 - x**2 / 5, 0) / bandwidth, axis=1)
    edge = np.abs(np.abs(x) - root) < 1e-12
    quotient = np.where(edge, 1.0, np.abs((root - x) / np.where(edge, 1.0, root + x)))
    transform = -3 / 10 / np.pi * x + 3 / 4 / root / np.pi * (1 - x**2 / 5) * np.log(quotient)
    transform = np.mean(transform / bandwidth, axis=1)
    c = d / n
    if d <= n:
        return found / (
            (np.pi * c * found * density) ** 2 + (1 - c - np.pi * c * found * transform) ** 2
        )
    at_zero = (
        (
            3 / 10 / width**2
            + 3
            / 4
            / root
            / width
            * (1 - 1 / 5 / width**2)
            * np.log((1 + root * width) / (1 - root * width))
        )
        / np.pi
        * np.mean(1 / found)
    )
    least = 1 / (np.pi * (d - n) / n * at_zero)
    others = found / (np.pi**2 * found**2 * (density**2 + transform**2))
    return np.concatenate([np.full(d - n, least), others])


class Turned(NamedTuple):
    """A singular value decomposition of rows of inputs: rows P, squares of values e, axes Q."""

    rows: np.ndarray
    strengths: np.ndarray
    axes: np.ndarray


def turned(inputs: np.ndarray) -> Turned:
    """The decomposition, by way of the smaller side."""
    n, d = inputs.shape
    if n < d:
        e, rows = np.linalg.eigh(inputs @ inputs.T)
        kept = e > e[-1] * n * 1e-13
        e, rows = e[kept], rows[:, kept]
        return Turned(rows, e, inputs.T @ (rows / np.sqrt(e)))
    e, axes = np.linalg.eigh(inputs.T @ inputs)
    kept = e > e[-1] * d * 1e-13
    e, axes = e[kept], axes[:, kept]
    return Turned(inputs @ (axes / np.sqrt(e)), e, axes)


def log_evidence(turned_: Turned, columns: np.ndarray) -> np.ndarray:
    """Logarithm of the likelihood of columns by ratios of signal to noise, shape (ratios, t)."""
    e = turned_.strengths
    along = turned_.rows.T @ columns
    rest = np.maximum(np.sum(columns**2, axis=0) - np.sum(along**2, axis=0), 0)
    weights = 1 / (1 + np.exp(_LOG_RATIOS)[:, None] * e)
    left = weights @ along**2 + rest
    return 0.5 * np.sum(np.log(weights), axis=1)[:, None] - 0.5 * (len(columns) - 1) * np.log(left)


def ridge_of(evidence: np.ndarray) -> float:
    """The penalty, beside squared singular values, of the likeliest ratio for all columns."""
    return float(np.exp(-_LOG_RATIOS[np.argmax(np.sum(evidence, axis=1))]))


def residuals_of(turned_: Turned, columns: np.ndarray) -> tuple[np.ndarray, float]:
    """What the likeliest ridge regression leaves, and the degrees of freedom that it uses."""
    penalty = ridge_of(log_evidence(turned_, columns))
    kept = turned_.strengths / (turned_.strengths + penalty)
    fitted = turned_.rows @ (kept[:, None] * (turned_.rows.T @ columns))
    return columns - fitted, float(np.sum(kept))


def standardised(turned_: Turned, recordings: np.ndarray) -> np.ndarray:
    """Channels over the standard deviation of their own noise, which no other channel shares.

    The noise is the uniqueness of a factor analysis of what inputs do not predict, with as many
    factors as stand out of noise alone. Where the channels' noises differ no more than they would
    by chance they are taken for equal.
    """
    left, used = residuals_of(turned_, recordings)
    freedom = max(len(recordings) - 1 - used, 1.0)
    variances = np.sum(left**2, axis=0) / freedom
    typical = np.mean(variances)
    if not typical > 0:
        return recordings / np.sqrt(np.mean(recordings**2))
    variances = np.maximum(variances, 1e-6 * typical)
    noise = variances
    # The largest singular value of noise alone: Marchenko and Pastur.
    edge = (1 + np.sqrt(len(variances) / freedom)) ** 2
    for _ in range(_FACTORINGS):
        strengths, patterns = _right_side(left / np.sqrt(noise))
        factors = np.maximum(strengths**2 / freedom - edge, 0)
        shared = noise * (factors @ patterns**2)
        noise = np.maximum(variances - shared, 0.05 * variances)
    logarithms = np.log(noise)
    by_chance = 2 / freedom
    apart = max(np.var(logarithms) - by_chance, 0.0)
    middle = np.mean(logarithms)
    shrunken = middle + apart / (apart + by_chance) * (logarithms - middle)
    return recordings / np.exp(shrunken / 2)


def _right_side(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values, and right singular vectors in rows."""
    _, strengths, patterns = np.linalg.svd(rows, full_matrices=False)
    return strengths, patterns


def design_effect(white: np.ndarray, left: np.ndarray, units: np.ndarray) -> float:
    """How many rows count for one, where rows of a unit depend on each other.

    The variance of sums of input times residual over whole units, over that of independent rows;
    at least 1.
    """
    counts = np.bincount(units)
    if counts.max() == 1:
        return 1.0
    single = np.sum(np.sum(white**2, axis=1) * np.sum(left**2, axis=1))
    together = 0.0
    for unit in np.flatnonzero(counts):
        rows = units == unit
        together += np.sum((white[rows].T @ left[rows]) ** 2)
    return float(np.clip(together / single, 1.0, counts.max()))


def exponents_of(
    inputs: Inputs, white: tuple[np.ndarray, np.ndarray], columns: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Exponents of the placement in the spectrum, and how likely each is."""
    if inputs.variances.max() < 3 * inputs.variances.min():
        return np.zeros(1), np.ones(1)
    likelihood = np.zeros(len(_EXPONENTS))
    prior = _LOG_RATIOS / 2 - np.logaddexp(0, _LOG_RATIOS)
    for place, exponent in enumerate(_EXPONENTS):
        for rows, of_rows in zip(white, columns, strict=True):
            evidence = log_evidence(turned(rows * inputs.scales(exponent)), of_rows)
            likelihood[place] += np.sum(np.asarray(logsumexp(evidence + prior[:, None], axis=0)))
    return _EXPONENTS, np.exp(likelihood - np.logaddexp.reduce(likelihood))


def leading_channels(turned_: Turned, recordings: np.ndarray) -> np.ndarray:
    """The combinations of channels that inputs predict most of, at most ten."""
    penalty = ridge_of(log_evidence(turned_, recordings))
    kept = turned_.strengths / (turned_.strengths + penalty)
    fitted = kept[:, None] * (turned_.rows.T @ recordings)
    return recordings @ np.linalg.svd(fitted, full_matrices=False)[2][:_LEADING].T


def latent_dims(
    inputs: np.ndarray, recordings: np.ndarray, units: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """How likely each latent dimension is, from 1: how often it suffices to predict left-out rows.

    Five folds of whole units; ridge regression, reduced to each rank. The units are then resampled
    by random weights: Rubin (1981), the Bayesian bootstrap.
    """
    names = np.unique(units)
    fold_of_unit = rng.permutation(len(names)) % _FOLDS
    fold = fold_of_unit[np.searchsorted(names, units)]
    n, d = inputs.shape
    most = min(d - 1, recordings.shape[1], int(np.sum(fold != 0)) - 2, _MOST_LATENTS)
    gains = np.zeros((n, max(most, 1)))
    for number in range(min(_FOLDS, len(names))):
        learned, judged = fold != number, fold == number
        mean = inputs[learned].mean(axis=0)
        found = turned(inputs[learned] - mean)
        offset = recordings[learned].mean(axis=0)
        columns = recordings[learned] - offset
        penalty = ridge_of(log_evidence(found, columns))
        along = found.rows.T @ columns
        e = found.strengths[:, None]
        fitted = e / (e + penalty) * along
        patterns = np.linalg.svd(fitted, full_matrices=False)[2][: gains.shape[1]].T
        weights = found.axes @ (np.sqrt(e) / (e + penalty) * (along @ patterns))
        predicted = (inputs[judged] - mean) @ weights
        actual = (recordings[judged] - offset) @ patterns
        gains[judged, : patterns.shape[1]] = 2 * predicted * actual - predicted**2
    of_units = np.stack([np.bincount(units, column) for column in np.cumsum(gains, axis=1).T])
    of_units = of_units[:, names]
    shares = rng.exponential(size=(len(names), _RESAMPLED))
    resampled = of_units @ shares
    # Ever weaker latents predict ever less: a twentieth of the gain is left to them.
    enough = resampled >= (1 - _LEFT) * np.max(resampled, axis=0)
    best = np.argmax(enough & (resampled > 0), axis=0)
    return np.bincount(best, minlength=gains.shape[1]) / _RESAMPLED


def recorded_of(turned_: Turned, recordings: np.ndarray, rows: float, effect: float) -> Recorded:
    """What a chain needs of recordings, `effect` rows counted as one."""
    n, p = recordings.shape
    along = turned_.rows.T @ recordings
    rest = recordings - turned_.rows @ along
    fewest = min(p, max(n - 1 - len(turned_.strengths), 0))
    strengths, patterns = _right_side(rest) if fewest else (np.zeros(0), np.zeros((0, p)))
    rest = strengths[:fewest, None] * patterns[:fewest]
    if p > n:
        # Channels beyond the rows can be turned to be 0.
        both = np.concatenate([along, rest])
        both = both @ np.linalg.svd(both, full_matrices=False)[2].T
        along, rest = both[: len(along)], both[len(along) :]
    root = np.sqrt(effect)
    numbers = turned_.axes, turned_.strengths / effect, along / root, rest / root
    return Recorded(*map(jnp.asarray, (*numbers, rows / effect, float(p))))


def labelled_of(turned_: Turned, targets: np.ndarray, rows: float, effect: float) -> Labelled:
    """What a chain needs of labels, `effect` rows counted as one."""
    along = turned_.rows.T @ targets
    rest = np.maximum(np.sum(targets**2, axis=0) - np.sum(along**2, axis=0), 0.0)
    root = np.sqrt(effect)
    numbers = turned_.axes, turned_.strengths / effect, along / root, rest / effect
    return Labelled(*map(jnp.asarray, (*numbers, rows / effect)))
