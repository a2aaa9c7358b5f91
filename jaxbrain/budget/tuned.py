"""Splits of a budget by gradient descent: several modalities, labels, and the penalty too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._arguments import BASELINES, ESTIMATORS, Baseline, Estimator
from .._checks import check_choice
from .._threads import with_one_blas_thread
from .._typing import Real, Whole
from ..models.problem import TracedProblem
from ..theory.accuracy import warn_outside_validated
from ..theory.task_stage import TaskStage
from ..tuning.descent import Descent, Optimizer, check_options, default_tolerance, descend
from ._money import checked_sum
from ._whole_numbers import (
    Limits,
    bill_of_all_recordings,
    bill_of_labels,
    share_saved,
    whole_numbers,
    without_recordings,
)
from .designs import ClosedFormDesign, Design, check_design
from .modality import Modality, check_modalities
from .results import TunedAllocation

# Logits of the shares from which descents may begin, by the number of modalities: from a billionth
# of the money to all of it. Fewer where there are more of them.
_LOGITS = {
    1: np.arange(-22.0, 9.0, 2.0),
    2: np.arange(-16.0, 9.0, 4.0),
    3: np.arange(-9.0, 4.0, 4.0),
}


_MANY_LOGITS = np.array([-4.0, 0.0])


@with_one_blas_thread
def tune_allocation(
    modalities: Modality | Mapping[str, Modality],
    budget: Real,
    cost_task: Real,
    fixed_cost_task: Real = 0.0,
    *,
    most_labels: Real = np.inf,
    estimator: Estimator | None = None,
    baseline: Baseline = "ridge",
    risk: Design | None = None,
    optimizer: Optimizer = "lbfgs",
    starts: Whole = 2,
    tolerance: float | None = None,
    max_steps: Whole = 200,
    learning_rate: float = 0.1,
) -> TunedAllocation:
    """How much of each modality and how many labels to buy with one budget, by gradient descent.

    Every set of modalities is tried, none included, each from several starts. Within a set the
    shares of the money are what descends, in logits that keep every count within its limits and the
    whole within the budget. Whole numbers are searched around the best real ones. By default
    recordings are used at two penalties, and the rival without recordings is ridge regression at
    its best penalty.

    >>> import jaxbrain as jb
    >>> scanner = jb.Modality(jb.Problem.isotropic(4096, 6, 0.1, 0.1, 0.54), cost_brain=1.0)
    >>> plan = jb.tune_allocation(scanner, budget=30_000, cost_task=1.0)
    >>> round(int(plan.n_brain), -3), round(int(plan.n_task), -3)
    (25000, 5000)
    >>> f"{float(plan.risk):.2f}", bool(plan.converged)
    ('0.19', True)

    There is one compiled program for all numbers.

    **Arguments**

    - `modalities`: one `Modality`, or several by name (at most six).
    - `budget`: money, greater than 0. All sums are in one currency. They are numbers, not arrays:
      map over many with `jax.vmap`.
    - `cost_task`, `fixed_cost_task`: price of a label, and what is due as soon as there is any.
    - `most_labels`: the largest number of labels that can be had; the rest of the money is kept.
    - `estimator`, `baseline`: as in `optimal_allocation`. Without an estimator it is that of
      `risk`, which is `"befs_two_penalties"` by default.
    - `risk`: what a design leads to. The default is `ClosedFormDesign`. `MonteCarloDesign` does it
      for one modality by simulation.
    - `optimizer`, `starts`, `tolerance`, `max_steps`, `learning_rate`: as in `tune_penalty`.

    **Returns**

    A `TunedAllocation`: what every plan says, and how the search ended. Where only one modality is
    worth buying, the answer has 0 of all others. It never costs more than the budget, in exact
    arithmetic on the prices as given. An `AccuracyWarning` tells where the closed forms are known
    to be off at the numbers bought.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    Ours: docs/theory.md, "Budget" and "Several modalities".
    """
    if estimator is not None:
        check_choice("estimator", estimator, ESTIMATORS)
    check_choice("baseline", baseline, BASELINES)
    starts, max_steps = check_options(optimizer, starts, max_steps, tolerance, learning_rate)
    if not isinstance(modalities, Modality | Mapping):
        raise ValueError("modalities must be a Modality, or a dict of them by name")
    named = {"": modalities} if isinstance(modalities, Modality) else dict(modalities)
    check_modalities(named)
    problems = tuple(modality.problem for modality in named.values())
    like = problems[0].task_noise
    budget = checked_sum("budget", budget, like, up=False)
    cost_task = checked_sum("cost_task", cost_task, like, up=True)
    fixed_task = checked_sum("fixed_cost_task", fixed_cost_task, like, up=True, zero_allowed=True)
    most_labels = checked_sum(
        "most_labels", most_labels, like, up=False, zero_allowed=True, limited=False
    )
    if risk is None:
        risk = ClosedFormDesign(problems, estimator or "befs_two_penalties")
    else:
        check_design(risk, problems, estimator)
    tolerance = default_tolerance(like.dtype) if tolerance is None else tolerance
    prices = [
        jnp.stack([jnp.asarray(getattr(m, name), like.dtype) for m in named.values()])
        for name in ("cost_brain", "fixed_cost_brain", "most")
    ]
    cost_brain, fixed_brain, most_brain = prices
    found = _tune_allocation(
        tuple(problem.with_traced_sizes() for problem in problems),
        risk.with_traced_sizes(),
        Limits(
            cost_brain,
            fixed_brain,
            jnp.floor(most_brain),
            budget,
            cost_task,
            fixed_task,
            jnp.floor(most_labels),
        ),
        baseline,
        starts,
        optimizer,
        jnp.asarray(tolerance, like.dtype),
        jnp.asarray(learning_rate, like.dtype),
        jnp.asarray(max_steps),
    )
    if isinstance(risk, ClosedFormDesign):
        for problem, bought in zip(problems, found.n_brain, strict=True):
            warn_outside_validated(problem, bought, stacklevel=4)
    n_brain = dict(zip(named, found.n_brain, strict=True))
    return found._replace(n_brain=n_brain[""] if isinstance(modalities, Modality) else n_brain)


@eqx.filter_jit
def _tune_allocation(
    problems: tuple[TracedProblem, ...],
    risk: Design,
    limits: Limits,
    baseline: str,
    starts: int,
    optimizer: str,
    tolerance: Array,
    learning_rate: Array,
    max_steps: Array,
) -> TunedAllocation:
    problem, count = problems[0], len(problems)
    sizes = jnp.asarray([problem.latent_dim for problem in problems], limits.budget.dtype)
    all_penalised = risk.estimator == "befs_two_penalties"
    sets = np.array(list(itertools.product([False, True], repeat=count))[1:])

    def of_set(case: tuple[Array, Array]):
        bought, all_labels = case
        # Unpenalised weights need labels of their own, and two more.
        fewest_labels = jnp.sum(jnp.where(bought, sizes, 0.0)) + 2
        # Recordings alone teach no task.
        fewest_labels = jnp.ones_like(fewest_labels) if all_penalised else fewest_labels
        return _best_of_set(
            _held(problem),
            risk,
            _held(limits),
            bought,
            all_labels,
            fewest_labels,
            optimizer=optimizer,
            starts=starts,
            tolerance=tolerance,
            learning_rate=learning_rate,
            max_steps=max_steps,
        )

    # Once with all labels that can be had, once with as many as the money for them buys.
    cases = np.repeat(sets, 2, axis=0), np.tile([True, False], len(sets))
    found = jax.lax.map(of_set, jax.tree.map(jnp.asarray, cases))
    best = jnp.argmin(_or_infinite(found.loss))
    plan = jax.tree.map(lambda x: x[best], found)

    alone = without_recordings(problem, limits, baseline)
    collect = plan.risk < alone.risk
    n_brain = jnp.where(collect, plan.n_brain, 0.0)
    n_task = jnp.where(collect, plan.n_task, alone.n_task)
    least = jnp.where(collect, plan.risk, alone.risk)
    on_brain, on_task = bill_of_all_recordings(limits, n_brain), bill_of_labels(limits, n_task)
    saved = share_saved(problem, limits, baseline, least, on_brain + on_task, alone)
    return TunedAllocation(
        n_brain=n_brain,
        n_task=n_task,
        risk=least,
        spent_on_brain=on_brain,
        spent_on_task=on_task,
        n_task_without_brain=alone.n_task,
        risk_without_brain=alone.risk,
        saved=jnp.where(collect, saved, 0.0),
        penalty=jnp.where(collect, plan.penalty, jnp.nan),
        gradient_norm=plan.gradient_norm,
        steps=plan.steps,
        converged=plan.converged,
    )


class _SetPlan(NamedTuple):
    """The best plan that buys some of each modality of a set."""

    n_brain: Array
    n_task: Array
    penalty: Array
    risk: Array
    loss: Array
    gradient_norm: Array
    steps: Array
    converged: Array


def _best_of_set(
    problem: TracedProblem,
    risk: Design,
    limits: Limits,
    bought: Array,
    all_labels: Array,
    fewest_labels: Array,
    *,
    starts: int,
    **descent: Any,
) -> _SetPlan:
    count, d = limits.cost_brain.shape[0], problem.input_dim
    fewest = d + 2.0
    fixed = limits.fixed_task + jnp.sum(jnp.where(bought, limits.fixed_brain, 0.0))
    available = limits.budget - fixed
    prices = limits.cost_brain
    least_on = jnp.where(bought, prices * fewest, 0.0)
    first_labels = jnp.where(all_labels, limits.most_labels, fewest_labels)
    feasible = available >= limits.cost_task * first_labels + jnp.sum(least_on)
    feasible &= jnp.all(~bought | (limits.most_brain >= fewest))
    feasible &= limits.most_labels >= fewest_labels

    def design(logits: Array) -> tuple[Array, Array]:
        """Counts within their limits: modalities take shares of what is left, one after another."""
        left = available - limits.cost_task * first_labels - jnp.sum(least_on)
        numbers = []
        for j in range(count):
            room = jnp.clip(left / prices[j], 0.0, limits.most_brain[j] - fewest)
            more = jnp.where(bought[j], jax.nn.sigmoid(logits[j]) * room, 0.0)
            left = left - prices[j] * more
            numbers.append(jnp.where(bought[j], fewest + more, 0.0))
        n_task = first_labels + jnp.where(all_labels, 0.0, left / limits.cost_task)
        return jnp.stack(numbers), jnp.minimum(n_task, limits.most_labels)

    def labels_lost(stage: TaskStage, n_task: Array) -> Array:
        """Labels that the money does not buy, less what the recordings are worth.

        Least where the risk is, σ²d/(n_task + extra − d − 1), but not lost in rounding beside many
        labels.
        """
        rival = (limits.budget - limits.fixed_task) / limits.cost_task
        return rival - n_task - stage.extra_samples

    held = _held(risk)

    def loss(logits: Array) -> Array:
        n_brain, n_task = design(logits)
        return labels_lost(held.stage(bought, n_brain, n_task), n_task)

    def search() -> _SetPlan:
        end = _least(loss, count, starts, available.dtype, scale=d, **descent)
        whole = whole_numbers(
            risk, limits, bought, *design(end.parameters), fewest, fewest_labels, labels_lost
        )
        return _SetPlan(*whole, end.gradient_norm, end.steps, end.converged)

    def nothing() -> _SetPlan:
        zero = jnp.zeros_like(available)
        infinite = jnp.full_like(zero, jnp.inf)
        return _SetPlan(
            n_brain=jnp.zeros_like(prices),
            n_task=zero,
            penalty=zero,
            risk=infinite,
            loss=infinite,
            gradient_norm=zero,
            steps=jnp.asarray(0),
            converged=jnp.asarray(True),
        )

    return jax.lax.cond(feasible, search, nothing)


def _least(
    loss: Callable[[Array], Array],
    count: int,
    starts: int,
    dtype: Any,
    *,
    max_steps: Array,
    **descent: Any,
) -> Descent:
    """The best of descents from the lowest points of a grid that are no neighbours of each other.

    First the points are looked at, then descended from, by one piece of code that is compiled once.
    """
    steps = _LOGITS.get(count, _MANY_LOGITS)
    grid = np.stack(np.meshgrid(*[steps] * count, indexing="ij"), axis=-1).reshape(-1, count)
    points, gap = jnp.asarray(grid, dtype), float(steps[1] - steps[0])

    def look_or_descend(heights: Array, turn: Array) -> tuple[Array, Descent]:
        looking = turn < len(grid)
        start = points[jnp.where(looking, turn, jnp.argmin(heights))]
        end = descend(
            lambda logits: _value_and_slopes(loss, logits),
            start,
            max_steps=jnp.where(looking, 0, max_steps),
            **descent,
        )
        near = jnp.max(jnp.abs(points - start[None]), axis=1) <= gap
        seen = heights.at[turn].set(_or_infinite(end.value), mode="drop")
        return jnp.where(looking, seen, jnp.where(near, jnp.inf, heights)), end

    heights = jnp.full(len(grid), jnp.inf, dtype)
    ends = jax.lax.scan(look_or_descend, heights, jnp.arange(len(grid) + starts))[1]
    ends = jax.tree.map(lambda x: x[len(grid) :], ends)
    best = jnp.argmin(_or_infinite(ends.value))
    return jax.tree.map(lambda x: x[best], ends)


def _value_and_slopes(function: Callable[[Array], Array], at: Array) -> tuple[Array, Array]:
    """Value and gradient in few parameters, forwards, which compiles faster than backwards."""

    def along(direction: Array) -> tuple[Array, Array]:
        return jax.jvp(function, (at,), (direction,))

    if len(at) == 1:
        value, slope = along(jnp.ones_like(at))
        return value, slope[None]
    return jax.vmap(along, out_axes=(None, 0))(jnp.eye(len(at), dtype=at.dtype))


def _or_infinite(value: Array) -> Array:
    return jnp.where(jnp.isnan(value), jnp.inf, value)


def _held(tree: Any) -> Any:
    """The same numbers as constants: plans do not move with them."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree)
