"""Estimators that know nothing of recordings."""

from __future__ import annotations

import numpy as np

from ..estimators import task_only
from ._linear import LinearRegressor, in_double_precision
from ._penalties import plain, solver, tuned


class TaskOnly(LinearRegressor):
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

    @in_double_precision
    def fit(self, X, y, sample_weight=None):
        """Learn the weights of all targets; a row of weight 2 counts as two rows."""
        rows = self._rows(X, y, sample_weight)
        centred, largest = rows.centred()[0], np.max(np.abs(rows.inputs), axis=0)
        # Inputs may have units of their own.
        lengths = np.linalg.norm(centred, axis=0)
        # What centring leaves of a constant input is rounding, and no input.
        # Only ratios of weights count.
        unit = len(centred) ** 1.5 * np.finfo(float).eps * np.sqrt(rows.mean_weight)
        varies = lengths > unit * largest
        alike = np.where(varies, centred / np.where(varies, lengths, 1.0), 0.0)
        if np.linalg.matrix_rank(alike) < alike.shape[1]:
            raise ValueError(
                f"{len(alike)} samples do not determine {alike.shape[1]} weights: pass more rows, "
                "drop inputs that depend on others, or use RidgeBaseline"
            )
        return self._learn(rows, solve=task_only)


class RidgeBaseline(LinearRegressor):
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

    @in_double_precision
    def fit(self, X, y, sample_weight=None, groups=None):
        """Choose the penalty, and learn the weights of all targets.

        A row of weight 2 counts as two rows, which are left out together where the penalty is
        tuned. So are rows of one group.
        """
        rows = self._rows(X, y, sample_weight, groups)
        penalty = tuned(self, rows, None, {"per_target": self.per_target})
        self.penalty_ = plain(penalty)
        return self._learn(rows, solver(None, penalty, 0.0, rows, self.penalty == "auto"))
