"""Test inputs of another distribution, against the whole pipeline simulated by brute force."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_triangular

import jaxbrain as jb
from jaxbrain.theory.brain_stage import subspace_moments
from tests.helpers.pipeline import Setting, build, fit_errors, in_parts, learn_subspaces, problem_of
from tests.helpers.shifts import MIXTURES, PARTS, SETTINGS
from tests.helpers.statistics import agrees
from tests.helpers.wishart import bartlett, moments_at

DRAWS = 3000


moments_of_subspace = jax.jit(subspace_moments, static_argnames="order")


# Accuracy of the brain stage asked for below, relative. The task stage gets no allowance at all.
BRAIN_STAGE = 0.01


PENALTIES = np.array([0.03, 0.3, 3.0, 1e6])


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
