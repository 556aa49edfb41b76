"""features.json of TensorFlow Datasets: what every name of a record holds, and its values as arrays.

Follows dtype, shape and encoding that the file declares and verifies counts against them. Does not know what the
names mean for a robot. Source: tensorflow_datasets/core/features/*.py and proto/feature.proto.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.layout import load_json
from roboscale.sources.records.rlds.example import Values

__all__ = ["FeatureLeaf", "feature_json", "load_features", "load_json_object", "numbers", "texts"]

_ROOM = "tensorflow_datasets.core.features"
_TEXT_DTYPES = ("string", "object")
_MAX_ELEMENTS = 2**40  # a broken shape may claim more than any record holds


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureLeaf:
    """One name of a record.

    Args:
        name: e.g. `steps/observation/state`.
        shape: of one step (or of the episode's metadata); -1 where it varies.
        dtype: numpy name of numbers and pictures; empty for text.
        encoding: `none`, `bytes` or `zlib` of numbers; `jpeg`, `png` or empty of pictures.
        why_not: reason why a leaf of kind `other` is not read.
    """

    name: str
    kind: Literal["number", "image", "text", "other"]
    shape: tuple[int, ...] = ()
    dtype: str = ""
    encoding: str = "none"
    why_not: str = ""

    @property
    def in_steps(self) -> bool:
        """True for what comes once per step, False for what comes once per episode."""
        return self.name.startswith("steps/")

    @property
    def size(self) -> int:
        """Numbers of one step."""
        return math.prod(self.shape)


def load_json_object(path: Path) -> dict[str, Any]:
    """A JSON object; BadData when it is missing, broken or nested without end."""
    try:
        return load_json(path)
    except RecursionError:
        raise BadData(path, "file", "JSON of a sane depth", "objects nested without end") from None


def load_features(path: Path) -> tuple[FeatureLeaf, ...]:
    """The leaves of features.json, in its order, steps and episode metadata.

    Raises:
        BadData: the file is broken, or has no `steps`; names the feature.
    """
    root = load_json_object(path)
    leaves = tuple(_walk(path, "", root, 0))
    if not any(leaf.in_steps for leaf in leaves):
        raise BadData(path, "steps", "a Dataset of features: one record is one episode", "none")
    return leaves


def _walk(path: Path, name: str, node: Any, depth: int) -> Iterator[FeatureLeaf]:
    """Leaves under one feature; nesting deeper than any dataset is refused."""
    where = name or "root"
    if not isinstance(node, dict) or depth > 16:
        raise BadData(path, where, "a feature", "features nested too deep" if depth > 16 else type(node).__name__)
    if "featuresDict" in node:
        children = _child(path, where, _child(path, where, node, "featuresDict"), "features")
        for key, child in children.items():
            yield from _walk(path, f"{name}/{key}" if name else key, child, depth + 1)
    elif name == "steps" and "sequence" in node:
        yield from _walk(path, name, _child(path, where, node, "sequence").get("feature"), depth + 1)
    else:
        yield _leaf(path, name, node)


def _child(path: Path, where: str, node: Mapping[str, Any], key: str) -> dict[str, Any]:
    child = node.get(key)
    if not isinstance(child, dict):
        raise BadData(path, f"{where}.{key}", "an object", type(child).__name__)
    return child


def _leaf(path: Path, name: str, node: Mapping[str, Any]) -> FeatureLeaf:
    if not name:
        raise BadData(path, "root", "a FeaturesDict", ", ".join(sorted(node)[:5]) or "nothing")
    if "text" in node:
        return FeatureLeaf(name=name, kind="text")
    if "tensor" in node:
        return _tensor(path, name, _child(path, name, node, "tensor"))
    if "image" in node:
        return _image(path, name, _child(path, name, node, "image"))
    kind = str(node.get("pythonClassName", "unknown")).rpartition(".")[2]
    return FeatureLeaf(name=name, kind="other", why_not=f"features of class {kind} are not read")


def _shape(path: Path, name: str, node: Mapping[str, Any]) -> tuple[int, ...]:
    dimensions = _child(path, name, node, "shape").get("dimensions", [])
    try:
        shape = tuple(int(n) for n in dimensions)
    except (TypeError, ValueError):
        raise BadData(path, f"{name}.shape", "integers", str(dimensions)[:80]) from None
    if any(n == 0 or n < -1 for n in shape) or math.prod(abs(n) for n in shape) > _MAX_ELEMENTS:
        raise BadData(path, f"{name}.shape", "positive sizes, or -1 where they vary", list(shape))
    return shape


def _tensor(path: Path, name: str, node: Mapping[str, Any]) -> FeatureLeaf:
    shape, declared = _shape(path, name, node), str(node.get("dtype"))
    if declared in _TEXT_DTYPES:
        return FeatureLeaf(name=name, kind="other" if shape else "text", why_not="an array of texts" if shape else "")
    dtype = _number_dtype(declared)
    if dtype is None:
        return FeatureLeaf(name=name, kind="other", why_not=f"{declared} is no dtype of numbers that numpy has")
    encoding = str(node.get("encoding", "none")).lower() or "none"
    if encoding not in ("none", "bytes", "zlib"):
        return FeatureLeaf(name=name, kind="other", why_not=f"encoding {encoding} is not read")
    if -1 in shape:
        return FeatureLeaf(name=name, kind="other", why_not=f"its shape {list(shape)} varies between steps")
    return FeatureLeaf(name=name, kind="number", shape=shape, dtype=dtype, encoding=encoding)


def _number_dtype(declared: str) -> str | None:
    try:
        dtype = np.dtype(declared)
    except (TypeError, ValueError, SyntaxError):
        return None
    return dtype.name if dtype.kind in "fiub" else None


def _image(path: Path, name: str, node: Mapping[str, Any]) -> FeatureLeaf:
    shape, dtype = _shape(path, name, node), str(node.get("dtype"))
    encoding = str(node.get("encodingFormat", "")).lower()
    if len(shape) != 3 or shape[2] != 3 or dtype != "uint8":
        return FeatureLeaf(name=name, kind="other", why_not=f"pictures {dtype}{list(shape)} are not 8-bit RGB")
    return FeatureLeaf(name=name, kind="image", shape=shape, dtype=dtype, encoding=encoding)


def numbers(leaf: FeatureLeaf, values: Values, file: object, where: str) -> NDArray[Any]:
    """Values of a number leaf as (N, *leaf.shape) in its dtype; N steps, or 1 for metadata.

    TFRecords hold float32 and int64 only, so float64 was narrowed when the record was written.

    Raises:
        BadData: the count is no multiple of the shape, or a value does not fit the dtype.
    """
    field, dtype = f"{where}: {leaf.name}", np.dtype(leaf.dtype)
    if leaf.encoding != "none":
        return _unpack(leaf, values, file, field)
    wanted = np.float32 if dtype.kind == "f" else np.int64
    if not isinstance(values, np.ndarray) or values.dtype != wanted:
        found = values.dtype if isinstance(values, np.ndarray) else "bytes" if values else "no values"
        raise BadData(file, field, f"{np.dtype(wanted)} values for {leaf.dtype}", found)
    if len(values) % leaf.size:
        raise BadData(file, field, f"a multiple of {leaf.size} values", len(values))
    low, high = _range(dtype)
    if dtype.kind != "f" and len(values) and not (low <= values.min() and values.max() <= high):
        raise BadData(file, field, f"{leaf.dtype} from {low} to {high}", f"{values.min()} to {values.max()}")
    with np.errstate(over="raise"):
        try:
            return values.reshape(-1, *leaf.shape).astype(dtype)
        except FloatingPointError:
            raise BadData(file, field, f"values that fit {leaf.dtype}", "larger ones") from None


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype if dtype.kind in "iu" else np.int64)
    return int(limits.min), int(limits.max)


def _unpack(leaf: FeatureLeaf, values: Values, file: object, field: str) -> NDArray[Any]:
    """Numbers kept as the bytes of one array per step, compressed or not."""
    if isinstance(values, np.ndarray):
        raise BadData(file, field, f"{leaf.encoding} of arrays", f"{values.dtype} values")
    wanted = leaf.size * np.dtype(leaf.dtype).itemsize
    parts = []
    for number, blob in enumerate(values):
        if leaf.encoding == "zlib":
            blob = _inflate(blob, wanted, file, f"{field}[{number}]")
        if len(blob) != wanted:
            raise BadData(file, f"{field}[{number}]", f"{wanted} bytes", len(blob))
        parts.append(np.frombuffer(blob, leaf.dtype).reshape(leaf.shape))
    return np.stack(parts) if parts else np.empty((0, *leaf.shape), leaf.dtype)


def _inflate(blob: bytes, size: int, file: object, field: str) -> bytes:
    """At most one byte more than `size`, however much the blob would become."""
    try:
        return zlib.decompressobj().decompress(blob, size + 1)
    except zlib.error as error:
        raise BadData(file, field, "zlib data", error) from error


def texts(leaf: FeatureLeaf, values: Values, file: object, where: str) -> list[str]:
    """Values of a text leaf; BadData when they are not UTF-8."""
    field = f"{where}: {leaf.name}"
    if isinstance(values, np.ndarray):
        raise BadData(file, field, "texts", f"{values.dtype} values")
    try:
        return [value.decode("utf-8") for value in values]
    except UnicodeDecodeError as error:
        raise BadData(file, field, "UTF-8", error) from error


def feature_json(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of `load_features`: a tree of dicts with leaves, as the content of features.json.

    A dict is a FeaturesDict, the one named `steps` a Dataset of one.
    """
    features: dict[str, Any] = {}
    for key, node in leaves.items():
        features[key] = _leaf_json(node) if isinstance(node, FeatureLeaf) else feature_json(node)
        if key == "steps":
            features[key] = {
                "pythonClassName": f"{_ROOM}.dataset_feature.Dataset",
                "sequence": {"feature": features[key], "length": "-1"},
            }
    return {"pythonClassName": f"{_ROOM}.features_dict.FeaturesDict", "featuresDict": {"features": features}}


def _leaf_json(leaf: FeatureLeaf) -> dict[str, Any]:
    if leaf.kind == "text":
        return {"pythonClassName": f"{_ROOM}.text_feature.Text", "text": {}}
    shape = {"dimensions": [str(n) for n in leaf.shape]} if leaf.shape else {}
    if leaf.kind == "image":
        image = {"shape": shape, "dtype": leaf.dtype, "encodingFormat": leaf.encoding}
        return {"pythonClassName": f"{_ROOM}.image_feature.Image", "image": image}
    kind = "tensor_feature.Tensor" if leaf.shape else "scalar.Scalar"
    tensor = {"shape": shape, "dtype": leaf.dtype, "encoding": leaf.encoding}
    return {"pythonClassName": f"{_ROOM}.{kind}", "tensor": tensor}
