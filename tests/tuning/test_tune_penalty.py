"""Penalties by descent: against exact optima, from near and far, and failures that are told."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.problems import spectrum_problem

FMRI = jb.presets.fmri().problem()
KEY = jax.random.key(3)


@functools.partial(jax.jit, static_argnames=("optimizer", "max_steps"))
@functools.partial(jax.vmap, in_axes=(0, 0, None))
def tuned_from(n_brain, n_task, factor, optimizer="lbfgs", max_steps=100):
    best = jb.optimal_penalty(FMRI, n_brain, n_task)
    objective = jb.ClosedFormRisk(FMRI, n_brain, n_task, estimator="befs")
    found = jb.tune_penalty(objective, best * factor, optimizer=optimizer, max_steps=max_steps)
    return found, best


@pytest.mark.parametrize("decades", [-6.0, -5.4, 0.3, 5.7, 6.0])
def test_a_thousand_closed_form_tunings_reach_the_exact_optimum(decades):
    n_brain, n_task = jnp.linspace(4200, 60_000, 1000), jnp.geomspace(450, 1e6, 1000)
    found, best = tuned_from(n_brain, n_task, 10**decades)
    assert bool(jnp.all(found.converged))
    np.testing.assert_allclose(found.penalty, best, rtol=1e-6)
    np.testing.assert_allclose(found.value, jb.risk(FMRI, n_brain, n_task), rtol=1e-12)
    # The formula of the optimum, not only the function of the library.
    missed = jb.expected_misalignment(FMRI, n_brain)
    exact = FMRI.task_noise * FMRI.outside_dim / (n_task * missed)
    np.testing.assert_allclose(found.penalty, exact, rtol=1e-6)


def isotropic(misalignment=0.2, noise=0.5):
    return jb.Problem.isotropic(24, 3, 1.0, misalignment, noise)


def test_adam_reaches_the_same_and_says_when_it_does_not():
    objective = jb.ClosedFormRisk(isotropic(), 60, 50, estimator="befs")
    exact = float(jb.optimal_penalty(isotropic(), 60, 50))
    found = jb.tune_penalty(objective, exact * 3, optimizer="adam", max_steps=3000)
    assert bool(found.converged)
    assert float(found.penalty) == pytest.approx(exact, rel=1e-6)
    found = jb.tune_penalty(objective, exact * 3, optimizer="adam", max_steps=3)
    assert not bool(found.converged)
    assert int(found.steps) == 3


def test_two_penalties_and_shift_reach_their_optima():
    problem = isotropic()
    found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60, 50))
    exact = jb.optimal_penalties(problem, 60, 50)
    assert bool(found.converged)
    np.testing.assert_allclose(found.penalty, exact, rtol=1e-4)
    risk = float(jb.two_penalty_risk(problem, 60, 50))
    assert float(found.value) == pytest.approx(risk, rel=1e-5)
    shift = jb.BlockShift(0.2, 3.0, 0.5)
    found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60, 50, shift=shift, estimator="befs"))
    exact = float(jb.optimal_penalty(problem, 60, 50, shift=shift))
    assert float(found.penalty) == pytest.approx(exact, rel=1e-6)


def test_ends_are_answers():
    perfect = jb.tune_penalty(
        jb.ClosedFormRisk(isotropic(misalignment=0.0), np.inf, 50, estimator="befs")
    )
    assert float(perfect.penalty) == np.inf
    noiseless = jb.Problem.isotropic(24, 3, 1e30, 0.3, 0.5)
    objective = jb.ClosedFormRisk(noiseless, 60, 50, estimator="befs")
    assert float(jb.tune_penalty(objective).penalty) < 1e-20
    rising = jb.tune_penalty(lambda penalty: 1 + penalty / (1 + penalty), 1.0)
    assert float(rising.penalty) == 0
    assert bool(rising.converged)


def test_of_several_minima_more_starts_find_the_lowest():
    def wells(penalty):
        u = jnp.log10(penalty)
        # A broad well that the scan sees lower, and a narrow one that is lower.
        broad = 1.0 * jnp.exp(-((u + 3.0) ** 2) / 2)
        narrow = 1.3 * jnp.exp(-((u - 2.4) ** 2) / 0.2)
        return 2 - broad - narrow

    one, two = (jb.tune_penalty(wells, 1.0, starts=starts) for starts in (1, 2))
    assert np.log10(float(one.penalty)) == pytest.approx(-3, abs=0.01)
    assert np.log10(float(two.penalty)) == pytest.approx(2.4, abs=0.01)
    assert float(two.value) < float(one.value)


def test_failures_are_never_silent():
    nowhere = jb.tune_penalty(lambda penalty: penalty * jnp.nan, 1.0)
    assert not bool(nowhere.converged)
    assert np.isnan(float(nowhere.value))
    kink = jb.tune_penalty(lambda penalty: jnp.abs(jnp.log(penalty) - 0.3) + 1, 1.0)
    assert not bool(kink.converged)


def test_numbers_are_traced():
    compiled = []

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    def tune(problem, n_brain, n_task, **options):
        objective = jb.ClosedFormRisk(problem, n_brain, n_task, estimator="befs")
        jb.tune_penalty(objective, **options)

    tune(isotropic(), 60, 50)
    other, with_kinds_of_latents = jb.Problem.isotropic(240, 5, 2.0, 0.4, 0.7), spectrum_problem()
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        tune(other, 900, 700, tolerance=1e-9, max_steps=50, learning_rate=0.3)
        assert not compiled
        tune(with_kinds_of_latents, 900, 700)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


def test_derivatives_are_implicit():
    def best(misalignment):
        problem = jb.Problem.isotropic(24, 3, 1.0, misalignment, 0.5)
        found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60.0, 50.0, estimator="befs"))
        return found.penalty, found.value

    def exact(misalignment):
        problem = jb.Problem.isotropic(24, 3, 1.0, misalignment, 0.5)
        return jb.optimal_penalty(problem, 60.0, 50.0), jb.risk(problem, 60.0, 50.0)

    expected = jax.jit(jax.jacfwd(exact))(0.3)
    forward = jax.jit(lambda misalignment: jax.jvp(best, (misalignment,), (1.0,))[1])
    np.testing.assert_allclose(forward(0.3), expected, rtol=1e-6)
    # One output at a time: mapped over both there would be more to compile.
    reverse = jax.jit(lambda misalignment, weights: jax.vjp(best, misalignment)[1](weights)[0])
    found = [reverse(0.3, weights) for weights in ((1.0, 0.0), (0.0, 1.0))]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_single_precision(single_precision):
    problem = jb.Problem.isotropic(24, 3, 1.0, 0.3, 0.5)
    found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60, 50, estimator="befs"), 30.0)
    assert found.penalty.dtype == jnp.float32
    exact = float(jb.optimal_penalty(problem, 60, 50))
    assert float(found.penalty) == pytest.approx(exact, rel=1e-3)


def test_wrong_arguments_are_named():
    inputs, targets, basis = np.eye(60, 12), np.ones((60, 3)), np.eye(12, 2)
    with pytest.raises(ValueError, match="optimizer must be 'lbfgs' or 'adam'"):
        jb.tune_penalty(jb.LeaveOneOut(inputs, targets), optimizer="newton")
    with pytest.raises(ValueError, match="start must be given"):
        jb.tune_penalty(lambda penalty: penalty)
    with pytest.raises(ValueError, match="start must be greater than 0"):
        jb.tune_penalty(lambda penalty: penalty, 0.0)
    with pytest.raises(ValueError, match="single numbers"):
        jb.tune_penalty(lambda penalty: penalty, np.ones(3))
    with pytest.raises(ValueError, match="both_penalties: without a basis"):
        jb.LeaveOneOut(inputs, targets, both_penalties=True)
    with pytest.raises(ValueError, match="both_penalties: one pair"):
        jb.LeaveOneOut(inputs, targets, basis, both_penalties=True, per_target=True)
    with pytest.raises(ValueError, match="folds must be between 2 and 60"):
        jb.KFold(inputs, targets, folds=61)
    with pytest.raises(ValueError, match="validation_targets must have shape"):
        jb.HeldOut(inputs, targets, inputs, targets[:, 0])
    with pytest.raises(ValueError, match="shift: the risk with two penalties"):
        jb.ClosedFormRisk(isotropic(), 60, 50, shift=jb.BlockShift(1, 1, 1))
    with pytest.raises(ValueError, match="n_task must be one number"):
        jb.ClosedFormRisk(isotropic(), 60, np.array([50, 60]))
    model = jb.presets.small()
    with pytest.raises(ValueError, match="shift: known to method='reduced' alone"):
        jb.MonteCarloRisk(
            model, 300, 50, trials=5, key=KEY, method="data", shift=jb.BlockShift(1, 1, 1)
        )
    with pytest.raises(ValueError, match="estimator: only 'befs' has reduced draws"):
        jb.MonteCarloRisk(model, 300, 50, trials=5, key=KEY, estimator="befs_two_penalties")
    with pytest.raises(ValueError, match="below input_dim and no whole number"):
        jb.MonteCarloRisk(model, 300, 50.5, trials=5, key=KEY)
    with pytest.raises(ValueError, match="n_task must be a whole number"):
        jb.MonteCarloRisk(model, 300, 50.5, trials=5, key=KEY, method="data")


def test_what_is_finite_nowhere_has_no_best_penalty():
    found = jb.tune_penalty(lambda penalty: penalty * jnp.nan, 1.0)
    assert np.isnan(found.penalty)
    assert not found.converged
