"""The data files of a v3 folder against its metadata: rows, index columns, types, statistics of each episode.

`examine_table` is the work on one file; it runs in any process and keeps counts and mergeable statistics only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.audit.folder import TEXT_DTYPES, Folder, read_table
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.dataset.statistics import QUANTILES, Statistics, summary

__all__ = [
    "EpisodeRows",
    "TableEvidence",
    "TableJob",
    "as_numbers",
    "examine_table",
    "expected_starts",
    "jobs",
    "to_rows",
    "wrong_statistics",
]


@dataclass(frozen=True, slots=True)
class TableJob:
    """One data file and the episodes that the metadata place in it.

    Args:
        claimed: episode_index -> (file, row) of its line in the episode table.
        known: every episode_index of the dataset.
        named: every feature that info.json names, usable or not.
    """

    path: Path
    features: Mapping[str, Mapping[str, Any]]
    fps: int
    claimed: Mapping[int, tuple[str, int]]
    known: frozenset[int]
    named: frozenset[str]


@dataclass(frozen=True, slots=True)
class EpisodeRows:
    """The rows of one episode in one file.

    Args:
        frames: how many.
        first: `index` of the first.
        counts: whether `index` goes up by one.
        frame_index: first row where frame_index is not the row's number, else -1.
        late_s: largest distance of timestamp from frame / fps.
        tasks: the values of task_index.
        wrong: statistics that differ from the episode table's: field -> names.
    """

    frames: int
    first: int
    counts: bool
    frame_index: int
    late_s: float
    tasks: tuple[int, ...]
    wrong: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class TableEvidence:
    """One data file. `columns` maps what is wrong with a column to a sentence, by check."""

    path: Path
    error: str = ""
    rows: int = 0
    columns: tuple[tuple[str, str, str], ...] = ()
    episodes: Mapping[int, EpisodeRows] = dataclasses.field(default_factory=dict)
    orphans: int = 0
    statistics: Mapping[str, Statistics] = dataclasses.field(default_factory=dict)
    quantiles: tuple[Mapping[str, Mapping[str, NDArray[np.float64]]], ...] = ()
    lengths: tuple[int, ...] = ()


def jobs(folder: Folder) -> list[TableJob]:
    """One job for every data file that is named or there."""
    placed: dict[Path, dict[int, tuple[str, int]]] = {}
    for path in sorted((folder.root / "data").glob("*/*.parquet")):
        placed[path] = {}
    for row in folder.rows:
        try:
            path = folder.info.data_file(int(row["data/chunk_index"]), int(row["data/file_index"]))
        except (BadData, TypeError, ValueError):
            continue
        placed.setdefault(path, {})[int(row["episode_index"])] = (str(row["#file"]), int(row["#row"]))
    features = {n: f for n, f in folder.info.features.items() if f["dtype"] != "video"}
    known = frozenset(folder.numbers)
    named = frozenset(folder.info.raw["#features"])
    return [TableJob(path, features, folder.info.fps, claimed, known, named) for path, claimed in placed.items()]


def examine_table(job: TableJob) -> TableEvidence:
    """Reads one data file."""
    try:
        table = read_table(job.path)
    except BadData as error:
        return TableEvidence(job.path, error=str(error))
    numeric = {n: f for n, f in job.features.items() if f["dtype"] not in (*TEXT_DTYPES, "image")}
    columns, problems = _columns(table, numeric, job)
    owner = columns.get("episode_index")
    if owner is None:
        return TableEvidence(job.path, rows=table.num_rows, columns=tuple(problems))
    own = {n: c for n, c in columns.items() if n not in INDEX_FEATURES}
    claims = _claims(job, problems)
    episodes: dict[int, EpisodeRows] = {}
    quantiles, lengths = [], []
    good = np.isin(owner, list(job.known))
    for number in np.unique(owner[good]).tolist():
        rows = np.flatnonzero(owner == number)
        summaries = {n: summary(_shaped(c[rows], job.features[n])) for n, c in own.items() if _finite(c[rows])}
        episodes[number] = _episode(columns, rows, job.fps, summaries, claims.get(number, {}))
        quantiles.append({n: {q: np.asarray(s[q]) for q in QUANTILES} for n, s in summaries.items()})
        lengths.append(len(rows))
    kept = {n: c[good] for n, c in own.items() if good.any() and _finite(c[good])}
    statistics = {n: Statistics.of(_shaped(c, job.features[n])) for n, c in kept.items()}
    return TableEvidence(
        job.path,
        "",
        table.num_rows,
        tuple(problems),
        episodes,
        int((~good).sum()),
        statistics,
        tuple(quantiles),
        tuple(lengths),
    )


def _finite(values: NDArray[Any]) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _shaped(values: NDArray[Any], feature: Mapping[str, Any]) -> NDArray[Any]:
    return values.reshape(len(values), *feature["shape"])


def to_rows(column: pa.ChunkedArray) -> NDArray[Any] | None:
    """A numeric column as (T, size) or (T,); `None` for text, nulls, or rows of different sizes."""
    rows, flat = len(column), column.combine_chunks()
    if isinstance(flat, pa.ExtensionArray):
        flat = flat.storage
    while pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type) or pa.types.is_large_list(flat.type):
        flat = flat.flatten()
    numeric = pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type) or pa.types.is_boolean(flat.type)
    if flat.null_count or not numeric or (rows and len(flat) % rows):
        return None
    values: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    return values if len(values) == rows else values.reshape(rows, -1)


def _columns(
    table: pa.Table, features: Mapping[str, Mapping[str, Any]], job: TableJob
) -> tuple[dict[str, NDArray[Any]], list[tuple[str, str, str]]]:
    """The usable columns, and (check, column, sentence) for the others."""
    found: dict[str, NDArray[Any]] = {}
    problems = []
    for name, feature in features.items():
        if name not in table.column_names:
            problems.append(("column-missing", name, f"{name} is declared and has no column"))
            continue
        values = to_rows(table[name])
        size, said = int(np.prod(feature["shape"])), np.dtype(feature["dtype"])
        if _nulls(table[name]):
            problems.append(("null-values", name, f"{name} holds {_nulls(table[name])} nulls"))
        elif values is None or values.size != len(values) * size or values.dtype != said:
            is_ = "text or ragged" if values is None else f"{values.dtype}[{values.size // max(1, len(values))}]"
            problems.append(("column-type", name, f"{name} is {is_}, declared {said}[{size}]"))
        if values is not None and values.size == len(values) * size:
            found[name] = values
    extra = [name for name in table.column_names if name not in job.features and name not in job.named]
    problems += [("column-undeclared", name, f"column {name} is no feature") for name in extra]
    return found, problems


def _nulls(column: pa.ChunkedArray) -> int:
    flat = column.combine_chunks()
    count = int(flat.null_count)
    while pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type) or pa.types.is_large_list(flat.type):
        flat = flat.flatten()
        count += int(flat.null_count)
    return count


def _claims(job: TableJob, problems: list[tuple[str, str, str]]) -> dict[int, dict[str, Any]]:
    """episode_index -> its statistics columns in the episode table; what cannot be read is added to `problems`."""
    places: dict[str, list[tuple[int, int]]] = {}
    for number, (file, row) in job.claimed.items():
        places.setdefault(file, []).append((row, number))
    found: dict[int, dict[str, Any]] = {}
    names = [f"stats/{n}/{s}" for n in job.features for s in ("count", "min", "max", "mean", "std", *QUANTILES)]
    for file, entries in places.items():
        try:
            table = read_table(Path(file), names)
        except BadData as error:
            problems.append(("file-broken", file, str(error)))
            continue
        lines = table.take([row for row, _ in entries]).to_pylist()
        found |= {number: line for (_, number), line in zip(entries, lines, strict=True)}
    return found


def _episode(
    columns: Mapping[str, NDArray[Any]],
    rows: NDArray[np.int64],
    fps: int,
    summaries: Mapping[str, Mapping[str, Any]],
    claims: Mapping[str, Any],
) -> EpisodeRows:
    place = np.arange(len(rows))
    index, frame = columns.get("index"), columns.get("frame_index")
    late, tasks = columns.get("timestamp"), columns.get("task_index")
    off = np.flatnonzero(frame[rows] != place) if frame is not None else np.empty(0, np.int64)
    wrong = {}
    for name, entry in summaries.items():
        claim = {s: claims[f"stats/{name}/{s}"] for s in entry if claims.get(f"stats/{name}/{s}") is not None}
        names = tuple(wrong_statistics(claim, entry, 0.02))
        if names:
            wrong[name] = names
    return EpisodeRows(
        len(rows),
        int(index[rows[0]]) if index is not None else -1,
        index is None or bool((index[rows] == index[rows[0]] + place).all()),
        int(off[0]) if len(off) else -1,
        float(np.abs(late[rows] - place / fps).max()) if late is not None else 0.0,
        tuple(np.unique(tasks[rows]).tolist()) if tasks is not None else (),
        wrong,
    )


def wrong_statistics(claim: Mapping[str, Any], truth: Mapping[str, Any], quantile: float = 0.01) -> Iterator[str]:
    """Names of the statistics in `claim` that differ from `truth`.

    Tolerances, as a share of the dimension's range: 1e-4 for min and max, 1e-3 for mean and std, `quantile` for
    quantiles; and always 1e-5 of the value, which float32 needs.
    """
    range_ = np.asarray(truth["max"], np.float64).reshape(-1) - np.asarray(truth["min"], np.float64).reshape(-1)
    shares = {"min": 1e-4, "max": 1e-4, "mean": 1e-3, "std": 1e-3, **dict.fromkeys(QUANTILES, quantile)}
    for name, value in claim.items():
        right = np.asarray(truth[name], np.float64).reshape(-1)
        said = as_numbers(value)
        if name == "count":
            if said is None or said.size != 1 or said[0] != right[0]:
                yield name
            continue
        limit = shares[name] * range_ + 1e-5 * np.abs(right) + 1e-9
        if said is None or said.shape != right.shape or not (np.abs(said - right) <= limit).all():
            yield name


def as_numbers(value: Any) -> NDArray[np.float64] | None:
    """A statistic as somebody wrote it, flat; `None` where it is no list of numbers."""
    try:
        return np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None


def expected_starts(lengths: Mapping[int, int], numbers: Sequence[int]) -> dict[int, int]:
    """episode_index -> index of its first row, when episodes follow each other in the order of their numbers."""
    starts, first = {}, 0
    for number in sorted(set(numbers)):
        starts[number] = first
        first += lengths.get(number, 0)
    return starts
