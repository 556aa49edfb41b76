"""Tables: the numbers behind every figure, raw, in three formats. Knows nothing of figures or pages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from roboscale.core import Estimate, OutcomeKind, SpecMismatch
from roboscale.report.model import DatasetSummary, MeasureSummary, PolicyResult, Scalar, TrainingCurve
from roboscale.report.text import MISSING, mark, number, void_range

__all__ = [
    "ESTIMATE_COLUMNS",
    "RATE_COLUMNS",
    "Cell",
    "Table",
    "dataset_table",
    "estimate_cells",
    "evidence_table",
    "measure_table",
    "rate_cells",
    "rates_table",
    "settings_table",
    "show",
    "task_names",
    "training_table",
]

Cell = Scalar
"""`None` is a missing value: an empty CSV field, `null` in JSON, a dash in Markdown."""

ESTIMATE_COLUMNS = ("value", "low", "high", "level", "n", "void", "method")
"""Columns of a table that an `Estimate` fills, see `estimate_cells`."""

RATE_COLUMNS = (*ESTIMATE_COLUMNS, "void failed", "void succeeded", "unverified")
"""Columns of a table that a rate fills: also what it would be at both extremes of its void trials."""

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


def estimate_cells(estimate: Estimate | None) -> tuple[Cell, ...]:
    """The cells under `ESTIMATE_COLUMNS`; all missing where there is no estimate."""
    if estimate is None:
        return (None,) * len(ESTIMATE_COLUMNS)
    e = estimate
    return (e.value, e.low, e.high, e.level, e.n, e.void, e.method)


def rate_cells(rate: Estimate | None, unverified: Sequence[str] = ()) -> tuple[Cell, ...]:
    """The cells under `RATE_COLUMNS`; all missing where there is no rate."""
    if rate is None:
        return (None,) * len(RATE_COLUMNS)
    return (*estimate_cells(rate), *(void_range(rate) or (rate.value, rate.value)), mark(unverified) or None)


def rates_table(policies: Sequence[PolicyResult], outcome: OutcomeKind = "success") -> Table:
    """What every policy achieved over all tasks and on each task, tasks in the order of their first mention."""
    rows: list[tuple[Cell, ...]] = [
        ("all tasks", policy.name, *rate_cells(policy.rate(outcome), policy.unverified)) for policy in policies
    ]
    for task in task_names(policies):
        for policy in policies:
            of_task = [result for result in policy.tasks if result.task == task]
            rows += [(task, policy.name, *rate_cells(r.rate(outcome), policy.unverified)) for r in of_task]
    return Table(("task", "policy", *RATE_COLUMNS), tuple(rows))


def task_names(policies: Iterable[PolicyResult]) -> list[str]:
    """Every task once, in the order of its first mention."""
    return list(dict.fromkeys(result.task for policy in policies for result in policy.tasks))


def evidence_table(evidence: Sequence[Mapping[str, float]]) -> Table:
    """The running evidence as given, one row per counted pair; known columns first, unknown ones kept."""
    present = dict.fromkeys(key for row in evidence for key in row)
    columns = [key for key in _EVIDENCE_ORDER if key in present]
    columns += [key for key in present if key not in _EVIDENCE_ORDER]
    return Table(tuple(columns), tuple(tuple(row.get(key) for key in columns) for row in evidence))


def measure_table(policies: Sequence[PolicyResult]) -> Table:
    """One row per policy and measure; one that could not be measured has no value."""
    shares = ("share", "share low", "share high")
    medians = ("median", "median low", "median high", "largest")
    columns = ("policy", "measure", "unit", "measured", "not measured", *shares, *medians, "unverified")
    rows = [
        (policy.name, *_measured(one), mark(policy.unverified) or None)
        for policy in policies
        for one in (*policy.measures, *policy.steps)
    ]
    return Table(columns, tuple(rows))


def _measured(summary: MeasureSummary) -> tuple[Cell, ...]:
    ends = [(e.value, e.low, e.high) if e else (None, None, None) for e in (summary.share, summary.median)]
    return (summary.name, summary.unit, summary.measured, summary.missing, *ends[0], *ends[1], summary.largest)


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
