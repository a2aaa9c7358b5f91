"""The table of benchmarks/README.md that sets times on a GPU beside those on the CPU."""

import json
import re

from . import _measure
from ._formats import duration, results, table, times

PEERS = re.compile(r"numpy|scipy|scikit|himalaya", re.IGNORECASE)


def _timings(found: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], float]:
    """Every time of the library within some results, by where it stands; not those of peers."""
    if isinstance(found, list):
        found = {str(place): each for place, each in enumerate(found)}
    if not isinstance(found, dict) or (path and PEERS.search(path[-1])):
        return {}
    seconds: dict[tuple[str, ...], float] = {}
    for name in ("median_s", "wall_s"):
        if isinstance(found.get(name), float):
            seconds[path] = found[name]
    for name, each in found.items():
        seconds |= _timings(each, (*path, name))
    return seconds


def on_gpu() -> str:
    """The same work on a GPU, beside the CPU's times above."""
    rows, devices = [], {}
    for file in sorted((_measure.RESULTS / "gpu").glob("*.json")):
        record = json.loads(file.read_text())
        devices[f"{record['machine']['device']}, {record['commit']} on {record['date']}"] = None
        theirs = _timings(results(file.stem))
        for path, ours in _timings(record["results"]).items():
            if path in theirs:
                rows.append(
                    [
                        " / ".join((file.stem, *path)),
                        duration(theirs[path]),
                        duration(ours),
                        times(theirs[path] / ours),
                    ]
                )
    if not rows:
        return "No measurement on a GPU yet."
    return table(("what", "CPU", "GPU", "ratio"), rows) + f"\n\nMeasured on {'; '.join(devices)}."
