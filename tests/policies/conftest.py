"""Servers in processes of their own, for the tests of this room."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SERVERS = Path(__file__).with_name("servers.py")


class ServerProcess:
    """A server script, ready: it has printed its port."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-u", str(SERVERS), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(timeout=60), f"the server {arguments} did not start within a minute"
        line = self.process.stdout.readline()
        assert line.strip().isdigit(), f"the server {arguments} ended: {self.process.wait(10)}"
        self.port = int(line)

    def url(self, path: str = "") -> str:
        return f"openpi://127.0.0.1:{self.port}{path}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def server_process() -> Iterator[Callable[..., ServerProcess]]:
    """Starts `servers.py` with arguments; every one is killed when the test ends."""
    started: list[ServerProcess] = []

    def start(*arguments: str) -> ServerProcess:
        started.append(ServerProcess(*arguments))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Callable[..., ServerProcess]]:
    """The same, started once for all tests, which must leave it alive."""
    started: dict[tuple[str, ...], ServerProcess] = {}

    def start(*arguments: str) -> ServerProcess:
        if arguments not in started:
            started[arguments] = ServerProcess(*arguments)
        return started[arguments]

    yield start
    for server in started.values():
        server.kill()


@pytest.fixture
def hostile_server(shared_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One process that misbehaves in the way its path names."""
    return shared_server("hostile")


class OpenpiOracle:
    """The real openpi client, in the interpreter that ROBOSCALE_OPENPI_PYTHON names."""

    script = Path(__file__).with_name("openpi_oracle.py")

    def __init__(self, python: str) -> None:
        self._python = python

    def __call__(self, *arguments: str) -> Any:
        command = [self._python, str(self.script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def openpi() -> OpenpiOracle:
    """Skips where the oracle is absent: `python -m venv X && X/bin/pip install openpi-client typing_extensions`."""
    python = os.environ.get("ROBOSCALE_OPENPI_PYTHON", "")
    if not python:
        pytest.skip("ROBOSCALE_OPENPI_PYTHON names no interpreter with openpi-client: not compared with the original")
    return OpenpiOracle(python)


@pytest.fixture
def unused_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
