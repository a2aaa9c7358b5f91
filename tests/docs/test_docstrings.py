"""Docstrings of public names: the problem, an example, and labelled sections without a gap."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import jaxbrain as jb
import jaxbrain.pilot
import jaxbrain.sklearn

DOCS = Path(__file__).parents[2] / "docs"
ESTIMATORS = ("BEFS", "BandedRidge", "RidgeBaseline", "TaskOnly")
SOURCED = tuple(
    f"jaxbrain.{part}"
    for part in ("theory", "estimators", "simulation", "tuning", "budget", "pilot")
)
# They read, check and write, and compute no formula.
WITHOUT_FORMULA = {"pilot.pilot_data", "pilot.read_pilot", "pilot.split_sizes"}
LABELS = ("Arguments", "Fields", "Returns", "Raises", "Source")


def find_public():
    """Functions and classes that the package gives away, under the names that users write."""
    found = {f"jb.{name}": getattr(jb, name) for name in jb.__all__}
    found |= {f"presets.{name}": getattr(jb.presets, name) for name in ("fmri", "images", "small")}
    found |= {f"sklearn.{name}": getattr(jaxbrain.sklearn, name) for name in ESTIMATORS}
    found |= {f"pilot.{name}": getattr(jaxbrain.pilot, name) for name in jaxbrain.pilot.__all__}
    return {
        name: value
        for name, value in found.items()
        if inspect.isfunction(value) or inspect.isclass(value)
    }


PUBLIC = find_public()
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
# What users make themselves; other classes are answers, warnings and errors.
CONSTRUCTED = {
    name: value
    for name, value in PUBLIC.items()
    if inspect.isclass(value)
    and not issubclass(value, tuple | Exception)
    and ("__init__" in vars(value) or "__check_init__" in vars(value))
    and value is not jb.PenaltyObjective
}
BY_NAME = {name.partition(".")[2]: value for name, value in PUBLIC.items()}


def find_sections(text):
    """The text under each label, a line of its own in bold; what comes before them is under ""."""
    parts = re.split(r"^\*\*(\w+)\*\*$", text, flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def named_in(section):
    """Names that the items of a list tell of: "- `n_brain`, `n_task`: sample numbers"."""
    heads = re.findall(r"^- ((?:`\*{0,2}\w+`(?:,| and|, and)? ?)+)", section, re.MULTILINE)
    return {name for head in heads for name in re.findall(r"`\*{0,2}(\w+)`", head)}


def find_others(text):
    """Names whose docstrings say the rest: "As in `value`, and ..."."""
    return re.findall(r"\b(?:[Aa]s in|[Tt]hose of|as for) `(\w+)`", text)


def documented(text, label):
    """Names under a label, those of another docstring included."""
    section = find_sections(text).get(label, "")
    others = (inspect.getdoc(BY_NAME[other]) or "" for other in find_others(section))
    return named_in(section).union(*(documented(other, label) for other in others))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_first_line_states_the_problem(name):
    text = inspect.getdoc(PUBLIC[name])
    assert text
    assert text.splitlines()[0].endswith((".", "?"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_its_sections(name):
    function, text = FUNCTIONS[name], inspect.getdoc(FUNCTIONS[name]) or ""
    expected = ["Returns", "Raises"]
    if inspect.signature(function).parameters:
        expected.insert(0, "Arguments")
    if function.__module__.startswith(SOURCED) and name not in WITHOUT_FORMULA:
        expected.append("Source")
    sections = find_sections(text)
    assert [label for label in sections if label in expected] == expected
    assert all(sections[label].strip() for label in expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_tells_of_each_argument(name):
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    missing = set(inspect.signature(FUNCTIONS[name]).parameters) - documented(text, "Arguments")
    assert missing == set()


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_class_has_its_sections_and_tells_of_each_argument(name):
    text = inspect.getdoc(CONSTRUCTED[name]) or ""
    sections = find_sections(text)
    assert [label for label in sections if label in ("Arguments", "Raises")] == [
        "Arguments",
        "Raises",
    ]
    missing = set(inspect.signature(CONSTRUCTED[name]).parameters) - documented(text, "Arguments")
    assert missing == set()


def fields(value):
    """Names of the fields of a result type; none of a function."""
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return getattr(value, "_fields", ())


@pytest.mark.parametrize("name", [name for name in PUBLIC if fields(PUBLIC[name])])
def test_a_class_tells_of_each_field(name):
    text = inspect.getdoc(PUBLIC[name]) or ""
    text += "".join(inspect.getdoc(BY_NAME[other]) or "" for other in find_others(text))
    assert [field for field in fields(PUBLIC[name]) if f"`{field}`" not in text] == []


@pytest.mark.parametrize("name", [*FUNCTIONS, *CONSTRUCTED])
def test_an_example_comes_before_the_sections(name):
    sections = find_sections(inspect.getdoc(PUBLIC[name]) or "")
    assert ">>> " in sections.pop("")
    assert not any(">>> " in section for section in sections.values())


@pytest.mark.parametrize("name", PUBLIC)
def test_labels_are_known_and_lines_are_short(name):
    text = inspect.getdoc(PUBLIC[name]) or ""
    # A label within a line, "**Raises** `ValueError` ...", is lost to readers who look for it.
    assert re.findall(rf"^\*\*(?:{'|'.join(LABELS)})\.?\*\*\.? *\S.*", text, re.MULTILINE) == []
    assert [line for line in text.splitlines() if len(line) > 100] == []


def test_the_reference_has_every_public_name():
    listed = re.findall(
        r"auto(?:function|class|exception):: (\w+)$", (DOCS / "api.md").read_text(), re.M
    )
    mine = {name.partition(".")[2] for name in PUBLIC if name.startswith("jb.")}
    assert mine - set(listed) == set()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Solve.\n\n**Arguments**\n\n- `a`, `b`: numbers.\n- `c` and `d`: more, see `e`.", "abcd"),
        ("Solve.\n\n**Arguments**\n\nNumbers `a` and `b`.", ""),
        ("Solve.\n\n- `a`: a number.\n\n**Arguments**\n\n- `b`: a number.", "b"),
        ("Solve.\n\n**Arguments**\n\n- `*a`: numbers.\n\n**Returns**\n\n- `b`: a number.", "a"),
    ],
)
def test_only_items_under_the_label_count(text, names):
    assert documented(text, "Arguments") == set(names)
