"""What an arena came to, as tables that anybody can count again: one row a comparison, one row a rollout.

The board is made from these very rows, and `roboscale rank` reads the files that hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from roboscale.arena.match import Match
from roboscale.arena.state import ArenaState
from roboscale.core import identity_labels

__all__ = ["arena_names", "comparison_rows", "match_rows", "trial_rows"]

Keep = Callable[[Match], bool]


def arena_names(state: ArenaState) -> dict[str, str]:
    """Policy's id -> its name; where two have one name, with digits behind it."""
    policies = list(state.policies.values())
    labels = identity_labels(p.identity.renamed(p.name) for p in policies)
    return {p.id: labels[p.identity] for p in policies}


def _voted(state: ArenaState, keep: Keep) -> Iterable[Match]:
    return (match for id_ in state.finished if keep(match := state.matches[id_]))


def comparison_rows(state: ArenaState, keep: Keep = lambda match: True) -> dict[str, list[Any]]:
    """Columns of every comparison, in the order of the votes; policies stand in the order in which they ran."""
    names = arena_names(state)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("policy_a", "policy_b", "winner", "task", "site", "robot", "session")
    }
    for match in _voted(state, keep):
        station = state.robots[match.robot]
        for a, b, outcome in match.comparisons():
            row = (
                names[match.policy_of(a)],
                names[match.policy_of(b)],
                {"first": "A", "second": "B", "tie": "tie"}[outcome],
                match.task,
                station.site,
                station.name,
                match.id,
            )
            for name, value in zip(columns, row, strict=True):
                columns[name].append(value)
    return columns


def trial_rows(state: ArenaState, keep: Keep = lambda match: True) -> dict[str, list[Any]]:
    """Columns of every rollout that counts, in the order of the votes; progress in 0..1."""
    names = arena_names(state)
    wanted = ("policy", "task", "site", "robot", "session", "success", "progress", "trial_id")
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for match in _voted(state, keep):
        station = state.robots[match.robot]
        for side in match.sides:
            score, rollout = match.scores[side.letter], match.counted(side.letter)
            trial = "" if rollout is None else rollout.trial
            place = (names[side.policy], match.task, station.site, station.name, match.id)
            for name, value in zip(columns, (*place, score.success, score.progress / 100, trial), strict=True):
                columns[name].append(value)
    return columns


def match_rows(state: ArenaState) -> list[dict[str, Any]]:
    """Every match that is over, whatever became of it, with how it was drawn: the assignment log.

    Names of people are left out, and of every rollout what its policy's server said of a mistake, a stranger's text,
    and what that server knew it as.
    """
    names = arena_names(state)
    rows = []
    for match in state.matches.values():
        if match.phase == "open":
            continue
        told = {k: v for k, v in match.to_json().items() if k not in ("key", "case")}
        told["rollouts"] = [
            {k: v for k, v in rollout.items() if k not in ("reason", "session")} for rollout in told["rollouts"]
        ]
        place = {"site": state.robots[match.robot].site, "robot_name": state.robots[match.robot].name}
        sides = {side.letter: names[side.policy] for side in match.sides}
        rows.append({**told, "case": match.case.id, **place, "names": sides})
    return rows
