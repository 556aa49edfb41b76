"""Asks an arena's server, from wherever one is: outbound HTTP alone.

Whatever is asked carries what makes it the same when it is asked again, so whatever may have been lost is simply asked
again, for as long as `patience_s`.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from roboscale.arena.people import Refused
from roboscale.core import InfrastructureError, RoboscaleError
from roboscale.wire import pack, unpack

__all__ = ["ArenaClient"]

_AGAIN = frozenset({429, 500, 502, 503, 504})


class ArenaClient:
    """One asker; not for several threads at once.

    Args:
        url: of the server, with the token in its path where it has one.
        token: of the account; empty for what everybody may ask.
        patience_s: how long something that gets no answer is asked again.
    """

    def __init__(self, url: str, token: str = "", patience_s: float = 60.0, timeout_s: float = 40.0) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RoboscaleError(f"arena: expected http://HOST:PORT/ or https://HOST/, found {url!r}")
        self.url, self._path = url, parts.path.rstrip("/")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._place = parts.netloc.rpartition("@")[2]
        self._token, self._patience_s, self._timeout_s = token, patience_s, timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> Any:
        """JSON from an address such as `/api/board`."""
        return json.loads(self._ask("GET", path, b"", "application/json"))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Sends JSON, and gets JSON."""
        blob = b"" if body is None else json.dumps(body).encode()
        return json.loads(self._ask("POST", path, blob, "application/json"))

    def send(self, method: Literal["POST", "PUT"], path: str, blob: bytes) -> Any:
        """Sends bytes, and gets JSON."""
        return json.loads(self._ask(method, path, blob, "application/octet-stream"))

    def send_frame(self, method: Literal["POST", "PUT"], path: str, message: Mapping[str, Any]) -> Any:
        """Sends one frame of the wire, and gets JSON."""
        return self.send(method, path, pack(message))

    def exchange(self, path: str, message: Mapping[str, Any] | None = None) -> Any:
        """Sends one frame of the wire, or nothing, and gets one; `None` where there is none."""
        blob = b"" if message is None else pack(message)
        answer = self._ask("POST", path, blob, "application/octet-stream")
        return unpack(answer) if answer else None

    def close(self) -> None:
        """Gives the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, method: str, path: str, blob: bytes, kind: str) -> bytes:
        until = time.monotonic() + self._patience_s
        wait = 0.05
        while True:
            try:
                status, answer = self._once(method, path, blob, kind)
                if status < 300:
                    return answer
                why = _why(answer)
                if status not in _AGAIN:
                    raise Refused(status, why)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                why = str(error) or type(error).__name__
            if time.monotonic() > until:
                raise InfrastructureError(f"the arena at {self._place} does not answer: {why}")
            time.sleep(wait)
            wait = min(2 * wait, 2.0)

    def _once(self, method: str, path: str, blob: bytes, kind: str) -> tuple[int, bytes]:
        connection = self._connection
        if connection is None:
            if self._secure:
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_s, context=context
                )
            else:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
            self._connection = connection
        headers = {"content-type": kind, "content-length": str(len(blob))}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        connection.request(method, self._path + path, blob, headers)
        response = connection.getresponse()
        return response.status, response.read()


def _why(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])[:2000]
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode("utf-8", "replace")
