"""The Wishart resolvent to all digits, against exact arithmetic; its derivatives."""

import functools
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.theory.resolvent import Resolvent, resolvent
from tests.helpers.wishart import moments_at

# (q, n) with q and n apart: tall and wide, small and large.
SIZES = [(36, 76), (20, 30), (40, 160), (40, 25), (12, 90), (8, 20)]


def leading_root(c, q, n):
    """Marchenko-Pastur: the positive root of c t² + (c + n − q) t − q = 0."""
    b = c + n - q
    return (-b + np.sqrt(b**2 + 4 * c * q)) / (2 * c)


WIDE = [10.0**power for power in range(-12, 13, 2)]

SHAPES = [(36, 76), (40, 25), (12, 13), (12, 14), (12, 12), (1, 2), (3000, 5000)]


def exact_slope(function, point):
    step = point * Decimal("1e-30")
    return (function(point + step) - function(point - step)) / (2 * step)


def exact_leading(c, q, n):
    b = c + n - q
    return (-b + (b * b + 4 * c * q).sqrt()) / (2 * c)


def exact_trace(c, q, n):
    """Two finite-size terms of the loop equation, solved order by order, then Padé's form of them.

    c (t² + Var) + (c + n − q − 1) t − q − c dt/dc = 0 with Var = 2 n q/S⁴ at leading order.
    """
    if n < q:
        return (q - n) / c + exact_trace(c, n, q)

    def root(c):
        return ((c + n - q) ** 2 + 4 * c * q).sqrt()

    def first(c):
        return (exact_leading(c, q, n) + c * exact_slope(lambda c: exact_leading(c, q, n), c)) / (
            root(c)
        )

    lead, one = exact_leading(c, q, n), first(c)
    change = c * exact_slope(first, c)
    two = (one - c * one**2 - c * 2 * n * q / root(c) ** 4 + change) / root(c)
    return lead + one / max(1 - two / one, one / lead / 2)


def exact_spread(c, q, n):
    """c² Var tr (W + c)⁻¹ at leading order."""
    return 2 * n * q * c * c / ((c + n - q) ** 2 + 4 * c * q) ** 2


@functools.cache
def exact_curvature(c, q, n):
    with localcontext() as context:
        context.prec = 200
        c, q, n = Decimal(c), Decimal(q), Decimal(n)
        return float(exact_slope(lambda c: exact_slope(lambda c: exact_trace(c, q, n), c), c))


@functools.cache
def exact_moments(c, q, n):
    """t1, its derivatives in c, q and n, and what the task stage makes of them, as floats."""
    with localcontext() as context:
        context.prec = 200
        c, q, n = Decimal(c), Decimal(q), Decimal(n)
        t1 = exact_trace(c, q, n)
        t2 = -exact_slope(lambda c: exact_trace(c, q, n), c)
        return {
            "t1": float(t1),
            "t2": float(t2),
            "slope_q": float(exact_slope(lambda q: exact_trace(c, q, n), q)),
            "slope_n": float(exact_slope(lambda n: exact_trace(c, q, n), n)),
            "c_t2": float(c * t2),
            "c2_t2": float(c * c * t2),
            "noise": float(t1 - c * t2),
            "excess": float(q - (n - q - 1) * t1),
            "noise_excess": float(q - (n - q - 1) * (t1 - c * t2)),
            "c2_t11": float((c * t1) ** 2 + exact_spread(c, q, n)),
        }


@pytest.mark.parametrize(("q", "n"), SHAPES)
def test_trace_and_slopes_keep_their_digits_from_tiny_to_huge_penalties(q, n):
    trace_and_slopes = jax.vmap(
        jax.value_and_grad(jb.wishart_resolvent_trace, (0, 1, 2)), (0, None, None)
    )
    trace, slopes = trace_and_slopes(jnp.array(WIDE), float(q), float(n))
    exact = [exact_moments(c, q, n) for c in WIDE]
    np.testing.assert_allclose(trace, [row["t1"] for row in exact], rtol=1e-12)
    np.testing.assert_allclose(slopes[0], [-row["t2"] for row in exact], rtol=1e-10)
    np.testing.assert_allclose(slopes[1], [row["slope_q"] for row in exact], rtol=1e-10)
    np.testing.assert_allclose(slopes[2], [row["slope_n"] for row in exact], rtol=1e-10)


@pytest.mark.parametrize("name", Resolvent._fields)
def test_resolvent_entry_keeps_its_digits_from_tiny_to_huge_penalties(name):
    """Each entry against its definition from t1 and −dt1/dc, where differences would cancel."""
    c = jnp.array(WIDE)
    for q, n in SHAPES:
        entry = getattr(moments_at(c, q, n), name)
        exact = [exact_moments(c, q, n)[name] for c in WIDE]
        np.testing.assert_allclose(entry, exact, rtol=1e-12, err_msg=f"q={q}, n={n}")


@pytest.mark.parametrize("name", Resolvent._fields)
def test_resolvent_entry_holds_in_single_precision(single_precision, name):
    c = jnp.array(WIDE)
    for q, n in SHAPES:
        entry = getattr(moments_at(c, q, n), name)
        exact = [exact_moments(c, q, n)[name] for c in WIDE]
        assert entry.dtype == jnp.float32
        np.testing.assert_allclose(entry, exact, rtol=2e-6, err_msg=f"q={q}, n={n}")


@pytest.mark.parametrize("name", ["t1", "c_t2", "c2_t2", "noise", "excess", "noise_excess"])
def test_resolvent_entry_is_what_autodiff_of_the_trace_says(name):
    c, q, n = jnp.array([0.1, 1.0, 10.0, 100.0]), 36.0, 76.0
    t1, slope = jax.vmap(jax.value_and_grad(jb.wishart_resolvent_trace), (0, None, None))(c, q, n)
    definition = {
        "t1": t1,
        "c_t2": -c * slope,
        "c2_t2": -(c**2) * slope,
        "noise": t1 + c * slope,
        "excess": (n - q - 1) * (jb.wishart_resolvent_trace(0.0, q, n) - t1),
        "noise_excess": q - (n - q - 1) * (t1 + c * slope),
    }
    np.testing.assert_allclose(getattr(moments_at(c, 36, n), name), definition[name], rtol=1e-10)


@pytest.mark.parametrize(("q", "n"), SHAPES)
def test_trace_and_slope_hold_in_single_precision(single_precision, q, n):
    trace, slope = jax.vmap(jax.value_and_grad(jb.wishart_resolvent_trace), (0, None, None))(
        jnp.array(WIDE), q, n
    )
    exact = [exact_moments(c, q, n) for c in WIDE]
    assert trace.dtype == slope.dtype == jnp.float32
    np.testing.assert_allclose(trace, [row["t1"] for row in exact], rtol=2e-6)
    np.testing.assert_allclose(slope, [-row["t2"] for row in exact], rtol=3e-4)


@pytest.mark.parametrize(("q", "n"), [(36, 76), (40, 25), (12, 13)])
def test_both_ends_of_the_penalty_are_ordinary_points(q, n):
    """At c = ∞ all q directions are unlearned, at c = 0 none is; c enters as a ratio for this."""
    numerator, denominator = jnp.array([1.0, 3.0]), jnp.array([0.0, 0.0])
    infinite = resolvent(numerator, denominator, q, jnp.full(2, float(n)))
    limits = Resolvent(t1=0, c_t2=0, c2_t2=q, c2_t11=q**2, noise=0, excess=q, noise_excess=q)
    for entry, limit in zip(infinite, limits, strict=True):
        np.testing.assert_array_equal(entry, limit)
    if n > q + 1:
        none = resolvent(denominator, numerator, q, jnp.full(2, float(n)))
        inverse = q / (n - q - 1)
        limits = Resolvent(
            t1=inverse, c_t2=0, c2_t2=0, c2_t11=0, noise=inverse, excess=0, noise_excess=0
        )
        for entry, limit in zip(none, limits, strict=True):
            np.testing.assert_allclose(entry, limit, rtol=1e-14)


def test_only_the_ratio_of_the_penalty_matters():
    once = resolvent(jnp.array([0.7]), jnp.array([0.2]), 12, jnp.array([30.0]))
    scaled = resolvent(jnp.array([0.7e20]), jnp.array([0.2e20]), 12, jnp.array([30.0]))
    for entry, same in zip(once, scaled, strict=True):
        np.testing.assert_allclose(entry, same, rtol=1e-14)


@pytest.mark.parametrize("c", [0.5, 5.0, 50.0])
@pytest.mark.parametrize(("q", "n"), SIZES)
def test_derivatives_by_exact_arithmetic_forward_reverse_and_differences(q, n, c):
    trace = jb.wishart_resolvent_trace
    exact = -exact_moments(c, q, n)["t2"]
    forward = jax.jvp(lambda c: trace(c, q, n), (c,), (1.0,))[1]
    step = 1e-5 * c
    differences = (trace(c + step, q, n) - trace(c - step, q, n)) / (2 * step)
    assert float(forward) == pytest.approx(exact, rel=1e-10)
    assert float(jax.grad(trace)(c, q, n)) == pytest.approx(exact, rel=1e-10)
    assert float(jax.jit(jax.grad(trace))(c, q, n)) == pytest.approx(exact, rel=1e-10)
    assert float(differences) == pytest.approx(exact, rel=1e-7)
    root = leading_root(c, q, n)
    leading = -(root**2 + root) / (2 * c * root + c + n - q)
    assert leading != pytest.approx(exact, rel=1e-7)
    # The task stage holds first derivatives, its gradients second ones.
    curvature = exact_curvature(c, q, n)
    assert float(jax.grad(jax.grad(trace))(c, q, n)) == pytest.approx(curvature, rel=1e-10)
    twice = jax.jvp(jax.grad(lambda c: trace(c, q, n)), (c,), (1.0,))[1]
    assert float(twice) == pytest.approx(curvature, rel=1e-10)


def exact_older(c, q, n):
    pull = -c * exact_slope(lambda c: exact_leading(c, q, n), c)
    b = c + n - q - 1
    return (-b + (b * b + 4 * c * (q - pull)).sqrt()) / (2 * c)


@pytest.mark.parametrize(("q", "n"), [(5, 20), (20, 5), (7, 7), (1, 4)])
def test_strong_penalty_expansion_to_the_third_moment(q, n):
    """The term of 1/c⁴ is −E tr W³, of whose three orders in size the form holds all.

    Padé's form adds min(q, n), of an order more; without the variance 2 q n would be missing.
    """
    third = q * n * (n**2 + q**2 + 3 * n * q + 3 * n + 3 * q + 4)
    with localcontext() as context:
        context.prec = 200
        c = Decimal(10) ** 30
        first_two = q / c - q * n / c**2 + q * n * (n + q + 1) / c**3
        moment, older = (
            float((first_two - trace(c, Decimal(q), Decimal(n))) * c**4)
            for trace in (exact_trace, exact_older)
        )
    assert abs(moment - third) < 1.01 * min(q, n)
    assert abs(older - third) > 1.01 * min(q, n)
