"""Penalties by descent: against exact optima, brute-force refits, other libraries, and differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

FMRI = jb.presets.fmri().problem()
KEY = jax.random.key(3)


@functools.partial(jax.jit, static_argnames=("optimizer", "max_steps"))
@functools.partial(jax.vmap, in_axes=(0, 0, None))
def tuned_from(n_brain, n_task, factor, optimizer="lbfgs", max_steps=100):
    best = jb.optimal_penalty(FMRI, n_brain, n_task)
    objective = jb.ClosedFormRisk(FMRI, n_brain, n_task)
    found = jb.tune_penalty(objective, best * factor, optimizer=optimizer, max_steps=max_steps)
    return found, best


@pytest.mark.long
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
    objective = jb.ClosedFormRisk(isotropic(), 60, 50)
    exact = float(jb.optimal_penalty(isotropic(), 60, 50))
    found = jb.tune_penalty(objective, exact * 3, optimizer="adam", max_steps=3000)
    assert bool(found.converged)
    assert float(found.penalty) == pytest.approx(exact, rel=1e-6)
    found = jb.tune_penalty(objective, exact * 3, optimizer="adam", max_steps=3)
    assert not bool(found.converged)
    assert int(found.steps) == 3


@pytest.mark.long
def test_two_penalties_and_shift_reach_their_optima():
    problem = isotropic()
    found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60, 50, estimator="befs_two_penalties"))
    exact = jb.optimal_penalties(problem, 60, 50)
    assert bool(found.converged)
    np.testing.assert_allclose(found.penalty, exact, rtol=1e-4)
    risk = float(jb.two_penalty_risk(problem, 60, 50))
    assert float(found.value) == pytest.approx(risk, rel=1e-5)
    shift = jb.BlockShift(0.2, 3.0, 0.5)
    found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60, 50, shift=shift))
    exact = float(jb.optimal_penalty(problem, 60, 50, shift=shift))
    assert float(found.penalty) == pytest.approx(exact, rel=1e-6)


def test_ends_are_answers():
    perfect = jb.tune_penalty(jb.ClosedFormRisk(isotropic(misalignment=0.0), np.inf, 50))
    assert float(perfect.penalty) == np.inf
    noiseless = jb.Problem.isotropic(24, 3, 1e30, 0.3, 0.5)
    assert float(jb.tune_penalty(jb.ClosedFormRisk(noiseless, 60, 50)).penalty) < 1e-20
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
        jb.tune_penalty(jb.ClosedFormRisk(problem, n_brain, n_task), **options)

    tune(isotropic(), 60, 50)
    other, larger = (
        jb.Problem.isotropic(24, 3, 2.0, 0.4, 0.7),
        jb.Problem.isotropic(25, 3, 1, 0.4, 0.7),
    )
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        tune(other, 90, 70, tolerance=1e-9, max_steps=50, learning_rate=0.3)
        assert not compiled
        tune(larger, 90, 70)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


@pytest.mark.long
def test_derivatives_are_implicit():
    def best(misalignment):
        problem = jb.Problem.isotropic(24, 3, 1.0, misalignment, 0.5)
        found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60.0, 50.0))
        return found.penalty, found.value

    def exact(misalignment):
        problem = jb.Problem.isotropic(24, 3, 1.0, misalignment, 0.5)
        return jb.optimal_penalty(problem, 60.0, 50.0), jb.risk(problem, 60.0, 50.0)

    for mode in (jax.jacrev, jax.jacfwd):
        np.testing.assert_allclose(mode(best)(0.3), mode(exact)(0.3), rtol=1e-6)


def test_single_precision(single_precision):
    problem = jb.Problem.isotropic(24, 3, 1.0, 0.3, 0.5)
    found = jb.tune_penalty(jb.ClosedFormRisk(problem, 60, 50), 30.0)
    assert found.penalty.dtype == jnp.float32
    exact = float(jb.optimal_penalty(problem, 60, 50))
    assert float(found.penalty) == pytest.approx(exact, rel=1e-3)


# Simulation


@pytest.mark.long
@pytest.mark.parametrize("method", ["reduced", "data"])
def test_simulated_risk_is_that_of_the_closed_form(method):
    model = jb.presets.small(task_snr=1.0)
    objective = jb.MonteCarloRisk(model, 300, 100, trials=300, key=KEY, method=method)
    for penalty in (0.0, 0.3, 3.0, 30.0, np.inf):
        by_trial = objective.by_trial(penalty)
        error = float(jnp.std(by_trial)) / 300**0.5
        exact = float(jb.risk(model.problem(), 300, 100, penalty))
        assert abs(float(objective(penalty)) - exact) < 4 * error + 0.003 * exact
        assert float(objective(penalty)) != pytest.approx(exact * 1.1, abs=4 * error)


@pytest.mark.long
@pytest.mark.parametrize("method", ["reduced", "data"])
def test_gradients_under_common_random_numbers_are_those_of_differences(method):
    """In the penalty, and in the model's numbers through the subspace."""
    base = jb.presets.small(task_snr=1.0)

    def value(penalty, scale):
        import equinox as eqx

        model = eqx.tree_at(lambda m: m.recording_noise, base, base.recording_noise * scale)
        return jb.MonteCarloRisk(model, 300, 50, trials=10, key=KEY, method=method)(penalty)

    slopes = jax.grad(value, (0, 1))(3.0, 1.0)
    step = 1e-4
    by_penalty = (value(3.0 + step, 1.0) - value(3.0 - step, 1.0)) / (2 * step)
    by_noise = (value(3.0, 1.0 + step) - value(3.0, 1.0 - step)) / (2 * step)
    assert float(slopes[0]) == pytest.approx(float(by_penalty), rel=1e-5)
    assert float(slopes[1]) == pytest.approx(float(by_noise), rel=1e-5)
    assert abs(float(slopes[1])) > 1e-3


@pytest.mark.long
def test_gradients_in_the_sample_numbers_have_the_right_mean():
    """Those of quantiles: not trial by trial those of differences, whose random numbers are rejected ones."""
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


@pytest.mark.long
@pytest.mark.parametrize("method", ["reduced", "data"])
def test_simulated_optima_surround_that_of_the_closed_form(method):
    model, repeats = jb.presets.small(task_snr=1.0), 12

    def best(key):
        objective = jb.MonteCarloRisk(model, 300, 100, trials=60, key=key, method=method)
        found = jb.tune_penalty(objective)
        return jnp.log(found.penalty), found.converged

    logs, converged = map(np.asarray, jax.lax.map(best, jax.random.split(KEY, repeats)))
    assert converged.all()
    exact = np.log(float(jb.optimal_penalty(model.problem(), 300, 100)))
    error = logs.std(ddof=1) / np.sqrt(repeats)
    # Student's t with 11 degrees of freedom, 99.9 %; the closed form itself is good to half a percent.
    assert abs(logs.mean() - exact) < 4.44 * error + 0.005
    assert error < 0.05


# Data


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


@pytest.mark.long
@pytest.mark.parametrize("name", ["LeaveOneOut", "GeneralizedCrossValidation", "KFold"])
def test_tuned_penalties_beat_a_fine_grid(name):
    """Shared and per target, one and two penalties."""
    inputs, targets, basis = data()
    objective = getattr(jb, name)
    grid = np.geomspace(1e-4, 1e3, 200)

    def least(one):
        return float(jnp.min(jax.lax.map(one, jnp.asarray(grid))))

    shared = objective(inputs, targets, basis)
    found = jb.tune_penalty(shared)
    assert bool(found.converged)
    assert least(shared) * (1 - 1e-3) < float(found.value) <= least(shared)
    own = jb.tune_penalty(objective(inputs, targets, basis, per_target=True))
    assert own.penalty.shape == (3,)
    for j in range(3):
        alone = objective(inputs, targets[:, j], basis)
        assert float(own.value[j]) <= least(alone)
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
    """RidgeCV of scikit-learn (leave-one-out) and of himalaya (k folds), on a grid around our optimum."""
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


def test_wrong_arguments_are_named():
    inputs, targets, basis = data()
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
        jb.ClosedFormRisk(
            isotropic(), 60, 50, shift=jb.BlockShift(1, 1, 1), estimator="befs_two_penalties"
        )
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


def test_what_is_finite_nowhere_has_no_best_penalty():
    found = jb.tune_penalty(lambda penalty: penalty * jnp.nan, 1.0)
    assert np.isnan(found.penalty)
    assert not found.converged
