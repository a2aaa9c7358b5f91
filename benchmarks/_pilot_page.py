"""The tables of docs/pilots.md, from results/pilot_coverage.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "pilots.md"
_COLUMNS = {
    "task_snr": "SNR",
    "misalignment": "misalignment",
    "misaligned_power": "misaligned power",
    "aligned_power": "aligned power",
    "task_noise": "label noise",
    "encoding_noise": "encoding noise",
    "latent_noise": "latent noise",
    "gain": "gain",
    "value": "value",
    "savings": "savings",
}
_SAID = {
    "misalignment": "misaligned",
    "targets": "targets",
    "gain": "gain",
}


def filled(page: str, results: dict[str, Any]) -> str:
    """The page with its tables made anew."""
    settings = results["settings"].values()
    tables = {
        "coverage": [one for one in settings if "violated" not in one["setting"]],
        "violations": [one for one in settings if "violated" in one["setting"]],
    }

    def part(found: re.Match) -> str:
        return f"<!-- {found[1]} -->\n{_table(tables[found[1]])}\n<!-- end -->"

    return re.sub(r"<!-- (coverage|violations) -->\n.*?<!-- end -->", part, page, flags=re.DOTALL)


def results() -> dict[str, Any]:
    """What was stored."""
    path = Path(__file__).parent / "results" / "pilot_coverage.json"
    return json.loads(path.read_text())["results"]


def _table(settings: list[dict[str, Any]]) -> str:
    names = dict(_COLUMNS)
    if any("information_value" in one["numbers"] for one in settings):
        names["information_value"] = "information"
    lines = [
        "| pilot | number | " + " | ".join(names.values()) + " |",
        "| --- " * (len(names) + 2) + "|",
    ]
    for one in settings:
        cells = [
            f"{100 * row['coverage']:.0f} ({row['width']:.2f})" if row else ""
            for row in (one["numbers"].get(name) for name in names)
        ]
        lines.append(f"| {_words(one['setting'])} | {one['pilots']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _words(setting: dict[str, Any]) -> str:
    if "violated" in setting:
        return setting["violated"]
    said = [f"{setting['n_brain']} recordings", f"{setting['n_task']} labels"]
    said += [f"{word} {setting[name]}" for name, word in _SAID.items() if name in setting]
    said += ["1/i spectrum"] if "exponent" in setting else []
    said += ["rank estimated"] if "rank" in setting else []
    return ", ".join(said)
