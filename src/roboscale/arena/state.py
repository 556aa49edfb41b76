"""What an arena knows: the entries of its log, told one after the other. Nothing is known that no entry says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from roboscale.arena.match import (
    Account,
    Contestant,
    Invitation,
    Match,
    MatchScore,
    MatchSide,
    PlayedRollout,
    RobotStation,
)
from roboscale.core import BadData, Case, Identity, RolloutSettings
from roboscale.stats.bradley_terry import Comparisons, pair_indices
from roboscale.trials.log import LogEntry

__all__ = ["ARENA_KINDS", "ArenaState"]


class ArenaState:
    """People, robots, policies and matches, as of the entry `number`; `news` is the last that changes a board."""

    def __init__(self) -> None:
        self.number = 0
        self.news = 0
        self.invitations: dict[str, Invitation] = {}
        self.accounts: dict[str, Account] = {}
        self.by_token: dict[str, str] = {}
        self.robots: dict[str, RobotStation] = {}
        self.policies: dict[str, Contestant] = {}
        self.matches: dict[str, Match] = {}
        self.by_key: dict[tuple[str, str], str] = {}
        self.open: set[str] = set()
        self.finished: list[str] = []  # matches with a vote, in the order of the votes
        self.met: Counter[tuple[str, str]] = Counter()  # (robot, case) -> matches
        self.votes_of: Counter[str] = Counter()  # account -> its finished matches
        self.tried: Counter[str] = Counter()  # policy -> its finished matches
        self.running: Counter[str] = Counter()  # policy -> its open matches
        self.pairs: dict[tuple[str, str], list[int]] = {}  # sorted policies -> first won, second won, ties

    def tell(self, entry: LogEntry) -> None:
        """One more entry; of kinds that are no arena's, nothing but its number."""
        apply = _APPLY.get(entry.kind)
        if apply is not None:
            try:
                apply(self, entry.body, entry.time_ns)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadData(f"entry {entry.number}", entry.kind, "what an arena wrote", repr(error)) from error
        self.number = max(self.number, entry.number)
        if entry.kind in _ON_BOARD:
            self.news = max(self.news, entry.number)

    def copied(self) -> ArenaState:
        """What is known now, in collections of its own; what stands in them, such as a match, is the same."""
        made = ArenaState()
        for name, value in vars(self).items():
            setattr(made, name, value if isinstance(value, int) else value.copy())
        made.pairs = {pair: list(counts) for pair, counts in self.pairs.items()}
        return made

    def account_of(self, token_hash: str) -> Account | None:
        """Whose token it is; `None` for nobody's, and for a revoked one."""
        account = self.accounts.get(self.by_token.get(token_hash, ""))
        return None if account is None or account.revoked else account

    def close(self, match: Match, time_ns: int) -> None:
        """A match that nobody goes on with, for whatever reason."""
        match.closed_ns = time_ns
        self.open.discard(match.id)
        for side in match.sides:
            self.running[side.policy] -= 1

    def compared(self) -> Comparisons:
        """How often each policy that ever was in the arena beat, lost to and tied with each other one."""
        names = tuple(sorted(self.policies))
        first, second = pair_indices(len(names))
        none = [0, 0, 0]
        counts = [self.pairs.get((names[i], names[j]), none) for i, j in zip(first, second, strict=True)]
        table = np.array(counts, np.float64).reshape(-1, 3)
        return Comparisons(policies=names, counts=table, per_pair=table.sum(axis=1).astype(np.int64))

    def count(self, match: Match) -> None:
        """Counts a match that was voted on."""
        self.finished.append(match.id)
        self.votes_of[match.evaluator] += 1
        self.tried.update(side.policy for side in match.sides)
        for a, b, outcome in match.comparisons():
            one, other = match.policy_of(a), match.policy_of(b)
            turned = one > other
            column = {"first": 0, "second": 1, "tie": 2}[outcome]
            column = 1 - column if turned and column < 2 else column
            self.pairs.setdefault((other, one) if turned else (one, other), [0, 0, 0])[column] += 1


def _invited(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    state.invitations[body["code"]] = Invitation(**body)


def _joined(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    account = Account(**{key: body[key] for key in ("id", "name", "role", "group", "token")})
    state.accounts[account.id] = account
    state.by_token[account.token] = account.id
    if body["invitation"]:
        state.invitations[body["invitation"]].used_by = account.id


def _revoked(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    state.accounts[body["account"]].revoked = True


def _robot(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    state.robots[body["id"]] = RobotStation(
        **{
            **body,
            "world": Identity.from_json(body["world"]),
            "settings": RolloutSettings(**body["settings"]),
            "rubrics": {task: tuple(steps) for task, steps in body["rubrics"].items()},
        }
    )


def _policy(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    known = state.policies.get(body["id"])
    checked = {} if known is None else known.checked
    state.policies[body["id"]] = Contestant(**{**body, "identity": Identity.from_json(body["identity"])})
    state.policies[body["id"]].checked = checked


def _withdrawn(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    state.policies[body["policy"]].withdrawn = True


def _checked(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    state.policies[body["policy"]].checked[body["robot"]] = body["problem"]


def _match(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    made = {**body, "case": Case.parse(body["case"]), "sides": tuple(MatchSide(**side) for side in body["sides"])}
    match = Match(**made, created_ns=time_ns, touched_ns=time_ns)
    state.matches[match.id] = match
    state.by_key[match.evaluator, match.key] = match.id
    state.open.add(match.id)
    state.met[match.robot, match.case.id] += 1
    for side in match.sides:
        state.running[side.policy] += 1


def _rollout(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    match = state.matches[body["match"]]
    match.rollouts.append(PlayedRollout(**{k: v for k, v in body.items() if k != "match"}))
    match.touched_ns = time_ns


def _film(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    match = state.matches[body["match"]]
    match.rollouts = [
        replace(one, video=body["video"]) if one.trial == body["trial"] else one for one in match.rollouts
    ]
    match.touched_ns = time_ns


def _score(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    match = state.matches[body["match"]]
    values = {k: v for k, v in body.items() if k not in ("match", "time_ns")}
    match.scores[body["letter"]] = MatchScore(**{**values, "damage": tuple(body["damage"])})
    match.touched_ns = time_ns


def _vote(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    match = state.matches[body["match"]]
    match.preference, match.text = body["preference"], body["text"]
    match.phase = "voted" if body["valid"] else "invalid"
    state.close(match, time_ns)
    if body["valid"]:
        state.count(match)


def _expired(state: ArenaState, body: Mapping[str, Any], time_ns: int) -> None:
    match = state.matches[body["match"]]
    match.phase = "expired"
    state.close(match, time_ns)


_APPLY: Mapping[str, Callable[[ArenaState, Mapping[str, Any], int], None]] = {
    "invited": _invited,
    "joined": _joined,
    "revoked": _revoked,
    "robot": _robot,
    "policy": _policy,
    "withdrawn": _withdrawn,
    "checked": _checked,
    "match": _match,
    "rollout": _rollout,
    "film": _film,
    "score": _score,
    "vote": _vote,
    "expired": _expired,
}

_ON_BOARD = ("robot", "policy", "withdrawn", "vote", "expired")

ARENA_KINDS = tuple(_APPLY)
"""Kinds of entries that an arena writes."""
