"""Opens the zarr layout of diffusion_policy and UMI: all episodes of an array end to end, and where each ends.

    data/<name>            (N, ...)
    meta/episode_ends      (E,) integers, the row after the last of each episode

Knows neither rate nor instruction, and units only where UMI fixes them; a store that roboscale wrote says more in its
`.zattrs`. Format 2 has no checksums: what a codec cannot notice in a changed chunk nobody can. A zip has them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding, Origin, Provenance, RecordedEpisode, Spec, UnknownName
from roboscale.sources.records.zarr.array import Absent, ZarrArray
from roboscale.sources.records.zarr.codecs import JPEG_XL
from roboscale.sources.records.zarr.mapping import field_name, numeric_field, picture_field
from roboscale.sources.records.zarr.notes import Notes, load_notes
from roboscale.sources.records.zarr.pictures import StoredPictures, picture_shape
from roboscale.sources.records.zarr.store import ByteStore, open_store

__all__ = ["ZarrRecording"]

_ENDS = "meta/episode_ends"
_MOST_EPISODES = 2**27


class ZarrRecording:
    """A replay buffer on disk as a `Recording`.

    Args:
        path: folder or zip file.
        format: `zarr` or `umi-zarr`.
        fps: rate of the rows, Hz; needed unless roboscale wrote the store.
        absent: what to do about chunks that are not there: `fail`, or `fill` with the array's `fill_value`.

    Raises:
        BadData: the store is broken, or its arrays do not end where the episodes end.
        UnknownName: `absent` is neither.
    """

    licence = ""

    def __init__(self, path: Path, format: str, *, fps: float | None = None, absent: Absent = "fail") -> None:
        if absent not in ("fail", "fill"):
            raise UnknownName("way to treat absent chunks", absent, ("fail", "fill"))
        self.root, self.format = path, format
        self.robot_type = "umi" if format == "umi-zarr" else ""
        self._store: ByteStore = open_store(path)
        self._ends = self._episode_ends(absent)
        self.keys: Sequence[str] = tuple(f"{number:06d}" for number in range(len(self._ends)))
        self._positions = {key: number for number, key in enumerate(self.keys)}
        self._notes: Notes = load_notes(self._store, len(self._ends))
        self._unmapped: dict[str, str] = {}
        self._numeric: dict[str, tuple[str, ZarrArray]] = {}
        self._cameras: dict[str, tuple[str, ZarrArray]] = {}
        self._sort(absent)
        self.unmapped: Mapping[str, str] = self._unmapped
        self.spec = Spec(self._fields(), self._rate(fps))
        self.origins: Sequence[Origin] = tuple(self._origins())
        self.missing: Mapping[str, Sequence[str]] = {}
        self.findings: Sequence[Finding] = tuple(self._findings())

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode. `Recording.read` says what is promised."""
        if key not in self._positions:
            raise UnknownName("episode", key, self.keys)
        number = self._positions[key]
        first = int(self._ends[number - 1]) if number else 0
        count = int(self._ends[number]) - first
        arrays = {}
        for name, (_, array) in self._numeric.items():
            rows = array[first : first + count]
            arrays[name] = rows.reshape(count, 1) if rows.ndim == 1 else rows
        pictures = {
            name: StoredPictures(self.root, source, array, first, count)
            for name, (source, array) in self._cameras.items()
            if cameras is None or name in cameras
        }
        details = {"episode": number, "first_row": first}
        return RecordedEpisode(
            key=key,
            arrays=arrays,
            pictures=pictures,
            instruction=self._notes.instructions[number] if self._notes.instructions else "",
            provenance=Provenance(f"records.{self.format}", embodiment=self.robot_type, details=details),
            id=self._notes.ids[number] if self._notes.ids else "",
        )

    def close(self) -> None:
        """Lets go of a zip file."""
        self._store.close()

    def _episode_ends(self, absent: Absent) -> NDArray[np.int64]:
        array = ZarrArray(self._store, _ENDS, absent)
        if len(array.shape) != 1 or array.dtype.kind not in "iu" or not 0 < len(array) <= _MOST_EPISODES:
            found = f"{array.dtype}{list(array.shape)}"
            raise BadData(self.root, _ENDS, f"1 to {_MOST_EPISODES} integers", found)
        ends = array[:]
        if not (ends[0] > 0 and (ends[1:] > ends[:-1]).all() and ends[-1] < 2**48):
            at = 0 if ends[0] <= 0 else int(np.argmin(np.append(ends[1:] > ends[:-1], False))) + 1
            raise BadData(
                self.root, _ENDS, "increasing from above 0", f"{ends[max(at - 1, 0) : at + 1].tolist()} at {at}"
            )
        return np.asarray(ends, np.int64)

    def _sort(self, absent: Absent) -> None:
        """Every array becomes a column, a camera, or gets a reason."""
        paths = list(self._store.arrays("data"))
        if not paths:
            raise BadData(self.root, "data", "arrays", "none")
        for path in paths:
            array, source = ZarrArray(self._store, path, absent), path.removeprefix("data/")
            if len(array) != self._ends[-1]:
                expected = f"{self._ends[-1]} rows, where the last of {len(self._ends)} episodes ends"
                raise BadData(self.root, path, expected, f"{len(array)} rows")
            camera = picture_shape(array) is not None
            reason = self._why_not(path, array, camera)
            if reason:
                self._unmapped[path] = reason
                continue
            name = self._notes.fields.get(source) or field_name(source, camera)
            if name in self._numeric or name in self._cameras:
                raise BadData(self.root, path, f"a name other than {name}", "two arrays of that name")
            (self._cameras if camera else self._numeric)[name] = (path, array)
        for path in self._store.arrays("meta"):
            if path != _ENDS:
                self._unmapped[path] = "about the set and not about frames; only episode_ends is defined"

    def _why_not(self, path: str, array: ZarrArray, camera: bool) -> str:
        if array.dtype.kind not in "fiub":
            return f"{array.dtype} is no number"
        if camera and array.dtype != np.uint8:
            try:
                next(iter(StoredPictures(self.root, path, array, 0, 1)))
            except BadData as error:
                if "whole numbers" not in str(error.expected):
                    raise
                return "pictures of floats that are not whole numbers from 0 to 255: nothing says what white is"
        if not camera and (len(array.shape) > 5 or (len(array.shape) == 4 and array.dtype == np.uint8)):
            return f"{array.dtype}{list(array.shape[1:])} is neither a picture nor a small array"
        return ""

    def _fields(self) -> tuple[Any, ...]:
        others = [path.removeprefix("data/") for path, _ in self._numeric.values()]
        numeric = (
            numeric_field(name, path.removeprefix("data/"), array.shape[1:], array.dtype)
            for name, (path, array) in self._numeric.items()
        )
        cameras = (
            picture_field(name, path.removeprefix("data/"), picture_shape(array) or (), others)
            for name, (path, array) in self._cameras.items()
        )
        return (*numeric, *cameras)

    def _rate(self, fps: float | None) -> float:
        rate = self._notes.rate_hz if fps is None else fps
        if rate is None:
            raise BadData(self.root, "fps", "the rate, which zarr does not store: --fps", "nothing")
        if not (math.isfinite(rate) and rate > 0):
            raise BadData(self.root, "fps", "a positive rate in Hz", rate)
        return float(rate)

    def _origins(self) -> list[Origin]:
        origins = [Origin(name, path) for name, (path, _) in self._numeric.items()]
        for name, (path, array) in self._cameras.items():
            copied = "JPEG XL decoded" if array.codec == JPEG_XL else "copied"
            done = copied if array.dtype == np.uint8 else f"{array.dtype} pictures of whole numbers made uint8"
            origins.append(Origin(name, path, done if array.shape[3] == 3 else f"{done}, channels moved last"))
        return origins

    def _findings(self) -> list[Finding]:
        findings = []
        for name, (path, array) in (self._numeric | self._cameras).items():
            if array.cut_axes:
                axes = ", ".join(map(str, array.cut_axes))
                text = (
                    f"chunks of {path} are longer than its shape {list(array.shape)} along axis {axes}: cut off there"
                )
                findings.append(Finding("cut-chunks", "warning", text, field=name))
        if "action" not in self.spec:
            findings.append(self._no_action())
        return findings

    def _no_action(self) -> Finding:
        if self.format == "umi-zarr":
            text = "UMI stores no action: its training code takes the next poses for it, and none is invented here"
            return Finding("no-action", "info", text)
        return Finding("no-action", "warning", "the store holds no array called action, and none is invented")
