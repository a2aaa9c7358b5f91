"""The best penalty of the encoding stage."""

from __future__ import annotations

from jaxtyping import Array, Float

from .._arguments import (
    ESTIMATORS_OF_RECORDINGS,
    EstimatorOfRecordings,
    check_n_task,
    check_recordings,
)
from .._checks import check_broadcast, check_choice
from .._typing import Real
from ..models import Problem
from .any_covariance import checked_cells


def optimal_encoding_penalty(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    *,
    estimator: EstimatorOfRecordings = "befs_two_penalties",
) -> Float[Array, "..."]:
    """The ridge penalty a sample of the encoding stage that is best for the task.

    It is what `encoding_penalty="optimal"` stands for: the one that minimises the test error of the
    task beside the best other penalties, not the error of predicted recordings.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.power_law(200, 1.0, 5, task_snr=1.0, misalignment=0.1,
    ...                                latent_noise=0.5)
    >>> 0.5 < float(jb.optimal_encoding_penalty(problem, 100, 80, estimator="befs")) < 3
    True

    **Arguments**

    - `problem`: the study.
    - `n_brain`: number of recordings, above latent_dim.
    - `n_task`: number of labels, finite. It broadcasts with `n_brain`.
    - `estimator`: `"befs_two_penalties"`, `"befs"`, or `"banded_ridge"`.

    **Returns**

    The penalty, of the broadcast shape, in the units of an input's variance. It is searched for
    over five decades.

    **Raises**

    `ValueError` that names the argument: too few recordings, infinite labels, an unknown
    `estimator`.

    **Source**

    Ours: docs/theory.md, "Inputs of any covariance".
    """
    check_choice("estimator", estimator, ESTIMATORS_OF_RECORDINGS)
    n_brain, _ = check_recordings(problem, n_brain, "optimal")
    n_task = check_n_task(problem, n_task)
    check_broadcast(n_brain=n_brain, n_task=n_task)
    return checked_cells(problem, n_brain, n_task, None, None, None, estimator).encoding_penalty
