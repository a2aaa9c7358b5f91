"""No name that somebody else chose steers the terminal, whichever way it is printed.

Nothing here compiles.
"""

import contextlib
import unicodedata
import zipfile
from pathlib import Path

import pytest

from jaxbrain.cli import main
from jaxbrain.cli.streams import printable
from jaxbrain.cli.words.text import wrote
from tests.helpers.cli import STUDY, TWO_MODALITIES, written

# It clears the screen, turns the direction of writing, ends the line, and rings.
EVIL = "a\x1b[2J\u202eb\r\x07\x9b"
IN_TOML = EVIL.encode("unicode_escape").decode().replace("\\x", "\\u00")
STEERS = ("Cc", "Cf", "Zl", "Zp")


def archive(folder):
    """Arrays of strange names beside those that are known, one of which is broken."""
    path = folder / "given.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("inputs", "recordings", "targets", *(f"{EVIL}{i}" for i in range(60))):
            file.writestr(f"{name}.npy", b"\x1b[2J")
    return str(path)


CASES = {
    **{
        f"{command}: a file that is not there": lambda folder, command=command: (
            command,
            str(folder / EVIL),
            *(("--out", str(folder / "a.html")) if command == "report" else ()),
        )
        for command in ("worth", "simulate", "report", "plan", "fit")
    },
    "reproduce: a result": lambda folder: ("reproduce", EVIL, "--out", str(folder / EVIL)),
    "reproduce: a file": lambda folder: (
        "reproduce",
        "model",
        "--out",
        written(folder, "", EVIL),
    ),
    "a file that is no TOML": lambda folder: ("worth", written(folder, f"{EVIL} = ", EVIL)),
    "keys": lambda folder: ("worth", written(folder, f'"{IN_TOML}" = 1\n{STUDY}"{IN_TOML}" = 1')),
    "words": lambda folder: (
        "worth",
        written(folder, STUDY.replace("n_brain = 100", f'n_brain = "{IN_TOML}"')),
    ),
    "a preset": lambda folder: ("worth", written(folder, f'preset = "{IN_TOML}"')),
    "a modality": lambda folder: (
        "plan",
        written(folder, TWO_MODALITIES.replace("[modality.cheap]", f'[modality."{IN_TOML}"]')),
    ),
    "a key of a modality": lambda folder: (
        "plan",
        written(folder, f'{TWO_MODALITIES}\n"{IN_TOML}" = 1'),
    ),
    "a currency": lambda folder: (
        "plan",
        written(folder, TWO_MODALITIES.replace("EUR", IN_TOML)),
    ),
    "arrays": lambda folder: ("fit", archive(folder)),
    "an output that is there": lambda folder: (
        "worth",
        "--plot",
        written(folder, "", f"{EVIL}.png"),
    ),
    "an output that is no picture": lambda folder: ("worth", "--plot", str(folder / EVIL)),
    "a folder that is not there": lambda folder: (
        "simulate",
        "--save",
        str(folder / EVIL / "a.nc"),
    ),
    "an option": lambda folder: ("worth", f"--{EVIL}", "1"),
    "a choice": lambda folder: ("simulate", "--method", EVIL),
    "a number": lambda folder: ("worth", "--n-brain", EVIL),
    "a penalty": lambda folder: ("simulate", "--penalty", EVIL),
    "a command": lambda folder: (EVIL,),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_steers_the_terminal(capsys, tmp_path, case):
    folder = tmp_path / EVIL
    folder.mkdir()
    with contextlib.suppress(SystemExit):
        main([*CASES[case](folder)])
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert said.strip()
    steering = {sign for sign in said if unicodedata.category(sign) in STEERS} - {"\n"}
    assert steering == set()
    if case not in ("a command", "an option"):
        assert printable(EVIL) in said or "\\x1b" in said


def test_nor_does_the_name_of_a_file_that_was_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxbrain.cli._answer", lambda _: "\n".join(["42", *wrote(Path(EVIL))]))
    main(["worth", "--plot", EVIL])
    said = capsys.readouterr().out
    assert {sign for sign in said if unicodedata.category(sign) in STEERS} == {"\n"}
    assert printable(EVIL) in said


def test_of_unknown_arrays_twenty_are_named(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["fit", archive(tmp_path)])
    said = capsys.readouterr().err
    assert said.count("is not known here") == 20
    assert "40 more arrays are not known here" in said
