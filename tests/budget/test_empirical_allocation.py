"""The best split that a sweep knows: whole labels, and never more money than there is."""

from fractions import Fraction

import numpy as np
import pytest
import xarray

import jaxbrain as jb

SEEDS = 4


@pytest.fixture(scope="module")
def dataset():
    """Risks that labels and recordings lower for certain, with no noise between seeds."""
    n_brain, n_task, alone = np.array([50, 100]), np.arange(10, 1010, 100), np.arange(10, 2010, 100)
    risk = 20 / (n_task[None] + n_brain[:, None])
    return xarray.Dataset(
        {
            "risk": (
                ("n_brain", "n_task", "penalty", "seed"),
                np.repeat(risk[:, :, None, None], SEEDS, axis=3),
            ),
            "ridge_risk": (("n_task_only", "seed"), np.repeat(20 / alone[:, None], SEEDS, axis=1)),
        },
        coords={"n_brain": n_brain, "n_task": n_task, "penalty": [1.0], "n_task_only": alone},
        attrs={"input_dim": 20, "risk_of_predicting_zero": 8.0},
    )


@pytest.mark.parametrize(
    ("budget", "cost_brain", "cost_task"),
    # In binary 0.1 is a trifle more than a tenth: 41 buy 409 labels.
    [(41.0, 0.3, 0.1), (41.0, 0.05, 0.1), (100.3, 0.7, 0.3), (300, 2.0, 1.0), (77.7, 0.01, 0.11)],
)
def test_a_plan_is_whole_and_within_the_budget(dataset, budget, cost_brain, cost_task):
    plan = jb.empirical_allocation(dataset, budget, cost_brain, cost_task, resamples=100)
    price, label = Fraction(cost_brain), Fraction(cost_task)
    left = Fraction(budget) - price * plan.n_brain
    assert plan.n_task == left // label
    assert plan.n_task_without_brain == Fraction(budget) // label
    assert plan.spent_on_brain + plan.spent_on_task <= budget
    assert plan.spent_on_brain == pytest.approx(cost_brain * plan.n_brain)
    assert plan.spent_on_task == pytest.approx(cost_task * plan.n_task)
    # A recording does here what a label does.
    assert plan.n_brain == (100 if cost_brain < cost_task else 0)
    rival = plan.n_brain + plan.n_task
    assert plan.risk == pytest.approx(20 / rival, rel=1e-9)
    spent = plan.spent_on_brain + plan.spent_on_task
    saved = 1 - spent / (cost_task * rival) if plan.n_brain else 0
    assert plan.saved == pytest.approx(saved, abs=1.5 / rival)
