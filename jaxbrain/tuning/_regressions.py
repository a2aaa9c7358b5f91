"""What a penalty leaves of the targets: residuals of judged rows, from one factorisation."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import map_factorisations, power_of_two
from .._threads import with_one_blas_thread
from ..estimators.task import penalty_path, predictions_and_leverages


class Split(eqx.Module):
    """Rows to learn from and rows to be judged by; leaves may be stacked, one split each.

    Weights of 0 and 1 make sets of unequal sizes equally long.
    """

    learned: Float[Array, "*s n"]
    """1 for rows that are learned from, else 0."""
    judged: Array
    """Numbers of the rows to be judged by."""
    counts: Float[Array, "*s m"]
    """1 for those, 0 for padding."""


class OnLearnedRows(eqx.Module):
    """Residuals of the rows learned from, and 1 − h of each, h its leverage.

    Both follow from the residual operator I − H = M' + V diag(nλ/(e + nλ)) Vᵀ, where V are the
    singular vectors of the rows seen by the outside weights, once the mean and the inside weights
    have taken their share. The mean is projected out by a reflection. So the constant is no null
    vector of a Gram matrix, which rounding would make a small eigenvalue of.

    Where rows are few, M' is 0, and both vanish with the penalty. Their ratio does not: it is that
    at the least penalty that rounding can tell from 0.
    """

    residual: Float[Array, "n t"]
    """What no outside weight can fit."""
    freedom: Float[Array, " n"]
    """The same of 1 − h."""
    modes: Float[Array, "n r"]
    amplitudes: Float[Array, "r t"]
    strengths: Float[Array, " r"]
    rows: Float[Array, ""]
    unit: Float[Array, ""]

    def __call__(self, penalty: Any) -> tuple[Array, Array]:
        is_seen = self.strengths > 0
        least = jnp.min(jnp.where(is_seen, self.strengths, jnp.inf))
        least = jnp.where(jnp.isfinite(least), least, 1.0)
        # Far below the weakest mode all ratios are those of the limit.
        floor = jnp.finfo(least.dtype).eps / 100 * least
        hard = jnp.isinf(penalty)
        total = self.rows * (jnp.where(hard, 1.0, penalty) / self.unit / self.unit)
        total = jnp.maximum(total, floor)
        left = jnp.where(hard, 1.0, total / (jnp.where(is_seen, self.strengths, 1.0) + total))
        residual = self.residual + self.modes @ (left[:, None] * self.amplitudes)
        return residual, self.freedom + self.modes**2 @ left


class OnOtherRows(eqx.Module):
    """Residuals of rows that were not learned from, from a diagonalisation done once."""

    residual: Float[Array, "m t"]
    modes: Float[Array, "m r"]
    amplitudes: Float[Array, "r t"]
    strengths: Float[Array, " r"]
    """0 where rounding is all there is."""
    rows: Float[Array, ""]
    unit: Float[Array, ""]

    def __call__(self, penalty: Any) -> tuple[Array, Array]:
        hard = jnp.isinf(penalty)
        total = self.rows * (jnp.where(hard, 1.0, penalty) / self.unit / self.unit)
        is_seen = self.strengths > 0
        shrinkage = 1 / jnp.where(is_seen, self.strengths + total, 1.0)
        shrinkage = jnp.where(is_seen & ~hard, shrinkage, 0.0)
        residual = self.residual - self.modes @ (shrinkage[:, None] * self.amplitudes)
        return residual, jnp.ones(len(residual), residual.dtype)


class TwoPenalties(eqx.Module):
    """Residuals and 1 − h for two penalties, from a Cholesky factor each time."""

    inputs: Float[Array, "n d"]
    targets: Float[Array, "n t"]
    judged_inputs: Float[Array, "m d"]
    judged_targets: Float[Array, "m t"]
    basis: Float[Array, "d k"]
    rows: Float[Array, ""]
    share: Float[Array, ""]
    unit: Float[Array, ""]
    least: Float[Array, ""]
    """The outside penalty below which rounding would be all that is left of 1 − h."""

    def __call__(self, penalty: Any) -> tuple[Array, Array]:
        outside, inside = (x / self.unit / self.unit for x in penalty)
        outside = jnp.maximum(outside, self.least)
        fitted, leverage = predictions_and_leverages(
            self.inputs, self.targets, self.judged_inputs, self.basis, outside, inside, self.rows
        )
        return self.judged_targets - fitted, 1 - self.share - leverage


class Prepared(NamedTuple):
    """A regression ready for any penalty, and what is known of the rows."""

    regression: OnLearnedRows | OnOtherRows | TwoPenalties
    spread: Float[Array, " t"]
    scale: Float[Array, ""]
    """Mean variance of an input, in the user's units."""
    determined: Array
    """Whether the rows determine all weights without a penalty."""
    alone: Float[Array, " n"]
    """1 − h of each row where the outside penalty is infinite; 1 with splits."""
    undetermined: Array
    """For each split, whether the rows learned from leave an inside weight undetermined."""


@with_one_blas_thread
@partial(jax.jit, static_argnames=("both_penalties", "intercept"))
def prepare(inputs, targets, basis, inside, splits, both_penalties, intercept) -> Prepared:
    """Factorise once for all penalties; for both penalties, centre and keep the rows."""
    n, d = inputs.shape
    dtype = inputs.dtype
    share = 1.0 if intercept else 0.0
    unit, of_targets = power_of_two(inputs), power_of_two(targets, axis=0)
    inputs, targets = inputs / unit, targets / of_targets[None, :]
    inside = inside / unit / unit

    def centred(array, weights, rows):
        # Twice: the rounding of a mean far from 0 is a mean too.
        for _ in range(2 if intercept else 0):
            array = array - (weights @ array / rows)[None]
        return array

    def one(split: Split | None):
        weights = jnp.ones(n, dtype) if split is None else split.learned
        rows = jnp.sum(weights)
        x, y = (centred(array, weights, rows) for array in (inputs, targets))
        lost = _depend(weights[:, None] * (x @ basis))
        if split is None and not both_penalties:
            regression, alone = _on_learned_rows(x, y, basis, inside, intercept, unit)
            return regression, rows, alone, lost
        judged = jnp.arange(n) if split is None else split.judged
        x_judged, y_judged = x[judged], y[judged]
        x, y = weights[:, None] * x, weights[:, None] * y
        alone = jnp.ones((), dtype)
        if both_penalties:
            is_wide = split is None and n <= d + share
            least = jnp.sqrt(jnp.finfo(dtype).eps) * jnp.sum(x**2) / n if is_wide else 0.0 * rows
            regression = TwoPenalties(
                x, y, x_judged, y_judged, basis, rows, share / rows, unit, least
            )
            return regression, rows, alone, lost
        # Padding counts as rows there.
        path = penalty_path(x, basis, inside * rows / n)
        rounding = 4 * max(n, d) * jnp.finfo(dtype).eps * jnp.max(path.strengths)
        regression = OnOtherRows(
            residual=y_judged - (x_judged @ basis) @ (path.inside_solve @ y),
            modes=x_judged @ path.directions,
            amplitudes=path.modes.T @ y,
            strengths=jnp.where(path.strengths > rounding, path.strengths, 0.0),
            rows=rows,
            unit=unit,
        )
        return regression, rows, alone, lost

    if splits is None:
        regression, rows, alone, lost = one(None)
    else:
        regression, rows, alone, lost = map_factorisations(one, splits, len(splits.judged))
    spread = jnp.var(targets, axis=0)
    # The variance of a constant that no float holds exactly is rounding, not a scale.
    rounding = n * jnp.finfo(dtype).eps * jnp.max(jnp.abs(targets), axis=0)
    scale = jnp.mean(centred(inputs, jnp.ones(n, dtype), n) ** 2)
    return Prepared(
        regression,
        jnp.where(spread > rounding**2, spread, 1.0),
        jnp.where(scale > 0, scale, 1.0) * unit * unit,
        jnp.min(rows) > d + share,
        alone,
        lost,
    )


def _depend(columns: Float[Array, "n k"]) -> Array:
    """Whether columns depend on each other, but for rounding."""
    lengths = jnp.linalg.norm(columns, axis=0)
    triangle = jnp.linalg.qr(columns, mode="r")
    # A row of zeros is missing below a wide triangle.
    if len(columns) < columns.shape[1]:
        return jnp.ones((), bool)
    rounding = 10 * jnp.sqrt(1.0 * len(columns)) * jnp.finfo(columns.dtype).eps
    return jnp.any(jnp.abs(jnp.diag(triangle)) <= rounding * lengths)


def _on_learned_rows(x, y, basis, inside, intercept, unit):
    n, d = x.shape
    eps = jnp.finfo(x.dtype).eps
    # Rows, but for the mean: n − 1 contrasts where it is learned.
    drop, lift = _without_mean(n, x.dtype) if intercept else (lambda a: a, lambda a: a)
    contrasts, size = drop(x), n - intercept
    within = contrasts @ basis
    frame, lengths, _ = jnp.linalg.svd(within, full_matrices=False)
    hard = jnp.isinf(inside)
    ridge = n * jnp.where(hard, 1.0, inside)
    seen = lengths**2 > 0
    kept = jnp.where(seen, ridge / jnp.where(seen, lengths**2 + ridge, 1.0), 1.0)
    kept = jnp.where(hard, 1.0, kept)

    def by_inside(array, share):
        return array - frame @ ((1 - share)[:, None] * (frame.T @ array))

    outside = by_inside(contrasts - within @ basis.T, jnp.sqrt(kept))
    # The side that is short: singular vectors of the rows alone are wanted.
    if size <= d:
        vectors, spread, _ = jnp.linalg.svd(jnp.linalg.qr(outside.T, mode="r").T)
    else:
        long, triangle = jnp.linalg.qr(outside)
        vectors, spread, _ = jnp.linalg.svd(triangle)
        vectors = long @ vectors
    is_seen = spread > jnp.sqrt(1.0 * max(n, d)) * eps * jnp.linalg.norm(contrasts)
    modes = jnp.where(is_seen[None, :], lift(by_inside(vectors, jnp.sqrt(kept))), 0.0)
    amplitudes = modes.T @ y
    alone = 1 - intercept / n - lift(frame) ** 2 @ (1 - kept)
    freedom = alone - jnp.sum(modes**2, axis=1)
    residual = lift(by_inside(drop(y), kept)) - modes @ amplitudes
    # What is left of a row that the weights fit by themselves is rounding.
    all_fitted = jnp.sum(is_seen) + jnp.sum(kept == 0) >= size
    fitted = all_fitted | (freedom <= 10 * jnp.sqrt(1.0 * n) * eps)
    regression = OnLearnedRows(
        residual=jnp.where(fitted[:, None], 0.0, residual),
        freedom=jnp.where(fitted, 0.0, freedom),
        modes=modes,
        amplitudes=amplitudes,
        strengths=jnp.where(is_seen, spread**2, 0.0),
        rows=jnp.asarray(n, x.dtype),
        unit=unit,
    )
    return regression, alone


def _without_mean(n: int, dtype: Any):
    """Coordinates of columns of n rows beside the constant, and the way back: a reflection."""
    axis = jnp.full(n, n**-0.5, dtype).at[0].add(1.0)
    axis = axis / jnp.linalg.norm(axis)

    def reflected(array):
        return array - 2 * axis[:, None] * (axis @ array)[None, :]

    def drop(array):
        return reflected(array)[1:]

    def lift(array):
        return reflected(jnp.pad(array, ((1, 0), (0, 0))))

    return drop, lift
