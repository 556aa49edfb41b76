"""What the page knows of a dataset: its episodes, its curves, its cameras. Reads one episode at a time.

Memory follows the metadata and one episode, not the dataset. Knows no HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import BadData
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.dataset.lerobot.catalog import EpisodeInfo, load_catalog, streams_at
from roboscale.dataset.streams import FRAME_TIMES, read_stream, resample
from roboscale.dataset.tables import read_columns
from roboscale.web.show.framing import pack_parts

__all__ = ["Library"]

_ELEMENTS = 512  # curves of one field; a tactile image has more, and nobody can tell so many lines apart
_VALUES = 4_000_000  # numbers sent for one episode, 32 MB; beyond that every n-th frame


@dataclass(frozen=True, slots=True)
class _Group:
    """The curves of one field: what they are called, and their values (elements, frames)."""

    head: Mapping[str, Any]
    values: NDArray[np.float64]


class Library:
    """A dataset, opened for looking at it.

    Args:
        root: folder of a LeRobotDataset v3.0, whoever wrote it.

    Raises:
        BadData: its metadata are broken; names file and field.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.catalog = load_catalog(self.root)
        self._first_rows: dict[Path, int] = {}
        for episode, at in zip(self.catalog.episodes, self.catalog.locations, strict=True):
            self._first_rows.setdefault(at.table, episode.from_index)

    @property
    def episodes(self) -> tuple[EpisodeInfo, ...]:
        return self.catalog.episodes

    @property
    def cameras(self) -> tuple[str, ...]:
        return self.catalog.info.cameras

    def describe(self) -> dict[str, Any]:
        """What the page says of the whole dataset; JSON types."""
        info, episodes = self.catalog.info, self.episodes
        frames = sum(episode.length for episode in episodes)
        return {
            "name": self.root.resolve().name,
            "root": str(self.root.resolve()),
            "robot": str(info.raw.get("robot_type") or ""),
            "fps": info.fps,
            "episodes": len(episodes),
            "frames": frames,
            "hours": frames / info.fps / 3600,
            "tasks": len({episode.instruction for episode in episodes}),
            "licences": sorted({episode.provenance.licence for episode in episodes if episode.provenance.licence}),
            "cameras": [self._camera(name) for name in self.cameras],
        }

    def _camera(self, name: str) -> dict[str, Any]:
        field = self.catalog.spec[name]
        codec = self.catalog.info.features[name].get("info") or {}
        height, width = field.shape[:2]
        codec_name = codec.get("video.codec", "") if isinstance(codec, dict) else ""
        return {"name": name, "height": height, "width": width, "role": field.role, "codec": str(codec_name)}

    def details(self, index: int) -> dict[str, Any]:
        """What is known of one episode besides its frames; JSON types."""
        episode = self.episodes[index]
        return {
            "index": index,
            "id": episode.id,
            "frames": episode.length,
            "seconds": episode.length / self.catalog.info.fps,
            "task": episode.instruction,
            "outcome": episode.outcome.to_json() if episode.outcome else None,
            "provenance": episode.provenance.to_json(),
            "pending": not self.catalog.locations[index].sealed,
        }

    def curves(self, index: int) -> bytes:
        """Every numeric field of an episode, as `framing.pack` lays it out.

        The head is `{"frames", "step", "groups": [{"name", "unit", "mode", "frame", "names", "size", "error"}]}`;
        the body holds float64 values (elements, frames / step) of each group in turn, NaN where there is none. A
        column that is broken has an `error` and no values; the others have theirs.
        """
        length = self.episodes[index].length
        names = [n for n in self.catalog.info.columns if n not in INDEX_FEATURES]
        kept = sum(min(_ELEMENTS, int(np.prod(self.catalog.spec[n].shape))) for n in names)
        step = max(1, -(-length * kept // _VALUES))
        groups = [*(self._group(index, name, step) for name in names), *self._streams(index, step)]
        head = {"frames": length, "step": step, "groups": [group.head for group in groups]}
        return pack_parts(head, [np.ascontiguousarray(group.values, "<f8").tobytes() for group in groups])

    def _group(self, index: int, name: str, step: int) -> _Group:
        field = self.catalog.spec[name]
        size = int(np.prod(field.shape))
        head = {"name": name, "unit": field.unit, "mode": field.mode, "frame": field.frame, "size": size}
        try:
            values = self._column(index, name).reshape(-1, size)[::step, :_ELEMENTS].T.astype(np.float64)
        except BadData as error:
            return _Group({**head, "names": [], "error": str(error)}, np.empty((0, 0)))
        return _Group({**head, "names": _names(field.shape, field.layout)[:_ELEMENTS], "error": ""}, values)

    def _streams(self, index: int, step: int) -> list[_Group]:
        """Sensors at their own rate, at the frames' times: the last value that was there by then."""
        episode, at = self.episodes[index], self.catalog.locations[index]
        paths = streams_at(self.root, at, episode.id)
        groups: list[_Group] = []
        for name, path in paths.items():
            head: dict[str, Any] = {"name": name, "unit": "", "mode": "", "frame": "", "size": 0}
            try:
                stream, times = read_stream(path), self._column(index, FRAME_TIMES).reshape(-1)[::step]
                shape = stream.values.shape[1:]
                values, outside = resample(stream, times, "previous")
                rows = values.reshape(len(times), -1)[:, :_ELEMENTS].astype(np.float64)
                rows[outside] = np.nan
            except (BadData, KeyError) as error:
                groups.append(_Group({**head, "names": [], "error": str(error)}, np.empty((0, 0))))
                continue
            span = (stream.time_ns[-1] - stream.time_ns[0]) / 1e9
            rate = f"at its own rate, {(len(stream.time_ns) - 1) / span:.4g} Hz" if span > 0 else "at its own rate"
            names = _names(shape, stream.layout)[:_ELEMENTS] if shape else [name]
            said = {"unit": stream.unit, "mode": rate, "size": rows.shape[1], "names": names, "error": ""}
            groups.append(_Group({**head, **said}, rows.T))
        return groups

    def _column(self, index: int, name: str) -> NDArray[Any]:
        """One column of one episode; only its row groups are read."""
        episode, table = self.episodes[index], self.catalog.locations[index].table
        feature = self.catalog.info.columns[name]
        if np.dtype(feature["dtype"]).kind not in "biuf":
            raise BadData(table, name, "numbers", feature["dtype"])
        first = episode.from_index - self._first_rows[table]
        return read_columns(table, {name: feature}, range(first, first + episode.length))[name]


def _names(shape: tuple[int, ...], layout: tuple[str, ...]) -> list[str]:
    """A name for every element, in the order of the flattened array."""
    if len(shape) == 1 and layout:
        return list(layout)
    return [json.dumps(list(map(int, at))) if len(shape) > 1 else str(at[0]) for at in np.ndindex(*shape)]
