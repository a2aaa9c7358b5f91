"""`jaxbrain simulate` and `jaxbrain report` where inputs are not white.

What is computed is of the size of tests/cli/test_worth_of_real_inputs.py. Closed forms of pages are
replaced by what is quick: that they are those of the library is a study.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray

import jaxbrain as jb
from jaxbrain.budget import Allocation, Frontier
from jaxbrain.cli import main
from jaxbrain.cli.answers.draws import draws_within
from jaxbrain.cli.answers.report import content_of
from jaxbrain.cli.answers.simulation import Simulation, simulate
from jaxbrain.cli.input.study import read_prices, read_study
from jaxbrain.cli.page.page import page_of
from tests.helpers.cli import REAL, refused, run, written
from tests.helpers.fake_sweeps import fake_sweep
from tests.helpers.page import Page, first_number

GRID = ("--n-brain", "20", "60", "--n-task", "20", "40", "--trials", "8", "--seeds", "4")


class Asked(Exception):
    """Ends what would compute, once it has been asked."""


@pytest.fixture
def asked(monkeypatch):
    """What a sweep is asked for; it ends there."""
    found = {}

    def sweep(problem, n_brain, n_task, **options):
        found.update(options, problem=problem, n_brain=list(n_brain), n_task=list(n_task))
        raise Asked

    monkeypatch.setattr("jaxbrain.simulation.sweep", sweep)
    return found


@pytest.mark.study
def test_cells_stand_beside_their_closed_form(capsys, tmp_path):
    config, file = written(tmp_path, REAL), tmp_path / "kept.nc"
    out = run(capsys, "simulate", config, *GRID, "--json", "--save", str(file))
    answer, kept = json.loads(out), jb.read_table(file)
    assert answer["baseline"] == "ridge"
    assert answer["configuration"]["estimator"] == "befs_two_penalties"
    problem = read_study(Path(config), {}).problem
    # In the shapes, and so by the program, that the sweep asked for its penalties in.
    n_brain, n_task = np.array([20.0, *[60.0] * 3])[:, None], np.array([20.0, *[40.0] * 7])[None]
    options = dict(encoding_penalty=np.full((4, 1), 0.1))
    claims, worths = (
        np.asarray(law(problem, n_brain, n_task, **options))[:2, :2].ravel()
        for law in (jb.two_penalty_risk, jb.information_value)
    )
    for cell, claim, worth in zip(answer["cells"], claims, worths, strict=True):
        # Given penalties are searched for in other places than the best ones.
        assert cell["closed_form"] == pytest.approx(claim, rel=1e-3)
        assert cell["value_closed_form"] == pytest.approx(worth, rel=1e-2)
        off = cell["risk"] - cell["closed_form"]
        assert cell["z"] == pytest.approx(off / cell["standard_error"], rel=1e-9)
        assert abs(cell["z"]) < 5
    risks = kept.risk.mean("seed").values.ravel()
    assert risks == pytest.approx([cell["risk"] for cell in answer["cells"]], rel=1e-12)


def test_the_table_says_what_is_simulated(capsys, tmp_path, monkeypatch):
    config = written(tmp_path, REAL)
    swept = fake_sweep(np.random.default_rng(0), 4, 10).isel(penalty=[1])
    swept = swept.assign(
        risk_standard_error=0.01 + 0 * swept.risk, penalty_used=swept.risk.mean("seed"),
        inside_penalty_used=swept.risk.mean("seed") / 10,
    ).assign_attrs(
        estimator="befs_two_penalties", encoding_penalty=[0.1], failed_cells=0, seeds=4, trials=10,
        method="reduced", wall_time_s=1.0,
    )  # fmt: skip
    monkeypatch.setattr("jaxbrain.simulation.sweep", lambda *_, **__: swept)

    def closed_form(problem, n_brain, n_task, *penalties, encoding_penalty):
        assert float(encoding_penalty) == 0.1
        assert penalties[1] == pytest.approx(np.broadcast_to(penalties[0] / 10, penalties[1].shape))
        return np.broadcast_to(0.4, np.broadcast_shapes(n_brain.shape, n_task.shape, (1, 1, 1)))

    monkeypatch.setattr("jaxbrain.theory.two_penalty_risk", closed_form)
    monkeypatch.setattr(
        "jaxbrain.theory.any_covariance.value_of_cells", lambda p, risk, n, baseline: 100 * risk
    )
    lines = run(capsys, "simulate", config, *GRID).splitlines()
    assert lines[:5] == [
        "study: 40 inputs of variance 9.35 to 0.234, 3 latents, many channels",
        "task: SNR 1, misalignment 0.2",
        "risk of predicting 0: 1",
        "estimator: BEFS with two penalties; values are against ridge regression",
        "encoding penalty: 0.1",
    ]
    cells = [line.split() for line in lines[7:15]]
    assert [cell[:2] for cell in cells[:2]] == [["100", "20"], ["100", "40"]]
    assert all(cell[-1] == "40" for cell in cells)


def test_a_study_is_simulated_as_it_is_described(asked, tmp_path):
    config = written(tmp_path, REAL)
    with pytest.raises(Asked):
        main(["simulate", config, "--estimator", "banded_ridge", "--encoding-penalty", "optimal"])
    assert (asked["n_brain"], asked["n_task"]) == ([60], [40])
    assert (asked["estimator"], asked["encoding_penalty"]) == ("banded_ridge", "optimal")
    with pytest.raises(Asked):
        main(["simulate", config, "--exponent", "0.5", "--n-brain", "5", "--n-task", "1"])
    assert (asked["n_brain"], asked["n_task"], asked["encoding_penalty"]) == ([5], [1], 0.1)
    variances = np.asarray(asked["problem"].geometry.variances)
    assert variances[0] / variances[3] == pytest.approx(2)
    # White inputs are asked for as ever.
    asked.clear()
    with pytest.raises(Asked):
        main(["simulate", "--n-brain", "100", "--n-task", "50"])
    assert asked["estimator"] == "befs"
    assert "encoding_penalty" not in asked


def test_the_preset_of_images_has_a_grid(asked, monkeypatch):
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    monkeypatch.setattr("jaxbrain.study.described.preset_problem", lambda *_: problem)
    with pytest.raises(Asked):
        main(["simulate", "--preset", "images"])
    assert (asked["n_brain"], asked["n_task"]) == ([250, 500, 1000], [125, 250, 500])
    assert (asked["trials"], asked["encoding_penalty"]) == (2, "optimal")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--penalty", "1"), "--penalty must be optimal or empirical, since befs_two_penalties"),
        (("--encoding-penalty", "0", "--n-brain", "40"), "--n-brain must be at least 41"),
        (("--n-task", "0"), "--n-task must lie between 1 and"),
        (("--encoding-penalty", "best"), "--encoding-penalty must be a number or optimal"),
    ],
)
def test_wrong_numbers_are_told(capsys, tmp_path, asked, arguments, said):
    assert said in refused(capsys, "simulate", written(tmp_path, REAL), *arguments)
    assert not asked


def test_files_of_a_sweep_with_encoding_penalties_of_its_own_are_not_replaced(
    capsys, tmp_path, asked
):
    (tmp_path / "kept.n_brain-n_task-seed.csv").write_text("mine")
    options = ("--save", str(tmp_path / "kept.nc"))
    config = written(tmp_path, REAL)
    with pytest.raises(Asked):
        main(["simulate", config, *options])
    said = refused(capsys, "simulate", config, *options, "--encoding-penalty", "optimal")
    assert "kept.n_brain-n_task-seed.csv exists already" in said


# The report.


@pytest.fixture
def laws(monkeypatch):
    """Closed forms that fall with both numbers, and cost nothing."""
    asked = []

    def falling(scale):
        def law(problem, n_brain, n_task, *, encoding_penalty):
            asked.append((np.shape(n_brain), np.shape(n_task), encoding_penalty))
            return scale / (1 + np.asarray(n_task) / 40) / (1 + np.asarray(n_brain) / 200)

        return law

    def worth(problem, n_brain, n_task, *, encoding_penalty):
        risk = falling(0.9)(problem, n_brain, n_task, encoding_penalty=encoding_penalty)
        values = {name: 10 * risk for name in jb.Worth._fields} | {
            "risk": risk, "task_only_risk": np.inf + 0 * risk, "ridge_risk": 1.1 * risk,
            "worse_than_predicting_zero": risk > 0.8,
        }  # fmt: skip
        return jb.Worth(**values)

    monkeypatch.setattr("jaxbrain.theory.worth", worth)
    monkeypatch.setattr("jaxbrain.theory.two_penalty_risk", falling(0.8))
    monkeypatch.setattr("jaxbrain.theory.banded_ridge_risk", falling(0.7))

    def elasticities(problem, n_brain, n_task, *, measure, encoding_penalty):
        assert encoding_penalty == 0.1
        return jb.Elasticities(*(0.1 * np.arange(1, 8)))

    def optimal_allocation(problem, *money, estimator, baseline, encoding_penalty):
        assert (estimator, baseline, encoding_penalty) == ("befs_two_penalties", "ridge", 0.1)
        amounts = np.array([4.0, 40.0, 70.0, np.nan])
        frontier = Frontier(amounts, 100 - amounts, 0.5 + amounts / 1000)
        return Allocation(40.0, 60.0, 0.54, 80.0, 60.0, 160.0, 0.6, 0.2, frontier)

    monkeypatch.setattr("jaxbrain.theory.elasticities", elasticities)
    monkeypatch.setattr("jaxbrain.budget.optimal_allocation", optimal_allocation)
    monkeypatch.setattr("jaxbrain.cli.page.pictures._image", lambda *_, **__: "data:,")
    return asked


def read(tmp_path, text=REAL):
    config = tmp_path / "study.toml"
    config.write_text(text)
    return read_study(config, {})


def test_a_page_tells_what_that_of_white_inputs_does(tmp_path, laws):
    study = read(tmp_path)
    prices = {"cost_brain": 2.0, "cost_task": 1.0}
    made = content_of("real", study, read_prices(None, prices, study), False, 0)
    page = Page(page_of(made))
    for said in (
        "The law of large budgets is for white inputs.",
        "Inputs are Gaussian, of these variances",
        "assumes Gaussian inputs, linear brain",
        "usually within 2 % of exact simulation",
    ):
        assert said in page.text
    assert "white inputs, linear" not in page.text
    spoken = page.text + " ".join(image["alt"] for image in page.named("img"))
    assert not re.search(r"\b(nan|inf|null|None)\b", spoken)
    assert "for banded ridge" in spoken
    inputs = dict(row for row in page.tables[0][1:])
    assert inputs["variance of an input's principal component"] == "9.35 to 0.234"
    assert inputs["encoding penalty (ridge of what learns from recordings)"] == "0.1"
    table = page.table("closed form")
    scale = 1 / 2 / 1.3
    for row, height in (
        ("risk with recordings", 0.9),
        ("risk with two penalties", 0.8),
        ("risk of banded ridge", 0.7),
    ):
        assert first_number(table[row]["closed form"]) == pytest.approx(height * scale, rel=1e-3)
    assert list(page.table("labels a sample")) == [
        "all of these, shrinkage apart",
        "one more beside all of these, shrinkage apart",
        "all of these, against least squares",
    ]
    assert made.money is not None
    assert made.numbers["two_penalty_risk"] == pytest.approx(0.8 * scale)
    assert made.money.plan["modalities"][""]["n_brain"] == 40
    np.testing.assert_allclose(made.money.curve.share, 100 * np.array([8, 80, 140]) / 160)
    assert "change for one percent more of each thing" in page.text
    # One grid of both numbers serves both curves; the study is on them.
    assert set(laws) == {((), (), 0.1), ((15, 1), (1, 23), 0.1)}
    labels, amounts = made.over_labels, made.over_recordings
    assert labels.n_task.values[[0, -1]] == pytest.approx([40 / 12, 480])
    assert amounts.n_brain.values[[0, -1]] == pytest.approx([7.5, 480])
    here = 0.7 / 2 / 1.3
    assert float(labels.banded_ridge_risk.sel(n_task=40)) == pytest.approx(here)
    assert float(amounts.banded_ridge_risk.sel(n_brain=60)) == pytest.approx(here)


def test_a_page_tells_its_simulation(tmp_path, laws):
    study = read(tmp_path)
    made = content_of("real", study, None, False, 0)
    names = ("risk", "two_penalty_risk", "value_ols", "value_ridge", "information_value")
    ends = {"": 0.31, "_low": 0.3, "_high": 0.32, "_error": 0.01}
    parts = {
        f"{name}{end}": (("n_brain", "n_task"), [[x]]) for name in names for end, x in ends.items()
    }
    found = xarray.Dataset(
        parts, {"n_brain": [60], "n_task": [40]}, {"key_implementation": "threefry"}
    )
    drawn = Simulation(found, 0, 2, 5, draws_labels=False)
    page = Page(page_of(replace(made, simulation=drawn, simulation_wanted=True)))
    claim = 0.8 / 2 / 1.3
    said = f"the simulated risk with two penalties is {abs(100 * (0.31 / claim - 1)):.2g} % above"
    assert said in page.text
    assert (
        "put the excess test error of the two-stage estimator with two penalties at 0.31 (95 % "
        "interval" in page.text
    )
    rows = page.table("simulation (95 %)")
    assert rows["risk with two penalties"]["simulation (95 %)"] == "0.310 (0.300 to 0.320)"
    assert rows["risk of banded ridge"]["simulation (95 %)"] == "–"


def test_a_simulation_is_as_large_as_a_short_wait_allows(asked, tmp_path):
    study = read(tmp_path)
    with pytest.raises(Asked):
        simulate(study, 0)
    assert asked["n_brain"] == [15, 30, 60, 120, 240]
    assert asked["n_task"] == [8, 20, 40, 80, 200]
    assert (asked["estimator"], asked["encoding_penalty"], asked["seeds"]) == ("befs", 0.1, 10)
    best = replace(study, encoding_penalty="optimal")
    with pytest.raises(Asked):
        simulate(best, 0)
    assert (asked["n_brain"], asked["n_task"]) == ([30, 60, 120], [20, 40, 80])
    larger = jb.Problem.power_law(900, 1.0, 3, 1.0, 0.2, 0.5)
    with pytest.raises(Asked):
        simulate(replace(best, problem=larger), 0)
    assert (asked["n_brain"], asked["n_task"], asked["seeds"]) == ([60], [40], 2)
    assert draws_within(9.0, larger) < draws_within(9.0, study.problem) == 64
    asked.clear()
    huge = jb.Problem.power_law(3_000, 1.0, 3, 1.0, 0.2, 0.5)
    assert simulate(replace(best, problem=huge), 0) is None
    assert not asked


@pytest.mark.study
def test_a_report_is_what_the_library_says(capsys, tmp_path):
    out = tmp_path / "page.html"
    config = written(tmp_path, REAL)
    assert run(capsys, "report", config, "--out", str(out)) == f"wrote {out}\n"
    page = Page(out.read_text(encoding="utf-8"))
    problem = jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)
    study = problem, 60, 40
    table = page.table("closed form")
    for row, name in (
        ("risk with two penalties", "two_penalty_risk"),
        ("risk of banded ridge", "banded_ridge_risk"),
        ("risk with recordings", "risk"),
    ):
        expected = float(getattr(jb, name)(*study, encoding_penalty=0.1))
        assert first_number(table[row]["closed form"]) == pytest.approx(expected, rel=1e-3)
    found = jb.sweep(
        problem, [60], [40], trials=6, seeds=10, key=jax.random.key(0), encoding_penalty=0.1,
        estimator="befs_two_penalties", n_task_only=[40],
    )  # fmt: skip
    drawn = first_number(table["risk with two penalties"]["simulation (95 %)"])
    assert drawn == pytest.approx(float(found.risk.mean()), rel=5e-3)
