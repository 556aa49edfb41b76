"""Sessions that others ran, as matches of an arena: everything that they did not write down is said to be missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from roboscale.arena.match import LETTERS, TIE
from roboscale.core import Case, Identity, Judgement, RolloutSettings, Trial, combine, derive_id
from roboscale.trials.log import LogEntry, TrialLog

__all__ = ["ImportedSession", "ImportedSide", "import_sessions"]

_TASK = "as told"
_RATE_HZ = 15.0
_UNKNOWN = "the sessions do not say who could have met, with which probability, or by which seed"
_SETTINGS = RolloutSettings(horizon=400, rate_hz=_RATE_HZ, pace="wall")
_PIECE = 100


@dataclass(frozen=True, kw_only=True)
class ImportedSide:
    """One policy of a session that somebody else ran: what was said of it, and for how many steps it ran."""

    policy: str
    progress: float | None
    success: bool | None
    steps: int = 0


@dataclass(frozen=True, kw_only=True)
class ImportedSession:
    """A session that somebody else ran.

    Args:
        source: who published it; part of every id.
        sides: in the order in which they are named.
        preference: `A`, `B` or `tie`; empty where it is not known.
        created_ns, completed_ns: nanoseconds since 1970.
    """

    source: str
    id: str
    place: str
    evaluator: str
    robot: str
    instruction: str
    sides: tuple[ImportedSide, ...]
    preference: str
    text: str
    created_ns: int
    completed_ns: int


def import_sessions(log: TrialLog, sessions: Iterable[ImportedSession]) -> int:
    """Adds sessions as finished matches; those that are there already stay as they are. How many were given."""
    count, stream = 0, iter(sessions)
    while batch := list(islice(stream, _PIECE)):
        entries: dict[str, LogEntry] = {}
        trials: list[Trial] = []
        judgements: list[Judgement] = []
        for session in batch:
            for entry in _people(session):
                entries.setdefault(entry.id, entry)
            made, tried, said = _match(session)
            entries |= {entry.id: entry for entry in made}
            trials += tried
            judgements += said
        log.append(list(entries.values()), trials=trials, judgements=judgements)
        count += len(batch)
    return count


def _entry(kind: str, id_: str, body: Mapping[str, Any], time_ns: int) -> LogEntry:
    return LogEntry(id=id_, kind=kind, body=body, time_ns=time_ns, monotonic_ns=0)


def _account(session: ImportedSession) -> str:
    return derive_id("imported account", session.source, session.place, session.evaluator)


def _world(session: ImportedSession) -> Identity:
    known = combine(session.robot, session.source, session.place, session.robot)
    return Identity(known.name, known.digest, (f"known by the word of {session.source} only",))


def _robot(session: ImportedSession) -> str:
    return derive_id("imported robot", session.source, session.place, session.evaluator, session.robot)


def _identity(session: ImportedSession, policy: str) -> Identity:
    known = combine(policy, session.source, policy)
    return Identity(policy, known.digest, (f"known by the name that {session.source} gives it only",))


def _people(session: ImportedSession) -> Iterator[LogEntry]:
    """The account, robot and policies of a session; nobody has a token of theirs. Their times are 0: not known."""
    account, owner = _account(session), derive_id("imported owner", session.source)
    none = {"invitation": ""}
    person = {"id": account, "name": session.evaluator, "role": "evaluator", "group": session.place}
    yield _entry("joined", f"joined:{account}", {**person, **none, "token": derive_id("no token", account)}, 0)
    person = {"id": owner, "name": session.source, "role": "owner", "group": session.source}
    yield _entry("joined", f"joined:{owner}", {**person, **none, "token": derive_id("no token", owner)}, 0)
    robot = {
        "id": _robot(session),
        "name": session.robot,
        "site": session.place,
        "account": account,
        "world": _world(session).to_json(),
        "tasks": {_TASK: "what the evaluator types"},
        "settings": _SETTINGS.to_json(),
        "rubrics": {},
        "action_size": 0,
    }
    yield _entry("robot", f"robot:{robot['id']}", robot, 0)
    for side in session.sides:
        identity = _identity(session, side.policy)
        body = {
            "id": identity.digest,
            "name": side.policy,
            "owner": owner,
            "group": session.source,
            "identity": identity.to_json(),
            "public": False,
            "withdrawn": True,
        }
        yield _entry("policy", f"policy:{identity.digest}", body, 0)


def _match(session: ImportedSession) -> tuple[list[LogEntry], list[Trial], list[Judgement]]:
    id_ = derive_id("imported match", session.source, session.id)
    case = Case(_TASK, f"picture:{session.id}")
    match = {
        "id": id_,
        "key": session.id,
        "evaluator": _account(session),
        "robot": _robot(session),
        "task": _TASK,
        "instruction": session.instruction,
        "case": case.id,
        "round": 0,
        "picture": "",
        "sides": [
            {"letter": LETTERS[k], "policy": _identity(session, s.policy).digest} for k, s in enumerate(session.sides)
        ],
        "probability": None,
        "seed": 0,
        "drawn": {"imported": _UNKNOWN},
    }
    entries, trials, judgements = [_entry("match", f"match:{id_}", match, session.created_ns)], [], []
    for letter, side in zip(LETTERS, session.sides, strict=False):
        trial = _trial(session, side, case, id_)
        trials.append(trial)
        rollout = {"match": id_, "letter": letter, "attempt": 0, "trial": trial.id, "end": trial.end}
        rollout |= {"steps": trial.steps, "seconds": trial.seconds}
        entries.append(_entry("rollout", f"rollout:{id_}:{letter}:0", rollout, session.completed_ns))
        progress = side.progress if side.progress is not None else float(bool(side.success))
        success = bool(side.success)
        score = {"match": id_, "letter": letter, "progress": 100 * progress, "success": success, "text": ""}
        entries.append(_entry("score", f"score:{id_}:{letter}", {**score, "damage": []}, session.completed_ns))
        said = Judgement(
            trial=trial.id,
            referee="person",
            time_ns=session.completed_ns,
            state="decided",
            success=success,
            progress=progress,
            by=_account(session),
        )
        judgements.append(said)
    known = session.preference in (*LETTERS[: len(session.sides)], TIE) or len(session.sides) > 2
    vote = {
        "match": id_,
        "preference": session.preference,
        "text": session.text,
        "valid": known,
        "by": _account(session),
    }
    entries.append(_entry("vote", f"vote:{id_}", vote, session.completed_ns))
    return entries, trials, judgements


def _trial(session: ImportedSession, side: ImportedSide, case: Case, match: str) -> Trial:
    return Trial(
        policy=_identity(session, side.policy),
        world=_world(session),
        case=case,
        settings=_SETTINGS,
        end="truncated",
        steps=side.steps,
        run=match,
        started_ns=session.created_ns,
        seconds=side.steps / _RATE_HZ,
    )
