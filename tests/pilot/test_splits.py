"""Sizes of splits, blocks that stay together, and how alike neighbouring rows are."""

import jax
import numpy as np
import pytest

from jaxbrain.pilot import PilotError, pilot_data, row_correlation, split_sizes
from jaxbrain.pilot.splits import _displaced, _permuted
from tests.helpers.studies import INPUTS, RECORDINGS, TARGETS, run_of_a_scanner, shared


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"n_brain": 7}, "n_brain = 7 rows are too few to encode"),
        ({"n_brain": 70}, "only 60 recorded rows: pass 8 to 53"),
        ({"n_task": 3}, "too few to choose a penalty"),
        ({"n_test": 1}, "too few to test"),
        ({"n_brain": 30, "n_task": 20, "n_test": 20}, "only 30 rows left"),
    ],
)
def test_sizes_that_cannot_be_are_named(sizes, said):
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match=said):
        split_sizes(data, **sizes)


def test_too_many_brain_rows_blame_nothing_else():
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError) as caught:
        split_sizes(data, n_brain=70)
    assert len(caught.value.problems) == 1
    with pytest.raises(PilotError) as caught:
        split_sizes(data, n_brain=70, n_task=3)
    assert len(caught.value.problems) == 2
    split_sizes(data, n_brain=53)
    with pytest.raises(PilotError):
        split_sizes(data, n_brain=54)


@pytest.mark.parametrize(("n", "block"), [(17, 4), (16, 4), (5, 1), (9, 3)])
def test_a_permutation_keeps_blocks_together(n, block):
    firsts = set()
    for seed in range(20):
        rows = np.asarray(_permuted(jax.random.key(seed), n, block))
        assert sorted(rows) == list(range(n))
        # Within a block each row is followed by the next.
        inside = rows[:-1] % block < block - 1
        inside &= rows[:-1] < n - 1
        assert np.all(np.diff(rows)[inside] == 1)
        firsts.add(int(rows[0]))
    assert firsts == set(range(0, n, block))


@pytest.mark.parametrize(("n", "block"), [(16, 4), (17, 8), (7, 5), (5, 1)])
def test_the_shuffled_control_leaves_no_block_in_its_place(n, block):
    for seed in range(20):
        rows = np.asarray(_displaced(jax.random.key(seed), n, block))
        assert sorted(rows) == list(range(n))
        if block > 1:
            assert not np.any(rows == np.arange(n))


def test_rows_that_follow_each_other_are_alike_in_a_time_series():
    data = run_of_a_scanner(1)
    for lag in (1, 5):
        by_hand = [
            np.mean([np.corrcoef(x[lag:], x[:-lag])[0, 1] for x in columns.T])
            for columns in (data.recordings, data.targets)
        ]
        assert row_correlation(data, lag) == pytest.approx(max(by_hand), abs=0.05)
    assert row_correlation(data) > 0.5
    assert abs(row_correlation(data, lag=60)) < row_correlation(data)
    assert abs(row_correlation(shared())) < 2 / 20
