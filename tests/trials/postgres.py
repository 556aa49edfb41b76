"""A PostgreSQL cluster for tests: Debian's, in a folder of its own, as its own user, on a free port of this machine.

`postgres` is the cluster, `log_address` an empty database on it or an empty SQLite file: a test that takes the latter
runs on both. Where PostgreSQL is not installed its half is skipped, and on continuous integration it fails.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest

USER = "roboscale"


@dataclass
class Cluster:
    """A running cluster.

    Args:
        port: on 127.0.0.1.
        password: of its only user.
    """

    port: int
    password: str
    _numbers: count = field(default_factory=count)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def empty_database(self) -> str:
        """The URL of a database that is the same for all tests, without what the last one left there."""
        if not self.execute("select 1 from pg_database where datname = 'shared'"):
            self.execute("create database shared")
        self.execute("drop schema if exists roboscale cascade", "shared")
        return self.url("shared")

    def new_database(self) -> str:
        """The URL of a database of its own, which takes a while to make."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"create database {name}")
        return self.url(name)


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL here."""
    folders = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if folders:
        return max(folders, key=lambda p: float(p.parent.name))
    program = shutil.which("initdb")
    return Path(program).resolve().parent if program else None


def missing(reason: str) -> NoReturn:
    """Skips; on continuous integration, where nothing may be left out unseen, fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def as_its_user() -> list[str]:
    """What to put before a command: root may not run PostgreSQL. It dies with us, however we die."""
    switch = ["--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *switch, "--pdeathsig=QUIT"]


@contextmanager
def running_cluster(folder: Path, bin_: Path, *, fsync: bool = False) -> Iterator[Cluster]:
    """Makes a cluster in a folder that its user owns, and stops it afterwards; with `fsync` it waits for the disk."""
    password = secrets.token_hex(8)
    (folder / "password").write_text(password)
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        for path in (folder, folder / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    options = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={folder}/password", "-E", "UTF8", "--locale=C.UTF-8"]
    command = [*as_its_user(), str(bin_ / "initdb"), "-D", str(folder / "data"), "--no-sync", *options]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "fsync": "on" if fsync else "off",
        "max_connections": "60",
    }
    command = [*as_its_user(), str(bin_ / "postgres"), "-D", str(folder / "data")]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        cluster = Cluster(port, password)
        _wait_for(cluster, server, folder / "log")
        yield cluster
    finally:
        server.send_signal(signal.SIGQUIT)  # at once, without a checkpoint: nobody wants the data
        server.wait(timeout=60)


def _wait_for(cluster: Cluster, server: subprocess.Popen, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            cluster.execute("select 1")
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A cluster for the whole session."""
    bin_ = binaries()
    if bin_ is None:
        missing("PostgreSQL is not installed: apt-get install postgresql")
    if importlib.util.find_spec("psycopg") is None:
        missing("no driver of PostgreSQL: pip install 'roboscale[postgres]'")
    short = tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp")  # the path of a socket has a limit
    with short as folder, running_cluster(Path(folder), bin_) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def log_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address where no log is yet, on either database."""
    if request.param == "sqlite":
        return str(tmp_path / "trials.db")
    return request.getfixturevalue("postgres").empty_database()
