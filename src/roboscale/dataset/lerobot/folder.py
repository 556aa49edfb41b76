"""A LeRobot dataset of v2.0, v2.1 or v3 as it is, however broken: which episodes there are and where each lies.

The one reader of the metadata: importing, merging and auditing are views of it. Never raises over what they hold;
`Folder.problems` says what is wrong. Everything is kept as columns, so that 100,000 episodes open in a second or two.

    v3    meta/info.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet  many episodes a file
    v2.x  meta/info.json  meta/tasks.jsonl    meta/episodes.jsonl                       one episode a file
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.layout import Layout
from roboscale.dataset.lerobot.info import InfoHead, Problems, Template, as_whole, read_head, read_lines
from roboscale.dataset.lerobot.licence import languages_of, licence_of
from roboscale.dataset.lerobot.said import SaidOfEpisodes, other_columns, other_keys
from roboscale.dataset.lerobot.tables import table_of, to_rows
from roboscale.dataset.remote import open_root
from roboscale.dataset.unfetched import lance_tables

__all__ = ["Episodes", "Folder", "Paths", "VideoPlaces", "data_files", "lerobot_format", "load_folder", "tables_under"]

Integers = NDArray[np.int64]
Seconds = NDArray[np.float64]


class Paths:
    """The file of each of N episodes, by a template and the numbers in it; `None` where a number is unknown."""

    def __init__(self, template: Template, numbers: Mapping[str, Integers], **words: str) -> None:
        self._template, self._words = template, words
        self._all = numbers
        self._numbers = {name: values for name, values in numbers.items() if f"{{{name}" in template.text}
        self._made: dict[tuple[int, ...], Path | None] = {}

    def along(self, template: Template, camera: str = "") -> Paths:
        """The same files by another template."""
        words = camera_words(camera) if camera else {}
        return Paths(template, self._all, **words)

    def __getitem__(self, position: int) -> Path | None:
        key = tuple(int(values[position]) for values in self._numbers.values())
        if key not in self._made:
            unknown = any(number < 0 for number in key)
            filled = dict(zip(self._numbers, key, strict=True))
            self._made[key] = None if unknown else self._template.fill(**filled, **self._words)
        return self._made[key]


@dataclass(frozen=True, slots=True)
class VideoPlaces:
    """One camera: the file of each episode, and from when to when it lasts there (N,), s; NaN where nothing says."""

    paths: Paths
    begins: Seconds
    ends: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """What the metadata say of N episodes, in their order.

    Args:
        index: (N,) LeRobot's episode index.
        length: (N,) frames.
        tasks: texts.
        tables: parquet file.
        videos: camera -> places.
        starts, ends: (N,) dataset_from_index and dataset_to_index; -1 where nothing says.
        said: what else the writer says of each.
        files: of the episode table; `lines` (N, 2) says in which of them, and in which row, an episode stands.
    """

    index: Integers
    length: Integers
    tasks: Sequence[tuple[str, ...]]
    tables: Paths
    videos: Mapping[str, VideoPlaces]
    starts: Integers
    ends: Integers
    files: Sequence[Path] = ()
    lines: Integers
    said: SaidOfEpisodes = field(default_factory=SaidOfEpisodes)

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What can be read of the metadata. `tasks` maps numbers to texts."""

    format: str
    head: InfoHead
    episodes: Episodes
    tasks: Mapping[int, str]
    problems: Problems

    @property
    def root(self) -> Path:
        return self.head.root

    @property
    def licence(self) -> str:
        """What the card, the files or the sidecar say; empty where nothing does."""
        return licence_of(self.root, self.head.raw)

    @property
    def languages(self) -> tuple[str, ...]:
        """Of the texts, as the card says."""
        return languages_of(self.root)

    @property
    def numbers(self) -> tuple[int, ...]:
        """episode_index of every row."""
        return tuple(self.episodes.index.tolist())


def camera_words(camera: str) -> dict[str, str]:
    """Blanks of a template that a camera fills: `video_key`, and `camera`, the last part of that."""
    return {"video_key": camera, "camera": camera.rsplit(".", 1)[-1]}


def lerobot_format(root: Path, version: str) -> str:
    """Our name of a version; empty for one that is not read."""
    if version.startswith("v2.") and (root / "meta/modality.json").is_file():
        return "gr00t"
    known = {"v3.": "lerobot-v3", "v2.1": "lerobot-v2.1", "v2.": "lerobot-v2.0"}
    return next((name for start, name in known.items() if version.startswith(start)), "")


def data_files(root: Path) -> list[Path]:
    """Tables of data that are there, whether anybody names them or not, in order."""
    return tables_under(root / "data")


def tables_under(folder: Path) -> list[Path]:
    """Tables in the folders of chunks, in order, without what macOS leaves beside files (`._file-000.parquet`)."""
    return sorted(path for path in folder.glob("*/*.parquet") if not path.name.startswith("._"))


def load_folder(root: Path, templates: Mapping[str, str] | None = None) -> tuple[Folder | None, Problems]:
    """The folder, or `None` where nothing can be made of it, and what is wrong with its metadata.

    Args:
        templates: `data_path` and `video_path` to use instead of those of `info.json`.
    """
    root, problems = open_root(root), Problems()
    head = read_head(root, problems, templates or {})
    if head is None:
        return None, problems
    _refuse_lance(head, problems)
    episodes = _episodes_v3(head, problems) if head.is_v3 else _episodes_v2(head, problems)
    said = all(len(set(texts)) == 1 for texts in episodes.tasks) and len(episodes) > 0
    tasks = _tasks_v3(root, problems, said) if head.is_v3 else _tasks_v2(root, problems, said)
    folder = Folder(
        format=lerobot_format(root, head.version),
        head=head,
        episodes=episodes,
        tasks=tasks,
        problems=problems,
    )
    return folder, problems


def _refuse_lance(head: InfoHead, problems: Problems) -> None:
    """Rows or pictures that LeRobot 0.6 keeps in Lance tables instead of parquet and mp4."""
    said, tables = head.raw.get("storage_format"), lance_tables(head.root)
    if said == "lance" or tables:
        where = f"Lance tables ({', '.join(tables[:4])})" if tables else f"storage_format {said!r}"
        error = BadData(
            head.file, "storage_format", "rows in parquet and pictures in mp4", f"{where}, which are not read"
        )
        problems.refuse("lance-layout", error, "storage_format")


# v3: columns of parquet files


def _columns_v3(head: InfoHead) -> dict[str, bool]:
    """Columns of the episode table, and whether nobody can do without."""
    names = {"episode_index": True, "length": True, "data/chunk_index": True, "data/file_index": True}
    names |= {"tasks": False, "dataset_from_index": False, "dataset_to_index": False}
    for camera in head.cameras:
        for what in ("chunk_index", "file_index", "from_timestamp", "to_timestamp"):
            names[f"videos/{camera}/{what}"] = False
    return names


def _episodes_v3(head: InfoHead, problems: Problems) -> Episodes:
    layout, wanted = Layout(head.root), _columns_v3(head)
    files, parts = tables_under(layout.episodes), []
    for number, path in enumerate(files):
        try:
            table = table_of(path, list(wanted))
        except BadData as error:
            problems.refuse("file-broken", error, str(path.relative_to(head.root)))
            continue
        lines = np.stack([np.full(table.num_rows, number), np.arange(table.num_rows)], axis=1).astype(np.int64)
        parts.append((path, table, lines))
    if not files:
        problems.refuse("no-episodes", BadData(layout.episodes, "episodes", "at least 1", 0), "meta/episodes")
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for path, table, _ in parts:
        for name, essential in wanted.items():
            columns[name].append(_column(path, table, name, essential, problems))
    lines = np.concatenate([part[2] for part in parts]) if parts else np.empty((0, 2), np.int64)
    merged = {n: np.concatenate(c) if c else np.empty(0) for n, c in columns.items() if n != "tasks"}
    tasks = [texts for part in columns["tasks"] for texts in part]
    usable = all((merged[name] >= 0).all() for name, essential in wanted.items() if essential)
    if not usable:
        merged, tasks, lines = {name: values[:0] for name, values in merged.items()}, [], lines[:0]
    return _assembled_v3(head, merged, tasks, files, lines, problems)


def _column(path: Path, table: pa.Table, name: str, essential: bool, problems: Problems) -> Any:
    """One column of one file as numbers, -1 or NaN where it says nothing; `tasks` as tuples of texts."""
    seconds, rows = name.endswith("_timestamp"), table.num_rows
    absent = np.full(rows, np.nan) if seconds else np.full(rows, -1, np.int64)
    there = table[name] if name in table.column_names else None
    values: Any = None
    if name == "tasks":
        values = None if there is None else _texts(there)
        absent = [()] * rows  # type: ignore[assignment]
    elif there is not None:
        values = to_rows(there)
    if values is not None and name != "tasks":
        bad = values.ndim != 1 or (not seconds and (values != np.round(values)).any())
        bad = bad or not ((values >= 0) & (values < (1e9 if seconds else 2**40))).all()
        values = None if bad else values.astype(np.float64 if seconds else np.int64)
    if values is not None:
        return values
    holds = "no such column" if there is None else f"{there.type}, or nulls, or numbers below 0"
    error = BadData(path, name, "texts" if name == "tasks" else "a number from 0 in every row", holds)
    if essential or there is not None:
        problems.refuse("episode-columns", error, name)
    elif not any(one.field == name for one in problems.findings):
        problems.note("episode-columns", str(error), name)
    return absent


def _texts(column: pa.ChunkedArray) -> list[tuple[str, ...]] | None:
    """Lists of texts; a plain text is a list of one. `None` where it is anything else."""
    rows = column.to_pylist()
    if all(isinstance(row, str) for row in rows):
        return [(row,) for row in rows]
    good = all(isinstance(row, list) and all(isinstance(text, str) for text in row) for row in rows)
    return [tuple(row) for row in rows] if good else None


def _assembled_v3(
    head: InfoHead,
    columns: Mapping[str, NDArray[Any]],
    tasks: Sequence[tuple[str, ...]],
    files: Sequence[Path],
    lines: Integers,
    problems: Problems,
) -> Episodes:
    index = columns["episode_index"].astype(np.int64)
    kept = _once(index, Layout(head.root).episodes, problems)
    blanks = {what: columns[f"data/{what}"][kept].astype(np.int64) for what in ("chunk_index", "file_index")}
    blanks |= {"episode_index": index[kept], "episode_chunk": index[kept] // head.chunks_size}
    videos = {}
    for camera in head.cameras:
        at = {name: columns[f"videos/{camera}/{name}"][kept] for name in ("chunk_index", "file_index")}
        at |= {name: blanks[name] for name in ("episode_index", "episode_chunk")}
        paths = Paths(head.video_path, {n: v.astype(np.int64) for n, v in at.items()}, **camera_words(camera))
        times = [columns[f"videos/{camera}/{end}_timestamp"][kept].astype(np.float64) for end in ("from", "to")]
        videos[camera] = VideoPlaces(paths, *times)
    return Episodes(
        index=index[kept],
        length=columns["length"][kept].astype(np.int64),
        tasks=[tasks[i] for i in kept.tolist()] if len(kept) < len(tasks) else tasks,
        tables=Paths(head.data_path, blanks),
        videos=videos,
        starts=columns["dataset_from_index"][kept].astype(np.int64),
        ends=columns["dataset_to_index"][kept].astype(np.int64),
        files=files,
        lines=lines[kept],
        said=SaidOfEpisodes(other_columns(files), files=files, lines=lines[kept]),
    )


def _once(index: Integers, where: Path, problems: Problems) -> Integers:
    """Positions of the first row of every episode."""
    _, first = np.unique(index, return_index=True)
    kept = np.sort(first).astype(np.int64)
    if len(kept) < len(index):
        again = int(index[np.setdiff1d(np.arange(len(index)), kept)[0]])
        error = BadData(where, "episode_index", "every episode once", f"episode {again} twice")
        problems.refuse("episode-order", error, "episode_index")
    return kept


def _no_tasks(error: BadData, problems: Problems, said: bool) -> None:
    """A table of tasks that cannot be read costs nothing where every episode says its one instruction itself."""
    if said:
        problems.take("tasks-table", error, "each episode's own instruction is taken", "meta/tasks")
    else:
        problems.refuse("tasks-table", error, "meta/tasks")


def _tasks_v3(root: Path, problems: Problems, said: bool) -> dict[int, str]:
    path = Layout(root).tasks
    try:
        table = table_of(path)
        texts = [name for name in ("task", "__index_level_0__") if name in table.column_names]
        numbers = to_rows(table["task_index"]) if "task_index" in table.column_names else None
        if not texts or numbers is None or numbers.ndim != 1 or (numbers != np.round(numbers)).any():
            raise BadData(path, "columns", "task_index and task", ", ".join(table.column_names)[:200])
    except BadData as error:
        _no_tasks(error, problems, said)
        return {}
    rows = [(int(number), str(text)) for number, text in zip(numbers, table[texts[0]].to_pylist(), strict=True)]
    return _tasks(path, rows, problems)


def _tasks(path: Path, rows: Sequence[tuple[int, str]], problems: Problems) -> dict[int, str]:
    numbers, tasks = [number for number, _ in rows], dict(rows)
    if sorted(numbers) != list(range(len(rows))) or len({text for _, text in rows}) != len(rows):
        text = f"task indices of {path.name} are {numbers[:8]}, expected 0 to {len(rows) - 1}, each with its own text"
        problems.note("tasks-table", text, "task_index", evidence={"indices": numbers[:50]})
    return tasks


# v2.x: lines of JSON


def _rows_v2(head: InfoHead, problems: Problems) -> Iterator[tuple[int, int, tuple[str, ...], dict[str, Any]]]:
    """Index, length and texts of every line that can be read, and the line."""
    path = head.root / "meta/episodes.jsonl"
    try:
        for where, row in read_lines(path):
            index = as_whole(path, f"{where}: episode_index", row.get("episode_index"), 0)
            length = as_whole(path, f"{where}: length", row.get("length"), 0)
            tasks = row.get("tasks") or []
            tasks = [tasks] if isinstance(tasks, str) else tasks
            if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
                raise BadData(path, f"{where}: tasks", "a list of texts", str(tasks)[:60])
            yield index, length, tuple(tasks), row
    except BadData as error:
        problems.refuse("file-broken", error, "meta/episodes.jsonl")


def _episodes_v2(head: InfoHead, problems: Problems) -> Episodes:
    rows = list(_rows_v2(head, problems))
    path = head.root / "meta/episodes.jsonl"
    if not rows and not problems.fatal:
        problems.refuse("no-episodes", BadData(path, "episodes", "at least 1", 0), "meta/episodes.jsonl")
    index = np.array([row[0] for row in rows], np.int64)
    kept = _once(index, path, problems)
    index = index[kept]
    numbers = {"episode_index": index, "episode_chunk": index // head.chunks_size}
    numbers |= {"chunk_index": numbers["episode_chunk"], "file_index": np.full(len(index), -1, np.int64)}
    for key, template in (("data_path", head.data_path), ("video_path", head.video_path)):
        if "{episode_index" not in template.text and len(index) > 1:
            error = BadData(head.file, key, "a file for each episode", template.text[:120])
            problems.refuse("path-template", error, key)
    nothing = np.full(len(index), -1, np.int64)
    begins, ends = np.zeros(len(index)), np.full(len(index), np.nan)
    return Episodes(
        index=index,
        length=np.array([row[1] for row in rows], np.int64)[kept],
        tasks=[rows[i][2] for i in kept.tolist()],
        tables=Paths(head.data_path, numbers),
        videos={
            c: VideoPlaces(Paths(head.video_path, numbers, **camera_words(c)), begins, ends) for c in head.cameras
        },
        starts=nothing,
        ends=nothing,
        lines=np.stack([nothing, nothing], axis=1),
        said=SaidOfEpisodes(
            other_keys(dict.fromkeys(key for row in rows for key in row[3])), [rows[i][3] for i in kept]
        ),
    )


def _tasks_v2(root: Path, problems: Problems, said: bool) -> dict[int, str]:
    path, rows = root / "meta/tasks.jsonl", []
    try:
        for where, row in read_lines(path):
            if not isinstance(row.get("task"), str):
                raise BadData(path, f"{where}: task", "a text", str(row.get("task"))[:60])
            rows.append((as_whole(path, f"{where}: task_index", row.get("task_index"), 0), row["task"]))
    except BadData as error:
        _no_tasks(error, problems, said)
        return {}
    return _tasks(path, rows, problems)
