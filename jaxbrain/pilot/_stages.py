"""One draw of a comparison: what the brain rows teach, and what task rows make of it.

Every estimator is a ridge regression of two kernels (`_penalties`): K of the inputs, and K₁ of the
learned subspace or of the predicted recordings. Sources of K₁ are stacked, so that one loop runs
over estimators, their controls, and fewer brain rows.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ._classes import Classes, Prior, prior_of
from ._penalties import (
    Folds,
    Rows,
    best_threshold,
    fitted,
    left_out,
    rows_of,
    spectrum_of,
    thresholds,
)

# Of the inside's prior variance beside the outside's, and of predicted recordings beside inputs.
# No inputs are an end. Ridge is the other end, or lies between.
_INSIDE = (0.1, 0.3, 3.0, 10.0, 30.0, 100.0, 1000.0)
_BAND = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
# Where squared errors need no penalty, the logistic loss needs one: classes that can be told apart
# have no largest likelihood. This one lets a standard deviation of a
# direction change a logit by one or two.
_LITTLE = 4.0


class Taught(NamedTuple):
    """What brain rows teach, for each source: a subspace, and an encoder."""

    basis: Float[Array, "s d k"]
    """Orthonormal columns; those beyond the rank are 0."""
    encoder: Float[Array, "s d q"]
    """Of which K₁ has the variance of the inputs."""
    rank: Float[Array, ""]
    penalty: Float[Array, ""]
    """Encoding penalty, a row."""


def centred(rows: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """The rows without their mean."""
    return rows - jnp.mean(rows, axis=0, keepdims=True)


def unit_encoder(encoder: Float[Array, "d q"], rows: Float[Array, "n d"]) -> Float[Array, "d q"]:
    """The encoder in the unit in which it predicts as much variance as the inputs have."""
    predicted = jnp.sum((rows @ encoder) ** 2)
    return encoder * jnp.sqrt(jnp.sum(rows**2) / jnp.where(predicted > 0, predicted, 1.0))


def teach(
    key: PRNGKeyArray,
    inputs: Float[Array, "n d"],
    recordings: Float[Array, "n p"],
    displaced: Array | None,
    most: int,
    rank: int | None,
    folds: Folds | None,
) -> Taught:
    """Encode recordings by ridge; with `displaced`, an order of the rows, the controls too.

    Its penalty and the rank are those that predict left-out recordings best. Sources are recordings
    alone, or recordings, shuffled recordings, chance and inputs.
    """
    x, r = centred(inputs), centred(recordings)
    rows = rows_of(x)
    if r.shape[1] > len(r):
        # Channels count through R Rᵀ alone.
        r = jnp.linalg.qr(r.T, mode="r").T
    spectrum = spectrum_of(rows.inner @ rows.inner.T)
    taus = thresholds(spectrum.values[-1])

    def encode(recorded: Array) -> tuple[Array, Array, Array, Array]:
        residual = left_out(rows, spectrum, recorded, taus, None, folds)
        tau, _ = best_threshold(taus, jnp.sum(residual**2, axis=(1, 2)))
        amplitudes = spectrum.vectors.T @ rows.lowered(recorded)
        shrunk = amplitudes / (spectrum.values + tau)[:, None]
        encoder = rows.inner.T @ (spectrum.vectors @ shrunk)
        # Patterns of channels that the fit explains most of: reduced-rank regression.
        explained = amplitudes.T @ (spectrum.values[:, None] * shrunk)
        patterns = jnp.linalg.eigh(explained)[1][:, ::-1][:, :most]
        missed = left_out(rows, spectrum, recorded, tau[None], None, folds)[0]
        # With folds, rows are in their order, and those that another fold judges are 0.
        judged = recorded
        if folds is not None:
            counts = jnp.asarray(folds.counts.ravel(), x.dtype)[:, None]
            judged = counts * recorded[folds.rows.ravel()]
        chosen = _rank(judged, judged - missed, most)
        return encoder, encoder @ patterns, chosen, tau / rows.n

    both = r[None] if displaced is None else jnp.stack([r, r[displaced]])
    encoders, directions, chosen, penalty = jax.lax.map(encode, both)
    kept = chosen[0] if rank is None else jnp.asarray(rank)
    bases = [jnp.linalg.qr(each)[0] for each in directions]
    encoders = [unit_encoder(each, x) for each in encoders]
    if displaced is not None:
        key_subspace, key_encoder = jr.split(key)
        # Drawn with the inputs' covariance: as likely to hold what the inputs vary by.
        by_chance = x.T @ jr.normal(key_subspace, (len(x), most), x.dtype)
        bases.append(jnp.linalg.qr(by_chance)[0])
        encoders.append(unit_encoder(x.T @ jr.normal(key_encoder, r.shape, x.dtype), x))
        # Of principal components as many as there are channels, by their variance.
        width = max(most, r.shape[1])
        scaled = rows.inner.T @ spectrum.vectors[:, ::-1][:, :width]
        lengths = jnp.linalg.norm(scaled[:, :most], axis=0, keepdims=True)
        bases.append(scaled[:, :most] / jnp.where(lengths > 0, lengths, 1.0))
        leading = scaled[:, : r.shape[1]]
        # Channels may be more than components.
        missing = r.shape[1] - leading.shape[1]
        encoders.append(unit_encoder(jnp.pad(leading, ((0, 0), (0, missing))), x))
    inside = (jnp.arange(most) < kept).astype(x.dtype)
    return Taught(jnp.stack(bases) * inside[None, None, :], jnp.stack(encoders), kept, penalty[0])


def _rank(recorded: Float[Array, "n p"], predicted: Float[Array, "n p"], most: int) -> Array:
    """The number of channel patterns whose left-out predictions clearly do more good than harm.

    Clearly is by more than a standard error. Patterns come from one half of the rows and are judged
    on the other, and the reverse.
    """
    half = len(recorded) // 2
    halves = (recorded[:half], predicted[:half]), (recorded[half:], predicted[half:])
    gains = []
    for (r, q), (seen, fit) in (halves, halves[::-1]):
        together = seen.T @ fit
        patterns = jnp.linalg.eigh(together + together.T)[1][:, ::-1][:, :most]
        actual, told = r @ patterns, q @ patterns
        gains.append(2 * actual * told - told**2)
    by_row = jnp.concatenate(gains)
    clear = jnp.sum(by_row, axis=0) - jnp.sqrt(jnp.sum(by_row**2, axis=0))
    return 1 + jnp.argmax(jnp.cumsum(clear))


class Learned(NamedTuple):
    """An estimator on the test rows."""

    missed: Float[Array, "m t"]
    """Residuals."""
    value: Float[Array, ""]
    """Of the criterion that chose its penalties."""
    score: Float[Array, ""]
    """Mean squared residual of left-out task rows."""
    prior: Prior | None = None
    """Of the weights, where targets are classes."""


class Task(NamedTuple):
    """Task and test rows, centred by the task rows, as all estimators see them."""

    rows: Rows
    targets: Float[Array, "n t"]
    test_inputs: Float[Array, "m d"]
    test_targets: Float[Array, "m t"]
    kernel: Float[Array, "c c"]
    cross: Float[Array, "m c"]
    classes: Classes | None = None
    """Of the task rows, where targets stand for classes."""

    def prior(self, kernel: Array, cross: Array, tau: Array | float = 1.0) -> Prior | None:
        """What logistic regression needs of an estimator; nothing where targets are numbers."""
        if self.classes is None:
            return None
        return prior_of(self.rows, kernel / tau, cross / tau, self.classes)


def task_of(
    inputs: Float[Array, "n d"],
    targets: Float[Array, "n t"],
    test_inputs: Float[Array, "m d"],
    test_targets: Float[Array, "m t"],
    classes: Classes | None = None,
) -> Task:
    """Centre, and form the kernel of the inputs."""
    x_mean, y_mean = (jnp.mean(array, axis=0, keepdims=True) for array in (inputs, targets))
    rows = rows_of(inputs - x_mean)
    new = test_inputs - x_mean
    kernel, cross = rows.inner @ rows.inner.T, new @ rows.inner.T
    return Task(rows, targets - y_mean, new, test_targets - y_mean, kernel, cross, classes)


def ridge(task: Task, folds: Folds | None) -> Learned:
    """The inputs' kernel alone."""
    found = fitted(task.rows, task.kernel, task.targets, None, folds)
    missed = task.test_targets - task.cross @ found.amplitudes
    prior = task.prior(task.kernel, task.cross, found.threshold)
    return Learned(missed, found.value, found.score, prior)


def least_squares(task: Task) -> Learned:
    """Without any penalty; NaN where rows are too few."""
    n, d = task.rows.n, task.rows.inner.shape[1]
    none = jnp.full((), jnp.nan, task.targets.dtype)
    whole = jnp.trace(task.kernel)
    if n <= d + 1:
        prior = task.prior(task.kernel, task.cross, whole)
        return Learned(jnp.full_like(task.test_targets, jnp.nan), none, none, prior)
    prior = task.prior(task.kernel, task.cross, _LITTLE * whole / d / n)
    values, vectors = spectrum_of(task.kernel)
    seen = values > values[-1] * d * jnp.finfo(values.dtype).eps
    inverse = jnp.where(seen, 1 / jnp.where(seen, values, 1.0), 0.0)
    inner = vectors.T @ task.rows.lowered(task.targets)
    missed = task.test_targets - task.cross @ (vectors @ (inverse[:, None] * inner))
    return Learned(missed, none, none, prior)


def _best_of(
    kernels: Array, crosses: Array, task: Task, folds: Folds | None
) -> tuple[Learned, Array, Array]:
    """The best of several kernels, stacked; which it is, and its τ."""
    found = jax.lax.map(lambda k: fitted(task.rows, k, task.targets, None, folds), kernels)
    best = jnp.argmin(jnp.where(jnp.isfinite(found.value), found.value, jnp.inf))
    missed = task.test_targets - crosses[best] @ found.amplitudes[best]
    tau = found.threshold[best]
    prior = task.prior(kernels[best], crosses[best], tau)
    return Learned(missed, found.value[best], found.score[best], prior), best, tau


class BySubspace(NamedTuple):
    """BEFS with one penalty and with two."""

    one: Learned
    two: Learned
    penalties: Float[Array, "2"]
    """Outside and inside, of the second; both 1 where it is ridge."""


def by_subspace(task: Task, basis: Float[Array, "d k"], alone: Learned, folds) -> BySubspace:
    """Weights within a subspace are penalised less, or not at all."""
    rows = task.rows
    z, z_new = rows.inner @ basis, task.test_inputs @ basis
    inside, inside_cross = z @ z.T, z_new @ z.T
    outside, outside_cross = task.kernel - inside, task.cross - inside_cross
    shares = jnp.asarray(_INSIDE, z.dtype)

    # No penalty inside: what is left once the subspace has fitted what it can. Columns beyond the
    # rank are 0, and stay so.
    values, vectors = jnp.linalg.eigh(z.T @ z)
    seen = values > values[-1] * len(z) * jnp.finfo(z.dtype).eps * 10
    root = jnp.where(seen, 1 / jnp.sqrt(jnp.where(seen, values, 1.0)), 0.0)
    to_free = vectors * root[None, :]
    free = z @ to_free
    left = outside - free @ (free.T @ outside)
    left = left - (left @ free) @ free.T
    found = fitted(rows, left, task.targets, free, folds)
    # Amplitudes have nothing within the subspace.
    unfitted = rows.lowered(task.targets) - outside @ found.amplitudes
    weights = to_free @ (free.T @ unfitted)
    missed = task.test_targets - outside_cross @ found.amplitudes - z_new @ weights
    seen_values = jnp.maximum(jnp.sum(seen.astype(z.dtype)), 1)
    mean = _LITTLE * jnp.sum(values) / seen_values / rows.n
    tau = jnp.where(mean > 0, mean, 1.0)
    prior = task.prior(
        outside / found.threshold + inside / tau,
        outside_cross / found.threshold + inside_cross / tau,
    )
    one = Learned(missed, found.value, found.score, prior)

    # Of unit size, whichever of the two counts more.
    size = jnp.maximum(shares, 1.0)[:, None, None]
    kernels = (outside[None] + shares[:, None, None] * inside[None]) / size
    crosses = (outside_cross[None] + shares[:, None, None] * inside_cross[None]) / size
    both, best, tau = _best_of(kernels, crosses, task, folds)
    outer = tau * jnp.maximum(shares, 1.0)[best] / rows.n
    penalties = jnp.stack([outer, outer / shares[best]])
    # With equal penalties it is ridge.
    is_better = both.value < alone.value
    two = jax.tree.map(lambda new, old: jnp.where(is_better, new, old), both, alone)
    return BySubspace(one, two, jnp.where(is_better, penalties, 1.0))


def by_encoder(task: Task, encoder: Float[Array, "d q"], alone: Learned, folds) -> Learned:
    """What recordings would have been is a second band of features."""
    q, q_new = task.rows.inner @ encoder, task.test_inputs @ encoder
    band, band_cross = q @ q.T, q_new @ q.T
    shares = np.asarray([share / (1 + share) for share in _BAND] + [1.0])
    shares = jnp.asarray(shares, q.dtype)[:, None, None]
    kernels = (1 - shares) * task.kernel[None] + shares * band[None]
    crosses = (1 - shares) * task.cross[None] + shares * band_cross[None]
    both, _, _ = _best_of(kernels, crosses, task, folds)
    better = both.value < alone.value
    return jax.tree.map(lambda new, old: jnp.where(better, new, old), both, alone)
