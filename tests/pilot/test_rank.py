"""The rank that is chosen by how well recordings are predicted."""

import jax
import numpy as np
import pytest

from jaxbrain.pilot import choose_rank, encoding_rank, split_sizes
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
