"""A user's own arrays: read, checked, and brought into the form that the estimators take."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from .._checks import as_number, check_choice, check_flag, check_kind, kind_of
from .._typing import AnyArray
from ._columns import (
    Dropped,
    checked_inputs,
    checked_recordings,
    checked_targets,
)
from ._groups import coded
from ._members import Unreadable
from ._sources import gather, source_of

Standardised = Literal["inputs", "recordings", "targets"]
STANDARDISED: tuple[Standardised, ...] = get_args(Standardised)
FilePath = str | os.PathLike[str]
_SHARED_ROWS = ("inputs", "recordings", "targets")
_SEPARATE_ROWS = ("brain_inputs", "recordings", "task_inputs", "targets")
_GROUPS = {_SHARED_ROWS: ("groups",), _SEPARATE_ROWS: ("brain_groups", "task_groups")}
_ALL_GROUPS = tuple(name for names in _GROUPS.values() for name in names)
_KNOWN = frozenset({*_SHARED_ROWS, *_SEPARATE_ROWS, *_ALL_GROUPS})
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
    - `targets`: shape (n_t, t). NaN where a target is not known. Of classes, their places in
      `classes`.
    - `shared_rows`: whether both pairs are the same rows, n_b = n_t. Splits then keep brain rows
      and task rows apart.
    - `brain_groups`, `task_groups`: the group of each row, as whole numbers; None without groups.
      Equal numbers in both are one group.
    - `classes`: the labels of the classes of each target, in order; None where targets are numbers.
    - `target_names`: of the columns of `targets`: their header, or their numbers in what was given.
    - `standardise`: which arrays to standardise by the training rows of each split.
    - `dropped`: columns that were left out, each kind a `Dropped`.
    """

    brain_inputs: np.ndarray
    recordings: np.ndarray
    task_inputs: np.ndarray
    targets: np.ndarray
    shared_rows: bool
    brain_groups: np.ndarray | None = None
    task_groups: np.ndarray | None = None
    classes: tuple[tuple[Any, ...], ...] | None = None
    target_names: tuple[str, ...] = ()
    standardise: tuple[Standardised, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    @property
    def input_dim(self) -> int:
        """Number d of inputs."""
        return self.brain_inputs.shape[1]

    @property
    def known_targets(self) -> np.ndarray | None:
        """Which targets are known, shape (n_t, t); None where all are."""
        known = np.isfinite(self.targets)
        return None if known.all() else known


def check_data(name: str, data: object) -> None:
    """Raise unless this is a study."""
    check_kind(name, data, PilotData, "pass what pilot_data or read_pilot returns")


def read_pilot(
    path: FilePath | None = None,
    *,
    inputs: FilePath | None = None,
    recordings: FilePath | None = None,
    targets: FilePath | None = None,
    brain_inputs: FilePath | None = None,
    task_inputs: FilePath | None = None,
    groups: FilePath | None = None,
    brain_groups: FilePath | None = None,
    task_groups: FilePath | None = None,
    classes: bool | None = None,
    standardise: Collection[Standardised] = (),
    max_bytes: float | int = 8e9,
) -> PilotData:
    """Read a study from a file, a folder, or several files.

    It consists of `inputs`, `recordings` and `targets` on shared rows, or of `brain_inputs`,
    `recordings`, `task_inputs` and `targets`. Groups of rows are optional. Files end in .npz, .npy,
    .csv, .tsv, .mat, .h5 or .hdf5. A folder holds .npy files. All is measured before any of it is
    read. Nothing that needs pickle is loaded, and no link within a file is followed. Large raw
    arrays stay in their files.

    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from jaxbrain.pilot import read_pilot
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/study.npz", inputs=rng.normal(size=(50, 4)),
    ...              recordings=rng.normal(size=(50, 9)), targets=rng.normal(size=50))
    ...     _ = Path(f"{folder}/scores.csv").write_text("score\\n" + "0.5\\n1.5\\n" * 25)
    ...     whole = read_pilot(f"{folder}/study.npz")
    ...     other = read_pilot(f"{folder}/study.npz", targets=f"{folder}/scores.csv:score")
    >>> whole.recordings.shape, other.target_names
    ((50, 9), ('score',))

    **Arguments**

    - `path`: of a file or a folder that holds arrays by the names above. Optional where all are
      given one by one.
    - `inputs`, `recordings`, `targets`, `brain_inputs`, `task_inputs`: FILE, or FILE:NAME with the
      name of an array in it. In tables NAME is a column, a number from 0, a range like 0-9, or
      several of them with commas. These come before what `path` holds.
    - `groups`, `brain_groups`, `task_groups`: the same, for the group of each row: a whole number
      or a word. Rows of one group are never on both sides of a split.
    - `classes`, `standardise`: as in `pilot_data`.
    - `max_bytes`: how much memory all arrays may take, at 8 bytes a number.

    **Returns**

    The study, a `PilotData`.

    **Raises**

    `PilotError`, a `ValueError` that lists every problem at once.
    """
    given = {
        "inputs": inputs,
        "recordings": recordings,
        "targets": targets,
        "brain_inputs": brain_inputs,
        "task_inputs": task_inputs,
        "groups": groups,
        "brain_groups": brain_groups,
        "task_groups": task_groups,
    }
    files = {name: file for name, file in given.items() if file is not None}
    problems = [
        f"{name} must be the name of a file, but it is {kind_of(file)}"
        for name, file in (files if path is None else {"path": path} | files).items()
        if not isinstance(file, str | os.PathLike)
    ]
    if path is None and not files:
        problems.append("path is missing: name a file, or files for inputs, recordings, targets")
    if problems:
        raise PilotError(problems)
    max_bytes = as_number("max_bytes", max_bytes)
    _check_choices(classes, standardise)
    sources = {name: source_of(file) for name, file in files.items()}
    of_targets = "any" if classes else "none" if classes is False else "labels"
    words = {"targets": of_targets, **dict.fromkeys(_ALL_GROUPS, "any")}
    # What is said of a single file says which.
    before = f"{path}: " if path is not None and not sources else ""
    try:
        found = gather(None if path is None else Path(path), sources, _KNOWN, words, max_bytes)
        return _bundle(found.arrays, found.faults, classes, standardise, found.columns)
    except Unreadable as error:
        raise PilotError([f"{path}: {error}" if path is not None else str(error)]) from error
    except PilotError as error:
        raise PilotError([f"{before}{problem}" for problem in error.problems]) from error


def pilot_data(
    *, classes: bool | None = None, standardise: Collection[Standardised] = (), **arrays: AnyArray
) -> PilotData:
    """Check the arrays of a study, and bundle them.

    Channels and targets that are constant, or hold no number, are dropped, and so are channels with
    missing numbers; `dropped` names them. Inputs must be complete. A target may be missing in some
    rows.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> data.targets.shape, data.shared_rows
    ((50, 1), True)

    **Arguments**

    - `classes`: whether targets are classes. By default text and truth values are, and whole
      numbers of at most ten values with five rows or more to each, in every column. Numbers of
      floating-point type are classes only where this is true.
    - `standardise`: which of `"inputs"`, `"recordings"`, `"targets"` to standardise by the training
      rows of each split alone. It is kept in the study for `evaluate`.
    - `**arrays`: those of a study, under the names that `read_pilot` takes.

    **Returns**

    The study, a `PilotData`.

    **Raises**

    `PilotError`, a `ValueError` that lists every problem at once.
    """
    _check_choices(classes, standardise)
    # Of data frames.
    named = {name: getattr(array, "columns", None) for name, array in arrays.items()}
    columns = {name: tuple(map(str, each)) for name, each in named.items() if each is not None}
    return _bundle(arrays, {}, classes, standardise, columns)


def _check_choices(classes: bool | None, standardise: Collection[Standardised]) -> None:
    if classes is not None:
        check_flag("classes", classes)
    if not isinstance(standardise, tuple | list | set | frozenset):
        raise ValueError(f"standardise must be a list of names, but it is {kind_of(standardise)}")
    for name in standardise:
        check_choice("standardise", name, STANDARDISED)


def _bundle(
    arrays: Mapping[str, Any],
    faults: Mapping[str, str],
    classes: bool | None,
    standardise: Collection[Standardised],
    columns: Mapping[str, tuple[str, ...]],
) -> PilotData:
    """The arrays as a study; `faults` says by name what is wrong with those that are not read."""
    given = {*arrays, *faults}
    of_separate = {*_SEPARATE_ROWS, *_GROUPS[_SEPARATE_ROWS]} - {*_SHARED_ROWS}
    names = _SEPARATE_ROWS if of_separate & given else _SHARED_ROWS
    known = {*names, *_GROUPS[names]}
    problems = [f"array {name!r} is missing" for name in names if name not in given]
    unknown = sorted(given - known)
    problems += [f"array {name!r} is not known here" for name in unknown[:_MOST_TOLD]]
    if len(unknown) > _MOST_TOLD:
        problems.append(f"{len(unknown) - _MOST_TOLD} more arrays are not known here")
    if problems:
        shared, separate = (", ".join((*each, *_GROUPS[each])) for each in _GROUPS)
        problems.append(f"a study holds either {shared}; or {separate}; groups are optional")
    problems += [
        f"{name} {fault}" if fault.startswith("(") else f"array {name!r} {fault}"
        for name, fault in faults.items()
        if name in known
    ]
    shared_rows = names is _SHARED_ROWS
    dropped: list[Dropped] = []
    brain_inputs, task_inputs = _checked_inputs(arrays, shared_rows, problems, dropped)
    recordings = targets = None
    if "recordings" in arrays:
        recordings = checked_recordings(arrays["recordings"], problems, dropped)
    if "targets" in arrays:
        targets = checked_targets(arrays["targets"], classes, problems, dropped)
    groups = coded({name: arrays[name] for name in _GROUPS[names] if name in arrays}, problems)
    if (
        problems
        or brain_inputs is None
        or task_inputs is None
        or not (recordings is not None and targets is not None)
    ):
        raise PilotError(problems)
    of_targets = columns.get("targets", ())
    data = PilotData(
        brain_inputs,
        recordings,
        task_inputs,
        targets.array,
        shared_rows,
        groups.get("groups" if shared_rows else "brain_groups"),
        groups.get("groups" if shared_rows else "task_groups"),
        targets.classes,
        tuple(of_targets[place] if of_targets else str(place) for place in targets.kept),
        tuple(name for name in STANDARDISED if name in standardise),
        tuple(dropped),
    )
    problems += _misfits(data, groups)
    if problems:
        raise PilotError(problems)
    return data


def _checked_inputs(
    arrays: Mapping[str, Any], shared_rows: bool, problems: list[str], dropped: list[Dropped]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Inputs of both stages, without columns that are constant in all rows of both."""
    names = ("inputs",) if shared_rows else ("brain_inputs", "task_inputs")
    pairs = {name: checked_inputs(name, arrays[name], problems) for name in names if name in arrays}
    tables = [pairs[name][0] for name in names if name in pairs]
    known = [table for table in tables if table is not None]
    if len(known) < len(names):
        return None, None
    first, last = known[0], known[-1]
    if first.shape[1] == last.shape[1]:
        constant = pairs[names[0]][1] & pairs[names[-1]][1] & (first[0] == last[0])
        where = tuple(np.flatnonzero(constant).tolist())
        if constant.all():
            problems.append(f"{' and '.join(names)}: all columns are constant")
        elif where:
            dropped.append(Dropped(" and ".join(names), "is constant", where))
            first, last = first[:, ~constant], last[:, ~constant]
            if shared_rows:
                last = first
    return first, last


def _misfits(data: PilotData, groups: Mapping[str, np.ndarray]) -> list[str]:
    """What does not fit between arrays that are right by themselves."""
    problems = []
    for name, rows, inputs in (
        ("recordings", data.recordings, data.brain_inputs),
        ("targets", data.targets, data.task_inputs),
    ):
        if len(rows) != len(inputs):
            remedy = ": transpose it" if rows.shape[1] == len(inputs) else ""
            problems.append(
                f"{name} has {len(rows)} rows, but its inputs have {len(inputs)}{remedy}"
            )
    for name, labels in groups.items():
        inputs = data.brain_inputs if name == "brain_groups" else data.task_inputs
        if len(labels) != len(inputs):
            problems.append(f"{name} has {len(labels)} rows, but its inputs have {len(inputs)}")
        # Brain, task and test rows, or task and test rows.
        least = {"groups": 3, "task_groups": 2}.get(name, 1)
        if len(np.unique(labels)) < least:
            problems.append(
                f"{name} has {len(np.unique(labels))} groups: a split takes at least {least}, as "
                "no group is on both of its sides"
            )
    if data.brain_inputs.shape[1] != data.task_inputs.shape[1]:
        problems.append(
            f"brain_inputs has {data.brain_inputs.shape[1]} columns, but task_inputs has "
            f"{data.task_inputs.shape[1]}"
        )
    elif data.input_dim < 2:
        problems.append("inputs needs at least 2 columns: one input leaves nothing to choose from")
    return problems
