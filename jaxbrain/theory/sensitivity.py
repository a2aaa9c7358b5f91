"""What would raise the value of recordings most: elasticities, from the model down."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._arguments import check_n_task, check_recordings, is_white
from .._checks import check_choice, check_finite
from .._typing import Real
from ..models import LinearGaussianModel, Problem
from ..models.problem import ProblemNumbers
from .accuracy import warn_outside_validated, warn_outside_validated_ridge
from .any_covariance import information_of_cells, solve_cells, value_of_cells
from .brain_stage import subspace_moments
from .spectral_study import with_geometry
from .task_stage import task_stage
from .value import information_value_of

Measure = Literal["value", "information_value"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
_ESTIMATORS = {"value": "befs", "information_value": "befs_two_penalties"}


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
    encoding_penalty: Real | str = 0.0,
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
    - `encoding_penalty`: as in `risk`, one number, or `"optimal"`. It stays what it is while
      everything else changes; the best one does not.

    **Returns**

    `Elasticities`: derivatives d log value / d log x by automatic differentiation, pure numbers.
    Where the value is negative they are of its size, so that positive still means more value. NaN
    where the value is 0, and for the misalignment where it is all of the task and cannot grow.

    **Raises**

    `ValueError` that names the argument and the remedy: arrays, infinite numbers, an unknown
    `measure`.

    **Source**

    Derivatives of the closed forms of `value` and `information_value`; where inputs are not white,
    or the encoding stage has a penalty, those of docs/theory.md, "Inputs of any covariance".
    """
    if isinstance(problem, LinearGaussianModel):
        problem = _differentiable(problem)
        summary = problem.problem()
    else:
        summary = problem
    check_choice("measure", measure, MEASURES)
    samples, encoding = check_recordings(summary, n_brain, encoding_penalty)
    numbers = samples, check_n_task(summary, n_task)
    given = {"n_brain": numbers[0], "n_task": numbers[1], "encoding_penalty": encoding}
    for name, number in given.items():
        if number is not None:
            check_finite(name, number)
            if number.ndim:
                raise ValueError(f"{name} must be one number: map over several with jax.vmap")
    known = summary.recording_dim is not None
    if not is_white(summary, encoding):
        warn_outside_validated_ridge(summary, numbers[0], encoding, "befs", 3)
        if encoding is None:
            # Where it is best its own changes do not matter: it can as well be given.
            cells = with_geometry(summary), *numbers, None, None, None
            encoding = solve_cells(*cells, _ESTIMATORS[measure]).encoding_penalty
        return _elasticities(problem, *numbers, encoding, measure, known, white=False)
    warn_outside_validated(summary, numbers[0])
    traced = problem.with_traced_sizes() if isinstance(problem, Problem) else problem
    return _elasticities(traced, *numbers, None, measure, known, white=True)


def _differentiable(model: LinearGaussianModel) -> LinearGaussianModel:
    # The derivative of single eigenvectors does not exist where gains repeat; that of the matrix
    # form, which a latent noise given as a matrix leads to, does.
    noise = model.latent_noise
    if noise.ndim:
        return model
    full = noise * jnp.eye(model.latent_dim, dtype=noise.dtype)
    return eqx.tree_at(lambda model: model.latent_noise, model, full)


@partial(jax.jit, static_argnames=("measure", "channels_known", "white"))
def _elasticities(problem, n_brain, n_task, encoding_penalty, measure, channels_known, *, white):
    def amount(logs: Elasticities) -> Array:
        scale = jax.tree.map(jnp.exp, logs)
        summary = _summary(problem, scale, channels_known, white)
        recordings, labels = n_brain * scale.n_brain, n_task * scale.n_task
        if not white:
            study = recordings, labels, encoding_penalty, scale.channels
            return _amount_of_cells(summary, *study, measure)
        subspace = subspace_moments(summary, recordings, None, "finite")
        if measure == "value":
            return task_stage(summary, subspace, labels, None, "finite").extra_samples
        return information_value_of(summary, subspace.misalignment, labels)

    unchanged = Elasticities(*(jnp.zeros_like(n_brain) for _ in Elasticities._fields))
    worth, slopes = jax.value_and_grad(amount)(unchanged)
    changes = jax.tree.map(lambda slope: slope / jnp.abs(worth), slopes)
    summary = problem.problem() if isinstance(problem, LinearGaussianModel) else problem
    misalignment = jnp.where(_is_partly_aligned(summary), changes.misalignment, jnp.nan)
    return changes._replace(misalignment=misalignment)


def _amount_of_cells(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    encoding_penalty: Array | None,
    more_channels: Array,
    measure: str,
) -> Array:
    estimator = _ESTIMATORS[measure]
    cells = n_brain, n_task, None, None, encoding_penalty
    found = solve_cells(with_geometry(problem), *cells, estimator, more_channels)
    if measure == "value":
        return value_of_cells(problem, found.risk, n_task, "ols")
    return information_of_cells(problem, found.risk, n_task)


def _is_partly_aligned(problem: ProblemNumbers) -> Array:
    """Whether more of the task than rounding leaves lies inside the brain-sensitive subspace."""
    total = problem.total_aligned_power
    return total > 1e6 * jnp.finfo(total.dtype).eps ** 2 * problem.total_power


def _summary(
    problem: ProblemNumbers | LinearGaussianModel,
    scale: Elasticities,
    channels_known: bool,
    white: bool,
) -> Any:
    """The summary of the problem with every ingredient times its scale."""
    noise = (
        problem.latent_noise * scale.latent_noise,
        problem.recording_noise * scale.recording_noise,
        problem.task_noise * scale.task_noise,
    )
    # More channels of the same kind: HᵀH in proportion, if there are channels.
    if isinstance(problem, LinearGaussianModel):
        scaled = eqx.tree_at(
            lambda model: (
                model.readout,
                model.latent_noise,
                model.recording_noise,
                model.task_noise,
            ),
            problem,
            (problem.readout * jnp.sqrt(scale.channels), *noise),
        ).problem()
        if white:
            scaled = scaled.with_traced_sizes()
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
    if channels_known and white:
        more = scaled.recording_dim * scale.channels
        scaled = eqx.tree_at(lambda summary: summary.recording_dim, scaled, more)
    # What is missed grows at the expense of what is not, in proportion.
    grown = scaled.misaligned_power * (scale.misalignment - 1)
    some = _is_partly_aligned(scaled)
    shrunk = jnp.where(some, grown / jnp.where(some, scaled.total_aligned_power, 1.0), 0.0)
    changed = eqx.tree_at(
        lambda summary: (summary.aligned_power, summary.misaligned_power),
        scaled,
        (scaled.aligned_power * (1 - shrunk), scaled.misaligned_power + grown),
    )
    if white or changed.geometry is None:
        return changed
    geometry = changed.geometry.with_task(jnp.sqrt(1 - shrunk), jnp.sqrt(scale.misalignment))
    return eqx.tree_at(lambda summary: summary.geometry, changed, geometry)
