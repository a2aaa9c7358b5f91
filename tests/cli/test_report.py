"""`jaxbrain report`: its numbers are those of the library, its words those of its numbers.

Its page is well formed, alone and safe, also as a browser shows it. All in one file, so that the
report that most of it is about is made once.
"""

import itertools
import os
import re
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli.answers.report import content_of
from jaxbrain.cli.answers.simulation import simulate
from jaxbrain.cli.input.study import read_prices, read_study
from jaxbrain.cli.page.page import page_of
from jaxbrain.cli.page.pictures import NAMES, pictures
from jaxbrain.figures import styled
from tests.helpers.browser import CHROMIUM, Browser
from tests.helpers.cli import NOISY, run
from tests.helpers.page import Page, first_number, numbers


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


def test_the_headline_is_simulated_in_the_table_and_in_the_prose(small):
    """By another sweep, which draws the estimator by another program."""
    problem = jb.presets.small().problem()
    found = jb.sweep(
        problem, [500], [100], trials=8, seeds=8, key=jax.random.key(1), n_task_only=[100],
        estimator="befs_two_penalties",
    )  # fmt: skip
    table = small[1].table("simulation (95 %)")
    cell = table["risk with two penalties"]["simulation (95 %)"]
    risk, low, high = numbers(cell.replace("to", "-"))
    mean, error = (float(x.squeeze()) for x in jb.simulation.mean_over_seeds(found, "risk"))
    both = np.hypot(error, (high - low) / 4)
    assert abs(risk - mean) < 4 * both < 0.03 * mean
    # Ridge regression with so many labels more is as good.
    value, least, most = numbers(table["value of the information"]["simulation (95 %)"])
    for labels, error_there in ((value, risk), (least, high), (most, low)):
        expected = float(jb.ridge_risk(problem, 100 + labels))
        assert expected == pytest.approx(error_there, abs=2e-4)
    claim = float(jb.information_value(problem, 500, 100))
    assert abs(value - claim) < (most - least)
    said = f"The simulated value of the information is {value:.0f} ({least:.0f} to {most:.0f})"
    assert f"{said} labels, that of the closed form {claim:.0f}." in small[1].text
    proposed = f"worth {value:.0f} further labels (95 % interval {least:.0f} to {most:.0f})"
    assert proposed in small[1].text


def test_the_study_is_marked_on_the_estimator_of_the_headline():
    problem = jb.presets.small().problem()
    information = float(jb.information_value(problem, 500, 100))
    expected = {
        "risk": (100, float(jb.two_penalty_risk(problem, 500, 100) / problem.total_power)),
        "value": (500, information),
        "saved": (100, 100 * information / (100 + information)),
    }
    made = content_of("small", read_study(None, {"preset": "small"}), None, False, 0)
    found = pictures(made)
    # Without prices there is no plan.
    assert list(found) == ["risk", "value", "saved", "changes"]
    for name, place in expected.items():
        with styled():
            (axes,) = found[name].draw().axes
            marks = [
                line for line in axes.lines if line.get_marker() == "D" and line.get_xdata().size
            ]
            (mark,) = marks
            np.testing.assert_allclose(mark.get_xydata(), [place], rtol=1e-6)
            # It lies on the line of that estimator.
            (line,) = [
                line for line in axes.lines
                if line.get_label() in ("BEFS, two penalties", "two penalties against ridge")
            ]  # fmt: skip
            there = np.interp(np.log(place[0]), np.log(line.get_xdata()), line.get_ydata())
            assert there == pytest.approx(place[1], rel=1e-2)
        assert "The mark is this study: BEFS with two penalties" in found[name].caption
    few = replace(made, study=read_study(None, {"preset": "small", "n_task": 3}))
    assert all("The mark" not in picture.caption for picture in pictures(few).values())


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
    pdf = [tmp_path / f"again-{name}.pdf" for name in NAMES]
    told = "".join(f"wrote {file}\n" for file in (again, *pdf))
    assert run(capsys, "report", *small[2], "--out", str(again)) == told
    assert again.read_bytes() == small[0].read_bytes()
    assert str(tmp_path).encode() not in again.read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted((again, *pdf))
    for name, file in zip(NAMES, pdf, strict=True):
        assert file.read_bytes().startswith(b"%PDF")
        assert file.read_bytes() == small[0].with_name(f"small-{name}.pdf").read_bytes()


# The page.


MARKUP = "<script>\"&'"


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take seconds to draw; what is said of them is there all the same."""
    monkeypatch.setattr("jaxbrain.cli.page.pictures._image", lambda *_, **__: "data:,")


def test_page_is_well_formed_and_can_be_read_aloud(small):
    page = small[1]
    assert page.named("html")[0]["lang"].startswith("en")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(cell["scope"] in ("col", "row") for cell in page.named("th"))
    images = page.named("img")
    assert len(images) == len(page.named("figcaption")) == 5
    for image in images:
        assert len(image["alt"]) > 80
        assert re.search(r"\d", image["alt"])
    for section in (
        "Inputs",
        "Result",
        "Figures",
        "Sensitivities",
        "Budget",
        "Assumptions and limits",
        "For a grant proposal",
        "Versions and seed",
        "Citation",
    ):
        assert section in page.words


def test_page_loads_nothing_from_elsewhere(small):
    source = small[0].read_text(encoding="utf-8")
    for tag, attributes in small[1].elements:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            if name in attributes and tag != "a":
                assert attributes[name].startswith("data:")
    assert [a["href"] for a in small[1].named("a")] == ["https://arxiv.org/abs/2605.09243"]
    assert "url(" not in source
    assert "@import" not in source


def test_what_the_user_wrote_is_shown_and_never_obeyed(no_pictures):
    name, currency = f"a{MARKUP}b.toml", '<b onload="x">$</b>'
    study = read_study(None, {"preset": "small", "samples_per_hour": 20.0})
    prices = {"cost_hour": 4.0, "cost_task": 1.0, "currency": currency}
    made = content_of(name, study, read_prices(None, prices, study), False, 0)
    page = Page(page_of(made))
    assert name in page.text
    assert currency in page.text
    assert page.named("b") == page.named("script") == []
    assert "were not simulated, as asked" in page.text
    row = page.table("labels an hour")["all of these, against least squares"]
    assert first_number(row["labels an hour"]) == pytest.approx(
        20 * first_number(row["labels a sample"]), rel=1e-2
    )
    # No budget is set: it is what the study costs.
    assert "As described the study costs 200 <b" in page.text
    assert first_number(page.table("risk")["labels alone"]["labels"]) == 200
    # A name that is no text is shown as far as it can.
    strange = replace(made, name=os.fsdecode(b"a\xff\n\x1b.toml"))
    assert "a\ufffd" in Page(page_of(strange)).text


@pytest.mark.parametrize(
    ("given", "prices", "said"),
    [
        ({"n_task": 0}, {}, "worth next to no further label"),
        ({"n_task": 3}, {}, "cannot even be read out unpenalised"),
        ({"n_task": 3}, {}, "savings of BEFS are undefined"),
        ({"n_task": 9, "task_snr": 0.01}, {}, "worse than predicting 0"),
        ({"misalignment": 1.0}, {}, "against least squares"),
        ({"misalignment": 0.0, "n_brain": 1e15, "n_task": 1e15}, {}, "labels"),
        ({"n_brain": 66.5, "n_task": 10.5}, {}, "66 brain samples"),
        ({"task_snr": 1e-9}, {}, "none: worse than predicting 0"),
        ({}, {"total": 1.0, "cost_brain": 1.0, "cost_task": 1e-9}, "which is above the budget"),
        ({}, {"cost_brain": 50.0, "cost_task": 1.0}, "recording is too expensive"),
    ],
)
def test_corners_are_told_in_words(no_pictures, given, prices, said):
    study = read_study(None, {"preset": "small"} | given)
    purchase = read_prices(None, prices, study)
    page = Page(page_of(content_of("corner", study, purchase, False, 0)))
    spoken = page.text + " ".join(image["alt"] for image in page.named("img"))
    assert not re.search(r"\b(nan|inf|null|None)\b", spoken)
    assert said in spoken


def test_a_corner_without_an_answer_is_simulated_all_the_same(no_pictures):
    """With fewer labels than can be read out, the simulation has no answer at the study either."""
    study = read_study(None, {"preset": "small", "n_task": 3})
    made = content_of("corner", study, None, False, 0)
    # Draws of another study do not reach this one.
    draws = simulate(read_study(None, {"preset": "small"}), 0)
    drawn = replace(made, simulation=draws, simulation_wanted=True)
    text = Page(page_of(drawn)).text
    assert "The study itself could not be simulated with so few labels." in text
    assert not re.search(r"\b(nan|inf|null|None)\b", text)


def test_inaccuracy_is_among_the_limits(no_pictures, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(NOISY)
    made = content_of("noisy", read_study(config, {}), None, False, 0)
    page = Page(page_of(made))
    assert page.text.count("latents are half as many as inputs") == 2
    assert any(a.get("class") == "note" for a in page.named("p")), (
        "beside the verdict and among the limits"
    )


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [400, 1400, 1920])
def test_a_browser_shows_all_of_it_and_asks_for_nothing(small, width):
    with Browser() as browser:
        browser.open(small[0], width)
        requests = [
            event["params"]["request"]["url"]
            for event in browser.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        assert requests[0] == small[0].as_uri()
        assert all(url.startswith("data:") for url in requests[1:])
        said = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        assert [event for event in browser.events if event["method"] in said] == []
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # What is wider than the window scrolls within its own box, not cut off.
        overflowing = browser.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, pre') &&"
            " e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length"
        )
        assert overflowing == 0
        images = browser.evaluate(
            "[...document.images].map(i => { const b = i.getBoundingClientRect();"
            " return [i.complete, i.naturalWidth, b.width, b.height, i.alt.length]; })"
        )
        assert len(images) == 5
        for complete, natural, wide, high, alt in images:
            assert complete
            assert natural > 0
            # At least as large as printed, one column of a journal: 3.5 inches.
            assert 330 <= wide <= width
            assert high > 200
            assert alt > 80
        # Figures, and tables, stand side by side where there is room.
        tops, lefts = browser.evaluate(
            "(b => [b.map(r => r.top), b.map(r => r.left)])"
            "([...document.images].slice(0, 3).map(i => i.getBoundingClientRect()))"
        )
        assert len(set(tops)) == {400: 3, 1400: 2, 1920: 1}[width]
        assert len(set(lefts)) == {400: 1, 1400: 2, 1920: 3}[width]
        tables = browser.evaluate(
            "[...document.querySelectorAll('table')].slice(0, 2)"
            ".map(t => t.getBoundingClientRect().left)"
        )
        assert (tables[0] < tables[1]) == (width > 400)
        smallest = browser.evaluate(
            "Math.min(...[...document.querySelectorAll('p, li, td, th, small, figcaption, pre')]"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        body = browser.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
        assert smallest >= 14
        assert body >= 16
