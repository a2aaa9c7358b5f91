"""From a user's own recordings to a verdict."""

from .evaluation import CONTROLS as CONTROLS
from .evaluation import ESTIMATORS as ESTIMATORS
from .evaluation import Evaluation as Evaluation
from .evaluation import SplitSizes as SplitSizes
from .evaluation import Summary as Summary
from .evaluation import choose_rank as choose_rank
from .evaluation import evaluate as evaluate
from .evaluation import row_correlation as row_correlation
from .evaluation import split_sizes as split_sizes
from .evaluation import summarise as summarise
from .recordings import PilotData as PilotData
from .recordings import PilotError as PilotError
from .recordings import pilot_data as pilot_data
from .recordings import read_pilot as read_pilot
from .recordings import whiten as whiten
