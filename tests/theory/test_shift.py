"""Test inputs of another distribution: closed forms against raw data, named facts, edges."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jaxtyping import TypeCheckError
from scipy import optimize
from scipy.linalg import solve_triangular

import jaxbrain as jb
from jaxbrain.theory.brain_stage import subspace_moments
from jaxbrain.theory.resolvent import resolvent

DRAWS = 3000
moments_of_subspace = jax.jit(subspace_moments, static_argnames="order")
resolvent_moments = jax.jit(resolvent)


def moments_at(c, q, n):
    c = jnp.asarray(c)
    return resolvent_moments(c, jnp.ones_like(c), float(q), jnp.full_like(c, n))


# Accuracy of the brain stage asked for below, relative. The task stage gets no allowance at all.
BRAIN_STAGE = 0.01


class Setting(NamedTuple):
    """One experiment: dimensions, sample numbers, noise, and how much of the task is missed."""

    input_dim: int
    latent_dim: int
    recording_dim: int
    n_brain: int
    n_task: int
    misalignment: float
    latent_noise: float | str
    recording_noise: float
    task_noise: float


SETTINGS = [
    # Labels below, near and above the number of inputs; few channels and many; one latent.
    Setting(20, 3, 12, 60, 30, 0.5, 0.3, 1.0, 1.0),
    Setting(20, 3, 12, 200, 60, 0.1, 0.0, 2.0, 0.3),
    Setting(24, 4, 16, 100, 30, 0.3, "correlated", 1.0, 1.0),
    Setting(24, 4, 16, 240, 16, 0.6, 0.3, 0.5, 2.0),
    Setting(20, 3, 12, 100, 25, 0.4, 0.2, 0.3, 0.5),
    Setting(30, 1, 5, 300, 70, 0.7, 0.4, 1.0, 0.2),
    # Recordings next to the number of inputs.
    Setting(60, 6, 24, 84, 40, 0.2, 0.3, 1.0, 1.0),
]
PENALTIES = np.array([0.03, 0.3, 3.0, 1e6])
# Variance in the sensitive, the missed and the other directions.
PARTS = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
MIXTURES = [(0.0, 1.0, 1.0), (0.2, 6.0, 0.5), (3.0, 0.5, 1.0)]


def build(setting):
    """The arrays of a model with this setting: encoder, readout, latent noise, task weights."""
    d, k, p = setting[:3]
    rng = np.random.default_rng(d)
    encoder = np.linalg.qr(rng.standard_normal((d, k)))[0]
    readout = rng.standard_normal((p, k))
    if setting.latent_noise == "correlated":
        factor = rng.standard_normal((k, k))
        latent_noise = 0.1 * np.eye(k) + 0.4 * factor @ factor.T / k
    else:
        latent_noise = setting.latent_noise * np.eye(k)
    direction = rng.standard_normal(d)
    inside = encoder @ (encoder.T @ direction)
    outside = direction - inside
    weights = np.sqrt(1 - setting.misalignment) * inside / np.linalg.norm(inside)
    weights += np.sqrt(setting.misalignment) * outside / np.linalg.norm(outside)
    return encoder, readout, latent_noise, weights


@functools.cache
def problem_of(setting):
    encoder, readout, latent_noise, weights = build(setting)
    if setting.latent_noise != "correlated":
        latent_noise = setting.latent_noise
    return jb.LinearGaussianModel(
        encoder, readout, latent_noise, setting.recording_noise, weights, setting.task_noise
    ).problem()


def transpose(matrices):
    return matrices.transpose(0, 2, 1)


def learn_subspaces(rng, setting, draws):
    """Reduced-rank regression of simulated recordings: (draws, d, k) orthonormal bases."""
    encoder, readout, latent_noise, _ = build(setting)
    d, k, p, n = setting[:4]
    values, vectors = np.linalg.eigh(latent_noise)
    latent_factor = vectors * np.sqrt(np.maximum(values, 0))
    inputs = rng.standard_normal((draws, n, d))
    latents = inputs @ encoder + rng.standard_normal((draws, n, k)) @ latent_factor.T
    noise = np.sqrt(setting.recording_noise) * rng.standard_normal((draws, n, p))
    recordings = latents @ readout.T + noise
    gram, cross = transpose(inputs) @ inputs, transpose(inputs) @ recordings
    regression = np.linalg.solve(gram, cross)
    leading = np.linalg.eigh(transpose(regression) @ cross)[1][..., -k:]
    return np.linalg.qr(regression @ leading)[0]


def fit_errors(rng, bases, weights, n_task, task_noise, penalties):
    """β̂ − β of penalised regression on simulated labels: (draws, penalties, d)."""
    draws, d = bases.shape[:2]
    inputs = rng.standard_normal((draws, n_task, d))
    labels = inputs @ weights + np.sqrt(task_noise) * rng.standard_normal((draws, n_task))
    gram, cross = transpose(inputs) @ inputs, transpose(inputs) @ labels[..., None]
    outside = np.eye(d) - bases @ transpose(bases)
    fits = [np.linalg.solve(gram + n_task * penalty * outside, cross) for penalty in penalties]
    return np.stack([fit[..., 0] - weights for fit in fits], 1)


def in_parts(errors, encoder, weights):
    """Squared length of errors in the sensitive, the missed and the other directions: (..., 3)."""
    outside = weights - encoder @ (encoder.T @ weights)
    sensitive = np.sum((errors @ encoder) ** 2, -1)
    missed = (errors @ (outside / np.linalg.norm(outside))) ** 2
    return np.stack([sensitive, missed, np.sum(errors**2, -1) - sensitive - missed], -1)


class Simulated(NamedTuple):
    setting: Setting
    parts: np.ndarray
    """Squared error, (draws, penalties, 3)."""
    mean_missed: np.ndarray
    """Parts of the squared mean of K̂β, (3,)."""


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda setting: "-".join(map(str, setting)))
def simulated(request):
    setting = request.param
    encoder, _, _, weights = build(setting)
    rng = np.random.default_rng(100 + SETTINGS.index(setting))
    parts, missed = [], []
    for _ in range(8):
        bases = learn_subspaces(rng, setting, DRAWS // 8)
        errors = fit_errors(rng, bases, weights, setting.n_task, setting.task_noise, PENALTIES)
        parts.append(in_parts(errors, encoder, weights))
        missed.append(weights - np.einsum("ndk,nk->d", bases, weights @ bases) / len(bases))
    mean_missed = in_parts(np.mean(missed, 0), encoder, weights)
    return Simulated(setting, np.concatenate(parts), mean_missed)


def agrees(claim, samples, allowance=0.0):
    """Whether claims lie within 4 standard errors, plus a relative allowance, of the means."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    off = np.abs(np.asarray(claim) - samples.mean(0))
    return bool(np.all(off <= 4 * error + allowance * samples.mean(0)))


def all_agree(simulated, claim):
    """Whether claim(shift), one number a penalty, agrees with the data for every shift."""
    return all(
        agrees(claim(shift), simulated.parts @ np.array(shift), BRAIN_STAGE)
        for shift in PARTS + MIXTURES
    )


def claimed_risk(setting, shift, **options):
    problem = problem_of(setting)
    shift = jb.BlockShift(*shift)
    return jb.risk(problem, setting.n_brain, setting.n_task, PENALTIES, shift=shift, **options)


def other_risk(setting, shift, penalties, bias):
    """The formula of docs/theory.md with another `bias` (moments, subspace)."""
    problem, q = problem_of(setting), setting.input_dim - setting.latent_dim
    subspace = moments_of_subspace(
        problem, jnp.asarray(float(setting.n_brain)), jb.BlockShift(*shift), "finite"
    )
    rows = setting.n_task - setting.latent_dim
    moments = moments_at(setting.n_task * penalties, q, rows)
    block = subspace.misalignment * moments.c2_t2 / q + setting.task_noise * moments.noise
    inside = (setting.task_noise + block) * subspace.inside / (rows - 1)
    outside = setting.task_noise * moments.noise / q * subspace.outside
    return inside + outside + bias(moments, subspace, q)


def along_and_across(moments, q):
    along = (moments.c2_t11 + 2 * moments.c2_t2) / (q * (q + 2))
    return along, (moments.c2_t2 / q - along) / (q - 1)


def full_bias(moments, subspace, q):
    along, across = along_and_across(moments, q)
    spread = across * subspace.misalignment * subspace.outside
    return spread + (along - across) * subspace.missed


def unsplit_bias(moments, subspace, q):
    """As if the resolvent shrank K̂β without turning it."""
    return moments.c2_t2 / q * subspace.missed


def test_risk_agrees_with_the_simulated_pipeline(simulated):
    assert all_agree(simulated, lambda shift: claimed_risk(simulated.setting, shift))


@pytest.mark.long
def test_wrong_formulas_do_not_agree_with_the_simulated_pipeline(simulated):
    setting = simulated.setting
    if setting.latent_noise == "correlated":
        return  # takes long to compile
    d, k = setting[:2]
    problem = problem_of(setting)
    white = np.asarray(jb.risk(problem, setting.n_brain, setting.n_task, PENALTIES))

    def scaled(shift):
        return white * (k * shift[0] + shift[1] + (d - k - 1) * shift[2]) / d

    def mean_squared(shift):
        """The square of the mean of K̂ in place of the mean of its square."""
        missed = jnp.asarray(simulated.mean_missed @ np.array(shift))
        return other_risk(
            setting,
            shift,
            PENALTIES,
            lambda moments, subspace, q: full_bias(moments, subspace._replace(missed=missed), q),
        )

    assert not all_agree(simulated, scaled)
    assert not all_agree(simulated, mean_squared)
    assert not all_agree(
        simulated, lambda shift: other_risk(setting, shift, PENALTIES, unsplit_bias)
    )
    # What the variants vary is the formula itself.
    for shift in MIXTURES:
        whole = other_risk(setting, shift, PENALTIES, full_bias)
        np.testing.assert_allclose(whole, claimed_risk(setting, shift), rtol=1e-12)


def bartlett(rng, size, n):
    """Upper-triangular factor of a Wishart matrix with n degrees of freedom."""
    factor = np.triu(rng.standard_normal((size, size)), 1)
    factor[np.diag_indices(size)] = np.sqrt(rng.chisquare(n - np.arange(size)))
    return factor


def draw_moments(rng, d, k, n_brain, noise):
    """tr PK̂P/k and tr (PK̂P)²/k of one exact draw: the learned subspace is spanned by [A1; A2]."""
    q = d - k
    outside = solve_triangular(
        bartlett(rng, k, n_brain - q), np.sqrt(noise) * bartlett(rng, k, q), trans="T"
    )
    leak = np.sqrt(noise) * rng.standard_normal((k, k)) - rng.standard_normal((k, k)) @ outside
    inside = np.eye(k) + solve_triangular(bartlett(rng, k, n_brain), leak)
    gram = inside.T @ inside + outside.T @ outside
    lost = np.eye(k) - inside @ np.linalg.solve(gram, inside.T)
    return np.trace(lost) / k, np.sum(lost**2) / k


@pytest.mark.parametrize(("d", "k", "n_brain"), [(300, 45, 390), (300, 45, 1200), (300, 150, 600)])
def test_second_moments_of_large_subspaces_agree_with_exact_draws(d, k, n_brain):
    """Their error falls as 1/d; at d = 20 it is up to 7 %, here below 0.7 %."""
    noise, m, q = 0.5, 0.3, d - k
    rng = np.random.default_rng(n_brain)
    lost, squared = np.array([draw_moments(rng, d, k, n_brain, noise) for _ in range(150)]).T
    problem = jb.Problem.isotropic(d, k, 1.0, m, noise)
    part = [
        moments_of_subspace(problem, jnp.asarray(float(n_brain)), jb.BlockShift(*shift), "finite")
        for shift in PARTS
    ]
    turned = (lost - squared) * k / q
    assert agrees(part[0].outside, lost * k, 0.003)
    assert agrees(part[0].inside, k - lost * k, 0.003)
    assert agrees(part[0].missed, (1 - m) * squared + m * turned, 0.007)
    whole = part[1].missed + part[2].missed
    kept = 1 - lost * k / q
    assert agrees(whole, (1 - m) * (lost - squared) + m * (kept - turned), 0.003)
    # The square of the mean instead: what is missed would all lie along the old direction.
    assert not agrees((1 - m) * part[0].outside / k, (1 - m) * (lost - squared), 0.05)


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


def block_covariance(encoder, weights, shift):
    """Σ = a_P P + a_β vvᵀ + a_0 (K − vvᵀ)."""
    outside = weights - encoder @ (encoder.T @ weights)
    direction = outside / np.linalg.norm(outside)
    missed, sensitive = np.outer(direction, direction), encoder @ encoder.T
    rest = np.eye(len(weights)) - sensitive - missed
    return shift[0] * sensitive + shift[1] * missed + shift[2] * rest


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
        ((np.eye(6), weights, 1.0, 20), {}, "latent_dim"),
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


# Facts with a name.


def spectrum_problem(**changes):
    fields = dict(
        input_dim=24,
        latent_dim=3,
        recording_dim=16,
        latent_noise=[0.3, 0.1, 0.5],
        gain=[8.0, 4.0, 5.0],
        recording_noise=1.0,
        aligned_power=[0.4, 0.1, 0.3],
        misaligned_power=0.2,
        task_noise=0.7,
    )
    return jb.Problem(**{**fields, **changes})


ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]


def rotated(matrix):
    return ROTATION @ matrix @ ROTATION.T


def matrix_problem(**changes):
    """The spectrum problem in another basis."""
    spectra = spectrum_problem(**changes)
    names = ("latent_noise", "gain", "aligned_power")
    return spectrum_problem(
        **{**changes, **{name: rotated(np.diag(getattr(spectra, name))) for name in names}}
    )


QUANTITIES = {
    "risk": lambda p, nb, nt, **kw: jb.risk(p, nb, nt, **kw),
    "risk at a penalty": lambda p, nb, nt, **kw: jb.risk(p, nb, nt, 0.3, **kw),
    "hard constraint": lambda p, nb, nt, **kw: jb.risk(p, nb, nt, np.inf, **kw),
    "optimal_penalty": lambda p, nb, nt, **kw: jb.optimal_penalty(p, nb, nt, **kw),
    "value": lambda p, nb, nt, **kw: jb.value(p, nb, nt, **kw),
    "value at a penalty": lambda p, nb, nt, **kw: jb.value(p, nb, nt, 0.3, **kw),
    "exchange_rate": lambda p, nb, nt, **kw: jb.exchange_rate(p, nb, nt, **kw),
    "savings": lambda p, nb, nt, **kw: jb.savings(p, nb, nt, **kw),
}
RIVALS = {
    "task_only_risk": lambda p, nb, nt, **kw: jb.task_only_risk(p, nt, **kw),
    "ridge_risk": lambda p, nb, nt, **kw: jb.ridge_risk(p, nt, **kw),
    "ridge_risk at a penalty": lambda p, nb, nt, **kw: jb.ridge_risk(p, nt, 0.3, **kw),
}


ONE_OUTSIDE = jb.Problem.isotropic(5, 4, 1.0, 0.3, 0.5)


@pytest.mark.parametrize("name", [*QUANTITIES, *RIVALS])
@pytest.mark.parametrize("problem", [spectrum_problem(), ONE_OUTSIDE], ids=["q = 21", "q = 1"])
def test_white_test_inputs_are_no_shift(problem, name):
    """For every quantity, and the same variance everywhere only sets the scale of the risks."""
    if problem is ONE_OUTSIDE and name not in ("risk at a penalty", "value", "ridge_risk"):
        return
    quantity = {**QUANTITIES, **RIVALS}[name]
    # The best penalty is searched for, to as many digits as its slope shows.
    rounding = 1e-7 if name == "optimal_penalty" else 1e-11
    factor = 3.0 if "risk" in name or name == "hard constraint" else 1.0
    for order in ("finite", "first") if name in QUANTITIES else (None,):
        options = {} if order is None else {"order": order}
        for n_brain in (27.0, 60.0, np.inf):
            for n_task in (6.0, 20.0, 50.0, 1e4):
                plain = float(quantity(problem, n_brain, n_task, **options))
                for variance, scale in ((1.0, 1.0), (3.0, factor)):
                    shift = jb.BlockShift(variance, variance, variance)
                    same = float(quantity(problem, n_brain, n_task, shift=shift, **options))
                    assert same == pytest.approx(scale * plain, rel=rounding, abs=1e-12)


@pytest.mark.parametrize("order", ["finite", "first"])
def test_no_value_on_the_brain_sensitive_subspace(order):
    """There recordings end up knowing all that matters and labels learn it at the same pace."""
    problem, sensitive = spectrum_problem(), jb.BlockShift(1, 0, 0)
    n_brain = np.array([1e4, 1e6, 1e8])
    value = np.asarray(jb.value(problem, n_brain, np.inf, shift=sensitive, order=order))
    np.testing.assert_allclose(value[:-1] / value[1:], 100, rtol=0.05)
    assert float(jb.value(problem, np.inf, np.inf, shift=sensitive, order=order)) == 0
    large = float(jb.value(problem, np.inf, 1e8, shift=sensitive, order=order))
    assert abs(large) < 1e-4
    assert float(jb.value(problem, np.inf, np.inf, order=order)) > 30


@pytest.mark.parametrize("order", ["finite", "first"])
def test_value_is_larger_on_the_insensitive_subspace(order):
    problem, insensitive = spectrum_problem(), jb.BlockShift(0, 1, 1)
    for n_task, digits in ((np.inf, 1e-12), (1e8, 1e-6)):
        white = float(jb.value(problem, np.inf, n_task, order=order))
        off_brain = float(jb.value(problem, np.inf, n_task, shift=insensitive, order=order))
        assert off_brain == pytest.approx(white * 24 / 21, rel=digits)


@pytest.mark.parametrize("sensitive", [0.0, 1.0, 7.0])
@pytest.mark.parametrize("order", ["finite", "first"])
def test_value_turns_negative_at_twice_the_average_insensitive_variance(order, sensitive):
    problem, q = spectrum_problem(), 21
    # a_β = 2 (a_β + (q − 1) a_0)/q.
    twice = 2 * (q - 1) / (q - 2)

    def value(missed, n_task):
        shift = jb.BlockShift(sensitive, missed, 1.0)
        return float(jb.value(problem, np.inf, n_task, shift=shift, order=order))

    scale = value(1.0, np.inf)
    assert abs(value(twice, np.inf)) < 1e-12 * scale
    for n_task in (1e9, np.inf):
        assert value(0.999 * twice, n_task) > 0
        assert value(1.001 * twice, n_task) < 0
    assert value(100.0, 1e9) < 0


@pytest.mark.parametrize("sensitive", [0.0, 0.5, 4.0])
def test_balanced_shift_has_the_law_of_the_paper(sensitive):
    """V = σ² q tr K̂Σ/(m̂ tr Σ) where the missed direction has the average insensitive variance."""
    shift = jb.BlockShift(sensitive, 2.0, 2.0)
    law = 0.7 * 21 * (21 * 2.0) / (0.2 * (3 * sensitive + 21 * 2.0))
    value = jb.value(spectrum_problem(), np.inf, np.inf, shift=shift)
    assert float(value) == pytest.approx(law, rel=1e-12)


def test_value_makes_least_squares_as_good():
    problem = spectrum_problem()
    n_brain, n_task = np.meshgrid([27.0, 60.0, 1e4], [6.0, 20.0, 50.0, 1e3], indexing="ij")
    for variances in PARTS + MIXTURES:
        shift = jb.BlockShift(*variances)
        for penalty in (None, 0.02, np.inf):
            risk = jb.risk(problem, n_brain, n_task, penalty, shift=shift)
            value = jb.value(problem, n_brain, n_task, penalty, shift=shift)
            matched = jb.task_only_risk(problem, n_task + value, shift=shift)
            np.testing.assert_allclose(matched, risk, rtol=1e-10)
            rate = jb.exchange_rate(problem, n_brain, n_task, penalty, shift=shift)
            np.testing.assert_allclose(rate, value / n_brain, rtol=1e-14)
            savings = jb.savings(problem, n_brain, n_task, penalty, shift=shift)
            np.testing.assert_allclose(savings, value / (n_task + value), rtol=1e-14)


# The best penalty.


@pytest.mark.parametrize(
    ("variances", "n_task"),
    [
        *[((0.0, 0.0, 1.0), n_task) for n_task in (8.0, 30.0, 200.0)],
        *[((0.2, 6.0, 0.5), n_task) for n_task in (8.0, 25.0, 200.0)],
        *[((3.0, 0.5, 1.0), n_task) for n_task in (8.0, 30.0)],
        ((1.0, 0.1, 2.0), 30.0),
    ],
)
def test_best_penalty_is_where_the_risk_is_lowest(variances, n_task):
    problem = spectrum_problem()
    shift = jb.BlockShift(*variances)
    best = float(jb.optimal_penalty(problem, 60.0, n_task, shift=shift))

    def risk(log_penalty):
        return float(jb.risk(problem, 60.0, n_task, np.exp(log_penalty), shift=shift))

    lowest = risk(np.log(best))
    for step in (0.01, 0.1, 1.0, 4.0):
        assert lowest < risk(np.log(best) - step)
        assert lowest < risk(np.log(best) + step)
    found = optimize.minimize_scalar(
        risk, bounds=(np.log(best) - 3, np.log(best) + 3), method="bounded", options={"xatol": 1e-9}
    )
    assert np.exp(found.x) == pytest.approx(best, rel=1e-5)
    assert lowest <= float(jb.risk(problem, 60.0, n_task, shift=shift)) * (1 + 1e-13)


def test_best_penalty_follows_the_shift():
    problem = spectrum_problem()
    white = float(jb.optimal_penalty(problem, 60.0, 200.0))
    lenient = float(jb.optimal_penalty(problem, 60.0, 200.0, shift=jb.BlockShift(1, 6, 0.5)))
    strict = float(jb.optimal_penalty(problem, 60.0, 200.0, shift=jb.BlockShift(1, 0.1, 1)))
    assert lenient < white / 1.5
    assert strict > white * 1.5


@pytest.mark.parametrize("variances", [(1.0, 3.0, 0.5), (0.0, 2.0, 1.0), (0.0, 1.0, 0.0)])
def test_best_penalty_at_many_labels_is_the_first_order_law(variances):
    """λ* = σ² tr K̂Σ/(n βᵀK̂ΣK̂β), approached as 1/n."""
    problem, shift = spectrum_problem(), jb.BlockShift(*variances)
    _, missed, rest = variances
    outside = missed + 20 * rest
    # With unlimited recordings K̂ = K.
    law = 0.7 * outside / (0.2 * missed)
    n_task = np.array([1e4, 1e5, 1e6])
    scaled = n_task * np.asarray(jb.optimal_penalty(problem, np.inf, n_task, shift=shift))
    off = np.abs(scaled / law - 1)
    np.testing.assert_allclose(off[:-1] / off[1:], 10, rtol=0.1)
    first = jb.optimal_penalty(problem, np.inf, n_task, shift=shift, order="first")
    np.testing.assert_allclose(n_task * first, law, rtol=1e-12)
    # With few recordings, from the moments of the learned subspace.
    given = moments_of_subspace(problem, jnp.asarray(60.0), shift, "finite")
    law = 0.7 * float(given.outside / given.missed)
    best = float(jb.optimal_penalty(problem, 60.0, 1e6, shift=shift))
    assert 1e6 * best == pytest.approx(law, rel=1e-3)


def test_best_penalty_where_shifted_inputs_show_nothing_of_the_missed():
    """A hard constraint costs nothing there, if the subspace is perfect."""
    problem, blind = spectrum_problem(), jb.BlockShift(0, 0, 1)
    assert float(jb.optimal_penalty(problem, np.inf, 1e4, shift=blind, order="first")) == np.inf
    large = float(jb.optimal_penalty(problem, np.inf, 1e4, shift=blind))
    assert large > 10 * float(jb.optimal_penalty(problem, np.inf, 1e4))
    perfect = spectrum_problem(misaligned_power=0.0)
    for shift in (blind, jb.BlockShift(1, 2, 3)):
        assert float(jb.optimal_penalty(perfect, np.inf, 50, shift=shift)) == np.inf


@pytest.mark.long
@pytest.mark.parametrize("order", ["finite", "first"])
@pytest.mark.parametrize("n_brain", [26.0, 60.0, np.inf])
def test_best_penalty_at_its_limits(n_brain, order):
    """The hard constraint where nothing is missed; otherwise nothing beside unlimited labels."""
    shift = jb.BlockShift(0.2, 3.0, 0.5)

    def best(misalignment, noise, n_task):
        problem = jb.Problem.isotropic(24, 3, 1.0, misalignment, noise)
        return jb.optimal_penalty(problem, n_brain, n_task, shift=shift, order=order)

    for n_task in (10.0, 60.0, np.inf):
        assert float(best(0.0, 0.0, n_task)) == np.inf
    for misalignment, noise in ((0.3, 0.0), (0.3, 0.5), (1.0, 0.5)):
        assert float(best(misalignment, noise, np.inf)) == 0
        assert np.all(np.isfinite(jax.grad(best, (0, 1))(misalignment, noise, np.inf)))
    if np.isfinite(n_brain):
        assert float(best(0.0, 0.5, np.inf)) == 0
        missed = [float(best(1e-9, 1e-9, n_task)) for n_task in (10.0, 60.0)]
        assert min(missed) > 1e4
    if order == "finite":
        assert np.isnan(float(best(0.3, 0.5, 4.0)))


def test_best_penalty_broadcasts_like_loops():
    problem, shift = spectrum_problem(), jb.BlockShift(0.2, 6.0, 0.5)
    n_brain, n_task = np.array([30.0, 60.0, np.inf])[:, None], np.array([10.0, 90.0])[None]
    table = jb.optimal_penalty(problem, n_brain, n_task, shift=shift)
    assert table.shape == (3, 2)
    for row in range(3):
        for column in range(2):
            one = jb.optimal_penalty(problem, n_brain[row, 0], n_task[0, column], shift=shift)
            assert float(table[row, column]) == pytest.approx(float(one), rel=1e-9)


# Derivatives.

DERIVATIVES = {
    "risk": lambda p, s, nb, nt, pen: jb.risk(p, nb, nt, pen, shift=s),
    "value at the white penalty": lambda p, s, nb, nt, pen: jb.value(p, nb, nt, shift=s),
    "optimal_penalty": lambda p, s, nb, nt, pen: jb.optimal_penalty(p, nb, nt, shift=s),
    "task_only_risk": lambda p, s, nb, nt, pen: jb.task_only_risk(p, nt, shift=s),
    "ridge_risk": lambda p, s, nb, nt, pen: jb.ridge_risk(p, nt, pen, shift=s),
}
VALUES = {name: jax.jit(quantity) for name, quantity in DERIVATIVES.items()}
GRADIENTS = {
    name: jax.jit(jax.grad(quantity, (0, 1, 2, 3, 4))) for name, quantity in DERIVATIVES.items()
}
PUSHES = {
    name: jax.jit(lambda point, move, q=quantity: jax.jvp(q, point, move)[1])
    for name, quantity in DERIVATIVES.items()
}


def strong(*numbers):
    """Arrays whose type no compiled function mistakes for a new one."""
    return tuple(jnp.asarray(number, dtype=float) for number in numbers)


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "name"), [("matrix", "risk"), *[("spectrum", name) for name in DERIVATIVES]]
)
def test_derivatives_forward_reverse_and_by_differences(form, name):
    """In every variance of the shift, every number of the problem, both sample numbers, penalty."""
    problem = spectrum_problem() if form == "spectrum" else matrix_problem()
    # A searched-for penalty has the digits of the slope whose zero it is.
    digits = 1e-11 if name == "optimal_penalty" else 1e-14
    for numbers in ((60.0, 40.0, 0.3), (35.0, 30.0, 2.0)):
        point, restore = ravel_pytree((problem, jb.BlockShift(0.6, 2.0, 0.8), *strong(*numbers)))
        step = 1e-5 * np.maximum(np.abs(point), 0.01)
        above, below = (
            np.array(
                [VALUES[name](*restore(point.at[i].add(sign * step[i]))) for i in range(len(point))]
            )
            for sign in (1, -1)
        )
        forward = np.array(
            [PUSHES[name](restore(point), restore(jnp.asarray(one))) for one in np.eye(len(point))]
        )
        off = np.abs((above - below) / (2 * step) - forward)
        assert np.all(off <= 1e-6 * np.abs(forward) + digits * np.abs(above) / step)
        # Compiling takes long for these two; their rules are the same both ways.
        if form == "spectrum" and name != "optimal_penalty":
            reverse = ravel_pytree(GRADIENTS[name](*restore(point)))[0]
            np.testing.assert_allclose(reverse, forward, rtol=1e-8, atol=1e-11)


def test_risk_is_linear_in_the_shift():
    """Its gradient is the risk of each part, and by Euler they sum to the risk."""
    problem, shift = spectrum_problem(), jb.BlockShift(0.6, 2.0, 0.8)
    slopes = jax.grad(lambda shift: jb.risk(problem, 60.0, 40.0, 0.3, shift=shift))(shift)
    total = 0.0
    for name, variances in zip(("sensitive", "missed", "insensitive"), PARTS, strict=True):
        part = float(jb.risk(problem, 60.0, 40.0, 0.3, shift=jb.BlockShift(*variances)))
        assert float(getattr(slopes, name)) == pytest.approx(part, rel=1e-12)
        total += part * float(getattr(shift, name))
    whole = float(jb.risk(problem, 60.0, 40.0, 0.3, shift=shift))
    assert total == pytest.approx(whole, rel=1e-12)


# Interface, precision, edges.


def test_stacked_shifts_map_like_a_loop():
    problem = spectrum_problem()
    shifts = [jb.BlockShift(*variances) for variances in PARTS + MIXTURES]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *shifts)
    for name in ("risk", "value", "optimal_penalty"):
        quantity = QUANTITIES[name]
        mapped = jax.jit(jax.vmap(lambda shift, q=quantity: q(problem, 60.0, 40.0, shift=shift)))(
            stacked
        )
        loop = [float(quantity(problem, 60.0, 40.0, shift=shift)) for shift in shifts]
        np.testing.assert_allclose(mapped, loop, rtol=1e-9, err_msg=name)


def test_shifted_quantities_broadcast_like_loops():
    problem, shift = spectrum_problem(), jb.BlockShift(0.2, 6.0, 0.5)
    n_brain, n_task = np.array([30.0, 60.0, np.inf])[:, None], np.array([10.0, 90.0, 1e4])[None]
    for name in ("risk", "risk at a penalty", "value", "savings"):
        table = QUANTITIES[name](problem, n_brain, n_task, shift=shift)
        assert table.shape == (3, 3)
        for row in range(3):
            for column in range(3):
                arguments = n_brain[row, 0], n_task[0, column]
                one = QUANTITIES[name](problem, *arguments, shift=shift)
                assert float(table[row, column]) == pytest.approx(float(one), rel=1e-11)


@pytest.mark.parametrize("variances", [*PARTS, *MIXTURES])
def test_shifted_quantities_hold_in_single_precision(single_precision, variances):
    for name, rounding in (
        ("risk", 1e-5),
        ("risk at a penalty", 1e-5),
        ("value", 1e-4),
        ("value at a penalty", 1e-4),
        ("optimal_penalty", 2e-3),
    ):
        for n_task in (6.0, 20.0, 50.0, 1e3, 1e5, 1e7):
            with jax.enable_x64(True):
                shift = jb.BlockShift(*variances)
                exact = float(QUANTITIES[name](spectrum_problem(), 60.0, n_task, shift=shift))
            shift = jb.BlockShift(*variances)
            claim = QUANTITIES[name](spectrum_problem(), 60.0, n_task, shift=shift)
            assert claim.dtype == jnp.float32
            # At n_task = 1e5 a given penalty costs 1e5 labels, and single precision knows seven digits.
            assert float(claim) == pytest.approx(exact, rel=rounding), (name, n_task)


@pytest.mark.parametrize("misalignment", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("n_brain", [27.0, 60.0, np.inf])
def test_edges_are_finite_with_finite_gradients(misalignment, n_brain):
    aligned = (1 - misalignment) * np.array([0.5, 0.125, 0.375])
    problem = spectrum_problem(aligned_power=aligned, misaligned_power=misalignment)
    for variances in PARTS + MIXTURES:
        for n_task in (6.0, 40.0):
            arguments = problem, jb.BlockShift(*variances), *strong(n_brain, n_task, 0.3)
            assert VALUES["risk"](*arguments) >= 0
            for leaf in jax.tree.leaves(GRADIENTS["risk"](*arguments)):
                assert np.all(np.isfinite(leaf))
            value = VALUES["value at the white penalty"](*arguments)
            if misalignment == 0 and np.isinf(n_brain) and variances[0] == 0:
                # A hard constraint to the truth: without error outside the subspace.
                assert value == np.inf
                continue
            assert np.isfinite(value)
            for leaf in jax.tree.leaves(GRADIENTS["value at the white penalty"](*arguments)):
                assert np.all(np.isfinite(leaf))


def test_without_misalignment_all_outside_directions_are_alike():
    problem = spectrum_problem(misaligned_power=0.0)
    for n_brain in (30.0, 200.0):
        one = jb.risk(problem, n_brain, 40.0, 0.3, shift=jb.BlockShift(0.5, 21.0, 0.0))
        other = jb.risk(problem, n_brain, 40.0, 0.3, shift=jb.BlockShift(0.5, 1.0, 1.0))
        assert float(one) == pytest.approx(float(other), rel=1e-12)


@pytest.mark.parametrize("n_brain", [8.0, 30.0, np.inf])
def test_single_outside_direction_knows_no_others(n_brain):
    """k = d − 1: the variance of the other insensitive directions means nothing."""
    problem = jb.Problem.isotropic(5, 4, 1.0, 0.3, 0.5)
    for name, quantity in {**QUANTITIES, **RIVALS}.items():
        one = quantity(problem, n_brain, 20.0, shift=jb.BlockShift(0.5, 2.0, 0.0))
        other = quantity(problem, n_brain, 20.0, shift=jb.BlockShift(0.5, 2.0, 9.0))
        assert float(one) == pytest.approx(float(other), rel=1e-7), name


@pytest.mark.parametrize("k", [1, 11])
def test_extreme_ranks_agree_with_simulation(k):
    """One latent, and one direction left: a perfect subspace, so that nothing needs an allowance."""
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


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("risk at a penalty", "finite"),
        ("risk at a penalty", "first"),
        ("value", "finite"),
        ("optimal_penalty", "finite"),
        ("optimal_penalty", "first"),
    ],
)
def test_matrix_form_answers_as_the_spectrum_form(name, order):
    quantity, rounding = QUANTITIES[name], 1e-7 if name == "optimal_penalty" else 1e-10
    for variances in PARTS + MIXTURES:
        shift = jb.BlockShift(*variances)
        for n_brain in (27.0, 60.0, np.inf):
            one, other = (
                float(quantity(problem, n_brain, 40.0, shift=shift, order=order))
                for problem in (spectrum_problem(), matrix_problem())
            )
            # Undetermined to first order: test inputs that show nothing of what is not learned.
            undetermined = name == "optimal_penalty" and order == "first" and variances == PARTS[0]
            if not (undetermined and np.isinf(n_brain)):
                assert one == pytest.approx(other, rel=rounding), variances


def test_unlimited_labels_under_a_shift():
    problem, shift = spectrum_problem(), jb.BlockShift(0.2, 6.0, 0.5)
    given = moments_of_subspace(problem, jnp.asarray(60.0), shift, "finite")
    assert float(jb.risk(problem, 60, np.inf, shift=shift)) == 0
    assert float(jb.optimal_penalty(problem, 60, np.inf, shift=shift)) == 0
    held = float(jb.risk(problem, 60, np.inf, 0.3, shift=shift))
    assert held == pytest.approx((0.3 / 1.3) ** 2 * float(given.missed), rel=1e-12)
    whole = float(shift.trace(problem))
    bracket = 2 * given.outside / 21 - given.missed / given.misalignment
    law = float(0.7 * 21**2 / (given.misalignment * whole) * bracket)
    assert float(jb.value(problem, 60, np.inf, shift=shift)) == pytest.approx(law, rel=1e-12)
    assert float(jb.value(problem, 60, 1e9, shift=shift)) == pytest.approx(law, rel=1e-6)


@pytest.mark.parametrize("name", [*QUANTITIES, *RIVALS])
def test_what_is_no_shift_is_refused_by_name(name):
    quantity, problem = {**QUANTITIES, **RIVALS}[name], spectrum_problem()
    for wrong in (np.eye(24), 1.0, (1.0, 1.0, 1.0), "white"):
        # Here annotations are executed, and say so first.
        with pytest.raises((ValueError, TypeCheckError), match="shift"):
            quantity(problem, 60, 40, shift=wrong)
    with pytest.raises(ValueError, match="shift leaves the test inputs without variance"):
        quantity(problem, 60, 40, shift=jb.BlockShift(0, 0, 0))


def test_shifts_that_cannot_be_are_refused_by_name():
    for name in ("sensitive", "missed", "insensitive"):
        for wrong, said in (
            (-0.1, " must be at least 0"),
            (np.nan, " must be a finite number"),
            (np.inf, " must be a finite number"),
            (np.ones(3), " must have shape"),
            (np.array(1j), " must hold real numbers"),
            (None, ""),
        ):
            variances = {"sensitive": 1.0, "missed": 1.0, "insensitive": 1.0, name: wrong}
            with pytest.raises((ValueError, TypeCheckError), match=name + said):
                jb.BlockShift(**variances)


def test_ridge_value_is_refused_under_a_shift():
    for quantity in (jb.value, jb.exchange_rate, jb.savings):
        with pytest.raises(ValueError, match="baseline 'ridge' has no value under a shift"):
            quantity(spectrum_problem(), 60, 40, baseline="ridge", shift=jb.BlockShift(1, 1, 1))


def test_trace_of_a_shift_is_the_variance_of_a_test_input():
    shift = jb.BlockShift(0.2, 6.0, 0.5)
    assert float(shift.trace(spectrum_problem())) == pytest.approx(3 * 0.2 + 6.0 + 20 * 0.5)
    setting = SETTINGS[0]
    encoder, _, _, weights = build(setting)
    covariance = block_covariance(encoder, weights, (0.2, 6.0, 0.5))
    assert float(shift.trace(problem_of(setting))) == pytest.approx(np.trace(covariance))
