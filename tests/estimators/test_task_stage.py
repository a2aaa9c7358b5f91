"""The task stage: least squares, ridge and BEFS, one pair of penalties at a time.

Oracles: least squares on augmented rows (NumPy's SVD solver), scikit-learn's ridge.
"""

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model
from hypothesis import given
from hypothesis import strategies as st

import jaxbrain as jb
from tests.helpers.regressions import (
    EPS,
    INF,
    befs_oracle,
    normal_equations_accuracy,
    orthonormal,
    property_test,
    relative_error,
    seeds,
    task_data,
)

SHAPES = {  # n, d, k, number of tasks
    "many rows": (40, 12, 3, None),
    "as many rows as inputs": (12, 12, 3, 2),
    "fewer rows than inputs": (9, 12, 2, None),
    "rows between d - k and d": (10, 12, 4, 3),
    "as many rows as latents": (4, 12, 4, 1),
    "one latent": (30, 5, 1, 2),
    "one direction outside": (30, 5, 4, None),
}
PENALTIES = [0.0, 1e-8, 1e-4, 1e-2, 0.3, 1.0, 7.0, 1e3, 1e6, 1e12, INF]


@pytest.mark.parametrize(("n", "d", "k", "tasks"), SHAPES.values(), ids=SHAPES)
def test_befs_and_its_path_are_least_squares_on_augmented_rows(n, d, k, tasks):
    inputs, targets, basis = task_data(n, n, d, k, tasks)
    penalties = np.array([penalty for penalty in PENALTIES if penalty > 0 or n >= d])
    for inside_penalty in (0.0, 1e-3, 2.0, INF):
        path = jb.befs_path(inputs, targets, basis, penalties, inside_penalty)
        assert path.shape == (len(penalties), d, *targets.shape[1:])
        for penalty, on_path in zip(penalties, path, strict=True):
            regression = inputs, targets, basis, penalty, inside_penalty
            single = jb.befs(*regression)
            if penalty == inside_penalty == INF:
                assert not np.any(single)
                assert not np.any(on_path)
                continue
            expected, accuracy = befs_oracle(*regression), normal_equations_accuracy(*regression)
            assert relative_error(single, expected) < accuracy
            assert relative_error(on_path, expected) < accuracy


def test_the_comparison_with_least_squares_has_power():
    """Penalties a data set (not a sample), swapped, or off by 1 % are all told apart."""
    inputs, targets, basis = task_data(0, 40, 12, 3)
    found = jb.befs(inputs, targets, basis, 0.3, 0.02)
    accuracy = normal_equations_accuracy(inputs, targets, basis, 0.3, 0.02)
    assert relative_error(found, befs_oracle(inputs, targets, basis, 0.3, 0.02)) < accuracy
    for wrong in ((0.3 / 40, 0.02 / 40), (0.02, 0.3), (0.303, 0.02), (0.3, 0.0202)):
        assert relative_error(found, befs_oracle(inputs, targets, basis, *wrong)) > accuracy


@pytest.mark.parametrize(("n", "d", "tasks"), [(40, 12, None), (12, 12, 2), (7, 12, 2)])
def test_ridge_is_that_of_scikit_learn(n, d, tasks):
    inputs, targets, basis = task_data(n, n, d, 2, tasks)
    for penalty in (1e-6, 1e-3, 0.1, 1.0, 50.0, 1e6):
        found = jb.ridge(inputs, targets, penalty)
        oracle = sklearn.linear_model.Ridge(alpha=n * penalty, fit_intercept=False, solver="svd")
        expected = oracle.fit(inputs, targets).coef_.T.reshape(found.shape)
        accuracy = normal_equations_accuracy(inputs, targets, basis, penalty, penalty)
        assert found.shape == (d, *targets.shape[1:])
        assert relative_error(found, expected) < accuracy
        wrong = oracle.set_params(alpha=penalty).fit(inputs, targets).coef_.T.reshape(found.shape)
        assert relative_error(found, wrong) > accuracy
    assert not np.any(jb.ridge(inputs, targets, INF))


@pytest.mark.parametrize(("n", "d", "tasks"), [(40, 12, None), (12, 12, 2)])
def test_task_only_is_ordinary_least_squares(n, d, tasks):
    inputs, targets, basis = task_data(n, n, d, 3, tasks)
    expected = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    accuracy = 100 * EPS * np.linalg.cond(inputs) ** 2
    found = jb.task_only(inputs, targets)
    assert found.shape == (d, *targets.shape[1:])
    assert relative_error(found, expected) < accuracy
    # A penalty of 0 is no penalty at all.
    assert relative_error(jb.ridge(inputs, targets, 0.0), expected) < accuracy
    assert relative_error(jb.befs(inputs, targets, basis, 0.0), expected) < accuracy
    assert relative_error(jb.befs(inputs, targets, basis, 1e-3), expected) > accuracy


@pytest.mark.parametrize("n", [40, 12, 7])
def test_infinite_penalty_is_least_squares_inside_the_subspace(n):
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    expected = basis @ np.linalg.lstsq(inputs @ basis, targets, rcond=None)[0]
    found = jb.befs(inputs, targets, basis, INF)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(basis @ (basis.T @ found), found, rtol=0, atol=1e-14)
    # A large penalty comes near as 1/λ: the limit is continuous.
    far = relative_error(jb.befs(inputs, targets, basis, 1e5), expected)
    farther = relative_error(jb.befs(inputs, targets, basis, 1e7), expected)
    np.testing.assert_allclose(far / farther, 100, rtol=1e-3)


@pytest.mark.parametrize("n", [40, 7])
def test_equal_penalties_are_ridge_whatever_the_subspace(n):
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    for penalty in (1e-2, 1.0, 30.0):
        expected = jb.ridge(inputs, targets, penalty)
        assert relative_error(jb.befs(inputs, targets, basis, penalty, penalty), expected) < 1e-12
        assert (
            relative_error(jb.befs(inputs, targets, basis, penalty, 0.5 * penalty), expected) > 1e-3
        )


@property_test
@given(
    seed=seeds,
    n=st.sampled_from([7, 40]),
    penalty=st.sampled_from([0.01, 1.0, 100.0, INF]),
    inside_penalty=st.sampled_from([0.0, 0.2]),
)
def test_only_the_span_of_the_basis_matters(seed, n, penalty, inside_penalty):
    inputs, targets, basis = task_data(seed, n, 12, 3, 2)
    rotation = orthonormal(np.random.default_rng(seed + 1), 3, 3)
    plain = jb.befs(inputs, targets, basis, penalty, inside_penalty)
    rotated = jb.befs(inputs, targets, basis @ rotation, penalty, inside_penalty)
    regression = inputs, targets, basis, penalty, inside_penalty
    assert relative_error(rotated, plain) < normal_equations_accuracy(*regression)
    path = jb.befs_path(inputs, targets, basis, np.array([penalty, 2.0]), inside_penalty)
    on_path = jb.befs_path(
        inputs, targets, basis @ rotation, np.array([penalty, 2.0]), inside_penalty
    )
    assert relative_error(on_path[0], path[0]) < normal_equations_accuracy(*regression)


def test_one_refinement_gives_back_the_digits_of_the_gram_matrix():
    """With labels that fit well, the error grows as the condition, not as its square."""
    rng = np.random.default_rng(1)
    n, d = 40, 12
    left, right = orthonormal(rng, n, d), orthonormal(rng, d, d)
    inputs = (left * np.geomspace(1.0, 1e-5, d)) @ right.T
    weights = rng.normal(size=d)
    targets = inputs @ weights
    accuracy = 100 * EPS * 1e5
    assert relative_error(jb.task_only(inputs, targets), weights) < accuracy
    assert relative_error(jb.befs(inputs, targets, right[:, :3], 0.0), weights) < accuracy
    naive = np.linalg.solve(inputs.T @ inputs, inputs.T @ targets)
    assert relative_error(naive, weights) > accuracy


@pytest.mark.parametrize("n", [40, 7])
def test_task_stage_holds_in_single_precision(single_precision, n):
    """Within eps₃₂ times the squared condition of the regression, which normal equations cost."""
    inputs, targets, basis = (a.astype(np.float32).astype(float) for a in task_data(n, n, 12, 3, 2))
    exact_basis = np.linalg.qr(basis)[0]
    eps = np.finfo(np.float32).eps
    penalties = [penalty for penalty in (0.0, 0.1, 3.0, 1e4, INF) if penalty > 0 or n > 12]
    single = [jnp.asarray(a, jnp.float32) for a in (inputs, targets, basis)]
    path = jb.befs_path(*single, np.array(penalties, np.float32), 0.05)
    assert path.dtype == jnp.float32
    for penalty, on_path in zip(penalties, path, strict=True):
        regression = inputs, targets, exact_basis, penalty, 0.05
        expected, accuracy = (
            befs_oracle(*regression),
            normal_equations_accuracy(*regression, eps=eps),
        )
        found = jb.befs(*single, penalty, 0.05)
        assert found.dtype == jnp.float32
        assert relative_error(found, expected) < accuracy
        assert relative_error(on_path, expected) < accuracy
        # That is accuracy enough to see a penalty that is wrong by a factor of two.
        if 0 < penalty < 1e4:
            other = befs_oracle(inputs, targets, exact_basis, 2 * penalty, 0.05)
            assert relative_error(found, other) > accuracy
        if penalty > 0:
            alone = jb.ridge(*single[:2], penalty)
            assert alone.dtype == jnp.float32
            if penalty < INF:
                regression = inputs, targets, exact_basis, penalty, penalty
                accuracy = normal_equations_accuracy(*regression, eps=eps)
                assert relative_error(alone, befs_oracle(*regression)) < accuracy
