"""Derivatives of the building blocks of every closed form, in all numbers that they take."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.theory.brain_stage import SubspaceMoments, subspace_moments
from jaxbrain.theory.task_stage import (
    best_penalty_under_shift,
    penalised_regression,
    ridge_stage,
    task_stage,
)
from jaxbrain.theory.two_penalties import risk_at_penalties, two_penalty_stage
from jaxbrain.theory.value import against_ridge, information_value_of
from tests.helpers.derivatives import check_derivatives
from tests.helpers.problems import PROBLEMS, spectrum_problem, split_problem

SHIFT = jb.BlockShift(0.6, 2.0, 0.8)
SPECTRUM = spectrum_problem().with_traced_sizes()


def numbers(*values):
    return tuple(jnp.asarray(value, float) for value in values)


@pytest.mark.parametrize("forms", [["spectrum"], [form for form in PROBLEMS if form != "spectrum"]])
def test_learned_subspace(forms):
    """Sizes are numbers too: more inputs and more channels have a slope. Latents are whole."""
    kinds = PROBLEMS[forms[0]].with_traced_sizes()

    def block(problem, shift, n_brain):
        whole = lambda p: (p.counts, p.latent_dim)  # noqa: E731
        problem = eqx.tree_at(whole, problem, whole(kinds))
        return subspace_moments(problem, n_brain, shift, "finite")

    points = [
        (PROBLEMS[form].with_traced_sizes(), SHIFT, *numbers(n_brain))
        for form in forms
        for n_brain in (60.0, 35.0, 900.0)
    ]
    check_derivatives(block, points)


def test_learned_subspace_to_first_order():
    def block(problem, n_brain):
        return subspace_moments(problem, n_brain, None, "first").misalignment

    points = [(SPECTRUM, *numbers(n_brain)) for n_brain in (60.0, 35.0, 900.0)]
    check_derivatives(block, points)


MOMENTS = [(0.4, 3.6, 41.0, 0.7), (0.25, 3.0, 21.0, 0.25), (0.9, 1.0, 30.0, 2.0)]


def test_penalised_regression():
    def block(moments, noise, k, d, n_task, penalty):
        return penalised_regression(SubspaceMoments(*moments), noise, k, d, n_task, penalty)

    given = [(40.0, 0.3), (30.0, 2.0), (500.0, 0.05)]
    points = [
        (numbers(*moments), *numbers(0.7, 3.0, 24.0, *rest))
        for moments, rest in zip(MOMENTS, given, strict=True)
    ]
    check_derivatives(block, points, digits=1e-13)


def test_task_stage_to_first_order():
    """Its slopes are also those of the law, taken by hand."""

    def block(problem, misalignment, n_task, penalty):
        white = SubspaceMoments(misalignment, 3.0, 21.0, misalignment)
        return task_stage(problem, white, n_task, penalty, "first").risk

    def by_hand(problem, missed, n_task, penalty):
        # The last three of all numbers; those of the problem are left to the other ways.
        slopes = np.full((1, sum(np.size(x) for x in jax.tree.leaves(problem)) + 3), np.nan)
        by_labels = -0.7 * 24 / (n_task - 25) ** 2 + 2 * 0.7 * 21 * penalty / n_task**2
        by_penalty = -2 * 0.7 * 21 / n_task + 2 * missed * penalty
        slopes[0, -3:] = penalty**2, by_labels, by_penalty
        return slopes

    check_derivatives(block, [(SPECTRUM, *numbers(0.4, 40.0, 0.3))], by_hand=by_hand)


def test_ridge():
    def block(problem, shift, n_task, penalty):
        return ridge_stage(problem, n_task, penalty, shift)

    points = [(SPECTRUM, SHIFT, *numbers(*rest)) for rest in ((40.0, 0.3), (30.0, 2.0))]
    check_derivatives(block, points, digits=1e-13)


def test_two_best_penalties():
    """Few labels, as many as inputs, more; nothing, some and all of the task outside."""

    def block(problem, share, n_task):
        missed = share * problem.total_power
        return two_penalty_stage(problem, missed, n_task)

    points = [
        (split_problem(0.3).with_traced_sizes(), *numbers(share, n_task))
        for share, n_task in ((0.4, 3.0), (0.1, 24.0), (0.4, 25.0), (0.95, 200.0))
    ]
    check_derivatives(block, points, digits=1e-12, tolerance=1e-5, forward_tolerance=1e-8)


def test_any_two_penalties():
    def block(problem, missed, n_task, outside, inside):
        return risk_at_penalties(problem, missed, n_task, outside, inside)

    points = [(SPECTRUM, *numbers(0.4, *rest)) for rest in ((40.0, 0.6, 0.2), (16.0, 0.36, 0.12))]
    check_derivatives(block, points, digits=1e-13, forward_tolerance=1e-8)


def test_labels_that_ridge_needs():
    """An implicit function: the root of an equation."""

    def block(problem, missed, n_task, penalty):
        white = SubspaceMoments(missed, 3.0, problem.outside_dim, missed)
        stage = task_stage(problem, white, n_task, penalty, "finite")
        return against_ridge(problem, stage, n_task), information_value_of(problem, missed, n_task)

    points = [(SPECTRUM, *numbers(0.35, *rest)) for rest in ((40.0, 0.3), (500.0, 0.05))]
    check_derivatives(block, points, digits=1e-12)


def test_best_penalty_under_a_shift():
    """A minimum that is searched for: it has the digits of the slope whose zero it is."""

    def block(moments, noise, k, q, n_task):
        return best_penalty_under_shift(SubspaceMoments(*moments), noise, k, q, n_task)

    points = [(numbers(*MOMENTS[0]), *numbers(0.7, 3.0, 21.0, n)) for n in (40.0, 30.0)]
    check_derivatives(block, points, digits=1e-11)


# Ends of the ranges: derivatives exist, though differences do not reach across.


@jax.jit
@partial(jax.vmap, in_axes=(None, None, None, 0, 0))
def slopes_at_penalties(problem, missed, n_task, outside, inside):
    return jax.grad(risk_at_penalties, (0, 1, 2, 3, 4))(problem, missed, n_task, outside, inside)


@pytest.mark.parametrize("misalignment", [0.0, 0.2, 1.0])
def test_penalties_of_nothing_and_of_infinity_have_finite_derivatives(misalignment):
    problem = split_problem(misalignment).with_traced_sizes()
    ends = (x.ravel() for x in jnp.meshgrid(*[jnp.array([0.0, 0.5, jnp.inf])] * 2))
    slopes = slopes_at_penalties(problem, *numbers(misalignment, 40.0), *ends)
    for leaf in jax.tree.leaves(slopes):
        assert np.all(np.isfinite(leaf))


def test_derivatives_of_public_functions_compile_and_map():
    problem = spectrum_problem()
    gradient = jax.grad(jb.value, (0, 1, 2))
    n_task = jnp.array([10.0, 40.0, 1e4])
    mapped = jax.jit(jax.vmap(gradient, (None, None, 0)))(problem, 60.0, n_task)
    for index in range(3):
        one = gradient(problem, 60.0, n_task[index])
        for entries, entry in zip(jax.tree.leaves(mapped), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(entries[index], entry, rtol=1e-10, atol=1e-13)


def test_vanishing_penalty_gradient_where_least_squares_is_undetermined():
    """The documented value d + 1 − n_task there has the derivative −1, and no other."""

    def value(problem, n_brain, n_task):
        return jb.value(problem, n_brain, n_task, 0.0, baseline="ols")

    slopes = jax.grad(value, (0, 1, 2))(spectrum_problem(), 60.0, 20.0)
    assert float(slopes[2]) == -1
    for leaf in jax.tree.leaves(slopes[:2]):
        np.testing.assert_array_equal(leaf, 0.0)


def test_derivatives_by_hand():
    problem, n_brain, n_task = spectrum_problem(), 60.0, 40.0
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

    best = float(jb.optimal_penalty(problem, n_brain, n_task))
    slope = jax.grad(jb.optimal_penalty, (0, 1, 2))(problem, n_brain, n_task)
    assert float(slope[0].task_noise) == hand(best / 0.7, rel=1e-12)
    assert float(slope[2]) == hand(-best / n_task, rel=1e-12)

    slope = jax.grad(jb.ridge_risk, (0, 1))(problem, n_task, 0.0)
    assert float(slope[1]) == hand(-0.7 * 24 / 15**2, rel=1e-12)
    slope = jax.grad(jb.ridge_risk, (0, 1))(problem, n_task, np.inf)
    assert float(slope[0].misaligned_power) == hand(1.0, rel=1e-12)


def test_optimal_penalty_needs_no_derivative_of_its_own():
    """Envelope theorem: at the best penalty the gradient is that with the penalty held fixed."""
    problem = spectrum_problem()
    best = jb.optimal_penalty(problem, 60.0, 40.0)
    free = jax.grad(jb.risk, (0, 1, 2))(problem, 60.0, 40.0)
    held = jax.grad(jb.risk, (0, 1, 2))(problem, 60.0, 40.0, best)
    for one, other in zip(jax.tree.leaves(free), jax.tree.leaves(held), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-13)


def test_risk_is_linear_in_the_shift():
    """Its gradient is the risk of each part, and by Euler they sum to the risk."""
    problem, parts = spectrum_problem(), np.eye(3)
    slopes = jax.grad(lambda shift: jb.risk(problem, 60.0, 40.0, 0.3, shift=shift))(SHIFT)
    total = 0.0
    for name, variances in zip(("sensitive", "missed", "insensitive"), parts, strict=True):
        part = float(jb.risk(problem, 60.0, 40.0, 0.3, shift=jb.BlockShift(*variances)))
        assert float(getattr(slopes, name)) == pytest.approx(part, rel=1e-12)
        total += part * float(getattr(SHIFT, name))
    whole = float(jb.risk(problem, 60.0, 40.0, 0.3, shift=SHIFT))
    assert total == pytest.approx(whole, rel=1e-12)
