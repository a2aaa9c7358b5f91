"""Oracles of regressions that share no code with the library, and the data they are asked about."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

INF = np.inf
EPS = np.finfo(float).eps

property_test = settings(max_examples=15, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def orthonormal(rng, d, k):
    return np.linalg.qr(rng.normal(size=(d, k)))[0]


def task_data(seed, n, d, k, tasks=None):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, d))
    targets = rng.normal(size=(n,) if tasks is None else (n, tasks))
    return inputs, targets, orthonormal(rng, d, k)


def augmented(inputs, targets, basis, penalty, inside_penalty):
    """BEFS as least squares: rows √(nλ) times the coordinates that λ penalises, with target 0.

    In coordinates of the subspace and its complement, each divided by √(1 + λ) so that any finite λ
    is as well-conditioned as 1. Coordinates with an infinite penalty are left out.
    """
    n, d = inputs.shape
    k = basis.shape[1]
    frame = np.concatenate([basis, np.linalg.svd(basis)[0][:, k:]], axis=1)
    penalties = np.concatenate([np.full(k, inside_penalty), np.full(d - k, penalty)])
    free = np.isfinite(penalties)
    frame = frame[:, free] / np.sqrt(1 + penalties[free])
    lengths = np.sqrt(n * penalties[free] / (1 + penalties[free]))
    rows = np.concatenate([inputs @ frame, np.diag(lengths)])
    return frame, rows, np.concatenate([targets, np.zeros((len(lengths), *targets.shape[1:]))])


def befs_oracle(inputs, targets, basis, penalty, inside_penalty=0.0):
    frame, rows, filled = augmented(inputs, targets, basis, penalty, inside_penalty)
    return frame @ np.linalg.lstsq(rows, filled, rcond=0)[0]


def normal_equations_accuracy(*regression, eps=EPS):
    """What solving by normal equations may cost: eps times the squared condition.

    More where the solution is small against the labels, of which little is then explained.
    """
    _, rows, filled = augmented(*regression)
    coordinates = np.linalg.lstsq(rows, filled, rcond=0)[0]
    explained = np.linalg.norm(rows, 2) * np.linalg.norm(coordinates) / np.linalg.norm(filled)
    return 20 * eps * np.linalg.cond(rows) ** 2 / min(explained, 1.0)


def relative_error(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def central_difference(function, step=1e-5):
    return (function(step) - function(-step)) / (2 * step)


def brain_data(seed, n, d, k, p, noise=0.5):
    rng = np.random.default_rng(seed)
    inputs, encoder = rng.normal(size=(n, d)), orthonormal(rng, d, k)
    readout = rng.normal(size=(p, k))
    recordings = inputs @ encoder @ readout.T + noise * rng.normal(size=(n, p))
    return inputs, recordings, encoder


def encoding_rows(inputs, recordings, ridge):
    """Ridge as extra rows: √(nρ) I with recordings of 0."""
    n, d = inputs.shape
    rows = np.concatenate([inputs, np.sqrt(n * ridge) * np.eye(d)])
    return rows, np.concatenate([recordings, np.zeros((d, recordings.shape[1]))])


def encode_oracle(inputs, recordings, rank, ridge=0.0):
    """Projector by the textbook route: full regression, then the SVD of its fitted values."""
    rows, filled = encoding_rows(inputs, recordings, ridge)
    full = np.linalg.lstsq(rows, filled, rcond=None)[0]
    channels = np.linalg.svd(rows @ full, full_matrices=False)[2][:rank]
    basis = np.linalg.qr(full @ channels.T)[0]
    return basis @ basis.T


def encode_fitted(inputs, recordings, ridge):
    rows, filled = encoding_rows(inputs, recordings, ridge)
    return rows @ np.linalg.lstsq(rows, filled, rcond=None)[0]


def projector_of(basis):
    basis = np.asarray(basis, float)
    return basis @ basis.T
