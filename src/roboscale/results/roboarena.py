"""RoboArena's evaluation sessions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roboscale.core import BadData, Case, Outcome
from roboscale.results.files import read_text, read_yaml
from roboscale.results.nouns import Comparison, Results, told

__all__ = ["RoboArenaSession", "RoboArenaSide", "is_session", "read_session", "results_of_sessions"]

_POLICIES = re.compile(r"\bpolicies[\"']?\s*:")


def is_session(file: Path) -> bool:
    """Whether a `metadata.yaml` speaks of policies: robot logs (rosbag2) have files of this name, too."""
    try:
        return bool(_POLICIES.search(read_text(file)))
    except (BadData, OSError):
        return False


@dataclass(frozen=True, kw_only=True)
class RoboArenaSide:
    """One policy of a session.

    Args:
        success: whether the task was done; `None` where nobody said.
        progress: 0..1; `None` where nobody said.
        duration: in steps of about 15 Hz; `None` where it is not written down.
    """

    policy: str
    success: bool | None
    progress: float | None
    duration: float | None


@dataclass(frozen=True, kw_only=True)
class RoboArenaSession:
    """One session folder.

    Args:
        sides: by letter, in the order of the file; two to seven.
        preference: `A`, `B`, `TIE`, or whatever else was written.
        created, completed: as written; empty where they are not.
    """

    id: str
    place: str
    evaluator: str
    instruction: str
    sides: Mapping[str, RoboArenaSide]
    preference: str
    feedback: str = ""
    created: str = ""
    completed: str = ""


def read_session(file: Path) -> RoboArenaSession:
    """RoboArena's `evaluation_sessions/<uuid>/metadata.yaml`; BadData where it holds no policies."""
    data = read_yaml(file)
    policies = data.get("policies")
    if not isinstance(policies, dict):
        raise BadData(file, "policies", "an object of A, B, ...", type(policies).__name__)
    sides = {}
    for letter, entry in policies.items():
        if not isinstance(entry, dict):
            raise BadData(file, f"policies.{letter}", "an object with policy_name", type(entry).__name__)
        progress, success, duration = (entry.get(k) for k in ("partial_success", "binary_success", "duration"))
        sides[str(letter)] = RoboArenaSide(
            policy=str(entry.get("policy_name", letter)),
            success=None if success is None else bool(success),
            progress=float(progress) if isinstance(progress, (int, float)) else None,
            duration=float(duration) if isinstance(duration, (int, float)) else None,
        )
    return RoboArenaSession(
        id=file.parent.name,
        place=str(data.get("evaluation_location", "")),
        evaluator=str(data.get("evaluator_name", "")),
        instruction=str(data.get("language_instruction") or "all"),
        sides=sides,
        preference=str(data.get("preference") or "").strip().upper(),
        feedback=str(data.get("longform_feedback") or ""),
        created=str(data.get("session_creation_timestamp") or ""),
        completed=str(data.get("session_completion_timestamp") or ""),
    )


def results_of_sessions(root: Path, files: Iterable[Path], notes: tuple[str, ...] = ()) -> Results:
    """RoboArena's sessions, which may hold more than two policies."""
    comparisons, trials = [], []
    for file in files:
        session = read_session(file)
        case = Case(session.instruction, session.id)
        for side in session.sides.values():
            status: Literal["void", "success", "failure"] = "void"
            if side.success is not None:
                status = "success" if side.success else "failure"
            trials.append(told(side.policy, session.place, case, Outcome(status, progress=side.progress)))
        if {"A", "B"} <= set(session.sides):
            said: dict[str, Literal["first", "second", "tie"]] = {"A": "first", "B": "second", "TIE": "tie"}
            names = session.sides["A"].policy, session.sides["B"].policy
            comparisons.append(Comparison(*names, said.get(session.preference, "void"), session.place))
    return Results.of_objects(root.name, trials, comparisons, form="RoboArena sessions", notes=notes)
