"""What whole evaluations cost beside LeRobot's own, how near a slow server is to its limit, and what a kill loses.

    roboscale guest install lerobot
    python -m benchmarks.guest_peers runs/bench-guests [--episodes 20] [--rounds 3] [--only lerobot,serving,kill]

lerobot   the same ACT checkpoint on Push-T from pictures, chunks of 8, the same seeds: `roboscale eval` against
          LeRobot's `eval_policy` at batch sizes 1, 5, 10 and 20; wall seconds of the episodes alone, and of whole
          commands. Below 1: roboscale is quicker.
serving   stand-in servers that answer one question at a time (63 ms, as pi0.5 on an H100; 300 ms): episodes an hour
          against the smaller of supply (a question each 63 ms) and demand (the same run with an instant server),
          each with the better of two and six processes.
kill      `roboscale eval` is killed by `kill -9` in the middle and run again: trials that were tried twice.

Every measurement is a line in OUT/measured.jsonl and is not made again; run again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import ActionChunk, Field, Observation, Session, Spec, combine
from roboscale.guests import environment_of, find_guest

ROOT = Path(__file__).parents[1]
PEER, PROFILE = ROOT / "scripts/guests/lerobot_peer.py", ROOT / "scripts/guests/pusht.toml"
BATCHES = (1, 5, 10, 20)
SERVERS = {"like pi0.5 on an H100": 0.063, "300 ms": 0.3}
CHUNK = 8
WORKERS = (2, 6)
MEANS: dict[str, Any] = {"unit": "pixel", "frame": "image of 512 pixels", "layout": ("finger.x", "finger.y")}


class Measured:
    """Measurements that are there already are not made again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self._known = {line["what"]: line["found"] for line in map(json.loads, lines)}

    def __call__(self, what: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if what not in self._known:
            found = measure()
            with self._path.open("a") as file:
                file.write(json.dumps({"what": what, "found": found}) + "\n")
            self._known[what] = found
        found = self._known[what]
        print(f"{what}: {json.dumps(found)}", flush=True)
        return dict(found)


def ran(words: Sequence[str], **more: Any) -> tuple[str, float]:
    """What a command printed, and its wall seconds."""
    begun = time.perf_counter()
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, cwd=ROOT, **more)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr[-2000:]}")
    return done.stdout, time.perf_counter() - begun


def roboscale(*words: str) -> list[str]:
    return [sys.executable, "-m", "roboscale", *words]


def evaluation(store: Path, policy: str, count: int, *more: str) -> list[str]:
    seeds = ("--seeds", f"1000:{1000 + count}", "--store", str(store), "--json")
    return roboscale("eval", "--world", "pusht", "--policy", policy, *seeds, *more)


def ours(store: Path, policy: str, count: int, *more: str) -> dict[str, Any]:
    """A run: wall seconds of the command, and of its trials alone."""
    told, whole_s = ran(evaluation(store, policy, count, *more))
    found = re.search(r'"busy_s": ([0-9.]+)', told)
    return {"whole_s": round(whole_s, 2), "trials_s": float(found[1]) if found else None}


def theirs(python: Path, checkpoint: Path, count: int, batch: int) -> dict[str, Any]:
    """LeRobot's own run in its environment."""
    told, whole_s = ran([str(python), str(PEER), "time", str(checkpoint), "1000", str(count), str(batch)])
    said = json.loads(told.splitlines()[-1])
    return {"whole_s": round(whole_s, 2), "trials_s": round(said["eval_s"], 2)}


def beside_lerobot(out: Path, measured: Measured, count: int, rounds: int) -> None:
    made = environment_of(find_guest("lerobot"))
    if made is None:
        print("LeRobot's guest is not installed: roboscale guest install lerobot", file=sys.stderr)
        return
    checkpoint = out / "act"
    if not (checkpoint / "config.json").exists():
        ran([str(made.python), str(PEER), "make", str(checkpoint)])
    policy, found = f"lerobot:{checkpoint}", {}
    profile = ("--policy-profile", str(PROFILE))
    for number in range(rounds):
        found["ours", number] = measured(
            f"lerobot, {count} episodes, roboscale, round {number}",
            lambda number=number: ours(out / f"ours-{count}-{number}", policy, count, *profile),  # type: ignore[misc]
        )
        for batch in BATCHES:
            found[batch, number] = measured(
                f"lerobot, {count} episodes, LeRobot at batch {batch}, round {number}",
                lambda batch=batch: theirs(made.python, checkpoint, count, batch),  # type: ignore[misc]
            )
    for key in ("trials_s", "whole_s"):
        middle = {who: statistics.median(found[who, n][key] for n in range(rounds)) for who in ("ours", *BATCHES)}
        best = min(BATCHES, key=lambda batch: middle[batch])
        ratios = [found["ours", n][key] / found[best, n][key] for n in range(rounds)]
        line = ", ".join(f"{who}: {value:.1f}" for who, value in middle.items())
        print(f"{key} of {count} episodes, medians of {rounds}: {line}")
        print(f"  ratio to LeRobot at its best batch ({best}): {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
              f"{max(ratios):.2f}); bar 1.00")  # fmt: skip


class Slow:
    """Answers one question at a time, each after `seconds`: a stand-in for a large network."""

    name, history = "slow", 1
    action_spec = Spec((Field("action", (2,), "float32", **MEANS),), 10.0)
    observation_spec = Spec((Field("observation.state", (2,), "float32", **MEANS),), 10.0)

    def __init__(self, seconds: float) -> None:
        self._seconds, self.identity = seconds, combine("slow", seconds)

    def start(self, instruction: str, seed: int) -> Session:
        def act(observation: Observation) -> ActionChunk:
            time.sleep(self._seconds)
            return ActionChunk(np.full((CHUNK, 2), 100.0, np.float32))

        return act


def serve(seconds: float, ready: Connection) -> None:
    from roboscale.policies.remote import serve_policy

    serve_policy(Slow(seconds), port=0, on_ready=ready.send)


def served(out: Path, name: str, seconds: float, count: int, workers: int) -> dict[str, Any]:
    """A run against a stand-in server; its trials leave nothing behind."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(seconds, there), daemon=True)
    server.start()
    try:
        store = out / f"served-{name}-{count}-{time.time_ns()}"
        return ours(store, f"ws://127.0.0.1:{here.recv()}", count, "--workers", str(workers))
    finally:
        server.terminate()


def serving(out: Path, measured: Measured, count: int) -> None:
    """Processes that wait for a server leave their core to others: more of them than cores are tried, too."""
    questions = -(-300 // CHUNK)

    def an_hour(name: str, seconds: float) -> tuple[float, int]:
        """Episodes an hour at the best number of processes, and that number."""
        found = {}
        for workers in WORKERS:
            told = measured(
                f"serving, {count} episodes, {name}, {workers} processes",
                lambda workers=workers: served(out, name.replace(" ", "-"), seconds, count, workers),  # type: ignore[misc]
            )
            found[workers] = 3600 * count / told["trials_s"]
        best = max(found, key=lambda workers: found[workers])
        return found[best], best

    demand, _ = an_hour("instant", 0.0)
    for name, seconds in SERVERS.items():
        supply = 3600 / (questions * seconds)
        got, workers = an_hour(name, seconds)
        print(f"server {name}: {got:.0f} episodes an hour ({workers} processes); supply {supply:.0f}, "
              f"demand {demand:.0f}; share of the smaller {got / min(supply, demand):.2f}, bar .95")  # fmt: skip


def attempts(store: Path) -> int:
    """Trials that a store holds."""
    with sqlite3.connect(f"file:{store / 'trials.db'}?mode=ro", uri=True) as log:
        return int(log.execute("select count(*) from trials").fetchone()[0])


def killed(out: Path, count: int) -> dict[str, Any]:
    """Starts a run, kills it when a third is there, runs it again."""
    store = out / f"killed-{time.time_ns()}"
    words = evaluation(store, "constant:256,256", count, "--workers", "0")
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while running.poll() is None:
        time.sleep(0.05)
        try:
            if attempts(store) >= count // 3:
                break
        except sqlite3.Error:
            continue
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    before = attempts(store)
    ran(words)
    after = attempts(store)
    return {"trials": count, "there at the kill": before, "in the end": after, "tried twice": after - count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="lerobot,serving,kill")
    options = parser.parse_args()
    out = options.out.resolve()
    measured = Measured(out / "measured.jsonl")
    parts = options.only.split(",")
    if "lerobot" in parts:
        beside_lerobot(out, measured, options.episodes, options.rounds)
    if "serving" in parts:
        serving(out, measured, options.episodes)
    if "kill" in parts:
        found = measured("kill, 30 episodes", lambda: killed(out, 30))
        print(
            f"kill -9 in the middle: {found['there at the kill']} of {found['trials']} trials were there; "
            f"{found['tried twice']} were tried twice; LeRobot writes its results at the end: it keeps none"
        )


if __name__ == "__main__":
    main()
