"""What every LeRobot dataset says of itself in `meta/`: the parts that v2.0, v2.1 and v3 share.

Knows JSON and path templates. Does not know parquet, video or episodes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from roboscale.core import BadData
from roboscale.dataset.layout import confined

__all__ = [
    "Info",
    "Template",
    "flat_names",
    "integer",
    "load_info",
    "load_lines",
    "load_object",
    "numeric_dtype",
    "read_licence",
]

_MAX_BYTES = 2**30  # no metadata file of a sane dataset is larger
_MAX_ELEMENTS = 2**26  # of one feature at one time step
_LICENCES: Mapping[str, str] = MappingProxyType(
    {
        "apache-2.0": "Apache-2.0",
        "bsd-3-clause": "BSD-3-Clause",
        "cc-by-4.0": "CC-BY-4.0",
        "cc-by-nc-4.0": "CC-BY-NC-4.0",
        "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
        "cc-by-sa-4.0": "CC-BY-SA-4.0",
        "cc0-1.0": "CC0-1.0",
        "mit": "MIT",
    }
)
"""The Hub's names of licences -> SPDX ids."""
_TITLES = (("MIT License", "MIT"), ("Apache License", "Apache-2.0"), ("Creative Commons Attribution 4.0", "CC-BY-4.0"))
_BLANK = re.compile(r"\{(\w+)(?::0(\d{1,2})d)?\}")


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadData(path, "file", f"at most {_MAX_BYTES} bytes", path.stat().st_size)
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise BadData(path, "file", "to exist", "nothing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(path, "file", "UTF-8 text", error) from error


def _object(text: str, path: Path, field: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also an integer of thousands of digits
        raise BadData(path, field, "JSON", str(error)[:120]) from error
    if not isinstance(data, dict):
        raise BadData(path, field, "a JSON object", type(data).__name__)
    return data


def load_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file; BadData when it is missing or broken."""
    return _object(_read_text(path), path, "file")


def load_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON objects of a .jsonl file, each with its place, `line 12`; BadData names a line that is broken."""
    for number, line in enumerate(_read_text(path).split("\n"), 1):  # splitlines() knows more ends than JSON does
        if line.strip():
            yield f"line {number}", _object(line, path, f"line {number}")


def integer(path: Path, where: str, value: Any, low: int) -> int:
    """`value`, when it is an integer of at least `low` that fits into 31 bits; else BadData."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**31:
        raise BadData(path, where, f"an integer >= {low}", str(value)[:60])
    return value


@dataclass(frozen=True, slots=True)
class Template:
    """A path of `info.json` with blanks, e.g. `data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet`."""

    root: Path
    file: Path
    key: str
    text: str

    def fill(self, **values: int | str) -> Path:
        """The path; BadData when a blank is unknown or it leads out of the dataset."""

        def put(blank: re.Match[str]) -> str:
            name, width = blank.groups()
            if name not in values:
                raise BadData(self.file, self.key, f"a template of {', '.join(values)}", self.text)
            return str(values[name]).zfill(int(width)) if width else str(values[name])

        text = _BLANK.sub(put, self.text)
        if "{" in text or "}" in text or "\0" in text:
            raise BadData(self.file, self.key, f"a template of {', '.join(values)}", self.text)
        return confined(self.root, text, self.file, self.key)


@dataclass(frozen=True, slots=True)
class Info:
    """`meta/info.json`, checked as far as reading needs it. `raw` has everything."""

    root: Path
    raw: Mapping[str, Any]
    fps: float
    chunks_size: int
    features: Mapping[str, Mapping[str, Any]]

    @property
    def file(self) -> Path:
        return self.root / "meta/info.json"

    @property
    def version(self) -> str:
        return str(self.raw["codebase_version"])

    @property
    def robot_type(self) -> str:
        robot = self.raw.get("robot_type")
        return robot if isinstance(robot, str) else ""

    @property
    def videos(self) -> tuple[str, ...]:
        return tuple(name for name, feature in self.features.items() if feature["dtype"] == "video")

    def template(self, key: str) -> Template:
        text = self.raw.get(key)
        if not isinstance(text, str) or len(text) > 1000:
            raise BadData(self.file, key, "a path with blanks", str(text)[:60])
        return Template(self.root, self.file, key, text)


def load_info(root: Path, versions: tuple[str, ...]) -> Info:
    """Reads `meta/info.json`; BadData names the key that is wrong, or that it is of none of `versions`."""
    path = root / "meta/info.json"
    raw = load_object(path)
    if not str(raw.get("codebase_version")).startswith(versions):
        raise BadData(path, "codebase_version", " or ".join(versions), str(raw.get("codebase_version"))[:60])
    fps = raw.get("fps")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not math.isfinite(fps) or not 0 < fps < 1e6:
        raise BadData(path, "fps", "a positive number", str(fps)[:60])
    features = raw.get("features")
    if not isinstance(features, dict) or not features:
        raise BadData(path, "features", "an object that names the features", str(features)[:60])
    for name, feature in features.items():
        _check_feature(path, name, feature)
    chunks = integer(path, "chunks_size", raw.get("chunks_size", 1000), 1)
    return Info(root, raw, float(fps), chunks, features)


def _check_feature(path: Path, name: str, feature: Any) -> None:
    where = f"features.{name}"
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        raise BadData(path, where, "a name without /", repr(name)[:60])
    if not isinstance(feature, dict) or not {"dtype", "shape"} <= feature.keys():
        raise BadData(path, where, "dtype and shape", str(feature)[:60])
    if not isinstance(feature["dtype"], str):
        raise BadData(path, f"{where}.dtype", "a name", str(feature["dtype"])[:60])
    shape = feature["shape"]
    if not isinstance(shape, list) or not 1 <= len(shape) <= 5:
        raise BadData(path, f"{where}.shape", "a list of 1 to 5 sizes", str(shape)[:60])
    sizes = [integer(path, f"{where}.shape", size, 1) for size in shape]
    if math.prod(sizes) > _MAX_ELEMENTS:
        raise BadData(path, f"{where}.shape", f"at most {_MAX_ELEMENTS} elements", shape)


def flat_names(names: Any) -> tuple[tuple[str, ...], bool]:
    """Names of a feature's elements as one tuple, and whether they were nested one level too deep.

    LeRobot's own recorders write `["x", "y"]` or `{"motors": ["x", "y"]}`; converters write `[["x", "y"]]`, too.
    Empty when they are anything else.
    """
    if isinstance(names, dict):
        values = list(names.values())
        if values and all(isinstance(value, int) for value in values):
            return tuple(sorted(names, key=lambda name: int(names[name]))), False
        names = [item for value in values if isinstance(value, list) for item in value]
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return tuple(names), False
    if isinstance(names, list) and names and all(isinstance(part, list) for part in names):
        flat = [name for part in names for name in part]
        return (tuple(flat), True) if all(isinstance(name, str) for name in flat) else ((), True)
    return (), False


def read_licence(root: Path) -> str:
    """SPDX id from the dataset card's front matter, or from the title of a LICENSE file; empty when neither says."""
    card = _head(root / "README.md")
    if card.startswith("---"):
        found = re.search(r"^license:\s*['\"]?([\w.+-]+)", card.split("\n---", 1)[0], re.MULTILINE)
        if found:
            return _LICENCES.get(found[1].lower(), found[1])
    title = _head(root / "LICENSE")[:200]
    return next((spdx for words, spdx in _TITLES if words in title), "")


def _head(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(4096).decode("utf-8", "replace")


def numeric_dtype(name: str) -> np.dtype[Any] | None:
    """The numpy dtype, when it is one of numbers."""
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError):
        return None
    return dtype if dtype.kind in "fiub" and dtype.itemsize <= 8 and dtype.subdtype is None else None
