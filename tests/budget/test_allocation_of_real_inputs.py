"""Budgets where inputs have any covariance, against all whole numbers that money buys."""

import jax
import numpy as np
import pytest

import jaxbrain as jb

MONEY = dict(budget=900.0, cost_brain=3.0, cost_task=7.0, fixed_cost_brain=20.0)


@pytest.fixture(scope="module")
def problem():
    return jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.4, recording_noise=0.05, recording_dim=20)


def test_no_whole_numbers_are_better(problem):
    plan = jb.optimal_allocation(problem, **MONEY, estimator="befs", encoding_penalty=0.05)
    n_brain = np.arange(4, 292)
    n_task = np.floor((880 - 3 * n_brain) / 7)
    n_brain, n_task = n_brain[n_task >= 1], n_task[n_task >= 1]
    risks = np.asarray(jb.risk(problem, n_brain, n_task, encoding_penalty=0.05))
    alone = float(jb.ridge_risk(problem, np.floor(900 / 7)))
    assert float(plan.risk) <= min(risks.min(), alone) * (1 + 1e-6)
    at_plan = float(jb.risk(problem, plan.n_brain, plan.n_task, encoding_penalty=0.05))
    assert float(plan.risk) == pytest.approx(at_plan, rel=1e-9)
    assert 20 + 3 * plan.n_brain + 7 * plan.n_task <= 900
    assert float(plan.risk_without_brain) == pytest.approx(alone, rel=1e-9)
    frontier = plan.frontier
    shown = ~np.isnan(frontier.risk)
    assert np.min(frontier.n_brain[shown]) == problem.latent_dim + 1
    assert np.nanmin(frontier.risk) < 1.02 * risks.min()
    # What is saved is what ridge would need beyond it.
    worth = jb.value(problem, plan.n_brain, plan.n_task, encoding_penalty=0.05)
    needed = np.ceil(float(worth + plan.n_task))
    spent = float(plan.spent_on_brain + plan.spent_on_task)
    assert float(plan.saved) == pytest.approx(1 - spent / (7 * needed), rel=1e-6)


def test_the_best_encoding_penalty_is_chosen_by_default(problem):
    best = jb.optimal_allocation(problem, **MONEY, estimator="befs")
    given = jb.optimal_allocation(problem, **MONEY, estimator="befs", encoding_penalty=0.05)
    assert float(best.risk) <= float(given.risk)
    chosen = jb.risk(problem, best.n_brain, best.n_task, encoding_penalty="optimal")
    assert float(best.risk) == pytest.approx(float(chosen), rel=1e-6)


def test_no_money_for_recordings(problem):
    for budget in (25.0, 60.0):
        money = MONEY | dict(budget=budget)
        plan = jb.optimal_allocation(problem, **money, estimator="befs", encoding_penalty=0.05)
        assert float(plan.n_brain) == 0
        assert float(plan.n_task) == budget // 7
        assert float(plan.saved) == 0
    # Recordings that teach nothing are not bought.
    random = jb.Problem.power_law(40, 1.0, 3, 1.0, 1.0, 0.4)
    plan = jb.optimal_allocation(random, **MONEY, estimator="befs", encoding_penalty=0.05)
    assert float(plan.n_brain) == 0


def test_white_inputs_with_an_encoding_penalty_and_with_none():
    """At a penalty of next to nothing it is the plan of white inputs."""
    problem = jb.Problem.isotropic(40, 3, 1.0, 0.2, 0.4)
    money = MONEY | dict(estimator="befs")
    white = jb.optimal_allocation(problem, **money)
    general = jb.optimal_allocation(problem, **money, encoding_penalty=1e-6)
    assert float(general.risk) == pytest.approx(float(white.risk), rel=0.02)
    zero = jb.optimal_allocation(problem, **money, encoding_penalty=0.0)
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(jax.tree.leaves(white), jax.tree.leaves(zero), strict=True)
    )


def test_wrong_encoding_penalties_are_refused_by_name(problem):
    for penalty in (-1.0, "best", np.array([0.1, 0.2]), np.nan):
        with pytest.raises(ValueError, match="encoding_penalty"):
            jb.optimal_allocation(problem, **MONEY, encoding_penalty=penalty)
