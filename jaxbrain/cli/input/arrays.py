"""The arrays of a study from the command line: options that say where they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from ...pilot import PilotData

_NAMES = (
    "inputs",
    "recordings",
    "targets",
    "brain_inputs",
    "task_inputs",
    "groups",
    "brain_groups",
    "task_groups",
)
_GIGABYTES = 8.0
# The help of an option says what happens without it.
_UNSAID = tyro.conf.arg(help_behavior_hint="")
_File = Annotated[str | None, _UNSAID]


@dataclass(frozen=True)
class Arrays:
    """Where the arrays of a study are, and what they mean.

    Args:
        file: A file of yours (.npz, .mat, .h5), or a folder of .npy files. It holds inputs,
            recordings and targets with shared rows; or brain_inputs, recordings, task_inputs and
            targets; and groups, if there are some. Not needed where the following options name all
            arrays.
        inputs: FILE or FILE:NAME, here and below: an array in an .npz, .npy, .csv, .tsv, .mat or
            .h5 file. In tables NAME is a column, its number from 0, a range like 0-9, or several
            of them with commas.
        recordings: Of the brain, a channel a column.
        targets: What is to be learned, a target a column.
        brain_inputs: Row by row with the recordings, where they have rows of their own.
        task_inputs: Row by row with the targets, then.
        groups: The group of each row, such as a subject or a session: a number or a word. No group
            is on both sides of a split.
        brain_groups: The same for the rows of brain_inputs.
        task_groups: The same for the rows of task_inputs.
        classes: Take the targets as classes, whatever they look like.
        no_classes: Take the targets as numbers. By default words, truth values and whole numbers of
            at most ten values are classes.
        average_repeats: Make one row of those whose inputs are exactly equal, or of those of one
            group.
        standardise_inputs: Give each input variance 1 in the rows learned from, in every split.
        standardise_targets: The same for each target; otherwise it has variance 1 in all rows.
        raw_channels: Let channels count by their variances. By default each is scaled to variance
            1.
        max_gigabytes: Memory for the arrays of all files, at 8 bytes a number.
    """

    file: Annotated[Path | None, tyro.conf.Positional, _UNSAID] = None
    inputs: _File = None
    recordings: _File = None
    targets: _File = None
    brain_inputs: _File = None
    task_inputs: _File = None
    groups: _File = None
    brain_groups: _File = None
    task_groups: _File = None
    classes: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    no_classes: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    average_repeats: Annotated[Literal["inputs", "groups"] | None, _UNSAID] = None
    standardise_inputs: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    standardise_targets: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    raw_channels: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    max_gigabytes: float = _GIGABYTES

    @property
    def files(self) -> dict[str, str]:
        """Arrays that are named one by one, and their files."""
        given = {name: getattr(self, name) for name in _NAMES}
        return {name: file for name, file in given.items() if file is not None}

    @property
    def paths(self) -> list[Path | None]:
        """Files that may be read, with what may be a name behind them and without."""
        whole = [self.file, *map(Path, self.files.values())]
        return [*whole, *(Path(file.rpartition(":")[0]) for file in self.files.values())]

    @property
    def standardised(self) -> list[Literal["inputs", "recordings", "targets"]]:
        """Arrays to standardise by the rows learned from."""
        names: list[Literal["inputs", "recordings", "targets"]] = []
        if self.standardise_inputs:
            names.append("inputs")
        if not self.raw_channels:
            names.append("recordings")
        if self.standardise_targets:
            names.append("targets")
        return names

    def problems(self) -> list[str]:
        """What is wrong before any file is opened."""
        problems = []
        if self.classes and self.no_classes:
            problems.append("--classes and --no-classes exclude each other")
        if self.file is None and not self.files:
            problems.append("a file is missing: name one, or --inputs, --recordings and --targets")
        return problems

    def read(self) -> PilotData:
        """The study, with repeats averaged where that is asked; raises `PilotError`."""
        from ...pilot import average_repeats, read_pilot

        asked = self.max_gigabytes
        # An amount that is none is among the problems already.
        allowed = asked if 0 < asked < math.inf else _GIGABYTES
        data = read_pilot(
            self.file,
            **self.files,
            classes=None if self.classes == self.no_classes else self.classes,
            standardise=self.standardised,
            max_bytes=allowed * 1e9,
        )
        if self.average_repeats is None:
            return data
        return average_repeats(data, self.average_repeats)
