"""Groups of rows: names as numbers, and what is joined through several of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import bmat, csr_matrix
from scipy.sparse.csgraph import connected_components

from .._checks import is_concrete


def numbered(labels: np.ndarray) -> np.ndarray:
    """The number of each label, in the order in which labels come up first."""
    _, first, group = np.unique(labels, axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group.reshape(-1)]


def joined(groups: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Groups whose rows are joined by either of two groupings, or by a chain of them."""
    n = len(groups)
    links = csr_matrix((np.ones(n), (groups, others)), (n, n))
    together = connected_components(bmat([[None, links], [links.T, None]]), directed=False)[1]
    return numbered(together[:n][groups])


def together(inputs: np.ndarray, groups: np.ndarray | None, block: int) -> np.ndarray | None:
    """The unit of each row, which nothing may divide; None where all rows stand alone.

    Rows of equal inputs, of one group, and of one block of so many consecutive rows are one unit,
    and so is what is joined by a chain of these. Blocks alone are no reason.
    """
    found = numbered(inputs)
    if groups is not None:
        found = joined(found, numbered(groups))
    n = len(found)
    return None if found.max() == n - 1 else joined(found, np.arange(n) // block)


def units_of_rows(inputs: np.ndarray, groups: np.ndarray | None, block: int) -> np.ndarray:
    """The unit of each row, by `together`; of blocks where nothing else joins rows."""
    found = together(inputs, groups, block)
    return np.arange(len(inputs)) // block if found is None else found


def in_common(
    brain: np.ndarray, task: np.ndarray, groups: tuple[np.ndarray | None, np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Units of rows of two kinds in one numbering, where groups join some of both; else None."""
    of_brain, of_task = groups
    if of_brain is None or of_task is None or not len(np.intersect1d(of_brain, of_task)):
        return None
    both = np.concatenate([brain, brain.max() + 1 + task])
    found = joined(both, numbered(np.concatenate([of_brain, of_task])))
    return found[: len(brain)], found[len(brain) :]


def most_lost(brain: np.ndarray, task: np.ndarray, n_brain: int) -> int:
    """How many task rows share a unit with n_brain brain rows at most, however these are drawn.

    Units without task rows are drawn first, the others one after the other until there are enough.
    """
    count = int(max(brain.max(), task.max())) + 1
    recorded, labelled = (np.bincount(units, minlength=count) for units in (brain, task))
    needed = n_brain - int(recorded[labelled == 0].sum())
    shared = np.flatnonzero((recorded > 0) & (labelled > 0))
    if needed <= 0 or not len(shared):
        return 0
    # Of the most task rows in units that are not yet enough; and one more unit.
    most = np.zeros(needed, int)
    for rows, lost in zip(recorded[shared], labelled[shared], strict=True):
        if rows < needed:
            most[rows:] = np.maximum(most[rows:], most[: needed - rows] + lost)
    return int(min(most[-1] + labelled[shared].max(), labelled[shared].sum()))


def coded(groups: Mapping[str, Any], problems: list[str]) -> dict[str, np.ndarray]:
    """Each array of labels as whole numbers; one label is one number in all of them."""
    labels = {name: _labels(name, array, problems) for name, array in groups.items()}
    known = {name: array for name, array in labels.items() if array is not None}
    if len({array.dtype.kind in "US" for array in known.values()}) > 1:
        problems.append(f"{' and '.join(known)} must both hold numbers, or both hold text")
        return {}
    if not known:
        return {}
    codes = numbered(np.concatenate(list(known.values())))
    ends = np.cumsum([len(array) for array in known.values()])
    return dict(zip(known, np.split(codes, ends[:-1]), strict=True))


def _labels(name: str, given: Any, problems: list[str]) -> np.ndarray | None:
    if not is_concrete(given):
        problems.append(f"{name} must be known, but JAX is tracing it")
        return None
    try:
        array = np.asarray(given)
    # Whatever another library raises, or a list of unequal lists.
    except Exception:
        array = np.empty((), object)
    if array.dtype == object and array.size and all(isinstance(x, str) for x in array.flat):
        array = array.astype(str)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "biufUS":
        problems.append(
            f"{name} must hold a whole number or a word for each row, but its shape is "
            f"{array.shape}, its type {array.dtype}"
        )
        return None
    missing = array == "" if array.dtype.kind in "US" else ~np.isfinite(array.astype(float))
    if array.dtype.kind == "S":
        missing = array == b""
    rows = np.flatnonzero(missing)
    if len(rows):
        problems.append(
            f"{name} does not tell the group of {len(rows)} rows (first {rows[0]}): name it, or "
            "remove those rows"
        )
        return None
    return array.astype(str) if array.dtype.kind == "S" else array
