"""Closed forms: what recordings are worth, without any data."""

from .brain_stage import expected_misalignment as expected_misalignment
from .resolvent import wishart_resolvent_trace as wishart_resolvent_trace
from .task_stage import optimal_penalty as optimal_penalty
from .task_stage import ridge_risk as ridge_risk
from .task_stage import risk as risk
from .task_stage import task_only_risk as task_only_risk
from .worth import exchange_rate as exchange_rate
from .worth import savings as savings
from .worth import value as value
