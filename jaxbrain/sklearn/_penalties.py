"""Penalties of the estimators: given or tuned, and the weights that come of them."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._checks import as_integer
from ..estimators import befs, ridge
from ..estimators.task import weights_of_each_target
from ..tuning import GeneralizedCrossValidation, KFold, LeaveOneOut, tune_penalty
from ._linear import Rows


def solver(basis, penalty, inside: float, rows: Rows, is_tuned: bool) -> Callable:
    """Weights of centred rows. A penalty is one a unit of weight, and rows count as one each."""
    penalty, inside = rows.mean_weight * penalty, rows.mean_weight * inside

    def solve(inputs, targets):
        n, d = inputs.shape
        if np.ndim(penalty):
            arrays = jnp.asarray(inputs), jnp.asarray(targets)
            return weights_of_each_target(*arrays, basis, penalty, jnp.asarray(inside, float))
        if is_tuned and penalty == 0 and n <= d:
            return _least_norm(inputs, targets, basis, inside)
        if basis is None:
            return ridge(inputs, targets, penalty)
        return befs(inputs, targets, basis, penalty, inside)

    return solve


def tuned(estimator: Any, rows: Rows, basis: Any, options: dict[str, Any]) -> Any:
    """The penalty given, or the one tuned on the rows."""
    given = estimator.penalty
    if not isinstance(given, str):
        if isinstance(given, bool) or not isinstance(given, numbers.Real):
            raise ValueError(f"penalty must be 'auto' or one number, but it is {given!r}")
        return float(given)
    if given != "auto":
        raise ValueError(f"penalty must be 'auto' or one number, but it is {given!r}")
    X, y, weights, groups, _ = rows
    criterion = estimator.criterion
    options = options | {"intercept": estimator.fit_intercept, "sample_weight": weights}
    if np.ndim(y) == 1:
        options["per_target"] = False
    is_number = isinstance(criterion, numbers.Real) and not isinstance(criterion, bool)
    is_known = isinstance(criterion, str) and criterion in ("leave_one_out", "gcv")
    if not is_known and not is_number:
        raise ValueError(
            "criterion must be 'leave_one_out', 'gcv' or a number of folds, but it is "
            f"{criterion!r}"
        )
    folds = 5
    if is_number:
        folds = as_integer("criterion", criterion, 2, None if groups is not None else len(X))
    if groups is not None and criterion == "gcv":
        raise ValueError("criterion 'gcv' knows no groups: pass a number of folds")
    if criterion == "gcv":
        objective = GeneralizedCrossValidation(X, y, basis, **options)
    elif groups is None and criterion == "leave_one_out":
        objective = LeaveOneOut(X, y, basis, **options)
    else:
        if groups is not None:
            folds = min(folds, len(X))
        objective = KFold(X, y, basis, folds=folds, groups=groups, **options)
    estimator.tuned_ = jax.tree.map(np.asarray, tune_penalty(objective))
    if not np.all(np.isfinite(estimator.tuned_.value)):
        if len(X) > 2 * X.shape[1]:
            raise ValueError(
                f"no penalty can be chosen by {criterion!r}: the rows to learn from leave weights "
                "undetermined, as where an input is constant in all rows but those of a fold; pass "
                "a number as penalty, or leave such inputs out"
            )
        raise ValueError(
            f"n_samples={len(X)} are too few to choose a penalty by {criterion!r}: pass a number "
            "as penalty"
        )
    # Of two rows one is left to learn from, and all penalties are alike.
    if not np.all(estimator.tuned_.converged) or len(X) < 3:
        warnings.warn(
            f"the penalty has not converged: {len(X)} samples may be too few to choose it; pass a "
            "number as penalty, or see tuned_",
            ConvergenceWarning,
            stacklevel=4,
        )
    return jax.tree.map(jnp.asarray, estimator.tuned_.penalty)


def _least_norm(inputs, targets, basis, inside: float) -> np.ndarray:
    """The limit of small outside penalties where rows are few: the least outside weights that fit.

    The penalty inside becomes rows of its own, so that both are least squares.
    """
    n, d = inputs.shape
    if basis is None:
        return np.linalg.lstsq(inputs, targets)[0]
    basis = np.asarray(basis)
    within = inputs @ basis
    if np.isinf(inside):
        return np.linalg.lstsq(inputs - within @ basis.T, targets)[0]
    rank = within.shape[1]
    columns = targets.reshape(n, -1)
    rows = np.concatenate([within, np.sqrt(n * inside) * np.eye(rank)])
    outside = np.concatenate([inputs - within @ basis.T, np.zeros((rank, d))])
    filled = np.concatenate([columns, np.zeros((rank, columns.shape[1]))])
    frame = np.linalg.qr(rows)[0]
    rest = [array - frame @ (frame.T @ array) for array in (outside, filled)]
    rounding = max(n, d) * np.finfo(float).eps
    beyond = np.linalg.lstsq(*rest, rcond=10 * rounding)[0]
    inner = np.linalg.lstsq(rows, filled - outside @ beyond)[0]
    return (beyond + basis @ inner).reshape(d, *targets.shape[1:])


def plain(penalty: Any) -> Any:
    """A penalty as a number of Python, or those of the targets as an array of NumPy."""
    return np.asarray(penalty) if np.ndim(penalty) else float(penalty)
