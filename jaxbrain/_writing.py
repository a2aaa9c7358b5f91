"""How all files are written: complete, together, and over nothing that is there unasked."""

from __future__ import annotations

import errno
import os
import secrets
import signal
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

# What a file system says that knows no links.
_NO_LINKS = {
    getattr(errno, name)
    for name in ("EPERM", "EACCES", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK", "EXDEV")
    if hasattr(errno, name)
}
_partials: set[Path] = set()


def write_files(contents: Mapping[Path, bytes | memoryview], *, overwrite: bool) -> None:
    """Write these files, all of them or none.

    Each is written beside its place under a name that nobody can foresee, and is on the disk before
    any of them appears. `FileExistsError` where one is there and `overwrite` is false, also if it
    came meanwhile. What is replaced is back in its place after a failure.
    """
    partials: dict[Path, Path] = {}
    undo: list[tuple[Path, Path | None]] = []
    try:
        for path in contents:
            check_free(path, overwrite)
        for path, content in contents.items():
            partials[path] = _on_disk(path.parent, content)
        # Between publishing a file and noting that it has to be undone a signal must wait.
        with _signals_wait():
            for path, partial in partials.items():
                if overwrite:
                    _replace(partial, path, undo)
                else:
                    _publish(partial, path)
                    undo.append((path, None))
        for folder in {path.parent for path in contents}:
            _sync_folder(folder)
    except BaseException:
        with _signals_wait():
            for path, older in reversed(undo):
                with suppress(OSError):
                    path.unlink() if older is None else os.replace(older, path)
        raise
    finally:
        for left in (*partials.values(), *(older for _, older in undo if older is not None)):
            _remove(left)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the end. Python tells them to the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def hold(number: int, frame: object) -> None:
        came.append(number)

    with ExitStack() as stack:
        # Called last, with all handlers back in their places.
        stack.callback(lambda: came and signal.raise_signal(came[0]))
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            # None is a handler that is not Python's.
            if handler is not None and handler is not signal.SIG_IGN:
                stack.callback(signal.signal, number, handler)
                signal.signal(number, hold)
        yield


def check_free(path: Path, overwrite: bool) -> None:
    """Raise unless a file may be written here. A link that leads nowhere is there too."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not overwrite:
        raise FileExistsError(errno.EEXIST, "it exists already", str(path))
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        raise OSError(errno.EINVAL, "what is there is no regular file", str(path))


def remove_partials() -> None:
    """Remove what is being written at this moment, for a process that ends at once."""
    for path in tuple(_partials):
        _remove(path)


def _on_disk(folder: Path, content: bytes | memoryview) -> Path:
    """A new file with this content, which is on the disk."""
    # As tempfile.mkstemp does it, but with the permissions that the user's umask grants.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    path = _beside(folder)
    # Known before it exists: a signal may come between the two.
    _partials.add(path)
    try:
        with os.fdopen(os.open(path, flags, 0o666), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        _remove(path)
        raise
    return path


def _beside(folder: Path) -> Path:
    # A name of the file's own length may be too long with anything added.
    return folder / f".jaxbrain-{secrets.token_hex(8)}.partial"


def _publish(partial: Path, path: Path) -> None:
    """Give a complete file its name; fails if the name is taken."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Whoever creates the name owns it.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            os.replace(partial, path)
        except BaseException:
            path.unlink()
            raise


def _replace(partial: Path, path: Path, undo: list[tuple[Path, Path | None]]) -> None:
    """Put a complete file in the place of another, which is kept until all are written."""
    older = _beside(path.parent)
    _partials.add(older)
    try:
        os.link(path, older, follow_symlinks=False)
    except FileNotFoundError:
        undo.append((path, None))
    except OSError:
        # Without links the older file is gone once the new one is there.
        pass
    else:
        undo.append((path, older))
    os.replace(partial, path)


def _sync_folder(folder: Path) -> None:
    # Not every system opens folders, nor does every file system sync them.
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    _partials.discard(path)
