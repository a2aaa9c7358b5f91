"""Limits and identities of the risks that hold to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.problems import matrix_problem, replaced, spectrum_problem

# Limits and identities that hold to rounding.

SPECTRUM = spectrum_problem()


MATRIX = matrix_problem()


both_forms = pytest.mark.parametrize("problem", [SPECTRUM, MATRIX], ids=["spectrum", "matrix"])


@both_forms
def test_penalty_zero_is_least_squares(problem):
    n_task = np.array([26.0, 27.0, 40.0, 1e4])
    least_squares = 0.7 * 24 / (n_task - 25)
    np.testing.assert_allclose(jb.task_only_risk(problem, n_task), least_squares, rtol=1e-14)
    np.testing.assert_allclose(jb.risk(problem, 60, n_task, 0.0), least_squares, rtol=1e-12)
    np.testing.assert_allclose(jb.ridge_risk(problem, n_task, 0.0), least_squares, rtol=1e-12)
    np.testing.assert_allclose(jb.risk(problem, 60, n_task, 1e-13), least_squares, rtol=1e-9)


@both_forms
def test_huge_penalty_tends_to_the_hard_constraint(problem):
    missed = float(jb.expected_misalignment(problem, 60))
    for n_task in (6, 20, 300):
        hard = missed + (0.7 + missed) * 3 / (n_task - 4)
        assert float(jb.risk(problem, 60, n_task, np.inf)) == pytest.approx(hard, rel=1e-13)
        assert float(jb.risk(problem, 60, n_task, 1e13)) == pytest.approx(hard, rel=1e-9)
        assert float(jb.risk(problem, 60, n_task, 1e2)) != pytest.approx(hard, rel=1e-9)


@both_forms
def test_unlimited_recordings_leave_the_true_misalignment(problem):
    assert float(jb.expected_misalignment(problem, np.inf)) == pytest.approx(0.2, rel=1e-14)
    assert float(jb.expected_misalignment(problem, 1e12)) == pytest.approx(0.2, rel=1e-9)
    hard = 0.2 + (0.7 + 0.2) * 3 / (50 - 4)
    assert float(jb.risk(problem, np.inf, 50, np.inf)) == pytest.approx(hard, rel=1e-13)


@both_forms
@pytest.mark.parametrize("n_brain", [26, 60, 1e6])
def test_noiseless_recordings_leave_the_true_misalignment(problem, n_brain):
    silent = jax.tree.map(jnp.zeros_like, (problem.latent_noise, problem.recording_noise))
    clean = replaced(problem, latent_noise=silent[0], recording_noise=silent[1])
    assert float(jb.expected_misalignment(clean, n_brain)) == pytest.approx(0.2, rel=1e-12)


@both_forms
def test_recordings_of_pure_noise_teach_a_random_subspace(problem):
    noisy = replaced(problem, latent_noise=1e12 * problem.latent_noise, recording_noise=1e12)
    power = float(problem.total_power)
    assert float(jb.expected_misalignment(noisy, 60)) == pytest.approx(power * 21 / 24, rel=1e-6)


@pytest.mark.filterwarnings("ignore:one latent:jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("latent_dim", [1, 6, 12, 18, 23])
def test_missed_power_lies_between_nothing_and_everything(latent_dim):
    n_brain = np.array([26.0, 30.0, 60.0, 300.0, 3000.0])
    for noise in (0.1, 1.0, 10.0):
        for misalignment in (0.0, 0.1, 0.5, 1.0):
            problem = jb.Problem.isotropic(24, latent_dim, 1.0, misalignment, noise)
            missed = np.asarray(jb.expected_misalignment(problem, n_brain))
            assert np.all((missed > 0) & (missed < 1 + 1e-12)), (noise, misalignment)


@both_forms
def test_first_order_laws_are_those_of_the_paper(problem):
    aligned, noise = np.asarray(problem.aligned_power), np.asarray(problem.encoding_noise)
    trace = np.trace(noise) if noise.ndim == 2 else noise.sum()
    gamma = 21 * np.sum(aligned * noise) - 0.2 * trace
    missed = 0.2 + gamma / (60 - 25)
    assert float(problem.gamma) == pytest.approx(gamma, rel=1e-13)
    first = jb.expected_misalignment(problem, 60, order="first")
    assert float(first) == pytest.approx(missed, rel=1e-13)
    best = 0.7 * 21 / (200 * missed)
    penalty = jb.optimal_penalty(problem, 60, 200, order="first")
    assert float(penalty) == pytest.approx(best, rel=1e-13)
    for penalty in (0.3 * best, best, 2 * best):
        gain = 2 * 0.7 * 21 * penalty / 200 - missed * penalty**2
        claim = jb.risk(problem, 60, 200, penalty, order="first")
        assert float(claim) == pytest.approx(0.7 * 24 / 175 - gain, rel=1e-12)
    claim = jb.risk(problem, 60, 200, order="first")
    assert float(claim) == pytest.approx(0.7 * 24 / 175 - (0.7 * 21 / 200) ** 2 / missed, rel=1e-12)


@both_forms
def test_first_order_is_the_limit_of_the_finite_law(problem):
    """What brain noise adds, times n_brain, tends to γ, with an error that falls as 1/n_brain."""
    n_brain = np.array([1e4, 1e5, 1e6])
    added = (np.asarray(jb.expected_misalignment(problem, n_brain)) - 0.2) * (n_brain - 25)
    off = np.abs(added / float(problem.gamma) - 1)
    assert np.all(off < 100 / n_brain)
    np.testing.assert_allclose(off[:-1] / off[1:], 10, rtol=0.05)


@both_forms
@pytest.mark.parametrize("n_task", [10, 24, 100])
def test_optimal_penalty_is_where_the_risk_is_lowest(problem, n_task):
    best = jb.optimal_penalty(problem, 60, n_task)
    grid = float(best) * np.geomspace(0.01, 100, 401)
    risks = np.asarray(jb.risk(problem, 60, n_task, grid))
    assert np.argmin(risks) == 200
    assert float(jb.risk(problem, 60, n_task)) == pytest.approx(risks[200], rel=1e-13)
    slope = jax.grad(jb.risk, 3)
    flat = 1e-10 * risks[200] / grid[200]
    assert abs(float(slope(problem, 60, n_task, best))) < flat
    assert abs(float(slope(problem, 60, n_task, 1.001 * best))) > flat


@pytest.mark.parametrize("n_task", [10, 24, 100])
def test_optimal_ridge_is_where_the_ridge_risk_is_lowest(n_task):
    best = 0.7 * 24 / (n_task * float(SPECTRUM.total_power))
    risks = np.asarray(jb.ridge_risk(SPECTRUM, n_task, best * np.geomspace(0.01, 100, 401)))
    assert np.argmin(risks) == 200
    assert float(jb.ridge_risk(SPECTRUM, n_task)) == pytest.approx(risks[200], rel=1e-13)


@both_forms
def test_ridge_without_labels_predicts_zero(problem):
    power = float(problem.total_power)
    assert float(jb.ridge_risk(problem, 0)) == pytest.approx(power, rel=1e-14)
    assert float(jb.ridge_risk(problem, 50, np.inf)) == pytest.approx(power, rel=1e-14)


@both_forms
@pytest.mark.parametrize("n_brain", [60, np.inf])
def test_unlimited_labels_leave_what_a_penalty_shrinks(problem, n_brain):
    """No error without or with the best penalty; with λ for ever (λ/(1 + λ))² of the missed."""
    missed = float(jb.expected_misalignment(problem, n_brain))
    power = float(problem.total_power)
    assert float(jb.risk(problem, n_brain, np.inf)) == 0
    assert float(jb.optimal_penalty(problem, n_brain, np.inf)) == 0
    assert float(jb.task_only_risk(problem, np.inf)) == 0
    assert float(jb.ridge_risk(problem, np.inf)) == 0
    for penalty, share in ((0.0, 0.0), (0.3, 0.3 / 1.3), (8.0, 8 / 9), (np.inf, 1.0)):
        shrunk = pytest.approx(share**2 * missed, rel=1e-13)
        assert float(jb.risk(problem, n_brain, np.inf, penalty)) == shrunk
        shrunk = pytest.approx(share**2 * power, rel=1e-13)
        assert float(jb.ridge_risk(problem, np.inf, penalty)) == shrunk
        # The limit, approached as 1/n_task.
        for quantity, arguments in ((jb.risk, (n_brain,)), (jb.ridge_risk, ())):
            off = [
                float(quantity(problem, *arguments, n_task, penalty))
                - float(quantity(problem, *arguments, np.inf, penalty))
                for n_task in (1e5, 1e6)
            ]
            if abs(off[0]) > 1e-12:
                assert off[0] / off[1] == pytest.approx(10, rel=1e-2)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_unlimited_labels_to_first_order(penalty):
    missed = float(jb.expected_misalignment(SPECTRUM, 60, order="first"))
    limit = float(jb.risk(SPECTRUM, 60, np.inf, penalty, order="first"))
    assert limit == pytest.approx(penalty**2 * missed, rel=1e-12, abs=1e-15)
    assert float(jb.risk(SPECTRUM, 60, np.inf, order="first")) == 0
