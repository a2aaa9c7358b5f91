"""Random models, and their quantities by definition in plain NumPy."""

import jax
import jax.extend
import jax.random as jr
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

property_test = settings(max_examples=12, deadline=None, derandomize=True, database=None)


seeds = st.integers(0, 2**32 - 1)


def orthonormal(rng, d, k):
    return np.linalg.qr(rng.normal(size=(d, k)))[0]


def covariance(rng, size, rank=None):
    roots = rng.normal(size=(size, rank or 2 * size))
    return roots @ roots.T / roots.shape[1]


def arrays(seed, d=7, k=2, p=5, latent="matrix", recording="scalar"):
    """Constructor arguments of a random model; noises are scalars or matrices, also singular."""
    rng = np.random.default_rng(seed)
    noises = {
        "scalar": lambda size: np.asarray(rng.uniform(0.3, 2.0)),
        "matrix": lambda size: covariance(rng, size),
        "singular": lambda size: covariance(rng, size, 1),
        "zero": lambda size: np.zeros((size, size)),
    }
    return {
        "encoder": orthonormal(rng, d, k),
        "readout": rng.normal(size=(p, k)),
        "latent_noise": noises[latent](k),
        "recording_noise": noises[recording](p),
        "task_weights": rng.normal(size=d),
        "task_noise": np.asarray(0.7),
    }


def full(noise, size):
    return noise * np.eye(size) if np.ndim(noise) == 0 else np.asarray(noise)


class Oracle:
    """The quantities of the model by their definitions."""

    def __init__(self, encoder, readout, latent_noise, recording_noise, task_weights, task_noise):
        (self.d, self.k), self.p = encoder.shape, len(readout)
        self.A, self.H, self.beta = encoder, readout, task_weights
        self.latent_noise = full(latent_noise, self.k)
        self.recording_noise = full(recording_noise, self.p)
        self.task_noise = task_noise
        self.P = encoder @ encoder.T
        self.K = np.eye(self.d) - self.P
        self.inverse = np.linalg.inv(readout.T @ readout) @ readout.T

    @property
    def misalignment(self):
        return np.sum((self.K @ self.beta) ** 2)

    @property
    def relative_misalignment(self):
        return self.misalignment / np.sum(self.beta**2)

    @property
    def task_snr(self):
        return np.sum(self.beta**2) / self.task_noise

    @property
    def encoding_noise(self):
        return self.latent_noise + self.inverse @ self.recording_noise @ self.inverse.T

    @property
    def gamma(self):
        inside = self.beta @ self.A @ self.encoding_noise @ self.A.T @ self.beta
        return (self.d - self.k) * inside - self.misalignment * np.trace(self.encoding_noise)

    @property
    def brain_snr(self):
        signal = np.diag(self.H @ self.H.T)
        noise = np.diag(self.H @ self.latent_noise @ self.H.T + self.recording_noise)
        return np.mean(signal / noise)


QUANTITIES = (
    "misalignment",
    "relative_misalignment",
    "task_snr",
    "encoding_noise",
    "gamma",
    "brain_snr",
)


def agree(found, expected, rtol=1e-11):
    assert np.all(np.isfinite(expected))
    return np.allclose(found, expected, rtol=rtol, atol=rtol * np.max(np.abs(expected)))


# ------------------------------------------------------------------------------------------ gauge


def regauged(encoder, readout, latent_noise, mixing, **others):
    """Latents z' = Gᵀz: (A G, H G⁻ᵀ, GᵀΣz G) is the same model of (x, r)."""
    return {
        "encoder": encoder @ mixing,
        "readout": readout @ np.linalg.inv(mixing).T,
        "latent_noise": mixing.T @ full(latent_noise, len(mixing)) @ mixing,
        **others,
    }


# ---------------------------------------------------------------------- nothing of size p × p


def shapes_in(jaxpr):
    """Shape of every intermediate of a jaxpr, inner ones included."""
    found = [variable.aval.shape for equation in jaxpr.eqns for variable in equation.outvars]
    for equation in jaxpr.eqns:
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            found += shapes_in(inner)
    return found


USES = {
    "sample_brain": lambda m: m.sample_brain(jr.key(0), 3),
    "encoding_noise": lambda m: m.encoding_noise,
    "gamma": lambda m: m.gamma,
    "brain_snr": lambda m: m.brain_snr,
    "problem": lambda m: m.problem(),
    "whitened": lambda m: m.whitened(),
}
