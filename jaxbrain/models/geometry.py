"""How recordings and task lie in the spectrum of the inputs: what penalties see of inputs."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import as_floats, check_finite, check_positive, check_shape, is_concrete

# Functions of the spectrum are polynomials in the logarithm of a variance, of this many terms. They
# are analytic within π of the real line, so that over six decades 1e-6 of the largest is left out.
_TERMS = 24
# Variances below this share of the largest are all as good as nothing to labels and recordings.
_LEAST = 1e-8


class InputGeometry(eqx.Module):
    """Variances of the inputs along their principal axes, and where brain and task lie in them.

    White inputs need none of it: their penalties see no direction before another. It is what
    `LinearGaussianModel.problem`, `Problem.power_law` and `Problem.from_features` make.

    All is in coordinates of variance 1: the i-th is the i-th principal component of the inputs over
    its standard deviation. A latent Aᵀx has the direction Σ^½A, a task βᵀx the weights Σ^½β, and
    squared lengths are variances.

    **Arguments**

    - `variances`: of the inputs along their principal axes, shape (d,), greater than 0.
    - `directions`: of the latents, orthonormal columns, shape (d, k).
    - `weights`: of the task, shape (d,).

    **Fields**

    Kept beside them, for closed forms, which do not depend on d then: moments over the spectrum in
    Chebyshev polynomials of the logarithm of the variance, of all directions (`density`, shape
    (24,)), of the task (`power`, (24,)), of task and latents (`aligned`, (24, k)) and of the
    latents (`latents`, (24, k, k)), and the `middle` and the `width` of that logarithm.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, variances of 0, infinite numbers.

    **Source**

    Ours: docs/theory.md, "Inputs of any covariance".
    """

    variances: Float[Array, " d"]
    directions: Float[Array, "d k"]
    weights: Float[Array, " d"]
    density: Float[Array, " terms"]
    power: Float[Array, " terms"]
    aligned: Float[Array, "terms k"]
    latents: Float[Array, "terms k k"]
    middle: Float[Array, ""]
    width: Float[Array, ""]

    def __init__(self, variances: Array, directions: Array, weights: Array):
        """See the class."""
        variances, directions, weights = as_floats(
            variances=variances, directions=directions, weights=weights
        )
        check_shape("variances", variances, ("d",), "one variance for each principal axis")
        check_shape("directions", directions, (len(variances), "k"), "one column for each latent")
        check_shape("weights", weights, variances.shape, "one weight for each principal axis")
        for name, value in (
            ("variances", variances),
            ("directions", directions),
            ("weights", weights),
        ):
            check_finite(name, value)
        check_positive("variances", variances)
        self.variances, self.directions, self.weights = variances, directions, weights
        moments = _moments(variances, directions, weights)
        self.density, self.power, self.aligned, self.latents, self.middle, self.width = moments

    @property
    def input_dim(self) -> int:
        """Number d of inputs."""
        return self.variances.shape[-1]

    def with_task(self, inside: Array, outside: Array) -> InputGeometry:
        """The same inputs and latents with the task's part inside their span, and outside, scaled.

        Moments follow from moments, at no cost that grows with the inputs.
        """
        told = self.aligned[0]
        within = self.latents @ told
        beyond = self.aligned - within
        power = self.power - 2 * self.aligned @ told + within @ told
        weights = self.directions @ (self.directions.T @ self.weights)
        weights = inside * weights + outside * (self.weights - weights)
        cross = self.aligned @ told - within @ told
        return eqx.tree_at(
            lambda geometry: (geometry.weights, geometry.power, geometry.aligned),
            self,
            (
                weights,
                inside**2 * (within @ told) + 2 * inside * outside * cross + outside**2 * power,
                inside * within + outside * beyond,
            ),
        )

    @property
    def total_variance(self) -> Float[Array, ""]:
        """tr Σ, the summed variance of the inputs."""
        return jnp.sum(self.variances)


@jax.jit
def _moments(variances: Array, directions: Array, weights: Array) -> tuple[Array, ...]:
    """Chebyshev moments of all directions, task, task and latents, latents; middle and width."""
    fixed = jax.lax.stop_gradient(variances)
    highest = jnp.log(jnp.max(fixed))
    # Below the least one: of two equal numbers the larger has half a derivative.
    lowest = jnp.maximum(jnp.log(jnp.min(fixed)) - 1e-3, highest + np.log(_LEAST))
    middle, width = (highest + lowest) / 2, (highest - lowest) / 2
    # Ends lie within, where the polynomials have derivatives, and white inputs have a width too.
    width = 1.05 * width + 0.5
    at = jnp.maximum(jnp.log(variances), lowest)
    values = _chebyshev((at - middle) / width, _TERMS)
    aligned = (values * weights[:, None]).T @ directions

    def outer(value: Array) -> Array:
        return (value[:, None] * directions).T @ directions

    latents = jax.lax.map(outer, values.T)
    power = values.T @ weights**2
    return jnp.sum(values, axis=0), power, aligned, latents, middle, width


def chebyshev_values(geometry: InputGeometry, terms: int) -> Float[Array, "d terms"]:
    """The first polynomials over the spectrum, of which a geometry keeps the moments."""
    at = (jnp.log(geometry.variances) - geometry.middle) / geometry.width
    return _chebyshev(jnp.maximum(at, (0.5 / geometry.width - 1) / 1.05), terms)


def _chebyshev(at: Float[Array, " d"], terms: int) -> Float[Array, "d terms"]:
    """Chebyshev polynomials at points between −1 and 1."""
    return jnp.cos(jnp.arccos(at)[:, None] * jnp.arange(terms, dtype=at.dtype)[None, :])


def spectrum_nodes(middle: Array, width: Array) -> Float[Array, " terms"]:
    """Variances at which a function has to be known, for `spectrum_terms`."""
    angles = np.pi * (np.arange(_TERMS) + 0.5) / _TERMS
    return jnp.exp(middle + width * jnp.asarray(np.cos(angles), middle.dtype))


def spectrum_terms(values: Float[Array, "... terms"]) -> Float[Array, "... terms"]:
    """Coefficients in Chebyshev polynomials of a function known at the nodes.

    Their product with the moments of an `InputGeometry` is the sum of the function over the
    spectrum.
    """
    angles = np.pi * (np.arange(_TERMS) + 0.5) / _TERMS
    matrix = np.cos(np.arange(_TERMS)[:, None] * angles[None, :]) * (2 / _TERMS)
    matrix[0] /= 2
    return values @ jnp.asarray(matrix.T, values.dtype)


def check_geometry(geometry: InputGeometry, input_dim: int, latent_dim: int) -> None:
    """Raise unless the directions are as many as inputs and latents, and orthonormal."""
    check_shape(
        "the directions of geometry",
        geometry.directions,
        (input_dim, latent_dim),
        "one row for each input, one column for each latent",
    )
    if is_concrete(geometry.directions):
        columns = np.asarray(geometry.directions)
        off = np.max(np.abs(columns.T @ columns - np.eye(latent_dim)))
        if off > 1e3 * latent_dim * np.finfo(columns.dtype).eps:
            raise ValueError(
                f"the directions of geometry must be orthonormal, but they are off by {off:.2g}"
            )
