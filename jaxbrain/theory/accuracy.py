"""Where the closed forms are known to be less accurate than usual, and the warning that says so."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Array

from .._checks import is_concrete
from ..models import Problem


class AccuracyWarning(UserWarning):
    """A closed form is asked for where it is known to be off by more than usual: docs/accuracy.md.

    Usual is 1 % from n_brain = 1.5 d on and 3 % below. Every function that takes a problem and
    n_brain gives it at order="finite", where both are known and not traced.
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
    """The same for inputs of any covariance, or an encoding stage with a penalty."""


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
