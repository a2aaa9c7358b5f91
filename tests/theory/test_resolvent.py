"""The trace E tr (W + c)⁻¹ of a Wishart resolvent, against simulation and exact arithmetic."""

import functools
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxbrain as jb
from jaxbrain.theory.resolvent import Resolvent, resolvent

# (q, n) with q and n apart: tall and wide, small and large.
SIZES = [(36, 76), (20, 30), (40, 160), (40, 25), (12, 90), (8, 20)]
# Documented relative error of the closed form, times size³. Largest seen on SIZES: 12.
ORDER_THREE = 15.0


def leading_root(c, q, n):
    """Marchenko-Pastur: the positive root of c t² + (c + n − q) t − q = 0."""
    b = c + n - q
    return (-b + np.sqrt(b**2 + 4 * c * q)) / (2 * c)


def older_root(c, q, n):
    """One finite-size term: the root of c t² + (c + n − q − 1) t − q + c t2_lead = 0."""
    lead = leading_root(c, q, n)
    pull = c * lead * (lead + 1) / np.sqrt((c + n - q) ** 2 + 4 * c * q)
    b = c + n - q - 1
    return (-b + np.sqrt(b**2 + 4 * c * (q - pull))) / (2 * c)


def moments_at(c, q, n):
    c = jnp.asarray(c)
    return resolvent(c, jnp.ones_like(c), q, jnp.full_like(c, n))


def agrees(claim, samples, allowance):
    """Whether all claims lie within 4 standard errors plus a relative allowance."""
    mean = samples.mean(0)
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    return bool(np.all(np.abs(claim - mean) <= 4 * error + allowance * mean))


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
    allowance = ORDER_THREE / max(q, n) ** 3
    assert agrees(np.asarray(jb.wishart_resolvent_trace(c, q, n)), samples, allowance)
    assert not agrees(leading_root(c, q, n), samples, allowance)


@pytest.mark.parametrize(("q", "n"), [*SIZES, (150, 400), (300, 200)])
def test_agrees_with_the_bidiagonal_chi_model(q, n):
    rng = np.random.default_rng(q * 1000 + n)
    c = np.array([0.3, 3.0, 30.0, 300.0])
    samples = laguerre_traces(rng, c, q, n, 20_000)
    allowance = ORDER_THREE / max(q, n) ** 3
    assert agrees(np.asarray(jb.wishart_resolvent_trace(c, q, n)), samples, allowance)
    assert not agrees(leading_root(c, q, n), samples, allowance)


@pytest.mark.parametrize("q", [6, 30])
@pytest.mark.parametrize("surplus", [-2, -1, 0, 1, 2, 3, 4])
def test_square_wisharts_agree_once_the_penalty_is_felt(q, surplus):
    """n within a few units of q: 0.4 % for c q from 4, 2 % from 1, as documented."""
    rng = np.random.default_rng(100 * q + surplus)
    n = q + surplus
    weak, strong = np.array([1.0, 2.0, 3.0]) / q, np.array([4.0, 8.0, 15.0, 30.0]) / q
    samples = laguerre_traces(rng, np.append(weak, strong), q, n, 100_000)
    assert agrees(np.asarray(jb.wishart_resolvent_trace(weak, q, n)), samples[:, :3], 0.02)
    assert agrees(np.asarray(jb.wishart_resolvent_trace(strong, q, n)), samples[:, 3:], 0.004)
    for shorter in (leading_root, older_root):
        assert not agrees(shorter(strong, q, n), samples[:, 3:], 0.004)
        # Each cell on its own, while the smallest eigenvalue is felt.
        assert not agrees(shorter(strong[:1], q, n), samples[:, 3:4], 0.004)


@pytest.mark.parametrize("q", [6, 30])
@pytest.mark.parametrize("surplus", [-2, -1, 0, 1, 2, 3, 4])
def test_square_of_the_trace_agrees_with_simulation(q, surplus):
    """Its variance is that of leading order: 1 % for c q from 4, 5 % from 1."""
    rng = np.random.default_rng(100 * q + surplus + 50)
    n = q + surplus
    for low, high, allowance in ((1, 3, 0.05), (4, 30, 0.01)):
        c = np.geomspace(low, high, 4) / q
        samples = (c * laguerre_traces(rng, c, q, n, 50_000)) ** 2
        moments = moments_at(c, q, n)
        assert agrees(np.asarray(moments.c2_t11), samples, allowance)
        if surplus >= 0:  # below, most of the trace is that of the zeros, which do not vary
            without_variance = (c * np.asarray(moments.t1)) ** 2
            assert not agrees(without_variance, samples, allowance)


@pytest.mark.parametrize(("q", "n"), [(36, 76), (40, 160), (40, 25), (150, 400), (300, 200)])
def test_variance_of_the_trace_agrees_with_simulation(q, n):
    """What c2_t11 adds to (c t1)², where rows and columns are many; half of it would be too little."""
    rng = np.random.default_rng(q * 1000 + n)
    c = np.array([0.3, 1.0, 3.0]) * q
    samples = c * laguerre_traces(rng, c, q, n, 20_000)
    moments = moments_at(c, q, n)
    claim = np.asarray(moments.c2_t11) - (c * np.asarray(moments.t1)) ** 2
    squares = (samples - samples.mean(0)) ** 2
    assert agrees(claim, squares, 0.02)
    assert not agrees(claim / 2, squares, 0.02)


@pytest.mark.parametrize(("q", "n"), [(36, 76), (20, 30), (12, 90)])
def test_derivative_is_minus_the_trace_of_the_squared_resolvent(q, n):
    rng = np.random.default_rng(q * 1000 + n)
    c = np.array([3.0, 30.0, 300.0])
    eigenvalues = wishart_eigenvalues(rng, q, n, 4000)[..., None]
    slope = jax.vmap(jax.grad(jb.wishart_resolvent_trace), (0, None, None))(jnp.asarray(c), q, n)
    samples = (1 / (eigenvalues + c) ** 2).sum(1)
    root = leading_root(c, q, n)
    leading = root * (root + 1) / (2 * c * root + c + n - q)
    allowance = 3 * ORDER_THREE / max(q, n) ** 3
    assert agrees(-np.asarray(slope), samples, allowance)
    assert not agrees(leading, samples, allowance)


def doubled(error_of, sizes):
    errors = np.array([error_of(n) for n in sizes])
    return errors[:-1] / errors[1:]


@pytest.mark.parametrize("relative_penalty", [0.05, 0.2, 1.0, 4.0])
def test_error_falls_as_one_over_n_cubed(relative_penalty):
    """At q = 1 the trace is E 1/(χ²_n + c), a quadrature: doubling n divides the error by eight."""

    def exact(n):
        c = relative_penalty * n
        low, high = stats.chi2.ppf([1e-16, 1 - 1e-15], n)
        return integrate.quad(
            lambda w: stats.chi2.pdf(w, n) / (w + c), low, high, epsrel=1e-13, epsabs=0
        )[0]

    def ratios(trace):
        sizes = [50, 100, 200]
        return doubled(
            lambda n: abs(float(trace(relative_penalty * n, 1, n)) / exact(n) - 1), sizes
        )

    np.testing.assert_allclose(ratios(jb.wishart_resolvent_trace), 8, rtol=0.1)
    np.testing.assert_allclose(ratios(older_root), 4, rtol=0.1)
    np.testing.assert_allclose(ratios(leading_root), 2, rtol=0.1)


@pytest.mark.parametrize(("q", "n"), [(1, 3), (4, 25), (30, 32), (500, 2000)])
def test_without_penalty_it_is_the_exact_inverse_wishart_mean(q, n):
    exact = q / (n - q - 1)
    assert float(jb.wishart_resolvent_trace(0.0, q, n)) == pytest.approx(exact, rel=1e-14)
    assert float(jb.wishart_resolvent_trace(1e-13, q, n)) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(("q", "n"), [(8, 20), (20, 60), (40, 200), (200, 800)])
def test_slope_without_penalty_is_the_inverse_wishart_second_moment(q, n):
    exact = q * (n - 1) / ((n - q) * (n - q - 1) * (n - q - 3))
    leading = q * n / (n - q) ** 3
    step = 1e-4 * (n - q) / q
    older = (older_root(step, q, n) - older_root(2 * step, q, n)) / step
    slope = -float(jax.grad(jb.wishart_resolvent_trace)(0.0, q, n))
    allowance = 20 / (n - q) ** 3
    assert slope == pytest.approx(exact, rel=allowance)
    assert leading != pytest.approx(exact, rel=allowance)
    assert older != pytest.approx(exact, rel=allowance)


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
    with pytest.raises(ValueError, match="c must be a number, but it is nan"):
        jb.wishart_resolvent_trace(np.nan, 7, n)


# Exact arithmetic: the same expansion with two hundred digits, derivatives by finite differences.

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
