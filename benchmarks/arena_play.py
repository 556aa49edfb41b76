"""Arenas played without robots, files or a network: a vote comes of planted progress and an evaluator's eye.

The arena, its draws and its flags are the real ones; only the log is a list in memory, and rollouts are not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from roboscale.arena.arena import Arena, ArenaRules
from roboscale.arena.match import Account, Match
from roboscale.core import Judgement, RolloutSettings, Trial, combine
from roboscale.trials.log import LogEntry

__all__ = ["LEVELS", "MANNERS", "ListLog", "played_arena"]

LEVELS = (0.15, 0.40, 0.40, 0.65, 0.85)
Manner = Literal["honest", "random", "always A", "for an owner"]
MANNERS: tuple[Manner, ...] = get_args(Manner)

_SPREAD, _NOISE, _SAME = 3.0, 4.0, 5.0  # as in the demo: spread of a rollout's progress, an eye's error, a tie


class ListLog:
    """As much of a `TrialLog` as an arena asks."""

    def __init__(self) -> None:
        self.kept: list[LogEntry] = []
        self.ids: set[str] = set()

    def append(
        self,
        entries: Sequence[LogEntry],
        *,
        after: int | None = None,
        trials: Sequence[Trial] = (),
        judgements: Sequence[Judgement] = (),
    ) -> int | None:
        for entry in entries:
            if entry.id not in self.ids:
                self.ids.add(entry.id)
                self.kept.append(replace(entry, number=len(self.kept) + 1))
        return len(self.kept)

    def entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        return tuple(self.kept[after:])


def played_arena(
    seed: int,
    matches: int,
    manner: Manner = "honest",
    *,
    evaluators: int = 5,
    favourite: int | None = None,
    levels: Sequence[float] = LEVELS,
) -> tuple[Arena, str]:
    """An arena after so many matches, and the account of the one evaluator with that manner.

    Args:
        favourite: number of the policy that it votes for; by default the seed draws it.
    """
    rng = np.random.default_rng([seed, MANNERS.index(manner)])
    log: Any = ListLog()
    arena = Arena(log, ArenaRules(checks=False, credits=1e9), draw_seed=lambda: int(rng.integers(2**31)))
    people, robots = [], []
    for k in range(evaluators):
        people.append(arena.join(arena.invite(None, "evaluator", f"lab {k}"), f"evaluator {k}")[0])
        robots.append(_robot(arena, people[-1], k))
    level = {}
    for k, mean in enumerate(levels):
        owner, _ = arena.join(arena.invite(None, "owner", f"team {k}"), f"owner {k}")
        level[arena.add_policy(owner, f"policy {k}", combine(f"policy {k}", "planted", mean, k), False).id] = mean
    favoured = list(level)[int(rng.integers(len(level))) if favourite is None else favourite]
    for number in range(matches):
        who = number % evaluators
        asked = {
            "key": str(number),
            "robot": robots[who],
            "task": "carry",
            "instruction": "carry the block",
            "picture": "0" * 32,
            "start": number,
            "sides": 2,
        }
        match = arena.draw(people[who], asked, level)
        vote = _said(arena, people[who], match, level, rng)
        if who == 0:
            vote = _odd(manner, match, favoured, vote, rng)
        arena.vote(people[who], match.id, vote, "", True)
    return arena, people[0].id


def _robot(arena: Arena, by: Account, number: int) -> str:
    told = {
        "name": f"table {number}",
        "site": by.group,
        "world": combine("table", number).to_json(),
        "tasks": {"carry": "carry the block"},
        "settings": RolloutSettings(horizon=24, rate_hz=10.0).to_json(),
        "rubrics": {},
        "action_size": 2,
    }
    return arena.add_robot(by, told).id


def _said(arena: Arena, by: Account, match: Match, level: dict[str, float], rng: np.random.Generator) -> str:
    """Files both rollouts and scores; the honest vote."""
    seen = {}
    for side in match.sides:
        mean = level[side.policy]
        came = 100 * rng.beta(_SPREAD * mean, _SPREAD * (1 - mean))
        seen[side.letter] = float(np.clip(round(came + rng.normal(0, _NOISE)), 0, 100))
        facts = {
            "end": "truncated",
            "reason": "",
            "steps": 1,
            "clipped": 0,
            "held": 0,
            "late": 0,
            "actions": np.zeros((1, 2), np.float32),
            "measures": {},
            "seconds": 0.0,
            "thinking_s": 0.0,
            "started_ns": 0,
            "episode": "",
        }
        arena.finish(by, match.id, side.letter, 0, facts)
        said = {"progress": seen[side.letter], "success": seen[side.letter] >= 90, "damage": [], "text": ""}
        arena.score(by, match.id, side.letter, said)
    a, b = seen.values()
    return "tie" if abs(a - b) < _SAME else ("A" if a > b else "B")


def _odd(manner: Manner, match: Match, favoured: str, honest: str, rng: np.random.Generator) -> str:
    if manner == "random":
        return str(rng.choice(["A", "B"]))
    if manner == "always A":
        return "A"
    mine = [side.letter for side in match.sides if side.policy == favoured]
    return mine[0] if manner == "for an owner" and mine else honest
