"""Whole attempts: what was asked of the robot beside what it did, where a person took over, whether it succeeded.

Columns as LeRobot's recorders write them: `next.success`, `complementary_info.is_intervention` and
`complementary_info.policy_action` beside `action`. Judges what it has looked at; reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Finding, RecordedEpisode, Span, Spec
from roboscale.dataset.audit.roles import FieldRoles, elements
from roboscale.dataset.audit.signals import true_runs
from roboscale.dataset.checks import finding, many
from roboscale.dataset.sensors import flags_of, recorded_success, words_of

if TYPE_CHECKING:
    from roboscale.dataset.audit.evidence import EpisodeEvidence

__all__ = ["AttemptEvidence", "attempt_facts", "judge_attempts", "look_at_attempt"]

_TAKEN_OVER = frozenset(["intervention", "interventions", "takeover", "correction", "corrections", "corrected"])
_SAME = 1e-6  # of what the action covers


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEvidence:
    """One episode.

    Args:
        success: whether the recorder says that it succeeded; `None` where it says nothing.
        corrected: runs of frames in which a person took over.
        other: field of another action -> share of frames that differ from the action, largest difference, its frame.
    """

    success: bool | None = None
    corrected: tuple[tuple[int, int], ...] = ()
    other: Mapping[str, tuple[float, float, int]] = field(default_factory=dict)


def look_at_attempt(episode: RecordedEpisode, spec: Spec, roles: FieldRoles) -> AttemptEvidence:
    """What the columns of one episode say of the attempt."""
    arrays = episode.arrays
    taken = [flag for f in spec if words_of(f.name) & _TAKEN_OVER and (flag := flags_of(f, arrays)) is not None]
    corrected = true_runs(np.any(taken, axis=0)) if taken else []
    actions = [f for f in spec if roles.kind(f.name) == "action" and f.name in arrays]
    other: dict[str, tuple[float, float, int]] = {}
    for one in spec:
        beside = next((a for a in actions if a.shape == one.shape), None)
        if roles.kind(one.name) in ("requested", "executed") and one.name in arrays and beside is not None:
            other[one.name] = _apart(arrays[one.name], arrays[beside.name])
    return AttemptEvidence(success=recorded_success(spec, arrays), corrected=tuple(corrected), other=other)


def _apart(one: NDArray[Any], action: NDArray[Any]) -> tuple[float, float, int]:
    """Share of frames that differ, the largest difference, and its frame."""
    rows, others = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (one, action))
    gap = np.nan_to_num(np.abs(rows - others))
    limit = _SAME * np.maximum(np.ptp(np.nan_to_num(others), axis=0), 1e-9)
    frame = int(gap.max(axis=1).argmax())
    return float((gap > limit).any(axis=1).mean()), float(gap[frame].max()), frame


def attempt_facts(evidence: Sequence[EpisodeEvidence]) -> dict[str, Any]:
    """Attempts that succeeded and did not, frames that a person corrected, and actions beside the action."""
    known = [one.attempt.success for one in evidence if one.attempt.success is not None]
    corrected = sum(b - a + 1 for one in evidence for a, b in one.attempt.corrected)
    facts: dict[str, Any] = {"succeeded": sum(known), "not": len(known) - sum(known)} if known else {}
    facts |= {"corrected frames": corrected} if corrected else {}
    for name in dict.fromkeys(name for one in evidence for name in one.attempt.other):
        shares = [one.attempt.other[name][0] for one in evidence if name in one.attempt.other]
        facts[name] = {"share of frames unlike the action": round(float(np.mean(shares)), 4)}
    return facts


def judge_attempts(evidence: Sequence[EpisodeEvidence], spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """Corrections, attempts without success, and an action that is another than the one beside it."""
    spans = [Span(one.position, a, b) for one in evidence for a, b in one.attempt.corrected]
    if spans:
        frames, total = sum(s.last - s.first + 1 for s in spans), sum(one.length for one in evidence)
        episodes = sorted({s.episode for s in spans})
        text = f"a person took over in {frames} of {total} frames, in {len(episodes)} of {many(len(evidence))}"
        yield finding("corrected-frames", text, episodes=episodes, spans=spans, evidence={"frames": frames})
    known = {one.position: one.attempt.success for one in evidence if one.attempt.success is not None}
    failed = [position for position, success in known.items() if not success]
    if failed:
        text = f"{len(failed)} of {many(len(known), 'attempt')} end without success"
        text += ": all failed, or nobody filled the column" if len(failed) == len(known) else ""
        yield finding("attempt-failed", text, episodes=failed)
    yield from _beside(evidence, spec, roles)


def _beside(evidence: Sequence[EpisodeEvidence], spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """Requested beside executed actions: how far apart, and whether they are in one space at all."""
    actions = [f for f in spec if roles.kind(f.name) == "action"]
    for one in spec:
        if roles.kind(one.name) not in ("requested", "executed") or not actions:
            continue
        like = [a for a in actions if a.shape == one.shape]
        names = [set(elements(a)) for a in like or actions]
        if one.layout and all(a.layout for a in like or actions) and set(one.layout) not in names:
            action = (like or actions)[0]
            text = f"{one.name} has the elements {_some(one)}, {action.name} has {_some(action)}: another space"
            yield finding("action-space", text, field=one.name)
            continue
        apart = {e.position: e.attempt.other[one.name] for e in evidence if one.name in e.attempt.other}
        unlike = {i: a for i, a in apart.items() if a[0] > 0}
        if unlike:
            worst = max(unlike, key=lambda i: unlike[i][1])
            weights = [e.length for e in evidence if e.position in apart]
            share = float(np.average([a[0] for a in apart.values()], weights=weights))
            text = (
                f"{one.name} differs from {like[0].name} in {share:.0%} of the frames, by up to "
                f"{unlike[worst][1]:.4g} at frame {unlike[worst][2]} of episode {worst}"
            )
            about = {"share": round(share, 4), "largest": unlike[worst][1]}
            yield finding("action-beside", text, episodes=sorted(unlike), field=one.name, evidence=about)


def _some(field_: Field) -> str:
    return ", ".join(elements(field_)[:4])
