"""Sizes of splits, blocks that stay together, and how alike neighbouring rows are."""

import itertools

import jax
import numpy as np
import pytest

from jaxbrain.pilot import PilotError, pilot_data, row_correlation, split_sizes
from jaxbrain.pilot._draws import draw_rows, longest_of, units_of
from jaxbrain.pilot._groups import most_lost
from jaxbrain.pilot._plan import check_sizes
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


def grouped(rng, n_brain=60, n_task=80, subjects=10, own=4):
    """Subjects of whom both are known, and some that were recorded only."""
    inputs = rng.normal(size=(n_brain + n_task, 3))
    return pilot_data(
        brain_inputs=inputs[:n_brain],
        recordings=rng.normal(size=(n_brain, 5)),
        task_inputs=inputs[n_brain:],
        targets=rng.normal(size=n_task),
        brain_groups=rng.integers(0, subjects + own, n_brain),
        task_groups=rng.integers(0, subjects, n_task),
    )


@pytest.mark.parametrize("block", [1, 2])
def test_a_group_of_the_brain_rows_is_never_among_the_test_rows(block):
    """Recordings and targets are of different rows, but of subjects that are partly the same."""
    rng = np.random.default_rng(0)
    data = grouped(rng)
    sizes = split_sizes(data, n_task=20)
    assert sizes.n_test == 11
    # Those recorded only, and half of the others.
    both = np.isin(data.brain_groups, data.task_groups)
    assert sizes.n_brain == 60 - both.sum() // 2
    units = units_of(data, block)
    longest = longest_of(data, sizes, units)
    if block == 2:
        # Blocks join most subjects to one: nobody is left to test on.
        with pytest.raises(PilotError, match="labelled rows of groups that are not among theirs"):
            check_sizes(data, sizes, 2, None, block)
        return
    check_sizes(data, sizes, 2, None, block)
    seen = set()
    for seed in range(30):
        draw = draw_rows(jax.random.key(seed), sizes, units, block, longest)
        recorded = set(data.brain_groups[draw.brain])
        assert len(set(draw.brain)) == sizes.n_brain
        for task, test in zip(draw.task, draw.test, strict=True):
            assert (len(set(task)), len(set(test))) == (longest, 11)
            tested = set(data.task_groups[test])
            assert not tested & (recorded | set(data.task_groups[task]))
            seen |= tested
    assert seen == set(data.task_groups)
    with pytest.raises(PilotError, match="n_brain = 60 recorded rows leave 0 labelled rows"):
        split_sizes(data, 60)


def test_groups_that_are_not_the_same_leave_all_recordings():
    data = grouped(np.random.default_rng(1))
    apart = data._replace(task_groups=data.task_groups + 20)
    assert split_sizes(apart).n_brain == 60
    assert not units_of(apart, 1).joint


def test_no_draw_loses_more_than_the_bound():
    """Against all orders of few units."""
    rng = np.random.default_rng(2)
    for _ in range(6):
        brain, task = rng.integers(0, 4, 12), rng.integers(1, 5, 15)
        for n_brain in (1, 5, 9, 12):
            lost = []
            for order in itertools.permutations(range(5)):
                # Units without task rows come first.
                place = np.array([order.index(u) - 10 * (u not in task) for u in brain])
                drawn = brain[np.argsort(place, kind="stable")][:n_brain]
                lost.append(np.isin(task, drawn).sum())
            bound = most_lost(brain, task, n_brain)
            assert max(lost) <= bound <= max(lost) + np.bincount(task).max()


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
