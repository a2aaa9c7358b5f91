"""`jaxbrain simulate`: exact Monte Carlo beside the closed form."""

from __future__ import annotations

import json as json_module
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from .errors import UserError, output_problems, write_figure
from .study import read_study
from .text import accuracy_noted, aligned, thousands

if TYPE_CHECKING:
    import xarray

_DEFAULTS = {
    "small": ((100, 200, 400, 800), (20, 50, 100, 200, 400)),
    "fmri": ((7_200, 18_000, 36_000), (1_000, 5_000, 20_000, 100_000)),
}


def simulate(
    *,
    preset: Literal["small", "fmri"] | None = None,
    config: Path | None = None,
    n_brain: tuple[int, ...] = (),
    n_task: tuple[int, ...] = (),
    penalty: tuple[str, ...] = ("optimal",),
    task_snr: float | None = None,
    misalignment: float | None = None,
    seeds: int = 10,
    trials: int | None = None,
    method: Literal["reduced", "data"] = "reduced",
    seed: int = 0,
    max_gigabytes: float = 2.0,
    distributed: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    plot: Path | None = None,
    save: Path | None = None,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Simulate learning with recordings, exactly, and compare with the closed form.

    Args:
        preset: A ready-made study; small unless a config describes another.
        config: A TOML file that describes a study; see the README. Its sample numbers are not used.
        n_brain: Numbers of recorded samples, ascending.
        n_task: Numbers of labels, ascending.
        penalty: Penalties a sample, ascending (inf is the hard constraint), or optimal, or empirical.
        task_snr: Variance of the predictable part of a label over that of its noise.
        misalignment: Share of the task that no recording can reach, 0 to 1.
        seeds: Replicates, from which intervals come.
        trials: Trials in each replicate; 100, or 2 for the fmri preset.
        method: reduced draws cost the same for any sample numbers; data draws and fits everything.
        seed: Of the random numbers.
        max_gigabytes: Memory for the arrays of trials that run at the same time.
        distributed: Share the trials among the devices of all processes (SLURM and others are detected).
        dry_run: Tell the number of cells, the memory and the time it would take, from two trials.
        json: Print JSON instead of a table.
        plot: Draw the risk over labels, theory as lines, simulation as points, into this file.
        save: Keep the whole dataset: netCDF in this file, CSV beside it.
        overwrite: Replace these files if they exist.
    """
    problems = output_problems(plot, overwrite, (".png", ".svg", ".pdf"))
    problems += output_problems(save, overwrite, (".nc",)) + _csv_problems(save, overwrite)
    if config is None and preset is None:
        preset = "small"
    study = None
    try:
        study = read_study(
            config, {"preset": preset, "task_snr": task_snr, "misalignment": misalignment}
        )
    except UserError as error:
        problems = error.problems + problems
    brain, task = _DEFAULTS.get(preset or "", ((), ()))
    options: dict[str, Any] = {
        "n_brain": n_brain or brain,
        "n_task": n_task or task,
        "penalty": _penalties(penalty, problems),
        "trials": (2 if preset == "fmri" else 100) if trials is None else trials,
        "seeds": seeds,
        "max_bytes": max_gigabytes * 1e9,
    }
    for name in ("n_brain", "n_task"):
        if not options[name]:
            problems.append(f"--{name.replace('_', '-')} is missing: a config has no default grid")
    for name, number, least in (("trials", options["trials"], 2), ("seeds", seeds, 2)):
        if number < least:
            problems.append(f"--{name} must be at least {least}, but it is {number}")
    if not max_gigabytes > 0:
        problems.append(f"--max-gigabytes must be greater than 0, but it is {max_gigabytes:g}")
    if study is not None:
        problems += _grid_problems(study.problem, options)
    if problems or study is None:
        raise UserError(problems)

    import jax

    from ..simulation import empirical_value, sweep

    mesh = _mesh(distributed)
    options |= {"method": method, "key": jax.random.key(seed), "mesh": mesh}
    speaks = jax.process_index() == 0
    notes: list[str] = []
    try:
        if dry_run:
            if speaks:
                with accuracy_noted([]):
                    print(_estimate(study.problem, options))
            return
        progress = _Progress() if speaks and sys.stderr.isatty() else None
        with accuracy_noted(notes):
            found = sweep(study.problem, progress=progress, **options)
    except ValueError as error:
        raise UserError([str(error)]) from error
    if not speaks:
        return
    if save is not None:
        from ..store import write_table

        try:
            write_table(found, save)
        except OSError as error:
            raise UserError([f"{save}: cannot be written ({error.strerror})"]) from error
    with accuracy_noted(notes):
        rows = _rows(found, study.problem, empirical_value(found))
    if plot is not None:
        from ..figures import draw_simulation

        # A curve may pass through a corner that no cell is in.
        with accuracy_noted([]):
            write_figure(plot, draw_simulation, found, study.problem)
    if json:
        print(_as_json(found, rows, notes))
    else:
        print(_as_table(found, rows))
        print("".join(f"note: {note}\n" for note in notes), end="")


def _csv_problems(path: Path | None, overwrite: bool) -> list[str]:
    """A dataset is kept as several CSV files: none of them may replace another unasked."""
    if path is None or overwrite or path.suffix != ".nc":
        return []
    from ..store import table_files

    return [
        f"{file} exists already: pass --overwrite to replace it"
        for file in table_files(path)
        if file != path
    ]


def _grid_problems(problem: Any, options: dict[str, Any]) -> list[str]:
    from ..simulation.grids import brain_numbers, penalty_numbers, task_numbers

    problems = []
    for name, check in (
        ("n_brain", lambda grid: brain_numbers(grid, problem)),
        ("n_task", lambda grid: task_numbers(grid, problem)),
        ("penalty", penalty_numbers),
    ):
        try:
            if len(options[name]):
                check(options[name])
        except ValueError as error:
            problems.append(str(error))
    return problems


def _penalties(words: tuple[str, ...], problems: list[str]) -> list[float] | str:
    if words in (("optimal",), ("empirical",)):
        return words[0]
    try:
        return [float(word) for word in words]
    except ValueError:
        problems.append("--penalty must be optimal, empirical, or numbers")
        return []


def _mesh(distributed: bool):
    """The devices of all processes, or of this one if there are several."""
    import jax

    if distributed:
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise UserError([f"--distributed: no cluster was found ({error})"]) from error
    devices = jax.devices()
    return (
        jax.make_mesh((len(devices),), ("trials",), devices=devices) if len(devices) > 1 else None
    )


def _estimate(problem: Any, options: dict[str, Any]) -> str:
    from ..simulation import sweep

    pilot = options | {"trials": 2, "seeds": 1, "mesh": None}
    sweep(problem, **pilot)  # compiles
    start = time.perf_counter()
    found = sweep(problem, **pilot)
    each = (time.perf_counter() - start) / 2
    total = options["trials"] * options["seeds"]
    devices = 1 if options["mesh"] is None else options["mesh"].size
    cells = found.risk[..., 0].size
    lines = [
        ("cells", f"{cells} ({' x '.join(str(n) for n in found.risk.shape[:3])})"),
        ("trials", f"{total} ({options['seeds']} seeds of {options['trials']})"),
        ("memory of the trials at hand", f"{found.attrs['working_bytes'] / 1e9:.2g} GB"),
        (
            "time",
            f"about {_duration(each * total / devices)} on {devices} device(s), compilation apart",
        ),
    ]
    return "\n".join(aligned([(name, value) for name, value in lines]))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class _Progress:
    """One line on a terminal, with the time that is left."""

    def __init__(self) -> None:
        self.part, self.start = "", 0.0

    def __call__(self, part: str, done: int, total: int) -> None:
        now = time.perf_counter()
        if part != self.part or done == 1:
            # The first step compiles: time is counted from its end.
            self.part, self.start, left = part, now, ""
        else:
            rest = (now - self.start) / (done - 1) * (total - done)
            left = f", {_duration(rest)} left" if done < total else ""
        end = "\n" if done == total else ""
        print(f"\r{part} {done}/{total}{left}\x1b[K", end=end, file=sys.stderr, flush=True)


def _rows(found: xarray.Dataset, problem: Any, worth: xarray.Dataset) -> list[dict[str, Any]]:
    """A row a cell: simulation, its standard error, closed form, and their distance in standard errors."""
    from ..simulation import mean_over_seeds
    from ..theory import risk, value

    n_brain, n_task = found.n_brain.values, found.n_task.values
    grid = n_brain[:, None, None] * 1.0, n_task[None, :, None] * 1.0, found.penalty_used.values
    claims = {"risk": risk(problem, *grid), "value": value(problem, *grid)}
    simulated, error = (x.values for x in mean_over_seeds(found, "risk"))
    rows = []
    for i, j, l in np.ndindex(simulated.shape):
        claim = float(claims["risk"][i, j, l])
        rows.append(
            {
                "n_brain": int(n_brain[i]),
                "n_task": int(n_task[j]),
                "penalty": float(found.penalty_used.values[i, j, l]),
                "risk": float(simulated[i, j, l]),
                "standard_error": float(error[i, j, l]),
                "closed_form": claim,
                "z": float((simulated[i, j, l] - claim) / error[i, j, l])
                if error[i, j, l] > 0
                else math.nan,
                "value": float(worth.value.values[i, j, l]),
                "value_low": float(worth.value_low.values[i, j, l]),
                "value_high": float(worth.value_high.values[i, j, l]),
                "value_closed_form": float(claims["value"][i, j, l]),
                "value_status": str(worth.status.values[i, j, l]),
            }
        )
    return rows


def _as_json(found: xarray.Dataset, rows: list[dict[str, Any]], notes: list[str]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None if math.isnan(value) else "infinite"
        return value

    cells = [{name: plain(value) for name, value in row.items()} for row in rows]
    answer = {"configuration": dict(found.attrs), "cells": cells, "notes": notes}
    return json_module.dumps(answer, indent=2)


def _as_table(found: xarray.Dataset, rows: list[dict[str, Any]]) -> str:
    lines: list[tuple[str, ...]] = [
        (
            "brain samples",
            "labels",
            "penalty",
            "risk",
            "closed form",
            "z",
            "value",
            "95 %",
            "closed form",
        )
    ]
    for row in rows:
        known = row["value_status"] == "ok"
        low, high = (
            thousands(row[name]) if math.isfinite(row[name]) else "?"
            for name in ("value_low", "value_high")
        )
        lines.append(
            (
                thousands(row["n_brain"]),
                thousands(row["n_task"]),
                f"{row['penalty']:.3g}",
                f"{row['risk']:.4g} ± {row['standard_error']:.2g}",
                f"{row['closed_form']:.4g}",
                f"{row['z']:+.1f}",
                thousands(row["value"]) if known else row["value_status"],
                f"{low} to {high}" if known else "",
                thousands(row["value_closed_form"]),
            )
        )
    failed = found.attrs["failed_cells"]
    trials = f"{found.attrs['seeds']} seeds of {found.attrs['trials']} trials"
    note = f"{trials}, method {found.attrs['method']}, {found.attrs['wall_time_s']:.1f} s; "
    note += "z: distance from the closed form in standard errors"
    if failed:
        note += f"; {failed} cells failed"
    return "\n".join(aligned(lines)) + f"\n\n{note}."
