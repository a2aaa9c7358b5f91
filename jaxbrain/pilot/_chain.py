"""Draws of all numbers of a study from their posterior, by Gibbs sampling."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PRNGKeyArray

# Logarithms of ratios of variances are drawn from cells of this grid, and within a cell evenly.
_RATIOS = np.linspace(np.log(1e-4), np.log(1e4), 65)
_CELL = _RATIOS[1] - _RATIOS[0]
# Spreads, over targets, of the logarithm of such a ratio.
_SPREADS = np.array([0.2, 0.4, 0.8, 1.6])
# Probability of each cell, by the middle and the spread.
_PRIORS = np.exp(-0.5 * ((_RATIOS - _RATIOS[:, None, None]) / _SPREADS[:, None]) ** 2).reshape(
    -1, len(_RATIOS)
)
_PRIORS = _PRIORS / _PRIORS.sum(axis=1, keepdims=True) + 1e-300
# Precision of what is known to be 0.
_NAUGHT = 1e9


class Recorded(NamedTuple):
    """What recordings say of latents and channels: all rows, turned so that few are left.

    Inputs are white ones times the scales of the prior. With their singular value decomposition
    P E^½ Qᵀ, Pᵀ turns the rows of the recordings into as many with inputs, and others without; of
    these the singular values and vectors are left. All that is 0 then is only counted.
    """

    axes: Float[Array, "d r"]
    strengths: Float[Array, " r"]
    along: Float[Array, "r q"]
    rest: Float[Array, "m q"]
    rows: Float[Array, ""]
    channels: Float[Array, ""]


class Labelled(NamedTuple):
    """What labels say of the task, turned in the same way: `rest` is a sum of squares."""

    axes: Float[Array, "d s"]
    strengths: Float[Array, " s"]
    along: Float[Array, "s t"]
    rest: Float[Array, " t"]
    rows: Float[Array, ""]


class Numbers(NamedTuple):
    """One draw: of the recordings (A, H, Σz, σr²), the task (g, β, ratios, σ²), and the priors.

    Latents are z = Aᵀx + ε, recordings H z + noise, and a task β = A g + what recordings miss, of
    variance σ² exp(missed) in all. Inputs, A and β are in the coordinates of `Recorded`.
    """

    directions: Float[Array, "d k"]
    readout: Float[Array, "q k"]
    spare_gain: Float[Array, "k k"]
    latent_noise: Float[Array, "k k"]
    recording_noise: Float[Array, ""]
    readout_prior: Float[Array, "k k"]
    weights: Float[Array, "d t"]
    told: Float[Array, "k t"]
    missed: Float[Array, " t"]
    size: Float[Array, ""]
    task_noise: Float[Array, " t"]


def first_numbers(key: PRNGKeyArray, recorded: Recorded, targets: int, latent_dim: int) -> Numbers:
    """Where a chain starts: at what the strongest directions of the recordings say."""
    d, q, k = len(recorded.axes), recorded.along.shape[1], latent_dim
    e = recorded.strengths[:, None]
    # Ridge regression with as much noise as there is signal.
    shrunken = recorded.along * e / (e + jnp.mean(e))
    rotation = jnp.linalg.svd(shrunken, full_matrices=False)[2].T
    short = max(0, k - rotation.shape[1])
    readout = jnp.pad(rotation[:, :k], ((0, 0), (0, short)))
    scores = recorded.along @ readout
    found = recorded.axes @ (jnp.sqrt(e) * scores / (e + jnp.mean(e)))
    scale = jnp.sqrt(jnp.sum(found**2, axis=0)) + 1e-6
    dtype = e.dtype
    found = found / scale[None] + 0.1 * jr.normal(key, (d, k), dtype)
    rest = jnp.sum(recorded.rest**2) + jnp.sum((recorded.along - shrunken) ** 2)
    noise = rest / (recorded.rows * q)
    readout = readout * scale[None]
    eye = jnp.eye(k, dtype=dtype)
    like = jnp.zeros(targets, dtype)
    return Numbers(
        directions=found,
        readout=readout,
        spare_gain=0 * eye,
        latent_noise=eye,
        recording_noise=noise,
        readout_prior=eye * (jnp.sum(readout**2) / (q * k) + 1e-6),
        weights=jnp.zeros((d, targets), dtype),
        told=jnp.zeros((k, targets), dtype),
        missed=like,
        size=jnp.zeros((), dtype),
        task_noise=like + 1.0,
    )


def _wishart_factor(normals: Array, gammas: Array) -> Array:
    """Bartlett's factor T of a Wishart matrix T Tᵀ: its diagonal has squares of twice `gammas`."""
    return jnp.tril(normals, -1) + jnp.diag(jnp.sqrt(2 * gammas))


def _degrees(freedom: Array, k: int) -> Array:
    """Halves of the degrees of freedom on the diagonal of Bartlett's factor."""
    return jnp.maximum(freedom - np.arange(k, dtype=float), 1e-3) / 2


def _inverse_wishart(scale: Array, normals: Array, gammas: Array) -> Array:
    """A covariance whose inverse is Wishart with the inverse of `scale`."""
    k = len(scale)
    lower = jnp.linalg.cholesky(scale)
    factor = (
        lower
        @ solve_triangular(
            _wishart_factor(normals, gammas), jnp.eye(k, dtype=scale.dtype), lower=True
        ).T
    )
    return factor @ factor.T


def _pick(key: PRNGKeyArray, logarithms: Array) -> Array:
    """Draw along the last axis, by logarithms of probabilities."""
    return jr.categorical(key, logarithms, axis=-1)


@partial(jax.jit, static_argnames=("burn", "kept", "thin"))
def run_chain(
    key: PRNGKeyArray,
    recorded: Recorded,
    labelled: Labelled,
    active: Float[Array, " k"],
    burn: int,
    kept: int,
    thin: int,
) -> Numbers:
    """Draws of a chain: `kept` of them, `thin` sweeps apart, after `burn` sweeps.

    `active` is 1 for latents that there are and 0 for others, so that one program serves all
    numbers of latents.
    """
    key_start, key_burn, key_kept = jr.split(key, 3)
    start = first_numbers(key_start, recorded, labelled.along.shape[1], len(active))
    sweep = partial(_sweep, recorded, labelled, active)

    def several(numbers: Numbers, keys: Array) -> tuple[Numbers, Numbers]:
        numbers = jax.lax.scan(lambda x, key: (sweep(x, key), None), numbers, keys)[0]
        weights = _weights(labelled, active, numbers, jr.fold_in(keys[0], 1))
        return numbers, numbers._replace(weights=weights)

    start = jax.lax.scan(lambda x, key: (sweep(x, key), None), start, jr.split(key_burn, burn))[0]
    keys = jr.split(key_kept, kept * thin).reshape(kept, thin)
    return jax.lax.scan(several, start, keys)[1]


def _sweep(
    recorded: Recorded, labelled: Labelled, active: Array, numbers: Numbers, key: PRNGKeyArray
) -> Numbers:
    """All numbers once, each given the others."""
    q, k = numbers.readout.shape
    t = labelled.along.shape[1]
    d, dtype = len(recorded.axes), recorded.strengths.dtype
    r, m, s = len(recorded.strengths), len(recorded.rest), len(labelled.strengths)
    spare_rows = recorded.rows - r - m
    spare_channels = recorded.channels - q
    keys = jr.split(key, 6)
    # One call each: random numbers take long to compile.
    sizes = (d * k, r * k, (r + m) * k, q * k, k * k, k * k, k * k, k * k, s * t, k * t)
    parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    normals = jr.normal(keys[0], (sum(sizes),), dtype)
    of = [normals[part[0] : part[-1] + 1] for part in parts]
    spread, at_axes, of_latents, of_readout = (
        of[0].reshape(d, k),
        of[1].reshape(r, k),
        of[2].reshape(r + m, k),
        of[3].reshape(q, k),
    )
    of_rows, of_channels, of_noise, of_prior = (x.reshape(k, k) for x in of[4:8])
    at_labels, of_told = of[8].reshape(s, t), of[9].reshape(k, t)
    noise_degrees = k + 1 + recorded.rows
    prior_degrees = k + 1 + recorded.channels
    degrees = jnp.concatenate(
        [
            _degrees(jnp.maximum(spare_rows, 0.0), k),
            _degrees(jnp.maximum(spare_channels, 0.0), k),
            _degrees(noise_degrees, k),
            _degrees(prior_degrees, k),
            jnp.asarray([recorded.rows * recorded.channels / 2]),
            jnp.full(t, labelled.rows / 2),
        ]
    ).astype(dtype)
    gammas = jr.gamma(keys[1], degrees)
    eye = jnp.eye(k, dtype=dtype)
    absent = jnp.diag((1 - active) * _NAUGHT)

    # Directions of the latents, whatever latents and weights are.
    readout, noise = numbers.readout, numbers.recording_noise
    gain = (readout.T @ readout + numbers.spare_gain) / noise
    filtered = eye + gain @ numbers.latent_noise
    seen = jnp.linalg.solve(filtered, gain)
    reading = jnp.linalg.solve(filtered, readout.T @ recorded.along.T / noise).T
    directions = _directions(
        recorded, labelled, numbers, (seen + seen.T) / 2, reading, spread, at_axes, at_labels
    )

    # Latents of each row.
    driven = jnp.sqrt(recorded.strengths)[:, None] * (recorded.axes.T @ directions)
    rows = jnp.concatenate([recorded.along, recorded.rest])
    signal = jnp.concatenate([driven, jnp.zeros((m, k), dtype)])
    inverse_noise = jnp.linalg.inv(numbers.latent_noise)
    lower = jnp.linalg.cholesky(inverse_noise + gain)
    linear = signal @ inverse_noise + rows @ readout / noise
    latents = solve_triangular(
        lower, solve_triangular(lower, linear.T, lower=True) + of_latents.T, trans="T", lower=True
    ).T
    half = solve_triangular(lower, _wishart_factor(of_rows, gammas[:k]), trans="T", lower=True)
    unseen = jnp.where(spare_rows > 0, half @ half.T, 0.0)
    second = latents.T @ latents + unseen

    # The readout, and how strong it is.
    inverse_prior = jnp.linalg.inv(numbers.readout_prior)
    lower = jnp.linalg.cholesky(second / noise + inverse_prior + absent)
    cross = latents.T @ rows
    readout = solve_triangular(
        lower,
        solve_triangular(lower, cross / noise, lower=True) + of_readout.T,
        trans="T",
        lower=True,
    ).T
    half = solve_triangular(
        lower, _wishart_factor(of_channels, gammas[k : 2 * k]), trans="T", lower=True
    )
    spare_gain = jnp.where(spare_channels > 0, half @ half.T, 0.0)
    gain = readout.T @ readout + spare_gain
    left = (
        jnp.sum((rows - latents @ readout.T) ** 2)
        + jnp.sum(unseen * (readout.T @ readout))
        + jnp.sum(spare_gain * second)
    )
    noise = left / 2 / gammas[4 * k]
    readout_prior = _inverse_wishart(
        (k + 1) / recorded.channels * noise * eye + gain, of_prior, gammas[3 * k : 4 * k]
    )
    apart = latents - signal
    latent_noise = _inverse_wishart(
        0.1 * eye + apart.T @ apart + unseen, of_noise, gammas[2 * k : 3 * k]
    )

    # The task: how much recordings miss and the noise, whatever the weights are.
    e = labelled.strengths
    features = jnp.sqrt(e)[:, None] * (labelled.axes.T @ (directions * active[None]))
    ratios = jnp.asarray(_RATIOS, dtype)
    weighted = 1 / (1 + jnp.exp(ratios)[:, None] * e[None])
    logdet = -jnp.sum(jnp.log(weighted), axis=1)
    grams = jnp.einsum("js,sk,sl->jkl", weighted, features, features)
    products = jnp.einsum("js,sk,st->jkt", weighted, features, labelled.along)
    squares = weighted @ labelled.along**2 + labelled.rest[None]
    factors = jnp.linalg.cholesky(grams + (jnp.exp(-numbers.size) * eye)[None])
    solved = solve_triangular(factors, products, lower=True)
    left = squares - jnp.sum(solved**2, axis=1)
    logdets = logdet + 2 * jnp.sum(jnp.log(jnp.diagonal(factors, axis1=-2, axis2=-1)), axis=-1)
    likelihood = -0.5 * logdets[:, None] - 0.5 * labelled.rows * jnp.log(left)
    likelihood = likelihood.T
    prior = _broad(ratios)[None] if t == 1 else _common_prior(keys[5], likelihood)
    which = _pick(keys[2], likelihood + prior)
    jitter = jr.uniform(keys[3], (t + 1,), dtype) - 0.5
    targets = jnp.arange(t)
    missed = ratios[which] + _CELL * jitter[:t]
    task_noise = left[which, targets] / 2 / gammas[4 * k + 1 :]
    told = solve_triangular(
        factors[which],
        (solved[which, :, targets] + jnp.sqrt(task_noise)[:, None] * of_told.T)[..., None],
        trans="T",
        lower=True,
    )[..., 0].T
    told = told * active[:, None]
    # The variance that each latent tells of a task has a prior of one size for all.
    count, power = jnp.sum(active), jnp.sum(told**2 / task_noise[None])
    likelihood = -0.5 * (t * count * ratios + power * jnp.exp(-ratios))
    at = ratios + jnp.log(count)
    which = _pick(keys[4], likelihood + _broad(at))
    size = ratios[which] + _CELL * jitter[t]

    return Numbers(
        directions,
        readout,
        spare_gain,
        latent_noise,
        noise,
        readout_prior,
        numbers.weights,
        told,
        missed,
        size,
        task_noise,
    )


def _directions(
    recorded: Recorded,
    labelled: Labelled,
    numbers: Numbers,
    seen: Array,
    reading: Array,
    spread: Array,
    at_axes: Array,
    at_labels: Array,
) -> Array:
    """A draw of A, from what both kinds of rows say of it.

    Its precision is 1 + X_BᵀX_B ⊗ `seen`, and of each task X_Tᵀ(noise and what is missed)⁻¹X_T ⊗
    g gᵀ. A sum of independent normal numbers with that covariance, and of what rows say, is solved
    for by conjugate gradients: Papandreou and Yuille (2010). Were tasks seen alike in all
    directions, two matrices could be made diagonal together, which preconditions it.
    """
    told, e, s = numbers.told, recorded.strengths[:, None], labelled.strengths[:, None]
    known = 1 / (numbers.task_noise[None] * (1 + s * jnp.exp(numbers.missed)[None]))
    q_brain, q_task = recorded.axes, labelled.axes
    (d, k), dtype = spread.shape, spread.dtype
    values, vectors = jnp.linalg.eigh(seen)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None]

    def precision(x: Array) -> Array:
        brain = q_brain @ (e * (q_brain.T @ x)) @ seen
        return x + brain + q_task @ ((s * known * (q_task.T @ x @ told)) @ told.T)

    right = (
        spread
        + q_brain @ (jnp.sqrt(e) * (reading + at_axes @ root.T))
        + q_task @ ((jnp.sqrt(s) * (known * labelled.along + jnp.sqrt(known) * at_labels)) @ told.T)
    )
    scaled = told * jnp.sqrt(jnp.sum(s * known, axis=0, keepdims=True) / d)
    lower = jnp.linalg.cholesky(jnp.eye(k, dtype=dtype) + scaled @ scaled.T)
    half = solve_triangular(lower, seen, lower=True)
    each, rotation = jnp.linalg.eigh(solve_triangular(lower, half.T, lower=True))
    turn = solve_triangular(lower, rotation, trans="T", lower=True)
    kept = 1 / (1 + e * jnp.maximum(each, 0.0)[None]) - 1

    def condition(x: Array) -> Array:
        x = x @ turn
        return (x + q_brain @ (kept * (q_brain.T @ x))) @ turn.T

    def step(state):
        x, left, ahead, size, count = state
        forward = precision(ahead)
        length = size / jnp.sum(ahead * forward)
        x, left = x + length * ahead, left - length * forward
        conditioned = condition(left)
        next_size = jnp.sum(left * conditioned)
        return x, left, conditioned + next_size / size * ahead, next_size, count + 1

    first = condition(right)
    left = right - precision(first)
    ahead = condition(left)
    start = first, left, ahead, jnp.sum(left * ahead), 0
    # An error of 0.3 % of a standard deviation.
    return jax.lax.while_loop(lambda x: (x[3] > 1e-5 * d * k) & (x[4] < 200), step, start)[0]


def _weights(labelled: Labelled, active: Array, numbers: Numbers, key: PRNGKeyArray) -> Array:
    """A draw of the weights of the tasks, given all else."""
    e, ratio = labelled.strengths[:, None], jnp.exp(numbers.missed)[None]
    expected = (numbers.directions * active[None]) @ numbers.told
    apart = jr.normal(key, expected.shape, expected.dtype)
    spread = jnp.sqrt(ratio * numbers.task_noise[None])
    shrink = 1 + e * ratio
    before = labelled.axes.T @ expected
    along = jnp.sqrt(e) * ratio * (labelled.along - jnp.sqrt(e) * before) / shrink
    along = along + spread * (1 / jnp.sqrt(shrink) - 1) * (labelled.axes.T @ apart)
    return expected + spread * apart + labelled.axes @ along


def _broad(ratios: Array) -> Array:
    """Half-Cauchy of the root of a ratio: Gelman (2006)."""
    return ratios / 2 - jnp.logaddexp(0.0, ratios)


def _common_prior(key: PRNGKeyArray, likelihood: Array) -> Array:
    """What many targets say of the prior of each: a draw of its middle and spread."""
    table = jnp.asarray(_PRIORS, likelihood.dtype)
    # Whatever each target's own ratio is: with these given the middle could hardly move.
    highest = jnp.max(likelihood, axis=1, keepdims=True)
    together = jnp.log(table @ jnp.exp(likelihood - highest).T)
    middles = jnp.repeat(_broad(jnp.asarray(_RATIOS, likelihood.dtype)), len(_SPREADS))
    return jnp.log(table[_pick(key, jnp.sum(together, axis=1) + middles)])[None]
