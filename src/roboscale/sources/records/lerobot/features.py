"""From the features of `info.json` and the columns of a table to a spec: what is carried over, and what is not.

Units and modes are unknown to LeRobot and stay `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from roboscale.core import UNKNOWN, Field, Finding, Origin, Spec
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.sources.records.lerobot.metadata import Info, flat_names, numeric_dtype
from roboscale.sources.records.lerobot.tables import column_dtype

__all__ = ["Features", "depth_or_gray", "describe", "picture_shape", "repair_by_import"]

_AXES = ("height", "width", "channel")
_TEXTS = ("string", "large_string", "language")


@dataclass(slots=True)
class Features:
    """What becomes of every feature.

    Args:
        spec: what is carried over.
        arrays: fields kept as numbers in the tables.
        videos: cameras in video files.
        encoded: cameras whose pictures are compressed in the tables.
        raw: cameras whose pictures are plain arrays in the tables.
        annotations: columns that number texts of the task table.
    """

    rate_hz: float
    fields: list[Field] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    encoded: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    annotations: list[str] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    unmapped: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def spec(self) -> Spec:
        return Spec(tuple(self.fields), self.rate_hz)

    @property
    def cameras(self) -> tuple[str, ...]:
        return (*self.videos, *self.encoded, *self.raw)


def repair_by_import(info: Info) -> str:
    """The command that writes the dataset anew, with metadata that is true."""
    return f"roboscale data import {info.root.name} OUT"


def picture_shape(feature: Mapping[str, Any]) -> tuple[int, ...]:
    """(H, W, C) of a camera, whichever order of axes `info.json` has."""
    shape, names = tuple(feature["shape"]), flat_names(feature.get("names"))[0]
    if len(shape) != 3:
        return shape
    first = names[0] if len(names) == 3 else ""
    channels_first = first.startswith("channel") or (not first and shape[0] in (1, 3) and shape[2] not in (1, 3))
    return (*shape[1:], shape[0]) if channels_first else shape


def depth_or_gray(feature: Mapping[str, Any]) -> str:
    """Why a camera is not carried over; empty when it is one of colour pictures."""
    said = feature.get("info") or feature.get("video_info") or {}
    if isinstance(said, dict) and said.get("video.is_depth_map"):
        return "depth as video is not carried over: its quantisation is LeRobot's own"
    shape = picture_shape(feature)
    return "" if len(shape) == 3 and shape[2] == 3 else f"pictures of shape {list(shape)}, not (H, W, 3)"


def describe(info: Info, schema: pa.Schema, sizes: Mapping[str, tuple[int, int]]) -> Features:
    """What becomes of each feature.

    Args:
        schema: of a data file: its dtypes count, not those that `info.json` claims.
        sizes: camera -> (H, W) by the header of one of its videos.
    """
    features = Features(info.fps)
    for name, feature in info.features.items():
        if name in INDEX_FEATURES:
            features.unmapped[name] = "regenerated"
        elif feature["dtype"] == "video":
            _add_video(features, info, name, sizes.get(name))
        elif name not in schema.names:
            features.unmapped[name] = "info.json names it, the data files do not hold it"
            text = f"info.json names {name}, the data files do not hold it"
            features.findings.append(Finding("missing-column", "error", text, field=name))
        elif feature["dtype"] in _TEXTS or pa.types.is_string(schema.field(name).type):
            features.unmapped[name] = "text; of texts a dataset holds the instruction only"
        elif feature["dtype"] == "image":
            _add_pictures(features, name, feature)
        else:
            _add_numbers(features, info, name, schema.field(name).type)
    for name in schema.names:
        if name not in info.features:
            reason = "regenerated" if name in INDEX_FEATURES else "info.json does not name it"
            features.unmapped[name] = reason
    return features


def _add_video(features: Features, info: Info, name: str, size: tuple[int, int] | None) -> None:
    feature = info.features[name]
    reason = depth_or_gray(feature)
    if reason:
        features.unmapped[name] = reason
        return
    height, width, _ = picture_shape(feature)
    if size is not None and size != (height, width):
        text = f"info.json says {height}x{width} (height x width), the videos are {size[0]}x{size[1]}"
        evidence = {"info": [height, width], "video": list(size)}
        features.findings.append(
            Finding("video-size", "error", text, field=name, evidence=evidence, repair=repair_by_import(info))
        )
    features.fields.append(Field(name, (*(size or (height, width)), 3), "uint8", layout=_AXES))
    features.videos.append(name)
    features.origins.append(Origin(name, str(info.raw.get("video_path")).replace("{video_key}", name), "remuxed"))


def _add_pictures(features: Features, name: str, feature: Mapping[str, Any]) -> None:
    reason = depth_or_gray(feature)
    if reason:
        features.unmapped[name] = reason
        return
    features.fields.append(Field(name, picture_shape(feature), "uint8", layout=_AXES))
    features.encoded.append(name)
    features.origins.append(Origin(name, f"column {name}", "decoded, encoded as video"))


def _add_numbers(features: Features, info: Info, name: str, type_: pa.DataType) -> None:
    feature = info.features[name]
    dtype = column_dtype(type_)
    if not dtype or numeric_dtype(dtype) is None:
        features.unmapped[name] = f"no numbers: {feature['dtype']}, {type_} in the data files"
        return
    if name.startswith("annotation."):
        features.annotations.append(name)
        features.unmapped[name] = "numbers of texts; the texts are kept in the provenance of each episode"
        return
    shape = tuple(feature["shape"])
    if dtype != feature["dtype"]:
        text = f"info.json says {feature['dtype']}, the data files hold {dtype}"
        evidence = {"info": feature["dtype"], "data": dtype}
        features.findings.append(
            Finding("wrong-dtype", "error", text, field=name, evidence=evidence, repair=repair_by_import(info))
        )
    if len(shape) == 3 and dtype == "uint8":
        if shape[2] != 3:
            features.unmapped[name] = f"pictures of shape {list(shape)}, not (H, W, 3)"
            return
        features.raw.append(name)
        features.fields.append(Field(name, shape, dtype, layout=_AXES))
        features.origins.append(Origin(name, f"column {name}", "encoded as video"))
        return
    layout, findings = _layout(info, name, feature)
    features.findings += findings
    features.arrays.append(name)
    features.fields.append(Field(name, shape, dtype, unit=UNKNOWN, layout=layout, mode=UNKNOWN))
    features.origins.append(Origin(name, f"column {name}"))


def _layout(info: Info, name: str, feature: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Finding]]:
    shape, given = feature["shape"], feature.get("names")
    names, nested = flat_names(given)
    expected = shape[0] if len(shape) == 1 else len(shape)
    findings = list(_name_findings(info, name, names, nested, expected))
    return (names if len(names) == expected else ()), findings


def _name_findings(info: Info, name: str, names: tuple[str, ...], nested: bool, expected: int) -> Iterator[Finding]:
    repair = repair_by_import(info)
    if nested:
        text = f"names of {name} are nested one level too deep: [[...]] where LeRobot writes [...]"
        evidence = {"found": "[[...]]", "elements": len(names)}
        yield Finding("names-nested", "warning", text, field=name, evidence=evidence, repair=repair)
    if names and len(names) != expected:
        text = f"{name} has {expected} elements, info.json names {len(names)}"
        evidence = {"elements": expected, "names": len(names)}
        yield Finding("wrong-names", "warning", text, field=name, evidence=evidence, repair=repair)
