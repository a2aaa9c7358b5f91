"""Errors on data as objectives: against brute-force refits and other libraries."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

KEY = jax.random.key(3)


def data(n=60, d=12, t=3, k=2, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, d)) @ np.diag(rng.uniform(0.5, 2, d)) + 3
    weights = rng.standard_normal((d, t))
    targets = inputs @ weights + 4 * rng.standard_normal((n, t)) + 7
    return inputs, targets, np.linalg.qr(rng.standard_normal((d, k)))[0]


def refitted(x, y, new, basis, outside, inside, total, intercept):
    """Predictions by normal equations alone; `total` is what multiplies the penalties."""
    x_mean, y_mean = (a.mean(0) if intercept else 0 * a.mean(0) for a in (x, y))
    x, y = x - x_mean, y - y_mean
    held = np.zeros((x.shape[1],) * 2) if basis is None else basis @ basis.T
    penalty = total * (outside * (np.eye(x.shape[1]) - held) + inside * held)
    return (new - x_mean) @ np.linalg.solve(x.T @ x + penalty, x.T @ y) + y_mean


PENALTIES = [(0.7, 0.0), (0.7, 0.2), (1e-3, 5.0)]


@pytest.mark.parametrize("n", [60, 10])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("subspace", [True, False])
def test_leave_one_out_is_refitting(n, intercept, subspace):
    inputs, targets, basis = data(n)
    basis = basis if subspace else None
    spread = targets.var(0)
    for outside, inside in PENALTIES if subspace else [(0.7, 0.0), (1e-3, 0.0)]:
        errors = np.zeros((n, targets.shape[1]))
        for i in range(n):
            kept = np.arange(n) != i
            new = refitted(
                inputs[kept], targets[kept], inputs[i], basis, outside, inside, n, intercept
            )
            errors[i] = targets[i] - new
        brute = (errors**2).mean(0) / spread
        options = dict(intercept=intercept, inside_penalty=inside)
        found = jb.LeaveOneOut(inputs, targets, basis, **options)(outside)
        np.testing.assert_allclose(found, brute.mean(), rtol=1e-8)
        if subspace:
            both = jb.LeaveOneOut(inputs, targets, basis, both_penalties=True, intercept=intercept)
            pair = jb.Penalties(outside, inside)
            np.testing.assert_allclose(both(pair), brute.mean(), rtol=1e-8)
        # Without the leverages it would be the training error.
        fitted = refitted(inputs, targets, inputs, basis, outside, inside, n, intercept)
        training = (((targets - fitted) ** 2).mean(0) / spread).mean()
        assert training < 0.95 * brute.mean()


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_folds_and_held_out_rows_are_refitting(shuffled, both):
    inputs, targets, basis = data(47)
    key = KEY if shuffled else None
    order = np.asarray(jax.random.permutation(KEY, 47)) if shuffled else np.arange(47)
    outside, inside = 0.7, 0.2
    total = np.zeros(targets.shape[1])
    for held in np.array_split(order, 5):
        kept = np.setdiff1d(np.arange(47), held)
        new = refitted(
            inputs[kept], targets[kept], inputs[held], basis, outside, inside, len(kept), True
        )
        total += ((targets[held] - new) ** 2).sum(0)
    brute = (total / 47 / targets.var(0)).mean()
    options = dict(both_penalties=both, inside_penalty=0.0 if both else inside)
    penalty = jb.Penalties(outside, inside) if both else outside
    found = jb.KFold(inputs, targets, basis, folds=5, key=key, **options)(penalty)
    np.testing.assert_allclose(found, brute, rtol=1e-9)

    x, y, new_x, new_y = inputs[:30], targets[:30], inputs[30:], targets[30:]
    brute = refitted(x, y, new_x, basis, outside, inside, 30, True)
    brute = (((new_y - brute) ** 2).mean(0) / targets.var(0)).mean()
    found = jb.HeldOut(x, y, new_x, new_y, basis, **options)(penalty)
    np.testing.assert_allclose(found, brute, rtol=1e-9)


def test_generalised_cross_validation_is_its_definition():
    inputs, targets, basis = data()
    x, y = inputs - inputs.mean(0), targets - targets.mean(0)
    n = len(x)
    penalty = n * 0.7 * (np.eye(x.shape[1]) - basis @ basis.T)
    hat = x @ np.linalg.solve(x.T @ x + penalty, x.T) + 1 / n
    error = (((y - hat @ y) ** 2).mean(0) / (1 - np.trace(hat) / n) ** 2 / y.var(0)).mean()
    found = jb.GeneralizedCrossValidation(inputs, targets, basis)(0.7)
    np.testing.assert_allclose(found, error, rtol=1e-10)


@eqx.filter_jit
def least_of_a_grid(objective):
    return jnp.min(jax.lax.map(objective, jnp.geomspace(1e-4, 1e3, 200)))


@pytest.mark.parametrize("name", ["LeaveOneOut", "GeneralizedCrossValidation", "KFold"])
def test_tuned_penalties_beat_a_fine_grid(name):
    """Shared and per target, one and two penalties."""
    inputs, targets, basis = data()
    objective = getattr(jb, name)
    shared = objective(inputs, targets, basis)
    found = jb.tune_penalty(shared)
    assert bool(found.converged)
    least = float(least_of_a_grid(shared))
    assert least * (1 - 1e-3) < float(found.value) <= least
    own = jb.tune_penalty(objective(inputs, targets, basis, per_target=True))
    assert own.penalty.shape == (3,)
    for j in range(3):
        alone = objective(inputs, targets[:, j], basis)
        assert float(own.value[j]) <= float(least_of_a_grid(alone))
        one = jb.tune_penalty(alone)
        np.testing.assert_allclose(own.penalty[j], one.penalty, rtol=1e-6)
    both = jb.tune_penalty(objective(inputs, targets, basis, both_penalties=True), starts=2)
    assert float(both.value) <= float(found.value) * (1 + 1e-12)


def test_derivatives_through_the_ridge_solve():
    """In the penalties, the inputs and the subspace, against differences."""
    inputs, targets, basis = data(20, 6)

    def value(outside, inside, shift):
        moved = inputs + shift * jnp.asarray(np.outer(np.linspace(-1, 1, 20), np.ones(6)))
        return jb.LeaveOneOut(moved, targets, basis, both_penalties=True)(
            jb.Penalties(outside, inside)
        )

    at = (0.7, 0.2, 0.1)
    slopes = jax.grad(value, (0, 1, 2))(*at)
    for i in range(3):
        step = 1e-5
        up, down = (tuple(x + s * step * (i == j) for j, x in enumerate(at)) for s in (1, -1))
        by_differences = (value(*up) - value(*down)) / (2 * step)
        assert float(slopes[i]) == pytest.approx(float(by_differences), rel=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_other_libraries_choose_the_same():
    """RidgeCV of scikit-learn (leave-one-out) and himalaya (folds) on a grid around our optimum."""
    himalaya = pytest.importorskip("himalaya.ridge")
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold

    inputs, targets, _ = data(80)
    n = len(inputs)
    own = jb.tune_penalty(jb.LeaveOneOut(inputs, targets, per_target=True))
    factors = np.geomspace(0.1, 10, 201)
    for j in range(3):
        alphas = n * float(own.penalty[j]) * factors
        other = RidgeCV(alphas, store_cv_results=True).fit(inputs, targets[:, j])
        assert abs(np.log10(other.alpha_ / n / float(own.penalty[j]))) < 0.0051
        error = other.cv_results_.mean(0)[100] / targets[:, j].var()
        np.testing.assert_allclose(own.value[j], error, rtol=1e-8)

    # himalaya penalises in sums and leaves centring to us: one that no fold changes, none.
    inputs, targets = inputs - 3, targets - 7
    objective = jb.KFold(inputs, targets, per_target=True, intercept=False)
    own = jb.tune_penalty(objective)
    learned = n * 4 / 5
    for j in range(3):
        alphas = learned * float(own.penalty[j]) * factors
        folds = KFold(5)
        other = himalaya.RidgeCV(
            alphas=alphas, cv=folds, fit_intercept=False, solver_params=dict(local_alpha=True)
        ).fit(inputs, targets[:, j : j + 1])
        assert abs(np.log10(other.best_alphas_[0] / learned / float(own.penalty[j]))) < 0.02


def test_data_and_starts_that_cannot_be_tuned_are_refused():
    rng = np.random.default_rng(0)
    X, y, basis = rng.normal(size=(12, 5)), rng.normal(size=12), np.eye(5, 2)
    bad = X.copy()
    bad[0, 0] = np.nan
    both = jb.LeaveOneOut(X, y, basis, both_penalties=True)
    for call, said in (
        (lambda: jb.LeaveOneOut(X[:3], y[:3], np.eye(5, 4)), "basis: 2 rows"),
        (lambda: jb.KFold(X[:6], y[:6], np.eye(5, 4), folds=2), "basis: 3 rows"),
        (lambda: jb.LeaveOneOut(bad, y), "inputs"),
        (lambda: jb.LeaveOneOut(X, y * np.nan), "targets"),
        (lambda: jb.tune_penalty(jb.LeaveOneOut(X, y), jb.Penalties(1.0, 1.0)), "a single number"),
        (lambda: jb.tune_penalty(both, 1.0), "must be Penalties"),
    ):
        with pytest.raises(ValueError, match=said):
            call()
