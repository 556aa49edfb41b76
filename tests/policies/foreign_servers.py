"""Servers that speak the documented bytes of other projects, written apart from our clients.

python foreign_servers.py gr00t | openvla | vla-eval; prints its port. The instruction says how to misbehave.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack
import numpy as np


def rows(instruction: str) -> Any:
    """(4, 7) float32 as asked for."""
    good = np.tile(np.arange(7, dtype=np.float32) / 10, (4, 1))
    asked = {
        "nan": np.full((4, 7), np.nan, np.float32),
        "narrow": np.zeros((4, 5), np.float32),
        "text": np.full((4, 7), "a"),
        "flat": np.zeros(7, np.float32),
    }
    return asked.get(instruction, good)


def groot() -> None:
    import zmq

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            held = io.BytesIO()
            np.save(held, value, allow_pickle=True)
            return {"__ndarray_class__": True, "as_npy": held.getvalue()}
        return value

    def array(value: dict[str, Any]) -> Any:
        if "__ndarray_class__" in value:
            return np.load(io.BytesIO(value["as_npy"]), allow_pickle=False)
        return value

    socket = zmq.Context().socket(zmq.REP)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    while True:
        request = msgpack.unpackb(socket.recv(), object_hook=array)
        if request["endpoint"] == "reset":
            socket.send(msgpack.packb({}))
            continue
        seen = request["data"]["observation"]
        ((instruction,),) = seen["language"]["task"]
        if instruction == "hang":
            threading.Event().wait()
        if instruction == "garbage":
            socket.send(b"\xc1\xc1")
            continue
        if instruction == "error":
            socket.send(msgpack.packb({"error": "no such camera"}))
            continue
        if instruction == "pickle":
            socket.send(msgpack.packb([{"arm": np.array([{}]), "gripper": np.array([{}])}, {}], default=plain))
            continue
        shapes = [list(seen["video"]["front"].shape), list(seen["state"]["arm"].shape)]
        kinds = [str(seen["video"]["front"].dtype), str(seen["state"]["arm"].dtype)]
        if (shapes, kinds) != ([[1, 1, 8, 8, 3], [1, 1, 3]], ["uint8", "float32"]):
            socket.send(msgpack.packb({"error": f"found {shapes} {kinds}"}))
            continue
        made = rows(instruction)
        made = made[None] if instruction != "flat" else made
        action = {"arm": made[..., :6], "gripper": made[..., 6:]}
        socket.send(msgpack.packb([action, {}], default=plain))


class Openvla(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        image, instruction = asked["image"], asked["instruction"]
        data = base64.b64decode(image["__numpy__"])
        good = (image["dtype"], image["shape"], len(data)) == ("|u1", [8, 8, 3], 192) and self.path == "/act"
        good = good and asked.get("unnorm_key") == "bridge_orig"
        if instruction == "hang":
            time.sleep(30)
        row = rows(instruction)[0] if instruction != "flat" else np.zeros((2, 7))
        text = {
            "__numpy__": base64.b64encode(row.tobytes()).decode(),
            "dtype": row.dtype.str,
            "shape": list(row.shape),
        }
        if instruction == "short":
            text["shape"] = [7000]
        body: Any = json.dumps(text) if instruction == "twice" else text
        if instruction == "error" or not good:
            body = "error"
        answer = b"<html>" if instruction == "garbage" else json.dumps(body).encode()
        self.send_response(500 if instruction == "broken" else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def openvla() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Openvla)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def vla_eval() -> None:
    from websockets.sync.server import ServerConnection, serve

    def plain(value: Any) -> Any:
        return {"__ndarray__": True, "data": value.tobytes(), "dtype": value.dtype.str, "shape": list(value.shape)}

    def array(value: dict[str, Any]) -> Any:
        if "__ndarray__" in value:
            return np.frombuffer(value["data"], value["dtype"]).reshape(value["shape"])
        return value

    def handler(websocket: ServerConnection) -> None:
        episodes = 0

        def say(kind: str, payload: Any, seq: int) -> None:
            message = {"type": kind, "payload": payload, "seq": seq, "timestamp": time.time()}
            websocket.send(msgpack.packb(message, default=plain, use_bin_type=True))

        for frame in websocket:
            said = msgpack.unpackb(frame, object_hook=array, raw=False)  # type: ignore[arg-type]
            kind, payload, seq = said["type"], said["payload"], said["seq"]
            if kind == "hello":
                say("hello", {"harness_version": "0.8.0", "protocol_version": payload["protocol_version"]}, seq)
            elif kind == "episode_start":
                episodes += 1
            elif kind == "observation":
                instruction = payload["task_description"]
                good = payload["images"]["agentview"].shape == (8, 8, 3) and episodes > 0
                if instruction == "hang":
                    continue
                if instruction == "garbage":
                    websocket.send(b"\xc1")
                elif instruction == "error" or not good:
                    say("error", {"error": "no such camera"}, seq)
                else:
                    say("action", {"actions": rows(instruction)}, seq + (instruction == "late"))

    with serve(handler, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    {"gr00t": groot, "openvla": openvla, "vla-eval": vla_eval}[sys.argv[1]]()
