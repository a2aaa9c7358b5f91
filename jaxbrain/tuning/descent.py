"""Minimisation by gradient descent: one compiled loop, and an honest account of how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from .._checks import (
    as_floats,
    as_integer,
    check_choice,
    check_finite,
    check_positive,
    check_shape,
)
from .._typing import AnyArray, Whole
from . import _line_search as line_search

Optimizer = Literal["lbfgs", "adam"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)

# A relative gradient of eps^(3/4) is some hundred times what rounding leaves of it.
_TOLERANCE_POWER = 3 / 4
# Steps are counted in 32 bits under JAX's default precision.
_MOST_STEPS = 2**31 - 1


class Descent(NamedTuple):
    """Where a descent ended, and how."""

    parameters: Float[Array, " n"]
    value: Array
    gradient_norm: Array
    """Largest absolute component of the gradient."""
    steps: Array
    converged: Array
    """Whether the gradient fell below tolerance × (|value| + scale)."""


class _State(NamedTuple):
    """What has been reached, and what the method remembers; -1 steps until the start is known."""

    parameters: Array
    value: Array
    gradient: Array
    memory: Any
    steps: Array
    moved: Array


class _Method(NamedTuple):
    """How a descent goes on: where to evaluate, what that decides, what an accepted point does."""

    begin: Callable[[Array], Any]
    trial: Callable[[Any, Array], Array]
    judge: Callable[[Any, _State, Array, Array], tuple[Array, Array, Array, Array, Any]]
    """Of an evaluation: whether a point is accepted, which, its value and gradient, the memory."""
    turn: Callable[[Any, Array, Array, Array], Any]


def check_options(
    optimizer: str, starts: Whole, max_steps: Whole, tolerance: Any, learning_rate: Any
) -> tuple[int, int]:
    """Starts and steps; raises `ValueError` where how to descend is no such choice or number."""
    check_choice("optimizer", optimizer, OPTIMIZERS)
    starts = as_integer("starts", starts, 1)
    max_steps = as_integer("max_steps", max_steps, 1, _MOST_STEPS)
    for name, number in (("tolerance", tolerance), ("learning_rate", learning_rate)):
        if number is not None or name != "tolerance":
            (number,) = as_floats(**{name: number})
            check_shape(name, number, (), "one number")
            check_finite(name, number)
            check_positive(name, number)
    return starts, max_steps


def default_tolerance(dtype: Any) -> float:
    """Relative gradient at which a descent in this precision ends."""
    return float(jnp.finfo(dtype).eps) ** _TOLERANCE_POWER


def minimise(
    function: Callable[[Array], Array],
    start: Float[Array, " n"],
    *,
    optimizer: str = "lbfgs",
    tolerance: Array | float,
    max_steps: Array | int,
    learning_rate: Array | float,
    scale: AnyArray | float = 0.0,
) -> Descent:
    """Minimise a scalar function of a few parameters from one start.

    L-BFGS with a line search of the zoom kind, or Adam. `tolerance`, `max_steps` and
    `learning_rate` (of Adam alone) may be traced: changing them compiles nothing. `scale` is added
    to |value| in the criterion, where the value may pass through 0. Under `jax.vmap` every problem
    keeps what it had when it converged. Ends, not converged, where nothing moves any more or the
    function is not finite. The derivatives of the parameters are those of the implicit function,
    those of the value follow.
    """
    value_and_grad = jax.value_and_grad(function)

    def search(_: Any, begin: tuple[Array, Array]) -> tuple[tuple[Array, Array], Any]:
        end = descend(
            value_and_grad,
            begin[0],
            optimizer=optimizer,
            tolerance=tolerance,
            max_steps=max_steps,
            learning_rate=learning_rate,
            scale=scale,
        )
        # As numbers that have derivatives, which `custom_root` wants of all.
        ended = end.gradient_norm, end.steps, end.converged
        return (end.parameters, end.value), tuple(x.astype(start.dtype) for x in ended)

    def mismatch(unknown: tuple[Array, Array]) -> tuple[Array, Array]:
        parameters, value = unknown
        height, gradient = value_and_grad(parameters)
        return gradient, value - height

    def solve(product: Callable[[Any], Any], change: tuple[Array, Array]) -> tuple[Array, Array]:
        turned, risen = change
        unit = jnp.eye(len(turned), dtype=turned.dtype)
        hessian, slopes = jax.vmap(lambda row: product((row, jnp.zeros_like(risen))))(unit)
        moved = jnp.linalg.solve(hessian, turned)
        return moved, risen - slopes @ moved

    # Where the gradient vanishes is an implicit function of whatever the objective holds, and so is
    # the value there, which the search has seen: as unknowns both have their derivatives.
    (parameters, value), (gradient_norm, steps, converged) = jax.lax.custom_root(
        mismatch, (start, jnp.zeros_like(start[0])), search, solve, has_aux=True
    )
    return Descent(parameters, value, gradient_norm, steps.astype(int), converged > 0)


def descend(
    value_and_grad: Callable[[Array], tuple[Array, Array]],
    start: Float[Array, " n"],
    *,
    optimizer: str = "lbfgs",
    tolerance: Array | float,
    max_steps: Array | int,
    learning_rate: Array | float,
    scale: AnyArray | float = 0.0,
) -> Descent:
    """`minimise` for an answer without derivatives: the function is traced at one place alone."""
    check_choice("optimizer", optimizer, OPTIMIZERS)
    method = _lbfgs() if optimizer == "lbfgs" else _adam(learning_rate)

    def is_settled(value: Array, gradient: Array) -> Array:
        return jnp.max(jnp.abs(gradient)) <= tolerance * (jnp.abs(value) + scale)

    def unfinished(state: _State) -> Array:
        usable = jnp.isfinite(state.value) & jnp.all(jnp.isfinite(state.gradient))
        going = (state.steps < max_steps) & state.moved & usable
        return (state.steps < 0) | (going & ~is_settled(state.value, state.gradient))

    def evaluate(state: _State) -> _State:
        first = state.steps < 0
        point = jnp.where(first, state.parameters, method.trial(state.memory, state.parameters))
        value, gradient = _apart(value_and_grad, point, unfinished(state))
        over, *accepted, memory = method.judge(state.memory, state, value, gradient)
        parameters, value, gradient = (
            jnp.where(first, at_start, at_end)
            for at_start, at_end in zip((point, value, gradient), accepted, strict=True)
        )
        over |= first
        turned = method.turn(memory, parameters, value, gradient)
        moved = first | jnp.any(parameters != state.parameters)
        reached = _State(parameters, value, gradient, turned, state.steps + 1, moved)
        return jax.tree.map(
            lambda new, old: jnp.where(over, new, old), reached, state._replace(memory=memory)
        )

    state = _State(
        start,
        jnp.zeros_like(start[0]),
        jnp.zeros_like(start),
        method.begin(start),
        jnp.asarray(-1),
        jnp.asarray(True),
    )
    end = jax.lax.while_loop(unfinished, evaluate, state)
    return Descent(
        parameters=end.parameters,
        value=end.value,
        gradient_norm=jnp.max(jnp.abs(end.gradient)),
        steps=end.steps,
        converged=is_settled(end.value, end.gradient),
    )


def _apart(value_and_grad: Callable, point: Array, wanted: Array) -> tuple[Array, Array]:
    """Value and gradient, in a loop of one round: fused with the rest they compile for minutes."""

    def once(state: Any) -> Any:
        return jnp.zeros_like(wanted), point, *value_and_grad(state[1])

    first = wanted, point, jnp.zeros_like(point[0]), jnp.zeros_like(point)
    return jax.lax.while_loop(lambda state: state[0], once, first)[2:]


def _lbfgs() -> _Method:
    transform = optax.scale_by_lbfgs()

    def begin(start: Array) -> Any:
        still = jnp.zeros_like(start)
        return transform.init(start), line_search.begin(still, still[0], still)

    def trial(memory: Any, reached: Array) -> Array:
        return reached + memory[1].step * memory[1].direction

    def judge(memory: Any, state: _State, value: Array, gradient: Array):
        past, line = memory
        found = line_search.judge(line, state.value, value, gradient)
        point = state.parameters + found.end.step * line.direction
        return found.over, point, found.end.value, found.gradient, (past, found.line)

    def turn(memory: Any, point: Array, value: Array, gradient: Array) -> Any:
        # optax mixes types of integers, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            ahead, past = transform.update(gradient, memory[0], point)
        return past, line_search.begin(-jnp.asarray(ahead), value, gradient)

    return _Method(begin, trial, judge, turn)


def _adam(learning_rate: Array | float) -> _Method:
    transform = optax.scale_by_adam()

    def begin(start: Array) -> Any:
        return transform.init(start), jnp.zeros_like(start)

    def trial(memory: Any, reached: Array) -> Array:
        return reached + memory[1]

    def judge(memory: Any, state: _State, value: Array, gradient: Array):
        return jnp.asarray(True), trial(memory, state.parameters), value, gradient, memory

    def turn(memory: Any, point: Array, value: Array, gradient: Array) -> Any:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            ahead, past = transform.update(gradient, memory[0], point)
        ahead = jnp.asarray(ahead)
        return past, -jnp.asarray(learning_rate, ahead.dtype) * ahead

    return _Method(begin, trial, judge, turn)
