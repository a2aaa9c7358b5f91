"""What the library does, in plain NumPy and SciPy.

The simulation of the paper, and the closed forms.

The simulation is written the way Lewis et al., arXiv:2605.09243, describe it: nothing is reduced,
no factorisation is used twice, and every penalty has a solve of its own. Shares no code with the
library.
"""

import numpy as np
from scipy.optimize import brentq


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
    """Reduced-rank regression: the input side of the leading directions of least squares."""
    coefficients = np.linalg.lstsq(inputs, recordings, rcond=None)[0]
    directions = np.linalg.svd(inputs @ coefficients, full_matrices=False)[2][:rank].T
    return np.linalg.qr(coefficients @ directions)[0]


# Closed forms, one problem at a time, as one would write them down from docs/theory.md.


def resolvent_trace(c, q, n):
    """E tr (W + c)⁻¹ for W ~ Wishart_q(n): the series of docs/theory.md, (3) to (4a)."""
    if n < q:
        return (q - n) / c + resolvent_trace(c, n, q)
    h = c + n - q
    root = np.sqrt(h**2 + 4 * c * q)
    t = 2 * q / (h + root)
    t2 = t * (t + 1) / root
    root_slope = (c + n + q) / root
    t2_slope = -t2 * (2 * t + 1) / root - t2 * root_slope / root
    first = (t - c * t2) / root
    first_slope = (-2 * t2 - c * t2_slope) / root - first * root_slope / root
    variance = 2 * n * q / root**4
    second = (first - c * first**2 - c * variance + c * first_slope) / root
    ratio = first / t
    return t * (1 + ratio / (1 - second / t / ratio))


def misalignment(d, p, latent_noise, gain, recording_noise, aligned, missed, n_brain):
    """E‖K̂β‖² after n_brain recordings: (10) to (12), by bracketing both fixed points."""
    k = len(gain)
    q = d - k
    strength = gain * (n_brain / d + latent_noise)
    lost = np.minimum(1, (p - k) * recording_noise**2 / (d * strength**2))
    noise = latent_noise + recording_noise / gain
    noise = noise + (strength + recording_noise) / gain * lost / (1 - lost)

    def first_order(b):
        # The leading root of (3) and the first finite-size term beside it.
        h = b + n_brain - d
        root = np.sqrt(h**2 + 4 * b * d)
        t = 2 * d / (h + root)
        leading_slope = -t * (t + 1) / root
        return (
            2
            * (d + b * leading_slope)
            / (h - 1 + np.sqrt((h - 1) ** 2 + 4 * b * (d + b * leading_slope)))
        )

    def mismatch(a):
        total = np.sum(a * noise / (1 + a * noise))
        b = brentq(lambda b: b * first_order(b) - total, 0, 1e3 * n_brain, rtol=1e-14)
        return a - first_order(b) * (q + total) / (d - total)

    a = brentq(mismatch, 1e-12, 10.0 * d / (n_brain - d - 1), rtol=1e-14)
    shrinkage = a * noise / (1 + a * noise)
    return (missed + np.sum(aligned * shrinkage)) / (1 + np.sum(shrinkage) / q)


def value(d, p, latent_noise, gain, recording_noise, aligned, missed, task_noise, n_brain, n_task):
    """Labels that recordings are worth against least squares, each side at its best penalty."""
    m = misalignment(d, p, latent_noise, gain, recording_noise, aligned, missed, n_brain)
    return _value_given(m, d, len(gain), task_noise, n_task)


def values(d, p, latent_noise, gain, recording_noise, aligned, missed, task_noise, n_brain, n_task):
    """`value` on a grid, shape (n_brain, n_task); the brain stage once for each row."""
    found = np.empty((len(n_brain), len(n_task)))
    for row, brain in enumerate(np.asarray(n_brain)):
        m = misalignment(d, p, latent_noise, gain, recording_noise, aligned, missed, brain)
        for column, task in enumerate(np.asarray(n_task)):
            found[row, column] = _value_given(m, d, len(gain), task_noise, task)
    return found


def value_gradient(*arguments, step=1e-5):
    """Central differences of `value` in everything but d and p: one array for each argument."""
    gradient = []
    for place, argument in enumerate(arguments):
        if place < 2:
            continue
        argument = np.asarray(argument, float)
        slopes = np.empty(argument.size)
        for entry in range(argument.size):
            high, low = argument.copy(), argument.copy()
            size = step * max(abs(argument.flat[entry]), 1e-3)
            high.flat[entry] += size
            low.flat[entry] -= size
            others = arguments[:place], arguments[place + 1 :]
            ends = [value(*others[0], moved, *others[1]) for moved in (high, low)]
            slopes[entry] = (ends[0] - ends[1]) / (2 * size)
        gradient.append(slopes.reshape(argument.shape))
    return gradient


def risk(d, p, latent_noise, gain, recording_noise, aligned, missed, task_noise, n_brain, n_task):
    """Expected excess risk of BEFS at its best penalty."""
    m = misalignment(d, p, latent_noise, gain, recording_noise, aligned, missed, n_brain)
    return _risk_given(m, d, len(gain), task_noise, n_task)


def _risk_given(m, d, k, task_noise, n_task):
    inner = task_noise * resolvent_trace(task_noise * (d - k) / m, d - k, n_task - k)
    return inner + (task_noise + inner) * k / (n_task - k - 1)


def _value_given(m, d, k, task_noise, n_task):
    return d + 1 + task_noise * d / _risk_given(m, d, k, task_noise, n_task) - n_task
