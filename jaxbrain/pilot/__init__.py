"""From a user's own recordings to a verdict."""

from .comparison import CONTROLS, ESTIMATORS, Evaluation, evaluate
from .rank import choose_rank, encoding_rank
from .recordings import Dropped, PilotData, PilotError, pilot_data, read_pilot
from .splits import SplitSizes, row_correlation, rows_together, split_sizes
from .summary import Summary, summarise
from .transformations import (
    average_repeats,
    class_indicators,
    principal_components,
    standardise_channels,
    whiten,
)

__all__ = [
    "CONTROLS",
    "ESTIMATORS",
    "Dropped",
    "Evaluation",
    "PilotData",
    "PilotError",
    "SplitSizes",
    "Summary",
    "average_repeats",
    "choose_rank",
    "class_indicators",
    "encoding_rank",
    "evaluate",
    "pilot_data",
    "principal_components",
    "read_pilot",
    "row_correlation",
    "rows_together",
    "split_sizes",
    "standardise_channels",
    "summarise",
    "whiten",
]
