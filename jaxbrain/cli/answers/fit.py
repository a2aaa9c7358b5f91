"""Errors of estimators on a user's own arrays, summarised, as plain numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...pilot import Evaluation, Summary


def summaries(evaluation: Evaluation) -> dict[str, tuple[Summary, Summary]]:
    """For each estimator its error, and its paired difference to ridge."""
    from ...pilot import summarise

    errors = errors_by_repeat(evaluation)
    return {
        name: (summarise(error), summarise(error - errors["ridge"]))
        for name, error in errors.items()
    }


def errors_by_repeat(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Errors of each estimator in each repeat, averaged over targets."""
    from ...pilot import ESTIMATORS

    errors = dict(zip(ESTIMATORS, np.asarray(evaluation.errors).mean(axis=2), strict=True))
    if evaluation.errors_as_given is not None:
        errors["ridge_as_given"] = np.asarray(evaluation.errors_as_given).mean(axis=1)
    return errors


def answer_of(evaluation: Evaluation) -> dict[str, Any]:
    """What is printed as JSON, apart from words and targets."""
    found = summaries(evaluation)
    return {
        "rank": evaluation.rank,
        "sizes": evaluation.sizes._asdict(),
        "errors": {name: _plain(error) for name, (error, _) in found.items()},
        "differences_to_ridge": {name: _plain(gap) for name, (_, gap) in found.items()},
    }


def answer_per_target(evaluation: Evaluation) -> dict[str, list[float | None]]:
    """The error of each estimator for each target; None where all splits failed."""
    from ...pilot import ESTIMATORS

    return {
        name: [value if math.isfinite(value) else None for value in row.tolist()]
        for name, row in zip(ESTIMATORS, errors_per_target(evaluation), strict=True)
    }


def _plain(summary: Summary) -> dict[str, float | int | None]:
    return {
        name: value if math.isfinite(value) else None for name, value in summary._asdict().items()
    }


def errors_per_target(evaluation: Evaluation) -> np.ndarray:
    """Errors averaged over the repeats that did not fail, shape (estimators, targets)."""
    errors = np.asarray(evaluation.errors)
    succeeded = np.isfinite(errors)
    totals = np.sum(np.where(succeeded, errors, 0.0), axis=1)
    counts = succeeded.sum(axis=1)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def held_back_inside(evaluation: Evaluation) -> float:
    """In which share of the splits the larger of the two penalties is the one inside."""
    outside, inside = np.asarray(evaluation.penalties).T
    return float(np.mean(inside > outside))
