"""Bags as a recording: every bag is one episode, its topics brought onto one grid of frames by a mapping."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import roboscale.sources.records.mcap.grid as grid
from roboscale.core import (
    BadData,
    Finding,
    Origin,
    Pictures,
    Provenance,
    RecordedEpisode,
    Span,
    Spec,
    Stream,
    UnknownName,
)
from roboscale.dataset.pictures import EncodedPictures
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.sources.records.mcap.bag import Bag, find_bags
from roboscale.sources.records.mcap.collect import Harvest, Series, collect, times_of
from roboscale.sources.records.mcap.images import decode_message
from roboscale.sources.records.mcap.layout import TopicLayout, lay_out, left_out, time_name
from roboscale.sources.records.mcap.mapping import TopicMap
from roboscale.sources.records.mcap.messages import MessageTypes

__all__ = ["BagRecording"]


class BagRecording:
    """See `core.Recording`. Opening reads each bag's index and the first messages of one bag.

    Raises:
        BadData: no bag at `path` fits the mapping.
    """

    def __init__(self, path: Path, format: str, mapping: TopicMap) -> None:
        self.format, self.root, self._mapping = format, path, mapping
        self.robot_type, self.licence = mapping.robot, mapping.licence
        bags = find_bags(path)
        if not bags:
            raise BadData(path, "source", "a bag, or a folder of bags", "neither")
        self._files = dict(bags)
        self.keys: Sequence[str] = tuple(self._files)
        if len(self.keys) != len(bags):
            raise BadData(path, "source", "bags of different names", [name for name, _ in bags])
        self._found: list[Finding] = []
        self._left: dict[str, str] = {}
        self._gone: dict[str, list[str]] = {}
        self._open: tuple[str, Bag, MessageTypes] | None = None
        layout = self._first_layout()
        self.spec: Spec = layout.spec(mapping.fps)
        self.origins: Sequence[Origin] = layout.origins
        self.unmapped: Mapping[str, str] = self._left
        self.missing: Mapping[str, Sequence[str]] = self._gone
        self.findings: Sequence[Finding] = tuple(self._found)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open = None

    def _bag(self, key: str) -> tuple[Bag, MessageTypes]:
        """The bag of an episode; only the last one stays open."""
        if self._open is None or self._open[0] != key:
            self.close()
            bag = Bag(key, self._files[key])
            self._open = (key, bag, MessageTypes(bag.path, bag.topics))
        return self._open[1], self._open[2]

    def _first_layout(self) -> TopicLayout:
        layout, problem = None, None
        for number, key in enumerate(self.keys):
            try:
                bag, types = self._bag(key)
                absent = self._note_missing(key, bag)
                if layout is None and not absent:
                    layout = lay_out(bag, types, self._mapping)
                    self._left.update(left_out(bag, types, self._mapping))
                    self._found.extend(layout.findings)
                self._found.extend(bag.findings)
                self._note_topics(bag)
            except BadData as error:
                problem = problem or error
                self._found.append(Finding("unreadable", "error", str(error), episodes=(number,)))
        if layout is None:
            raise problem or BadData(self.root, "cameras", "one bag that has them all", self._gone)
        return layout

    def _note_missing(self, key: str, bag: Bag) -> set[str]:
        absent = set()
        for field in self._mapping.fields:
            topic = bag.topics.get(field.topic)
            is_camera = field.name.startswith("observation.images.")
            if is_camera and len(self.keys) > 1 and (topic is None or not topic.count):
                absent.add(field.name)
                self._gone.setdefault(field.name, []).append(key)
        return absent

    def _note_topics(self, bag: Bag) -> None:
        for topic in bag.topics.values():
            if topic.name not in self._mapping.topics and topic.name not in self._left:
                self._left[topic.name] = f"{topic.type}, {topic.count} messages: not in the mapping"

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        if key not in self._files:
            raise UnknownName("episode", key, self.keys)
        bag, types = self._bag(key)
        absent = {camera for camera, keys in self.missing.items() if key in keys}
        wanted = {f.name for f in self.spec.images} if cameras is None else set(cameras)
        if gone := sorted(wanted & absent):
            raise BadData(bag.path, gone[0], "messages of its topic", "none")
        layout = lay_out(bag, types, self._mapping, absent)
        self._require_same(bag, layout)
        harvest = collect(bag, types, self._mapping, layout.series(self._mapping, absent))
        return _Assembly(self, bag, types=types, layout=layout, harvest=harvest, cameras=wanted).episode()

    def _require_same(self, bag: Bag, layout: TopicLayout) -> None:
        for field in layout.fields:
            first = self.spec[field.name]
            if (field.shape, field.dtype, field.layout) != (first.shape, first.dtype, first.layout):
                expected = f"{first.dtype}{list(first.shape)} {list(first.layout)} as in the first bag"
                raise BadData(bag.path, field.name, expected, f"{field.dtype}{list(field.shape)} {list(field.layout)}")


class _Assembly:
    """Puts one harvested bag onto the grid."""

    def __init__(
        self,
        recording: BagRecording,
        bag: Bag,
        *,
        types: MessageTypes,
        layout: TopicLayout,
        harvest: Harvest,
        cameras: set[str],
    ) -> None:
        self._of, self._bag, self._types, self._layout = recording, bag, types, layout
        self._harvest, self._cameras, self._map = harvest, cameras, recording._mapping
        self._position = list(recording.keys).index(bag.name)
        self._findings = [*bag.findings, *harvest.findings]
        self._ordered: dict[str, grid.Ordered] = {}
        self._noted: set[tuple[str, bool]] = set()

    def episode(self) -> RecordedEpisode:
        for name, series in self._harvest.series.items():
            self._ordered[name] = self._order(series)
        frame_ns = self._grid()
        arrays: dict[str, NDArray[Any]] = {FRAME_TIMES: frame_ns}
        pictures: dict[str, Pictures] = {}
        streams: dict[str, Stream] = {}
        for name, series in self._harvest.series.items():
            if series.map.stream:
                streams[name] = self._stream(series)
            elif series.map.count:
                seen = np.searchsorted(self._ordered_all(series), frame_ns, side="right")
                arrays[name] = seen.astype(np.int64)[:, None]
            elif series.element is not None:
                arrays[name] = self._values(series, frame_ns)
            else:
                shown = grid.pick(self._ordered[name].time_ns, frame_ns, _how(series))
                arrays[time_name(name)] = self._ordered[name].time_ns[shown]
                if name in self._cameras:
                    pictures[name] = self._pictures(series, shown)
        for field in self._of.spec.images:
            arrays.setdefault(time_name(field.name), np.full(len(frame_ns), -1, np.int64))  # a camera without topic
        self._note_gaps(frame_ns)
        return RecordedEpisode(
            key=self._bag.name,
            arrays=arrays,
            pictures=pictures,
            instruction=self._instruction(),
            provenance=self._provenance(int(frame_ns[0])),
            streams=streams,
            findings=tuple(self._findings),
        )

    def _note(self, check: str, severity: Any, text: str, topic: str, spans: Any = (), **evidence: Any) -> None:
        finding = Finding(
            check,
            severity,
            text,
            episodes=(self._position,),
            field=topic,
            spans=tuple(spans),
            evidence={"topic": topic, **evidence},
        )
        self._findings.append(finding)

    def _order(self, series: Series) -> grid.Ordered:
        stamps, logs = times_of(series, self._bag.path)
        ordered = grid.in_order(stamps)
        topic = series.map.topic
        if (topic, series.stamped) in self._noted or series.map.count:
            return ordered
        self._noted.add((topic, series.stamped))
        if ordered.backwards:
            text = f"{topic}: {ordered.backwards} messages came with a stamp before the last; sorted by stamp"
            self._note("out-of-order", "warning", text, topic, messages=ordered.backwards)
        if ordered.doubled:
            text = f"{topic}: {ordered.doubled} messages share a stamp with a later one, which was kept"
            self._note("doubled-stamp", "warning", text, topic, messages=ordered.doubled)
        astray, far = grid.jumps(stamps, logs) if series.stamped else (0, 0.0)
        if astray:
            text = f"{topic}: {astray} stamps stray from the recorder's clock, by up to {far:.3f} s"
            self._note("stamp", "warning", text, topic, messages=astray, seconds=far)
        return ordered

    def _ordered_all(self, series: Series) -> NDArray[np.int64]:
        return np.sort(np.array(series.stamp_ns, np.int64))  # every message counts, stamps that repeat too

    def _grid(self) -> NDArray[np.int64]:
        on_grid = {n: s for n, s in self._harvest.series.items() if not s.map.stream}
        bound = [n for n, s in on_grid.items() if not s.map.count] or list(on_grid) or list(self._harvest.series)
        first = {n: int(self._ordered[n].time_ns[0]) for n in bound}
        last = {n: int(self._ordered[n].time_ns[-1]) for n in bound}
        most = max(len(self._ordered[n].time_ns) for n in self._ordered)
        frame_ns: NDArray[np.int64] = grid.frames(
            list(first.values()), list(last.values()), self._map.fps, most, self._bag.path
        )
        lead, tail = max(first.values()) - min(first.values()), max(last.values()) - int(frame_ns[-1])
        late, early = max(first, key=lambda n: first[n]), min(last, key=lambda n: last[n])
        if lead or tail > 1e9 / self._map.fps:
            text = (
                f"{lead / 1e9:.3f} s before {late} has its first message and {tail / 1e9:.3f} s after the last frame "
                f"that {early} reaches are not in the grid"
            )
            evidence = {"lead_s": lead / 1e9, "tail_s": tail / 1e9}
            self._findings.append(
                Finding("trimmed", "info", text, episodes=(self._position,), field=late, evidence=evidence)
            )
        return frame_ns

    def _kept(self, series: Series) -> NDArray[Any]:
        return np.stack(series.values)[self._ordered[series.map.name].keep]

    def _values(self, series: Series, frame_ns: NDArray[np.int64]) -> NDArray[Any]:
        ordered, values = self._ordered[series.map.name], self._kept(series)
        if series.map.resample == "linear":
            return grid.between(ordered.time_ns, values, frame_ns)
        shown: NDArray[Any] = values[grid.pick(ordered.time_ns, frame_ns, _how(series))]
        return shown

    def _stream(self, series: Series) -> Stream:
        field = next(f for f in self._layout.streams if f.name == series.map.name)
        return Stream(self._ordered[field.name].time_ns, self._kept(series), field.unit, field.layout)

    def _pictures(self, series: Series, shown: NDArray[np.intp]) -> Pictures:
        refs = [series.refs[i] for i in self._ordered[series.map.name].keep[shown]]
        bag, topic = self._bag, series.map.topic
        decode = partial(_decode, self._types, topic)
        shape = self._of.spec[series.map.name].shape
        return EncodedPictures(self._bag.path, topic, lambda n: bag.fetch(*refs[n]), len(refs), shape, decode=decode)

    def _note_gaps(self, frame_ns: NDArray[np.int64]) -> None:
        for topic, series in {s.map.topic: s for s in self._harvest.series.values() if not s.map.count}.items():
            time_ns = self._ordered[series.map.name].time_ns
            gaps = grid.gaps(time_ns, frame_ns)
            if gaps:
                spans = [Span(self._position, first, last) for first, last, _ in gaps]
                longest = max(seconds for _, _, seconds in gaps)
                usual = grid.period_ns(time_ns) / 1e9
                text = (
                    f"{topic}: {len(gaps)} silences, up to {longest:.3f} s where a message comes every {usual:.3f} s"
                )
                self._note("gap", "warning", text, topic, spans, gaps=len(gaps), longest_s=longest, period_s=usual)

    def _instruction(self) -> str:
        if isinstance(self._map.instruction, str):
            return self._map.instruction
        asked = list(dict.fromkeys(self._harvest.asked))
        if len(asked) != 1:
            text = f"{self._map.instruction[0]} says {len(asked)} different texts; the first is the instruction"
            self._note("instruction", "warning", text, self._map.instruction[0], texts=asked[:20])
        return asked[0] if asked else ""

    def _provenance(self, start_ns: int) -> Provenance:
        details: dict[str, Any] = {
            "bag": self._bag.name,
            "fps": self._map.fps,
            "start_ns": start_ns,
            "clock": {f.topic: "header" if f.name in self._layout.stamped else "log" for f in self._map.fields},
        }
        if self._harvest.said:
            details["messages"] = [
                {"topic": said.topic, "time_ns": said.time_ns, "text": said.text} for said in self._harvest.said
            ]
        if self._harvest.cut:
            text = f"{self._harvest.cut} texts are not kept, or cut: there are too many, or they are too long"
            self._findings.append(Finding("texts", "info", text, episodes=(self._position,)))
        return Provenance(
            f"records.{self._of.format}", embodiment=self._map.robot, licence=self._map.licence, details=details
        )


def _how(series: Series) -> Any:
    return series.map.resample


def _decode(types: MessageTypes, topic: str, blob: bytes, where: object, field: str) -> NDArray[np.uint8]:
    return decode_message(types, topic, blob, where, field)
