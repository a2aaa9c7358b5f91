"""How close the closed forms come to exact simulation: the tables of docs/accuracy.md.

    python -m benchmarks.accuracy

Reads results/accuracy_simulation.json, which `python -m benchmarks.accuracy_simulation` makes
without any of the library's code, and results/real_inputs.json and
results/gaussian_equivalence.json, which the benchmarks of these names make. Writes
results/accuracy.json and docs/accuracy.md.
"""

import json
from pathlib import Path

import jax
import numpy as np

from ._accuracy_errors import brain_errors, trace_errors, two_penalty_errors
from ._accuracy_page import document, within
from ._gaussian_equivalence_page import gaussian_equivalence
from ._measure import RESULTS, store
from ._real_inputs_page import real_inputs


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    stored = json.loads((RESULTS / "accuracy_simulation.json").read_text())

    def cells(part: str) -> list[dict]:
        columns = stored[part]["columns"]
        return [dict(zip(columns, row, strict=True)) for row in stored[part]["rows"]]

    meta = stored["meta"]["brain"]
    brain = brain_errors(cells("brain"))
    two, traces = two_penalty_errors(cells("two_penalties")), trace_errors(cells("task"))
    text = document(brain, two, traces, meta)
    for name, part in (
        ("real_inputs", real_inputs),
        ("gaussian_equivalence", gaussian_equivalence),
    ):
        results = json.loads((RESULTS / f"{name}.json").read_text())["results"]
        text += "\n" + "\n".join(part(results)) + "\n"
    summary = {
        f"{kind}, d = {d}": within([row for row in brain if row["d"] == d], kind)
        for kind in ("missed", "risk", "shift")
        for d in (200, 80, 50)
    }
    summary["cells"] = len(brain)
    summary["two penalties, median error"] = float(np.median([abs(row["error"]) for row in two]))
    store("accuracy", summary)
    record = json.loads((RESULTS / "accuracy.json").read_text())
    text += f"\nMeasured at {record['commit']} on {record['date']}.\n"
    (Path(__file__).parent.parent / "docs" / "accuracy.md").write_text(text)


if __name__ == "__main__":
    main()
