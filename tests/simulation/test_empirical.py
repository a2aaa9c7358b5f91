"""Values and budgets read off simulated sweeps: inversion, intervals, flags."""

from fractions import Fraction
from inspect import unwrap

import jax
import numpy as np
import pytest
from scipy import stats

import jaxbrain as jb

KEY = jax.random.key(3)
STUDY = jb.Problem.isotropic(20, 3, 1.0, 0.2, 0.5)
GRID = dict(n_brain=[30, 60, 200], n_task=[10, 30, 100, 300])


@pytest.fixture(scope="module")
def dataset():
    return jb.sweep(STUDY, **GRID, trials=104, seeds=25, key=KEY)


def made_up(risk, curve, n_task_only=(25, 50, 100), **attributes):
    """A sweep of n_brain = 50 and n_task = 10; risks: (penalty, seed) and (n, seed)."""
    import xarray

    risk, curve = np.asarray(risk, float), np.asarray(curve, float)
    return xarray.Dataset(
        {
            "risk": (("n_brain", "n_task", "penalty", "seed"), risk[None, None]),
            "task_only_risk": (("n_task_only", "seed"), curve),
            "ridge_risk": (("n_task_only", "seed"), curve),
        },
        coords={"n_brain": [50], "n_task": [10], "penalty": np.arange(len(risk)) * 1.0,
                "n_task_only": list(n_task_only)},
        attrs={"input_dim": 20, "risk_of_predicting_zero": 8.0} | attributes,
    )  # fmt: skip


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_values_are_those_of_the_closed_form(dataset, baseline):
    found = jb.empirical_value(dataset, baseline)
    n_brain, n_task = (np.array(GRID[name], float) for name in ("n_brain", "n_task"))
    claim = np.asarray(jb.value(STUDY, n_brain[:, None], n_task[None], baseline=baseline))
    ok = found.status.values[..., 0] == "ok"
    assert ok.sum() >= 10
    half = ((found.value_high - found.value_low) / 2).values[..., 0]
    off = np.abs(found.value.values[..., 0] - claim)
    # Intervals are of 1.96 standard errors; the closed form itself is good to 0.5 % of the labels
    # at hand.
    assert np.all((off < 2.2 * half + 0.005 * (n_task + claim))[ok])
    np.testing.assert_allclose(
        found.exchange_rate.values, found.value.values / n_brain[:, None, None], rtol=1e-12
    )


def test_the_inverse_of_a_known_curve():
    """Risk 20/(n − 21) is that of least squares: linear in 1/risk, so that the inverse is exact."""
    curve = 20 / (np.array([25, 50, 100])[:, None] - 21.0) * np.ones((1, 4))
    found = jb.empirical_value(
        made_up([[20 / 39.0] * 4, [20 / 2.0] * 4], curve), "ols", resamples=200
    )
    np.testing.assert_allclose(found.value.values.ravel(), [60 - 10, 23 - 10], rtol=1e-12)
    np.testing.assert_allclose(found.value_low, found.value)
    # Against ridge the curve starts at 0 labels and the risk of predicting 0, here 8.
    ridge = jb.empirical_value(made_up([[20 / 39.0] * 4, [8.0] * 4], curve), "ridge", resamples=200)
    np.testing.assert_allclose(ridge.value.values.ravel(), [60 - 10, 0 - 10], rtol=1e-12, atol=1e-9)


def test_what_is_beyond_the_curve_is_flagged():
    curve = 20 / (np.array([25, 50, 100])[:, None] - 21.0) * np.ones((1, 4))
    risks = [[0.1] * 4, [np.nan] * 4, [1.0] * 4, [0.2, 0.2, 0.2, 0.6]]
    found = jb.empirical_value(made_up(risks, curve), "ols", resamples=500)
    assert list(found.status.values.ravel()) == ["infinite", "undefined", "ok", "ok"]
    assert np.all(np.isnan(found.value.values.ravel()[:2]))
    # The last is within the curve on average, but too good for it in many resamples: an open end.
    assert np.isfinite(found.value_low.values.ravel()[3])
    assert np.isnan(found.value_high.values.ravel()[3])
    worse = jb.empirical_value(made_up([[8.5] * 4], curve), "ridge", resamples=200)
    assert worse.status.item() == "undefined"


def test_intervals_of_a_known_curve_are_students():
    """The risk's, in its logarithm, brought to labels; the normal distribution's differ."""
    rng = np.random.default_rng(1)
    labels = np.array([25, 50, 100])
    curve = 20 / (labels[:, None] - 21.0) * np.ones((1, 5))
    risk = rng.uniform(0.8, 1.2, 5)
    found = jb.empirical_value(made_up(risk[None], curve), "ols", resamples=100_000, confidence=0.9)
    error = stats.sem(risk) / risk.mean()

    def value(quantile):
        return 21 + 20 / (risk.mean() * np.exp(-quantile * error)) - 10

    spread = value(1) - value(0)
    for end, sign in ((found.value_low, -1), (found.value_high, 1)):
        assert abs(end.item() - value(sign * stats.t.ppf(0.95, 4))) < 0.1 * spread
        assert abs(end.item() - value(sign * stats.norm.ppf(0.95))) > 0.3 * spread
    assert found.value.item() == pytest.approx(value(0), rel=1e-12)


def test_intervals_cover():
    """Of 200 sweeps, made up with a known mean, 95 % intervals of the value hold it in most."""
    rng, hits = np.random.default_rng(2), 0
    curve = 20 / (np.array([25, 50, 100])[:, None] - 21.0)
    for repeat in range(200):
        noise = rng.normal(1, 0.05, (2, 30))
        data = made_up((20 / 39.0) * noise[:1], curve * noise[1:])
        found = jb.empirical_value(data, "ols", resamples=400, seed=repeat)
        hits += found.value_low.item() <= 50 <= found.value_high.item()
    assert 0.89 < hits / 200 < 0.99


def test_the_best_penalty_is_chosen_in_every_resample():
    curve = 20 / (np.array([25, 50, 100])[:, None] - 21.0) * np.ones((1, 4))
    risks = [[1.0, 2.0, 1.0, 2.0], [2.0, 1.0, 2.0, 1.0], [1.6, 1.6, 1.6, 1.6]]
    found = jb.empirical_value(made_up(risks, curve), "ols", penalty="best", resamples=400)
    assert found.value.shape == (1, 1, 1)
    assert found.value.item() == pytest.approx(21 + 20 / 1.5 - 10)
    # Where seeds of one kind weigh more, one of the first two has less risk: by Student's t for
    # three degrees of freedom down to 0.8.
    error = stats.sem(risks[0]) / 1.5
    least = 1.5 * np.exp(-stats.t.ppf(0.975, 3) * error)
    assert found.value_high.item() == pytest.approx(21 + 20 / least - 10, rel=0.2)
    # But that they are lower in turn is luck: about as far the other way.
    assert found.value_low.item() == pytest.approx(21 + 20 / (1.5**2 / least) - 10, rel=0.2)


def test_budgets_follow_the_closed_form(dataset):
    for budget, cost_brain in ((150.0, 0.5), (250.0, 0.2), (300.0, 2.0)):
        plan = jb.empirical_allocation(dataset, budget, cost_brain, 1.0, baseline="ols")
        choices = {0: float(jb.task_only_risk(STUDY, budget))}
        for n_brain in GRID["n_brain"]:
            labels = budget - cost_brain * n_brain
            if 10 <= labels <= 300:
                choices[n_brain] = float(jb.risk(STUDY, n_brain, labels))
        best = min(choices, key=choices.__getitem__)
        assert plan.n_brain == best
        # Whole labels within the budget: in binary 0.2 is a trifle more than a fifth.
        assert plan.n_task == (Fraction(budget) - Fraction(cost_brain) * best) // 1
        # 1/risk is interpolated between the four numbers of labels.
        assert plan.risk == pytest.approx(choices[best], rel=0.03)
        assert plan.risk_without_brain == pytest.approx(choices[0], rel=0.02)
        rival = 21 + 20 * float(STUDY.task_noise) / choices[best]
        assert plan.saved == pytest.approx(1 - budget / rival, abs=0.03)
        assert plan.n_brain_interval[0] <= plan.n_brain <= plan.n_brain_interval[1]
        assert plan.saved_interval[0] <= plan.saved <= plan.saved_interval[1]


def test_recordings_too_dear_are_not_bought(dataset):
    plan = jb.empirical_allocation(dataset, 290.0, 9.0, 1.0, baseline="ols")
    assert (plan.n_brain, plan.n_task, plan.saved) == (0, 290.0, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budget": -1.0}, "budget must be greater than 0"),
        ({"cost_brain": 0.0}, "cost_brain must be greater than 0"),
        ({"cost_task": np.inf}, "cost_task must be greater than 0 and finite"),
        ({"budget": 1.0}, "budget leaves no split within the sweep"),
        ({"budget": 1e9}, "budget leaves no split within the sweep"),
        ({"baseline": "lasso"}, "baseline must be 'ols' or 'ridge'"),
        ({"confidence": 1.5}, "confidence must lie between"),
        ({"resamples": 3}, "resamples must be between 100 and"),
    ],
)
def test_wrong_arguments_are_named(dataset, change, said):
    arguments = dict(budget=200.0, cost_brain=0.5, cost_task=1.0) | change
    with pytest.raises(ValueError, match=said):
        unwrap(jb.empirical_allocation)(dataset, **arguments)


def test_a_single_seed_has_no_interval(dataset):
    with pytest.raises(ValueError, match="dataset has a single seed"):
        jb.empirical_value(dataset.isel(seed=[0]))
