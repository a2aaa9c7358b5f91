"""Every result of the paper, and what goes beyond it: tables, figures, and claims that the tables decide."""

from .registry import RESULTS as RESULTS
from .result import FULL as FULL
from .result import QUICK as QUICK
from .result import VERDICTS as VERDICTS
from .result import Claim as Claim
from .result import Scale as Scale
from .run import reproduce as reproduce
