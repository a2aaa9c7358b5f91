"""What finite allocations cost: 10 000 of them at once, prices, budgets and misalignments all different.

python -m benchmarks.allocations
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbrain as jb

from ._measure import seconds, store

COUNT = 10_000


def main() -> None:
    jax.config.update("jax_enable_x64", True)
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
        ("isotropic, befs", isotropic, {}),
        ("fmri preset, befs", with_channels, {}),
        (
            "isotropic, befs_two_penalties against ridge",
            isotropic,
            {"estimator": "befs_two_penalties", "baseline": "ridge"},
        ),
    ):

        def allocate(misalignment, budget, price, make=make, options=options):
            plan = jb.optimal_allocation(make(misalignment), budget, price, 0.3, **options)
            return plan.n_brain, plan.n_task, plan.risk, plan.saved

        batched = jax.jit(jax.vmap(allocate))
        results[name] = seconds(
            lambda batched=batched: batched(misalignments, budgets, prices), repetitions=3
        )
        n_brain = np.asarray(batched(misalignments, budgets, prices)[0])
        results[name]["share_that_buys_recordings"] = float(np.mean(n_brain > 0))
    store("allocations", results)


if __name__ == "__main__":
    main()
