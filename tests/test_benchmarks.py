"""The benchmarks: their page says what their results say, and their references are right."""

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
from benchmarks import command_line, numpy_reference, page

ROOT = Path(__file__).parents[1]


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
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    assert page.on_gpu() == "No measurement on a GPU yet."

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
    assert page.on_gpu().splitlines()[2:] == [
        "| draw / draws / rows / 0 / jaxbrain | 3.0 s | 750 ms | 4.0 |",
        "| draw / sweep | 40 s | 10 s | 4.0 |",
        "",
        "Measured on NVIDIA H100, abc on 2026-01-02.",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2e-6, "2.0 µs"), (0.0123, "12 ms"), (1.26, "1.3 s"), (90, "90 s"), (392, "6.5 min")],
)
def test_durations_are_readable(seconds, text):
    assert page.duration(seconds) == text


@pytest.mark.parametrize(("ratio", "text"), [(0.52, "0.5"), (26_432, "26,000"), (398.2, "400")])
def test_ratios_have_two_digits(ratio, text):
    assert page.times(ratio) == text


def test_every_benchmark_is_known_to_the_runner():
    modules = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    by_hand = {"accuracy", "accuracy_simulation", "numpy_reference", "page"}
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


@pytest.mark.parametrize("n_brain", [60.0, 200.0])
def test_closed_forms_of_the_reference_are_those_of_the_library(n_brain):
    """Two sides without common code; they differ in how the first finite-size term is written."""
    d, k = 50, 5
    problem = jb.Problem(
        input_dim=d,
        latent_dim=k,
        recording_dim=30,
        latent_noise=np.linspace(0.2, 0.6, k),
        gain=np.linspace(2.0, 6.0, k),
        recording_noise=1.5,
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
