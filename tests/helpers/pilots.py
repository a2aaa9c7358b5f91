"""A study as a pilot might have measured it, made by hand: small, and quick to compute with."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jaxbrain.models import Problem
from jaxbrain.pilot.estimates import PilotEstimate

INPUT_DIM, LATENT_DIMS, DRAWS_EACH = 20, (2, 3), 6
NOTES = ("Rows depend on each other: 60 count as 55.", 'A word of "caution".')


def drawn_problem(key, latent_dim, misalignment):
    """In matrices, as a sampler finds it."""
    first, second, third, fourth = jr.split(key, 4)
    made = Problem.power_law(
        INPUT_DIM, 1.0, latent_dim, 1.0, misalignment, 0.5, recording_dim=30, key=first
    )
    eye = jnp.eye(latent_dim)
    spread = 0.1 * jr.normal(second, (latent_dim, latent_dim))
    # What the task has along the latents.
    told = made.geometry.directions.T @ made.geometry.weights
    return Problem(
        input_dim=INPUT_DIM,
        latent_dim=latent_dim,
        recording_dim=30,
        latent_noise=0.4 * eye + spread @ spread.T,
        gain=jr.uniform(third, minval=8.0, maxval=12.0) * eye,
        recording_noise=jr.uniform(fourth, minval=0.8, maxval=1.2),
        aligned_power=jnp.outer(told, told),
        misaligned_power=misalignment,
        task_noise=1.0,
        geometry=made.geometry,
    )


def pilot_estimate(misalignments=(0.05, 0.5), notes=NOTES):
    """Draws of two numbers of latents, whose misalignments lie evenly between these."""
    shares = np.linspace(*misalignments, DRAWS_EACH)
    stacks = []
    for latent_dim in LATENT_DIMS:
        problems = [
            drawn_problem(jr.key(100 * latent_dim + place), latent_dim, share)
            for place, share in enumerate(shares)
        ]
        stacks.append(jax.tree.map(lambda *numbers: jnp.stack(numbers), *problems))
    middle = jax.tree.map(lambda numbers: numbers[DRAWS_EACH // 2], stacks[0])
    return PilotEstimate(middle, tuple(stacks), n_brain=54.5, n_task=40.0, notes=notes)
