"""What the theory promises for every problem, over random ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import jaxbrain as jb
from jaxbrain.theory.brain_stage import subspace_moments
from jaxbrain.theory.task_stage import best_penalty, task_stage
from jaxbrain.theory.value import against_ridge, information_value_of
from tests.helpers.problems import replaced

# Random problems come into the corners that are known to be less accurate.
pytestmark = pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")

D = 20
EVER_MORE = np.array([6.0, 12.0, 19.0, 20.0, 21.0, 23.0, 30.0, 60.0, 200.0, 1e4, 1e9, np.inf])
LEARNABLE = {1: EVER_MORE > 2.5, 19: EVER_MORE > 20.5}
N_BRAIN = np.append(D + np.geomspace(2.0, 1e6, 11), np.inf)
# One grid, so that all of this takes one program for each number of latents.
GRID = np.meshgrid(np.append(N_BRAIN, 40.0), EVER_MORE, indexing="ij")
problems = dict(
    k=st.sampled_from([1, 19]),
    snr=st.floats(-2, 2),
    misalignment=st.floats(0, 1),
    noise=st.floats(-2, 2),
)


def problem(k, snr, misalignment, noise):
    return jb.Problem.isotropic(D, k, 10**snr, misalignment, 10**noise)


def falls(values, slack=1e-9):
    values = np.asarray(values)
    return bool(np.all(values[1:] <= values[:-1] * (1 + slack)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**problems)
def test_risk_falls_with_labels_and_with_recordings(k, snr, misalignment, noise):
    setting, finite = problem(k, snr, misalignment, noise), LEARNABLE[k]
    answer = jb.worth(setting, *GRID)
    two_penalties = jb.two_penalty_risk(setting, *GRID)
    for risk in (answer.risk, two_penalties, answer.ridge_risk):
        # 1 % where n is within three of d and the task all but noiseless: the trace is coarse
        # there.
        assert falls(np.asarray(risk)[-1, finite], 0.01 if snr > 1 else 1e-6)
    missed = np.asarray(jb.expected_misalignment(setting, N_BRAIN))
    if float(setting.gamma) > 0:
        assert falls(missed)
        assert falls(answer.risk[:-1, 7])
    assert np.all((missed >= 0) & (missed <= 1 + 1e-12))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**problems)
def test_value_saturates_where_labels_abound(k, snr, misalignment, noise):
    setting = problem(k, snr, misalignment, noise)
    values = np.asarray(jb.worth(setting, *GRID).value)[:-1]
    if misalignment > 0.01:
        limit = 10**-snr * (D - k) ** 2 / D / misalignment
        assert values[-1, -1] == pytest.approx(limit, rel=1e-9)
        if float(setting.gamma) > 0:
            assert np.all(values[:, -1] <= limit * (1 + 1e-9))
            assert falls(1 / values[:, -1])
        np.testing.assert_allclose(values[:, -2], values[:, -1], rtol=1e-3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**problems)
def test_ridge_is_the_harder_rival(k, snr, misalignment, noise):
    """Against the better estimator recordings are worth less; never fewer labels than none."""
    answer = jb.worth(problem(k, snr, misalignment, noise), *GRID)
    finite = LEARNABLE[k] & (EVER_MORE < 1e9)
    ridge, ols = (np.asarray(x)[:, finite] for x in (answer.value_vs_ridge, answer.value))
    assert np.all(-EVER_MORE[finite] <= ridge)
    assert np.all(ridge < ols)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(**problems, scale=st.floats(-3, 3))
@example(k=1, snr=0.0, misalignment=0.95, noise=0.0, scale=2.0)  # worth nothing, but for rounding
def test_units_of_the_task_do_not_matter(k, snr, misalignment, noise, scale):
    one = problem(k, snr, misalignment, noise)
    names = ("aligned_power", "misaligned_power", "task_noise")
    other = replaced(one, **{name: getattr(one, name) * 10**scale for name in names})
    answers = [jb.worth(setting, *GRID) for setting in (one, other)]
    finite = LEARNABLE[k] & (EVER_MORE < 1e9)
    for name in ("value", "information_value"):
        a, b = (np.asarray(getattr(answer, name))[-1, finite] for answer in answers)
        # A value is a difference of numbers of labels of about D.
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7 * np.abs(a).max() + 1e-13 * D)


@pytest.mark.parametrize("k", [1, 19])
def test_gradients_are_finite_everywhere(k):
    shift = jb.BlockShift(0.5, 2.0, 1.0)

    def answers(noise, labels, recordings, task_noise, misalignment):
        setting = jb.Problem.isotropic(D, k, 1 / task_noise, misalignment, noise)
        white, shifted = (subspace_moments(setting, recordings, x, "finite") for x in (None, shift))
        stage = task_stage(setting, white, labels, None, "finite")
        # Their sum: one that is not finite leaves it so.
        return (
            stage.extra_samples
            + task_stage(setting, shifted, labels, None, "finite").extra_samples
            + against_ridge(setting, stage, labels)
            + information_value_of(setting, white.misalignment, labels)
            + best_penalty(setting, white, labels)
        )

    cases = [
        (noise, labels, recordings, task_noise, misalignment)
        for noise, recordings, task_noise in ((0.5, 22, 1), (1e-3, 1e6, 100), (100, 30, 0.1))
        for misalignment in (0.0, 1.0)
        for labels in EVER_MORE[:10][LEARNABLE[k][:10]]
    ]
    slopes = jax.jit(jax.vmap(jax.grad(answers, (0, 1, 2, 3))))(*jnp.array(cases).T)
    assert all(np.all(np.isfinite(x)) for x in slopes)


def test_penalties_from_nothing_to_everything():
    n_task, c = np.meshgrid([12.0, 20.0, 21.0, 60.0], np.geomspace(1e-12, 1e12, 49), indexing="ij")
    setting = problem(4, 0.0, 0.3, 0.0)
    risks = np.asarray(jb.risk(setting, 40.0, n_task, c / n_task))
    assert np.all(np.isfinite(risks) & (risks > 0))
    slopes = jax.jit(jax.vmap(jax.grad(jb.risk, 3), (None, None, 0, 0)))(
        setting, 40.0, jnp.asarray(n_task.ravel()), jnp.asarray(c.ravel())
    )
    assert np.all(np.isfinite(slopes))


@pytest.mark.parametrize("k", [1, 19])
def test_value_at_ten_million_labels_in_single_precision(single_precision, k):
    with jax.enable_x64(True):
        # On the shape of the grid, whose program is there.
        numbers = (np.full(GRID[0].shape, number) for number in (40.0, 1e7))
        exact = jb.worth(problem(k, 0.0, 0.3, 0.0), *numbers)
    found = jb.worth(problem(k, 0.0, 0.3, 0.0), 40.0, 1e7)
    for name in ("value", "value_vs_ridge"):
        assert getattr(found, name).dtype == jnp.float32
        right = pytest.approx(float(getattr(exact, name)[0, 0]), rel=0.01, abs=0.02)
        assert float(getattr(found, name)) == right
