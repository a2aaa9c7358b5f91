"""Expected resolvent traces of Wishart matrices, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import as_floats, check_positive
from .._typing import Real


class Resolvent(NamedTuple):
    """What the task stage needs of t1 = E tr (W + c)⁻¹ and t2 = E tr (W + c)⁻²; all >= 0.

    Each entry is finite for every c from 0 (where t1 is) to infinity.
    """

    t1: Array
    c_t2: Array
    """c t2."""
    c2_t2: Array
    """c² t2: the share of unlearned directions, times q."""
    noise: Array
    """t1 − c t2."""
    excess: Array
    """(N − q − 1)(t1 at c = 0 − t1) = c (t1² + t1 + t2 at leading order)."""


def resolvent(numerator: Array, denominator: Array, q: Array | int, n: Array) -> Resolvent:
    """Moments of the resolvent at c = numerator/denominator, W ~ Wishart_q(n, I).

    Taking c as a ratio keeps both ends, c = 0 and c = ∞, inside the domain: everything below is
    written in r = c/(1 + c) and r̄ = 1/(1 + c), with t = r̄ x, so that nothing overflows or cancels.

    Leading order (Marchenko and Pastur): c t² + (c + n − q) t − q = 0.
    With the first finite-size term of the real Wishart loop equation:
    c t² + (c + n − q − 1) t − q + y = 0, y = −c dt_lead/dc.
    """
    total = numerator + denominator
    r, rc = numerator / total, denominator / total

    lead_x, lead_root = _positive_root(r, rc, (n - q) * rc + r, jnp.zeros_like(r), q)
    lead_t = rc * lead_x
    y = r * lead_t * (lead_t + 1) / lead_root  # c t2 at leading order

    x, root = _positive_root(r, rc, (n - q - 1) * rc + r, y, q)
    t = rc * x
    # dy/dc = t2_lead + c dt2_lead/dc, by differentiating the quadratics once more.
    lead_sum = (n + q) * rc + r
    curvature = y * ((2 * lead_t + 1) + lead_sum / lead_root) / lead_root
    z = x * (t + 1) + lead_x * (lead_t + 1) * rc / lead_root - curvature
    c_t2 = r * rc * z / root
    # t1 − c t2 without their difference: (q − c t)(t + 1) = (n − 1) t + y, and the same at leading
    # order with n t.
    lead_noise = rc * n * lead_t / ((lead_t + 1) * lead_root)
    noise = (
        rc
        * (((n - 1) * t + y) / (t + 1) - 2 * r * lead_noise * (lead_noise + 1) / lead_root)
        / root
    )
    return Resolvent(
        t1=t,
        c_t2=c_t2,
        c2_t2=r**2 * z / root,
        noise=noise,
        excess=r * x * (t + 1) + y,
    )


def _positive_root(r: Array, rc: Array, b: Array, y: Array, q: Array | int) -> tuple[Array, Array]:
    # Root t = rc x of c t² + b' t − (q − y) = 0 with b' = b/rc, and the square root of the
    # discriminant, times rc. For b > 0 and b <= 0 each form adds numbers of one sign.
    root = jnp.sqrt(b**2 + 4 * r * rc * (q - y))
    positive = b > 0
    for_positive = 2 * (q - y) / jnp.where(positive, b + root, 1.0)
    for_negative = (root - b) / jnp.where(positive, 1.0, 2 * r * rc)
    return jnp.where(positive, for_positive, for_negative), root


def leading_t2(c: Array, q: Array | int, n: Array) -> Array:
    """E tr (W + c)⁻² at leading order, for c > 0."""
    r, rc = c / (1 + c), 1 / (1 + c)
    x, root = _positive_root(r, rc, (n - q) * rc + r, jnp.zeros_like(r), q)
    t = rc * x
    return rc * t * (t + 1) / root


@jax.jit
def _trace(c: Array, q: Array, n: Array) -> Array:
    infinite = jnp.isinf(c)
    finite = jnp.where(infinite, 1.0, c)
    moments = resolvent(finite, jnp.ones_like(finite), q, n)
    exists = ~(c <= 0) | (n > q + 1)
    return jnp.where(infinite, 0.0, jnp.where(exists, moments.t1, jnp.inf))


def wishart_resolvent_trace(c: Real, q: Real, n: Real) -> Float[Array, "..."]:
    """E tr (W + c I)⁻¹ for a Wishart matrix W of size q with n degrees of freedom.

    This one number carries all that is random about ridge regression on Gaussian inputs. Everything
    broadcasts, jits, vmaps and differentiates; the derivative with respect to `c` is
    −E tr (W + c I)⁻².

    >>> import jaxbrain as jb
    >>> round(float(jb.wishart_resolvent_trace(0.0, 4, 25)), 4)  # exactly q / (n − q − 1)
    0.2

    - `c`: at least 0. At 0 the trace is finite only for n > q + 1, otherwise infinite.
    - `q`: size of the matrix. `n`: degrees of freedom; neither needs to be whole.

    Relative error of order 1/n²: it neglects c Var tr (W + c)⁻¹. Worst where q and n are within a
    few units of each other and c q is below about 10.

    **Source.** Derived here: docs/theory.md, "The resolvent trace".
    """
    numbers = as_floats(c=c, q=q, n=n)
    for name, number in zip(("c", "q", "n"), numbers, strict=True):
        check_positive(name, number, zero_allowed=name == "c")
    return _trace(*numbers)
