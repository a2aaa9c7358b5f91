"""Estimators for scikit-learn: fit, predict, score, cross-validation and pipelines.

Needs the extra: `pip install 'jaxbrain[sklearn]'`. Arithmetic is in double precision, whatever JAX
is set to.
"""

from __future__ import annotations

import functools
import numbers
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._checks import as_floats, as_integer
from ._threads import one_blas_thread
from .estimators import befs, encode, ridge, task_only
from .estimators.task import weights_of_each_target
from .pilot import encoding_rank
from .theory import Penalties
from .tuning import (
    GeneralizedCrossValidation,
    HeldOut,
    KFold,
    LeaveOneOut,
    PenaltyObjective,
    tune_penalty,
)

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_array,
        check_consistent_length,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ImportError as missing:
    raise ImportError(
        "jaxbrain.sklearn needs scikit-learn: pip install 'jaxbrain[sklearn]'"
    ) from missing


def _in_double_precision(method: Callable) -> Callable:
    """Fit in double precision, with one BLAS thread; what is kept is arrays of NumPy."""

    @functools.wraps(method)
    def wrapped(self, *arguments, **options):
        with one_blas_thread(), jax.enable_x64(True):
            return method(self, *arguments, **options)

    return wrapped


class _Rows(NamedTuple):
    """Rows to learn from: centred, and times the root of their weights."""

    inputs: np.ndarray
    targets: np.ndarray
    input_mean: np.ndarray
    target_mean: np.ndarray
    mean_weight: float
    kept: np.ndarray


def _refuse_masks(**arrays: Any) -> None:
    """scikit-learn would take what is masked for data."""
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray):
            as_floats(**{name: array})


class _LinearRegressor(RegressorMixin, BaseEstimator):
    """What the estimators have in common: centring, prediction, shapes."""

    fit_intercept: bool
    coef_: np.ndarray
    intercept_: Any

    def predict(self, X):
        """Predicted targets, of the shape of those learned from; `X` has shape (m, d)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_.T + self.intercept_

    def _validated(self, X, y):
        _refuse_masks(X=X, y=y)
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        return X, np.asarray(y, np.float64)

    def _weighted(self, X, y, sample_weight) -> _Rows:
        """Centred rows, times the root of their weight; those of weight 0 are left out."""
        if sample_weight is None:
            counts = np.ones(len(X))
        else:
            _refuse_masks(sample_weight=sample_weight)
            counts = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            if not counts.any():
                raise ValueError("sample_weight is all 0: nothing is left to learn from")
        kept = counts > 0
        X, y, counts = X[kept], y[kept], counts[kept]
        shifts = [
            np.average(a, axis=0, weights=counts) if self.fit_intercept else 0 * a[0]
            for a in (X, y)
        ]
        root = np.sqrt(counts)
        return _Rows(
            (X - shifts[0]) * root[:, None],
            ((y - shifts[1]).T * root).T,
            shifts[0],
            shifts[1],
            counts.sum() / len(counts),
            kept,
        )

    def _learn(self, rows: _Rows, solve: Callable[[np.ndarray, np.ndarray], Any]):
        """Set coefficients and intercept from weights of centred rows."""
        shifts = rows.input_mean, rows.target_mean
        weights = np.asarray(solve(rows.inputs, rows.targets))
        self.coef_ = weights.T
        self.intercept_ = shifts[1] - shifts[0] @ weights
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class TaskOnly(_LinearRegressor):
    """Learn a task from labels alone by ordinary least squares, as `task_only` does.

    `fit` takes `X` of shape (n, d), n > d, and `y` of shape (n,) or (n, t).

    >>> import numpy as np
    >>> from jaxbrain.sklearn import TaskOnly
    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> fitted = TaskOnly().fit(X, X @ [1.0, 2.0, 3.0] + 4)
    >>> fitted.coef_.round(6).tolist(), round(float(fitted.intercept_), 6)
    ([1.0, 2.0, 3.0], 4.0)

    **Arguments**

    - `fit_intercept`: learn a mean too.

    **Fields**

    - `coef_`: weights, shape (d,) or (t, d), after `fit`.
    - `intercept_`: a number, or one for each target, after `fit`.

    **Raises**

    `ValueError` from `fit` where the rows leave weights undetermined.

    **Source**

    Ordinary least squares.
    """

    def __init__(self, *, fit_intercept: bool = True):
        """Keep the arguments."""
        self.fit_intercept = fit_intercept

    @_in_double_precision
    def fit(self, X, y, sample_weight=None):
        """Learn the weights of all targets; a row of weight 2 counts as two rows."""
        X, y = self._validated(X, y)
        rows = self._weighted(X, y, sample_weight)
        # Inputs may have units of their own.
        lengths = np.linalg.norm(rows.inputs, axis=0)
        # What centring leaves of a constant input is rounding, and no input.
        varies = lengths > len(X) ** 1.5 * np.finfo(float).eps * np.max(np.abs(X), axis=0)
        alike = np.where(varies, rows.inputs / np.where(varies, lengths, 1.0), 0.0)
        if np.linalg.matrix_rank(alike) < alike.shape[1]:
            raise ValueError(
                f"{len(alike)} samples do not determine {alike.shape[1]} weights: pass more rows, "
                "drop inputs that depend on others, or use RidgeBaseline"
            )
        return self._learn(rows, solve=task_only)


class RidgeBaseline(_LinearRegressor):
    """Learn a task from labels alone by ridge regression: what recordings have to beat.

    `fit` takes `X` of shape (n, d), and `y` of shape (n,) or (n, t).

    >>> import numpy as np
    >>> from jaxbrain.sklearn import RidgeBaseline
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((50, 30))
    >>> y = X[:, 0] + rng.standard_normal(50)
    >>> RidgeBaseline().fit(X, y).penalty_ > RidgeBaseline(penalty=1e-3).fit(X, y).penalty_
    True

    **Arguments**

    - `penalty`: a sample, at least 0, in units of the variance of inputs. `"auto"` tunes it on the
      rows.
    - `criterion`: what is tuned for: `"leave_one_out"`, `"gcv"`, or a number of folds. Where you
      give `fit` the `groups` of rows, folds are of whole groups: as many as you say, or five.
    - `per_target`: a tuned penalty for each target instead of one for all.
    - `fit_intercept`: learn a mean too.

    **Fields**

    - `coef_`, `intercept_`: as in `TaskOnly`.
    - `penalty_`: the penalty used.
    - `tuned_`: a `TunedPenalty`, where it was tuned.

    **Raises**

    `ValueError` from `fit` that names the argument: penalties, folds or arrays that cannot be.

    **Source**

    Hoerl and Kennard (1970); for the criteria see `LeaveOneOut`, `GeneralizedCrossValidation`,
    `KFold`.
    """

    def __init__(
        self,
        *,
        penalty: float | str = "auto",
        criterion: str | int = "leave_one_out",
        per_target: bool = False,
        fit_intercept: bool = True,
    ):
        """Keep the arguments."""
        self.penalty = penalty
        self.criterion = criterion
        self.per_target = per_target
        self.fit_intercept = fit_intercept

    @_in_double_precision
    def fit(self, X, y, sample_weight=None, groups=None):
        """Choose the penalty, and learn the weights of all targets.

        A row of weight 2 counts as two rows. Rows of one group are left out together.
        """
        X, y = self._validated(X, y)
        rows = self._weighted(X, y, sample_weight)
        options = {"per_target": self.per_target}
        penalty = _tuned(self, X, y, None, options, rows, sample_weight is not None, groups)
        self.penalty_ = _plain(penalty)
        return self._learn(rows, _solver(None, penalty, 0.0, rows, self.penalty == "auto"))


class BEFS(_LinearRegressor):
    """Learn a task with the help of a subspace learned from recordings: `encode`, then `befs`.

    `fit` takes `recordings`, shape (m, p), and the inputs that they were recorded with,
    `recorded_inputs` of shape (m, d), by default `X`. Both may be passed through `cross_val_score`
    with `params=`: arrays as long as `X` are split with it, others are passed whole. With neither
    recordings nor a basis nothing is known of any brain. `fit` then warns, and is ridge regression.

    >>> import jax, numpy as np, jaxbrain as jb
    >>> from jaxbrain.sklearn import BEFS, RidgeBaseline
    >>> model = jb.presets.small(task_snr=0.2)
    >>> seen, recordings = map(np.asarray, model.sample_brain(jax.random.key(0), 2_000))
    >>> X, y = map(np.asarray, model.sample_task(jax.random.key(1), 100))
    >>> new, truth = map(np.asarray, model.sample_task(jax.random.key(2), 5_000))
    >>> with_brain = BEFS(rank=6).fit(X, y, recordings=recordings, recorded_inputs=seen)
    >>> without = RidgeBaseline().fit(X, y)
    >>> bool(with_brain.score(new, truth) > without.score(new, truth))
    True

    **Arguments**

    - `rank`: dimension of the subspace. `None` chooses it by how well recordings of unseen rows are
      predicted.
    - `basis`: a subspace known beforehand, shape (d, k). `fit` then needs no recordings.
    - `penalty`: outside of the subspace, as in `RidgeBaseline`.
    - `inside_penalty`: inside of the subspace, by default 0. `"auto"` tunes both, and then needs
      `penalty="auto"` too.
    - `criterion`, `per_target`, `fit_intercept`: as in `RidgeBaseline`.
    - `encoding_ridge`: penalty a sample of the first stage. Needed where recorded rows are fewer
      than inputs.

    **Fields**

    - `coef_`, `intercept_`, `penalty_`, `tuned_`: as in `RidgeBaseline`.
    - `basis_`, `rank_`: the subspace, and its dimension.
    - `inside_penalty_`: the penalty used inside of the subspace.

    **Raises**

    `ValueError` from `fit` that names the argument: penalties, a rank or arrays that cannot be, a
    basis beside recordings.

    **Source**

    Lewis et al., arXiv:2605.09243; the inside penalty is ours.
    """

    def __init__(
        self,
        *,
        rank: int | None = None,
        basis: Any = None,
        penalty: float | str = "auto",
        inside_penalty: float | str = 0.0,
        criterion: str | int = "leave_one_out",
        per_target: bool = False,
        fit_intercept: bool = True,
        encoding_ridge: float = 0.0,
    ):
        """Keep the arguments."""
        self.rank = rank
        self.basis = basis
        self.penalty = penalty
        self.inside_penalty = inside_penalty
        self.criterion = criterion
        self.per_target = per_target
        self.fit_intercept = fit_intercept
        self.encoding_ridge = encoding_ridge

    @_in_double_precision
    def fit(self, X, y, recordings=None, recorded_inputs=None, sample_weight=None, groups=None):
        """Learn the subspace, choose the penalties, and learn the weights of all targets.

        A row of weight 2 counts as two labels; recordings have no weights. Rows of one group are
        left out together where penalties are tuned.
        """
        X, y = self._validated(X, y)
        rows = self._weighted(X, y, sample_weight)
        basis = self._subspace(X, recordings, recorded_inputs)
        self.basis_ = None if basis is None else np.asarray(basis)
        self.rank_ = 0 if basis is None else int(basis.shape[1])
        options: dict[str, Any] = {"per_target": self.per_target}
        inside: Any = self.inside_penalty
        if inside != "auto" and (isinstance(inside, bool) or not isinstance(inside, numbers.Real)):
            raise ValueError(f"inside_penalty must be 'auto' or one number, but it is {inside!r}")
        if inside == "auto":
            if self.penalty != "auto":
                raise ValueError("inside_penalty='auto' tunes both penalties: pass penalty='auto'")
            if basis is not None:
                options["both_penalties"] = True
            inside = 0.0
        elif basis is not None:
            options["inside_penalty"] = inside
        penalty = _tuned(self, X, y, basis, options, rows, sample_weight is not None, groups)
        if isinstance(penalty, Penalties):
            penalty, inside = penalty
        inside = float(inside)
        self.penalty_, self.inside_penalty_ = _plain(penalty), inside
        return self._learn(rows, _solver(basis, penalty, inside, rows, self.penalty == "auto"))

    def _subspace(self, X, recordings, recorded_inputs):
        if recordings is None:
            if recorded_inputs is not None:
                raise ValueError("recorded_inputs are given, but no recordings")
            if self.basis is None:
                warnings.warn(
                    "neither recordings nor a basis is given: without a subspace BEFS is ridge "
                    "regression",
                    UserWarning,
                    stacklevel=4,
                )
                return None
            basis = check_array(self.basis, dtype="float64")
            if len(basis) != X.shape[1]:
                raise ValueError(f"basis has {len(basis)} rows, but there are {X.shape[1]} inputs")
            if self.rank not in (None, basis.shape[1]):
                raise ValueError(
                    f"rank is {self.rank}, but the basis has {basis.shape[1]} columns: pass one of "
                    "the two"
                )
            if np.linalg.matrix_rank(basis) < basis.shape[1]:
                raise ValueError("basis has columns that depend on each other: leave them out")
            return jnp.linalg.qr(jnp.asarray(basis))[0]
        if self.basis is not None:
            raise ValueError("both a basis and recordings are given: pass one of the two")
        _refuse_masks(recordings=recordings, recorded_inputs=recorded_inputs)
        recordings = check_array(recordings, dtype="float64")
        seen = X if recorded_inputs is None else check_array(recorded_inputs, dtype="float64")
        if seen.shape[1] != X.shape[1] or len(seen) != len(recordings):
            raise ValueError(
                f"recordings of shape {recordings.shape} do not belong to inputs of shape "
                f"{seen.shape}: one row each, and {X.shape[1]} inputs as in X"
            )
        if self.fit_intercept:
            seen, recordings = seen - seen.mean(0), recordings - recordings.mean(0)
        rank = self.rank
        if rank is None:
            rank = encoding_rank(seen, recordings, self.encoding_ridge)
        return encode(seen, recordings, rank, self.encoding_ridge)


class _GroupFolds(PenaltyObjective):
    """The error of predicting whole groups from the others, in folds of groups."""

    parts: tuple[HeldOut, ...]
    shares: tuple[Any, ...]
    per_target: bool = eqx.field(static=True)

    def __call__(self, penalty: Any) -> Any:
        errors = [part(penalty) for part in self.parts]
        return sum(x * share for x, share in zip(errors, self.shares, strict=True))

    def natural_penalty(self) -> Any:
        return self.parts[0].natural_penalty()

    def split_targets(self) -> tuple[Any, Any]:
        parts, axes = zip(*(part.split_targets() for part in self.parts), strict=True)
        none = tuple(None for _ in self.shares)
        return (
            eqx.tree_at(lambda objective: objective.parts, self, parts),
            _GroupFolds(parts=axes, shares=none, per_target=self.per_target),
        )


def _group_folds(X, y, basis, groups, folds: int, options: dict[str, Any]) -> _GroupFolds:
    """Folds of whole groups, the largest groups first into the smallest fold."""
    names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError("groups must name two groups or more: one is left out at a time")
    folds = min(folds, len(names))
    fold_of_group, filled = np.zeros(len(names), int), np.zeros(folds, int)
    for group in np.argsort(-sizes, kind="stable"):
        fold_of_group[group] = np.argmin(filled)
        filled[fold_of_group[group]] += sizes[group]
    fold = fold_of_group[member]
    parts = tuple(
        HeldOut(X[fold != i], y[fold != i], X[fold == i], y[fold == i], basis, **options)
        for i in range(folds)
    )
    shares = tuple((filled / len(X)).tolist())
    return _GroupFolds(parts=parts, shares=shares, per_target=options["per_target"])


def _solver(basis, penalty, inside: float, rows: _Rows, is_tuned: bool) -> Callable:
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


def _tuned(
    estimator,
    X,
    y,
    basis,
    options: dict[str, Any],
    rows: _Rows,
    is_weighted: bool,
    groups,
):
    """The penalty given, or the one tuned on the rows."""
    given = estimator.penalty
    if not isinstance(given, str):
        if isinstance(given, bool) or not isinstance(given, numbers.Real):
            raise ValueError(f"penalty must be 'auto' or one number, but it is {given!r}")
        return float(given)
    if given != "auto":
        raise ValueError(f"penalty must be 'auto' or one number, but it is {given!r}")
    if np.ndim(y) == 1:
        options = options | {"per_target": False}
    criterion = estimator.criterion
    options["intercept"] = estimator.fit_intercept
    if is_weighted:
        # Rows times the root of their weight have errors that count by it; their mean is known.
        X, y, options["intercept"] = rows.inputs, rows.targets, False
        if "inside_penalty" in options:
            options["inside_penalty"] = rows.mean_weight * options["inside_penalty"]
    is_number = isinstance(criterion, numbers.Real) and not isinstance(criterion, bool)
    folds = as_integer("criterion", criterion, 2) if is_number else 5
    if groups is not None:
        groups = column_or_1d(groups)
        check_consistent_length(rows.kept, groups)
        if criterion == "gcv":
            raise ValueError("criterion 'gcv' knows no groups: pass a number of folds")
    if criterion not in ("leave_one_out", "gcv") and not is_number:
        raise ValueError(
            "criterion must be 'leave_one_out', 'gcv' or a number of folds, but it is "
            f"{criterion!r}"
        )
    if groups is not None:
        groups = groups[rows.kept] if is_weighted else groups
        objective = _group_folds(X, y, basis, groups, folds, options)
    elif criterion == "leave_one_out":
        objective = LeaveOneOut(X, y, basis, **options)
    elif criterion == "gcv":
        objective = GeneralizedCrossValidation(X, y, basis, **options)
    else:
        objective = KFold(X, y, basis, folds=folds, **options)
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
    weight = rows.mean_weight if is_weighted else 1.0
    return jax.tree.map(lambda x: jnp.asarray(x) / weight, estimator.tuned_.penalty)


def _least_norm(inputs, targets, basis, inside: float) -> np.ndarray:
    """The limit of small outside penalties where rows are few: the least outside weights that fit.

    The penalty inside becomes rows of its own, so that both are least squares.
    """
    n, d = inputs.shape
    if basis is None:
        return np.linalg.lstsq(inputs, targets)[0]
    basis = np.asarray(basis)
    within = inputs @ basis
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


def _plain(penalty: Any) -> Any:
    return np.asarray(penalty) if np.ndim(penalty) else float(penalty)
