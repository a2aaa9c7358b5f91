"""Two penalties on white inputs, from the subspaces that a sweep of BEFS has drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import AnyArray
from ..models import Problem
from ..theory import optimal_penalties
from ..theory.two_penalties import risk_at_penalties
from ..theory.value import labels_without_brain

if TYPE_CHECKING:
    import xarray

_risks = jax.jit(risk_at_penalties)


def with_two_penalties(problem: Problem, drawn: xarray.Dataset) -> xarray.Dataset:
    """Test errors of BEFS with two penalties, given what recordings have taught in each draw.

    At given penalties the error depends on a subspace through ‖K̂β‖² alone, and is linear in it:
    white inputs look alike in all directions. So the mean over draws is the error at their mean.
    Penalties are those that the closed form calls best; the part of the labels is the closed form.

    - `drawn`: from `sweep`, of BEFS, without a shift.

    Returns `risk` and `risk_standard_error` over (n_brain, n_task, seed).
    """
    import xarray

    n_brain, n_task = (drawn[name].values.astype(float) for name in ("n_brain", "n_task"))
    penalties = optimal_penalties(problem, n_brain[:, None], n_task[None, :])
    missed = drawn["misalignment"].values
    ends = np.stack([missed, missed + drawn["misalignment_standard_error"].values])
    # Over (the mean and a standard error beyond it, n_brain, n_task, seed).
    cells = np.broadcast_arrays(
        ends[:, :, None],
        n_task[:, None],
        *(np.asarray(each)[..., None] for each in penalties),
    )
    risk, beyond = np.asarray(_risks(problem.with_traced_sizes(), *map(jnp.asarray, cells)), float)
    over = "n_brain", "n_task", "seed"
    return xarray.Dataset(
        {"risk": (over, risk), "risk_standard_error": (over, np.abs(beyond - risk))},
        {name: drawn[name].values for name in over},
    )


def labels_worth(problem: Problem, risk: AnyArray, n_task: AnyArray) -> np.ndarray:
    """How many labels beyond `n_task` ridge regression needs for this risk, on white inputs."""
    return np.asarray(labels_without_brain(problem, jnp.asarray(risk), "ridge"), float) - n_task
