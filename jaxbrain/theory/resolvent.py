"""Expected resolvent traces of Wishart matrices, in closed form."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import as_floats, check_broadcast, check_finite, check_positive
from .._typing import Real


class Resolvent(NamedTuple):
    """Moments of the resolvent that the task stage needs.

    t1 = E tr (W + c)⁻¹, t2 = E tr (W + c)⁻² and t11 = E [tr (W + c)⁻¹]².

    All at least 0 for whole n and q, and finite for every c from 0 (where t1 is) to infinity.
    """

    t1: Array
    c_t2: Array
    """c t2."""
    c2_t2: Array
    """c² t2: the share of unlearned directions, times q."""
    c2_t11: Array
    """c² t11, with the variance at leading order, 2 n q/((c + n − q)² + 4 c q)².

    Within 1 % for c q >= 4.
    """
    noise: Array
    """t1 − c t2."""
    excess: Array
    """q − (n − q − 1) t1, which is (n − q − 1)(t1 at c = 0 − t1)."""
    noise_excess: Array
    """q − (n − q − 1)(t1 − c t2)."""


@jax.jit
def resolvent(numerator: Array, denominator: Array, q: Array | int, n: Array) -> Resolvent:
    """Moments of the resolvent at c = numerator/denominator, W ~ Wishart_q(n, I).

    Taking c as a ratio keeps both ends, c = 0 and c = ∞, inside the domain: everything below is
    written in r = c/(c + s) and r̄ = 1/(c + s), s = n + q, so that nothing overflows or cancels.
    """
    scale = n + q
    total = numerator + scale * denominator
    r, rc = numerator / total, denominator / total
    # With fewer rows than columns q − n eigenvalues are zero, and the others are those of rows and
    # columns exchanged. Once c outweighs the zeros nothing is gained by telling them apart.
    exchanged = (n < q) & ((r < q * rc) | (n < 1))
    void = jnp.where(exchanged, q - n, 0.0)
    trace = partial(_trace_of_rest, q=jnp.where(exchanged, n, q), n=jnp.where(exchanged, q, n))
    (x, excess, spread), (dx, _, _) = jax.jvp(trace, (r, rc), (scale * r * rc, -r * rc))

    void_trace = void * rc / jnp.where(exchanged, r, 1.0)
    t1 = rc * x + void_trace
    c_t2 = rc * (r * x - dx) + void_trace
    noise = rc * (scale * rc * x + dx)
    return Resolvent(
        t1=t1,
        c_t2=c_t2,
        c2_t2=r * (r * x - dx) + void,
        c2_t11=(r * x + void) ** 2 + spread,
        noise=noise,
        excess=jnp.where(exchanged, q + (void + 1) * t1, excess),
        # Without labels enough, t1 and c t2 are both near void/c: their difference is taken before.
        noise_excess=jnp.where(
            exchanged,
            q + (void + 1) * noise,
            excess + (n - q - 1) * jnp.where(exchanged, 0.0, c_t2),
        ),
    )


def _trace_of_rest(r: Array, rc: Array, q: Array | int, n: Array) -> tuple[Array, Array, Array]:
    """x in E tr (W + c)⁻¹ = r̄ x, q − (n − q − 1) E tr (W + c)⁻¹, and c² Var tr (W + c)⁻¹.

    Padé's form of the first two finite-size terms, t1 = t (1 + ε/(1 − η/ε)), where t is the leading
    root, and t ε and t η are the terms of order 1/n and 1/n²: docs/theory.md, "The resolvent
    trace".
    """
    gap = n - q
    # S = root/r̄ is the square root of the discriminant (c + gap)² + 4 c q; t = r̄ x. In units of
    # it, cu = c/S and ru = 1/S.
    root = jnp.sqrt((r + gap * rc) ** 2 + 4 * r * rc * q)
    x = 2 * q / (r + gap * rc + root)
    t, ct, cu, ru = rc * x, r * x, r / root, rc / root
    # ε = (1 − ρ)/S, where ρ = c t2/t, all at leading order.
    rho = cu * (t + 1)
    epsilon = (ct + gap) * ru**2
    # 1 − η/ε = 1 − ε + second, in which the variance c Var tr (W + c)⁻¹ = 2 c n q/S⁴ is one part.
    slope = (cu * (gap + 2 * q) + gap * (gap * ru)) * ru  # 1 − c S'/S
    variance = ru * cu * n * (1 + (r + gap * rc) / root) / (ct + gap)
    second = ru * (epsilon * ct + cu * (cu + (n + q) * ru)) + variance
    second += rho * (slope - ct * ru) / (ct + gap)
    # Below ε/2 only where n is within one or two of q and c q ≪ 1: the smallest eigenvalue rules,
    # no expansion holds, and this much is a cap on what one makes of it. At c = 0 the form is
    # exact.
    pade = 1 - epsilon + second
    capped = (pade < epsilon / 2) & (r > 0)
    pade = jnp.where(capped, epsilon / 2, pade)

    # q − (n − q − 1) t1 without the difference of two numbers near q.
    nearness = cu * (cu + 2 * ru * (gap + 2 * q)) / (1 + gap * ru)  # 1 − gap/S
    remainder = jnp.where(capped, (1.5 - gap) * epsilon, nearness + gap * ru * rho + second)
    excess = ct * (t + 1) + t * remainder / pade
    return x * (1 + epsilon / pade), excess, 2 * n * q * (cu * ru) ** 2


@jax.jit
def _trace(c: Array, q: Array, n: Array) -> Array:
    infinite = jnp.isinf(c)
    finite = jnp.where(infinite, 1.0, c)
    moments = resolvent(finite, jnp.ones_like(finite), q, n)
    exists = ~(c <= 0) | (n > q + 1)
    return jnp.where(infinite, 0.0, jnp.where(exists, moments.t1, jnp.inf))


def wishart_resolvent_trace(c: Real, q: Real, n: Real) -> Float[Array, "..."]:
    """E tr (W + c I)⁻¹ for a Wishart matrix W of size q with n degrees of freedom.

    This one number carries all that is random about ridge regression on Gaussian inputs. You can
    broadcast, jit, map and differentiate it. Its derivative with respect to `c` is
    −E tr (W + c I)⁻².

    >>> import jaxbrain as jb
    >>> round(float(jb.wishart_resolvent_trace(0.0, 4, 25)), 4)  # exactly q / (n − q − 1)
    0.2

    **Arguments**

    - `c`: the penalty, at least 0.
    - `q`: size of the matrix, greater than 0. It need not be whole.
    - `n`: degrees of freedom, greater than 0. They need not be whole.

    **Returns**

    The trace, of the broadcast shape. At c = 0 it is finite only for n > q + 1, otherwise infinite.

    Its relative error is of order 1/n³: within 0.4 % of simulation for c q >= 4 and 2 % for
    c q >= 1, whatever n. It is coarse only where n is within three of q and c q is below about 0.5.

    **Raises**

    `ValueError` that names the argument: negative numbers, shapes that do not broadcast.

    **Source**

    Derived here: docs/theory.md, "The resolvent trace".
    """
    numbers = as_floats(c=c, q=q, n=n)
    for name, number in zip(("c", "q", "n"), numbers, strict=True):
        check_positive(name, number, zero_allowed=name == "c")
        if name != "c":
            check_finite(name, number)
    check_broadcast(**dict(zip(("c", "q", "n"), numbers, strict=True)))
    return _trace(*numbers)
