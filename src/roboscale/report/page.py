"""The one engine behind every page: from data to one HTML document that opens from a file and makes no request.

Knows how a page is put together, not what stands on it. Every string is escaped once, by the template of its block.
The same page gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import jinja2
from markupsafe import Markup

from roboscale.core.plain import to_plain
from roboscale.report import text
from roboscale.report.blocks import Beside, Block, CommandBlock, Drawn, Inline, Listing, NamedValues, Paragraph, Phrase
from roboscale.report.canvas import GRID, HEAT, INK, MUTED, PALETTE, PAPER
from roboscale.report.figures import Figure
from roboscale.report.model import Scalar
from roboscale.report.tables import show

__all__ = ["_WIDTHS", "Headline", "Page", "Section", "data_uri", "draw_at_widths", "draw_once", "render_page"]

_WIDTHS: Mapping[str, int] = MappingProxyType({"wide": 1040, "medium": 640, "narrow": 342})
"""CSS pixels. Figures are drawn at each width, and the page shows the one that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What stands on top.

    Args:
        tag: the claim in a few words; `kind` is its colour: `good`, `bad`, `open`, or `p0`, `p1` ... of a policy.
        sentence: the answer; `small` follows it in small print.
        doubts: sentences that belong in the same breath, e.g. that somebody is unverified.
        details: pieces of what it rests on.
        blocks: what stands below, still on top of the page.
    """

    sentence: Inline
    tag: str = ""
    kind: str = "open"
    small: str = ""
    doubts: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page under a heading; one without blocks is left out.

    Args:
        anchor: its id on the page.
        title: its heading; `nav` is a shorter one for the list of sections.
        lead: what it is, in a sentence or two.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    nav: str = ""
    lead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on a page.

    Args:
        kind: one word: report, audit, proof, board, validity, plan, runs.
        sections: between the headline and `How it was done`, in order.
        data: everything the page shows, as JSON types; it goes into the page.
        command: the command line that makes this page again; `None` where it was made from Python.
        created: date to print, chosen by the caller, so that the same data give the same page.
        versions: of what took part.
        sources: names of what was read.
        notes: what was dropped, guessed, reused or assumed, a sentence each.
        method: further blocks on how it was done.
        facts: named groups of what decides the numbers, beside the versions.
        live: name of a JSON file beside the page, `{key: text}`, that a page which is served asks for newer texts
            (see `Phrase.live`); one that is opened as a file never asks.
        again_s: seconds after which a browser loads the page again, for one that is written anew while somebody looks;
            0 for never.
    """

    title: str
    kind: str
    sections: tuple[Section, ...]
    data: Mapping[str, Any]
    command: str | None
    headline: Headline | None = None
    created: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    method: tuple[Block, ...] = ()
    facts: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    live: str = ""
    again_s: int = 0


def render_page(page: Page) -> str:
    """One HTML document; a content security policy in it forbids every request (but that for `live`)."""
    script = _asset("page.js")
    sections = (_notes(page), *page.sections, _done(page))
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            sections=[section for section in sections if section.blocks],
            data=_as_data(page.data),
            style=Markup(_asset("page.css")),
            script=Markup(script),
            script_hash=Markup(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"),
        )
    )


def _notes(page: Page) -> Section:
    blocks = (Listing(tuple(map(text.full_stop, page.notes))),) if page.notes else ()
    return Section(anchor="notes", title="Notes on these numbers", blocks=blocks)


def _done(page: Page) -> Section:
    """Which command makes the page again, and what it was made of."""
    again: Block = (
        CommandBlock(page.command, "command", "Reproduce this page")
        if page.command
        else Paragraph("Made from Python: there is no command line that makes this page again.", "what")
    )
    files = Listing(tuple(Phrase(text=name, code=True) for name in page.sources))
    groups = {**page.facts, "Versions": page.versions}
    listed = tuple((title, (NamedValues(tuple(group.items())),) if group else ()) for title, group in groups.items())
    facts = Beside((("Read from", (files,) if page.sources else ()), *listed))
    return Section(
        anchor="method", title="How it was done", blocks=(again, *page.method, *([facts] if facts.shown else []))
    )


def data_uri(content: bytes, kind: str) -> str:
    """Bytes of a MIME type as a URI that needs no request."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def draw_at_widths(name: str, draw: Callable[[int], Figure]) -> Drawn:
    """Draws a figure for every width of the page; `name` makes its ids unique on the page."""
    drawn = {size: draw(width) for size, width in _WIDTHS.items()}
    svgs = {size: _inline_svg(figure.svg, f"{name}-{size}") for size, figure in drawn.items()}
    return Drawn(svgs, drawn["wide"].table, drawn["wide"].summary)


def draw_once(name: str, figure: Figure) -> Drawn:
    """A figure that is small enough for every width."""
    return Drawn({"whole": _inline_svg(figure.svg, name)}, figure.table, figure.summary)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    """The templates; strings may hold anything, they are escaped. A name that is not there is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("roboscale.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"count": text.count, "interval": text.interval, "number": text.number, "share_of": text.share_of}
    made.filters |= {"percent": text.percent, "show": show}
    # every block is shown by the macro of its name; macros show the blocks within theirs through the same door
    made.globals["draw"] = lambda blocks: _draw(made, blocks)
    return made


def _draw(made: jinja2.Environment, blocks: Iterable[Block]) -> Markup:
    macros = made.get_template("blocks.html").module
    return Markup("\n").join(getattr(macros, block.block)(block) for block in blocks)


def _asset(name: str) -> str:
    return resources.files("roboscale.report").joinpath("templates", name).read_text(encoding="utf-8")


def _as_data(data: Any) -> Markup:
    """JSON that no string in it can end early; a number that is none becomes null, as JSON knows no other."""
    encoded = json.dumps(to_plain(data), ensure_ascii=True, allow_nan=False)
    return Markup(encoded.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _inline_svg(svg: str, prefix: str) -> Markup:
    """An SVG document as a part of the page: ids made unique, colours and font those of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<style type="text/css">.*?</style>', "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", svg)
    svg = re.sub(r'^<svg([^>]*?) height="[^"]*"', r'<svg\1 aria-hidden="true" focusable="false"', svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    return Markup(re.sub(r'style="[^"<>]*"', lambda match: _themed(match[0]), svg))


_VARIABLES: Mapping[str, str] = MappingProxyType(
    {INK: "ink", MUTED: "muted", GRID: "line", PAPER: "paper"}
    | {hue: f"p{i}" for i, hue in enumerate(PALETTE)}
    | {hue: f"h{i}" for i, hue in enumerate(HEAT)}
)


def _themed(style: str) -> str:
    """Colours as variables, which a dark page sets to others."""
    for hue, name in _VARIABLES.items():
        style = style.replace(hue, f"var(--{name})")
    return re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--font)", style)
