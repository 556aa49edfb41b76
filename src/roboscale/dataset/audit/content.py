"""What the numbers and pictures of all episodes show together: judges `EpisodeEvidence`, reads nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Finding, Span, Spec
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.roles import FieldRoles, elements
from roboscale.dataset.audit.runs import judge_runs
from roboscale.dataset.checks import finding, many

__all__ = ["judge_cameras", "judge_lengths", "judge_numbers"]

_IDLE_S = 1.0
_RESTS = 0.25
_SATURATED = 0.25
_SWITCH = 8  # a dimension with at most that many values is a switch
_JUMP = 0.1  # of what the dimension covers in the dataset: what stands still may twitch
_FLICKER = 0.01  # of what the median dimension covers
_SAMPLES = 50  # numbers kept as evidence

_PICTURE_TEXTS = {"black-camera": "is of one colour", "frozen-camera": "stands still while the robot moves"}

Evidence = Sequence[EpisodeEvidence]


def judge_lengths(evidence: Evidence, rate_hz: float) -> Iterator[Finding]:
    """Unreadable episodes, lengths, and idle ends."""
    for one in evidence:
        if one.error:
            yield finding("episode-unreadable", f"episode {one.position}: {one.error}", episodes=[one.position])
    good = [e for e in evidence if not e.error]
    single = [e.position for e in good if e.length == 1]
    if single:
        yield finding("one-frame-episode", f"{many(len(single))} of a single frame", episodes=single)
    lengths = {e.position: e.length for e in good if e.length > 1}
    if len(lengths) >= 5:
        median = float(np.median(list(lengths.values())))
        odd = {i: n for i, n in lengths.items() if n > 4 * median or n < median / 4}
        if odd:
            text = f"{many(len(odd))} far from the median of {median:g} frames, such as {_first(odd)}"
            evidence_ = {"median": median, "frames": {str(i): n for i, n in sorted(odd.items())[:_SAMPLES]}}
            yield finding("outlier-length", text, episodes=sorted(odd), evidence=evidence_)
    for check, end in (("idle-lead", 0), ("idle-tail", 1)):
        yield from _idle(check, end, good, rate_hz)
    yield from _resting(good, rate_hz)


def _first(values: dict[int, Any]) -> str:
    i = min(values)
    return f"episode {i} with {values[i]}"


def _idle(check: str, end: int, evidence: Evidence, rate_hz: float) -> Iterator[Finding]:
    still = {e.position: e.idle[end] for e in evidence if e.idle[end] >= _IDLE_S * rate_hz}
    if not still:
        return
    lengths = {e.position: e.length for e in evidence}
    spans = [Span(i, 0, n - 1) if end == 0 else Span(i, lengths[i] - n, lengths[i] - 1) for i, n in still.items()]
    seconds = {i: round(n / rate_hz, 3) for i, n in still.items()}
    total = sum(seconds.values())
    where = "first" if end == 0 else "last"
    text = f"nothing moves in the {where} {_IDLE_S:g} s or more of {many(len(still))}, {total:.1f} s in all"
    evidence_ = {
        "seconds in all": round(total, 3),
        "longest": max(seconds.values()),
        "plot": {"kind": "episodes", "values": [[i, s] for i, s in seconds.items()][:400], "y": "idle, s"},
    }
    yield finding(check, text, episodes=list(still), spans=spans, evidence=evidence_)


def _resting(evidence: Evidence, rate_hz: float) -> Iterator[Finding]:
    """Sets in which nothing is asked of the robot for much of the time, as of people who drive with keys."""
    total, rests = sum(e.length for e in evidence), sum(e.resting for e in evidence)
    if not total or rests < _RESTS * total:
        return
    shares = {e.position: round(e.resting / e.length, 4) for e in evidence}
    low, high = (f"{100 * quantile:.0f}" for quantile in (min(shares.values()), max(shares.values())))
    text = (
        f"nothing is asked of the robot in {rests} of {total} frames ({rests / rate_hz:.1f} s), {low} to {high} % of "
        "an episode: what learns from them may rest where they do, and stay"
    )
    evidence_ = {
        "share": round(rests / total, 4),
        "plot": {"kind": "episodes", "values": [[i, s] for i, s in shares.items()][:400], "y": "rest, share"},
    }
    yield finding("resting", text, episodes=[i for i, s in shares.items() if s >= _RESTS], evidence=evidence_)


def judge_numbers(evidence: Evidence, spec: Spec, roles: FieldRoles) -> Iterator[Finding]:
    """NaN, clocks, constant and duplicate dimensions, spikes and saturation of every field."""
    good = [e for e in evidence if not e.error]
    for field in spec:
        parts = [(e, e.fields[field.name]) for e in good if field.name in e.fields]
        spans = [Span(e.position, a, b) for e, f in parts for a, b in f.broken]
        if spans:
            episodes = sorted({s.episode for s in spans})
            frames = sum(s.last - s.first + 1 for s in spans)
            text = f"{field.name} holds NaN or infinity in {many(frames, 'frame')} of {many(len(episodes))}"
            yield finding("not-finite", text, episodes=episodes, field=field.name, spans=spans)
        back = {e.position: f.goes_back for e, f in parts if f.goes_back >= 0}
        if back:
            text = f"{field.name} does not increase, first in episode {min(back)} at frame {back[min(back)]}"
            marks = [Span(i, n, n) for i, n in back.items()]
            yield finding("clock-backwards", text, episodes=sorted(back), field=field.name, spans=marks)
        if roles.moves(field):
            sound = [e for e, f in parts if not f.broken and len(f.low)]
            yield from _dimensions(sound, field.name, elements(field))
            yield from judge_runs(sound, field, roles)


def _dimensions(evidence: Evidence, name: str, names: Sequence[str]) -> Iterator[Finding]:
    if not evidence:
        return
    fields = [e.fields[name] for e in evidence]
    low, high = np.min([f.low for f in fields], axis=0), np.max([f.high for f in fields], axis=0)
    constant = np.flatnonzero(low == high)
    frames = sum(e.length for e in evidence)
    if len(constant) and frames >= 10:
        labels = [names[i] for i in constant.tolist()]
        text = f"{', '.join(labels[:6])} of {name} never changes in {frames} frames"
        shown = {"dimensions": labels, "values": low[constant].tolist()}
        yield finding("constant-dimension", text, field=name, evidence=shown)
    yield from _same(evidence, name, names, low < high)
    yield from _spikes(evidence, name, names)
    yield from _saturation(evidence, name, names, low, high)


def _same(evidence: Evidence, name: str, names: Sequence[str], moves: NDArray[np.bool_]) -> Iterator[Finding]:
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    digests = np.stack([e.fields[name].same for e in evidence], axis=1)
    for i, row in enumerate(digests):
        if moves[i]:
            groups[tuple(row.tolist())].append(i)
    for same in groups.values():
        if len(same) > 1:
            labels = [names[i] for i in same]
            text = f"{' and '.join(labels)} of {name} are the same in every frame"
            yield finding("duplicate-dimension", text, field=name, evidence={"dimensions": labels})


def _spikes(evidence: Evidence, name: str, names: Sequence[str]) -> Iterator[Finding]:
    fields = [e.fields[name] for e in evidence]
    range_ = np.max([f.high for f in fields], axis=0) - np.min([f.low for f in fields], axis=0)
    # A locked joint covers nothing but its own flicker, so the others say what a jump is.
    floor = np.maximum(_JUMP * range_, _FLICKER * float(np.median(range_)))
    spikes = [(e.position, s) for e in evidence for s in e.fields[name].spikes if s.jump > floor[s.dimension]]
    if not spikes:
        return
    i, worst = max(spikes, key=lambda entry: entry[1].size)
    episodes = sorted({i for i, _ in spikes})
    text = (
        f"{names[worst.dimension]} of {name} jumps by {worst.jump:.4g}, "
        f"{worst.jump / max(range_[worst.dimension], 1e-12):.0%} of what it covers, and back "
        f"at frame {worst.frame} of episode {i}; such spikes are in {many(len(episodes))}"
    )
    listed = [
        {"episode": i, "dimension": names[s.dimension], "frame": s.frame, "steps": round(s.size, 1)} for i, s in spikes
    ]
    spans = [Span(i, s.frame, s.frame) for i, s in spikes]
    yield finding("spikes", text, episodes=episodes, field=name, spans=spans, evidence={"spikes": listed[:_SAMPLES]})


def _saturation(
    evidence: Evidence, name: str, names: Sequence[str], low: NDArray[np.float64], high: NDArray[np.float64]
) -> Iterator[Finding]:
    fields = [e.fields[name] for e in evidence]
    frames = sum(e.length for e in evidence)
    continuous = np.max([f.distinct for f in fields], axis=0) > _SWITCH
    ends = {}
    for side, limit, what in (("low", low, "smallest"), ("high", high, "largest")):
        at = np.stack([getattr(f, f"at_{side}") * (getattr(f, side) == limit) for f in fields])
        share = at.sum(axis=0) / frames
        spread = (at > 1).sum(axis=0) >= min(2, len(fields))
        for d in np.flatnonzero(continuous & spread & (share > _SATURATED)).tolist():
            ends[f"{names[d]} {what}"] = [float(limit[d]), round(float(share[d]), 4)]
    if ends:
        first, (value, part) = next(iter(ends.items()))
        text = f"{name}: {first} value {value:.4g} in {100 * part:.0f} % of all frames"
        yield finding("saturation", text, field=name, evidence={"value and share of frames": ends})


def judge_cameras(evidence: Evidence, spec: Spec, rate_hz: float) -> Iterator[Finding]:
    """Pictures that cannot be decoded, are black, stand still, or belong to another camera."""
    good = [e for e in evidence if not e.error]
    for camera in (f.name for f in spec.images):
        parts = [(e.position, e.cameras[camera]) for e in good if camera in e.cameras]
        broken = {i: c.error for i, c in parts if c.error}
        if broken:
            text = f"{camera} cannot be decoded in {many(len(broken))}: {broken[min(broken)]}"
            yield finding("unreadable-pictures", text, episodes=sorted(broken), field=camera)
        for check, what in (
            ("black-camera", "is of one colour"),
            ("frozen-camera", "stands still while the robot moves"),
        ):
            spans = [Span(i, a, b) for i, c in parts for a, b in (c.black if check == "black-camera" else c.frozen)]
            if spans:
                episodes = sorted({s.episode for s in spans})
                seconds = sum(s.last - s.first + 1 for s in spans) / rate_hz
                text = f"{camera} {what} in {many(len(episodes))}, about {seconds:.1f} s"
                shown = {"seconds": round(seconds, 2)}
                yield finding(check, text, episodes=episodes, field=camera, spans=spans, evidence=shown)
    yield from _swapped(good, spec)


def _swapped(evidence: Evidence, spec: Spec) -> Iterator[Finding]:
    """Two cameras whose coarse pictures fit each other's episodes better than their own, in a minority of episodes."""
    names = [f.name for f in spec.images]
    for a, first in enumerate(names):
        for second in names[a + 1 :]:
            both = [e for e in evidence if _has(e, first) and _has(e, second)]
            if len(both) < 3 or both[0].cameras[first].grid.shape != both[0].cameras[second].grid.shape:
                continue
            one = np.stack([e.cameras[first].grid for e in both])
            two = np.stack([e.cameras[second].grid for e in both])
            odd = _exchanged(one, two)
            if len(odd):
                episodes = [both[i].position for i in odd]
                text = f"{first} and {second} are exchanged in {len(episodes)} of {len(both)} episodes"
                yield finding("swapped-cameras", text, episodes=episodes, field=first, evidence={"with": second})


def _has(one: EpisodeEvidence, camera: str) -> bool:
    return camera in one.cameras and one.cameras[camera].grid.size > 0


def _exchanged(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.int64]:
    centre, other = np.median(one, axis=0), np.median(two, axis=0)

    def apart(grids: NDArray[np.float32], middle: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(np.square(grids.astype(np.float64) - middle).mean(axis=(1, 2, 3))))

    own = apart(one, centre) + apart(two, other)
    crossed = apart(one, other) + apart(two, centre)
    usual = float(np.median(own))
    gap = 2 * float(np.sqrt(np.square(centre.astype(np.float64) - other).mean()))
    odd = np.flatnonzero(crossed < 0.5 * own)
    return odd if gap > 3 * usual and 0 < len(odd) < len(one) / 2 else odd[:0]
