"""MCAP and rosbag2 bags, read without ROS: each bag is one episode, its topics mapped by a small TOML file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Recording
from roboscale.sources.records.mcap.bag import SUFFIXES, Bag, find_bags
from roboscale.sources.records.mcap.draft import draft, explain_topics
from roboscale.sources.records.mcap.layout import check_service_events
from roboscale.sources.records.mcap.mapping import FieldMap, TopicMap, load_mapping
from roboscale.sources.records.mcap.recording import BagRecording

__all__ = ["FORMATS", "FieldMap", "TopicMap", "detect", "explain_topics", "held_topics", "load_mapping", "open_path"]

FORMATS = ("mcap", "rosbag-db3")


def detect(path: Path) -> str | None:
    """`mcap` or `rosbag-db3` for a bag or a folder of bags, by the endings of the files' names; else None."""
    bags = find_bags(path)
    suffixes = [file.suffix for _, files in bags for file in files if file.suffix in SUFFIXES]
    return SUFFIXES[suffixes[0]] if suffixes else None


def open_path(
    path: Path, format: str, *, mapping: Path | Mapping[str, Any] | None = None, fps: float | None = None
) -> Recording:
    """Opens a bag (one episode) or a folder of bags (one episode each).

    Args:
        mapping: what the topics mean: a TOML file or its content; see `mapping.py`.
        fps: of the grid (Hz) instead of the mapping's. Without a mapping the draft of `explain` is used, but only
            where nothing in it needs a person's word.

    Raises:
        BadData: no mapping where one is needed, or the bag does not fit it; names file, topic and both sides.
    """
    path = Path(path)
    if mapping is None:
        return BagRecording(path, format, _drafted(path, fps))
    return BagRecording(path, format, load_mapping(mapping, fps))


def _drafted(path: Path, fps: float | None) -> TopicMap:
    import tomllib

    with closing(Bag(*_first(path))) as bag:
        check_service_events(bag, ())
    proposal = draft(path)
    if fps is None or proposal.open:
        doubt = f"; only you know what {', '.join(proposal.open)} is" if proposal.open else ""
        explain = f"roboscale data import {shlex.quote(str(path))} --explain"
        expected = f"a TOML file that says what the topics mean{doubt}: `{explain}` drafts it"
        raise BadData(path, "mapping", expected, f"none for a bag of {_topics(path)}")
    return load_mapping(tomllib.loads(proposal.text), fps)


def held_topics(path: Path) -> tuple[int, dict[str, str]]:
    """How many bags lie there, and the topics of the first: name -> type and how many messages.

    Raises:
        BadData: there is no bag, or it cannot be read.
    """
    with closing(Bag(*_first(Path(path)))) as bag:
        topics = {topic.name: f"{topic.type}, {topic.count} messages" for topic in bag.topics.values()}
    return len(find_bags(path)), topics


def _first(path: Path) -> tuple[str, list[Path]]:
    bags = find_bags(path)
    if not bags:
        raise BadData(path, "source", "a bag, or a folder of bags", "neither")
    return bags[0]


def _topics(path: Path) -> str:
    with closing(Bag(*_first(path))) as bag:
        return ", ".join(f"{t.name} ({t.type}, {t.count})" for t in bag.topics.values())[:1000] or "no topics"
