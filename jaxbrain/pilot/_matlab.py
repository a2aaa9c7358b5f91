"""MATLAB's files: versions 4 to 7 by SciPy, version 7.3 as HDF5."""

from __future__ import annotations

import math
import os
import zlib
from typing import Any, BinaryIO

import numpy as np

from ._hdf5 import Hdf5
from ._members import Container, Member, Unreadable, checked_name

_DAMAGED = "not a .mat file, or damaged: save it again"
_NUMBERS = {"double", "single", "logical"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_REMEDIES = {
    "char": "labels as whole numbers",
    "cell": "labels as whole numbers, by double(categorical(...))",
    "struct": "its fields as variables, by save(file, '-struct', ...)",
    "sparse": "full(...) of it",
}
# Element kinds and places of MATLAB's own description of its format.
_COMPRESSED, _HEADER, _ENDIAN = 15, 128, slice(126, 128)
# Names, dimensions and paddings beside the numbers, generously; and complex numbers of 16 bytes.
_BESIDE, _LARGEST = 2**16, 16


def matlab_file(stream: BinaryIO) -> Container:
    """The reader for the version of this file."""
    from scipy.io.matlab import matfile_version

    try:
        version = matfile_version(stream)[0]
    except Exception as error:
        raise Unreadable(_DAMAGED) from error
    return Hdf5(stream, matlab=True) if version == 2 else _Variables(stream, version)


class _Variables:
    """The variables of a file of version 4 to 7."""

    def __init__(self, stream: BinaryIO, version: int):
        import scipy.io

        self._stream, self._version = stream, version
        self._size = os.fstat(stream.fileno()).st_size
        try:
            stream.seek(0)
            self._listed = scipy.io.whosmat(stream)
        except Exception as error:
            raise Unreadable(_DAMAGED) from error

    @property
    def names(self) -> tuple[str, ...]:
        """Of its variables."""
        return tuple(name for name, _, _ in self._listed)

    def member(self, name: str | None, words: str) -> Member:
        """One of its variables."""
        name = checked_name(name, self.names, "variables")
        if self.names.count(name) > 1:
            raise Unreadable("is there twice")
        place = self.names.index(name)
        _, shape, kind = self._listed[place]
        if kind not in _NUMBERS:
            raise Unreadable(f"is a {kind} of MATLAB: save {_REMEDIES.get(kind, 'numbers')}")
        count = math.prod(shape)
        if min(shape, default=0) < 0 or (self._version == 0 and count > self._size):
            raise Unreadable(_DAMAGED)
        if self._version == 1:
            self._check_element(place, _LARGEST * count + _BESIDE)
        return Member(count, lambda: self._read(name, kind))

    def _read(self, name: str, kind: str) -> np.ndarray:
        import scipy.io

        self._stream.seek(0)
        read: Any = scipy.io.loadmat(self._stream, variable_names=[name])[name]
        # MATLAB stores whole numbers in few bytes, whatever their type is.
        meant = {"logical": bool, "double": float, "single": np.float32}.get(kind, read.dtype)
        return read if read.dtype.kind == "c" else read.astype(meant)

    def _check_element(self, place: int, most: int) -> None:
        """Raise where an element holds more than `most` bytes once it is decompressed."""
        self._stream.seek(0)
        order = "little" if self._stream.read(_HEADER)[_ENDIAN] == b"IM" else "big"
        start, kind, size = _HEADER, 0, 0
        for _ in range(place + 1):
            self._stream.seek(start)
            tag = self._stream.read(8)
            kind, size = (int.from_bytes(tag[half : half + 4], order) for half in (0, 4))
            start += 8 + size
            if len(tag) < 8 or start > self._size:
                raise Unreadable(_DAMAGED)
        if kind != _COMPRESSED:
            return
        packed, total, left = zlib.decompressobj(), 0, size
        while not packed.eof and total <= most:
            read = packed.unconsumed_tail
            if not read:
                read = self._stream.read(min(left, 2**20))
                left -= len(read)
            if not read:
                break
            total += len(packed.decompress(read, 2**22))
        if total > most:
            raise Unreadable(_DAMAGED)
