"""Kills an arena's processes at random moments, and compares the store with what was acknowledged.

    python -m benchmarks.arena_kills out --sessions 100 --kills 30
    python -m benchmarks.arena_kills out --sessions 30 --kills 10 --postgres
    python -m benchmarks.arena_kills out --sessions 30 --kills 10 --store postgresql://...

Server, evaluator and three policies are processes of their own. Server, evaluator and one policy are killed (SIGKILL)
so often each, at moments drawn over the run, and started again. The evaluator writes down what the server has
acknowledged before it goes on. In the end every acknowledged rollout, score and vote has to be in the store once, no
trial may be there that no rollout names, and no rollout twice.

Stopped, the same command goes on where it was: `out` keeps who takes part, the kills and what was acknowledged. A
cluster that `--postgres` starts ends with the command, and so does what it held.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from roboscale.arena.arena import Arena
from roboscale.trials.log import open_log
from tests.trials.postgres import binaries, running_cluster

MEANS = {"ash": 0.2, "birch": 0.5, "cedar": 0.8}


def evaluate(url: str, token: str, site: str, record: Path, sessions: int, seed: int) -> None:
    """The evaluator's process: goes on where it was, and notes what was acknowledged."""
    from roboscale.arena.client import ArenaClient
    from roboscale.arena.people import Refused
    from roboscale.core import InfrastructureError
    from roboscale.jobs.arena_rehearsal import ScriptedEvaluator, stand_in_worlds
    from roboscale.jobs.arena_robot import ArenaRobot

    client = ArenaClient(url, token, patience_s=120)
    ((_, world),) = stand_in_worlds((site,))
    evaluator = ScriptedEvaluator(robot=ArenaRobot(client, world, site=site, pace="simulated"), seed=seed)
    robot = evaluator.robot
    robot.register()

    def acknowledged(what: str, *key: object) -> None:
        with record.open("a") as file:
            file.write(json.dumps([what, *key]) + "\n")
            file.flush()
            os.fsync(file.fileno())

    plain_play, plain_score, plain_vote = robot.play, robot.score, robot.vote

    def play(match: str, letter: str) -> object:
        done = plain_play(match, letter)
        acknowledged("rollout", match, letter, done.end, done.steps)
        return done

    def score(match: str, letter: str, said: dict) -> dict:
        done = plain_score(match, letter, said)
        acknowledged("score", match, letter, said["progress"])
        return done

    def vote(match: str, preference: str, text: str = "") -> dict:
        done = plain_vote(match, preference, text)
        acknowledged("vote", match, preference)
        return done

    robot.play, robot.score, robot.vote = play, score, vote  # type: ignore[method-assign]
    while True:
        done = sum(json.loads(line)[0] == "vote" for line in record.read_text().splitlines()) if record.exists() else 0
        if done >= sessions:
            return
        try:
            me = client.get("/api/me")
            if me["open"]:
                drawn = client.get(f"/api/matches/{me['open'][0]}")
                if not drawn["due"]:  # only the vote is missing
                    vote(drawn["match"], "tie", "seen from above")
                else:
                    evaluator.go_on(drawn)
            else:
                evaluator.match()
        except (Refused, InfrastructureError) as error:
            print("evaluator:", error, flush=True)
            time.sleep(0.3)


def offer(url: str, token: str, name: str) -> None:
    """A policy's process."""
    from roboscale.arena.client import ArenaClient
    from roboscale.jobs.arena_offering import Offering
    from roboscale.jobs.arena_rehearsal import PlantedPolicy

    Offering(PlantedPolicy(name, MEANS[name]), ArenaClient(url, token, patience_s=300), name).serve()


class Process:
    """One process that is started again whenever it is killed."""

    def __init__(self, args: list[str], log: Path) -> None:
        self.args, self.log, self.kills = args, log, 0
        self.start()

    def start(self) -> None:
        with self.log.open("a") as file:
            self.running = subprocess.Popen(self.args, stdout=file, stderr=file)

    def kill(self) -> None:
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()
        self.kills += 1
        self.start()

    def end(self) -> None:
        self.running.kill()
        self.running.wait()


def compared(store: str, record: Path) -> tuple[dict[str, int], list[str]]:
    """What the store has, and where it differs from the record."""
    with open_log(store, read_only=True) as log:
        state = Arena(log).state
        trials = {trial.id: trial for trial in log.trials(light=True)}
        said = log.judgements()
        entries = log.entries()
    wrong = []
    named = Counter(r.trial for m in state.matches.values() for r in m.rollouts)
    wrong += [f"trial {t[:8]} is no rollout's" for t in trials if t not in named]
    wrong += [f"rollout of {t[:8]} is there {n} times" for t, n in named.items() if n != 1 or t not in trials]
    for match in state.matches.values():
        per = Counter(r.letter for r in match.rollouts if r.end != "void")
        wrong += [f"{match.id[:8]} {letter} counts {n} times" for letter, n in per.items() if n != 1]
    for line in record.read_text().splitlines():
        what, match_id, *rest = json.loads(line)
        match = state.matches.get(match_id)
        if match is None:
            wrong.append(f"{what} of {match_id[:8]}: no such match")
        elif what == "rollout":
            counted = match.counted(rest[0])
            if counted is None or (counted.end, counted.steps) != tuple(rest[1:]):
                wrong.append(f"rollout {match_id[:8]} {rest}: {counted}")
        elif what == "score" and match.scores[rest[0]].progress != rest[1]:
            wrong.append(f"score {match_id[:8]} {rest}: {match.scores[rest[0]].progress}")
        elif what == "vote" and (match.phase, match.preference) != ("voted", rest[0]):
            wrong.append(f"vote {match_id[:8]} {rest}: {match.phase} {match.preference}")
    numbers = [entry.number for entry in entries]
    if numbers != list(range(1, len(numbers) + 1)):
        wrong.append("entries are not numbered without gaps")
    counts = {
        "finished matches": len(state.finished),
        "rollouts": sum(named.values()),
        "void": sum(r.end == "void" for m in state.matches.values() for r in m.rollouts),
        "judgements": sum(map(len, said.values())),
        "entries": len(entries),
    }
    return counts, wrong


def run(
    out: Path, store: str, sessions: int, kills: int, seed: int = 0, port: int = 0
) -> tuple[dict[str, int], list[str]]:
    """Plays, kills and compares."""
    import socket

    out.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))
        port = free.getsockname()[1]
    url, record, rng = f"http://127.0.0.1:{port}/", out / "acknowledged.jsonl", random.Random(seed)
    tokens, evaluator = _people(store, out / "people.json")
    killed = out / "kills.txt"
    serve = [sys.executable, "-m", "roboscale", "arena", "serve", "--store", store, "--media", str(out / "media")]
    me = [sys.executable, "-m", "benchmarks.arena_kills"]
    with ExitStack() as stack:
        processes = {
            "server": Process([*serve, "--port", str(port), "--answer", "5"], out / "server.log"),
            **{n: Process([*me, "offer", url, t, n], out / f"{n}.log") for n, t in tokens.items()},
            "evaluator": Process(
                [*me, "evaluate", url, evaluator, "lab", str(record), str(sessions), str(seed)], out / "evaluator.log"
            ),
        }
        for one in processes.values():
            stack.callback(one.end)
        victims = ["server", "evaluator", "ash"] * kills
        rng.shuffle(victims)
        before = killed.read_text().split() if killed.exists() else []
        del victims[len(victims) - len(before) :]
        begun = time.monotonic()
        done = 0
        while processes["evaluator"].running.poll() is None or victims:
            done = record.read_text().count('["vote"') if record.exists() else 0
            due = (3 * kills - len(victims)) * sessions / (3 * kills + 1)
            if victims and done >= min(due, sessions - 1):
                time.sleep(rng.uniform(0, 0.5))
                if processes["evaluator"].running.poll() is None:
                    victim = victims.pop()
                    with killed.open("a") as file:
                        file.write(victim + "\n")
                    processes[victim].kill()
                else:
                    break
            time.sleep(0.05)
            if time.monotonic() - begun > 60 + 30 * sessions:
                break
        told = {name: processes[name].kills + before.count(name) for name in ("server", "evaluator", "ash")}
        print(f"kills {told}, {time.monotonic() - begun:.0f} s")
    return compared(store, record)


def _people(store: str, kept: Path) -> tuple[dict[str, str], str]:
    """Tokens of the policies' owners, and of the evaluator; of an earlier run those that it had."""
    if not kept.exists():
        with open_log(store) as log:
            arena = Arena(log)
            made = {name: arena.join(arena.invite(None, "owner", name), name)[1] for name in MEANS}
            evaluator = arena.join(arena.invite(None, "evaluator", "lab"), "ada")[1]
        kept.write_text(json.dumps([made, evaluator]))
    tokens, evaluator = json.loads(kept.read_text())
    return tokens, evaluator


def main() -> None:
    if sys.argv[1] == "evaluate":
        url, token, site, record, sessions, seed = sys.argv[2:]
        evaluate(url, token, site, Path(record), int(sessions), int(seed) + os.getpid())
        return
    if sys.argv[1] == "offer":
        offer(*sys.argv[2:5])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--store", default="")
    parser.add_argument("--postgres", action="store_true", help="a cluster of its own, in a folder that goes with it")
    asked = parser.parse_args()
    with ExitStack() as stack:
        store = asked.store or str(asked.out / "trials.db")
        if asked.postgres:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arena-kills-", dir="/tmp")))
            place.chmod(0o755)
            bin_ = binaries() or sys.exit("PostgreSQL is not installed: apt-get install postgresql")
            store = stack.enter_context(running_cluster(place, bin_, fsync=True)).new_database()
        counts, wrong = run(asked.out, store, asked.sessions, asked.kills)
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    print(f"differences between the store and what was acknowledged: {len(wrong)}")
    for line in wrong[:20]:
        print(" ", line)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
