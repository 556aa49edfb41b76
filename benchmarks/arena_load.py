"""Many people at one arena: how long does every call take?

    python -m benchmarks.arena_load --people 20 --robots 6 --seconds 60
    python -m benchmarks.arena_load --people 20 --robots 6 --seconds 60 --postgres
    python -m benchmarks.arena_load --before 10000

The server is `roboscale arena serve` in a process of its own. Robots run matches without a pause (a scene, a draw, an
observation of a 96-pixel camera ten times a second, films, scores, a vote); five policies are offered and answer at
once; everybody else looks at the board as its page does, every three seconds, and opens matches. All of them are
threads of this process. `--before` puts so many finished sessions into the store first. Asked for: p95 under 200 ms
for every call but the upload of films. A `pull` waits for work by design and is left out; an `act` has the way to the
policy and back in it.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.arena_board import entries_of
from roboscale.arena.arena import Arena
from roboscale.arena.client import ArenaClient
from roboscale.arena.people import Refused
from roboscale.core import InfrastructureError, RolloutSettings, combine
from roboscale.dataset.video import Encoder
from roboscale.jobs.arena_offering import Offering
from roboscale.jobs.arena_rehearsal import PlantedPolicy
from roboscale.trials.log import open_log
from tests.trials.postgres import binaries, running_cluster

__all__ = ["loaded"]

STEPS, RATE_HZ = 15, 10.0
SEEN = {
    "observation.state": np.zeros(2, np.float32),
    "observation.images.top": np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8),
}
LIMIT_MS = 200.0


class Timed(ArenaClient):
    """Writes down how long every answer took, and what it was."""

    took: ClassVar[dict[str, list[float]]] = defaultdict(list)
    refused: ClassVar[dict[str, int]] = defaultdict(int)

    def _once(self, method: str, path: str, blob: bytes, kind: str) -> tuple[int, bytes]:
        begun = time.perf_counter()
        status, answer = super()._once(method, path, blob, kind)
        name = f"{method} {re.sub(r'/[A-G](?=/|$)', '/L', re.sub(r'[0-9a-f]{24,}', 'ID', path.partition('?')[0]))}"
        name = re.sub(r"/\d+", "/N", name)
        self.took[name].append(1000 * (time.perf_counter() - begun))
        if status >= 400:
            self.refused[f"{name} {status}"] += 1
        return status, answer


def evaluate(client: ArenaClient, robot: str, stop: threading.Event, film: bytes, done: list[int]) -> None:
    """One evaluator at one robot, match after match."""
    rng = np.random.default_rng(len(robot))
    number = 0
    while not stop.is_set():
        number += 1
        picture = client.send("POST", "/api/pictures", _jpeg())["picture"]
        asked = {"key": f"{robot} {number}", "robot": robot, "task": "carry", "instruction": "carry the block"}
        match = client.post("/api/matches", {**asked, "picture": picture, "start": number, "sides": 2})["match"]
        for letter in "AB":
            for _ in range(STEPS):
                client.exchange(f"/api/matches/{match}/{letter}/act", SEEN)
                time.sleep(1 / RATE_HZ)
            client.send_frame("POST", f"/api/matches/{match}/{letter}/rollouts/0", _facts())
            client.send("PUT", f"/api/matches/{match}/{letter}/rollouts/0/film?offset=0&size={len(film)}", film)
            said = {"progress": float(rng.integers(0, 101)), "success": False}
            client.post(f"/api/matches/{match}/{letter}/score", said)
        client.post(f"/api/matches/{match}/vote", {"preference": str(rng.choice(["A", "B", "tie"]))})
        done.append(number)


def look(client: ArenaClient, stop: threading.Event, seed: int) -> None:
    """Somebody who has the board open."""
    rng = np.random.default_rng(seed)
    stop.wait(3 * rng.random())
    while not stop.is_set():
        client.get("/api/board")
        some = client.get("/api/finished?count=20")["matches"]
        if some and rng.random() < 0.5:
            client.get(f"/api/finished/{some[int(rng.integers(len(some)))]['id']}")
        stop.wait(3)


def loaded(store: str, folder: Path, people: int, robots: int, seconds: float) -> dict[str, Any]:
    """Runs the load; what became of it."""
    port = _free_port()
    serve = [
        sys.executable,
        "-m",
        "roboscale",
        "arena",
        "serve",
        "--store",
        store,
        "--port",
        str(port),
        "--credits",
        "1e9",
    ]
    stop, away, done, broke = threading.Event(), threading.Event(), [], []
    with open_log(store) as log:
        arena = Arena(log)
        tokens = {name: _account(arena, role, name) for name, role in _cast(people, robots)}
        number_before = len(arena.state.finished)
    with ExitStack() as stack:
        server = subprocess.Popen([*serve, "--media", str(folder / "media")], stderr=subprocess.DEVNULL)
        stack.callback(server.wait)
        stack.callback(server.kill)
        stack.callback(away.set)
        url = f"http://127.0.0.1:{port}/"
        _until_there(url)
        for k in range(5):
            policy = PlantedPolicy(f"offered {k}", 0.1 + 0.2 * k)
            policy.start = lambda instruction, seed: _still  # type: ignore[method-assign]
            offering = Offering(policy, ArenaClient(url, tokens[f"owner {k}"]), policy.name)
            threading.Thread(target=offering.serve, args=(away,), daemon=True).start()
        places = [_registered(ArenaClient(url, tokens[f"evaluator {k}"]), k) for k in range(robots)]
        _wait_for_checks(tokens["owner 0"], url, robots)
        film, threads = _film(folder), []

        def tried(work: Any, *args: Any) -> None:
            try:
                work(*args)
            except (Refused, InfrastructureError) as error:
                broke.append(str(error))

        for k, robot in enumerate(places):
            client = Timed(url, tokens[f"evaluator {k}"])
            threads.append(threading.Thread(target=tried, args=(evaluate, client, robot, stop, film, done)))
        for k in range(people - robots):
            threads.append(threading.Thread(target=tried, args=(look, Timed(url), stop, k)))
        before = psutil.Process(server.pid).cpu_times()
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        stop.set()
        after = psutil.Process(server.pid).cpu_times()
        for thread in threads:
            thread.join(60)
    cpu_s = after.user + after.system - before.user - before.system
    return {"matches": len(done), "before": number_before, "broke": broke, "cpu": cpu_s / seconds}


def _still(observation: Any) -> Any:
    from roboscale.core import ActionChunk

    return ActionChunk(np.zeros((8, 2)))


def _cast(people: int, robots: int) -> list[tuple[str, str]]:
    evaluators = [(f"evaluator {k}", "evaluator") for k in range(robots)]
    return [*evaluators, *[(f"owner {k}", "owner") for k in range(5)]]


def _account(arena: Arena, role: str, name: str) -> str:
    return arena.join(arena.invite(None, role, name), name)[1]


def _registered(client: ArenaClient, number: int) -> str:
    told = {
        "name": f"table {number}",
        "site": f"site {number % 3}",
        "world": combine("table", number).to_json(),
        "tasks": {"carry": "carry the block"},
        "settings": RolloutSettings(horizon=24, rate_hz=RATE_HZ).to_json(),
        "rubrics": {},
        "action_size": 2,
    }
    robot = client.post("/api/robots", told)["robot"]
    samples = {"observations": [SEEN], "instruction": "carry", "low": np.full(2, -1.0), "high": np.ones(2)}
    client.send_frame("PUT", f"/api/robots/{robot}/samples", samples)
    return robot


def _wait_for_checks(token: str, url: str, robots: int) -> None:
    client = ArenaClient(url, token)
    for _ in range(300):
        if len(client.get("/api/me")["policies"][0]["checked"]) >= robots:
            time.sleep(1.0)  # for the other four
            return
        time.sleep(0.1)
    raise SystemExit("policies were not checked within half a minute")


def _until_there(url: str) -> None:
    for _ in range(600):
        try:
            httpx.get(f"{url}icon.svg")
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise SystemExit("the server does not answer")


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _jpeg() -> bytes:
    written = io.BytesIO()
    Image.fromarray(SEEN["observation.images.top"]).save(written, "JPEG", quality=90)
    return written.getvalue()


def _film(folder: Path) -> bytes:
    path = folder / "film.mp4"
    encoder = Encoder(path, (96, 96, 3), RATE_HZ, "h264")
    for _ in range(STEPS):
        encoder.add(SEEN["observation.images.top"])
    encoder.close()
    return path.read_bytes()


def _facts() -> dict[str, Any]:
    counts = dict.fromkeys(("clipped", "held", "late"), 0)
    times = {"seconds": 1.0, "thinking_s": 0.1, "started_ns": time.time_ns()}
    more = {"end": "truncated", "reason": "", "steps": STEPS, "episode": "", "measures": {"progress": 0.5}}
    return {**more, **counts, **times, "actions": np.zeros((STEPS, 2), np.float32)}


def fill(store: str, sessions: int) -> None:
    """Puts finished sessions into a new store, without their trials, which no board reads."""
    stream = entries_of(sessions)
    with open_log(store) as log:
        while some := tuple(islice(stream, 5000)):
            log.append(some)


def told(made: dict[str, Any], seconds: float) -> bool:
    """Prints the table; whether every call but the upload of films was quick enough."""
    print(
        f"{made['before']} sessions before, {made['matches']} matches in {seconds:g} s; {made['cpu']:.2f} cores used"
    )
    print(f"{'call':52} {'n':>6} {'p50':>7} {'p95':>7} {'most':>8} ms")
    fine = True
    for name, times in sorted(Timed.took.items()):
        p50, p95, most = np.percentile(times, [50, 95, 100])
        late = p95 > LIMIT_MS and not name.endswith("/film")
        fine &= not late
        print(f"{name:52} {len(times):6} {p50:7.1f} {p95:7.1f} {most:8.1f}{'  late' if late else ''}")
    for name, count in Timed.refused.items():
        print(f"refused: {name}, {count} times")
    for text in made["broke"]:
        print(f"gave up: {text}")
    return fine and not made["broke"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--robots", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--before", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arena-load-", dir="/tmp")))
        folder.chmod(0o755)
        store = str(folder / "trials.db")
        if asked.postgres:
            place = folder / "pg"
            place.mkdir()
            bin_ = binaries() or sys.exit("PostgreSQL is not installed: apt-get install postgresql")
            store = stack.enter_context(running_cluster(place, bin_, fsync=True)).new_database()
        fill(store, asked.before)
        made = loaded(store, folder, asked.people, asked.robots, asked.seconds)
        raise SystemExit(not told(made, asked.seconds))


if __name__ == "__main__":
    main()
