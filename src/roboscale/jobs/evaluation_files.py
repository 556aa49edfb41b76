"""Evaluation files below a folder, of every form that is read, and how old the policies in them are."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from roboscale.core import BadData, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, counting
from roboscale.jobs.result_files import direction_unused, labelled, load_results
from roboscale.results import AS_THEY_ARE, ReadOptions, Results, join_results
from roboscale.results.files import load_grids
from roboscale.results.names import normal_name

__all__ = ["Age", "FoundFiles", "ages_of", "find_evaluations", "natural_order"]

_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".db")
_NOT_LOOKED_INTO = {"node_modules", "__pycache__", "site-packages", "wandb", "checkpoints"}
_MOST_BYTES = 64 * 2**20
_PLAIN_NAMES = {
    "eval",
    "eval_info",
    "evals",
    "metrics",
    "outcomes",
    "result",
    "results",
    "rollouts",
    "summary",
    "trials",
}
_TIMES = ("time", "timestamp", "date", "datetime", "created", "created_at", "started", "started_at", "day")
_POLICIES = ("policy", "policy_name", "method", "model", "checkpoint")
_DATE = re.compile(
    r"(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?:[T_ -]([01]\d|2[0-3])[-:h]?([0-5]\d)(?:[-:]?([0-5]\d))?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How new a policy is: seconds since 1970, and where that is from: `file`, `path` or `mtime`."""

    time_s: float
    origin: str

    @property
    def text(self) -> str:
        how = {"file": "a time in its files", "path": "a date in its path", "mtime": "when its file was changed"}
        return f"{datetime.fromtimestamp(self.time_s, UTC):%Y-%m-%d %H:%M} UTC, {how[self.origin]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFiles:
    """Everything that was found.

    Args:
        results: of all files together.
        sources: path -> policies in it.
        refused: path -> why it could not be read as an evaluation.
    """

    results: Results
    sources: dict[Path, tuple[str, ...]]
    refused: dict[Path, str]


def find_evaluations(folder: Path, on_event: OnEvent, options: ReadOptions = AS_THEY_ARE) -> FoundFiles:
    """Reads every evaluation file below a folder.

    Args:
        options: what need not be guessed of the tables; tasks and worlds are chosen among all files together.

    Raises:
        RoboscaleError: none was found; says what was looked at.
    """
    paths = sorted(_candidates(folder))
    names = _names_of(paths, folder)
    alone = replace(options, task="", world="")
    advance = counting(on_event, "files", len(paths))
    parts: list[Results] = []
    sources: dict[Path, tuple[str, ...]] = {}
    refused: dict[Path, str] = {}
    for path in paths:
        try:
            results = _read(path, names[path], alone)
        except RoboscaleError as error:
            refused[path] = str(error)
        else:
            if len(results.columns):
                parts.append(results)
                sources[path] = results.columns.policies
            else:
                refused[path] = "preferences between policies; see `roboscale rank`"
        advance()
    if not parts:
        looked = f"{len(paths)} files were looked at" if paths else "no table, eval_info.json, sessions or trials.db"
        first = next(iter(refused.values()), "")
        raise RoboscaleError(f"{folder}: no evaluation was found; {looked}{f', the first: {first}' if first else ''}")
    parts = labelled(_of_one_scale(parts, sources, refused), list(map(str, sources)))
    joined = _joined(parts, on_event, options)
    for note in direction_unused(joined, options):
        on_event(Note(note))
    return FoundFiles(results=joined, sources=sources, refused=refused)


def _of_one_scale(
    parts: Sequence[Results], sources: dict[Path, tuple[str, ...]], refused: dict[Path, str]
) -> list[Results]:
    """Where some files say who succeeded, those that say only how far each came are left out, and named."""
    one = any("success" in part.kinds for part in parts)
    kept = []
    for part, path in zip(parts, list(sources), strict=True):
        if one and "success" not in part.kinds:
            refused[path] = "says only how far each came, and others say who succeeded"
            del sources[path]
        else:
            kept.append(part)
    return kept


def _joined(parts: Sequence[Results], on_event: OnEvent, options: ReadOptions) -> Results:
    """All files as one; where it is not clear which cases are the same, no two are, which is said."""
    try:
        return join_results(parts, options)
    except BadData as error:
        if options.pairing == "paired":
            raise
        on_event(Note(f"compared as independent trials, since it is not clear which cases are the same: {error}"))
        return join_results(parts, replace(options, pairing="independent"))


def _candidates(folder: Path) -> Iterator[Path]:
    """Files that may hold evaluations; datasets, hidden folders and caches are not looked into."""
    if folder.is_file():
        yield folder
        return
    for root, names, files in os.walk(folder):
        here = Path(root)
        if "metadata.yaml" in files and here != folder:
            names[:] = []  # one session of many: the folder above them is read as a whole
            continue
        if (here / "meta" / "info.json").is_file():
            names[:] = []  # a dataset
            continue
        if any((here / name / "metadata.yaml").is_file() for name in names):
            yield here
        names[:] = [n for n in names if not n.startswith((".", "_")) and n not in _NOT_LOOKED_INTO]
        for name in files:
            path = here / name
            if (
                path.suffix.lower() in _ENDINGS
                and not name.startswith((".", "~"))
                and path.stat().st_size <= _MOST_BYTES
            ):
                yield path


def _names_of(paths: Sequence[Path], root: Path) -> dict[Path, str]:
    """What the policy of each file is called where the file does not say: after the file, or after its folder.

    Folders of the same name in different places are told apart by their places: `seed0/pi0` and `seed1/pi0`.
    """
    plain = {path: path.stem.lower() in _PLAIN_NAMES or path.is_dir() for path in paths}
    short = {path: path.parent.name if plain[path] else path.stem for path in paths}
    often = Counter(short.values())
    names = {}
    for path, name in short.items():
        inside = path.relative_to(root) if path.is_relative_to(root) and path != root else Path(path.name)
        place = inside.parent if plain[path] else inside.with_suffix("")
        told = str(place) if often[name] > 1 and str(place) != "." else name
        names[path] = told.replace("=", "-") or "policy"
    return names


def _read(path: Path, name: str, options: ReadOptions) -> Results:
    """One file; a table that names no policy is called `name`, as is LeRobot's file, which never names one."""
    if path.stem == "eval_info":
        return load_results([f"{name}={path}"], options)
    try:
        return load_results([str(path)], options)
    except BadData as error:
        if "policy" not in str(error.expected):
            raise
        return load_results([f"{name}={path}"], options)


def ages_of(files: FoundFiles, root: Path) -> dict[str, Age]:
    """How new every policy is: by the newest time in its files, else a date in their path, else when they changed."""
    ages: dict[str, Age] = {}
    for path, policies in files.sources.items():
        inside = _times_inside(path)
        for policy in policies:
            # where policies are named by several columns, only a file of a single one has a time of its own
            whole = inside.get("") if len(policies) == 1 else None
            age = _age(path, root, inside.get(policy, whole))
            old = ages.get(policy)
            if old is None or (_TRUST[age.origin], age.time_s) > (_TRUST[old.origin], old.time_s):
                ages[policy] = age
    for trial in files.results.own:
        started = getattr(trial.trial, "started_ns", 0) if trial.trial is not None else 0
        label = trial.policy.name
        if started and label in ages:
            ages[label] = Age(time_s=max(started / 1e9, ages[label].time_s), origin="file")
    return ages


_TRUST = {"mtime": 0, "path": 1, "file": 2}


def _age(path: Path, root: Path, inside: float | None) -> Age:
    if inside is not None:
        return Age(time_s=inside, origin="file")
    relative = str(path.relative_to(root) if path.is_relative_to(root) and path != root else path.name)
    dates = [_seconds(match) for match in _DATE.finditer(relative.replace(os.sep, "_"))]
    if dates:
        return Age(time_s=max(dates), origin="path")
    return Age(time_s=path.stat().st_mtime, origin="mtime")


def _times_inside(path: Path) -> dict[str, float]:
    """Policy -> newest time in a column of times, "" for the newest of all; empty where there is no such column."""
    if path.is_dir() or path.suffix.lower() == ".db" or not _may_tell_times(path):
        return {}
    newest: dict[str, float] = {}
    for grid in load_grids(path):
        names = {normal_name(name): column for name, column in zip(grid.names, grid.columns, strict=True)}
        times = next((names[name] for name in _TIMES if name in names), None)
        if times is None:
            continue
        policies = next((names[name] for name in _POLICIES if name in names), None)
        dates = [_DATE.search(text) for text in times.values]
        seconds = [0.0 if match is None else _seconds(match) for match in dates]
        for row in range(len(grid)):
            at = seconds[int(times.codes[row])]
            for name in {"", policies.at(row) if policies is not None else ""} if at else ():
                newest[name] = max(newest.get(name, 0.0), at)
    return newest


def _may_tell_times(path: Path) -> bool:
    """Whether a look at the beginning of a text file says so; of others it is not known before they are read."""
    if path.suffix.lower() not in (".csv", ".tsv", ".json", ".jsonl", ".ndjson"):
        return True
    with path.open("rb") as file:
        head = file.read(4096).replace(b"\0", b"").lower()
    return any(word.encode() in head for word in _TIMES)


def _seconds(match: re.Match[str]) -> float:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0  # 31 February is no date


def natural_order(names: Sequence[str]) -> list[str]:
    """`step-9` before `step-10`."""
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
