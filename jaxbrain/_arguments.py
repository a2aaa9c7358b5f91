"""Arguments that closed forms, simulations and budgets share: their choices and their checks."""

from __future__ import annotations

from typing import Literal, get_args

from jaxtyping import Array

from ._checks import as_float_like, check_number, check_positive, is_concrete, kind_of
from ._typing import Real
from .models import LinearGaussianModel, Problem

Order = Literal["finite", "first"]
Baseline = Literal["ols", "ridge"]
Estimator = Literal["befs", "befs_two_penalties"]

ORDERS: tuple[Order, ...] = get_args(Order)
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)


def check_problem(problem: Problem) -> None:
    """Raise unless this is one problem: not a model, and not a stack of problems."""
    if isinstance(problem, LinearGaussianModel):
        raise ValueError("problem is a LinearGaussianModel: pass model.problem(), its summary")
    if not isinstance(problem, Problem):
        raise ValueError(f"problem must be a jaxbrain.Problem, but it is {kind_of(problem)}")
    if problem.task_noise.ndim:
        raise ValueError("problem is a stack of problems: map over them with jax.vmap")


def check_n_brain(problem: Problem, n_brain: Real) -> Array:
    """The sample number as an array; raises on a single known number that is too small."""
    check_problem(problem)
    number = as_float_like("n_brain", n_brain, problem.task_noise)
    least = problem.input_dim + 1
    if number.ndim == 0:
        check_number("n_brain", number)
    if number.ndim == 0 and is_concrete(number) and not number > least:
        raise ValueError(
            f"n_brain must be greater than input_dim + 1 = {least}, but it is {float(number):g}: "
            "record more, or describe the inputs by fewer components"
        )
    return number


def check_n_task(problem: Problem, n_task: Real) -> Array:
    """The number of labels as an array; raises where it is negative or NaN."""
    check_problem(problem)
    number = as_float_like("n_task", n_task, problem.task_noise)
    check_positive("n_task", number, zero_allowed=True)
    return number


def check_penalty(problem: Problem, penalty: Real | None) -> Array | None:
    """The penalty as an array, or None for the optimal one; raises where it is negative."""
    if penalty is None:
        return None
    number = as_float_like("penalty", penalty, problem.task_noise)
    check_positive("penalty", number, zero_allowed=True)
    return number
