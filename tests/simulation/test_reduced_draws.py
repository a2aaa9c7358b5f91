"""Exact draws of the brain stage, against recordings drawn in plain NumPy."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

import jaxbrain as jb
from jaxbrain.simulation import brain_stage
from jaxbrain.simulation.brain_stage import draw_subspace, reduce_model

DRAWS = 2000


def model_of(d, k, p, latent=0.3, noise=1.0, misalignment=0.2, kind="equal"):
    rng = np.random.default_rng(100 * d + k)
    encoder = np.linalg.qr(rng.standard_normal((d, k)))[0]
    readout = rng.standard_normal((p, k)) * np.geomspace(0.7, 1.5, k)
    latent_noise, recording_noise = np.asarray(latent), np.asarray(noise)
    if kind in ("matrix", "unequal"):
        root = rng.standard_normal((k, k))
        latent_noise = latent * root @ root.T / k
    if kind == "unequal":
        root = rng.standard_normal((p, p))
        recording_noise = noise * (root @ root.T / p + 0.1 * np.eye(p))
    inside, outside = encoder @ rng.standard_normal(k), rng.standard_normal(d)
    outside -= encoder @ (encoder.T @ outside)
    weights = np.sqrt(1 - misalignment) * inside / np.linalg.norm(inside)
    weights = weights + np.sqrt(misalignment) * outside / np.linalg.norm(outside)
    return jb.LinearGaussianModel(encoder, readout, latent_noise, recording_noise, weights, 1.0)


@functools.cache
def raw_draws(name, draws=DRAWS, seed=0):
    """‖K̂β‖², tr AᵀK̂A, tr (AᵀK̂A)², from data: least squares, then the leading fitted channels."""
    arguments, n = SETTINGS[name]
    model = model_of(**arguments)
    rng = np.random.default_rng(seed)
    a, h, beta = (np.asarray(x) for x in (model.encoder, model.readout, model.task_weights))
    (d, k), p = a.shape, len(h)
    z, r = np.asarray(model.latent_noise), np.asarray(model.recording_noise)
    z_root = np.linalg.cholesky(z + 1e-15 * np.eye(k)) if z.ndim else np.sqrt(z) * np.eye(k)
    r_root = np.linalg.cholesky(r) if r.ndim else None
    x = rng.standard_normal((draws, n, d))
    latents = x @ a + rng.standard_normal((draws, n, k)) @ z_root.T
    e = rng.standard_normal((draws, n, p))
    recordings = latents @ h.T + (e * np.sqrt(r) if r_root is None else e @ r_root.T)
    crossed = x.swapaxes(1, 2) @ recordings
    weights = np.linalg.solve(x.swapaxes(1, 2) @ x, crossed)
    gram = weights.swapaxes(1, 2) @ crossed
    leading = np.linalg.eigh((gram + gram.swapaxes(1, 2)) / 2)[1][:, :, -k:]
    basis = np.linalg.qr(weights @ leading)[0]
    turned = a.T @ basis
    lost = np.eye(k) - turned @ turned.swapaxes(1, 2)
    missed = beta @ beta - np.sum((beta @ basis) ** 2, axis=1)
    return np.stack(
        [missed, np.trace(lost, axis1=1, axis2=2), np.sum(lost**2, axis=(1, 2))], axis=1
    )


@functools.cache
def program(sizes, solver, dtype):
    """Compiled once for studies of equal sizes; `solver`, `dtype` only tell programs apart."""

    @jax.jit
    def draw(reduced, n):
        keys = jax.vmap(lambda i: jr.fold_in(jr.key(7), i))(jnp.arange(DRAWS))
        return jax.lax.map(lambda key: draw_subspace(key, reduced, sizes, n), keys)

    return draw


def reduced_draws(model, n, solver="eigenvectors"):
    reduced, sizes = reduce_model(model)
    n = jnp.asarray(1.0 * n)
    draw = jax.tree.map(np.asarray, program(sizes, solver, n.dtype.name)(reduced, n))
    return np.stack([draw.misalignment, draw.lost, draw.lost_squared], 1), draw


SETTINGS = {
    "fewer channels than inputs": (dict(d=24, k=4, p=16), 60),
    "near the number of inputs": (dict(d=24, k=4, p=16), 26),
    "more channels than inputs": (dict(d=24, k=4, p=60), 40),
    "many noisy channels": (dict(d=20, k=3, p=100, noise=20.0), 40),
    "as many channels as latents": (dict(d=20, k=3, p=3), 50),
    "half of the directions": (dict(d=12, k=6, p=20), 30),
    "most directions": (dict(d=12, k=8, p=11), 40),
    "all directions but one": (dict(d=10, k=9, p=30), 30),
    "one latent": (dict(d=10, k=1, p=4), 20),
    "correlated latent noise": (dict(d=16, k=4, p=10, kind="matrix"), 40),
    "correlated latent noise, many channels": (dict(d=16, k=4, p=40, kind="matrix"), 40),
    "unequal channels": (dict(d=16, k=4, p=10, kind="unequal"), 40),
    "nothing in reach": (dict(d=16, k=4, p=10, misalignment=1.0), 40),
    "everything in reach": (dict(d=16, k=4, p=10, misalignment=0.0), 40),
}


@pytest.fixture(params=["eigenvectors", "iteration"])
def solver(request, monkeypatch):
    if request.param == "iteration":
        monkeypatch.setattr(brain_stage, "LARGEST_DENSE", 0)
    return request.param


# One for each branch of the draws; the others are variations of their sizes.
ALWAYS = {
    ("fewer channels than inputs", "eigenvectors"),
    ("more channels than inputs", "eigenvectors"),
    ("more channels than inputs", "iteration"),
    ("as many channels as latents", "eigenvectors"),
    ("most directions", "eigenvectors"),
    ("unequal channels", "eigenvectors"),
}
COMPARISONS = [
    pytest.param(name, solver, marks=() if (name, solver) in ALWAYS else pytest.mark.study)
    for name in SETTINGS
    for solver in ("eigenvectors", "iteration")
    # Unequal channels are never iterated.
    if (name, solver) != ("unequal channels", "iteration")
]


@pytest.mark.parametrize(("name", "solver"), COMPARISONS, indirect=["solver"])
def test_draws_have_the_distribution_of_raw_data(name, solver):
    """Moments in standard errors, ‖K̂β‖² as a whole by Kolmogorov and Smirnov.

    28 comparisons each.
    """
    arguments, n = SETTINGS[name]
    model = model_of(**arguments)
    raw = raw_draws(name)
    found, draw = reduced_draws(model, n, solver)
    for column in range(3):
        error = np.hypot(*(x[:, column].std() / np.sqrt(DRAWS) for x in (raw, found)))
        assert abs(raw[:, column].mean() - found[:, column].mean()) < 4 * error + 1e-12
    assert stats.ks_2samp(raw[:, 0], found[:, 0]).pvalue > 0.05 / 28
    # What the sweeps average: the same mean, less scatter.
    m, q = float(model.misalignment), model.input_dim - model.latent_dim
    averaged = draw.task + m * (1 - draw.lost / q)
    error = np.std(averaged - found[:, 0]) / np.sqrt(DRAWS)
    assert abs(averaged.mean() - found[:, 0].mean()) < 4 * error + 1e-12
    assert averaged.std() <= found[:, 0].std() * 1.02


@pytest.mark.parametrize(
    ("name", "more"), [("fewer channels than inputs", 8), ("near the number of inputs", 2)]
)
def test_a_different_number_of_recordings_is_told_apart(name, more):
    arguments, n = SETTINGS[name]
    raw = raw_draws(name)
    found, _ = reduced_draws(model_of(**arguments), n + more)
    assert stats.ks_2samp(raw[:, 0], found[:, 0]).pvalue < 1e-6


def test_a_noiseless_brain_teaches_exactly(solver):
    model = model_of(d=24, k=4, p=60, latent=0.0, noise=0.0)
    found, draw = reduced_draws(model, 40, solver)
    # A direction that rounding has moved by 1e-16 of its square is off by its root.
    np.testing.assert_allclose(found[:, 0], float(model.misalignment), atol=1e-6)
    np.testing.assert_allclose(draw.lost, 0, atol=1e-10)


def test_noise_without_end_teaches_a_random_subspace(solver):
    found, _ = reduced_draws(model_of(d=24, k=4, p=60, noise=1e8), 40, solver)
    error = found[:, 0].std() / np.sqrt(DRAWS)
    assert abs(found[:, 0].mean() - 20 / 24) < 4 * error


def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact, _ = reduced_draws(model_of(d=24, k=4, p=60), 40)
    found, _ = reduced_draws(model_of(d=24, k=4, p=60), 40)
    assert found.dtype == np.float32
    error = np.hypot(exact[:, 0].std(), found[:, 0].std()) / np.sqrt(DRAWS)
    assert abs(exact[:, 0].mean() - found[:, 0].mean()) < 4 * error


def test_unequal_channels_beyond_the_number_of_inputs_name_the_way_out():
    with pytest.raises(ValueError, match="method='data'"):
        reduce_model(model_of(d=12, k=3, p=20, kind="unequal"))


def test_an_iteration_that_does_not_settle_is_nan(monkeypatch):
    from jaxbrain.simulation import _iteration as iteration

    monkeypatch.setattr(brain_stage, "LARGEST_DENSE", 0)
    monkeypatch.setattr(iteration, "_MAX_ROUNDS", 0)
    found, _ = reduced_draws(model_of(d=24, k=4, p=60), 40, "unsettled")
    assert np.all(np.isnan(found))
