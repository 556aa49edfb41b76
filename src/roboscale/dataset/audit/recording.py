"""A LeRobotDataset v3 folder as a `Recording` that reads what can be read, for auditing only.

Rows are found by their episode_index, so wrong offsets in the metadata do not matter here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roboscale.core import BadData, Clip, Field, Finding, Origin, Pictures, Provenance, RecordedEpisode, Spec
from roboscale.dataset.audit.folder import Folder, load_folder, read_table
from roboscale.dataset.audit.tables import to_rows
from roboscale.dataset.layout import Layout

__all__ = ["V3Recording"]


class V3Recording:
    """Satisfies `core.Recording`. Opening reads metadata only.

    Raises:
        BadData: nothing can be made of the metadata.
    """

    format = "lerobot-v3"

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        folder, found = load_folder(self.root)
        if folder is None:
            raise BadData(self.root, "metadata", "a LeRobotDataset v3", found[0].text)
        self._folder: Folder = folder
        self.spec: Spec = folder.spec
        self.robot_type = str(folder.info.raw.get("robot_type") or "")
        self.licence = folder.licence
        self.keys: Sequence[str] = tuple(str(i) for i in range(len(folder.rows)))
        self.origins: Sequence[Origin] = tuple(Origin(f.name, f.name) for f in folder.spec)
        self.unmapped: Mapping[str, str] = {}
        self.findings: Sequence[Finding] = ()
        self.missing: Mapping[str, Sequence[str]] = self._missing()
        self._path, self._table = Path(), pa.table({})
        self._sources = _provenances(self.root)

    def _missing(self) -> dict[str, list[str]]:
        found = {}
        for camera in self._folder.info.cameras:
            keys = [k for i, k in enumerate(self.keys) if not self._place(camera, i)[0].is_file()]
            if keys:
                found[camera] = keys
        return found

    def _place(self, camera: str, position: int) -> tuple[Path, float]:
        row = self._folder.rows[position]
        values = [row.get(f"videos/{camera}/{w}") for w in ("chunk_index", "file_index", "from_timestamp")]
        try:
            path = self._folder.info.video_file(camera, int(values[0]), int(values[1]))  # type: ignore[arg-type]
            return path, float(values[2])  # type: ignore[arg-type]
        except (BadData, TypeError, ValueError):
            return Path(), 0.0

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode; BadData when its rows cannot be found or have another shape than declared."""
        position = int(key)
        row, info = self._folder.rows[position], self._folder.info
        path = info.data_file(int(row["data/chunk_index"]), int(row["data/file_index"]))
        rows = self._rows(path, int(row["episode_index"]))
        arrays = {f.name: _array(rows, f, path) for f in self.spec if not f.is_image}
        pictures: dict[str, Clip | Pictures] = {}
        for name in (f.name for f in self.spec.images):
            if (cameras is None or name in cameras) and key not in self.missing.get(name, ()):
                video, begin = self._place(name, position)
                pictures[name] = Clip(video, round(begin * info.fps), rows.num_rows)
        texts = row.get("tasks") or [""]
        source = self._sources.get(int(row["episode_index"]))
        if source is None:
            source = Provenance("lerobot", embodiment=self.robot_type, licence=self.licence)
        return RecordedEpisode(key, arrays, pictures, str(texts[0]), source)

    def _rows(self, path: Path, number: int) -> pa.Table:
        if path != self._path:
            self._table, self._path = read_table(path), path
        if "episode_index" not in self._table.column_names:
            raise BadData(path, "columns", "episode_index", ", ".join(self._table.column_names))
        owner = to_rows(self._table["episode_index"])
        chosen = np.flatnonzero(owner == number) if owner is not None else np.empty(0, np.int64)
        if not len(chosen):
            raise BadData(path, "episode_index", f"rows of episode {number}", "none")
        if chosen[-1] - chosen[0] + 1 == len(chosen):
            return self._table.slice(int(chosen[0]), len(chosen))
        return self._table.take(chosen)

    def close(self) -> None:
        self._path, self._table = Path(), pa.table({})


def _provenances(root: Path) -> dict[int, Provenance]:
    """episode_index -> what our sidecar says of it; nothing for lines that are broken."""
    found = {}
    for path in sorted((Layout(root).own / "episodes").glob("*/*.jsonl")):
        for line in path.read_text("utf-8", errors="replace").split("\n"):
            try:
                record = json.loads(line)
                source = Provenance.from_json(record["provenance"])
                if isinstance(source.details, dict) and isinstance(source.embodiment, str):
                    found[int(record["episode_index"])] = source
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
    return found


def _array(rows: pa.Table, field: Field, path: Path) -> NDArray[Any]:
    if field.name not in rows.column_names:
        raise BadData(path, "columns", field.name, ", ".join(rows.column_names))
    values = to_rows(rows[field.name])
    size = int(np.prod(field.shape))
    if values is None or values.size != rows.num_rows * size:
        raise BadData(path, field.name, f"{field.dtype}{list(field.shape)} in every row", rows[field.name].type)
    return values.reshape(rows.num_rows, *field.shape)
