"""Predictions of two penalties, on the side of the rows or of the inputs, whichever is shorter.

With rows X = X_in Bᵀ + X_out, X_in = X B, and penalties λ_out and λ_in, weights are X_outᵀα + B u:

    (X_out X_outᵀ + nλ_out) α = y − X_in u,    nλ_out α = what is left of y.

The second is what makes leverages of few rows exact: nothing is subtracted from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import power_of_two
from ._regression import has_few_rows, on_both, shares


class ByRows(NamedTuple):
    """Rows as a regression of two penalties sees them where they are few."""

    gram: Float[Array, "n n"]
    """X_out X_outᵀ."""
    inside: Float[Array, "n k"]
    """X_in."""


class Solution(NamedTuple):
    """What comes of targets."""

    left: Float[Array, "n t"]
    """What no weight fits: the residuals of the rows."""
    amplitudes: Float[Array, "n t"]
    """α, of which X_outᵀα are the outside weights."""
    inside: Float[Array, "k t"]
    """u, the inside weights."""


def outside_of(inputs: Float[Array, "n d"], basis: Float[Array, "d k"]) -> Float[Array, "n d"]:
    """X_out: the inputs without what lies in the subspace."""
    return inputs - (inputs @ basis) @ basis.T


def solve_by_rows(
    rows: ByRows,
    targets: Float[Array, "n t"],
    outside: Array,
    inside: Array,
    n: Array | int,
    unit: Array | float = 1.0,
) -> Solution:
    """Weights of each target, for an outside penalty above 0; rows have been divided by `unit`.

    Derivatives are those of the implicit function, by solves with the same factor.
    """
    numbers = shares(outside, inside, unit)
    eye = jnp.eye(len(rows.gram), dtype=rows.gram.dtype)
    solve = _solver(numbers.outside**2 * rows.gram + n * numbers.outside_kept * eye)
    within = numbers.inside * rows.inside
    rank = within.shape[1]
    solved = solve(jnp.concatenate([within, targets], axis=1))
    through, plain = solved[:, :rank], solved[:, rank:]
    kept = numbers.inside_kept / numbers.outside_kept * jnp.eye(rank, dtype=within.dtype)
    weights = _solver(within.T @ through + kept)(within.T @ plain)
    amplitudes = plain - through @ weights
    return Solution(
        left=n * numbers.outside_kept * amplitudes,
        amplitudes=numbers.outside**2 * amplitudes,
        inside=numbers.inside * weights,
    )


def _solver(matrix: Array) -> Callable[[Array], Array]:
    factor = jax.scipy.linalg.cho_factor(jax.lax.stop_gradient(matrix), lower=True)

    def solve(right: Array) -> Array:
        return jax.lax.custom_linear_solve(
            lambda x: matrix @ x,
            right,
            lambda _, b: jax.scipy.linalg.cho_solve(factor, b),
            symmetric=True,
        )

    return solve


def predictions(
    inputs: Float[Array, "n d"],
    targets: Float[Array, "n t"],
    judged_inputs: Float[Array, "m d"],
    basis: Float[Array, "d k"],
    penalty: Array,
    inside_penalty: Array,
    n: Array | int,
) -> Float[Array, "m t"]:
    """Predictions for the judged rows; `n` is what multiplies the penalties."""
    if not has_few_rows(len(inputs), inputs.shape[1], basis):
        return predictions_and_leverages(
            inputs, targets, judged_inputs, basis, penalty, inside_penalty, n
        )[0]
    unit = power_of_two(inputs)
    inputs, judged_inputs = inputs / unit, judged_inputs / unit
    outside = outside_of(inputs, basis)
    rows = ByRows(outside @ outside.T, inputs @ basis)
    found = solve_by_rows(rows, targets, penalty, inside_penalty, n, unit)
    # What lies in the subspace of judged rows meets none of these weights.
    return judged_inputs @ (outside.T @ found.amplitudes + basis @ found.inside)


def predictions_and_leverages(
    inputs: Float[Array, "n d"],
    targets: Float[Array, "n t"],
    judged_inputs: Float[Array, "m d"],
    basis: Float[Array, "d k"],
    penalty: Array,
    inside_penalty: Array,
    n: Array | int,
) -> tuple[Float[Array, "m t"], Float[Array, " m"]]:
    """Predictions by a system of the size of the inputs, and xᵀ(XᵀX + nΛ)⁻¹x of judged rows.

    That is the leverage of a learned row. Derivatives are those of the implicit function.
    """
    unit = power_of_two(inputs)
    numbers = shares(penalty, inside_penalty, unit)
    scaled, judged = (
        on_both(basis, numbers.inside, numbers.outside, rows / unit)
        for rows in (inputs, judged_inputs)
    )
    eye = jnp.eye(inputs.shape[1], dtype=inputs.dtype)
    kept = on_both(basis, numbers.inside_kept, numbers.outside_kept, eye)
    spread = _solver(scaled.T @ scaled + n * kept)(judged.T)
    return (scaled @ spread).T @ targets, jnp.sum(judged * spread.T, axis=1)
