"""Objectives from a model: closed-form risk, and simulated risk with common random numbers."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._arguments import ESTIMATORS, Estimator, check_n_brain, check_n_task
from .._checks import (
    as_integer,
    check_choice,
    check_key,
    check_kind,
    check_positive,
    is_concrete,
)
from .._linalg import map_factorisations
from .._typing import Real, Whole
from ..estimators import befs, encode
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
from ..models.problem import TracedProblem
from ..models.shift import BlockShift, check_blocks
from ..simulation.brain_stage import (
    Dimensions,
    ReducedModel,
    draw_subspace,
    is_dense,
    reduce_model,
)
from ..simulation.data_trials import representative, stage_keys
from ..simulation.random_matrices import TraceDraws, trace_draws
from ..simulation.task_stage import DrawnMoments, moments_of_draw, risk_from_moments
from ..theory import Penalties
from ..theory.accuracy import warn_outside_validated
from ..theory.brain_stage import SubspaceMoments, subspace_moments
from ..theory.resolvent import resolvent
from ..theory.task_stage import penalised_regression
from ..theory.two_penalties import risk_at_penalties
from .penalty import PenaltyObjective

METHODS = ("reduced", "data")
TRACES = ("drawn", "closed form")


class ClosedFormRisk(PenaltyObjective):
    """Test error of BEFS as a function of its penalty, in closed form.

    It is that of `risk` and of `two_penalty_risk`. The brain stage is solved once, here. Each
    penalty is then a handful of operations.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> objective = jb.ClosedFormRisk(problem, n_brain=18_000, n_task=5_000, estimator="befs")
    >>> f"{float(objective(34.9776)):.4f} {float(jb.risk(problem, 18_000, 5_000)):.4f}"
    '1.1173 1.1173'

    **Arguments**

    - `problem`: the study.
    - `n_brain`, `n_task`: numbers, not arrays: map over many with `jax.vmap`.
    - `shift`: a `BlockShift`, with `"befs"` alone; the penalty is then tuned for that test
      distribution.
    - `estimator`: `"befs_two_penalties"`, the default, whose penalty is a `Penalties`, or `"befs"`,
      with one penalty.

    **Fields**

    Kept beside `n_task` and `estimator`:

    - `problem`: the study, its sizes as numbers like the others, so that one program serves all.
    - `subspace`: the brain stage solved: what the learned subspace misses, in expectation over
      recordings.
    - `per_target`: False, one penalty for all.

    **Raises**

    `ValueError` that names the argument and the remedy: `n_brain` of input_dim + 1 or fewer,
    negative numbers, arrays, an unknown `estimator`, a `shift` with two penalties.

    **Source**

    As for `risk` and `two_penalty_risk`.
    """

    subspace: SubspaceMoments
    problem: TracedProblem
    n_task: Array
    estimator: str = eqx.field(static=True)
    per_target: bool = eqx.field(static=True, default=False)

    def __init__(
        self,
        problem: Problem,
        n_brain: Real,
        n_task: Real,
        *,
        shift: BlockShift | None = None,
        estimator: Estimator = "befs_two_penalties",
    ):
        """Solve the brain stage. **Raises** `ValueError` that names the argument and the remedy."""
        check_choice("estimator", estimator, ESTIMATORS)
        n_brain, self.n_task = check_n_brain(problem, n_brain), check_n_task(problem, n_task)
        _check_numbers(n_brain=n_brain, n_task=self.n_task)
        shift = check_blocks(problem, shift)
        if shift is not None and estimator != "befs":
            raise ValueError(
                "shift: the risk with two penalties is known without a shift alone: pass "
                "estimator='befs'"
            )
        warn_outside_validated(problem, n_brain, under_shift=shift is not None)
        self.problem = problem.with_traced_sizes()
        self.estimator, self.per_target = estimator, False
        self.subspace = _subspace(self.problem, n_brain, shift)

    def __call__(self, penalty: Any) -> Array:
        """Excess risk E‖β̂ − β‖²_Σ at this penalty, or at these `Penalties`."""
        _check_penalty(penalty)
        problem, missed = self.problem, self.subspace.misalignment
        if self.estimator == "befs":
            return penalised_regression(
                self.subspace,
                problem.task_noise,
                problem.latent_dim,
                problem.input_dim,
                self.n_task,
                jnp.asarray(penalty, missed.dtype),
            ).risk
        outside, inside = (jnp.asarray(x, missed.dtype) for x in penalty)
        return risk_at_penalties(problem, missed, self.n_task, outside, inside)

    def natural_penalty(self) -> Any:
        """λ that weighs ‖β‖² against σ²: that of ridge regression, σ²d/(n_task ‖β‖²)."""
        problem = self.problem
        return _ridge_penalty(problem, self.n_task, self.estimator)


@eqx.filter_jit
def _subspace(problem: TracedProblem, n_brain: Array, shift: BlockShift | None) -> SubspaceMoments:
    return subspace_moments(problem, n_brain, shift, "finite")


def _ridge_penalty(problem: Problem | TracedProblem, n_task: Array, estimator: str) -> Any:
    noise, power = problem.task_noise, problem.total_power
    some = (noise > 0) & (power > 0) & (n_task > 0) & jnp.isfinite(n_task)
    penalty = noise * problem.input_dim / (power * n_task)
    penalty = jnp.where(some, penalty, 1.0)
    return Penalties(penalty, penalty) if estimator == "befs_two_penalties" else penalty


def _check_penalty(penalty: Any) -> None:
    for number in jax.tree.leaves(penalty):
        check_positive("penalty", number, zero_allowed=True)


def _check_numbers(**numbers: Array) -> None:
    for name, number in numbers.items():
        if number.ndim:
            raise ValueError(f"{name} must be one number: map over several with jax.vmap")


class MonteCarloRisk(PenaltyObjective):
    """Test error of BEFS as a function of its penalty, simulated with common random numbers.

    All penalties meet the same draws, so that the mean over trials is a smooth function of the
    penalty, whose derivatives are those of the paths. Derivatives with respect to the model's
    numbers go through the learned subspaces too.

    >>> import jax, jaxbrain as jb
    >>> model = jb.presets.small(task_snr=1.0)
    >>> objective = jb.MonteCarloRisk(model, 300, 50, trials=50, key=jax.random.key(0))
    >>> tuned = jb.tune_penalty(objective)
    >>> exact = jb.optimal_penalty(model.problem(), 300, 50)
    >>> 0.8 < float(tuned.penalty / exact) < 1.25
    True

    **Arguments**

    - `model`: a `LinearGaussianModel`, or a `Problem`.
    - `n_brain`, `n_task`: whole numbers, at least input_dim recordings, with `method="data"`. With
      `"reduced"`, more than input_dim + 1 recordings and more than latent_dim + 1 labels. Real
      numbers will do there and have derivatives, those of quantiles, which are right in the mean;
      but drawn traces know whole numbers of labels alone below input_dim.
    - `trials`: draws to average, at least 2; the key of each is `fold_in(key, trial)`.
    - `key`: from `jax.random.key`.
    - `method`: `"reduced"`, the exact reduced draws, or `"data"`, which draws samples and learns.
    - `shift`: a `BlockShift`, with `"reduced"` alone.
    - `traces`: with `"reduced"`, `"drawn"` or in `"closed form"`, which takes their noise away.
    - `estimator`: `"befs"`, the default, with one penalty, since reduced draws know no other. With
      `"data"` also `"befs_two_penalties"`, whose penalty is a `Penalties`.

    **Fields**

    Kept beside `n_task`, `key`, `trials`, `method`, `traces` and `estimator`:

    - `problem`: the summary of the model.
    - `draws`: what was drawn once, and serves every penalty.
    - `per_target`: False, one penalty for all.

    **Raises**

    `ValueError` that names the argument and the remedy, and where there are no reduced draws.

    **Source**

    Ours: docs/theory.md, "Simulation".
    """

    draws: Any
    problem: Problem
    n_task: Array
    key: PRNGKeyArray
    trials: int = eqx.field(static=True)
    method: str = eqx.field(static=True)
    traces: str = eqx.field(static=True)
    estimator: str = eqx.field(static=True)
    per_target: bool = eqx.field(static=True, default=False)

    def __init__(
        self,
        model: LinearGaussianModel | Problem,
        n_brain: Real,
        n_task: Real,
        *,
        trials: Whole,
        key: PRNGKeyArray,
        method: str = "reduced",
        shift: BlockShift | None = None,
        traces: str = "drawn",
        estimator: Estimator = "befs",
    ):
        """Draw everything that does not depend on the penalty."""
        check_choice("method", method, METHODS)
        check_choice("estimator", estimator, ESTIMATORS)
        check_choice("traces", traces, TRACES)
        trials = as_integer("trials", trials, 2)
        check_key(key)
        check_model(model)
        if shift is not None:
            check_kind("shift", shift, BlockShift, "BlockShift(sensitive, missed, insensitive)")
        self.traces = traces
        self.trials, self.method, self.estimator = trials, method, estimator
        self.key, self.per_target = key, False
        self.problem = model.problem() if isinstance(model, LinearGaussianModel) else model
        n_task_number = check_n_task(self.problem, n_task)
        self.n_task = n_task_number
        if method == "data":
            if shift is not None:
                raise ValueError("shift: known to method='reduced' alone")
            sizes = (
                as_integer("n_brain", n_brain, self.problem.input_dim),
                as_integer("n_task", n_task, 1),
            )
            if isinstance(model, Problem):
                model = representative(model)
            self.draws = _data_draws(model, key, *sizes, trials)
            return
        if estimator != "befs":
            raise ValueError("estimator: only 'befs' has reduced draws; use method='data'")
        n_brain_number = check_n_brain(self.problem, n_brain)
        _check_numbers(n_brain=n_brain_number, n_task=n_task_number)
        if traces == "drawn" and is_concrete(n_task_number):
            labels = float(n_task_number)
            if labels < self.problem.input_dim and labels != round(labels):
                raise ValueError(
                    f"n_task = {labels:g} is below input_dim and no whole number: pass "
                    "traces='closed form', or a whole number"
                )
        reduced, sizes = reduce_for_derivatives(model)
        self.draws = _reduced_draws(
            reduced, sizes, key, n_brain_number, trials, check_blocks(self.problem, shift)
        )

    def __call__(self, penalty: Any) -> Array:
        """Mean over the trials of the excess risk at this penalty, or at these `Penalties`."""
        return jnp.mean(self.by_trial(penalty))

    def by_trial(self, penalty: Any) -> Float[Array, " trials"]:
        """The excess risk of each trial, whose spread is the Monte Carlo error."""
        _check_penalty(penalty)
        dtype = self.n_task.dtype
        if self.method == "data":
            outside, inside = penalty if self.estimator == "befs_two_penalties" else (penalty, 0.0)
            return _data_risks(self.draws, jnp.asarray(outside, dtype), jnp.asarray(inside, dtype))
        return _reduced_risks(
            self.draws,
            self.key,
            jnp.asarray(penalty, dtype),
            self.n_task,
            self.problem.task_noise,
            self.problem.latent_dim,
            self.problem.outside_dim,
            self.trials,
            self.traces,
        )

    def natural_penalty(self) -> Any:
        """λ that weighs ‖β‖² against σ²: that of ridge regression, σ²d/(n_task ‖β‖²)."""
        return _ridge_penalty(self.problem, self.n_task, self.estimator)


def reduce_for_derivatives(
    model: LinearGaussianModel | Problem,
) -> tuple[ReducedModel, Dimensions]:
    """`reduce_model`; raises `ValueError` where its draws have no derivatives too."""
    reduced, sizes = reduce_model(model)
    if not is_dense(sizes):
        raise ValueError(
            "method 'reduced' iterates for its subspaces at this size, which has no "
            "derivatives: pass fewer channels, or None of them"
        )
    return reduced, sizes


def trial_keys(key: PRNGKeyArray, trials: int) -> Array:
    """The key of each trial."""
    return jax.vmap(lambda number: jr.fold_in(key, number))(jnp.arange(trials, dtype=jnp.uint32))


@eqx.filter_jit
def _reduced_draws(reduced, sizes, key, n_brain, trials, shift):
    d, k, _ = sizes

    def one(key: PRNGKeyArray) -> DrawnMoments:
        draw = draw_subspace(stage_keys(key)[0], reduced, sizes, n_brain)
        return moments_of_draw(draw, reduced.misaligned_power, k, d - k, shift)

    return map_factorisations(one, trial_keys(key, trials), trials)


@eqx.filter_jit
def _reduced_risks(draws, key, penalty, n_task, noise, k, q, trials, kind):
    if kind == "drawn":

        def traces(key: PRNGKeyArray) -> TraceDraws:
            found = trace_draws(stage_keys(key)[1], q, n_task - k, (n_task * penalty)[None])
            return jax.tree.map(lambda x: x[0], found)

        by_trial = jax.vmap(traces)(trial_keys(key, trials))
    else:
        hard = jnp.isinf(penalty)
        top = jnp.where(hard, 1.0, n_task * jnp.where(hard, 1.0, penalty))
        found = resolvent(top, jnp.where(hard, 0.0, 1.0), q, n_task - k)
        by_trial = TraceDraws(found.noise, found.c2_t2, found.c2_t11)
    # Subspaces and traces are independent: the mean of the one serves the other, which averages
    # over all pairs. Of each trial the deviations of both keep the mean, and give a spread.
    mean_draws, mean_traces = (jax.tree.map(jnp.mean, x) for x in (draws, by_trial))
    both = risk_from_moments(mean_draws, by_trial, noise, k, q, n_task)
    both += risk_from_moments(draws, mean_traces, noise, k, q, n_task)
    risk = both - risk_from_moments(mean_draws, mean_traces, noise, k, q, n_task)
    return jnp.where(n_task > k + 1, risk, jnp.inf)


@eqx.filter_jit
def _data_draws(model, key, n_brain, n_task, trials):
    def one(key: PRNGKeyArray):
        key_brain, key_task = stage_keys(key)
        inputs, recordings = model.sample_brain(jr.split(key_brain)[0], n_brain)
        basis = encode(inputs, recordings, model.latent_dim)
        return *model.sample_task(key_task, n_task), basis

    return map_factorisations(one, trial_keys(key, trials), trials), model.task_weights


@eqx.filter_jit
def _data_risks(draws, penalty, inside_penalty):
    rows, weights = draws

    def one(row) -> Array:
        inputs, targets, basis = row
        return jnp.sum((befs(inputs, targets, basis, penalty, inside_penalty) - weights) ** 2)

    risk = map_factorisations(one, rows, len(rows[0]))
    # Fewer labels than inputs determine nothing without a penalty, whatever rounding makes of it.
    _, n, d = rows[0].shape
    return jnp.where((penalty > 0) | (n > d + 1), risk, jnp.inf)
