"""The data files of a LeRobot dataset against its metadata: rows, index columns, types, statistics of each episode.

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
from roboscale.dataset.layout import INDEX_FEATURES, OPAQUE, is_varying
from roboscale.dataset.lerobot.check import statistics_file
from roboscale.dataset.lerobot.folder import Folder, data_files
from roboscale.dataset.lerobot.info import read_lines
from roboscale.dataset.lerobot.tables import table_of, to_rows
from roboscale.dataset.statistics import QUANTILES, Statistics, summary

__all__ = [
    "OVER_LAST_AXIS",
    "EpisodeRows",
    "TableEvidence",
    "TableJob",
    "as_numbers",
    "examine_table",
    "expected_starts",
    "jobs",
    "worst_statistic",
    "wrong_statistics",
]


OVER_LAST_AXIS = "#last"
"""Behind a field's name: its statistics over all but the last axis, as LeRobot 0.6 counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableJob:
    """One data file and the episodes that the metadata place in it.

    Args:
        claimed: episode_index -> (file, row) of its line in the episode table, where v3 keeps its statistics.
        known: every episode_index that the rows of this file may have.
        named: every feature that info.json names, usable or not.
        claims: episode_index -> its statistics, where they lie in a file of their own (v2.1).
    """

    path: Path
    features: Mapping[str, Mapping[str, Any]]
    fps: float
    claimed: Mapping[int, tuple[str, int]]
    known: frozenset[int]
    named: frozenset[str]
    claims: Mapping[int, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRows:
    """The rows of one episode in one file.

    Args:
        frames: how many.
        first: `index` of the first.
        counts: whether `index` goes up by one.
        frame_index: first row where frame_index is not the row's number, else -1.
        late_s: largest distance of timestamp from frame / fps.
        tasks: the values of task_index.
        annotations: those of the columns `annotation.*`, which number texts, too.
        wrong: statistics that differ from the claimed ones: field -> names, and both sides of the worst of them.
        order: first row whose frame does not follow the one before, though every frame is there once; else -1.
    """

    frames: int
    first: int
    counts: bool
    frame_index: int
    late_s: float
    tasks: tuple[int, ...]
    wrong: Mapping[str, tuple[tuple[str, ...], str]]
    order: int = -1
    annotations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
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
    said: tuple[Mapping[str, Mapping[str, NDArray[np.float64]]], ...] = ()
    lengths: tuple[int, ...] = ()


def jobs(folder: Folder) -> list[TableJob]:
    """One job for every data file that is named or there."""
    episodes, head = folder.episodes, folder.head
    placed: dict[Path, dict[int, tuple[str, int]]] = {}
    for path in data_files(folder.root):
        placed[path] = {}
    for position, (index, (file, row)) in enumerate(zip(folder.numbers, episodes.lines.tolist(), strict=True)):
        table = episodes.tables[position]
        if table is not None:
            placed.setdefault(table, {})[index] = (str(episodes.files[file]) if file >= 0 else "", row)
    features = {n: f for n, f in head.features.items() if f["dtype"] != "video"}
    known, said = frozenset(folder.numbers), _said_of_each(folder)
    return [
        TableJob(
            path=path,
            features=features,
            fps=head.fps,
            claimed=claimed,
            known=known if head.is_v3 else frozenset(claimed),
            named=head.named,
            claims={number: said[number] for number in claimed if number in said},
        )
        for path, claimed in placed.items()
    ]


def _said_of_each(folder: Folder) -> dict[int, dict[str, Any]]:
    """episode_index -> statistics of v2.1, named as v3 names them; nothing for lines that are broken."""
    path, of_each = statistics_file(folder)
    said: dict[int, dict[str, Any]] = {}
    if not of_each or not path.is_file():
        return said
    try:
        for _, row in read_lines(path):
            number, stats = row.get("episode_index"), row.get("stats")
            if isinstance(number, int) and isinstance(stats, dict):
                good = {name: entry for name, entry in stats.items() if isinstance(entry, dict)}
                said[number] = {f"stats/{n}/{key}": value for n, entry in good.items() for key, value in entry.items()}
    except BadData:
        return said  # whoever checks the metadata says so
    return said


def examine_table(job: TableJob) -> TableEvidence:
    """Reads one data file."""
    try:
        table = table_of(job.path)
    except BadData as error:
        return TableEvidence(path=job.path, error=str(error))
    numeric = {n: f for n, f in job.features.items() if f["dtype"] not in (*OPAQUE, "image") and not is_varying(f)}
    columns, problems = _columns(table, numeric, job)
    owner = columns.get("episode_index")
    if owner is None:
        return TableEvidence(path=job.path, rows=table.num_rows, columns=tuple(problems))
    own = {n: c for n, c in columns.items() if n not in INDEX_FEATURES}
    claims = {**job.claims, **_claims(job, problems)}
    episodes: dict[int, EpisodeRows] = {}
    quantiles, said, lengths = [], [], []
    good = np.isin(owner, list(job.known))
    for number in np.unique(owner[good]).tolist():
        rows = np.flatnonzero(owner == number)
        shaped = {n: _shaped(c[rows], job.features[n]) for n, c in own.items() if _finite(c[rows])}
        summaries = {n: summary(values) for n, values in shaped.items()}
        episodes[number] = _episode(columns, rows, job.fps, shaped, claims.get(number, {}))
        quantiles.append({n: {q: np.asarray(s[q]) for q in QUANTILES} for n, s in summaries.items()})
        said.append(_said_quantiles(claims.get(number, {}), summaries))
        lengths.append(len(rows))
    kept = {n: c[good] for n, c in own.items() if good.any() and _finite(c[good])}
    statistics = {n: Statistics.of(_shaped(c, job.features[n])) for n, c in kept.items()}
    deep = {
        n: c.reshape(-1, job.features[n]["shape"][-1]) for n, c in kept.items() if len(job.features[n]["shape"]) > 1
    }
    statistics |= {f"{n}{OVER_LAST_AXIS}": Statistics.of(values) for n, values in deep.items()}
    return TableEvidence(
        path=job.path,
        error="",
        rows=table.num_rows,
        columns=tuple(problems),
        episodes=episodes,
        orphans=int((~good).sum()),
        statistics=statistics,
        quantiles=tuple(quantiles),
        said=tuple(said),
        lengths=tuple(lengths),
    )


def _said_quantiles(
    claims: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Feature -> the quantiles that the metadata give one episode, where they give all of them."""
    said: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name, summary_ in own.items():
        values = {q: as_numbers(claims.get(f"stats/{name}/{q}")) for q in QUANTILES}
        whole = {q: v for q, v in values.items() if v is not None and v.shape == np.ravel(summary_[q]).shape}
        if len(whole) == len(QUANTILES):
            said[name] = whole
    return said


def _finite(values: NDArray[Any]) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _shaped(values: NDArray[Any], feature: Mapping[str, Any]) -> NDArray[Any]:
    return values.reshape(len(values), *feature["shape"])


def _columns(
    table: pa.Table, features: Mapping[str, Mapping[str, Any]], job: TableJob
) -> tuple[dict[str, NDArray[Any]], list[tuple[str, str, str]]]:
    """The usable columns, and (check, column, sentence) for the others."""
    columns: dict[str, NDArray[Any]] = {}
    problems = []
    for name, feature in features.items():
        if name not in table.column_names:
            problems.append(("column-missing", name, f"{name} is declared and has no column"))
            continue
        values = to_rows(table[name])
        size, said = int(np.prod(feature["shape"])), np.dtype(feature["dtype"])
        if pa.types.is_null(table[name].type):
            problems.append(("column-type", name, f"{name} is nothing but nulls, declared {said}[{size}]"))
        elif _nulls(table[name]):
            problems.append(("null-values", name, f"{name} holds {_nulls(table[name])} nulls"))
        elif values is None or values.size != len(values) * size or values.dtype != said:
            is_ = "text or ragged" if values is None else f"{values.dtype}[{values.size // max(1, len(values))}]"
            problems.append(("column-type", name, f"{name} is {is_}, declared {said}[{size}]"))
        if values is not None and values.size == len(values) * size:
            columns[name] = values
    extra = [name for name in table.column_names if name not in job.named]
    problems += [("column-undeclared", name, f"column {name} is no feature") for name in extra]
    return columns, problems


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
    claims: dict[int, dict[str, Any]] = {}
    names = [f"stats/{n}/{s}" for n in job.features for s in ("count", "min", "max", "mean", "std", *QUANTILES)]
    for file, entries in places.items():
        if not file:
            continue
        try:
            table = table_of(Path(file), names)
        except BadData as error:
            problems.append(("file-broken", file, str(error)))
            continue
        if not table.column_names:
            continue  # an editor of other people's leaves no statistics there
        rows = np.array([row for row, _ in entries], np.int64)
        places_ = pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)])  # a list imports pandas
        lines = table.take(places_).to_pylist()
        claims |= {number: line for (_, number), line in zip(entries, lines, strict=True)}
    return claims


def _episode(
    columns: Mapping[str, NDArray[Any]],
    rows: NDArray[np.int64],
    fps: float,
    shaped: Mapping[str, NDArray[Any]],
    claims: Mapping[str, Any],
) -> EpisodeRows:
    frame, order = columns.get("frame_index"), -1
    if frame is not None and (np.diff(frame[rows]) <= 0).any():
        again = np.argsort(frame[rows], kind="stable")
        if np.array_equal(frame[rows][again], np.arange(len(rows))):  # only their order is wrong
            order, rows = int(np.flatnonzero(np.diff(frame[rows]) <= 0)[0]) + 1, rows[again]
    place = np.arange(len(rows))
    index, late, tasks = columns.get("index"), columns.get("timestamp"), columns.get("task_index")
    off = np.flatnonzero(frame[rows] != place) if frame is not None else np.empty(0, np.int64)
    wrong = {}
    for name, values in shaped.items():
        claim = {s: claims.get(f"stats/{name}/{s}") for s in ("count", "min", "max", "mean", "std", *QUANTILES)}
        claim = {s: value for s, value in claim.items() if value is not None}
        said = _wrong_of_episode(claim, values) if claim else None
        if said is not None:
            wrong[name] = said
    return EpisodeRows(
        frames=len(rows),
        first=int(index[rows[0]]) if index is not None else -1,
        counts=index is None or bool((index[rows] == index[rows[0]] + place).all()),
        frame_index=int(off[0]) if len(off) else -1,
        late_s=float(np.abs(late[rows] - place / fps).max()) if late is not None else 0.0,
        tasks=tuple(np.unique(tasks[rows]).astype(np.int64).tolist()) if tasks is not None else (),
        wrong=wrong,
        order=order,
        annotations=_annotated(columns, rows),
    )


def _annotated(columns: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> tuple[int, ...]:
    numbers = [c[rows].reshape(-1) for n, c in columns.items() if n.startswith("annotation.") and c.dtype.kind in "iu"]
    return tuple(np.unique(np.concatenate(numbers)).tolist()) if numbers else ()


def _wrong_of_episode(claim: Mapping[str, Any], values: NDArray[Any]) -> tuple[tuple[str, ...], str] | None:
    """As `wrong_statistics`, for one episode (T, *shape); over the last axis where the claim is of its size."""
    values = values.astype(np.float64) if values.dtype.kind == "b" else values
    last = values.reshape(-1, values.shape[-1])
    low = as_numbers(claim.get("min"))
    if values.ndim > 2 and low is not None and low.size == values.shape[-1] != values[0].size:
        claim, values = {name: value for name, value in claim.items() if name != "count"}, last
    said = [q for q in QUANTILES if q in claim]
    step = np.array([-1.5, 1.5]) / len(values)
    levels = np.clip([[QUANTILES[q] + step] for q in said], 0, 1).reshape(-1)
    ends = np.quantile(values, levels, axis=0)  # all in one: sorting is what costs
    bands = {q: tuple(ends[2 * i : 2 * i + 2]) for i, q in enumerate(said)}
    truth = summary(values)
    names = tuple(wrong_statistics(claim, truth, 0.02, bands))
    return (names, worst_statistic(claim, truth, names)) if names else None


Bands = Mapping[str, Sequence[NDArray[np.float64]]]


def wrong_statistics(
    claim: Mapping[str, Any], truth: Mapping[str, Any], quantile: float = 0.01, bands: Bands | None = None
) -> Iterator[str]:
    """Names of the statistics in `claim` that differ from `truth`.

    Tolerances, as a share of the dimension's range: 1e-4 for min and max, 1e-3 for mean and std, `quantile` for
    quantiles; and always 1e-5 of the value, which float32 needs. A std may be off by what LeRobot's way of taking it
    loses, the mean of squares less the square of the mean, summed in 32 bits; by 5 % at most. It may be over n - 1.

    Args:
        bands: quantile -> values one and a half ranks below and above. Conventions differ by a rank (numpy
            interpolates, LeRobot takes the order statistic at ceil(q n)), which is much where values lie far apart.
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
        limit = np.maximum(limit, _lost_in_sums(truth)) if name == "std" else limit
        low, high = (right, right) if bands is None or name not in bands else map(np.ravel, bands[name])
        if name == "std":  # over n or over n - 1
            rows = max(2.0, float(np.ravel(truth["count"])[0]))
            high = right * np.sqrt(rows / (rows - 1))
        if said is None or said.shape != right.shape or not ((said >= low - limit) & (said <= high + limit)).all():
            yield name


def _lost_in_sums(truth: Mapping[str, Any]) -> NDArray[np.float64]:
    """(D,) by how much a std is off whose variance lost half a rounding of a 32-bit square for each row."""
    std, mean = (np.asarray(truth[name], np.float64).reshape(-1) for name in ("std", "mean"))
    rows = float(np.ravel(truth["count"])[0])
    variance = rows / 2 * np.finfo(np.float32).eps * (np.square(mean) + np.square(std))
    return np.asarray(np.minimum(variance / (2 * np.maximum(std, 1e-12)), 0.05 * std))


def worst_statistic(claim: Mapping[str, Any], truth: Mapping[str, Any], names: Sequence[str]) -> str:
    """`: q01 of element 3 is -10, found -0.1`, of the statistic that is furthest off; empty for another shape."""
    worst: tuple[float, str] = (-1.0, "")
    range_ = np.maximum(np.ravel(truth["max"]) - np.ravel(truth["min"]), 1e-12)
    for name in names:
        said, right = as_numbers(claim[name]), np.ravel(truth[name])
        if said is None:
            return f": {name} holds no numbers, but {str(claim[name])[:60]}"
        if said.shape != right.shape:
            return f": {name} has {len(said)} elements, the data {len(right)}"
        if not np.isfinite(said).all():
            at = int(np.flatnonzero(~np.isfinite(said))[0])
            return f": {name} of element {at} is {said[at]}, the data's {right[at]:.6g}"
        off = np.abs(said - right) / (1 if name == "count" else range_)
        at = int(off.argmax())
        if off[at] > worst[0]:
            element = f" of element {at}" if len(right) > 1 else ""
            flat = name == "count" or range_[at] <= 1e-12
            share = "" if flat else f" ({min(off[at], 99):.1%} of the range off)"
            worst = float(off[at]), f": {name}{element} is {said[at]:.6g}, the data's {right[at]:.6g}{share}"
    return worst[1]


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
