"""How the page of the benchmarks reads results and writes numbers: durations, ratios, tables."""

import json
from collections.abc import Iterable

from . import _measure


def results(name: str) -> dict:
    return json.loads((_measure.RESULTS / f"{name}.json").read_text())["results"]


def duration(seconds: float) -> str:
    for unit, size, least in (("h", 3600.0, 3600.0), ("min", 60.0, 120.0), ("s", 1.0, 1.0)):
        if seconds >= least:
            return f"{_digits(seconds / size)} {unit}"
    if seconds >= 1e-3:
        return f"{_digits(seconds * 1e3)} ms"
    return f"{_digits(seconds * 1e6)} µs"


def timing(time: dict, scale: float = 1.0) -> str:
    """Median and extremes."""
    low, high = time["min_s"] * scale, time["max_s"] * scale
    return f"{duration(time['median_s'] * scale)} ({duration(low)} – {duration(high)})"


def _digits(number: float) -> str:
    """Two digits or all before the point, as the noise of a timing allows."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def times(ratio: float) -> str:
    """How many times faster, to two digits."""
    if ratio < 10:
        return f"{ratio:.1f}"
    place = 10 ** (len(str(int(ratio))) - 2)
    return f"{round(ratio / place) * place:,}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
