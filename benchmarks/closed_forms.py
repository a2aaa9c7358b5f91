"""What the closed forms cost: value and its gradient over a grid, on the fMRI problem, against NumPy.

python -m benchmarks.closed_forms [--device gpu]
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jaxbrain as jb

from . import numpy_reference
from ._measure import (
    SUM_LENGTH,
    limits,
    once,
    peak_memory_gb,
    prepare,
    seconds,
    side_by_side,
    slope,
    spread,
    store,
)

GRID = 100
LATENTS = [50, 200, 800, 3200, 12_800]
CELLS = [10, 30, 100, 300, 1000]


def numpy_problem(problem: jb.Problem) -> tuple:
    names = ("latent_noise", "gain", "recording_noise", "aligned_power", "misaligned_power")
    spectra = [np.asarray(getattr(problem, name)) for name in (*names, "task_noise")]
    channels = problem.recording_dim or problem.latent_dim
    return problem.input_dim, channels, *spectra


def grid_of(cells: int) -> tuple[jax.Array, jax.Array]:
    return jnp.geomspace(4_500.0, 1e6, cells), jnp.geomspace(500.0, 1e6, cells)


def values_and_gradients(limit: dict[str, float]) -> dict:
    problem = jb.presets.fmri().problem()
    n_brain, n_task = grid_of(GRID)
    reference = numpy_problem(problem)

    # Every cell on its own: brain stage, task stage and the gradient in every continuous argument,
    # three spectra of 410 entries included.
    cell = jax.value_and_grad(partial(jb.value, baseline="ols"), argnums=(0, 1, 2))
    by_cell = jax.jit(jax.vmap(jax.vmap(cell, (None, None, 0)), (None, 0, None)))

    # The same values by broadcasting: the brain stage once for each n_brain.
    broadcast = jax.jit(partial(jb.value, baseline="ols"))
    columns, rows = n_brain[:, None], n_task[None, :]

    times = side_by_side(
        {
            "broadcast": lambda: broadcast(problem, columns, rows),
            "by cell": lambda: by_cell(problem, n_brain, n_task),
            "numpy": lambda: numpy_reference.values(*reference, n_brain, n_task),
        }
    )
    values, gradients = by_cell(problem, n_brain, n_task)
    fast = broadcast(problem, columns, rows)
    theirs = numpy_reference.values(*reference, n_brain, n_task)

    # In NumPy a gradient is a difference in each of its entries: one cell is timed, for all.
    row, column = 60, 70
    point = float(n_brain[row]), float(n_task[column])
    difference_times = [
        once(lambda: numpy_reference.value_gradient(*reference, *point)) for _ in range(3)
    ]
    differences = numpy_reference.value_gradient(*reference, *point)
    ours = jax.tree.map(lambda x: np.asarray(x)[row, column], gradients)
    in_problem = [
        getattr(ours[0], name)
        for name in ("latent_noise", "gain", "recording_noise", "aligned_power")
    ]
    ours = [*in_problem, ours[0].misaligned_power, ours[0].task_noise, *ours[1:]]
    off = [
        np.max(np.abs(mine - other)) / np.max(np.abs(other))
        for mine, other in zip(ours, differences, strict=True)
    ]
    # At the least, latents are summed once for each brain stage, and the results written once.
    a_sum = limit["sum_over_latents_ns_per_term"] * 1e-9 * SUM_LENGTH
    a_number = 8e-9 / limit["memory_gb_per_s"]
    entries = sum(np.size(entry) for entry in ours)
    least = GRID * a_sum + GRID**2 * a_number
    least_with_gradient = GRID**2 * (a_sum + (1 + entries) * a_number)
    return {
        "cells": GRID**2,
        "latents": problem.latent_dim,
        "value": {
            "jaxbrain": times["broadcast"],
            "numpy": times["numpy"],
            "times_faster": times["numpy"]["median_s"] / times["broadcast"]["median_s"],
            "largest_relative_difference": float(np.max(np.abs(fast / theirs - 1))),
            "fraction_of_limit": least / times["broadcast"]["median_s"],
        },
        "value_and_gradient_of_each_cell": {
            "jaxbrain": times["by cell"],
            "numpy_one_cell": spread(difference_times),
            "times_faster": GRID**2
            * spread(difference_times)["median_s"]
            / times["by cell"]["median_s"],
            "largest_relative_difference": float(np.max(off)),
            "largest_relative_difference_of_values": float(jnp.max(jnp.abs(values / fast - 1))),
            "fraction_of_limit": least_with_gradient / times["by cell"]["median_s"],
        },
    }


def growth() -> dict:
    """Seconds as the grid grows, and as the spectra do."""
    problem = jb.presets.fmri().problem()
    value = jax.jit(partial(jb.value, baseline="ols"))
    cells = []
    for number in CELLS:
        n_brain, n_task = grid_of(number)
        columns, rows = n_brain[:, None], n_task[None, :]
        cells.append(seconds(lambda c=columns, r=rows: value(problem, c, r)))
    latents = []
    for k in LATENTS:
        rng = np.random.default_rng(0)
        spectrum = jb.Problem(
            input_dim=10 * k,
            latent_dim=k,
            recording_dim=20 * k,
            latent_noise=rng.uniform(0.1, 1, k),
            gain=rng.uniform(10, 30, k),
            recording_noise=4.0,
            aligned_power=np.full(k, 0.9 / k),
            misaligned_power=0.1,
            task_noise=10.0,
        )
        n_brain, n_task = jnp.geomspace(12.0 * k, 1e3 * k, GRID), jnp.asarray(50.0 * k)
        latents.append(seconds(lambda s=spectrum, n=n_brain, t=n_task: value(s, n, t)))
    return {
        "cells": {"sizes": [n**2 for n in CELLS], "times": cells},
        "latents": {"sizes": LATENTS, "times": latents, "cells": GRID},
        # Small sizes are overhead: the exponent is that of the three largest.
        "exponent_in_cells": slope(
            [n**2 for n in CELLS[-3:]], [time["median_s"] for time in cells[-3:]]
        ),
        "exponent_in_latents": slope(LATENTS[-3:], [time["median_s"] for time in latents[-3:]]),
    }


def main() -> None:
    prepare(__doc__)
    limit = limits()
    results = {"limits": limit, **values_and_gradients(limit), "growth": growth()}
    store("closed_forms", {**results, "peak_memory_gb": peak_memory_gb()})


if __name__ == "__main__":
    main()
