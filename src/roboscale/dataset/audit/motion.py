"""Do actions explain the motion, with which delay, with which gripper sign, and in which unit? Over all episodes."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Finding, Spec
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.roles import FieldRoles, Link, elements
from roboscale.dataset.audit.signals import Motion
from roboscale.dataset.checks import finding, many

__all__ = ["delays", "judge_grippers", "judge_motion", "judge_units"]

_EXPLAINED = 0.5  # of a perfect correlation
_UNEXPLAINED = 0.3
_RADIANS, _METRES = 180 / np.pi, 1000.0
_SIDED = 0.8  # correlation from which an element's sign and unit can be told
_UNIT = 1.2
_APART = 1.6  # factor by which ranges of the same robot may differ from that ratio

Evidence = Sequence[EpisodeEvidence]


def _motions(evidence: Evidence, action: str, field: Field) -> dict[int, Motion]:
    """Position -> motion, read as absolute or relative: as declared, else whichever explains more episodes."""
    both = {e.position: e.motions[action] for e in evidence if action in e.motions}
    if not both:
        return {}
    absolute = {i: m.absolute for i, m in both.items()}
    relative = {i: m.relative for i, m in both.items()}
    if field.mode.startswith("relative"):
        return relative
    medians = [float(np.median([m.score for m in side.values()])) for side in (absolute, relative)]
    return relative if medians[1] > medians[0] else absolute


def _absolute(evidence: Evidence, action: str, field: Field) -> bool:
    """Whether an action is read as where the state shall be."""
    motions = _motions(evidence, action, field)
    return bool(motions) and all(
        e.motions[action].absolute is motions.get(e.position) for e in evidence if action in e.motions
    )


def _sides(evidence: Evidence, link: Link, spec: Spec, absolute: bool) -> Iterator[Finding]:
    """Elements of an absolute action that run against their state, or in another unit than it."""
    tables = [e.motions[link.action].sides for e in evidence if link.action in e.motions]
    if not absolute or not tables or not link.pairs:
        return
    fit, ratio = np.moveaxis(np.median(np.stack(tables), axis=0), -1, 0)
    names, states = elements(spec[link.action]), elements(spec[link.state])
    against = [p for p in range(len(link.pairs)) if fit[p] < -_SIDED]
    if against and len(against) < len(link.pairs):
        i, j = link.pairs[against[0]]
        text = (
            f"{names[i]} of {link.action} runs against {states[j]} of {link.state}: correlation "
            f"{fit[against[0]]:.2f} in the median episode; {len(against)} of {many(len(link.pairs), 'element')}"
        )
        shown = {"elements": [names[link.pairs[p][0]] for p in against], "correlation": fit[against].round(3).tolist()}
        yield finding("action-sign", text, field=link.action, evidence=shown)
    same = np.abs(fit) > _SIDED
    for factor, what in ((_RADIANS, "degrees and radians"), (_METRES, "millimetres and metres")):
        for value, words in ((factor, "times"), (1 / factor, "of")):
            off = [p for p in np.flatnonzero(same) if value / _UNIT < ratio[p] < value * _UNIT]
            if off and len(off) * 2 >= same.sum():
                size = f"{factor:.4g} times" if words == "times" else f"1/{factor:.4g} of"
                text = (
                    f"{link.state} moves {size} what {link.action} says ({ratio[off[0]]:.4g} of "
                    f"{names[link.pairs[off[0]][0]]}): {what}?"
                )
                about = {"ratio": ratio[off].round(4).tolist()}
                yield finding("action-unit", text, field=link.action, evidence=about)


def delays(evidence: Evidence, spec: Spec, roles: FieldRoles) -> dict[str, dict[str, float]]:
    """action -> delay to the motion in frames and seconds, and how much it explains; medians over the episodes."""
    by_pair = {}
    for link in roles.links(spec):
        motions = _motions(evidence, link.action, spec[link.action])
        if motions:
            frames = float(np.median([m.lag for m in motions.values()]))
            score = float(np.median([m.score for m in motions.values()]))
            by_pair[link.action] = {"frames": frames, "seconds": frames / spec.rate_hz, "correlation": round(score, 4)}
    return by_pair


def judge_motion(evidence: Evidence, spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """Actions that are copies of the state, explain nothing, or act with another delay than elsewhere."""
    for link in roles.links(spec):
        lags = {e.position: e.motions[link.action].copies for e in evidence if link.action in e.motions}
        copies = [i for i, lag in lags.items() if lag == 0]
        if copies:
            text = f"{link.action} equals {link.state} of the same frame in {many(len(copies))}"
            yield finding("action-copies-state", text, episodes=copies, field=link.action)
        later = {i: lag for i, lag in lags.items() if lag}
        if later:
            frames = sorted(set(later.values()))
            late = "1 frame" if frames == [1] else f"{'/'.join(map(str, frames))} frames"
            text = (
                f"{link.action} is {link.state} of {late} later, number for number, "
                f"in {len(later)} of {many(len(lags))}: no command was recorded"
            )
            about = {"lag, frames": frames}
            yield finding("action-later-state", text, episodes=sorted(later), field=link.action, evidence=about)
        motions = _motions(evidence, link.action, spec[link.action])
        yield from _sides(evidence, link, spec, _absolute(evidence, link.action, spec[link.action]))
        motions = {i: m for i, m in motions.items() if i not in copies}
        if not motions:
            continue
        usual = float(np.median([m.score for m in motions.values()]))
        ignored = {i: m for i, m in motions.items() if m.score < min(_EXPLAINED, 0.6 * usual)}
        if usual < _UNEXPLAINED:
            ignored = motions if link.pairs else {}  # without pairs there is nothing to compare with
        if ignored:
            yield _ignored(ignored, link.action, link.state, usual, motions)
        yield from _lags({i: m for i, m in motions.items() if i not in ignored}, link.action, spec.rate_hz)


def _ignored(
    ignored: Mapping[int, Motion], action: str, state: str, usual: float, motions: Mapping[int, Motion]
) -> Finding:
    worst = min(ignored, key=lambda i: ignored[i].score)
    text = (
        f"no delay makes {action} explain {state} in {len(ignored)} of {len(motions)} episodes: correlation at most "
        f"{ignored[worst].score:.2f} in episode {worst}, {usual:.2f} in the median episode"
    )
    shown = ignored[worst]
    plot = {
        "kind": "lines",
        "x": list(range(shown.first, shown.first + len(shown.curve))),
        "lines": {f"episode {worst}": [round(v, 4) for v in shown.curve]},
        "xlabel": "delay, frames",
        "y": "correlation",
    }
    evidence = {"median correlation": round(usual, 4), "worst": round(shown.score, 4), "plot": plot}
    return finding("action-ignored", text, episodes=sorted(ignored), field=action, evidence=evidence)


def _lags(motions: Mapping[int, Motion], action: str, rate_hz: float) -> Iterator[Finding]:
    if len(motions) < 3:
        return
    usual = round(float(np.median([m.lag for m in motions.values()])))
    limit = max(3, round(0.1 * rate_hz))
    far = {
        i: m
        for i, m in motions.items()
        if abs(m.lag - usual) >= limit and m.score > _EXPLAINED and m.score - m.at(usual) > 0.05
    }
    if far:
        i = next(iter(far))
        text = (
            f"motion follows {action} after {usual} frames ({1000 * usual / rate_hz:.0f} ms) in the median episode, "
            f"and after {far[i].lag} ({1000 * far[i].lag / rate_hz:.0f} ms) in episode {i}; {len(far)} in all"
        )
        values = [[i, m.lag] for i, m in motions.items()][:400]
        evidence = {"usual, frames": usual, "plot": {"kind": "episodes", "values": values, "y": "delay, frames"}}
        yield finding("action-lag", text, episodes=sorted(far), field=action, evidence=evidence)


def judge_grippers(evidence: Evidence, spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """Episodes in which a gripper runs upside down: against the other episodes, or command against state."""
    for field in spec:
        if not roles.moves(field):
            continue
        for d in roles.grippers(field):
            rows = [e for e in evidence if field.name in e.fields and e.fields[field.name].course.size]
            if len(rows) < 4:
                continue
            courses = np.stack([e.fields[field.name].course[:, d] for e in rows]).astype(np.float64)
            against = _against_state(rows, field, d, spec, roles, courses)
            odd = np.union1d(_upside_down(courses), against)
            if len(odd):
                yield _gripper(rows, field, d, odd, courses, sure=bool(len(against)))


def _gripper(
    rows: Evidence, field: Field, d: int, odd: NDArray[np.int64], courses: NDArray[np.float64], *, sure: bool
) -> Finding:
    """A warning where command and state contradict each other; else a note, for placing is picking upside down."""
    label, episodes = elements(field)[d], [rows[i].position for i in odd]
    text = f"{label} of {field.name} runs the other way in {len(odd)} of {len(rows)} episodes"
    text += ", against its state" if sure else ": another sign, or another task, such as a place among picks"
    x = np.linspace(0, 1, courses.shape[1]).round(4).tolist()
    lines = {
        f"episode {episodes[0]}": courses[odd[0]].round(5).tolist(),
        "median episode": np.median(courses, axis=0).round(5).tolist(),
    }
    plot = {"kind": "lines", "x": x, "lines": lines, "xlabel": "share of the episode", "y": label}
    evidence = {"dimension": label, "plot": plot}
    one = finding("gripper-sign", text, episodes=episodes, field=field.name, evidence=evidence)
    return one if sure else dataclasses.replace(one, severity="info")


def _against_state(
    rows: Sequence[EpisodeEvidence], field: Field, d: int, spec: Spec, roles: FieldRoles, courses: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Rows in which the command runs against the state's element of the same name, where nearly all run with it."""
    link = next((one for one in roles.links(spec) if one.action == field.name), None)
    names = elements(spec[link.state]) if link else ()
    label = elements(field)[d]
    nothing = np.empty(0, np.int64)
    if link is None or label not in names or any(link.state not in e.fields for e in rows):
        return nothing
    states = [e.fields[link.state].course for e in rows]
    if not all(course.size for course in states):
        return nothing
    fit = _fits(courses, np.stack([course[:, names.index(label)] for course in states]).astype(np.float64))
    odd = np.flatnonzero(fit < -0.5)
    return odd if (fit > 0.5).mean() >= 0.5 and len(odd) < len(rows) / 2 else nothing


def _fits(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of each row of one with the same row of the other; 0 where one of them stands."""
    a, b = first - first.mean(axis=1, keepdims=True), second - second.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    return np.asarray(np.divide((a * b).sum(axis=1), size, out=np.zeros(len(a)), where=size > 0))


def _upside_down(courses: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows that run against the median course and sit on the other side, where nearly all run with it."""
    low, high = courses.min(), courses.max()
    if not high > low:
        return np.empty(0, np.int64)
    usual = np.median(courses, axis=0)
    fit = _fits(courses, np.broadcast_to(usual, courses.shape))
    with_it, against = fit > 0.3, fit < -0.6
    # What lies nearer to the mirrored course than to the course itself has another sign, not another timing.
    mirrored = 2 * np.median(courses) - usual if low < 0 < high and abs(low + high) < 0.2 * (high - low) else None
    flipped = (low + high - usual) if mirrored is None else -usual
    nearer = np.abs(courses - flipped).mean(axis=1) < 0.5 * np.abs(courses - usual).mean(axis=1)
    odd = np.flatnonzero(against & nearer)
    return odd if with_it.mean() >= 0.5 and len(odd) < len(courses) / 2 else odd[:0]


def judge_units(evidence: Evidence, spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """Members, or single episodes, whose numbers are about 57.3 or 1000 times those of the rest."""
    for field in spec:
        if not roles.moves(field):
            continue
        rows = [e for e in evidence if field.name in e.fields and e.fields[field.name].square.size]
        free = [d for d in range(len(elements(field))) if d not in roles.grippers(field)]
        if len(rows) < 2 or len(free) < 2:
            continue
        groups = _members(rows)
        sizes = {
            name: np.median([np.sqrt(e.fields[field.name].square[free]) for e in g], axis=0)
            for name, g in groups.items()
        }
        largest = max(groups, key=lambda name: len(groups[name]))
        common = len(groups[largest]) > 1
        reference = sizes[largest] if common else np.median(list(sizes.values()), axis=0)
        odd: dict[str, list[EpisodeEvidence]] = defaultdict(list)
        for name, size in sizes.items():
            what = _ratio(size, reference)
            if what:
                odd[what] += groups[name]
        for what, members in odd.items():
            episodes = sorted(e.position for e in members)
            text = f"{field.name} of {many(len(episodes))} is about {what} times that of the others"
            shown: dict[str, Any] = {"ratio": what, "members": sorted({_label(e) for e in members} - {""})}
            yield finding("unit-mismatch", text, episodes=episodes, field=field.name, evidence=shown)


def _size(group: Evidence, name: str, free: Sequence[int]) -> NDArray[np.float64]:
    """Root mean square of each free dimension, of the median episode."""
    return np.asarray(np.median([np.sqrt(e.fields[name].square[list(free)]) for e in group], axis=0))


def _label(one: EpisodeEvidence) -> str:
    return "/".join(part for part in (one.member, one.embodiment) if part)


def _members(rows: Sequence[EpisodeEvidence]) -> dict[str, list[EpisodeEvidence]]:
    """By member and embodiment where there are several, else every episode by itself."""
    groups: dict[str, list[EpisodeEvidence]] = defaultdict(list)
    for one in rows:
        groups[_label(one)].append(one)
    return dict(groups) if len(groups) > 1 else {str(e.position): [e] for e in rows}


def _ratio(size: NDArray[np.float64], reference: NDArray[np.float64]) -> str:
    both = (size > 1e-9) & (reference > 1e-9)
    if both.sum() < 2:
        return ""
    ratios = size[both] / reference[both]
    middle = float(np.median(ratios))
    for factor, name in ((_RADIANS, "57.3 (degrees for radians)"), (_METRES, "1000 (millimetres for metres)")):
        for value, label in ((factor, name), (1 / factor, name.replace("57.3", "1/57.3").replace("1000", "1/1000"))):
            near = (ratios > value / _APART) & (ratios < value * _APART)
            if value / _APART < middle < value * _APART and near.mean() >= 0.5:
                return label
    return ""
