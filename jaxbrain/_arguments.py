"""Arguments that closed forms, simulations and budgets share: their choices and their checks."""

from __future__ import annotations

import contextlib
from typing import Literal, get_args

import jax
import numpy as np
from jaxtyping import Array

from ._checks import (
    as_float_like,
    check_choice,
    check_finite,
    check_number,
    check_positive,
    is_concrete,
    kind_of,
)
from ._typing import Real
from .models import LinearGaussianModel, Problem

Order = Literal["finite", "first"]
Baseline = Literal["ols", "ridge"]
Estimator = Literal["befs", "befs_two_penalties"]
EstimatorOfRecordings = Literal["befs", "befs_two_penalties", "banded_ridge"]
EncodingCriterion = Literal["leave_one_out", "k_fold"]

ORDERS: tuple[Order, ...] = get_args(Order)
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
ESTIMATORS_OF_RECORDINGS: tuple[EstimatorOfRecordings, ...] = get_args(EstimatorOfRecordings)
ENCODING_CRITERIA: tuple[EncodingCriterion, ...] = get_args(EncodingCriterion)


def _check_range(name: str, number: Array) -> None:
    """Raise where known numbers are so large, or so small, that answers would be NaN."""
    if not is_concrete(number):
        return
    # Squares of larger numbers are none. At infinity the closed forms have limits.
    largest, least = (1e150, 1e-100) if number.dtype == np.float64 else (1e18, 1e-15)
    numbers = np.asarray(number)
    beyond = numbers[(numbers > largest) & ~np.isinf(numbers)]
    if beyond.size:
        raise ValueError(
            f"{name} must be at most {largest:g}, or infinite, but it is as high as "
            f"{float(np.max(beyond)):g}"
        )
    below = numbers[(numbers < least) & (numbers > 0)]
    if below.size:
        raise ValueError(
            f"{name} must be 0 or at least {least:g}, but it is as low as {float(np.min(below)):g}"
        )


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
    _check_range("n_brain", number)
    least = problem.input_dim + 1
    if number.ndim == 0:
        check_number("n_brain", number)
    if number.ndim == 0 and is_concrete(number) and not number > least:
        raise ValueError(
            f"n_brain must be greater than input_dim + 1 = {least}, but it is {float(number):g}: "
            "record more, or describe the inputs by fewer components"
        )
    return number


def check_recordings(
    problem: Problem, n_brain: Real, encoding_penalty: Real | str
) -> tuple[Array, Array | None]:
    """The number of recordings and the encoding penalty, None for the best one, as arrays.

    Raises on known numbers that leave the encoding stage without a solution.
    """
    check_problem(problem)
    if isinstance(encoding_penalty, str):
        check_choice("encoding_penalty", encoding_penalty, ("optimal",))
        penalty = None
    else:
        # What is known stays known under a transformation: it decides which closed form serves.
        known = is_concrete(encoding_penalty)
        with jax.ensure_compile_time_eval() if known else contextlib.nullcontext():
            penalty = as_float_like("encoding_penalty", encoding_penalty, problem.task_noise)
        check_positive("encoding_penalty", penalty, zero_allowed=True)
        check_finite("encoding_penalty", penalty)
    if penalty is not None and (not is_concrete(penalty) or not np.all(np.asarray(penalty) > 0)):
        try:
            return check_n_brain(problem, n_brain), penalty
        except ValueError as few:
            if "greater than" not in str(few) or not is_concrete(penalty):
                raise
            raise ValueError(
                f"{str(few).split(': ')[0]}: record more, or pass an encoding_penalty above 0"
            ) from few
    number = as_float_like("n_brain", n_brain, problem.task_noise)
    check_positive("n_brain", number)
    _check_range("n_brain", number)
    if is_concrete(number) and not np.all(np.asarray(number) > problem.latent_dim):
        raise ValueError(
            f"n_brain must be greater than latent_dim = {problem.latent_dim}, but it is as low as "
            f"{float(np.min(np.asarray(number))):g}: fewer recordings cannot tell its latents apart"
        )
    return number, penalty


def is_white(problem: Problem, encoding_penalty: Array | None) -> bool:
    """Whether inputs are white and the encoding stage has no penalty: the closed forms of old."""
    return (
        problem.geometry is None
        and encoding_penalty is not None
        and is_concrete(encoding_penalty)
        and not np.any(np.asarray(encoding_penalty))
    )


def check_n_task(problem: Problem, n_task: Real) -> Array:
    """The number of labels as an array; raises where it is negative or NaN."""
    check_problem(problem)
    number = as_float_like("n_task", n_task, problem.task_noise)
    check_positive("n_task", number, zero_allowed=True)
    _check_range("n_task", number)
    return number


def check_penalty(problem: Problem, penalty: Real | None) -> Array | None:
    """The penalty as an array, or None for the optimal one; raises where it is negative."""
    if penalty is None:
        return None
    number = as_float_like("penalty", penalty, problem.task_noise)
    check_positive("penalty", number, zero_allowed=True)
    return number
