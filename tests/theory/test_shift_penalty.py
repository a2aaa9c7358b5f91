"""The best penalty under a shift."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import jaxbrain as jb
from jaxbrain.theory.brain_stage import subspace_moments
from tests.helpers.problems import spectrum_problem

moments_of_subspace = jax.jit(subspace_moments, static_argnames="order")


# The best penalty.


@pytest.mark.parametrize(
    ("variances", "n_task"),
    [
        *[((0.0, 0.0, 1.0), n_task) for n_task in (8.0, 30.0, 200.0)],
        *[((0.2, 6.0, 0.5), n_task) for n_task in (8.0, 25.0, 200.0)],
        *[((3.0, 0.5, 1.0), n_task) for n_task in (8.0, 30.0)],
        ((1.0, 0.1, 2.0), 30.0),
    ],
)
def test_best_penalty_is_where_the_risk_is_lowest(variances, n_task):
    problem = spectrum_problem()
    shift = jb.BlockShift(*variances)
    best = float(jb.optimal_penalty(problem, 60.0, n_task, shift=shift))

    def risk(log_penalty):
        return float(jb.risk(problem, 60.0, n_task, np.exp(log_penalty), shift=shift))

    lowest = risk(np.log(best))
    for step in (0.01, 0.1, 1.0, 4.0):
        assert lowest < risk(np.log(best) - step)
        assert lowest < risk(np.log(best) + step)
    found = optimize.minimize_scalar(
        risk, bounds=(np.log(best) - 3, np.log(best) + 3), method="bounded", options={"xatol": 1e-9}
    )
    assert np.exp(found.x) == pytest.approx(best, rel=1e-5)
    assert lowest <= float(jb.risk(problem, 60.0, n_task, shift=shift)) * (1 + 1e-13)


def test_best_penalty_follows_the_shift():
    problem = spectrum_problem()
    white = float(jb.optimal_penalty(problem, 60.0, 200.0))
    lenient = float(jb.optimal_penalty(problem, 60.0, 200.0, shift=jb.BlockShift(1, 6, 0.5)))
    strict = float(jb.optimal_penalty(problem, 60.0, 200.0, shift=jb.BlockShift(1, 0.1, 1)))
    assert lenient < white / 1.5
    assert strict > white * 1.5


@pytest.mark.parametrize("variances", [(1.0, 3.0, 0.5), (0.0, 2.0, 1.0), (0.0, 1.0, 0.0)])
def test_best_penalty_at_many_labels_is_the_first_order_law(variances):
    """λ* = σ² tr K̂Σ/(n βᵀK̂ΣK̂β), approached as 1/n."""
    problem, shift = spectrum_problem(), jb.BlockShift(*variances)
    _, missed, rest = variances
    outside = missed + 20 * rest
    # With unlimited recordings K̂ = K.
    law = 0.7 * outside / (0.2 * missed)
    n_task = np.array([1e4, 1e5, 1e6])
    scaled = n_task * np.asarray(jb.optimal_penalty(problem, np.inf, n_task, shift=shift))
    off = np.abs(scaled / law - 1)
    np.testing.assert_allclose(off[:-1] / off[1:], 10, rtol=0.1)
    first = jb.optimal_penalty(problem, np.inf, n_task, shift=shift, order="first")
    np.testing.assert_allclose(n_task * first, law, rtol=1e-12)
    # With few recordings, from the moments of the learned subspace.
    given = moments_of_subspace(problem, jnp.asarray(60.0), shift, "finite")
    law = 0.7 * float(given.outside / given.missed)
    best = float(jb.optimal_penalty(problem, 60.0, 1e6, shift=shift))
    assert 1e6 * best == pytest.approx(law, rel=1e-3)


def test_best_penalty_where_shifted_inputs_show_nothing_of_the_missed():
    """A hard constraint costs nothing there, if the subspace is perfect."""
    problem, blind = spectrum_problem(), jb.BlockShift(0, 0, 1)
    assert float(jb.optimal_penalty(problem, np.inf, 1e4, shift=blind, order="first")) == np.inf
    large = float(jb.optimal_penalty(problem, np.inf, 1e4, shift=blind))
    assert large > 10 * float(jb.optimal_penalty(problem, np.inf, 1e4))
    perfect = spectrum_problem(misaligned_power=0.0)
    for shift in (blind, jb.BlockShift(1, 2, 3)):
        assert float(jb.optimal_penalty(perfect, np.inf, 50, shift=shift)) == np.inf


@functools.partial(jax.jit, static_argnames="order")
@functools.partial(jax.value_and_grad, argnums=(0, 1))
def slopes_at_the_limits(misalignment, noise, n_brain, n_task, order):
    problem, shift = (
        jb.Problem.isotropic(24, 3, 1.0, misalignment, noise),
        jb.BlockShift(0.2, 3.0, 0.5),
    )
    return jb.optimal_penalty(problem, n_brain, n_task, shift=shift, order=order)


@pytest.mark.parametrize("order", ["finite", "first"])
@pytest.mark.parametrize("n_brain", [26.0, 60.0, np.inf])
def test_best_penalty_at_its_limits(n_brain, order):
    """The hard constraint where nothing is missed; otherwise nothing beside unlimited labels."""

    def best(misalignment, noise, n_task):
        return slopes_at_the_limits(misalignment, noise, n_brain, n_task, order)[0]

    for n_task in (10.0, 60.0, np.inf):
        assert float(best(0.0, 0.0, n_task)) == np.inf
    for misalignment, noise in ((0.3, 0.0), (0.3, 0.5), (1.0, 0.5)):
        found, slopes = slopes_at_the_limits(misalignment, noise, n_brain, np.inf, order)
        assert float(found) == 0
        assert np.all(np.isfinite(slopes))
    if np.isfinite(n_brain):
        assert float(best(0.0, 0.5, np.inf)) == 0
        missed = [float(best(1e-9, 1e-9, n_task)) for n_task in (10.0, 60.0)]
        assert min(missed) > 1e4
    if order == "finite":
        assert np.isnan(float(best(0.3, 0.5, 4.0)))


def test_best_penalty_broadcasts_like_loops():
    problem, shift = spectrum_problem(), jb.BlockShift(0.2, 6.0, 0.5)
    n_brain, n_task = np.array([30.0, 60.0, np.inf])[:, None], np.array([10.0, 90.0])[None]
    table = jb.optimal_penalty(problem, n_brain, n_task, shift=shift)
    assert table.shape == (3, 2)
    for row in range(3):
        for column in range(2):
            one = jb.optimal_penalty(problem, n_brain[row, 0], n_task[0, column], shift=shift)
            assert float(table[row, column]) == pytest.approx(float(one), rel=1e-9)
