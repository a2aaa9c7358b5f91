"""The path of penalties: one factorisation for all of them, and programs that serve all numbers."""

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model

import jaxbrain as jb
from jaxbrain.estimators.task import penalty_path
from tests.helpers.regressions import (
    INF,
    befs_oracle,
    brain_data,
    normal_equations_accuracy,
    relative_error,
    task_data,
)


def decompositions(jaxpr):
    """Name and operand shape of every matrix decomposition in a jaxpr, inner ones included."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name in {"eigh", "cholesky", "svd", "qr", "geqrf", "lu"}:
            found.append((equation.primitive.name, equation.invars[0].aval.shape))
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            found += decompositions(inner)
    return found


@pytest.mark.parametrize("n", [40, 7])
def test_path_factorises_once_for_all_penalties(n):
    inputs, targets, basis = task_data(0, n, 12, 3)

    def on_path(penalties):
        return decompositions(
            jax.make_jaxpr(lambda c: jb.befs_path(inputs, targets, basis, c))(penalties).jaxpr
        )

    def one_by_one(penalties):
        befs = jax.vmap(lambda c: jb.befs(inputs, targets, basis, c))
        return decompositions(jax.make_jaxpr(befs)(penalties).jaxpr)

    few, many = jnp.geomspace(0.1, 1.0, 2), jnp.geomspace(0.1, 1.0, 50)
    assert on_path(many) == on_path(few)
    assert [name for name, _ in on_path(many)].count("eigh") == 1
    assert all(len(shape) == 2 for _, shape in on_path(many))
    # Mapping the single solve over penalties is what the path is there to avoid.
    # Few rows are a system of their own size.
    assert ("cholesky", (50, min(n, 12), min(n, 12))) in one_by_one(many)


def test_jitted_stages_are_traced_once_for_all_penalties():
    inputs, targets, basis = task_data(0, 30, 8, 2)
    recordings = np.random.default_rng(1).normal(size=(30, 5))
    traces = []

    # Traced, never compiled.
    def stages(encoding_ridge, penalty, inside_penalty, penalties):
        traces.append(penalties.shape)
        learned = jb.encode(inputs, recordings, 2, encoding_ridge)
        return (
            jb.ridge(inputs, targets, penalty),
            jb.befs(inputs, targets, learned, penalty, inside_penalty),
            jb.befs_path(inputs, targets, basis, penalties, inside_penalty),
        )

    traced = jax.jit(stages)
    for encoding_ridge, penalty in ((0.0, 0.0), (1e-3, 1e-3), (2.0, 5.0), (10.0, INF)):
        jax.eval_shape(traced, encoding_ridge, penalty, 0.1, np.array([penalty, 1.0, 2.0]))
    assert traces == [(3,)]
    jax.eval_shape(traced, 0.1, 0.1, 0.1, np.ones(4))
    assert traces == [(3,), (4,)]


def test_changing_penalties_compiles_nothing_anew():
    inputs, targets, basis = task_data(0, 30, 8, 2)
    compiled = []

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    def regressions(penalty, inside_penalty, penalties):
        jb.ridge(inputs, targets, penalty)
        jb.befs(inputs, targets, basis, penalty, inside_penalty)
        jb.befs_path(inputs, targets, basis, penalties, inside_penalty)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        regressions(0.1, 0.0, np.array([0.1, 1.0]))
        assert compiled
        compiled.clear()
        for penalty in (0.0, 1e-3, 5.0, INF):
            regressions(penalty, penalty / 2, np.array([penalty, 2.0]))
            regressions(np.float64(penalty), 1, np.array([3.0, penalty]))
        assert not compiled
        jb.befs(inputs[:-1], targets[:-1], basis, 1.0)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


@jax.jit
def path_predictions(inputs, targets, basis, penalties, inside_penalty, new_inputs):
    path = penalty_path(inputs, basis, jnp.asarray(inside_penalty))
    return new_inputs @ path.weights(targets, penalties)


@pytest.mark.parametrize("n", [40, 12, 7])
def test_predictions_of_the_path_are_those_of_its_weights(n):
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    new_inputs = np.random.default_rng(1).normal(size=(5, 12))
    penalties = np.array([0.05, 0.5, 20.0, INF])
    for inside_penalty in (0.0, 0.3, INF):
        found = path_predictions(inputs, targets, basis, penalties, inside_penalty, new_inputs)
        assert found.shape == (4, 5, 2)
        for penalty, predicted in zip(penalties, found, strict=True):
            if penalty == inside_penalty == INF:
                assert not np.any(predicted)
                continue
            regression = inputs, targets, basis, penalty, inside_penalty
            weights, accuracy = befs_oracle(*regression), normal_equations_accuracy(*regression)
            scale = np.linalg.norm(new_inputs, 2) * np.linalg.norm(weights)
            assert np.linalg.norm(predicted - new_inputs @ weights) < accuracy * scale
            other = befs_oracle(inputs, targets, basis, 1.01 * penalty, 1.01 * inside_penalty)
            if inside_penalty < INF and penalty < INF:
                assert np.linalg.norm(predicted - new_inputs @ other) > accuracy * scale


@pytest.mark.parametrize("n", [40, 12, 7])
def test_path_of_a_subspace_of_zeros_is_ridge(n):
    """A basis of zeros stands for no subspace, so that ridge can share a batch with BEFS."""
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    new_inputs = np.random.default_rng(1).normal(size=(5, 12))
    penalties = np.array([0.05, 0.5, 2.0, 20.0])
    found = path_predictions(inputs, targets, 0 * basis, penalties, 0.3, new_inputs)
    for penalty, predicted in zip(penalties, found, strict=True):
        ridge = sklearn.linear_model.Ridge(alpha=n * penalty, fit_intercept=False, solver="svd")
        expected = ridge.fit(inputs, targets).predict(new_inputs)
        accuracy = normal_equations_accuracy(inputs, targets, basis, penalty, penalty)
        assert relative_error(predicted, expected) < accuracy


def test_trials_map_like_a_loop():
    """The whole estimator on a batch of trials, jitted and vmapped, against one at a time."""
    trials = 4
    tasks = [task_data(seed, 20, 8, 3, 2) for seed in range(trials)]
    brains = [brain_data(seed, 30, 8, 3, 6) for seed in range(trials)]
    penalties = np.array([0.0, 0.3, INF])

    def both_stages(inputs, recordings, task_inputs, targets, penalty):
        basis = jb.encode(inputs, recordings, 3, 0.1)
        return (
            basis @ basis.T,
            jb.befs(task_inputs, targets, basis, penalty, 0.1),
            jb.befs_path(task_inputs, targets, basis, penalties),
        )

    arguments = [
        (inputs, recordings, task_inputs, targets, penalty)
        for (inputs, recordings, _), (task_inputs, targets, _), penalty in zip(
            brains, tasks, (0.01, 1.0, 30.0, INF), strict=True
        )
    ]
    together = jax.jit(jax.vmap(both_stages))(*(np.stack(a) for a in zip(*arguments, strict=True)))
    for trial, given_arguments in enumerate(arguments):
        for mapped, alone in zip(together, both_stages(*given_arguments), strict=True):
            np.testing.assert_allclose(mapped[trial], alone, rtol=0, atol=1e-11)
    assert np.max(np.abs(together[1][0] - together[1][1])) > 0.1
