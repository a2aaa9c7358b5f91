"""A user's own arrays: read, checked, and brought into the form that the estimators take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._checks import as_array, as_integer, as_number, check_kind, is_concrete, kind_of
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Whole
from ._archives import Unreadable, read_arrays

_SHARED_ROWS = ("inputs", "recordings", "targets")
_SEPARATE_ROWS = ("brain_inputs", "recordings", "task_inputs", "targets")
_MOST_TOLD = 20


class PilotError(ValueError):
    """Everything that is wrong with a user's arrays or sizes, one line each in `problems`."""

    def __init__(self, problems: list[str]):
        """One line for each problem."""
        super().__init__("\n".join(problems))
        self.problems = problems


class PilotData(NamedTuple):
    """Recordings and labelled examples of one study, as `pilot_data` and `read_pilot` check them.

    **Fields**

    - `brain_inputs`: shape (n_b, d), row by row with `recordings`.
    - `recordings`: shape (n_b, p).
    - `task_inputs`: shape (n_t, d), row by row with `targets`.
    - `targets`: shape (n_t, t).
    - `shared_rows`: whether both pairs are the same rows, n_b = n_t. Splits then keep brain rows
      and task rows apart.
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


def check_data(name: str, data: object) -> None:
    """Raise unless this is a study."""
    check_kind(name, data, PilotData, "pass what pilot_data or read_pilot returns")


def read_pilot(path: Path | str, *, max_bytes: float | int = 8e9) -> PilotData:
    """Read a study from an .npz file.

    The file holds either `inputs`, `recordings`, `targets` on shared rows, or `brain_inputs`,
    `recordings`, `task_inputs`, `targets`. Inputs have shape (n, d), recordings (n, p), targets
    (n,) or (n, t). Files that need pickle are refused. The file is measured before it is read.

    >>> import tempfile, numpy as np
    >>> from jaxbrain.pilot import read_pilot
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.NamedTemporaryFile(suffix=".npz") as file:
    ...     np.savez(file, inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...              targets=rng.normal(size=50))
    ...     _ = file.seek(0)
    ...     read_pilot(file.name).recordings.shape
    (50, 9)

    **Arguments**

    - `path`: of the file.
    - `max_bytes`: how much memory its arrays may take, at 8 bytes a number.

    **Returns**

    The study, a `PilotData`.

    **Raises**

    `PilotError`, a `ValueError` that lists every problem at once.
    """
    if not isinstance(path, str | os.PathLike):
        raise PilotError([f"path must be the name of a file in .npz, but it is {kind_of(path)}"])
    max_bytes = as_number("max_bytes", max_bytes)
    try:
        arrays, faults = read_arrays(Path(path), {*_SHARED_ROWS, *_SEPARATE_ROWS}, max_bytes)
        return _bundle(arrays, faults)
    except Unreadable as error:
        raise PilotError([f"{path}: {error}"]) from error
    except PilotError as error:
        raise PilotError([f"{path}: {problem}" for problem in error.problems]) from error


def pilot_data(**arrays: AnyArray) -> PilotData:
    """Check the arrays of a study, and bundle them.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> data.targets.shape, data.shared_rows
    ((50, 1), True)

    **Arguments**

    - `**arrays`: those of a study, under the names that `read_pilot` takes.

    **Returns**

    The study, a `PilotData`.

    **Raises**

    `PilotError`, a `ValueError` that lists every problem at once.
    """
    return _bundle(arrays, {})


def _bundle(arrays: Mapping[str, AnyArray], faults: dict[str, str]) -> PilotData:
    """The arrays as a study; `faults` says by name what is wrong with those that are not read."""
    given = {*arrays, *faults}
    names = _SEPARATE_ROWS if {"brain_inputs", "task_inputs"} & given else _SHARED_ROWS
    problems = [f"array {name!r} is missing" for name in names if name not in given]
    unknown = sorted(given - set(names))
    problems += [f"array {name!r} is not known here" for name in unknown[:_MOST_TOLD]]
    if len(unknown) > _MOST_TOLD:
        problems.append(f"{len(unknown) - _MOST_TOLD} more arrays are not known here")
    if problems:
        shared, separate = ", ".join(_SHARED_ROWS), ", ".join(_SEPARATE_ROWS)
        problems.append(f"a file holds either {shared}; or {separate}")
    problems += [f"array {name!r} {fault}" for name, fault in faults.items() if name in names]
    checked = {name: _checked(name, arrays[name], problems) for name in names if name in arrays}
    if problems:
        raise PilotError(problems)
    shared_rows = names is _SHARED_ROWS
    data = PilotData(
        brain_inputs=checked["inputs" if shared_rows else "brain_inputs"],
        recordings=checked["recordings"],
        task_inputs=checked["inputs" if shared_rows else "task_inputs"],
        targets=checked["targets"],
        shared_rows=shared_rows,
    )
    for name, rows, inputs in (
        ("recordings", data.recordings, data.brain_inputs),
        ("targets", data.targets, data.task_inputs),
    ):
        if len(rows) != len(inputs):
            remedy = ": transpose it" if rows.shape[1] == len(inputs) else ""
            problems.append(
                f"{name} has {len(rows)} rows, but its inputs have {len(inputs)}{remedy}"
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


def _checked(name: str, array: AnyArray, problems: list[str]) -> np.ndarray:
    try:
        if not is_concrete(array):
            raise ValueError(f"{name} must be known, but JAX is tracing it")
        array = np.asarray(as_array(name, array))
    except ValueError as problem:
        said = str(problem).removesuffix(": convert it by .astype(float)")
        if "must hold real numbers" in said:
            said += ": save numbers as float, and two classes as 1 and -1 (more: a column each)"
        problems.append(said)
        return np.zeros((1, 2))
    if array.ndim == 1 and name == "targets":
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        remedy = ": a single column is array[:, None]" if array.ndim == 1 and array.size else ""
        problems.append(
            f"{name} must have rows and columns, but its shape is {array.shape}{remedy}"
        )
        return array
    array = array.astype(float)
    # Numbers near the ends of the floating-point range are as good as no numbers.
    array = np.where(np.abs(array) > 1e150, np.inf, array)
    empty = np.flatnonzero(~np.any(np.isfinite(array), axis=0))
    if len(empty):
        problems.append(
            f"{name} holds no number in {_count(empty, 'column')}: remove those columns"
        )
        array = np.delete(array, empty, axis=1)
    bad_rows = np.flatnonzero(~np.all(np.isfinite(array), axis=1))
    if len(bad_rows):
        problems.append(
            f"{name} holds NaN, infinity or numbers beyond 1e150 in {_count(bad_rows, 'row')}: "
            "remove those rows"
        )
        return array
    # What no float holds exactly varies by rounding, which is nothing to learn.
    rounding = 4 * np.finfo(float).eps * np.max(np.abs(array), axis=0, initial=0.0)
    constant = np.flatnonzero(np.ptp(array, axis=0) <= rounding)
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


def standardise_channels(data: PilotData) -> PilotData:
    """Give each channel variance 1, so that no unit of measurement decides what is learned.

    Subspaces are learned from all channels together, each counting by its variance. Channels of
    different units, such as volts beside teslas, then say nothing but what the units are.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, standardise_channels
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), targets=rng.normal(size=50),
    ...                   recordings=rng.normal(size=(50, 2)) * [1e-13, 1e-6])
    >>> standardise_channels(data).recordings.std(axis=0).round(6).tolist()
    [1.0, 1.0]

    **Arguments**

    - `data`: the study.

    **Returns**

    The study with new recordings, centred too.

    **Raises**

    `ValueError` where `data` is no study. `pilot_data` refuses channels that are constant.

    **Source**

    Ours.
    """
    check_data("data", data)
    recordings = data.recordings / np.max(np.abs(data.recordings), axis=0)
    recordings = recordings - recordings.mean(axis=0)
    return data._replace(recordings=recordings / recordings.std(axis=0))


def principal_components(data: PilotData, components: int) -> tuple[PilotData, float]:
    """Describe the inputs by their leading principal components, each with its own variance.

    Fewer inputs let fewer rows do. The spectrum of the inputs stays: ridge lives on it, and so do
    BEFS and its controls. `whiten` takes it away.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, principal_components
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> fewer, share = principal_components(data, 3)
    >>> fewer.brain_inputs.shape, 0.6 < share < 1
    ((50, 3), True)

    **Arguments**

    - `data`: the study.
    - `components`: how many, from 2 to the rank of the inputs.

    **Returns**

    The study with new inputs, and the share of the variance of the inputs that the components hold.

    **Raises**

    `PilotError` if the inputs do not have that many components.

    **Source**

    Principal component analysis, by the singular value decomposition of the centred inputs.
    """
    return _in_components(data, components, white=False)


def whiten(data: PilotData, components: int) -> tuple[PilotData, float]:
    """Describe the inputs by their leading principal components, each scaled to variance 1.

    This takes the spectrum away that ridge and the controls live on: where recordings and task
    merely share it, BEFS will then seem to help. Compare with ridge on the inputs as they came, or
    keep the spectrum by `principal_components`. Components come from the inputs of all rows.
    Neither recordings nor targets are looked at.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, whiten
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> white, share = whiten(data, 3)
    >>> white.brain_inputs.shape, 0.6 < share < 1
    ((50, 3), True)

    **Arguments**

    - `data`: the study.
    - `components`: how many, from 2 to the rank of the inputs.

    **Returns**

    The study with new inputs, and the share of the variance of the inputs that the components hold.

    **Raises**

    `PilotError` if the inputs do not have that many components.

    **Source**

    Principal component analysis, by the singular value decomposition of the centred inputs.
    """
    return _in_components(data, components, white=True)


@with_one_blas_thread
def _in_components(data: PilotData, components: Whole, white: bool) -> tuple[PilotData, float]:
    check_data("data", data)
    components = as_integer("components", components, 0)
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
                f"components must lie between 2 and {rank}, the rank of the inputs: it is "
                f"{components}"
            ]
        )
    scores = axes[:components].T
    if white:
        scores = scores * (np.sqrt(len(inputs)) / spread[:components])
    share = float(np.sum(spread[:components] ** 2) / np.sum(spread**2))
    return (
        data._replace(
            brain_inputs=(data.brain_inputs - mean) @ scores,
            task_inputs=(data.task_inputs - mean) @ scores,
        ),
        share,
    )
