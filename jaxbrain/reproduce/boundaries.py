"""Where large-sample laws end: recordings hardly more than inputs, labels fewer than inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np
import xarray

from ..figures.style import COLOURS, TWO_COLUMNS, grouped, letter_panels
from ..simulation import mean_over_seeds, sample_misalignment, sweep
from ..theory import expected_misalignment, ridge_risk, risk, task_only_risk, two_penalty_risk
from .result import OURS, Claim, Result, Scale, Tables, claim
from .settings import at_points, labels, small

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_N_BRAIN = [66, 70, 76, 84, 96, 120, 160, 240, 400, 800, 1600]
_N_TASK = [10, 16, 24, 32, 48, 64, 66, 70, 80, 100, 150, 250, 400]
_SMALL_BRAIN = 400


def near_input_dim(scale: Scale) -> xarray.Dataset:
    """What few recordings teach: draws, the finite form, and the first-order law."""
    problem = small().problem()
    draws = scale.seeds * scale.trials
    found = np.stack(
        [
            np.asarray(sample_misalignment(problem, n, trials=draws, key=jax.random.key(4)))
            for n in _N_BRAIN
        ]
    )
    n = np.array(_N_BRAIN, float)
    return xarray.Dataset(
        {
            "misalignment": ("n_brain", found.mean(1)),
            "standard_error": ("n_brain", found.std(1, ddof=1) / np.sqrt(draws)),
            "finite": ("n_brain", np.asarray(expected_misalignment(problem, n))),
            "first_order": (
                "n_brain",
                np.asarray(expected_misalignment(problem, n, order="first")),
            ),
        },
        coords={"n_brain": _N_BRAIN},
        attrs={
            "draws": draws,
            "input_dim": problem.input_dim,
            "total_power": float(problem.total_power),
        },
    )


def few_labels(scale: Scale) -> xarray.Dataset:
    """Test error down to fewer labels than inputs, simulated."""
    return sweep(
        small(),
        [_SMALL_BRAIN],
        _N_TASK,
        trials=scale.trials,
        seeds=scale.seeds,
        key=jax.random.key(5),
        n_task_only=_N_TASK,
    )


def few_labels_curves(scale: Scale) -> xarray.Dataset:
    """The same in closed form."""
    problem = small().problem()
    n = labels(_N_TASK[0], 5_000, 6 * scale.points)
    return xarray.Dataset(
        {
            "task_only_risk": ("n_task", np.asarray(task_only_risk(problem, n))),
            "ridge_risk": ("n_task", np.asarray(ridge_risk(problem, n))),
            "risk": ("n_task", at_points(risk, problem, _SMALL_BRAIN, n)),
            "first_order_risk": (
                "n_task",
                at_points(risk, problem, _SMALL_BRAIN, n, order="first"),
            ),
            "two_penalty_risk": ("n_task", at_points(two_penalty_risk, problem, _SMALL_BRAIN, n)),
        },
        coords={"n_task": n},
        attrs={
            "n_brain": _SMALL_BRAIN,
            "input_dim": problem.input_dim,
            "total_power": float(problem.total_power),
        },
    )


TABLES = {
    "near_input_dim": near_input_dim,
    "few_labels": few_labels,
    "few_labels_curves": few_labels_curves,
}


def draw(tables: Tables) -> Figure:
    """The figure of these tables."""
    import matplotlib.pyplot as plt

    near, simulated, curves = (tables[name] for name in TABLES)
    figure, (missed, error) = plt.subplots(1, 2, figsize=(TWO_COLUMNS, 3.1))
    d = near.attrs["input_dim"]
    beyond = near.n_brain - d - 1
    missed.plot(beyond, near.finite, color=COLOURS["befs"], label="finite form")
    missed.plot(
        beyond, near.first_order, "--", color=COLOURS["first order"], label="first-order law"
    )
    missed.errorbar(
        beyond,
        near.misalignment,
        1.96 * near.standard_error,
        fmt="o",
        color="black",
        label=f"simulated, {grouped(near.attrs['draws'])} draws",
        zorder=3,
    )
    missed.axhline(near.attrs["total_power"], color="grey", lw=0.8, ls=":")
    missed.set_xscale("log")
    missed.set_yscale("log")
    missed.set_xlabel(f"brain samples beyond input_dim + 1 = {d + 1}")
    missed.set_ylabel("task outside the learned subspace")
    missed.set_title("dotted: all of the task")
    missed.legend()

    def points(axes, name, over, colour):
        mean, spread = (x.squeeze() for x in mean_over_seeds(simulated, name))
        axes.errorbar(simulated[over], mean, 1.96 * spread, fmt="o", color=colour, zorder=3)

    for name, label, colour in (
        ("task_only_risk", "least squares", "task only"),
        ("ridge_risk", "optimal ridge", "ridge"),
        ("risk", "BEFS", "befs"),
        ("two_penalty_risk", "two penalties", "two penalties"),
    ):
        known = np.isfinite(curves[name])
        error.plot(curves.n_task[known], curves[name][known], color=COLOURS[colour], label=label)
    points(error, "task_only_risk", "n_task_only", COLOURS["task only"])
    points(error, "ridge_risk", "n_task_only", COLOURS["ridge"])
    points(error, "risk", "n_task", COLOURS["befs"])
    error.axhline(curves.attrs["total_power"], color="grey", lw=0.8, ls=":")
    error.axvline(d, color="grey", lw=0.8)
    error.set_xscale("log")
    error.set_yscale("log")
    error.set_ylim(0.1, 30)
    error.set_xlim(9, 500)
    error.set_xticks([10, 20, 64, 200, 400], ["10", "20", "64\ninputs", "200", "400"])
    error.minorticks_off()
    error.set_xlabel(f"labels ({simulated.sizes['seed']} × {simulated.attrs['trials']} draws)")
    error.set_ylabel("excess test risk")
    error.set_title(f"{curves.attrs['n_brain']} brain samples; points: simulated, 95 %")
    error.legend()
    letter_panels((missed, error))
    return figure


def claims(tables: Tables) -> list[Claim]:
    """What these tables say of each claim."""
    near, simulated, curves = (tables[name] for name in TABLES)
    d, power = near.attrs["input_dim"], near.attrs["total_power"]
    n = near.n_brain.values
    first = near.first_order.values / near.misalignment.values
    finite = near.finite.values / near.misalignment.values
    slack = 4 * (near.standard_error / near.misalignment).values
    close = n[np.abs(first - 1) < 0.1]
    few = curves.n_task.values <= d
    befs, ridge, both = (
        curves[name].values[few] for name in ("risk", "ridge_risk", "two_penalty_risk")
    )
    mean, error = (x.values.squeeze() for x in mean_over_seeds(simulated, "risk"))
    low = simulated.n_task.values <= d
    law = np.interp(simulated.n_task.values, curves.n_task.values, curves.risk.values)
    off = np.abs(law / mean - 1)[low]
    better = curves.n_task.values[few][befs < ridge]
    beaten = (
        f"BEFS is better than ridge from {better[0]:.0f} labels on"
        if better.size
        else f"ridge is better at all of up to {d} labels"
    )
    large = curves.n_task.values > d + 1
    ratio = (curves.first_order_risk / curves.risk).values[large]
    apart = np.flatnonzero(np.abs(ratio - 1) >= 0.1)
    trusted = curves.n_task.values[large][apart[-1] + 1 if apart.size else 0 :]
    from_here = trusted[0] if trusted.size else np.inf
    first_ok = np.abs(first - 1).max() < 0.1
    return [
        claim(
            "E‖K̂β‖² = m + γ/(n_brain − d − 1).",
            "expected_misalignment(order='first')",
            f"{first[0]:.1f} times the simulated at n_brain = {n[0]}, {first[-1]:.3f} times at "
            f"{grouped(n[-1])} ({d} inputs)",
            abs(first[-1] - 1) < 0.05,
            ""
            if first_ok
            else f"within 10 % from n_brain = {close[0] / d:.1f} d on; at {n[0] / d:.2f} d it "
            f"exceeds all of the task {near.first_order.values[0] / power:.1f} times over",
        ),
        claim(
            "The finite form holds at every n_brain > d + 1.",
            "expected_misalignment",
            f"within {100 * np.abs(finite - 1).max():.2g} % of {grouped(near.attrs['draws'])} "
            "draws at "
            f"{len(n)} amounts from {n[0] / d:.2f} d to {n[-1] / d:.0f} d",
            np.all(np.abs(finite - 1) < np.maximum(0.03, slack)),
            source=OURS,
        ),
        claim(
            "The large-sample law of the risk gives the error at the numbers of labels in use.",
            "risk(order='first')",
            f"{ratio[0]:.2g} times the finite form at {curves.n_task.values[large][0]:.0f} labels, "
            f"{np.interp(400, curves.n_task.values[large], ratio):.2f} times at 400, "
            f"{ratio[-1]:.3f} times at "
            f"{grouped(curves.n_task.values[-1])} ({d} inputs)",
            trusted.size > 0,
            f"within 10 % only from {from_here:.0f} labels on" if apart.size else "",
        ),
        claim(
            "BEFS learns from fewer labels than inputs, where least squares does not exist.",
            "risk",
            f"simulated risk finite at {low.sum()} numbers of labels from "
            f"{simulated.n_task.values[0]} to "
            f"{d}, closed form within {100 * off.max():.2g} % (Monte Carlo error up to "
            f"{100 * (error / mean)[low].max():.2g} %)",
            np.isfinite(mean[low]).all()
            and np.all(off < np.maximum(0.02, 4 * (error / mean)[low])),
            f"without a penalty inside the subspace it can lose to ridge: {beaten}"
            if np.any(befs > ridge)
            else "",
            source=OURS,
        ),
        claim(
            "With two penalties recordings are never worse than ridge, however few the labels.",
            "two_penalty_risk",
            f"risk {np.min(both / ridge):.2f} to {np.max(both / ridge):.2f} times that of ridge "
            f"up to {d} "
            "labels",
            np.all(both <= ridge * (1 + 1e-6)),
            source=OURS,
        ),
    ]


RESULT = Result(
    "Where large-sample laws end",
    tuple(TABLES),
    draw,
    claims,
    "Two panels. (a) The part of the task outside the learned subspace over brain samples beyond "
    "input_dim: the finite form goes through the simulated points, the first-order law rises far "
    "above 1. (b) Risk over labels, where least squares diverges at 64 labels and the others go on "
    "below.",
)
