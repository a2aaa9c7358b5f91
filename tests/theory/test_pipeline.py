"""Risks in closed form, against the whole pipeline simulated by brute force."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_triangular

import jaxbrain as jb
from jaxbrain.theory.brain_stage import white_moments
from jaxbrain.theory.task_stage import task_stage
from tests.helpers.pipeline import (
    Setting,
    build,
    learn_subspaces,
    missed_power,
    problem_of,
    task_errors,
)
from tests.helpers.statistics import agrees
from tests.helpers.wishart import bartlett

DRAWS = 3000


# Documented accuracy of the brain stage, relative. The task stage gets no allowance at all.
BRAIN_STAGE = 0.01


SETTINGS = [
    # Few channels, equal latent noise. Labels below and above the number of inputs.
    Setting(20, 3, 12, 26, 12, 0.2, 0.3, 1.0, 1.0),
    Setting(20, 3, 12, 30, 40, 0.0, 0.3, 1.0, 0.5),
    Setting(20, 3, 12, 60, 30, 0.5, 0.3, 1.0, 1.0),
    Setting(20, 3, 12, 200, 60, 0.1, 0.0, 2.0, 2.0),
    Setting(20, 3, 12, 80, 10, 1.0, 0.5, 0.5, 0.3),
    # More channels than inputs, latent noise that does not commute with the readout's Gram matrix.
    Setting(24, 4, 40, 32, 14, 0.0, "correlated", 1.0, 1.0),
    Setting(24, 4, 40, 40, 50, 0.3, "correlated", 1.0, 1.0),
    Setting(24, 4, 40, 100, 30, 0.1, "correlated", 3.0, 0.5),
    Setting(24, 4, 40, 240, 16, 0.6, "correlated", 0.5, 2.0),
    # As few channels as latents, a third of all directions measured.
    Setting(18, 6, 6, 26, 40, 0.2, 0.2, 0.3, 1.0),
    Setting(18, 6, 6, 60, 14, 0.0, "correlated", 0.3, 0.5),
    Setting(18, 6, 6, 180, 25, 0.4, 0.2, 0.3, 1.0),
    # One latent.
    Setting(30, 1, 5, 45, 20, 0.1, 0.4, 1.0, 1.0),
    Setting(30, 1, 5, 300, 70, 0.7, 0.4, 1.0, 0.2),
]


def penalties_of(setting):
    """Four decades and a huge one; none at all only where least squares has a mean error."""
    return np.array(([0.0] if setting.n_task > setting.input_dim + 1 else []) + PENALTIES)


PENALTIES = [0.01, 0.1, 1.0, 10.0, 100.0, 1e6]


class Simulated(NamedTuple):
    setting: Setting
    misalignment: np.ndarray
    errors: np.ndarray


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda setting: "-".join(map(str, setting)))
def simulated(request):
    setting = request.param
    weights = build(setting)[3]
    rng = np.random.default_rng(SETTINGS.index(setting))
    misalignment, errors = [], []
    for _ in range(10):
        bases = learn_subspaces(rng, setting, DRAWS // 10)
        misalignment.append(missed_power(bases, weights))
        arguments = setting.n_task, setting.task_noise, penalties_of(setting)
        errors.append(task_errors(rng, bases, weights, *arguments))
    return Simulated(setting, np.concatenate(misalignment), np.concatenate(errors))


def test_expected_misalignment_agrees_with_simulation(simulated):
    setting = simulated.setting
    claim = jb.expected_misalignment(problem_of(setting), setting.n_brain)
    assert agrees(claim, simulated.misalignment, BRAIN_STAGE)
    if setting.n_brain < 2 * setting.input_dim and setting.misalignment < 1:
        first = jb.expected_misalignment(problem_of(setting), setting.n_brain, order="first")
        assert not agrees(first, simulated.misalignment, BRAIN_STAGE)


def draw_misalignment(rng, d, k, n_brain, noise, misalignment):
    """One exact draw of ‖K̂β‖², averaged over directions of β, by k × k matrices alone.

    Without limits in channel space the learned subspace is spanned by X⁺(XA + √s Z), Z normal. In
    coordinates with A = [I; 0] this is [A1; A2], and of A2 only A2ᵀA2 matters.
    """
    q = d - k
    outside = solve_triangular(
        bartlett(rng, k, n_brain - q), np.sqrt(noise) * bartlett(rng, k, q), trans="T"
    )
    leak = np.sqrt(noise) * rng.standard_normal((k, k)) - rng.standard_normal((k, k)) @ outside
    inside = np.eye(k) + solve_triangular(bartlett(rng, k, n_brain), leak)
    gram = inside.T @ inside
    kept = np.trace(np.linalg.solve(gram + outside.T @ outside, gram))
    return (1 - misalignment) * (1 - kept / k) + misalignment * (1 - (k - kept) / q)


@pytest.mark.parametrize(("n_brain", "older"), [(18_000, 0.210946), (36_000, 0.1521995)])
def test_imaging_scale_agrees_with_exact_draws(n_brain, older):
    """No allowance; the older equivalent, an expansion in the overlap, is 0.04 to 0.08 % off."""
    rng = np.random.default_rng(n_brain)
    draws = [draw_misalignment(rng, 4096, 410, n_brain, 0.54, 0.1) for _ in range(60)]
    claim = jb.expected_misalignment(jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54), n_brain)
    assert agrees(claim, np.array(draws))
    assert not agrees(older, np.array(draws))


def without_profiling(risk, setting):
    """The formula with a term left out: the k/(n − k − 1) that learning the subspace costs."""
    share = setting.latent_dim / (setting.n_task - setting.latent_dim - 1)
    return (risk - setting.task_noise * share) / (1 + share)


def test_risk_agrees_with_the_simulated_pipeline(simulated):
    setting = simulated.setting
    claim = jb.risk(problem_of(setting), setting.n_brain, setting.n_task, penalties_of(setting))
    assert agrees(claim, simulated.errors, BRAIN_STAGE)
    assert not agrees(without_profiling(claim, setting), simulated.errors, BRAIN_STAGE)


def test_task_stage_is_exact_given_the_simulated_subspaces(simulated):
    """Error minus closed form at each drawn subspace averages to nothing, without allowance."""
    setting, penalties = simulated.setting, penalties_of(simulated.setting)
    problem = problem_of(setting)
    claims = task_stage(
        problem,
        white_moments(problem, jnp.asarray(simulated.misalignment)[:, None]),
        jnp.asarray(float(setting.n_task)),
        jnp.asarray(penalties)[None, :],
        "finite",
    ).risk
    assert agrees(0.0, simulated.errors - np.asarray(claims))
    assert not agrees(0.0, simulated.errors - without_profiling(np.asarray(claims), setting))


def leading_task_stage(misalignment, setting, penalties):
    """The task stage with Marchenko-Pastur traces in place of finite-size ones."""
    q, rows = setting.input_dim - setting.latent_dim, setting.n_task - setting.latent_dim
    c = setting.n_task * penalties
    b = c + rows - q
    t1 = (-b + np.sqrt(b**2 + 4 * c * q)) / (2 * c)
    t2 = t1 * (t1 + 1) / (2 * c * t1 + b)
    block = misalignment * c**2 * t2 / q + setting.task_noise * (t1 - c * t2)
    return block + (setting.task_noise + block) * setting.latent_dim / (rows - 1)


@pytest.mark.parametrize("n_task", [8, 26, 60])
def test_task_stage_holds_for_one_given_subspace(n_task):
    """Enough draws to tell the finite-size traces from the leading order."""
    setting = Setting(12, 3, 6, 30, n_task, 0.3, 0.2, 1.0, 1.0)
    rng = np.random.default_rng(n_task)
    weights = build(setting)[3]
    basis = learn_subspaces(rng, setting, 1)
    penalties = np.array([0.03, 0.3, 3.0, 30.0])
    bases = np.broadcast_to(basis, (40_000, 12, 3))
    errors = task_errors(rng, bases, weights, n_task, setting.task_noise, penalties)
    missed = missed_power(basis, weights)
    problem = problem_of(setting)
    subspace = white_moments(problem, jnp.asarray(missed))
    arguments = subspace, jnp.asarray(float(n_task)), jnp.asarray(penalties)
    assert agrees(task_stage(problem, *arguments, "finite").risk, errors)
    assert not agrees(leading_task_stage(missed, setting, penalties), errors)


@pytest.mark.parametrize("n_task", [14, 40])
def test_no_simulated_penalty_beats_the_optimal_one(n_task):
    setting = Setting(20, 3, 12, 50, n_task, 0.05, 0.3, 1.0, 1.0)
    rng = np.random.default_rng(n_task)
    problem, weights = problem_of(setting), build(setting)[3]
    best = float(jb.optimal_penalty(problem, setting.n_brain, n_task))
    if_subspace_were_true = setting.task_noise * problem.outside_dim / (n_task * 0.05)
    rivals = np.array([best / 5, best * 5, best * n_task, if_subspace_were_true])
    bases = learn_subspaces(rng, setting, 4000)
    errors = task_errors(rng, bases, weights, n_task, 1.0, np.append(rivals, best))
    regret = errors[:, :-1] - errors[:, -1:]
    assert np.all(regret.mean(0) > 4 * regret.std(0, ddof=1) / np.sqrt(len(regret)))


@pytest.mark.parametrize("n_task", [8, 16, 40, 80])
def test_ridge_risk_agrees_with_simulation(n_task):
    problem = jb.Problem.isotropic(20, 3, 1.5, 0.3, 0.5)
    rng = np.random.default_rng(n_task)
    weights = np.eye(20)[0]
    best = 20 / (n_task * 1.5)
    penalties = np.array([0.01, 0.1, 1.0, 10.0, 100.0, best, best / 5, best * 5])
    no_bases = np.zeros((8000, 20, 0))
    errors = task_errors(rng, no_bases, weights, n_task, 1 / 1.5, penalties)
    assert agrees(jb.ridge_risk(problem, n_task, penalties), errors)
    assert agrees(jb.ridge_risk(problem, n_task), errors[:, 5])
    assert not agrees(jb.ridge_risk(problem, n_task, penalties / n_task), errors)
    regret = errors[:, 6:] - errors[:, 5:6]
    assert np.all(regret.mean(0) > 4 * regret.std(0, ddof=1) / np.sqrt(len(regret)))
