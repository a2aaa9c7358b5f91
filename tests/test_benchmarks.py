"""The benchmarks: their page says what their results say, and their references are right."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxbrain as jb
from benchmarks import __main__ as runner
from benchmarks import (
    _accuracy_errors,
    _formats,
    _gpu_part,
    _measure,
    _page_parts,
    _pilot_page,
    _public_calls,
    command_line,
    numpy_reference,
    page,
    public_numbers,
)

ROOT = Path(__file__).parents[1]
SOURCE_OF_STARTS = Path(command_line.__file__).read_text()
SOURCE_OF_PARTS = Path(_page_parts.__file__).read_text()


def test_tables_of_the_page_are_those_of_the_results():
    text = page.PAGE.read_text()
    assert set(re.findall(r"<!-- ([a-z ]+) -->\n", text)) - {"end"} == set(page.PARTS)
    assert page.filled(text) == text
    # A changed number would be seen.
    digit = re.search(r"<!-- closed forms -->.*?(\d)\.\d", text, re.DOTALL)
    assert digit is not None
    place = digit.start(1)
    wrong = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
    assert page.filled(wrong) == text


def test_times_on_a_gpu_stand_beside_those_of_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(_measure, "RESULTS", tmp_path)
    assert _gpu_part.on_gpu() == "No measurement on a GPU yet."

    def written(folder, scale, device):
        timed = {"median_s": 3.0 * scale, "numpy_one_cell": {"median_s": 7.0}}
        found = {"draws": {"rows": [{"jaxbrain": timed, "numpy": {"wall_s": 5.0}}]}}
        found |= {"sweep": {"wall_s": 40.0 * scale}} | (
            {"alone": {"wall_s": 1.0}} if scale == 1 else {}
        )
        machine = {"device": device}
        record = {"results": found, "machine": machine, "commit": "abc", "date": "2026-01-02"}
        folder.mkdir(exist_ok=True)
        (folder / "draw.json").write_text(json.dumps(record))

    written(tmp_path, 1.0, "TFRT_CPU_0")
    written(tmp_path / "gpu", 0.25, "NVIDIA H100")
    assert _gpu_part.on_gpu().splitlines()[2:] == [
        "| draw / draws / rows / 0 / jaxbrain | 3.0 s | 750 ms | 4.0 |",
        "| draw / sweep | 40 s | 10 s | 4.0 |",
        "",
        "Measured on NVIDIA H100, abc on 2026-01-02.",
    ]


def test_later_starts_stand_beside_the_first_where_they_were_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(_measure, "RESULTS", tmp_path)

    def told(**found):
        record = {"results": {"fit_data": "simulated arrays"} | found}
        (tmp_path / "command_line.json").write_text(json.dumps(record))
        return _page_parts.command_line().splitlines()

    def start(seconds):
        return {"median_s": seconds, "min_s": seconds, "max_s": seconds, "peak_memory_gb": 0.5}

    first = {"worth_from_a_cold_start": start(4.0), "plan_three_modalities": start(12.0)}
    assert told(**first)[0] == "| what, from a cold start | wall time | memory |"
    lines = told(**first, worth_from_the_second_start_on=start(2.0), info=start(1.0))
    assert lines[0].endswith("| memory | from the second start on |")
    assert lines[2:] == [
        "| `jaxbrain info` | 1.0 s (1.0 s – 1.0 s) | 0.50 GB |  |",
        "| `jaxbrain worth` | 4.0 s (4.0 s – 4.0 s) | 0.50 GB | 2.0 s (2.0 s – 2.0 s) |",
        "| `jaxbrain plan`, three modalities | 12 s (12 s – 12 s) | 0.50 GB |  |",
    ]


def test_the_command_line_measures_the_starts_that_the_page_shows():
    """By the names under which it stores them."""
    stored = set(re.findall(r'"(\w+)": (?:worth|plan|fit)\["(?:first|later)"\]', SOURCE_OF_STARTS))
    shown = re.findall(r'"(\w+)": f?"`jaxbrain (?:worth|plan|fit)', SOURCE_OF_PARTS)
    firsts = {name.removesuffix(_page_parts.COLD) for name in shown}
    assert stored == {*shown, *(f"{name}{_page_parts.LATER}" for name in firsts)}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2e-6, "2.0 µs"), (0.0123, "12 ms"), (1.26, "1.3 s"), (90, "90 s"), (392, "6.5 min")],
)
def test_durations_are_readable(seconds, text):
    assert _formats.duration(seconds) == text


@pytest.mark.parametrize(("ratio", "text"), [(0.52, "0.5"), (26_432, "26,000"), (398.2, "400")])
def test_ratios_have_two_digits(ratio, text):
    assert _formats.times(ratio) == text


def test_every_benchmark_is_known_to_the_runner():
    modules = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    by_hand = {"accuracy", "accuracy_simulation", "coverage", "numpy_reference", "page"}
    by_hand |= {"gaussian_equivalence", "public_numbers", "real_inputs", "verdicts"}
    by_hand |= {"weightings", "weightings_theory", "pilot_coverage"}
    assert set(runner.NAMES) == modules - by_hand


def test_simulated_arrays_have_the_shapes_of_the_recordings(tmp_path):
    if not command_line.RECORDED.exists():
        pytest.skip("the recordings are not part of the package")
    shapes = []
    for name in ("recorded", "simulated"):
        getattr(command_line, name)(tmp_path / f"{name}.npz")
        with np.load(tmp_path / f"{name}.npz") as arrays:
            shapes.append({name: arrays[name].shape for name in arrays})
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "no such benchmark: nonsense"),
        (["closed_forms", "--device", "gpu"], "--device gpu: JAX finds none"),
    ],
)
def test_what_cannot_run_says_so(arguments, said):
    if "gpu" in arguments and jax.default_backend() == "gpu":
        pytest.skip("there is a GPU")
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode
    assert said in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("n_brain", "channels", "noise"),
    [(60.0, 5, 1.5), (200.0, 5, 1.5), (100.0, 30, 0.02), (200.0, 30, 0.02)],
)
def test_closed_forms_of_the_reference_are_those_of_the_library(n_brain, channels, noise):
    """Two sides without common code; they differ in how the first finite-size term is written.

    The reference knows quiet channels alone, in which the formula for few directions serves.
    """
    d, k = 50, 5
    problem = jb.Problem(
        input_dim=d,
        latent_dim=k,
        recording_dim=channels,
        latent_noise=np.linspace(0.2, 0.6, k),
        gain=np.linspace(2.0, 6.0, k),
        recording_noise=noise,
        aligned_power=np.linspace(0.1, 0.2, k),
        misaligned_power=0.2,
        task_noise=3.0,
    )
    from benchmarks.closed_forms import numpy_problem

    reference = numpy_problem(problem)
    for n_task in (20.0, 80.0, 1000.0):
        expected = float(jb.value(problem, n_brain, n_task, baseline="ols"))
        found = numpy_reference.value(*reference, n_brain, n_task)
        assert found == pytest.approx(expected, rel=5e-5)
        wrong = numpy_reference.value(*reference, 1.01 * n_brain, n_task)
        assert wrong != pytest.approx(expected, rel=5e-5)


def test_errors_of_the_closed_forms_are_found_for_all_numbers_of_recordings(monkeypatch):
    monkeypatch.setattr(_accuracy_errors, "cases", lambda: [(1.0, 0.5)])
    monkeypatch.setattr(_accuracy_errors, "SHIFTS", {"off it": (0.0, 1.0, 1.0)})
    problem = jb.Problem.isotropic(24, 3, 1.0, 0.1, 0.5).with_traced_sizes()
    find = inspect.unwrap(_accuracy_errors.claimed)
    found = jax.eval_shape(find, problem, np.array([40.0, 80.0]), np.array([30.0]))
    assert [each.shape for each in found] == [(2,), (1, 2), (1, 2, 2)]


NUMBERS = {
    "risk @ spectra": np.array([[1.0, 2e-7], [np.inf, np.nan]]),
    "worth @ spectra .value": np.array(3.0),
}


@pytest.mark.parametrize(
    ("name", "place", "number"),
    [
        ("risk @ spectra", (0, 0), 1 + 2e-10),
        # A small entry counts as a ten-thousandth of the largest beside it.
        ("risk @ spectra", (0, 1), 2e-7 + 2e-14),
        ("risk @ spectra", (1, 0), -np.inf),
        ("risk @ spectra", (1, 1), 0.0),
        ("worth @ spectra .value", (), np.nan),
    ],
)
def test_a_wrong_public_number_is_found(capsys, name, place, number):
    wrong = {each: numbers.copy() for each, numbers in NUMBERS.items()}
    wrong[name][place] = number
    assert not public_numbers.compare(NUMBERS, wrong)
    (told,) = [line for line in capsys.readouterr().out.splitlines() if name in line]
    assert told.startswith(name.split()[0])


def test_public_numbers_differ_by_rounding_alone(capsys):
    rounded = {name: numbers * (1 + 1e-12) for name, numbers in NUMBERS.items()}
    rounded["risk @ spectra"][0, 1] += 5e-15
    rounded["tune_penalty @ .gradient_norm"] = np.array(1e-9)
    assert public_numbers.compare(NUMBERS, rounded)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["risk", "worth"]


@pytest.mark.parametrize("changed", [np.ones(2), None])
def test_a_public_number_that_is_gone_is_found(changed):
    less = {name: numbers for name, numbers in NUMBERS.items() if name.startswith("risk")}
    if changed is not None:
        less["worth @ spectra .value"] = changed
    assert not public_numbers.compare(NUMBERS, less)
    assert not public_numbers.compare(less, NUMBERS)


def test_every_public_function_is_called():
    source = Path(_public_calls.__file__).read_text()
    called = set(re.findall(r"\.(\w+)\(", source)) | set(
        re.findall(r'find\("\w+\.(\w+)"\)', source)
    )
    # The bases and what is raised are not called; answers are made by the package.
    left = {"AccuracyWarning", "PenaltyObjective", "PilotError", "Study", "StudyError"}
    left |= {"PilotEstimate"}
    for room in public_numbers.rooms():
        for name in room.__all__:
            thing = getattr(room, name)
            if callable(thing) and not (isinstance(thing, type) and issubclass(thing, tuple)):
                assert name in called | left, name


def test_tables_of_the_page_of_pilots_are_those_of_the_results():
    page = _pilot_page.PAGE.read_text()
    assert page.count("<!-- end -->") == 2
    assert _pilot_page.filled(page, _pilot_page.results()) == page
