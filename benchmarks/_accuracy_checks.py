"""The draws of `_accuracy_draws` against raw data, eigenvalues, and an identity."""

import math
from collections.abc import Iterator

import numpy as np

from ._accuracy_draws import (
    BRAIN_MEANS,
    bartlett,
    brain_draws,
    study,
    t,
    traces,
    two_penalty_draw,
)
from ._accuracy_store import SEED, standard_error


def check() -> None:
    """The samplers against draws from raw data, eigenvalues, and an identity."""
    for d, k, p, n in [
        (24, 4, 16, 60),
        (24, 4, 60, 28),
        (24, 4, 26, 60),
        (24, 16, 20, 40),
        (24, 16, 50, 30),
    ]:
        rng = np.random.default_rng([SEED, 3, d, k, p])
        arguments = (d, p, n, *noisy_study(d, k, p, n))
        fast = np.concatenate([brain_draws(rng, 500, 2, *arguments) for _ in range(40)])
        raw = np.stack([raw_draw(rng, *arguments) for _ in range(20_000)])
        z = z_scores(fast, raw)
        print(f"brain, d {d}, k {k}, p {p}, n {n}, in s.e.: {named(BRAIN_MEANS, z)}")
        print(
            "    relative errors of the raw draws: "
            f"{named(BRAIN_MEANS, standard_error(raw) / raw.mean(0))}"
        )

    for q, n in [(20, 15), (20, 20), (20, 21), (12, 60)]:
        rng = np.random.default_rng([SEED, 4, q, n])
        shifts = q * np.array([1e-2, 0.1, 1])
        first, second = traces(rng, 400_000, q, n, shifts)
        samples = rng.standard_normal((20_000, n, q))
        shifted = np.linalg.eigvalsh(t(samples) @ samples)[:, :, None] + shifts
        z = [z_scores(a, (shifted**-b).sum(1)) for a, b in ((first, 1), (second, 2))]
        identity = shifts * first**2 + (shifts + n - q - 1) * first - q + shifts * second
        exact = identity.mean(0) / standard_error(identity)
        print(
            f"task, q {q}, N {n}, in s.e.: t1 {z[0].round(2)} t2 {z[1].round(2)} identity "
            f"{exact.round(2)}"
        )

    for d, k, n in [(12, 3, 30), (13, 3, 8), (12, 8, 12)]:
        penalties = np.array([1e-3, 1, 1e3])
        fast = two_penalty_draw(np.random.default_rng(n), d, k, n, penalties, penalties)
        factor = bartlett(np.random.default_rng(n), 1, d, n)[0]
        slow = brute_two_penalties(factor.T @ factor, k, penalties)
        print(f"two penalties, d {d}, k {k}, n {n}: relative {np.max(np.abs(fast / slow - 1)):.1e}")


def noisy_study(d: int, k: int, p: int, n: int) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    gains, latent, _, squares = study(d, k, p, n, "loud")
    return gains, latent, 2.0, squares


def raw_draw(rng, d, p, n, gains, latent, recording, squares) -> np.ndarray:
    """Inputs, recordings, reduced-rank regression in turned coordinates.

    There is one task in random signs.
    """
    k = len(gains)
    basis = np.linalg.qr(rng.standard_normal((d, k + 1)))[0]
    encoder, missed = basis[:, :k], basis[:, k]
    readout = np.linalg.qr(rng.standard_normal((p, k)))[0] * np.sqrt(gains)
    inputs = rng.standard_normal((n, d))
    latents = inputs @ encoder + rng.standard_normal((n, k)) * np.sqrt(latent)
    recordings = latents @ readout.T + rng.standard_normal((n, p)) * math.sqrt(recording)
    weights = np.linalg.lstsq(inputs, recordings, rcond=None)[0]
    directions = np.linalg.svd(inputs @ weights, full_matrices=False)[2][:k].T
    learned = np.linalg.qr(weights @ directions)[0]
    insensitive = np.eye(d) - learned @ learned.T
    b = encoder @ (np.sqrt(squares) * rng.choice([-1, 1], k))
    in_b, out_v = b @ insensitive @ b, missed @ insensitive @ missed
    kept = np.sum((learned.T @ encoder) ** 2)
    p_b, p_v = (np.sum((encoder.T @ insensitive @ w) ** 2) for w in (b, missed))
    v_b, v_v = (missed @ insensitive @ b) ** 2, out_v**2
    return np.array([in_b, out_v, kept, in_b * kept, out_v * kept, p_b, p_v, v_b, v_v])


def brute_two_penalties(wishart: np.ndarray, k: int, penalties: np.ndarray) -> np.ndarray:
    d, blocks = len(wishart), len(wishart) // k

    def one(block: int, c_in: float, c_out: float) -> Iterator[float]:
        inside = np.arange(d) // k == block
        g = np.linalg.inv(wishart + np.diag(np.where(inside, c_in, c_out)))
        for square in (g, g @ g):
            yield from (np.diag(square)[inside].sum(), np.diag(square)[~inside].sum())
        yield np.trace(g @ wishart @ g)

    pairs = [[[[*one(b, i, o)] for o in penalties] for i in penalties] for b in range(blocks)]
    return np.mean(pairs, 0)


def z_scores(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.mean(0) - b.mean(0)) / np.hypot(standard_error(a), standard_error(b))


def named(names: list[str], values: np.ndarray) -> str:
    return ", ".join(f"{name} {value:.2g}" for name, value in zip(names, values, strict=True))
