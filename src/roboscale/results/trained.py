"""Success against the amount of data, from a table: one source a row, or a mixture of several.

A mixture is written as `teleop+generated` with `10+40` beside it, or with one column of amounts for each source, such
as `demos_teleop` and `demos_generated`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roboscale.core import BadData
from roboscale.results.columns import COLUMNS, TableColumns, counts_of, outcome_of_row
from roboscale.results.nouns import Trained
from roboscale.results.rows import Row, load_rows

__all__ = ["TrainedTable", "read_trained", "trained_table"]

_RUNS = ("run", "train_run", "training_run", "train_seed", "training_seed", "replicate")
_PLAIN_UNITS = ("amount", "n_demos", "demos", "episodes", "demonstrations")


@dataclass(frozen=True, slots=True)
class TrainedTable:
    """The points of a table, and in words how its columns were read."""

    points: tuple[Trained, ...]
    notes: tuple[str, ...] = field(default=())


def read_trained(path: Path) -> list[Trained]:
    """The points of a table; see `trained_table`."""
    return list(trained_table(path).points)


def trained_table(path: Path) -> TrainedTable:
    """Success against the amount of data: columns amount, successes and rollouts, or an outcome a row; source, task.

    Rows of the same policy, task, source, amount and run are added up. A policy column tells recipes apart where a
    policy has several amounts; where each has one, they are checkpoints of one recipe. BadData names what is not
    understood.
    """
    path = Path(path)
    if not path.is_file():
        raise BadData(path, "results", "a file", "nothing")
    rows = load_rows(path)
    columns = TableColumns(path, list(rows[0]) if rows else [])
    parts = _amount_columns(columns)
    counted = "successes" in columns and "rollouts" in columns
    scored = "outcome" in columns or "progress" in columns
    if not (parts or "amount" in columns) or not (counted or scored):
        wanted = f"an amount ({', '.join(COLUMNS['amount'])}) and successes with rollouts, or an outcome"
        raise BadData(path, "columns", wanted, ", ".join(map(str, columns.names)) or "none")
    run_column = next((name for name in columns.names if str(name).strip().lower() in _RUNS), "")
    policies, said = _policies(columns, rows, parts)
    sums: dict[tuple[str, str, tuple[tuple[str, float], ...], str], list[float]] = {}
    for number, row in enumerate(rows, 1):
        run = str(row.get(run_column, "") or "").strip() if run_column else ""
        policy = columns.get(row, "policy") if policies else ""
        key = columns.get(row, "task", "all"), policy, _amounts(columns, row, number, parts), run
        won, tried = counts_of(columns, row, number) if counted else _one(columns, row, number)
        total = sums.setdefault(key, [0.0, 0.0])
        total[0], total[1] = total[0] + won, total[1] + tried
    unit = _unit(columns, parts)
    points = tuple(
        Trained(
            task,
            " + ".join(name for name, _ in mixture),
            sum(amount for _, amount in mixture),
            int(won) if float(won).is_integer() else won,
            int(tried),
            unit,
            policy,
            run,
            mixture if len(mixture) > 1 else (),
        )
        for (task, policy, mixture, run), (won, tried) in sorted(sums.items())
    )
    notes = [f"{path.name}: {word}" for word in said]
    if not counted and "outcome" not in columns:
        notes.append(f"{path.name}: no successes are noted, so the sum of progress stands for them")
    if run_column:
        notes.append(f"{path.name}: column {run_column} says which training run; runs are not added up")
    return TrainedTable(points, tuple(notes))


def _policies(columns: TableColumns, rows: list[Row], parts: Mapping[str, str]) -> tuple[bool, list[str]]:
    """Whether the policy column tells recipes apart, and a word on it."""
    amounts: dict[str, set[object]] = {}
    for number, row in enumerate(rows, 1):
        amounts.setdefault(columns.get(row, "policy"), set()).add(_amounts(columns, row, number, parts))
    if "policy" not in columns or len(amounts) < 2:
        return False, []
    several = [name for name, seen in amounts.items() if len(seen) > 1]
    name = columns.found["policy"]
    if several:
        return True, [f"{len(amounts)} policies in column {name}, planned one by one"]
    return False, [f"column {name} names one policy for each amount: taken as checkpoints of one recipe"]


def _amount_columns(columns: TableColumns) -> dict[str, str]:
    """Column -> source, where every source has a column of amounts: `demos_teleop` or `teleop_demos`."""
    words = "|".join(sorted(COLUMNS["amount"], key=len, reverse=True))
    taken = {name for names in COLUMNS.values() for name in names}
    parts = {}
    for column in columns.names:
        lower = str(column).strip().lower()
        match = re.fullmatch(rf"(?:{words})[ _:./-]+(.+)|(.+?)[ _:./-]+(?:{words})", lower)
        if match is not None and lower not in taken:
            parts[column] = match[1] or match[2]
    return parts if len(parts) > 1 else {}


def _amounts(columns: TableColumns, row: Row, number: int, parts: Mapping[str, str]) -> tuple[tuple[str, float], ...]:
    """(source, amount) of everything that a policy was trained on, sources in their order."""
    if parts:
        each = [(source, _number(columns, number, column, row.get(column) or 0)) for column, source in parts.items()]
        mixture = tuple(sorted((source, amount) for source, amount in each if amount > 0))
        if not mixture:
            raise BadData(columns.path, f"row {number}", "an amount above 0", "none")
        return mixture
    names = [name.strip() for name in columns.get(row, "source", "data").split("+")]
    texts = [text.strip() for text in columns.get(row, "amount").split("+")]
    column = columns.found["amount"]
    if len(names) != len(texts):
        found = f"{columns.get(row, 'source', 'data')!r} with {columns.get(row, 'amount')!r}"
        raise BadData(columns.path, f"row {number}", "as many amounts as sources, e.g. a+b with 10+40", found)
    amounts = [_number(columns, number, column, text) for text in texts]
    if any(amount <= 0 for amount in amounts):
        raise BadData(columns.path, f"{column} of row {number}", "a number above 0", repr(columns.get(row, "amount")))
    return tuple(sorted(zip(names, amounts, strict=True)))


def _number(columns: TableColumns, number: int, column: str, value: object) -> float:
    try:
        amount = float(str(value).strip() or "nan")
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise BadData(columns.path, f"{column} of row {number}", "a number above 0", repr(value))
    return amount


def _unit(columns: TableColumns, parts: Mapping[str, str]) -> str:
    if parts:
        column = str(next(iter(parts))).strip().lower()
        unit = next((word for word in COLUMNS["amount"] if re.search(rf"(^|[ _:./-]){word}($|[ _:./-])", column)), "")
    else:
        unit = columns.found["amount"].strip().lower()
    return "demonstrations" if unit in ("", *_PLAIN_UNITS) else unit


def _one(columns: TableColumns, row: Row, number: int) -> tuple[float, int]:
    outcome = outcome_of_row(columns, row, number)
    if outcome.success is None:
        return 0, 0
    if "outcome" in columns or outcome.progress is None:
        return int(outcome.success), 1
    return outcome.progress, 1
