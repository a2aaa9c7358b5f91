"""What the recordings are worth: value in labels, exchange rate, savings."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arguments import (
    BASELINES,
    ORDERS,
    Baseline,
    Order,
    check_n_task,
    check_penalty,
    check_recordings,
    is_white,
)
from .._checks import check_broadcast, check_choice
from .._linalg import implicit_root
from .._typing import AnyArray, Real
from ..models import Problem
from ..models.problem import TracedProblem
from ..models.shift import TestCovariance, check_shift
from .accuracy import warn_outside_validated
from .any_covariance import (
    check_options,
    checked_cells,
    information_of_cells,
    least_squares_of,
    ridge_risk_of,
    solve_cells,
    value_of_cells,
)
from .brain_stage import brain_stage
from .resolvent import resolvent
from .shifted_cells import shifted_cells
from .spectral_study import with_geometry
from .task_stage import TaskStage, best_penalty, least_squares_risk, ridge_stage, task_stage
from .two_penalties import two_penalty_stage


def value(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    baseline: Baseline = "ridge",
    encoding_penalty: Real | str = 0.0,
    shift: TestCovariance = None,
    order: Order = "finite",
) -> Float[Array, "..."]:
    """How many extra labels the recordings are worth.

    This is the number of labels that somebody without recordings would need on top of `n_task` to
    reach the same test error.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.value(problem, n_brain=18_000, n_task=100_000)))
    94260
    >>> round(float(jb.value(problem, n_brain=18_000, n_task=100_000, baseline="ols")))
    135944

    **Arguments**

    - `problem`: the study.
    - `n_brain`, `n_task`, `penalty`, `encoding_penalty`, `order`: as in `risk`; the numbers
      broadcast.
    - `baseline`: what that somebody uses. `"ridge"` is ridge regression at its best penalty. The
      value can then be negative, since BEFS leaves its subspace unpenalised. `"ols"`, ordinary
      least squares, is the paper's. Part of the value is then mere shrinkage, which needs no brain.
    - `shift`: as in `risk`, for both sides of the comparison. With a shift you must pass
      `baseline="ols"`: the error of ridge regression need not fall with the labels there.

    **Returns**

    The value, of the broadcast shape, in labels.

    - With an infinite n_task it is what remains when labels abound: σ²(d − k)²/(d E‖K̂β‖²) against
      least squares without a shift. Beside few labels it can be far above that limit, since least
      squares then fails altogether.
    - It is −n_task against ridge where the error is no better than that of predicting 0, which
      ridge reaches without any label.
    - It is input_dim + 1 − n_task against least squares where the error is infinite: at
      n_task = input_dim + 1 least squares is as bad.

    No two large numbers are subtracted, so that it holds in single precision at any n_task.

    **Raises**

    `ValueError` that names the argument: `n_brain` of input_dim + 1 or fewer, negative numbers,
    shapes that do not broadcast, an unknown `baseline` or `order`, a `shift` against ridge.

    **Source**

    Against least squares: Lewis et al., arXiv:2605.09243, at finite samples here. Against ridge:
    ours. docs/theory.md, "Value".
    """
    options = baseline, encoding_penalty, shift, order
    return _checked_value(problem, n_brain, n_task, penalty, *options)


def exchange_rate(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    baseline: Baseline = "ridge",
    encoding_penalty: Real | str = 0.0,
    shift: TestCovariance = None,
    order: Order = "finite",
) -> Float[Array, "..."]:
    """How many labels one recorded sample is worth, on average: value / n_brain.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.exchange_rate(problem, n_brain=18_000, n_task=100_000)), 3)
    5.237

    **Arguments**

    - `problem`, `n_brain`, `n_task`, `penalty`, `baseline`, `encoding_penalty`, `shift`, `order`:
      as in `value`.

    **Returns**

    The rate, of the broadcast shape, in labels a recorded sample.

    **Raises**

    `ValueError` as `value` does.

    **Source**

    The exchange rate of Lewis et al., arXiv:2605.09243; sources of the value: see `value`.
    """
    options = baseline, encoding_penalty, shift, order
    worth = _checked_value(problem, n_brain, n_task, penalty, *options)
    return worth / check_recordings(problem, n_brain, encoding_penalty)[0]


def savings(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    baseline: Baseline = "ridge",
    encoding_penalty: Real | str = 0.0,
    shift: TestCovariance = None,
    order: Order = "finite",
) -> Float[Array, "..."]:
    """Share of the labels that recordings make superfluous: value / (n_task + value).

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.savings(problem, n_brain=18_000, n_task=100_000)), 3)
    0.485

    **Arguments**

    - `problem`, `n_brain`, `n_task`, `penalty`, `baseline`, `encoding_penalty`, `shift`, `order`:
      as in `value`.

    **Returns**

    A fraction, of the broadcast shape: 0.5 means half of the labels that would be needed without
    recordings. It is negative where recordings do harm, and −∞ where the error is no better than
    that of predicting 0.

    **Raises**

    `ValueError` as `value` does.

    **Source**

    docs/theory.md, "Value"; sources of the value: see `value`.
    """
    options = baseline, encoding_penalty, shift, order
    worth = _checked_value(problem, n_brain, n_task, penalty, *options)
    return _share(problem.latent_dim, problem.input_dim, worth, check_n_task(problem, n_task))


def _checked_value(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None,
    baseline: str,
    encoding_penalty: Real | str,
    shift: TestCovariance,
    order: str,
) -> Array:
    check_choice("baseline", baseline, BASELINES)
    check_choice("order", order, ORDERS)
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task = check_n_task(problem, n_task)
    penalty, shift = check_penalty(problem, penalty), check_shift(problem, shift)
    check_broadcast(n_brain=n_brain, n_task=n_task, penalty=penalty, encoding_penalty=encoding)
    if shift is not None and baseline == "ridge":
        raise ValueError(
            "baseline 'ridge' has no value under a shift, where its error need not fall with the "
            "labels: compare risk with ridge_risk, or take baseline 'ols'"
        )
    if not is_white(problem, encoding):
        check_options(order)
        cells = n_brain, n_task, penalty, None, encoding, "befs", 5
        if shift is None:
            found = checked_cells(problem, *cells)
        else:
            found = shifted_cells(problem, shift, *cells)
        return value_of_cells(problem, found.risk, n_task, baseline, shift)
    if order == "finite":
        warn_outside_validated(problem, n_brain, under_shift=shift is not None, stacklevel=4)
    traced = problem.with_traced_sizes()
    subspace = brain_stage(traced, n_brain, shift, order)
    return _value(traced, subspace, n_task, penalty, baseline, order)


@jax.jit
def _share(latent_dim: AnyArray, input_dim: AnyArray, worth: Array, n_task: Array) -> Array:
    # Next to unlimited labels a finite value is nothing; an infinite one, where nothing is missed,
    # is that of regression in k dimensions instead of d.
    limited = ~jnp.isinf(n_task)
    unlimited = jnp.where(
        jnp.isinf(worth),
        jnp.where(worth > 0, 1 - latent_dim / input_dim, -jnp.inf),
        0.0,
    )
    return jnp.where(limited, worth / (jnp.where(limited, n_task, 1.0) + worth), unlimited)


class Worth(NamedTuple):
    """Everything `worth` tells of recordings beside labels.

    **Fields**

    - `n_brain`, `n_task`: recorded samples and labels, in the shapes given.
    - `penalty`: the penalty used, λ a sample: the one given, or the best one.
    - `risk`, `task_only_risk`, `ridge_risk`: excess risk of BEFS at that penalty, of least squares,
      and of ridge regression at its best penalty, in the units of ‖β‖². The last two have the shape
      of n_task.
    - `value`, `value_vs_ridge`: extra labels that the recordings are worth, against least squares
      and against ridge regression.
    - `information_value`: extra labels that the information in them is worth, shrinkage apart.
    - `exchange_rate`: `value` over n_brain, in labels a recorded sample.
    - `savings`: `value` over n_task + `value`, a fraction of the labels.
    - `worse_than_predicting_zero`: whether the risk is at least ‖β‖². No ridge is that bad, and
      `value_vs_ridge` is −n_task.

    Other fields have the shape that n_brain, n_task and penalty broadcast to, or, where they do not
    depend on the penalty, n_brain and n_task.
    """

    n_brain: Array
    n_task: Array
    penalty: Array
    risk: Array
    task_only_risk: Array
    ridge_risk: Array
    value: Array
    value_vs_ridge: Array
    information_value: Array
    exchange_rate: Array
    savings: Array
    worse_than_predicting_zero: Array


def worth(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    encoding_penalty: Real | str = 0.0,
) -> Worth:
    """The whole answer at once: what `n_brain` recordings are worth beside `n_task` labels.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> answer = jb.worth(problem, n_brain=18_000, n_task=5_000)
    >>> round(float(answer.value)), bool(answer.worse_than_predicting_zero)
    (35758, True)
    >>> round(float(answer.information_value))
    21743

    **Arguments**

    - `problem`, `n_brain`, `n_task`, `penalty`, `encoding_penalty`: as in `value`.

    **Returns**

    A `Worth`. Each field is what the function of that name returns at `order="finite"`, with
    `value`, `exchange_rate` and `savings` against least squares. The brain stage is computed once
    for all.

    **Raises**

    `ValueError` as `value` does.

    **Source**

    Those of `risk`, `task_only_risk`, `ridge_risk`, `value` and `information_value`.
    """
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task = check_n_task(problem, n_task)
    penalty = check_penalty(problem, penalty)
    check_broadcast(n_brain=n_brain, n_task=n_task, penalty=penalty, encoding_penalty=encoding)
    if not is_white(problem, encoding):
        return _worth_of_cells(problem, n_brain, n_task, penalty, encoding)
    warn_outside_validated(problem, n_brain)
    traced = problem.with_traced_sizes()
    subspace = brain_stage(traced, n_brain, None, "finite")
    return _worth(traced, subspace, n_brain, n_task, penalty)


def _worth_of_cells(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    encoding_penalty: Array | None,
) -> Worth:
    cells = problem, n_brain, n_task
    found = checked_cells(*cells, penalty, None, encoding_penalty, "befs", 5)
    both = solve_cells(
        with_geometry(problem), n_brain, n_task, None, None, encoding_penalty, "befs_two_penalties"
    )
    against_ols = value_of_cells(problem, found.risk, n_task, "ols")
    return Worth(
        n_brain=n_brain,
        n_task=n_task,
        penalty=found.penalty,
        risk=found.risk,
        task_only_risk=least_squares_of(problem, n_task),
        ridge_risk=ridge_risk_of(with_geometry(problem), n_task, None),
        value=against_ols,
        value_vs_ridge=value_of_cells(problem, found.risk, n_task, "ridge"),
        information_value=information_of_cells(problem, both.risk, n_task),
        exchange_rate=against_ols / n_brain,
        savings=_share(problem.latent_dim, problem.input_dim, against_ols, n_task),
        worse_than_predicting_zero=found.risk >= problem.total_power,
    )


@jax.jit
def _worth(problem, subspace, n_brain, n_task, penalty):
    stage = task_stage(problem, subspace, n_task, penalty, "finite")
    against_ols = stage.extra_samples
    return Worth(
        n_brain=n_brain,
        n_task=n_task,
        penalty=best_penalty(problem, subspace, n_task) if penalty is None else penalty,
        risk=stage.risk,
        task_only_risk=least_squares_risk(problem, n_task, None),
        ridge_risk=ridge_stage(problem, n_task, None, None).risk,
        value=against_ols,
        value_vs_ridge=against_ridge(problem, stage, n_task),
        information_value=information_value_of(problem, subspace.misalignment, n_task),
        exchange_rate=against_ols / n_brain,
        savings=_share(problem.latent_dim, problem.input_dim, against_ols, n_task),
        worse_than_predicting_zero=stage.risk >= problem.total_power,
    )


@partial(jax.jit, static_argnames=("baseline", "order"))
def _value(problem, subspace, n_task, penalty, baseline, order):
    stage = task_stage(problem, subspace, n_task, penalty, order)
    if baseline == "ols":
        return stage.extra_samples
    if order == "first":
        return stage.extra_samples - _ridge_gain(problem)
    return against_ridge(problem, stage, n_task)


def information_value(
    problem: Problem, n_brain: Real, n_task: Real, *, encoding_penalty: Real | str = 0.0
) -> Float[Array, "..."]:
    """How many extra labels the information in the recordings is worth, shrinkage apart.

    Against least squares part of the value of recordings is mere shrinkage. Without a penalty on
    its subspace BEFS can lose to ridge regression. Here both sides shrink as well as they can: BEFS
    with its two best penalties, inside and outside of the learned subspace, against ridge at its
    best penalty.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.information_value(problem, n_brain=18_000, n_task=5_000)))
    21743

    **Arguments**

    - `problem`, `n_brain`, `n_task`, `encoding_penalty`: as in `value`.

    **Returns**

    The value, of the broadcast shape, in labels. It is never negative. It is 0 exactly where the
    subspace holds no more of the task than a random one would, E‖P̂β‖²/k = E‖K̂β‖²/(d − k).
    Infinite n_task gives the limit, and n_task = 0 gives 0.

    **Raises**

    `ValueError` as `value` does.

    **Source**

    Ours: docs/theory.md, "Two penalties".
    """
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task = check_n_task(problem, n_task)
    check_broadcast(n_brain=n_brain, n_task=n_task, encoding_penalty=encoding)
    if not is_white(problem, encoding):
        cells = problem, n_brain, n_task, None, None, encoding
        found = checked_cells(*cells, "befs_two_penalties")
        return information_of_cells(problem, found.risk, n_task)
    warn_outside_validated(problem, n_brain)
    traced = problem.with_traced_sizes()
    missed = brain_stage(traced, n_brain, None, "finite").misalignment
    return _information_value(traced, missed, n_task)


def information_value_of(
    problem: Problem | TracedProblem, misalignment: Array, n_task: Array
) -> Array:
    """Labels that optimal ridge needs beyond `n_task` to be as good as the two best penalties."""
    stage = two_penalty_stage(problem, misalignment, n_task)
    # A Bayesian with more knowledge is never worse; below 0 is what the closed forms neglect.
    worth = jnp.maximum(against_ridge(problem, stage, n_task), 0.0)
    # Without labels both predict 0.
    return jnp.where(jnp.broadcast_to(n_task == 0, worth.shape), 0.0, worth)


_information_value = jax.jit(information_value_of)


def labels_without_brain(problem: Problem | TracedProblem, risk: Array, baseline: str) -> Array:
    """How many labels the baseline needs for this risk, without any recordings."""
    problem = problem.with_traced_sizes()
    least_squares = problem.task_noise * problem.input_dim / risk + (problem.input_dim + 1)
    if baseline == "ols":
        return least_squares
    return against_ridge(problem, TaskStage(risk, least_squares), jnp.zeros_like(risk))


def _ridge_gain(problem: TracedProblem) -> Array:
    # What ridge regression is worth against least squares when labels abound.
    return problem.task_noise * problem.input_dim / problem.total_power


def _ridge_labels(c: Array, d: Array, n: Array) -> tuple[Array, Array]:
    """σ²d/R, and labels beyond n that least squares needs, for optimal ridge with n labels."""
    # q − (n − q − 1) t1 = excess makes d/t1 + d + 1 − n the second, free of the difference of large
    # numbers.
    ridge = resolvent(c, jnp.ones_like(c), d, n)
    return d / ridge.t1, ridge.excess / ridge.t1


def against_ridge(problem: Problem | TracedProblem, stage: TaskStage, n_task: Array) -> Array:
    """Labels that optimal ridge needs beyond `n_task` to be as good as this stage."""
    problem = problem.with_traced_sizes()
    d, noise, power = jnp.asarray(problem.input_dim), problem.task_noise, problem.total_power
    c = noise * d / power
    n_task = jnp.broadcast_to(n_task, jnp.shape(stage.risk))
    unlimited = jnp.isinf(n_task)
    hopeless = (stage.risk >= power) | unlimited
    # One label, worth itself, stands for the cells without an answer.
    one = jnp.ones_like(c)
    inverse_of_one, extra_of_one = _ridge_labels(c, d, one)
    extra = jnp.where(hopeless, extra_of_one, stage.extra_samples)
    inverse = jnp.where(hopeless, inverse_of_one, noise * d / jnp.where(hopeless, one, stage.risk))
    safe_n_task = jnp.where(hopeless, one, n_task)

    def solve(extra, inverse, n_task):
        def mismatch(worth):
            # Both say the same. σ²d/R is small where few labels with little noise leave most of the
            # task unseen: d + 1 − n, most of the extra labels, would drown it.
            drowned = 2 * inverse < jnp.abs(extra)
            ridge_inverse, ridge_extra = _ridge_labels(c, d, jnp.maximum(n_task + worth, 0.0))
            # There are no labels below 0; a step of Newton's method beyond must find its way back.
            ridge_inverse += c / (c + d) * jnp.minimum(n_task + worth, 0.0)
            return jnp.where(drowned, ridge_inverse - inverse, worth - extra + ridge_extra)

        ridge = _ridge_labels(c, d, n_task)[1]
        return implicit_root(mismatch, extra - ridge, scale=jnp.abs(extra) + jnp.abs(ridge))

    cells = jnp.broadcast_arrays(extra, inverse, safe_n_task)
    worth = jax.vmap(solve)(*(cell.ravel() for cell in cells)).reshape(cells[0].shape)
    limit = stage.extra_samples - _ridge_gain(problem)
    return jnp.where(unlimited, limit, jnp.where(hopeless, -n_task, worth))
