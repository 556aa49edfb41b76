"""Where everything of a dataset lies, and what `meta/info.json` says. LeRobotDataset v3.0.

    meta/info.json  meta/stats.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
    data/chunk-000/file-000.parquet          many episodes a file, one row group each
    videos/<camera>/chunk-000/file-000.mp4   many episodes a file
    meta/roboscale/                          what LeRobot has no place for; LeRobot ignores it
        spec.json                            units, frames, layouts of every field, the codec
        episodes/chunk-000/file-000.jsonl    one line per sealed episode: id, outcome, provenance
        statistics.npz                       mergeable statistics of everything sealed
        staging/ pending/ sealing/           see `journal`
        attempts.jsonl                       of a set that is driven, see `attempts`
        quarantine/                          what `repair` took out of the way

Knows paths and one JSON file. Does not know parquet or video.
"""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core.errors import BadData, SpecMismatch
from roboscale.core.spec import Field, Spec
from roboscale.dataset.rates import fps_number
from roboscale.dataset.unfetched import require_fetched

__all__ = [
    "CODEBASE_VERSION",
    "FORMAT_SPEC",
    "INDEX_FEATURES",
    "OPAQUE",
    "UNREAD",
    "Info",
    "Layout",
    "atomic_write",
    "confined",
    "features_from_spec",
    "is_colour",
    "is_varying",
    "load_json",
    "new_info",
    "spec_from_features",
    "to_json",
]

CODEBASE_VERSION = "v3.0"
CHUNK_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{CHUNK_FILE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{CHUNK_FILE}.mp4"

FORMAT_SPEC = re.compile(r"(0?[1-9]d?|d)?")  # a width of a billion would be as many bytes

INDEX_FEATURES: Mapping[str, Mapping[str, Any]] = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    "index": {"dtype": "int64", "shape": [1], "names": None},
    "task_index": {"dtype": "int64", "shape": [1], "names": None},
}
"""Features that LeRobot adds to every dataset."""


OPAQUE = (
    *("string", "language", "text", "str", "json", "dict", "list"),
    *("audio", "bytes", "binary", "pointcloud"),
)
"""Types of features whose rows nobody here looks into: LeRobot's texts, and words of other and newer writers."""

_VARYING = "rows of several lengths"
UNREAD = ("video", "image", *OPAQUE)
"""Types of features that are no numeric columns."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths under one dataset root."""

    root: Path

    @property
    def info(self) -> Path:
        return self.root / "meta/info.json"

    @property
    def tasks(self) -> Path:
        return self.root / "meta/tasks.parquet"

    @property
    def episodes(self) -> Path:
        return self.root / "meta/episodes"

    @property
    def own(self) -> Path:
        return self.root / "meta/roboscale"

    @property
    def spec(self) -> Path:
        return self.own / "spec.json"

    @property
    def statistics(self) -> Path:
        return self.own / "statistics.npz"

    @property
    def staging(self) -> Path:
        return self.own / "staging"

    @property
    def pending(self) -> Path:
        return self.own / "pending"

    @property
    def sealing(self) -> Path:
        return self.own / "sealing"

    @property
    def quarantine(self) -> Path:
        return self.own / "quarantine"

    @property
    def lock(self) -> Path:
        return self.own / "lock"


def confined(root: Path, relative: str, file: object, field: str) -> Path:
    """`root / relative`; BadData when that lies outside `root`.

    Lexical on purpose: the Hub's cache keeps its files as links to a folder outside.
    """
    normal = os.path.normpath(relative)
    if Path(relative).is_absolute() or normal == ".." or normal.startswith(f"..{os.sep}"):
        raise BadData(file, field, "a path inside the dataset", relative)
    return root / normal


def to_json(data: object) -> bytes:
    return (json.dumps(data, indent=4, ensure_ascii=False) + "\n").encode()


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; BadData when it is missing or broken."""
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        require_fetched(path)
        raise BadData(path, "file", "to exist", "nothing") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        require_fetched(path)
        raise BadData(path, "file", "JSON", error) from error
    if not isinstance(data, dict):
        raise BadData(path, "file", "a JSON object", type(data).__name__)
    return data


def atomic_write(path: Path, data: bytes) -> None:
    """Readers see the old file or the new one, never a part of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


@dataclass(frozen=True, slots=True)
class Info:
    """`meta/info.json`, checked by whoever read it. `raw` keeps the keys that we do not know."""

    root: Path
    raw: Mapping[str, Any]

    @property
    def file(self) -> Path:
        return Layout(self.root).info

    @property
    def fps(self) -> int | float:
        """Frames a second; 29.97 stands for 30000/1001."""
        return fps_number(self.raw["fps"])

    @property
    def total_episodes(self) -> int:
        return int(self.raw["total_episodes"])

    @property
    def total_frames(self) -> int:
        return int(self.raw["total_frames"])

    @property
    def chunks_size(self) -> int:
        return int(self.raw["chunks_size"])

    @property
    def data_bytes(self) -> int:
        return int(self.raw["data_files_size_in_mb"]) * 2**20

    @property
    def video_bytes(self) -> int:
        return int(self.raw["video_files_size_in_mb"]) * 2**20

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        features: Mapping[str, Mapping[str, Any]] = self.raw["features"]
        return features

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(name for name, feature in self.features.items() if feature["dtype"] == "video")

    @property
    def colour_cameras(self) -> tuple[str, ...]:
        """Those of `cameras` that our decoder can show: not depth of a newer writer, whose pictures are codes."""
        return tuple(name for name in self.cameras if is_colour(self.features[name]))

    @property
    def columns(self) -> dict[str, Mapping[str, Any]]:
        """The numeric features, the ones that LeRobot adds included; not pictures as plain numbers."""
        plain = {name: f for name, f in self.features.items() if f["dtype"] not in UNREAD and not is_varying(f)}
        return {name: f for name, f in plain.items() if not _is_picture(f)}

    @property
    def left_out(self) -> dict[str, str]:
        """Features that `Dataset` does not read, and why."""
        reasons = {"image": "pictures inside parquet: import them", "video": "depth or grey pictures in a video"}
        reasons["uint8"] = "pictures as plain numbers"
        read = {*self.colour_cameras, *self.columns}
        rest = {name: feature for name, feature in self.features.items() if name not in read}
        return {
            n: "rows of several lengths" if is_varying(f) else reasons.get(f["dtype"], "text") for n, f in rest.items()
        }

    @property
    def carried_columns(self) -> tuple[str, ...]:
        """Columns of the data files that stay as they are: texts, and pictures inside parquet."""
        return tuple(name for name in self.left_out if self.features[name]["dtype"] != "video")

    def data_file(self, chunk: int, file: int) -> Path:
        return self._fill("data_path", chunk_index=chunk, file_index=file)

    def video_file(self, camera: str, chunk: int, file: int) -> Path:
        return self._fill("video_path", video_key=camera, chunk_index=chunk, file_index=file)

    def _fill(self, key: str, **values: int | str) -> Path:
        template = self.raw[key]
        try:
            parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
            plain = all(
                name in values and FORMAT_SPEC.fullmatch(spec or "") and not how for _, name, spec, how in parts
            )
            text = template.format(**values) if plain else None
        except (ValueError, TypeError, AttributeError):
            text = None
        if text is None:
            raise BadData(self.file, key, f"a template of {', '.join(values)}", repr(template))
        return confined(self.root, text, self.file, key)


def _is_picture(feature: Mapping[str, Any]) -> bool:
    """Whether plain numbers in the tables are pictures, e.g. of a tactile sensor: a `Field` of theirs is an image."""
    return feature["dtype"] == "uint8" and len(feature["shape"]) == 3


def is_varying(feature: Mapping[str, Any]) -> bool:
    """Whether rows of numbers have several lengths, as -1 or null among the sizes says: no array holds them."""
    return feature.get("dtype") not in (None, *UNREAD) and any(size is None or size == -1 for size in feature["shape"])


def is_colour(feature: Mapping[str, Any]) -> bool:
    """Whether a camera holds colour pictures. Depth of a newer writer is codes, which our decoder sees as pictures."""
    said = feature.get("info") or feature.get("video_info") or {}
    shape = feature.get("shape") or []
    depth = isinstance(said, dict) and (said.get("is_depth_map") or said.get("video.is_depth_map"))
    return not depth and 3 in (shape[-1:] + shape[:1])


def features_from_spec(spec: Spec, videos: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """LeRobot's `features`; `videos` holds what `info` of each camera says."""
    features: dict[str, Any] = {}
    for field in spec:
        if "/" in field.name or field.name.startswith(".") or field.name in INDEX_FEATURES or field.name == "task":
            raise SpecMismatch(f"{field.name!r} cannot be a feature: LeRobot keeps that name, or it holds a /")
        if field.is_image:
            names: list[str] | None = ["height", "width", "channels"]
            entry = {"dtype": "video", "shape": list(field.shape), "names": names, "info": dict(videos[field.name])}
        else:
            names = list(field.layout) if field.layout and len(field.shape) == 1 else None
            entry = {"dtype": np.dtype(field.dtype).name, "shape": list(field.shape) or [1], "names": names}
        features[field.name] = entry
    return {**features, **{name: dict(feature) for name, feature in INDEX_FEATURES.items()}}


def spec_from_features(info: Info) -> Spec:
    """The spec of a dataset that somebody else wrote: names, shapes and dtypes; units are unknown to LeRobot."""
    fields = []
    for name, feature in info.features.items():
        if name in INDEX_FEATURES or name in info.left_out:
            continue
        shape = tuple(feature["shape"])
        names = feature.get("names")
        layout = (
            tuple(map(str, names)) if isinstance(names, list) and len(shape) == 1 and len(names) == shape[0] else ()
        )
        dtype = "uint8" if feature["dtype"] == "video" else feature["dtype"]
        fields.append(Field(name, shape, dtype, unit="unknown", layout=layout))
    return Spec(tuple(fields), float(info.fps))


def new_info(spec: Spec, features: Mapping[str, Any], robot_type: str) -> dict[str, Any]:
    """`info.json` of a dataset without episodes, with LeRobot 0.4's limits."""
    return {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": robot_type or None,
        "total_episodes": 0,
        "total_frames": 0,
        "total_tasks": 0,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps_number(spec.rate_hz),
        "splits": {},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if spec.images else None,
        "features": dict(features),
    }
