"""The simulation of the paper in plain NumPy: draw data, fit both stages, evaluate the exact excess risk.

Written the way Lewis et al., arXiv:2605.09243, describe it: nothing is reduced, no factorisation is used
twice, and every penalty has a solve of its own. Shares no code with the library.
"""

import numpy as np


def risks(
    rng: np.random.Generator,
    encoder: np.ndarray,
    readout: np.ndarray,
    latent_noise: float,
    recording_noise: float,
    task_weights: np.ndarray,
    task_noise: float,
    n_brain: list[int],
    n_task: list[int],
    penalties: np.ndarray,
    trials: int,
) -> np.ndarray:
    """Excess risks ‖w − β‖², shape (trials, n_brain, n_task, penalty).

    `encoder` A (d, k), readout H (p, k), task weights β (d,); the noises are variances.
    """
    found = np.empty((trials, len(n_brain), len(n_task), len(penalties)))
    rank = encoder.shape[1]
    for trial in range(trials):
        bases = []
        for n in n_brain:
            inputs, recordings = draw_brain(rng, encoder, readout, latent_noise, recording_noise, n)
            bases.append(learned_basis(inputs, recordings, rank))
        for column, n in enumerate(n_task):
            inputs, targets = draw_task(rng, task_weights, task_noise, n)
            gram, moments = inputs.T @ inputs / n, inputs.T @ targets / n
            for row, basis in enumerate(bases):
                outside = np.eye(len(gram)) - basis @ basis.T
                for place, penalty in enumerate(penalties):
                    weights = np.linalg.solve(gram + penalty * outside, moments)
                    found[trial, row, column, place] = np.sum((weights - task_weights) ** 2)
    return found


def draw_brain(rng, encoder, readout, latent_noise, recording_noise, n):
    d, k = encoder.shape
    inputs = rng.standard_normal((n, d))
    latents = inputs @ encoder + np.sqrt(latent_noise) * rng.standard_normal((n, k))
    noise = np.sqrt(recording_noise) * rng.standard_normal((n, len(readout)))
    return inputs, latents @ readout.T + noise


def draw_task(rng, task_weights, task_noise, n):
    inputs = rng.standard_normal((n, len(task_weights)))
    return inputs, inputs @ task_weights + np.sqrt(task_noise) * rng.standard_normal(n)


def learned_basis(inputs, recordings, rank):
    """Reduced-rank regression: least squares, its leading predicted directions, their input side."""
    coefficients = np.linalg.lstsq(inputs, recordings, rcond=None)[0]
    directions = np.linalg.svd(inputs @ coefficients, full_matrices=False)[2][:rank].T
    return np.linalg.qr(coefficients @ directions)[0]
