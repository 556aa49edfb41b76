"""`info.json` corrected from the data files and videos: limits, path templates, features, names, totals.

Types and shapes are those of the columns that are there. Does not know what the numbers mean: where a name or a unit
is not said anywhere, it stays unsaid.
"""

from __future__ import annotations

import codecs
import dataclasses
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from roboscale.core.errors import BadData, RoboscaleError, UnknownName
from roboscale.core.spec import Field, Spec
from roboscale.dataset.fix.mending import Mending, VerifiedEpisode
from roboscale.dataset.layout import (
    DATA_PATH,
    INDEX_FEATURES,
    UNREAD,
    VIDEO_PATH,
    Info,
    Layout,
    atomic_write,
    is_colour,
    is_varying,
    load_json,
    spec_from_features,
    to_json,
)
from roboscale.dataset.lerobot.folder import Folder, data_files
from roboscale.dataset.packets import video_facts
from roboscale.dataset.rates import is_rate, same_rate
from roboscale.dataset.tables import number_dtype, open_table, reading
from roboscale.dataset.video import probe

__all__ = ["finish_info", "read_info"]

_LIMITS: Mapping[str, int] = {"chunks_size": 1000, "data_files_size_in_mb": 100, "video_files_size_in_mb": 200}

Feature = dict[str, Any]
Columns = dict[str, Feature | None]


def read_info(mending: Mending, folder: Folder, without: Collection[str] = ()) -> dict[str, Any]:
    """`info.json` as it ought to be, but for totals and videos, and the cameras in `without`.

    Raises:
        BadData: it has no fps or features: nothing says then what the data mean.
        UnknownName: there is no such camera.
    """
    path, raw = folder.head.file, dict(folder.head.raw)
    fps, features = folder.head.fps, raw.get("features")
    refused = any(one.field == "fps" and one.evidence.get("refused") for one in folder.problems.findings)
    if refused or not is_rate(fps):
        raise BadData(path, "fps", "a rate in Hz, from 1/60", repr(raw.get("fps")))
    version = folder.head.version
    if not version.startswith("v3."):
        way = f"{version}; make it so: roboscale data import {shlex.quote(str(folder.root))} OUT"
        raise BadData(path, "codebase_version", "v3.0", way)
    if not isinstance(features, dict):
        raise BadData(path, "features", "an object of features", type(features).__name__)
    for name, feature in features.items():
        if not isinstance(feature, dict):
            raise BadData(path, f"features.{name}", "an object", type(feature).__name__)
        if "/" in name or name in ("", ".", ".."):
            way = f"{name!r}; make it so: roboscale data import {shlex.quote(str(folder.root))} OUT"
            raise BadData(path, f"features.{name}", "a name without /", way)
    if not str(raw.get("codebase_version")).endswith(version[1:]):
        mending.change("info.json codebase_version", raw.get("codebase_version"), version)
        raw["codebase_version"] = version
    raw["fps"] = int(fps) if fps == int(fps) else fps
    if isinstance(folder.head.raw.get("fps"), str) or not folder.head.raw.get("fps"):
        mending.change("info.json fps", repr(folder.head.raw.get("fps")), raw["fps"])
    _mend_marks(mending, folder)
    _mend_limits(mending, raw)
    raw["features"] = _mend_features(mending, _with_sizes(mending, features, folder))
    for camera in without:
        cameras = [name for name, feature in raw["features"].items() if feature["dtype"] == "video"]
        if camera not in cameras:
            raise UnknownName("camera", camera, cameras)
        del raw["features"][camera]
    _mend_templates(mending, raw)
    return raw


def _mend_marks(mending: Mending, folder: Folder) -> None:
    """Files of JSON without the byte order mark over which LeRobot's reader fails."""
    for one in folder.problems.findings:
        for name in one.evidence.get("files", ()) if one.field == "meta" else ():
            path = folder.root / "meta" / name
            mending.change(name, "a byte order mark", "text that begins without one")
            mending.replace(path, _unmarked(path))


def _unmarked(path: Path) -> Callable[[Path], None]:
    return lambda target: atomic_write(target, path.read_bytes().removeprefix(codecs.BOM_UTF8))


def _mend_limits(mending: Mending, raw: dict[str, Any]) -> None:
    for key, usual in _LIMITS.items():
        value = raw.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            meant = int(value) if isinstance(value, str) and value.isdecimal() and int(value) else usual
            mending.change(f"info.json {key}", repr(value), meant)
            raw[key] = meant


def _mend_templates(mending: Mending, raw: dict[str, Any]) -> None:
    """Templates that give no path of their own for every file become LeRobot's."""
    info = Info(mending.root, raw)
    video = any(feature["dtype"] == "video" for feature in raw["features"].values())
    for key, usual, needed in (("data_path", DATA_PATH, True), ("video_path", VIDEO_PATH, video)):
        if not needed:
            continue
        try:
            fill = info.data_file if key == "data_path" else lambda chunk, file: info.video_file("camera", chunk, file)
            places = {fill(chunk, file) for chunk in (0, 1) for file in (0, 1)}
        except (BadData, KeyError):
            places = set()
        if len(places) < 4:
            mending.change(f"info.json {key}", repr(raw.get(key)), usual)
            raw[key] = usual


def _mend_features(mending: Mending, features: Mapping[str, Feature]) -> dict[str, Feature]:
    columns: Columns = _columns(mending.root)
    layouts = _layouts(Layout(mending.root))
    mended: dict[str, Feature] = {}
    for name, claimed in features.items():
        feature = _mend_feature(mending, name, dict(claimed), columns.get(name), bool(columns))
        if feature is not None:
            mended[name] = _mend_names(mending, name, feature, layouts.get(name, ()))
    for name, column in columns.items():
        if name not in mended and name not in features and column is not None:
            mending.change(f"feature {name}", "nothing", f"a column of {column['dtype']}{column['shape']}")
            mended[name] = {**column, "names": None}
    own = {name: feature for name, feature in mended.items() if name not in INDEX_FEATURES}
    for name, usual in INDEX_FEATURES.items():
        if name not in mended and columns:
            mending.change(f"feature {name}", "nothing", "a column that LeRobot adds")
        own[name] = mended.get(name, dict(usual))
    return own if own.keys() != mended.keys() else mended


def _with_sizes(mending: Mending, features: Mapping[str, Feature], folder: Folder) -> dict[str, Feature]:
    """Features with their sizes as LeRobot writes them: a list of whole numbers."""
    read = folder.head.features
    for name in features.keys() & read.keys():
        sizes = list(read[name]["shape"])
        if repr(features[name].get("shape")) != repr(sizes) and features[name].get("shape") is not None:
            mending.change(f"shape of {name}", features[name].get("shape"), sizes)
    return {
        n: {**f, "shape": list(read[n]["shape"])} if n in read and "shape" in f else f for n, f in features.items()
    }


def _mend_feature(
    mending: Mending, name: str, feature: Feature, column: Feature | None, known: bool
) -> Feature | None:
    """A feature as its column has it; `None` where no file has such a column."""
    if feature.get("dtype") in UNREAD or (isinstance(feature.get("shape"), list) and is_varying(feature)):
        return feature
    if not feature.get("dtype") and (mending.root / "videos" / name).is_dir():
        column = _filmed(mending.root / "videos" / name)
    if column is None:
        if known and name not in INDEX_FEATURES:
            mending.change(f"feature {name}", "a feature", "no such column in every data file")
            return None
        return feature
    try:
        same = bool(
            np.dtype(feature["dtype"]) == np.dtype(column["dtype"])
            and np.prod(feature["shape"]) == np.prod(column["shape"])
        )
    except (KeyError, TypeError, ValueError):
        same = False
    if name in INDEX_FEATURES and name != "timestamp" and feature == INDEX_FEATURES[name]:
        return feature  # the column is what is mended
    if not same:
        said = f"{feature.get('dtype')}{feature.get('shape')}"
        mending.change(f"type of {name}", said, f"{column['dtype']}{column['shape']}")
        feature |= column
    return feature


def _filmed(folder: Path) -> Feature | None:
    for path in sorted(folder.glob("*/*.mp4")):
        facts = video_facts(path)
        return {"dtype": "video", "shape": [facts["video.height"], facts["video.width"], 3], "info": {}}
    return None


def _columns(root: Path) -> Columns:
    """Column -> dtype and shape where all readable data files agree, else `None`."""
    seen: dict[str, list[Feature | None]] = {}
    files = 0
    for path in data_files(root):
        try:
            with open_table(path) as file, reading(path, "content", "readable parquet"):
                first = next(file.iter_batches(batch_size=1), None)
        except BadData:
            continue  # whoever reads its rows says so
        if first is None:
            continue
        files += 1
        for name, column in zip(first.schema.names, first.columns, strict=True):
            seen.setdefault(name, []).append(_described(column))
    whole = {name: kinds[0] if len(kinds) == files else None for name, kinds in seen.items()}
    return {name: one if all(other == one for other in seen[name]) else None for name, one in whole.items()}


def _described(column: pa.Array) -> Feature | None:
    """dtype and shape of a column by its first row; `None` for what is neither numbers nor text."""
    kind = column.type.storage_type if isinstance(column.type, pa.BaseExtensionType) else column.type
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return {"dtype": "string", "shape": [1]}
    dtype = number_dtype(kind)
    if dtype is None:
        return None
    try:
        shape = np.shape(column[0].as_py())
    except ValueError:  # ragged
        return None
    return {"dtype": dtype.name, "shape": [int(n) for n in shape] or [1]}


def _layouts(layout: Layout) -> dict[str, tuple[str, ...]]:
    """Names of elements as our own sidecar has them."""
    spec = _own_spec(layout)
    return {} if spec is None else {field.name: field.layout for field in spec}


def _own_spec(layout: Layout) -> Spec | None:
    try:
        return Spec.from_json(load_json(layout.spec)["spec"])
    except (RoboscaleError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _mend_names(mending: Mending, name: str, feature: Feature, layout: Sequence[str]) -> Feature:
    """Names one level too deep (`[[a, b]]`, or `{"motors": [a, b]}`) come up; a wrong number of names goes."""
    names = feature.get("names")
    while isinstance(names, dict) and len(names) == 1:
        names = next(iter(names.values()))
    while isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
        names = names[0]
    if names != feature.get("names"):
        mending.change(f"names of {name}", "a nested list", f"{len(names or ())} names")
    shape = feature.get("shape") or []
    wanted = shape[0] if len(shape) == 1 else len(shape)
    if isinstance(names, list) and len(names) != wanted:
        kept = list(layout) if len(layout) == wanted else None
        mending.change(f"names of {name}", f"{len(names)}", f"{wanted} elements, {'named' if kept else 'unnamed'}")
        names = kept
    feature["names"] = names
    return feature


def finish_info(
    mending: Mending, before: Mapping[str, Any], info: Info, raw: dict[str, Any], episodes: Sequence[VerifiedEpisode]
) -> None:
    """Totals, splits, what the videos are, and the sidecar's spec."""
    frames = sum(episode.length for episode in episodes)
    totals = {"total_episodes": len(episodes), "total_frames": frames, "total_tasks": raw["total_tasks"]}
    for key, value in totals.items():
        if before.get(key) != value:
            mending.change(f"info.json {key}", before.get(key), value)
        raw[key] = value
    splits = _within(raw.get("splits"), before.get("total_episodes"), len(episodes))
    if splits != raw.get("splits"):
        mending.change("info.json splits", before.get("splits"), splits)
        raw["splits"] = splits
    for camera in info.cameras:
        path = next((p for p in (_video_of(info, camera, e.row) for e in episodes) if p.is_file()), None)
        if path is not None:
            _mend_video(mending, info, raw["features"][camera], camera, path)
    if raw != before or list(raw["features"]) != list(before["features"]):
        mending.replace(info.file, lambda path: atomic_write(path, to_json(raw)))
    _mend_spec(mending, Info(mending.root, raw))


def _within(splits: Any, claimed: Any, total: int) -> Any:
    """Splits that name no episode that is not there; what is no range is not ours to mend.

    A single `train` that held all that was claimed holds all that is there.
    """
    if not isinstance(splits, dict) or not splits or (list(splits) == ["train"] and splits["train"] == f"0:{claimed}"):
        return {"train": f"0:{total}"}
    kept = {}
    for name, text in splits.items():
        first, colon, last = str(text).partition(":")
        if not (colon and first.isdecimal() and last.isdecimal()) or int(last) <= total:
            kept[name] = text
        elif int(first) < total:
            kept[name] = f"{first}:{total}"
    return kept or {"train": f"0:{total}"}


def _video_of(info: Info, camera: str, row: Mapping[str, Any]) -> Path:
    return info.video_file(camera, row[f"videos/{camera}/chunk_index"], row[f"videos/{camera}/file_index"])


def _mend_video(mending: Mending, info: Info, feature: Feature, camera: str, path: Path) -> None:
    if not same_rate(probe(path).fps, info.fps):
        raise BadData(path, "fps", f"{info.fps:g} as in info.json", f"{float(probe(path).fps):g}")
    facts = {**video_facts(path), "video.fps": info.fps}
    claimed = feature.get("info") or {}
    if not is_colour(feature):
        mending.kept_as_they_are.append(camera)
        return
    for key, value in facts.items():
        if claimed.get(key) != value:
            mending.change(f"{key} of {camera}", claimed.get(key), value)
    feature["info"] = {**claimed, **facts}
    size = [facts["video.height"], facts["video.width"], 3]
    if feature.get("shape") not in (size, [3, *size[:2]]):
        mending.change(f"shape of {camera}", feature.get("shape"), size)
        feature["shape"] = size


def _mend_spec(mending: Mending, info: Info) -> None:
    """Our sidecar's spec follows the features; what it says of units, frames and roles stays."""
    layout = Layout(mending.root)
    if not layout.spec.exists():
        return
    own, said = _own_spec(layout), spec_from_features(info)
    mended = Spec(tuple(_with_words(field, own) for field in said), said.rate_hz)
    if own != mended:
        mending.note("meta/roboscale/spec.json: claimed other fields than info.json and the data")
        data = to_json({"version": 1, "spec": mended.to_json()})
        mending.replace(layout.spec, lambda path: atomic_write(path, data))


def _with_words(said: Field, own: Spec | None) -> Field:
    if own is None or said.name not in own:
        return said
    old = own[said.name]
    if (old.shape or (1,), old.dtype) == (said.shape, said.dtype):
        return old
    if (old.shape or (1,)) == said.shape:
        return dataclasses.replace(old, dtype=said.dtype)
    return dataclasses.replace(old, shape=said.shape, dtype=said.dtype, layout=said.layout, low=None, high=None)
