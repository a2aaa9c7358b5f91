"""Where the closed forms are known to be less accurate than usual, and the warning that says so."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Array

from .._checks import is_concrete
from ..models import Problem

# From this much of lost and tilted directions on, closed forms are more than 2 % off.
TILTED = 0.02


class AccuracyWarning(UserWarning):
    """A closed form is asked for where it is known to be off by more than usual: docs/accuracy.md.

    Usual is 1 % from n_brain = 1.5 d on and 3 % below; 2 % for inputs of any covariance or with a
    penalty of the encoding stage. Every function that takes a problem and n_brain gives it at
    order="finite", where both are known and not traced.
    """


def warn_outside_validated(
    problem: Problem, n_brain: Array, *, under_shift: bool = False, stacklevel: int = 3
) -> None:
    """Warn of a known number of recordings at which the brain stage is known to be inaccurate.

    Called by every public function that rests on the brain stage; `stacklevel` is that of
    `warnings.warn` and by default points at the line that called the caller.
    """
    leaves = problem.latent_noise, problem.gain, problem.recording_noise, n_brain
    # Only where the numbers can be seen: not while JAX traces.
    if is_concrete(*leaves):
        numbers = np.asarray(n_brain).ravel()
        numbers = numbers[np.isfinite(numbers) & (numbers > problem.input_dim + 1)]
        said = inaccuracy(problem, numbers, under_shift) if numbers.size else None
        if said is not None:
            warnings.warn(said, AccuracyWarning, stacklevel=stacklevel)


def inaccuracy(problem: Problem, numbers: np.ndarray, under_shift: bool) -> str | None:
    """How the closed forms are off at some of these numbers of recordings: see docs/accuracy.md."""
    d, k, channels = problem.input_dim, problem.latent_dim, problem.recording_dim
    if k == 1 and numbers.min() <= d + 4:
        return (
            "one latent and hardly more recordings than inputs: the expected misalignment and the "
            "risk may be up to 4 % too high, the risk under a shift up to 7 % off"
        )
    if channels is None or channels == k:
        return None
    # Where encoding noise drowns everything, what channels do to it no longer matters.
    # In NumPy: in JAX each number of latents would be compiled for.
    noise, gain = np.asarray(problem.latent_noise), np.asarray(problem.gain)
    channel = np.asarray(problem.recording_noise)
    if problem.is_matrix_form:
        quietest = np.linalg.eigvalsh(noise + channel * np.linalg.inv(gain))[0]
    else:
        quietest = np.min(noise + channel / gain)
    numbers = numbers[numbers > d * quietest / 100]
    if 4 * k > 3 * d and numbers.size and _mean_confusion(problem, numbers) > 1e-4:
        return (
            "latents are more than three quarters of the inputs and channels are noisy: the "
            "expected misalignment may be up to 85 % too high, the risk up to 6 %, and the risk "
            "under a shift up to 21 % off"
        )
    numbers = numbers[numbers >= 1.5 * d]
    if not numbers.size:
        return None
    confusion = _mean_confusion(problem, numbers)
    if 2 * k >= d and confusion > 0.002:
        return (
            "latents are half as many as inputs or more, and channels are noisy: the expected "
            "misalignment may be up to 7 % too low, the risk up to 1 % off, under a shift up to 7 %"
        )
    if under_shift and confusion > 0.02:
        return "channels are noisy: the risk under a shift may be up to 7 % off"
    return None


def warn_outside_validated_ridge(
    problem: Problem,
    n_brain: Array,
    encoding_penalty: Array | None,
    estimator: str,
    stacklevel: int,
) -> None:
    """The same for inputs of any covariance, or an encoding stage with a penalty.

    `problem` has a geometry. `None` stands for the best encoding penalty.
    """
    channels, k, geometry = problem.recording_dim, problem.latent_dim, problem.geometry
    # Banded ridge chooses no directions among channels.
    if channels is None or channels == k or geometry is None or estimator == "banded_ridge":
        return
    given = () if encoding_penalty is None else (encoding_penalty,)
    leaves = problem.latent_noise, problem.gain, problem.recording_noise, geometry.directions
    if not is_concrete(n_brain, geometry.variances, *leaves, *given):
        return
    # A plan may have bought none.
    some = np.asarray(n_brain)[np.asarray(n_brain) > 0]
    if not some.size:
        return
    n = float(np.min(some))
    noise, gain = (np.asarray(x) for x in (problem.latent_noise, problem.gain))
    if not problem.is_matrix_form:
        noise, gain = np.diag(noise), np.diag(gain)
    variances, channel = np.asarray(geometry.variances), float(problem.recording_noise)
    if encoding_penalty is None:
        size = np.trace(noise + channel * np.linalg.inv(gain)) / k + 0.1
        largest = float(variances.sum() * size / n)
    else:
        largest = float(np.max(encoding_penalty))
    shares = np.sum(np.asarray(geometry.directions) ** 2, axis=1) / k
    if loses_directions(variances, shares, gain, noise, channel**2 * (channels - k), n, largest):
        warnings.warn(
            "directions are lost among noisy channels, which an encoding penalty tilts: the risk "
            "may be up to 15 % off; simulated_worth draws it, and banded_ridge_risk, which chooses "
            "no directions, is not off",
            AccuracyWarning,
            stacklevel=stacklevel,
        )


def loses_directions(
    variances: np.ndarray,
    shares: np.ndarray,
    gain: np.ndarray,
    latent_noise: np.ndarray,
    noise_power: float,
    n_brain: float,
    encoding_penalty: float,
) -> bool:
    """Whether so many directions are lost among channels that closed forms of BEFS are off.

    By what is lost for each that is left, ε/(1 − ε) of docs/theory.md, (38), times what (38) leaves
    out, the relative variance of Γ's eigenvalues. `shares` of the latents' variance lie along the
    principal axes of the inputs.
    """
    s, n, penalty, d = variances, n_brain, encoding_penalty, len(variances)
    if penalty == 0 or noise_power == 0:
        return False
    # a of (37) falls short of 1 by the degrees of freedom of the encoding stage, over n.
    low, high = 0.0, 1.0
    for _ in range(60):
        a = (low + high) / 2
        more = 1 - a > np.sum(a * s / (a * s + penalty)) / n
        low, high = (a, high) if more else (low, a)
    q = 1 / (a * s + penalty)
    eta = a**2 * np.sum((s * q) ** 2) / n
    twice = q**2 + s * q**2 * a**2 * np.sum(s * q**2) / (n * (1 - eta))
    held = 1 - penalty * q
    degrees = np.sum(held)
    seen = shares @ (1 - penalty * a * q)
    slope = shares @ (1 - 2 * penalty * a * q + penalty**2 * (q - penalty * twice) / s) / seen
    signal = (n * seen * np.eye(len(gain)) + degrees * latent_noise) @ gain
    strengths = np.maximum(np.abs(np.linalg.eigvals(signal)), 1e-300)
    lost = degrees * slope * noise_power / strengths**2
    return bool(np.mean(lost) * (np.sum(held**2) * d / degrees**2 - 1) > TILTED)


def _mean_confusion(problem: Problem, numbers: np.ndarray) -> float:
    """Mean over directions of ε = 1 − α², at most 1 each, for the least number of recordings."""
    n = float(numbers.min())
    d, k, channels = problem.input_dim, problem.latent_dim, problem.recording_dim
    noise, gain = np.asarray(problem.latent_noise), np.asarray(problem.gain)
    if problem.is_matrix_form:
        lower = np.linalg.cholesky(gain)
        strength = np.linalg.eigvalsh(lower.T @ (n * np.eye(k) + d * noise) @ lower)
    else:
        strength = gain * (n + d * noise)
    ratio = np.asarray(problem.recording_noise) / strength
    return float(np.minimum(float(d) * ((channels or k) - k) * ratio**2, 1.0).mean())
