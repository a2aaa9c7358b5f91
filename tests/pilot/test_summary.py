"""Means over repeats with their intervals."""

import numpy as np
import pytest
from scipy import stats

from jaxbrain.pilot import summarise


def test_summary_is_students_interval_and_counts_failures():
    for n in (2, 3, 4, 6, 30, 300):
        values = np.random.default_rng(n).normal(size=n)
        summary = summarise(np.append(values, np.nan))
        low, high = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
        assert (summary.low, summary.high) == pytest.approx((low, high), rel=1e-12)
        assert summary.failed == 1
    assert np.isnan(summarise(np.array([1.0, np.nan])).mean)


def test_the_share_of_repeats_for_which_something_holds():
    holds = np.array([True, False, True, True])
    assert summarise(holds) == summarise(holds.astype(float))
