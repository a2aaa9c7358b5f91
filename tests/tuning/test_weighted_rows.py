"""Weights and groups of rows: errors are those of refitting, mean and all."""

import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.estimators.folds import fold_of_groups

D, OUTSIDE, INSIDE = 12, 0.7, 0.2


def data(n):
    rng = np.random.default_rng(n)
    inputs = rng.standard_normal((n, D)) @ np.diag(rng.uniform(0.5, 2, D)) + 3
    targets = inputs @ rng.standard_normal((D, 3)) + 4 * rng.standard_normal((n, 3)) + 7
    basis = np.linalg.qr(rng.standard_normal((D, 2)))[0]
    return inputs, targets, basis, rng.uniform(0.2, 3.0, n)


def missed(inputs, targets, basis, weights, learned, judged, total, mean=None):
    """Errors of judged rows by weighted normal equations of the others; `mean` is the inputs'."""
    x, y, w = inputs[learned], targets[learned], weights[learned]
    centre = np.average(x, axis=0, weights=w) if mean is None else mean[0]
    level = np.average(y, axis=0, weights=w) if mean is None else mean[1]
    penalty = total * (OUTSIDE * (np.eye(D) - basis @ basis.T) + INSIDE * basis @ basis.T)
    moments = (x - centre).T @ (w[:, None] * (x - centre))
    fitted = np.linalg.solve(moments + penalty, (x - centre).T @ (w[:, None] * (y - level)))
    return targets[judged] - level - (inputs[judged] - centre) @ fitted


def share_of_variance(errors, targets, weights):
    spread = np.average((targets - np.average(targets, axis=0, weights=weights)) ** 2, axis=0,
                        weights=weights)  # fmt: skip
    return np.mean(np.average(errors**2, axis=0, weights=weights) / spread)


def values(kind, *arrays, **options):
    one = kind(*arrays, inside_penalty=INSIDE, **options)(OUTSIDE)
    both = kind(*arrays, both_penalties=True, **options)(jb.Penalties(OUTSIDE, INSIDE))
    return float(one), float(both)


@pytest.mark.parametrize("n", [60, 10])
def test_weighted_leave_one_out_is_refitting(n):
    inputs, targets, basis, weights = data(n)
    rows, total = np.arange(n), weights.sum()
    arguments = inputs, targets, basis, weights

    def brute(mean=None):
        errors = [missed(*arguments, rows != i, i, total, mean) for i in rows]
        return share_of_variance(np.array(errors), targets, weights)

    for factor in (1.0, 1e30):
        found = values(jb.LeaveOneOut, inputs, targets, basis, sample_weight=factor * weights)
        np.testing.assert_allclose(found, brute(), rtol=1e-8)
    # The mean of all rows taken as known, or rows of one weight, would be something else.
    known = [np.average(a, axis=0, weights=weights) for a in (inputs, targets)]
    assert abs(brute(known) / found[0] - 1) > 1e-3
    plain = values(jb.LeaveOneOut, inputs, targets, basis)
    assert abs(plain[0] / found[0] - 1) > 1e-3
    ones = values(jb.LeaveOneOut, inputs, targets, basis, sample_weight=np.full(n, 3))
    np.testing.assert_allclose(ones, plain, rtol=1e-12)


def test_a_row_of_weight_two_is_two_rows_left_out_together():
    inputs, targets, basis, _ = data(10)
    counts = 1 + np.arange(10) % 3
    found = values(jb.LeaveOneOut, inputs, targets, basis, sample_weight=counts)
    rows = np.repeat(np.arange(10), counts)
    errors = np.zeros((len(rows), 3))
    for i in range(10):
        others, ones = rows != i, np.ones(len(rows))
        arguments = inputs[rows], targets[rows], basis, ones, others, rows == i
        errors[rows == i] = missed(*arguments, len(rows))
    expected = share_of_variance(errors, targets[rows], np.ones(len(rows)))
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_of_weighted_rows_and_of_groups_are_refitting(grouped):
    inputs, targets, basis, weights = data(47)
    # Five groups: a fold each, whatever their order. Without names folds are consecutive rows.
    sizes = [len(part) for part in np.array_split(np.arange(47), 5)]
    member = np.repeat(np.arange(5), sizes)
    member = np.random.default_rng(0).permutation(member) if grouped else member
    options = {"groups": np.array(list("dbeca"))[member]} if grouped else {}
    found = values(jb.KFold, inputs, targets, basis, sample_weight=weights, **options)
    errors = np.zeros_like(targets)
    for i in range(5):
        learned, judged = member != i, member == i
        total = weights[learned].sum()
        errors[judged] = missed(inputs, targets, basis, weights, learned, judged, total)
    expected = share_of_variance(errors, targets, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_groups_are_never_cut_and_folds_are_alike():
    sizes = [9, 8, 5, 5, 4, 3, 2, 1]
    fold = fold_of_groups(np.repeat(list("qrstuvwx"), sizes), 3)
    ends = np.cumsum(sizes)
    assert all(
        len(np.unique(fold[end - size : end])) == 1 for size, end in zip(sizes, ends, strict=True)
    )
    assert sorted(np.bincount(fold)) == [12, 12, 13]
    assert len(np.unique(fold_of_groups([1, 1, 2], 5))) == 2


def test_generalised_cross_validation_of_weighted_rows_is_its_definition():
    inputs, targets, basis, weights = data(60)
    root = np.sqrt(weights)[:, None]
    rows = root * np.c_[inputs, np.ones(60)]
    penalty = np.zeros((D + 1, D + 1))
    penalty[:D, :D] = OUTSIDE * np.eye(D) + (INSIDE - OUTSIDE) * basis @ basis.T
    hat = rows @ np.linalg.solve(rows.T @ rows + weights.sum() * penalty, rows.T)
    left = (root * targets - hat @ (root * targets)) / (1 - np.trace(hat) / 60) / root
    expected = share_of_variance(left, targets, weights)
    found = values(jb.GeneralizedCrossValidation, inputs, targets, basis, sample_weight=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_weights_and_groups_that_cannot_be_are_named():
    inputs, targets, basis, weights = data(10)
    for options, said in (
        ({"sample_weight": weights[1:]}, r"sample_weight must have shape \(10,\)"),
        ({"sample_weight": weights - weights[0]}, "sample_weight must be greater than 0"),
        ({"sample_weight": 0 * weights}, "leave out rows of weight 0"),
        ({"sample_weight": weights * np.nan}, "sample_weight holds NaN"),
        ({"groups": np.zeros(10)}, "two groups or more"),
        ({"groups": np.zeros(9)}, "groups must have shape"),
        ({"folds": 2.5}, "folds must be a whole number"),
        ({"folds": True}, "folds must be a whole number"),
    ):
        with pytest.raises(ValueError, match=said):
            jb.KFold(inputs, targets, basis, **options)


def test_precision_is_the_widest_of_all_arrays():
    inputs, targets, basis, weights = data(10)
    single = [array.astype(np.float32) for array in (inputs, targets, basis)]
    for i in range(3):
        arrays = [single[j] if j != i else (inputs, targets, basis)[j] for j in range(3)]
        objective = jb.KFold(*arrays, inside_penalty=INSIDE, sample_weight=weights)
        assert objective.counts.dtype == objective.regression.residual.dtype == np.float64
    assert jb.KFold(*single, inside_penalty=INSIDE).regression.residual.dtype == np.float32
