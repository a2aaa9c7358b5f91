"""Sweeps for inputs of any covariance, ridge encoding, two penalties and banded ridge.

Sides that share no code: the draws with their series for labels, and plain NumPy from raw data.
"""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jaxbrain.simulation.finite_labels import risk_of_moments
from tests.helpers.real_inputs import (
    BANDED,
    INSIDE,
    N_TASK,
    OUTSIDE,
    SETTINGS,
    TWO,
    D,
    K,
    pooled,
    swept,
)


@functools.cache
def numpy_risks(name, trials=2000):
    """(n_task, inside, outside) → mean and standard error, by data and normal equations alone."""
    model, n_brain, ridge, options = SETTINGS[name]
    rng = np.random.default_rng(7)
    a, h, beta, sigma = (
        np.asarray(x)
        for x in (model.encoder, model.readout, model.task_weights, model.input_covariance)
    )
    sigma = np.diag(sigma) if sigma.ndim == 1 else sigma
    root = np.linalg.cholesky(sigma)
    x = rng.standard_normal((trials, n_brain, D)) @ root.T
    z = x @ a + np.sqrt(0.3) * rng.standard_normal((trials, n_brain, K))
    r = z @ h.T
    noise = np.asarray(model.recording_noise)
    spread = np.sqrt(np.diag(noise) if noise.ndim else noise)
    r = r + spread * rng.standard_normal(r.shape)
    xt = x.swapaxes(1, 2)
    weights = np.linalg.solve(xt @ x + n_brain * ridge * np.eye(D), xt @ r)
    if options is BANDED:
        scale = np.sqrt(D / np.sum(weights**2, axis=(1, 2)))[:, None, None]
        learned = (scale * weights) @ (scale * weights).swapaxes(1, 2)
    else:
        # The best weights of rank K: R Xᵀ W⁻¹ Xᵀ R has their read-out as leading eigenvectors.
        leading = np.linalg.eigh((xt @ r).swapaxes(1, 2) @ weights)[1][:, :, -K:]
        basis = np.linalg.qr(weights @ leading)[0]
        learned = basis @ basis.swapaxes(1, 2)
    eye = np.eye(D)
    found = np.zeros((trials, len(N_TASK), len(INSIDE), len(OUTSIDE)))
    for i, n in enumerate(N_TASK):
        inputs = rng.standard_normal((trials, n, D)) @ root.T
        targets = inputs @ beta + np.sqrt(0.5) * rng.standard_normal((trials, n))
        for j, inside in enumerate(INSIDE):
            for m, outside in enumerate(OUTSIDE):
                # What stands for an infinite penalty, or for none, is lost in the errors.
                large = min(outside, 1e7)
                if options is BANDED:
                    small = max(inside, 1e-5)
                    prior = eye / large + learned / small
                    gram = inputs @ prior @ inputs.swapaxes(1, 2) + n * np.eye(n)
                    fitted = (
                        prior @ inputs.swapaxes(1, 2) @ np.linalg.solve(gram, targets[..., None])
                    )
                else:
                    penalty = inside * learned + large * (eye - learned)
                    gram = inputs.swapaxes(1, 2) @ inputs + n * penalty
                    fitted = np.linalg.solve(gram, inputs.swapaxes(1, 2) @ targets[..., None])
                error = fitted[..., 0] - beta
                found[:, i, j, m] = np.sum((error @ sigma) * error, axis=1)
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(trials)


@pytest.mark.parametrize("name", SETTINGS)
def test_reduced_draws_are_raw_data(name):
    """Twelve cells each, in standard errors; six without a penalty inside (BEFS), two of them hard.

    Of banded ridge those are next to none, which has a mean of its own.
    """
    mean, error = (x[0] for x in pooled(swept(name)))
    expected, expected_error = numpy_risks(name)
    if SETTINGS[name][3] is BANDED:
        # More channels than labels, and none penalised: no answer.
        assert np.all(np.isnan(mean[0, 0])) == (SETTINGS[name][0].recording_dim > 8)
        mean, error, expected, expected_error = (
            x[:, 1:] for x in (mean, error, expected, expected_error)
        )
    z = (mean - expected) / np.hypot(error, expected_error)
    assert np.max(np.abs(z)) < 4


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fewer recordings than inputs", dict(more=4)),
        ("graded, few recordings", dict(more=12)),
        ("many noisy channels", dict(factor=100.0)),
        ("graded, many noisy channels", dict(factor=100.0)),
    ],
)
def test_other_recordings_or_penalties_are_told_apart(name, change):
    mean, error = (x[0] for x in pooled(swept(name, **change)))
    expected, expected_error = numpy_risks(name)
    wrong = (mean - expected)[:, 1:] / np.hypot(error, expected_error)[:, 1:]
    assert np.nanmax(np.abs(wrong)) > 6


def test_few_labels_have_their_first_correction():
    """Ten labels of twenty inputs: the leading order is told apart."""
    rng, n, trials = np.random.default_rng(1), 10, 8000
    weights = 1 / np.arange(1, 21) / 2
    penalties = 0.1 * np.arange(1, 21)
    inputs = rng.standard_normal((trials, n, 20))
    targets = inputs @ weights + rng.standard_normal((trials, n))
    across = inputs.swapaxes(1, 2)
    fitted = np.linalg.solve(across @ inputs + np.diag(penalties), across @ targets[..., None])
    drawn = np.sum((fitted[..., 0] - weights) ** 2, axis=1)
    x = optimize.brentq(lambda x: x + np.sum(x / (penalties + x)) - n, 1e-9, n)
    a = x / (penalties + x)
    moments = [np.sum(a**power) for power in (1, 2, 3, 4)]
    moments += [np.sum(weights**2 * (1 - a) ** 2 * a**power) for power in (0, 1, 2)]
    leading, corrected = risk_of_moments(*(jnp.asarray(each) for each in (x, moments, 1.0)))
    error = drawn.std() / np.sqrt(trials)
    assert abs(corrected - drawn.mean()) < 4 * error
    assert abs(leading - drawn.mean()) > 6 * error


@pytest.mark.parametrize("estimator", [TWO, BANDED])
def test_data_are_raw_data(estimator):
    name = "graded, few recordings" if estimator is BANDED else "fewer recordings than inputs"
    found = swept(name, method="data", n_task=[8], penalty=[0.2, 2.0], inside_penalty=0.3,
                  n_task_only=[8], trials=200)  # fmt: skip
    mean, error = (x[0, 0] for x in pooled(found))
    expected, expected_error = (x[0, 1, :2] for x in numpy_risks(name))
    assert np.all(np.abs(mean - expected) < 4 * np.hypot(error, expected_error))
    # The closed form of the baseline takes the same grid.
    closed = swept(name, n_task_only=[8], trials=8).ridge_risk
    spread = np.hypot.reduce(found.ridge_risk_standard_error.values[0]) / 2
    assert abs(found.ridge_risk.mean() - closed.mean()) < 4 * spread
    assert np.all(closed.std("seed") == 0)
