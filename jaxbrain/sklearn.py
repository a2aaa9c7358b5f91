"""Estimators for scikit-learn: fit, predict, score, cross-validation and pipelines.

Needs the extra: `pip install 'jaxbrain[sklearn]'`. Arithmetic is in double precision, whatever JAX
is set to.
"""

from __future__ import annotations

import functools
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._threads import one_blas_thread
from .estimators import befs, encode, ridge, task_only
from .pilot import encoding_rank
from .theory import Penalties
from .tuning import GeneralizedCrossValidation, KFold, LeaveOneOut, tune_penalty

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.validation import check_array, check_is_fitted, validate_data
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
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        return X, np.asarray(y, np.float64)

    def _learn(self, X, y, solve: Callable[[np.ndarray, np.ndarray], Any]):
        """Set coefficients and intercept from weights of centred rows."""
        shifts = [a.mean(0) if self.fit_intercept else 0 * a.mean(0) for a in (X, y)]
        weights = np.asarray(solve(X - shifts[0], y - shifts[1]))
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
    def fit(self, X, y):
        """Learn the weights of all targets."""
        X, y = self._validated(X, y)
        inputs = np.asarray(X)
        centred = inputs - inputs.mean(0) if self.fit_intercept else inputs
        if np.linalg.matrix_rank(centred) < centred.shape[1]:
            raise ValueError(
                f"{len(X)} samples do not determine {centred.shape[1]} weights: pass more rows, "
                "drop inputs that depend on others, or use RidgeBaseline"
            )
        return self._learn(X, y, solve=task_only)


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
    - `criterion`: what is tuned for: `"leave_one_out"`, `"gcv"`, or a number of folds.
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
    def fit(self, X, y):
        """Choose the penalty, and learn the weights of all targets."""
        X, y = self._validated(X, y)
        penalty = _tuned(self, X, y, None, {"per_target": self.per_target})
        self.penalty_ = _plain(penalty)

        def solve(inputs, targets):
            if np.ndim(penalty):
                one = jax.vmap(lambda y, p: ridge(inputs, y, p), (1, 0), 1)
                return one(jnp.asarray(targets), penalty)
            if penalty == 0 and len(inputs) <= inputs.shape[1]:
                return _least_norm(inputs, targets, None, 0.0)
            return ridge(inputs, targets, penalty)

        return self._learn(X, y, solve)


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
    def fit(self, X, y, recordings=None, recorded_inputs=None):
        """Learn the subspace, choose the penalties, and learn the weights of all targets."""
        X, y = self._validated(X, y)
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
        penalty = _tuned(self, X, y, basis, options)
        if isinstance(penalty, Penalties):
            penalty, inside = penalty
        inside = float(inside)
        self.penalty_, self.inside_penalty_ = _plain(penalty), inside

        def solve(inputs, targets):
            def one(targets, penalty):
                if basis is None:
                    return ridge(inputs, targets, penalty)
                return befs(inputs, targets, basis, penalty, inside)

            if np.ndim(penalty):
                return jax.vmap(one, (1, 0), 1)(jnp.asarray(targets), penalty)
            if penalty == 0 and len(inputs) <= inputs.shape[1]:
                return _least_norm(inputs, targets, basis, inside)
            return one(targets, penalty)

        return self._learn(X, y, solve)

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


def _tuned(estimator, X, y, basis, options: dict[str, Any]):
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
    if criterion == "leave_one_out":
        objective = LeaveOneOut(X, y, basis, **options)
    elif criterion == "gcv":
        objective = GeneralizedCrossValidation(X, y, basis, **options)
    elif isinstance(criterion, int | np.integer) and not isinstance(criterion, bool):
        objective = KFold(X, y, basis, folds=int(criterion), **options)
    else:
        raise ValueError(
            "criterion must be 'leave_one_out', 'gcv' or a number of folds, but it is "
            f"{criterion!r}"
        )
    estimator.tuned_ = jax.tree.map(np.asarray, tune_penalty(objective))
    if not np.all(np.isfinite(estimator.tuned_.value)):
        raise ValueError(
            f"n_samples={len(X)} are too few to choose a penalty by {criterion!r}: pass a number "
            "as penalty"
        )
    if not np.all(estimator.tuned_.converged):
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
