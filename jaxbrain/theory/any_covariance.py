"""Test errors for inputs of any covariance and any number of recordings.

The brain stage is that of `learned_prior`, the task stage that of `spectral_stage`. Here they meet:
once for each number of recordings and each penalty of theirs, for all labels and all other
penalties.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import is_concrete
from .._linalg import implicit_minimum
from ..models import Problem
from ..models.geometry import InputGeometry, spectrum_terms
from ..models.shift import BlockShift, TestCovariance
from .accuracy import warn_outside_validated_ridge
from .any_shift import (
    Seen,
    ShiftedStage,
    ShiftMoments,
    among_features,
    seen_through,
    shift_moments,
    shifted_ridge_stage,
    shifted_stage,
)
from .learned_prior import (
    Equivalent,
    Freedom,
    LearnedPrior,
    along_penalties,
    banded_prior,
    befs_prior,
    features_of,
    freedoms,
    padded_dim,
    ridge_encoding,
)
from .spectral_stage import (
    Stage,
    at_best_penalty,
    at_penalty,
    ends,
    fewer_labels,
    labels_for,
    least_squares,
    points_between,
    ridge_stage_of,
    stage_of,
    with_more_labels,
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


class _Study(NamedTuple):
    """A problem in shapes that hardly depend on its sizes."""

    prior: LearnedPrior
    total_power: Array
    noise: Array
    input_dim: Array
    latent_dim: Array
    mean_variance: Array
    mean_gain: Array
    mean_noise: Array
    lowest: Array
    highest: Array
    channels: Any


class _Channels(NamedTuple):
    """What tells how well directions are estimated among channels: see `lost_directions`."""

    spare: Array
    latent_dim: Array
    noise: Array
    encoding_noise: Array
    latent_noise: Array
    gain: Array
    directions: Array


def with_geometry(problem: Problem) -> Problem:
    """The same problem with a geometry, which white inputs leave out."""
    if problem.geometry is not None:
        return problem
    d, k = problem.input_dim, problem.latent_dim
    aligned = problem.aligned_power
    if problem.is_matrix_form:
        # An outer product: any of its columns tells the vector.
        largest = jnp.argmax(jnp.diagonal(aligned))
        size = aligned[largest, largest]
        inside = aligned[largest] / _root(jnp.where(size > 0, size, 1.0))
    else:
        inside = _root(aligned)
    outside = _root(problem.misaligned_power)
    weights = jnp.zeros(d, inside.dtype).at[:k].set(inside).at[k].set(outside)
    eye = jnp.eye(d, k, dtype=inside.dtype)
    geometry = InputGeometry(jnp.ones(d, inside.dtype), eye, weights)
    return eqx.tree_at(lambda p: p.geometry, problem, geometry, is_leaf=lambda x: x is None)


def _root(power: Array) -> Array:
    """Square roots, whose derivatives at 0 are 0."""
    some = power > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, power, 1.0)), 0.0)


@partial(jax.jit, static_argnames="estimator")
def _study(problem: Problem, estimator: str, more_channels: Array | float = 1.0) -> _Study:
    geometry, k = problem.known_geometry, problem.latent_dim
    banded = estimator == "banded_ridge"
    prior = banded_prior(problem) if banded else befs_prior(problem)
    channels = None
    if not banded and problem.recording_dim is not None and problem.recording_dim > k:
        more = (0, padded_dim(k) - k)
        matrices = (problem.encoding_noise, problem.latent_noise, problem.gain)
        if not problem.is_matrix_form:
            matrices = tuple(jnp.diag(spectrum) for spectrum in matrices)
        encoding, latent, gain = (jnp.pad(matrix, (more, more)) for matrix in matrices)
        channels = _Channels(
            spare=problem.recording_dim * jnp.asarray(more_channels, encoding.dtype) - k,
            latent_dim=jnp.asarray(k, encoding.dtype),
            noise=problem.recording_noise,
            encoding_noise=encoding,
            latent_noise=latent,
            gain=gain + jnp.diag(prior.padding),
            directions=jnp.trace(geometry.latents, axis1=1, axis2=2) / k,
        )
    fixed = jax.lax.stop_gradient(geometry.variances)
    largest = jnp.max(fixed)
    lowest, highest = ends(jnp.maximum(jnp.min(fixed), 1e-8 * largest), largest)
    return _Study(
        prior,
        problem.total_power,
        problem.task_noise,
        jnp.asarray(problem.input_dim, fixed.dtype),
        jnp.asarray(k, fixed.dtype),
        jnp.mean(geometry.variances),
        problem.trace(problem.gain) / k,
        problem.trace(problem.encoding_noise) / k,
        lowest,
        highest,
        channels,
    )


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
    study = _study(problem, estimator, more_channels)
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
    study = _study(with_geometry(problem), "befs")
    cells = jnp.broadcast_arrays(risk, n_task)
    labels = _labels_of_ridge(study, cells[0].ravel()).reshape(cells[0].shape)
    return labels - n_task


def information_of_cells(problem: Problem, risk: Array, n_task: Array) -> Array:
    """`information_value` at the test error of the two best penalties."""
    worth = jnp.maximum(value_of_cells(problem, risk, n_task, "ridge"), 0.0)
    return jnp.where(jnp.broadcast_to(n_task == 0, worth.shape), 0.0, worth)


def shifted_cells(
    problem: Problem,
    shift: BlockShift | Array,
    n_brain: Array,
    n_task: Array,
    penalty: Array | None,
    second_penalty: Array | None,
    encoding_penalty: Array | None,
    estimator: str,
    stacklevel: int = 4,
) -> Answer:
    """`checked_cells`, with the test error under a shift at the penalties that are best without."""
    cells = problem, n_brain, n_task, penalty, second_penalty, encoding_penalty
    found = checked_cells(*cells, estimator, stacklevel + 1)
    encoding = found.encoding_penalty if encoding_penalty is None else encoding_penalty
    # BEFS with one penalty has no other, so that the brain stage does not ask for labels.
    ratio = jnp.zeros_like(n_brain)
    if estimator != "befs":
        held = found.penalty > 0
        ratio = jnp.where(held, found.second_penalty / jnp.where(held, found.penalty, 1.0), 1.0)
    stages, which = _shifted_stages(problem, shift, n_brain, encoding, ratio, estimator)
    shape = found.risk.shape
    which = np.broadcast_to(which, shape)
    task = (jnp.broadcast_to(x, shape).ravel() for x in (n_task, found.penalty))
    risk = _shifted_risks(stages, which.ravel(), *task, best=penalty is None)
    return found._replace(risk=risk.reshape(shape))


def best_penalty_of_shifted_cells(
    problem: Problem,
    shift: BlockShift | Array,
    n_brain: Array,
    n_task: Array,
    encoding_penalty: Array | None,
    stacklevel: int = 4,
) -> Array:
    """The penalty of BEFS that is best under a shift."""
    cells = problem, n_brain, n_task, None, None, encoding_penalty
    found = checked_cells(*cells, "befs", stacklevel + 1)
    encoding = found.encoding_penalty if encoding_penalty is None else encoding_penalty
    stages, which = _shifted_stages(
        problem, shift, n_brain, encoding, jnp.zeros_like(n_brain), "befs"
    )
    shape = found.risk.shape
    which = np.broadcast_to(which, shape).ravel()
    labels = jnp.broadcast_to(n_task, shape).ravel()
    return _shifted_penalties(stages, which, labels).reshape(shape)


def _shifted_stages(
    problem: Problem,
    shift: BlockShift | Array,
    n_brain: Array,
    encoding_penalty: Array,
    ratio: Array,
    estimator: str,
) -> tuple[ShiftedStage, np.ndarray]:
    """Stages under a shift, one for each of what the recordings decide, and which is whose."""
    problem = with_geometry(problem)
    study, moments = _study(problem, estimator), shift_moments(problem, shift)
    moments = among_features(
        moments, features_of(problem, estimator), study.prior.aligned.shape[-1]
    )
    brain = jnp.broadcast_arrays(n_brain, encoding_penalty, ratio)
    which = np.arange(brain[0].size).reshape(brain[0].shape)
    stages = _solve_shifted(study, moments, tuple(x.ravel() for x in brain), estimator)
    return stages, which


@partial(jax.jit, static_argnames="estimator")
def _solve_shifted(
    study: _Study, moments: ShiftMoments, brain: tuple[Array, ...], estimator: str
) -> ShiftedStage:
    def one(cell: tuple[Array, ...]) -> ShiftedStage:
        n_brain, encoding, second = cell
        n_brain = jnp.minimum(n_brain, 1e9 * study.input_dim)
        prior = _prior_at(study, n_brain, encoding)
        pair, free = _second(study, second, estimator)

        def read(equivalent: Equivalent) -> tuple[Freedom, Seen]:
            numbers = prior, moments, n_brain, encoding, *pair
            return equivalent.freedom(prior), seen_through(equivalent, *numbers)

        points = points_between(study.lowest, study.highest)
        found, seen = along_penalties(prior, n_brain, encoding, *pair, points, read)
        return shifted_stage(_stage(study, lambda _: found, free), seen, moments)

    return jax.lax.map(one, brain)


@partial(jax.jit, static_argnames="best")
def _shifted_risks(
    stages: ShiftedStage, which: Array, n_task: Array, penalty: Array, *, best: bool
) -> Array:
    """`best`: the penalties are those that are best without a shift, of any number of labels."""

    def one(which: Array, n_task: Array, penalty: Array) -> Array:
        return jax.tree.map(lambda x: x[which], stages).at(n_task, penalty, best=best)

    return jax.vmap(one)(which, n_task, penalty)


@jax.jit
def _shifted_penalties(stages: ShiftedStage, which: Array, n_task: Array) -> Array:
    def one(which: Array, n_task: Array) -> Array:
        return jax.tree.map(lambda x: x[which], stages).best_penalty(n_task)

    return jax.vmap(one)(which, n_task)


def shifted_ridge_risk_of(
    problem: Problem, shift: BlockShift | Array, n_task: Array, penalty: Array | None
) -> Array:
    """Ridge regression under a shift, at a given penalty or at the one best without."""
    study, moments = _study(problem, "befs"), shift_moments(problem, shift)
    numbers = (n_task,) if penalty is None else jnp.broadcast_arrays(n_task, penalty)
    risk = _shifted_ridge(study, moments, *(number.ravel() for number in numbers))
    return risk.reshape(numbers[0].shape)


@jax.jit
def _shifted_ridge(
    study: _Study, moments: ShiftMoments, n_task: Array, penalty: Array | None = None
) -> Array:
    stage = _ridge_stage(study)
    shifted = shifted_ridge_stage(stage, study.prior.nodes, moments)
    best = penalty is None
    if penalty is None:
        some = jnp.maximum(n_task, 1.0)
        labels = fewer_labels(study.noise, study.total_power, study.input_dim, some)
        penalty = jax.vmap(lambda n: at_best_penalty(stage, n).penalty)(labels) * labels / some
    return jax.vmap(partial(shifted.at, best=best))(n_task, penalty)


def ridge_risk_of(problem: Problem, n_task: Array, penalty: Array | None) -> Array:
    """Ridge regression in the same coordinates, at a given penalty or at its best one."""
    study = _study(problem, "befs")
    if penalty is None:
        return _ridge(study, n_task.ravel(), None).reshape(n_task.shape)
    cells = jnp.broadcast_arrays(n_task, penalty)
    return _ridge(study, *(cell.ravel() for cell in cells)).reshape(cells[0].shape)


def _ridge_stage(study: _Study) -> Stage:
    prior = study.prior
    return ridge_stage_of(
        prior.nodes,
        lambda function: spectrum_terms(function) @ prior.density,
        lambda function: spectrum_terms(function) @ prior.power,
        *(study.lowest, study.highest, study.total_power, study.noise, study.input_dim),
    )


def _stage(study: _Study, freedoms: Callable[[Array], Freedom], unheld: Array) -> Stage:
    """The task stage of a study, with so many directions that no penalty holds."""
    numbers = study.lowest, study.highest, study.total_power, study.noise, study.input_dim
    return stage_of(freedoms, *numbers, unheld)


def _prior_at(study: _Study, n_brain: Array, encoding_penalty: Array) -> LearnedPrior:
    """The prior, with what is lost among noisy channels."""
    prior = study.prior
    if study.channels is None:
        return prior
    lost = lost_directions(prior, study.channels, n_brain, encoding_penalty)
    return prior._replace(noise=prior.noise + lost.noise)


def _second(study: _Study, second: Array, estimator: str) -> tuple[tuple[Array, Array], Array]:
    """The penalties inside and of features over the outside one; directions that none holds."""
    zero = jnp.zeros_like(second)
    pair = (zero, second) if estimator == "banded_ridge" else (second, zero)
    return pair, study.latent_dim if estimator == "befs" else zero


@jax.jit
def _ridge(study: _Study, n_task: Array, penalty: Array | None) -> Array:
    stage = _ridge_stage(study)
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
    return _of_few_labels(study, risk, n_task)


def _of_few_labels(study: _Study, risk: Array, n_task: Array) -> Array:
    """Below one label the error falls in proportion, from that of none to `risk`, that of one."""
    some = jnp.isfinite(risk)
    change = jnp.where(some, risk, 0.0) - study.total_power
    known = study.total_power + jnp.clip(n_task, 0.0, 1.0) * change
    # Beyond, small errors keep their digits.
    return jnp.where((n_task < 1) & (some | (n_task == 0)), known, risk)


@jax.jit
def _labels_of_ridge(study: _Study, risk: Array) -> Array:
    stage = _ridge_stage(study)
    return jax.vmap(lambda one: labels_for(stage, one))(risk)


@partial(jax.jit, static_argnames=("given", "estimator"))
def _solve_cells(
    study: _Study,
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

    study: _Study
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
        prior = _prior_at(study, n_brain, encoding)

        def at(log_second: Array) -> Stage:
            pair, free = _second(study, jnp.exp(log_second), self.estimator)
            return _stage(study, partial(freedoms, prior, n_brain, encoding, *pair), free)

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
        risk = _of_few_labels(self.study, risk, n_task)
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


class LostDirections(NamedTuple):
    """What is lost where directions are estimated among noisy channels."""

    noise: Float[Array, "k k"]
    """As encoding noise beside that of the latents."""
    share: Array
    """The mean share of a direction that lies among channels of noise alone."""


def lost_directions(
    prior: LearnedPrior, channels: _Channels, n_brain: Array, encoding_penalty: Array
) -> LostDirections:
    """Noise of latents that stands for directions lost among channels: docs/theory.md, (38)."""
    s, penalty = prior.nodes, encoding_penalty
    found = ridge_encoding(prior, n_brain, penalty)
    a, q, twice = found.a, found.q, found.twice
    degrees = found.over_directions(1 - penalty * q)
    kept = 1 - penalty * a * q
    kept_twice = 1 - 2 * penalty * a * q + penalty**2 * (q - penalty * twice) / s
    seen = spectrum_terms(kept) @ channels.directions
    slope = spectrum_terms(kept_twice) @ channels.directions / seen
    strength, spare = n_brain * seen, channels.spare * channels.noise**2
    eye = jnp.eye(len(channels.gain), dtype=s.dtype)
    signal = (strength * eye + degrees * channels.latent_noise) @ channels.gain
    inverse = jnp.linalg.inv(signal)
    real = 1 - prior.padding
    lost = degrees * slope * spare * (inverse @ inverse) * (real[:, None] * real[None, :])
    # A direction can be lost but once.
    lost = lost @ jnp.linalg.inv(eye + lost / 0.95)
    share = jnp.trace(lost) / channels.latent_dim
    noise = jnp.linalg.solve(eye - lost, lost) @ (
        strength / degrees * eye + channels.encoding_noise
    )
    return LostDirections((noise + noise.T) / 2, share)
