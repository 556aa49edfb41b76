"""Trials, judgements and runs as rows of a database, and back, with nothing lost on the way.

Arrays are little-endian float32 bytes beside their shape; series are one compressed block. JSON has no NaN and no
infinities: a number that is not finite is written as `{"$float": "nan"}`. Nothing here can run code when it is read.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Case, Design, End, Identity, Judgement, RolloutSettings, Trial, derive_id
from roboscale.core.referee import JudgementState
from roboscale.trials.log.protocol import IdentityKind, LogEntry, Run

__all__ = [
    "BULK",
    "Names",
    "Row",
    "as_kept",
    "difference",
    "dump",
    "identity_id",
    "identity_row",
    "judgement_of",
    "judgement_row",
    "load",
    "run_of",
    "run_row",
    "title",
    "trial_of",
    "trial_row",
    "words",
]

Row = Mapping[Any, Any]
"""Column -> value."""

Names = Mapping[str, Identity]
"""Id of a row of the table `identities` -> identity."""

BULK = ("actions_shape", "series_lengths", "actions", "series")
"""Columns that a light trial goes without."""

_FLOAT32 = np.dtype("<f4")


# Made once: a log of 100,000 trials is 400,000 such texts, and `json.loads` looks for blanks and encodings in each.
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_scan = json.JSONDecoder().raw_decode
_scan_marked = json.JSONDecoder(object_hook=lambda data: _from_plain(data)).raw_decode


def dump(value: Any) -> str:
    """Text of JSON types, numpy's scalars and arrays included; TypeError for anything else."""
    return _encode(_plain(value))


def load(text: str) -> Any:
    """Inverse of `dump`, with lists for tuples. ValueError for what it cannot have written."""
    value, end = (_scan_marked if '"$' in text else _scan)(text)
    if end != len(text):
        raise ValueError(f"more than one JSON value: {text[:80]!r}")
    return value


@lru_cache(maxsize=256)
def _settings(text: str) -> RolloutSettings:
    """Many trials ran alike, and settings do not change."""
    return RolloutSettings(**load(text))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"$float": repr(float(value))}
        case Mapping():
            if other := [k for k in value if not isinstance(k, str)]:
                raise TypeError(f"a key that is no text: {other[0]!r}")
            return {f"${k}" if k.startswith("$") else k: _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
    raise TypeError(f"a value of type {type(value).__name__}")


def _from_plain(data: dict[str, Any]) -> Any:
    if data.keys() == {"$float"}:
        return float(data["$float"])
    return {k.removeprefix("$"): v for k, v in data.items()}


def as_kept(entry: LogEntry, number: int) -> LogEntry:
    """An entry as it is read back from its place, for whoever has just written it."""
    return replace(entry, number=number, id=words(entry.id), kind=words(entry.kind), body=load(dump(entry.body)))


def words(text: str) -> str:
    """Text for people as every database can hold it: zero bytes and lone surrogates are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def title(trial: Trial) -> str:
    """The key of a trial in words."""
    return (
        f"trial {trial.case.id} of {trial.policy.name}@{trial.policy.short} in {trial.world.name}@{trial.world.short}"
        f" ({trial.settings.text}, round {trial.round}, attempt {trial.attempt}; {trial.id[:8]})"
    )


def identity_row(kind: IdentityKind, identity: Identity) -> dict[str, Any]:
    """A row of the table `identities`: what a policy or world was called, and what was not known of it then."""
    return {
        "id": identity_id(kind, identity),
        "kind": kind,
        "digest": identity.digest,
        "name": words(identity.name),
        "unverified": dump(identity.unverified),
    }


def identity_id(kind: IdentityKind, identity: Identity) -> str:
    """The id of that row."""
    return derive_id("identity", kind, identity.digest, identity.name, *identity.unverified)


def trial_row(trial: Trial, where: str) -> dict[str, Any]:
    """A row of the table `trials`; BadData when it holds what a log cannot keep."""
    try:
        return {**_key_columns(trial), **_fact_columns(trial), **_bulk_columns(trial)}
    except (TypeError, ValueError) as error:
        raise BadData(where, title(trial), "numbers, text and JSON types", error) from error


def _key_columns(trial: Trial) -> dict[str, Any]:
    policy, world, case, settings, round_, attempt = trial.key
    for text in trial.key[:4]:
        if words(str(text)) != text:
            raise ValueError(f"a zero byte or a lone surrogate in {text!r}")
    return {
        "id": trial.id,
        "policy": policy,
        "world": world,
        "case_id": case,
        "settings": settings,
        "round": round_,
        "attempt": attempt,
        "policy_as": identity_id("policy", trial.policy),
        "world_as": identity_id("world", trial.world),
        "task": trial.case.task,
        "variation": trial.case.variation,
        "start": dump(trial.case.start),
        "settings_json": dump(trial.settings.to_json()),
    }


def _fact_columns(trial: Trial) -> dict[str, Any]:
    for name, value in trial.measures.items():
        if not isinstance(value, int | float | np.number | np.bool_ | None):
            raise TypeError(f"measure {name} of type {type(value).__name__}")
    return {
        "ending": trial.end,
        "reason": words(trial.reason),
        "steps": int(trial.steps),
        "clipped": int(trial.clipped),
        "held": int(trial.held),
        "late": int(trial.late),
        "measures": dump(trial.measures),
        "episode": trial.episode,
        "run": trial.run,
        "started_ns": int(trial.started_ns),
        "seconds": _finite("seconds", trial.seconds),
        "thinking_s": _finite("thinking_s", trial.thinking_s),
        "versions": dump(trial.versions),
        "details": dump(trial.details),
    }


def _bulk_columns(trial: Trial) -> dict[str, Any]:
    actions = None if trial.actions is None else np.ascontiguousarray(trial.actions, _FLOAT32)
    series = {name: np.ascontiguousarray(values, _FLOAT32) for name, values in trial.series.items()}
    for name, values in series.items():
        if values.ndim != 1:
            raise ValueError(f"series {name} of shape {values.shape}, not (T,)")
    return {
        "actions_shape": None if trial.actions is None else dump(trial.actions.shape),
        "series_lengths": dump({name: len(values) for name, values in series.items()}),
        "actions": None if actions is None else actions.tobytes(),
        "series": zlib.compress(b"".join(values.tobytes() for values in series.values()), 1) if series else b"",
    }


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{name} {value}")
    return float(value)


def trial_of(row: Row, names: Names) -> Trial:
    """A trial from its row; a light one when the bulk is missing from it."""
    return Trial(
        policy=names[row["policy_as"]],
        world=names[row["world_as"]],
        case=Case(row["task"], load(row["start"]), row["variation"]),
        settings=_settings(row["settings_json"]),
        round=row["round"],
        attempt=row["attempt"],
        end=cast(End, row["ending"]),
        reason=row["reason"],
        steps=row["steps"],
        clipped=row["clipped"],
        held=row["held"],
        late=row["late"],
        actions=_actions_of(row) if "actions" in row else None,
        series=_series_of(row) if "series" in row else {},
        measures=load(row["measures"]),
        episode=row["episode"],
        run=row["run"],
        started_ns=row["started_ns"],
        seconds=row["seconds"],
        thinking_s=row["thinking_s"],
        versions=load(row["versions"]),
        details=load(row["details"]),
    )


def _actions_of(row: Row) -> NDArray[np.float32] | None:
    if row["actions"] is None:
        return None
    return np.frombuffer(row["actions"], _FLOAT32).reshape(load(row["actions_shape"]))


def _series_of(row: Row) -> dict[str, NDArray[np.float32]]:
    lengths: dict[str, int] = load(row["series_lengths"])
    if not lengths:
        return {}
    total = sum(lengths.values())
    data = zlib.decompressobj().decompress(row["series"], 4 * total + 1)  # never more than it says it is
    if len(data) != 4 * total:
        raise ValueError(f"series are {4 * total} bytes by their lengths, and {len(data)} or more by themselves")
    values = np.frombuffer(data, _FLOAT32)
    ends = np.cumsum(list(lengths.values()))
    return {name: values[end - length : end] for (name, length), end in zip(lengths.items(), ends, strict=True)}


def difference(known: Trial, new: Trial) -> tuple[str, str] | None:
    """The first fact on which two records of one trial disagree, as both put it; `None` when they agree."""
    if known.void and new.void:
        return None
    for name in ("end", "steps", "clipped"):
        ours, theirs = getattr(known, name), getattr(new, name)
        if ours != theirs:
            return f"{name} {ours!r}", f"{name} {theirs!r}"
    if known.measures.keys() != new.measures.keys():
        return f"measures {', '.join(known.measures) or 'none'}", f"measures {', '.join(new.measures) or 'none'}"
    for name, value in known.measures.items():
        if dump(value) != dump(new.measures[name]) and value != new.measures[name]:
            return f"{name} {value}", f"{name} {new.measures[name]}"
    if known.series.keys() != new.series.keys():
        return f"series of {', '.join(known.series) or 'nothing'}", f"series of {', '.join(new.series) or 'nothing'}"
    pairs = [("actions", known.actions, new.actions)]
    pairs += [(f"series of {name}", values, new.series[name]) for name, values in known.series.items()]
    return next((both for pair in pairs if (both := _array_difference(*pair))), None)


def _array_difference(
    name: str, known: NDArray[np.float32] | None, new: NDArray[np.float32] | None
) -> tuple[str, str] | None:
    if known is None and new is None:
        return None
    if known is None or new is None:
        return (f"no {name}", name) if known is None else (name, f"no {name}")
    if known.shape != new.shape:
        return f"{name} of shape {known.shape}", f"{name} of shape {new.shape}"
    unequal = np.argwhere(~((known == new) | (np.isnan(known) & np.isnan(new))))
    if not len(unequal):
        return None
    at = tuple(int(i) for i in unequal[0])
    place = f"{name} at {', '.join(map(str, at))}"
    return f"{place}: {known[at]}", f"{place}: {new[at]}"


def judgement_row(judgement: Judgement, where: str) -> dict[str, Any]:
    """A row of the table `judgements`."""
    if judgement.progress is not None and not 0 <= judgement.progress <= 1:
        name = f"judgement of trial {judgement.trial[:8]} by {judgement.referee}"
        raise BadData(where, name, "progress in 0..1", judgement.progress)
    row = asdict(judgement)
    return {
        **row,
        "referee": words(judgement.referee),
        "reason": words(judgement.reason),
        "by": words(judgement.by),
        "success": None if judgement.success is None else bool(judgement.success),
        "progress": None if judgement.progress is None else float(judgement.progress),
    }


def judgement_of(row: Row) -> Judgement:
    return Judgement(
        trial=row["trial"],
        referee=row["referee"],
        time_ns=row["time_ns"],
        state=cast(JudgementState, row["state"]),
        success=row["success"],
        progress=row["progress"],
        reason=row["reason"],
        by=row["by"],
    )


def run_row(run: Run, where: str) -> dict[str, Any]:
    """A row of the table `runs`; BadData when it holds what a log cannot keep."""
    try:
        return {
            "id": words(run.id),
            "request": dump(run.request),
            "command": None if run.command is None else words(run.command),
            "policies": dump([p.to_json() for p in run.policies]),
            "world": dump(run.world.to_json()),
            "world_info": dump(run.world_info),
            "cases": dump(run.cases),
            "settings": dump(run.settings.to_json()),
            "round": run.round,
            "design": None if run.design is None else dump(run.design.to_json()),
            "versions": dump(run.versions),
            "created_ns": run.created_ns,
            "finished_ns": run.finished_ns,
            "stopped_ns": run.stopped_ns,
        }
    except TypeError as error:
        raise BadData(where, f"run {run.id}", "JSON types", error) from error


def run_of(row: Row) -> Run:
    return Run(
        id=row["id"],
        request=load(row["request"]),
        command=row["command"],
        policies=tuple(Identity.from_json(p) for p in load(row["policies"])),
        world=Identity.from_json(load(row["world"])),
        world_info=load(row["world_info"]),
        cases=tuple(load(row["cases"])),
        settings=RolloutSettings(**load(row["settings"])),
        round=row["round"],
        design=None if row["design"] is None else Design(**load(row["design"])),
        versions=load(row["versions"]),
        created_ns=row["created_ns"],
        finished_ns=row["finished_ns"],
        stopped_ns=row["stopped_ns"],
    )
