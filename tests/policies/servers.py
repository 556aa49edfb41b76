"""Servers for tests, run as `python servers.py KIND ...`; prints the port once clients can connect.

hostile                     every path misbehaves in its own way
policy NAME [TOKEN] [PORT]  `serve_policy` with a policy of this file, or a function or object as `as_policy` makes it
dying                       answers once, then the process is gone
roboarena [ids]             a RoboArena server, with session ids or without
silent                      a port where nobody accepts
not_reading                 accepts, then never reads a request
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgpack
import numpy as np
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from roboscale.core import PENDING, ActionChunk, Field, Identity, Observation, Session, Spec, combine, generator
from roboscale.policies.callables import as_policy
from roboscale.policies.remote import serve_policy
from roboscale.wire import pack, unpack

STATE = Spec((Field("observation.state", (3,), "float32"),), 20.0)
ACTION = Spec((Field("action", (2,), "float32", layout=("x", "y")),), 20.0)


class Walk:
    """A policy with state and noise: its session counts, and the noise depends on the seed alone."""

    name, observation_spec, action_spec, history = "walk", STATE, ACTION, 1

    @property
    def identity(self) -> Identity:
        return combine(self.name, "test", self.name)

    def start(self, instruction: str, seed: int) -> Session:
        rng, steps = generator("walk", seed), iter(range(1000))

        def session(observation: Observation) -> ActionChunk:
            row = np.array([next(steps), rng.normal()], np.float32)
            return ActionChunk(np.stack([row, row + len(instruction)]), execute=1)

        return session


class Batched(Walk):
    """Answers (size of the batch it was in, second state value), after as many seconds as the first says."""

    name = "batched"

    def start(self, instruction: str, seed: int) -> Session:
        def session(observation: Observation) -> ActionChunk:
            return self._answer(1, observation)

        return session

    def _answer(self, size: int, observation: Observation) -> ActionChunk:
        time.sleep(float(observation["observation.state"][0]))
        return ActionChunk(np.array([[size, observation["observation.state"][1]]], np.float32))

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        return [self._answer(len(sessions), o) for o in observations]


class Failing(Walk):
    """Raises on the instruction `fail`."""

    name = "failing"

    def start(self, instruction: str, seed: int) -> Session:
        if instruction == "fail":
            raise ZeroDivisionError("the policy fell over")
        return super().start(instruction, seed)


class Other(Walk):
    """Another policy of the same name."""

    @property
    def identity(self) -> Identity:
        return combine("walk", "another checkpoint")


class Doubtful(Walk):
    """One that does not know itself."""

    @property
    def identity(self) -> Identity:
        return Identity("doubtful", "d" * 32, ("its weights are a secret",))


class Remembering(Walk):
    """Answers the oldest and the newest of the last three states."""

    name, history = "remembering", 3

    def start(self, instruction: str, seed: int) -> Session:
        return lambda o: ActionChunk(o["observation.state"][[0, -1], 0][None])


class Thinking(Walk):
    """Thinks for two steps, then walks."""

    name = "thinking"

    def start(self, instruction: str, seed: int) -> Session:
        walk, waits = super().start(instruction, seed), iter(range(2))
        return lambda observation: walk(observation) if next(waits, None) is None else PENDING


POLICIES = {p.name: p for p in (Walk(), Batched(), Failing(), Remembering(), Thinking())}
POLICIES |= {"again": Walk(), "other": Other(), "doubtful": Doubtful()}


def answers(observation: Observation, instruction: str) -> Any:
    """Whatever the instruction asks for: an exception by its name, a number that is none, a wrong shape."""
    number = float(observation["observation.state"][0])
    errors = {e.__name__: e for e in (KeyError, MemoryError, ConnectionResetError, ZeroDivisionError, SystemExit)}
    if instruction in errors:
        raise errors[instruction]("as asked")
    if instruction == "torch":
        raise type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})("CUDA out of memory")
    results = {
        "nan": [[0.0, np.nan]],
        "late nan": ActionChunk(np.array([[1.0, 2.0], [np.nan, 0.0]]), execute=1),
        "deep": np.zeros((1, 2, 2)),
        "none": None,
        "dictionary": {"action": [0.0, 0.0]},
    }
    return results.get(instruction, [[number, 1.0]])


class Resetting:
    """Counts; one episode at a time."""

    def reset(self) -> None:
        self.count = -1.0

    def __call__(self, observation: Observation) -> Any:
        self.count += 1
        return [self.count, 0.0]


FUNCTIONS = {"answers": answers, "resetting": Resetting()}


def raw_frame(opcode: int, length: int, payload: bytes) -> bytes:
    """A websocket frame that claims `length` bytes and has `payload`."""
    return bytes([0x80 | opcode, 127]) + length.to_bytes(8, "big") + payload


def array(dtype: str, shape: Sequence[Any], data: bytes) -> bytes:
    return msgpack.packb({"actions": {b"__ndarray__": True, b"data": data, b"dtype": dtype, b"shape": shape}})


REPLIES: dict[str, bytes | str] = {
    "/good": pack({"actions": np.ones((3, 2), np.float32)}),
    "/garbage": bytes(range(200, 256)),
    "/empty": b"",
    "/text": "Traceback (most recent call last):\n  File x\nValueError: no such camera\n",
    "/nan": pack({"actions": np.array([[0.0, np.nan]] * 3)}),
    "/infinite": pack({"actions": np.array([[np.inf, 0.0]] * 3)}),
    "/wrong_d": pack({"actions": np.zeros((3, 5))}),
    "/wrong_h": pack({"actions": np.zeros((7, 2))}),
    "/flat": pack({"actions": np.zeros(2)}),
    "/no_rows": pack({"actions": np.zeros((0, 2))}),
    "/list": pack({"actions": [[0.0, 0.0]]}),
    "/strings": pack({"actions": np.array([["a", "b"]])}),
    "/bools": pack({"actions": np.array([[True, False]])}),
    "/ragged": pack({"actions": [[0.0], [0.0, 1.0]]}),
    "/batch": pack({"actions": np.zeros((1, 3, 2))}),
    "/nested": pack({"action": {"arm": [[1.0, 2.0]] * 3, "gripper": [[0.9]] * 3}}),
    "/two_keys": pack({"action.arm": np.ones((3, 1)), "action.gripper": np.zeros((3, 1))}),
    "/unlike": pack({"action.arm": np.ones((3, 1)), "action.gripper": np.zeros((2, 1))}),
    "/no_rotation": pack({"actions": np.zeros(4)}),
    "/no_actions": pack({"action": np.zeros((3, 2))}),
    "/not_a_dict": msgpack.packb(7),
    "/ten_gigabytes": array("<f4", (10**5, 25_000), b"1234"),
    "/negative": array("<f4", (-1, 2), b"1234"),
    "/overflow": array("<f4", (2**62, 4), b""),
    "/objects": array("|O", (1, 1), b"12345678"),
    "/deep": b"\x91" * 5000 + b"\x00",
}


CONNECTIONS = iter(range(1000))


def misbehave(websocket: ServerConnection) -> None:
    path = websocket.request.path if websocket.request else ""
    if path == "/text_metadata":
        websocket.send("hello")
    elif path == "/list_metadata":
        websocket.send(msgpack.packb([1, 2]))
    elif path == "/no_metadata":
        websocket.recv()
    elif path == "/volatile":
        websocket.send(pack({"step": next(CONNECTIONS)}))
    elif path == "/bad_specs":
        websocket.send(pack({"roboscale": {"observation_spec": {"fields": 3}}}))
    else:
        websocket.send(pack({}))
    for _ in websocket:
        if path in REPLIES:
            websocket.send(REPLIES[path])
        elif path == "/closes":
            websocket.close()
        elif path == "/half":
            websocket.socket.sendall(raw_frame(2, 1000, b"half"))
            websocket.socket.shutdown(socket.SHUT_RDWR)
        elif path == "/huge_frame":
            websocket.socket.sendall(raw_frame(2, 10 * 2**30, b"x" * 100))
        elif path == "/trickle":
            websocket.socket.sendall(raw_frame(2, 1000, b"slow"))
        # "/hangs": nothing


def hostile() -> None:
    with serve(misbehave, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


def dying() -> None:
    def handler(websocket: ServerConnection) -> None:
        websocket.send(pack({}))
        websocket.recv()
        websocket.send(REPLIES["/good"])
        websocket.recv()
        os._exit(3)

    with serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


def roboarena(ids: bool) -> None:
    counts: dict[str, int] = {}

    def handler(websocket: ServerConnection) -> None:
        websocket.send(pack({"needs_session_id": ids, "action_space": "joint_position"}))
        for frame in websocket:
            message = unpack(frame)  # type: ignore[arg-type]
            name = message["session_id"] if ids else "the only one"
            if message["endpoint"] == "reset":
                counts[name] = 0
                websocket.send("reset successful")
                continue
            counts[name] += 1
            websocket.send(pack({"actions": np.full((1, 2), float(counts[name]))}))

    with serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


def silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Event().wait()


def not_reading() -> None:
    """Does the handshake, sends metadata, then never reads again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
        protocol = ServerProtocol()
        protocol.receive_data(connection.recv(65536))
        protocol.send_response(protocol.accept(protocol.events_received()[0]))  # type: ignore[arg-type]
        protocol.send_binary(b"\x80")
        connection.sendall(b"".join(protocol.data_to_send()))
        threading.Event().wait()


def policy(name: str, token: str = "", port: str = "0") -> None:
    served = POLICIES.get(name) or as_policy(FUNCTIONS[name], spec=STATE)
    serve_policy(
        served,
        port=int(port),
        token=token or None,
        metadata={"robot": "test"},
        on_ready=lambda port: print(port, flush=True),
    )


if __name__ == "__main__":
    logging.disable()  # what goes wrong here goes wrong on purpose
    kind, *rest = sys.argv[1:]
    kinds = {"hostile": hostile, "dying": dying, "silent": silent, "not_reading": not_reading, "policy": policy}
    if kind == "roboarena":
        roboarena(rest == ["ids"])
    else:
        kinds[kind](*rest)
