"""What published datasets hold, as their authors or the Open X-Embodiment tools say; the facts are in `known.json`.

Fields are named as the source names them (`observation/state` of an RLDS step). A fact that nobody has published, or
on which the published sources disagree, is `None`: the user has to say it. Grippers are named by what 1 means:
`gripper_openness`, `gripper_closedness`, `gripper_width`, `gripper_effort` (1 closes); plain `gripper` where that is
not known.

Knows names and citations. Does not open a dataset.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["KNOWN", "KnownDataset", "KnownField", "find_known"]

_FILE = Path(__file__).with_name("known.json")
_GRIPPERS: Mapping[str, Literal["open", "closed"]] = {
    "gripper_openness": "open",
    "gripper_width": "open",
    "gripper_closedness": "closed",
    "gripper_effort": "closed",
    "gripper_closedness_change": "closed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownField:
    """One array or camera of a known dataset; the meanings are those of `core.Field`, `None` is not known.

    Args:
        source: citations, spelled out.
        note: what does not fit into the other words.
    """

    source: str
    unit: str | None = None
    frame: str | None = None
    layout: tuple[str, ...] | None = None
    mode: str | None = None
    side: str | None = None
    role: str | None = None
    note: str = ""

    @property
    def complete(self) -> bool:
        """Whether a reader needs to ask nothing more: a camera's role, or unit, layout and mode."""
        return self.role is not None or None not in (self.unit, self.layout, self.mode)

    @property
    def gripper(self) -> Literal["open", "closed"] | None:
        """What a gripper element at its largest means; `None` without a gripper, or where it is not known."""
        kinds = {_GRIPPERS[last] for name in self.layout or () if (last := name.split(".")[-1]) in _GRIPPERS}
        return kinds.pop() if len(kinds) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDataset:
    """Published facts on one dataset.

    Args:
        name: its RLDS name, or its name on the Hub.
        aliases: other names of the same thing.
        robot_type, licence, rate_hz: `None` where nobody says; the licence is an SPDX id, the rate in Hz.
        action: the arrays that make the action, in order, where there is not one array of that name.
        fields: name in the source, such as `observation/state` -> what it holds. A gripper among other elements is
            absolute, whatever the mode of the others, unless its name says `change`.
        sources: `robot_type`, `licence`, `rate_hz`, `action` -> citation.
        note: anything that a user should read first.
    """

    name: str
    aliases: tuple[str, ...]
    robot_type: str | None
    licence: str | None
    rate_hz: float | None
    action: tuple[str, ...]
    fields: Mapping[str, KnownField]
    sources: Mapping[str, str]
    note: str = ""

    @property
    def complete(self) -> bool:
        """Whether robot, licence, rate, an action and everything about every listed field is known."""
        whole = None not in (self.robot_type, self.licence, self.rate_hz)
        acts = any(name.startswith("action") for name in self.fields)
        return whole and acts and all(f.complete for f in self.fields.values())

    def field(self, *names: str) -> KnownField | None:
        """The field with the first of these names that is known.

        Args:
            names: of a source's array, with or without `steps/`; several, separated by commas, for a stack of them.
        """
        for name in names:
            parts = [self.fields.get(part.removeprefix("steps/")) for part in name.split(", ")]
            if all(part is not None for part in parts):
                return _stacked([part for part in parts if part is not None])
        return None


def _stacked(parts: Sequence[KnownField]) -> KnownField | None:
    """Several arrays one after the other: what they have in common; their layouts joined."""
    if len(parts) == 1:
        return parts[0]
    layouts = [part.layout for part in parts]
    arms = [part for part in parts if part.gripper is None] or parts
    return KnownField(
        source="; ".join(dict.fromkeys(part.source for part in parts)),
        unit=_same([part.unit for part in parts]),
        frame=_same([part.frame for part in arms]),
        layout=tuple(n for layout in layouts for n in layout or ()) if None not in layouts else None,
        mode=_same([part.mode for part in arms]),
        side=_same([part.side for part in arms]),
        note="; ".join(dict.fromkeys(part.note for part in parts if part.note)),
    )


def _same(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


@functools.cache
def _table() -> dict[str, KnownDataset]:
    data = json.loads(_FILE.read_text("utf-8"))
    citations: Mapping[str, str] = data["sources"]
    return {name: _dataset(name, entry, citations) for name, entry in data["datasets"].items()}


def _cite(keys: str, citations: Mapping[str, str]) -> str:
    return "; ".join(citations[key] for key in keys.split(", "))


def _dataset(name: str, entry: Mapping[str, Any], citations: Mapping[str, str]) -> KnownDataset:
    fields = {}
    for key, facts in entry["fields"].items():
        words: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
        fields[key] = KnownField(**{**words, "source": _cite(facts["source"], citations)})
    return KnownDataset(
        name=name,
        aliases=tuple(entry.get("aliases", ())),
        robot_type=entry["robot_type"],
        licence=entry["licence"],
        rate_hz=entry["rate_hz"],
        action=tuple(entry.get("action", ())),
        fields=fields,
        sources={fact: _cite(keys, citations) for fact, keys in entry["sources"].items()},
        note=entry.get("note", ""),
    )


class _Known(Mapping[str, KnownDataset]):
    """The table, read when it is first looked at."""

    def __getitem__(self, name: str) -> KnownDataset:
        return _table()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_table())

    def __len__(self) -> int:
        return len(_table())


KNOWN: Mapping[str, KnownDataset] = _Known()
"""Name -> published facts; sorted by name."""


def find_known(name: str) -> KnownDataset | None:
    """The dataset of that name or alias."""
    if name in KNOWN:
        return KNOWN[name]
    return next((dataset for dataset in KNOWN.values() if name in dataset.aliases), None)
