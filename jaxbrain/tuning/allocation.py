"""Splits of a budget by gradient descent: several modalities and labels, and the penalty with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import (
    check_choice,
    check_integer,
    check_key,
    check_positive,
    is_concrete,
    kind_of,
)
from .._typing import Real
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
from ..theory.brain_stage import check_problem, learned_subspace
from ..theory.budget import ESTIMATORS
from ..theory.exchange import BASELINES
from ..theory.money import at_least, bill, checked_sum, most
from ..theory.resolvent import resolvent
from ..theory.task_stage import TaskStage, ridge_stage, task_only_risk
from ..theory.two_penalties import information_trace
from .descent import OPTIMIZERS, default_tolerance, minimise
from .penalty import tune_penalty
from .risks import MonteCarloRisk

# Logits of the shares from which descents may begin, by the number of modalities: from a billionth of the
# money to all of it. Fewer where there are more of them.
_LOGITS = {
    1: np.arange(-22.0, 9.0, 2.0),
    2: np.arange(-16.0, 9.0, 4.0),
    3: np.arange(-9.0, 4.0, 4.0),
}
_MANY_LOGITS = np.array([-4.0, 0.0])
_MOST_MODALITIES = 6
# Whole numbers around the best real ones that are tried, to each side.
_WINDOW = 32
_ROUNDS = 3


class Modality(eqx.Module):
    """A way of recording the brain: what it teaches, what it costs, and how much of it there can be.

    - `problem`: the task seen by these recordings. All modalities have the same inputs and the same task,
      hence the same input_dim, task_noise and total power.
    - `cost_brain`: price of one recorded sample, greater than 0. `fixed_cost_brain`: what is due as soon
      as there is any, at least 0.
    - `most`: the largest number of samples that can be had (hours times samples an hour), by default
      without limit.
    """

    problem: Problem
    cost_brain: Real
    fixed_cost_brain: Real
    most: Real

    def __init__(
        self,
        problem: Problem,
        cost_brain: Real,
        fixed_cost_brain: Real = 0.0,
        most: Real = np.inf,
    ):
        """Check the numbers. **Raises** `ValueError` that names the argument and the remedy."""
        check_problem(problem)
        like = problem.task_noise
        self.problem = problem
        self.cost_brain = checked_sum("cost_brain", cost_brain, like, up=True)
        self.fixed_cost_brain = checked_sum(
            "fixed_cost_brain", fixed_cost_brain, like, up=True, zero_allowed=True
        )
        self.most = checked_sum("most", most, like, up=False, zero_allowed=True, limited=False)


class TunedAllocation(NamedTuple):
    """The best split found: whole samples and money, and how the search ended.

    - `n_brain`: recorded samples of each modality, a dict by name as given; a number where one modality was
      given without a name.
    - `n_task`: labels.
    - `penalty`: the best penalty there, λ a sample; NaN without recordings, and with two penalties.
    - `risk`: excess risk there, in the units of ‖β‖².
    - `spent`: money on everything, fixed costs included, in the currency of the budget.
    - `n_task_without_brain`: labels that the same money buys without recordings.
    - `risk_without_brain`: excess risk of the baseline with that many labels.
    - `gradient_norm`: largest derivative of the loss, in labels, with respect to the logits of the shares
      (and the logarithm of the penalty), in the descent that led to the answer.
    - `steps`: of that descent.
    - `converged`: whether that gradient is below the tolerance times (size of the loss + input_dim).

    Single numbers.
    """

    n_brain: Any
    n_task: Array
    penalty: Array
    risk: Array
    spent: Array
    n_task_without_brain: Array
    risk_without_brain: Array
    gradient_norm: Array
    steps: Array
    converged: Array


class ClosedFormDesign(eqx.Module):
    """What a design leads to, in closed form: recordings of several modalities beside labels.

    Each modality teaches a subspace of its own; the task is learned with their union. Modalities miss
    different parts of the task, independently of each other: their subspaces are in no special position
    but for what each holds of the task. Then with o_j = (1 − m_j)/m_j the odds that modality j alone
    leads to, m_j its relative E‖K̂β‖², that of the union is

        m = 1/(1 + Σ o_j (d − k_j)/(d − K)),    K = Σ k_j.

    - `problems`: a tuple, the task as seen by each modality.
    - `estimator`: `"befs"` or `"befs_two_penalties"`, at its best penalties.

    **Source.** Ours: docs/theory.md, "Several modalities".
    """

    problems: tuple[Problem, ...]
    estimator: str = eqx.field(static=True, default="befs")

    def __check_init__(self):
        """Check the arguments. **Raises** `ValueError` that names the argument."""
        check_choice("estimator", self.estimator, ESTIMATORS)
        if not isinstance(self.problems, tuple) or not self.problems:
            raise ValueError("problems must be a tuple of at least one jaxbrain.Problem")
        for problem in self.problems:
            check_problem(problem)

    def latents(self) -> tuple[int, ...]:
        """Dimensions of the subspace of each modality."""
        return tuple(problem.latent_dim for problem in self.problems)

    def misalignment(self, which: int, n_brain: Array) -> Array:
        """E‖K̂β‖² of one modality alone, relative to ‖β‖²."""
        problem = self.problems[which]
        return learned_subspace(problem, n_brain, None, "finite").misalignment / problem.total_power

    def of_misalignments(
        self, bought: Array, relative: Array, n_task: Array
    ) -> tuple[TaskStage, Array]:
        """The task stage and its penalty, from the relative misalignment of each modality."""
        problem, d = self.problems[0], self.problems[0].input_dim
        sizes = jnp.asarray(self.latents(), relative.dtype)
        k = jnp.sum(jnp.where(bought, sizes, 0.0))
        q = d - k
        possible = q >= 1
        q = jnp.where(possible, q, 1.0)
        tiny = jnp.finfo(relative.dtype).tiny
        odds = (1 - relative) / jnp.maximum(relative, tiny) * (d - sizes) / q
        missed = problem.total_power / (1 + jnp.sum(jnp.where(bought, odds, 0.0)))
        if self.estimator == "befs_two_penalties":
            stage = information_trace(problem, k, q, missed, n_task)
            best = jnp.full_like(missed, jnp.nan)
        else:
            stage = _isotropic_stage(problem.task_noise, k, q, missed, n_task)
            best = problem.task_noise * q / (n_task * missed)
        return TaskStage(
            jnp.where(possible, stage.risk, jnp.inf),
            jnp.where(possible, stage.extra_samples, -jnp.inf),
        ), best

    def __call__(
        self, bought: Array, n_brain: Array, n_task: Array, penalty: Array | None = None
    ) -> TaskStage:
        """Error, and worth in labels, of one design; `bought` says which modalities are in it."""
        relative = [
            self.misalignment(j, jnp.where(bought[j], n_brain[j], 2.0 * problem.input_dim + 2))
            for j, problem in enumerate(self.problems)
        ]
        return self.of_misalignments(bought, jnp.stack(relative), n_task)[0]


def _isotropic_stage(noise: Array, k: Array, q: Array, missed: Array, n: Array) -> TaskStage:
    """`penalised_regression` at its best penalty, with dimensions that may be traced."""
    learnable = n > k + 1
    n = jnp.where(learnable, n, k + q + 2)
    moments = resolvent(noise * q, missed, q, n - k)
    spread = 1 + k / (n - k - 1)
    block = missed * moments.c2_t2 / q + noise * moments.noise
    risk = block * spread + noise * k / (n - k - 1)
    gain = noise * moments.noise_excess - (n - k - q - 1) * moments.c2_t2 * missed / q
    return TaskStage(
        jnp.where(learnable, risk, jnp.inf), jnp.where(learnable, gain * spread / risk, -jnp.inf)
    )


class MonteCarloDesign(eqx.Module):
    """What a design leads to, simulated with common random numbers: `MonteCarloRisk` of real sample numbers.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    >>> design = jb.MonteCarloDesign(problem, trials=20, key=jax.random.key(0))
    >>> modality = jb.Modality(problem, cost_brain=0.3)
    >>> amounts = jax.numpy.array([30.0, 60.0])
    >>> few, more = (float(design.risk_at(n, 2 * amounts[0])(1.0)) for n in amounts)
    >>> more < few
    True

    `tune_allocation(modality, budget=100, cost_task=1.0, risk=design)` then finds the best of these designs; to compile
    it takes about a minute. One modality, BEFS with one penalty, which is part of the design. Subspaces are drawn, traces are in closed
    form, which knows real numbers of labels.

    - `model`, `trials`, `key`: as in `MonteCarloRisk`.
    """

    model: LinearGaussianModel | Problem
    key: PRNGKeyArray
    trials: int = eqx.field(static=True)

    def __init__(self, model: LinearGaussianModel | Problem, *, trials: int, key: PRNGKeyArray):
        """**Raises** `ValueError` where `MonteCarloRisk` does."""
        check_integer("trials", trials, 2)
        check_key(key)
        check_model(model)
        self.model, self.key, self.trials = model, key, trials

    def risk_at(self, n_brain: Array, n_task: Array) -> MonteCarloRisk:
        """The objective of its penalty at one design."""
        return MonteCarloRisk(
            self.model, n_brain, n_task, trials=self.trials, key=self.key, traces="closed form"
        )

    def __call__(
        self, bought: Array, n_brain: Array, n_task: Array, penalty: Array | None = None
    ) -> TaskStage:
        """Error, and worth in labels, of one design."""
        objective = self.risk_at(n_brain[0], n_task)
        problem = objective.problem
        risk = objective(penalty)
        total = problem.task_noise * problem.input_dim / risk
        return TaskStage(risk, problem.input_dim + 1 + total - n_task)


def tune_allocation(
    modalities: Modality | Mapping[str, Modality],
    budget: Real,
    cost_task: Real,
    fixed_cost_task: Real = 0.0,
    *,
    most_labels: Real = np.inf,
    estimator: str = "befs",
    baseline: str = "ols",
    risk: ClosedFormDesign | MonteCarloDesign | None = None,
    optimizer: str = "lbfgs",
    starts: int = 2,
    tolerance: float | None = None,
    max_steps: int = 200,
    learning_rate: float = 0.1,
) -> TunedAllocation:
    """How much of each modality and how many labels to buy with one budget, by gradient descent.

    Every set of modalities is tried, none included, each from several starts; within a set the shares of
    the money are what descends, in logits that keep every count within its limits and the whole within the
    budget. Where only one modality is worth buying, the answer has 0 of all others. Whole numbers are
    searched around the best real ones.

    >>> import jaxbrain as jb
    >>> scanner = jb.Modality(jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54), cost_brain=1.0)
    >>> plan = jb.tune_allocation(scanner, budget=50_000, cost_task=1.0)
    >>> int(plan.n_brain), int(plan.n_task), f"{float(plan.risk):.3f}", bool(plan.converged)
    (18006, 31994, '0.311', True)

    - `modalities`: one `Modality`, or several by name (at most six).
    - `budget`: money, greater than 0; `cost_task`, `fixed_cost_task`: price of a label, and what is due as
      soon as there is any. One currency; numbers, not arrays: map over many with `jax.vmap`.
    - `most_labels`: the largest number of labels that can be had; the rest of the money is kept.
    - `estimator`, `baseline`: as in `optimal_allocation`.
    - `risk`: what a design leads to; by default `ClosedFormDesign`, with `MonteCarloDesign` for one modality by
      simulation, in which the penalty is searched together with the split.
    - `optimizer`, `starts`, `tolerance`, `max_steps`, `learning_rate`: as in `tune_penalty`.

    Never costs more than the budget, in exact arithmetic on the prices as given. One compiled program for
    all numbers.

    **Raises** `ValueError` that names the argument and the remedy.

    **Source.** Ours: docs/theory.md, "Budget" and "Several modalities".
    """
    check_choice("estimator", estimator, ESTIMATORS)
    check_choice("baseline", baseline, BASELINES)
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_integer("starts", starts, 1)
    check_integer("max_steps", max_steps, 1)
    if not isinstance(modalities, Modality | Mapping):
        raise ValueError("modalities must be a Modality, or a dict of them by name")
    named = {"": modalities} if isinstance(modalities, Modality) else dict(modalities)
    _check_modalities(named)
    problems = tuple(modality.problem for modality in named.values())
    like = problems[0].task_noise
    budget = checked_sum("budget", budget, like, up=False)
    cost_task = checked_sum("cost_task", cost_task, like, up=True)
    fixed_task = checked_sum("fixed_cost_task", fixed_cost_task, like, up=True, zero_allowed=True)
    most_labels = checked_sum(
        "most_labels", most_labels, like, up=False, zero_allowed=True, limited=False
    )
    if risk is None:
        risk = ClosedFormDesign(problems, estimator)
    else:
        _check_design(risk, problems, estimator)
    tolerance = default_tolerance(like.dtype) if tolerance is None else tolerance
    for name, number in (("tolerance", tolerance), ("learning_rate", learning_rate)):
        check_positive(name, number)
    prices = [
        jnp.stack([jnp.asarray(getattr(m, name), like.dtype) for m in named.values()])
        for name in ("cost_brain", "fixed_cost_brain", "most")
    ]
    cost_brain, fixed_brain, most_brain = prices
    found = _tune_allocation(
        problems,
        risk,
        _Limits(
            cost_brain,
            fixed_brain,
            jnp.floor(most_brain),
            budget,
            cost_task,
            fixed_task,
            jnp.floor(most_labels),
        ),
        baseline,
        0 if estimator == "befs_two_penalties" else 2,
        starts,
        optimizer,
        jnp.asarray(tolerance, like.dtype),
        jnp.asarray(learning_rate, like.dtype),
        jnp.asarray(max_steps),
    )
    n_brain = dict(zip(named, found.n_brain, strict=True))
    return found._replace(n_brain=n_brain[""] if isinstance(modalities, Modality) else n_brain)


def _check_design(
    risk: ClosedFormDesign | MonteCarloDesign, problems: tuple[Problem, ...], estimator: str
) -> None:
    if not isinstance(risk, ClosedFormDesign | MonteCarloDesign):
        raise ValueError(
            f"risk must be a ClosedFormDesign or a MonteCarloDesign, but it is {kind_of(risk)}"
        )
    if isinstance(risk, MonteCarloDesign):
        if len(problems) > 1:
            raise ValueError("risk: MonteCarloDesign knows a single modality")
        theirs, other = (risk.model,), "befs"
    else:
        theirs, other = risk.problems, risk.estimator
    if estimator != other:
        raise ValueError(f"risk is about the estimator {other!r}: pass estimator={other!r}")
    sizes = [
        tuple((problem.input_dim, problem.latent_dim) for problem in group)
        for group in (theirs, problems)
    ]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"risk is about (inputs, latents) {sizes[0]}, modalities about {sizes[1]}: pass the same problems"
        )
    for one, other in zip(theirs, problems, strict=True):
        for name in ("task_noise", "task_snr", "relative_misalignment", "gamma"):
            known = getattr(one, name), getattr(other, name)
            if is_concrete(*known) and not np.allclose(*map(np.asarray, known), rtol=1e-4):
                raise ValueError(
                    f"risk is about another problem than modalities ({name} {float(known[0]):.4g}, not "
                    f"{float(known[1]):.4g}): pass the same problems"
                )


def _check_modalities(named: Mapping[str, Modality]) -> None:
    if not named:
        raise ValueError(
            'modalities is empty: pass at least one Modality under a name, as {"fmri": Modality(...)}'
        )
    if len(named) > _MOST_MODALITIES:
        raise ValueError(
            f"modalities must be 1 to {_MOST_MODALITIES}, but there are {len(named)}: leave out those that cost "
            "most for what they teach"
        )
    first = None
    for name, modality in named.items():
        if not isinstance(modality, Modality):
            raise ValueError(f"modalities: {name!r} is {kind_of(modality)}, not a Modality")
        problem = modality.problem
        if first is None:
            first = problem
            continue
        same = problem.input_dim == first.input_dim
        for ours, theirs in (
            (problem.task_noise, first.task_noise),
            (problem.total_power, first.total_power),
        ):
            if same and is_concrete(ours, theirs):
                same = bool(jnp.allclose(ours, theirs, rtol=1e-5))
        if not same:
            raise ValueError(
                f"modalities: {name!r} is about another task: input_dim, task_noise and total power must be "
                "the same for all"
            )


class _Limits(NamedTuple):
    """Money and counts: what there is to share."""

    cost_brain: Float[Array, " j"]
    fixed_brain: Float[Array, " j"]
    most_brain: Float[Array, " j"]
    budget: Array
    cost_task: Array
    fixed_task: Array
    most_labels: Array


@eqx.filter_jit
def _tune_allocation(
    problems: tuple[Problem, ...],
    risk: Any,
    limits: _Limits,
    baseline: str,
    spare_labels: int,
    starts: int,
    optimizer: str,
    tolerance: Array,
    learning_rate: Array,
    max_steps: Array,
) -> TunedAllocation:
    problem, count = problems[0], len(problems)
    budget, cost_task, fixed_task = limits.budget, limits.cost_task, limits.fixed_task
    sizes = jnp.asarray([problem.latent_dim for problem in problems], budget.dtype)
    sets = np.array(list(itertools.product([False, True], repeat=count))[1:])

    def of_set(case: tuple[Array, Array]):
        bought, all_labels = case
        # Unpenalised weights need labels of their own, and two more.
        fewest_labels = jnp.sum(jnp.where(bought, sizes, 0.0)) + spare_labels
        # Recordings alone teach no task.
        fewest_labels = fewest_labels if spare_labels else jnp.ones_like(fewest_labels)
        return _best_of_set(
            problem,
            risk,
            limits,
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
    best = jnp.argmin(jnp.where(jnp.isnan(found.loss), jnp.inf, found.loss))
    plan = jax.tree.map(lambda x: x[best], found)

    alone = most(
        (budget - fixed_task) / cost_task,
        lambda n: bill(fixed_task, cost_task, n) <= budget,
    )
    alone = jnp.minimum(alone, limits.most_labels)
    if baseline == "ols":
        risk_alone = task_only_risk(problem, alone)
    else:
        risk_alone = ridge_stage(problem, alone, None, None).risk
    collect = plan.risk < risk_alone
    n_brain = jnp.where(collect, plan.n_brain, 0.0)
    n_task = jnp.where(collect, plan.n_task, alone)
    return TunedAllocation(
        n_brain=n_brain,
        n_task=n_task,
        penalty=jnp.where(collect, plan.penalty, jnp.nan),
        risk=jnp.where(collect, plan.risk, risk_alone),
        spent=_total_bill(limits, n_brain, n_task),
        n_task_without_brain=alone,
        risk_without_brain=risk_alone,
        gradient_norm=plan.gradient_norm,
        steps=plan.steps,
        converged=plan.converged,
    )


def _total_bill(limits: _Limits, n_brain: Array, n_task: Array) -> Array:
    total = jnp.where(n_task > 0, bill(limits.fixed_task, limits.cost_task, n_task), 0.0)
    for j in range(limits.cost_brain.shape[0]):
        one = bill(limits.fixed_brain[j], limits.cost_brain[j], n_brain[..., j])
        total = at_least(total, jnp.where(n_brain[..., j] > 0, one, 0.0))
    return total


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
    problem: Problem,
    risk: Any,
    limits: _Limits,
    bought: Array,
    all_labels: Array,
    fewest_labels: Array,
    *,
    starts: int,
    **descent: Any,
) -> _SetPlan:
    count, d = limits.cost_brain.shape[0], problem.input_dim
    fewest = d + 2.0
    # In closed form the best penalty of a design is known; elsewhere it is searched together with the split.
    joint = not isinstance(risk, ClosedFormDesign)
    fixed = limits.fixed_task + jnp.sum(jnp.where(bought, limits.fixed_brain, 0.0))
    available = limits.budget - fixed
    prices = limits.cost_brain
    least_on = jnp.where(bought, prices * fewest, 0.0)
    feasible = ~all_labels | jnp.isfinite(limits.most_labels)
    first_labels = jnp.where(all_labels & feasible, limits.most_labels, fewest_labels)

    def design(logits: Array) -> tuple[Array, Array]:
        """Counts within their limits: modalities take their shares of what is left, one after the other."""
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

        Least where the risk is, σ²d/(n_task + extra − d − 1), but not lost in rounding beside many labels.
        """
        rival = (limits.budget - limits.fixed_task) / limits.cost_task
        return rival - n_task - stage.extra_samples

    # The penalty relative to that which a subspace without anything of the task would have.
    reference = problem.task_noise * d / problem.total_power

    def penalty_of(parameters: Array, n_task: Array) -> Array | None:
        return jnp.exp(parameters[-1]) * reference / n_task if joint else None

    def loss(parameters: Array) -> Array:
        n_brain, n_task = design(parameters)
        stage = risk(bought, n_brain, n_task, penalty_of(parameters, n_task))
        return labels_lost(stage, n_task)

    steps = _LOGITS.get(count, _MANY_LOGITS)
    axes = [steps] * count + ([np.array([0.5, 2.0, 4.0])] if joint else [])
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    points = jnp.asarray(grid, available.dtype)
    heights = jax.lax.stop_gradient(jax.lax.map(loss, points))
    heights = jnp.where(jnp.isnan(heights), jnp.inf, heights)
    # Starts apart from each other: the lowest, and the lowest of those that are no neighbours of it.
    begins = []
    gap = float(steps[1] - steps[0])
    for _ in range(starts):
        lowest = points[jnp.argmin(heights)]
        begins.append(lowest)
        near = jnp.max(jnp.abs(points - lowest[None])[:, :count], axis=1) <= gap
        heights = jnp.where(near, jnp.inf, heights)
    ends = jax.lax.map(lambda u: minimise(loss, u, scale=float(d), **descent), jnp.stack(begins))
    best = jnp.argmin(jnp.where(jnp.isnan(ends.value), jnp.inf, ends.value))
    end = jax.tree.map(lambda x: x[best], ends)
    n_brain, n_task = jax.lax.stop_gradient(design(end.parameters))
    penalty = jax.lax.stop_gradient(penalty_of(end.parameters, n_task))

    feasible &= available >= limits.cost_task * first_labels + jnp.sum(least_on)
    feasible &= jnp.all(~bought | (limits.most_brain >= fewest))
    feasible &= limits.most_labels >= fewest_labels
    whole = _whole_numbers(
        risk, limits, bought, n_brain, n_task, penalty, fewest, fewest_labels, labels_lost
    )
    return _SetPlan(
        n_brain=whole.n_brain,
        n_task=whole.n_task,
        penalty=whole.penalty,
        risk=jnp.where(feasible, whole.risk, jnp.inf),
        loss=jnp.where(feasible, whole.loss, jnp.inf),
        gradient_norm=end.gradient_norm,
        steps=end.steps,
        converged=end.converged,
    )


class _Whole(NamedTuple):
    n_brain: Array
    n_task: Array
    penalty: Array
    risk: Array
    loss: Array


def _whole_numbers(
    risk: Any,
    limits: _Limits,
    bought: Array,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    fewest: float,
    fewest_labels: Array,
    labels_lost: Callable[[TaskStage, Array], Array],
) -> _Whole:
    """Whole numbers near the best real ones: modality after modality, each with labels for what is left."""
    count, window = limits.cost_brain.shape[0], jnp.arange(-_WINDOW, _WINDOW + 1.0)
    window = window.astype(n_brain.dtype)
    closed = isinstance(risk, ClosedFormDesign)

    def costs_of(rows: Array) -> Array:
        price, fixed = limits.cost_brain[None], limits.fixed_brain[None]
        return jnp.where(rows > 0, rows * price + fixed, 0.0)

    def affordable(n_brain: Array, n_task: Array) -> Array:
        return _total_bill(limits, n_brain, n_task) <= limits.budget

    def replaced(n_brain: Array, j: int, numbers: Array) -> Array:
        rows = jnp.broadcast_to(n_brain[None], (len(numbers), count))
        return rows.at[:, j].set(numbers)

    def labels_beside(rows: Array) -> Array:
        spent = jnp.sum(costs_of(rows), axis=-1)
        estimate = (limits.budget - limits.fixed_task - spent) / limits.cost_task
        labels = most(estimate, lambda n: affordable(rows, n))
        return jnp.minimum(labels, limits.most_labels)

    def losses(rows: Array, labels: Array, j: int, relative: Array | None) -> tuple[Array, ...]:
        allowed = affordable(rows, labels) & (labels >= fewest_labels)
        within = (rows >= fewest) & (rows <= limits.most_brain[None])
        allowed &= jnp.all(~bought[None] | within, axis=-1) & (labels <= limits.most_labels)
        if closed:
            changed = risk.misalignment(j, jnp.maximum(rows[:, j], fewest))
            assert relative is not None
            table = jnp.broadcast_to(relative[None], rows.shape).at[:, j].set(changed)
            stage, best = jax.vmap(risk.of_misalignments, (None, 0, 0))(bought, table, labels)
        else:
            stage = jax.lax.map(
                lambda pair: risk(bought, jnp.maximum(pair[0], fewest), pair[1], penalty),
                (rows, labels),
            )
            assert penalty is not None
            table, best = jnp.zeros_like(rows), jnp.broadcast_to(penalty, labels.shape)
        lost = labels_lost(stage, labels)
        lost = jnp.where(allowed & ~jnp.isnan(lost), lost, jnp.inf)
        return lost, stage.risk, best, table

    def polish(plan: _Whole, j: int, relative: Array | None) -> tuple[_Whole, Array | None]:
        # All that the rest buys of labels beside each number of recordings, and the other way round.
        center = jnp.round(plan.n_brain[j])
        numbers = jnp.concatenate(
            [center + window, jnp.array([fewest]), limits.most_brain[j][None]]
        )
        numbers = jnp.where(jnp.isfinite(numbers), numbers, fewest)
        labels = jnp.clip(jnp.round(plan.n_task) + window, 0.0, limits.most_labels)
        others = jnp.sum(costs_of(plan.n_brain.at[j].set(0.0)[None]))
        rest = limits.budget - limits.fixed_task - others - limits.fixed_brain[j]
        beside = most(
            (rest - limits.cost_task * labels) / limits.cost_brain[j],
            lambda n: jax.vmap(lambda n, labels: affordable(plan.n_brain.at[j].set(n), labels))(
                n, labels
            ),
        )
        beside = jnp.minimum(beside, limits.most_brain[j])
        rows = replaced(plan.n_brain, j, jnp.concatenate([numbers, beside]))
        labels = jnp.concatenate([labels_beside(rows[: len(numbers)]), labels])
        lost, at_risk, best, table = losses(rows, labels, j, relative)
        chosen = jnp.argmin(lost)
        better = (lost[chosen] < plan.loss) & bought[j]
        new = _Whole(rows[chosen], labels[chosen], best[chosen], at_risk[chosen], lost[chosen])
        plan = jax.tree.map(lambda old, new: jnp.where(better, new, old), plan, new)
        if relative is not None:
            relative = jnp.where(better, table[chosen], relative)
        return plan, relative

    nothing = jnp.asarray(jnp.inf, n_brain.dtype)
    rounded = jnp.where(bought, jnp.round(n_brain), 0.0)
    plan = _Whole(rounded, n_task, jnp.full_like(nothing, jnp.nan), nothing, nothing)
    relative = None
    if closed:
        relative = jnp.stack(
            [risk.misalignment(j, jnp.maximum(rounded[j], fewest)) for j in range(count)]
        )
    for _ in range(_ROUNDS if count > 1 else 1):
        for j in range(count):
            plan, relative = polish(plan, j, relative)
    if not closed:
        objective = risk.risk_at(jnp.maximum(plan.n_brain[0], fewest), plan.n_task)
        tuned = tune_penalty(objective, penalty)
        plan = plan._replace(penalty=tuned.penalty, risk=tuned.value)
    return plan
