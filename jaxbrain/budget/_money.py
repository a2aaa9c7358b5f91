"""Sums of money that are never too low: what is affordable must be so in exact arithmetic too."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._checks import as_float_like, check_finite, check_positive, is_concrete
from .._typing import Real


def at_least(first: Array, second: Array) -> Array:
    """The sum, rounded up where it is not a number of the working precision."""
    total = first + second
    back = total - first
    lost = (first - (total - back)) + (second - back)
    value, lost = jax.lax.stop_gradient((total, lost))
    return total + jnp.where(lost > 0, jnp.nextafter(value, jnp.inf) - value, 0.0)


def bill(fixed: Array, price: Array, number: Array) -> Array:
    """Fixed cost and `number` times the price, rounded up by an ulp or two if digits are lost."""
    # In halves of the digits every product is exact.
    (low, high), (few, many) = _halves(price), _halves(number)
    total = at_least(low * few, high * few)
    for product in (low * many, high * many, jnp.broadcast_to(fixed, total.shape)):
        total = at_least(total, product)
    return total


def _halves(x: Array) -> tuple[Array, Array]:
    kind = jnp.finfo(x.dtype)
    high = jax.lax.stop_gradient(jax.lax.reduce_precision(x, kind.nexp, (kind.nmant - 1) // 2))
    return x - high, high


def most(estimate: Array, affordable: Callable[[Array], Array]) -> Array:
    """The largest affordable whole number, 0 if none is; `estimate` is right up to rounding."""
    estimate = jnp.floor(jnp.maximum(estimate, 0.0))
    step = jnp.maximum(jnp.ceil(2 * jnp.finfo(estimate.dtype).eps * estimate), 1.0)
    numbers = jnp.stack([jnp.maximum(estimate + k * step, 0.0) for k in range(-3, 2)])
    return jnp.max(jnp.where(jax.vmap(affordable)(numbers), numbers, 0.0), axis=0)


def cautious(given: Real, like: Array, *, up: bool) -> Real:
    """A known number in the precision of `like`, rounded to the side of caution, up or down."""
    if not is_concrete(given):
        return given
    exact = np.asarray(given, dtype=float)
    rounded = exact.astype(like.dtype)
    off = rounded < exact if up else rounded > exact
    return np.where(
        off, np.nextafter(rounded, rounded.dtype.type(np.inf if up else -np.inf)), rounded
    )


def checked_sum(
    name: str,
    given: Real,
    like: Array,
    *,
    up: bool,
    zero_allowed: bool = False,
    limited: bool = True,
) -> Array:
    """One price, sum or limit, in the precision of `like`; raises where it cannot be one."""
    number = as_float_like(name, given, like)
    if number.ndim:
        raise ValueError(f"{name} must be one number: map over several with jax.vmap")
    if limited:
        check_finite(name, number)
    check_positive(name, number, zero_allowed=zero_allowed)
    return as_float_like(name, cautious(given, number, up=up), like)
