"""Success against the amount of data, from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from roboscale.core import BadData
from roboscale.results.files import load_grids
from roboscale.results.grid import Texts
from roboscale.results.measures import counts_measured, long_measured
from roboscale.results.names import COLUMNS, normal_name
from roboscale.results.nouns import Trained
from roboscale.results.reading import AS_THEY_ARE, ReadOptions
from roboscale.results.roles import Roles
from roboscale.results.values import number_of

__all__ = ["read_trained"]


def read_trained(path: Path, options: ReadOptions = AS_THEY_ARE) -> list[Trained]:
    """Success against the amount of data: columns amount, successes and rollouts, or an outcome a row; source, task.

    Rows of the same task, source and amount are added up. BadData names what is not understood.
    """
    points: dict[tuple[str, str, float], list[int]] = {}
    unit = "demonstrations"
    for grid in load_grids(Path(path), options):
        roles = Roles.of(Path(path), grid, options)
        names = roles.names("amount")
        if not names or not len(grid):
            wanted = f"an amount ({', '.join(COLUMNS['amount'])}) and successes with rollouts, or an outcome"
            raise BadData(path, "columns", wanted, ", ".join(grid.names) or "none")
        amount = roles.use("amount", names[0])
        notes: list[str] = []
        measured = counts_measured(roles, notes) or long_measured(roles, notes, options)
        task, source = (_text(roles, role, rest) for role, rest in (("task", "all"), ("source", "data")))
        amounts = _amounts(roles, amount, names[0])
        word = normal_name(names[0])
        plain = ("amount", "n_demos", "num_demos", "demos", "episodes")
        unit = "demonstrations" if word in plain else names[0].strip().lower()
        for k, row in enumerate(measured.row):
            total = points.setdefault((task.at(row), source.at(row), float(amounts[row])), [0, 0])
            if not np.isnan(measured.success[k]):
                total[0] += int(measured.success[k] * measured.weight[k])
                total[1] += int(measured.weight[k])
    return [Trained(*key, won, tried, unit) for key, (won, tried) in sorted(points.items())]


def _text(roles: Roles, role: str, otherwise: str) -> Texts:
    column = roles.one(role)
    if column is None:
        return Texts.same(otherwise, len(roles.grid))
    return Texts([text or otherwise for text in column.values], column.codes)


def _amounts(roles: Roles, column: Texts, name: str) -> np.ndarray:
    """Amounts above 0, shape (n,). BadData where one is none."""
    numbers = [number_of(text) for text in column.values]
    for code, number in enumerate(numbers):
        if number is None or number <= 0:
            rows = np.flatnonzero(column.codes == code)
            if len(rows):
                row = int(rows[0])
                raise BadData(
                    roles.path, f"{name} of {roles.grid.row_text(row)}", "a number above 0", repr(column.values[code])
                )
    return np.array([np.nan if n is None else n for n in numbers])[column.codes]
