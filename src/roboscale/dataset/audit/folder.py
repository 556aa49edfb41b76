"""A LeRobotDataset v3 folder as it is, however broken: what of the metadata can be read, and what is wrong with it.

Deliberately not our own reader: that one refuses what this one must report. Reads metadata only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roboscale.core import BadData, Field, Finding, RoboscaleError, Spec
from roboscale.dataset.audit.checks import finding
from roboscale.dataset.layout import DATA_PATH, INDEX_FEATURES, VIDEO_PATH, Info, Layout, load_json

__all__ = ["TEXT_DTYPES", "Folder", "licence_of", "load_folder", "read_table"]

TEXT_DTYPES = ("string", "language")
MAX_BYTES = 8 * 2**30
"""A table that would take more memory than this is refused: headers may lie."""

_INTEGERS = ("fps", "chunks_size", "data_files_size_in_mb", "video_files_size_in_mb")
_TOTALS = ("total_episodes", "total_frames", "total_tasks")


@dataclass(frozen=True, slots=True)
class Folder:
    """What can be read of the metadata.

    Args:
        info: with what is broken in it replaced by LeRobot's defaults.
        rows: of the episode table, without statistics; row i ought to be episode i. `#file` and `#row` say where
            it stands.
        tasks: text -> task index.
        spec: of the features that are neither text nor index.
    """

    root: Path
    info: Info
    rows: tuple[Mapping[str, Any], ...]
    tasks: Mapping[str, int]
    spec: Spec
    licence: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """episode_index of every row."""
        return tuple(int(row["episode_index"]) for row in self.rows)


def load_folder(root: Path) -> tuple[Folder | None, list[Finding]]:
    """The folder, or `None` where nothing can be made of it, and what is wrong with its metadata."""
    found: list[Finding] = []
    try:
        raw = dict(load_json(Layout(root).info))
    except BadData as error:
        return None, [finding("info-broken", str(error), field="meta/info.json")]
    version = str(raw.get("codebase_version"))
    if not version.startswith("v3."):
        text = f"codebase_version is {version!r}, expected 'v3.0'"
        return None, [finding("info-broken", text, field="codebase_version")]
    for part in (_check_numbers, _check_templates, _check_features):
        found += part(root, raw)
    info = Info(root, raw)
    rows, problems = _read_episodes(info)
    tasks, more = _read_tasks(root)
    spec, sidecar = _spec(info)
    folder = Folder(root, info, rows, tasks, spec, licence_of(root, raw))
    return folder, found + problems + more + sidecar


def _check_numbers(root: Path, raw: dict[str, Any]) -> list[Finding]:
    found, defaults = [], {"fps": 30, "chunks_size": 1000, "data_files_size_in_mb": 100, "video_files_size_in_mb": 200}
    for key in (*_INTEGERS, *_TOTALS):
        value, low = raw.get(key), 0 if key in _TOTALS else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            text = f"{key} is {value!r}, expected an integer from {low}"
            found.append(finding("info-broken", text, field=key, evidence={"found": repr(value)}))
            raw[key] = _meant(value) or defaults.get(key, -1)
    return found


def _meant(value: Any) -> int:
    """The integer that a value of the wrong type says all the same; 0 where there is none."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else 0
    return int(value) if isinstance(value, float) and value.is_integer() and 0 < value < 2**53 else 0


def _check_templates(root: Path, raw: dict[str, Any]) -> list[Finding]:
    found, info = [], Info(root, raw)
    features = raw.get("features")
    cameras = isinstance(features, dict) and any(
        isinstance(f, dict) and f.get("dtype") == "video" for f in features.values()
    )
    for key, default, needed in (("data_path", DATA_PATH, True), ("video_path", VIDEO_PATH, cameras)):
        if not needed:
            continue
        try:
            places = {info._fill(key, video_key="v", chunk_index=c, file_index=f) for c in (0, 1) for f in (0, 1)}
            if len(places) < 4:
                raise BadData(info.file, key, "another path for every chunk and file", repr(raw[key]))
        except (BadData, KeyError) as error:
            found.append(finding("path-template", f"{key} cannot be filled in: {error}", field=key))
            raw[key] = default
    return found


def _check_features(root: Path, raw: dict[str, Any]) -> list[Finding]:
    features, found = raw.get("features"), []
    if not isinstance(features, dict):
        found.append(finding("info-broken", "features is no object", field="features"))
        features = {}
    good: dict[str, Any] = {}
    for name, feature in features.items():
        problem = _broken_feature(name, feature)
        if problem:
            found.append(finding("feature-broken", f"feature {name}: {problem}", field=name))
            continue
        good[name] = feature
        found += _check_names(name, feature)
    raw["#features"] = list(features)
    raw["features"] = {**good, **{n: dict(f) for n, f in INDEX_FEATURES.items() if n not in good}}
    return found


def _broken_feature(name: str, feature: Any) -> str:
    if "/" in name or name in ("", ".", ".."):
        return "the name holds a /"
    if not isinstance(feature, dict):
        return "it is no object"
    shape, dtype = feature.get("shape"), feature.get("dtype")
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
        return f"shape is {shape!r}, expected positive integers"
    if dtype in ("video", "image", *TEXT_DTYPES):
        return ""
    try:
        np.dtype(dtype)
    except TypeError:
        return f"dtype is {dtype!r}, expected a numpy dtype, video or image"
    return "" if dtype is not None else "it has no dtype"


def _check_names(name: str, feature: Mapping[str, Any]) -> list[Finding]:
    names, shape = feature.get("names"), feature["shape"]
    if isinstance(names, dict):  # LeRobot allows {"motors": [...]}
        names = next((v for v in names.values() if isinstance(v, list)), None)
    if not isinstance(names, list):
        return []
    if any(isinstance(n, (list, dict)) for n in names):
        inner = [len(n) for n in names if isinstance(n, list)]
        text = f"names of {name} are a list within a list ({inner} inside), expected {shape[0]} strings"
        return [finding("names-nested", text, field=name, evidence={"lengths": inner, "shape": shape})]
    expected = shape[0] if len(shape) == 1 else len(shape)
    if len(names) == expected:
        return []
    text = f"{name} has {len(names)} names for {expected} elements or axes"
    return [finding("names-count", text, field=name, evidence={"names": len(names), "shape": shape})]


def read_table(path: Path, columns: Sequence[str] | None = None, *, plain: bool = False) -> pa.Table:
    """A parquet file, or those of `columns` that it has, or with `plain` all but the statistics.

    BadData when it is missing, cut off, or claims more memory than a table may take.
    """
    try:
        with pq.ParquetFile(path) as file:
            size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
            if size > MAX_BYTES:
                raise BadData(path, "size", f"at most {MAX_BYTES} bytes", size)
            names = [c for c in file.schema_arrow.names if columns is None or c in columns]
            if plain:
                names = [c for c in names if not c.startswith("stats/")]
            return file.read(columns=names, use_threads=False)
    except FileNotFoundError:
        raise BadData(path, "file", "to exist", "nothing") from None
    except (pa.ArrowException, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadData(path, "file", "a complete parquet file", first) from error


Rows = tuple[Mapping[str, Any], ...]


def _read_episodes(info: Info) -> tuple[Rows, list[Finding]]:
    rows: list[dict[str, Any]] = []
    found: list[Finding] = []
    for path in sorted(Layout(info.root).episodes.glob("*/*.parquet")):
        try:
            for number, row in enumerate(read_table(path, plain=True).to_pylist()):
                rows.append({**row, "#file": str(path), "#row": number})
        except BadData as error:
            found.append(finding("file-broken", str(error), field=str(path.relative_to(info.root))))
    if not rows and not found:
        found.append(finding("no-episodes", "meta/episodes holds no episode", field="meta/episodes"))
    needed = ["episode_index", "tasks", "length", "data/chunk_index", "data/file_index", "dataset_from_index"]
    needed += ["dataset_to_index"]
    for camera in info.cameras:
        needed += [f"videos/{camera}/{w}" for w in ("chunk_index", "file_index", "from_timestamp", "to_timestamp")]
    missing = [name for name in needed if rows and any(row.get(name) is None for row in rows)]
    for name in missing:
        text = f"meta/episodes has no {name}"
        found.append(finding("episode-columns", text, field=name))
    if {"episode_index", "length", "data/chunk_index", "data/file_index"} & set(missing):
        rows = []
    return tuple(rows), found


def _read_tasks(root: Path) -> tuple[dict[str, int], list[Finding]]:
    path = Layout(root).tasks
    try:
        table = read_table(path)
    except BadData as error:
        return {}, [finding("tasks-table", str(error), field="meta/tasks.parquet")]
    texts = [name for name in ("task", "__index_level_0__") if name in table.column_names]
    if "task_index" not in table.column_names or not texts:
        text = f"columns of tasks.parquet are {', '.join(table.column_names)}, expected task_index and task"
        return {}, [finding("tasks-table", text, field="meta/tasks.parquet")]
    indices, names = table["task_index"].to_pylist(), [str(t) for t in table[texts[0]].to_pylist()]
    tasks = dict(zip(names, indices, strict=True))
    if sorted(str(i) for i in indices) != sorted(str(i) for i in range(len(indices))) or len(tasks) != len(names):
        text = f"task indices are {indices[:8]}, expected 0 to {len(indices) - 1}, each once and with its own text"
        return tasks, [finding("tasks-table", text, field="task_index", evidence={"indices": indices[:50]})]
    return tasks, []


def _spec(info: Info) -> tuple[Spec, list[Finding]]:
    """The sidecar's spec where it fits info.json, else what info.json says."""
    said = Spec(tuple(_fields(info)), float(info.fps))
    path = Layout(info.root).spec
    if not path.exists():
        return said, []
    try:
        own = Spec.from_json(load_json(path)["spec"])
        if not all(_is_text(field) for field in own):
            raise BadData(path, "spec", "text for units, modes and names", "something else")
    except (RoboscaleError, KeyError, TypeError, ValueError, AttributeError) as error:
        return said, [finding("sidecar", f"{path} cannot be read: {error}", field="meta/roboscale/spec.json")]
    bare = [(f.name, f.shape or (1,), f.dtype) for f in own]
    same = own.rate_hz == said.rate_hz and bare == [(f.name, f.shape, f.dtype) for f in said]
    return (own, []) if same else (said, [])


def _is_text(field: Field) -> bool:
    words = (field.name, field.unit, field.frame, field.mode, field.side, field.branch, field.role, *field.layout)
    return all(isinstance(word, str) for word in words)


def _fields(info: Info) -> Iterator[Field]:
    for name, feature in info.features.items():
        if name in INDEX_FEATURES or feature["dtype"] in (*TEXT_DTYPES, "image"):
            continue
        shape, names = tuple(feature["shape"]), feature.get("names")
        if isinstance(names, dict):
            names = next((v for v in names.values() if isinstance(v, list)), None)
        if isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
            names = names[0]
        fits = isinstance(names, list) and len(shape) == 1 and len(names) == shape[0]
        layout = tuple(map(str, names)) if fits and isinstance(names, list) else ()
        video = feature["dtype"] == "video"
        if video and len(shape) == 3 and shape[0] == 3:
            shape = (shape[1], shape[2], 3)  # some write channels first
        yield Field(name, shape, "uint8" if video else feature["dtype"], unit="unknown", layout=layout)


_CARD = re.compile(r"^licen[sc]e:\s*(\S.*)$", re.MULTILINE | re.IGNORECASE)


def licence_of(root: Path, raw: Mapping[str, Any], names: Collection[str] = ("README.md", "readme.md")) -> str:
    """The licence that info.json, the README's card or a LICENSE file gives; empty where none does."""
    for key in ("license", "licence"):
        if isinstance(raw.get(key), str) and raw[key].strip():
            return str(raw[key]).strip()
    for name in names:
        path = root / name
        if path.is_file():
            head = path.read_text("utf-8", errors="replace")[:20_000]
            card = head.split("\n---", 1)[0] if head.startswith("---") else ""
            found = _CARD.search(card)
            if found:
                return found[1].strip().strip("'\"")
    held = next((root / n for n in ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE") if (root / n).is_file()), None)
    return f"see {held.name}" if held else _sidecar_licence(root)


def _sidecar_licence(root: Path) -> str:
    """The licence that every episode's provenance gives, where they agree."""
    licences = set()
    for path in sorted((Layout(root).own / "episodes").glob("*/*.jsonl")):
        for line in path.read_text("utf-8", errors="replace").splitlines():
            try:
                licences.add(json.loads(line)["provenance"]["licence"])
            except (ValueError, KeyError, TypeError):
                return ""
    return licences.pop() if len(licences) == 1 else ""
