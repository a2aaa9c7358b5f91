"""Reduced-rank regression: any units, any condition, on the side of the rows where they are few.

With XᵀX + nρ = L Lᵀ and F = L⁻¹XᵀR, the best B of rank k is L⁻ᵀ U_k U_kᵀ F, where U_k are the
leading left singular vectors of F. Only its span is wanted: that of L⁻ᵀ U_k.

Moments and an eigenvalue problem are the fastest way, and square the condition twice. Where that
costs too many digits, QR and singular value decompositions take over, which do not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import leading_eigenspace, power_of_two
from ._moments import digits_lost, is_determined, moments_of
from ._regression import DIGITS_TO_LOSE, share_of


@partial(jax.jit, static_argnames="rank")
def learned_subspace(
    inputs: Array, recordings: Array, ridge: Array, rank: int
) -> Float[Array, "d rank"]:
    """Orthonormal basis of the directions that recordings respond to."""
    unit = power_of_two(inputs)
    # Dividing all of X and √ρ by the same number leaves the span.
    scale, kept = share_of(ridge, unit)
    inputs, recordings = scale * (inputs / unit), recordings / power_of_two(recordings)
    return _basis(inputs, recordings, kept, rank)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _basis(inputs: Array, recordings: Array, kept: Array, rank: int) -> Array:
    n, d = inputs.shape
    if n < d:
        # The subspace lies in the span of the rows: n coordinates suffice.
        frame, turned = jnp.linalg.qr(inputs.T)
        return frame @ _basis_of_coordinates(turned.T, recordings, kept, rank)
    return _basis_of_coordinates(inputs, recordings, kept, rank)


@_basis.defjvp
def _basis_jvp(rank, primals, tangents):
    basis = _basis(*primals, rank)

    def by_moments(inputs, recordings, kept):
        of_rows = len(inputs) < inputs.shape[1] > recordings.shape[1]
        if of_rows:
            matrix, lift = _moments_of_few_rows(inputs, recordings, kept)
        else:
            matrix, lift, _ = _moments(inputs, recordings, kept)
        return orthonormal(lift(leading_eigenspace(matrix, rank)))

    same, change = jax.jvp(by_moments, primals, tangents)
    # Another basis of the same span, and its derivative.
    return basis, change @ (same.T @ basis)


def _basis_of_coordinates(inputs: Array, recordings: Array, kept: Array, rank: int) -> Array:
    matrix, lift, lost = _moments(inputs, recordings, kept)
    values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=True)
    following = values[-rank - 1] if rank < len(values) else 0.0
    # By how much the last direction may turn towards those that are left out.
    turned = jnp.finfo(values.dtype).eps * values[-1] / (values[-rank] - following)
    allowed = DIGITS_TO_LOSE[values.dtype.itemsize]
    return jax.lax.cond(
        # NaN is no small loss.
        (lost < allowed) & (turned > 0) & (turned < allowed),
        lambda: orthonormal(lift(vectors[:, -rank:])),
        lambda: _by_rows(inputs, recordings, kept, rank),
    )


def _moments(
    inputs: Array, recordings: Array, kept: Array
) -> tuple[Array, Callable[[Array], Array], Array]:
    """FᵀF or FFᵀ, how to come from its eigenvectors to the span, and what it may have cost."""
    n, d = inputs.shape
    gram, moments = moments_of(inputs, recordings)
    system = gram + n * kept * jnp.eye(d, dtype=inputs.dtype)
    lower = jnp.linalg.cholesky(system)
    solve = partial(jax.scipy.linalg.solve_triangular, lower, lower=True)
    lost = digits_lost(lower, jnp.mean(jnp.diag(system)))
    if recordings.shape[1] < d:
        fitted = solve(moments)
        fitted = fitted / power_of_two(fitted)
        return fitted.T @ fitted, lambda leading: solve(fitted @ leading, trans="T"), lost
    # F Fᵀ without F, which would be as wide as there are channels.
    moments = moments / power_of_two(moments)
    matrix = solve(solve(moments @ moments.T).T)
    return matrix, lambda leading: solve(leading, trans="T"), lost


def _moments_of_few_rows(
    inputs: Array, recordings: Array, kept: Array
) -> tuple[Array, Callable[[Array], Array]]:
    """FᵀF = RᵀG⁻¹XXᵀR with G = XXᵀ + nκ, and the span Xᵀ G⁻¹R U_k: nothing of size d x d."""
    n = len(inputs)
    gram = inputs @ inputs.T
    factor = jax.scipy.linalg.cho_factor(gram + n * kept * jnp.eye(n, dtype=inputs.dtype))
    solved = jax.scipy.linalg.cho_solve(factor, recordings)
    matrix = recordings.T @ (gram @ solved)
    return (matrix + matrix.T) / 2, lambda leading: inputs.T @ (solved @ leading)


def _by_rows(inputs: Array, recordings: Array, kept: Array, rank: int) -> Array:
    """The same by decompositions of the rows; NaN where they leave a direction undetermined."""
    n, d = inputs.shape
    ridge = jnp.sqrt(n * kept) * jnp.eye(d, dtype=inputs.dtype)
    filling = jnp.zeros((d, recordings.shape[1]), recordings.dtype)
    rows = jnp.block([[inputs, recordings], [ridge, filling]])
    triangle = jnp.linalg.qr(rows, mode="r")[:d]
    upper, fitted = triangle[:, :d], triangle[:, d:]
    leading = jnp.linalg.svd(fitted, full_matrices=False)[0][:, :rank]
    basis = orthonormal(jax.scipy.linalg.solve_triangular(upper, leading))
    lengths = jnp.linalg.norm(upper, axis=0)
    return jnp.where(is_determined(upper, lengths, len(rows)), basis, jnp.nan)


def orthonormal(directions: Float[Array, "d k"]) -> Float[Array, "d k"]:
    """Orthonormal basis of the span of the columns."""
    return jnp.linalg.qr(directions)[0]
