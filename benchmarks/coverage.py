"""How often intervals from few seeds hold the truth, on sweeps whose truth is known.

    python -m benchmarks.coverage --sweeps 300

prints the share of 95 % intervals that cover: values at one penalty, values at the best, and money
saved by allocations, for each number of seeds and trials. The standard error of a share of 300 is
1.3 points.
"""

from __future__ import annotations

import argparse

import numpy as np

from jaxbrain import empirical_allocation, empirical_value
from tests.helpers.fake_sweeps import WORTH, fake_sweep

_BUDGET, _COST_BRAIN = 90.0, 0.1


def true_saving() -> float:
    """Of the best split of the budget, by the true risks."""
    labels = np.array([_BUDGET - _COST_BRAIN * n for n in (100, 200)])
    worth = labels + WORTH.max(axis=1)
    best = int(np.argmax(worth))
    return float(1 - _BUDGET / np.ceil(worth[best]))


def coverage(sweeps: int, seeds: int, trials: int, seed: int = 0) -> dict[str, float]:
    """Shares of intervals that hold the truth, by what they are about."""
    rng = np.random.default_rng(seed)
    saving = true_saving()
    found: dict[str, list[float]] = {"value": [], "best penalty": [], "saved": []}
    for _ in range(sweeps):
        sweep = fake_sweep(rng, seeds, trials)
        options = dict(resamples=1000, seed=int(rng.integers(2**31)))
        each = empirical_value(sweep, **options)
        best = empirical_value(sweep, penalty="best", **options)
        for name, worth, truth in (
            ("value", each, WORTH[:, None, :]),
            ("best penalty", best, WORTH.max(axis=1)[:, None, None]),
        ):
            # One cell a sweep: cells share the baseline's noise.
            covers = (worth.value_low.values <= truth) & (truth <= worth.value_high.values)
            found[name].append(covers[1, 1, -1 if name == "best penalty" else 1])
        plan = empirical_allocation(sweep, _BUDGET, _COST_BRAIN, 1.0, **options)
        low, high = plan.saved_interval
        found["saved"].append(low <= saving <= high)
    return {name: float(np.mean(covers)) for name, covers in found.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="*", default=[5, 10, 30])
    parser.add_argument("--trials", type=int, nargs="*", default=[2, 5])
    options = parser.parse_args()
    for seeds in options.seeds:
        for trials in options.trials:
            shares = coverage(options.sweeps, seeds, trials)
            told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
            print(f"{seeds} seeds, {trials} trials: {told}", flush=True)


if __name__ == "__main__":
    main()
