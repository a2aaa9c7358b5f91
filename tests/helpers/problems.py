"""Problems that several tests are about: one in spectra, and its like in matrices."""

import numpy as np

import jaxbrain as jb

ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
COORDINATES = np.array([0.6, 0.3, -0.5])


def spectrum_problem(**changes):
    """Three latents of unequal noise and use, seen by 16 channels."""
    fields = dict(
        input_dim=24,
        latent_dim=3,
        recording_dim=16,
        latent_noise=[0.3, 0.1, 0.5],
        gain=[8.0, 4.0, 5.0],
        recording_noise=1.0,
        aligned_power=[0.4, 0.1, 0.3],
        misaligned_power=0.2,
        task_noise=0.7,
    )
    return jb.Problem(**{**fields, **changes})


def split_problem(misalignment, scale=1.0):
    """The same with this share of the task outside, whose squared length is `scale`."""
    aligned = scale * (1 - misalignment) * np.array([0.5, 0.125, 0.375])
    return spectrum_problem(aligned_power=aligned, misaligned_power=scale * misalignment)


def imaging_problem(input_dim, latent_dim, recording_dim):
    """Latents that are all alike, seen as those of the fMRI preset are."""
    return jb.Problem(
        input_dim=input_dim,
        latent_dim=latent_dim,
        recording_dim=recording_dim,
        latent_noise=0.5,
        recording_noise=4.0,
        gain=30.0,
        aligned_power=[0.8 / latent_dim] * latent_dim,
        misaligned_power=0.2,
        task_noise=1.0,
    )


def rotated(matrix):
    return ROTATION @ matrix @ ROTATION.T


def rotated_problem(**changes):
    """The spectrum problem in another basis."""
    spectra = spectrum_problem(**changes)
    names = ("latent_noise", "gain", "aligned_power")
    turned = {name: rotated(np.diag(getattr(spectra, name))) for name in names}
    return spectrum_problem(**{**changes, **turned})


def matrix_problem():
    """Latent noise and gain that do not commute."""
    return spectrum_problem(
        latent_noise=rotated(np.diag([0.3, 0.1, 0.5])),
        gain=rotated(np.array([[8.0, 1.0, 0.5], [1.0, 4.0, 0.2], [0.5, 0.2, 5.0]])),
        aligned_power=rotated(np.outer(COORDINATES, COORDINATES)),
    )


PROBLEMS = {
    "spectrum": spectrum_problem(),
    "matrix": matrix_problem(),
    "matrix with repeated eigenvalues": spectrum_problem(
        latent_noise=0.3, gain=5.0, aligned_power=rotated(np.outer(COORDINATES, COORDINATES))
    ),
}


def replaced(problem, **changes):
    """The problem with some of its arguments changed."""
    fields = {name: getattr(problem, name) for name in jb.Problem.__dataclass_fields__}
    return jb.Problem(**{**fields, **changes})
