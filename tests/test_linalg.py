"""Linear algebra behind the closed forms: values, and derivatives that survive degenerate spectra.

Oracles are NumPy and SciPy: eigendecompositions, Schur and Padé algorithms, Fréchet derivatives,
bracketing root finders, and central differences of them.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

from jaxbrain._linalg import (
    covariance_factor,
    implicit_root,
    inverse_of_covariance,
    leading_eigenspace,
    spectral_function,
)
from tests.helpers.derivatives import central_difference

EPS = np.finfo(float).eps


def symmetric_matrix(rng, eigenvalues):
    vectors = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))[0]
    matrix = (vectors * np.asarray(eigenvalues, float)) @ vectors.T
    return (matrix + matrix.T) / 2


def symmetric_direction(rng, size):
    direction = rng.normal(size=(size, size))
    return (direction + direction.T) / 2


def projector_oracle(matrix, rank):
    vectors = np.linalg.eigh(matrix)[1][:, -rank:]
    return vectors @ vectors.T


def projector(matrix, rank):
    basis = leading_eigenspace(matrix, rank)
    return basis @ basis.T


# Eigenvalues in rising order, and the number kept.
SPECTRA = {
    "distinct": ([0.2, 0.5, 1.1, 2.0, 3.5], 2),
    "negative": ([-3.0, -1.5, 0.0, 0.7, 1.0], 2),
    "repeated among the kept": ([0.2, 0.5, 1.1, 3.0, 3.0], 2),
    "repeated among the dropped": ([0.5, 0.5, 0.5, 2.0, 3.5], 2),
    "repeated in both": ([0.5, 0.5, 3.0, 3.0, 3.0], 3),
    "one kept": ([0.1, 0.1, 0.1, 0.1, 1.0], 1),
}


@pytest.mark.parametrize(("eigenvalues", "rank"), SPECTRA.values(), ids=SPECTRA)
def test_leading_eigenspace_is_that_of_numpy(eigenvalues, rank):
    matrix = symmetric_matrix(np.random.default_rng(0), eigenvalues)
    basis = np.asarray(leading_eigenspace(jnp.asarray(matrix), rank))
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-13)
    np.testing.assert_allclose(basis @ basis.T, projector_oracle(matrix, rank), atol=1e-13)
    if rank < len(eigenvalues) - 1:
        assert np.max(np.abs(basis @ basis.T - projector_oracle(-matrix, rank))) > 0.1


@pytest.mark.parametrize(("eigenvalues", "rank"), SPECTRA.values(), ids=SPECTRA)
def test_derivative_of_the_eigenspace_is_that_of_its_projector(eigenvalues, rank):
    rng = np.random.default_rng(1)
    size = len(eigenvalues)
    matrix = symmetric_matrix(rng, eigenvalues)
    change, weights = symmetric_direction(rng, size), rng.normal(size=(size, size))
    expected = central_difference(partial(projector_oracle, rank=rank), matrix, change, 1e-5)

    _, moved = jax.jvp(partial(projector, rank=rank), (jnp.asarray(matrix),), (change,))
    np.testing.assert_allclose(moved, expected, atol=1e-8)
    gradient = jax.grad(lambda m: jnp.sum(weights * projector(m, rank)))(jnp.asarray(matrix))
    np.testing.assert_allclose(np.sum(gradient * change), np.sum(weights * expected), atol=1e-7)
    # The check has power: the derivative in another direction is not the same one.
    other = central_difference(
        partial(projector_oracle, rank=rank), matrix, symmetric_direction(rng, size), 1e-5
    )
    assert np.max(np.abs(moved - other)) > 1e-2


def test_derivative_of_single_eigenvectors_would_not_survive_repetition():
    """Why the eigenspace has a derivative of its own: JAX's gives no number here."""
    matrix = jnp.diag(jnp.array([0.5, 0.6, 1.1, 3.0, 3.0]))
    change = symmetric_direction(np.random.default_rng(2), 5)

    def naive(matrix):
        basis = jnp.linalg.eigh(matrix)[1][:, -2:]
        return basis @ basis.T

    assert not np.all(np.isfinite(jax.jvp(naive, (matrix,), (change,))[1]))
    _, moved = jax.jvp(partial(projector, rank=2), (matrix,), (change,))
    expected = central_difference(partial(projector_oracle, rank=2), matrix, change, 1e-5)
    np.testing.assert_allclose(moved, expected, atol=1e-8)


def test_derivative_of_the_eigenspace_is_not_finite_without_a_gap():
    """Where the span itself jumps no number is right, and none is made up."""
    matrix = jnp.diag(jnp.array([1.0, 2.0, 2.0]))
    change = symmetric_direction(np.random.default_rng(3), 3)
    _, moved = jax.jvp(partial(projector, rank=1), (matrix,), (change,))
    assert not np.all(np.isfinite(moved))


def test_eigenspace_is_the_same_under_jit_and_vmap():
    rng = np.random.default_rng(4)
    spectra = ([1.0, 1.0, 2.0, 4.0], [0.1, 0.2, 5.0, 5.0], [-1.0, 0.0, 1.0, 2.0])
    matrices = jnp.stack([symmetric_matrix(rng, spectrum) for spectrum in spectra])
    weights = rng.normal(size=(4, 4))

    def gradient(matrix):
        return jax.grad(lambda m: jnp.sum(weights * projector(m, 2)))(matrix)

    together = jax.jit(jax.vmap(gradient))(matrices)
    one_by_one = jnp.stack([gradient(matrix) for matrix in matrices])
    np.testing.assert_allclose(together, one_by_one, atol=1e-12)


# A scalar function, its SciPy counterpart for matrices.
FUNCTIONS = {
    "exponential": (jnp.exp, scipy.linalg.expm),
    "root": (jnp.sqrt, scipy.linalg.sqrtm),
    "logarithm": (jnp.log, scipy.linalg.logm),
    "inverse": (lambda w: 1 / w, scipy.linalg.inv),
}
POSITIVE_SPECTRA = {
    "distinct": [0.3, 0.8, 1.7, 2.9],
    "repeated": [0.5, 0.5, 2.0, 2.0],
    "multiple of the identity": [1.3, 1.3, 1.3, 1.3],
}


@pytest.mark.parametrize(("function", "oracle"), FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("eigenvalues", POSITIVE_SPECTRA.values(), ids=POSITIVE_SPECTRA)
def test_spectral_function_is_the_matrix_function_of_scipy(function, oracle, eigenvalues):
    matrix = symmetric_matrix(np.random.default_rng(5), eigenvalues)
    image = spectral_function(function, jnp.asarray(matrix))
    np.testing.assert_allclose(image, oracle(matrix), rtol=1e-12, atol=1e-13)
    # Entry by entry is another function altogether.
    entrywise = np.asarray(function(jnp.maximum(matrix, 0.1)))
    assert not np.allclose(image, entrywise, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("eigenvalues", POSITIVE_SPECTRA.values(), ids=POSITIVE_SPECTRA)
def test_derivative_of_the_spectral_function_is_frechet(eigenvalues):
    """Against SciPy's Padé algorithm and, for the inverse, the textbook formula."""
    rng = np.random.default_rng(6)
    matrix, change = symmetric_matrix(rng, eigenvalues), symmetric_direction(rng, 4)
    weights = rng.normal(size=(4, 4))
    inverse = np.linalg.inv(matrix)
    for function, expected in (
        (jnp.exp, scipy.linalg.expm_frechet(matrix, change, compute_expm=False)),
        (lambda w: 1 / w, -inverse @ change @ inverse),
        (jnp.square, matrix @ change + change @ matrix),
    ):
        applied = partial(spectral_function, function)
        _, moved = jax.jvp(applied, (jnp.asarray(matrix),), (change,))
        np.testing.assert_allclose(moved, expected, rtol=1e-11, atol=1e-12)
        gradient = jax.jit(jax.grad(lambda m, f=applied: jnp.sum(weights * f(m))))(matrix)
        np.testing.assert_allclose(
            np.sum(gradient * change), np.sum(weights * expected), rtol=1e-10
        )
    # Only where all eigenvalues agree is the derivative of the square 2 M dM: the check has power.
    assert np.allclose(2 * matrix @ change, moved) == (len(set(eigenvalues)) == 1)


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7, 1e-8, 1e-9, 1e-11, 1e-13, 1e-16])
def test_derivative_of_the_spectral_function_is_accurate_at_every_gap(gap):
    """A difference quotient loses eps/gap, a slope in its place gap²/12: the worst is √eps."""
    rng = np.random.default_rng(7)
    matrix, change = symmetric_matrix(rng, [0.7, 1.0, 1.0 + gap]), symmetric_direction(rng, 3)
    _, moved = jax.jvp(partial(spectral_function, jnp.exp), (jnp.asarray(matrix),), (change,))
    expected = scipy.linalg.expm_frechet(matrix, change, compute_expm=False)
    error = np.max(np.abs(moved - expected)) / np.max(np.abs(expected))
    assert error < 4 * np.sqrt(EPS)


def test_derivative_of_the_spectral_function_in_its_parameters():
    rng = np.random.default_rng(8)
    matrix = symmetric_matrix(rng, [0.5, 0.5, 1.0, 2.0])
    change = symmetric_direction(rng, 4)

    def shrink(w, level, power):
        return level / (w + level) ** power

    def oracle(level, power, matrix):
        values, vectors = np.linalg.eigh(matrix)
        return (vectors * (level / (values + level) ** power)) @ vectors.T

    def together(step):
        return oracle(0.7 + 0.3 * step, 1.5 - 0.2 * step, matrix + step * change)

    _, moved = jax.jvp(
        lambda m, level, power: spectral_function(shrink, m, level, power),
        (jnp.asarray(matrix), jnp.asarray(0.7), jnp.asarray(1.5)),
        (jnp.asarray(change), jnp.asarray(0.3), jnp.asarray(-0.2)),
    )
    np.testing.assert_allclose(moved, central_difference(together, 0.0, 1.0, 1e-5), atol=1e-8)

    slopes = jax.grad(
        lambda level, power: spectral_function(shrink, jnp.asarray(matrix), level, power)[0, 1],
        argnums=(0, 1),
    )(0.7, 1.5)
    expected = (
        central_difference(lambda level: oracle(level, 1.5, matrix)[0, 1], 0.7, 1.0, 1e-5),
        central_difference(lambda power: oracle(0.7, power, matrix)[0, 1], 1.5, 1.0, 1e-5),
    )
    np.testing.assert_allclose(slopes, expected, rtol=1e-7)
    assert abs(expected[0] - expected[1]) > 1e-3


def test_spectral_function_is_the_same_under_vmap():
    rng = np.random.default_rng(9)
    matrices = jnp.stack([symmetric_matrix(rng, s) for s in POSITIVE_SPECTRA.values()])
    gradient = jax.grad(lambda m: spectral_function(jnp.sqrt, m)[0, 1])
    together = jax.vmap(gradient)(matrices)
    np.testing.assert_allclose(together, jnp.stack([gradient(m) for m in matrices]), atol=1e-13)


@pytest.mark.parametrize("size", [1, 2, 7, 60])
@pytest.mark.parametrize("rank", ["full", "half", "zero"])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_covariance_factor_restores_the_covariance(size, rank, scale):
    rng = np.random.default_rng(size)
    columns = {"full": 2 * size, "half": size // 2, "zero": 0}[rank]
    roots = rng.normal(size=(size, columns))
    covariance = scale * roots @ roots.T
    factor = np.asarray(covariance_factor(jnp.asarray(covariance)))
    assert np.array_equal(factor, np.tril(factor))
    # Twice the rounding that the constructor of a model takes for a covariance's own.
    rounding = 200 * size * EPS * np.max(np.abs(covariance)) + 1e-300
    assert np.max(np.abs(factor @ factor.T - covariance)) <= rounding
    if rank == "full" and size > 1:
        assert np.max(np.abs(factor.T @ factor - covariance)) > rounding


def test_derivative_of_the_covariance_factor():
    rng = np.random.default_rng(10)
    covariance, change = symmetric_matrix(rng, [0.4, 1.0, 1.0, 3.0]), symmetric_direction(rng, 4)
    _, moved = jax.jvp(covariance_factor, (jnp.asarray(covariance),), (change,))
    expected = central_difference(np.linalg.cholesky, covariance, change, 1e-5)
    np.testing.assert_allclose(moved, expected, atol=1e-8)
    weights = rng.normal(size=(4, 4))
    gradient = jax.grad(lambda c: jnp.sum(weights * covariance_factor(c)))(jnp.asarray(covariance))
    np.testing.assert_allclose(np.sum(gradient * change), np.sum(weights * expected), rtol=1e-7)


@pytest.mark.parametrize("condition", [1e2, 1e8])
def test_inverse_of_a_covariance_is_that_of_scipy(condition):
    """And its derivative is −M⁻¹ dM M⁻¹."""
    rng = np.random.default_rng(6)
    matrix = symmetric_matrix(rng, np.geomspace(1.0, condition, 192))
    inverse = scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix), np.eye(192))
    change = symmetric_direction(rng, 192)
    found, slope = jax.jvp(inverse_of_covariance, (jnp.asarray(matrix),), (jnp.asarray(change),))
    np.testing.assert_allclose(found, inverse, rtol=0, atol=1e-14 * condition)
    np.testing.assert_allclose(slope, -inverse @ change @ inverse, rtol=0, atol=1e-13 * condition)


def cubic(x, a, b):
    """Rises strictly for b > 0: one root."""
    return x**3 + b * x - a


CUBICS = [(1.0, 1.0), (30.0, 0.1), (-2.0, 5.0), (1e-6, 2.0), (1e9, 1.0)]


@pytest.mark.parametrize(("a", "b"), CUBICS)
def test_implicit_root_is_that_of_bisection(a, b):
    found = implicit_root(lambda x: cubic(x, a, b), jnp.asarray(1.0))
    expected = scipy.optimize.brentq(cubic, -1e4, 1e4, args=(a, b), xtol=1e-300, rtol=4 * EPS)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize(("a", "b"), CUBICS)
def test_derivative_of_the_root_is_that_of_the_implicit_function(a, b):
    def root(a, b):
        return implicit_root(lambda x: cubic(x, a, b), jnp.asarray(1.0))

    x = scipy.optimize.brentq(cubic, -1e4, 1e4, args=(a, b), xtol=1e-300, rtol=4 * EPS)
    expected = np.array([1.0, -x]) / (3 * x**2 + b)
    point = (jnp.asarray(a), jnp.asarray(b))
    forward = jax.jacfwd(root, argnums=(0, 1))(*point)
    reverse = jax.jit(jax.grad(root, argnums=(0, 1)))(*point)
    np.testing.assert_allclose(forward, expected, rtol=1e-12)
    np.testing.assert_allclose(reverse, expected, rtol=1e-12)
    assert not np.allclose(forward, -expected, rtol=1e-12)

    step = 1e-4 * max(abs(a), 1.0)
    for entry, shift in enumerate(((step, 0.0), (0.0, 1e-5))):
        above, below = (
            scipy.optimize.brentq(
                cubic,
                -1e4,
                1e4,
                args=(a + s * shift[0], b + s * shift[1]),
                xtol=1e-300,
                rtol=4 * EPS,
            )
            for s in (1, -1)
        )
        difference = (above - below) / (2 * sum(shift))
        # Bisection is good to a few ulps of the root, the difference to a power of the step.
        rounding = 8 * EPS * abs(x) / sum(shift)
        np.testing.assert_allclose(forward[entry], difference, rtol=1e-5, atol=rounding)


def test_second_derivative_of_the_root():
    def root(a):
        return implicit_root(lambda x: x**2 - a, jnp.asarray(1.0))

    np.testing.assert_allclose(jax.grad(jax.grad(root))(2.0), -0.25 * 2.0**-1.5, rtol=1e-12)


def test_root_does_not_depend_on_the_start():
    def root(start):
        return implicit_root(lambda x: cubic(x, 2.0, 1.0), start)

    starts = jnp.array([0.1, 1.0, 10.0, 1e3])
    np.testing.assert_allclose(jax.vmap(root)(starts), 1.0, rtol=1e-14)
    assert np.all(jax.vmap(jax.grad(root))(starts) == 0)


def test_root_at_zero_is_found():
    assert float(implicit_root(jnp.expm1, jnp.asarray(0.5))) == 0.0


def test_roots_are_mapped_over():
    a = jnp.linspace(0.5, 4.0, 7)
    root = jax.vmap(lambda a: implicit_root(lambda x: x**2 - a, jnp.asarray(1.0)))
    np.testing.assert_allclose(root(a), np.sqrt(np.linspace(0.5, 4.0, 7)), rtol=1e-14)


@pytest.mark.parametrize(
    "function",
    [lambda x: x**2 + 1, lambda x: jnp.arctan(x), lambda x: jnp.exp(x), lambda x: x * jnp.nan],
    ids=["no real root", "diverges", "root at infinity", "undefined"],
)
def test_root_that_newton_does_not_find_is_nan(function):
    root = implicit_root(function, jnp.asarray(2.0))
    assert np.isnan(root)


def test_root_is_nan_when_the_steps_run_out_and_only_then():
    def root(max_steps):
        return implicit_root(lambda x: x**2 - 2.0, jnp.asarray(1e6), max_steps)

    assert np.isnan(root(10))
    np.testing.assert_allclose(root(60), np.sqrt(2.0), rtol=1e-14)


def test_one_lost_root_does_not_touch_the_others():
    a = jnp.array([1.0, -1.0, 4.0])
    roots = jax.vmap(lambda a: implicit_root(lambda x: x**2 - a, jnp.asarray(1.5)))(a)
    np.testing.assert_array_equal(np.isnan(roots), [False, True, False])
    np.testing.assert_allclose(roots[::2], [1.0, 2.0], rtol=1e-14)


def test_root_in_single_precision(single_precision):
    root = implicit_root(lambda x: x**3 + x - 2.0, jnp.asarray(5.0, jnp.float32))
    assert root.dtype == jnp.float32
    np.testing.assert_allclose(root, 1.0, rtol=4 * np.finfo(np.float32).eps)
