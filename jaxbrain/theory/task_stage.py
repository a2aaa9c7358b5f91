"""The task stage: test error of the two-stage estimator and of its rivals.

`simulation.task_stage` repeats this algebra on purpose, in its own form, so that it checks it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._linalg import implicit_minimum
from .._typing import AnyArray
from ..models import Problem
from ..models.problem import TracedProblem
from ..models.shift import BlockShift
from .brain_stage import SubspaceMoments
from .resolvent import resolvent


class TaskStage(NamedTuple):
    """Risk at one penalty, and the same risk as extra samples of ordinary least squares."""

    risk: Array
    extra_samples: Array


def task_stage(
    problem: Problem | TracedProblem,
    subspace: SubspaceMoments,
    n_task: Array,
    penalty: Array | None,
    order: str,
) -> TaskStage:
    """Risk given the learned subspace; `penalty=None` is the best one for white test inputs."""
    solve = _first_order if order == "first" else penalised_regression
    return solve(
        subspace, problem.task_noise, problem.latent_dim, problem.input_dim, n_task, penalty
    )


def penalised_regression(
    subspace: SubspaceMoments,
    noise: Array,
    k: AnyArray | int,
    d: AnyArray | int,
    n_task: Array,
    penalty: Array | None,
) -> TaskStage:
    """Risk of regression in d dimensions that leaves k of them unpenalised; k = 0 is ridge."""
    # Floats: as 32-bit integers the products below overflow at imaging scale.
    k, d = jnp.asarray(k, noise.dtype), jnp.asarray(d, noise.dtype)
    q = d - k
    unlimited = jnp.isinf(n_task)
    learnable = ~unlimited & jnp.where(k > 0, n_task > k + 1, n_task >= 0)
    n = jnp.where(learnable, n_task, 2.0 * d + 2)
    # Profiling out the k unpenalised directions leaves ridge in q dimensions with n − k rows, and
    # c = n λ. At the optimum c = σ² q / E‖K̂β‖², infinite when nothing is missed.
    top, bottom = _ratio(noise * q, subspace.misalignment, n, penalty)
    solvable = learnable & ((top > 0) | (n > d + 1))
    top = jnp.where(solvable, top, 1.0)
    moments = resolvent(top, bottom, q, n - k)

    # Error in the penalised block, and how it spreads over its directions:
    # c² E Gββ'G = c² (b + a ββ').
    block = subspace.misalignment * moments.c2_t2 / q + noise * moments.noise
    single, pairs = q == 1, q * (q + 2)
    along = jnp.where(single, moments.c2_t2, (moments.c2_t11 + 2 * moments.c2_t2) / pairs)
    apart = jnp.where(single, 0.0, jnp.maximum(q * moments.c2_t2 - moments.c2_t11, 0.0))
    across = apart / (pairs * jnp.where(single, 1.0, q - 1))
    bias = across * subspace.misalignment * subspace.outside + (along - across) * subspace.missed
    profiled = jnp.where(k > 0, subspace.inside / jnp.where(k > 0, n - k - 1, 1.0), 0.0)
    risk = (noise + block) * profiled + noise * moments.noise / q * subspace.outside + bias

    # (n − d − 1)(R_TOS − R), by t1(0) − t1(c) rather than by the difference of two risks.
    least_squares = n - d - 1
    gain = profiled * (
        noise * moments.noise_excess - least_squares * moments.c2_t2 * subspace.misalignment / q
    )
    gain += noise * moments.noise_excess / q * subspace.outside
    gain -= least_squares * bias

    # Negative beyond rounding only where the resolvent trace has lost its accuracy: no number is
    # better.
    rounding = 1e3 * jnp.finfo(risk.dtype).eps * (noise + subspace.misalignment)
    wrong = (block < 0) | (risk < -rounding * (subspace.inside + subspace.outside))
    risk = jnp.where(wrong, jnp.nan, jnp.maximum(risk, 0.0))
    limit = _unlimited_labels(subspace, noise, q, penalty)
    # Without a penalty the k + q directions need n > d + 1 labels: below that the error of least
    # squares has no mean, and neither estimator is worth more than the other.
    return TaskStage(
        risk=jnp.where(unlimited, limit.risk, jnp.where(solvable, risk, jnp.inf)),
        extra_samples=jnp.where(
            unlimited, limit.extra_samples, jnp.where(solvable, gain / risk, d + 1 - n_task)
        ),
    )


def _unlimited_labels(
    subspace: SubspaceMoments, noise: Array, q: Array, penalty: Array | None
) -> TaskStage:
    # With c fixed the error dies out and the gain stays; with a fixed λ what is missed is shrunk by
    # 1/(1 + λ) for ever.
    if penalty is None:
        gain = _lasting_gain(subspace, noise, q)
        return TaskStage(jnp.zeros_like(gain), gain)
    hard = jnp.isinf(penalty)
    share = jnp.where(hard, 1.0, penalty / (1 + jnp.where(hard, 1.0, penalty)))
    risk = share**2 * subspace.missed
    return TaskStage(risk, jnp.where(risk > 0, -jnp.inf, 0.0))


def _lasting_gain(subspace: SubspaceMoments, noise: Array, q: Array) -> Array:
    # (2 σ² c tr K̂Σ − c² βᵀK̂ΣK̂β)/(σ² tr Σ) at c = σ² q/E‖K̂β‖².
    something = subspace.misalignment > 0
    missed = jnp.where(something, subspace.misalignment, 1.0)
    gain = 2 * subspace.outside / q - subspace.missed / missed
    gain *= noise * q**2 / (missed * (subspace.inside + subspace.outside))
    return jnp.where(something, gain, jnp.inf)


def _ratio(optimal_top: Array, optimal_bottom: Array, n: Array, penalty: Array | None):
    # c as a ratio: c = ∞ (the hard constraint) is then a number like any other.
    if penalty is None:
        return optimal_top, optimal_bottom
    hard = jnp.isinf(penalty)
    one, zero = jnp.ones_like(penalty * n), jnp.zeros_like(penalty * n)
    return jnp.where(hard, one, n * jnp.where(hard, 1.0, penalty)), jnp.where(hard, zero, one)


def _first_order(
    subspace: SubspaceMoments,
    noise: Array,
    k: AnyArray | int,
    d: AnyArray | int,
    n: Array,
    penalty: Array | None,
) -> TaskStage:
    k, d = jnp.asarray(k, noise.dtype), jnp.asarray(d, noise.dtype)
    # R = R_TOS − gain, gain = (2 σ² c tr K̂Σ − c² βᵀK̂ΣK̂β)/n², worth n² gain/(σ² tr Σ) samples.
    total = noise * (subspace.inside + subspace.outside)
    risk = _least_squares_risk(total, d, n)
    unlimited, undefined = jnp.isinf(n), jnp.isinf(risk)
    if penalty is None:
        extra = _lasting_gain(subspace, noise, d - k)
        settled = unlimited | undefined
        lower = risk - total * extra / jnp.where(settled, 1.0, n) ** 2
        return TaskStage(jnp.where(settled, risk, lower), extra)
    some = jnp.where(n > 0, n, 1.0)
    gain = penalty * (2 * noise * subspace.outside / some - penalty * subspace.missed)
    extra = jnp.where(unlimited, 1.0, n) ** 2 * gain / total
    lasting = jnp.where(gain < 0, -jnp.inf, 0.0)
    return TaskStage(risk - gain, jnp.where(unlimited, lasting, extra))


def _least_squares_risk(noise: Array, d: Array, n: Array) -> Array:
    excess = n - d - 1
    safe = jnp.where(excess > 0, excess, 1.0)
    return jnp.where(excess > 0, noise / safe, jnp.inf)


def least_squares_risk(
    problem: Problem | TracedProblem, n_task: Array, shift: BlockShift | None
) -> Array:
    """Risk of ordinary least squares, σ² tr Σ/(n − d − 1)."""
    problem = problem.with_traced_sizes()
    total = without_subspace(problem, shift).outside
    return _least_squares_risk(problem.task_noise * total, jnp.asarray(problem.input_dim), n_task)


def without_subspace(problem: Problem | TracedProblem, shift: BlockShift | None) -> SubspaceMoments:
    """The case of no learned subspace: P̂ = 0, everything is missed, as for ridge regression."""
    problem = problem.with_traced_sizes()
    power = problem.total_power
    if shift is None:
        total, missed = jnp.full_like(power, problem.input_dim), power
    else:
        total = shift.trace(problem)
        missed = shift.sensitive * problem.total_aligned_power
        missed += shift.missed * problem.misaligned_power
    return SubspaceMoments(power, jnp.zeros_like(power), total, missed)


def best_penalty(
    problem: Problem | TracedProblem, subspace: SubspaceMoments, n_task: Array
) -> Array:
    """λ* = σ² q/(n E‖K̂β‖²), infinite where nothing is missed."""
    nothing = subspace.misalignment == 0
    missed = jnp.where(nothing, 1.0, subspace.misalignment)
    return jnp.where(nothing, jnp.inf, problem.task_noise * problem.outside_dim / missed / n_task)


def best_penalty_under_shift(
    subspace: SubspaceMoments, noise: Array, k: AnyArray | int, q: AnyArray | int, n: Array
) -> Array:
    """The penalty that minimises the risk under the covariance that `subspace` was averaged for."""
    shape = jnp.broadcast_shapes(*(jnp.shape(x) for x in (*subspace, n)))
    flat = [jnp.broadcast_to(x, shape).ravel() for x in (*subspace, n)]

    def best(*numbers: Array) -> Array:
        given, n = SubspaceMoments(*numbers[:-1]), numbers[-1]
        white = noise * q / (n * given.misalignment)

        # Most extra samples, least risk: the risk itself is flat to rounding where labels abound.
        def loss(log_penalty):
            penalty = white * jnp.exp(log_penalty)
            return -penalised_regression(given, noise, k, k + q, n, penalty).extra_samples

        grid = jnp.linspace(-14.0, 14.0, 57, dtype=n.dtype)
        best, at_end = implicit_minimum(loss, grid)
        # Towards no penalty at all the loss is flat: rounding must not choose where.
        ends = jax.vmap(loss)(jnp.stack([grid[0], best]))
        flat = ends[0] <= ends[1] + 16 * jnp.finfo(n.dtype).eps * jnp.abs(ends[1])
        best = jnp.where(flat, grid[0], best)
        return jnp.where(at_end > 0, jnp.inf, white * jnp.exp(best))

    return jax.vmap(best)(*flat).reshape(shape)


def ridge_stage(
    problem: Problem | TracedProblem, n_task: Array, penalty: Array | None, shift: BlockShift | None
) -> TaskStage:
    """Ridge regression as the task stage of a subspace without dimensions."""
    nothing = without_subspace(problem, shift)
    return penalised_regression(nothing, problem.task_noise, 0, problem.input_dim, n_task, penalty)
