"""How much are brain recordings worth for machine learning? Exact, fast, differentiable answers."""

__version__ = "0.1.0"

from . import theory as theory
from .estimators import befs as befs
from .estimators import befs_path as befs_path
from .estimators import encode as encode
from .estimators import oracle_subspace as oracle_subspace
from .estimators import random_subspace as random_subspace
from .estimators import ridge as ridge
from .estimators import shuffle_recordings as shuffle_recordings
from .estimators import task_only as task_only
from .models import LinearGaussianModel as LinearGaussianModel
from .models import Problem as Problem
from .models import presets as presets
from .simulation import sweep as sweep
from .theory import AccuracyWarning as AccuracyWarning
from .theory import Allocation as Allocation
from .theory import AsymptoticAllocation as AsymptoticAllocation
from .theory import BlockShift as BlockShift
from .theory import Collecting as Collecting
from .theory import Elasticities as Elasticities
from .theory import Frontier as Frontier
from .theory import Penalties as Penalties
from .theory import Worth as Worth
from .theory import asymptotic_allocation as asymptotic_allocation
from .theory import elasticities as elasticities
from .theory import exchange_rate as exchange_rate
from .theory import expected_misalignment as expected_misalignment
from .theory import favourability as favourability
from .theory import information_value as information_value
from .theory import optimal_allocation as optimal_allocation
from .theory import optimal_penalties as optimal_penalties
from .theory import optimal_penalty as optimal_penalty
from .theory import ridge_risk as ridge_risk
from .theory import risk as risk
from .theory import savings as savings
from .theory import subspace_risk as subspace_risk
from .theory import task_only_risk as task_only_risk
from .theory import two_penalty_risk as two_penalty_risk
from .theory import value as value
from .theory import wishart_resolvent_trace as wishart_resolvent_trace
from .theory import worth as worth
from .theory import worth_collecting as worth_collecting
