"""The simulation of a report is as large as a short wait allows."""

import pytest

import jaxbrain as jb
from jaxbrain.cli.answers.simulation import simulate
from jaxbrain.study import Study
from tests.helpers.problems import imaging_problem


def test_too_large_a_problem_is_not_simulated():
    large = imaging_problem(20_000, 5_000, 100_000)
    assert simulate(Study(large, 1e5, 1e4, None), 0) is None


@pytest.mark.study
def test_where_draws_are_dear_only_recordings_are_drawn(monkeypatch):
    monkeypatch.setattr("jaxbrain.cli.answers.simulation._PATIENCE", 2.5)
    problem = imaging_problem(600, 10, 600)
    found = simulate(Study(problem, 2_000.0, 1_000.0, None), 0)
    assert (found.draws_labels, found.seeds, found.trials) == (False, 2, 4)
    cell = found.found.sel(n_brain=2_000, n_task=1_000)
    assert float(cell.risk_low) < float(cell.risk) < float(cell.risk_high)
    assert float(cell.risk) == pytest.approx(float(jb.risk(problem, 2_000, 1_000)), rel=0.02)
    # What the information is worth is known all the same.
    assert "value_ols" not in cell
    low, worth, high = (float(cell[f"information_value{end}"]) for end in ("_low", "", "_high"))
    assert low < worth < high
    assert abs(worth - float(jb.information_value(problem, 2_000, 1_000))) < high - low
    assert high - low < 0.1 * worth
