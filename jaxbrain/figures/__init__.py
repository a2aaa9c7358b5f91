"""Figures of data that they are given: they compute nothing.

Each `draw_…` returns a figure. Call it within `styled()`; `picture` does so and
returns the content of a file, `save` writes it.
"""

from .commands import draw_plan, draw_savings, draw_simulation
from .fit import draw_fit
from .report import draw_changes, draw_risk, draw_saved, draw_value
from .style import picture, save, styled

__all__ = [
    "draw_changes",
    "draw_fit",
    "draw_plan",
    "draw_risk",
    "draw_saved",
    "draw_savings",
    "draw_simulation",
    "draw_value",
    "picture",
    "save",
    "styled",
]
