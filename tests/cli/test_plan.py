"""`jaxbrain plan`: numbers, tables and JSON. All modalities have the sizes of the small preset."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli.answers.plan import answer_of, curves_of
from jaxbrain.cli.input.study import read_purchase
from tests.helpers.cli import LIKE_THE_PAPER, TWO_MODALITIES, described_problem, run, written

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PRICES = {"cheap": (0.1, 50.0), "dear": (3.0, 0.0)}


def problems():
    """What TWO_MODALITIES describes, put together by hand."""
    noise = [0.5, 0.6, 0.7, 0.5, 0.6, 0.7]
    cheap = dict(latent_noise=noise, recording_noise=4.0, gain=50.0, misalignment=0.4)
    dear = dict(latent_noise=0.2, recording_noise=1.0, gain=60.0, misalignment=0.1)
    return {
        name: described_problem(task_noise=2.0, **numbers)
        for name, numbers in (("cheap", cheap), ("dear", dear))
    }


@pytest.fixture(scope="module")
def purchase(tmp_path_factory):
    return read_purchase(Path(written(tmp_path_factory.mktemp("plan"), TWO_MODALITIES)), {})


@pytest.fixture(scope="module")
def answer(purchase):
    """The answer to TWO_MODALITIES, computed once."""
    notes = []
    found = answer_of(purchase, notes)
    assert notes == []
    return found


def test_numbers_are_those_of_the_library(answer):
    for name, problem in problems().items():
        # In tenths, so that the price of 0.1 is a whole number.
        price, fixed = (10 * sum_ for sum_ in PRICES[name])
        expected = jb.optimal_allocation(
            problem,
            *(40_000, price, 20, fixed, 1000),
            estimator="befs_two_penalties",
            baseline="ridge",
        )
        found = answer["modalities"][name]
        for field in ("n_brain", "n_task"):
            assert found[field] == float(getattr(expected, field))
        for field in ("spent_on_brain", "spent_on_task"):
            assert found[field] == float(getattr(expected, field)) / 10
        for field in ("risk", "saved"):
            assert found[field] == pytest.approx(float(getattr(expected, field)), rel=1e-12)
        assert answer["without_brain"]["n_task"] == float(expected.n_task_without_brain) == 1_950
        assert answer["without_brain"]["risk"] == pytest.approx(float(expected.risk_without_brain))
        kept = ~np.isnan(expected.frontier.risk)
        for field in ("n_brain", "n_task", "risk"):
            np.testing.assert_allclose(
                found["frontier"][field],
                np.asarray(getattr(expected.frontier, field))[kept],
                rtol=1e-12,
            )
    best = min(answer["modalities"], key=lambda name: answer["modalities"][name]["risk"])
    assert answer["best"] == best
    assert answer["without_brain"]["spent_on_task"] == 4_000


def test_money_saved_is_what_labels_alone_would_cost_more(answer):
    for name, problem in problems().items():
        found = answer["modalities"][name]
        spent = found["spent_on_brain"] + found["spent_on_task"]
        assert spent <= 4_000
        rival = spent + found["money_saved"]
        labels = (rival - 100) / 2
        assert labels == pytest.approx(round(labels), rel=1e-12)
        enough, too_few = jb.ridge_risk(problem, np.array([labels, labels - 1]))
        assert float(enough) <= found["risk"] < float(too_few)
        assert found["saved"] == pytest.approx(found["money_saved"] / rival)


def test_the_curve_of_a_plan_lies_above_its_best_split(purchase, answer):
    for name, curve in curves_of(purchase, answer).items():
        found = answer["modalities"][name]
        fewest = found["fixed_cost_brain"] + 66 * found["cost_brain"]
        assert curve.share.values[0] == pytest.approx(100 * fewest / 4_000)
        # What is not spent on recordings buys labels: no point lies below the optimum.
        risks = curve.risk.values
        assert np.min(risks) == pytest.approx(found["risk"], rel=2e-3)
        assert np.min(risks) >= found["risk"] * (1 - 1e-3)
        assert curve.attrs["best_risk"] == pytest.approx(found["risk"], rel=1e-12)
        best = fewest - 66 * found["cost_brain"] + found["cost_brain"] * found["n_brain"]
        assert curve.attrs["best_share"] == pytest.approx(100 * best / 4_000, rel=1e-12)


def test_json_and_table_say_the_same(capsys, tmp_path):
    config = written(tmp_path, TWO_MODALITIES)
    answer = json.loads(run(capsys, "plan", config, "--json"))
    assert list(answer) == [
        *("budget", "currency", "cost_task", "fixed_cost_task", "estimator", "baseline"),
        *("without_brain", "modalities", "best", "verdict", "notes"),
    ]
    assert list(answer["modalities"]) == ["cheap", "dear"]
    assert set(answer["modalities"]["cheap"]) == {
        *("cost_brain", "fixed_cost_brain", "samples_per_hour", "n_brain", "n_task", "risk"),
        *("spent_on_brain", "spent_on_task", "saved", "hours", "money_saved", "least_budget"),
        *("frontier", "why_not", "encoding_penalty"),
    }
    assert answer["notes"] == []
    cheap, dear = answer["modalities"]["cheap"], answer["modalities"]["dear"]
    assert (cheap["hours"], cheap["cost_brain"]) == (cheap["n_brain"] / 100, 0.1)
    assert dear["hours"] is None
    text = run(capsys, "plan", "--config", config)
    assert answer["verdict"] in text
    assert "budget 4 000 EUR; a label 2 EUR and 100 EUR once" in text
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    for name, found in answer["modalities"].items():
        assert f"{found['risk']:.4g}" in rows[name]
        assert f"{100 * found['saved']:.1f} %" in rows[name]
    assert f"{answer['without_brain']['risk']:.4g}" in rows["no recordings"]
    verdict = re.fullmatch(
        r"Buy (\w+) recordings: ([\d ]+) samples( \([\d.]+ h\))? for ([\d ]+) EUR, and "
        r"([\d ]+) labels; "
        r"to be as good without recordings would cost ([\d ]+) EUR on labels, "
        r"so that (\d+) % \(([\d ]+) EUR\) are saved\.",
        answer["verdict"],
    )
    best = answer["modalities"][answer["best"]]
    assert verdict[1] == answer["best"]
    for group, number in ((2, best["n_brain"]), (5, best["n_task"]), (8, best["money_saved"])):
        assert float(verdict[group].replace(" ", "")) == pytest.approx(number, rel=0.005)
    assert float(verdict[7]) == pytest.approx(100 * best["saved"], abs=0.5)


@pytest.mark.study
def test_a_bare_plan_buys_both(capsys):
    answer = json.loads(run(capsys, "plan", "--json"))
    expected = jb.optimal_allocation(
        jb.presets.fmri().problem(),
        *(30_000, 600 / 1_800, 0.5),
        estimator="befs_two_penalties",
        baseline="ridge",
    )
    found = answer["modalities"]["fmri"]
    assert found["n_brain"] == float(expected.n_brain) > 4_097
    assert found["hours"] == found["n_brain"] / 1_800
    assert 0.2 < found["saved"] < 0.8


@pytest.mark.parametrize(
    ("budget", "price", "labels"),
    # In binary each of these prices is a trifle too high, or the budget too low.
    [("40000", "0.2", 200_000), ("41", "0.1", 410), ("7", "0.07", 100), ("0.3", "0.1", 3)],
)
def test_prices_are_decimal_as_they_were_typed(capsys, budget, price, labels):
    options = ("--preset", "small", "--budget", budget, "--cost-task", price)
    alone = json.loads(run(capsys, "plan", *options, "--json"))["without_brain"]
    assert alone["n_task"] == labels
    assert alone["spent_on_task"] == pytest.approx(float(price) * labels, rel=1e-15)


def test_flags_describe_a_preset(capsys):
    arguments = ("--preset", "small", "--budget", "900", "--cost-brain", "0.5", "--cost-task", "2")
    more = ("--fixed-cost-brain", "20", "--fixed-cost-task", "30", "--misalignment", "0.3")
    text = run(capsys, "plan", *arguments, *more, "--task-snr", "0.4", "--json")
    expected = jb.optimal_allocation(
        jb.presets.small(0.4, 0.3).problem(),
        *(900, 0.5, 2, 20, 30),
        estimator="befs_two_penalties",
        baseline="ridge",
    )
    found = json.loads(text)["modalities"]["small"]
    assert (found["n_brain"], found["n_task"]) == (float(expected.n_brain), float(expected.n_task))
    assert found["risk"] == pytest.approx(float(expected.risk), rel=1e-12)
    assert found["least_budget"] == 30 + 20 + 66 * 0.5


def test_infinite_numbers_are_null_with_a_note(capsys):
    def answer_to(budget):
        arguments = ("--preset", "small", "--budget", budget, *LIKE_THE_PAPER, "--json")
        return json.loads(run(capsys, "plan", *arguments))

    answer = answer_to("65")
    assert answer["without_brain"]["risk"] is None
    assert "without_brain.risk is infinite" in answer["notes"]
    assert answer["best"] == "small"
    # What is left beside the fewest recordings buys too few labels for the read-out.
    answer = answer_to("25.4")
    frontier = answer["modalities"]["small"]["frontier"]["risk"]
    assert frontier[0] is None
    assert "modalities.small.frontier.risk is infinite where it is null" in answer["notes"]
    assert "takes more labels than inputs" in answer["verdict"]


def test_inaccuracy_of_what_is_bought_is_noted_once(capsys, tmp_path):
    table = "misalignment = 0.05\nlatent_dim = 6\nrecording_dim = 150\nlatent_noise = 0.5\n"
    table += "recording_noise = 16.0\ngain = [90, 90, 90, 90, 90, 9]\n"
    text = "budget = 500\ncost_task = 20\ntask_snr = 1\ninput_dim = 12\n"
    text += f"[modality.bought]\ncost_brain = 0.1\n{table}[modality.dear]\ncost_brain = 9\n{table}"
    config = written(tmp_path, text)
    text = run(capsys, "plan", config, "--plot", str(tmp_path / "a.svg"))
    (note,) = [line for line in text.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: bought: latents are half as many as inputs")
    notes = json.loads(run(capsys, "plan", config, "--json"))["notes"]
    assert [f"note: {said}" for said in notes] == [note]


@pytest.mark.study
@pytest.mark.parametrize(
    ("name", "arguments", "best"),
    [
        ("modalities.toml", ("--budget", "15000"), "EEG"),
        ("modalities.toml", (), "fMRI"),
        ("modalities.toml", ("--budget", "200000"), "intracranial"),
        ("one_modality.toml", (), "scanner"),
    ],
)
def test_examples_run_and_the_best_depends_on_the_budget(capsys, name, arguments, best):
    answer = json.loads(run(capsys, "plan", str(EXAMPLES / name), *arguments, "--json"))
    assert answer["best"] == best
    assert answer["modalities"][best]["saved"] > 0.05
    assert "illustrative" in (EXAMPLES / name).read_text().lower()
