"""Test error of banded ridge: recordings as a prior of the weights, without a rank."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arguments import check_n_task, check_recordings
from .._checks import as_float_like, check_broadcast, check_positive
from .._typing import Real
from ..models import Problem
from ..models.shift import TestCovariance, check_shift
from .any_covariance import checked_cells
from .learned_prior import banded_prior, ridge_encoding
from .shifted_cells import shifted_cells
from .spectral_study import with_geometry


def banded_ridge_risk(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    encoder_penalty: Real | None = None,
    *,
    encoding_penalty: Real | str = 0.0,
    shift: TestCovariance = None,
) -> Float[Array, "..."]:
    """Test error of learning a task with recordings as a prior, without a rank: E‖β̂ − β‖²_Σ.

    `banded_ridge` takes what recordings of the inputs would have been as features of their own. No
    subspace is chosen among channels, so that their noise is covered however large it is.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.power_law(200, 1.0, 5, task_snr=1.0, misalignment=0.1,
    ...                                latent_noise=0.5)
    >>> banded = jb.banded_ridge_risk(problem, 100, 80, encoding_penalty=0.1)
    >>> bool(banded < jb.ridge_risk(problem, 80))
    True

    **Arguments**

    - `problem`: the study. It must say how many channels there are for their noise to count;
      `recording_dim=None` is as many as latents.
    - `n_brain`, `n_task`, `encoding_penalty`: as in `risk`. They broadcast with the penalties.
    - `penalty`, `encoder_penalty`: those of `banded_ridge`, a sample, at least 0 and above 0.
      `None` takes the best one.
    - `shift`: as in `risk`, for inputs of any covariance. What it changes is known to leading
      order.

    **Returns**

    The risk, of the broadcast shape, in the units of the variance of βᵀx.

    **Raises**

    `ValueError` that names the argument: too few recordings for an encoding penalty of 0, negative
    numbers, shapes that do not broadcast.

    **Source**

    Ours: docs/theory.md, "Inputs of any covariance" and "Test inputs of any covariance".
    """
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task, shift = check_n_task(problem, n_task), check_shift(problem, shift)
    if penalty is not None:
        penalty = as_float_like("penalty", penalty, problem.task_noise)
        check_positive("penalty", penalty, zero_allowed=True)
    if encoder_penalty is not None:
        encoder_penalty = as_float_like("encoder_penalty", encoder_penalty, problem.task_noise)
        check_positive("encoder_penalty", encoder_penalty)
        if encoding is None:
            raise ValueError(
                "encoder_penalty is measured by the encoder's size: pass an encoding_penalty, not "
                "'optimal'"
            )
    check_broadcast(
        n_brain=n_brain,
        n_task=n_task,
        penalty=penalty,
        encoder_penalty=encoder_penalty,
        encoding_penalty=encoding,
    )
    features = None
    if encoder_penalty is not None and encoding is not None:
        study = with_geometry(problem)
        cells = jnp.broadcast_arrays(n_brain, encoding)
        sizes = _encoder_size(study, *(cell.ravel() for cell in cells)).reshape(cells[0].shape)
        features = encoder_penalty * sizes / problem.input_dim
    cells = n_brain, n_task, penalty, features, encoding, "banded_ridge"
    if shift is not None:
        return shifted_cells(problem, shift, *cells).risk
    return checked_cells(problem, *cells).risk


class BandedPenalties(NamedTuple):
    """Penalties a sample of `banded_ridge`, in the units of an input's variance.

    **Fields**

    - `penalty`: of all weights alike.
    - `encoder_penalty`: of what predicted recordings contribute.
    """

    penalty: Array
    encoder_penalty: Array


def optimal_banded_penalties(
    problem: Problem, n_brain: Real, n_task: Real, *, encoding_penalty: Real | str = 0.0
) -> BandedPenalties:
    """The two penalties of `banded_ridge` that minimise its test error.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.power_law(200, 1.0, 5, task_snr=1.0, misalignment=0.1,
    ...                                latent_noise=0.5)
    >>> best = jb.optimal_banded_penalties(problem, 100, 80, encoding_penalty=0.1)
    >>> least = jb.banded_ridge_risk(problem, 100, 80, encoding_penalty=0.1)
    >>> given = jb.banded_ridge_risk(problem, 100, 80, *best, encoding_penalty=0.1)
    >>> bool(abs(given / least - 1) < 1e-3)
    True

    **Arguments**

    - `problem`, `n_brain`, `n_task`, `encoding_penalty`: as in `banded_ridge_risk`.

    **Returns**

    `BandedPenalties`, each of the broadcast shape. That of the encoder is in the unit of
    `banded_ridge`, in which tr M Mᵀ is the number of inputs; the size of M is taken for its mean.

    **Raises**

    `ValueError` as `banded_ridge_risk` does.

    **Source**

    Ours: docs/theory.md, "Inputs of any covariance". They are searched for.
    """
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task = check_n_task(problem, n_task)
    check_broadcast(n_brain=n_brain, n_task=n_task, encoding_penalty=encoding)
    found = checked_cells(problem, n_brain, n_task, None, None, encoding, "banded_ridge")
    cells = jnp.broadcast_arrays(n_brain, found.encoding_penalty)
    sizes = _encoder_size(with_geometry(problem), *(cell.ravel() for cell in cells))
    scale = problem.input_dim / sizes.reshape(cells[0].shape)
    return BandedPenalties(found.penalty, found.second_penalty * scale)


@jax.jit
def _encoder_size(problem: Problem, n_brain: Array, encoding_penalty: Array) -> Array:
    """E tr M Mᵀ of the encoder M as it comes: `banded_ridge` makes it the number of inputs."""
    prior = banded_prior(problem)
    noise = jnp.trace(prior.noise) + prior.spare * prior.spare_noise

    def one(numbers: tuple[Array, Array]) -> Array:
        n, penalty = numbers
        found = ridge_encoding(prior, n, penalty)
        shrunk = 1 - 2 * penalty * found.q + penalty**2 * found.twice
        signal = found.over_latents(shrunk / prior.nodes, prior.features)
        return signal + noise * found.over_directions(found.q - penalty * found.twice) / n

    return jax.vmap(one)((n_brain, encoding_penalty))
