"""Frames that come from strangers' robots and policies, read so that nothing in them can surprise what reads on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from roboscale.arena.people import Refused
from roboscale.core import End, PolicyError
from roboscale.wire import WireError, unpack

__all__ = ["read_actions", "read_facts", "read_frame"]

_MOST_STEPS = 200_000
_MOST_MEASURES = 200
_COUNTS = ("steps", "clipped", "held", "late", "started_ns")


def read_frame(frame: bytes) -> dict[str, Any]:
    """A frame that is an object of texts; Refused (422) otherwise."""
    try:
        told = unpack(frame)
    except (WireError, RecursionError, MemoryError) as error:
        raise Refused(422, f"frame: {str(error)[:200]}") from error
    if not isinstance(told, dict) or not all(isinstance(key, str) for key in told):
        raise Refused(422, f"frame: expected an object with texts as keys, found {type(told).__name__}")
    return told


def read_actions(frame: bytes) -> NDArray[np.float32]:
    """A policy's actions, (H, D) float32 and finite.

    Raises:
        PolicyError: it says that it failed, or answers with what is no action.
    """
    try:
        told = unpack(frame)
    except (WireError, RecursionError, MemoryError) as error:
        raise PolicyError(f"the answer cannot be read: {str(error)[:200]}") from error
    if not isinstance(told, dict):
        raise PolicyError(f"the answer: expected an object with actions, found {type(told).__name__}")
    if "actions" not in told:
        raise PolicyError(f"the policy failed: {str(told.get('error', 'no actions in its answer'))[:1000]}")
    actions = told["actions"]
    if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "fiu" or actions.ndim != 2:
        raise PolicyError("the answer: expected actions as numbers of shape (H, D)")
    made = actions.astype(np.float32)
    if not len(made) or made.size > 100_000 or not np.isfinite(made).all():
        raise PolicyError(f"the answer: expected 1 to 100000 finite numbers, found shape {list(made.shape)}")
    return made


def read_facts(frame: bytes) -> dict[str, Any]:
    """What a robot says of one rollout; Refused (422) where that cannot be."""
    told = read_frame(frame)
    facts: dict[str, Any] = {}
    for key in _COUNTS:
        value = told.get(key)
        if type(value) is not int or not 0 <= value < 2**63:
            raise Refused(422, f"{key}: expected an integer of 0 or more")
        facts[key] = value
    for key in ("seconds", "thinking_s"):
        value = told.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
            raise Refused(422, f"{key}: expected seconds of 0 or more")
        facts[key] = float(value)
    if told.get("end") not in get_args(End):
        raise Refused(422, f"end: expected one of {', '.join(get_args(End))}")
    for key in ("reason", "episode"):
        if not isinstance(told.get(key), str) or len(told[key]) > 4000 or not told[key].isprintable():
            raise Refused(422, f"{key}: expected a text of at most 4000 characters")
        facts[key] = told[key]
    actions = told.get("actions")
    if (
        not isinstance(actions, np.ndarray)
        or actions.ndim != 2
        or actions.dtype.kind != "f"
        or len(actions) > _MOST_STEPS
    ):
        raise Refused(422, f"actions: expected numbers of shape (T, D), at most {_MOST_STEPS} rows")
    return {**facts, "end": told["end"], "actions": actions, "measures": _measures(told.get("measures"))}


def _measures(told: Any) -> dict[str, float | None]:
    if not isinstance(told, Mapping) or len(told) > _MOST_MEASURES:
        raise Refused(422, f"measures: expected at most {_MOST_MEASURES} numbers by name")
    for name, value in told.items():
        number = value is None or (isinstance(value, int | float) and math.isfinite(value))
        if not isinstance(name, str) or not name.isprintable() or len(name) > 80 or not number:
            raise Refused(422, "measures: expected numbers by name")
    return {name: None if value is None else float(value) for name, value in told.items()}
