"""`jaxbrain simulate`: exact Monte Carlo beside the closed form."""

from __future__ import annotations

import json as json_module
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from ..errors import UserError, flag, in_flags, output_problems, seed_problems, write_figure
from ..input.study import Study, described, read_study
from ..input.toml import LARGEST
from ..words.text import accuracy_noted, aligned, thousands, without_infinities, wrote

if TYPE_CHECKING:
    import xarray

_DEFAULTS = {
    "small": ((100, 200, 400, 800), (20, 50, 100, 200, 400)),
    "fmri": ((7_200, 18_000, 36_000), (1_000, 5_000, 20_000, 100_000)),
}
_GRID = ("n_brain", "n_task", "penalty")
# By their dimensions, the CSV files that a sweep is kept in.
_CSV = ("n_brain-n_task-penalty-seed", "n_brain-n_task-penalty", "n_brain-seed", "n_task_only-seed")
_MOST_TRIALS = 1_000_000_000
_LONG_S = 10.0


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
) -> str:
    """Simulate learning with recordings, exactly, and compare with the closed form.

    Args:
        preset: A ready-made study; small unless a config describes another.
        config: A TOML file that describes a study; see docs/files.md.
        n_brain: Numbers of recorded samples, ascending; by default 100 200 400 800 (preset small),
            or 7200 18000 36000 (fmri), or the one of the config.
        n_task: Numbers of labels, ascending; by default 20 50 100 200 400 (preset small),
            or 1000 5000 20000 100000 (fmri), or the one of the config.
        penalty: Penalties a sample, ascending (inf is the hard constraint), or optimal, or empirical.
        task_snr: Variance of the predictable part of a label over that of its noise; a preset has 0.1.
        misalignment: Share of the task that no recording can reach, 0 to 1; a preset has 0.1.
        seeds: Replicates, from which intervals come.
        trials: Trials in each replicate; by default 100, or 2 with the preset fmri.
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
    # Processes can only be joined before JAX computes anything, and a study is read with JAX.
    problems = _join_processes() if distributed else []
    problems += output_problems(plot, overwrite, (".png", ".svg", ".pdf"))
    problems += output_problems(save, overwrite, (".nc",)) + _csv_problems(save, overwrite)
    problems += seed_problems(seed)
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
    if config is not None and study is not None:
        brain, task = (round(study.n_brain),), (round(study.n_task),)
    options: dict[str, Any] = {
        "n_brain": n_brain or brain,
        "n_task": n_task or task,
        "penalty": _penalties(penalty, problems),
        "trials": _trials(study) if trials is None else trials,
        "seeds": seeds,
        "max_bytes": max_gigabytes * 1e9,
    }
    for name, number in (("trials", options["trials"]), ("seeds", seeds)):
        if number < 2:
            problems.append(f"--{name} must be at least 2, but it is {number}")
        elif number > _MOST_TRIALS:
            problems.append(f"--{name} must be at most {_MOST_TRIALS}, but it is {number}")
    if not 0 < max_gigabytes < math.inf:
        problems.append(
            f"--max-gigabytes must be a finite number greater than 0, but it is {max_gigabytes:g}"
        )
    problems += _grid_problems(None if study is None else study.problem, options)
    if problems or study is None:
        raise UserError(problems)

    import jax

    from ...simulation import empirical_value, sweep

    mesh = _mesh()
    options |= {"method": method, "key": jax.random.key(seed), "mesh": mesh}
    speaks = jax.process_index() == 0
    notes: list[str] = []
    try:
        if dry_run:
            with accuracy_noted([]):
                return _estimate(study.problem, options) if speaks else ""
        progress = _Progress(_size(options), sys.stderr.isatty()) if speaks else None
        with accuracy_noted(notes):
            found = sweep(study.problem, progress=progress, **options)
    except ValueError as error:
        said = str(error).replace("max_bytes", "--max-gigabytes, in bytes,")
        raise UserError([in_flags(said, _GRID)]) from error
    if not speaks:
        return ""
    with accuracy_noted(notes):
        rows = _rows(found, study.problem, empirical_value(found, "ols"))
    _write(found, study.problem, save, plot, overwrite)
    if json:
        return _as_json(found, rows, notes)
    head = [f"{name}: {value}" for name, value in described(study).items()]
    return "\n".join([*head, "", _as_table(found, rows, notes), *wrote(save, plot)])


def _write(
    found: xarray.Dataset, problem: Any, save: Path | None, plot: Path | None, overwrite: bool
) -> None:
    """Both files, or neither."""
    from ...figures import draw_simulation
    from ...store import write_table

    try:
        files = [] if save is None else write_table(found, save)
    except OSError as error:
        raise UserError([f"{save}: cannot be written ({error.strerror})"]) from error
    if plot is None:
        return
    try:
        # A curve may pass through a corner that no cell is in.
        with accuracy_noted([]):
            write_figure(plot, draw_simulation, found, problem)
    except UserError:
        # What has been replaced is gone; what is new would look like a result.
        if not overwrite:
            for file in files:
                file.unlink()
        raise


def _csv_problems(path: Path | None, overwrite: bool) -> list[str]:
    """A dataset is kept as several CSV files: none of them may replace another unasked."""
    if path is None or overwrite or path.suffix.lower() != ".nc":
        return []
    files = [path.with_name(f"{path.stem}.{dimensions}.csv") for dimensions in _CSV]
    return [
        f"{file} exists already: pass --overwrite to replace it"
        for file in files
        if os.path.lexists(file)
    ]


def _grid_problems(problem: Any, options: dict[str, Any]) -> list[str]:
    """What is wrong with the grids; where the study could not be read, as far as that is known."""
    from ...simulation import brain_numbers, penalty_numbers, task_numbers

    problems = []
    for name, check in (
        ("n_brain", lambda grid: brain_numbers(grid, problem)),
        ("n_task", lambda grid: task_numbers(grid, problem)),
        ("penalty", penalty_numbers),
    ):
        grid = options[name]
        if isinstance(grid, str) or not len(grid):
            continue
        ascending = sorted(set(grid))
        if name != "penalty" and not 0 < ascending[0] <= ascending[-1] <= LARGEST:
            wrong = next(number for number in grid if not 0 < number <= LARGEST)
            problems.append(
                f"{flag(name)} must lie between 1 and {LARGEST:g}, but there is {wrong}"
            )
        elif list(grid) != ascending and not any(math.isnan(number) for number in grid):
            given, better = (" ".join(map(_plain, numbers)) for numbers in (grid, ascending))
            problems.append(f"{flag(name)} must ascend, but it is {given}: give {better}")
        elif problem is not None or name == "penalty":
            try:
                check(grid)
            except ValueError as error:
                problems.append(in_flags(str(error), _GRID))
    return problems


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _trials(study: Study | None) -> int:
    """In seconds rather than minutes, whether an option or a file names the preset."""
    return 2 if study is not None and study.preset == "fmri" else 100


def _penalties(words: tuple[str, ...], problems: list[str]) -> list[float] | str:
    if words in (("optimal",), ("empirical",)):
        return words[0]
    try:
        return [float(word) for word in words]
    except ValueError:
        given = " ".join(words)
        problems.append(
            f"--penalty must be optimal, empirical, or numbers, but it is {given or 'empty'}"
        )
        return []


def _join_processes() -> list[str]:
    """Join the processes of a cluster; what is wrong where that cannot be."""
    import jax

    try:
        jax.distributed.initialize()
    except ValueError:
        return [
            "--distributed: no cluster was found: start it under SLURM, Open MPI or Kubernetes, or "
            "leave out --distributed"
        ]
    except RuntimeError as error:
        return [f"--distributed: the processes cannot be joined ({error})"]
    return []


def _mesh():
    """The devices of all processes, or of this one if there are several."""
    import jax

    devices = jax.devices()
    return (
        jax.make_mesh((len(devices),), ("trials",), devices=devices) if len(devices) > 1 else None
    )


def _estimate(problem: Any, options: dict[str, Any]) -> str:
    from ...simulation import sweep

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


def _size(options: dict[str, Any]) -> str:
    """Grid and trials in words, for who waits for them."""
    penalties = 1 if isinstance(options["penalty"], str) else len(options["penalty"])
    shape = len(options["n_brain"]), len(options["n_task"]), penalties
    cells = f"{math.prod(shape)} cells ({' x '.join(map(str, shape))})"
    return f"{cells}, {options['seeds']} seeds of {options['trials']} trials"


class _Progress:
    """One line on a terminal, with the time that is left; elsewhere one line for a part that takes long."""

    def __init__(self, size: str, terminal: bool) -> None:
        self.size, self.terminal = size, terminal
        self.part, self.start = "", 0.0

    def __call__(self, part: str, done: int, total: int) -> None:
        now, rest = time.perf_counter(), None
        if part != self.part or done == 1:
            # The first step compiles: time is counted from its end.
            self.part, self.start = part, now
        else:
            rest = (now - self.start) / (done - 1) * (total - done)
        if self.terminal:
            left = f", {_duration(rest)} left" if rest is not None and done < total else ""
            end = "\n" if done == total else ""
            print(f"\r{part} {done}/{total}{left}\x1b[K", end=end, file=sys.stderr, flush=True)
        elif rest is not None and done == 2 and rest > _LONG_S:
            said = f"{self.size}: {part} {done}/{total}, about {_duration(rest)} left"
            print(said, file=sys.stderr, flush=True)


def _rows(found: xarray.Dataset, problem: Any, worth: xarray.Dataset) -> list[dict[str, Any]]:
    """A row a cell: simulation, its standard error, closed form, and their distance in standard errors."""
    from ...simulation import mean_over_seeds
    from ...theory import risk, value

    n_brain, n_task = found.n_brain.values, found.n_task.values
    grid = n_brain[:, None, None] * 1.0, n_task[None, :, None] * 1.0, found.penalty_used.values
    # The closed form starts beyond input_dim + 1 recordings; a cell may have failed before it had a penalty.
    unknown = (grid[0] <= problem.input_dim + 1) | np.isnan(grid[2])
    inside = np.maximum(grid[0], problem.input_dim + 2), grid[1], np.where(unknown, 0.0, grid[2])
    claims = {
        name: np.where(unknown, np.nan, law(problem, *inside))
        for name, law in (("risk", risk), ("value", value))
    }
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
    cells, notes = [], list(notes)
    infinite: dict[str, int] = {}
    for row in rows:
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        fields, said = without_infinities(numbers)
        cells.append(row | fields)
        for note in said:
            if not note.endswith("undefined"):
                infinite[note] = infinite.get(note, 0) + 1
    notes += [
        f"{note} in {count} of the {len(rows)} cells, where it is null"
        for note, count in infinite.items()
    ]
    answer = {"configuration": dict(found.attrs), "cells": cells, "notes": notes}
    return json_module.dumps(answer, indent=2)


def _as_table(found: xarray.Dataset, rows: list[dict[str, Any]], notes: list[str]) -> str:
    lines: list[tuple[str, ...]] = [
        (
            "brain samples",
            "labels",
            "penalty",
            "risk",
            "closed-form risk",
            "z",
            "value",
            "95 %",
            "closed-form value",
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
                _defined(row["penalty"], "{:.3g}"),
                "failed"
                if math.isnan(row["risk"])
                else f"{row['risk']:.4g} ± {row['standard_error']:.2g}",
                _defined(row["closed_form"], "{:.4g}"),
                _defined(row["z"], "{:+.1f}"),
                thousands(row["value"]) if known else row["value_status"],
                f"{low} to {high}" if known else "",
                "undefined"
                if math.isnan(row["value_closed_form"])
                else thousands(row["value_closed_form"]),
            )
        )
    failed = found.attrs["failed_cells"]
    trials = f"{found.attrs['seeds']} seeds of {found.attrs['trials']} trials"
    note = f"{trials}, method {found.attrs['method']}, {found.attrs['wall_time_s']:.1f} s; "
    note += "z: distance from the closed form in standard errors; rows share random numbers"
    if failed:
        note += f"; {failed} of {found.risk.size} replicates of cells failed"
    return "\n".join([*aligned(lines), "", f"{note}.", *(f"note: {said}" for said in notes)])


def _defined(number: float, form: str) -> str:
    return "undefined" if math.isnan(number) else form.format(number)
