"""Labelled results on disk: netCDF for programs, CSV for people, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._checks import check_flag, kind_of
from ._reading import read_file
from ._writing import write_files

if TYPE_CHECKING:
    import xarray

_DIGEST, _MARK = "jaxbrain_digest", "jaxbrain-sha256:"
_UNKNOWN = f"{_MARK}{'0' * 64}".encode()
_WRITTEN = re.compile(rf"{_MARK}[0-9a-f]{{64}}".encode())
# Says of a variable kept as floats which integers it held.
_INTEGERS = "jaxbrain_integers"
# Whole numbers beyond are not exact as floats.
_LARGEST_EXACT = 2**53
# What older readers, and netCDF 3 itself, can address.
_MOST_BYTES = 2**32


def write_table(table: xarray.Dataset, path: Path | str, *, overwrite: bool = True) -> list[Path]:
    """Keep a labelled dataset: netCDF at `path`, which ends in .nc, and CSV beside it.

    Variables that share their dimensions share a CSV file; where there are several, their names say
    which. All files appear together, once they are complete. A digest in the file lets `read_table`
    find any damage. Attributes that netCDF has no type for (lists of text, nested ones, None) are
    kept as JSON.

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
    - `overwrite`: replace files of these names. Without it, one that is there is an error.

    **Returns**

    The paths of the files.

    **Raises**

    `ValueError` where `table` is no dataset, where `path` ends in something else, and where netCDF
    3 cannot keep a variable as it is. `FileExistsError` where a file is there and `overwrite` is
    false. `OSError` where a file cannot be written.

    **Source**

    netCDF 3, as SciPy writes it.
    """
    check_flag("overwrite", overwrite)
    contents = table_contents(table, path)
    write_files(contents, overwrite=overwrite)
    return list(contents)


def table_contents(
    table: xarray.Dataset, path: Path | str, *, csv: bool = True
) -> dict[Path, bytes]:
    """The files that `write_table` writes, to be written beside others.

    >>> import pathlib, xarray
    >>> from jaxbrain.store import table_contents
    >>> table = xarray.Dataset({"risk": ("n_brain", [0.4, 0.3])}, {"n_brain": [100, 200]})
    >>> table_contents(table, "small.nc")[pathlib.Path("small.csv")].decode().split()
    ['n_brain,risk', '100,0.4', '200,0.3']

    **Arguments**

    - `table`, `path`: those of `write_table`.
    - `csv`: whether CSV is written too. Arrays that nobody reads go without.

    **Returns**

    The content of each file, by its path.

    **Raises**

    `ValueError` as `write_table` does.

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
    check_flag("csv", csv)
    contents = {path: _as_netcdf(table)}
    if not csv:
        return contents
    groups: dict[tuple, list] = {}
    for name, variable in table.data_vars.items():
        groups.setdefault(variable.dims, []).append(name)
    for dims, names in groups.items():
        part = f".{'-'.join(map(str, dims))}" if len(groups) > 1 else ""
        file = path.with_name(f"{path.stem}{part}.csv")
        if file in contents:
            raise ValueError(f"table has two groups of variables that would both be {file.name}")
        rows = table[names]
        frame = rows.to_dataframe() if dims else rows.expand_dims("row").to_dataframe()
        contents[file] = frame.reset_index().to_csv(index=False).encode()
    return contents


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

    The digest in the file is checked. Tables of earlier versions have none.

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
    path = _checked(path)
    content = read_file(path, _MOST_BYTES)
    # A damaged file raises whatever scipy's or xarray's reader stumbles over.
    try:
        found = _decoded(content)
    except Exception as error:
        raise ValueError(
            f"{path} is damaged, or no netCDF 3 file that write_table made ({error})"
        ) from error
    digest = found.attrs.pop(_DIGEST, None)
    written = _WRITTEN.search(content)
    if digest is None and written is None:
        return found
    if written is None or digest != _digest(_WRITTEN.sub(_UNKNOWN, content, count=1)):
        raise ValueError(f"{path} is damaged: its content is not what write_table wrote")
    return found


def _checked(path: Path | str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path must be the name of a file in .nc, but it is {kind_of(path)}")
    path = Path(path)
    if path.suffix.lower() != ".nc":
        raise ValueError(f"path must end in .nc, but it is {path}")
    return path


def _as_netcdf(table: xarray.Dataset) -> bytes:
    """The file, with a digest of itself; raises unless it gives back all that the table holds."""
    kept = table.copy()
    kept.attrs = {_DIGEST: _UNKNOWN.decode()} | {
        str(name): _as_attribute(value) for name, value in table.attrs.items()
    }
    for name, variable in table.variables.items():
        copy = _as_floats(name, variable) if _is_too_wide(variable) else variable.copy(deep=False)
        copy.attrs = {str(label): _as_attribute(value) for label, value in copy.attrs.items()}
        copy.encoding = {}
        kept[name] = copy
    # Whatever netCDF 3 lacks, scipy's or xarray's writer stumbles over in its own way.
    try:
        content = bytes(kept.to_netcdf(engine="scipy"))
        found = _decoded(content)
    except Exception as error:
        raise ValueError(f"table cannot be kept as netCDF 3: {error}") from error
    for name, variable in table.variables.items():
        if name not in found.variables or not found.variables[name].equals(variable):
            raise ValueError(
                f"table holds {name!r}, which netCDF 3 does not give back as it is: keep numbers "
                "or text"
            )
    return content.replace(_UNKNOWN, _digest(content).encode(), 1)


def _digest(content: bytes) -> str:
    return f"{_MARK}{hashlib.sha256(content).hexdigest()}"


def _decoded(content: bytes) -> xarray.Dataset:
    import xarray

    with xarray.open_dataset(io.BytesIO(content), engine="scipy") as opened:
        found = opened.load()
    for name, variable in found.variables.items():
        kind = variable.attrs.pop(_INTEGERS, None)
        if kind is not None:
            found[name] = (variable.dims, variable.values.astype(kind), variable.attrs)
    return found


def _is_too_wide(variable: xarray.Variable) -> bool:
    """Whether it holds integers beyond those of netCDF 3."""
    if variable.dtype.kind not in "iu" or not variable.size:
        return False
    limits = np.iinfo(np.int32)
    return int(variable.min()) < limits.min or int(variable.max()) > limits.max


def _as_floats(name: Any, variable: xarray.Variable) -> xarray.Variable:
    import xarray

    largest = max(abs(int(variable.min())), abs(int(variable.max())))
    if largest > _LARGEST_EXACT:
        raise ValueError(
            f"table holds integers up to {largest} in {name!r}: netCDF 3 keeps them up to 2**53"
        )
    attributes = variable.attrs | {_INTEGERS: str(variable.dtype)}
    return xarray.Variable(variable.dims, variable.values.astype(float), attributes)


def _as_attribute(value: Any) -> Any:
    """The value in a type that netCDF 3 has, or as text: JSON."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, str):
        return value
    array = np.asarray(value) if isinstance(value, int | float | np.generic | np.ndarray) else None
    if array is not None and array.size and array.ndim <= 1 and array.dtype.kind in "iuf":
        if array.dtype.kind == "f":
            return array.astype(float) if array.dtype.itemsize != 4 else array
        largest = max(abs(int(array.min())), abs(int(array.max())))
        if largest < 2**31:
            return array.astype(np.int32)
        if largest <= _LARGEST_EXACT:
            return array.astype(float)
    return json.dumps(array.tolist() if array is not None else value, default=str)
