"""The encoding stage: reduced-rank regression.

Oracles: the SVD of the fitted values, alternating least squares, the first-order rate.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxbrain as jb
from tests.helpers.regressions import (
    EPS,
    brain_data,
    encode_fitted,
    encode_oracle,
    encoding_rows,
    orthonormal,
    projector_of,
    property_test,
    seeds,
)

ENCODINGS = {  # n, d, p, rank, ridge
    "fewer channels than inputs": (60, 10, 6, 3, 0.0),
    "as many channels as inputs": (60, 10, 10, 3, 0.0),
    "more channels than inputs": (60, 10, 25, 3, 0.0),
    "with ridge": (60, 10, 6, 3, 0.4),
    "more channels, with ridge": (60, 10, 25, 3, 0.4),
    "fewer rows than inputs": (7, 10, 6, 3, 0.1),
    "fewer rows, more channels": (7, 10, 25, 3, 0.1),
    "as many rows as inputs": (10, 10, 6, 2, 0.0),
    "one latent": (60, 10, 25, 1, 0.0),
    "all channels": (60, 10, 4, 4, 0.0),
    "all but one input": (60, 10, 25, 9, 0.0),
    "one channel": (60, 10, 1, 1, 0.2),
}


@pytest.mark.parametrize(("n", "d", "p", "rank", "ridge"), ENCODINGS.values(), ids=ENCODINGS)
def test_encode_is_reduced_rank_regression(n, d, p, rank, ridge):
    inputs, recordings, _ = brain_data(2, n, d, 3, p)
    basis = np.asarray(jb.encode(inputs, recordings, rank, ridge))
    assert basis.shape == (d, rank)
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-13)
    expected = encode_oracle(inputs, recordings, rank, ridge)
    np.testing.assert_allclose(projector_of(basis), expected, atol=1e-9)
    if rank < p and n > d:
        # Principal components of the recordings, or another ridge, choose another subspace.
        channels = np.linalg.svd(recordings)[2][:rank]
        full = np.linalg.lstsq(*encoding_rows(inputs, recordings, ridge), rcond=None)[0]
        components = np.linalg.qr(full @ channels.T)[0]
        assert np.max(np.abs(projector_of(components) - expected)) > 1e-5
        other = encode_oracle(inputs, recordings, rank, ridge + 0.1)
        assert np.max(np.abs(other - expected)) > 1e-5


def encoding_objective(basis, inputs, recordings, ridge):
    """(1/n)‖R − X B‖² + ridge ‖B‖² at the best B whose columns lie in the span of `basis`."""
    rows, filled = encoding_rows(inputs, recordings, ridge)
    read = np.linalg.lstsq(rows @ basis, filled, rcond=None)[0]
    return np.sum((filled - rows @ basis @ read) ** 2) / len(inputs)


def alternating_least_squares(rng, inputs, recordings, rank, ridge, sweeps=1000):
    """A low-rank fit B = A Cᵀ that knows no spectral theory, from a random start."""
    n, d = inputs.shape
    gram = inputs.T @ inputs / n + ridge * np.eye(d)
    cross = inputs.T @ recordings / n
    full = np.linalg.solve(gram, cross)
    channels = rng.normal(size=(recordings.shape[1], rank))
    for _ in range(sweeps):
        channels = np.linalg.qr(channels)[0]
        encoder = full @ channels
        channels = np.linalg.solve(encoder.T @ gram @ encoder, encoder.T @ cross).T
    return encoder


@pytest.mark.parametrize(
    ("n", "d", "p", "rank", "ridge"),
    [(40, 8, 5, 2, 0.0), (40, 8, 12, 3, 0.0), (40, 8, 12, 2, 0.5), (6, 8, 12, 2, 0.2)],
)
def test_no_low_rank_fit_beats_encode(n, d, p, rank, ridge):
    inputs, recordings, _ = brain_data(3, n, d, 3, p, noise=2.0)
    objective = partial(encoding_objective, inputs=inputs, recordings=recordings, ridge=ridge)
    reached = objective(np.asarray(jb.encode(inputs, recordings, rank, ridge)))
    rng = np.random.default_rng(4)
    rivals = [
        objective(alternating_least_squares(rng, inputs, recordings, rank, ridge)) for _ in range(5)
    ]
    assert reached <= min(rivals) * (1 + 1e-12)
    np.testing.assert_allclose(min(rivals), reached, rtol=1e-9)
    # The comparison has power: a small rotation of the subspace is already worse.
    tilted = np.asarray(jb.encode(inputs, recordings, rank, ridge)) + 1e-3 * rng.normal(
        size=(d, rank)
    )
    assert objective(tilted) > reached * (1 + 1e-9)


def test_encode_learns_the_true_subspace_at_the_first_order_rate():
    """(n − d − 1) E‖K̂A‖² tends to (d − k) tr Σenc: nothing but 1/n is left of the error."""
    d, k, p, trials = 10, 2, 12, 60
    rng = np.random.default_rng(5)
    encoder, readout = orthonormal(rng, d, k), rng.normal(size=(p, k))
    pseudo_inverse = np.linalg.pinv(readout)
    encoding_noise = 0.3 * np.eye(k) + 2.0 * pseudo_inverse @ pseudo_inverse.T
    expected = (d - k) * np.trace(encoding_noise)

    def scaled_errors(n):
        errors = []
        for _ in range(trials):
            inputs = rng.normal(size=(n, d))
            latents = inputs @ encoder + np.sqrt(0.3) * rng.normal(size=(n, k))
            recordings = latents @ readout.T + np.sqrt(2.0) * rng.normal(size=(n, p))
            basis = np.asarray(jb.encode(inputs, recordings, k))
            errors.append(k - np.sum((basis.T @ encoder) ** 2))
        return (n - d - 1) * np.array(errors)

    few, many = scaled_errors(5_000), scaled_errors(20_000)
    for errors in (few, many):
        standard_error = np.std(errors, ddof=1) / np.sqrt(trials)
        assert abs(np.mean(errors) - expected) < 4 * standard_error
        # The latent noise alone would not do.
        assert abs(np.mean(errors) - (d - k) * 0.3 * k) > 4 * standard_error


@property_test
@given(seed=seeds, p=st.sampled_from([5, 14]), ridge=st.sampled_from([0.0, 0.3]))
def test_encode_does_not_depend_on_the_frame(seed, p, ridge):
    """Rotating channels changes nothing; rotating inputs rotates the subspace with them."""
    inputs, recordings, _ = brain_data(seed, 40, 9, 3, p)
    rng = np.random.default_rng(seed + 1)
    turn_channels, turn_inputs = orthonormal(rng, p, p), orthonormal(rng, 9, 9)
    order = rng.permutation(40)
    plain = projector_of(jb.encode(inputs, recordings, 3, ridge))
    channels = projector_of(jb.encode(inputs, recordings @ turn_channels, 3, ridge))
    turned = projector_of(jb.encode(inputs @ turn_inputs, recordings, 3, ridge))
    shuffled = projector_of(jb.encode(inputs[order], 7.0 * recordings[order], 3, ridge))
    # Squared condition of the Gram matrix over the gap between kept and dropped.
    strengths = np.linalg.svd(encode_fitted(inputs, recordings, ridge), compute_uv=False) ** 2
    accuracy = 1e4 * EPS * strengths[0] / (strengths[2] - strengths[3])
    np.testing.assert_allclose(channels, plain, atol=accuracy)
    np.testing.assert_allclose(turned, turn_inputs.T @ plain @ turn_inputs, atol=accuracy)
    np.testing.assert_allclose(shuffled, plain, atol=accuracy)


@pytest.mark.parametrize("p", [6, 25])
def test_encoding_stage_holds_in_single_precision(single_precision, p):
    """Within eps₃₂ times the squared condition, over the relative gap behind the last direction."""
    inputs, recordings, _ = (
        a.astype(np.float32).astype(float) for a in brain_data(12, 200, 10, 3, p)
    )
    strengths = np.linalg.svd(encode_fitted(inputs, recordings, 0.0), compute_uv=False) ** 2
    gap = (strengths[2] - strengths[3]) / strengths[0]
    accuracy = 20 * np.finfo(np.float32).eps * np.linalg.cond(inputs) ** 2 / gap
    basis = jb.encode(inputs.astype(np.float32), recordings.astype(np.float32), 3)
    assert basis.dtype == jnp.float32
    error = np.linalg.norm(projector_of(basis) - encode_oracle(inputs, recordings, 3), 2)
    assert error < accuracy < 1e-2
