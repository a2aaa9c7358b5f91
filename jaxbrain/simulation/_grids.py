"""Grids of a sweep: what is asked for, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from .._checks import shown
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
from ._stages import stages_of
from ._trials import Progress

PENALTIES = ("optimal", "empirical")
# Beyond, the digits of a whole number of samples are lost in those of a float.
_LARGEST_EXACT = 1e15
# In units of the penalty of ridge regression on the outside, σ²(d − k)/(n ‖β‖²): the best one lies
# above.
_EMPIRICAL = np.logspace(-1, 3, 33)


class Grids(NamedTuple):
    """Sample numbers as integers; penalties as numbers, or the rule they follow."""

    n_brain: np.ndarray
    n_task: np.ndarray
    penalty: np.ndarray
    """One-dimensional, none under a rule, or of each cell, (n_brain, n_task)."""
    rule: str
    """"given", "schedule", "optimal" or "empirical"."""
    n_task_only: np.ndarray
    encoding_penalty: np.ndarray
    """None where each cell takes the best one."""
    inside_penalty: np.ndarray | None
    """Like `penalty`; None where there is none, or a rule."""

    @property
    def is_best_encoding(self) -> bool:
        """Whether each cell takes the encoding penalty that the closed form calls best."""
        return not self.encoding_penalty.size


class Plan(NamedTuple):
    """What is simulated, and how it is spread over memory and devices."""

    grids: Grids
    trials: int
    seeds: int
    key: PRNGKeyArray
    traces: str
    mesh: Mesh | None
    max_bytes: float | int
    progress: Progress | None

    def chunks(self, bytes_a_trial: float) -> list[tuple[int, range]]:
        """Seed and global trial numbers of each call, which all have the same length."""
        calls = max(1, -(-self.trials // max(1, int(self.max_bytes // bytes_a_trial))))
        length = -(-self.trials // calls)
        return [
            (seed, range(start, min(start + length, (seed + 1) * self.trials)))
            for seed in range(self.seeds)
            for start in range(seed * self.trials, (seed + 1) * self.trials, length)
        ]

    def report(self, part: str, done: int, total: int) -> None:
        """Tell whoever asked how far the simulation is."""
        if self.progress is not None:
            self.progress(part, done, total)

    def batch(self, bytes_a_trial: float) -> int:
        """How many trials may run at the same time."""
        return max(1, int(min(self.max_bytes // bytes_a_trial, self.trials)))


class Wishes(NamedTuple):
    """What a user passes, not yet checked."""

    n_brain: Any
    n_task: Any
    penalty: Any
    n_task_only: Any
    encoding_penalty: Any
    inside_penalty: Any


def check_grids(
    model: LinearGaussianModel | Problem,
    wishes: Wishes,
    method: str,
    n_penalties: int | None = 1,
    *,
    any_labels: bool = False,
) -> Grids:
    """The grids as arrays. Raises `ValueError` that names what is wrong.

    - `n_penalties`: of the estimator; None of a user's own, which is told no encoding penalty.
    - `any_labels`: whether there may be as few labels as one.
    """
    encoding = encoding_penalties(wishes.encoding_penalty)
    own = n_penalties is None
    if own and wishes.encoding_penalty is not None:
        raise ValueError("encoding_penalty: a function that is the estimator has its own")
    if not encoding.size and not any_labels:
        raise ValueError("encoding_penalty must be a number here, but it is 'optimal'")
    # A function of the user may know what to do with few recordings, if penalties see inputs.
    small = bool(np.all(encoding > 0)) or (own and any_labels)
    brain = _brain_numbers(wishes.n_brain, model, any_number=small)
    task = _task_numbers(wishes.n_task, model, any_number=any_labels)
    penalties, rule = _penalties(wishes.penalty, (len(brain), len(task)))
    inside = _inside_penalties(wishes.inside_penalty, rule, n_penalties, (len(brain), len(task)))
    if wishes.n_task_only is not None:
        alone = _counts("n_task_only", wishes.n_task_only, 1, "one label is the least")
    elif method == "data":
        largest = int(task[-1])
        alone = np.unique(np.concatenate([task, [2 * largest, 4 * largest, 8 * largest]]))
    else:
        # Least squares starts beyond input_dim + 1; ridge regression bends below.
        d = model.input_dim
        few, many = np.geomspace(1, d, 8), np.geomspace(1, 100.0 * (task[-1] + brain[-1]), 16)
        alone = np.unique(np.concatenate([task, np.round(few), d + 1 + np.round(many)])).astype(int)
    return Grids(brain, task, penalties, rule, alone, encoding, inside)


def is_general(
    model: LinearGaussianModel | Problem, encoding_penalty: object, estimator: object
) -> bool:
    """Whether penalties see more than a subspace and white inputs."""
    check_model(model)
    of_inputs = model.geometry if isinstance(model, Problem) else model.input_covariance
    if of_inputs is not None:
        return True
    if not isinstance(estimator, str):
        return False
    penalties = encoding_penalties(encoding_penalty)
    return stages_of(estimator).n_penalties == 2 or not penalties.size or bool(np.any(penalties))


def brain_numbers(
    n_brain: Any, model: LinearGaussianModel | Problem, encoding_penalty: Any = None
) -> np.ndarray:
    """Numbers of recordings, checked."""
    small = bool(np.all(encoding_penalties(encoding_penalty) > 0))
    return _brain_numbers(n_brain, model, any_number=small)


def _brain_numbers(
    n_brain: Any, model: LinearGaussianModel | Problem, *, any_number: bool
) -> np.ndarray:
    check_model(model)
    reason = "the encoding stage needs more recordings than inputs, or an encoding_penalty above 0"
    return _counts("n_brain", n_brain, 1 if any_number else model.input_dim + 1, reason)


def task_numbers(
    n_task: Any,
    model: LinearGaussianModel | Problem,
    encoding_penalty: Any = None,
    estimator: str = "befs",
) -> np.ndarray:
    """Numbers of labels, checked."""
    any_number = is_general(model, encoding_penalty, estimator)
    return _task_numbers(n_task, model, any_number=any_number)


def _task_numbers(
    n_task: Any, model: LinearGaussianModel | Problem, *, any_number: bool
) -> np.ndarray:
    check_model(model)
    reason = "with fewer labels than latent_dim + 2 the error has no mean"
    return _counts("n_task", n_task, 1 if any_number else model.latent_dim + 2, reason)


def penalty_numbers(penalty: Any) -> tuple[np.ndarray, str]:
    """Penalties, none if they follow a rule, and the rule; checked."""
    if isinstance(penalty, str):
        if penalty not in PENALTIES:
            raise ValueError(
                "penalty must be a grid of numbers, 'optimal' or 'empirical', but it is "
                f"{shown(penalty)}"
            )
        return np.zeros(0), penalty
    return _not_negative("penalty", _ascending("penalty", penalty)), "given"


def _penalties(penalty: Any, cells: tuple[int, int]) -> tuple[np.ndarray, str]:
    """As `penalty_numbers`, or a table of one for each n_brain and n_task."""
    if getattr(penalty, "ndim", None) == 2 or _is_nested(penalty):
        return _table("penalty", penalty, cells), "schedule"
    return penalty_numbers(penalty)


def _is_nested(values: Any) -> bool:
    return isinstance(values, list | tuple) and any(
        isinstance(row, list | tuple) or getattr(row, "ndim", 0) == 1 for row in values
    )


def encoding_penalties(encoding_penalty: Any) -> np.ndarray:
    """Penalties of the encoding stage, ascending; 0 alone where none is asked for.

    None at all under the rule "optimal".
    """
    if encoding_penalty is None:
        return np.zeros(1)
    if isinstance(encoding_penalty, str) and encoding_penalty == "optimal":
        return np.zeros(0)
    name = "encoding_penalty"
    penalties = _not_negative(name, _ascending(name, encoding_penalty))
    if np.isinf(penalties[-1]):
        raise ValueError("encoding_penalty must be finite: an infinite one learns nothing")
    return penalties


def _inside_penalties(
    inside_penalty: Any, rule: str, n_penalties: int | None, cells: tuple[int, int]
) -> np.ndarray | None:
    name = "inside_penalty"
    if n_penalties != 2:
        if inside_penalty is not None:
            raise ValueError("inside_penalty: this estimator has a single penalty; leave it out")
        return None
    if rule in PENALTIES:
        if inside_penalty is not None:
            raise ValueError(f"inside_penalty follows the rule of penalty, {rule!r}: leave it out")
        return None
    if inside_penalty is None or isinstance(inside_penalty, str):
        raise ValueError(
            "inside_penalty must be a grid of numbers, as penalty is: this estimator has two; or "
            "pass penalty='empirical', which chooses both"
        )
    if rule == "given":
        return _not_negative(name, _ascending(name, inside_penalty))
    if getattr(inside_penalty, "ndim", None) == 2 or _is_nested(inside_penalty):
        return _table(name, inside_penalty, cells)
    (one,) = _not_negative(name, _ascending(name, inside_penalty))[:1]
    return np.full(cells, one)


def _not_negative(name: str, penalties: np.ndarray) -> np.ndarray:
    if np.any(penalties < 0):
        raise ValueError(f"{name} must be at least 0 (infinity is allowed)")
    return penalties


def _table(name: str, values: Any, cells: tuple[int, int]) -> np.ndarray:
    """One penalty for each cell."""
    try:
        table = np.asarray(values)
    # Whatever keys, tracers and ragged lists raise.
    except Exception:
        table = np.zeros(0)
    if table.dtype.kind not in "iuf" or table.shape != cells:
        raise ValueError(
            f"{name} must be a list of numbers, or a table of them of shape {cells}, one for each "
            f"n_brain and n_task, but it is {shown(values)}"
        )
    table = table.astype(float)
    if np.any(np.isnan(table)):
        raise ValueError(f"{name} holds NaN: remove it first")
    return _not_negative(name, table)


def empirical_penalties(grids: Grids, task_noise: float, power: float, q: int) -> np.ndarray:
    """The grid of the rule "empirical", for each number of labels: (n_task, 33)."""
    return task_noise * q / power / grids.n_task[:, None] * _EMPIRICAL[None, :]


def at_best_penalty(
    risk: np.ndarray, error: np.ndarray, *penalties: np.ndarray
) -> tuple[np.ndarray, ...]:
    """At the penalty whose risk, meaned over seeds, is the least in its cell.

    `risk`, `error`: (..., penalty, seed); `penalties`: (..., penalty).
    """
    mean = risk.mean(-1)
    best = np.argmin(np.where(np.isnan(mean), np.inf, mean), axis=-1)[..., None]
    chosen = best[..., None]
    return (
        np.take_along_axis(risk, chosen, -2),
        np.take_along_axis(error, chosen, -2),
        *(np.take_along_axis(each, best, -1) for each in penalties),
    )


def _ascending(name: str, values: Any) -> np.ndarray:
    try:
        numbers = np.atleast_1d(np.asarray(values))
        if numbers.dtype.kind not in "iuf":
            raise TypeError("no numbers")
        numbers = numbers.astype(float)
    # Whatever keys, tracers and other libraries' tables raise.
    except Exception as problem:
        raise ValueError(
            f"{name} must be a list of numbers, but it is {shown(values)}"
        ) from problem
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"{name} must be a list of at least one number, but it is {shown(values)}")
    if np.any(np.isnan(numbers)):
        raise ValueError(f"{name} holds NaN: remove it first")
    # Two infinities differ by NaN.
    if not np.all(numbers[1:] > numbers[:-1]):
        raise ValueError(
            f"{name} must ascend without repeats: pass {sorted(set(numbers.tolist()))}"
        )
    return numbers


def _counts(name: str, values: Any, least: int, reason: str) -> np.ndarray:
    numbers = _ascending(name, values)
    if not np.all(np.isfinite(numbers)):
        raise ValueError(f"{name} must be finite: the closed forms take infinite numbers")
    if np.any(numbers != np.round(numbers)):
        raise ValueError(f"{name} must hold whole numbers, but it holds {numbers.tolist()}")
    if numbers[0] < least:
        raise ValueError(
            f"{name} must be at least {least}, but it is as low as {numbers[0]:g}: {reason}"
        )
    if numbers[-1] > _LARGEST_EXACT:
        raise ValueError(
            f"{name} must be at most {_LARGEST_EXACT:g}, but it is as high as {numbers[-1]:g}: "
            "the closed forms take any number"
        )
    return numbers.astype(int)
