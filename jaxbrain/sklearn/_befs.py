"""Estimators that learn from recordings: BEFS, and banded ridge, which needs no rank."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn.utils.validation import check_array

from .._typing import Whole
from ..estimators import Encoder, banded_ridge, encode, fit_encoder
from ..pilot import encoding_rank
from ..theory import Penalties
from ._linear import LinearRegressor, checked_groups, in_double_precision, refuse_masks
from ._penalties import plain, solver, tuned


class _WithRecordings(LinearRegressor):
    """What the first stages have in common: recordings, their inputs, and the ridge."""

    encoding_ridge: float | str
    encoding_ridge_: float

    def _warn_of_none(self) -> None:
        name = type(self).__name__
        warnings.warn(
            f"neither recordings nor {'a basis' if name == 'BEFS' else 'an encoder'} is given: "
            f"without them {name} is ridge regression",
            UserWarning,
            stacklevel=5,
        )

    def _recorded(self, X, recordings, recorded_inputs, groups):
        """Checked inputs, recordings and groups of the first stage; None where there are none."""
        if recordings is None:
            if recorded_inputs is not None:
                raise ValueError("recorded_inputs are given, but no recordings")
            return None
        refuse_masks(recordings=recordings, recorded_inputs=recorded_inputs)
        recordings = check_array(recordings, dtype="float64")
        seen = check_array(X if recorded_inputs is None else recorded_inputs, dtype="float64")
        inputs = self.n_features_in_
        if len(seen) != len(recordings) or seen.shape[1] != inputs:
            said = (
                f"recordings of shape {recordings.shape} do not belong to inputs of shape "
                f"{seen.shape}: one row each, and {inputs} inputs as in X"
            )
            if seen.shape[1] != inputs and recorded_inputs is not None:
                said += (
                    ". Behind other steps of a pipeline, pass "
                    "Pipeline(..., transform_input=['recorded_inputs'])"
                )
            raise ValueError(said)
        if self.fit_intercept:
            seen, recordings = seen - seen.mean(0), recordings - recordings.mean(0)
        return seen, recordings, None if groups is None else checked_groups(groups, seen)

    def _given_ridge(self) -> float | None:
        """The ridge of the first stage, or None where it is chosen on the recorded rows."""
        given = self.encoding_ridge
        if isinstance(given, str) and given == "auto":
            return None
        if isinstance(given, bool) or not isinstance(given, numbers.Real):
            raise ValueError(f"encoding_ridge must be 'auto' or one number, but it is {given!r}")
        return float(given)

    def _encoder(self, seen, recordings, groups) -> Encoder:
        """Weights and penalty of the first stage."""
        given = self._given_ridge()
        if given is not None:
            return fit_encoder(seen, recordings, given)
        if groups is None:
            return fit_encoder(seen, recordings)
        return fit_encoder(seen, recordings, "k_fold", groups=groups)


class BEFS(_WithRecordings):
    """Learn a task with the help of a subspace learned from recordings: `encode`, then `befs`.

    `fit` takes `recordings`, shape (m, p), and the inputs that they were recorded with,
    `recorded_inputs` of shape (m, d), by default `X`. Both may be passed through `cross_val_score`
    with `params=`: arrays as long as `X` are split with it, others are passed whole. With neither
    recordings nor a basis nothing is known of any brain. `fit` then warns, and is ridge regression.
    Recorded rows may be fewer than inputs.

    Behind other steps of a pipeline the inputs of the recordings need the same steps. Tell it:
    `Pipeline(steps, transform_input=["recorded_inputs"])`, with
    `sklearn.set_config(enable_metadata_routing=True)` and `BEFS().set_fit_request(recordings=True,
    recorded_inputs=True)`.

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
    - `inside_penalty`: inside of the subspace. `"auto"` tunes it too where the other is tuned for
      all targets together, and is 0 elsewhere.
    - `criterion`, `per_target`, `fit_intercept`: as in `RidgeBaseline`.
    - `encoding_ridge`: penalty a sample of the first stage. `"auto"` chooses it as `fit_encoder`
      does, by leaving out recorded rows, or groups of them. 0 needs as many rows as inputs.

    **Fields**

    - `coef_`, `intercept_`, `penalty_`, `tuned_`: as in `RidgeBaseline`.
    - `basis_`, `rank_`: the subspace, and its dimension.
    - `inside_penalty_`: the penalty used inside of the subspace.
    - `encoding_ridge_`: that of the first stage, where there are recordings.

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
        inside_penalty: float | str = "auto",
        criterion: str | int = "leave_one_out",
        per_target: bool = False,
        fit_intercept: bool = True,
        encoding_ridge: float | str = "auto",
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
            if basis is not None and self.penalty == "auto" and not self.per_target:
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
        recorded = self._recorded(X, recordings, recorded_inputs, groups)
        if recorded is None and self.basis is None:
            self._warn_of_none()
            return None
        if recorded is None:
            return self._checked_basis()
        if self.basis is not None:
            raise ValueError("both a basis and recordings are given: pass one of the two")
        seen, recordings, groups = recorded
        ridge = self._given_ridge()
        if ridge is None:
            ridge = float(self._encoder(seen, recordings, groups).penalty)
        self.encoding_ridge_ = ridge
        rank = self.rank
        if rank is None:
            rank = encoding_rank(seen, recordings, ridge, groups)
        return encode(seen, recordings, rank, ridge)

    def _checked_basis(self):
        basis = check_array(self.basis, dtype="float64")
        if len(basis) != self.n_features_in_:
            raise ValueError(
                f"basis has {len(basis)} rows, but there are {self.n_features_in_} inputs"
            )
        if self.rank not in (None, basis.shape[1]):
            raise ValueError(
                f"rank is {self.rank}, but the basis has {basis.shape[1]} columns: pass one of "
                "the two"
            )
        if np.linalg.matrix_rank(basis) < basis.shape[1]:
            raise ValueError("basis has columns that depend on each other: leave them out")
        return jnp.linalg.qr(jnp.asarray(basis))[0]


class BandedRidge(_WithRecordings):
    """Learn a task with the help of recordings, without a rank: `fit_encoder`, `banded_ridge`.

    `fit` takes `recordings` and `recorded_inputs` as `BEFS` does, in pipelines too.

    >>> import jax, numpy as np, jaxbrain as jb
    >>> from jaxbrain.sklearn import BandedRidge, RidgeBaseline
    >>> model = jb.presets.small(task_snr=0.2)
    >>> seen, recordings = map(np.asarray, model.sample_brain(jax.random.key(0), 2_000))
    >>> X, y = map(np.asarray, model.sample_task(jax.random.key(1), 100))
    >>> new, truth = map(np.asarray, model.sample_task(jax.random.key(2), 5_000))
    >>> with_brain = BandedRidge().fit(X, y, recordings=recordings, recorded_inputs=seen)
    >>> without = RidgeBaseline().fit(X, y)
    >>> bool(with_brain.score(new, truth) > without.score(new, truth))
    True

    **Arguments**

    - `encoder`: known beforehand, shape (d, p): weights that predict p channels. `fit` then needs
      no recordings.
    - `penalty`, `encoder_penalty`: as in `banded_ridge`. `"auto"` tunes both, for all targets
      together; otherwise pass both.
    - `criterion`, `fit_intercept`: as in `RidgeBaseline`.
    - `encoding_ridge`: as in `BEFS`.

    **Fields**

    - `coef_`, `intercept_`, `penalty_`, `tuned_`: as in `RidgeBaseline`.
    - `encoder_`: shape (d, p), or None without recordings.
    - `encoder_penalty_`: the penalty used of what predicted recordings contribute.
    - `encoding_ridge_`: that of the first stage, where there are recordings.

    **Raises**

    `ValueError` from `fit` that names the argument: penalties or arrays that cannot be, an encoder
    beside recordings.

    **Source**

    As `banded_ridge`.
    """

    def __init__(
        self,
        *,
        encoder: Any = None,
        penalty: float | str = "auto",
        encoder_penalty: float | str = "auto",
        criterion: str | int = "leave_one_out",
        fit_intercept: bool = True,
        encoding_ridge: float | str = "auto",
    ):
        """Keep the arguments."""
        self.encoder = encoder
        self.penalty = penalty
        self.encoder_penalty = encoder_penalty
        self.criterion = criterion
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
        """Learn the encoder, choose the penalties, and learn the weights of all targets.

        Weights and groups of rows are as in `BEFS`.
        """
        rows = self._rows(X, y, sample_weight, groups)
        if recorded_groups is None and recorded_inputs is None:
            recorded_groups = groups
        own = self.encoder_penalty
        is_number = isinstance(own, numbers.Real) and not isinstance(own, bool)
        if own != "auto" and not is_number:
            raise ValueError(f"encoder_penalty must be 'auto' or one number, but it is {own!r}")
        if (own == "auto") != (self.penalty == "auto"):
            raise ValueError("penalty and encoder_penalty: 'auto' tunes both: pass it for both")
        encoder = self._learned_encoder(X, recordings, recorded_inputs, recorded_groups)
        self.encoder_ = encoder
        if encoder is None:
            penalty = tuned(self, rows, None, {})
            self.penalty_, self.encoder_penalty_ = plain(penalty), float("inf")
            return self._learn(rows, solver(None, penalty, 0.0, rows, self.penalty == "auto"))
        penalty = tuned(self, rows, None, {"encoder": encoder, "both_penalties": True})
        if isinstance(penalty, Penalties):
            # Of few rows no penalty at all has a limit that no factor can be computed for.
            least = np.finfo(float).eps ** (2 / 3) * np.mean(np.var(rows.inputs, axis=0))
            penalty, own = (max(float(number), least) for number in penalty)
        self.penalty_, self.encoder_penalty_ = float(penalty), float(own)
        # A penalty is one a unit of weight, and rows count as one each.
        penalties = [rows.mean_weight * x for x in (self.penalty_, self.encoder_penalty_)]
        return self._learn(rows, lambda x, y: banded_ridge(x, y, encoder, *penalties))

    def _learned_encoder(self, X, recordings, recorded_inputs, groups) -> np.ndarray | None:
        recorded = self._recorded(X, recordings, recorded_inputs, groups)
        if recorded is None and self.encoder is None:
            self._warn_of_none()
            return None
        if recorded is None:
            return check_array(self.encoder, dtype="float64")
        if self.encoder is not None:
            raise ValueError("both an encoder and recordings are given: pass one of the two")
        found = self._encoder(*recorded)
        self.encoding_ridge_ = float(found.penalty)
        return np.asarray(found.weights)
