"""Exact Monte Carlo: what recordings are worth, measured on draws."""

from ._grids import brain_numbers, penalty_numbers, task_numbers
from ._sample import sample_misalignment
from .empirical import empirical_value
from .memory import bytes_of_sweep
from .simulated_worth import SimulatedWorth, simulated_worth
from .sweep import mean_over_seeds, sweep

__all__ = [
    "SimulatedWorth",
    "brain_numbers",
    "bytes_of_sweep",
    "empirical_value",
    "mean_over_seeds",
    "penalty_numbers",
    "sample_misalignment",
    "simulated_worth",
    "sweep",
    "task_numbers",
]
