"""Penalties by gradient descent, on any objective."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._checks import as_floats, check_finite, check_positive
from .._threads import with_one_blas_thread
from .._typing import Whole
from ..theory import Penalties
from .descent import Descent, check_options, default_tolerance, minimise

# The scan before the descent, in decades around the start: fine for one penalty, coarse for two.
_DECADES = {1: np.arange(-8.0, 9.0), 2: np.arange(-8.0, 9.0, 2.0)}
_REACH = float(np.log(10.0))
_NEWTON_STEPS = 10


class TunedPenalty(NamedTuple):
    """The best penalty found, and how the search ended.

    **Fields**

    - `penalty`: structured as the start was, a number or `Penalties`, in the unit of the
      objective's penalty; 0 and infinity where these are best.
    - `value`: the objective there.
    - `gradient_norm`: largest derivative with respect to the logarithm of a penalty, 0 at the ends
      0 and infinity.
    - `steps`: of the descent that ended there.
    - `converged`: whether that gradient is below the tolerance times the size of `value`. Do not
      trust an answer where it is False.

    They are single numbers; where each of t targets has a penalty of its own, arrays of shape (t,).
    """

    penalty: Any
    value: Array
    gradient_norm: Array
    steps: Array
    converged: Array


class PenaltyObjective(eqx.Module):
    """Something that says how good a penalty is: call it, and the least value is the best.

    Its numbers are leaves, so that tuning another one of the same shapes compiles nothing. Any
    function from a penalty to a number will do in its place, if a start is given.

    **Fields**

    - `per_target`: whether each target has a penalty of its own, and `split_targets` says how to
      map over them.
    """

    per_target: eqx.AbstractVar[bool]

    def __call__(self, penalty: Any) -> Array:
        """The value at this penalty, a number of the structure of `natural_penalty`."""
        raise NotImplementedError

    def natural_penalty(self) -> Any:
        """A penalty of sensible size, where the search may begin."""
        raise NotImplementedError

    def split_targets(self) -> tuple[PenaltyObjective, PenaltyObjective]:
        """For `jax.vmap` over targets: the objective, and the axis of the targets in each leaf."""
        raise NotImplementedError


@with_one_blas_thread
def tune_penalty(
    objective: PenaltyObjective | Callable[[Any], Array],
    start: Any = None,
    *,
    optimizer: str = "lbfgs",
    starts: Whole = 1,
    tolerance: float | None = None,
    max_steps: Whole = 100,
    learning_rate: float = 0.1,
) -> TunedPenalty:
    """Find the penalty that makes a closed form, a simulation or an error on data least.

    It is gradient descent in the logarithm of the penalty. A scan of sixteen decades around the
    start comes first and the descent begins at its lowest point, so that a start may be far off and
    flat stretches trap nothing. Penalties 0 and infinity are compared at the end.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> objective = jb.ClosedFormRisk(problem, n_brain=18_000, n_task=5_000, estimator="befs")
    >>> tuned = jb.tune_penalty(objective)
    >>> print(f"{float(tuned.penalty):.4f} {float(tuned.value):.4f} {bool(tuned.converged)}")
    34.9776 1.1173 True

    There is one compiled program. Numbers are traced, so that changing any compiles nothing, and
    `jax.vmap` maps over problems.

    **Arguments**

    - `objective`: `ClosedFormRisk`, `MonteCarloRisk`, `LeaveOneOut`, `GeneralizedCrossValidation`,
      `KFold`, `HeldOut`, or any function of a penalty that JAX can differentiate.
    - `start`: penalty greater than 0, or `Penalties` where there are two; by default the
      objective's natural one. You must pass it with a function of your own.
    - `optimizer`: `"lbfgs"`, with line search, or `"adam"`, which takes `learning_rate` and many
      more steps.
    - `starts`: how many local minima of the scan are descended from; the best end is the answer.
    - `tolerance`: relative gradient that ends a descent, by default eps^(3/4): 2e-12 in double,
      6e-6 in single precision. With a penalty for each target the default is eps^(3/5).
    - `max_steps`: of each descent. With a penalty for each target ten Newton steps, which are not
      counted, come before the descent by L-BFGS.
    - `learning_rate`: of Adam alone, in units of the natural logarithm.

    **Returns**

    A `TunedPenalty`. Derivatives of the answer with respect to the numbers in the objective are
    those of the implicit function. Per-target objectives give arrays, one entry a target. An
    objective that is NaN everywhere gives NaN, not converged.

    **Raises**

    `ValueError` that names the argument and the remedy.

    **Source**

    Ours: docs/theory.md, "Tuning".
    """
    starts, max_steps = check_options(optimizer, starts, max_steps, tolerance, learning_rate)
    if not callable(objective):
        raise ValueError("objective must be a function of the penalty, such as ClosedFormRisk(...)")
    if start is None:
        if not isinstance(objective, PenaltyObjective):
            raise ValueError("start must be given where objective is a function of one's own")
        start = objective.natural_penalty()
    leaves, structure = jax.tree.flatten(start)
    if isinstance(objective, PenaltyObjective):
        natural = objective.natural_penalty()
        if jax.tree.structure(natural) != structure:
            wanted = "Penalties" if isinstance(natural, Penalties) else "a single number"
            raise ValueError(f"start must be {wanted}, which is what this objective takes")
    if not leaves:
        raise ValueError("start holds no number: pass a penalty, or Penalties")
    leaves = as_floats(**{f"start[{i}]": leaf for i, leaf in enumerate(leaves)})
    for leaf in leaves:
        if leaf.ndim:
            raise ValueError("start must hold single numbers: map over several with jax.vmap")
        check_finite("start", leaf)
        check_positive("start", leaf)
    dtype = leaves[0].dtype
    if tolerance is None:
        # Of many targets one that rounding keeps from the last digits would hold up all others.
        many = getattr(objective, "per_target", False)
        tolerance = float(default_tolerance(dtype) ** (0.8 if many else 1.0))
    return _tune(
        objective,
        jnp.log(jnp.stack(leaves)),
        structure,
        optimizer,
        starts,
        jnp.asarray(tolerance, dtype),
        jnp.asarray(learning_rate, dtype),
        jnp.asarray(max_steps),
    )


@eqx.filter_jit
def _tune(objective, start, structure, optimizer, starts, tolerance, learning_rate, max_steps):
    per_target = getattr(objective, "per_target", False)

    def tune_one(objective: Callable[[Any], Array]) -> TunedPenalty:
        def at(penalties: Array) -> Array:
            return objective(jax.tree.unflatten(structure, list(penalties)))

        def of_logarithm(u: Array) -> Array:
            return at(jnp.exp(u))

        begin = _scan(of_logarithm, start, starts)
        if per_target and optimizer == "lbfgs":
            # Line searches of many targets wait for the slowest of them at every step: come
            # close before.
            begin = jax.lax.map(lambda u: _newton(of_logarithm, u), begin)
        ends = jax.lax.map(
            lambda u: minimise(
                of_logarithm,
                u,
                optimizer=optimizer,
                tolerance=tolerance,
                max_steps=max_steps,
                learning_rate=learning_rate,
            ),
            begin,
        )
        best = jnp.argmin(_or_infinite(ends.value))
        end = jax.tree.map(lambda x: x[best], ends)
        return _or_at_an_end(at, end, structure)

    if not per_target:
        return tune_one(objective)
    split, axes = objective.split_targets()
    return eqx.filter_vmap(tune_one, in_axes=(axes,))(split)


def _newton(function: Callable[[Array], Array], start: Array) -> Array:
    """Newton's method for one penalty between neighbours of the scan's best, else halving."""
    slope = jax.grad(lambda u: function(u[None]))

    def improve(_, state):
        u, low, high = state
        g, h = jax.jvp(slope, (u,), (jnp.ones_like(u),))
        low, high = jnp.where(g > 0, low, u), jnp.where(g > 0, u, high)
        moved = u - g / jnp.where(h > 0, h, 1.0)
        # Both ends count as within: where it has converged, u is one of them.
        within = (h > 0) & (moved >= low) & (moved <= high)
        return jnp.where(within, moved, (low + high) / 2), low, high

    state = (start[0], start[0] - _REACH, start[0] + _REACH)
    return jax.lax.fori_loop(0, _NEWTON_STEPS, improve, state)[0][None]


def _scan(function: Callable[[Array], Array], start: Array, count: int) -> Array:
    """The lowest local minima on a grid of decades around the start, (count, n)."""
    n = len(start)
    # Of many penalties only the common factor is scanned.
    steps = _DECADES.get(n, _DECADES[1])
    shape = (len(steps),) * (n if n in _DECADES else 1)
    grid = np.stack(np.meshgrid(*(steps,) * len(shape), indexing="ij"), axis=-1)
    grid = np.log(10.0) * np.broadcast_to(grid, (*shape, n)).reshape(-1, n)
    points = start[None] + jnp.asarray(grid, start.dtype)
    heights = jax.lax.stop_gradient(jax.lax.map(function, points)).reshape(shape)
    heights = _or_infinite(heights)
    lowest_around = heights
    for axis in range(len(shape)):
        padded = jnp.pad(
            lowest_around,
            [(1, 1) if a == axis else (0, 0) for a in range(len(shape))],
            constant_values=jnp.inf,
        )
        shifted = (jax.lax.slice_in_dim(padded, i, i + shape[axis], axis=axis) for i in range(3))
        lowest_around = jnp.min(jnp.stack(list(shifted)), axis=0)
    minima = jnp.where(heights <= lowest_around, heights, jnp.inf).ravel()
    return points[jnp.argsort(minima)[: min(count, len(grid))]]


def _or_at_an_end(at: Callable[[Array], Array], end: Descent, structure: Any) -> TunedPenalty:
    """The end of a descent, or a penalty of 0 or infinity if one does no worse."""
    inside = jnp.exp(end.parameters)
    value, penalties, gradient_norm = end.value, inside, end.gradient_norm
    converged = end.converged
    # NaN stands for the penalty that the descent found.
    cases = np.array(list(itertools.product((np.nan, 0.0, np.inf), repeat=len(inside)))[1:])
    candidates = jnp.where(np.isnan(cases), inside[None], jnp.asarray(cases, inside.dtype))
    # One after the other, so that the objective is compiled once for all of them.
    values = jax.lax.map(at, candidates)
    for case, candidate, there in zip(cases, candidates, values, strict=True):
        better = _or_infinite(there) <= _or_infinite(value)
        better &= jnp.isfinite(there)
        value = jnp.where(better, there, value)
        penalties = jnp.where(better, candidate, penalties)
        if not np.isnan(case).any():
            gradient_norm = jnp.where(better, 0.0, gradient_norm)
            converged = jnp.where(better, True, converged)
    # What is best where nothing is finite would pass for an answer.
    penalties = jnp.where(jnp.isfinite(value), penalties, jnp.nan)
    return TunedPenalty(
        jax.tree.unflatten(structure, list(penalties)), value, gradient_norm, end.steps, converged
    )


def _or_infinite(value: Array) -> Array:
    return jnp.where(jnp.isnan(value), jnp.inf, value)
