"""What the readers of all formats have in common: containers of arrays that are measured first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable

import numpy as np

# Smaller arrays are read at once: a map of the file would save nothing to speak of.
LEAST_TO_MAP = 2**26
_MOST_LISTED = 20


class Unreadable(ValueError):
    """What cannot be read, and why."""


class Member(NamedTuple):
    """One array of a file, before it is read.

    **Fields**

    - `numbers`: how many it becomes, at 8 bytes each.
    - `read`: reads it.
    - `columns`: their names, where the file has some.
    """

    numbers: float
    read: Callable[[], np.ndarray]
    columns: tuple[str, ...] = ()


@runtime_checkable
class Container(Protocol):
    """An open file, or a folder, that holds arrays."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays that it holds; none where it holds one without a name."""
        ...

    def member(self, name: str | None, words: str) -> Member:
        """The array of that name, measured; raises `Unreadable`, or what its parser stumbles over.

        `words` tells whether text may stand for numbers: "none", "labels" or "any".
        """
        ...


def listed(names: Iterable[str]) -> str:
    """Names for the end of a sentence, the first twenty of them."""
    every = list(names)
    more = f" and {len(every) - _MOST_LISTED} more" if len(every) > _MOST_LISTED else ""
    return ", ".join(repr(name) for name in every[:_MOST_LISTED]) + more


def checked_name(name: str | None, names: tuple[str, ...], what: str) -> str:
    """The name asked for, or the only one there is; raises where that leaves a choice."""
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        said = f"several {what} ({listed(names)}): say which by FILE:NAME"
        raise Unreadable(f"holds {said if names else f'no {what}'}")
    if name not in names:
        raise Unreadable(f"holds no {what.removesuffix('s')} {name!r}, but {listed(names)}")
    return name


def mapped(
    stream: BinaryIO, shape: tuple[int, ...], kind: np.dtype, in_columns: bool, start: int
) -> np.ndarray:
    """An array that stays in its file, and whose numbers are read as they are used."""
    order = "F" if in_columns else "C"
    return np.memmap(stream, kind, "r", start, shape, order)
