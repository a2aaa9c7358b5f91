"""What a plan says: verdict, why not, picture; of numbers made up by hand."""

import re

import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli.answers.plan import Obstacle, _obstacle
from jaxbrain.cli.commands import plan as command
from jaxbrain.cli.words.plan import as_text, told
from jaxbrain.study import Modality, Purchase
from tests.helpers.cli import LIKE_THE_PAPER, described_problem, refused, run


def purchase_of(*names, **changes):
    kinds = changes.pop("kinds", {})
    modality = Modality(described_problem(), 0.3, 0.0, None)
    settings = {"budget": 500.0, "cost_task": 1.0, "fixed_cost_task": 0.0, "currency": ""}
    settings |= {"estimator": "befs_two_penalties", "baseline": "ridge"} | changes
    return Purchase(**settings, modalities={name: kinds.get(name, modality) for name in names})


def found_of(kind=None, **changes):
    """One modality in an answer: bought, unless there is a kind of obstacle."""
    found = {"cost_brain": 0.3, "fixed_cost_brain": 0.0, "samples_per_hour": None, "hours": None}
    bought = {"n_brain": 400.0, "n_task": 380.0, "risk": 0.2, "saved": 0.25, "money_saved": 166.0}
    bought |= {"spent_on_brain": 120.0, "spent_on_task": 380.0, "why_not": None}
    nothing = dict.fromkeys(bought, 0.0) | {"n_task": 500.0, "risk": 0.3, "spent_on_task": 500.0}
    found |= bought if kind is None else nothing | {"why_not": Obstacle(kind, 0.3)}
    found |= {
        "least_budget": 19.8,
        "frontier": {"n_brain": [66.0], "n_task": [480], "risk": [0.35]},
    }
    return found | changes


def answer_of(best, modalities, **alone):
    without = {"n_task": 500.0, "spent_on_task": 500.0, "risk": 0.3} | alone
    return {"best": best, "without_brain": without, "modalities": modalities, "budget": 500.0}


def test_a_saving_of_less_than_a_percent_is_not_called_a_saving():
    for saved, money, said in (
        (0.03, 15.46, "so that 3 % (15.5) are saved"),
        (0.0095, 4.8, "so that less than 1 % (4.8) is saved: hardly worth the effort"),
    ):
        found = found_of(saved=saved, money_saved=money)
        purchase, answer = purchase_of("small"), answer_of("small", {"small": found})
        header, *_, verdict = as_text(purchase, told(purchase, answer)).splitlines()
        assert header == "budget 500; a label 1; no fixed costs"
        assert verdict.startswith(
            "Buy small recordings: 400 samples for 120, and 380 labels; to be"
        )
        assert said in verdict


def test_fixed_costs_hours_and_currency_stand_in_the_table():
    purchase = purchase_of("small", fixed_cost_task=20.0, currency="EUR")
    found = found_of(fixed_cost_brain=40.0)
    text = as_text(purchase, told(purchase, answer_of("small", {"small": found})))
    assert text.startswith("budget 500 EUR; a label 1 EUR and 20 EUR once\n")
    assert re.search(r"^small +0\.3 each \+ 40 ", text, re.MULTILINE)
    assert "hours" not in text
    found |= {"samples_per_hour": 100.0, "hours": 4.0}
    hourly = {"small": Modality(described_problem(), 0.3, 40.0, 100.0)}
    purchase = purchase_of("small", fixed_cost_task=20.0, currency="EUR", kinds=hourly)
    text = as_text(purchase, told(purchase, answer_of("small", {"small": found})))
    assert re.search(r"^small +30 an hour \+ 40 +400 +4\.0 ", text, re.MULTILINE)
    assert "400 samples (4.0 h) for 120 EUR" in text


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (
            "the least amount is above the budget",
            {},
            "small costs 19.8 before a subspace of 64 inputs",
        ),
        ("the least amount is above the budget", {}, "learned at all, which is above the budget"),
        (
            "no label can be bought",
            {},
            "a label costs 1, so that a budget of 500 buys none; recordings",
        ),
        (
            "no label can be bought",
            {"fixed_cost_task": 600.0},
            "labelling alone costs 600 once, so that",
        ),
        (
            "labels leave nothing to improve",
            {},
            "bring the risk to 0.3 already, which leaves small",
        ),
        (
            "teaches nothing",
            {},
            "small teaches nothing about this task: no amount of it, even for free",
        ),
        ("teaches nothing", {}, "would bring the risk below that of ridge regression without it"),
        ("teaches nothing", {"baseline": "ols"}, "below that of least squares without it"),
        (
            "too expensive",
            {},
            "(at best the risk comes to 0.35 with it, and to 0.3 if all is spent",
        ),
    ],
)
def test_the_verdict_says_why_nothing_should_be_bought(kind, changes, said):
    purchase, answer = purchase_of("small", **changes), answer_of(None, {"small": found_of(kind)})
    verdict = told(purchase, answer)["verdict"]
    assert verdict.startswith("Buy no recordings: ")
    assert said in verdict
    assert said in as_text(purchase, told(purchase, answer))


def test_without_a_finite_error_no_plan_is_praised():
    purchase = purchase_of("small", baseline="ols")
    answer = answer_of(None, {"small": found_of("too expensive")}, risk=np.inf)
    said = told(purchase, answer)["verdict"]
    assert said.startswith(
        "No plan within this budget has a finite error: least squares takes more"
    )


def test_what_is_left_out_is_explained_beside_what_is_bought_and_keeps_its_case():
    modalities = {
        "small": found_of(),
        "fMRI": found_of("too expensive"),
        "free": found_of("no label can be bought"),
    }
    purchase = purchase_of(*modalities)
    answer = told(purchase, answer_of("small", modalities))
    assert answer["modalities"]["small"]["why_not"] is None
    *_, verdict, expensive, labels = as_text(purchase, answer).splitlines()
    assert verdict.startswith("Buy small recordings")
    assert expensive.startswith("fMRI is too expensive")
    assert labels.startswith("A label costs 1, so that")


def obstacle(misalignment, frontier=(0.35,), n_task=500.0, **changes):
    """Which kind it is by the closed forms; the plan itself is made up."""
    problem = described_problem(misalignment=misalignment)
    kinds = {"small": Modality(problem, 0.3, 0.0, None)}
    found = {"frontier": {"n_brain": [66.0] * len(frontier), "risk": list(frontier)}}
    purchase = purchase_of("small", kinds=kinds, **changes)
    return _obstacle(purchase, {"n_task": n_task, "risk": 0.3}, found, "small").kind


def test_the_kind_of_an_obstacle_is_that_of_the_closed_forms():
    assert obstacle(0.1, frontier=()) == "the least amount is above the budget"
    assert obstacle(0.1, n_task=0.0) == "no label can be bought"
    # Of weights that lie beside the subspace two penalties learn, one penalty does not.
    assert obstacle(1.0) == "too expensive"
    assert obstacle(1.0, estimator="befs") == "teaches nothing"
    # As much of the task lies inside as in any 6 of 64 directions: at no price is that knowledge.
    assert obstacle(58 / 64) == "teaches nothing"
    # Least squares does not shrink: against it even that subspace helps.
    assert obstacle(58 / 64, estimator="befs", baseline="ols") == "too expensive"
    # Labels that are nearly free do not make recordings teach nothing.
    assert obstacle(0.1, n_task=6e11) == "too expensive"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--budget", "15"), "small costs 19.8 before a subspace of 64 inputs can be learned"),
        (("--cost-brain", "7"), "small is too expensive for what it teaches"),
        (("--misalignment", "1"), "small is too expensive for what it teaches"),
        (
            ("--budget", "60", *LIKE_THE_PAPER, "--cost-brain", "10"),
            "No plan within this budget has a finite error: least squares takes more labels",
        ),
    ],
)
def test_what_is_not_worth_its_price_is_not_bought(capsys, arguments, said):
    text = run(capsys, "plan", "--preset", "small", *arguments)
    assert said in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("small ")]
    assert row[3] == "0"


def test_a_plot_is_drawn_and_never_overwritten_unasked(capsys, tmp_path, monkeypatch):
    plot = tmp_path / "plan.png"
    arguments = ("plan", "--preset", "small", "--plot", str(plot))
    run(capsys, *arguments)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert plot.stat().st_size > 10_000
    plot.write_bytes(b"old")

    def never(purchase, notes):
        raise AssertionError("refused only after computing")

    with monkeypatch.context() as patched:
        patched.setattr(command, "answer_of", never)
        assert "pass --overwrite" in refused(capsys, *arguments)
    assert plot.read_bytes() == b"old"
    run(capsys, *arguments, "--overwrite")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_preset_is_that_of_the_library():
    """The problem that these tests make by hand has its sizes, so that programs are shared."""
    made, preset = described_problem(), jb.presets.small().problem()
    for name in ("input_dim", "latent_dim", "recording_dim"):
        assert getattr(made, name) == getattr(preset, name)
