"""How far to trust the closed forms, the simulated side: draws over a wide grid, with their errors.

    python -m benchmarks.accuracy_simulation [--part brain|task|two_penalties] [--quick]
    python -m benchmarks.accuracy_simulation --check

NumPy and SciPy only: nothing here may come from jaxbrain, which `accuracy.py` compares with it. The
results are saved as they come; started again, the program goes on with the cells that are missing
or not yet exact enough. A cell depends on its seed and its number of draws alone.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy

FILE = Path(__file__).parent / "results" / "accuracy_simulation.json"
SEED = 2026
REGIMES = {
    "quiet": (0.1, 0.3),
    "neural": (1.0, 0.3),
    "measurement": (0.1, 4.0),
    "loud": (0.5, 16.0),
}

BRAIN_SIDES = ["d", "k", "p", "n", "regime"]
BRAIN_MEANS = ["in_b", "out_v", "kept", "in_b*kept", "out_v*kept", "Pb", "Pv", "vb", "vv"]
MISALIGNMENTS = (0.1, 0.0, 0.9)
TASK_SIDES = ["q", "N", "c"]
TASK_MEANS = ["t1", "t2", "t11"]
TWO_SIDES = ["d", "k", "n", "c_in", "c_out"]
TWO_MEANS = ["tr_in_G", "tr_out_G", "tr_in_G2", "tr_out_G2", "tr_GWG"]


# --- The brain stage
# -------------------------------------------------------------------------------


def anisotropy(k: int, p: int, regime: str) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Gains h², latent-noise variances, recording noise, squared coordinates of the task."""
    latent, recording = REGIMES[regime]
    squares = np.linspace(1, 3, k)
    gains = p / k * np.geomspace(0.5, 2, k)
    return gains, latent * np.linspace(1.5, 0.5, k), recording, squares / squares.sum()


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


def brain_grid(quick: bool) -> list[tuple[int, int, int, int, str]]:
    """Cells in a fixed order, which gives the seeds: every k and n early, the large ones last."""
    if quick:
        return [(40, k, 3 * k, n, r) for k in (4, 25) for n in (42, 80) for r in ("quiet", "loud")]
    ns = (204, 210, 240, 300, 400, 800, 2000)
    cells = [
        (200, k, round(ratio * k), n, regime)
        for ratio in (1.5, 3, 10, 25)
        for k in (4, 20, 60, 120)
        for regime in REGIMES
        for n in ns
    ]
    return cells + [
        (50, k, math.ceil(ratio * k), n, regime)
        for k in (1, 5, 15, 30)
        for ratio in (1.5, 3, 10)
        for regime in ("quiet", "measurement")
        for n in (53, 60, 75, 100, 200, 500)
    ]


def brain_error(draws: np.ndarray) -> float:
    """Largest relative standard error of E m̂ over three misalignments."""
    combined = [(1 - m) * draws[:, 0] + m * draws[:, 1] for m in MISALIGNMENTS]
    return max(relative_error(c) for c in combined)


def relative_error(draws: np.ndarray) -> float:
    return float(np.max(standard_error(draws) / np.abs(draws.mean(0))))


def standard_error(draws: np.ndarray) -> np.ndarray:
    return draws.std(0, ddof=1) / math.sqrt(len(draws))


def until(
    batch: Callable[[], np.ndarray],
    error: Callable[[np.ndarray], float],
    tolerance: float,
    minimum: int,
    cap: float,
) -> tuple[np.ndarray, float, float]:
    """Draw until the error is small enough or the time is spent: draws, error, seconds."""
    start = time.perf_counter()
    parts = [batch()]
    while True:
        seconds = time.perf_counter() - start
        if sum(map(len, parts)) >= minimum:
            draws = np.concatenate(parts)
            reached = error(draws)
            if reached <= tolerance or seconds > cap:
                return draws, reached, seconds
        # Seldom look, so that a lucky estimate of the error does not end the cell.
        for _ in range(max(1, len(parts) // 4)):
            parts.append(batch())
            if time.perf_counter() - start > cap:
                break


def brain(store: "Store", quick: bool, tolerance: float, minimum: int, cap: float) -> None:
    cells = list(enumerate(brain_grid(quick)))

    def effort(cell: tuple[int, tuple]) -> float:  # most exact cells for the time
        row = store.row("brain", cell[1])
        return 0.0 if row is None else row["seconds"] * (row["error"] / tolerance) ** 2

    for index, cell in sorted(cells, key=effort):
        d, k, p, n, regime = cell
        row = store.row("brain", cell)
        if row and row["draws"] >= minimum and (row["error"] <= tolerance or row["seconds"] >= cap):
            continue
        side = min(p, d)
        size = int(np.clip(2e5 // side**2, 4, 250))
        repeats = max(1, min(16, 80 // k))
        rng = np.random.default_rng([SEED, index])
        draws, error, seconds = until(
            lambda: brain_draws(rng, size, repeats, d, p, n, *anisotropy(k, p, regime)),  # noqa: B023
            brain_error,
            tolerance,
            minimum,
            cap,
        )
        store.add("brain", cell, draws, error, seconds)


# --- The task stage
# --------------------------------------------------------------------------------


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


def task(store: "Store", quick: bool, tolerance: float, minimum: int, cap: float) -> None:
    ratios = (0.95, 1.2) if quick else (0.3, 0.8, 0.95, 1, 1.05, 1.2, 2, 5)
    for i, q in enumerate((10,) if quick else (40, 80, 196)):
        for j, ratio in enumerate(ratios):
            n = round(ratio * q)
            shifts = q * np.array([1e-3, 1e-2, 0.1, 1, 10])
            cells = [(q, n, float(c)) for c in shifts]
            if store.done("task", cells, tolerance, cap):
                continue
            rng = np.random.default_rng([SEED, 1, i, j])
            total = Moments()

            def batch() -> np.ndarray:
                first, second = traces(rng, 2000, q, n, shifts)  # noqa: B023
                return np.stack([first, second, first**2], -1)

            total.until(batch, tolerance, minimum, cap)
            for index, cell in enumerate(cells):
                store.add_moments("task", cell, total, index)


# --- Two penalties
# ---------------------------------------------------------------------------------


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


def two_penalties(store: "Store", quick: bool, tolerance: float, minimum: int, cap: float) -> None:
    d = 20 if quick else 100
    penalties = d * np.array([1e-3, 1e-2, 0.1, 1, 10])
    for i, k in enumerate((2, 12) if quick else (2, 10, 30, 60)):
        for j, n in enumerate((10, 20) if quick else (15, 40, 80, 100, 101, 120, 200, 500)):
            cells = [(d, k, n, float(a), float(b)) for a in penalties for b in penalties]
            if store.done("two_penalties", cells, tolerance, cap):
                continue
            rng = np.random.default_rng([SEED, 2, i, j])
            total = Moments()

            def batch() -> np.ndarray:
                draws = [two_penalty_draw(rng, d, k, n, penalties, penalties) for _ in range(10)]  # noqa: B023
                return np.stack(draws).reshape(10, -1, len(TWO_MEANS))

            total.until(batch, tolerance, minimum, cap)
            for index, cell in enumerate(cells):
                store.add_moments("two_penalties", cell, total, index)


# --- Moments, the file
# -----------------------------------------------------------------------------


class Moments:
    """Mean and standard error of draws that are too many to keep."""

    def __init__(self) -> None:
        self.draws, self.seconds = 0, 0.0
        self.mean = self.squares = np.zeros(())

    def until(
        self, batch: Callable[[], np.ndarray], tolerance: float, minimum: int, cap: float
    ) -> None:
        start = time.perf_counter()
        while self.draws < minimum or (self.error.max() > tolerance and self.seconds < cap):
            new = batch()
            total = self.draws + len(new)
            step = new.mean(0) - self.mean
            self.squares = self.squares + ((new - new.mean(0)) ** 2).sum(0)
            self.squares = self.squares + step**2 * (self.draws * len(new) / total)
            self.mean, self.draws = self.mean + step * (len(new) / total), total
            self.seconds = time.perf_counter() - start

    @property
    def standard_error(self) -> np.ndarray:
        return np.sqrt(self.squares / (self.draws - 1) / self.draws)

    @property
    def error(self) -> np.ndarray:
        return self.standard_error / np.abs(self.mean)


class Store:
    """Rows by part and cell, in one JSON file that is whole at any time."""

    sides = {"brain": BRAIN_SIDES, "task": TASK_SIDES, "two_penalties": TWO_SIDES}  # noqa: RUF012
    means = {"brain": BRAIN_MEANS, "task": TASK_MEANS, "two_penalties": TWO_MEANS}  # noqa: RUF012

    def __init__(self, path: Path | None) -> None:
        self.path, self.saved, self.start = path, time.perf_counter(), time.perf_counter()
        self.rows: dict[str, dict[tuple, list]] = {part: {} for part in self.sides}
        if path is not None and path.exists():
            stored = json.loads(path.read_text())
            for part, sides in self.sides.items():
                rows = stored.get(part, {}).get("rows", [])
                self.rows[part] = {tuple(row[: len(sides)]): row for row in rows}

    def columns(self, part: str) -> list[str]:
        errors = [f"se {name}" for name in self.means[part]]
        return [*self.sides[part], "draws", "seconds", "error", *self.means[part], *errors]

    def row(self, part: str, cell: tuple) -> dict | None:
        row = self.rows[part].get(tuple(rounded(cell)))
        return None if row is None else dict(zip(self.columns(part), row, strict=True))

    def done(self, part: str, cells: list[tuple], tolerance: float, cap: float) -> bool:
        rows = [self.row(part, cell) for cell in cells]
        return all(r and (r["error"] <= tolerance or r["seconds"] >= cap) for r in rows)

    def add(self, part: str, cell: tuple, draws: np.ndarray, error: float, seconds: float) -> None:
        self._add(part, cell, len(draws), seconds, error, draws.mean(0), standard_error(draws))

    def add_moments(self, part: str, cell: tuple, total: Moments, index: int) -> None:
        error = total.error[index].max()
        mean, standard = total.mean[index], total.standard_error[index]
        self._add(part, cell, total.draws, total.seconds, error, mean, standard)

    def _add(
        self, part: str, cell: tuple, draws: int, seconds: float, error: float, *values
    ) -> None:
        numbers = [draws, round(seconds, 2), error, *np.concatenate(values)]
        row = rounded([*cell, *numbers])
        self.rows[part][tuple(row[: len(cell)])] = row
        if time.perf_counter() - self.saved > 10:
            self.save()

    def save(self) -> None:
        self.saved = time.perf_counter()
        counts = {part: len(rows) for part, rows in self.rows.items()}
        print(f"{self.saved - self.start:.0f} s, cells {counts}", flush=True)
        if self.path is None:
            return
        parts = []
        for part, rows in self.rows.items():
            ordered = sorted(rows.values(), key=lambda row: row[: len(self.sides[part])])
            lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in ordered)
            columns = json.dumps(self.columns(part))
            parts.append(f'"{part}": {{"columns": {columns},\n"rows": [\n{lines}\n]}}')
        text = ",\n".join([f'{{"meta": {json.dumps(meta(), ensure_ascii=False)}', *parts]) + "}\n"
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)


def meta() -> dict:
    return {
        "what": "means over exact draws, se: their standard errors, "
        "error: the largest relative one that "
        "counts; seconds: time spent on the cell (on its draws, where cells share them)",
        "brain": {
            "gains h_i²": "p/k geomspace(0.5, 2, k)",
            "latent noise v_i": "v linspace(1.5, 0.5, k)",
            "task, squared coordinates": "linspace(1, 3, k), normalised",
            "regimes (v, r)": REGIMES,
            "error": f"of (1 - m) in_b + m out_v at m = {MISALIGNMENTS}",
            "seed": f"[{SEED}, place of the cell in brain_grid()]",
        },
        "task": {"seed": f"[{SEED}, 1, index of q, index of N/q]"},
        "two_penalties": {"seed": f"[{SEED}, 2, index of k, index of n]"},
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__},
        "date": time.strftime("%Y-%m-%d"),
    }


def rounded(values) -> list:
    return [float(f"{v:.7g}") if isinstance(v, float) else v for v in values]


# --- Checks
# ----------------------------------------------------------------------------------------


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
        arguments = (d, p, n, *noisy_anisotropy(k, p))
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


def noisy_anisotropy(k: int, p: int) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    gains, latent, _, squares = anisotropy(k, p, "loud")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--part", choices=["brain", "task", "two_penalties"])
    parser.add_argument("--quick", action="store_true", help="a small grid, nothing stored")
    parser.add_argument("--check", action="store_true", help="the samplers against raw data")
    parser.add_argument(
        "--cap", type=float, default=60, help="seconds for a cell of the brain stage"
    )
    arguments = parser.parse_args()
    if arguments.check:
        check()
        return
    quick, part = arguments.quick, arguments.part
    store = Store(None if quick else FILE)
    relaxed = 10 if quick else 1
    if part in (None, "brain"):
        brain(store, quick, math.inf, 12, 0)  # a coarse view of the whole grid first
        store.save()
    if part in (None, "two_penalties"):
        two_penalties(store, quick, 0.002 * relaxed, 20, 60 / relaxed)
        store.save()
    if part in (None, "task"):
        task(store, quick, 0.0003 * relaxed, 4000, 60 / relaxed)
        store.save()
    if part in (None, "brain"):
        brain(store, quick, 0.0005 * relaxed, 100, arguments.cap / relaxed)
        store.save()


if __name__ == "__main__":
    main()
