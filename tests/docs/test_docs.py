"""The pages of the documentation: what they show runs, and where they point is something."""

import dataclasses
import doctest
import inspect
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxbrain as jb
import jaxbrain.pilot
import jaxbrain.sklearn
from jaxbrain.cli import main

ROOT = Path(__file__).parents[2]
NAMES = vars(jb) | vars(jaxbrain.pilot) | vars(jaxbrain.sklearn) | {"fmri": jb.presets.fmri}
ESTIMATORS = ("BEFS", "RidgeBaseline", "TaskOnly")
SOURCED = tuple(
    f"jaxbrain.{part}" for part in ("theory", "estimators", "simulation", "tuning", "pilot")
)
# They read and check, and compute no formula.
WITHOUT_FORMULA = {"pilot.pilot_data", "pilot.read_pilot", "pilot.split_sizes"}
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]_*.py"))
SHOWN = sorted(
    page
    for page in DOCS.rglob("*.md")
    if re.search(r"^```(python|sh)$", page.read_text(), re.MULTILINE) and page.name != "index.md"
)
PAGES = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md"]


@pytest.mark.long
@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.stem)
def test_what_a_page_shows_runs_in_its_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DOCS / "examples", tmp_path / "docs" / "examples")
    names = {"__name__": "__main__"}
    runner = doctest.DocTestRunner()
    ran = 0
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.M | re.S):
        if language == "toml" and (named := re.match(r"# (\S+\.toml)\n", block)):
            Path(named[1]).write_text(block)
        elif language == "python":
            example = doctest.DocTestParser().get_doctest(block, names, page.stem, str(page), 0)
            said = []
            failed, tried = runner.run(example, out=said.append, clear_globs=False)
            assert not failed, "".join(said)
            names = example.globs
            ran += tried
        elif language == "sh":
            for command in re.findall(r"^jaxbrain (.*)$", block, re.MULTILINE):
                main(shlex.split(command))
                assert capsys.readouterr().out or " --out " in command
                ran += 1
    assert ran


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_within_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not re.match(r"https?:", target):
            assert (page.parent / target).exists(), target


def test_the_citation_has_the_version_of_the_package():
    found = re.findall(r'^version: "(.+)"$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert found == [jb.__version__]


# Keys that mean what they say, or say what was computed on.
PLAIN = {
    *("configuration", "cells", "notes", "verdict", "what_was_done", "mean"),
    *("budget", "currency", "modalities", "best", "estimator", "trials", "seeds", "shift"),
    *("key", "key_implementation", "device", "devices", "precision", "jax", "jaxbrain"),
    "wall_time_s",
}
# What tables print and JSON does not.
COLUMNS = {
    "worth": [
        "risk of predicting 0", "value against least squares", "value against ridge",
        "value of the information", "exchange rate", "savings",
    ],
    "simulate": ["closed-form risk", "closed-form value"],
    "fit": ["held-out error", "95 % interval", "minus ridge"],
}  # fmt: skip


def keys(answer):
    """All keys of a JSON answer."""
    if isinstance(answer, dict):
        return set(answer).union(*map(keys, answer.values()))
    return set().union(*map(keys, answer)) if isinstance(answer, list) else set()


@pytest.mark.parametrize(
    "command",
    [
        "worth --what-if",
        "plan --preset small",
        pytest.param(
            "simulate --n-brain 100 --n-task 100 --seeds 2 --trials 2", marks=pytest.mark.long
        ),
        pytest.param("fit study.npz --repeats 2 --rank 2 --per-target", marks=pytest.mark.long),
    ],
)
def test_the_glossary_has_what_the_commands_print(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    shapes = {"inputs": 8, "recordings": 10, "targets": 2}
    np.savez("study.npz", **{name: rng.normal(size=(120, n)) for name, n in shapes.items()})
    glossary = (DOCS / "glossary.md").read_text()
    main([*command.split(), "--json"])
    # Numbers of each estimator and modality stand under its name.
    found = keys(json.loads(capsys.readouterr().out)) - PLAIN
    found -= {*jaxbrain.pilot.ESTIMATORS, "small"}
    assert [name for name in sorted(found) if f"`{name}`" not in glossary] == []
    main(command.split())
    printed = capsys.readouterr().out
    for column in COLUMNS.get(command.split()[0], ()):
        assert column in printed
        assert column in glossary, column


def public():
    """Names that the package gives away, without modules."""
    found = {f"jb.{name}": value for name, value in vars(jb).items()}
    found |= {f"presets.{name}": getattr(jb.presets, name) for name in ("fmri", "small")}
    found |= {f"sklearn.{name}": getattr(jaxbrain.sklearn, name) for name in ESTIMATORS}
    found |= {
        f"pilot.{name}": value for name, value in vars(jaxbrain.pilot).items() if callable(value)
    }
    return {
        name: value
        for name, value in found.items()
        if not name.split(".")[1].startswith("_") and not inspect.ismodule(value)
    }.items()


def fields(value):
    """Names of the fields of a result type; none of a function."""
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return getattr(value, "_fields", ())


@pytest.mark.parametrize(
    ("name", "value"), list(public()), ids=lambda x: x if isinstance(x, str) else ""
)
def test_public_names_are_documented_with_their_arguments(name, value):
    own = text = inspect.getdoc(value)
    assert text, name
    # "Arguments as in `value`" and the like: what is said there counts.
    for other in re.findall(r"(?:as in|those of) `(\w+)`", text):
        text += inspect.getdoc(NAMES[other]) or ""
    assert text.splitlines()[0].endswith((".", ":", "?", "β‖²"))
    if inspect.isfunction(value):
        for argument in inspect.signature(value).parameters:
            assert argument.lstrip("*") in text, f"{name} says nothing of {argument}"
        said = re.search(r"\bRaises\b", text)
        assert said, f"{name} does not say what it raises"
    elif not issubclass(value, tuple | Exception) and value is not jb.PenaltyObjective:
        # A class says so, or the method that checks.
        checks = (vars(value).get(method) for method in ("__init__", "__check_init__"))
        text += "".join(inspect.getdoc(check) or "" for check in checks if check)
        assert "**Raises**" in text, f"{name} does not say what it raises"
    if inspect.isfunction(value) and value.__module__.startswith(SOURCED):
        sourced = "**Source.**" in own
        assert sourced or name in WITHOUT_FORMULA, f"{name} does not say where its formula is from"
    for field in fields(value):
        assert f"`{field}`" in text, f"{name} says nothing of its field {field}"


def test_the_reference_has_every_public_name():
    listed = (DOCS / "api.md").read_text()
    for name, value in vars(jb).items():
        if not name.startswith("_") and not inspect.ismodule(value):
            assert re.search(rf"(autofunction|autoclass|autoexception):: {name}$", listed, re.M), (
                name
            )


@pytest.mark.parametrize("text", NOTEBOOKS, ids=lambda text: text.stem)
def test_a_notebook_is_what_its_text_says_with_outputs(text):
    cells = json.loads(text.with_suffix(".ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    blocks = re.split(r"^# %%.*\n", text.read_text(), flags=re.MULTILINE)[1:]
    assert code == [block.strip() for block in blocks if not block.startswith("# ")]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert outputs
    assert not any(output["output_type"] == "error" for output in outputs)
    # Nothing of the machine that made it.
    assert not re.search(r"/(home|work|root|tmp|opt)/", text.with_suffix(".ipynb").read_text())
