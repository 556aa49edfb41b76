"""A transfer that has begun and not ended: how far it came, and the command that goes on with it.

Written when an import, a merge or a copy begins, and taken away when all has been compared: what is killed or fails in
between leaves it behind.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from roboscale.core.errors import BadData, RoboscaleError
from roboscale.core.recording import Finding
from roboscale.dataset.checks import finding
from roboscale.dataset.layout import Layout, atomic_write, load_json, to_json

__all__ = ["Unfinished", "begin_transfer", "end_transfer", "require_finished", "unfinished", "unfinished_finding"]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """How far a transfer came.

    Args:
        asked: episodes that it was to bring.
        arrived: those that it has written down.
        command: goes on from any folder; empty where it was called from Python.
    """

    asked: int
    arrived: int
    command: str

    def __str__(self) -> str:
        way = "the same command goes on" if self.command else "the command or call that began it goes on"
        return f"not finished: {self.arrived} of {self.asked} episodes arrived, and nothing was compared; {way}"


def begin_transfer(layout: Layout, command: str) -> None:
    """Says that a transfer is under way; its folder is there."""
    atomic_write(_mark(layout), to_json({"version": 1, "command": command}))


def end_transfer(layout: Layout) -> None:
    """Says that all has arrived and been compared. The command goes: it says where things lay on this machine."""
    _mark(layout).unlink(missing_ok=True)


def unfinished(root: Path) -> Unfinished | None:
    """`None` where no transfer is under way or was left. BadData when what it wrote is broken."""
    layout = Layout(Path(root))
    if not _mark(layout).is_file():
        return None
    said, plan = load_json(_mark(layout)), layout.own / "transfer" / "plan.json"
    sources = load_json(plan).get("sources") if plan.is_file() else {}
    if not isinstance(sources, dict) or not isinstance(said, dict):
        raise BadData(plan, "sources", "keys of episodes by source", sources)
    arrived = set()
    journal = layout.own / "transfer" / "episodes.jsonl"
    lines = journal.read_text("utf-8", errors="replace").splitlines() if journal.is_file() else []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):  # a line that the kill cut off
            arrived.add(int(json.loads(line)["sequence"]))
    return Unfinished(sum(map(len, sources.values())), len(arrived), str(said.get("command") or ""))


def unfinished_finding(root: Path) -> Finding | None:
    """As an audit says it."""
    try:
        left = unfinished(root)
    except BadData as error:
        return finding("unfinished-transfer", str(error))
    if left is None:
        return None
    evidence = {"asked": left.asked, "arrived": left.arrived}
    said = finding("unfinished-transfer", f"what was to be brought here is {left}", evidence=evidence)
    return Finding(said.check, said.severity, said.text, evidence=said.evidence, repair=left.command)


def require_finished(root: Path) -> None:
    """RoboscaleError where a transfer into this dataset was left."""
    left = unfinished(root)
    if left is not None:
        raise RoboscaleError(f"{root}: {left}{f': {left.command}' if left.command else ''}")


def _mark(layout: Layout) -> Path:
    return layout.own / "transfer" / "begun.json"
