"""Opens RLDS: a folder of TensorFlow Datasets whose records are episodes, read without TensorFlow.

    dataset_info.json   name, version, how many records each shard of each split should hold
    features.json       names, dtypes, shapes, encodings
    <name>-<split>.tfrecord-00000-of-00001

RLDS stores neither rate, nor units, nor what an action is relative to: the rate must be given, the rest stays unknown.
Numbers lie in the files as float32 or int64; a feature declared float64 was narrowed before anybody could read it.
Source: https://github.com/google-research/rlds
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Finding, Origin, Provenance, RecordedEpisode, Spec, UnknownName
from roboscale.dataset.pictures import decode_picture
from roboscale.sources.records.rlds.checks import check_cameras, check_discount, check_flags, check_tasks, text_runs
from roboscale.sources.records.rlds.features import FeatureLeaf, load_features
from roboscale.sources.records.rlds.framing import index_shard
from roboscale.sources.records.rlds.mapping import Mapped, map_leaves
from roboscale.sources.records.rlds.record import Record, read_episode_record
from roboscale.sources.records.rlds.shards import find_root, load_dataset_info, select_shards, shard_findings

__all__ = ["RldsRecording"]

_TRIES = 100  # records looked at, when opening, for one that is whole
_HEX_ID = re.compile(r"[0-9a-f]{32}")


class RldsRecording:
    """An RLDS dataset as a `Recording`.

    Args:
        path: the folder, the folder above its only version, or one shard.
        fps: rate of the steps, Hz; needed unless the episodes say it (`episode_metadata/rate_hz`).
        split: names of splits, separated by commas; all by default.
        action: the arrays that make the action, separated by commas, where `action` is not one array.
        instruction: the text that is the instruction, where it is not called `language_instruction`.

    Raises:
        BadData: the folder is broken, or something that it cannot say is not given either.
        UnknownName: an option names something that is not there.
    """

    format = "rlds"
    robot_type = ""

    def __init__(
        self,
        path: Path,
        *,
        fps: float | None = None,
        split: str | None = None,
        action: str | None = None,
        instruction: str | None = None,
    ) -> None:
        self.root, only = find_root(path)
        features = self.root / "features.json"
        self._leaves = load_features(features)
        self._mapped: Mapped = map_leaves(features, self._leaves, _names(action), instruction)
        self._info = load_dataset_info(self.root)
        self.licence = self._info.licence
        shards = [index_shard(file) for file in ([only] if only else select_shards(self.root, split))]
        self._records = {f"{s.path.name}:{i}": (s, i) for s in shards for i in range(len(s.offsets))}
        self.keys: Sequence[str] = tuple(self._records)
        if not self.keys:
            damage = next((s.damage for s in shards if s.damage), None)
            raise damage or BadData(self.root, "records", "at least one", "empty shards")
        self._positions = {key: number for number, key in enumerate(self.keys)}
        first = self._first_whole()
        self._discount = self._settle(first)
        self.findings: Sequence[Finding] = (
            *shard_findings(self._info, shards, partial=bool(split or only)),
            *self._mapped.findings(),
        )
        self.spec = Spec(self._mapped.fields(), self._rate(fps, first))
        self.origins: Sequence[Origin] = self._mapped.origins()
        self.unmapped: Mapping[str, str] = self._mapped.unmapped
        self.missing: Mapping[str, Sequence[str]] = {}
        self.splits: dict[str, list[str]] = {}
        for key, (shard, _) in self._records.items():
            self.splits.setdefault(self._info.split_of(shard.path) or "train", []).append(key)

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode, its checksums verified; `Recording.read` says what else is promised."""
        if key not in self._records:
            raise UnknownName("episode", key, self.keys)
        record, mapped, position = (
            read_episode_record(*self._records[key], self._leaves),
            self._mapped,
            self._positions[key],
        )
        chosen = {name: leaf for name, leaf in mapped.cameras.items() if cameras is None or name in cameras}
        texts = record.texts(mapped.instruction) if mapped.instruction else [""]
        runs = text_runs(texts)
        details = self._details(record)
        if len(runs) > 1:
            details["instructions"] = runs
        findings = (
            *check_flags(record, mapped, position),
            *check_cameras(record, chosen, details["episode_metadata"], position),
            *check_discount(record, self._discount, position),
            *check_tasks(record, runs, position),
        )
        episode_id = str(details["episode_metadata"].get("roboscale_id", ""))
        return RecordedEpisode(
            key=key,
            arrays={name: record.column(leaves) for name, leaves in mapped.columns.items()},
            pictures={name: record.pictures(leaf) for name, leaf in chosen.items()},
            instruction=texts[0],
            provenance=Provenance("records.rlds", licence=self.licence, details=details),
            findings=findings,
            id=episode_id if _HEX_ID.fullmatch(episode_id) else "",
            instructions=tuple((int(first), str(text)) for first, text in runs) if len(runs) > 1 else (),
        )

    def close(self) -> None:
        """Nothing is held open."""

    def _details(self, record: Record) -> dict[str, Any]:
        """What goes into the provenance; JSON types only."""
        metadata: dict[str, Any] = {}
        for leaf in self._mapped.metadata:
            name = leaf.name.removeprefix("episode_metadata/")
            text = leaf.kind == "text"
            metadata[name] = record.texts(leaf)[0] if text else _plain(record.numbers(leaf)[0].tolist())
        details: dict[str, Any] = {
            "dataset": self._info.name,
            "version": self._info.version,
            "split": self._info.split_of(record.file),
            "episode_metadata": metadata,
        }
        if self._mapped.texts:
            details["texts"] = {leaf.name: text_runs(record.texts(leaf)) for leaf in self._mapped.texts}
        for leaf in self._mapped.flags:
            if leaf.name == "steps/is_terminal":
                details["is_terminal"] = bool(record.numbers(leaf)[-1])
        return details

    def _first_whole(self) -> Record:
        """The first record that can be read: a broken one must not hide the others."""
        first: BadData | None = None
        for key in self.keys[:_TRIES]:
            try:
                return read_episode_record(*self._records[key], self._leaves)
            except BadData as error:
                first = first or error
        assert first is not None  # there is at least one key
        raise first

    def _settle(self, record: Record) -> FeatureLeaf | None:
        """Decides by one record what features.json leaves open; gives the discount when it is left out."""
        for name, leaf in list(self._mapped.cameras.items()):
            if -1 in leaf.shape:
                image = decode_picture(record.blobs(leaf)[0], record.file, f"{record.where}: {leaf.name}[0]")
                self._mapped.size_camera(name, image.shape)
        for name in sorted(record.values.keys() - {leaf.name for leaf in self._leaves}):
            self._mapped.unmapped[name] = "not described in features.json"
        discount = self._mapped.columns.get("next.discount")
        if discount is None or (record.column(discount) != 1).any():
            return None
        del self._mapped.columns["next.discount"]
        self._mapped.unmapped[discount[0].name] = "1 throughout"
        return discount[0]

    def _rate(self, fps: float | None, record: Record) -> float:
        said = self._details(record)["episode_metadata"].get("rate_hz")
        rate = said if fps is None else fps
        if rate is None:
            raise BadData(self.root, "fps", "the rate, which RLDS does not store: --fps", "nothing")
        if not isinstance(rate, (int, float)) or not (math.isfinite(rate) and rate > 0):
            raise BadData(self.root, "fps", "a positive rate in Hz", rate)
        return float(rate)


def _names(option: str | None) -> list[str]:
    return [name.strip() for name in option.split(",") if name.strip()] if option else []


def _plain(value: Any) -> Any:
    """Numbers that JSON has: what is not finite becomes its name."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
