"""The features of a study, rows of what the machine sees, from a file of numpy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from .._reading import opened
from .errors import Memory

# A header says type and shape, in fewer letters than numpy allows.
_LONGEST_HEADER = 10_000
# The rows as they come, as floating-point numbers, less their mean, and what decomposes them.
_COPIES = 5


def read_features(path: Path, said: str, memory: Memory, problems: list[str]) -> np.ndarray | None:
    """A row for each stimulus; None after a fault, which is told of `said`.

    The array is measured by its header before it is read.
    """
    if path.suffix.lower() != ".npy":
        problems.append(f"{said} must name a .npy file, as numpy.save writes it, not {path.name!r}")
        return None
    try:
        with opened(path) as stream:
            fault = _fault_of_header(stream, memory)
            if fault is None:
                stream.seek(0)
                found = np.lib.format.read_array(stream, allow_pickle=False)
    except FileNotFoundError:
        fault = "there is no such file"
    except OSError as error:
        fault = f"cannot be read ({error.strerror or error})"
    except (ValueError, EOFError, SyntaxError):
        fault = "cannot be read as an array of numpy: save it with numpy.save"
    if fault is None:
        rows = np.asarray(found, np.float64)
        if np.all(np.isfinite(rows)):
            return rows
        fault = "holds numbers that are infinite or none: leave out those rows"
    problems.append(f"{said} {path}: {fault}")
    return None


def _fault_of_header(stream, memory: Memory) -> str | None:
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, kind = read(stream, max_header_size=_LONGEST_HEADER)
    if kind.hasobject:
        return "holds Python objects, which are never loaded: save it as numbers"
    if kind.kind not in "fiub":
        return f"must hold real numbers, but it holds {kind}"
    if len(shape) != 2:
        return f"must have two axes, a row for each stimulus, but it has shape {shape}"
    if shape[0] < 3 or shape[1] < 2:
        return f"must have at least 3 rows of 2 features, but it has shape {shape}"
    needed = 8.0 * _COPIES * math.prod(shape)
    return next(iter(memory.problem("takes", needed, "take fewer rows")), None)
