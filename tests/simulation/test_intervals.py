"""Intervals from few seeds hold the truth as often as they say."""

import numpy as np

from benchmarks.coverage import coverage
from jaxbrain.simulation.bootstrap import interval, mean_in_samples, resampled
from tests.helpers.fake_sweeps import fake_sweep

SWEEPS, SEEDS = 400, 5
RNG_SEED = 0


def plain_percentiles(values, confidence=0.95):
    """What resampling of seeds alone gives."""
    rng = np.random.default_rng(0)
    picked = rng.multinomial(SEEDS, np.full(SEEDS, 1 / SEEDS), size=1000) / SEEDS
    tail = (1 - confidence) / 2
    return np.quantile(values @ picked.T, [tail, 1 - tail], axis=-1)


def test_five_seeds_cover_what_they_say_and_plain_percentiles_do_not():
    rng = np.random.default_rng(RNG_SEED)
    sweep = fake_sweep(rng, SEEDS, 2)
    counts = resampled(sweep, 0.95, 1000, 0)
    values = np.exp(0.3 * rng.standard_normal((SWEEPS, SEEDS)) - 0.045)
    samples = mean_in_samples(values, counts)
    low, high = interval(samples[1:], samples[0], 0.95)
    ours = np.mean((low <= 1) & (high >= 1))
    low, high = plain_percentiles(values)
    plain = np.mean((low <= 1) & (high >= 1))
    # Four standard errors of a share of 0.95.
    bound = 4 * np.sqrt(0.95 * 0.05 / SWEEPS)
    assert abs(ours - 0.95) < bound
    assert plain < 0.95 - bound


def test_an_interval_corrects_for_the_least_of_several():
    """The least of ten means of equal truth is too low; its interval is not."""
    rng = np.random.default_rng(RNG_SEED)
    counts = resampled(fake_sweep(rng, 10, 2), 0.95, 1000, 0)
    values = (
        1
        + 0.03 * rng.standard_normal((SWEEPS, 10, 10))
        + 0.1 * rng.standard_normal((SWEEPS, 1, 10))
    )
    samples = mean_in_samples(values, counts).min(axis=-1)
    low, high = interval(samples[1:], samples[0], 0.95)
    bound = 4 * np.sqrt(0.95 * 0.05 / SWEEPS)
    assert np.mean((low <= 1) & (high >= 1)) > 0.95 - bound


def test_the_mean_of_the_seeds_comes_first_and_no_sample_is_negative():
    rng = np.random.default_rng(RNG_SEED)
    counts = resampled(fake_sweep(rng, SEEDS, 2), 0.95, 100, 0)
    values = np.exp(3 * rng.standard_normal((7, SEEDS)))
    values[0, 0] = np.nan
    samples = mean_in_samples(values, counts)
    np.testing.assert_allclose(samples[0], values.mean(axis=1))
    assert np.isnan(samples[:, 0]).all()
    assert (samples[:, 1:] > 0).all()


def test_the_benchmark_runs():
    shares = coverage(3, SEEDS, 2)
    assert set(shares) == {"value", "best penalty", "saved"}
    assert all(0 <= share <= 1 for share in shares.values())
