"""Runs with the real `openpi_client` (an interpreter of its own): what it packs, and what it gets from a server.

python openpi_oracle.py pack                      hex of every message, as JSON
python openpi_oracle.py unpack HEX...             whether it reads each back as the message of the same position
python openpi_oracle.py infer PORT [API_KEY]      metadata and two answers, as JSON
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np


def messages() -> list[dict[str, Any]]:
    """Everything that the format has a case for."""
    return [
        {},
        {"actions": np.array([[1, 2]], np.float32)},
        {
            "observation/exterior_image_1_left": np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
            "observation/joint_position": np.linspace(-1, 1, 7),
            "observation/gripper_position": np.array([0.5]),
            "prompt": "put the marker in the cup",
        },
        {"state": np.arange(14.0), "images": {"cam_high": np.zeros((3, 2, 2), np.uint8)}, "prompt": "fold"},
        {"f32": np.float32(0.1), "f64": np.float64(0.1)},
        {
            "i8": np.int8(-3),
            "u64": np.uint64(2**63),
            "yes": np.bool_(1),
        },
        {"fortran": np.asfortranarray(np.arange(6).reshape(2, 3)), "slice": np.arange(10)[::3]},
        {"big": np.arange(3, dtype=">i2"), "bool": np.array([True, False]), "empty": np.zeros((0, 3), np.float16)},
        {"scalar": np.array(3.5), "text": np.array(["a", "bcd"]), "bytes": np.array([b"a", b"bc"])},
        {"server_timing": {"infer_ms": 1.5}, "none": None, "list": [1, -1, 2**40, 1.5, "x", b"y", True]},
    ]


def _same(left: object, right: object) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[k], right[k]) for k in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())
    return isinstance(left, type(right)) and left == right  # np.float64 comes back as the float that it is


def _infer(port: int | str, api_key: Any = None) -> dict[str, Any]:
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    client = WebsocketClientPolicy("127.0.0.1", int(port), api_key=api_key)
    observation = {"observation.state": np.array([0.0, 1.0, 2.0]), "prompt": "push"}
    answers = [client.infer(observation) for _ in range(2)]
    return {
        "metadata": sorted(client.get_server_metadata()),
        "keys": [sorted(a) for a in answers],
        "timing": [sorted(a["server_timing"]) for a in answers],
        "actions": [a["actions"].tolist() for a in answers],
    }


if __name__ == "__main__":
    from openpi_client import msgpack_numpy

    verb, *rest = sys.argv[1:]
    if verb == "pack":
        print(json.dumps([msgpack_numpy.packb(m).hex() for m in messages()]))
    elif verb == "unpack":
        read = [msgpack_numpy.unpackb(bytes.fromhex(h)) for h in rest]
        print(json.dumps([_same(a, b) for a, b in zip(messages(), read, strict=True)]))
    else:
        print(json.dumps(_infer(*rest)))
