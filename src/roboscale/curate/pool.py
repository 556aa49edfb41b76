"""An index of many datasets: what each holds, is called, allows and scores, so that thousands are searched at once.

    pool/datasets.parquet            one row a dataset
    pool/episodes/<digest>.parquet   one row an episode of it: content, who recorded it where, how it ended

Listing reads the first file alone. An entry is what a dataset was when it was added: its digest says whether it still
is. The datasets stay where they are; nothing of them is copied.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core import UNKNOWN, BadData, Spec, UnknownName
from roboscale.core.plain import Plain
from roboscale.curate.selection import Selection, episode_contents
from roboscale.dataset import Dataset
from roboscale.dataset.audit import AuditReport
from roboscale.dataset.audit.signals import row_sketch
from roboscale.dataset.lerobot.catalog import load_info
from roboscale.dataset.lerobot.licence import licence_of

__all__ = ["DATASETS", "Pool", "PoolEntry", "PooledEpisode", "entry_of", "pooled_episodes", "repeated_in", "scored"]

DATASETS = "datasets.parquet"
_SHARED, _LEAST = 0.5, 8  # as in the audit: of the smaller sketch, and rows that a sketch needs to say anything


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEntry(Plain):
    """One dataset of a pool.

    Args:
        name: unique in the pool.
        root: its folder, absolute.
        content: digest over its episodes' contents, in their order.
        robot: its type; `licence` an SPDX id; both empty where nothing says.
        action: what the action is declared to be, e.g. `7 elements, rad, absolute`; or that nobody declared it.
        errors, warnings: findings of the audit when it was added; `checks` are their names, the worst first.
        pictures: whether the audit looked at pictures.
        successes: of `judged` episodes.
        scores: method of curation -> mean score of its episodes.
    """

    name: str
    root: str
    content: str
    robot: str
    licence: str
    episodes: int
    frames: int
    hours: float
    rate_hz: float
    action: str
    tasks: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    errors: int = 0
    warnings: int = 0
    checks: tuple[str, ...] = ()
    pictures: bool = False
    successes: int = 0
    judged: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)

    def mentions(self, words: Sequence[str]) -> bool:
        """Whether every word stands in one of its texts, in any case."""
        text = " ".join(
            (self.name, self.root, self.robot, self.licence, self.action, *self.tasks, *self.cameras, *self.checks)
        )
        return all(word.lower() in text.lower() for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledEpisode:
    """One episode of a dataset of a pool.

    Args:
        content: digest of its numbers and sentence; the same episode under another name has the same.
        sketch: hashes of some of its rows: a cut or repacked copy shares most of them.
        operator, site, month: who recorded it, where, and when (`2026-11`); empty where nothing says.
        success: how it ended; `None` where nobody judged.
        findings: errors and warnings of the audit that name it.
    """

    id: str
    content: str
    sketch: NDArray[np.uint64]
    instruction: str
    frames: int
    seconds: float
    operator: str = ""
    site: str = ""
    month: str = ""
    success: bool | None = None
    findings: int = 0


class Pool:
    """The index in a folder, which the first dataset makes.

    Raises:
        BadData: the folder holds something else, or a file of it is broken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if self.folder.is_file():
            raise BadData(self.folder, "folder", f"a folder, new or with {DATASETS}", "a file")
        there = sorted(p.name for p in self.folder.iterdir()) if self.folder.is_dir() else []
        if there and DATASETS not in there and set(there) - {"lock", "episodes"}:
            raise BadData(self.folder, "folder", f"nothing, or a pool with {DATASETS}", ", ".join(there[:5]))

    def entries(self) -> list[PoolEntry]:
        """All datasets, by name; none where there is no pool yet."""
        file = self.folder / DATASETS
        if not file.exists():
            return []
        names = [f.name for f in fields(PoolEntry)]
        rows = _read(file, names).to_pylist()
        return sorted((_entry(row) for row in rows), key=lambda entry: entry.name)

    def episodes(self, name: str) -> list[PooledEpisode]:
        """Of one dataset; UnknownName where the pool has no such."""
        known = {entry.name for entry in self.entries()}
        if name not in known:
            raise UnknownName("dataset of the pool", name, known)
        return self._episodes_of(name)

    def every_episode(self) -> dict[str, list[PooledEpisode]]:
        """Dataset -> its episodes."""
        return {entry.name: self._episodes_of(entry.name) for entry in self.entries()}

    def add(self, entry: PoolEntry, episodes: Sequence[PooledEpisode]) -> PoolEntry:
        """Files a dataset; one of the same folder is replaced, another of its name gets its parent's name as well."""
        with self._exclusive():
            others = [one for one in self.entries() if one.root != entry.root]
            taken = {one.name for one in others}
            if entry.name in taken:
                entry = replace(entry, name=f"{Path(entry.root).parent.name}-{entry.name}")
            if entry.name in taken:
                raise BadData(self.folder, "name", "one that no other dataset of the pool has", entry.name)
            self._write(self._file(entry.name), _episode_table(episodes))
            self._write(self.folder / DATASETS, _entry_table([*others, entry]))
        return entry

    def drop(self, name: str) -> None:
        """Takes a dataset out of the index; UnknownName where there is none. The dataset itself stays."""
        if not (self.folder / DATASETS).exists():
            raise UnknownName("dataset of the pool", name, [])
        with self._exclusive():
            entries = self.entries()
            if name not in {entry.name for entry in entries}:
                raise UnknownName("dataset of the pool", name, [entry.name for entry in entries])
            self._write(self.folder / DATASETS, _entry_table([e for e in entries if e.name != name]))
            self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / "episodes" / f"{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}.parquet"

    def _episodes_of(self, name: str) -> list[PooledEpisode]:
        rows = _read(self._file(name), [f.name for f in fields(PooledEpisode)]).to_pylist()
        return [PooledEpisode(**{**row, "sketch": np.array(row["sketch"], np.uint64)}) for row in rows]

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Two that add at once must not lose one another's row."""
        (self.folder / "episodes").mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, file: Path, table: pa.Table) -> None:
        part = file.with_suffix(".part")
        pq.write_table(table, part)
        part.replace(file)


def entry_of(root: Path, report: AuditReport, *, scores: Mapping[str, float] | None = None) -> PoolEntry:
    """What the index says of a dataset (LeRobot v3.0) and its audit.

    Raises:
        BadData: the dataset cannot be opened.
    """
    dataset, raw = Dataset(root), load_info(root).raw
    contents = episode_contents(dataset)
    judged = [e.outcome.success for e in dataset.episodes if e.outcome is not None and e.outcome.success is not None]
    frames = int(dataset.lengths.sum())
    return PoolEntry(
        name=Path(root).absolute().name,
        root=str(Path(root).resolve()),
        content=_digest([contents[e.id] for e in dataset.episodes]),
        robot=str(raw.get("robot_type") or ""),
        licence=licence_of(root, raw),
        episodes=len(dataset.episodes),
        frames=frames,
        hours=frames / dataset.fps / 3600,
        rate_hz=float(dataset.fps),
        action=_action_words(dataset.spec),
        tasks=tuple(dict.fromkeys(e.instruction for e in dataset.episodes)),
        cameras=tuple(f.role or f.name.removeprefix("observation.images.") for f in dataset.spec.images),
        errors=report.count("error"),
        warnings=report.count("warning"),
        checks=tuple(dict.fromkeys(f.check for f in report.findings if f.severity != "info")),
        pictures=report.pictures > 0,
        successes=sum(judged),
        judged=len(judged),
        scores=dict(scores or {}),
    )


def pooled_episodes(root: Path, report: AuditReport) -> list[PooledEpisode]:
    """What the index says of each episode of a dataset."""
    dataset = Dataset(root)
    contents = episode_contents(dataset)
    moving = sorted(f.name for f in dataset.spec if not f.is_image and f.name.startswith(("action", "observation.")))
    columns = [dataset.arrays(name) for name in moving]
    named = [position for f in report.findings if f.severity != "info" for position in f.episodes]
    episodes = []
    for e in dataset.episodes:
        rows, said = slice(e.from_index, e.from_index + e.length), e.provenance
        episodes.append(
            PooledEpisode(
                id=e.id,
                content=contents[e.id],
                sketch=row_sketch([c[rows] for c in columns]) if columns else np.empty(0, np.uint64),
                instruction=e.instruction,
                frames=e.length,
                seconds=e.length / dataset.fps,
                operator=said.operator,
                site=_word(said.details, ("site", "place", "lab", "building")),
                month=_word(said.details, ("time", "recorded", "date", "timestamp"))[:7],
                success=e.outcome.success if e.outcome is not None else None,
                findings=named.count(e.index),
            )
        )
    return episodes


def scored(entry: PoolEntry, selection: Selection, episodes: Sequence[PooledEpisode]) -> PoolEntry | None:
    """The entry with the mean score that a method gave its episodes; `None` where it speaks of none of them."""
    contents = {episode.content for episode in episodes}
    given = {row.content: row.score for row in selection.kept if row.score is not None}
    given |= {row.content: row.score for row in selection.dropped if row.score is not None}
    mine = [score for content, score in given.items() if content in contents]
    if not mine:
        return None
    return replace(entry, scores={**entry.scores, selection.method: float(np.mean(mine))})


def repeated_in(episodes: Sequence[PooledEpisode], there: Mapping[str, Sequence[PooledEpisode]]) -> dict[str, str]:
    """Id of an episode -> where the pool has it already: the same numbers, or most of its rows.

    Args:
        there: dataset -> its episodes.
    """
    same = {one.content: f"{name}, episode {one.id}" for name, listed in there.items() for one in listed}
    sketches = [(name, one) for name, listed in there.items() for one in listed if len(one.sketch) >= _LEAST]
    holders: dict[int, list[int]] = {}
    for number, (_, one) in enumerate(sketches):
        for value in one.sketch.tolist():
            holders.setdefault(value, []).append(number)
    again = {}
    for episode in episodes:
        if episode.content in same:
            again[episode.id] = f"the same as {same[episode.content]}"
            continue
        shared: dict[int, int] = {}
        for value in episode.sketch.tolist() if len(episode.sketch) >= _LEAST else ():
            for number in holders.get(value, ()):
                shared[number] = shared.get(number, 0) + 1
        for number, count in shared.items():
            name, one = sketches[number]
            if count >= _SHARED * min(len(one.sketch), len(episode.sketch)):
                again[episode.id] = f"shares most of its rows with {name}, episode {one.id}"
                break
    return again


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).hexdigest()


def _action_words(spec: Spec) -> str:
    if "action" not in spec:
        return "none"
    action = spec["action"]
    words = ["not declared"] if UNKNOWN in (action.unit, action.mode) else [action.unit, action.mode]
    return ", ".join([f"{action.shape[0] if action.shape else 1} elements", *words])


def _word(details: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((str(details[key]) for key in keys if isinstance(details.get(key), str)), "")


_STRINGS = pa.list_(pa.string())
_ENTRY = pa.schema(
    [(name, pa.string()) for name in ("name", "root", "content", "robot", "licence", "action", "scores")]
    + [(name, pa.int64()) for name in ("episodes", "frames", "errors", "warnings", "successes", "judged")]
    + [("hours", pa.float64()), ("rate_hz", pa.float64()), ("pictures", pa.bool_())]
    + [(name, _STRINGS) for name in ("tasks", "cameras", "checks")]
)
_EPISODE = pa.schema(
    [(name, pa.string()) for name in ("id", "content", "instruction", "operator", "site", "month")]
    + [("frames", pa.int64()), ("findings", pa.int64()), ("seconds", pa.float64()), ("success", pa.bool_())]
    + [("sketch", pa.list_(pa.uint64()))]
)


def _entry_table(entries: Sequence[PoolEntry]) -> pa.Table:
    rows = [{**e.to_json(), "scores": json.dumps(dict(e.scores))} for e in entries]
    return pa.Table.from_pylist(rows, _ENTRY)


def _entry(row: Mapping[str, Any]) -> PoolEntry:
    lists = {name: tuple(row[name]) for name in ("tasks", "cameras", "checks")}
    return PoolEntry(**{**row, **lists, "scores": json.loads(row["scores"])})


def _episode_table(episodes: Sequence[PooledEpisode]) -> pa.Table:
    names = [f.name for f in fields(PooledEpisode)]
    return pa.Table.from_pylist([{name: getattr(e, name) for name in names} for e in episodes], _EPISODE)


def _read(file: Path, columns: Sequence[str]) -> pa.Table:
    try:
        return pq.read_table(file, columns=list(columns))
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise BadData(file, "table", f"a Parquet file of a pool with {', '.join(columns[:4])}, ...", error) from error
