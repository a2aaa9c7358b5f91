"""The brain stage: which subspace recordings teach, and how much of the task it misses.

`simulation.task_stage` averages drawn subspaces in the same way on purpose: it checks this one.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arguments import ORDERS, Order, check_n_brain
from .._checks import check_choice
from .._linalg import implicit_root
from .._typing import Real
from ..models import Problem
from ..models.problem import ProblemNumbers, TracedProblem
from ..models.shift import BlockShift
from ._channels import channel_noise
from .accuracy import warn_outside_validated


def expected_misalignment(
    problem: Problem, n_brain: Real, *, order: Order = "finite"
) -> Float[Array, "..."]:
    """How much of the task lies outside the subspace that n_brain recordings teach: E‖K̂β‖².

    It falls in n_brain where all latents are equally noisy and γ > 0, and rises where γ < 0. You
    can differentiate it in `n_brain` and in every number of the problem, and map over problems with
    `jax.vmap`.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.expected_misalignment(problem, 18_000)), 6)
    0.210764

    **Arguments**

    - `problem`: the study.
    - `n_brain`: number of recorded samples, a number or an array. Infinite gives m itself.
    - `order`: `"finite"` is a deterministic equivalent at every n_brain > d + 1. It corrects for
      directions estimated in channel space if the problem knows its channels. `"first"` is the
      paper's large-sample law m + γ/(n_brain − d − 1), which exceeds ‖β‖² near n_brain ~ d.

    **Returns**

    An array of the shape of `n_brain`, in the units of ‖β‖². Entries of an array below d + 2, where
    the encoding stage has no solution to rely on, are NaN.

    Against exact simulation the finite order is within 1 % for n_brain >= 1.5 d and within 3 %
    below. It is less accurate in three corners. An `AccuracyWarning` tells of them where n_brain is
    known:

    - up to 7 % too low from 1.5 d on where channels are noisy and latents are half the inputs or
      more;
    - up to 85 % too high where they are more than three quarters of the inputs;
    - up to 4 % too high at k = 1 and n_brain <= d + 4.

    Without a warning it is up to 2 % too low from 1.5 d on where directions are blurred but not
    lost. docs/accuracy.md has all.

    **Raises**

    `ValueError` that names the argument: one number `n_brain` of input_dim + 1 or fewer, an unknown
    `order`.

    **Source**

    First order: Lewis et al., arXiv:2605.09243, Appendix C.2. Finite: derived here, docs/theory.md,
    "The brain stage".
    """
    check_choice("order", order, ORDERS)
    n_brain = check_n_brain(problem, n_brain)
    if order == "finite":
        warn_outside_validated(problem, n_brain)
    return brain_stage(problem.with_traced_sizes(), n_brain, None, order).misalignment


class SubspaceMoments(NamedTuple):
    """All that the task stage needs to know of a learned subspace.

    P̂ projects on it, K̂ = I − P̂ on what it lacks; Σ is the covariance of the test inputs. Given a
    subspace these are numbers; for subspaces learned from recordings, expectations.
    """

    misalignment: Array
    """‖K̂β‖²."""
    inside: Array
    """tr P̂Σ."""
    outside: Array
    """tr K̂Σ."""
    missed: Array
    """βᵀK̂ΣK̂β."""


def white_moments(problem: ProblemNumbers, misalignment: Array) -> SubspaceMoments:
    """What the task stage needs where test inputs are as white as those trained on."""
    like = jnp.ones_like(misalignment)
    return SubspaceMoments(
        misalignment, problem.latent_dim * like, problem.outside_dim * like, misalignment
    )


def subspace_moments(
    problem: Problem | TracedProblem, n_brain: Array, shift: BlockShift | None, order: str
) -> SubspaceMoments:
    """Expectations over recordings, each of the shape of `n_brain`; NaN for n_brain <= d + 1."""
    problem = problem.with_traced_sizes()
    defined = n_brain > problem.input_dim + 1
    infinite = jnp.isinf(n_brain)
    n = jnp.where(defined & ~infinite, n_brain, 2.0 * problem.input_dim + 2)

    def at(n: Array, infinite: Array, noise: tuple[Array, Array] | None) -> SubspaceMoments:
        if noise is None:
            moments = _first_moments(problem, n)
        else:
            moments = _moments(problem, n, noise, shift is not None)
        lost, lost_twice, turned = (jnp.where(infinite, 0.0, moment) for moment in moments)
        return _expectations(problem, lost, lost_twice, turned, shift)

    unread = (infinite | ~defined).ravel()
    noise = channel_noise(problem, n.ravel(), unread) if order == "finite" else None
    subspace = jax.vmap(at)(n.ravel(), infinite.ravel(), noise)
    return jax.tree.map(lambda x: jnp.where(defined, x.reshape(n.shape), jnp.nan), subspace)


brain_stage = jax.jit(subspace_moments, static_argnames="order")
"""The same as a program of its own: most of compilation, which all that rests on it share."""


def _expectations(
    problem: TracedProblem, lost: Array, lost_twice: Array, turned: Array, shift: BlockShift | None
) -> SubspaceMoments:
    # Outside span(A) nothing distinguishes one direction from another: what P lacks, tr K̂P, is
    # what P̂ holds there, evenly, q directions sharing it.
    k, q, m = problem.latent_dim, problem.outside_dim, problem.misaligned_power
    total = problem.trace(lost)
    missed_aligned = jnp.vdot(problem.aligned_power, lost, precision="highest")
    misalignment = m + (missed_aligned - m * total / q)
    if shift is None:
        return white_moments(problem, misalignment)
    a_sensitive, a_missed, a_rest = shift.sensitive, shift.missed, shift.insensitive
    outer = a_missed + (q - 1) * a_rest
    # βᵀK̂ΣK̂β: inside by K̂PK̂, outside by K̂KK̂ = K̂ − K̂PK̂. Along the missed direction v, by
    # rotation invariance, the mean of (vᵀK̂v)² follows from those of vᵀK̂v and vᵀK̂KK̂v.
    kept = 1 - total / q
    through = missed_aligned - jnp.sum(problem.aligned_power * lost_twice)
    kept_twice = kept - turned
    own = jnp.where(q == 1, kept_twice, (q * kept**2 + 2 * kept_twice) / (q + 2))
    return SubspaceMoments(
        misalignment=misalignment,
        inside=a_sensitive * (k - total) + outer * total / q,
        outside=a_sensitive * total + outer * kept,
        missed=a_sensitive * (missed_aligned - through + m * turned)
        + a_rest * (through + m * kept_twice)
        + (a_missed - a_rest) * (through / q + m * own),
    )


def _first_moments(problem: TracedProblem, n: Array) -> tuple[Array, Array, Array]:
    tilt = problem.encoding_noise / (n - problem.input_dim - 1)
    return problem.outside_dim * tilt, jnp.zeros_like(tilt), problem.trace(tilt)


def _moments(
    problem: TracedProblem, n: Array, noise: tuple[Array, Array], second: bool
) -> tuple[Array, Array, Array]:
    """E AᵀK̂A and E AᵀK̂PK̂A, spectra or matrices as the problem has them, and E vᵀK̂PK̂v outside A.

    `noise` is that of `channel_noise`. The two second moments are zeros unless asked for.
    """
    equivalent = partial(_equivalent, problem, n, partial(_shrinkage, problem, noise))
    untilted = jnp.zeros_like(n)
    if not second:
        lost, _ = equivalent(untilted)
        return lost, jnp.zeros_like(lost), untilted
    # K̂PK̂ = −∂K̂(τ)/∂τ for the inverse K̂(τ) of I + τP on the range of K̂.
    (lost, _), (inner, outer) = jax.jvp(equivalent, (untilted,), (jnp.ones_like(untilted),))
    return lost, -inner, -outer


def _shrinkage(problem: TracedProblem, noise: tuple[Array, Array], a: Array) -> Array:
    """F = aΣ'(I + aΣ')⁻¹ for Σ' = bottom⁻¹ top."""
    top, bottom = noise
    if problem.is_matrix_form:
        return jnp.linalg.solve(bottom + a * top, a * top)
    return a * top / (bottom + a * top)


def _equivalent(problem: TracedProblem, n: Array, shrinkage, tilt: Array) -> tuple[Array, Array]:
    # E K̂(τ) = F/(ω + τ) on span(A) and 1/ω outside. With tr K̂(τ)(I + τP) = q and T = tr K̂(τ), a
    # = (ω + τ) T t1/(d − y), where y = (ω − 1) T = b t1(b; d, n) gives t1 without b: leading order
    # first, then its finite-size term.
    d, q = problem.input_dim, problem.outside_dim

    def outer_weight(total):
        # Positive root of q ω² − h ω − q τ = 0; at τ = 0 it is 1 + tr F/q.
        h = q + (1 + tilt) * total - q * tilt
        return (h + jnp.sqrt(h**2 + 4 * q**2 * tilt)) / (2 * q)

    def mismatch(a):
        total = problem.trace(shrinkage(a))
        omega = outer_weight(total)
        size = q - tilt * total / (omega + tilt)
        y = (omega - 1) * size
        lead = (d - y) / (n - d + y)
        finite = y * (lead + 1) / (2 * y + y / lead + n - d)
        return a - (omega + tilt) * size * (1 - finite / (d - y)) / (n - d - 1 + y)

    half = problem.latent_dim / 2
    lost = shrinkage(implicit_root(mismatch, (q + half) / (n - d - 1 + half)))
    omega = outer_weight(problem.trace(lost))
    return lost / (omega + tilt), 1 / omega
