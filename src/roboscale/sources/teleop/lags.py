"""How late an arm follows its commands, and how late a camera shows it: by cross-correlation of what was recorded.

A command that changes, an arm that moves and a picture that changes are three signals of one motion; the shift at
which two of them agree best is the lag between them. Nothing is said where too little moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lag", "LagMeter", "lag_between"]

Vector = NDArray[np.float64]

_MOST_S = 0.6  # of a lag that is looked for
_LEAST = 0.5  # correlation below which nothing is said
_LEAST_S = 2.0  # of an episode
_EVERY = 8  # pixels: a picture's motion is seen without the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How much later one signal is than another, s; the correlation there, and over how many samples."""

    seconds: float
    correlation: float
    n: int


def lag_between(first: NDArray[Any], later: NDArray[Any], rate_hz: float) -> Lag | None:
    """How much later the second signal shows what the first did; `None` where they do not say.

    Finer than a sample by a parabola through the best shift and its neighbours.

    Args:
        first, later: (N,) sampled together. rate_hz: samples a second.

    >>> wave = np.sin(np.arange(200) / 7) * np.sin(np.arange(200) / 31)
    >>> round(lag_between(wave[4:], wave[:-4], 20).seconds, 2)
    0.2
    """
    a, b = (np.asarray(one, np.float64) - np.mean(one) for one in (first, later))
    most = min(int(_MOST_S * rate_hz), len(a) // 3)
    if len(a) < _LEAST_S * rate_hz or most < 2 or a.std() < 1e-12 or b.std() < 1e-12:
        return None
    found = np.array([_correlation(a[: len(a) - k], b[k:]) for k in range(most + 1)])
    best = int(np.argmax(found))
    if found[best] < _LEAST or best == most:
        return None
    part = 0.0
    if best > 0:
        left, here, right = found[best - 1 : best + 2]
        bend = left - 2 * here + right
        part = 0.0 if bend >= 0 else float(np.clip((left - right) / (2 * bend), -0.5, 0.5))
    return Lag(seconds=(best + part) / rate_hz, correlation=float(found[best]), n=len(a) - best)


def _correlation(a: Vector, b: Vector) -> float:
    a, b = a - a.mean(), b - b.mean()
    both = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / both if both > 1e-12 else 0.0


@dataclass(slots=True)
class LagMeter:
    """What of an episode the lags are measured from, frame by frame; some numbers a frame, no pictures."""

    _commands: list[Vector] = field(default_factory=list)
    _states: list[Vector] = field(default_factory=list)
    _changes: dict[str, list[float]] = field(default_factory=dict)
    _before: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, frame: Mapping[str, NDArray[Any]]) -> None:
        """One time step: `observation.state`, `action` and the pictures, where it has them."""
        if "observation.state" not in frame or "action" not in frame:
            return
        self._states.append(np.array(frame["observation.state"], np.float64).ravel())
        self._commands.append(np.array(frame["action"], np.float64).ravel())
        for name, values in frame.items():
            if np.ndim(values) == 3:
                seen = np.asarray(values)[::_EVERY, ::_EVERY].astype(np.int16)
                before = self._before.get(name, seen)
                self._changes.setdefault(name, []).append(float(np.abs(seen - before).mean()))
                self._before[name] = seen

    def lags(self, rate_hz: float) -> dict[str, Lag | None]:
        """`command`, where actions are positions of what is read; and each camera, by its name; s.

        Args:
            rate_hz: frames a second of the operator's time.
        """
        if len(self._states) < 3:
            return {}
        states, commands = np.array(self._states), np.array(self._commands)
        speed = np.linalg.norm(np.diff(states, axis=0), axis=1)
        found: dict[str, Lag | None] = {}
        if states.shape == commands.shape:
            found["command"] = lag_between(np.linalg.norm(np.diff(commands, axis=0), axis=1), speed, rate_hz)
        for name, changes in self._changes.items():
            if len(changes) == len(states):
                found[name.rpartition(".")[2]] = lag_between(speed, np.array(changes[1:]), rate_hz)
        return found
