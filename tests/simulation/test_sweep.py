"""Sweeps: both methods against each other, against plain NumPy, and against their own bookkeeping."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.simulation._trials import Moments

KEY = jax.random.key(11)
D, K, P = 16, 3, 10
N_BRAIN, N_TASK = 40, (10, 30)
PENALTIES = (0.1, 1.0, 10.0, np.inf)
SHIFT = (0.2, 6.0, 0.5)


def study(seed=0):
    rng = np.random.default_rng(seed)
    encoder = np.linalg.qr(rng.standard_normal((D, K)))[0]
    weights = encoder @ rng.standard_normal(K) + 0.2 * rng.standard_normal(D)
    weights /= np.linalg.norm(weights)
    return jb.LinearGaussianModel(encoder, rng.standard_normal((P, K)), 0.3, 1.0, weights, 0.5)


def covariance(model, variances):
    a, beta = np.asarray(model.encoder), np.asarray(model.task_weights)
    inside = a @ a.T
    v = beta - inside @ beta
    v /= np.linalg.norm(v)
    along = np.outer(v, v)
    sensitive, missed, rest = variances
    return sensitive * inside + missed * along + rest * (np.eye(D) - inside - along)


@functools.cache
def numpy_risks(trials=4000):
    """(shift, n_task, penalty) → mean and standard error, from data and normal equations alone."""
    model, rng = study(), np.random.default_rng(5)
    a, h, beta = (np.asarray(x) for x in (model.encoder, model.readout, model.task_weights))
    sigmas = np.eye(D), covariance(model, SHIFT)
    found = np.zeros((trials, 2, len(N_TASK), len(PENALTIES)))
    for trial in range(trials):
        x = rng.standard_normal((N_BRAIN, D))
        z = x @ a + np.sqrt(0.3) * rng.standard_normal((N_BRAIN, K))
        r = z @ h.T + rng.standard_normal((N_BRAIN, P))
        weights = np.linalg.lstsq(x, r, rcond=None)[0]
        leading = np.linalg.svd(x @ weights, full_matrices=False)[2][:K].T
        basis = np.linalg.qr(weights @ leading)[0]
        outside = np.eye(D) - basis @ basis.T
        for i, n in enumerate(N_TASK):
            inputs = rng.standard_normal((n, D))
            targets = inputs @ beta + np.sqrt(0.5) * rng.standard_normal(n)
            for j, penalty in enumerate(PENALTIES):
                if np.isinf(penalty):
                    learned = basis @ np.linalg.lstsq(inputs @ basis, targets, rcond=None)[0]
                else:
                    gram = inputs.T @ inputs + n * penalty * outside
                    learned = np.linalg.solve(gram, inputs.T @ targets)
                error = learned - beta
                found[trial, :, i, j] = [error @ sigma @ error for sigma in sigmas]
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(trials)


def pooled(dataset):
    """Mean over seeds and its standard error, (n_brain, n_task, penalty)."""
    error = np.sqrt((dataset.risk_standard_error**2).sum("seed").values) / dataset.sizes["seed"]
    return dataset.risk.mean("seed").values, error


@pytest.mark.long
@pytest.mark.parametrize("method", ["reduced", "data"])
@pytest.mark.parametrize("shifted", [False, True])
def test_risks_are_those_of_plain_numpy(method, shifted):
    """Sixteen cells each, in standard errors; with one label too few every method would be told apart."""
    shift = jb.BlockShift(*SHIFT) if shifted else None
    options = dict(trials=400, seeds=5, key=KEY, method=method, shift=shift)
    found = jb.sweep(study(), [N_BRAIN], N_TASK, PENALTIES, n_task_only=[20], **options)
    mean, error = pooled(found)
    expected, expected_error = (x[int(shifted)] for x in numpy_risks())
    z = (mean[0] - expected) / np.hypot(error[0], expected_error)
    assert np.max(np.abs(z)) < 4
    if method == "reduced":
        fewer = jb.sweep(study(), [N_BRAIN], [9, 27], PENALTIES, n_task_only=[20], **options)
        wrong = (pooled(fewer)[0][0] - expected) / np.hypot(error[0], expected_error)
        assert np.max(np.abs(wrong)) > 6


def test_a_covariance_matrix_is_the_same_as_its_block_shift():
    model = study()
    options = dict(trials=10, seeds=2, key=KEY, method="data", n_task_only=[20])
    block = jb.sweep(model, [N_BRAIN], [30], [1.0], shift=jb.BlockShift(*SHIFT), **options)
    matrix = jb.sweep(model, [N_BRAIN], [30], [1.0], shift=covariance(model, SHIFT), **options)
    np.testing.assert_allclose(block.risk, matrix.risk, rtol=1e-9)
    np.testing.assert_allclose(block.ridge_risk, matrix.ridge_risk, rtol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("method", ["reduced", "data"])
def test_baselines_are_the_exact_ones(method):
    model, n = study(), [12, 30, 90]
    found = jb.sweep(
        model,
        [N_BRAIN],
        [10],
        "optimal",
        trials=500,
        seeds=4,
        key=KEY,
        method=method,
        n_task_only=n,
    )
    assert np.all(np.isnan(found.task_only_risk.values[0]))  # 12 labels, 16 inputs
    least_squares = 0.5 * D / (np.array(n[1:]) - D - 1)
    mean = found.task_only_risk.mean("seed").values[1:]
    error = np.sqrt((found.task_only_risk_standard_error**2).mean("seed").values[1:] / 4)
    assert np.all(np.abs(mean - least_squares) < 4 * error)
    rng, risks = np.random.default_rng(3), []
    for size in n:
        inputs = rng.standard_normal((4000, size, D))
        grams = inputs.swapaxes(1, 2) @ inputs + 0.5 * D * np.eye(D)
        risks.append(0.5 * np.trace(np.linalg.inv(grams), axis1=1, axis2=2))
    risks = np.array(risks)
    mean = found.ridge_risk.mean("seed").values
    error = np.sqrt((found.ridge_risk_standard_error**2).mean("seed").values / 4)
    error = np.hypot(error, risks.std(1) / np.sqrt(4000))
    assert np.all(np.abs(mean - risks.mean(1)) < 4 * error)


@pytest.mark.long
def test_standard_errors_are_the_scatter_of_seeds():
    for method, trials in (("reduced", 20), ("data", 10)):
        found = jb.sweep(
            study(), [N_BRAIN], [10, 30], [1.0], trials=trials, seeds=60, key=KEY, method=method,
            n_task_only=[20],
        )  # fmt: skip
        scatter = found.risk.std("seed", ddof=1).values
        claimed = np.sqrt((found.risk_standard_error**2).mean("seed").values)
        # Sixty seeds know their scatter to 9 %.
        np.testing.assert_allclose(scatter, claimed, rtol=0.35)


@pytest.mark.long
@pytest.mark.parametrize("method", ["reduced", "data"])
def test_a_cell_depends_on_its_key_alone(method):
    """Neither on the rest of the grid, nor on chunks, nor on the other seeds."""
    model = study()
    options = dict(trials=6, key=KEY, method=method)
    whole = jb.sweep(model, [30, 40, 80], [10, 30], [0.1, 1.0], seeds=3, **options)
    part = jb.sweep(model, [40], [30], [1.0], seeds=2, n_task_only=[30], **options)
    cell = whole.risk.sel(n_brain=40, n_task=30, penalty=1.0, seed=[0, 1]).values
    np.testing.assert_allclose(part.risk.values.ravel(), cell, rtol=1e-9)
    if method == "reduced":
        cut = jb.sweep(model, [30, 40, 80], [10, 30], [0.1, 1.0], seeds=3, max_bytes=600, **options)
        np.testing.assert_allclose(cut.risk, whole.risk, rtol=1e-12)
    other = jb.sweep(model, [40], [30], [1.0], trials=6, seeds=2, key=jax.random.key(12),
                     method=method, n_task_only=[30])  # fmt: skip
    assert np.all(np.abs(other.risk / part.risk - 1) > 1e-6)


@pytest.mark.long
def test_traces_in_closed_form_agree_with_drawn_ones():
    options = dict(trials=400, seeds=4, key=KEY, shift=jb.BlockShift(*SHIFT))
    grid = study(), [30, 80], [8, 19, 60], [0.3, 3.0, np.inf]
    drawn, closed = (jb.sweep(*grid, traces=name, **options) for name in ("drawn", "closed form"))
    (a, e), (b, f) = pooled(drawn), pooled(closed)
    assert np.all(np.abs(a - b) < 4 * e + 2e-3 * b)
    # At a penalty of infinity the traces are known, and nothing is gained.
    assert np.all(f[..., :2] < e[..., :2])
    np.testing.assert_allclose(f[..., 2], e[..., 2], rtol=1e-9)
    with pytest.raises(ValueError, match="traces: with method='data'"):
        jb.sweep(study(), [30], [8], [1.0], trials=2, key=KEY, method="data", traces="closed form")


@pytest.mark.long
def test_rules_for_penalties():
    model, n_task = study(), [10, 30, 100]
    options = dict(trials=200, seeds=3, key=KEY)
    optimal = jb.sweep(model, [30, 80], n_task, "optimal", **options)
    empirical = jb.sweep(model, [30, 80], n_task, "empirical", **options)
    expected = jb.optimal_penalty(
        model.problem(), np.array([30.0, 80.0])[:, None], np.array(n_task)[None] * 1.0
    )
    np.testing.assert_allclose(optimal.penalty_used[..., 0], expected, rtol=1e-12)
    assert list(optimal.penalty.values) == ["optimal"]
    # The best of the grid, an eighth of a decade apart, is near the optimum and no worse.
    assert np.all(np.abs(np.log10(empirical.penalty_used / optimal.penalty_used.values)) < 0.3)
    least = pooled(optimal)[0]
    assert np.all(pooled(empirical)[0] < least * 1.01)
    for factor in (0.1, 10.0):
        fixed = jb.sweep(model, [30], [30], [factor * float(expected[0, 1])], **options)
        assert pooled(fixed)[0][0, 0, 0] > 1.02 * least[0, 1, 0]


@pytest.mark.parametrize("estimator", ["oracle", "random_subspace", "shuffled_recordings"])
def test_controls_are_ordered_as_they_must_be(estimator):
    options = dict(trials=100, seeds=2, key=KEY, method="data", n_task_only=[30])
    befs = pooled(jb.sweep(study(), [N_BRAIN], [12], [1.0], **options))[0]
    control = pooled(jb.sweep(study(), [N_BRAIN], [12], [1.0], estimator=estimator, **options))[0]
    assert (control < befs) == (estimator == "oracle")


def ridge_of_the_user(key, brain_inputs, recordings, inputs, targets, penalty):
    return jb.ridge(inputs, targets, penalty)


def test_a_function_of_the_user_is_an_estimator():
    model = study()
    options = dict(trials=20, seeds=2, key=KEY, method="data")
    penalty = 0.5 * D / 30
    found = jb.sweep(
        model, [N_BRAIN], [30], [penalty], estimator=ridge_of_the_user, n_task_only=[30], **options
    )
    np.testing.assert_allclose(found.risk[0, 0, 0], found.ridge_risk[0], rtol=1e-9)
    assert found.attrs["estimator"] == "ridge_of_the_user"
    assert np.all(np.isnan(found.misalignment))


def nothing_if_unlucky(key, brain_inputs, recordings, inputs, targets, penalty):
    return jnp.where(penalty > 1, jnp.nan, 1.0) * jb.ridge(inputs, targets, penalty)


def test_a_failing_cell_is_counted_and_stops_nothing():
    options = dict(trials=5, seeds=3, key=KEY)
    found = jb.sweep(
        study(), [N_BRAIN], [30], [0.5, 2.0], estimator=nothing_if_unlucky, method="data",
        n_task_only=[30], **options,
    )  # fmt: skip
    assert found.attrs["failed_cells"] == 3
    assert np.all(np.isfinite(found.risk[0, 0, 0]))
    assert np.all(np.isnan(found.risk[0, 0, 1]))
    assert np.all(np.isnan(found.risk_standard_error[0, 0, 1]))
    # Without a penalty 17 labels and fewer leave an error without mean.
    unpenalised = jb.sweep(study(), [N_BRAIN], [10, 17, 30], [0.0, 1.0], **options)
    assert unpenalised.attrs["failed_cells"] == 2 * 3
    assert np.all(np.isnan(unpenalised.risk.sel(penalty=0.0)[0, :2]))
    assert np.all(np.isfinite(unpenalised.risk.sel(penalty=0.0)[0, 2]))


@pytest.mark.long
def test_a_summary_will_do_for_both_methods():
    model = study()
    rng = np.random.default_rng(0)
    root = rng.standard_normal((K, K))
    matrix = jb.LinearGaussianModel(
        model.encoder, model.readout, 0.3 * root @ root.T, 1.0, model.task_weights, 0.5
    )
    for of in (model, matrix):
        options = dict(trials=500, seeds=2, key=KEY, n_task_only=[20])
        for method in ("reduced", "data"):
            direct = jb.sweep(of, [N_BRAIN], [12], [1.0], method=method, **options)
            summary = jb.sweep(of.problem(), [N_BRAIN], [12], [1.0], method=method, **options)
            (a, e), (b, f) = pooled(direct), pooled(summary)
            assert np.all(np.abs(a - b) < 4 * np.hypot(e, f))
    many = jb.Problem.isotropic(D, K, 2.0, 0.2, 0.4)
    (a, e), (b, f) = (
        pooled(jb.sweep(many, [N_BRAIN], [12], [1.0], method=method, trials=500, seeds=2, key=KEY,
                        n_task_only=[20]))
        for method in ("reduced", "data")
    )  # fmt: skip
    assert np.all(np.abs(a - b) < 4 * np.hypot(e, f))


def test_the_whole_configuration_is_kept():
    steps = []
    found = jb.sweep(
        study(), [N_BRAIN], [30], trials=4, seeds=2, key=KEY, shift=jb.BlockShift(*SHIFT),
        progress=lambda part, done, total: steps.append((part, done, total)),
    )  # fmt: skip
    expected = {
        "method": "reduced", "estimator": "befs", "trials": 4, "seeds": 2, "key": [0, 11],
        "input_dim": D, "latent_dim": K, "recording_dim": P, "failed_cells": 0, "devices": 1,
        "precision": "float64", "jax": jax.__version__, "jaxbrain": jb.__version__,
        "shift": list(SHIFT),
    }  # fmt: skip
    assert expected.items() <= found.attrs.items()
    assert found.attrs["wall_time_s"] > 0
    assert found.attrs["working_bytes"] > 0
    assert [step for step in steps if step[0] == "subspaces"] == [
        ("subspaces", 1, 2),
        ("subspaces", 2, 2),
    ]


def test_numbers_never_compile_anew():
    compiled = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    def run(model, n_brain, n_task, penalties, seed):
        jb.sweep(model, n_brain, n_task, penalties, trials=3, seeds=2, key=jax.random.key(seed),
                 n_task_only=[20, 50])  # fmt: skip

    run(study(0), [30, 50], [10, 30], [0.1, 1.0], 0)
    models = [study(1), study(2)]
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        run(models[0], [35, 90], [12, 400], [0.3, 3.0], 1)
        run(models[1], [1000, 10**6], [7, 10**5], [1e-3, np.inf], 2)
        assert not compiled
        run(models[0], [30, 50, 70], [10, 30], [0.1, 1.0], 0)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


@pytest.mark.long
def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact = jb.sweep(study(), [N_BRAIN], [12, 100], trials=200, seeds=3, key=KEY)
    found = jb.sweep(study(), [N_BRAIN], [12, 100], trials=200, seeds=3, key=KEY)
    assert found.attrs["precision"] == "float32"
    (a, e), (b, f) = pooled(exact), pooled(found)
    assert np.all(np.abs(a - b) < 4 * np.hypot(e, f))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_brain": []}, "n_brain must be a list of at least one number"),
        ({"n_brain": [40, 30]}, "n_brain must ascend without repeats"),
        ({"n_brain": [40, 40]}, "n_brain must ascend without repeats"),
        ({"n_brain": [16, 40]}, "n_brain must be at least 17"),
        ({"n_brain": [-4]}, "n_brain must be at least 17"),
        ({"n_brain": [np.nan]}, "n_brain holds NaN"),
        ({"n_brain": [40.5]}, "n_brain must hold whole numbers"),
        ({"n_brain": [np.inf]}, "n_brain must be finite"),
        ({"n_task": [4]}, "n_task must be at least 5"),
        ({"n_task": "ten"}, "n_task must be a list of numbers"),
        ({"penalty": [1.0, 0.5]}, "penalty must ascend"),
        ({"penalty": [-1.0]}, "penalty must be at least 0"),
        ({"penalty": "best"}, "penalty must be a grid of numbers, 'optimal' or 'empirical'"),
        ({"trials": 1}, "trials must be at least 2"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"key": 0}, "key must be one key"),
        ({"method": "guess"}, "method must be 'reduced' or 'data'"),
        ({"estimator": "oracle"}, "method='data'"),
        ({"method": "data", "estimator": "lasso"}, "estimator must be 'befs' or"),
        ({"shift": np.eye(D)}, "method='data'"),
        ({"method": "data", "shift": np.eye(3)}, "shift must have shape"),
        ({"method": "data", "max_bytes": 10.0}, "max_bytes must be at least"),
        ({"n_task_only": [30, 20]}, "n_task_only must ascend"),
    ],
)
def test_wrong_arguments_are_named(change, said):
    arguments = dict(n_brain=[40], n_task=[30], penalty=[1.0], trials=2, seeds=1, key=KEY) | change
    sweep = jb.simulation.sweep
    while hasattr(sweep, "__wrapped__"):  # without the annotations, which the tests execute
        sweep = sweep.__wrapped__
    with pytest.raises(Exception, match=said) as raised:
        sweep(study(), **arguments)
    assert isinstance(raised.value, ValueError)


def test_unequal_channels_have_their_own_reduced_draws_but_no_closed_penalty():
    model, rng = study(), np.random.default_rng(1)
    root = rng.standard_normal((P, P))
    unequal = jb.LinearGaussianModel(
        model.encoder,
        model.readout,
        0.3,
        root @ root.T / P + 0.2 * np.eye(P),
        model.task_weights,
        0.5,
    )
    with pytest.raises(ValueError, match="penalty 'optimal' is a closed form"):
        jb.sweep(unequal, [40], [30], trials=2, key=KEY)
    (a, e), (b, f) = (
        pooled(jb.sweep(unequal, [40], [12], [1.0], trials=500, seeds=2, key=KEY, method=method,
                        n_task_only=[20]))
        for method in ("reduced", "data")
    )  # fmt: skip
    assert np.all(np.abs(a - b) < 4 * np.hypot(e, f))


def test_moments_are_those_of_numpy_whatever_the_chunks():
    rows = np.random.default_rng(0).standard_normal((50, 4, 3)) + 1e6
    moments = Moments(2)
    for start, end in ((0, 7), (7, 8), (8, 50)):
        moments.add(1, rows[start:end])
    moments.add(0, rows)
    np.testing.assert_allclose(moments.means()[1], rows.mean(0), rtol=1e-14)
    expected = np.stack([np.cov(rows[:, i].T) / 50 for i in range(4)])
    np.testing.assert_allclose(moments.covariance_of_means()[1], expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(moments.covariance_of_means()[0], expected, rtol=1e-6, atol=1e-12)
