"""Additions to a log's tables. What is there stays; what contradicts it is an error that names both sides.

All take a connection with a transaction under way, which the caller commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, literal, select, update

from roboscale.core import BadData, Identity, Judgement, Trial
from roboscale.trials.log import sql
from roboscale.trials.log.protocol import IdentityKind, LogEntry, Run
from roboscale.trials.log.reading import all_entries, all_runs, judgements_of, pieces, trials_by_id
from roboscale.trials.log.rows import (
    difference,
    dump,
    identity_row,
    judgement_of,
    judgement_row,
    run_row,
    title,
    trial_row,
    words,
)

__all__ = [
    "insert_entries",
    "insert_identities",
    "insert_judgements",
    "insert_notes",
    "insert_runs",
    "insert_trials",
    "newest_entry",
    "require_trial",
]

_FEW = 100
"""So many ids are looked for where the newest is; more are looked up by themselves."""


def insert_identities(connection: Connection, kind: IdentityKind, some: Iterable[Identity]) -> int:
    """Adds those that are new, always in the same order, so that no two writers wait in a circle."""
    rows = {row["id"]: row for row in (identity_row(kind, identity) for identity in some)}
    return sql.insert_new(connection, sql.identities, [rows[id_] for id_ in sorted(rows)])


def insert_trials(connection: Connection, trials: Sequence[Trial], where: str) -> int:
    """Adds the trials that are new, whose identities must be there; returns how many these were.

    Raises:
        BadData: one was there with other facts.
    """
    rows = {trial.id: trial_row(trial, where) for trial in trials}
    new = sql.insert_new(connection, sql.trials, list(rows.values()))
    if new < len(trials):
        known = {trial.id: trial for trial in trials_by_id(connection, list(rows), where)}
        for trial in trials:
            if both := difference(known[trial.id], trial):
                raise BadData(where, title(trial), *both)
    return new


def insert_judgements(connection: Connection, some: Sequence[Judgement], where: str) -> int:
    """Adds the judgements that are new, whose trials must be there; returns how many these were.

    Raises:
        BadData: its referee said something else of the trial at that very time.
    """
    rows = [judgement_row(judgement, where) for judgement in some]
    new = sql.insert_new(connection, sql.judgements, rows)
    if new < len(rows):
        known = judgements_of(connection, {j.trial for j in some}, None)
        by_key = {(j.trial, j.referee, j.time_ns): j for said in known.values() for j in said}
        for judgement in map(judgement_of, rows):
            there = by_key[judgement.trial, judgement.referee, judgement.time_ns]
            if there != judgement:
                name = f"judgement of trial {judgement.trial[:8]} by {judgement.referee} at {judgement.time_ns} ns"
                raise BadData(where, name, _saying(there), _saying(judgement))
    return new


def _saying(judgement: Judgement) -> str:
    said = [judgement.state, f"success {judgement.success}", f"progress {judgement.progress}"]
    said += [f"by {judgement.by}"] if judgement.by else []
    return ", ".join([*said, judgement.reason] if judgement.reason else said)


def insert_notes(connection: Connection, run: str, notes: Mapping[str, int]) -> None:
    """Adds what was said of a run, which must be there; a text that was said before keeps its first time."""
    rows = [{"run": run, "text": text, "time_ns": time} for text, time in notes.items()]
    sql.insert_new(connection, sql.notes, rows)


def newest_entry(connection: Connection, ids: Sequence[str] = ()) -> tuple[int, int]:
    """The highest number of an entry, 0 where there is none; and how many of these ids there are."""
    table = sql.entries.c
    known = select(func.count()).select_from(sql.entries).where(sql.among(connection, table.id, ids[:_FEW]))
    query = select(func.coalesce(func.max(table.number), 0), known.scalar_subquery() if ids else literal(0))
    newest, count = connection.execute(query).one()
    return int(newest), int(count) if len(ids) <= _FEW else len(ids)


def insert_entries(
    connection: Connection, entries: Sequence[LogEntry], where: str, newest: int, *, known: bool = True
) -> int:
    """Adds the entries that are new behind number `newest`; returns how many these were. The caller is alone.

    Args:
        known: whether any of them may be there already.

    Raises:
        BadData: an entry of that id says something else.
    """
    ids = [entry.id for entry in entries] if known else []
    there_are = {entry.id: entry for some in pieces(ids, 1000) for entry in all_entries(connection, where, ids=some)}
    rows: list[dict[str, Any]] = []
    for entry in entries:
        try:
            text = dump(entry.body)
        except TypeError as error:
            raise BadData(where, f"entry {entry.id}", "JSON types", error) from error
        if (there := there_are.get(entry.id)) is not None:
            if (there.kind, dump(there.body)) != (entry.kind, text):
                both = f"{there.kind} {dump(there.body)[:300]}", f"{entry.kind} {text[:300]}"
                raise BadData(where, f"entry {entry.id}", *both)
            continue
        there_are[entry.id] = entry
        row = {"number": newest + len(rows) + 1, "id": words(entry.id), "kind": words(entry.kind), "body": text}
        rows.append({**row, "time_ns": entry.time_ns, "monotonic_ns": entry.monotonic_ns})
    return sql.insert_new(connection, sql.entries, rows)


def require_trial(connection: Connection, id_: str, where: str) -> None:
    """BadData unless this trial is in the log."""
    if connection.execute(select(sql.trials.c.id).where(sql.trials.c.id == id_)).first() is None:
        raise BadData(where, "judgement", "the id of a trial in this log", id_)


def insert_runs(connection: Connection, runs: Sequence[Run], where: str) -> int:
    """Adds the runs that are new; one that is there learns when it was finished or stopped. Returns how many were new.

    Raises:
        BadData: a run of that id asks something else.
    """
    rows = [run_row(run, where) for run in runs]
    new = sql.insert_new(connection, sql.runs, rows)
    if new < len(rows):
        known = {run.id: run for run in all_runs(connection, where, [row["id"] for row in rows])}
        for run, row in zip(runs, rows, strict=True):
            there = run_row(known[row["id"]], where)
            for name in ("request", "policies", "world", "cases", "settings", "round", "design"):
                if there[name] != row[name]:
                    raise BadData(where, f"run {run.id}: {name}", there[name], row[name])
            table = sql.runs.c
            times = {n: func.coalesce(table[n], row[n]) for n in ("finished_ns", "stopped_ns")}
            connection.execute(update(sql.runs).where(table.id == row["id"]).values(**times))
    return new
