"""The brain stage: how much of the task the subspace learned from recordings misses."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import as_real, check_choice, is_concrete
from .._linalg import implicit_root, spectral_function
from .._typing import Real
from ..models import LinearGaussianModel, Problem
from .resolvent import resolvent

ORDERS = ("finite", "first")

# Up to here the expansion to second order and the form that needs none differ by less than 1 %.
# Beyond it the expansion goes astray, in the end by missing more directions than there are outside.
_FEW_LATENTS = 1 / 8


def expected_misalignment(
    problem: Problem, n_brain: Real, *, order: str = "finite"
) -> Float[Array, "..."]:
    """How much of the task lies outside the subspace that n_brain recordings teach: E‖K̂β‖².

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
    >>> round(float(jb.expected_misalignment(problem, 18_000)), 6)
    0.210946

    - `n_brain`: number of recorded samples, a number or an array. Infinite gives m itself. One
      number below d + 2, where the encoding stage has no solution to rely on, is an error; such
      entries of an array give NaN.
    - `order="finite"`: deterministic equivalent at every n_brain > d + 1, with the correction for
      directions estimated in channel space if the problem knows its channels. Within 1 % of
      simulation in most settings and 3 % in all but a few; 6 % seen where recordings are so noisy
      that directions are about to be lost, and up to 9 % at k = d − 1.
    - `order="first"`: m + γ/(n_brain − d − 1), the paper's large-sample law, which exceeds ‖β‖²
      near n_brain ~ d.

    Returns an array of the shape of `n_brain`, in the units of ‖β‖². Differentiable in `n_brain` and
    in every number of the problem; to map over problems use `jax.vmap`.

    **Source.** First order: Lewis et al., arXiv:2605.09243, Appendix C.2. Finite: derived here,
    docs/theory.md, "The brain stage".
    """
    check_choice("order", order, ORDERS)
    return _expected_misalignment(problem, check_n_brain(problem, n_brain), order)


def check_problem(problem: Problem) -> None:
    """Raise unless this is one problem: not a model, and not a stack of problems."""
    if isinstance(problem, LinearGaussianModel):
        raise ValueError("problem is a LinearGaussianModel: pass model.problem(), its summary")
    if not isinstance(problem, Problem):
        raise ValueError(
            f"problem must be a jaxbrain.Problem, but it is a {type(problem).__name__}"
        )
    if problem.task_noise.ndim:
        raise ValueError("problem is a stack of problems: map over them with jax.vmap")


def check_n_brain(problem: Problem, n_brain: Real) -> Array:
    """The sample number as an array; raises on a single known number that is too small."""
    check_problem(problem)
    number = as_real("n_brain", n_brain, problem.task_noise)
    least = problem.input_dim + 1
    if number.ndim == 0 and is_concrete(number) and not number > least:
        raise ValueError(
            f"n_brain must be greater than input_dim + 1 = {least}, but it is {float(number):g}: "
            "record more, or describe the inputs by fewer components"
        )
    return number


@partial(jax.jit, static_argnames="order")
def _expected_misalignment(problem: Problem, n_brain: Array, order: str) -> Array:
    d, q = problem.input_dim, problem.outside_dim
    defined = n_brain > d + 1
    infinite = jnp.isinf(n_brain)
    n = jnp.where(defined & ~infinite, n_brain, 2.0 * d + 2)
    if order == "first":
        missed = problem.misaligned_power + problem.gamma / (n - d - 1)
    else:
        lost, lost_aligned = jax.vmap(partial(_lost_directions, problem))(n.ravel())
        # With E P̂ = Π on the sensitive subspace and tr P̂ = k, all that Π lacks spreads evenly
        # over the q insensitive directions.
        m = problem.misaligned_power
        missed = (m + lost_aligned - lost * m / q).reshape(n.shape)
    missed = jnp.where(infinite, problem.misaligned_power, missed)
    return jnp.where(defined, missed, jnp.nan)


def _lost_directions(problem: Problem, n: Array) -> tuple[Array, Array]:
    """tr(I − Π) and Σ c² (1 − π): how much of the sensitive subspace, and of the task, is missed."""
    shrinkage = _matrix_shrinkage if problem.is_matrix_form else _spectrum_shrinkage
    kept_and_lost = shrinkage(problem, n)
    trace = jnp.trace if problem.is_matrix_form else jnp.sum
    times = jnp.matmul if problem.is_matrix_form else jnp.multiply

    if problem.latent_dim <= _FEW_LATENTS * problem.input_dim:
        missing = _second_order(problem, n, kept_and_lost, trace, times)
    else:
        missing = _free(problem, n, kept_and_lost, trace)
    return trace(missing), jnp.sum(problem.aligned_power * missing)


def _second_order(problem: Problem, n: Array, kept_and_lost, trace, times) -> Array:
    # a = t1(b; d, n) with b = tr Σ'(I + a Σ')⁻¹ = tr F / a, where D = kept and F = I − D = lost.
    def mismatch(a):
        b = trace(kept_and_lost(a)[1]) / a
        return a - resolvent(b, jnp.ones_like(b), problem.input_dim, n).t1

    a = implicit_root(mismatch, problem.input_dim / (n - problem.input_dim - 1))
    kept, lost = kept_and_lost(a)
    tau = trace(lost) / problem.input_dim
    delta = trace(kept) / problem.input_dim
    # I − Π for Π = D + τ F² + δ D F.
    return lost - tau * times(lost, lost) - delta * times(kept, lost)


def _free(problem: Problem, n: Array, kept_and_lost, trace) -> Array:
    # I − Π = F/(1 + tr F/q) at a = (t/(d − tr F)) (q + tr F), t = t1(b; d, n), b t = tr F. The quadratic
    # of t1 gives t without b: leading order first, then its finite-size term y = b t2.
    d, q = problem.input_dim, problem.outside_dim

    def mismatch(a):
        lost = trace(kept_and_lost(a)[1])
        lead = (d - lost) / (n - d + lost)
        y = lost * (lead + 1) / (2 * lost + lost / lead + n - d)
        return a - (q + lost) / (n - d - 1 + lost) * (1 - y / (d - lost))

    half = problem.latent_dim / 2
    lost = kept_and_lost(implicit_root(mismatch, (q + half) / (n - d - 1 + half)))[1]
    return lost / (1 + trace(lost) / q)


def _confusion_root(spread: int, strength: Array, noise: Array) -> Array:
    """√ε, where ε = 1 − α² is the squared sine between estimated and true channel direction.

    `strength`: eigenvalues of G = Hk(n I + d Σz)Hkᵀ. At ε = 1 the direction is lost in the noise.
    """
    return jnp.minimum(spread**0.5 * noise / strength, 1.0)


def _spread(problem: Problem) -> int:
    if problem.recording_dim is None:
        return 0
    return problem.input_dim * (problem.recording_dim - problem.latent_dim)


def _spectrum_shrinkage(problem: Problem, n: Array):
    # s' = s + (g + e) ε/(1 − ε) is infinite for lost directions: kept as a ratio s' = top/bottom.
    d, v = problem.input_dim, problem.latent_noise
    e = problem.recording_noise / problem.gain
    g = n / d + v
    confusion = (
        _confusion_root(_spread(problem), problem.gain * g * d, problem.recording_noise) ** 2
    )
    bottom = 1 - confusion
    top = (v + e) * bottom + (g + e) * confusion

    def kept_and_lost(a):
        return bottom / (bottom + a * top), a * top / (bottom + a * top)

    return kept_and_lost


def _matrix_shrinkage(problem: Problem, n: Array):
    # Σ' = Σenc + Hk⁻¹ ψ χ⁻¹ ψ Hk⁻ᵀ with ψ² = (G/d + σr² I) ε and χ = 1 − ε, both functions of
    # G = Hk(n I + d Σz)Hkᵀ, HkᵀHk = HᵀH. Lost directions have χ = 0, hence Woodbury.
    d, spread = problem.input_dim, _spread(problem)
    eye = jnp.eye(problem.latent_dim, dtype=problem.gain.dtype)
    lower = jnp.linalg.cholesky(problem.gain)
    strength = lower.T @ (n * eye + d * problem.latent_noise) @ lower

    def psi(g, noise):
        return jnp.sqrt(g / d + noise) * _confusion_root(spread, g, noise)

    def chi(g, noise):
        return 1 - _confusion_root(spread, g, noise) ** 2

    outer = jnp.linalg.solve(lower.T, spectral_function(psi, strength, problem.recording_noise))
    chi_matrix = spectral_function(chi, strength, problem.recording_noise)
    encoding_noise = problem.encoding_noise

    def kept_and_lost(a):
        inverse = jnp.linalg.inv(eye + a * encoding_noise)
        confused = inverse @ outer
        correction = confused @ jnp.linalg.solve(chi_matrix / a + outer.T @ confused, confused.T)
        return inverse - correction, a * encoding_noise @ inverse + correction

    return kept_and_lost
