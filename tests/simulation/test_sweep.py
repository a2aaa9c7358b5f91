"""Sweeps: both methods against each other, against plain NumPy, and against their own bookkeeping.

Numbers of trials are multiples of eight, and those of recordings and labels the same few wherever
data are drawn: so the tests share their compiled programs.
"""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.simulation._trials import Moments

KEY = jax.random.key(11)
D, K, P = 16, 3, 10
N_BRAIN, N_TASK = 40, (10, 30)
PENALTIES = (0.1, 1.0, 10.0, np.inf)
CELLS = dict(n_brain=[N_BRAIN], n_task=N_TASK, penalty=PENALTIES, n_task_only=[30])
SHIFT = (0.2, 6.0, 0.5)


def study(seed=0, **changes):
    rng = np.random.default_rng(seed)
    encoder = np.linalg.qr(rng.standard_normal((D, K)))[0]
    weights = encoder @ rng.standard_normal(K) + 0.2 * rng.standard_normal(D)
    weights /= np.linalg.norm(weights)
    numbers = dict(latent_noise=0.3, recording_noise=1.0, task_noise=0.5) | changes
    return jb.LinearGaussianModel(
        encoder, rng.standard_normal((P, K)), task_weights=weights, **numbers
    )


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
    x = rng.standard_normal((trials, N_BRAIN, D))
    z = x @ a + np.sqrt(0.3) * rng.standard_normal((trials, N_BRAIN, K))
    r = z @ h.T + rng.standard_normal((trials, N_BRAIN, P))
    weights = np.linalg.solve(x.swapaxes(1, 2) @ x, x.swapaxes(1, 2) @ r)
    leading = np.linalg.svd(x @ weights, full_matrices=False)[2][:, :K].swapaxes(1, 2)
    basis = np.linalg.qr(weights @ leading)[0]
    outside = np.eye(D) - basis @ basis.swapaxes(1, 2)
    found = np.zeros((trials, 2, len(N_TASK), len(PENALTIES)))
    for i, n in enumerate(N_TASK):
        inputs = rng.standard_normal((trials, n, D))
        targets = inputs @ beta + np.sqrt(0.5) * rng.standard_normal((trials, n))
        for j, penalty in enumerate(PENALTIES):
            hard = np.isinf(penalty)
            seen = inputs @ basis if hard else inputs
            gram = seen.swapaxes(1, 2) @ seen + (0.0 if hard else n * penalty * outside)
            learned = np.linalg.solve(gram, seen.swapaxes(1, 2) @ targets[..., None])
            error = (basis @ learned if hard else learned)[..., 0] - beta
            for row, sigma in enumerate((np.eye(D), covariance(model, SHIFT))):
                found[:, row, i, j] = np.sum((error @ sigma) * error, axis=1)
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(trials)


def pooled(dataset):
    """Mean over seeds and its standard error, (n_brain, n_task, penalty)."""
    error = np.sqrt((dataset.risk_standard_error**2).sum("seed").values) / dataset.sizes["seed"]
    return dataset.risk.mean("seed").values, error


@pytest.mark.parametrize("method", ["reduced", "data"])
@pytest.mark.parametrize("shifted", [False, True])
def test_risks_are_those_of_plain_numpy(method, shifted):
    """Eight cells each, in standard errors.

    With one label too few every method would be told apart.
    """
    shift = jb.BlockShift(*SHIFT) if shifted else None
    options = dict(trials=400, seeds=5, key=KEY, method=method, shift=shift)
    found = jb.sweep(study(), **CELLS, **options)
    mean, error = pooled(found)
    expected, expected_error = (x[int(shifted)] for x in numpy_risks())
    z = (mean[0] - expected) / np.hypot(error[0], expected_error)
    assert np.max(np.abs(z)) < 4
    if method == "reduced":
        fewer = jb.sweep(study(), **CELLS | dict(n_task=[9, 27]), **options)
        wrong = (pooled(fewer)[0][0] - expected) / np.hypot(error[0], expected_error)
        assert np.max(np.abs(wrong)) > 6


def test_a_covariance_matrix_is_the_same_as_its_block_shift():
    model = study()
    options = CELLS | dict(trials=8, seeds=2, key=KEY, method="data")
    block = jb.sweep(model, shift=jb.BlockShift(*SHIFT), **options)
    matrix = jb.sweep(model, shift=covariance(model, SHIFT), **options)
    np.testing.assert_allclose(block.risk, matrix.risk, rtol=1e-9)
    np.testing.assert_allclose(block.ridge_risk, matrix.ridge_risk, rtol=1e-9)


@pytest.mark.parametrize(("method", "n"), [("reduced", [12, 30, 90]), ("data", [12, 30])])
def test_baselines_are_the_exact_ones(method, n):
    cells = CELLS | dict(n_task_only=n)
    found = jb.sweep(study(), **cells, trials=504, seeds=4, key=KEY, method=method)
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


@pytest.mark.parametrize(("method", "trials"), [("reduced", 24), ("data", 16)])
def test_standard_errors_are_the_scatter_of_seeds(method, trials):
    found = jb.sweep(study(), **CELLS, trials=trials, seeds=60, key=KEY, method=method)
    scatter = found.risk.std("seed", ddof=1).values
    claimed = np.sqrt((found.risk_standard_error**2).mean("seed").values)
    # Sixty seeds know their scatter to 9 %.
    np.testing.assert_allclose(scatter, claimed, rtol=0.35)


@pytest.mark.parametrize("method", ["reduced", "data"])
def test_a_cell_depends_on_its_key_alone(method):
    """Neither on the rest of the grid, nor on chunks, nor on the other seeds."""
    model, options = study(), dict(trials=8, method=method)
    # Data are drawn anew, and compiled, for each number of recordings.
    n_brain = [30, 40, 80] if method == "reduced" else [40, 80]
    whole = jb.sweep(model, **CELLS | dict(n_brain=n_brain), seeds=3, key=KEY, **options)
    part = jb.sweep(model, **CELLS | dict(n_task=[30]), seeds=2, key=KEY, **options)
    cell = whole.risk.sel(n_brain=40, n_task=30, seed=[0, 1]).values
    np.testing.assert_allclose(part.risk.values[0, 0], cell, rtol=1e-9)
    if method == "reduced":
        alone = jb.sweep(model, [40], [30], [1.0], seeds=2, key=KEY, **options)
        np.testing.assert_allclose(alone.risk.values[0, 0, 0], cell[1], rtol=1e-9)
        cut = jb.sweep(
            model, **CELLS | dict(n_brain=n_brain), seeds=3, key=KEY, max_bytes=600, **options
        )
        np.testing.assert_allclose(cut.risk, whole.risk, rtol=1e-12)
    other = jb.sweep(model, **CELLS | dict(n_task=[30]), seeds=2, key=jax.random.key(12), **options)
    assert np.all(np.abs(other.risk / part.risk - 1) > 1e-6)


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
    options = CELLS | dict(trials=104, seeds=2, key=KEY, method="data")
    befs, _ = pooled(jb.sweep(study(), **options))
    control, error = pooled(jb.sweep(study(), estimator=estimator, **options))
    # Beside ten labels, with a penalty of 1.
    assert (control[0, 0, 1] < befs[0, 0, 1]) == (estimator == "oracle")
    if estimator == "shuffled_recordings":
        return
    # What learns nothing from recordings has reduced draws too.
    found = jb.sweep(study(), estimator=estimator, **options | dict(method="reduced"))
    drawn, other = pooled(found)
    assert found.attrs["traces"] == "closed form"
    assert np.max(np.abs(drawn - control) / np.hypot(error, other)) < 4
    wrong = np.abs(drawn[:, :, :3] - befs[:, :, :3]) / np.hypot(error, other)[:, :, :3]
    assert np.max(wrong) > 6


def ridge_of_the_user(key, brain_inputs, recordings, inputs, targets, penalty):
    return jb.ridge(inputs, targets, penalty)


def test_a_function_of_the_user_is_an_estimator():
    model = study()
    options = dict(trials=8, seeds=2, key=KEY, method="data")
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
    options = dict(trials=8, seeds=3, key=KEY)
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


def summarised(of, summary, methods, seeds=2):
    """The same risks from a model and from its summary, or by both methods: in standard errors."""
    options = CELLS | dict(trials=504, seeds=seeds, key=KEY)
    (a, e), (b, f) = (
        pooled(jb.sweep(model, method=method, **options))
        for model, method in zip((of, summary), methods, strict=True)
    )
    assert np.all(np.abs(a - b) < 4 * np.hypot(e, f))


def correlated():
    root = np.random.default_rng(0).standard_normal((K, K))
    return study(latent_noise=0.3 * root @ root.T)


@pytest.mark.parametrize("of", [study(), correlated()], ids=["scalar", "matrix"])
def test_a_summary_will_do(of):
    summarised(of, of.problem(), ("reduced", "reduced"))


def test_a_summary_will_do_for_data():
    summarised(study(), study().problem(), ("data", "data"))


@pytest.mark.study
def test_summaries_of_all_kinds_will_do_for_data():
    summarised(correlated(), correlated().problem(), ("data", "data"))
    very_many = jb.Problem.isotropic(D, K, 2.0, 0.2, 0.4)
    summarised(very_many, very_many, ("reduced", "data"))


def test_the_whole_configuration_is_kept():
    steps = []
    found = jb.sweep(
        study(), **CELLS, trials=8, seeds=2, key=KEY, shift=jb.BlockShift(*SHIFT),
        progress=lambda part, done, total: steps.append((part, done, total)),
    )  # fmt: skip
    expected = {
        "method": "reduced", "estimator": "befs", "trials": 8, "seeds": 2, "key": [0, 11],
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

    def run(model, n_brain, n_task, penalties, seed, trials=8):
        jb.sweep(model, n_brain, n_task, penalties, trials=trials, seeds=2,
                 key=jax.random.key(seed), n_task_only=[20, 50])  # fmt: skip

    run(study(0), [30, 50], [10, 30], [0.1, 1.0], 0)
    models = [study(1), study(2)]
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        run(models[0], [35, 90], [12, 400], [0.3, 3.0], 1)
        run(models[1], [1000, 10**6], [7, 10**5], [1e-3, np.inf], 2)
        # Neither does the size of a grid, nor the number of trials.
        run(models[0], [30, 50, 70], [10, 30, 50, *range(60, 70)], [0.1, 1.0, 2.0], 0, 24)
        assert not compiled
        jax.jit(lambda x: x + 1.2345)(1.0)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


def test_single_precision(single_precision):
    options = CELLS | dict(trials=200, seeds=3, key=KEY)
    with jax.enable_x64(True):
        exact = jb.sweep(study(), **options)
    found = jb.sweep(study(), **options)
    assert found.attrs["precision"] == "float32"
    (a, e), (b, f) = pooled(exact), pooled(found)
    assert np.all(np.abs(a - b) < 4 * np.hypot(e, f))


@pytest.fixture
def as_users_run_it():
    """Without executing the annotations, which refuse some of it before the library does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("as_users_run_it")
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
        ({"estimator": "shuffled_recordings"}, "shuffled_recordings has no reduced draws"),
        ({"method": "data", "estimator": "lasso"}, "estimator must be 'befs' or"),
        ({"shift": np.eye(D)}, "method='data'"),
        ({"method": "data", "shift": np.eye(3)}, "shift must have shape"),
        ({"method": "data", "max_bytes": 10.0}, "max_bytes must be at least"),
        ({"n_task_only": [30, 20]}, "n_task_only must ascend"),
    ],
)
def test_wrong_arguments_are_named(change, said):
    arguments = dict(n_brain=[40], n_task=[30], penalty=[1.0], trials=2, seeds=1, key=KEY) | change
    with pytest.raises(ValueError, match=said):
        jb.sweep(study(), **arguments)


def test_unequal_channels_have_their_own_reduced_draws_but_no_closed_penalty():
    root = np.random.default_rng(1).standard_normal((P, P))
    unequal = study(recording_noise=root @ root.T / P + 0.2 * np.eye(P))
    with pytest.raises(ValueError, match="penalty 'optimal' is a closed form"):
        jb.sweep(unequal, [40], [30], trials=2, key=KEY)
    summarised(unequal, unequal, ("reduced", "data"))


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
