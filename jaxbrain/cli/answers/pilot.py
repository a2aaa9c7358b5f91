"""The numbers of a study that a pilot measured, and what to doubt of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...pilot import Measured, PilotData, PilotEstimate

# Latents of a draw at most, where their number is not given, and copies of each array.
_LATENTS, _COPIES = 64, 4
# Moments of a draw's latents over the spectrum.
_TERMS = 24


@dataclass(frozen=True)
class PilotAnswer:
    """Numbers with their intervals, by their names in a study file."""

    numbers: dict[str, Measured]
    latent_dims: dict[int, float]
    n_brain: float
    n_task: float
    rows: tuple[int, int]
    """With recordings and with labels, whether or not they depend on each other."""
    targets: int
    draws: int
    notes: tuple[str, ...]


def bytes_needed(data: PilotData, draws: int, rank: int | None) -> float:
    """Memory of the draws and of what they are made from, roughly."""
    d, channels = data.input_dim, data.recordings.shape[1]
    k = min(d - 1, channels, _LATENTS) if rank is None else rank
    rows = len(data.brain_inputs) + len(data.task_inputs)
    of_draw = d * (k + 2) + _TERMS * k**2 + k * channels
    return 8.0 * _COPIES * (draws * of_draw + rows * (d + channels) + 3 * d**2)


def answer_of(estimate: PilotEstimate, data: PilotData) -> PilotAnswer:
    """What is told of an estimate."""
    return PilotAnswer(
        estimate.numbers,
        estimate.latent_dims,
        estimate.n_brain,
        estimate.n_task,
        (len(data.brain_inputs), len(data.task_inputs)),
        data.targets.shape[1],
        estimate.count,
        estimate.notes,
    )
