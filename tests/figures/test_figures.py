"""Figures show the data that they are given."""

import ast
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray

import jaxbrain.figures
from jaxbrain.figures import (
    draw_fit,
    draw_plan,
    draw_risk,
    draw_saved,
    draw_savings,
    draw_simulation,
    draw_value,
    picture,
    save,
    styled,
)
from jaxbrain.figures.style import CATEGORIES, COLOURS, STYLE, letter_panels, ordered_colours
from tests.helpers.colours import contrast_with_white, least_difference


def test_figures_draw_theory_as_lines_and_simulation_as_points():
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


def test_savings_are_drawn_and_a_study_without_an_answer_is_not_marked():
    shares = np.array([[0.5, 0.2], [0.7, -np.inf]])
    savings = xarray.Dataset(
        {
            name: (("n_brain", "n_task"), sign * shares)
            for name, sign in (("ols", 1), ("ridge", -1))
        },
        {"n_brain": [500.0, 1_000.0], "n_task": [10.0, 100.0]},
    )
    with styled():
        for share in (0.4, math.nan):
            (axes,) = draw_savings(savings, 250.0, (50.0, share)).axes
            lines = {line.get_label(): line for line in axes.lines}
            np.testing.assert_array_equal(lines["500 (2 h)"].get_xydata(), [[10, 50], [100, 20]])
            np.testing.assert_array_equal(lines["1 000 (4 h)"].get_ydata(), [70, -np.inf])
            ridge = [line for line in axes.lines if line.get_linestyle() == "--"]
            np.testing.assert_array_equal(ridge[0].get_ydata(), [-50, -20])
            assert ("this study" in lines) == math.isfinite(share)
        np.testing.assert_allclose(axes.get_ylim(), (-25, 100))


def curve(shares, risks, best=(math.nan, math.nan)):
    attributes = dict(zip(("best_share", "best_risk"), best, strict=True))
    return xarray.Dataset({"risk": ("share", risks)}, {"share": shares}, attributes)


def test_a_plan_shows_lines_best_splits_and_labels_alone():
    curves = {
        "cheap": curve([10, 40, 80], [0.9, 0.2, 5.0], (40, 0.2)),
        "_dear$": curve([20, 50], [0.5, 0.6]),
        "beyond": curve([], []),
    }
    with styled():
        figure = draw_plan(curves, 0.3, 4_000, "$")
        (axes,) = figure.axes
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_array_equal(lines["cheap"].get_xydata(), [[10, 0.9], [40, 0.2], [80, 5]])
        np.testing.assert_array_equal(lines[r"dear\$"].get_ydata(), [0.5, 0.6])
        np.testing.assert_array_equal(lines["labels alone"].get_ydata(), 0.3)
        marks = [line for line in axes.lines if line.get_marker() == "o" and line.get_xdata().size]
        (mark,) = marks
        np.testing.assert_array_equal(mark.get_xydata(), [[40, 0.2]])
        assert mark.get_color() == lines["cheap"].get_color()
        assert axes.get_yscale() == "log"
        # What is far worse than predicting 0 is left out.
        np.testing.assert_allclose(axes.get_ylim(), (0.2 / 1.15, 0.9 * 1.15))
        assert axes.get_xlabel() == r"share of the budget of 4 000 \$ spent on recordings (%)"
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        named = ["cheap", r"dear\$", "beyond (beyond the budget)"]
        assert labels == [*named, "labels alone", "best split"]


def test_long_and_strange_names_stay_in_the_picture():
    names = ["a very long name " * 6, "W" * 70, "脳波\U0001f9e0$", "short"]
    drawn = [curve([20, 50], [0.5, 0.6]), curve([], []), curve([20, 50], [0.4, 0.6]), curve([], [])]
    with styled():
        figure = draw_plan(dict(zip(names, drawn, strict=True)), 0.3, 4_000, "円")
        figure.canvas.draw()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        shown = [text.get_text() for text in legend.get_texts()]
        assert shown[:4] == [
            "a very long name a very…",
            "W" * 23 + "… (beyond the budget)",
            r"???\$",
            "short (beyond the budget)",
        ]
        assert "4 000 ?" in figure.axes[0].get_xlabel()


def test_a_simulation_shows_points_with_bars_and_the_closed_form_where_there_is_one():
    grid = {"n_brain": [65, 100], "n_task": [50, 100], "penalty": [0.5, np.inf]}
    risks = np.arange(1.0, 9.0).reshape(2, 2, 2) / 10
    points = {"risk": (tuple(grid), risks), "standard_error": (tuple(grid), risks / 10)}
    lines = risks.copy()
    lines[0] = np.nan
    closed_form = xarray.DataArray(lines, grid | {"n_task": [49, 101]}, tuple(grid))
    with styled():
        figure = draw_simulation(xarray.Dataset(points, grid), closed_form)
        assert [axes.get_title(loc="left") for axes in figure.axes] == [
            "penalty 0.5",
            "penalty inf",
        ]
        for place, axes in enumerate(figure.axes):
            bars = axes.containers
            assert [bar.get_label() for bar in bars] == ["65", "100"]
            for row, bar in enumerate(bars):
                expected = np.stack([[50, 100], risks[row, :, place]], axis=1)
                np.testing.assert_allclose(bar.lines[0].get_xydata(), expected)
                ends = bar.lines[2][0].get_segments()[0][:, 1]
                np.testing.assert_allclose(
                    ends, risks[row, 0, place] * (1 + 0.196 * np.array([-1, 1]))
                )
            (line,) = [line for line in axes.lines if line.get_xdata()[0] == 49]
            np.testing.assert_allclose(line.get_ydata(), risks[1, :, place])
            assert line.get_color() == bars[1].lines[0].get_color()


def test_a_figure_is_written_in_each_format_and_closed(tmp_path):
    arguments = {"small": curve([10, 40], [0.5, 0.2], (40, 0.2))}, 0.3, 500.0
    for suffix, start in ((".png", b"\x89PNG"), (".SVG", b"<?xml"), (".pdf", b"%PDF")):
        save(tmp_path / f"plan{suffix}", draw_plan, *arguments)
        assert (tmp_path / f"plan{suffix}").read_bytes().startswith(start)
    assert plt.get_fignums() == []


PALETTE = sorted({*COLOURS.values(), *CATEGORIES, *ordered_colours(8), "grey"})


@pytest.mark.parametrize("colour", PALETTE)
def test_a_colour_can_be_seen_on_white(colour):
    assert contrast_with_white(colour) >= 3


def test_a_faint_colour_is_told_from_those_that_can_be_seen():
    assert contrast_with_white("black") == pytest.approx(21)
    assert contrast_with_white("white") == pytest.approx(1)
    # What amounts began with.
    assert contrast_with_white("#9bd93c") < 2


def test_readers_with_colour_blindness_tell_colours_apart():
    # Red and olive, which are one colour to some of them.
    assert least_difference(["#d03000", "#5c5c00"]) < 1
    assert least_difference([*COLOURS.values()]) > 16
    assert least_difference(CATEGORIES) > 16
    for count in range(2, 7):
        assert least_difference(ordered_colours(count)) > 8


def test_what_has_no_name_has_the_colours_of_the_style_file():
    cycle = plt.rc_context(fname=STYLE)
    with cycle:
        colours = [f"#{each['color'].lstrip('#')}" for each in plt.rcParams["axes.prop_cycle"]]
    assert colours == [*CATEGORIES]
    assert {*CATEGORIES} <= {*COLOURS.values()}


def letters_of(figure):
    """Each panel's letter, which is bold, and whether it is above its axes and left of them."""
    figure.canvas.draw()
    found = []
    for axes in figure.axes:
        bold = [text for text in axes.texts if text.get_fontweight() == "bold"]
        for text in bold:
            box, inner = text.get_window_extent(), axes.get_window_extent()
            # No letter is cut off.
            assert box.x0 >= 0
            assert box.y1 <= figure.bbox.height
            found.append((text.get_text(), box.y0 > inner.y1 and box.x1 < inner.x0))
    return found


def test_panels_have_letters_where_there_are_several():
    def simulated(penalties):
        grid = {"n_brain": [65], "n_task": [50, 100], "penalty": penalties}
        risks = np.full((1, 2, len(penalties)), 0.5)
        points = {name: (tuple(grid), risks) for name in ("risk", "standard_error")}
        return xarray.Dataset(points, grid), xarray.DataArray(risks, grid, tuple(grid))

    with styled():
        assert letters_of(draw_simulation(*simulated([0.5]))) == []
        # Five of six places are panels.
        several = letters_of(draw_simulation(*simulated([0.1, 0.2, 0.3, 0.4, 0.5])))
        assert several == [(letter, True) for letter in "abcde"]
        fit = draw_fit({"ridge": (0.7, 0.6, 0.8)}, {"ridge": ((50,), [(0.7, 0.6, 0.8)])})
        assert letters_of(fit) == [("a", True), ("b", True)]
        _, grid = plt.subplots(4, 7)
        letter_panels(grid.flat)
        assert [axes.texts[0].get_text() for axes in grid.flat][24:] == ["y", "z", "aa", "ab"]


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_a_file_does_not_tell_when_it_was_made(form, monkeypatch):
    arguments = {"small": curve([10, 40], [0.5, 0.2], (40, 0.2))}, 0.3, 500.0
    made = []
    for epoch in ("0", "1000000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        made.append(picture(form, draw_plan, *arguments))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "module", list(Path(jaxbrain.figures.__file__).parent.glob("*.py")), ids=lambda path: path.stem
)
def test_figures_compute_nothing(module):
    """Neither theory nor simulation is known here: what is drawn is handed over."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            assert node.module in ("store", "_writing")
