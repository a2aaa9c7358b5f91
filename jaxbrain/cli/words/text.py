"""How numbers and tables are written, the same in every command."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...theory import AccuracyWarning

_INFINITIES = {math.inf: "infinite", -math.inf: "minus infinity"}


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


def without_infinities(numbers: dict[str, float]) -> tuple[dict[str, float | None], list[str]]:
    """JSON knows no infinity: such a number is null, and a note says what it stands for."""
    notes = [
        f"{name} is {_INFINITIES.get(value, 'undefined')}"
        for name, value in numbers.items()
        if not math.isfinite(value)
    ]
    fields = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return fields, notes


def wrote(*files: Path | None) -> list[str]:
    """A line for each file that a command has written."""
    return [f"wrote {file}" for file in files if file is not None]


@contextmanager
def accuracy_noted(notes: list[str]) -> Iterator[None]:
    """What the library warns of in between becomes a note, said once; other warnings stay what they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AccuracyWarning)
        yield
    for warning in caught:
        if not issubclass(warning.category, AccuracyWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        elif str(warning.message) not in notes:
            notes.append(str(warning.message))
