"""What an audit found, as one page: offline, escaped, with small plots, film strips and the commands that mend.

Knows the shape of an audit's report, not how it is made. The same report gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roboscale.core import Finding, Severity
from roboscale.report import text
from roboscale.report.audit_plots import plot_figure
from roboscale.report.blocks import (
    Beside,
    Block,
    Card,
    Cards,
    CommandBlock,
    Drawing,
    Head,
    Inline,
    NamedValues,
    Paragraph,
    Phrase,
    Picture,
    Rows,
)
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, data_uri, draw_once, render_page

__all__ = ["Audited", "audit_page"]

Strip = tuple[str, NDArray[np.uint8]]
"""A caption, and pictures (n, H, W, 3) uint8 RGB."""

_SEVERITIES: tuple[tuple[Severity, str, str], ...] = (
    ("error", "Errors", "A loader fails, or training gets wrong numbers."),
    ("warning", "Warnings", "Worth a look before training."),
    ("info", "Notes", "Good to know."),
)
_STRIP_HEIGHT = 120
_LISTED = 24
_EVIDENCE_CHARACTERS = 400


class Audited(Protocol):
    """What the page needs of an audit's report; `roboscale.dataset.audit.AuditReport` has it."""

    @property
    def root(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def episodes(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def pictures(self) -> int: ...
    @property
    def rate_hz(self) -> float: ...
    @property
    def checked(self) -> Sequence[str]: ...
    @property
    def operators(self) -> Sequence[str]: ...
    @property
    def skipped(self) -> Mapping[str, str]: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def meanings(self) -> Mapping[str, str]: ...
    @property
    def findings(self) -> Sequence[Finding]: ...
    def to_json(self) -> dict[str, Any]: ...


def audit_page(
    report: Audited,
    strips: Mapping[int, Sequence[Strip]] | None = None,
    *,
    command: str | None = None,
    notes: tuple[str, ...] = (),
    created: str = "",
    versions: Mapping[str, Scalar] | None = None,
) -> str:
    """The findings as one HTML document that makes no request.

    Args:
        report: what was found. Strings may hold anything: they are escaped.
        strips: position in `report.findings` -> film strips of it.
        command: the command line that makes this page; `None` where it was made from Python.
        notes: what was dropped, guessed, reused or assumed.
    """
    cards = [_card(i, one, report, (strips or {}).get(i, ())) for i, one in enumerate(report.findings)]
    page = Page(
        title=f"Audit of {report.root}",
        kind="audit",
        headline=Headline(
            tag=_tag(report),
            kind="bad" if _count(report, "error") else "open" if report.findings else "good",
            sentence=_sentence(report),
            details=(*_details(report), *_delays(report.facts), *(f"operator {line}" for line in report.operators)),
        ),
        sections=(
            _overview(report),
            *(_group(report, cards, severity, title, note) for severity, title, note in _SEVERITIES),
            _checks(report),
        ),
        data=report.to_json(),
        command=command,
        created=created,
        versions=versions or {},
        notes=notes,
    )
    return render_page(page)


def _overview(report: Audited) -> Section:
    order = [s for s, _, _ in _SEVERITIES]
    ordered = sorted(enumerate(report.findings), key=lambda pair: order.index(pair[1].severity))
    rows: list[tuple[Inline, ...]] = [
        (
            Phrase(text=one.severity, kind=one.severity),
            Phrase(text=one.check, href=f"#finding-{number}"),
            one.field or text.MISSING,
            _episodes(one.episodes, report.episodes),
        )
        for number, one in ordered
    ]
    columns = ("severity", "check", Head("where", "any"), Head("episodes", "any"))
    table = Rows(caption="All findings", columns=columns, rows=tuple(rows), header=1, kind="stack")
    return Section(anchor="findings", title="Findings", blocks=(table,) if rows else ())


def _group(report: Audited, cards: Sequence[Card], severity: Severity, title: str, note: str) -> Section:
    own = tuple(c for c, one in zip(cards, report.findings, strict=True) if one.severity == severity)
    return Section(anchor=severity, title=title, lead=note, blocks=(Cards(own, "list"),) if own else ())


def _checks(report: Audited) -> Section:
    """Every check with its meaning and result, in the order in which they run."""
    with_findings = {one.check for one in report.findings}
    rows: list[tuple[Inline, ...]] = []
    for name, meaning in report.meanings.items():
        if name in with_findings:
            rows.append((name, meaning, Phrase(text="found", kind="bad")))
        elif name in report.skipped:
            rows.append((name, meaning, f"not made: {report.skipped[name]}"))
        elif name in report.checked:
            rows.append((name, meaning, Phrase(text="nothing found", kind="muted")))
    columns = ("check", Head("means", "prose"), "result")
    caption = "Every check, what it means and what it found"
    table = Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack")
    return Section(anchor="checks", title="What was checked", blocks=(table,))


def _count(report: Audited, severity: Severity) -> int:
    return sum(one.severity == severity for one in report.findings)


def _tag(report: Audited) -> str:
    nouns: tuple[tuple[Severity, str], ...] = (("error", "error"), ("warning", "warning"), ("info", "note"))
    parts = [text.plural(_count(report, severity), noun) for severity, noun in nouns if _count(report, severity)]
    return ", ".join(parts) or "nothing found"


def _sentence(report: Audited) -> str:
    if _count(report, "error"):
        return "A loader would fail on it, or training would get wrong numbers."
    if _count(report, "warning"):
        return "It can be loaded and trained on; some of it is worth a look before."
    return f"{text.plural(len(report.checked), 'check')} made, and nothing is wrong that they could see."


def _details(report: Audited) -> list[str]:
    details = [report.format, text.plural(report.episodes, "episode"), text.plural(report.frames, "frame")]
    if report.rate_hz > 0 and report.frames:
        hours, unit = text.duration(report.frames / report.rate_hz / 3600)
        details.append(f"{hours} {unit} at {text.number(report.rate_hz)} Hz")
    details += [
        f"{text.plural(report.pictures, 'picture')} looked at",
        f"{text.plural(len(report.checked), 'check')} made",
    ]
    return details


def _delays(facts: Mapping[str, Any]) -> list[str]:
    delays = facts.get("delay from action to motion") or {}
    return [
        f"motion follows {name} after {text.number(1000 * d['seconds'])} ms ({text.number(d['frames'])} frames), "
        f"correlation {text.number(d['correlation'])}"
        for name, d in delays.items()
    ]


def _card(number: int, one: Finding, report: Audited, strips: Sequence[Strip]) -> Card:
    anchor = f"finding-{number}"
    meaning = report.meanings.get(one.check, "Reported by the reader of this format.")
    facts: list[tuple[Inline, Inline]] = [("concerns", _episodes(one.episodes, report.episodes))]
    facts += [("episode: frames", _where(one))] if one.spans else []
    evidence = [(key, _plain(value)) for key, value in one.evidence.items() if key != "plot"]
    facts += [(key, value) for key, value in evidence if value]
    plot = one.evidence.get("plot")
    figure = plot_figure(f"audit-{number}", plot) if isinstance(plot, Mapping) else None
    drawn = (Drawing(draw_once(anchor, figure), ""),) if figure is not None else ()
    blocks: list[Block] = [
        Paragraph(one.text, "what"),
        Paragraph(meaning, "fine"),
        Beside((("", (NamedValues(tuple(facts)),)), ("", drawn))),
    ]
    for caption, frames in strips:
        blocks.append(Picture(_strip(frames), f"Pictures of {caption}, in the order of time", caption))
    if one.repair:
        blocks.append(CommandBlock(one.repair, f"{anchor}-repair"))
    title = Phrase(text=one.check, small=(one.field,) if one.field else ())
    return Card(title=title, blocks=tuple(blocks), kind=one.severity, anchor=anchor)


def _episodes(episodes: Sequence[int], total: int) -> str:
    if not episodes:
        return "the whole dataset"
    if len(episodes) == total > 1:
        return f"all {text.count(total)} episodes"
    shown = ", ".join(map(str, episodes[:_LISTED]))
    more = f" and {text.count(len(episodes) - _LISTED)} more" if len(episodes) > _LISTED else ""
    return f"episode {shown}" if len(episodes) == 1 else f"episodes {shown}{more}"


def _where(one: Finding) -> str:
    parts = [
        f"{s.episode}: {s.first}–{s.last}" if s.last > s.first else f"{s.episode}: {s.first}" for s in one.spans[:8]
    ]
    more = f" and {text.count(len(one.spans) - 8)} more" if len(one.spans) > 8 else ""
    return ", ".join(parts) + more


def _plain(value: Any) -> str:
    """A piece of evidence as people read it; short."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        shown = str(value)
    elif isinstance(value, int | float):
        shown = text.number(value, 4)
    elif isinstance(value, Mapping):
        shown = "; ".join(f"{key}: {_plain(part)}" for key, part in value.items())
    elif isinstance(value, Sequence):
        shown = ", ".join(
            f"({_plain(part)})" if isinstance(part, Sequence | Mapping) and not isinstance(part, str) else _plain(part)
            for part in value
        )
    else:
        shown = str(value)
    return shown if len(shown) <= _EVIDENCE_CHARACTERS else f"{shown[: _EVIDENCE_CHARACTERS - 1]}…"


def _strip(frames: NDArray[np.uint8]) -> str:
    """Pictures side by side as one JPEG in a data URI."""
    images = []
    for frame in frames:
        image = Image.fromarray(np.ascontiguousarray(frame))
        width = max(1, round(image.width * _STRIP_HEIGHT / image.height))
        images.append(image.resize((width, _STRIP_HEIGHT)))
    whole = Image.new("RGB", (sum(i.width + 4 for i in images) - 4, _STRIP_HEIGHT), (128, 128, 128))
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width + 4
    out = io.BytesIO()
    whole.save(out, "JPEG", quality=80)
    return data_uri(out.getvalue(), "image/jpeg")
