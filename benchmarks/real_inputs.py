"""How close the closed forms for inputs of any covariance come to drawn brain stages.

    python -m benchmarks.real_inputs

Writes results/real_inputs.json, of which `python -m benchmarks.accuracy` makes tables.
"""

import json
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

import jaxbrain as jb
from jaxbrain.theory.any_covariance import solve_cells
from jaxbrain.theory.spectral_study import with_geometry

from ._measure import store
from ._real_inputs_draws import (
    ESTIMATORS,
    PLANS,
    Cell,
    RidgeCurve,
    Study,
    grid,
    prior_variances,
    risk,
    study_of,
)
from ._real_inputs_page import is_warned

LABELS = (0.5, 2.0)
COLUMNS = [*Cell._fields, "n_task", "estimator", "penalty", "risk", "simulated"]
COLUMNS += ["error", "value", "simulated_value", "value_error"]
# Of a value, from n_brain = 10 k on, where it is more than so many labels for each of n_task.
PRECISION, WORTH, MOST_DRAWS = 0.008, 0.2, {30: 6000, 200: 300}


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


def rows_of(cell: Cell, draws: int, seed: int = 0) -> list[list]:
    """Closed forms at their best penalties, and the mean over draws at the same ones."""
    study, n_task = study_of(cell), np.array([share * cell.d for share in LABELS])
    problem = with_geometry(model_of(cell, study).problem())
    n_brain, encoding = (jnp.asarray(float(x)) for x in (cell.n_brain, cell.encoding_penalty))
    cells = problem, n_brain, jnp.asarray(n_task), None, None, encoding
    answers = {name: jax.tree.map(np.asarray, solve_cells(*cells, name)) for name in ESTIMATORS}
    seconds = {name: found.second_penalty / found.penalty for name, found in answers.items()}
    rng = np.random.default_rng([cell.d, cell.k, cell.p, cell.n_brain, seed])
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
        worths = [curve.labels_for(each) - n_task[at] for each in (theory, mean)]
        ends = (curve.labels_for(mean + sign * error) for sign in (-1, 1))
        worths.append(abs(np.subtract(*ends)) / 2)
        numbers = (answers[name].penalty[at], theory, mean, error, *worths)
        rows.append([*cell, float(n_task[at]), name, *(float(f"{x:.5g}") for x in numbers)])
    return rows


def precise_rows(rows: list[list]) -> Iterator[list[list]]:
    """Fresh draws of the studies in which values matter, as many as tell them precisely."""
    needed: dict[Cell, float] = {}
    for row in rows:
        cell = Cell(*row[: len(Cell._fields)])
        n_task, (value, error) = row[len(Cell._fields)], row[-2:]
        if cell.n_brain >= 10 * cell.k and value > WORTH * n_task and not is_warned(cell):
            needed[cell] = max(needed.get(cell, 0.0), error / value / PRECISION)
    draws = {plan.d: plan.draws for plan in PLANS["rows"]}
    for cell, times in needed.items():
        yield rows_of(cell, min(int(draws[cell.d] * times**2) + 20, MOST_DRAWS[cell.d]), seed=1)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    found, start = {"columns": COLUMNS}, time.perf_counter()

    def gather(name: str, new: Iterator[list[list]]) -> None:
        found[name] = []
        for rows in new:
            found[name] += rows
            print(f"{time.perf_counter() - start:.0f} s", name, json.dumps(rows), flush=True)

    for name, plans in PLANS.items():
        gather(name, (rows_of(cell, plan.draws) for plan in plans for cell in grid(plan)))
    gather("precise", precise_rows(found["rows"]))
    store("real_inputs", found)


if __name__ == "__main__":
    main()
