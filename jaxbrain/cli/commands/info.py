"""`jaxbrain info`: what a report of a bug should say about the machine and what is installed."""

from __future__ import annotations

import json as json_format
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import tyro

from .. import cache
from ..errors import NO_DEVICE

_PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy", "xarray", "matplotlib", "tyro")
_EXTRAS = ("scikit-learn",)
_VARIABLES = (
    *("JAX_PLATFORMS", "XLA_FLAGS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
    *(cache.VARIABLE, "JAX_COMPILATION_CACHE_DIR"),
)


def info(json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False) -> str:
    """Print devices, precision, versions, and where compiled programs are kept.

    Add this to a report of a bug. The first start of a command compiles its programs, which takes
    seconds; later starts find them in your cache folder. Delete that folder whenever you like.
    JAXBRAIN_CACHE=FOLDER moves it, and JAXBRAIN_CACHE=off keeps nothing.

    Args:
        json: Print JSON instead of text.
    """
    found = facts()
    if json:
        return json_format.dumps(found, indent=2, allow_nan=False)
    width = max(len(name) for name in found)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found.items())


def facts() -> dict[str, Any]:
    """What is printed, by name."""
    import jax

    from ... import __version__

    found: dict[str, Any] = {"jaxbrain": __version__, "Python": platform.python_version()}
    found |= {name: version(name) for name in _PACKAGES}
    found |= {name: _version_if_any(name) for name in _EXTRAS}
    found["system"] = platform.platform()
    found["cores"] = _cores()
    try:
        found["devices"] = ", ".join(
            f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()
        )
        found["processes"] = jax.process_count()
    except NO_DEVICE as error:
        found["devices"] = f"none (JAX: {str(error) or type(error).__name__})"
        found["processes"] = "none"
    found["precision"] = (
        f"{jax.dtypes.canonicalize_dtype(float)} (the library itself follows jax_enable_x64)"
    )
    found["random numbers"] = jax.config.values["jax_default_prng_impl"]
    found |= {name: os.environ.get(name, "not set") for name in _VARIABLES}
    found |= cache.facts()
    return found


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _version_if_any(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
