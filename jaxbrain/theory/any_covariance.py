"""Test errors for inputs of any covariance and any number of recordings.

The brain stage is that of `learned_prior`, the task stage that of `spectral_stage`. Here they meet:
once for each number of recordings and each penalty of theirs, for all labels and all other
penalties.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._checks import is_concrete
from .._linalg import implicit_minimum
from ..models import Problem
from ..models.shift import TestCovariance
from .accuracy import warn_outside_validated_ridge
from .any_shift import shift_moments
from .learned_prior import freedoms, ridge_encoding
from .spectral_stage import (
    Stage,
    at_best_penalty,
    at_penalty,
    fewer_labels,
    labels_for,
    least_squares,
    of_few_labels,
    with_more_labels,
)
from .spectral_study import (
    Study,
    prior_at,
    ridge_stage_in,
    second_in,
    stage_in,
    study_of,
    with_geometry,
)

# In nats around a natural value, and at so many points, second penalties are searched for: of BEFS
# as a share of the outside penalty, of banded ridge over the outside one; and encoding penalties.
_SECOND = {"befs_two_penalties": (-9.0, -0.02, 12), "banded_ridge": (-5.0, 5.0, 13)}
_ENCODING = (-7.0, 5.0, 12)


class Answer(NamedTuple):
    """One cell: the test error, and the penalties a sample at which it is reached."""

    risk: Array
    penalty: Array
    second_penalty: Array
    encoding_penalty: Array


def solve_cells(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array | None,
    estimator: str,
    more_channels: Array | float = 1.0,
) -> Answer:
    """Answers of the shape that all numbers broadcast to; None stands for the best penalty.

    `more_channels` is how many there are for each of the problem's, beside a gain that goes with
    them already.
    """
    study = study_of(problem, estimator, more_channels)
    # What the brain stage depends on; the task stage is then as good as free.
    brain = [n_brain] if encoding_penalty is None else [n_brain, encoding_penalty]
    ratio = None
    if penalty is not None and second_penalty is not None:
        ratio = second_penalty / penalty
        brain.append(ratio)
    task = [n_task] + [x for x in (penalty, second_penalty) if x is not None]
    shape = np.broadcast_shapes(*(x.shape for x in (*brain, *task)))
    brain_shape = np.broadcast_shapes(*(x.shape for x in brain))
    which = np.broadcast_to(np.arange(int(np.prod(brain_shape))).reshape(brain_shape), shape)
    brain = tuple(jnp.broadcast_to(x, brain_shape).ravel() for x in brain)
    task = tuple(jnp.broadcast_to(x, shape).ravel() for x in task)
    given = tuple(x is not None for x in (penalty, second_penalty, encoding_penalty))
    found = _solve_cells(study, brain, task, jnp.asarray(which.ravel()), given, estimator)
    return jax.tree.map(lambda x: x.reshape(shape), found)


def checked_cells(
    problem: Problem,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array | None,
    estimator: str,
    stacklevel: int = 4,
) -> Answer:
    """`solve_cells` for a public function: checked, and with the warning where it is due."""
    check_labels(n_task)
    problem = with_geometry(problem)
    warn_outside_validated_ridge(problem, n_brain, encoding_penalty, estimator, stacklevel)
    cells = problem, n_brain, n_task, penalty, second_penalty, encoding_penalty
    return solve_cells(*cells, estimator)


def check_labels(n_task: Array) -> Array:
    """Raise on a known infinite number of labels, for which there is no limit here."""
    if is_concrete(n_task) and np.any(np.isinf(np.asarray(n_task))):
        raise ValueError(
            "n_task must be finite where inputs are not white or the encoding stage has a penalty"
        )
    return n_task


def check_options(order: str) -> None:
    """Raise on what only white inputs have."""
    if order != "finite":
        raise ValueError("order 'first' is for white inputs and encoding_penalty = 0")


def least_squares_of(problem: Problem, n_task: Array, shift: TestCovariance = None) -> Array:
    """σ² tr T/(n − d − 1), T the test covariance in components of variance 1."""
    trace = None if shift is None else shift_moments(problem, shift).trace
    return _least_squares(problem.task_noise, problem.input_dim, n_task, trace)


_least_squares = jax.jit(least_squares)


def value_of_cells(
    problem: Problem, risk: Array, n_task: Array, baseline: str, shift: TestCovariance = None
) -> Array:
    """Labels that least squares, or ridge at its best penalty, needs beyond n_task."""
    if baseline == "ols":
        trace = problem.input_dim
        if shift is not None:
            trace = shift_moments(with_geometry(problem), shift).trace
        return problem.input_dim + 1 + problem.task_noise * trace / risk - n_task
    study = study_of(with_geometry(problem), "befs")
    cells = jnp.broadcast_arrays(risk, n_task)
    labels = _labels_of_ridge(study, cells[0].ravel()).reshape(cells[0].shape)
    return labels - n_task


def information_of_cells(problem: Problem, risk: Array, n_task: Array) -> Array:
    """`information_value` at the test error of the two best penalties."""
    worth = jnp.maximum(value_of_cells(problem, risk, n_task, "ridge"), 0.0)
    return jnp.where(jnp.broadcast_to(n_task == 0, worth.shape), 0.0, worth)


def ridge_risk_of(problem: Problem, n_task: Array, penalty: Array | None) -> Array:
    """Ridge regression in the same coordinates, at a given penalty or at its best one."""
    study = study_of(problem, "befs")
    if penalty is None:
        return _ridge(study, n_task.ravel(), None).reshape(n_task.shape)
    cells = jnp.broadcast_arrays(n_task, penalty)
    return _ridge(study, *(cell.ravel() for cell in cells)).reshape(cells[0].shape)


@jax.jit
def _ridge(study: Study, n_task: Array, penalty: Array | None) -> Array:
    stage = ridge_stage_in(study)
    labels = jnp.maximum(n_task, 1.0)
    if penalty is None:
        labels = fewer_labels(study.noise, study.total_power, study.input_dim, labels)
        risk = jax.vmap(lambda n: at_best_penalty(stage, n).risk)(labels)
        numbers = study.noise, study.input_dim, study.input_dim
        risk = with_more_labels(risk, labels, n_task, *numbers)
    else:
        free = penalty == 0
        held = jnp.where(free, 1.0, penalty)
        risk = jax.vmap(lambda n, held: at_penalty(stage, n, held).risk)(labels, held)
        risk = jnp.where(free, _least_squares(study.noise, study.input_dim, n_task), risk)
    return of_few_labels(study.total_power, risk, n_task)


@jax.jit
def _labels_of_ridge(study: Study, risk: Array) -> Array:
    stage = ridge_stage_in(study)
    return jax.vmap(lambda one: labels_for(stage, one))(risk)


@partial(jax.jit, static_argnames=("given", "estimator"))
def _solve_cells(
    study: Study,
    brain: tuple[Array, ...],
    task: tuple[Array, ...],
    which: Array,
    given: tuple[bool, bool, bool],
    estimator: str,
) -> Answer:
    search = _Search(study, *given, estimator)
    stages = jax.lax.map(search.stages, brain)

    def one(cell: tuple[Array, tuple[Array, ...]]) -> Answer:
        which, task = cell
        return search.answer(jax.tree.map(lambda x: x[which], stages), *task)

    return jax.vmap(one)((which, task))


class _Stages(NamedTuple):
    """Stages at some encoding penalties and some second penalties; those axes come first."""

    stage: Stage
    encoding: Array
    """The encoding penalty, or the ends of those searched, in logarithms."""
    second: Array
    """The ends of the second penalties searched, in logarithms, over the outside penalty."""


class _Search(NamedTuple):
    """Which penalties are given, and how the others are searched for."""

    study: Study
    has_penalty: bool
    has_second: bool
    has_encoding: bool
    estimator: str

    def stages(self, brain: tuple[Array, ...]) -> _Stages:
        """All that the recordings decide."""
        study, (n_brain, *others) = self.study, brain
        # More recordings than these teach all there is.
        n_brain = jnp.minimum(n_brain, 1e9 * study.input_dim)
        ratio = others.pop() if self.has_penalty and self.has_second else None
        if self.has_encoding:
            encoding = others.pop()
            second = self._second_limits(n_brain, encoding)
            return _Stages(self._at_encoding(n_brain, encoding, ratio, second), encoding, second)
        # Ridge regression of one latent alone would take σ²d/n of a mean variance.
        natural = study.mean_variance * (study.mean_noise + 0.1) * study.input_dim / n_brain
        low, high, count = _ENCODING
        limits = jax.lax.stop_gradient(jnp.log(natural)) + jnp.asarray([low, high], n_brain.dtype)
        second = self._second_limits(n_brain, natural)
        stage = jax.lax.map(
            lambda u: self._at_encoding(n_brain, jnp.exp(u), ratio, second),
            _points(limits, count),
        )
        return _Stages(stage, limits, second)

    def _at_encoding(
        self, n_brain: Array, encoding: Array, ratio: Array | None, limits: Array
    ) -> Stage:
        study = self.study
        prior = prior_at(study, n_brain, encoding)

        def at(log_second: Array) -> Stage:
            pair, free = second_in(study, jnp.exp(log_second), self.estimator)
            return stage_in(study, partial(freedoms, prior, n_brain, encoding, *pair), free)

        if self.estimator == "befs":
            return at(jnp.full_like(n_brain, -jnp.inf))
        if ratio is not None:
            return at(jnp.log(ratio))
        return jax.vmap(at)(_points(limits, _SECOND[self.estimator][2]))

    def _second_limits(self, n_brain: Array, encoding: Array) -> Array:
        low, high, _ = _SECOND.get(self.estimator, (0.0, 0.0, 0))
        limits = jnp.asarray([low, high], n_brain.dtype)
        if self.estimator == "banded_ridge":
            # Of this size the prior variance of what latents show is that of the rest; and so is
            # that of the noise of the encoder.
            study, prior = self.study, self.study.prior
            found = ridge_encoding(prior, n_brain, encoding)
            noise = jnp.trace(prior.noise) + prior.spare * prior.spare_noise
            size = found.over_directions(prior.nodes * (found.q - encoding * found.twice))
            noise = noise * size / n_brain / study.input_dim
            natural = (study.mean_gain + noise) / study.mean_variance
            limits = limits + jax.lax.stop_gradient(jnp.log(natural))
        return limits

    @property
    def _scales(self) -> tuple[Array, Array, Array]:
        return self.study.noise, self.study.total_power, self.study.input_dim

    def answer(self, stages: _Stages, n_task: Array, *penalties: Array) -> Answer:
        """The answer at one number of labels."""
        left = list(penalties)
        penalty = left.pop(0) if self.has_penalty else None
        second = left.pop(0) if self.has_second else None
        labels = jnp.maximum(n_task, 1.0)
        if penalty is None:
            labels = fewer_labels(*self._scales, labels)
            if second is not None:
                second = second * jnp.maximum(n_task, 1.0) / labels
        free = jnp.zeros((), bool) if penalty is None else penalty == 0
        held = None if penalty is None else jnp.where(free, 1.0, penalty)
        stage, encoding = stages.stage, stages.encoding
        if not self.has_encoding:
            limits, count = stages.encoding, _ENCODING[2]
            risks = jax.vmap(
                lambda one: self._at_second(one, stages.second, labels, held, second)[0]
            )(stage)
            best = _least(risks, limits)
            stage, encoding = _between(stage, limits, best, count), jnp.exp(best)
        risk, used, beside = self._at_second(stage, stages.second, labels, held, second)
        if penalty is None:
            noise, _, input_dim = self._scales
            risk = with_more_labels(risk, labels, n_task, noise, input_dim, input_dim)
            fewer = labels / jnp.maximum(n_task, 1.0)
            used, beside = used * fewer, beside * fewer
        risk = of_few_labels(self.study.total_power, risk, n_task)
        unpenalised = least_squares(self.study.noise, self.study.input_dim, n_task)
        return Answer(
            jnp.where(free, unpenalised, risk), jnp.where(free, 0.0, used), beside, encoding
        )

    def _at_second(
        self,
        stage: Stage,
        limits: Array,
        n_task: Array,
        penalty: Array | None,
        second: Array | None,
    ) -> tuple[Array, Array, Array]:
        """Test error, outside penalty and second penalty, at the best of those not given."""

        def at(stage: Stage) -> Any:
            if penalty is None:
                return at_best_penalty(stage, n_task)
            return at_penalty(stage, n_task, penalty)

        if self.estimator == "befs":
            found = at(stage)
            return found.risk, found.penalty, jnp.zeros_like(n_task)
        if penalty is not None and second is not None:
            found = at(stage)
            return found.risk, found.penalty, second
        count = _SECOND[self.estimator][2]
        if second is None:
            best = _least(jax.vmap(lambda one: at(one).risk)(stage), limits)
            found = at(_between(stage, limits, best, count))
            return found.risk, found.penalty, found.penalty * jnp.exp(best)

        # The second penalty alone: of each outside penalty the share follows.
        def beside(log_penalty: Array) -> Any:
            share = jnp.log(second) - log_penalty
            kept = jnp.clip(share, limits[0], limits[1])
            return at_penalty(_between(stage, limits, kept, count), n_task, jnp.exp(log_penalty))

        searched = jnp.log(second) - limits[::-1]
        points = _points(searched, count)
        best = _least(jax.vmap(lambda one: beside(one).risk)(points), searched)
        return beside(best).risk, jnp.exp(best), second


def _points(limits: Array, count: int) -> Array:
    """Where a polynomial between two limits is to be known."""
    points = jnp.asarray(np.cos(np.pi * np.arange(count) / (count - 1)), limits.dtype)
    return (limits[0] + limits[1]) / 2 + (limits[1] - limits[0]) / 2 * points


def _weights(limits: Array, at: Array, count: int) -> Array:
    """Weights of the values at the points in that of their polynomial."""
    points = np.cos(np.pi * np.arange(count) / (count - 1))
    to_terms = np.linalg.inv(np.polynomial.chebyshev.chebvander(points, count - 1))
    scaled = (2 * at - limits[0] - limits[1]) / (limits[1] - limits[0])
    scaled = jnp.clip(scaled, -0.999999, 0.999999)
    values = jnp.cos(jnp.arccos(scaled) * jnp.arange(count, dtype=at.dtype))
    return values @ jnp.asarray(to_terms, at.dtype)


def _between(stages: Stage, limits: Array, at: Array, count: int) -> Stage:
    """The stage between those at the points."""
    terms = jnp.tensordot(_weights(limits, at, count), stages.terms, 1)
    return Stage(terms, *(x[0] for x in stages[1:]))


def _least(risks: Array, limits: Array) -> Array:
    """Where the polynomial through these values is least."""
    count = len(risks)

    def polynomial(at: Array) -> Array:
        return _weights(limits, at, count) @ risks

    grid = limits[0] + (limits[1] - limits[0]) * jnp.linspace(0.0, 1.0, 65, dtype=risks.dtype)
    return implicit_minimum(polynomial, grid)[0]
