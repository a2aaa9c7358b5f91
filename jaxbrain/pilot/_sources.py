"""Where the arrays of a study come from: a file or folder of them, and files named one by one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .._reading import opened
from ._archives import Archive, Folder, SingleArray
from ._hdf5 import Hdf5
from ._matlab import matlab_file
from ._members import Container, Member, Unreadable
from ._tables import Table

_READERS: dict[str, Callable[[BinaryIO], Container]] = {
    ".npz": Archive,
    ".npy": SingleArray,
    ".csv": Table,
    ".tsv": partial(Table, tabs=True),
    ".mat": matlab_file,
    ".h5": Hdf5,
    ".hdf5": Hdf5,
}
_WITH_NAME = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, _READERS))})):(.+)", re.I | re.S)


class Source(NamedTuple):
    """A file, and the name of an array in it."""

    path: Path
    name: str | None

    def __str__(self) -> str:
        """As users write it."""
        return str(self.path) + (f":{self.name}" if self.name is not None else "")


class Gathered(NamedTuple):
    """Arrays by name, what is wrong with others, and the names of columns where there are some."""

    arrays: dict[str, np.ndarray]
    faults: dict[str, str]
    columns: dict[str, tuple[str, ...]]


def source_of(text: str | os.PathLike[str]) -> Source:
    """FILE or FILE:NAME; a file of just that name comes first."""
    path = os.fspath(text)
    found = None if os.path.lexists(path.split("\0")[0]) else _WITH_NAME.fullmatch(path)
    return Source(Path(found[1]), found[2]) if found else Source(Path(path), None)


def gather(
    path: Path | None,
    sources: Mapping[str, Source],
    known: frozenset[str],
    words: Mapping[str, str],
    max_bytes: float,
) -> Gathered:
    """The arrays in `path` and those of `sources`, which come first, once all are measured.

    Raises `Unreadable` where `path` cannot be read, or all would take more than `max_bytes`.
    """
    with ExitStack() as stack:
        members: dict[str, Member] = {}
        faults, columns = {}, {}
        if path is not None:
            container = _opened(path, stack)
            names = container.names
            if not names:
                raise Unreadable(
                    "holds one array without a name: pass it as inputs, recordings or targets"
                )
            # What is given one by one is not looked for here.
            for name in names:
                if name not in known:
                    faults[name] = "is not known here"
                elif name not in sources:
                    _measure(container, name, name, words, members, faults)
        containers: dict[Path, Container] = {}
        for name, source in sources.items():
            try:
                if source.path not in containers:
                    containers[source.path] = _opened(source.path, stack)
            except Unreadable as error:
                faults[name] = f"({source}): {error}"
                continue
            wanted = source.name
            if wanted is None and name in containers[source.path].names:
                wanted = name
            _measure(containers[source.path], wanted, name, words, members, faults, str(source))
        bytes_of_all = 8.0 * sum(member.numbers for member in members.values())
        if bytes_of_all > max_bytes:
            raise Unreadable(
                f"holds {bytes_of_all / 1e9:.3g} GB of numbers, more than the "
                f"{max_bytes / 1e9:.3g} that max_bytes allows: describe inputs by fewer features, "
                "or allow more"
            )
        arrays = {}
        for name, member in members.items():
            try:
                arrays[name] = member.read()
                columns[name] = member.columns
            except Exception as error:
                faults[name] = _fault(error, sources.get(name))
    return Gathered(arrays, faults, {name: names for name, names in columns.items() if names})


def _measure(
    container: Container,
    wanted: str | None,
    name: str,
    words: Mapping[str, str],
    members: dict[str, Member],
    faults: dict[str, str],
    source: str | None = None,
) -> None:
    # A damaged file raises whatever its decompressor or parser stumbles over.
    try:
        members[name] = container.member(wanted, words.get(name, "none"))
    except Exception as error:
        faults[name] = _fault(error, source)


def _opened(path: Path, stack: ExitStack) -> Container:
    try:
        if path.is_dir():
            return Folder(path)
        stream = stack.enter_context(opened(path))
        # Of other names: an archive, or nothing.
        return _READERS.get(path.suffix.lower(), Archive)(stream)
    except FileNotFoundError as error:
        raise Unreadable("there is no such file") from error
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"cannot be read ({error})") from error


def _fault(error: Exception, source: object = None) -> str:
    """What is said of an array after its name."""
    said = (
        str(error) if isinstance(error, Unreadable) else f"cannot be read ({error}): save it again"
    )
    if "allow_pickle" in said:
        said = "holds Python objects, which are never loaded: save it as numbers"
    return said if source is None else f"({source}): {said}"
