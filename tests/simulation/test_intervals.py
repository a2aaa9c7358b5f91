"""Intervals from few seeds hold the truth as often as they say."""

import numpy as np
import pytest

import jaxbrain as jb
from benchmarks.coverage import SETTINGS, best_plans, coverage
from jaxbrain.simulation.intervals import (
    ends,
    least_unless_lucky,
    mean_in_samples,
    resampled,
    spread_of_differences,
)
from tests.helpers.fake_sweeps import WORTH, fake_sweep

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
    low, high = ends(samples[1:], samples[1:], 0.95)
    ours = np.mean((low <= 1) & (high >= 1))
    low, high = plain_percentiles(values)
    plain = np.mean((low <= 1) & (high >= 1))
    # Four standard errors of a share of 0.95.
    bound = 4 * np.sqrt(0.95 * 0.05 / SWEEPS)
    assert abs(ours - 0.95) < bound
    assert plain < 0.95 - bound


@pytest.mark.parametrize("own", [0.03, 0.3])
def test_luck_in_the_choice_of_the_least_is_allowed_for(own):
    """The least of ten means of equal truth is too low, and too low again in every sample."""
    rng = np.random.default_rng(RNG_SEED)
    counts = resampled(fake_sweep(rng, 10, 2), 0.95, 1000, 0)
    values = (
        1 + own * rng.standard_normal((SWEEPS, 10, 10)) + 0.1 * rng.standard_normal((SWEEPS, 1, 10))
    )
    samples = mean_in_samples(values, counts)
    least = samples.min(axis=-1)
    # The highest of the risks is the low end of what it is worth.
    cautious = least_unless_lucky(samples, samples[0], spread_of_differences(values))
    low, high = ends(least[1:], cautious[1:], 0.95)
    bound = 4 * np.sqrt(0.95 * 0.05 / SWEEPS)
    assert np.mean((low <= 1) & (high >= 1)) > 0.95 - bound
    naive, _ = ends(least[1:], least[1:], 0.95)
    _, high = ends(least[1:], least[1:], 0.95)
    assert np.mean((naive <= 1) & (high >= 1)) < 0.95 - bound


def test_a_clear_winner_is_spread_as_if_it_were_alone():
    rng = np.random.default_rng(RNG_SEED)
    counts = resampled(fake_sweep(rng, 10, 2), 0.95, 200, 0)
    values = rng.uniform(0.9, 1.1, (4, 3, 10)) * np.array([1.0, 3.0, 9.0])[:, None]
    values[3, 2] = np.nan
    samples = mean_in_samples(values, counts)
    found = least_unless_lucky(samples, samples[0], spread_of_differences(values))
    np.testing.assert_allclose(found, samples[..., 0], rtol=1e-12)
    values[2] = np.nan
    samples = mean_in_samples(values, counts)
    found = least_unless_lucky(samples, samples[0], spread_of_differences(values))
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(found[:, [0, 1, 3]]).all()


def test_plans_that_tie_are_all_named_and_their_saving_is_covered():
    """The amount that happens to be the least is none that data can tell."""
    rng = np.random.default_rng(RNG_SEED)
    sweeps, held, named, saved = 120, [], [], []
    tied = SETTINGS["tied"]
    best, saving = best_plans(tied)
    assert best == [*tied]
    for _ in range(sweeps):
        plan = jb.empirical_allocation(fake_sweep(rng, 10, 5, tied), 90, 0.1, 1.0, resamples=300)
        low, high = plan.n_brain_interval
        held.append([low <= n <= high for n in best])
        named.append(plan.n_brain)
        low, high = plan.saved_interval
        saved.append(low <= saving <= high)
    bound = 3 * np.sqrt(0.95 * 0.05 / sweeps)
    assert np.mean(held) > 0.95 - bound
    assert np.mean(saved) > 0.95 - bound
    # A single best is the right one in a quarter of the sweeps.
    assert np.mean(np.array(named)[:, None] == best) < 0.3


def test_a_plan_that_is_far_ahead_is_the_only_one_named():
    rng = np.random.default_rng(RNG_SEED)
    worth = {100: (5.0, 5.0, 5.0), 200: (10.0, 10.0, 400.0)}
    plan = jb.empirical_allocation(fake_sweep(rng, 30, 5, worth, spread=0.1), 90, 0.1, 1.0)
    assert plan.n_brain_interval == (200.0, 200.0)
    assert plan.saved_interval[0] > 0.7
    dear = jb.empirical_allocation(fake_sweep(rng, 30, 5, WORTH, spread=0.02), 90, 0.69, 1.0)
    assert dear.n_brain_interval == (0.0, 0.0)
    assert dear.saved_interval == (0.0, 0.0)


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
    assert set(shares) == {"value", "best_penalty", "saved", "n_brain"}
    assert all(0 <= share <= 1 for share in shares.values())
