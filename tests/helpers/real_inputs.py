"""Studies of inputs of any covariance, of the same few sizes, so that they share their programs."""

import jax
import numpy as np

import jaxbrain as jb

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
    """Latents lean to strong inputs (1), to weak ones (−1) or to none (0).

    `noise` is that of all channels, or of each.
    """
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
        recording_noise=np.diag(noise) if np.ndim(noise) else noise,
        task_weights=weights,
        task_noise=0.5,
        input_covariance=covariance,
    )


UNEQUAL = np.tile([0.02, 40.0], 4)
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
    "unequal channels": (study(spectrum(1), channels=8, noise=UNEQUAL), 40, 0.1, TWO),
    "graded": (study(spectrum(1)), 40, 0.1, BANDED),
    "graded, few recordings": (study(spectrum(1.5), mixed=True), 8, 0.03, BANDED),
    "graded, unequal channels": (study(spectrum(1), noise=UNEQUAL[:K]), 40, 0.1, BANDED),
    "graded, many noisy channels": (study(spectrum(1), channels=30, noise=6.0), 15, 0.3, BANDED),
}


def at_equal_noise(model):
    """The same study, each channel with the mean noise of all."""
    level = np.trace(np.asarray(model.recording_noise)) / model.recording_dim
    return jb.LinearGaussianModel(
        model.encoder, model.readout, model.latent_noise, level, model.task_weights,
        model.task_noise, input_covariance=model.input_covariance,
    )  # fmt: skip


def pooled(dataset):
    """Mean over seeds and its standard error."""
    error = np.sqrt((dataset.risk_standard_error**2).sum("seed").values) / dataset.sizes["seed"]
    return dataset.risk.mean("seed").values, error


def swept(name, *, more=0, factor=1.0, **options):
    model, n_brain, ridge, estimator = SETTINGS[name]
    options = CELLS | dict(trials=48, seeds=2, key=KEY) | estimator | options
    return jb.sweep(model, [n_brain + more], encoding_penalty=factor * ridge, **options)
