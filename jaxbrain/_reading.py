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
# File systems that compress store less than a file holds. Files up to this size do no harm.
_MAY_BE_SPARSE = 2**26
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
        _check_regular(path, os.fstat(number))
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
    stored = 512 * getattr(found, "st_blocks", found.st_size)
    if found.st_size > _MAY_BE_SPARSE and stored < found.st_size / 2:
        raise OSError(errno.EINVAL, "it is sparse: most of it was never written", str(path))
