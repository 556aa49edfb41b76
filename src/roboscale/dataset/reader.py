"""Reading: random access to frames, windows in seconds, whole columns, whole episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core.episode import Episode
from roboscale.core.errors import BadData, SpecMismatch, UnknownName
from roboscale.core.spec import Spec
from roboscale.dataset.catalog import Catalog, EpisodeInfo, index_columns, load_catalog
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.dataset.statistics import Statistics
from roboscale.dataset.tables import count_rows, read_columns
from roboscale.dataset.video import VideoCache

__all__ = ["Dataset"]

Array = NDArray[Any]


class Dataset:
    """A LeRobotDataset v3.0 on disk; works as a torch `Dataset`.

    Also reads a dataset whose recorder was killed, every saved episode included, without changing it. Safe to touch
    before workers are forked, and picklable.

    Args:
        root: folder of the dataset.
        delta_timestamps: key -> seconds relative to each frame, as LeRobot's: `ds[i][key]` becomes a window of
            shape (W, ...), clamped at the ends of the episode, with `ds[i][key + "_is_pad"]` (W,) bool.
        to: `numpy` arrays or `torch` tensors.
        images: `float32` gives (3, H, W) in 0..1, as LeRobot does; `uint8` gives (H, W, 3) as recorded.
        tolerance_s: how far a delta may be from a multiple of 1/fps.

    Raises:
        BadData: a file is broken, missing or lies.
        UnknownName: a key of `delta_timestamps` that is no feature.
    """

    def __init__(
        self,
        root: Path,
        *,
        delta_timestamps: Mapping[str, Sequence[float]] | None = None,
        to: Literal["numpy", "torch"] = "numpy",
        images: Literal["float32", "uint8"] = "float32",
        tolerance_s: float = 1e-4,
    ) -> None:
        self.root = Path(root)
        self._to, self._images = to, images
        self._catalog: Catalog = load_catalog(self.root)
        self._cameras = self._catalog.info.cameras
        self._numeric = self._catalog.info.columns
        self._windows = self._window_offsets(delta_timestamps or {}, tolerance_s)
        self._starts = np.array([e.from_index for e in self.episodes], np.int64)
        self._columns: dict[str, Array] = {}
        self._videos = VideoCache(self._catalog.info.fps)

    @property
    def spec(self) -> Spec:
        """What the arrays mean. A dataset that somebody else wrote has units `unknown`."""
        return self._catalog.spec

    @property
    def episodes(self) -> tuple[EpisodeInfo, ...]:
        """All saved episodes; position i has index i."""
        return self._catalog.episodes

    @property
    def fps(self) -> int:
        return self._catalog.info.fps

    def __len__(self) -> int:
        last = self.episodes[-1] if self.episodes else None
        return last.from_index + last.length if last else 0

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One frame: every feature, LeRobot's index columns, and `task`, the instruction."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index = int(index) % len(self)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        episode = self.episodes[number]
        item: dict[str, Any] = {}
        for key in (*self._cameras, *self._numeric):
            offsets = self._windows.get(key)
            if offsets is None:
                item[key] = self._tensor(self._values(key, episode, [index])[0])
                continue
            wanted = index + offsets
            first, last = episode.from_index, episode.from_index + episode.length - 1
            item[key] = self._tensor(self._values(key, episode, np.clip(wanted, first, last)))
            item[f"{key}_is_pad"] = self._tensor((wanted < first) | (wanted > last))
        item["task"] = self._catalog.tasks[int(self._column("task_index")[index])]
        return item

    def _values(self, key: str, episode: EpisodeInfo, frames: Sequence[int] | NDArray[np.int64]) -> Array:
        """Of one feature at frames of one episode, by their index in the dataset."""
        if key not in self._cameras:
            return np.asarray(self._column(key)[frames])
        images = self._decode(episode, key, [int(frame) - episode.from_index for frame in frames])
        if self._images == "uint8":
            return images
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)

    def _window_offsets(self, deltas: Mapping[str, Sequence[float]], tolerance_s: float) -> dict[str, Array]:
        fps, offsets = self._catalog.info.fps, {}
        for key, seconds in deltas.items():
            if key not in self._cameras and key not in self._numeric:
                raise UnknownName("feature", key, (*self._cameras, *self._numeric))
            steps = np.asarray(seconds, np.float64) * fps
            off = np.abs(steps - np.round(steps)) / fps > tolerance_s
            if off.any():
                wrong = np.asarray(seconds)[off].tolist()
                raise SpecMismatch(f"delta_timestamps: {key}: expected multiples of 1/{fps} s, found {wrong}")
            offsets[key] = np.round(steps).astype(np.int64)
        return offsets

    def _tensor(self, value: Any) -> Any:
        if self._to == "numpy":
            return value
        import torch

        return torch.as_tensor(np.array(value))

    def arrays(self, name: str) -> Array:
        """A numeric column of the whole dataset, (N, *field.shape), or (N,) for LeRobot's index columns.

        Loaded once, no video touched; do not write to it. UnknownName for a camera or a name that is not there.
        """
        column = self._column(name)
        return column if name in INDEX_FEATURES else column.reshape(len(column), *self.spec[name].shape)

    def statistics(self, name: str) -> Statistics:
        """Exact statistics of a numeric column, saved but unsealed episodes included."""
        return Statistics.of(self.arrays(name))

    def _column(self, name: str) -> Array:
        """As `arrays`, but a feature of shape (1,) is (N,), as LeRobot's loader gives it."""
        if name not in self._numeric:
            raise UnknownName("numeric feature", name, self._numeric)
        if name not in self._columns:
            self._load()
        return self._columns[name]

    def _load(self) -> None:
        """Reads all numeric columns, file by file."""
        parts: dict[str, list[Array]] = {name: [] for name in self._numeric}
        tables: dict[Path, list[EpisodeInfo]] = {}
        for episode, location in zip(self.episodes, self._catalog.locations, strict=True):
            tables.setdefault(location.table, []).append(episode)
        for path, episodes in tables.items():
            for name, array in self._read_table(path, episodes).items():
                parts[name].append(array)
        empty = {
            n: np.empty((0, *(f["shape"] if f["shape"] != [1] else ())), f["dtype"]) for n, f in self._numeric.items()
        }
        self._columns = {name: np.concatenate(p) if p else empty[name] for name, p in parts.items()}
        for array in self._columns.values():
            array.flags.writeable = False

    def _read_table(self, path: Path, episodes: Sequence[EpisodeInfo]) -> dict[str, Array]:
        expected = sum(episode.length for episode in episodes)
        found = count_rows(path)
        if found != expected:
            raise BadData(path, "rows", f"{expected} as in meta/episodes", found)
        first = episodes[0]
        if self._catalog.locations[first.index].sealed:
            columns = read_columns(path, self._numeric)
            if not np.array_equal(columns["index"], first.from_index + np.arange(expected)):
                raise BadData(path, "index", f"{first.from_index} counting up", columns["index"][:3].tolist())
            return columns
        own = {name: f for name, f in self._numeric.items() if name in self.spec}
        task = self._catalog.tasks.index(first.instruction)
        return {**read_columns(path, own), **index_columns(first, task, self._catalog.info.fps)}

    def decode(self, episode: int, camera: str) -> NDArray[np.uint8]:
        """All pictures of one camera of one episode, (T, H, W, 3) uint8 RGB."""
        info = self.episodes[episode]
        return self._decode(info, camera, range(info.length))

    def _decode(self, episode: EpisodeInfo, camera: str, frames: Sequence[int]) -> NDArray[np.uint8]:
        if camera not in self._cameras:
            raise UnknownName("camera", camera, self._cameras)
        path, first = self._catalog.locations[episode.index].videos[camera]
        images = self._videos.get(path).read([first + frame for frame in frames])
        if images.shape[1:] != self.spec[camera].shape:
            raise BadData(path, camera, list(self.spec[camera].shape), list(images.shape[1:]))
        return images

    def episode(self, index: int, images: bool = True) -> Episode:
        """One episode in memory, with its pictures or without."""
        info = self.episodes[index]
        spec = self.spec if images else self.spec.select([f.name for f in self.spec if not f.is_image])
        rows = slice(info.from_index, info.from_index + info.length)
        arrays = {f.name: self.decode(index, f.name) if f.is_image else self.arrays(f.name)[rows] for f in spec}
        return Episode(info.id, spec, arrays, info.instruction, info.provenance, info.outcome)
