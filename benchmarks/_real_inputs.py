"""What simulation costs for inputs whose spectrum falls, with ridge encoding: two parts."""

import statistics
import time

import jax
import numpy as np

import jaxbrain as jb

from .numpy_reference import learned_basis

N_BRAIN = [60, 150, 300, 600, 1500, 3000]
N_TASK = [20, 50, 100, 200, 400, 800]
PENALTIES = np.logspace(-2, 2, 20)
ENCODING_PENALTY = 0.1
TRIALS, REFERENCE_TRIALS = 64, 24
DRAWS = {"d 512": (512, 51, [250, 4_000]), "d 4 096": (4096, 410, [2_000, 18_000])}


def equal_error() -> dict:
    """Time that each side needs for the same standard error, in each cell of a grid; d 300."""
    problem = jb.Problem.power_law(300, 1.0, 10, 1.0, misalignment=0.2, latent_noise=0.3)
    options = dict(encoding_penalty=ENCODING_PENALTY, trials=TRIALS, n_task_only=N_TASK[:1])

    def sweep(seed: int):
        return jb.sweep(problem, N_BRAIN, N_TASK, PENALTIES, key=jax.random.key(seed), **options)

    sweep(0)
    walls, rng = [], np.random.default_rng(0)
    for seed in range(3):
        start = time.perf_counter()
        found = sweep(seed)
        walls.append((time.perf_counter() - start) / TRIALS)
    start = time.perf_counter()
    theirs = np.stack([_numpy_trial(problem, rng) for _ in range(REFERENCE_TRIALS)])
    reference = (time.perf_counter() - start) / REFERENCE_TRIALS
    mean, error = (found[name].values[..., 0] for name in ("risk", "risk_standard_error"))
    variance = theirs.var(0, ddof=1)
    # Cells whose error has no mean are none.
    known = np.isfinite(mean)
    z = (mean - theirs.mean(0)) / np.hypot(error, np.sqrt(variance / REFERENCE_TRIALS))
    times = variance / (error**2 * TRIALS) * reference / statistics.median(walls)
    return {
        "cells": int(known.sum()),
        "numpy_s_a_trial": reference,
        "jaxbrain_s_a_trial": statistics.median(walls),
        "times_less_time_for_the_same_standard_error": {
            "least": float(np.min(times[known])),
            "median": float(np.median(times[known])),
            "most": float(np.max(times[known])),
        },
        "agreement_in_standard_errors": {
            "largest": float(np.max(np.abs(z[known]))),
            "root_mean_square": float(np.sqrt(np.mean(z[known] ** 2))),
        },
    }


def _numpy_trial(problem: jb.Problem, rng: np.random.Generator) -> np.ndarray:
    """Draw, fit, solve: every penalty has a solve of its own. (n_brain, n_task, penalty)."""
    geometry = problem.geometry
    root = np.sqrt(np.asarray(geometry.variances))
    directions, theta = np.asarray(geometry.directions), np.asarray(geometry.weights)
    d, k = directions.shape
    noise = np.sqrt(np.asarray(problem.latent_noise))
    weights = theta / root
    bases = []
    for n in N_BRAIN:
        white = rng.standard_normal((n, d))
        recordings = white @ directions + noise * rng.standard_normal((n, k))
        lifted = np.vstack([white * root, np.sqrt(n * ENCODING_PENALTY) * np.eye(d)])
        bases.append(learned_basis(lifted, np.vstack([recordings, np.zeros((d, k))]), k))
    found = np.empty((len(N_BRAIN), len(N_TASK), len(PENALTIES)))
    for column, n in enumerate(N_TASK):
        inputs = rng.standard_normal((n, d)) * root
        targets = inputs @ weights + np.sqrt(float(problem.task_noise)) * rng.standard_normal(n)
        gram, moments = inputs.T @ inputs / n, inputs.T @ targets / n
        for row, basis in enumerate(bases):
            outside = np.eye(d) - basis @ basis.T
            for place, penalty in enumerate(PENALTIES):
                error = np.linalg.solve(gram + penalty * outside, moments) - weights
                found[row, column, place] = np.sum((root * error) ** 2)
    return found


def draws() -> dict:
    """Seconds of an exact draw with its task stage, for all numbers of labels and penalties."""
    found = {}
    for name, (d, k, n_brain) in DRAWS.items():
        problem = jb.Problem.power_law(d, 1.0, k, 1.0, misalignment=0.2, latent_noise=0.3)
        n_task = [k // 2, *(k + 2 ** np.arange(4, 11, 2)), 100_000]
        trials, rows = 2 if d > 1000 else 8, {}
        for n in n_brain:
            times = []
            for seed in range(2):
                start, cpu = time.perf_counter(), time.process_time()
                jb.sweep(
                    problem, [n], n_task, PENALTIES, encoding_penalty=ENCODING_PENALTY,
                    trials=trials, n_task_only=N_TASK[:1], key=jax.random.key(seed),
                )  # fmt: skip
                elapsed = time.perf_counter() - start, time.process_time() - cpu
                times.append([seconds / trials for seconds in elapsed])
            rows[n] = {"wall_s": times[1][0], "cpu_s": times[1][1]}
        found[name] = {"cells": len(n_task) * len(PENALTIES), "a_draw_by_n_brain": rows}
    return found
