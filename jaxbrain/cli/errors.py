"""What is reported to the user instead of a traceback."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from .._writing import check_free, write_files
from ..study.errors import flag

# What JAX raises where it finds none of the devices that it is told to use.
NO_DEVICE = (RuntimeError, AssertionError)


class UserError(Exception):
    """Everything that is wrong with what the user asked, one line each in `problems`."""

    def __init__(self, problems: list[str]):
        """One line for each problem."""
        super().__init__("\n".join(problems))
        self.problems = problems


def in_flags(message: str, names: Collection[str]) -> str:
    """What the library says of arguments of these names, said of options of the command line."""
    # Beyond the start, a name of one word may be just that word.
    subjects = "|".join(names)
    anywhere = "|".join(name for name in names if "_" in name)
    pattern = rf"(?:^({subjects})" + (rf"|\b({anywhere})" if anywhere else "") + r")(?!\w)"
    return re.sub(pattern, lambda found: flag(found[0]), message)


def seed_problems(seed: int) -> list[str]:
    """A random key takes 32 bits."""
    if 0 <= seed < 2**32:
        return []
    return [f"--seed must lie between 0 and {2**32 - 1}, but it is {seed}"]


def memory_problems(max_gigabytes: float) -> list[str]:
    """Memory is a positive amount."""
    if 0 < max_gigabytes < math.inf:
        return []
    return [f"--max-gigabytes must be a finite number greater than 0, but it is {max_gigabytes:g}"]


def check_memory(needed: float, max_gigabytes: float, remedy: str) -> None:
    """Raise `UserError` where a command would take more memory than is allowed."""
    if needed > 1e9 * max_gigabytes:
        raise UserError(
            [
                f"this takes some {needed / 1e9:.2g} GB, more than --max-gigabytes "
                f"{max_gigabytes:g}: {remedy}, or allow more"
            ]
        )


def machine_problem(error: Exception) -> str | None:
    """What this error says about the machine: it has no such device, or too little memory."""
    import jax

    try:
        jax.devices()
    except NO_DEVICE:
        platforms = os.environ.get("JAX_PLATFORMS")
        where = "" if platforms is None else f" for JAX_PLATFORMS={platforms}: unset it"
        return f"JAX finds no device{where}"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        reason = str(error).removeprefix("RESOURCE_EXHAUSTED: ").splitlines()
        said = f" ({reason[0].rstrip('.')})" if reason else ""
        return f"there is not enough memory{said}: make the study smaller"
    return None


def output_problems(
    path: Path | None, overwrite: bool, suffixes: tuple[str, ...], *inputs: Path | None
) -> list[str]:
    """What speaks against writing this file; found out before any work is done.

    It must be none of the `inputs`.
    """
    if path is None:
        return []
    problems = []
    try:
        has_folder, is_folder = path.parent.is_dir(), path.is_dir()
        if not is_folder:
            check_free(path, overwrite)
    except FileExistsError:
        problems.append(f"{path} exists already: pass --overwrite to replace it")
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        return [f"{path}: cannot be written ({getattr(error, 'strerror', error)})"]
    if path.suffix.lower() not in suffixes:
        problems.append(f"{path}: the name must end in {' or '.join(suffixes)}")
    if is_folder:
        problems.append(f"{path} is a folder: name a file in it")
    elif not has_folder:
        problems.append(f"{path}: there is no folder {path.parent}")
    elif not os.access(path.parent, os.W_OK):
        problems.append(f"{path}: there is no permission to write it")
    problems += [
        f"{path} is the file {given} that is read: name another one"
        for given in inputs
        if given is not None and _same_file(path, given)
    ]
    return problems


def write_outputs(contents: Mapping[Path, bytes], overwrite: bool) -> None:
    """Write these files, all or none, or raise `UserError`."""
    try:
        write_files(contents, overwrite=overwrite)
    except FileExistsError as error:
        there = error.filename2 or error.filename
        said = f"{there} exists meanwhile: pass --overwrite to replace it"
        raise UserError([said]) from error
    except OSError as error:
        names = ", ".join(map(str, contents))
        raise UserError([f"{names}: cannot be written ({error.strerror})"]) from error


def drawn(path: Path | None, draw: Callable[..., Any], *arguments: Any) -> dict[Path, bytes]:
    """The picture that `draw` makes of these, as a file to write; nothing without a path."""
    if path is None:
        return {}
    from ..figures import picture

    return {path: picture(path.suffix.lower().removeprefix("."), draw, *arguments)}


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # there are not two files, and nothing to mix up
        return False
