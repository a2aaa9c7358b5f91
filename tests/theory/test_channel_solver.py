"""The equations of noisy channels are solved whatever the gains, the noise and the numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

pytestmark = pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")


def study(d, channels, latent_noise, gain, noise):
    k = len(gain)
    power = np.full(k, 0.95 / k)
    return jb.Problem(
        input_dim=d,
        latent_dim=k,
        recording_dim=channels,
        latent_noise=latent_noise,
        gain=gain,
        recording_noise=noise,
        aligned_power=np.diag(power) if np.ndim(gain) == 2 else power,
        misaligned_power=0.05,
        task_noise=1.0,
    )


def test_a_direction_about_to_be_lost():
    """Where a count is nearly a step in the level, Newton's method alone creeps towards it."""
    weak = study(12, 150, np.full(6, 0.5), [90, 90, 90, 90, 90, 9], 16.0)
    places = np.array([179.79448703344337, 301.58422515, 359.44653])
    numbers = np.sort(np.concatenate([places * (1 + x) for x in (-2e-3, -1e-3, 0, 1e-3, 2e-3)]))
    missed = np.asarray(jb.expected_misalignment(weak, numbers)).reshape(3, 5)
    assert np.all(np.isfinite(missed))
    # Smooth through each place: what five points leave to a parabola is next to nothing.
    x = np.linspace(-1, 1, 5)
    for row in missed:
        left = row - np.polyval(np.polyfit(x, row, 2), x)
        assert np.max(abs(left)) < 1e-8


@pytest.mark.parametrize("matrices", [False, True])
def test_random_studies(matrices):
    rng = np.random.default_rng(matrices)
    k = 4 if matrices else 8
    unsolved, cells = [], 0
    for trial in range(10 if matrices else 40):
        d = int(k * rng.choice([1.2, 2, 4, 10]) + 1)
        channels = int(k + rng.choice([5, 50, 500]))
        gain = 10 * np.exp(rng.normal(0, rng.choice([0.01, 1, 3]), k))
        noise = 10 ** rng.uniform(-2, 1, k) if trial % 2 else np.full(k, 0.5)
        if matrices:
            turns = np.linalg.qr(rng.normal(size=(2, k, k)))[0]
            gain, noise = (
                (turn * x) @ turn.T for turn, x in zip(turns, (gain, noise), strict=True)
            )
            gain, noise = (gain + gain.T) / 2, (noise + noise.T) / 2
        setting = study(d, channels, noise, gain, 10 ** rng.uniform(-3, 4))
        numbers = d + 1 + jnp.geomspace(1, 1e6, 16)
        missed = np.asarray(jb.expected_misalignment(setting, numbers))
        cells += missed.size
        if not np.all((missed > 0) & (missed < 1)):
            unsolved.append((trial, d, channels, missed))
    assert cells == (160 if matrices else 640)
    assert not unsolved


def test_matrices_of_very_different_gains():
    """Rounding of inverses grows with the spread, and must not pass for what is left to solve."""
    turn = np.linalg.qr(np.random.default_rng(76).normal(size=(2, 2)))[0]
    gain, noise = np.array([1.332e-2, 1.736e3]), np.full(2, 0.5)
    spectral = study(3, 52, noise, gain, 1032.0)
    full = study(3, 52, np.diag(noise), (turn * gain) @ turn.T, 1032.0)
    numbers = np.array([5.0, 8.0, 50.0, 500.0])
    np.testing.assert_allclose(
        jb.expected_misalignment(full, numbers),
        jb.expected_misalignment(spectral, numbers),
        rtol=1e-9,
    )
