"""Linear algebra with derivatives that stay finite, and roots with implicit derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def power_of_two(array: Array, axis: int | None = None) -> Array:
    """The power of two next to half the largest number in size, a unit to compute in; 1 for zeros.

    Dividing by it changes no digit. Squares and products of what is left neither vanish nor
    overflow. It is a constant to derivatives.
    """
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(array)), axis=axis)
    # Half: the largest float rounds up to a power of two that is none.
    unit = jax.lax.reduce_precision(largest / 2, jnp.finfo(array.dtype).nexp, 0)
    return jnp.where((unit > 0) & jnp.isfinite(unit), unit, 1.0)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def leading_eigenspace(matrix: Float[Array, "d d"], rank: int) -> Float[Array, "d rank"]:
    """Orthonormal basis of the span of the `rank` leading eigenvectors of a symmetric matrix.

    Only the span means anything, so the derivative is that of the span: the basis moves
    orthogonally to itself, dU = U⊥ [(U⊥ᵀ dM U) / (w_kept − w_dropped)]. Unlike the derivative of
    single eigenvectors it stays finite when eigenvalues repeat among the kept, or among the
    dropped. It is infinite only where the span itself jumps: no gap between the two groups.
    """
    return jnp.linalg.eigh(matrix, symmetrize_input=True)[1][:, -rank:]


@leading_eigenspace.defjvp
def _leading_eigenspace_jvp(rank, primals, tangents):
    (matrix,), (change,) = primals, tangents
    values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=True)
    kept, dropped = vectors[:, -rank:], vectors[:, :-rank]
    gaps = values[None, -rank:] - values[:-rank, None]
    symmetric = (change + change.T) / 2
    return kept, dropped @ ((dropped.T @ symmetric @ kept) / gaps)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def spectral_function(
    function: Callable[..., Array], matrix: Float[Array, "k k"], *parameters: Array
) -> Float[Array, "k k"]:
    """Apply a scalar function to a symmetric matrix: U f(w, *parameters) Uᵀ.

    The derivative is by divided differences (Daleckii and Krein), with f′ in place of 0/0, so
    repeated eigenvalues do no harm.
    """
    values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=True)
    return (vectors * function(values, *parameters)[None, :]) @ vectors.T


@spectral_function.defjvp
def _spectral_function_jvp(function, primals, tangents):
    (matrix, *parameters), (change, *parameter_changes) = primals, tangents
    values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=True)
    image, slope = jax.jvp(lambda w: function(w, *parameters), (values,), (jnp.ones_like(values),))
    gaps = values[:, None] - values[None, :]
    # Below this gap the difference quotient has lost more digits than f' at the midpoint has.
    close = jnp.abs(gaps) <= jnp.sqrt(jnp.finfo(values.dtype).eps) * jnp.max(jnp.abs(values))
    quotients = jnp.where(
        close,
        (slope[:, None] + slope[None, :]) / 2,
        (image[:, None] - image[None, :]) / jnp.where(close, 1.0, gaps),
    )
    symmetric = (change + change.T) / 2
    moved = vectors @ (quotients * (vectors.T @ symmetric @ vectors)) @ vectors.T
    shift = jax.jvp(lambda *p: function(values, *p), tuple(parameters), tuple(parameter_changes))[1]
    return (vectors * image[None, :]) @ vectors.T, moved + (vectors * shift[None, :]) @ vectors.T


def covariance_factor(covariance: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Lower-triangular L with L Lᵀ = covariance, also when the covariance is singular.

    A singular covariance is lifted by as much as the checks of models forgive in rounding, which no
    sample can show.
    """
    size = covariance.shape[0]
    limits = jnp.finfo(covariance.dtype)
    lift = 128 * size * limits.eps * jnp.max(jnp.abs(covariance)) + limits.tiny
    return jnp.linalg.cholesky(covariance + lift * jnp.eye(size, dtype=covariance.dtype))


def map_factorisations(function: Callable, xs, batch_size: int):
    """Map a function that factorises matrices: batched on an accelerator, one by one on a CPU.

    On a CPU XLA spreads a batch of factorisations over the same threads that wait for it. Two such
    batches that do not depend on each other can then wait for each other for good (seen with JAX
    0.10.2 and 0.12.0 on two cores), and so can those of several devices of one process, whose
    programs run at once (eight of them on two cores); and batches of small LAPACK calls gain
    nothing there.
    """
    if jax.default_backend() == "cpu":
        return jax.lax.map(function, xs)
    return jax.lax.map(function, xs, batch_size=batch_size)


def implicit_root(
    function: Callable[[Array], Array],
    start: Array,
    max_steps: int = 60,
    scale: Array | float = 0.0,
) -> Array:
    """Root of a scalar function by Newton's method, with the derivative of the implicit function.

    Derivatives with respect to whatever `function` closes over come from the implicit function
    theorem, in forward and in reverse mode; the iterations are never unrolled. Ends when a step no
    longer changes the root beyond rounding, or with NaN when it has not done so after `max_steps`.
    `scale` is the size of the numbers that `function` subtracts, where the root may be far smaller.
    """
    scale = jax.lax.stop_gradient(jnp.asarray(scale, start.dtype))
    # With what it closes over as arguments: those are what has derivatives.
    converted, held = jax.closure_convert(function, start)
    return _root(converted, max_steps, jax.lax.stop_gradient(start), scale, tuple(held))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _root(function: Callable, max_steps: int, start: Array, scale: Array, held: tuple) -> Array:
    # `jax.lax.custom_root` would trace derivatives where nobody asks for them: half the time that
    # tracing a closed form takes.
    tolerance = 4 * jnp.finfo(start.dtype).eps

    def size(root):
        return jnp.maximum(jnp.abs(root), scale)

    def unfinished(state):
        root, step, count = state
        return (count < max_steps) & (jnp.abs(step) > tolerance * size(root))

    def improve(state):
        root, _, count = state
        height, slope = _height_and_slope(function, root, held)
        step = height / slope
        return root - step, step, count + 1

    infinite = jnp.full_like(start, jnp.inf)
    root, step, _ = jax.lax.while_loop(unfinished, improve, (start, infinite, 0))
    # Two ulps away from the tolerance Newton may cycle: accept anything near convergence.
    settled = jnp.isfinite(root) & (jnp.abs(step) <= 1e3 * tolerance * size(root))
    return jnp.where(settled, root, jnp.nan)


@_root.defjvp
def _root_jvp(function, max_steps, primals, tangents):
    root = _root(function, max_steps, *primals)
    *_, held = primals
    *_, changes = tangents
    _, slope = _height_and_slope(function, root, held)
    _, rise = jax.jvp(lambda held: function(root, *held), (held,), (changes,))
    return root, -rise / slope


def _height_and_slope(function: Callable, root: Array, held: tuple) -> tuple[Array, Array]:
    return jax.jvp(lambda at: function(at, *held), (root,), (jnp.ones_like(root),))


def implicit_roots(
    function: Callable[..., Array],
    start: Float[Array, " n"],
    inverse: Float[Array, "n n"],
    *arguments: Any,
    max_steps: int = 400,
) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Root of a function of a few numbers by Broyden's method, with its implicit derivative.

    The function closes over nothing: `arguments` come after the numbers.

    Write it so that `at − function(at)` comes nearer to the root, if slowly. `inverse` is a guess
    of the inverse of the Jacobian; what it has become comes with the root, for the next one. No
    step moves a number by more than 1: take logarithms. NaN where steps have not become small.
    """
    fixed = jax.lax.stop_gradient((start, inverse))
    return _roots(function, max_steps, *fixed, arguments)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _roots(
    function: Callable, max_steps: int, start: Array, inverse: Array, held: tuple
) -> tuple[Array, Array]:
    tolerance = jnp.finfo(start.dtype).eps ** 0.6

    eye = jnp.eye(len(start), dtype=start.dtype)

    def unfinished(state):
        *_, size, count, _ = state
        return (count < max_steps) & (size > tolerance)

    def improve(state):
        root, heights, inverse, _, count, forced = state
        step = jnp.clip(-inverse @ heights, -1.0, 1.0)
        at = root + step
        there = function(at, *held)
        # Where a step leads away, one without the Jacobian comes next, and is taken.
        taken = forced | (jnp.sum(there**2) < jnp.sum(heights**2))
        # Sherman and Morrison: the inverse of the Jacobian that explains this step.
        moved = inverse @ (there - heights)
        shrunk = step @ moved
        trusted = jnp.abs(shrunk) > 1e-3 * (step @ step)
        turn = (step - moved) / jnp.where(trusted, shrunk, 1.0)
        better = inverse + turn[:, None] * (step @ inverse)[None, :]
        better = jnp.where(trusted & jnp.all(jnp.isfinite(better)), better, inverse)
        size = jnp.where(taken, jnp.max(jnp.abs(step)), jnp.inf)
        kept = (jnp.where(taken, *pair) for pair in ((at, root), (there, heights), (better, eye)))
        return *kept, size, count + 1, ~taken

    infinite = jnp.full((), jnp.inf, start.dtype)
    state = (start, function(start, *held), inverse, infinite, 0, jnp.ones((), bool))
    root, _, inverse, size, *_ = jax.lax.while_loop(unfinished, improve, state)
    return jnp.where(size <= tolerance, root, jnp.nan), inverse


@_roots.defjvp
def _roots_jvp(function, max_steps, primals, tangents):
    roots, inverse = _roots(function, max_steps, *primals)
    *_, held = primals
    *_, changes = tangents

    def along(direction: Array) -> Array:
        return jax.jvp(lambda at: function(at, *held), (roots,), (direction,))[1]

    slopes = jax.vmap(along, out_axes=1)(jnp.eye(len(roots), dtype=roots.dtype))
    _, rises = jax.jvp(lambda held: function(roots, *held), (held,), (changes,))
    return (roots, inverse), (-jnp.linalg.solve(slopes, rises), jnp.zeros_like(inverse))


@jax.custom_jvp
def inverse_of_covariance(matrix: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Inverse of a positive definite matrix, with derivatives that are products."""
    return jax.scipy.linalg.cho_solve(
        jax.scipy.linalg.cho_factor(matrix, lower=True), jnp.eye(len(matrix), dtype=matrix.dtype)
    )


@inverse_of_covariance.defjvp
def _inverse_jvp(primals, tangents):
    (matrix,), (change,) = primals, tangents
    inverse = inverse_of_covariance(matrix)
    return inverse, -inverse @ change @ inverse


def implicit_minimum(function: Callable[[Array], Array], grid: Array) -> tuple[Array, Array]:
    """Where a scalar function is smallest, with the derivative of the implicit function.

    Takes the best point of an ascending grid, and between its neighbours the zero of the slope, by
    bisection. Also returns −1 or 1 where the best point is an end of the grid, which is then the
    answer, and 0 otherwise.
    """
    heights = jax.lax.stop_gradient(jax.vmap(function)(grid))
    lowest = jnp.argmin(jnp.where(jnp.isnan(heights), jnp.inf, heights))
    last = grid.shape[0] - 1
    low = grid[jnp.maximum(lowest - 1, 0)]
    high = grid[jnp.minimum(lowest + 1, last)]
    at_end = jnp.where(lowest == 0, -1, jnp.where(lowest == last, 1, 0))

    def bisect(slope, middle):
        def halve(_, bracket):
            low, high = bracket
            middle = (low + high) / 2
            rising = slope(middle) > 0
            return jnp.where(rising, low, middle), jnp.where(rising, middle, high)

        low_end, high_end = jax.lax.fori_loop(0, 60, halve, (low, high))
        return (low_end + high_end) / 2

    minimum = jax.lax.custom_root(
        jax.grad(function),
        (low + high) / 2,
        bisect,
        lambda linear, y: y / linear(jnp.ones_like(y)),
    )
    return jnp.where(at_end == 0, minimum, grid[lowest]), at_end
