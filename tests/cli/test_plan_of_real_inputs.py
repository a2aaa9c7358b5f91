"""`jaxbrain plan` and `worth --what-if` where inputs are not white."""

import json

import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.cli import REAL, refused, run, written

PLAN = """
budget = 600
cost_task = 3
input_dim = 40
task_snr = 1.0
estimator = "befs"

[modality.scanner]
latent_dim = 3
encoding_noise = 0.4
misalignment = 0.2
exponent = 1.0
latent_alignment = 1.0
encoding_penalty = 0.05
cost_brain = 0.5
"""


def test_a_plan_is_that_of_python(capsys, tmp_path):
    answer = json.loads(run(capsys, "plan", written(tmp_path, PLAN), "--json"))
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.4, latent_alignment=1.0)
    money = dict(budget=1200.0, cost_brain=1.0, cost_task=6.0)
    expected = jb.optimal_allocation(problem, **money, estimator="befs", encoding_penalty=0.05)
    found = answer["modalities"]["scanner"]
    assert found["n_brain"] == int(expected.n_brain) > 0
    assert found["n_task"] == int(expected.n_task)
    assert found["risk"] == pytest.approx(float(expected.risk), rel=1e-9)
    assert found["encoding_penalty"] == 0.05
    assert found["least_budget"] == pytest.approx(4 * 0.5)
    text = run(capsys, "plan", written(tmp_path, PLAN), "--plot", str(tmp_path / "plan.svg"))
    assert "scanner" in text
    assert (tmp_path / "plan.svg").stat().st_size > 1000


def test_what_is_wrong_with_a_plan_is_said_at_once(capsys, tmp_path):
    np.save(tmp_path / "seen.npy", np.eye(8))
    wrong = PLAN.replace("exponent = 1.0", "exponent = 20").replace("= 0.05", '= "least"')
    said = refused(capsys, "plan", written(tmp_path, wrong))
    assert "[modality.scanner] exponent must lie between 0 and 10, but it is 20" in said
    assert "[modality.scanner] encoding_penalty must be a number or optimal" in said
    for wrong, told in (
        (PLAN.replace("exponent = 1.0", 'features = "seen.npy"'), "features: a modality tells"),
        (PLAN.replace("exponent = 1.0\n", ""), "latent_alignment is about inputs that are not"),
    ):
        assert told in refused(capsys, "plan", written(tmp_path, wrong))


def test_several_modalities_share_a_budget_where_inputs_are_white(capsys, tmp_path):
    other = PLAN[PLAN.index("[modality") :].replace("scanner", "other")
    said = refused(capsys, "plan", written(tmp_path, PLAN + other))
    assert "[modality.scanner] exponent: several modalities share a budget where inputs" in said


def test_what_if_ranks_what_changes_the_worth(capsys, tmp_path, monkeypatch):
    """What `elasticities` says of the study, at its encoding penalty."""

    def elasticities(problem, n_brain, n_task, *, measure, encoding_penalty):
        assert (n_brain, n_task, encoding_penalty) == (60, 40, 0.1)
        assert problem.geometry is not None
        return jb.Elasticities(*(0.1 * np.arange(1, 8) * (1 if measure == "value" else 2)))

    monkeypatch.setattr("jaxbrain.theory.elasticities", elasticities)
    answer = json.loads(run(capsys, "worth", written(tmp_path, REAL), "--what-if", "--json"))
    for measure, scale in (("value", 0.1), ("information_value", 0.2)):
        found = answer["elasticities"][measure]
        assert list(found) == list(jb.Elasticities._fields)
        np.testing.assert_allclose(list(found.values()), scale * np.arange(1, 8))
