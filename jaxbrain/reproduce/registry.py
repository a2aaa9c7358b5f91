"""All results, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable

import xarray

from . import (
    agreement,
    boundaries,
    budget,
    exchange,
    imaging,
    information,
    learning,
    schematic,
    shift,
)
from .result import Result, Scale

_MODULES = {
    "model": schematic,
    "learning": learning,
    "exchange": exchange,
    "shift": shift,
    "budget": budget,
    "agreement": agreement,
    "imaging": imaging,
    "information": information,
    "boundaries": boundaries,
}
RESULTS: dict[str, Result] = {name: module.RESULT for name, module in _MODULES.items()}
TABLES: dict[str, Callable[[Scale], xarray.Dataset]] = {
    name: compute for module in _MODULES.values() for name, compute in module.TABLES.items()
}
