"""What a design (so many recordings, so many labels) leads to: in closed form, and simulated."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from .._arguments import ESTIMATORS, Estimator, check_problem
from .._checks import check_choice, check_integer, check_key, is_concrete, kind_of
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
from ..theory.brain_stage import SubspaceMoments, subspace_moments
from ..theory.task_stage import TaskStage, penalised_regression
from ..theory.two_penalties import two_penalty_stage
from ..tuning.penalty import tune_penalty
from ..tuning.risks import MonteCarloRisk


class Finished(NamedTuple):
    """The best penalty of a design and the risk at it."""

    penalty: Array
    risk: Array


class Design(eqx.Module):
    """What so many recordings of each modality, beside so many labels, lead to.

    The base of `ClosedFormDesign` and `MonteCarloDesign`, which `tune_allocation` takes. A design
    is evaluated in two steps, so that a search over one modality need not ask anew about the
    others: what recordings of each teach, one number a modality, and the error that follows.

    **Arguments**

    - `problems`: the task as seen by each modality.
    - `estimator`: what the task is learned with.
    - `penalty_is_known`: whether the best penalty of a design follows from it; else it is
      searched with it.
    - `single`: whether it knows one modality alone.
    """

    problems: eqx.AbstractVar[tuple[Any, ...]]
    estimator: eqx.AbstractVar[Any]
    penalty_is_known: eqx.AbstractClassVar[bool]
    single: eqx.AbstractClassVar[bool]

    def taught(self, which: Array | int, n_brain: Array) -> Array:
        """What so many recordings of one modality teach, one number each."""
        raise NotImplementedError

    def outcome(
        self, bought: Array, taught: Array, n_task: Array, penalty: Array | None
    ) -> tuple[TaskStage, Array]:
        """Error, worth in labels, and the penalty used; `bought` says which modalities are in."""
        raise NotImplementedError

    def outcomes(
        self, bought: Array, taught: Array, n_task: Array, penalty: Array | None
    ) -> tuple[TaskStage, Array]:
        """The same for many rows of `taught` and `n_task`."""
        return jax.vmap(self.outcome, (None, 0, 0, None))(bought, taught, n_task, penalty)

    def stage(
        self, bought: Array, n_brain: Array, n_task: Array, penalty: Array | None = None
    ) -> TaskStage:
        """Error, and worth in labels, of one design."""
        taught = jnp.stack(
            [
                self.taught(j, jnp.where(bought[j], n_brain[j], 2.0 * problem.input_dim + 2))
                for j, problem in enumerate(self.problems)
            ]
        )
        return self.outcome(bought, taught, n_task, penalty)[0]

    def finish(self, n_brain: Array, n_task: Array, penalty: Any) -> Finished:
        """The best penalty of a design, searched from this one."""
        raise NotImplementedError

    def with_traced_sizes(self) -> Design:
        """The same for all sizes that one compiled program can serve."""
        return self


class ClosedFormDesign(Design):
    """What a design leads to, in closed form: recordings of several modalities beside labels.

    Each modality teaches a subspace of its own; the task is learned with their union. Modalities
    miss different parts of the task, independently of each other: their subspaces are in no special
    position but for what each holds of the task. Then with o_j = (1 − m_j)/m_j the odds that
    modality j alone leads to, m_j its relative E‖K̂β‖², that of the union is

        m = 1/(1 + Σ o_j (d − k_j)/(d − K)),    K = Σ k_j.

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
    penalty_is_known: ClassVar[bool] = True
    single: ClassVar[bool] = False

    def __check_init__(self):
        """Check the arguments. **Raises** `ValueError` that names the argument."""
        check_choice("estimator", self.estimator, ESTIMATORS)
        if not isinstance(self.problems, tuple) or not self.problems:
            raise ValueError("problems must be a tuple of at least one jaxbrain.Problem")
        for problem in self.problems:
            check_problem(problem)

    def with_traced_sizes(self) -> ClosedFormDesign:
        """The same design, whose sizes are numbers that one compiled program serves."""
        traced = tuple(problem.with_traced_sizes() for problem in self.problems)
        return eqx.tree_at(lambda design: design.problems, self, traced)

    def latents(self) -> tuple[int, ...]:
        """Dimensions of the subspace of each modality."""
        return tuple(problem.latent_dim for problem in self.problems)

    def taught(self, which: Array | int, n_brain: Array) -> Array:
        """E‖K̂β‖² of one modality alone, relative to ‖β‖²."""

        def relative(problem: Any, n_brain: Array) -> Array:
            missed = subspace_moments(problem, n_brain, None, "finite").misalignment
            return missed / problem.total_power

        if isinstance(which, int):
            return relative(self.problems[which], n_brain)
        branches = [jax.tree_util.Partial(relative, problem) for problem in self.problems]
        return jax.lax.switch(which, branches, n_brain)

    def outcome(
        self,
        bought: Bool[Array, " j"],
        taught: Float[Array, " j"],
        n_task: Array,
        penalty: Array | None = None,
    ) -> tuple[TaskStage, Array]:
        """The task stage and its best penalty, from what each modality misses of the task."""
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


class MonteCarloDesign(Design):
    """What a design leads to, simulated: `MonteCarloRisk` of real sample numbers.

    All designs meet common random numbers. Subspaces are drawn, traces are in closed form, which
    knows real numbers of labels. `tune_allocation(modality, budget=100, cost_task=1.0,
    risk=design)` finds the best of these designs.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    >>> design = jb.MonteCarloDesign(problem, trials=20, key=jax.random.key(0))
    >>> amounts = jax.numpy.array([30.0, 60.0])
    >>> few, more = (float(design.risk_at(n, 2 * amounts[0])(1.0)) for n in amounts)
    >>> more < few
    True

    It knows one modality, and BEFS with one penalty, which is part of the design.

    **Arguments**

    - `model`: a `LinearGaussianModel`, or a `Problem`.
    - `trials`: draws to average, at least 2.
    - `key`: from `jax.random.key`.

    **Fields**

    Kept beside `model`, `trials` and `key`:

    - `problems`: the one problem that is simulated.

    **Raises**

    `ValueError` where `MonteCarloRisk` does.

    **Source**

    Ours: docs/theory.md, "Simulation".
    """

    model: LinearGaussianModel | Problem
    key: PRNGKeyArray
    trials: int = eqx.field(static=True)
    estimator: ClassVar[Estimator] = "befs"  # pyright: ignore[reportIncompatibleVariableOverride]
    penalty_is_known: ClassVar[bool] = False
    single: ClassVar[bool] = True

    def __init__(self, model: LinearGaussianModel | Problem, *, trials: int, key: PRNGKeyArray):
        """Check the arguments. **Raises** `ValueError` where `MonteCarloRisk` does."""
        check_integer("trials", trials, 2)
        check_key(key)
        check_model(model)
        self.model, self.key, self.trials = model, key, trials

    @property
    def problems(self) -> tuple[Any, ...]:
        """The one problem that is simulated."""
        model = self.model
        return (model.problem() if isinstance(model, LinearGaussianModel) else model,)

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
        """The number itself: subspaces are drawn together with the error."""
        return n_brain

    def outcome(
        self, bought: Array, taught: Array, n_task: Array, penalty: Array | None
    ) -> tuple[TaskStage, Array]:
        """Error, and worth in labels, of one design at this penalty."""
        objective = self.risk_at(taught[0], n_task)
        problem = objective.problem
        risk = objective(penalty)
        total = problem.task_noise * problem.input_dim / risk
        return TaskStage(risk, problem.input_dim + 1 + total - n_task), jnp.asarray(penalty)

    def outcomes(
        self, bought: Array, taught: Array, n_task: Array, penalty: Array | None
    ) -> tuple[TaskStage, Array]:
        """The same for many rows, one after the other, which spares memory."""
        return jax.lax.map(
            lambda row: self.outcome(bought, row[0], row[1], penalty), (taught, n_task)
        )

    def finish(self, n_brain: Array, n_task: Array, penalty: Any) -> Finished:
        """The best penalty at these numbers, by descent from this one."""
        tuned = tune_penalty(self.risk_at(n_brain[0], n_task), penalty)
        return Finished(tuned.penalty, tuned.value)


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
