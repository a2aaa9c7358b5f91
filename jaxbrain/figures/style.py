"""How figures look: one style file, one colour for one thing, axes and legends that can be read."""

from __future__ import annotations

import io
import math
import string
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._writing import write_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("journal.mplstyle")
ONE_COLUMN, TWO_COLUMNS = 3.5, 7.2

# Okabe and Ito's colours, which people with colour-blindness can tell apart. Their orange and sky
# blue are too faint for lines on white: others stand in their place, and a red that is far from
# that orange. The same thing has the same one in every figure.
COLOURS = {
    "task only": "#4D4D4D",
    "ridge": "#D67900",
    "befs": "#0072B2",
    "two penalties": "#009E73",
    "banded ridge": "#B82500",
    "hard constraint": "#CC79A7",
    "first order": "#8F36E2",
}
# As in the style file, for what has no name of its own.
CATEGORIES = ("#0072B2", "#D67900", "#009E73", "#CC79A7", "#8F36E2", "#B82500")
# Where viridis, from its light end, is dark enough for lines on white.
_READABLE = 0.42
# What a file of each form calls the time at which it was made.
_DATES = {"svg": "Date", "pdf": "CreationDate"}


@contextmanager
def styled() -> Iterator[None]:
    """Figures made in here look like those of jaxbrain, need no screen, and are closed at the end.

    >>> import matplotlib.pyplot as plt
    >>> from jaxbrain.figures import styled
    >>> with styled():
    ...     figure, axes = plt.subplots()
    >>> plt.fignum_exists(figure.number)
    False

    **Returns**

    A context manager, for `with styled():`.

    **Raises**

    Nothing of its own. A figure is closed after an error too.
    """
    import matplotlib

    matplotlib.use("Agg", force=False)
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    with plt.style.context(STYLE):
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)


def picture(
    form: str,
    draw: Callable[..., Figure],
    *arguments: Any,
    metadata: dict[str, Any] | None = None,
    **options: Any,
) -> bytes:
    """The picture that `draw` makes, as the content of a file, in the style of jaxbrain.

    >>> from jaxbrain.figures import draw_changes, picture
    >>> picture("svg", draw_changes, {"labels": (0.9, 0.4)})[:5]
    b'<?xml'

    **Arguments**

    - `form`: png, svg or pdf.
    - `draw`: one of the functions `draw_…`.
    - `arguments`, `options`: what `draw` takes.
    - `metadata`: what the file says of itself, as matplotlib takes it.

    **Returns**

    The content of a file.

    **Raises**

    `ValueError` where there is no such form.
    """
    with styled():
        return rendered(draw(*arguments, **options), form, metadata)


def rendered(figure: Figure, form: str, metadata: dict[str, Any] | None = None) -> bytes:
    """A figure as the content of a file of this form, without the time of day unless it is given.

    So the same figure is the same file.
    """
    undated = {_DATES[form]: None} if form in _DATES else {}
    content = io.BytesIO()
    figure.savefig(content, format=form, metadata=undated | (metadata or {}))
    return content.getvalue()


def save(path: Path, draw: Callable[..., Figure], *arguments: Any, **options: Any) -> None:
    """Write the figure that `draw` makes into a file, in the style of jaxbrain.

    >>> import pathlib, tempfile
    >>> from jaxbrain.figures import draw_changes, save
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "changes.svg"
    >>> save(file, draw_changes, {"labels": (0.9, 0.4)})
    >>> file.read_text()[:5]
    '<?xml'

    **Arguments**

    - `path`: the file. It ends in .png, .svg or .pdf, and is replaced if it exists.
    - `draw`: one of the functions `draw_…`.
    - `arguments`, `options`: what `draw` takes.

    **Returns**

    Nothing. The file is there complete, or not at all.

    **Raises**

    `OSError` where the file cannot be written; `ValueError` where its name ends in something else.
    """
    form = path.suffix.lower().removeprefix(".")
    write_files({path: picture(form, draw, *arguments, **options)}, overwrite=True)


def ordered_colours(count: int) -> list[str]:
    """Colours for amounts of one thing, from light to dark as the amount grows."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis_r"](place)) for place in np.linspace(_READABLE, 1.0, count)]


def letter_panels(panels: Iterable[Axes]) -> None:
    """A bold letter to each panel, in their order: upper left, outside of its axes.

    It stands on the line of a title, which begins where the axes do.
    """
    from matplotlib import rcParams

    # Beyond z they are aa, ab, …
    letters = chain(string.ascii_lowercase, map("".join, product(string.ascii_lowercase, repeat=2)))
    for letter, axes in zip(letters, panels, strict=False):
        axes.annotate(
            letter,
            (0, 1),
            (-6, rcParams["axes.titlepad"]),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            fontsize=10,
            fontweight="bold",
        )


def grouped(number: float) -> str:
    """A count with groups of three digits."""
    if not math.isfinite(number):
        return "undefined" if number != number else "infinite"
    return f"{round(float(number)):,}".replace(",", " ")


def legend_above(figure: Figure) -> None:
    """A legend above the axes, in as many columns as fit, up to three."""
    for columns in (3, 2, 1):
        legend = figure.legend(loc="outside upper center", ncols=columns)
        # Text is a little wider in some formats than on the screen.
        if legend.get_window_extent().width <= 0.94 * figure.bbox.width or columns == 1:
            return
        legend.remove()


def log_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic vertical axis, short or long, with a readable number of plain numbers at it."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    readable_numbers(axes.yaxis, low, high)
    axes.yaxis.set_major_formatter("{x:g}")


def readable_numbers(axis: Axis, low: float, high: float) -> None:
    """Numbers at a logarithmic axis that do not overlap: few in a decade, few decades."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    subs = (1, 2, 3, 5) if high < 10 * low else (1, 2, 5) if high < 300 * low else (1,)
    axis.set_major_locator(
        MaxNLocator(8, steps=[1, 2, 5, 10])
        if high < 4 * low
        else LogLocator(subs=subs, numticks=12 if len(subs) == 1 else 30)
    )
    axis.set_minor_locator(NullLocator())


def shortened(name: str, most: int = 24) -> str:
    """A name that fits into a legend; what is cut off is an ellipsis."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def literal(text: str) -> str:
    """Text that a figure shows as it is: no formula opened by a dollar sign, no underscore in
    front.

    A question mark stands for what the font has no sign for.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    shown = "".join(sign if font.get_char_index(ord(sign)) else "?" for sign in text)
    return shown.lstrip("_").replace("$", r"\$")
