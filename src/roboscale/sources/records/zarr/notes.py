"""What roboscale writes into a store's `.zattrs` because the layout has no place for it, and reads back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roboscale.core import BadData
from roboscale.core.plain import Plain
from roboscale.sources.records.zarr.store import ByteStore, read_json

__all__ = ["NOTES_KEY", "Notes", "load_notes"]

NOTES_KEY = "roboscale"
_ID = re.compile(r"[0-9a-f]{32}")
_FIELD = re.compile(r"[^/.][^/]*")


@dataclass(frozen=True, slots=True)
class Notes(Plain):
    """Notes on a store; all empty where somebody else wrote it.

    Args:
        rate_hz: rate of the rows.
        instructions, ids: one per episode, or none.
        fields: array below `data` -> our name.
    """

    rate_hz: float | None = None
    instructions: Sequence[str] = ()
    ids: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


def load_notes(store: ByteStore, episodes: int) -> Notes:
    """The notes; BadData when they do not fit the number of episodes."""
    raw = (read_json(store, ".zattrs") or {}).get(NOTES_KEY)
    if raw is None:
        return Notes()
    file = store.path / ".zattrs"
    if not isinstance(raw, dict):
        raise BadData(file, NOTES_KEY, "an object", type(raw).__name__)
    rate, fields = raw.get("rate_hz"), raw.get("fields", {})
    if not isinstance(rate, (int, float)) or not math.isfinite(rate) or rate <= 0:
        raise BadData(file, f"{NOTES_KEY}.rate_hz", "a positive rate", str(rate)[:80])
    named = isinstance(fields, dict) and all(isinstance(v, str) and _FIELD.fullmatch(v) for v in fields.values())
    if not named or len(set(fields.values())) < len(fields):
        raise BadData(file, f"{NOTES_KEY}.fields", "array -> a name of its own", str(fields)[:80])
    instructions, ids = (_texts(raw.get(key), episodes, file, f"{NOTES_KEY}.{key}") for key in ("instructions", "ids"))
    if any(text and not _ID.fullmatch(text) for text in ids):
        raise BadData(file, f"{NOTES_KEY}.ids", "32 hex digits each", "others")
    return Notes(float(rate), instructions, ids, fields)


def _texts(values: Any, episodes: int, file: object, name: str) -> Sequence[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values) or len(values) != episodes:
        found = len(values) if isinstance(values, list) else type(values).__name__
        raise BadData(file, name, f"{episodes} texts, one per episode", found)
    return values
