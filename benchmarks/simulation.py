"""What simulation costs: against the paper's own way in NumPy, and at fMRI scale.

python -m benchmarks.simulation [--part PART] [--device gpu]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import scipy.linalg  # noqa: F401, loads the BLAS that JAX calls, so that its threads can be limited
from threadpoolctl import threadpool_info, threadpool_limits

import jaxbrain as jb

from . import _real_inputs, numpy_reference
from ._measure import limits, peak_memory_gb, prepare, results_path, spread, store

N_BRAIN = [100, 200, 400, 800, 1600, 3200, 6400, 12800]
N_TASK = [20, 50, 100, 200, 400, 800]
PENALTIES = np.logspace(-2, 2, 20)
ROUNDS = 5
FMRI_DRAWS = [5_000, 18_000, 180_000, 500_000]
FMRI_VALUES = [5_000, 7_200, 18_000, 36_000, 180_000]
FMRI_N_TASK = 100_000


def equal_error() -> dict:
    """Wall time that each side needs for the same standard error, in each cell of a grid."""
    trials = 1000
    model = jb.presets.small(task_snr=1.0)

    def reduced():
        return jb.sweep(
            model, N_BRAIN, N_TASK, PENALTIES, trials=trials, key=jax.random.key(0), **ALONE
        )

    _, first, _ = timed(reduced)
    ours, reference = Clock(), Reference(model)
    found = None
    for _ in range(ROUNDS):
        reference.run(one_thread=30, as_installed=1)
        found, *times = timed(reduced)
        ours.add(*times, trials)
    assert found is not None
    theirs = np.concatenate(reference.risks)
    mean, error = (found[name].values[..., 0] for name in ("risk", "risk_standard_error"))
    mean_there, variance_there = theirs.mean(0), theirs.var(0, ddof=1)
    z = (mean - mean_there) / np.hypot(error, np.sqrt(variance_there / len(theirs)))
    variances = variance_there / (error**2 * trials)
    wall, cpu = (reference.fastest()[unit] / ours.a_trial()[unit] for unit in ("wall_s", "cpu_s"))
    relative = np.sqrt(variance_there) / mean_there
    eigenvectors = eigenvectors_a_trial(model)
    worst = np.unravel_index(np.argmin(variances), variances.shape)
    return {
        "grid": {"n_brain": N_BRAIN, "n_task": N_TASK, "penalties": PENALTIES.tolist()},
        "numpy_a_trial": reference.summary(),
        "numpy_standard_deviation_over_risk": quantiles(relative),
        "jaxbrain_a_trial": ours.a_trial(),
        "jaxbrain_sweep": {"trials": trials, **spread(ours.wall)},
        "jaxbrain_standard_error_over_risk": quantiles(error / mean),
        "jaxbrain_compilation_s": first - statistics.median(ours.wall),
        "eigenvectors_a_trial": eigenvectors,
        "fraction_of_limit": eigenvectors["fastest_wall_s"] / ours.a_trial()["wall_s"],
        "times_less_variance_a_trial": quantiles(variances),
        "times_less_wall_time_for_the_same_standard_error": quantiles(wall * variances),
        "times_less_cpu_time_for_the_same_standard_error": quantiles(cpu * variances),
        "share_of_cells_with_at_least_1000_times_less_wall_time": float(
            np.mean(wall * variances >= 1000)
        ),
        "median_over_penalties_by_n_brain_and_n_task": np.median(wall * variances, axis=2)
        .round()
        .tolist(),
        "worst_cell": {
            "n_brain": N_BRAIN[worst[0]],
            "n_task": N_TASK[worst[1]],
            "penalty": PENALTIES[worst[2]],
        },
        "agreement_in_standard_errors": {
            "cells": z.size,
            "largest": float(np.max(np.abs(z))),
            "root_mean_square": float(np.sqrt(np.mean(z**2))),
        },
        "numpy_trials": len(theirs),
        "seconds_for_the_standard_error_of_that_sweep_in_the_median_cell": {
            "numpy": float(np.median(variances) * trials * reference.fastest()["wall_s"]),
            "jaxbrain": statistics.median(ours.wall),
        },
    }


def eigenvectors_a_trial(model: jb.LinearGaussianModel) -> dict[str, float]:
    """Seconds for the factorisation of each number of recordings that no trial can do without."""
    size, trials = min(model.input_dim, model.recording_dim), 200
    matrices = np.random.default_rng(0).standard_normal((trials * len(N_BRAIN), size, size))
    matrices = jax.numpy.asarray(matrices @ matrices.swapaxes(1, 2))
    eigenvectors = jax.jit(lambda a: jax.numpy.linalg.eigh(a)[1])
    jax.block_until_ready(eigenvectors(matrices))
    clock = Clock()
    for _ in range(ROUNDS):
        clock.add(*timed(lambda: jax.block_until_ready(eigenvectors(matrices)))[1:], trials)
    return clock.a_trial()


def per_trial() -> dict:
    """Seconds of a trial with data, the same work on both sides."""
    trials = 20
    model = jb.presets.small(task_snr=1.0)

    def data():
        return jb.sweep(
            model,
            N_BRAIN,
            N_TASK,
            PENALTIES,
            trials=trials,
            key=jax.random.key(0),
            method="data",
            **ALONE,
        )

    _, first, _ = timed(data)
    ours, reference = Clock(), Reference(model)
    for _ in range(ROUNDS):
        reference.run(one_thread=trials, as_installed=1)
        ours.add(*timed(data)[1:], trials)
    wall, cpu = (reference.fastest()[unit] / ours.a_trial()[unit] for unit in ("wall_s", "cpu_s"))
    return {
        "numpy_a_trial": reference.summary(),
        "jaxbrain_a_trial": ours.a_trial(),
        "jaxbrain_sweep": {"trials": trials, **spread(ours.wall)},
        "jaxbrain_compilation_s": first - statistics.median(ours.wall),
        "times_less_wall_time": wall,
        "times_less_cpu_time": cpu,
    }


def fmri_draw() -> dict:
    """Seconds of an exact draw of the brain stage, for any number of recordings."""
    trials = 2
    problem = jb.presets.fmri().problem()

    def draw(n_brain: int, number: int) -> np.ndarray:
        return jb.sample_misalignment(problem, n_brain, trials=trials, key=jax.random.key(number))

    _, first, _ = timed(lambda: draw(FMRI_DRAWS[0], 0))
    clocks = {n: Clock() for n in FMRI_DRAWS}
    failed = 0
    for number in range(ROUNDS):
        for n, clock in clocks.items():
            draws, *times = timed(lambda n=n, number=number: draw(n, number))
            clock.add(*times, trials)
            failed += int(np.sum(~np.isfinite(draws)))
    a_draw = {n: clock.a_trial() for n, clock in clocks.items()}
    walls, cpus = ([a[unit] for a in a_draw.values()] for unit in ("wall_s", "cpu_s"))
    fastest = [a["fastest_wall_s"] for a in a_draw.values()]
    operations, rate = gflop_of_a_draw(problem), limits()["arithmetic_gflop_per_s"]
    return {
        "gflop_of_a_draw": operations,
        "arithmetic_gflop_per_s": rate,
        "fraction_of_arithmetic": operations / rate / statistics.median(walls),
        "a_draw_by_n_brain": a_draw,
        "slowest_over_fastest_n_brain": {
            "wall": max(walls) / min(walls),
            "fastest_wall": max(fastest) / min(fastest),
            "cpu": max(cpus) / min(cpus),
        },
        "compilation_s": first - trials * statistics.median(walls),
        "not_settled": failed,
    }


def gflop_of_a_draw(problem: jb.Problem) -> float:
    """Operations of the products of matrices in a draw, of which it mainly consists.

    One round of the iteration with a polynomial of degree 6 (7 with many recordings): seven
    products with the random matrix, whose blocks are those of two block diagonals and their
    transposes. Before and after it the vectors are made orthonormal twice, and the matrix is
    projected on them; they and their images are turned.
    """
    k, blocks = problem.latent_dim, -(-problem.input_dim // problem.latent_dim)
    columns = k + min(16 + k // 16, k)
    product = 4 * 2 * blocks * k**2 * columns
    tall = 2 * blocks * k * columns**2
    orthonormal = tall + tall / 2
    return (7 * product + 2 * (2 * orthonormal + tall + 2 * tall)) / 1e9


def fmri_value() -> dict:
    """Misalignment and value at fMRI scale, by exact simulation and by the closed forms."""
    seeds, trials = 12, 2
    problem = jb.presets.fmri().problem()
    found, wall, cpu = timed(
        lambda: jb.sweep(
            problem,
            FMRI_VALUES,
            [FMRI_N_TASK],
            seeds=seeds,
            trials=trials,
            key=jax.random.key(0),
        )
    )
    misalignment = found.misalignment.mean("seed").values
    error = np.sqrt((found.misalignment_standard_error.values**2).sum(-1)) / seeds
    closed = np.asarray(jb.expected_misalignment(problem, np.asarray(FMRI_VALUES, float)))
    rows = {}
    for place, n in enumerate(FMRI_VALUES):
        rows[n] = {
            "misalignment": float(misalignment[place]),
            "standard_error": float(error[place]),
            "closed_form": float(closed[place]),
            "relative_difference": float(closed[place] / misalignment[place] - 1),
            "in_standard_errors": float((closed[place] - misalignment[place]) / error[place]),
        }
        for baseline in ("ols", "ridge"):
            worth = jb.empirical_value(found, baseline).sel(n_brain=n, n_task=FMRI_N_TASK).squeeze()
            rows[n][f"value_against_{baseline}"] = {
                "simulated": float(worth.value),
                "interval_95": [float(worth.value_low), float(worth.value_high)],
                "closed_form": float(jb.value(problem, n, FMRI_N_TASK, baseline=baseline)),
                "status": str(worth.status.values),
            }
    return {
        "n_task": FMRI_N_TASK,
        "draws": seeds * trials,
        "by_n_brain": rows,
        "failed_cells": found.attrs["failed_cells"],
        "sweep_with_compilation": {"wall_s": wall, "cpu_s": cpu},
    }


PARTS: dict[str, Callable[[], dict]] = {
    "equal error": equal_error,
    "per trial": per_trial,
    "fmri draw": fmri_draw,
    "fmri value": fmri_value,
    "real inputs": _real_inputs.equal_error,
    "real inputs draw": _real_inputs.draws,
}
INSTALLED = max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
# NumPy knows no baselines: leave those of the library as small as they can be.
ALONE = {"n_task_only": N_TASK[:1]}


class Clock:
    """Wall and processor time of several repetitions."""

    def __init__(self):
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.trials: list[int] = []

    def add(self, wall: float, cpu: float, trials: int) -> None:
        self.wall.append(wall)
        self.cpu.append(cpu)
        self.trials.append(trials)

    def a_trial(self) -> dict[str, float]:
        """Medians over the repetitions, and the least."""
        walls = [time / trials for time, trials in zip(self.wall, self.trials, strict=True)]
        cpus = [time / trials for time, trials in zip(self.cpu, self.trials, strict=True)]
        return {
            "wall_s": statistics.median(walls),
            "cpu_s": statistics.median(cpus),
            "fastest_wall_s": min(walls),
            "repetitions": len(walls),
        }


class Reference:
    """Trials of the NumPy reference, with the BLAS threads as installed and with a single one."""

    def __init__(self, model: jb.LinearGaussianModel):
        names = (
            "encoder",
            "readout",
            "latent_noise",
            "recording_noise",
            "task_weights",
            "task_noise",
        )
        self.model = [np.asarray(getattr(model, name)) for name in names]
        self.rng = np.random.default_rng(0)
        self.risks: list[np.ndarray] = []
        self.clocks = {"one BLAS thread": Clock(), "BLAS threads as installed": Clock()}

    def run(self, one_thread: int, as_installed: int) -> None:
        """So many more trials of each kind, each of them timed."""
        for (name, clock), trials in zip(
            self.clocks.items(), (one_thread, as_installed), strict=True
        ):
            with threadpool_limits(1 if name == "one BLAS thread" else INSTALLED, user_api="blas"):
                for _ in range(trials):
                    found, wall, cpu = timed(self._trial)
                    clock.add(wall, cpu, 1)
                    self.risks.append(found)

    def _trial(self) -> np.ndarray:
        return numpy_reference.risks(self.rng, *self.model, N_BRAIN, N_TASK, PENALTIES, 1)

    def summary(self) -> dict[str, dict[str, float]]:
        return {name: clock.a_trial() for name, clock in self.clocks.items()}

    def fastest(self) -> dict[str, float]:
        """The better of the two settings, by its median."""
        return min(self.summary().values(), key=lambda times: times["wall_s"])


def timed(function: Callable[[], object]):
    """What the function returns, its wall time and its processor time, in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = function()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def quantiles(values: np.ndarray) -> dict[str, float]:
    least, tenth, median, most = np.quantile(values, [0, 0.1, 0.5, 1])
    return {
        "least": float(least),
        "tenth": float(tenth),
        "median": float(median),
        "most": float(most),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--part", choices=list(PARTS))
    arguments = prepare(__doc__, parser)
    part = arguments.part
    if part is None:
        # Each in a process of its own, so that its peak of memory is its own.
        for name in PARTS:
            command = [sys.executable, "-m", "benchmarks.simulation", "--part", name]
            subprocess.run([*command, "--device", arguments.device], check=True)
        return
    load = os.getloadavg()[0]
    # Threads of BLAS that wait for work take the cores from XLA's: a single one serves the library
    # best. The NumPy reference is timed with one and with all of them, and the better counts.
    with threadpool_limits(1, user_api="blas"):
        found = PARTS[part]()
    found["conditions"] = {
        "BLAS threads of jaxbrain": 1,
        "BLAS threads as installed": INSTALLED,
        "load_average_before": load,
        "load_average_after": os.getloadavg()[0],
        "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "unset"),
        "date": time.strftime("%Y-%m-%d"),
    }
    found["peak_memory_gb"] = peak_memory_gb()
    path = results_path("simulation")
    stored = json.loads(path.read_text())["results"] if path.exists() else {}
    stored[part] = found
    store("simulation", {name: stored[name] for name in PARTS if name in stored})
    if part == "equal error":
        print(verdict(found))


def verdict(found: dict) -> str:
    """The claim of a thousandfold, as this run bears it out."""
    times = found["times_less_wall_time_for_the_same_standard_error"]
    share = found["share_of_cells_with_at_least_1000_times_less_wall_time"]
    apart = found["agreement_in_standard_errors"]
    return (
        f"For the same standard error NumPy takes {times['median']:,.0f} times as long in the "
        "median of "
        f"{apart['cells']} cells, at least {times['least']:,.0f} times; a thousand times in "
        f"{share:.0%} of "
        f"them. Means differ by {apart['largest']:.1f} standard errors at most."
    )


if __name__ == "__main__":
    main()
