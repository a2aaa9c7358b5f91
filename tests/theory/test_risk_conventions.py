"""What the risks are where they do not exist, and which arguments they refuse."""

from inspect import unwrap

import jax
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.problems import spectrum_problem

# Limits and identities that hold to rounding.

SPECTRUM = spectrum_problem()


# Conventions and errors.


def test_risk_is_infinite_where_the_error_has_no_mean():
    few_for_the_subspace, few_for_least_squares = [0, 1, 4], [5, 24, 25]
    assert np.all(np.isinf(jb.risk(SPECTRUM, 60, np.array(few_for_the_subspace))))
    assert np.all(np.isinf(jb.risk(SPECTRUM, 60, np.array(few_for_the_subspace), np.inf)))
    assert np.all(np.isfinite(jb.risk(SPECTRUM, 60, np.array(few_for_least_squares))))
    for least_squares in (
        jb.risk(SPECTRUM, 60, np.array(few_for_least_squares), 0.0),
        jb.ridge_risk(SPECTRUM, np.array(few_for_least_squares), 0.0),
        jb.task_only_risk(SPECTRUM, np.array(few_for_least_squares)),
    ):
        assert np.all(np.isinf(least_squares))
    assert np.isfinite(jb.risk(SPECTRUM, 60, 26, 0.0))


@pytest.mark.parametrize("penalty", [None, 0.3])
@pytest.mark.parametrize("n_task", [0.0, 3.0, 25.0])
def test_first_order_risk_is_infinite_where_least_squares_is(n_task, penalty):
    for misalignment, noise in ((0.0, 0.0), (0.0, 0.5), (0.3, 0.5), (1.0, 0.5)):
        problem = jb.Problem.isotropic(24, 3, 1.0, misalignment, noise)
        for n_brain in (26.0, np.inf):
            assert float(jb.risk(problem, n_brain, n_task, penalty, order="first")) == np.inf
    for n_brain in (26.0, np.inf):
        perfect = jb.Problem.isotropic(24, 3, 1.0, 0.0, 0.0)
        assert float(jb.risk(perfect, n_brain, np.inf, order="first")) == 0


def test_optimal_penalty_is_infinite_where_nothing_is_missed():
    perfect = jb.Problem.isotropic(24, 3, 1.0, 0.0, 0.5)
    assert float(jb.optimal_penalty(perfect, np.inf, 50)) == np.inf
    assert float(jb.risk(perfect, np.inf, 50)) == pytest.approx(3 / 46, rel=1e-13)


@pytest.mark.parametrize("order", ["finite", "first"])
def test_too_few_recordings_are_nan_in_an_array_and_nowhere_else(order):
    n_brain = np.array([-3.0, 0.0, 25.0, np.nan, 26.0, 60.0, np.inf])
    expected = [True, True, True, True, False, False, False]
    missed = jb.expected_misalignment(SPECTRUM, n_brain, order=order)
    np.testing.assert_array_equal(np.isnan(missed), expected)
    for quantity in (jb.risk, jb.optimal_penalty):
        np.testing.assert_array_equal(
            np.isnan(quantity(SPECTRUM, n_brain, 200, order=order)), expected
        )
    assert np.isnan(jax.jit(jb.expected_misalignment)(SPECTRUM, 25.0))


@pytest.mark.parametrize("quantity", [jb.risk, jb.optimal_penalty])
@pytest.mark.parametrize("n_brain", [25, 0, -1])
def test_too_few_recordings_are_refused_as_a_single_number(quantity, n_brain):
    with pytest.raises(ValueError, match=r"n_brain must be greater than input_dim \+ 1 = 25"):
        quantity(SPECTRUM, n_brain, 50)
    with pytest.raises(ValueError, match="n_brain must be greater"):
        jb.expected_misalignment(SPECTRUM, n_brain)


@pytest.mark.parametrize("order", ["second", "FINITE", ""])
def test_unknown_orders_are_refused(order):
    # Unwrapped: here annotations are executed, and say so first.
    for call in (
        lambda: unwrap(jb.expected_misalignment)(SPECTRUM, 60, order=order),
        lambda: unwrap(jb.risk)(SPECTRUM, 60, 50, order=order),
        lambda: unwrap(jb.optimal_penalty)(SPECTRUM, 60, 50, order=order),
    ):
        with pytest.raises(ValueError, match="order must be 'finite' or 'first'"):
            call()


@pytest.mark.parametrize("quantity", [jb.risk, jb.optimal_penalty])
def test_a_number_of_recordings_that_is_nan_is_refused(quantity):
    with pytest.raises(ValueError, match="n_brain must be a number, but it is nan"):
        quantity(SPECTRUM, np.nan, 50)
    with pytest.raises(ValueError, match="n_brain must be a number, but it is nan"):
        jb.expected_misalignment(SPECTRUM, np.nan)


@pytest.mark.parametrize("penalty", [-1e-9, np.array([0.1, -0.1])])
def test_negative_penalties_are_refused(penalty):
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        jb.risk(SPECTRUM, 60, 50, penalty)
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        jb.ridge_risk(SPECTRUM, 50, penalty)


def test_penalties_that_are_nan_are_refused():
    with pytest.raises(ValueError, match="penalty must be a number, but it is nan"):
        jb.risk(SPECTRUM, 60, 50, np.nan)
    with pytest.raises(ValueError, match="penalty holds NaN: remove or replace"):
        jb.ridge_risk(SPECTRUM, 50, np.array([0.1, np.nan]))


@pytest.mark.parametrize(
    ("n_task", "said"),
    [
        (-1, "n_task must be at least 0"),
        (np.nan, "n_task must be a number, but it is nan"),
        (np.array([50.0, -0.5]), "n_task must be at least 0"),
    ],
    ids=["negative", "nan", "one negative"],
)
def test_numbers_of_labels_that_cannot_be_are_refused(n_task, said):
    for call in (
        lambda: jb.risk(SPECTRUM, 60, n_task),
        lambda: jb.optimal_penalty(SPECTRUM, 60, n_task),
        lambda: jb.task_only_risk(SPECTRUM, n_task),
        lambda: jb.ridge_risk(SPECTRUM, n_task),
    ):
        with pytest.raises(ValueError, match=said):
            call()
