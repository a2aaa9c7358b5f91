"""The task stage: test error of the two-stage estimator and of its rivals."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import as_real, check_choice, check_finite, check_positive
from .._typing import Real
from ..models import Problem
from .brain_stage import ORDERS, check_problem, expected_misalignment
from .resolvent import resolvent


class TaskStage(NamedTuple):
    """Risk at one penalty, and the same risk as extra samples of ordinary least squares."""

    risk: Array
    extra_samples: Array


def task_stage(
    problem: Problem, misalignment: Array, n_task: Array, penalty: Array | None, order: str
) -> TaskStage:
    """Risk given the expected misalignment; `penalty=None` is the optimal one."""
    if order == "first":
        return _first_order(problem, misalignment, n_task, penalty)
    k, q, noise = problem.latent_dim, problem.outside_dim, problem.task_noise
    # Profiling out the k unpenalised directions leaves ridge in q dimensions with n − k rows, and
    # c = n λ. At the optimum c = σ² q / E‖K̂β‖², infinite when nothing is missed.
    learnable = n_task > k + 1
    n = jnp.where(learnable, n_task, 2.0 * problem.input_dim + 2)
    top, bottom = _ratio(noise * q, misalignment, n, penalty)
    solvable = learnable & ((top > 0) | (n > problem.input_dim + 1))
    top = jnp.where(solvable, top, 1.0)
    moments = resolvent(top, bottom, q, n - k)
    outside = _mean_square(misalignment * moments.c2_t2 / q + noise * moments.noise)
    inflation = (n - 1) / (n - k - 1)
    finite_risk = outside * inflation + noise * k / (n - k - 1)
    # R_TOS − R has no cancellation when written in t1(0) − t1(c); what is left over vanishes
    # at the optimal penalty, where c E‖K̂β‖² = σ² q.
    suboptimal = (
        0.0
        if penalty is None
        else (n - problem.input_dim - 1)
        * (moments.c_t2 - moments.c2_t2 * misalignment / (noise * q))
    )
    extra = noise * inflation * (moments.excess + suboptimal) / finite_risk
    # Without a penalty the k + q directions need n > d + 1 labels: below that the error of least
    # squares has no mean, and neither estimator is worth more than the other.
    return TaskStage(
        risk=jnp.where(solvable, finite_risk, jnp.inf),
        extra_samples=jnp.where(solvable, extra, problem.input_dim + 1 - n_task),
    )


def _mean_square(error: Array) -> Array:
    # Negative only where the resolvent trace has lost its accuracy: no number is better than that.
    return jnp.where(error < 0, jnp.nan, error)


def _ratio(optimal_top: Array, optimal_bottom: Array, n: Array, penalty: Array | None):
    # c as a ratio: c = ∞ (the hard constraint) is then a number like any other.
    if penalty is None:
        return optimal_top, optimal_bottom
    hard = jnp.isinf(penalty)
    one, zero = jnp.ones_like(penalty * n), jnp.zeros_like(penalty * n)
    return jnp.where(hard, one, n * jnp.where(hard, 1.0, penalty)), jnp.where(hard, zero, one)


def _first_order(
    problem: Problem, misalignment: Array, n: Array, penalty: Array | None
) -> TaskStage:
    # R = R_TOS − gain, gain = (2 σ² q c − E m̂ c²)/n², worth n² gain/(σ² d) samples.
    noise, d, q = problem.task_noise, problem.input_dim, problem.outside_dim
    gain_n2 = (
        (noise * q) ** 2 / misalignment
        if penalty is None
        else n * penalty * (2 * noise * q - n * penalty * misalignment)
    )
    return TaskStage(
        risk=_task_only_risk(problem, n) - gain_n2 / n**2, extra_samples=gain_n2 / (noise * d)
    )


def _task_only_risk(problem: Problem, n: Array) -> Array:
    excess = n - problem.input_dim - 1
    safe = jnp.where(excess > 0, excess, 1.0)
    return jnp.where(excess > 0, problem.task_noise * problem.input_dim / safe, jnp.inf)


def _ridge_risk(problem: Problem, n: Array, penalty: Array | None) -> Array:
    d, noise, power = problem.input_dim, problem.task_noise, problem.total_power
    top, bottom = _ratio(noise * d, power, n, penalty)
    exists = (top > 0) | (n > d + 1)
    top = jnp.where(exists, top, 1.0)
    moments = resolvent(top, bottom, d, n)
    finite_risk = _mean_square(power * moments.c2_t2 / d + noise * moments.noise)
    return jnp.where(exists, finite_risk, jnp.inf)


@partial(jax.jit, static_argnames="order")
def _risk(problem, misalignment, n_task, penalty, order):
    return task_stage(problem, misalignment, n_task, penalty, order).risk


_task_only_risk_jit = jax.jit(_task_only_risk)
_ridge_risk_jit = jax.jit(_ridge_risk)


def check_penalty(problem: Problem, penalty: Real | None) -> Array | None:
    """The penalty as an array, or None for the optimal one; raises where it is negative."""
    if penalty is None:
        return None
    number = as_real("penalty", penalty, problem.task_noise)
    check_positive("penalty", number, zero_allowed=True)
    return number


def check_n_task(problem: Problem, n_task: Real) -> Array:
    """The number of labels as an array; raises where it is negative or not finite."""
    check_problem(problem)
    number = as_real("n_task", n_task, problem.task_noise)
    check_finite("n_task", number)
    check_positive("n_task", number, zero_allowed=True)
    return number


def risk(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    order: str = "finite",
) -> Float[Array, "..."]:
    """Test error of learning a task with the help of brain recordings: excess risk E‖β̂ − β‖².

    The two-stage estimator (BEFS) learns a subspace from `n_brain` recordings and then regresses on
    `n_task` labels, penalising what leaves the subspace. Mean squared error on new labels is this
    plus the label noise σ².

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> round(float(jb.risk(problem, n_brain=36_000, n_task=10_000)), 6)
    0.159797

    - `n_brain`, `n_task`: sample numbers, at least input_dim + 2 and latent_dim + 2; they broadcast with
      each other and with `penalty`. Fewer labels than inputs are fine as long as there is a penalty.
    - `penalty`: λ a sample, in (1/n_task)‖y − Xβ‖² + λ‖K̂β‖². `None` takes the optimal one; 0 is
      ordinary least squares; infinity confines the weights to the learned subspace.
    - `order="finite"`: the task stage is exact up to the resolvent trace (relative error of order
      1/n_task²), the brain stage a deterministic equivalent. `order="first"`: the paper's
      large-sample law.

    Returns the broadcast shape, in the units of ‖β‖². Infinite where the error has no mean:
    n_task <= latent_dim + 1, or penalty 0 with n_task <= input_dim + 1. Where n_task is within one or two
    of input_dim and n_task · penalty · input_dim is below about 10, the trace has no good closed form:
    coarse there, and NaN where it would be negative.

    **Source.** Finite: derived here, docs/theory.md, "The task stage". First order: Lewis et al.,
    arXiv:2605.09243.
    """
    check_choice("order", order, ORDERS)
    missed = expected_misalignment(problem, n_brain, order=order)
    n_task = check_n_task(problem, n_task)
    return _risk(problem, missed, n_task, check_penalty(problem, penalty), order)


def optimal_penalty(
    problem: Problem, n_brain: Real, n_task: Real, *, order: str = "finite"
) -> Float[Array, "..."]:
    """The penalty a sample that minimises the test error: λ* = σ² (d − k) / (n_task E‖K̂β‖²).

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> round(float(jb.optimal_penalty(problem, n_brain=36_000, n_task=10_000)), 6)
    2.421821

    Arguments, broadcasting and orders as in `risk`. Infinite where nothing is missed (m = 0 and a
    perfect subspace): the best penalty is then the hard constraint.

    **Source.** Exact at every n_task, given E‖K̂β‖²: docs/theory.md, "The task stage". At large
    n_task this is the schedule of Lewis et al., arXiv:2605.09243.
    """
    missed = expected_misalignment(problem, n_brain, order=order)
    n_task = check_n_task(problem, n_task)
    return problem.task_noise * problem.outside_dim / (n_task * missed)


def task_only_risk(problem: Problem, n_task: Real) -> Float[Array, "..."]:
    """Test error of ordinary least squares on labels alone: σ² d / (n_task − d − 1), exactly.

    >>> import jaxbrain as jb
    >>> float(jb.task_only_risk(jb.Problem.isotropic(10, 2, 1.0, 0.1, 0.5), n_task=21))
    1.0

    Infinite for n_task <= input_dim + 1, where the mean does not exist. Units of ‖β‖².
    """
    return _task_only_risk_jit(problem, check_n_task(problem, n_task))


def ridge_risk(problem: Problem, n_task: Real, penalty: Real | None = None) -> Float[Array, "..."]:
    """Test error of ridge regression on labels alone, the rival that no recording is needed for.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(10, 2, 1.0, 0.1, 0.5)
    >>> round(float(jb.ridge_risk(problem, n_task=21)), 3)
    0.407

    - `penalty`: λ a sample, in (1/n_task)‖y − Xβ‖² + λ‖β‖²; `None` takes the optimal
      σ² d / (n_task ‖β‖²), at which the risk is σ² E tr (XᵀX + n_task λ)⁻¹.

    Units of ‖β‖². Infinite for penalty 0 and n_task <= input_dim + 1. As in `risk`, coarse or NaN for
    n_task within one or two of input_dim and a penalty next to nothing.

    **Source.** docs/theory.md, "Baselines"; relative error of order 1/n_task².
    """
    return _ridge_risk_jit(problem, check_n_task(problem, n_task), check_penalty(problem, penalty))
