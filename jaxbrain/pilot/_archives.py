"""NumPy's files: archives, single arrays and folders of them, measured before they are read."""

from __future__ import annotations

import math
import os
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .._reading import opened
from ._members import LEAST_TO_MAP, Member, Unreadable, checked_name, mapped

NO_ARCHIVE = (
    "not an .npz file, or damaged: save one with "
    "numpy.savez(file, inputs=..., recordings=..., targets=...)"
)
_NO_ARRAY = "not an .npy file, or damaged: save one with numpy.save(file, array)"
_OBJECTS = "holds Python objects, which are never loaded: save it as numbers"
# A header says type and shape, in fewer letters than numpy allows.
_LONGEST_HEADER = 10_000
# The fixed part of what stands before a member of an archive, and where in it two lengths are.
_LOCAL_HEADER, _LENGTHS = 30, slice(26, 30)


class Archive:
    """An .npz file."""

    def __init__(self, stream: BinaryIO):
        """Its directory; whatever is no archive numpy takes for a pickle, and tells how to load."""
        self._stream = stream
        try:
            if not zipfile.is_zipfile(stream):
                raise Unreadable(NO_ARCHIVE)
            self._archive = zipfile.ZipFile(stream)
        except (ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
            raise Unreadable(NO_ARCHIVE) from error
        members = self._archive.infolist()
        self._count = Counter(member.filename.removesuffix(".npy") for member in members)
        self._members = {member.filename.removesuffix(".npy"): member for member in members}

    @property
    def names(self) -> tuple[str, ...]:
        """Of its arrays."""
        return tuple(self._members)

    def member(self, name: str | None, words: str) -> Member:
        """One of its arrays."""
        name = checked_name(name, self.names, "arrays")
        if self._count[name] > 1:
            raise Unreadable("is there twice")
        member = self._members[name]
        if not member.filename.endswith(".npy"):
            raise Unreadable("is not an array of numpy: save it with numpy.savez")
        with self._archive.open(member) as stream:
            shape, in_columns, kind = _header(stream)
            start = stream.tell()
        numbers = _measured(shape, kind, member.file_size - start)
        raw = member.compress_type == zipfile.ZIP_STORED
        if raw and numbers and member.file_size > LEAST_TO_MAP:
            place = self._place(member) + start
            read = partial(mapped, self._stream, shape, kind, in_columns, place)
        else:
            read = partial(self._read, member)
        return Member(numbers, read)

    def _read(self, member: zipfile.ZipInfo) -> np.ndarray:
        with self._archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def _place(self, member: zipfile.ZipInfo) -> int:
        """Where in the file the bytes of a member begin."""
        self._stream.seek(member.header_offset)
        lengths = self._stream.read(_LOCAL_HEADER)[_LENGTHS]
        name, extra = lengths[:2], lengths[2:]
        together = int.from_bytes(name, "little") + int.from_bytes(extra, "little")
        return member.header_offset + _LOCAL_HEADER + together


class SingleArray:
    """An .npy file."""

    names = ()

    def __init__(self, stream: BinaryIO):
        """Open already."""
        self._stream = stream

    def member(self, name: str | None, words: str) -> Member:
        """The array."""
        if name is not None:
            raise Unreadable(f"holds one array, without a name: leave :{name} away")
        self._stream.seek(0)
        try:
            shape, in_columns, kind = _header(self._stream)
        except Exception as error:
            raise Unreadable(_NO_ARRAY) from error
        start = self._stream.tell()
        size = os.fstat(self._stream.fileno()).st_size
        numbers = _measured(shape, kind, size - start)
        if numbers and size > LEAST_TO_MAP:
            return Member(numbers, partial(mapped, self._stream, shape, kind, in_columns, start))
        return Member(numbers, self._read)

    def _read(self) -> np.ndarray:
        self._stream.seek(0)
        return np.lib.format.read_array(self._stream, allow_pickle=False)


class Folder:
    """A folder of .npy files, each an array of the file's name."""

    def __init__(self, path: Path):
        """The names of its files; other files stay unread."""
        self._path = path
        self.names = tuple(sorted(file.stem for file in path.iterdir() if file.suffix == ".npy"))
        if not self.names:
            raise Unreadable("it is a folder without .npy files: save arrays with numpy.save")

    def member(self, name: str | None, words: str) -> Member:
        """One of its arrays, whose file is open only while it is measured or read."""
        path = self._path / f"{checked_name(name, self.names, 'arrays')}.npy"

        def read() -> np.ndarray:
            with opened(path) as stream:
                return SingleArray(stream).member(None, words).read()

        with opened(path) as stream:
            return Member(SingleArray(stream).member(None, words).numbers, read)


def _measured(shape: tuple[int, ...], kind: np.dtype, size: int) -> float:
    """How many numbers an array holds; raises where its bytes are not so many."""
    if kind.hasobject:
        raise Unreadable(_OBJECTS)
    count = math.prod(shape)
    if count * kind.itemsize != size:
        raise ValueError(f"its size is not that of shape {shape}")
    # Text takes more room than a number.
    return count * max(1.0, kind.itemsize / 8)


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    return read(stream, max_header_size=_LONGEST_HEADER)
