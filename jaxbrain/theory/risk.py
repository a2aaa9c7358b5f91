"""Test error of the two-stage estimator and of its rivals: the public closed forms."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arguments import (
    ORDERS,
    Order,
    check_n_task,
    check_penalty,
    check_recordings,
    is_white,
)
from .._checks import (
    as_floats,
    check_broadcast,
    check_choice,
    check_covariance,
    check_finite,
    check_integer,
    check_orthonormal,
    check_positive,
    check_shape,
)
from .._typing import AnyArray, Real
from ..models import Problem
from ..models.shift import TestCovariance, check_shift
from .accuracy import warn_outside_validated
from .any_covariance import (
    check_labels,
    check_options,
    checked_cells,
    least_squares_of,
    ridge_risk_of,
)
from .brain_stage import SubspaceMoments, brain_stage
from .shifted_cells import best_penalty_of_shifted_cells, shifted_cells, shifted_ridge_risk_of
from .task_stage import (
    best_penalty,
    best_penalty_under_shift,
    least_squares_risk,
    penalised_regression,
    ridge_stage,
    task_stage,
)


@partial(jax.jit, static_argnames="order")
def _risk(problem, subspace, n_task, penalty, order):
    return task_stage(problem, subspace, n_task, penalty, order).risk


def risk(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    encoding_penalty: Real | str = 0.0,
    shift: TestCovariance = None,
    order: Order = "finite",
) -> Float[Array, "..."]:
    """Test error of learning a task with the help of brain recordings: excess risk E‖β̂ − β‖²_Σ.

    The two-stage estimator (BEFS) learns a subspace from `n_brain` recordings. It then regresses on
    `n_task` labels and penalises what leaves the subspace. The mean squared error on new labels is
    this risk plus the label noise σ².

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> round(float(jb.risk(problem, n_brain=36_000, n_task=10_000)), 6)
    0.159764

    **Arguments**

    - `problem`: the study.
    - `n_brain`, `n_task`: sample numbers, at least input_dim + 2 and latent_dim + 2. They broadcast
      with each other and with `penalty`. Labels may be fewer than inputs as long as there is a
      penalty. Infinite ones give the limit.
    - `penalty`: λ a sample, in (1/n_task)‖y − Xβ‖² + λ‖K̂β‖². `None` takes the one that is best for
      test inputs like those learned from. 0 is ordinary least squares. Infinity confines the
      weights to the learned subspace. The best one under a shift is `optimal_penalty(shift=...)`.
    - `encoding_penalty`: ridge of the first stage, a sample, as in `encode(..., ridge=)`; it
      broadcasts too. With one above 0 any n_brain above latent_dim will do. `"optimal"` takes the
      best one, which is searched for.
    - `shift`: covariance of the test inputs, if it is not that of the inputs learned from. A
      `BlockShift`, or for a problem with a geometry also any covariance along the principal axes of
      the inputs: variances, shape (d,), or a matrix, shape (d, d), as
      `LinearGaussianModel.along_principal_axes` makes it. For one given subspace see
      `subspace_risk`. Where inputs are not white, or the encoding stage has a penalty, what a shift
      changes is known to leading order.
    - `order`: with `"finite"` the task stage is exact up to the resolvent trace (relative error of
      order 1/n_task³, see `wishart_resolvent_trace`), and the brain stage a deterministic
      equivalent. `"first"` is the paper's large-sample law.

    **Returns**

    The risk, of the broadcast shape, in the units of ‖β‖². It is infinite where the error has no
    mean: n_task <= latent_dim + 1, or penalty 0 with n_task <= input_dim + 1. It is coarse only
    where n_task is within three of input_dim and n_task · penalty · (input_dim − latent_dim) is
    below about 0.5.

    Where the brain stage is inaccurate (see `expected_misalignment`) a known n_brain brings an
    `AccuracyWarning`. The risk at its best penalty is then up to 4 % off, and under a shift up to
    7 % (see `BlockShift`).

    **Raises**

    `ValueError` that names the argument: `n_brain` of input_dim + 1 or fewer, negative numbers,
    shapes that do not broadcast, an unknown `order`, a `shift` that is none.

    **Source**

    Finite: derived here, docs/theory.md, "The task stage" and "Test shift", for other inputs
    "Inputs of any covariance" and "Test inputs of any covariance". First order: Lewis et al.,
    arXiv:2605.09243.
    """
    check_choice("order", order, ORDERS)
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task = check_n_task(problem, n_task)
    penalty, shift = check_penalty(problem, penalty), check_shift(problem, shift)
    check_broadcast(n_brain=n_brain, n_task=n_task, penalty=penalty, encoding_penalty=encoding)
    if not is_white(problem, encoding):
        check_options(order)
        cells = n_brain, n_task, penalty, None, encoding, "befs"
        if shift is not None:
            return shifted_cells(problem, shift, *cells).risk
        return checked_cells(problem, *cells).risk
    if order == "finite":
        warn_outside_validated(problem, n_brain, under_shift=shift is not None)
    traced = problem.with_traced_sizes()
    return _risk(traced, brain_stage(traced, n_brain, shift, order), n_task, penalty, order)


def optimal_penalty(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    *,
    encoding_penalty: Real | str = 0.0,
    shift: TestCovariance = None,
    order: Order = "finite",
) -> Float[Array, "..."]:
    """The penalty a sample that minimises the test error: λ* = σ² (d − k) / (n_task E‖K̂β‖²).

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> round(float(jb.optimal_penalty(problem, n_brain=36_000, n_task=10_000)), 6)
    2.422718

    **Arguments**

    - `problem`, `n_brain`, `n_task`, `encoding_penalty`: as in `risk`; the numbers broadcast.
      Where inputs are not white, or the encoding stage has a penalty, the best penalty has no
      closed form. It is searched for.
    - `shift`: as in `risk`. Under a shift the best penalty has no closed form at finite n_task. It
      is searched for within six decades of the one without shift.
    - `order`: as in `risk`. To first order, and at large n_task, the best penalty under a shift is
      λ* = σ² tr K̂Σ / (n_task βᵀK̂ΣK̂β).

    **Returns**

    The penalty, of the broadcast shape, in the units of an input's variance. It is

    - infinite where nothing is missed (m = 0 and a perfect subspace): the best penalty is then the
      hard constraint; under a shift also where it lies beyond the search, or where the shifted
      inputs show nothing of what is missed;
    - 0 beside infinite n_task, unless nothing is missed;
    - NaN under a shift where the risk is infinite, n_task <= latent_dim + 1.

    **Raises**

    `ValueError` as `risk` does.

    **Source**

    Exact at every n_task, given E‖K̂β‖²: docs/theory.md, "The task stage". At large n_task this is
    the schedule of Lewis et al., arXiv:2605.09243.
    """
    check_choice("order", order, ORDERS)
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task = check_n_task(problem, n_task)
    shift = check_shift(problem, shift)
    check_broadcast(n_brain=n_brain, n_task=n_task, encoding_penalty=encoding)
    if not is_white(problem, encoding):
        check_options(order)
        if shift is not None:
            return best_penalty_of_shifted_cells(problem, shift, n_brain, n_task, encoding)
        return checked_cells(problem, n_brain, n_task, None, None, encoding, "befs").penalty
    if order == "finite":
        warn_outside_validated(problem, n_brain, under_shift=shift is not None)
    traced = problem.with_traced_sizes()
    subspace = brain_stage(traced, n_brain, shift, order)
    if shift is None:
        return _optimal_penalty(traced, subspace, n_task)
    return _optimal_penalty_under_shift(traced, subspace, n_task, order)


_optimal_penalty = jax.jit(best_penalty)


@partial(jax.jit, static_argnames="order")
def _optimal_penalty_under_shift(problem, subspace, n_task, order):
    noise, k, q = problem.task_noise, problem.latent_dim, problem.outside_dim
    if order == "first":
        nothing = subspace.missed == 0
        missed = jnp.where(nothing, 1.0, subspace.missed)
        return jnp.where(nothing, jnp.inf, noise * subspace.outside / missed / n_task)
    # The hard constraint where nothing is missed, and no penalty where labels are unlimited
    # otherwise.
    nothing, unlimited = subspace.misalignment == 0, jnp.isinf(n_task)
    learnable = n_task > k + 1
    some = subspace._replace(misalignment=jnp.where(nothing, 1.0, subspace.misalignment))
    n = jnp.where(learnable & ~unlimited, n_task, k + 2.0)
    found = jnp.where(unlimited, 0.0, best_penalty_under_shift(some, noise, k, q, n))
    return jnp.where(learnable, jnp.where(nothing, jnp.inf, found), jnp.nan)


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

    **Arguments**

    - `basis`: orthonormal basis of the subspace, shape (d, k), as `encode` or a control returns it.
    - `task_weights`: β, shape (d,).
    - `task_noise`: σ², greater than 0.
    - `n_task`, `penalty`: as in `risk`. The default penalty is the best one for white test inputs.
    - `test_covariance`: Σ, shape (d, d). White inputs by default.

    **Returns**

    The risk, of the broadcast shape of `n_task` and `penalty`, in the units of βᵀΣβ. It is the mean
    over the inputs and labels of the task stage, which are as in the model, x ~ N(0, I). Infinite
    as in `risk`.

    **Raises**

    `ValueError` that names the argument and the remedy: columns that are not orthonormal, shapes
    that do not fit, a covariance that is none, negative numbers.

    **Source**

    Exact up to the resolvent traces: docs/theory.md, "Test shift".
    """
    basis, task_weights, task_noise = as_floats(
        basis=basis, task_weights=task_weights, task_noise=task_noise
    )
    check_shape("basis", basis, ("d", "k"), "one column for each direction of the subspace")
    d, k = basis.shape
    check_integer("the number of rows of basis", d, 2)
    check_integer("the number of columns of basis", k, 1, d - 1)
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
        subspace = SubspaceMoments(misalignment, k * like, (d - k) * like, misalignment)
    else:
        inside = jnp.sum(basis * (covariance @ basis))
        outside = jnp.trace(covariance) - inside
        subspace = SubspaceMoments(misalignment, inside, outside, missed @ (covariance @ missed))
    return penalised_regression(subspace, task_noise, k, d, n_task, penalty).risk


def task_only_risk(
    problem: Problem, n_task: Real, *, shift: TestCovariance = None
) -> Float[Array, "..."]:
    """Test error of ordinary least squares on labels alone: σ² tr Σ / (n_task − d − 1), exactly.

    >>> import jaxbrain as jb
    >>> float(jb.task_only_risk(jb.Problem.isotropic(10, 2, 1.0, 0.1, 0.5), n_task=21))
    1.0

    **Arguments**

    - `problem`: the study.
    - `n_task`: number of labels, of any shape.
    - `shift`: as in `risk`.

    **Returns**

    The risk, of the shape of `n_task`, in the units of ‖β‖². Infinite for n_task <= input_dim + 1,
    where the mean does not exist.

    **Raises**

    `ValueError` that names the argument: negative numbers, a `shift` that is none.

    **Source**

    Mean of the inverse of a Wishart matrix; docs/theory.md, "Baselines".
    """
    n_task, shift = check_n_task(problem, n_task), check_shift(problem, shift)
    if problem.geometry is not None:
        # Least squares does not notice the covariance learned from.
        return least_squares_of(problem, n_task, shift)
    return _task_only_risk(problem.with_traced_sizes(), n_task, shift)


_task_only_risk = jax.jit(least_squares_risk)


def ridge_risk(
    problem: Problem,
    n_task: Real,
    penalty: Real | None = None,
    *,
    shift: TestCovariance = None,
) -> Float[Array, "..."]:
    """Test error of ridge regression on labels alone, the rival that no recording is needed for.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(10, 2, 1.0, 0.1, 0.5)
    >>> round(float(jb.ridge_risk(problem, n_task=21)), 3)
    0.407

    **Arguments**

    - `problem`: the study.
    - `n_task`: number of labels. It broadcasts with `penalty`.
    - `penalty`: λ a sample, in (1/n_task)‖y − Xβ‖² + λ‖β‖². `None` takes the one that is best
      without a shift, σ² d / (n_task ‖β‖²), at which the risk is σ² E tr (XᵀX + n_task λ)⁻¹. Where
      inputs are not white it is searched for.
    - `shift`: as in `risk`.

    **Returns**

    The risk, of the broadcast shape, in the units of ‖β‖². Infinite for penalty 0 and
    n_task <= input_dim + 1. Coarse only where n_task is within three of input_dim and
    n_task · penalty · input_dim is below about 0.5.

    **Raises**

    `ValueError` that names the argument: negative numbers, shapes that do not broadcast, a `shift`
    that is none.

    **Source**

    docs/theory.md, "Baselines"; relative error of order 1/n_task³.
    """
    n_task, penalty = check_n_task(problem, n_task), check_penalty(problem, penalty)
    check_broadcast(n_task=n_task, penalty=penalty)
    shift = check_shift(problem, shift)
    if problem.geometry is not None:
        n_task = check_labels(n_task)
        if shift is not None:
            return shifted_ridge_risk_of(problem, shift, n_task, penalty)
        return ridge_risk_of(problem, n_task, penalty)
    return _ridge_risk(problem.with_traced_sizes(), n_task, penalty, shift)


@jax.jit
def _ridge_risk(problem, n_task, penalty, shift):
    return ridge_stage(problem, n_task, penalty, shift).risk
