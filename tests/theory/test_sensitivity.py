"""Elasticities: percent for one percent, from the summary and from the model down."""

from inspect import unwrap

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

N_BRAIN, N_TASK = 60.0, 40.0
READOUT = np.random.default_rng(0).standard_normal((9, 3))


def model_of(misalignment=0.3, latent_noise=0.4, recording_noise=1.0, readout=READOUT):
    weights = np.zeros(24)
    weights[:3] = np.sqrt((1 - misalignment) / 3)
    weights[5] = np.sqrt(misalignment)
    return jb.LinearGaussianModel(
        np.eye(24, 3), readout, latent_noise, recording_noise, weights, 0.7
    )


def turned_model(misalignment):
    """The same in general position: nothing of the task inside is what rounding leaves of it."""
    rng = np.random.default_rng(1)
    encoder = np.linalg.qr(rng.standard_normal((24, 3)))[0]
    inside = encoder @ (encoder.T @ np.ones(24))
    parts = inside, np.ones(24) - inside
    inside, outside = (part / np.linalg.norm(part) for part in parts)
    weights = np.sqrt(1 - misalignment) * inside + np.sqrt(misalignment) * outside
    return jb.LinearGaussianModel(encoder, READOUT, 0.4, 1.0, weights, 0.7)


def worth_of(model, measure, n_brain=N_BRAIN, n_task=N_TASK):
    against = {"baseline": "ols"} if measure == "value" else {}
    return float(getattr(jb, measure)(model.problem(), n_brain, n_task, **against))


def replaced(model, **fields):
    for name, value in fields.items():
        model = eqx.tree_at(lambda m, name=name: getattr(m, name), model, jnp.asarray(value))
    return model


@pytest.mark.parametrize("measure", ["value", "information_value"])
def test_entries_are_percent_for_one_percent(measure):
    """Against differences over new models, with nothing differentiated."""
    model, step = model_of(), 1e-4
    found = jb.elasticities(model, N_BRAIN, N_TASK, measure=measure)

    def rate(of):
        return (np.log(of(1 + step)) - np.log(of(1 - step))) / (np.log(1 + step) - np.log(1 - step))

    expected = {
        "n_brain": rate(lambda s: worth_of(model, measure, n_brain=s * N_BRAIN)),
        "n_task": rate(lambda s: worth_of(model, measure, n_task=s * N_TASK)),
        "recording_noise": rate(lambda s: worth_of(model_of(recording_noise=s), measure)),
        "latent_noise": rate(lambda s: worth_of(model_of(latent_noise=0.4 * s), measure)),
        "misalignment": rate(lambda s: worth_of(model_of(misalignment=0.3 * s), measure)),
        "task_noise": rate(lambda s: worth_of(replaced(model, task_noise=0.7 * s), measure)),
    }
    for name, value in expected.items():
        assert float(getattr(found, name)) == pytest.approx(value, rel=1e-4, abs=1e-7), name


def test_channels_count_twice_in_their_number_and_in_their_signal():
    """From 9 to 18 to 27 channels by repetition: the elasticity, integrated, is the gain."""
    copies = [1, 2, 3]
    models = [model_of(readout=np.tile(READOUT, (r, 1))) for r in copies]
    values = [worth_of(model, "value") for model in models]
    slopes = [float(jb.elasticities(m, N_BRAIN, N_TASK).channels) for m in models]
    # Simpson's rule in log channels is not equidistant here: a parabola through three points is.
    curve = np.polyfit(np.log(copies), slopes, 2)
    gained = np.polyval(np.polyint(curve), np.log(3))
    assert gained == pytest.approx(np.log(values[2] / values[0]), rel=0.02)
    stronger = replaced(models[0], readout=READOUT * np.sqrt(3.0))
    signal_alone = np.log(worth_of(stronger, "value") / values[0])
    assert signal_alone != pytest.approx(np.log(values[2] / values[0]), rel=0.02)


@pytest.mark.parametrize("measure", ["value", "information_value"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"misalignment": 0.0},
        {"misalignment": 1.0},
        {"recording_noise": 0.0},
        {"readout": READOUT[:3]},
        {"readout": np.eye(9, 3)},
    ],
    ids=str,
)
def test_model_and_summary_agree(change, measure):
    model = model_of(**change)
    above = jb.elasticities(model.problem(), N_BRAIN, N_TASK, measure=measure)
    below = jb.elasticities(model, N_BRAIN, N_TASK, measure=measure)
    np.testing.assert_allclose(above, below, rtol=1e-6, atol=1e-9)
    finite = {name: bool(np.isfinite(slope)) for name, slope in below._asdict().items()}
    possible = {"misalignment": change.get("misalignment") != 1.0}
    assert finite == dict.fromkeys(below._fields, True) | possible


@pytest.mark.parametrize("n_brain", [60.0, 1e6])
def test_misalignment_of_all_the_task_cannot_grow(n_brain):
    """Whether the task is given exactly or left with what rounding makes of it."""
    assert 0 < np.sum((turned_model(1.0).encoder.T @ turned_model(1.0).task_weights) ** 2) < 1e-28
    for problem, measure in (
        (jb.Problem.isotropic(24, 3, 1.0, 1.0, 0.5), "value"),
        (model_of(misalignment=1.0).problem(), "information_value"),
        (turned_model(1.0), "information_value"),
        (turned_model(1.0).problem(), "information_value"),
    ):
        change = jb.elasticities(problem, 2 * n_brain, N_TASK, measure=measure)
        assert np.isnan(float(change.misalignment))
        assert np.isfinite(float(change.n_brain))
    nearly = jb.elasticities(jb.Problem.isotropic(24, 3, 1.0, 0.999, 0.5), n_brain, N_TASK)
    assert np.isfinite(float(nearly.misalignment))


def test_without_known_channels_they_make_no_difference():
    change = jb.elasticities(jb.Problem.isotropic(24, 3, 1.0, 0.3, 0.5), N_BRAIN, N_TASK)
    assert float(change.channels) == 0
    assert float(change.recording_noise) == 0


def test_maps_and_jits():
    problem = jb.Problem.isotropic(24, 3, 1.0, 0.3, 0.5)
    labels = jnp.array([30.0, 300.0])
    mapped = jax.jit(jax.vmap(jb.elasticities, (None, None, 0)))(problem, N_BRAIN, labels)
    for i, n in enumerate(labels):
        alone = jb.elasticities(problem, N_BRAIN, n)
        np.testing.assert_allclose([x[i] for x in mapped], alone, rtol=1e-10, atol=1e-12)


def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact = jb.elasticities(jb.Problem.isotropic(24, 3, 1.0, 0.3, 0.5), N_BRAIN, 1e7)
    found = jb.elasticities(jb.Problem.isotropic(24, 3, 1.0, 0.3, 0.5), N_BRAIN, 1e7)
    assert found.n_brain.dtype == jnp.float32
    np.testing.assert_allclose(found, exact, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_brain": np.array([30.0, 60.0])}, "n_brain must be one number"),
        ({"n_task": np.inf}, "n_task must be a finite number"),
        ({"n_brain": 20.0}, "n_brain must be greater"),
        ({"measure": "price"}, "measure must be 'value' or"),
    ],
)
def test_wrong_arguments_are_named(change, said):
    arguments = {"problem": model_of(), "n_brain": N_BRAIN, "n_task": N_TASK}
    # Unwrapped: here annotations are executed, and say so first.
    with pytest.raises(ValueError, match=said):
        unwrap(jb.elasticities)(**(arguments | change))
