"""One given subspace, test inputs of any covariance; and the rivals under a shift."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxbrain as jb
from tests.helpers.pipeline import (
    Setting,
    block_covariance,
    build,
    fit_errors,
    in_parts,
    problem_of,
)
from tests.helpers.shifts import MIXTURES, PARTS, SETTINGS
from tests.helpers.statistics import agrees
from tests.helpers.wishart import moments_at


def along_and_across(moments, q):
    along = (moments.c2_t11 + 2 * moments.c2_t2) / (q * (q + 2))
    return along, (moments.c2_t2 / q - along) / (q - 1)


# One given subspace, any covariance.


def random_covariance(rng, d):
    factor = rng.standard_normal((d, d)) * np.geomspace(2.0, 0.2, d)
    return factor @ factor.T / d


@pytest.mark.parametrize(("k", "n_task"), [(3, 8), (3, 18), (3, 40), (1, 20), (8, 20)])
def test_given_subspace_agrees_with_simulation_under_any_covariance(k, n_task):
    d, task_noise, penalties = 12, 0.8, np.array([0.05, 0.5, 5.0])
    q, rng = d - k, np.random.default_rng(10 * n_task + k)
    basis = np.linalg.qr(rng.standard_normal((d, k)))[0]
    weights = rng.standard_normal(d)
    missed = weights - basis @ (basis.T @ weights)
    # More variance along K̂β than elsewhere, so that it matters how the resolvent turns it.
    covariance = random_covariance(rng, d) + 3 * np.outer(missed, missed) / (missed @ missed)
    samples = []
    for _ in range(10):
        bases = np.broadcast_to(basis, (5000, d, k))
        errors = fit_errors(rng, bases, weights, n_task, task_noise, penalties)
        samples.append(np.einsum("npi,ij,npj->np", errors, covariance, errors))
    samples = np.concatenate(samples)

    def claim(covariance):
        return jb.subspace_risk(
            basis, weights, task_noise, n_task, penalties, test_covariance=covariance
        )

    assert agrees(claim(covariance), samples)
    isotropic = np.asarray(claim(None)) * np.trace(covariance) / d
    assert not agrees(isotropic, samples)
    # As if the resolvent shrank K̂β without turning it.
    moments = moments_at(n_task * penalties, q, n_task - k)
    along, across = along_and_across(moments, q)
    form, outside = (
        missed @ covariance @ missed,
        np.trace(covariance @ (np.eye(d) - basis @ basis.T)),
    )
    bias = across * (missed @ missed) * outside + (along - across) * form
    unsplit = claim(covariance) - bias + moments.c2_t2 / q * form
    assert not agrees(unsplit, samples)


def test_variance_of_the_trace_is_needed():
    """E (tr G)², not (E tr G)²: seen where few directions are penalised."""
    d, k, n_task, task_noise, penalties = 4, 1, 9, 0.3, np.array([0.1, 0.3])
    q, rng = d - k, np.random.default_rng(7)
    basis, weights = np.eye(d, k), np.array([0.0, 2.0, 0.0, 0.0])
    covariance = np.diag([0.0, 1.0, 0.0, 0.0])
    samples = []
    for _ in range(4):
        bases = np.broadcast_to(basis, (50_000, d, k))
        errors = fit_errors(rng, bases, weights, n_task, task_noise, penalties)
        samples.append(errors[..., 1] ** 2)
    samples = np.concatenate(samples)
    claim = jb.subspace_risk(
        basis, weights, task_noise, n_task, penalties, test_covariance=covariance
    )
    moments = moments_at(n_task * penalties, q, n_task - k)
    fixed = moments._replace(c2_t11=(n_task * penalties * moments.t1) ** 2)
    (along, across), (along_fixed, across_fixed) = (
        along_and_across(one, q) for one in (moments, fixed)
    )
    without = claim + 4 * (across_fixed + (along_fixed - across_fixed) - along)
    np.testing.assert_allclose(across + (along - across), along)
    assert agrees(claim, samples, 0.005)
    assert not agrees(without, samples, 0.005)


@pytest.mark.parametrize("penalty", [None, 0.0, 0.4, np.inf])
@pytest.mark.parametrize("setting", SETTINGS[:2], ids=lambda setting: "-".join(map(str, setting)))
def test_true_subspace_answers_like_unlimited_recordings(setting, penalty):
    encoder, _, _, weights = build(setting)
    n_task = np.array([16.0, 30.0, 200.0, np.inf])
    for shift in PARTS + MIXTURES:
        given = jb.subspace_risk(
            encoder,
            weights,
            setting.task_noise,
            n_task,
            penalty,
            test_covariance=block_covariance(encoder, weights, shift),
        )
        learned = jb.risk(problem_of(setting), np.inf, n_task, penalty, shift=jb.BlockShift(*shift))
        np.testing.assert_allclose(given, learned, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("penalty", [None, 0.4, np.inf])
def test_white_covariance_is_the_default(penalty):
    rng = np.random.default_rng(0)
    for k in (1, 4, 11):
        basis = np.linalg.qr(rng.standard_normal((12, k)))[0]
        arguments = basis, rng.standard_normal(12), 0.7, np.array([14.0, 30.0]), penalty
        white = jb.subspace_risk(*arguments, test_covariance=np.eye(12))
        np.testing.assert_allclose(white, jb.subspace_risk(*arguments), rtol=1e-12)
        doubled = jb.subspace_risk(*arguments, test_covariance=2 * np.eye(12))
        np.testing.assert_allclose(doubled, 2 * white, rtol=1e-12)


def test_given_subspace_differentiates_and_maps():
    rng = np.random.default_rng(1)
    weights, covariance = rng.standard_normal(6), random_covariance(rng, 6)
    bases = np.linalg.qr(rng.standard_normal((3, 6, 2)))[0]
    mapped = jax.jit(jax.vmap(lambda basis: jb.subspace_risk(basis, weights, 0.5, 12.0, 0.3)))(
        jnp.asarray(bases)
    )
    loop = [float(jb.subspace_risk(basis, weights, 0.5, 12.0, 0.3)) for basis in bases]
    np.testing.assert_allclose(mapped, loop, rtol=1e-13)

    flat, restore = ravel_pytree((jnp.asarray(weights), 0.5, 12.0, 0.3, jnp.asarray(covariance)))

    @jax.jit
    def quantity(flat):
        weights, noise, n_task, penalty, covariance = restore(flat)
        return jb.subspace_risk(
            bases[0], weights, noise, n_task, penalty, test_covariance=covariance
        )

    reverse, forward = jax.jit(jax.grad(quantity))(flat), jax.jit(jax.jacfwd(quantity))(flat)
    np.testing.assert_allclose(reverse, forward, rtol=1e-10, atol=1e-13)
    step = 1e-6 * np.maximum(np.abs(flat), 0.01)
    for i in range(len(flat)):
        above, below = (float(quantity(flat.at[i].add(sign * step[i]))) for sign in (1, -1))
        assert (above - below) / (2 * step[i]) == pytest.approx(
            float(reverse[i]), rel=1e-6, abs=1e-8
        )
    # The risk is linear in the covariance.
    whole = float(quantity(flat))
    assert float(jnp.sum(restore(reverse)[4] * covariance)) == pytest.approx(whole, rel=1e-12)


def test_wrong_subspaces_and_covariances_are_refused_by_name():
    basis, weights = np.eye(6, 2), np.ones(6)
    for arguments, options, said in (
        ((2 * basis, weights, 1.0, 20), {}, "basis must have orthonormal columns"),
        ((np.eye(6), weights, 1.0, 20), {}, "the number of columns of basis must be"),
        ((basis, np.ones(5), 1.0, 20), {}, "task_weights must have shape"),
        ((basis, weights, 0.0, 20), {}, "task_noise must be greater than 0"),
        ((basis, weights, np.ones(2), 20), {}, "task_noise must have shape"),
        ((basis, weights, 1.0, -1), {}, "n_task must be at least 0"),
        ((basis, weights, 1.0, np.nan), {}, "n_task must be a number"),
        ((basis, weights, 1.0, 20, -0.1), {}, "penalty must be at least 0"),
        ((basis, weights, 1.0, 20), {"test_covariance": np.eye(5)}, "test_covariance must have"),
        ((basis, weights, 1.0, 20), {"test_covariance": -np.eye(6)}, "test_covariance must be"),
        ((basis, weights, 1.0, 20), {"test_covariance": np.eye(6, k=1)}, "test_covariance must"),
    ):
        with pytest.raises(ValueError, match=said):
            jb.subspace_risk(*arguments, **options)


# The rivals.


@pytest.mark.parametrize("n_task", [8, 30])
def test_ridge_agrees_with_simulation(n_task):
    setting = Setting(12, 3, 6, 50, n_task, 0.4, 0.3, 1.0, 0.6)
    encoder, _, _, weights = build(setting)
    problem, rng = problem_of(setting), np.random.default_rng(n_task)
    best = 0.6 * 12 / n_task
    penalties = np.array([0.05, best, 5.0])
    parts = []
    for _ in range(6):
        no_bases = np.zeros((5000, 12, 0))
        errors = fit_errors(rng, no_bases, weights, n_task, 0.6, penalties)
        parts.append(in_parts(errors, encoder, weights))
    parts = np.concatenate(parts)
    white = np.asarray(jb.ridge_risk(problem, n_task, penalties))
    for variances in PARTS + MIXTURES:
        shift, samples = jb.BlockShift(*variances), parts @ np.array(variances)
        assert agrees(jb.ridge_risk(problem, n_task, penalties, shift=shift), samples)
        assert agrees(jb.ridge_risk(problem, n_task, shift=shift), samples[:, 1])
        scaled = white * (3 * variances[0] + variances[1] + 8 * variances[2]) / 12
        assert not agrees(scaled, samples)


def test_least_squares_agrees_with_simulation():
    setting = Setting(12, 3, 6, 50, 30, 0.4, 0.3, 1.0, 0.6)
    encoder, _, _, weights = build(setting)
    problem, rng = problem_of(setting), np.random.default_rng(3)
    errors = fit_errors(rng, np.zeros((20_000, 12, 0)), weights, 30, 0.6, [0.0])
    parts = in_parts(errors, encoder, weights)[:, 0]
    white = float(jb.task_only_risk(problem, 30))
    for variances in PARTS + MIXTURES:
        shift, samples = jb.BlockShift(*variances), parts @ np.array(variances)
        claim = float(jb.task_only_risk(problem, 30, shift=shift))
        assert agrees(claim, samples)
        assert not agrees(white, samples)
        trace = 3 * variances[0] + variances[1] + 8 * variances[2]
        assert claim == pytest.approx(0.6 * trace / 17, rel=1e-13)
        # Penalty 0 is least squares, with recordings or without.
        unpenalised = jb.risk(problem, 50, 30, 0.0, shift=shift)
        assert float(unpenalised) == pytest.approx(claim, rel=1e-12)
        assert float(jb.ridge_risk(problem, 30, 0.0, shift=shift)) == pytest.approx(
            claim, rel=1e-12
        )


@pytest.mark.parametrize("k", [1, 11])
def test_extreme_ranks_agree_with_simulation(k):
    """One latent, and one direction left: a perfect subspace, so nothing needs an allowance."""
    setting = Setting(12, k, k, 50, 20, 0.4, 0.3, 1.0, 0.6)
    encoder, _, _, weights = build(setting)
    problem, rng = problem_of(setting), np.random.default_rng(k)
    penalties, parts = np.array([0.1, 1.0]), []
    for _ in range(4):
        bases = np.broadcast_to(encoder, (5000, 12, k))
        errors = fit_errors(rng, bases, weights, 20, 0.6, penalties)
        parts.append(in_parts(errors, encoder, weights))
    parts = np.concatenate(parts)
    for variances in [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.2, 6.0, 0.5)]:
        claim = jb.risk(problem, np.inf, 20, penalties, shift=jb.BlockShift(*variances))
        assert agrees(claim, parts @ np.array(variances))
