"""Risks by simulation as objectives: values, derivatives, and the best penalties for them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

KEY = jax.random.key(3)


def small_model():
    """24 inputs, 3 latents, 12 channels; a tenth of the task is missed, at a signal like its noise.

    Draws of the small preset's 64 inputs take ten times as long.
    """
    rng = np.random.default_rng(0)
    weights = np.zeros(24)
    weights[:3], weights[5] = np.sqrt(0.9 / 3), np.sqrt(0.1)
    readout = rng.standard_normal((12, 3))
    return jb.LinearGaussianModel(np.eye(24, 3), readout, 0.5, 2.0, weights, 1.0)


@pytest.mark.parametrize("method", ["reduced", "data"])
def test_simulated_risk_is_that_of_the_closed_form(method):
    model = small_model()
    objective = jb.MonteCarloRisk(model, 300, 100, trials=300, key=KEY, method=method)
    for penalty in (0.0, 0.3, 3.0, 30.0, np.inf):
        by_trial = objective.by_trial(penalty)
        error = float(jnp.std(by_trial)) / 300**0.5
        exact = float(jb.risk(model.problem(), 300, 100, penalty))
        assert abs(float(objective(penalty)) - exact) < 4 * error + 0.003 * exact
        assert float(objective(penalty)) != pytest.approx(exact * 1.1, abs=4 * error)


@pytest.mark.parametrize("method", ["reduced", "data"])
def test_gradients_under_common_random_numbers_are_those_of_differences(method):
    """In the penalty, and in the model's numbers through the subspace."""
    base = small_model()

    def value(penalty, scale):
        model = eqx.tree_at(lambda m: m.recording_noise, base, base.recording_noise * scale)
        return jb.MonteCarloRisk(model, 300, 50, trials=10, key=KEY, method=method)(penalty)

    slopes = jax.grad(value, (0, 1))(3.0, 1.0)
    step = 1e-4
    by_penalty = (value(3.0 + step, 1.0) - value(3.0 - step, 1.0)) / (2 * step)
    by_noise = (value(3.0, 1.0 + step) - value(3.0, 1.0 - step)) / (2 * step)
    assert float(slopes[0]) == pytest.approx(float(by_penalty), rel=1e-5)
    assert float(slopes[1]) == pytest.approx(float(by_noise), rel=1e-5)
    assert abs(float(slopes[1])) > 1e-3


def test_gradients_in_the_sample_numbers_have_the_right_mean():
    """Those of quantiles: no trial has those of differences, which reject random numbers."""
    model, trials = jb.presets.small(task_snr=1.0), 1600

    def value(n_brain, n_task):
        return jb.MonteCarloRisk(model, n_brain, n_task, trials=trials, key=KEY).by_trial(3.0)

    slopes = jax.jacfwd(value, (0, 1))(300.0, 100.0)
    for i, step in ((0, 1.0), (1, 0.5)):
        up, down = ([300.0 + s * (1 - i), 100.0 + s * i] for s in (step, -step))
        by_differences = (value(*up) - value(*down)) / (2 * step)
        off = np.asarray(slopes[i] - by_differences)
        assert abs(off.mean()) < 4 * off.std() / trials**0.5
        assert off.std() / trials**0.5 < 0.06 * abs(np.mean(slopes[i]))


@pytest.mark.parametrize("method", ["reduced", "data"])
def test_simulated_optima_surround_that_of_the_closed_form(method):
    model, repeats = small_model(), 12

    def best(key):
        objective = jb.MonteCarloRisk(model, 300, 100, trials=60, key=key, method=method)
        found = jb.tune_penalty(objective)
        return jnp.log(found.penalty), found.converged

    logs, converged = map(np.asarray, jax.lax.map(best, jax.random.split(KEY, repeats)))
    assert converged.all()
    exact = np.log(float(jb.optimal_penalty(model.problem(), 300, 100)))
    error = logs.std(ddof=1) / np.sqrt(repeats)
    # Student's t with 11 degrees of freedom, 99.9 %; the closed form itself is good to half
    # a percent.
    assert abs(logs.mean() - exact) < 4.44 * error + 0.005
    assert error < 0.05
