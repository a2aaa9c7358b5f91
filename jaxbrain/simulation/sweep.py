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

from .._checks import check_choice, check_integer, check_key, check_positive
from .._typing import AnyArray
from ..models import LinearGaussianModel, Problem
from ..models.shift import BlockShift
from . import _sweep_of_data as by_data
from . import _sweep_of_reductions as by_reduction
from ._grids import Plan, check_grids
from ._trials import Progress

if TYPE_CHECKING:
    import xarray

METHODS = ("reduced", "data")
TRACES = ("drawn", "closed form")
Numbers = Sequence[float] | Sequence[int] | AnyArray


def sweep(
    model: LinearGaussianModel | Problem,
    n_brain: Numbers,
    n_task: Numbers,
    penalty: Numbers | str = "optimal",
    *,
    trials: int,
    seeds: int = 1,
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
    >>> model = jb.presets.small(task_snr=1.0)
    >>> found = jb.sweep(model, [200, 800], [50, 400], trials=50, seeds=4, key=jax.random.key(0))
    >>> found.risk.dims, found.risk.shape
    (('n_brain', 'n_task', 'penalty', 'seed'), (2, 2, 1, 4))
    >>> simulated = float(found.risk.sel(n_brain=800, n_task=400).mean())
    >>> closed_form = float(jb.risk(model.problem(), 800, 400))
    >>> bool(abs(simulated / closed_form - 1) < 0.02)
    True

    - `model`: a `LinearGaussianModel`, or its summary, a `Problem`.
    - `n_brain`, `n_task`: ascending numbers of recordings, each above input_dim, and of labels,
      each at least latent_dim + 2 (below it the error has no mean).
    - `penalty`: ascending penalties a sample, infinity allowed; or `"optimal"`, the closed form
      `optimal_penalty` of each cell; or `"empirical"`, the best in each cell of a grid of 33, from
      a tenth to a thousand times that of ridge regression on the outside, by the mean of all
      trials.
    - `trials`, `seeds`: each seed is a replicate of so many trials.
    - `key`: of trial t of seed s it takes `fold_in(key, s · trials + t)`; so a cell depends neither
      on the rest of the grid, nor on chunks, nor on devices.
    - `method="reduced"`: exact draws of what n_brain recordings teach and of the task stage, at a
      cost that does not depend on the sample numbers. `method="data"`: inputs, recordings and
      labels are drawn and the estimators run; each new sample number compiles anew.
    - `n_task_only`: labels for the baselines, which see no recordings; by default a grid wide
      enough to read values off it (for `"data"`, up to eight times the largest of `n_task`).
    - `estimator`: for `"data"`, `"befs"`, a control (`"random_subspace"`, `"shuffled_recordings"`,
      `"oracle"`), or a function `f(key, brain_inputs, recordings, task_inputs, targets, penalty)`
      that returns weights.
    - `traces`: of the task stage, for `"reduced"`: `"drawn"`, or the `"closed form"`, which draws
      only the brain stage (good to about 1e-3 where n_task is near input_dim, better elsewhere).
    - `shift`: covariance of the test inputs, a `BlockShift`, or for `"data"` any (d, d) matrix.
    - `mesh`: the devices of a `jax.sharding.Mesh` share the trials.
    - `max_bytes`: memory for the arrays of the trials that run at the same time.
    - `progress`: called with the numbers of steps done and in all.

    Returns a labelled dataset. `risk` and `risk_standard_error` over (n_brain, n_task, penalty,
    seed): mean over the trials of a seed, and its standard error; `misalignment`, its standard
    error, over (n_brain, seed): ‖K̂β‖²; `penalty_used` over (n_brain, n_task, penalty);
    `task_only_risk` and `ridge_risk` (at its best penalty), with standard errors, over
    (n_task_only, seed). A cell that fails, or whose mean does not exist, is NaN and counted in the
    attribute `failed_cells`. The other attributes hold the configuration, versions, device and wall
    time.

    **Raises** `ValueError` that names the argument and the remedy; it names `method="data"` where
    there are no reduced draws.

    **Source.** Reduced draws: derived here, docs/theory.md, "Simulation".
    """
    check_choice("method", method, METHODS)
    check_integer("trials", trials, 2)
    check_integer("seeds", seeds, 1)
    check_key(key)
    check_choice("traces", traces, TRACES)
    check_positive("max_bytes", max_bytes)
    if callable(estimator) and method != "data":
        raise ValueError("estimator: a function needs method='data'")
    grids = check_grids(model, n_brain, n_task, penalty, n_task_only, method)
    start = time.perf_counter()
    simulate = by_reduction.simulate if method == "reduced" else by_data.simulate
    plan = Plan(grids, trials, seeds, key, traces, mesh, max_bytes, progress)
    found = simulate(model, plan, estimator, shift)
    return _labelled(model, plan, found, method, estimator, shift, time.perf_counter() - start)


def mean_over_seeds(
    dataset: xarray.Dataset, name: str
) -> tuple[xarray.DataArray, xarray.DataArray]:
    """The mean of a variable of `sweep` over all of its seeds, and its standard error."""
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
