"""`jaxbrain fit`: the table, the verdict, and how it refuses."""

import json
import re

import numpy as np
import pytest

from jaxbrain.cli.input.arrays import Arrays
from jaxbrain.cli.progress import Progress
from jaxbrain.cli.words.arrays import about_arrays
from jaxbrain.pilot import ESTIMATORS, ClassScores, PilotError
from tests.helpers.cli import refused, run, small_file
from tests.helpers.evaluations import evaluation
from tests.helpers.files import mat
from tests.helpers.studies import study_of_classes


def test_fit_prints_errors_differences_and_a_verdict(capsys, tmp_path):
    path = small_file(tmp_path)
    whole = np.load(path)["recordings"]
    path = small_file(tmp_path, recordings=np.insert(whole, 3, 1.0, axis=1))
    text = run(capsys, "fit", path, "--repeats", "4", "--rank", "2", "--per-target")
    assert text.startswith("left out: recordings is constant in 1 column (3)\n")
    for name in ("least squares", "ridge", "BEFS", "two penalties", "random", "shuffled"):
        assert name in text
    assert "60 brain, 30 task and 30 test rows" in text
    answer = json.loads(run(capsys, "fit", path, "--repeats", "4", "--rank", "2", "--json"))
    assert answer["arrays"] == {
        "dropped": [{"array": "recordings", "reason": "is constant", "columns": [3]}],
        "targets": ["0"],
    }
    error = answer["errors"]["ridge"]
    assert f"{error['mean']:.4f}" in text
    assert error["low"] < error["mean"] < error["high"]
    assert answer["verdict"] in text
    gap = answer["errors"]["befs"]["mean"] - error["mean"]
    assert answer["differences_to_ridge"]["befs"]["mean"] == pytest.approx(gap)


def test_verdict_needs_more_than_a_gain_over_ridge(capsys, tmp_path):
    """Recordings of noise, or a control that does as well, must not pass for help."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(120, 8))
    path = small_file(tmp_path, inputs=inputs, recordings=rng.normal(size=(120, 10)))
    assert "recordings help" not in run(capsys, "fit", path, "--repeats", "20", "--rank", "2")
    every = inputs @ np.ones(8) + 0.3 * rng.normal(size=120)
    uneven = inputs * np.array([1, 1, 1, 1, 1, 1, 1, 1000.0])
    path = small_file(tmp_path, inputs=uneven, recordings=inputs[:, :4], targets=every)
    text = run(capsys, "fit", path, "--repeats", "20", "--rank", "3")
    assert "recordings help" not in text
    assert "variances differ" in text


def test_help_is_doubted_where_neighbouring_rows_are_alike(capsys, tmp_path):
    rng = np.random.default_rng(0)
    targets = np.repeat(rng.normal(size=(30, 2)), 4, axis=0) + 0.1 * rng.normal(size=(120, 2))
    path = small_file(tmp_path, targets=targets)
    options = ("--repeats", "4", "--rank", "2", "--json")
    alike = json.loads(run(capsys, "fit", path, *options))
    assert re.search(
        r"rows that follow each other are alike \(correlation 0.7\d\)", alike["verdict"]
    )
    assert "--block" in alike["verdict"]
    apart = json.loads(run(capsys, "fit", path, *options, "--block", "8"))
    assert "alike" not in apart["verdict"]
    assert "in blocks of 8" in " ".join(apart["what_was_done"])
    assert "--block = 50 rows" in refused(capsys, "fit", path, *options, "--block", "50")
    assert "--block must lie between 1" in refused(capsys, "fit", path, *options, "--block", "0")


def test_recordings_that_show_where_the_task_is_not_are_told_apart(capsys, tmp_path):
    """Recordings and task share no direction: only two penalties can make use of that."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 12))
    recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + 0.5 * rng.normal(size=(400, 20))
    options = ("--n-brain", "200", "--n-task", "20", "--repeats", "100", "--rank", "2", "--json")
    said = {}
    for first in (0, 2):
        targets = inputs[:, first : first + 2] @ rng.normal(size=(2, 2))
        targets += 0.7 * rng.normal(size=(400, 2))
        path = small_file(tmp_path, inputs=inputs, recordings=recordings, targets=targets)
        said[first] = json.loads(run(capsys, "fit", path, *options))["verdict"]
    assert said[0].startswith("The recordings help: BEFS")
    assert said[2].startswith(
        "The recordings help by showing where the task is not: BEFS with two penalties has"
    )
    assert re.search(r"In (9\d|100) % of the splits", said[2])


def test_fit_is_reproducible_by_its_seed(capsys, tmp_path):
    path = small_file(tmp_path)
    arguments = ("fit", path, "--repeats", "4", "--rank", "2", "--json", "--seed")
    first, again, other = (run(capsys, *arguments, seed) for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


@pytest.fixture
def handed_over(capsys, monkeypatch):
    """The study that `fit` hands to `evaluate`, which says that it has seen enough."""

    def enough(data, *others, **options):
        studies.append(data)
        raise PilotError(["enough"])

    def call(*options):
        assert refused(capsys, "fit", *options).endswith("enough\n")
        return studies.pop()

    studies = []
    monkeypatch.setattr("jaxbrain.pilot.evaluate", enough)
    return call


def test_arrays_come_from_files_of_several_kinds(capsys, tmp_path, handed_over):
    rng = np.random.default_rng(0)
    inputs, recordings = np.repeat(rng.normal(size=(60, 8)), 2, axis=0), rng.normal(size=(120, 10))
    recordings[:, 4], inputs[:, 3] = 7.0, 1.0
    np.save(tmp_path / "inputs.npy", inputs)
    (tmp_path / "recorded.mat").write_bytes(mat(compress=True, spikes=recordings))
    rows = [f"s{row // 12},{'yes' if row % 4 < 2 else 'no'},{row}" for row in range(120)]
    (tmp_path / "rows.csv").write_text("\n".join(["session,seen,time", *rows]))
    files = {
        "inputs": str(tmp_path / "inputs.npy"),
        "recordings": f"{tmp_path / 'recorded.mat'}:spikes",
        "targets": f"{tmp_path / 'rows.csv'}:seen",
        "groups": f"{tmp_path / 'rows.csv'}:session",
    }
    options = [part for name, file in files.items() for part in (f"--{name}", file)]
    options += ["--n-brain", "24", "--n-task", "12", "--rank", "2"]
    data = handed_over(*options, "--average-repeats", "inputs")
    np.testing.assert_array_equal(data.task_inputs, np.delete(inputs[::2], 3, axis=1))
    np.testing.assert_array_equal(data.targets[:, 0], [1.0, 0.0] * 30)
    assert data.classes == (("no", "yes"),)
    np.testing.assert_array_equal(data.task_groups, np.arange(60) // 6)
    assert about_arrays(Arrays(**files, average_repeats="inputs").read(), "inputs") == [
        "left out: inputs is constant in 1 column (3)",
        "left out: recordings is constant in 1 column (4)",
        "target seen: 2 classes, no (30 rows), yes (30 rows)",
        "repeats: rows of equal inputs averaged, 60 rows with recordings and 60 with targets are "
        "left",
    ]
    said = refused(capsys, "fit", *options, "--average-repeats", "groups")
    assert "--targets of 10 repeated rows differ in class, as in rows [0, 1, 2, 3, 4]" in said


def test_what_is_standardised_is_asked_for(tmp_path, handed_over):
    path = small_file(tmp_path)
    everything = ("--standardise-inputs", "--standardise-targets")
    assert handed_over(path).standardise == ("recordings",)
    assert handed_over(path, "--raw-channels").standardise == ()
    assert handed_over(path, *everything).standardise == ("inputs", "recordings", "targets")


def test_classes_are_asked_for_or_found(tmp_path, handed_over):
    for targets, option, classes in (
        (np.arange(120) % 2 + 0.0, (), None),
        (np.arange(120) % 2 + 0.0, ("--classes",), ((0.0, 1.0),)),
        (np.arange(120) % 2, (), ((0, 1),)),
        (np.arange(120) % 2, ("--no-classes",), None),
    ):
        data = handed_over(small_file(tmp_path, targets=targets), *option)
        assert np.unique(data.targets).tolist() == [0, 1]
        assert data.classes == classes


def test_classes_are_told_apart_in_nats(capsys, tmp_path, monkeypatch):
    """What `evaluate` finds of classes, made up here, in words, as JSON and in a figure."""
    rates = np.tile(np.linspace(0.4, 0.9, len(ESTIMATORS))[:, None, None], (3, 1, 4, 1))
    rates *= np.array([1.0, 0.9, 1.1])[:, None, None, None]
    lacking = np.array([3])
    scores = ClassScores(*rates, np.full((4, 1), 1.05), lacking)
    studies = []

    def evaluate(data, *others, **options):
        studies.append(data)
        return evaluation(0.02, classes=scores, scores=np.arange(len(ESTIMATORS), dtype=float))

    monkeypatch.setattr("jaxbrain.pilot.evaluate", evaluate)
    inputs, recordings, targets = study_of_classes()
    path = small_file(tmp_path, inputs=inputs, recordings=recordings, targets=targets)
    picture = tmp_path / "errors.svg"
    text = run(capsys, "fit", path, "--repeats", "4", "--plot", str(picture))
    assert studies[0].classes == (("animal", "plant", "tool"),)
    assert "target 0: 3 classes, animal (" in text
    assert "classes: logistic regression" in text
    assert "in 3 of 4 splits the task rows lack a class" in text
    assert "probability 1/102" in text
    assert "how often classes come among the task rows has 1.0500" in text
    assert re.search(r"held-out error .* accuracy +balanced +AUC\n", text)
    answer = json.loads(run(capsys, "fit", path, "--repeats", "4", "--json"))
    assert answer["loss"] == "nats"
    assert answer["by_frequency"] == pytest.approx(1.05)
    assert answer["lacking"] == [3]
    assert answer["arrays"]["classes"] == [["animal", "plant", "tool"]]
    assert (answer["estimator"], answer["rival"]) == ("befs", "ridge")
    for place, name in ((1, "ridge"), (2, "befs")):
        told = answer["class_scores"][name]
        by_kind = dict(
            zip(("accuracy", "balanced_accuracy", "auc"), rates[:, place, 0, 0], strict=True)
        )
        assert told == pytest.approx(by_kind)
        label = {"ridge": "ridge", "befs": "BEFS"}[name]
        row = next(line for line in text.splitlines() if line.startswith(f"{label} "))
        assert [float(word) for word in row.split()[-3:]] == pytest.approx(
            [*by_kind.values()], abs=6e-4
        )
    right = [100 * rates[0, place, 0, 0] for place in (2, 1)]
    said = f"nats, {right[0]:.1f} % against {right[1]:.1f} % of the rows right)"
    assert said in answer["verdict"]
    assert "held-out error (nats)" in " ".join(re.findall("<!-- (.*?) -->", picture.read_text()))
    # Numbers have none of all this.
    monkeypatch.setattr("jaxbrain.pilot.evaluate", lambda *each, **options: evaluation(0.02))
    plain = json.loads(run(capsys, "fit", path, "--repeats", "4", "--json"))
    assert plain["loss"] == "squared error"
    assert not {"by_frequency", "class_scores", "lacking"} & {*plain}
    assert "nats" not in plain["verdict"]


def test_dry_run_tells_what_would_be_done_and_does_no_more(capsys, tmp_path, monkeypatch):
    """Two splits are timed twice, compiled and then for good; nothing else is evaluated."""

    def evaluate(data, sizes, repeats, *others, **options):
        splits.append(repeats)
        clock.append(clock[-1] + 3.0 * repeats)

    splits, clock = [], [0.0]
    monkeypatch.setattr("jaxbrain.pilot.evaluate", evaluate)
    monkeypatch.setattr("jaxbrain.cli.commands.fit.time.perf_counter", lambda: clock[-1])
    out = run(capsys, "fit", small_file(tmp_path), "--repeats", "200", "--dry-run")
    assert splits == [2, 2]
    assert re.search(r"splits +200 into 60 brain, 30 task and 30 test rows\n", out)
    assert re.search(r"largest system of equations +8 x 8\n", out)
    # 3 seconds a split.
    assert re.search(r"time +about 10 min, compilation apart", out)
    assert re.search(r"memory +some [0-9.e-]+ GB", out)


@pytest.mark.parametrize("on_a_terminal", [True, False])
def test_progress_tells_how_long_it_still_takes(capsys, monkeypatch, on_a_terminal):
    """From the second report on: the first holds the time of compiling."""
    clock = iter([100.0, 104.0, 108.0])
    monkeypatch.setattr("jaxbrain.cli.progress.time.perf_counter", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: on_a_terminal, raising=False)
    progress = Progress("splits")
    for done in (2, 4, 6):
        progress(done, 6)
    said = capsys.readouterr().err
    if not on_a_terminal:
        assert said == ""
        return
    first, second, third = said.split("\r")[1:]
    assert "splits 2/6" in first
    assert "left" not in first
    assert re.search(r"splits 4/6, 4 s left", second)
    assert third.startswith("splits 6/6")
    assert third.endswith("\n")


def test_fit_refuses_arrays_that_it_cannot_use(capsys, tmp_path):
    path = small_file(tmp_path, targets=np.full(120, np.nan), recordings=np.zeros((119, 10)))
    said = refused(capsys, "fit", path)
    assert "targets holds no number in" in said
    assert "recordings is constant" in said


@pytest.mark.parametrize("there", [True, False])
def test_fit_tells_all_that_is_wrong_at_once(capsys, tmp_path, there):
    path = small_file(tmp_path) if there else str(tmp_path / "absent.npz")
    options = ("--seed", "-1", "--repeats", "1", "--rank", "0", "--n-brain", "121", "--n-test", "1")
    said = refused(capsys, "fit", path, *options, "--n-task", "9" * 30)
    for fault in (
        "--seed must lie between 0 and 4294967295, but it is -1",
        "--repeats must lie between 2 and 1000000, but it is 1",
        "--rank must lie between 1 and",
        "--n-test must lie between 2 and",
        "--n-task must lie between 5 and",
        "--n-brain = 121, but there are only 120 recorded rows" if there else "no such file",
    ):
        assert fault in said


@pytest.mark.parametrize(("arguments", "said"), [(("absent.npz",), "no such file"), ((), "file")])
def test_a_file_is_needed(capsys, arguments, said):
    assert said in refused(capsys, "fit", *arguments)
