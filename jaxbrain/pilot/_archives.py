"""Archives of arrays: measured by their directory, and read only as far as they are asked for."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from .._reading import opened

NO_ARCHIVE = (
    "not an .npz file, or damaged: save one with "
    "numpy.savez(file, inputs=..., recordings=..., targets=...)"
)
_OBJECTS = "holds Python objects, which are never loaded: save it as numbers"
# A header says type and shape, in fewer letters than numpy allows.
_LONGEST_HEADER = 10_000


class Unreadable(ValueError):
    """The archive cannot be read, and why."""


def read_arrays(
    path: Path, known: Collection[str], max_bytes: float
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of known names, and what is wrong with the others, both by name.

    Nothing is read before the whole is measured, as the floating-point numbers that it becomes.
    Raises `Unreadable`.
    """
    try:
        with opened(path) as stream:
            # Whatever is no archive numpy takes for a pickle, and tells how to load it.
            if not zipfile.is_zipfile(stream):
                raise Unreadable(NO_ARCHIVE)
            with zipfile.ZipFile(stream) as archive:
                return _read(archive, known, max_bytes)
    except FileNotFoundError as error:
        raise Unreadable("there is no such file") from error
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(NO_ARCHIVE) from error


def _read(
    archive: zipfile.ZipFile, known: Collection[str], max_bytes: float
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    members = archive.infolist()
    names = [member.filename.removesuffix(".npy") for member in members]
    count = Counter(names)
    faults = {name: "is not known here" for name in count if name not in known}
    faults |= {name: "is there twice" for name in known if count[name] > 1}
    asked = {
        name: member
        for name, member in zip(names, members, strict=True)
        if name in known and name not in faults
    }
    sizes = {}
    for name, member in asked.items():
        # A damaged archive raises whatever its decompressor or numpy's parser stumbles over.
        try:
            sizes[name] = _size(archive, member)
        except Exception as error:
            faults[name] = _fault(error)
    bytes_of_all = 8.0 * sum(sizes.values())
    if bytes_of_all > max_bytes:
        raise Unreadable(
            f"holds {bytes_of_all / 1e9:.3g} GB of numbers, more than the {max_bytes / 1e9:.3g} "
            "that max_bytes allows: describe inputs by fewer features, or allow more"
        )
    arrays = {}
    for name in sizes:
        try:
            with archive.open(asked[name]) as stream:
                arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
        except Exception as error:
            faults[name] = _fault(error)
    return arrays, faults


def _size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """How many numbers an array holds, by its header; raises where that is not what is there."""
    if not member.filename.endswith(".npy"):
        raise Unreadable("is not an array of numpy: save it with numpy.savez")
    with archive.open(member) as stream:
        shape, kind = _header(stream)
        start = stream.tell()
    if kind.hasobject:
        raise Unreadable(_OBJECTS)
    count = math.prod(shape)
    if start + count * kind.itemsize != member.file_size:
        raise ValueError(f"its size is not that of shape {shape}")
    return count


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, kind = read(stream, max_header_size=_LONGEST_HEADER)
    return shape, kind


def _fault(error: Exception) -> str:
    if isinstance(error, Unreadable):
        return str(error)
    if "allow_pickle" in str(error):
        return _OBJECTS
    return f"cannot be read ({error}): save it again"
