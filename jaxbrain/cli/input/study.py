"""Studies and purchases of files and options; what is wrong with them is the user's error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...study import Purchase, Study, StudyError, described
from ...study import purchase as purchases
from ...study.errors import Memory
from ..errors import UserError

_GIGABYTES = 2.0


def read_study(
    config: Path | None, given: dict[str, Any], *, max_gigabytes: float = _GIGABYTES
) -> Study:
    """`described_study` within so much memory."""
    with _told_to_user():
        return described.described_study(config, given, Memory.of_command(max_gigabytes))


def read_purchase(config: Path | None, given: dict[str, Any]) -> Purchase:
    """`read_purchase` of the library."""
    with _told_to_user():
        return purchases.read_purchase(config, given, Memory.of_command(_GIGABYTES))


def read_prices(config: Path | None, given: dict[str, Any], study: Study | None) -> Purchase | None:
    """`read_prices` of the library."""
    with _told_to_user():
        return purchases.read_prices(config, given, study)


@contextmanager
def _told_to_user() -> Iterator[None]:
    try:
        yield
    except StudyError as error:
        raise UserError(error.problems) from error
