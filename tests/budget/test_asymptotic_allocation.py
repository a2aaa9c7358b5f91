"""Large budgets: conditions, the best split, its limits, and the finite plans that approach it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import jaxbrain as jb

PAPER = {"estimator": "befs", "baseline": "ols"}
STUDY = jb.Problem.isotropic(40, 6, 0.5, 0.2, 0.4)


def numbers(problem):
    return problem.outside_dim, problem.input_dim, float(problem.task_noise)


def test_conditions_follow_the_formulas():
    q, d, noise = numbers(STUDY)
    gamma = q * 0.8 * 0.4 - 0.2 * 6 * 0.4
    prices = np.array([0.1, 1.0, 30.0])
    expected = noise * q**2 * 0.3 / (d * prices * gamma)
    np.testing.assert_allclose(jb.favourability(STUDY, prices, 0.3), expected, rtol=1e-12)
    answer = jb.worth_collecting(STUDY, prices, 0.3)
    np.testing.assert_array_equal(answer.affordable, expected > 1)
    np.testing.assert_array_equal(answer.worth_it, expected > 1)
    hopeless = jb.Problem.isotropic(40, 6, 0.5, 0.95, 0.4)
    assert float(hopeless.gamma) < 0
    assert not bool(jb.worth_collecting(hopeless, 1e-6, 1.0).worth_it)
    assert float(jb.asymptotic_allocation(hopeless, 1e9, 1e-6, 1.0).n_brain) == 0


def test_asymptotic_plan_minimises_the_asymptotic_cost():
    """Labels worth V(n) = σ²q²n/(d(m n + γ)) at price c_T, recordings at c_B: the best surplus."""
    q, d, noise = numbers(STUDY)
    gamma, m = float(STUDY.gamma), 0.2

    def surplus(n, cost_brain, cost_task=1.0):
        return cost_task * noise * q**2 * n / (d * (m * n + gamma)) - cost_brain * n

    for cost_brain in (0.01, 0.3, 2.0):
        best = optimize.minimize_scalar(lambda n: -surplus(n, cost_brain), (0.1, 50.0))  # noqa: B023
        plan = jb.asymptotic_allocation(STUDY, 1e7, cost_brain, 1.0)
        assert float(plan.n_brain) == pytest.approx(best.x, rel=1e-4)
        assert float(plan.extra_budget) == pytest.approx(-best.fun, rel=1e-9)
        assert float(plan.saved) == pytest.approx(-best.fun / (1e7 - best.fun), rel=1e-9)
        assert float(plan.n_task) == pytest.approx(1e7 - cost_brain * best.x, rel=1e-9)


def best_share(problem, budget, cost_brain, cost_task):
    """Large budgets, E m̂ = γ/n_brain: σ²[k/n_task + q/(n_task + c)] at c = σ²q/E m̂, minimised."""
    k, (q, d, noise), gamma = problem.latent_dim, numbers(problem), float(problem.gamma)

    def loss(share):
        n_brain, n_task = share * budget / cost_brain, (1 - share) * budget / cost_task
        return k / n_task + q / (n_task + noise * q * n_brain / gamma)

    options = {"xatol": 1e-10}
    best = optimize.minimize_scalar(loss, bounds=(0, 1 - 1e-6), method="bounded", options=options)
    return best.x, cost_task * d / best.fun - budget


def test_with_nothing_missed_both_grow_with_the_budget():
    perfect = jb.Problem.isotropic(40, 6, 0.5, 0.0, 0.4)
    for cost_brain in (0.01, 1.0, 4.0):
        share, extra = best_share(perfect, 1e5, cost_brain, 2.0)
        plan = jb.asymptotic_allocation(perfect, 1e5, cost_brain, 2.0)
        assert float(plan.n_brain) == pytest.approx(share * 1e5 / cost_brain, rel=1e-6)
        assert float(plan.n_task) == pytest.approx((1 - share) * 1e5 / 2, rel=1e-6)
        assert float(plan.extra_budget) == pytest.approx(extra, rel=1e-9)
        assert float(plan.saved) == pytest.approx(extra / (1e5 + extra), rel=1e-9)
        finite = jb.optimal_allocation(perfect, 1e6, cost_brain, 2.0, **PAPER)
        assert float(finite.n_brain) == pytest.approx(10 * float(plan.n_brain), rel=0.01)
        assert float(finite.saved) == pytest.approx(float(plan.saved), rel=0.01)
    dear = jb.asymptotic_allocation(perfect, 1e5, 1e9, 2.0)
    assert (float(dear.n_brain), float(dear.saved)) == (0.0, 0.0)


def test_a_set_beyond_the_budget_leaves_money_for_labels():
    capped = jb.asymptotic_allocation(STUDY, 1.0, 0.01, 1.0)
    share, _ = best_share(STUDY, 1.0, 0.01, 1.0)
    q, d, noise = numbers(STUDY)
    n_brain, n_task = float(capped.n_brain), float(capped.n_task)
    assert n_brain == pytest.approx(100 * share, rel=1e-6)
    assert n_task == pytest.approx(1 - share, rel=1e-6)
    c = noise * q * n_brain / (0.2 * n_brain + float(STUDY.gamma))
    needed = d / (STUDY.latent_dim / n_task + q / (n_task + c))
    assert float(capped.extra_budget) == pytest.approx(needed - 1.0, rel=1e-9)


def test_recordings_without_noise_are_the_limit_of_little_noise():
    q, d, noise = numbers(STUDY)
    quiet = jb.Problem.isotropic(40, 6, 0.5, 0.2, 0.0)
    assert np.isinf(float(jb.favourability(quiet, 5.0, 1.0)))
    assert all(bool(answer) for answer in jb.worth_collecting(quiet, 5.0, 1.0))
    limit = jb.asymptotic_allocation(quiet, 1e7, 5.0, 3.0)
    assert float(limit.n_brain) == 0
    assert float(limit.extra_budget) == pytest.approx(3 * noise * q**2 / (d * 0.2), rel=1e-12)
    near = jb.asymptotic_allocation(jb.Problem.isotropic(40, 6, 0.5, 0.2, 1e-16), 1e7, 5.0, 3.0)
    np.testing.assert_allclose(near, limit, rtol=1e-6, atol=1e-4)
    assert float(jb.optimal_allocation(quiet, 1e7, 5.0, 3.0, **PAPER).n_brain) == d + 2
    nothing_missed = jb.Problem.isotropic(40, 6, 0.5, 0.0, 0.0)
    saved = float(jb.asymptotic_allocation(nothing_missed, 1e7, 5.0, 3.0).saved)
    assert saved == pytest.approx(1 - 6 / 40, rel=1e-12)


@pytest.mark.parametrize("misalignment", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("encoding_noise", [0.0, 0.4])
def test_asymptotic_plan_has_finite_derivatives(misalignment, encoding_noise):
    def plan(misalignment, encoding_noise, snr, *money):
        problem = jb.Problem.isotropic(40, 6, snr, misalignment, encoding_noise)
        return jnp.stack(jb.asymptotic_allocation(problem, *money))

    point = [jnp.asarray(x) for x in (misalignment, encoding_noise, 0.5, 1e4, 1.0, 2.0)]
    slopes = jax.jacobian(plan, tuple(range(6)))(*point)
    assert np.all(np.isfinite(plan(*point)))
    assert np.all(np.isfinite(slopes))
    for i in range(2, 6):
        step = 1e-6 * point[i]
        above, below = (plan(*point[:i], point[i] + s, *point[i + 1 :]) for s in (step, -step))
        np.testing.assert_allclose(slopes[i], (above - below) / (2 * step), rtol=1e-4, atol=1e-5)


def test_large_budgets_follow_the_asymptotic_law():
    """As the constant set of recordings outgrows d, which the law neglects, they come together.

    Labels are whole: recordings move in steps of what half a label costs.
    """
    off = []
    for misalignment, cost_brain in ((0.01, 1.0), (0.01, 1e-2), (1e-3, 1e-2)):
        study = jb.Problem.isotropic(40, 6, 0.5, misalignment, 0.4)
        plan = jb.optimal_allocation(study, 1e10, cost_brain, 1.0, **PAPER)
        law = jb.asymptotic_allocation(study, 1e10, cost_brain, 1.0)
        off.append(abs(float(plan.n_brain) / float(law.n_brain) - 1))
        bound = (3 * study.input_dim + 0.5 / cost_brain) / float(law.n_brain)
        assert off[-1] < bound
        extra = float(plan.saved) / (1 - float(plan.saved)) * 1e10
        assert extra == pytest.approx(float(law.extra_budget), rel=2 * bound)
    assert off[0] > 5 * off[1] > 25 * off[2]
