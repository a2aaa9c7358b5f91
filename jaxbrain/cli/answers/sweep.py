"""A simulated sweep beside its closed form, cell by cell, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from ..._arguments import Baseline
from ...models import Problem
from ...study import Study
from .notes import accuracy_noted, without_infinities

if TYPE_CHECKING:
    import xarray


def cells_of(options: dict[str, Any]) -> tuple[int, int, int]:
    """How many numbers of recordings, of labels, and penalties the grid has."""
    penalties = 1 if isinstance(options["penalty"], str) else len(options["penalty"])
    return len(options["n_brain"]), len(options["n_task"]), penalties


def bytes_needed(problem: Problem, options: dict[str, Any]) -> float:
    """Memory of the sweep and its table; that of data is reckoned where they are drawn."""
    from ...simulation import bytes_of_sweep

    cells, rule = cells_of(options), options["penalty"]
    penalties = rule if isinstance(rule, str) else cells[2]
    sizes = problem.input_dim, problem.latent_dim, problem.recording_dim
    if options["method"] == "data" or problem.geometry is not None:
        # Subspaces of a handful of inputs: the sweep itself reckons what is drawn.
        sizes = (2, 1, None)
    return bytes_of_sweep(sizes, *cells[:2], penalties, options["seeds"])


def baseline_of(study: Study, estimator: str) -> Baseline:
    """What values are measured against: least squares, which the paper takes, or ridge."""
    return "ols" if study.is_white and estimator == "befs" else "ridge"


def rows_of(found: xarray.Dataset, problem: Problem, worth: xarray.Dataset) -> list[dict[str, Any]]:
    """A row a cell: simulation, standard error, closed form, their distance in standard errors."""
    from ...simulation import mean_over_seeds

    n_brain, n_task = found.n_brain.values, found.n_task.values
    claims = _claims(found, problem, worth.attrs["baseline"])
    simulated, error = (x.values for x in mean_over_seeds(found, "risk"))
    rows = []
    for i, j, l in np.ndindex(simulated.shape):
        claim = float(claims["risk"][i, j, l])
        rows.append(
            {
                "n_brain": int(n_brain[i]),
                "n_task": int(n_task[j]),
                "penalty": float(found.penalty_used.values[i, j, l]),
                "risk": float(simulated[i, j, l]),
                "standard_error": float(error[i, j, l]),
                "closed_form": claim,
                "z": float((simulated[i, j, l] - claim) / error[i, j, l])
                if error[i, j, l] > 0
                else math.nan,
                "value": float(worth.value.values[i, j, l]),
                "value_low": float(worth.value_low.values[i, j, l]),
                "value_high": float(worth.value_high.values[i, j, l]),
                "value_closed_form": float(claims["value"][i, j, l]),
                "value_status": str(worth.status.values[i, j, l]),
            }
        )
    return rows


def _claims(found: xarray.Dataset, problem: Problem, baseline: Baseline) -> dict[str, np.ndarray]:
    """Risk and value of each cell in closed form, at the penalties used; NaN without one."""
    from ...theory import value
    from ...theory.any_covariance import value_of_cells

    n_brain = found.n_brain.values[:, None, None] * 1.0
    n_task = found.n_task.values[None, :, None] * 1.0
    used = found.penalty_used.values
    encoding = _encoding_of(found)
    encoding = encoding[..., None] if encoding.ndim else encoding
    few = n_brain <= _least(problem, encoding)
    # A cell may have failed before it had a penalty.
    unknown = few | np.isnan(used)
    penalties = [used]
    if "inside_penalty_used" in found:
        penalties.append(found.inside_penalty_used.values)
        unknown = unknown | np.isnan(penalties[1])
    if found.attrs["estimator"] == "befs_two_penalties":
        # The closed form shrinks the inside no more than the outside.
        unknown = unknown | (penalties[1] >= used)
    penalties = [np.where(unknown, x, each) for x, each in zip((1.0, 0.1), penalties, strict=False)]
    n_brain = np.where(few, problem.input_dim + 2.0, n_brain)
    is_white = problem.geometry is None and not np.any(encoding)
    options = {} if is_white else {"encoding_penalty": encoding}
    risk = np.asarray(_law(found)(problem, n_brain, n_task, *penalties, **options))
    if is_white and found.attrs["estimator"] == "befs":
        worth = value(problem, n_brain, n_task, *penalties, baseline=baseline)
    else:
        dtype = problem.task_noise.dtype
        labels = jnp.asarray(n_task, dtype)
        worth = value_of_cells(problem, jnp.asarray(risk, dtype), labels, baseline)
    both = {"risk": risk, "value": np.asarray(worth)}
    return {name: np.where(unknown, np.nan, claim) for name, claim in both.items()}


def _law(found: xarray.Dataset) -> Callable[..., Any]:
    """The closed form of the estimator."""
    from ...theory import banded_ridge_risk, risk, two_penalty_risk

    laws = {
        "befs": risk,
        "befs_two_penalties": two_penalty_risk,
        "banded_ridge": banded_ridge_risk,
    }
    return laws[found.attrs["estimator"]]


def _encoding_of(found: xarray.Dataset) -> np.ndarray:
    """One encoding penalty, or that of each n_brain and n_task."""
    if "encoding_penalty_used" in found:
        return found.encoding_penalty_used.values
    (one,) = found.attrs["encoding_penalty"]
    return np.asarray(one, float)


def _least(problem: Problem, encoding: np.ndarray) -> np.ndarray:
    """Above how many recordings the closed form starts."""
    return np.where(encoding > 0, problem.latent_dim, problem.input_dim + 1)


def answer_of(
    found: xarray.Dataset, rows: list[dict[str, Any]], notes: list[str]
) -> dict[str, Any]:
    """What is printed as JSON: rows without infinities, and notes that say where they were."""
    cells, notes = [], list(notes)
    infinite: dict[str, int] = {}
    for row in rows:
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        fields, said = without_infinities(numbers)
        cells.append(row | fields)
        for note in said:
            if not note.endswith("undefined"):
                infinite[note] = infinite.get(note, 0) + 1
    notes += [
        f"{note} in {count} of the {len(rows)} cells, where it is null"
        for note, count in infinite.items()
    ]
    return {"configuration": dict(found.attrs), "cells": cells, "notes": notes}


def curves_of(found: xarray.Dataset, problem: Problem) -> tuple[xarray.Dataset, xarray.DataArray]:
    """What a figure shows: simulated risks with standard errors, and the closed form between them.

    The first is over n_brain, n_task and penalty, the second over an n_task of its own; NaN where
    the closed form does not reach."""
    import xarray

    from ...simulation import mean_over_seeds

    mean, error = mean_over_seeds(found, "risk")
    n_brain, n_task, penalty = (found[name].values for name in ("n_brain", "n_task", "penalty"))
    labels = np.geomspace(n_task[0], n_task[-1], 100)
    lines = np.full((len(n_brain), len(labels), len(penalty)), math.nan)
    encoding = _encoding_of(found)
    rule = "optimal" if encoding.ndim else float(encoding)
    inside = n_brain > _least(problem, encoding).min()
    options = {"encoding_penalty": rule} if rule else {}
    # A curve may pass through a corner that no cell is in.
    with accuracy_noted([]):
        for place, used in enumerate(penalty):
            # Either rule of choosing penalties comes close to the best one.
            given = [float(used)] if penalty.dtype.kind == "f" else []
            if inside.any():
                amounts = n_brain[inside][:, None] * 1.0
                drawn = _law(found)(problem, amounts, labels[None, :], *given, **options)
                lines[inside, :, place] = drawn
    closed_form = xarray.DataArray(
        lines, {"n_brain": n_brain, "n_task": labels, "penalty": penalty}, mean.dims
    )
    return xarray.Dataset({"risk": mean, "standard_error": error}), closed_form
