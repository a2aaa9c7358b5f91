"""The generative model, its summary, presets, and inputs that are tested elsewhere."""

from . import presets
from .linear_gaussian import LinearGaussianModel
from .problem import Problem
from .shift import BlockShift

__all__ = ["BlockShift", "LinearGaussianModel", "Problem", "presets"]
