"""Estimators for scikit-learn: fit, predict, score, cross-validation and pipelines.

Needs the extra: `pip install 'jaxbrain[sklearn]'`. Arithmetic is in double precision, whatever JAX
is set to.
"""

try:
    import sklearn.utils.validation  # noqa: F401
except ImportError as missing:
    raise ImportError(
        "jaxbrain.sklearn needs scikit-learn: pip install 'jaxbrain[sklearn]'"
    ) from missing

from ._baselines import RidgeBaseline, TaskOnly
from ._befs import BEFS, BandedRidge

__all__ = ["BEFS", "BandedRidge", "RidgeBaseline", "TaskOnly"]
