"""How close the closed forms for inputs of any covariance come to drawn brain stages.

    python -m benchmarks.real_inputs

Writes results/real_inputs.json, of which `python -m benchmarks.accuracy` makes tables.
"""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxbrain as jb
from jaxbrain.theory.any_covariance import solve_cells, with_geometry

from ._measure import store
from ._real_inputs_draws import (
    ESTIMATORS,
    Cell,
    RidgeCurve,
    Study,
    grid,
    prior_variances,
    risk,
    study_of,
)

# For each number of inputs: latents, the share of all cells that is taken, draws.
SIZES = {30: ((1, 3, 7, 15), 0.5, 100), 200: ((6, 16), 0.35, 20)}
LABELS = (0.5, 2.0)
COLUMNS = [*Cell._fields, "n_task", "estimator", "penalty", "risk", "simulated"]
COLUMNS += ["error", "value", "simulated_value"]


def model_of(cell: Cell, study: Study) -> jb.LinearGaussianModel:
    """The study as the library has it."""
    root = np.sqrt(study.variances)[:, None]
    return jb.LinearGaussianModel(
        encoder=study.directions / root,
        readout=np.eye(cell.p, cell.k) * np.sqrt(study.gain),
        latent_noise=cell.latent_noise,
        recording_noise=study.recording_noise,
        task_weights=study.weights / root[:, 0],
        task_noise=cell.task_noise,
        input_covariance=study.variances,
    )


def rows_of(cell: Cell, draws: int) -> list[list]:
    """Closed forms at their best penalties, and the mean over draws at the same ones."""
    study, n_task = study_of(cell), np.array([share * cell.d for share in LABELS])
    problem = with_geometry(model_of(cell, study).problem())
    n_brain, encoding = (jnp.asarray(float(x)) for x in (cell.n_brain, cell.encoding_penalty))
    cells = problem, n_brain, jnp.asarray(n_task), None, None, encoding
    answers = {name: jax.tree.map(np.asarray, solve_cells(*cells, name)) for name in ESTIMATORS}
    seconds = {name: found.second_penalty / found.penalty for name, found in answers.items()}
    rng = np.random.default_rng([cell.d, cell.k, cell.p, cell.n_brain])
    risks = {(name, at): [] for name in ESTIMATORS for at in range(len(n_task))}
    for _ in range(draws):
        for name, at, prior, power in prior_variances(rng, cell, study, seconds):
            free = cell.k if name == "befs" else 0
            if n_task[at] > free + 1:
                numbers = n_task[at], float(answers[name].penalty[at]), free
                risks[name, at].append(risk(prior, power, cell.task_noise, *numbers))
    curve, rows = RidgeCurve(study, cell.task_noise), []
    for (name, at), found in risks.items():
        if not found:
            continue
        theory, mean = float(answers[name].risk[at]), float(np.mean(found))
        error = float(np.std(found, ddof=1) / np.sqrt(draws))
        worths = (curve.labels_for(each) - n_task[at] for each in (theory, mean))
        numbers = (answers[name].penalty[at], theory, mean, error, *worths)
        rows.append([*cell, float(n_task[at]), name, *(float(f"{x:.5g}") for x in numbers)])
    return rows


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    rows, start = [], time.perf_counter()
    for d, (latents, share, draws) in SIZES.items():
        for cell in grid(d, latents, share):
            new = rows_of(cell, draws)
            rows += new
            print(f"{time.perf_counter() - start:.0f} s", json.dumps(new), flush=True)
    store("real_inputs", {"columns": COLUMNS, "rows": rows})


if __name__ == "__main__":
    main()
