"""Pairs of penalties of a sweep: their grids, and how a table serves many of them."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ..models import LinearGaussianModel, Problem
from ._best_penalties import best_penalties
from ._grids import Grids
from ._spectrum_table import Ratios
from ._stages import Stages
from .finite_labels import Cells

# Grids of the rule "empirical", in units of the best penalty of ridge regression on a task that
# follows the inputs' spectrum, σ² tr Σ/(n βᵀΣβ). One penalty has finer steps than two.
_OUTSIDE, _OUTSIDE_OF_TWO = np.logspace(-3, 4, 57), np.logspace(-3, 3.5, 27)
_INSIDE_OF_TWO = np.logspace(-4, 1.5, 23)
_ALONE = np.logspace(-4, 2, 49)
# Ratios of penalties that agree to so many digits are one.
_DIGITS = 9
_CELLS_AT_A_TIME, _RATIOS_AT_A_TIME = 32, 4


class Pairs(NamedTuple):
    """All combinations of two lists in each cell.

    Of shapes (n_brain, encoding penalty, n_task, l) and (n_brain, encoding penalty, n_task, m).
    """

    outside: np.ndarray
    inside: np.ndarray

    @property
    def used(self) -> tuple[np.ndarray, np.ndarray]:
        """Both penalties of each cell, (n_brain, encoding penalty, n_task, m, l)."""
        outside, inside = self.outside[..., None, :], self.inside[..., :, None]
        outside, inside = np.broadcast_arrays(outside, inside)
        return outside, inside


class Scales(NamedTuple):
    """Numbers of a study that grids and bounds need."""

    variances: np.ndarray
    power: float
    task_noise: float

    @property
    def penalty(self) -> float:
        """σ² tr Σ/βᵀΣβ, a penalty times the number of labels."""
        return self.task_noise * float(np.sum(self.variances)) / self.power


def pairs_of(
    model: LinearGaussianModel | Problem,
    grids: Grids,
    encoding: np.ndarray,
    scales: Scales,
    stages: Stages | None,
) -> Pairs:
    """The penalties of each cell; a user's own estimator, which has no stages, has one.

    - `encoding`: what `encoding_of` returns.
    """
    n_penalties = 1 if stages is None else stages.n_penalties
    n = grids.n_task[None, None, :, None]
    shape = len(grids.n_brain), len(grids.n_task)
    cells = *encoding.shape[:2], len(grids.n_task)
    inside = np.zeros(1) if grids.inside_penalty is None else grids.inside_penalty
    if grids.rule == "empirical":
        two = n_penalties == 2
        outside = scales.penalty / n * (_OUTSIDE_OF_TWO if two else _OUTSIDE)
        inside = scales.penalty / n * _INSIDE_OF_TWO if two else np.zeros((1, 1, 1, 1))
    elif grids.rule == "optimal":
        outside, inside = (x[..., None] for x in best_penalties(model, grids, encoding, stages))
    elif grids.rule == "schedule":
        tables = grids.penalty, np.broadcast_to(inside, shape)
        outside, inside = (table[:, None, :, None] for table in tables)
    else:
        outside, inside = grids.penalty, inside
    return Pairs(*(np.broadcast_to(x, (*cells, x.shape[-1])) for x in (outside, inside)))


def ridge_penalties(scales: Scales, n_task: np.ndarray) -> np.ndarray:
    """The grid of ridge regression alone, (n_task, 49)."""
    return scales.penalty / n_task[:, None] * _ALONE[None, :]


class Plain(NamedTuple):
    """Cells that a table serves, and what the others are."""

    ratios: Ratios
    cells: Cells
    count: int
    known: np.ndarray
    """The risk of cells that need no table, NaN where the table has it."""
    undefined: np.ndarray
    """Where the error has no mean."""


def tabulated(
    outside: np.ndarray,
    inside: np.ndarray,
    labels: np.ndarray,
    scales: Scales,
    rank: int,
    is_graded: bool,
    dtype,
) -> Plain:
    """One-dimensional arrays of cells, as ratios and cells of canonical lengths.

    - `rank`: of the subspace or the encoder; 0 is ridge regression.
    """
    d = len(scales.variances)
    # The closed form of a rule may have no penalty to give.
    unknown = np.isnan(outside) | np.isnan(inside)
    outside, inside = np.where(unknown, 1.0, outside), np.where(unknown, 1.0, inside)
    is_soft = np.isfinite(outside)
    unit = np.where(is_soft, outside, np.where(np.isfinite(inside) & (inside > 0), inside, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(unit > 0, inside / np.where(unit > 0, unit, 1.0), 0.0)
    least_squares = (outside == 0) & ((inside == 0) | is_graded | (rank == 0))
    known = np.full(len(labels), np.nan)
    known[np.isinf(outside) & (np.isinf(inside) | (rank == 0))] = scales.power
    enough = least_squares & (labels > d + 1)
    known[enough] = scales.task_noise * d / (labels[enough] - d - 1)
    free = np.where((inside == 0) & (rank > 0), rank, 0)
    undefined = ((outside == 0) & ~enough) | (labels < free + 2)
    undefined = (undefined & np.isnan(known)) | unknown
    in_table = np.isnan(known) & ~undefined

    unit = np.where(in_table, unit, 1.0)
    keys = [
        (bool(soft), float(f"{ratio:.{_DIGITS}g}"))
        for soft, ratio in zip(is_soft[in_table], relative[in_table], strict=True)
    ]
    kinds = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    which = np.zeros(len(labels), int)
    which[in_table] = [kinds[key] for key in keys]
    low, high = _bounds(
        outside[in_table], inside[in_table], labels[in_table], scales, rank, is_graded
    )
    lows, highs = np.full(len(kinds), np.inf), np.full(len(kinds), -np.inf)
    np.minimum.at(lows, which[in_table], np.log(low / unit[in_table]) - 0.05)
    np.maximum.at(highs, which[in_table], np.log(high / unit[in_table]) + 0.05)
    wide = np.maximum(0.25 - (highs - lows) / 2, 0.0)
    rows = [
        np.array([float(soft) for soft, _ in kinds]),
        np.array([ratio for _, ratio in kinds]),
        lows - wide,
        highs + wide,
    ]
    if not kinds:
        rows = [np.array([1.0]), np.array([1.0]), np.array([-1.0]), np.array([1.0])]
    columns = [labels.astype(float), which, unit]
    return Plain(
        Ratios(*(jnp.asarray(_longer(x, _RATIOS_AT_A_TIME), dtype) for x in rows)),
        Cells(*(_longer_array(x, dtype) for x in columns)),
        len(labels),
        known,
        undefined,
    )


def _longer(values: np.ndarray, step: int) -> np.ndarray:
    """Filled up with its last entry, so that few programs serve all lengths; one stays one."""
    count = len(values)
    return values if count == 1 else np.pad(values, (0, -count % step), mode="edge")


def _longer_array(values: np.ndarray, dtype):
    longer = np.pad(values, (0, -len(values) % _CELLS_AT_A_TIME), mode="edge")
    return jnp.asarray(longer, int if values.dtype.kind == "i" else dtype)


def _bounds(
    outside: np.ndarray,
    inside: np.ndarray,
    labels: np.ndarray,
    scales: Scales,
    rank: int,
    is_graded: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Between which numbers x/n lies, whatever was learned.

    Penalties all as small, or all as large, are bounds; so are round penalties and as many labels
    less as directions differ from them.
    """
    alike = _AllAlike(scales.variances)
    total, largest = float(np.sum(scales.variances)), float(np.max(scales.variances))
    d = len(scales.variances)
    fewer = np.maximum(labels - rank, 1e-12)
    by_rank = alike.share(fewer, labels, outside)
    if rank == 0:
        return by_rank, by_rank
    with np.errstate(divide="ignore"):
        if is_graded:
            all_small = labels / (labels + total / outside + largest * d / inside)
            return np.maximum(by_rank, all_small), alike.share(labels, labels, outside)
        small, large = np.minimum(outside, inside), np.maximum(outside, inside)
    low = alike.share(labels, labels, small)
    low = np.where(inside <= outside, np.maximum(low, by_rank), low)
    return np.maximum(low, 1e-14), alike.share(labels, labels, large)


class _AllAlike:
    """Ridge regression: Σ s x/(C + s x) over the spectrum, kept at many x/C."""

    def __init__(self, variances: np.ndarray):
        logs = np.log(variances)
        self.at = np.linspace(-logs.max() - 35.0, -logs.min() + 35.0, 1500)
        self.height = np.array([np.sum(1 / (1 + np.exp(-x - logs))) for x in self.at])

    def share(self, n: np.ndarray, labels: np.ndarray, penalty: np.ndarray) -> np.ndarray:
        """The root y of labels · y + Σ a = n, a of the penalty a sample."""
        # Half of the logarithm's range at a time.
        low, high = np.full(len(n), -80.0), np.log(n / labels)
        with np.errstate(divide="ignore"):
            unit = np.log(penalty)
        for _ in range(60):
            middle = (low + high) / 2
            height = np.interp(middle - unit, self.at, self.height)
            height = np.where(np.isinf(penalty), 0.0, height)
            above = labels * np.exp(middle) + height > n
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.exp((low + high) / 2)
