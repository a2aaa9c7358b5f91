"""What recordings are worth: reference points, defining equations, conventions."""

from inspect import unwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.problems import PROBLEMS, spectrum_problem

# n_brain, E‖K̂β‖², task SNR, n_task, best penalty, risk, value against least squares and against
# ridge, information value, for d = 4096, k = 410, encoding noise 0.54, m = 0.1. At the first point
# the risk is above 1: worse than predicting 0. tests/test_risk.py checks E‖K̂β‖² by simulation.
REFERENCE_POINTS = [
    (18_000, 0.2107637, 0.1, 5_000, 34.97755, 1.117279, 35_757.50, -5_000.0, 21_743.45),
    (18_000, 0.2107637, 0.1, 100_000, 1.748878, 0.1766682, 135_944.0, 94_260.19, 97_075.40),
    (36_000, 0.1521432, 1.0, 10_000, 2.422718, 0.1597640, 19_734.82, 14_984.24, 15_434.91),
    (36_000, 0.1521432, 1.0, 1_000_000, 0.02422718, 0.004024605, 21_836.69, 17_724.20, 17_774.92),
]


every_form = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


# Numbers.


@pytest.mark.parametrize("point", REFERENCE_POINTS)
def test_reference_points_to_five_digits(point):
    n_brain, missed, task_snr, n_task, penalty, risk, value, value_vs_ridge, information = point
    problem = jb.Problem.isotropic(4096, 410, task_snr, 0.1, 0.54)
    arguments = problem, n_brain, n_task

    def five_digits(number):
        return pytest.approx(number, rel=5e-6)

    assert float(jb.expected_misalignment(problem, n_brain)) == five_digits(missed)
    assert float(jb.optimal_penalty(*arguments)) == five_digits(penalty)
    assert float(jb.risk(*arguments)) == five_digits(risk)
    assert float(jb.value(*arguments, baseline="ols")) == five_digits(value)
    assert float(jb.value(*arguments, baseline="ridge")) == five_digits(value_vs_ridge)
    assert float(jb.information_value(*arguments)) == five_digits(information)
    assert float(jb.value(*arguments, order="first", baseline="ols")) != five_digits(value)


def test_the_fair_rival_is_the_default():
    for quantity in (jb.value, jb.exchange_rate, jb.savings):
        default, ridge, ols = (
            float(quantity(spectrum_problem(), 60, 50, **options))
            for options in ({}, {"baseline": "ridge"}, {"baseline": "ols"})
        )
        assert default == ridge < ols


GRID = np.meshgrid([27.0, 60.0, 1e4], [6.0, 20.0, 50.0, 1e3], indexing="ij")


@every_form
@pytest.mark.parametrize("penalty", [None, 0.02, 1.0, 50.0, np.inf])
def test_value_makes_the_rival_as_good(problem, penalty):
    """With value more labels, whoever has no recordings reaches the same test error."""
    n_brain, n_task = GRID
    risk = np.asarray(jb.risk(problem, n_brain, n_task, penalty))
    value = np.asarray(jb.value(problem, n_brain, n_task, penalty, baseline="ols"))
    matched = jb.task_only_risk(problem, n_task + value)
    np.testing.assert_allclose(matched, risk, rtol=1e-11)
    against_ridge = np.asarray(jb.value(problem, n_brain, n_task, penalty, baseline="ridge"))
    # No ridge is worse than predicting 0, which it does without a label.
    matched = jb.ridge_risk(problem, n_task + against_ridge)
    power = float(problem.total_power)
    np.testing.assert_allclose(matched, np.minimum(risk, power), rtol=1e-11)
    assert (risk < power).any()
    assert (risk > power).any()
    np.testing.assert_array_equal(against_ridge[risk > power], -n_task[risk > power])


def test_penalty_zero_is_worth_nothing():
    n_task = np.array([26.0, 50.0, 1e5])
    np.testing.assert_allclose(
        jb.value(spectrum_problem(), 60, n_task, 0.0, baseline="ols"), 0.0, atol=1e-9
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"baseline": "ridge"}, {"baseline": "ols"}, {"baseline": "ols", "order": "first"}],
)
def test_rate_and_savings_follow_their_definitions(options):
    n_brain, n_task = np.array([27.0, 60.0, 1e4]), np.array([40.0, 50.0, 1e3])
    value = np.asarray(jb.value(spectrum_problem(), n_brain, n_task, **options))
    rate = jb.exchange_rate(spectrum_problem(), n_brain, n_task, **options)
    savings = jb.savings(spectrum_problem(), n_brain, n_task, **options)
    np.testing.assert_allclose(rate, value / n_brain, rtol=1e-14)
    np.testing.assert_allclose(savings, value / (n_task + value), rtol=1e-14)


@pytest.mark.parametrize("penalty", [None, 0.3])
def test_summary_holds_what_the_functions_of_its_names_return(penalty):
    problem, (n_brain, n_task) = spectrum_problem(), GRID
    summary = jb.worth(problem, n_brain, n_task, penalty)
    arguments = problem, n_brain, n_task, penalty
    risk = np.asarray(jb.risk(*arguments))
    expected = {
        "n_brain": n_brain,
        "n_task": n_task,
        "penalty": jb.optimal_penalty(*arguments[:3]) if penalty is None else penalty,
        "risk": risk,
        "task_only_risk": jb.task_only_risk(problem, n_task),
        "ridge_risk": jb.ridge_risk(problem, n_task),
        "value": jb.value(*arguments, baseline="ols"),
        "value_vs_ridge": jb.value(*arguments, baseline="ridge"),
        "information_value": jb.information_value(problem, n_brain, n_task),
        "exchange_rate": jb.exchange_rate(*arguments, baseline="ols"),
        "savings": jb.savings(*arguments, baseline="ols"),
        "worse_than_predicting_zero": risk >= float(problem.total_power),
    }
    assert set(expected) == set(summary._fields)
    for name, entry in expected.items():
        np.testing.assert_allclose(getattr(summary, name), entry, rtol=1e-12, err_msg=name)


# Conventions and errors.


def test_value_where_the_error_is_infinite():
    problem = spectrum_problem()
    few, undetermined = np.array([0.0, 2.0, 4.0]), np.array([5.0, 24.0, 25.0])
    np.testing.assert_array_equal(jb.value(problem, 60, few, baseline="ols"), 25 - few)
    np.testing.assert_array_equal(
        jb.value(problem, 60, undetermined, 0.0, baseline="ols"), 25 - undetermined
    )
    np.testing.assert_array_equal(jb.value(problem, 60, few, baseline="ridge"), -few)


def test_savings_are_minus_infinity_where_predicting_zero_is_better():
    problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    assert float(jb.savings(problem, 18_000, 5_000, baseline="ridge")) == -np.inf
    assert 0 < float(jb.savings(problem, 18_000, 100_000, baseline="ridge")) < 1


@pytest.mark.parametrize("quantity", [jb.value, jb.exchange_rate, jb.savings])
@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_too_few_recordings_are_nan_in_an_array_and_nowhere_else(quantity, baseline):
    n_brain = np.array([0.0, 25.0, np.nan, 26.0, 60.0])
    result = quantity(spectrum_problem(), n_brain, 500, baseline=baseline)
    np.testing.assert_array_equal(np.isnan(result), [True, True, True, False, False])


@pytest.mark.parametrize("quantity", [jb.value, jb.exchange_rate, jb.savings])
def test_wrong_arguments_are_refused_by_name(quantity):
    problem = spectrum_problem()
    with pytest.raises(ValueError, match="n_brain must be greater"):
        quantity(problem, 25, 50)
    with pytest.raises(ValueError, match="n_task must be at least 0"):
        quantity(problem, 60, -1)
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        quantity(problem, 60, 50, -0.1)
    # Unwrapped: here annotations are executed, and say so first.
    with pytest.raises(ValueError, match="baseline must be 'ols' or 'ridge'"):
        unwrap(quantity)(problem, 60, 50, baseline="lasso")
    with pytest.raises(ValueError, match="order must be 'finite' or 'first'"):
        unwrap(quantity)(problem, 60, 50, order="second")


# Single precision.


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
@pytest.mark.parametrize("n_task", [6.0, 20.0, 1e3, 1e5, 1e7, 1e9])
def test_value_holds_in_single_precision_at_any_number_of_labels(
    single_precision, n_task, baseline
):
    with jax.enable_x64(True):
        exact = float(jb.value(spectrum_problem(), 60, n_task, baseline=baseline))
    value = jb.value(spectrum_problem(), 60, n_task, baseline=baseline)
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(exact, rel=1e-4)
    if n_task == 1e9 and baseline == "ols":
        naive = 25 + 24 * spectrum_problem().task_noise / jb.risk(spectrum_problem(), 60, n_task)
        assert float(naive - n_task) != pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
@pytest.mark.parametrize("n_task", [1e3, 1e5, 1e7, 1e9])
def test_value_at_a_given_penalty_holds_in_single_precision(single_precision, n_task, baseline):
    """Below, at and above the best one, where its parts no longer cancel."""
    for factor in (1e-3, 0.1, 0.5, 3.0, 10.0):
        with jax.enable_x64(True):
            penalty = factor * float(jb.optimal_penalty(spectrum_problem(), 60, n_task))
            exact = float(jb.value(spectrum_problem(), 60, n_task, penalty, baseline=baseline))
        value = jb.value(spectrum_problem(), 60, n_task, penalty, baseline=baseline)
        assert value.dtype == jnp.float32
        assert float(value) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("n_task", [6.0, 20.0, 25.0])
@pytest.mark.parametrize("penalty", [1e-12, 1e-9, 1e-6, 1e-3])
def test_value_below_the_number_of_inputs_holds_at_the_smallest_penalties(n_task, penalty):
    """There d + 1 + σ²d/R − n is a sum of positive numbers, whatever the penalty."""
    risk = float(jb.risk(spectrum_problem(), 60, n_task, penalty))
    worth = 25 - n_task + 0.7 * 24 / risk
    value = float(jb.value(spectrum_problem(), 60, n_task, penalty, baseline="ols"))
    assert value == pytest.approx(worth, rel=1e-12)
    with jax.enable_x64(False):
        single = jb.value(spectrum_problem(), 60, n_task, penalty, baseline="ols")
        assert single.dtype == jnp.float32
        assert float(single) == pytest.approx(worth, rel=1e-5)


@pytest.mark.parametrize("point", REFERENCE_POINTS)
def test_imaging_scale_holds_in_single_precision(single_precision, point):
    n_brain, _, task_snr, n_task, _, risk, value, value_vs_ridge, information = point
    problem = jb.Problem.isotropic(4096, 410, task_snr, 0.1, 0.54)
    assert jb.value(problem, n_brain, n_task, baseline="ols").dtype == jnp.float32
    assert float(jb.risk(problem, n_brain, n_task)) == pytest.approx(risk, rel=1e-4)
    assert float(jb.value(problem, n_brain, n_task, baseline="ols")) == pytest.approx(
        value, rel=1e-4
    )
    against_ridge = jb.value(problem, n_brain, n_task, baseline="ridge")
    assert float(against_ridge) == pytest.approx(value_vs_ridge, rel=1e-4)
    informed = jb.information_value(problem, n_brain, n_task)
    assert float(informed) == pytest.approx(information, rel=1e-4)


def in_precision(dtype, d, k, noise, misalignment, task_noise):
    return jb.Problem(
        input_dim=d,
        latent_dim=k,
        latent_noise=jnp.full(k, noise, dtype),
        gain=jnp.ones(k, dtype),
        recording_noise=jnp.asarray(0.01, dtype),
        aligned_power=jnp.full(k, (1 - misalignment) / k, dtype),
        misaligned_power=jnp.asarray(misalignment, dtype),
        task_noise=jnp.asarray(task_noise, dtype),
    )


@pytest.mark.parametrize(
    "study",
    [
        (4096, 1228, 0.125, 0.6992188, 0.0012207031),
        (4096, 81, 0.15625, 0.98046875, 0.0029296875),
        (60, 36, 0.5, 0.3984375, 0.0029296875),
        (20, 12, 0.375, 0.41015625, 0.00390625),
        (200, 60, 8.0, 0.703125, 6.0),
    ],
)
def test_a_value_of_next_to_nothing_holds_in_single_precision(study):
    """Where recordings hold hardly more of the task than a random subspace does: rounding of the
    labels that are compared, thousands, must not be taken for some."""
    d = study[0]
    # All numbers are exact in single precision.
    n_task = np.round(d * np.geomspace(0.1, 10, 9)).astype(np.float32)
    single, double = (
        np.asarray(
            jb.information_value(
                in_precision(dtype, *study), dtype(32 * d), jnp.asarray(n_task, dtype)
            )
        )
        for dtype in (jnp.float32, jnp.float64)
    )
    assert single.dtype == np.float32
    assert double.min() < 1e-3 * d
    assert np.all(abs(single - double) < 3e-5 * (n_task + double))


def test_without_labels_information_is_worth_nothing():
    """Whatever rounding leaves of the two risks, which are that of predicting 0."""
    n_brain = np.arange(110, 1010, 10.0)
    for task_snr in (1.0, 100.0, 1e4):
        problem = jb.Problem.isotropic(100, 5, task_snr, 0.05, 0.3)
        values = np.asarray(jb.information_value(problem, n_brain[:, None], np.array([0.0, 1e-6])))
        assert np.all(values[:, 0] == 0)
        assert np.all(np.isfinite(values))
