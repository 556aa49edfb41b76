"""Prints the tags that a handheld capture is measured by, and writes down where each of them is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.sources.handheld.tag_sheet import TagSheet

__all__ = ["PrintTags", "PrintedTags", "print_tags"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintTags(Request):
    """Asks for a PDF of tags.

    Args:
        line: what the sheets' line of 100 mm measures on the print; the layout beside the PDF then has the true sizes.
    """

    words: ClassVar[tuple[str, ...]] = ("collect", "tags")

    out: Annotated[Path, Argument("The PDF; the layout is written beside it as JSON.")]
    paper: Annotated[Literal["a4", "letter"], Option("a4 or letter.")] = "a4"
    line: Annotated[float, Option("Millimetres that the line of 100 mm measures on your print.", min=50, max=200)] = (
        100.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedTags(Plain):
    """The PDF, the layout beside it, and every sheet with the sizes on the print."""

    out: Path
    layout: Path
    sheets: tuple[TagSheet, ...] = field(default=())


def print_tags(request: PrintTags, on_event: OnEvent = ignore) -> PrintedTags:
    """Writes the sheets and their layout.

    >>> done = print_tags(PrintTags(out=Path("tags.pdf"), line=99.0))
    >>> [(sheet.name, len(sheet.tags)) for sheet in done.sheets]
    [('table', 1), ('layout', 6), ('fingers', 8)]
    >>> round(done.sheets[0].tags[0].size_mm, 3)
    158.4

    Raises:
        RoboscaleError: OUT is no PDF's name, or there is no folder for it.
    """
    from roboscale.jobs.files import write_json
    from roboscale.report.tag_sheets import write_sheets
    from roboscale.sources.handheld.tag_sheet import tag_bits, tag_sheets

    if request.out.suffix.lower() != ".pdf":
        raise RoboscaleError(f"OUT: expected a name that ends in .pdf, found {request.out.name}")
    if not request.out.parent.is_dir():
        raise RoboscaleError(f"{request.out}: cannot be written, there is no folder {request.out.parent}")
    sheets = tag_sheets(request.paper)
    bits = {tag.number: tag_bits(tag.number) for sheet in sheets for tag in sheet.tags}
    write_sheets(request.out, [sheet.to_json() for sheet in sheets], bits)
    printed = tuple(sheet.as_printed(request.line) for sheet in sheets)
    layout = request.out.with_suffix(".json")
    write_json(layout, {"version": 1, "sheets": [sheet.to_json() for sheet in printed]})
    if request.line == 100:
        on_event(Note("sizes are those of a print at 100 %: measure the line of 100 mm, and say it with --line"))
    on_event(Wrote("tags", request.out))
    on_event(Wrote("layout", layout))
    return PrintedTags(out=request.out, layout=layout, sheets=printed)
