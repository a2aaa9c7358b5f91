"""Sweeps for inputs of any covariance, ridge encoding, two penalties and banded ridge.

Sides that share no code: the reduced draws with their series for labels, and plain NumPy from raw
data. All studies have the same few sizes, so that they share their compiled programs.
"""

import functools

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.simulation._iteration import leading_vectors

KEY = jax.random.key(16)
D, K = 16, 5
N_TASK, OUTSIDE, INSIDE = [8, 40], [0.2, 2.0, np.inf], [0.0, 0.3]
CELLS = dict(n_task=N_TASK, penalty=OUTSIDE, inside_penalty=INSIDE, n_task_only=[30])
TWO = dict(estimator="befs_two_penalties")
BANDED = dict(estimator="banded_ridge")


def spectrum(exponent):
    variances = np.arange(1, D + 1) ** -float(exponent)
    return variances / variances.mean()


def study(variances, *, channels=K, noise=0.5, lean=1.0, seed=0, mixed=False):
    """Latents lean to strong inputs (1), to weak ones (−1) or to none (0)."""
    rng = np.random.default_rng(seed)
    root = np.sqrt(variances)[:, None]
    encoder = root ** (lean - 1) * rng.standard_normal((D, K))
    weights = encoder @ rng.standard_normal(K) + 0.5 * rng.standard_normal(D)
    covariance = variances
    if mixed:
        axes = np.linalg.qr(rng.standard_normal((D, D)))[0]
        covariance = (axes * variances) @ axes.T
        encoder, weights = axes @ encoder, axes @ weights
    encoder = encoder / np.sqrt(np.sum(root**2 * encoder**2))
    weights = weights / np.sqrt(weights @ (covariance @ weights if mixed else covariance * weights))
    return jb.LinearGaussianModel(
        encoder * np.sqrt(K),
        rng.standard_normal((channels, K)),
        latent_noise=0.3,
        recording_noise=noise,
        task_weights=weights,
        task_noise=0.5,
        input_covariance=covariance,
    )


ONE_LARGE = np.r_[D / 2, np.full(D - 1, 0.5 * D / (D - 1))]
# Study, n_brain, encoding penalty, estimator.
SETTINGS = {
    "falling spectrum": (study(spectrum(1)), 40, 0.1, TWO),
    "fewer recordings than inputs": (study(spectrum(1), mixed=True), 8, 0.1, TWO),
    "three recordings a latent, no penalty": (study(spectrum(0.5), noise=0.1), 18, 0.0, TWO),
    "steep spectrum": (study(spectrum(2)), 15, 0.01, TWO),
    "flat spectrum": (study(spectrum(0)), 40, 0.5, TWO),
    "one large variance, latents of weak inputs": (study(ONE_LARGE, lean=-1), 15, 0.3, TWO),
    "many noisy channels": (study(spectrum(1), channels=30, noise=6.0), 40, 0.1, TWO),
    "many noisy channels, few recordings": (
        study(spectrum(0.5), channels=30, noise=6.0, lean=0, mixed=True),
        8,
        1.0,
        TWO,
    ),
    "graded": (study(spectrum(1)), 40, 0.1, BANDED),
    "graded, few recordings": (study(spectrum(1.5), mixed=True), 8, 0.03, BANDED),
    "graded, many noisy channels": (study(spectrum(1), channels=30, noise=6.0), 15, 0.3, BANDED),
}


@functools.cache
def numpy_risks(name, trials=4000):
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
    r = r + np.sqrt(float(model.recording_noise)) * rng.standard_normal(r.shape)
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


def pooled(dataset):
    """Mean over seeds and its standard error."""
    error = np.sqrt((dataset.risk_standard_error**2).sum("seed").values) / dataset.sizes["seed"]
    return dataset.risk.mean("seed").values, error


def swept(name, *, more=0, factor=1.0, **options):
    model, n_brain, ridge, estimator = SETTINGS[name]
    options = CELLS | dict(trials=200, seeds=2, key=KEY) | estimator | options
    return jb.sweep(model, [n_brain + more], encoding_penalty=factor * ridge, **options)


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


@pytest.mark.parametrize("change", [dict(more=4), dict(factor=10.0)])
@pytest.mark.parametrize("name", ["fewer recordings than inputs", "graded, few recordings"])
def test_other_recordings_or_penalties_are_told_apart(name, change):
    mean, error = (x[0] for x in pooled(swept(name, **change)))
    expected, expected_error = numpy_risks(name)
    wrong = (mean - expected)[:, 1:] / np.hypot(error, expected_error)[:, 1:]
    assert np.nanmax(np.abs(wrong)) > 6
