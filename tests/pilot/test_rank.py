"""The rank that is chosen by how well recordings are predicted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbrain import fit_encoder
from jaxbrain.pilot import choose_rank, encoding_rank, split_sizes
from jaxbrain.pilot.rank import _best
from tests.helpers.regressions import encoding_rows
from tests.helpers.studies import shared


def test_rank_is_recovered_and_ignores_targets():
    data = shared(n=120)
    sizes = split_sizes(data)
    assert choose_rank(data, sizes, 5, jax.random.key(0)) == 2
    other = data._replace(targets=data.targets[::-1] * 7.0)
    assert choose_rank(other, sizes, 5, jax.random.key(0)) == 2


def test_rank_for_encode_is_recovered_and_wrong_arrays_are_named():
    data = shared(n=120)
    assert encoding_rank(data.brain_inputs, data.recordings) == 2
    with pytest.raises(ValueError, match="13 recorded rows leave 10 a fold for 12 inputs"):
        encoding_rank(data.brain_inputs[:13], data.recordings[:13])
    with pytest.raises(ValueError, match="recordings must have shape"):
        encoding_rank(data.brain_inputs, data.recordings[1:])
    with pytest.raises(ValueError, match="recordings holds NaN"):
        encoding_rank(data.brain_inputs, np.where(data.recordings > 0, data.recordings, np.nan))


@pytest.mark.parametrize("kind", ["repeated", "constant", "rare", "constant but for rounding"])
def test_an_input_that_says_nothing_changes_no_rank(kind):
    """Folds without it are singular; a rank whose error is NaN must not pass for the best."""
    data = shared(n=120)
    inputs = data.brain_inputs.copy()
    # The last two of twelve inputs drive no channel.
    inputs[:, -1] = {
        "repeated": inputs[:, 0],
        "constant": np.ones(120),
        "rare": np.arange(120) == 7,
        "constant but for rounding": 0.1 + 1e-17 * inputs[:, 0],
    }[kind]
    assert encoding_rank(inputs, data.recordings) == 2
    sizes = split_sizes(data)
    there = data._replace(brain_inputs=inputs, task_inputs=inputs)
    assert choose_rank(there, sizes, 5, jax.random.key(0)) == 2


@pytest.mark.parametrize("unit", [1e-120, 1e120])
def test_units_change_no_rank(unit):
    data = shared(n=120)
    columns = np.where(np.arange(12) < 6, 1.0, 1e-13)
    assert encoding_rank(data.brain_inputs * unit * columns, data.recordings / unit) == 2


def test_few_rows_of_many_inputs_are_cross_validated_as_they_are():
    """Coordinates of the rows change nothing: refitted in NumPy, fold by fold."""
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(30, 50)) * np.arange(1, 51.0) ** -0.5
    readout = rng.normal(size=(3, 6)) * np.array([[3.0], [2.0], [0.3]])
    recordings = inputs[:, :3] @ readout + 0.7 * rng.normal(size=(30, 6))
    groups = np.arange(30) % 5
    ridge = float(fit_encoder(inputs, recordings, "k_fold", groups=groups).penalty)
    errors = np.zeros(6)
    for group in range(5):
        kept = groups != group
        mean, level = inputs[kept].mean(0), recordings[kept].mean(0)
        x, r = inputs[kept] - mean, recordings[kept] - level
        rows, filled = encoding_rows(x, r, ridge)
        full = np.linalg.lstsq(rows, filled, rcond=None)[0]
        channels = np.linalg.svd(rows @ full)[2]
        for rank in range(1, 7):
            weights = full @ channels[:rank].T @ channels[:rank]
            missed = recordings[~kept] - level - (inputs[~kept] - mean) @ weights
            errors[rank - 1] += np.sum(missed**2)
    best = int(np.argmin(errors)) + 1
    assert 1 < best < 6
    assert encoding_rank(inputs, recordings, ridge, groups) == best
    assert encoding_rank(inputs, recordings, "k_fold", groups) == best
    # Least squares would know no rank of these.
    with pytest.raises(ValueError, match="give the rank"):
        encoding_rank(inputs, recordings, 0.0, groups)


def test_a_ridge_serves_rows_that_are_few_and_nan_is_never_the_best():
    data = shared(n=120)
    assert encoding_rank(data.brain_inputs[:14], data.recordings[:14], ridge=1.0) >= 1
    assert _best(jnp.array([[np.nan, 3.0, 2.0, np.nan]])) == 3
    with pytest.raises(ValueError, match="no rank has an error that is a number"):
        _best(jnp.full((1, 4), np.nan))
