"""The model servers of vla-eval: a websocket with msgpack, a greeting, episodes, and one answer for each observation.

    {"type": "hello" | "episode_start" | "observation" | "action" | "error",
     "payload": {...}, "seq": n, "timestamp": seconds}

Arrays have text keys (`__ndarray__`, `data`, `dtype`, `shape`); pictures are sent as they are, which servers take
beside their own PNG.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from roboscale.core import InfrastructureError
from roboscale.policies.remote.connection import MAX_REPLY_BYTES, Timeouts

__all__ = ["VlaEvalTalker"]

PROTOCOL = 1


class VlaEvalTalker:
    """See `dialects.Talker`."""

    def __init__(self, address: str, api_key: str | None, timeouts: Timeouts) -> None:
        self._where, self._seq, self._timeout_s = address, 0, timeouts.warmup_s
        url = "ws" + address.removeprefix("vla-eval")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else None
        try:
            self._socket: ClientConnection = connect(
                url,
                additional_headers=headers,
                compression=None,
                max_size=MAX_REPLY_BYTES,
                open_timeout=timeouts.connect_s or timeouts.warmup_s,
                close_timeout=1.0,
                ping_interval=None,
                proxy=None,
            )
        except (OSError, WebSocketException, EOFError) as error:
            raise InfrastructureError(f"{address}: cannot connect: {error}") from error
        self._send("hello", {"harness_version": "roboscale", "protocol_version": PROTOCOL})
        said = self._receive(self._timeout_s)
        if said["type"] != "hello":
            raise InfrastructureError(f"{address}: expected a greeting, found {said['type']!r}")
        version = said["payload"].get("protocol_version", PROTOCOL)
        if version != PROTOCOL:
            raise InfrastructureError(
                f"{address}: speaks version {version} of vla-eval's protocol, we speak {PROTOCOL}"
            )

    def begin(self, instruction: str) -> None:
        self._send("episode_start", {"task": {"name": instruction}, "mode": "sync"})

    def ask(self, message: Mapping[str, Any], prompt: str, timeout_s: float) -> Mapping[str, Any]:
        asked = self._send("observation", message)
        said = self._receive(timeout_s)
        if said["type"] == "error":
            raise InfrastructureError(f"{self._where}: server error: {str(said['payload'])[:500]}")
        if said["type"] != "action" or said["seq"] != asked:
            what = f"{said['type']} {said['seq']}"
            raise InfrastructureError(f"{self._where}: expected the action {asked}, found {what}")
        payload: Mapping[str, Any] = said["payload"]
        return payload

    def _send(self, kind: str, payload: Mapping[str, Any]) -> int:
        self._seq += 1
        message = {"type": kind, "payload": payload, "seq": self._seq, "timestamp": time.time()}
        try:
            self._socket.send(msgpack.packb(message, default=_encode, use_bin_type=True))
        except (OSError, WebSocketException) as error:
            raise InfrastructureError(f"{self._where}: {error}") from error
        return self._seq

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        try:
            frame = self._socket.recv(timeout_s)
        except TimeoutError as error:
            raise InfrastructureError(f"{self._where}: no answer within {timeout_s:g} s") from error
        except (OSError, WebSocketException) as error:
            raise InfrastructureError(f"{self._where}: the server ended the connection: {error}") from error
        try:
            said = msgpack.unpackb(frame, object_hook=_decode, raw=False)
        except (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException) as error:
            raise InfrastructureError(f"{self._where}: no message of vla-eval's: {error}") from error
        if (
            not isinstance(said, dict)
            or not isinstance(said.get("payload"), dict)
            or not {"type", "seq"} <= said.keys()
        ):
            raise InfrastructureError(f"{self._where}: expected type, payload and seq, found {str(said)[:80]}")
        return said

    def close(self) -> None:
        self._socket.close()


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"__ndarray__": True, "data": value.tobytes(), "dtype": value.dtype.str, "shape": list(value.shape)}
    raise TypeError(f"values of type {type(value).__name__} have no encoding")


def _decode(value: dict[Any, Any]) -> Any:
    if "__ndarray__" not in value:
        return value
    dtype = np.dtype(str(value["dtype"]))
    if dtype.kind not in "biuf":
        raise ValueError(f"arrays of {dtype} are refused")
    return np.frombuffer(value["data"], dtype).reshape(value["shape"])
