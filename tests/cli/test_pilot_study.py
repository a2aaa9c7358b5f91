"""Commands on a study that a pilot measured: intervals, and verdicts with probabilities."""

import html
import json

import jax
import numpy as np
import pytest
from scipy.optimize import brentq

import jaxbrain as jb
from jaxbrain.cli.input.study import read_purchase, read_study
from jaxbrain.cli.words.over_draws import ends, probability
from jaxbrain.pilot.over_draws import interval, worth_over_draws
from jaxbrain.pilot.recommendation import Costs, plan_over_draws
from tests.helpers.cli import refused, run
from tests.helpers.pilots import DRAWS_EACH, LATENT_DIMS, NOTES, pilot_estimate

COUNT = DRAWS_EACH * len(LATENT_DIMS)
BUDGET = "\n[budget]\ncost_brain = 0.25\ncost_task = 1\ntotal = 60\n"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Of a given encoding penalty: the best one takes twelve times as long."""
    path = tmp_path_factory.mktemp("pilot") / "mine.toml"
    jb.write_study(pilot_estimate(), path)
    text = path.read_text()
    assert '\nencoding_penalty = "optimal"' in text
    path.write_text(text.replace('"optimal"', "0.1") + BUDGET)
    return path


@pytest.fixture(scope="module")
def told(config):
    """What `worth` says in JSON, asked once."""
    study = read_study(config, {})
    return study, worth_over_draws(study.estimate, study.n_brain, study.n_task, 0.1)


def test_draws_have_the_answers_of_their_own(told):
    study, found = told
    for stack, draws in enumerate(study.estimate.draws):
        for place in (0, DRAWS_EACH - 1):
            problem = jax.tree.map(lambda numbers, place=place: numbers[place], draws)
            cells = problem, study.n_brain, study.n_task
            # Closed forms of one problem, each by a program of its own.
            worth = jb.worth(*cells, encoding_penalty=0.1)._asdict()
            worth["two_penalty_risk"] = jb.two_penalty_risk(*cells, encoding_penalty=0.1)
            for name, values in found.items():
                expected = float(worth[name])
                assert values[stack * DRAWS_EACH + place] == pytest.approx(expected, rel=1e-5)


def test_worth_prints_intervals_and_a_probability(config, told, capsys):
    found = told[1]
    printed = run(capsys, "worth", str(config))
    low, high = interval(found["information_value"])
    row = next(line for line in printed.splitlines() if line.startswith("value of the information"))
    assert row.endswith(f"labels ({low:.0f} to {high:.0f})")
    assert f"By the {COUNT} draws of the pilot, with probability above 0.917" in printed
    assert "is worth at least one label; its 95 % interval is" in printed
    for note in NOTES:
        assert f"note: of the pilot: {note}" in printed
    answer = json.loads(run(capsys, "worth", str(config), "--json"))
    assert answer["draws"] == COUNT
    assert answer["margin"] == 1.0
    for name, values in found.items():
        assert answer["intervals"][name] == pytest.approx(list(interval(values)))
        # The central draw is one of them.
        assert np.min(values) * 0.999 <= answer[name] <= np.max(values) * 1.001
    assert answer["probabilities"] == {"information_worth_margin": 1.0, "befs_beats_ridge": 1.0}
    # Fields of today stay.
    assert {"risk", "value", "elasticities", "notes", "hours"} - set(answer) == {"elasticities"}


def test_options_change_what_a_pilot_leaves_open(config, capsys):
    few = json.loads(
        run(capsys, "worth", str(config), "--n-brain", "12", "--n-task", "1500", "--json")
    )
    assert (few["n_brain"], few["n_task"], few["margin"]) == (12.0, 1500.0, 15.0)
    assert few["probabilities"]["information_worth_margin"] < 1


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "below 0.083"), (0.25, "0.25"), (1.0, "above 0.917")]
)
def test_twelve_draws_tell_no_probability_nearer_to_0_or_1(share, said):
    assert probability(share, COUNT) == said


def test_what_a_draw_leaves_undefined_counts_as_least():
    values = np.array([np.nan, *range(1, 199), np.inf])
    assert interval(values) == (5.0, 194.0)
    low, high = interval(np.array([np.nan, np.nan, 1.0, np.inf]))
    assert np.isnan(low)
    assert high == np.inf
    assert ends((low, high), str) == "undefined to infinity"


def test_what_if_is_about_the_central_draw(config, capsys):
    printed = run(capsys, "worth", str(config), "--what-if")
    assert "one percent more of … changes the" in printed


@pytest.mark.parametrize(
    "options",
    [
        ("--misalignment", "0.1"),
        ("--task-snr", "1"),
        ("--preset", "small"),
        ("--exponent", "1"),
        ("--features", "seen.npy"),
        ("--latent-alignment", "1"),
        ("--task-alignment", "1"),
    ],
)
@pytest.mark.parametrize("command", ["worth", "plan", "report", "simulate"])
def test_what_a_pilot_measured_is_refused_by_name(config, capsys, command, options):
    if command == "plan" and options[0] not in ("--misalignment", "--task-snr", "--preset"):
        return
    out = ("--out", str(config.with_suffix(".html"))) if command == "report" else ()
    said = refused(capsys, command, str(config), *options, *out)
    expected = f"{options[0]} is what the pilot of {config} measured: leave it out"
    assert said == f"jaxbrain: {expected}\n"


def test_plan_says_how_likely_any_recording_pays(config, capsys):
    study = read_study(config, {})
    answer = json.loads(run(capsys, "plan", str(config), "--json"))
    plan = answer["modalities"][""]
    assert answer["draws"] == COUNT
    compared = answer["compared"]
    assert compared["n_brain"][0] == plan["n_brain"] > 0
    assert compared["n_task"][0] == plan["n_task"]
    assert np.all(np.diff(compared["n_brain"]) <= 0)
    # No split costs more than the budget.
    spent = 0.25 * np.array(compared["n_brain"]) + np.array(compared["n_task"])
    assert np.all(spent <= 60)
    any_pays = answer["probabilities"]["any_recording_pays"]
    assert any_pays >= max(compared["probability"])
    assert compared["probability"][0] == answer["probabilities"]["plan_pays"]
    low, high = answer["intervals"]["saved"]
    assert low < plan["saved"] < high
    assert low <= high <= 1
    assert "any recording pays: in each of the pilot's 12 draws" in answer["verdict"]
    assert study.estimate.notes[0] in answer["notes"][0]


def over_draws_of(purchase, n_brain, n_task):
    """Of a plan beside 60 labels alone."""
    recordings = purchase.modalities[""]
    prices = Costs(recordings.cost_brain, purchase.cost_task)
    sizes = n_brain, n_task, 60.0
    return plan_over_draws(
        recordings.estimate, purchase.budget, prices, *sizes, encoding_penalty=0.1
    )


def test_a_plan_over_draws_is_that_of_each_draw(config):
    """Against closed forms that share no code with it, on the labels that ridge would need."""
    purchase = read_purchase(config, {})
    found = over_draws_of(purchase, 80.0, 40.0)
    problem = jax.tree.map(lambda numbers: numbers[1], purchase.modalities[""].estimate.draws[0])
    risk = float(jb.two_penalty_risk(problem, 80.0, 40.0, encoding_penalty=0.1))
    assert found.risk[1, 0] == pytest.approx(risk, rel=1e-5)
    assert found.pays[1, 0] == (risk < float(jb.ridge_risk(problem, 60.0)))
    labels = brentq(lambda n: float(jb.ridge_risk(problem, n)) - risk, 1.0, 1e4)
    assert found.saved[1, 0] == pytest.approx(1 - 60 / np.ceil(labels))


def test_too_few_recordings_for_the_latents_of_a_draw_never_pay(config):
    """A plan of three recordings may stand by two latents; no three latents are learned by them."""
    purchase = read_purchase(config, {})
    found = over_draws_of(purchase, 3.0, 59.0)
    assert found.n_brain.tolist() == [3.0, 4.0, 4.0]
    assert np.isfinite(found.risk).tolist() == [[True] * 3] * 6 + [[False, True, True]] * 6
    assert not found.pays[6:, 0].any()
    assert np.isnan(found.saved[6:, 0]).all()


def test_dear_recordings_never_pay(config, capsys):
    dear = ("--cost-brain", "50", "--budget", "60")
    answer = json.loads(run(capsys, "plan", str(config), *dear, "--json"))
    assert answer["probabilities"] == {"any_recording_pays": 0.0}
    assert answer["compared"]["n_brain"] == []
    assert "No recording pays in any draw of the pilot" in answer["verdict"]


def test_a_plan_needs_prices(tmp_path, capsys):
    jb.write_study(pilot_estimate(), tmp_path / "mine.toml")
    said = refused(capsys, "plan", str(tmp_path / "mine.toml"))
    assert "has no prices: give --cost-task and --cost-brain or --cost-hour" in said


def test_simulate_draws_the_central_problem(config, capsys):
    small = ("--n-brain", "60", "--n-task", "40", "--trials", "4", "--seeds", "2")
    printed = run(capsys, "simulate", str(config), *small)
    assert "the central problem of the pilot is simulated" in printed
    at = ("--estimator", "befs", "--penalty", "0.5", "inf")
    answer = json.loads(run(capsys, "simulate", str(config), *small, *at, "--json"))
    draws = read_study(config, {}).estimate.draws[1]
    assert [cell["penalty"] for cell in answer["cells"]] == [0.5, None]
    for cell, penalty in zip(answer["cells"], (0.5, np.inf), strict=True):
        for name in ("closed_form", "value_closed_form"):
            assert cell[f"{name}_low"] <= cell[name] * 1.001
            assert cell[f"{name}_high"] >= cell[name] * 0.999
            assert cell[f"{name}_low"] < cell[f"{name}_high"]
        # At the penalty of the cell, not at the best one: these have the largest misalignment.
        problem = jax.tree.map(lambda numbers: numbers[-1], draws)
        risk = float(jb.risk(problem, 60, 40, penalty, encoding_penalty=0.1))
        assert cell["closed_form_low"] <= risk <= cell["closed_form_high"] * 1.000001


def test_report_tells_intervals_and_probabilities(config, capsys, tmp_path):
    page = tmp_path / "page.html"
    run(capsys, "report", str(config), "--out", str(page), "--no-simulate")
    text = html.unescape(page.read_text()).replace("\u00a0", " ")
    assert "over the pilot's draws (95 %)" in text
    assert "By the central draw of the pilot" in text
    assert "with probability above 0.917" in text
    assert "any recording pays: in each of the pilot" in text
    assert "Nothing here was measured on data" not in text
    assert "were not measured here" not in text
    assert "over its 12 draws the recordings are worth" in text
    assert NOTES[0] in text
