"""Who drove how: what an audit says of each operator, beside the findings. No verdict on a person is drawn from it.

Episodes, successes, how many attempts were kept, practice, how long episodes took, how many steps came late or had
nobody at the page, how much of the time the arm stood and in how many pauses, and how unsteadily it went: the change
from one step's motion to the next beside the motion itself, 0 of a straight way at one speed, about 1.4 of steps that
have nothing to do with one another. Length and unsteadiness also stand beside those of the others on the same tasks,
as a ratio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RecordedEpisode

if TYPE_CHECKING:
    from roboscale.dataset.audit.evidence import EpisodeEvidence

from roboscale.dataset.attempts import Attempt

__all__ = ["OperatorEvidence", "look_at_operator", "operator_facts", "operator_lines"]

_STILL = 1e-3  # of an element's range in one step
_PAUSE_S = 0.5  # a stand-still of that long is a pause
_COUNTED = ("late", "unattended", "interventions", "rested")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEvidence:
    """One episode of somebody.

    Args:
        task: of the case, or the sentence.
        seconds: how long it is. steps: frames. counted: what the recorder counted, steps.
        still: share of steps in which nothing moves; `None` where no motion is known. unsteady: see above.
        pauses: how often nothing moves for half a second, after the first motion and before the last.
    """

    name: str
    task: str
    success: bool | None
    seconds: float
    steps: int
    counted: Mapping[str, float]
    still: float | None = None
    unsteady: float | None = None
    pauses: int | None = None


def look_at_operator(
    episode: RecordedEpisode, moving: Sequence[NDArray[np.float64]], rate_hz: float
) -> OperatorEvidence | None:
    """What one episode says of who drove it; `None` where nobody is named.

    Args:
        moving: (T, D) of each field of motion.
    """
    name, outcome = episode.provenance.operator, episode.outcome
    if not name:
        return None
    measures = {} if outcome is None else outcome.measures
    counted = {key: float(value) for key in _COUNTED if isinstance(value := measures.get(key), (int, float))}
    still = unsteady = pauses = None
    if moving and len(moving[0]) > 3:
        rows = np.concatenate(moving, axis=1)
        span = np.maximum(np.ptp(rows, axis=0), 1e-12)
        steps = np.diff(rows / span, axis=0)
        stands = np.abs(steps).max(axis=1) < _STILL
        still, pauses = float(stands.mean()), _pauses(stands, math.ceil(_PAUSE_S * rate_hz))
        goes = float(np.linalg.norm(steps, axis=1).sum())
        unsteady = float(np.linalg.norm(np.diff(steps, axis=0), axis=1).sum()) / goes if goes > 0 else None
    return OperatorEvidence(
        name=name,
        task=episode.provenance.task or episode.instruction,
        success=None if outcome is None else outcome.success,
        seconds=len(episode) / rate_hz,
        steps=len(episode),
        counted=counted,
        still=still,
        unsteady=unsteady,
        pauses=pauses,
    )


def _pauses(stands: NDArray[np.bool_], least: int) -> int:
    """Runs of at least so many steps that stand still, those at either end left out."""
    ends = np.flatnonzero(np.diff(np.concatenate(([False], stands, [False])).astype(int)))
    return sum(b - a >= least and a > 0 and b < len(stands) for a, b in ends.reshape(-1, 2))


def operator_facts(evidence: Sequence[EpisodeEvidence], attempts: Sequence[Attempt] = ()) -> dict[str, dict[str, Any]]:
    """Operator -> what their episodes and attempts say; nothing where nobody is named."""
    by_name: dict[str, list[OperatorEvidence]] = {}
    for one in evidence:
        if one.driven is not None:
            by_name.setdefault(one.driven.name, []).append(one.driven)
    tried = {one.operator for one in attempts}
    facts: dict[str, dict[str, Any]] = {}
    for name in sorted({*by_name, *tried}):
        mine = by_name.get(name, [])
        others = [one for who, theirs in by_name.items() if who != name for one in theirs]
        own = [one for one in attempts if one.operator == name]
        facts[name] = {**_facts(mine), **_against(mine, others), **_attempted(own)}
    return facts


def _attempted(mine: Sequence[Attempt]) -> dict[str, Any]:
    """How many attempts were kept, and the scores of practice; nothing where no attempts were written down."""
    facts: dict[str, Any] = {}
    recorded = [one for one in mine if one.kind == "recorded"]
    undone = sum(one.result == "taken back" for one in recorded)
    tried = len(recorded) - undone
    if tried:
        kept = sum(one.result in ("success", "failure") for one in recorded) - undone
        facts |= {"attempts": tried, "kept, share of attempts": round(kept / tried, 4)}
    if scores := [one.score for one in mine if one.score is not None]:
        facts |= {"practice": len(scores), "practice, best": max(scores)}
    return facts


def _against(mine: Sequence[OperatorEvidence], others: Sequence[OperatorEvidence]) -> dict[str, Any]:
    """Medians on a task beside the others' there, the median of these ratios over tasks; of shared tasks alone."""
    facts: dict[str, Any] = {}
    for what, said in (("seconds", "length"), ("unsteady", "unsteadiness")):
        ratios = []
        for task in {one.task for one in mine}:
            own, theirs = (
                [v for one in some if one.task == task and (v := getattr(one, what)) is not None]
                for some in (mine, others)
            )
            if own and theirs and np.median(theirs) > 0:
                ratios.append(float(np.median(own) / np.median(theirs)))
        if ratios:
            facts[f"{said}, of the others'"] = round(float(np.median(ratios)), 2)
    return facts


def _facts(mine: Sequence[OperatorEvidence]) -> dict[str, Any]:
    known = [one.success for one in mine if one.success is not None]
    facts: dict[str, Any] = {"episodes": len(mine), "succeeded": sum(known), "judged": len(known)}
    if not mine:
        return facts
    facts["seconds, median"] = round(float(np.median([one.seconds for one in mine])), 2)
    for key in _COUNTED:
        said = [one for one in mine if key in one.counted]
        if said:
            share = sum(one.counted[key] for one in said) / sum(one.steps for one in said)
            facts[f"{key}, share of steps"] = round(share, 4)
    for key in ("still", "unsteady", "pauses"):
        values = [getattr(one, key) for one in mine if getattr(one, key) is not None]
        if values:
            facts[f"{key}, median"] = round(float(np.median(values)), 3)
    return facts


def operator_lines(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """For people, one line each."""
    lines = []
    for name, said in facts.items():
        rest = ", ".join(
            f"{key.partition(',')[0]} {100 * value:.0f} %"
            for key, value in said.items()
            if key.endswith("share of steps") or key == "still, median"
        )
        parts = [f"{said['episodes']} episodes, {said['succeeded']} of {said['judged']} succeeded"]
        if "attempts" in said:
            parts.append(f"{100 * said['kept, share of attempts']:.0f} % of {said['attempts']} attempts kept")
        if "practice" in said:
            parts.append(f"practice {said['practice']} times, best {said['practice, best']} of 100")
        if "seconds, median" in said:
            parts.append(f"{said['seconds, median']:.1f} s each{_beside(said, 'length')}")
        parts += [rest] if rest else []
        if "unsteady, median" in said:
            parts.append(f"{said['pauses, median']:g} pauses each")
            parts.append(f"unsteadiness {said['unsteady, median']:.2f}{_beside(said, 'unsteadiness')}")
        lines.append(f"{name}: {', '.join(parts)}")
    return lines


def _beside(said: Mapping[str, Any], what: str) -> str:
    ratio = said.get(f"{what}, of the others'")
    return "" if ratio is None else f" ({ratio:g} of the others')"
