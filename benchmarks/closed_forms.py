"""What the closed forms cost: value and its gradient over a grid, on the fMRI problem.

python -m benchmarks.closed_forms
"""

import jax
import jax.numpy as jnp

import jaxbrain as jb

from ._measure import seconds, store


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    problem = jb.presets.fmri().problem()
    n_brain = jnp.geomspace(4_500.0, 1e6, 100)
    n_task = jnp.geomspace(500.0, 1e6, 100)

    # Every cell on its own: brain stage, task stage and the gradient in every continuous argument,
    # three spectra of 410 entries included.
    cell = jax.value_and_grad(jb.value, argnums=(0, 1, 2))
    by_cell = jax.jit(jax.vmap(jax.vmap(cell, (None, None, 0)), (None, 0, None)))

    # The same values by broadcasting: the brain stage once for each n_brain.
    broadcast = jax.jit(jb.value)
    columns, rows = n_brain[:, None], n_task[None, :]

    by_cell_times = seconds(lambda: by_cell(problem, n_brain, n_task))
    broadcast_times = seconds(lambda: broadcast(problem, columns, rows))
    values, gradients = by_cell(problem, n_brain, n_task)
    agreement = jnp.max(jnp.abs(values / broadcast(problem, columns, rows) - 1))
    step = 1e-3
    moved = (
        broadcast(problem, columns * (1 + step), rows)
        - broadcast(problem, columns * (1 - step), rows)
    ) / (2 * step * columns)
    accuracy = jnp.max(jnp.abs(gradients[1] - moved) / (jnp.abs(moved) + 1e-3))
    store(
        "closed_forms",
        {
            "grid": [100, 100],
            "spectrum": problem.latent_dim,
            "value_and_gradient_by_cell": by_cell_times,
            "value_by_broadcasting": broadcast_times,
            "largest_relative_difference_of_the_two": float(agreement),
            "gradient_in_n_brain_against_differences": float(accuracy),
        },
    )


if __name__ == "__main__":
    main()
