"""Figures. They compute nothing that the library does not return as data.

Each `draw_…` returns a figure, to be called within `styled()`; `save` does both and writes the file.
"""

from .commands import BudgetLine as BudgetLine
from .commands import draw_plan as draw_plan
from .commands import draw_savings as draw_savings
from .commands import draw_simulation as draw_simulation
from .report import draw_changes as draw_changes
from .report import draw_risk as draw_risk
from .report import draw_saved as draw_saved
from .report import draw_value as draw_value
from .style import save as save
from .style import styled as styled
