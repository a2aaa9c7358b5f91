"""How a budget is best split: over budgets, over favourability, and by simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import xarray
from jaxtyping import Array

from ..budget import (
    asymptotic_allocation,
    empirical_allocation,
    favourability,
    optimal_allocation,
    worth_collecting,
)
from ..figures.style import TWO_COLUMNS, grouped, letter_panels, ordered_colours
from ..models import Problem
from .agreement import small_sweep
from .result import OURS, Claim, Result, Scale, Tables, claim, largest
from .settings import altered, fmri, labels, small

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAVOURABILITIES = (0.8, 2.0, 10.0, 100.0)
_SMALL_PRICES = (0.1, 0.3, 1.0)


@jax.jit
def _plans(problem: Problem, budgets: Array, prices: Array) -> tuple[Array, ...]:
    def plan(budget, cost_task):
        best = optimal_allocation(problem, budget, 1.0, cost_task, estimator="befs", baseline="ols")
        law = asymptotic_allocation(problem, budget, 1.0, cost_task)
        extra = best.saved / (1 - best.saved) * budget
        return (
            best.n_brain,
            best.n_task,
            best.saved,
            extra,
            law.n_brain,
            law.saved,
            law.extra_budget,
        )

    return jax.vmap(plan)(budgets, prices)


def _allocations(problem: Problem, budgets, cost_task) -> dict[str, np.ndarray]:
    """Finite plans and the asymptotic law, a brain sample costing 1."""

    shape = np.broadcast_shapes(np.shape(budgets), np.shape(cost_task))
    cells = [jnp.asarray(np.broadcast_to(x, shape).ravel(), float) for x in (budgets, cost_task)]
    names = (
        "n_brain",
        "n_task",
        "saved",
        "extra_budget",
        "n_brain_asymptotic",
        "saved_asymptotic",
        "extra_budget_asymptotic",
    )
    found = zip(names, _plans(problem, *cells), strict=True)
    return {name: np.asarray(x).reshape(shape) for name, x in found}


def budget_curves(scale: Scale) -> xarray.Dataset:
    """Best plans over the budget, for four prices of a label; a brain sample costs 1."""
    problem = fmri()
    unit = float(favourability(problem, 1.0, 1.0))
    prices = np.array(FAVOURABILITIES) / unit
    # As many labels as money buys at those prices.
    budgets = labels(1e4, 1e10, scale.points)
    found = _allocations(problem, budgets[None, :], prices[:, None])
    return xarray.Dataset(
        {name: (("favourability", "budget"), x) for name, x in found.items()},
        coords={
            "favourability": list(FAVOURABILITIES),
            "budget": budgets,
            "cost_task": ("favourability", prices),
        },
        attrs={
            "cost_brain": 1.0,
            "gamma": float(problem.gamma),
            "misalignment": float(problem.misaligned_power),
            "task_noise": float(problem.task_noise),
            "input_dim": problem.input_dim,
            "latent_dim": problem.latent_dim,
        },
    )


def budget_favourability(scale: Scale) -> xarray.Dataset:
    """Best plans over favourability, at budgets of so many labels."""
    problem = fmri()
    unit = float(favourability(problem, 1.0, 1.0))
    ratios = labels(0.2, 1e3, scale.points)
    worth = np.array([1e4, 1e5, 1e6, 1e9])
    prices = ratios / unit
    found = _allocations(problem, worth[:, None] * prices[None, :], prices[None, :])
    return xarray.Dataset(
        {name: (("budget_in_labels", "favourability"), x) for name, x in found.items()},
        coords={"budget_in_labels": worth, "favourability": ratios},
    )


def budget_simulated(scale: Scale) -> xarray.Dataset:
    """The best of the simulated amounts, with intervals, beside the finite optimum."""
    found = small_sweep(scale)
    problem = small().problem()
    budgets = np.array([150.0, 250.0, 400.0, 600.0, 800.0])
    names = ("n_brain", "n_brain_low", "n_brain_high", "saved", "saved_low", "saved_high")
    columns = {name: np.full((len(_SMALL_PRICES), len(budgets)), np.nan) for name in names}
    closed = {name: np.zeros_like(columns["saved"]) for name in ("n_brain", "saved")}
    for row, price in enumerate(_SMALL_PRICES):
        for column, budget in enumerate(budgets):
            plan = empirical_allocation(found, budget, price, 1.0, "ols")
            best = optimal_allocation(problem, budget, price, 1.0, estimator="befs", baseline="ols")
            at = row, column
            columns["n_brain"][at], columns["saved"][at] = plan.n_brain, plan.saved
            columns["n_brain_low"][at], columns["n_brain_high"][at] = plan.n_brain_interval
            columns["saved_low"][at], columns["saved_high"][at] = plan.saved_interval
            closed["n_brain"][at], closed["saved"][at] = best.n_brain, best.saved
    over = ("cost_brain", "budget")
    return xarray.Dataset(
        {name: (over, x) for name, x in columns.items()}
        | {f"{name}_closed_form": (over, x) for name, x in closed.items()},
        coords={"cost_brain": list(_SMALL_PRICES), "budget": budgets},
        attrs={
            "cost_task": 1.0,
            "seeds": scale.seeds,
            "trials": scale.trials,
            "amounts": found.n_brain.values,
        },
    )


def budget_harmful(scale: Scale) -> xarray.Dataset:
    """Plans for a task outside the brain-sensitive subspace, γ < 0, for ever cheaper recordings."""
    problem = altered(fmri(), misalignment=0.95)
    worth = np.array([1e5, 1e6, 1e7, 1e8])
    # The same number of cells as above: nothing is compiled twice.
    prices = labels(1.0, 1e4, scale.points)
    found = _allocations(problem, worth[:, None] * prices[None, :], prices[None, :])
    rival = [
        optimal_allocation(
            problem, budget * prices[-1], 1.0, prices[-1], estimator="befs", baseline="ridge"
        ).n_brain
        for budget in worth
    ]
    return xarray.Dataset(
        {
            "n_brain": (("budget_in_labels", "cost_task"), found["n_brain"]),
            "saved": (("budget_in_labels", "cost_task"), found["saved"]),
            "n_brain_against_ridge": ("budget_in_labels", np.array(rival, float)),
        },
        coords={"budget_in_labels": worth, "cost_task": prices},
        attrs={
            "gamma": float(problem.gamma),
            "worth_collecting": float(worth_collecting(problem, 1.0, prices[-1]).worth_it),
            "input_dim": problem.input_dim,
        },
    )


TABLES = {
    "budget_curves": budget_curves,
    "budget_favourability": budget_favourability,
    "budget_simulated": budget_simulated,
    "budget_harmful": budget_harmful,
}
_LABELS = "budget (price of a label = 1)"


def draw(tables: Tables) -> Figure:
    """The figure of these tables."""
    import matplotlib.pyplot as plt

    curves, over, simulated = (tables[name] for name in list(TABLES)[:3])
    figure, grid = plt.subplots(3, 2, figsize=(TWO_COLUMNS, 7.2))
    for ratio, colour in zip(FAVOURABILITIES, ordered_colours(4), strict=True):
        one = curves.sel(favourability=ratio)
        _draw_pair(grid[0], one, one.budget / one.cost_task, f"{ratio:g}", colour)
    for worth, colour in zip(over.budget_in_labels.values, ordered_colours(4), strict=True):
        one = over.sel(budget_in_labels=worth)
        _draw_pair(grid[1], one, one.favourability, f"$10^{round(np.log10(worth))}$", colour)
    shades = ordered_colours(len(_SMALL_PRICES))
    for price, colour in zip(_SMALL_PRICES, shades, strict=True):
        one = simulated.sel(cost_brain=price)
        for axes, name, unit in ((grid[2, 0], "saved", 100), (grid[2, 1], "n_brain", 1)):
            spread = [unit * abs(one[f"{name}_{end}"] - one[name]) for end in ("low", "high")]
            axes.errorbar(
                one.budget, unit * one[name], spread, fmt="o", color=colour, label=f"{price:g}"
            )
            axes.plot(one.budget, unit * one[f"{name}_closed_form"], color=colour)
    sampled = f"64 inputs, {simulated.attrs['seeds']} × {simulated.attrs['trials']} draws"
    for row, (place, horizontal) in enumerate(
        (("over the budget", _LABELS), ("over favourability", "favourability"), ("", _LABELS))
    ):
        saved, amount = grid[row]
        saved.set_ylabel("budget saved (%)")
        saved.set_ylim(-3, 100)
        amount.set_ylabel("brain samples bought")
        amount.set_yscale("log")
        for axes, what in ((saved, "saved"), (amount, "best amount")):
            axes.set_xlabel(horizontal)
            if place:
                axes.set_xscale("log")
                axes.set_title(f"{what} {place}")
            else:
                axes.set_title(f"{what}: points simulated, 95 %")
                axes.set_xlabel(f"{horizontal}; {sampled}")
    for axes in grid[0]:
        axes.set_xlim(5e3, 1e9)
    grid[0, 1].set_ylim(2e3, 3e5)
    for axes in grid[1]:
        axes.axvline(1, color="grey", lw=0.8, ls=":")
    grid[0, 0].legend(title="favourability")
    grid[0, 1].plot([], [], "--", color="grey", lw=0.8, label="asymptotic law")
    grid[0, 1].legend()
    boxed = {"frameon": True, "edgecolor": "white", "framealpha": 1}
    grid[1, 0].legend(title="budget in labels", loc="upper left", **boxed)
    grid[2, 0].legend(title="price of a brain sample")
    letter_panels(grid.flat)
    return figure


def _draw_pair(pair, one: xarray.Dataset, x: xarray.DataArray, label: str, colour: str) -> None:
    """What is saved, and how many samples are bought where any are; the asymptotic law dashed."""
    saved, amount = pair
    saved.plot(x, 100 * one.saved, color=colour, label=label)
    saved.plot(x, 100 * one.saved_asymptotic, "--", color=colour, lw=0.8)
    amount.plot(x, one.n_brain.where(one.n_brain > 0), color=colour)
    law = one.n_brain_asymptotic
    amount.plot(x, law.where(law > 0), "--", color=colour, lw=0.8)


def claims(tables: Tables) -> list[Claim]:
    """What these tables say of each claim."""
    curves, over, simulated, harmful = (tables[name] for name in TABLES)
    gamma, m = curves.attrs["gamma"], curves.attrs["misalignment"]
    ratios = np.array(FAVOURABILITIES)
    large = curves.isel(budget=-1)
    law = np.where(ratios > 1, gamma / m * (np.sqrt(np.maximum(ratios, 1)) - 1), 0)
    some = ratios > 1
    # The law holds where what it buys is far above input_dim.
    above = law > 20 * curves.attrs["input_dim"]
    constant = large.n_brain.values[above] / law[above]
    extra = (large.extra_budget / large.extra_budget_asymptotic).values[some]
    last = curves.saved.values[some]
    at_peak = last.max(axis=1)
    by_ratio = over.saved.values
    grid, bought = over.favourability.values, over.n_brain.values > 0
    threshold = [float(grid[row][0]) if row.any() else np.inf for row in bought]
    first = threshold[-1]
    surely = gamma / m * (np.sqrt(max(first, 1.0)) - 1)
    fewest = harmful.attrs["input_dim"] + 2
    seldom, most = float(harmful.n_brain.min()), float(harmful.n_brain.max())
    rival = harmful.n_brain_against_ridge.values
    closed, mean = simulated.saved_closed_form.values, simulated.saved.values
    known = np.isfinite(mean)
    gap = np.abs(closed - mean)[known]
    q = curves.attrs["input_dim"] - curves.attrs["latent_dim"]
    limit = curves.attrs["task_noise"] * q**2 / (curves.attrs["input_dim"] * m)
    whole = large.cost_task.values[some] * limit * (1 - 1 / np.sqrt(ratios[some])) ** 2
    stored = large.extra_budget_asymptotic.values[some] / whole
    return [
        claim(
            "At large budgets, and with γ > 0, recordings are worth buying if, and only if, "
            "favourability is above 1.",
            "worth_collecting",
            f"bought from favourability {first:.2g} on at a budget of "
            f"{over.budget_in_labels.values[-1]:.0e} labels, where the law buys "
            f"{grouped(surely)} samples; at "
            f"{np.sum(bought[-1][grid <= 1])} of {np.sum(grid <= 1)} favourabilities up to 1",
            np.isfinite(first)
            and not np.any(bought[-1][grid <= 1])
            and np.all(bought[-1][grid >= 2]),
            f"only from favourability {first:.2g} on: with the few samples that the law buys "
            "below it, hardly "
            "more than there are inputs, a subspace is learned badly"
            if first > grid[grid > 1][0]
            else "",
        ),
        claim(
            "With γ < 0 recordings are not worth buying, however cheap.",
            "worth_collecting",
            f"bought by the finite optimum: {grouped(seldom)} to {grouped(most)} samples against "
            "least squares, "
            f"saving up to {100 * float(harmful.saved.max(skipna=False)):.2g} %; "
            f"{grouped(rival.max())} at most "
            "against ridge",
            harmful.attrs["gamma"] < 0
            and not harmful.attrs["worth_collecting"]
            and np.all(rival == 0)
            and most <= fewest
            and np.all(np.isfinite(harmful.saved)),
            "against ridge; against least squares the fewest samples that can be used still pay, "
            "as shrinkage"
            if most > 0
            else "",
        ),
        claim(
            "The threshold is 1 at budgets of any size.",
            "optimal_allocation",
            "; ".join(
                (f"from favourability {x:.2g} on" if np.isfinite(x) else "bought at none")
                + f" at {worth:.0e} labels"
                for x, worth in zip(threshold, over.budget_in_labels.values, strict=True)
            ),
            all(abs(x - 1) < 0.1 for x in threshold),
            source=OURS,
        ),
        claim(
            "The best amount does not grow with the budget: (γ/m)(√F − 1) brain samples.",
            "asymptotic_allocation",
            "finite optimum over the law "
            + ", ".join(f"{x:.3f}" for x in constant)
            + f" at favourability {', '.join(f'{x:g}' for x in ratios[above])} "
            f"and a budget of {curves.budget.values[-1]:.0e}; "
            + ", ".join(
                f"{x / y:.2f} at {ratio:g}"
                for x, y, ratio in zip(
                    large.n_brain.values[some & ~above],
                    law[some & ~above],
                    ratios[some & ~above],
                    strict=True,
                )
            ),
            np.all(abs(constant - 1) < 0.1),
            "where that is many times input_dim"
            if np.any(abs(large.n_brain.values[some & ~above] / law[some & ~above] - 1) > 0.1)
            else "",
        ),
        claim(
            "They are worth an extra budget of c_T σ²(d − k)²/(d m) (1 − 1/√F)².",
            "asymptotic_allocation",
            "formula over the function "
            + ", ".join(f"{1 / x:.4f}" for x in stored)
            + "; finite optimum over the law "
            + ", ".join(f"{x:.3f}" for x in extra)
            + " at favourability "
            + ", ".join(f"{x:g}" for x in ratios[some]),
            np.all(abs(stored - 1) < 1e-6) and abs(extra[-1] - 1) < 0.1,
            "where the best amount is many times input_dim" if np.any(abs(extra - 1) > 0.1) else "",
        ),
        claim(
            "The share of the budget that is saved vanishes as budgets grow.",
            "optimal_allocation",
            f"{100 * last[:, -1].max():.2g} % at {curves.budget.values[-1]:.0e}, "
            f"{100 * at_peak.max():.0f} % at most",
            last[:, -1].max() < 0.05 and np.all(last[:, -1] < at_peak),
        ),
        claim(
            "The share saved grows with favourability.",
            "optimal_allocation",
            f"at 10⁶ labels' worth {100 * by_ratio[2, 0]:.0f} % to {100 * by_ratio[2, -1]:.0f} %",
            np.all(np.diff(by_ratio, axis=1) > -1e-3),
        ),
        claim(
            "Among the simulated amounts of recording the best plan saves what theory says.",
            "empirical_allocation",
            f"largest difference {100 * largest(gap):.1f} percentage points in {known.sum()} "
            "budgets",
            largest(gap) < 0.05,
            source=OURS,
        ),
    ]


RESULT = Result(
    "The best split of a budget",
    tuple(TABLES),
    draw,
    claims,
    "Six panels. Share of the budget saved (a, c, e) and best number of brain samples (b, d, f): "
    "over the budget (a, b), over favourability (c, d), and by simulation (e, f). Savings fall as "
    "budgets grow; the number levels off at the asymptotic law; savings over favourability start "
    "near 1; simulated points with intervals lie on the closed form.",
)
