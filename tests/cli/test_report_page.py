"""The page of a report: well formed, alone, safe; as a browser shows it; corners in words."""

import itertools
import os
import re
from dataclasses import replace

import pytest

from jaxbrain.cli.answers.report import content_of
from jaxbrain.cli.answers.simulation import simulate
from jaxbrain.cli.input.purchase import read_prices
from jaxbrain.cli.input.study import read_study
from jaxbrain.cli.page.page import page_of
from tests.helpers.browser import CHROMIUM, Browser
from tests.helpers.cli import NOISY
from tests.helpers.page import Page, first_number

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
    assert "The study itself has no finite error that could be simulated." in text
    assert not re.search(r"\b(nan|inf|null|None)\b", text)


def test_inaccuracy_is_among_the_limits(no_pictures, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(NOISY)
    made = content_of("noisy", read_study(config, {}), None, False, 0)
    page = Page(page_of(made))
    assert page.text.count("some directions are lost in the noise") == 2
    assert any(a.get("class") == "note" for a in page.named("p")), (
        "beside the verdict and among the limits"
    )


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [400, 1400])
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
        smallest = browser.evaluate(
            "Math.min(...[...document.querySelectorAll('p, li, td, th, small, figcaption, pre')]"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        body = browser.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
        assert smallest >= 14
        assert body >= 16
