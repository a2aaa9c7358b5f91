"""Test inputs of any covariance beside learned ones of any covariance, against plain NumPy."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.theory.shifted_cells import shifted_cells
from tests.helpers.any_covariance import Penalties, model_of, simulated_risks
from tests.theory.test_any_covariance import SETTINGS

# Near the best ones of all three estimators and of ridge in these settings.
PENALTIES = Penalties(befs=1.0, outside=0.6, inside=0.2, banded=1.0, features=0.5)


@cache
def study(name: str):
    setting = SETTINGS[name]
    problem = model_of(setting).problem()
    return problem, setting.n_brain, setting.n_task


def covariances(name: str) -> dict[str, np.ndarray]:
    """Of few random inputs, of the weak ones, and of what latents respond to alone."""
    geometry = study(name)[0].geometry
    variances, directions = np.asarray(geometry.variances), np.asarray(geometry.directions)
    root = np.sqrt(variances)
    few = root[:, None] * np.random.default_rng(3).normal(size=(len(variances), 3))
    seen = root[:, None] * directions
    weak = variances * np.where(np.arange(len(variances)) < 5, 0.1, 4.0)
    return {"few": few @ few.T, "weak": np.diag(weak), "inside": seen @ seen.T}


def said(name: str, covariance) -> dict[str, float]:
    problem, *numbers = study(name)
    options = dict(encoding_penalty=SETTINGS[name].encoding_penalty, shift=covariance)
    pair = PENALTIES.banded, PENALTIES.features
    encoding = options["encoding_penalty"]
    cells = (jnp.asarray(float(number)) for number in (*numbers, *pair, encoding))
    banded = shifted_cells(problem, jnp.asarray(covariance), *cells, "banded_ridge")
    return {
        "befs": float(jb.risk(*study(name), PENALTIES.befs, **options)),
        "banded_ridge": float(banded.risk),
        "ridge": float(jb.ridge_risk(problem, numbers[1], PENALTIES.outside, shift=covariance)),
    }


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("name", ["many latents", "weak directions"])
def test_raw_data_agree(name):
    """Within four standard errors and, for terms of order 1/n_task, 3 %."""
    shifts = covariances(name)
    seen, errors = simulated_risks(SETTINGS[name], PENALTIES, 600, 5, tuple(shifts.values()))
    for number, (shift, covariance) in enumerate(shifts.items()):
        for estimator, value in said(name, covariance).items():
            which = f"{estimator} {number}"
            bound = 4 * errors[which] + 0.03 * seen[which]
            assert abs(value - seen[which]) < bound, (shift, estimator, value, seen[which])
        if shift == "inside":
            # What spreads the error evenly over inputs of variance 1 is far off.
            variances = np.asarray(study(name)[0].geometry.variances)
            share = np.sum(np.diag(covariance) / variances) / len(variances)
            for estimator in ("befs", "banded_ridge", "ridge"):
                which = f"{estimator} {number}"
                bound = 4 * errors[which] + 0.03 * seen[which]
                assert abs(seen[estimator] * share - seen[which]) > bound


def test_no_shift_changes_nothing():
    problem, n_brain, n_task = study("many latents")
    variances = problem.geometry.variances
    options = dict(encoding_penalty=0.1)
    for shift in (variances, jnp.diag(variances), jb.BlockShift(1.0, 1.0, 1.0)):
        for found, expected in (
            (
                jb.risk(problem, n_brain, n_task, 1.0, shift=shift, **options),
                jb.risk(problem, n_brain, n_task, 1.0, **options),
            ),
            (jb.ridge_risk(problem, n_task, 0.5, shift=shift), jb.ridge_risk(problem, n_task, 0.5)),
            (jb.task_only_risk(problem, 60, shift=shift), jb.task_only_risk(problem, 60)),
        ):
            assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_blocks_are_their_covariance():
    problem, n_brain, n_task = study("many latents")
    geometry = problem.geometry
    directions, weights = np.asarray(geometry.directions), np.asarray(geometry.weights)
    missed = weights - directions @ (directions.T @ weights)
    missed /= np.linalg.norm(missed)
    inside, along = directions @ directions.T, np.outer(missed, missed)
    white = 0.3 * inside + 2.0 * along + 0.7 * (np.eye(len(inside)) - inside - along)
    root = np.sqrt(np.asarray(geometry.variances))
    matrix = root[:, None] * white * root[None, :]
    blocks = jb.BlockShift(0.3, 2.0, 0.7)
    by_name, by_matrix = (
        jb.risk(problem, n_brain, n_task, 1.0, encoding_penalty=0.1, shift=shift)
        for shift in (blocks, matrix)
    )
    assert float(by_name) == pytest.approx(float(by_matrix), rel=1e-9)
    # In other coordinates of the same inputs it is the same shift.
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=inside.shape))[0]
    turned = jb.LinearGaussianModel(
        **{
            name: getattr(model_of(SETTINGS["many latents"]), name)
            for name in ("readout", "latent_noise", "recording_noise", "task_noise")
        },
        encoder=rotation @ model_of(SETTINGS["many latents"]).encoder,
        task_weights=rotation @ model_of(SETTINGS["many latents"]).task_weights,
        input_covariance=(rotation * np.asarray(geometry.variances)) @ rotation.T,
    )
    shift = turned.along_principal_axes(rotation @ matrix @ rotation.T)
    study_of_turned = turned.problem(), n_brain, n_task, 1.0
    found = jb.risk(*study_of_turned, encoding_penalty=0.1, shift=shift)
    assert float(found) == pytest.approx(float(by_matrix), rel=1e-6)


def test_white_inputs_agree_with_their_own_closed_form():
    """Which knows the task stage exactly: the rest is of order 1/n."""
    shift = jb.BlockShift(0.2, 3.0, 1.5)
    gaps = []
    for scale in (1, 4):
        problem = jb.Problem.isotropic(50 * scale, 4, 1.0, 0.2, 0.5)
        numbers = 200 * scale, 60 * scale, 1.0
        general = jb.risk(problem, *numbers, encoding_penalty=1e-9, shift=shift)
        gaps.append(abs(float(general / jb.risk(problem, *numbers, shift=shift)) - 1))
    assert gaps[0] < 0.02
    assert gaps[1] < 0.005


def test_the_best_penalty_under_a_shift_is_best_there():
    problem, n_brain, n_task = study("many latents")
    options = dict(encoding_penalty=0.1, shift=jb.BlockShift(0.1, 5.0, 0.1))
    best = jb.optimal_penalty(problem, n_brain, n_task, **options)
    without = jb.optimal_penalty(problem, n_brain, n_task, encoding_penalty=0.1)
    least, *others = (
        float(jb.risk(problem, n_brain, n_task, penalty, **options))
        for penalty in (best, 0.8 * best, 1.25 * best, without)
    )
    assert all(other > least for other in others)
    assert abs(float(jnp.log(best / without))) > 0.1
    # By default the penalty is the one that is best without.
    default = float(jb.risk(problem, n_brain, n_task, **options))
    assert default == pytest.approx(others[-1], rel=1e-6)


def test_derivatives_are_those_of_differences():
    problem, n_brain, n_task = study("many latents")
    variances = problem.geometry.variances

    @jax.jit
    def risk(numbers):
        steep, penalty, encoding, labels = numbers
        options = dict(encoding_penalty=encoding, shift=variances**steep)
        return jb.risk(problem, n_brain, n_task * labels, penalty, **options)

    at = jnp.array([0.5, 1.0, 0.1, 1.0])
    slopes = jax.jit(jax.grad(risk))(at)
    for number, slope in enumerate(slopes):
        step = 1e-4 * float(at[number])
        change = risk(at.at[number].add(step)) - risk(at.at[number].add(-step))
        assert float(slope) == pytest.approx(float(change) / 2 / step, rel=1e-4, abs=1e-6)


def test_value_against_least_squares():
    problem, n_brain, _ = study("many latents")
    shift = problem.geometry.variances**2
    options = dict(encoding_penalty=0.1, shift=shift)
    worth = jb.value(problem, n_brain, 60, 1.0, baseline="ols", **options)
    reached = jb.task_only_risk(problem, 60 + worth, shift=shift)
    expected = jb.risk(problem, n_brain, 60, 1.0, **options)
    assert float(reached) == pytest.approx(float(expected), rel=1e-9)


def test_shifts_that_are_none_are_refused_by_name():
    problem, n_brain, n_task = study("many latents")
    d = problem.input_dim
    white = jb.Problem.isotropic(d, 4, 1.0, 0.2, 0.5)
    lopsided = np.eye(d) + np.eye(d, k=1)
    for other, shift in (
        (problem, np.ones(d - 1)),
        (problem, np.ones((d, 2))),
        (problem, -np.ones(d)),
        (problem, np.zeros(d)),
        (problem, np.full(d, np.nan)),
        (problem, lopsided),
        (white, np.ones(d)),
    ):
        with pytest.raises(ValueError, match="shift"):
            jb.risk(other, n_brain, n_task, encoding_penalty=0.1, shift=shift)
    with pytest.raises(ValueError, match="baseline"):
        jb.value(problem, n_brain, n_task, encoding_penalty=0.1, shift=np.ones(d))
    with pytest.raises(ValueError, match="covariance"):
        model_of(SETTINGS["many latents"]).along_principal_axes(np.ones(d + 1))
