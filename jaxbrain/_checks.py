"""Checks of arguments: one place that decides what is wrong, and says what to do.

Shapes are always known. Values are known only outside `jax.jit`, `jax.vmap` and `jax.grad`; a
check of a value is skipped, never guessed, while JAX traces.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._threads import with_one_blas_thread
from ._typing import AnyArray, Real

# Floats hold all whole numbers up to here.
_MOST = 2**53


def is_concrete(*values: Any) -> bool:
    """Whether all values can be looked at now (none of them is being traced)."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def as_floats(**arguments: Any) -> list[Array]:
    """The arguments as floating-point arrays of one common type, in the order given.

    The type is the widest among the arrays of 32 bits and more, where integers of that size count
    as double precision: single holds whole numbers up to 2^24 alone. Plain Python numbers, narrow
    integers and half precision, which no factorisation takes, follow it. Without any array it is
    JAX's default. Raises `ValueError` naming an argument that holds no real numbers.
    """
    arrays = {name: as_array(name, value) for name, value in arguments.items()}
    wide = {
        name: array
        for name, array in arrays.items()
        if hasattr(arguments[name], "__array__") and array.dtype.itemsize >= 4
    }
    asked = {array.dtype == np.float32 for array in wide.values()}
    default = jnp.zeros(()).dtype
    common = np.dtype(np.float32) if asked == {True} else default
    if default == np.float32 and asked - {True}:
        _warn_of_rounding(wide)
    # What single precision cannot hold becomes infinite, which checks see.
    with np.errstate(over="ignore"):
        return [jnp.asarray(array, dtype=common) for array in arrays.values()]


def as_array(name: str, value: Any) -> Array | np.ndarray:
    """An array of JAX or NumPy, of a type that both know; other libraries' arrays are converted."""
    wanted, given = f"{name} must be a number or an array of numbers", value
    if value is None:
        raise ValueError(f"{wanted}, but it is None")
    if not isinstance(value, jax.Array):
        if isinstance(value, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(value)):
            raise ValueError(f"{name} has masked entries: leave them out, or fill them in")
        try:
            value = _from_another_library(value)
        # Whatever another library raises is no answer to what was asked of this one.
        except Exception as problem:
            raise ValueError(f"{wanted}, but it is {kind_of(value)}: {problem}") from problem
    if jnp.issubdtype(value.dtype, jax.dtypes.extended):
        raise ValueError(f"{name} must hold real numbers, but it is a random key")
    is_real = jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)
    if is_real and value.dtype.kind != "m":
        return value
    held = f"it is {kind_of(given)} of " if value.dtype == object else "its type is "
    remedy = ": convert it by .astype(float)" if value.dtype in (bool, object) else ""
    raise ValueError(f"{name} must hold real numbers, but {held}{value.dtype}{remedy}")


def _from_another_library(given: Any) -> np.ndarray:
    """What NumPy makes of lists, data frames, tensors and the like, in the machine's byte order."""
    # NumPy has no integers beyond 64 bits.
    value: Any = float(given) if isinstance(given, int) and abs(given) >= 2**63 else given
    array = np.asarray(value)
    if array.dtype == object and hasattr(value, "to_numpy"):
        # A table with missing values: all columns must be numbers, and what is missing is NaN.
        kinds = np.atleast_1d(getattr(value, "dtypes", np.empty(0, object)))
        if kinds.size and all(getattr(kind, "kind", "O") in "fiu" for kind in kinds):
            array = value.to_numpy(dtype=np.float64, na_value=np.nan)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        # JAX knows no longer floats than doubles.
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


_rounding_was_told = False


def _warn_of_rounding(arrays: dict[str, Any]) -> None:
    """Say once that arrays in double precision are rounded to JAX's default."""
    global _rounding_was_told
    if _rounding_was_told:
        return
    for name, array in arrays.items():
        # One of JAX is in single precision already.
        if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype == np.float32:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = array.astype(np.float32).astype(np.float64)
        if not np.array_equal(rounded, array.astype(np.float64), equal_nan=True):
            _rounding_was_told = True
            warnings.warn(
                f"{name}, of type {array.dtype}, is rounded to float32, JAX's default: call "
                "jax.config.update('jax_enable_x64', True) first to compute in double precision. "
                "This is said once",
                UserWarning,
                stacklevel=_depth_of_caller(),
            )
            return


def _depth_of_caller() -> int:
    """How many calls up the first line is that is not this library's, for `warnings.warn`."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(__package__ or ""):
        depth, frame = depth + 1, frame.f_back
    return depth


def shown(value: object) -> str:
    """A value for the end of a sentence: what kind it is where it is long, or an array."""
    if getattr(value, "shape", ()):
        return f"{kind_of(value)} of shape {tuple(getattr(value, 'shape', ()))}"
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    # Python writes out no integer beyond some thousand digits.
    if isinstance(value, int) and abs(value) > 10**50:
        return "a number of more than 50 digits"
    text = repr(value)
    return text if len(text) <= 60 and text.isprintable() else kind_of(value)


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
    try:
        actual = np.shape(value)
    # Whatever lists of unequal lengths and other libraries' tables raise.
    except Exception as problem:
        raise ValueError(
            f"{name} must be an array of numbers, but it is {kind_of(value)}"
        ) from problem
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


def _known(name: str, value: Any) -> np.ndarray | None:
    """The numbers, where they can be seen; raises where they are none."""
    return np.asarray(as_array(name, value), dtype=float) if is_concrete(value) else None


def as_number(name: str, value: Any, *, zero_allowed: bool = False) -> float:
    """One positive number that is known, and not NaN. Infinity is a number.

    Raises `ValueError` that names it.
    """
    check_known(**{name: value})
    number = as_array(name, value)
    check_shape(name, number, (), "one number")
    check_positive(name, number, zero_allowed=zero_allowed)
    return float(number)


def check_known(**arguments: Any) -> None:
    """Raise where an argument is being traced, for what cannot be compiled."""
    for name, value in arguments.items():
        if not is_concrete(value):
            raise ValueError(
                f"{name} must be known, but JAX is tracing it: call this outside of jax.jit, "
                "jax.vmap and jax.grad"
            )


def check_flag(name: str, value: Any) -> None:
    """Raise unless it is true or false."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, but it is {shown(value)}")


def check_kind(name: str, value: Any, kind: type, remedy: str) -> None:
    """Raise unless it is an object of this kind."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be a {kind.__name__}, but it is {kind_of(value)}: {remedy}")


def check_finite(name: str, value: Real) -> None:
    """Raise if a known value holds NaN or infinity."""
    numbers = _known(name, value)
    if numbers is not None and not bool(np.all(np.isfinite(numbers))):
        if not numbers.ndim:
            raise ValueError(f"{name} must be a finite number, but it is {float(numbers):g}")
        raise ValueError(f"{name} holds NaN or infinite entries: remove or replace them first")


def check_number(name: str, value: Real) -> None:
    """Raise if a known value is NaN, or holds one."""
    numbers = _known(name, value)
    if numbers is not None and bool(np.any(np.isnan(numbers))):
        if not numbers.ndim:
            raise ValueError(f"{name} must be a number, but it is nan")
        raise ValueError(f"{name} holds NaN: remove or replace such entries first")


def check_positive(name: str, value: Real, *, zero_allowed: bool = False) -> None:
    """Raise if a known value is negative (or zero, unless zero is allowed), or no number."""
    numbers = _known(name, value)
    if numbers is None:
        return
    check_number(name, numbers)
    lowest = np.min(numbers, initial=np.inf)
    if lowest < 0 or (lowest == 0 and not zero_allowed):
        bound = "at least 0" if zero_allowed else "greater than 0"
        held = "it is as low as" if numbers.ndim else "it is"
        raise ValueError(f"{name} must be {bound}, but {held} {lowest:g}")


def check_key(key: Any) -> None:
    """Raise unless this is one key of `jax.random.key`."""
    is_array = isinstance(key, jax.Array | np.ndarray)
    if not (is_array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        legacy = is_array and key.shape == (2,) and key.dtype == np.uint32
        remedy = "wrap it by jax.random.wrap_key_data(key)" if legacy else f"it is {shown(key)}"
        raise ValueError(f"key must be one key, as jax.random.key(0) gives it, but {remedy}")
    if np.ndim(key):
        raise ValueError("key must be a single key, but it is an array of keys: map with jax.vmap")


def check_broadcast(**arguments: Array | None) -> None:
    """Raise unless the shapes of these arguments, those that are not None, broadcast."""
    given = {name: np.shape(value) for name, value in arguments.items() if value is not None}
    try:
        np.broadcast_shapes(*given.values())
    except ValueError as problem:
        # Single numbers go with everything.
        several = {name: shape for name, shape in given.items() if shape}
        shapes = " and ".join(f"{name} of shape {shape}" for name, shape in several.items())
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
    numbers = _known(name, value)
    if numbers is not None and not bool(np.all((numbers >= low) & (numbers <= high))):
        raise ValueError(
            f"{name} must lie between {low:g} and {high:g}, but it is {shown(numbers)}"
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless the word is one of the choices."""
    # What compares entry by entry, as arrays do, is in no list of words.
    if not isinstance(value, str) or value not in choices:
        listed = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be {listed}, but it is {shown(value)}")


def as_integer(name: str, value: Any, low: int, high: int | None = None, remedy: str = "") -> int:
    """A whole number between `low` and `high`, both included, however it is written: 1e3 is 1000.

    Raises `ValueError` that names it where it is none.
    """
    if isinstance(value, float | np.floating) and abs(value) < 2**53 and value == np.floor(value):
        value = int(value)
    if isinstance(value, np.integer):
        value = int(value)
    if not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, but it is {shown(value)}")
    check_integer(name, value, low, high, remedy)
    return value


def check_integer(
    name: str, value: int, low: int, high: int | None = None, remedy: str = ""
) -> None:
    """Raise unless the value is an integer between `low` and `high`, both included."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number, but it is {shown(value)}")
    if value < low or value > (_MOST if high is None else high):
        bound = f"between {low} and {high}"
        if high is None:
            bound = f"at least {low}" if value < low else f"at most {_MOST}"
        raise ValueError(
            f"{name} must be {bound}, but it is {shown(value)}" + (f": {remedy}" if remedy else "")
        )
