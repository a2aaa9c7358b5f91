"""What recordings are worth: reference points, defining equations, derivatives, invariances."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

import jaxbrain as jb

# n_brain, E‖K̂β‖², task SNR, n_task, best penalty, risk, value against least squares and against
# ridge, information value, for d = 4096, k = 410, encoding noise 0.54, m = 0.1. At the first point
# the risk is above 1: worse than predicting 0. tests/test_risk.py checks E‖K̂β‖² by simulation.
REFERENCE_POINTS = [
    (18_000, 0.2107637, 0.1, 5_000, 34.97755, 1.117279, 35_757.50, -5_000.0, 21_743.45),
    (18_000, 0.2107637, 0.1, 100_000, 1.748878, 0.1766682, 135_944.0, 94_260.19, 97_075.40),
    (36_000, 0.1521432, 1.0, 10_000, 2.422718, 0.1597640, 19_734.82, 14_984.24, 15_434.91),
    (36_000, 0.1521432, 1.0, 1_000_000, 0.02422718, 0.004024605, 21_836.69, 17_724.20, 17_774.92),
]


def spectrum_problem(**changes):
    fields = dict(
        input_dim=24,
        latent_dim=3,
        recording_dim=16,
        latent_noise=[0.3, 0.1, 0.5],
        gain=[8.0, 4.0, 5.0],
        recording_noise=1.0,
        aligned_power=[0.4, 0.1, 0.3],
        misaligned_power=0.2,
        task_noise=0.7,
    )
    return jb.Problem(**{**fields, **changes})


ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]


def rotated(matrix):
    return ROTATION @ matrix @ ROTATION.T


COORDINATES = np.array([0.6, 0.3, -0.5])
PROBLEMS = {
    "spectrum": spectrum_problem(),
    # Latent noise and gain that do not commute.
    "matrix": spectrum_problem(
        latent_noise=rotated(np.diag([0.3, 0.1, 0.5])),
        gain=rotated(np.array([[8.0, 1.0, 0.5], [1.0, 4.0, 0.2], [0.5, 0.2, 5.0]])),
        aligned_power=rotated(np.outer(COORDINATES, COORDINATES)),
    ),
    "matrix with repeated eigenvalues": spectrum_problem(
        latent_noise=0.3, gain=5.0, aligned_power=rotated(np.outer(COORDINATES, COORDINATES))
    ),
}
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
    assert float(jb.value(*arguments)) == five_digits(value)
    assert float(jb.value(*arguments, baseline="ridge")) == five_digits(value_vs_ridge)
    assert float(jb.information_value(*arguments)) == five_digits(information)
    assert float(jb.value(*arguments, order="first")) != five_digits(value)


GRID = np.meshgrid([27.0, 60.0, 1e4], [6.0, 20.0, 50.0, 1e3], indexing="ij")


@every_form
@pytest.mark.long
@pytest.mark.parametrize("penalty", [None, 0.02, 1.0, 50.0, np.inf])
def test_value_makes_the_rival_as_good(problem, penalty):
    """With value more labels, whoever has no recordings reaches the same test error."""
    n_brain, n_task = GRID
    risk = np.asarray(jb.risk(problem, n_brain, n_task, penalty))
    value = np.asarray(jb.value(problem, n_brain, n_task, penalty))
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
    np.testing.assert_allclose(jb.value(spectrum_problem(), 60, n_task, 0.0), 0.0, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"baseline": "ridge"}, {"order": "first"}])
def test_rate_and_savings_follow_their_definitions(options):
    n_brain, n_task = np.array([27.0, 60.0, 1e4]), np.array([40.0, 50.0, 1e3])
    value = np.asarray(jb.value(spectrum_problem(), n_brain, n_task, **options))
    rate = jb.exchange_rate(spectrum_problem(), n_brain, n_task, **options)
    savings = jb.savings(spectrum_problem(), n_brain, n_task, **options)
    np.testing.assert_allclose(rate, value / n_brain, rtol=1e-14)
    np.testing.assert_allclose(savings, value / (n_task + value), rtol=1e-14)


@pytest.mark.long
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
        "value": jb.value(*arguments),
        "value_vs_ridge": jb.value(*arguments, baseline="ridge"),
        "information_value": jb.information_value(problem, n_brain, n_task),
        "exchange_rate": jb.exchange_rate(*arguments),
        "savings": jb.savings(*arguments),
        "worse_than_predicting_zero": risk >= float(problem.total_power),
    }
    assert set(expected) == set(summary._fields)
    for name, entry in expected.items():
        np.testing.assert_allclose(getattr(summary, name), entry, rtol=1e-12, err_msg=name)


# Laws.


@every_form
def test_first_order_value_is_the_asymptotic_law_of_the_paper(problem):
    n_brain, n_task = GRID
    noise, aligned = np.asarray(problem.encoding_noise), np.asarray(problem.aligned_power)
    trace = np.trace(noise) if noise.ndim == 2 else noise.sum()
    gamma = 21 * np.sum(aligned * noise) - 0.2 * trace
    missed = 0.2 + gamma / (n_brain - 25)
    law = 0.7 * 21**2 / (24 * missed)
    np.testing.assert_allclose(jb.value(problem, n_brain, n_task, order="first"), law, rtol=1e-12)
    # Ridge is the same estimator with no subspace that misses all of β: k = 0, m = ‖β‖².
    ridge_law = law - 0.7 * 24**2 / (24 * float(problem.total_power))
    against_ridge = jb.value(problem, n_brain, n_task, order="first", baseline="ridge")
    np.testing.assert_allclose(against_ridge, ridge_law, rtol=1e-12)
    # At a given penalty: n² times the gain in risk, per σ² d.
    gain = 2 * 0.7 * 21 * 0.1 / n_task - missed * 0.1**2
    fixed = jb.value(problem, n_brain, n_task, 0.1, order="first")
    np.testing.assert_allclose(fixed, gain * n_task**2 / (0.7 * 24), rtol=1e-12)


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_value_tends_to_the_first_order_law(baseline):
    """The relative distance falls as 1/n, both numbers growing together."""
    n = np.array([1e4, 1e5, 1e6])
    finite, first = (
        np.asarray(jb.value(spectrum_problem(), n, n, baseline=baseline, order=order))
        for order in ("finite", "first")
    )
    off = np.abs(finite / first - 1)
    np.testing.assert_allclose(off[:-1] / off[1:], 10, rtol=0.1)


def test_value_saturates_where_misalignment_takes_over():
    problem = spectrum_problem()
    ceiling = 0.7 * 21**2 / (24 * 0.2)
    assert float(jb.value(problem, np.inf, 1e10)) == pytest.approx(ceiling, rel=1e-7)
    assert float(jb.value(problem, 1e10, 1e10)) == pytest.approx(ceiling, rel=1e-7)
    assert float(jb.value(problem, 60, 1e10)) != pytest.approx(ceiling, rel=0.2)


@every_form
@pytest.mark.long
@pytest.mark.parametrize("n_brain", [60.0, np.inf])
def test_unlimited_labels_leave_the_asymptotic_law(problem, n_brain):
    """What remains of the value when labels abound, and that it is the limit."""
    missed = float(jb.expected_misalignment(problem, n_brain))
    power = float(problem.total_power)
    law = 0.7 * 21**2 / (24 * missed)
    ridge = 0.7 * 24 / power
    # The mean of the two best penalties c_i = σ² M_i/E‖P_iβ‖², less what ridge has of it.
    informed = 0.7 * (3**2 / (power - missed) + 21**2 / missed) / 24 - ridge
    for quantity, limit in (
        (jb.value, law),
        (lambda *arguments: jb.value(*arguments, baseline="ridge"), law - ridge),
        (jb.information_value, informed),
    ):
        assert float(quantity(problem, n_brain, np.inf)) == pytest.approx(limit, rel=1e-12)
        off = [float(quantity(problem, n_brain, n)) / limit - 1 for n in (1e5, 1e6)]
        assert off[0] / off[1] == pytest.approx(10, rel=1e-2)
    for baseline in ("ols", "ridge"):
        assert float(jb.savings(problem, n_brain, np.inf, baseline=baseline)) == 0


def test_a_penalty_held_for_ever_loses_without_end():
    problem = spectrum_problem()
    for baseline, nothing in (("ols", 0.0), ("ridge", -0.7 * 24)):
        for order in ("finite", "first"):
            options = {"baseline": baseline, "order": order}
            free = float(jb.value(problem, 60, np.inf, 0.0, **options))
            assert free == pytest.approx(nothing, rel=1e-12)
            assert float(jb.savings(problem, 60, np.inf, 0.0, **options)) == 0
            for penalty in (1e-6, 0.3, np.inf):
                assert float(jb.value(problem, 60, np.inf, penalty, **options)) == -np.inf
                assert float(jb.savings(problem, 60, np.inf, penalty, **options)) == -np.inf


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_a_perfect_subspace_saves_the_same_share_for_ever(baseline):
    """k unknowns instead of d, however many the labels."""
    problem = spectrum_problem(misaligned_power=0.0)
    for n_task in (1e9, np.inf):
        saved = float(jb.savings(problem, np.inf, n_task, baseline=baseline))
        assert saved == pytest.approx(21 / 24, rel=1e-7)
    assert float(jb.value(problem, np.inf, np.inf, baseline=baseline)) == np.inf


def test_summary_at_unlimited_labels_holds_no_nan():
    for problem, n_brain in (
        (spectrum_problem(), 60.0),
        (spectrum_problem(), np.inf),
        (spectrum_problem(misaligned_power=0.0), 60.0),
    ):
        for penalty in (None, 0.0, 0.3):
            summary = jb.worth(problem, n_brain, np.inf, penalty)
            for name, entry in summary._asdict().items():
                if not (name == "exchange_rate" and np.isinf(summary.value) and np.isinf(n_brain)):
                    assert not np.isnan(entry), name


def test_wholly_misaligned_brain_is_worth_shrinkage_only():
    """β outside the recorded subspace: better than least squares, worse than ridge."""
    problem = spectrum_problem(aligned_power=[0.0, 0.0, 0.0], misaligned_power=1.0)
    n_brain, n_task = GRID
    assert np.all(np.asarray(jb.value(problem, n_brain, n_task)) > 0)
    assert np.all(np.asarray(jb.value(problem, n_brain, n_task, baseline="ridge")) < 0)


@pytest.mark.long
@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_perfect_subspace_has_finite_value_and_gradients(baseline):
    """m = 0 and noiseless, or unlimited, recordings: the hard constraint, k unknowns, not d."""
    noiseless = spectrum_problem(
        latent_noise=0.0, recording_noise=0.0, misaligned_power=0.0, aligned_power=[0.5, 0.2, 0.3]
    )
    unlimited = spectrum_problem(misaligned_power=0.0)

    def value(problem, n_brain, n_task):
        return jb.value(problem, n_brain, n_task, baseline=baseline)

    worth_and_gradient = jax.jit(jax.value_and_grad(value, (0, 1, 2)))
    for n_task in (6.0, 30.0, 1000.0):
        for problem, n_brain in ((noiseless, 60.0), (unlimited, np.inf)):
            worth, gradient = worth_and_gradient(problem, n_brain, n_task)
            for leaf in jax.tree.leaves(gradient):
                assert np.all(np.isfinite(leaf))
            if baseline == "ols":
                equivalent = 24 + 1 + 24 * (n_task - 4) / 3
                assert float(worth) == pytest.approx(equivalent - n_task, rel=1e-12)
                # By hand: dR/dm = 1 + k/(n − k − 1), dV/dR = −σ² d/R².
                share, noise = 3 / (n_task - 4), float(problem.task_noise)
                by_hand = -noise * 24 * (1 + share) / (noise * share) ** 2
                assert float(gradient[0].misaligned_power) == pytest.approx(by_hand, rel=1e-11)


# Conventions and errors.


def test_value_where_the_error_is_infinite():
    problem = spectrum_problem()
    few, undetermined = np.array([0.0, 2.0, 4.0]), np.array([5.0, 24.0, 25.0])
    np.testing.assert_array_equal(jb.value(problem, 60, few), 25 - few)
    np.testing.assert_array_equal(jb.value(problem, 60, undetermined, 0.0), 25 - undetermined)
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
    with pytest.raises(ValueError, match="baseline must be 'ols' or 'ridge'"):
        quantity(problem, 60, 50, baseline="lasso")
    with pytest.raises(ValueError, match="order must be 'finite' or 'first'"):
        quantity(problem, 60, 50, order="second")


def test_vanishing_penalty_gradient_where_least_squares_is_undetermined():
    """The documented value d + 1 − n_task there has the derivative −1, and no other."""
    slopes = jax.grad(jb.value, (0, 1, 2))(spectrum_problem(), 60.0, 20.0, 0.0)
    assert float(slopes[2]) == -1
    for leaf in jax.tree.leaves(slopes[:2]):
        np.testing.assert_array_equal(leaf, 0.0)


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
    value = float(jb.value(spectrum_problem(), 60, n_task, penalty))
    assert value == pytest.approx(worth, rel=1e-12)
    with jax.enable_x64(False):
        single = jb.value(spectrum_problem(), 60, n_task, penalty)
        assert single.dtype == jnp.float32
        assert float(single) == pytest.approx(worth, rel=1e-5)


@pytest.mark.parametrize("point", REFERENCE_POINTS)
def test_imaging_scale_holds_in_single_precision(single_precision, point):
    n_brain, _, task_snr, n_task, _, risk, value, value_vs_ridge, information = point
    problem = jb.Problem.isotropic(4096, 410, task_snr, 0.1, 0.54)
    assert jb.value(problem, n_brain, n_task).dtype == jnp.float32
    assert float(jb.risk(problem, n_brain, n_task)) == pytest.approx(risk, rel=1e-4)
    assert float(jb.value(problem, n_brain, n_task)) == pytest.approx(value, rel=1e-4)
    against_ridge = jb.value(problem, n_brain, n_task, baseline="ridge")
    assert float(against_ridge) == pytest.approx(value_vs_ridge, rel=1e-4)
    informed = jb.information_value(problem, n_brain, n_task)
    assert float(informed) == pytest.approx(information, rel=1e-4)


# Derivatives.

QUANTITIES = {
    "expected_misalignment": lambda p, nb, nt, penalty: jb.expected_misalignment(p, nb),
    "misalignment, first order": lambda p, nb, nt, penalty: jb.expected_misalignment(
        p, nb, order="first"
    ),
    "risk": jb.risk,
    "risk, first order": lambda *arguments: jb.risk(*arguments, order="first"),
    "optimal_penalty": lambda p, nb, nt, penalty: jb.optimal_penalty(p, nb, nt),
    "task_only_risk": lambda p, nb, nt, penalty: jb.task_only_risk(p, nt),
    "ridge_risk": lambda p, nb, nt, penalty: jb.ridge_risk(p, nt, penalty),
    "value": jb.value,
    "value at the best penalty": lambda p, nb, nt, penalty: jb.value(p, nb, nt),
    "value against ridge": lambda *arguments: jb.value(*arguments, baseline="ridge"),
    "information_value": lambda p, nb, nt, penalty: jb.information_value(p, nb, nt),
    "exchange_rate": jb.exchange_rate,
    "savings": jb.savings,
}
MATRIX_QUANTITIES = [
    "expected_misalignment",
    "misalignment, first order",
    "risk",
]


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("spectrum", list(QUANTITIES)),
        ("many channels", ["expected_misalignment"]),
        ("matrix", MATRIX_QUANTITIES),
        ("matrix with repeated eigenvalues", MATRIX_QUANTITIES),
    ],
)
def test_derivatives_forward_reverse_and_by_differences(form, names):
    """Every closed form in every number it takes: samples, penalty, leaves of the problem."""
    problem = spectrum_problem(recording_dim=None) if form == "many channels" else PROBLEMS[form]
    _, restore = ravel_pytree((problem, 1.0, 1.0, 1.0))
    for name in names:

        def quantity(flat, name=name):
            return QUANTITIES[name](*restore(flat))

        for numbers in ((60.0, 40.0, 0.3), (35.0, 30.0, 2.0), (900.0, 500.0, 0.05)):
            point = np.asarray(ravel_pytree((problem, *numbers))[0])
            step = 1e-5 * np.maximum(np.abs(point), 0.01)
            above, below = (
                np.array([quantity(jnp.asarray(moved)) for moved in point + sign * np.diag(step)])
                for sign in (1, -1)
            )
            forward = np.asarray(jax.jacfwd(quantity)(jnp.asarray(point)))
            reverse = jax.grad(quantity)(jnp.asarray(point))
            np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-12, err_msg=name)
            # Rounding of f over the step is the most that differences can lose.
            off = np.abs((above - below) / (2 * step) - forward)
            assert np.all(off <= 1e-6 * np.abs(forward) + 1e-14 * np.abs(above) / step), name


def test_derivatives_compile_and_map():
    problem = spectrum_problem()
    gradient = jax.grad(jb.value, (0, 1, 2))
    n_task = jnp.array([10.0, 40.0, 1e4])
    mapped = jax.jit(jax.vmap(gradient, (None, None, 0)))(problem, 60.0, n_task)
    for index in range(3):
        one = gradient(problem, 60.0, n_task[index])
        for entries, entry in zip(jax.tree.leaves(mapped), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(entries[index], entry, rtol=1e-10, atol=1e-13)


def test_derivatives_by_hand():
    problem, n_brain, n_task, penalty = spectrum_problem(), 60.0, 40.0, 0.3
    missed = 0.2 + float(problem.gamma) / 35
    hand = pytest.approx

    slope = jax.grad(jb.task_only_risk, (0, 1))(problem, n_task)
    assert float(slope[0].task_noise) == hand(24 / 15, rel=1e-12)
    assert float(slope[1]) == hand(-0.7 * 24 / 15**2, rel=1e-12)

    slope = jax.grad(lambda n: jb.expected_misalignment(problem, n, order="first"))(n_brain)
    assert float(slope) == hand(-float(problem.gamma) / 35**2, rel=1e-12)

    slope = jax.grad(jb.risk, (2, 3))(problem, n_brain, n_task, np.inf)
    finite = float(jb.expected_misalignment(problem, n_brain))
    assert float(slope[0]) == hand(-(0.7 + finite) * 3 / 36**2, rel=1e-12)
    assert float(slope[1]) == 0

    def first_order_risk(*arguments):
        return jb.risk(*arguments, order="first")

    slope = jax.grad(first_order_risk, (2, 3))(problem, n_brain, n_task, penalty)
    by_labels = -0.7 * 24 / 15**2 + 2 * 0.7 * 21 * penalty / n_task**2
    assert float(slope[0]) == hand(by_labels, rel=1e-12)
    assert float(slope[1]) == hand(-2 * 0.7 * 21 / n_task + 2 * missed * penalty, rel=1e-12)

    best = float(jb.optimal_penalty(problem, n_brain, n_task))
    slope = jax.grad(jb.optimal_penalty, (0, 1, 2))(problem, n_brain, n_task)
    assert float(slope[0].task_noise) == hand(best / 0.7, rel=1e-12)
    assert float(slope[2]) == hand(-best / n_task, rel=1e-12)

    slope = jax.grad(jb.ridge_risk, 1)(problem, n_task, 0.0)
    assert float(slope) == hand(-0.7 * 24 / 15**2, rel=1e-12)
    slope = jax.grad(jb.ridge_risk)(problem, n_task, np.inf)
    assert float(slope.misaligned_power) == hand(1.0, rel=1e-12)


def test_optimal_penalty_needs_no_derivative_of_its_own():
    """Envelope theorem: at the best penalty the gradient is that with the penalty held fixed."""
    problem = spectrum_problem()
    best = jb.optimal_penalty(problem, 60.0, 40.0)
    free = jax.grad(jb.risk, (0, 1, 2))(problem, 60.0, 40.0)
    held = jax.grad(jb.risk, (0, 1, 2))(problem, 60.0, 40.0, best)
    for one, other in zip(jax.tree.leaves(free), jax.tree.leaves(held), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-13)


# Invariances of the interface.


@pytest.mark.parametrize("changes", [{}, {"latent_noise": 0.3, "gain": 5.0}], ids=repr)
def test_matrix_form_answers_as_the_spectrum_form(changes):
    """Values and gradients, in any basis, with distinct and with repeated eigenvalues."""
    problem = spectrum_problem(**changes)
    names = ("latent_noise", "gain", "aligned_power")
    matrix = spectrum_problem(**{name: rotated(np.diag(getattr(problem, name))) for name in names})
    missed_and_slope = jax.value_and_grad(jb.expected_misalignment, (0, 1))
    for n_brain in (27.0, 60.0, 1e4):
        missed, (slope, _) = missed_and_slope(problem, n_brain)
        also, (matrix_slope, _) = missed_and_slope(matrix, n_brain)
        assert float(also) == pytest.approx(float(missed), rel=1e-12)
        for name in names:
            back = ROTATION.T @ np.asarray(getattr(matrix_slope, name)) @ ROTATION
            np.testing.assert_allclose(
                np.diag(back), getattr(slope, name), rtol=1e-9, atol=1e-12, err_msg=name
            )


@pytest.mark.parametrize("penalty", [None, 0.3])
def test_sample_numbers_broadcast_like_loops(penalty):
    problem = spectrum_problem()
    n_brain, n_task = np.array([30.0, 60.0, 1e3])[:, None], np.array([10.0, 30.0, 90.0, 1e4])[None]
    for quantity in (jb.risk, jb.value, jb.exchange_rate, jb.savings):
        table = quantity(problem, n_brain, n_task, penalty)
        assert table.shape == (3, 4)
        for row in range(3):
            for column in range(4):
                one = quantity(problem, n_brain[row, 0], n_task[0, column], penalty)
                assert float(table[row, column]) == pytest.approx(float(one), rel=1e-12)
    penalties = jb.optimal_penalty(problem, n_brain, n_task)
    assert penalties.shape == (3, 4)
    one = jb.optimal_penalty(problem, n_brain[1, 0], n_task[0, 2])
    assert float(penalties[1, 2]) == pytest.approx(float(one), rel=1e-12)


@every_form
def test_expected_misalignment_of_an_array_is_a_loop(problem):
    n_brain = np.array([[30.0, 60.0], [1e3, np.inf]])
    table = jb.expected_misalignment(problem, n_brain)
    loop = [[float(jb.expected_misalignment(problem, n)) for n in row] for row in n_brain]
    np.testing.assert_allclose(table, loop, rtol=1e-12)


def test_whole_numbers_count_like_floating_ones():
    problem = spectrum_problem()
    whole = jb.value(problem, np.array([60, 90]), 50, 1)
    floating = jb.value(problem, np.array([60.0, 90.0]), 50.0, 1.0)
    np.testing.assert_array_equal(whole, floating)


def test_mapping_over_stacked_problems_is_a_loop():
    problems = [spectrum_problem(misaligned_power=m, task_noise=0.5 + m) for m in (0.0, 0.2, 0.9)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)
    for name in ("expected_misalignment", "ridge_risk", "value", "value against ridge"):
        quantity = QUANTITIES[name]
        mapped = jax.vmap(lambda problem, q=quantity: q(problem, 60.0, 50.0, 0.3))(stacked)
        loop = [float(quantity(problem, 60.0, 50.0, 0.3)) for problem in problems]
        np.testing.assert_allclose(mapped, loop, rtol=1e-12, err_msg=name)


def test_new_numbers_need_no_new_compilation(caplog):
    """Planning sweeps change numbers, not shapes: each quantity is traced and compiled once."""
    traces = []

    @jax.jit
    def outer(problem, n_brain, n_task, penalty):
        traces.append(None)
        return [quantity(problem, n_brain, n_task, penalty) for quantity in QUANTITIES.values()]

    def call(noise, n_brain, n_task, penalty):
        problem = spectrum_problem(recording_noise=noise, misaligned_power=noise / 10)
        outer(problem, n_brain, n_task, penalty)
        for quantity in QUANTITIES.values():
            quantity(problem, n_brain, n_task, penalty)

    call(1.0, 60.0, 50.0, 0.3)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        call(0.5, 77.0, 33.0, 0.1)
        assert "Compiling" not in caplog.text
        assert len(traces) == 1
        jb.value(spectrum_problem(), np.linspace(60.0, 70.0, 7), 50.0)
        assert "Compiling" in caplog.text


# Properties.

levels = st.floats(1e-3, 10.0)


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    noise=st.tuples(levels, levels, levels),
    recording_noise=levels,
    misalignment=st.floats(0.0, 1.0),
    task_noise=st.floats(0.01, 100.0),
    n_brain=st.floats(26.0, 1e5),
    n_task=st.floats(5.0, 1e5),
    factor=st.floats(1.05, 3.0),
)
def test_more_labels_never_hurt_at_the_best_penalty(
    noise, recording_noise, misalignment, task_noise, n_brain, n_task, factor
):
    problem = spectrum_problem(
        latent_noise=list(noise),
        recording_noise=recording_noise,
        aligned_power=np.array([0.5, 0.2, 0.3]) * (1 - misalignment),
        misaligned_power=misalignment,
        task_noise=task_noise,
    )
    for quantity in (jb.risk, lambda problem, _, n_task: jb.ridge_risk(problem, n_task)):
        few, many = (float(quantity(problem, n_brain, n)) for n in (n_task, factor * n_task))
        assert 0 < many < few


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    noise=st.tuples(levels, levels, levels),
    misalignment=st.floats(0.0, 0.7),
    task_noise=st.floats(0.01, 100.0),
    n_brain=st.floats(50.0, 1e5),
    n_task=st.floats(6.0, 1e5),
    factor=st.floats(1.05, 3.0),
)
def test_more_recordings_help_a_task_that_lies_in_the_brain_subspace(
    noise, misalignment, task_noise, n_brain, n_task, factor
):
    """γ > 0: the risk falls, the value rises, and neither passes what unlimited recordings give."""
    problem = spectrum_problem(
        latent_noise=list(noise),
        aligned_power=np.array([1, 1, 1]) / 3 * (1 - misalignment),
        misaligned_power=misalignment,
        task_noise=task_noise,
    )
    assert float(problem.gamma) > 0
    risks, values = (
        np.asarray(quantity(problem, np.array([n_brain, factor * n_brain, np.inf]), n_task))
        for quantity in (jb.risk, jb.value)
    )
    assert np.all(np.diff(risks) < 0)
    assert np.all(np.diff(values) > 0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    misalignment=st.floats(0.0, 1.0),
    task_noise=st.floats(0.01, 100.0),
    n_brain=st.floats(26.0, 1e5),
    n_task=st.floats(6.0, 1e5),
)
def test_ridge_is_the_harder_rival(misalignment, task_noise, n_brain, n_task):
    """Against the better estimator recordings are worth less; never fewer labels than none."""
    problem = spectrum_problem(
        aligned_power=np.array([0.5, 0.2, 0.3]) * (1 - misalignment),
        misaligned_power=misalignment,
        task_noise=task_noise,
    )
    against_ridge = float(jb.value(problem, n_brain, n_task, baseline="ridge"))
    assert -n_task <= against_ridge < float(jb.value(problem, n_brain, n_task))


def test_stacks_are_refused_by_name():
    """A stack of problems without vmap would read as a problem in matrix form."""
    one = jb.Problem.isotropic(24, 4, 1.0, 0.2, 0.5)
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), one)
    for call in (
        lambda problem: jb.worth(problem, 60, 50),
        lambda problem: jb.value(problem, 60, 50),
        lambda problem: jb.expected_misalignment(problem, 60),
        lambda problem: jb.ridge_risk(problem, 50),
        lambda problem: jb.task_only_risk(problem, 50),
    ):
        with pytest.raises(ValueError, match=r"jax\.vmap"):
            call(stack)


def test_no_risk_is_negative_and_no_penalty_beats_the_best_one():
    """Also next to n_task = d, where the trace is at its worst; NaN is the only other answer."""
    problem = jb.Problem.isotropic(24, 4, 1.0, 0.2, 0.5)
    penalties = jnp.logspace(-6, 4, 200)[None, :]
    n_task = jnp.asarray([10.0, 22.0, 23.0, 24.0, 25.0, 26.0, 40.0, 200.0])[:, None]
    risks = jb.risk(problem, 60, n_task, penalties)
    ridge = jb.ridge_risk(problem, n_task, penalties)
    assert not jnp.any(risks < 0)
    assert not jnp.any(ridge < 0)
    finite = jnp.where(penalties * n_task * 24 > 10, risks, jnp.inf)
    assert jnp.all(finite >= jb.risk(problem, 60, n_task) * (1 - 1e-3))
