"""The page: sections in their order."""

from __future__ import annotations

from ..answers.report import Content
from ..words import report as words
from ..words.over_draws import verdict_of_draws, verdict_of_plan_draws
from ..words.plan import verdict as verdict_of_plan
from ..words.worth import verdict
from . import tables
from .html import beside, bullets, document, paragraph, table, text
from .pictures import Picture, pictures, shown


def page_of(content: Content) -> str:
    """The whole report as one HTML page. The same content is the same page."""
    drawn = pictures(content)
    sections = (
        _head(content),
        beside(_inputs(content), _results(content)),
        _figures(drawn),
        _sensitivities(content, drawn),
        _budget(content, drawn),
        beside(_limits(content), _proposal(content)),
        beside(_versions(content), _citation()),
    )
    body = [piece for section in sections for piece in section]
    return document(f"Worth of brain recordings: {content.name}", body)


def _head(content: Content) -> list[str]:
    said = verdict(content.study, content.numbers, content.beyond_ridge)
    over = content.over_draws
    if over is not None:
        said = f"By the central draw of the pilot: {said}"
    return [
        "<h1>What brain recordings are worth</h1>",
        f'<p class="study">Study: <bdi>{text(content.name)}</bdi></p>',
        paragraph(said, "verdict"),
        *([paragraph(verdict_of_draws(over), "verdict")] if over is not None else []),
        *(paragraph(f"Accuracy: {note}.", "note") for note in content.notes),
    ]


def _inputs(content: Content) -> list[str]:
    return [
        "<h2>Inputs</h2>",
        table("What the answer rests on", ("", "value"), tables.inputs(content.study)),
    ]


def _results(content: Content) -> list[str]:
    header, rows = tables.results(content)
    return [
        "<h2>Result</h2>",
        table("What the recordings are worth", header, rows, explained=True),
        paragraph(words.about_simulation(content)),
    ]


def _figures(drawn: dict[str, Picture]) -> list[str]:
    each = [shown(drawn[name]) for name in ("risk", "value", "saved")]
    return ["<h2>Figures</h2>", '<div class="figures">', *each, "</div>"]


def _sensitivities(content: Content, drawn: dict[str, Picture]) -> list[str]:
    if "changes" not in drawn:
        said = "With these numbers no value is defined, and none can change by a percentage."
        return ["<h2>Sensitivities</h2>", paragraph(said)]
    return [
        "<h2>Sensitivities</h2>",
        paragraph(
            "What would raise the value most: its change for one percent more of each thing, the "
            "others kept. "
            "Derivatives of the closed form, ordered by the value of the information."
        ),
        '<div class="figures">',
        shown(drawn["changes"]),
        table(
            "Change for one percent more",
            ("", "value against least squares", "value of the information"),
            tables.changes(content),
        ),
        "</div>",
    ]


def _budget(content: Content, drawn: dict[str, Picture]) -> list[str]:
    header, rows = tables.break_even(content)
    prices = [
        "<h3>Break-even prices</h3>",
        paragraph(words.about_break_even(content)),
        table("Price up to which recordings pay, in labels", header, rows),
    ]
    found = content.money
    if found is None:
        said = (
            "No prices are given. This report assumes none: it states break-even prices in labels."
        )
        return ["<h2>Budget</h2>", paragraph(said), *prices]
    header, rows = tables.splits(content, found)
    split = [
        paragraph(words.about_money(content, found)),
        paragraph(verdict_of_plan(found.purchase, found.plan)),
        *([paragraph(verdict_of_plan_draws(found.plan))] if "draws" in found.plan else []),
        table(
            "This study, the best split (both with two penalties), and labels alone (ridge)",
            header,
            rows,
        ),
    ]
    return ["<h2>Budget</h2>", *beside(split, [shown(drawn["plan"])], prices)]


def _limits(content: Content) -> list[str]:
    return [
        "<h2>Assumptions and limits</h2>",
        bullets((*words.assumptions(content), *words.limits(content))),
    ]


def _proposal(content: Content) -> list[str]:
    return [
        "<h2>For a grant proposal</h2>",
        paragraph(
            "Ready to paste. What is predicted is rounded to three digits, and so are prices; "
            "other inputs are as given."
        ),
        f"<blockquote>{paragraph(words.proposal(content))}</blockquote>",
    ]


def _versions(content: Content) -> list[str]:
    simulation = content.simulation
    rows = list(content.versions.items())
    if simulation is not None:
        rows += [
            ("seed of the simulation", str(simulation.seed)),
            ("draws", f"{simulation.seeds} replicates of {simulation.trials}"),
            ("random numbers", str(simulation.found.attrs["key_implementation"])),
        ]
    return [
        "<h2>Versions and seed</h2>",
        table("What this page was made with", ("", "value"), rows),
    ]


def _citation() -> list[str]:
    paper = f'<a href="https://arxiv.org/abs/{words.ARXIV}">arXiv:{words.ARXIV}</a> (2026)'
    return [
        "<h2>Citation</h2>",
        f"<p>{text(words.AUTHORS)}, <cite>{text(words.TITLE)}</cite>, "
        f"{paper}: the question, the model, the two-stage estimator (BEFS) and its large-sample "
        "laws. The finite-sample forms, the comparison with ridge regression and the second "
        "penalty are jaxbrain's.</p>",
        f'<pre tabindex="0">{text(words.CITATION)}</pre>',
    ]
