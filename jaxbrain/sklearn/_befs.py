"""BEFS: the subspace that recordings teach, and the task."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn.utils.validation import check_array

from .._typing import Whole
from ..estimators import encode
from ..pilot import encoding_rank
from ..theory import Penalties
from ._linear import LinearRegressor, checked_groups, in_double_precision, refuse_masks
from ._penalties import plain, solver, tuned


class BEFS(LinearRegressor):
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
      predicted, or of unseen groups.
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
        rank: Whole | None = None,
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

    @in_double_precision
    def fit(
        self,
        X,
        y,
        recordings=None,
        recorded_inputs=None,
        sample_weight=None,
        groups=None,
        recorded_groups=None,
    ):
        """Learn the subspace, choose the penalties, and learn the weights of all targets.

        A row of weight 2 counts as two labels, which are left out together where penalties are
        tuned; recordings have no weights. Rows of one group are left out together, too, and where
        the rank is chosen. Recordings with inputs of their own have groups of their own,
        `recorded_groups`.
        """
        rows = self._rows(X, y, sample_weight, groups)
        if recorded_groups is None and recorded_inputs is None:
            recorded_groups = groups
        basis = self._subspace(X, recordings, recorded_inputs, recorded_groups)
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
        penalty = tuned(self, rows, basis, options)
        if isinstance(penalty, Penalties):
            penalty, inside = penalty
        inside = float(inside)
        self.penalty_, self.inside_penalty_ = plain(penalty), inside
        return self._learn(rows, solver(basis, penalty, inside, rows, self.penalty == "auto"))

    def _subspace(self, X, recordings, recorded_inputs, groups):
        inputs = self.n_features_in_
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
            if len(basis) != inputs:
                raise ValueError(f"basis has {len(basis)} rows, but there are {inputs} inputs")
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
        refuse_masks(recordings=recordings, recorded_inputs=recorded_inputs)
        recordings = check_array(recordings, dtype="float64")
        seen = check_array(X if recorded_inputs is None else recorded_inputs, dtype="float64")
        if seen.shape[1] != inputs or len(seen) != len(recordings):
            raise ValueError(
                f"recordings of shape {recordings.shape} do not belong to inputs of shape "
                f"{seen.shape}: one row each, and {inputs} inputs as in X"
            )
        if self.fit_intercept:
            seen, recordings = seen - seen.mean(0), recordings - recordings.mean(0)
        rank = self.rank
        if rank is None:
            groups = None if groups is None else checked_groups(groups, seen)
            rank = encoding_rank(seen, recordings, self.encoding_ridge, groups)
        return encode(seen, recordings, rank, self.encoding_ridge)
