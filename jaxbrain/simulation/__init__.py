"""Exact Monte Carlo: what recordings are worth, measured on draws."""

from ._sample import sample_misalignment
from .empirical import empirical_value
from .sweep import mean_over_seeds, sweep

__all__ = [
    "empirical_value",
    "mean_over_seeds",
    "sample_misalignment",
    "sweep",
]
