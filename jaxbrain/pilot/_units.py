"""The arrays of a study in units in which arithmetic loses nothing."""

from __future__ import annotations

import numpy as np

from .recordings import PilotData


def rotated(inputs: np.ndarray) -> np.ndarray:
    """The inputs in coordinates of their own, no more than rows: the same to ridge."""
    inputs = inputs / np.max(np.abs(inputs))
    frame, spread, _ = np.linalg.svd(inputs - inputs.mean(axis=0), full_matrices=False)
    kept = spread > spread[0] * max(inputs.shape) * np.finfo(float).eps
    scores = frame[:, kept] * spread[kept]
    return scores / np.sqrt(np.mean(scores**2))


def rescaled(data: PilotData) -> PilotData:
    """Inputs of mean variance 1, recordings of mean variance 1, each target of variance 1.

    No answer depends on these units; the arithmetic does.
    """

    def unit(array: np.ndarray, axis: int | None) -> np.ndarray:
        array = array / np.max(np.abs(array), axis=axis, keepdims=True)
        centred = array - array.mean(axis=0)
        return array / np.sqrt(np.mean(centred**2, axis=axis, keepdims=True))

    if data.shared_rows:
        brain_inputs = task_inputs = unit(data.brain_inputs, None)
    else:
        both = unit(np.concatenate([data.brain_inputs, data.task_inputs]), None)
        brain_inputs, task_inputs = np.split(both, [len(data.brain_inputs)])
    return data._replace(
        brain_inputs=brain_inputs,
        recordings=unit(data.recordings, None),
        task_inputs=task_inputs,
        targets=unit(data.targets, 0),
    )
