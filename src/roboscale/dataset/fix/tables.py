"""Tasks, data files, the episode table and our own sidecar, corrected from the rows that are verified.

Files are written again as a whole, with every column they have; what an episode is called by id stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roboscale.core.episode import Provenance
from roboscale.core.errors import BadData
from roboscale.core.seeds import derive_id
from roboscale.dataset.fix.mending import Mending, VerifiedEpisode, remove_file
from roboscale.dataset.journal import EpisodeRecord
from roboscale.dataset.layout import Info, Layout, atomic_write
from roboscale.dataset.lerobot.catalog import EpisodeInfo, index_columns
from roboscale.dataset.lerobot.folder import Folder, data_files, tables_under
from roboscale.dataset.lerobot.sidecar import sidecar_files, sidecar_lines
from roboscale.dataset.lerobot.tables import table_of
from roboscale.dataset.statistics import episode_entry
from roboscale.dataset.tables import column_names, open_table, write_tasks

__all__ = ["mend_data", "mend_episode_table", "mend_sidecar", "mend_tasks"]

Record = dict[str, Any]

_OWN_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_TIME_S = 1e-4
_CLOCK = "the recorded clock is in no column then: a copy (data fix with OUT, data import) keeps it as time.frame_ns"


def mend_tasks(mending: Mending, folder: Folder, episodes: Sequence[VerifiedEpisode]) -> list[str]:
    """Makes `task_index` of every episode right, and the table of tasks; returns the tasks.

    Where our sidecar and the episode table say the same, the column follows them. Elsewhere the column is believed,
    as LeRobot's loader does.

    Raises:
        BadData: nothing says what a number in the column means.
    """
    path = Layout(mending.root).tasks
    claimed = [folder.tasks.get(number, "") for number in range(len(folder.tasks))]
    for shown in folder.problems.findings:
        if shown.check == "tasks-table":
            mending.note(shown.text)
            claimed = []
    said = _sidecar(mending)[0]
    texts = [_texts(path, claimed or _from_rows(episodes), episode, said.get(episode.number)) for episode in episodes]
    used = dict.fromkeys(text for one in texts for text in one)
    annotated = any(name.startswith("annotation.") for name in episodes[0].columns)  # they number texts, too
    tasks = [text for text in claimed if annotated or text in used]
    tasks += [text for text in used if text not in tasks]
    for episode, one in zip(episodes, texts, strict=True):
        old = np.unique(episode.columns["task_index"])
        new = [tasks.index(text) for text in one]
        episode.columns["task_index"] = np.asarray(new, np.int64)[
            np.searchsorted(old, episode.columns["task_index"]) if len(new) > 1 else np.zeros(episode.length, int)
        ]
        episode.tasks = list(dict.fromkeys(one)) if sorted(one) != sorted(_said(episode)) else _said(episode)
    if tasks != claimed:
        mending.change("tasks.parquet", f"{len(claimed)} tasks", f"{len(tasks)} that episodes have")
        mending.replace(path, lambda target: write_tasks(target, tasks))
    return tasks


def _said(episode: VerifiedEpisode) -> list[str]:
    return [str(text) for text in episode.row.get("tasks") or []]


def _from_rows(episodes: Sequence[VerifiedEpisode]) -> list[str]:
    """Tasks by number, where episodes with one number and one text tell; '' for the others."""
    texts: dict[int, str] = {}
    for episode in episodes:
        numbers = np.unique(episode.columns["task_index"]).tolist()
        if len(numbers) == len(_said(episode)) == 1:
            texts.setdefault(int(numbers[0]), _said(episode)[0])
    return [texts.get(number, "") for number in range(max(texts, default=-1) + 1)]


def _texts(path: Path, tasks: Sequence[str], episode: VerifiedEpisode, record: Record | None) -> list[str]:
    """The task of each number of the episode's column, in the order of the numbers; or one for all its frames."""
    numbers = [int(number) for number in np.unique(episode.columns["task_index"])]
    said = _said(episode)
    if record is not None and (said == [record.get("instruction")] or not said):
        return [str(record["instruction"])]
    meant = [tasks[number] if 0 <= number < len(tasks) else "" for number in numbers]
    if all(text or (text in said) for text in meant):
        return meant
    if len(said) != 1:
        raise BadData(path, f"task {numbers[meant.index('')]}", "a text", f"none in {len(tasks)} tasks, nor {said}")
    return said


def mend_data(
    mending: Mending, info: Info, episodes: Sequence[VerifiedEpisode], known: Sequence[int], *, keep_clock: bool
) -> None:
    """Data files whose index columns, columns or rows are not what they should be are written again.

    Args:
        known: numbers of all episodes of the episode table; rows of others belong to nobody.
        keep_clock: recorded times stay as they are: whoever copies the dataset keeps them in a column of their own.
    """
    first, wrong = 0, set[Path]()
    checked = tuple(name for name in _OWN_COLUMNS if not (keep_clock and name == "timestamp"))
    there = {path: column_names(path) for path in {episode.file for episode in episodes}}
    for index, episode in enumerate(episodes):
        one = EpisodeInfo(
            id="",
            index=index,
            length=episode.length,
            instruction="",
            outcome=None,
            provenance=Provenance(""),
            from_index=first,
        )
        regular = index_columns(one, 0, info.fps) | {"task_index": episode.columns["task_index"]}
        if keep_clock and "timestamp" in there[episode.file]:
            regular["timestamp"] = episode.columns["timestamp"]
        for name in (name for name in checked if name in there[episode.file]):
            claimed = episode.columns[f"claimed {name}"] if name == "task_index" else episode.columns[name]
            limit = _TIME_S if name == "timestamp" else 0
            if not np.allclose(claimed, regular[name], rtol=0, atol=limit):
                if not any(change.startswith(f"column {name}:") for change in mending.changes):
                    found = f"{regular[name][:3].tolist()}"
                    mending.change(f"column {name}", f"{claimed[:3].tolist()} in episode {index}", found)
                    if name == "timestamp":
                        mending.note(_CLOCK)
                wrong.add(episode.file)
        if episode.moved:
            mending.note(f"rows of episode {index} do not lie in the order of their frames in {episode.file.name}")
            wrong.add(episode.file)
        episode.columns.update(regular)
        first += episode.length
    for path in data_files(mending.root):
        mine = [episode for episode in episodes if episode.file == path]
        _mend_file(mending, info, path, mine, path in wrong, known)


def _mend_file(
    mending: Mending, info: Info, path: Path, mine: Sequence[VerifiedEpisode], wrong: bool, known: Sequence[int]
) -> None:
    try:
        file = open_table(path)
    except BadData:
        return  # whoever verified its episodes said so
    with file:
        schema = file.schema_arrow
        rows, names = int(file.metadata.num_rows), list(schema.names)
        owners = file.read(columns=["episode_index"])["episode_index"] if "episode_index" in names else []
    kept = sum(episode.length for episode in mine)
    if not mine and set(np.asarray(owners).tolist()) & set(known):
        return  # a second copy of what lies elsewhere: not ours to judge
    if rows != kept:
        mending.change(f"rows of {path.name}", rows, f"{kept} that belong to an episode")
    wrong |= _judge_types(mending, info, path, schema) if mine else False
    extra = [name for name in names if name not in info.features]
    if extra:
        kinds = ", ".join(f"{name} ({schema.field(name).type})" for name in extra)
        why = "none of a type that a feature can have and in every data file: it goes to the undo folder"
        mending.note(f"columns of {path.name}: {kinds}: no feature, and {why}")
    if not mine:
        mending.replace(path, remove_file)
    elif rows != kept or wrong or extra:
        mending.replace(path, _rewritten(path, info, mine, frozenset(extra)))


def _judge_types(mending: Mending, info: Info, path: Path, schema: pa.Schema) -> bool:
    """Whether a column that LeRobot adds is not there, or whole numbers have another type than is declared."""
    wrong = False
    for name in _OWN_COLUMNS:
        there = schema.field(name).type if name in schema.names else None
        if there is None:
            mending.change(f"column {name} of {path.name}", "nothing", "what the rows and the episode table say")
        elif name != "timestamp" and there != _kind(name, info, schema).type:
            mending.change(f"column {name} of {path.name}", there, f"{_kind(name, info, schema).type}, as declared")
        else:
            continue
        wrong = True
    return wrong


def _kind(name: str, info: Info, schema: pa.Schema) -> pa.Field:
    """A column that LeRobot adds as it shall be: times keep the type that they have."""
    if name in schema.names and name == "timestamp":
        return schema.field(name)
    return pa.field(name, pa.from_numpy_dtype(np.dtype(info.features[name]["dtype"])))


def _rewritten(
    path: Path, info: Info, episodes: Sequence[VerifiedEpisode], without: frozenset[str]
) -> Callable[[Path], None]:
    """Writes the rows of these episodes as they are, but for the columns that LeRobot adds."""

    def write(target: Path) -> None:
        table = table_of(path)
        table = table.drop_columns([name for name in table.column_names if name in without])
        schema = table.schema
        for name in _OWN_COLUMNS:
            kind, place = _kind(name, info, table.schema), schema.get_field_index(name)
            schema = schema.append(kind) if place < 0 else schema.set(place, kind)
        with pq.ParquetWriter(target, schema, compression="snappy") as writer:
            for episode in episodes:
                part = table.take(episode.rows)
                for name in _OWN_COLUMNS:
                    kind = _kind(name, info, table.schema)
                    column = pa.array(episode.columns[name]).cast(kind.type)
                    there = part.column_names.index(name) if name in part.column_names else -1
                    part = part.append_column(kind, column) if there < 0 else part.set_column(there, kind, column)
                part = part.replace_schema_metadata(schema.metadata).select(schema.names)
                writer.write_table(part, row_group_size=max(1, part.num_rows))

    return write


def mend_episode_table(
    mending: Mending, info: Info, episodes: Sequence[VerifiedEpisode], claimed: Sequence[int]
) -> None:
    """One episode file with all rows, when any of them, or their order, is wrong."""
    lost = any(name.startswith("meta/episodes/") for name in mending.files)
    first, fixed, wrong = 0, [], lost or list(claimed) != list(range(len(episodes)))
    for index, episode in enumerate(episodes):
        row = _fixed_row(info, index, first, episode)
        for name in ("length", "dataset_from_index", "dataset_to_index"):
            if episode.row.get(name) != row[name] and not any(c.startswith(f"{name} ") for c in mending.changes):
                mending.change(f"{name} of episode {index}", episode.row.get(name), row[name])
        differs = [name for name, value in row.items() if not _same(episode.row.get(name), value)]
        wrong |= any(not name.startswith("meta/episodes/") for name in differs)
        if any(name.startswith("stats/") for name in differs):
            mending.note("statistics of episodes: claimed other numbers than the data have")
        for name in differs:
            if name.startswith(("videos/", "data/", "tasks")):
                mending.note(f"{name} of episodes: claimed otherwise than the files have")
        fixed.append(row)
        first += episode.length
    if not wrong:
        return
    layout = Layout(mending.root)
    table = pa.Table.from_pylist(fixed)
    target = layout.episodes / "chunk-000" / "file-000.parquet"
    for path in tables_under(layout.episodes):
        mending.replace(path, remove_file)
    mending.replace(target, lambda path: pq.write_table(table, path, compression="snappy"))


def _fixed_row(info: Info, index: int, first: int, episode: VerifiedEpisode) -> dict[str, Any]:
    row = dict(episode.row)
    chunk, file = _place(info, episode)
    row |= {
        "episode_index": index,
        "tasks": episode.tasks,
        "length": episode.length,
        "data/chunk_index": chunk,
        "data/file_index": file,
        "dataset_from_index": first,
        "dataset_to_index": first + episode.length,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    for camera in info.cameras:
        start = round(row[f"videos/{camera}/from_timestamp"] * info.fps)
        row[f"videos/{camera}/from_timestamp"] = start / info.fps
        row[f"videos/{camera}/to_timestamp"] = (start + episode.length) / info.fps
    for name, feature in info.columns.items():
        values = episode.columns[name].reshape(episode.length, *feature["shape"])
        if values.dtype.kind != "f" or np.isfinite(values).all():
            row |= {f"stats/{name}/{key}": value for key, value in episode_entry(values).items()}
    return row


def _place(info: Info, episode: VerifiedEpisode) -> tuple[int, int]:
    """The chunk and file by which the template names the episode's data file."""
    claimed = [episode.row.get(f"data/{what}_index") for what in ("chunk", "file")]
    numbers = [int(text) for text in re.findall(r"\d+", str(episode.file.relative_to(info.root)))]
    for chunk, file in (claimed, numbers[-2:] if len(numbers) > 1 else claimed):
        if isinstance(chunk, int) and isinstance(file, int) and info.data_file(chunk, file) == episode.file:
            return chunk, file
    raise BadData(episode.file, "path", f"as data_path says: {info.raw['data_path']}", "another name")


def _same(claimed: Any, found: Any) -> bool:
    if isinstance(found, (list, float)) and not (isinstance(found, list) and found and isinstance(found[0], str)):
        try:
            return bool(np.allclose(np.asarray(claimed, np.float64), np.asarray(found, np.float64), 1e-6, 1e-6))
        except (TypeError, ValueError):
            return False
    return bool(claimed == found)


def _sidecar(mending: Mending) -> tuple[dict[int, Record], list[Path], int]:
    """Records by episode index, their files, and how many lines those have; broken lines are left out."""
    records: dict[int, Record] = {}
    lines = list(sidecar_lines(mending.root))
    for line in lines:
        number = line.data.get("episode_index")
        if line.record is not None and isinstance(number, int):
            records.setdefault(number, dict(line.data))
    return records, sidecar_files(mending.root), len(lines)


def mend_sidecar(mending: Mending, info: Info, episodes: Sequence[VerifiedEpisode]) -> None:
    """Our own records: one for each episode, in their order. One that is lost is made up but for what it held."""
    records, files, lines = _sidecar(mending)
    if not files:
        return
    # The next seal names its files after those of the episode table: both have one file, or both keep theirs.
    joined = len(files) > 1 and any(name.startswith("meta/episodes/") for name in mending.files)
    mended, wrong = [], joined or lines != len(episodes)
    for index, episode in enumerate(episodes):
        old = records.get(episode.number)
        new = {**(old or _made_up(mending, info, episode)), "length": episode.length, "episode_index": index}
        new["instruction"] = episode.tasks[0]
        if old is None:
            lost = "no record: its id, outcome and provenance are lost"
            mending.change(f"meta/roboscale/episodes: episode {index}", "a record", lost)
        elif new != old:
            mending.note(f"meta/roboscale/episodes: episode {index}: claimed other facts than the data")
        wrong |= new != old
        mended.append(json.dumps(new, ensure_ascii=False) + "\n")
    if not wrong:
        return
    for path in files:
        mending.replace(path, remove_file)
    target = Layout(mending.root).own / "episodes" / "chunk-000" / "file-000.jsonl"
    mending.replace(target, lambda path: atomic_write(path, "".join(mended).encode()))


def _made_up(mending: Mending, info: Info, episode: VerifiedEpisode) -> Record:
    robot = info.raw.get("robot_type") or ""
    id_ = derive_id("mended", mending.root.absolute().name, episode.number, episode.length)
    record = EpisodeRecord(
        id=id_,
        instruction="",
        length=episode.length,
        outcome=None,
        provenance=Provenance("lerobot", embodiment=str(robot)),
    )
    data = record.to_json()
    del data["pixels"]
    return data
