"""What reaches the terminal: text without control characters, and on stdout the answer alone."""

from __future__ import annotations

import io
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr

# Controls, marks that turn the direction of writing, and ends of lines.
_STEERS = ("Cc", "Cf", "Zl", "Zp")


def printable(text: str) -> str:
    """One line, in which signs that would steer the terminal are written out."""
    return "".join(
        sign.encode("unicode_escape").decode()
        if unicodedata.category(sign) in _STEERS and sign != "\t"
        else sign
        for sign in text
    )


def escaped_errors(arguments: list[str]) -> AbstractContextManager[object]:
    """Arguments that hold control characters are repeated without them in what is said of them."""
    if all(printable(argument) == argument for argument in arguments):
        return nullcontext()
    return redirect_stderr(_Escaping())


class _Escaping(io.TextIOBase):
    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        self._stream.write("\n".join(map(printable, text.split("\n"))))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


@contextmanager
def output_aside() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Whatever libraries write to stdout goes to stderr; yields what puts stdout back for a while.

    It stays there when the program ends: libraries say goodbye.
    """
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)

    @contextmanager
    def put_back() -> Iterator[None]:
        os.dup2(stdout, 1)
        try:
            yield
            sys.stdout.flush()
        finally:
            os.dup2(2, 1)

    yield put_back
    os.close(stdout)
