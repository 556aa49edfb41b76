"""The arena: people, places, assignment and blindness around the log of trials, which keeps everything that happens.

Every method that changes something commits one entry with what belongs to it, all or nothing, and only then answers.
Asking the same again gives the same answer and changes nothing. Several servers may share one log: an entry is only
written by who knows all that came before it.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from roboscale.arena.assign import UNIFORM_SHARE, draw_sides, pair_gains
from roboscale.arena.match import LETTERS, Account, AccountRole, Contestant, Match, RobotStation
from roboscale.arena.people import Refused, hashed, new_secret
from roboscale.arena.state import ArenaState
from roboscale.core import BadData, Case, Identity, Judgement, RolloutSettings, Trial, derive_id
from roboscale.core.plain import to_plain
from roboscale.trials.log import LogEntry, TrialLog, as_kept

__all__ = ["Arena", "ArenaRules"]

_TRIES = 20
_WEEK_NS = 7 * 24 * 3600 * 10**9


@dataclass(frozen=True, kw_only=True)
class ArenaRules:
    """How matches are drawn and how long things last.

    Args:
        credits: matches that the policies of a group may have before anybody of it evaluates; each of its policies
            costs half a match's credit, each match that it evaluates earns one.
        share: no policy may have more than this many times the mean number of matches, and five; two policies may
            not meet more than this many times as often as the mean pair, and three times, where others may.
        uniform: share of the draws that do not look at what is known.
        expire_s: seconds after which a match that nobody goes on with is over.
        most_sides: policies that may meet in one scene.
        checks: whether a policy has to answer a robot's recorded observations before it may meet it.
    """

    credits: float = 200.0
    share: float = 1.5
    uniform: float = UNIFORM_SHARE
    expire_s: float = 1800.0
    most_sides: int = 7
    checks: bool = True


@dataclass(kw_only=True)
class _Written:
    """What is to be committed together."""

    kind: str
    id: str
    body: Mapping[str, Any]
    trials: Sequence[Trial] = ()
    judgements: Sequence[Judgement] = ()


class Arena:
    """One arena on one log. From any thread.

    Args:
        log: keeps trials, judgements and every entry; open for writing.
        rules: of the draw.
        draw_seed: gives the seed of each draw; by default 31 bits that nobody can foresee.
    """

    def __init__(
        self,
        log: TrialLog,
        rules: ArenaRules | None = None,
        draw_seed: Callable[[], int] = lambda: secrets.randbits(31),
    ) -> None:
        self.log, self.rules, self._draw_seed = log, rules or ArenaRules(), draw_seed
        self.state = ArenaState()
        self._lock = threading.RLock()
        with self._lock:
            self.catch_up()

    def catch_up(self, *, wait: bool = True) -> None:
        """Reads what others wrote; with `wait=False` not while somebody here writes, who reads it anyway."""
        if self._lock.acquire(blocking=wait):
            try:
                for entry in self.log.entries(after=self.state.number):
                    self.state.tell(entry)
            finally:
                self._lock.release()

    def snapshot(self) -> ArenaState:
        """What is known now, for whoever takes long to look at it."""
        with self._lock:
            return self.state.copied()

    # people

    def invite(self, by: Account | None, role: str, group: str, days: float = 14.0) -> str:
        """A code with which somebody becomes an account; `by` is `None` for who starts the server."""
        if role not in get_args(AccountRole):
            raise Refused(422, f"role: expected one of {', '.join(get_args(AccountRole))}, found {role!r}")
        if by is not None and by.role != "organiser":
            raise Refused(403, "only organisers invite")
        code = new_secret()
        expires = time.time_ns() + int(days * 24 * 3600 * 1e9)
        body = {"code": hashed(code), "role": role, "group": group, "by": "host" if by is None else by.id}
        self._commit(
            lambda: _Written(kind="invited", id=f"invited:{hashed(code)}", body={**body, "expires_ns": expires})
        )
        return code

    def join(self, code: str, name: str) -> tuple[Account, str]:
        """Uses a code up; the account and its token, which is told this once."""
        token, key = new_secret(), hashed(code)

        def make() -> _Written:
            invitation = self.state.invitations.get(key)
            if invitation is None or invitation.used_by or invitation.expires_ns < time.time_ns():
                raise Refused(403, "this invitation is unknown, used or expired")
            id_ = derive_id("account", key)
            body = {"id": id_, "name": name, "role": invitation.role, "group": invitation.group}
            return _Written(
                kind="joined", id=f"joined:{key}", body={**body, "token": hashed(token), "invitation": key}
            )

        self._commit(make)
        account = self.who(token)
        assert account is not None, "it was just made"
        return account, token

    def who(self, token: str) -> Account | None:
        """Whose token it is; `None` for nobody's."""
        account = self.state.account_of(hashed(token))
        if account is None and token:
            self.catch_up()  # another server may have met them
            account = self.state.account_of(hashed(token))
        return account

    def revoke(self, by: Account, account: str) -> None:
        """Ends an account's token, for ever."""
        if by.role != "organiser":
            raise Refused(403, "only organisers revoke")
        if account not in self.state.accounts:
            raise Refused(404, "no such account")
        self._commit(lambda: _Written(kind="revoked", id=f"revoked:{account}", body={"account": account, "by": by.id}))

    # robots and policies

    def add_robot(self, by: Account, told: Mapping[str, Any]) -> RobotStation:
        """Registers a robot, or says anew what it is.

        Args:
            told: name, site, world (an identity's JSON), tasks, settings, rubrics, action_size.
        """
        self._require(by, "evaluator")
        try:
            world, settings = Identity.from_json(told["world"]), RolloutSettings(**told["settings"])
        except (TypeError, BadData) as error:
            raise Refused(422, f"robot: {error}") from error
        id_ = derive_id("robot", by.id, told["name"], world.digest)
        body = {
            "id": id_,
            "account": by.id,
            "world": world.to_json(),
            "settings": settings.to_json(),
            **{key: to_plain(told[key]) for key in ("name", "site", "tasks", "rubrics", "action_size")},
        }
        self._commit(lambda: _Written(kind="robot", id=f"robot:{id_}:{_digest(body)}", body=body))
        return self.state.robots[id_]

    def add_policy(self, by: Account, name: str, identity: Identity, public: bool) -> Contestant:
        """Registers a policy by its content."""
        self._require(by, "owner")
        id_ = identity.digest
        known = self.state.policies.get(id_)
        if known is not None and known.owner != by.id:
            raise Refused(403, "another account offers a policy with this very content")
        body = {
            "id": id_,
            "name": name,
            "owner": by.id,
            "group": by.group,
            "identity": identity.to_json(),
            "public": public,
        }
        self._commit(lambda: _Written(kind="policy", id=f"policy:{id_}:{_digest(body)}", body=body))
        return self.state.policies[id_]

    def own_policy(self, by: Account, policy: str) -> Contestant:
        """A policy of this account; Refused where it is none."""
        self._require(by, "owner")
        known = self.state.policies.get(policy)
        if known is None or known.owner != by.id:
            raise Refused(404, "you offer no such policy")
        return known

    def withdraw(self, by: Account, policy: str) -> None:
        """Takes a policy out: it meets nobody any more; what was done stays."""
        known = self.state.policies.get(policy)
        if known is None or not (known.owner == by.id or by.role == "organiser"):
            raise Refused(404, "you offer no such policy")
        self._commit(
            lambda: _Written(kind="withdrawn", id=f"withdrawn:{policy}", body={"policy": policy, "by": by.id})
        )

    def note_check(self, policy: str, robot: str, problem: str, facts: Mapping[str, Any]) -> None:
        """Keeps how a policy answered a robot's recorded observations; `problem` is empty where it may meet it."""
        body = {"policy": policy, "robot": robot, "problem": problem, "facts": to_plain(facts)}
        self._commit(lambda: _Written(kind="checked", id=f"checked:{secrets.token_hex(8)}", body=body))

    # matches

    def allowed(
        self, station: RobotStation, by: Account, present: Collection[str]
    ) -> tuple[list[str], dict[str, str]]:
        """Policies that may meet on this robot now, and why others may not."""
        state, rules = self.state, self.rules
        spent: dict[str, float] = {}
        for one in state.policies.values():
            spent[one.group] = spent.get(one.group, 0.0) + 0.5 * (state.tried[one.id] + state.running[one.id])
        earned: dict[str, int] = {}
        for account, votes in state.votes_of.items():
            group = state.accounts[account].group
            earned[group] = earned.get(group, 0) + votes
        here = [p for p in state.policies.values() if not p.withdrawn and p.id in present]
        load = {p.id: state.tried[p.id] + state.running[p.id] for p in here}
        mean = sum(load.values()) / len(load) if load else 0.0
        left_out: dict[str, str] = {}
        for one in state.policies.values():
            if one.withdrawn:
                left_out[one.id] = "withdrawn"
            elif one.id not in present:
                left_out[one.id] = "nobody offers it now"
            elif rules.checks and one.checked.get(station.id, "not checked yet"):
                left_out[one.id] = f"check: {one.checked.get(station.id, 'not checked yet')}"
            elif one.group == by.group:
                left_out[one.id] = "of the evaluator's own group"
            elif spent[one.group] >= rules.credits + earned.get(one.group, 0):
                left_out[one.id] = "its group has no credit left"
            elif load[one.id] > rules.share * mean + 5:
                left_out[one.id] = "has had its share"
        return [p.id for p in here if p.id not in left_out], left_out

    def draw(self, by: Account, asked: Mapping[str, Any], present: Collection[str]) -> Match:
        """Draws who meets. The instruction and the picture come first: they are part of what is asked.

        Args:
            asked: key, robot, task, instruction, picture (digest), start (of the case), sides.
            present: policies that somebody offers now.
        """
        self._require(by, "evaluator")
        station = self.state.robots.get(asked["robot"])
        if station is None or station.account != by.id:
            raise Refused(404, "you run no such robot")
        if asked["task"] not in station.tasks:
            raise Refused(422, f"task: expected one of {', '.join(station.tasks)}, found {asked['task']!r}")
        if not 2 <= asked["sides"] <= self.rules.most_sides:
            raise Refused(422, f"sides: expected 2 to {self.rules.most_sides}, found {asked['sides']}")
        self.expire()
        case = Case(asked["task"], asked["start"])
        id_ = derive_id("match", by.id, asked["key"])

        def make() -> _Written | None:
            if (known := self.state.matches.get(id_)) is not None:
                same = (known.robot, known.task, known.instruction, known.picture, len(known.sides))
                if same != (station.id, case.task, asked["instruction"], asked["picture"], asked["sides"]):
                    raise Refused(409, "this key was used for another match")
                return None
            busy = [m for m in self.state.open if self.state.matches[m].robot == station.id]
            if busy:
                raise Refused(409, f"match {busy[0][:8]} is still open on this robot: finish it, or give it up")
            allowed, left_out = self.allowed(station, by, present)
            if len(allowed) < asked["sides"]:
                reasons = "; ".join(f"{self.state.policies[p].name[:40]}: {why}" for p, why in left_out.items())
                raise Refused(409, f"{len(allowed)} policies may meet here now ({_blind(reasons, left_out)})")
            body = {
                "id": id_,
                "key": asked["key"],
                "evaluator": by.id,
                "robot": station.id,
                "task": case.task,
                "instruction": asked["instruction"],
                "case": case.id,
                "round": self.state.met[station.id, case.id],
                "picture": asked["picture"],
                **self._drawn(allowed, left_out, asked["sides"]),
            }
            return _Written(kind="match", id=f"match:{id_}", body=body)

        pair_gains(self.state.compared())  # found again by `make`, where everybody else waits
        self._commit(make)
        return self.state.matches[id_]

    def _drawn(self, allowed: list[str], left_out: Mapping[str, str], sides: int) -> dict[str, Any]:
        """Who meets, with the probability, the seed and the candidates; JSON types."""
        met = {pair: sum(counts) for pair, counts in self.state.pairs.items()}
        mean = sum(met.values()) / max(len(allowed) * (len(allowed) - 1) / 2, 1)
        drawn = draw_sides(
            self.state.compared(),
            allowed,
            self._draw_seed(),
            sides,
            self.rules.uniform,
            spent=met,
            most=self.rules.share * mean + 3,
        )
        return {
            "sides": [{"letter": LETTERS[k], "policy": p} for k, p in enumerate(drawn.policies)],
            "probability": drawn.probability,
            "seed": drawn.seed,
            "drawn": drawn.told(left_out),
        }

    def own_match(self, by: Account, match: str) -> Match:
        """A match of this evaluator; Refused where it is none."""
        self._require(by, "evaluator")
        if match not in self.state.matches:
            self.catch_up()  # another server may have drawn it
        known = self.state.matches.get(match)
        if known is None or known.evaluator != by.id:
            raise Refused(404, "you run no such match")
        return known

    def open_match(self, by: Account, match: str, letter: str) -> Match:
        """The same, where its side is the one that is due; Refused with 409 where it is not."""
        known = self.own_match(by, match)
        if known.phase != "open":
            raise Refused(409, f"this match is over: {known.phase}")
        if letter != known.next_letter:
            raise Refused(409, f"{letter} is not due: {known.next_letter or 'the vote'} is")
        return known

    def session_of(self, match: Match, letter: str) -> str:
        """What the policy's server knows the next rollout as: nothing that tells match, side or opponent."""
        return derive_id("rollout session", match.id, match.seed, letter, match.attempts(letter))

    def finish(self, by: Account, match: str, letter: str, attempt: int, facts: Mapping[str, Any]) -> Match:
        """Keeps one rollout, its trial included. The same again changes nothing.

        Args:
            facts: end, reason, steps, clipped, held, late, actions, measures, seconds, thinking_s, started_ns,
                episode.
        """
        known = self.own_match(by, match)
        if letter not in {side.letter for side in known.sides}:
            raise Refused(404, "this match has no such side")

        def make() -> _Written | None:
            trial = self._trial(known, letter, attempt, facts)
            done = next((r for r in known.rollouts if (r.letter, r.attempt) == (letter, attempt)), None)
            if done is not None:
                if (done.end, done.steps) != (trial.end, trial.steps):
                    raise Refused(409, f"attempt {attempt} of {letter} is kept already, and went otherwise")
                return None
            self.open_match(by, match, letter)
            if known.counted(letter) is not None:
                raise Refused(409, f"{letter} has its rollout; its score is due")
            if attempt != known.attempts(letter):
                raise Refused(409, f"attempt: expected {known.attempts(letter)}, found {attempt}")
            body = {
                "match": match,
                "letter": letter,
                "attempt": attempt,
                "trial": trial.id,
                "end": trial.end,
                "reason": trial.reason,
                "steps": trial.steps,
                "seconds": trial.seconds,
                "session": self.session_of(known, letter),
            }
            return _Written(kind="rollout", id=f"rollout:{match}:{letter}:{attempt}", body=body, trials=(trial,))

        self._commit(make)
        return known

    def _trial(self, match: Match, letter: str, attempt: int, facts: Mapping[str, Any]) -> Trial:
        station = self.state.robots[match.robot]
        actions = np.asarray(facts["actions"], np.float32)
        try:
            return Trial(
                policy=self.state.policies[match.policy_of(letter)].identity,
                world=station.world,
                case=match.case,
                settings=station.settings,
                round=match.round,
                attempt=attempt,
                end=facts["end"],
                reason=facts["reason"],
                steps=facts["steps"],
                clipped=facts["clipped"],
                held=facts["held"],
                late=facts["late"],
                actions=actions,
                measures=dict(facts["measures"]),
                episode=facts["episode"],
                run=match.id,
                started_ns=facts["started_ns"],
                seconds=facts["seconds"],
                thinking_s=facts["thinking_s"],
            )
        except (TypeError, ValueError) as error:
            raise Refused(422, f"rollout: {error}") from error

    def add_film(self, by: Account, match: str, letter: str, attempt: int, video: str) -> None:
        """Names the film of a rollout that is kept."""
        known = self.own_match(by, match)
        done = next((r for r in known.rollouts if (r.letter, r.attempt) == (letter, attempt)), None)
        if done is None:
            raise Refused(409, "its rollout is not kept yet")
        body = {"match": match, "trial": done.trial, "video": video}
        self._commit(
            lambda: None if done.video == video else _Written(kind="film", id=f"film:{done.trial}", body=body)
        )

    def score(self, by: Account, match: str, letter: str, said: Mapping[str, Any]) -> Match:
        """Keeps what the evaluator says of one side, as a judgement of its trial.

        Args:
            said: progress (0..100), success, damage, text.
        """
        known = self.own_match(by, match)

        def make() -> _Written | None:
            body = {"match": match, "letter": letter, **{k: said[k] for k in ("progress", "success", "text")}}
            body["damage"] = list(said["damage"])
            before = known.scores.get(letter)
            if before is not None:
                if {**before.to_json(), "match": match} != body:
                    raise Refused(409, f"{letter} has its score")
                return None
            self.open_match(by, match, letter)
            rollout = known.counted(letter)
            if rollout is None:
                raise Refused(409, f"{letter} has no rollout that counts yet")
            reason = " ".join([*(f"[{one}]" for one in said["damage"]), said["text"]]).strip()
            judgement = Judgement(
                trial=rollout.trial,
                referee="person",
                time_ns=time.time_ns(),
                state="decided",
                success=said["success"],
                progress=said["progress"] / 100,
                reason=reason,
                by=by.id,
            )
            return _Written(kind="score", id=f"score:{match}:{letter}", body=body, judgements=(judgement,))

        self._commit(make)
        return known

    def vote(self, by: Account, match: str, preference: str, text: str, valid: bool) -> Match:
        """Ends a match with a letter or `tie`, or as one that does not count; then, and not before, names are told."""
        known = self.own_match(by, match)

        def make() -> _Written | None:
            if known.phase in ("voted", "invalid"):
                if (known.preference, known.text, known.phase == "voted") != (preference, text, valid):
                    raise Refused(409, "this match has its vote")
                return None
            if known.phase != "open":
                raise Refused(409, f"this match is over: {known.phase}")
            if valid and known.next_letter:
                raise Refused(409, f"{known.next_letter} is due before the vote")
            body = {"match": match, "preference": preference, "text": text, "valid": valid, "by": by.id}
            return _Written(kind="vote", id=f"vote:{match}", body=body)

        self._commit(make)
        return known

    def expire(self) -> None:
        """Ends matches that nobody goes on with."""
        before = time.time_ns() - int(self.rules.expire_s * 1e9)
        for id_ in [m for m in list(self.state.open) if self.state.matches[m].touched_ns < before]:
            body = {"match": id_}

            def make(id_: str = id_, body: Mapping[str, Any] = body) -> _Written | None:
                match = self.state.matches[id_]
                stale = match.phase == "open" and match.touched_ns < before
                return _Written(kind="expired", id=f"expired:{id_}", body=body) if stale else None

            self._commit(make)

    # the one way into the log

    def _commit(self, make: Callable[[], _Written | None]) -> None:
        """Commits what `make` makes of what is known; made anew where another server was quicker.

        Nothing is read first: what is written says after which entry, and a refusal is looked at once more.
        """
        with self._lock:
            current = False  # whether nothing is newer than what is known, as of this call
            for _ in range(_TRIES):
                try:
                    written = make()
                except Refused:
                    if current:
                        raise
                    self.catch_up()
                    current = True
                    continue
                if written is None or self._append(written):
                    return
                self.catch_up()
                current = True
        raise Refused(503, "too many servers write at once; ask again")

    def _append(self, written: _Written) -> bool:
        """Commits and tells; False, and nothing was written, where there are entries that nobody told here."""
        before = self.state.number
        entry = LogEntry(
            id=written.id,
            kind=written.kind,
            body=written.body,
            time_ns=time.time_ns(),
            monotonic_ns=time.monotonic_ns(),
        )
        newest = self.log.append((entry,), after=before, trials=written.trials, judgements=written.judgements)
        if newest is None:
            return False
        if newest > before:  # otherwise it was known already
            self.state.tell(as_kept(entry, newest))
        return True

    def _require(self, by: Account, role: str) -> None:
        if by.role != role:
            raise Refused(403, f"this is for {role}s; your token is an {by.role}'s")


def _digest(body: Mapping[str, Any]) -> str:
    return derive_id(json.dumps(body, sort_keys=True))[:12]


def _blind(reasons: str, left_out: Mapping[str, str]) -> str:
    """Reasons without names: an evaluator must not learn who is there."""
    counts: dict[str, int] = {}
    for why in left_out.values():
        counts[why.partition(":")[0]] = counts.get(why.partition(":")[0], 0) + 1
    return "; ".join(f"{n} {why}" for why, n in sorted(counts.items())) or "nobody offers any"
