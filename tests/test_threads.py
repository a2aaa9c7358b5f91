"""BLAS threads: one inside, whatever there was outside, whoever else is inside, however it ends."""

import threading

import jax
import jax.numpy as jnp
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

import jaxbrain as jb
from jaxbrain import _threads
from jaxbrain._threads import one_blas_thread, with_one_blas_thread


def blas_threads():
    libraries = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in libraries}


@pytest.fixture(autouse=True)
def two_threads():
    """As a user's process has them: the tests run with one."""
    with one_blas_thread():
        pass
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS takes no number of threads")
        yield


def test_one_thread_inside_and_as_before_outside():
    with one_blas_thread():
        assert blas_threads() == {1}
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_an_error_restores_the_threads():
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        jb.ridge(jnp.eye(2), jnp.ones(2), -1.0)
    assert blas_threads() == {2}


def test_who_comes_in_while_the_limit_is_set_does_not_take_it_for_what_was_there():
    entered, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        assert entered.wait(10)
        assert blas_threads() == {1}
    assert blas_threads() == {2}
    leave.set()
    thread.join()
    assert blas_threads() == {2}


def test_estimators_factorise_with_one_thread_and_wait(monkeypatch):
    """The limit is lifted only when what was computed under it is there."""
    waited = []
    ready = jax.block_until_ready

    def noted(leaves):
        waited.append(blas_threads())
        return ready(leaves)

    monkeypatch.setattr(_threads.jax, "block_until_ready", noted)
    found = with_one_blas_thread(lambda x: {"root": jnp.linalg.cholesky(x)})(jnp.eye(3))
    assert jnp.array_equal(found["root"], jnp.eye(3))
    jb.ridge(jnp.eye(2), jnp.ones(2), 1.0)
    jb.random_subspace(jax.random.key(0), 4, 2)
    assert waited == [{1}] * 3


def test_tuning_and_sweeps_compute_with_one_thread():
    found = []

    def note():
        jax.debug.callback(lambda: found.append(blas_threads()))

    def objective(penalty):
        note()
        return jnp.log(penalty) ** 2

    def estimator(key, brain_inputs, recordings, inputs, targets, penalty):
        note()
        return inputs.T @ targets

    jb.tune_penalty(objective, 1.0)
    tuned = len(found)
    study = jb.presets.small()
    key = jax.random.key(0)
    jb.sweep(study, [80], [20], [1.0], trials=2, key=key, method="data", estimator=estimator)
    jax.effects_barrier()
    assert 0 < tuned < len(found)
    assert all(threads == {1} for threads in found)
    assert blas_threads() == {2}


def test_plans_by_descent_are_computed_with_one_thread(monkeypatch):
    class Reached(Exception):
        pass

    def computed(*_):
        assert blas_threads() == {1}
        raise Reached

    monkeypatch.setattr("jaxbrain.budget.tuned._tune_allocation", computed)
    scanner = jb.Modality(jb.Problem.isotropic(24, 2, 1.0, 0.1, 0.5), cost_brain=1.0)
    with pytest.raises(Reached):
        jb.tune_allocation(scanner, budget=500.0, cost_task=1.0)
    assert blas_threads() == {2}


def test_objectives_on_data_factorise_with_one_thread(monkeypatch):
    waited = []
    monkeypatch.setattr(_threads.jax, "block_until_ready", lambda _: waited.append(blas_threads()))
    objective = jb.LeaveOneOut(jnp.eye(3), jnp.arange(3.0))
    made = len(waited)
    objective(1.0)
    assert 0 < made < len(waited)
    assert all(threads == {1} for threads in waited)


def test_what_is_traced_is_not_waited_for():
    shape = jax.eval_shape(lambda x: jb.ridge(x, x[:, 0], 1.0), jnp.eye(2))
    assert shape.shape == (2,)
    assert blas_threads() == {2}


def test_a_process_without_a_blas_to_control_runs_on(monkeypatch):
    nothing = ThreadpoolController().select(user_api="no such kind")
    assert not nothing.info()
    monkeypatch.setattr(_threads, "_blas", lambda: nothing)
    assert jb.ridge(jnp.eye(2), jnp.ones(2), 1.0).shape == (2,)
