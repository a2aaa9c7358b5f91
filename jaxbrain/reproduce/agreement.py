"""Simulation against the closed forms at small scale: risk, penalty, value, exchange rate."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import jax
import numpy as np
import xarray

from ..figures.style import (
    TWO_COLUMNS,
    grouped,
    letter_panels,
    ordered_colours,
    readable_numbers,
)
from ..simulation import empirical_value, sweep
from ..simulation.intervals import (
    ends,
    least_unless_lucky,
    mean_in_samples,
    resampled,
    spread_of_differences,
)
from ..theory import optimal_penalty, risk, value
from .result import Claim, Result, Scale, Tables, claim, largest
from .settings import at_points, small

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_BRAIN = [70, 85, 100, 140, 200, 280, 400, 560, 800, 1600, 3200]
N_TASK = [20, 50, 100, 200, 400, 800]
PENALTIES = np.logspace(-2, 2, 81)


@cache
def small_sweep(scale: Scale) -> xarray.Dataset:
    """The paper's small simulation: a grid of penalties, replicate seeds."""
    return sweep(
        small(),
        N_BRAIN,
        N_TASK,
        PENALTIES,
        trials=scale.trials,
        seeds=scale.seeds,
        key=jax.random.key(0),
    )


def agreement_sweep(scale: Scale) -> xarray.Dataset:
    """That sweep as it is."""
    return small_sweep(scale)


def agreement(scale: Scale) -> xarray.Dataset:
    """For each cell: risk, best penalty, value and exchange rate, simulated and in closed form."""
    found, problem = small_sweep(scale), small().problem()
    n_brain, n_task = (x.astype(float) for x in (found.n_brain.values, found.n_task.values))
    grid = n_brain[:, None], n_task[None, :]
    over = ("n_brain", "n_task")
    draws = found.risk.values
    # Means of all seeds first, then samples around them.
    means = mean_in_samples(draws, resampled(found, 0.95, 2000, 0))
    least = means.min(axis=-1)
    cautious = least_unless_lucky(means, means[0], spread_of_differences(draws))
    penalty = np.exp(_lowest(np.log(PENALTIES), means))
    worth = empirical_value(found, "ols", penalty="best").squeeze("penalty", drop=True)
    closed = {
        "risk": at_points(risk, problem, *grid),
        "penalty": at_points(optimal_penalty, problem, *grid),
        "value": at_points(value, problem, *grid, baseline="ols"),
        "first_order_risk": at_points(risk, problem, *grid, order="first"),
    }
    columns = {}
    # Luck in the choice of the penalty makes the least of the risks too low.
    for name, samples, for_high in (("risk", least, cautious), ("penalty", penalty, penalty)):
        columns[name] = (over, samples[0])
        low, high = ends(samples[1:], for_high[1:], 0.95)
        columns[f"{name}_low"], columns[f"{name}_high"] = (over, low), (over, high)
    for end in ("", "_low", "_high"):
        columns[f"value{end}"] = worth[f"value{end}"]
    columns |= {f"{name}_closed_form": (over, x) for name, x in closed.items()}
    columns["value_known"] = (over, (worth.status.values == "ok").astype(float))
    return xarray.Dataset(
        columns,
        coords={"n_brain": found.n_brain, "n_task": found.n_task},
        attrs={"seeds": scale.seeds, "trials": scale.trials, "task_snr": float(problem.task_snr)},
    )


def _lowest(x: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Where a curve over an even grid is lowest, by a parabola through three points."""
    place = np.clip(np.argmin(heights, axis=-1), 1, len(x) - 2)[..., None]
    left, middle, right = (
        np.take_along_axis(heights, place + step, axis=-1)[..., 0] for step in (-1, 0, 1)
    )
    bend = left - 2 * middle + right
    step = np.where(bend > 0, (left - right) / np.where(bend > 0, 2 * bend, 1.0), 0.0)
    return x[place[..., 0]] + np.clip(step, -1, 1) * (x[1] - x[0])


TABLES = {"agreement_sweep": agreement_sweep, "agreement": agreement}


def draw(tables: Tables) -> Figure:
    """The figure of these tables."""
    import matplotlib.pyplot as plt

    cells = tables["agreement"]
    figure, grid = plt.subplots(2, 2, figsize=(TWO_COLUMNS, 5.4))
    names = {
        "risk": "excess test risk at the best penalty",
        "penalty": "best penalty",
        "value": "value (labels)",
        "exchange rate": "exchange rate (labels a brain sample)",
    }
    colours = ordered_colours(len(cells.n_task))
    for axes, (name, title) in zip(grid.flat, names.items(), strict=True):
        stem = "value" if name == "exchange rate" else name
        unit = cells.n_brain.values[:, None] if name == "exchange rate" else 1.0
        closed, mean, low, high = (
            cells[f"{stem}{end}"].values / unit for end in ("_closed_form", "", "_low", "_high")
        )
        shown = np.isfinite(mean) & (mean > 0) & (closed > 0)
        for column, (labels, colour) in enumerate(zip(cells.n_task.values, colours, strict=True)):
            use = shown[:, column]
            off = 100 * (np.stack([mean, low, high]) / closed - 1)[:, use, column]
            axes.errorbar(
                closed[use, column],
                off[0],
                np.nan_to_num(np.abs(off[1:] - off[0])),
                fmt="o",
                color=colour,
                label=grouped(labels),
            )
        axes.axhline(0, color="black", lw=0.8, zorder=0)
        if shown.any():
            axes.set_xscale("log")
            readable_numbers(axes.xaxis, closed[shown].min(), closed[shown].max())
            axes.xaxis.set_major_formatter("{x:g}")
        axes.set_title(title)
        axes.set_xlabel("closed form")
        axes.set_ylabel("simulated less closed form (%)")
    letter_panels(grid.flat)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title=f"labels; 64 inputs, 6 latents, {cells.attrs['seeds']} seeds of "
        f"{cells.attrs['trials']} trials, 95 % intervals",
        loc="outside upper center",
        ncols=6,
    )
    return figure


def claims(tables: Tables) -> list[Claim]:
    """What these tables say of each claim."""
    cells = tables["agreement"]

    def compared(name: str) -> tuple[np.ndarray, float, bool]:
        closed, mean, low, high = (
            cells[f"{name}{end}"].values for end in ("_closed_form", "", "_low", "_high")
        )
        known = np.isfinite(mean) & np.isfinite(low) & np.isfinite(high)
        inside = (low <= closed) & (closed <= high)
        # Beyond what few draws explain, theory has to be within 3 %.
        near = abs(closed - mean) <= 0.03 * abs(mean) + 0.75 * (high - low)
        share = float(np.sum(inside[known]) / max(known.sum(), 1))
        return (closed / mean - 1)[known], share, bool(known.any() and np.all(near[known]))

    found = {name: compared(name) for name in ("risk", "penalty", "value")}

    law = cells.first_order_risk_closed_form.values / cells.risk.values - 1
    # Below d + 2 labels the law has none.
    at = np.unravel_index(np.argmax(np.where(np.isfinite(law), abs(law), 0.0)), law.shape)

    def told(name: str) -> str:
        off, share, _ = found[name]
        middle = np.median(abs(off)) if off.size else np.nan
        return (
            f"median difference {100 * middle:.2g} %, largest {100 * largest(abs(off)):.2g} % "
            f"in {off.size} cells; {100 * share:.0f} % within the 95 % interval"
        )

    def covering(name: str) -> str:
        off, share, _ = found[name]
        return (
            f"to within {100 * largest(abs(off)):.2g} %: {100 * share:.0f} % of the 95 % "
            "intervals cover theory"
            if share < 0.9
            else ""
        )

    first = (
        f"the finite form: the first-order law is off by up to {100 * abs(law[at]):.0f} %, beside "
        f"{cells.n_task.values[at[1]]} labels and {cells.n_brain.values[at[0]]} brain samples"
        if abs(law[at]) > 0.03
        else ""
    )
    return [
        claim(
            "The simulated risk at the best penalty is that of theory.",
            "risk",
            told("risk"),
            found["risk"][2] and largest(abs(found["risk"][0])) < 0.03,
            "; ".join(filter(None, (covering("risk"), first))),
        ),
        claim(
            "The penalty that is best in simulation is that of theory.",
            "optimal_penalty",
            told("penalty"),
            found["penalty"][2] and np.median(abs(found["penalty"][0])) < 0.03,
            covering("penalty"),
        ),
        claim(
            "The simulated value, and with it the exchange rate, is that of theory.",
            "empirical_value",
            told("value"),
            found["value"][2] and np.median(abs(found["value"][0])) < 0.02,
            covering("value"),
        ),
    ]


RESULT = Result(
    "Simulation against theory at small scale",
    tuple(TABLES),
    draw,
    claims,
    "Four panels of the difference between simulation and closed form, in percent with 95 % "
    "intervals, over the closed form: risk (a), best penalty (b), value (c) and exchange rate (d). "
    "Points scatter about 0 by a few percent.",
)
