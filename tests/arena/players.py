"""An arena without a server: accounts, a robot, policies, and matches that are played by calling it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roboscale.arena.arena import Arena, ArenaRules
from roboscale.arena.match import Account, Match, RobotStation
from roboscale.core import RolloutSettings, combine
from roboscale.trials.log import TrialLog

RULES = ArenaRules(checks=False)
SETTINGS = RolloutSettings(horizon=5, rate_hz=10.0)
PICTURE = "0" * 32


def facts(steps: int = 3, end: str = "truncated") -> dict[str, Any]:
    return {
        "end": end,
        "reason": "" if end == "truncated" else "it broke",
        "steps": steps,
        "clipped": 0,
        "held": 0,
        "late": 0,
        "actions": np.full((steps, 2), 0.5, np.float32),
        "measures": {"progress": 0.5},
        "seconds": 1.0,
        "thinking_s": 0.1,
        "started_ns": 10**18,
        "episode": "",
    }


def score(progress: float, text: str = "") -> dict[str, Any]:
    return {"progress": float(progress), "success": progress >= 90, "damage": ["dropped"], "text": text}


def account(arena: Arena, role: str, group: str) -> Account:
    return arena.join(arena.invite(None, role, group), group)[0]


def station(arena: Arena, by: Account) -> RobotStation:
    told = {
        "name": f"arm of {by.group}",
        "site": by.group,
        "world": combine(f"arm of {by.group}", by.group).to_json(),
        "tasks": {"reach": "reach the ball"},
        "settings": SETTINGS.to_json(),
        "rubrics": {"reach": ["near it"]},
        "action_size": 2,
    }
    return arena.add_robot(by, told)


@dataclass
class Crew:
    """Evaluators with a robot each, and owners with a policy each."""

    arena: Arena
    evaluators: list[Account] = field(default_factory=list)
    stations: list[RobotStation] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    owners: list[Account] = field(default_factory=list)
    drawn: int = 0

    def draw(self, who: int = 0, sides: int = 2, key: str = "", start: Any = None) -> Match:
        self.drawn += 1
        asked = {
            "key": key or f"key {self.drawn}",
            "robot": self.stations[who].id,
            "task": "reach",
            "instruction": "reach the ball",
            "picture": PICTURE,
            "start": self.drawn if start is None else start,
            "sides": sides,
        }
        return self.arena.draw(self.evaluators[who], asked, self.policies)

    def play(self, match: Match, progress: dict[str, float], who: int = 0) -> None:
        """Everything but the vote; progress by policy's id."""
        by = self.evaluators[who]
        for side in match.sides:
            self.arena.finish(by, match.id, side.letter, match.attempts(side.letter), facts())
            self.arena.score(by, match.id, side.letter, score(progress.get(side.policy, 50.0)))

    def vote(self, match: Match, preference: str, who: int = 0) -> None:
        self.arena.vote(self.evaluators[who], match.id, preference, "so it was", True)


def crew(log: TrialLog, evaluators: int = 1, policies: int = 3, rules: ArenaRules = RULES, **more: Any) -> Crew:
    return crew_of(Arena(log, rules, **more), evaluators, policies)


def crew_of(arena: Arena, evaluators: int = 1, policies: int = 3) -> Crew:
    made = Crew(arena)
    for k in range(evaluators):
        made.evaluators.append(account(made.arena, "evaluator", f"lab {k}"))
        made.stations.append(station(made.arena, made.evaluators[-1]))
    for k in range(policies):
        made.owners.append(account(made.arena, "owner", f"team {k}"))
        identity = combine(f"policy {k}", "a policy", k)
        made.policies.append(made.arena.add_policy(made.owners[-1], f"policy {k}", identity, False).id)
    return made
