"""What is reported to the user instead of a traceback."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

# What JAX raises where it finds none of the devices that it is told to use.
NO_DEVICE = (RuntimeError, AssertionError)


class UserError(Exception):
    """Everything that is wrong with what the user asked, one line each in `problems`."""

    def __init__(self, problems: list[str]):
        """One line for each problem."""
        super().__init__("\n".join(problems))
        self.problems = problems


def flag(name: str) -> str:
    """An argument as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def in_flags(message: str, names: Collection[str]) -> str:
    """What the library says of arguments of these names, said of options of the command line."""
    # Beyond the start, a name of one word may be just that word.
    subjects = "|".join(names)
    anywhere = "|".join(name for name in names if "_" in name)
    pattern = rf"(?:^({subjects})|\b({anywhere}))(?!\w)"
    return re.sub(pattern, lambda found: flag(found[0]), message)


def seed_problems(seed: int) -> list[str]:
    """A random key takes 32 bits."""
    if 0 <= seed < 2**32:
        return []
    return [f"--seed must lie between 0 and {2**32 - 1}, but it is {seed}"]


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


def output_problems(path: Path | None, overwrite: bool, suffixes: tuple[str, ...]) -> list[str]:
    """What speaks against writing this file; found out before any work is done."""
    if path is None:
        return []
    problems = []
    try:
        found = {"folder": path.parent.is_dir(), "is_folder": path.is_dir(), "is": path.exists()}
    except OSError as error:
        return [f"{path}: cannot be written ({error.strerror})"]
    if path.suffix.lower() not in suffixes:
        problems.append(f"{path}: the name must end in {' or '.join(suffixes)}")
    if found["is_folder"]:
        problems.append(f"{path} is a folder: name a file in it")
    elif not found["folder"]:
        problems.append(f"{path}: there is no folder {path.parent}")
    elif found["is"] and not overwrite:
        problems.append(f"{path} exists already: pass --overwrite to replace it")
    elif not os.access(path if found["is"] else path.parent, os.W_OK):
        problems.append(f"{path}: there is no permission to write it")
    return problems


def write_figure(path: Path, draw: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Write the figure that `draw` makes of the arguments, or raise `UserError`."""
    from ..figures import save

    try:
        save(path, draw, *arguments, **options)
    except OSError as error:
        raise UserError([f"{path}: cannot be written ({error.strerror})"]) from error
