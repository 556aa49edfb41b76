"""The folder around the records: which files belong to which split, and what dataset_info.json claims of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roboscale.core import BadData, Finding, UnknownName
from roboscale.sources.records.rlds.features import load_json_object
from roboscale.sources.records.rlds.framing import Shard

__all__ = ["DatasetInfo", "find_root", "load_dataset_info", "select_shards", "shard_findings"]

_SHARD = re.compile(r"(?P<name>.+)-(?P<split>[^-]+)\.tfrecord(?:-(?P<number>\d+)-of-(?P<count>\d+))?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """dataset_info.json, as far as anybody needs it.

    Args:
        shard_lengths: split -> records that each of its shards should hold.
    """

    name: str
    version: str
    licence: str
    shard_lengths: Mapping[str, Sequence[int]]

    def split_of(self, shard: Path) -> str:
        """Split that a file belongs to, by its name; empty where the name does not say."""
        match = _SHARD.fullmatch(shard.name)
        return match["split"] if match else ""


def find_root(path: Path) -> tuple[Path, Path | None]:
    """The folder with features.json, and the one shard when a shard was named.

    Raises:
        BadData: there is no such folder, or several versions are below `path`.
    """
    if path.is_file():
        return path.parent, path
    if (path / "features.json").is_file():
        return path, None
    versions = sorted(p for p in path.iterdir() if _VERSION.fullmatch(p.name) and (p / "features.json").is_file())
    if len(versions) != 1:
        found = ", ".join(p.name for p in versions) or "neither"
        raise BadData(path, "features.json", "the file, or one version's folder with it", found)
    return versions[0], None


def load_dataset_info(root: Path) -> DatasetInfo:
    """Reads dataset_info.json; BadData when it is missing or broken."""
    path = root / "dataset_info.json"
    raw = load_json_object(path)
    splits = raw.get("splits", [])
    if not isinstance(splits, list) or not all(isinstance(s, dict) for s in splits):
        raise BadData(path, "splits", "a list of objects", str(splits)[:80])
    lengths: dict[str, Sequence[int]] = {}
    for split in splits:
        given = split.get("shardLengths", [])
        try:
            lengths[str(split.get("name"))] = tuple(int(n) for n in given)
        except (TypeError, ValueError):
            raise BadData(path, f"splits.{split.get('name')}.shardLengths", "integers", str(given)[:80]) from None
    terms = raw.get("redistributionInfo", {})
    licence = terms.get("license", "") if isinstance(terms, dict) else ""
    spdx = licence if isinstance(licence, str) and _SPDX.fullmatch(licence) else ""
    return DatasetInfo(str(raw.get("name", "")), str(raw.get("version", "")), spdx, lengths)


def select_shards(root: Path, split: str | None) -> list[Path]:
    """The files of the named splits (separated by commas; all by default), in the order of their names.

    Raises:
        BadData: there are none at all.
        UnknownName: a split has no file.
    """
    files = sorted(p for p in root.iterdir() if p.is_file() and _SHARD.fullmatch(p.name))
    if not files:
        raise BadData(root, "shards", "files named <name>-<split>.tfrecord-*", "none")
    if split is None:
        return files
    by_split: dict[str, list[Path]] = {}
    for file in files:
        match = _SHARD.fullmatch(file.name)
        by_split.setdefault(match["split"] if match else "", []).append(file)
    wanted = {name.strip() for name in split.split(",")}
    for name in wanted:
        if name not in by_split:
            raise UnknownName("split", name, by_split)
    return [file for file in files if any(file in by_split[name] for name in wanted)]


def shard_findings(info: DatasetInfo, shards: Sequence[Shard], *, partial: bool) -> Iterator[Finding]:
    """What the files lack.

    Args:
        partial: true when only some shards were asked for; then nobody misses the others.
    """
    for shard in shards:
        if shard.damage is not None:
            text = f"{shard.path.name} is broken after {len(shard.offsets)} records, which are kept: {shard.damage}"
            evidence = {"shard": shard.path.name, "records": len(shard.offsets)}
            yield Finding("damaged-shard", "error", text, evidence=evidence)
    if not partial:
        yield from _missing_shards(shards)
    yield from _claims(info, shards, partial)


def _missing_shards(shards: Sequence[Shard]) -> Iterator[Finding]:
    sets: dict[tuple[str, str, int], set[int]] = {}
    for shard in shards:
        match = _SHARD.fullmatch(shard.path.name)
        if match and match["count"]:
            sets.setdefault((match["name"], match["split"], int(match["count"])), set()).add(int(match["number"]))
    for (name, split, count), there in sets.items():
        if len(there) < count:
            text = f"{name}: split {split} has {len(there)} of the {count} shards that their names count"
            yield Finding("missing-shard", "error", text, evidence={"split": split, "found": sorted(there)[:100]})


def _claims(info: DatasetInfo, shards: Sequence[Shard], partial: bool) -> Iterator[Finding]:
    by_split: dict[str, list[Shard]] = {}
    for shard in shards:
        by_split.setdefault(info.split_of(shard.path), []).append(shard)
    for split, lengths in info.shard_lengths.items():
        there = by_split.get(split, [])
        claimed, found = sum(lengths), sum(len(shard.offsets) for shard in there)
        if not there and not partial and claimed:
            text = f"dataset_info.json claims {claimed} episodes in split {split}, and no file is there"
            yield Finding("missing-split", "warning", text, evidence={"split": split, "claimed": claimed})
        elif len(there) == len(lengths) and claimed != found:
            text = f"dataset_info.json claims {claimed} episodes in split {split}, its files hold {found}"
            yield Finding("shard-length", "error", text, evidence={"claimed": claimed, "found": found})
