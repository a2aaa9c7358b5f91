"""The figures of the commands: savings over labels, a plan, a simulated sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..models import Problem
from ..simulation import mean_over_seeds
from ..theory import risk, savings, two_penalty_risk
from .style import CATEGORIES, grouped, legend_above, literal, log_axis, ordered_colours, shortened

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def draw_savings(
    problem: Problem, n_brain: float, n_task: float, samples_per_hour: float | None
) -> Figure:
    """Draw which share of the labels recordings save, over labels, for several amounts of recording.

    The amounts are a quarter, half, one, two and ten times `n_brain`, those above input_dim + 1;
    the study itself, (n_brain, n_task), is marked where its risk is finite. Solid lines are against
    least squares, dashed ones against optimal ridge.
    """
    import matplotlib.pyplot as plt

    fewest = max(problem.latent_dim + 2, n_task / 30)
    labels = np.geomspace(fewest, max(100 * n_task, 1000 * fewest), 200)
    amounts = [n_brain * factor for factor in (0.25, 0.5, 1.0, 2.0, 10.0)]
    amounts = np.array([amount for amount in amounts if amount > problem.input_dim + 1])
    against = {
        baseline: 100
        * np.asarray(savings(problem, amounts[:, None], labels[None, :], baseline=baseline))
        for baseline in ("ols", "ridge")
    }
    figure, axes = plt.subplots(figsize=(5.2, 3.6))
    for row, (amount, colour) in enumerate(
        zip(amounts, ordered_colours(len(amounts)), strict=True)
    ):
        hours = "" if samples_per_hour is None else f" ({amount / samples_per_hour:g} h)"
        axes.plot(labels, against["ols"][row], color=colour, label=f"{grouped(amount)}{hours}")
        axes.plot(labels, against["ridge"][row], color=colour, linestyle="--")
    # With too few labels to read the subspace out there is nothing to compare.
    if np.isfinite(risk(problem, n_brain, n_task)):
        marked = float(savings(problem, n_brain, n_task, baseline="ols"))
        axes.plot(n_task, 100 * marked, "o", color="black", label="this study")
    axes.set_xscale("log")
    axes.set_ylim(-25, 100)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_xlabel("labels (task samples)")
    axes.set_ylabel("labels saved by recordings (%)")
    axes.set_title("against least squares (solid) and optimal ridge (dashed)")
    axes.legend(title="brain samples")
    return figure


class BudgetLine(NamedTuple):
    """One modality of a plan: what is recorded, what it costs, and the best amount of it."""

    problem: Problem
    cost_brain: float
    fixed_cost_brain: float
    n_brain: float
    """The best number of samples, 0 where none should be bought."""
    risk: float


def draw_plan(
    lines: Mapping[str, BudgetLine],
    budget: float,
    cost_task: float,
    fixed_cost_task: float,
    risk_without_brain: float,
    *,
    estimator: str = "befs_two_penalties",
    currency: str = "",
    width: float = 5.2,
) -> Figure:
    """Draw the risk over the share of a budget that is spent on recordings, one line a modality.

    The rest of the budget buys labels. The best split of each modality is marked; the dashed line is the
    best plan without recordings. `estimator` as in `jaxbrain.optimal_allocation`; `width` in inches.
    """
    import textwrap

    import matplotlib.pyplot as plt

    law = risk if estimator == "befs" else two_penalty_risk
    power = max(float(line.problem.total_power) for line in lines.values())
    without = risk_without_brain / power
    figure, axes = plt.subplots(figsize=(width, 1.9 + width / 3))
    drawn = [without]
    for row, (name, line) in enumerate(lines.items()):
        colour = CATEGORIES[row % len(CATEGORIES)]
        style = ("-", "-.", ":")[row // len(CATEGORIES) % 3]
        paid = budget - fixed_cost_task - line.fixed_cost_brain
        amounts = _affordable_amounts(line.problem, paid / line.cost_brain)
        n_task = np.maximum(paid - line.cost_brain * amounts, 0) / cost_task
        risks = amounts
        if amounts.size:
            risks = np.asarray(law(line.problem, amounts, n_task)) / power
        label = literal(shortened(name))
        label += "" if amounts.size else " (beyond the budget)"
        spent = line.fixed_cost_brain + line.cost_brain * np.append(amounts, line.n_brain)
        shares = 100 * spent / budget
        axes.plot(shares[:-1], risks, style, color=colour, label=label)
        if line.n_brain > 0:
            axes.plot(shares[-1], line.risk / power, "o", color=colour)
        drawn += [*risks]
    axes.axhline(without, color="black", linestyle="--", linewidth=1, label="labels alone")
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


def draw_simulation(dataset: xarray.Dataset, problem: Problem) -> Figure:
    """Draw the simulated risk of a sweep over labels as points, and the closed form as lines.

    A colour for each n_brain, a panel for each penalty; bars are 95 % intervals of the mean over seeds.
    """
    import matplotlib.pyplot as plt

    n_brain, n_task = dataset.n_brain.values, dataset.n_task.values
    mean, error = mean_over_seeds(dataset, "risk")
    simulated, width = mean.values, 1.96 * error.values
    colours = ordered_colours(len(n_brain))
    panels, given = dataset.sizes["penalty"], dataset.penalty.dtype.kind == "f"
    labels = np.geomspace(n_task[0], n_task[-1], 100)
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
            # Either rule comes close to the best penalty.
            used = dataset.penalty.values[panel] if given else None
            if amount > problem.input_dim + 1:  # where the closed form starts
                axes.plot(labels, risk(problem, float(amount), labels, used), color=colour)
            axes.errorbar(
                n_task,
                simulated[row, :, panel],
                width[row, :, panel],
                fmt="o",
                color=colour,
                label=grouped(amount),
            )
        axes.set_xscale("log")
        axes.set_xticks(shown, [grouped(n) for n in shown])
        axes.minorticks_off()
        name = f"{dataset.penalty.values[panel]:.3g}" if given else dataset.penalty.values[panel]
        axes.set_title(f"penalty {name}")
    finite = simulated[np.isfinite(simulated)]
    if finite.size:
        log_axis(grid[0, 0], 0.8 * finite.min(), 1.25 * finite.max())
    for axes in grid.flat[max(panels - columns, 0) : panels]:
        axes.set_xlabel("labels (task samples)")
        axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("excess test risk")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        title="brain samples; lines: closed form, points: simulation",
        loc="outside upper center",
        ncols=min(len(names), 5),
    )
    return figure


def _affordable_amounts(problem: Problem, most: float) -> np.ndarray:
    """Numbers of samples up to `most` at which a curve is drawn, denser towards both of its steep ends."""
    fewest = problem.input_dim + 2
    if most < fewest:
        return np.zeros(0)
    steps = np.geomspace(1, most - fewest + 1, 100) - 1
    return np.union1d(np.linspace(fewest, most, 100), [fewest + steps, most - steps])
