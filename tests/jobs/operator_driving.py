"""An operator at the page that drives, as a script over its socket; and the command that serves it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import roboscale as rs

WORLD = Path(__file__).parents[1] / "driven_world.py"
SIM = f"sim:{WORLD}:Reaching/reach"


class Driver:
    """One page without a browser. Its hand is repeated every 50 ms, as the page does it, unless it is `silent`."""

    def __init__(self, url: str, name: str = "ada") -> None:
        self.url = url
        self.session: Any = None  # whose page it is, where that is known
        session = httpx.get(f"{url}api/session", timeout=120).json()["session"]
        self._open = ExitStack()
        address = f"{url.replace('http', 'ws', 1)}api/drive?session={session}&name={name}"
        self.socket = self._open.enter_context(connect(address))
        self.state: dict[str, Any] = {}
        self.problems: list[str] = []
        self.pictures: list[bytes] = []
        self.motion, self.speed, self.silent, self._sequence = [0.0, 0.0, 0.0], 2, False, 0
        self.joints: list[int] = []  # of what is driven joint by joint
        self.content = True  # whether it ends a session whose total is there
        self._over = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._hear, self._repeat)]
        for thread in self._threads:
            thread.start()

    def _hear(self) -> None:
        try:
            for message in self.socket:
                if isinstance(message, bytes):
                    self.pictures.append(message)
                    number, at_s = int.from_bytes(message[:4], "little"), _time_of(message)
                    self._send({"type": "seen", "number": number, "at_s": at_s})
                    continue
                said = json.loads(message)
                if said["type"] == "state":
                    self.state = said
                else:
                    self.problems.append(said["text"])
        except ConnectionClosed:
            pass

    def _repeat(self) -> None:
        while not self._over.wait(0.05):
            if not self.silent:
                self.say_motion()
            if self.state.get("phase") == "complete" and self.content:
                self.act("stop")

    def say_motion(self) -> None:
        self._sequence += 1
        said = {"motion": self.motion, "speed": self.speed, "device": "keys", "joints": self.joints}
        self._send({"type": "move", "sequence": self._sequence, **said})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self.socket.send(json.dumps(message))
        except ConnectionClosed:
            self._over.set()

    def act(self, name: str, **more: Any) -> None:
        self._send({"type": "act", "act": name, **more})

    def until(self, fits: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.state
            if state and fits(state):
                return state
            time.sleep(0.01)  # polls what the page would show
        raise AssertionError(f"never: {self.state} {self.problems}")

    def phase(self, *phases: str, seconds: float = 30) -> dict[str, Any]:
        return self.until(lambda state: state["phase"] in phases, seconds)

    def record(self, said: str = "success", steps: int = 6) -> None:
        """One short episode."""
        before = self.phase("ready")["counts"]
        self.act("begin")
        self.phase("recording")
        shown = self.state["shown"]
        self.until(lambda state: state["shown"] >= shown + steps)
        self.act(said)
        self.until(
            lambda state: (
                (state["phase"] in ("ready", "complete", "done") and state["counts"] != before) or _over(state)
            )
        )

    def close(self) -> None:
        self._over.set()
        self._open.close()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _over(state: dict[str, Any]) -> bool:
    return bool(state["phase"] == "done")


def _time_of(message: bytes) -> float:
    import struct

    return float(struct.unpack_from("<d", message, 8)[0])


def serve(folder: Path, *words: str) -> tuple[subprocess.Popen[str], str, list[str]]:
    """The command, the address of its page, and what it said before that."""
    process = subprocess.Popen(
        [sys.executable, "-m", "roboscale.cli", "collect", "teleop", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        found = re.search(r"open (http://\S+)", line)
        if found:
            return process, found[1], lines
    raise AssertionError("".join(lines))


@contextmanager
def driving(asked: rs.Teleoperate, events: list[Any] | None = None) -> Iterator[tuple[Driver, list[Any]]]:
    """A session that runs in a thread, with one page; what it came to is in the list once it is over."""
    done: list[Any] = []
    with rs.teleoperate(asked, (events if events is not None else []).append) as session:

        def run() -> None:
            try:
                done.append(session.run())
            except Exception as error:  # noqa: BLE001  # looked at by the test
                done.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            with Driver(session.url) as driver:
                driver.session = session
                yield driver, done
                thread.join(30)
        finally:
            if thread.is_alive():  # the test failed: nothing may wait for an operator who is gone
                with Driver(session.url) as last:
                    if last.phase("ready", "recording", "judge", "complete")["phase"] == "recording":
                        last.act("stop")
                        last.phase("ready", "judge", "done")
                    last.act("discard" if last.state["phase"] == "judge" else "stop")
                    last.act("stop")
                thread.join(10)
    assert not thread.is_alive(), "the session did not end"
