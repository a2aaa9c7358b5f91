"""Targets that are missing in some rows: the others have nothing to do with that."""

import jax
import numpy as np
import pytest

from jaxbrain.pilot import PilotError, evaluate, over_rows, pilot_data, split_sizes
from jaxbrain.pilot._parts import parts_of
from tests.helpers.studies import study

KEY = jax.random.key(0)
INPUTS, RECORDINGS, TARGETS = study(n=130)
GONE = np.arange(10) * 13


def of(targets, keep=slice(None), shared=True):
    inputs = {"inputs": INPUTS[keep]} if shared else {
        "brain_inputs": INPUTS, "task_inputs": INPUTS[keep]}  # fmt: skip
    recordings = RECORDINGS[keep] if shared else RECORDINGS
    return pilot_data(recordings=recordings, targets=targets, **inputs)


@pytest.fixture(scope="module")
def found():
    """Two targets, one of them missing in ten rows; and each alone, on the rows where it is."""
    targets = TARGETS.copy()
    targets[GONE, 1] = np.nan
    data = of(targets)
    sizes = split_sizes(data, 60, 24, 36)
    known = np.delete(np.arange(130), GONE)
    apart = [of(TARGETS[:, :1]), of(TARGETS[known, 1:], known)]
    both, *alone = (evaluate(each, sizes, 3, KEY, rank=2) for each in (data, *apart))
    return both, alone, known


def test_each_target_is_compared_on_its_own_rows(found):
    both, alone, known = found
    errors = np.concatenate([each.errors for each in alone], axis=2)
    np.testing.assert_array_equal(both.errors, errors)
    np.testing.assert_allclose(both.scores, np.mean([each.scores for each in alone], axis=0))
    assert both.curves.cells == alone[0].curves.cells
    means = np.mean([each.curves.errors for each in alone], axis=0)
    np.testing.assert_allclose(both.curves.errors, means, rtol=1e-12)
    # A row counts the targets that are known there.
    first, second = (each.curves.row_losses for each in alone)
    np.testing.assert_array_equal(both.curves.row_losses[:, GONE], first[:, GONE])
    pairs = np.stack([first[:, known], second])
    tested = np.isfinite(pairs).all(axis=0)
    np.testing.assert_allclose(
        both.curves.row_losses[:, known][tested], pairs.mean(axis=0)[tested], rtol=1e-12
    )
    assert both.curves.design.task_rows == 120
    assert np.isfinite(over_rows(both.curves, 1).mean)


def test_targets_known_in_the_same_rows_are_one_part():
    targets = np.hstack([TARGETS, TARGETS, TARGETS[:, :1]])
    targets[GONE[:, None], [1, 3]] = np.nan
    targets[5, 4] = np.nan
    data = of(targets, shared=False)
    parts = parts_of(data)
    assert [part.columns.tolist() for part in parts] == [[0, 2], [1, 3], [4]]
    assert [len(part.data.task_inputs) for part in parts] == [130, 120, 129]
    for part in parts:
        np.testing.assert_array_equal(part.data.targets, targets[np.ix_(part.rows, part.columns)])
        np.testing.assert_array_equal(part.data.task_inputs, INPUTS[part.rows])
        assert part.data.brain_inputs is data.brain_inputs
        assert part.data.target_names == tuple(map(str, part.columns))


def test_sizes_are_those_of_the_target_with_fewest_rows():
    targets = TARGETS.copy()
    targets[30:, 1] = np.nan
    data = of(targets)
    assert sum(split_sizes(data)) == 30
    with pytest.raises(PilotError, match="there are only 30 recorded rows"):
        split_sizes(data, 60)
