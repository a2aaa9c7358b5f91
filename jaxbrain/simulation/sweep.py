"""Sweeps: test errors over grids of sample numbers and penalties, by exact simulation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from .._checks import (
    as_integer,
    as_number,
    check_choice,
    check_key,
    check_kind,
    kind_of,
    shown,
)
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Whole
from ..models import LinearGaussianModel, Problem
from ..models.shift import BlockShift
from . import _sweep_of_data, _sweep_of_reductions
from ._grids import Plan, check_grids
from ._trials import Progress

if TYPE_CHECKING:
    import xarray

METHODS = ("reduced", "data")
TRACES = ("drawn", "closed form")
Numbers = Sequence[float] | Sequence[int] | AnyArray


@with_one_blas_thread
def sweep(
    model: LinearGaussianModel | Problem,
    n_brain: Numbers,
    n_task: Numbers,
    penalty: Numbers | str = "optimal",
    *,
    trials: Whole,
    seeds: Whole = 1,
    key: PRNGKeyArray,
    method: str = "reduced",
    n_task_only: Numbers | None = None,
    estimator: str | Callable[..., Any] = "befs",
    traces: str = "drawn",
    shift: BlockShift | AnyArray | None = None,
    mesh: Mesh | None = None,
    max_bytes: float | int = 2e9,
    progress: Progress | None = None,
) -> xarray.Dataset:
    """Simulate the test error of learning with recordings, over grids, with Monte Carlo errors.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
    >>> found = jb.sweep(problem, [40, 80], [30], trials=64, seeds=4, key=jax.random.key(0))
    >>> found.risk.dims, found.risk.shape
    (('n_brain', 'n_task', 'penalty', 'seed'), (2, 1, 1, 4))
    >>> simulated = float(found.risk.sel(n_brain=80, n_task=30).mean())
    >>> closed_form = float(jb.risk(problem, 80, 30))
    >>> bool(abs(simulated / closed_form - 1) < 0.05)
    True

    **Arguments**

    - `model`: a `LinearGaussianModel`, or its summary, a `Problem`.
    - `n_brain`: ascending numbers of recordings, each above input_dim.
    - `n_task`: ascending numbers of labels, each at least latent_dim + 2. Below it the error has no
      mean.
    - `penalty`: ascending penalties a sample, infinity allowed. `"optimal"` takes the closed form
      `optimal_penalty` in each cell. `"empirical"` takes the best of a grid of 33 in each cell, by
      the mean of all trials; the grid runs from a tenth to a thousand times the penalty of ridge
      regression on the outside.
    - `trials`: number of draws of each seed.
    - `seeds`: number of replicates.
    - `key`: trial t of seed s takes `fold_in(key, s · trials + t)`. So a cell depends neither on
      the rest of the grid, nor on chunks, nor on devices.
    - `method`: `"reduced"` draws exactly what n_brain recordings teach, and the task stage, at a
      cost that does not depend on the sample numbers. `"data"` draws inputs, recordings and labels
      and runs the estimators; each new sample number compiles anew.
    - `n_task_only`: numbers of labels for the baselines, which see no recordings. The default is a
      grid wide enough to read values off it; for `"data"` it ends at eight times the largest
      `n_task`.
    - `estimator`: for `"data"`, `"befs"`, a control (`"random_subspace"`, `"shuffled_recordings"`,
      `"oracle"`), or a function `f(key, brain_inputs, recordings, task_inputs, targets, penalty)`
      that returns weights.
    - `traces`: of the task stage, for `"reduced"`. `"drawn"`, or `"closed form"`, which draws only
      the brain stage; it is good to about 1e-3 where n_task is near input_dim, and better
      elsewhere.
    - `shift`: covariance of the test inputs, a `BlockShift`, or for `"data"` any (d, d) matrix.
    - `mesh`: a `jax.sharding.Mesh`, whose devices share the trials.
    - `max_bytes`: memory for the arrays of the trials that run at the same time.
    - `progress`: a function that is called with the part of the simulation, the steps done, and
      all.

    **Returns**

    A labelled dataset:

    - `risk`, over (n_brain, n_task, penalty, seed): the mean over the trials of a seed.
    - `misalignment`, over (n_brain, seed): ‖K̂β‖².
    - `penalty_used`, over (n_brain, n_task, penalty).
    - `task_only_risk` and `ridge_risk`, over (n_task_only, seed): the baselines, ridge regression
      at its best penalty.
    - Each of these but `penalty_used` has its standard error, `risk_standard_error` and so on.

    A cell that fails, or whose mean does not exist, is NaN and counted in the attribute
    `failed_cells`. The other attributes hold the configuration, versions, device and wall time.

    **Raises**

    `ValueError` that names the argument and the remedy. It names `method="data"` where there are no
    reduced draws.

    **Source**

    Reduced draws: derived here, docs/theory.md, "Simulation".
    """
    check_choice("method", method, METHODS)
    trials = as_integer("trials", trials, 2)
    seeds = as_integer("seeds", seeds, 1)
    check_key(key)
    check_choice("traces", traces, TRACES)
    max_bytes = as_number("max_bytes", max_bytes)
    if mesh is not None:
        check_kind("mesh", mesh, Mesh, "make one by jax.make_mesh")
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function, but it is {kind_of(progress)}")
    if callable(estimator):
        if method != "data":
            raise ValueError("estimator: a function needs method='data'")
    elif not isinstance(estimator, str):
        raise ValueError(f"estimator must be a name, or a function, but it is {shown(estimator)}")
    grids = check_grids(model, n_brain, n_task, penalty, n_task_only, method)
    start = time.perf_counter()
    simulate = _sweep_of_reductions.simulate if method == "reduced" else _sweep_of_data.simulate
    plan = Plan(grids, trials, seeds, key, traces, mesh, max_bytes, progress)
    found = simulate(model, plan, estimator, shift)
    return _labelled(model, plan, found, method, estimator, shift, time.perf_counter() - start)


def mean_over_seeds(
    dataset: xarray.Dataset, name: str
) -> tuple[xarray.DataArray, xarray.DataArray]:
    """Average a variable of a sweep over its seeds, with the standard error of the mean.

    >>> import jax, jaxbrain as jb
    >>> problem = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
    >>> found = jb.sweep(problem, [40, 80], [30], trials=64, seeds=4, key=jax.random.key(0))
    >>> mean, error = jb.simulation.mean_over_seeds(found, "misalignment")
    >>> mean.dims, bool((error < 0.1 * mean).all())
    (('n_brain',), True)

    **Arguments**

    - `dataset`: what `sweep` has returned.
    - `name`: a variable that has a standard error beside it.

    **Returns**

    The mean and its standard error, without the dimension `seed`.

    **Raises**

    `ValueError` where the dataset lacks the variable or its standard error.

    **Source**

    Seeds are independent: their variances add up.
    """
    names = getattr(dataset, "data_vars", ())
    known = [each for each in names if f"{each}_standard_error" in names]
    if not known:
        raise ValueError(f"dataset must come from jaxbrain.sweep, but it is {kind_of(dataset)}")
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, but it is {shown(name)}")
    errors = dataset[f"{name}_standard_error"]
    return dataset[name].mean("seed"), (errors**2).sum("seed") ** 0.5 / dataset.sizes["seed"]


def _labelled(
    model: LinearGaussianModel | Problem,
    plan: Plan,
    found: dict[str, np.ndarray],
    method: str,
    estimator: str | Callable[..., Any],
    shift: BlockShift | AnyArray | None,
    seconds: float,
) -> xarray.Dataset:
    import xarray

    from .. import __version__

    grids = plan.grids
    cell, brain, alone = (
        ("n_brain", "n_task", "penalty"),
        ("n_brain", "seed"),
        ("n_task_only", "seed"),
    )
    dims = {
        "risk": (*cell, "seed"),
        "risk_standard_error": (*cell, "seed"),
        "penalty_used": cell,
        "misalignment": brain,
        "misalignment_standard_error": brain,
        "task_only_risk": alone,
        "task_only_risk_standard_error": alone,
        "ridge_risk": alone,
        "ridge_risk_standard_error": alone,
    }
    with np.errstate(invalid="ignore"):
        failed = ~np.isfinite(found["risk"])
    found["risk"] = np.where(failed, np.nan, found["risk"])
    found["risk_standard_error"] = np.where(failed, np.nan, found["risk_standard_error"])
    if isinstance(shift, BlockShift):
        shifted = [
            float(variance) for variance in (shift.sensitive, shift.missed, shift.insensitive)
        ]
    else:
        shifted = "none" if shift is None else "covariance matrix"
    attributes = {
        "method": method,
        "estimator": estimator
        if isinstance(estimator, str)
        else getattr(estimator, "__name__", repr(estimator)),
        "traces": plan.traces,
        "trials": plan.trials,
        "seeds": plan.seeds,
        "key": np.asarray(jax.random.key_data(plan.key)).ravel().tolist(),
        "key_implementation": str(jax.random.key_impl(plan.key)),
        "shift": shifted,
        "input_dim": model.input_dim,
        "latent_dim": model.latent_dim,
        "recording_dim": model.recording_dim or "very many",
        "task_noise": float(model.task_noise),
        "task_snr": float(model.task_snr),
        "relative_misalignment": float(model.relative_misalignment),
        "risk_of_predicting_zero": float(found["risk_of_predicting_zero"]),
        "failed_cells": int(failed.sum()),
        "working_bytes": float(found["working_bytes"]),
        "devices": 1 if plan.mesh is None else plan.mesh.size,
        "device": str(jax.devices()[0].device_kind),
        "precision": str(jnp.asarray(model.task_noise).dtype),
        "jaxbrain": __version__,
        "jax": jax.__version__,
        "wall_time_s": seconds,
    }
    label = grids.penalty if grids.rule == "given" else [grids.rule]
    return xarray.Dataset(
        {name: (dims[name], found[name]) for name in dims},
        coords={
            "n_brain": grids.n_brain,
            "n_task": grids.n_task,
            "penalty": label,
            "seed": np.arange(plan.seeds),
            "n_task_only": grids.n_task_only,
        },
        attrs=attributes,
    )
