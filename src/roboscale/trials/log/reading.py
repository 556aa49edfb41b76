"""Questions to a log's tables. Long answers are read in pieces, so that no cursor or transaction stays open."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from roboscale.core import BadData, Case, Identity, Judgement, RolloutSettings, Trial
from roboscale.trials.log import sql
from roboscale.trials.log.protocol import IdentityKind, Lease, LogEntry, Run
from roboscale.trials.log.rows import BULK, Names, judgement_of, load, run_of, trial_of

__all__ = [
    "TRIAL_KEY",
    "all_entries",
    "all_identities",
    "all_leases",
    "all_notes",
    "all_runs",
    "judgements_of",
    "light_trials",
    "matching",
    "pieces",
    "trial_ids",
    "trials_by_id",
]

TRIAL_KEY = tuple(sql.trials.c[n] for n in ("policy", "world", "case_id", "settings", "round", "attempt"))
"""Columns of a trial's key, in the order of `Trial.key`."""

_AGAIN = ("policy", "world", "case_id", "settings")
"""Columns that are asked for and seldom read: they say what others say, as one text."""

_WHOLE = tuple(c for c in sql.trials.c if c.name not in _AGAIN)
_LIGHT = tuple(c for c in _WHOLE if c.name not in BULK)

_ASKED = 5000
"""Keys in one statement."""

T = TypeVar("T")


def pieces(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive pieces of at most `size`: a statement takes some ten thousand values."""
    return (items[i : i + size] for i in range(0, len(items), size))


def matching(
    policy: Identity | str | None = None,
    world: Identity | str | None = None,
    case: Case | str | None = None,
    settings: RolloutSettings | str | None = None,
    round: int | None = None,
) -> list[ColumnElement[bool]]:
    """Conditions on the table of trials."""
    wanted: list[str | int | None] = [
        policy.digest if isinstance(policy, Identity) else policy,
        world.digest if isinstance(world, Identity) else world,
        case.id if isinstance(case, Case) else case,
        settings.text if isinstance(settings, RolloutSettings) else settings,
        round,
    ]
    return [column == value for column, value in zip(TRIAL_KEY, wanted, strict=False) if value is not None]


def all_identities(connection: Connection, where: str) -> dict[IdentityKind, tuple[Identity, ...]]:
    """Identities by kind, ordered by name."""
    table = sql.identities.c
    query = select(table.id).order_by(table.name, table.digest, table.unverified)
    names = _names(connection, where)
    kinds: tuple[IdentityKind, ...] = ("policy", "world")
    return {k: tuple(names[i] for i in connection.execute(query.where(table.kind == k)).scalars()) for k in kinds}


def _names(connection: Connection, where: str) -> Names:
    table = sql.identities.c
    rows = connection.execute(select(table.id, table.name, table.digest, table.unverified))
    try:
        return {i: Identity(name, digest, tuple(load(unverified))) for i, name, digest, unverified in rows}
    except (ValueError, TypeError) as error:
        raise BadData(where, "identities", "readable rows", error) from error


def trial_ids(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> list[str]:
    """Ids of the trials that match, ordered by key."""
    return list(connection.execute(select(sql.trials.c.id).where(*conditions).order_by(*TRIAL_KEY)).scalars())


def trials_by_id(connection: Connection, ids: Sequence[str], where: str, *, light: bool = False) -> list[Trial]:
    """The trials of these ids that are there, in that order; BadData for a row that cannot be understood."""
    query = select(*(_LIGHT if light else _WHOLE)).where(sql.among(connection, sql.trials.c.id, ids))
    rows = connection.execute(query).mappings().all()
    names = _names(connection, where)
    trials = {row["id"]: _read(row, names, where) for row in rows}
    return [trials[i] for i in ids if i in trials]


def light_trials(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], cases: Sequence[str] | None, where: str
) -> Iterator[Trial]:
    """Light trials that match, in any order: a database sorts texts for longer than it takes to find them."""
    names = _names(connection, where)
    case, query = sql.trials.c.case_id, select(*_LIGHT).where(*conditions)
    parts = (
        [query]
        if cases is None
        else [query.where(sql.among(connection, case, some)) for some in pieces(cases, _ASKED)]
    )
    for part in parts:
        for row in connection.execute(part).mappings():
            yield _read(row, names, where)


def _read(row: RowMapping, names: Names, where: str) -> Trial:
    try:
        return trial_of(row, names)
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
        found = f"{type(error).__name__}: {error}"
        raise BadData(where, f"trial {row['id'][:8]}", "a readable row", found) from error


def judgements_of(
    connection: Connection, ids: Collection[str] | None, until_ns: int | None
) -> dict[str, tuple[Judgement, ...]]:
    """Trial id -> judgements by time, then referee; of all trials when `ids` is None."""
    table = sql.judgements.c
    query = select(sql.judgements)
    if until_ns is not None:
        query = query.where(table.time_ns <= until_ns)
    parts = (
        [query]
        if ids is None
        else [query.where(sql.among(connection, table.trial, some)) for some in pieces(list(ids), _ASKED)]
    )
    judged: dict[str, list[Judgement]] = {}
    for part in parts:
        for row in connection.execute(part).mappings():
            judged.setdefault(row["trial"], []).append(judgement_of(row))
    for said in judged.values():  # a database takes longer for it
        said.sort(key=lambda judgement: (judgement.time_ns, judgement.referee.encode()))
    return {trial: tuple(some) for trial, some in judged.items()}


def all_runs(connection: Connection, where: str, ids: Sequence[str] | None = None) -> tuple[Run, ...]:
    """Runs, oldest first; of these ids, or all."""
    query = select(sql.runs).order_by(sql.runs.c.created_ns, sql.runs.c.id)
    runs = []
    for row in connection.execute(query if ids is None else query.where(sql.runs.c.id.in_(ids))).mappings():
        try:
            runs.append(run_of(row))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadData(where, f"run {row['id']}", "a readable row", f"{type(error).__name__}: {error}") from error
    return tuple(runs)


def all_notes(connection: Connection, run: str) -> dict[str, int]:
    """What was said of a run, and when, oldest first."""
    table = sql.notes.c
    query = select(table.text, table.time_ns).where(table.run == run).order_by(table.time_ns, table.text)
    return {row.text: row.time_ns for row in connection.execute(query)}


def all_entries(
    connection: Connection, where: str, after: int = 0, ids: Sequence[str] | None = None
) -> list[LogEntry]:
    """Entries with a higher number, in order; of these ids, or all."""
    table = sql.entries.c
    query = select(sql.entries).where(table.number > after).order_by(table.number)
    if ids is not None:
        query = query.where(sql.among(connection, table.id, ids))
    found = []
    for row in connection.execute(query).mappings():
        try:
            found.append(LogEntry(**{**row, "body": load(row["body"])}))
        except (ValueError, TypeError) as error:
            raise BadData(where, f"entry {row['number']}", "a readable row", error) from error
    return found


def all_leases(connection: Connection, worker: str | None = None) -> tuple[Lease, ...]:
    """Leases, those that expire first coming first; of one worker, or all."""
    table = sql.leases.c
    columns = (table.policy, table.world, table.case_id, table.settings, table.round, table.attempt)
    query = select(*columns, table.worker, table.expires_ns - sql.clock_ns(connection)).order_by(table.expires_ns)
    rows = connection.execute(query if worker is None else query.where(table.worker == worker))
    return tuple(Lease((p, w, c, s, r, a), who, left / 1e9) for p, w, c, s, r, a, who, left in rows)
