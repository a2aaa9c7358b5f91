"""A simulated sweep beside its closed form, cell by cell, as plain numbers."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import Problem
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
    if options["method"] == "data":
        # Subspaces of a handful of inputs: what depends on them is not drawn.
        sizes = (2, 1, None)
    return bytes_of_sweep(sizes, *cells[:2], penalties, options["seeds"])


def rows_of(found: xarray.Dataset, problem: Problem, worth: xarray.Dataset) -> list[dict[str, Any]]:
    """A row a cell: simulation, standard error, closed form, their distance in standard errors."""
    from ...simulation import mean_over_seeds
    from ...theory import risk, value

    n_brain, n_task = found.n_brain.values, found.n_task.values
    grid = n_brain[:, None, None] * 1.0, n_task[None, :, None] * 1.0, found.penalty_used.values
    # The closed form starts beyond input_dim + 1 recordings; a cell may have failed before it had a
    # penalty.
    unknown = (grid[0] <= problem.input_dim + 1) | np.isnan(grid[2])
    inside = np.maximum(grid[0], problem.input_dim + 2), grid[1], np.where(unknown, 0.0, grid[2])
    claims = {
        name: np.where(unknown, np.nan, law(problem, *inside))
        for name, law in (("risk", risk), ("value", partial(value, baseline="ols")))
    }
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
    from ...theory import risk

    mean, error = mean_over_seeds(found, "risk")
    n_brain, n_task, penalty = (found[name].values for name in ("n_brain", "n_task", "penalty"))
    labels = np.geomspace(n_task[0], n_task[-1], 100)
    lines = np.full((len(n_brain), len(labels), len(penalty)), math.nan)
    inside = n_brain > problem.input_dim + 1  # where the closed form starts
    # A curve may pass through a corner that no cell is in.
    with accuracy_noted([]):
        for place, used in enumerate(penalty):
            # Either rule of choosing penalties comes close to the best one.
            given = float(used) if penalty.dtype.kind == "f" else None
            if inside.any():
                amounts = n_brain[inside][:, None] * 1.0
                lines[inside, :, place] = risk(problem, amounts, labels[None, :], given)
    closed_form = xarray.DataArray(
        lines, {"n_brain": n_brain, "n_task": labels, "penalty": penalty}, mean.dims
    )
    return xarray.Dataset({"risk": mean, "standard_error": error}), closed_form
