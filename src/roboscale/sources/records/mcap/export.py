"""Episodes as MCAP files that Foxglove plays: JSON messages with Foxglove's schemas for pictures and texts.

One file an episode, one topic a field, stream or camera. `{"values": [...]}` holds the elements of a field without
names; JSON has no NaN and no infinity, and such an element is `null`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mcap.reader import make_reader
from mcap.writer import Writer
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset import Dataset
from roboscale.sources.records.playback import Playback, TimedValues, as_jpeg, begin_folder, episode_file, playback

__all__ = ["compare_mcap", "export_mcap"]

_TIME = {"type": "object", "title": "time", "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}}}
_TEXT = {"type": "string"}
_PICTURE = {
    "title": "foxglove.CompressedImage",
    "type": "object",
    "properties": {
        "timestamp": _TIME,
        "frame_id": _TEXT,
        "data": {"type": "string", "contentEncoding": "base64"},
        "format": _TEXT,
    },
}
_LOG = {
    "title": "foxglove.Log",
    "type": "object",
    "properties": {
        "timestamp": _TIME,
        "level": {"type": "integer"},
        "message": _TEXT,
        "name": _TEXT,
        "file": _TEXT,
        "line": {"type": "integer"},
    },
}
_INFO = 2  # Foxglove's level of a message that is no warning


def export_mcap(dataset: Dataset, out: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Writes `episode_<i>.mcap` for every episode.

    Args:
        out: folder to make; must not hold anything yet.
        progress: called with episodes written and episodes in all.

    Raises:
        BadData: `out` holds something.
    """
    begin_folder(out)
    total = len(dataset.episodes)
    for number, episode in enumerate(playback(dataset)):
        with episode_file(out, episode.info.index, "mcap").open("wb") as file:
            _write(Writer(file), episode)
        if progress is not None:
            progress(number + 1, total)


def _write(writer: Writer, episode: Playback) -> None:
    writer.start(library="roboscale")
    writer.add_metadata("roboscale", dict(episode.about))
    log = _topic(writer, "/task", _LOG)
    for at, text in episode.texts:
        _add(writer, log, at, {"timestamp": _stamp(at), "level": _INFO, "message": text, "name": "task"})
    for name, track in episode.tracks.items():
        channel = _topic(writer, f"/{name}", _schema(name, track))
        for at, row in zip(track.time_ns.tolist(), track.values, strict=True):
            _add(writer, channel, at, _message(track, row))
    cameras = {one.name: _topic(writer, f"/{one.name}", _PICTURE) for one in episode.dataset.spec.images}
    for at, camera, picture in episode.pictures():
        data = base64.b64encode(as_jpeg(picture)).decode("ascii")
        _add(
            writer, cameras[camera], at, {"timestamp": _stamp(at), "frame_id": camera, "data": data, "format": "jpeg"}
        )
    writer.finish()


def _message(track: TimedValues, row: NDArray[Any]) -> dict[str, Any]:
    values = [x if np.isfinite(x) else None for x in row.tolist()]
    return dict(zip(track.names, values, strict=True)) if track.names else {"values": values}


def _topic(writer: Writer, topic: str, schema: Mapping[str, Any]) -> int:
    number = writer.register_schema(str(schema["title"]), "jsonschema", json.dumps(schema).encode())
    return int(writer.register_channel(topic, "json", number))


def _schema(name: str, track: TimedValues) -> dict[str, Any]:
    number = {"type": "boolean" if track.values.dtype == np.bool_ else "number"}
    properties: dict[str, Any] = dict.fromkeys(track.names, number)
    properties = properties or {"values": {"type": "array", "items": number}}
    return {"title": name, "type": "object", "properties": properties}


def _add(writer: Writer, channel: int, at: int, message: Mapping[str, Any]) -> None:
    writer.add_message(channel, at, json.dumps(message, ensure_ascii=False).encode(), at)


def _stamp(at: int) -> dict[str, int]:
    return {"sec": at // 10**9, "nsec": at % 10**9}


def compare_mcap(dataset: Dataset, out: Path) -> dict[str, float]:
    """Opens every file with MCAP's own reader, its checksums verified, and compares it with the dataset.

    Returns:
        Field or stream -> largest difference; what is not finite must be `null`.

    Raises:
        BadData: messages are missing, have other times, or are not what was written.
    """
    worst: dict[str, float] = {}
    for episode in playback(dataset):
        path = episode_file(out, episode.info.index, "mcap")
        found: dict[str, list[tuple[int, Any]]] = {}
        with path.open("rb") as file:
            for _, channel, message in make_reader(file, validate_crcs=True).iter_messages():
                found.setdefault(channel.topic[1:], []).append((message.log_time, json.loads(message.data)))
        for one in dataset.spec.images:
            if [at for at, _ in found.get(one.name, [])] != episode.time_ns.tolist():
                raise BadData(path, one.name, f"{episode.info.length} pictures", f"{len(found.get(one.name, []))}")
        if tuple((at, m["message"]) for at, m in found.get("task", [])) != episode.texts:
            raise BadData(path, "task", episode.texts, found.get("task", []))
        for name, track in episode.tracks.items():
            messages = found.get(name, [])
            if [at for at, _ in messages] != track.time_ns.tolist():
                raise BadData(path, name, f"{len(track.time_ns)} messages at their times", f"{len(messages)}")
            worst[name] = max(worst.get(name, 0.0), _difference(track, [m for _, m in messages]))
    return worst


def _difference(track: TimedValues, messages: list[dict[str, Any]]) -> float:
    rows = [[m[n] for n in track.names] if track.names else m["values"] for m in messages]
    its: NDArray[Any] = np.array(rows, np.float64).reshape(track.values.shape)  # `None` becomes NaN
    mine = track.values.astype(np.float64)
    mine[~np.isfinite(mine)] = np.nan
    if not np.array_equal(np.isnan(mine), np.isnan(its)):
        return float("inf")
    return float(np.nan_to_num(np.abs(mine - its)).max(initial=0.0))
