"""From a user's own recordings to a verdict."""

from .comparison import CONTROLS, ESTIMATORS, Evaluation, evaluate
from .rank import choose_rank, encoding_rank
from .recordings import PilotData, PilotError, pilot_data, read_pilot, whiten
from .splits import SplitSizes, row_correlation, split_sizes
from .summary import Summary, summarise

__all__ = [
    "CONTROLS",
    "ESTIMATORS",
    "Evaluation",
    "PilotData",
    "PilotError",
    "SplitSizes",
    "Summary",
    "choose_rank",
    "encoding_rank",
    "evaluate",
    "pilot_data",
    "read_pilot",
    "row_correlation",
    "split_sizes",
    "summarise",
    "whiten",
]
