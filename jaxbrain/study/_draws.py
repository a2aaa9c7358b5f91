"""Draws of a pilot as a labelled table: all that makes up the same `PilotEstimate` again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Problem
from ..models.geometry import InputGeometry
from ..pilot.estimates import PilotEstimate

if TYPE_CHECKING:
    import xarray

_FORMAT = "draws of a jaxbrain pilot"
_MATRICES = ("latent_noise", "gain", "aligned_power")
_SCALARS = ("recording_noise", "misaligned_power", "task_noise")
_NUMBERS = (*_MATRICES, *_SCALARS)
# Moments follow from these.
_GEOMETRY = ("variances", "directions", "weights")


def as_table(estimate: PilotEstimate) -> xarray.Dataset:
    """Every array under the name of its problem: `central_gain`, or `draws3_gain` of 3 latents.

    Variances of inputs that all draws share are kept once.
    """
    import xarray

    stacks = {f"draws{draws.latent_dim}": draws for draws in estimate.draws}
    everything = {"central": estimate.problem} | stacks
    arrays = {
        f"{whose}_{name}": (dims, values)
        for whose, problem in everything.items()
        for name, (dims, values) in _arrays_of(whose, problem).items()
    }
    variances = arrays["central_variances"][1]
    if all(np.all(arrays[f"{stack}_variances"][1] == variances) for stack in stacks):
        for whose in everything:
            del arrays[f"{whose}_variances"]
        arrays["variances"] = (("input",), variances)
    attributes: dict[str, Any] = {
        "format": _FORMAT,
        "n_brain": float(estimate.n_brain),
        "n_task": float(estimate.n_task),
        "latent_dims": np.asarray([draws.latent_dim for draws in estimate.draws]),
        # netCDF has no word for none.
        "recording_dims": np.asarray([each.recording_dim or 0 for each in everything.values()]),
    }
    return xarray.Dataset(arrays, attrs=attributes)


def estimate_of(table: xarray.Dataset, notes: tuple[str, ...]) -> PilotEstimate:
    """What `as_table` was given; raises `ValueError` where the table is no such thing."""
    if table.attrs.get("format") != _FORMAT:
        raise ValueError("it holds no draws of a pilot")
    latents = np.atleast_1d(table.attrs["latent_dims"])
    channels = [int(number) or None for number in np.atleast_1d(table.attrs["recording_dims"])]
    wholes = ["central", *(f"draws{number}" for number in latents)]
    problems = []
    for whose, recording_dim in zip(wholes, channels, strict=True):
        arrays = {}
        for name in (*_NUMBERS, *_GEOMETRY):
            shared = name == "variances" and name in table
            arrays[name] = table[name if shared else f"{whose}_{name}"].values
            if not np.all(np.isfinite(arrays[name])):
                raise ValueError(f"{whose}_{name} holds numbers that are infinite or none")
        if whose == "central":
            problems.append(_problem(arrays, recording_dim))
        else:
            problems.append(_stack(arrays, recording_dim))
    return PilotEstimate(
        problem=problems[0],
        draws=tuple(problems[1:]),
        n_brain=float(table.attrs["n_brain"]),
        n_task=float(table.attrs["n_task"]),
        notes=notes,
    )


def _arrays_of(whose: str, problem: Problem) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Each array with names for its axes; draws have an axis of their own, before the others."""
    geometry = problem.known_geometry
    # An axis has one name, and two of a matrix have two.
    latent, other = (f"{axis}_{problem.latent_dim}" for axis in ("latent", "beside"))
    axes = dict.fromkeys(_MATRICES, (latent, other)) | dict.fromkeys(_SCALARS, ())
    axes |= {"variances": ("input",), "directions": ("input", latent), "weights": ("input",)}
    first = () if whose == "central" else (whose,)
    values = {name: getattr(problem, name) for name in _NUMBERS}
    values |= {name: getattr(geometry, name) for name in _GEOMETRY}
    return {name: ((*first, *axes[name]), np.asarray(value)) for name, value in values.items()}


def _problem(arrays: dict[str, Any], recording_dim: int | None) -> Problem:
    input_dim, latent_dim = arrays["directions"].shape
    return Problem(
        input_dim=input_dim,
        latent_dim=latent_dim,
        recording_dim=recording_dim,
        geometry=InputGeometry(*(jnp.asarray(arrays[name]) for name in _GEOMETRY)),
        **{name: arrays[name] for name in _NUMBERS},
    )


@partial(jax.jit, static_argnames="recording_dim")
def _stack(arrays: dict[str, Any], recording_dim: int | None) -> Problem:
    alike = {
        name: array for name, array in arrays.items() if (name, array.ndim) == ("variances", 1)
    }
    each = {name: array for name, array in arrays.items() if name not in alike}
    return jax.lax.map(lambda one: _problem(alike | one, recording_dim), each)
