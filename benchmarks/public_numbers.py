"""Every public number on twenty problems: what a change of the code must leave as it is.

    python -m benchmarks.public_numbers --out OLD.npz --checkout FOLDER_OF_THE_OLD_COMMIT
    python -m benchmarks.public_numbers --out NEW.npz
    python -m benchmarks.public_numbers --compare OLD.npz NEW.npz

Functions get each argument whose default may change. `--compare` lists every function with its
largest relative difference, and ends with status 1 where one is not below 1e-10.
JAX_COMPILATION_CACHE_DIR keeps programs; give each commit a folder of its own.
"""

import argparse
import importlib
import inspect
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from . import _public_calls as calls

LIMIT = 1e-10
# An entry counts as at least this share of the largest one beside it: what cancellation leaves has
# few digits.
NEGLIGIBLE = 1e-4
# What a descent has left at its end is rounding.
ROUNDING = re.compile(r"\.(gradient_norm|steps)$")


def rooms() -> list[Any]:
    """Where users call from; older commits do not import all of them with the package."""
    return [importlib.import_module(f"jaxbrain{name}") for name in ("", ".pilot", ".simulation")]


def public_names() -> list[str]:
    """Functions and classes that users call."""
    return sorted(
        f"{room.__name__}.{name}"
        for room in rooms()
        for name, thing in vars(room).items()
        if not (name.startswith("_") or inspect.ismodule(thing))
        and getattr(thing, "__module__", "").startswith("jaxbrain")
    )


def numbers_in(answer: Any) -> dict[str, np.ndarray]:
    """Every array of numbers in an answer, by its place; text is left out."""
    import jax
    import xarray

    if isinstance(answer, xarray.Dataset):
        answer = {str(name): values.values for name, values in answer.variables.items()}
    elif isinstance(answer, tuple) and any(isinstance(each, xarray.DataArray) for each in answer):
        answer = [each.values for each in answer]
    places = jax.tree_util.tree_leaves_with_path(answer)
    found = {jax.tree_util.keystr(place): np.asarray(leaf) for place, leaf in places}
    return {
        place: array.astype(float) for place, array in found.items() if array.dtype.kind in "biuf"
    }


def evaluate(only: str) -> dict[str, np.ndarray]:
    """Call what has this in its name; what fails is told, and missing in the answer."""
    jb = rooms()[0]
    problems = calls.make_problems(jb)
    cases = {
        f"{name} @ {at}": call
        for at, problem in problems.items()
        for name, call in calls.closed_forms(jb, problem).items()
        if at.startswith(calls.FIRST_SHAPES) or name in calls.BRIEF
    }
    # Made one after the other, since the second makes the draws that its calls share.
    others = (
        lambda: calls.on_arrays(jb, calls.make_models(jb)),
        lambda: calls.of_coloured_inputs(jb),
        lambda: calls.simulated(jb, problems["channels 0"]),
        calls.from_recordings,
    )
    for other in others:
        cases |= {f"{name} @": call for name, call in other().items()}
    found = {}
    for name, call in cases.items():
        if not re.search(only, name):
            continue
        start = time.process_time()
        try:
            answer = numbers_in(call())
        except Exception as error:
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
            continue
        found |= {f"{name} {place}": array for place, array in answer.items()}
        if time.process_time() - start > 1:
            print(f"{time.process_time() - start:6.1f} CPU s  {name}", flush=True)
    return found


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two arrays, relative to their entries."""
    finite = np.isfinite(one)
    if one.shape != other.shape or not np.array_equal(finite, np.isfinite(other)):
        return np.inf
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return np.inf
    difference, size = np.abs(one[finite] - other[finite]), np.abs(one[finite])
    if not difference.any():
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = difference / np.maximum(size, NEGLIGIBLE * size.max())
    return float(np.max(np.where(difference == 0, 0.0, relative)))


def compare(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> bool:
    """Print each function with its largest difference; whether all are below the limit."""
    functions: dict[str, list[tuple[float, str]]] = {}
    for name in old.keys() | new.keys():
        if not ROUNDING.search(name):
            difference = apart(old[name], new[name]) if name in old and name in new else np.inf
            functions.setdefault(name.partition(" @")[0], []).append((difference, name))
    same = True
    for function, rows in sorted(functions.items()):
        largest, place = max(rows)
        same &= largest < LIMIT
        told = f"  at {place}" if largest >= LIMIT else ""
        print(f"{function:28s} {len(rows):4d} arrays, largest difference {largest:.1e}{told}")
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, help="the file to write, .npz")
    parser.add_argument("--checkout", type=Path, help="the commit to call, this one by default")
    parser.add_argument("--only", default="", help="a pattern: what to call, all by default")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"))
    arguments = parser.parse_args()
    if arguments.compare:
        old, new = (dict(np.load(path)) for path in arguments.compare)
        names = [set(each.pop("names").tolist()) for each in (old, new)]
        for title, left in (("Gone", names[0] - names[1]), ("New", names[1] - names[0])):
            print(f"{title} public names: {', '.join(sorted(left)) or 'none'}")
        sys.exit(not compare(old, new))
    if not arguments.out:
        parser.error("--out or --compare is needed")
    if arguments.checkout:
        sys.path.insert(0, str(arguments.checkout.resolve()))
    # Rounding depends least on how a program is written where it is least optimised.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    warnings.simplefilter("ignore")
    print(rooms()[0].__file__)
    np.savez_compressed(arguments.out, names=public_names(), **evaluate(arguments.only))
    print(f"{time.process_time():.0f} CPU s")


if __name__ == "__main__":
    main()
