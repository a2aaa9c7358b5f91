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
from . import _sweep_of_data, _sweep_of_pairs, _sweep_of_reductions, _sweep_of_spectra
from ._grids import Plan, Wishes, at_best_penalty, check_grids, is_general
from ._stages import stages_of
from ._trials import Progress

if TYPE_CHECKING:
    import xarray

METHODS = ("reduced", "data")
TRACES = ("drawn", "closed form")
Numbers = Sequence[float] | Sequence[int] | AnyArray
Schedule = Sequence[Sequence[float]]


@with_one_blas_thread
def sweep(
    model: LinearGaussianModel | Problem,
    n_brain: Numbers,
    n_task: Numbers,
    penalty: Numbers | Schedule | str = "optimal",
    *,
    inside_penalty: Numbers | Schedule | float | str | None = None,
    encoding_penalty: Numbers | float | str | None = None,
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

    Inputs of any covariance, ridge encoding at any number of recordings, two penalties, and graded
    priors:

    >>> photos = jb.Problem.power_law(16, 1.0, 3, 1.0, misalignment=0.2, latent_noise=0.5)
    >>> found = jb.sweep(photos, [10, 80], [8], "empirical", encoding_penalty=0.1,
    ...                  estimator="befs_two_penalties", trials=8, seeds=2, key=jax.random.key(0))
    >>> found.risk.shape, found.failed_cells
    ((2, 1, 1, 2), 0)

    **Arguments**

    - `model`: a `LinearGaussianModel`, or its summary, a `Problem`.
    - `n_brain`: ascending numbers of recordings. Each is above input_dim, or at least 1 where the
      encoding penalty is above 0.
    - `n_task`: ascending numbers of labels, each at least latent_dim + 2. Below it the error of
      BEFS has no mean. Where inputs have a covariance, or something is penalised inside of the
      subspace, or in the encoding stage, any number will do; cells whose error has no mean are NaN.
    - `penalty`: ascending penalties a sample, infinity allowed. Or a schedule: a table of shape
      (n_brain, n_task). `"optimal"` takes the closed form in each cell, `optimal_penalty`,
      `optimal_penalties` or `optimal_banded_penalties`; a control takes those of the estimator that
      it controls. `"empirical"` takes the best of a grid in each cell, by the mean of all trials:
      of 33, from a tenth to a thousand times the penalty of ridge regression on the outside; for
      covariances, encoding penalties and two penalties of 57, or of 27 times 23 pairs, over some
      seven decades.
    - `inside_penalty`: the second penalty, of estimators that have two: inside of the subspace, or
      `encoder_penalty` of `banded_ridge`. One number; ascending numbers, which make a dimension of
      that name; or where `penalty` is a schedule, a schedule. Leave it out where `penalty` is a
      rule, which then chooses both.
    - `encoding_penalty`: of the ridge regression that learns from recordings, a sample. One number;
      or ascending numbers, which make a dimension of that name. `"optimal"` takes the closed form
      in each cell, `optimal_encoding_penalty`, which is best beside the best other penalties. The
      default is 0.
    - `trials`: number of draws of each seed.
    - `seeds`: number of replicates.
    - `key`: trial t of seed s takes `fold_in(key, s · trials + t)`. So a cell depends neither on
      the rest of the grid, nor on chunks, nor on devices.
    - `method`: `"reduced"` draws exactly what n_brain recordings teach, and the task stage, at a
      cost that does not depend on the sample numbers. It does not depend on channels either, but
      for `banded_ridge`, up to as many as inputs. `"data"` draws inputs, recordings and labels and
      runs the estimators; each new sample number compiles anew.
    - `n_task_only`: numbers of labels for the baselines, which see no recordings. The default is a
      grid wide enough to read values off it; for `"data"` it ends at eight times the largest
      `n_task`.
    - `estimator`: `"befs"`, `"befs_two_penalties"`, `"banded_ridge"`, or a control of theirs, as
      `estimators.VARIANTS` names them. Shuffled recordings need `"data"`: their rows are still
      those of the same inputs, so that few numbers do not tell what they teach. For `"data"` also
      a function `f(key, brain_inputs, recordings, task_inputs, targets, penalty)` that returns
      weights.
    - `traces`: of the task stage, for `"reduced"`. `"drawn"`, or `"closed form"`, which draws only
      the brain stage; it is good to about 1e-3 where n_task is near input_dim, and better
      elsewhere. Covariances, encoding penalties, two penalties, and what is no BEFS know the closed
      form alone. Its relative error is of order 1/n_task² there; a cell in which the series fails
      is NaN.
    - `shift`: covariance of the test inputs, a `BlockShift`, or for `"data"` any (d, d) matrix.
    - `mesh`: a `jax.sharding.Mesh`, whose devices share the trials.
    - `max_bytes`: memory for the arrays of the trials that run at the same time.
    - `progress`: a function that is called with the part of the simulation, the steps done, and
      all.

    **Returns**

    A labelled dataset. Its dimensions are n_brain, encoding_penalty (if several), n_task,
    inside_penalty (if several), penalty and seed:

    - `risk`, over all of them: the mean over the trials of a seed.
    - `misalignment`, over n_brain, encoding_penalty and seed: ‖K̂β‖². Where inputs have a covariance
      it is the variance of what the learned directions do not tell of βᵀx. An encoder has none.
      Where each cell takes the best encoding penalty it is over n_brain, n_task and seed.
    - `penalty_used`, over all but seed; with two penalties also `inside_penalty_used`. Where each
      cell takes the best encoding penalty, `encoding_penalty_used`, over (n_brain, n_task).
    - `task_only_risk` and `ridge_risk`, over (n_task_only, seed): the baselines, ridge regression
      at its best penalty: of a grid where inputs have a covariance.
    - Each of these but the penalties has its standard error, `risk_standard_error` and so on.

    The risk is E (β̂ − β)ᵀΣ(β̂ − β), Σ the covariance of the inputs, or of the test inputs.

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
    n_penalties = None if callable(estimator) else stages_of(estimator).n_penalties
    wishes = Wishes(n_brain, n_task, penalty, n_task_only, encoding_penalty, inside_penalty)
    # What learns nothing from recordings is drawn by the same program, whatever the inputs.
    general = is_general(model, encoding_penalty, estimator) or (
        method == "reduced" and estimator in ("random_subspace", "oracle")
    )
    grids = check_grids(model, wishes, method, n_penalties, any_labels=general)
    start = time.perf_counter()
    if general:
        # Whatever is asked for, the task stage is not drawn.
        shown_traces = "drawn" if method == "data" else "closed form"
        simulate = _sweep_of_spectra.simulate if method == "reduced" else _sweep_of_pairs.simulate
    else:
        shown_traces = traces
        simulate = _sweep_of_reductions.simulate if method == "reduced" else _sweep_of_data.simulate
    plan = Plan(grids, trials, seeds, key, traces, mesh, max_bytes, progress)
    found = simulate(model, plan, estimator, shift)
    cell = "n_brain", "n_task", "penalty"
    if general:
        cell = _in_named_dimensions(found, wishes, grids.rule, n_penalties)
    plan = plan._replace(traces=shown_traces)
    seconds = time.perf_counter() - start
    return _labelled(model, plan, found, cell, method, estimator, shift, seconds)


def _in_named_dimensions(
    found: dict[str, np.ndarray], wishes: Wishes, rule: str, n_penalties: int | None
) -> tuple[str, ...]:
    """Bring all to dimensions that were asked for, at the best penalties if these are; name them.

    From (n_brain, encoding penalty, n_task, inside, outside) and the seed.
    """
    risk, error = found["risk"], found["risk_standard_error"]
    cells = risk.shape[:-1]
    used = [found[name] for name in ("penalty_used", "inside_penalty_used")]
    if rule == "empirical":
        flat = (*cells[:3], -1)
        best = at_best_penalty(
            *(x.reshape(*flat, risk.shape[-1]) for x in (risk, error)),
            *(x.reshape(flat) for x in used),
        )
        risk, error, *used = (np.expand_dims(x, 3) for x in best)
    names = ["n_brain", "encoding_penalty", "n_task", "inside_penalty", "penalty"]
    is_one = [3] if np.ndim(wishes.inside_penalty) != 1 else []
    is_one += [1] if np.ndim(wishes.encoding_penalty) == 0 else []
    for axis in is_one:
        risk, error, *used = (np.squeeze(x, axis) for x in (risk, error, *used))
        del names[axis]
    found["risk"], found["risk_standard_error"] = risk, error
    found["penalty_used"], found["inside_penalty_used"] = used
    if n_penalties != 2:
        del found["inside_penalty_used"]
    if isinstance(wishes.encoding_penalty, str):
        # What is learned then depends on the labels beside it.
        return tuple(names)
    del found["encoding_penalty_used"]
    if 1 in is_one:
        for name in ("misalignment", "misalignment_standard_error"):
            found[name] = np.squeeze(found[name], 1)
    return tuple(names)


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
    cell: tuple[str, ...],
    method: str,
    estimator: str | Callable[..., Any],
    shift: BlockShift | AnyArray | None,
    seconds: float,
) -> xarray.Dataset:
    import xarray

    from .. import __version__

    grids = plan.grids
    rule = "n_task" if grids.is_best_encoding else "encoding_penalty"
    learned = [name for name in cell if name in ("n_brain", rule)]
    brain, alone = (*learned, "seed"), ("n_task_only", "seed")
    dims = {
        "risk": (*cell, "seed"),
        "risk_standard_error": (*cell, "seed"),
        "penalty_used": cell,
        "inside_penalty_used": cell,
        "encoding_penalty_used": learned,
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
        "encoding_penalty": "optimal"
        if grids.is_best_encoding
        else grids.encoding_penalty.tolist(),
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
    coordinates = {
        "n_brain": grids.n_brain,
        "encoding_penalty": grids.encoding_penalty,
        "n_task": grids.n_task,
        "inside_penalty": grids.inside_penalty,
        "penalty": label,
    }
    return xarray.Dataset(
        {name: (dims[name], found[name]) for name in dims if name in found},
        coords={
            **{name: coordinates[name] for name in cell},
            "seed": np.arange(plan.seeds),
            "n_task_only": grids.n_task_only,
        },
        attrs=attributes,
    )
