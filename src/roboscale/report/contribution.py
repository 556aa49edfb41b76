"""What stands before a dataset is given to others, on one page: gates, what was seen, the card.

Takes finished gates. Knows nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from roboscale.report import text
from roboscale.report.blocks import Block, Card, Cards, Inline, Listing, Paragraph, Phrase, Picture
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, data_uri, render_page

__all__ = ["GateShown", "contribution_page"]


class GateShown(Protocol):
    """What the page needs of a gate; `roboscale.curate.contribution.Gate` has it."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def lines(self) -> tuple[str, ...]: ...
    @property
    def repair(self) -> str: ...
    @property
    def reason(self) -> str: ...
    def to_json(self) -> dict[str, Any]: ...


_KINDS = {"blocks": "error", "advises": "warning", "accepted": "warning", "not looked": "warning", "passes": "info"}


def contribution_page(
    gates: Sequence[GateShown],
    *,
    title: str,
    card: str,
    amounts: tuple[int, int],
    stay: Sequence[str],
    pictures: Sequence[tuple[str, bytes]],
    command: str | None,
    versions: dict[str, Scalar],
) -> str:
    """One HTML document.

    Args:
        card: Markdown, shown as it is.
        amounts: files and bytes that would leave, or did.
        stay: files that do not leave.
        pictures: what is on it, and a PNG, of pictures in which somebody or something was seen.
    """
    blocking = [gate.name for gate in gates if gate.state == "blocks"]
    said = _large(f"{', '.join(blocking)} block.") if blocking else "Nothing blocks."
    shown = tuple(Picture(uri=data_uri(png, "image/png"), alt=about, caption=about) for about, png in pictures)
    kept = (Paragraph("Not given: " + ", ".join(stay) + ".", "fine"),) if stay else ()
    page = Page(
        title=title,
        kind="contribution",
        headline=Headline(
            tag="blocked" if blocking else "ready",
            kind="bad" if blocking else "good",
            sentence=said,
            details=(text.plural(amounts[0], "file"), f"{amounts[1] / 1e6:.3g} MB"),
        ),
        sections=(
            Section(anchor="gates", title="Gates", blocks=(Cards(tuple(map(_card, gates)), "list"),)),
            Section(anchor="seen", title="What was seen", blocks=shown),
            Section(anchor="card", title="The card", blocks=(*kept, Paragraph(Phrase(text=card, kind="pre")))),
        ),
        data={"gates": [gate.to_json() for gate in gates]},
        command=command,
        versions=versions,
    )
    return render_page(page)


def _large(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _card(gate: GateShown) -> Card:
    lines: tuple[Inline, ...] = gate.lines
    blocks: list[Block] = [Paragraph(_large(text.full_stop(gate.text)))]
    blocks += [Listing(lines)] if lines else []
    blocks += [Paragraph(f"Accepted: {gate.reason}", "fine")] if gate.reason else []
    blocks += [Paragraph(Phrase(text=gate.repair, code=True))] if gate.repair else []
    return Card(title=f"{gate.name}: {gate.state}", blocks=tuple(blocks), kind=_KINDS[gate.state])
