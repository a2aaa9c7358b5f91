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
    size: Float[Array, " t"]
    task_noise: Float[Array, " t"]
    common_missed: Float[Array, " 2"]
    common_size: Float[Array, " 2"]


def first_numbers(
    key: PRNGKeyArray, recorded: Recorded, targets: int, latent_dim: int
) -> Numbers:
    """Where a chain starts: at what the strongest directions of the recordings say."""
    d, (r, q), k = len(recorded.axes), recorded.along.shape, latent_dim
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
    found = found / scale + 0.1 * jr.normal(key, (d, k), dtype)
    rest = jnp.sum(recorded.rest**2) + jnp.sum((recorded.along - shrunken) ** 2)
    noise = rest / (recorded.rows * q)
    readout = readout * scale
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
        size=like,
        task_noise=like + 1.0,
        common_missed=jnp.asarray([0.0, 1.0], dtype),
        common_size=jnp.asarray([0.0, 1.0], dtype),
    )


def _wishart_factor(normals: Array, gammas: Array) -> Array:
    """Bartlett's factor T: T Tᵀ is Wishart, of as many degrees of freedom as `gammas` has halves."""
    return jnp.tril(normals, -1) + jnp.diag(jnp.sqrt(2 * gammas))


def _degrees(freedom: Array, k: int) -> Array:
    """Halves of the degrees of freedom on the diagonal of Bartlett's factor."""
    return jnp.maximum(freedom - jnp.arange(k), 1e-3) / 2


def _inverse_wishart(scale: Array, normals: Array, gammas: Array) -> Array:
    """A covariance whose inverse is Wishart with the inverse of `scale`."""
    k = len(scale)
    lower = jnp.linalg.cholesky(scale)
    factor = lower @ solve_triangular(
        _wishart_factor(normals, gammas), jnp.eye(k, dtype=scale.dtype), lower=True
    ).T
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

    def several(numbers: Numbers, keys: PRNGKeyArray) -> tuple[Numbers, Numbers]:
        numbers = jax.lax.scan(lambda x, key: (sweep(x, key), None), numbers, keys)[0]
        return numbers, numbers

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
    r, m = len(recorded.strengths), len(recorded.rest)
    spare_rows = recorded.rows - r - m
    spare_channels = recorded.channels - q
    keys = jr.split(key, 7)
    # One call each: random numbers take long to compile.
    sizes = (d * k, r * k, (r + m) * k, q * k, k * k, k * k, k * k, k * k, d * t, k * t)
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
    of_weights, of_told = of[8].reshape(d, t), of[9].reshape(k, t)
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

    # Directions of the latents, whatever the latents are: all that is known of them is isotropic
    # but for the strengths of the inputs, so that two matrices are made diagonal together.
    readout, noise = numbers.readout, numbers.recording_noise
    gain = (readout.T @ readout + numbers.spare_gain) / noise
    seen = jnp.linalg.solve(eye + gain @ numbers.latent_noise, gain)
    reading = jnp.linalg.solve(
        eye + gain @ numbers.latent_noise, readout.T @ recorded.along.T / noise
    ).T
    missed_power = jnp.exp(numbers.missed) * numbers.task_noise
    scaled = numbers.told / jnp.sqrt(missed_power)
    believed = eye + scaled @ scaled.T
    lower = jnp.linalg.cholesky(believed)
    turned = solve_triangular(lower, solve_triangular(lower, (seen + seen.T) / 2, lower=True).T, lower=True)
    each, rotation = jnp.linalg.eigh((turned + turned.T) / 2)
    turn = solve_triangular(lower, rotation, trans="T", lower=True)
    of_task = (numbers.weights / missed_power) @ numbers.told.T
    drawn = of_task @ turn + spread
    precision = 1 + recorded.strengths[:, None] * jnp.maximum(each, 0.0)
    linear = recorded.axes.T @ (of_task @ turn) + jnp.sqrt(recorded.strengths)[:, None] * (
        reading @ turn
    )
    along = linear / precision + at_axes / jnp.sqrt(precision)
    drawn = drawn + recorded.axes @ (along - recorded.axes.T @ drawn)
    directions = drawn @ turn.T

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
    half = solve_triangular(
        lower, _wishart_factor(of_rows, gammas[:k]), trans="T", lower=True
    )
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
        1e-3 * noise * eye + gain, of_prior, gammas[3 * k : 4 * k]
    )
    apart = latents - signal
    latent_noise = _inverse_wishart(
        0.1 * eye + apart.T @ apart + unseen, of_noise, gammas[2 * k : 3 * k]
    )

    # The task: how much recordings miss and the noise, whatever the weights are.
    e = labelled.strengths
    features = jnp.sqrt(e)[:, None] * (labelled.axes.T @ (directions * active))
    ratios = jnp.asarray(_RATIOS, dtype)
    weighted = 1 / (1 + jnp.exp(ratios)[:, None] * e)
    logdet = -jnp.sum(jnp.log(weighted), axis=1)
    grams = jnp.einsum("js,sk,sl->jkl", weighted, features, features)
    products = jnp.einsum("js,sk,st->jtk", weighted, features, labelled.along)
    squares = weighted @ labelled.along**2 + labelled.rest
    systems = grams[:, None] + (jnp.exp(-numbers.size)[:, None, None] * eye)
    factors = jnp.linalg.cholesky(systems)
    solved = solve_triangular(factors, products[..., None], lower=True)[..., 0]
    left = squares - jnp.sum(solved**2, axis=-1)
    logdets = (
        logdet[:, None]
        + 2 * jnp.sum(jnp.log(jnp.diagonal(factors, axis1=-2, axis2=-1)), axis=-1)
        + k * numbers.size
    )
    likelihood = -0.5 * logdets - 0.5 * labelled.rows * jnp.log(left)
    which = _pick(keys[2], likelihood.T + _prior(ratios, numbers.common_missed, t))
    jitter = jr.uniform(keys[3], (2, t), dtype) - 0.5
    targets = jnp.arange(t)
    task_noise = left[which, targets] / 2 / gammas[4 * k + 1 :]
    factor = factors[which, targets]
    told = solve_triangular(
        factor,
        (solved[which, targets] + jnp.sqrt(task_noise)[:, None] * of_told.T)[..., None],
        trans="T",
        lower=True,
    )[..., 0].T
    told = told * active[:, None]
    missed = ratios[which] + _CELL * jitter[0]
    # In all latents together.
    power = jnp.sum(told**2, axis=0) / task_noise
    count = jnp.sum(active)
    likelihood = -0.5 * (count * ratios + power[:, None] * jnp.exp(-ratios))
    common_size = numbers.common_size
    which = _pick(
        keys[4], likelihood + _prior(ratios + jnp.log(count), common_size, t)
    )
    size = ratios[which] + _CELL * jitter[1]
    if t > 1:
        common_missed = _common(keys[5], missed)
        common_size = _common(keys[6], size + jnp.log(count))
    else:
        common_missed = numbers.common_missed

    # Weights of the tasks.
    ratio = jnp.exp(missed)
    expected = directions @ told
    drawn = expected + jnp.sqrt(ratio * task_noise) * of_weights
    shrink = 1 + e[:, None] * ratio
    before = labelled.axes.T @ expected
    along = (
        before
        + jnp.sqrt(e)[:, None] * ratio * (labelled.along - jnp.sqrt(e)[:, None] * before) / shrink
        + jnp.sqrt(ratio * task_noise / shrink) * (labelled.axes.T @ of_weights)
    )
    weights = drawn + labelled.axes @ (along - labelled.axes.T @ drawn)
    return Numbers(
        directions,
        readout,
        spare_gain,
        latent_noise,
        noise,
        readout_prior,
        weights,
        told,
        missed,
        size,
        task_noise,
        common_missed,
        common_size,
    )


def _prior(ratios: Array, common: Array, targets: int) -> Array:
    """Of the logarithm of a ratio of variances: half-Cauchy of its root, or as other targets'."""
    if targets == 1:
        return ratios / 2 - jnp.logaddexp(0.0, ratios)
    return -0.5 * ((ratios - common[0]) / common[1]) ** 2


def _common(key: PRNGKeyArray, logarithms: Array) -> Array:
    """Middle and spread of the logarithms of all targets."""
    ratios, spreads = (jnp.asarray(x, logarithms.dtype) for x in (_RATIOS, _SPREADS))
    off = (logarithms - ratios[:, None, None]) / spreads[:, None]
    likelihood = jnp.sum(-0.5 * off**2 - jnp.log(spreads[:, None]), axis=-1)
    prior = ratios / 2 - jnp.logaddexp(0.0, ratios)
    which = _pick(key, (likelihood + prior[:, None]).ravel())
    return jnp.stack([ratios[which // len(spreads)], spreads[which % len(spreads)]])
