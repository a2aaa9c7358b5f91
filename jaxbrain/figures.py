"""Figures. They compute nothing that the library does not return as data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .models import Problem
from .theory import savings

# Okabe and Ito's colours, which people with colour-blindness can tell apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")


def save_savings(
    problem: Problem,
    n_brain: float,
    n_task: float,
    samples_per_hour: float | None,
    path: Path | str,
) -> None:
    """Draw which share of the labels recordings save, over labels, for several amounts of recording.

    The amounts are a quarter, half, one, two and ten times `n_brain`, those above input_dim + 1;
    the study itself, (n_brain, n_task), is marked. Solid lines are against least squares, dashed ones
    against optimal ridge. `path` ends in .png, .svg or .pdf.
    """
    import matplotlib

    matplotlib.use("Agg", force=False)
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
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    try:
        for row, (amount, colour) in enumerate(zip(amounts, _COLOURS, strict=False)):
            hours = "" if samples_per_hour is None else f" ({amount / samples_per_hour:g} h)"
            axes.plot(labels, against["ols"][row], color=colour, label=f"{amount:,.0f}{hours}")
            axes.plot(labels, against["ridge"][row], color=colour, linestyle="--")
        marked = float(savings(problem, n_brain, n_task))
        axes.plot(n_task, 100 * marked, "o", color="black", label="this study")
        axes.set_xscale("log")
        axes.set_ylim(-25, 100)
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set_xlabel("labels (task samples)")
        axes.set_ylabel("labels saved by recordings (%)")
        axes.set_title("against least squares (solid) and optimal ridge (dashed)", fontsize=10)
        axes.legend(title="brain samples", frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=160)
    finally:
        plt.close(figure)
