"""Wishart factors and resolvent traces, against NumPy draws and eigenvalues."""

from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from jaxbrain.simulation.random_matrices import (
    bartlett,
    bartlett_degrees,
    blocks_degrees,
    draw_numbers,
    normal_blocks,
    trace_draws,
)

KEY = jr.key(20)
draw_traces = jax.jit(trace_draws, static_argnums=1)


def standard_error(x):
    return x.std(ddof=1) / np.sqrt(len(x))


@partial(jax.jit, static_argnums=(0, 1))
def wishart_factors(rows, columns, samples):
    def draw(key):
        degrees = [bartlett_degrees(rows, samples, float)]
        (chi,), (normal,) = draw_numbers(key, degrees, [(rows, columns)], float)
        return bartlett(chi, normal)

    return jax.lax.map(draw, jr.split(KEY, 20_000), batch_size=500)


@pytest.mark.parametrize(("columns", "samples"), [(5, 9.0), (5, 5.0), (5, 3.0), (1, 4.0)])
def test_bartlett_has_the_moments_of_a_wishart_matrix(columns, samples):
    rows = min(columns, int(samples))
    factors = np.asarray(wishart_factors(rows, columns, samples))
    grams = factors.swapaxes(1, 2) @ factors
    assert np.all(np.tril(factors[:, :, :rows], -1) == 0)
    for statistic, mean in (
        (np.trace(grams, axis1=1, axis2=2), samples * columns),
        (np.sum(grams**2, axis=(1, 2)), samples * columns * (columns + samples + 1)),
        (grams[:, 0, -1] ** 2, samples if columns > 1 else samples * (samples + 2)),
    ):
        assert abs(statistic.mean() - mean) < 4 * standard_error(statistic)
        # One degree of freedom more would be seen.
        wrong = mean * (samples + 1) / samples
        assert abs(statistic.mean() - wrong) > 4 * standard_error(statistic)


@pytest.mark.parametrize(
    ("d", "n", "k"),
    [
        (12, 30, 4),
        (13, 7, 4),
        (9, 2, 4),
        *(pytest.param(*sizes, marks=pytest.mark.study) for sizes in ((13, 30, 4), (7, 40, 5))),
        (6, 6, 1),
    ],
)
def test_blocks_have_the_spectrum_of_normal_numbers_with_the_first_rows_kept(d, n, k):
    """By the largest eigenvalue with a spike on the first k coordinates, as they are used."""
    keys = jr.split(KEY, 3000)
    count = -(-d // k)

    def draw(key):
        chi, (normal,) = draw_numbers(
            key, blocks_degrees(d, n, k, float), [(2 * count - 1, k, k)], float
        )
        return normal_blocks(chi, normal, d, n)

    drawn = jax.lax.map(draw, keys, batch_size=500)
    dense = np.zeros((3000, count, k, count, k))
    for j in range(count):
        dense[:, j, :, j] = drawn.diagonal[:, j]
        if j:
            dense[:, j, :, j - 1] = drawn.below[:, j - 1]
    dense = dense.reshape(3000, count * k, count * k)
    assert np.all(dense[:, d:] == 0)
    normal = np.random.default_rng(0).standard_normal((3000, d, n))

    def largest(matrices, extra=0.0):
        grams = matrices @ matrices.swapaxes(1, 2)
        spike = np.zeros(grams.shape[1])
        spike[:k] = np.linspace(n, 2 * n, k) + extra
        return np.linalg.eigvalsh(grams + np.diag(spike))[:, -1]

    assert stats.ks_2samp(largest(dense), largest(normal)).pvalue > 1e-3
    assert stats.ks_2samp(largest(dense, 0.3 * n + 3), largest(normal)).pvalue < 1e-6
    total = np.sum(dense**2, axis=(1, 2))
    assert abs(total.mean() - d * n) < 4 * standard_error(total)


@pytest.mark.parametrize(("q", "n"), [(6, 20), (6, 7), (6, 6), (6, 3), (1, 4), (30, 31)])
def test_traces_are_those_of_the_bidiagonal_matrix_that_was_drawn(q, n):
    """The recursion against eigenvalues of the same matrix, at penalties over decades."""
    penalties = np.array([1e-9, 1e-3, 1.0, 1e3, 1e6])
    traces = draw_traces(KEY, q, jnp.asarray(float(n)), jnp.asarray(penalties))
    low, high = min(q, n), max(q, n)
    place = np.arange(q)
    degrees = (
        np.where(place < low, 1.0 * high - place, 1.0),
        np.where(place < low - 1, low - 1.0 - place, 1.0),
    )
    diagonal, off = np.asarray(jr.chisquare(KEY, jnp.stack(degrees)))
    b = np.diag(np.sqrt(diagonal[:low])) + np.diag(np.sqrt(off[: low - 1]), -1)
    w = np.concatenate([np.linalg.svd(b, compute_uv=False) ** 2, np.zeros(q - low)])
    ratio = penalties[:, None] / (w + penalties[:, None])
    np.testing.assert_allclose(traces.kept, np.sum(ratio**2, 1), rtol=1e-9)
    np.testing.assert_allclose(traces.kept_squared, np.sum(ratio, 1) ** 2, rtol=1e-9)
    noise = np.sum(w / (w + penalties[:, None]) ** 2, 1)
    # t1 − c t2 has lost digits where c is far above all eigenvalues, and nothing hangs on it.
    np.testing.assert_allclose(traces.noise, noise, rtol=1e-7, atol=1e-12)


def test_more_steps_than_dimensions_change_nothing():
    """So that programs are shared: q a traced number, with as many steps as a power of two."""
    penalties = jnp.array([1e-3, 1.0, 1e3, jnp.inf, 5.0])
    for n in (20.0, 6.0, 3.0):
        exact = draw_traces(KEY, 6, jnp.asarray(n), penalties)
        padded = jax.jit(trace_draws, static_argnums=4)(
            KEY, jnp.asarray(6.0), jnp.asarray(n), penalties, 8
        )
        for a, b in zip(exact, padded, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@partial(jax.jit, static_argnums=0)
def many_traces(q, n, penalties):
    return jax.vmap(lambda key: trace_draws(key, q, n, penalties).noise)(jr.split(KEY, 4000))


@pytest.mark.parametrize(("q", "n"), [(8, 30), (8, 8), (8, 5)])
def test_traces_have_the_distribution_of_wishart_matrices(q, n):
    penalties = jnp.array([0.3, 5.0])
    normal = np.random.default_rng(1).standard_normal((4000, n, q))
    w = np.clip(np.linalg.eigvalsh(normal.swapaxes(1, 2) @ normal), 0, None)[:, :, None]
    expected = np.sum(w / (w + np.asarray(penalties)) ** 2, axis=1)
    right, wrong = (
        np.asarray(many_traces(q, jnp.asarray(x), penalties)) for x in (1.0 * n, n + 1.0)
    )
    for column in range(2):
        assert stats.ks_2samp(right[:, column], expected[:, column]).pvalue > 1e-3
        assert stats.ks_2samp(wrong[:, column], expected[:, column]).pvalue < 1e-4


def test_the_hard_constraint_and_no_penalty_are_ordinary():
    penalties = jnp.array([0.0, jnp.inf, 1.0, 1.0, 1.0])
    traces = draw_traces(KEY, 6, jnp.asarray(9.0), penalties)
    assert float(traces.kept[0]) == 0
    assert float(traces.noise[0]) > 0
    assert float(traces.kept[1]) == 6
    assert float(traces.kept_squared[1]) == 36
    assert float(traces.noise[1]) == 0
