"""The best split of one budget between one kind of recordings and labels."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._arguments import BASELINES, ESTIMATORS, Baseline, Estimator, check_problem
from .._checks import check_choice
from .._typing import Real
from ..models import Problem
from ..models.problem import TracedProblem
from ..theory.brain_stage import subspace_moments, white_moments
from ..theory.task_stage import task_stage
from ..theory.two_penalties import two_penalty_stage
from ._money import checked_sum
from ._whole_numbers import (
    WINDOW,
    Limits,
    affordable,
    bill_of_labels,
    bill_of_recordings,
    labels_beside,
    recordings_beside,
    share_saved,
    without_recordings,
)
from .results import Allocation, Frontier

# Numbers of recordings, from d + 2 to 1e9 d, at which the brain stage is solved. Between them a
# cubic with the right slopes is good to about 1e-5; only final candidates are evaluated exactly.
_NODES = 128
# Batches in which the search evaluates: the nodes in three, points ever finer between the
# neighbours of the best, whole numbers in three (each number of one kind with the rest in the
# other, and the fewest recordings), and the best of these exactly.
_PARTS, _WIDTH, _FINER, _EXACT = 3, 44, 17, 4
_HALF = _WIDTH // 2
_TURNS = [
    (kind, part) for kind, parts in enumerate((_PARTS, 4, _PARTS, 1)) for part in range(parts)
]
_OFFSETS = np.append(WINDOW, np.nan)


def optimal_allocation(
    problem: Problem,
    budget: Real,
    cost_brain: Real,
    cost_task: Real,
    fixed_cost_brain: Real = 0.0,
    fixed_cost_task: Real = 0.0,
    *,
    estimator: Estimator = "befs_two_penalties",
    baseline: Baseline = "ridge",
) -> Allocation:
    """How many brain samples and how many labels to buy with a budget, for the least test error.

    By default recordings are used at two penalties, and the rival without recordings is ridge
    regression at its best penalty.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 6, 0.1, 0.1, 0.54)
    >>> plan = jb.optimal_allocation(problem, budget=30_000, cost_brain=1.0, cost_task=1.0)
    >>> round(int(plan.n_brain), -3), round(int(plan.n_task), -3)
    (25000, 5000)
    >>> f"{float(plan.risk):.2f} {float(plan.saved):.2f}"
    '0.19 0.83'

    **Arguments**

    - `problem`: the study.
    - `budget`: money, greater than 0. All sums are in one currency. They are numbers, not arrays:
      map over many with `jax.vmap`.
    - `cost_brain`, `cost_task`: price of one recorded sample and of one label, greater than 0.
    - `fixed_cost_brain`, `fixed_cost_task`: what is due as soon as there is any of them (a scanner,
      an annotation platform), at least 0.
    - `estimator`: what recordings are used with. `"befs_two_penalties"` is BEFS at its two best
      penalties. `"befs"`, the paper's, is BEFS at its one best penalty.
    - `baseline`: what is done without any recordings. `"ridge"` is ridge regression at its best
      penalty. `"ols"`, ordinary least squares, is the paper's.

    **Returns**

    An `Allocation`.

    - The numbers are whole. Recordings are none, where the baseline is best, or at least input_dim
      + 2, where the encoding stage starts to exist.
    - They cost no more than the budget: neither by the sums of money that are reported, nor in
      exact arithmetic on the prices as given. A price of 0.1 is a trifle more than a tenth in
      binary, so that a budget of 41 buys 409 labels at 0.1.
    - Derivatives of the numbers are zero. Those of `risk` and `saved` hold at given numbers.
    - Where not even the baseline is defined (too few labels for least squares) its risk is
      infinite.

    **Raises**

    `ValueError` that names the argument: sums of money that are arrays, negative, or not finite, an
    unknown `estimator` or `baseline`.

    **Source**

    Ours; the closed forms of `risk` and `two_penalty_risk` at their best penalties, minimised along
    the budget line: docs/theory.md, "Budget".
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
    numbers = {
        name: checked_sum(
            name,
            given,
            problem.task_noise,
            up=name != "budget",
            zero_allowed=name.startswith("fixed"),
        )
        for name, given in money.items()
    }
    without_limit = jnp.full_like(numbers["budget"], jnp.inf)
    limits = Limits(
        cost_brain=numbers["cost_brain"][None],
        fixed_brain=numbers["fixed_cost_brain"][None],
        most_brain=without_limit[None],
        budget=numbers["budget"],
        cost_task=numbers["cost_task"],
        fixed_task=numbers["fixed_cost_task"],
        most_labels=without_limit,
    )
    return _optimal_allocation(problem.with_traced_sizes(), limits, estimator, baseline)


class _Search(NamedTuple):
    """Where the search stands: a bracket, and whole numbers with what they lose."""

    low: Array
    high: Array
    brain: Array
    labels: Array
    lost: Array


class _Batch(NamedTuple):
    """Designs to evaluate at once."""

    n_brain: Array
    n_task: Array
    misalignment: Array
    allowed: Array


@partial(jax.jit, static_argnames=("estimator", "baseline"))
def _optimal_allocation(problem: TracedProblem, limits: Limits, estimator: str, baseline: str):
    fewest = problem.input_dim + 2.0
    cost_brain, fixed_brain = limits.cost_brain[0], limits.fixed_brain[0]
    cost_task = limits.cost_task
    available = limits.budget - fixed_brain - limits.fixed_task
    like = available.dtype

    def labels_left(n_brain):
        """What is left for labels, as a real number."""
        return (available - cost_brain * n_brain) / cost_task

    def stage_of(misalignment, n_task):
        if estimator == "befs":
            return task_stage(problem, white_moments(problem, misalignment), n_task, None, "finite")
        return two_penalty_stage(problem, misalignment, n_task)

    def regret(stage, n_task):
        """Labels that the rest of the money would have bought, less what the recordings are worth.

        Least where the risk is, σ²d/(n_task + extra − d − 1), but not lost in rounding beside many
        labels.
        """
        return (available - cost_task * n_task) / cost_task - stage.extra_samples

    def misalignment_of(n_brain):
        return subspace_moments(problem, n_brain, None, "finite").misalignment

    # The brain stage at fixed nodes, uniform in log(n − d − 1): they do not depend on money, so
    # that mapping over prices and budgets solves it once.
    log_last = jnp.log(jnp.asarray(1e9, like) * problem.input_dim)
    width = log_last / (_NODES - 1)
    steps = jnp.minimum(jnp.arange(_PARTS * _WIDTH, dtype=like) / (_NODES - 1), 1.0)
    beyond = jnp.exp(steps * log_last)
    nodes = problem.input_dim + 1 + beyond
    at_nodes, slopes = jax.jvp(misalignment_of, (nodes,), (beyond,))

    def interpolated(n_brain):
        place = jnp.log(jnp.maximum(n_brain - problem.input_dim - 1, 1.0)) / width
        left = jnp.clip(jnp.floor(place), 0, _NODES - 2).astype(int)
        s = jnp.clip(place - left.astype(place.dtype), 0.0, 1.0)
        rise = at_nodes[left] * (1 + 2 * s) * (1 - s) ** 2 + at_nodes[left + 1] * s**2 * (3 - 2 * s)
        bend = slopes[left] * s * (1 - s) ** 2 - slopes[left + 1] * s**2 * (1 - s)
        return rise + width * bend

    def roughly(n_brain, n_task, allowed):
        # Recordings alone teach no task: what they seem to gain without a label is rounding.
        allowed = allowed & (n_brain >= fewest) & (n_task >= 1)
        return _Batch(n_brain, jnp.maximum(n_task, 0.0), interpolated(n_brain), allowed)

    def part_of(array, part):
        return jax.lax.dynamic_slice_in_dim(array, part * _WIDTH, _WIDTH)

    # What is evaluated, in turn. The task stage is compiled once, for batches of one width.

    def some_nodes(search: _Search, part: Array) -> _Batch:
        n_brain = part_of(nodes, part)
        n_task = labels_left(n_brain)
        shown = (n_task >= 0) & (jnp.arange(_WIDTH) + part * _WIDTH < _NODES)
        return _Batch(n_brain, jnp.maximum(n_task, 0.0), part_of(at_nodes, part), shown)

    def within_bracket(search: _Search, part: Array) -> _Batch:
        share = jnp.minimum(jnp.arange(_WIDTH, dtype=like) / (_FINER - 1), 1.0)
        points = search.low + (search.high - search.low) * share
        return roughly(points, labels_left(points), jnp.ones(_WIDTH, bool))

    def whole(search: _Search, part: Array) -> _Batch:
        # Each number of one kind with all that the rest of the money buys of the other.
        optimum = (search.low + search.high) / 2
        offsets = jax.lax.dynamic_slice_in_dim(jnp.asarray(_OFFSETS, like), part * _HALF, _HALF)
        brain = jnp.where(jnp.isnan(offsets), fewest, jnp.round(optimum) + offsets)
        labels = jnp.maximum(jnp.round(labels_left(optimum)) + offsets, 0.0)
        labels = jnp.where(jnp.isnan(offsets), 0.0, labels)
        none = jnp.zeros(1, like)
        beside = recordings_beside(limits, none, 0, labels)[:, 0]
        brain, labels = (
            jnp.concatenate([brain, beside]),
            jnp.concatenate([labels_beside(limits, brain[:, None]), labels]),
        )
        return roughly(brain, labels, affordable(limits, brain[:, None], labels))

    def exactly(search: _Search, part: Array) -> _Batch:
        lost, chosen = jax.lax.top_k(-search.lost, _EXACT)
        n_brain, n_task = search.brain[chosen], search.labels[chosen]
        missed = misalignment_of(jnp.maximum(n_brain, fewest))
        batch = _Batch(n_brain, n_task, missed, jnp.isfinite(lost) & (n_task >= 1))
        return jax.tree.map(lambda x: jnp.pad(x, (0, _WIDTH - _EXACT), mode="edge"), batch)

    # What follows from it.

    def keep(search: _Search, batch: _Batch, lost: Array, part: Array) -> _Search:
        def put(array, new):
            return jax.lax.dynamic_update_slice_in_dim(array, new, part * _WIDTH, 0)

        return search._replace(
            brain=put(search.brain, batch.n_brain),
            labels=put(search.labels, batch.n_task),
            lost=put(search.lost, lost),
        )

    def around_best_node(search: _Search, batch: _Batch, lost: Array, part: Array) -> _Search:
        search = keep(search, batch, lost, part)
        best = jnp.argmin(search.lost)
        last = jnp.maximum(available / cost_brain, fewest)
        high = jnp.minimum(nodes[jnp.minimum(best + 1, _NODES - 1)], last)
        return search._replace(low=nodes[jnp.maximum(best - 1, 0)], high=high)

    def around_best_point(search: _Search, batch: _Batch, lost: Array, part: Array) -> _Search:
        best = jnp.argmin(lost)
        ends = jnp.maximum(best - 1, 0), jnp.minimum(best + 1, _FINER - 1)
        return search._replace(low=batch.n_brain[ends[0]], high=batch.n_brain[ends[1]])

    def evaluate(search: _Search, turn: tuple[Array, Array]):
        kind, part = turn
        batch = jax.lax.switch(kind, (some_nodes, within_bracket, whole, exactly), search, part)
        # Numbers are constants: derivatives are those at given numbers.
        n_brain, n_task = jax.lax.stop_gradient((batch.n_brain, batch.n_task))
        stage = stage_of(batch.misalignment, n_task)
        lost = regret(stage, n_task)
        lost = jnp.where(batch.allowed & ~jnp.isnan(stage.risk), lost, jnp.inf)
        lost = jax.lax.stop_gradient(jnp.where(jnp.isnan(lost), jnp.inf, lost))
        batch = batch._replace(n_brain=n_brain, n_task=n_task)
        follow = (around_best_node, around_best_point, keep, keep)
        search = jax.lax.switch(kind, follow, search, batch, lost, part)
        return jax.lax.stop_gradient(search), stage.risk

    nothing = jnp.zeros(_PARTS * _WIDTH, like)
    start = _Search(nodes[0], nodes[0], nothing, nothing, nothing + jnp.inf)
    start = jax.lax.stop_gradient(start)
    turns = jax.tree.map(jnp.asarray, tuple(np.array(_TURNS).T))
    found, risks = jax.lax.scan(evaluate, start, turns)
    best = jnp.argmin(found.lost[:_EXACT])
    best_risk = jnp.where(jnp.isfinite(found.lost[best]), risks[-1][best], jnp.inf)

    alone = without_recordings(problem, limits, baseline)
    collect = best_risk < alone.risk
    n_brain = jnp.where(collect, found.brain[best], 0.0)
    n_task = jnp.where(collect, found.labels[best], alone.n_task)
    risk = jnp.where(collect, best_risk, alone.risk)
    spent_on_brain = bill_of_recordings(limits, n_brain, 0)
    spent_on_task = bill_of_labels(limits, n_task)
    spent = spent_on_brain + spent_on_task
    saved = share_saved(problem, limits, baseline, risk, spent, alone)
    risk_at_nodes = risks[:_PARTS].ravel()[:_NODES]
    nodes = nodes[:_NODES]
    shown = (labels_left(nodes) >= 0) & ~jnp.isnan(risk_at_nodes)
    return Allocation(
        n_brain=n_brain,
        n_task=n_task,
        risk=risk,
        spent_on_brain=spent_on_brain,
        spent_on_task=spent_on_task,
        n_task_without_brain=alone.n_task,
        risk_without_brain=alone.risk,
        saved=jnp.where(collect, saved, 0.0),
        frontier=Frontier(
            *(jnp.where(shown, x, jnp.nan) for x in (nodes, labels_left(nodes), risk_at_nodes))
        ),
    )
