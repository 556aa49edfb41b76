"""Tables of trials, of counts and of comparisons become results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from roboscale.core import BadData, Case, Counted, Outcome
from roboscale.results.columns import COLUMNS, WINNERS, TableColumns, counts_of, outcome_of_row, parse_share
from roboscale.results.nouns import Comparison, Results, told
from roboscale.results.rows import Row

__all__ = ["results_of_rows"]


def results_of_rows(path: Path, rows: Sequence[Row], policy: str) -> Results:
    """What a table says; `policy` is whose results they are where it does not. BadData names columns that would do."""
    if not rows:
        return Results(source=path.name)
    columns = TableColumns(path, list(rows[0]))
    if "first" in columns and "second" in columns and "preference" in columns:
        return _pairs(path, rows, columns)
    if "policy" not in columns and not policy:
        raise BadData(path, "columns", f"a policy: {', '.join(COLUMNS['policy'])}", ", ".join(map(str, columns.names)))
    if "successes" in columns and "rollouts" in columns:
        return Results.of_objects(path.name, tuple(_counted(rows, columns, policy)), paired=False)
    if "outcome" not in columns and "progress" not in columns:
        wanted = f"an outcome: {', '.join(COLUMNS['outcome'])}; or progress: {', '.join(COLUMNS['progress'])}"
        raise BadData(path, "columns", wanted, ", ".join(map(str, columns.names)))
    trials = tuple(_trials(rows, columns, policy))
    return Results.of_objects(path.name, trials, paired="case" in columns)


def _trials(rows: Sequence[Row], columns: TableColumns, policy: str) -> Iterator[Counted]:
    attempts: dict[tuple[str, str, str, str], int] = {}
    for number, row in enumerate(rows, 1):
        name, task = columns.get(row, "policy") or policy, columns.get(row, "task", "all")
        scene, world = columns.get(row, "case"), columns.get(row, "world")
        if "case" not in columns:  # no two rows are the same case
            scene = f"row {number}"
        key = (name, world, task, scene)
        seed = attempts.get(key, 0)  # a case tried again by the same policy is another case
        attempts[key] = seed + 1
        yield told(
            name, world, Case(task, f"{scene} again {seed}" if seed else scene), outcome_of_row(columns, row, number)
        )


def _counted(rows: Sequence[Row], columns: TableColumns, policy: str) -> Iterator[Counted]:
    """Counts of successes as that many trials; which case each was is not known."""
    for number, row in enumerate(rows, 1):
        won, tried = counts_of(columns, row, number)
        name, task = columns.get(row, "policy") or policy, columns.get(row, "task", "all")
        for k in range(tried):
            case = Case(task, f"row {number}, {k}")
            yield told(name, columns.get(row, "world"), case, Outcome("success" if k < won else "failure"))


def _pairs(path: Path, rows: Sequence[Row], columns: TableColumns) -> Results:
    comparisons, trials = [], []
    for number, row in enumerate(rows, 1):
        text = columns.get(row, "preference").lower()
        first, second = columns.get(row, "first"), columns.get(row, "second")
        outcome = next((name for name, words in WINNERS.items() if text in words), None)
        if outcome is None:
            outcome = {first.lower(): "first", second.lower(): "second"}.get(text)
        if outcome is None or not first or not second:
            expected = "A, B or tie; left, right or tie; or the name of one of the two"
            raise BadData(path, f"{columns.found['preference']} of row {number}", expected, repr(text))
        comparisons.append(Comparison(first, second, outcome, columns.get(row, "world")))  # type: ignore[arg-type]
        case = Case(columns.get(row, "task", "all"), columns.get(row, "case") or f"row {number}")
        for name, meaning in ((first, "progress_first"), (second, "progress_second")):
            if meaning in columns:
                progress = parse_share(columns, row, number, meaning)
                status = "void" if progress is None else "success" if progress >= 1 else "failure"
                trials.append(told(name, columns.get(row, "world"), case, Outcome(status, progress=progress)))  # type: ignore[arg-type]
    return Results.of_objects(path.name, trials, comparisons)
