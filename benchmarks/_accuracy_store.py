"""Means of draws with their errors, and the file that keeps them."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy

from ._accuracy_draws import ALIKE, ALIKE_LATENT_NOISE, BRAIN_MEANS, REGIMES, TWO_MEANS

SEED = 2026
BRAIN_SIDES = ["d", "k", "p", "n", "regime"]
MISALIGNMENTS = (0.1, 0.0, 0.9)
TASK_SIDES = ["q", "N", "c"]
TASK_MEANS = ["t1", "t2", "t11"]
TWO_SIDES = ["d", "k", "n", "c_in", "c_out"]


def relative_error(draws: np.ndarray) -> float:
    return float(np.max(standard_error(draws) / np.abs(draws.mean(0))))


def standard_error(draws: np.ndarray) -> np.ndarray:
    return draws.std(0, ddof=1) / math.sqrt(len(draws))


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
            f"regimes '{ALIKE}'": f"gains p/k, v_i = {ALIKE_LATENT_NOISE}, r so that eq. 12 says ε",
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
