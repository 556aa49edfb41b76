"""What a conversion did, field by field and episode by episode: as JSON for machines, as one offline page for people.

Knows rows and how they look. What is true is decided by whoever fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from markupsafe import Markup

from roboscale.core.recording import Finding
from roboscale.report import text
from roboscale.report.parts import asset, environment

__all__ = ["CameraRow", "EpisodeRow", "FieldRow", "ProofData", "proof_page"]


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """One episode of the dataset."""

    index: int
    key: str
    id: str
    frames: int
    duration_s: float
    instruction: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProofData:
    """A conversion.

    Args:
        source: name of the source; its format, robot and licence as read or declared.
        undeclared: fields whose meaning nobody has said.
        unmapped: source field -> why it is not in the dataset.
        dropped: (key, reason) of the episodes that are not there.
        command: what makes it again.
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
    command: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return sum(episode.frames for episode in self.episodes)

    @property
    def duration_s(self) -> float:
        return sum(episode.duration_s for episode in self.episodes)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["findings"] = [finding.to_json() for finding in self.findings]
        return {**data, "frames": self.frames, "duration_s": self.duration_s}


def proof_page(proof: ProofData) -> str:
    """The proof as one HTML document that opens from a file, offline. Strings may hold anything: they are escaped."""
    numeric = [row for row in proof.fields if row.difference is not None]
    hours, unit = text.duration(proof.duration_s / 3600)
    return (
        environment({"count": text.count, "number": text.number})
        .get_template("proof.html")
        .render(
            proof=proof,
            style=Markup(asset("report.css") + asset("proof.css")),
            exact=sum(row.difference == 0 for row in numeric),
            numeric=len(numeric),
            duration=f"{hours} {unit}",
            rank={"error": 0, "warning": 1, "info": 2},
        )
    )
