"""One connection to an openpi server, on which every wait is bounded.

Knows websockets and clocks. Does not know observations or actions.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from roboscale.core import BadData, InfrastructureError, UnknownName
from roboscale.wire import CannotDecode, unpack

__all__ = ["MAX_REPLY_BYTES", "Connection", "Timeouts", "is_loopback", "parse_url"]

_DEFAULT_PORT = 8000
_RETRY_S = 0.5
MAX_REPLY_BYTES = 64 * 2**20  # a chunk of actions is kilobytes; whatever is larger is no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a server.

    Args:
        reply_s: seconds for one answer.
        warmup_s: the same for the first answer, and the first after the server was gone: it may compile.
        connect_s: seconds for the handshake and the metadata; `None` for as long as the next answer may take, since a
            server that computes accepts nobody.
        attempts: how often a refused connection is tried in a row, half a second apart.

    Raises:
        BadData: a number that is no time.
    """

    reply_s: float = 10.0
    warmup_s: float = 120.0
    connect_s: float | None = None
    attempts: int = 3

    def __post_init__(self) -> None:
        for name in ("reply_s", "warmup_s", "connect_s"):
            seconds = getattr(self, name)
            if not (seconds is None and name == "connect_s") and not (math.isfinite(seconds) and seconds > 0):
                raise BadData("timeouts", name, "more than 0 seconds", seconds)
        if self.attempts < 1:
            raise BadData("timeouts", "attempts", "1 or more", self.attempts)


def parse_url(text: str) -> str:
    """`openpi://host[:port]`, `ws://...` or `wss://...` as a websocket address. UnknownName for anything else."""
    try:
        parts = urlsplit(text)
        scheme, host, port, path = parts.scheme, parts.hostname, parts.port, parts.path
    except ValueError:  # a port that is no number, a bracket left open
        scheme, host, port, path = "", None, None, ""
    if host is None or scheme not in ("openpi", "ws", "wss"):
        raise UnknownName("policy server", text, ["openpi://host:port", "ws://host:port", "wss://host:port"])
    if scheme == "openpi":
        scheme, port = "ws", port or _DEFAULT_PORT
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}{f':{port}' if port else ''}{path}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Connection:
    """An open connection whose metadata frame has been read.

    Args:
        url: `ws://...` or `wss://...`.
        timeout_s: how long the handshake, and then the metadata, may take.
        attempts: how often a refused connection is tried.

    Raises:
        InfrastructureError: refused, no openpi server, wrong key, or silent for too long.
    """

    def __init__(self, url: str, api_key: str | None, timeout_s: float, attempts: int) -> None:
        self.url = url
        self._stack = ExitStack()
        self._websocket = self._connect(api_key, timeout_s, attempts)
        try:
            frame = self.receive(timeout_s)
            said = self.decoded(frame) if isinstance(frame, bytes) else frame
            if not isinstance(said, dict):
                raise InfrastructureError(f"{url}: metadata: expected a dictionary, found {str(said)[:80]!r}")
        except InfrastructureError as error:
            self.drop()
            raise InfrastructureError(f"no openpi server: {error}") from error
        self.metadata: Mapping[str, Any] = said

    @property
    def alive(self) -> bool:
        """False once the other side is known to be gone."""
        return self._websocket.state.name == "OPEN"

    def send(self, frame: bytes, timeout_s: float) -> None:
        """Sends one binary frame; the server must have read most of it within `timeout_s`."""
        with self._faults(), _deadline(self._websocket.socket, timeout_s) as expired:
            try:
                self._websocket.send(frame)
            except ConnectionClosed:
                if expired.is_set():
                    raise TimeoutError(f"the server did not read the request within {timeout_s:g} s") from None
                raise

    def receive(self, timeout_s: float) -> str | bytes:
        """The next frame."""
        with self._faults():
            try:
                return self._websocket.recv(timeout_s)
            except TimeoutError:
                raise TimeoutError(f"no answer within {timeout_s:g} s") from None

    def decoded(self, frame: bytes) -> Any:
        """A binary frame as values; InfrastructureError for bytes that are none."""
        try:
            return unpack(frame)
        except CannotDecode as error:
            raise InfrastructureError(f"{self.url}: {error}") from error

    def close(self) -> None:
        """The polite end; bounded, as `close_timeout` is."""
        self._stack.close()

    def drop(self) -> None:
        """The rude end: nobody waits for a broken server."""
        _cut(self._websocket.socket)

    def _connect(self, api_key: str | None, timeout_s: float, attempts: int) -> ClientConnection:
        for attempt in range(1, attempts + 1):
            try:
                return self._open(api_key, timeout_s)
            except ConnectionRefusedError:
                if attempt < attempts:
                    time.sleep(_RETRY_S)
            except InvalidStatus as error:
                status = error.response.status_code
                reason = "the server refused the key" if status in (401, 403) else "no openpi server"
                raise InfrastructureError(f"{self.url}: {reason} (HTTP {status})") from error
            except TimeoutError as error:
                raise InfrastructureError(f"{self.url}: no openpi handshake within {timeout_s:g} s") from error
            except (OSError, EOFError, WebSocketException) as error:
                raise InfrastructureError(f"{self.url}: cannot connect: {error}") from error
        raise InfrastructureError(f"{self.url}: connection refused ({attempts} attempts); is the server running?")

    def _open(self, api_key: str | None, timeout_s: float) -> ClientConnection:
        # No pings: an openpi server computes on its event loop and would seem dead while it compiles.
        opening = connect(
            self.url,
            additional_headers={"Authorization": f"Api-Key {api_key}"} if api_key else None,
            compression=None,
            max_size=MAX_REPLY_BYTES,
            open_timeout=timeout_s,
            close_timeout=1.0,
            ping_interval=None,
            proxy=None if is_loopback(urlsplit(self.url).hostname or "") else True,
        )
        return self._stack.enter_context(opening)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Everything that can happen to a connection is an InfrastructureError."""
        try:
            yield
        except ConnectionClosed as error:
            raise InfrastructureError(f"{self.url}: the server ended the connection: {error}") from error
        except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
            raise InfrastructureError(f"{self.url}: {error}") from error


@contextmanager
def _deadline(sock: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Cuts the socket after `seconds`: a blocking send has no timeout of its own."""
    expired = threading.Event()

    def cut() -> None:
        expired.set()
        _cut(sock)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):  # closed already
        sock.shutdown(socket.SHUT_RDWR)
