"""Leave-one-out of rows that are few, whatever their mean and unit; its limit; what has none."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

N, D = 30, 60


def rows(seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((N, D))
    return inputs, 2 * inputs[:, 0] + inputs[:, 1] + noise * rng.standard_normal(N)


def refitted(inputs, targets, penalty):
    """Each row from all others: by the rows' Gram matrix, and by least norm where it is 0."""
    missed = []
    for i in range(N):
        kept = np.arange(N) != i
        mean, level = inputs[kept].mean(0), targets[kept].mean()
        x, y = inputs[kept] - mean, targets[kept] - level
        if penalty:
            weights = x.T @ np.linalg.solve(x @ x.T + N * penalty * np.eye(N - 1), y)
        else:
            weights = np.linalg.lstsq(x, y, rcond=1e-10)[0]
        missed.append(targets[i] - level - (inputs[i] - mean) @ weights)
    return np.mean(np.square(missed)) / targets.var()


@pytest.mark.parametrize("mean", [0.0, 10.0, 1e8])
def test_small_penalties_and_none_are_refitting_whatever_the_mean(mean):
    inputs, targets = rows()
    # Exactly the numbers that are left of the inputs beside their mean.
    inputs = inputs + mean - mean
    objective = jb.LeaveOneOut(inputs + mean, targets)
    for penalty in (0.0, 1e-12, 1e-6, 0.3):
        expected = refitted(inputs, targets, penalty)
        np.testing.assert_allclose(objective(penalty), expected, rtol=1e-6)


def test_single_precision_keeps_its_digits(single_precision):
    inputs, targets = (np.asarray(array, np.float32) for array in rows())
    shifted = inputs + np.float32(1e3)
    objective = jb.LeaveOneOut(shifted, targets)
    known = shifted.astype(float) - 1e3, targets.astype(float)
    for penalty in (0.0, 1e-6, 1e-2):
        np.testing.assert_allclose(objective(penalty), refitted(*known, penalty), rtol=1e-3)


@pytest.mark.parametrize("unit", [1e-26, 1e18])
def test_units_of_inputs_and_targets_change_only_units(unit):
    inputs, targets = rows()
    for name in ("LeaveOneOut", "GeneralizedCrossValidation", "KFold"):
        objective = getattr(jb, name)
        there = objective(inputs * unit, targets / unit)
        here = objective(inputs, targets)
        np.testing.assert_allclose(there(0.3 * unit**2), here(0.3), rtol=1e-9)
        np.testing.assert_allclose(there.natural_penalty(), here.natural_penalty() * unit**2)


def test_without_noise_the_best_penalty_is_the_limit():
    inputs, _ = rows()
    targets = inputs @ np.random.default_rng(1).standard_normal(D)
    tuned = jb.tune_penalty(jb.LeaveOneOut(inputs, targets))
    assert float(tuned.penalty) == 0.0
    assert bool(tuned.converged)
    np.testing.assert_allclose(tuned.value, refitted(inputs, targets, 0.0), rtol=1e-8)


def test_a_row_that_fits_itself_is_named():
    inputs, targets = rows()
    inputs[:, 0] = np.arange(N) == 7
    basis = np.eye(D, 2)
    with pytest.raises(ValueError, match="row 7 has leverage 1"):
        jb.LeaveOneOut(inputs, targets, basis)
    with pytest.raises(ValueError, match="fold 1 leave a weight within the subspace undetermined"):
        jb.KFold(inputs, targets, basis, folds=5)
    assert jnp.isfinite(jb.LeaveOneOut(inputs, targets, basis, inside_penalty=0.1)(0.3))


def test_means_that_would_count_as_signal_are_refused():
    inputs, targets = rows()
    with pytest.raises(ValueError, match=r"column 3 the mean is .* standard deviations from 0"):
        jb.LeaveOneOut(inputs + 1e6 * np.eye(D)[3], targets, intercept=False)
    own = np.concatenate([inputs[:, 1:], np.ones((N, 1))], axis=1)
    assert jnp.isfinite(jb.LeaveOneOut(own, targets, intercept=False)(0.3))
