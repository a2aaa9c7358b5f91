"""`jaxbrain worth`: numbers, words, pictures. All studies have the sizes of the small preset."""

import json
import re

import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli import main
from jaxbrain.cli.answers.worth import ranked, savings_of
from jaxbrain.cli.input.study import read_study
from jaxbrain.cli.words.worth import as_table, verdict
from jaxbrain.study import Study
from tests.helpers.cli import NOISY, described_problem, refused, run, written

KEYS = [
    "n_brain",
    "n_task",
    "penalty",
    "risk",
    "task_only_risk",
    "ridge_risk",
    "value",
    "value_vs_ridge",
    "information_value",
    "exchange_rate",
    "savings",
]


SMALL = ("worth", "--preset", "small")


@pytest.fixture(scope="module")
def problem():
    return jb.presets.small().problem()


def test_json_is_what_the_library_says(capsys, problem):
    answer = json.loads(run(capsys, *SMALL, "--n-brain", "700", "--n-task", "200", "--json"))
    expected = jb.worth(problem, 700, 200)
    for key in KEYS:
        assert answer[key] == pytest.approx(float(getattr(expected, key)), rel=1e-12)


@pytest.mark.study
def test_the_fmri_study_in_words(capsys):
    text = run(capsys, "worth")
    value = float(jb.value(jb.presets.fmri().problem(), 18_000, 100_000, baseline="ols"))
    labels = f"{round(value, -3):,.0f}".replace(",", " ")
    assert f"18 000 brain samples (10.0 h) are worth {labels} extra labels" in text
    verdict = text.splitlines()[-1]
    assert "a part of which is mere shrinkage" in verdict
    few = run(capsys, "worth", "--n-task", "5000")
    assert "worse than predicting 0" in few
    assert "which is mere shrinkage, since the error stays above" in few.splitlines()[-1]
    knowledge = jb.information_value(jb.presets.fmri().problem(), 18_000, 100_000)
    found = re.search(r"measured against ridge regression, is worth ([\d ]+) labels", verdict)
    assert int(found.group(1).replace(" ", "")) == pytest.approx(float(knowledge), rel=5e-3)


def told(study, **changes):
    """The verdict on numbers that are made up, apart from those that are given."""
    numbers = {"n_task": study.n_task, "risk": 0.4, "value": 135_600.0, "value_vs_ridge": 93_915.0}
    numbers |= {"information_value": 96_724.0} | changes
    return verdict(study, numbers, changes.get("risk", 0.4) > 1)


def test_the_verdict_says_what_is_shrinkage_and_what_is_not(problem):
    study = Study(problem, 18_000, 100_000, 1_800)
    said = told(study)
    assert said.startswith("18 000 brain samples (10.0 h) are worth 136 000 extra labels against")
    assert "a part of which is mere shrinkage. The information in them, with" in said
    assert "measured against ridge regression, is worth 96 700 labels." in said
    assert "mere shrinkage, since the error stays above that of predicting 0" in told(study, risk=2)
    beaten = told(study, value_vs_ridge=-3.0)
    assert "mere shrinkage, since ridge regression without recordings does better" in beaten
    assert "is worth next to nothing for this task." in told(study, information_value=0.4)
    few = told(Study(problem, 500, 5, None), risk=np.inf)
    assert "cannot even be read out unpenalised (6 latents), but the information in" in few


def test_verdicts_of_the_library_s_numbers(capsys):
    def said(*arguments):
        return run(capsys, *SMALL, *arguments).splitlines()[-1]

    few = said("--n-task", "200", "--n-brain", "80", "--task-snr", "0.05")
    many = said("--n-task", "5000", "--n-brain", "5000")
    blind = said("--misalignment", "0.91", "--n-brain", "70", "--n-task", "70")
    assert "mere shrinkage, since" in few
    assert "a part of which is mere shrinkage" in many
    assert "worth next to nothing for this task" in blind


def test_what_if_ranks_the_elasticities(capsys, problem):
    arguments = ("worth", "--preset", "small", "--n-brain", "700", "--n-task", "200", "--what-if")
    answer = json.loads(run(capsys, *arguments, "--json"))["elasticities"]
    for measure in ("value", "information_value"):
        expected = jb.elasticities(problem, 700, 200, measure=measure)._asdict()
        assert answer[measure] == pytest.approx({k: float(v) for k, v in expected.items()})
    lines = run(capsys, *arguments).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("one percent more"))
    assert lines[start].split("  ")[-2:] == ["value of the information", "against least squares"]
    cells = [line.split("%")[:2] for line in lines[start + 1 : start + 8]]
    shown, against_ols = ([float(row[i].split()[-1]) for row in cells] for i in (0, 1))
    assert [abs(change) for change in shown] == sorted(map(abs, shown), reverse=True)
    assert sorted(shown) == pytest.approx(sorted(answer["information_value"].values()), abs=6e-4)
    assert sorted(against_ols) == pytest.approx(sorted(answer["value"].values()), abs=6e-4)


def test_what_cannot_change_is_ranked_last(problem):
    names = ("n_brain", "n_task", "misalignment")
    changes = {
        "value": dict(zip(names, (0.1, 0.9, np.nan), strict=True)),
        "information_value": dict(zip(names, (-0.5, 0.2, np.nan), strict=True)),
    }
    assert list(ranked(changes)) == ["n_brain", "n_task", "misalignment"]
    undefined = changes | {"information_value": dict.fromkeys(names, np.nan)}
    assert list(ranked(undefined)) == ["n_task", "n_brain", "misalignment"]
    numbers = dict.fromkeys(KEYS, 1.0)
    table = as_table(Study(problem, 500, 100, None), numbers, changes, False, {}).split("\n\n")[1]
    assert re.fullmatch(r"misalignment +undefined +undefined", table.splitlines()[-1])


def test_elasticities_of_what_is_at_its_bound_are_null(capsys):
    answer = json.loads(run(capsys, *SMALL, "--misalignment", "1", "--what-if", "--json"))
    for measure in ("value", "information_value"):
        changes = answer["elasticities"][measure]
        assert [name for name, change in changes.items() if change is None] == ["misalignment"]


def test_infinite_numbers_are_null_with_a_note(capsys):
    answer = json.loads(run(capsys, "worth", "--preset", "small", "--n-task", "20", "--json"))
    assert answer["task_only_risk"] is None
    assert "task_only_risk is infinite" in answer["notes"]


def test_too_few_labels_leave_the_value_undefined(capsys):
    arguments = ("worth", "--preset", "small", "--n-task", "7")
    answer = json.loads(run(capsys, *arguments, "--json"))
    assert answer["risk"] is None
    assert answer["value"] is None
    assert "value is undefined" in answer["notes"]
    text = run(capsys, *arguments)
    assert "cannot even be read out" in text
    assert "savings" not in text


def test_hours_are_samples_of_the_fmri_preset():
    study = read_study(None, {"hours": 20.0, "n_task": 100_000.0})
    assert (study.preset, study.n_brain, study.hours, study.n_task) == ("fmri", 36_000, 20, 100_000)
    assert study.problem.input_dim == 4_096


def test_a_config_describes_a_study_and_flags_take_precedence(capsys, tmp_path):
    config = written(
        tmp_path,
        """
        n_brain = 2_000
        n_task = 500
        task_snr = 0.5
        misalignment = 0.4
        samples_per_hour = 100
        [problem]
        input_dim = 64
        latent_dim = 6
        recording_dim = 150
        latent_noise = [0.5, 0.4, 0.3, 0.2, 0.2, 0.1]
        recording_noise = 4.0
        gain = 30.0
        """,
    )
    answers = {
        run(capsys, "worth", *file, "--hours", "30", "--json")
        for file in ((config,), ("--config", config), (f"--config={config}",))
    }
    (answer,) = map(json.loads, answers)
    problem = described_problem(
        latent_noise=[0.5, 0.4, 0.3, 0.2, 0.2, 0.1], gain=30.0, misalignment=0.4, task_noise=2.0
    )
    assert answer["n_brain"] == 3_000
    assert answer["value"] == pytest.approx(
        float(jb.value(problem, 3_000, 500, baseline="ols")), rel=1e-12
    )


def test_a_plot_is_drawn_and_never_overwritten_unasked(capsys, tmp_path):
    plot = tmp_path / "savings.png"
    arguments = ("worth", "--preset", "small", "--plot", str(plot))
    run(capsys, *arguments)
    drawn = plot.read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) > 10_000
    assert "pass --overwrite" in refused(capsys, *arguments)
    plot.write_bytes(b"old")
    run(capsys, *arguments, "--overwrite")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_curves_are_those_of_the_library(problem):
    curves, (n_task, share) = savings_of(Study(problem, 500.0, 100.0, None))
    assert curves.n_brain.values.tolist() == [125, 250, 500, 1_000, 5_000]
    assert (n_task, share) == (100, float(jb.savings(problem, 500, 100, baseline="ols")))
    for baseline in ("ols", "ridge"):
        grid = curves.n_brain.values[:, None], curves.n_task.values[None, :]
        expected = jb.savings(problem, *grid, baseline=baseline)
        np.testing.assert_array_equal(curves[baseline], expected)
    # A study whose risk is infinite has no share.
    assert np.isnan(savings_of(Study(problem, 500.0, 7.0, None))[1][1])


def test_inaccuracy_is_noted_once_and_not_warned_of(capsys, tmp_path):
    config = written(tmp_path, NOISY)
    main(["worth", config, "--what-if", "--plot", str(tmp_path / "a.svg")])
    printed = capsys.readouterr()
    assert printed.err == ""
    (note,) = [line for line in printed.out.splitlines() if line.startswith("note: ")]
    assert "latents are half as many as inputs" in note
    answer = json.loads(run(capsys, "worth", config, "--json"))
    assert [note] == [f"note: {said}" for said in answer["notes"] if "latents are half" in said]
    assert "note: " not in run(capsys, *SMALL)
