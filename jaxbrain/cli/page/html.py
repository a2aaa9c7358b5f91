"""Pieces of a page: everything that goes in is plain text, and is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_STYLE = Path(__file__).with_name("page.css")
_GROUPS = re.compile(r"(?<=\d) (?=\d{3}(?!\d))|(?<=\d) (?=%)")
# Nothing may be loaded from anywhere, whatever a name or a caption holds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def text(words: str) -> str:
    """Plain text within a page. Groups of digits stay together; what cannot be shown is a box."""
    shown = "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in words)
    return html.escape(_GROUPS.sub("\N{NO-BREAK SPACE}", shown), quote=True)


def paragraph(words: str, kind: str = "") -> str:
    """One paragraph."""
    return f"<p{_class(kind)}>{text(words)}</p>"


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "<ul>\n" + "\n".join(f"<li>{text(line)}</li>" for line in lines) + "\n</ul>"


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    explained: bool = False,
) -> str:
    """A table that scrolls within its own box where it is too wide; its first column names the
    rows.

    `explained`: the second entry of a row says in small what the first one means.
    """
    head = "".join(
        f'<th scope="col"{_class("number" if place else "")}>{text(name)}</th>'
        for place, name in enumerate(header)
    )
    lines = []
    for name, *cells in rows:
        small = f"<small>{text(cells.pop(0))}</small>" if explained else ""
        row = "".join(f'<td class="number">{text(cell)}</td>' for cell in cells)
        lines.append(f'<tr><th scope="row">{text(name)}{small}</th>{row}</tr>')
    body = "\n".join(lines)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}">\n<table>\n'
        f"<caption>{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        "</table>\n</div>"
    )


def figure(image: str, alt: str, caption: str) -> str:
    """A picture, given as a data URL, with what is to be seen in it."""
    return (
        f'<figure>\n<img src="{image}" alt="{text(alt)}">\n'
        f"<figcaption>{text(caption)}</figcaption>\n</figure>"
    )


def beside(*blocks: Sequence[str]) -> list[str]:
    """Blocks side by side, as many as the window has room for; else one below the other."""
    inner = [piece for block in blocks for piece in ("<div>", *block, "</div>")]
    return ['<div class="beside">', *inner, "</div>"]


def document(title: str, body: Sequence[str]) -> str:
    """A whole page that needs nothing but itself."""
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en-GB">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            "</body>",
            "</html>",
            "",
        )
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
