"""What it costs to reproduce the paper.

Wall time and memory of `jaxbrain reproduce`, quick and full.

python -m benchmarks.reproduce [--device gpu]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ._measure import prepare, store

PROGRAM = "from jaxbrain.cli import main; main()"


def measured(*options: str) -> dict:
    """One run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-c",
            PROGRAM,
            "reproduce",
            "all",
            "--out",
            folder,
            "--overwrite",
        ]
        start = time.perf_counter()
        process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        if status:
            raise RuntimeError(f"jaxbrain reproduce ended with status {status}")
        claims = json.loads((Path(folder) / "claims.json").read_text())
    verdicts = [claim["verdict"] for row in claims.values() for claim in row]
    return {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_memory_gb": usage.ru_maxrss * 1024 / 1e9,
        "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        "load_average_before": os.getloadavg()[0],
    }


def main() -> None:
    device = prepare(__doc__).device
    # Each run is a process of its own, which takes the device from here.
    os.environ["JAX_PLATFORMS"] = "cuda,cpu" if device == "gpu" else "cpu"
    results = {"quick": measured("--quick"), "full": measured()}
    # Lewis et al. report two days on 64 cores for their simulations, at small scale.
    store("reproduce", {**results, "cpu_hours_of_the_paper": 3072})


if __name__ == "__main__":
    main()
