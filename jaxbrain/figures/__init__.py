"""Figures. They compute nothing that the library does not return as data.

Each `draw_…` returns a figure, to be called within `styled()`; `save` does both and writes the file.
"""

from .commands import BudgetLine, draw_plan, draw_savings, draw_simulation
from .report import draw_changes, draw_risk, draw_saved, draw_value
from .style import save, styled

__all__ = [
    "BudgetLine",
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
