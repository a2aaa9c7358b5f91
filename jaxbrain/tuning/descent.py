"""Minimisation by gradient descent: one compiled loop, and an honest account of how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from .._checks import check_choice

OPTIMIZERS = ("lbfgs", "adam")

# A relative gradient of eps^(3/4) is some hundred times what rounding leaves of it.
_TOLERANCE_POWER = 3 / 4


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
    parameters: Array
    value: Array
    gradient: Array
    memory: Any
    steps: Array
    moved: Array


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
    scale: Array | float = 0.0,
) -> Descent:
    """Minimise a scalar function of a few parameters from one start.

    L-BFGS with Zoom's line search, or Adam. `tolerance`, `max_steps` and `learning_rate` (of Adam alone)
    may be traced: changing them compiles nothing. `scale` is added to |value| in the criterion, where the
    value may pass through 0. Under `jax.vmap` every problem keeps what it had when
    it converged. Ends, not converged, where nothing moves any more or the function is not finite. The
    derivatives of the parameters are those of the implicit function, those of the value follow.
    """
    check_choice("optimizer", optimizer, OPTIMIZERS)
    if optimizer == "lbfgs":
        method = optax.lbfgs(
            linesearch=optax.scale_by_zoom_linesearch(
                max_linesearch_steps=30, initial_guess_strategy="one"
            )
        )
    else:
        method = optax.chain(optax.scale_by_adam(), optax.scale(-1.0))
    value_and_grad = jax.value_and_grad(function)

    def is_settled(value: Array, gradient: Array) -> Array:
        return jnp.max(jnp.abs(gradient)) <= tolerance * (jnp.abs(value) + scale)

    def unfinished(state: _State) -> Array:
        usable = jnp.isfinite(state.value) & jnp.all(jnp.isfinite(state.gradient))
        going = (state.steps < max_steps) & state.moved & usable
        return going & ~is_settled(state.value, state.gradient)

    def improve(state: _State) -> _State:
        # optax mixes types of integers, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            updates, memory = method.update(
                state.gradient,
                state.memory,
                state.parameters,
                value=state.value,
                grad=state.gradient,
                value_fn=function,
            )
        step = jnp.asarray(updates)
        if optimizer == "adam":
            step = jnp.asarray(learning_rate, step.dtype) * step
        parameters = state.parameters + step
        if optimizer == "adam":
            value, gradient = value_and_grad(parameters)
        else:
            # The line search has been there.
            value, gradient = (optax.tree.get(memory, name) for name in ("value", "grad"))
        return _State(parameters, value, gradient, memory, state.steps + 1, jnp.any(step != 0))

    def descend(_: Callable[[Array], Array], start: Array) -> tuple[Array, tuple[Array, ...]]:
        value, gradient = value_and_grad(start)
        state = _State(
            start, value, gradient, method.init(start), jnp.asarray(0), jnp.asarray(True)
        )
        end = jax.lax.while_loop(unfinished, improve, state)
        settled = is_settled(end.value, end.gradient)
        # As numbers that have derivatives, which `custom_root` wants of all.
        ended = jnp.max(jnp.abs(end.gradient)), end.steps, settled
        return end.parameters, tuple(x.astype(start.dtype) for x in ended)

    def solve_hessian(product: Callable[[Array], Array], change: Array) -> Array:
        hessian = jax.vmap(product)(jnp.eye(len(change), dtype=change.dtype))
        return jnp.linalg.solve(hessian, change)

    # Where the gradient vanishes is an implicit function of whatever the objective holds.
    parameters, (gradient_norm, steps, converged) = jax.lax.custom_root(
        jax.grad(function), start, descend, solve_hessian, has_aux=True
    )
    return Descent(
        parameters, function(parameters), gradient_norm, steps.astype(int), converged > 0
    )
