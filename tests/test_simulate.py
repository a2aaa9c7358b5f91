"""`jaxbrain simulate`: tables, JSON, estimates, pictures, refusals."""

import json

import pytest

import jaxbrain as jb
from jaxbrain.cli import main

GRID = ["--n-brain", "100", "400", "--n-task", "50", "100", "--seeds", "4", "--trials", "20"]


def run(capsys, *arguments):
    main(["simulate", *arguments])
    return capsys.readouterr().out


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as raised:
        main(["simulate", *arguments])
    assert raised.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_cells_stand_beside_their_closed_form(capsys, tmp_path):
    picture = tmp_path / "risk.png"
    out = run(capsys, *GRID, "--json", "--plot", str(picture))
    answer = json.loads(out)
    assert picture.stat().st_size > 10_000
    problem = jb.presets.small().problem()
    cells = answer["cells"]
    assert [(cell["n_brain"], cell["n_task"]) for cell in cells] == [
        (100, 50), (100, 100), (400, 50), (400, 100)
    ]  # fmt: skip
    for cell in cells:
        claim = float(jb.risk(problem, cell["n_brain"], cell["n_task"]))
        assert cell["closed_form"] == pytest.approx(claim, rel=1e-9)
        assert cell["z"] == pytest.approx((cell["risk"] - claim) / cell["standard_error"], rel=1e-6)
        assert abs(cell["z"]) < 5
        assert cell["value_low"] < cell["value"] < cell["value_high"]
    assert answer["configuration"]["trials"] == 20


def test_the_dataset_is_kept_and_never_replaced_unasked(capsys, tmp_path):
    file = tmp_path / "kept.nc"
    answer = json.loads(run(capsys, *GRID, "--json", "--save", str(file)))
    kept = jb.read_table(file)
    risks = kept.risk.mean("seed").values.ravel()
    assert risks == pytest.approx([cell["risk"] for cell in answer["cells"]], rel=1e-12)
    assert kept.attrs["trials"] == 20
    assert (tmp_path / "kept.n_brain-n_task-penalty-seed.csv").read_text().count("\n") == 17
    file.unlink()
    mine = tmp_path / "kept.n_brain-seed.csv"
    mine.write_text("mine")
    error = refused(capsys, *GRID, "--save", str(file))
    assert "kept.n_brain-seed.csv exists already: pass --overwrite" in error
    assert mine.read_text() == "mine"
    assert not file.exists()
    run(capsys, *GRID, "--save", str(file), "--overwrite")
    assert mine.read_text() != "mine"
    assert "must end in .nc" in refused(capsys, *GRID, "--save", str(tmp_path / "kept.csv"))


def test_the_table_and_the_data_method(capsys):
    out = run(capsys, *GRID[:3], "--n-task", "50", "--seeds", "2", "--trials", "3", "--method", "data",
              "--penalty", "1", "inf")  # fmt: skip
    lines = out.splitlines()
    header = "brain samples labels penalty risk closed form z value 95 % closed form"
    assert " ".join(lines[0].split()) == header
    assert [line.split()[0] for line in lines[1:5]] == ["100", "100", "400", "400"]
    assert "2 seeds of 3 trials, method data" in out


def test_an_estimate_runs_next_to_nothing(capsys):
    out = run(capsys, *GRID[:6], "--seeds", "1000", "--trials", "100000", "--dry-run")
    assert "4 (2 x 2 x 1)" in out
    assert "100000000 (1000 seeds of 100000)" in out
    assert "GB" in out
    assert " h on 1 device(s)" in out


def test_a_config_gives_the_study(capsys, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(
        "task_snr = 1\nmisalignment = 0.2\n[problem]\ninput_dim = 12\nlatent_dim = 2\nencoding_noise = 0.5\n"
    )
    out = run(capsys, "--config", str(config), "--n-brain", "30", "--n-task", "20", "--json",
              "--trials", "10", "--seeds", "3")  # fmt: skip
    cell = json.loads(out)["cells"][0]
    problem = jb.Problem.isotropic(12, 2, 1.0, 0.2, 0.5)
    assert cell["closed_form"] == pytest.approx(float(jb.risk(problem, 30, 20)), rel=1e-9)
    assert "--n-brain is missing" in refused(capsys, "--config", str(config))


def test_all_that_is_wrong_is_told_at_once(capsys, tmp_path):
    said = refused(
        capsys, "--n-brain", "400", "100", "--n-task", "2", "--penalty", "big", "--trials", "1",
        "--seeds", "1", "--max-gigabytes", "0", "--plot", str(tmp_path / "risk.txt"),
        "--misalignment", "2",
    )  # fmt: skip
    for part in (
        "misalignment is a share", "risk.txt: the name must end in", "--penalty must be",
        "--trials must be at least 2", "--seeds must be at least 2", "--max-gigabytes",
    ):  # fmt: skip
        assert part in said
    said = refused(capsys, "--n-brain", "400", "100", "--n-task", "2", "--penalty", "2", "1")
    for part in ("n_brain must ascend", "n_task must be at least 8", "penalty must ascend"):
        assert part in said
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(capsys, tmp_path):
    picture = tmp_path / "risk.png"
    picture.write_text("mine")
    assert "--overwrite" in refused(capsys, *GRID, "--plot", str(picture))
    assert picture.read_text() == "mine"


def test_a_cluster_that_is_not_there_is_told(capsys, monkeypatch):
    def initialize():
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr("jax.distributed.initialize", initialize)
    assert "--distributed: no cluster was found" in refused(capsys, *GRID, "--distributed")
