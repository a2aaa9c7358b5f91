"""The pages of the documentation: what they show runs, and where they point is something."""

import doctest
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxbrain as jb
import jaxbrain.pilot
from jaxbrain.cli import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]_*.py"))
SHOWN = sorted(
    page
    for page in DOCS.rglob("*.md")
    if re.search(r"^```(python|sh)$", page.read_text(), re.MULTILINE) and page.name != "index.md"
)
PAGES = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md"]


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
        "simulate --n-brain 100 --n-task 100 --seeds 2 --trials 2",
        "fit study.npz --repeats 2 --rank 2 --per-target",
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
