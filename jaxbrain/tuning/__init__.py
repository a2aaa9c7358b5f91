"""Penalties by gradient descent: on closed forms, on simulations, and on data."""

from ._held_out import GeneralizedCrossValidation, HeldOut, KFold, LeaveOneOut
from .penalty import PenaltyObjective, TunedPenalty, tune_penalty
from .risks import ClosedFormRisk, MonteCarloRisk

__all__ = [
    "ClosedFormRisk",
    "GeneralizedCrossValidation",
    "HeldOut",
    "KFold",
    "LeaveOneOut",
    "MonteCarloRisk",
    "PenaltyObjective",
    "TunedPenalty",
    "tune_penalty",
]
