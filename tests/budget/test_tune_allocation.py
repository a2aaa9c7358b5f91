"""Splits by descent: against enumeration, the asymptotic law, and the search for one modality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

KEY = jax.random.key(5)
D, K = 12, 2
PAPER = {"estimator": "befs", "baseline": "ols"}

pytestmark = pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")


def sixteenths(money):
    """Sums of money that binary numbers hold exactly, as decimal ones are not."""
    return np.ceil(16 * money) / 16


def random_problems(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (
            jb.Problem.isotropic(
                D, K, 10 ** rng.uniform(-1, 1), rng.uniform(0.02, 0.95), 10 ** rng.uniform(-1.5, 1)
            ),
            sixteenths(rng.uniform(20, 400)),
            sixteenths(10 ** rng.uniform(-1, 0.5)),
            sixteenths(10 ** rng.uniform(-0.5, 0.5)),
            sixteenths(rng.choice([0, rng.uniform(0, 30)])),
        )
        for _ in range(count)
    ]


def stacked(cases):
    problems, *money = zip(*cases, strict=True)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems), *map(jnp.asarray, money)


def enumerated(problem, budget, cost_brain, cost_task, fixed):
    """Every whole number of recordings with all labels that the rest buys, and the reverse."""
    exact = [round(16 * float(x)) for x in (budget, cost_brain, cost_task, fixed)]
    total, brain_price, label_price, fixed_price = exact
    pairs = set()
    rest = total - fixed_price
    n_brain = D + 2
    while n_brain * brain_price <= rest:
        pairs.add((n_brain, (rest - n_brain * brain_price) // label_price))
        n_brain += 1
    for n_task in range(max(rest, 0) // label_price + 1):
        n_brain = (rest - n_task * label_price) // brain_price
        if n_brain >= D + 2:
            pairs.add((n_brain, n_task))
    return sorted(pairs), total // label_price


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.study)])
def test_plans_are_those_of_exhaustive_enumeration(count):
    cases = random_problems(count)

    @jax.jit
    @jax.vmap
    def tune(problem, budget, cost_brain, cost_task, fixed):
        modality = jb.Modality(problem, cost_brain, fixed)
        return jb.tune_allocation(modality, budget, cost_task, **PAPER)

    plans = tune(*stacked(cases))
    bought = 0
    for i, (problem, *money) in enumerate(cases):
        pairs, alone = enumerated(problem, *money)
        least = float(jb.task_only_risk(problem, alone)) if alone > D + 1 else np.inf
        best = (0, alone)
        if pairs:
            # Padded, so that nothing is compiled again.
            grid = np.array(pairs + [pairs[-1]] * (8192 - len(pairs)), float)
            risks = np.asarray(jb.risk(problem, *grid.T))[: len(pairs)]
            risks = np.where(np.isnan(risks), np.inf, risks)
            if risks.min() < least:
                least, best = risks.min(), pairs[int(risks.argmin())]
        found = int(plans.n_brain[i]), int(plans.n_task[i])
        bought += found[0] > 0
        assert float(plans.spent_on_brain[i] + plans.spent_on_task[i]) <= money[0]
        if np.isfinite(least):
            assert float(plans.risk[i]) == pytest.approx(least, rel=1e-9), (i, found, best)
            # Ties aside the numbers are the same.
            if found != best:
                at = float(jb.risk(problem, *found)) if found[0] else least
                assert at == pytest.approx(least, rel=1e-12)
    assert 0.2 * count < bought < 0.95 * count


def fmri_like(misalignment=0.1, noise=0.54, latents=410):
    return jb.Problem.isotropic(4096, latents, 0.1, misalignment, noise)


@pytest.mark.study
def test_large_budgets_follow_the_asymptotic_law():
    problem, prices = fmri_like(), (1.0, 0.1)
    for budget in (1e8, 1e10):
        plan = jb.tune_allocation(jb.Modality(problem, prices[0]), budget, prices[1], **PAPER)
        assert bool(plan.converged)
        # The law misses what is of first order in d/n_brain, at any budget: hence the finite
        # optimum here.
        exact = jb.optimal_allocation(problem, budget, *prices, **PAPER)
        assert float(plan.n_brain) == pytest.approx(float(exact.n_brain), rel=1e-3)
    small = jb.Problem.isotropic(12, 2, 0.01, 1e-5, 0.5)
    gaps = []
    for budget in (1e8, 1e10):
        law = jb.asymptotic_allocation(small, budget, 1.0, 0.5)
        plan = jb.tune_allocation(jb.Modality(small, 1.0), budget, 0.5, **PAPER)
        gaps.append(abs(float(plan.n_brain / law.n_brain) - 1))
    assert gaps[1] < 2e-3
    assert gaps[1] <= gaps[0]


@pytest.mark.study
def test_nothing_is_bought_that_teaches_nothing_or_costs_too_much():
    unfavourable = fmri_like()
    assert float(jb.favourability(unfavourable, 1.0, 0.05)) < 1
    plan = jb.tune_allocation(jb.Modality(unfavourable, 1.0), 1e9, 0.05, **PAPER)
    assert float(plan.n_brain) == 0
    assert float(plan.risk) == float(plan.risk_without_brain)
    # γ < 0: the task is less in the subspace than in a random one. Against ridge nothing is gained.
    away = fmri_like(misalignment=0.97)
    assert float(away.gamma) < 0
    plan = jb.tune_allocation(jb.Modality(away, 1e-3), 1e7, 1.0, estimator="befs", baseline="ridge")
    assert float(plan.n_brain) == 0


@pytest.mark.study
def test_several_modalities_share_or_stay_at_a_corner():
    few = jb.Modality(jb.Problem.isotropic(4096, 50, 0.1, 0.3, 0.54), 1.0)
    dear = jb.Modality(jb.Problem.isotropic(4096, 50, 0.1, 0.8, 2.0), 3.0)
    alone = jb.tune_allocation(few, 50_000, 1.0, **PAPER)
    both = jb.tune_allocation({"a": few, "b": dear}, 50_000, 1.0, **PAPER)
    assert float(both.n_brain["b"]) == 0
    assert float(both.n_brain["a"]) == float(alone.n_brain)
    assert float(both.risk) == pytest.approx(float(alone.risk), rel=1e-12)
    # As good and as cheap, and missing other parts of the task: both are bought, equally.
    twins = jb.tune_allocation({"a": few, "b": few}, 200_000, 1.0, **PAPER)
    a, b = (float(twins.n_brain[name]) for name in "ab")
    assert a == pytest.approx(b, rel=0.01)
    single = jb.tune_allocation(few, 200_000, 1.0, **PAPER)
    assert float(twins.risk) < 0.9 * float(single.risk)
    assert float(twins.spent_on_brain + twins.spent_on_task) <= 200_000
    # No split nearby is better.
    design = jb.ClosedFormDesign((few.problem, few.problem), "befs")
    bought = jnp.array([True, True])

    @jax.jit
    def risk(n_brain):
        return design.stage(bought, n_brain, 200_000.0 - jnp.sum(n_brain)).risk

    best = float(risk(jnp.array([a, b])))
    assert best == pytest.approx(float(twins.risk), rel=1e-9)
    for step in ((300.0, 0.0), (-300.0, 0.0), (0.0, 300.0), (300.0, -300.0), (-300.0, 300.0)):
        assert float(risk(jnp.array([a, b]) + jnp.array(step))) > best


def test_a_dear_modality_is_left_out_and_twins_are_bought_alike():
    few = jb.Modality(jb.Problem.isotropic(D, K, 0.5, 0.1, 0.2), 0.5)
    dear = jb.Modality(jb.Problem.isotropic(D, K, 0.5, 0.9, 5.0), 50.0)
    alone = jb.tune_allocation(few, 400, 1.0, **PAPER)
    both = jb.tune_allocation({"a": few, "b": dear}, 400, 1.0, **PAPER)
    assert float(both.n_brain["b"]) == 0
    assert float(both.n_brain["a"]) == float(alone.n_brain) > 0
    assert float(both.risk) == pytest.approx(float(alone.risk), rel=1e-12)
    twins = jb.tune_allocation({"a": few, "b": few}, 400, 1.0, **PAPER)
    a, b = (float(twins.n_brain[name]) for name in "ab")
    assert a == pytest.approx(b, rel=0.1)
    assert float(twins.risk) < float(alone.risk)


def test_limits_on_counts_are_kept():
    # As many latents as above, which one program serves.
    problem = fmri_like(latents=K)
    free = jb.tune_allocation(jb.Modality(problem, 1.0), 50_000, 1.0, **PAPER)
    short = jb.tune_allocation(jb.Modality(problem, 1.0, most=9_000.5), 50_000, 1.0, **PAPER)
    assert float(free.n_brain) > 9000
    assert float(free.n_task) > 3000
    assert float(short.n_brain) == 9000
    assert float(short.n_task) == 41_000
    few = jb.tune_allocation(jb.Modality(problem, 1.0), 50_000, 1.0, most_labels=3_000, **PAPER)
    assert float(few.n_task) == 3_000
    assert float(few.n_brain) == 47_000
    none = jb.tune_allocation(jb.Modality(problem, 1.0, most=4_000), 50_000, 1.0, **PAPER)
    assert float(none.n_brain) == 0
    assert (int(none.steps), bool(none.converged)) == (0, True)


def test_two_penalties_against_ridge_agree_with_the_search():
    options = dict(estimator="befs_two_penalties", baseline="ridge")
    # Six latents, as where nothing can be bought and in the examples: the programs are the same.
    problem = fmri_like(latents=6)
    plan = jb.tune_allocation(jb.Modality(problem, 1.0), 30_000, 1.0, **options)
    exact = jb.optimal_allocation(problem, 30_000, 1.0, 1.0, **options)
    assert float(plan.n_brain) > 0
    # What all plans say has one name, and one value here.
    for name in jb.Allocation._fields[:8]:
        assert float(getattr(plan, name)) == pytest.approx(float(getattr(exact, name)), rel=1e-9)


def test_risk_has_the_derivative_at_the_given_numbers():
    problem = jb.Problem.isotropic(D, K, 0.5, 0.1, 0.2)

    def least(problem):
        plan = jb.tune_allocation(jb.Modality(problem, 0.5), 400, 1.0, **PAPER)
        return plan.risk, plan

    slope, plan = jax.grad(least, has_aux=True)(problem)
    assert float(plan.n_brain) > 0
    expected = jax.grad(jb.risk)(problem, plan.n_brain, plan.n_task)
    for name in ("task_noise", "misaligned_power", "latent_noise", "aligned_power"):
        np.testing.assert_allclose(getattr(slope, name), getattr(expected, name), rtol=1e-9)


def test_a_simulated_plan_has_derivatives():
    def least(misalignment):
        problem = jb.Problem.isotropic(D, K, 0.5, misalignment, 0.2)
        design = jb.MonteCarloDesign(problem, trials=2, key=KEY)
        return jb.tune_allocation(jb.Modality(problem, 0.5), 400, 1.0, risk=design).risk

    # Traced alone: what cannot be differentiated says so there.
    assert jax.make_jaxpr(jax.grad(least))(0.1).out_avals[0].shape == ()


def test_numbers_are_traced():
    compiled = []

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    jb.tune_allocation(jb.Modality(fmri_like(latents=K), 1.0), 50_000, 1.0, **PAPER)
    other = jb.Modality(fmri_like(0.2, 0.3, K), 0.7, 10.0, most=1e5)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jb.tune_allocation(
            other, 80_000, 0.5, 3.0, most_labels=1e6, tolerance=1e-9, max_steps=50, **PAPER
        )
        assert not compiled
        # What is compiled is heard.
        jax.jit(lambda x: 2 * x)(1.0)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


def test_simulated_designs_agree_with_the_closed_form():
    model = jb.presets.small(task_snr=1.0)
    modality = jb.Modality(model.problem(), 0.3)
    exact = jb.optimal_allocation(model.problem(), 300, 0.3, 1.0, **PAPER)
    design = jb.MonteCarloDesign(model, trials=40, key=KEY)
    plan = jb.tune_allocation(
        modality, 300, 1.0, risk=design, baseline="ols", max_steps=40, starts=1
    )
    assert float(plan.spent_on_brain + plan.spent_on_task) <= 300
    assert bool(plan.converged)
    # The penalty is the best at the plan found, and the risk is what `MonteCarloRisk` says there.
    objective = design.risk_at(plan.n_brain, plan.n_task)
    least = float(objective(plan.penalty))
    assert float(plan.risk) == pytest.approx(least, rel=1e-10)
    assert all(float(objective(plan.penalty * factor)) > least for factor in (0.99, 1.01))
    # It is that of the optimum up to what forty trials can tell.
    error = float(jnp.std(objective.by_trial(plan.penalty))) / 40**0.5
    assert abs(float(plan.risk - exact.risk)) < 4 * error
    at = float(
        jb.risk(model.problem(), float(plan.n_brain), float(plan.n_task), float(plan.penalty))
    )
    assert float(exact.risk) <= at < 1.02 * float(exact.risk)


def test_wrong_arguments_are_named():
    problem, other = fmri_like(), jb.Problem.isotropic(4096, 410, 0.2, 0.1, 0.54)
    with pytest.raises(ValueError, match="cost_brain must be greater than 0"):
        jb.Modality(problem, 0.0)
    with pytest.raises(ValueError, match="'b' is about another task"):
        jb.tune_allocation(
            {"a": jb.Modality(problem, 1), "b": jb.Modality(other, 1)}, 1e4, 1.0, **PAPER
        )
    with pytest.raises(ValueError, match="modalities is empty: pass at least one"):
        jb.tune_allocation({}, 1e4, 1.0)
    with pytest.raises(ValueError, match="modalities must be 1 to 6, but there are 7"):
        jb.tune_allocation({name: jb.Modality(problem, 1) for name in "abcdefg"}, 1e4, 1.0, **PAPER)
    with pytest.raises(ValueError, match="budget must be greater than 0"):
        jb.tune_allocation(jb.Modality(problem, 1), 0.0, 1.0, **PAPER)
    design = jb.MonteCarloDesign(jb.presets.small(), trials=5, key=KEY)
    two = {name: jb.Modality(jb.presets.small().problem(), 1) for name in "ab"}
    with pytest.raises(ValueError, match="MonteCarloDesign knows a single modality"):
        jb.tune_allocation(two, 1e4, 1.0, risk=design)
