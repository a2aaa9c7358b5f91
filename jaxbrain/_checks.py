"""Checks of arguments: one place that decides what is wrong, and says what to do.

Shapes are always known. Values are known only outside `jax.jit`, `jax.vmap` and `jax.grad`; a
check of a value is skipped, never guessed, while JAX traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._threads import with_one_blas_thread
from ._typing import AnyArray, Real


def is_concrete(*values: Any) -> bool:
    """Whether all values can be looked at now (none of them is being traced)."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def as_floats(**arguments: Any) -> list[Array]:
    """The arguments as floating-point arrays of one common type, in the order given.

    The type is the widest floating type among the arrays; plain Python numbers follow it. Without
    any array it is JAX's default. Raises `ValueError` naming an argument that holds no real
    numbers.
    """
    kinds = []
    for name, value in arguments.items():
        if value is None:
            raise ValueError(f"{name} must be a number or an array of numbers, but it is None")
        try:
            dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
        except (TypeError, ValueError) as problem:
            raise ValueError(f"{name} must be a number or an array of numbers") from problem
        if jnp.issubdtype(dtype, jax.dtypes.extended):
            raise ValueError(f"{name} must hold real numbers, but it is a random key")
        if not (np.issubdtype(dtype, np.floating) or np.issubdtype(dtype, np.integer)):
            raise ValueError(f"{name} must hold real numbers, but its type is {dtype}")
        if hasattr(value, "dtype") and np.issubdtype(dtype, np.floating):
            kinds.append(jax.dtypes.canonicalize_dtype(dtype))
    common = (
        max(kinds, key=lambda dtype: np.dtype(dtype).itemsize) if kinds else jnp.zeros(()).dtype
    )
    return [jnp.asarray(value, dtype=common) for value in arguments.values()]


def kind_of(value: object) -> str:
    """What a value is, for the end of a sentence: "an int", "a str", "None"."""
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeioAEIO' else 'a'} {kind}"


def as_float_like(name: str, value: Real, like: Array) -> Array:
    """The argument as an array of the type of `like`, for arithmetic under strict promotion."""
    return as_floats(**{name: value})[0].astype(like.dtype)


def check_shape(name: str, value: AnyArray, shape: Sequence[int | str], remedy: str) -> None:
    """Raise unless `value` has this shape; words in `shape` stand for any length."""
    actual = np.shape(value)
    fits = len(actual) == len(shape) and all(
        isinstance(want, str) or want == have for want, have in zip(shape, actual, strict=True)
    )
    if not fits:
        wanted = (
            "("
            + ", ".join(str(length) for length in shape)
            + ("," if len(shape) == 1 else "")
            + ")"
        )
        raise ValueError(f"{name} must have shape {wanted}, but it has shape {actual}: {remedy}")


def check_finite(name: str, value: Real) -> None:
    """Raise if a known value holds NaN or infinity."""
    if is_concrete(value) and not bool(np.all(np.isfinite(np.asarray(value, dtype=float)))):
        if not np.ndim(value):
            raise ValueError(f"{name} must be a finite number, but it is {float(value):g}")
        raise ValueError(f"{name} holds NaN or infinite entries: remove or replace them first")


def check_number(name: str, value: Real) -> None:
    """Raise if a known value is NaN, or holds one."""
    if is_concrete(value) and bool(np.any(np.isnan(np.asarray(value, dtype=float)))):
        if not np.ndim(value):
            raise ValueError(f"{name} must be a number, but it is nan")
        raise ValueError(f"{name} holds NaN: remove or replace such entries first")


def check_positive(name: str, value: Real, *, zero_allowed: bool = False) -> None:
    """Raise if a known value is negative (or zero, unless zero is allowed), or no number."""
    if not is_concrete(value):
        return
    check_number(name, value)
    numbers = np.asarray(value, dtype=float)
    lowest = np.min(numbers, initial=np.inf)
    if lowest < 0 or (lowest == 0 and not zero_allowed):
        bound = "at least 0" if zero_allowed else "greater than 0"
        held = "it is as low as" if numbers.ndim else "it is"
        raise ValueError(f"{name} must be {bound}, but {held} {lowest:g}")


def check_key(key: Any) -> None:
    """Raise unless this is one key of `jax.random.key`."""
    if not (hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        legacy = np.shape(key) == (2,) and getattr(key, "dtype", None) == np.uint32
        remedy = "wrap it by jax.random.wrap_key_data(key)" if legacy else f"it is {key!r}"
        raise ValueError(f"key must be one key, as jax.random.key(0) gives it, but {remedy}")
    if np.ndim(key):
        raise ValueError("key must be a single key, but it is an array of keys: map with jax.vmap")


def check_broadcast(**arguments: Array | None) -> None:
    """Raise unless the shapes of these arguments, those that are not None, broadcast."""
    given = {name: np.shape(value) for name, value in arguments.items() if value is not None}
    try:
        np.broadcast_shapes(*given.values())
    except ValueError as problem:
        shapes = " and ".join(f"{name} of shape {shape}" for name, shape in given.items())
        raise ValueError(
            f"{shapes} do not broadcast: give one of them an axis of its own"
        ) from problem


@with_one_blas_thread
def check_covariance(name: str, value: Array) -> None:
    """Raise if a known covariance, scalar or matrix, is asymmetric or has negative variance."""
    if not is_concrete(value):
        return
    if value.ndim == 0:
        check_positive(name, value, zero_allowed=True)
        return
    matrix = np.asarray(value)
    rounding = 100 * len(matrix) * np.finfo(matrix.dtype).eps * np.max(np.abs(matrix))
    if np.max(np.abs(matrix - matrix.T)) > rounding:
        raise ValueError(
            f"{name} must be symmetric: pass (C + C.T) / 2 if the difference is rounding"
        )
    lowest = np.linalg.eigvalsh(matrix)[0]
    if lowest < -rounding:
        raise ValueError(
            f"{name} must be positive semi-definite, but its smallest eigenvalue is {lowest:.2g}: "
            "one that is estimated from data needs shrinkage or more samples"
        )


@with_one_blas_thread
def check_orthonormal(name: str, value: Array, remedy: str) -> None:
    """Raise if the columns of a known matrix are not orthonormal."""
    if not is_concrete(value):
        return
    columns = np.asarray(value)
    width = columns.shape[1]
    overlap = np.max(np.abs(columns.T @ columns - np.eye(width)))
    if overlap > 100 * width * np.finfo(columns.dtype).eps:
        raise ValueError(
            f"{name} must have orthonormal columns, but its Gram matrix is off by "
            f"{float(overlap):.2g}: {remedy}"
        )


def check_between(name: str, value: Real, low: float | int, high: float | int) -> None:
    """Raise if a known value leaves the interval [low, high]."""
    if is_concrete(value) and not bool(
        np.all((np.asarray(value) >= low) & (np.asarray(value) <= high))
    ):
        raise ValueError(f"{name} must lie between {low:g} and {high:g}, but it is {value}")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless the word is one of the choices."""
    if value not in choices:
        listed = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be {listed}, but it is {value!r}")


def check_integer(
    name: str, value: int, low: int, high: int | None = None, remedy: str = ""
) -> None:
    """Raise unless the value is a whole number between `low` and `high`, both included."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number, but it is {value!r}")
    if value < low or (high is not None and value > high):
        bound = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(
            f"{name} must be {bound}, but it is {value}" + (f": {remedy}" if remedy else "")
        )
