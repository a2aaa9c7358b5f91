"""Data runs one way through the package; no package reaches into what is private to another."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Which rooms a room may import. CONTRIBUTING.md shows the same table.
ROOMS = {
    "models": (),
    "estimators": ("models",),
    "theory": ("models",),
    "simulation": ("models", "estimators", "theory"),
    "tuning": ("models", "estimators", "theory", "simulation"),
    "budget": ("models", "theory", "simulation", "tuning"),
    "pilot": ("models", "estimators", "theory", "simulation", "tuning", "budget"),
    "store": (),
    "study": ("models", "theory", "pilot", "store"),
    "figures": ("store",),
    "sklearn": ("models", "estimators", "theory", "tuning", "pilot"),
    "reproduce": (
        *("models", "estimators", "theory", "simulation", "tuning", "budget", "store", "figures"),
    ),
    "cli": (
        *("models", "estimators", "theory", "simulation", "tuning", "budget", "pilot", "store"),
        *("study", "figures", "reproduce"),
    ),
}
# What the rooms share; models cannot share _arguments, which knows problems.
SHARED = {
    "_typing": (),
    "_threads": (),
    "_reading": (),
    "_writing": (),
    "_checks": ("_typing", "_threads"),
    "_linalg": ("_typing", "_checks", "_threads"),
    "_arguments": ("_typing", "_checks", "models"),
}
ALLOWED = SHARED | {
    room: {*rooms, *SHARED} - ({"_arguments"} if room == "models" else set())
    for room, rooms in ROOMS.items()
}
# Numbers come before the words and pages that are made of them.
NOT_FROM = {"cli.answers": ("cli.words", "cli.page", "cli.commands")}


def read_package():
    """The source of each module under its name, the package's own left out: `theory.risk`."""
    sources = {}
    for path in sorted((ROOT / "jaxbrain").rglob("*.py")):
        parts = path.relative_to(ROOT / "jaxbrain").with_suffix("").parts
        sources[".".join(parts)] = path.read_text()
    return sources


def imported(module, source):
    """What a module imports of this package, within functions too, as `room.module.name`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["jaxbrain", *module.split(".")][: -node.level] if node.level else []
            base = [*above, *(node.module or "").split(".")]
            found = [".".join([*filter(None, base), alias.name]) for alias in node.names]
        else:
            continue
        yield from (name.partition(".")[2] for name in found if name.split(".")[0] == "jaxbrain")


def owner_of_private(target, sources):
    """The package to which a private name or module belongs; None where all parts are public."""
    parts = target.split(".")
    for number, part in enumerate(parts):
        if part.startswith("_") and not part.startswith("__"):
            holder = ".".join(parts[:number])
            return holder.rpartition(".")[0] if holder in sources else holder
    return None


def is_within(name, package):
    return not package or f"{name}.".startswith(f"{package}.")


def violations(sources):
    """Each import that runs the wrong way, or into what is another package's own."""
    for module, source in sources.items():
        room = module.split(".")[0]
        for target in imported(module, source) if room != "__init__" else ():
            other = target.split(".")[0]
            if target != "__version__" and other != room and other not in ALLOWED[room]:
                yield f"{module} imports {target}: {room} comes before"
            owner = owner_of_private(target, sources)
            if owner is not None and not is_within(module.rpartition(".")[0], owner):
                yield f"{module} imports {target}, which is private to {owner}"
            for part, others in NOT_FROM.items():
                if is_within(module, part) and any(is_within(target, name) for name in others):
                    yield f"{module} imports {target}: numbers come before words and pages"


def test_nothing_imports_what_comes_after_it_or_is_private():
    assert list(violations(read_package())) == []


def test_every_module_has_its_room():
    rooms = {module.split(".")[0] for module in read_package()} - {"__init__", "__main__"}
    assert rooms - set(ALLOWED) == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models.problem", "from ..theory import risk"),
        ("models.problem", "import jaxbrain as jb"),
        ("theory.risk", "def later():\n    from ..simulation.sweep import sweep"),
        ("figures.report", "from jaxbrain.theory import savings"),
        ("reproduce.run", "from ..cli.words.text import join"),
        ("cli.commands.fit", "from ...pilot._splits import cut"),
        ("cli.commands.fit", "from ...pilot.splits import _cut"),
        ("cli.commands.fit", "from ..answers.worth import _numbers"),
        ("cli.answers.worth", "from ..words.worth import sentence"),
        ("models.shift", "from .._arguments import ORDERS"),
        ("_checks", "from ._arguments import ORDERS"),
        ("_linalg", "from .models import Problem"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    modules = {"pilot.splits": "", "cli.answers.worth": "", module: source}
    assert len(list(violations(modules))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("simulation.sweep", "from .. import __version__\nfrom ._grids import brain_numbers"),
        ("tuning.risks", "from .._arguments import check_penalty\nfrom ..simulation import sweep"),
        ("theory.value", "from .risk import _regions"),
        ("_arguments", "from .models import Problem\nfrom ._checks import kind_of"),
    ],
)
def test_a_right_import_passes(module, source):
    assert list(violations({"theory.risk": "", module: source})) == []


PACKAGES = sorted(path.parent for path in (ROOT / "jaxbrain").rglob("__init__.py"))


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_a_package_says_what_is_public(folder):
    statements = ast.parse((folder / "__init__.py").read_text()).body
    if len(statements) > 1:  # one that is only described gives nothing away
        package = importlib.import_module(".".join(folder.relative_to(ROOT).parts))
        assert package.__all__
        missing = [name for name in package.__all__ if not hasattr(package, name)]
        assert missing == []
