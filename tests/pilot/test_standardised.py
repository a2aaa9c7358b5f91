"""Inputs, recordings and targets in units of the rows learned from: of these rows alone."""

import jax
import numpy as np

from jaxbrain.pilot import evaluate, pilot_data, split_sizes
from jaxbrain.pilot._draws import draw_rows, longest_of, units_of
from tests.helpers.studies import study

KEY = jax.random.key(0)
INPUTS, RECORDINGS, TARGETS = study(n=120)


def evaluated(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS):
    everything = ["inputs", "recordings", "targets"]
    data = pilot_data(inputs=inputs, recordings=recordings, targets=targets, standardise=everything)
    return data, evaluate(data, split_sizes(data, 60, 24, 30), 2, KEY, rank=2)


def test_neither_units_nor_rows_that_nothing_is_learned_from_decide():
    data, plain = evaluated()
    units = 10.0 ** (np.arange(20) % 7 - 3)
    _, scaled = evaluated(INPUTS * units[:12], RECORDINGS * units, TARGETS * [1e-3, 1e3])
    np.testing.assert_allclose(scaled.errors, plain.errors, rtol=1e-8)
    # Both repeats have these brain rows, whose recordings are all that is looked at.
    sizes, rows = plain.sizes, units_of(data, 1)
    first = jax.random.split(jax.random.fold_in(KEY, 0))[0]
    brain = draw_rows(first, sizes, rows, 1, longest_of(data, sizes, rows)).brain
    unseen = np.setdiff1d(np.arange(120), brain)
    recordings = RECORDINGS.copy()
    recordings[unseen] *= units
    _, other = evaluated(recordings=recordings)
    np.testing.assert_allclose(other.errors, plain.errors, rtol=1e-8)
    recordings = RECORDINGS.copy()
    recordings[brain[:30]] *= units
    _, other = evaluated(recordings=recordings)
    assert np.nanmax(np.abs(other.errors / plain.errors - 1)) > 1e-3
