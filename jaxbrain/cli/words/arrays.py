"""A study in words: what was left out, averaged, or taken as classes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...pilot import PilotData

_MOST_TOLD = 10


def about_arrays(data: PilotData, averaged: str | None) -> list[str]:
    """Lines on the study as it was read; none where there is nothing to say."""
    lines = [f"left out: {each}" for each in data.dropped]
    known = data.known_targets
    if known is not None:
        fewest = int(known.sum(axis=0).min())
        lines.append(
            f"targets: {int(np.sum(~known))} missing, left out one by one; at least {fewest} of "
            f"{len(known)} rows are known"
        )
    if data.classes is not None:
        for name, labels, codes in zip(
            data.target_names, data.classes, data.targets.T, strict=True
        ):
            rows = Counter(codes[np.isfinite(codes)].astype(int).tolist())
            told = ", ".join(
                f"{labels[code]} ({rows[code]} rows)" for code in range(len(labels))[:_MOST_TOLD]
            )
            more = f" and {len(labels) - _MOST_TOLD} more" if len(labels) > _MOST_TOLD else ""
            lines.append(f"target {name}: {len(labels)} classes, {told}{more}")
    if averaged is not None:
        same = "equal inputs" if averaged == "inputs" else "one group"
        lines.append(
            f"repeats: rows of {same} averaged, {len(data.recordings)} rows with recordings and "
            f"{len(data.targets)} with targets are left"
        )
    return lines


def as_json(data: PilotData) -> dict[str, Any]:
    """What was left out, and the names of targets and classes, for programs."""
    answer: dict[str, Any] = {
        "dropped": [
            {"array": each.array, "reason": each.reason, "columns": list(each.columns)}
            for each in data.dropped
        ],
        "targets": list(data.target_names),
    }
    if data.classes is not None:
        answer["classes"] = [list(labels) for labels in data.classes]
    return answer
