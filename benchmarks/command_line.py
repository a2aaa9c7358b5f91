"""What a user waits for: imports, and commands, at their first start and later.

The first start of a command compiles its programs into an empty cache folder, later ones find them
there.

    python -m benchmarks.command_line [FILE.npz] [--device gpu]

`fit` runs on FILE.npz, which notebooks/prepare_szinte2024.py makes; without it on what that makes
of the recordings in ../shared/data, where the notebooks find them; without these too on simulated
arrays of the same shapes. The results say on which."""

import argparse
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ._measure import prepare, process_seconds, spread, store

IMPORT = """
import time, jax, equinox, optax
start = time.perf_counter()
import jaxbrain
print(time.perf_counter() - start)
"""
ROOT = Path(__file__).parents[1]
RECORDED = ROOT.parent / "shared" / "data" / "szinte2024" / "v1.npz"
PLAN = ROOT / "docs" / "examples" / "modalities.toml"
FIT = (
    *("--components", "20", "--rank", "3", "--n-brain", "80", "--n-task", "30", "--n-test", "40"),
    *("--repeats", "300"),
)


def recorded(path: Path) -> None:
    runpy.run_path(str(ROOT / "notebooks" / "prepare_szinte2024.py"))["prepare"](RECORDED, path)


def simulated(path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(150, 144))
    recordings = inputs[:, :3] @ rng.normal(size=(3, 2268)) + rng.normal(size=(150, 2268))
    targets = inputs[:, :3] @ rng.normal(size=(3, 40)) + rng.normal(size=(150, 40))
    np.savez(path, inputs=inputs, recordings=recordings, targets=targets)


def starts(command: list[str], repetitions: int = 5) -> dict[str, dict[str, float]]:
    """Times of the first start of a command, each with an empty cache, and of those after it."""
    firsts = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["JAXBRAIN_CACHE"] = folder
            firsts.append(process_seconds(command, 1))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAXBRAIN_CACHE"] = folder
        process_seconds(command, 1)
        later = process_seconds(command, repetitions)
    times = spread([first["median_s"] for first in firsts])
    memory = max(first["peak_memory_gb"] for first in firsts)
    return {"first": {**times, "peak_memory_gb": memory}, "later": later}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", nargs="?", type=Path)
    arguments = prepare(__doc__, parser)
    file = arguments.file
    # Each run is a process of its own, which chooses its device by this.
    os.environ["JAX_PLATFORMS"] = "cuda,cpu" if arguments.device == "gpu" else "cpu"
    # JAX's own setting would win over the command line's.
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    import_times = [
        float(subprocess.check_output([sys.executable, "-c", IMPORT], text=True)) for _ in range(9)
    ]
    program = [sys.executable, "-c", "from jaxbrain.cli import main; main()"]
    with tempfile.TemporaryDirectory() as folder:
        data = "real recordings" if file or RECORDED.exists() else "simulated arrays"
        if file is None:
            file = Path(folder) / "fit.npz"
            recorded(file) if RECORDED.exists() else simulated(file)
        worth = starts([*program, "worth"])
        plan = starts([*program, "plan", str(PLAN), "--budget", "200000"], 3)
        fit = starts([*program, "fit", str(file), *FIT], 3)
        store(
            "command_line",
            {
                "import_beyond_jax_equinox_optax": spread(import_times),
                # What no program that imports JAX can be faster than.
                "import_of_jax_alone": process_seconds([sys.executable, "-c", "import jax"]),
                "version": process_seconds([*program, "--version"]),
                "info": process_seconds([*program, "info"]),
                "worth_from_a_cold_start": worth["first"],
                "worth_from_the_second_start_on": worth["later"],
                "plan_three_modalities": plan["first"],
                "plan_three_modalities_from_the_second_start_on": plan["later"],
                "fit_data": data,
                "fit_300_repeats_rank_given": fit["first"],
                "fit_300_repeats_rank_given_from_the_second_start_on": fit["later"],
            },
        )


if __name__ == "__main__":
    main()
