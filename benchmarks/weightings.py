"""Which prior should recordings give to the weights of a task? Weightings of the encoder compared.

    python -m benchmarks.weightings

All in NumPy. The prior covariance of the weights is 1/λ + W Wᵀ/λ_M. W is the encoder M, or M with
its singular values raised to a power, shrunk, cut, or with its channels weighted. Projectors of a
given rank are BEFS with two penalties. docs/estimators.md shows the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._measure import prepare, store

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
SHARES = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 1.0])
PENALTIES = 10.0 ** np.arange(-4, 2.01, 0.25)
REPEATS = 12


class Encoding(NamedTuple):
    """What the first stage knows."""

    inputs: np.ndarray
    recordings: np.ndarray
    weights: np.ndarray
    """M, shape (d, p)."""
    left_out: np.ndarray
    """Residuals of recordings, each row predicted from all others."""
    penalty: float


def eigen(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(rows @ rows.T)
    return np.maximum(values, 0.0), vectors


def leave_one_out(values, vectors, targets, totals):
    """Left-out residuals for each total penalty; means have been taken out."""
    amplitudes = vectors.T @ targets
    for total in totals:
        left = total / (values + total)
        freedom = (vectors**2) @ left - 1 / len(targets)
        yield (vectors @ (left[:, None] * amplitudes)) / freedom[:, None]


def encoding(inputs: np.ndarray, recordings: np.ndarray) -> Encoding:
    """Ridge regression of all channels, its penalty chosen by leave-one-out."""
    n = len(inputs)
    values, vectors = eigen(inputs)
    totals = np.sum(values) * 10.0 ** np.arange(-6, 1.01, 0.125)
    errors = [np.sum(e**2) for e in leave_one_out(values, vectors, recordings, totals)]
    total = totals[int(np.argmin(errors))]
    residuals = next(leave_one_out(values, vectors, recordings, [total]))
    weights = inputs.T @ (vectors @ ((vectors.T @ recordings) / (values + total)[:, None]))
    return Encoding(inputs, recordings, weights, residuals, total / n)


def power(exponent: float, rank: int | None = None) -> Callable:
    """Singular values of the encoder to a power, those beyond a rank cut."""

    def weight(found: Encoding) -> np.ndarray:
        left, spread, _ = np.linalg.svd(found.weights, full_matrices=False)
        kept = spread > 1e-9 * spread[0]
        if rank is not None:
            kept &= np.arange(len(spread)) < rank
        return left[:, kept] * spread[kept] ** exponent

    return weight


def reduced_rank(rank: int) -> Callable:
    """The projector of BEFS."""

    def weight(found: Encoding) -> np.ndarray:
        x, n = found.inputs, len(found.inputs)
        values, vectors = eigen(x)
        smoothed = (
            vectors.T @ found.recordings * np.sqrt(values / (values + n * found.penalty))[:, None]
        )
        patterns = np.linalg.svd(smoothed, full_matrices=False)[2][:rank]
        return np.linalg.qr(found.weights @ patterns.T)[0]

    return weight


def explained(found: Encoding) -> np.ndarray:
    """1 − left-out error over variance, at least 0."""
    ratio = np.mean(found.left_out**2, axis=0) / np.mean(found.recordings**2, axis=0)
    return np.maximum(1 - ratio, 0.0)


def by_explained_variance(found: Encoding) -> np.ndarray:
    return found.weights * np.sqrt(explained(found))


def by_signal_to_noise(found: Encoding) -> np.ndarray:
    return found.weights / np.sqrt(np.mean(found.left_out**2, axis=0))


def shrunken(found: Encoding) -> np.ndarray:
    """Predicted variance along each direction, less what noise alone would give it."""
    noise = found.left_out
    x, n = found.inputs, len(found.inputs)
    values = eigen(x)[0]
    smoother = values / (values + n * found.penalty)
    spread2, right = np.linalg.eigh((x @ found.weights).T @ (x @ found.weights))
    of_noise = np.sum(smoother**2) / n * np.einsum("pi,pq,qi->i", right, noise.T @ noise, right)
    kept = spread2 > of_noise
    share = np.sqrt(1 - of_noise[kept] / spread2[kept])
    return found.weights @ right[:, kept] * share


def thresholded(found: Encoding) -> np.ndarray:
    """Directions cut whose predicted variance noise alone would give."""
    x, n = found.inputs, len(found.inputs)
    values = eigen(x)[0]
    smoother = values / (values + n * found.penalty)
    spread2, right = np.linalg.eigh((x @ found.weights).T @ (x @ found.weights))
    noise = found.left_out.T @ found.left_out / n
    ratio = np.sum(smoother**2) * np.max(np.linalg.eigvalsh(noise))
    kept = spread2 > ratio
    kept[-1] = True
    return found.weights @ right[:, kept]


def reliable(exponent: float) -> Callable:
    """Directions of reduced-rank regression, in the order of their strength, made orthonormal.

    Each counts by the share of its strength that noise alone would not give it, and by its length
    in the encoder to a power.
    """

    def weight(found: Encoding) -> np.ndarray:
        x, n = found.inputs, len(found.inputs)
        values, vectors = eigen(x)
        smoother = values / (values + n * found.penalty)
        smoothed = vectors.T @ found.recordings * np.sqrt(smoother)[:, None]
        spread, right = np.linalg.svd(smoothed, full_matrices=False)[1:]
        spread, right = spread[: x.shape[1]], right[: x.shape[1]]
        noise = np.sum((found.left_out @ right.T) ** 2, axis=0) / n * np.sum(smoother)
        share = np.maximum(1 - noise / np.maximum(spread**2, 1e-300), 0.0)
        share[0] = max(share[0], 1e-3)
        basis, triangle = np.linalg.qr(found.weights @ right.T)
        return basis * np.sqrt(share) * np.abs(np.diag(triangle)) ** exponent

    return weight


WEIGHTINGS = {
    "encoder": power(1.0),
    "power 1/2": power(0.5),
    "power 3/2": power(1.5),
    "cut at rank 20": power(1.0, 20),
    "by explained variance": by_explained_variance,
    "by signal to noise": by_signal_to_noise,
    "shrunken": shrunken,
    "thresholded": thresholded,
    "reliable directions, power 1/2": reliable(0.5),
}
RANKS = {f"projector, rank {rank}": reduced_rank(rank) for rank in (4, 12, 20)}


def held_out_error(kernels, cross, targets, truth) -> float:
    """Of two kernels mixed: share and penalty by leave-one-out, shared by all targets."""
    spread = targets.var(axis=0)
    best = (np.inf, 0.0)
    for share in SHARES if kernels[1] is not None else SHARES[:1]:
        kernel, onto = kernels[0], cross[0]
        if share > 0:
            kernel = (1 - share) * kernel + share * kernels[1]
            onto = (1 - share) * onto + share * cross[1]
        values, vectors = np.linalg.eigh(kernel)
        values = np.maximum(values, 0.0)
        totals = np.sum(values) * PENALTIES
        for total, left in zip(
            totals, leave_one_out(values, vectors, targets, totals), strict=True
        ):
            error = np.mean(np.mean(left**2, axis=0) / spread)
            if error < best[0]:
                best = (error, (onto, values, vectors, total))
    onto, values, vectors, total = best[1]
    predicted = onto @ (vectors @ ((vectors.T @ targets) / (values + total)[:, None]))
    return float(np.mean(np.mean((truth - predicted) ** 2, axis=0) / truth.var(axis=0)))


def kernels_of(rows, new, weights):
    """Kernels of trace n, and those of new rows with them."""
    if weights is not None:
        rows, new = rows @ weights, new @ weights
    kernel = rows @ rows.T
    unit = np.trace(kernel) / len(rows)
    return kernel / unit, new @ rows.T / unit


def on_split(brain, recordings, rows, labels, new, truth, weightings) -> dict[str, float]:
    found = encoding(brain - brain.mean(0), recordings - recordings.mean(0))
    mean, level = rows.mean(0), labels.mean(0)
    rows, new, labels, truth = rows - mean, new - mean, labels - level, truth - level
    plain = kernels_of(rows, new, None)
    errors = {"ridge": held_out_error((plain[0], None), (plain[1], None), labels, truth)}
    for name, weight in weightings.items():
        learned = kernels_of(rows, new, weight(found))
        errors[name] = held_out_error((plain[0], learned[0]), (plain[1], learned[1]), labels, truth)
    return errors


def splits_of_recordings():
    """Splits of each real study whose file is there."""
    v4, bulb = DATA / "cowley2026" / "v4.npz", DATA / "pyrfume" / "bulb_ratings.npz"
    if v4.exists():
        with np.load(v4) as held:
            arrays = {name: held[name].astype(float) for name in held.files}

        def same(rng):
            order, columns = rng.permutation(1200), rng.permutation(89)
            x, units = arrays["features_pe"][order], arrays["responses_pe"][order]
            seen, judged = units[:, columns[:60]], units[:, columns[60:]]
            return x[:600], seen[:600], x[600:720], judged[600:720], x[720:], judged[720:]

        def across(rng):
            brain, task = rng.permutation(1200)[:1000], rng.permutation(1200)
            x, y = arrays["features_ra"][task], arrays["responses_ra"][task]
            return (
                *(arrays[name][brain] for name in ("features_pe", "responses_pe")),
                *(x[:120], y[:120], x[120:], y[120:]),
            )

        yield from (("V4, same animal", same), ("V4, across animals", across))
    if bulb.exists():
        with np.load(bulb) as held:
            maps = {name: held[name].astype(float) for name in held.files}

        def ratings(rng, n=120):
            order = rng.permutation(480)
            x, y = maps["task_inputs"][order], maps["targets"][order]
            return maps["brain_inputs"], maps["recordings"], x[:n], y[:n], x[n:], y[n:]

        yield "olfactory bulb", ratings


class Study(NamedTuple):
    """A simulated study of 80 inputs and 60 labels."""

    exponent: float
    latents: int
    decay: float
    n_brain: int
    even: bool = True


STUDIES = {
    "white, k 6": Study(0.0, 6, 0.0, 150),
    "white, k 6, gains 1/i": Study(0.0, 6, 1.0, 150),
    "1/i, k 6": Study(1.0, 6, 0.0, 60),
    "1/i, k 12, gains i^-0.7": Study(1.0, 12, 0.7, 60),
    "i^-0.7, k 25, gains i^-0.7": Study(0.7, 25, 0.7, 120),
    "1/i, k 12, gains 1/i, task as gains": Study(1.0, 12, 1.0, 60, even=False),
}
D, N_TASK, CHANNELS, MISSED, DRAWS = 80, 60, 40, 0.15, 60


def simulated(study: Study, weightings) -> dict[str, list[float]]:
    """Mean excess risk at the best share and penalty of a grid, and its standard error."""
    risks: dict[str, list] = {}
    spectrum = np.arange(1, D + 1) ** -study.exponent
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        encoder = np.linalg.qr(rng.normal(size=(D, study.latents)))[0]
        encoder = encoder / np.sqrt(np.einsum("dk,d,dk->k", encoder, spectrum, encoder))
        gains = np.arange(1, study.latents + 1.0) ** -study.decay
        readout = gains[:, None] * rng.normal(size=(study.latents, CHANNELS))
        task = encoder @ (np.ones(study.latents) if study.even else gains)
        beyond = rng.normal(size=D)
        beyond -= encoder @ np.linalg.solve(
            encoder.T @ (spectrum[:, None] * encoder), encoder.T @ (spectrum * beyond)
        )
        task, beyond = (w / np.sqrt(np.sum(spectrum * w**2)) for w in (task, beyond))
        task = np.sqrt(1 - MISSED) * task + np.sqrt(MISSED) * beyond
        brain, rows = (rng.normal(size=(n, D)) * np.sqrt(spectrum) for n in (study.n_brain, N_TASK))
        latents = brain @ encoder + np.sqrt(0.3) * rng.normal(size=(study.n_brain, study.latents))
        recordings = latents @ readout + rng.normal(size=(study.n_brain, CHANNELS))
        targets = rows @ task + rng.normal(size=N_TASK)
        found = encoding(brain, recordings)
        for name, weight in ({"ridge": None} | weightings).items():
            priors = [np.eye(D)]
            if weight is not None:
                learned = weight(found)
                learned = learned @ learned.T
                learned *= D / np.trace(learned)
                priors = [(1 - s) * priors[0] + s * learned for s in SHARES]
            table = []
            for prior in priors:
                through = prior @ rows.T
                kernel = rows @ through
                values, vectors = np.linalg.eigh(kernel)
                values = np.maximum(values, 0.0)
                back, amplitudes = through @ vectors, vectors.T @ targets
                totals = np.sum(values) * PENALTIES
                weights = back @ (amplitudes[:, None] / (values[:, None] + totals[None]))
                table.append(np.sum(spectrum[:, None] * (weights - task[:, None]) ** 2, axis=0))
            risks.setdefault(name, []).append(table)
    answer = {}
    for name, tables in risks.items():
        tables = np.array(tables)
        mean = tables.mean(axis=0)
        best = np.unravel_index(np.argmin(mean), mean.shape)
        spread = tables[(slice(None), *best)]
        answer[name] = [float(mean[best]), float(spread.std(ddof=1) / np.sqrt(DRAWS))]
    return answer


def main() -> None:
    prepare(__doc__)
    results: dict[str, dict] = {"recordings": {}, "simulated": {}, "seconds": {}}
    for name, draw in splits_of_recordings():
        start = time.perf_counter()
        found = [
            on_split(*draw(np.random.default_rng(seed)), RANKS | WEIGHTINGS)
            for seed in range(REPEATS)
        ]
        table = {}
        for each in found[0]:
            errors = np.array([one[each] for one in found])
            gains = errors - np.array([one["ridge"] for one in found])
            table[each] = [
                *(float(x) for x in (errors.mean(), gains.mean())),
                float(gains.std(ddof=1) / np.sqrt(REPEATS)),
            ]
            mean, gain, error = table[each]
            print(f"{name:24} {each:32} {mean:.4f} {gain:+.4f} ± {error:.4f}")
        results["recordings"][name] = table
        results["seconds"][name] = time.perf_counter() - start
    for name, study in STUDIES.items():
        start = time.perf_counter()
        ranks = {"right": study.latents, "halved": study.latents // 2}
        projectors = {f"projector, rank {which}": reduced_rank(k) for which, k in ranks.items()}
        results["simulated"][name] = simulated(study, projectors | WEIGHTINGS)
        results["seconds"][name] = time.perf_counter() - start
        for each, (mean, error) in results["simulated"][name].items():
            print(f"{name:36} {each:32} {mean:.3f} ± {error:.3f}")
    store("weightings", results)


if __name__ == "__main__":
    main()
