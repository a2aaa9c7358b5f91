"""What reaches the terminal: text without control characters."""

from __future__ import annotations

import io
import sys
import unicodedata
from contextlib import AbstractContextManager, nullcontext, redirect_stderr

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
