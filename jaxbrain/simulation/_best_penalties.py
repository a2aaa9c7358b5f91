"""The penalties of a sweep that closed forms call best, from calls of few shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..models import LinearGaussianModel, Problem
from ..theory import (
    optimal_banded_penalties,
    optimal_encoding_penalty,
    optimal_penalties,
    optimal_penalty,
)
from ._grids import Grids
from ._stages import Stages

# Each shape is a program: grids are filled up to multiples of these.
_LEARNED_AT_A_TIME, _LABELS_AT_A_TIME = 4, 8


def encoding_of(
    model: LinearGaussianModel | Problem, grids: Grids, stages: Stages | None
) -> np.ndarray:
    """Encoding penalties, (n_brain, encoding penalty, 1), or the best ones, (n_brain, 1, n_task).

    The last axis is that of the numbers of labels that share what was learned.
    """
    if not grids.is_best_encoding:
        shape = len(grids.n_brain), len(grids.encoding_penalty), 1
        return np.broadcast_to(grids.encoding_penalty[None, :, None], shape)
    assert stages is not None
    (best,) = _asked(
        lambda *cells: (optimal_encoding_penalty(*cells, estimator=stages.closed_form),),
        _summary(model),
        grids.n_brain,
        grids.n_task,
    )
    return best[:, None]


def best_penalties(
    model: LinearGaussianModel | Problem,
    grids: Grids,
    encoding: np.ndarray,
    stages: Stages | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Outside and inside, (n_brain, encoding penalty, n_task).

    A control takes those of the estimator that it controls.

    - `encoding`: what `encoding_of` returns.
    """
    if stages is None:
        raise ValueError(
            "penalty 'optimal' is a closed form, and there is none of an estimator of your own: "
            "pass 'empirical' or a grid of penalties"
        )
    problem = _summary(model)
    n_brain = np.broadcast_to(grids.n_brain[:, None, None], encoding.shape).ravel()

    def law(problem: Problem, n_brain: Any, n_task: Any, penalty: Any) -> tuple[Any, ...]:
        cells = problem, n_brain, n_task
        if stages.closed_form == "befs":
            return (optimal_penalty(*cells, encoding_penalty=penalty),)
        best = optimal_banded_penalties if stages.is_graded else optimal_penalties
        return best(*cells, encoding_penalty=penalty)

    found = _asked(law, problem, n_brain, grids.n_task, encoding.ravel())
    if grids.is_best_encoding:
        # Of what each number of labels learns from, its own cell.
        own = np.arange(len(n_brain)), np.arange(len(n_brain)) % len(grids.n_task)
        found = [each[own] for each in found]
    shape = *encoding.shape[:2], len(grids.n_task)
    outside, *inside = (each.reshape(shape) for each in found)
    return outside, inside[0] if inside else np.zeros(shape)


def _summary(model: LinearGaussianModel | Problem) -> Problem:
    if not isinstance(model, LinearGaussianModel):
        return model
    try:
        return model.problem()
    except ValueError as unequal:
        raise ValueError(
            "penalty 'optimal' is a closed form, which knows equal channels alone: pass "
            "'empirical' or a grid of penalties"
        ) from unequal


def _asked(
    law: Callable[..., tuple[Any, ...]],
    problem: Problem,
    n_brain: np.ndarray,
    n_task: np.ndarray,
    *encoding: np.ndarray,
) -> list[np.ndarray]:
    """What a closed form says at all n_brain, with an encoding penalty each, and all n_task."""
    rows, columns = len(n_brain), len(n_task)
    labels = _filled_up(n_task, _LABELS_AT_A_TIME)[None, :]
    learned = [_filled_up(x, _LEARNED_AT_A_TIME)[:, None] for x in (n_brain, *encoding)]
    found = law(problem, learned[0], labels, *learned[1:])
    return [np.asarray(each, float)[:rows, :columns] for each in found]


def _filled_up(values: np.ndarray, step: int) -> np.ndarray:
    return np.pad(values.astype(float), (0, -len(values) % step), mode="edge")
