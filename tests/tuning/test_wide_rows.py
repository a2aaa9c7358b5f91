"""Leave-one-out of rows that are few, whatever their mean and unit; its limit; what has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.estimators.folds import fold_of_rows
from jaxbrain.estimators.predictions import predictions
from jaxbrain.estimators.task import weights_of_each_target
from tests.helpers.models import shapes_in
from tests.helpers.regressions import befs_oracle

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
    both = jb.LeaveOneOut(shifted, targets, BASIS.astype(np.float32), both_penalties=True)
    for pair in ((1e-6, 1e-3), (1e-2, 0.2)):
        expected = two_refitted(*known, *pair, N)
        np.testing.assert_allclose(both(jb.Penalties(*pair)), expected, rtol=1e-3)


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


def test_a_penalty_for_each_target_may_be_the_limit():
    """Beside one that is not: weights of 0 are those of least norm, by scikit-learn's ridge."""
    inputs, noisy = rows(noise=4.0)
    exact = inputs @ np.random.default_rng(1).standard_normal(D)
    targets = np.stack([exact, noisy, 7 * exact], axis=1)
    tuned = jb.tune_penalty(jb.LeaveOneOut(inputs, targets, per_target=True))
    assert bool(jnp.all(tuned.converged))
    np.testing.assert_array_equal(tuned.penalty == 0, [True, False, True])
    alone = [refitted(inputs, y, float(p)) for y, p in zip(targets.T, tuned.penalty, strict=True)]
    np.testing.assert_allclose(tuned.value, alone, rtol=1e-8)
    centred = inputs - inputs.mean(0), targets - targets.mean(0)
    found = weights_of_each_target(*map(jnp.asarray, centred), None, tuned.penalty, jnp.zeros(()))
    for j in (0, 2):
        least = np.linalg.lstsq(centred[0], centred[1][:, j], rcond=1e-10)[0]
        np.testing.assert_allclose(found[:, j], least, rtol=0, atol=1e-9)
    expected = jb.ridge(*centred, tuned.penalty[1])[:, 1]
    np.testing.assert_allclose(found[:, 1], expected, rtol=0, atol=1e-9)


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


BASIS = np.linalg.qr(np.random.default_rng(3).standard_normal((D, 2)))[0]


def two_refitted(inputs, targets, outside, inside, folds):
    """Rows of each fold from all others, by least squares with rows for the penalties."""
    fold, missed = fold_of_rows(N, folds), np.zeros(N)
    for i in range(folds):
        x, y = inputs[fold != i], targets[fold != i]
        # Of leave-one-out, n times the penalty stays.
        share = N / len(x) if folds == N else 1.0
        centred = x - x.mean(0), y - y.mean()
        weights = befs_oracle(*centred, BASIS, share * outside, share * inside)
        missed[fold == i] = (
            targets[fold == i] - y.mean() - (inputs[fold == i] - x.mean(0)) @ weights
        )
    return np.mean(missed**2) / targets.var()


@pytest.mark.parametrize("mean", [0.0, 1e8])
def test_two_small_penalties_are_refitting_whatever_the_mean(mean):
    inputs, targets = rows()
    inputs = inputs + mean - mean
    loo = jb.LeaveOneOut(inputs + mean, targets, BASIS, both_penalties=True)
    five = jb.KFold(inputs + mean, targets, BASIS, both_penalties=True)
    for outside, inside in ((0.3, 0.2), (1e-6, 0.2), (1e-6, 0.0), (1e-10, 1e-10), (1e-12, 1e-3)):
        for objective, folds in ((loo, N), (five, 5)):
            expected = two_refitted(inputs, targets, outside, inside, folds)
            found = float(objective(jb.Penalties(outside, inside)))
            assert found == pytest.approx(expected, rel=1e-6)
    for wrong in ((0.3, 0.21), (0.31, 0.2), (0.2, 0.3)):
        expected = two_refitted(inputs, targets, *wrong, N)
        assert abs(expected / float(loo(jb.Penalties(0.3, 0.2))) - 1) > 1e-4
    # No outside penalty has the limit of small ones, and not that of large ones.
    limit = float(loo(jb.Penalties(0.0, 0.2)))
    assert limit == pytest.approx(two_refitted(inputs, targets, 1e-12, 0.2, N), rel=1e-6)
    assert abs(limit / float(loo(jb.Penalties(0.3, 0.2))) - 1) > 1e-3


def test_two_penalties_are_bounded_by_what_rounding_can_tell():
    """Rows that repeat leave a system singular without a penalty."""
    inputs, targets = rows()
    inputs[15:] = inputs[:15]
    loo = jb.LeaveOneOut(inputs, targets, BASIS, both_penalties=True)
    for outside in (0.0, 1e-300, 1e-20, 1e-12):
        expected = two_refitted(inputs, targets, 1e-6, 0.2, N)
        assert float(loo(jb.Penalties(outside, 0.2))) == pytest.approx(expected, rel=1e-3)


def test_wide_rows_build_nothing_of_the_size_of_the_inputs():
    def shapes(n):
        inputs, targets, new = np.ones((n, D)), np.ones((n, 2)), np.ones((3, D))
        objective = jax.make_jaxpr(
            lambda x, y: jb.LeaveOneOut(x, y, BASIS, both_penalties=True)(jb.Penalties(1.0, 0.1))
        )(inputs, targets)
        folds = jax.make_jaxpr(
            lambda x, y: jb.KFold(x, y, BASIS, both_penalties=True)(jb.Penalties(1.0, 0.1))
        )(inputs, targets)
        predicted = jax.make_jaxpr(
            lambda *a: predictions(*a, jnp.asarray(BASIS), 1.0 * one, 0.1 * one, n)
        )(inputs, targets, new)
        return [set(shapes_in(jaxpr.jaxpr)) for jaxpr in (objective, folds, predicted)]

    one = jnp.ones(())
    assert all((D, D) not in found for found in shapes(N))
    assert all((D, D) in found for found in shapes(3 * D))


@pytest.mark.parametrize("n", [N, 3 * D])
def test_predictions_are_those_of_the_weights(n):
    rng = np.random.default_rng(0)
    inputs, targets, new = (rng.standard_normal(s) for s in ((n, D), (n, 2), (5, D)))
    for outside, inside in ((0.3, 0.02), (1e-6, 0.0), (np.inf, 0.1)):
        pair = jnp.asarray(outside), jnp.asarray(inside)
        found = predictions(*(jnp.asarray(a) for a in (inputs, targets, new, BASIS)), *pair, n)
        expected = new @ befs_oracle(inputs, targets, BASIS, outside, inside)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
