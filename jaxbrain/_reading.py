"""How all input is opened: regular files alone, whose size is known before they are read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Files up to this size do no harm, whatever they hold.
_MAY_BE_SPARSE = 2**26
# Of larger ones so much must have been written. How much room a file takes says little: file
# systems that compress store less than it holds, and some of them store no zeros.
_LEAST_WRITTEN = 0.01
_STEP = 2**20


@contextmanager
def opened(path: Path | str) -> Iterator[BinaryIO]:
    """The file, open for reading; `OSError` with a reason for anything but a regular file.

    FIFOs and devices are not even opened: that alone may block, or do something.
    """
    try:
        _check_regular(path, os.stat(path))
        # Should a FIFO have taken its place meanwhile, opening it does not block.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        number = os.open(path, flags)
    except ValueError as error:  # a NUL in its name
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    with os.fdopen(number, "rb") as stream:
        found = os.fstat(number)
        _check_regular(path, found)
        if found.st_size > _MAY_BE_SPARSE and hasattr(os, "SEEK_DATA"):
            _check_written(path, number, found.st_size)
        yield stream


def read_file(path: Path | str, most: int) -> bytes:
    """All that the file holds; `OSError` where that is more than `most` bytes."""
    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(size + 1) if size <= most else b""
        # Files of the system tell no size, and some of them have no end.
        while size < len(content) <= most and (more := stream.read(_STEP)):
            content += more
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most / 1e6:g} MB", str(path))
    return content


def _check_regular(path: Path | str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def _check_written(path: Path | str, number: int, size: int) -> None:
    """Raise where all but a hundredth of the file are holes."""
    written, end = 0, 0
    while written < _LEAST_WRITTEN * size:
        try:
            start = os.lseek(number, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                break  # a file system that does not know
            said = "it is sparse: most of it was never written"
            raise OSError(errno.EINVAL, said, str(path)) from error
        end = os.lseek(number, start, os.SEEK_HOLE)
        written += end - start
    os.lseek(number, 0, os.SEEK_SET)
