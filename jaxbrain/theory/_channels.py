"""Directions estimated in channel space: what they do where latents are many."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._linalg import map_factorisations
from ..models.problem import TracedProblem

_NODES = 24
# Weight of the condition that keeps the level where the count is flat, relative to the count.
_ANCHOR = 1e-5
_MAX_STEPS = 1500
# Relative error below which nodes and level move at once, in the first steps.
_NEAR, _JOINT_STEPS = 1e-2, 100
# And below which a node may be where a neighbour starts from.
_READY = 1e-4


def effective_noise(problem: TracedProblem, n: Array) -> tuple[Array, Array]:
    """Encoding noise with that of directions estimated in channel space, s' = top/bottom.

    Returns the pair (top, bottom), spectra or matrices as the problem has them; matrices commute.
    Lost directions have bottom 0. NaN where the equations could not be solved.

    - `n`: number of recordings, more than d + 1.

    **Source.** Derived here, docs/theory.md, "The brain stage".
    """
    k, q = problem.latent_dim, problem.outside_dim
    xi = _missed_in_sample(problem, n)
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
    """On the circle z = e^level e^(iθ): D = −zδ and T = 1 + t̃, one each a node."""

    level: Array
    D: Array
    T: Array


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


def _missed_in_sample(problem: TracedProblem, n: Array) -> Array:
    """ξ = E AᵀW^½ K_U W^½A / n: what the top k directions of the recorded channels miss."""
    gain = problem.gain
    system = _System(
        jnp.linalg.inv(gain) if problem.is_matrix_form else 1 / gain,
        problem.encoding_noise,
        jnp.asarray(problem.counts),
        problem.recording_noise,
        n,
        jnp.asarray(problem.input_dim),
        jnp.asarray(problem.latent_dim),
        jnp.asarray(problem.recording_dim - problem.latent_dim),
        jnp.zeros_like(n),
    )
    fixed = jax.lax.stop_gradient(system)
    if problem.is_matrix_form:
        # Start from the commuting problem that is nearest.
        values, basis = jnp.linalg.eigh(fixed.encoding_noise)
        gains = jnp.sum(basis * (fixed.inverse_gain @ basis), axis=0)
        commuting = fixed._replace(inverse_gain=gains, encoding_noise=values)
    else:
        commuting = fixed
    commuting = commuting._replace(anchor=_anchor(commuting))
    fixed = fixed._replace(anchor=commuting.anchor)
    start, settled = _solve(commuting, _first_guess(commuting))
    if problem.is_matrix_form:
        start, settled = _solve(fixed, start)
    system = system._replace(anchor=fixed.anchor)

    unknowns = _root(system, jax.lax.stop_gradient(start))
    return jnp.where(settled, _xi(system, unknowns), jnp.nan)


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


@jax.custom_jvp
def _inverses(matrices: Array) -> Array:
    return map_factorisations(jnp.linalg.inv, matrices, _NODES)


@_inverses.defjvp
def _inverses_jvp(primals, tangents):
    (matrices,), (changes,) = primals, tangents
    inverses = _inverses(matrices)
    return inverses, -(inverses @ changes @ inverses)


class _Equations(NamedTuple):
    """The two equations of a node, their derivatives, and the fixed point that they come from.

    `by_D`, `by_T` and `by_level` are the derivatives of both, the last with z = e^level e^(iθ).
    """

    mismatch: tuple[Array, Array]
    by_D: tuple[Array, Array]
    by_T: tuple[Array, Array]
    by_level: tuple[Array, Array]
    image: tuple[Array, Array, Array]
    """What the fixed point makes of D, T and τ = n/ν − 1."""


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
        return weighted, 1 / (T[lift] * weighted - nu[lift])
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


def _equations(system: _System, z: Array, D: Array, T: Array) -> _Equations:
    # TAR⁻¹ = 1 + νR⁻¹ leaves sums of R⁻¹ and, in derivatives, of its square alone.
    d, noise = _as_complex(system.d), _as_complex(system.noise)
    nu = _lost(system, D, T)
    (all_, noisy), squares = _traces(system, _resolvent(system, z, D, T, nu)[1])
    twice, noisy_twice, gain_twice, noisy_noisy, noisy_gain = squares
    gap = z - D * noise
    spare = _as_complex(system.spare) * noise / gap

    def change(dD, dT, dz):
        dnu = T * dD + D * dT
        moved_all = -(
            dT * (all_ + nu * twice) / T + T * (gain_twice * dz - noisy_twice * dD) - twice * dnu
        )
        moved_noisy = -(
            dT * (noisy + nu * noisy_twice) / T
            + T * (noisy_gain * dz - noisy_noisy * dD)
            - noisy_twice * dnu
        )
        return (
            (dnu - all_ * dnu - nu * moved_all) / d,
            dT * (1 + noisy) + T * moved_noisy + spare * (noise * dD - dz) / gap,
        )

    one, zero = jnp.ones_like(D), jnp.zeros_like(D)
    return _Equations(
        mismatch=((T * D - d - nu * all_) / d, T * (1 + noisy) - 1 + spare),
        by_D=change(one, zero, zero),
        by_T=change(zero, one, zero),
        by_level=change(zero, zero, z),
        image=((d + nu * all_) / T, 1 - spare - T * noisy, -all_),
    )


def _count_excess(system: _System, level, D) -> Array:
    """Relative excess of tr K_U over q, with the anchor that decides where the count is flat."""
    _, weights = _quadrature(level.dtype)
    return jnp.sum(weights * D.real) / system.q - 1 + _ANCHOR * (level - system.anchor)


def _count_slope(system: _System, move_D) -> Array:
    # In a gap of the spectrum the slope is zero but for quadrature errors.
    _, weights = _quadrature(system.n.dtype)
    return jnp.maximum(-jnp.sum(weights * move_D.real) / system.q, 0.0) + _ANCHOR


def _xi(system: _System, unknowns: _Unknowns) -> Array:
    # (1/π) ∫ Re (ν/n) A R⁻¹ dθ. The parts of A are summed apart: then k × k products are few.
    level, D, T = unknowns
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


def _two_by_two(column_D, column_T, right):
    (a, c), (b, d), (x, y) = column_D, column_T, right
    determinant = a * d - b * c
    return (d * x - b * y) / determinant, (a * y - c * x) / determinant


@jax.custom_jvp
def _root(system: _System, unknowns: _Unknowns) -> _Unknowns:
    """The solution that was found, as the implicit function of the system that it is."""
    return unknowns


@_root.defjvp
def _root_jvp(primals, tangents):
    system, (level, D, T) = primals[0], _root(*primals)
    z = _circle(level)
    _, weights = _quadrature(level.dtype)

    def residual(system):
        return _count_excess(system, level, D), _equations(system, z, D, T).mismatch

    rise, mismatch = jax.jvp(residual, (system,), tangents[:1])[1]
    # Nodes know each other through the level alone.
    equations = _equations(system, z, D, T)
    free_D, free_T = _two_by_two(equations.by_D, equations.by_T, mismatch)
    with_D, with_T = _two_by_two(equations.by_D, equations.by_T, equations.by_level)
    change = (rise - jnp.sum(weights * free_D.real) / system.q) / _count_slope(system, with_D)
    shift = _as_complex(change)
    moved = _Unknowns(-change, shift * with_D - free_D, shift * with_T - free_T)
    return _Unknowns(level, D, T), moved


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
    return _Unknowns(system.anchor, inputs, 1 - _as_complex(power) / z)


class _Search(NamedTuple):
    step: Array
    level: Array
    low: Array
    high: Array
    point: tuple[Array, ...]  # D, T, τ accepted
    trial: tuple[Array, ...]
    damped: tuple[Array, ...]
    error: Array
    forced: Array
    done: Array


def _solve(system: _System, start: _Unknowns) -> tuple[_Unknowns, Array]:
    """Newton's method at all nodes, held by a damped fixed point; a bracketed one for the level."""
    dtype = system.n.dtype
    eps = float(jnp.finfo(dtype).eps)
    tolerance, close = 1e3 * eps, 1e4 * eps
    n, d = _as_complex(system.n), _as_complex(system.d)
    angles, weights = _quadrature(dtype)

    def slaved(D, T):
        return D, T, n / (n - d + T * D) - 1

    def improve(state: _Search) -> _Search:
        z = _circle(state.level)
        trial = state.trial
        D, T, tau = trial
        equations = _equations(system, z, D, T)
        new = equations.image
        error = jnp.maximum(
            jnp.abs(new[0] - D) / jnp.abs(D),
            jnp.maximum(jnp.abs(new[1] - T) / jnp.abs(T), jnp.abs(new[2] - tau) / jnp.abs(1 + tau)),
        )
        inside = ((D / z).imag < 0) & ((z * T).imag > 0) & (D.imag <= close * jnp.abs(D))
        inside = inside & (T.imag >= -close * jnp.abs(T)) & jnp.isfinite(error)
        accept = state.forced | (inside & ((error < 0.7 * state.error) | (error < tolerance)))

        def choose(yes, no):
            return tuple(jnp.where(accept, a, b) for a, b in zip(yes, no, strict=True))

        point = choose(trial, state.point)
        damped = choose(tuple((a + b) / 2 for a, b in zip(trial, new, strict=True)), state.damped)
        error = jnp.where(accept, error, state.error)

        # Newton's step at the trial point, and how the solution moves with the level.
        columns = equations.by_D, equations.by_T
        step_D, step_T = _two_by_two(*columns, equations.mismatch)
        move_D, move_T = _two_by_two(*columns, equations.by_level)
        newton = slaved(D - step_D, T - step_T)
        following = choose(newton, state.damped)

        # Where Newton fails, start from the next node further from the real axis, mostly.
        turn = jax.lax.complex(jnp.zeros_like(angles), jnp.roll(angles, -1) - angles)
        beside = slaved(*(jnp.roll(x, -1) for x in (D, T)))
        ready = jnp.roll(accept & (error < _READY), -1).at[-1].set(False)
        jump = ready & ~accept & (state.step % 4 < 3) & (state.step % 300 < 200)
        shifted = slaved(
            beside[0] + turn * jnp.roll(move_D, -1), beside[1] + turn * jnp.roll(move_T, -1)
        )
        following = tuple(jnp.where(jump, a, b) for a, b in zip(shifted, following, strict=True))

        settled = jnp.all(error < tolerance)
        excess = _count_excess(system, state.level, point[0])
        slope = _count_slope(system, move_D)
        low = jnp.where(settled & (excess <= 0), state.level, state.low)
        high = jnp.where(settled & (excess >= 0), state.level, state.high)
        done = settled & ((jnp.abs(excess) < 1e-10 + 8 * eps) | (high - low < close))
        # Where all nodes are close, the level moves with them: excess is what Newton's step leaves.
        ahead = excess - jnp.sum(weights * step_D.real) / system.q
        proposal = state.level - jnp.clip(jnp.where(settled, excess, ahead) / slope, -3.0, 3.0)
        bracketed = (proposal > low) & (proposal < high)
        proposal = jnp.where(bracketed | ~settled, proposal, (low + high) / 2)
        change = proposal - state.level
        near = jnp.all(accept & (error < _NEAR)) & bracketed & (state.step < _JOINT_STEPS)
        small = jnp.all(accept) & (jnp.abs(change) < 0.1)
        move = (settled | (near & small)) & ~done
        # A small step of the level takes the solution with it.
        shift = _as_complex(jnp.where(small, change, 0.0))
        carried = slaved(D - step_D - shift * move_D, T - step_T - shift * move_T)
        again = tuple(jnp.where(small, a, b) for a, b in zip(carried, point, strict=True))
        # The last step is taken, too: what is left of the tolerance would spoil differences.
        last = done & small & bracketed
        return _Search(
            step=state.step + 1,
            level=jnp.where(move | last, proposal, state.level),
            low=low,
            high=high,
            point=tuple(jnp.where(last, a, b) for a, b in zip(carried, point, strict=True)),
            trial=tuple(jnp.where(move, a, b) for a, b in zip(again, following, strict=True)),
            damped=damped,
            error=error,
            forced=jnp.where(move, True, ~accept),
            done=done,
        )

    z = _circle(start.level)
    first = slaved(start.D, start.T)
    infinite = jnp.full(z.shape, jnp.inf, dtype)
    state = _Search(
        step=jnp.zeros((), int),
        level=start.level,
        low=start.level - 40,
        high=start.level + 40,
        point=first,
        trial=first,
        damped=first,
        error=infinite,
        forced=jnp.ones(z.shape, bool),
        done=jnp.zeros((), bool),
    )
    state = jax.lax.while_loop(lambda s: ~s.done & (s.step < _MAX_STEPS), improve, state)
    return _Unknowns(state.level, state.point[0], state.point[1]), state.done
