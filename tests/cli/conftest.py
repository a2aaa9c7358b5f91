"""What several tests of the command line share: one report, made once."""

import pytest

from jaxbrain.cli import main
from tests.helpers.page import Page

PRICES = ("--budget", "500", "--cost-brain", "0.3", "--cost-task", "2", "--fixed-cost-brain", "20")


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The report on the small preset with prices: its file, its page, and what it was asked."""
    out = tmp_path_factory.mktemp("report") / "small.html"
    asked = ("--preset", "small", *PRICES, "--currency", "EUR", "--pdf")
    main(["report", *asked, "--out", str(out)])
    return out, Page(out.read_text(encoding="utf-8")), asked
