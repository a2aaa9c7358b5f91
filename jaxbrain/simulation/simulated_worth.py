"""What recordings are worth in one study, by a few exact draws: where closed forms are off."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._arguments import ESTIMATORS, Estimator, check_problem
from .._checks import as_integer, check_choice, check_key
from .._typing import Whole
from ..models import Problem
from ..theory import AccuracyWarning
from ..theory.any_covariance import value_of_cells
from ..theory.value import labels_without_brain
from .sweep import sweep


class SimulatedWorth(NamedTuple):
    """What recordings are worth in one study, simulated; each number has its standard error.

    **Fields**

    - `risk`, `risk_standard_error`: test error at the best penalties of a grid, as in `risk` and
      `two_penalty_risk`.
    - `value_vs_ridge`, `value_vs_ridge_standard_error`: how many labels more ridge regression at
      its best penalty needs to be as good. With two penalties it is the information value.
    - `value_vs_ols`, `value_vs_ols_standard_error`: how many labels more least squares needs.
    - `penalty`, `inside_penalty`, `encoding_penalty`: those at which the risk is reached.
    """

    risk: float
    risk_standard_error: float
    value_vs_ridge: float
    value_vs_ridge_standard_error: float
    value_vs_ols: float
    value_vs_ols_standard_error: float
    penalty: float
    inside_penalty: float
    encoding_penalty: float


def simulated_worth(
    problem: Problem,
    n_brain: Whole,
    n_task: Whole,
    *,
    estimator: Estimator = "befs_two_penalties",
    encoding_penalty: float | str = 0.0,
    trials: Whole = 64,
    key: PRNGKeyArray,
) -> SimulatedWorth:
    """What recordings are worth in one study, by exact draws, where the closed form is not trusted.

    An `AccuracyWarning` says where that is. A draw costs the same whatever the numbers of
    recordings and labels. Other estimators and grids, with penalties of your own, are for `sweep`.

    >>> import jax, jaxbrain as jb
    >>> photos = jb.Problem.power_law(16, 1.0, 3, 1.0, misalignment=0.2, latent_noise=0.5)
    >>> drawn = jb.simulated_worth(photos, 80, 8, encoding_penalty=0.1, trials=16,
    ...                            key=jax.random.key(0))
    >>> 0.4 < drawn.risk < 0.7, 0 < drawn.risk_standard_error < 0.05
    (True, True)

    **Arguments**

    - `problem`: the study.
    - `n_brain`, `n_task`: whole numbers of recordings and labels, as in `sweep`.
    - `estimator`: `"befs_two_penalties"`, or `"befs"`. The closed form of banded ridge chooses no
      directions among channels, and needs no simulation.
    - `encoding_penalty`: of the ridge regression that learns from recordings, a sample; or
      `"optimal"`, what the closed form calls best.
    - `trials`: number of draws of what recordings teach. Standard errors fall with its root.
    - `key`: of the draws, as in `sweep`.

    **Returns**

    `SimulatedWorth`, numbers. All are NaN where the error has no mean: below latent_dim + 2 labels
    of BEFS with one penalty. The best penalties are chosen by the mean of all draws. The draws are
    exact; the part of the labels is the finite-size series of `sweep`.

    **Raises**

    `ValueError` that names the argument, as `sweep` does.

    **Source**

    Reduced draws: derived here, docs/theory.md, "Simulation".
    """
    check_problem(problem)
    check_choice("estimator", estimator, ESTIMATORS)
    numbers = as_integer("n_brain", n_brain, 1), as_integer("n_task", n_task, 1)
    check_key(key)
    # The closed form sets the encoding penalty at most: how far it is off does not matter.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        found = sweep(
            problem,
            [numbers[0]],
            [numbers[1]],
            "empirical",
            encoding_penalty=encoding_penalty,
            trials=trials,
            key=key,
            n_task_only=[numbers[1]],
            estimator=estimator,
        )
    risk, error = (float(found[name].item()) for name in ("risk", "risk_standard_error"))
    if not math.isfinite(risk):
        return SimulatedWorth(*[math.nan] * len(SimulatedWorth._fields))
    values = [_values(problem, risk, error, numbers[1], baseline) for baseline in ("ridge", "ols")]
    used = found.attrs["encoding_penalty"]
    return SimulatedWorth(
        *(risk, error),
        *values[0],
        *values[1],
        float(found.penalty_used.item()),
        float(found.inside_penalty_used.item()) if "inside_penalty_used" in found else 0.0,
        float(found.encoding_penalty_used.item()) if used == "optimal" else used[0],
    )


def _values(
    problem: Problem, risk: float, error: float, n_task: int, baseline: str
) -> tuple[float, float]:
    """Labels that the baseline needs beyond those at hand, and the standard error of that."""
    around = jnp.asarray([risk, risk - error, risk + error], problem.task_noise.dtype)
    if problem.geometry is None:
        found = labels_without_brain(problem, around, baseline) - n_task
    else:
        labels = jnp.asarray(float(n_task), around.dtype)
        found = value_of_cells(problem, around, labels, baseline)
    value, high, low = (float(x) for x in np.asarray(found))
    return value, (high - low) / 2
