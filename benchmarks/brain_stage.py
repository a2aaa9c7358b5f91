"""What a learned subspace costs to draw, as recordings, inputs and channels grow, against NumPy.

    python -m benchmarks.brain_stage [--device gpu]

The reference draws the recordings and fits them; the library draws the subspace that they would
teach. Each case runs in a process of its own, so that its peak of memory is its own.
"""

import os
import time

import jax
import numpy as np

import jaxbrain as jb

from . import numpy_reference
from ._measure import (
    in_own_process,
    once,
    peak_memory_gb,
    prepare,
    slope,
    spread,
    store,
    use,
)

LATENTS, TRIALS, ROUNDS = 32, 4, 5
# (inputs, channels, recordings), and whether the reference is timed there too.
N_BRAIN = [(256, 512, n, n <= 16_000) for n in (1_000, 4_000, 16_000, 250_000, 1_000_000)]
INPUTS = [(d, 512, 4 * d, d <= 1024) for d in (128, 256, 512, 1024, 4096, 8192)]
# Beyond 512 of both the leading directions are iterated.
ITERATED = [(d, 1024, 4 * d, d <= 2048) for d in (1024, 2048, 4096, 8192)]
CHANNELS = [(512, p, 2048, p <= 1024) for p in (64, 256, 1024, 4096, 65_536)]


def problem_of(inputs: int, channels: int) -> jb.Problem:
    # The noise of the fMRI preset: a channel is driven, disturbed and variable as 2 to 2 to 1.
    return jb.Problem(
        input_dim=inputs,
        latent_dim=LATENTS,
        recording_dim=channels,
        latent_noise=np.full(LATENTS, 0.5),
        gain=np.full(LATENTS, channels / LATENTS),
        recording_noise=float(LATENTS) / 8,
        aligned_power=np.full(LATENTS, 0.9 / LATENTS),
        misaligned_power=0.1,
        task_noise=10.0,
    )


def ours(device: str, inputs: int, channels: int, n_brain: int) -> dict:
    use(device)
    problem = problem_of(inputs, channels)
    empty = peak_memory_gb()

    def draw(number: int) -> np.ndarray:
        key = jax.random.key(number)
        return jb.sample_misalignment(problem, n_brain, trials=TRIALS, key=key)

    first = once(lambda: draw(0))
    times, draws = [], []
    for number in range(1, ROUNDS + 1):
        start = time.perf_counter()
        draws.append(draw(number))
        times.append((time.perf_counter() - start) / TRIALS)
    return {
        "first_s": first,
        **spread(times),
        "peak_memory_gb": peak_memory_gb(),
        "memory_of_imports_gb": empty,
        "mean": float(np.mean(draws)),
        "standard_error": float(np.std(draws, ddof=1) / np.size(draws) ** 0.5),
    }


def theirs(inputs: int, channels: int, n_brain: int) -> dict:
    use("cpu")
    rng = np.random.default_rng(0)
    problem = problem_of(inputs, channels)
    empty = peak_memory_gb()
    encoder = np.eye(inputs, LATENTS)
    # Channels in groups of equal size, one for each latent, have the same gain in every latent.
    readout = np.kron(np.eye(LATENTS), np.ones((channels // LATENTS, 1)))
    weights = np.sqrt(np.append(np.asarray(problem.aligned_power), 0.1))
    times, draws = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        data = numpy_reference.draw_brain(
            rng, encoder, readout, 0.5, float(problem.recording_noise), n_brain
        )
        basis = numpy_reference.learned_basis(*data, LATENTS)
        draws.append(1 - np.sum((weights @ basis[: LATENTS + 1]) ** 2))
        times.append(time.perf_counter() - start)
        del data
    return {
        **spread(times),
        "peak_memory_gb": peak_memory_gb(),
        "memory_of_imports_gb": empty,
        "mean": float(np.mean(draws)),
        "standard_error": float(np.std(draws, ddof=1) / ROUNDS**0.5),
    }


def growth(device: str, cases: list[tuple[int, int, int, bool]], place: int) -> dict:
    """Both sides over cases of which one size grows, and the exponents of their last three."""
    rows = []
    for *sizes, timed in cases:
        row = {"size": sizes[place], "jaxbrain": in_own_process(ours, device, *sizes)}
        if timed:
            row["numpy"] = in_own_process(theirs, *sizes)
            error = np.hypot(*(row[side]["standard_error"] for side in ("jaxbrain", "numpy")))
            row["difference_in_standard_errors"] = float(
                (row["jaxbrain"]["mean"] - row["numpy"]["mean"]) / error
            )
        rows.append(row)
    exponents = {}
    for side in ("jaxbrain", "numpy"):
        last = [row for row in rows if side in row][-3:]
        exponents[side] = slope(
            [row["size"] for row in last], [row[side]["median_s"] for row in last]
        )
    return {"rows": rows, "exponents": exponents}


def kernel_share(device: str) -> dict:
    """The time of the factorisation without which a draw cannot do, as part of the draw's.

    Up to 512 inputs or channels these are all eigenvectors of one matrix.
    """
    use(device)
    inputs, channels, n_brain = 512, 512, 2048
    matrix = np.random.default_rng(0).standard_normal((inputs, inputs))
    matrix = jax.numpy.asarray(matrix @ matrix.T)
    eigenvectors = jax.jit(lambda a: jax.numpy.linalg.eigh(a)[1])
    once(lambda: eigenvectors(matrix))
    least = spread([once(lambda: eigenvectors(matrix)) for _ in range(ROUNDS)])
    draw = ours(device, inputs, channels, n_brain)
    return {
        "inputs": inputs,
        "channels": channels,
        "eigenvectors_of_one_matrix": least,
        "draw": draw,
        "fraction_of_limit": least["median_s"] / draw["median_s"],
    }


def main() -> None:
    device = prepare(__doc__).device
    # For both sides one thread of BLAS, read when a process starts: several only wait for each
    # other here.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    results = {
        "latents": LATENTS,
        "n_brain": {
            "inputs": 256,
            "channels": 512,
            **growth(device, N_BRAIN, 2),
        },
        "inputs": {"channels": 512, "recordings": "4 d", **growth(device, INPUTS, 0)},
        "inputs, iterated": {"channels": 1024, "recordings": "4 d", **growth(device, ITERATED, 0)},
        "channels": {"inputs": 512, "recordings": 2048, **growth(device, CHANNELS, 1)},
        "dense": in_own_process(kernel_share, device),
    }
    store("brain_stage", results)


if __name__ == "__main__":
    main()
