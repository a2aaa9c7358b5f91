"""The ready-made studies."""

import tracemalloc

import jax
import jax.extend
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

import jaxbrain as jb
from tests.helpers.models import (
    USES,
    shapes_in,
)

# ---------------------------------------------------------------------------------------- presets

FMRI = (4096, 410, 10_000)


SMALL = (64, 6, 150)


@pytest.fixture(scope="module")
def fmri():
    return jb.presets.fmri()


def variance_shares(model):
    """Shares of each channel's single-trial variance: stimulus, measurement noise, latent noise."""
    readout = np.asarray(model.readout)
    signal = np.sum(readout**2, axis=1)
    parts = np.stack(
        [
            signal,
            np.full(len(readout), float(model.recording_noise)),
            float(model.latent_noise) * signal,
        ]
    )
    return parts / np.sum(parts, axis=0)


def check_preset(model, dimensions, task_snr, misalignment):
    assert (model.input_dim, model.latent_dim, model.recording_dim) == dimensions
    readout = np.asarray(model.readout)
    np.testing.assert_array_equal(np.sum(readout == 1, axis=1), 4)
    np.testing.assert_array_equal(np.sum(readout == 0, axis=1), dimensions[1] - 4)
    shares = np.broadcast_to(np.array([[0.4], [0.4], [0.2]]), (3, dimensions[2]))
    np.testing.assert_allclose(variance_shares(model), shares, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(model.task_weights), 1.0, rtol=1e-12)
    np.testing.assert_allclose(model.relative_misalignment, misalignment, rtol=1e-11, atol=1e-25)
    np.testing.assert_allclose(model.task_snr, task_snr, rtol=1e-12)
    np.testing.assert_allclose(model.task_noise, 1 / task_snr, rtol=1e-12)


def test_fmri_preset_is_the_study_of_the_paper(fmri):
    check_preset(fmri, FMRI, 0.1, 0.1)
    assert jb.presets.FMRI_SAMPLES_PER_HOUR == 1800
    encoder = np.asarray(fmri.encoder)
    np.testing.assert_allclose(encoder.T @ encoder, np.eye(410), atol=1e-13)
    problem = fmri.problem()
    assert not problem.is_matrix_form
    readout = np.asarray(fmri.readout)
    np.testing.assert_allclose(problem.gain, np.linalg.eigvalsh(readout.T @ readout), rtol=1e-9)
    np.testing.assert_allclose(fmri.brain_snr, 4 / 6, rtol=1e-12)


def test_fmri_preset_fits_in_memory(fmri):
    """10 000² numbers would be 800 MB; the model is 46 MB, and making it takes little more."""
    arrays_of_model = jax.tree.leaves(fmri)
    assert sum(leaf.nbytes for leaf in arrays_of_model) < 50e6
    tracemalloc.start()
    jb.LinearGaussianModel(*arrays_of_model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    for use in USES.values():
        assert max(np.prod(s) for s in shapes_in(jax.make_jaxpr(use)(fmri).jaxpr)) < 5e6


@pytest.mark.parametrize(
    ("task_snr", "misalignment"), [(0.1, 0.0), (10.0, 0.01), (0.1, 0.5), (10.0, 1.0)]
)
def test_small_preset_is_the_same_study_in_miniature(task_snr, misalignment):
    model = jb.presets.small(task_snr, misalignment)
    check_preset(model, SMALL, task_snr, misalignment)


def test_preset_follows_its_key():
    first, again = jb.presets.small(key=jr.key(0)), jb.presets.small()
    other = jb.presets.small(key=jr.key(1))
    for name in ("encoder", "readout", "task_weights"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert np.mean(np.asarray(getattr(first, name)) != np.asarray(getattr(other, name))) > 0.3
    # The task may change without the brain: misalignment and noise do not touch the recordings.
    harder = jb.presets.small(task_snr=5.0, misalignment=0.7)
    np.testing.assert_array_equal(harder.readout, first.readout)
    np.testing.assert_array_equal(harder.encoder, first.encoder)


def test_voxels_pool_every_choice_of_four_latents_equally_often():
    readouts = [np.asarray(jb.presets.small(key=jr.key(seed)).readout) for seed in range(20)]
    chosen = np.concatenate(readouts).astype(int) @ 2 ** np.arange(6)
    choices = [mask for mask in range(64) if mask.bit_count() == 4]
    counts = np.array([np.sum(chosen == mask) for mask in choices])
    assert np.sum(counts) == 3_000
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    # Independent draws that skip repeats by moving to the next latent favour neighbours.
    rng = np.random.default_rng(0)
    biased = []
    for _ in range(3_000):
        taken = set()
        for pick in rng.integers(0, 6, size=4):
            while pick in taken:
                pick = (pick + 1) % 6
            taken.add(int(pick))
        biased.append(sum(2**latent for latent in taken))
    counts = np.array([np.sum(np.array(biased) == mask) for mask in choices])
    assert scipy.stats.chisquare(counts).pvalue < 1e-4


def test_encoder_and_task_of_a_preset_are_uniformly_random():
    """Means over keys of the projection on span(A) and of the task's direction, in s.e."""
    models = [jb.presets.small(key=jr.key(seed)) for seed in range(200)]
    squares = np.array([np.sum(np.asarray(m.encoder) ** 2, axis=1) for m in models])
    directions = np.array([m.task_weights for m in models])
    for samples, mean in ((squares, 6 / 64), (directions, 0.0), (directions**2, 1 / 64)):
        scores = (np.mean(samples, axis=0) - mean) / (
            np.std(samples, axis=0, ddof=1) / np.sqrt(200)
        )
        assert np.max(np.abs(scores)) < 4.5
        wrong = (np.mean(samples, axis=0) - mean - 0.05) / (
            np.std(samples, axis=0, ddof=1) / np.sqrt(200)
        )
        assert np.max(np.abs(wrong)) > 4.5


def test_presets_map_over_task_and_misalignment():
    snrs, shares = jnp.array([0.1, 1.0]), jnp.array([0.0, 0.3])
    stacked = jax.vmap(lambda snr, share: jb.presets.small(snr, share))(snrs, shares)
    np.testing.assert_allclose(jax.vmap(lambda m: m.task_snr)(stacked), snrs, rtol=1e-12)
    np.testing.assert_allclose(
        jax.vmap(lambda m: m.misalignment)(stacked), shares, rtol=1e-12, atol=1e-25
    )
