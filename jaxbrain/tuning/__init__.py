"""Penalties and budgets by gradient descent: on closed forms, on simulations, and on data."""

from .allocation import ClosedFormDesign as ClosedFormDesign
from .allocation import Modality as Modality
from .allocation import MonteCarloDesign as MonteCarloDesign
from .allocation import TunedAllocation as TunedAllocation
from .allocation import tune_allocation as tune_allocation
from .held_out import GeneralizedCrossValidation as GeneralizedCrossValidation
from .held_out import HeldOut as HeldOut
from .held_out import KFold as KFold
from .held_out import LeaveOneOut as LeaveOneOut
from .penalty import PenaltyObjective as PenaltyObjective
from .penalty import TunedPenalty as TunedPenalty
from .penalty import tune_penalty as tune_penalty
from .risks import ClosedFormRisk as ClosedFormRisk
from .risks import MonteCarloRisk as MonteCarloRisk
