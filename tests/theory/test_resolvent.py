"""The trace E tr (W + c)⁻¹ of a Wishart resolvent, against simulation and known limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxbrain as jb
from tests.helpers.statistics import agrees
from tests.helpers.wishart import moments_at

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
    """What c2_t11 adds to (c t1)² where rows and columns are many; half of it is too little."""
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
