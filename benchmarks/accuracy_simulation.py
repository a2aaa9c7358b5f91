"""How far to trust the closed forms, the simulated side: draws over a wide grid, with their errors.

    python -m benchmarks.accuracy_simulation [--part brain|task|two_penalties] [--quick]
    python -m benchmarks.accuracy_simulation --check

NumPy and SciPy only: nothing here may come from jaxbrain, which `accuracy.py` compares with it. The
results are saved as they come; started again, the program goes on with the cells that are missing
or not yet exact enough. A cell depends on its seed and its number of draws alone.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ._accuracy_checks import check
from ._accuracy_draws import ALIKE, REGIMES, TWO_MEANS, brain_draws, study, traces, two_penalty_draw
from ._accuracy_store import MISALIGNMENTS, SEED, Moments, Store, relative_error

FILE = Path(__file__).parent / "results" / "accuracy_simulation.json"


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
    cells += [
        (50, k, math.ceil(ratio * k), n, regime)
        for k in (1, 5, 15, 30)
        for ratio in (1.5, 3, 10)
        for regime in ("quiet", "measurement")
        for n in (53, 60, 75, 100, 200, 500)
    ]
    cells += [
        (80, k, math.ceil(ratio * k), n, f"{ALIKE}{confusion:g}")
        for k in (1, 4, 8, 20, 40, 60, 79)
        for ratio in (1.5, 10)
        for confusion in (0.01, 0.03, 0.1, 0.3, 0.6, 1, 3)
        for n in (84, 96, 120, 160, 400, 1600)
    ]
    large = [(80, 8, 24, 160), (200, 4, 60, 400), (800, 80, 2000, 1600), (800, 1, 240, 1600)]
    return cells + [(*sizes, f"{ALIKE}0.95") for sizes in large]


def brain_error(draws: np.ndarray) -> float:
    """Largest relative standard error of E m̂ over three misalignments."""
    combined = [(1 - m) * draws[:, 0] + m * draws[:, 1] for m in MISALIGNMENTS]
    return max(relative_error(c) for c in combined)


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
        d, k, p, n, _ = cell
        row = store.row("brain", cell)
        if row and row["draws"] >= minimum and (row["error"] <= tolerance or row["seconds"] >= cap):
            continue
        side = min(p, d)
        size = int(np.clip(2e5 // side**2, 4, 250))
        repeats = max(1, min(16, 80 // k))
        rng = np.random.default_rng([SEED, index])
        draws, error, seconds = until(
            lambda: brain_draws(rng, size, repeats, d, p, n, *study(*cell)),  # noqa: B023
            brain_error,
            tolerance,
            minimum,
            cap,
        )
        store.add("brain", cell, draws, error, seconds)


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
