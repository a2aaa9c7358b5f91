"""What a design (so many recordings, so many labels) leads to: in closed form, and simulated."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._arguments import ESTIMATORS, check_problem
from .._checks import check_choice, check_integer, check_key, is_concrete, kind_of
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
from ..theory.brain_stage import SubspaceMoments, subspace_moments
from ..theory.task_stage import TaskStage, penalised_regression
from ..theory.two_penalties import two_penalty_stage
from ..tuning.risks import MonteCarloRisk


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
        return subspace_moments(problem, n_brain, None, "finite").misalignment / problem.total_power

    def of_misalignments(
        self, bought: Array, relative: Array, n_task: Array
    ) -> tuple[TaskStage, Array]:
        """The task stage and its penalty, from the relative misalignment of each modality."""
        problem, d = self.problems[0], self.problems[0].input_dim
        sizes = jnp.asarray(self.latents(), relative.dtype)
        k = jnp.sum(jnp.where(bought, sizes, 0.0))
        q = d - k
        possible = q >= 1
        q, k = jnp.where(possible, q, 1.0), jnp.where(possible, k, d - 1.0)
        tiny = jnp.finfo(relative.dtype).tiny
        odds = (1 - relative) / jnp.maximum(relative, tiny) * (d - sizes) / q
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

    def __call__(
        self, bought: Array, n_brain: Array, n_task: Array, penalty: Array | None = None
    ) -> TaskStage:
        """Error, and worth in labels, of one design; `bought` says which modalities are in it."""
        relative = [
            self.misalignment(j, jnp.where(bought[j], n_brain[j], 2.0 * problem.input_dim + 2))
            for j, problem in enumerate(self.problems)
        ]
        return self.of_misalignments(bought, jnp.stack(relative), n_task)[0]


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
