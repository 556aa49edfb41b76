"""Reading: random access to frames, windows in seconds, whole columns, whole episodes, sensors at their own rate."""

from __future__ import annotations

import copy
import warnings
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core.episode import Episode
from roboscale.core.errors import BadData, UnknownName
from roboscale.core.recording import Stream
from roboscale.core.spec import Spec
from roboscale.dataset.columns import Columns
from roboscale.dataset.layout import INDEX_FEATURES, Layout
from roboscale.dataset.lerobot.catalog import Catalog, EpisodeInfo, load_catalog
from roboscale.dataset.remote import is_remote, open_root
from roboscale.dataset.statistics import Statistics
from roboscale.dataset.streams import FRAME_TIMES, Resample, read_stream, resample, stream_names, stream_path
from roboscale.dataset.video import VideoCache, VideoReader
from roboscale.dataset.windows import Window

__all__ = ["Dataset"]

Array = NDArray[Any]
_KEPT_STREAMS = 64


class Dataset:
    """A LeRobotDataset v3.0, on disk or behind a URL; works as a torch `Dataset`.

    Also reads a dataset whose recorder was killed, every saved episode included, without changing it. Safe to touch
    before workers are forked, and picklable.

    Args:
        root: folder of the dataset, or its URL (`s3://...`, `hf://...`, anything fsspec opens); of what lies behind a
            URL only the ranges that are needed are fetched.
        delta_timestamps: key -> seconds relative to each frame, as LeRobot's: `ds[i][key]` becomes a window of
            shape (W, ...), clamped at the ends of the episode, with `ds[i][key + "_is_pad"]` (W,) bool.
            Of a stream, any seconds: it is resampled there, and `_is_pad` says where it does not reach.
        to: `numpy` arrays or `torch` tensors.
        images: `float32` gives (3, H, W) in 0..1, as LeRobot does; `uint8` gives (H, W, 3) as recorded.
        tolerance_s: how far a delta may be from a multiple of 1/fps.
        resampling: stream -> how; `previous`, holding the last value, unless said.
        memory_bytes: how much of the numeric columns to keep, reading them episode by episode; `None` reads all
            columns when the first is needed. By default `None` for a folder and 256 MiB for a URL.

    Raises:
        BadData: a file is broken, missing or lies.
        UnknownName: a key of `delta_timestamps` that is neither a feature nor a stream.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        delta_timestamps: Mapping[str, Sequence[float]] | None = None,
        to: Literal["numpy", "torch"] = "numpy",
        images: Literal["float32", "uint8"] = "float32",
        tolerance_s: float = 1e-4,
        resampling: Mapping[str, Resample] | None = None,
        memory_bytes: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.root = open_root(root)
        self._to, self._images = to, images
        self._catalog: Catalog = load_catalog(self.root)
        self._cameras, self._numeric = self._catalog.info.colour_cameras, tuple(self._catalog.info.columns)
        self._spec = self._catalog.spec
        self._tell_left_out()
        self._shapes = {camera: self.spec[camera].shape for camera in self._cameras}
        self._windows: dict[str, Window] = {}
        self._stream_deltas_ns: dict[str, NDArray[np.int64]] = {}
        self._resampling = dict(resampling or {})
        self._declare(delta_timestamps or {}, tolerance_s)
        self._starts = [e.from_index for e in self.episodes]
        self._length = sum(e.length for e in self.episodes[-1:]) + (self._starts[-1] if self._starts else 0)
        if memory_bytes == "auto":
            memory_bytes = 2**28 if is_remote(self.root) else None
        self._columns = Columns(self._catalog, memory_bytes)
        self._videos = VideoCache(self._catalog.info.fps)
        self._streams: OrderedDict[tuple[int, str], Stream] = OrderedDict()

    def _tell_left_out(self) -> None:
        features = self._catalog.info.features
        for name, why in self.left_out.items():
            if features[name]["dtype"] in ("video", "image"):
                warnings.warn(f"{self.root}: camera {name} is not read: {why}", stacklevel=3)

    def _declare(self, deltas: Mapping[str, Sequence[float]], tolerance_s: float) -> None:
        """Sorts windows into those of frames and those of streams."""
        features = (*self._cameras, *self._numeric)
        for key, seconds in deltas.items():
            if key in features:
                self._windows[key] = Window.of_seconds(key, seconds, self.fps, tolerance_s)
            elif key in self.streams:
                self._stream_deltas_ns[key] = np.round(np.asarray(seconds, np.float64) * 1e9).astype(np.int64)
            else:
                raise UnknownName("feature", key, (*features, *self.streams))
        for key in self._resampling:
            if key not in self.streams:
                raise UnknownName("stream", key, self.streams)

    @property
    def spec(self) -> Spec:
        """What the arrays mean. A dataset that somebody else wrote has units `unknown`."""
        return self._spec

    @property
    def form(self) -> dict[str, Any]:
        """What an item is made of besides the spec: `to`, `images`, windows; datasets to be mixed agree on it."""
        windows = {key: window.offsets.tolist() for key, window in self._windows.items()}
        streams = {key: (at.tolist(), self._resampling.get(key)) for key, at in self._stream_deltas_ns.items()}
        return {"to": self._to, "images": self._images, "windows": windows, "streams": streams}

    @property
    def left_out(self) -> Mapping[str, str]:
        """Features of the dataset that are not read (texts, depth, pictures inside parquet), and why."""
        return self._catalog.info.left_out

    @property
    def episodes(self) -> tuple[EpisodeInfo, ...]:
        """All saved episodes; position i has index i."""
        return self._catalog.episodes

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(E,) frames of each episode."""
        return np.array([episode.length for episode in self.episodes], np.int64)

    @property
    def fps(self) -> int | float:
        """Frames a second."""
        return self._catalog.info.fps

    @cached_property
    def streams(self) -> tuple[str, ...]:
        """Names of the sensors that were recorded at their own rate; an episode need not have all of them."""
        names = set(stream_names(Layout(self.root).own / "streams"))
        for entry in self._catalog.pending:
            names |= {name.removesuffix(".parquet") for name in stream_names(entry.path / "streams")}
        return tuple(sorted(names))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One frame: every feature, LeRobot's index columns, and `task`, the instruction."""
        return self.finish(self._item(index, np.float32))

    def bounded(self, memory_bytes: int) -> Dataset:
        """The same dataset, reading numbers episode by episode and keeping at most so many bytes of them."""
        other = copy.copy(self)
        other._columns = Columns(self._catalog, memory_bytes, self._numeric)
        return other

    def as_recorded(self) -> Dataset:
        """The same dataset frame by frame as it was recorded: numpy, pictures (H, W, 3) uint8, no windows."""
        other = copy.copy(self)
        other._to, other._images, other._windows, other._stream_deltas_ns = "numpy", "uint8", {}, {}
        return other

    def select(self, keys: Collection[str]) -> Dataset:
        """The same dataset with the named features only; LeRobot's index columns and `task` stay. UnknownName."""
        other = copy.copy(self)
        other._spec = self.spec.select(keys)
        other._cameras = tuple(c for c in self._cameras if c in other._spec)
        other._numeric = tuple(n for n in self._numeric if n in other._spec or n in INDEX_FEATURES)
        other._windows = {k: w for k, w in self._windows.items() if k in other._spec or k in INDEX_FEATURES}
        return other

    def raw_item(self, index: int) -> dict[str, Any]:
        """As `ds[index]` in numpy, but a picture that will be float32 is still uint8: a quarter of the bytes.

        `finish` does the rest; a shuffle buffer holds what is between the two.
        """
        return self._item(index, np.uint8)

    def finish(self, item: dict[str, Any]) -> dict[str, Any]:
        """What `raw_item` gave, as `ds[index]` gives it."""
        if self._images == "float32":
            for camera in self._cameras:
                if item[camera].dtype == np.uint8:
                    item[camera] = np.divide(item[camera], np.float32(255))
        if self._to == "numpy":
            return item
        import torch

        tensor = torch.from_numpy
        return {
            key: value
            if isinstance(value, str)
            else tensor(value if isinstance(value, np.ndarray) else np.array(value))
            for key, value in item.items()
        }

    def _item(self, index: int, picture_dtype: type[np.uint8 | np.float32]) -> dict[str, Any]:
        if not -self._length <= index < self._length:
            raise IndexError(f"frame {index} of {self._length}")
        index = int(index) % self._length
        number = bisect_right(self._starts, index) - 1
        episode = self._catalog.episodes[number]
        length, frame = episode.length, index - self._starts[number]
        columns, first = self._columns.rows(number)
        item: dict[str, Any] = {}
        for key in self._cameras:
            window = self._windows.get(key)
            if window is None:
                item[key] = self._pictures(episode, key, [frame], picture_dtype)[0]
                continue
            frames, item[f"{key}_is_pad"] = window.frames(frame, length)
            item[key] = self._pictures(episode, key, frames.tolist(), picture_dtype)
        for key in self._numeric:
            window = self._windows.get(key)
            if window is None:
                item[key] = columns[key][first + frame].copy()
            else:
                item[key], item[f"{key}_is_pad"] = window.take(columns[key], first, frame, length)
        for key in self._stream_deltas_ns:
            item[key], item[f"{key}_is_pad"] = self._resampled(number, key, frame)
        item["task"] = self._catalog.tasks[int(columns["task_index"][first + frame])]
        return item

    def _pictures(
        self, episode: EpisodeInfo, camera: str, frames: Sequence[int], dtype: type[np.uint8 | np.float32]
    ) -> Array:
        """(n, H, W, 3) uint8 where that was asked for, else (n, 3, H, W) in this dtype."""
        reader, first = self._reader(episode, camera)
        numbers = [first + frame for frame in frames]
        return reader.read(numbers) if self._images == "uint8" else reader.read_planes(numbers, dtype)

    def _reader(self, episode: EpisodeInfo, camera: str) -> tuple[VideoReader, int]:
        """The camera's video, and where the episode begins in it."""
        path, first = self._catalog.locations[episode.index].videos[camera]
        reader = self._videos.get(path)
        size = (reader.probe.height, reader.probe.width, 3)
        if size != self._shapes[camera]:
            raise BadData(path, camera, list(self._shapes[camera]), list(size))
        return reader, first

    def arrays(self, name: str) -> Array:
        """A numeric column of the whole dataset, (N, *field.shape), or (N,) for LeRobot's index columns.

        Loaded once, no video touched; do not write to it. UnknownName for a camera or a name that is not there.
        """
        column = self._columns.whole(name)
        return column if name in INDEX_FEATURES else column.reshape(len(column), *self.spec[name].shape)

    def statistics(self, name: str) -> Statistics:
        """Exact statistics of a numeric column, saved but unsealed episodes included."""
        return Statistics.of(self.arrays(name))

    def decode(self, episode: int, camera: str) -> NDArray[np.uint8]:
        """All pictures of one camera of one episode, (T, H, W, 3) uint8 RGB."""
        if camera not in self._cameras:
            raise UnknownName("camera", camera, self._cameras)
        info = self.episodes[episode]
        reader, first = self._reader(info, camera)
        return reader.read(range(first, first + info.length))

    def episode(self, index: int, images: bool = True) -> Episode:
        """One episode in memory, with its pictures or without."""
        info = self.episodes[index]
        spec = self.spec if images else self.spec.select([f.name for f in self.spec if not f.is_image])
        columns, first = self._columns.rows(info.index)
        rows = slice(first, first + info.length)
        arrays = {
            f.name: self.decode(index, f.name) if f.is_image else columns[f.name][rows].reshape(info.length, *f.shape)
            for f in spec
        }
        return Episode(
            id=info.id,
            spec=spec,
            arrays=arrays,
            instruction=info.instruction,
            provenance=info.provenance,
            outcome=info.outcome,
        )

    def stream(self, episode: int, name: str) -> Stream:
        """A sensor of one episode at its own rate; BadData when this episode does not have it."""
        if name not in self.streams:
            raise UnknownName("stream", name, self.streams)
        info = self.episodes[episode]
        key = info.index, name
        kept = self._streams.pop(key, None)
        if kept is None:
            location = self._catalog.locations[info.index]
            if location.sealed:
                path = stream_path(Layout(self.root).own / "streams", name, info.id)
            else:
                path = stream_path(location.table.parent / "streams", name)
            kept = read_stream(path)
        self._streams[key] = kept
        while len(self._streams) > _KEPT_STREAMS:
            self._streams.popitem(last=False)
        return kept

    def _resampled(self, number: int, name: str, frame: int) -> tuple[Array, NDArray[np.bool_]]:
        stream = self.stream(number, name)
        if not len(stream.time_ns):
            raise BadData(self.root, f"stream {name} of {self.episodes[number].id}", "samples", "none")
        columns, first = self._columns.rows(number)
        if FRAME_TIMES in columns:
            now = int(columns[FRAME_TIMES][first + frame])
        else:
            now = int(stream.time_ns[0]) + round(frame * 10**9 / self.fps)
        return resample(stream, now + self._stream_deltas_ns[name], self._resampling.get(name, "previous"))
