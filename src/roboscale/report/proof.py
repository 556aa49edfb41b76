"""What a conversion did, field by field and episode by episode: as JSON for machines, as one offline page for people.

Knows rows and how they look. What is true is decided by whoever fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from roboscale.core import Finding
from roboscale.core.plain import Plain
from roboscale.report import text
from roboscale.report.blocks import Block, Details, Head, Heading, Inline, Paragraph, Phrase, Rows, Tiles, num
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, render_page

__all__ = ["CameraRow", "EpisodeRow", "FieldRow", "ProofData", "proof_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """One field of the dataset.

    Args:
        source: array of the source it comes from.
        meaning: unit, mode, frame, layout as declared; `unknown` where nobody has said.
        done: what was done to it.
        difference: largest difference between source and result, read back; `None` for pictures that were encoded.
        note: for pictures, the worst signal-to-noise ratio.
    """

    name: str
    source: str
    dtype: str
    shape: tuple[int, ...]
    unit: str
    mode: str
    frame: str
    layout: tuple[str, ...]
    role: str
    done: str
    difference: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class CameraRow:
    """One camera: how many episodes were copied and encoded, and the worst of the encoded."""

    name: str
    remuxed: int
    encoded: int
    worst_psnr_db: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRow:
    """One episode of the dataset."""

    index: int
    key: str
    id: str
    frames: int
    duration_s: float
    instruction: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofData(Plain):
    """A conversion.

    Args:
        source: name of the source; its format, robot and licence as read or declared.
        undeclared: fields whose meaning nobody has said.
        unmapped: source field -> why it is not in the dataset.
        carried: feature that nobody here looks into -> how it is in the dataset as it was.
        missing: camera -> keys of the episodes without a video of it.
        dropped: (key, reason) of the episodes that are not there.
        command: the command line that makes it again; `None` where it was made from Python.
        notes: what was guessed, reused or assumed.
    """

    source: str
    format: str
    robot_type: str
    licence: str
    rate_hz: float
    fields: Sequence[FieldRow]
    cameras: Sequence[CameraRow]
    episodes: Sequence[EpisodeRow]
    findings: Sequence[Finding]
    undeclared: Sequence[str]
    unmapped: Mapping[str, str]
    missing: Mapping[str, Sequence[str]]
    dropped: Sequence[tuple[str, str]]
    command: str | None = None
    carried: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    created: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)

    json_also: ClassVar = ("frames", "duration_s")

    @property
    def frames(self) -> int:
        return sum(episode.frames for episode in self.episodes)

    @property
    def duration_s(self) -> float:
        return sum(episode.duration_s for episode in self.episodes)


_MOST_EPISODES = 1000
_MOST_DROPPED = 500
_RANK = {"error": 0, "warning": 1, "info": 2}


def proof_page(proof: ProofData) -> str:
    """The proof as one HTML document that makes no request. Strings may hold anything: they are escaped."""
    shown = proof.to_json()
    shown |= {"episodes": shown["episodes"][:_MOST_EPISODES], "episodes in all": len(proof.episodes)}
    page = Page(
        title=f"{proof.source}: conversion proof",
        kind="proof",
        headline=_headline(proof),
        sections=(_fields(proof), _wrong(proof), _unmapped(proof), _episodes(proof)),
        data=shown,
        command=proof.command,
        created=proof.created,
        versions=proof.versions,
        notes=proof.notes,
    )
    return render_page(page)


def _headline(proof: ProofData) -> Headline:
    numeric = [row for row in proof.fields if row.difference is not None]
    exact = sum(row.difference == 0 for row in numeric)
    how_many = "every number" if exact == len(numeric) else f"{exact} of {len(numeric)} numeric fields"
    out = f"; {text.plural(len(proof.dropped), 'episode')} left out" if proof.dropped else ""
    hours, unit = text.duration(proof.duration_s / 3600)
    size = f"{text.plural(len(proof.episodes), 'episode')}, {text.plural(proof.frames, 'frame')}"
    tiles = (
        (f"{hours} {unit}", f"at {text.number(proof.rate_hz)} frames a second"),
        (proof.licence or "unknown", "licence"),
        (text.count(len(proof.unmapped)), "source fields not carried over"),
        (text.count(len(proof.undeclared)), "fields whose meaning nobody has declared"),
    )
    return Headline(
        tag="every number kept" if exact == len(numeric) else "numbers changed",
        kind="good" if exact == len(numeric) else "bad",
        sentence=f"{size}, {how_many} as in the source{out}.",
        small="Every field below was read back from the dataset and compared with what the source gave.",
        details=tuple(part for part in (proof.format, proof.robot_type) if part),
        blocks=(Tiles(tiles, boxed=True),),
    )


def _fields(proof: ProofData) -> Section:
    rows = tuple(map(_field, proof.fields))
    named = ("field", "from", Head("done", "any"), num("largest difference"), "dtype, shape", "unit", "mode or role")
    blocks: list[Block] = [Rows(caption="Fields", columns=(*named, Head("layout", "prose")), rows=rows, kind="stack")]
    if proof.carried:
        kept: list[tuple[Inline, ...]] = [(Phrase(text=name, code=True), how) for name, how in proof.carried.items()]
        columns = ("feature", Head("how", "prose"))
        blocks.append(Rows(caption="Carried as they are, not looked into", columns=columns, rows=tuple(kept)))
    return Section(anchor="fields", title="Fields", blocks=tuple(blocks))


def _field(row: FieldRow) -> tuple[Inline, ...]:
    picture = len(row.shape) == 3 and row.dtype == "uint8"
    where = f" in {row.frame}" if row.frame else ""
    if picture:
        role: Inline = f"looks from {row.role}" if row.role else Phrase(text="role unknown", kind="unknown")
    else:
        role = Phrase(text=f"{row.mode}{where}", kind="unknown" if row.mode == "unknown" else "")
    difference: Inline = row.note or text.MISSING
    if row.difference is not None:
        difference = Phrase(text=text.number(row.difference, 6), kind="bad" if row.difference else "good")
    return (
        Phrase(text=row.name, code=True),
        Phrase(text=row.source, code=True),
        row.done,
        difference,
        f"{row.dtype} {list(row.shape)}",
        "" if picture else Phrase(text=row.unit, kind="unknown" if row.unit == "unknown" else ""),
        role,
        ", ".join(row.layout),
    )


def _wrong(proof: ProofData) -> Section:
    blocks: list[Block] = []
    if proof.findings:
        rows: list[tuple[Inline, ...]] = [
            (
                Phrase(text=one.severity, kind=one.severity),
                Phrase(text=one.check, code=True),
                one.text,
                Phrase(text=one.repair, code=True) if one.repair else "",
            )
            for one in sorted(proof.findings, key=lambda one: _RANK[one.severity])
        ]
        columns = ("severity", "check", Head("finding", "prose"), "repair")
        blocks.append(Rows(caption="Findings", columns=columns, rows=tuple(rows), header=1, kind="stack"))
    for camera, keys in proof.missing.items():
        if keys:
            blocks.append(Paragraph(f"{text.plural(len(keys), 'episode')} without a video of {camera}.", "fine"))
    if proof.dropped:
        left_out: list[tuple[Inline, ...]] = [
            (Phrase(text=key, code=True), reason) for key, reason in proof.dropped[:_MOST_DROPPED]
        ]
        table = Rows(caption="Left out", columns=("episode", Head("why", "prose")), rows=tuple(left_out))
        blocks += [Heading("Left out"), table]
        if len(proof.dropped) > _MOST_DROPPED:
            more = len(proof.dropped) - _MOST_DROPPED
            blocks.append(Paragraph(f"And {text.count(more)} more; all of them are in the page's data.", "fine"))
    return Section(anchor="wrong", title="What was wrong with the source", nav="Wrong", blocks=tuple(blocks))


def _unmapped(proof: ProofData) -> Section:
    rows: list[tuple[Inline, ...]] = [
        (Phrase(text=name, code=True), reason) for name, reason in proof.unmapped.items()
    ]
    columns = ("source field", Head("why", "prose"))
    table = Rows(caption="Source fields that are not in the dataset", columns=columns, rows=tuple(rows))
    everything = Paragraph("Everything the source holds is in the dataset.")
    return Section(anchor="unmapped", title="Not carried over", blocks=(table if rows else everything,))


def _episodes(proof: ProofData) -> Section:
    rows: list[tuple[Inline, ...]] = [
        (
            text.count(row.index),
            Phrase(text=row.key, code=True),
            text.count(row.frames),
            text.number(row.duration_s),
            row.instruction,
            "; ".join(row.findings),
        )
        for row in proof.episodes[:_MOST_EPISODES]
    ]
    more = f", the first {text.count(_MOST_EPISODES)}" if len(proof.episodes) > _MOST_EPISODES else ""
    columns = (num("index"), "source", num("frames"), num("seconds"), Head("instruction", "prose"), "notes")
    table = Rows(caption="Episodes", columns=columns, rows=tuple(rows), header=1)
    summary = f"{text.plural(len(proof.episodes), 'episode')}{more}"
    return Section(anchor="episodes", title="Episodes", blocks=(Details(summary, (table,)),))
