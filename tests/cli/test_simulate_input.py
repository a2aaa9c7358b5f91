"""What a simulation is asked: grids, trials, files; refused at once, without computing anything."""

from pathlib import Path

import jax
import pytest

from jaxbrain.cli.input.grid import default_trials
from jaxbrain.cli.input.study import read_study
from tests.helpers.cli import refused

GRID = ["--n-brain", "100", "400", "--n-task", "50", "100", "--seeds", "4", "--trials", "20"]


def test_all_that_is_wrong_is_told_at_once(capsys, tmp_path):
    said = refused(
        capsys,
        "simulate",
        "--n-brain",
        "400",
        "100",
        "--n-task",
        "2",
        "--penalty",
        "big",
        "--trials",
        "1",
        "--seeds",
        "1",
        "--max-gigabytes",
        "inf",
        "--seed",
        "9" * 23,
        "--plot",
        str(tmp_path / "risk.txt"),
        "--misalignment",
        "2",
    )
    for part in (
        "misalignment is a share",
        "risk.txt: the name must end in",
        "--penalty must be",
        "--trials must be at least 2",
        "--seeds must be at least 2",
        "--max-gigabytes must be a finite number greater than 0, but it is inf",
        f"--seed must lie between 0 and 4294967295, but it is {'9' * 23}",
        "--n-brain must ascend, but it is 400 100: give 100 400",
    ):
        assert part in said
    said = refused(
        capsys, "simulate", "--n-brain", "400", "100", "--n-task", "2", "--penalty", "2", "1"
    )
    for part in ("--n-task must be at least 8", "--penalty must ascend, but it is 2 1: give 1 2"):
        assert part in said
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(capsys, tmp_path):
    picture = tmp_path / "risk.png"
    picture.write_text("mine")
    assert "--overwrite" in refused(capsys, "simulate", *GRID, "--plot", str(picture))
    assert picture.read_text() == "mine"


def test_a_cluster_that_is_not_there_is_told(capsys, monkeypatch):
    def initialize(**options):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr("jax.distributed.initialize", initialize)
    said = refused(capsys, "simulate", *GRID, "--distributed", "--seeds", "1")
    assert "--distributed: no cluster was found: start it under SLURM, Open MPI or" in said
    assert "coordinator_address" not in said
    assert "--seeds must be at least 2" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seed", "-1"), "--seed must lie between 0 and 4294967295, but it is -1"),
        (
            ("--n-brain", str(2**63 - 1)),
            "--n-brain must lie between 1 and 1e+15, but there is 92233",
        ),
        (("--n-task", "1" + "0" * 400), "--n-task must lie between 1 and 1e+15, but there is 1000"),
        (("--n-task", "-4", "50"), "--n-task must lie between 1 and 1e+15, but there is -4"),
        (("--n-brain", "64"), "--n-brain must be at least 65, but it is as low as 64"),
        (("--penalty", "2", "2"), "--penalty must ascend, but it is 2 2: give 2"),
        (("--penalty", "nan"), "--penalty holds NaN"),
        (("--n-brain", "101.4"), "--n-brain"),
        (("--n-task", "50.5"), "--n-task"),
        (("--trials", "9" * 30), "--trials must be at most 1000000000"),
        (
            ("--method", "data", "--max-gigabytes", "1e-9"),
            "more than --max-gigabytes 1e-09: take a smaller grid, or allow more",
        ),
    ],
)
def test_wrong_numbers_are_told_by_their_option(capsys, arguments, said):
    assert said in refused(capsys, "simulate", *arguments)


def test_too_little_memory_is_told(capsys, monkeypatch):
    def exhausted(*arguments, **options):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")

    monkeypatch.setattr("jaxbrain.simulation.sweep", exhausted)
    said = refused(capsys, "simulate", *GRID)
    assert "there is not enough memory (Out of memory allocating 8 bytes): make" in said


@pytest.mark.parametrize(("preset", "trials"), [("fmri", 2), ("small", 100)])
def test_a_preset_in_a_file_takes_as_many_trials_as_the_option(capsys, tmp_path, preset, trials):
    config = tmp_path / "study.toml"
    config.write_text(f'preset = "{preset}"\n')
    for chosen in (("--config", str(config)), ("--preset", preset)):
        study = read_study(
            Path(chosen[1]) if chosen[0] == "--config" else None,
            {"preset": preset} if chosen[0] == "--preset" else {},
        )
        assert default_trials(study) == trials
