"""Closed forms for inputs of any covariance and few recordings, against plain NumPy."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.models.geometry import InputGeometry
from jaxbrain.theory.any_covariance import solve_cells, value_of_cells
from jaxbrain.theory.spectral_study import with_geometry
from tests.helpers.any_covariance import Penalties, Setting, model_of, simulated_risks

# Few recordings, many, more than inputs; steep, flat, and one large eigenvalue; few and many
# channels; latents along strong, along weak directions; almost as many as recordings.
SETTINGS = {
    "white, few recordings": Setting(40, 3, 6, 0.0, 1.0, 20, 0.3, 30),
    "steep, no ridge": Setting(40, 3, 6, 1.5, 1.0, 120, 0.0, 30),
    "noisy channels": Setting(40, 3, 30, 1.0, 1.0, 30, 0.2, 30, recording_noise=0.05),
    "weak directions": Setting(40, 3, 6, 0.7, -1.0, 60, 0.02, 30),
    "many latents": Setting(40, 8, 8, 0.5, 1.0, 24, 0.1, 50),
    "one large eigenvalue": Setting(40, 3, 6, "one", 1.0, 30, 0.1, 30),
}
MORE = {
    f"{spectrum}, {latents} latents, {n_brain} recordings, {ridge}": Setting(
        60, latents, 2 * latents, spectrum, alignment, n_brain, ridge, 50, recording_noise=0.02
    )
    for spectrum, alignment in ((0.5, 1.0), (1.0, 0.0), (1.0, 2.0), (2.0, 1.0))
    for latents, n_brain, ridge in ((1, 12, 1.0), (4, 30, 0.1), (8, 150, 0.001), (20, 600, 0.0))
}


def answers(setting: Setting) -> tuple[Penalties, dict[str, float]]:
    """Penalties near the best ones, and what closed forms say there."""
    problem = model_of(setting).problem()
    study = problem, setting.n_brain, setting.n_task
    encoding = setting.encoding_penalty
    both = jb.optimal_penalties(*study, encoding_penalty=encoding)
    befs = jb.optimal_penalty(*study, encoding_penalty=encoding)
    numbers = (float(setting.n_brain), float(setting.n_task))
    cells = with_geometry(problem), *map(jnp.asarray, numbers), None, None, jnp.asarray(encoding)
    banded = solve_cells(*cells, "banded_ridge")
    penalties = Penalties(
        befs=float(befs),
        outside=float(both.outside),
        inside=float(both.inside),
        banded=float(banded.penalty),
        features=float(banded.second_penalty),
    )
    return penalties, {
        "befs": float(jb.risk(*study, befs, encoding_penalty=encoding)),
        "befs_two_penalties": float(
            jb.two_penalty_risk(*study, both.outside, both.inside, encoding_penalty=encoding)
        ),
        "banded_ridge": float(banded.risk),
        "ridge": float(jb.ridge_risk(problem, setting.n_task, both.outside)),
    }


def compare(setting: Setting, trials: int) -> None:
    """Each closed form within its standard errors, the error of the theory itself allowed for."""
    penalties, said = answers(setting)
    seen, errors = simulated_risks(setting, penalties, trials, seed=0)
    for name, value in said.items():
        # Four standard errors, and 2 %, which is what the issue of finite sizes may take.
        bound = 4 * errors[name] + 0.02 * seen[name]
        assert abs(value - seen[name]) < bound, (name, value, seen[name], errors[name])


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("name", SETTINGS)
def test_raw_data_agree(name):
    compare(SETTINGS[name], trials=400)


@pytest.mark.study
@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("name", MORE)
def test_raw_data_agree_in_more_settings(name):
    compare(MORE[name], trials=1_500)


def test_the_data_tell_wrong_theories_apart():
    """What ignores the spectrum, or the noise of the subspace, is many standard errors off."""
    for name in ("many latents", "weak directions"):
        setting = SETTINGS[name]
        penalties, _ = answers(setting)
        seen, errors = simulated_risks(setting, penalties, 400, seed=0)
        problem = model_of(setting).problem()
        study, encoding = (setting.n_task, penalties.befs), setting.encoding_penalty
        if name == "many latents":
            wrong = jb.risk(problem, 1e9, *study, encoding_penalty=encoding)
        else:
            turned = InputGeometry(
                problem.geometry.variances[::-1],
                problem.geometry.directions,
                problem.geometry.weights,
            )
            turned = eqx.tree_at(lambda p: p.geometry, problem, turned)
            wrong = jb.risk(turned, setting.n_brain, *study, encoding_penalty=encoding)
        assert abs(float(wrong) - seen["befs"]) > 4 * errors["befs"] + 0.02 * seen["befs"]


def test_white_inputs_agree_with_their_own_closed_forms():
    """At leading order both say the same; the rest is of order 1/n_brain."""
    gaps = []
    for scale in (1, 4):
        problem = jb.Problem.isotropic(50 * scale, 4, 1.0, 0.2, 0.5)
        study = 200 * scale, 60 * scale
        general = jb.risk(problem, *study, encoding_penalty=1e-9)
        gaps.append(abs(float(general / jb.risk(problem, *study)) - 1))
        two = jb.two_penalty_risk(problem, *study, encoding_penalty=1e-9)
        assert float(two) == pytest.approx(float(jb.two_penalty_risk(problem, *study)), rel=0.01)
    assert gaps[0] < 0.01
    assert gaps[1] < 0.003


def test_white_inputs_keep_their_closed_forms_under_transformations():
    """Which closed form serves is known, whatever is traced."""
    problem = jb.Problem.isotropic(50, 4, 1.0, 0.2, 0.5)
    for wrap in (jax.jit, jax.vmap, jax.grad):
        at = jnp.ones(2) if wrap is jax.vmap else 1.0
        made = str(jax.make_jaxpr(wrap(lambda x: jb.risk(problem, 200 * x, 60)))(at))
        assert "_solve_cells" not in made
    coloured = jb.Problem.power_law(50, 1.0, 4, 1.0, 0.2, 0.5)
    assert "_solve_cells" in str(jax.make_jaxpr(lambda x: jb.risk(coloured, 200 * x, 60))(1.0))


def test_identity_covariance_is_white():
    model = jb.presets.small(task_snr=1.0)
    parts = (model.encoder, model.readout, model.latent_noise, model.recording_noise)
    parts = (*parts, model.task_weights, model.task_noise)
    white = model.problem()
    for covariance in (np.ones(64), np.eye(64)):
        other = jb.LinearGaussianModel(*parts, input_covariance=covariance).problem()
        assert other.geometry is None
        assert float(jb.value(other, 200, 80)) == pytest.approx(
            float(jb.value(white, 200, 80)), rel=1e-9
        )


def test_axes_and_units_do_not_matter():
    """Rotated inputs are the same study; in another unit penalties are, too."""
    setting = SETTINGS["weak directions"]
    model = model_of(setting)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(40, 40)))[0]
    rotated = jb.LinearGaussianModel(
        rotation @ model.encoder,
        model.readout,
        model.latent_noise,
        model.recording_noise,
        rotation @ model.task_weights,
        model.task_noise,
        input_covariance=(rotation * np.asarray(model.input_covariance)) @ rotation.T,
    )
    larger = jb.LinearGaussianModel(
        model.encoder / 10,
        model.readout,
        model.latent_noise,
        model.recording_noise,
        model.task_weights / 10,
        model.task_noise,
        input_covariance=100 * model.input_covariance,
    )
    study = setting.n_brain, setting.n_task
    expected = jb.risk(model.problem(), *study, 1.0, encoding_penalty=0.02)
    for other, unit in ((rotated, 1.0), (larger, 100.0)):
        found = jb.risk(other.problem(), *study, unit, encoding_penalty=0.02 * unit)
        assert float(found) == pytest.approx(float(expected), rel=1e-6)
        assert float(other.problem().task_snr) == pytest.approx(float(model.task_snr))


def test_derivatives_are_those_of_differences():
    def risk(numbers):
        exponent, alignment, n_brain, n_task, encoding = numbers
        problem = jb.Problem.power_law(
            30, exponent, 3, 1.0, 0.2, 0.5, latent_alignment=alignment, task_alignment=0.5
        )
        return jb.risk(problem, n_brain, n_task, 1.0, encoding_penalty=encoding)

    at = jnp.array([1.0, 0.7, 25.0, 30.0, 0.1])
    value = jax.jit(risk)
    for slopes in (jax.jit(jax.grad(risk))(at), jax.jit(jax.jacfwd(risk))(at)):
        for number, slope in enumerate(slopes):
            step = 1e-4 * float(at[number])
            change = value(at.at[number].add(step)) - value(at.at[number].add(-step))
            # Polynomials move their points with the spectrum: 1e-5 of the value is theirs.
            assert float(slope) == pytest.approx(float(change) / 2 / step, rel=2e-3, abs=1e-4)


def test_banded_penalties_are_those_of_the_estimator():
    """In the unit of `banded_ridge`, where the encoder has as large a square as inputs are many."""
    setting = SETTINGS["noisy channels"]
    model = model_of(setting)
    study = model.problem(), setting.n_brain, setting.n_task
    encoding = setting.encoding_penalty
    said = float(jb.banded_ridge_risk(*study, 0.5, 0.2, encoding_penalty=encoding))
    wrong = float(jb.banded_ridge_risk(*study, 0.5, 0.1, encoding_penalty=encoding))
    errors = []
    for key in jax.random.split(jax.random.key(0), 300):
        key_brain, key_task = jax.random.split(key)
        inputs, recordings = model.sample_brain(key_brain, setting.n_brain)
        seen, targets = model.sample_task(key_task, setting.n_task)
        encoder = jb.ridge(inputs, recordings, encoding)
        off = jb.banded_ridge(seen, targets, encoder, 0.5, 0.2) - model.task_weights
        errors.append(float(off**2 @ model.input_covariance))
    mean, error = np.mean(errors), np.std(errors) / np.sqrt(len(errors))
    assert abs(said - mean) < 4 * error + 0.02 * mean
    assert abs(wrong - said) > 0.02 * mean


def test_numbers_do_not_compile_anew():
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    worth = partial(jb.risk, encoding_penalty=0.1)
    worth(problem, 20.0, 30.0, 1.0)
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        compiled = []
        patch.setattr(
            "jax._src.interpreters.pxla.logger.log", lambda *a, **k: compiled.append(a[2:])
        )
        worth(problem, 25.0, 31.0, 2.0, encoding_penalty=0.3)
    assert not compiled


def test_best_penalties_are_best():
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    study = problem, 30, 40
    best = jb.optimal_penalty(*study, encoding_penalty=0.1)
    least = float(jb.risk(*study, encoding_penalty=0.1))
    for factor in (0.8, 1.25):
        assert float(jb.risk(*study, factor * best, encoding_penalty=0.1)) > least
    chosen = jb.risk(*study, encoding_penalty="optimal")
    for encoding in (0.01, 0.1, 1.0, 10.0):
        assert float(chosen) < float(jb.risk(*study, encoding_penalty=encoding)) + 1e-4
    # Two penalties are never worse than one, and never worse than ridge.
    both = float(jb.two_penalty_risk(*study, encoding_penalty=0.1))
    assert both < least + 1e-4
    assert both < float(jb.ridge_risk(problem, 40)) * 1.001


def test_value_is_read_off_the_learning_curve_of_ridge():
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    worth = jb.information_value(problem, 60, 40, encoding_penalty=0.1)
    assert float(worth) > 5
    both = jb.two_penalty_risk(problem, 60, 40, encoding_penalty=0.1)
    assert float(jb.ridge_risk(problem, 40 + worth)) == pytest.approx(float(both), rel=1e-4)
    answer = jb.worth(problem, 60, 40, encoding_penalty=0.1)
    assert float(answer.information_value) == pytest.approx(float(worth), rel=1e-6)
    assert float(answer.task_only_risk) == np.inf


def test_too_few_recordings_are_refused_by_name():
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    for call, name in (
        (lambda: jb.risk(problem, 20, 30), "encoding_penalty"),
        (lambda: jb.risk(problem, 3, 30, encoding_penalty=0.1), "n_brain"),
        (lambda: jb.risk(problem, 20, 30, encoding_penalty=-1.0), "encoding_penalty"),
        (lambda: jb.risk(problem, 20, 30, encoding_penalty="best"), "encoding_penalty"),
        (lambda: jb.risk(problem, 20, np.inf, encoding_penalty=0.1), "n_task"),
        (lambda: jb.elasticities(problem, 20, 30), "encoding_penalty"),
        (
            lambda: jb.elasticities(problem, 60, 30, encoding_penalty=np.array([0.1])),
            "encoding_penalty",
        ),
    ):
        with pytest.raises(ValueError, match=name):
            call()


def test_elasticities_are_differences():
    """Of the value, by each number that an experimenter can act on."""
    numbers = dict(
        n_brain=60.0,
        n_task=40.0,
        channels=20.0,
        recording_noise=0.1,
        latent_noise=0.5,
        misalignment=0.2,
        task_noise=1.0,
    )

    def value(n_brain, n_task, channels, recording_noise, latent_noise, misalignment, task_noise):
        problem = jb.Problem.power_law(
            40,
            1.0,
            3,
            1.0,
            misalignment,
            latent_noise,
            recording_noise=recording_noise,
            recording_dim=20,
        )
        # Channels are whole numbers: more of their kind are more gain, and more noise of p − k.
        more = channels / 20
        problem = eqx.tree_at(lambda p: p.gain, problem, problem.gain * more)
        problem = eqx.tree_at(lambda p: p.task_noise, problem, problem.task_noise * task_noise)
        cells = with_geometry(problem), jnp.asarray(n_brain), jnp.asarray(n_task), None, None
        found = solve_cells(*cells, jnp.asarray(0.1), "befs", more)
        return float(value_of_cells(problem, found.risk, jnp.asarray(n_task), "ols"))

    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5, recording_noise=0.1, recording_dim=20)
    found = jb.elasticities(problem, 60, 40, encoding_penalty=0.1)._asdict()
    worth = value(**numbers)
    assert worth == pytest.approx(
        float(jb.value(problem, 60, 40, encoding_penalty=0.1, baseline="ols")), rel=1e-9
    )
    for name, number in numbers.items():
        high, low = (value(**numbers | {name: number * (1 + step)}) for step in (1e-4, -1e-4))
        expected = (high - low) / 2e-4 / worth
        assert float(found[name]) == pytest.approx(expected, rel=1e-3, abs=1e-5), name


def test_steep_spectra_do_not_end_the_search_for_labels():
    """At one label the finite-size term of a spectrum i⁻⁴ makes the error of ridge far too small.

    Ridge with so many labels is worth just as many.
    """
    problem = jb.Problem.power_law(40, 4.0, 3, 0.3, 0.2, 0.5)
    n_task = jnp.array([16.0, 32.0, 64.0])
    extra = value_of_cells(problem, jb.ridge_risk(problem, n_task), n_task, "ridge")
    np.testing.assert_allclose(extra, 0, atol=1e-6)


def test_learned_directions_are_regressed_out_exactly():
    """(7): under the hard constraint (n − 1)/(n − k − 1) is all that labels do."""
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    risk = partial(jb.risk, problem, 60, penalty=np.inf, encoding_penalty=0.1)
    few, more, many = (float(risk(n_task=n)) for n in (5, 9, 300))
    # R + σ² = (E2 + σ²) (n − 1)/(n − k − 1).
    missed = (many + 1) * (300 - 3 - 1) / 299
    assert few + 1 == pytest.approx(missed * 4, rel=3e-3)
    assert more + 1 == pytest.approx(missed * 8 / 5, rel=3e-3)
    assert float(risk(n_task=4)) == np.inf
    # The first terms of a series in 1/(n − k) alone would say less.
    assert few + 1 > 1.1 * missed * (1 + 3 / 2 + 3 / 4)


def test_few_and_very_many_labels():
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    labels = np.array([0.0, 0.25, 1.0, 1e7, 1e9])
    study = problem, 60, labels
    for risks in (
        jb.ridge_risk(problem, labels),
        jb.two_penalty_risk(*study, encoding_penalty=0.1),
        jb.banded_ridge_risk(*study, encoding_penalty=0.1),
    ):
        none, quarter, one, *many = np.asarray(risks)
        assert none == pytest.approx(1.0)
        assert 1 - quarter == pytest.approx((1 - one) / 4)
        assert 0 < one < 1
        # Penalties no longer matter then.
        np.testing.assert_allclose(many, 40 / (labels[3:] - 41), rtol=1e-3)
    worth = np.asarray(jb.information_value(*study, encoding_penalty=0.1))
    assert np.all(np.isfinite(worth))


def test_worth_stays_what_it_is_among_many_labels():
    """What the best penalties are worth in labels of least squares has a limit."""
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    labels = np.array([1e4, 1e5, 1e6, 1e9])
    for worth in (
        jb.value(problem, 60, labels, baseline="ols", encoding_penalty=0.1),
        jb.information_value(problem, 60, labels, encoding_penalty=0.1),
        jb.optimal_penalty(problem, 60, labels, encoding_penalty=0.1) * labels,
    ):
        np.testing.assert_allclose(worth, worth[0], rtol=5e-3)


def test_few_labels_with_next_to_no_penalty():
    """Against 400 draws in plain NumPy; the logarithm of x would have made some infinite."""
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    penalties = np.array([1e-6, 0.01, 0.1, 1.0])
    for labels, seen in ((10, [1.173, 1.166, 1.108, 0.884]), (30, [3.865, 2.642, 1.141, 0.596])):
        found = jb.ridge_risk(problem, labels, penalties)
        np.testing.assert_allclose(found, seen, rtol=0.05)
    found = jb.risk(problem, 60, 10, penalties, encoding_penalty=0.1)
    np.testing.assert_allclose(found, [1.510, 1.503, 1.445, 1.190], rtol=0.08)


def test_loud_channels_leave_ridge():
    """Noise of an encoder is penalised as far as it has to be, whatever its size."""
    labels = np.array([10.0, 40.0])
    for noise in (20.0, 2000.0):
        problem = jb.Problem.power_law(
            40, 1.0, 3, 1.0, 0.2, 0.5, recording_noise=noise, recording_dim=300
        )
        banded = jb.banded_ridge_risk(problem, 42, labels, encoding_penalty=1e-6)
        np.testing.assert_allclose(banded, jb.ridge_risk(problem, labels), rtol=2e-3)


@pytest.mark.parametrize(("task_snr", "key"), [(0.05, 0), (0.05, 1), (0.13, 1)])
def test_a_few_labels_of_a_noisy_task_are_counted(task_snr, key):
    """They take a thousandth off the error, by which Newton's method could not end."""
    problem = jb.Problem.power_law(40, 1.0, 4, task_snr, 0.45, 0.3, key=jax.random.key(key))
    risks = 1 - jnp.geomspace(1e-3, 0.2, 200)
    labels = value_of_cells(problem, risks, jnp.zeros_like(risks), "ridge")
    assert jnp.all(jnp.isfinite(labels))
    assert jnp.all(jnp.diff(labels) > 0)
    several = labels > 1.5
    np.testing.assert_allclose(
        1 - jb.ridge_risk(problem, labels[several]), 1 - risks[several], rtol=1e-6
    )
