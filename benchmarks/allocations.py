"""What finite allocations cost: 10 000 at once, prices, budgets and misalignments all different.

    python -m benchmarks.allocations [--device gpu]

Beside them a few by SciPy's scalar minimiser on the closed form in NumPy.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar

import jaxbrain as jb

from . import numpy_reference
from ._measure import peak_memory_gb, prepare, seconds, spread, store
from .closed_forms import numpy_problem

COUNT, BY_SCIPY, LABEL_PRICE = 10_000, 20, 0.3
PAPER = {"estimator": "befs", "baseline": "ols"}


def by_scipy(problem: jb.Problem, budget: float, price: float) -> float:
    """Least risk on the budget line, as far as a scan and a bounded search find it."""
    reference = numpy_problem(problem)

    def risk(log_n: float) -> float:
        n = np.exp(log_n)
        return numpy_reference.risk(*reference, n, (budget - price * n) / LABEL_PRICE)

    least = np.log(problem.input_dim + 2)
    most = np.log((budget - LABEL_PRICE * (problem.latent_dim + 2)) / price)
    scan = np.linspace(least, most, 30)
    place = int(np.argmin([risk(point) for point in scan]))
    ends = scan[max(place - 1, 0)], scan[min(place + 1, len(scan) - 1)]
    return minimize_scalar(risk, bounds=ends, method="bounded", options={"xatol": 1e-8}).fun


def beside_scipy(make, misalignments, budgets, prices, risks, n_brain) -> dict:
    bought = np.flatnonzero(np.asarray(n_brain) > 0)[:BY_SCIPY]
    times, apart = [], []
    for place in bought:
        problem = make(misalignments[place])
        numbers = problem, float(budgets[place]), float(prices[place])
        start = time.perf_counter()
        theirs = by_scipy(*numbers)
        times.append(time.perf_counter() - start)
        apart.append(float(risks[place]) / theirs - 1)
    # Ours are whole numbers of samples, theirs are not.
    return {
        "scipy_one_allocation": spread(times),
        "risk_over_that_of_scipy": [min(apart) + 1, max(apart) + 1],
    }


def main() -> None:
    prepare(__doc__)
    rng = np.random.default_rng(0)
    misalignments = jnp.asarray(rng.uniform(0.01, 0.9, COUNT))
    budgets = jnp.asarray(10 ** rng.uniform(3.5, 7, COUNT))
    prices = jnp.asarray(10 ** rng.uniform(-1, 1, COUNT))
    fmri = jb.presets.fmri().problem()
    share = fmri.aligned_power / fmri.total_aligned_power

    def isotropic(misalignment):
        return jb.Problem.isotropic(4096, 410, 0.1, misalignment, 0.54)

    def with_channels(misalignment):
        fields = {name: getattr(fmri, name) for name in jb.Problem.__dataclass_fields__}
        powers = {"aligned_power": (1 - misalignment) * share, "misaligned_power": misalignment}
        return jb.Problem(**{**fields, **powers})

    results: dict = {"allocations": COUNT, "latents": 410}
    for name, make, options in (
        ("isotropic, befs", isotropic, PAPER),
        ("fmri preset, befs", with_channels, PAPER),
        (
            "isotropic, befs_two_penalties against ridge",
            isotropic,
            {"estimator": "befs_two_penalties", "baseline": "ridge"},
        ),
    ):

        def allocate(misalignment, budget, price, make=make, options=options):
            plan = jb.optimal_allocation(make(misalignment), budget, price, LABEL_PRICE, **options)
            return plan.n_brain, plan.n_task, plan.risk, plan.saved

        batched = jax.jit(jax.vmap(allocate))
        results[name] = seconds(
            lambda batched=batched: batched(misalignments, budgets, prices), repetitions=3
        )
        n_brain, _, risks, _ = batched(misalignments, budgets, prices)
        results[name]["share_that_buys_recordings"] = float(np.mean(np.asarray(n_brain) > 0))
        if options is PAPER:
            numbers = misalignments, budgets, prices, risks, n_brain
            results[name] |= beside_scipy(make, *numbers)
    store("allocations", {**results, "peak_memory_gb": peak_memory_gb()})


if __name__ == "__main__":
    main()
