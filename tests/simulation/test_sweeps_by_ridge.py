"""Sweeps for inputs of any covariance and ridge encoding: limits, rules, keys, arguments."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.simulation import _spectrum_table, ridge_encoding
from jaxbrain.simulation._iteration import leading_vectors
from tests.helpers.real_inputs import (
    CELLS,
    INSIDE,
    KEY,
    N_TASK,
    OUTSIDE,
    SETTINGS,
    TWO,
    D,
    K,
    at_equal_noise,
    pooled,
    spectrum,
    study,
    swept,
)


def no_weights(key, brain_inputs, recordings, inputs, targets, penalty):
    return jnp.zeros(inputs.shape[1]) * penalty


def test_the_risk_is_a_variance_of_predictions():
    model = SETTINGS["fewer recordings than inputs"][0]
    found = jb.sweep(model, [8], [8], [1.0], estimator=no_weights, method="data", n_task_only=[8],
                     trials=8, key=KEY)  # fmt: skip
    np.testing.assert_allclose(found.risk, float(model.task_power), rtol=1e-12)
    assert found.attrs["risk_of_predicting_zero"] == pytest.approx(float(model.task_power))
    other = jb.sweep(model, [8], [8], [1.0], estimator=no_weights, method="data", n_task_only=[8],
                     shift=np.eye(D), trials=8, key=KEY)  # fmt: skip
    np.testing.assert_allclose(other.risk, np.sum(np.asarray(model.task_weights) ** 2), rtol=1e-12)


def test_recordings_without_end_teach_the_encoder():
    model = SETTINGS["many noisy channels"][0]
    found = jb.sweep(model, [10**14], encoding_penalty=0.0, trials=8, key=KEY, **CELLS | TWO)
    np.testing.assert_allclose(found.misalignment, float(model.misalignment), atol=1e-5)


@pytest.mark.parametrize("name", ["falling spectrum", "graded"])
def test_units_of_inputs_do_not_matter(name):
    model, n_brain, ridge, options = SETTINGS[name]
    in_other_units = jb.LinearGaussianModel(
        model.encoder / 2,
        model.readout,
        model.latent_noise,
        model.recording_noise,
        model.task_weights / 2,
        model.task_noise,
        input_covariance=4 * model.input_covariance,
    )
    penalties = dict(penalty=4 * np.array(OUTSIDE), inside_penalty=4 * np.array(INSIDE))
    other = jb.sweep(
        in_other_units, [n_brain], encoding_penalty=4 * ridge, trials=8, key=KEY,
        **CELLS | options | penalties,
    )  # fmt: skip
    same = swept(name, trials=8, seeds=1)
    np.testing.assert_allclose(other.risk, same.risk, rtol=1e-7)
    # As good as tables are interpolated.
    np.testing.assert_allclose(other.ridge_risk, same.ridge_risk, rtol=1e-5)


WHITE = jb.Problem.isotropic(D, K, 2.0, 0.2, 0.4)


def test_white_inputs_are_those_of_the_closed_form():
    found = jb.sweep(WHITE, [40], trials=96, seeds=2, key=KEY, **CELLS | TWO)
    mean, error = (x[0] for x in pooled(found))
    outside, inside = np.array(OUTSIDE)[None, None], np.array(INSIDE)[None, :, None]
    n_task = np.array(N_TASK, float)[:, None, None]
    closed = np.asarray(jb.two_penalty_risk(WHITE, 40, n_task, outside, inside))
    assert np.all(np.abs(mean - closed) < 4 * error + 0.01 * closed)
    assert np.any(np.abs(mean - closed[::-1]) > 0.1 * closed)


def test_information_values_are_those_of_the_closed_form():
    """The headline number, by simulation: both sides shrink as well as they can."""
    n_task = [8, 12, 20, 30, 40, 60]
    found = jb.sweep(WHITE, [40], n_task, "optimal", trials=96, seeds=8, key=KEY, **TWO)
    best = jb.optimal_penalties(WHITE, 40, np.array(n_task, float))
    np.testing.assert_allclose(found.penalty_used[0, :, 0], best.outside, rtol=1e-12)
    np.testing.assert_allclose(found.inside_penalty_used[0, :, 0], best.inside, rtol=1e-12)
    worth = jb.empirical_value(found)
    claim = np.asarray(jb.information_value(WHITE, 40, np.array(n_task, float)))
    half = (worth.value_high - worth.value_low).values[0, :, 0] / 2
    off = np.abs(worth.value.values[0, :, 0] - claim)
    assert np.all(off < 2.2 * half + 0.01 * (np.array(n_task) + claim))


def test_a_schedule_takes_its_cells_from_the_grid():
    name = "falling spectrum"
    n_task = [8, 12, 20, 30, 40]
    outside, inside = np.array([[*OUTSIDE[:2] * 2, OUTSIDE[0]]]), 0.3 * np.arange(1, 6)[None]
    options = dict(n_task=n_task, trials=8)
    found = swept(name, penalty=outside, inside_penalty=inside, **options)
    assert found.risk.dims == ("n_brain", "n_task", "penalty", "seed")
    assert list(found.penalty.values) == ["schedule"]
    np.testing.assert_allclose(found.penalty_used[0, :, 0], outside[0])
    grid = swept(name, penalty=OUTSIDE[:2], inside_penalty=[0.3, 0.6, 0.9], **options)
    for row, at in ((0, (0, 0)), (1, (1, 1)), (2, (2, 0))):
        # Tables of other ranges agree to what interpolation leaves out.
        expected = grid.risk.values[0, row][at]
        np.testing.assert_allclose(found.risk.values[0, row, 0], expected, rtol=1e-6)


def test_a_schedule_on_white_inputs():
    study = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
    options = dict(trials=8, seeds=2, key=KEY, n_task_only=[30])
    table = [[0.1, 1.0], [10.0, 0.1]]
    found = jb.sweep(study, [40, 80], [10, 30], table, **options)
    grid = jb.sweep(study, [40, 80], [10, 30], [0.1, 1.0, 10.0], **options).risk.values
    expected = [[grid[0, 0, 0], grid[0, 1, 1]], [grid[1, 0, 2], grid[1, 1, 0]]]
    np.testing.assert_allclose(found.risk.values[:, :, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(found.penalty_used.values[..., 0], table)


def test_a_cell_depends_on_its_key_alone():
    """Not on other cells; and no number compiles anew."""
    model = SETTINGS["fewer recordings than inputs"][0]
    options = CELLS | TWO | dict(trials=8, seeds=2, key=KEY)
    whole = jb.sweep(model, [8, 40], encoding_penalty=[0.1, 1.0], **options)
    assert whole.risk.dims == (
        "n_brain", "encoding_penalty", "n_task", "inside_penalty", "penalty", "seed",
    )  # fmt: skip
    assert whole.misalignment.dims == ("n_brain", "encoding_penalty", "seed")
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    try:
        part = jb.sweep(model, [40], encoding_penalty=1.0, **options)
        jb.sweep(model, [10**6], encoding_penalty=3.0, **options | dict(n_task=[4, 10**5]))
        assert not compiled
    finally:
        jax.monitoring.clear_event_listeners()
    cell = whole.risk.sel(n_brain=[40], encoding_penalty=1.0).values
    np.testing.assert_allclose(part.risk, cell, rtol=1e-9)


def test_labels_that_leave_no_mean_are_counted():
    found = swept("falling spectrum", n_task=[4, 40], trials=8)
    assert found.attrs["failed_cells"] == len(OUTSIDE) * 2
    assert np.all(np.isnan(found.risk.sel(n_task=4, inside_penalty=0.0)))
    assert np.all(np.isfinite(found.risk.sel(n_task=4, inside_penalty=0.3)))
    assert np.all(np.isfinite(found.risk.sel(n_task=40)))


def test_the_best_pair_is_chosen():
    name = "falling spectrum"
    grid = swept(name, trials=8)
    values = jb.empirical_value(grid, penalty="best", resamples=100)
    assert values.value.dims == ("n_brain", "n_task", "penalty")
    each = jb.empirical_value(grid, resamples=100)
    assert each.value.dims == ("n_brain", "n_task", "inside_penalty", "penalty")
    with pytest.raises(ValueError, match="dataset has several of inside_penalty"):
        jb.empirical_allocation(grid, 50.0, 1.0, 1.0)


@pytest.mark.study
def test_rules_choose_both_penalties():
    name = "falling spectrum"
    grid = swept(name)
    chosen = swept(name, penalty="empirical", inside_penalty=None)
    assert chosen.risk.dims == ("n_brain", "n_task", "penalty", "seed")
    assert np.all(pooled(chosen)[0][..., 0] <= pooled(grid)[0].min(axis=(2, 3)) * 1.001)


def test_leading_vectors_are_those_of_lapack():
    rng = np.random.default_rng(0)
    noisy = rng.standard_normal((40, 60))
    noisy[:, :4] += 3 * rng.standard_normal((40, 4))
    matrix = noisy @ noisy.T
    found, settled = jax.jit(leading_vectors)(matrix, noisy[:, :4], np.float64(60.0))
    assert bool(settled)
    wanted = np.linalg.eigh(matrix)[1][:, -4:]
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-6)


@pytest.mark.study
def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact = swept("falling spectrum")
    model, n_brain, ridge, options = SETTINGS["falling spectrum"]
    model = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), model)
    found = jb.sweep(
        model, [n_brain], encoding_penalty=ridge, trials=96, seeds=2, key=KEY, **CELLS | options
    )
    (a, e), (b, f) = pooled(exact), pooled(found)
    assert found.attrs["precision"] == "float32"
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
        (dict(encoding_penalty=None), "n_brain must be at least 17"),
        (dict(encoding_penalty=[0.0, 1.0]), "n_brain must be at least 17"),
        (dict(encoding_penalty=[1.0, 0.1]), "encoding_penalty must ascend"),
        (dict(encoding_penalty=-1.0), "encoding_penalty must be at least 0"),
        (dict(encoding_penalty=np.inf), "encoding_penalty must be finite"),
        (dict(encoding_penalty="best"), "encoding_penalty must be a list of numbers"),
        (dict(inside_penalty=None), "inside_penalty must be a grid"),
        (dict(inside_penalty="empirical"), "inside_penalty must be a grid"),
        (dict(penalty="empirical"), "inside_penalty follows the rule"),
        (dict(inside_penalty=[0.1, 0.1]), "inside_penalty must ascend"),
        (dict(estimator="befs"), "inside_penalty: this estimator has a single penalty"),
        (dict(penalty=[[1.0, 2.0]]), r"penalty must be a list .* of shape \(1, 1\)"),
        (dict(penalty=[[1.0]], inside_penalty=[[np.nan]]), "inside_penalty holds NaN"),
        (
            dict(
                method="data",
                estimator=no_weights,
                penalty="optimal",
                inside_penalty=None,
                encoding_penalty=None,
            ),
            "there is none of an estimator of your own",
        ),
        (dict(method="data", estimator=no_weights, encoding_penalty="optimal"), "has its own"),
        (dict(estimator="lasso"), "estimator must be"),
        (dict(estimator="shuffled_recordings_two_penalties"), "method='data'"),
        (dict(shift=np.eye(D)), "method='data'"),
        (
            dict(method="data", shift=jb.BlockShift(1.0, 1.0, 1.0)),
            "shift: a BlockShift is of white",
        ),
        (dict(method="data", traces="closed form"), "traces: with method='data'"),
        (dict(method="data", estimator=no_weights, inside_penalty=None), "has its own"),
        (dict(max_bytes=10.0), "max_bytes must be at least"),
        (dict(max_bytes=10.0, method="data"), "max_bytes must be at least"),
    ],
)
def test_wrong_arguments_are_named(change, said):
    arguments = dict(n_brain=[8], n_task=[30], penalty=[1.0], inside_penalty=[0.5], trials=2,
                     encoding_penalty=0.1, key=KEY, **TWO) | change  # fmt: skip
    with pytest.raises(ValueError, match=said):
        jb.sweep(study(spectrum(1)), **arguments)


@pytest.mark.usefixtures("as_users_run_it")
def test_draws_of_misalignment_have_no_labels_to_choose_an_encoding_penalty_by():
    model = SETTINGS["falling spectrum"][0]
    with pytest.raises(ValueError, match="encoding_penalty must be a number here"):
        jb.sample_misalignment(model, 20, trials=2, key=KEY, encoding_penalty="optimal")


def test_unequal_channels_have_reduced_draws_by_ridge_but_no_closed_penalty():
    uneven = SETTINGS["unequal channels"][0]
    with pytest.raises(ValueError, match="which knows equal channels alone"):
        jb.sweep(uneven, [8], [8], encoding_penalty=0.1, trials=2, key=KEY)
    # Of equal noise, however it is written, channels without signal are drawn together.
    equal = at_equal_noise(uneven)
    (_, sizes), (_, apart) = map(ridge_encoding.coloured_model, (uneven, equal))
    assert (sizes.spare, apart.spare) == (0, 3)


@pytest.mark.parametrize("name", ["unequal channels", "graded, unequal channels"])
def test_the_noise_of_each_channel_counts(name):
    """At the mean of it: another answer."""
    model, n_brain, ridge, options = SETTINGS[name]
    mean, error = (x[:, :, 1:] for x in pooled(swept(name)))
    same = at_equal_noise(model)
    other = jb.sweep(
        same, [n_brain], encoding_penalty=ridge, trials=48, seeds=2, key=KEY, **CELLS | options
    )
    wrong, spread = (x[:, :, 1:] for x in pooled(other))
    assert np.nanmax(np.abs(wrong - mean) / np.hypot(error, spread)) > 6


@pytest.mark.parametrize("decades", [0, 3, 5, 6, 9])
def test_few_nodes_stand_for_the_whole_spectrum(decades, monkeypatch):
    """Where it is wide, those that serve a narrow one would not do."""
    variances = np.logspace(-decades, 0, 40)

    def worst():
        found = _spectrum_table.spectrum_of(jnp.asarray(variances))
        nodes, cardinal = np.asarray(found.nodes), np.asarray(found.cardinal)
        scales = np.logspace(-2, decades + 2, 25)[:, None]
        kept = [(1 + scales * x) ** -2.0 * (scales * x) for x in (nodes, variances)]
        return np.max(np.abs(kept[0] @ cardinal.T - kept[1]))

    assert worst() < 1e-7
    monkeypatch.setattr(_spectrum_table, "_NODES_OF_WIDE", 48)
    assert (worst() > 1e-7) == (decades == 9)


@pytest.mark.parametrize("method", ["reduced", "data"])
def test_misalignments_are_those_of_sweeps(method):
    model, n_brain, ridge, options = SETTINGS["fewer recordings than inputs"]
    arguments = dict(encoding_penalty=ridge, key=KEY, method=method)
    draws = jb.sample_misalignment(model, n_brain, trials=8, **arguments)
    cells = CELLS | dict(n_task=[8], penalty=[0.2, 2.0], inside_penalty=0.3, n_task_only=[8])
    cells = CELLS if method == "reduced" else cells
    found = jb.sweep(model, [n_brain], trials=8, **arguments, **cells | options)
    np.testing.assert_allclose(draws.mean(), found.misalignment.values.item(), rtol=1e-9)
    assert draws.std() > 0.01 * draws.mean()
