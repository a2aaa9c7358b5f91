"""The best plan of one budget, against exhaustive enumeration."""

from fractions import Fraction
from inspect import unwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import jaxbrain as jb

PAPER = {"estimator": "befs", "baseline": "ols"}
# As many latents as in the enumerations, whose programs serve it too.
STUDY = jb.Problem.isotropic(40, 2, 0.5, 0.2, 0.4)


def enumerated(problem, money, estimator, baseline):
    """Risk, n_brain, n_task of the best affordable whole numbers, one by one."""
    budget, cost_brain, cost_task, fixed_brain, fixed_task = money
    left = budget - fixed_brain - fixed_task
    alone = float(max(np.floor((budget - fixed_task) / cost_task), 0.0))
    rival = jb.task_only_risk if baseline == "ols" else jb.ridge_risk
    candidates = [(float(rival(problem, alone)), 0.0, alone)]
    # Always as many candidates, so that nothing is compiled anew; those too dear never win.
    brain = problem.input_dim + 2.0 + np.arange(1700)
    labels = np.floor((left - cost_brain * brain) / cost_task)
    assert labels[-1] < 0
    risk = jb.risk if estimator == "befs" else jb.two_penalty_risk
    risks = np.asarray(risk(problem, brain, np.maximum(labels, 0)))
    risks = np.where((labels < 0) | np.isnan(risks), np.inf, risks)
    best = risks.argmin()
    candidates.append((float(risks[best]), brain[best], labels[best]))
    return min(candidates, key=lambda candidate: candidate[0])


def random_setting(number):
    rng = np.random.default_rng(number)
    # Known channels of many latents, which repel each other, in a few: they take longest.
    many_latents = number in (0, 2, 12, 14)
    seen = (8, 2, 9) if many_latents else (17, 2, 20)
    d, k, channels = [seen, (30, 2, None)][number % 2]
    misalignment = [0.0, 1.0, *rng.uniform(0, 1, 4)][number % 6]
    problem = jb.Problem(
        input_dim=d,
        latent_dim=k,
        recording_dim=channels,
        latent_noise=10 ** rng.uniform(-1.5, 0.5, k),
        gain=rng.uniform(1, 5, k),
        recording_noise=10 ** rng.uniform(-1, 0),
        aligned_power=np.full(k, (1 - misalignment) / k),
        misaligned_power=misalignment,
        task_noise=10 ** rng.uniform(-1.5, 1.5),
    )
    fixed = (0.0, 0.0) if number % 3 else tuple(rng.uniform(0, 15, 2))
    money = (rng.uniform(20, 500), *(10 ** rng.uniform(-0.5, 0.6, 2)), *fixed)
    return problem, tuple(float(x) for x in money)


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("number", range(48))
def test_best_plan_is_that_of_exhaustive_enumeration(number):
    problem, money = random_setting(number)
    estimator = ("befs", "befs_two_penalties")[(number // 2) % 2]
    baseline = ("ols", "ridge")[(number // 5) % 2]
    plan = jb.optimal_allocation(problem, *money, estimator=estimator, baseline=baseline)
    risk, n_brain, _ = enumerated(problem, money, estimator, baseline)
    if np.isinf(risk):
        assert np.isinf(float(plan.risk))
    else:
        assert float(plan.risk) == pytest.approx(risk, rel=1e-9)
        assert (float(plan.n_brain) > 0) == (n_brain > 0)
    brain, labels = float(plan.n_brain), float(plan.n_task)
    assert brain == round(brain)
    assert labels == round(labels)
    assert brain == 0 or brain >= problem.input_dim + 2
    budget, cost_brain, cost_task, fixed_brain, fixed_task = map(Fraction, money)
    spent = cost_brain * int(brain) + cost_task * int(labels)
    spent += fixed_brain * (brain > 0) + fixed_task * (labels > 0)
    assert spent <= budget
    assert float(plan.spent_on_brain + plan.spent_on_task) <= money[0]
    total = float(plan.spent_on_brain + plan.spent_on_task)
    assert total == pytest.approx(float(spent), rel=1e-12)


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
def test_ignoring_fixed_costs_is_found_out():
    differs = 0
    for number in range(0, 48, 3):
        problem, money = random_setting(number)
        plan = jb.optimal_allocation(problem, *money[:3], **PAPER)
        risk = enumerated(problem, money, "befs", "ols")[0]
        differs += not np.isclose(float(plan.risk), risk, rtol=1e-9)
    assert differs > 6


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_saved_is_what_the_baseline_would_have_to_spend(baseline):
    plan = jb.optimal_allocation(
        STUDY, 900.0, 1.0, 2.0, 10.0, 5.0, estimator="befs_two_penalties", baseline=baseline
    )
    assert float(plan.n_brain) > 0
    rival = jb.task_only_risk if baseline == "ols" else jb.ridge_risk
    needed = optimize.brentq(lambda n: float(rival(STUDY, n)) - float(plan.risk), 42.5, 1e6)
    spent = float(plan.spent_on_brain + plan.spent_on_task)
    whole = np.ceil(needed)
    assert float(plan.saved) == pytest.approx(1 - spent / (5.0 + 2.0 * whole), rel=1e-8)
    assert spent <= 900.0
    assert float(rival(STUDY, plan.n_task_without_brain)) == float(plan.risk_without_brain)


def test_a_better_plan_never_saves_less_than_nothing():
    """The plan costs more than the baseline's whole labels, and less than it would need besides."""
    plan = jb.optimal_allocation(
        jb.Problem.isotropic(12, 3, 1.0, 0.1, 0.5), 59.0, 0.68, 0.69, 0.0, 1.8, **PAPER
    )
    assert (float(plan.n_brain), float(plan.n_task)) == (14, 69)
    assert float(plan.risk) < float(plan.risk_without_brain)
    spent = float(plan.spent_on_brain + plan.spent_on_task)
    alone = float(plan.n_task_without_brain)
    assert 1.8 + 0.69 * alone < spent < 59 < 1.8 + 0.69 * (alone + 1)
    assert float(plan.saved) == pytest.approx(1 - spent / (1.8 + 0.69 * (alone + 1)), rel=1e-12)


def test_frontier_is_the_budget_line():
    plan = jb.optimal_allocation(STUDY, 900.0, 1.0, 2.0, **PAPER)
    brain, labels, risk = (np.asarray(x) for x in plan.frontier)
    shown = np.isfinite(brain)
    assert 10 < shown.sum() < 128
    np.testing.assert_allclose(brain[shown] + 2 * labels[shown], 900.0)
    expected = jb.risk(STUDY, brain[shown], labels[shown])
    np.testing.assert_allclose(risk[shown], expected, rtol=1e-9)
    assert float(plan.risk) <= np.nanmin(risk) * (1 + 1e-3)
    assert np.all(np.isnan(risk[~shown]))


@pytest.mark.parametrize(
    ("problem", "prices", "options"),
    [
        (jb.Problem.isotropic(40, 2, 0.5, 0.999, 0.4), (500.0, 1.0, 1.0), {"baseline": "ridge"}),
        (STUDY, (5000.0, 1e4, 1.0), {}),
        (STUDY, (41.0, 1.0, 0.1), {}),
        (STUDY, (100.0, 1.0, 0.1, 99.0), {}),
    ],
    ids=["useless", "too dear", "below the gap", "fixed cost"],
)
def test_no_recordings_are_bought_where_they_do_not_pay(problem, prices, options):
    plan = jb.optimal_allocation(problem, *prices, **(PAPER | options))
    assert float(plan.n_brain) == 0
    assert float(plan.n_task) == Fraction(prices[0]) // Fraction(prices[2])
    assert float(plan.saved) == 0
    assert float(plan.spent_on_brain) == 0


def test_a_budget_that_buys_nothing():
    plan = jb.optimal_allocation(STUDY, 1.0, 5.0, 3.0, estimator="befs", baseline="ridge")
    assert (float(plan.n_brain), float(plan.n_task), float(plan.risk)) == (0.0, 0.0, 1.0)
    assert float(plan.spent_on_task) == 0


def test_maps_jits_and_compiles_once():
    compiled = []

    @jax.jit
    def plan(misalignment, budget, cost):
        compiled.append(1)
        problem = jb.Problem.isotropic(40, 2, 0.5, misalignment, 0.4)
        answer = jb.optimal_allocation(problem, budget, cost, 1.0, **PAPER)
        return answer.n_brain, answer.n_task, answer.risk

    rows = [(0.1, 300.0, 0.5), (0.4, 900.0, 2.0), (0.9, 60.0, 1.0)]
    mapped = jax.vmap(plan)(*map(jnp.array, zip(*rows, strict=True)))
    alone = [plan(*row) for row in rows]
    for i, row in enumerate(alone):
        for together, one in zip(mapped, row, strict=True):
            assert float(together[i]) == pytest.approx(float(one), rel=1e-12)
    assert len(compiled) == 2


def test_risk_has_the_derivative_at_the_given_numbers():
    plan = jb.optimal_allocation(STUDY, 900.0, 1.0, 2.0, **PAPER)
    slope = jax.grad(lambda p: jb.optimal_allocation(p, 900.0, 1.0, 2.0, **PAPER).risk)(STUDY)
    expected = jax.grad(jb.risk)(STUDY, plan.n_brain, plan.n_task)
    for name in ("task_noise", "misaligned_power", "latent_noise", "aligned_power"):
        np.testing.assert_allclose(getattr(slope, name), getattr(expected, name), rtol=1e-9)


def test_single_precision(single_precision):
    with jax.enable_x64(True):
        exact = float(jb.optimal_allocation(STUDY, 9000.0, 1.0, 2.0, **PAPER).risk)
    study = jb.Problem.isotropic(40, 2, 0.5, 0.2, 0.4)
    plan = jb.optimal_allocation(study, 9000.0, 1.0, 2.0, **PAPER)
    assert plan.risk.dtype == jnp.float32
    assert float(plan.risk) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budget": -1.0}, "budget must be greater than 0"),
        ({"budget": np.array([1.0, 2.0])}, "budget must be one number"),
        ({"cost_brain": 0.0}, "cost_brain must be greater than 0"),
        ({"cost_task": np.nan}, "cost_task must be a finite number"),
        ({"fixed_cost_brain": -1.0}, "fixed_cost_brain must be at least 0"),
        ({"estimator": "lasso"}, "estimator must be 'befs' or"),
        ({"baseline": "none"}, "baseline must be 'ols' or 'ridge'"),
    ],
)
def test_wrong_arguments_are_named(change, said):
    arguments = {"problem": STUDY, "budget": 900.0, "cost_brain": 1.0, "cost_task": 2.0}
    with pytest.raises(ValueError, match=said):
        # Unwrapped: here annotations are executed, and say so first.
        unwrap(jb.optimal_allocation)(**(arguments | change))


def test_a_plan_says_where_closed_forms_are_known_to_be_off():
    """Half of the inputs are latents, seen through noisy channels."""
    doubtful, quiet = (
        jb.Problem(
            input_dim=4,
            latent_dim=2,
            recording_dim=20,
            latent_noise=np.array([0.01, 0.02]),
            gain=np.ones(2),
            recording_noise=noise,
            aligned_power=np.full(2, 0.5),
            misaligned_power=0.0,
            task_noise=100.0,
        )
        for noise in (1.0, 0.01)
    )
    with pytest.warns(jb.AccuracyWarning, match="half as many"):
        assert 6 <= float(jb.optimal_allocation(doubtful, 900.0, 1.0, 5.0).n_brain) < 200
    with pytest.warns(jb.AccuracyWarning, match="half as many"):
        jb.tune_allocation(jb.Modality(doubtful, 1.0), 900.0, 5.0)
    # Warnings are errors.
    assert float(jb.optimal_allocation(quiet, 900.0, 1.0, 5.0).n_brain) > 6
