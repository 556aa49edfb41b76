"""Who drove how: what an audit says of each operator, beside the findings. No verdict on a person is drawn from it.

Episodes, successes, how long they took, how many steps came late or had nobody at the page, how much of the time the
arm stood, and how unsteadily it went: the change from one step's motion to the next beside the motion itself, 0 of a
straight way at one speed, about 1.4 of steps that have nothing to do with one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RecordedEpisode

if TYPE_CHECKING:
    from roboscale.dataset.audit.evidence import EpisodeEvidence

__all__ = ["OperatorEvidence", "look_at_operator", "operator_facts", "operator_lines"]

_STILL = 1e-3  # of an element's range in one step
_COUNTED = ("late", "unattended", "interventions")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEvidence:
    """One episode of somebody.

    Args:
        seconds: how long it is. steps: frames. counted: what the recorder counted, steps.
        still: share of steps in which nothing moves; `None` where no motion is known. unsteady: see above.
    """

    name: str
    success: bool | None
    seconds: float
    steps: int
    counted: Mapping[str, float]
    still: float | None = None
    unsteady: float | None = None


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
    still = unsteady = None
    if moving and len(moving[0]) > 3:
        rows = np.concatenate(moving, axis=1)
        span = np.maximum(np.ptp(rows, axis=0), 1e-12)
        steps = np.diff(rows / span, axis=0)
        still = float((np.abs(steps).max(axis=1) < _STILL).mean())
        goes = float(np.linalg.norm(steps, axis=1).sum())
        unsteady = float(np.linalg.norm(np.diff(steps, axis=0), axis=1).sum()) / goes if goes > 0 else None
    return OperatorEvidence(
        name=name,
        success=None if outcome is None else outcome.success,
        seconds=len(episode) / rate_hz,
        steps=len(episode),
        counted=counted,
        still=still,
        unsteady=unsteady,
    )


def operator_facts(evidence: Sequence[EpisodeEvidence]) -> dict[str, dict[str, Any]]:
    """Operator -> what their episodes say; nothing where nobody is named."""
    by_name: dict[str, list[OperatorEvidence]] = {}
    for one in evidence:
        if one.driven is not None:
            by_name.setdefault(one.driven.name, []).append(one.driven)
    return {name: _facts(mine) for name, mine in sorted(by_name.items())}


def _facts(mine: Sequence[OperatorEvidence]) -> dict[str, Any]:
    known = [one.success for one in mine if one.success is not None]
    facts: dict[str, Any] = {"episodes": len(mine), "succeeded": sum(known), "judged": len(known)}
    facts["seconds, median"] = round(float(np.median([one.seconds for one in mine])), 2)
    for key in _COUNTED:
        said = [one for one in mine if key in one.counted]
        if said:
            share = sum(one.counted[key] for one in said) / sum(one.steps for one in said)
            facts[f"{key}, share of steps"] = round(share, 4)
    for key in ("still", "unsteady"):
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
        unsteady = f", unsteadiness {said['unsteady, median']:.2f}" if "unsteady, median" in said else ""
        lines.append(
            f"{name}: {said['episodes']} episodes, {said['succeeded']} of {said['judged']} succeeded, "
            f"{said['seconds, median']:.1f} s each{', ' + rest if rest else ''}{unsteady}"
        )
    return lines
