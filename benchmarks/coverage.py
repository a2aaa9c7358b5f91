"""How often intervals from few seeds hold the truth, on sweeps whose truth is known.

    python -m benchmarks.coverage --sweeps 300

prints the share of 95 % intervals that cover, for each number of seeds and trials: of values at one
penalty, of values at the best, of the money that the best plan saves, and of its number of
recordings. Plans and penalties lie apart, are close, or tie. `--store` writes the shares to
`results/coverage.json`.
"""

from __future__ import annotations

import argparse

import numpy as np

from jaxbrain import empirical_allocation, empirical_value
from tests.helpers.fake_sweeps import WORTH, fake_sweep

from ._measure import store

_BUDGET, _COST_BRAIN = 90.0, 0.1

SETTINGS = {
    "apart": {100: (10.0, 20.0, 12.0), 200: (15.0, 150.0, 20.0)},
    "close": WORTH,
    "tied": {
        50: (14.5, 14.5, 14.5),
        100: (19.5, 19.5, 19.5),
        200: (29.5, 29.5, 29.5),
        400: (49.5, 49.5, 49.5),
    },
}
"""What recordings are worth in labels, at three penalties."""


def best_plans(worth: dict[int, tuple[float, ...]]) -> tuple[list[int], float]:
    """Numbers of recordings that are best for the budget, and what they save, by the true risks."""
    as_good_as = {n: _BUDGET - _COST_BRAIN * n + max(by_penalty) for n, by_penalty in worth.items()}
    most = max(as_good_as.values())
    best = [n for n, labels in as_good_as.items() if most - labels < 1e-6]
    return best, float(1 - _BUDGET / np.ceil(most - 1e-6))


def holds(low: float, truth: float, high: float) -> bool:
    """Whether the truth is inside; an end that the sweep does not know is open."""
    return not (low > truth or high < truth)


def coverage(
    sweeps: int, seeds: int, trials: int, setting: str = "close", seed: int = 0
) -> dict[str, float]:
    """Shares of intervals that hold the truth, by what they are about."""
    rng = np.random.default_rng(seed)
    worth = SETTINGS[setting]
    by_penalty = np.array([*worth.values()])
    best, saving = best_plans(worth)
    found: dict[str, list[float]] = {
        name: [] for name in ("value", "best_penalty", "saved", "n_brain")
    }
    for _ in range(sweeps):
        sweep = fake_sweep(rng, seeds, trials, worth)
        options = dict(resamples=1000, seed=int(rng.integers(2**31)))
        # One cell a sweep: cells share the baseline's noise.
        cell = sweep.isel(n_brain=[1], n_task=[1])
        for name, penalty, truth in (
            ("value", "each", by_penalty[1, 1]),
            ("best_penalty", "best", by_penalty[1].max()),
        ):
            value = empirical_value(cell, penalty=penalty, **options)
            value = value.isel(penalty=1 if penalty == "each" else 0)
            found[name].append(holds(value.value_low.item(), truth, value.value_high.item()))
        plan = empirical_allocation(sweep, _BUDGET, _COST_BRAIN, 1.0, **options)
        low, high = plan.saved_interval
        found["saved"].append(holds(low, saving, high))
        low, high = plan.n_brain_interval
        found["n_brain"].append(float(np.mean([low <= n <= high for n in best])))
    return {name: float(np.mean(covers)) for name, covers in found.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="*", default=[5, 10, 30])
    parser.add_argument("--trials", type=int, nargs="*", default=[2, 5])
    parser.add_argument("--settings", nargs="*", default=[*SETTINGS], choices=SETTINGS)
    parser.add_argument("--store", action="store_true")
    options = parser.parse_args()
    rows = []
    for setting in options.settings:
        for seeds in options.seeds:
            for trials in options.trials:
                shares = coverage(options.sweeps, seeds, trials, setting)
                told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
                print(f"{setting}, {seeds} seeds, {trials} trials: {told}", flush=True)
                rows.append({"plans": setting, "seeds": seeds, "trials": trials, **shares})
    if options.store:
        store("coverage", {"sweeps": options.sweeps, "confidence": 0.95, "cells": rows})


if __name__ == "__main__":
    main()
