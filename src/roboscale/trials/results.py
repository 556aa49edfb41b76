"""Results that others wrote: tables of trials, tables of comparisons, LeRobot's and RoboArena's own files.

So that people use the statistics without adopting the rest. Reads CSV, JSON, JSON lines, Parquet, our `trials.db`,
LeRobot's `eval_info.json` and folders of RoboArena sessions. Knows columns by the names that people give them; a value
that it cannot understand is an error with file, row and what was expected, never a failure of a policy.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from roboscale.core import BadData, Case, Outcome, Trial
from roboscale.trials.store import TrialStore

__all__ = ["COLUMNS", "Comparison", "Results", "Trained", "read_results", "read_trained"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "policy": ("policy", "policy_name", "method", "model", "checkpoint"),
    "task": ("task", "task_name", "env", "environment", "panel"),
    "outcome": ("outcome", "success", "successful", "is_success", "binary_success", "result"),
    "case": ("case", "case_id", "seed", "episode", "episode_id", "scene", "trial", "session"),
    "progress": ("progress", "partial_success", "partial", "score", "max_reward"),
    "world": ("world", "domain", "robot", "location"),
    "successes": ("successes", "n_success", "k"),
    "rollouts": ("rollouts", "trials", "n", "n_episodes"),
    "first": ("policy_a", "left", "a", "first", "model_a"),
    "second": ("policy_b", "right", "b", "second", "model_b"),
    "preference": ("preference", "winner", "preferred"),
    "progress_first": ("partial_a", "progress_a"),
    "progress_second": ("partial_b", "progress_b"),
    "source": ("source", "data", "collected_by"),
    "amount": ("amount", "demonstrations", "n_demos", "demos", "episodes", "hours", "environments", "objects"),
}
"""What a column means -> the names it is found under, in upper or lower case."""

_YES = ("1", "1.0", "true", "success", "successful", "succeeded", "yes", "pass", "passed")
_NO = ("0", "0.0", "false", "failure", "fail", "failed", "no")
_VOID = ("", "void", "nan", "none", "null", "invalid", "n/a")
_WINNERS = {
    "first": ("a", "left", "first", "model_a", "1"),
    "second": ("b", "right", "second", "model_b", "2"),
    "tie": ("tie", "draw", "equal", "0.5"),
    "void": _VOID,
}
_LIMIT = 512 * 2**20  # bytes

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Somebody saw two policies on the same scene and said which was better."""

    first: str
    second: str
    outcome: Literal["first", "second", "tie", "void"]
    place: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """What a file holds.

    Args:
        trials: one for each row, or for each counted rollout.
        comparisons: one for each row of a table of pairs.
        paired: whether the same case under two policies can be recognised.
        adaptive: whether results decided which trials came next, or when to stop.
    """

    source: str
    trials: tuple[Trial, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    paired: bool = True
    adaptive: bool = False

    def merged(self, other: Results) -> Results:
        """Both, as one."""
        return Results(
            f"{self.source}, {other.source}",
            (*self.trials, *other.trials),
            (*self.comparisons, *other.comparisons),
            self.paired and other.paired,
            self.adaptive or other.adaptive,
        )


@dataclass(slots=True)
class _Columns:
    """Which columns of a table mean what."""

    path: Path
    names: Sequence[str]
    found: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lower = {name.strip().lower(): name for name in reversed(list(self.names))}
        for meaning, names in COLUMNS.items():
            for name in names:
                if name in lower:
                    self.found[meaning] = lower[name]
                    break

    def __contains__(self, meaning: str) -> bool:
        return meaning in self.found

    def get(self, row: Row, meaning: str, otherwise: str = "") -> str:
        if meaning not in self.found:
            return otherwise
        value = row.get(self.found[meaning])
        return "" if value is None else str(value).strip()


@dataclass(frozen=True, slots=True)
class Trained:
    """How a policy did that was trained on some amount of data of one source.

    Args:
        amount: in `unit`, e.g. demonstrations.
        successes, trials: counted trials of that policy.
    """

    task: str
    source: str
    amount: float
    successes: int
    trials: int
    unit: str = "demonstrations"


def read_trained(path: Path) -> list[Trained]:
    """Success against the amount of data: columns amount, successes and rollouts, or an outcome a row; source, task.

    Rows of the same task, source and amount are added up. BadData names what is not understood.
    """
    path = Path(path)
    if not path.is_file():
        raise BadData(path, "results", "a file", "nothing")
    if path.suffix == ".json":
        rows = _records(path, _json(path))
    else:
        rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    columns = _Columns(path, list(rows[0]) if rows else [])
    counted = "successes" in columns and "rollouts" in columns
    if "amount" not in columns or not (counted or "outcome" in columns):
        wanted = f"an amount ({', '.join(COLUMNS['amount'])}) and successes with rollouts, or an outcome"
        raise BadData(path, "columns", wanted, ", ".join(map(str, columns.names)) or "none")
    sums: dict[tuple[str, str, float], list[int]] = {}
    for number, row in enumerate(rows, 1):
        key = columns.get(row, "task", "all"), columns.get(row, "source", "data"), _amount(columns, row, number)
        won, tried = _counts(columns, row, number) if counted else _one(columns, row, number)
        total = sums.setdefault(key, [0, 0])
        total[0], total[1] = total[0] + won, total[1] + tried
    unit = columns.found["amount"].strip().lower()
    unit = "demonstrations" if unit in ("amount", "n_demos", "demos", "episodes") else unit
    return [Trained(*key, won, tried, unit) for key, (won, tried) in sorted(sums.items())]


def _amount(columns: _Columns, row: Row, number: int) -> float:
    text = columns.get(row, "amount")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise BadData(columns.path, f"{columns.found['amount']} of row {number}", "a number above 0", repr(text))
    return value


def _one(columns: _Columns, row: Row, number: int) -> tuple[int, int]:
    success = _outcome(columns, row, number).success
    return (0, 0) if success is None else (int(success), 1)


def _counts(columns: _Columns, row: Row, number: int) -> tuple[int, int]:
    try:
        won, tried = int(columns.get(row, "successes")), int(columns.get(row, "rollouts"))
    except ValueError:
        won, tried = 1, 0
    if not 0 <= won <= tried:
        found = f"{columns.get(row, 'successes')!r} of {columns.get(row, 'rollouts')!r}"
        raise BadData(columns.path, f"row {number}", "counts with 0 <= successes <= rollouts", found)
    return won, tried


def read_results(path: Path, policy: str = "") -> Results:
    """Reads results of whatever kind.

    Args:
        policy: name for files that do not say whose results they are; by default that of the file's folder.

    Raises:
        BadData: nothing is there, or it is not understood; names the columns that would be.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, policy)
    if not path.is_file():
        raise BadData(path, "results", "a file or folder", "nothing")
    if path.stat().st_size > _LIMIT:
        raise BadData(path, "size", f"at most {_LIMIT} bytes", path.stat().st_size)
    if path.suffix == ".db":
        with TrialStore(path) as store:
            rules = [run["plan"].get("stopping") or {} for run in store.runs()]
            return Results(path.name, tuple(store), adaptive=any(rule.get("sequential") for rule in rules))
    if path.suffix == ".json":
        data = _json(path)
        if isinstance(data, dict) and ("per_task" in data or "overall" in data or "per_episode" in data):
            return Results(path.name, tuple(_eval_info(path, data, policy or path.parent.name or path.stem)))
        return _table(path, _records(path, data), policy)
    if path.suffix in (".jsonl", ".ndjson"):
        return _table(
            path, [_line(path, n, text) for n, text in enumerate(_text(path).splitlines(), 1) if text], policy
        )
    if path.suffix == ".parquet":
        return _table(path, _parquet(path), policy)
    return _table(path, _csv(path), policy)


def _folder(path: Path, policy: str) -> Results:
    if (path / "trials.db").is_file():
        return read_results(path / "trials.db", policy)
    if (path / "eval_info.json").is_file():
        return read_results(path / "eval_info.json", policy or path.name)
    sessions = sorted(path.glob("**/metadata.yaml"))
    if sessions:
        return _sessions(path, sessions)
    raise BadData(path, "results", "trials.db, eval_info.json, or sessions with metadata.yaml", "none of them")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(path, "file", "UTF-8", error) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadData(path, "file", "JSON", error) from error


def _line(path: Path, number: int, text: str) -> Row:
    try:
        row = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadData(path, f"line {number}", "JSON", error) from error
    if not isinstance(row, dict):
        raise BadData(path, f"line {number}", "an object", type(row).__name__)
    return row


def _records(path: Path, data: Any) -> list[Row]:
    """A list of objects, or an object of columns."""
    if isinstance(data, dict) and data and all(isinstance(v, list) for v in data.values()):
        return [dict(zip(data, values, strict=False)) for values in zip(*data.values(), strict=False)]
    rows = data.get("trials", data.get("results")) if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadData(path, "content", "a list of objects, LeRobot's eval_info.json, or columns", type(data).__name__)
    return rows


def _csv(path: Path) -> list[Row]:
    lines = [line for line in _text(path).splitlines() if not line.startswith("#")]
    try:
        dialect = csv.Sniffer().sniff("\n".join(lines[:5]), ",;\t") if lines else csv.excel
    except csv.Error:
        dialect = csv.excel
    return list(csv.DictReader(lines, dialect=dialect))


def _parquet(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadData(path, "file", "parquet", str(error).splitlines()[0]) from error
    return rows


def _table(path: Path, rows: Sequence[Row], policy: str) -> Results:
    if not rows:
        return Results(path.name)
    columns = _Columns(path, list(rows[0]))
    if "first" in columns and "second" in columns and "preference" in columns:
        return _pairs(path, rows, columns)
    if "policy" not in columns and not policy:
        raise BadData(path, "columns", f"a policy: {', '.join(COLUMNS['policy'])}", ", ".join(map(str, columns.names)))
    if "successes" in columns and "rollouts" in columns:
        return Results(path.name, tuple(_counted(rows, columns, policy)), paired=False)
    if "outcome" not in columns and "progress" not in columns:
        wanted = f"an outcome: {', '.join(COLUMNS['outcome'])}; or progress: {', '.join(COLUMNS['progress'])}"
        raise BadData(path, "columns", wanted, ", ".join(map(str, columns.names)))
    trials = tuple(_trials(rows, columns, policy))
    return Results(path.name, trials, paired="case" in columns)


def _trials(rows: Sequence[Row], columns: _Columns, policy: str) -> Iterator[Trial]:
    attempts: dict[tuple[str, str, str, str], int] = {}
    for number, row in enumerate(rows, 1):
        name, task = columns.get(row, "policy") or policy, columns.get(row, "task", "all")
        scene, world = columns.get(row, "case"), columns.get(row, "world")
        if "case" not in columns:  # no two rows are the same case
            scene = f"row {number}"
        key = (name, world, task, scene)
        seed = attempts.get(key, 0)  # a case tried again by the same policy is another case
        attempts[key] = seed + 1
        yield Trial(name, world, Case(task, seed, scene), _outcome(columns, row, number))


def _outcome(columns: _Columns, row: Row, number: int) -> Outcome:
    progress = _number(columns, row, number, "progress")
    if "outcome" not in columns:
        if progress is None:
            return Outcome("void", "no progress is given")
        return Outcome("success" if progress >= 1 else "failure", progress=progress)
    text = columns.get(row, "outcome").lower()
    if text in _YES:
        return Outcome("success", progress=progress)
    if text in _NO:
        return Outcome("failure", progress=progress)
    if text in _VOID:
        return Outcome("void", f"outcome {text!r}")
    expected = "success, failure or void; 1 or 0; true or false"
    raise BadData(columns.path, f"{columns.found['outcome']} of row {number}", expected, repr(text))


def _number(columns: _Columns, row: Row, number: int, meaning: str) -> float | None:
    text = columns.get(row, meaning)
    if text.lower() in _VOID:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise BadData(columns.path, f"{columns.found[meaning]} of row {number}", "a number in 0..1", repr(text))
    return value


def _counted(rows: Sequence[Row], columns: _Columns, policy: str) -> Iterator[Trial]:
    """Counts of successes as that many trials; which case each was is not known."""
    for number, row in enumerate(rows, 1):
        won, tried = _counts(columns, row, number)
        name, task = columns.get(row, "policy") or policy, columns.get(row, "task", "all")
        for k in range(tried):
            case = Case(task, k, f"row {number}")
            yield Trial(name, columns.get(row, "world"), case, Outcome("success" if k < won else "failure"))


def _pairs(path: Path, rows: Sequence[Row], columns: _Columns) -> Results:
    comparisons, trials = [], []
    for number, row in enumerate(rows, 1):
        text = columns.get(row, "preference").lower()
        first, second = columns.get(row, "first"), columns.get(row, "second")
        outcome = next((name for name, words in _WINNERS.items() if text in words), None)
        if outcome is None:
            outcome = {first.lower(): "first", second.lower(): "second"}.get(text)
        if outcome is None or not first or not second:
            expected = "A, B or tie; left, right or tie; or the name of one of the two"
            raise BadData(path, f"{columns.found['preference']} of row {number}", expected, repr(text))
        comparisons.append(Comparison(first, second, outcome, columns.get(row, "world")))  # type: ignore[arg-type]
        case = Case(columns.get(row, "task", "all"), 0, columns.get(row, "case") or f"row {number}")
        for name, meaning in ((first, "progress_first"), (second, "progress_second")):
            if meaning in columns:
                progress = _number(columns, row, number, meaning)
                status = "void" if progress is None else "success" if progress >= 1 else "failure"
                trials.append(Trial(name, columns.get(row, "world"), case, Outcome(status, progress=progress)))  # type: ignore[arg-type]
    return Results(path.name, tuple(trials), tuple(comparisons))


def _eval_info(path: Path, data: Mapping[str, Any], policy: str) -> Iterator[Trial]:
    """LeRobot's `eval_info.json`, of today (`per_task`) and of before (`per_episode`)."""
    for entry in data.get("per_task") or ():
        metrics = entry.get("metrics", {})
        won = metrics.get("successes")
        if not isinstance(won, list):
            raise BadData(path, "per_task.metrics.successes", "a list", won)
        seeds = metrics.get("seeds") or []
        task = str(entry.get("task") or f"{entry.get('task_group', 'task')}/{entry.get('task_id', 0)}")
        for number, value in enumerate(won):
            seed = int(seeds[number]) if number < len(seeds) else number
            yield Trial(policy, str(entry.get("task_group", "")), Case(task, seed), _flag(path, value))
    for entry in data.get("per_episode") or ():
        seed = int(entry.get("seed") or entry.get("episode_ix") or 0)
        yield Trial(policy, "", Case("all", seed), _flag(path, entry.get("success")))
    for void in (data.get("roboscale") or {}).get("void", ()):
        yield Trial(policy, "", Case(str(void["task"]), int(void["seed"])), Outcome("void", str(void["reason"])))


def _flag(path: Path, value: Any) -> Outcome:
    if value is None:
        return Outcome("void", "no success is given")
    if value not in (True, False, 0, 1):
        raise BadData(path, "successes", "true or false", repr(value))
    return Outcome("success" if value else "failure")


def _sessions(root: Path, files: Iterable[Path]) -> Results:
    """RoboArena's `evaluation_sessions/<uuid>/metadata.yaml`; sessions may hold more than two policies."""
    comparisons, trials = [], []
    for file in files:
        data = _yaml(file)
        policies = data.get("policies")
        if not isinstance(policies, dict):
            raise BadData(file, "policies", "an object of A, B, ...", type(policies).__name__)
        place, session = str(data.get("evaluation_location", "")), file.parent.name
        case = Case(str(data.get("language_instruction") or "all"), 0, session)
        names = {letter: str(entry.get("policy_name", letter)) for letter, entry in policies.items()}
        for letter, entry in policies.items():
            progress = entry.get("partial_success")
            success = entry.get("binary_success")
            status = "void" if success is None else "success" if success else "failure"
            value = float(progress) if isinstance(progress, (int, float)) else None
            trials.append(Trial(names[letter], place, case, Outcome(status, progress=value)))  # type: ignore[arg-type]
        said = str(data.get("preference") or "").strip().upper()
        if {"A", "B"} <= set(names):
            outcome = {"A": "first", "B": "second", "TIE": "tie"}.get(said, "void")
            comparisons.append(Comparison(names["A"], names["B"], outcome, place))  # type: ignore[arg-type]
    return Results(root.name, tuple(trials), tuple(comparisons))


def _yaml(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise BadData(path, "file", "YAML", str(error).splitlines()[0]) from error
    if not isinstance(data, dict):
        raise BadData(path, "file", "an object", type(data).__name__)
    return data
