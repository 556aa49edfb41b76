"""A finished match as everybody may see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roboscale.arena.match import Match
from roboscale.arena.state import ArenaState

__all__ = ["match_shown"]


def match_shown(state: ArenaState, match: Match, names: Mapping[str, str]) -> dict[str, Any]:
    """Its sides, rollouts, scores and vote, in JSON types; nothing of who evaluated it.

    Args:
        names: policy's id -> name, as `arena_names` gives them.
    """
    station = state.robots[match.robot]
    sides = []
    for side in match.sides:
        rollout, score = match.counted(side.letter), match.scores.get(side.letter)
        sides.append(
            {
                "letter": side.letter,
                "policy": names[side.policy],
                "rollout": None if rollout is None else rollout.to_json(),
                "score": None if score is None else score.to_json(),
                "attempts": match.attempts(side.letter),
            }
        )
    return {
        "id": match.id,
        "task": match.task,
        "instruction": match.instruction,
        "case": match.case.id,
        "robot": station.name,
        "site": station.site,
        "picture": match.picture,
        "sides": sides,
        "preference": match.preference,
        "text": match.text,
        "probability": match.probability,
        "created_ns": match.created_ns,
        "closed_ns": match.closed_ns,
    }
