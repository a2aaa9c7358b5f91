"""Banded ridge with predicted recordings, against its prior covariance in plain NumPy."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

D, P = 12, 3
RECORDINGS_OF_V4 = Path(__file__).parents[3] / "shared/data/cowley2026/v4.npz"
RATINGS = Path(__file__).parents[3] / "shared/data/pyrfume/bulb_ratings.npz"


def study(n, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, D)) * np.linspace(2, 0.2, D)
    encoder = rng.standard_normal((D, P)) * [1.0, 3.0, 0.1]
    targets = inputs @ encoder @ rng.standard_normal((P, 2)) + rng.standard_normal((n, 2))
    return inputs, targets, encoder


def prior_mean(inputs, targets, encoder, penalty, encoder_penalty, unit=True):
    """S Xᵀ (X S Xᵀ + n)⁻¹ y for the prior covariance S of the weights."""
    n = len(inputs)
    size = D / np.sum(encoder**2) if unit else 1.0
    prior = np.eye(D) / penalty + size * encoder @ encoder.T / encoder_penalty
    through = prior @ inputs.T
    return through @ np.linalg.solve(inputs @ through + n * np.eye(n), targets)


@pytest.mark.parametrize("n", [8, 40])
@pytest.mark.parametrize("penalties", [(0.3, 0.02), (5.0, 40.0), (1e-6, 1.0), (1.0, 1e-6)])
def test_weights_are_those_of_the_learned_prior(n, penalties):
    inputs, targets, encoder = study(n)
    found = jb.banded_ridge(inputs, targets, encoder, *penalties)
    np.testing.assert_allclose(found, prior_mean(inputs, targets, encoder, *penalties), rtol=1e-7)
    if min(penalties) < 1e-3:
        return
    # The unit of the encoder matters, and the order of the penalties.
    for wrong in (
        prior_mean(inputs, targets, encoder, *penalties, unit=False),
        prior_mean(inputs, targets, encoder, *penalties[::-1]),
    ):
        assert np.max(abs(found - wrong)) > 1e-4


@pytest.mark.parametrize("n", [8, 40])
def test_a_path_is_banded_ridge_of_each_penalty(n):
    inputs, targets, encoder = study(n)
    penalties = np.array([1e-4, 0.3, 5.0, np.inf])
    for learned in (targets, targets[:, 0]):
        found = jb.banded_ridge_path(inputs, learned, encoder, penalties, 0.02)
        for weights, penalty in zip(found, penalties, strict=True):
            expected = jb.banded_ridge(inputs, learned, encoder, penalty, 0.02)
            np.testing.assert_allclose(weights, expected, rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="banded_ridge takes one"):
        jb.banded_ridge_path(inputs, targets, encoder, np.array(0.3), 0.02)
    if n < D:
        with pytest.raises(ValueError, match="penalties > 0"):
            jb.banded_ridge_path(inputs, targets, encoder, np.zeros(1), 0.02)


def test_limits():
    inputs, targets, encoder = study(40)
    inf = float("inf")
    np.testing.assert_allclose(
        jb.banded_ridge(inputs, targets, encoder, 0.3, inf), jb.ridge(inputs, targets, 0.3)
    )
    alone = encoder * np.sqrt(D / np.sum(encoder**2))
    np.testing.assert_allclose(
        jb.banded_ridge(inputs, targets, encoder, inf, 0.3),
        alone @ jb.ridge(inputs @ alone, targets, 0.3),
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        jb.banded_ridge(inputs, targets, encoder, 0.0, 0.3), jb.task_only(inputs, targets)
    )


def test_an_orthonormal_encoder_is_befs_with_two_penalties():
    inputs, targets, _ = study(40)
    basis = np.linalg.qr(np.random.default_rng(2).standard_normal((D, P)))[0]
    penalty, encoder_penalty = 0.3, 0.02
    inside = 1 / (1 / penalty + D / (P * encoder_penalty))
    np.testing.assert_allclose(
        jb.banded_ridge(inputs, targets, basis, penalty, encoder_penalty),
        jb.befs(inputs, targets, basis, penalty, inside),
        rtol=1e-8,
    )


def test_units_and_one_target():
    inputs, targets, encoder = study(8)
    expected = jb.banded_ridge(inputs, targets, encoder, 0.3, 0.02)
    for unit in (1e-20, 1e12):
        found = jb.banded_ridge(inputs, targets, encoder * unit, 0.3, 0.02)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        scaled = inputs * unit, targets, encoder / unit, 0.3 * unit**2, 0.02 * unit**2
        np.testing.assert_allclose(jb.banded_ridge(*scaled) * unit, expected, rtol=1e-8)
    one = jb.banded_ridge(inputs, targets[:, 1], encoder, 0.3, 0.02)
    np.testing.assert_allclose(one, expected[:, 1], rtol=1e-12)
    single = [np.asarray(array, np.float32) for array in (inputs, targets, encoder)]
    found = jb.banded_ridge(*single, np.float32(0.3), np.float32(0.02))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [8, 40])
def test_derivatives(n):
    inputs, targets, encoder = study(n)

    def size(*arguments):
        return jnp.sum(jb.banded_ridge(*arguments) ** 2)

    at = (inputs, targets, encoder, jnp.asarray(0.3), jnp.asarray(0.02))
    slopes = jax.grad(size, argnums=tuple(range(5)))(*at)
    rng = np.random.default_rng(1)
    for i, slope in enumerate(slopes):
        along = rng.standard_normal(np.shape(at[i]))
        step = 1e-5 * (0.01 if i > 2 else 1.0)
        ends = [
            size(*(x + sign * step * along if i == j else x for j, x in enumerate(at)))
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(slope * along), expected, rtol=1e-5)


@pytest.mark.parametrize("n", [8, 40])
def test_leave_one_out_is_refitting(n):
    inputs, targets, encoder = study(n)
    objective = jb.LeaveOneOut(inputs, targets, encoder=encoder, both_penalties=True)
    missed = []
    for i in range(n):
        kept = np.arange(n) != i
        mean, level = inputs[kept].mean(0), targets[kept].mean(0)
        # n times the penalty is held fixed.
        penalties = [penalty * n / (n - 1) for penalty in (0.3, 0.02)]
        weights = prior_mean(inputs[kept] - mean, targets[kept] - level, encoder, *penalties)
        missed.append(targets[i] - level - (inputs[i] - mean) @ weights)
    expected = np.mean(np.mean(np.square(missed), axis=0) / targets.var(axis=0))
    np.testing.assert_allclose(objective(jb.Penalties(0.3, 0.02)), expected, rtol=1e-8)
    assert not np.isclose(objective(jb.Penalties(0.02, 0.3)), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(encoder=np.zeros((D, P))), "encoder is all 0"),
        (dict(encoder=np.ones((D + 1, P))), "encoder must have shape"),
        (dict(encoder=np.full((D, P), np.nan)), "encoder"),
        (dict(penalty=0.0), "penalty > 0"),
        (dict(penalty=-1.0), "penalty must be"),
        (dict(encoder_penalty=np.ones(2)), "encoder_penalty must"),
    ],
)
def test_wrong_arguments_are_named(changed, said):
    inputs, targets, encoder = study(8)
    given = dict(penalty=1.0, encoder_penalty=1.0, encoder=encoder) | changed
    with pytest.raises(ValueError, match=said):
        jb.banded_ridge(inputs, targets, **given)


def test_encoder_and_basis_are_one_or_the_other():
    inputs, targets, encoder = study(40)
    with pytest.raises(ValueError, match="encoder and basis"):
        jb.LeaveOneOut(inputs, targets, np.eye(D)[:, :2], encoder=encoder)


def split_error(brain, recordings, rows, labels, learned):
    """Of ridge and of the banded regression on the rows that were not learned from."""
    encoder = jb.fit_encoder(brain, recordings).weights
    mean, level = rows[:learned].mean(0), labels[:learned].mean(0)
    x, y = rows[:learned] - mean, labels[:learned] - level
    new, unseen = rows[learned:] - mean, labels[learned:]
    alone = jb.ridge(x, y, jb.tune_penalty(jb.LeaveOneOut(x, y)).penalty)
    objective = jb.LeaveOneOut(x, y, encoder=encoder, both_penalties=True)
    helped = jb.banded_ridge(x, y, encoder, *jb.tune_penalty(objective).penalty)
    return [
        np.mean(np.mean((unseen - level - new @ weights) ** 2, axis=0) / unseen.var(axis=0))
        for weights in (np.asarray(alone), np.asarray(helped))
    ]


@pytest.mark.study
@pytest.mark.skipif(not RECORDINGS_OF_V4.exists(), reason="needs recordings beside the project")
def test_recordings_of_v4_help():
    """600 images shown to a monkey, 120 labels of 29 units that stand for a task."""
    with np.load(RECORDINGS_OF_V4) as held:
        rows, units = held["features_pe"].astype(float), held["responses_pe"].astype(float)
    gains = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        order, columns = rng.permutation(1200), rng.permutation(89)
        seen, judged = units[order][:, columns[:60]], units[order][:, columns[60:]]
        ridge, banded = split_error(
            rows[order[:600]], seen[:600], rows[order[600:]], judged[600:], 120
        )
        gains.append(ridge - banded)
    assert np.mean(gains) > 0.038


@pytest.mark.study
@pytest.mark.skipif(not RATINGS.exists(), reason="needs recordings beside the project")
def test_maps_of_an_olfactory_bulb_cost_nothing():
    with np.load(RATINGS) as held:
        brain, maps = held["brain_inputs"].astype(float), held["recordings"].astype(float)
        rows, ratings = held["task_inputs"].astype(float), held["targets"].astype(float)
    losses = []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(480)
        ridge, banded = split_error(brain, maps, rows[order], ratings[order], 120)
        losses.append(banded - ridge)
    assert np.mean(losses) < 0.002
