"""XᵀX and XᵀY of the rows, the fastest way to a regression, and what they cost in digits."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import is_concrete

# Of squared lengths: beyond these, products of inputs and targets may be no numbers.
_LEAST, _LARGEST = 1e-100, 1e100


class Moments(NamedTuple):
    """Second moments, summed over the rows."""

    gram: Float[Array, "d d"]
    """XᵀX."""
    right: Float[Array, "d t"]
    """XᵀY."""


def moments_of(inputs: Float[Array, "n d"], columns: Float[Array, "n t"]) -> Moments:
    """Moments within a program, as fast as XLA's products on a CPU can be made to be.

    They are fastest along rows, and of a symmetric matrix three quarters are enough.
    """
    half = inputs.shape[1] // 2
    if half < 64:
        return Moments(inputs.T @ inputs, inputs.T @ columns)
    # XLA would transpose within each product, at every use.
    first, last = jax.lax.optimization_barrier((inputs[:, :half].T, inputs[:, half:].T))
    corner = first @ last.T
    gram = jnp.block([[first @ first.T, corner], [corner.T, last @ last.T]])
    return Moments(gram, jnp.concatenate([first @ columns, last @ columns]))


def moments_by_blas(inputs: Array, columns: Array) -> Moments | None:
    """Moments of known arrays in double precision on a CPU, by NumPy; None for all others.

    BLAS has a product for symmetric matrices, which takes half the time. XLA has none.
    """
    if not is_concrete(inputs, columns) or inputs.dtype != np.float64:
        return None
    if any(device.platform != "cpu" for array in (inputs, columns) for device in array.devices()):
        return None
    rows, targets = np.asarray(inputs), np.asarray(columns)
    with np.errstate(over="ignore", invalid="ignore"):
        gram, right = rows.T @ rows, rows.T @ targets
        powers = np.einsum("nt,nt->t", targets, targets), np.max(np.diagonal(gram))
    # Otherwise, and of NaN, programs divide by units first.
    is_usual = all(np.all((power > _LEAST) & (power < _LARGEST)) for power in powers)
    return Moments(jnp.asarray(gram), jnp.asarray(right)) if is_usual else None


def probes(size: int, dtype: np.dtype) -> Array:
    """Eight directions, of which none is likely to miss what is small, as columns."""
    return jnp.asarray(np.random.default_rng(0).standard_normal((size, 8)), dtype)


def digits_lost(factor: Float[Array, "d d"], size: Array) -> Array:
    """What a solution by this Cholesky factor is off by, relative to it: eps · size · tr A⁻¹.

    `size` is the mean eigenvalue of the matrix, or of what it was summed from.
    """
    some = probes(len(factor), factor.dtype)
    return digits_lost_of(jax.scipy.linalg.solve_triangular(factor, some, lower=True), size)


def digits_lost_of(solved: Float[Array, "d 8"], size: Array) -> Array:
    """`digits_lost`, where the probes have been through the factor already."""
    return jnp.finfo(solved.dtype).eps * size * jnp.sum(solved**2) / 8


def is_determined(triangle: Array, lengths: Array, n: int) -> Array:
    """Whether no column of `n` rows with this QR decomposition is rounding beside those before."""
    # Of what is just above rounding the residuals of the rows leave few digits: 200 keep two.
    rounding = 200 * float(np.sqrt(n) * jnp.finfo(triangle.dtype).eps)
    return jnp.all(jnp.abs(jnp.diag(triangle)) > rounding * lengths)
