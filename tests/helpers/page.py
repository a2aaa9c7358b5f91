"""Pages as a reader of HTML sees them."""

import re
from html.parser import HTMLParser

VOID = ("meta", "link", "img", "br")


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
