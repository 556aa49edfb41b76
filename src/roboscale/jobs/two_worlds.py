"""The same policies in a real and in a cheap world: what each said, case by case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from roboscale.core import RoboscaleError
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.result_files import load_results

__all__ = ["Scores", "counts_of_scores", "load_scores", "shared_policies"]

Scores = Mapping[str, Mapping[str, float | None]]
"""Policy -> case -> success as 0 or 1, `None` where void; the last attempt of each case."""


def load_scores(source: str, task: str = "", on_event: OnEvent = ignore) -> Scores:
    """The scores of a file or folder of results, of one task or of all."""
    scores: dict[str, dict[str, float | None]] = defaultdict(dict)
    for trial in sorted(load_results([source], on_event=on_event).trials, key=lambda t: t.attempt):
        if task in ("", trial.case.task):
            success = trial.outcome.success
            scores[trial.policy.name][trial.case.id] = None if success is None else float(success)
    return dict(scores)


def shared_policies(real: Scores, cheap: Scores, on_event: OnEvent) -> list[str]:
    """Policies that were tried in both worlds; a note names the others. RoboscaleError when there is none."""
    names = [name for name in real if name in cheap]
    if not names:
        sides = f"real has {', '.join(sorted(real)) or 'none'}; cheap has {', '.join(sorted(cheap)) or 'none'}"
        raise RoboscaleError(f"no policy was tried in both worlds: {sides}")
    for world, other, scores in (("real", cheap, real), ("cheap", real, cheap)):
        alone = sorted(name for name in scores if name not in other)
        if alone:
            on_event(Note(f"left out, tried in the {world} world only: {', '.join(alone)}"))
    return names


def counts_of_scores(scores: Mapping[str, float | None]) -> tuple[int, int]:
    """(successes, trials that counted) over cases."""
    counted = [score for score in scores.values() if score is not None]
    return int(sum(counted)), len(counted)
