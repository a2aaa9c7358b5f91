"""Names for the kinds of arguments that the public functions take."""

from __future__ import annotations

import jax
import numpy as np

AnyArray = jax.Array | np.ndarray
"""What a caller may hand over: arrays of JAX or of NumPy."""

Real = jax.Array | np.ndarray | np.generic | float | int
"""A number, or an array of numbers that broadcasts with the other arguments."""
