"""The pages of the documentation: what they show runs, and where they point is something."""

import contextlib
import doctest
import functools
import io
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

import jaxbrain as jb
import jaxbrain.pilot
from jaxbrain.cli import main
from jaxbrain.study import described, purchase, toml
from tests.helpers.cli import small_file

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]_*.py"))
# A block after this line takes long: it runs with the studies, after the others of its page.
LONG = "<!-- study -->\n"
SHOWN = sorted(
    page
    for page in DOCS.rglob("*.md")
    if re.search(r"^```(python|sh)$", page.read_text(), re.MULTILINE) and page.name != "index.md"
)
QUICK = [
    page for page in SHOWN if re.search(rf"(?<!{LONG})^```(python|sh)$", page.read_text(), re.M)
]
LENGTHY = [page for page in SHOWN if LONG in page.read_text()]
PAGES = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md"]


def run_page(page, read, keep_long):
    """Run the blocks of a page in their order, in the folder at hand; how many there were."""
    shutil.copytree(DOCS / "examples", "docs/examples")
    names = {"__name__": "__main__"}
    runner = doctest.DocTestRunner()
    ran = 0
    blocks = re.findall(rf"^({LONG})?```(\w+)\n(.*?)^```", page.read_text(), re.M | re.S)
    for long, language, block in blocks:
        if long and not keep_long:
            continue
        if language == "toml" and (named := re.match(r"# (\S+\.toml)(, continued)?\n", block)):
            with Path(named[1]).open("a" if named[2] else "w") as file:
                file.write(block)
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
                assert read() or " --out " in command
                ran += 1
    return ran


@pytest.mark.parametrize("page", QUICK, ids=lambda page: page.stem)
def test_what_a_page_shows_runs_in_its_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_page(page, lambda: capsys.readouterr().out, keep_long=False)


@pytest.mark.study
@pytest.mark.parametrize("page", LENGTHY, ids=lambda page: page.stem)
def test_what_takes_long_runs_too(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_page(page, lambda: capsys.readouterr().out, keep_long=True)


@pytest.fixture(scope="module")
def options():
    """The options of each command, from its help."""

    @functools.cache
    def find(command):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
            main([command, "--help"])
        return set(re.findall(r"--[a-z][a-z-]+", said.getvalue()))

    return find


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"])
def test_commands_on_a_page_have_the_options_that_it_names(page, options):
    """Those too that are shown and not run."""
    for command, given in re.findall(r"^(?:.* )?jaxbrain ([a-z]+)\b(.*)$", page.read_text(), re.M):
        named = re.findall(r"(?<!\S)--[a-z][a-z-]+", given.partition("`")[0])
        assert [option for option in named if option not in options(command)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_within_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not re.match(r"https?:", target):
            assert (page.parent / target).exists(), target


def test_changelog_citation_and_package_have_the_same_version():
    changes = (ROOT / "CHANGELOG.md").read_text()
    first, *_ = re.findall(r"^## \[(\d.+)\] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    citation = (ROOT / "CITATION.cff").read_text()
    cited = re.findall(r'^(?:version|date-released): "(.+)"$', citation, re.MULTILINE)
    assert cited == list(first)
    assert first[0] == jb.__version__
    assert changes.index("## [Unreleased]") < changes.index(f"## [{first[0]}]")


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
        "worth --preset small --what-if",
        "plan --preset small",
        "simulate --n-brain 100 --n-task 100 --seeds 2 --trials 2",
        "fit study.npz --repeats 8 --rank 2 --per-target",
        "pilot study.npz --rank 2 --draws 20",
    ],
)
def test_the_glossary_has_what_the_commands_print(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small_file(tmp_path)
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


COMMANDS = ("worth", "plan", "report", "simulate", "fit", "pilot", "reproduce", "info")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_commands_has_every_option(command, options):
    """In the section of the command, or in the table of options of several commands."""
    page = (DOCS / "commands.md").read_text()
    named = set()
    for heading, section in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", page, re.MULTILINE):
        if heading == command:
            named |= set(re.findall(r"--[a-z][a-z-]+", section))
        for row in re.findall(r"^\| (`--.*)$", section, re.MULTILINE):
            flags, commands, _ = row.split(" | ", 2)
            if f"`{command}`" in commands:
                named |= set(re.findall(r"--[a-z][a-z-]+", flags))
    # --config is told at the top.
    assert named | {"--help", "--config"} == options(command) | {"--help", "--config"}


def test_the_page_of_files_has_every_key():
    page = (DOCS / "files.md").read_text()
    tables = {"problem", "budget", "modality"}
    keys = {*described._TOP_LEVEL, *toml.PROBLEM, *purchase._TOP_LEVEL, *purchase._MODALITY}
    keys |= {*purchase._OF_STUDY, "currency", *toml.SPECTRUM}
    assert [key for key in sorted(keys - tables) if f"`{key}`" not in page] == []
    assert [name for name in sorted(tables) if f"`[{name}" not in page] == []
