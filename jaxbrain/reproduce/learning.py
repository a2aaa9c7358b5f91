"""Test error over labels: what a fixed penalty does, what the best one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np
import xarray

from ..figures.style import CATEGORIES, COLOURS, ONE_COLUMN, grouped
from ..simulation import mean_over_seeds, sweep
from ..theory import optimal_penalty, risk, task_only_risk
from .result import OURS, Claim, Result, Scale, Tables, claim
from .settings import HOURS, N_BRAIN, TASK_SNR, fmri, labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PENALTIES = {"small": 0.1, "medium": 3.0, "large": 20.0, "hard constraint": np.inf}
_SIMULATED = [5_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]


def learning_curves(scale: Scale) -> xarray.Dataset:
    """Closed forms of the test error over labels at fMRI scale."""
    problem = fmri()
    n_task = labels(1_000, 3e6, 4 * scale.points)
    fixed = np.array(list(PENALTIES.values()))
    return xarray.Dataset(
        {
            "task_only_risk": ("n_task", np.asarray(task_only_risk(problem, n_task))),
            "risk_at_best_penalty": ("n_task", np.asarray(risk(problem, N_BRAIN, n_task))),
            "first_order_risk": (
                "n_task",
                np.asarray(risk(problem, N_BRAIN, n_task, order="first")),
            ),
            "best_penalty": ("n_task", np.asarray(optimal_penalty(problem, N_BRAIN, n_task))),
            "risk": (
                ("penalty", "n_task"),
                np.asarray(risk(problem, N_BRAIN, n_task[None, :], fixed[:, None])),
            ),
        },
        coords={"n_task": n_task, "penalty": list(PENALTIES), "strength": ("penalty", fixed)},
        attrs={
            "n_brain": N_BRAIN,
            "input_dim": problem.input_dim,
            "task_noise": float(problem.task_noise),
            "task_snr": TASK_SNR,
        },
    )


def learning_simulated(scale: Scale) -> xarray.Dataset:
    """The same by exact simulation at full scale."""
    return sweep(
        fmri(),
        [int(N_BRAIN)],
        _SIMULATED,
        list(PENALTIES.values()),
        trials=2,
        seeds=scale.fmri_seeds,
        key=jax.random.key(1),
        # Least squares has a law that is exact: it needs no simulation.
        n_task_only=_SIMULATED[:1],
    )


TABLES = {"learning_curves": learning_curves, "learning_simulated": learning_simulated}


def draw(tables: Tables) -> Figure:
    """The figure of these tables."""
    import matplotlib.pyplot as plt

    curves, simulated = tables["learning_curves"], tables["learning_simulated"]
    figure, axes = plt.subplots(figsize=(ONE_COLUMN + 1.8, 3.2))
    n = curves.n_task
    defined = np.isfinite(curves.task_only_risk)
    axes.plot(
        n[defined], curves.task_only_risk[defined], color=COLOURS["task only"], label="labels alone"
    )
    shades = (*(CATEGORIES[place] for place in (1, 4, 5)), COLOURS["hard constraint"])
    mean, error = mean_over_seeds(simulated, "risk")
    draws = simulated.attrs["seeds"] * simulated.attrs["trials"]
    strengths = curves.strength.values
    for row, (name, colour) in enumerate(zip(curves.penalty.values, shades, strict=True)):
        strength = f" penalty, λ = {strengths[row]:g}" if np.isfinite(strengths[row]) else ""
        axes.plot(n, curves.risk.sel(penalty=name), color=colour, label=f"{name}{strength}")
        axes.errorbar(
            simulated.n_task,
            mean[0, :, row],
            1.96 * error[0, :, row],
            fmt="o",
            color=colour,
        )
    axes.plot(n, curves.risk_at_best_penalty, color=COLOURS["befs"], lw=2.2, label="best penalty")
    axes.plot([], [], "o", color="grey", label=f"simulated, {draws} draws, 95 %")
    axes.axhline(1, color="grey", lw=0.8, ls=":")
    axes.text(1.05e3, 0.86, "predicting 0", color="grey", fontsize=7, va="top")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-2, 30)
    axes.set_xlim(1e3, 3e6)
    axes.set_xlabel("labels (task samples)")
    axes.set_ylabel("excess test risk, in units of ‖β‖²")
    axes.set_title(f"{HOURS:g} h of fMRI ({grouped(N_BRAIN)} samples), task SNR {TASK_SNR:g}")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return figure


def claims(tables: Tables) -> list[Claim]:
    """What these tables say of each claim."""
    curves, simulated = tables["learning_curves"], tables["learning_simulated"]
    n = curves.n_task.values
    d, noise = curves.attrs["input_dim"], curves.attrs["task_noise"]
    alone, best = curves.task_only_risk.values, curves.risk_at_best_penalty.values
    fixed = curves.risk.values
    defined = np.isfinite(alone)

    last = slice(-2, None)
    slope = [np.diff(np.log(x[last]))[0] / np.diff(np.log(n[last]))[0] for x in (alone, best)]
    constant = (alone * n / (noise * d))[-1]
    gain = np.log(((alone - best)[defined])[[-9, -1]])
    gain_slope = np.diff(gain)[0] / np.diff(np.log(n[defined][[-9, -1]]))[0]
    margin = np.min((alone / best)[defined])
    helps = np.where(defined, alone, np.inf)[None] > fixed
    # For each finite penalty: the last number of labels at which it helps.
    until = [n[row][-1] for row in helps[:3]]
    harm = [not row[-1] and row[defined].any() for row in helps[1:3]]
    schedule = curves.best_penalty.values * n
    floor = float(simulated.misalignment.mean())
    hard = fixed[3]
    plateau = hard[-1] / floor
    mean, error = (x.values[0] for x in mean_over_seeds(simulated, "risk"))
    closed = np.stack(
        [np.exp(np.interp(np.log(simulated.n_task), np.log(n), np.log(row))) for row in fixed], -1
    )
    off = np.abs(closed / mean - 1)
    tight = off < np.maximum(0.01, 4 * error / mean)
    return [
        claim(
            "The error of least squares falls as σ²d/n_task.",
            "task_only_risk",
            f"slope {slope[0]:.3f} and constant {constant:.4f} σ²d at {grouped(n[-1])} labels",
            abs(slope[0] + 1) < 0.01 and abs(constant - 1) < 0.01,
        ),
        claim(
            "With recordings and the best penalty the leading order is the same, and the gain of "
            "order 1/n_task², "
            "once labels abound.",
            "risk",
            f"slope of the error {slope[1]:.3f}, of the gain {gain_slope:.3f}",
            abs(slope[1] + 1) < 0.1 and abs(gain_slope + 2) < 0.1,
        ),
        claim(
            "The best penalty falls as 1/n_task: λ* n_task is constant.",
            "optimal_penalty",
            f"λ* n_task from {schedule.min():.6g} to {schedule.max():.6g}",
            np.ptp(schedule) < 1e-6 * schedule.max(),
        ),
        claim(
            "At the best penalty recordings never do harm, compared with least squares.",
            "risk",
            f"error of least squares at least {margin:.3f} times as large",
            margin >= 1,
        ),
        claim(
            "A fixed penalty helps while labels are few and does harm when they are many.",
            "risk",
            "; ".join(
                f"λ = {strength:g} helps up to {grouped(end)} labels"
                for strength, end in zip(curves.strength.values[:3], until, strict=True)
                if end < n[-1]
            ),
            all(harm),
            "" if not helps[0][-1] else "a weak one does harm only beyond the labels shown",
        ),
        claim(
            "As the penalty grows BEFS becomes regression within the learned subspace, whose error "
            "stays at what the subspace misses.",
            "risk",
            f"{plateau:.3f} times the simulated E‖K̂β‖² at {grouped(n[-1])} labels",
            abs(plateau - 1) < 0.03,
        ),
        claim(
            "The error at fMRI scale, at fixed penalties, is that of exact simulation at full "
            "scale.",
            "sweep",
            f"largest difference {100 * off.max():.2g} %, Monte Carlo error "
            f"up to {100 * (error / mean).max():.2g} %",
            tight.all(),
            source=OURS,
        ),
    ]


RESULT = Result(
    "Test error over labels: labels alone, fixed penalties, the best penalty",
    tuple(TABLES),
    draw,
    claims,
    "Test error over labels on logarithmic axes. Labels alone start far above all others; each "
    "fixed "
    "penalty levels off, the larger the earlier; the best penalty lies below all of them.",
)
