"""Sums of money: no bill too low, no plan beyond its budget, in any precision."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.budget._money import bill

PAPER = {"estimator": "befs", "baseline": "ols"}


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
    plans = jax.jit(jax.vmap(lambda *m: jb.optimal_allocation(study, *m, **PAPER)))(*money)
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
        plan = jb.optimal_allocation(study, budget, 1e9, price, **PAPER)
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
