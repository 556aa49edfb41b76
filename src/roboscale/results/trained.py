"""Success against the amount of data, from a table."""

from __future__ import annotations

from pathlib import Path

from roboscale.core import BadData
from roboscale.results.columns import COLUMNS, TableColumns, amount_of, counts_of, outcome_of_row
from roboscale.results.nouns import Trained
from roboscale.results.rows import Row, load_rows

__all__ = ["read_trained"]


def read_trained(path: Path) -> list[Trained]:
    """Success against the amount of data: columns amount, successes and rollouts, or an outcome a row; source, task.

    Rows of the same task, source and amount are added up. BadData names what is not understood.
    """
    path = Path(path)
    if not path.is_file():
        raise BadData(path, "results", "a file", "nothing")
    rows = load_rows(path)
    columns = TableColumns(path, list(rows[0]) if rows else [])
    counted = "successes" in columns and "rollouts" in columns
    if "amount" not in columns or not (counted or "outcome" in columns):
        wanted = f"an amount ({', '.join(COLUMNS['amount'])}) and successes with rollouts, or an outcome"
        raise BadData(path, "columns", wanted, ", ".join(map(str, columns.names)) or "none")
    sums: dict[tuple[str, str, float], list[int]] = {}
    for number, row in enumerate(rows, 1):
        key = columns.get(row, "task", "all"), columns.get(row, "source", "data"), amount_of(columns, row, number)
        won, tried = counts_of(columns, row, number) if counted else _one(columns, row, number)
        total = sums.setdefault(key, [0, 0])
        total[0], total[1] = total[0] + won, total[1] + tried
    unit = columns.found["amount"].strip().lower()
    unit = "demonstrations" if unit in ("amount", "n_demos", "demos", "episodes") else unit
    return [Trained(*key, won, tried, unit) for key, (won, tried) in sorted(sums.items())]


def _one(columns: TableColumns, row: Row, number: int) -> tuple[int, int]:
    success = outcome_of_row(columns, row, number).success
    return (0, 0) if success is None else (int(success), 1)
