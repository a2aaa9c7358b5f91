"""Named facts about test inputs of another distribution, edges, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

import jaxbrain as jb
from jaxbrain.theory.brain_stage import subspace_moments
from tests.helpers.pipeline import block_covariance, build, problem_of
from tests.helpers.problems import spectrum_problem
from tests.helpers.shifts import MIXTURES, PARTS, QUANTITIES, SETTINGS

moments_of_subspace = jax.jit(subspace_moments, static_argnames="order")


RIVALS = {
    "task_only_risk": lambda p, nb, nt, **kw: jb.task_only_risk(p, nt, **kw),
    "ridge_risk": lambda p, nb, nt, **kw: jb.ridge_risk(p, nt, **kw),
    "ridge_risk at a penalty": lambda p, nb, nt, **kw: jb.ridge_risk(p, nt, 0.3, **kw),
}


ONE_OUTSIDE = jb.Problem.isotropic(5, 4, 1.0, 0.3, 0.5)


@pytest.mark.parametrize("name", [*QUANTITIES, *RIVALS])
@pytest.mark.parametrize("problem", [spectrum_problem(), ONE_OUTSIDE], ids=["q = 21", "q = 1"])
def test_white_test_inputs_are_no_shift(problem, name):
    """For every quantity, and the same variance everywhere only sets the scale of the risks."""
    if problem is ONE_OUTSIDE and name not in ("risk at a penalty", "value", "ridge_risk"):
        return
    quantity = {**QUANTITIES, **RIVALS}[name]
    # The best penalty is searched for, to as many digits as its slope shows.
    rounding = 1e-7 if name == "optimal_penalty" else 1e-11
    factor = 3.0 if "risk" in name or name == "hard constraint" else 1.0
    for order in ("finite", "first") if name in QUANTITIES else (None,):
        options = {} if order is None else {"order": order}
        for n_brain in (27.0, 60.0, np.inf):
            for n_task in (6.0, 20.0, 50.0, 1e4):
                plain = float(quantity(problem, n_brain, n_task, **options))
                for variance, scale in ((1.0, 1.0), (3.0, factor)):
                    shift = jb.BlockShift(variance, variance, variance)
                    same = float(quantity(problem, n_brain, n_task, shift=shift, **options))
                    assert same == pytest.approx(scale * plain, rel=rounding, abs=1e-12)


@pytest.mark.parametrize("order", ["finite", "first"])
def test_no_value_on_the_brain_sensitive_subspace(order):
    """There recordings end up knowing all that matters and labels learn it at the same pace."""
    problem, sensitive = spectrum_problem(), jb.BlockShift(1, 0, 0)
    n_brain = np.array([1e4, 1e6, 1e8])
    value = np.asarray(
        jb.value(problem, n_brain, np.inf, baseline="ols", shift=sensitive, order=order)
    )
    np.testing.assert_allclose(value[:-1] / value[1:], 100, rtol=0.05)
    assert (
        float(jb.value(problem, np.inf, np.inf, baseline="ols", shift=sensitive, order=order)) == 0
    )
    large = float(jb.value(problem, np.inf, 1e8, baseline="ols", shift=sensitive, order=order))
    assert abs(large) < 1e-4
    assert float(jb.value(problem, np.inf, np.inf, baseline="ols", order=order)) > 30


@pytest.mark.parametrize("order", ["finite", "first"])
def test_value_is_larger_on_the_insensitive_subspace(order):
    problem, insensitive = spectrum_problem(), jb.BlockShift(0, 1, 1)
    for n_task, digits in ((np.inf, 1e-12), (1e8, 1e-6)):
        white = float(jb.value(problem, np.inf, n_task, baseline="ols", order=order))
        off_brain = float(
            jb.value(problem, np.inf, n_task, baseline="ols", shift=insensitive, order=order)
        )
        assert off_brain == pytest.approx(white * 24 / 21, rel=digits)


@pytest.mark.parametrize("sensitive", [0.0, 1.0, 7.0])
@pytest.mark.parametrize("order", ["finite", "first"])
def test_value_turns_negative_at_twice_the_average_insensitive_variance(order, sensitive):
    problem, q = spectrum_problem(), 21
    # a_β = 2 (a_β + (q − 1) a_0)/q.
    twice = 2 * (q - 1) / (q - 2)

    def value(missed, n_task):
        shift = jb.BlockShift(sensitive, missed, 1.0)
        return float(jb.value(problem, np.inf, n_task, baseline="ols", shift=shift, order=order))

    scale = value(1.0, np.inf)
    assert abs(value(twice, np.inf)) < 1e-12 * scale
    for n_task in (1e9, np.inf):
        assert value(0.999 * twice, n_task) > 0
        assert value(1.001 * twice, n_task) < 0
    assert value(100.0, 1e9) < 0


@pytest.mark.parametrize("sensitive", [0.0, 0.5, 4.0])
def test_balanced_shift_has_the_law_of_the_paper(sensitive):
    """V = σ² q tr K̂Σ/(m̂ tr Σ) where the missed direction has the average insensitive variance."""
    shift = jb.BlockShift(sensitive, 2.0, 2.0)
    law = 0.7 * 21 * (21 * 2.0) / (0.2 * (3 * sensitive + 21 * 2.0))
    value = jb.value(spectrum_problem(), np.inf, np.inf, baseline="ols", shift=shift)
    assert float(value) == pytest.approx(law, rel=1e-12)


def test_value_makes_least_squares_as_good():
    problem = spectrum_problem()
    n_brain, n_task = np.meshgrid([27.0, 60.0, 1e4], [6.0, 20.0, 50.0, 1e3], indexing="ij")
    for variances in PARTS + MIXTURES:
        shift = jb.BlockShift(*variances)
        for penalty in (None, 0.02, np.inf):
            risk = jb.risk(problem, n_brain, n_task, penalty, shift=shift)
            value = jb.value(problem, n_brain, n_task, penalty, baseline="ols", shift=shift)
            matched = jb.task_only_risk(problem, n_task + value, shift=shift)
            np.testing.assert_allclose(matched, risk, rtol=1e-10)
            rate = jb.exchange_rate(problem, n_brain, n_task, penalty, baseline="ols", shift=shift)
            np.testing.assert_allclose(rate, value / n_brain, rtol=1e-14)
            savings = jb.savings(problem, n_brain, n_task, penalty, baseline="ols", shift=shift)
            np.testing.assert_allclose(savings, value / (n_task + value), rtol=1e-14)


def test_without_misalignment_all_outside_directions_are_alike():
    problem = spectrum_problem(misaligned_power=0.0)
    for n_brain in (30.0, 200.0):
        one = jb.risk(problem, n_brain, 40.0, 0.3, shift=jb.BlockShift(0.5, 21.0, 0.0))
        other = jb.risk(problem, n_brain, 40.0, 0.3, shift=jb.BlockShift(0.5, 1.0, 1.0))
        assert float(one) == pytest.approx(float(other), rel=1e-12)


@pytest.mark.parametrize("n_brain", [8.0, 30.0, np.inf])
def test_single_outside_direction_knows_no_others(n_brain):
    """k = d − 1: the variance of the other insensitive directions means nothing."""
    problem = jb.Problem.isotropic(5, 4, 1.0, 0.3, 0.5)
    for name, quantity in {**QUANTITIES, **RIVALS}.items():
        one = quantity(problem, n_brain, 20.0, shift=jb.BlockShift(0.5, 2.0, 0.0))
        other = quantity(problem, n_brain, 20.0, shift=jb.BlockShift(0.5, 2.0, 9.0))
        assert float(one) == pytest.approx(float(other), rel=1e-7), name


def test_unlimited_labels_under_a_shift():
    problem, shift = spectrum_problem(), jb.BlockShift(0.2, 6.0, 0.5)
    given = moments_of_subspace(problem, jnp.asarray(60.0), shift, "finite")
    assert float(jb.risk(problem, 60, np.inf, shift=shift)) == 0
    assert float(jb.optimal_penalty(problem, 60, np.inf, shift=shift)) == 0
    held = float(jb.risk(problem, 60, np.inf, 0.3, shift=shift))
    assert held == pytest.approx((0.3 / 1.3) ** 2 * float(given.missed), rel=1e-12)
    whole = float(shift.trace(problem))
    bracket = 2 * given.outside / 21 - given.missed / given.misalignment
    law = float(0.7 * 21**2 / (given.misalignment * whole) * bracket)
    assert float(jb.value(problem, 60, np.inf, baseline="ols", shift=shift)) == pytest.approx(
        law, rel=1e-12
    )
    assert float(jb.value(problem, 60, 1e9, baseline="ols", shift=shift)) == pytest.approx(
        law, rel=1e-6
    )


@pytest.mark.parametrize("name", [*QUANTITIES, *RIVALS])
def test_what_is_no_shift_is_refused_by_name(name):
    quantity, problem = {**QUANTITIES, **RIVALS}[name], spectrum_problem()
    for wrong in (np.eye(24), 1.0, (1.0, 1.0, 1.0), "white"):
        # Here annotations are executed, and say so first.
        with pytest.raises((ValueError, TypeCheckError), match="shift"):
            quantity(problem, 60, 40, shift=wrong)
    with pytest.raises(ValueError, match="shift leaves the test inputs without variance"):
        quantity(problem, 60, 40, shift=jb.BlockShift(0, 0, 0))


def test_shifts_that_cannot_be_are_refused_by_name():
    for name in ("sensitive", "missed", "insensitive"):
        for wrong, said in (
            (-0.1, " must be at least 0"),
            (np.nan, " must be a finite number"),
            (np.inf, " must be a finite number"),
            (np.ones(3), " must have shape"),
            (np.array(1j), " must hold real numbers"),
            (None, ""),
        ):
            variances = {"sensitive": 1.0, "missed": 1.0, "insensitive": 1.0, name: wrong}
            with pytest.raises((ValueError, TypeCheckError), match=name + said):
                jb.BlockShift(**variances)


def test_ridge_value_is_refused_under_a_shift():
    for quantity in (jb.value, jb.exchange_rate, jb.savings):
        with pytest.raises(ValueError, match="baseline 'ridge' has no value under a shift"):
            quantity(spectrum_problem(), 60, 40, baseline="ridge", shift=jb.BlockShift(1, 1, 1))


def test_trace_of_a_shift_is_the_variance_of_a_test_input():
    shift = jb.BlockShift(0.2, 6.0, 0.5)
    assert float(shift.trace(spectrum_problem())) == pytest.approx(3 * 0.2 + 6.0 + 20 * 0.5)
    setting = SETTINGS[0]
    encoder, _, _, weights = build(setting)
    covariance = block_covariance(encoder, weights, (0.2, 6.0, 0.5))
    assert float(shift.trace(problem_of(setting))) == pytest.approx(np.trace(covariance))
