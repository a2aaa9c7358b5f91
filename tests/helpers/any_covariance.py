"""Studies with inputs of any covariance, and their test errors from raw data in plain NumPy."""

from typing import NamedTuple

import numpy as np

import jaxbrain as jb


class Setting(NamedTuple):
    """A study: `spectrum` is an exponent, or "one" for a single large eigenvalue."""

    input_dim: int
    latent_dim: int
    channels: int
    spectrum: float | str
    alignment: float
    n_brain: int
    encoding_penalty: float
    n_task: int
    latent_noise: float = 0.4
    recording_noise: float = 0.01
    misalignment: float = 0.15
    task_noise: float = 1.0


class Penalties(NamedTuple):
    """A sample: of BEFS, of BEFS with two penalties, and of banded ridge in the encoder's units."""

    befs: float
    outside: float
    inside: float
    banded: float
    features: float


def model_of(setting: Setting) -> jb.LinearGaussianModel:
    """Random latents that lean to strong or weak inputs, seen in random channels."""
    rng = np.random.default_rng(1)
    d, k = setting.input_dim, setting.latent_dim
    variances = np.arange(1, d + 1.0)
    if setting.spectrum == "one":
        variances = np.where(variances == 1, d, 1.0)
    else:
        variances = variances ** -float(setting.spectrum)
    variances /= variances.mean()
    lean = (variances / variances.max()) ** (setting.alignment / 2)
    directions = np.linalg.qr(lean[:, None] * rng.normal(size=(d, k)))[0]
    missed = np.sqrt(variances) * rng.normal(size=d)
    missed -= directions @ (directions.T @ missed)
    weights = np.sqrt((1 - setting.misalignment) / k) * directions.sum(axis=1)
    weights += np.sqrt(setting.misalignment) * missed / np.linalg.norm(missed)
    root = np.sqrt(variances)
    return jb.LinearGaussianModel(
        encoder=directions / root[:, None],
        readout=rng.normal(size=(setting.channels, k)) / np.sqrt(setting.channels),
        latent_noise=setting.latent_noise,
        recording_noise=setting.recording_noise,
        task_weights=weights / root,
        task_noise=setting.task_noise,
        input_covariance=variances,
    )


def simulated_risks(
    setting: Setting,
    penalties: Penalties,
    trials: int,
    seed: int,
    test_covariances: tuple[np.ndarray, ...] = (),
) -> tuple[dict[str, float], dict[str, float]]:
    """Means over trials of the excess test error of each estimator, and their standard errors.

    Ridge at the outside penalty shares its labels with the others. Test covariances add errors
    under them, by a name with their number.
    """
    model, rng = model_of(setting), np.random.default_rng(seed)
    encoder, readout, weights, variances = (
        np.asarray(x)
        for x in (model.encoder, model.readout, model.task_weights, model.input_covariance)
    )
    (d, k), p = encoder.shape, len(readout)
    n, labels = setting.n_brain, setting.n_task
    root, eye = np.sqrt(variances), np.eye(d)
    errors = {"befs": [], "befs_two_penalties": [], "banded_ridge": [], "ridge": []}
    for _ in range(trials):
        inputs = rng.normal(size=(n, d)) * root
        latents = inputs @ encoder + np.sqrt(setting.latent_noise) * rng.normal(size=(n, k))
        noise = np.sqrt(setting.recording_noise) * rng.normal(size=(n, p))
        recordings = latents @ readout.T + noise
        # min ‖R − XB‖² + nλ‖B‖² over B of rank k: the ridge solution on its leading fitted
        # directions.
        learned = np.linalg.solve(
            inputs.T @ inputs + n * setting.encoding_penalty * eye, inputs.T @ recordings
        )
        fitted = np.concatenate([inputs @ learned, np.sqrt(n * setting.encoding_penalty) * learned])
        leading = np.linalg.svd(fitted, full_matrices=False)[2][:k]
        basis = np.linalg.qr(learned @ leading.T)[0]
        inside = basis @ basis.T
        seen = rng.normal(size=(labels, d)) * root
        targets = seen @ weights + np.sqrt(setting.task_noise) * rng.normal(size=labels)
        gram, moment = seen.T @ seen / labels, seen.T @ targets / labels
        prior = eye / penalties.banded + learned @ learned.T / penalties.features
        for name, penalty in (
            ("befs", penalties.befs * (eye - inside)),
            (
                "befs_two_penalties",
                penalties.outside * (eye - inside) + penalties.inside * inside,
            ),
            ("banded_ridge", np.linalg.inv(prior)),
            ("ridge", penalties.outside * eye),
        ):
            off = np.linalg.solve(gram + penalty, moment) - weights
            errors[name].append(float(off**2 @ variances))
            for number, covariance in enumerate(test_covariances):
                errors.setdefault(f"{name} {number}", []).append(float(off @ covariance @ off))
    means = {name: float(np.mean(x)) for name, x in errors.items()}
    return means, {name: float(np.std(x) / np.sqrt(trials)) for name, x in errors.items()}
