"""What a penalty leaves of the targets: residuals of judged rows, from one factorisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import map_factorisations, power_of_two
from .._threads import with_one_blas_thread
from ..estimators.folds import Split
from ..estimators.predictions import (
    ByRows,
    outside_of,
    predictions_and_leverages,
    solve_by_rows,
)
from ..estimators.task import penalty_path


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
    """Residuals and 1 − h for two penalties, from a factor of the size of the inputs each time."""

    inputs: Float[Array, "n d"]
    targets: Float[Array, "n t"]
    judged_inputs: Float[Array, "m d"]
    judged_targets: Float[Array, "m t"]
    basis: Float[Array, "d k"]
    rows: Float[Array, ""]
    share: Float[Array, " m"]
    """What the mean takes of each row."""
    unit: Float[Array, ""]

    def __call__(self, penalty: Any) -> tuple[Array, Array]:
        outside, inside = (x / self.unit / self.unit for x in penalty)
        fitted, leverage = predictions_and_leverages(
            self.inputs, self.targets, self.judged_inputs, self.basis, outside, inside, self.rows
        )
        return self.judged_targets - fitted, 1 - self.share - leverage


class TwoPenaltiesOfFewRows(eqx.Module):
    """The same from a factor of the size of the rows, where these are few.

    Of rows learned from, residuals and 1 − h both vanish with the outside penalty. Their ratio does
    not: it is that at the least penalty that rounding can tell from 0.
    """

    by_rows: ByRows
    targets: Float[Array, "r t"]
    mean: Float[Array, " n"] | None
    """Direction of the mean, which rows learned from are without; None where none is learned."""
    others: tuple[Array, Array, Array] | None
    """X_out X_outᵀ, X_in and targets of rows that were not learned from; None for learned ones."""
    rows: Float[Array, ""]
    unit: Float[Array, ""]
    least: Float[Array, ""]

    def __call__(self, penalty: Any) -> tuple[Array, Array]:
        outside, inside = (x / self.unit / self.unit for x in penalty)
        outside = jnp.maximum(outside, self.least)
        if self.others is not None:
            cross, within, targets = self.others
            found = solve_by_rows(self.by_rows, self.targets, outside, inside, self.rows)
            residual = targets - cross @ found.amplitudes - within @ found.inside
            return residual, jnp.ones(len(residual), residual.dtype)
        # What is left of a row by itself is 1 − h.
        size = len(self.targets)
        both = jnp.concatenate([jnp.eye(size, dtype=self.targets.dtype), self.targets], axis=1)
        left = solve_by_rows(self.by_rows, both, outside, inside, self.rows).left
        _, lift = without_mean(self.mean)
        return lift(left[:, size:]), jnp.diag(lift(lift(left[:, :size]).T))


Regression = OnLearnedRows | OnOtherRows | TwoPenalties | TwoPenaltiesOfFewRows


class Prepared(NamedTuple):
    """A regression ready for any penalty, and what is known of the rows."""

    regression: Regression
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
def prepare(inputs, targets, basis, inside, weights, splits, both_penalties, intercept) -> Prepared:
    """Factorise once for all penalties; for both penalties, centre and keep the rows.

    A row counts by its weight, of which the mean is 1: it is a row times the root of that, and so
    is the 1 that the mean is learned from.
    """
    n, d = inputs.shape
    dtype = inputs.dtype
    unit, of_targets = power_of_two(inputs), power_of_two(targets, axis=0)
    inputs, targets = inputs / unit, targets / of_targets[None, :]
    inside = inside / unit / unit

    def centred(array, weights, rows):
        # Twice: the rounding of a mean far from 0 is a mean too.
        for _ in range(2 if intercept else 0):
            array = array - (weights @ array / rows)[None]
        return array

    def one(split: Split | None):
        counts = weights if split is None else split.learned * weights
        rows, root = jnp.sum(counts), jnp.sqrt(counts)
        x, y = (centred(array, counts, rows) for array in (inputs, targets))
        x_learned, y_learned = (root[:, None] * array for array in (x, y))
        lost = _depend(x_learned @ basis)
        known = jnp.sum(counts > 0)
        if split is None:
            mean = root / jnp.linalg.norm(root) if intercept else None
            learn = _both_on_learned_rows if both_penalties else _on_learned_rows
            regression, alone = learn(x_learned, y_learned, basis, inside, mean, unit)
            return regression, known, alone, lost
        alone = jnp.ones((), dtype)
        judged = x[split.judged], y[split.judged]
        if both_penalties:
            regression = _both_on_other_rows(x_learned, y_learned, *judged, basis, rows, unit)
            return regression, known, alone, lost
        # Padding counts as rows there.
        path = penalty_path(x_learned, basis, inside * rows / n)
        rounding = 4 * max(n, d) * jnp.finfo(dtype).eps * jnp.max(path.strengths)
        regression = OnOtherRows(
            residual=judged[1] - (judged[0] @ basis) @ (path.inside_solve @ y_learned),
            modes=judged[0] @ path.directions,
            amplitudes=path.modes.T @ y_learned,
            strengths=jnp.where(path.strengths > rounding, path.strengths, 0.0),
            rows=rows,
            unit=unit,
        )
        return regression, known, alone, lost

    if splits is None:
        regression, known, alone, lost = one(None)
    else:
        regression, known, alone, lost = map_factorisations(one, splits, len(splits.judged))
    rows = jnp.sum(weights)
    spread = weights @ (targets - (weights @ targets / rows)[None]) ** 2 / rows
    # The variance of a constant that no float holds exactly is rounding, not a scale.
    rounding = n * jnp.finfo(dtype).eps * jnp.max(jnp.abs(targets), axis=0)
    scale = jnp.mean(weights @ centred(inputs, weights, rows) ** 2 / rows)
    return Prepared(
        regression,
        jnp.where(spread > rounding**2, spread, 1.0),
        jnp.where(scale > 0, scale, 1.0) * unit * unit,
        jnp.min(known) > d + intercept,
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


def _both_on_learned_rows(x, y, basis, inside, mean, unit):
    n, d = x.shape
    rows = jnp.asarray(n, x.dtype)
    alone = jnp.ones((), x.dtype)
    if n - (mean is not None) > d:
        share = jnp.zeros(n, x.dtype) if mean is None else mean**2
        return TwoPenalties(x, y, x, y, basis, rows, share, unit), alone
    drop, _ = without_mean(mean)
    contrasts = drop(x)
    outside = outside_of(contrasts, basis)
    by_rows = ByRows(outside @ outside.T, contrasts @ basis)
    # The least penalty at which a factor keeps half of the digits.
    strengths = jnp.linalg.eigvalsh(by_rows.gram)
    eps = jnp.finfo(x.dtype).eps
    least = jnp.sqrt(eps) * strengths[-1] - jnp.maximum(strengths[0], 0.0)
    least = jnp.maximum(least, eps / 100 * strengths[-1]) / n
    return TwoPenaltiesOfFewRows(by_rows, drop(y), mean, None, rows, unit, least), alone


def _both_on_other_rows(x, y, judged_x, judged_y, basis, rows, unit):
    n, d = x.shape
    if n > d:
        share = jnp.zeros(len(judged_x), x.dtype)
        return TwoPenalties(x, y, judged_x, judged_y, basis, rows, share, unit)
    outside = outside_of(x, basis)
    by_rows = ByRows(outside @ outside.T, x @ basis)
    # No penalty at all divides by 0, and is not asked for.
    least = jnp.finfo(x.dtype).eps * jnp.trace(by_rows.gram) / n / n
    others = judged_x @ outside.T, judged_x @ basis, judged_y
    return TwoPenaltiesOfFewRows(by_rows, y, None, others, rows, unit, least)


def _on_learned_rows(x, y, basis, inside, mean, unit):
    n, d = x.shape
    eps = jnp.finfo(x.dtype).eps
    # Rows, but for the mean: n − 1 contrasts where it is learned.
    drop, lift = without_mean(mean)
    contrasts, size = drop(x), n - (mean is not None)
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
    alone = 1 - (0.0 if mean is None else mean**2) - lift(frame) ** 2 @ (1 - kept)
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


def without_mean(mean: Array | None) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Coordinates of columns beside the direction of the mean, and the way back: a reflection."""
    if mean is None:
        return lambda array: array, lambda array: array
    axis = mean.at[0].add(1.0)
    axis = axis / jnp.linalg.norm(axis)

    def reflected(array):
        return array - 2 * axis[:, None] * (axis @ array)[None, :]

    def drop(array):
        return reflected(array)[1:]

    def lift(array):
        return reflected(jnp.pad(array, ((1, 0), (0, 0))))

    return drop, lift
