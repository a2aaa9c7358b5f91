"""Directions estimated in channel space, whatever their number and strength."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._linalg import map_factorisations
from ..models.problem import TracedProblem

_NODES = 24
# Weight of the condition that keeps the level where the count is flat, relative to the count, and
# the slope of the count above which the level needs none.
_ANCHOR, _FLAT = 1e-5, 1e-3
_MAX_STEPS = 1500
# Relative error below which nodes and level move at once, in the first steps.
_NEAR, _JOINT_STEPS = 1e-2, 100
# And below which a node may be where a neighbour starts from.
_READY = 1e-4


def effective_noise(problem: TracedProblem, n: Array, skip: Array) -> tuple[Array, Array]:
    """Encoding noise with that of directions estimated in channel space, s' = top/bottom.

    Returns the pair (top, bottom), spectra or matrices as the problem has them; matrices commute.
    Lost directions have bottom 0. NaN where the equations could not be solved.

    - `n`: number of recordings, more than d + 1.
    - `skip`: whether nobody will read the answer. It is finite then, and means nothing.

    **Source.** Derived here, docs/theory.md, "The brain stage", (12a) to (12c).
    """
    k, q = problem.latent_dim, problem.outside_dim
    xi = _missed_in_sample(problem, n, skip)
    total = problem.trace(xi)
    one = jnp.eye(len(xi), dtype=xi.dtype) if problem.is_matrix_form else jnp.ones_like(xi)
    # Positive root of F̄² + (n − k − nΞ/q) F̄ − nΞ = 0.
    half = (n - k - n * total / q) / 2
    root = jnp.sqrt(half**2 + n * total)
    small = half > 0
    lost = jnp.where(small, n * total / jnp.where(small, half + root, 1.0), root - half)
    share = xi * (1 + lost / q) * n / (n - k + lost)
    return share * ((n - k + lost) / (q + lost)), one - share


class _Unknowns(NamedTuple):
    """On the circle z = e^level e^(iθ): D = −zδ and T = 1 + t̃, one each a node, in this order."""

    level: Array
    pairs: Array


class _System(NamedTuple):
    """Γ⁻¹ and Σenc, the noise of a channel, and the numbers n, d, k and p − k, for what follows."""

    inverse_gain: Array
    encoding_noise: Array
    counts: Array
    noise: Array
    n: Array
    d: Array
    k: Array
    spare: Array
    anchor: Array

    @property
    def q(self) -> Array:
        """Number of inputs beside them."""
        return self.d - self.k


def _missed_in_sample(problem: TracedProblem, n: Array, skip: Array) -> Array:
    """ξ = E AᵀW^½ K_U W^½A / n: what the top k directions of the recorded channels miss."""
    # In units in which the strength of a direction is about 1: no unit of recordings overflows.
    unit = jax.lax.stop_gradient(problem.trace(problem.gain) / problem.latent_dim * n)
    gain = problem.gain / unit
    system = _System(
        jnp.linalg.inv(gain) if problem.is_matrix_form else 1 / gain,
        problem.encoding_noise,
        jnp.asarray(problem.counts),
        problem.recording_noise / unit,
        n,
        jnp.asarray(problem.input_dim),
        jnp.asarray(problem.latent_dim),
        jnp.asarray(problem.recording_dim - problem.latent_dim),
        jnp.zeros_like(n),
    )
    fixed = jax.lax.stop_gradient(system)
    eps = float(jnp.finfo(gain.dtype).eps)
    tolerance = jnp.full_like(unit, 1e3 * eps)
    if problem.is_matrix_form:
        # Start from the commuting problem that is nearest.
        values, basis = jnp.linalg.eigh(fixed.encoding_noise)
        gains = jnp.sum(basis * (fixed.inverse_gain @ basis), axis=0)
        commuting = fixed._replace(inverse_gain=gains, encoding_noise=values)
    else:
        commuting = fixed
    commuting = commuting._replace(anchor=_anchor(commuting))
    fixed = fixed._replace(anchor=commuting.anchor)
    start, settled = _solve(commuting, _first_guess(commuting), tolerance, skip)
    if problem.is_matrix_form:
        # Rounding of inverses grows with the spread of gains.
        strengths = jnp.linalg.eigvalsh(jax.lax.stop_gradient(gain))
        spread = jnp.minimum(strengths[-1] / strengths[0], 1e-8 / eps)
        start, settled = _solve(fixed, start, jnp.maximum(tolerance, eps * spread), skip)
    system = system._replace(anchor=fixed.anchor)

    unknowns = _root(system, jax.lax.stop_gradient(start))
    known = jnp.where(settled, _xi(system, unknowns), jnp.nan)
    half = jnp.eye(len(gain), dtype=gain.dtype) if problem.is_matrix_form else jnp.ones_like(gain)
    return jnp.where(skip, half / 2, known)


def _quadrature(dtype) -> tuple[Array, Array]:
    """Angles from 0 to π, and weights that sum to 1."""
    u, w = np.polynomial.legendre.leggauss(_NODES)
    u, w = (u + 1) / 2, w / 2
    return jnp.asarray(np.pi * u**2, dtype), jnp.asarray(2 * u * w, dtype)


def _circle(level: Array) -> Array:
    angles, _ = _quadrature(level.dtype)
    return jax.lax.complex(jnp.exp(level) * jnp.cos(angles), jnp.exp(level) * jnp.sin(angles))


def _as_complex(x: Array) -> Array:
    return jax.lax.complex(x, jnp.zeros_like(x))


# Numbers are scaled to be far from overflow. XLA's own absolute values and quotients of complex
# numbers guard against it, and compile several times as long.
def _squared(x: Array) -> Array:
    return x.real**2 + x.imag**2


def _reciprocal(x: Array) -> Array:
    return jnp.conj(x) * _as_complex(1 / _squared(x))


@jax.custom_jvp
def _inverses(matrices: Array) -> Array:
    return map_factorisations(jnp.linalg.inv, matrices, _NODES)


@_inverses.defjvp
def _inverses_jvp(primals, tangents):
    (matrices,), (changes,) = primals, tangents
    inverses = _inverses(matrices)
    return inverses, -(inverses @ changes @ inverses)


class _Equations(NamedTuple):
    """The two equations of each node, and the fixed point that they come from."""

    mismatch: Array
    image: Array
    """What the fixed point makes of D, T and ν."""
    slopes: Array
    """Derivatives of both equations by D, by T, and by the level, with z = e^level e^(iθ)."""


def _lost(system: _System, D: Array, T: Array) -> Array:
    # ν = n/(1 + τ) = n − d + TD: τ is no unknown.
    return _as_complex(system.n - system.d) + T * D


def _resolvent(system: _System, z: Array, D: Array, T: Array, nu: Array) -> tuple[Array, Array]:
    """A = zΓ⁻¹ − DΣenc and R⁻¹ with R = TA − ν, for all nodes."""
    matrix = system.inverse_gain.ndim == 2
    lift = (slice(None), None, None) if matrix else (slice(None), None)
    gains, noises = _as_complex(system.inverse_gain)[None], _as_complex(system.encoding_noise)[None]
    weighted = z[lift] * gains - D[lift] * noises
    if not matrix:
        return weighted, _reciprocal(T[lift] * weighted - nu[lift])
    eye = jnp.eye(gains.shape[-1], dtype=gains.dtype)[None]
    return weighted, _inverses(T[lift] * weighted - nu[lift] * eye)


def _traces(system: _System, inverse: Array) -> tuple[list[Array], list[Array]]:
    """For all nodes, with R⁻¹ = Q: tr Q, tr ΣQ, and tr QQ, tr ΣQQ, tr Γ⁻¹QQ, tr ΣQΣQ, tr ΣQΓ⁻¹Q."""
    gain, noise = system.inverse_gain, system.encoding_noise
    if gain.ndim == 1:

        def weighted(x, *weights):
            columns = jnp.stack(weights, 1)
            parts = (jnp.matmul(part, columns, precision="highest") for part in (x.real, x.imag))
            return list(jax.lax.complex(*parts).T)

        each = system.counts
        squares = (each * x for x in (jnp.ones_like(gain), noise, gain, noise**2, noise * gain))
        return weighted(inverse, each, each * noise), weighted(inverse * inverse, *squares)
    noisy, gained = _as_complex(noise) @ inverse, _as_complex(gain) @ inverse

    def trace_of(one, other):
        return jnp.sum(one * jnp.swapaxes(other, 1, 2), axis=(1, 2))

    simple = [jnp.trace(x, axis1=1, axis2=2) for x in (inverse, noisy)]
    pairs = (inverse, inverse), (noisy, inverse), (gained, inverse), (noisy, noisy), (noisy, gained)
    return simple, [trace_of(*pair) for pair in pairs]


def _equations(system: _System, z: Array, pairs: Array) -> _Equations:
    # TAR⁻¹ = 1 + νR⁻¹ leaves sums of R⁻¹ and, in derivatives, of its square alone.
    D, T = pairs
    d, noise = _as_complex(system.d), _as_complex(system.noise)
    nu = _lost(system, D, T)
    (all_, noisy), squares = _traces(system, _resolvent(system, z, D, T, nu)[1])
    twice, noisy_twice, gain_twice, noisy_noisy, noisy_gain = squares
    over_gap, over_T = _reciprocal(z - D * noise), _reciprocal(T)
    each = _as_complex(1 / system.d)
    spare = _as_complex(system.spare) * noise * over_gap

    def change(dD, dT, dz):
        dnu = T * dD + D * dT
        moved_all = -(
            dT * (all_ + nu * twice) * over_T
            + T * (gain_twice * dz - noisy_twice * dD)
            - twice * dnu
        )
        moved_noisy = -(
            dT * (noisy + nu * noisy_twice) * over_T
            + T * (noisy_gain * dz - noisy_noisy * dD)
            - noisy_twice * dnu
        )
        return jnp.stack(
            [
                (dnu - all_ * dnu - nu * moved_all) * each,
                dT * (1 + noisy) + T * moved_noisy + spare * (noise * dD - dz) * over_gap,
            ]
        )

    # All directions in one go: written out for each they would compile three times as long.
    one, zero = jnp.ones_like(D), jnp.zeros_like(D)
    directions = [(one, zero, zero), (zero, one, zero), (zero, zero, z)]
    slopes = jax.vmap(change)(*(jnp.stack(x) for x in zip(*directions, strict=True)))
    return _Equations(
        mismatch=jnp.stack([(T * D - d - nu * all_) * each, T * (1 + noisy) - 1 + spare]),
        image=jnp.stack([(d + nu * all_) * over_T, 1 - spare - T * noisy]),
        slopes=slopes,
    )


def _count(system: _System, level: Array, pairs: Array, along: Array) -> tuple[Array, Array]:
    """Relative excess of tr K_U over q, and its slope; where that is flat an anchor decides."""
    # In a gap of the spectrum the slope is zero but for quadrature errors.
    _, weights = _quadrature(level.dtype)
    slope = jnp.maximum(-jnp.sum(weights * along[0].real) / system.q, 0.0)
    anchor = jax.lax.stop_gradient(_ANCHOR / (1 + (slope / _FLAT) ** 2))
    excess = jnp.sum(weights * pairs[0].real) / system.q - 1 + anchor * (level - system.anchor)
    return excess, slope + anchor


def _xi(system: _System, unknowns: _Unknowns) -> Array:
    # (1/π) ∫ Re (ν/n) A R⁻¹ dθ. The parts of A are summed apart: then k × k products are few.
    level, (D, T) = unknowns
    z = _circle(level)
    _, weights = _quadrature(level.dtype)
    nu = _lost(system, D, T)
    weighted, inverse = _resolvent(system, z, D, T, nu)
    c = _as_complex(weights / system.n) * nu
    if system.inverse_gain.ndim == 1:
        return jnp.sum((c[:, None] * weighted * inverse).real, axis=0)
    by_gain = jnp.sum(((c * z)[:, None, None] * inverse).real, axis=0)
    by_noise = jnp.sum(((c * D)[:, None, None] * inverse).real, axis=0)
    product = system.inverse_gain @ by_gain - system.encoding_noise @ by_noise
    return (product + product.T) / 2


def _two_by_two(by_D, by_T, *rights) -> list[Array]:
    (a, c), (b, d) = by_D, by_T
    over_determinant = _reciprocal(a * d - b * c)
    return [jnp.stack([d * x - b * y, a * y - c * x]) * over_determinant[None] for x, y in rights]


@jax.custom_jvp
def _root(system: _System, unknowns: _Unknowns) -> _Unknowns:
    """The solution that was found, as the implicit function of the system that it is."""
    return unknowns


@_root.defjvp
def _root_jvp(primals, tangents):
    system, (level, pairs) = primals[0], _root(*primals)
    z = _circle(level)
    _, weights = _quadrature(level.dtype)

    # Nodes know each other through the level alone.
    by_D, by_T, by_level = _equations(system, z, pairs).slopes
    (along,) = _two_by_two(by_D, by_T, by_level)

    def residual(system):
        return _count(system, level, pairs, along)[0], _equations(system, z, pairs).mismatch

    rise, mismatch = jax.jvp(residual, (system,), tangents[:1])[1]
    (free,) = _two_by_two(by_D, by_T, mismatch)
    slope = _count(system, level, pairs, along)[1]
    change = (rise - jnp.sum(weights * free[0].real) / system.q) / slope
    return _Unknowns(level, pairs), _Unknowns(-change, _as_complex(change) * along - free)


def _anchor(system: _System) -> Array:
    """log of a level between noise and signal, if there is a gap: just above noise."""
    size = system.n.dtype.type
    d, k = system.d, system.k
    signal = jnp.min(
        (
            system.n * (1 - jnp.sqrt(k / system.n)) ** 2
            + (jnp.sqrt(d) - jnp.sqrt(k)) ** 2 * system.encoding_noise
        )
        / system.inverse_gain
    )
    noise = system.noise * (jnp.sqrt(d) + jnp.sqrt(system.spare)) ** 2
    noise = jnp.where(system.spare > 0, noise, 0.0)
    mean = system.q * jnp.vdot(system.counts, system.encoding_noise / system.inverse_gain) / k
    floor = 0.1 * jnp.minimum(mean, signal)
    noise = jnp.maximum(jnp.maximum(noise, floor), size(1e-6) * signal)
    return jnp.log(jnp.minimum(jnp.sqrt(signal * noise), 3 * noise))


def _first_guess(system: _System) -> _Unknowns:
    z = _circle(system.anchor)
    power = jnp.vdot(system.counts, system.encoding_noise / system.inverse_gain)
    power = power + system.spare * system.noise
    inputs = _as_complex(system.d) * jnp.ones_like(z)
    return _Unknowns(system.anchor, jnp.stack([inputs, 1 - _as_complex(power) * _reciprocal(z)]))


class _Search(NamedTuple):
    step: Array
    level: Array
    low: Array
    high: Array
    stride: Array  # of the level, in the last step from where all had settled
    point: Array  # the pairs accepted
    trial: Array
    damped: Array
    error: Array
    forced: Array
    done: Array


def _solve(
    system: _System, start: _Unknowns, tolerance: Array, skip: Array
) -> tuple[_Unknowns, Array]:
    """Newton's method at all nodes, held by a damped fixed point; a bracketed one for the level.

    - `tolerance`: relative error below which a node has settled.
    """
    dtype = system.n.dtype
    eps = float(jnp.finfo(dtype).eps)
    close = 10 * tolerance
    angles, weights = _quadrature(dtype)
    turn = jax.lax.complex(jnp.zeros_like(angles), jnp.roll(angles, -1) - angles)

    def improve(state: _Search) -> _Search:
        z = _circle(state.level)
        trial = state.trial
        equations = _equations(system, z, trial)
        change = equations.image - trial
        # ν = n − d + TD moves with both.
        nu = _lost(system, *trial)
        moved = jnp.stack([*change, _lost(system, *equations.image) - nu])
        squares = _squared(jnp.stack([*trial, nu]))
        error = jnp.sqrt(jnp.max(_squared(moved) / squares, axis=0))
        (D, T), (size_D, size_T) = trial, close * jnp.sqrt(squares[:2])
        inside = ((D * jnp.conj(z)).imag < 0) & (D.imag <= size_D)
        inside = inside & ((z * T).imag > 0) & (T.imag >= -size_T) & jnp.isfinite(error)
        accept = state.forced | (inside & ((error < 0.7 * state.error) | (error < tolerance)))
        point = jnp.where(accept, trial, state.point)
        damped = jnp.where(accept, trial + change / 2, state.damped)
        error = jnp.where(accept, error, state.error)

        # Newton's step at the trial point, and how the solution moves with the level.
        by_D, by_T, by_level = equations.slopes
        step, along = _two_by_two(by_D, by_T, equations.mismatch, by_level)
        following = jnp.where(accept, trial - step, state.damped)

        # Where Newton fails, start from the next node further from the real axis, mostly.
        ready = jnp.roll(accept & (error < _READY), -1).at[-1].set(False)
        jump = ready & ~accept & (state.step % 4 < 3) & (state.step % 300 < 200)
        beside = jnp.roll(trial, -1, 1) + turn[None] * jnp.roll(along, -1, 1)
        following = jnp.where(jump, beside, following)

        settled = jnp.all(error < tolerance)
        excess, slope = _count(system, state.level, point, along)
        low = jnp.where(settled & (excess <= 0), state.level, state.low)
        high = jnp.where(settled & (excess >= 0), state.level, state.high)
        enough = 1e-10 + 8 * eps + (tolerance - 1e3 * eps)
        done = settled & ((jnp.abs(excess) < enough) | (high - low < close))
        # Where all nodes are close, the level moves with them: excess is what Newton's step leaves.
        ahead = excess - jnp.sum(weights * step[0].real) / system.q
        proposal = state.level - jnp.clip(jnp.where(settled, excess, ahead) / slope, -3.0, 3.0)
        bracketed = (proposal > low) & (proposal < high)
        # Where the count is nearly a step Newton's method creeps: then halve the bracket instead.
        creeps = (jnp.abs(proposal - state.level) > state.stride / 2) & (high - low < 1)
        halve = settled & (~bracketed | creeps)
        proposal = jnp.where(halve, (low + high) / 2, proposal)
        climb = proposal - state.level
        near = jnp.all(accept & (error < _NEAR)) & bracketed & (state.step < _JOINT_STEPS)
        small = jnp.all(accept) & (jnp.abs(climb) < 0.1)
        move = (settled | (near & small)) & ~done
        # A small step of the level takes the solution with it.
        carried = trial - step - _as_complex(climb) * along
        again = jnp.where(small, carried, point)
        # The last step is taken, too: what is left of the tolerance would spoil differences.
        last = done & small & bracketed
        return _Search(
            step=state.step + 1,
            level=jnp.where(move | last, proposal, state.level),
            low=low,
            high=high,
            stride=jnp.where(settled, jnp.abs(climb), state.stride),
            point=jnp.where(last, carried, point),
            trial=jnp.where(move, again, following),
            damped=damped,
            error=error,
            forced=jnp.where(move, True, ~accept),
            done=done,
        )

    infinite = jnp.full(angles.shape, jnp.inf, dtype)
    state = _Search(
        step=jnp.zeros((), int),
        level=start.level,
        low=start.level - 40,
        high=start.level + 40,
        stride=jnp.full_like(start.level, jnp.inf),
        point=start.pairs,
        trial=start.pairs,
        damped=start.pairs,
        error=infinite,
        forced=jnp.ones(angles.shape, bool),
        done=skip,
    )
    state = jax.lax.while_loop(lambda s: ~s.done & (s.step < _MAX_STEPS), improve, state)
    return _Unknowns(state.level, state.point), state.done
