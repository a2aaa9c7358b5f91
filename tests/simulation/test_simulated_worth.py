"""What recordings are worth in one study, by draws: its numbers fit each other and a sweep."""

import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

KEY = jax.random.key(0)
PHOTOS = jb.Problem.power_law(16, 1.0, 3, 1.0, misalignment=0.2, latent_noise=0.5)
STUDY = PHOTOS, 80, 8


def drawn(trials=16, **options):
    return jb.simulated_worth(*STUDY, encoding_penalty=0.1, trials=trials, key=KEY, **options)


def test_it_is_a_sweep_at_its_best_penalties():
    found = drawn()
    swept = jb.sweep(
        PHOTOS, [80], [8], [found.penalty], inside_penalty=found.inside_penalty, trials=16, key=KEY,
        encoding_penalty=0.1, estimator="befs_two_penalties", n_task_only=[8],
    )  # fmt: skip
    assert found.risk == pytest.approx(swept.risk.item(), rel=1e-5)
    assert found.risk_standard_error == pytest.approx(swept.risk_standard_error.item(), rel=1e-3)
    assert found.encoding_penalty == 0.1


def test_values_are_labels_at_which_the_rival_is_as_good():
    found = drawn()
    noise, d = float(PHOTOS.task_noise), PHOTOS.input_dim
    assert found.value_vs_ols == pytest.approx(d + 1 + noise * d / found.risk - 8, rel=1e-9)
    labels = jnp.asarray([8 + found.value_vs_ridge, 8.0])
    ridge, beside = np.asarray(jb.ridge_risk(PHOTOS, labels))
    assert ridge == pytest.approx(found.risk, rel=1e-4)
    assert beside > 1.05 * found.risk
    # To first order in the error of the risk.
    slope = noise * d / found.risk**2
    expected = slope * found.risk_standard_error
    assert found.value_vs_ols_standard_error == pytest.approx(expected, rel=0.01)
    more = jnp.asarray([7.9, 8.1]) + found.value_vs_ridge
    slope = np.diff(np.asarray(jb.ridge_risk(PHOTOS, more)))[0] / 0.2
    expected = found.risk_standard_error / abs(slope)
    assert found.value_vs_ridge_standard_error == pytest.approx(expected, rel=0.05)


def test_one_penalty_is_worth_less_and_has_no_mean_below_its_latents():
    one, two = drawn(estimator="befs"), drawn()
    assert one.risk > two.risk + one.risk_standard_error
    assert one.inside_penalty == 0
    few = jb.simulated_worth(
        PHOTOS, 80, 4, encoding_penalty=0.1, estimator="befs", trials=8, key=KEY
    )
    assert np.isnan(few.risk)
    assert np.isnan(few.value_vs_ridge)


def test_it_does_not_warn_of_what_it_is_for(monkeypatch):
    def sweep(*arguments, **options):
        warnings.warn("the closed form is off", jb.AccuracyWarning, stacklevel=1)
        raise ArithmeticError

    # The package's function of that name hides the module.
    monkeypatch.setattr(sys.modules["jaxbrain.simulation.simulated_worth"], "sweep", sweep)
    with pytest.raises(ArithmeticError):
        drawn()
