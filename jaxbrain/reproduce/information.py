"""Information against shrinkage: two penalties, ridge regression, uninformative controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import xarray

from ..estimators import befs, encode, random_subspace, shuffle_recordings
from ..figures.style import COLOURS, TWO_COLUMNS, grouped, letter_panels
from ..models import Problem
from ..simulation import empirical_value, sweep
from ..theory import (
    information_value,
    optimal_penalties,
    optimal_penalty,
    ridge_risk,
    two_penalty_risk,
    value,
)
from .result import OURS, Claim, Result, Scale, Tables, claim
from .settings import N_BRAIN, TASK_SNR, altered, at_points, fmri, labels, small

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SMALL_BRAIN = 400
_FULL, _QUICK = [30, 100, 400], [100]
MEASURES = ("against_ols", "against_ridge", "information")
LEARNED = ("recordings", "shuffled recordings", "random subspace")


def information_curves(scale: Scale) -> xarray.Dataset:
    """Value against both baselines and information value over labels, and over misalignment."""
    problem = fmri()
    n_task = labels(1_000, 1e7, scale.points)
    misalignments = np.linspace(0, 1, 21)
    tasks = [altered(problem, misalignment=float(m)) for m in misalignments]
    beside = 1e5

    def three(task: Problem, labels: np.ndarray | float) -> list[np.ndarray]:
        return [
            at_points(value, task, N_BRAIN, labels, baseline="ols"),
            at_points(value, task, N_BRAIN, labels, baseline="ridge"),
            at_points(information_value, task, N_BRAIN, labels),
        ]

    ratios = [
        at_points(two_penalty_risk, task, N_BRAIN, beside) / float(ridge_risk(task, beside))
        for task in tasks
    ]
    over_labels = dict(zip(MEASURES, three(problem, n_task), strict=True))
    by_task = np.array([three(task, beside) for task in tasks])
    return xarray.Dataset(
        {name: ("n_task", found) for name, found in over_labels.items()}
        | {
            f"{name}_by_misalignment": ("misalignment", found)
            for name, found in zip(MEASURES, by_task.T, strict=True)
        }
        # The value of information is never negative by definition; this ratio is not kept below 1.
        | {"risk_over_ridge": ("misalignment", np.array(ratios))},
        coords={"n_task": n_task, "misalignment": misalignments},
        attrs={
            "n_brain": N_BRAIN,
            "task_snr": TASK_SNR,
            "random_misalignment": problem.outside_dim / problem.input_dim,
        },
    )


def _uninformed(problem: Problem) -> Problem:
    """The task as a random subspace sees it: evenly spread over all inputs."""
    return altered(problem, misalignment=problem.outside_dim / problem.input_dim)


def _estimator(problem: Problem, n_task: list[int]):
    """BEFS with what each of `LEARNED` teaches, with one penalty and with both.

    The "penalty" tells which: they are 1 and 2 for the first of `LEARNED`, 3 and 4 for the second,
    … As one estimator they are compiled once. Penalties are best for what the subspace misses on
    average.
    """
    numbers = float(_SMALL_BRAIN), np.array(n_task, float)
    # Numbers by now: as formulas they would be compiled into each trial.
    found = {}
    for known in (problem, _uninformed(problem)):
        one = np.asarray(optimal_penalty(known, *numbers))
        found[known is problem] = [(one, 0 * one), optimal_penalties(known, *numbers)]
    each = np.array([found[learned == "recordings"] for learned in LEARNED])
    # (learned and one or both, outside and inside, n_task)
    strengths = dict(zip(n_task, np.moveaxis(each.reshape(-1, 2, len(n_task)), -1, 0), strict=True))

    def estimate(key, brain_inputs, recordings, task_inputs, targets, penalties):
        place = jnp.round(penalties).astype(int) - 1
        learned = place // 2
        recordings = jax.lax.cond(
            learned == LEARNED.index("shuffled recordings"),
            lambda: shuffle_recordings(key, recordings),
            lambda: recordings,
        )
        dim, dtype = problem.latent_dim, brain_inputs.dtype
        basis = jax.lax.cond(
            learned == LEARNED.index("random subspace"),
            lambda: random_subspace(key, brain_inputs.shape[1], dim).astype(dtype),
            lambda: encode(brain_inputs, recordings, dim),
        )
        outside, inside = jnp.asarray(strengths[len(task_inputs)], dtype)[place]
        return befs(task_inputs, targets, basis, outside, inside)

    return estimate


def information_simulated(scale: Scale) -> xarray.Dataset:
    """Value against both baselines from drawn data, with one and with two penalties."""
    model, problem = small(), small().problem()
    n_task = _FULL if scale.name == "full" else _QUICK
    found = sweep(
        model,
        [_SMALL_BRAIN],
        n_task,
        np.arange(1.0, 1 + 2 * len(LEARNED)),
        trials=scale.control_trials,
        seeds=scale.seeds,
        key=jax.random.key(3),
        method="data",
        estimator=_estimator(problem, n_task),
        n_task_only=[30, 100, 200, 400, 800] if scale.name == "full" else [100, 400],
    )
    parts = []
    for row in range(len(LEARNED)):
        part = found.isel(penalty=slice(2 * row, 2 * row + 2)).assign_coords(penalty=[1.0, 2.0])
        worth = [
            empirical_value(part, baseline)
            .squeeze("n_brain", drop=True)[["value", "value_low", "value_high"]]
            .rename({f"value{end}": f"against_{baseline}{end}" for end in ("", "_low", "_high")})
            for baseline in ("ols", "ridge")
        ]
        risk = part.risk.mean("seed").squeeze("n_brain", drop=True)
        parts.append(xarray.merge([*worth, risk]).rename(penalty="penalties"))
    joined = xarray.concat(parts, dim="learned").assign_coords(learned=list(LEARNED))
    joined["information_closed_form"] = (
        "n_task",
        np.asarray(information_value(problem, float(_SMALL_BRAIN), np.array(n_task, float))),
    )
    joined.attrs = {
        "risk_of_predicting_zero": float(problem.total_power),
        "n_brain": _SMALL_BRAIN,
        "seeds": scale.seeds,
        "trials": scale.control_trials,
    }
    return joined


TABLES = {
    "information_curves": information_curves,
    "information_simulated": information_simulated,
}


def draw(tables: Tables) -> Figure:
    """The figure of these tables."""
    import matplotlib.pyplot as plt

    curves, simulated = tables["information_curves"], tables["information_simulated"]
    figure, (over, by_task, small_scale) = plt.subplots(1, 3, figsize=(TWO_COLUMNS, 3.1))
    series = {
        "against_ols": ("value against least squares", COLOURS["task only"]),
        "against_ridge": ("value against ridge", COLOURS["ridge"]),
        "information": ("information value", COLOURS["two penalties"]),
    }
    for name, (label, colour) in series.items():
        # Worse than predicting 0: there is no value, only the end of its scale.
        known = curves[name] > -curves.n_task * (1 - 1e-6)
        over.plot(curves.n_task, curves[name].where(known) / 1e3, color=colour, label=label)
        by_task.plot(curves.misalignment, curves[f"{name}_by_misalignment"] / 1e3, color=colour)
    over.set_xscale("log")
    over.set_xlabel("labels")
    over.set_ylabel("value (thousands of labels)")
    over.set_title("10 h of fMRI")
    by_task.axvline(curves.attrs["random_misalignment"], color="grey", lw=0.8, ls=":")
    by_task.set_xlabel("misalignment")
    by_task.set_ylabel("value (thousands of labels)")
    by_task.set_title("beside 100\N{NO-BREAK SPACE}000 labels")
    for axes in (over, by_task, small_scale):
        axes.axhline(0, color="grey", lw=0.8)
    for row, learned in enumerate(LEARNED):
        for penalties, name in ((1, "befs"), (2, "two penalties")):
            one = simulated.sel(learned=learned, penalties=penalties)
            mean = one.against_ridge.values
            spread = [np.abs(one[f"against_ridge_{end}"].values - mean) for end in ("low", "high")]
            # Points of one number of labels stand side by side.
            place = one.n_task.values * 1.12 ** (2 * row + penalties - 3.5)
            small_scale.errorbar(
                place,
                mean,
                np.nan_to_num(spread),
                fmt="os^"[row],
                color=COLOURS[name],
            )
    for learned, marker in zip(LEARNED, "os^", strict=True):
        small_scale.plot([], [], marker, color="grey", label=learned)
    small_scale.plot([], [], "-", color=COLOURS["befs"], label="one penalty")
    small_scale.plot([], [], "-", color=COLOURS["two penalties"], label="two penalties")
    small_scale.set_xscale("log")
    ticks = simulated.n_task.values
    small_scale.set_xticks(ticks, [grouped(n) for n in ticks])
    small_scale.minorticks_off()
    small_scale.set_yscale("symlog", linthresh=30)
    small_scale.margins(x=0.15, y=0.12)
    small_scale.set_xlabel(
        f"labels (64 inputs, {simulated.attrs['seeds']} × {simulated.attrs['trials']} draws)"
    )
    small_scale.set_ylabel("value against ridge (labels)")
    small_scale.set_title("simulated; absent: none")
    letter_panels((over, by_task, small_scale))
    handles, names = over.get_legend_handles_labels()
    more, others = small_scale.get_legend_handles_labels()
    figure.legend(handles + more, names + others, loc="outside upper center", ncols=4)
    return figure


def claims(tables: Tables) -> list[Claim]:
    """What these tables say of each claim."""
    curves, simulated = tables["information_curves"], tables["information_simulated"]
    at = int(np.argmin(abs(curves.n_task.values - 5e3)))
    share = curves.attrs["random_misalignment"]
    by = curves.information_by_misalignment.values
    m = curves.misalignment.values
    near = by.min() / by.max()
    ratio = curves.risk_over_ridge.values

    def of(learned: str, penalties: int, name: str) -> np.ndarray:
        return simulated[name].sel(learned=learned, penalties=penalties).values

    shuffled = of("shuffled recordings", 1, "against_ols_low")
    closed = simulated.information_closed_form.values
    known = of("recordings", 2, "against_ridge")
    known_low, known_high = (of("recordings", 2, f"against_ridge_{x}") for x in ("low", "high"))
    half = (known_high - known_low) / 2
    distance = np.abs(closed - known) / half
    numbers = ", ".join(f"{n}" for n in simulated.n_task.values)
    return [
        claim(
            "What recordings are worth against least squares is partly shrinkage.",
            "information_value",
            f"{grouped(float(curves.against_ols[at]))} labels beside "
            f"{grouped(float(curves.n_task[at]))} against least squares; the information is worth "
            f"{grouped(float(curves.information[at]))}",
            float(curves.information[at]) < float(curves.against_ols[at]),
            source=OURS,
        ),
        claim(
            "The information never does harm, and is worth nothing only where the subspace holds "
            "no more of the "
            "task than a random one.",
            "information_value",
            f"risk with two penalties {ratio.min():.3f} to {ratio.max():.6f} times that of ridge "
            "over all "
            f"misalignments; worth least at m = {m[np.argmin(by)]:.2f} (random: {share:.3f}), "
            f"{100 * near:.2g} % of "
            "the most",
            ratio.max() <= 1 + 1e-6 and near < 0.01 and abs(m[np.argmin(by)] - share) < 0.03,
            source=OURS,
        ),
        claim(
            "Recordings that belong to other inputs still save labels against least squares.",
            "shuffle_recordings",
            "value of shuffled recordings at least "
            + ", ".join(f"{x:.0f}" for x in shuffled)
            + f" (lower ends of 95 % intervals) beside {numbers} labels",
            np.nanmin(shuffled) > 0,
            source=OURS,
        ),
        claim(
            "Against ridge a random subspace, like shuffled recordings, is worth less than "
            "nothing.",
            "random_subspace",
            "; ".join(
                f"{name} {', '.join(_against_ridge(simulated, name))}" for name in LEARNED[1:]
            )
            + f" labels beside {numbers} (95 % intervals, one penalty)",
            all(
                np.all((of(name, 1, "against_ridge_high") < 0) | _hopeless(simulated, name))
                for name in LEARNED[1:]
            ),
            source=OURS,
        ),
        claim(
            "The simulated value of the information in recordings is that of theory.",
            "information_value",
            "; ".join(
                f"{x:.0f} ({a:.0f} to {b:.0f}), closed form {c:.0f}"
                for x, a, b, c in zip(known, known_low, known_high, closed, strict=True)
            )
            + f" beside {numbers} labels",
            np.all(distance < 2),
            source=OURS,
        ),
    ]


def _hopeless(simulated: xarray.Dataset, learned: str) -> np.ndarray:
    """Where one penalty leaves more error than predicting 0: as bad as no ridge is."""
    risk = simulated.risk.sel(learned=learned, penalties=1).values
    return risk >= simulated.attrs["risk_of_predicting_zero"]


def _against_ridge(simulated: xarray.Dataset, learned: str) -> list[str]:
    one = simulated.sel(learned=learned, penalties=1)
    ends = one.against_ridge_low.values, one.against_ridge_high.values
    return [
        "worse than predicting 0" if lost else f"{low:.1f} to {high:.1f}"
        for low, high, lost in zip(*ends, _hopeless(simulated, learned), strict=True)
    ]


RESULT = Result(
    "Information apart from shrinkage",
    tuple(TABLES),
    draw,
    claims,
    "Three panels. (a) Value against least squares, against ridge and of the information over "
    "labels. (b) The same over misalignment, where the value of the information touches 0 at that "
    "of a random subspace. (c) Simulated values against ridge of recordings, shuffled recordings "
    "and random subspaces.",
)
