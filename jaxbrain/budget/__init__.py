"""Budgets: whether recordings pay, and how to split money between them and labels."""

from .asymptotic import (
    Collecting,
    asymptotic_allocation,
    favourability,
    worth_collecting,
)
from .designs import ClosedFormDesign, Design, MonteCarloDesign
from .empirical import empirical_allocation
from .modality import Modality
from .optimal import optimal_allocation
from .results import (
    Allocation,
    AsymptoticAllocation,
    EmpiricalAllocation,
    Frontier,
    TunedAllocation,
)
from .tuned import tune_allocation

__all__ = [
    "Allocation",
    "AsymptoticAllocation",
    "ClosedFormDesign",
    "Collecting",
    "Design",
    "EmpiricalAllocation",
    "Frontier",
    "Modality",
    "MonteCarloDesign",
    "TunedAllocation",
    "asymptotic_allocation",
    "empirical_allocation",
    "favourability",
    "optimal_allocation",
    "tune_allocation",
    "worth_collecting",
]
