"""What an arena's server answers: the arena, the relay between robots and policies, and the pictures and films."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from roboscale.arena.arena import Arena
from roboscale.arena.flags import flag_evaluators
from roboscale.arena.match import Account, Match
from roboscale.arena.media import MediaStore
from roboscale.arena.people import RateLimit, Refused
from roboscale.arena.relay import Relay
from roboscale.arena.tables import arena_names
from roboscale.core import Identity, InfrastructureError, PolicyError, derive_id, derive_seed
from roboscale.jobs.arena_board import arena_board
from roboscale.jobs.arena_frames import read_actions, read_facts, read_frame
from roboscale.jobs.arena_matches import match_shown, matches_shown, policy_words
from roboscale.wire import WireError, pack, unpack

__all__ = ["ArenaServer"]

_SAMPLES = 50
_PULL_S = 15.0
_SLOW_BOARD_S = 0.1
_REST_S = 5.0
_SECRET = ("code", "token", "invitation")


class ArenaServer:
    """Whom `web.arena` asks.

    Args:
        arena: what is kept.
        media: pictures and films.
        relay: between robots and policies.
    """

    def __init__(self, arena: Arena, media: MediaStore, relay: Relay, *, rate_hz: float = 200.0) -> None:
        self.arena, self._media, self._relay = arena, media, relay
        self._accounts = RateLimit(rate_hz, int(2 * rate_hz))
        self._strangers = RateLimit(50.0, 200)
        self._told: dict[str, str] = {}  # session -> what the policy's server said of its mistake
        self._checking: set[tuple[str, str]] = set()
        self._board: tuple[int, bytes] = (-1, b"")
        self._board_s = self._board_at = 0.0
        self._board_lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # what web.arena asks of everything

    def who(self, token: str) -> Account | None:
        return self.arena.who(token)

    def allows(self, asker: str) -> bool:
        return (self._strangers if asker.startswith("address") else self._accounts).allows(asker)

    def operation(self, name: str) -> Callable[..., Any]:
        handler: Callable[..., Any] = getattr(self, f"_do_{name}")
        return handler

    def media(self, name: str) -> Path | None:
        return self._media.path(name)

    # for everybody

    def _do_board(self, account: Account | None, body: None) -> bytes:
        """Where it takes long, the last one, while the next is made; and no two without a rest between them."""
        self.arena.catch_up(wait=False)
        number, made = self._board
        wanted = self.arena.state.news
        if number >= wanted:
            return made
        if number >= 0 and self._board_s > _SLOW_BOARD_S:
            rested = time.monotonic() - self._board_at > min(self._board_s, _REST_S)
            if rested and not self._board_lock.locked():
                threading.Thread(target=self.make_board, args=(wanted,), daemon=True).start()
            return made
        self.make_board(wanted)
        return self._board[1]

    def make_board(self, wanted: int = 0) -> None:
        """The board with every entry up to this one; of all who ask at once, the first makes it."""
        with self._board_lock:
            if self._board[0] >= wanted:
                return
            state, begun = self.arena.snapshot(), time.monotonic()
            self._board = state.number, json.dumps(arena_board(state).to_json(), allow_nan=False).encode()
            self._board_at = time.monotonic()
            self._board_s = self._board_at - begun

    def _do_finished(
        self, account: Account | None, body: None, before: int = 2**62, count: int = 20, **only: str
    ) -> dict[str, Any]:
        return matches_shown(self.arena.state, before, min(count, 100), **only)

    def _do_match(self, account: Account | None, body: None, match: str) -> dict[str, Any]:
        known = self.arena.state.matches.get(match)
        if known is None or known.phase != "voted":
            raise Refused(404, "no finished match has this id")
        shown = match_shown(self.arena.state, known, arena_names(self.arena.state))
        words = policy_words(self.arena.state, known, account)
        told = {"policy_words": words} if words else {}
        return {**shown, **told, "drawn": known.drawn, "seed": known.seed, "round": known.round}

    def _do_join(self, account: Account | None, body: Any) -> dict[str, Any]:
        made, token = self.arena.join(body.code, body.name)
        return {"account": made.id, "role": made.role, "group": made.group, "token": token}

    # for accounts

    def _do_me(self, account: Account, body: None) -> dict[str, Any]:
        state = self.arena.state
        robots = [r.to_json() for r in list(state.robots.values()) if r.account == account.id]
        policies = [p.to_json() for p in list(state.policies.values()) if p.owner == account.id]
        mine = [m for m in list(state.open) if state.matches[m].evaluator == account.id]
        told = {key: value for key, value in account.to_json().items() if key not in _SECRET}
        return {**told, "robots": robots, "policies": policies, "open": mine}

    def _do_invite(self, account: Account, body: Any) -> dict[str, str]:
        return {"code": self.arena.invite(account, body.role, body.group)}

    def _do_accounts(self, account: Account, body: None) -> dict[str, Any]:
        told = [a.to_json() for a in list(self.arena.state.accounts.values())]
        return {"accounts": [{k: v for k, v in one.items() if k not in _SECRET} for one in told]}

    def _do_revoke(self, by: Account, body: None, account: str) -> dict[str, str]:
        self.arena.revoke(by, account)
        return {"revoked": account}

    def _do_flags(self, account: Account, body: None) -> dict[str, Any]:
        accounts = self.arena.state.accounts
        flags = flag_evaluators(self.arena.snapshot())
        return {"flags": [{**f.to_json(), "name": accounts[f.account].name} for f in flags]}

    def _do_audit(self, account: Account, body: None, before: int = 2**62, count: int = 100) -> dict[str, Any]:
        newest = min(before, self.arena.state.number + 1)
        entries = self.arena.log.entries(after=max(0, newest - 1 - min(count, 1000)))
        rows = [
            {
                "number": e.number,
                "kind": e.kind,
                "time_ns": e.time_ns,
                **{k: v for k, v in e.body.items() if k not in (*_SECRET, "kind", "number", "time_ns")},
            }
            for e in reversed(entries)
            if e.number < newest
        ]
        return {"entries": rows}

    # for owners

    def _do_add_policy(self, account: Account, body: Any) -> dict[str, str]:
        identity = Identity(body.identity.name, body.identity.digest, body.identity.unverified)
        return {"policy": self.arena.add_policy(account, body.name, identity, body.public).id}

    def _do_withdraw(self, account: Account, body: None, policy: str) -> dict[str, str]:
        self.arena.withdraw(account, policy)
        return {"withdrawn": policy}

    async def _do_pull(self, account: Account, body: None, policy: str) -> bytes | None:
        self.arena.own_policy(account, policy)
        self._begin_checks(policy)
        asked = await self._relay.pull(policy, _PULL_S)
        return None if asked is None else pack({"ask": asked.id, "frame": asked.frame})

    async def _do_answer(self, account: Account, body: bytes, policy: str, ask: str) -> dict[str, bool]:
        self.arena.own_policy(account, policy)
        return {"wanted": self._relay.answer(policy, ask, body)}

    # checks of a policy, before it may meet a robot

    def _begin_checks(self, policy: str) -> None:
        state = self.arena.state
        for robot in list(state.robots):
            key = policy, robot
            if key not in self._checking and robot not in state.policies[policy].checked:
                samples = self._samples(robot)
                if samples.exists():
                    self._checking.add(key)
                    task = asyncio.create_task(self._check(policy, robot, samples))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _check(self, policy: str, robot: str, samples: Path) -> None:
        """Asks a policy the robot's recorded observations, and keeps how it answered."""
        problem, facts = "", {"asked": 0}
        try:
            await asyncio.sleep(0)  # the pull that began this has to wait first
            told = unpack(await run_in_threadpool(samples.read_bytes))
            station = self.arena.state.robots[robot]
            problem, facts = await self._ask_samples(policy, told, station.action_size)
        except (WireError, OSError, KeyError, TypeError) as error:
            problem = f"the robot's samples cannot be read: {type(error).__name__}"
        finally:
            self._checking.discard((policy, robot))
        if problem != "nobody offers the policy now":  # it is checked when it is there again
            await run_in_threadpool(self.arena.note_check, policy, robot, problem, facts)

    async def _ask_samples(self, policy: str, told: Mapping[str, Any], size: int) -> tuple[str, dict[str, Any]]:
        seconds: list[float] = []
        low, high = np.asarray(told["low"], np.float64), np.asarray(told["high"], np.float64)
        outside = rows = 0
        for number, observation in enumerate(told["observations"][:_SAMPLES]):
            session = derive_id("check", policy, number // 10)
            frame = pack({**observation, "prompt": told["instruction"], "roboscale/session": session})
            begun = time.monotonic()
            try:
                actions = read_actions(await self._relay.ask(policy, frame))
            except (PolicyError, InfrastructureError) as error:
                return str(error), {"asked": number + 1}
            seconds.append(time.monotonic() - begun)
            if actions.shape[1] != size:
                return f"actions: expected {size} numbers, found {actions.shape[1]}", {"asked": number + 1}
            rows += len(actions)
            outside += int(((actions < low) | (actions > high)).any(axis=1).sum())
        facts = {
            "asked": len(seconds),
            "median_s": statistics.median(seconds) if seconds else None,
            "rows": rows,
            "outside_limits": outside,
        }
        return "", facts

    def _samples(self, robot: str) -> Path:
        return self._media.folder / f"samples-{robot}.msgpack"

    # for evaluators

    def _do_add_robot(self, account: Account, body: Any) -> dict[str, str]:
        told = {
            "name": body.name,
            "site": body.site,
            "world": {"name": body.world.name, "digest": body.world.digest, "unverified": body.world.unverified},
            "tasks": dict(body.tasks),
            "settings": {
                key: getattr(body.settings, key)
                for key in ("horizon", "rate_hz", "pace", "execute", "watch", "latency")
            },
            "rubrics": {task: list(steps) for task, steps in body.rubrics.items()},
            "action_size": body.action_size,
        }
        return {"robot": self.arena.add_robot(account, told).id}

    async def _do_add_samples(self, account: Account, body: bytes, robot: str) -> dict[str, int]:
        station = self.arena.state.robots.get(robot)
        if station is None or station.account != account.id:
            raise Refused(404, "you run no such robot")
        told = await run_in_threadpool(read_frame, body)
        observations, low, high = told.get("observations"), told.get("low"), told.get("high")
        bounds = [np.shape(one) for one in (low, high) if isinstance(one, np.ndarray)]
        if (
            not isinstance(observations, list)
            or not 1 <= len(observations) <= _SAMPLES
            or not all(isinstance(one, dict) for one in observations)
            or not isinstance(told.get("instruction"), str)
            or bounds != [(station.action_size,)] * 2
        ):
            raise Refused(422, f"samples: expected 1 to {_SAMPLES} observations, an instruction, and bounds low, high")
        await run_in_threadpool(self._samples(robot).write_bytes, body)
        for policy in list(self.arena.state.policies):  # those that wait for something to do are asked at once
            if self._relay.present(policy):
                self._begin_checks(policy)
        return {"samples": len(observations)}

    def _do_add_picture(self, account: Account, body: bytes) -> dict[str, str]:
        return {"picture": self._media.keep_picture(body)}

    def _do_draw(self, account: Account, body: Any) -> dict[str, Any]:
        if self._media.path(f"{body.picture}.jpg") is None:
            raise Refused(422, "picture: expected the digest of a picture that was kept")
        asked = {
            key: getattr(body, key) for key in ("key", "robot", "task", "instruction", "picture", "start", "sides")
        }
        present = [p for p in list(self.arena.state.policies) if self._relay.present(p)]
        return self._blind_json(self.arena.draw(account, asked, present))

    def _do_blind(self, account: Account, body: None, match: str) -> dict[str, Any]:
        return self._blind_json(self.arena.own_match(account, match))

    def _blind_json(self, match: Match) -> dict[str, Any]:
        """What an evaluator may know: nothing of who the sides are before the vote, and who they were after it."""
        told: dict[str, Any] = {
            "match": match.id,
            "phase": match.phase,
            "letters": [side.letter for side in match.sides],
            "due": match.next_letter,
            "ran": [side.letter for side in match.sides if match.counted(side.letter) is not None],
            "attempts": {side.letter: match.attempts(side.letter) for side in match.sides},
            "scored": sorted(match.scores),
            "picture": match.picture,
            "instruction": match.instruction,
            "task": match.task,
            "case": match.case.id,
        }
        if match.phase == "voted":
            names = arena_names(self.arena.state)
            told["policies"] = {side.letter: names[side.policy] for side in match.sides}
        return told

    async def _do_act(self, account: Account, body: bytes, match: str, letter: str) -> bytes:
        """One observation to the side that is due, and its answer, with nothing in it but actions."""
        known = self.arena.open_match(account, match, letter)
        if known.counted(letter) is not None:
            raise Refused(409, f"{letter} has its rollout; its score is due")
        session = self.arena.session_of(known, letter)
        seed = derive_seed("rollout", known.seed, letter, known.attempts(letter))
        told = read_frame(body)
        frame = {key: value for key, value in told.items() if isinstance(value, np.ndarray)}
        more = {"prompt": known.instruction, "roboscale/session": session, "roboscale/seed": seed}
        policy = known.policy_of(letter)
        try:
            actions = read_actions(await self._relay.ask(policy, pack({**frame, **more})))
        except PolicyError as error:
            self._told[session] = " ".join(str(error).split())[:2000]
            return pack({"error": "policy"})
        except InfrastructureError as error:
            self._told[session] = " ".join(str(error).split())[:2000]
            return pack({"error": "infrastructure"})
        return pack({"actions": actions})

    def _do_finish(self, account: Account, body: bytes, match: str, letter: str, attempt: int) -> dict[str, Any]:
        facts = read_facts(body)
        known = self.arena.own_match(account, match)
        if facts["end"] in ("policy error", "void") and any(s.letter == letter for s in known.sides):
            facts["reason"] = self._told.get(self.arena.session_of(known, letter), facts["reason"])
        return self._blind_json(self.arena.finish(account, match, letter, attempt, facts))

    def _do_film(
        self, account: Account, body: bytes, match: str, letter: str, attempt: int, offset: int = 0, size: int = 0
    ) -> dict[str, int]:
        known = self.arena.own_match(account, match)
        done = next((r for r in known.rollouts if (r.letter, r.attempt) == (letter, attempt)), None)
        if done is None:
            raise Refused(409, "its rollout is not kept yet")
        if done.video:
            return {"received": size}
        upload = derive_id("film", match, letter, attempt)
        have = self._media.received(upload)
        if offset <= have:
            have = self._media.receive(upload, offset, body)
        if have >= size > 0:
            self.arena.add_film(account, match, letter, attempt, self._media.keep_film(upload))
        return {"received": have}

    def _do_score(self, account: Account, body: Any, match: str, letter: str) -> dict[str, Any]:
        said = {key: getattr(body, key) for key in ("progress", "success", "damage", "text")}
        return self._blind_json(self.arena.score(account, match, letter, said))

    def _do_vote(self, account: Account, body: Any, match: str) -> dict[str, Any]:
        letters = {side.letter for side in self.arena.own_match(account, match).sides}
        fits = body.preference in letters or body.preference == "tie" or (not body.valid or len(letters) > 2)
        if not fits or (body.preference not in ("", "tie") and body.preference not in letters):
            raise Refused(422, f"preference: expected one of {', '.join(sorted(letters))} or tie")
        return self._blind_json(self.arena.vote(account, match, body.preference, body.text, body.valid))
