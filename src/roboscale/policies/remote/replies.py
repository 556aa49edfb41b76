"""What came back from a server: actions, a fault that it tells of, or nothing that can be understood.

A fault of the policy is a `PolicyError`: it answered, and what it said is no action. A fault of what carries it is an
`InfrastructureError`: it did not answer, or not in this protocol. A trial is counted as it would be in this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import PENDING, ActionChunk, InfrastructureError, Observation, Pending, PolicyError
from roboscale.core.faults import check_chunk
from roboscale.policies.remote.maps import ActionMap

__all__ = ["ERROR", "EXECUTE", "PENDING_KEY", "RemoteAnswer", "Told", "last_line", "read_reply"]

ERROR, PENDING_KEY, EXECUTE = "roboscale/error", "roboscale/pending", "roboscale/execute"
"""Keys that only a server of ours sends, and only to clients of ours."""

RemoteAnswer = ActionChunk | Literal[Pending.PENDING]


class Told(InfrastructureError):
    """A fault that a server of ours tells of: the connection lives on."""


def read_reply(reply: object, action: ActionMap, who: str, observation: Observation | None = None) -> RemoteAnswer:
    """The answer of a decoded frame.

    Raises:
        PolicyError: numbers that are no actions: another shape or type, NaN in a row to execute; or a fault of the
            policy that a server of ours tells of.
        InfrastructureError: no such key, or a fault of the machine that a server of ours tells of.
    """
    if not isinstance(reply, Mapping):
        raise InfrastructureError(f"{who}: answer: expected a dictionary with actions, found {type(reply).__name__}")
    if ERROR in reply:
        raise _told(reply[ERROR], who)
    if reply.get(PENDING_KEY) is True:
        return PENDING
    try:
        rows = [_actions(_at(reply, key, who), ".".join(map(str, key)), action) for key in action.keys]
        if len({len(r) for r in rows}) > 1:
            raise PolicyError(f"answer: expected the same H under every key, found {[len(r) for r in rows]}")
        joined = np.concatenate(rows, axis=1)
        for what, expected, found in (("H", action.horizon, len(joined)), ("D", action.dimension, joined.shape[1])):
            if expected is not None and expected != found:
                raise PolicyError(f"answer: expected {what} = {expected}, found {found}")
        chunk = action.decode(joined, observation)
    except PolicyError as error:
        raise PolicyError(f"{who}: {error}") from error
    execute = _execute(reply, len(chunk.actions), who)
    return check_chunk(chunk if execute is None else ActionChunk(chunk.actions, execute), f"policy at {who}")


def last_line(text: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:500] if lines else "an empty text"


def _told(said: object, who: str) -> PolicyError | InfrastructureError:
    """The fault that a server of ours tells of."""
    if not isinstance(said, Mapping) or not isinstance(said.get("text"), str):
        return Told(f"{who}: {ERROR}: expected kind and text, found {str(said)[:80]}")
    of_policy = said.get("kind") == "policy"
    error = PolicyError(said["text"]) if of_policy else Told(f"{who}: server error: {said['text']}")
    error.add_note(str(said.get("traceback", ""))[:20_000])
    return error


def _at(reply: Mapping[Any, Any], key: tuple[str, ...], who: str) -> Any:
    value: Any = reply
    for part in key:
        if not isinstance(value, Mapping) or part not in value:
            found = ", ".join(sorted(map(str, value)))[:200] if isinstance(value, Mapping) else type(value).__name__
            raise InfrastructureError(f"{who}: answer: expected {part!r}, found {found or 'nothing'}")
        value = value[part]
    return value


def _actions(value: object, name: str, action: ActionMap) -> NDArray[Any]:
    """(H, D) of one key of an answer, an array or lists of numbers."""
    try:
        actions = np.asarray(value if isinstance(value, (np.ndarray, list)) else None)
    except ValueError as error:  # ragged lists
        raise PolicyError(f"answer: {name}: expected an array of numbers, found lists of unlike lengths") from error
    if actions.dtype.kind not in "iuf":
        kind = actions.dtype if isinstance(value, (np.ndarray, list)) else type(value).__name__
        raise PolicyError(f"answer: {name}: expected an array of numbers, found {kind}")
    shape = {"chunk": "(H, D)", "row": "(D,)", "batch": "(1, H, D)"}[action.form]
    fits = actions.ndim == {"chunk": 2, "row": 1, "batch": 3}[action.form] and 0 not in actions.shape
    if not fits or (action.form == "batch" and len(actions) != 1):
        forms = {1: "row", 2: "chunk", 3: "batch"}
        hint = f'; form = "{forms[actions.ndim]}" says that' if actions.ndim in forms and actions.size else ""
        raise PolicyError(f"answer: {name}: expected shape {shape}, found {list(actions.shape)}{hint}")
    return actions.reshape(-1, actions.shape[-1])


def _execute(reply: Mapping[str, Any], rows: int, who: str) -> int | None:
    execute = reply.get(EXECUTE)
    if execute is not None and not (type(execute) is int and 1 <= execute <= rows):
        raise InfrastructureError(f"{who}: answer: {EXECUTE}: expected 1..{rows}, found {str(execute)[:40]}")
    return execute
