"""Exact Monte Carlo: what recordings are worth, measured on draws."""

from .empirical import EmpiricalAllocation as EmpiricalAllocation
from .empirical import empirical_allocation as empirical_allocation
from .empirical import empirical_value as empirical_value
from .sample import sample_misalignment as sample_misalignment
from .sweep import mean_over_seeds as mean_over_seeds
from .sweep import sweep as sweep
