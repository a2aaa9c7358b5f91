"""Studies on disk: a problem, how much of each kind of data there is, and what it costs."""

from .errors import StudyError
from .measured import write_study
from .reading import read_study
from .records import Modality, Purchase, Study

__all__ = ["Modality", "Purchase", "Study", "StudyError", "read_study", "write_study"]
