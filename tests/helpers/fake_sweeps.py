"""Sweeps of known truth, drawn by NumPy: 1/risk is linear in labels, so that no curve is bent."""

import numpy as np
import xarray

LABELS = np.array([20, 40, 80, 160])
ALONE = np.array([10, 20, 40, 80, 160, 320, 640])
# How many labels the recordings are worth at each penalty, by their number.
WORTH = {100: (10.0, 20.0, 12.0), 200: (15.0, 36.5, 20.0)}


def height(labels):
    """1/risk of the baseline with so many labels."""
    return 1 + labels / 50


def fake_sweep(rng, seeds, trials, worth=WORTH, spread=0.4):
    """Means of skewed trials; those of different penalties share most of their noise."""
    by_penalty = np.array([*worth.values()])

    def noise(*shape):
        shape = (*shape, seeds, trials)
        return np.exp(spread * rng.standard_normal(shape) - spread**2 / 2)

    risk = 1 / height(LABELS[None, :, None] + by_penalty[:, None, :])
    shared = noise(len(worth), 4, 1)
    own = 1 + 0.1 * rng.standard_normal((*risk.shape, seeds, trials))
    risk = (risk[..., None, None] * shared * own).mean(-1)
    ridge = (1 / height(ALONE)[:, None, None] * noise(len(ALONE))).mean(-1)
    return xarray.Dataset(
        {
            "risk": (("n_brain", "n_task", "penalty", "seed"), risk),
            "ridge_risk": (("n_task_only", "seed"), ridge),
            "task_only_risk": (("n_task_only", "seed"), ridge),
        },
        coords={
            "n_brain": [*worth],
            "n_task": LABELS,
            "penalty": [0.1, 1.0, 10.0],
            "seed": np.arange(seeds),
            "n_task_only": ALONE,
        },
        attrs={"input_dim": 5, "risk_of_predicting_zero": 1.0},
    )
