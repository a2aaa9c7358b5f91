"""The best split of one budget between one kind of recordings and labels."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._arguments import BASELINES, ESTIMATORS, check_problem
from .._checks import check_choice
from .._typing import Real
from ..models import Problem
from ..theory.brain_stage import subspace_moments, white_moments
from ..theory.risk import task_only_risk
from ..theory.task_stage import ridge_stage, task_stage
from ..theory.two_penalties import two_penalty_stage
from ..theory.value import labels_without_brain
from ._money import at_least, bill, checked_sum, most

# Numbers of recordings, from d + 2 to 1e9 d, at which the brain stage is solved. Between them a cubic
# with the right slopes is good to about 1e-5; only final candidates are evaluated exactly.
_NODES = 128


_WINDOW = 32


class Frontier(NamedTuple):
    """Test error along the budget line: what each affordable amount of recordings leads to.

    - `n_brain`, shape (128,): recorded samples, ascending from input_dim + 2; not rounded.
    - `n_task`, shape (128,): labels that the rest of the money buys.
    - `risk`, shape (128,): the excess risk there, in the units of ‖β‖².

    NaN where the recordings are not affordable.
    """

    n_brain: Array
    n_task: Array
    risk: Array


class Allocation(NamedTuple):
    """The best split of a budget: whole samples, money, and what it compares with.

    - `n_brain`, `n_task`: recorded samples, 0 where none should be bought, and labels; whole numbers.
    - `risk`: excess risk with these, in the units of ‖β‖².
    - `spent_on_brain`, `spent_on_task`: money, fixed costs included, in the currency of the budget.
    - `n_task_without_brain`: labels that the same budget buys without recordings.
    - `risk_without_brain`: excess risk of the baseline with that many labels.
    - `saved`: of the money that the baseline would have to spend to do no worse, on whole labels, the share
      that this plan does without. Never below 0, which it is where no recordings are bought.
    - `frontier`: the `Frontier`, 128 amounts of recordings from input_dim + 2 on.

    All but the frontier are single numbers.
    """

    n_brain: Array
    n_task: Array
    risk: Array
    spent_on_brain: Array
    spent_on_task: Array
    n_task_without_brain: Array
    risk_without_brain: Array
    saved: Array
    frontier: Frontier


def optimal_allocation(
    problem: Problem,
    budget: Real,
    cost_brain: Real,
    cost_task: Real,
    fixed_cost_brain: Real = 0.0,
    fixed_cost_task: Real = 0.0,
    *,
    estimator: str = "befs",
    baseline: str = "ols",
) -> Allocation:
    """How many brain samples and how many labels to buy with a budget, to make the test error least.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> plan = jb.optimal_allocation(problem, budget=50_000, cost_brain=1.0, cost_task=1.0)
    >>> int(plan.n_brain), int(plan.n_task), f"{float(plan.risk):.4f} {float(plan.saved):.2f}"
    (18006, 31994, '0.3111 0.63')

    - `budget`: money, greater than 0. `cost_brain`, `cost_task`: price of one recorded sample and of one
      label, greater than 0. `fixed_cost_brain`, `fixed_cost_task`: what is due as soon as there is any
      of them (a scanner, an annotation platform), at least 0. One currency; numbers, not arrays: map
      over many with `jax.vmap`.
    - `estimator`: what recordings are used with, `"befs"` at its best penalty, or
      `"befs_two_penalties"` at its two.
    - `baseline`: what is done without any recordings, `"ols"` or (optimal) `"ridge"`. Where that is
      best, n_brain is 0.

    The numbers are whole, and recordings are none or at least input_dim + 2, where the encoding stage
    starts to exist. They cost no more than the budget: neither by the sums of money that are
    reported, nor in exact arithmetic on the prices as given. A price of 0.1 is a trifle more than a
    tenth in binary, so that a budget of 41 buys 409 labels at 0.1. Derivatives of the numbers are zero;
    those of `risk` and `saved` hold at given numbers. Where not even the baseline is defined (too few
    labels for least squares) its risk is infinite.

    **Raises** `ValueError` that names the argument: sums of money that are arrays, negative, or not finite, an unknown
    `estimator` or `baseline`.

    **Source.** Ours; the closed forms of `risk` and `two_penalty_risk` at their best penalties,
    minimised along the budget line: docs/theory.md, "Budget".
    """
    check_problem(problem)
    check_choice("estimator", estimator, ESTIMATORS)
    check_choice("baseline", baseline, BASELINES)
    money = dict(
        budget=budget,
        cost_brain=cost_brain,
        cost_task=cost_task,
        fixed_cost_brain=fixed_cost_brain,
        fixed_cost_task=fixed_cost_task,
    )
    numbers = [
        checked_sum(
            name,
            given,
            problem.task_noise,
            up=name != "budget",
            zero_allowed=name.startswith("fixed"),
        )
        for name, given in money.items()
    ]
    return _optimal_allocation(problem, *numbers, estimator, baseline)


@partial(jax.jit, static_argnames=("estimator", "baseline"))
def _optimal_allocation(
    problem, budget, cost_brain, cost_task, fixed_brain, fixed_task, estimator, baseline
):
    fewest = problem.input_dim + 2.0
    available = budget - fixed_brain - fixed_task

    def labels_beside(n_brain):
        """What is left for labels, as a real number."""
        return (available - cost_brain * n_brain) / cost_task

    def stage_of(misalignment, n_task):
        if estimator == "befs":
            return task_stage(problem, white_moments(problem, misalignment), n_task, None, "finite")
        return two_penalty_stage(problem, misalignment, n_task)

    def regret(stage, n_task):
        """Labels that the rest of the money would have bought, less what the recordings are worth.

        Least where the risk is, σ²d/(n_task + extra − d − 1), but not lost in rounding beside many labels.
        """
        return (available - cost_task * n_task) / cost_task - stage.extra_samples

    def misalignment_of(n_brain):
        return subspace_moments(problem, n_brain, None, "finite").misalignment

    # The brain stage at fixed nodes, uniform in log(n − d − 1): they do not depend on money, so that
    # mapping over prices and budgets solves it once.
    log_last = jnp.log(jnp.asarray(1e9 * problem.input_dim, available.dtype))
    steps = jnp.linspace(0.0, 1.0, _NODES, dtype=available.dtype) * log_last
    nodes = problem.input_dim + 1 + jnp.exp(steps)
    at_nodes, slopes = jax.jvp(misalignment_of, (nodes,), ((nodes - problem.input_dim - 1),))
    width = log_last / (_NODES - 1)

    def interpolated(n_brain):
        place = jnp.log(jnp.maximum(n_brain - problem.input_dim - 1, 1.0)) / width
        left = jnp.clip(jnp.floor(place), 0, _NODES - 2).astype(int)
        s = jnp.clip(place - left.astype(place.dtype), 0.0, 1.0)
        rise = at_nodes[left] * (1 + 2 * s) * (1 - s) ** 2 + at_nodes[left + 1] * s**2 * (3 - 2 * s)
        bend = slopes[left] * s * (1 - s) ** 2 - slopes[left + 1] * s**2 * (1 - s)
        return rise + width * bend

    def rough_regret(n_brain, n_task):
        # Recordings alone teach no task: what they seem to gain without a label is rounding.
        affordable = (n_brain >= fewest) & (n_task >= 1)
        n_task = jnp.maximum(n_task, 0.0)
        lost = regret(stage_of(interpolated(n_brain), n_task), n_task)
        return jnp.where(affordable & ~jnp.isnan(lost), lost, jnp.inf)

    # Best node, then ever finer between its neighbours.
    labels_at_nodes = jnp.maximum(labels_beside(nodes), 0.0)
    frontier = stage_of(at_nodes, labels_at_nodes)
    shown = (labels_beside(nodes) >= 0) & ~jnp.isnan(frontier.risk)
    best = jnp.argmin(jnp.where(shown, regret(frontier, labels_at_nodes), jnp.inf))
    last = jnp.maximum(available / cost_brain, fewest)
    low = nodes[jnp.maximum(best - 1, 0)]
    high = jnp.minimum(nodes[jnp.minimum(best + 1, _NODES - 1)], last)

    def zoom(_, bracket):
        low, high = bracket
        points = low + (high - low) * jnp.linspace(0.0, 1.0, 17, dtype=low.dtype)
        best = jnp.argmin(rough_regret(points, labels_beside(points)))
        return points[jnp.maximum(best - 1, 0)], points[jnp.minimum(best + 1, 16)]

    low, high = jax.lax.fori_loop(0, 4, zoom, (low, high))
    optimum = jax.lax.stop_gradient((low + high) / 2)

    def on_brain(n_brain):
        return bill(fixed_brain, cost_brain, n_brain)

    def on_task(n_task):
        return bill(fixed_task, cost_task, n_task)

    def within_budget(n_brain, n_task):
        return at_least(on_brain(n_brain), on_task(n_task)) <= budget

    # Whole numbers nearby: each number of one kind with all that the rest of the money buys of the other.
    window = jnp.arange(-_WINDOW, _WINDOW + 1, dtype=available.dtype)
    brain = jnp.append(jnp.round(optimum) + window, fewest)
    labels = jnp.maximum(jnp.round(labels_beside(optimum)) + window, 0.0)
    beside_labels = most(
        (available - cost_task * labels) / cost_brain,
        lambda n_brain: within_budget(n_brain, labels),
    )
    beside_brain = most(labels_beside(brain), lambda n_task: within_budget(brain, n_task))
    brain = jnp.concatenate([brain, beside_labels])
    labels = jnp.concatenate([beside_brain, labels])
    roughly = jnp.where(within_budget(brain, labels), rough_regret(brain, labels), jnp.inf)
    lost, chosen = jax.lax.top_k(-roughly, 4)
    brain, labels = brain[chosen], labels[chosen]
    exact = stage_of(misalignment_of(jnp.maximum(brain, fewest)), labels)
    allowed = jnp.isfinite(lost) & ~jnp.isnan(exact.risk) & (labels >= 1)
    best = jnp.argmin(jnp.where(allowed, regret(exact, labels), jnp.inf))
    best_risk = jnp.where(allowed, exact.risk, jnp.inf)[best]

    alone = most((budget - fixed_task) / cost_task, lambda n_task: on_task(n_task) <= budget)
    if baseline == "ols":
        risk_alone = task_only_risk(problem, alone)
    else:
        risk_alone = ridge_stage(problem, alone, None, None).risk
    collect = best_risk < risk_alone
    n_brain = jnp.where(collect, brain[best], 0.0)
    n_task = jnp.where(collect, labels[best], alone)
    risk = jnp.where(collect, best_risk, risk_alone)
    spent_on_brain = jnp.where(collect, on_brain(n_brain), 0.0)
    spent_on_task = jnp.where(n_task > 0, on_task(n_task), 0.0)
    # The rival buys whole labels too, and needs more than it can afford, since the plan is better.
    spent = spent_on_brain + spent_on_task
    needed = jnp.ceil(labels_without_brain(problem, risk, baseline))
    rival = jnp.maximum(fixed_task + cost_task * jnp.maximum(needed, alone + 1), spent)
    saved = jnp.where(collect, 1 - spent / rival, 0.0)
    return Allocation(
        n_brain=n_brain,
        n_task=n_task,
        risk=risk,
        spent_on_brain=spent_on_brain,
        spent_on_task=spent_on_task,
        n_task_without_brain=alone,
        risk_without_brain=risk_alone,
        saved=saved,
        frontier=Frontier(
            *(jnp.where(shown, x, jnp.nan) for x in (nodes, labels_beside(nodes), frontier.risk))
        ),
    )
