"""What `roboscale policy serve` costs: round trips over loopback with a policy that computes nothing.

The server is a process of its own. One session asked alone, then several asked at once through `act_many`; with the
state only, and with two 224 x 224 pictures as openpi's checkpoints take them. CPU seconds are of both processes.

    python benchmarks/serve_latency.py
    python benchmarks/serve_latency.py --requests 500 --sessions 16 --json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection

import numpy as np
import psutil

from roboscale.core import ActionChunk, Field, Observation, Session, Spec
from roboscale.policies.remote import RemotePolicy, serve_policy

STATE = Field("observation.state", (8,), "float32")
PICTURES = tuple(Field(f"observation.images.{name}", (224, 224, 3), "uint8") for name in ("front", "wrist"))


class Idle:
    """Answers ten rows of zeros."""

    name, action_spec = "idle", Spec((Field("action", (8,), "float32"),), 15.0)

    def __init__(self, pictures: bool) -> None:
        self.observation_spec = Spec((STATE, *(PICTURES if pictures else ())), 15.0)
        self._chunk = ActionChunk(np.zeros((10, 8), np.float32))

    def start(self, instruction: str, seed: int) -> Session:
        return lambda observation: self._chunk

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        return [self._chunk] * len(sessions)


@dataclass(frozen=True)
class Row:
    """One setting: milliseconds per round trip (median and 99th percentile), requests per second, CPU per request."""

    pictures: int
    sessions: int
    median_ms: float
    p99_ms: float
    requests_per_s: float
    cpu_ms: float


def serve(pictures: bool, ready: Connection) -> None:
    serve_policy(Idle(pictures), port=0, on_ready=ready.send)


def measure(pictures: bool, sessions: int, requests: int) -> Row:
    """Runs one setting against a fresh server."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(pictures, there))
    process.start()
    try:
        with RemotePolicy(f"openpi://127.0.0.1:{here.recv()}") as policy:
            return timed(policy, psutil.Process(process.pid), pictures, sessions, requests)
    finally:
        process.terminate()
        process.join()


def timed(policy: RemotePolicy, server: psutil.Process, pictures: bool, sessions: int, requests: int) -> Row:
    fields = policy.observation_spec
    assert fields is not None, "the server says what it takes"
    seen = {f.name: np.zeros(f.shape, f.dtype) for f in fields}
    opened = [policy.start("idle", i) for i in range(sessions)]
    alone: Callable[[], object] = lambda: opened[0](seen)  # noqa: E731
    ask = alone if sessions == 1 else lambda: policy.act_many(opened, [seen] * sessions)
    for _ in range(10):
        ask()
    cpu, took = cpu_s(server), []
    for _ in range(requests):
        started = time.perf_counter()
        ask()
        took.append((time.perf_counter() - started) * 1000)
    spent = (cpu_s(server) - cpu) * 1000 / (requests * sessions)
    p99 = float(np.quantile(took, 0.99))
    rate = requests * sessions / (sum(took) / 1000)
    return Row(2 if pictures else 0, sessions, statistics.median(took), p99, rate, spent)


def cpu_s(server: psutil.Process) -> float:
    times = server.cpu_times()
    return time.process_time() + float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--sessions", type=int, default=8, help="sessions that ask at once")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(p, s, options.requests) for p in (False, True) for s in (1, options.sessions)]
    if options.json:
        print(json.dumps([asdict(r) for r in rows]))
        return
    print("pictures  sessions  median ms  p99 ms  requests/s  CPU ms/request")
    for r in rows:
        print(
            f"{r.pictures:8}  {r.sessions:8}  {r.median_ms:9.2f}  {r.p99_ms:6.2f}  {r.requests_per_s:10.0f}  "
            f"{r.cpu_ms:14.2f}"
        )


if __name__ == "__main__":
    main()
