"""How a database comes to have the log's tables, in their newest shape.

`SCHEMA` counts the shapes there ever were. A new database gets the newest; an older one is walked there by `STEPS`,
one small function per number, in one transaction. SQLite keeps the number in `user_version`, where programs of an
earlier version see it too; PostgreSQL in the table `header`.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, delete, inspect, select
from sqlalchemy.schema import CreateSchema

from roboscale.core import BadData
from roboscale.trials.log import legacy, sql

__all__ = ["SCHEMA", "STEPS", "check", "create", "prepare"]

SCHEMA = 4
"""1 was the earlier store, SQLite only, see `legacy`; 2 had no notes, 3 no entries."""


def _version(connection: Connection) -> int:
    """Which shape of tables is there; 0 for none."""
    if sql.is_sqlite(connection):
        return int(connection.exec_driver_sql("pragma user_version").scalar_one())
    if not inspect(connection).has_table(sql.header.name, schema=sql.NAMESPACE):
        return 0
    header = sql.header.c
    return int(connection.execute(select(header.value).where(header.name == "schema")).scalar_one())


def _names(connection: Connection) -> list[str]:
    return sorted(inspect(connection).get_table_names(None if sql.is_sqlite(connection) else sql.NAMESPACE))


def check(connection: Connection, where: str) -> int:
    """The version of the tables; BadData when a newer program or another one made them, or there are none."""
    version, names = _version(connection), _names(connection)
    if version > SCHEMA:
        found = f"{version}, written by a newer version of roboscale"
        raise BadData(where, "version of its tables", f"at most {SCHEMA}", found)
    expected = legacy.LEGACY_TABLES if version == 1 else tuple(sql.TABLES.tables)
    if version in (2, 3):
        later = {sql.entries.key, *((sql.notes.key,) if version == 2 else ())}
        expected = tuple(name for name in expected if name not in later)
    if version == 0 or not set(expected) <= set(names):
        raise BadData(where, "tables", f"a log of trials ({', '.join(expected)})", ", ".join(names) or "none")
    return version


def prepare(engine: Engine, where: str) -> None:
    """Makes the tables, or brings them to the newest shape. Any number of processes may do so at once.

    Raises:
        BadData: a newer program or another one made what is there.
    """
    with engine.connect() as connection:
        if _version(connection) == SCHEMA:
            check(connection, where)
            return
    with engine.connect() as connection:
        sql.begin_alone(connection)
        version = _version(connection)  # again: somebody may have been faster
        if version == 0 and not _names(connection):
            create(connection)
        else:
            while (version := check(connection, where)) < SCHEMA:
                STEPS[version](connection, where)
        connection.commit()


def create(connection: Connection) -> None:
    """All tables in their newest shape, where there are none."""
    if not sql.is_sqlite(connection) and not inspect(connection).has_schema(sql.NAMESPACE):
        connection.execute(CreateSchema(sql.NAMESPACE))
    sql.TABLES.create_all(connection)
    _stamp(connection)


def _stamp(connection: Connection) -> None:
    if sql.is_sqlite(connection):
        connection.exec_driver_sql(f"pragma user_version={SCHEMA}")
    connection.execute(delete(sql.header).where(sql.header.c.name == "schema"))
    connection.execute(sql.header.insert().values(name="schema", value=str(SCHEMA)))


def _from_earlier_store(connection: Connection, where: str) -> None:
    """1 -> newest: the earlier store's tables keep their rows under `legacy_*`; their trials come in marked."""
    legacy.set_aside(connection)
    create(connection)
    legacy.convert_log(connection, connection, where, "legacy_")


def _with_notes(connection: Connection, where: str) -> None:
    """2 -> newest: what was said of runs until then is not known, which is no note."""
    sql.notes.create(connection)
    _with_entries(connection, where)


def _with_entries(connection: Connection, where: str) -> None:
    """3 -> newest: nobody had met in it."""
    sql.entries.create(connection)
    _stamp(connection)


STEPS: dict[int, Callable[[Connection, str], None]] = {1: _from_earlier_store, 2: _with_notes, 3: _with_entries}
"""What brings version n further. Each says in the database which version it is then."""
