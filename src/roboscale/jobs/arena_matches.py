"""A finished match as everybody may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from roboscale.arena.match import Account, Match
from roboscale.arena.state import ArenaState
from roboscale.arena.tables import arena_names

__all__ = ["match_shown", "matches_shown", "policy_words"]

_NOT_SHOWN = ("session", "reason")
_WORDS = 500


def match_shown(state: ArenaState, match: Match, names: Mapping[str, str]) -> dict[str, Any]:
    """Its sides, rollouts, scores and vote, in JSON types; nothing of who evaluated it, and no word of a policy's own.

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
                "rollout": None
                if rollout is None
                else {key: value for key, value in rollout.to_json().items() if key not in _NOT_SHOWN},
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


def matches_shown(
    state: ArenaState, before: int, count: int, *, policy: str = "", task: str = "", robot: str = "", site: str = ""
) -> dict[str, Any]:
    """The newest finished matches: of a policy, on a task, at a robot or site, by their names; of all by default.

    Args:
        before: the highest number; the first match has 1.
        count: at most so many.

    Returns:
        `matches`, each with its number, and `total`, how many there are of the kind.
    """
    names, total = arena_names(state), len(state.finished)
    numbers: Sequence[int] = range(total, 0, -1)
    if policy or task or robot or site:
        asked = {id_ for id_, name in names.items() if name == policy}

        def fits(match: Match) -> bool:
            station = state.robots[match.robot]
            place = (task or match.task, robot or station.name, site or station.site)
            met = not policy or any(side.policy in asked for side in match.sides)
            return met and place == (match.task, station.name, station.site)

        numbers = [k for k in numbers if fits(state.matches[state.finished[k - 1]])]
        total = len(numbers)
    some = list(islice((k for k in numbers if k <= before), count))
    matches = [{"number": k, **match_shown(state, state.matches[state.finished[k - 1]], names)} for k in some]
    return {"matches": matches, "total": total}


def policy_words(state: ArenaState, match: Match, account: Account | None) -> dict[str, str]:
    """Letter -> what that policy's server said of its mistake, in at most 500 letters: for organisers and its owner.

    It is a stranger's text, which may be long and may name anybody: nobody else is told.
    """
    told = {}
    for side in match.sides:
        rollout = match.counted(side.letter)
        mine = account is not None and state.policies[side.policy].owner == account.id
        if rollout is not None and rollout.reason and (mine or (account is not None and account.role == "organiser")):
            told[side.letter] = " ".join(rollout.reason.split())[:_WORDS]
    return told
