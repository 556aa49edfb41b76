"""What the pages of rankings, validity cards and plans share: one template, figures at three widths, data as JSON.

Knows how a page is put together, not what stands on it. The same input gives the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from roboscale.core import Estimate
from roboscale.report import text
from roboscale.report.figures import Figure
from roboscale.report.parts import as_data, asset, csp_hash, environment, inline_svg
from roboscale.report.tables import Cell, Table, show

__all__ = [
    "ESTIMATE_COLUMNS",
    "HEAT",
    "WIDTHS",
    "Drawn",
    "draw_at_widths",
    "estimate_cells",
    "full_stop",
    "many",
    "plain",
    "render_page",
    "show_bounds",
    "show_signed",
    "text_table",
    "wrapped",
]

WIDTHS: Mapping[str, int] = MappingProxyType({"wide": 1040, "medium": 640, "narrow": 342})
"""CSS pixels. Every figure is drawn at each width, and the page shows the one that fits."""

HEAT = ("#f0a35e", "#ecb27c", "#e3bf9c", "#d5c7ba", "#c6c9cd", "#b3c6da", "#9dc1e4", "#83b6e8", "#68a9e8")
"""Colours of rates from 0 to 1: orange, grey, blue, all about equally light, so that fainter can mean less certain."""

ESTIMATE_COLUMNS = ("value", "low", "high", "level", "n", "void", "method")
"""Columns of a table that an `Estimate` fills, see `estimate_cells`."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure at every width, ready for the page."""

    svgs: Mapping[str, Markup]
    table: Table
    summary: str


def draw_at_widths(name: str, draw: Callable[[int], Figure]) -> Drawn:
    """Draws a figure for every width of the page; `name` makes its ids unique on the page."""
    drawn = {size: draw(width) for size, width in WIDTHS.items()}
    svgs = {size: _warm(inline_svg(figure.svg, f"{name}-{size}")) for size, figure in drawn.items()}
    return Drawn(svgs, drawn["wide"].table, drawn["wide"].summary)


def render_page(template: str, data: Mapping[str, Any], **context: Any) -> str:
    """One HTML document that opens from a file and makes no request; a content security policy in it sees to that.

    Args:
        template: file in `templates/` that extends `page.html`.
        data: everything the page shows, as JSON types; it goes into the page.
        context: what the template uses; strings may hold anything, they are escaped.
    """
    script = asset("audit.js")
    return (
        environment(_FILTERS)
        .get_template(template)
        .render(
            **context,
            data=as_data(data),
            style=Markup(asset("report.css") + asset("page.css")),
            script=Markup(script),
            script_hash=Markup(csp_hash(script)),
        )
    )


def estimate_cells(estimate: Estimate | None) -> tuple[Cell, ...]:
    """The cells under `ESTIMATE_COLUMNS`; all missing where there is no estimate."""
    if estimate is None:
        return (None,) * len(ESTIMATE_COLUMNS)
    e = estimate
    return (e.value, e.low, e.high, e.level, e.n, e.void, e.method)


def show_signed(value: float | None, decimals: int = 2) -> str:
    """A number that may have either sign, with a true minus: `+0.41`, `−2.76`; a dash for `None`."""
    if value is None:
        return text.MISSING
    shown = f"{value:+.{decimals}f}".replace("-", "−")
    return shown if shown.strip("+−0.") else shown.lstrip("+−")


def show_bounds(low: float | None, high: float | None, decimals: int = 2) -> str:
    """`−0.10 to +0.32`; an end that the data leave open is called so, and no end at all `no interval`."""
    if low is None and high is None:
        return "no interval"
    ends = ["open" if end is None else show_signed(end, decimals) for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def many(count: int, noun: str) -> str:
    """`1 policy`, `3 policies`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{text.count(count)} {noun if count == 1 else plural}"


def plain(line: str) -> str:
    """A string that is safe on a terminal: any space becomes a plain one, other invisible letters `?`."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in line)


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of a table whose columns stand under their names; those of number `right` are set flush right."""
    lines = [[plain(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return [
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def wrapped(sentence: str, indent: str = "") -> list[str]:
    """Lines of at most 100 characters, safe for a terminal."""
    return textwrap.wrap(
        plain(sentence),
        100,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def full_stop(sentence: str) -> str:
    """The sentence with a full stop at its end, if it has none."""
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


_FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "bounds": lambda e: show_bounds(e.low, e.high),
        "count": text.count,
        "interval": text.interval,
        "percent": text.percent,
        "show": show,
        "signed": show_signed,
        "stop": full_stop,
    }
)


def _warm(svg: Markup) -> Markup:
    """The colours of rates as variables, which a dark page sets to darker ones."""
    plain_svg = str(svg)
    for index, hue in enumerate(HEAT):
        plain_svg = plain_svg.replace(f": {hue}", f": var(--h{index})")
    return Markup(plain_svg)
