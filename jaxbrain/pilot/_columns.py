"""Columns of a user's arrays: which are kept, which are dropped by name, and which are classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._checks import as_array, is_concrete

# Numbers near the ends of the floating-point range are as good as no numbers.
_LARGEST = 1e150
NO_NUMBERS = "NaN, infinity or numbers beyond 1e150"
# Whole numbers of more values, or of fewer rows to a value, are counts or ratings.
_MOST_CLASSES, _ROWS_A_CLASS = 10, 5
_NUMBERS_AT_ONCE = 2**22


class Dropped(NamedTuple):
    """Columns of an array that a study leaves out, since there is nothing to learn from them.

    **Fields**

    - `array`: its name.
    - `reason`: "is constant", "holds no number", or "holds NaN, ..." in some rows.
    - `columns`: their numbers, from 0.
    """

    array: str
    reason: str
    columns: tuple[int, ...]

    def __str__(self) -> str:
        """A line for the reader."""
        return f"{self.array} {self.reason} in {count(np.array(self.columns), 'column')}"


class Scan(NamedTuple):
    """What one pass through an array sees."""

    numbers: np.ndarray
    """How many of each column are finite."""
    bad_rows: np.ndarray
    """Rows with a number that is not."""
    low: np.ndarray
    high: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Columns that hold one number; what no float holds exactly may vary by rounding."""
        largest = np.maximum(np.abs(self.low), np.abs(self.high))
        spread = self.high - self.low
        return (self.numbers > 0) & (spread <= 4 * np.finfo(float).eps * largest)


def scan(array: np.ndarray) -> Scan:
    """Look through a table of floats, a few rows at a time: it may lie in a file."""
    n, width = array.shape
    numbers, bad = np.zeros(width, int), []
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    step = max(1, _NUMBERS_AT_ONCE // width)
    for start in range(0, n, step):
        rows = array[start : start + step]
        finite = np.abs(rows) <= _LARGEST
        numbers += finite.sum(axis=0)
        bad.append(start + np.flatnonzero(~finite.all(axis=1)))
        low = np.minimum(low, np.min(rows, axis=0, where=finite, initial=np.inf))
        high = np.maximum(high, np.max(rows, axis=0, where=finite, initial=-np.inf))
    return Scan(numbers, np.concatenate(bad), low, high)


def as_table(name: str, given: Any, problems: list[str]) -> np.ndarray | None:
    """The array as floats with rows and columns, or None and a problem."""
    try:
        if not is_concrete(given):
            raise ValueError(f"{name} must be known, but JAX is tracing it")
        array = as_array(name, given)
    except ValueError as problem:
        said = str(problem).removesuffix(": convert it by .astype(float)")
        problems.append(said + (": save it as numbers" if "must hold real" in said else ""))
        return None
    array = np.asarray(array)
    if array.ndim == 1 and name == "targets":
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        remedy = ": a single column is array[:, None]" if array.ndim == 1 and array.size else ""
        problems.append(
            f"{name} must have rows and columns, but its shape is {array.shape}{remedy}"
        )
        return None
    # What is mapped from a file stays there where its numbers are what is computed with.
    return array.astype(float, copy=not isinstance(given, np.memmap))


def checked_inputs(name: str, given: Any, problems: list[str]) -> tuple[np.ndarray | None, Any]:
    """Inputs, and which of their columns are constant; they must be known in every row."""
    array = as_table(name, given, problems)
    if array is None:
        return None, None
    seen = scan(array)
    empty = np.flatnonzero(seen.numbers == 0)
    if len(empty):
        problems.append(f"{name} holds no number in {count(empty, 'column')}: remove those columns")
    # Rows are not to blame for columns that are empty.
    partly = (seen.numbers > 0) & (seen.numbers < len(array))
    if partly.any():
        rows = seen.bad_rows
        if len(empty):
            rows = np.flatnonzero(~(np.abs(array[:, seen.numbers > 0]) <= _LARGEST).all(axis=1))
        problems.append(f"{name} holds {NO_NUMBERS} in {count(rows, 'row')}: remove those rows")
    return array, seen.constant


def checked_recordings(
    given: Any, problems: list[str], dropped: list[Dropped]
) -> np.ndarray | None:
    """Recordings without the channels that tell nothing."""
    name = "recordings"
    array = as_table(name, given, problems)
    if array is None:
        return None
    seen = scan(array)
    empty, constant = seen.numbers == 0, seen.constant
    partly = (seen.numbers < len(array)) & ~empty & ~constant
    if 2 * partly.sum() > np.sum(~empty & ~constant):
        bad = np.flatnonzero(~(np.abs(array[:, partly]) <= _LARGEST).all(axis=1))
        problems.append(
            f"{name} holds {NO_NUMBERS} in {count(np.flatnonzero(partly), 'channel')}, more than "
            f"half of them, and {count(bad, 'row')}: remove those rows, or those channels"
        )
        return array
    found = _found(
        name, {"holds no number": empty, "is constant": constant, f"holds {NO_NUMBERS}": partly}
    )
    if (empty | constant | partly).all():
        problems += [f"{each}: no channel is left" for each in found]
        return array
    dropped += found
    return _without(array, empty | constant | partly)


class Targets(NamedTuple):
    """Targets as floats, NaN where one is not known; classes as codes, and what codes mean."""

    array: np.ndarray
    classes: tuple[tuple[Any, ...], ...] | None
    kept: np.ndarray


def checked_targets(
    given: Any, classes: bool | None, problems: list[str], dropped: list[Dropped]
) -> Targets | None:
    """Targets without those that tell nothing, and told apart: numbers or classes."""
    labels = _labels(given)
    if labels is not None and classes is False:
        if labels.dtype.kind == "U":
            problems.append("targets holds text, which is classes: allow them")
            return None
        given, labels = labels.astype(float), None
    if labels is None:
        array = as_table("targets", given, problems)
        if array is None:
            return None
        whole = np.asarray(given).dtype.kind in "iu"
        if not (classes or (classes is None and whole and _are_few(array))):
            return _numbers(array, problems, dropped)
        labels = array.astype(np.int64) if whole else array
    if labels.ndim == 1:
        labels = labels[:, None]
    if labels.ndim != 2 or 0 in labels.shape:
        problems.append(f"targets must have rows and columns, but its shape is {labels.shape}")
        return None
    pairs = [_codes(column) for column in labels.T]
    sizes = np.array([len(names) for _, names in pairs])
    many = np.flatnonzero(sizes > len(labels) / 2)
    if len(many):
        problems.append(
            f"targets has {sizes[many[0]]} classes in {len(labels)} rows, column {many[0]}: save "
            "numbers as float, or leave out classes that hardly occur"
        )
        return None
    codes = np.stack([code for code, _ in pairs], axis=1)
    return _kept(codes, sizes == 0, sizes == 1, [names for _, names in pairs], problems, dropped)


def _numbers(array: np.ndarray, problems: list[str], dropped: list[Dropped]) -> Targets:
    seen = scan(array)
    if len(seen.bad_rows):
        array = np.where(np.abs(array) <= _LARGEST, array, np.nan)
    return _kept(array, seen.numbers == 0, seen.constant, None, problems, dropped)


def _kept(
    array: np.ndarray,
    empty: np.ndarray,
    constant: np.ndarray,
    classes: list[tuple[Any, ...]] | None,
    problems: list[str],
    dropped: list[Dropped],
) -> Targets:
    found = _found("targets", {"holds no number": empty, "is constant": constant})
    out = empty | constant
    kept = np.flatnonzero(~out)
    if out.all():
        problems += [f"{each}: no target is left" for each in found]
    else:
        dropped += found
    told = None if classes is None else tuple(classes[place] for place in kept)
    return Targets(_without(array, out), told, kept)


def _labels(given: Any) -> np.ndarray | None:
    """The array where it holds text or truth values; None where it may hold numbers."""
    if not is_concrete(given):
        return None
    try:
        array = np.asarray(given)
    # Whatever another library raises: `as_table` says what is wrong.
    except Exception:
        return None
    if array.dtype == object and array.size:
        # As data frames keep text.
        text = [isinstance(x, str) for x in array.flat]
        if not any(text) or not all(
            is_text or _is_missing(x) for is_text, x in zip(text, array.flat, strict=True)
        ):
            return None
        words = [x if isinstance(x, str) else "" for x in array.flat]
        array = np.array(words, dtype=str).reshape(array.shape)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    return array if array.dtype.kind in "Ub" else None


def _is_missing(value: Any) -> bool:
    """None, NaN, or what pandas has for them."""
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ == "NAType"


def _are_few(array: np.ndarray) -> bool:
    """Whether whole numbers are so few that they are classes, in every column."""
    most = min(_MOST_CLASSES, len(array) / _ROWS_A_CLASS)
    return all(len(np.unique(column)) <= most for column in array.T)


def _codes(labels: np.ndarray) -> tuple[np.ndarray, tuple[Any, ...]]:
    """The place of each label among its classes, NaN where there is none; and the classes."""
    known = np.ones(labels.shape, bool)
    if labels.dtype.kind == "U":
        known = labels != ""
    elif labels.dtype.kind == "f":
        known = np.abs(labels) <= _LARGEST
    names, codes = np.unique(labels[known], return_inverse=True)
    placed = np.full(len(labels), np.nan)
    placed[known] = codes.reshape(-1)
    return placed, tuple(names.tolist())


def _found(name: str, reasons: dict[str, np.ndarray]) -> list[Dropped]:
    return [
        Dropped(name, reason, tuple(np.flatnonzero(columns).tolist()))
        for reason, columns in reasons.items()
        if columns.any()
    ]


def _without(array: np.ndarray, out: np.ndarray) -> np.ndarray:
    return array[:, ~out] if out.any() else array


def count(indices: np.ndarray, noun: str) -> str:
    """How many there are, and the first of them."""
    first = ", ".join(str(index) for index in indices[:5])
    plural = noun if len(indices) == 1 else noun + "s"
    return f"{len(indices)} {plural} ({first}{', …' if len(indices) > 5 else ''})"
