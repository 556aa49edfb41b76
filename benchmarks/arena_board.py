"""How long an arena's board takes over many sessions, and where.

    python -m benchmarks.arena_board --sessions 10000
    python -m benchmarks.arena_board --sessions 100000

Sessions are entries of a log in memory, as an arena would have written them: 12 policies of planted progress, 20
evaluators, 6 robots, pairs drawn evenly. What is timed is what a server does: telling its state every entry once, at
its start, a first board with its flags, and the next one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from roboscale.arena.flags import flag_evaluators
from roboscale.arena.state import ArenaState
from roboscale.core import RolloutSettings, combine, derive_id
from roboscale.core.plain import to_plain
from roboscale.jobs.arena_board import arena_board
from roboscale.trials.log import LogEntry

__all__ = ["entries_of"]

POLICIES, PEOPLE, ROBOTS = 12, 20, 6


def entries_of(sessions: int, seed: int = 0) -> Iterator[LogEntry]:
    """What a log would hold after so many sessions."""
    number = 0

    def entry(kind: str, id_: str, body: dict) -> LogEntry:
        nonlocal number
        number += 1
        return LogEntry(id=id_, kind=kind, body=body, time_ns=number, monotonic_ns=number, number=number)

    def account(name: str, role: str, group: str) -> LogEntry:
        told = {"id": derive_id(name), "name": name, "role": role, "group": group, "token": name, "invitation": ""}
        return entry("joined", name, told)

    settings = RolloutSettings(horizon=24, rate_hz=10.0).to_json()
    for k in range(PEOPLE):
        yield account(f"evaluator {k}", "evaluator", f"lab {k}")
    for k in range(ROBOTS):
        told = {"id": derive_id("robot", k), "name": f"arm {k}", "site": f"site {k % 3}", "settings": settings}
        told |= {"account": derive_id("evaluator 0"), "world": combine("arm", k).to_json(), "rubrics": {}}
        yield entry(
            "robot", f"robot {k}", {**told, "tasks": {"carry": "carry it", "push": "push it"}, "action_size": 2}
        )
    policies = []
    for k in range(POLICIES):
        yield account(f"owner {k}", "owner", f"team {k}")
        identity = combine(f"policy {k}", k)
        policies.append(identity.digest)
        told = {"id": identity.digest, "name": f"policy {k}", "owner": derive_id(f"owner {k}"), "group": f"team {k}"}
        yield entry("policy", f"policy {k}", {**told, "identity": identity.to_json(), "public": False})
    rng = np.random.default_rng(seed)
    level = np.linspace(0.15, 0.85, POLICIES)
    for k in range(sessions):
        sides = rng.choice(POLICIES, 2, replace=False)
        seen = np.clip(np.round(100 * rng.beta(3 * level[sides], 3 * (1 - level[sides]))), 0, 100)
        id_, who = derive_id("match", k), derive_id(f"evaluator {rng.integers(PEOPLE)}")
        task = ("carry", "push")[int(rng.integers(2))]
        drawn = {"sides": [{"letter": "AB"[i], "policy": policies[s]} for i, s in enumerate(sides)], "drawn": {}}
        told = {"id": id_, "key": str(k), "evaluator": who, "robot": derive_id("robot", int(rng.integers(ROBOTS)))}
        told |= {"task": task, "instruction": "do it", "case": f"{task}/nominal/{k}", "round": 0, "picture": "0" * 32}
        yield entry("match", f"match {k}", {**told, **drawn, "probability": 0.01, "seed": k})
        for i in range(2):
            side = {"match": id_, "letter": "AB"[i]}
            yield entry("rollout", f"r{i} {k}", {**side, "attempt": 0, "trial": f"{k:031x}{i}", "end": "truncated"})
            said = {"progress": float(seen[i]), "success": bool(seen[i] >= 90), "damage": [], "text": ""}
            yield entry("score", f"s{i} {k}", {**side, **said})
        vote = "tie" if abs(seen[0] - seen[1]) < 5 else "AB"[int(seen[1] > seen[0])]
        yield entry("vote", f"vote {k}", {"match": id_, "preference": vote, "text": "", "valid": True, "by": who})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    entries = list(entries_of(asked.sessions))
    state = ArenaState()
    begun = time.perf_counter()
    for one in entries:
        state.tell(one)
    told_s, begun = time.perf_counter() - begun, time.perf_counter()
    if asked.profile:
        import cProfile
        import pstats

        profiler = cProfile.Profile()
        profiler.runcall(arena_board, state)
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(35)
        return
    flags = flag_evaluators(state)
    flags_s, begun = time.perf_counter() - begun, time.perf_counter()
    board = arena_board(state, flags)
    board_s, begun = time.perf_counter() - begun, time.perf_counter()
    to_plain(board.to_json())
    plain_s = time.perf_counter() - begun
    _one_more(state, asked.sessions)
    begun = time.perf_counter()
    to_plain(arena_board(state.copied()).to_json())
    again_s = time.perf_counter() - begun
    print(f"{asked.sessions} sessions, {len(entries)} entries, told to a new server in {told_s:.2f} s")
    print(
        f"its first board: flags {flags_s:.2f} s ({len(flags)} flags), numbers {board_s:.2f} s, JSON {plain_s:.3f} s; "
        f"after one more session a refresh takes {again_s:.2f} s"
    )
    print(board.plain.sentence)


def _one_more(state: ArenaState, sessions: int) -> None:
    for one in list(entries_of(sessions + 1))[-6:]:
        state.tell(replace(one, number=state.number + 1))


if __name__ == "__main__":
    main()
