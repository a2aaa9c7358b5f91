"""How numbers and tables are written, the same in every command."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np


def thousands(number: float) -> str:
    """A count with thin groups of three digits, as text."""
    if not math.isfinite(number):
        return f"{number}"
    return f"{round(number):,}".replace(",", " ")


def rounded(number: float) -> float:
    """Three significant digits: more would claim what the model cannot know."""
    if number == 0 or not math.isfinite(number):
        return number
    digits = 2 - int(np.floor(np.log10(abs(number))))
    return round(number, digits)


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows as lines: the first column flush left, the others flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def wrote(*files: Path | None) -> list[str]:
    """A line for each file that a command has written."""
    return [f"wrote {file}" for file in files if file is not None]
