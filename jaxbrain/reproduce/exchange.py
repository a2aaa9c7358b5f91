"""Savings and exchange rate at fMRI scale, and what they depend on."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray

from ..figures.style import TWO_COLUMNS, grouped, letter_panels, ordered_colours
from ..theory import AccuracyWarning, expected_misalignment, value
from .result import OURS, Claim, Result, Scale, Tables, claim
from .settings import (
    BRAIN_SNR,
    N_BRAIN,
    RATE,
    TASK_SNR,
    altered,
    at_points,
    fmri,
    labels,
    with_latents,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..models import Problem

# What is varied in turn: its name on the axes, and its levels.
VARIED = {
    "misalignment": ("misalignment", (0.0, 0.1, 0.5, 1.0)),
    "SNR ratio": ("task SNR / brain SNR", (0.015, 0.15, 1.5, 15.0)),
    "latent ratio": ("latents / inputs", (0.01, 0.05, 0.1, 0.25)),
    "hours": ("hours of recording", (3.0, 10.0, 30.0, 100.0)),
}
N_TASK = 100_000.0
BESIDE = (5e3, 1e5, 1e6, np.inf)
_SAVINGS = ("savings_over_labels", "savings_over_labels_asymptotic")


def _problem(varied: str, level: float) -> Problem:
    problem = fmri()
    if varied == "misalignment":
        return altered(problem, misalignment=level)
    if varied == "SNR ratio":
        return altered(problem, task_snr=level * BRAIN_SNR)
    if varied == "latent ratio":
        return with_latents(round(level * problem.input_dim))
    return problem


def exchange_curves(scale: Scale) -> xarray.Dataset:
    """Savings over labels and exchange rate over hours of recording, one thing varied at a time."""
    n_task = labels(2_000, 1e8, scale.points)
    hours = labels(4_110 / RATE, 1_000, scale.points)
    shape = len(VARIED), 4
    found = {
        f"{measure}{over}{law}": np.full((*shape, scale.points), np.nan)
        for measure in ("savings", "exchange_rate")
        for over in ("_over_labels", "_over_hours")
        for law in ("", "_asymptotic")
    }
    latents = np.full(shape, np.nan)
    with warnings.catch_warnings():
        # The corners that the closed form is less sure of are named in docs/accuracy.md.
        warnings.simplefilter("ignore", AccuracyWarning)
        for row, (varied, (_, levels)) in enumerate(VARIED.items()):
            for column, level in enumerate(levels):
                problem = _problem(varied, level)
                n_brain = level * RATE if varied == "hours" else N_BRAIN
                # Over hours it is the labels that make four levels.
                beside = BESIDE[column] if varied == "hours" else N_TASK
                latents[row, column] = problem.latent_dim
                # Both curves at once: what takes the time is compiling for each number of latents.
                recorded = np.concatenate([np.full(scale.points, n_brain), hours * RATE])
                at_hand = np.concatenate([n_task, np.full(scale.points, beside)])
                finite = at_points(value, problem, recorded, at_hand, baseline="ols")
                law = at_points(value, problem, recorded, np.inf, baseline="ols", order="first")
                for name, worth in (("", finite), ("_asymptotic", law)):
                    over_labels, over_hours = np.split(worth, 2)
                    here = row, column
                    # An infinite value, of the law near input_dim, saves all of them.
                    found[f"savings_over_labels{name}"][here] = 1 - n_task / (n_task + over_labels)
                    found[f"exchange_rate_over_labels{name}"][here] = over_labels / n_brain
                    # Beside unlimited labels nothing finite is a share of them.
                    if np.isfinite(beside):
                        share = 1 - beside / (beside + over_hours)
                        found[f"savings_over_hours{name}"][here] = share
                    found[f"exchange_rate_over_hours{name}"][here] = over_hours / (hours * RATE)
    over_labels, over_hours = ("varied", "level", "n_task"), ("varied", "level", "hours")
    return xarray.Dataset(
        {
            name: (over_labels if "over_labels" in name else over_hours, x)
            for name, x in found.items()
        }
        | {
            "setting": (("varied", "level"), np.array([x for _, x in VARIED.values()])),
            "latent_dim": (("varied", "level"), latents),
        },
        coords={"varied": list(VARIED), "level": np.arange(4), "n_task": n_task, "hours": hours},
        attrs={
            "n_brain": N_BRAIN,
            "n_task": N_TASK,
            "task_snr": TASK_SNR,
            "samples_per_hour": RATE,
            "input_dim": fmri().input_dim,
        },
    )


def exchange_limits(scale: Scale) -> xarray.Dataset:
    """Value and its limits as samples abound, for tasks seen more and less by the brain."""
    misalignments = np.array([0.0, 0.1, 0.5, 0.85, 0.95, 1.0])
    n_brain = np.array([6e3, 1.8e4, 1e5, 1e6, 1e8])
    rows = {
        name: []
        for name in (
            "gamma",
            "gamma_simple_form",
            "expected_misalignment",
            "value_beside_unlimited_labels",
            "value_against_ridge",
            "limit",
        )
    }
    base = fmri()
    # Equal gains, for which γ has its simple form: s [(d − k)‖Pβ‖² − k m].
    base = with_latents(base.latent_dim)
    d, k, q = base.input_dim, base.latent_dim, base.outside_dim
    for m in misalignments:
        problem = altered(base, misalignment=float(m))
        noise = float(problem.encoding_noise[0])
        rows["gamma"].append(float(problem.gamma))
        rows["gamma_simple_form"].append(noise * (q * (1 - m) - k * m))
        rows["expected_misalignment"].append(np.asarray(expected_misalignment(problem, n_brain)))
        rows["value_beside_unlimited_labels"].append(
            at_points(value, problem, n_brain, np.inf, baseline="ols")
        )
        rows["value_against_ridge"].append(
            at_points(value, problem, n_brain, 1e6, baseline="ridge")
        )
        rows["limit"].append(
            float(problem.task_noise) * q**2 / (d * m) if m > 0 else np.inf,
        )
    over = ("misalignment", "n_brain")
    wide = ("expected_misalignment", "value_beside_unlimited_labels", "value_against_ridge")
    return xarray.Dataset(
        {
            name: (over if name in wide else ("misalignment",), np.array(row))
            for name, row in rows.items()
        },
        coords={"misalignment": misalignments, "n_brain": n_brain},
        attrs={"random_misalignment": q / d},
    )


TABLES = {"exchange_curves": exchange_curves, "exchange_limits": exchange_limits}


def draw(tables: Tables) -> Figure:
    """The figure of these tables."""
    import matplotlib.pyplot as plt

    curves = tables["exchange_curves"]
    figure, grid = plt.subplots(4, 4, figsize=(TWO_COLUMNS, 8.2), sharey="row")
    colours = ordered_colours(4)
    # Rows: what is drawn, over what, in percent or not.
    rows = (
        ("savings_over_labels", "n_task", 100, "labels saved (%)"),
        ("savings_over_hours", "hours", 100, "labels saved (%)"),
        ("exchange_rate_over_labels", "n_task", 1, "labels a brain sample"),
        ("exchange_rate_over_hours", "hours", 1, "labels a brain sample"),
    )
    for column, (varied, (title, levels)) in enumerate(VARIED.items()):
        part = curves.sel(varied=varied)
        for row, (name, over, unit, _) in enumerate(rows):
            axes = grid[row, column]
            for level, colour in enumerate(colours):
                one = part.isel(level=level)
                named = f"{levels[level]:g}"
                if varied == "hours" and over == "hours":
                    beside = BESIDE[level]
                    named = grouped(beside) if np.isfinite(beside) else "unlimited"
                axes.plot(one[over], unit * one[name], color=colour, label=named, zorder=3)
                law = unit * one[f"{name}_asymptotic"]
                axes.plot(one[over], law, "--", color=colour, lw=0.8)
            axes.set_xscale("log")
            axes.set_xlabel("labels" if over == "n_task" else "hours of recording")
            if over == "n_task":
                axes.set_xticks([1e4, 1e6, 1e8])
        grid[0, column].set_title(title)
        grid[0, column].legend(loc="lower left" if column == 0 else "best", handlelength=1.2)
        if varied == "hours":
            grid[3, column].legend(title="labels", handlelength=1.2, loc="upper right")
            grid[1, column].set_title("labels as below", color="grey", fontsize=7)
    for row, (name, _, _, label) in enumerate(rows):
        grid[row, 0].set_ylabel(label)
        if name.startswith("savings"):
            grid[row, 0].set_ylim(0, 100)
        else:
            grid[row, 0].set_yscale("log")
            grid[row, 0].set_ylim(1e-2, 1e4)
    letter_panels(grid.flat)
    figure.suptitle(
        f"{grouped(N_BRAIN)} brain samples (10 h) or {grouped(N_TASK)} labels where neither is "
        "varied; "
        "dashed: asymptotic law",
        fontsize=8,
    )
    return figure


def claims(tables: Tables) -> list[Claim]:
    """What these tables say of each claim."""
    curves, limits = tables["exchange_curves"], tables["exchange_limits"]
    rate = curves.exchange_rate_over_hours.sel(varied="misalignment").values
    hours = curves.hours.values
    by_labels = curves.exchange_rate_over_hours.sel(varied="hours").values
    # Where all four curves have passed their highest point.
    peak = int(np.max(np.argmax(by_labels, axis=1)))
    falling = np.all(np.diff(by_labels[:, peak:], axis=1) < 0)
    n_brain, d = hours * curves.attrs["samples_per_hour"], curves.attrs["input_dim"]
    late = slice(-3, None)
    slope = np.diff(np.log(rate[1, late])) / np.diff(np.log(hours[late]))
    saved = curves.savings_over_labels.sel(varied="misalignment").values
    by_snr = curves.exchange_rate_over_hours.sel(varied="SNR ratio").values
    by_latents = curves.savings_over_labels.sel(varied="latent ratio").values[:, -1]
    far = limits.value_beside_unlimited_labels.values[:, -1]
    known = limits.misalignment.values > 0
    ratio = far[known] / limits.limit.values[known]
    m = limits.misalignment.values
    gamma, simple = limits.gamma.values, limits.gamma_simple_form.values
    share = limits.attrs["random_misalignment"]
    rises = np.sign(np.diff(limits.expected_misalignment.values[:, [-2, -1]], axis=1))[:, 0]
    wholly = curves.savings_over_labels.sel(varied="misalignment").values[-1]
    n = curves.n_task.values
    against_ridge = limits.value_against_ridge.sel(misalignment=1.0).values
    finite, law = (
        curves[name].sel(varied="hours").values[3]
        for name in ("exchange_rate_over_hours", "exchange_rate_over_hours_asymptotic")
    )
    near = finite[0] / law[0]
    # Of 10 hours and the misalignment of the study: savings s beside n labels are a value of n s/(1
    # - s).
    finite_value, limit = (
        n * x / (1 - x)
        for x in (curves[name].sel(varied="misalignment").values[1] for name in _SAVINGS)
    )
    apart = np.flatnonzero(abs(finite_value / limit - 1) >= 0.1)
    enough = np.arange(apart[-1] + 1 if apart.size else 0, len(n))
    places = [int(np.argmin(abs(n - x))) for x in (5e3, 1e5, 1e6)]
    shares = (finite_value / limit)[places]
    half = int(np.argmin(abs(n - 5e3)))
    return [
        claim(
            "The exchange rate, labels a brain sample on average, falls with the amount recorded.",
            "exchange_rate",
            f"falls from {hours[peak]:.1f} to {grouped(hours[-1])} h; slope at the end "
            f"{slope[-1]:.3f}",
            falling and peak < len(hours) // 2 and abs(slope[-1] + 1) < 0.05,
            f"from {n_brain[peak] / d:.1f} d samples on; closer to d the average still rises"
            if peak
            else "",
        ),
        claim(
            "Beside unlimited labels unlimited recordings are worth σ²(d − k)²/(d m) labels.",
            "value",
            f"ratio {ratio.min():.4f} to {ratio.max():.4f} at 10⁸ brain samples",
            np.all(abs(ratio - 1) < 0.01),
        ),
        claim(
            "The savings vanish as labels abound.",
            "savings",
            f"{100 * saved[1, -1]:.2g} % at {n[-1]:.0e} labels, {100 * saved[1].max():.0f} % at "
            "most",
            saved[1, -1] < 0.01 and saved[1, -1] < saved[1, -2],
        ),
        claim(
            "The less of the task lies outside the brain-sensitive subspace, the more is saved.",
            "savings",
            ", ".join(
                f"{100 * x:.0f} % at m = {level:g}"
                for x, level in zip(saved[:, len(n) // 2], VARIED["misalignment"][1], strict=True)
            ),
            np.all(np.diff(saved, axis=0) < 0),
        ),
        claim(
            "The exchange rate is the larger, the lower the task SNR is relative to that of the "
            "brain.",
            "exchange_rate",
            f"at 10⁵ labels and {hours[len(hours) // 2]:.0f} h: "
            + ", ".join(f"{x:.3g}" for x in by_snr[:, len(hours) // 2])
            + " labels a sample for SNR ratios of "
            + ", ".join(f"{x:g}" for x in VARIED["SNR ratio"][1]),
            np.all(np.diff(by_snr, axis=0) < 0),
        ),
        claim(
            "The fewer latents the brain has for the same inputs, the more recordings save.",
            "savings",
            "beside 10⁸ labels: "
            + ", ".join(
                f"{100 * x:.2g} % at k/d = {level:g}"
                for x, level in zip(by_latents, VARIED["latent ratio"][1], strict=True)
            ),
            np.all(np.diff(by_latents) < 0),
        ),
        claim(
            "With equally noisy latents γ = s [(d − k)‖Pβ‖² − k m], so that its sign is that of "
            "1 − k/d less "
            "the relative misalignment.",
            "Problem.gamma",
            f"largest relative difference {np.max(abs(gamma / simple - 1)):.1e}; sign changes at "
            f"m = {share:.3f}",
            np.allclose(gamma, simple, rtol=1e-8) and np.all((gamma > 0) == (m < share)),
        ),
        claim(
            "With γ > 0 more recordings bring the learned subspace closer to the task, with γ < "
            "0 they take "
            "it away.",
            "expected_misalignment",
            "misalignment falls with n_brain for m = "
            + ", ".join(f"{x:g}" for x in m[rises < 0])
            + "; rises for m = "
            + ", ".join(f"{x:g}" for x in m[rises > 0]),
            np.all((rises < 0) == (gamma > 0)),
        ),
        claim(
            "Recordings of a brain that knows nothing of the task (m = ‖β‖²) still save labels "
            "against "
            "least squares.",
            "savings",
            f"{100 * wholly[half]:.0f} % at {grouped(n[half])} labels; against ridge beside 10⁶ "
            "labels "
            f"they are worth {grouped(against_ridge[1])}",
            wholly.min() > 0,
            "that is shrinkage, not information: ridge regression does better without any recording"
            if against_ridge.max() < 0
            else "",
        ),
        claim(
            "The asymptotic law gives the exchange rate at the amounts that are recorded today.",
            "exchange_rate",
            f"finite over asymptotic {near:.2f} at {hours[0]:.1f} h, "
            f"{np.interp(10, hours, finite / law):.3f} at 10 h, {finite[-1] / law[-1]:.4f} at "
            f"{grouped(hours[-1])} h",
            abs(np.interp(10, hours, finite / law) - 1) < 0.1,
            f"recordings several times as many as inputs; at {n_brain[0] / d:.3f} d the law is "
            f"{near:.0f} times too low"
            if near > 1.5
            else "",
        ),
        claim(
            "The value beside unlimited labels is also that beside the labels in use.",
            "value",
            ", ".join(
                f"{100 * share:.0f} % of it beside {grouped(n[place])}"
                for share, place in zip(shares, places, strict=True)
            )
            + " labels",
            enough.size > 0,
            f"within 10 % only from {grouped(n[enough[0]])} labels on"
            if enough.size and enough[0] > 0
            else "",
            source=OURS,
        ),
    ]


RESULT = Result(
    "Savings and exchange rate: misalignment, SNR, latents, hours of recording",
    tuple(TABLES),
    draw,
    claims,
    "Sixteen panels. Savings over labels (a to d) and over hours of recording (e to h), exchange "
    "rate over both (i to l, m to p): savings fall to zero as labels abound and rise with hours, "
    "the exchange rate rises with labels and falls with hours. Misalignment, SNR ratio, latent "
    "ratio and amounts are varied from left to right; dashed lines are the "
    "asymptotic law, which "
    "is too low near the least amount of recording.",
)
