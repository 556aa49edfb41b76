"""One bag: a lone .mcap or .db3 file, or a folder with the files of one recording. Read without ROS.

Knows containers and counts; what a message says is the business of `messages.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Finding
from roboscale.sources.records.mcap.container import BagFile, RawMessage, Ref, Topic
from roboscale.sources.records.mcap.db3_file import Db3File
from roboscale.sources.records.mcap.mcap_file import McapFile

__all__ = ["SUFFIXES", "Bag", "find_bags"]

SUFFIXES: Mapping[str, str] = {".mcap": "mcap", ".db3": "rosbag-db3"}
"""File ending -> format."""

_MAX_METADATA = 2**20
_PARTS = re.compile(r"(.+)_\d+$")  # rosbag2 numbers the files of one bag


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Sorts `bag_10` after `bag_9`."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", path.name)]


def _files(folder: Path) -> list[Path]:
    return sorted((p for p in folder.iterdir() if p.suffix in SUFFIXES and p.is_file()), key=_natural)


def find_bags(path: Path) -> list[tuple[str, list[Path]]]:
    """(name, its files) of every bag at `path`: a file, a bag's folder, or a folder of either.

    Files numbered `x_0`, `x_1`, ... of one folder are one bag.
    """
    if path.is_file():
        return [(path.name, [path])] if path.suffix in SUFFIXES else []
    if not path.is_dir():
        return []
    files = _files(path)
    if files and (path / "metadata.yaml").exists():
        return [(path.resolve().name, files)]
    folders = sorted((p for p in path.iterdir() if p.is_dir()), key=_natural)
    inside = [(folder.name, _files(folder) or [folder]) for folder in folders if _is_bag(folder)]
    if files and not inside and _is_one_bag(files):
        return [(path.resolve().name, files)]
    return [(file.name, [file]) for file in files] + inside


def _is_bag(folder: Path) -> bool:
    return bool(_files(folder)) or (folder / "metadata.yaml").exists()


def _is_one_bag(files: list[Path]) -> bool:
    stems = {m.group(1) if (m := _PARTS.match(file.stem)) else file.stem for file in files}
    return len(stems) == 1 and len({file.suffix for file in files}) == 1


class Bag:
    """The files of one recording as one stream of messages.

    Args:
        name: key of the episode.
        files: in the order they were written.

    Raises:
        BadData: a file cannot be read at all, or two files give one topic two types.

    Attributes:
        topics: name -> topic, with counts over all files.
        findings: what is wrong with the index or with metadata.yaml.
    """

    def __init__(self, name: str, files: list[Path]) -> None:
        self.name, self.path = name, files[0] if len(files) == 1 else files[0].parent
        self._files: list[BagFile] = []
        self.findings: list[Finding] = []
        try:
            for file in files:
                if file.is_dir():
                    raise BadData(file, "files", "an .mcap or .db3 beside metadata.yaml", "neither")
                if file.stat().st_size == 0:
                    raise BadData(file, "size", "a bag", "an empty file")
                self._files.append(McapFile(file) if file.suffix == ".mcap" else Db3File(file))
            self.topics = self._topics()
        except BaseException:
            self.close()
            raise
        for opened in self._files:
            self.findings.extend(opened.findings)
        self._check_metadata(files[0].parent / "metadata.yaml")

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _topics(self) -> dict[str, Topic]:
        topics: dict[str, Topic] = {}
        for file in self._files:
            for name, topic in file.topics.items():
                known = topics.get(name)
                if known is not None and known.type != topic.type:
                    raise BadData(file.path, name, f"messages of {known.type} as in the files before", topic.type)
                topics[name] = topic if known is None else replace(known, count=known.count + topic.count)
        return topics

    def messages(self, topics: Collection[str], report: list[Finding]) -> Iterator[tuple[int, RawMessage]]:
        """(number of the file, message) of the named topics, in the order they were written; see `BagFile`."""
        for number, file in enumerate(self._files):
            yield from ((number, message) for message in file.messages(topics, report))

    def fetch(self, file: int, ref: Ref) -> bytes:
        """The data of a message that `messages` gave."""
        return self._files[file].fetch(ref)

    def file(self, number: int) -> Path:
        """Path of a file, for messages."""
        return self._files[number].path

    # -- metadata.yaml: only counts and names are compared; nothing is opened because it says so --------------------

    def _check_metadata(self, path: Path) -> None:
        if not path.exists():
            return
        claims = _read_metadata(path)
        if claims is None:
            text = f"{path.name}: it cannot be read; the files themselves were used"
            self.findings.append(Finding("metadata", "warning", text))
            return
        if claims.get("compression_mode"):
            raise BadData(path, "compression_mode", "none", f"{claims['compression_mode']!r}; unpack the bag first")
        self._check_files(path, claims.get("relative_file_paths"))
        self._check_counts(path, claims.get("topics_with_message_count"))

    def _check_files(self, path: Path, listed: Any) -> None:
        if not isinstance(listed, list):
            return
        names = {str(name) for name in listed}
        there = {file.path.name for file in self._files}
        if gone := sorted(names - there):
            text = f"{path.name} lists {', '.join(gone)[:200]}, which are not there; their messages are missing"
            self.findings.append(Finding("missing-file", "error", text, evidence={"files": gone[:100]}))
        if extra := sorted(there - names):
            text = f"{path.name} does not list {', '.join(extra)[:200]}; they were read all the same"
            self.findings.append(Finding("metadata", "warning", text, evidence={"files": extra[:100]}))

    def _check_counts(self, path: Path, listed: Any) -> None:
        claimed: Counter[str] = Counter()
        for entry in listed if isinstance(listed, list) else ():
            topic = entry.get("topic_metadata") if isinstance(entry, dict) else None
            count = entry.get("message_count") if isinstance(entry, dict) else None
            if isinstance(topic, dict) and isinstance(count, int):
                claimed[str(topic.get("name"))] += count
        there = {topic.name: topic.count for topic in self.topics.values()}
        wrong = {n: [claimed[n], there.get(n, 0)] for n in claimed.keys() | there if claimed[n] != there.get(n, 0)}
        if wrong:
            words = ", ".join(f"{name}: {c} claimed, {t} there" for name, (c, t) in sorted(wrong.items()))
            text = f"{path.name} and the files differ in the number of messages: {words[:400]}"
            self.findings.append(Finding("count", "warning", text, evidence=wrong))


def _read_metadata(path: Path) -> Mapping[str, Any] | None:
    """The facts in metadata.yaml; None when it is broken."""
    if path.stat().st_size > _MAX_METADATA:
        return None
    try:
        return _parse_metadata(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


@lru_cache(maxsize=64)  # a bag is opened several times, and this parser is slow
def _parse_metadata(text: str) -> Mapping[str, Any] | None:
    # Not PyYAML: its C loader dies on deep nesting, and none of its loaders minds a key that is there twice.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        information = YAML(typ="safe").load(text)["rosbag2_bagfile_information"]
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    return information if isinstance(information, dict) else None
