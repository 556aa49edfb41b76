"""What a page is made of, as data: phrases, tables, figures, lists, cards, films. Nothing here is HTML.

Every string may hold anything; `roboscale.report.page` escapes each of them once, in the template of its block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias

from markupsafe import Markup

from roboscale.core import Estimate, SpecMismatch
from roboscale.report import text
from roboscale.report.tables import Cell, Table

__all__ = [
    "Beside",
    "Block",
    "Card",
    "Cards",
    "CommandBlock",
    "Details",
    "Drawing",
    "Drawn",
    "Films",
    "Filter",
    "Gauge",
    "Head",
    "Heading",
    "Inline",
    "Listing",
    "NamedValues",
    "Numbers",
    "Paragraph",
    "Phrase",
    "Picture",
    "Reel",
    "ReelClip",
    "Rows",
    "Tiles",
    "estimate_phrase",
    "num",
    "rate_phrase",
]


class Block(Protocol):
    """A part of a section; `block` names the macro in `blocks.html` that shows it."""

    @property
    def block(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A piece of text.

    Args:
        text: what stands large.
        small: pieces of small print behind it.
        kind: what it is, as a class of the style sheet: `none` for what is not there, `good`, `bad`, `muted` ...
        policy: place of the policy in whose colour a dot stands before it.
        code: whether it is something to type or a name in a file.
        href: where it leads: an anchor, or a path relative to the page.
        live: key under which a page that is served is told newer text; see `Page.live`.
    """

    text: str
    small: tuple[str, ...] = ()
    kind: str = ""
    policy: int | None = None
    code: bool = False
    href: str = ""
    live: str = ""


Inline: TypeAlias = str | Phrase


@dataclass(frozen=True, slots=True)
class Heading:
    block: ClassVar[str] = "heading"
    text: Inline


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or several; `kind` is `lead`, `fine`, `muted`, `what` or nothing."""

    block: ClassVar[str] = "paragraph"
    text: Inline
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Sentences under each other; the small print of a phrase stands on lines of its own."""

    block: ClassVar[str] = "listing"
    items: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """A column of `Rows`.

    Args:
        kind: `num` for numbers, `prose` for sentences (without its name on a phone), `any` for words of any length,
            `keep` for what is never broken, `ranks` for what stands large; nothing for others.
    """

    name: str
    kind: str = ""


def num(name: str) -> Head:
    """A column of numbers, set flush right."""
    return Head(name, "num")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table for people.

    Args:
        caption: what it is, for those who cannot see it.
        columns: names, or columns.
        rows: one cell a column.
        header: the column whose cells name their rows.
        kind: `stack` becomes one card a row on a phone; `wide` takes the whole width; nothing for a plain one.
        groups: lengths of the blocks of rows that are set apart; one block by default.

    Raises:
        SpecMismatch: a row's length is not the number of columns.
    """

    block: ClassVar[str] = "rows"
    caption: str
    columns: tuple[str | Head, ...]
    rows: tuple[tuple[Inline, ...], ...]
    header: int = 0
    kind: Literal["", "stack", "wide"] = "wide"
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise SpecMismatch(f"{self.caption}: row {index} has {len(row)} cells for {len(self.columns)} columns")

    @property
    def heads(self) -> tuple[Head, ...]:
        return tuple(Head(column) if isinstance(column, str) else column for column in self.columns)

    @property
    def bodies(self) -> list[tuple[tuple[Inline, ...], ...]]:
        """The blocks of rows."""
        ends = [sum(self.groups[: i + 1]) for i in range(len(self.groups))] or [len(self.rows)]
        return [self.rows[start:end] for start, end in zip([0, *ends], ends, strict=False)]


_MOST_ROWS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A table of raw numbers; a long one is thinned and says so.

    Args:
        differ: sets rows in bold whose cells differ.
        quiet: shows the caption only to those who cannot see the heading above it.
    """

    block: ClassVar[str] = "numbers"
    table: Table
    caption: str
    differ: bool = False
    quiet: bool = False

    @property
    def shown(self) -> Table:
        """At most 60 rows, evenly chosen, the last among them."""
        rows = self.table.rows
        step = -(-len(rows) // _MOST_ROWS)
        if step <= 1:
            return self.table
        return Table(self.table.columns, tuple(row for i, row in enumerate(reversed(rows)) if i % step == 0)[::-1])

    @property
    def marked(self) -> list[bool]:
        return [self.differ and len(set(map(repr, row[1:]))) > 1 for row in self.shown.rows]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure ready for a page, drawn once for every width that it may get; `whole` where there is only one."""

    svgs: Mapping[str, Markup]
    table: Table
    summary: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with its caption; the numbers in it can be opened below it."""

    block: ClassVar[str] = "drawing"
    drawn: Drawn
    caption: str

    @property
    def numbers(self) -> Numbers:
        return Numbers(table=self.drawn.table, caption="Numbers in the figure above")


@dataclass(frozen=True, slots=True)
class NamedValues:
    """Names with their values; `roomy` sets them larger, as in a card."""

    block: ClassVar[str] = "values"
    items: tuple[tuple[Inline, Inline | Cell], ...]
    roomy: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """Groups of blocks beside each other, each under its title; groups without blocks are left out."""

    block: ClassVar[str] = "beside"
    groups: tuple[tuple[str, tuple[Block, ...]], ...]

    @property
    def shown(self) -> list[tuple[str, tuple[Block, ...]]]:
        return [(title, blocks) for title, blocks in self.groups if blocks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A box.

    Args:
        title: its heading.
        blocks: what is in it.
        kind: a class of the style sheet, e.g. `p0` for the colour of the first policy, or the severity of a finding.
        anchor: its id on the page.
    """

    title: Inline
    blocks: tuple[Block, ...]
    kind: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """Boxes: `top` beside each other under the headline, `row` beside each other, `list` under each other."""

    block: ClassVar[str] = "cards"
    cards: tuple[Card, ...]
    kind: Literal["top", "row", "list"] = "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A rate, large, on a rail with its interval; `kind` is the colour of its policy. No value says `no data`."""

    block: ClassVar[str] = "gauge"
    rate: Estimate
    kind: str
    small: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Large values with the words for them; `boxed` puts a frame around each."""

    block: ClassVar[str] = "tiles"
    items: tuple[tuple[str, str], ...]
    boxed: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a data URI; `alt` says what is on it."""

    block: ClassVar[str] = "picture"
    uri: str
    alt: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class CommandBlock:
    """Something to type, with a button that copies it; `anchor` is its id, `title` stands above it."""

    block: ClassVar[str] = "command"
    line: str
    anchor: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks that are shown when somebody asks for them."""

    block: ClassVar[str] = "details"
    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReelClip:
    """One film of a reel.

    Args:
        uri: the film as a data URI; empty where there is none, and `words` says why.
        label: for those who cannot see it.
        title: who is seen.
        status: `success`, `failure` or `void`.
        words: pieces of text under it.
    """

    uri: str
    label: str
    title: Inline
    status: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """Films of one case that are played together."""

    title: str
    instruction: str
    case: str
    clips: tuple[ReelClip, ...]

    @property
    def play(self) -> str:
        """What the button says."""
        films = sum(bool(clip.uri) for clip in self.clips)
        return {1: "Play", 2: "Play both"}.get(films, "Play together")


@dataclass(frozen=True, slots=True)
class Films:
    """Reels beside each other, with a button that plays them all."""

    block: ClassVar[str] = "films"
    reels: tuple[Reel, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """A field for words; rows of the tables of its section that lack one of them are hidden. Needs scripts."""

    block: ClassVar[str] = "filter"
    label: str


def rate_phrase(rate: Estimate | None, unverified: Sequence[str] = (), *, none: str = "no data") -> Phrase:
    """A rate with its interval, n, what its void trials could hide, and whether it is unverified.

    Args:
        rate: a share of trials or a mean, in 0..1; `None` shows as `none`.
        unverified: why it is not known whose rate it is.
    """
    if rate is None:
        return Phrase(text=none, kind="none")
    said = [] if rate.value is None else [text.interval(rate.low, rate.high)]
    said += [f"n = {text.count(rate.n)}"] if rate.n else []
    worst = text.void_range(rate)
    said += [f"{text.count(rate.void)} void: {text.interval(*worst)}"] if worst else []
    said += [text.mark(unverified)] if unverified else []
    if rate.value is None:
        return Phrase(text=none, small=tuple(said), kind="none")
    return Phrase(text=text.percent(rate.value), small=tuple(said))


def estimate_phrase(
    estimate: Estimate | None, unverified: Sequence[str] = (), *, decimals: int = 2, none: str = "no data"
) -> Phrase:
    """A number of either sign with its bounds."""
    if estimate is None or estimate.value is None:
        return Phrase(text=none, kind="none")
    small = [text.bounds(estimate.low, estimate.high, decimals), *([text.mark(unverified)] if unverified else [])]
    return Phrase(text=text.signed(estimate.value, decimals), small=tuple(small))
