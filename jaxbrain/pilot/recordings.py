"""A user's own arrays: read, checked, and brought into the form that the estimators take."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHARED_ROWS = ("inputs", "recordings", "targets")
SEPARATE_ROWS = ("brain_inputs", "recordings", "task_inputs", "targets")


class PilotError(ValueError):
    """Everything that is wrong with a user's arrays or sizes, one line each in `problems`."""

    def __init__(self, problems: list[str]):
        """One line for each problem."""
        super().__init__("\n".join(problems))
        self.problems = problems


class PilotData(NamedTuple):
    """Recordings and labelled examples of one study.

    - `brain_inputs`, shape (n_b, d), row by row with `recordings`, shape (n_b, p).
    - `task_inputs`, shape (n_t, d), row by row with `targets`, shape (n_t, t).
    - `shared_rows`: whether both pairs are the same rows, n_b = n_t; splits then keep brain rows and
      task rows apart.
    """

    brain_inputs: np.ndarray
    recordings: np.ndarray
    task_inputs: np.ndarray
    targets: np.ndarray
    shared_rows: bool

    @property
    def input_dim(self) -> int:
        """Number d of inputs."""
        return self.brain_inputs.shape[1]


def read_pilot(path: Path | str) -> PilotData:
    """Read a study from an .npz file.

    The file holds either `inputs`, `recordings`, `targets` on shared rows, or `brain_inputs`,
    `recordings`, `task_inputs`, `targets`. Inputs have shape (n, d), recordings (n, p), targets (n,)
    or (n, t). Files that need pickle are refused.

    **Raises** `PilotError`, a `ValueError` that lists every problem at once.
    """
    try:
        with open(path, "rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array without a name")
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as problem:
        raise PilotError([f"{path}: there is no such file"]) from problem
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        raise PilotError(
            [f"{path}: cannot be read as an .npz file of plain arrays ({problem})"]
        ) from problem
    return pilot_data(**arrays)


def pilot_data(**arrays: np.ndarray) -> PilotData:
    """Check a study's arrays, named as in `read_pilot`, and bundle them.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> data.targets.shape, data.shared_rows
    ((50, 1), True)

    **Raises** `PilotError`, a `ValueError` that lists every problem at once.
    """
    names = SEPARATE_ROWS if {"brain_inputs", "task_inputs"} & set(arrays) else SHARED_ROWS
    problems = [f"array {name!r} is missing" for name in names if name not in arrays]
    problems += [f"array {name!r} is not known here" for name in sorted(set(arrays) - set(names))]
    if problems:
        shared, separate = ", ".join(SHARED_ROWS), ", ".join(SEPARATE_ROWS)
        problems.append(f"a file holds either {shared}; or {separate}")
        raise PilotError(problems)
    checked = {name: _checked(name, arrays[name], problems) for name in names}
    if problems:
        raise PilotError(problems)
    shared_rows = names is SHARED_ROWS
    data = PilotData(
        brain_inputs=checked["inputs" if shared_rows else "brain_inputs"],
        recordings=checked["recordings"],
        task_inputs=checked["inputs" if shared_rows else "task_inputs"],
        targets=checked["targets"],
        shared_rows=shared_rows,
    )
    if len(data.brain_inputs) != len(data.recordings):
        problems.append(
            f"recordings has {len(data.recordings)} rows, but its inputs have "
            f"{len(data.brain_inputs)}"
        )
    if len(data.task_inputs) != len(data.targets):
        problems.append(
            f"targets has {len(data.targets)} rows, but its inputs have {len(data.task_inputs)}"
        )
    if data.brain_inputs.shape[1] != data.task_inputs.shape[1]:
        problems.append(
            f"brain_inputs has {data.brain_inputs.shape[1]} columns, but task_inputs has "
            f"{data.task_inputs.shape[1]}"
        )
    elif data.input_dim < 2:
        problems.append("inputs needs at least 2 columns: one input leaves nothing to choose from")
    if problems:
        raise PilotError(problems)
    return data


def _checked(name: str, array: np.ndarray, problems: list[str]) -> np.ndarray:
    array = np.asarray(array)
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        problems.append(f"{name} must hold real numbers, but its type is {array.dtype}")
        return array
    if array.ndim == 1 and name == "targets":
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        problems.append(f"{name} must have rows and columns, but its shape is {array.shape}")
        return array
    array = array.astype(float)
    # Numbers near the ends of the floating-point range are as good as no numbers.
    array = np.where(np.abs(array) > 1e150, np.inf, array)
    bad_rows = np.flatnonzero(~np.all(np.isfinite(array), axis=1))
    if len(bad_rows):
        problems.append(
            f"{name} holds NaN, infinity or numbers beyond 1e150 in {_count(bad_rows, 'row')}: "
            "remove those rows"
        )
        return array
    constant = np.flatnonzero(np.ptp(array, axis=0) == 0)
    if len(constant):
        problems.append(
            f"{name} is constant in {_count(constant, 'column')}: such columns carry nothing, "
            "remove them"
        )
    return array


def _count(indices: np.ndarray, noun: str) -> str:
    first = ", ".join(str(index) for index in indices[:5])
    plural = noun if len(indices) == 1 else noun + "s"
    return f"{len(indices)} {plural} ({first}{', …' if len(indices) > 5 else ''})"


def whiten(data: PilotData, components: int) -> tuple[PilotData, float]:
    """Describe the inputs by their leading principal components, each scaled to variance 1.

    The model behind the estimators takes inputs of equal variance, and more recorded rows than
    inputs. Components come from the inputs of all rows; neither recordings nor targets are looked at.

    Returns the new data and the share of the inputs' variance that the components hold.
    **Raises** `PilotError` if the inputs do not have that many components.
    """
    inputs = (
        data.brain_inputs
        if data.shared_rows
        else np.concatenate([data.brain_inputs, data.task_inputs])
    )
    mean = inputs.mean(axis=0)
    _, spread, axes = np.linalg.svd(inputs - mean, full_matrices=False)
    rank = int(np.sum(spread > spread[0] * max(inputs.shape) * np.finfo(float).eps))
    if not 2 <= components <= rank:
        raise PilotError(
            [
                f"components must lie between 2 and {rank}, the rank of the inputs: it is {components}"
            ]
        )
    scores = axes[:components].T * (np.sqrt(len(inputs)) / spread[:components])
    share = float(np.sum(spread[:components] ** 2) / np.sum(spread**2))
    return (
        data._replace(
            brain_inputs=(data.brain_inputs - mean) @ scores,
            task_inputs=(data.task_inputs - mean) @ scores,
        ),
        share,
    )
