"""Grids of a sweep: what is asked for, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from .._checks import shown
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
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
    rule: str
    """"given", "optimal" or "empirical"."""
    n_task_only: np.ndarray


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


def check_grids(
    model: LinearGaussianModel | Problem,
    n_brain: Any,
    n_task: Any,
    penalty: Any,
    n_task_only: Any,
    method: str,
) -> Grids:
    """The grids as arrays. Raises `ValueError` that names what is wrong."""
    brain, task = brain_numbers(n_brain, model), task_numbers(n_task, model)
    penalties, rule = penalty_numbers(penalty)
    if n_task_only is not None:
        alone = _counts("n_task_only", n_task_only, 1, "one label is the least")
    elif method == "data":
        largest = int(task[-1])
        alone = np.unique(np.concatenate([task, [2 * largest, 4 * largest, 8 * largest]]))
    else:
        # Least squares starts beyond input_dim + 1; ridge regression bends below.
        d = model.input_dim
        few, many = np.geomspace(1, d, 8), np.geomspace(1, 100.0 * (task[-1] + brain[-1]), 16)
        alone = np.unique(np.concatenate([task, np.round(few), d + 1 + np.round(many)])).astype(int)
    return Grids(brain, task, penalties, rule, alone)


def brain_numbers(n_brain: Any, model: LinearGaussianModel | Problem) -> np.ndarray:
    """Numbers of recordings, checked."""
    check_model(model)
    reason = "the encoding stage needs more recordings than inputs"
    return _counts("n_brain", n_brain, model.input_dim + 1, reason)


def task_numbers(n_task: Any, model: LinearGaussianModel | Problem) -> np.ndarray:
    """Numbers of labels, checked."""
    check_model(model)
    reason = "with fewer labels than latent_dim + 2 the error has no mean"
    return _counts("n_task", n_task, model.latent_dim + 2, reason)


def penalty_numbers(penalty: Any) -> tuple[np.ndarray, str]:
    """Penalties, none if they follow a rule, and the rule; checked."""
    if isinstance(penalty, str):
        if penalty not in PENALTIES:
            raise ValueError(
                "penalty must be a grid of numbers, 'optimal' or 'empirical', but it is "
                f"{shown(penalty)}"
            )
        return np.zeros(0), penalty
    penalties = _ascending("penalty", penalty)
    if penalties[0] < 0:
        raise ValueError("penalty must be at least 0 (infinity is allowed)")
    return penalties, "given"


def empirical_penalties(grids: Grids, task_noise: float, power: float, q: int) -> np.ndarray:
    """The grid of the rule "empirical", for each number of labels: (n_task, 33)."""
    return task_noise * q / power / grids.n_task[:, None] * _EMPIRICAL[None, :]


def at_best_penalty(
    risk: np.ndarray, error: np.ndarray, penalties: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At the penalty whose risk, meaned over seeds, is the least in its cell.

    `risk`, `error`: (n_brain, n_task, penalty, seed); `penalties`: (n_brain, n_task, penalty).
    """
    mean = risk.mean(-1)
    best = np.argmin(np.where(np.isnan(mean), np.inf, mean), axis=2)[:, :, None]
    chosen = best[..., None]
    return (
        np.take_along_axis(risk, chosen, 2),
        np.take_along_axis(error, chosen, 2),
        np.take_along_axis(penalties, best, 2),
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
