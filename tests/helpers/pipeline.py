"""The whole pipeline by brute force in NumPy: recordings, learned subspaces, labels, errors."""

import functools
from typing import NamedTuple

import numpy as np

import jaxbrain as jb


class Setting(NamedTuple):
    """One experiment: dimensions, sample numbers, noise, and how much of the task is missed."""

    input_dim: int
    latent_dim: int
    recording_dim: int
    n_brain: int
    n_task: int
    misalignment: float
    latent_noise: float | str
    recording_noise: float
    task_noise: float

    def __str__(self):
        return "-".join(map(str, self))


def build(setting):
    """The arrays of a model with this setting: encoder, readout, latent noise, task weights."""
    d, k, p = setting[:3]
    rng = np.random.default_rng(d)
    encoder = np.linalg.qr(rng.standard_normal((d, k)))[0]
    readout = rng.standard_normal((p, k))
    if setting.latent_noise == "correlated":
        factor = rng.standard_normal((k, k))
        latent_noise = 0.1 * np.eye(k) + 0.4 * factor @ factor.T / k
    else:
        latent_noise = setting.latent_noise * np.eye(k)
    direction = rng.standard_normal(d)
    inside = encoder @ (encoder.T @ direction)
    outside = direction - inside
    weights = np.sqrt(1 - setting.misalignment) * inside / np.linalg.norm(inside)
    weights += np.sqrt(setting.misalignment) * outside / np.linalg.norm(outside)
    return encoder, readout, latent_noise, weights


@functools.cache
def problem_of(setting):
    encoder, readout, latent_noise, weights = build(setting)
    if setting.latent_noise != "correlated":
        latent_noise = setting.latent_noise
    return jb.LinearGaussianModel(
        encoder, readout, latent_noise, setting.recording_noise, weights, setting.task_noise
    ).problem()


def transpose(matrices):
    return matrices.transpose(0, 2, 1)


def learn_subspaces(rng, setting, draws):
    """Reduced-rank regression of simulated recordings: (draws, d, k) orthonormal bases."""
    encoder, readout, latent_noise, _ = build(setting)
    d, k, p, n = setting[:4]
    values, vectors = np.linalg.eigh(latent_noise)
    latent_factor = vectors * np.sqrt(np.maximum(values, 0))
    inputs = rng.standard_normal((draws, n, d))
    latents = inputs @ encoder + rng.standard_normal((draws, n, k)) @ latent_factor.T
    noise = np.sqrt(setting.recording_noise) * rng.standard_normal((draws, n, p))
    recordings = latents @ readout.T + noise
    gram, cross = transpose(inputs) @ inputs, transpose(inputs) @ recordings
    regression = np.linalg.solve(gram, cross)
    leading = np.linalg.eigh(transpose(regression) @ cross)[1][..., -k:]
    return np.linalg.qr(regression @ leading)[0]


def fit_errors(rng, bases, weights, n_task, task_noise, penalties):
    """β̂ − β of penalised regression on simulated labels: (draws, penalties, d)."""
    draws, d = bases.shape[:2]
    inputs = rng.standard_normal((draws, n_task, d))
    labels = inputs @ weights + np.sqrt(task_noise) * rng.standard_normal((draws, n_task))
    gram, cross = transpose(inputs) @ inputs, transpose(inputs) @ labels[..., None]
    outside = np.eye(d) - bases @ transpose(bases)
    fits = [np.linalg.solve(gram + n_task * penalty * outside, cross) for penalty in penalties]
    return np.stack([fit[..., 0] - weights for fit in fits], 1)


def task_errors(rng, bases, weights, n_task, task_noise, penalties):
    """Excess risk of penalised regression on simulated labels: (draws, penalties)."""
    return np.sum(fit_errors(rng, bases, weights, n_task, task_noise, penalties) ** 2, -1)


def missed_power(bases, weights):
    """‖K̂β‖² of each basis."""
    return weights @ weights - np.sum((weights @ bases) ** 2, 1)


def in_parts(errors, encoder, weights):
    """Squared length of errors in the sensitive, the missed and the other directions: (..., 3)."""
    outside = weights - encoder @ (encoder.T @ weights)
    sensitive = np.sum((errors @ encoder) ** 2, -1)
    missed = (errors @ (outside / np.linalg.norm(outside))) ** 2
    return np.stack([sensitive, missed, np.sum(errors**2, -1) - sensitive - missed], -1)


def block_covariance(encoder, weights, shift):
    """Σ = a_P P + a_β vvᵀ + a_0 (K − vvᵀ)."""
    outside = weights - encoder @ (encoder.T @ weights)
    direction = outside / np.linalg.norm(outside)
    missed, sensitive = np.outer(direction, direction), encoder @ encoder.T
    rest = np.eye(len(weights)) - sensitive - missed
    return shift[0] * sensitive + shift[1] * missed + shift[2] * rest
