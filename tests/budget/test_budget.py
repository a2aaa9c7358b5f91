"""Budgets: closed-form conditions, and the best plan against exhaustive enumeration."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import jaxbrain as jb
from jaxbrain.budget._money import bill

STUDY = jb.Problem.isotropic(40, 6, 0.5, 0.2, 0.4)
FIELDS = jb.Problem.__dataclass_fields__


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
        finite = jb.optimal_allocation(perfect, 1e6, cost_brain, 2.0)
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
    assert float(jb.optimal_allocation(quiet, 1e7, 5.0, 3.0).n_brain) == d + 2
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


def enumerated(problem, money, estimator, baseline):
    """Risk, n_brain, n_task of the best affordable whole numbers, one by one."""
    budget, cost_brain, cost_task, fixed_brain, fixed_task = money
    left = budget - fixed_brain - fixed_task
    alone = float(max(np.floor((budget - fixed_task) / cost_task), 0.0))
    rival = jb.task_only_risk if baseline == "ols" else jb.ridge_risk
    candidates = [(float(rival(problem, alone)), 0.0, alone)]
    # Always as many candidates, so that nothing is compiled anew; those too dear never win.
    brain = problem.input_dim + 2.0 + np.arange(1700)
    labels = np.floor((left - cost_brain * brain) / cost_task)
    assert labels[-1] < 0
    risk = jb.risk if estimator == "befs" else jb.two_penalty_risk
    risks = np.asarray(risk(problem, brain, np.maximum(labels, 0)))
    risks = np.where((labels < 0) | np.isnan(risks), np.inf, risks)
    best = risks.argmin()
    candidates.append((float(risks[best]), brain[best], labels[best]))
    return min(candidates, key=lambda candidate: candidate[0])


def random_setting(number):
    rng = np.random.default_rng(number)
    d, k, channels = [(8, 2, 9), (30, 3, None)][number % 2]
    misalignment = [0.0, 1.0, *rng.uniform(0, 1, 4)][number % 6]
    problem = jb.Problem(
        input_dim=d,
        latent_dim=k,
        recording_dim=channels,
        latent_noise=10 ** rng.uniform(-1.5, 0.5, k),
        gain=rng.uniform(1, 5, k),
        recording_noise=10 ** rng.uniform(-1, 0),
        aligned_power=np.full(k, (1 - misalignment) / k),
        misaligned_power=misalignment,
        task_noise=10 ** rng.uniform(-1.5, 1.5),
    )
    fixed = (0.0, 0.0) if number % 3 else tuple(rng.uniform(0, 15, 2))
    money = (rng.uniform(20, 500), *(10 ** rng.uniform(-0.5, 0.6, 2)), *fixed)
    return problem, tuple(float(x) for x in money)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("number", range(48))
def test_best_plan_is_that_of_exhaustive_enumeration(number):
    problem, money = random_setting(number)
    estimator = ("befs", "befs_two_penalties")[(number // 2) % 2]
    baseline = ("ols", "ridge")[(number // 5) % 2]
    plan = jb.optimal_allocation(problem, *money, estimator=estimator, baseline=baseline)
    risk, n_brain, _ = enumerated(problem, money, estimator, baseline)
    if np.isinf(risk):
        assert np.isinf(float(plan.risk))
    else:
        assert float(plan.risk) == pytest.approx(risk, rel=1e-9)
        assert (float(plan.n_brain) > 0) == (n_brain > 0)
    brain, labels = float(plan.n_brain), float(plan.n_task)
    assert brain == round(brain)
    assert labels == round(labels)
    assert brain == 0 or brain >= problem.input_dim + 2
    budget, cost_brain, cost_task, fixed_brain, fixed_task = map(Fraction, money)
    spent = cost_brain * int(brain) + cost_task * int(labels)
    spent += fixed_brain * (brain > 0) + fixed_task * (labels > 0)
    assert spent <= budget
    assert float(plan.spent_on_brain + plan.spent_on_task) <= money[0]
    total = float(plan.spent_on_brain + plan.spent_on_task)
    assert total == pytest.approx(float(spent), rel=1e-12)


def random_purchases(dtype):
    """Budgets down to a sum that is just spent, when prices have many digits."""
    rng = np.random.default_rng(7)
    budget = 10 ** rng.uniform(2.5, 6, 3000)
    prices = 10 ** rng.uniform(-1, 0.5, (2, 3000))
    fixed = rng.uniform(0, 0.3, (2, 3000)) * budget
    money = np.array([budget, *prices, *fixed], dtype)
    # As many labels as cost nearly all, to the last digit.
    labels = np.floor((money[0] - money[4]) / money[2])
    money[0, ::2] = (money[4] + money[2] * labels)[::2]
    return money


def overspent(money, plans):
    """Purchases beyond the budget, by the sums reported and in exact arithmetic."""
    reported = plans.spent_on_brain + plans.spent_on_task > money[0]
    exact = []
    for row, brain, labels in zip(money.T, plans.n_brain, plans.n_task, strict=True):
        budget, cost_brain, cost_task, fixed_brain, fixed_task = map(Fraction, map(float, row))
        spent = cost_brain * int(brain) + cost_task * int(labels)
        spent += fixed_brain * int(brain > 0) + fixed_task * int(labels > 0)
        exact.append(spent > budget)
    return int(reported.sum()), sum(exact)


def check_purchases(dtype):
    study = jb.Problem.isotropic(12, 3, 0.1, 0.1, 0.2)
    money = random_purchases(dtype)
    plans = jax.jit(jax.vmap(lambda *m: jb.optimal_allocation(study, *m)))(*money)
    plans = jax.tree.map(np.asarray, plans)
    bought = plans.n_brain > 0
    assert 0.2 < bought.mean() < 0.98
    assert overspent(money, plans) == (0, 0)
    assert np.all(plans.saved >= 0)
    assert np.all(plans.risk[bought] < plans.risk_without_brain[bought])
    # Nor is another label left unbought, for all that rounding can take.
    left = money[0] - money[3] * bought - money[4] - money[1] * plans.n_brain
    left -= money[2] * (plans.n_task + 1)
    assert np.all(left <= 4 * np.finfo(dtype).eps * money[0])


def test_no_plan_costs_more_than_the_budget_by_rounding():
    check_purchases(np.float64)


def test_no_plan_costs_more_than_the_budget_in_single_precision(single_precision):
    check_purchases(np.float32)


def test_prices_are_not_rounded_down_to_single_precision(single_precision):
    study = jb.Problem.isotropic(40, 6, 0.5, 0.2, 0.4)
    for budget, price in ((699_999.99, 0.7), (3e6, 0.3), (33.0, 1.1)):
        plan = jb.optimal_allocation(study, budget, 1e9, price)
        assert Fraction(price) * int(plan.n_task) <= Fraction(budget)
        assert float(plan.n_task) > 0.9999 * budget / price - 1.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bills_are_never_too_low(dtype):
    rng = np.random.default_rng(8)
    with jax.enable_x64(dtype == np.float64):
        price = (10 ** rng.uniform(-3, 4, 5000)).astype(dtype)
        number = np.floor(10 ** rng.uniform(0, 6, 5000)).astype(dtype)
        fixed = (10 ** rng.uniform(-2, 5, 5000)).astype(dtype)
        price[::3], fixed[::3] = np.round(price[::3]), 0
        bills = np.asarray(jax.jit(jax.vmap(bill))(fixed, price, number))
        slopes = jax.grad(bill, (0, 1, 2))(*(jnp.asarray(dtype(x)) for x in (1.1, 0.3, 7)))
    np.testing.assert_allclose(slopes, (1.0, 7.0, 0.3), rtol=1e-6)
    for found, *parts in zip(bills, fixed, price, number, strict=True):
        fixed_cost, each, many = (Fraction(float(part)) for part in parts)
        above = Fraction(float(found)) - (fixed_cost + each * many)
        assert 0 <= above <= 2 * Fraction(float(np.spacing(found)))
        if each.denominator == 1 and found < 2**24:
            assert above == 0


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
def test_ignoring_fixed_costs_is_found_out():
    differs = 0
    for number in range(0, 48, 3):
        problem, money = random_setting(number)
        plan = jb.optimal_allocation(problem, *money[:3])
        risk = enumerated(problem, money, "befs", "ols")[0]
        differs += not np.isclose(float(plan.risk), risk, rtol=1e-9)
    assert differs > 6


@pytest.mark.long
@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_saved_is_what_the_baseline_would_have_to_spend(baseline):
    plan = jb.optimal_allocation(
        STUDY, 900.0, 1.0, 2.0, 10.0, 5.0, estimator="befs_two_penalties", baseline=baseline
    )
    assert float(plan.n_brain) > 0
    rival = jb.task_only_risk if baseline == "ols" else jb.ridge_risk
    needed = optimize.brentq(lambda n: float(rival(STUDY, n)) - float(plan.risk), 42.5, 1e6)
    spent = float(plan.spent_on_brain + plan.spent_on_task)
    whole = np.ceil(needed)
    assert float(plan.saved) == pytest.approx(1 - spent / (5.0 + 2.0 * whole), rel=1e-8)
    assert spent <= 900.0
    assert float(rival(STUDY, plan.n_task_without_brain)) == float(plan.risk_without_brain)


def test_a_better_plan_never_saves_less_than_nothing():
    """The plan costs more than the baseline's whole labels, and less than what it would need besides."""
    plan = jb.optimal_allocation(
        jb.Problem.isotropic(12, 3, 1.0, 0.1, 0.5), 59.0, 0.68, 0.69, 0.0, 1.8
    )
    assert (float(plan.n_brain), float(plan.n_task)) == (14, 69)
    assert float(plan.risk) < float(plan.risk_without_brain)
    spent = float(plan.spent_on_brain + plan.spent_on_task)
    alone = float(plan.n_task_without_brain)
    assert 1.8 + 0.69 * alone < spent < 59 < 1.8 + 0.69 * (alone + 1)
    assert float(plan.saved) == pytest.approx(1 - spent / (1.8 + 0.69 * (alone + 1)), rel=1e-12)


def test_frontier_is_the_budget_line():
    plan = jb.optimal_allocation(STUDY, 900.0, 1.0, 2.0)
    brain, labels, risk = (np.asarray(x) for x in plan.frontier)
    shown = np.isfinite(brain)
    assert 10 < shown.sum() < 128
    np.testing.assert_allclose(brain[shown] + 2 * labels[shown], 900.0)
    expected = jb.risk(STUDY, brain[shown], labels[shown])
    np.testing.assert_allclose(risk[shown], expected, rtol=1e-9)
    assert float(plan.risk) <= np.nanmin(risk) * (1 + 1e-3)
    assert np.all(np.isnan(risk[~shown]))


def test_large_budgets_follow_the_asymptotic_law():
    """As the constant set of recordings outgrows d, which the law neglects, the difference goes to 0.

    Labels are whole: recordings move in steps of what half a label costs.
    """
    off = []
    for misalignment, cost_brain in ((0.01, 1.0), (0.01, 1e-2), (1e-3, 1e-2)):
        study = jb.Problem.isotropic(40, 6, 0.5, misalignment, 0.4)
        plan = jb.optimal_allocation(study, 1e10, cost_brain, 1.0)
        law = jb.asymptotic_allocation(study, 1e10, cost_brain, 1.0)
        off.append(abs(float(plan.n_brain) / float(law.n_brain) - 1))
        bound = (3 * study.input_dim + 0.5 / cost_brain) / float(law.n_brain)
        assert off[-1] < bound
        extra = float(plan.saved) / (1 - float(plan.saved)) * 1e10
        assert extra == pytest.approx(float(law.extra_budget), rel=2 * bound)
    assert off[0] > 5 * off[1] > 25 * off[2]


@pytest.mark.parametrize(
    ("problem", "prices", "options"),
    [
        (jb.Problem.isotropic(40, 6, 0.5, 0.999, 0.4), (500.0, 1.0, 1.0), {"baseline": "ridge"}),
        (STUDY, (5000.0, 1e4, 1.0), {}),
        (STUDY, (41.0, 1.0, 0.1), {}),
        (STUDY, (100.0, 1.0, 0.1, 99.0), {}),
    ],
    ids=["useless", "too dear", "below the gap", "fixed cost"],
)
def test_no_recordings_are_bought_where_they_do_not_pay(problem, prices, options):
    plan = jb.optimal_allocation(problem, *prices, **options)
    assert float(plan.n_brain) == 0
    assert float(plan.n_task) == Fraction(prices[0]) // Fraction(prices[2])
    assert float(plan.saved) == 0
    assert float(plan.spent_on_brain) == 0


def test_a_budget_that_buys_nothing():
    plan = jb.optimal_allocation(STUDY, 1.0, 5.0, 3.0, baseline="ridge")
    assert (float(plan.n_brain), float(plan.n_task), float(plan.risk)) == (0.0, 0.0, 1.0)
    assert float(plan.spent_on_task) == 0


def test_maps_jits_and_compiles_once():
    compiled = []

    @jax.jit
    def plan(misalignment, budget, cost):
        compiled.append(1)
        problem = jb.Problem.isotropic(40, 6, 0.5, misalignment, 0.4)
        answer = jb.optimal_allocation(problem, budget, cost, 1.0)
        return answer.n_brain, answer.n_task, answer.risk

    rows = [(0.1, 300.0, 0.5), (0.4, 900.0, 2.0), (0.9, 60.0, 1.0)]
    mapped = jax.vmap(plan)(*map(jnp.array, zip(*rows, strict=True)))
    alone = [plan(*row) for row in rows]
    for i, row in enumerate(alone):
        for together, one in zip(mapped, row, strict=True):
            assert float(together[i]) == pytest.approx(float(one), rel=1e-12)
    assert len(compiled) == 2


@pytest.mark.long
def test_risk_has_the_derivative_at_the_given_numbers():
    plan = jb.optimal_allocation(STUDY, 900.0, 1.0, 2.0)
    slope = jax.grad(lambda p: jb.optimal_allocation(p, 900.0, 1.0, 2.0).risk)(STUDY)
    expected = jax.grad(jb.risk)(STUDY, plan.n_brain, plan.n_task)
    for name in ("task_noise", "misaligned_power", "latent_noise", "aligned_power"):
        np.testing.assert_allclose(getattr(slope, name), getattr(expected, name), rtol=1e-9)


def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact = float(jb.optimal_allocation(STUDY, 9000.0, 1.0, 2.0).risk)
    study = jb.Problem.isotropic(40, 6, 0.5, 0.2, 0.4)
    plan = jb.optimal_allocation(study, 9000.0, 1.0, 2.0)
    assert plan.risk.dtype == jnp.float32
    assert float(plan.risk) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budget": -1.0}, "budget must be greater than 0"),
        ({"budget": np.array([1.0, 2.0])}, "budget must be one number"),
        ({"cost_brain": 0.0}, "cost_brain must be greater than 0"),
        ({"cost_task": np.nan}, "cost_task must be a finite number"),
        ({"fixed_cost_brain": -1.0}, "fixed_cost_brain must be at least 0"),
        ({"estimator": "lasso"}, "estimator must be 'befs' or"),
        ({"baseline": "none"}, "baseline must be 'ols' or 'ridge'"),
    ],
)
def test_wrong_arguments_are_named(change, said):
    arguments = {"problem": STUDY, "budget": 900.0, "cost_brain": 1.0, "cost_task": 2.0}
    with pytest.raises(ValueError, match=said):
        jb.optimal_allocation(**(arguments | change))
