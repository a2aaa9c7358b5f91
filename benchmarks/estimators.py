"""What the estimators cost on given arrays, beside scikit-learn, himalaya and NumPy.

    python -m benchmarks.estimators [--device gpu]

Peers run on the CPU, on the same arrays. An answer that is not the same to the stated precision
ends the benchmark.
"""

import jax.numpy as jnp
import numpy as np
from himalaya.kernel_ridge import KernelRidge
from himalaya.ridge import Ridge as HimalayaRidge
from sklearn.linear_model import LinearRegression, Ridge

import jaxbrain as jb

from . import numpy_reference
from ._measure import limits, peak_memory_gb, prepare, seconds, side_by_side, slope, store

SAME = 1e-8  # largest difference of weights or projectors, relative to the largest entry
PENALTY, RANK, PENALTIES = 0.3, 20, np.geomspace(1e-3, 1e3, 50)
GROWTH = [128, 256, 512, 1024, 2048]


def arrays(rows: int, inputs: int, targets: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([rows, inputs, targets])
    x = rng.standard_normal((rows, inputs))
    weights = rng.standard_normal((inputs, targets)) / inputs**0.5
    return x, x @ weights + rng.standard_normal((rows, targets))


def compared(functions: dict, answers: dict, work: float, limit: dict[str, float]) -> dict:
    """Times of jaxbrain and its peers, how far answers are apart, and the share of the limit."""
    times = side_by_side(functions)
    ours = np.asarray(answers["jaxbrain"](functions["jaxbrain"]()))
    apart = {}
    for name, answer in answers.items():
        if name != "jaxbrain":
            theirs = answer(functions[name]())
            apart[name] = float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
    wrong = {name: off for name, off in apart.items() if not off <= SAME}
    if wrong:
        raise RuntimeError(f"answers differ by more than {SAME}: {wrong}")
    return {
        **times,
        "largest_relative_difference": apart,
        "flop": work,
        "fraction_of_arithmetic": work
        / times["jaxbrain"]["median_s"]
        / limit["arithmetic_gflop_per_s"]
        / 1e9,
    }


def ridge(rows: int, inputs: int, targets: int, limit: dict[str, float]) -> dict:
    x, y = arrays(rows, inputs, targets)
    on_device = jnp.asarray(x), jnp.asarray(y)
    alpha = rows * PENALTY
    # Of himalaya's solvers the one that it recommends for the shape.
    few = rows < inputs
    himalaya = KernelRidge(alpha) if few else HimalayaRidge(alpha, fit_intercept=False)
    functions = {
        "jaxbrain": lambda: jb.ridge(*on_device, PENALTY),
        "scikit-learn": lambda: Ridge(alpha, fit_intercept=False).fit(x, y),
        "himalaya": lambda: himalaya.fit(x, y),
    }
    answers = {
        "jaxbrain": lambda weights: weights,
        "scikit-learn": lambda fitted: fitted.coef_.T,
        "himalaya": lambda fitted: fitted.get_primal_coef() if few else fitted.coef_,
    }
    # The smaller Gram matrix, its factor, and two triangular solves for each target.
    small = min(rows, inputs)
    work = rows * inputs * small + small**3 / 3 + 2 * targets * (rows * inputs + small**2)
    return compared(functions, answers, work, limit)


def befs(rows: int, inputs: int, targets: int, limit: dict[str, float]) -> dict:
    x, y = arrays(rows, inputs, targets)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((inputs, RANK)))[0]
    on_device = jnp.asarray(x), jnp.asarray(y), jnp.asarray(basis)
    outside = np.eye(inputs) - basis @ basis.T

    def by_solve():
        return np.linalg.solve(x.T @ x + rows * PENALTY * outside, x.T @ y)

    def by_rows():
        # Least squares on data to which the penalty is added as rows of its own.
        more = np.vstack([x, np.sqrt(rows * PENALTY) * outside])
        zeros = np.zeros((inputs, targets))
        return LinearRegression(fit_intercept=False).fit(more, np.vstack([y, zeros]))

    functions = {
        "jaxbrain": lambda: jb.befs(*on_device, PENALTY),
        "NumPy": by_solve,
        "scikit-learn, added rows": by_rows,
    }
    answers = {
        "jaxbrain": lambda weights: weights,
        "NumPy": lambda weights: weights,
        "scikit-learn, added rows": lambda fitted: fitted.coef_.T,
    }
    small = min(rows, inputs)
    work = rows * inputs * small + small**3 / 3 + 2 * targets * (rows * inputs + small**2)
    return compared(functions, answers, work, limit)


def path(rows: int, inputs: int, limit: dict[str, float]) -> dict:
    """Fifty penalties: one diagonalisation here, one solve for each there."""
    x, y = arrays(rows, inputs, 1)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((inputs, RANK)))[0]
    on_device = jnp.asarray(x), jnp.asarray(y), jnp.asarray(basis), jnp.asarray(PENALTIES)
    outside = np.eye(inputs) - basis @ basis.T

    def by_solves():
        gram, moments = x.T @ x, x.T @ y
        return np.stack([np.linalg.solve(gram + rows * c * outside, moments) for c in PENALTIES])

    functions = {"jaxbrain": lambda: jb.befs_path(*on_device), "NumPy": by_solves}
    # A symmetric eigenvalue problem with its vectors takes some 9 d³.
    work = 2 * rows * inputs**2 + 9 * inputs**3
    return compared(functions, dict.fromkeys(functions, np.asarray), work, limit)


def encode(rows: int, inputs: int, channels: int, limit: dict[str, float]) -> dict:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, inputs))
    readout = rng.standard_normal((channels, RANK))
    recordings = x[:, :RANK] @ readout.T + 3 * rng.standard_normal((rows, channels))
    on_device = jnp.asarray(x), jnp.asarray(recordings)
    functions = {
        "jaxbrain": lambda: jb.encode(*on_device, RANK),
        "NumPy": lambda: numpy_reference.learned_basis(x, recordings, RANK),
    }

    def projector(basis):
        return np.asarray(basis @ basis.T)

    small = min(inputs, channels)
    work = rows * inputs**2 + 2 * rows * inputs * channels + inputs**3 / 3
    work += 2 * inputs * channels * small + 9 * small**3
    return compared(functions, dict.fromkeys(functions, projector), work, limit)


def growth() -> dict:
    """Seconds of jaxbrain's estimators as inputs grow, with four rows and one channel for each."""
    cases: dict[str, list[dict]] = {"ridge": [], "befs": [], "encode": []}
    for d in GROWTH:
        x, y = map(jnp.asarray, arrays(4 * d, d, 1))
        recordings = jnp.asarray(arrays(4 * d, d, d)[1])
        basis = jb.encode(x, recordings, RANK)
        cases["ridge"].append(seconds(lambda x=x, y=y: jb.ridge(x, y, PENALTY), 5))
        cases["befs"].append(seconds(lambda x=x, y=y, b=basis: jb.befs(x, y, b, PENALTY), 5))
        cases["encode"].append(seconds(lambda x=x, r=recordings: jb.encode(x, r, RANK), 5))
    return {
        "inputs": GROWTH,
        "times": cases,
        "exponents": {
            name: slope(GROWTH[-3:], [time["median_s"] for time in times[-3:]])
            for name, times in cases.items()
        },
    }


def main() -> None:
    prepare(__doc__)
    limit = limits()
    results = {
        "limits": limit,
        "same_to": SAME,
        "comparisons": {
            "ridge, 2 000 rows, 500 inputs, 200 targets": ridge(2000, 500, 200, limit),
            "ridge, 400 rows, 2 000 inputs, 200 targets": ridge(400, 2000, 200, limit),
            "befs, 2 000 rows, 500 inputs, 200 targets": befs(2000, 500, 200, limit),
            "befs, 400 rows, 2 000 inputs, 200 targets": befs(400, 2000, 200, limit),
            "befs_path, 50 penalties, 2 000 rows, 500 inputs": path(2000, 500, limit),
            "encode, 4 000 rows, 500 inputs, 300 channels": encode(4000, 500, 300, limit),
            "encode, 2 000 rows, 500 inputs, 1 500 channels": encode(2000, 500, 1500, limit),
        },
        "growth": growth(),
        "peak_memory_gb": peak_memory_gb(),
    }
    store("estimators", results)


if __name__ == "__main__":
    main()
