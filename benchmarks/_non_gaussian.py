"""Features that are not Gaussian, with simulated recordings and targets, in plain NumPy.

Also estimators as a reader would write them, on rows: no formula of the library enters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

V4 = Path(__file__).parents[1] / ".." / "shared" / "data" / "cowley2026" / "v4.npz"
LATENTS, CHANNELS, RECORDING_NOISE = 5, 20, 0.02
LATENT_NOISE, MISALIGNMENT = 0.3, 0.2
# Of the latents, and of what is no latent, in the task.
MIX = np.append(np.full(LATENTS, np.sqrt((1 - MISALIGNMENT) / LATENTS)), np.sqrt(MISALIGNMENT))


class Rows(NamedTuple):
    """Features with their means taken out, and what is seen with them."""

    features: np.ndarray
    recordings: np.ndarray
    targets: np.ndarray


class Study(NamedTuple):
    """What a Gaussian theory knows of a study, and how its rows are drawn.

    Latents are `encoder`ᵀx and targets `weights`ᵀx in the best linear approximation; what that
    leaves out is part of their noise. `split` draws rows of brain and task, and returns how far an
    estimate of the weights is from the truth, as a variance.
    """

    covariance: np.ndarray
    encoder: np.ndarray
    weights: np.ndarray
    latent_noise: np.ndarray
    task_noise: float
    split: Callable[..., tuple[Rows, Rows, Callable[[np.ndarray], float]]]


def recorded(rng: np.random.Generator, latents: np.ndarray) -> np.ndarray:
    """Channels: one for each latent, and others of noise alone."""
    channels = np.sqrt(RECORDING_NOISE) * rng.normal(size=(len(latents), CHANNELS))
    channels[:, : latents.shape[1]] += latents
    return channels


def of_length_one(covariance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Columns scaled so that they tell a variance of 1."""
    return weights / np.sqrt(np.sum(weights * (covariance @ weights), axis=0))


def _linear_task(rng: np.random.Generator, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latents and a task that lean to strong inputs as random weights on them do."""
    white = np.sqrt(variances)[:, None] * rng.normal(size=(len(variances), LATENTS + 1))
    unit = np.linalg.qr(white)[0] / np.sqrt(variances)[:, None]
    return unit[:, :LATENTS], unit @ MIX


# Coefficients of max(z, 0) and of the teachers in normalised Hermite polynomials.
_RELU = np.array([1 / np.sqrt(2 * np.pi), 0.5, 1 / (2 * np.sqrt(np.pi)), 0.0])
_TEACHER = np.sqrt([0.0, 0.6, 0.3, 0.1])


def _hermite(z: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    polynomials = 1.0, z, (z**2 - 1) / np.sqrt(2), (z**3 - 3 * z) / np.sqrt(6)
    return sum(c * p for c, p in zip(coefficients, polynomials, strict=True))


def relu_study(d: int, sources: int, linear: bool, noise: float) -> Study:
    """d features max(wᵀz, 0) of Gaussian z; latents are linear in features, or teachers on z.

    Teachers are polynomials of degree 3 along random directions of z.
    """
    rng = np.random.default_rng([d, sources])
    w, v = (rng.normal(size=(n, sources)) for n in (d, LATENTS + 1))
    w, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (w, v))
    angle = np.clip(w @ w.T, -1.0, 1.0)
    covariance = np.sqrt(1 - angle**2) + angle * (np.pi - np.arccos(angle))
    covariance = (covariance - 1) / (2 * np.pi)
    if linear:
        teachers = of_length_one(covariance, rng.normal(size=(d, LATENTS + 1)))
        beyond = np.zeros((LATENTS + 1, LATENTS + 1))
    else:
        onto = sum(
            c * t * (w @ v.T) ** i for i, (c, t) in enumerate(zip(_RELU, _TEACHER, strict=True))
        )
        teachers = np.linalg.solve(covariance, onto)
        total = sum(t**2 * (v @ v.T) ** i for i, t in enumerate(_TEACHER))
        beyond = total - teachers.T @ covariance @ teachers
    weights = teachers @ MIX

    def rows(rng: np.random.Generator, n: int) -> Rows:
        z = rng.normal(size=(n, sources))
        features = np.maximum(z @ w.T, 0.0) - _RELU[0]
        seen = features @ teachers if linear else _hermite(z @ v.T, _TEACHER)
        shown = seen[:, :LATENTS] + np.sqrt(LATENT_NOISE) * rng.normal(size=(n, LATENTS))
        targets = seen @ MIX + np.sqrt(noise) * rng.normal(size=n)
        return Rows(features, recorded(rng, shown), targets)

    def error(found: np.ndarray) -> float:
        return float((found - weights) @ covariance @ (found - weights))

    return Study(
        covariance,
        teachers[:, :LATENTS],
        weights,
        beyond[:LATENTS, :LATENTS] + LATENT_NOISE * np.eye(LATENTS),
        float(noise + MIX @ beyond @ MIX),
        lambda rng, n_brain, n_task: (rows(rng, n_brain), rows(rng, n_task), error),
    )


def study_of_lengths(d: int, spread: float, noise: float) -> Study:
    """Gaussian rows, each times a positive number of its own; linear with noise.

    `spread` is the standard deviation of the logarithm of the squared length. The spectrum is 1/i.
    """
    variances = 1 / np.arange(1, d + 1.0)
    variances /= variances.mean()
    encoder, weights = _linear_task(np.random.default_rng(d), variances)

    def rows(rng: np.random.Generator, n: int) -> Rows:
        lengths = np.exp(spread * rng.normal(size=(n, 1)) / 2 - spread**2 / 4)
        features = lengths * rng.normal(size=(n, d)) * np.sqrt(variances)
        latents = features @ encoder + np.sqrt(LATENT_NOISE) * rng.normal(size=(n, LATENTS))
        targets = features @ weights + np.sqrt(noise) * rng.normal(size=n)
        return Rows(features, recorded(rng, latents), targets)

    def error(found: np.ndarray) -> float:
        return float(np.sum(variances * (found - weights) ** 2))

    def split(rng: np.random.Generator, n_brain: int, n_task: int):
        return rows(rng, n_brain), rows(rng, n_task), error

    eye = np.eye(LATENTS)
    return Study(np.diag(variances), encoder, weights, LATENT_NOISE * eye, noise, split)


def study_of_rows(features: np.ndarray, noise: float) -> Study:
    """Given rows, in their principal components; recordings and targets are linear, with noise.

    Brain, task and test are other rows in each split, drawn without replacement.
    """
    centred = features - features.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    kept = spread > 1e-6 * spread[0]
    scores, variances = centred @ axes[kept].T, spread[kept] ** 2 / len(centred)
    scores, variances = scores / np.sqrt(variances.mean()), variances / variances.mean()
    encoder, weights = _linear_task(np.random.default_rng(len(variances)), variances)

    def split(rng: np.random.Generator, n_brain: int, n_task: int):
        brain, task, test = np.split(rng.permutation(len(scores)), [n_brain, n_brain + n_task])
        latents = scores[brain] @ encoder
        latents = latents + np.sqrt(LATENT_NOISE) * rng.normal(size=latents.shape)
        targets = scores[task] @ weights + np.sqrt(noise) * rng.normal(size=n_task)
        seen = Rows(scores[brain], recorded(rng, latents), np.empty(0))
        taught = Rows(scores[task], np.empty(0), targets)

        def error(found: np.ndarray) -> float:
            return float(np.mean((scores[test] @ (found - weights)) ** 2))

        return seen, taught, error

    eye = np.eye(LATENTS)
    return Study(np.diag(variances), encoder, weights, LATENT_NOISE * eye, noise, split)


def v4_features(components: int | None) -> np.ndarray:
    """The features of macaque V4's images, all or their leading principal components."""
    with np.load(V4) as held:
        features = held["features_pe"].astype(float)
    features -= features.mean(axis=0)
    if components is None:
        return features
    return features @ np.linalg.svd(features, full_matrices=False)[2][:components].T


def gaussian_rows(features: np.ndarray, seed: int) -> np.ndarray:
    """As many rows of the same covariance, which are Gaussian."""
    centred = features - features.mean(axis=0)
    mixing = np.random.default_rng(seed).normal(size=(len(centred), len(centred)))
    return mixing @ centred / np.sqrt(len(centred))


def learned(brain: Rows, encoding_penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """The encoder of ridge regression, and a basis of the leading directions it tells."""
    x, y, total = brain.features, brain.recordings, len(brain.features) * encoding_penalty
    n, d = x.shape
    if n < d:
        encoder = x.T @ np.linalg.solve(x @ x.T + total * np.eye(n), y)
    else:
        encoder = np.linalg.solve(x.T @ x + total * np.eye(d), x.T @ y)
    patterns = np.linalg.eigh(y.T @ x @ encoder)[1][:, -LATENTS:]
    return encoder, np.linalg.qr(encoder @ patterns)[0]


def with_subspace(task: Rows, basis: np.ndarray, penalty: float, share: float) -> np.ndarray:
    """Weights of BEFS: `penalty` a sample outside of the subspace, `share` of it inside."""
    x, n, k = task.features, len(task.features), basis.shape[1]
    inside = x @ basis
    outside = x - inside @ basis.T
    # α = (y − Xβ)/(nλ), and u the weights inside.
    system = np.block(
        [
            [outside @ outside.T + n * penalty * np.eye(n), inside],
            [inside.T, -share * np.eye(k)],
        ]
    )
    solved = np.linalg.solve(system, np.append(task.targets, np.zeros(k)))
    return outside.T @ solved[:n] + basis @ solved[n:]


def with_features(task: Rows, extra: np.ndarray, penalty: float) -> np.ndarray:
    """Weights of ridge regression with the prior covariance 1 + E Eᵀ, E the columns of `extra`."""
    x, n = task.features, len(task.features)
    shown = x @ extra
    kernel = x @ x.T + shown @ shown.T + n * penalty * np.eye(n)
    solved = np.linalg.solve(kernel, task.targets)
    return x.T @ solved + extra @ (shown.T @ solved)
