"""Two penalties, inside and outside of the learned subspace: information apart from shrinkage."""

from __future__ import annotations

import itertools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arguments import check_n_task, check_recordings, is_white
from .._checks import as_float_like, check_broadcast, check_positive, is_concrete
from .._linalg import implicit_root
from .._typing import Real
from ..models import Problem
from ..models.problem import TracedProblem
from ..models.shift import TestCovariance, check_shift
from .accuracy import warn_outside_validated
from .any_covariance import checked_cells
from .brain_stage import brain_stage
from .shifted_cells import shifted_cells
from .task_stage import TaskStage


class Penalties(NamedTuple):
    """Penalties a sample, one for each part of the task weights.

    **Fields**

    - `outside`: λ_out, on what leaves the learned subspace, ‖K̂β‖².
    - `inside`: λ_in, on what lies inside of it, ‖P̂β‖².

    In the units of an input's variance. From `optimal_penalties` both have the shape that n_brain
    and n_task broadcast to.
    """

    outside: Array
    inside: Array


def two_penalty_risk(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    inside_penalty: Real | None = None,
    *,
    encoding_penalty: Real | str = 0.0,
    shift: TestCovariance = None,
) -> Float[Array, "..."]:
    """Test error of BEFS that also penalises the weights inside of its subspace: E‖β̂ − β‖².

    The second stage minimises (1/n_task)‖y − Xβ‖² + λ_in‖P̂β‖² + λ_out‖K̂β‖², as
    `befs(..., penalty, inside_penalty)` does. With λ_in = 0 it is BEFS, with λ_in = λ_out ridge.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> befs = jb.risk(problem, 18_000, 5_000)
    >>> both = jb.two_penalty_risk(problem, 18_000, 5_000)
    >>> print(f"{float(befs):.3f} {float(both):.3f} {float(jb.ridge_risk(problem, 5_000)):.3f}")
    1.117 0.619 0.899

    **Arguments**

    - `problem`: the study.
    - `n_brain`, `n_task`: sample numbers. They broadcast with each other and with the penalties.
      n_brain is at least input_dim + 2; any number of labels will do, 0 and infinity included.
    - `penalty`: λ_out, at least 0. `None` takes the best one (see `optimal_penalties`).
    - `inside_penalty`: λ_in, at least 0. `None` takes the best one. Infinity keeps the weights out
      of that part. Where inputs are not white, or the encoding stage has a penalty, it must lie
      below λ_out, and so does the best one.
    - `encoding_penalty`: as in `risk`.
    - `shift`: as in `risk`. What it changes is known to leading order, for white inputs too, and
      labels are finite then.

    **Returns**

    The risk, of the broadcast shape, in the units of ‖β‖². Infinite where unpenalised directions
    are too many for the labels, with n_task at or below their number plus 1.

    Its relative error is of order 1/n_task³. Given E‖K̂β‖², it is within about 1 % of simulation
    where n_task times each penalty is at least 1, whatever n_task, and mostly far closer. It is
    coarse, as `wishart_resolvent_trace` is, only where n_task is within three of input_dim,
    latent_dim or their difference and n_task times a penalty is next to nothing. With a dozen
    inputs it is then 10 % off at 0.1 and tens of percent at 0.01; with more inputs less.

    **Raises**

    `ValueError` that names the argument: `n_brain` of input_dim + 1 or fewer, negative numbers,
    shapes that do not broadcast.

    **Source**

    Ours; deterministic equivalent with its first two finite-size terms: docs/theory.md, "Two
    penalties".
    """
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task, shift = check_n_task(problem, n_task), check_shift(problem, shift)
    penalties = []
    for name, number in (("penalty", penalty), ("inside_penalty", inside_penalty)):
        if number is not None:
            number = as_float_like(name, number, problem.task_noise)
            check_positive(name, number, zero_allowed=True)
        penalties.append(number)
    outside, inside = penalties
    check_broadcast(
        n_brain=n_brain,
        n_task=n_task,
        penalty=outside,
        inside_penalty=inside,
        encoding_penalty=encoding,
    )
    general = shift is not None or not is_white(problem, encoding)
    given = outside is not None and inside is not None and is_concrete(outside, inside)
    if general and given and not np.all(np.asarray(inside) < np.asarray(outside)):
        raise ValueError(
            "inside_penalty must lie below penalty where inputs are not white, or the encoding "
            "stage has a penalty: at equal ones it is ridge regression, ridge_risk"
        )
    cells = n_brain, n_task, outside, inside, encoding, "befs_two_penalties"
    if shift is not None:
        return shifted_cells(problem, shift, *cells).risk
    if general:
        return checked_cells(problem, *cells).risk
    warn_outside_validated(problem, n_brain)
    traced = problem.with_traced_sizes()
    missed = brain_stage(traced, n_brain, None, "finite").misalignment
    return _two_penalty_risk(traced, missed, n_task, outside, inside)


def optimal_penalties(
    problem: Problem, n_brain: Real, n_task: Real, *, encoding_penalty: Real | str = 0.0
) -> Penalties:
    """The two penalties that minimise the test error.

    λ_out = σ²(d − k)/(n_task E‖K̂β‖²) and λ_in = σ²k/(n_task E‖P̂β‖²): each part is shrunk by its own
    share of the task, as the Bayesian would who knows how much lies where.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> best = jb.optimal_penalties(problem, n_brain=36_000, n_task=10_000)
    >>> print(f"{float(best.outside):.4f} {float(best.inside):.4f}")
    2.4227 0.0484

    **Arguments**

    - `problem`, `n_brain`, `n_task`, `encoding_penalty`: as in `two_penalty_risk`.

    **Returns**

    `Penalties`, each of the broadcast shape. Infinite where that part holds nothing of the task.

    **Raises**

    `ValueError` as `two_penalty_risk` does.

    **Source**

    docs/theory.md, "Two penalties".
    """
    n_brain, encoding = check_recordings(problem, n_brain, encoding_penalty)
    n_task = check_n_task(problem, n_task)
    check_broadcast(n_brain=n_brain, n_task=n_task, encoding_penalty=encoding)
    if not is_white(problem, encoding):
        cells = problem, n_brain, n_task, None, None, encoding
        found = checked_cells(*cells, "befs_two_penalties")
        return Penalties(found.penalty, found.second_penalty)
    warn_outside_validated(problem, n_brain)
    traced = problem.with_traced_sizes()
    missed = brain_stage(traced, n_brain, None, "finite").misalignment
    return _optimal_penalties(traced, missed, n_task)


@jax.jit
def _optimal_penalties(problem, missed, n_task):
    noise, kept = problem.task_noise, problem.total_power - missed
    return Penalties(
        outside=_best(noise, problem.outside_dim, missed) / n_task,
        inside=_best(noise, problem.latent_dim, kept) / n_task,
    )


def _best(noise: Array, size: Array | int, power: Array) -> Array:
    """C = σ² size/power, infinite where that part holds nothing of the task."""
    nothing = power <= 0
    return jnp.where(nothing, jnp.inf, noise * size / jnp.where(nothing, 1.0, power))


@jax.jit
def _two_penalty_risk(problem, missed, n_task, penalty, inside_penalty):
    if penalty is None and inside_penalty is None:
        return two_penalty_stage(problem, missed, n_task).risk
    return risk_at_penalties(problem, missed, n_task, penalty, inside_penalty)


def risk_at_penalties(
    problem: Problem | TracedProblem,
    missed: Array,
    n_task: Array,
    penalty: Array | None,
    inside_penalty: Array | None,
) -> Array:
    """The risk given E‖K̂β‖²; a penalty of `None` is the best one."""
    powers = problem.total_power - missed, missed
    sizes = problem.latent_dim, problem.outside_dim
    noise = problem.task_noise
    limited = ~jnp.isinf(n_task)
    n = jnp.where(limited & (n_task > 0), n_task, 1.0)
    tops, bottoms, unlearned = [], [], jnp.zeros_like(noise)
    for size, power, given in zip(sizes, powers, (inside_penalty, penalty), strict=True):
        if given is None:
            tops.append(noise * size)
            bottoms.append(jnp.where(power < 0, 0.0, power))
            continue
        hard = jnp.isinf(given)
        soft = jnp.where(hard, 1.0, given)
        top, bottom = _as_ratio(jnp.where(hard, jnp.inf, n * soft))
        tops.append(top)
        bottoms.append(bottom)
        # With unlimited labels a penalty a sample shrinks for ever.
        unlearned += jnp.where(hard, 1.0, soft / (1 + soft)) ** 2 * power
    cells = jnp.broadcast_arrays(*tops, *bottoms, *powers, n)
    risk = jax.vmap(partial(_risk_of_ratios, sizes, noise))(*(cell.ravel() for cell in cells))
    risk = risk.reshape(cells[0].shape)
    risk = jnp.where(n_task > 0, risk, problem.total_power)
    return jnp.where(limited, risk, unlearned)


def _as_ratio(c: Array) -> tuple[Array, Array]:
    hard = jnp.isinf(c)
    return jnp.where(hard, 1.0, c), jnp.where(hard, 0.0, 1.0)


def _risk(sizes, noise, c_in, c_out, power_in, power_out, n):
    (top_in, bottom_in), (top_out, bottom_out) = _as_ratio(c_in), _as_ratio(c_out)
    return _risk_of_ratios(
        sizes, noise, top_in, top_out, bottom_in, bottom_out, power_in, power_out, n
    )


def _risk_of_ratios(sizes, noise, top_in, top_out, bottom_in, bottom_out, power_in, power_out, n):
    top, bottom = jnp.stack([top_in, top_out]), jnp.stack([bottom_in, bottom_out])
    counts = jnp.stack([jnp.asarray(size, n.dtype) for size in sizes])
    powers = jnp.stack([power_in, power_out])
    unpenalised = jnp.sum(jnp.where(top > 0, 0.0, counts))
    solvable = (unpenalised == 0) | (n > unpenalised + 1)
    blocks = _blocks(jnp.where(solvable, top, 1.0), bottom, counts, n)
    bias, variance = _bias_and_variance(blocks, counts)
    risk = jnp.sum(powers * bias) + noise * jnp.sum(counts * variance)
    return jnp.where(solvable, risk, jnp.inf)


def two_penalty_stage(
    problem: Problem | TracedProblem,
    misalignment: Array,
    n_task: Array,
    subspace_dim: Array | None = None,
) -> TaskStage:
    """The task stage with the two best penalties, whose risk is σ² E tr (XᵀX + C)⁻¹.

    The learned subspace has as many dimensions as the problem has latents, or `subspace_dim`.
    """
    problem, noise = problem.with_traced_sizes(), problem.task_noise
    d = jnp.asarray(problem.input_dim)
    k = jnp.asarray(problem.latent_dim if subspace_dim is None else subspace_dim, d.dtype)
    q = d - k
    limited = ~jnp.isinf(n_task)
    n = jnp.where(limited, n_task, 1.0)
    kept = problem.total_power - misalignment
    cells = jnp.broadcast_arrays(kept, misalignment, n, k, q)

    def stage(kept, missed, n, k, q):
        counts, powers = jnp.stack([k, q]), jnp.stack([kept, missed])
        blocks = _blocks(noise * counts, jnp.where(powers < 0, 0.0, powers), counts, n)
        return _trace_and_labels(blocks, counts)

    total, extra = (x.reshape(cells[0].shape) for x in jax.vmap(stage)(*(x.ravel() for x in cells)))
    # tr C/d, what the penalties are worth against least squares when labels abound.
    limit = (k * _best(noise, k, kept) + q * _best(noise, q, misalignment)) / d
    return TaskStage(jnp.where(limited, noise * total, 0.0), jnp.where(limited, extra, limit))


class _Blocks(NamedTuple):
    """Leading order of E (W + C)⁻¹ in two blocks, W ~ Wishart(n): D = 1/(C + x), pure numbers."""

    x: Array
    learned: Array
    """a = x D, between 0 (C infinite) and 1 (C nothing)."""
    shrunk: Array
    """1 − a = C D."""
    gap: Array
    """a of the first block less that of the second."""
    inverse: Array
    """D."""


def _blocks(top: Array, bottom: Array, counts: Array, n: Array) -> _Blocks:
    """Solve x + Σ M x/(C + x) = n.

    C = top/bottom is a ratio, so that 0 and infinity are numbers like others.
    """
    # Without labels x is 0, and so is all that is divided by it.
    smallest = jnp.finfo(n.dtype).eps
    n = n + jnp.where(n < smallest, smallest, 0.0)
    scale = top + (n + jnp.sum(counts)) * bottom
    stiff, soft = top / scale, bottom / scale

    def mismatch(x):
        total = stiff + soft * x
        near = soft * x >= stiff
        # M x/(C + x) from the end to which it is near: large numbers are taken away before.
        parts = jnp.where(near, -stiff, soft * x) / total
        return x + (jnp.sum(jnp.where(near, counts, 0.0)) - n) + jnp.sum(counts * parts)

    # The left side is concave, and x/(C + x) below both 1 and x/C. Hence four bounds from below,
    # from the best of which Newton's method rises to the root.
    bounds = []
    for free in itertools.product((False, True), repeat=2):
        free = jnp.array(free)
        slope = jnp.sum(jnp.where(free, 0.0, counts * soft / stiff))
        bounds.append((n - jnp.sum(jnp.where(free, counts, 0.0))) / (1 + slope))
    x = implicit_root(mismatch, jax.lax.stop_gradient(jnp.max(jnp.stack(bounds))))
    total = stiff + soft * x
    apart = (top[1] * bottom[0] - top[0] * bottom[1]) / scale[0] / scale[1]
    return _Blocks(
        x, soft * x / total, stiff / total, x * apart / total[0] / total[1], soft / total
    )


def _weights(x: Array, learned: Array, shrunk: Array, counts: Array) -> tuple[Array, Array]:
    """ω = 1/(x + Σ M a(1 − a)), and π = ω M a(1 − a), whose sum is 1 − ωx."""
    spread = counts * learned * shrunk
    omega = 1 / (x + jnp.sum(spread))
    return omega, omega * spread


class _Slack(NamedTuple):
    """y, where 1/(C + x + ω x y) is E (W + C)⁻¹ with its finite-size terms."""

    total: Array
    second: Array
    """y less its first-order part; not of use where `capped`."""
    capped: Array


def _slack(point: tuple[Array, Array, Array, Array], counts: Array) -> _Slack:
    """First and second finite-size terms, the second in Padé's form.

    See docs/theory.md, "Two penalties".

    Of x, a, 1 − a and the difference of both a. Each term is written so that it vanishes as a
    product, not as a difference, where penalties are next to nothing.
    """
    x, a, rest, gap = point
    omega, pi = _weights(x, a, rest, counts)
    w = omega * x
    mu, nu = jnp.sum(pi * a), jnp.sum(pi * a**2)
    tilt = 5 * nu - 6 * mu**2
    rho = a * (rest * (4 * a - 5 * mu) + tilt)
    both = jnp.sum(a)
    slope = (4 + 5 * mu) * both - 4 * (both**2 - a[0] * a[1]) - 5 * mu + tilt  # (ρ₁ − ρ₂)/gap
    away = jnp.stack([gap, -gap]) * pi[::-1]
    common = jnp.sum(pi * a * (away + w * a) ** 2)

    # Padé's form for −w a, whose second term in the mean weighted by M a² is `part` (both divided
    # by w a³ of the largest a). Blocks differ by `away`, whose series is kept from ever changing
    # sign instead.
    largest = jnp.max(a)
    unit = jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1.0))
    weight = counts * (a / unit) ** 2
    part = jnp.sum(weight * rho) + w * jnp.sum(weight) * jnp.sum(pi * a**3)
    pade = 1 + omega * part / jnp.where(largest > 0, jnp.sum(weight * a), 1.0)
    tilted = omega * slope
    kept = 1 / (1 + tilted + tilted**2 / 2)

    # Where the smallest eigenvalue rules no expansion holds, and this much is a cap on what one
    # makes of it.
    least = omega * largest * (w * largest + jnp.maximum(w * largest, jnp.sum(pi)) / 2)
    penalised = jnp.any(pi > 0)
    capped = penalised & (pade < least)
    raised = omega * (w * rho + common)
    trusted = 1 / jnp.where(capped, least, pade)
    second = raised * trusted + away * (tilted * (1 + tilted / 2) * kept)
    y = (raised - w * a * pade) * trusted - away * kept
    seen = a > 0
    lowest = -2 / 3 / (omega * jnp.where(seen, a, 1.0))
    too_low = penalised & seen & (y < lowest)
    return _Slack(jnp.where(too_low, lowest, y), second, capped | too_low)


def _bias_and_variance(blocks: _Blocks, counts: Array) -> tuple[Array, Array]:
    """C² E G² and E (G − C G²), a direction of each block.

    By derivatives of E G along C + s and (1 + s)C.
    """
    x, a, rest, gap, _ = blocks
    omega, pi = _weights(x, a, rest, counts)
    twice = jnp.sum(a)
    theta = omega * jnp.sum(counts * a**2)
    # Along (1 + s)C x, a, 1 − a and the gap move by w times the first of these, along C + s by 1/x
    # times the second.
    rate = jnp.stack([-a * rest, a * rest * theta - a**2])
    point = x, a, rest, gap
    moves = (
        jnp.stack([jnp.sum(counts * a * rest), x * theta]),
        rate,
        -rate,
        gap * jnp.stack([twice - 1, theta * (1 - twice) - twice]),
    )

    def move(tangent):
        return jax.jvp(lambda point: _slack(point, counts).total, (point,), (tangent,))

    # One after the other: the compiler takes far longer over both at once.
    (y, _), (scaled, shifted) = jax.lax.map(move, moves)
    e = omega * a * y
    variance = a**2 * omega * (1 + omega * ((1 + 2 * jnp.sum(pi * a)) * y - scaled)) / (1 + e) ** 2
    w_rate = omega * (theta * jnp.sum(pi) - omega * jnp.sum(counts * (rest - a) * rate[1]))
    bias = (rest / (1 + e)) ** 2 * (1 + theta + w_rate * y + omega * shifted)
    # Means of squares. Below 0 only where what the expansion neglects is all there is: fewer than
    # one label.
    return jnp.where(bias < 0, 0.0, bias), jnp.where(variance < 0, 0.0, variance)


def _trace_and_labels(blocks: _Blocks, counts: Array) -> tuple[Array, Array]:
    """E tr G, and d/E tr G + d + 1 − n without its large numbers."""
    x, a, rest, gap, inverse = blocks
    omega, pi = _weights(x, a, rest, counts)
    w = omega * x
    y, second, capped = _slack((x, a, rest, gap), counts)
    g = counts * inverse / (1 + omega * a * y)
    trace = jnp.sum(g)
    beyond = jnp.where(capped, 1 + w * y, jnp.sum(pi) + w * (rest + jnp.sum(pi * a) + second))
    labels = (
        jnp.sum(counts * rest)
        + (jnp.sum(counts * rest / (1 + omega * a * y)) + jnp.sum(g * beyond)) / trace
    )
    return trace, labels
