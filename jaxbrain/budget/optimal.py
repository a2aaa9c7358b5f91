"""The best split of one budget between one kind of recordings and labels."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._arguments import (
    BASELINES,
    ESTIMATORS,
    Baseline,
    Estimator,
    check_problem,
    check_recordings,
    is_white,
)
from .._checks import check_choice, check_number, check_shape, is_concrete
from .._typing import Real
from ..models import Problem
from ..models.problem import TracedProblem
from ..theory.accuracy import warn_outside_validated, warn_outside_validated_ridge
from ..theory.brain_stage import brain_stage, white_moments
from ..theory.spectral_study import with_geometry
from ..theory.task_stage import TaskStage, task_stage
from ..theory.two_penalties import two_penalty_stage
from ..theory.value import labels_without_brain
from ._money import checked_sum
from ._whole_numbers import (
    WINDOW,
    Limits,
    affordable,
    labels_beside,
    plan_or_labels_alone,
    recordings_beside,
    without_recordings,
)
from .any_covariance import allocate
from .results import Allocation, Frontier

# Numbers of recordings, from d + 2 to 1e9 d, at which the brain stage is solved. Between them a
# cubic is good to about 1e-5; only final candidates are evaluated exactly.
_NODES = 128
# Batches in which the search evaluates: the nodes in three, points ever finer between the
# neighbours of the best, and whole numbers in three (each number of one kind with the rest in the
# other, and the fewest recordings). The best of these are then evaluated exactly.
_PARTS, _WIDTH, _FINER, _EXACT = 3, 44, 17, 4
_HALF = _WIDTH // 2
_TURNS = [(kind, part) for kind, parts in enumerate((_PARTS, 4, _PARTS)) for part in range(parts)]
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
    encoding_penalty: Real | str | None = None,
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
    - `encoding_penalty`: ridge of the encoding stage, one number as in `risk`, or `"optimal"`, the
      best one at each amount of recordings. By default it is 0 for white inputs, and the best one
      for others.

    **Returns**

    An `Allocation`.

    - The numbers are whole. Recordings are none, where the baseline is best, or at least input_dim
      + 2, where the encoding stage starts to exist; with an encoding penalty, latent_dim + 1.
    - They cost no more than the budget: neither by the sums of money that are reported, nor in
      exact arithmetic on the prices as given. A price of 0.1 is a trifle more than a tenth in
      binary, so that a budget of 41 buys 409 labels at 0.1.
    - Derivatives of the numbers are zero. Those of `risk` and `saved` hold at given numbers.
    - Where not even the baseline is defined (too few labels for least squares) its risk is
      infinite.

    An `AccuracyWarning` tells where the closed forms are known to be off at the numbers bought.

    **Raises**

    `ValueError` that names the argument: sums of money that are arrays, negative, or not finite, an
    unknown `estimator` or `baseline`.

    **Source**

    Ours; the closed forms of `risk` and `two_penalty_risk` at their best penalties, minimised along
    the budget line: docs/theory.md, "Budget". For inputs of any covariance those of "Inputs of any
    covariance".
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
    if encoding_penalty is None:
        encoding_penalty = 0.0 if problem.geometry is None else "optimal"
    fewest, encoding = fewest_recordings(problem, encoding_penalty)
    if not is_white(problem, encoding):
        plan = allocate(problem, limits, encoding, fewest, estimator, baseline)
        warn_outside_validated_ridge(
            with_geometry(problem), plan.n_brain, encoding, estimator, stacklevel=3
        )
        return plan
    traced = problem.with_traced_sizes()
    # The equations of noisy channels take most of the time to compile: they are one program, for
    # nodes and candidates alike. Nodes do not depend on money, so that mapping over prices and
    # budgets solves them once; candidates do, and then stay as few as they are.
    nodes = _nodes(traced)
    at_nodes = _misalignment(traced, nodes)
    candidates, risk_at_nodes = _candidates(traced, limits, nodes, at_nodes, estimator)
    n_brain = candidates.n_brain
    if is_concrete(*jax.tree.leaves((problem, limits))):
        n_brain = jnp.pad(n_brain, (0, len(nodes) - _EXACT), constant_values=jnp.inf)
    exactly = candidates._replace(misalignment=_misalignment(traced, n_brain)[:_EXACT])
    plan = _best_plan(traced, limits, nodes, risk_at_nodes, exactly, estimator, baseline)
    warn_outside_validated(problem, plan.n_brain)
    return plan


def fewest_recordings(problem: Problem, encoding_penalty: Real | str) -> tuple[int, Array | None]:
    """The fewest recordings that the encoding stage can do with, and its checked penalty."""
    fewest = problem.input_dim + 2
    _, encoding = check_recordings(problem, fewest, encoding_penalty)
    if encoding is not None:
        check_number("encoding_penalty", encoding)
        check_shape("encoding_penalty", encoding, (), "one number, or 'optimal'")
    held = encoding is None or (is_concrete(encoding) and float(encoding) > 0)
    return (problem.latent_dim + 1 if held else fewest), encoding


def _misalignment(problem: TracedProblem, n_brain: Array) -> Array:
    return brain_stage(problem, n_brain, None, "finite").misalignment


@jax.jit
def _nodes(problem: TracedProblem) -> Array:
    """Uniform in log(n − d − 1); the last is repeated to fill the last batch."""
    like = problem.task_noise.dtype
    steps = jnp.minimum(jnp.arange(_PARTS * _WIDTH, dtype=like) / (_NODES - 1), 1.0)
    return jnp.exp(steps * _log_last(problem)) + (problem.input_dim + 1)


def _log_last(problem: TracedProblem) -> Array:
    return jnp.log(jnp.asarray(1e9, problem.task_noise.dtype) * problem.input_dim)


def _slopes(heights: Array) -> Array:
    """Derivatives by the number of the node, to the fourth order as the cubic between nodes is."""
    central = (heights[:-4] - 8 * heights[1:-3] + 8 * heights[3:-1] - heights[4:]) / 12
    ends = jnp.asarray([[-25, 48, -36, 16, -3], [-3, -10, 18, -6, 1]], heights.dtype) / 12
    first = jnp.matmul(ends, heights[:5], precision="highest")
    last = jnp.matmul(-ends, heights[:-6:-1], precision="highest")[::-1]
    return jnp.concatenate([first, central, last])


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


def _stage_of(problem: TracedProblem, batch: _Batch, estimator: str) -> TaskStage:
    if estimator == "befs":
        moments = white_moments(problem, batch.misalignment)
        return task_stage(problem, moments, batch.n_task, None, "finite")
    return two_penalty_stage(problem, batch.misalignment, batch.n_task)


def _lost(limits: Limits, batch: _Batch, stage: TaskStage) -> Array:
    """Labels that the rest of the money would have bought, less what the recordings are worth.

    Least where the risk is, σ²d/(n_task + extra − d − 1), but not lost in rounding beside many
    labels. Infinite, never NaN, where a design is not to be had.
    """
    available = limits.budget - limits.fixed_brain[0] - limits.fixed_task
    unspent = (available - limits.cost_task * batch.n_task) / limits.cost_task
    lost = unspent - stage.extra_samples
    defined = batch.allowed & ~jnp.isnan(stage.risk) & ~jnp.isnan(lost)
    return jax.lax.stop_gradient(jnp.where(defined, lost, jnp.inf))


@partial(jax.jit, static_argnames="estimator")
def _candidates(
    problem: TracedProblem, limits: Limits, nodes: Array, at_nodes: Array, estimator: str
) -> tuple[_Batch, Array]:
    """The whole numbers that lose least by interpolated misalignments, and the risk at the nodes.

    - `at_nodes`: misalignment at `nodes`.
    """
    fewest = problem.input_dim + 2.0
    cost_brain, fixed_brain = limits.cost_brain[0], limits.fixed_brain[0]
    cost_task = limits.cost_task
    available = limits.budget - fixed_brain - limits.fixed_task
    like = available.dtype
    slopes = _slopes(at_nodes[:_NODES])
    width = _log_last(problem) / (_NODES - 1)

    def labels_left(n_brain):
        """What is left for labels, as a real number."""
        return (available - cost_brain * n_brain) / cost_task

    def interpolated(n_brain):
        place = jnp.log(jnp.maximum(n_brain - problem.input_dim - 1, 1.0)) / width
        left = jnp.clip(jnp.floor(place), 0, _NODES - 2).astype(int)
        s = jnp.clip(place - left.astype(place.dtype), 0.0, 1.0)
        rise = at_nodes[left] * (1 + 2 * s) * (1 - s) ** 2 + at_nodes[left + 1] * s**2 * (3 - 2 * s)
        bend = slopes[left] * s * (1 - s) ** 2 - slopes[left + 1] * s**2 * (1 - s)
        return rise + bend

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
        batch = jax.lax.switch(kind, (some_nodes, within_bracket, whole), search, part)
        # Numbers are constants: derivatives are those at given numbers.
        n_brain, n_task = jax.lax.stop_gradient((batch.n_brain, batch.n_task))
        batch = batch._replace(n_brain=n_brain, n_task=n_task)
        stage = _stage_of(problem, batch, estimator)
        lost = _lost(limits, batch, stage)
        follow = (around_best_node, around_best_point, keep)
        search = jax.lax.switch(kind, follow, search, batch, lost, part)
        return jax.lax.stop_gradient(search), stage.risk

    nothing = jnp.zeros(_PARTS * _WIDTH, like)
    start = _Search(nodes[0], nodes[0], nothing, nothing, nothing + jnp.inf)
    start = jax.lax.stop_gradient(start)
    turns = jax.tree.map(jnp.asarray, tuple(np.array(_TURNS).T))
    found, risks = jax.lax.scan(evaluate, start, turns)
    lost, chosen = jax.lax.top_k(-found.lost, _EXACT)
    n_brain = jnp.maximum(found.brain[chosen], fewest)
    best = roughly(n_brain, found.labels[chosen], jnp.isfinite(lost))
    return jax.lax.stop_gradient(best), risks[:_PARTS].ravel()


@partial(jax.jit, static_argnames=("estimator", "baseline"))
def _best_plan(
    problem: TracedProblem,
    limits: Limits,
    nodes: Array,
    risk_at_nodes: Array,
    exactly: _Batch,
    estimator: str,
    baseline: str,
) -> Allocation:
    """The best of few candidates, of which all is known, or labels alone."""
    stage = _stage_of(problem, exactly, estimator)
    lost = _lost(limits, exactly, stage)
    best = jnp.argmin(lost)
    best_risk = jnp.where(jnp.isfinite(lost[best]), stage.risk[best], jnp.inf)

    # The frontier: each node with what the rest of the money buys of labels.
    nodes, risk_at_nodes = nodes[:_NODES], risk_at_nodes[:_NODES]
    available = limits.budget - limits.fixed_brain[0] - limits.fixed_task
    labels_left = (available - limits.cost_brain[0] * nodes) / limits.cost_task
    shown = (labels_left >= 0) & ~jnp.isnan(risk_at_nodes)
    frontier = Frontier(
        *(jnp.where(shown, x, jnp.nan) for x in (nodes, labels_left, risk_at_nodes))
    )
    return plan_or_labels_alone(
        limits,
        exactly.n_brain[best],
        exactly.n_task[best],
        best_risk,
        without_recordings(problem, limits, baseline),
        lambda risk: labels_without_brain(problem, risk, baseline),
        frontier,
    )
