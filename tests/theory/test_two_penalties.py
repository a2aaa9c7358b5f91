"""Two penalties: risk against raw simulation, and the value of information."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree
from scipy import optimize

import jaxbrain as jb

D, K = 16, 4

# For large programs that run a few times: the compiler spends most of its time on making them fast.
jit_as_it_is = partial(
    jax.jit,
    compiler_options={"xla_disable_hlo_passes": "fusion", "xla_backend_optimization_level": 0},
)


def problem(snr=1.0, misalignment=0.3, noise=0.5):
    return jb.Problem.isotropic(D, K, snr, misalignment, noise)


def learned(rng, misalignment, noise, n_brain, draws):
    """Bases that recordings teach, channels many: span(A + X⁺E), A the first K inputs."""
    inputs = rng.standard_normal((draws, n_brain, D))
    errors = np.sqrt(noise) * rng.standard_normal((draws, n_brain, K))
    gram, cross = inputs.transpose(0, 2, 1) @ inputs, inputs.transpose(0, 2, 1) @ errors
    bases = np.linalg.qr(np.eye(D)[:, :K] + np.linalg.solve(gram, cross))[0]
    weights = np.zeros(D)
    weights[:K] = np.sqrt((1 - misalignment) / K)
    weights[K] = np.sqrt(misalignment)
    return bases, weights


def errors_of(rng, bases, weights, n_task, task_noise, outside, inside):
    draws = len(bases)
    inputs = rng.standard_normal((draws, n_task, D))
    labels = inputs @ weights + np.sqrt(task_noise) * rng.standard_normal((draws, n_task))
    gram, cross = inputs.transpose(0, 2, 1) @ inputs, inputs.transpose(0, 2, 1) @ labels[..., None]
    kept = bases @ bases.transpose(0, 2, 1)
    penalty = outside * (np.eye(D) - kept) + inside * kept
    fits = np.linalg.solve(gram + n_task * penalty, cross)[..., 0]
    return np.sum((fits - weights) ** 2, 1)


def leading_risk(missed, n_task, noise, outside, inside):
    """The same risk without the finite-size term, by bisection and differences."""
    sizes, c = np.array([K, D - K]), n_task * np.array([inside, outside])

    def traces(c):
        low, high = 0.0, float(n_task)
        for _ in range(200):
            x = (low + high) / 2
            low, high = (x, high) if x + np.sum(sizes * x / (c + x)) < n_task else (low, x)
        return 1 / (c + x)

    step = 1e-5
    shifted = (traces(c + step) - traces(c - step)) / (2 * step)
    scaled = (traces(c * (1 + step)) - traces(c * (1 - step))) / (2 * step)
    powers = np.array([1 - missed, missed])
    return -np.sum(powers * c**2 * shifted) + noise * np.sum(sizes * (traces(c) + scaled))


@pytest.mark.parametrize("n_task", [8, 12, 16, 17, 24, 60])
def test_risk_agrees_with_raw_simulation(n_task):
    rng = np.random.default_rng(n_task)
    bases, weights = learned(rng, 0.3, 0.5, 40, 20_000)
    task_noise, failed = 0.5, 0
    claimed = problem(2.0)
    missed = float(jb.expected_misalignment(claimed, 40))
    for outside, inside in ((0.3, 0.05), (2.0, 0.2), (0.1, 1.0), (20.0, 0.02)):
        simulated = errors_of(rng, bases, weights, n_task, task_noise, outside, inside)
        error = 4 * simulated.std() / np.sqrt(len(simulated)) + 0.005 * simulated.mean()
        claim = float(jb.two_penalty_risk(claimed, 40, n_task, outside, inside))
        exchanged = float(jb.two_penalty_risk(claimed, 40, n_task, inside, outside))
        assert abs(claim - simulated.mean()) < error
        assert abs(exchanged - simulated.mean()) > error
        leading = leading_risk(missed, n_task, task_noise, outside, inside)
        failed += abs(leading - simulated.mean()) > error
    assert failed or n_task == 60  # where the leading order is good enough


def test_risk_agrees_with_the_estimator_of_the_library():
    rng = np.random.default_rng(1)
    bases, weights = learned(rng, 0.3, 0.5, 40, 2000)
    inputs = rng.standard_normal((2000, 20, D))
    targets = inputs @ weights + rng.standard_normal((2000, 20))
    fit = jax.jit(lambda x, y, b: jb.befs(x, y, b, 1.0, inside_penalty=0.2))
    found = jax.lax.map(lambda a: fit(*a), tuple(map(jnp.asarray, (inputs, targets, bases))))
    errors = np.sum((np.asarray(found) - weights) ** 2, 1)
    claim = float(jb.two_penalty_risk(problem(), 40, 20, 1.0, 0.2))
    assert abs(claim - errors.mean()) < 4 * errors.std() / np.sqrt(2000) + 0.005 * claim


@pytest.mark.parametrize("n_task", [10, 20, 50])
def test_no_other_penalties_do_better(n_task):
    rng = np.random.default_rng(n_task)
    bases, weights = learned(rng, 0.1, 0.5, 40, 20_000)
    best = jb.optimal_penalties(problem(1.0, 0.1), 40, n_task)
    outside, inside = float(best.outside), float(best.inside)

    def errors(factor_out, factor_in):
        again = np.random.default_rng(7)
        return errors_of(
            again, bases, weights, n_task, 1.0, factor_out * outside, factor_in * inside
        )

    least = errors(1, 1)
    claim = float(jb.two_penalty_risk(problem(1.0, 0.1), 40, n_task))
    assert abs(claim - least.mean()) < 4 * least.std() / np.sqrt(len(least)) + 0.005 * claim
    for factors in ((3, 1), (1 / 3, 1), (1, 3), (1, 1 / 3)):
        regret = errors(*factors) - least
        assert regret.mean() > 4 * regret.std() / np.sqrt(len(regret))


@pytest.mark.parametrize("n_task", [5, 15, 16, 17, 18, 40, 1e6])
@pytest.mark.parametrize("penalty", [1e-3, 0.1, 3.0])
def test_equal_penalties_are_ridge_regression(n_task, penalty):
    both = float(jb.two_penalty_risk(problem(), 40, n_task, penalty, penalty))
    assert both == pytest.approx(float(jb.ridge_risk(problem(), n_task, penalty)), rel=1e-9)


@pytest.mark.parametrize("n_task", [8, 12, 20, 60, 1e5])
@pytest.mark.parametrize("penalty", [0.3, 3.0, np.inf])
def test_no_penalty_inside_is_befs(n_task, penalty):
    """To the order that the finite-size terms share: closer as samples grow."""
    inside = float(jb.two_penalty_risk(problem(), 40, n_task, penalty, 0.0))
    befs = float(jb.risk(problem(), 40, n_task, penalty))
    assert inside == pytest.approx(befs, rel=0.5 / n_task**1.5)


def test_penalties_may_be_anything_from_nothing_to_infinity():
    penalties = np.array([0.0, 1e-12, 1e-6, 1.0, 1e6, 1e12, np.inf])
    table = np.asarray(
        jb.two_penalty_risk(problem(), 40, 60, penalties[:, None], penalties[None, :])
    )
    assert np.all(np.isfinite(table))
    np.testing.assert_allclose(table[0, 0], D / (60 - D - 1), rtol=1e-9)
    np.testing.assert_allclose(table[-1, -1], 1.0, rtol=1e-9)
    np.testing.assert_allclose(table[1], table[0], rtol=1e-6)
    np.testing.assert_allclose(table[-2], table[-1], rtol=1e-6)
    few = np.asarray(jb.two_penalty_risk(problem(), 40, 3, penalties[:, None], penalties[None, :]))
    assert np.all(np.isinf(few[:, 0]))
    assert np.all(np.isinf(few[0, :]))
    assert np.all(np.isfinite(few[1:, 1:]))


def test_limits_of_the_number_of_labels():
    assert float(jb.two_penalty_risk(problem(), 40, 0)) == pytest.approx(1.0, rel=1e-12)
    assert float(jb.two_penalty_risk(problem(), 40, 0, 1.0, 2.0)) == pytest.approx(1.0, rel=1e-12)
    assert float(jb.two_penalty_risk(problem(), 40, np.inf)) == 0.0
    missed = float(jb.expected_misalignment(problem(), 40))
    shrunk = 0.25 * missed + (2 / 3) ** 2 * (1 - missed)
    limit = float(jb.two_penalty_risk(problem(), 40, np.inf, 1.0, 2.0))
    assert limit == pytest.approx(shrunk, rel=1e-12)
    assert float(jb.information_value(problem(), 40, 0)) == 0.0
    assert float(jb.information_value(problem(), 40, np.inf)) == pytest.approx(
        float(jb.information_value(problem(), 40, 1e9)), rel=1e-5
    )


@pytest.mark.parametrize("n_task", [3.0, 10.0, 16.0, 40.0, 1e4])
def test_information_value_makes_ridge_as_good(n_task):
    worth = float(jb.information_value(problem(), 40, n_task))
    matched = float(jb.ridge_risk(problem(), n_task + worth))
    assert matched == pytest.approx(float(jb.two_penalty_risk(problem(), 40, n_task)), rel=1e-9)


@pytest.mark.parametrize("n_task", [3.0, 16.0, 40.0, 1e4])
def test_a_subspace_that_is_no_better_than_a_random_one_holds_no_information(n_task):
    """At misalignment (D − K)/D the two parts hold their share, whatever is learned."""
    blind = problem(1.0, (D - K) / D)
    assert float(jb.information_value(blind, 40, n_task)) == pytest.approx(0.0, abs=1e-8 * n_task)
    assert float(jb.information_value(problem(1.0, 0.74), 40, n_task)) > 0
    assert float(jb.information_value(problem(1.0, 0.76), 40, n_task)) > 0


@partial(jit_as_it_is, static_argnums=(0, 1))
def worth_and_risks(d, k, snr, misalignment, noise, n_brain, n_task):
    given = jb.Problem.isotropic(d, k, snr, misalignment, noise)
    return (
        jb.information_value(given, n_brain, n_task),
        jb.two_penalty_risk(given, n_brain, n_task),
        jb.ridge_risk(given, n_task),
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    d=st.sampled_from([8, 30]),
    k=st.sampled_from([1, 4, 7]),
    snr=st.floats(-2, 2),
    misalignment=st.floats(0, 1),
    noise=st.floats(-2, 2),
    n_brain=st.floats(0.05, 4),
    n_task=st.floats(-2, 4),
)
@pytest.mark.long
def test_information_is_never_harmful(d, k, snr, misalignment, noise, n_brain, n_task):
    numbers = (10**snr, misalignment, 10**noise, d + 1 + 10**n_brain, d * 10**n_task)
    worth, risk, ridge = worth_and_risks(d, k, *numbers)
    assert worth >= 0
    if n_task > 1:
        # Without the clip at 0: the risk itself is no worse than that of ridge regression.
        assert risk <= ridge * (1 + 1e-9)


def four_quantities(misalignment, numbers):
    noise, n_task, n_brain = numbers
    given = jb.Problem.isotropic(D, K, 1.0, misalignment, noise)
    return jnp.stack(
        [
            jb.information_value(given, n_brain, n_task),
            jb.two_penalty_risk(given, n_brain, n_task),
            jb.two_penalty_risk(given, n_brain, n_task, 0.7, 0.2),
            jb.optimal_penalties(given, n_brain, n_task).inside,
        ]
    )


# Compiled once for all cases.
four_values = jit_as_it_is(four_quantities)


@jit_as_it_is
def push_four(misalignment, numbers, move):
    return jax.jvp(partial(four_quantities, misalignment), (numbers,), (move,))[1]


@jit_as_it_is
def pull_four(misalignment, numbers, weight):
    return jax.vjp(partial(four_quantities, misalignment), numbers)[1](weight)[0]


@pytest.mark.long
@pytest.mark.parametrize("misalignment", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("n_task", [3.0, 16.0, 17.0, 200.0])
def test_derivatives_agree_and_are_finite(misalignment, n_task):
    arguments = jnp.array([0.5, n_task, 30.0])
    forward = np.stack([push_four(misalignment, arguments, one) for one in jnp.eye(3)], 1)
    reverse = np.stack([pull_four(misalignment, arguments, one) for one in jnp.eye(4)])
    assert np.all(np.isfinite(forward))
    np.testing.assert_allclose(forward, reverse, rtol=1e-8, atol=1e-10)
    for i in range(3):
        step = 1e-5 * arguments[i] * jnp.eye(3)[i]
        above, below = (four_values(misalignment, arguments + move) for move in (step, -step))
        moved = (above - below) / (2 * step[i])
        np.testing.assert_allclose(forward[:, i], moved, rtol=1e-5, atol=1e-8)


def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact = [float(jb.information_value(problem(), 40, n)) for n in (3.0, 40.0, 1e7)]
    found = [jb.information_value(problem(), 40, n) for n in (3.0, 40.0, 1e7)]
    assert found[0].dtype == jnp.float32
    np.testing.assert_allclose([float(x) for x in found], exact, rtol=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"inside_penalty": np.nan}, "inside_penalty must be a number"),
        ({"n_brain": 17}, "n_brain must be greater"),
        ({"n_task": -1}, "n_task must be at least 0"),
    ],
)
def test_wrong_arguments_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        jb.two_penalty_risk(**({"problem": problem(), "n_brain": 40, "n_task": 30} | options))


# One given subspace: noise and direction of the task averaged by hand, inputs drawn.


def given_subspace_risks(rng, d, k, n_task, misalignment, noise, outside, inside, draws):
    """Exact risk of each draw of inputs: Σ C² p_i tr_i G²/M_i + σ² tr GWG with G = (W + C)⁻¹."""
    inputs = rng.standard_normal((draws, n_task, d))
    gram = inputs.transpose(0, 2, 1) @ inputs
    c = n_task * np.repeat([inside, outside], [k, d - k])
    powers = np.repeat([(1 - misalignment) / k, misalignment / (d - k)], [k, d - k])
    inverse = np.linalg.inv(gram + np.diag(c))
    squares = np.sum(inverse**2, 2)
    return squares @ (c**2 * powers) + noise * (np.trace(inverse, axis1=1, axis2=2) - squares @ c)


@pytest.mark.parametrize("k", [1, 4, 15])
@pytest.mark.parametrize("n_task", [3, 8, 15, 16, 17, 24])
def test_task_stage_agrees_with_drawn_inputs(k, n_task):
    """Few labels, as many as inputs, more; at the best penalties, and where one of them is large."""
    rng = np.random.default_rng(100 * k + n_task)
    for snr, misalignment in ((0.3, 0.1), (1.0, 0.5), (5.0, 0.3)):
        exact = jb.Problem.isotropic(16, k, snr, misalignment, 0.5)
        best = jb.optimal_penalties(exact, np.inf, n_task)
        for outside, inside in (
            (float(best.outside), float(best.inside)),
            (30.0, 1.0),
            (1.0, 30.0),
        ):
            samples = given_subspace_risks(
                rng, 16, k, n_task, misalignment, 1 / snr, outside, inside, 2000
            )
            claim = float(jb.two_penalty_risk(exact, np.inf, n_task, outside, inside))
            error = samples.std(ddof=1) / np.sqrt(len(samples))
            assert abs(claim - samples.mean()) < 4 * error + 0.01 * claim


# Everything at once, over the whole range of numbers.


@pytest.mark.long
@pytest.mark.parametrize(("d", "k"), [(8, 1), (8, 4), (30, 29), (400, 40)])
def test_information_over_the_whole_range(d, k):
    """Never worse than ridge, and worth what it says, for any number of labels and any SNR."""
    rng, size = np.random.default_rng(d + k), 1200
    snr, noise = 10 ** rng.uniform(-3, 3, size), 10 ** rng.uniform(-2, 2, size)
    misalignment = rng.uniform(0, 1, size)
    # All or nothing of the task inside, or hardly more than by chance.
    misalignment[:100], misalignment[100:200] = 0.0, 1.0
    misalignment[200:400] = np.clip((d - k) / d * (1 + rng.uniform(-0.01, 0.01, 200)), 0, 1)
    n_brain = d + 1 + 10 ** rng.uniform(0, 5, size)
    n_brain[::7] = np.inf
    n_task = d * 10 ** rng.uniform(-3, 5, size)
    # Around each of the numbers of directions.
    for part, around in enumerate((d, k, d - k)):
        n_task[400 + 200 * part : 600 + 200 * part] = np.maximum(
            around + rng.integers(-2, 3, 200), 0.5
        )

    @jax.jit
    @jax.vmap
    def worth_of(snr, misalignment, noise, n_brain, n_task):
        given = jb.Problem.isotropic(d, k, snr, misalignment, noise)
        return jb.information_value(given, n_brain, n_task)

    @jax.jit
    @jax.vmap
    def risks_of(snr, misalignment, noise, n_brain, n_task, worth):
        given = jb.Problem.isotropic(d, k, snr, misalignment, noise)
        return (
            jb.two_penalty_risk(given, n_brain, n_task),
            jb.ridge_risk(given, n_task),
            jb.ridge_risk(given, n_task + worth),
        )

    perfect = (misalignment == 0) & np.isinf(n_brain)
    numbers = [jnp.asarray(x) for x in (snr, misalignment, noise, n_brain, n_task)]
    worth = worth_of(*numbers)
    risk, ridge, matched = (np.asarray(x) for x in risks_of(*numbers, worth))
    worth = np.asarray(worth)
    assert np.all(np.isfinite(worth))
    assert np.all(worth >= 0)
    assert np.all(risk <= ridge * (1 + 1e-12))
    np.testing.assert_allclose(matched, risk, rtol=1e-11)
    assert np.all(worth[perfect] > 0)
    with jax.enable_x64(False):
        rounded = np.asarray(worth_of(*(jnp.asarray(x, jnp.float32) for x in numbers)))
    assert rounded.dtype == np.float32
    # To 1 %, or to 0.1 % of the labels at stake where hardly anything is known.
    assert np.all(np.abs(rounded - worth) <= 0.01 * worth + 1e-3 * np.maximum(n_task, d))


def spectrum_problem(misalignment, scale=1.0):
    """Latents of unequal noise and use."""
    return jb.Problem(
        input_dim=24,
        latent_dim=3,
        recording_dim=16,
        latent_noise=[0.3, 0.1, 0.5],
        gain=[8.0, 4.0, 5.0],
        recording_noise=1.0,
        aligned_power=scale * (1 - misalignment) * np.array([0.5, 0.125, 0.375]),
        misaligned_power=scale * misalignment,
        task_noise=0.7,
    )


@pytest.mark.parametrize("n_brain", [27.0, 60.0, np.inf])
def test_information_is_zero_where_both_parts_hold_their_share(n_brain):
    """The misalignment at which E‖P̂β‖²/k = E‖K̂β‖²/q, found by root search."""

    def excess(misalignment):
        missed = float(jb.expected_misalignment(spectrum_problem(misalignment), n_brain))
        return (1 - missed) / 3 - missed / 21

    blind = optimize.brentq(excess, 0.0, 1.0, xtol=1e-15)
    for n_task in (2.0, 24.0, 100.0, 1e5, np.inf):
        zero = float(jb.information_value(spectrum_problem(blind), n_brain, n_task))
        assert zero == pytest.approx(0.0, abs=1e-8)
        for other in (0.9 * blind, 1.1 * blind):
            assert float(jb.information_value(spectrum_problem(other), n_brain, n_task)) > 1e-4


@pytest.mark.parametrize("n_task", [10.0, 30.0, 1e3])
def test_perfect_subspaces_leave_ridge_in_fewer_dimensions(n_task):
    """m = 0 and unlimited recordings: the outside is shut out. m = 1: the inside is."""
    for misalignment, size in ((0.0, 3), (1.0, 21)):
        risk = float(jb.two_penalty_risk(spectrum_problem(misalignment), np.inf, n_task))
        trace = float(jb.wishart_resolvent_trace(0.7 * size, size, n_task))
        assert risk == pytest.approx(0.7 * trace, rel=1e-2 if n_task < 24 else 2e-3)
        worth = float(jb.information_value(spectrum_problem(misalignment), np.inf, n_task))
        assert worth > 0
        matched = float(jb.ridge_risk(spectrum_problem(misalignment), n_task + worth))
        assert matched == pytest.approx(risk, rel=1e-11)


def test_fewer_recordings_of_a_useful_brain_hold_less_information():
    n_brain = np.array([26.0, 30.0, 60.0, 300.0, 1e4, np.inf])
    for n_task in (5.0, 24.0, 1e3, np.inf):
        worth = np.asarray(jb.information_value(spectrum_problem(0.2), n_brain, n_task))
        assert np.all(np.diff(worth) > 0)


@pytest.mark.parametrize("precision", [32, 64])
def test_penalties_of_any_size_are_finite_in_either_precision(precision):
    penalties = np.array([1e-12, 1e-6, 1.0, 1e6, 1e12, np.inf])
    with jax.enable_x64(precision == 64):
        for n_task in (1.0, 10.0, 24.0, 60.0, 1e6):
            table = jb.two_penalty_risk(
                spectrum_problem(0.2), 60.0, n_task, penalties[:, None], penalties[None, :]
            )
            assert table.dtype == (jnp.float32 if precision == 32 else jnp.float64)
            assert np.all(np.isfinite(table))
            assert np.all(np.asarray(table) > 0)
            # Shut out of both parts, nothing is learned and nothing is risked but the task.
            assert float(table[-1, -1]) == pytest.approx(1.0, rel=1e-5)


def quantities_of_everything(problem, n_brain, n_task, outside, inside):
    best = jb.optimal_penalties(problem, n_brain, n_task)
    return jnp.stack(
        [
            jb.two_penalty_risk(problem, n_brain, n_task, outside, inside),
            jb.information_value(problem, n_brain, n_task),
            best.outside,
            best.inside,
        ]
    )


@jit_as_it_is
def pull_back(weight, *arguments):
    """Of each argument, the derivative of the quantities weighted like this."""
    return jax.vjp(quantities_of_everything, *arguments)[1](weight)


@pytest.mark.long
def test_derivatives_in_every_number():
    """Of the problem, both sample numbers, both penalties, by three ways."""
    numbers = [jnp.asarray(x, float) for x in (60.0, 40.0, 0.6, 0.2)]
    flat, restore = ravel_pytree((spectrum_problem(0.2), *numbers))

    def quantities(flat):
        return quantities_of_everything(*restore(flat))

    values = jit_as_it_is(quantities)
    push = jit_as_it_is(lambda flat, move: jax.jvp(quantities, (flat,), (move,))[1])
    for factor in (1.0, 0.6):
        point = flat.at[-4:].multiply(factor)
        forward = np.stack([push(point, one) for one in jnp.eye(len(flat))], 1)
        reverse = [ravel_pytree(pull_back(one, *restore(point)))[0] for one in jnp.eye(4)]
        np.testing.assert_allclose(np.stack(reverse), forward, rtol=1e-9, atol=1e-11)
        step = 1e-5 * np.maximum(np.abs(point), 0.01)
        above, below = (
            np.stack([values(point.at[i].add(sign * step[i])) for i in range(len(flat))], 1)
            for sign in (1, -1)
        )
        off = np.abs((above - below) / (2 * step) - forward)
        assert np.all(off <= 1e-6 * np.abs(forward) + 1e-13 * np.abs(above) / step)


def test_gradients_at_the_ends_of_the_penalties():
    """Nothing and infinity are limits like others: no NaN in any derivative."""
    only_the_risk = jnp.eye(4)[0]
    for misalignment in (0.0, 0.2, 1.0):
        for outside in (0.0, 0.5, np.inf):
            for inside in (0.0, 0.5, np.inf):
                numbers = (jnp.asarray(x, float) for x in (60.0, 40.0, outside, inside))
                slopes = pull_back(only_the_risk, spectrum_problem(misalignment), *numbers)
                for leaf in jax.tree.leaves(slopes):
                    assert np.all(np.isfinite(leaf)), (misalignment, outside, inside)
