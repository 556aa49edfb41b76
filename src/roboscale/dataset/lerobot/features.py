"""From the features of `info.json` and the columns of a table to a spec: what is carried over, and what is not.

Units and modes are unknown to LeRobot and stay `unknown`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from roboscale.core import UNKNOWN, Extras, Field, Finding, Origin, Spec
from roboscale.dataset.checks import finding
from roboscale.dataset.layout import INDEX_FEATURES, OPAQUE, is_varying
from roboscale.dataset.lerobot.info import InfoHead, flat_names, numeric_dtype
from roboscale.dataset.lerobot.tables import column_dtype

__all__ = ["Carry", "Features", "depth_or_gray", "described_fields", "frame_shape"]

_AXES = ("height", "width", "channel")

Carry = Literal["column", "video"]


@dataclass(slots=True, kw_only=True)
class Features:
    """What becomes of every feature.

    Args:
        spec: what is carried over.
        arrays: fields kept as numbers in the tables.
        videos: cameras in video files.
        encoded: cameras whose pictures are compressed in the tables.
        raw: cameras whose pictures are plain arrays in the tables.
        annotations: columns that number texts of the task table.
        carried: what is carried as it is: columns of the tables, and videos.
        extras: what else is carried as it is.
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
    carried: dict[str, Carry] = field(default_factory=dict)
    extras: Extras = field(default_factory=Extras)

    @property
    def spec(self) -> Spec:
        return Spec(tuple(self.fields), self.rate_hz)

    def drop(self, name: str, reason: str) -> None:
        """Takes out a field of numbers that cannot be carried over."""
        self.fields = [field for field in self.fields if field.name != name]
        self.origins = [origin for origin in self.origins if origin.field != name]
        self.arrays.remove(name)
        self.unmapped[name] = reason

    def resize(self, name: str, size: int) -> None:
        """A field of numbers becomes as long as its rows are, where `info.json` says another length."""
        said = self.spec[name]
        if size == math.prod(said.shape):
            return
        there = dataclasses.replace(said, shape=(size,), layout=())
        self.fields = [there if field.name == name else field for field in self.fields]
        text = f"info.json says {name} has shape {list(said.shape)}, the rows have {size} elements"
        evidence = {"info": list(said.shape), "data": size}
        self.findings.append(finding("column-type", text, field=name, evidence=evidence))

    @property
    def cameras(self) -> tuple[str, ...]:
        return (*self.videos, *self.encoded, *self.raw)


def frame_shape(feature: Mapping[str, Any]) -> tuple[int, ...]:
    """(H, W, C) of a camera, whichever order of axes `info.json` has."""
    shape, names = tuple(feature["shape"]), flat_names(feature.get("names"))[0]
    if len(shape) != 3:
        return shape
    first = names[0] if len(names) == 3 else ""
    channels_first = first.startswith("channel") or (not first and shape[0] in (1, 3) and shape[2] not in (1, 3))
    return (*shape[1:], shape[0]) if channels_first else shape


def depth_or_gray(feature: Mapping[str, Any]) -> str:
    """Why our decoder does not show a camera; empty when it is one of colour pictures."""
    said = feature.get("info") or feature.get("video_info") or {}
    if isinstance(said, dict) and (said.get("is_depth_map") or said.get("video.is_depth_map")):
        return "depth: its codes are LeRobot's own"
    shape = frame_shape(feature)
    return "" if len(shape) == 3 and shape[2] == 3 else f"pictures of shape {list(shape)}, not (H, W, 3)"


def described_fields(head: InfoHead, schema: pa.Schema | None, sizes: Mapping[str, tuple[int, int]]) -> Features:
    """What becomes of each feature.

    Args:
        schema: of a data file: its dtypes count, not those that `info.json` claims; `None` where none can be read.
        sizes: camera -> (H, W) by the header of one of its videos.
    """
    features = Features(rate_hz=head.fps)
    for name, feature in head.features.items():
        type_ = schema.field(name).type if schema is not None and name in schema.names else None
        opaque = feature["dtype"] in OPAQUE or is_varying(feature)
        if name in INDEX_FEATURES:
            features.unmapped[name] = "regenerated"
        elif feature["dtype"] == "video":
            _add_video(features, head, name, sizes.get(name))
        elif schema is not None and type_ is None and opaque:
            features.unmapped[name] = f"{feature['dtype']} in no column of the data files"
        elif schema is not None and type_ is None:
            features.unmapped[name] = "info.json names it, the data files do not hold it"
            text = f"info.json names {name}, the data files do not hold it"
            features.findings.append(finding("column-missing", text, field=name))
        elif opaque:
            features.carried[name] = "column"
        elif type_ is not None and pa.types.is_string(type_):
            features.unmapped[name] = f"info.json says {feature['dtype']}, the data files hold text"
        elif feature["dtype"] == "image":
            _add_pictures(features, name, feature)
        else:
            _add_numbers(features, head, name, type_)
    for name in schema.names if schema is not None else ():
        if name not in head.features:
            features.unmapped[name] = "info.json does not name it"
    return features


def _add_video(features: Features, head: InfoHead, name: str, size: tuple[int, int] | None) -> None:
    feature = head.features[name]
    if depth_or_gray(feature):
        features.carried[name] = "video"
        return
    height, width, _ = frame_shape(feature)
    if size is not None and size != (height, width):
        text = f"info.json says {height}x{width} (height x width), the videos are {size[0]}x{size[1]}"
        features.findings.append(
            finding("video-size", text, field=name, evidence={"info": [height, width], "video": list(size)})
        )
    features.fields.append(Field(name, (*(size or (height, width)), 3), "uint8", layout=_AXES))
    features.videos.append(name)
    features.origins.append(Origin(name, head.video_path.text.replace("{video_key}", name), "remuxed"))


def _add_pictures(features: Features, name: str, feature: Mapping[str, Any]) -> None:
    if depth_or_gray(feature):
        features.carried[name] = "column"
        return
    features.fields.append(Field(name, frame_shape(feature), "uint8", layout=_AXES))
    features.encoded.append(name)
    features.origins.append(Origin(name, f"column {name}", "decoded, encoded as video"))


def _add_numbers(features: Features, head: InfoHead, name: str, type_: pa.DataType | None) -> None:
    feature = head.features[name]
    dtype = feature["dtype"] if type_ is None else column_dtype(type_)
    if not dtype or numeric_dtype(dtype) is None:
        features.unmapped[name] = f"no numbers: {feature['dtype']}, {type_} in the data files"
        return
    if name.startswith("annotation."):
        features.annotations.append(name)
        features.unmapped[name] = "numbers of texts; the texts are kept in the provenance of each episode"
        return
    shape = tuple(int(size) for size in feature["shape"])
    if dtype != feature["dtype"]:
        text = f"info.json says {name} is {feature['dtype']}, the data files hold {dtype}"
        evidence = {"info": feature["dtype"], "data": dtype}
        features.findings.append(finding("column-type", text, field=name, evidence=evidence))
    if len(shape) == 3 and dtype == "uint8":
        if shape[2] != 3:
            features.carried[name] = "column"  # e.g. of a tactile sensor
            return
        features.raw.append(name)
        features.fields.append(Field(name, shape, dtype, layout=_AXES))
        features.origins.append(Origin(name, f"column {name}", "encoded as video"))
        return
    names, _ = flat_names(feature.get("names"))
    layout = names if len(names) == (shape[0] if len(shape) == 1 else len(shape)) else ()
    features.arrays.append(name)
    features.fields.append(Field(name, shape, dtype, unit=UNKNOWN, layout=layout, mode=UNKNOWN))
    features.origins.append(Origin(name, f"column {name}"))
