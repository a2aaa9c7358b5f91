"""How the benchmarks measure: warmed up, blocked until ready, repeated, stored with the machine."""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

import jaxbrain

RESULTS = Path(__file__).parent / "results"
SUM_LENGTH = 410


def prepare(description: str | None, parser: argparse.ArgumentParser | None = None):
    """Read the command line, put JAX on the device asked for, in double precision."""
    parser = parser or argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    arguments = parser.parse_args()
    use(arguments.device)
    return arguments


def use(device: str) -> None:
    """Put JAX on a device, in double precision; ends the program where there is none."""
    jax.config.update("jax_enable_x64", True)
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    elif jax.default_backend() != "gpu":
        raise SystemExit(
            f"--device gpu: JAX finds none, only {jax.devices()[0]}; install jaxbrain[cuda12] or "
            "[cuda13]"
        )


def seconds(function: Callable[[], object], repetitions: int = 7) -> dict[str, float]:
    """First call (with compilation), then the calls after it."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    first = time.perf_counter() - start
    return {"first_s": first, **spread([once(function) for _ in range(repetitions)])}


def side_by_side(
    functions: dict[str, Callable[[], object]], repetitions: int = 7
) -> dict[str, dict[str, float]]:
    """`seconds` of several, taking turns: what disturbs the machine disturbs all of them."""
    firsts = {name: once(function) for name, function in functions.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repetitions):
        for name, function in functions.items():
            times[name].append(once(function))
    return {name: {"first_s": firsts[name], **spread(times[name])} for name in functions}


def once(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def process_seconds(command: list[str], repetitions: int = 5) -> dict[str, float]:
    """Wall time of a whole process, from start to end, and the memory it takes."""
    times, memory = [], []
    for _ in range(repetitions):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        times.append(time.perf_counter() - start)
        memory.append(usage.ru_maxrss * 1024 / 1e9)
        if status:
            raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return {**spread(times), "peak_memory_gb": max(memory)}


def spread(times: list[float]) -> dict[str, float]:
    return {
        "median_s": statistics.median(times),
        "min_s": min(times),
        "max_s": max(times),
        "repetitions": len(times),
    }


def in_own_process(function: Callable, *arguments):
    """Run a module's function in a fresh process, so that memory and compilation are its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def peak_memory_gb() -> float:
    """The most memory this process has held: the device's, where that is a GPU."""
    device = jax.devices()[0]
    if device.platform == "gpu":
        statistics_of_device = device.memory_stats() or {}
        return statistics_of_device.get("peak_bytes_in_use", float("nan")) / 1e9
    try:
        # What `getrusage` tells a new process includes the peak of the one that started it.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def slope(sizes, times) -> float:
    """Exponent of the power law that fits best: the slope in a doubly logarithmic plot."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def limits() -> dict[str, float]:
    """What the device does at best, measured: arithmetic, memory, dispatch, and a sum over latents.

    Best of several, since a limit is what nothing disturbs.
    """
    size = 2048
    matrix = jnp.ones((size, size))
    product = jax.jit(lambda a: a @ a)
    stream = jnp.ones(2**25)
    scaled = jax.jit(lambda a: 1.5 * a)
    number = jnp.ones(())
    trivial = jax.jit(lambda a: a + 1)
    # The kernel of every fixed point of the closed forms: Σ a s/(1 + a s), for many a.
    many, noise = jnp.ones((10_000, 1)), jnp.ones(SUM_LENGTH)
    shrinkage = jax.jit(lambda a, s: jnp.sum(a * s / (1 + a * s), axis=1))
    times = side_by_side(
        {
            "product": lambda: product(matrix),
            "stream": lambda: scaled(stream),
            "trivial": lambda: trivial(number),
            "sum": lambda: shrinkage(many, noise),
        },
        9,
    )
    least = {name: time["min_s"] for name, time in times.items()}
    return {
        "arithmetic_gflop_per_s": 2 * size**3 / least["product"] / 1e9,
        "memory_gb_per_s": 2 * stream.nbytes / least["stream"] / 1e9,
        "dispatch_s": least["trivial"],
        "sum_over_latents_ns_per_term": 1e9 * least["sum"] / many.size / SUM_LENGTH,
    }


def _commit() -> str:
    """The commit measured, marked where the code differs.

    Results of other benchmarks do not count.
    """

    def said(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = said(
        "status", "--porcelain", "--untracked-files=no", ":/", ":(top,exclude)benchmarks/results"
    )
    return said("describe", "--always") + ("-dirty" if changed else "")


def store(name: str, results: dict) -> None:
    """Print the results and keep them, with what they were measured on, under results/."""
    device = jax.devices()[0]
    record = {
        "benchmark": name,
        "results": results,
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "device": device.device_kind if device.platform == "gpu" else str(device),
            "load_average": os.getloadavg()[0],
        },
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "jaxlib": jaxlib.__version__,
            "numpy": np.__version__,
            "jaxbrain": jaxbrain.__version__,
        },
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }
    text = json.dumps(record, indent=2) + "\n"
    print(text)
    path = results_path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def results_path(name: str) -> Path:
    """Where results of this device are kept: those of a GPU beside those of the CPU."""
    return (RESULTS / "gpu" if jax.default_backend() == "gpu" else RESULTS) / f"{name}.json"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")
