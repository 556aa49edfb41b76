"""RoboArena's evaluation sessions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from roboscale.core import BadData, Case, Outcome
from roboscale.results.files import read_text, read_yaml
from roboscale.results.nouns import Comparison, Results, told

__all__ = ["is_session", "results_of_sessions"]

_POLICIES = re.compile(r"\bpolicies[\"']?\s*:")


def is_session(file: Path) -> bool:
    """Whether a `metadata.yaml` speaks of policies: robot logs (rosbag2) have files of this name, too."""
    try:
        return bool(_POLICIES.search(read_text(file)))
    except (BadData, OSError):
        return False


def results_of_sessions(root: Path, files: Iterable[Path], notes: tuple[str, ...] = ()) -> Results:
    """RoboArena's `evaluation_sessions/<uuid>/metadata.yaml`; sessions may hold more than two policies."""
    comparisons, trials = [], []
    for file in files:
        data = read_yaml(file)
        policies = data.get("policies")
        if not isinstance(policies, dict):
            raise BadData(file, "policies", "an object of A, B, ...", type(policies).__name__)
        place, session = str(data.get("evaluation_location", "")), file.parent.name
        case = Case(str(data.get("language_instruction") or "all"), session)
        names = {letter: str(entry.get("policy_name", letter)) for letter, entry in policies.items()}
        for letter, entry in policies.items():
            progress = entry.get("partial_success")
            success = entry.get("binary_success")
            status = "void" if success is None else "success" if success else "failure"
            value = float(progress) if isinstance(progress, (int, float)) else None
            trials.append(told(names[letter], place, case, Outcome(status, progress=value)))  # type: ignore[arg-type]
        said = str(data.get("preference") or "").strip().upper()
        if {"A", "B"} <= set(names):
            outcome = {"A": "first", "B": "second", "TIE": "tie"}.get(said, "void")
            comparisons.append(Comparison(names["A"], names["B"], outcome, place))  # type: ignore[arg-type]
    return Results.of_objects(root.name, trials, comparisons, form="RoboArena sessions", notes=notes)
