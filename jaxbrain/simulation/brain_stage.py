"""Exact draws of what recordings teach, at a cost that does not depend on how many there are."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._linalg import leading_eigenspace, spectral_function
from ..models import LinearGaussianModel, Problem
from ._iteration import leading_block
from .random_matrices import (
    bartlett,
    bartlett_degrees,
    blocks_degrees,
    draw_chi,
    draw_normal,
    draw_numbers,
    normal_blocks,
)

# Up to this size the eigenvectors of a whole matrix are cheap; beyond, only the leading ones are
# iterated.
LARGEST_DENSE = 512


class ReducedModel(NamedTuple):
    """A model in the coordinates of its latents: what the reduced draws need.

    Channels are rotated so that k of them carry the signal, or, where measurement noise differs
    between channels, kept as they are.
    """

    coupling: Float[Array, "channels k"]
    """Latents to channels: k rotated channels, or all p."""
    noise: Float[Array, "channels channels"]
    """L with L Lᵀ the covariance of all that latents and measurement add in these channels."""
    spare_noise: Float[Array, ""]
    """Standard deviation of the channels without signal, 0 where there are none."""
    aligned: Float[Array, " k"]
    """Aᵀβ in the same basis."""
    misaligned_power: Float[Array, ""]
    task_noise: Float[Array, ""]


class Dimensions(NamedTuple):
    """Static sizes: inputs, latents, and channels that carry no signal after rotation."""

    inputs: int
    latents: int
    spare: int


class SubspaceDraw(NamedTuple):
    """What one learned subspace leaves of the brain-sensitive one, L = AᵀK̂A."""

    task: Array
    """bᵀLb, b = Aᵀβ."""
    task_squared: Array
    """bᵀL²b."""
    lost: Array
    """tr L."""
    lost_squared: Array
    """tr L²."""
    misalignment: Array
    """‖K̂β‖², a draw of it."""


def reduce_model(model: LinearGaussianModel | Problem) -> tuple[ReducedModel, Dimensions]:
    """The model in reduced coordinates. Raises `ValueError` where there are none."""
    if isinstance(model, LinearGaussianModel) and model.recording_noise.ndim:
        try:
            problem = model.problem()
        except ValueError:
            if model.recording_dim > model.input_dim:
                raise ValueError(
                    "recording_noise differs between channels and there are more channels than "
                    "inputs, "
                    "for which there are no reduced draws: use method='data', or simulate "
                    "model.whitened()"
                ) from None
            sizes = Dimensions(model.input_dim, model.latent_dim, 0)
            return reduce_channels(model), sizes
    else:
        problem = model.problem() if isinstance(model, LinearGaussianModel) else model
    spare = 0 if problem.recording_dim is None else problem.recording_dim - problem.latent_dim
    return _equal_channels(problem), Dimensions(problem.input_dim, problem.latent_dim, spare)


@jax.jit
def _equal_channels(problem: Problem) -> ReducedModel:
    if problem.is_matrix_form:
        latent_noise, gain = problem.latent_noise, problem.gain
        coupling = jnp.linalg.cholesky(gain).T
        largest = jnp.argmax(jnp.diagonal(problem.aligned_power))
        column = problem.aligned_power[:, largest]
        root = jnp.sqrt(problem.aligned_power[largest, largest])
        aligned = jnp.where(root > 0, column / jnp.where(root > 0, root, 1.0), 0.0)
    else:
        # Signs of the coordinates cannot matter: latents with opposite sign are as likely.
        latent_noise, coupling = jnp.diag(problem.latent_noise), jnp.diag(jnp.sqrt(problem.gain))
        aligned = jnp.sqrt(problem.aligned_power)
    measured = problem.recording_noise * jnp.eye(problem.latent_dim, dtype=coupling.dtype)
    return ReducedModel(
        coupling,
        _factor(coupling @ latent_noise @ coupling.T + measured),
        jnp.sqrt(problem.recording_noise),
        aligned,
        problem.misaligned_power,
        problem.task_noise,
    )


@jax.jit
def reduce_channels(model: LinearGaussianModel) -> ReducedModel:
    """A model whose channels differ in noise, with all of them as they are."""
    neural = model.latent_noise
    if neural.ndim == 0:
        neural = neural * jnp.eye(model.latent_dim, dtype=neural.dtype)
    covariance = model.readout @ neural @ model.readout.T + model.recording_noise
    return ReducedModel(
        model.readout,
        _factor(covariance),
        jnp.zeros_like(model.task_noise),
        model.encoder.T @ model.task_weights,
        model.misalignment,
        model.task_noise,
    )


def _factor(covariance: Array) -> Array:
    """The symmetric square root of a covariance, singular or not: it moves smoothly with it."""
    return spectral_function(_root, covariance)


def _root(values: Array) -> Array:
    some = values > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, values, 1.0)), 0.0)


def is_dense(sizes: Dimensions) -> bool:
    """Whether all eigenvectors are computed."""
    return sizes.spare == 0 or min(sizes.inputs, sizes.spare + sizes.latents) <= LARGEST_DENSE


class KeptDraws(NamedTuple):
    """Random numbers of one learned subspace that stay while the number of recordings moves."""

    chi: PRNGKeyArray
    """What draws those that move."""
    normal: Any
    noise: Any
    """Of channels without signal: the numbers, what draws them where they are many, or nothing."""


def draw_subspace(
    key: PRNGKeyArray, reduced: ReducedModel, sizes: Dimensions, n: Array
) -> SubspaceDraw:
    """One learned subspace from n recordings, n >= d, drawn exactly.

    With X = QR, the first k inputs those that latents respond to, the recordings are QᵀR = [R11 Hᵀ;
    0] plus noise, a matrix of d rows whatever n is. Its leading left singular vectors U span R Â;
    only the first k rows of U, and the Gram matrix of the others, matter.

    **Source.** Derived here: docs/theory.md, "Simulation".
    """
    return subspace_of_draws(draw_once(key, reduced, sizes), reduced, sizes, n)


def draw_once(key: PRNGKeyArray, reduced: ReducedModel, sizes: Dimensions) -> KeptDraws:
    """What of `draw_subspace` is the same for any number of recordings."""
    d, k, spare = sizes
    q, dtype = d - k, reduced.coupling.dtype
    rows, channels = min(q, k), reduced.coupling.shape[0]
    low = min(q, channels)
    key_chi, key_normal = jr.split(jr.fold_in(key, 0))
    shapes = [(k, k), (k, channels), (low, channels), (rows, rows), (k, rows), (rows,)]
    normal, noise = draw_normal(key_normal, shapes, dtype), None
    if spare:
        noise = jr.fold_in(key, 1)
        noise = _spare_noise(noise, d, spare, dtype) if is_dense(sizes) else noise
    return KeptDraws(key_chi, normal, noise)


def subspace_of_draws(
    kept: KeptDraws,
    reduced: ReducedModel,
    sizes: Dimensions,
    n: Array,
    *,
    at_fixed_scores: bool = False,
) -> SubspaceDraw:
    """`draw_subspace` once all is drawn that can be; `at_fixed_scores` as in `draw_chi`."""
    d, k, spare = sizes
    q, dtype = d - k, reduced.coupling.dtype
    rows, channels = min(q, k), reduced.coupling.shape[0]
    n = n.astype(dtype)
    low, normal = min(q, channels), kept.normal
    degrees = [
        bartlett_degrees(k, n, dtype),
        bartlett_degrees(low, q, dtype),
        bartlett_degrees(rows, n - k - (q - rows), dtype),
        jnp.asarray([q - rows]),
    ]
    chi_upper, chi_below, chi_others, chi_rest = draw_chi(
        kept.chi, degrees, dtype, at_fixed_scores=at_fixed_scores
    )
    upper = bartlett(chi_upper, normal[0])
    above = upper @ reduced.coupling.T + normal[1] @ reduced.noise.T
    below = bartlett(chi_below, normal[2]) @ reduced.noise.T
    settled = jnp.ones((), bool)
    if spare == 0:
        inside, gram = _within_channels(above, below, reduced.coupling)
    elif is_dense(sizes):
        inside, gram = _by_all_eigenvectors(above, below, reduced.spare_noise * kept.noise)
    else:
        inside, gram, settled = _by_iteration(kept.noise, above, below, reduced.spare_noise, sizes)

    # The other inputs, rotated so that only `rows` of them meet the learned directions.
    others, mixing, u = bartlett(chi_others, normal[3]), normal[4], normal[5]
    if q < k:
        outside = _thin_factor(gram, rows)
    else:
        outside = jnp.linalg.cholesky(
            gram + 4 * k * jnp.finfo(dtype).eps * jnp.eye(k, dtype=dtype)
        ).T
    turned = jnp.linalg.solve(others.T, outside)
    # Â is [1; E] up to a change of basis and a rotation of the outside: L = Eᵀ(1 + E Eᵀ)⁻¹E.
    tilt = turned @ jnp.linalg.solve(inside - mixing @ turned, upper)
    lower = jnp.linalg.cholesky(jnp.eye(rows, dtype=dtype) + tilt @ tilt.T)
    # v, the direction of Kβ, sees the rotation through its first `rows` coordinates u.
    u = u / jnp.sqrt(jnp.sum(u**2) + chi_rest[0] ** 2)
    power = reduced.misaligned_power
    both = jnp.concatenate([tilt, jnp.sqrt(power) * u[:, None]], axis=1)
    both = jax.scipy.linalg.solve_triangular(lower, both, lower=True)
    half = both[:, :k]
    lost, task = half.T @ half, half @ reduced.aligned
    aside = both[:, k] - task
    draw = SubspaceDraw(
        task=jnp.sum(task**2),
        task_squared=jnp.sum((half.T @ task) ** 2),
        lost=jnp.sum(half**2),
        lost_squared=jnp.sum(lost**2),
        misalignment=power * (1 - jnp.sum(u**2)) + jnp.sum(aside**2),
    )
    return jax.tree.map(lambda x: jnp.where(settled, x, jnp.nan), draw)


def _within_channels(above: Array, below: Array, coupling: Array) -> tuple[Array, Array]:
    """Leading directions of the channels as they are: those of AᵀA + BᵀB."""
    channels, rank = coupling.shape
    if channels == rank:
        return above, below.T @ below
    gram = above.T @ above + below.T @ below
    directions = _turned_towards(leading_eigenspace(gram, rank), coupling)
    below = below @ directions
    return above @ directions, below.T @ below


def _spare_noise(key: PRNGKeyArray, d: int, spare: int, dtype) -> Float[Array, "d columns"]:
    """Noise of the channels without signal, up to a rotation of them."""
    columns = min(d, spare)
    degrees = [bartlett_degrees(columns, spare, dtype)]
    (chi,), (normal,) = draw_numbers(key, degrees, [(columns, d)], dtype)
    return bartlett(chi, normal).T


def _by_all_eigenvectors(above: Array, below: Array, noise: Array) -> tuple[Array, Array]:
    """Leading left singular vectors of [T, N], in two parts.

    Their first k rows, and the Gram matrix of the others.
    """
    (d, _), k = noise.shape, above.shape[0]
    signal = jnp.zeros((d, k), above.dtype).at[:k].set(above)
    signal = signal.at[k : k + below.shape[0]].set(below)
    matrix = jnp.concatenate([signal, noise], axis=1)
    if matrix.shape[1] < d:
        leading = matrix @ leading_eigenspace(matrix.T @ matrix, k)
    else:
        leading = leading_eigenspace(matrix @ matrix.T, k)
    leading = _turned_towards(leading, jnp.eye(d, k, dtype=leading.dtype))
    return leading[:k], leading[k:].T @ leading[k:]


def _turned_towards(basis: Array, reference: Array) -> Array:
    """The basis turned so that it depends on its span alone.

    In which basis the span comes cannot matter to the distribution, but a draw is to move smoothly
    with the numbers of the model, as its derivative does, and not with eigenvectors.
    """
    return basis @ jnp.linalg.qr(basis.T @ reference)[0]


def _by_iteration(
    key: PRNGKeyArray, above: Array, below: Array, spare_noise: Array, sizes: Dimensions
) -> tuple[Array, Array, Array]:
    """The same without a matrix of d rows, too large; and whether the iteration settled."""
    d, k, spare = sizes
    q, rows, dtype = d - k, below.shape[0], above.dtype
    further = min(rows, q - rows)
    (*chi_blocks, chi_further), normal = draw_numbers(
        key,
        [*blocks_degrees(d, spare, k, dtype), bartlett_degrees(further, q - rows, dtype)],
        [(2 * -(-d // k) - 1, k, k), (rows, rows), (further, rows)],
        dtype,
    )
    eye = jnp.eye(k, dtype=dtype)
    # Turn the coordinates so that all signal is in the first k, where the noise is as random as
    # before.
    signal = jnp.linalg.cholesky(above.T @ above + below.T @ below).T
    seen = jax.scipy.linalg.solve_triangular(signal, above.T, trans="T").T
    noise = normal_blocks(chi_blocks, normal[0], d, spare)
    noise = jax.tree.map(lambda block: spare_noise * block, noise)
    edge = (spare_noise * (spare**0.5 + d**0.5)) ** 2
    leading, settled = leading_block(signal, noise, edge)
    # Beyond the first k coordinates the directions are uniformly random, given their Gram matrix.
    # Turned back, a part of them is in the first k.
    turn, rest = normal[1], bartlett(chi_further, normal[2])
    lower = jnp.linalg.cholesky(turn.T @ turn + rest.T @ rest)
    uniform = jax.scipy.linalg.solve_triangular(lower, turn.T, lower=True).T
    unseen = _thin_factor(eye - seen @ seen.T, rows).T
    inside = seen @ leading + unseen @ uniform @ _thin_factor(eye - leading.T @ leading, rows)
    return inside, eye - inside.T @ inside, settled


def _thin_factor(gram: Array, rows: int) -> Array:
    """B of few rows with BᵀB = gram, which has no larger rank."""
    values, vectors = jnp.linalg.eigh(gram)
    return jnp.sqrt(jnp.maximum(values[-rows:], 0.0))[:, None] * vectors[:, -rows:].T
