"""The generative model, its summary, and presets."""

from . import presets as presets
from .linear_gaussian import LinearGaussianModel as LinearGaussianModel
from .problem import Problem as Problem
