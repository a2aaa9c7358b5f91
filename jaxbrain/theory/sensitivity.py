"""What would raise the value of recordings most: elasticities, from the model down."""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._arguments import check_n_brain, check_n_task
from .._checks import check_choice, check_finite
from .._typing import Real
from ..models import LinearGaussianModel, Problem
from ..models.problem import ProblemNumbers, TracedProblem
from .accuracy import warn_outside_validated
from .brain_stage import subspace_moments
from .task_stage import task_stage
from .value import information_value_of

Measure = Literal["value", "information_value"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


class Elasticities(NamedTuple):
    """Percent change of the value for one percent more of each thing an experimenter can act on.

    **Fields**

    - `n_brain`: of recorded samples.
    - `n_task`: of labels.
    - `channels`: of recording channels of the kind there are, each with its own measurement noise.
    - `recording_noise`: of the variance of the measurement noise.
    - `latent_noise`: of the variance of the neural variability.
    - `misalignment`: of the share of the task outside the brain-sensitive subspace, the length of
      the task kept. NaN where that is all of it: no share is above 1.
    - `task_noise`: of the variance of the label noise.

    Single numbers without unit.
    """

    n_brain: Array
    n_task: Array
    channels: Array
    recording_noise: Array
    latent_noise: Array
    misalignment: Array
    task_noise: Array


def elasticities(
    problem: Problem | LinearGaussianModel,
    n_brain: Real,
    n_task: Real,
    *,
    measure: Measure = "value",
) -> Elasticities:
    """What would raise the value of recordings most: its percent change for one percent of each.

    >>> import jaxbrain as jb
    >>> problem = jb.presets.fmri(task_snr=1.0).problem()
    >>> change = jb.elasticities(problem, n_brain=18_000, n_task=10_000)
    >>> print(f"{float(change.n_brain):.2f} {float(change.recording_noise):.2f}")
    0.45 -0.03

    **Arguments**

    - `problem`: a `Problem`, or the `LinearGaussianModel` itself. Given a model the derivatives run
      through its readout, noise and task weights, its summary included. Channels count only where
      they are known (`recording_dim`).
    - `n_brain`, `n_task`: one number each, finite.
    - `measure`: of which value, `"value"` (against least squares) or `"information_value"`.

    **Returns**

    `Elasticities`: derivatives d log value / d log x by automatic differentiation, pure numbers.
    Where the value is negative they are of its size, so that positive still means more value. NaN
    where the value is 0, and for the misalignment where it is all of the task and cannot grow.

    **Raises**

    `ValueError` that names the argument and the remedy: arrays, infinite numbers, an unknown
    `measure`.

    **Source**

    Derivatives of the closed forms of `value` and `information_value`.
    """
    if isinstance(problem, LinearGaussianModel):
        problem = _differentiable(problem)
        check_n_brain(problem.problem(), n_brain)
        summary = problem.problem()
    else:
        summary = problem
    check_choice("measure", measure, MEASURES)
    numbers = check_n_brain(summary, n_brain), check_n_task(summary, n_task)
    for name, number in zip(("n_brain", "n_task"), numbers, strict=True):
        check_finite(name, number)
        if number.ndim:
            raise ValueError(f"{name} must be one number: map over several with jax.vmap")
    warn_outside_validated(summary, numbers[0])
    traced = problem.with_traced_sizes() if isinstance(problem, Problem) else problem
    known = summary.recording_dim is not None
    return _elasticities(traced, *numbers, measure, known)


def _differentiable(model: LinearGaussianModel) -> LinearGaussianModel:
    # The derivative of single eigenvectors does not exist where gains repeat; that of the matrix
    # form, which a latent noise given as a matrix leads to, does.
    noise = model.latent_noise
    if noise.ndim:
        return model
    full = noise * jnp.eye(model.latent_dim, dtype=noise.dtype)
    return eqx.tree_at(lambda model: model.latent_noise, model, full)


@partial(jax.jit, static_argnames=("measure", "channels_known"))
def _elasticities(problem, n_brain, n_task, measure, channels_known):
    def amount(logs: Elasticities) -> Array:
        scale = jax.tree.map(jnp.exp, logs)
        summary = _summary(problem, scale, channels_known)
        subspace = subspace_moments(summary, n_brain * scale.n_brain, None, "finite")
        labels = n_task * scale.n_task
        if measure == "value":
            return task_stage(summary, subspace, labels, None, "finite").extra_samples
        return information_value_of(summary, subspace.misalignment, labels)

    unchanged = Elasticities(*(jnp.zeros_like(n_brain) for _ in Elasticities._fields))
    worth, slopes = jax.value_and_grad(amount)(unchanged)
    changes = jax.tree.map(lambda slope: slope / jnp.abs(worth), slopes)
    summary = problem.problem() if isinstance(problem, LinearGaussianModel) else problem
    misalignment = jnp.where(_is_partly_aligned(summary), changes.misalignment, jnp.nan)
    return changes._replace(misalignment=misalignment)


def _is_partly_aligned(problem: ProblemNumbers) -> Array:
    """Whether more of the task than rounding leaves lies inside the brain-sensitive subspace."""
    total = problem.total_aligned_power
    return total > 1e6 * jnp.finfo(total.dtype).eps ** 2 * problem.total_power


def _summary(
    problem: TracedProblem | LinearGaussianModel, scale: Elasticities, channels_known: bool
) -> TracedProblem:
    """The summary of the problem with every ingredient times its scale."""
    noise = (
        problem.latent_noise * scale.latent_noise,
        problem.recording_noise * scale.recording_noise,
        problem.task_noise * scale.task_noise,
    )
    # More channels of the same kind: HᵀH in proportion, if there are channels.
    if isinstance(problem, LinearGaussianModel):
        scaled = (
            eqx.tree_at(
                lambda model: (
                    model.readout,
                    model.latent_noise,
                    model.recording_noise,
                    model.task_noise,
                ),
                problem,
                (problem.readout * jnp.sqrt(scale.channels), *noise),
            )
            .problem()
            .with_traced_sizes()
        )
    else:
        gain = problem.gain * scale.channels if channels_known else problem.gain
        scaled = eqx.tree_at(
            lambda summary: (
                summary.gain,
                summary.latent_noise,
                summary.recording_noise,
                summary.task_noise,
            ),
            problem,
            (gain, *noise),
        )
    if channels_known:
        more = scaled.recording_dim * scale.channels
        scaled = eqx.tree_at(lambda summary: summary.recording_dim, scaled, more)
    # What is missed grows at the expense of what is not, in proportion.
    grown = scaled.misaligned_power * (scale.misalignment - 1)
    some = _is_partly_aligned(scaled)
    shrunk = jnp.where(some, grown / jnp.where(some, scaled.total_aligned_power, 1.0), 0.0)
    return eqx.tree_at(
        lambda summary: (summary.aligned_power, summary.misaligned_power),
        scaled,
        (scaled.aligned_power * (1 - shrunk), scaled.misaligned_power + grown),
    )
