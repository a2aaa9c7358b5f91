"""Figures of data that they are given: they compute nothing.

Each `draw_…` returns a figure. Call it within `styled()`; `save` does so and writes the file.
"""

from .commands import draw_plan, draw_savings, draw_simulation
from .report import draw_changes, draw_risk, draw_saved, draw_value
from .style import save, styled

__all__ = [
    "draw_changes",
    "draw_plan",
    "draw_risk",
    "draw_saved",
    "draw_savings",
    "draw_simulation",
    "draw_value",
    "save",
    "styled",
]
