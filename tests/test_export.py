"""The main programs, lowered for accelerators that this machine need not have.

What has no lowering there, say a factorisation that only LAPACK knows, is found without owning a
GPU. Nothing is compiled.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxbrain as jb
from jaxbrain.simulation import _sweep_of_reductions as reductions
from jaxbrain.simulation import data_trials
from jaxbrain.simulation._trials import _run
from jaxbrain.simulation.brain_stage import reduce_model

D, K, P = 16, 3, 30
KEY, TRIALS = jax.random.key(0), (np.arange(8, dtype=np.uint32),)


def study(correlated=False):
    latent_noise, gain, power = np.full(K, 0.3), np.full(K, 10.0), np.full(K, 0.3)
    if correlated:
        latent_noise, gain = np.diag(latent_noise) + 0.1, np.diag(gain)
        power = np.sqrt(power[:, None] * power)
    return jb.Problem(
        input_dim=D,
        latent_dim=K,
        recording_dim=P,
        latent_noise=latent_noise,
        gain=gain,
        recording_noise=1.0,
        aligned_power=power,
        misaligned_power=0.1,
        task_noise=1.0,
    )


def value_with_gradient(problem, n_brain):
    return jax.value_and_grad(lambda problem: jb.value(problem, n_brain, 50.0))(problem)


def sweep_of_reduced_draws(problem, n):
    reduced, sizes = reduce_model(problem)
    draws = _run(reductions.brain_trial, sizes, None, 8, KEY, TRIALS, (reduced, n))
    arguments = jnp.asarray(13.0), n * jnp.ones(8), jnp.ones((8, 4))
    return draws, _run(reductions.trace_trial, 16, None, 8, KEY, TRIALS, arguments)


def sweep_of_data(model, penalties):
    sizes = data_trials.Sizes(40, "befs")
    bases, missed = _run(data_trials.brain_trial, sizes, None, 8, KEY, TRIALS, (model,))
    split = (*TRIALS, bases[:, None])
    risks = _run(data_trials.task_trial, 30, None, 8, KEY, split, (model, None, penalties))
    arguments = model, None, penalties[0, 0]
    return missed, risks, _run(data_trials.baseline_trial, 30, None, 8, KEY, TRIALS, arguments)


def penalty_tuning(problem, n_brain):
    objective = jb.MonteCarloRisk(problem, n_brain, 50.0, trials=8, key=KEY)
    return jb.tune_penalty(objective).penalty


def allocation(problem, budget):
    return jb.optimal_allocation(problem, budget, 1.0, 2.0)


def estimators(inputs, recordings):
    basis = jb.encode(inputs, recordings, K)
    return jb.befs(inputs, recordings[:, 0], basis, 1.0, 0.5)


DATA = np.ones((40, D)), np.ones((40, P))
PROGRAMS = {
    "value with gradient": (value_with_gradient, study, 40.0),
    "value with gradient, correlated noise": (value_with_gradient, lambda: study(True), 40.0),
    "sweep of reduced draws": (sweep_of_reduced_draws, study, 40.0),
    "sweep of data": (sweep_of_data, lambda: data_trials.representative(study()), np.ones((1, 4))),
    "penalty tuning": (penalty_tuning, study, 40.0),
    "allocation": (allocation, study, 1000.0),
    "encode and befs": (estimators, lambda: DATA[0], DATA[1]),
}


@pytest.fixture
def accelerated(monkeypatch):
    """The library as on a machine with an accelerator: it asks JAX what it runs on."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    # What was traced for this machine's CPU is not to serve here.
    jax.clear_caches()


@pytest.mark.usefixtures("accelerated", "single_precision")
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_lowers_for_accelerators(name):
    program, study, number = PROGRAMS[name]
    arguments = jax.tree.map(jnp.asarray, (study(), number))
    # Both at once: what takes the time is tracing.
    lowered = export.export(jax.jit(program), platforms=["cuda", "tpu"])(*arguments)
    assert lowered.platforms == ("cuda", "tpu")
    assert "lapack" not in lowered.mlir_module()
