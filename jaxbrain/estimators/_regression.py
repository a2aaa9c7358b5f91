"""One penalised regression for all estimators of the task stage, in any units, of any condition.

    minimise (1/n)‖Y − Xβ‖² + λ_in‖P̂β‖² + λ_out‖K̂β‖²,    P̂ = B Bᵀ, K̂ = I − P̂

With β = Ωγ, Ω = (1 + λ)^(−1/2) on each of the two subspaces, every penalty from 0 to infinity is an
ordinary number: (Ω XᵀX Ω + nκ) γ = Ω XᵀY, κ = λ/(1 + λ).

Moments of the rows and their Cholesky factor are the fastest way, and square the condition. Where
that costs too many digits, a QR decomposition of the rows takes over, which does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from .._checks import is_concrete
from .._linalg import power_of_two
from .._threads import with_one_blas_thread
from ._moments import (
    Moments,
    digits_lost,
    digits_lost_of,
    is_determined,
    moments_by_blas,
    moments_of,
    probes,
)

# What the moments may cost, relative to the answer; beyond that the rows are factorised.
DIGITS_TO_LOSE = {8: 1e-10, 4: 1e-2}


class Shares(NamedTuple):
    """Ω and κ of the penalties, outside of the subspace and within."""

    outside: Array
    outside_kept: Array
    inside: Array
    inside_kept: Array


def shares(penalty: Array, inside_penalty: Array, unit: Array | float = 1.0) -> Shares:
    """Ω and κ of penalties on inputs that were divided by `unit`, which divides λ by its square."""
    return Shares(*share_of(penalty, unit), *share_of(inside_penalty, unit))


def share_of(penalty: Array, unit: Array | float) -> tuple[Array, Array]:
    """Ω and κ of one penalty."""
    unit = jnp.asarray(unit, penalty.dtype)
    # The square of a unit may be no number in single precision, nor the penalty divided by it.
    is_small = penalty / unit < unit
    small = jnp.where(is_small, penalty, 0.0) / unit / unit
    ratio = unit / jnp.sqrt(jnp.where(is_small, 1.0, penalty))
    return (
        jnp.where(is_small, 1 / jnp.sqrt(1 + small), ratio / jnp.sqrt(1 + ratio**2)),
        jnp.where(is_small, small / (1 + small), 1 / (1 + ratio**2)),
    )


@jax.jit
def least_squares(inputs: Array, targets: Array) -> Float[Array, "d *t"]:
    """Weights without a penalty. Each input has a unit of its own, which least squares allow."""
    unit = power_of_two(inputs, axis=0)
    return _in_units(inputs, targets, unit[None, :], unit[:, None], None, None)


def solve(
    inputs: Array, targets: Array, basis: Array | None, penalty: Array, inside_penalty: Array
) -> Float[Array, "d *t"]:
    """Weights for one pair of penalties, on all inputs alike where there is no basis."""
    n, d = inputs.shape
    if is_concrete(basis, penalty, inside_penalty) and not has_few_rows(n, d, basis):
        # Before BLAS is held to one thread: products do not wait for each other as factors do.
        moments = moments_by_blas(inputs, targets.reshape(n, -1))
        if moments is not None:
            return _solve_known(inputs, targets, moments, basis, penalty, inside_penalty)
    return _solve(inputs, targets, basis, penalty, inside_penalty)


@with_one_blas_thread
@jax.jit
def _solve(
    inputs: Array, targets: Array, basis: Array | None, penalty: Array, inside_penalty: Array
) -> Float[Array, "d *t"]:
    unit = power_of_two(inputs)
    numbers = shares(penalty, inside_penalty, unit)
    return _in_units(inputs, targets, unit, unit, basis, numbers)


@with_one_blas_thread
@jax.jit
def _solve_known(
    inputs: Array,
    targets: Array,
    moments: Moments,
    basis: Array | None,
    penalty: Array,
    inside_penalty: Array,
) -> Float[Array, "d *t"]:
    """The same where the moments are known, and no number of them is too large or small."""
    n = len(inputs)
    unit = power_of_two(jnp.sqrt(jnp.max(jnp.diag(moments.gram)) / n))
    numbers = shares(penalty, inside_penalty, unit)
    scaled = Moments(moments.gram / unit / unit, moments.right / unit)
    weights, lost = _many_rows(scaled, n, basis, numbers)

    def by_rows() -> Array:
        return _from_rows(inputs / unit, targets.reshape(n, -1), basis, numbers)

    weights = _unless_lost(weights, lost, by_rows) / unit
    return weights.reshape(inputs.shape[1], *targets.shape[1:])


def has_few_rows(n: int, d: int, basis: Array | None) -> bool:
    """Whether a system of the size of the rows is the smaller one, and as good.

    It loses digits where rows are more than the directions that are penalised alone.
    """
    rank = 0 if basis is None else basis.shape[1]
    return n <= d - rank and n < d


def _in_units(
    inputs: Array,
    targets: Array,
    unit: Array,
    unit_of_weights: Array,
    basis: Array | None,
    numbers: Shares | None,
) -> Array:
    columns = targets.reshape(targets.shape[0], -1)
    of_targets = power_of_two(columns, axis=0)[None, :]
    # XLA would divide within each product, at every use.
    scaled = jax.lax.optimization_barrier((inputs / unit, columns / of_targets))
    weights = _solution(*scaled, basis, numbers)
    weights = weights * (of_targets / unit_of_weights)
    return weights.reshape(inputs.shape[1], *targets.shape[1:])


@jax.custom_jvp
def _solution(inputs: Array, columns: Array, basis: Array | None, numbers: Shares | None) -> Array:
    """Weights of inputs and targets that are of size 1."""
    if numbers is None:
        return _from_rows(inputs, columns, basis, numbers)
    weights, lost = _from_moments(inputs, columns, basis, numbers)
    return _unless_lost(weights, lost, lambda: _from_rows(inputs, columns, basis, numbers))


def _unless_lost(weights: Array, lost: Array, by_rows: Callable[[], Array]) -> Array:
    # NaN, of a matrix that is not positive definite in rounding, is no small loss.
    return jax.lax.cond(lost < DIGITS_TO_LOSE[weights.dtype.itemsize], lambda: weights, by_rows)


@partial(_solution.defjvp, symbolic_zeros=True)
def _solution_jvp(primals, tangents):
    # Both ways are the same function: moments have its derivatives too.
    leaves, structure = jax.tree.flatten(primals)
    changes = jax.tree.leaves(tangents)
    moving = [i for i, change in enumerate(changes) if not isinstance(change, SymbolicZero)]

    def weights(moved: list[Array]) -> Array:
        merged = list(leaves)
        for i, leaf in zip(moving, moved, strict=True):
            merged[i] = leaf
        inputs, columns, basis, numbers = jax.tree.unflatten(structure, merged)
        if numbers is None:
            one, none = jnp.ones((), inputs.dtype), jnp.zeros((), inputs.dtype)
            numbers = Shares(one, none, one, none)
        return _from_moments(inputs, columns, basis, numbers)[0]

    change = jax.jvp(weights, ([leaves[i] for i in moving],), ([changes[i] for i in moving],))[1]
    return _solution(*primals), change


def _from_moments(
    inputs: Array, columns: Array, basis: Array | None, numbers: Shares
) -> tuple[Array, Array]:
    """Weights by the normal equations, and what these may have cost relative to their size."""
    n, d = inputs.shape
    if has_few_rows(n, d, basis):
        return _few_rows(inputs, columns, basis, numbers)
    moments = moments_of(inputs, columns)
    # In double precision moments are enough.
    rows = (inputs, columns) if inputs.dtype.itemsize < 8 else None
    return _many_rows(moments, n, basis, numbers, rows)


def _many_rows(
    moments: Moments,
    n: int,
    basis: Array | None,
    numbers: Shares,
    rows: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """By a system of the size of the inputs, refined once with the rows where these are given."""
    d, dtype = len(moments.gram), moments.gram.dtype
    scales = numbers.inside, numbers.outside
    system = _penalised(moments.gram, n, basis, numbers)
    factor = jnp.linalg.cholesky(system, symmetrize_input=False)
    # Targets and probes go through the factor together: one pass over it.
    right = on_both(basis, *scales, moments.right.T).T
    both = jnp.concatenate([right, probes(d, dtype)], axis=1)
    half = jax.scipy.linalg.solve_triangular(factor, both, lower=True)
    half, solved = half[:, :-8], half[:, -8:]
    solution = jax.scipy.linalg.solve_triangular(factor, half, lower=True, trans="T")
    if rows is not None:
        # One step of refinement with the residual of the data gives back digits that forming the
        # moments has cost.
        inputs, columns = rows
        residual = columns - inputs @ on_both(basis, *scales, solution.T).T
        residual = on_both(basis, *scales, (inputs.T @ residual).T).T
        kept = n * on_both(basis, numbers.inside_kept, numbers.outside_kept, solution.T).T
        solution = solution + jax.scipy.linalg.cho_solve((factor, True), residual - kept)
    size = jnp.mean(jnp.diag(moments.gram)) + jnp.mean(jnp.diag(system))
    return on_both(basis, *scales, solution.T).T, digits_lost_of(solved, size)


def _penalised(gram: Array, n: int, basis: Array | None, numbers: Shares) -> Array:
    """ΩXᵀXΩ + nκ. With a subspace it differs by W Bᵀ + B Wᵀ from what it would be without."""
    system = numbers.outside**2 * gram + n * numbers.outside_kept * jnp.eye(
        len(gram), dtype=gram.dtype
    )
    if basis is None:
        return system
    more = numbers.inside - numbers.outside
    seen = gram @ basis
    by_basis = more**2 * (basis.T @ seen) + n * (numbers.inside_kept - numbers.outside_kept) * (
        jnp.eye(basis.shape[1], dtype=gram.dtype)
    )
    change = numbers.outside * more * seen + basis @ by_basis / 2
    left, right = (jnp.concatenate(pair, axis=1) for pair in ((change, basis), (basis, change)))
    return system + left @ right.T


def _few_rows(
    inputs: Array, columns: Array, basis: Array | None, numbers: Shares
) -> tuple[Array, Array]:
    """The same where rows are few: a system of the size of the rows.

    Given the inside weights u, the outside weights are Zᵀα, with Z = X K̂ Ω and (ZZᵀ + nκ)α = y −
    X B u. What this leaves of the objective is nκ times the form of that inverse, which is least
    squares for u.
    """
    n = len(inputs)
    kept, scale = numbers.outside_kept, numbers.outside
    inside = inputs if basis is None else inputs @ basis
    outside = scale * (inputs if basis is None else inputs - inside @ basis.T)
    gram = outside @ outside.T + n * kept * jnp.eye(n, dtype=inputs.dtype)
    factor = jnp.linalg.cholesky(gram)
    lost = digits_lost(factor, jnp.mean(jnp.diag(gram)))

    def solve(right: Array) -> Array:
        solution = jax.scipy.linalg.cho_solve((factor, True), right)
        if inputs.dtype.itemsize < 8:
            residual = right - outside @ (outside.T @ solution) - n * kept * solution
            solution = solution + jax.scipy.linalg.cho_solve((factor, True), residual)
        return solution

    if basis is None:
        return scale * (outside.T @ solve(columns)), lost
    inside = numbers.inside * inside
    solved = solve(jnp.concatenate([inside, columns], axis=1))
    rank = basis.shape[1]
    through, rows = solved[:, :rank], solved[:, rank:]
    eye = jnp.eye(rank, dtype=inputs.dtype)
    form = inside.T @ through + numbers.inside_kept / kept * eye
    of_form = jnp.linalg.cholesky(form)
    within = jax.scipy.linalg.cho_solve((of_form, True), inside.T @ rows)
    weights = numbers.inside * (basis @ within) + scale * (outside.T @ (rows - through @ within))
    rounding = jnp.finfo(inputs.dtype).eps
    return weights, lost * digits_lost(of_form, jnp.mean(jnp.diag(form))) / rounding


def _from_rows(inputs: Array, columns: Array, basis: Array | None, numbers: Shares | None) -> Array:
    """Weights by a QR decomposition of the rows, with those of the penalties below them.

    In a frame whose first directions span the subspace, so that neither of the two parts, however
    small, is lost beside the other. NaN where the rows leave a weight undetermined.
    """
    n, d = inputs.shape
    rank = 0 if basis is None else basis.shape[1]
    few_rows = has_few_rows(n, d, basis)
    if few_rows:
        # The weights lie in the span of the rows and of the subspace.
        spanning = inputs.T if basis is None else jnp.concatenate([basis, inputs.T], axis=1)
        frame = jnp.linalg.qr(spanning)[0]
    else:
        frame = None if basis is None else jnp.linalg.qr(basis, mode="complete")[0]
    rows = inputs if frame is None else inputs @ frame
    size = rows.shape[1]
    if numbers is not None:
        is_inside = jnp.arange(size) < rank
        scale = jnp.where(is_inside, numbers.inside, numbers.outside)
        kept = jnp.where(is_inside, numbers.inside_kept, numbers.outside_kept)
        rows = jnp.concatenate([rows * scale[None, :], jnp.diag(jnp.sqrt(n * kept))])
        filling = jnp.zeros((size, columns.shape[1]), columns.dtype)
        columns = jnp.concatenate([columns, filling])
    triangle = jnp.linalg.qr(jnp.concatenate([rows, columns], axis=1), mode="r")[:size]
    lengths = jnp.linalg.norm(triangle[:, :size], axis=0)
    if few_rows:
        # The directions of rows that depend on each other are arbitrary: nothing is theirs.
        lengths = jnp.where(jnp.arange(size) < rank, lengths, jnp.max(lengths))
    solution = _back_substituted(triangle[:, :size], lengths, triangle[:, size:], len(rows))
    if numbers is not None:
        solution = scale[:, None] * solution
    return solution if frame is None else frame @ solution


def _back_substituted(triangle: Array, lengths: Array, right: Array, n: int) -> Array:
    solution = jax.scipy.linalg.solve_triangular(triangle, right)
    return jnp.where(is_determined(triangle, lengths, n), solution, jnp.nan)


def on_both(basis: Array | None, inside: Array, outside: Array, rows: Array) -> Array:
    """Each row times `inside` within the subspace and times `outside` beyond it."""
    if basis is None:
        return outside * rows
    return outside * rows + (inside - outside) * ((rows @ basis) @ basis.T)
