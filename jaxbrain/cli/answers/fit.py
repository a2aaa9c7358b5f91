"""Errors of estimators on a user's own arrays, summarised, as plain numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...pilot import Evaluation, Labels, Summary


def names_of(evaluation: Evaluation) -> tuple[str, ...]:
    """The estimators compared, ridge on the inputs as they came among them where they changed."""
    from ...pilot import AS_GIVEN, ESTIMATORS

    return ESTIMATORS if evaluation.errors_as_given is None else (*ESTIMATORS, AS_GIVEN)


def summaries(evaluation: Evaluation) -> dict[str, tuple[Summary, Summary]]:
    """For each estimator its error, and its paired difference to ridge, for rows drawn anew."""
    from ...pilot import over_rows

    curves, ridge = evaluation.curves, evaluation.place("ridge")
    return {
        name: (
            over_rows(curves, evaluation.place(name)),
            over_rows(curves, evaluation.place(name), ridge),
        )
        for name in names_of(evaluation)
    }


def labels_of(evaluation: Evaluation) -> tuple[Labels, ...]:
    """What recordings are worth: all of them first, then fewer recordings, then fewer labels."""
    from ...pilot import chosen_estimator, worth_in_labels

    name, sizes = chosen_estimator(evaluation), evaluation.sizes
    cells = [cell for cell in evaluation.curves.cells if cell.estimator == name]
    fewer = sorted({cell.n_brain for cell in cells} - {sizes.n_brain}, reverse=True)
    beside = sorted({cell.n_task for cell in cells} - {sizes.n_task}, reverse=True)
    return (
        worth_in_labels(evaluation),
        *(worth_in_labels(evaluation, name, n_brain=n) for n in fewer),
        *(worth_in_labels(evaluation, name, n_task=n) for n in beside),
    )


def answer_of(evaluation: Evaluation) -> dict[str, Any]:
    """What is printed as JSON, apart from words and targets."""
    from ...pilot import judge

    found, verdict = summaries(evaluation), judge(evaluation)
    return {
        "rank": evaluation.rank,
        "sizes": evaluation.sizes._asdict(),
        "loss": "squared error" if evaluation.classes is None else "nats",
        "errors": {name: _plain(error._asdict()) for name, (error, _) in found.items()},
        "differences_to_ridge": {name: _plain(gap._asdict()) for name, (_, gap) in found.items()},
        "finding": verdict.finding,
        "estimator": verdict.estimator,
        "rival": verdict.rival,
        "control": verdict.control,
        "worth_in_labels": [_plain(worth._asdict()) for worth in labels_of(evaluation)],
        "curves": curve_rows(evaluation),
    } | _of_classes(evaluation)


def _of_classes(evaluation: Evaluation) -> dict[str, Any]:
    """What is said of classes beside their errors; nothing where targets are numbers."""
    if evaluation.classes is None:
        return {}
    return {
        "by_frequency": float(np.mean(evaluation.classes.by_frequency)),
        "class_scores": {name: _plain(rates) for name, rates in rates_of(evaluation).items()},
        "lacking": evaluation.classes.lacking.tolist(),
    }


def rates_of(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Mean accuracy, balanced accuracy and area under the curve of each estimator, over splits."""
    from ...pilot import ESTIMATORS

    scores = evaluation.classes
    if scores is None:
        return {}
    means = {}
    for kind in ("accuracy", "balanced_accuracy", "auc"):
        known = np.isfinite(rates := getattr(scores, kind))
        total, count = np.where(known, rates, 0.0).sum(axis=(1, 2)), known.sum(axis=(1, 2))
        means[kind] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return {
        name: {kind: float(means[kind][place]) for kind in means}
        for place, name in enumerate(ESTIMATORS)
    }


def curve_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every point of the learning curves: its error, with its interval over rows."""
    from ...pilot import over_rows

    return [
        _plain(cell._asdict() | over_rows(evaluation.curves, place)._asdict())
        for place, cell in enumerate(evaluation.curves.cells)
    ]


Point = tuple[float, float, float]


def curves_over_labels(evaluation: Evaluation) -> dict[str, tuple[list[int], list[Point]]]:
    """Errors of ridge and of the estimators with recordings over numbers of labels."""
    from ...pilot import CONTROLS, over_rows

    curves, n_brain = evaluation.curves, evaluation.sizes.n_brain
    found = {}
    for name in ("ridge", *CONTROLS):
        points = sorted(
            (cell.n_task, place)
            for place, cell in enumerate(curves.cells)
            if cell.estimator == name and cell.n_brain in (0, n_brain)
        )
        errors = [over_rows(curves, place)[:3] for _, place in points]
        found[name] = ([n for n, _ in points], errors)
    return found


def answer_per_target(evaluation: Evaluation) -> dict[str, list[float | None]]:
    """The error of each estimator for each target; None where all splits failed."""
    from ...pilot import ESTIMATORS

    return {
        name: [value if math.isfinite(value) else None for value in row.tolist()]
        for name, row in zip(ESTIMATORS, errors_per_target(evaluation), strict=True)
    }


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in numbers.items()
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
