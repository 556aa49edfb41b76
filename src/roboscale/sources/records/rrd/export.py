"""Episodes as .rrd files: one recording an episode, one entity a field, stream or camera, on a timeline `time`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rerun
from numpy.typing import NDArray
from rerun.chunk import RrdReader

from roboscale.core import BadData
from roboscale.dataset import Dataset
from roboscale.sources.records.playback import Playback, as_jpeg, begin_folder, episode_file, playback

__all__ = ["compare_rrd", "export_rrd"]

_TIMELINE = "time"
_PICTURES = ("EncodedImage:blob",)
"""Components whose bytes are counted, and not turned into a Python list of numbers."""


def export_rrd(dataset: Dataset, out: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Writes `episode_<i>.rrd` for every episode.

    Args:
        out: folder to make; must not hold anything yet.
        progress: called with episodes written and episodes in all.

    Raises:
        BadData: `out` holds something.
    """
    begin_folder(out)
    total = len(dataset.episodes)
    for number, episode in enumerate(playback(dataset)):
        _write(episode_file(out, episode.info.index, "rrd"), episode)
        if progress is not None:
            progress(number + 1, total)


def _write(path: Path, episode: Playback) -> None:
    recording = rerun.RecordingStream("roboscale", recording_id=episode.info.id)
    recording.set_log_time_enabled(False)  # when it was written is no fact of the episode
    recording.set_log_tick_enabled(False)
    recording.save(path)
    recording.send_recording_name(f"episode {episode.info.index}")
    recording.send_property("roboscale", rerun.AnyValues(**episode.about))
    for name, track in episode.tracks.items():
        entity = rerun.new_entity_path([name])
        if track.names:
            recording.log(entity, rerun.SeriesLines(names=list(track.names)), static=True)
        scalars = rerun.Scalars.columns(scalars=track.values.astype(np.float64))
        recording.send_columns(entity, indexes=[_times(track.time_ns)], columns=scalars)
    for at, text in episode.texts:
        _at(recording, at)
        recording.log("task", rerun.TextLog(text))
    for at, camera, picture in episode.pictures():
        _at(recording, at)
        recording.log(
            rerun.new_entity_path([camera]), rerun.EncodedImage(contents=as_jpeg(picture), media_type="image/jpeg")
        )
    recording.flush()
    recording.disconnect()


def _times(time_ns: NDArray[np.int64]) -> Any:
    return rerun.TimeColumn(_TIMELINE, duration=time_ns.astype("timedelta64[ns]"))


def _at(recording: Any, time_ns: int) -> None:
    recording.set_time(_TIMELINE, duration=np.timedelta64(time_ns, "ns"))


def compare_rrd(dataset: Dataset, out: Path) -> dict[str, float]:
    """Opens every file with Rerun's own reader and compares it with the dataset.

    Returns:
        Field or stream -> largest difference.

    Raises:
        BadData: rows are missing, have other times, or are not what was written.
    """
    worst: dict[str, float] = {}
    for episode in playback(dataset):
        path = episode_file(out, episode.info.index, "rrd")
        found = _rows(RrdReader(path).stream())
        for one in dataset.spec.images:
            times = [at for at, _ in found.get((rerun.new_entity_path([one.name]), "EncodedImage:blob"), [])]
            if times != episode.time_ns.tolist():
                raise BadData(path, one.name, f"{episode.info.length} pictures", f"{len(times)}")
        texts = tuple((at, text[0]) for at, text in found.get(("/task", "TextLog:text"), []))
        if texts != episode.texts:
            raise BadData(path, "task", episode.texts, texts)
        for name, track in episode.tracks.items():
            rows = found.get((rerun.new_entity_path([name]), "Scalars:scalars"), [])
            if [at for at, _ in rows] != track.time_ns.tolist():
                raise BadData(path, name, f"{len(track.time_ns)} rows at their times", f"{len(rows)}")
            its = np.array([row for _, row in rows], np.float64).reshape(track.values.shape)
            mine = track.values.astype(np.float64)
            same = (mine == its) | (np.isnan(mine) & np.isnan(its))
            worst[name] = max(worst.get(name, 0.0), float(np.abs(mine - its)[~same].max(initial=0.0)))
    return worst


def _rows(chunks: Iterable[Any]) -> dict[tuple[str, str], list[tuple[int, Any]]]:
    """(entity, component) -> times in ns and values, in the order of time; what is static has none and is left out."""
    by_component: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for chunk in chunks:
        batch = chunk.to_record_batch()
        if _TIMELINE not in batch.schema.names:
            continue
        times = batch.column(_TIMELINE).cast("int64").to_pylist()
        for name in batch.schema.names:
            if ":" in name:
                values = times if name in _PICTURES else batch.column(name).to_pylist()
                rows = by_component.setdefault((chunk.entity_path, name), [])
                rows += zip(times, values, strict=True)
    return {key: sorted(rows, key=lambda row: row[0]) for key, rows in by_component.items()}
