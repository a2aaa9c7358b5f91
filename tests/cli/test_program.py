"""The program as it is started: help, version, devices, what cannot be printed, imports."""

import json
import os
import re
import subprocess
import sys

import jax
import pytest

import jaxbrain as jb
from jaxbrain.cli import main
from tests.helpers.cli import as_program, run

COMMANDS = ("worth", "plan", "report", "simulate", "fit", "reproduce", "info")


def test_importing_the_library_changes_no_flag_and_loads_no_plotting():
    code = (
        "import jax; before = dict(jax.config.values); import jaxbrain, sys;"
        "assert dict(jax.config.values) == before;"
        "assert 'matplotlib' not in sys.modules;"
        "print(jaxbrain.value(jaxbrain.Problem.isotropic(10, 2, 1., .1, .5), 50, 50).dtype)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "float32"


def test_a_model_in_place_of_its_problem_is_told_apart():
    """Without the annotations that these tests execute, as a user has it."""
    code = "import jaxbrain as jb; jb.value(jb.presets.small(), 600, 50)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ValueError: problem is a LinearGaussianModel: pass model.problem()" in done.stderr


def test_info_tells_devices_precision_and_versions(capsys, monkeypatch):
    # Other workers compile meanwhile: the folder that they share is looked at in test_cache.py.
    monkeypatch.setattr("jaxbrain.cli.cache.kept", lambda folder: (12, 3.4e6))
    found = json.loads(run(capsys, "info", "--json"))
    assert found["jaxbrain"] == jb.__version__
    assert found["jax"] == jax.__version__
    assert found["devices"].startswith(f"{jax.devices()[0].platform}:0")
    assert found["precision"].startswith("float64")
    assert found["number, size of them"] == "12, 3.4 MB"
    lines = dict(line.split("  ", 1) for line in run(capsys, "info").splitlines())
    assert {name: value.strip() for name, value in lines.items()} == {
        name: str(value) for name, value in found.items()
    }


def test_the_version_is_one_line(capsys):
    assert run(capsys, "--version") == f"jaxbrain {jb.__version__}\n"


def helped(capsys, *arguments):
    """A help text without its frames and line breaks."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    return " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())


def test_help_tells_of_the_version_and_of_every_command(capsys):
    text = helped(capsys)
    for word in ("--version", *COMMANDS):
        assert word in text


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        (
            "worth",
            [
                "18000 (preset fmri), 500 (small, images)",
                "100000 (preset fmri), 100 (small), 250 (images)",
            ],
        ),
        ("plan", ["30000 (preset fmri), 500", "0.5 (preset fmri), 1", "600 (preset fmri)"]),
        ("report", ["18000 (preset fmri), 500 (small, images)", "what the study costs"]),
        (
            "simulate",
            ["100 200 400 800 (preset small), or 7200 18000 36000 (fmri)", "by default 100"],
        ),
        ("fit", ["half of shared rows", "By default the rest of shared rows"]),
        ("reproduce", ["(default: all)"]),
        ("info", ["(default: False)"]),
    ],
)
def test_help_tells_defaults_and_never_that_there_are_none(capsys, command, defaults):
    text = helped(capsys, command)
    for default in defaults:
        assert default in text
    assert "default: None" not in text
    assert "default: )" not in text


@pytest.mark.parametrize("platform", ["tpuu", "cuda"])
def test_a_device_that_is_not_there_is_told(platform):
    if platform == "cuda" and jax.default_backend() == "gpu":
        pytest.skip("there is one")
    done = as_program("worth", env={"JAX_PLATFORMS": platform})
    assert done.returncode == 2
    said = f"jaxbrain: JAX finds no device for JAX_PLATFORMS={platform}: unset it"
    assert done.stderr.splitlines()[-1] == said
    assert "Traceback" not in done.stderr
    done = as_program("info", env={"JAX_PLATFORMS": platform})
    assert done.returncode == 0
    assert "none (JAX: " in done.stdout


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_an_answer_that_cannot_be_printed_is_told(option):
    with open("/dev/full", "w") as full:
        done = as_program(option, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "jaxbrain: the answer cannot be printed (No space left on device)\n"
    reader, writer = os.pipe()
    os.close(reader)
    done = as_program(option, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_signs_that_the_terminal_lacks_are_replaced(tmp_path):
    """Here in the name of a folder: nothing has to be computed for it."""
    settings = {"JAX_COMPILATION_CACHE_DIR": "", "JAXBRAIN_CACHE": str(tmp_path / "λ")}
    done = as_program("info", env=settings | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "?") in done.stdout


def test_an_interrupted_command_says_how_to_go_on(capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxbrain.theory.worth", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(["worth", "--preset", "small"])
    assert caught.value.code == 130
    said = "jaxbrain: interrupted; nothing was written: start it again\n"
    assert capsys.readouterr().err == said
