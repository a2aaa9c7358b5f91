"""What a pilot says of a study: the problem, and draws that say how sure each number is."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import AnyArray
from ..models import Problem

# Variances of inputs that differ by no more than this factor are as good as equal.
_FLAT = 3.0


class Measured(NamedTuple):
    """A number with its 95 % interval.

    **Fields**

    - `value`: the median of the draws.
    - `low`, `high`: a fortieth of the draws lies below, and above.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: AnyArray) -> Measured:
        """Those of draws of a number; NaN where one of them is none."""
        numbers = np.asarray(draws, float)
        # Between two draws there may be nothing, where one is infinite.
        method = "linear" if np.all(np.isfinite(numbers)) else "nearest"
        low, value, high = np.quantile(numbers, [0.025, 0.5, 0.975], method=method)
        return cls(float(value), float(low), float(high))


NUMBERS = (
    *("latent_dim", "task_snr", "misalignment", "aligned_power", "misaligned_power"),
    *("task_noise", "encoding_noise", "latent_noise", "gain", "latent_alignment"),
    "task_alignment",
)
"""The numbers of a study, in the order in which they are told."""


class PilotEstimate(eqx.Module):
    """A study as a pilot measured it: what `estimate` and `read_study` return.

    >>> import numpy as np
    >>> from jaxbrain import pilot
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(60, 6))
    >>> recordings = x[:, :2] @ rng.normal(size=(2, 9)) + rng.normal(size=(60, 9))
    >>> found = pilot.estimate(x, recordings, x, x[:, 0] + rng.normal(size=60), rank=2, draws=20)
    >>> found.count, found.latent_dims, found.problem.input_dim
    (20, {2: 1.0}, 6)

    **Arguments**

    - `problem`: the draw nearest to the medians of all numbers, a `Problem` for every closed form.
    - `draws`: problems that are as likely as the pilot allows. Those of one latent dimension are
      one `Problem`, whose arrays have a leading axis: map over it with `jax.lax.map`.
    - `n_brain`, `n_task`: rows of the pilot, those that depend on each other counted as fewer.
    - `notes`: what to doubt, in words.

    **Raises**

    Nothing: `estimate` and `read_study` check what they put in.

    **Source**

    Ours: docs/theory.md, "From a pilot".
    """

    problem: Problem
    draws: tuple[Problem, ...]
    n_brain: float
    n_task: float
    notes: tuple[str, ...] = eqx.field(static=True)

    @property
    def count(self) -> int:
        """Number of draws."""
        return sum(len(draws.task_noise) for draws in self.draws)

    @property
    def latent_dims(self) -> dict[int, float]:
        """Probability of each latent dimension."""
        return {draws.latent_dim: len(draws.task_noise) / self.count for draws in self.draws}

    @property
    def numbers(self) -> dict[str, Measured]:
        """Each number of the study with its interval, by its name in a study file."""
        found = [numbers_of(draws) for draws in self.draws]
        return {
            name: Measured.of(np.concatenate([np.asarray(each[name]) for each in found]))
            for name in NUMBERS
        }


@eqx.filter_jit
def numbers_of(draws: Problem) -> dict[str, jax.Array]:
    """The numbers that a study file names, of each of the draws of one latent dimension."""

    def of_one(problem: Problem) -> dict[str, jax.Array]:
        k, dtype = problem.latent_dim, problem.task_noise.dtype
        geometry = problem.known_geometry
        logarithms = jnp.log(geometry.variances)
        outside = geometry.weights - geometry.directions @ (
            geometry.directions.T @ geometry.weights
        )
        return {
            "latent_dim": jnp.asarray(k, dtype),
            "task_snr": problem.task_snr,
            "misalignment": problem.relative_misalignment,
            "aligned_power": problem.total_aligned_power,
            "misaligned_power": problem.misaligned_power,
            "task_noise": problem.task_noise,
            "latent_noise": problem.trace(problem.latent_noise) / k,
            "encoding_noise": problem.trace(problem.encoding_noise) / k,
            "gain": problem.trace(problem.gain) / k / problem.recording_noise,
            "latent_alignment": _lean(jnp.sum(geometry.directions**2, axis=1), logarithms),
            "task_alignment": _lean(outside**2, logarithms),
        }

    return jax.lax.map(of_one, draws)


def _lean(power: jax.Array, logarithms: jax.Array) -> jax.Array:
    """The exponent a of the likeliest power law: power of a direction as its variance to the a."""
    # Mean logarithm of the variance under the law, which grows with a, is that under the power.
    target = jnp.sum(power * logarithms) / jnp.maximum(jnp.sum(power), 1e-300)

    def halve(bounds, _):
        middle = (bounds[0] + bounds[1]) / 2
        below = jnp.sum(jax.nn.softmax(middle * logarithms) * logarithms) < target
        return (jnp.where(below, middle, bounds[0]), jnp.where(below, bounds[1], middle)), None

    ends = tuple(jnp.asarray(bound, logarithms.dtype) for bound in (-10.0, 10.0))
    low, high = jax.lax.scan(halve, ends, length=40)[0]
    # Where all inputs vary alike, power lies nowhere before elsewhere.
    flat = jnp.max(logarithms) - jnp.min(logarithms) < np.log(_FLAT)
    return jnp.where(flat, jnp.nan, (low + high) / 2)
