"""Success against the amount of data, from a table: one source a row, or a mixture of several.

A mixture is written as `teleop+generated` with `10+40` beside it, or with one column of amounts for each source, such
as `demos_teleop` and `demos_generated`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.results.files import load_grids
from roboscale.results.grid import Grid, Texts
from roboscale.results.measures import Measured, counts_measured, long_measured
from roboscale.results.names import COLUMNS, normal_name
from roboscale.results.nouns import Trained
from roboscale.results.reading import AS_THEY_ARE, ReadOptions, TableReading
from roboscale.results.roles import Roles
from roboscale.results.tables import no_equal_counts
from roboscale.results.values import number_of

__all__ = ["TrainedTable", "read_trained", "trained_table"]

_RUNS = ("run", "train_run")
_PLAIN_UNITS = ("amount", "n_demos", "num_demos", "demos", "episodes", "demonstrations")

Mixture = tuple[tuple[str, float], ...]
"""(source, amount) of everything that a policy was trained on, sources in their order."""

Sums = dict[tuple[str, str, Mixture, str], list[float]]
"""(task, policy, mixture, run) -> successes or the sum of progress, and trials that counted."""


@dataclass(frozen=True, slots=True)
class TrainedTable:
    """The points of a table, and in words how its columns were read."""

    points: tuple[Trained, ...]
    notes: tuple[str, ...] = field(default=())


def read_trained(path: Path, options: ReadOptions = AS_THEY_ARE) -> list[Trained]:
    """The points of a table; see `trained_table`."""
    return list(trained_table(path, options).points)


def trained_table(path: Path, options: ReadOptions = AS_THEY_ARE) -> TrainedTable:
    """Success against the amount of data: columns amount, successes and rollouts, or an outcome a row; source, task.

    Rows of the same policy, task, source, amount and run are added up. A policy column tells recipes apart where a
    policy has several amounts; where each has one, they are checkpoints of one recipe. BadData names what is not
    understood.
    """
    path = Path(path)
    grid = load_grids(path, options)[0]
    roles = Roles.of(path, grid, options)
    parts = _amount_columns(roles.grid)
    if not (parts or roles.has("amount")) or not len(grid):
        wanted = f"an amount ({', '.join(COLUMNS['amount'])}) and successes with rollouts, or an outcome"
        raise BadData(path, "columns", wanted, ", ".join(grid.names) or "none")
    name = "" if parts else roles.names("amount")[0]
    mixtures = _mixtures(roles, name, parts)
    notes: list[str] = []
    measured = counts_measured(roles, notes) or long_measured(roles, notes, options)
    if name and roles.used[name][0] != "amount":  # `successes, episodes`: of 20 trials each, not of 20 demonstrations
        wanted = f"an amount of data ({', '.join(COLUMNS['amount'])}; or --column amount=NAME)"
        raise BadData(path, "columns", wanted, f"{name}, which says how many trials there were")
    roles.ignore(roles.names("amount")[1:], f"{name!r} is the stronger name for the amount")
    if measured.form == "counts":
        no_equal_counts(roles, "if both count, a column run with a number each")
    run_column = next((n for n in roles.grid.names if normal_name(n) in _RUNS), "") or next(
        iter(roles.names("run")), ""
    )
    runs = roles.use("run", run_column) if run_column else Texts.same("", len(grid))
    policies, said = _policies(roles, mixtures)
    task = _texts(roles, "task", "all")
    sums = _sums(measured, (task, policies, runs), mixtures)
    unit = _unit(name, parts)
    said += _assumed(measured, len(sums), run_column)
    sums = _only(sums, options)
    points = tuple(
        Trained(
            task=key_task,
            source=" + ".join(source for source, _ in mixture),
            amount=sum(amount for _, amount in mixture),
            successes=int(won) if float(won).is_integer() else won,
            trials=int(tried),
            unit=unit,
            policy=policy,
            run=run,
            mixture=mixture if len(mixture) > 1 else (),
        )
        for (key_task, policy, mixture, run), (won, tried) in sorted(sums.items())
    )
    reading = TableReading(
        source=grid.source,
        form="success against data",
        columns=roles.columns(),
        rows=len(grid),
        left_out=(*grid.left_out, *measured.left_out),
        notes=(*grid.notes, *notes),
    )
    return TrainedTable(points, (*(f"{grid.source}: {word}" for word in said), *reading.lines()))


def _assumed(measured: Measured, points: int, run_column: str) -> list[str]:
    """What is said of how rows became points."""
    said = []
    if "success" not in measured.kinds:
        said.append("no successes are noted, so the sum of progress stands for them")
    counted = len(np.unique(measured.row))
    if measured.form == "counts" and counted > points:
        apart = "a column run keeps training runs apart"
        said.append(f"{counted} rows of counts for {points} amounts: those of one amount are added up ({apart})")
    if run_column:
        said.append(f"column {run_column} says which training run; runs are not added up")
    return said


def _only(sums: Sums, options: ReadOptions) -> Sums:
    """The sums of one task. RoboscaleError for options that mean nothing here, UnknownName for a task there is not."""
    if options.world or options.case_scope != "auto" or options.pairing != "auto":
        raise RoboscaleError(
            "success against data has no worlds, cases or pairs: only --column, --sheet and --task count"
        )
    if options.task and options.task not in {key[0] for key in sums}:
        raise UnknownName("task", options.task, {key[0] for key in sums})
    return {key: total for key, total in sums.items() if options.task in ("", key[0])}


def _sums(measured: Measured, texts: tuple[Texts, Texts, Texts], mixtures: list[Mixture]) -> Sums:
    """(task, policy, mixture, run) -> successes or the sum of progress, and trials that counted."""
    task, policy, run = texts
    values = measured.success if "success" in measured.kinds else measured.progress
    sums: Sums = {}
    for k, row in enumerate(measured.row):
        total = sums.setdefault((task.at(row), policy.at(row), mixtures[row], run.at(row)), [0.0, 0.0])
        if not np.isnan(values[k]):
            total[0] += float(values[k] * measured.weight[k])
            total[1] += float(measured.weight[k])
    return sums


def _texts(roles: Roles, role: str, otherwise: str) -> Texts:
    asked = roles.said.get(role, ())
    column = Texts.joined([roles.use(role, name) for name in asked]) if len(asked) > 1 else roles.one(role)
    if column is None:
        return Texts.same(otherwise, len(roles.grid))
    return Texts([text or otherwise for text in column.values], column.codes)


def _policies(roles: Roles, mixtures: list[Mixture]) -> tuple[Texts, list[str]]:
    """The policy of each row, empty where the column tells no recipes apart, and a word on it."""
    nobody = Texts.same("", len(roles.grid))
    names = roles.names("policy")
    if not names:
        return nobody, []
    names = names if "policy" in roles.said else names[:1]
    column = Texts.joined([roles.grid.column(name) for name in names])
    shown = " and ".join(names)
    amounts: dict[str, set[Mixture]] = {}
    for row, mixture in enumerate(mixtures):
        amounts.setdefault(column.at(row), set()).add(mixture)
    several = any(len(seen) > 1 for seen in amounts.values())
    for name in names:
        roles.use("policy", name, "one recipe" if len(amounts) < 2 else "" if several else "checkpoints of one recipe")
    if len(amounts) < 2:
        return nobody, []
    if several:
        return column, [f"{len(amounts)} policies in column {shown}, planned one by one"]
    return nobody, [f"column {shown} names one policy for each amount: taken as checkpoints of one recipe"]


def _amount_columns(grid: Grid) -> dict[str, str]:
    """Column -> source, where every source has a column of amounts: `demos_teleop` or `teleop_demos`."""
    words = "|".join(sorted(COLUMNS["amount"], key=len, reverse=True))
    taken = {name for names in COLUMNS.values() for name in names}
    parts = {}
    for column in grid.names:
        lower = column.strip().lower()
        match = re.fullmatch(rf"(?:{words})[ _:./-]+(.+)|(.+?)[ _:./-]+(?:{words})", lower)
        if match is not None and lower not in taken:
            parts[column] = match[1] or match[2]
    return parts if len(parts) > 1 else {}


def _mixtures(roles: Roles, name: str, parts: Mapping[str, str]) -> list[Mixture]:
    """What each row's policy was trained on. BadData where an amount is none."""
    rows = range(len(roles.grid))
    if parts:
        for column, source in parts.items():
            roles.use("amount", column, f"of {source}")
        return [_of_columns(roles, parts, row) for row in rows]
    amounts, sources = roles.use("amount", name), _texts(roles, "source", "data")
    return [_of_texts(roles, name, sources.at(row), amounts.at(row), row) for row in rows]


def _of_columns(roles: Roles, parts: Mapping[str, str], row: int) -> Mixture:
    each = [
        (source, _number(roles, row, name, roles.grid.column(name).at(row) or "0")) for name, source in parts.items()
    ]
    mixture = tuple(sorted((source, amount) for source, amount in each if amount > 0))
    if not mixture:
        raise BadData(roles.path, roles.grid.row_text(row), "an amount above 0", "none")
    return mixture


def _of_texts(roles: Roles, name: str, source: str, text: str, row: int) -> Mixture:
    names = [part.strip() for part in source.split("+")]
    texts = [part.strip() for part in text.split("+")]
    if len(names) != len(texts):
        expected = "as many amounts as sources, e.g. a+b with 10+40"
        raise BadData(roles.path, roles.grid.row_text(row), expected, f"{source!r} with {text!r}")
    amounts = [_number(roles, row, name, part) for part in texts]
    if any(amount <= 0 for amount in amounts):
        raise BadData(roles.path, f"{name} of {roles.grid.row_text(row)}", "a number above 0", repr(text))
    return tuple(sorted(zip(names, amounts, strict=True)))


def _number(roles: Roles, row: int, name: str, text: str) -> float:
    amount = number_of(text)
    if amount is None or amount < 0:
        raise BadData(roles.path, f"{name} of {roles.grid.row_text(row)}", "a number above 0", repr(text))
    return amount


def _unit(name: str, parts: Mapping[str, str]) -> str:
    unit = name.strip().lower()
    if parts:
        column = next(iter(parts)).strip().lower()
        unit = next((word for word in COLUMNS["amount"] if re.search(rf"(^|[ _:./-]){word}($|[ _:./-])", column)), "")
    return "demonstrations" if unit in ("", *_PLAIN_UNITS) or normal_name(unit) in _PLAIN_UNITS else unit
