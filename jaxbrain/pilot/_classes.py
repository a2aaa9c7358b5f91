"""Classes: what a kernel makes of them by logistic regression, and how well they are told apart.

Shares and thresholds of kernels are those that least squares chooses on columns of 0 and 1. Near
the mean probabilities the logistic loss is w/2 times the squared error (docs/theory.md, "Classes"),
so that w times its penalty does the same. The multiple of it that serves where they are not near is
chosen by left-out fifths of the task rows, by ridge for all estimators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._penalties import Rows, spectrum_of
from .evaluation import ClassScores

_MULTIPLES = (1 / 16, 1 / 4, 1.0)
_STEPS, _SMALL = 300, 1e-5
# As a logit: no probability, in any precision.
_NEVER = -1e4


class Classes(NamedTuple):
    """Classes of the task rows, as whole numbers, and what holds for all estimators."""

    codes: Int[Array, " n"]
    fold: Int[Array, " n"]
    """The fold in which each row is left out."""
    count: int
    folds: int


def classes_of(codes: Int[Array, " n"], count: int, folds: int, in_order: bool) -> Classes:
    """Folds of neighbours, or such that hold as much of every class as can be."""
    n, codes = len(codes), codes.astype(int)
    if in_order:
        return Classes(codes, jnp.arange(n, dtype=codes.dtype) // -(-n // folds), count, folds)
    # Rows in the order of their classes are dealt out.
    each = jnp.arange(count, dtype=codes.dtype)[None]
    hot = (codes[:, None] == each).astype(codes.dtype)
    lower = jnp.sum((codes[:, None] < each).astype(codes.dtype), axis=0, keepdims=True)
    place = jnp.sum(hot * (jnp.cumsum(hot, axis=0) + lower - 1), axis=1)
    return Classes(codes, place % folds, count, folds)


class Prior(NamedTuple):
    """Rows in coordinates of a kernel, which is that of the weights in units of the noise."""

    features: Float[Array, "n r"]
    """Their columns are orthogonal."""
    new: Float[Array, "m r"]
    """Of the test rows."""
    strengths: Float[Array, " r"]
    """Mean squares of the columns."""
    codes: Int[Array, " n"]
    fold: Int[Array, " n"]
    """-1 of a row that is none."""

    def padded(self, n: int, r: int) -> Prior:
        """With further rows and columns that are none."""
        rows, columns = (0, n - len(self.features)), (0, r - self.features.shape[1])
        return Prior(
            jnp.pad(self.features, (rows, columns)),
            jnp.pad(self.new, ((0, 0), columns)),
            jnp.pad(self.strengths, columns),
            jnp.pad(self.codes, rows),
            jnp.pad(self.fold, rows, constant_values=-1),
        )


def prior_of(
    rows: Rows, kernel: Float[Array, "c c"], cross: Float[Array, "m c"], classes: Classes
) -> Prior:
    """Rows in coordinates of this kernel."""
    spectrum = spectrum_of(kernel)
    sizes = jnp.sqrt(spectrum.values)
    is_seen = spectrum.values > spectrum.values[-1] * len(sizes) * jnp.finfo(sizes.dtype).eps
    inverse = jnp.where(is_seen, 1 / jnp.where(is_seen, sizes, 1.0), 0.0)
    return Prior(
        rows.lifted(spectrum.vectors * sizes[None]),
        cross @ (spectrum.vectors * inverse[None]),
        spectrum.values / rows.n,
        classes.codes,
        classes.fold,
    )


class Told(NamedTuple):
    """What an estimator says of classes."""

    log_p: Float[Array, "m c"]
    """Of the test rows."""
    score: Float[Array, ""]
    """Mean loss of left-out task rows, in nats."""
    multiple: Float[Array, ""]
    """Of the penalty that least squares chose."""


def best_multiple(prior: Prior, count: int, folds: int) -> Float[Array, ""]:
    """The multiple of the penalty of least squares that left-out folds choose.

    Where classes can be told apart for sure, p(1 - p) is less than at the mean probabilities.
    """
    return _tell_apart(prior, jnp.asarray(_MULTIPLES, prior.features.dtype), count, folds).multiple


def tell_apart(priors: Sequence[Prior], multiple: Float[Array, ""], count: int, folds: int) -> Told:
    """Logistic regression under each prior, stacked: one program for rows of all numbers."""
    sizes = np.max([prior.features.shape for prior in priors], axis=0)
    alike = [prior.padded(*sizes.tolist()) for prior in priors]
    stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *alike)
    return jax.lax.map(lambda prior: _tell_apart(prior, multiple[None], count, folds), stacked)


def _tell_apart(prior: Prior, multiples: Float[Array, " g"], count: int, folds: int) -> Told:
    dtype = prior.features.dtype
    hot, is_row = jax.nn.one_hot(prior.codes, count, dtype=dtype), (prior.fold >= 0).astype(dtype)
    kept = is_row / jnp.sum(is_row)
    share = kept @ hot
    curvature = jnp.sum(share * (1 - share)) / (count - 1)
    # One class alone is told by its intercept.
    penalties = multiples * jnp.where(curvature > 0, curvature, 1.0) / jnp.sum(is_row)
    # The last learns from all rows. Problems are all penalties with all that is left out.
    out = jnp.concatenate(
        [
            jnp.arange(folds, dtype=prior.fold.dtype)[:, None] == prior.fold[None],
            jnp.zeros((1, len(hot)), bool),
        ]
    )
    shares = jnp.tile(jnp.where(out, 0.0, kept[None]), (len(multiples), 1))
    found = _minima(prior.features, prior.strengths, hot, shares, jnp.repeat(penalties, folds + 1))
    log_p = found.log_p(jnp.concatenate([prior.features, prior.new]))
    log_p = log_p.reshape(len(log_p), len(multiples), folds + 1, count)
    mine = jnp.sum(log_p[: len(hot)] * hot[:, None, None], axis=3)
    scores = -jnp.sum(jnp.where(out.T[:, None], mine, 0.0) * kept[:, None, None], axis=(0, 2))
    best = jnp.argmin(jnp.where(jnp.isfinite(scores), scores, jnp.inf))
    return Told(log_p[len(hot) :, best, -1], scores[best], multiples[best])


class _Minima(NamedTuple):
    """Logits of several problems b: those of rows z are zW + intercepts."""

    weights: Float[Array, "r b c"]
    intercepts: Float[Array, "b c"]
    seen: Array
    """Which classes rows show that count in each problem."""
    n: Array
    """How many rows count."""

    def log_p(self, rows: Float[Array, "n r"]) -> Float[Array, "n b c"]:
        """A class that n rows do not show has half the probability of one row in n + 1."""
        log_p = _log_p(_logits(rows, self.weights, self.intercepts), self.seen)
        little = 0.5 / (self.n + 1)
        left = jnp.log1p(-little * jnp.sum((~self.seen).astype(little.dtype), axis=1))
        return jnp.where(
            self.seen[None], log_p + left[None, :, None], jnp.log(little)[None, :, None]
        )


def _logits(rows: Array, weights: Array, intercepts: Array) -> Array:
    flat = rows @ weights.reshape(len(weights), -1)
    return flat.reshape(len(rows), *weights.shape[1:]) + intercepts[None]


def _log_p(logits: Array, seen: Array) -> Array:
    return jax.nn.log_softmax(jnp.where(seen[None], logits, _NEVER), axis=2)


class _State(NamedTuple):
    """Of an accelerated descent: where it is, where it looks, and how fast each problem goes."""

    at: tuple[Array, Array]
    ahead: tuple[Array, Array]
    pace: Float[Array, " b"]
    moved: Array
    """The largest change of a logit in the last step, as a root mean square over rows."""
    steps: Array


def _minima(
    features: Float[Array, "n r"],
    strengths: Float[Array, " r"],
    hot: Float[Array, "n c"],
    shares: Float[Array, "b n"],
    penalties: Float[Array, " b"],
) -> _Minima:
    """Least Σ share · loss + ½ penalty ‖W‖² of all problems, whose products are taken together.

    Columns of the centred features are orthogonal, with these mean squares. So penalty +
    strength/2 bounds the curvature along each of them (Böhning, 1992), and steps by that bound only
    go down. Nesterov's acceleration, which starts anew where it goes uphill.
    """
    dtype, count = features.dtype, jnp.sum(shares > 0, axis=1)
    weight = shares.T[:, :, None]
    frequency = jnp.sum(weight * hot[:, None], axis=0)
    seen = frequency > 0
    start = jnp.log(jnp.where(seen, frequency, 1.0))
    step = 1 / (penalties[None, :, None] + strengths[:, None, None] / 2), jnp.asarray(2.0, dtype)
    zero = jnp.zeros((features.shape[1], *start.shape), dtype)

    def slope(at: tuple[Array, Array]) -> tuple[Array, Array]:
        missed = weight * (jnp.exp(_log_p(_logits(features, *at), seen)) - hot[:, None])
        along = (features.T @ missed.reshape(len(features), -1)).reshape(at[0].shape)
        return along + penalties[None, :, None] * at[0], jnp.sum(missed, axis=0)

    def go(state: _State) -> _State:
        down = slope(state.ahead)
        at = state.ahead[0] - step[0] * down[0], state.ahead[1] - step[1] * down[1]
        by = at[0] - state.at[0], at[1] - state.at[1]
        rise = jnp.sum(down[0] * by[0], axis=(0, 2)) + jnp.sum(down[1] * by[1], axis=1)
        pace = jnp.where(rise > 0, 1.0, (1 + jnp.sqrt(1 + 4 * state.pace**2)) / 2)
        on = jnp.where(rise > 0, 0.0, (state.pace - 1) / pace)[:, None]
        moved = jnp.sum(strengths[:, None, None] * by[0] ** 2, axis=0) + by[1] ** 2
        return _State(
            at,
            (at[0] + on[None] * by[0], at[1] + on * by[1]),
            pace,
            jnp.sqrt(jnp.max(moved)),
            state.steps + 1,
        )

    def is_moving(state: _State) -> Array:
        return (state.steps < _STEPS) & (state.moved > max(_SMALL, 30 * jnp.finfo(dtype).eps))

    far = jnp.asarray(jnp.inf, dtype)
    first = _State((zero, start), (zero, start), jnp.ones_like(penalties), far, jnp.asarray(0))
    weights, intercepts = jax.lax.while_loop(is_moving, go, first).at
    return _Minima(weights, intercepts, seen, count.astype(dtype))


def by_frequency(codes: np.ndarray, new: np.ndarray, count: int) -> float:
    """Loss in nats of new rows, told by how often each class comes among these rows."""
    found = np.bincount(codes, minlength=count)
    little = 0.5 / (len(codes) + 1)
    left = 1 - little * np.sum(found == 0)
    p = np.where(found == 0, little, left * found / len(codes))
    return float(-np.mean(np.log(p[new])))


class OfSplit(NamedTuple):
    """What one split shows of classes."""

    rates: np.ndarray
    """Accuracy, balanced accuracy and area under the curve of each estimator."""
    by_frequency: float
    lacks: bool
    """Whether the task rows lack a class."""


def of_split(log_p: np.ndarray, learned: np.ndarray, tested: np.ndarray) -> OfSplit:
    """Log probabilities of shape (estimators, test rows, classes), and classes of all rows."""
    count = log_p.shape[2]
    lacks = len(np.unique(learned)) < count
    rates = np.array([rates_of(each, tested) for each in log_p])
    return OfSplit(rates, by_frequency(learned, tested, count), lacks)


def over_splits(found: Sequence[OfSplit]) -> ClassScores:
    """All splits, of one target."""
    rates = np.stack([each.rates for each in found], axis=1)
    accuracy, balanced, auc = np.moveaxis(rates, 2, 0)[..., None]
    return ClassScores(
        accuracy,
        balanced,
        auc,
        np.array([[each.by_frequency] for each in found]),
        np.array([sum(each.lacks for each in found)]),
    )


def rates_of(log_p: np.ndarray, codes: np.ndarray) -> tuple[float, float, float]:
    """How well rows of these classes are told apart; NaN where nothing is to be told."""
    if not np.all(np.isfinite(log_p)):
        return np.nan, np.nan, np.nan
    right = np.argmax(log_p, axis=1) == codes
    there = np.unique(codes)
    balanced = np.mean([np.mean(right[codes == each]) for each in there])
    # Of two classes one curve is the other, turned around.
    judged = there if log_p.shape[1] > 2 else there[-1:]
    areas = [_area(log_p[:, each], codes == each) for each in judged]
    area = np.mean(areas) if len(there) > 1 else np.nan
    return float(np.mean(right)), float(balanced), float(area)


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """How often a row of the class has a higher score than one that is not; ties count half."""
    others = np.sort(scores[~positive])
    own = scores[positive]
    if not len(others):
        return np.nan
    below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
    return float(np.mean(below) / (2 * len(others)))
