"""Tables of text, .csv and .tsv: columns by name or number, read in a stream."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from ._members import Member, Unreadable, listed

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})
_LONGEST_LABEL = 200
_LONGEST_LINE = 2**26
_WHOLE = re.compile(r"[+-]?\d{1,15}")
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


class Table:
    """A .csv or .tsv file, of one line a row and perhaps a line of names."""

    def __init__(self, stream: BinaryIO, tabs: bool = False):
        """The first line tells what separates columns, and whether they have names."""
        self._stream = stream
        stream.seek(0)
        first = stream.readline(_LONGEST_LINE).decode("utf-8-sig", "replace")
        comma = ";" if ";" in first and "," not in first else ","
        self._separator = "\t" if tabs else comma
        cells = next(self._lines(), (0, []))[1]
        if not cells:
            raise Unreadable("holds no line")
        cells = [cell.strip() for cell in cells]
        self._width, self._has_names = len(cells), _are_names(cells)
        self._names = tuple(cells) if self._has_names else ()

    @property
    def names(self) -> tuple[str, ...]:
        """None: a table is one array unless columns are asked for."""
        return ()

    def member(self, name: str | None, words: str) -> Member:
        """Columns of it, all of them without a name; they are counted by one pass through it."""
        places = self._places(name)
        rows, longest = 0, 2
        for _, cells in self._rows():
            rows += 1
            if words != "none":
                longest = max(longest, *(len(cells[place]) for place in places))
        if not rows:
            raise Unreadable("holds no row of numbers")
        named = self._names or tuple(str(place) for place in range(self._width))
        columns = tuple(named[place] for place in places)
        # Text is kept at 4 bytes a letter until labels are told apart.
        each = 1.0 if words == "none" else min(longest, _LONGEST_LABEL) / 2
        return Member(rows * len(places) * each, lambda: self._read(places, rows, words), columns)

    def _places(self, asked: str | None) -> list[int]:
        """Which columns these are: a name, or numbers and names with commas between them."""
        if asked is None:
            return list(range(self._width))
        places = []
        for part in [asked] if asked in self._names else asked.split(","):
            span = _RANGE.fullmatch(part)
            if self._names.count(part) > 1:
                raise Unreadable(f"holds several columns {part!r}: ask for them by number")
            if part in self._names:
                places.append(self._names.index(part))
            elif part.isdecimal() and len(part) < 10 and int(part) < self._width:
                places.append(int(part))
            elif span and int(span[1]) <= int(span[2]) < self._width:
                places += range(int(span[1]), int(span[2]) + 1)
            else:
                there = f", {listed(self._names)}" if self._names else ""
                raise Unreadable(
                    f"holds no column {part!r}, but {self._width}, numbered from 0{there}"
                )
        return places

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Lines that are not empty, with their numbers from 1, as cells."""
        self._stream.seek(0)
        text = io.TextIOWrapper(self._stream, encoding="utf-8-sig", newline="")
        reader = csv.reader(_short_lines(text), delimiter=self._separator, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            raise Unreadable(f"cannot be read in line {reader.line_num} ({error})") from error
        except UnicodeDecodeError as error:
            raise Unreadable("is not text in UTF-8: save it as CSV UTF-8") from error
        finally:
            text.detach()

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Lines below the names; raises where one is longer or shorter than the first."""
        lines = self._lines()
        if self._has_names:
            next(lines)
        for number, cells in lines:
            if len(cells) != self._width:
                raise Unreadable(
                    f"has {len(cells)} cells in line {number}, but {self._width} in the first"
                )
            yield number, cells

    def _read(self, places: list[int], rows: int, words: str) -> np.ndarray:
        numbers = np.empty((rows, len(places)))
        whole = True
        for row, (line, every) in enumerate(self._rows()):
            cells = [every[place] for place in places]
            found = _as_numbers(cells)
            if None in found:
                cell, place = cells[found.index(None)], places[found.index(None)]
                if words == "any" or (words == "labels" and not self._has_number(place)):
                    return self._read_labels(places, rows)
                name = self._names[place] if self._names else place
                raise Unreadable(
                    f"holds {cell[:40]!r} in line {line}, column {name!r}, which is no number"
                )
            numbers[row] = found
            whole = whole and all(_WHOLE.fullmatch(cell.strip()) for cell in cells)
        return numbers.astype(np.int64) if whole else numbers

    def _has_number(self, place: int) -> bool:
        """Whether any cell of a column is one: then text in it is a slip, and no label."""
        return any(
            _as_number(cells[place]) is not None and cells[place].strip().lower() not in MISSING
            for _, cells in self._rows()
        )

    def _read_labels(self, places: list[int], rows: int) -> np.ndarray:
        labels = []
        for line, cells in self._rows():
            row = [cells[place].strip() for place in places]
            if max(map(len, row)) > _LONGEST_LABEL:
                raise Unreadable(
                    f"holds a label of more than {_LONGEST_LABEL} letters, line {line}"
                )
            labels.append(["" if cell.lower() in MISSING else cell for cell in row])
        return np.array(labels, dtype=str).reshape(rows, len(places))


def _short_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Lines, of which none fills the memory."""
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise Unreadable("has a line without an end")
        yield line


def _as_numbers(cells: list[str]) -> list[float | None]:
    """What `_as_number` says of each cell, at once where all are plain numbers."""
    if "_" not in "".join(cells):
        try:
            return list(map(float, cells))
        except ValueError:
            pass
    return [_as_number(cell) for cell in cells]


def _as_number(cell: str) -> float | None:
    """The number that a cell holds, NaN where it is missing, or None."""
    if cell.strip().lower() in MISSING:
        return np.nan
    # Python reads 1_000 as a number, which no table means.
    if "_" in cell or len(cell) > 400:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _are_names(cells: list[str]) -> bool:
    """Whether a first line names the columns: none of its cells is a number, or they just count."""
    counted = cells[1:] if cells[0] == "" else cells
    least = 1 if cells[0] == "" else 3
    if len(counted) >= least and counted == [str(place) for place in range(len(counted))]:
        return True
    return all(_as_number(cell) is None or cell.lower() in MISSING for cell in cells) and any(
        cell.lower() not in MISSING for cell in cells
    )
