"""`jaxbrain report`: its numbers are those of the library, its words those of its numbers."""

import re

import jax
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.cli import run
from tests.helpers.page import first_number, numbers


def test_results_are_those_of_the_library(small):
    problem = jb.presets.small().problem()
    answer, table = jb.worth(problem, 500, 100), small[1].table("closed form")
    for row, expected in {
        "value of the information": answer.information_value,
        "value against ridge": answer.value_vs_ridge,
        "value against least squares": answer.value,
        "exchange rate": answer.exchange_rate,
        "savings": 100 * answer.savings,
        "risk with recordings": answer.risk,
        "best penalty": answer.penalty,
        "risk of ridge": answer.ridge_risk,
        "risk of least squares": answer.task_only_risk,
        "risk of predicting 0": problem.total_power,
    }.items():
        said = first_number(table[row]["closed form"])
        assert said == pytest.approx(float(expected), rel=1e-2 if row.startswith("value") else 5e-3)


def test_simulation_is_a_sweep_by_the_seed(small):
    model = jb.presets.small()
    found = jb.sweep(
        model.problem(), [500], [100], trials=50, seeds=10, key=jax.random.key(0), n_task_only=[100]
    )
    table = small[1].table("simulation (95 %)")
    errors = np.sqrt((found.risk_standard_error.values**2).sum()) / 10
    for row, name in (("risk with recordings", "risk"), ("risk of ridge", "ridge_risk")):
        middle, low, high = numbers(table[row]["simulation (95 %)"].replace("to", " - "))
        assert middle == pytest.approx(float(found[name].mean()), rel=1e-4)
        assert low < middle < high
    middle, low, high = numbers(
        table["risk with recordings"]["simulation (95 %)"].replace("to", "-")
    )
    assert (high - low) / 2 == pytest.approx(1.965 * errors, abs=1e-4)
    value, low, high = numbers(table["value against least squares"]["simulation (95 %)"])
    assert low <= value <= high
    assert value == pytest.approx(
        float(jb.value(model.problem(), 500, 100, baseline="ols")), rel=0.01
    )
    assert (
        "500 exact draws (10 replicates of 50, seed 0) of recordings and of labels" in small[1].text
    )


def test_sensitivities_and_break_even_prices_are_those_of_the_library(small):
    problem = jb.presets.small().problem()
    table = small[1].table("value of the information")
    for column, measure in (
        ("value against least squares", "value"),
        ("value of the information", "information_value"),
    ):
        expected = jb.elasticities(problem, 500, 100, measure=measure)
        for row, name in (
            ("labels", "n_task"),
            ("brain samples", "n_brain"),
            ("misalignment",) * 2,
        ):
            said = first_number(table[row][column])
            assert said == pytest.approx(float(getattr(expected, name)), abs=6e-4)
    information = lambda n: jb.information_value(problem, n, 100)  # noqa: E731
    table = small[1].table("labels a sample")
    for row, expected in {
        "all of these, shrinkage apart": information(500.0) / 500,
        "one more beside all of these, shrinkage apart": jax.grad(information)(500.0),
        "all of these, against least squares": jb.exchange_rate(problem, 500, 100, baseline="ols"),
    }.items():
        assert first_number(table[row]["labels a sample"]) == pytest.approx(
            float(expected), rel=6e-3
        )
        money = first_number(table[row]["EUR a sample"])
        assert money == pytest.approx(2 * float(expected), rel=6e-3)
    # The best plan of a large budget has recordings a little below that price, and none a little
    # above.
    price = first_number(
        table["the best amount at a large budget, against least squares"]["labels a sample"]
    )
    paper = {"estimator": "befs", "baseline": "ols"}
    below, above = (
        jb.optimal_allocation(problem, 1e7, price * x, 1.0, **paper) for x in (0.98, 1.02)
    )
    assert below.n_brain > 0
    assert above.n_brain == 0


def test_budget_is_that_of_the_library_and_adds_up(small):
    problem = jb.presets.small().problem()
    plan = jb.optimal_allocation(
        problem, 500, 0.3, 2, 20, 0, estimator="befs_two_penalties", baseline="ridge"
    )
    table = small[1].table("on labels (EUR)")
    best, alone = table["best split of the budget"], table["labels alone"]
    assert first_number(best["brain samples"]) == float(plan.n_brain) > 0
    assert first_number(best["labels"]) == float(plan.n_task)
    assert first_number(best["risk"]) == pytest.approx(float(plan.risk), rel=1e-3)
    assert first_number(alone["labels"]) == float(plan.n_task_without_brain) == 250
    assert first_number(alone["risk"]) == pytest.approx(float(plan.risk_without_brain), rel=1e-3)
    here = table["this study"]
    assert first_number(here["risk"]) == pytest.approx(
        float(jb.two_penalty_risk(problem, 500, 100)), rel=1e-3
    )
    assert first_number(here["on recordings (EUR)"]) == 20 + 0.3 * 500
    assert first_number(here["on labels (EUR)"]) == 200
    assert "As described the study costs 370 EUR" in small[1].text
    rival = 2 * (100 + float(jb.information_value(problem, 500, 100)))
    said = re.search(r"as good with labels alone would cost ([\d ]+) EUR", small[1].text)
    assert first_number(said[1]) == pytest.approx(rival, rel=5e-3)


def test_verdict_is_that_of_worth(small, capsys):
    verdict = run(capsys, "worth", "--preset", "small").splitlines()[-1]
    assert verdict in small[1].text
    (place,) = [i for i, (tag, a) in enumerate(small[1].elements) if a.get("class") == "verdict"]
    assert place < [tag for tag, _ in small[1].elements].index("h2")


def test_proposal_says_numbers_assumptions_and_source(small):
    (place,) = [i for i, word in enumerate(small[1].words) if word.startswith("We estimated")]
    paragraph = small[1].words[place]
    answer = jb.worth(jb.presets.small().problem(), 500, 100)
    said = re.search(r"worth about ([\d ]+) further labels", paragraph)
    assert first_number(said[1]) == pytest.approx(float(answer.information_value), rel=5e-3)
    for part in (
        "Gaussian",
        "linear",
        "independent",
        "not measured",
        "Lewis, Wang, Schwab and Pitkow",
        "arXiv:2605.09243",
        "ridge regression",
        "shrinkage",
        "95 % interval",
        "EUR",
    ):
        assert part in paragraph
    # Three digits and no more.
    for number in re.findall(r"(?<![\d.:])\d[\d ]*\.?\d*", paragraph.replace("2605.09243", "")):
        kept = number.strip().replace(" ", "").replace(".", "").lstrip("0").rstrip("0")
        assert len(kept) <= 3 or kept == "2026", number


def test_the_same_study_is_the_same_page(small, capsys, tmp_path):
    again = tmp_path / "again.html"
    assert run(capsys, "report", *small[2], "--out", str(again)) == f"wrote {again}\n"
    assert again.read_bytes() == small[0].read_bytes()
    assert str(tmp_path).encode() not in again.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]
