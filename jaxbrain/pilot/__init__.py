"""From a user's own recordings to a verdict."""

from .evaluation import (
    CONTROLS,
    ESTIMATORS,
    Evaluation,
    SplitSizes,
    Summary,
    choose_rank,
    evaluate,
    row_correlation,
    split_sizes,
    summarise,
)
from .recordings import PilotData, PilotError, pilot_data, read_pilot, whiten

__all__ = [
    "CONTROLS",
    "ESTIMATORS",
    "Evaluation",
    "PilotData",
    "PilotError",
    "SplitSizes",
    "Summary",
    "choose_rank",
    "evaluate",
    "pilot_data",
    "read_pilot",
    "row_correlation",
    "split_sizes",
    "summarise",
    "whiten",
]
