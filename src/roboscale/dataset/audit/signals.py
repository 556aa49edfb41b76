"""What one episode's numbers show: idle ends, spikes, the delay from action to motion, fingerprints.

Pure functions of arrays (T, D). Thresholds stand here, beside what they decide. Knows no files and no names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COURSE",
    "Motion",
    "Spike",
    "copied_lag",
    "course",
    "delay",
    "frozen_runs",
    "idle_ends",
    "moving",
    "not_finite",
    "row_sketch",
    "sides",
    "sign_flips",
    "spikes",
    "true_runs",
    "wraps",
]

COURSE = 16
"""Points in time that an episode is resampled to for its fingerprint."""

Floats = NDArray[np.float64]

_SPIKE = 15.0  # times the typical step between frames
_SPIKE_SHARE = 0.15  # and this share of what the dimension covers
_NOISE = 0.7  # a dimension whose steps are this large beside its spread is noise, not motion
_STILL = 0.03  # of the range: what a standing dimension may wander
_SKETCH = 32
_TURN = 0.05  # of a whole turn
_FROZEN_S = 0.5
_COMMANDED = 0.1  # of what the action covers in the episode
_SAME = 0.98  # of the frames


@dataclass(frozen=True, slots=True)
class Spike:
    """A value that jumps away and back: dimension, frame, how many typical steps it jumps, and how far."""

    dimension: int
    frame: int
    size: float
    jump: float


@dataclass(frozen=True, slots=True)
class Motion:
    """How well actions explain the motion.

    Args:
        lag: frames by which the motion follows the action, where `score` is best.
        score: correlation of action and motion at that lag, weighted by how much each dimension moves; -1..1.
        curve: score at every lag tried.
        first: the lag of `curve[0]`, frames.
    """

    lag: int
    score: float
    curve: tuple[float, ...]
    first: int

    def at(self, lag: int) -> float:
        """Score at another lag; the worst possible outside the range tried."""
        position = lag - self.first
        return self.curve[position] if 0 <= position < len(self.curve) else -1.0


def true_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last position of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def not_finite(rows: NDArray[Any]) -> list[tuple[int, int]]:
    """Runs of frames with NaN or infinity."""
    return true_runs(~np.isfinite(rows).all(axis=1)) if rows.dtype.kind == "f" else []


def moving(rows: Floats) -> NDArray[np.bool_]:
    """(D,) which dimensions move rather than stand or only show noise."""
    spread = rows.std(axis=0)
    if len(rows) < 3:
        return np.zeros(rows.shape[1], np.bool_)
    steps = np.diff(rows, axis=0).std(axis=0)
    return np.asarray((spread > 1e-9) & (steps < _NOISE * spread))


def idle_ends(fields: Sequence[Floats]) -> tuple[int, int]:
    """Frames at the beginning and at the end in which no dimension of any field leaves its first or last value."""
    length = len(fields[0]) if fields else 0
    lead, tail = length, length
    for rows in fields:
        rows = rows[:, moving(rows)]
        limit = _STILL * np.ptp(rows, axis=0)
        for away, last in ((np.abs(rows - rows[0]), False), (np.abs(rows - rows[-1])[::-1], True)):
            left = (away > limit).any(axis=1)
            still = int(left.argmax()) if left.any() else length
            lead, tail = (lead, min(tail, still)) if last else (min(lead, still), tail)
    return (0, 0) if lead == length or tail == length else (lead, tail)


def spikes(rows: Floats) -> list[Spike]:
    """The largest spike of each dimension. Steps, such as a gripper that closes, are none."""
    spiked: list[Spike] = []
    if len(rows) < 8:
        return spiked
    steps = np.diff(rows, axis=0)
    before, after = steps[:-1], steps[1:]
    jump = np.where(before * after < 0, np.minimum(np.abs(before), np.abs(after)), 0.0)
    typical = np.percentile(np.abs(steps), 75, axis=0)
    covered = np.subtract(*np.percentile(rows, [95, 5], axis=0))
    for d in range(rows.shape[1]):
        if len(np.unique(rows[:, d])) <= 4:  # a switch may flicker
            continue
        frame = int(jump[:, d].argmax())
        size, step = float(jump[frame, d]), max(float(typical[d]), 1e-3 * float(covered[d]), 1e-12)
        if size > _SPIKE * step and size > _SPIKE_SHARE * covered[d]:
            spiked.append(Spike(d, frame + 1, size / step, size))
    return spiked


def wraps(rows: Floats) -> list[tuple[int, int]]:
    """(dimension, frame) of steps by a whole turn, 2 pi or 360, of what else moves slowly within one turn."""
    turns: list[tuple[int, int]] = []
    if len(rows) < 3:
        return turns
    steps, range_ = np.abs(np.diff(rows, axis=0)), np.ptp(rows, axis=0)
    for turn in (2 * np.pi, 360.0):
        leap = np.abs(steps - turn) < _TURN * turn
        fits = (range_ < (1 + _TURN) * turn) & (np.percentile(steps, 75, axis=0) < _TURN * turn)
        turns += [(int(d), int(frame) + 1) for frame, d in np.argwhere(leap & fits)]
    return sorted(turns)


def sign_flips(rows: Floats) -> tuple[list[int], tuple[int, ...]]:
    """Frames at which a unit quaternion among the dimensions turns into its negative, and which dimensions it has.

    q and -q are the same rotation, but not the same numbers to a policy.
    """
    size = rows.shape[1]
    for first in range(size - 3):
        q = rows[:, first : first + 4]
        if np.abs(np.square(q).sum(axis=1) - 1).max(initial=0.0) > 1e-2 or not (np.ptp(q, axis=0) > 0).sum() >= 2:
            continue
        flips = (q[1:] * q[:-1]).sum(axis=1) < -0.9
        return (np.flatnonzero(flips) + 1).tolist(), tuple(range(first, first + 4))
    return [], ()


def frozen_runs(state: Floats, action: Floats, rate_hz: float) -> list[tuple[int, int]]:
    """Runs of at least half a second in which the state is the same to the last bit while the action moves on.

    A sensor without noise stands still where the robot does, so only a run that the command contradicts counts.
    """
    least = max(5, round(_FROZEN_S * rate_hz))
    covered = np.maximum(np.ptp(action, axis=0), 1e-12)
    runs = []
    for first, last in true_runs((np.diff(state, axis=0) == 0).all(axis=1)):
        moved = np.ptp(action[first : last + 2], axis=0) / covered
        if last - first + 2 >= least and (moved > _COMMANDED).any():
            runs.append((first, last + 1))
    return runs


def copied_lag(action: Floats, state: Floats, pairs: Sequence[tuple[int, int]], most: int) -> int | None:
    """Frames, 0 to `most`, by which the action is the state to come, number for number; `None` where it never is.

    Without pairs, each dimension of the action may be any of the state.
    """
    chosen = np.flatnonzero(moving(action) & (np.ptp(action, axis=0) > 0))
    sources = [(i, j) for i, j in pairs if i in chosen]
    if not len(chosen) or (pairs and not sources):
        return None
    span = 1e-6 * np.ptp(action, axis=0)
    for lag in range(min(most, len(action) // 2) + 1):
        a, s = action[: len(action) - lag], state[lag:]
        if pairs:
            i, j = np.array(sources).T
            same = (np.abs(a[:, i] - s[:, j]) <= span[i]).mean(axis=0)
        else:
            same = np.array([(np.abs(a[:, [i]] - s) <= span[i]).mean(axis=0).max() for i in chosen])
        if (same >= _SAME).all():
            return lag
    return None


def sides(action: Floats, state: Floats, pairs: Sequence[tuple[int, int]], lag: int) -> Floats:
    """(P, 2) of each pair at a lag: correlation of action and state, and by which factor the state spreads further."""
    table = np.zeros((len(pairs), 2))
    begin, end = max(0, -lag), len(action) - max(0, lag)
    a, s = action[begin:end], state[begin + lag : end + lag]
    for row, (i, j) in enumerate(pairs):
        spread = a[:, i].std(), s[:, j].std()
        if min(spread) > 1e-9:
            fit = float(np.mean(_standard(a[:, [i]]) * _standard(s[:, [j]])))
            table[row] = fit, spread[1] / spread[0]
    return table


def delay(action: Floats, state: Floats, pairs: Sequence[tuple[int, int]], rate_hz: float, relative: bool) -> Motion:
    """How well actions explain the motion, over every plausible delay.

    Args:
        action, state: (T, A) and (T, S).
        pairs: which dimension of the action drives which of the state. Without any, each dimension of the action
            may take the state's dimension that fits best; such scores compare only with each other.
        relative: whether the action says how the state shall change rather than where it shall be.
    """
    width = max(1, min(round(0.15 * rate_hz), len(action) // 4))
    driven = _smooth(action, width) if relative else _change(action, width)
    motion = _change(state, width)
    first, last = -max(2, round(0.3 * rate_hz)), max(4, round(rate_hz))
    limit = len(driven) // 3
    first, last = max(first, -limit), min(last, limit)
    weight = _weights(action, state, pairs, width)
    curve = tuple(_score(driven, motion, lag, pairs, weight) for lag in range(first, last + 1))
    best = int(np.argmax(curve))
    return Motion(first + best, curve[best], curve, first)


def _change(rows: Floats, width: int) -> Floats:
    return rows[width:] - rows[:-width]


def _smooth(rows: Floats, width: int) -> Floats:
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    return np.asarray((sums[width:] - sums[:-width])[: len(rows) - width])


def _weights(action: Floats, state: Floats, pairs: Sequence[tuple[int, int]], width: int) -> Floats:
    """How much each pair counts: what its state moves, and nothing where either side stands or only shows noise."""
    if not pairs:
        return np.asarray(moving(action), np.float64)
    source, target = np.array(pairs).T
    return np.asarray(_change(state, width).std(axis=0)[target] * moving(state)[target] * (action.std(0)[source] > 0))


def _score(driven: Floats, motion: Floats, lag: int, pairs: Sequence[tuple[int, int]], weight: Floats) -> float:
    begin, end = max(0, -lag), len(driven) - max(0, lag)
    a, s = driven[begin:end], motion[begin + lag : end + lag]
    if len(a) < 4 or not weight.sum() > 0:
        return 0.0
    a, s = _standard(a), _standard(s)
    table = a.T @ s / len(a)
    fit = np.array([table[i, j] for i, j in pairs]) if pairs else np.abs(table).max(axis=1)
    return float(fit @ weight / weight.sum())


def _standard(rows: Floats) -> Floats:
    """Every column with mean 0 and spread 1; plain sums, for an audit spends a tenth of its time here."""
    centred = rows - np.add.reduce(rows, axis=0) / len(rows)
    again = centred - np.add.reduce(centred, axis=0) / len(rows)  # exactly 0 where a column stands
    spread = np.sqrt(np.add.reduce(again * again, axis=0) / len(rows))
    return np.asarray(centred / np.where(spread > 0, spread, 1.0))


def course(rows: Floats) -> NDArray[np.float32]:
    """(COURSE, D): the episode at evenly spaced times, linear in between."""
    at = np.linspace(0, len(rows) - 1, COURSE)
    below = np.floor(at).astype(int)
    above, share = np.minimum(below + 1, len(rows) - 1), (at - below)[:, None]
    return np.asarray(rows[below] * (1 - share) + rows[above] * share, np.float32)


def row_sketch(fields: Sequence[NDArray[Any]]) -> NDArray[np.uint64]:
    """The smallest hashes of the distinct rows (bottom-k sketch, Broder 1997): equal where the same rows are.

    A part of an episode, and the same numbers in other files, share most of them.
    """
    rows = np.concatenate([f.reshape(len(f), -1).astype(np.float32) for f in fields], axis=1)
    hashes = {hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows}
    return np.array(sorted(int.from_bytes(h, "big") for h in hashes)[:_SKETCH], np.uint64)
