"""Whole numbers on the command line: 1000 may be written as 1e3, or as 1000.0."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, get_args, get_type_hints

from ..errors import flag

# Far beyond all bounds, and soon written out.
_MOST_DIGITS = 1000


def in_digits(arguments: list[str], command: Callable[..., Any]) -> list[str]:
    """The arguments, where whole numbers that the command takes are written in digits."""
    hints = get_type_hints(command).items()
    names = {flag(name) for name, hint in hints if int in (hint, *get_args(hint))}
    written, takes = [], False
    for word in arguments:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            takes = name.replace("_", "-") in names
            written.append(f"{name}={_digits(value)}" if takes and equals else word)
        else:
            written.append(_digits(word) if takes else word)
    return written


def _digits(word: str) -> str:
    """A whole number as digits; any other word as it is."""
    try:
        number = Decimal(word)
    except InvalidOperation:
        return word
    # 1e999999999 is a whole number, of more digits than there is memory.
    if not number.is_finite() or number.adjusted() >= _MOST_DIGITS or number != int(number):
        return word
    return str(int(number))
