"""Connections: how a SQLite file is opened on any disk, and how PostgreSQL is reached.

SQLite writes ahead (WAL) and does not wait for the disk at every commit: a killed process loses nothing that was
saved, power loss may lose the last moments. Reading works on a disk that cannot be written, and leaves no `-wal` or
`-shm` file behind.

On PostgreSQL a transaction is begun where something is written (`sql.begin`) and nowhere else: a question is then one
way to the server and back, and leaves the statements that the server has prepared. A connection of the pool is looked
at before it is used, and asked where it has rested or has something to say.
"""

from __future__ import annotations

import os
import select
import shutil
import sqlite3
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from roboscale.core import BadData, RoboscaleError
from roboscale.trials.log import sql
from roboscale.trials.log.address import LogAddress

__all__ = ["SqliteFile", "memory_engine", "postgres_engine", "sqlite_engine"]

_WAIT_S = 30.0
"""How long a SQLite writer waits for another."""

_RESTED_S = 20.0
"""After so long without use a connection to PostgreSQL may be gone unseen: what lies between forgets it."""


class SqliteFile:
    """Makes connections to one file.

    Args:
        path: the file; made, with its folder, unless `read_only`.
        read_only: never change what it says.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path, self.read_only = path, read_only
        self.fixed = read_only and not (_writable(path) and _writable(path.parent))
        self._copy: tempfile.TemporaryDirectory[str] | None = None

    def connect(self) -> sqlite3.Connection:
        """A connection without Python's own transactions; SQLAlchemy's are explicit."""
        if self.fixed:
            return self._connect_fixed()
        connection = _connect(self.path, "mode=rw" if self.read_only else "mode=rwc")
        if self.read_only:
            connection.execute("pragma query_only=on")
            return connection
        try:
            _write_ahead(connection)
            connection.execute("pragma synchronous=normal")
            connection.execute("pragma foreign_keys=on")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _connect_fixed(self) -> sqlite3.Connection:
        """Where nothing can be written. SQLite needs its `-shm` file to see what is in a `-wal` file: when somebody
        else writes both are there; when only the `-wal` is, it was left by a dead process and is read from a copy."""
        wal, shm = (self.path.with_name(self.path.name + suffix) for suffix in ("-wal", "-shm"))
        if not wal.exists() or not wal.stat().st_size:
            return _connect(self.path, "mode=ro&immutable=1")
        if shm.exists():
            return _connect(self.path, "mode=ro")
        if self._copy is None:
            self._copy = tempfile.TemporaryDirectory(prefix="roboscale-log-")
            for file in (self.path, wal):
                shutil.copyfile(file, Path(self._copy.name) / file.name)
        return _connect(Path(self._copy.name) / self.path.name, "mode=rw")

    def close(self) -> None:
        """Removes what was copied."""
        if self._copy is not None:
            self._copy.cleanup()


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _connect(path: Path, options: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?{options}"
    return sqlite3.connect(address, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches to WAL. SQLite does not wait by itself for others that do the same to a new file."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("pragma journal_mode=wal")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def sqlite_engine(file: SqliteFile) -> Engine:
    """An engine on a file; where nothing can be written every statement looks anew at how the file can be read."""
    if file.fixed:
        return create_engine("sqlite://", creator=file.connect, poolclass=NullPool, hide_parameters=True)
    return create_engine("sqlite://", creator=file.connect, poolclass=QueuePool, max_overflow=-1, hide_parameters=True)


def memory_engine() -> Engine:
    """An engine on a database of its own in memory, with one connection: filled once, then only read."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    return create_engine("sqlite://", creator=connect, poolclass=StaticPool)


def postgres_engine(address: LogAddress, *, read_only: bool) -> Engine:
    """An engine on PostgreSQL; connects when it is first used.

    Raises:
        RoboscaleError: the driver is not installed, or the URL is none.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise RoboscaleError(
            f"{address.shown}: PostgreSQL needs the driver psycopg: pip install 'roboscale[postgres]' ({error})"
        ) from None
    try:
        url = make_url(address.url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):  # their words may hold the password
        raise BadData(address.shown, "address", "postgresql://user@host:port/database", "no such URL") from None
    defaults = {"connect_timeout": "10", "application_name": "roboscale"}
    url = url.update_query_dict({k: v for k, v in defaults.items() if k not in url.query})
    engine = create_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED" if read_only else "AUTOCOMMIT",  # a driver's own transactions are read only
        execution_options={"schema_translate_map": {None: sql.NAMESPACE}, "postgresql_readonly": read_only},
    )
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", partial(_look, engine))
    return engine


def _note_rest(connection: Any, record: Any) -> None:
    record.info["rests_since"] = time.monotonic()


def _look(engine: Engine, connection: Any, record: Any, proxy: Any) -> None:
    """Sees, without asking the server, that it said nothing since: an end is said. Else, or after a rest, asks.

    Raises:
        DisconnectionError: it is gone; the pool makes another.
    """
    since = record.info.pop("rests_since", None)
    if since is None:  # new
        return
    if time.monotonic() - since < _RESTED_S and not _says_something(connection.fileno()):
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise DisconnectionError("the server ended this connection") from error


def _says_something(socket: int) -> bool:
    """Whether there is something to read on a socket, its end included."""
    asked = select.poll()
    asked.register(socket, select.POLLIN)
    return bool(asked.poll(0))
