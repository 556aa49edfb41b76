"""OpenVLA's REST server: one POST of JSON for each action, arrays as json-numpy writes them.

    POST /act {"image": {"__numpy__": base64, "dtype": "|u1", "shape": [224, 224, 3]}, "instruction": "..."}
    -> {"__numpy__": ..., "dtype": "<f8", "shape": [7]}     or a text of the same, or "error"

The standard library is enough. What stands behind `?` in the address goes into every message, as in
`?unnorm_key=bridge_orig`.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from roboscale.core import InfrastructureError
from roboscale.policies.remote.connection import MAX_REPLY_BYTES, Timeouts

__all__ = ["OpenvlaTalker"]

PORT = 8000


class OpenvlaTalker:
    """See `dialects.Talker`. The server knows no episodes."""

    def __init__(self, address: str, api_key: str | None, timeouts: Timeouts) -> None:
        parts = urlsplit(address)
        self._where, self._path = address, parts.path.rstrip("/") or "/act"
        self._always = dict(parse_qsl(parts.query))
        self._host, self._port = parts.hostname or "", parts.port or PORT
        self._headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {api_key}"} if api_key else {}
        )

    def begin(self, instruction: str) -> None:
        """Nothing to tell."""

    def ask(self, message: Mapping[str, Any], prompt: str, timeout_s: float) -> Mapping[str, Any]:
        body = json.dumps({**message, **self._always}, default=_encode).encode()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            text = response.read(MAX_REPLY_BYTES + 1)
        except TimeoutError as error:
            raise InfrastructureError(f"{self._where}: no answer within {timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise InfrastructureError(f"{self._where}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise InfrastructureError(f"{self._where}: HTTP {response.status}: {text[:200].decode(errors='replace')}")
        if len(text) > MAX_REPLY_BYTES:
            raise InfrastructureError(f"{self._where}: answer: more than {MAX_REPLY_BYTES} bytes")
        return self._actions(text)

    def _actions(self, text: bytes) -> Mapping[str, Any]:
        """One row, several, or a mapping that has them under a key."""
        try:
            reply = json.loads(text, object_hook=_decode)
            if isinstance(reply, str) and reply != "error":  # encoded twice
                reply = json.loads(reply, object_hook=_decode)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InfrastructureError(f"{self._where}: answer: no JSON with arrays: {error}") from error
        if isinstance(reply, str):
            raise InfrastructureError(f"{self._where}: server error (its log has the reason): is a key missing?")
        if isinstance(reply, list) and reply and all(isinstance(row, np.ndarray) for row in reply):
            same = len({row.shape for row in reply}) == 1
            reply = np.stack(reply) if same else [row.tolist() for row in reply]
        return reply if isinstance(reply, Mapping) else {"actions": reply}

    def close(self) -> None:
        """Every question has a connection of its own."""


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"__numpy__": data, "dtype": value.dtype.str, "shape": list(value.shape)}
    raise TypeError(f"values of type {type(value).__name__} have no encoding")


def _decode(value: dict[str, Any]) -> Any:
    if "__numpy__" not in value:
        return value
    dtype, shape = np.dtype(str(value["dtype"])), [int(n) for n in value["shape"]]
    if dtype.kind not in "biuf":
        raise ValueError(f"arrays of {dtype} are refused")
    try:
        data = base64.b64decode(value["__numpy__"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"an array's bytes are no base64: {error}") from error
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array {dtype}{shape} needs other than {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape)
