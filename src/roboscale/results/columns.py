"""What the columns of other people's tables mean, and what their values say.

A value that is not understood is an error with file, row and what was expected, never a failure of a policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roboscale.core import BadData, Outcome
from roboscale.results.rows import Row

__all__ = ["COLUMNS", "WINNERS", "TableColumns", "amount_of", "counts_of", "outcome_of_row", "parse_share"]

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
WINNERS = {
    "first": ("a", "left", "first", "model_a", "1"),
    "second": ("b", "right", "second", "model_b", "2"),
    "tie": ("tie", "draw", "equal", "0.5"),
    "void": _VOID,
}


@dataclass(slots=True)
class TableColumns:
    """Which columns of the table `path` mean what: `found` has the meanings that are there."""

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


def outcome_of_row(columns: TableColumns, row: Row, number: int) -> Outcome:
    """How the trial of a row ended."""
    progress = parse_share(columns, row, number, "progress")
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


def parse_share(columns: TableColumns, row: Row, number: int, meaning: str) -> float | None:
    """A number in 0..1; `None` where nothing is said."""
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


def counts_of(columns: TableColumns, row: Row, number: int) -> tuple[int, int]:
    """Successes and rollouts of a row of counts."""
    try:
        won, tried = int(columns.get(row, "successes")), int(columns.get(row, "rollouts"))
    except ValueError:
        won, tried = 1, 0
    if not 0 <= won <= tried:
        found = f"{columns.get(row, 'successes')!r} of {columns.get(row, 'rollouts')!r}"
        raise BadData(columns.path, f"row {number}", "counts with 0 <= successes <= rollouts", found)
    return won, tried


def amount_of(columns: TableColumns, row: Row, number: int) -> float:
    """An amount of data, above 0."""
    text = columns.get(row, "amount")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise BadData(columns.path, f"{columns.found['amount']} of row {number}", "a number above 0", repr(text))
    return value
