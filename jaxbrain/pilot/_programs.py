"""The two programs of a comparison: what brain rows teach, and all estimators on task rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..estimators.registry import Variant
from ._catalogue import COMPARED, ESTIMATORS, SOURCES
from ._classes import best_multiple, classes_of, tell_apart
from ._plan import FOLDS, Plan
from ._stages import (
    Learned,
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
    codes: Int[Array, " n"] | None = None
    """Classes, for which targets stand."""
    as_given: Float[Array, "n e"] | None = None


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
    log_p: Float[Array, "e m k"] | None
    """Of all classes, where targets are such."""


class _Point(NamedTuple):
    """An estimator on rows of some number; residuals are in a unit of their own."""

    unit: Float[Array, "1 t"]
    found: Learned


class _Judged(NamedTuple):
    losses: Float[Array, "c m t"]
    """Squared residuals, or nats."""
    scores: Float[Array, " c"]
    log_p: Float[Array, "c m k"] | None


def _judged(points: Sequence[_Point], codes: Array | None, plan: Plan) -> _Judged:
    """What estimators lose on each of the test rows, which are of these classes."""
    missed = jnp.stack([point.found.missed * point.unit for point in points])
    scores = jnp.stack([point.found.score for point in points])
    priors = [point.found.prior for point in points if point.found.prior is not None]
    if not priors:
        return _Judged(missed**2, scores, None)
    multiple = best_multiple(priors[ESTIMATORS.index("ridge")], plan.classes, FOLDS)
    # Scores are those of the splits' own numbers of rows.
    first = tell_apart(priors[: len(COMPARED)], multiple, plan.classes, FOLDS)
    log_p, scores = first.log_p, first.score
    if len(priors) > len(COMPARED):
        others = tell_apart(priors[len(COMPARED) :], multiple, plan.classes, 0)
        log_p = jnp.concatenate([log_p, others.log_p])
        scores = jnp.concatenate([scores, jnp.full_like(others.score, jnp.nan)])
    # What least squares cannot do for so few rows is nothing here either.
    exists = jnp.all(jnp.isfinite(missed), axis=(1, 2))
    log_p = jnp.where(exists[:, None, None], log_p, jnp.nan)
    losses = -log_p[:, jnp.arange(log_p.shape[1]), codes]
    return _Judged(losses[:, :, None], jnp.where(exists, scores, jnp.nan), log_p)


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
    codes = None if arrays.codes is None else arrays.codes[test]
    full, *fewer = taught

    def at(size: int, inputs: Array) -> tuple[Task, Array]:
        rows = longest[:size]
        y = arrays.targets[rows]
        # Errors are in the unit of all rows.
        scale = standardiser(y)[1] if "targets" in plan.standardise else jnp.ones_like(y[:1])
        classes = None
        if arrays.codes is not None:
            classes = classes_of(arrays.codes[rows], plan.classes, FOLDS, plan.in_folds)
        return task_of(inputs[rows], y / scale, inputs[test], y_new / scale, classes), scale

    def learned(size: int, bases: Array, encoders: Array):
        (task, scale), folds = at(size, inputs), plan.folds(size)
        alone = ridge(task, folds)
        within = jax.lax.map(lambda basis: by_subspace(task, basis, alone, folds), bases)
        banded = jax.lax.map(lambda encoder: by_encoder(task, encoder, alone, folds), encoders)
        return scale, alone, within, banded

    def of_place(found: Learned, place: int) -> Learned:
        return jax.tree.map(lambda array: array[place], found)

    width = full.encoder.shape[2]
    narrow = [jnp.pad(t.encoder, ((0, 0), (0, 0), (0, width - t.encoder.shape[2]))) for t in fewer]
    bases = jnp.concatenate([full.basis, *(each.basis for each in fewer)])
    encoders = jnp.concatenate([full.encoder, *narrow])
    scale, alone, within, banded = learned(n, bases, encoders)

    def of(variant: Variant) -> Learned:
        if variant.source is None:
            return alone if variant.n_penalties else least_squares(at(n, inputs)[0])
        found = banded if variant.learns == "encoder" else within.one
        if found is within.one and variant.n_penalties == 2:
            found = within.two
        return of_place(found, SOURCES.index(variant.source))

    points = [_Point(scale, of(variant)) for variant in COMPARED]
    for place in range(len(SOURCES), len(SOURCES) + len(fewer)):
        with_brain = [of_place(each, place) for each in (within.one, within.two, banded)]
        points += [_Point(scale, each) for each in with_brain]
    for size in plan.task_sizes:
        # A rank that task rows cannot tell the worth of is none.
        few = (jnp.arange(plan.most) < max(size // 2, 1)).astype(scale.dtype)
        scale_there, alone_there, both, band = learned(
            size, full.basis[:1] * few[None, None, :], full.encoder[:1]
        )
        with_brain = [of_place(each, 0) for each in (both.one, both.two, band)]
        points += [_Point(scale_there, each) for each in (alone_there, *with_brain)]
    for size in plan.long_sizes:
        there, scale_there = at(size, inputs)
        points.append(_Point(scale_there, ridge(there, plan.folds(size))))
    if arrays.as_given is not None:
        raw, _ = at(n, arrays.as_given)
        points.append(_Point(scale, ridge(raw, plan.folds(n))))
    judged = _judged(points, codes, plan)
    losses = jnp.mean(judged.losses, axis=2)
    these = slice(len(COMPARED))
    return Compared(
        jnp.mean(judged.losses[these], axis=1),
        jnp.mean(losses, axis=1),
        losses,
        judged.scores[these],
        within.penalties[0],
        None if arrays.as_given is None else jnp.mean(judged.losses[-1], axis=0),
        None if judged.log_p is None else judged.log_p[these],
    )
