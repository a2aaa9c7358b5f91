"""Controls: random subspaces, shuffled recordings, and the truth."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import jaxbrain as jb
from tests.helpers.regressions import INF, orthonormal


def uniformity_scores(projectors):
    """Deviations, in standard errors, from the moments of a uniformly random subspace.

    E P = (k/d) I and E P₁₁² = k(k + 2)/(d(d + 2)).
    """
    trials, d, _ = projectors.shape
    k = round(float(np.trace(projectors[0])))
    rows, columns = np.triu_indices(d)
    first = projectors[:, rows, columns] - np.where(rows == columns, k / d, 0.0)
    second = np.diagonal(projectors, axis1=1, axis2=2) ** 2 - k * (k + 2) / (d * (d + 2))
    samples = np.concatenate([first, second], axis=1)
    return np.mean(samples, axis=0) / (np.std(samples, axis=0, ddof=1) / np.sqrt(trials))


def test_random_subspace_is_orthonormal_and_uniform():
    keys = jr.split(jr.key(0), 4_000)
    bases = np.asarray(jax.vmap(lambda key: jb.random_subspace(key, 6, 2))(keys))
    gram = np.swapaxes(bases, 1, 2) @ bases
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(2), gram.shape), atol=1e-13)
    assert np.max(np.abs(uniformity_scores(bases @ np.swapaxes(bases, 1, 2)))) < 4.5
    # Directions drawn from a cube instead of a Gaussian are not uniform, and are seen not to be.
    skewed = np.linalg.qr(np.random.default_rng(0).uniform(size=(4_000, 6, 2)))[0]
    assert np.max(np.abs(uniformity_scores(skewed @ np.swapaxes(skewed, 1, 2)))) > 4.5


def test_shuffled_recordings_are_a_random_permutation_of_the_rows():
    recordings = np.random.default_rng(0).normal(size=(50, 3))
    shuffled = np.asarray(jb.shuffle_recordings(jr.key(0), recordings))
    order = np.argmin(np.abs(shuffled[:, None, 0] - recordings[None, :, 0]), axis=1)
    np.testing.assert_array_equal(shuffled, recordings[order])
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert np.sum(order == np.arange(50)) < 10
    # Each row comes to each place equally often.
    trials, n = 4_000, 4
    keys = jr.split(jr.key(1), trials)
    rows = jnp.arange(float(n))[:, None]
    places = np.asarray(jax.vmap(lambda key: jb.shuffle_recordings(key, rows))(keys))[..., 0]
    frequency = np.mean(places[:, :, None] == np.arange(n), axis=0)
    standard_error = np.sqrt((1 / n) * (1 - 1 / n) / trials)
    assert np.max(np.abs(frequency - 1 / n)) < 4 * standard_error


def test_oracle_subspace_confines_the_weights_to_the_truth():
    """With labels without noise and a task inside the subspace, k labels teach it."""
    rng = np.random.default_rng(0)
    encoder = orthonormal(rng, 12, 3)
    task_weights = encoder @ rng.normal(size=3)
    model = jb.LinearGaussianModel(encoder, rng.normal(size=(5, 3)), 0.5, 1.0, task_weights, 1.0)
    basis = jb.oracle_subspace(model)
    np.testing.assert_allclose(basis @ basis.T, encoder @ encoder.T, atol=1e-14)
    inputs = rng.normal(size=(7, 12))
    weights = jb.befs(inputs, np.stack([inputs @ task_weights] * 2, axis=1), basis, INF)
    np.testing.assert_allclose(weights[:, 0], task_weights, rtol=0, atol=1e-12)
