"""Exact draws of what the closed forms approximate, in NumPy: nothing here is of jaxbrain."""

import math

import numpy as np

REGIMES = {
    "quiet": (0.1, 0.3),
    "neural": (1.0, 0.3),
    "measurement": (0.1, 4.0),
    "loud": (0.5, 16.0),
}
# Latents all alike, in channels of which the direction of each is confused by ε (docs/theory.md,
# eq. 12): regimes of this name, followed by ε.
ALIKE = "alike, ε "
ALIKE_LATENT_NOISE = 0.2
BRAIN_MEANS = ["in_b", "out_v", "kept", "in_b*kept", "out_v*kept", "Pb", "Pv", "vb", "vv"]
TWO_MEANS = ["tr_in_G", "tr_out_G", "tr_in_G2", "tr_out_G2", "tr_GWG"]


def study(
    d: int, k: int, p: int, n: int, regime: str
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Gains h², latent-noise variances, recording noise, squared coordinates of the task."""
    squares = np.linspace(1, 3, k) / np.linspace(1, 3, k).sum()
    if regime.startswith(ALIKE):
        confusion, latent = float(regime.removeprefix(ALIKE)), ALIKE_LATENT_NOISE
        strength = p / k * (n + d * latent)
        recording = strength * math.sqrt(confusion / (d * (p - k)))
        return np.full(k, p / k), np.full(k, latent), recording, squares
    latent, recording = REGIMES[regime]
    gains = p / k * np.geomspace(0.5, 2, k)
    return gains, latent * np.linspace(1.5, 0.5, k), recording, squares


def bartlett(rng: np.random.Generator, size: int, columns: int, samples: int) -> np.ndarray:
    """Upper-trapezoidal R with RᵀR ~ Wishart_columns(samples), also where samples < columns."""
    rows = min(columns, samples)
    factor = np.triu(rng.standard_normal((size, rows, columns)), 1)
    i = np.arange(rows)
    factor[:, i, i] = np.sqrt(rng.chisquare(samples - i, (size, rows)))
    return factor


def t(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)


def brain_draws(
    rng: np.random.Generator,
    size: int,
    repeats: int,
    d: int,
    p: int,
    n: int,
    gains: np.ndarray,
    latent: np.ndarray,
    recording: float,
    squares: np.ndarray,
) -> np.ndarray:
    """Exact draws of BRAIN_MEANS.

    Each is a mean over `repeats` draws of what the directions leave free.

    Channels are rotated so that k of them carry signal; v_i are the variances of the latent noise.
    """
    k = len(gains)
    q = d - k
    h, noise = np.sqrt(gains), np.sqrt(gains * latent + recording)
    upper = bartlett(rng, size, k, n)
    signal = upper * h + rng.standard_normal((size, k, k)) * noise
    if p <= d:
        spread = np.concatenate([noise, np.full(p - k, math.sqrt(recording))])
        rest = rng.standard_normal((size, k, p - k)) * math.sqrt(recording)
        top = np.concatenate([signal, rest], -1)
        below = bartlett(rng, size, p, q) * spread
        directions = np.linalg.eigh(t(top) @ top + t(below) @ below)[1][..., p - k :]
        inside, outside = top @ directions, below @ directions
    else:  # the smaller side: left singular vectors in place of right ones, the span is the same
        below = rng.standard_normal((size, q, k)) * noise
        strong = np.concatenate([signal, below], -2)
        weak = bartlett(rng, size, d, p - k)
        gram = strong @ t(strong) + recording * (t(weak) @ weak)
        directions = np.linalg.eigh(gram)[1][..., d - k :]
        inside, outside = directions[:, :k], directions[:, k:]
    rows = min(q, k)  # q < k: nothing to compress
    if outside.shape[-2] > rows:
        outside = t(np.linalg.cholesky(t(outside) @ outside))

    # Given the directions, repeat what is left: the other inputs, and their overlap with the first
    # k.
    others = bartlett(rng, size * repeats, rows, n - k - (q - rows))
    others = others.reshape(size, repeats, rows, rows)
    a2 = np.linalg.solve(t(others), outside[:, None])
    mixing = rng.standard_normal((size, repeats, k, rows))
    a1 = np.linalg.solve(upper[:, None], inside[:, None] - mixing @ a2)
    gram = t(a1) @ a1 + t(a2) @ a2
    lost = np.eye(k) - a1 @ np.linalg.solve(gram, t(a1))  # AᵀK̂A; all else follows from it

    lost2 = np.sum(lost**2, -1)
    trace, trace2 = np.trace(lost, axis1=-2, axis2=-1), lost2.sum(-1)  # also tr Y and tr Y²
    diagonal = np.diagonal(lost, axis1=-2, axis2=-1)
    in_b, p_b = diagonal @ squares, lost2 @ squares
    out_v, kept = 1 - trace / q, k - trace
    v_v = 1 - 2 * trace / q + (trace**2 + 2 * trace2) / (q * (q + 2))
    p_v, v_b = (trace - trace2) / q, (in_b - p_b) / q
    each = [in_b, out_v, kept, in_b * kept, out_v * kept, p_b, p_v, v_b, v_v]
    return np.stack(each, -1).mean(1)


def traces(
    rng: np.random.Generator, size: int, q: int, samples: int, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """tr (W + c)⁻¹ and tr (W + c)⁻², for W ~ Wishart_q(samples), shape (size, len(shifts)).

    W = BᵀB with B bidiagonal and chi-distributed (Dumitriu and Edelman, 2002). The pivots of W + c
    come from the stationary qd recursion; they and their derivatives in c are sums of positive
    terms, so that no digit is lost, and no eigenvalue is needed.
    """
    low, high = min(q, samples), max(q, samples)
    c = np.asarray(shifts, float)
    diagonal = rng.chisquare(high - np.arange(low), (size, low))
    off = rng.chisquare(np.arange(low - 1, 0, -1), (size, low - 1))
    s, ds, dds = np.broadcast_to(c, (size, len(c))), 1.0, 0.0  # dds: minus the second derivative
    first, second = (np.full((size, len(c)), (q - low) / c**power) for power in (1, 2))
    for i in range(low):
        inverse = 1 / (s + diagonal[:, i, None])
        slope = ds * inverse
        first += slope
        second += slope**2 + dds * inverse
        if i < low - 1:
            e = off[:, i, None]
            share = diagonal[:, i, None] * inverse
            dds = e * inverse * share * (dds + 2 * ds * slope)
            s, ds = c + e * (1 - share), 1 + e * slope * share
    return first, second


def two_penalty_draw(
    rng: np.random.Generator, d: int, k: int, n: int, inside: np.ndarray, outside: np.ndarray
) -> np.ndarray:
    """TWO_MEANS for one W and all pairs (c_in, c_out), shape (len(inside), len(outside), 5).

    From G₀ = (W + c_out)⁻¹ by Woodbury's identity; a mean over all d // k blocks of k directions,
    any of which may be the penalised ones.
    """
    blocks = d // k
    factor = bartlett(rng, 1, d, n)[0]
    wishart = factor.T @ factor
    base = np.linalg.inv(wishart + outside[:, None, None] * np.eye(d))  # (out, d, d)
    i = np.arange(blocks * k).reshape(blocks, k)
    block = base[:, i[:, :, None], i[:, None, :]]  # G₀ inside: (out, blocks, k, k)
    cross = base[:, i, :].copy()  # G₀ between inside and outside: (out, blocks, k, d)
    for b in range(blocks):
        cross[:, b, :, i[b]] = 0
    further = cross @ base[:, None]
    h1, h2 = cross @ t(cross), further @ t(cross)
    diagonal = np.diagonal(base, axis1=-2, axis2=-1)
    trace = diagonal.sum(-1)[:, None] - diagonal[:, i].sum(-1)
    square = np.sum(base**2, (-2, -1))[:, None] - 2 * np.trace(h1, axis1=-2, axis2=-1)
    square = square - np.sum(block**2, (-2, -1))

    # In the eigenbasis of the block everything is diagonal but h1.
    values, vectors = np.linalg.eigh(block)
    h1 = t(vectors) @ h1 @ vectors
    h1_diagonal = np.diagonal(h1, axis1=-2, axis2=-1)
    h2_diagonal = np.sum(vectors * (h2 @ vectors), -2)
    results = np.empty((len(inside), len(outside), len(TWO_MEANS)))
    for a, c_in in enumerate(inside):
        change = (c_in - outside)[:, None]
        m = 1 / (1 + change[..., None] * values)
        between = np.sum(m**2 * h1_diagonal, -1)
        tr_in = np.sum(values * m, -1)
        tr_out = trace - change * np.sum(m * h1_diagonal, -1)
        in2 = np.sum((values * m) ** 2, -1) + between
        quadratic = np.einsum("obi,obij,obj->ob", m, h1**2, m)
        out2 = between + square - 2 * change * np.sum(m * h2_diagonal, -1) + change**2 * quadratic
        gwg = tr_in + tr_out - c_in * in2 - outside[:, None] * out2
        results[a] = np.stack([tr_in, tr_out, in2, out2, gwg], -1).mean(1)
    return results
