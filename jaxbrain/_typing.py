"""Names for the kinds of arguments that the public functions take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import jax
import numpy as np


@runtime_checkable
class ConvertibleToArray(Protocol):
    """What NumPy can make an array of: data frames of pandas, tensors of PyTorch."""

    def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
        """As NumPy asks for it."""
        ...


if TYPE_CHECKING:
    # What the library does with these is written for arrays alone.
    AnyArray = jax.Array | np.ndarray
else:
    AnyArray = jax.Array | np.ndarray | ConvertibleToArray
"""What a caller may hand over: arrays of JAX or of NumPy, and what NumPy makes arrays of."""

Real = jax.Array | np.ndarray | np.generic | float | int
"""A number, or an array of numbers that broadcasts with the other arguments."""

Whole = int | float | np.integer | np.floating
"""A whole number, however it is written: 1e3 is 1000."""
