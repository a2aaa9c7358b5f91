"""Two penalties from drawn subspaces, against sweeps that draw and weigh by other programs."""

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.simulation.drawn_subspaces import labels_worth, with_two_penalties

PROBLEM = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
N_BRAIN, N_TASK = [40, 80], [30]


@pytest.fixture(scope="module")
def drawn():
    return jb.sweep(PROBLEM, N_BRAIN, N_TASK, trials=64, seeds=4, key=jax.random.key(0))


def test_the_mean_is_that_of_a_sweep_of_the_estimator(drawn):
    found = with_two_penalties(PROBLEM, drawn)
    other = jb.sweep(
        PROBLEM, N_BRAIN, N_TASK, trials=64, seeds=4, key=jax.random.key(1),
        estimator="befs_two_penalties",
    )  # fmt: skip
    assert found.risk.dims == ("n_brain", "n_task", "seed")
    (mean, error), (expected, theirs) = (
        jb.simulation.mean_over_seeds(x.squeeze(), "risk") for x in (found, other)
    )
    both = np.hypot(error, theirs)
    assert np.all(abs(mean - expected) < 4 * both)
    # A formula that is off by some percent would be seen.
    assert np.all(both < 0.015 * expected)


def test_subspaces_that_miss_what_they_do_on_average_have_the_risk_of_theory(drawn):
    """The error is linear in what a subspace misses: the closed form is its value at the mean."""
    missed = float(jb.expected_misalignment(PROBLEM, 80))
    shares = missed + np.array([-0.1, 0.1, -0.03, 0.03]) * missed
    spread = drawn.assign(
        misalignment=(("n_brain", "seed"), np.tile(shares, (2, 1))),
        misalignment_standard_error=(("n_brain", "seed"), np.full((2, 4), 1e-3)),
    )
    found = with_two_penalties(PROBLEM, spread).sel(n_brain=80, n_task=30)
    claim = float(jb.two_penalty_risk(PROBLEM, 80, 30))
    # The closed form has a series of its own at the best penalties.
    assert float(found.risk.mean()) == pytest.approx(claim, rel=1e-4)
    rises = np.diff(found.risk.values[[0, 2, 3, 1]]) / np.diff(shares[[0, 2, 3, 1]])
    np.testing.assert_allclose(rises, rises[0], rtol=1e-6)
    assert rises[0] > 0
    np.testing.assert_allclose(found.risk_standard_error, 1e-3 * rises[0], rtol=1e-6)


def test_so_many_labels_more_make_ridge_regression_as_good():
    worth = labels_worth(PROBLEM, np.array([0.3, 0.15]), np.array([30.0, 30.0]))
    np.testing.assert_allclose(jb.ridge_risk(PROBLEM, 30.0 + worth), [0.3, 0.15], rtol=1e-6)
