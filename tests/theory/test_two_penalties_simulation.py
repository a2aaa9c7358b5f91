"""Two penalties, against raw simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

D, K = 16, 4


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
    """Few labels, as many as inputs, more; at the best penalties, and where one is large."""
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
