"""Tables: the numbers behind every figure, raw, in three formats. Knows nothing of figures or pages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from roboscale.core.errors import SpecMismatch
from roboscale.core.estimate import Estimate
from roboscale.report.model import DamageSummary, DatasetSummary, PolicyResult, Scalar, Spread, TrainingCurve
from roboscale.report.text import MISSING, number

__all__ = [
    "Cell",
    "Table",
    "damage_table",
    "dataset_table",
    "evidence_table",
    "settings_table",
    "show",
    "success_table",
    "task_names",
    "training_table",
]

Cell = Scalar
"""`None` is a missing value: an empty CSV field, `null` in JSON, a dash in Markdown."""

_EVIDENCE_ORDER = (
    "n",
    "discordant",
    "wins_first",
    "wins_second",
    "lead",
    "lower",
    "upper",
    "alpha_spent",
    "log_e_value",
)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns. Rates are shares in 0..1; units stand in the column's name.

    Raises:
        SpecMismatch: a row's length is not the number of columns.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise SpecMismatch(f"table row {index} has {len(row)} cells for {len(self.columns)} columns")

    def to_csv(self) -> str:
        """RFC 4180; floats in full precision."""
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return out.getvalue()

    def to_markdown(self) -> str:
        """A GitHub-flavoured pipe table; floats to three significant digits."""
        lines = [self.columns, tuple("---:" if self.is_numeric(i) else "---" for i in range(len(self.columns)))]
        lines += [tuple(show(cell).replace("|", "\\|").replace("\n", " ") for cell in row) for row in self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def to_json(self) -> str:
        """A JSON list with one object a row."""
        return json.dumps([dict(zip(self.columns, row, strict=True)) for row in self.rows], ensure_ascii=False)

    def is_numeric(self, column: int) -> bool:
        """Whether every value that the column has is a number."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)


def show(cell: Cell) -> str:
    """One cell for people."""
    if cell is None:
        return MISSING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return number(cell) if isinstance(cell, int | float) else cell


def success_table(policies: Sequence[PolicyResult]) -> Table:
    """Success of every policy over all tasks and on each task, tasks in the order of their first mention."""
    columns = ("task", "policy", "success", "low", "high", "level", "n", "void", "method")
    rows: list[tuple[Cell, ...]] = [("all tasks", policy.name, *_cells(policy.success)) for policy in policies]
    for task in task_names(policies):
        for policy in policies:
            rows += [(task, policy.name, *_cells(result.success)) for result in policy.tasks if result.task == task]
    return Table(columns, tuple(rows))


def task_names(policies: Iterable[PolicyResult]) -> list[str]:
    """Every task once, in the order of its first mention."""
    return list(dict.fromkeys(result.task for policy in policies for result in policy.tasks))


def evidence_table(evidence: Sequence[Mapping[str, float]]) -> Table:
    """The running evidence as given, one row per counted pair; known columns first, unknown ones kept."""
    present = dict.fromkeys(key for row in evidence for key in row)
    columns = [key for key in _EVIDENCE_ORDER if key in present]
    columns += [key for key in present if key not in _EVIDENCE_ORDER]
    return Table(tuple(columns), tuple(tuple(row.get(key) for key in columns) for row in evidence))


def damage_table(policies: Sequence[PolicyResult]) -> Table:
    """One row per policy and measure; a measure that the world cannot give has no value."""
    columns = ("policy", "measure", "unit", "value", "low", "high", "median", "max", "n")
    rows = [(policy.name, *row) for policy in policies if policy.damage for row in _damage_rows(policy.damage)]
    return Table(columns, tuple(rows))


def _damage_rows(damage: DamageSummary) -> list[tuple[Cell, ...]]:
    shares = {
        "object dropped": damage.dropped,
        "object off the table": damage.off_table,
        "joint at its limit": damage.joint_limit,
        "action clipped": damage.clipped,
    }
    spreads = {
        "peak unintended force": ("N", damage.peak_force_n),
        "steps with a joint at its limit": ("steps per trial", damage.joint_limit_steps),
        "steps with a clipped action": ("steps per trial", damage.clipped_steps),
    }
    rows: list[tuple[Cell, ...]] = []
    for name, (unit, spread) in spreads.items():
        rows.append((name, unit, None, None, None, *_spread_cells(spread)))
    for name, share in shares.items():
        known = (share.value, share.low, share.high, None, None, share.n) if share else (None,) * 6
        rows.append((name, "share of trials", *known))
    return rows


def _spread_cells(spread: Spread | None) -> tuple[Cell, ...]:
    return (spread.median, spread.max, spread.n) if spread else (None, None, None)


def dataset_table(datasets: Sequence[DatasetSummary]) -> Table:
    """Episodes and frames of every data set per task; a data set without tasks has one row."""
    rows: list[tuple[Cell, ...]] = []
    for dataset in datasets:
        rows += [(dataset.name, task.task, task.episodes, task.frames) for task in dataset.tasks]
        if not dataset.tasks:
            rows.append((dataset.name, None, dataset.episodes, dataset.frames))
    return Table(("dataset", "task", "episodes", "frames"), tuple(rows))


def training_table(training: Sequence[TrainingCurve]) -> Table:
    """Loss at every logged step of every policy."""
    rows: list[tuple[Cell, ...]] = []
    for curve in training:
        held_out: Sequence[float | None] = curve.validation_loss or (None,) * len(curve.steps)
        rows += [(curve.policy, *row) for row in zip(curve.steps, curve.loss, held_out, strict=True)]
    return Table(("policy", "step", "loss", "validation loss"), tuple(rows))


def settings_table(settings: Mapping[str, Mapping[str, Scalar]]) -> Table:
    """One row per setting, one column per owner, so that differences stand side by side."""
    names = dict.fromkeys(name for own in settings.values() for name in own)
    rows = tuple((name, *(own.get(name) for own in settings.values())) for name in names)
    return Table(("setting", *settings), rows)


def _cells(estimate: Estimate) -> tuple[Cell, ...]:
    return (
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.level,
        estimate.n,
        estimate.void,
        estimate.method,
    )
