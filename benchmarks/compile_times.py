"""What the first call costs: tracing, lowering and compilation of what users call most.

    python -m benchmarks.compile_times [--device gpu]

Each case runs in fresh processes without a compilation cache. NumPy has nothing to compile: beside
each first call stands the second, with other numbers, which compiles nothing.
"""

import statistics
from functools import partial

import jax
import jax.numpy as jnp

import jaxbrain as jb

from ._measure import in_own_process, once, prepare, store, use

REPETITIONS = 3
EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace_s",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower_s",
    "/jax/core/compile/backend_compile_duration": "compile_s",
}


def fmri() -> jb.Problem:
    return jb.presets.fmri().problem()


def small() -> jb.LinearGaussianModel:
    return jb.presets.small(task_snr=1.0)


def closed_form_value():
    problem = fmri()
    return lambda n: jb.value(problem, 18_000.0 + n, 100_000.0, baseline="ols")


def gradient_of_the_value():
    problem, gradient = fmri(), jax.jit(jax.grad(partial(jb.value, baseline="ols"), (0, 1, 2)))
    return lambda n: gradient(problem, 18_000.0 + n, 100_000.0)


def best_allocation():
    problem = fmri()
    return lambda n: jb.optimal_allocation(
        problem, 2e5 + n, 1.0, 1.0, estimator="befs", baseline="ols"
    )


def draws_of_a_subspace():
    problem = fmri()
    key = jax.random.key(0)
    return lambda n: jb.sample_misalignment(problem, 18_000 + n, trials=1, key=key)


def sweep_of_reduced_draws():
    model, key = small(), jax.random.key(0)
    return lambda n: jb.sweep(model, [100, 400 + n], [50, 200], [0.1, 1.0], trials=8, key=key)


def sweep_of_data():
    model, key = small(), jax.random.key(0)
    return lambda n: jb.sweep(
        model, [100, 400], [50, 200], [0.1, 1.0 + n], trials=2, key=key, method="data"
    )


def both_stages_on_arrays():
    inputs, recordings = small().sample_brain(jax.random.key(0), 400)
    x, y = small().sample_task(jax.random.key(1), 200)
    return lambda n: jb.befs(x, y, jb.encode(inputs, recordings, 6), 1.0 + n)


def penalty_by_leave_one_out():
    x, y = small().sample_task(jax.random.key(1), 200)
    return lambda n: jb.tune_penalty(jb.LeaveOneOut(x, y + n)).penalty


def penalty_by_simulation():
    key = jax.random.key(0)
    model = small()
    objective = jb.MonteCarloRisk(model, 400, 100, trials=16, key=key)
    return lambda n: jb.tune_penalty(objective, 1.0 + n).penalty


def allocation_by_descent():
    problem = fmri()
    modality = jb.Modality(problem, cost_brain=1.0)
    return lambda n: jb.tune_allocation(
        modality, 2e5 + n, cost_task=1.0, estimator="befs", baseline="ols"
    )


CASES = (
    closed_form_value,
    gradient_of_the_value,
    best_allocation,
    draws_of_a_subspace,
    sweep_of_reduced_draws,
    sweep_of_data,
    both_stages_on_arrays,
    penalty_by_leave_one_out,
    penalty_by_simulation,
    allocation_by_descent,
)


def measured(case: int, device: str) -> dict[str, float]:
    use(device)
    spent = dict.fromkeys(EVENTS.values(), 0.0)
    programs = 0

    def note(event: str, duration: float, **_):
        nonlocal programs
        if event in EVENTS:
            spent[EVENTS[event]] += duration
            programs += EVENTS[event] == "compile_s"

    jax.block_until_ready(jnp.ones(3) + 1)
    call = CASES[case]()
    jax.monitoring.register_event_duration_secs_listener(note)
    first = once(lambda: call(0))
    compiled = dict(spent)
    number, programs = programs, 0
    second = once(lambda: call(1))
    return {
        "first_call_s": first,
        "second_call_s": second,
        "programs": number,
        "programs_of_the_second_call": programs,
        **compiled,
    }


def main() -> None:
    device = prepare(__doc__).device
    rows = {}
    for place, case in enumerate(CASES):
        runs = [in_own_process(measured, place, device) for _ in range(REPETITIONS)]
        name = case.__name__.replace("_", " ")
        rows[name] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        firsts = [run["first_call_s"] for run in runs]
        rows[name]["first_call_min_s"], rows[name]["first_call_max_s"] = min(firsts), max(firsts)
        print(name, rows[name], flush=True)
    store("compile_times", {"repetitions": REPETITIONS, "cases": rows})


if __name__ == "__main__":
    main()
