"""The log's tables, and what SQLite and PostgreSQL say differently. Everything else is the same SQL for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
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
    literal_column,
)
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

__all__ = [
    "NAMESPACE",
    "TABLES",
    "begin_alone",
    "clock_ns",
    "header",
    "identities",
    "insert",
    "insert_new",
    "is_sqlite",
    "judgements",
    "leases",
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


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insertion that knows `on_conflict_do_nothing`, `on_conflict_do_update` and how many rows it changed."""
    if is_sqlite(connection):
        return sqlite.insert(table).execution_options(preserve_rowcount=True)
    from sqlalchemy.dialects import postgresql  # only where there is one: it loads all of its drivers' dialects

    return postgresql.insert(table).execution_options(preserve_rowcount=True)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Adds the rows whose key is not there yet, and says how many these were."""
    if not rows:
        return 0
    return connection.execute(insert(connection, table).on_conflict_do_nothing(), [dict(r) for r in rows]).rowcount


def clock_ns(connection: Connection) -> ColumnElement[int]:
    """The database's clock as the statement runs, nanoseconds since 1970 (SQLite's ticks in milliseconds)."""
    if is_sqlite(connection):
        return literal_column("(cast(round((julianday('now') - 2440587.5) * 86400000.0) as integer) * 1000000)")
    return literal_column("((extract(epoch from clock_timestamp()) * 1000000000)::bigint)")


def begin_alone(connection: Connection) -> None:
    """Begins a transaction that no other begun so runs beside: making tables, merging. SQLite has one writer."""
    if is_sqlite(connection):
        connection.exec_driver_sql("begin immediate")
    else:
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")
