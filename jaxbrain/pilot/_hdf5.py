"""HDF5 files, and MATLAB's of version 7.3: what they hold themselves, and nothing elsewhere."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from ._members import Member, Unreadable, checked_name, listed

_MOST_LISTED, _MOST_LOOKED_AT = 1_000, 10_000
_DEEPEST = 8
# Text of any length lies apart from its rows, and several rows may have it in common.
_LONGEST_TEXT = 2**24
_LONGEST_LABEL = 200


class Hdf5:
    """An .h5 file. No link to elsewhere is followed, and no other file is opened."""

    def __init__(self, stream: BinaryIO, matlab: bool = False):
        """Needs h5py, an extra of the package."""
        try:
            import h5py  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            kind = "a MATLAB file of version 7.3" if matlab else "an HDF5 file"
            raise Unreadable(
                f"is {kind}, which takes h5py: pip install 'jaxbrain[hdf5]'"
            ) from error
        self._h5py, self._matlab = h5py, matlab
        self._names: list[str] = []
        self._looked_at = 0
        try:
            self._file = h5py.File(stream, "r")
            self._list(self._file, "", 0)
        except Exception as error:
            raise Unreadable("not an HDF5 file, or damaged: save it again") from error

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of its arrays, those in groups included."""
        return tuple(self._names)

    def _list(self, group: Any, before: str, depth: int) -> None:
        for name in group:
            # Groups may hold each other.
            self._looked_at += 1
            if self._looked_at > _MOST_LOOKED_AT or len(self._names) >= _MOST_LISTED:
                return
            # MATLAB keeps there what cells and objects refer to.
            if self._matlab and name.startswith("#"):
                continue
            if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
                continue
            kind = group.get(name, getclass=True)
            if kind is self._h5py.Dataset:
                self._names.append(before + name)
            elif kind is self._h5py.Group and depth < _DEEPEST:
                self._list(group[name], f"{before}{name}/", depth + 1)

    def member(self, name: str | None, words: str) -> Member:
        """One of its arrays, by its path in the file."""
        if name is None:
            name = checked_name(name, self.names, "arrays")
        array = self._found(name)
        kind, shape = array.dtype, array.shape
        if shape is None or array.attrs.get("MATLAB_empty", 0):
            raise Unreadable("is empty")
        if self._matlab and array.attrs.get("MATLAB_class") == b"char":
            raise Unreadable("is a char of MATLAB: save labels as whole numbers")
        if array.is_virtual or array.external:
            raise Unreadable("keeps its numbers in other files, which are not opened: copy it")
        text = self._h5py.check_string_dtype(kind)
        if kind.hasobject and (text is None or text.length is not None):
            what = "cells of MATLAB" if self._matlab else "references or lists"
            raise Unreadable(f"holds {what}: save it as numbers")
        if kind.names is not None:
            raise Unreadable("holds records: save each field as an array")
        count = math.prod(shape)
        if text is not None and kind.hasobject:
            return Member(count * _LONGEST_LABEL / 2, partial(self._read_text, array))
        chunk = math.prod(array.chunks or ()) * kind.itemsize / 8
        return Member(max(count * max(1.0, kind.itemsize / 8), chunk), partial(self._read, array))

    def _found(self, name: str) -> Any:
        place: Any = self._file
        for part in name.strip("/").split("/"):
            link = place.get(part, getlink=True) if isinstance(place, self._h5py.Group) else None
            if part in ("", ".", "..") or link is None:
                raise Unreadable(f"holds no array {name!r}, but {listed(self.names) or 'none'}")
            if not isinstance(link, self._h5py.HardLink):
                raise Unreadable(f"holds {name!r} as a link, which is not followed: name its place")
            place = place[part]
        if not isinstance(place, self._h5py.Dataset):
            inside = [each for each in self.names if each.startswith(f"{name.strip('/')}/")]
            what = "struct of MATLAB" if self._matlab else "group"
            held = f" with {listed(inside)}" if inside else ""
            raise Unreadable(f"holds {name!r} as a {what}{held}: name an array in it")
        return place

    def _read(self, array: Any) -> np.ndarray:
        read = array[()]
        if read.dtype.kind == "S":
            read = np.char.decode(read, "utf-8", "strict")
        if self._matlab:
            # MATLAB counts columns first.
            read = read.T
            if array.attrs.get("MATLAB_class") == b"logical":
                read = read.astype(bool)
        return read

    def _read_text(self, array: Any) -> np.ndarray:
        """Text, row by row where the file is so large that rows together might fill the memory."""
        flat, total = [], 0
        for place in np.ndindex(*array.shape):
            word = array[place]
            word = word.decode("utf-8") if isinstance(word, bytes) else str(word)
            total += len(word)
            if len(word) > _LONGEST_LABEL or total > _LONGEST_TEXT:
                raise Unreadable(f"holds a label of more than {_LONGEST_LABEL} letters")
            flat.append(word)
        return np.array(flat, dtype=str).reshape(array.shape)
