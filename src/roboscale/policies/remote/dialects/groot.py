"""GR00T's policy server: one ZeroMQ request, one reply, msgpack with arrays as `.npy` bytes inside.

    {"endpoint": "get_action", "data": {"observation": {"video": {...}, "state": {...}, "language": {...}}, ...}}
    -> [{"arm": (1, H, D), ...}, {...}]        or {"error": "..."}

Every array gets a batch and a time axis of 1 in front: video (1, 1, H, W, 3) uint8, state (1, 1, D) float32.
Needs the extra `zmq`. Never unpickles: `.npy` of objects is refused.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
import zmq

from roboscale.core import InfrastructureError
from roboscale.policies.remote.connection import MAX_REPLY_BYTES, Timeouts

__all__ = ["GrootTalker"]

PORT = 5555


class GrootTalker:
    """See `dialects.Talker`."""

    def __init__(self, address: str, api_key: str | None, timeouts: Timeouts) -> None:
        self._where, self._key = address, api_key
        place = address.partition("://")[2].rstrip("/")
        self._timeout_s = timeouts.warmup_s
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REPLY_BYTES)
        try:
            self._socket.connect(f"tcp://{place if ':' in place else f'{place}:{PORT}'}")
        except zmq.ZMQError as error:
            self.close()
            raise InfrastructureError(f"{address}: cannot connect: {error}") from error

    def begin(self, instruction: str) -> None:
        self._call("reset", {"options": None}, self._timeout_s)

    def ask(self, message: Mapping[str, Any], prompt: str, timeout_s: float) -> Mapping[str, Any]:
        observation: dict[str, Any] = {key: value for key, value in message.items() if key != prompt}
        observation = {group: _batched(values) for group, values in observation.items()}
        if prompt:
            observation["language"] = {prompt: [[message[prompt]]]}
        self._timeout_s = timeout_s
        reply = self._call("get_action", {"observation": observation, "options": None}, timeout_s)
        action = reply[0] if isinstance(reply, list) and reply else reply
        if not isinstance(action, Mapping):
            raise InfrastructureError(
                f"{self._where}: answer: expected actions by name, found {type(action).__name__}"
            )
        return action

    def _call(self, endpoint: str, data: Mapping[str, Any], timeout_s: float) -> Any:
        request = {"endpoint": endpoint, "data": data} | ({"api_token": self._key} if self._key else {})
        try:
            self._socket.setsockopt(zmq.SNDTIMEO, int(timeout_s * 1000))
            self._socket.send(msgpack.packb(request, default=_encode))
            if not self._socket.poll(int(timeout_s * 1000)):
                raise InfrastructureError(f"{self._where}: no answer to {endpoint} within {timeout_s:g} s")
            frame = self._socket.recv()
        except zmq.ZMQError as error:
            raise InfrastructureError(f"{self._where}: {endpoint}: {error}") from error
        try:
            reply = msgpack.unpackb(frame, object_hook=_decode)
        except (ValueError, TypeError, EOFError, msgpack.exceptions.UnpackException) as error:
            raise InfrastructureError(
                f"{self._where}: answer to {endpoint}: no message of GR00T's: {error}"
            ) from error
        if isinstance(reply, Mapping) and "error" in reply:
            raise InfrastructureError(f"{self._where}: server error: {str(reply['error'])[:500]}")
        return reply

    def close(self) -> None:
        self._socket.close()
        self._context.destroy(linger=0)


def _batched(values: Any) -> Any:
    """Arrays of a group with a batch and a time axis."""
    if isinstance(values, Mapping):
        return {name: _batched(value) for name, value in values.items()}
    return values[None, None] if isinstance(values, np.ndarray) else values


def _encode(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"values of type {type(value).__name__} have no encoding")
    held = io.BytesIO()
    np.save(held, value, allow_pickle=False)
    return {"__ndarray_class__": True, "as_npy": held.getvalue()}


def _decode(value: dict[Any, Any]) -> Any:
    if "__ndarray_class__" in value:
        return np.load(io.BytesIO(value["as_npy"]), allow_pickle=False)
    return value
