"""One connection to an openpi server, on which every wait is bounded.

Knows websockets and clocks. Does not know observations or actions.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import ClientConnection, connect

from roboscale.core import InfrastructureError, UnknownName
from roboscale.policies.wire import unpack

__all__ = ["Connection", "Timeouts", "is_loopback", "parse_url"]

_DEFAULT_PORT = 8000
_RETRY_S = 0.5
_MAX_REPLY_BYTES = 64 * 2**20  # a chunk of actions is kilobytes; whatever is larger is no answer


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for an answer, for the first answer, and how often to try a refused connection."""

    reply_s: float
    warmup_s: float
    connect_attempts: int


def parse_url(text: str) -> str:
    """`openpi://host[:port]`, `ws://...` or `wss://...` as a websocket address. UnknownName for anything else."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.scheme not in ("openpi", "ws", "wss"):
        raise UnknownName("policy server", text, ["openpi://host:port", "ws://host:port", "wss://host:port"])
    scheme = "ws" if parts.scheme == "openpi" else parts.scheme
    name = f"[{host}]" if ":" in host else host
    default = f":{_DEFAULT_PORT}" if parts.scheme == "openpi" else ""
    return f"{scheme}://{name}{default if port is None else f':{port}'}{parts.path}"


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

    Raises:
        InfrastructureError: refused, no openpi server, wrong key, or silent for too long.
    """

    def __init__(self, url: str, api_key: str | None, timeouts: Timeouts) -> None:
        self.url = url
        self.closed_by_server = False
        self._socket = self._connect(api_key, timeouts)
        try:
            metadata = self.receive(timeouts.reply_s)
            said = unpack(metadata) if isinstance(metadata, bytes) else metadata
            if not isinstance(said, dict):
                raise InfrastructureError(f"metadata: expected a dictionary, found {str(said)[:80]!r}")
        except InfrastructureError as error:
            self.drop()
            raise InfrastructureError(f"{url}: no openpi server: {error}") from error
        self.metadata: Mapping[str, Any] = said

    @property
    def alive(self) -> bool:
        """False once the other side is known to be gone."""
        return self._socket.state.name == "OPEN"

    def send(self, frame: bytes) -> None:
        """Sends one binary frame; a server that does not read is given up after 10 seconds."""
        with self._faults("sending"), _deadline(self._socket.socket, _SEND_S) as expired:
            try:
                self._socket.send(frame)
            except ConnectionClosed:
                if expired.is_set():
                    raise TimeoutError(f"the server did not read the request within {_SEND_S:g} s") from None
                raise

    def receive(self, timeout_s: float) -> str | bytes:
        """The next frame."""
        with self._faults("waiting"):
            try:
                return self._socket.recv(timeout_s)
            except TimeoutError:
                raise TimeoutError(f"no answer within {timeout_s:g} s") from None

    def close(self) -> None:
        """The polite end, bounded by a second."""
        try:
            self._socket.close()
        except (OSError, WebSocketException):
            self.drop()

    def drop(self) -> None:
        """The rude end: nobody waits for a broken server."""
        try:
            self._socket.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed already

    def _connect(self, api_key: str | None, timeouts: Timeouts) -> ClientConnection:
        for attempt in range(max(1, timeouts.connect_attempts)):
            if attempt:
                time.sleep(_RETRY_S)
            try:
                return self._open(api_key, timeouts.reply_s)
            except ConnectionRefusedError as error:
                refused = error
            except InvalidStatus as error:
                status = error.response.status_code
                reason = "the server refused the key" if status in (401, 403) else "no openpi server"
                raise InfrastructureError(f"{self.url}: {reason} (HTTP {status})") from error
            except TimeoutError as error:
                reason = f"no openpi handshake within {timeouts.reply_s:g} s"
                raise InfrastructureError(f"{self.url}: {reason}") from error
            except (OSError, EOFError, WebSocketException, InvalidURI) as error:
                raise InfrastructureError(f"{self.url}: cannot connect: {error}") from error
        raise InfrastructureError(f"{self.url}: connection refused; is the server running?") from refused

    def _open(self, api_key: str | None, timeout_s: float) -> ClientConnection:
        # No pings: an openpi server computes on its event loop and would seem dead while it compiles.
        return connect(
            self.url,
            additional_headers={"Authorization": f"Api-Key {api_key}"} if api_key else None,
            compression=None,
            max_size=_MAX_REPLY_BYTES,
            open_timeout=timeout_s,
            close_timeout=1.0,
            ping_interval=None,
            proxy=None if is_loopback(urlsplit(self.url).hostname or "") else True,
        )

    @contextmanager
    def _faults(self, doing: str) -> Iterator[None]:
        """Everything that can happen to a connection is an InfrastructureError."""
        try:
            yield
        except ConnectionClosed as error:
            self.closed_by_server = True
            raise InfrastructureError(f"{self.url}: the connection ended while {doing}: {error}") from error
        except (OSError, WebSocketException) as error:  # TimeoutError is one
            raise InfrastructureError(f"{self.url}: {error}") from error


_SEND_S = 10.0


@contextmanager
def _deadline(sock: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Cuts the socket after `seconds`: a blocking send has no timeout of its own."""
    expired = threading.Event()

    def cut() -> None:
        expired.set()
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
