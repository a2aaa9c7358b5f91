"""What the recordings are worth: value in labels, exchange rate, savings."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_choice
from .._linalg import implicit_root
from .._typing import Real
from ..models import Problem
from .brain_stage import ORDERS, check_n_brain, expected_misalignment
from .resolvent import leading_t2
from .task_stage import (
    check_n_task,
    check_penalty,
    optimal_penalty,
    ridge_risk,
    task_only_risk,
    task_stage,
)

BASELINES = ("ols", "ridge")


def value(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    baseline: str = "ols",
    order: str = "finite",
) -> Float[Array, "..."]:
    """How many extra labels the recordings are worth.

    The number of labels that somebody without recordings would need on top of `n_task` to reach the
    same test error.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.value(problem, n_brain=18_000, n_task=100_000)))
    135845
    >>> round(float(jb.value(problem, n_brain=18_000, n_task=100_000, baseline="ridge")))
    94161

    - `n_brain`, `n_task`, `penalty`, `order`: as in `risk`; they broadcast.
    - `baseline`: what that somebody uses. `"ols"`, ordinary least squares, is the paper's; part of
      the value is then mere shrinkage, which needs no brain. `"ridge"` is ridge regression at its
      best penalty; the value can be negative, since BEFS leaves its subspace unpenalised. Where the
      error is no better than that of predicting 0, which ridge reaches without any label, the
      value is −n_task.

    Returns the broadcast shape, in labels. Computed without the difference of two large numbers, so
    that it holds in single precision at any n_task. Where the error is infinite, least squares
    at n_task = input_dim + 1 is as bad: value input_dim + 1 − n_task.

    **Source.** Against least squares: Lewis et al., arXiv:2605.09243, at finite samples here.
    Against ridge: ours. docs/theory.md, "Value".
    """
    check_choice("baseline", baseline, BASELINES)
    check_choice("order", order, ORDERS)
    missed = expected_misalignment(problem, n_brain, order=order)
    n_task = check_n_task(problem, n_task)
    return _value(problem, missed, n_task, check_penalty(problem, penalty), baseline, order)


def exchange_rate(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    baseline: str = "ols",
    order: str = "finite",
) -> Float[Array, "..."]:
    """How many labels one recorded sample is worth, on average: value / n_brain.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.exchange_rate(problem, n_brain=18_000, n_task=100_000)), 3)
    7.547

    Arguments and source as in `value`. Labels a brain sample.
    """
    worth = value(problem, n_brain, n_task, penalty, baseline=baseline, order=order)
    return worth / check_n_brain(problem, n_brain)


def savings(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    *,
    baseline: str = "ols",
    order: str = "finite",
) -> Float[Array, "..."]:
    """Share of the labels that recordings make superfluous: value / (n_task + value).

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.savings(problem, n_brain=18_000, n_task=100_000)), 3)
    0.576

    Arguments and source as in `value`. A fraction: 0.5 means half of the labels that would be needed
    without recordings; negative where recordings do harm, −∞ where the error is no better than
    that of predicting 0.
    """
    worth = value(problem, n_brain, n_task, penalty, baseline=baseline, order=order)
    return worth / (check_n_task(problem, n_task) + worth)


class Worth(NamedTuple):
    """Everything `worth` tells: risks in units of ‖β‖², values in labels, the rest fractions."""

    n_brain: Array
    n_task: Array
    penalty: Array
    risk: Array
    task_only_risk: Array
    ridge_risk: Array
    value: Array
    value_vs_ridge: Array
    exchange_rate: Array
    savings: Array
    worse_than_predicting_zero: Array
    """Whether the risk is at least ‖β‖²: no ridge is that bad, and `value_vs_ridge` is −n_task."""


def worth(problem: Problem, n_brain: Real, n_task: Real, penalty: Real | None = None) -> Worth:
    """The whole answer at once: what `n_brain` recordings are worth beside `n_task` labels.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> answer = jb.worth(problem, n_brain=18_000, n_task=5_000)
    >>> round(float(answer.value)), bool(answer.worse_than_predicting_zero)
    (35751, True)

    Arguments, broadcasting and sources as in `value`; each field is what the function of that name
    returns at `order="finite"`, `penalty` the one used. One compiled call.
    """
    return _worth(
        problem,
        check_n_brain(problem, n_brain),
        check_n_task(problem, n_task),
        check_penalty(problem, penalty),
    )


@jax.jit
def _worth(problem, n_brain, n_task, penalty):
    arguments = (problem, n_brain, n_task)
    used = optimal_penalty(*arguments) if penalty is None else penalty
    missed = expected_misalignment(problem, n_brain)
    risk = task_stage(problem, missed, n_task, penalty, "finite").risk
    against_ols = value(*arguments, penalty)
    return Worth(
        n_brain=n_brain,
        n_task=n_task,
        penalty=used,
        risk=risk,
        task_only_risk=task_only_risk(problem, n_task),
        ridge_risk=ridge_risk(problem, n_task),
        value=against_ols,
        value_vs_ridge=value(*arguments, penalty, baseline="ridge"),
        exchange_rate=against_ols / n_brain,
        savings=against_ols / (n_task + against_ols),
        worse_than_predicting_zero=risk >= problem.total_power,
    )


@partial(jax.jit, static_argnames=("baseline", "order"))
def _value(problem, misalignment, n_task, penalty, baseline, order):
    stage = task_stage(problem, misalignment, n_task, penalty, order)
    if baseline == "ols":
        return stage.extra_samples
    d, noise, power = problem.input_dim, problem.task_noise, problem.total_power
    if order == "first":
        return stage.extra_samples - noise * d / power
    hopeless = stage.risk >= power
    shape = jnp.broadcast_shapes(jnp.shape(stage.risk), jnp.shape(n_task))
    arrays = (
        jnp.where(hopeless, power / 2, stage.risk) / noise,
        jnp.where(hopeless, 0.0, stage.extra_samples),
        n_task,
    )
    t, extra, n = (jnp.broadcast_to(array, shape).ravel() for array in arrays)
    worth = jax.vmap(partial(_against_ridge, noise * d / power, d))(t, extra, n).reshape(shape)
    return jnp.where(hopeless, -n_task, worth)


def _against_ridge(c: Array, d: int, t: Array, extra: Array, n_task: Array) -> Array:
    # Optimal ridge with n labels reaches t = risk/σ² where c t² + (c + n − d − 1) t − d + c t2 = 0;
    # the samples of least squares, extra = d/t + d + 1 − n_task, take the large numbers out.
    def mismatch(worth):
        n = jnp.maximum(n_task + worth, 0.0)
        return worth - extra + c * (1 + t + leading_t2(c, d, n) / t)

    return implicit_root(mismatch, extra - c * (1 + t))
