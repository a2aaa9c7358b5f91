"""Where the money buys no label, no recordings are bought either."""

import pytest

import jaxbrain as jb


@pytest.mark.parametrize("estimator", ["befs", "befs_two_penalties"])
@pytest.mark.parametrize("price", [501.0, 510.0, 700.0, 1e15])
def test_no_recordings_are_bought_where_no_label_can_be(estimator, price):
    """Recordings alone teach no task; what they seem to gain is rounding."""
    problem = jb.presets.small().problem()
    options = {"estimator": estimator, "baseline": "ridge"}
    plan = jb.optimal_allocation(problem, 500.0, 0.3, price, **options)
    assert float(plan.n_brain) == float(plan.n_task) == float(plan.saved) == 0
    modality = jb.Modality(problem, cost_brain=0.3)
    found = jb.tune_allocation(modality, 500.0, price, **options)
    assert float(found.n_brain) == float(found.n_task) == 0
