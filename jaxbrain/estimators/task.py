"""The task stage: regression on labels that trusts the learned subspace more than the rest.

Ordinary least squares, ridge and BEFS are one penalised regression,

    minimise (1/n)‖y − Xβ‖² + λ_in‖P̂β‖² + λ_out‖K̂β‖²,    P̂ = B Bᵀ, K̂ = I − P̂,

solved for a single pair of penalties in `_regression`, and here for a whole path of outside
penalties.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import (
    as_floats,
    check_finite,
    check_integer,
    check_positive,
    check_shape,
    is_concrete,
)
from .._linalg import power_of_two
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real
from ._regression import least_squares, solve
from .encoding import check_positive_for, checked_solution


@with_one_blas_thread
def task_only(inputs: AnyArray, targets: AnyArray) -> Float[Array, "d *t"]:
    """Learn a task from labels alone, by ordinary least squares.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small(task_snr=10.0)
    >>> weights = jb.task_only(*model.sample_task(jax.random.key(0), 1_000))
    >>> bool(((weights - model.task_weights) ** 2).sum() < 0.02)
    True

    **Arguments**

    - `inputs`: a row for each label, shape (n, d) with n >= d. Centre them first, or add a column
      of 1.
    - `targets`: labels, shape (n,), or (n, t) for t tasks at once.

    **Returns**

    Weights of shape (d,) or (d, t).

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, or n < d.

    **Source**

    Ordinary least squares; the baseline of Lewis et al., arXiv:2605.09243.
    """
    inputs, targets = checked_arrays(inputs, targets)
    if inputs.shape[0] < inputs.shape[1]:
        raise ValueError(f"{_too_few(inputs)}: use ridge, or befs with a penalty")
    return checked_solution(least_squares(inputs, targets), inputs=inputs, targets=targets)


def ridge(inputs: AnyArray, targets: AnyArray, penalty: Real) -> Float[Array, "d *t"]:
    """Learn a task from labels alone, by ridge regression.

    Minimises (1/n)‖y − Xβ‖² + penalty ‖β‖².

    >>> import jax.numpy as jnp, jaxbrain as jb
    >>> weights = jb.ridge(jnp.eye(2) * 2.0, jnp.array([1.0, 3.0]), penalty=2.0)
    >>> [round(float(weight), 6) for weight in weights]
    [0.25, 0.75]

    **Arguments**

    - `inputs`: a row for each label, shape (n, d).
    - `targets`: labels, shape (n,), or (n, t) for t tasks at once.
    - `penalty`: a sample, at least 0, and more than 0 where n < d. Infinity gives zero weights.

    **Returns**

    Weights of shape (d,) or (d, t). Differentiable in every argument.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, a negative penalty, or one of 0
    with n < d.

    **Source**

    Hoerl and Kennard (1970).
    """
    inputs, targets = checked_arrays(inputs, targets)
    (penalty,) = as_floats(penalty=penalty)
    penalty = penalty.astype(inputs.dtype)
    check_shape("penalty", penalty, (), "one number; map over several with jax.vmap")
    check_positive("penalty", penalty, zero_allowed=True)
    if inputs.shape[0] < inputs.shape[1]:
        check_positive_for(_too_few(inputs), "penalty", penalty)
    return checked_solution(
        solve(inputs, targets, None, penalty, penalty), inputs=inputs, targets=targets
    )


def befs(
    inputs: AnyArray,
    targets: AnyArray,
    basis: AnyArray,
    penalty: Real,
    inside_penalty: Real = 0.0,
) -> Float[Array, "d *t"]:
    """Learn a task with the help of a subspace learned from recordings.

    Minimises (1/n)‖y − Xβ‖² + inside_penalty ‖P̂β‖² + penalty ‖K̂β‖², where P̂ projects on the span
    of `basis` and K̂ = I − P̂.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small(task_snr=1.0)
    >>> basis = jb.encode(*model.sample_brain(jax.random.key(0), 2_000), rank=6)
    >>> inputs, targets = model.sample_task(jax.random.key(1), 100)
    >>> with_brain = jb.befs(inputs, targets, basis, penalty=3.0)
    >>> without = jb.task_only(inputs, targets)
    >>> error = lambda weights: float(((weights - model.task_weights) ** 2).sum())
    >>> error(with_brain) < error(without) / 3
    True

    **Arguments**

    - `inputs`: a row for each label, shape (n, d).
    - `targets`: labels, shape (n,), or (n, t) for t tasks at once.
    - `basis`: the subspace, shape (d, k): orthonormal columns, as from `encode`.
    - `penalty`: outside the subspace, a sample. 0 is ordinary least squares (n >= d). Infinity
      confines the weights to the subspace.
    - `inside_penalty`: inside the subspace, a sample. 0 needs n >= k. Equal to `penalty` it gives
      ridge.

    **Returns**

    Weights of shape (d,) or (d, t). Differentiable in every argument, penalties included.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, or too few rows to determine the
    weights.

    **Source**

    Stage two of BEFS, Lewis et al., arXiv:2605.09243; the inside penalty is ours.
    """
    if basis is None:
        raise ValueError("basis is None: pass the subspace that encode returns, or use ridge")
    inputs, targets, basis = checked_arrays(inputs, targets, basis)
    penalty, inside_penalty = (
        value.astype(inputs.dtype)
        for value in as_floats(penalty=penalty, inside_penalty=inside_penalty)
    )
    check_shape("penalty", penalty, (), "one number; befs_path takes several")
    _check_penalties(inputs, basis, "penalty", penalty, inside_penalty)
    return checked_solution(
        solve(inputs, targets, basis, penalty, inside_penalty), inputs=inputs, targets=targets
    )


@with_one_blas_thread
def befs_path(
    inputs: AnyArray,
    targets: AnyArray,
    basis: AnyArray,
    penalties: AnyArray,
    inside_penalty: Real = 0.0,
) -> Float[Array, "l d *t"]:
    """Learn a task by `befs` for many penalties, at the cost of one factorisation.

    >>> import jax, jax.numpy as jnp, jaxbrain as jb
    >>> model = jb.presets.small()
    >>> inputs, targets = model.sample_task(jax.random.key(1), 100)
    >>> jb.befs_path(inputs, targets, model.encoder, jnp.logspace(-2, 2, 9)).shape
    (9, 64)

    **Arguments**

    - `inputs`, `targets`, `basis`, `inside_penalty`: as in `befs`.
    - `penalties`: outside the subspace, shape (l,). 0 and infinity are allowed as in `befs`.

    **Returns**

    Weights of shape (l, d) or (l, d, t). Differentiable in the penalties and the targets. For
    derivatives in inputs and basis use `befs`.

    **Raises**

    `ValueError` as `befs` does.

    **Source**

    The estimator: Lewis et al., arXiv:2605.09243. The inside penalty, and one diagonalisation of
    the regression for all penalties: ours.
    """
    if basis is None:
        raise ValueError("basis is None: pass the subspace that encode returns, or use ridge")
    inputs, targets, basis = checked_arrays(inputs, targets, basis)
    penalties, inside_penalty = (
        value.astype(inputs.dtype)
        for value in as_floats(penalties=penalties, inside_penalty=inside_penalty)
    )
    check_shape("penalties", penalties, ("l",), "a list of penalties; befs takes a single one")
    _check_penalties(inputs, basis, "penalties", penalties, inside_penalty)
    return checked_solution(
        path_weights(inputs, targets, basis, penalties, inside_penalty),
        inputs=inputs,
        targets=targets,
    )


class PenaltyPath(NamedTuple):
    """One diagonalisation of the regression, from which every outside penalty is cheap.

    With S = X_inᵀX_in + n λ_in I and M = I − X_in S⁻¹X_inᵀ, the outside weights solve a ridge
    problem with Gram matrix X_outᵀ M X_out = U diag(e) Uᵀ, and the inside weights follow.
    """

    basis: Float[Array, "d k"]
    inside_solve: Float[Array, "k n"]
    """S⁻¹X_inᵀ: inside weights of the targets, before the outside part takes its share."""
    directions: Float[Array, "d r"]
    """Weights that go with each mode, the inside's answer to it included."""
    modes: Float[Array, "n r"]
    """M X_out U: the modes as seen in the rows."""
    strengths: Float[Array, " r"]

    def weights(
        self, targets: Float[Array, "n t"], penalties: Float[Array, " l"]
    ) -> Float[Array, "l d t"]:
        """Weights for each penalty and target."""
        amplitudes = self._shrinkage(penalties)[:, :, None] * (self.modes.T @ targets)[None]
        return self.directions @ amplitudes + (self.basis @ (self.inside_solve @ targets))[None]

    def weights_of_each(
        self, targets: Float[Array, "n t"], penalties: Float[Array, " t"]
    ) -> Float[Array, "d t"]:
        """Weights where each target has a penalty of its own; of 0, the limit of small ones."""
        total = self.strengths[:, None] + len(self.modes) * penalties[None, :]
        rounding = len(self.modes) * jnp.finfo(total.dtype).eps * jnp.max(self.strengths)
        known = total > rounding
        amplitudes = jnp.where(known, self.modes.T @ targets / jnp.where(known, total, 1.0), 0.0)
        return self.directions @ amplitudes + self.basis @ (self.inside_solve @ targets)

    def _shrinkage(self, penalties: Float[Array, " l"]) -> Float[Array, "l r"]:
        return 1 / (self.strengths[None, :] + len(self.modes) * penalties[:, None])


def penalty_path(
    inputs: Float[Array, "n d"], basis: Float[Array, "d k"], inside_penalty: Array
) -> PenaltyPath:
    """Diagonalise the regression once for all outside penalties."""
    n, d = inputs.shape
    inside = inputs @ basis
    outside = inputs - inside @ basis.T
    inside_solve = _inside_solve(inside, inside_penalty)
    # Outside weights lie in the span of the rows: with fewer rows than inputs n coordinates
    # suffice.
    frame = jnp.linalg.qr(outside.T)[0] if n < d else jnp.eye(d, dtype=inputs.dtype)
    coordinates = outside @ frame
    cleaned = coordinates - inside @ (inside_solve @ coordinates)
    gram = coordinates.T @ cleaned
    # No outside weight points into the subspace. Lifting this null space of the Gram matrix keeps
    # small penalties, and 0, from dividing rounding by rounding there.
    overlap = frame.T @ basis
    strengths, vectors = jnp.linalg.eigh(gram + jnp.trace(gram) / d * (overlap @ overlap.T))
    outside_weights = frame @ vectors - basis @ (overlap.T @ vectors)
    return PenaltyPath(
        basis=basis,
        inside_solve=inside_solve,
        directions=outside_weights - basis @ (inside_solve @ (coordinates @ vectors)),
        modes=cleaned @ vectors,
        strengths=jnp.maximum(strengths, 0.0),
    )


def _inside_solve(inside: Array, penalty: Array) -> Array:
    n, k = inside.shape
    hard = jnp.isinf(penalty)
    gram = inside.T @ inside + n * jnp.where(hard, 1.0, penalty) * jnp.eye(k, dtype=inside.dtype)
    factor = jax.scipy.linalg.cho_factor(gram, lower=True)
    return jnp.where(hard, 0.0, jax.scipy.linalg.cho_solve(factor, inside.T))


@jax.jit
def path_weights(
    inputs: Array, targets: Array, basis: Array, penalties: Array, inside_penalty: Array
) -> Array:
    """Weights for each outside penalty, in any units; NaN where one is lost in rounding."""
    columns = targets.reshape(targets.shape[0], -1)
    unit, of_targets = power_of_two(inputs), power_of_two(columns, axis=0)[None, None, :]
    penalties, inside_penalty = (x / unit / unit for x in (penalties, inside_penalty))
    path = penalty_path(inputs / unit, basis, inside_penalty)
    weights = path.weights(columns / of_targets[0], penalties) * (of_targets / unit)
    # Strengths are known up to rounding of the largest: what is lost in it is no answer.
    rounding = 1e3 * jnp.finfo(inputs.dtype).eps * jnp.max(path.strengths)
    is_known = jnp.min(path.strengths) + len(inputs) * penalties > rounding
    weights = jnp.where(is_known[:, None, None], weights, jnp.nan)
    return weights.reshape(*weights.shape[:2], *targets.shape[1:])


@jax.jit
def weights_of_each_target(
    inputs: Float[Array, "n d"],
    targets: Float[Array, "n t"],
    basis: Float[Array, "d k"] | None,
    penalties: Float[Array, " t"],
    inside_penalty: Array,
) -> Float[Array, "d t"]:
    """Weights where each target has an outside penalty of its own, from one diagonalisation."""
    if basis is None:
        # A subspace whose weights are held at 0 is none.
        basis = jnp.zeros((inputs.shape[1], 1), inputs.dtype)
        inside_penalty = jnp.full_like(inside_penalty, jnp.inf)
    unit, of_targets = power_of_two(inputs), power_of_two(targets, axis=0)[None, :]
    path = penalty_path(inputs / unit, basis, inside_penalty / unit / unit)
    weights = path.weights_of_each(targets / of_targets, penalties / unit / unit)
    return weights * (of_targets / unit)


def checked_arrays(
    inputs: AnyArray, targets: AnyArray, basis: AnyArray | None = None
) -> list[Array]:
    """Inputs, targets and (if given) the basis, of one type; raises where shapes do not fit."""
    arrays = {"inputs": inputs, "targets": targets}
    if basis is not None:
        arrays["basis"] = basis
    precision = _precision(basis)
    checked = as_floats(**arrays)
    check_shape("inputs", checked[0], ("n", "d"), "one row a sample")
    n, d = checked[0].shape
    check_integer("the number of rows of inputs", n, 1)
    check_integer("the number of columns of inputs", d, 1)
    if checked[1].ndim not in (1, 2) or checked[1].shape[0] != n:
        raise ValueError(
            f"targets must have shape ({n},) or ({n}, t), but it has shape {checked[1].shape}: "
            "one row for each row of inputs"
        )
    if basis is not None:
        check_shape("basis", checked[2], (d, "k"), "one row for each input")
        check_integer("the number of columns of basis", checked[2].shape[1], 1, d - 1)
        _check_orthonormal(checked[2], precision)
    return checked


def _precision(basis: AnyArray | None) -> float:
    # A basis computed in single precision is orthonormal to single precision, whatever follows.
    single = getattr(basis, "dtype", None) == np.float32
    return float(np.finfo(np.float32 if single else np.float64).eps)


def _check_orthonormal(basis: Array, precision: float) -> None:
    if not is_concrete(basis):
        return
    columns = np.asarray(basis)
    check_finite("basis", columns)
    off = np.max(np.abs(columns.T @ columns - np.eye(columns.shape[1])))
    if not off <= 1e3 * len(columns) * max(precision, np.finfo(columns.dtype).eps):
        raise ValueError(
            f"basis must have orthonormal columns, but its Gram matrix is off by {off:.2g}: "
            "pass jnp.linalg.qr(basis)[0], which spans the same"
        )


def _check_penalties(
    inputs: Array, basis: Array, name: str, penalty: Array, inside_penalty: Array
) -> None:
    n, d = inputs.shape
    check_shape("inside_penalty", inside_penalty, (), "one number; map over several with jax.vmap")
    check_positive(name, penalty, zero_allowed=True)
    check_positive("inside_penalty", inside_penalty, zero_allowed=True)
    if n < d:
        check_positive_for(_too_few(inputs), name, penalty)
    if n < basis.shape[1]:
        check_positive_for(
            f"n_task = {n} rows of inputs leave {basis.shape[1]} inside weights undetermined",
            "inside_penalty",
            inside_penalty,
        )


def _too_few(inputs: Array) -> str:
    return f"n_task = {inputs.shape[0]} rows of inputs leave {inputs.shape[1]} weights undetermined"
