"""The simulation of a report is as large as a short wait allows."""

import pytest

import jaxbrain as jb
from jaxbrain.cli.answers.simulation import simulate
from jaxbrain.cli.input.study import Study


def test_too_large_a_problem_is_not_simulated():
    large = jb.Problem(
        input_dim=20_000,
        latent_dim=5_000,
        recording_dim=100_000,
        latent_noise=0.5,
        recording_noise=4.0,
        gain=30.0,
        aligned_power=[0.8 / 5_000] * 5_000,
        misaligned_power=0.2,
        task_noise=1.0,
    )
    assert simulate(Study(large, 1e5, 1e4, None), 0) is None


@pytest.mark.study
def test_where_draws_are_dear_only_recordings_are_drawn(monkeypatch):
    monkeypatch.setattr("jaxbrain.cli.answers.simulation._PATIENCE", 2.5)
    problem = jb.Problem(
        input_dim=600,
        latent_dim=10,
        recording_dim=600,
        latent_noise=0.5,
        recording_noise=4.0,
        gain=30.0,
        aligned_power=[0.08] * 10,
        misaligned_power=0.2,
        task_noise=1.0,
    )
    found = simulate(Study(problem, 2_000.0, 1_000.0, None), 0)
    assert (found.draws_labels, found.seeds, found.trials) == (False, 2, 4)
    cell = found.found.sel(n_brain=2_000, n_task=1_000)
    assert float(cell.risk_low) < float(cell.risk) < float(cell.risk_high)
    assert float(cell.risk) == pytest.approx(float(jb.risk(problem, 2_000, 1_000)), rel=0.02)
