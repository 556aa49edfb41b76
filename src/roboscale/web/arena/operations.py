"""What can be asked of an arena's server: one row an operation; routes, checks and the OpenAPI document come of it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from roboscale.core.declared import Limit

__all__ = ["OPERATIONS", "QUERY_LETTERS", "Operation", "openapi"]


def _clean(text: str, most: int) -> bool:
    """Whether every database can hold a text: no zero byte, no half of a character."""
    return len(text) <= most and "\0" not in text and text.encode("utf-8", "ignore").decode() == text


def _text(most: int, least: int = 0) -> Any:
    some = f"{least} to {most}" if least else f"at most {most}"
    return Limit(f"text of {some} characters", lambda t: len(t.strip()) >= least and _clean(t, most))


Id = Annotated[str, Limit("32 hex digits", lambda t: len(t) == 32 and set(t) <= set("0123456789abcdef"))]
Name = Annotated[str, _text(80, 1)]
Sentence = Annotated[str, _text(400, 1)]
Prose = Annotated[str, _text(4000)]
Key = Annotated[str, _text(80, 1)]
Percent = Annotated[float, Limit("a number from 0 to 100", lambda x: 0 <= x <= 100)]
Natural = Annotated[int, Limit("an integer from 0 to 1000000000", lambda x: 0 <= x <= 10**9)]
Sides = Annotated[int, Limit("an integer from 2 to 7", lambda x: 2 <= x <= 7)]
Start = Annotated[str, _text(120, 1)]


@dataclass(frozen=True, kw_only=True)
class _Join:
    code: Key
    name: Name


@dataclass(frozen=True, kw_only=True)
class _Invite:
    role: Literal["organiser", "evaluator", "owner"]
    group: Name


@dataclass(frozen=True, kw_only=True)
class _Identity:
    name: Name
    digest: Id
    unverified: Annotated[tuple[Sentence, ...], Limit("at most 20 reasons", lambda some: len(some) <= 20)] = ()


@dataclass(frozen=True, kw_only=True)
class _Settings:
    horizon: Natural
    rate_hz: float
    pace: Literal["simulated", "wall"] = "simulated"
    execute: int | None = None
    watch: Annotated[str, _text(80)] = ""
    latency: bool = False


@dataclass(frozen=True, kw_only=True)
class _Robot:
    name: Name
    site: Name
    world: _Identity
    tasks: Annotated[Mapping[str, Sentence], Limit("1 to 200 tasks", lambda t: 1 <= len(t) <= 200)]
    settings: _Settings
    rubrics: Annotated[Mapping[str, tuple[Sentence, ...]], Limit("at most 200 tasks", lambda t: len(t) <= 200)]
    action_size: Natural


@dataclass(frozen=True, kw_only=True)
class _Policy:
    name: Name
    identity: _Identity
    public: bool = False


@dataclass(frozen=True, kw_only=True)
class _Draw:
    key: Key
    robot: Id
    task: Name
    instruction: Sentence
    picture: Id
    start: int | Start
    sides: Sides = 2


@dataclass(frozen=True, kw_only=True)
class _Score:
    progress: Percent
    success: bool
    damage: tuple[Literal["dropped", "collision", "broken", "unsafe"], ...] = ()
    text: Prose = ""


@dataclass(frozen=True, kw_only=True)
class _Vote:
    preference: Literal["A", "B", "C", "D", "E", "F", "G", "tie", ""]
    text: Prose = ""
    valid: bool = True


QUERY_LETTERS = 400
JSON_BYTES, FRAME_BYTES, PIECE_BYTES = 65_536, 16 * 2**20, 4 * 2**20


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that can be asked.

    Args:
        role: who may: a role, `any` account, or empty for everybody.
        body: dataclass of a JSON body; `bytes` for what is no JSON; `None` for nothing.
        most: bytes of a body.
        query: whole numbers in the address.
        texts: texts in it, of at most `QUERY_LETTERS`.
        answers: what comes back where all is well: `json`, or bytes.
    """

    name: str
    method: Literal["GET", "POST", "PUT"]
    path: str
    says: str
    role: Literal["", "any", "organiser", "evaluator", "owner"] = ""
    body: Any = None
    most: int = JSON_BYTES
    query: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    answers: Literal["json", "bytes"] = "json"


_MATCH = "/api/matches/{match}"
_SIDE = _MATCH + "/{letter}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(name="board", method="GET", path="/api/board", says="The board: rank sets, rates, what they rest on."),
    Operation(
        name="finished", method="GET", path="/api/finished", says="Finished matches, newest first; all, or some.",
        query=("before", "count"), texts=("policy", "task", "robot", "site"),
    ),
    Operation(
        name="match", method="GET", path="/api/finished/{match}",
        says="One finished match; what a policy said of its mistake, for organisers and its owner.",
    ),
    Operation(name="join", method="POST", path="/api/join", says="Uses an invitation up.", body=_Join),
    Operation(name="me", method="GET", path="/api/me", says="Whose token this is.", role="any"),
    Operation(
        name="invite", method="POST", path="/api/invitations", says="Makes an invitation.", role="organiser",
        body=_Invite,
    ),
    Operation(name="accounts", method="GET", path="/api/accounts", says="Who takes part.", role="organiser"),
    Operation(
        name="revoke", method="POST", path="/api/accounts/{account}/revoke", says="Ends a token.", role="organiser"
    ),
    Operation(name="flags", method="GET", path="/api/flags", says="Evaluators who vote oddly.", role="organiser"),
    Operation(
        name="audit", method="GET", path="/api/audit", says="What was done, newest first.", role="organiser",
        query=("before", "count"),
    ),
    Operation(
        name="add_policy", method="POST", path="/api/policies", says="Registers a policy.", role="owner", body=_Policy
    ),
    Operation(
        name="withdraw", method="POST", path="/api/policies/{policy}/withdraw", says="Takes a policy out.", role="any"
    ),
    Operation(
        name="pull", method="POST", path="/api/policies/{policy}/pull", says="Waits for the next observation.",
        role="owner", answers="bytes",
    ),
    Operation(
        name="answer", method="POST", path="/api/policies/{policy}/answers/{ask}", says="Answers an observation.",
        role="owner", body=bytes, most=FRAME_BYTES,
    ),
    Operation(
        name="add_robot", method="POST", path="/api/robots", says="Registers a robot.", role="evaluator", body=_Robot
    ),
    Operation(
        name="add_samples", method="PUT", path="/api/robots/{robot}/samples", says="What policies are checked by.",
        role="evaluator", body=bytes, most=FRAME_BYTES,
    ),
    Operation(
        name="add_picture", method="POST", path="/api/pictures", says="Keeps the picture of a scene.",
        role="evaluator", body=bytes, most=PIECE_BYTES,
    ),
    Operation(
        name="draw", method="POST", path="/api/matches", says="Draws who meets in a scene.", role="evaluator",
        body=_Draw,
    ),
    Operation(name="blind", method="GET", path=_MATCH, says="How far a match of yours is.", role="evaluator"),
    Operation(
        name="act", method="POST", path=_SIDE + "/act", says="Asks the side that is due.", role="evaluator",
        body=bytes, most=FRAME_BYTES, answers="bytes",
    ),
    Operation(
        name="finish", method="POST", path=_SIDE + "/rollouts/{attempt}", says="Keeps a rollout.", role="evaluator",
        body=bytes, most=FRAME_BYTES,
    ),
    Operation(
        name="film", method="PUT", path=_SIDE + "/rollouts/{attempt}/film", says="Keeps a piece of its film.",
        role="evaluator", body=bytes, most=PIECE_BYTES, query=("offset", "size"),
    ),
    Operation(
        name="score", method="POST", path=_SIDE + "/score", says="Says how far a side came.", role="evaluator",
        body=_Score,
    ),
    Operation(
        name="vote", method="POST", path=_MATCH + "/vote", says="Ends a match.", role="evaluator", body=_Vote
    ),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document of these operations."""
    paths: dict[str, Any] = {}
    for one in OPERATIONS:
        names = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
        number = {"type": "integer", "minimum": 0, "maximum": 2**62}
        parameters: list[dict[str, Any]] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": number if name == "attempt" else {"type": "string"},
            }
            for name in names
        ]
        parameters += [{"name": name, "in": "query", "required": False, "schema": number} for name in one.query]
        text = {"type": "string", "maxLength": QUERY_LETTERS}
        parameters += [{"name": name, "in": "query", "required": False, "schema": text} for name in one.texts]
        said: dict[str, Any] = {"operationId": one.name, "summary": one.says, "parameters": parameters}
        kind = "application/octet-stream" if one.answers == "bytes" else "application/json"
        said["responses"] = {
            "200": {"description": "Done.", "content": {kind: {}}},
            "default": {"description": "An object with `error`.", "content": {"application/json": {}}},
        }
        if one.body is bytes:
            said["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": {}}}}
        elif one.body is not None:
            content = {"application/json": {"schema": _schema(one.body)}}
            said["requestBody"] = {"required": True, "content": content}
        if one.role:
            said["security"] = [{"token": []}]
        paths.setdefault(one.path, {})[one.method.lower()] = said
    return {
        "openapi": "3.1.0",
        "info": {"title": "roboscale arena", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def _schema(hint: Any) -> dict[str, Any]:
    """A type as JSON schema."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [note.expected for note in args[1:] if isinstance(note, Limit)]
        return {**_schema(args[0]), **({"description": limits[0]} if limits else {})}
    if origin is Literal:
        return {"enum": list(args)}
    if isinstance(hint, types.UnionType) or origin is Union:
        return {"anyOf": [_schema(arg) for arg in args]}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema(args[0])}
    if origin is not None:
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        fields = dataclasses.fields(hint)
        required = [f.name for f in fields if f.default is dataclasses.MISSING]
        return {
            "type": "object",
            "properties": {f.name: _schema(hints[f.name]) for f in fields},
            "required": required,
            "additionalProperties": False,
        }
    return {"type": _KINDS[hint]}
