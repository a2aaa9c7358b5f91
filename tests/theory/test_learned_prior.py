"""How the equations of the brain stage are solved along penalties."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbrain.theory.learned_prior import _ahead


@pytest.mark.parametrize("degree", [0, 1, 6])
def test_roots_ahead_are_those_of_a_polynomial(degree):
    points = -np.cos(np.linspace(0.1, 3.0, 12))
    values = np.polynomial.Polynomial(np.arange(1.0, degree + 2))(points)
    weights = np.asarray(_ahead(jnp.asarray(points)))
    for place in range(1, len(points)):
        before = values[max(place - weights.shape[1], 0) : place][::-1]
        told = weights[place, : len(before)] @ before
        if place > degree:
            assert told == pytest.approx(values[place], rel=1e-9)
        else:
            assert told != pytest.approx(values[place], rel=1e-9)
        assert not np.any(weights[place, len(before) :])


def test_the_first_root_is_guessed_alone():
    weights = np.asarray(_ahead(jnp.linspace(0.0, 1.0, 3)))
    np.testing.assert_array_equal(weights[0], np.eye(weights.shape[1])[0])
