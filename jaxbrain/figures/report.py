"""The figures of a report, one column wide, so that they can be read on a telephone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .style import COLOURS, ONE_COLUMN, grouped, legend_above, log_axis, readable_numbers

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (ONE_COLUMN, 3.0)
_RISKS = {
    "task_only_risk": ("least squares", "task only"),
    "ridge_risk": ("ridge", "ridge"),
    "risk": ("BEFS", "befs"),
    "two_penalty_risk": ("BEFS, two penalties", "two penalties"),
    "banded_ridge_risk": ("banded ridge", "banded ridge"),
}
# The estimator gives the colour, what it is compared with the kind of line.
_VALUES = {
    "value_ols": ("BEFS against least squares", "befs", "-"),
    "value_ridge": ("BEFS against ridge", "befs", "--"),
    "information_value": ("two penalties against ridge", "two penalties", "-"),
}


def draw_risk(
    curves: xarray.Dataset,
    simulated: xarray.Dataset | None,
    power: float,
    recordings: str,
    study: tuple[float, float],
) -> Figure:
    """Draw the risk over labels, with recordings and without.

    >>> import xarray
    >>> from jaxbrain.figures import draw_risk, styled
    >>> grid = {"n_task": [10, 90]}
    >>> names = ("task_only_risk", "ridge_risk", "risk", "two_penalty_risk")
    >>> curves = xarray.Dataset({name: ("n_task", [0.9, 0.4]) for name in names}, grid)
    >>> with styled():
    ...     figure = draw_risk(curves, None, 1.0, "500 brain samples", (50, 0.5))
    >>> figure.axes[0].get_ylabel()
    'risk (that of predicting 0 is 1)'

    **Arguments**

    - `curves`: over n_task, `task_only_risk`, `ridge_risk`, `risk`, `two_penalty_risk`, and
      `banded_ridge_risk` where there is one, in units of the risk of predicting 0.
    - `simulated`: some of these risks at some n_task, each with `_low` and `_high`, in units of
      ‖β‖². None draws no points.
    - `power`: the risk of predicting 0, in the units of `simulated`.
    - `recordings`: how much is recorded, in words.
    - `study`: n_task of the study and its risk in the units of `curves`, which is marked.

    **Returns**

    The figure, one column wide. Call this within `styled`, or let `save` do so.

    **Raises**

    `KeyError` where a dataset lacks one of its variables.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=_SIZE)
    shown = [1.0]
    for name, (label, colour) in _RISKS.items():
        if name == "banded_ridge_risk" and name not in curves:
            continue
        heights = np.where(np.isfinite(curves[name].values), curves[name].values, np.nan)
        axes.plot(curves.n_task.values, heights, color=COLOURS[colour], label=label)
        shown += [*heights[heights > 0]]
        if simulated is not None and name in simulated:
            _points(axes, simulated, "n_task", name, COLOURS[colour], 1 / power)
    _mark(axes, *study)
    # A risk far above that of predicting 0 is of no interest, and may be infinite.
    top = study[1] if 3 < study[1] < 30 else 3.0
    log_axis(axes, min(shown) / 1.3, 1.3 * top)
    _count_axis(axes, "labels (task samples)", f"beside {recordings}")
    axes.set_ylabel("risk (that of predicting 0 is 1)")
    _legend(figure, axes, simulated is not None)
    return figure


def draw_value(
    curves: xarray.Dataset,
    simulated: xarray.Dataset | None,
    labels: str,
    samples_per_hour: float | None,
    study: tuple[float, float],
) -> Figure:
    """Draw what recordings are worth, in labels, over how many there are, for three comparisons.

    >>> import xarray
    >>> from jaxbrain.figures import draw_value, styled
    >>> grid = {"n_brain": [100, 900]}
    >>> names = ("value_ols", "value_ridge", "information_value")
    >>> curves = xarray.Dataset({name: ("n_brain", [9, 40]) for name in names}, grid)
    >>> with styled():
    ...     figure = draw_value(curves, None, "50 labels", None, (500, 20.0))
    >>> figure.axes[0].get_ylabel()
    'value (labels)'

    **Arguments**

    - `curves`: over n_brain, `value_ols`, `value_ridge` and `information_value`, in labels. NaN is
      left out.
    - `simulated`: some of these at some n_brain, each with `_low` and `_high`. None draws no
      points.
    - `labels`: how many there are, in words.
    - `samples_per_hour`: how many samples an hour of recording gives; None where that is not known.
    - `study`: n_brain of the study and its information value, which is marked unless it is NaN.

    **Returns**

    The figure, one column wide. Call this within `styled`, or let `save` do so.

    **Raises**

    `KeyError` where a dataset lacks one of its variables.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=_SIZE)
    _draw_values(axes, curves, simulated, "n_brain")
    _mark(axes, *study)
    axes.axhline(0, color="grey", linewidth=0.7)
    axes.yaxis.set_major_formatter(lambda value, _: grouped(value).replace("-", "−"))
    hours = "" if samples_per_hour is None else f" ({grouped(samples_per_hour)} an hour)"
    _count_axis(axes, f"brain samples{hours}", f"beside {labels}")
    axes.set_ylabel("value (labels)")
    _legend(figure, axes, simulated is not None)
    return figure


def draw_saved(
    curves: xarray.Dataset,
    simulated: xarray.Dataset | None,
    recordings: str,
    study: tuple[float, float],
) -> Figure:
    """Draw which share of the labels recordings save, over labels, for three comparisons.

    A value V beside n_task labels saves V/(n_task + V) of those that would be needed otherwise.

    >>> import xarray
    >>> from jaxbrain.figures import draw_saved, styled
    >>> grid = {"n_task": [10, 90]}
    >>> names = ("value_ols", "value_ridge", "information_value")
    >>> curves = xarray.Dataset({name: ("n_task", [10, 30]) for name in names}, grid)
    >>> with styled():
    ...     figure = draw_saved(curves, None, "500 brain samples", (90, 30.0))
    >>> [float(share) for share in figure.axes[0].lines[0].get_ydata()]
    [50.0, 25.0]

    **Arguments**

    - `curves`, `simulated`: as in `draw_value`, over n_task.
    - `recordings`: how much is recorded, in words.
    - `study`: n_task of the study and its information value, which is marked where n_task is above
      0.

    **Returns**

    The figure, one column wide. Call this within `styled`, or let `save` do so.

    **Raises**

    `KeyError` where a dataset lacks one of its variables.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=_SIZE)
    _draw_values(axes, _shares(curves), None if simulated is None else _shares(simulated), "n_task")
    n_task, value = study
    if n_task > 0:
        _mark(axes, n_task, 100 * value / (n_task + value))
    axes.axhline(0, color="grey", linewidth=0.7)
    axes.set_ylim(-25, 100)
    _count_axis(axes, "labels (task samples)", f"beside {recordings}")
    axes.set_ylabel("labels saved (%)")
    _legend(figure, axes, simulated is not None)
    return figure


def draw_changes(changes: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw by how many percent the value of recordings changes for one percent more of each thing.

    >>> from jaxbrain.figures import draw_changes, styled
    >>> with styled():
    ...     figure = draw_changes({"labels": (0.9, 0.4), "brain samples": (0.2, 0.1)})
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['labels', 'brain samples']

    **Arguments**

    - `changes`: by the name of the thing, most important first, the changes of the value against
      least squares and of the information value. NaN is left out.

    **Returns**

    The figure, one column wide. Call this within `styled`, or let `save` do so.

    **Raises**

    Nothing of its own.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=_SIZE)
    places = np.arange(len(changes))
    for row, (label, colour) in enumerate(
        (("value against least squares", "befs"), ("information value", "two penalties"))
    ):
        widths = np.array([pair[row] for pair in changes.values()])
        widths = np.where(np.isfinite(widths), widths, 0.0)
        axes.barh(places + 0.4 * row - 0.2, widths, 0.36, color=COLOURS[colour], label=label)
    axes.axvline(0, color="black", linewidth=0.7)
    axes.set_yticks(places, list(changes))
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel("change of the value (%) for 1 % more")
    legend_above(figure)
    return figure


def _shares(values: xarray.Dataset) -> xarray.Dataset:
    kept = [name for name in values if str(name).startswith(("value_", "information_value"))]
    return 100 * values[kept] / (values.n_task + values[kept])


def _draw_values(
    axes: Axes, curves: xarray.Dataset, simulated: xarray.Dataset | None, along: str
) -> None:
    for name, (label, colour, style) in _VALUES.items():
        axes.plot(
            curves[along].values, curves[name].values, style, color=COLOURS[colour], label=label
        )
        if simulated is not None and name in simulated:
            _points(axes, simulated, along, name, COLOURS[colour], 1.0, hollow=style != "-")


def _points(
    axes: Axes,
    simulated: xarray.Dataset,
    along: str,
    name: str,
    colour: str,
    unit: float,
    hollow: bool = False,
) -> None:
    """Simulated means with their intervals; hollow where the theory is a broken line."""
    middle, low, high = (
        unit * np.atleast_1d(simulated[f"{name}{end}"].values) for end in ("", "_low", "_high")
    )
    axes.errorbar(
        np.atleast_1d(simulated[along].values),
        middle,
        [middle - low, high - middle],
        fmt="o",
        color=colour,
        markerfacecolor="white" if hollow else colour,
        zorder=3,
    )


def _mark(axes: Axes, across: float, height: float) -> None:
    """Where the study itself stands; nowhere if it has no finite answer."""
    if across > 0 and np.isfinite(height):
        axes.plot(
            across, height, "D", color="black", markersize=6, markerfacecolor="none", zorder=4
        )


def _count_axis(axes: Axes, what: str, beside: str) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high < 30 * low:
        # Within a decade or so matplotlib's own numbers run into each other.
        readable_numbers(axes.xaxis, low, high)
        axes.xaxis.set_major_formatter(lambda number, _: grouped(number))
    axes.set_xlabel(f"{what}\n{beside}")


def _legend(figure: Figure, axes: Axes, simulated: bool) -> None:
    axes.plot([], [], "D", color="black", markersize=6, markerfacecolor="none", label="this study")
    if simulated:
        axes.errorbar([], [], [], fmt="o", color="black", label="simulation, 95 %")
    legend_above(figure)
