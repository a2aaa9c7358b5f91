"""Splits by descent: against exhaustive enumeration, the asymptotic law, and simulated unions of subspaces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb

KEY = jax.random.key(5)
D, K = 12, 2

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
    """Every whole number of recordings with all the labels that the rest buys, and the other way round."""
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


@pytest.mark.long
def test_two_hundred_plans_are_those_of_exhaustive_enumeration():
    cases = random_problems(200)

    @jax.jit
    @jax.vmap
    def tune(problem, budget, cost_brain, cost_task, fixed):
        modality = jb.Modality(problem, cost_brain, fixed)
        return jb.tune_allocation(modality, budget, cost_task)

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
        assert float(plans.spent[i]) <= money[0]
        if np.isfinite(least):
            assert float(plans.risk[i]) == pytest.approx(least, rel=1e-9), (i, found, best)
            # Ties aside the numbers are the same.
            if found != best:
                at = float(jb.risk(problem, *found)) if found[0] else least
                assert at == pytest.approx(least, rel=1e-12)
    assert 40 < bought < 190


def fmri_like(misalignment=0.1, noise=0.54):
    return jb.Problem.isotropic(4096, 410, 0.1, misalignment, noise)


@pytest.mark.long
def test_large_budgets_follow_the_asymptotic_law():
    problem, prices = fmri_like(), (1.0, 0.1)
    for budget in (1e8, 1e10):
        plan = jb.tune_allocation(jb.Modality(problem, prices[0]), budget, prices[1])
        assert bool(plan.converged)
        # The law misses what is of first order in d/n_brain, at any budget: hence the finite optimum here.
        exact = jb.optimal_allocation(problem, budget, *prices)
        assert float(plan.n_brain) == pytest.approx(float(exact.n_brain), rel=1e-3)
    small = jb.Problem.isotropic(12, 2, 0.01, 1e-5, 0.5)
    gaps = []
    for budget in (1e8, 1e10):
        law = jb.asymptotic_allocation(small, budget, 1.0, 0.5)
        plan = jb.tune_allocation(jb.Modality(small, 1.0), budget, 0.5)
        gaps.append(abs(float(plan.n_brain / law.n_brain) - 1))
    assert gaps[1] < 2e-3
    assert gaps[1] <= gaps[0]


@pytest.mark.long
def test_nothing_is_bought_that_teaches_nothing_or_costs_too_much():
    unfavourable = fmri_like()
    assert float(jb.favourability(unfavourable, 1.0, 0.05)) < 1
    plan = jb.tune_allocation(jb.Modality(unfavourable, 1.0), 1e9, 0.05)
    assert float(plan.n_brain) == 0
    assert float(plan.risk) == float(plan.risk_without_brain)
    # γ < 0: the task is less in the subspace than in a random one. Against ridge nothing is gained.
    away = fmri_like(misalignment=0.97)
    assert float(away.gamma) < 0
    plan = jb.tune_allocation(jb.Modality(away, 1e-3), 1e7, 1.0, baseline="ridge")
    assert float(plan.n_brain) == 0


@pytest.mark.long
def test_several_modalities_share_or_stay_at_a_corner():
    few = jb.Modality(jb.Problem.isotropic(4096, 50, 0.1, 0.3, 0.54), 1.0)
    dear = jb.Modality(jb.Problem.isotropic(4096, 50, 0.1, 0.8, 2.0), 3.0)
    alone = jb.tune_allocation(few, 50_000, 1.0)
    both = jb.tune_allocation({"a": few, "b": dear}, 50_000, 1.0)
    assert float(both.n_brain["b"]) == 0
    assert float(both.n_brain["a"]) == float(alone.n_brain)
    assert float(both.risk) == pytest.approx(float(alone.risk), rel=1e-12)
    # As good and as cheap, and missing other parts of the task: both are bought, equally.
    twins = jb.tune_allocation({"a": few, "b": few}, 200_000, 1.0)
    a, b = (float(twins.n_brain[name]) for name in "ab")
    assert a == pytest.approx(b, rel=0.01)
    single = jb.tune_allocation(few, 200_000, 1.0)
    assert float(twins.risk) < 0.9 * float(single.risk)
    assert float(twins.spent) <= 200_000
    # No split nearby is better.
    design = jb.ClosedFormDesign((few.problem, few.problem))
    bought = jnp.array([True, True])

    @jax.jit
    def risk(n_brain):
        return design(bought, n_brain, 200_000.0 - jnp.sum(n_brain)).risk

    best = float(risk(jnp.array([a, b])))
    assert best == pytest.approx(float(twins.risk), rel=1e-9)
    for step in ((300.0, 0.0), (-300.0, 0.0), (0.0, 300.0), (300.0, -300.0), (-300.0, 300.0)):
        assert float(risk(jnp.array([a, b]) + jnp.array(step))) > best


def test_limits_on_counts_are_kept():
    free = jb.tune_allocation(jb.Modality(fmri_like(), 1.0), 50_000, 1.0)
    short = jb.tune_allocation(jb.Modality(fmri_like(), 1.0, most=9_000.5), 50_000, 1.0)
    assert float(free.n_brain) > 9000
    assert float(short.n_brain) == 9000
    assert float(short.n_task) == 41_000
    few = jb.tune_allocation(jb.Modality(fmri_like(), 1.0), 50_000, 1.0, most_labels=10_000)
    assert float(few.n_task) == 10_000
    assert float(few.n_brain) == 40_000
    none = jb.tune_allocation(jb.Modality(fmri_like(), 1.0, most=4_000), 50_000, 1.0)
    assert float(none.n_brain) == 0


@pytest.mark.long
def test_two_penalties_against_ridge_agree_with_the_search():
    options = dict(estimator="befs_two_penalties", baseline="ridge")
    plan = jb.tune_allocation(jb.Modality(fmri_like(), 1.0), 30_000, 1.0, **options)
    exact = jb.optimal_allocation(fmri_like(), 30_000, 1.0, 1.0, **options)
    assert float(plan.n_brain) == float(exact.n_brain)
    assert float(plan.risk) == pytest.approx(float(exact.risk), rel=1e-9)


@pytest.mark.long
def test_numbers_are_traced():
    compiled = []

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    jb.tune_allocation(jb.Modality(fmri_like(), 1.0), 50_000, 1.0)
    other = jb.Modality(fmri_like(0.2, 0.3), 0.7, 10.0, most=1e5)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jb.tune_allocation(other, 80_000, 0.5, 3.0, most_labels=1e6, tolerance=1e-9, max_steps=50)
        assert not compiled
        jb.tune_allocation(other, 80_000, 0.5, starts=1)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


def encoder(rng, task, k, missed):
    """A random subspace that misses this share of the task."""
    d = len(task)
    aside = rng.standard_normal(d)
    aside -= task * (task @ aside)
    held = np.sqrt(1 - missed) * task + np.sqrt(missed) * aside / np.linalg.norm(aside)
    others = np.column_stack([task, aside, rng.standard_normal((d, k - 1))])
    return np.column_stack([held, np.linalg.qr(others)[0][:, 2:]])


def learned(rng, basis, n, noise):
    inputs = rng.standard_normal((n, len(basis)))
    latents = inputs @ basis + np.sqrt(noise) * rng.standard_normal((n, basis.shape[1]))
    return np.linalg.qr(np.linalg.lstsq(inputs, latents, rcond=None)[0])[0]


@pytest.mark.parametrize(
    ("missed", "sizes", "numbers"),
    [
        ((0.1, 0.3), (4, 6), (120, 90)),
        ((0.3, 0.5), (4, 6), (300, 70)),
        ((0.9, 0.95), (4, 6), (90, 90)),
    ],
)
def test_union_of_independent_subspaces_misses_what_the_odds_say(missed, sizes, numbers):
    """Plain NumPy: two encoders in general position, two studies, one union; 1 % and 4 standard errors."""
    rng, d, noise, trials = np.random.default_rng(7), 60, 0.5, 800
    task = np.eye(d)[0]
    left = np.zeros(trials)
    for trial in range(trials):
        parts = [
            learned(rng, encoder(rng, task, k, m), n, noise)
            for m, k, n in zip(missed, sizes, numbers, strict=True)
        ]
        union = np.linalg.qr(np.column_stack(parts))[0]
        left[trial] = 1 - np.sum((union.T @ task) ** 2)
    problems = tuple(
        jb.Problem.isotropic(d, k, 1.0, m, noise) for m, k in zip(missed, sizes, strict=True)
    )
    design = jb.ClosedFormDesign(problems)
    relative = jnp.stack([design.misalignment(j, jnp.asarray(float(numbers[j]))) for j in (0, 1)])
    _, penalty = design.of_misalignments(jnp.array([True, True]), relative, jnp.asarray(100.0))
    # λ = σ² q/(n m) tells the m that was used.
    claim = float((d - sum(sizes)) / (100.0 * penalty))
    error = left.std(ddof=1) / np.sqrt(trials)
    assert abs(claim - left.mean()) < 4 * error + 0.01 * claim
    # Neither odds without the correction for dimensions (next to nothing where all is missed), nor the
    # better of the two alone.
    if missed[0] < 0.9:
        plain = float(1 / (1 + jnp.sum((1 - relative) / relative)))
        assert abs(plain - left.mean()) > 4 * error + 0.01 * claim
    assert float(jnp.min(relative)) - left.mean() > 4 * error


def test_random_subspaces_make_a_random_subspace():
    """The rule is exact there: m = 1 − K/d."""
    problems = tuple(jb.Problem.isotropic(40, k, 1.0, 0.5, 1.0) for k in (3, 5, 9))
    design = jb.ClosedFormDesign(problems)
    relative = jnp.array([1 - k / 40 for k in (3, 5, 9)])
    _, penalty = design.of_misalignments(jnp.array([True] * 3), relative, jnp.asarray(100.0))
    assert (40 - 17) / (100.0 * float(penalty)) == pytest.approx(1 - 17 / 40, rel=1e-12)


@pytest.mark.long
def test_simulated_designs_agree_with_the_closed_form():
    model = jb.presets.small(task_snr=1.0)
    modality = jb.Modality(model.problem(), 0.3)
    exact = jb.optimal_allocation(model.problem(), 300, 0.3, 1.0)
    design = jb.MonteCarloDesign(model, trials=40, key=KEY)
    plan = jb.tune_allocation(modality, 300, 1.0, risk=design, max_steps=40, starts=1)
    assert float(plan.spent) <= 300
    # Risk at the plan found is that of the optimum up to what forty trials can tell.
    objective = design.risk_at(plan.n_brain, plan.n_task)
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
        jb.tune_allocation({"a": jb.Modality(problem, 1), "b": jb.Modality(other, 1)}, 1e4, 1.0)
    with pytest.raises(ValueError, match="modalities is empty: pass at least one"):
        jb.tune_allocation({}, 1e4, 1.0)
    with pytest.raises(ValueError, match="modalities must be 1 to 6, but there are 7"):
        jb.tune_allocation({name: jb.Modality(problem, 1) for name in "abcdefg"}, 1e4, 1.0)
    with pytest.raises(ValueError, match="budget must be greater than 0"):
        jb.tune_allocation(jb.Modality(problem, 1), 0.0, 1.0)
    design = jb.MonteCarloDesign(jb.presets.small(), trials=5, key=KEY)
    two = {name: jb.Modality(jb.presets.small().problem(), 1) for name in "ab"}
    with pytest.raises(ValueError, match="MonteCarloDesign knows a single modality"):
        jb.tune_allocation(two, 1e4, 1.0, risk=design)


def test_a_design_about_something_else_is_refused():
    problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    other = jb.Problem.isotropic(40, 7, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    modality = jb.Modality(problem, 0.3)
    simulated = jb.MonteCarloDesign(problem, trials=2, key=jax.random.key(0))
    for modalities, options, said in (
        (modality, {"risk": jb.ClosedFormDesign((other,))}, "pass the same problems"),
        (
            {"a": modality, "b": modality},
            {"risk": jb.ClosedFormDesign((problem,))},
            "pass the same problems",
        ),
        (modality, {"risk": simulated, "estimator": "befs_two_penalties"}, "estimator='befs'"),
    ):
        with pytest.raises(ValueError, match=said):
            jb.tune_allocation(modalities, 100.0, 1.0, **options)
