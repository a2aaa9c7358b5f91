"""The task stage: test error of the two-stage estimator and of its rivals."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import (
    as_floats,
    as_real,
    check_broadcast,
    check_choice,
    check_covariance,
    check_finite,
    check_orthonormal,
    check_positive,
    check_shape,
)
from .._linalg import implicit_minimum
from .._typing import AnyArray, Real
from ..models import Problem
from ..models.problem import check_dimensions
from .brain_stage import (
    ORDERS,
    LearnedSubspace,
    check_n_brain,
    check_problem,
    learned_subspace,
    warn_outside_validated,
)
from .resolvent import resolvent
from .shift import BlockShift, check_shift


class TaskStage(NamedTuple):
    """Risk at one penalty, and the same risk as extra samples of ordinary least squares."""

    risk: Array
    extra_samples: Array


def task_stage(
    problem: Problem, subspace: LearnedSubspace, n_task: Array, penalty: Array | None, order: str
) -> TaskStage:
    """Risk given the learned subspace; `penalty=None` is the best one for white test inputs."""
    solve = _first_order if order == "first" else penalised_regression
    return solve(
        subspace, problem.task_noise, problem.latent_dim, problem.input_dim, n_task, penalty
    )


def penalised_regression(
    subspace: LearnedSubspace, noise: Array, k: int, d: int, n_task: Array, penalty: Array | None
) -> TaskStage:
    """Risk of regression in d dimensions that leaves k of them unpenalised; k = 0 is ridge."""
    q = d - k
    unlimited = jnp.isinf(n_task)
    learnable = ~unlimited & ((n_task > k + 1) if k else (n_task >= 0))
    n = jnp.where(learnable, n_task, 2.0 * d + 2)
    # Profiling out the k unpenalised directions leaves ridge in q dimensions with n − k rows, and
    # c = n λ. At the optimum c = σ² q / E‖K̂β‖², infinite when nothing is missed.
    top, bottom = _ratio(noise * q, subspace.misalignment, n, penalty)
    solvable = learnable & ((top > 0) | (n > d + 1))
    top = jnp.where(solvable, top, 1.0)
    moments = resolvent(top, bottom, q, n - k)

    # Error in the penalised block, and how it spreads over its directions: c² E Gββ'G = c² (b + a ββ').
    block = subspace.misalignment * moments.c2_t2 / q + noise * moments.noise
    if q == 1:
        along, across = moments.c2_t2, jnp.zeros_like(moments.c2_t2)
    else:
        # Floats: as 32-bit integers such products overflow at imaging scale.
        pairs = float(q * (q + 2))
        along = (moments.c2_t11 + 2 * moments.c2_t2) / pairs
        across = jnp.maximum(q * moments.c2_t2 - moments.c2_t11, 0.0) / (pairs * (q - 1))
    bias = across * subspace.misalignment * subspace.outside + (along - across) * subspace.missed
    profiled = subspace.inside / (n - k - 1) if k else jnp.zeros_like(n)
    risk = (noise + block) * profiled + noise * moments.noise / q * subspace.outside + bias

    # (n − d − 1)(R_TOS − R), by t1(0) − t1(c) rather than by the difference of two risks.
    least_squares = n - d - 1
    gain = profiled * (
        noise * moments.noise_excess - least_squares * moments.c2_t2 * subspace.misalignment / q
    )
    gain += noise * moments.noise_excess / q * subspace.outside
    gain -= least_squares * bias

    # Negative beyond rounding only where the resolvent trace has lost its accuracy: no number is better.
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
    subspace: LearnedSubspace, noise: Array, q: int, penalty: Array | None
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


def _lasting_gain(subspace: LearnedSubspace, noise: Array, q: int) -> Array:
    # (2 σ² c tr K̂Σ − c² βᵀK̂ΣK̂β)/(σ² tr Σ) at c = σ² q/E‖K̂β‖².
    something = subspace.misalignment > 0
    missed = jnp.where(something, subspace.misalignment, 1.0)
    gain = 2 * subspace.outside / q - subspace.missed / missed
    gain *= noise * float(q) ** 2 / (missed * (subspace.inside + subspace.outside))
    return jnp.where(something, gain, jnp.inf)


def _ratio(optimal_top: Array, optimal_bottom: Array, n: Array, penalty: Array | None):
    # c as a ratio: c = ∞ (the hard constraint) is then a number like any other.
    if penalty is None:
        return optimal_top, optimal_bottom
    hard = jnp.isinf(penalty)
    one, zero = jnp.ones_like(penalty * n), jnp.zeros_like(penalty * n)
    return jnp.where(hard, one, n * jnp.where(hard, 1.0, penalty)), jnp.where(hard, zero, one)


def _first_order(
    subspace: LearnedSubspace, noise: Array, k: int, d: int, n: Array, penalty: Array | None
) -> TaskStage:
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


def _least_squares_risk(noise: Array, d: int, n: Array) -> Array:
    excess = n - d - 1
    safe = jnp.where(excess > 0, excess, 1.0)
    return jnp.where(excess > 0, noise / safe, jnp.inf)


def everything(problem: Problem, shift: BlockShift | None) -> LearnedSubspace:
    """The case of no learned subspace: P̂ = 0, everything is missed, as for ridge regression."""
    power = problem.total_power
    if shift is None:
        total, missed = jnp.full_like(power, problem.input_dim), power
    else:
        total = shift.trace(problem)
        missed = shift.sensitive * problem.total_aligned_power
        missed += shift.missed * problem.misaligned_power
    return LearnedSubspace(power, jnp.zeros_like(power), total, missed)


def check_penalty(problem: Problem, penalty: Real | None) -> Array | None:
    """The penalty as an array, or None for the optimal one; raises where it is negative."""
    if penalty is None:
        return None
    number = as_real("penalty", penalty, problem.task_noise)
    check_positive("penalty", number, zero_allowed=True)
    return number


def check_n_task(problem: Problem, n_task: Real) -> Array:
    """The number of labels as an array; raises where it is negative or NaN."""
    check_problem(problem)
    number = as_real("n_task", n_task, problem.task_noise)
    check_positive("n_task", number, zero_allowed=True)
    return number


@partial(jax.jit, static_argnames="order")
def _risk(problem, n_brain, n_task, penalty, shift, order):
    subspace = learned_subspace(problem, n_brain, shift, order)
    return task_stage(problem, subspace, n_task, penalty, order).risk


def risk(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    shift: BlockShift | None = None,
    order: str = "finite",
) -> Float[Array, "..."]:
    """Test error of learning a task with the help of brain recordings: excess risk E‖β̂ − β‖²_Σ.

    The two-stage estimator (BEFS) learns a subspace from `n_brain` recordings and then regresses on
    `n_task` labels, penalising what leaves the subspace. Mean squared error on new labels is this
    plus the label noise σ².

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> round(float(jb.risk(problem, n_brain=36_000, n_task=10_000)), 6)
    0.159764

    - `n_brain`, `n_task`: sample numbers, at least input_dim + 2 and latent_dim + 2; they broadcast with
      each other and with `penalty`. Fewer labels than inputs are fine as long as there is a penalty.
      Infinite ones give the limit.
    - `penalty`: λ a sample, in (1/n_task)‖y − Xβ‖² + λ‖K̂β‖². `None` takes the one that is best for
      test inputs like those learned from; 0 is ordinary least squares; infinity confines the
      weights to the learned subspace. The best one under a shift is `optimal_penalty(shift=...)`.
    - `shift`: covariance Σ of the test inputs, if it is not that of the inputs learned from. For a
      covariance of any form and one given subspace see `subspace_risk`.
    - `order="finite"`: the task stage is exact up to the resolvent trace (relative error of order
      1/n_task³, see `wishart_resolvent_trace`), the brain stage a deterministic equivalent.
      `order="first"`: the paper's large-sample law.

    Returns the broadcast shape, in the units of ‖β‖². Infinite where the error has no mean:
    n_task <= latent_dim + 1, or penalty 0 with n_task <= input_dim + 1. Coarse only where n_task is
    within three of input_dim and n_task · penalty · (input_dim − latent_dim) is below about 0.5.

    Where the brain stage is inaccurate (see `expected_misalignment`) a known n_brain brings an
    `AccuracyWarning`: the risk at its best penalty is then up to 5 % off, and under a shift up to 24 %
    (see `BlockShift`).

    **Raises** `ValueError` that names the argument: `n_brain` of input_dim + 1 or fewer, negative numbers, shapes that
    do not broadcast, an unknown `order`, a `shift` that is no `BlockShift`.

    **Source.** Finite: derived here, docs/theory.md, "The task stage" and "Test shift". First order:
    Lewis et al., arXiv:2605.09243.
    """
    check_choice("order", order, ORDERS)
    n_brain, n_task = check_n_brain(problem, n_brain), check_n_task(problem, n_task)
    penalty, shift = check_penalty(problem, penalty), check_shift(problem, shift)
    check_broadcast(n_brain=n_brain, n_task=n_task, penalty=penalty)
    if order == "finite":
        warn_outside_validated(problem, n_brain)
    return _risk(problem, n_brain, n_task, penalty, shift, order)


def optimal_penalty(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    *,
    shift: BlockShift | None = None,
    order: str = "finite",
) -> Float[Array, "..."]:
    """The penalty a sample that minimises the test error: λ* = σ² (d − k) / (n_task E‖K̂β‖²).

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> round(float(jb.optimal_penalty(problem, n_brain=36_000, n_task=10_000)), 6)
    2.422718

    Arguments, broadcasting and orders as in `risk`. Infinite where nothing is missed (m = 0 and a
    perfect subspace): the best penalty is then the hard constraint. Under a `shift` the best penalty
    has no closed form at finite n_task; it is found within six decades of the one without shift, is
    infinite where it lies beyond, and NaN where the risk is infinite (n_task <= latent_dim + 1). At
    large n_task, and to first order, it is λ* = σ² tr K̂Σ / (n_task βᵀK̂ΣK̂β), infinite where the shifted
    inputs show nothing of what is missed. Beside infinite n_task it is 0, unless nothing is missed.

    **Source.** Exact at every n_task, given E‖K̂β‖²: docs/theory.md, "The task stage". At large
    n_task this is the schedule of Lewis et al., arXiv:2605.09243.
    """
    check_choice("order", order, ORDERS)
    n_brain, n_task = check_n_brain(problem, n_brain), check_n_task(problem, n_task)
    shift = check_shift(problem, shift)
    check_broadcast(n_brain=n_brain, n_task=n_task)
    if order == "finite":
        warn_outside_validated(problem, n_brain)
    return _optimal_penalty(problem, n_brain, n_task, shift, order)


@partial(jax.jit, static_argnames="order")
def _optimal_penalty(problem, n_brain, n_task, shift, order):
    subspace = learned_subspace(problem, n_brain, shift, order)
    if shift is None:
        return best_penalty(problem, subspace, n_task)
    noise, k, q = problem.task_noise, problem.latent_dim, problem.outside_dim
    if order == "first":
        nothing = subspace.missed == 0
        missed = jnp.where(nothing, 1.0, subspace.missed)
        return jnp.where(nothing, jnp.inf, noise * subspace.outside / missed / n_task)
    # The hard constraint where nothing is missed, and no penalty where labels are unlimited otherwise.
    nothing, unlimited = subspace.misalignment == 0, jnp.isinf(n_task)
    learnable = n_task > k + 1
    some = subspace._replace(misalignment=jnp.where(nothing, 1.0, subspace.misalignment))
    n = jnp.where(learnable & ~unlimited, n_task, k + 2.0)
    found = jnp.where(unlimited, 0.0, _best_under_shift(some, noise, k, q, n))
    return jnp.where(learnable, jnp.where(nothing, jnp.inf, found), jnp.nan)


def best_penalty(problem: Problem, subspace: LearnedSubspace, n_task: Array) -> Array:
    """λ* = σ² q/(n E‖K̂β‖²), infinite where nothing is missed."""
    nothing = subspace.misalignment == 0
    missed = jnp.where(nothing, 1.0, subspace.misalignment)
    return jnp.where(nothing, jnp.inf, problem.task_noise * problem.outside_dim / missed / n_task)


def _best_under_shift(subspace: LearnedSubspace, noise: Array, k: int, q: int, n: Array) -> Array:
    """The penalty that minimises the risk under the covariance that `subspace` was averaged for."""
    shape = jnp.broadcast_shapes(*(jnp.shape(x) for x in (*subspace, n)))
    flat = [jnp.broadcast_to(x, shape).ravel() for x in (*subspace, n)]

    def best(*numbers: Array) -> Array:
        given, n = LearnedSubspace(*numbers[:-1]), numbers[-1]
        white = noise * q / (n * given.misalignment)

        # Most extra samples, least risk: the risk itself is flat to rounding where labels abound.
        def loss(log_penalty):
            penalty = white * jnp.exp(log_penalty)
            return -penalised_regression(given, noise, k, k + q, n, penalty).extra_samples

        grid = jnp.linspace(-14.0, 14.0, 57, dtype=n.dtype)
        best, at_end = implicit_minimum(loss, grid)
        return jnp.where(at_end > 0, jnp.inf, white * jnp.exp(best))

    return jax.vmap(best)(*flat).reshape(shape)


def subspace_risk(
    basis: AnyArray,
    task_weights: AnyArray,
    task_noise: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    test_covariance: AnyArray | None = None,
) -> Float[Array, "..."]:
    """Test error of the task stage with one given subspace, for test inputs of any covariance.

    >>> import jax.numpy as jnp, jaxbrain as jb
    >>> round(float(jb.subspace_risk(jnp.eye(6, 2), jnp.ones(6), 1.0, n_task=20)), 4)
    0.4286

    - `basis`: orthonormal basis of the subspace, shape (d, k), as `encode` or a control returns it.
    - `task_weights` β, shape (d,); `task_noise` σ², greater than 0.
    - `n_task`, `penalty`: as in `risk`. The default penalty is the best one for white test inputs.
    - `test_covariance` Σ, shape (d, d). White inputs by default.

    Returns the broadcast shape of `n_task` and `penalty`, in the units of βᵀΣβ: the mean over inputs and
    labels of the task stage, which are as in the model, x ~ N(0, I). Infinite and NaN as in `risk`.

    **Raises** `ValueError` that names the argument and the remedy.

    **Source.** Exact up to the resolvent traces: docs/theory.md, "Test shift".
    """
    basis, task_weights, task_noise = as_floats(
        basis=basis, task_weights=task_weights, task_noise=task_noise
    )
    check_shape("basis", basis, ("d", "k"), "one column for each direction of the subspace")
    d, k = basis.shape
    check_dimensions(d, k, None)
    check_shape("task_weights", task_weights, (d,), "one weight for each input")
    check_shape("task_noise", task_noise, (), "one variance")
    for name, value in (("basis", basis), ("task_weights", task_weights)):
        check_finite(name, value)
    check_orthonormal("basis", basis, "pass jnp.linalg.qr(basis)[0]")
    check_positive("task_noise", task_noise)
    n_task, *penalties = (
        number.astype(basis.dtype)
        for number in as_floats(n_task=n_task, **({} if penalty is None else {"penalty": penalty}))
    )
    check_positive("n_task", n_task, zero_allowed=True)
    for number in penalties:
        check_positive("penalty", number, zero_allowed=True)
    if test_covariance is not None:
        (test_covariance,) = as_floats(test_covariance=test_covariance)
        test_covariance = test_covariance.astype(basis.dtype)
        check_shape("test_covariance", test_covariance, (d, d), "one row and column an input")
        check_covariance("test_covariance", test_covariance)
    return _subspace_risk(
        basis, task_weights, task_noise, n_task, *(penalties or [None]), test_covariance
    )


@jax.jit
def _subspace_risk(basis, task_weights, task_noise, n_task, penalty, covariance):
    d, k = basis.shape
    missed = task_weights - basis @ (basis.T @ task_weights)
    misalignment = jnp.sum(missed**2)
    if covariance is None:
        like = jnp.ones_like(misalignment)
        subspace = LearnedSubspace(misalignment, k * like, (d - k) * like, misalignment)
    else:
        inside = jnp.sum(basis * (covariance @ basis))
        outside = jnp.trace(covariance) - inside
        subspace = LearnedSubspace(misalignment, inside, outside, missed @ (covariance @ missed))
    return penalised_regression(subspace, task_noise, k, d, n_task, penalty).risk


def task_only_risk(
    problem: Problem, n_task: Real, *, shift: BlockShift | None = None
) -> Float[Array, "..."]:
    """Test error of ordinary least squares on labels alone: σ² tr Σ / (n_task − d − 1), exactly.

    >>> import jaxbrain as jb
    >>> float(jb.task_only_risk(jb.Problem.isotropic(10, 2, 1.0, 0.1, 0.5), n_task=21))
    1.0

    - `problem`, `n_task`: the study, and its number of labels, any shape; the result has it too.

    Σ is the identity, and its trace d, unless a `shift` says otherwise. Infinite for
    n_task <= input_dim + 1, where the mean does not exist. Units of ‖β‖².

    **Raises** `ValueError` that names the argument: negative numbers, a `shift` that is no `BlockShift`.

    **Source.** Mean of the inverse of a Wishart matrix; docs/theory.md, "Baselines".
    """
    return _task_only_risk(problem, check_n_task(problem, n_task), check_shift(problem, shift))


@jax.jit
def _task_only_risk(problem, n_task, shift):
    total = everything(problem, shift).outside
    return _least_squares_risk(problem.task_noise * total, problem.input_dim, n_task)


def ridge_risk(
    problem: Problem,
    n_task: Real,
    penalty: Real | None = None,
    *,
    shift: BlockShift | None = None,
) -> Float[Array, "..."]:
    """Test error of ridge regression on labels alone, the rival that no recording is needed for.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(10, 2, 1.0, 0.1, 0.5)
    >>> round(float(jb.ridge_risk(problem, n_task=21)), 3)
    0.407

    - `penalty`: λ a sample, in (1/n_task)‖y − Xβ‖² + λ‖β‖²; `None` takes the one that is best without
      a shift, σ² d / (n_task ‖β‖²), at which the risk is σ² E tr (XᵀX + n_task λ)⁻¹.
    - `shift`: as in `risk`.

    Units of ‖β‖². Infinite for penalty 0 and n_task <= input_dim + 1. Coarse only where n_task is
    within three of input_dim and n_task · penalty · input_dim is below about 0.5.

    **Raises** `ValueError` that names the argument: negative numbers, shapes that do not broadcast, a `shift` that is
    no `BlockShift`.

    **Source.** docs/theory.md, "Baselines"; relative error of order 1/n_task³.
    """
    n_task, penalty = check_n_task(problem, n_task), check_penalty(problem, penalty)
    check_broadcast(n_task=n_task, penalty=penalty)
    return _ridge_risk(problem, n_task, penalty, check_shift(problem, shift))


@jax.jit
def _ridge_risk(problem, n_task, penalty, shift):
    return ridge_stage(problem, n_task, penalty, shift).risk


def ridge_stage(
    problem: Problem, n_task: Array, penalty: Array | None, shift: BlockShift | None
) -> TaskStage:
    """Ridge regression as the task stage of a subspace without dimensions."""
    nothing = everything(problem, shift)
    return penalised_regression(nothing, problem.task_noise, 0, problem.input_dim, n_task, penalty)
