"""What an audit found, as one page: offline, escaped, with small plots, film strips and the commands that mend.

Knows the shape of an audit's report, not how it is made. The same report gives the same bytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from roboscale.core import Finding, Severity
from roboscale.report import text
from roboscale.report.audit_plots import plot_svg
from roboscale.report.parts import as_data, asset, csp_hash, environment

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
    def skipped(self) -> Mapping[str, str]: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def meanings(self) -> Mapping[str, str]: ...
    @property
    def findings(self) -> Sequence[Finding]: ...
    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Card:
    """A finding, ready for the page."""

    anchor: str
    finding: Finding
    meaning: str
    episodes: str
    where: str
    evidence: tuple[tuple[str, str], ...]
    plot: Markup
    strips: tuple[tuple[str, str], ...]


def audit_page(
    report: Audited,
    strips: Mapping[int, Sequence[Strip]] | None = None,
    *,
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> str:
    """The findings as one HTML document that makes no request.

    Args:
        report: what was found. Strings may hold anything: they are escaped.
        strips: position in `report.findings` -> film strips of it.
        command: the command line that makes this page.
        versions: of what took part.
    """
    cards = [_card(i, one, report, (strips or {}).get(i, ())) for i, one in enumerate(report.findings)]
    groups = [
        (severity, title, note, [c for c in cards if c.finding.severity == severity])
        for severity, title, note in _SEVERITIES
    ]
    script = asset("audit.js")
    template = environment({"count": text.count}).get_template("audit.html")
    return template.render(
        report=report,
        name=report.root.rstrip("/").rpartition("/")[2] or report.root,
        tag=_tag(report),
        sentence=_sentence(report),
        kind="bad" if _count(report, "error") else "open" if report.findings else "good",
        details=_details(report),
        groups=[g for g in groups if g[3]],
        checks=_checks(report),
        delays=_delays(report.facts),
        command=command,
        versions=versions or {},
        data=as_data({**report.to_json(), "command": command, "versions": dict(versions or {})}),
        style=Markup(asset("report.css") + asset("audit.css")),
        script=Markup(script),
        script_hash=Markup(csp_hash(script)),
    )


def _count(report: Audited, severity: Severity) -> int:
    return sum(one.severity == severity for one in report.findings)


def _many(count: int, noun: str) -> str:
    return f"{text.count(count)} {noun}{'' if count == 1 else 's'}"


def _tag(report: Audited) -> str:
    nouns: tuple[tuple[Severity, str], ...] = (("error", "error"), ("warning", "warning"), ("info", "note"))
    parts = [_many(_count(report, severity), noun) for severity, noun in nouns if _count(report, severity)]
    return ", ".join(parts) or "nothing found"


def _sentence(report: Audited) -> str:
    if _count(report, "error"):
        return "A loader would fail on it, or training would get wrong numbers."
    if _count(report, "warning"):
        return "It can be loaded and trained on; some of it is worth a look before."
    return f"{_many(len(report.checked), 'check')} made, and nothing is wrong that they could see."


def _details(report: Audited) -> list[str]:
    details = [report.format, _many(report.episodes, "episode"), _many(report.frames, "frame")]
    if report.rate_hz > 0 and report.frames:
        hours, unit = text.duration(report.frames / report.rate_hz / 3600)
        details.append(f"{hours} {unit} at {text.number(report.rate_hz)} Hz")
    details += [f"{_many(report.pictures, 'picture')} looked at", f"{_many(len(report.checked), 'check')} made"]
    return details


def _delays(facts: Mapping[str, Any]) -> list[str]:
    delays = facts.get("delay from action to motion") or {}
    return [
        f"motion follows {name} after {text.number(1000 * d['seconds'])} ms ({text.number(d['frames'])} frames), "
        f"correlation {text.number(d['correlation'])}"
        for name, d in delays.items()
    ]


def _checks(report: Audited) -> list[tuple[str, str, str]]:
    """(check, meaning, result), in the order in which they run."""
    found = {one.check for one in report.findings}
    rows = []
    for name, meaning in report.meanings.items():
        if name in found:
            rows.append((name, meaning, "found"))
        elif name in report.skipped:
            rows.append((name, meaning, f"not made: {report.skipped[name]}"))
        elif name in report.checked:
            rows.append((name, meaning, "nothing found"))
    return rows


def _card(number: int, one: Finding, report: Audited, strips: Sequence[Strip]) -> _Card:
    plot = one.evidence.get("plot")
    evidence = [(key, _plain(value)) for key, value in one.evidence.items() if key != "plot"]
    return _Card(
        f"finding-{number}",
        one,
        report.meanings.get(one.check, "Reported by the reader of this format."),
        _episodes(one.episodes, report.episodes),
        _where(one),
        tuple((key, value) for key, value in evidence if value),
        plot_svg(f"audit-{number}", plot) if isinstance(plot, Mapping) else Markup(""),
        tuple((caption, _strip(frames)) for caption, frames in strips),
    )


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
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
