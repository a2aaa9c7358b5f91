"""`jaxbrain report`: numbers, words, refusals, and the page as a browser shows it."""

import itertools
import math
import os
import re
from html.parser import HTMLParser

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli import main
from jaxbrain.cli.answers.simulation import simulate
from jaxbrain.cli.input.prices import read_prices
from jaxbrain.cli.input.study import Study, read_study
from jaxbrain.figures import draw_risk, draw_saved, draw_value, styled
from tests.helpers.browser import CHROMIUM, Browser
from tests.helpers.cli import NOISY, refused, run

PRICES = ("--budget", "500", "--cost-brain", "0.3", "--cost-task", "2", "--fixed-cost-brain", "20")
MARKUP = "<script>\"&'"
TINY = """
n_brain = 60
n_task = 30
task_snr = 1
misalignment = 0.2
samples_per_hour = 20
[problem]
input_dim = 12
latent_dim = 2
encoding_noise = 0.5
"""
VOID = ("meta", "link", "img", "br")

pytestmark = pytest.mark.long


class Page(HTMLParser):
    """What is in a page; complains of elements that are not closed, or in the wrong order."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words = [], [], []
        self.tables, self.row = [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.row = []
            self.tables[-1].append(self.row)
        if tag in ("td", "th"):
            self.row.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        data = data.replace("\N{NO-BREAK SPACE}", " ")
        self.words.append(data)
        # What a row is about stands before the small print.
        if ("td" in self.open or "th" in self.open) and "small" not in self.open:
            self.row[-1] += data

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def table(self, header):
        """Cells of the table with such a header, by the names of its rows."""
        (found,) = [rows for rows in self.tables if header in rows[0]]
        return {row[0]: dict(zip(found[0][1:], row[1:], strict=True)) for row in found[1:]}


def first_number(cell):
    return float(
        re.match(r"[+−]?[\d ]*[\d.]+(e-?\d+)?", cell)[0].replace(" ", "").replace("−", "-")
    )


def numbers(cell):
    return [float(n.replace(" ", "")) for n in re.findall(r"\d[\d ]*(?:\.\d+)?", cell)]


def written(folder, text=TINY, name="study.toml"):
    config = folder / name
    config.write_text(text)
    return str(config)


def page_of(capsys, folder, *arguments):
    out = folder / "page.html"
    said = run(capsys, "report", *arguments, "--out", str(out), "--overwrite")
    assert said == f"wrote {out}\n"
    return Page(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The report on the small preset with prices, made once: it compiles for a while."""
    out = tmp_path_factory.mktemp("report") / "small.html"
    main(["report", "--preset", "small", *PRICES, "--currency", "EUR", "--out", str(out)])
    return out, Page(out.read_text(encoding="utf-8"))


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
    # The best plan of a large budget has recordings a little below that price, and none a little above.
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
    for part in ("Gaussian", "linear", "independent", "not measured", "Lewis, Wang, Schwab and Pitkow",
                 "arXiv:2605.09243", "ridge regression", "shrinkage", "95 % interval", "EUR"):  # fmt: skip
        assert part in paragraph
    # Three digits and no more.
    for number in re.findall(r"(?<![\d.:])\d[\d ]*\.?\d*", paragraph.replace("2605.09243", "")):
        kept = number.strip().replace(" ", "").replace(".", "").lstrip("0").rstrip("0")
        assert len(kept) <= 3 or kept == "2026", number


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
    for section in ("Inputs", "Result", "Figures", "Sensitivities", "Budget", "Assumptions and limits",
                    "For a grant proposal", "Versions and seed", "Citation"):  # fmt: skip
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


def test_the_same_study_is_the_same_page(capsys, tmp_path):
    config = written(tmp_path)
    pages = []
    for seed in ("0", "0", "1"):
        page_of(capsys, tmp_path, config, "--seed", seed)
        pages.append((tmp_path / "page.html").read_bytes())
    assert pages[0] == pages[1] != pages[2]
    assert str(tmp_path).encode() not in pages[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "study.toml"]


def test_what_the_user_wrote_is_shown_and_never_obeyed(capsys, tmp_path):
    name = f"a{MARKUP}b.toml"
    prices = "[budget]\ncost_hour = 4\ncost_task = 1\ncurrency = '''<b onload=\"x\">$</b>'''\n"
    page = page_of(capsys, tmp_path, written(tmp_path, TINY + prices, name), "--no-simulate")
    assert name in page.text
    assert '<b onload="x">$</b>' in page.text
    assert page.named("b") == page.named("script") == []
    assert "were not simulated, as asked" in page.text
    table = page.table("labels an hour")
    row = table["all of these, against least squares"]
    assert first_number(row["labels an hour"]) == pytest.approx(
        20 * first_number(row["labels a sample"]), rel=1e-2
    )
    # No budget is set: it is what the study costs.
    assert "As described the study costs 42 <b" in page.text
    assert first_number(page.table("risk")["labels alone"]["labels"]) == 42


def test_a_name_that_is_no_text_is_shown_as_far_as_it_can(capsys, tmp_path):
    name = os.fsdecode(b"a\xff\n\x1b.toml")
    page = page_of(capsys, tmp_path, written(tmp_path, name=name), "--no-simulate")
    assert "a\ufffd" in page.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--n-task", "0"), "worth next to no further label"),
        (("--n-task", "3"), "cannot even be read out unpenalised"),
        (("--n-task", "3"), "savings of BEFS are undefined"),
        (("--n-task", "5", "--task-snr", "0.01"), "worse than predicting 0"),
        (("--misalignment", "1"), "against least squares"),
        (("--misalignment", "0", "--n-brain", "1e15", "--n-task", "1e15"), "labels"),
        (("--n-brain", "14.5", "--n-task", "10.5"), "14 brain samples"),
        (("--task-snr", "1e-9"), "none: worse than predicting 0"),
        (
            ("--budget", "1", "--cost-brain", "1", "--cost-task", "1e-9"),
            "which is above the budget",
        ),
        (("--cost-brain", "50", "--cost-task", "1"), "recording is too expensive"),
    ],
)
def test_corners_are_told_in_words(capsys, tmp_path, arguments, said):
    page = page_of(capsys, tmp_path, written(tmp_path), *arguments)
    spoken = page.text + " ".join(image["alt"] for image in page.named("img"))
    assert not re.search(r"\b(nan|inf|null|None)\b", spoken)
    assert said in spoken


def test_inaccuracy_is_among_the_limits(capsys, tmp_path):
    page = page_of(capsys, tmp_path, written(tmp_path, NOISY), "--no-simulate")
    assert page.text.count("some directions are lost in the noise") == 2
    assert any(a.get("class") == "note" for a in page.named("p")), (
        "beside the verdict and among the limits"
    )


def test_too_large_a_problem_is_not_simulated():
    large = jb.Problem(
        input_dim=20_000,
        latent_dim=5_000,
        recording_dim=100_000,
        latent_noise=0.5,
        recording_noise=4.0,
        gain=30.0,
        aligned_power=[0.8 / 5_000] * 5_000,
        misaligned_power=0.2,
        task_noise=1.0,
    )
    assert simulate(Study(large, 1e5, 1e4, None), 0) is None


def test_where_draws_are_dear_only_recordings_are_drawn(monkeypatch):
    monkeypatch.setattr("jaxbrain.cli.answers.simulation._PATIENCE", 2.5)
    problem = jb.Problem(
        input_dim=600,
        latent_dim=10,
        recording_dim=600,
        latent_noise=0.5,
        recording_noise=4.0,
        gain=30.0,
        aligned_power=[0.08] * 10,
        misaligned_power=0.2,
        task_noise=1.0,
    )
    found = simulate(Study(problem, 2_000.0, 1_000.0, None), 0)
    assert (found.draws_labels, found.seeds, found.trials) == (False, 2, 4)
    cell = found.found.sel(n_brain=2_000, n_task=1_000)
    assert float(cell.risk_low) < float(cell.risk) < float(cell.risk_high)
    assert float(cell.risk) == pytest.approx(float(jb.risk(problem, 2_000, 1_000)), rel=0.02)


FAULTS = """
n_task = -3
colour = 2
[problem]
input_dim = 12
latent_dim = 2
encoding_noise = 0.5
[budget]
cost_brain = 0
cost_hour = 3
cost_label = 2
currency = "\\n"
"""


def test_every_fault_is_told_at_once_and_nothing_is_written(capsys, tmp_path):
    config = written(tmp_path, FAULTS)
    out = tmp_path / "page.txt"
    said = refused(capsys, "report", config, "--out", str(out), "--seed", "-1", "--budget", "0")
    for fault in (
        "the name must end in .html",
        "--seed must lie between",
        f"{config}: n_task must be at least 0",
        "'colour' is not known",
        "task_snr is missing",
        "[budget] cost_brain must be greater than 0",
        "'cost_label' is not known",
        "currency must be a word",
        "--budget must be greater than 0",
        "cost_task is missing",
        "give either cost_hour or cost_brain",
    ):
        assert fault in said
    assert len(said.splitlines()) == len(set(said.splitlines()))
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "out"),
        (("absent.toml", "--out", "a.html"), "no such file"),
        (("absent.toml", "--cost-task", "-1", "--out", "a.html"), "--cost-task must be greater than 0"),
        (("--out", "absent/a.html"), "there is no folder"),
        (("--preset", "small", "--cost-hour", "3", "--cost-task", "1", "--out", "a.html"), "which the preset does not say"),
        (("--cost-hour", "3", "--cost-brain", "1", "--cost-task", "1", "--out", "a.html"), "the same thing"),
        (("--currency", "EUR", "--out", "a.html"), "needs the price of recordings"),
        (("--out", "a" * 300 + ".html"), "cannot be written"),
        (("b" * 300 + ".toml", "--out", "a" * 300 + ".html"), "cannot be read"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(capsys, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, "report", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unasked_and_never_the_config(capsys, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("old")
    assert "pass --overwrite" in refused(capsys, "report", "--out", str(out))
    config = written(tmp_path, name="study.html")
    said = refused(capsys, "report", config, "--out", config, "--overwrite")
    assert "is the config itself" in said
    assert (out.read_text(), (tmp_path / "study.html").read_text()) == ("old", TINY)


def test_a_failed_write_leaves_nothing_behind(capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    config, out = written(tmp_path), tmp_path / "page.html"
    out.write_text("old")
    monkeypatch.setattr("os.replace", full)
    said = refused(capsys, "report", config, "--no-simulate", "--out", str(out), "--overwrite")
    assert "No space left" in said
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "study.toml"]


def test_prices_come_from_the_file_unless_a_flag_says_otherwise(capsys, tmp_path):
    text = TINY + "[budget]\ntotal = 900\ncost_hour = 40\ncost_task = 3\nfixed_cost_task = 5\n"
    config = tmp_path / "study.toml"
    config.write_text(text)
    study = read_study(config, {})
    prices = read_prices(config, {"cost_task": None}, study)
    assert (prices.cost_brain, prices.cost_task, prices.total) == (2.0, 3.0, 900.0)
    assert prices.bill(study) == 60 * 2 + 5 + 30 * 3
    other = read_prices(config, {"cost_brain": 7.0, "total": 10.0}, study)
    assert (other.cost_brain, other.cost_task, other.total) == (7.0, 3.0, 10.0)
    assert read_prices(None, {"total": None}, study) is None
    # Other commands take the same file.
    assert "labels" in run(capsys, "worth", "--config", str(config))
    config.write_text("budget = 3\n" + TINY)
    for command in (("worth", "--config"), ("report", "--out", str(tmp_path / "a.html"))):
        assert "budget must be a table: [budget]" in refused(capsys, *command, str(config))


def test_figures_draw_theory_as_lines_and_simulation_as_points():
    import xarray

    labels = np.array([10.0, 20.0, 40.0])
    names = ("task_only_risk", "ridge_risk", "risk", "two_penalty_risk")
    curves = xarray.Dataset(
        {name: ("n_task", 0.1 * (place + 1) / labels) for place, name in enumerate(names)}
        | {name: ("n_task", labels) for name in ("value_ols", "value_ridge", "information_value")},
        coords={"n_task": labels},
    )
    points = {"risk": 0.2, "risk_low": 0.1, "risk_high": 0.4}
    points |= {f"value_ols{end}": 5.0 + rise for end, rise in (("", 0), ("_low", -1), ("_high", 2))}
    simulated = xarray.Dataset(
        {name: ("n_task", [value]) for name, value in points.items()}, coords={"n_task": [20]}
    )
    with styled():
        (axes,) = draw_risk(curves, simulated, 2.0, "7 brain samples", (20.0, 0.1)).axes
        (line,) = [line for line in axes.lines if line.get_label() == "BEFS"]
        np.testing.assert_allclose(line.get_ydata(), 0.3 / labels)
        bar, *_ = axes.containers
        np.testing.assert_allclose(bar.lines[0].get_xydata(), [[20, 0.1]])
        np.testing.assert_allclose(bar.lines[2][0].get_segments()[0][:, 1], [0.05, 0.2])
        assert bar.lines[0].get_color() == line.get_color()
        assert "7 brain samples" in axes.get_xlabel()
        (axes,) = draw_saved(curves, simulated, "7 brain samples", (20.0, 20.0)).axes
        np.testing.assert_allclose(axes.lines[0].get_ydata(), 50)
        np.testing.assert_allclose(axes.containers[0].lines[0].get_xydata(), [[20, 20]])
        over = curves.rename(n_task="n_brain")
        (axes,) = draw_value(over, None, "5 labels", 360.0, (20.0, math.nan)).axes
        assert axes.get_xlabel() == "brain samples (360 an hour)\nbeside 5 labels"
        assert not axes.containers
    assert plt.get_fignums() == []


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
