"""What an event shows while it runs: how far every team is, without a number that could be read as a standing."""

from __future__ import annotations

from collections.abc import Sequence

from roboscale.jobs.event import EventStanding
from roboscale.report.blocks import Head, Inline, Phrase, Rows
from roboscale.report.page import Headline, Page, Section, render_page

__all__ = ["running_page"]

_AGAIN_S = 5
_LATER = "who stands where is told when all have been tried"


def running_page(
    title: str, seal: str, doing: str, teams: Sequence[tuple[str, EventStanding | None, bool]], command: str | None
) -> str:
    """A page that loads itself again every five seconds, until the board has taken its place.

    Args:
        seal: of the conditions.
        doing: what happens now.
        teams: name, what is known of it once its data were at the gate, and whether its trials are all there.
        command: goes on with the event.
    """
    rows = tuple((name, *_cells(one, tried)) for name, one, tried in teams)
    table = Rows(
        caption="How far every team is",
        columns=(Head("team", "keep"), Head("data", "any"), Head("trials", "any")),
        rows=rows,
        kind="stack",
    )
    return render_page(
        Page(
            title=title,
            kind="event",
            headline=Headline(
                tag="running",
                sentence=f"Now {doing}.",
                details=(_LATER, f"the conditions are drawn and sealed: sha256 {seal}"),
            ),
            sections=(Section(anchor="teams", title="Teams", blocks=(table,)),),
            data={"doing": doing, "seal": seal},
            command=command,
            again_s=_AGAIN_S,
        )
    )


def _cells(one: EventStanding | None, tried: bool) -> tuple[Inline, Inline]:
    waiting = Phrase(text="waiting", kind="muted")
    if one is None:
        return waiting, waiting
    if one.gates:
        return Phrase(text="blocked at the gate", kind="bad", small=one.gates), Phrase(text="none", kind="muted")
    if one.out and not tried:
        return Phrase(text="not ranked", kind="bad", small=(one.out,)), Phrase(text="none", kind="muted")
    return Phrase(text="passed the gate", kind="good"), Phrase(text="all made", kind="good") if tried else waiting
