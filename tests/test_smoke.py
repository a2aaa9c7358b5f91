"""The list of what CI runs on the newest Python names tests that are there."""

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.helpers.smoke import SMOKE, is_smoke

ROOT = Path(__file__).parents[1]
FILES = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "jaxbrain").rglob("*.py")]
NAMES = [
    f"{path.relative_to(ROOT)}::{node.name}"
    for path in FILES
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef)
]


@pytest.mark.parametrize("pattern", SMOKE)
def test_every_pattern_names_a_test(pattern):
    function = pattern.partition("[")[0]
    assert any(fnmatchcase(name, function) for name in NAMES)


def test_brackets_stand_for_themselves():
    assert is_smoke("tests/test_sklearn.py::test_checks_of_scikit_learn[BEFS()-check_fit]")
    assert not is_smoke("tests/test_sklearn.py::test_checks_of_scikit_learn[TaskOnly()-check_fit]")
    assert not is_smoke("tests/theory/test_risk.py::test_checks_of_scikit_learn")
