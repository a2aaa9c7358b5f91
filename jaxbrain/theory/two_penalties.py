"""Two penalties, inside and outside of the learned subspace: information apart from shrinkage."""

from __future__ import annotations

import itertools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import as_real, check_positive
from .._linalg import implicit_root
from .._typing import Real
from ..models import Problem
from .brain_stage import check_n_brain, learned_subspace
from .resolvent import resolvent
from .task_stage import TaskStage, check_n_task


class Penalties(NamedTuple):
    """Penalties a sample: λ_out outside of the learned subspace, λ_in inside of it."""

    outside: Array
    inside: Array


def two_penalty_risk(
    problem: Problem,
    n_brain: Real,
    n_task: Real,
    penalty: Real | None = None,
    inside_penalty: Real | None = None,
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

    - `n_brain`, `n_task`: sample numbers; they broadcast with each other and with the penalties.
      n_brain at least input_dim + 2; any number of labels, 0 and infinity included.
    - `penalty`: λ_out, at least 0. `inside_penalty`: λ_in, at least 0. `None` takes the best one
      (see `optimal_penalties`). Infinity keeps the weights out of that part.

    Returns the broadcast shape, in the units of ‖β‖². Infinite where unpenalised directions are too
    many for the labels, with n_task at or below their number plus 1. Coarse (5 % off and more) where n_task
    is within two of input_dim, or of latent_dim, and the penalties that matter are next to nothing.

    **Source.** Ours; deterministic equivalent with its first finite-size term: docs/theory.md, "Two
    penalties".
    """
    n_brain, n_task = check_n_brain(problem, n_brain), check_n_task(problem, n_task)
    penalties = []
    for name, number in (("penalty", penalty), ("inside_penalty", inside_penalty)):
        if number is not None:
            number = as_real(name, number, problem.task_noise)
            check_positive(name, number, zero_allowed=True)
        penalties.append(number)
    return _two_penalty_risk(problem, n_brain, n_task, *penalties)


def optimal_penalties(problem: Problem, n_brain: Real, n_task: Real) -> Penalties:
    """The two penalties that minimise the test error.

    λ_out = σ²(d − k)/(n_task E‖K̂β‖²) and λ_in = σ²k/(n_task E‖P̂β‖²): each part is shrunk by its own
    share of the task, as the Bayesian would who knows how much lies where.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> best = jb.optimal_penalties(problem, n_brain=36_000, n_task=10_000)
    >>> print(f"{float(best.outside):.4f} {float(best.inside):.4f}")
    2.4227 0.0484

    Arguments as in `two_penalty_risk`. Infinite where that part holds nothing of the task.

    **Source.** docs/theory.md, "Two penalties".
    """
    n_brain, n_task = check_n_brain(problem, n_brain), check_n_task(problem, n_task)
    return _optimal_penalties(problem, n_brain, n_task)


@jax.jit
def _optimal_penalties(problem, n_brain, n_task):
    missed = learned_subspace(problem, n_brain, None, "finite").misalignment
    noise, kept = problem.task_noise, problem.total_power - missed
    return Penalties(
        outside=_best(noise, problem.outside_dim, missed) / n_task,
        inside=_best(noise, problem.latent_dim, kept) / n_task,
    )


def _best(noise: Array, size: int, power: Array) -> Array:
    """C = σ² size/power, infinite where that part holds nothing of the task."""
    nothing = power <= 0
    return jnp.where(nothing, jnp.inf, noise * size / jnp.where(nothing, 1.0, power))


@jax.jit
def _two_penalty_risk(problem, n_brain, n_task, penalty, inside_penalty):
    missed = learned_subspace(problem, n_brain, None, "finite").misalignment
    if penalty is None and inside_penalty is None:
        return information_stage(problem, missed, n_task).risk
    powers = problem.total_power - missed, missed
    sizes = problem.latent_dim, problem.outside_dim
    noise = problem.task_noise
    limited = ~jnp.isinf(n_task)
    n = jnp.where(limited & (n_task > 0), n_task, 1.0)
    penalties, unlearned = [], jnp.zeros_like(noise)
    for size, power, given in zip(sizes, powers, (inside_penalty, penalty), strict=True):
        if given is None:
            penalties.append(_best(noise, size, power))
            continue
        hard = jnp.isinf(given)
        soft = jnp.where(hard, 1.0, given)
        penalties.append(jnp.where(hard, jnp.inf, n * soft))
        # With unlimited labels a penalty a sample shrinks for ever.
        unlearned += jnp.where(hard, 1.0, soft / (1 + soft)) ** 2 * power
    cells = jnp.broadcast_arrays(*penalties, *powers, n)
    risk = jax.vmap(partial(_risk, sizes, noise))(*(cell.ravel() for cell in cells))
    risk = risk.reshape(cells[0].shape)
    risk = jnp.where(n_task > 0, risk, problem.total_power)
    return jnp.where(limited, risk, unlearned)


def _risk(sizes, noise, c_in, c_out, power_in, power_out, n):
    penalties, counts = jnp.stack([c_in, c_out]), jnp.asarray(sizes, n.dtype)
    powers = jnp.stack([power_in, power_out])
    unpenalised = jnp.sum(jnp.where(penalties > 0, 0.0, counts))
    solvable = (unpenalised == 0) | (n > unpenalised + 1)
    penalties = _capped(jnp.where(solvable, penalties, 1.0), counts, n)

    def traces(c):
        return _block_inverse(c, counts, n)[0]

    # With G = (W + C)⁻¹, the bias C G² C comes from −∂G(C + s)/∂s, the noise tr GWG = tr G − tr GCG from
    # ∂G((1 + s)C)/∂s.
    along = partial(jax.jvp, traces, (penalties,))
    _, shifted = along((jnp.ones_like(penalties),))
    inverse, scaled = along((penalties,))
    bias = jnp.sum(powers * penalties**2 * -shifted)
    risk = bias + noise * jnp.sum(counts * (inverse + scaled))
    return jnp.where(solvable, risk, jnp.inf)


def information_stage(problem: Problem, misalignment: Array, n_task: Array) -> TaskStage:
    """The task stage with the two best penalties, whose risk is σ² E tr (XᵀX + C)⁻¹."""
    noise, k, q = problem.task_noise, problem.latent_dim, problem.outside_dim
    limited = ~jnp.isinf(n_task)
    n = jnp.where(limited, n_task, 1.0)
    inner = _best(noise, k, problem.total_power - misalignment)
    outer = _best(noise, q, misalignment)
    cells = jnp.broadcast_arrays(inner, outer, n)

    def stage(c_in, c_out, n):
        counts = jnp.asarray((k, q), n.dtype)
        c = _capped(jnp.stack([c_in, c_out]), counts, n)
        inverse, extra = _block_inverse(c, counts, n)
        return jnp.sum(counts * inverse), extra

    total, extra = (x.reshape(cells[0].shape) for x in jax.vmap(stage)(*(x.ravel() for x in cells)))
    # tr C/d, what the penalties are worth against least squares when labels abound.
    limit = (k * inner + q * outer) / problem.input_dim
    return TaskStage(jnp.where(limited, noise * total, 0.0), jnp.where(limited, extra, limit))


def _capped(c: Array, counts: Array, n: Array) -> Array:
    # Beyond this a larger penalty no longer changes anything that rounding would leave visible.
    return jnp.minimum(c, (n + jnp.sum(counts)) / jnp.finfo(n.dtype).eps)


def _block_inverse(c: Array, counts: Array, n: Array) -> tuple[Array, Array]:
    """E (W + C)⁻¹ in each block, W ~ Wishart(n), C = c in blocks of these sizes; and d/tr + d + 1 − n.

    x solves x + Σ M x/(C + x) = n, the leading order; Δ in 1/(C + x + Δ) is the first finite-size
    term, to which what follows it in ridge regression with one C of the same x is added.
    """

    def mismatch(x):
        return x + jnp.sum(counts * (x / (c + x))) - n

    # The left side is concave, and x/(C + x) below both 1 and x/C. Hence four bounds from below, from the
    # best of which Newton's method rises to the root.
    bounds = []
    for free in itertools.product((False, True), repeat=2):
        free = jnp.array(free)
        stiff = jnp.sum(jnp.where(free, 0.0, counts / c))
        bounds.append((n - jnp.sum(jnp.where(free, counts, 0.0))) / (1 + stiff))
    x = implicit_root(mismatch, jax.lax.stop_gradient(jnp.max(jnp.stack(bounds))))
    lead = 1 / (c + x)
    s = jnp.sum(counts * c * lead**2)
    common = jnp.sum(counts * c * lead**3) * x / (1 + s) ** 2
    slack = _bounded(common - lead * x / (1 + s), c + x)

    # The one C of ridge regression with the same x; in d − n + x = Σ M C/(C + x) large numbers have gone.
    size, spare = jnp.sum(counts), jnp.sum(counts * c * lead)
    one = spare / jnp.sum(counts * lead)
    s = size * one / (one + x) ** 2
    ridge = resolvent(one, jnp.ones_like(one), size, n)
    ridge_slack = _bounded(-x / (one + x) / (1 + s) ** 2, one + x)
    slack = slack + ridge.excess / ridge.t1 - 1 - one - spare - ridge_slack

    inverse = 1 / (c + x + slack)
    average = jnp.sum(counts * inverse * (c + slack)) / jnp.sum(counts * inverse)
    return inverse, spare + 1 + average


def _bounded(slack: Array, above: Array) -> Array:
    # Where the smallest eigenvalue rules the expansion fails: this much and no more is made of it.
    return jnp.maximum(slack, -2 / 3 * above)
