"""Tables and plots of benchmarks/README.md, from the newest results.

    python -m benchmarks.page

Between marks of the form `<!-- NAME -->` and `<!-- end -->` the page is made here; its other words
are written by hand.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from . import _measure
from . import _page_parts as parts
from ._gpu_part import on_gpu
from ._plots import draw

PAGE = Path(__file__).parent / "README.md"
PARTS: dict[str, Callable[[], str]] = {
    "conditions": parts.conditions,
    "closed forms": parts.closed_forms,
    "brain stage": parts.brain_stage,
    "simulation": parts.simulation,
    "fmri": parts.fmri,
    "estimators": parts.estimators,
    "tuning": parts.tuning,
    "compile times": parts.compile_times,
    "command line": parts.command_line,
    "reproduction": parts.reproduction,
    "coverage": parts.coverage,
    "gpu": on_gpu,
}
# The files that each part is made of.
SOURCES = {
    "closed forms": ("closed_forms", "allocations"),
    "brain stage": ("brain_stage",),
    "simulation": ("simulation",),
    "fmri": ("simulation",),
    "estimators": ("estimators",),
    "tuning": ("tuning_closed_form", "tuning_data"),
    "compile times": ("compile_times",),
    "command line": ("command_line",),
    "reproduction": ("reproduce",),
    "coverage": ("coverage",),
}


def _measured(name: str) -> str:
    """When, and on which commit: parts are measured one by one."""
    records = [
        json.loads((_measure.RESULTS / f"{file}.json").read_text())
        for file in SOURCES.get(name, ())
    ]
    told = dict.fromkeys(f"{record['commit']} on {record['date']}" for record in records)
    return f"\n\nMeasured at {', '.join(told)}." if told else ""


def filled(page: str) -> str:
    """The page with every part made from the newest results."""

    def part(match: re.Match) -> str:
        name = match.group(1)
        return f"<!-- {name} -->\n\n{PARTS[name]()}{_measured(name)}\n\n<!-- end -->"

    return re.sub(r"<!-- ([a-z ]+) -->\n.*?<!-- end -->", part, page, flags=re.DOTALL)


def main() -> None:
    draw()
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
