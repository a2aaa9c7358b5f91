"""`jaxbrain simulate`: tables, JSON, estimates, pictures, refusals."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jaxbrain as jb
from jaxbrain.cli import main
from jaxbrain.cli.commands.simulate import _CSV, _Progress, _trials
from jaxbrain.cli.input.study import read_study

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


def test_infinite_numbers_are_null_with_a_note_of_their_column(capsys):
    grid = ("--n-brain", "100", "--n-task", "40", "60", "--penalty", "0", "1", "--trials", "20")
    answer = json.loads(run(capsys, *grid, "--json"))
    assert [cell["closed_form"] is None for cell in answer["cells"]] == [True, False, True, False]
    assert "closed_form is infinite in 2 of the 4 cells, where it is null" in answer["notes"]


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
    study, _, power, _, *lines = out.splitlines()
    small = jb.presets.small().problem()
    sizes = small.input_dim, small.latent_dim, small.recording_dim
    assert study == "study: {} inputs, {} latents, {} channels".format(*sizes)
    assert power == f"risk of predicting 0: {float(small.total_power):.4g}"
    header = "brain samples labels penalty risk closed-form risk z value 95 % closed-form value"
    assert " ".join(lines[0].split()) == header
    assert [line.split()[0] for line in lines[1:5]] == ["100", "100", "400", "400"]
    assert "2 seeds of 3 trials, method data" in out


def test_an_estimate_runs_next_to_nothing(capsys):
    out = run(capsys, *GRID[:6], "--seeds", "1000", "--trials", "100000", "--dry-run")
    assert "4 (2 x 2 x 1)" in out
    assert "100000000 (1000 seeds of 100000)" in out
    assert "GB" in out
    assert " h on 1 device(s)" in out


def test_a_long_simulation_is_told_beside_the_answer(capsys, monkeypatch):
    main(["simulate", *GRID, "--json"])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("jaxbrain.cli.commands.simulate._LONG_S", 0.0)
    main(["simulate", *GRID, "--json"])
    printed = capsys.readouterr()
    assert json.loads(printed.out)["configuration"]["trials"] == 20
    lines = printed.err.splitlines()
    size = "4 cells (2 x 2 x 1), 4 seeds of 20 trials: "
    assert lines
    for line in lines:
        assert line.startswith(size)
        assert re.search(r" 2/4, about [\d.e-]+ s left$", line)


def test_the_time_left_leaves_out_the_compilation(capsys, monkeypatch):
    clock = iter([100.0, 130.0, 160.0])
    monkeypatch.setattr("jaxbrain.cli.commands.simulate.time.perf_counter", lambda: next(clock))
    progress = _Progress("12 cells", terminal=False)
    for done in (1, 2, 3):
        progress("subspaces", done, 10)
    assert capsys.readouterr().err == "12 cells: subspaces 2/10, about 4 min left\n"


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


@pytest.mark.parametrize(("preset", "trials"), [("fmri", 2), ("small", 100)])
def test_a_preset_in_a_file_takes_as_many_trials_as_the_option(capsys, tmp_path, preset, trials):
    config = tmp_path / "study.toml"
    config.write_text(f'preset = "{preset}"\n')
    for chosen in (("--config", str(config)), ("--preset", preset)):
        study = read_study(
            Path(chosen[1]) if chosen[0] == "--config" else None,
            {"preset": preset} if chosen[0] == "--preset" else {},
        )
        assert _trials(study) == trials


def test_numbers_of_a_config_are_its_grid(capsys, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(
        "n_brain = 40\nn_task = 30\ntask_snr = 1\nmisalignment = 0.2\n[problem]\ninput_dim = 12\nlatent_dim = 2\n"
        "encoding_noise = 0.5\n"
    )
    options = ("--config", str(config), "--trials", "10", "--seeds", "3", "--json")
    for given, grid in (((), (40, 30)), (("--n-task", "20"), (40, 20))):
        (cell,) = json.loads(run(capsys, *options, *given))["cells"]
        assert (cell["n_brain"], cell["n_task"]) == grid


def test_all_that_is_wrong_is_told_at_once(capsys, tmp_path):
    said = refused(
        capsys, "--n-brain", "400", "100", "--n-task", "2", "--penalty", "big", "--trials", "1",
        "--seeds", "1", "--max-gigabytes", "inf", "--seed", "9" * 23, "--plot", str(tmp_path / "risk.txt"),
        "--misalignment", "2",
    )  # fmt: skip
    for part in (
        "misalignment is a share", "risk.txt: the name must end in", "--penalty must be",
        "--trials must be at least 2", "--seeds must be at least 2",
        "--max-gigabytes must be a finite number greater than 0, but it is inf",
        f"--seed must lie between 0 and 4294967295, but it is {'9' * 23}",
        "--n-brain must ascend, but it is 400 100: give 100 400",
    ):  # fmt: skip
        assert part in said
    said = refused(capsys, "--n-brain", "400", "100", "--n-task", "2", "--penalty", "2", "1")
    for part in ("--n-task must be at least 8", "--penalty must ascend, but it is 2 1: give 1 2"):
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
    said = refused(capsys, *GRID, "--distributed", "--seeds", "1")
    assert "--distributed: no cluster was found: start it under SLURM, Open MPI or" in said
    assert "coordinator_address" not in said
    assert "--seeds must be at least 2" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seed", "-1"), "--seed must lie between 0 and 4294967295, but it is -1"),
        (("--n-brain", str(2**63 - 1)), "--n-brain must lie between 1 and 1e+15, but there is 92233"),
        (("--n-task", "1" + "0" * 400), "--n-task must lie between 1 and 1e+15, but there is 1000"),
        (("--n-task", "-4", "50"), "--n-task must lie between 1 and 1e+15, but there is -4"),
        (("--n-brain", "64"), "--n-brain must be at least 65, but it is as low as 64"),
        (("--penalty", "2", "2"), "--penalty must ascend, but it is 2 2: give 2"),
        (("--penalty", "nan"), "--penalty holds NaN"),
        (("--trials", "9" * 30), "--trials must be at most 1000000000"),
        (("--method", "data", "--max-gigabytes", "1e-9"), "--max-gigabytes, in bytes, must be at least"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_told_by_their_option(capsys, arguments, said):
    assert said in refused(capsys, *arguments)


@pytest.mark.parametrize("penalty", ["optimal", "1"])
def test_a_cell_without_a_closed_form_is_told_and_kept(capsys, tmp_path, penalty):
    arguments = ("--n-brain", "65", "100", "--n-task", "50", "--seeds", "2", "--trials", "2",
                 "--penalty", penalty)  # fmt: skip
    file, picture = tmp_path / "kept.NC", tmp_path / "risk.svg"
    out = run(capsys, *arguments, "--save", str(file), "--plot", str(picture))
    lines = out.splitlines()
    first, second = lines[5:7]
    assert lines[-2:] == [f"wrote {file}", f"wrote {picture}"]
    assert first.split()[0] == "65"
    assert "undefined" in first
    assert "undefined" not in second
    assert "nan" not in out
    assert picture.exists()
    assert jb.read_table(file).n_brain.values.tolist() == [65, 100]
    cells = json.loads(run(capsys, *arguments, "--json"))["cells"]
    assert cells[0]["closed_form"] is None
    assert cells[1]["closed_form"] > 0


def test_only_files_that_would_be_replaced_are_complained_of(capsys, tmp_path):
    others = {tmp_path / name: name for name in ("kept.csv", "kept.mine.csv", "kept.n_brain.csv")}
    for file, text in others.items():
        file.write_text(text)
    run(capsys, *GRID[:2], "--n-task", "50", "--seeds", "2", "--trials", "2",
        "--save", str(tmp_path / "kept.nc"))  # fmt: skip
    assert {file: file.read_text() for file in others} == others
    made = {file.name for file in tmp_path.iterdir()} - {file.name for file in others}
    assert made == {"kept.nc", *(f"kept.{dimensions}.csv" for dimensions in _CSV)}


def test_a_failed_figure_leaves_nothing_behind(capsys, tmp_path, monkeypatch):
    def full(figure, file, **options):
        Path(file).write_bytes(b"a part of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    said = refused(capsys, *GRID[:2], "--n-task", "50", "--seeds", "2", "--trials", "2",
                   "--save", str(tmp_path / "kept.nc"), "--plot", str(tmp_path / "a.png"))  # fmt: skip
    assert "a.png: cannot be written (No space left on device)" in said
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_told(capsys, monkeypatch):
    def exhausted(*arguments, **options):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")

    monkeypatch.setattr("jaxbrain.simulation.sweep", exhausted)
    said = refused(capsys, *GRID)
    assert "there is not enough memory (Out of memory allocating 8 bytes): make" in said


def test_processes_are_joined_before_anything_is_computed():
    """As one process of Open MPI, which JAX detects by these variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launched = {
        "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
        "OMPI_COMM_WORLD_SIZE": "1",
        "OMPI_COMM_WORLD_RANK": "0",
        "OMPI_COMM_WORLD_LOCAL_RANK": "0",
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
    }
    program = (
        "import jax; from jaxbrain.cli import main;"
        "main(['simulate', '--distributed', '--n-brain', '100', '--n-task', '50', '--seeds', '2',"
        "'--trials', '2']); print('joined', jax.distributed.is_initialized())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | launched,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "joined True"
