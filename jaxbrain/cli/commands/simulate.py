"""`jaxbrain simulate`: exact Monte Carlo beside the closed form."""

from __future__ import annotations

import json as json_module
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from ...models import Problem
from ...study import Study
from ...study.described import Preset
from ..answers.notes import accuracy_noted
from ..answers.over_draws import cells_over_draws, notes_of_pilot
from ..answers.sweep import answer_of, baseline_of, bytes_needed, cells_of, curves_of, rows_of
from ..errors import (
    UserError,
    check_memory,
    drawn,
    in_flags,
    machine_problem,
    memory_problems,
    output_problems,
    seed_problems,
    write_outputs,
)
from ..input.grid import (
    GRID,
    default_estimator,
    default_trials,
    grid_problems,
    penalty_problems,
    read_penalties,
)
from ..input.study import read_study
from ..processes import ALONE
from ..signals import take_back
from ..words.simulation import as_table, duration, of_other_inputs, of_pilot, size
from ..words.text import aligned, wrote
from ..words.worth import described

if TYPE_CHECKING:
    import xarray

_DEFAULTS = {
    "small": ((100, 200, 400, 800), (20, 50, 100, 200, 400)),
    "fmri": ((7_200, 18_000, 36_000), (1_000, 5_000, 20_000, 100_000)),
    "images": ((250, 500, 1_000), (125, 250, 500)),
}
# By their dimensions, the CSV files that a sweep is kept in.
_CSV = ("n_brain-n_task-penalty-seed", "n_brain-n_task-penalty", "n_brain-seed", "n_task_only-seed")
# What is learned depends on the labels where each cell has an encoding penalty of its own.
_CSV_OF_BEST_ENCODING = (*_CSV[:2], "n_brain-n_task", "n_brain-n_task-seed", _CSV[3])
_MOST_TRIALS = 1_000_000_000
_LONG_S = 10.0
# A process that has been silent for so long is dead to the others.
_SILENCE_S = 30
# So much of a grid is timed.
_CORNER = {"n_brain": 4, "n_task": 8, "penalty": 4}


def simulate(
    config: Annotated[Path | None, tyro.conf.Positional] = None,
    *,
    preset: Preset | None = None,
    n_brain: tuple[int, ...] = (),
    n_task: tuple[int, ...] = (),
    penalty: tuple[str, ...] = ("optimal",),
    task_snr: float | None = None,
    misalignment: float | None = None,
    estimator: Literal["befs", "befs_two_penalties", "banded_ridge"] | None = None,
    encoding_penalty: str | None = None,
    exponent: float | None = None,
    features: Path | None = None,
    latent_alignment: float | None = None,
    task_alignment: float | None = None,
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
    """Simulate learning with recordings, exactly, and compare it with the closed form.

    Args:
        config: A TOML file that describes your study; docs/files.md lists its keys. Name it first.
            (--config FILE is the same.)
        preset: A ready-made study, instead of a file. By default small.
        n_brain: Numbers of recorded samples, ascending. By default 100 200 400 800 (preset small),
            or 7200 18000 36000 (fmri), or 250 500 1000 (images), or the one of the file.
        n_task: Numbers of labels, ascending. By default 20 50 100 200 400 (preset small), or
            1000 5000 20000 100000 (fmri), or 125 250 500 (images), or the one of the file.
        penalty: Penalties for each sample, ascending (inf is the hard constraint); or the word
            optimal, or empirical. Numbers are for the estimator befs, which has a single one.
        task_snr: Variance of the predictable part of a label, divided by the variance of its noise.
            A preset has 0.1, or 1 (images).
        misalignment: Share of the task that no recording can reach, 0 to 1. A preset has 0.1.
        estimator: What learns from recordings. By default befs for white inputs, and
            befs_two_penalties, whose value is that of the information, for others.
        encoding_penalty: Ridge of the stage that learns from recordings, for each sample: a number,
            or optimal. By default 0 for white inputs, optimal for others.
        exponent: How the variance of inputs falls, as i^-exponent, 0 to 10; for the [problem] of a
            file, like the next three.
        features: Features of your own, a row for each stimulus in a .npy file, whose spectrum the
            inputs have.
        latent_alignment: How the variance of a latent lies in that spectrum: in proportion to its
            power of this, -10 to 10.
        task_alignment: The same of the part of the task that no recording can reach.
        seeds: How many replicates. Intervals come from their spread.
        trials: How many trials in each replicate; by default 100, or 2 with the presets fmri and
            images.
        method: reduced draws only what matters, at the same cost for any sample numbers. data draws
            all data and fits them.
        seed: Of the random numbers.
        max_gigabytes: Memory for the arrays of trials that run at the same time.
        distributed: Share the trials among the devices of all processes (SLURM and others are
            detected).
        dry_run: Run two trials only, and tell the number of cells, the memory and the time of all.
        json: Print JSON instead of a table.
        plot: Draw the risk over labels into this file: theory as lines, simulation as points.
        save: Keep all results: netCDF in this file, CSV beside it.
        overwrite: Replace these files if they exist.
    """
    # Processes can only be joined before JAX computes anything, and a study is read with JAX.
    problems = _join_processes() if distributed else []
    problems += output_problems(plot, overwrite, (".png", ".svg", ".pdf"), config)
    problems += output_problems(save, overwrite, (".nc",), config)
    problems += seed_problems(seed)
    if config is None and preset is None:
        preset = "small"
    study = None
    try:
        study = read_study(
            config,
            {
                "preset": preset,
                "task_snr": task_snr,
                "misalignment": misalignment,
                "encoding_penalty": encoding_penalty,
                "exponent": exponent,
                "features": features,
                "latent_alignment": latent_alignment,
                "task_alignment": task_alignment,
            },
            max_gigabytes=max_gigabytes if 0 < max_gigabytes < math.inf else 2.0,
        )
    except UserError as error:
        problems = error.problems + problems
    brain, task = _DEFAULTS.get(preset or "", ((), ()))
    if config is not None and study is not None:
        brain, task = (round(study.n_brain),), (round(study.n_task),)
    options: dict[str, Any] = {
        "n_brain": n_brain or brain,
        "n_task": n_task or task,
        "penalty": read_penalties(penalty, problems),
        "trials": default_trials(study) if trials is None else trials,
        "seeds": seeds,
        "max_bytes": max_gigabytes * 1e9,
        "method": method,
        "estimator": estimator or default_estimator(study),
    }
    is_best_encoding = study is not None and study.encoding_penalty == "optimal"
    problems += _csv_problems(save, overwrite, _CSV_OF_BEST_ENCODING if is_best_encoding else _CSV)
    problems += penalty_problems(options["penalty"], options["estimator"])
    for name, number in (("trials", options["trials"]), ("seeds", seeds)):
        if number < 2:
            problems.append(f"--{name} must be at least 2, but it is {number}")
        elif number > _MOST_TRIALS:
            problems.append(f"--{name} must be at most {_MOST_TRIALS}, but it is {number}")
    problems += memory_problems(max_gigabytes)
    problems += grid_problems(study, options)
    if problems or study is None:
        raise UserError(problems)

    check_memory(bytes_needed(study.problem, options), max_gigabytes, "take a smaller grid")

    import jax

    from ...simulation import empirical_value, sweep

    if not study.is_white:
        options["encoding_penalty"] = study.encoding_penalty
    mesh = _mesh()
    options |= {"key": jax.random.key(seed), "mesh": mesh}
    speaks = jax.process_index() == 0
    notes = notes_of_pilot(study.estimate)
    notes += _rounded(study, options) if config is not None else []
    try:
        if dry_run:
            with accuracy_noted([]):
                return _estimate(study.problem, options) if speaks else ""
        progress = _Progress(size(options), sys.stderr.isatty()) if speaks else None
        with accuracy_noted(notes):
            found = sweep(study.problem, progress=progress, **options)
    except ValueError as error:
        said = str(error).replace("max_bytes", "--max-gigabytes, in bytes,")
        raise UserError([in_flags(said, GRID)]) from error
    except jax.errors.JaxRuntimeError as error:
        if not distributed or machine_problem(error) is not None:
            raise
        # Leaving JAX would wait for the others, and then abort.
        print(f"jaxbrain: {ALONE}", file=sys.stderr, flush=True)
        os._exit(2)
    if not speaks:
        return ""
    with accuracy_noted(notes):
        worth = empirical_value(found, baseline_of(study, options["estimator"]))
        rows = rows_of(found, study.problem, worth)
    rows = cells_over_draws(study, found, rows, worth.attrs["baseline"])
    _write(found, study.problem, save, plot, overwrite)
    if json:
        answer = answer_of(found, rows, notes) | {"baseline": worth.attrs["baseline"]}
        return json_module.dumps(answer, indent=2)
    head = [f"{name}: {value}" for name, value in described(study).items()]
    head += of_pilot(study)
    if not study.is_white:
        head += of_other_inputs(study, options["estimator"], worth.attrs["baseline"])
    return "\n".join([*head, "", as_table(found, rows, notes), *wrote(save, plot)])


def _write(
    found: xarray.Dataset, problem: Any, save: Path | None, plot: Path | None, overwrite: bool
) -> None:
    """All files, or none."""
    from ...figures import draw_simulation
    from ...store import table_contents

    contents = {} if save is None else table_contents(found, save)
    if plot is not None:
        contents |= drawn(plot, draw_simulation, *curves_of(found, problem))
    write_outputs(contents, overwrite)


def _rounded(study: Study, options: dict[str, Any]) -> list[str]:
    """Notes on numbers of the file that are no whole ones."""
    return [
        f"{name} = {number:.12g} is simulated as {options[name][0]}"
        for name, number in (("n_brain", study.n_brain), ("n_task", study.n_task))
        if tuple(options[name]) == (round(number),) and number != round(number)
    ]


def _csv_problems(path: Path | None, overwrite: bool, kinds: tuple[str, ...]) -> list[str]:
    """A dataset is kept as several CSV files: none of them may replace another unasked."""
    if path is None or overwrite or path.suffix.lower() != ".nc":
        return []
    files = [path.with_name(f"{path.stem}.{dimensions}.csv") for dimensions in kinds]
    return [
        f"{file} exists already: pass --overwrite to replace it"
        for file in files
        if os.path.lexists(file)
    ]


def _join_processes() -> list[str]:
    """Join the processes of a cluster; what is wrong where that cannot be."""
    import jax

    try:
        jax.distributed.initialize(heartbeat_timeout_seconds=_SILENCE_S)
        take_back()
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


def _estimate(problem: Problem, options: dict[str, Any]) -> str:
    """Time two trials on a corner of the grid, whose ends stand for what is between."""
    from ...simulation import sweep

    corner = {name: _ends(options[name], most) for name, most in _CORNER.items()}
    pilot = options | corner | {"trials": 2, "seeds": 1, "mesh": None}
    sweep(problem, **pilot)  # compiles
    start = time.perf_counter()
    found = sweep(problem, **pilot)
    shape, measured = cells_of(options), cells_of(pilot)
    # Subspaces are drawn for each n_brain, traces for each n_task and penalty: neither costs more
    # than in proportion to the cells.
    larger = math.prod(shape) / math.prod(measured)
    each = (time.perf_counter() - start) / 2 * larger
    total = options["trials"] * options["seeds"]
    devices = 1 if options["mesh"] is None else options["mesh"].size
    left = duration(each * total / devices)
    about = "about" if larger == 1 else "at most about"
    lines = [
        ("cells", f"{math.prod(shape)} ({' x '.join(map(str, shape))})"),
        ("trials", f"{total} ({options['seeds']} seeds of {options['trials']})"),
        ("memory of the trials at hand", f"{found.attrs['working_bytes'] / 1e9:.2g} GB"),
        ("memory of all", f"{bytes_needed(problem, options) / 1e9:.2g} GB"),
        ("time", f"{about} {left} on {devices} device(s), compilation apart"),
    ]
    return "\n".join(aligned(lines))


def _ends(grid: Any, most: int) -> Any:
    """The first and the last numbers of a long grid."""
    return grid if isinstance(grid, str) or len(grid) <= most else [*grid[: most - 1], grid[-1]]


class _Progress:
    """One line on a terminal, with the time that is left; elsewhere a line for each long part."""

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
            left = f", {duration(rest)} left" if rest is not None and done < total else ""
            end = "\n" if done == total else ""
            print(f"\r{part} {done}/{total}{left}\x1b[K", end=end, file=sys.stderr, flush=True)
        elif rest is not None and done == 2 and rest > _LONG_S:
            said = f"{self.size}: {part} {done}/{total}, about {duration(rest)} left"
            print(said, file=sys.stderr, flush=True)
