"""The figures of the commands: savings over labels, a plan, a simulated sweep."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .style import (
    CATEGORIES,
    grouped,
    legend_above,
    letter_panels,
    literal,
    log_axis,
    ordered_colours,
    shortened,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def draw_savings(
    savings: xarray.Dataset, samples_per_hour: float | None, study: tuple[float, float]
) -> Figure:
    """Draw which share of the labels recordings save, over labels, for several amounts of
    recording.

    Solid lines are against least squares, dashed ones against optimal ridge; a colour for each
    amount.

    >>> import numpy as np, xarray
    >>> from jaxbrain.figures import draw_savings, styled
    >>> shares = (("n_brain", "n_task"), np.array([[0.5, 0.2], [0.7, 0.4]]))
    >>> grid = {"n_brain": [500.0, 1000.0], "n_task": [10.0, 100.0]}
    >>> savings = xarray.Dataset({"ols": shares, "ridge": shares}, grid)
    >>> with styled():
    ...     figure = draw_savings(savings, None, (50, 0.4))
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['500', '1 000', 'this study']

    **Arguments**

    - `savings`: over n_brain and n_task, `ols` and `ridge`: shares of the labels that least
      squares, or ridge, would need. A share of 1 is all of them.
    - `samples_per_hour`: how many samples an hour of recording gives, to tell hours in the legend.
      None tells none.
    - `study`: n_task of the study and its share against least squares, which is marked unless it is
      NaN.

    **Returns**

    The figure. Call this within `styled`, or let `save` do so.

    **Raises**

    `KeyError` where `savings` lacks one of these variables.
    """
    import matplotlib.pyplot as plt

    amounts, labels = savings.n_brain.values, savings.n_task.values
    figure, axes = plt.subplots(figsize=(5.2, 3.6))
    for row, (amount, colour) in enumerate(
        zip(amounts, ordered_colours(len(amounts)), strict=True)
    ):
        hours = "" if samples_per_hour is None else f" ({amount / samples_per_hour:g} h)"
        name = f"{grouped(amount)}{hours}"
        axes.plot(labels, 100 * savings["ols"].values[row], color=colour, label=name)
        axes.plot(labels, 100 * savings["ridge"].values[row], color=colour, linestyle="--")
    n_task, share = study
    if np.isfinite(share):
        axes.plot(n_task, 100 * share, "o", color="black", label="this study")
    axes.set_xscale("log")
    axes.set_ylim(-25, 100)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_xlabel("labels (task samples)")
    axes.set_ylabel("labels saved by recordings (%)")
    axes.set_title("against least squares (solid) and optimal ridge (dashed)")
    axes.legend(title="brain samples")
    return figure


def draw_plan(
    curves: Mapping[str, xarray.Dataset],
    risk_without_brain: float,
    budget: float,
    currency: str = "",
    *,
    width: float = 5.2,
) -> Figure:
    """Draw the risk over the share of a budget that is spent on recordings, one line a modality.

    The rest of the budget buys labels. The best split of each modality is marked.

    >>> import xarray
    >>> from jaxbrain.figures import draw_plan, styled
    >>> best = {"best_share": 40.0, "best_risk": 0.2}
    >>> curve = xarray.Dataset({"risk": ("share", [0.5, 0.2, 0.4])}, {"share": [10, 40, 80]}, best)
    >>> with styled():
    ...     figure = draw_plan({"fMRI": curve}, 0.3, 30_000, "EUR")
    >>> figure.axes[0].get_xlabel()
    'share of the budget of 30 000 EUR spent on recordings (%)'

    **Arguments**

    - `curves`: for each modality by its name, over `share`, the percentage of the budget spent on
      it: `risk`, in units of that of predicting 0. It may be empty, where the budget is too small.
      The attributes `best_share` and `best_risk` are those of the best split, NaN where nothing is
      bought.
    - `risk_without_brain`: of the best plan without recordings, in the same units: the dashed line.
    - `budget`, `currency`: money to spend, as a number, and a word or sign for it.
    - `width`: of the figure, in inches.

    **Returns**

    The figure. Call this within `styled`, or let `save` do so.

    **Raises**

    `KeyError` where a curve lacks its variable or an attribute.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(width, 1.9 + width / 3))
    drawn = [risk_without_brain]
    for row, (name, curve) in enumerate(curves.items()):
        colour = CATEGORIES[row % len(CATEGORIES)]
        style = ("-", "-.", ":")[row // len(CATEGORIES) % 3]
        shares, risks = curve.share.values, curve.risk.values
        label = literal(shortened(name))
        label += "" if risks.size else " (beyond the budget)"
        axes.plot(shares, risks, style, color=colour, label=label)
        if np.isfinite(curve.attrs["best_risk"]):
            axes.plot(curve.attrs["best_share"], curve.attrs["best_risk"], "o", color=colour)
        drawn += [*risks]
    axes.axhline(
        risk_without_brain, color="black", linestyle="--", linewidth=1, label="labels alone"
    )
    axes.plot([], [], "o", color="grey", label="best split")
    axes.set_xlim(0, 100)
    # A risk far above that of predicting 0 is of no interest, and may be infinite.
    drawn = [height for height in drawn if height <= 3] or [0.1, 1.0]
    log_axis(axes, min(drawn) / 1.15, max(drawn) * 1.15)
    money = f"{grouped(budget)} {currency}".strip()
    # A line never ends within a sum of money.
    joined = money.replace(" ", "\N{NO-BREAK SPACE}")
    label = f"share of the budget of {joined} spent on recordings (%)"
    wrapped = textwrap.wrap(label, round(12 * width))
    axes.set_xlabel("\n".join(literal(line.replace(joined, money)) for line in wrapped))
    axes.set_ylabel("risk (that of predicting 0 is 1)")
    legend_above(figure)
    return figure


def draw_simulation(simulated: xarray.Dataset, closed_form: xarray.DataArray) -> Figure:
    """Draw simulated risks over labels as points, and the closed form as lines.

    A colour for each amount of recording, a panel for each penalty; bars are 95 % intervals. Where
    there are several panels, each has a letter.

    >>> import numpy as np, xarray
    >>> from jaxbrain.figures import draw_simulation, styled
    >>> grid = {"n_brain": [100], "n_task": [10, 100], "penalty": ["optimal"]}
    >>> risks = np.array([0.5, 0.1]).reshape(1, 2, 1)
    >>> points = {"risk": (tuple(grid), risks), "standard_error": (tuple(grid), risks / 10)}
    >>> lines = xarray.DataArray(risks, grid | {"n_task": [9, 99]}, tuple(grid))
    >>> with styled():
    ...     figure = draw_simulation(xarray.Dataset(points, grid), lines)
    >>> figure.axes[0].get_title(loc="left")
    'penalty optimal'

    **Arguments**

    - `simulated`: over n_brain, n_task and penalty: `risk`, the mean over all draws, and its
      `standard_error`. Penalties are numbers, or a word.
    - `closed_form`: risks over n_brain, an n_task of its own, and penalty; NaN where there is none.

    **Returns**

    The figure. Call this within `styled`, or let `save` do so.

    **Raises**

    `KeyError` where `simulated` lacks one of these variables.
    """
    import matplotlib.pyplot as plt

    n_brain, n_task = simulated.n_brain.values, simulated.n_task.values
    risks, width = simulated["risk"].values, 1.96 * simulated["standard_error"].values
    colours = ordered_colours(len(n_brain))
    penalties = simulated.penalty.values
    panels = len(penalties)
    shown = n_task[:: -(-len(n_task) // 6)]
    columns = 2 if panels == 4 else min(panels, 3)
    figure, grid = plt.subplots(
        -(-panels // columns),
        columns,
        figsize=(2.2 + 3.2 * columns, 1.2 + 2.8 * -(-panels // columns)),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for panel, axes in enumerate(grid.flat):
        if panel >= panels:
            axes.set_visible(False)
            continue
        for row, (amount, colour) in enumerate(zip(n_brain, colours, strict=True)):
            line = closed_form.values[row, :, panel]
            if not np.isnan(line).all():
                axes.plot(closed_form.n_task.values, line, color=colour)
            axes.errorbar(
                n_task,
                risks[row, :, panel],
                width[row, :, panel],
                fmt="o",
                color=colour,
                label=grouped(amount),
            )
        axes.set_xscale("log")
        axes.set_xticks(shown, [grouped(n) for n in shown])
        axes.minorticks_off()
        penalty = penalties[panel]
        axes.set_title(
            f"penalty {penalty:.3g}" if penalties.dtype.kind == "f" else f"penalty {penalty}"
        )
    finite = risks[np.isfinite(risks)]
    if finite.size:
        log_axis(grid[0, 0], 0.8 * finite.min(), 1.25 * finite.max())
    for axes in grid.flat[max(panels - columns, 0) : panels]:
        axes.set_xlabel("labels (task samples)")
        axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("excess test risk")
    if panels > 1:
        letter_panels(grid.flat[:panels])
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        title="brain samples; lines: closed form, points: simulation",
        loc="outside upper center",
        ncols=min(len(names), 5),
    )
    return figure
