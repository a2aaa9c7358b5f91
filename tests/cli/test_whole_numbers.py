"""1e3 is a whole number where one is asked for; 1.5 is not."""

import pytest

from jaxbrain.cli.commands.simulate import simulate
from jaxbrain.cli.input.whole import in_digits
from tests.helpers.cli import refused


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (["--n-brain", "1e3", "2000.0", "3_000"], ["--n-brain", "1000", "2000", "3000"]),
        (["--n_brain=1E3"], ["--n_brain=1000"]),
        (["--trials", "+2e0", "--seeds=2.50e2"], ["--trials", "2", "--seeds=250"]),
        (["--seed", "4294967295"], ["--seed", "4294967295"]),
        # These are for the command to refuse.
        (["--n-brain", "1.5", "1e-3", "nan", "x"], ["--n-brain", "1.5", "1e-3", "nan", "x"]),
        (["--trials", "1e999999999"], ["--trials", "1e999999999"]),
        # No whole number is asked for here.
        (["--penalty", "1e3", "--save", "1e3"], ["--penalty", "1e3", "--save", "1e3"]),
        (["1e3", "--json", "1e3"], ["1e3", "--json", "1e3"]),
    ],
)
def test_whole_numbers_are_written_in_digits(given, written):
    assert in_digits(given, simulate) == written


@pytest.mark.parametrize("command", ["simulate", "fit", "report"])
def test_every_command_with_a_seed_takes_them(capsys, tmp_path, command):
    needs = {"report": ("--out", str(tmp_path / "a.html")), "fit": (str(tmp_path / "a.npz"),)}
    said = refused(capsys, command, *needs.get(command, ()), "--seed", "1e10")
    assert "--seed must lie between 0 and 4294967295, but it is 10000000000" in said
    assert "Traceback" not in refused(capsys, command, *needs.get(command, ()), "--seed", "1.5")
