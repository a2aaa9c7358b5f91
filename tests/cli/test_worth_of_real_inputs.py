"""`jaxbrain worth` where inputs are not white, or fewer recordings than inputs are learned from.

Studies are of the size of those in tests/theory/test_any_covariance.py, whose programs they share.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli import main
from jaxbrain.cli.answers.worth import savings_of, simulated_of
from jaxbrain.cli.input.study import read_study
from jaxbrain.cli.words.worth import long_wait, verdict
from jaxbrain.simulation import SimulatedWorth
from jaxbrain.study import Study
from jaxbrain.study.described import preset_problem
from tests.helpers.cli import REAL, refused, run, written

FEATURES = REAL.replace("input_dim = 40\nexponent = 1.0", 'features = "seen.npy"')
BESIDE = ("two_penalty_risk", "banded_ridge_risk")


def geometry_of(problem):
    assert problem.geometry is not None
    return problem.geometry


@pytest.fixture(scope="module")
def problem():
    return jb.Problem.power_law(40, 1.0, 3, 1.0, 0.2, 0.5)


@pytest.fixture
def computed(monkeypatch):
    """Whatever would compute ends the test."""

    def computes(*arguments, **options):
        raise AssertionError("it computes")

    for name in ("theory.worth", "simulation.sweep"):
        monkeypatch.setattr(f"jaxbrain.{name}", computes)
    monkeypatch.setattr("jaxbrain.models.problem._random_geometry", computes)


def test_json_is_what_the_library_says(capsys, tmp_path, problem):
    config = written(tmp_path, REAL)
    answer = json.loads(run(capsys, "worth", config, "--json"))
    for name, expected in jb.worth(problem, 60, 40, encoding_penalty=0.1)._asdict().items():
        if math.isfinite(expected):
            assert answer[name] == pytest.approx(float(expected), rel=1e-12), name
    for name in BESIDE:
        expected = getattr(jb, name)(problem, 60, 40, encoding_penalty=0.1)
        assert answer[name] == pytest.approx(float(expected), rel=1e-12)
    assert answer["encoding_penalty"] == 0.1
    assert answer["task_only_risk"] is None  # fewer labels than inputs
    assert "task_only_risk is infinite" in answer["notes"]
    # What is typed takes precedence, and changes the answer as it does in Python.
    typed = ("--exponent", "0.5", "--latent-alignment", "0", "--task-alignment", "-0.5")
    other = jb.Problem.power_law(
        40, 0.5, 3, 1.0, 0.2, 0.5, latent_alignment=0.0, task_alignment=-0.5
    )
    typed += ("--encoding-penalty", "0.3", "--n-brain", "20")
    found = json.loads(run(capsys, "worth", config, *typed, "--json"))
    for name in ("risk", "information_value"):
        expected = float(getattr(jb, name)(other, 20, 40, encoding_penalty=0.3))
        assert found[name] == pytest.approx(expected, rel=1e-12)
        assert found[name] != pytest.approx(answer[name], rel=0.01)


def test_the_table_has_what_counts_first(capsys, tmp_path, monkeypatch, problem):
    # As if three latents were many: that it takes long is said before it does.
    monkeypatch.setattr("jaxbrain.cli.commands.worth._MANY_LATENTS", 2)
    main(["worth", written(tmp_path, REAL)])
    printed, waiting = capsys.readouterr()
    assert waiting == "jaxbrain: 3 latents among such inputs take minutes\n"
    rows, risks, said = printed.strip().split("\n\n")
    table = dict(row.split("  ", 1) for row in rows.splitlines())
    assert table["study"].strip() == (
        "40 inputs of variance 9.35 to 0.234, 3 latents, many channels"
    )
    assert table["encoding penalty"].strip() == "0.1"
    shown = [name for name in table if name.startswith("risk")]
    assert shown == [
        "risk, BEFS with two penalties",
        "risk, banded ridge on recordings",
        "risk, BEFS",
        "risk, ridge on labels alone",
        "risk, least squares on labels alone",
        "risk of predicting 0",
    ]
    assert "is a variance" in risks
    information = float(jb.information_value(problem, 60, 40, encoding_penalty=0.1))
    assert f"{information:.0f} labels" in table["value of the information"]
    assert said.startswith("The information in 60 brain samples, with all the shrinkage")
    assert f"is worth {information:.0f} labels. Without a penalty inside" in said
    main(["worth", "--preset", "small"])
    white, waiting = capsys.readouterr()
    assert waiting == ""
    assert "two penalties" not in white
    assert "is a variance" not in white


def test_the_verdict_on_real_inputs(problem):
    study = Study(problem, 60, 40, None, encoding_penalty="optimal")
    numbers = {"n_task": 40.0, "risk": 0.4, "value_vs_ridge": 22.0, "information_value": 28.4}

    def told(beyond_ridge=False, **changes):
        return verdict(study, numbers | changes, beyond_ridge)

    assert "a number for the encoding penalty, in place of optimal" in long_wait(study)
    assert told().endswith("they are worth 22 labels against ridge regression.")
    assert "ridge regression without recordings does as well or better" in told(value_vs_ridge=-3.0)
    assert "no better than that of predicting 0" in told(beyond_ridge=True, risk=2.0)
    few = told(risk=math.inf, n_task=3.0, value_vs_ridge=math.nan)
    assert "cannot even be read out with labels numbering 3 (3 latents)" in few
    assert "is worth next to nothing for this task." in told(information_value=0.2)


def test_the_curves_reach_below_the_inputs(monkeypatch, problem):
    """Shares are asked for with the study's penalty, at all numbers above the latents."""
    asked = []

    def savings(problem, n_brain, n_task, *, baseline, encoding_penalty):
        asked.append((baseline, encoding_penalty))
        return np.broadcast_to(0.5, np.broadcast_shapes(np.shape(n_brain), np.shape(n_task)))

    monkeypatch.setattr("jaxbrain.theory.savings", savings)
    study = Study(problem, 60.0, 40.0, None, encoding_penalty=0.1)
    curves, here = savings_of(study)
    assert curves.n_brain.values.tolist() == [15, 30, 60, 120, 600]
    assert here == (40, 0.5)
    assert asked == [("ols", 0.1), ("ridge", 0.1), ("ols", 0.1)]


def test_features_lie_beside_the_study_that_names_them(tmp_path, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(300, 8)) / np.arange(1, 9)
    np.save(tmp_path / "seen.npy", rows.astype(np.float32))
    written(tmp_path, FEATURES)
    expected = jb.Problem.from_features(rows, 3, 1.0, 0.2, 0.5)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    named = read_study(Path("..", "study.toml"), {})
    # Typed, it is a file of where you are, and takes precedence over what the study says of inputs.
    (tmp_path / "seen.npy").rename("seen.npy")
    typed = read_study(Path(written(tmp_path, REAL)), {"features": Path("seen.npy")})
    for study in (named, typed):
        assert study.problem.input_dim == 8
        found, known = map(geometry_of, (study.problem, expected))
        np.testing.assert_allclose(found.variances, known.variances, rtol=1e-5)
        assert (study.n_brain, study.encoding_penalty) == (60, 0.1)


def test_defaults_of_studies_that_are_not_white(monkeypatch, tmp_path, problem):
    asked = []

    def preset_problem(*what):
        asked.append(what)
        return problem

    monkeypatch.setattr("jaxbrain.study.described.preset_problem", preset_problem)
    study = read_study(None, {"preset": "images", "misalignment": 0.3})
    assert asked == [("images", {"misalignment": 0.3})]
    assert (study.n_brain, study.n_task, study.encoding_penalty) == (500, 250, "optimal")
    text = REAL.replace("n_brain = 60\nn_task = 40", "").replace("encoding_penalty = 0.1", "")
    study = read_study(tmp_path / written(tmp_path, text), {})
    assert (study.n_brain, study.n_task, study.encoding_penalty) == (400, 80, "optimal")
    assert not study.is_white
    white = text.replace("exponent = 1.0", "")
    study = read_study(tmp_path / written(tmp_path, white), {})
    assert (study.encoding_penalty, study.is_white) == (0, True)
    study = read_study(tmp_path / written(tmp_path, white), {"encoding_penalty": "1e-2"})
    assert (study.encoding_penalty, study.is_white) == (0.01, False)


@pytest.mark.study
def test_the_preset_of_images_is_that_of_the_library():
    found, expected = preset_problem("images", {}), jb.presets.images().problem()
    assert found.input_dim == expected.input_dim == 768
    found, expected = map(geometry_of, (found, expected))
    np.testing.assert_allclose(found.variances, expected.variances)
    np.testing.assert_allclose(found.power, expected.power, rtol=1e-9)


@pytest.mark.usefixtures("computed")
def test_every_fault_of_a_spectrum_is_told_at_once(capsys, tmp_path):
    text = REAL.replace("exponent = 1.0", 'exponent = 11\nlatent_alignment = "strong"')
    text = text.replace("= 0.1", '= "best"').replace("n_brain = 60", "n_brain = 3")
    config = written(tmp_path, text + "task_alignment = nan\n")
    said = refused(capsys, "worth", config, "--task-snr", "-1").splitlines()
    where = f"jaxbrain: {config}: "
    assert sorted(said) == sorted(
        [
            f"{where}encoding_penalty must be a number or optimal, but it is 'best'",
            f"{where}n_brain must be greater than 3 (latent_dim), but it is 3",
            f"{where}[problem] exponent must lie between 0 and 10, but it is 11",
            f"{where}[problem] latent_alignment must be a number, but it is 'strong'",
            f"{where}[problem] task_alignment must be a number, but it is nan",
            "jaxbrain: --task-snr must be greater than 0, but it is -1.0",
        ]
    )


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (REAL, ("--encoding-penalty", "some"), "--encoding-penalty must be a number or optimal"),
        (REAL, ("--encoding-penalty", "-1"), "--encoding-penalty must be at least 0, but it is -1"),
        (REAL, ("--encoding-penalty", "inf"), "--encoding-penalty must be at most 1e+15"),
        (
            REAL,
            ("--encoding-penalty", "0", "--n-brain", "41"),
            "--n-brain must be greater than 41 (input_dim + 1), but it is 41: record more, or give "
            "an encoding_penalty",
        ),
        (REAL.replace("= 0.1", '= "0.1"'), (), "encoding_penalty must be a number or optimal"),
        (REAL, ("--max-gigabytes", "1e-6"), "directions of 3 latents among 40 inputs take some"),
        (
            REAL.replace("exponent = 1.0", "").replace("0.1", "0"),
            ("--latent-alignment", "0"),
            "--latent-alignment is about inputs that are not white: give an exponent, or features",
        ),
        (REAL.replace("exponent", "exponents"), (), "did you mean exponent?"),
        (
            FEATURES + "exponent = 1.0\n",
            (),
            "[problem] features say what the inputs are: leave out exponent",
        ),
        (FEATURES, (), "[problem] features seen.npy: there is no such file"),
        (FEATURES.replace('"seen.npy"', "3"), (), "must be the name of a file, but it is 3"),
        (FEATURES.replace("npy", "csv"), (), "must name a .npy file, as numpy.save writes it"),
        (FEATURES.replace("seen.npy", "."), (), "must name a .npy file"),
    ],
)
def test_what_is_wrong_with_a_spectrum_is_told(capsys, tmp_path, text, arguments, said):
    told = refused(capsys, "worth", written(tmp_path, text), *arguments)
    assert said in told.replace(f"{tmp_path}/seen", "seen")


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros(8), "must have two axes, a row for each stimulus, but it has shape (8,)"),
        (np.zeros((2, 8)), "must have at least 3 rows of 2 features, but it has shape (2, 8)"),
        (np.full((4, 3), np.nan), "holds numbers that are infinite or none"),
        (np.array([["a", "b"]] * 3), "must hold real numbers"),
        (np.zeros((4, 3), complex), "must hold real numbers"),
        (np.array([[None, 1]] * 3), "holds Python objects, which are never loaded"),
        (np.zeros((2_000, 10)), "more than --max-gigabytes 0.0001: take fewer rows"),
        (np.ones((5, 4)), "features must have at least 3 rows that differ"),
        (b"numbers", "cannot be read as an array of numpy: save it with numpy.save"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'shape': (", "cannot be read as an array"),
    ],
)
def test_features_that_are_none_are_told(capsys, tmp_path, rows, said):
    path = tmp_path / "seen.npy"
    if isinstance(rows, bytes):
        path.write_bytes(rows)
    else:
        np.save(path, rows)
    config = written(tmp_path, FEATURES)
    told = refused(capsys, "worth", config, "--max-gigabytes", "1e-4")
    assert said in told
    assert len(told.splitlines()) == 1


@pytest.mark.usefixtures("computed")
def test_a_preset_has_inputs_of_its_own(capsys, tmp_path):
    np.save(tmp_path / "seen.npy", np.eye(8))
    for option, value in (("--exponent", "1"), ("--features", str(tmp_path / "seen.npy"))):
        said = refused(capsys, "worth", "--preset", "small", option, value)
        assert f"{option} is about inputs that a file describes in [problem]" in said
    said = refused(capsys, "worth", "--preset", "images", "--n-brain", "20")
    assert "--n-brain must be greater than 20 (latent_dim), but it is 20" in said


DRAWN = {
    "befs": SimulatedWorth(0.41, 0.004, 21.0, 1.5, 95.0, 1.0, 2.0, 0.0, 0.1),
    "befs_two_penalties": SimulatedWorth(0.39, 0.003, 27.0, 1.25, 99.0, 1.0, 3.0, 0.3, 0.1),
}
NUMBERS = {
    "n_brain": 60.0, "n_task": 40.0, "penalty": 1.0, "risk": 0.5, "task_only_risk": math.inf,
    "ridge_risk": 0.6, "value": 70.0, "value_vs_ridge": 12.0, "information_value": 15.0,
    "exchange_rate": 1.2, "savings": 0.6, "two_penalty_risk": 0.45, "banded_ridge_risk": 0.44,
}  # fmt: skip


@pytest.fixture
def off(monkeypatch):
    """The closed form says that it is off; what is drawn instead, and what was asked for."""
    asked = []

    def simulated_worth(problem, n_brain, n_task, **options):
        asked.append((n_brain, n_task, options.pop("key") is not None, options))
        return DRAWN[options["estimator"]]

    def answer_of(study, notes):
        notes.append("directions are lost")
        return dict(NUMBERS), False

    monkeypatch.setattr("jaxbrain.simulation.simulated_worth", simulated_worth)
    monkeypatch.setattr("jaxbrain.cli.commands.worth.answer_of", answer_of)
    return asked


def test_where_the_closed_form_is_off_the_answer_is_simulated(capsys, tmp_path, off):
    config = written(tmp_path, REAL.replace("n_brain = 60", "n_brain = 60.4"))
    answer = json.loads(run(capsys, "worth", config, "--json"))
    options = [dict(encoding_penalty=0.1, trials=64, estimator=name) for name in DRAWN]
    assert off == [(60, 40, True, option) for option in options]
    one, two = DRAWN.values()
    assert answer["risk"] == one.risk
    assert answer["penalty"] == one.penalty
    assert answer["two_penalty_risk"] == two.risk
    assert answer["information_value"] == two.value_vs_ridge
    assert (answer["value"], answer["value_vs_ridge"]) == (95.0, 21.0)
    assert answer["exchange_rate"] == pytest.approx(95 / 60.4)
    assert answer["savings"] == pytest.approx(95 / 135)
    assert answer["banded_ridge_risk"] == NUMBERS["banded_ridge_risk"]
    assert answer["standard_errors"] == {
        "risk": 0.004, "two_penalty_risk": 0.003, "value": 1.0, "value_vs_ridge": 1.5,
        "information_value": 1.25,
    }  # fmt: skip
    assert "directions are lost" in answer["notes"]
    assert any("are simulated here, by 64 exact draws" in note for note in answer["notes"])
    table = run(capsys, "worth", config)
    rows = {row.split("  ")[0]: row.split("  ")[-1].strip() for row in table.splitlines()}
    assert rows["risk, BEFS with two penalties"] == "0.39 ± 0.003 (simulated)"
    assert rows["risk, banded ridge on recordings"] == "0.44"
    assert rows["value of the information"] == "27 ± 1 labels (simulated)"
    assert "is worth 27 labels" in table


def test_what_has_no_mean_stays_as_the_closed_form_says(problem, off, monkeypatch):
    nothing = SimulatedWorth(*[math.nan] * 8, 0.1)
    monkeypatch.setitem(DRAWN, "befs", nothing)
    numbers = NUMBERS | {"risk": math.inf, "value": math.nan, "n_task": 4.0}
    study = Study(problem, 60.0, 4.0, None, encoding_penalty=0.1)
    found, beyond_ridge, errors = simulated_of(study, numbers, [])
    assert (found["risk"], found["two_penalty_risk"]) == (math.inf, 0.39)
    assert not beyond_ridge
    assert set(errors) == {"two_penalty_risk", "information_value"}
    # Where predicting 0 does better, no ridge regression is that bad.
    monkeypatch.setitem(DRAWN, "befs", DRAWN["befs_two_penalties"]._replace(risk=1.5))
    found, beyond_ridge, _ = simulated_of(study, numbers, [])
    assert beyond_ridge
    assert found["value_vs_ridge"] == -4
    # A draw of such a study takes too long.
    many = replace(study, problem=jb.Problem.power_law(3_000, 1.0, 3, 1.0, 0.2, 0.5))
    notes = []
    assert simulated_of(many, numbers, notes) == (numbers, True, {})
    assert notes == []


@pytest.mark.study
def test_noisy_channels_are_simulated(capsys, tmp_path):
    """The closed form of BEFS is off there, and says so."""
    noisy = REAL.replace("exponent = 1.0", "exponent = 2.0").replace(
        "encoding_noise = 0.5",
        "latent_noise = 0.5\nrecording_dim = 90\nrecording_noise = 9.0\ngain = 10.0",
    )
    answer = json.loads(run(capsys, "worth", written(tmp_path, noisy), "--json"))
    problem = jb.Problem.power_law(
        40, 2.0, 3, 1.0, 0.2, 0.5, recording_dim=90, recording_noise=9.0, gain=10.0
    )
    drawn = jb.simulated_worth(
        problem, 60, 40, encoding_penalty=0.1, trials=64, key=jax.random.key(0)
    )
    assert answer["two_penalty_risk"] == pytest.approx(drawn.risk, rel=1e-9)
    with pytest.warns(jb.AccuracyWarning, match="simulated_worth draws it"):
        claim = float(jb.two_penalty_risk(problem, 60, 40, encoding_penalty=0.1))
    assert abs(claim - drawn.risk) < 0.1 * drawn.risk
