"""How the benchmarks measure: warmed up, blocked until ready, repeated, stored with the machine."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jaxlib
import numpy as np

import jaxbrain

RESULTS = Path(__file__).parent / "results"


def seconds(function: Callable[[], object], repetitions: int = 7) -> dict[str, float]:
    """First call (with compilation), then median and extremes of the calls after it."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    first = time.perf_counter() - start
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return {"first_s": first, **spread(times)}


def process_seconds(command: list[str], repetitions: int = 5) -> dict[str, float]:
    """Wall time of a whole process, from start to end."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return spread(times)


def spread(times: list[float]) -> dict[str, float]:
    return {
        "median_s": statistics.median(times),
        "min_s": min(times),
        "max_s": max(times),
        "repetitions": len(times),
    }


def store(name: str, results: dict) -> None:
    """Print the results and keep them, with what they were measured on, under results/."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    record = {
        "benchmark": name,
        "results": results,
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "device": str(jax.devices()[0])},
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "jaxlib": jaxlib.__version__,
            "numpy": np.__version__,
            "jaxbrain": jaxbrain.__version__,
        },
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
    }
    print(json.dumps(record, indent=2))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")
