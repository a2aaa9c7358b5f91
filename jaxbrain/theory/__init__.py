"""Closed forms: what recordings are worth, without any data."""

from .brain_stage import expected_misalignment as expected_misalignment
from .exchange import Worth as Worth
from .exchange import exchange_rate as exchange_rate
from .exchange import savings as savings
from .exchange import value as value
from .exchange import worth as worth
from .resolvent import wishart_resolvent_trace as wishart_resolvent_trace
from .task_stage import optimal_penalty as optimal_penalty
from .task_stage import ridge_risk as ridge_risk
from .task_stage import risk as risk
from .task_stage import task_only_risk as task_only_risk
