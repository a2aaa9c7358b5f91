"""Labelled results on disk: netCDF for programs, CSV for people, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._checks import kind_of

if TYPE_CHECKING:
    import xarray


def write_table(table: xarray.Dataset, path: Path | str) -> list[Path]:
    """Keep a labelled dataset: netCDF at `path`, which ends in .nc, and CSV beside it.

    Variables that share their dimensions share a CSV file; where there are several, their names say
    which. Older files of the same names are replaced, and only once all new ones are complete.
    Attributes that netCDF has no type for (lists of text, nested ones) are kept as JSON.

    >>> import jaxbrain as jb, pathlib, tempfile, xarray
    >>> table = xarray.Dataset({"risk": ("n_brain", [0.4, 0.3])}, {"n_brain": [100, 200]})
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.nc"
    >>> [file.name for file in jb.write_table(table, path)]
    ['small.nc', 'small.csv']
    >>> jb.read_table(path).equals(table)
    True

    **Arguments**

    - `table`: an `xarray.Dataset`, as `sweep` and `empirical_value` return it.
    - `path`: of the netCDF file.

    **Returns**

    The paths of the files.

    **Raises**

    `ValueError` where `table` is no dataset or `path` ends in something else. `OSError` where a
    file cannot be written.

    **Source**

    netCDF 3, as SciPy writes it.
    """
    import xarray

    if not isinstance(table, xarray.Dataset):
        raise ValueError(
            f"table must be an xarray.Dataset, but it is {kind_of(table)}: pass what sweep or "
            "empirical_value returns"
        )
    path = _checked(path)
    kept = table.copy()
    kept.attrs = {name: _as_attribute(value) for name, value in table.attrs.items()}
    writers: dict[Path, Callable[[Path], object]] = {
        path: lambda file: kept.to_netcdf(file, engine="scipy")
    }
    groups: dict[tuple, list] = {}
    for name, variable in table.data_vars.items():
        groups.setdefault(variable.dims, []).append(name)
    for dims, names in groups.items():
        part = f".{'-'.join(map(str, dims))}" if len(groups) > 1 else ""
        file = path.with_name(f"{path.stem}{part}.csv")
        rows = table[names]
        frame = rows.to_dataframe() if dims else rows.expand_dims("row").to_dataframe()
        writers[file] = partial(frame.reset_index().to_csv, index=False)
    write_whole(writers)
    return list(writers)


def table_files(path: Path | str) -> list[Path]:
    """The files that are there and that `write_table` to this path may replace: netCDF and CSV."""
    path = _checked(path)
    if not path.parent.is_dir():
        return []
    return sorted(
        file
        for file in path.parent.iterdir()
        if file == path or (file.suffix == ".csv" and file.name.startswith(f"{path.stem}."))
    )


def read_table(path: Path | str) -> xarray.Dataset:
    """Read what `write_table` has kept; all of it, so that the file is free again.

    >>> import jaxbrain as jb, pathlib, tempfile, xarray
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.nc"
    >>> _ = jb.write_table(xarray.Dataset({"risk": ("n_brain", [0.4, 0.3])}), path)
    >>> jb.read_table(path).risk.values
    array([0.4, 0.3])

    **Arguments**

    - `path`: of the netCDF file.

    **Returns**

    The `xarray.Dataset`, in memory.

    **Raises**

    `ValueError` where the file is damaged, or none of these. `OSError` where it cannot be read.

    **Source**

    netCDF 3, as SciPy reads it.
    """
    import xarray

    path = _checked(path)
    try:
        with xarray.open_dataset(path, engine="scipy") as found:
            return found.load()
    except OSError:
        raise
    # A damaged file raises whatever scipy's or xarray's reader stumbles over.
    except Exception as error:
        raise ValueError(
            f"{path} is damaged, or no netCDF 3 file that write_table made ({error})"
        ) from error


def _checked(path: Path | str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path must be the name of a file in .nc, but it is {kind_of(path)}")
    path = Path(path)
    if path.suffix.lower() != ".nc":
        raise ValueError(f"path must end in .nc, but it is {path}")
    return path


def _as_attribute(value):
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str | int | float | np.generic | np.ndarray):
        return value
    return json.dumps(value)


def write_whole(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write files by these functions, each beside its place first.

    They appear complete or not at all.
    """
    # A name of its own length may be too long with anything added.
    partials = {
        path: path.with_name(f".jaxbrain-{os.getpid()}-{number}.partial")
        for number, path in enumerate(writers)
    }
    try:
        for path, write in writers.items():
            write(partials[path])
        for path, complete in partials.items():
            os.replace(complete, path)
    finally:
        for left in partials.values():
            left.unlink(missing_ok=True)
