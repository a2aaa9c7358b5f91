"""From a user's own recordings to a verdict."""

from .comparison import CONTROLS, ESTIMATORS, Evaluation, evaluate
from .rank import choose_rank, encoding_rank
from .recordings import (
    PilotData,
    PilotError,
    pilot_data,
    principal_components,
    read_pilot,
    standardise_channels,
    whiten,
)
from .splits import SplitSizes, row_correlation, rows_together, split_sizes
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
    "principal_components",
    "read_pilot",
    "row_correlation",
    "rows_together",
    "split_sizes",
    "standardise_channels",
    "summarise",
    "whiten",
]
