"""What a design (so many recordings, so many labels) leads to: in closed form, and simulated."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from .._arguments import ESTIMATORS, Estimator, check_problem
from .._checks import as_integer, check_choice, check_key, is_concrete, kind_of
from .._linalg import map_factorisations
from .._typing import Whole
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
from ..simulation.brain_stage import (
    Dimensions,
    KeptDraws,
    ReducedModel,
    draw_once,
    subspace_of_draws,
)
from ..simulation.data_trials import stage_keys
from ..simulation.task_stage import moments_of_draw
from ..theory.brain_stage import SubspaceMoments, subspace_moments
from ..theory.task_stage import TaskStage, penalised_regression
from ..theory.two_penalties import two_penalty_stage
from ..tuning.risks import MonteCarloRisk, reduce_for_derivatives, trial_keys


class Design(eqx.Module):
    """What so many recordings of each modality, beside so many labels, lead to.

    The base of `ClosedFormDesign` and `MonteCarloDesign`, which `tune_allocation` takes. A design
    is evaluated in two steps, so that a search over one modality need not ask anew about the
    others: what recordings of each teach, one number a modality, and the error that follows.

    Each modality teaches a subspace of its own; the task is learned with their union. Modalities
    miss different parts of the task, independently of each other: their subspaces are in no special
    position but for what each holds of the task. Then with o_j = (1 − m_j)/m_j the odds that
    modality j alone leads to, m_j its relative E‖K̂β‖², that of the union is

        m = 1/(1 + Σ o_j (d − k_j)/(d − K)),    K = Σ k_j.

    **Arguments**

    - `problems`: the task as seen by each modality.
    - `estimator`: what the task is learned with, at its best penalties.
    - `single`: whether it knows one modality alone.

    **Source**

    Ours: docs/theory.md, "Several modalities".
    """

    problems: eqx.AbstractVar[tuple[Any, ...]]
    estimator: eqx.AbstractVar[Any]
    single: eqx.AbstractClassVar[bool]

    def taught(self, which: Array | int, n_brain: Array) -> Array:
        """E‖K̂β‖² of one modality alone, relative to ‖β‖², for each number of its recordings."""
        raise NotImplementedError

    def latents(self) -> tuple[Any, ...]:
        """Dimensions of the subspace of each modality."""
        return tuple(problem.latent_dim for problem in self.problems)

    def outcome(
        self, bought: Bool[Array, " j"], taught: Float[Array, " j"], n_task: Array
    ) -> tuple[TaskStage, Array]:
        """The task stage and its best penalty, from what each modality misses of the task.

        `bought` says which modalities are in.
        """
        problem, d = self.problems[0], self.problems[0].input_dim
        sizes = jnp.asarray(self.latents(), taught.dtype)
        k = jnp.sum(jnp.where(bought, sizes, 0.0))
        q = d - k
        possible = q >= 1
        q, k = jnp.where(possible, q, 1.0), jnp.where(possible, k, d - 1.0)
        tiny = jnp.finfo(taught.dtype).tiny
        odds = (1 - taught) / jnp.maximum(taught, tiny) * (d - sizes) / q
        missed = problem.total_power / (1 + jnp.sum(jnp.where(bought, odds, 0.0)))
        if self.estimator == "befs_two_penalties":
            stage = two_penalty_stage(problem, missed, n_task, k)
            best = jnp.full_like(missed, jnp.nan)
        else:
            white = SubspaceMoments(missed, k, q, missed)
            stage = penalised_regression(white, problem.task_noise, k, d, n_task, None)
            best = problem.task_noise * q / (n_task * missed)
        possible &= stage.risk < jnp.inf
        return TaskStage(
            jnp.where(possible, stage.risk, jnp.inf),
            jnp.where(possible, stage.extra_samples, -jnp.inf),
        ), best

    def outcomes(self, bought: Array, taught: Array, n_task: Array) -> tuple[TaskStage, Array]:
        """The same for many rows of `taught` and `n_task`."""
        return jax.vmap(self.outcome, (None, 0, 0))(bought, taught, n_task)

    def stage(self, bought: Array, n_brain: Array, n_task: Array) -> TaskStage:
        """Error, and worth in labels, of one design."""
        taught = jnp.stack(
            [
                self.taught(j, jnp.where(bought[j], n_brain[j], 2.0 * problem.input_dim + 2))
                for j, problem in enumerate(self.problems)
            ]
        )
        return self.outcome(bought, taught, n_task)[0]

    def with_traced_sizes(self) -> Design:
        """The same design, whose sizes are numbers that one compiled program serves."""
        traced = tuple(problem.with_traced_sizes() for problem in self.problems)
        return eqx.tree_at(lambda design: design.problems, self, traced)


class ClosedFormDesign(Design):
    """What a design leads to, in closed form: recordings of several modalities beside labels.

    What modalities teach together: see `Design`.

    >>> import jax.numpy as jnp, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    >>> design = jb.ClosedFormDesign((problem,))
    >>> f"{float(design.stage(jnp.array([True]), jnp.array([60.0]), jnp.array(50.0)).risk):.3f}"
    '0.147'

    **Arguments**

    - `problems`: a tuple, the task as seen by each modality.
    - `estimator`: `"befs_two_penalties"` (the default) or `"befs"`, at its best penalties.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    Ours: docs/theory.md, "Several modalities".
    """

    problems: tuple[Any, ...]
    estimator: str = eqx.field(static=True, default="befs_two_penalties")
    single: ClassVar[bool] = False

    def __check_init__(self):
        """Check the arguments. **Raises** `ValueError` that names the argument."""
        check_choice("estimator", self.estimator, ESTIMATORS)
        if not isinstance(self.problems, tuple) or not self.problems:
            raise ValueError("problems must be a tuple of at least one jaxbrain.Problem")
        for problem in self.problems:
            check_problem(problem)

    def taught(self, which: Array | int, n_brain: Array) -> Array:
        """E‖K̂β‖² of one modality alone, relative to ‖β‖²."""

        def relative(problem: Any, n_brain: Array) -> Array:
            missed = subspace_moments(problem, n_brain, None, "finite").misalignment
            return missed / problem.total_power

        if isinstance(which, int):
            return relative(self.problems[which], n_brain)
        branches = [jax.tree_util.Partial(relative, problem) for problem in self.problems]
        return jax.lax.switch(which, branches, n_brain)


class MonteCarloDesign(Design):
    """What a design leads to, simulated: `MonteCarloRisk` of real sample numbers.

    All designs meet common random numbers. Subspaces are drawn, traces are in closed form, which
    knows real numbers of labels. `tune_allocation(modality, budget=100, cost_task=1.0,
    risk=design)` finds the best of these designs.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    >>> design = jb.MonteCarloDesign(problem, trials=20, key=jax.random.key(0))
    >>> few, more = design.taught(0, jax.numpy.array([30.0, 60.0]))
    >>> bool(more < few)
    True

    It knows one modality, and BEFS with one penalty, the best one.

    **Arguments**

    - `model`: a `LinearGaussianModel`, or a `Problem`.
    - `trials`: draws to average, at least 2.
    - `key`: from `jax.random.key`.

    **Fields**

    Kept beside `model`, `trials` and `key`:

    - `problems`: the one problem that is simulated.
    - `reduced`, `sizes`: the model in the coordinates of its latents.
    - `draws`: what was drawn once, and serves every design: some input_dim × min(input_dim,
      recording_dim) numbers a trial.

    **Raises**

    `ValueError` where `MonteCarloRisk` does.

    **Source**

    Ours: docs/theory.md, "Simulation".
    """

    model: LinearGaussianModel | Problem
    problems: tuple[Any, ...]
    key: PRNGKeyArray
    reduced: ReducedModel
    draws: KeptDraws
    sizes: Dimensions = eqx.field(static=True)
    trials: int = eqx.field(static=True)
    estimator: ClassVar[Estimator] = "befs"  # pyright: ignore[reportIncompatibleVariableOverride]
    single: ClassVar[bool] = True

    def __init__(self, model: LinearGaussianModel | Problem, *, trials: Whole, key: PRNGKeyArray):
        """Draw what no design changes. **Raises** `ValueError` where `MonteCarloRisk` does."""
        trials = as_integer("trials", trials, 2)
        check_key(key)
        check_model(model)
        self.model, self.key, self.trials = model, key, trials
        self.problems = (model.problem() if isinstance(model, LinearGaussianModel) else model,)
        self.reduced, self.sizes = reduce_for_derivatives(model)
        self.draws = _draws(self.reduced, self.sizes, key, trials)

    def risk_at(self, n_brain: Array, n_task: Array) -> MonteCarloRisk:
        """The objective of its penalty at one design."""
        return MonteCarloRisk(
            self.model,
            n_brain,
            n_task,
            trials=self.trials,
            key=self.key,
            traces="closed form",
            estimator="befs",
        )

    def taught(self, which: Array | int, n_brain: Array) -> Array:
        """‖K̂β‖², relative to ‖β‖², in the mean over the trials.

        Everything else in the error is linear in it, or in closed form. Its derivative is that of
        the draws as they are, so that a descent sees the slopes of what it evaluates.
        """

        def mean(n: Array) -> Array:
            def one(kept: KeptDraws) -> Array:
                draw = subspace_of_draws(kept, reduced, self.sizes, n, at_fixed_scores=True)
                return moments_of_draw(draw, power, k, d - k, None).misalignment

            return jnp.mean(map_factorisations(one, self.draws, self.trials))

        reduced, power, (d, k, _) = self.reduced, self.reduced.misaligned_power, self.sizes
        means = mean(n_brain) if n_brain.ndim == 0 else jax.lax.map(mean, n_brain.ravel())
        return means.reshape(n_brain.shape) / self.problems[0].total_power


@eqx.filter_jit
def _draws(reduced: ReducedModel, sizes: Dimensions, key: PRNGKeyArray, trials: int) -> KeptDraws:
    def one(key: PRNGKeyArray) -> KeptDraws:
        return draw_once(stage_keys(key)[0], reduced, sizes)

    return jax.lax.map(one, trial_keys(key, trials))


def check_design(design: Any, problems: tuple[Problem, ...], estimator: str | None) -> None:
    """Raise unless the design is about these problems and this estimator."""
    if not isinstance(design, Design):
        raise ValueError(
            f"risk must be a ClosedFormDesign or a MonteCarloDesign, but it is {kind_of(design)}"
        )
    if design.single and len(problems) > 1:
        raise ValueError(f"risk: {type(design).__name__} knows a single modality")
    known = design.estimator
    if estimator not in (None, known):
        raise ValueError(f"risk is about the estimator {known!r}: pass estimator={known!r}")
    theirs = design.problems
    sizes = [
        tuple((problem.input_dim, problem.latent_dim) for problem in group)
        for group in (theirs, problems)
    ]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"risk is about (inputs, latents) {sizes[0]}, modalities about {sizes[1]}: pass "
            "the same problems"
        )
    for one, other in zip(theirs, problems, strict=True):
        for name in ("task_noise", "task_snr", "relative_misalignment", "gamma"):
            pair = getattr(one, name), getattr(other, name)
            if is_concrete(*pair) and not np.allclose(*map(np.asarray, pair), rtol=1e-4):
                raise ValueError(
                    f"risk is about another problem than modalities ({name} {float(pair[0]):.4g}, "
                    f"not {float(pair[1]):.4g}): pass the same problems"
                )
