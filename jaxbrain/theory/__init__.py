"""Closed forms: what recordings are worth, without any data."""

from .accuracy import AccuracyWarning
from .banded import BandedPenalties, banded_ridge_risk, optimal_banded_penalties
from .brain_stage import expected_misalignment
from .encoding_penalty import optimal_encoding_penalty
from .resolvent import wishart_resolvent_trace
from .risk import optimal_penalty, ridge_risk, risk, subspace_risk, task_only_risk
from .sensitivity import Elasticities, elasticities
from .two_penalties import Penalties, optimal_penalties, two_penalty_risk
from .value import Worth, exchange_rate, information_value, savings, value, worth

__all__ = [
    "AccuracyWarning",
    "BandedPenalties",
    "Elasticities",
    "Penalties",
    "Worth",
    "banded_ridge_risk",
    "elasticities",
    "exchange_rate",
    "expected_misalignment",
    "information_value",
    "optimal_banded_penalties",
    "optimal_encoding_penalty",
    "optimal_penalties",
    "optimal_penalty",
    "ridge_risk",
    "risk",
    "savings",
    "subspace_risk",
    "task_only_risk",
    "two_penalty_risk",
    "value",
    "wishart_resolvent_trace",
    "worth",
]
