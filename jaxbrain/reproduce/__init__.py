"""Every result of the paper, and what goes beyond it.

Tables, figures, and claims that the tables decide.
"""

from .registry import RESULTS
from .result import FULL, QUICK, VERDICTS, Claim, Scale
from .run import bytes_needed, reproduce

__all__ = ["FULL", "QUICK", "RESULTS", "VERDICTS", "Claim", "Scale", "bytes_needed", "reproduce"]
