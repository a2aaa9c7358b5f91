"""Numbers as a report writes them; what is infinite or undefined is said in words."""

from __future__ import annotations

import math

from .text import rounded, thousands


def count(number: float) -> str:
    """A number of samples or labels to three digits."""
    return thousands(rounded(number)) if math.isfinite(number) else _without_end(number)


def digits(number: float) -> str:
    """Any number to three digits."""
    if not math.isfinite(number):
        return _without_end(number)
    return count(number) if abs(number) >= 1000 else f"{number:.3g}"


def digits4(number: float) -> str:
    """A risk to four digits."""
    return f"{number:.4g}" if math.isfinite(number) else _without_end(number)


def interval(mean: float, low: float, high: float) -> str:
    """A mean and its interval, with two digits of the distance between the ends."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{digits4(mean)} (interval open)"
    if high <= low:
        return f"{digits4(mean)} ({digits4(low)} to {digits4(high)})"
    decimals = max(0, 1 - math.floor(math.log10(high - low)))
    middle, start, end = (f"{number:.{decimals}f}" for number in (mean, low, high))
    return f"{middle} ({start} to {end})"


def labels_in_interval(mean: float, low: float, high: float) -> str:
    """A value in labels and its interval, which can be narrower than three digits show."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{count(mean)} (interval open)"
    return f"{thousands(mean)} ({thousands(low)} to {thousands(high)})"


def percent(change: float) -> str:
    """A change with its sign."""
    if not math.isfinite(change):
        return "undefined"
    return f"{change:+.3f} %".replace("-", "−") if abs(change) >= 5e-4 else "0.000 %"


def _without_end(number: float) -> str:
    if number != number:
        return "undefined"
    return "infinite" if number > 0 else "minus infinite"
