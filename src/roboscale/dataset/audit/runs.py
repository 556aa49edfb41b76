"""What goes wrong for a while within single episodes: frozen state, dead or clipped elements, wrapped angles, clocks.

Every finding names the frames. Judges `EpisodeEvidence`, reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from roboscale.core import Field, Finding, Span, Spec
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.roles import FieldRoles, elements
from roboscale.dataset.checks import finding, many
from roboscale.dataset.lerobot.clock import ClockFacts
from roboscale.dataset.streams import SOURCE_TIMES

__all__ = ["judge_clocks", "judge_runs", "measured_clocks"]

_DEAD = 0.2  # of the range that an element covers in the median episode
_CLIPPED = 0.3  # of an episode's frames
_SWITCH = 8  # an element with at most that many values is a switch
_RATE = 0.01  # of the declared rate
_LONG = 10  # frames that an episode needs to say anything
_LISTED = 50

Evidence = Sequence[EpisodeEvidence]


def judge_runs(evidence: Evidence, field: Field, roles: FieldRoles) -> Iterator[Finding]:
    """Frozen runs, elements that are dead or clipped in single episodes, wrapped angles and flipped quaternions."""
    yield from _frozen(evidence, field.name)
    yield from _leaps(evidence, field)
    if len(evidence) >= 4:
        yield from _dead(evidence, field)
        if roles.kind(field.name) == "action":
            yield from _clipped(evidence, field, roles.grippers(field))


def _frozen(evidence: Evidence, name: str) -> Iterator[Finding]:
    spans = [Span(e.position, a, b) for e in evidence for a, b in e.frozen.get(name, ())]
    if spans:
        worst = max(spans, key=lambda s: s.last - s.first)
        episodes = sorted({s.episode for s in spans})
        text = (
            f"{name} is the same to the last bit in frames {worst.first} to {worst.last} of episode {worst.episode} "
            f"though the action moves on; {many(len(spans), 'run')} in {many(len(episodes))}"
        )
        yield finding("frozen-state", text, episodes=episodes, field=name, spans=spans)


def _leaps(evidence: Evidence, field: Field) -> Iterator[Finding]:
    names = elements(field)
    wrapped = [(e.position, d, frame) for e in evidence for d, frame in e.fields[field.name].wraps]
    if wrapped:
        i, d, frame = wrapped[0]
        episodes = sorted({i for i, _, _ in wrapped})
        text = (
            f"{names[d]} of {field.name} leaps by a whole turn at frame {frame} of episode {i}; "
            f"{many(len(wrapped), 'such step')} in {many(len(episodes))}"
        )
        listed = [{"episode": i, "dimension": names[d], "frame": f} for i, d, f in wrapped[:_LISTED]]
        spans = [Span(i, f, f) for i, _, f in wrapped]
        about: dict[str, Any] = {"episodes": episodes, "spans": spans, "evidence": {"steps": listed}}
        yield finding("wrap-around", text, field=field.name, **about)
    spans = [Span(e.position, frame, frame) for e in evidence for frame in e.fields[field.name].flips]
    if spans:
        episodes = sorted({s.episode for s in spans})
        text = (
            f"the quaternion of {field.name} turns into its negative, which is the same rotation, at frame "
            f"{spans[0].first} of episode {spans[0].episode}; {many(len(spans), 'flip')} in {many(len(episodes))}"
        )
        yield finding("sign-flip", text, episodes=episodes, field=field.name, spans=spans)


def _dead(evidence: Evidence, field: Field) -> Iterator[Finding]:
    """Elements that never change in an episode though they move far in most."""
    parts = [e.fields[field.name] for e in evidence]
    covered = np.stack([f.high - f.low for f in parts])
    whole = np.max([f.high for f in parts], axis=0) - np.min([f.low for f in parts], axis=0)
    usual = np.median(covered, axis=0)
    continuous = np.median([f.distinct for f in parts], axis=0) > _SWITCH
    long = np.array([e.length >= _LONG for e in evidence])[:, None]
    dead = (covered == 0) & (usual > _DEAD * whole) & continuous & long
    still = [(evidence[e].position, int(d)) for e, d in np.argwhere(dead)]
    if still:
        (i, d), names = still[0], elements(field)
        episodes = sorted({i for i, _ in still})
        text = (
            f"{names[d]} of {field.name} never changes in episode {i} (always {parts[_at(evidence, i)].low[d]:.4g}), "
            f"and covers {usual[d]:.4g} in the median episode; {many(len(episodes))} in all"
        )
        spans = [Span(i, 0, evidence[_at(evidence, i)].length - 1) for i in episodes]
        listed = [{"episode": i, "dimension": names[d]} for i, d in still[:_LISTED]]
        about: dict[str, Any] = {"episodes": episodes, "spans": spans, "evidence": {"dead": listed}}
        yield finding("dead-element", text, field=field.name, **about)


def _at(evidence: Evidence, position: int) -> int:
    return next(i for i, e in enumerate(evidence) if e.position == position)


def _clipped(evidence: Evidence, field: Field, grippers: Sequence[int]) -> Iterator[Finding]:
    """Commands that sit at one value, an end of the whole range, for a third of an episode, unlike elsewhere."""
    parts = [e.fields[field.name] for e in evidence]
    lengths = np.array([e.length for e in evidence])[:, None]
    free = [d for d in range(len(elements(field))) if d not in grippers]
    clipped: list[tuple[int, int, float, float]] = []
    for side, end in (("low", np.min), ("high", np.max)):
        values = np.stack([getattr(f, side) for f in parts])
        limit = end(values, axis=0)
        share = np.stack([getattr(f, f"at_{side}") for f in parts]) / lengths * (values == limit)
        varied = np.stack([f.distinct for f in parts]) > _SWITCH
        usual = np.median(share, axis=0)
        for e, d in np.argwhere((share > _CLIPPED) & (usual < _CLIPPED / 3) & varied):
            if d in free:
                clipped.append((evidence[e].position, int(d), float(limit[d]), float(share[e, d])))
    if clipped:
        i, d, value, part = max(clipped, key=lambda f: f[3])
        episodes = sorted({f[0] for f in clipped})
        text = (
            f"{elements(field)[d]} of {field.name} sits at its limit {value:.4g} in {part:.0%} of the frames of "
            f"episode {i}: a clipped command; {many(len(episodes))} in all"
        )
        yield finding("clipped-command", text, episodes=episodes, field=field.name)


def measured_clocks(evidence: Evidence) -> dict[str, dict[int, ClockFacts]]:
    """Clock -> position of an episode -> what it says there."""
    clocks: dict[str, dict[int, ClockFacts]] = {}
    for one in evidence:
        for name, field in one.fields.items():
            if field.clock is not None:
                clocks.setdefault(name, {})[one.position] = field.clock
    return clocks


def judge_clocks(evidence: Evidence, spec: Spec) -> Iterator[Finding]:
    """Clocks that ran at another rate than declared, or lost frames; each stream and episode by itself."""
    for name, facts in measured_clocks(evidence).items():
        if name == SOURCE_TIMES:
            continue  # of before the resampling, whose frames repeat or are left out on purpose
        off = {i: f for i, f in facts.items() if abs(f.mean_hz - spec.rate_hz) > _RATE * spec.rate_hz or f.lost}
        if not off:
            continue
        worst = max(off, key=lambda i: (abs(off[i].mean_hz - spec.rate_hz), off[i].lost))
        rates = [f.mean_hz for f in facts.values()]
        lost = sum(f.lost for f in facts.values())
        text = (
            f"{name} ran at {min(rates):.4g} to {max(rates):.4g} Hz, declared {spec.rate_hz:g}; "
            f"{many(lost, 'frame')} lost; episode {worst}: {off[worst]}"
        )
        shown = {str(i): f.to_json() for i, f in sorted(facts.items())[:_LISTED]}
        about: dict[str, Any] = {"episodes": sorted(off), "evidence": {"episodes": shown, "declared": spec.rate_hz}}
        yield finding("clock-rate", text, field=name, **about)
