"""The studies that results are about: the paper's fMRI study, its relatives, and the small one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Array

from ..models import LinearGaussianModel, Problem, presets

HOURS = 10.0
RATE = float(presets.FMRI_SAMPLES_PER_HOUR)
N_BRAIN = HOURS * RATE
TASK_SNR = 0.1
# 40 % of the variance of a trial is driven by the stimulus.
BRAIN_SNR = 0.4 / 0.6
SMALL_SNR = 1.0


# Closed forms are asked for so many points at a time: one compiled program serves curves of any
# length.
_POINTS = 64


@cache
def fmri() -> Problem:
    """The fMRI study of the paper."""
    return presets.fmri(TASK_SNR).problem()


@cache
def small() -> LinearGaussianModel:
    """The study in miniature, which everything can be simulated with."""
    return presets.small(SMALL_SNR)


def altered(
    problem: Problem, *, misalignment: float | None = None, task_snr: float | None = None
) -> Problem:
    """The same study with another task, ‖β‖ = 1, spread over the latents as before."""
    m = float(problem.relative_misalignment) if misalignment is None else misalignment
    snr = float(problem.task_snr) if task_snr is None else task_snr
    return Problem(
        input_dim=problem.input_dim,
        latent_dim=problem.latent_dim,
        recording_dim=problem.recording_dim,
        latent_noise=problem.latent_noise,
        gain=problem.gain,
        recording_noise=problem.recording_noise,
        aligned_power=(1 - m) * problem.aligned_power / problem.total_aligned_power,
        misaligned_power=m,
        task_noise=1 / snr,
    )


def with_latents(latent_dim: int) -> Problem:
    """The fMRI study with another number of latents, all read out equally well: 4 in each voxel."""
    fields = fmri()
    assert fields.recording_dim is not None
    return Problem(
        input_dim=fields.input_dim,
        latent_dim=latent_dim,
        recording_dim=fields.recording_dim,
        latent_noise=0.5,
        gain=4 * fields.recording_dim / latent_dim,
        recording_noise=4.0,
        aligned_power=np.full(latent_dim, 0.9 / latent_dim),
        misaligned_power=0.1,
        task_noise=1 / TASK_SNR,
    )


def labels(low: float, high: float, points: int) -> np.ndarray:
    """Numbers of samples, evenly spaced on a logarithmic axis."""
    return np.geomspace(low, high, points)


def at_points(
    function: Callable[..., Array], problem: Problem, n_brain: Any, n_task: Any, **options: Any
) -> np.ndarray:
    """`function(problem, n_brain, n_task, **options)`, whose numbers broadcast."""
    grid = np.broadcast_arrays(np.asarray(n_brain, float), np.asarray(n_task, float))
    size, shape = grid[0].size, grid[0].shape
    # Where they do not fill the last call, the points stand again from the first on.
    calls = [np.resize(x, (-(-size // _POINTS), _POINTS)) for x in grid]
    found = [
        np.asarray(function(problem, *points, **options)) for points in zip(*calls, strict=True)
    ]
    return np.concatenate(found)[:size].reshape(shape)
