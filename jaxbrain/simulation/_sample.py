"""Draws of how much of the task a learned subspace misses."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from .._checks import as_integer, check_choice, check_key, check_kind
from .._typing import Whole
from ..models import LinearGaussianModel, Problem
from ..models.linear_gaussian import check_model
from . import _sweep_of_reductions, _sweep_of_spectra
from . import data_trials as data
from ._grids import Wishes, check_grids, is_general
from ._trials import run_trials
from .brain_stage import reduce_model
from .pair_trials import BrainSizes, first_stage, model_of, root_of, variances_of
from .ridge_encoding import coloured_model


def sample_misalignment(
    model: LinearGaussianModel | Problem,
    n_brain: int,
    *,
    trials: Whole,
    key: PRNGKeyArray,
    method: str = "reduced",
    encoding_penalty: float | None = None,
    mesh: Mesh | None = None,
) -> np.ndarray:
    """Draw how much of the task n_brain recordings fail to teach: ‖K̂β‖², once for each trial.

    Where inputs have a covariance it is the variance of what the learned directions do not tell of
    βᵀx.

    `expected_misalignment` is the mean of it. This is the whole distribution, exact at every
    n_brain.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
    >>> draws = jb.sample_misalignment(problem, 80, trials=512, key=jax.random.key(0))
    >>> bool(abs(draws.mean() / jb.expected_misalignment(problem, 80) - 1) < 0.05)
    True

    **Arguments**

    - `model`: a `LinearGaussianModel`, or its summary, a `Problem`.
    - `n_brain`: number of recordings, whole, above input_dim; or at least 1 with an encoding
      penalty above 0.
    - `trials`: number of draws.
    - `key`: as in `sweep`.
    - `method`: `"reduced"`, at a cost that does not depend on n_brain; or `"data"`, which draws
      recordings and runs `encode`. Both have the same distribution.
    - `encoding_penalty`: of the ridge regression that learns from recordings, a sample; 0 by
      default.
    - `mesh`: a `jax.sharding.Mesh`, whose devices share the trials.

    **Returns**

    An array of shape (trials,), in the units of ‖β‖². NaN where an iteration has not settled.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    Derived here: docs/theory.md, "Simulation".
    """
    check_model(model)
    check_choice("method", method, ("reduced", "data"))
    trials = as_integer("trials", trials, 1)
    check_key(key)
    if mesh is not None:
        check_kind("mesh", mesh, Mesh, "make one by jax.make_mesh")
    wishes = Wishes([n_brain], [model.latent_dim + 2], "empirical", None, encoding_penalty, None)
    grids = check_grids(model, wishes, method)
    numbers = range(trials)
    if is_general(model, encoding_penalty, "befs"):
        (penalty,) = grids.encoding_penalty
        return _by_ridge(model, int(n_brain), float(penalty), method, key, numbers, mesh)
    if method == "data":
        model = data.representative(model) if isinstance(model, Problem) else model
        sizes = data.Sizes(int(grids.n_brain[0]), "befs")
        return run_trials(data.brain_trial, sizes, key, numbers, (model,), mesh=mesh)[1]
    reduced, dimensions = reduce_model(model)
    n = jnp.asarray(n_brain, reduced.aligned.dtype)
    draws = run_trials(
        _sweep_of_reductions.brain_trial, dimensions, key, numbers, (reduced, n), mesh=mesh
    )
    return draws.misalignment


def _by_ridge(
    model: LinearGaussianModel | Problem,
    n_brain: int,
    encoding_penalty: float,
    method: str,
    key: PRNGKeyArray,
    numbers: range,
    mesh: Mesh | None,
) -> np.ndarray:
    if method == "data":
        model = model_of(model) if isinstance(model, Problem) else model
        covariance = variances_of(model)
        if model.input_covariance is not None:
            covariance = model.input_covariance
        penalty = jnp.asarray(encoding_penalty, model.task_noise.dtype)
        sizes = BrainSizes(n_brain, "recordings", False)
        arguments = model, root_of(covariance), penalty
        return run_trials(first_stage, sizes, key, numbers, arguments, mesh=mesh)[1]
    coloured, dimensions = coloured_model(model)
    sizes = _sweep_of_spectra.Sizes(dimensions, "recordings", False)
    dtype = coloured.variances.dtype
    two = (jnp.asarray(number, dtype) for number in (n_brain, encoding_penalty))
    trial = _sweep_of_spectra.misalignment_trial
    return run_trials(trial, sizes, key, numbers, (coloured, *two), mesh=mesh)
