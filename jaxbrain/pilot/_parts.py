"""Studies that are compared in parts: targets missing in some rows, and several of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._groups import numbered
from .evaluation import ClassScores, Evaluation
from .recordings import PilotData


class Part(NamedTuple):
    """Targets that are known in the same rows, or one of classes, as a study of their own."""

    data: PilotData
    rows: np.ndarray
    """Numbers of its rows among the labelled ones."""
    columns: np.ndarray
    """Numbers of its targets."""

    def of_rows(self, data: PilotData) -> PilotData:
        """Another study of the same rows, cut to those of this one."""
        return _in_rows(data, self.rows)


def parts_of(data: PilotData) -> list[Part]:
    """The studies into which missing targets and classes divide this one; else itself alone."""
    known = np.isfinite(data.targets)
    pattern = numbered(known.T) if data.classes is None else np.arange(known.shape[1])
    parts = []
    for number in range(pattern.max() + 1):
        columns = np.flatnonzero(pattern == number)
        rows = np.flatnonzero(known[:, columns[0]])
        names = tuple(data.target_names[place] for place in columns) if data.target_names else ()
        classes = None if data.classes is None else (data.classes[number],)
        of_columns = data._replace(
            targets=data.targets[:, columns], target_names=names, classes=classes
        )
        parts.append(Part(_in_rows(of_columns, rows), rows, columns))
    return parts


def _in_rows(data: PilotData, rows: np.ndarray) -> PilotData:
    """A study of these labelled rows; where brain and task share rows, the others are left out."""

    def cut(groups: np.ndarray | None) -> np.ndarray | None:
        return None if groups is None else groups[rows]

    data = data._replace(
        task_inputs=data.task_inputs[rows],
        targets=data.targets[rows],
        task_groups=cut(data.task_groups),
    )
    if not data.shared_rows:
        return data
    return data._replace(
        brain_inputs=data.task_inputs,
        recordings=data.recordings[rows],
        brain_groups=cut(data.brain_groups),
    )


def together(parts: Sequence[Part], found: Sequence[Evaluation], units: np.ndarray) -> Evaluation:
    """One evaluation of all targets, each counting as much as any other.

    Rank and penalties are those of the part with most targets, and the design that of the part with
    the fewest rows. Curves have the points that all parts have.
    """
    counts = np.array([len(part.columns) for part in parts])
    shares = counts / counts.sum()
    first = found[int(np.argmax(counts))]
    fewest = found[int(np.argmin([len(part.rows) for part in parts]))]
    order = np.argsort(np.concatenate([part.columns for part in parts]))

    def by_target(arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(arrays, axis=-1)[..., order]

    cells = tuple(
        cell for cell in first.curves.cells if all(cell in each.curves.cells for each in found)
    )
    places = [[each.curves.cells.index(cell) for cell in cells] for each in found]
    errors = sum(
        share * each.curves.errors[place]
        for share, each, place in zip(shares, found, places, strict=True)
    )
    # Each row's mean over the targets that are known there, and were tested.
    total, weight = np.zeros((2, len(cells), len(units)))
    for count, part, each, place in zip(counts, parts, found, places, strict=True):
        losses = each.curves.row_losses[place]
        tested = np.isfinite(losses)
        total[:, part.rows] += np.where(tested, count * losses, 0.0)
        weight[:, part.rows] += count * tested
    with np.errstate(invalid="ignore"):
        losses = total / weight
    classes = [each.classes for each in found if each.classes is not None]
    as_given = [each.errors_as_given for each in found if each.errors_as_given is not None]
    return first._replace(
        errors=by_target([each.errors for each in found]),
        scores=sum(share * each.scores for share, each in zip(shares, found, strict=True)),
        curves=fewest.curves._replace(
            cells=cells, errors=np.asarray(errors), row_losses=losses, units=units
        ),
        errors_as_given=by_target(as_given) if as_given else None,
        classes=ClassScores(*map(by_target, zip(*classes, strict=True))) if classes else None,
    )
