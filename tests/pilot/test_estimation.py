"""Estimates from a pilot's arrays: each step of the chain against dense algebra, and the truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.pilot_coverage import numbers_behind, simulated, whole
from jaxbrain import pilot
from jaxbrain.pilot import _chain
from jaxbrain.pilot._evidence import (
    design_effect,
    exponents_of,
    inputs_of,
    labelled_of,
    latent_dims,
    log_evidence,
    recorded_of,
    turned,
)

D, K, P, T = 6, 2, 5, 3
GIVEN = ("brain_inputs", "recordings", "task_inputs", "targets")


def arrays_of(rng, n_brain=9, n_task=7):
    x_brain, x_task = rng.normal(size=(n_brain, D)), rng.normal(size=(n_task, D))
    x_brain, x_task = x_brain - x_brain.mean(axis=0), x_task - x_task.mean(axis=0)
    r, y = rng.normal(size=(n_brain, P)), rng.normal(size=(n_task, T))
    return x_brain, r - r.mean(axis=0), x_task, y - y.mean(axis=0)


def numbers_of(rng):
    a = rng.normal(size=(K, K))
    return _chain.Numbers(
        directions=jnp.asarray(rng.normal(size=(D, K))),
        readout=jnp.asarray(rng.normal(size=(P, K))),
        spare_gain=jnp.zeros((K, K)),
        latent_noise=jnp.asarray(a @ a.T + 0.3 * np.eye(K)),
        recording_noise=jnp.asarray(0.7),
        readout_prior=jnp.eye(K),
        weights=jnp.zeros((D, T)),
        told=jnp.asarray(rng.normal(size=(K, T))),
        missed=jnp.asarray([-1.0, 0.3, 0.8]),
        size=jnp.asarray(0.0),
        task_noise=jnp.asarray([0.4, 0.9, 1.4]),
    )


def dense_directions(x_brain, r, x_task, y, numbers):
    """Mean and covariance of A given all else, weights integrated out, from the rows themselves."""
    h, noise = np.asarray(numbers.readout), float(numbers.recording_noise)
    of_channels = h @ np.asarray(numbers.latent_noise) @ h.T + noise * np.eye(P)
    # Rows of R: x A Hᵀ + noise. vec(A) by rows of A.
    design = np.kron(x_brain, h)
    weight = np.kron(np.eye(len(x_brain)), np.linalg.inv(of_channels))
    precision = np.eye(D * K) + design.T @ weight @ design
    linear = design.T @ weight @ r.ravel()
    for j in range(T):
        g, noise = np.asarray(numbers.told)[:, j], float(numbers.task_noise[j])
        missed = noise * np.exp(float(numbers.missed[j]))
        of_labels = np.linalg.inv(missed * x_task @ x_task.T + noise * np.eye(len(x_task)))
        design = np.kron(x_task, g[None])
        precision += design.T @ of_labels @ design
        linear += design.T @ of_labels @ y[:, j]
    covariance = np.linalg.inv(precision)
    return (covariance @ linear).reshape(D, K), covariance


@pytest.mark.parametrize(("n_brain", "n_task"), [(9, 7), (5, 5)])
def test_directions_are_drawn_from_their_conditional(n_brain, n_task):
    rng = np.random.default_rng(1)
    arrays = arrays_of(rng, n_brain, n_task)
    numbers = numbers_of(rng)
    mean, covariance = dense_directions(*arrays, numbers)
    recorded = recorded_of(turned(arrays[0]), arrays[1], n_brain - 1.0, 1.0)
    labelled = labelled_of(turned(arrays[2]), arrays[3], n_task - 1.0, 1.0)
    gain = numbers.readout.T @ numbers.readout / numbers.recording_noise
    filtered = jnp.eye(K) + gain @ numbers.latent_noise
    seen = jnp.linalg.solve(filtered, gain)
    reading = jnp.linalg.solve(
        filtered, numbers.readout.T @ recorded.along.T / numbers.recording_noise
    ).T

    @jax.jit
    def draw(key):
        shapes = (D, K), (len(recorded.strengths), K), (len(labelled.strengths), T)
        normals = [
            jax.random.normal(k, shape)
            for k, shape in zip(jax.random.split(key, 3), shapes, strict=True)
        ]
        return _chain._directions(
            recorded, labelled, numbers, (seen + seen.T) / 2, reading, *normals
        )

    draws = np.asarray(jax.lax.map(draw, jax.random.split(jax.random.key(0), 20_000)))
    sd = np.sqrt(np.diag(covariance)).reshape(D, K)
    assert np.max(np.abs(draws.mean(axis=0) - mean) / sd) < 4.5 / np.sqrt(len(draws)) + 0.004
    flat = (draws - mean).reshape(len(draws), -1)
    found = flat.T @ flat / len(draws)
    off = (found - covariance) / np.outer(sd, sd)
    assert np.max(np.abs(off)) < 5.5 * np.sqrt(2 / len(draws))
    # A formula that forgets what is missed of the task is told from it.
    wrong, _ = dense_directions(*arrays, numbers._replace(missed=numbers.missed - 20.0))
    assert np.max(np.abs(draws.mean(axis=0) - wrong) / sd) > 0.1


def test_weights_are_drawn_from_their_conditional():
    rng = np.random.default_rng(2)
    arrays = arrays_of(rng)
    numbers = numbers_of(rng)
    labelled = jax.tree.map(
        jnp.asarray, labelled_of(turned(arrays[2]), arrays[3], len(arrays[2]) - 1.0, 1.0)
    )
    draw = jax.jit(lambda key: _chain._weights(labelled, jnp.ones(K), numbers, key))
    draws = np.asarray(jax.lax.map(draw, jax.random.split(jax.random.key(0), 20_000)))
    for j in range(T):
        noise = float(numbers.task_noise[j])
        missed = noise * np.exp(float(numbers.missed[j]))
        before = np.asarray(numbers.directions) @ np.asarray(numbers.told)[:, j]
        covariance = np.linalg.inv(arrays[2].T @ arrays[2] / noise + np.eye(D) / missed)
        mean = covariance @ (arrays[2].T @ arrays[3][:, j] / noise + before / missed)
        sd = np.sqrt(np.diag(covariance))
        assert np.max(np.abs(draws[..., j].mean(axis=0) - mean) / sd) < 4 / np.sqrt(20_000)
        found = np.cov(draws[..., j].T)
        assert np.max(np.abs(found - covariance) / np.outer(sd, sd)) < 5 * np.sqrt(2 / 20_000)


def test_noise_of_labels_and_what_is_missed_agree_with_numerical_integration():
    # One target and recordings that say nothing: the posterior of two ratios and a variance.
    rng = np.random.default_rng(3)
    n, d = 40, 12
    x = rng.normal(size=(n, d))
    x -= x.mean(axis=0)
    y = x @ rng.normal(size=d) * 0.5 + rng.normal(size=n)
    y -= y.mean()
    strong = np.eye(d, 1)
    # Recordings without doubt about one direction.
    r = 1e3 * x @ strong @ np.ones((1, 3)) + 1e-3 * rng.normal(size=(n, 3))
    r -= r.mean(axis=0)
    scales = np.full(d, d**-0.5)
    recorded = jax.tree.map(jnp.asarray, recorded_of(turned(x * scales), r, n - 1.0, 1.0))
    labelled = jax.tree.map(jnp.asarray, labelled_of(turned(x * scales), y[:, None], n - 1.0, 1.0))
    draws = _chain.run_chain(jax.random.key(0), recorded, labelled, jnp.ones(1), 200, 3_000, 2)
    # By hand: kernels of what is missed and of the feature, of variance 1 under its prior.
    feature = (x @ strong) * scales[0]
    size = np.asarray(draws.directions)[:, 0, 0]
    assert np.std(size) / np.mean(np.abs(size)) < 0.2
    grid = np.linspace(np.log(1e-4), np.log(1e4), 65)
    basis = np.linalg.svd(np.eye(n) - 1 / n)[0][:, : n - 1]
    kernel = basis.T @ (x * scales**2) @ x.T @ basis
    told = (basis.T @ feature) * np.sqrt(np.mean(size**2))
    z = basis.T @ y
    table = np.zeros((65, 65))
    for i, log_missed in enumerate(grid):
        for j, log_size in enumerate(grid):
            of_labels = (
                np.eye(n - 1) + np.exp(log_missed) * kernel + np.exp(log_size) * told @ told.T
            )
            left = z @ np.linalg.solve(of_labels, z)
            prior = sum(u / 2 - np.logaddexp(0, u) for u in (log_missed, log_size))
            table[i, j] = prior - np.linalg.slogdet(of_labels)[1] / 2 - (n - 1) / 2 * np.log(left)
    weight = np.exp(table - table.max()).sum(axis=1)
    weight /= weight.sum()
    mean = np.sum(weight * grid)
    spread = np.sqrt(np.sum(weight * (grid - mean) ** 2))
    missed = np.asarray(draws.missed)[:, 0]
    # Successive draws hold some: a tenth of them would be independent.
    assert abs(missed.mean() - mean) < 4 * spread / np.sqrt(300) + 0.02
    assert abs(missed.std() / spread - 1) < 0.2


def test_estimates_hold_the_truth_about_as_often_as_they_say():
    setting = whole({"n_brain": 80, "n_task": 60, "exponent": 1.0})
    truth, held = numbers_behind(setting), []
    for place in range(24):
        arrays = simulated(setting, np.random.default_rng([99, place]))
        found = pilot.estimate(
            *(arrays[name] for name in GIVEN), 4, draws=100, key=jax.random.key(place)
        )
        assert found.count == 100
        held.append(
            [
                found.numbers[name].low <= behind <= found.numbers[name].high
                for name, behind in truth.items()
            ]
        )
    # Of 24 at 95 %: fewer than 19 in one number has a chance of 1 in 400.
    assert np.sum(held, axis=0).min() >= 19, dict(zip(truth, np.sum(held, axis=0), strict=True))


def test_a_large_pilot_finds_the_numbers():
    setting = whole({"n_brain": 4_000, "n_task": 4_000, "targets": 2, "misalignment": 0.3})
    arrays = simulated(setting, np.random.default_rng(0))
    found = pilot.estimate(*(arrays[name] for name in GIVEN), 4, draws=100)
    for name, behind in numbers_behind(setting).items():
        assert found.numbers[name].value == pytest.approx(behind, rel=0.12), name
    assert found.problem.latent_dim == 4
    assert found.problem.recording_dim == 40
    assert not found.notes


def test_rank_is_uncertain_where_rows_are_few():
    setting = whole({"n_brain": 40, "n_task": 40})
    arrays = simulated(setting, np.random.default_rng(1))
    given = [arrays[name] for name in GIVEN]
    found = pilot.estimate(*given, draws=40)
    assert sum(found.latent_dims.values()) == pytest.approx(1)
    again = pilot.estimate(*given, draws=40)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), found.draws, again.draws))


def test_latent_dimension_of_many_rows_is_that_of_the_latents():
    setting = whole({"n_brain": 600, "n_task": 10})
    arrays = simulated(setting, np.random.default_rng(2))
    x, r = arrays["brain_inputs"], arrays["recordings"]
    likely = latent_dims(x, r - r.mean(axis=0), np.arange(600), np.random.default_rng(0))
    assert likely[3] > 0.7
    assert np.sum(likely) == pytest.approx(1)


def test_shrunken_spectrum_is_nearer_the_truth_than_that_of_the_sample():
    rng = np.random.default_rng(0)
    for d, n in ((40, 60), (40, 25)):
        rows = rng.normal(size=(n, d))
        found = inputs_of(rows - rows.mean(axis=0))
        assert len(found.variances) == d
        sample = np.linalg.eigvalsh(np.cov(rows.T))
        assert np.std(found.variances) < 0.5 * np.std(sample)
        assert np.mean(found.variances) == pytest.approx(1, abs=0.12)
        np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(d), atol=1e-10)


def test_evidence_is_that_of_a_multivariate_normal():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    found = log_evidence(turned(x), y)
    from jaxbrain.pilot._evidence import _LOG_RATIOS

    basis = np.linalg.svd(np.eye(9) - 1 / 9)[0][:, :8]
    for place in (0, 20, 40):
        kernel = basis.T @ (np.eye(9) + np.exp(_LOG_RATIOS[place]) * x @ x.T) @ basis
        z = basis.T @ y
        left = np.sum(z * np.linalg.solve(kernel, z), axis=0)
        expected = -np.linalg.slogdet(kernel)[1] / 2 - 8 / 2 * np.log(left)
        np.testing.assert_allclose(found[place], expected, rtol=1e-9)


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_placement_in_the_spectrum_is_found(exponent):
    rng = np.random.default_rng(0)
    variances = np.arange(1, 41.0) ** -1.0
    white = rng.normal(size=(400, 40))
    weights = variances[:, None] ** (exponent / 2) * rng.normal(size=(40, 6))
    columns = white @ weights / np.linalg.norm(weights, axis=0) + rng.normal(size=(400, 6))
    columns -= columns.mean(axis=0)
    white -= white.mean(axis=0)
    inputs = inputs_of(white * np.sqrt(variances))
    seen = inputs.white(white * np.sqrt(variances))
    exponents, likely = exponents_of(inputs, (seen, seen), (columns[:, :3], columns[:, 3:]))
    assert abs(np.sum(exponents * likely) - exponent) < 0.3


def test_rows_that_share_noise_and_inputs_count_as_fewer():
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(100), 4)
    alike, noise = rng.normal(size=(100, 5))[units], rng.normal(size=(100, 3))[units]
    single = np.arange(400)
    assert design_effect(alike, noise, single) == 1.0
    assert design_effect(alike, noise, units) == pytest.approx(4.0)
    # Either alone does no harm.
    apart = rng.normal(size=(400, 5))
    assert design_effect(apart, noise, units) < 1.4
    assert design_effect(alike, rng.normal(size=(400, 3)), units) < 1.4


def test_everything_wrong_with_the_arrays_is_told_at_once():
    x = np.random.default_rng(0).normal(size=(30, 5))
    with pytest.raises(pilot.PilotError) as caught:
        pilot.estimate(x[:4], x[:4], x[:5], x[:5, 0], rank=9)
    assert len(caught.value.problems) == 3
    with pytest.raises(ValueError, match="inputs"):
        pilot.estimate(x, x, x, x[:, 0], inputs=np.ones((3, 4)))
    with pytest.raises(ValueError, match="draws"):
        pilot.estimate(x, x, x, x[:, 0], draws=3)
    with pytest.raises(ValueError, match="recordings"):
        pilot.estimate(x, x[:9], x, x[:, 0])


def test_channels_that_are_left_out_are_not_counted():
    arrays = simulated(whole({"n_brain": 40, "n_task": 30}), np.random.default_rng(3))
    given = [arrays[name] for name in GIVEN]
    given[1] = np.concatenate([given[1], np.ones((40, 3))], axis=1)
    found = pilot.estimate(*given, 4, draws=20)
    assert found.problem.recording_dim == 40
    assert any("constant" in note for note in found.notes)
