"""Reading a study file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from .._checks import as_number, kind_of
from .described import described_study
from .errors import Memory, StudyError
from .purchase import read_prices
from .records import Study


def read_study(path: Path | str, *, max_bytes: float | int = 2e9) -> Study:
    """Read a study file: one that describes a problem, or one that a pilot measured.

    It is the file that `jaxbrain worth`, `report` and `simulate` take, and is read in the same way,
    prices included.

    >>> import jaxbrain as jb, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "study.toml"
    >>> _ = path.write_text('''
    ... n_brain = 100
    ... task_snr = 1.0
    ... misalignment = 0.2
    ... [problem]
    ... input_dim = 24
    ... latent_dim = 3
    ... encoding_noise = 0.5
    ... ''')
    >>> study = jb.read_study(path)
    >>> study.problem.input_dim, study.n_brain, study.n_task, study.estimate
    (24, 100.0, 48.0, None)

    **Arguments**

    - `path`: of the TOML file; docs/files.md lists its keys. Files that it names lie beside it.
    - `max_bytes`: how much memory features, or the draws of a pilot, may take.

    **Returns**

    A `Study`.

    **Raises**

    `StudyError`, a `ValueError` that lists every problem at once. `ValueError` where an argument is
    none.

    **Source**

    Ours.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path must be the name of a file, but it is {kind_of(path)}")
    most = as_number("max_bytes", max_bytes)
    path = Path(path)
    memory = Memory(most, f"max_bytes = {most:g}")
    study, problems = None, []
    try:
        study = described_study(path, {}, memory)
    except StudyError as error:
        problems += error.problems
    try:
        purchase = read_prices(path, {}, study)
    except StudyError as error:
        problems += error.problems
    if problems or study is None:
        raise StudyError(list(dict.fromkeys(problems)))
    return replace(study, purchase=purchase)
