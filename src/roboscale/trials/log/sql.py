"""The log's tables, and what SQLite and PostgreSQL say differently. Everything else is the same SQL for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    any_,
    bindparam,
    delete,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

__all__ = [
    "LEASE_ENDS",
    "NAMESPACE",
    "TABLES",
    "TRIAL_IS_SAVED",
    "among",
    "begin",
    "begin_alone",
    "claim",
    "clock_ns",
    "entries",
    "header",
    "identities",
    "insert",
    "insert_new",
    "is_sqlite",
    "judgements",
    "leases",
    "notes",
    "runs",
    "trials",
]

NAMESPACE = "roboscale"
"""PostgreSQL's schema that holds the tables, so that a database can be shared with other programs."""

_LOCK = 0x726F626F  # PostgreSQL's advisory lock for what only one may do at a time

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")  # ordered by bytes, as SQLite does
TABLES = MetaData()

header = Table("header", TABLES, Column("name", _TEXT, primary_key=True), Column("value", _TEXT, nullable=False))

identities = Table(
    "identities",
    TABLES,
    Column("id", _TEXT, primary_key=True),
    Column("kind", _TEXT, nullable=False),
    Column("digest", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("unverified", _TEXT, nullable=False),
)

trials = Table(
    "trials",
    TABLES,
    Column("id", _TEXT, primary_key=True),
    Column("policy", _TEXT, nullable=False),
    Column("world", _TEXT, nullable=False),
    Column("case_id", _TEXT, nullable=False),
    Column("settings", _TEXT, nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("policy_as", _TEXT, ForeignKey(identities.c.id), nullable=False),
    Column("world_as", _TEXT, ForeignKey(identities.c.id), nullable=False),
    Column("task", _TEXT, nullable=False),
    Column("variation", _TEXT, nullable=False),
    Column("start", _TEXT, nullable=False),
    Column("settings_json", _TEXT, nullable=False),
    Column("ending", _TEXT, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("clipped", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("measures", _TEXT, nullable=False),
    Column("episode", _TEXT, nullable=False),
    Column("run", _TEXT, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("thinking_s", Double, nullable=False),
    Column("versions", _TEXT, nullable=False),
    Column("details", _TEXT, nullable=False),
    Column("actions_shape", _TEXT),
    Column("series_lengths", _TEXT, nullable=False),
    Column("actions", LargeBinary),  # the bulk comes last: SQLite then reads the other columns without it
    Column("series", LargeBinary, nullable=False),
    UniqueConstraint("policy", "world", "case_id", "settings", "round", "attempt"),
)

judgements = Table(
    "judgements",
    TABLES,
    Column("trial", _TEXT, ForeignKey(trials.c.id), primary_key=True),
    Column("referee", _TEXT, primary_key=True),
    Column("time_ns", BigInteger, primary_key=True),
    Column("state", _TEXT, nullable=False),
    Column("success", Boolean),
    Column("progress", Double),
    Column("reason", _TEXT, nullable=False),
    Column("by", _TEXT, nullable=False),
)

runs = Table(
    "runs",
    TABLES,
    Column("id", _TEXT, primary_key=True),
    Column("request", _TEXT, nullable=False),
    Column("command", _TEXT),
    Column("policies", _TEXT, nullable=False),
    Column("world", _TEXT, nullable=False),
    Column("world_info", _TEXT, nullable=False),
    Column("cases", _TEXT, nullable=False),
    Column("settings", _TEXT, nullable=False),
    Column("round", Integer, nullable=False),
    Column("design", _TEXT),
    Column("versions", _TEXT, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("finished_ns", BigInteger),
    Column("stopped_ns", BigInteger),
)

notes = Table(
    "notes",
    TABLES,
    Column("run", _TEXT, ForeignKey(runs.c.id), primary_key=True),
    Column("text", _TEXT, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
)

entries = Table(
    "entries",
    TABLES,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("id", _TEXT, nullable=False, unique=True),
    Column("kind", _TEXT, nullable=False),
    Column("body", _TEXT, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("monotonic_ns", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    TABLES,
    Column("trial", _TEXT, primary_key=True),
    Column("policy", _TEXT, nullable=False),
    Column("world", _TEXT, nullable=False),
    Column("case_id", _TEXT, nullable=False),
    Column("settings", _TEXT, nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", _TEXT, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Index("leases_of_worker", "worker"),
)


def is_sqlite(connection: Connection | Engine) -> bool:
    """Whether this is SQLite; otherwise it is PostgreSQL."""
    return connection.dialect.name == "sqlite"


def among(connection: Connection, column: Column[str], values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column holds one of these texts; PostgreSQL takes them as one value, however many they are."""
    if is_sqlite(connection):
        return column.in_(values)
    return column == any_(bindparam(None, list(values), type_=ARRAY(Text)))


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insertion that knows `on_conflict_do_nothing`, `on_conflict_do_update` and how many rows it changed."""
    return _insertion(is_sqlite(connection), table)


@lru_cache
def _insertion(into_sqlite: bool, table: Table) -> sqlite.Insert | postgresql.Insert:
    if into_sqlite:
        return sqlite.insert(table).execution_options(preserve_rowcount=True)
    from sqlalchemy.dialects import postgresql  # only where there is one: it loads all of its drivers' dialects

    return postgresql.insert(table).execution_options(preserve_rowcount=True)


@lru_cache
def _new_only(into_sqlite: bool, table: Table) -> sqlite.Insert | postgresql.Insert:
    return _insertion(into_sqlite, table).on_conflict_do_nothing()


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Adds the rows whose key is not there yet, and says how many these were."""
    if not rows:
        return 0
    return connection.execute(_new_only(is_sqlite(connection), table), [dict(r) for r in rows]).rowcount


# Statements that every trial needs are made once: making one costs as much as running it.
_ITS_TRIAL = bindparam("its_trial", type_=Text())
TRIAL_IS_SAVED = select(trials.c.id).where(trials.c.id == _ITS_TRIAL)
LEASE_ENDS = delete(leases).where(leases.c.trial == _ITS_TRIAL)


def claim(connection: Connection, trial: str, worker: str, span_ns: int, **columns: Any) -> bool:
    """Takes or prolongs a lease, unless another worker has one that has not run out; True when it is now ours."""
    values = {"trial": trial, "worker": worker, "span_ns": span_ns, **columns}
    given = {f"its_{name}": value for name, value in values.items()}
    return connection.execute(_claim(is_sqlite(connection)), given).rowcount == 1


@lru_cache
def _claim(into_sqlite: bool) -> sqlite.Insert | postgresql.Insert:
    now = _clock_ns(into_sqlite)
    names = [column.name for column in leases.c if column.name != "expires_ns"]
    given = {name: bindparam(f"its_{name}", type_=leases.c[name].type) for name in names}
    taken = {"worker": given["worker"], "expires_ns": now + bindparam("its_span_ns", type_=BigInteger())}
    free = or_(leases.c.expires_ns <= now, leases.c.worker == given["worker"])
    asked = _insertion(into_sqlite, leases).values({**given, **taken})
    return asked.on_conflict_do_update(index_elements=["trial"], set_=taken, where=free)


def clock_ns(connection: Connection) -> ColumnElement[int]:
    """The database's clock as the statement runs, nanoseconds since 1970 (SQLite's ticks in milliseconds)."""
    return _clock_ns(is_sqlite(connection))


def _clock_ns(of_sqlite: bool) -> ColumnElement[int]:
    if of_sqlite:
        return literal_column("(cast(round((julianday('now') - 2440587.5) * 86400000.0) as integer) * 1000000)")
    return literal_column("((extract(epoch from clock_timestamp()) * 1000000000)::bigint)")


def begin(connection: Connection) -> None:
    """Begins a transaction: none begins by itself, so that a question is one way to the server and back."""
    connection.exec_driver_sql("begin immediate" if is_sqlite(connection) else "begin")


def begin_alone(connection: Connection) -> None:
    """Begins a transaction that no other begun so runs beside: making tables, merging. SQLite has one writer."""
    if is_sqlite(connection):
        begin(connection)
    else:  # one way to the server and back; a snapshot is taken by the next statement, after the wait
        connection.exec_driver_sql(f"begin; select pg_advisory_xact_lock({_LOCK})")
