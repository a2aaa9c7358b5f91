"""How far numbers can be trusted, and what JSON cannot say: notes beside an answer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ...theory import AccuracyWarning

_INFINITIES = {math.inf: "infinite", -math.inf: "minus infinity"}


@contextmanager
def accuracy_noted(notes: list[str]) -> Iterator[None]:
    """Turn what the library warns of in here into notes, each once; leave other warnings alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AccuracyWarning)
        show = warnings.showwarning

        def note(message, category, *place, **options):
            if not issubclass(category, AccuracyWarning):
                show(message, category, *place, **options)
            elif str(message) not in notes:
                notes.append(str(message))

        warnings.showwarning = note
        yield


def without_infinities(numbers: dict[str, float]) -> tuple[dict[str, float | None], list[str]]:
    """JSON knows no infinity: such a number is null, and a note says what it stands for."""
    notes = [
        f"{name} is {_INFINITIES.get(value, 'undefined')}"
        for name, value in numbers.items()
        if not math.isfinite(value)
    ]
    fields = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return fields, notes
