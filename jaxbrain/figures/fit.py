"""The figure of a comparison on a user's own arrays: errors, and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import COLOURS, TWO_COLUMNS, grouped, letter_panels, readable_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Point = tuple[float, float, float]


def draw_fit(
    errors: Mapping[str, Point],
    curves: Mapping[str, tuple[Sequence[float], Sequence[Point]]],
    no_skill: float = 1.0,
    error: str = "held-out error",
) -> Figure:
    """Draw the held-out error of every estimator with its interval (a), and over labels (b).

    >>> from jaxbrain.figures import draw_fit, styled
    >>> points = [(0.9, 0.8, 1.0), (0.7, 0.6, 0.8)]
    >>> with styled():
    ...     figure = draw_fit({"ridge": points[1]}, {"ridge": ((50, 100), points)})
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['held-out error', 'labels (task rows)']

    **Arguments**

    - `errors`: by name of the estimator its error, and the ends of its interval. What is NaN is
      left out.
    - `curves`: by name, ridge first and then BEFS, numbers of labels, and at each an error with its
      interval. These names have colours in both pictures.
    - `no_skill`: the error of those who know nothing of the inputs, a dotted line.
    - `error`: what errors are, for the axes, as "held-out error (nats)".

    **Returns**

    The figure. Call this within `styled`, or let `save` do so.

    **Raises**

    `ValueError` where a curve has not as many points as numbers.
    """
    import matplotlib.pyplot as plt

    colours = dict(zip(curves, [*COLOURS.values()][1:], strict=False))
    shown = {name: point for name, point in errors.items() if np.all(np.isfinite(point))}
    height = max(2.8, 0.22 * len(shown) + 0.9)
    figure, (left, right) = plt.subplots(1, 2, figsize=(TWO_COLUMNS, height))
    for place, (name, (mean, low, high)) in enumerate(reversed(shown.items())):
        colour = colours.get(name, "grey")
        left.plot([low, high], [place, place], color=colour)
        left.plot(mean, place, "o", color=colour, markersize=4)
    left.set_yticks(range(len(shown)), list(reversed(shown)))
    left.axvline(no_skill, color="grey", linewidth=0.8, linestyle=":")
    left.set_xlabel(error)
    # What is far worse than the mean would hide all differences.
    ends = [high for _, _, high in shown.values()] or [no_skill]
    starts = [low for _, low, _ in shown.values()] or [0.0]
    left.set_xlim(min(starts) - 0.02, min(max(ends), 1.5 * no_skill) + 0.02)
    for name, (numbers, points) in curves.items():
        means, lows, highs = np.array(points, float).reshape(len(numbers), 3).T
        right.plot(numbers, means, "o-", color=colours[name], label=name, markersize=3)
        right.fill_between(numbers, lows, highs, color=colours[name], alpha=0.15, linewidth=0)
    if curves:
        right.set_xscale("log")
        every = np.concatenate([np.asarray(numbers, float) for numbers, _ in curves.values()])
        readable_numbers(right.xaxis, every.min(), every.max())
        right.xaxis.set_major_formatter(lambda number, _: grouped(number))
        right.legend()
    right.set_xlabel("labels (task rows)")
    right.set_ylabel(error)
    letter_panels((left, right))
    return figure
