"""Two penalties: identities, limits, and the value of information."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

import jaxbrain as jb
from tests.helpers.problems import split_problem

D, K = 16, 4


def problem(snr=1.0, misalignment=0.3, noise=0.5):
    return jb.Problem.isotropic(D, K, snr, misalignment, noise)


@pytest.mark.parametrize("n_task", [5, 15, 16, 17, 18, 40, 1e6])
@pytest.mark.parametrize("penalty", [1e-3, 0.1, 3.0])
def test_equal_penalties_are_ridge_regression(n_task, penalty):
    both = float(jb.two_penalty_risk(problem(), 40, n_task, penalty, penalty))
    assert both == pytest.approx(float(jb.ridge_risk(problem(), n_task, penalty)), rel=1e-9)


@pytest.mark.parametrize("n_task", [8, 12, 20, 60, 1e5])
@pytest.mark.parametrize("penalty", [0.3, 3.0, np.inf])
def test_no_penalty_inside_is_befs(n_task, penalty):
    """To the order that the finite-size terms share: closer as samples grow."""
    inside = float(jb.two_penalty_risk(problem(), 40, n_task, penalty, 0.0))
    befs = float(jb.risk(problem(), 40, n_task, penalty))
    assert inside == pytest.approx(befs, rel=0.5 / n_task**1.5)


def test_penalties_may_be_anything_from_nothing_to_infinity():
    penalties = np.array([0.0, 1e-12, 1e-6, 1.0, 1e6, 1e12, np.inf])
    table = np.asarray(
        jb.two_penalty_risk(problem(), 40, 60, penalties[:, None], penalties[None, :])
    )
    assert np.all(np.isfinite(table))
    np.testing.assert_allclose(table[0, 0], D / (60 - D - 1), rtol=1e-9)
    np.testing.assert_allclose(table[-1, -1], 1.0, rtol=1e-9)
    np.testing.assert_allclose(table[1], table[0], rtol=1e-6)
    np.testing.assert_allclose(table[-2], table[-1], rtol=1e-6)
    few = np.asarray(jb.two_penalty_risk(problem(), 40, 3, penalties[:, None], penalties[None, :]))
    assert np.all(np.isinf(few[:, 0]))
    assert np.all(np.isinf(few[0, :]))
    assert np.all(np.isfinite(few[1:, 1:]))


def test_limits_of_the_number_of_labels():
    assert float(jb.two_penalty_risk(problem(), 40, 0)) == pytest.approx(1.0, rel=1e-12)
    assert float(jb.two_penalty_risk(problem(), 40, 0, 1.0, 2.0)) == pytest.approx(1.0, rel=1e-12)
    assert float(jb.two_penalty_risk(problem(), 40, np.inf)) == 0.0
    missed = float(jb.expected_misalignment(problem(), 40))
    shrunk = 0.25 * missed + (2 / 3) ** 2 * (1 - missed)
    limit = float(jb.two_penalty_risk(problem(), 40, np.inf, 1.0, 2.0))
    assert limit == pytest.approx(shrunk, rel=1e-12)
    assert float(jb.information_value(problem(), 40, 0)) == 0.0
    assert float(jb.information_value(problem(), 40, np.inf)) == pytest.approx(
        float(jb.information_value(problem(), 40, 1e9)), rel=1e-5
    )


@pytest.mark.parametrize("n_task", [3.0, 10.0, 16.0, 40.0, 1e4])
def test_information_value_makes_ridge_as_good(n_task):
    worth = float(jb.information_value(problem(), 40, n_task))
    matched = float(jb.ridge_risk(problem(), n_task + worth))
    assert matched == pytest.approx(float(jb.two_penalty_risk(problem(), 40, n_task)), rel=1e-9)


@pytest.mark.parametrize("n_task", [3.0, 16.0, 40.0, 1e4])
def test_a_subspace_that_is_no_better_than_a_random_one_holds_no_information(n_task):
    """At misalignment (D − K)/D the two parts hold their share, whatever is learned."""
    blind = problem(1.0, (D - K) / D)
    assert float(jb.information_value(blind, 40, n_task)) == pytest.approx(0.0, abs=1e-8 * n_task)
    assert float(jb.information_value(problem(1.0, 0.74), 40, n_task)) > 0
    assert float(jb.information_value(problem(1.0, 0.76), 40, n_task)) > 0


@partial(jax.jit, static_argnums=(0, 1))
def worth_and_risks(d, k, snr, misalignment, noise, n_brain, n_task):
    given = jb.Problem.isotropic(d, k, snr, misalignment, noise)
    return (
        jb.information_value(given, n_brain, n_task),
        jb.two_penalty_risk(given, n_brain, n_task),
        jb.ridge_risk(given, n_task),
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    d=st.sampled_from([8, 30]),
    k=st.sampled_from([1, 4, 7]),
    snr=st.floats(-2, 2),
    misalignment=st.floats(0, 1),
    noise=st.floats(-2, 2),
    n_brain=st.floats(0.05, 4),
    n_task=st.floats(-2, 4),
)
def test_information_is_never_harmful(d, k, snr, misalignment, noise, n_brain, n_task):
    numbers = (10**snr, misalignment, 10**noise, d + 1 + 10**n_brain, d * 10**n_task)
    worth, risk, ridge = worth_and_risks(d, k, *numbers)
    assert worth >= 0
    if n_task > 1:
        # Without the clip at 0: the risk itself is no worse than that of ridge regression.
        assert risk <= ridge * (1 + 1e-9)


def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact = [float(jb.information_value(problem(), 40, n)) for n in (3.0, 40.0, 1e7)]
    found = [jb.information_value(problem(), 40, n) for n in (3.0, 40.0, 1e7)]
    assert found[0].dtype == jnp.float32
    np.testing.assert_allclose([float(x) for x in found], exact, rtol=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"inside_penalty": np.nan}, "inside_penalty must be a number"),
        ({"n_brain": 17}, "n_brain must be greater"),
        ({"n_task": -1}, "n_task must be at least 0"),
    ],
)
def test_wrong_arguments_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        jb.two_penalty_risk(**({"problem": problem(), "n_brain": 40, "n_task": 30} | options))


# Everything at once, over the whole range of numbers.


@pytest.mark.parametrize(("d", "k"), [(8, 1), (8, 4), (30, 29), (400, 40)])
def test_information_over_the_whole_range(d, k):
    """Never worse than ridge, and worth what it says, for any number of labels and any SNR."""
    rng, size = np.random.default_rng(d + k), 1200
    snr, noise = 10 ** rng.uniform(-3, 3, size), 10 ** rng.uniform(-2, 2, size)
    misalignment = rng.uniform(0, 1, size)
    # All or nothing of the task inside, or hardly more than by chance.
    misalignment[:100], misalignment[100:200] = 0.0, 1.0
    misalignment[200:400] = np.clip((d - k) / d * (1 + rng.uniform(-0.01, 0.01, 200)), 0, 1)
    n_brain = d + 1 + 10 ** rng.uniform(0, 5, size)
    n_brain[::7] = np.inf
    n_task = d * 10 ** rng.uniform(-3, 5, size)
    # Around each of the numbers of directions.
    for part, around in enumerate((d, k, d - k)):
        n_task[400 + 200 * part : 600 + 200 * part] = np.maximum(
            around + rng.integers(-2, 3, 200), 0.5
        )

    @jax.jit
    @jax.vmap
    def worth_of(snr, misalignment, noise, n_brain, n_task):
        given = jb.Problem.isotropic(d, k, snr, misalignment, noise)
        return jb.information_value(given, n_brain, n_task)

    @jax.jit
    @jax.vmap
    def risks_of(snr, misalignment, noise, n_brain, n_task, worth):
        given = jb.Problem.isotropic(d, k, snr, misalignment, noise)
        return (
            jb.two_penalty_risk(given, n_brain, n_task),
            jb.ridge_risk(given, n_task),
            jb.ridge_risk(given, n_task + worth),
        )

    perfect = (misalignment == 0) & np.isinf(n_brain)
    numbers = [jnp.asarray(x) for x in (snr, misalignment, noise, n_brain, n_task)]
    worth = worth_of(*numbers)
    risk, ridge, matched = (np.asarray(x) for x in risks_of(*numbers, worth))
    worth = np.asarray(worth)
    assert np.all(np.isfinite(worth))
    assert np.all(worth >= 0)
    assert np.all(risk <= ridge * (1 + 1e-12))
    np.testing.assert_allclose(matched, risk, rtol=1e-11)
    assert np.all(worth[perfect] > 0)
    with jax.enable_x64(False):
        rounded = np.asarray(worth_of(*(jnp.asarray(x, jnp.float32) for x in numbers)))
    assert rounded.dtype == np.float32
    # To 1 %, or to 0.1 % of the labels at stake where hardly anything is known.
    assert np.all(np.abs(rounded - worth) <= 0.01 * worth + 1e-3 * np.maximum(n_task, d))


@pytest.mark.parametrize("n_brain", [27.0, 60.0, np.inf])
def test_information_is_zero_where_both_parts_hold_their_share(n_brain):
    """The misalignment at which E‖P̂β‖²/k = E‖K̂β‖²/q, found by root search."""

    def excess(misalignment):
        missed = float(jb.expected_misalignment(split_problem(misalignment), n_brain))
        return (1 - missed) / 3 - missed / 21

    blind = optimize.brentq(excess, 0.0, 1.0, xtol=1e-15)
    for n_task in (2.0, 24.0, 100.0, 1e5, np.inf):
        zero = float(jb.information_value(split_problem(blind), n_brain, n_task))
        assert zero == pytest.approx(0.0, abs=1e-8)
        for other in (0.9 * blind, 1.1 * blind):
            assert float(jb.information_value(split_problem(other), n_brain, n_task)) > 1e-4


@pytest.mark.parametrize("n_task", [10.0, 30.0, 1e3])
def test_perfect_subspaces_leave_ridge_in_fewer_dimensions(n_task):
    """m = 0 and unlimited recordings: the outside is shut out. m = 1: the inside is."""
    for misalignment, size in ((0.0, 3), (1.0, 21)):
        risk = float(jb.two_penalty_risk(split_problem(misalignment), np.inf, n_task))
        trace = float(jb.wishart_resolvent_trace(0.7 * size, size, n_task))
        assert risk == pytest.approx(0.7 * trace, rel=1e-2 if n_task < 24 else 2e-3)
        worth = float(jb.information_value(split_problem(misalignment), np.inf, n_task))
        assert worth > 0
        matched = float(jb.ridge_risk(split_problem(misalignment), n_task + worth))
        assert matched == pytest.approx(risk, rel=1e-11)


def test_fewer_recordings_of_a_useful_brain_hold_less_information():
    n_brain = np.array([26.0, 30.0, 60.0, 300.0, 1e4, np.inf])
    for n_task in (5.0, 24.0, 1e3, np.inf):
        worth = np.asarray(jb.information_value(split_problem(0.2), n_brain, n_task))
        assert np.all(np.diff(worth) > 0)


@pytest.mark.parametrize("precision", [32, 64])
def test_penalties_of_any_size_are_finite_in_either_precision(precision):
    penalties = np.array([1e-12, 1e-6, 1.0, 1e6, 1e12, np.inf])
    with jax.enable_x64(precision == 64):
        for n_task in (1.0, 10.0, 24.0, 60.0, 1e6):
            table = jb.two_penalty_risk(
                split_problem(0.2), 60.0, n_task, penalties[:, None], penalties[None, :]
            )
            assert table.dtype == (jnp.float32 if precision == 32 else jnp.float64)
            assert np.all(np.isfinite(table))
            assert np.all(np.asarray(table) > 0)
            # Shut out of both parts, nothing is learned and nothing is risked but the task.
            assert float(table[-1, -1]) == pytest.approx(1.0, rel=1e-5)
