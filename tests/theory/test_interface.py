"""How closed forms are called: broadcast, mapped, compiled once, in either form of a problem."""

import logging
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.problems import (
    PROBLEMS,
    ROTATION,
    rotated,
    spectrum_problem,
)

every_form = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


# Derivatives.

QUANTITIES = {
    "expected_misalignment": lambda p, nb, nt, penalty: jb.expected_misalignment(p, nb),
    "misalignment, first order": lambda p, nb, nt, penalty: jb.expected_misalignment(
        p, nb, order="first"
    ),
    "risk": jb.risk,
    "risk, first order": lambda *arguments: jb.risk(*arguments, order="first"),
    "optimal_penalty": lambda p, nb, nt, penalty: jb.optimal_penalty(p, nb, nt),
    "task_only_risk": lambda p, nb, nt, penalty: jb.task_only_risk(p, nt),
    "ridge_risk": lambda p, nb, nt, penalty: jb.ridge_risk(p, nt, penalty),
    "value": partial(jb.value, baseline="ols"),
    "value at the best penalty": lambda p, nb, nt, penalty: jb.value(p, nb, nt, baseline="ols"),
    "value against ridge": lambda *arguments: jb.value(*arguments, baseline="ridge"),
    "information_value": lambda p, nb, nt, penalty: jb.information_value(p, nb, nt),
    "exchange_rate": jb.exchange_rate,
    "savings": jb.savings,
}


# Invariances of the interface.


@pytest.mark.parametrize("changes", [{}, {"latent_noise": 0.3, "gain": 5.0}], ids=repr)
def test_matrix_form_answers_as_the_spectrum_form(changes):
    """Values and gradients, in any basis, with distinct and with repeated eigenvalues."""
    problem = spectrum_problem(**changes)
    names = ("latent_noise", "gain", "aligned_power")
    matrix = spectrum_problem(**{name: rotated(np.diag(getattr(problem, name))) for name in names})
    missed_and_slope = jax.value_and_grad(jb.expected_misalignment, (0, 1))
    for n_brain in (27.0, 60.0, 1e4):
        missed, (slope, _) = missed_and_slope(problem, n_brain)
        also, (matrix_slope, _) = missed_and_slope(matrix, n_brain)
        assert float(also) == pytest.approx(float(missed), rel=1e-12)
        for name in names:
            back = ROTATION.T @ np.asarray(getattr(matrix_slope, name)) @ ROTATION
            np.testing.assert_allclose(
                np.diag(back), getattr(slope, name), rtol=1e-9, atol=1e-12, err_msg=name
            )


@pytest.mark.parametrize("penalty", [None, 0.3])
def test_sample_numbers_broadcast_like_loops(penalty):
    problem = spectrum_problem()
    n_brain, n_task = np.array([30.0, 60.0, 1e3])[:, None], np.array([10.0, 30.0, 90.0, 1e4])[None]
    for quantity in (jb.risk, jb.value, jb.exchange_rate, jb.savings):
        table = quantity(problem, n_brain, n_task, penalty)
        assert table.shape == (3, 4)
        for row in range(3):
            for column in range(4):
                one = quantity(problem, n_brain[row, 0], n_task[0, column], penalty)
                assert float(table[row, column]) == pytest.approx(float(one), rel=1e-12)
    penalties = jb.optimal_penalty(problem, n_brain, n_task)
    assert penalties.shape == (3, 4)
    one = jb.optimal_penalty(problem, n_brain[1, 0], n_task[0, 2])
    assert float(penalties[1, 2]) == pytest.approx(float(one), rel=1e-12)


@every_form
def test_expected_misalignment_of_an_array_is_a_loop(problem):
    n_brain = np.array([[30.0, 60.0], [1e3, np.inf]])
    table = jb.expected_misalignment(problem, n_brain)
    loop = [[float(jb.expected_misalignment(problem, n)) for n in row] for row in n_brain]
    np.testing.assert_allclose(table, loop, rtol=1e-12)


def test_whole_numbers_count_like_floating_ones():
    problem = spectrum_problem()
    whole = jb.value(problem, np.array([60, 90]), 50, 1)
    floating = jb.value(problem, np.array([60.0, 90.0]), 50.0, 1.0)
    np.testing.assert_array_equal(whole, floating)


def test_mapping_over_stacked_problems_is_a_loop():
    problems = [spectrum_problem(misaligned_power=m, task_noise=0.5 + m) for m in (0.0, 0.2, 0.9)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)
    for name in ("expected_misalignment", "ridge_risk", "value", "value against ridge"):
        quantity = QUANTITIES[name]
        mapped = jax.vmap(lambda problem, q=quantity: q(problem, 60.0, 50.0, 0.3))(stacked)
        loop = [float(quantity(problem, 60.0, 50.0, 0.3)) for problem in problems]
        np.testing.assert_allclose(mapped, loop, rtol=1e-12, err_msg=name)


def test_new_numbers_need_no_new_compilation(caplog):
    """Planning sweeps change numbers, not shapes: each quantity is traced and compiled once."""
    traces = []

    @jax.jit
    def outer(problem, n_brain, n_task, penalty):
        traces.append(None)
        return jb.risk(problem, n_brain, n_task, penalty)

    def call(noise, n_brain, n_task, penalty):
        problem = spectrum_problem(recording_noise=noise, misaligned_power=noise / 10)
        outer(problem, n_brain, n_task, penalty)
        for quantity in QUANTITIES.values():
            quantity(problem, n_brain, n_task, penalty)

    call(1.0, 60.0, 50.0, 0.3)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        call(0.5, 77.0, 33.0, 0.1)
        assert "Compiling" not in caplog.text
        assert len(traces) == 1
        jb.value(spectrum_problem(), np.linspace(60.0, 70.0, 7), 50.0)
        assert "Compiling" in caplog.text


def test_one_program_serves_all_numbers_of_inputs_latents_and_channels(caplog):
    """Only how many kinds of latents there are is a shape; whether channels are known is static."""
    jax.clear_caches()  # of what other tests compiled
    shift = jb.BlockShift(0.5, 2.0, 1.0)
    quantities = {
        **QUANTITIES,
        "worth": lambda p, nb, nt, penalty: jb.worth(p, nb, nt),
        "under a shift": lambda p, nb, nt, penalty: jb.risk(p, nb, nt, penalty, shift=shift),
        "two_penalty_risk": lambda p, nb, nt, penalty: jb.two_penalty_risk(p, nb, nt),
        "optimal_penalties": lambda p, nb, nt, penalty: jb.optimal_penalties(p, nb, nt),
        "elasticities": lambda p, nb, nt, penalty: jb.elasticities(p, nb, nt),
    }

    def ask(input_dim, recording_dim, names, latents=3, kinds=3):
        kinds = np.arange(latents) % kinds
        problem = spectrum_problem(
            input_dim=input_dim,
            recording_dim=recording_dim,
            latent_dim=latents,
            latent_noise=0.2 + 0.1 * kinds,
            gain=3.0 + kinds,
            aligned_power=1.0 / (latents + kinds),
        )
        for name in names:
            quantities[name](problem, 4.0 * input_dim, 3.0 * input_dim, 0.3)

    known, unknown = quantities, set(quantities) - {"elasticities"}
    ask(24, 16, known)
    # Elasticities of channels need to know whether there are any.
    ask(24, None, unknown)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        for input_dim, recording_dim in ((30, 16), (4096, 10_000)):
            ask(input_dim, recording_dim, known)
        # Four kinds are as good as three.
        ask(900, 100, known, 80)
        # As many channels as latents are as good as unknown ones.
        for input_dim, recording_dim in ((200, 3), (200, None)):
            ask(input_dim, recording_dim, unknown)
        assert "Compiling" not in caplog.text
        ask(24, 16, ["expected_misalignment"], 6, kinds=6)
        assert "Compiling" in caplog.text


def test_stacks_are_refused_by_name():
    """A stack of problems without vmap would read as a problem in matrix form."""
    one = jb.Problem.isotropic(24, 4, 1.0, 0.2, 0.5)
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), one)
    for call in (
        lambda problem: jb.worth(problem, 60, 50),
        lambda problem: jb.value(problem, 60, 50),
        lambda problem: jb.expected_misalignment(problem, 60),
        lambda problem: jb.ridge_risk(problem, 50),
        lambda problem: jb.task_only_risk(problem, 50),
    ):
        with pytest.raises(ValueError, match=r"jax\.vmap"):
            call(stack)


def test_no_risk_is_negative_and_no_penalty_beats_the_best_one():
    """Also next to n_task = d, where the trace is at its worst; NaN is the only other answer."""
    problem = jb.Problem.isotropic(24, 4, 1.0, 0.2, 0.5)
    penalties = jnp.logspace(-6, 4, 200)[None, :]
    n_task = jnp.asarray([10.0, 22.0, 23.0, 24.0, 25.0, 26.0, 40.0, 200.0])[:, None]
    risks = jb.risk(problem, 60, n_task, penalties)
    ridge = jb.ridge_risk(problem, n_task, penalties)
    assert not jnp.any(risks < 0)
    assert not jnp.any(ridge < 0)
    finite = jnp.where(penalties * n_task * 24 > 10, risks, jnp.inf)
    assert jnp.all(finite >= jb.risk(problem, 60, n_task) * (1 - 1e-3))
