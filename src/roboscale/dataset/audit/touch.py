"""Sensors of touch and force over all episodes: elements that are dead, zeros that drift, readings at an end.

A sensor at its own rate is looked at as one on the grid of frames is. Knows numbers and names; reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Finding, RecordedEpisode, Spec
from roboscale.dataset.audit.signals import true_runs
from roboscale.dataset.checks import finding, many
from roboscale.dataset.sensors import touch_of

if TYPE_CHECKING:
    from roboscale.dataset.audit.evidence import EpisodeEvidence

__all__ = ["TouchEvidence", "judge_touch", "look_at_touch", "touch_facts"]

_REST = 5  # samples at either end of an episode, of which the median is the reading at rest
_ENDS = 3  # samples in a row at the very same end of the range
_AT_END = 0.01  # of all samples
_SWITCH = 8  # an element with at most that many values is a switch
_DRIFT = 0.1  # of what the element covers
_NOISE = 4.0  # times the scatter of the readings at rest about their course
_EPISODES = 6  # from which on a drift over episodes can be told
_LISTED = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchEvidence:
    """One sensor of D elements in one episode.

    Args:
        kind: one of `sensors.TOUCH`.
        shape: of one reading.
        low, high: (D,) smallest and largest value.
        first, last: (D,) reading at the beginning and at the end.
        many_values: (D,) whether there are more values than a switch has.
        at_low, at_high: (D,) samples that hold exactly that, and (D,) the longest run of them.
        samples, rate_hz: how many, and a second; of a stream its own.
    """

    kind: str
    shape: tuple[int, ...]
    low: Floats
    high: Floats
    first: Floats
    last: Floats
    many_values: NDArray[np.bool_]
    at_low: NDArray[np.int64]
    at_high: NDArray[np.int64]
    run_low: NDArray[np.int64]
    run_high: NDArray[np.int64]
    samples: int
    rate_hz: float


def look_at_touch(episode: RecordedEpisode, spec: Spec) -> dict[str, TouchEvidence]:
    """Name -> what the sensors of touch and force of one episode show, those at their own rate among them."""
    seen: dict[str, TouchEvidence] = {}
    for field in spec:
        kind = touch_of(field)
        if kind not in (None, "tactile picture") and field.name in episode.arrays:
            seen |= _seen(field.name, str(kind), np.asarray(episode.arrays[field.name]), spec.rate_hz)
    for name, stream in episode.streams.items():
        kind = touch_of(Field(name, stream.values.shape[1:], stream.values.dtype.name))
        if kind not in (None, "tactile picture"):
            span = (stream.time_ns[-1] - stream.time_ns[0]) / 1e9 if len(stream.time_ns) > 1 else 0.0
            rate = (len(stream.time_ns) - 1) / span if span > 0 else 0.0
            seen |= _seen(name, str(kind), stream.values, rate)
    return seen


def _seen(name: str, kind: str, values: NDArray[Any], rate_hz: float) -> dict[str, TouchEvidence]:
    rows = values.reshape(len(values), -1).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) < 2 * _REST:
        return {}
    low, high = rows.min(axis=0), rows.max(axis=0)
    ends = [(rows == end) for end in (low, high)]
    evidence = TouchEvidence(
        kind=kind,
        shape=values.shape[1:],
        low=low,
        high=high,
        first=np.median(rows[:_REST], axis=0),
        last=np.median(rows[-_REST:], axis=0),
        many_values=np.array([len(np.unique(column)) > _SWITCH for column in rows.T], np.bool_),
        at_low=ends[0].sum(axis=0),
        at_high=ends[1].sum(axis=0),
        run_low=_longest(ends[0]),
        run_high=_longest(ends[1]),
        samples=len(rows),
        rate_hz=rate_hz,
    )
    return {name: evidence}


def _longest(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(D,) length of the longest run of True in each column of (T, D)."""
    runs = (true_runs(column) for column in mask.T)
    return np.array([max((b - a + 1 for a, b in one), default=0) for one in runs], np.int64)


def touch_facts(evidence: Sequence[EpisodeEvidence], spec: Spec) -> dict[str, dict[str, Any]]:
    """Sensor -> kind, shape, unit, frame and rate, as far as anybody says."""
    facts: dict[str, dict[str, Any]] = {}
    for field in spec:
        kind = touch_of(field)
        if kind:
            about = {"kind": kind, "shape": list(field.shape), "unit": field.unit, "frame": field.frame}
            facts[field.name] = {**about, "rate_hz": spec.rate_hz}
    for one in evidence:
        for name, seen in one.touch.items():
            facts.setdefault(name, {"kind": seen.kind, "shape": list(seen.shape), "rate_hz": round(seen.rate_hz, 3)})
    return facts


def judge_touch(evidence: Sequence[EpisodeEvidence]) -> Iterator[Finding]:
    """Dead elements, drifting zeros and saturation of every sensor of touch and force."""
    names = dict.fromkeys(name for one in evidence for name in one.touch)
    for name in names:
        seen = {one.position: one.touch[name] for one in evidence if name in one.touch}
        shapes = {one.shape for one in seen.values()}
        if len(shapes) == 1:
            yield from _dead(name, seen)
            yield from _drifts(name, seen)
            yield from _ends(name, seen)


def _element(shape: tuple[int, ...], number: int) -> str:
    return str([int(i) for i in np.unravel_index(number, shape)]) if shape else "the reading"


def _dead(name: str, seen: Mapping[int, TouchEvidence]) -> Iterator[Finding]:
    """Elements that never change while most of the others do: in all episodes, or in some unlike in the others."""
    still = np.stack([one.low == one.high for one in seen.values()])
    alive = ~still
    busy = alive.mean(axis=1) > 0.5  # episodes in which most of the sensor is touched
    if not busy.any() or still.shape[1] < 2:
        return
    share = still[busy].mean(axis=0)
    dead = np.flatnonzero(share == 1)
    some = np.flatnonzero((share > 0) & (share < 0.5) & (alive[busy].sum(axis=0) > 1))
    positions = np.array(list(seen))[busy]
    first = next(iter(seen.values()))
    if len(dead):
        places = [_element(first.shape, int(d)) for d in dead]
        value = first.low[dead[0]]
        text = f"{len(dead)} of {still.shape[1]} elements of {name} never change: {', '.join(places[:4])}"
        text += f" (always {value:.4g})" if len(dead) == 1 else ""
        yield finding("dead-taxel", text, field=name, evidence={"elements": places[:_LISTED], "of": still.shape[1]})
    if len(some):
        where = np.argwhere(still[busy][:, some])
        episodes = sorted({int(positions[e]) for e, _ in where})
        place = _element(first.shape, int(some[where[0][1]]))
        text = (
            f"{place} of {name} never changes in episode {positions[where[0][0]]}, as in {many(len(episodes))} in all"
        )
        shown = {"elements": [_element(first.shape, int(d)) for d in some[:_LISTED]]}
        yield finding("dead-taxel", text, episodes=episodes, field=name, evidence=shown)


def _drifts(name: str, seen: Mapping[int, TouchEvidence]) -> Iterator[Finding]:
    """Readings at rest that wander over the set: a zero that nobody set again."""
    if len(seen) < _EPISODES:
        return
    rest = np.stack([one.first for one in seen.values()])
    covered = np.max([one.high for one in seen.values()], axis=0) - np.min([one.low for one in seen.values()], axis=0)
    t = np.linspace(-0.5, 0.5, len(rest))[:, None]
    slope = (t * (rest - rest.mean(axis=0))).sum(axis=0) / np.square(t).sum()
    scatter = np.median(np.abs(rest - rest.mean(axis=0) - slope * t), axis=0) * 1.4826
    drifts = np.flatnonzero((np.abs(slope) > _DRIFT * covered) & (np.abs(slope) > _NOISE * scatter) & (covered > 0))
    if not len(drifts):
        return
    worst = int(drifts[np.argmax(np.abs(slope[drifts]) / covered[drifts])])
    shape = next(iter(seen.values())).shape
    text = (
        f"the reading at rest of {_element(shape, worst)} of {name} drifts by {slope[worst]:.4g} from the first to "
        f"the last of {many(len(seen))}, {abs(slope[worst]) / covered[worst]:.0%} of what it covers; "
        f"{len(drifts)} of {many(rest.shape[1], 'element')}"
    )
    plot = {"kind": "episodes", "values": [[i, float(r)] for i, r in zip(seen, rest[:, worst], strict=True)][:400]}
    shown = {"elements": [_element(shape, int(d)) for d in drifts[:_LISTED]], "plot": {**plot, "y": "at rest"}}
    yield finding("drifting-zero", text, field=name, evidence=shown)


def _ends(name: str, seen: Mapping[int, TouchEvidence]) -> Iterator[Finding]:
    """Readings that stay at the very end of the range of the set; an end that is the reading at rest is none."""
    low, high = np.min([o.low for o in seen.values()], axis=0), np.max([o.high for o in seen.values()], axis=0)
    samples = sum(one.samples for one in seen.values())
    rests = np.stack([value for one in seen.values() for value in (one.first, one.last)])
    varied = np.any([one.many_values for one in seen.values()], axis=0)
    for end, side in ((high, "high"), (low, "low")):
        here = np.stack([getattr(one, side) == end for one in seen.values()])
        at = (np.stack([getattr(one, f"at_{side}") for one in seen.values()]) * here).sum(axis=0)
        run = (np.stack([getattr(one, f"run_{side}") for one in seen.values()]) * here).max(axis=0)
        stuck = np.flatnonzero(
            varied & (run >= _ENDS) & (at >= _AT_END * samples) & (rests != end).all(axis=0) & (low < high)
        )
        if len(stuck):
            worst = int(stuck[np.argmax(at[stuck])])
            shape = next(iter(seen.values())).shape
            episodes = [i for i, row in zip(seen, here, strict=True) if row[stuck].any()]
            text = (
                f"{_element(shape, worst)} of {name} stays at {end[worst]:.4g}, the end of its range, for "
                f"{run[worst]} samples in a row and {at[worst] / samples:.1%} of all; "
                f"{len(stuck)} of {many(len(end), 'element')}"
            )
            shown = {"elements": [_element(shape, int(d)) for d in stuck[:_LISTED]], "value": float(end[worst])}
            yield finding("touch-saturation", text, episodes=episodes, field=name, evidence=shown)
