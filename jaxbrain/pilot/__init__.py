"""From a user's own recordings to a verdict."""

from ._catalogue import AS_GIVEN, CONTROLS, ESTIMATORS
from .comparison import evaluate
from .estimates import Measured, PilotEstimate
from .estimation import estimate
from .evaluation import Cell, ClassScores, Curves, Design, Evaluation
from .forecasting import Forecast, forecast
from .intervals import over_rows
from .labels import (
    WITHOUT_RECORDINGS,
    Labels,
    best_without,
    chosen_estimator,
    worth_in_labels,
)
from .rank import choose_rank, encoding_rank
from .recommendation import Costs, Recommendation, recommend
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
from .verdict import Verdict, judge

__all__ = [
    "AS_GIVEN",
    "CONTROLS",
    "ESTIMATORS",
    "WITHOUT_RECORDINGS",
    "Cell",
    "ClassScores",
    "Costs",
    "Curves",
    "Design",
    "Dropped",
    "Evaluation",
    "Forecast",
    "Labels",
    "Measured",
    "PilotData",
    "PilotError",
    "PilotEstimate",
    "Recommendation",
    "SplitSizes",
    "Summary",
    "Verdict",
    "average_repeats",
    "best_without",
    "choose_rank",
    "chosen_estimator",
    "class_indicators",
    "encoding_rank",
    "estimate",
    "evaluate",
    "forecast",
    "judge",
    "over_rows",
    "pilot_data",
    "principal_components",
    "read_pilot",
    "recommend",
    "row_correlation",
    "rows_together",
    "split_sizes",
    "standardise_channels",
    "summarise",
    "whiten",
    "worth_in_labels",
]
