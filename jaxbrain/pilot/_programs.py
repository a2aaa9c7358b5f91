"""The two programs of a comparison: what brain rows teach, and all estimators on task rows."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..estimators.registry import Variant
from ._catalogue import COMPARED, SOURCES
from ._plan import Plan
from ._stages import (
    Task,
    Taught,
    by_encoder,
    by_subspace,
    least_squares,
    ridge,
    task_of,
    teach,
)
from .transformations import standardiser


class Arrays(NamedTuple):
    brain_inputs: Float[Array, "b d"]
    recordings: Float[Array, "b p"]
    task_inputs: Float[Array, "n d"]
    targets: Float[Array, "n t"]
    as_given: Float[Array, "n e"] | None


@partial(jax.jit, static_argnames="plan")
def teach_all(
    arrays: Arrays, key: PRNGKeyArray, brain: Array, displaced: Array, plan: Plan
) -> tuple[Taught, ...]:
    """What all brain rows teach, with the controls, and what fewer of them do."""
    inputs, recordings = arrays.brain_inputs[brain], arrays.recordings[brain]
    if "inputs" in plan.standardise:
        inputs = inputs / standardiser(inputs)[1]
    if "recordings" in plan.standardise:
        recordings = recordings / standardiser(recordings)[1]
    n = len(inputs)
    full = teach(key, inputs, recordings, displaced, plan.most, plan.rank, plan.folds(n))
    fewer = [
        teach(key, inputs[:m], recordings[:m], None, plan.most, plan.rank, plan.folds(m))
        for m in plan.brain_sizes
    ]
    return full, *fewer


class Compared(NamedTuple):
    errors: Float[Array, "e t"]
    curve: Float[Array, " c"]
    losses: Float[Array, "c m"] | None
    scores: Float[Array, " e"]
    penalties: Float[Array, "2"]
    as_given: Float[Array, " t"] | None


@partial(jax.jit, static_argnames="plan")
def compare(
    arrays: Arrays,
    taught: tuple[Taught, ...],
    brain: Array,
    longest: Array,
    test: Array,
    plan: Plan,
) -> Compared:
    """All estimators on the task rows, and the points of their learning curves."""
    n = plan.n_task
    unit = jnp.ones((1, 1), arrays.targets.dtype)
    if "inputs" in plan.standardise:
        unit = standardiser(arrays.brain_inputs[brain])[1]
    inputs, y_new = arrays.task_inputs / unit, arrays.targets[test]
    full, *fewer = taught

    def at(size: int, inputs: Array) -> tuple[Task, Array]:
        rows = longest[:size]
        y = arrays.targets[rows]
        # Errors are in the unit of all rows.
        scale = standardiser(y)[1] if "targets" in plan.standardise else jnp.ones_like(y[:1])
        return task_of(inputs[rows], y / scale, inputs[test], y_new / scale), scale

    def learned(size: int, bases: Array, encoders: Array):
        (task, scale), folds = at(size, inputs), plan.folds(size)
        alone = ridge(task, folds)
        within = jax.lax.map(lambda basis: by_subspace(task, basis, alone, folds), bases)
        banded = jax.lax.map(lambda encoder: by_encoder(task, encoder, alone, folds), encoders)
        return task, scale, alone, within, banded

    width = full.encoder.shape[2]
    narrow = [jnp.pad(t.encoder, ((0, 0), (0, 0), (0, width - t.encoder.shape[2]))) for t in fewer]
    bases = jnp.concatenate([full.basis, *(each.basis for each in fewer)])
    encoders = jnp.concatenate([full.encoder, *narrow])
    task, scale, alone, within, banded = learned(n, bases, encoders)

    def of(variant: Variant) -> tuple[Array, Array]:
        if variant.source is None and variant.n_penalties == 0:
            missed = least_squares(task)
            return missed, jnp.full((), jnp.nan, missed.dtype)
        if variant.source is None:
            return alone.missed, alone.score
        found = banded if variant.learns == "encoder" else within.one
        if found is within.one and variant.n_penalties == 2:
            found = within.two
        place = SOURCES.index(variant.source)
        return found.missed[place], found.score[place]

    missed, scores = zip(*(of(variant) for variant in COMPARED), strict=True)
    missed = [each * scale for each in missed]
    points = list(missed)
    for place in range(len(SOURCES), len(SOURCES) + len(fewer)):
        points += [each.missed[place] * scale for each in (within.one, within.two, banded)]
    for size in plan.task_sizes:
        # A rank that task rows cannot tell the worth of is none.
        few = (jnp.arange(plan.most) < max(size // 2, 1)).astype(scale.dtype)
        _, scale_there, alone_there, one, band = learned(
            size, full.basis[:1] * few[None, None, :], full.encoder[:1]
        )
        points += [alone_there.missed * scale_there]
        points += [each.missed[0] * scale_there for each in (one.one, one.two, band)]
    for size in plan.long_sizes:
        task_there, scale_there = at(size, inputs)
        points += [ridge(task_there, plan.folds(size)).missed * scale_there]
    as_given = None
    if arrays.as_given is not None:
        raw, _ = at(n, arrays.as_given)
        points.append(ridge(raw, plan.folds(n)).missed * scale)
        as_given = jnp.mean(points[-1] ** 2, axis=0)
    losses = jnp.stack([jnp.mean(each**2, axis=1) for each in points])
    return Compared(
        jnp.stack([jnp.mean(each**2, axis=0) for each in missed]),
        jnp.mean(losses, axis=1),
        losses,
        jnp.stack(scores),
        within.penalties[0],
        as_given,
    )
