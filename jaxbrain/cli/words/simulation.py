"""A simulation in words: its table, its size, and how long it takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...study import Study
from ..answers.sweep import cells_of
from .over_draws import ends
from .text import aligned, thousands
from .worth import encoding_penalty_of

if TYPE_CHECKING:
    import xarray

LABELS = {
    "befs": "BEFS",
    "befs_two_penalties": "BEFS with two penalties",
    "banded_ridge": "banded ridge on recordings",
}


def as_table(found: xarray.Dataset, rows: list[dict[str, Any]], notes: list[str]) -> str:
    """A line for each cell, and below how it was simulated."""
    lines: list[tuple[str, ...]] = [
        (
            "brain samples",
            "labels",
            "penalty",
            "risk",
            "closed-form risk",
            "z",
            "value",
            "95 %",
            "closed-form value",
        )
    ]
    for row in rows:
        known = row["value_status"] == "ok"
        low, high = (
            thousands(row[name]) if math.isfinite(row[name]) else "?"
            for name in ("value_low", "value_high")
        )
        lines.append(
            (
                thousands(row["n_brain"]),
                thousands(row["n_task"]),
                _defined(row["penalty"], "{:.3g}"),
                "failed"
                if math.isnan(row["risk"])
                else f"{row['risk']:.4g} ± {row['standard_error']:.2g}",
                _defined(row["closed_form"], "{:.4g}")
                + _between(row, "closed_form", lambda end: f"{end:.4g}"),
                _defined(row["z"], "{:+.1f}"),
                thousands(row["value"]) if known else row["value_status"],
                f"{low} to {high}" if known else "",
                (
                    "undefined"
                    if math.isnan(row["value_closed_form"])
                    else thousands(row["value_closed_form"])
                )
                + _between(row, "value_closed_form", thousands),
            )
        )
    failed = found.attrs["failed_cells"]
    trials = f"{found.attrs['seeds']} seeds of {found.attrs['trials']} trials"
    note = f"{trials}, method {found.attrs['method']}, {found.attrs['wall_time_s']:.1f} s; "
    note += "z: distance from the closed form in standard errors; rows share random numbers"
    if failed:
        note += f"; {failed} of {found.risk.size} replicates of cells failed"
    return "\n".join([*aligned(lines), "", f"{note}.", *(f"note: {said}" for said in notes)])


def _between(row: dict[str, Any], name: str, told: Callable[[float], str]) -> str:
    """The interval over the draws of a pilot, where there are some."""
    if f"{name}_low" not in row:
        return ""
    return f" ({ends((row[f'{name}_low'], row[f'{name}_high']), told)})"


def of_other_inputs(study: Study, estimator: str, baseline: str) -> list[str]:
    """Lines on what is simulated where inputs are not white."""
    against = "least squares" if baseline == "ols" else "ridge regression"
    return [
        f"estimator: {LABELS[estimator]}; values are against {against}",
        f"encoding penalty: {encoding_penalty_of(study)}",
    ]


def of_pilot(study: Study) -> list[str]:
    """A line on whose problem is simulated, where a pilot measured the study."""
    if study.estimate is None:
        return []
    return [
        "the central problem of the pilot is simulated; beside it the closed form has 95 % "
        f"intervals over the pilot's {thousands(study.estimate.count)} draws, at given or at best "
        "penalties"
    ]


def _defined(number: float, form: str) -> str:
    return "undefined" if math.isnan(number) else form.format(number)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(options: dict[str, Any]) -> str:
    """Grid and trials in words, for who waits for them."""
    shape = cells_of(options)
    cells = f"{math.prod(shape)} cells ({' x '.join(map(str, shape))})"
    return f"{cells}, {options['seeds']} seeds of {options['trials']} trials"
