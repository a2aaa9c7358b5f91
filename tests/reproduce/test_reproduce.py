"""Results at the quick scale, once; everything else is decided by what that has stored.

Two results that are computed quickly stand for all; the study computes all of them.
"""

import functools
import json
import re
import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain import reproduce as package
from jaxbrain.figures import styled
from jaxbrain.reproduce import QUICK, RESULTS, registry, run
from tests.helpers.cli import refused

DOCS = Path(__file__).parents[2] / "docs"
SOME, ALL = ("model", "agreement"), tuple(RESULTS)
EVERYTHING = pytest.param(ALL, marks=pytest.mark.study, id="all")
BOTH = pytest.mark.parametrize("quick", [pytest.param(SOME, id="some"), EVERYTHING], indirect=True)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """Folders of results, each made once."""

    @functools.cache
    def folder_of(names):
        folder = tmp_path_factory.mktemp("reproduce") / "results"
        package.reproduce(names, folder, scale=QUICK)
        return folder

    return folder_of


@pytest.fixture
def quick(request, reproduced):
    """A folder of results: some of them, or those that a test asks for."""
    return reproduced(getattr(request, "param", SOME))


@pytest.fixture
def copy(quick, tmp_path):
    return Path(shutil.copytree(quick, tmp_path / "copy"))


@pytest.fixture
def no_computing(monkeypatch):
    def refuse(scale):
        raise AssertionError("a stored table was computed again")

    monkeypatch.setattr(run, "TABLES", dict.fromkeys(registry.TABLES, refuse))


def verdicts(claims):
    return {c["statement"]: c["verdict"] for claims in claims.values() for c in claims}


def stored_verdicts(folder):
    return verdicts(json.loads((folder / "claims.json").read_text()))


def results_in(folder):
    return [path.stem for path in (folder / "figures").glob("*.png")]


@BOTH
def test_every_result_has_its_tables_and_figures(quick):
    for name in results_in(quick):
        for suffix, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
            content = (quick / "figures" / f"{name}.{suffix}").read_bytes()
            assert content.startswith(start)
            assert len(content) > 10_000
            assert b"CreationDate" not in content
        for table in RESULTS[name].tables:
            assert (quick / "tables" / f"{table}.nc").exists()
            assert list((quick / "tables").glob(f"{table}*.csv"))
    expected = {table for name in results_in(quick) for table in RESULTS[name].tables}
    assert {path.stem for path in (quick / "tables").glob("*.nc")} == expected
    assert set(registry.TABLES) == {table for result in RESULTS.values() for table in result.tables}


@BOTH
def test_a_figure_shows_something(quick):
    for name in results_in(quick):
        pixels = matplotlib.image.imread(quick / "figures" / f"{name}.png")[..., :3]
        dark = pixels.min(axis=-1) < 0.8
        # Something in each quarter, and nothing cut off at the edges.
        rows, columns = (np.array_split(np.arange(size), 2) for size in dark.shape)
        for upper in rows:
            for left in columns:
                assert dark[np.ix_(upper, left)].mean() > 0.002
        for edge in (dark[0], dark[-1], dark[:, 0], dark[:, -1]):
            assert not edge.any()


@BOTH
def test_panels_have_letters_that_the_caption_names(quick):
    for name in results_in(quick):
        tables = {table: jb.read_table(quick / "tables" / f"{table}.nc")
                  for table in RESULTS[name].tables}  # fmt: skip
        with styled():
            panels = RESULTS[name].draw(tables).axes
            letters = [
                t.get_text() for axes in panels for t in axes.texts if t.get_weight() == "bold"
            ]
        expected = [*"abcdefghijklmnop"[: len(panels)]] if len(panels) > 1 else []
        assert letters == expected
        named = set(re.findall(r"\b[a-p]\b", " ".join(re.findall(r"\((.*?)\)", RESULTS[name].alt))))
        # Sixteen are named by their first and last in a row.
        assert named <= {*letters}
        assert named >= {*letters[:1], *letters[-1:]}


@BOTH
def test_claims_are_many_and_say_what_was_measured(quick):
    claims = json.loads((quick / "claims.json").read_text())
    assert set(claims) == set(results_in(quick))
    of_paper = [c for row in claims.values() for c in row if c["source"] == "paper"]
    assert len(of_paper) >= (20 if set(claims) == set(ALL) else 4)
    for row in claims.values():
        for c in row:
            assert re.search(r"\d", c["measured"])
            assert "nan" not in c["measured"]
            assert c["verdict"] in package.VERDICTS
            assert bool(c["condition"]) == (c["verdict"] == "confirmed with conditions")
            owner = c["function"].split("(")[0].split(".")
            found = jb
            for part in owner:
                found = getattr(found, part)
            assert callable(found) or isinstance(found, property)
    page = (quick / "claims.md").read_text()
    assert all(c["statement"] in page and c["measured"] in page for c in of_paper)


@BOTH
def test_the_page_in_the_documentation_tells_the_same_claims(quick):
    page = (DOCS / "claims.md").read_text()
    told = set(re.findall(r"^\| (.*?) \| (?:paper|here) \|", page, re.MULTILINE))
    here = {statement.replace("|", "\\|") for statement in stored_verdicts(quick)}
    assert here == told if set(results_in(quick)) == set(ALL) else here < told
    assert "Scale of the simulations: full" in page


@pytest.mark.parametrize("quick", [EVERYTHING], indirect=True)
def test_numbers_in_the_claims_are_those_of_the_library(quick):
    # By another road than the tables: the library, asked anew.
    told = (quick / "claims.md").read_text()
    problem = jb.presets.fmri(0.1).problem()
    noise, d, q = float(problem.task_noise), problem.input_dim, problem.outside_dim
    misses = float(jb.expected_misalignment(problem, 18_000.0))
    assert f"λ* n_task from {noise * q / misses:.6g}" in told
    assert f"d/(d − k) = {d / q:.4f}" in told
    stored = jb.read_table(quick / "tables" / "imaging_curves.nc").sel(n_brain=18_000.0)
    assert float(stored.value_ols) == pytest.approx(
        float(jb.value(problem, 18_000.0, 1e5, baseline="ols")), rel=1e-9
    )


@BOTH
@pytest.mark.usefixtures("no_computing")
def test_figures_come_from_stored_tables_alone(copy):
    before = {path.name: path.read_bytes() for path in (copy / "figures").iterdir()} | {
        "claims": (copy / "claims.md").read_bytes()
    }
    shutil.rmtree(copy / "figures")
    (copy / "claims.md").unlink()
    (copy / "claims.json").unlink()
    run.reproduce([Path(name).stem for name in before if name.endswith(".png")], copy,
                  scale=QUICK, resume=True)  # fmt: skip
    after = {path.name: path.read_bytes() for path in (copy / "figures").iterdir()} | {
        "claims": (copy / "claims.md").read_bytes()
    }
    assert before == after


def test_only_what_is_missing_is_computed(copy, monkeypatch):
    asked = []

    def counted(name, compute):
        def wrapped(scale):
            asked.append(name)
            return compute(scale)

        return wrapped

    monkeypatch.setattr(run, "TABLES", {n: counted(n, f) for n, f in registry.TABLES.items()})
    (copy / "tables" / "setting.nc").unlink()
    run.reproduce(["model"], copy, scale=QUICK, resume=True)
    assert asked == ["setting"]


DOCTORED = [
    # table, variable, what is done to it, result, start of the statement
    ("learning_curves", "task_only_risk", 1.1, "learning", "The error of least squares falls"),
    ("learning_curves", "risk_at_best_penalty", 2.0, "learning", "At the best penalty recordings"),
    (
        "exchange_limits",
        "value_beside_unlimited_labels",
        0.9,
        "exchange",
        "Beside unlimited labels",
    ),
    ("exchange_limits", "gamma", -1.0, "exchange", "With equally noisy latents"),
    ("shift_balanced", "value", 1.05, "shift", "In the balanced case"),
    ("shift_curves", "value_of_moved_mass", -1.0, "shift", "Value falls as test variance"),
    ("budget_curves", "n_brain", 1.5, "budget", "The best amount does not grow"),
    ("budget_simulated", "saved_closed_form", 2.0, "budget", "Among the simulated amounts"),
    ("agreement", "risk", 1.2, "agreement", "The simulated risk"),
    ("agreement", "penalty", 1.5, "agreement", "The penalty that is best"),
    ("agreement", "value_closed_form", 1.1, "agreement", "The simulated value, and with"),
    ("agreement", "value", np.nan, "agreement", "The simulated value, and with"),
    ("budget_favourability", "n_brain", 0.0, "budget", "At large budgets, and with γ > 0"),
    ("budget_harmful", "n_brain", 2.0, "budget", "With γ < 0 recordings"),
    ("budget_harmful", "saved", np.nan, "budget", "With γ < 0 recordings"),
    ("budget_simulated", "saved", np.nan, "budget", "Among the simulated amounts"),
    ("shift_simulated", "value", np.nan, "shift", "The value under shift"),
    ("shift_curves", "value_of_moved_mass", np.nan, "shift", "Value falls as test variance"),
    ("imaging_simulated", "misalignment", 1.5, "imaging", "What recordings teach"),
    ("imaging_simulated", "value_ols", 1.3, "imaging", "The value of recordings at fMRI scale"),
    ("information_curves", "information", 9.0, "information", "What recordings are worth against"),
    ("information_curves", "risk_over_ridge", 1.2, "information", "The information never"),
    ("near_input_dim", "finite", 1.5, "boundaries", "The finite form holds"),
    ("few_labels_curves", "two_penalty_risk", 3.0, "boundaries", "With two penalties"),
    ("setting", "share", 1.1, "model", "In the fMRI study"),
]


@pytest.mark.usefixtures("no_computing")
@pytest.mark.parametrize(
    ("quick", "table", "variable", "factor", "result", "start"),
    [
        pytest.param(SOME, *case)
        if case[3] in SOME
        else pytest.param(ALL, *case, marks=pytest.mark.study)
        for case in DOCTORED
    ],
    indirect=["quick"],
)
def test_a_doctored_table_changes_the_verdict(copy, table, variable, factor, result, start):
    path = copy / "tables" / f"{table}.nc"
    doctored = jb.read_table(path)
    doctored[variable] = doctored[variable] * factor
    jb.write_table(doctored, path)
    before = stored_verdicts(copy)
    run.reproduce([result], copy, scale=QUICK, resume=True)
    after = stored_verdicts(copy)
    (statement,) = [name for name in after if name.startswith(start)]
    assert before[statement] != "not confirmed"
    assert after[statement] == "not confirmed"


@pytest.mark.usefixtures("no_computing")
def test_results_that_are_there_keep_their_verdicts(copy):
    before = json.loads((copy / "claims.json").read_text())
    found = run.reproduce(["model"], copy, scale=QUICK, resume=True)
    assert list(found) == ["model"]
    assert json.loads((copy / "claims.json").read_text()) == before
    assert RESULTS["agreement"].title in (copy / "claims.md").read_text()


def test_a_table_of_another_content_is_named(copy, capsys):
    tables = copy / "tables"
    shutil.copy(tables / "agreement.nc", tables / "setting.nc")
    said = refused(capsys, "reproduce", "model", "--quick", "--resume", "--out", str(copy))
    assert "setting.nc holds the table agreement" in said


def test_nothing_is_overwritten_unasked(copy, capsys):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    said = refused(capsys, "reproduce", "model", "--quick", "--out", str(copy))
    assert "exists already" in said
    assert "--resume" in said
    assert before == {path: path.stat().st_mtime_ns for path in copy.rglob("*")}


def test_a_csv_file_of_the_same_name_is_not_replaced_either(tmp_path):
    mine = tmp_path / "tables" / "setting.mine.csv"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match=r"setting\.mine\.csv exists already"):
        package.reproduce(["model"], tmp_path, scale=QUICK)
    assert list(mine.parent.iterdir()) == [mine]


def test_tables_of_another_scale_are_not_taken(copy, capsys):
    said = refused(capsys, "reproduce", "model", "--resume", "--out", str(copy))
    assert "made at the scale 'quick', not 'full'" in said


def test_a_broken_table_is_named_and_nothing_is_written(copy, capsys):
    (copy / "tables" / "agreement.nc").write_bytes(b"\x80\x04K\x01.")
    figures = {path: path.stat().st_mtime_ns for path in (copy / "figures").iterdir()}
    options = ("--quick", "--resume", "--out", str(copy))
    said = refused(capsys, "reproduce", "agreement", *options)
    assert "agreement.nc is damaged, or no netCDF 3 file" in said
    assert figures == {path: path.stat().st_mtime_ns for path in (copy / "figures").iterdir()}


def test_all_that_is_wrong_is_said_at_once(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    wrong = ("modle", "figure2", "--quick", "--resume", "--overwrite")
    said = refused(capsys, "reproduce", *wrong, "--out", str(file))
    for part in ("'modle'", "'figure2'", "exclude each other", "is a file"):
        assert part in said
    assert file.read_text() == "mine"
    with pytest.raises(ValueError, match="some of model, learning"):
        package.reproduce(["modle"], tmp_path / "new")
    assert not (tmp_path / "new").exists()
