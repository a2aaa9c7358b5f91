"""What the estimators have in common: checks, weights of rows, centring, prediction."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from .._checks import as_floats
from .._threads import one_blas_thread


def in_double_precision(method: Callable) -> Callable:
    """Fit in double precision, with one BLAS thread; what is kept is arrays of NumPy."""

    @functools.wraps(method)
    def wrapped(self, *arguments, **options):
        with one_blas_thread(), jax.enable_x64(True):
            return method(self, *arguments, **options)

    return wrapped


class Rows(NamedTuple):
    """Rows to learn from, without those of weight 0."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    groups: np.ndarray | None
    means: tuple[np.ndarray, np.ndarray]
    """Of inputs and targets; 0 without an intercept."""

    @property
    def mean_weight(self) -> float:
        return 1.0 if self.weights is None else float(np.mean(self.weights))

    def centred(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets without their means, times the root of the weights."""
        pair = self.inputs - self.means[0], self.targets - self.means[1]
        if self.weights is None:
            return pair
        root = np.sqrt(self.weights)
        return pair[0] * root[:, None], (pair[1].T * root).T


def refuse_masks(**arrays: Any) -> None:
    """scikit-learn would take what is masked for data."""
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray):
            as_floats(**{name: array})


def checked_weights(sample_weight, X) -> np.ndarray:
    """How much each row counts: one number for all, or one for each."""
    refuse_masks(sample_weight=sample_weight)
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(len(X), float(sample_weight))
    weights = check_array(
        sample_weight, ensure_2d=False, dtype="float64", input_name="sample_weight"
    )
    if weights.shape != (len(X),):
        raise ValueError(
            f"sample_weight must have shape ({len(X)},), but it has shape {weights.shape}: one "
            "number for each row of X"
        )
    if np.min(weights) < 0:
        raise ValueError(f"sample_weight must be at least 0, but it is {np.min(weights):g}")
    if not weights.any():
        raise ValueError("sample_weight is zero everywhere: nothing is left to learn from")
    return weights


def checked_groups(groups, rows) -> np.ndarray:
    """The group of each row."""
    groups = column_or_1d(groups)
    check_consistent_length(rows, groups)
    return groups


class LinearRegressor(RegressorMixin, BaseEstimator):
    """What the estimators have in common: centring, prediction, shapes."""

    fit_intercept: bool
    coef_: np.ndarray
    intercept_: Any
    n_features_in_: int

    def predict(self, X):
        """Predicted targets, of the shape of those learned from; `X` has shape (m, d)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_.T + self.intercept_

    def _validated(self, X, y) -> tuple[np.ndarray, np.ndarray]:
        refuse_masks(X=X, y=y)
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        return np.asarray(X, np.float64), np.asarray(y, np.float64)

    def _rows(self, X, y, sample_weight, groups=None) -> Rows:
        """Checked rows; those of weight 0 are left out."""
        X, y = self._validated(X, y)
        weights = None if sample_weight is None else checked_weights(sample_weight, X)
        groups = None if groups is None else checked_groups(groups, X)
        if weights is not None:
            kept = weights > 0
            X, y, weights = X[kept], y[kept], weights[kept]
            groups = None if groups is None else groups[kept]
        means = [
            np.average(a, axis=0, weights=weights) if self.fit_intercept else 0 * a[0]
            for a in (X, y)
        ]
        return Rows(X, y, weights, groups, (means[0], means[1]))

    def _learn(self, rows: Rows, solve: Callable[[np.ndarray, np.ndarray], Any]):
        """Set coefficients and intercept from weights of centred rows."""
        weights = np.asarray(solve(*rows.centred()))
        self.coef_ = weights.T
        self.intercept_ = rows.means[1] - rows.means[0] @ weights
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
