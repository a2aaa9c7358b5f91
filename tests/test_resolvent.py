"""The trace E tr (W + c)⁻¹ of a Wishart resolvent, against simulation and exact arithmetic."""

import functools
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxbrain as jb
from jaxbrain.theory.resolvent import resolvent

# (q, n) with q and n apart: tall and wide, small and large.
SIZES = [(36, 76), (20, 30), (40, 160), (40, 25), (12, 90), (8, 20)]
# Documented relative error of the closed form, times size². Largest seen on SIZES: 4.
ORDER_TWO = 5.0


def leading_root(c, q, n):
    """Marchenko-Pastur: the positive root of c t² + (c + n − q) t − q = 0."""
    b = c + n - q
    return (-b + np.sqrt(b**2 + 4 * c * q)) / (2 * c)


def agrees(claim, samples, size, order_two=ORDER_TWO):
    """Whether all claims lie within 4 standard errors plus order_two/size², relative."""
    mean = samples.mean(0)
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    return bool(np.all(np.abs(claim - mean) <= 4 * error + order_two / size**2 * mean))


def wishart_eigenvalues(rng, q, n, draws):
    inputs = rng.standard_normal((draws, n, q))
    return np.linalg.eigvalsh(inputs.transpose(0, 2, 1) @ inputs)


def laguerre_traces(rng, c, q, n, draws):
    """Draws of tr (W + c)⁻¹ from the bidiagonal chi model, without any matrix: (draws, len(c)).

    W has the eigenvalues of the tridiagonal B Bᵀ with independent chi-squared squares of entries,
    plus q − n zeros where n < q. The trace is the derivative of log det, by recursion of pivots.
    """
    small, large = min(q, n), max(q, n)
    diagonal = rng.chisquare(large - np.arange(small), (draws, small))[..., None]
    below = rng.chisquare(np.arange(small - 1, 0, -1), (draws, small - 1))[..., None]
    pivot = diagonal[:, 0] + c
    slope = np.ones_like(pivot)
    trace = (q - small) / c + slope / pivot
    for row in range(1, small):
        ratio = diagonal[:, row - 1] * below[:, row - 1] / pivot
        slope = 1 + ratio * slope / pivot
        pivot = diagonal[:, row] + below[:, row - 1] + c - ratio
        trace = trace + slope / pivot
    return trace


@pytest.mark.parametrize(("q", "n"), SIZES)
def test_agrees_with_eigenvalues_of_simulated_wisharts(q, n):
    rng = np.random.default_rng(q * 1000 + n)
    c = np.array([0.3, 3.0, 30.0, 300.0])
    samples = (1 / (wishart_eigenvalues(rng, q, n, 4000)[..., None] + c)).sum(1)
    assert agrees(np.asarray(jb.wishart_resolvent_trace(c, q, n)), samples, max(q, n))
    assert not agrees(leading_root(c, q, n), samples, max(q, n))


@pytest.mark.parametrize(("q", "n"), [*SIZES, (150, 400), (300, 200)])
def test_agrees_with_the_bidiagonal_chi_model(q, n):
    rng = np.random.default_rng(q * 1000 + n)
    c = np.array([0.3, 3.0, 30.0, 300.0])
    samples = laguerre_traces(rng, c, q, n, 10_000)
    assert agrees(np.asarray(jb.wishart_resolvent_trace(c, q, n)), samples, max(q, n))
    assert not agrees(leading_root(c, q, n), samples, max(q, n))


@pytest.mark.parametrize("size", [20, 60])
@pytest.mark.parametrize("surplus", [-1, 0, 1, 3])
def test_square_wisharts_agree_once_the_penalty_is_felt(size, surplus):
    """The documented worst case, n within a few units of q, is past at c q of order 100."""
    rng = np.random.default_rng(100 * size + surplus)
    c = np.array([100.0, 1000.0]) / size
    samples = laguerre_traces(rng, c, size, size + surplus, 20_000)
    claim = np.asarray(jb.wishart_resolvent_trace(c, size, size + surplus))
    assert agrees(claim, samples, size)
    assert not agrees(leading_root(c, size, size + surplus), samples, size)


@pytest.mark.parametrize(("q", "n"), [(36, 76), (20, 30), (12, 90)])
def test_derivative_is_minus_the_trace_of_the_squared_resolvent(q, n):
    rng = np.random.default_rng(q * 1000 + n)
    c = np.array([3.0, 30.0, 300.0])
    eigenvalues = wishart_eigenvalues(rng, q, n, 4000)[..., None]
    slope = jax.vmap(jax.grad(jb.wishart_resolvent_trace), (0, None, None))(jnp.asarray(c), q, n)
    samples = (1 / (eigenvalues + c) ** 2).sum(1)
    root = leading_root(c, q, n)
    leading = root * (root + 1) / (2 * c * root + c + n - q)
    assert agrees(-np.asarray(slope), samples, max(q, n), 3 * ORDER_TWO)
    assert not agrees(leading, samples, max(q, n), 3 * ORDER_TWO)


@pytest.mark.parametrize("relative_penalty", [0.2, 1.0, 4.0])
def test_error_falls_as_one_over_n_squared(relative_penalty):
    """At q = 1 the trace is E 1/(χ²_n + c), a quadrature: doubling n must quarter the error."""
    sizes = [50, 100, 200]
    errors, leading_errors = [], []
    for n in sizes:
        c = relative_penalty * n
        low, high = stats.chi2.ppf([1e-16, 1 - 1e-15], n)
        exact = integrate.quad(
            lambda w, c, n: stats.chi2.pdf(w, n) / (w + c), low, high, (c, n), epsrel=1e-12
        )[0]
        errors.append(abs(float(jb.wishart_resolvent_trace(c, 1, n)) / exact - 1))
        leading_errors.append(abs(leading_root(c, 1, n) / exact - 1))

    def quarters(errors):
        ratios = np.array(errors[:-1]) / np.array(errors[1:])
        return np.all((ratios > 3.5) & (ratios < 4.5))

    assert quarters(errors)
    assert not quarters(leading_errors)


@pytest.mark.parametrize(("q", "n"), [(1, 3), (4, 25), (30, 32), (500, 2000)])
def test_without_penalty_it_is_the_exact_inverse_wishart_mean(q, n):
    exact = q / (n - q - 1)
    assert float(jb.wishart_resolvent_trace(0.0, q, n)) == pytest.approx(exact, rel=1e-14)
    assert float(jb.wishart_resolvent_trace(1e-13, q, n)) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(("q", "n"), [(20, 60), (40, 200), (200, 800)])
def test_slope_without_penalty_is_the_inverse_wishart_second_moment(q, n):
    exact = q * (n - 1) / ((n - q) * (n - q - 1) * (n - q - 3))
    leading = q * n / (n - q) ** 3
    slope = -float(jax.grad(jb.wishart_resolvent_trace)(0.0, q, n))
    assert slope == pytest.approx(exact, rel=3 * ORDER_TWO / (n - q) ** 2)
    assert leading != pytest.approx(exact, rel=3 * ORDER_TWO / (n - q) ** 2)


@pytest.mark.parametrize(("q", "n"), [(5, 5), (5, 6), (5, 3), (1, 1)])
def test_without_penalty_the_mean_does_not_exist_below_q_plus_two(q, n):
    assert float(jb.wishart_resolvent_trace(0.0, q, n)) == np.inf


@pytest.mark.parametrize(("q", "n"), [(5, 20), (20, 5), (7, 7)])
def test_strong_penalty_expansion(q, n):
    """E tr (W + c)⁻¹ = q/c − E tr W/c² + E tr W²/c³ − …, with E tr W² = q n (n + q + 1)."""
    c = 1e4 * (n + q)
    first = q / c - q * n / c**2
    remainder = 20 * q * n * (n + q) ** 2 / c**4
    trace = float(jb.wishart_resolvent_trace(c, q, n))
    assert abs(trace - first - q * n * (n + q + 1) / c**3) < remainder + 1e-15 * trace
    assert abs(trace - first - q * n * (n + q) / c**3) > remainder + 1e-15 * trace


def test_infinite_penalty_leaves_nothing():
    assert float(jb.wishart_resolvent_trace(np.inf, 7, 20)) == 0
    for argument in (0, 1, 2):
        assert float(jax.grad(jb.wishart_resolvent_trace, argument)(np.inf, 7.0, 20.0)) == 0


@pytest.mark.parametrize("n", [20, 3])
def test_nan_stays_nan(n):
    assert np.isnan(jax.jit(jb.wishart_resolvent_trace)(np.nan, 7, n))
    with pytest.raises(ValueError, match="c must be at least 0"):
        jb.wishart_resolvent_trace(np.nan, 7, n)


# Exact arithmetic: the same quadratics with a hundred digits, derivatives by finite differences.

WIDE = [10.0**power for power in range(-12, 13, 2)]
SHAPES = [(36, 76), (40, 25), (12, 13), (12, 14), (12, 12), (1, 2), (3000, 5000)]


def exact_root(c, b, free):
    return (-b + (b * b + 4 * c * free).sqrt()) / (2 * c)


def exact_slope(function, point):
    step = point * Decimal("1e-25")
    return (function(point + step) - function(point - step)) / (2 * step)


def exact_leading(c, q, n):
    return exact_root(c, c + n - q, q)


def exact_trace(c, q, n):
    y = -c * exact_slope(lambda c: exact_leading(c, q, n), c)
    return exact_root(c, c + n - q - 1, q - y)


@functools.cache
def exact_moments(c, q, n):
    """t1, its derivatives in c, q and n, and c (t1² + t1 + t2 at leading order), as floats."""
    with localcontext() as context:
        context.prec = 120
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


@pytest.mark.parametrize("name", ["t1", "c_t2", "c2_t2", "noise", "excess"])
def test_resolvent_entry_keeps_its_digits_from_tiny_to_huge_penalties(name):
    """Each entry against its definition from t1 and −dt1/dc, where differences would cancel."""
    c = jnp.array(WIDE)
    for q, n in SHAPES:
        entry = getattr(resolvent(c, jnp.ones_like(c), q, jnp.full_like(c, n)), name)
        exact = [exact_moments(c, q, n)[name] for c in WIDE]
        np.testing.assert_allclose(entry, exact, rtol=1e-12, err_msg=f"q={q}, n={n}")


@pytest.mark.parametrize("name", ["t1", "c_t2", "c2_t2", "noise", "excess"])
def test_resolvent_entry_holds_in_single_precision(single_precision, name):
    c = jnp.array(WIDE)
    for q, n in SHAPES:
        entry = getattr(resolvent(c, jnp.ones_like(c), q, jnp.full_like(c, n)), name)
        exact = [exact_moments(c, q, n)[name] for c in WIDE]
        assert entry.dtype == jnp.float32
        np.testing.assert_allclose(entry, exact, rtol=2e-6, err_msg=f"q={q}, n={n}")


@pytest.mark.parametrize("name", ["t1", "c_t2", "c2_t2", "noise", "excess"])
def test_resolvent_entry_is_what_autodiff_of_the_trace_says(name):
    c, q, n = jnp.array([0.1, 1.0, 10.0, 100.0]), 36.0, 76.0
    t1, slope = jax.vmap(jax.value_and_grad(jb.wishart_resolvent_trace), (0, None, None))(c, q, n)
    definition = {
        "t1": t1,
        "c_t2": -c * slope,
        "c2_t2": -(c**2) * slope,
        "noise": t1 + c * slope,
        "excess": (n - q - 1) * (jb.wishart_resolvent_trace(0.0, q, n) - t1),
    }
    entry = getattr(resolvent(c, jnp.ones_like(c), 36, jnp.full_like(c, n)), name)
    np.testing.assert_allclose(entry, definition[name], rtol=1e-10)


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
    for entry, limit in zip(infinite, (0, 0, q, 0, q), strict=True):
        np.testing.assert_array_equal(entry, limit)
    if n > q + 1:
        none = resolvent(denominator, numerator, q, jnp.full(2, float(n)))
        inverse = q / (n - q - 1)
        for entry, limit in zip(none, (inverse, 0, 0, inverse, 0), strict=True):
            np.testing.assert_allclose(entry, limit, rtol=1e-14)


def test_only_the_ratio_of_the_penalty_matters():
    once = resolvent(jnp.array([0.7]), jnp.array([0.2]), 12, jnp.array([30.0]))
    scaled = resolvent(jnp.array([0.7e20]), jnp.array([0.2e20]), 12, jnp.array([30.0]))
    for entry, same in zip(once, scaled, strict=True):
        np.testing.assert_allclose(entry, same, rtol=1e-14)


def hand_slope(c, q, n):
    """dt1/dc by implicit differentiation of both quadratics, on paper."""
    lead = leading_root(c, q, n)
    weight = 2 * c * lead + c + n - q
    lead_1 = -(lead**2 + lead) / weight
    lead_2 = -2 * lead_1 * (2 * lead + 1 + c * lead_1) / weight
    y, y_1 = -c * lead_1, -lead_1 - c * lead_2
    b = c + n - q - 1
    t = (-b + np.sqrt(b**2 + 4 * c * (q - y))) / (2 * c)
    return -(t**2 + t + y_1) / (2 * c * t + b)


@pytest.mark.parametrize("c", [0.5, 5.0, 50.0])
@pytest.mark.parametrize(("q", "n"), SIZES)
def test_derivative_by_hand_forward_reverse_and_differences(q, n, c):
    trace = jb.wishart_resolvent_trace
    hand = hand_slope(c, q, n)
    forward = jax.jvp(lambda c: trace(c, q, n), (c,), (1.0,))[1]
    step = 1e-5 * c
    differences = (trace(c + step, q, n) - trace(c - step, q, n)) / (2 * step)
    assert float(forward) == pytest.approx(hand, rel=1e-10)
    assert float(jax.grad(trace)(c, q, n)) == pytest.approx(hand, rel=1e-10)
    assert float(jax.jit(jax.grad(trace))(c, q, n)) == pytest.approx(hand, rel=1e-10)
    assert float(differences) == pytest.approx(hand, rel=1e-7)
    root = leading_root(c, q, n)
    leading = -(root**2 + root) / (2 * c * root + c + n - q)
    assert leading != pytest.approx(hand, rel=1e-7)


def test_arguments_broadcast_and_map_like_a_loop():
    c, q, n = np.array([[0.5], [5.0]]), np.array([[4.0, 9.0, 30.0]]), 25
    table = jb.wishart_resolvent_trace(c, q, n)
    assert table.shape == (2, 3)
    mapped = jax.vmap(jb.wishart_resolvent_trace, (0, None, None))(
        jnp.asarray(c[:, 0]), jnp.asarray(q[0]), n
    )
    for row in range(2):
        for column in range(3):
            one = float(jb.wishart_resolvent_trace(c[row, 0], q[0, column], n))
            assert float(table[row, column]) == pytest.approx(one, rel=1e-14)
            assert float(mapped[row, column]) == pytest.approx(one, rel=1e-14)


def test_complex_penalty_is_refused_by_name():
    with pytest.raises(ValueError, match="c must hold real numbers"):
        jb.wishart_resolvent_trace(np.array([1j]), 4, 25)
