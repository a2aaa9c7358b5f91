"""Every result of the paper, and what goes beyond it.

Tables, figures, and claims that the tables decide.
"""

from .registry import RESULTS
from .result import FULL, QUICK, VERDICTS, Claim, Scale
from .run import reproduce

__all__ = ["FULL", "QUICK", "RESULTS", "VERDICTS", "Claim", "Scale", "reproduce"]
