"""What makes saved episodes survive a killed process: folders that change state by one atomic rename.

    staging/<id>/           a take being recorded; worthless until saved
    pending/<NNNNNN>-<id>/  a saved episode: `frames.parquet` with the record in it, one `<camera>.mp4` each
    sealing/                new dataset files being written; `commit.json` among them says that they are complete

A take is saved by renaming its folder from staging to pending. Sealing writes new files, commits by renaming
`commit.json` into place, and then only moves files and removes folders; whoever finds a commit finishes it, and
doing so twice changes nothing. `meta/info.json` is moved last among the files, so it never counts what is not there.

A killed process is meant, not a power cut: nothing is forced to the platter.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core.episode import Outcome, Provenance
from roboscale.core.errors import BadData, InfrastructureError
from roboscale.dataset.layout import Layout, atomic_write, confined, load_json, to_json
from roboscale.dataset.statistics import PixelCounts
from roboscale.dataset.tables import read_record

__all__ = [
    "ID",
    "DatasetInUse",
    "EpisodeRecord",
    "PendingEpisode",
    "clear_sealing",
    "commit",
    "committed_names",
    "exclusive",
    "has_commit",
    "list_pending",
    "quarantine",
    "roll_forward",
]

_PENDING = re.compile(r"(\d{6,})-([0-9a-f]{32})")
ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRecord:
    """What is known of an episode besides its frames.

    Args:
        pixels: image statistics by camera; present until the episode is sealed.
        instructions: (frame from which it holds, text) where the text changes within the episode.
        carried: statistics of features that are carried as they are; present until the episode is sealed.
    """

    id: str
    instruction: str
    length: int
    outcome: Outcome | None
    provenance: Provenance
    pixels: Mapping[str, PixelCounts] = field(default_factory=dict)
    instructions: tuple[tuple[int, str], ...] = ()
    carried: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """Every instruction of the episode once, in order."""
        return list(dict.fromkeys([self.instruction, *(text for _, text in self.instructions)]))

    def to_json(self) -> dict[str, Any]:
        """As the journal has had it since version 1: counts as rows, and no instructions where they do not change."""
        return {
            "id": self.id,
            "instruction": self.instruction,
            "length": self.length,
            "outcome": None if self.outcome is None else self.outcome.to_json(),
            "provenance": self.provenance.to_json(),
            "pixels": {name: [p.frames, p.counts.tolist()] for name, p in self.pixels.items()},
            **({"instructions": [list(one) for one in self.instructions]} if self.instructions else {}),
            **({"carried": {name: dict(said) for name, said in self.carried.items()}} if self.carried else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], file: object) -> EpisodeRecord:
        """Inverse of `to_json`; BadData names `file` when something is missing."""
        try:
            pixels = {n: PixelCounts(int(k), np.array(c, np.int64)) for n, (k, c) in data.get("pixels", {}).items()}
            outcome = None if data["outcome"] is None else Outcome.from_json(data["outcome"])
            provenance = Provenance.from_json(data["provenance"])
            changes = tuple((int(first), str(text)) for first, text in data.get("instructions", ()))
            return cls(
                id=data["id"],
                instruction=data["instruction"],
                length=int(data["length"]),
                outcome=outcome,
                provenance=provenance,
                pixels=pixels,
                instructions=changes,
                carried=dict(data.get("carried", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(file, "episode", "id, instruction, length, outcome, provenance", repr(error)) from error


@dataclass(frozen=True, slots=True, order=True)
class PendingEpisode:
    """A saved episode that is not sealed yet."""

    sequence: int
    id: str
    path: Path

    @property
    def table(self) -> Path:
        return self.path / "frames.parquet"

    def video(self, camera: str) -> Path:
        return self.path / f"{camera}.mp4"

    def record(self) -> EpisodeRecord:
        """Reads what the episode's table says besides its numbers; BadData when it is broken or another's."""
        try:
            data = json.loads(read_record(self.table))
        except json.JSONDecodeError as error:
            raise BadData(self.table, "record", "JSON", error) from error
        record = EpisodeRecord.from_json(data, self.table)
        if record.id != self.id:
            raise BadData(self.table, "id", self.id, record.id)
        return record


def list_pending(layout: Layout) -> list[PendingEpisode]:
    """Saved and unsealed episodes, in the order in which they were saved."""
    try:
        names = [path.name for path in layout.pending.iterdir()]
    except FileNotFoundError:
        return []
    matches = ((name, _PENDING.fullmatch(name)) for name in names)
    return sorted(PendingEpisode(int(m[1]), m[2], layout.pending / name) for name, m in matches if m)


def has_commit(layout: Layout) -> bool:
    """True while a seal is complete but not all of its files are in their place."""
    return (layout.sealing / "commit.json").exists()


def committed_names(layout: Layout) -> frozenset[str]:
    """Names of the pending folders whose episodes a commit has sealed."""
    file = layout.sealing / "commit.json"
    return frozenset(load_json(file)["pending"]) if file.exists() else frozenset()


def clear_sealing(layout: Layout) -> Path:
    """An empty folder for new files; what a killed, uncommitted seal left there is made from pending episodes."""
    shutil.rmtree(layout.sealing, ignore_errors=True)
    layout.sealing.mkdir(parents=True)
    return layout.sealing


def commit(layout: Layout, moves: Sequence[tuple[str, str]], sealed: Sequence[PendingEpisode]) -> None:
    """Publishes the files in `sealing`: `moves` are (name there, path under the root), in this order."""
    names = [pending.path.name for pending in sealed]
    atomic_write(layout.sealing / "commit.json", to_json({"moves": moves, "pending": names}))
    roll_forward(layout)


def roll_forward(layout: Layout) -> bool:
    """Finishes a committed seal, from wherever it was killed; False when there is none."""
    if not has_commit(layout):
        return False
    file = layout.sealing / "commit.json"
    data = load_json(file)
    for name, target in data["moves"]:
        source = confined(layout.sealing, name, file, "moves")
        destination = confined(layout.root, target, file, "moves")
        if source.exists():
            destination.parent.mkdir(parents=True, exist_ok=True)
            source.replace(destination)
    for name in data["pending"]:
        if not _PENDING.fullmatch(name):
            raise BadData(file, "pending", "<number>-<id>", name)
        shutil.rmtree(layout.pending / name, ignore_errors=True)
    file.unlink()  # before the rest of the folder: a commit must not outlive its files' meaning
    shutil.rmtree(layout.sealing, ignore_errors=True)
    return True


def quarantine(layout: Layout, path: Path, reason: str) -> Path:
    """Takes something out of the way without deleting it, and writes down why; returns where it went."""
    layout.quarantine.mkdir(parents=True, exist_ok=True)
    number = 0
    while (target := layout.quarantine / f"{number:03d}-{path.name}").exists():
        number += 1
    entry = {"moved": str(path.relative_to(layout.root)), "to": target.name, "reason": reason}
    with (layout.quarantine / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry, ensure_ascii=False) + "\n")
    path.rename(target)
    return target


class DatasetInUse(InfrastructureError):
    """Another process writes into the dataset."""


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Holds the dataset for writing; DatasetInUse when another process does. A kill lets go of it."""
    layout.own.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatasetInUse(f"{layout.root}: another writer has this dataset open") from None
        yield
