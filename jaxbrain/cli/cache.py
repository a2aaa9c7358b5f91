"""Compiled programs that the command line keeps: its next start need not compile them again."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import platformdirs

VARIABLE = "JAXBRAIN_CACHE"
_FOLDER, _SWITCH = "jax_compilation_cache_dir", "jax_enable_compilation_cache"
# Reading a small program back takes a tenth of the time that compiling it takes: all are kept.
_LEAST = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
_TROUBLE = r"Error (?:reading|writing) persistent compilation cache entry for '([^']*)'"
_JAX_DECIDES = f"{_FOLDER.upper()} is set"


class Cache(NamedTuple):
    """Where compiled programs are kept, or why they are not."""

    folder: Path | None
    """The folder to look at and to clear; None where nothing is kept."""
    reason: str = ""
    """Who decided that, if anybody did; otherwise it is the user's cache folder."""


def cache() -> Cache:
    """Where programs are kept: by JAX's settings, `JAXBRAIN_CACHE`, or in the user's cache."""
    import jax

    if not jax.config.values[_SWITCH]:
        return Cache(None, f"{_SWITCH} is false")
    given = os.environ.get(VARIABLE)
    parent = platformdirs.user_cache_dir("jaxbrain") if given is None else given
    ours = Path(parent).expanduser().absolute() / "programs"
    set_in_jax = jax.config.values[_FOLDER]
    # Within `programs_kept` it is set by ourselves.
    if set_in_jax and Path(set_in_jax) != ours / _processor():
        return Cache(Path(set_in_jax), _JAX_DECIDES)
    if given is not None and given.strip().lower() in ("", "off"):
        return Cache(None, f"{VARIABLE}={given}")
    return Cache(ours)


@contextmanager
def programs_kept() -> Iterator[None]:
    """Let JAX keep what it compiles in here. Trouble with that costs time, and stops nobody."""
    import jax

    folder = None
    before = {name: jax.config.values[name] for name in (_FOLDER, *_LEAST)}
    kept_in = cache().folder
    if kept_in is not None and not before[_FOLDER]:
        # Machines with other processors may share the user's folder, and cannot run these programs.
        folder = kept_in / _processor()
    if folder is not None and _is_writable(folder):
        jax.config.update(_FOLDER, str(folder))
        for name, least in _LEAST.items():
            if name.upper() not in os.environ:
                jax.config.update(name, least)
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_TROUBLE)
        show = warnings.showwarning

        def show_others(message, category, *place, **options):
            trouble = re.match(_TROUBLE, str(message))
            if trouble is None:
                show(message, category, *place, **options)
            elif folder is not None:
                # JAX never replaces an entry: one that is damaged must go before it is made anew.
                _remove(folder, trouble[1])

        warnings.showwarning = show_others
        try:
            yield
        finally:
            for name, value in before.items():
                jax.config.update(name, value)


def facts() -> dict[str, str]:
    """Where programs are kept, how many, and how to clear and to move them; for `jaxbrain info`."""
    found = cache()
    if found.folder is None:
        return {"compiled programs": f"not kept ({found.reason})"}
    if not _is_writable(found.folder):
        return {"compiled programs": f"not kept ({found.folder} cannot be written)"}
    number, size = kept(found.folder)
    told = {
        "compiled programs": str(found.folder),
        "number, size of them": f"{number}, {size / 1e6:.1f} MB",
        "to clear them": "delete this folder",
        "to move them": f"set {VARIABLE} to another folder, or to off to keep none",
    }
    if found.reason == _JAX_DECIDES:
        told["to move them"] = f"{_JAX_DECIDES}: unset it, or set it to another folder"
    return told


def kept(folder: Path) -> tuple[int, int]:
    """How many programs are in the folder, and how many bytes they take."""
    sizes = []
    for path in folder.rglob("*-cache"):
        with suppress(OSError):  # gone meanwhile
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _remove(folder: Path, program: str) -> None:
    for path in folder.glob(f"{glob.escape(program)}*-cache"):
        with suppress(OSError):  # it stays, and its program is compiled at every start
            path.unlink()


def _processor() -> str:
    """A name for what this machine's processor can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        can = {line for line in lines if line.lower().startswith(("flags", "features"))}
    except OSError:
        can = {platform.processor()}
    return hashlib.sha256("\n".join((platform.machine(), *sorted(can))).encode()).hexdigest()[:8]
