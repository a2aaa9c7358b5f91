"""Test errors in closed form, against the whole pipeline simulated by brute force in NumPy."""

import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_triangular

import jaxbrain as jb
from jaxbrain.theory.brain_stage import white_moments
from jaxbrain.theory.task_stage import task_stage

DRAWS = 3000
# Documented accuracy of the brain stage, relative. The task stage gets no allowance at all.
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
    # Few channels, equal latent noise. Labels below and above the number of inputs.
    Setting(20, 3, 12, 26, 12, 0.2, 0.3, 1.0, 1.0),
    Setting(20, 3, 12, 30, 40, 0.0, 0.3, 1.0, 0.5),
    Setting(20, 3, 12, 60, 30, 0.5, 0.3, 1.0, 1.0),
    Setting(20, 3, 12, 200, 60, 0.1, 0.0, 2.0, 2.0),
    Setting(20, 3, 12, 80, 10, 1.0, 0.5, 0.5, 0.3),
    # More channels than inputs, latent noise that does not commute with the readout's Gram matrix.
    Setting(24, 4, 40, 32, 14, 0.0, "correlated", 1.0, 1.0),
    Setting(24, 4, 40, 40, 50, 0.3, "correlated", 1.0, 1.0),
    Setting(24, 4, 40, 100, 30, 0.1, "correlated", 3.0, 0.5),
    Setting(24, 4, 40, 240, 16, 0.6, "correlated", 0.5, 2.0),
    # As few channels as latents, a third of all directions measured.
    Setting(18, 6, 6, 26, 40, 0.2, 0.2, 0.3, 1.0),
    Setting(18, 6, 6, 60, 14, 0.0, "correlated", 0.3, 0.5),
    Setting(18, 6, 6, 180, 25, 0.4, 0.2, 0.3, 1.0),
    # One latent.
    Setting(30, 1, 5, 45, 20, 0.1, 0.4, 1.0, 1.0),
    Setting(30, 1, 5, 300, 70, 0.7, 0.4, 1.0, 0.2),
]


def penalties_of(setting):
    """Four decades and a huge one; none at all only where least squares has a mean error."""
    return np.array(([0.0] if setting.n_task > setting.input_dim + 1 else []) + PENALTIES)


PENALTIES = [0.01, 0.1, 1.0, 10.0, 100.0, 1e6]


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


def task_errors(rng, bases, weights, n_task, task_noise, penalties):
    """Exact excess risk of penalised regression on simulated labels: (draws, penalties)."""
    draws, d = bases.shape[:2]
    inputs = rng.standard_normal((draws, n_task, d))
    labels = inputs @ weights + np.sqrt(task_noise) * rng.standard_normal((draws, n_task))
    gram, cross = transpose(inputs) @ inputs, transpose(inputs) @ labels[..., None]
    outside = np.eye(d) - bases @ transpose(bases)
    fits = [np.linalg.solve(gram + n_task * penalty * outside, cross) for penalty in penalties]
    return np.stack([np.sum((fit[..., 0] - weights) ** 2, 1) for fit in fits], 1)


def missed_power(bases, weights):
    return weights @ weights - np.sum((weights @ bases) ** 2, 1)


class Simulated(NamedTuple):
    setting: Setting
    misalignment: np.ndarray
    errors: np.ndarray


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda setting: "-".join(map(str, setting)))
def simulated(request):
    setting = request.param
    weights = build(setting)[3]
    rng = np.random.default_rng(SETTINGS.index(setting))
    misalignment, errors = [], []
    for _ in range(10):
        bases = learn_subspaces(rng, setting, DRAWS // 10)
        misalignment.append(missed_power(bases, weights))
        arguments = setting.n_task, setting.task_noise, penalties_of(setting)
        errors.append(task_errors(rng, bases, weights, *arguments))
    return Simulated(setting, np.concatenate(misalignment), np.concatenate(errors))


def agrees(claim, samples, allowance=0.0):
    """Whether claims lie within 4 standard errors, plus a relative allowance, of the means."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    off = np.abs(np.asarray(claim) - samples.mean(0))
    return bool(np.all(off <= 4 * error + allowance * samples.mean(0)))


@pytest.mark.long
def test_expected_misalignment_agrees_with_simulation(simulated):
    setting = simulated.setting
    claim = jb.expected_misalignment(problem_of(setting), setting.n_brain)
    assert agrees(claim, simulated.misalignment, BRAIN_STAGE)
    if setting.n_brain < 2 * setting.input_dim and setting.misalignment < 1:
        first = jb.expected_misalignment(problem_of(setting), setting.n_brain, order="first")
        assert not agrees(first, simulated.misalignment, BRAIN_STAGE)


def bartlett(rng, size, n):
    """Upper-triangular factor of a Wishart matrix with n degrees of freedom."""
    factor = np.triu(rng.standard_normal((size, size)), 1)
    factor[np.diag_indices(size)] = np.sqrt(rng.chisquare(n - np.arange(size)))
    return factor


def draw_misalignment(rng, d, k, n_brain, noise, misalignment):
    """One exact draw of ‖K̂β‖², averaged over directions of β, by k × k matrices alone.

    Without limits in channel space the learned subspace is spanned by X⁺(XA + √s Z), Z normal. In
    coordinates with A = [I; 0] this is [A1; A2], and of A2 only A2ᵀA2 matters.
    """
    q = d - k
    outside = solve_triangular(
        bartlett(rng, k, n_brain - q), np.sqrt(noise) * bartlett(rng, k, q), trans="T"
    )
    leak = np.sqrt(noise) * rng.standard_normal((k, k)) - rng.standard_normal((k, k)) @ outside
    inside = np.eye(k) + solve_triangular(bartlett(rng, k, n_brain), leak)
    gram = inside.T @ inside
    kept = np.trace(np.linalg.solve(gram + outside.T @ outside, gram))
    return (1 - misalignment) * (1 - kept / k) + misalignment * (1 - (k - kept) / q)


@pytest.mark.parametrize(("n_brain", "older"), [(18_000, 0.210946), (36_000, 0.1521995)])
def test_imaging_scale_agrees_with_exact_draws(n_brain, older):
    """No allowance; the older equivalent, an expansion in the overlap, is 0.04 to 0.08 % off."""
    rng = np.random.default_rng(n_brain)
    draws = [draw_misalignment(rng, 4096, 410, n_brain, 0.54, 0.1) for _ in range(60)]
    claim = jb.expected_misalignment(jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54), n_brain)
    assert agrees(claim, np.array(draws))
    assert not agrees(older, np.array(draws))


def without_profiling(risk, setting):
    """The formula with a term left out: the k/(n − k − 1) that learning the subspace costs."""
    share = setting.latent_dim / (setting.n_task - setting.latent_dim - 1)
    return (risk - setting.task_noise * share) / (1 + share)


@pytest.mark.long
def test_risk_agrees_with_the_simulated_pipeline(simulated):
    setting = simulated.setting
    claim = jb.risk(problem_of(setting), setting.n_brain, setting.n_task, penalties_of(setting))
    assert agrees(claim, simulated.errors, BRAIN_STAGE)
    assert not agrees(without_profiling(claim, setting), simulated.errors, BRAIN_STAGE)


def test_task_stage_is_exact_given_the_simulated_subspaces(simulated):
    """Error minus closed form at each drawn subspace averages to nothing, without allowance."""
    setting, penalties = simulated.setting, penalties_of(simulated.setting)
    problem = problem_of(setting)
    claims = task_stage(
        problem,
        white_moments(problem, jnp.asarray(simulated.misalignment)[:, None]),
        jnp.asarray(float(setting.n_task)),
        jnp.asarray(penalties)[None, :],
        "finite",
    ).risk
    assert agrees(0.0, simulated.errors - np.asarray(claims))
    assert not agrees(0.0, simulated.errors - without_profiling(np.asarray(claims), setting))


def leading_task_stage(misalignment, setting, penalties):
    """The task stage with Marchenko-Pastur traces in place of finite-size ones."""
    q, rows = setting.input_dim - setting.latent_dim, setting.n_task - setting.latent_dim
    c = setting.n_task * penalties
    b = c + rows - q
    t1 = (-b + np.sqrt(b**2 + 4 * c * q)) / (2 * c)
    t2 = t1 * (t1 + 1) / (2 * c * t1 + b)
    block = misalignment * c**2 * t2 / q + setting.task_noise * (t1 - c * t2)
    return block + (setting.task_noise + block) * setting.latent_dim / (rows - 1)


@pytest.mark.parametrize("n_task", [8, 26, 60])
def test_task_stage_holds_for_one_given_subspace(n_task):
    """Enough draws to tell the finite-size traces from the leading order."""
    setting = Setting(12, 3, 6, 30, n_task, 0.3, 0.2, 1.0, 1.0)
    rng = np.random.default_rng(n_task)
    weights = build(setting)[3]
    basis = learn_subspaces(rng, setting, 1)
    penalties = np.array([0.03, 0.3, 3.0, 30.0])
    bases = np.broadcast_to(basis, (40_000, 12, 3))
    errors = task_errors(rng, bases, weights, n_task, setting.task_noise, penalties)
    missed = missed_power(basis, weights)
    problem = problem_of(setting)
    subspace = white_moments(problem, jnp.asarray(missed))
    arguments = subspace, jnp.asarray(float(n_task)), jnp.asarray(penalties)
    assert agrees(task_stage(problem, *arguments, "finite").risk, errors)
    assert not agrees(leading_task_stage(missed, setting, penalties), errors)


@pytest.mark.parametrize("n_task", [14, 40])
def test_no_simulated_penalty_beats_the_optimal_one(n_task):
    setting = Setting(20, 3, 12, 50, n_task, 0.05, 0.3, 1.0, 1.0)
    rng = np.random.default_rng(n_task)
    problem, weights = problem_of(setting), build(setting)[3]
    best = float(jb.optimal_penalty(problem, setting.n_brain, n_task))
    if_subspace_were_true = setting.task_noise * problem.outside_dim / (n_task * 0.05)
    rivals = np.array([best / 5, best * 5, best * n_task, if_subspace_were_true])
    bases = learn_subspaces(rng, setting, 4000)
    errors = task_errors(rng, bases, weights, n_task, 1.0, np.append(rivals, best))
    regret = errors[:, :-1] - errors[:, -1:]
    assert np.all(regret.mean(0) > 4 * regret.std(0, ddof=1) / np.sqrt(len(regret)))


@pytest.mark.parametrize("n_task", [8, 16, 40, 80])
def test_ridge_risk_agrees_with_simulation(n_task):
    problem = jb.Problem.isotropic(20, 3, 1.5, 0.3, 0.5)
    rng = np.random.default_rng(n_task)
    weights = np.eye(20)[0]
    best = 20 / (n_task * 1.5)
    penalties = np.array([0.01, 0.1, 1.0, 10.0, 100.0, best, best / 5, best * 5])
    no_bases = np.zeros((8000, 20, 0))
    errors = task_errors(rng, no_bases, weights, n_task, 1 / 1.5, penalties)
    assert agrees(jb.ridge_risk(problem, n_task, penalties), errors)
    assert agrees(jb.ridge_risk(problem, n_task), errors[:, 5])
    assert not agrees(jb.ridge_risk(problem, n_task, penalties / n_task), errors)
    regret = errors[:, 6:] - errors[:, 5:6]
    assert np.all(regret.mean(0) > 4 * regret.std(0, ddof=1) / np.sqrt(len(regret)))


# Limits and identities that hold to rounding.

SPECTRUM = jb.Problem(
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
ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]


def rotated(matrix):
    return ROTATION @ matrix @ ROTATION.T


MATRIX = jb.Problem(
    input_dim=24,
    latent_dim=3,
    recording_dim=16,
    latent_noise=rotated(np.diag([0.3, 0.1, 0.5])),
    gain=rotated(np.array([[8.0, 1.0, 0.5], [1.0, 4.0, 0.2], [0.5, 0.2, 5.0]])),
    recording_noise=1.0,
    aligned_power=rotated(np.outer([0.6, 0.3, -0.5], [0.6, 0.3, -0.5])),
    misaligned_power=0.2,
    task_noise=0.7,
)
both_forms = pytest.mark.parametrize("problem", [SPECTRUM, MATRIX], ids=["spectrum", "matrix"])


@both_forms
def test_penalty_zero_is_least_squares(problem):
    n_task = np.array([26.0, 27.0, 40.0, 1e4])
    least_squares = 0.7 * 24 / (n_task - 25)
    np.testing.assert_allclose(jb.task_only_risk(problem, n_task), least_squares, rtol=1e-14)
    np.testing.assert_allclose(jb.risk(problem, 60, n_task, 0.0), least_squares, rtol=1e-12)
    np.testing.assert_allclose(jb.ridge_risk(problem, n_task, 0.0), least_squares, rtol=1e-12)
    np.testing.assert_allclose(jb.risk(problem, 60, n_task, 1e-13), least_squares, rtol=1e-9)


@both_forms
def test_huge_penalty_tends_to_the_hard_constraint(problem):
    missed = float(jb.expected_misalignment(problem, 60))
    for n_task in (6, 20, 300):
        hard = missed + (0.7 + missed) * 3 / (n_task - 4)
        assert float(jb.risk(problem, 60, n_task, np.inf)) == pytest.approx(hard, rel=1e-13)
        assert float(jb.risk(problem, 60, n_task, 1e13)) == pytest.approx(hard, rel=1e-9)
        assert float(jb.risk(problem, 60, n_task, 1e2)) != pytest.approx(hard, rel=1e-9)


@both_forms
def test_unlimited_recordings_leave_the_true_misalignment(problem):
    assert float(jb.expected_misalignment(problem, np.inf)) == pytest.approx(0.2, rel=1e-14)
    assert float(jb.expected_misalignment(problem, 1e12)) == pytest.approx(0.2, rel=1e-9)
    hard = 0.2 + (0.7 + 0.2) * 3 / (50 - 4)
    assert float(jb.risk(problem, np.inf, 50, np.inf)) == pytest.approx(hard, rel=1e-13)


@both_forms
@pytest.mark.parametrize("n_brain", [26, 60, 1e6])
def test_noiseless_recordings_leave_the_true_misalignment(problem, n_brain):
    silent = jax.tree.map(jnp.zeros_like, (problem.latent_noise, problem.recording_noise))
    clean = replace(problem, latent_noise=silent[0], recording_noise=silent[1])
    assert float(jb.expected_misalignment(clean, n_brain)) == pytest.approx(0.2, rel=1e-12)


def replace(problem, **changes):
    fields = {name: getattr(problem, name) for name in jb.Problem.__dataclass_fields__}
    return jb.Problem(**{**fields, **changes})


@both_forms
def test_recordings_of_pure_noise_teach_a_random_subspace(problem):
    noisy = replace(problem, latent_noise=1e12 * problem.latent_noise, recording_noise=1e12)
    power = float(problem.total_power)
    assert float(jb.expected_misalignment(noisy, 60)) == pytest.approx(power * 21 / 24, rel=1e-6)


@pytest.mark.filterwarnings("ignore:one latent:jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("latent_dim", [1, 6, 12, 18, 23])
def test_missed_power_lies_between_nothing_and_everything(latent_dim):
    n_brain = np.array([26.0, 30.0, 60.0, 300.0, 3000.0])
    for noise in (0.1, 1.0, 10.0):
        for misalignment in (0.0, 0.1, 0.5, 1.0):
            problem = jb.Problem.isotropic(24, latent_dim, 1.0, misalignment, noise)
            missed = np.asarray(jb.expected_misalignment(problem, n_brain))
            assert np.all((missed > 0) & (missed < 1 + 1e-12)), (noise, misalignment)


@both_forms
def test_first_order_laws_are_those_of_the_paper(problem):
    aligned, noise = np.asarray(problem.aligned_power), np.asarray(problem.encoding_noise)
    trace = np.trace(noise) if noise.ndim == 2 else noise.sum()
    gamma = 21 * np.sum(aligned * noise) - 0.2 * trace
    missed = 0.2 + gamma / (60 - 25)
    assert float(problem.gamma) == pytest.approx(gamma, rel=1e-13)
    first = jb.expected_misalignment(problem, 60, order="first")
    assert float(first) == pytest.approx(missed, rel=1e-13)
    best = 0.7 * 21 / (200 * missed)
    penalty = jb.optimal_penalty(problem, 60, 200, order="first")
    assert float(penalty) == pytest.approx(best, rel=1e-13)
    for penalty in (0.3 * best, best, 2 * best):
        gain = 2 * 0.7 * 21 * penalty / 200 - missed * penalty**2
        claim = jb.risk(problem, 60, 200, penalty, order="first")
        assert float(claim) == pytest.approx(0.7 * 24 / 175 - gain, rel=1e-12)
    claim = jb.risk(problem, 60, 200, order="first")
    assert float(claim) == pytest.approx(0.7 * 24 / 175 - (0.7 * 21 / 200) ** 2 / missed, rel=1e-12)


@both_forms
def test_first_order_is_the_limit_of_the_finite_law(problem):
    """What brain noise adds, times n_brain, tends to γ, with an error that falls as 1/n_brain."""
    n_brain = np.array([1e4, 1e5, 1e6])
    added = (np.asarray(jb.expected_misalignment(problem, n_brain)) - 0.2) * (n_brain - 25)
    off = np.abs(added / float(problem.gamma) - 1)
    assert np.all(off < 100 / n_brain)
    np.testing.assert_allclose(off[:-1] / off[1:], 10, rtol=0.05)


@both_forms
@pytest.mark.long
@pytest.mark.parametrize("n_task", [10, 24, 100])
def test_optimal_penalty_is_where_the_risk_is_lowest(problem, n_task):
    best = jb.optimal_penalty(problem, 60, n_task)
    grid = float(best) * np.geomspace(0.01, 100, 401)
    risks = np.asarray(jb.risk(problem, 60, n_task, grid))
    assert np.argmin(risks) == 200
    assert float(jb.risk(problem, 60, n_task)) == pytest.approx(risks[200], rel=1e-13)
    slope = jax.grad(jb.risk, 3)
    flat = 1e-10 * risks[200] / grid[200]
    assert abs(float(slope(problem, 60, n_task, best))) < flat
    assert abs(float(slope(problem, 60, n_task, 1.001 * best))) > flat


@pytest.mark.parametrize("n_task", [10, 24, 100])
def test_optimal_ridge_is_where_the_ridge_risk_is_lowest(n_task):
    best = 0.7 * 24 / (n_task * float(SPECTRUM.total_power))
    risks = np.asarray(jb.ridge_risk(SPECTRUM, n_task, best * np.geomspace(0.01, 100, 401)))
    assert np.argmin(risks) == 200
    assert float(jb.ridge_risk(SPECTRUM, n_task)) == pytest.approx(risks[200], rel=1e-13)


@both_forms
def test_ridge_without_labels_predicts_zero(problem):
    power = float(problem.total_power)
    assert float(jb.ridge_risk(problem, 0)) == pytest.approx(power, rel=1e-14)
    assert float(jb.ridge_risk(problem, 50, np.inf)) == pytest.approx(power, rel=1e-14)


# Conventions and errors.


def test_risk_is_infinite_where_the_error_has_no_mean():
    few_for_the_subspace, few_for_least_squares = [0, 1, 4], [5, 24, 25]
    assert np.all(np.isinf(jb.risk(SPECTRUM, 60, np.array(few_for_the_subspace))))
    assert np.all(np.isinf(jb.risk(SPECTRUM, 60, np.array(few_for_the_subspace), np.inf)))
    assert np.all(np.isfinite(jb.risk(SPECTRUM, 60, np.array(few_for_least_squares))))
    for least_squares in (
        jb.risk(SPECTRUM, 60, np.array(few_for_least_squares), 0.0),
        jb.ridge_risk(SPECTRUM, np.array(few_for_least_squares), 0.0),
        jb.task_only_risk(SPECTRUM, np.array(few_for_least_squares)),
    ):
        assert np.all(np.isinf(least_squares))
    assert np.isfinite(jb.risk(SPECTRUM, 60, 26, 0.0))


@pytest.mark.parametrize("penalty", [None, 0.3])
@pytest.mark.parametrize("n_task", [0.0, 3.0, 25.0])
def test_first_order_risk_is_infinite_where_least_squares_is(n_task, penalty):
    for misalignment, noise in ((0.0, 0.0), (0.0, 0.5), (0.3, 0.5), (1.0, 0.5)):
        problem = jb.Problem.isotropic(24, 3, 1.0, misalignment, noise)
        for n_brain in (26.0, np.inf):
            assert float(jb.risk(problem, n_brain, n_task, penalty, order="first")) == np.inf
    for n_brain in (26.0, np.inf):
        perfect = jb.Problem.isotropic(24, 3, 1.0, 0.0, 0.0)
        assert float(jb.risk(perfect, n_brain, np.inf, order="first")) == 0


def test_optimal_penalty_is_infinite_where_nothing_is_missed():
    perfect = jb.Problem.isotropic(24, 3, 1.0, 0.0, 0.5)
    assert float(jb.optimal_penalty(perfect, np.inf, 50)) == np.inf
    assert float(jb.risk(perfect, np.inf, 50)) == pytest.approx(3 / 46, rel=1e-13)


@pytest.mark.parametrize("order", ["finite", "first"])
def test_too_few_recordings_are_nan_in_an_array_and_nowhere_else(order):
    n_brain = np.array([-3.0, 0.0, 25.0, np.nan, 26.0, 60.0, np.inf])
    expected = [True, True, True, True, False, False, False]
    missed = jb.expected_misalignment(SPECTRUM, n_brain, order=order)
    np.testing.assert_array_equal(np.isnan(missed), expected)
    for quantity in (jb.risk, jb.optimal_penalty):
        np.testing.assert_array_equal(
            np.isnan(quantity(SPECTRUM, n_brain, 200, order=order)), expected
        )
    assert np.isnan(jax.jit(jb.expected_misalignment)(SPECTRUM, 25.0))


@pytest.mark.parametrize("quantity", [jb.risk, jb.optimal_penalty])
@pytest.mark.parametrize("n_brain", [25, 0, -1])
def test_too_few_recordings_are_refused_as_a_single_number(quantity, n_brain):
    with pytest.raises(ValueError, match=r"n_brain must be greater than input_dim \+ 1 = 25"):
        quantity(SPECTRUM, n_brain, 50)
    with pytest.raises(ValueError, match="n_brain must be greater"):
        jb.expected_misalignment(SPECTRUM, n_brain)


@pytest.mark.parametrize("order", ["second", "FINITE", ""])
def test_unknown_orders_are_refused(order):
    for call in (
        lambda: jb.expected_misalignment(SPECTRUM, 60, order=order),
        lambda: jb.risk(SPECTRUM, 60, 50, order=order),
        lambda: jb.optimal_penalty(SPECTRUM, 60, 50, order=order),
    ):
        with pytest.raises(ValueError, match="order must be 'finite' or 'first'"):
            call()


@pytest.mark.parametrize("quantity", [jb.risk, jb.optimal_penalty])
def test_a_number_of_recordings_that_is_nan_is_refused(quantity):
    with pytest.raises(ValueError, match="n_brain must be a number, but it is nan"):
        quantity(SPECTRUM, np.nan, 50)
    with pytest.raises(ValueError, match="n_brain must be a number, but it is nan"):
        jb.expected_misalignment(SPECTRUM, np.nan)


@pytest.mark.parametrize("penalty", [-1e-9, np.array([0.1, -0.1])])
def test_negative_penalties_are_refused(penalty):
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        jb.risk(SPECTRUM, 60, 50, penalty)
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        jb.ridge_risk(SPECTRUM, 50, penalty)


def test_penalties_that_are_nan_are_refused():
    with pytest.raises(ValueError, match="penalty must be a number, but it is nan"):
        jb.risk(SPECTRUM, 60, 50, np.nan)
    with pytest.raises(ValueError, match="penalty holds NaN: remove or replace"):
        jb.ridge_risk(SPECTRUM, 50, np.array([0.1, np.nan]))


@pytest.mark.parametrize(
    ("n_task", "said"),
    [
        (-1, "n_task must be at least 0"),
        (np.nan, "n_task must be a number, but it is nan"),
        (np.array([50.0, -0.5]), "n_task must be at least 0"),
    ],
    ids=["negative", "nan", "one negative"],
)
def test_numbers_of_labels_that_cannot_be_are_refused(n_task, said):
    for call in (
        lambda: jb.risk(SPECTRUM, 60, n_task),
        lambda: jb.optimal_penalty(SPECTRUM, 60, n_task),
        lambda: jb.task_only_risk(SPECTRUM, n_task),
        lambda: jb.ridge_risk(SPECTRUM, n_task),
    ):
        with pytest.raises(ValueError, match=said):
            call()


@both_forms
@pytest.mark.parametrize("n_brain", [60, np.inf])
def test_unlimited_labels_leave_what_a_penalty_shrinks(problem, n_brain):
    """No error without a penalty or with the best one; with λ for ever (λ/(1 + λ))² of the missed."""
    missed = float(jb.expected_misalignment(problem, n_brain))
    power = float(problem.total_power)
    assert float(jb.risk(problem, n_brain, np.inf)) == 0
    assert float(jb.optimal_penalty(problem, n_brain, np.inf)) == 0
    assert float(jb.task_only_risk(problem, np.inf)) == 0
    assert float(jb.ridge_risk(problem, np.inf)) == 0
    for penalty, share in ((0.0, 0.0), (0.3, 0.3 / 1.3), (8.0, 8 / 9), (np.inf, 1.0)):
        shrunk = pytest.approx(share**2 * missed, rel=1e-13)
        assert float(jb.risk(problem, n_brain, np.inf, penalty)) == shrunk
        shrunk = pytest.approx(share**2 * power, rel=1e-13)
        assert float(jb.ridge_risk(problem, np.inf, penalty)) == shrunk
        # The limit, approached as 1/n_task.
        for quantity, arguments in ((jb.risk, (n_brain,)), (jb.ridge_risk, ())):
            off = [
                float(quantity(problem, *arguments, n_task, penalty))
                - float(quantity(problem, *arguments, np.inf, penalty))
                for n_task in (1e5, 1e6)
            ]
            if abs(off[0]) > 1e-12:
                assert off[0] / off[1] == pytest.approx(10, rel=1e-2)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_unlimited_labels_to_first_order(penalty):
    missed = float(jb.expected_misalignment(SPECTRUM, 60, order="first"))
    limit = float(jb.risk(SPECTRUM, 60, np.inf, penalty, order="first"))
    assert limit == pytest.approx(penalty**2 * missed, rel=1e-12, abs=1e-15)
    assert float(jb.risk(SPECTRUM, 60, np.inf, order="first")) == 0


def test_corners_that_are_known_to_be_off_say_so():
    noisy = replace(SPECTRUM, recording_noise=30.0)
    with pytest.warns(jb.AccuracyWarning, match="lost in the noise"):
        jb.expected_misalignment(noisy, 60)
    jb.expected_misalignment(noisy, 60, order="first")
    jax.jit(jb.expected_misalignment)(noisy, 60.0)
    fields = dict(latent_noise=0.1, gain=2.0, recording_noise=3.0, recording_dim=60)
    many = replace(SPECTRUM, latent_dim=14, aligned_power=np.full(14, 0.05), **fields)
    with pytest.warns(jb.AccuracyWarning, match="more than half"):
        jb.expected_misalignment(many, np.array([20.0, 60.0, np.inf]))


def noisy_problem(**changes):
    fields = dict(
        input_dim=40,
        latent_dim=4,
        recording_dim=20,
        latent_noise=0.5,
        gain=3.0,
        recording_noise=16.0,
        aligned_power=np.full(4, 0.2),
        misaligned_power=0.2,
        task_noise=1.0,
    )
    return jb.Problem(**(fields | changes))


SHIFT = jb.BlockShift(0.5, 2.0, 1.0)
WARNING = {
    "expected_misalignment": lambda p, n: jb.expected_misalignment(p, n),
    "risk": lambda p, n: jb.risk(p, n, 50),
    "risk under a shift": lambda p, n: jb.risk(p, n, 50, shift=SHIFT),
    "optimal_penalty": lambda p, n: jb.optimal_penalty(p, n, 50),
    "value": lambda p, n: jb.value(p, n, 50),
    "exchange_rate": lambda p, n: jb.exchange_rate(p, n, 50),
    "savings": lambda p, n: jb.savings(p, n, 50, baseline="ridge"),
    "worth": lambda p, n: jb.worth(p, n, 50),
    "two_penalty_risk": lambda p, n: jb.two_penalty_risk(p, n, 50),
    "optimal_penalties": lambda p, n: jb.optimal_penalties(p, n, 50),
    "information_value": lambda p, n: jb.information_value(p, n, 50),
    "elasticities": lambda p, n: jb.elasticities(p, n, 50),
}


@pytest.mark.long
@pytest.mark.parametrize("name", WARNING)
def test_whatever_rests_on_the_brain_stage_warns_once(name):
    quantity = WARNING[name]
    with pytest.warns(jb.AccuracyWarning, match="lost in the noise") as caught:
        quantity(noisy_problem(), 60.0)
    assert len(caught) == 1
    # Silent where it is accurate, and where nothing can be seen.
    quantity(noisy_problem(recording_noise=0.5), 60.0)
    quantity(noisy_problem(recording_dim=None), 60.0)
    jax.jit(quantity)(noisy_problem(), 60.0)
    jax.vmap(quantity, (None, 0))(noisy_problem(), jax.numpy.array([60.0, 90.0]))


def test_first_order_laws_do_not_warn():
    problem = noisy_problem()
    for quantity in (jb.risk, jb.value, jb.exchange_rate, jb.savings, jb.optimal_penalty):
        quantity(problem, 60.0, 50.0, order="first")


def test_warning_points_at_the_caller():
    code = (
        "import warnings, jaxbrain as jb\n"
        "problem = jb.Problem.isotropic(40, 1, 1.0, 0.2, 0.4)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    jb.risk(problem, 42, 50); jb.savings(problem, 42, 50); jb.worth(problem, 42, 50)\n"
        "print([(w.filename, w.lineno, w.category.__name__) for w in caught])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([("<string>", 5, "AccuracyWarning")] * 3)


@pytest.mark.parametrize(
    ("changes", "n_brain", "said"),
    [
        (dict(latent_dim=12, gain=3.0, recording_noise=4.0), 80.0, "more than an eighth"),
        (dict(latent_dim=12, gain=3.0, recording_noise=4.0), 50.0, None),
        (dict(latent_dim=12, gain=3.0, recording_noise=0.1), 80.0, None),
        (dict(latent_dim=24, recording_dim=70, gain=3.0, recording_noise=4.0), 80.0, "than half"),
        (dict(latent_dim=24, recording_dim=70, gain=3.0, recording_noise=0.3), 60.0, "than half"),
        (dict(latent_dim=24, recording_dim=70, gain=3.0, recording_noise=4.0), 50.0, None),
        (dict(latent_dim=1), 44.0, "one latent"),
        (dict(latent_dim=1, recording_dim=None), 44.0, "one latent"),
        (dict(latent_dim=1), 45.0, None),
        (dict(latent_dim=2), 60.0, None),
    ],
    ids=str,
)
def test_corners_of_the_accuracy_table_warn(changes, n_brain, said):
    k = changes["latent_dim"]
    problem = noisy_problem(aligned_power=np.full(k, 0.8 / k), **changes)
    if said is None:
        jb.expected_misalignment(problem, n_brain)
    else:
        with pytest.warns(jb.AccuracyWarning, match=said):
            jb.expected_misalignment(problem, np.array([n_brain, np.inf, 1.0]))
