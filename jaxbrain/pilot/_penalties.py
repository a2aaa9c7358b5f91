"""Ridge with a second kernel, and its penalties: one factorisation serves them all.

Rows X learn from K = X Xᵀ, and from what the brain makes of them, K₁. With penalties the answer is
that of the kernel K + ρ K₁ and one number τ on its diagonal. For each ρ of a grid one
eigendecomposition gives the marginal likelihood for every τ, and the residuals of left-out rows.
All of it happens in coordinates of the rows, or of the inputs where these are fewer.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_DECADES = {8: (-6.0, 3.0), 4: (-5.0, 3.0)}
"""Of τ beside the largest eigenvalue, by the bytes of a number: beyond, nothing changes."""
_STEPS_A_DECADE = 1.5


class Rows(NamedTuple):
    """Centred rows, in coordinates of which there are no more than rows or inputs."""

    inner: Float[Array, "m d"]
    lift: Float[Array, "n m"] | None
    """Orthonormal columns that bring coordinates back to rows; None where they are the rows."""
    n: int

    def lifted(self, coordinates: Float[Array, "m *s"]) -> Float[Array, "n *s"]:
        """From coordinates to rows."""
        return coordinates if self.lift is None else self.lift @ coordinates

    def lowered(self, columns: Float[Array, "n s"]) -> Float[Array, "m s"]:
        """From rows to coordinates."""
        return columns if self.lift is None else self.lift.T @ columns


def rows_of(inputs: Float[Array, "n d"]) -> Rows:
    """The coordinates of centred rows."""
    n, d = inputs.shape
    if n <= d:
        return Rows(inputs, None, n)
    lift, inner = jnp.linalg.qr(inputs)
    return Rows(inner, lift, n)


class Folds(NamedTuple):
    """Rows that are left out together, one fold each; neighbours in the order of the rows."""

    rows: np.ndarray
    """Shape (folds, size)."""
    counts: np.ndarray
    """1, or 0 for a row that another fold judges."""


def folds_of(n: int, folds: int) -> Folds:
    """So many folds of consecutive rows, of equal size; the last may repeat rows of another."""
    size = -(-n // folds)
    starts = np.minimum(np.arange(-(-n // size)) * size, n - size)
    rows = starts[:, None] + np.arange(size)
    first = np.concatenate([[0], starts[:-1] + size])
    return Folds(rows, (rows >= first[:, None]).astype(float))


class Spectrum(NamedTuple):
    """Eigendecomposition of a kernel, and what is needed of the rows."""

    values: Float[Array, " m"]
    vectors: Float[Array, "m m"]


def spectrum_of(kernel: Float[Array, "m m"]) -> Spectrum:
    """Eigenvalues, of which rounding makes none negative, and eigenvectors."""
    values, vectors = jnp.linalg.eigh(kernel, symmetrize_input=False)
    return Spectrum(jnp.maximum(values, 0.0), vectors)


def thresholds(largest: Float[Array, ""]) -> Float[Array, " g"]:
    """The values of τ that are tried."""
    low, high = _DECADES[largest.dtype.itemsize]
    count = round((high - low) * _STEPS_A_DECADE) + 1
    grid = jnp.asarray(np.logspace(low, high, count), largest.dtype)
    # Without any kernel all τ are alike.
    return jnp.where(largest > 0, largest, 1.0) * grid


def left_out(
    rows: Rows,
    spectrum: Spectrum,
    targets: Float[Array, "n t"],
    taus: Float[Array, " g"],
    free: Float[Array, "m k"] | None,
    folds: Folds | None,
) -> Float[Array, "g judged t"]:
    """Residuals of rows that were left out, for every τ; targets are centred.

    With folds they come fold by fold, and are 0 where another fold judges a row.
    `free` spans, orthonormally, what is not penalised beside the mean.
    """
    modes = rows.lifted(spectrum.vectors)
    amplitudes = spectrum.vectors.T @ rows.lowered(targets)
    kept = spectrum.values[None, :] / (spectrum.values[None, :] + taus[:, None])
    # One product for all τ.
    shrunk = (kept.T[:, :, None] * amplitudes[:, None, :]).reshape(len(amplitudes), -1)
    fit = (modes @ shrunk).reshape(rows.n, *kept.shape[:1], -1)
    residual = targets[None] - jnp.swapaxes(fit, 0, 1)
    unpenalised = None
    if free is not None:
        unpenalised = rows.lifted(free)
        residual = residual - (unpenalised @ (free.T @ rows.lowered(targets)))[None]
    if folds is None:
        freedom = 1 - 1 / rows.n - kept @ (modes**2).T
        if unpenalised is not None:
            freedom = freedom - jnp.sum(unpenalised**2, axis=1)[None]
        # A row that fits itself tells nothing; rounding must not make it tell much.
        return residual / jnp.maximum(freedom, jnp.finfo(modes.dtype).eps ** 0.5)[:, :, None]

    def of_fold(members: Array) -> Array:
        size = members.shape[0]
        of_modes = modes[members]
        hat = jnp.einsum("am,gm,bm->gab", of_modes, kept, of_modes) + 1 / rows.n
        if unpenalised is not None:
            hat = hat + (unpenalised[members] @ unpenalised[members].T)[None]
        rounding = jnp.finfo(modes.dtype).eps ** 0.5
        left = (1 + rounding) * jnp.eye(size, dtype=modes.dtype)[None] - hat
        return jnp.linalg.solve(left, residual[:, members])

    by_fold = jax.lax.map(of_fold, jnp.asarray(folds.rows))
    counts = jnp.asarray(folds.counts, modes.dtype)
    return jnp.moveaxis(counts[:, None, :, None] * by_fold, 0, 1).reshape(
        len(taus), -1, targets.shape[1]
    )


def best_threshold(taus: Float[Array, " g"], scores: Float[Array, " g"]) -> tuple[Array, Array]:
    """The τ at the lowest point of a parabola through the best three, and the lowest score."""
    scores = jnp.where(jnp.isfinite(scores), scores, jnp.inf)
    at = jnp.clip(jnp.argmin(scores), 1, len(taus) - 2)
    before, here, after = (scores[at + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    step = jnp.where(bend > 0, (before - after) / (2 * jnp.where(bend > 0, bend, 1.0)), 0.0)
    step = jnp.where(jnp.isfinite(step), jnp.clip(step, -1.0, 1.0), 0.0)
    # At an end of the grid the end is best.
    step = jnp.where(here <= jnp.minimum(before, after), step, jnp.sign(before - after))
    step = jnp.where(before == after, 0.0, step)
    return taus[at] * (taus[1] / taus[0]) ** step, jnp.min(scores)


def evidence(
    rows: Rows,
    spectrum: Spectrum,
    targets: Float[Array, "n t"],
    taus: Float[Array, " g"],
    free: Float[Array, "m k"] | None,
) -> Float[Array, " g"]:
    """-2 log marginal likelihood a row and target, for every τ; targets are centred.

    Weights are drawn from the prior that the penalties stand for. Each target has a noise variance
    of its own, at its best. What is not penalised is left out of the data: restricted likelihood.
    """
    lowered = rows.lowered(targets)
    outside = jnp.sum(targets**2, axis=0) - jnp.sum(lowered**2, axis=0)
    amplitudes = spectrum.vectors.T @ _without(free, lowered)
    left = taus[:, None] / (spectrum.values[None, :] + taus[:, None])
    squares = left @ amplitudes**2 + jnp.maximum(outside, 0.0)[None]
    # Free columns are orthonormal, or 0.
    freedom = rows.n - 1.0 - (0.0 if free is None else jnp.sum(free**2))
    least = jnp.finfo(squares.dtype).tiny
    spread = jnp.mean(jnp.log(jnp.maximum(squares, least) / freedom), axis=1)
    return spread - jnp.sum(jnp.log(left), axis=1) / freedom


def _without(free: Array | None, columns: Array) -> Array:
    return columns if free is None else columns - free @ (free.T @ columns)


class Fitted(NamedTuple):
    """A kernel with its best τ."""

    value: Float[Array, ""]
    """Of the criterion by which τ was chosen: the less the better, among equal `free`."""
    threshold: Float[Array, ""]
    """τ = n times the penalty."""
    amplitudes: Float[Array, "m t"]
    """α, in coordinates: predictions are the kernel's rows times it."""
    score: Float[Array, ""]
    """Mean squared residual of left-out rows."""


def fitted(
    rows: Rows,
    kernel: Float[Array, "m m"],
    targets: Float[Array, "n t"],
    free: Float[Array, "m k"] | None = None,
    folds: Folds | None = None,
) -> Fitted:
    """Fit centred targets with the best τ, which all of them share.

    It is that of the largest marginal likelihood. With folds, rows depend on their neighbours,
    which no likelihood of single rows knows: then it is that which predicts left-out folds best.
    """
    spectrum = spectrum_of(kernel)
    taus = thresholds(spectrum.values[-1])

    def errors(taus: Array) -> Array:
        residual = left_out(rows, spectrum, targets, taus, free, folds)
        return jnp.sum(residual**2, axis=(1, 2)) / targets.size

    values = evidence(rows, spectrum, targets, taus, free) if folds is None else errors(taus)
    tau, value = best_threshold(taus, values)
    lowered = spectrum.vectors.T @ _without(free, rows.lowered(targets))
    amplitudes = spectrum.vectors @ (lowered / (spectrum.values + tau)[:, None])
    return Fitted(value, tau, amplitudes, errors(tau[None])[0])
