"""Where the closed forms are known to be less accurate than usual, and the warning that says so."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Array

from .._checks import is_concrete
from ..models import Problem

MANY_LATENTS = 1 / 8


class AccuracyWarning(UserWarning):
    """A closed form is asked for where it is known to be off by more than usual: docs/accuracy.md.

    Usual is 1 % from n_brain = 1.5 d on and 3 % below. Every function that takes a problem and
    n_brain gives it at order="finite", where both are known and not traced.
    """


def warn_outside_validated(problem: Problem, n_brain: Array, *, stacklevel: int = 3) -> None:
    """Warn of a known number of recordings at which the brain stage is known to be inaccurate.

    Called by every public function that rests on the brain stage; `stacklevel` is that of
    `warnings.warn` and by default points at the line that called the caller.
    """
    leaves = problem.latent_noise, problem.gain, problem.recording_noise, n_brain
    # Only where the numbers can be seen: not while JAX traces.
    if is_concrete(*leaves):
        numbers = np.asarray(n_brain).ravel()
        numbers = numbers[np.isfinite(numbers) & (numbers > problem.input_dim + 1)]
        said = inaccuracy(problem, numbers) if numbers.size else None
        if said is not None:
            warnings.warn(said, AccuracyWarning, stacklevel=stacklevel)


def inaccuracy(problem: Problem, numbers: np.ndarray) -> str | None:
    """How the closed forms are off at some of these numbers of recordings: see docs/accuracy.md."""
    d, k, channels = problem.input_dim, problem.latent_dim, problem.recording_dim
    if k == 1 and numbers.min() <= d + 4:
        return (
            "one latent and hardly more recordings than inputs: the expected misalignment and the "
            "risk may be up to 4 % too high, the risk under a shift up to 7 % off"
        )
    if channels is None or channels == k or 20 * k <= d:
        return None
    many, most = k > MANY_LATENTS * d, 2 * k > d
    # Where encoding noise drowns everything, what channels do to it no longer matters.
    # In NumPy: in JAX each number of latents would be compiled for.
    noise, gain = np.asarray(problem.latent_noise), np.asarray(problem.gain)
    channel = np.asarray(problem.recording_noise)
    if problem.is_matrix_form:
        quietest = np.linalg.eigvalsh(noise + channel * np.linalg.inv(gain))[0]
    else:
        quietest = np.min(noise + channel / gain)
    numbers = numbers[numbers > d * quietest / 100]
    if many:
        numbers = numbers[numbers >= 1.5 * d]
    if not numbers.size:
        return None
    # The fewer the recordings, the more are directions confused.
    confusion = _channel_confusion(problem, float(numbers.min()))
    if most and np.minimum(confusion, 1).mean() > 0.002:
        return (
            "latents are more than half as many as inputs and channels are noisy: the expected "
            "misalignment may be up to 5 % too low, the risk up to 1 %, under a shift up to 6 %"
        )
    if many and not most and np.minimum(confusion, 1).mean() > 0.03:
        return (
            "latents are more than an eighth as many as inputs and channels are noisy: the "
            "expected misalignment may be up to 2 % too low, the risk under a shift up to 3 %"
        )
    if not many and confusion.max() > 1:
        return (
            "some directions are lost in the noise of the channels: the expected misalignment may "
            "be up to 7 % too high, the risk up to 5 %, and the risk under a shift up to 24 % off"
        )
    return None


def _channel_confusion(problem: Problem, n: float) -> np.ndarray:
    """ε of each direction before it is capped at 1: what 1 − α² would be."""
    d, k, channels = problem.input_dim, problem.latent_dim, problem.recording_dim
    noise, gain = np.asarray(problem.latent_noise), np.asarray(problem.gain)
    if problem.is_matrix_form:
        lower = np.linalg.cholesky(gain)
        strength = np.linalg.eigvalsh(lower.T @ (n * np.eye(k) + d * noise) @ lower)
    else:
        strength = gain * (n + d * noise)
    return float(d) * ((channels or k) - k) * (np.asarray(problem.recording_noise) / strength) ** 2
