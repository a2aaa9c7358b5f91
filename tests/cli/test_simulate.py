"""`jaxbrain simulate`: tables, JSON, files, pictures. One grid serves most tests."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli import main
from jaxbrain.cli.answers.sweep import answer_of, curves_of
from jaxbrain.cli.commands.simulate import _CSV, _Progress
from jaxbrain.cli.input.study import read_study
from tests.helpers.cli import STUDY, refused, run, written

GRID = ["--n-brain", "100", "400", "--n-task", "50", "100", "--seeds", "4", "--trials", "20"]


def simulated(capsys, *arguments):
    return run(capsys, "simulate", *arguments)


@pytest.fixture(scope="module")
def drawn():
    """What GRID simulates, computed once."""
    return jb.sweep(
        jb.presets.small().problem(),
        [100, 400],
        [50, 100],
        seeds=4,
        trials=20,
        key=jax.random.key(0),
    )


@pytest.fixture
def ready(drawn, monkeypatch):
    """The command finds the sweep done already."""
    monkeypatch.setattr("jaxbrain.simulation.sweep", lambda *_, **__: drawn)


def test_cells_stand_beside_their_closed_form(capsys, tmp_path):
    picture = tmp_path / "risk.png"
    answer = json.loads(simulated(capsys, *GRID, "--json", "--plot", str(picture)))
    assert picture.stat().st_size > 10_000
    problem = jb.presets.small().problem()
    cells = answer["cells"]
    assert [(cell["n_brain"], cell["n_task"]) for cell in cells] == [
        (100, 50),
        (100, 100),
        (400, 50),
        (400, 100),
    ]
    for cell in cells:
        claim = float(jb.risk(problem, cell["n_brain"], cell["n_task"]))
        assert cell["closed_form"] == pytest.approx(claim, rel=1e-9)
        assert cell["z"] == pytest.approx((cell["risk"] - claim) / cell["standard_error"], rel=1e-6)
        assert abs(cell["z"]) < 5
        assert cell["value_low"] < cell["value"] < cell["value_high"]
    assert answer["configuration"]["trials"] == 20


def test_what_a_figure_shows_is_the_sweep_and_the_closed_form(drawn):
    problem = jb.presets.small().problem()
    points, lines = curves_of(drawn, problem)
    np.testing.assert_allclose(points.risk, drawn.risk.mean("seed"))
    spread = np.sqrt((drawn.risk_standard_error**2).sum("seed")) / 4
    np.testing.assert_allclose(points.standard_error, spread)
    labels = lines.n_task.values
    assert (labels[0], labels[-1], len(labels)) == (50, pytest.approx(100), 100)
    for amount in (100, 400):
        claims = jb.risk(problem, float(amount), labels)
        np.testing.assert_allclose(lines.sel(n_brain=amount)[:, 0], claims, rtol=1e-12)
    # The closed form starts beyond input_dim + 1 recordings.
    fewer = drawn.assign_coords(n_brain=[65, 400])
    assert np.isnan(curves_of(fewer, problem)[1].sel(n_brain=65)).all()


def test_infinite_numbers_are_null_with_a_note_of_their_column(drawn):
    closed = (np.inf, 1.0, np.inf, 2.0)
    rows = [{"n_brain": 100, "risk": 0.5, "closed_form": claim, "z": np.nan} for claim in closed]
    answer = answer_of(drawn, rows, ["said before"])
    assert [cell["closed_form"] is None for cell in answer["cells"]] == [True, False, True, False]
    assert [cell["z"] for cell in answer["cells"]] == [None] * 4
    note = "closed_form is infinite in 2 of the 4 cells, where it is null"
    assert answer["notes"] == ["said before", note]


def test_the_dataset_is_kept_and_never_replaced_unasked(capsys, tmp_path, ready):
    file = tmp_path / "kept.nc"
    answer = json.loads(simulated(capsys, *GRID, "--json", "--save", str(file)))
    kept = jb.read_table(file)
    risks = kept.risk.mean("seed").values.ravel()
    assert risks == pytest.approx([cell["risk"] for cell in answer["cells"]], rel=1e-12)
    assert kept.attrs["trials"] == 20
    assert (tmp_path / "kept.n_brain-n_task-penalty-seed.csv").read_text().count("\n") == 17
    file.unlink()
    mine = tmp_path / "kept.n_brain-seed.csv"
    mine.write_text("mine")
    error = refused(capsys, "simulate", *GRID, "--save", str(file))
    assert "kept.n_brain-seed.csv exists already: pass --overwrite" in error
    assert mine.read_text() == "mine"
    assert not file.exists()
    simulated(capsys, *GRID, "--save", str(file), "--overwrite")
    assert mine.read_text() != "mine"
    said = refused(capsys, "simulate", *GRID, "--save", str(tmp_path / "kept.csv"))
    assert "must end in .nc" in said


def test_the_table_has_a_line_for_each_cell(capsys, ready):
    study, _, power, _, *lines = simulated(capsys, *GRID).splitlines()
    small = jb.presets.small().problem()
    sizes = small.input_dim, small.latent_dim, small.recording_dim
    assert study == "study: {} inputs, {} latents, {} channels".format(*sizes)
    assert power == f"risk of predicting 0: {float(small.total_power):.4g}"
    header = "brain samples labels penalty risk closed-form risk z value 95 % closed-form value"
    assert " ".join(lines[0].split()) == header
    assert [line.split()[0] for line in lines[1:5]] == ["100", "100", "400", "400"]
    assert "4 seeds of 20 trials, method reduced" in lines[-1]


@pytest.mark.study
def test_the_data_method(capsys):
    few = ("--seeds", "2", "--trials", "3", "--method", "data", "--penalty", "1", "inf")
    out = simulated(capsys, *GRID[:3], "--n-task", "50", *few)
    assert [line.split()[0] for line in out.splitlines()[5:9]] == ["100", "100", "400", "400"]
    assert "2 seeds of 3 trials, method data" in out


def test_an_estimate_runs_next_to_nothing(capsys, monkeypatch, drawn):
    asked = []

    def sweep(problem, n_brain, n_task, **options):
        asked.append((options["trials"], options["seeds"]))
        time.sleep(0.01)
        return drawn.isel(seed=[0]).assign_attrs(working_bytes=1.5e9)

    monkeypatch.setattr("jaxbrain.simulation.sweep", sweep)
    out = simulated(capsys, *GRID[:6], "--seeds", "1000", "--trials", "100000", "--dry-run")
    # Once to compile and once to measure.
    assert asked == [(2, 1), (2, 1)]
    assert "4 (2 x 2 x 1)" in out
    assert "100000000 (1000 seeds of 100000)" in out
    assert "1.5 GB" in out
    assert re.search(r"about [\d.]+ h on \d+ device\(s\), compilation apart", out)


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
    config = written(tmp_path, STUDY)
    cell = json.loads(simulated(capsys, config, *GRID, "--json"))["cells"][0]
    problem = read_study(Path(config), {}).problem
    assert cell["closed_form"] == pytest.approx(float(jb.risk(problem, 100, 50)), rel=1e-9)


def test_numbers_of_a_config_are_its_grid(capsys, tmp_path, monkeypatch):
    grids = []

    def sweep(problem, n_brain, n_task, **options):
        grids.append((n_brain, n_task))
        raise ValueError("seen enough")

    monkeypatch.setattr("jaxbrain.simulation.sweep", sweep)
    config = written(tmp_path, STUDY)
    for given in ((), ("--n-task", "20")):
        assert "seen enough" in refused(capsys, "simulate", config, *given)
    assert grids == [((100,), (50,)), ((100,), (20,))]


@pytest.mark.parametrize("as_json", [False, True])
def test_parts_of_samples_are_rounded_and_said(capsys, tmp_path, ready, as_json):
    text = STUDY.replace("n_brain = 100", "hours = 5.07").replace("n_task = 50", "n_task = 49.6")
    config = written(tmp_path, text)
    out = simulated(capsys, config, *(("--json",) if as_json else ()))
    notes = json.loads(out)["notes"] if as_json else out.splitlines()
    for said in ("n_brain = 101.4 is simulated as 101", "n_task = 49.6 is simulated as 50"):
        assert sum(said in note for note in notes) == 1
    # Numbers on the command line take their place.
    assert "simulated as" not in simulated(capsys, config, *GRID)


@pytest.mark.parametrize("penalty", ["optimal", "1"])
def test_a_cell_without_a_closed_form_is_told_and_kept(capsys, tmp_path, penalty):
    arguments = ("--n-brain", "65", "100", *GRID[3:], "--penalty", penalty)
    file, picture = tmp_path / "kept.NC", tmp_path / "risk.svg"
    out = simulated(capsys, *arguments, "--save", str(file), "--plot", str(picture))
    lines = out.splitlines()
    first, _, second = lines[5:8]
    assert lines[-2:] == [f"wrote {file}", f"wrote {picture}"]
    assert first.split()[0] == "65"
    assert "undefined" in first
    assert "undefined" not in second
    assert "nan" not in out
    assert picture.exists()
    assert jb.read_table(file).n_brain.values.tolist() == [65, 100]
    cells = json.loads(simulated(capsys, *arguments, "--json"))["cells"]
    assert cells[0]["closed_form"] is None
    assert cells[2]["closed_form"] > 0


def test_only_files_that_would_be_replaced_are_complained_of(capsys, tmp_path, ready):
    others = {tmp_path / name: name for name in ("kept.csv", "kept.mine.csv", "kept.n_brain.csv")}
    for file, text in others.items():
        file.write_text(text)
    simulated(capsys, *GRID, "--save", str(tmp_path / "kept.nc"))
    assert {file: file.read_text() for file in others} == others
    made = {file.name for file in tmp_path.iterdir()} - {file.name for file in others}
    assert made == {"kept.nc", *(f"kept.{dimensions}.csv" for dimensions in _CSV)}


def test_a_failed_figure_leaves_nothing_behind(capsys, tmp_path, monkeypatch, ready):
    def full(figure, file, **options):
        file.write(b"a part of it")
        raise MemoryError

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    files = ("--save", str(tmp_path / "kept.nc"), "--plot", str(tmp_path / "a.png"))
    said = refused(capsys, "simulate", *GRID, *files)
    assert "there is not enough memory" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.study
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
