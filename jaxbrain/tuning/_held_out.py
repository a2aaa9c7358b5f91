"""Objectives from data: what a penalty makes of rows that were not learned from."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import (
    as_float_like,
    as_floats,
    as_integer,
    check_finite,
    check_integer,
    check_key,
    check_positive,
    check_shape,
    is_concrete,
)
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real, Whole
from ..estimators.banded import with_predicted_recordings
from ..estimators.folds import Split, fold_of_groups, fold_of_rows, splits_of
from ..estimators.task import checked_arrays
from ..theory import Penalties
from ._regressions import OnLearnedRows, Regression, TwoPenaltiesOfFewRows, prepare
from .penalty import PenaltyObjective


class _OnData(PenaltyObjective):
    """What the objectives on data have in common: checked arrays, and one regression or several."""

    regression: Regression
    spread: Float[Array, " t"]
    counts: Float[Array, "*s m"]
    scale: Float[Array, ""]
    determined: Array
    both_penalties: bool = eqx.field(static=True)
    per_target: bool = eqx.field(static=True)

    def __init__(
        self,
        inputs: AnyArray,
        targets: AnyArray,
        basis: AnyArray | None = None,
        *,
        encoder: AnyArray | None = None,
        both_penalties: bool = False,
        inside_penalty: Real = 0.0,
        intercept: bool = True,
        per_target: bool = False,
        sample_weight: AnyArray | None = None,
        splits: Split | None = None,
    ):
        if encoder is None:
            inputs, targets, *subspace = checked_arrays(inputs, targets, basis)
            basis = subspace[0] if subspace else None
        else:
            if basis is not None:
                raise ValueError("encoder and basis: pass one of them, for banded_ridge or befs")
            inputs, targets = checked_arrays(inputs, targets)
            inputs, basis, _ = with_predicted_recordings(inputs, encoder)
        inside = as_floats(inside_penalty=inside_penalty)[0].astype(inputs.dtype)
        check_shape("inside_penalty", inside, (), "one number")
        check_positive("inside_penalty", inside, zero_allowed=True)
        if both_penalties and basis is None:
            raise ValueError("both_penalties: without a basis there is one penalty alone")
        if both_penalties and per_target:
            raise ValueError("both_penalties: one pair for all targets; tune targets one by one")
        self.both_penalties, self.per_target = both_penalties, per_target
        check_finite("inputs", inputs)
        check_finite("targets", targets)
        if basis is not None and not both_penalties:
            _check_determined(basis.shape[1] + intercept, len(inputs), splits, inside)
        if not intercept:
            _check_means(inputs)
        # Whether what is left unpenalised must follow from the rows.
        has_free = basis is not None and not both_penalties
        if basis is None:
            # A subspace whose weights are held at 0 is none.
            basis = jnp.zeros((inputs.shape[1], 1), inputs.dtype)
            inside = jnp.asarray(jnp.inf, inputs.dtype)
        n = len(inputs)
        weights = _checked_weights(sample_weight, inputs)
        if splits is not None:
            splits = Split(
                splits.learned.astype(inputs.dtype),
                splits.judged,
                splits.counts.astype(inputs.dtype),
            )
        self.counts = weights if splits is None else splits.counts * weights[splits.judged]
        columns = targets.reshape(n, -1)
        found = prepare(inputs, columns, basis, inside, weights, splits, both_penalties, intercept)
        self.regression, self.spread = found.regression, found.spread
        self.scale, self.determined = found.scale, found.determined
        if is_concrete(self.scale) and not 0 < float(self.scale) < np.inf:
            raise ValueError(
                "inputs: their variance, the unit of a penalty, is no number in "
                f"{inputs.dtype}: measure them in another unit, or use double precision"
            )
        if has_free and is_concrete(inside, found.undetermined) and not inside > 0:
            _check_free(np.asarray(found.undetermined), np.asarray(found.alone), splits)

    @with_one_blas_thread
    def __call__(self, penalty: Any) -> Array:
        """Mean squared error of judged rows, a share of the target's variance; mean of targets."""
        if self.both_penalties:
            penalty = Penalties(*(jnp.asarray(x, self.scale.dtype) for x in penalty))
            some = penalty[0] > 0
        else:
            penalty = jnp.asarray(penalty, self.scale.dtype)
            some = penalty > 0
        # Of rows learned from, no penalty has the limit of small ones.
        regression = self.regression
        some |= isinstance(regression, OnLearnedRows)
        some |= isinstance(regression, TwoPenaltiesOfFewRows) and regression.others is None
        error = jnp.mean(self._errors(penalty) / self.spread)
        return jnp.where(some | self.determined, error, jnp.inf)

    def _errors(self, penalty: Any) -> Float[Array, " t"]:
        raise NotImplementedError

    def natural_penalty(self) -> Any:
        """λ as large as the mean variance of an input."""
        return Penalties(self.scale, self.scale) if self.both_penalties else self.scale

    def split_targets(self) -> tuple[_OnData, _OnData]:
        """For `jax.vmap` over targets: this with an axis for them at the end, and where that is."""

        def of_targets(objective: Any) -> list[Any]:
            r = objective.regression
            return [r.residual, r.amplitudes, objective.spread]

        leaves = of_targets(self)
        split = eqx.tree_at(of_targets, self, [leaf[..., None, :] for leaf in leaves])
        axes = jax.tree.map(lambda _: None, self)
        return split, eqx.tree_at(of_targets, axes, [-1, -1, -1], is_leaf=lambda x: x is None)


def _checked_weights(sample_weight: AnyArray | None, inputs: Array) -> Array:
    """Weights of rows, of which the mean is 1: only their ratios count."""
    n = len(inputs)
    if sample_weight is None:
        return jnp.ones(n, inputs.dtype)
    weights = as_float_like("sample_weight", sample_weight, inputs)
    check_shape("sample_weight", weights, (n,), "one number for each row of inputs")
    check_finite("sample_weight", weights)
    try:
        check_positive("sample_weight", weights)
    except ValueError as problem:
        raise ValueError(f"{problem}: leave out rows of weight 0") from problem
    # Their sum may be no number.
    weights = weights / jnp.max(weights)
    return weights / jnp.mean(weights)


def _check_means(inputs: Array) -> None:
    """Without an intercept means count as signal, and drown it where they are far from 0."""
    if not is_concrete(inputs):
        return
    columns = np.asarray(inputs, float)
    largest = np.max(np.abs(columns), axis=0)
    columns = columns / np.where(largest > 0, largest, 1.0)
    spread = columns.std(axis=0)
    far = np.abs(columns.mean(axis=0)) > spread * float(np.finfo(inputs.dtype).eps) ** -0.25
    # A constant is an intercept of the user's own.
    far &= spread > len(columns) * np.finfo(inputs.dtype).eps
    if far.any():
        ratio = np.max(np.abs(columns.mean(axis=0))[far] / spread[far])
        raise ValueError(
            f"inputs: with intercept=False their means count as signal, and in column "
            f"{np.flatnonzero(far)[0]} the mean is {ratio:.2g} standard deviations from 0: "
            "centre the inputs, or pass intercept=True"
        )


def _check_free(undetermined: np.ndarray, alone: np.ndarray, splits: Split | None) -> None:
    """Name the rows that leave an inside weight undetermined, or fit themselves by it."""
    remedy = "leave it out of the basis, or pass inside_penalty > 0 or both_penalties=True"
    if undetermined.any():
        where = "the rows" if splits is None else "the rows learned from in fold "
        if splits is not None:
            where += str(int(np.flatnonzero(undetermined)[0]))
        raise ValueError(
            f"basis: {where} leave a weight within the subspace undetermined, since what it reads "
            f"from the inputs is constant there, or depends on the rest: {remedy}"
        )
    bound = 10 * np.sqrt(alone.size) * np.finfo(alone.dtype).eps
    fitted = np.flatnonzero(alone <= bound) if splits is None else []
    if len(fitted):
        raise ValueError(
            f"inputs: row {fitted[0]} has leverage 1: it alone determines a weight within the "
            f"subspace, so nothing else predicts it: {remedy}, or leave out the row"
        )


def _check_determined(weights: int, rows: int, splits: Split | None, inside: Array) -> None:
    """What is left unpenalised must follow from the rows that are learned from."""
    if splits is None:
        rows -= 1
    elif is_concrete(splits.learned):
        rows = round(float(jnp.min(jnp.sum(splits.learned, axis=-1))))
    if rows < weights and is_concrete(inside) and not inside > 0:
        raise ValueError(
            f"basis: {rows} rows to learn from do not determine {weights} weights without a "
            "penalty: pass more rows, inside_penalty > 0, or both_penalties=True"
        )


class LeaveOneOut(_OnData):
    """The error of predicting each row from all others: leave-one-out without any refitting.

    It follows exactly from the diagonal of the hat matrix: (y − ŷ)/(1 − h) is what is left when a
    row is not learned from. What is held fixed when a row is left out is n times the penalty. The
    value is the mean squared error as a share of the target's variance: 1 is what the mean
    achieves.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small(task_snr=1.0)
    >>> basis = jb.encode(*model.sample_brain(jax.random.key(0), 2_000), rank=6)
    >>> inputs, targets = model.sample_task(jax.random.key(1), 100)
    >>> tuned = jb.tune_penalty(jb.LeaveOneOut(inputs, targets, basis))
    >>> weights = jb.befs(inputs, targets, basis, tuned.penalty)
    >>> float(((weights - model.task_weights) ** 2).sum()) < 0.4
    True

    **Arguments**

    - `inputs`, shape (n, d): one row a sample.
    - `targets`, shape (n,) or (n, t): t tasks.
    - `basis`, shape (d, k): the learned subspace, as from `encode`; None is ridge regression.
    - `**options`: by name,

      - `encoder`, shape (d, p), instead of a basis: the objective is of `banded_ridge`, whose
        encoder penalty is the inside penalty.
      - `both_penalties`: tune both, as `Penalties`; otherwise the inside penalty stays
        `inside_penalty`.
      - `inside_penalty`: by default 0.
      - `intercept`: learn a mean too; False for rows that need none.
      - `per_target`: a penalty for each target; otherwise all share one, and count by their
        variance.
      - `sample_weight`, shape (n,): by how much each row counts, more than 0; only ratios matter.
        Errors, means and variances are weighted, and a penalty is one a unit of weight. A row is
        left out with all its weight: one of weight 2 stands for two equal rows that are left out
        together.

    **Fields**

    Kept beside `both_penalties` and `per_target`, for m judged rows:

    - `regression`: residuals and leverages of the judged rows as a function of the penalty.
    - `spread`, shape (t,): variance of each target, the unit of its error; 1 for a constant one.
    - `counts`, shape (m,), or (folds, m) with splits: weight of a judged row, 0 for padding.
    - `scale`: mean variance of an input, the natural penalty.
    - `determined`: whether the rows determine all weights without a penalty.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    Allen (1974), PRESS; with a penalty and an intercept: docs/theory.md, "Tuning".
    """

    def __init__(
        self, inputs: AnyArray, targets: AnyArray, basis: AnyArray | None = None, **options: Any
    ):
        """Diagonalise the regression. **Raises** `ValueError` naming argument and remedy."""
        _OnData.__init__(self, inputs, targets, basis, **options)

    def _errors(self, penalty: Any) -> Float[Array, " t"]:
        residual, freedom = self.regression(penalty)
        return jnp.mean((residual / freedom[:, None]) ** 2, axis=0)


class GeneralizedCrossValidation(_OnData):
    """Generalised cross-validation: leave-one-out with every leverage replaced by their mean.

    It does not change when the rows are rotated. The value is that of `LeaveOneOut` otherwise.

    >>> import jax, jaxbrain as jb
    >>> inputs, targets = jb.presets.small(task_snr=1.0).sample_task(jax.random.key(1), 100)
    >>> error = jb.GeneralizedCrossValidation(inputs, targets)
    >>> bool(error(1.0) < error(float("inf")))
    True

    **Arguments**

    - `inputs`, `targets`, `basis`, `**options`: as in `LeaveOneOut`.

    **Fields**

    Those of `LeaveOneOut`.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    Golub, Heath and Wahba (1979).
    """

    def __init__(
        self, inputs: AnyArray, targets: AnyArray, basis: AnyArray | None = None, **options: Any
    ):
        """Diagonalise the regression. **Raises** `ValueError` naming argument and remedy."""
        _OnData.__init__(self, inputs, targets, basis, **options)

    def _errors(self, penalty: Any) -> Float[Array, " t"]:
        residual, freedom = self.regression(penalty)
        return jnp.mean((residual / jnp.mean(freedom)) ** 2, axis=0)


class _OnSplits(_OnData):
    def _errors(self, penalty: Any) -> Float[Array, " t"]:
        def squares(regression, counts):
            return counts @ regression(penalty)[0] ** 2

        total = jax.lax.map(lambda pair: squares(*pair), (self.regression, self.counts))
        return jnp.sum(total, axis=0) / jnp.sum(self.counts)


class KFold(_OnSplits):
    """The error of predicting each of several folds from the others.

    The value is the mean squared error as a share of the target's variance. A penalty is one a
    learned row.

    >>> import jax, jaxbrain as jb
    >>> inputs, targets = jb.presets.small(task_snr=1.0).sample_task(jax.random.key(1), 100)
    >>> error = jb.KFold(inputs, targets, folds=5)
    >>> bool(error(1.0) < error(float("inf")))
    True

    **Arguments**

    - `folds`: 2 to n of them, of equal size give or take one.
    - `key`: shuffles the rows first; without it the folds are consecutive rows.
    - `groups`, shape (n,): names of groups whose rows stay together. Folds are then of whole
      groups, at most as many as there are.
    - `inputs`, `targets`, `basis`, `**options`: as in `LeaveOneOut`.

    **Fields**

    Those of `LeaveOneOut`.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    Stone (1974), cross-validation.
    """

    def __init__(
        self,
        inputs: AnyArray,
        targets: AnyArray,
        basis: AnyArray | None = None,
        *,
        folds: Whole = 5,
        key: PRNGKeyArray | None = None,
        groups: Any = None,
        **options: Any,
    ):
        """Diagonalise for each fold. **Raises** `ValueError` naming argument and remedy."""
        check_shape("inputs", inputs, ("n", "d"), "one row a sample")
        n = len(inputs)
        check_integer("the number of rows of inputs", n, 2)
        folds = as_integer("folds", folds, 2, n)
        if groups is None:
            fold = fold_of_rows(n, folds)
        else:
            check_shape("groups", groups, (n,), "the group of each row of inputs")
            if key is not None:
                raise ValueError("key shuffles single rows: pass either key or groups")
            fold = fold_of_groups(groups, folds)
        if key is not None:
            check_key(key)
        splits = splits_of(fold, key)
        _OnData.__init__(self, inputs, targets, basis, splits=splits, **options)


class HeldOut(_OnSplits):
    """The error on rows set aside.

    The value is the mean squared error on them as a share of the variance of all rows.

    >>> import jax, jaxbrain as jb
    >>> inputs, targets = jb.presets.small(task_snr=1.0).sample_task(jax.random.key(1), 100)
    >>> error = jb.HeldOut(inputs[:80], targets[:80], inputs[80:], targets[80:])
    >>> bool(error(1.0) < error(float("inf")))
    True

    **Arguments**

    - `validation_inputs`, shape (m, d): the rows set aside.
    - `validation_targets`, shape (m,) or (m, t): their targets.
    - `sample_weight`, shape (n,): of the rows to learn from, relative to their mean; those set
      aside count one each.
    - `inputs`, `targets`, `basis`, `**options`: as in `LeaveOneOut`, for the rows to learn from.

    **Fields**

    Those of `LeaveOneOut`.

    **Raises**

    `ValueError` that names the argument and the remedy.
    """

    def __init__(
        self,
        inputs: AnyArray,
        targets: AnyArray,
        validation_inputs: AnyArray,
        validation_targets: AnyArray,
        basis: AnyArray | None = None,
        *,
        sample_weight: AnyArray | None = None,
        **options: Any,
    ):
        """Diagonalise the regression. **Raises** `ValueError` naming argument and remedy."""
        arrays = as_floats(
            inputs=inputs,
            targets=targets,
            validation_inputs=validation_inputs,
            validation_targets=validation_targets,
        )
        check_shape("inputs", arrays[0], ("n", "d"), "one row a sample")
        n, d = arrays[0].shape
        if arrays[1].ndim not in (1, 2):
            raise ValueError("targets must have shape (n,) or (n, t): one row a sample")
        check_shape("validation_inputs", arrays[2], ("m", d), "columns as in inputs")
        check_finite("validation_inputs", arrays[2])
        check_finite("validation_targets", arrays[3])
        m = len(arrays[2])
        check_integer("the number of rows of validation_inputs", m, 1)
        wanted = (m, *arrays[1].shape[1:])
        check_shape("validation_targets", arrays[3], wanted, "columns as in targets")
        weights = None
        if sample_weight is not None:
            learned = _checked_weights(sample_weight, arrays[0])
            weights = jnp.concatenate([learned, jnp.ones(m, learned.dtype)])
        rows = np.arange(n + m)
        splits = Split(
            learned=jnp.asarray(rows < n, arrays[0].dtype)[None],
            judged=jnp.asarray(rows[n:])[None],
            counts=jnp.ones((1, m), arrays[0].dtype),
        )
        _OnData.__init__(
            self,
            jnp.concatenate([arrays[0], arrays[2]]),
            jnp.concatenate([arrays[1], arrays[3]]),
            basis,
            sample_weight=weights,
            splits=splits,
            **options,
        )
