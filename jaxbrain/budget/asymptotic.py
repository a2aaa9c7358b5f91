"""Large budgets: whether recordings pay, and how the best split grows."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arguments import check_problem
from .._checks import as_float_like, check_broadcast, check_finite, check_positive
from .._typing import Real
from ..models import Problem
from .results import AsymptoticAllocation


def favourability(problem: Problem, cost_brain: Real, cost_task: Real) -> Float[Array, "..."]:
    """Whether recordings pay: how much more a first one buys than its price in labels.

    This is the law of large budgets, F = σ²(d − k)² cost_task / (d cost_brain γ). Above 1
    recordings are worth their price, if they help at all (γ ≥ 0, see `worth_collecting`).

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.favourability(problem, cost_brain=1.0, cost_task=0.1)), 3)
    1.875

    **Arguments**

    - `problem`: the study.
    - `cost_brain`, `cost_task`: price of one recorded sample and of one label, in any one currency;
      greater than 0. They broadcast.

    **Returns**

    A ratio, of the broadcast shape. It is infinite at γ = 0, and negative where γ < 0.

    **Raises**

    `ValueError` that names the argument: prices that are not positive and finite, shapes that do
    not broadcast.

    **Source**

    Lewis et al., arXiv:2605.09243, on budgets.
    """
    check_problem(problem)
    cost_brain, cost_task = _prices(problem, cost_brain, cost_task)
    q, d = problem.outside_dim, problem.input_dim
    return problem.task_noise * float(q) ** 2 * cost_task / (d * cost_brain * problem.gamma)


class Collecting(NamedTuple):
    """The two conditions for recordings to be worth collecting at large budgets, and both at once.

    **Fields**

    - `teachable`: whether γ ≥ 0. Then more recordings bring the learned subspace closer to the
      task, or (γ = 0, recordings without noise) the first few teach all there is.
    - `affordable`: whether the favourability is above 1.
    - `worth_it`: whether both hold.

    Booleans of the shape that the prices broadcast to.
    """

    teachable: Array
    affordable: Array
    worth_it: Array


def worth_collecting(problem: Problem, cost_brain: Real, cost_task: Real) -> Collecting:
    """Whether any recordings should be bought at all, when the budget is large.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> [bool(answer) for answer in jb.worth_collecting(problem, 1.0, 0.1)]
    [True, True, True]
    >>> [bool(answer) for answer in jb.worth_collecting(problem, 1.0, 0.05)]
    [True, False, False]

    The answer holds to first order. A subspace takes at least input_dim + 2 samples. Where the law
    buys hardly more, which is so a little above a favourability of 1, the finite optimum buys none
    at any budget (docs/claims.md). `optimal_allocation` knows of both.

    **Arguments**

    - `problem`, `cost_brain`, `cost_task`: as in `favourability`.

    **Returns**

    A `Collecting`, of the shape that the prices broadcast to.

    - Where γ = 0, as without any encoding noise, the answer is that of the limit γ → 0 from above:
      F is infinite, and recordings are worth any price, since ever fewer are needed.
    - Where γ < 0 more recordings take the learned subspace away from the task, and the answer is
      False.

    **Raises**

    `ValueError` that names the argument, as `favourability` does.

    **Source**

    Lewis et al., arXiv:2605.09243, on budgets; the case γ = 0: docs/theory.md, "Budget".
    """
    ratio = favourability(problem, cost_brain, cost_task)
    teachable = jnp.broadcast_to(problem.gamma >= 0, ratio.shape)
    return Collecting(teachable, ratio > 1, teachable & (ratio > 1))


def asymptotic_allocation(
    problem: Problem, budget: Real, cost_brain: Real, cost_task: Real
) -> AsymptoticAllocation:
    """The best split of a large budget: few recordings, whose number does not grow with it.

    With favourability F: n_brain = (γ/m)(√F − 1), worth cost_task V (1 − 1/√F)² of extra budget,
    where V = σ²(d − k)²/(d m) is the value of unlimited recordings beside unlimited labels. Nothing
    is bought unless γ ≥ 0 and F > 1. You can trust the split where n_brain comes out far above
    input_dim and the rest of the budget buys labels far above n_brain. Otherwise ask
    `optimal_allocation`.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> plan = jb.asymptotic_allocation(problem, 1e6, cost_brain=1.0, cost_task=0.1)
    >>> round(float(plan.n_brain)), f"{float(plan.saved):.4f}"
    (6533, '0.0024')

    **Arguments**

    - `budget`: money, greater than 0. It broadcasts with the prices.
    - `problem`, `cost_brain`, `cost_task`: as in `favourability`.

    **Returns**

    An `AsymptoticAllocation`, of the broadcast shape. Numbers of samples are not rounded.

    - As m → 0 the set grows beyond any budget. At m = 0 recordings and labels both grow in
      proportion to the budget: labels get the share u = 1/(1 − r + √(r(1 − r)(d − k)/k)) of the
      money, where r = (d − k)/(d F). Never more is bought than that leaves for recordings. Where it
      is less than the set above, extra_budget is what these recordings are worth beside no more
      than n_task labels.
    - At γ = 0, as without encoding noise, ever fewer recordings teach everything: n_brain is 0 and
      extra_budget is what unlimited recordings are worth. Derivatives there leave out that of √γ,
      which is infinite.

    **Raises**

    `ValueError` that names the argument: a budget that is not positive, prices that are not
    positive and finite, shapes that do not broadcast.

    **Source**

    Lewis et al., arXiv:2605.09243, on budgets; ours where m = 0 or the set exceeds the budget:
    docs/theory.md, "Budget".
    """
    check_problem(problem)
    cost_brain, cost_task = _prices(problem, cost_brain, cost_task)
    budget = as_float_like("budget", budget, problem.task_noise)
    check_positive("budget", budget)
    check_broadcast(budget=budget, cost_brain=cost_brain, cost_task=cost_task)
    m, noise = problem.misaligned_power, problem.task_noise
    k, q, d = problem.latent_dim, problem.outside_dim, problem.input_dim
    price = d * cost_brain / (noise * float(q) ** 2 * cost_task)  # 1/F = γ price
    worth_it = (problem.gamma >= 0) & (problem.gamma * price < 1)
    gamma = jnp.where(worth_it, problem.gamma, 0.0)
    r = gamma * price * q / d
    on_labels = 1 / (1 - r + _root(r * (1 - r) * q / k))
    most_brain = (1 - on_labels) * budget / cost_brain
    constant = (_root(gamma / price) - gamma) / jnp.where(m > 0, m, 1.0)
    capped = (m == 0) | (constant > most_brain)
    n_brain = jnp.where(worth_it, jnp.where(capped, most_brain, constant), 0.0)
    n_task = (budget - cost_brain * n_brain) / cost_task
    # Beside n_task labels c = n_task λ is worth q c/(d + k c/n_task) of them.
    some = n_brain > 0
    inverse_c = (m + jnp.where(some, gamma / jnp.where(some, n_brain, 1.0), 0.0)) / (noise * q)
    value = q / (d * inverse_c + jnp.where(capped, k / n_task, 0.0))
    extra = jnp.where(worth_it, cost_task * value - cost_brain * n_brain, 0.0)
    return AsymptoticAllocation(
        n_brain=n_brain,
        n_task=n_task,
        spent_on_brain=cost_brain * n_brain,
        spent_on_task=cost_task * n_task,
        n_task_without_brain=jnp.broadcast_to(budget / cost_task, n_task.shape),
        saved=extra / (budget + extra),
        extra_budget=extra,
    )


def _root(x: Array) -> Array:
    """The square root, with derivative 0 at 0."""
    some = x > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, x, 1.0)), 0.0)


def _prices(problem: Problem, cost_brain: Real, cost_task: Real) -> tuple[Array, Array]:
    prices = []
    for name, given in (("cost_brain", cost_brain), ("cost_task", cost_task)):
        price = as_float_like(name, given, problem.task_noise)
        check_finite(name, price)
        check_positive(name, price)
        prices.append(price)
    check_broadcast(cost_brain=prices[0], cost_task=prices[1])
    return prices[0], prices[1]
