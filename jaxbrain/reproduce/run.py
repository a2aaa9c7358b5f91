"""From nothing, or from stored tables, to figures and verdicts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray

from .._writing import write_files
from ..figures.style import rendered, styled
from ..models import presets
from ..simulation import bytes_of_sweep
from ..store import read_table, table_files, write_table
from .registry import RESULTS, TABLES
from .result import FULL, Claim, Result, Scale, Tables
from .verdicts import as_markdown

# Of a figure, each a file.
_FORMS = ("png", "svg", "pdf")


def reproduce(
    names: Sequence[str],
    folder: Path | str,
    *,
    scale: Scale = FULL,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Claim]]:
    """Reproduce results of the paper: tables, figures drawn from these, verdicts on its claims.

    >>> import tempfile
    >>> from jaxbrain.reproduce import QUICK, reproduce
    >>> found = reproduce(["model"], tempfile.mkdtemp(), scale=QUICK)
    >>> [claim.verdict for claim in found["model"]]
    ['confirmed']

    **Arguments**

    - `names`: some of `RESULTS`, in any order.
    - `folder`: made if it is not there. Tables go into tables/ (netCDF and CSV), figures into
      figures/ (PNG, SVG and PDF), verdicts into claims.md and claims.json, beside those of results
      that are there already.
    - `scale`: how much is simulated, `FULL` or `QUICK`.
    - `resume`: take tables that are there already, and compute only what is missing. Figures and
      verdicts are always made anew, from what the tables say.
    - `overwrite`: compute everything anew.
    - `progress`: a function that is told what is done.

    **Returns**

    The claims of each result.

    **Raises**

    `ValueError` for an unknown name, where a stored table was made at another scale or is none, and
    where a file stands in place of a folder. `FileExistsError` where results are there already and
    neither `resume` nor `overwrite` is asked for.

    **Source**

    Lewis et al., arXiv:2605.09243; what goes beyond it says so.
    """
    unknown = [name for name in names if name not in RESULTS]
    if unknown or not names:
        raise ValueError(
            f"names must be some of {', '.join(RESULTS)}, but there is "
            f"{', '.join(unknown) or 'none'}"
        )
    chosen = [name for name in RESULTS if name in names]
    paths = _Paths(Path(folder))
    paths.check()
    needed = list(dict.fromkeys(table for name in chosen for table in RESULTS[name].tables))
    if not (resume or overwrite):
        there = paths.existing(chosen, needed)
        if there:
            raise FileExistsError(
                f"{there[0]} exists already: resume to take stored tables as they are, overwrite "
                "to compute "
                "everything anew, or choose another folder"
            )
    kept: dict[str, xarray.Dataset] = {}
    if resume:
        kept = {
            name: _stored(paths.table(name), name, scale)
            for name in needed
            if os.path.lexists(paths.table(name))
        }
    paths.make()
    tables = {}
    for number, name in enumerate(needed):
        if name in kept:
            tables[name] = kept[name]
            continue
        start = time.perf_counter()
        table = TABLES[name](scale).copy()
        table.attrs |= _origin(scale) | {"table": name}
        # Without leave to go on or to overwrite, what has come meanwhile stays: an error.
        write_table(table, paths.table(name), overwrite=overwrite or resume)
        # What is drawn and judged is what was stored.
        tables[name] = read_table(paths.table(name))
        progress(f"table {name} ({number + 1}/{len(needed)}): {time.perf_counter() - start:.1f} s")
    found = {}
    for name in RESULTS:
        result = RESULTS[name]
        if name in chosen:
            with _blamed_on([paths.table(table) for table in result.tables if table in kept]):
                found[name] = _judged(result, tables)
        else:
            # What was reproduced here before keeps its verdicts.
            earlier = _all_stored(paths, result, scale)
            if earlier is not None:
                with _blamed_on([paths.table(table) for table in result.tables]):
                    found[name] = _judged(result, earlier)
    contents: dict[Path, bytes] = {}
    for name in chosen:
        stored = [paths.table(table) for table in RESULTS[name].tables if table in kept]
        with styled(), _blamed_on(stored):
            figure = RESULTS[name].draw(tables)
            for suffix in _FORMS:
                contents[paths.figure(name, suffix)] = rendered(figure, suffix)
        progress(f"figure {name}")
    told = {name: [c._asdict() for c in claims] for name, claims in found.items()}
    contents[paths.folder / "claims.md"] = as_markdown(found, scale).encode()
    contents[paths.folder / "claims.json"] = (json.dumps(told, indent=2) + "\n").encode()
    # Figures and verdicts belong together.
    write_files(contents, overwrite=resume or overwrite)
    return {name: found[name] for name in chosen}


def bytes_needed(scale: Scale) -> float:
    """Memory of the largest sweep behind the results, roughly, in bytes.

    >>> from jaxbrain.reproduce import FULL, bytes_needed
    >>> 1e8 < bytes_needed(FULL) < 2e9
    True

    **Arguments**

    - `scale`: `FULL` or `QUICK`.

    **Returns**

    Bytes.

    **Raises**

    Nothing.

    **Source**

    `jaxbrain.simulation.bytes_of_sweep`, for trials at fMRI scale.
    """
    # No sweep at fMRI scale has more cells, nor is any trial larger.
    return bytes_of_sweep(presets.SIZES["fmri"], 5, 8, "empirical", scale.fmri_seeds)


@contextmanager
def _blamed_on(stored: list[Path]) -> Iterator[None]:
    """Stored tables that lack what is looked for in them were made by something else."""
    try:
        yield
    except (KeyError, AttributeError, IndexError) as error:
        if not stored:
            raise
        files = ", ".join(map(str, stored))
        raise ValueError(
            f"{files}: not what this version stores there ({error}): overwrite, or choose "
            "another folder"
        ) from error


def _judged(result: Result, tables: Tables) -> list[Claim]:
    # A claim that a table makes impossible is not confirmed; it is no accident.
    with np.errstate(divide="ignore", invalid="ignore"):
        return result.claims(tables)


def _all_stored(paths: _Paths, result: Result, scale: Scale) -> Tables | None:
    """The tables of a result, if all of them are there and of this scale."""
    try:
        return {name: _stored(paths.table(name), name, scale) for name in result.tables}
    except (OSError, ValueError):
        return None


class _Paths:
    """Where everything lies."""

    def __init__(self, folder: Path):
        self.folder = folder

    def table(self, name: str) -> Path:
        return self.folder / "tables" / f"{name}.nc"

    def figure(self, name: str, suffix: str) -> Path:
        return self.folder / "figures" / f"{name}.{suffix}"

    def existing(self, results: list[str], tables: list[str]) -> list[Path]:
        paths = [file for name in tables for file in table_files(self.table(name))]
        paths += [self.figure(name, suffix) for name in results for suffix in _FORMS]
        paths += [self.folder / "claims.md", self.folder / "claims.json"]
        return [path for path in paths if os.path.lexists(path)]

    def check(self) -> None:
        for path in self.folders():
            if path.exists() and not path.is_dir():
                raise ValueError(
                    f"{path} is a file, where a folder has to be: choose another folder"
                )

    def make(self) -> None:
        for path in self.folders():
            path.mkdir(parents=True, exist_ok=True)

    def folders(self) -> list[Path]:
        return [self.folder / "tables", self.folder / "figures"]


def _origin(scale: Scale) -> dict[str, str]:
    import jax

    from .. import __version__

    return {
        "scale": scale.name,
        "made_by": f"jaxbrain {__version__}",
        "jax_version": jax.__version__,
        "source": "Lewis, Wang, Schwab, Pitkow, arXiv:2605.09243, reproduced and extended",
    }


def _stored(path: Path, name: str, scale: Scale) -> xarray.Dataset:
    table = read_table(path)
    content = table.attrs.get("table")
    if content != name:
        raise ValueError(
            f"{path} holds {f'the table {content}' if content else 'something else'}: overwrite, "
            "or choose "
            "another folder"
        )
    made = table.attrs.get("scale")
    if made != scale.name:
        raise ValueError(
            f"{path} was made at the scale {made!r}, not {scale.name!r}: overwrite, or choose "
            "another folder"
        )
    return table
