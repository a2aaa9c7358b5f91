"""`method="reduced"` for inputs of any covariance, ridge encoding, two penalties, graded priors.

Nothing depends on the sizes of the grids but the time: one program serves every n_brain, n_task,
encoding penalty and pair of penalties of as many ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._typing import AnyArray
from ..models import LinearGaussianModel, Problem
from ..models.shift import BlockShift
from ._best_penalties import encoding_of
from ._grids import Plan
from ._penalty_pairs import Plain, Scales, pairs_of, ridge_penalties, tabulated
from ._spectrum_table import Ratios, Spectrum, spectrum_of, table_of
from ._stages import WITH_REDUCED_DRAWS, stages_of
from ._trials import Moments, run_trials
from .brain_stage import Dimensions
from .data_trials import stage_keys
from .finite_labels import Cells, risk_of_cells
from .ridge_encoding import (
    ColouredModel,
    Learned,
    coloured_model,
    columns_of_encoder,
    draw_at_random,
    draw_by_ridge,
    true_subspace,
)


class Sizes(NamedTuple):
    """Static: one program for each, whatever is penalised."""

    dimensions: Dimensions
    source: str
    is_graded: bool


def learned_by(
    sizes: Sizes, key: PRNGKeyArray, model: ColouredModel, n: Array, encoding_penalty: Array
) -> Learned:
    """What the first stage of an estimator learns in this trial."""
    key, _ = stage_keys(key)
    if sizes.source == "chance":
        return draw_at_random(key, sizes.dimensions, model.variances.dtype)
    if sizes.source == "model":
        return true_subspace(model)
    is_graded = sizes.is_graded
    return draw_by_ridge(key, model, sizes.dimensions, is_graded, n, encoding_penalty)


def trial(
    sizes: Sizes,
    key: PRNGKeyArray,
    model: ColouredModel,
    spectrum: Spectrum,
    ratios: Ratios,
    cells: Cells,
    n: Array,
    encoding_penalty: Array,
) -> tuple[Float[Array, " cells"], Array]:
    """The risk of each cell given what one draw of recordings teaches, and what they miss."""
    learned = learned_by(sizes, key, model, n, encoding_penalty)
    variances, weights = model.variances, model.weights
    is_graded = sizes.is_graded
    table = table_of(learned.directions, variances, weights, spectrum, ratios, is_graded)
    risk = risk_of_cells(table, ratios, cells, model.task_noise)
    missed = jnp.full((), jnp.nan, risk.dtype) if is_graded else _missed(model, learned)
    return jax.tree.map(lambda x: jnp.where(learned.settled, x, jnp.nan), (risk, missed))


def misalignment_trial(
    sizes: Sizes, key: PRNGKeyArray, model: ColouredModel, n: Array, encoding_penalty: Array
) -> Array:
    """What one draw of recordings misses of the task; of the draw of `trial`."""
    learned = learned_by(sizes, key, model, n, encoding_penalty)
    return jnp.where(learned.settled, _missed(model, learned), jnp.nan)


def _missed(model: ColouredModel, learned: Learned) -> Array:
    """Variance of the task that no linear function of the learned features tells."""
    features = jnp.linalg.qr(jnp.sqrt(model.variances)[:, None] * learned.directions)[0]
    return jnp.sum((model.weights - features @ (features.T @ model.weights)) ** 2)


def simulate(
    model: LinearGaussianModel | Problem,
    plan: Plan,
    estimator: str | Callable[..., Any],
    shift: BlockShift | AnyArray | None,
) -> dict[str, np.ndarray]:
    """The variables of a sweep, as arrays: (n_brain, encoding penalty, n_task, inside, outside)."""
    assert isinstance(estimator, str)
    stages = stages_of(estimator)
    if estimator not in WITH_REDUCED_DRAWS:
        raise ValueError(f"estimator: {estimator} has no reduced draws; use method='data'")
    if shift is not None:
        raise ValueError(
            "shift: reduced draws know it for BEFS on white inputs alone; use method='data'"
        )
    coloured, dimensions = coloured_model(model)
    sizes = Sizes(dimensions, stages.source, stages.is_graded)
    grids, dtype = plan.grids, coloured.variances.dtype
    scales = Scales(
        np.asarray(coloured.variances, float),
        float(jnp.sum(coloured.weights**2)),
        float(coloured.task_noise),
    )
    encoding = encoding_of(model, grids, stages)
    outside, inside = pairs_of(model, grids, encoding, scales, stages).used
    rank = columns_of_encoder(coloured, dimensions) if stages.is_graded else dimensions.latents
    # What is learned serves all labels, or those for which its encoding penalty is the best.
    served = 1 if grids.is_best_encoding else len(grids.n_task)
    points = [*np.ndindex(encoding.shape)]
    plain: dict[tuple[int, ...], Plain] = {}
    for row, column, first in points:
        at = row, column, slice(first, first + served)
        # Grids are the same whatever is learned; penalties that follow a rule need not be.
        kind = (row, column, first) if grids.rule in ("optimal", "schedule") else (first,)
        if kind not in plain:
            labels = np.broadcast_to(grids.n_task[at[2], None, None], outside[at].shape)
            plain[kind] = tabulated(
                outside[at].ravel(),
                inside[at].ravel(),
                labels.ravel(),
                scales,
                rank,
                stages.is_graded,
                dtype,
            )
        plain[row, column, first] = plain[kind]
    spectrum = spectrum_of(coloured.variances)
    width = working_bytes(sizes, rank)
    if width > plan.max_bytes:
        raise ValueError(
            f"max_bytes must be at least {width:.2g} for a single draw of these inputs: allow more"
        )
    risks, misses = Moments(plan.seeds), Moments(plan.seeds)
    chunks = plan.chunks(8.0 * outside.size)
    for step, (seed, numbers) in enumerate(chunks):
        drawn = [
            _run(
                sizes,
                plan,
                numbers,
                width,
                coloured,
                spectrum,
                plain[point],
                int(grids.n_brain[point[0]]),
                float(encoding[point]),
            )
            for point in points
        ]
        found, missed = (np.stack(x, axis=1) for x in zip(*drawn, strict=True))
        risks.add(seed, found.reshape(len(numbers), *outside.shape, 1))
        misses.add(seed, missed.reshape(len(numbers), len(grids.n_brain), -1, 1))
        plan.report("subspaces", step + 1, len(chunks))
    risk, error = with_errors(risks)
    misalignment, misalignment_error = with_errors(misses)
    return {
        "working_bytes": np.asarray(width),
        "risk": risk,
        "risk_standard_error": error,
        "penalty_used": outside,
        "inside_penalty_used": inside,
        "encoding_penalty_used": encoding[:, 0],
        "misalignment": misalignment,
        "misalignment_standard_error": misalignment_error,
        **_baselines(plan, scales, coloured, spectrum),
    }


def _run(
    sizes: Sizes,
    plan: Plan,
    numbers: range,
    width: float,
    model: ColouredModel,
    spectrum: Spectrum,
    plain: Plain,
    n: int,
    encoding_penalty: float,
) -> tuple[np.ndarray, np.ndarray]:
    dtype = model.variances.dtype
    found, missed = run_trials(
        trial,
        sizes,
        plan.key,
        numbers,
        (
            model,
            spectrum,
            plain.ratios,
            plain.cells,
            jnp.asarray(n, dtype),
            jnp.asarray(encoding_penalty, dtype),
        ),
        mesh=plan.mesh,
        batch=plan.batch(width),
    )
    return _with_known(plain, found.astype(float)), missed.astype(float)


def _with_known(plain: Plain, risk: np.ndarray) -> np.ndarray:
    """The table's cells, with those that need no table."""
    risk = np.where(np.isnan(plain.known), risk[..., : plain.count], plain.known)
    return np.where(plain.undefined, np.nan, risk)


def working_bytes(sizes: Sizes, rank: int) -> float:
    """Memory of one trial, roughly, in which directions of this number are learned."""
    d, k, spare = sizes.dimensions
    columns, r = max(k + min(d, spare), rank), rank
    return 8.0 * (6.0 * d**2 + 4.0 * d * columns + 140.0 * r**2 + 48.0 * d)


def with_errors(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard errors, the seed as the last dimension."""
    error = np.sqrt(np.maximum(moments.covariance_of_means()[..., 0, 0], 0.0))
    return np.moveaxis(moments.means()[..., 0], 0, -1), np.moveaxis(error, 0, -1)


@jax.jit
def _ridge_risks(model: ColouredModel, spectrum: Spectrum, ratios: Ratios, cells: Cells) -> Array:
    nothing = jnp.zeros((len(model.variances), 1), model.variances.dtype)
    # An encoder of zeros, with a penalty like the other: ridge regression.
    table = table_of(nothing, model.variances, model.weights, spectrum, ratios, True)
    return risk_of_cells(table, ratios, cells, model.task_noise)


def _baselines(
    plan: Plan, scales: Scales, model: ColouredModel, spectrum: Spectrum
) -> dict[str, np.ndarray]:
    """Least squares, and ridge regression at the best penalty of a grid; no draw, no error."""
    n, d = plan.grids.n_task_only.astype(float), len(scales.variances)
    penalties = ridge_penalties(scales, n)
    labels = np.broadcast_to(n[:, None], penalties.shape)
    plain = tabulated(
        penalties.ravel(),
        penalties.ravel(),
        labels.ravel(),
        scales,
        0,
        True,
        model.variances.dtype,
    )
    found = np.asarray(_ridge_risks(model, spectrum, plain.ratios, plain.cells), float)
    found = _with_known(plain, found).reshape(penalties.shape)
    least = np.min(np.where(np.isnan(found), np.inf, found), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.where(n > d + 1, scales.task_noise * d / (n - d - 1), np.nan)
    each = (np.where(np.isinf(least), np.nan, least), alone)
    ridge, alone = (np.repeat(x[:, None], plan.seeds, axis=1) for x in each)
    return {
        "risk_of_predicting_zero": np.asarray(scales.power),
        "task_only_risk": alone,
        "task_only_risk_standard_error": np.where(np.isnan(alone), np.nan, 0.0),
        "ridge_risk": ridge,
        "ridge_risk_standard_error": np.where(np.isnan(ridge), np.nan, 0.0),
    }
