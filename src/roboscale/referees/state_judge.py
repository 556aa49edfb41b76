"""A judge of states: a small network, trained on labelled frames, that says whether a state is a success.

It looks at distances between the points of a state, and knows no dynamics: it is scored on real frames by itself, so
that what it gets wrong is not laid on the world that imagined the frame. What trains it is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Identity, combine
from roboscale.core.ensembles import SmallNets, sigmoid
from roboscale.core.layouts import angles_in, points_in
from roboscale.core.plain import Plain

__all__ = ["JudgeInputs", "LabelledFrames", "StateJudge"]

Floats = NDArray[np.float64]
_NEAR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeInputs(Plain):
    """How states (B, S) become what the judge looks at.

    Args:
        places: elements that are looked at; of the others none.
        points: places of x, y and perhaps z of each point among them.
        angles: places, among them, of angles.
        centre, spread: (S,). reach: the largest spread of a point's coordinate.
        tasks: names, in the order of the inputs that say which.
    """

    places: tuple[int, ...]
    points: tuple[tuple[int, ...], ...]
    angles: tuple[int, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    reach: float
    tasks: tuple[str, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JudgeInputs:
        """Inverse of `to_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["points"] = tuple(tuple(p) for p in data["points"])
        return cls(**plain)

    @classmethod
    def fit(cls, names: Sequence[str], states: Floats, places: Sequence[int], tasks: Sequence[str]) -> JudgeInputs:
        """Units from states (N, S)."""
        known = set(places)
        points = tuple(at for at in points_in(names).values() if known.issuperset(at))
        spread = states.std(axis=0)
        spread = np.where(spread > 1e-9, spread, 1.0)
        reach = max((float(spread[i]) for point in points for i in point), default=1.0)
        return cls(
            places=tuple(places),
            points=points,
            angles=tuple(i for i in angles_in(names).values() if i in known),
            centre=tuple(map(float, states.mean(axis=0))),
            spread=tuple(map(float, spread)),
            reach=reach,
            tasks=tuple(tasks),
        )

    def of(self, states: Floats, task: NDArray[np.intp]) -> NDArray[np.float32]:
        """(B, F)."""
        places = list(self.places)
        parts = [(states[:, places] - np.array(self.centre)[places]) / np.array(self.spread)[places]]
        for n, one in enumerate(self.points):
            for other in self.points[n + 1 :]:
                k = min(len(one), len(other))
                gap = (states[:, list(one[:k])] - states[:, list(other[:k])]) / self.reach
                parts += [np.tanh(gap / _NEAR / 4), np.log(np.linalg.norm(gap, axis=1, keepdims=True) + 0.01)]
        if self.angles:
            turn = states[:, list(self.angles)]
            parts += [np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)]
        one_hot = np.eye(len(self.tasks))[task] if len(self.tasks) > 1 else np.zeros((len(states), 0))
        return np.concatenate([*parts, one_hot], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrames:
    """Frames that somebody judged.

    Args:
        states: (N, S). task: (N,) number of each one's task.
        success: (N,) 0 or 1, NaN where nobody said. progress: (N,) 0..1, NaN where nobody said.
    """

    states: Floats
    task: NDArray[np.intp]
    success: Floats
    progress: Floats


class _Fits(Protocol):
    """What trains: inputs (N, F) and wanted (N, 2), NaN where nobody said -> networks of two logits."""

    def __call__(self, inputs: NDArray[np.float32], wanted: NDArray[np.float32]) -> SmallNets: ...


@dataclass(frozen=True, slots=True)
class StateJudge:
    """Probability of success, and progress, of a state.

    Args:
        inputs: what it looks at.
        nets: networks of two logits each.
    """

    inputs: JudgeInputs
    nets: SmallNets

    @classmethod
    def fit(cls, inputs: JudgeInputs, frames: LabelledFrames, fits: _Fits) -> StateJudge:
        """BadData where no frame is a success, or none is not."""
        told = frames.success[np.isfinite(frames.success)]
        if not (told > 0.5).any() or not (told < 0.5).any():
            found = f"{int((told > 0.5).sum())} of success and {int((told < 0.5).sum())} of none"
            raise BadData("dataset", "labels", "frames of success and frames without", found)
        wanted = np.stack([frames.success, frames.progress], axis=1).astype(np.float32)
        return cls(inputs, fits(inputs.of(frames.states, frames.task), wanted))

    @property
    def identity(self) -> Identity:
        """Of its inputs and weights."""
        return combine("state judge", "state judge 1", self.inputs.to_json(), self.nets.arrays("judge"))

    def read(self, states: Floats, task: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """(B,) probability of success and (B,) progress of states (B, S) of tasks (B,)."""
        said = sigmoid(self.nets(self.inputs.of(states, task))).mean(axis=0).astype(np.float64)
        return said[:, 0], said[:, 1]
