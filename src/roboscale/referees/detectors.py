"""Detectors: they look at a trial that a person will score, and propose. A proposal decides nothing.

A threshold on what a simulator measures or on a state, a small classifier of this bench's own pictures, a model that
sees. Knows no bench, no log and no server: what was seen of a trial is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import UnknownName

__all__ = ["Detector", "PictureClassifier", "Proposal", "SeenTrial", "SightDetector", "ThresholdDetector"]

Picture = NDArray[np.uint8]
When = Literal["end", "ever"]

_GRID = (12, 16)
_FEW = 3  # trials of either kind, at least, before a classifier proposes anything
_RIDGES = (0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTrial:
    """What was seen of one trial.

    Args:
        task: what was asked of the policy, a sentence.
        states: `observation.state` after every look, (T, D), in the units of the robot.
        layout: the D names of its elements.
        measures: name -> what the robot measured at every look, (T,); NaN where it could not.
        first, last: camera -> its picture, (height, width, 3) RGB, before the first step and at the end.
    """

    task: str = ""
    states: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    layout: tuple[str, ...] = ()
    measures: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    first: Mapping[str, Picture] = field(default_factory=dict)
    last: Mapping[str, Picture] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a detector proposes: success, failure, or `None` where it cannot say; and why."""

    success: bool | None
    reason: str = ""


class Detector(Protocol):
    """One that proposes."""

    @property
    def name(self) -> str:
        """What people call it."""

    def propose(self, seen: SeenTrial) -> Proposal:
        """Of one trial, from what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdDetector:
    """Success is a number below, or above, a limit: at the end, or at any time.

    Args:
        of: `measure`, what the robot or simulator measures; or `state`, an element of `observation.state`.
        element: its name.
        below, above: the limit; one of both.

    Example:
        >>> near = ThresholdDetector(name="near", of="state", element="x", below=0.1)
        >>> near.propose(SeenTrial(states=np.array([[0.5], [0.04]], np.float32), layout=("x",)))
        Proposal(success=True, reason='x is 0.04 at the end, below 0.1')
    """

    name: str
    of: Literal["measure", "state"]
    element: str
    below: float | None = None
    above: float | None = None
    when: When = "end"

    def propose(self, seen: SeenTrial) -> Proposal:
        """UnknownName for an element that the robot does not have."""
        values = self._values(seen)
        known = values[np.isfinite(values)]
        if not len(known) or (self.when == "end" and not np.isfinite(values[-1])):
            return Proposal(None, f"{self.element} was not measured")
        lower = self.below is not None
        limit = float(self.below if self.below is not None else self.above or 0.0)
        value = float(known[-1] if self.when == "end" else known.min() if lower else known.max())
        holds = value < limit if lower else value > limit
        word = ("below" if lower else "above") if holds else ("not below" if lower else "not above")
        at = "at the end" if self.when == "end" else "at its " + ("least" if lower else "most")
        return Proposal(holds, f"{self.element} is {value:.3g} {at}, {word} {limit:g}")

    def _values(self, seen: SeenTrial) -> NDArray[np.float64]:
        if self.of == "measure":
            if self.element not in seen.measures:
                raise UnknownName("measure", self.element, seen.measures)
            return np.asarray(seen.measures[self.element], np.float64)
        if self.element not in seen.layout:
            raise UnknownName("element of observation.state", self.element, seen.layout)
        return np.asarray(seen.states[:, seen.layout.index(self.element)], np.float64)


class PictureClassifier:
    """Learns from this bench's own scored trials what success looks like at the end, and nothing else.

    Pictures become a grid of 12 x 16 mean colours of every camera, and how these differ from the beginning; a linear
    rule with a ridge separates successes from failures. The ridge is the one whose rule, learned from all other
    trials, gets most of them right, and that share stands in the reason: few trials teach little.

    Args:
        after: scored trials, at least, before it proposes; 3 of either kind are always needed.
    """

    def __init__(self, name: str, after: int = 10) -> None:
        self.name, self.after = name, after
        self._known: list[tuple[NDArray[np.float32], bool]] = []

    @staticmethod
    def features(seen: SeenTrial) -> NDArray[np.float32]:
        """What it reads of a trial, (F,), 0..1 and differences of these; empty without a camera."""
        parts = []
        for camera in sorted(seen.last):
            end = _grid(seen.last[camera])
            begun = _grid(seen.first[camera]) if camera in seen.first else end
            parts += [end, end - begun]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def learn(self, scored: Sequence[tuple[NDArray[np.float32], bool]]) -> None:
        """All that is known now: features (F,) of a trial, and what the person said; what was known before is not."""
        self._known = [(features, success) for features, success in scored if len(features)]

    def propose(self, seen: SeenTrial) -> Proposal:
        """From the end of a trial; cannot say while it has seen too little."""
        asked = self.features(seen)
        known = [(x, y) for x, y in self._known if x.shape == asked.shape]
        wins = sum(y for _, y in known)
        if not len(asked):
            return Proposal(None, "there is no picture")
        if len(known) < self.after or min(wins, len(known) - wins) < _FEW:
            return Proposal(None, f"{wins} successes and {len(known) - wins} failures are scored: too few to learn")
        told, right = _ridge(np.stack([x for x, _ in known]), np.array([y for _, y in known]), asked)
        share = f"{right} of {len(known)} told right by the rest of them"
        return Proposal(bool(told > 0), f"learned from {len(known)} scored trials, {share}")


class SightDetector:
    """A model that sees is asked whether the task was done, and answers with JSON.

    Args:
        ask: a question and pictures (height, width, 3) in; the first JSON object of the answer out. It may raise.
        question: what is asked; the task, by default.
    """

    def __init__(
        self, name: str, ask: Callable[[str, Sequence[Picture]], Mapping[str, Any]], question: str = ""
    ) -> None:
        self.name, self._ask, self._question = name, ask, question

    def propose(self, seen: SeenTrial) -> Proposal:
        """`None` where the model says so, or says nothing that is a truth value."""
        if not seen.last:
            return Proposal(None, "there is no picture")
        cameras = sorted(seen.last)
        pictures = [seen.first[c] for c in cameras if c in seen.first] + [seen.last[c] for c in cameras]
        asked = self._question or f"Was this done: {seen.task}?"
        text = (
            f"A robot tried a task. The first {len(pictures) - len(cameras)} pictures were taken before it began, the "
            f"last {len(cameras)} at the end. {asked} Answer with JSON alone: "
            '{"success": true, false or null if the pictures do not show it, "reason": "one short sentence"}'
        )
        said = self._ask(text, pictures)
        success = said.get("success")
        reason = str(said.get("reason", ""))[:200]
        if success is None or type(success) is bool:
            return Proposal(success, reason)
        return Proposal(None, f"it answered success {success!r}"[:200])


def _grid(picture: Picture) -> NDArray[np.float32]:
    """Mean colours of 12 x 16 cells, flat, 0..1; a picture smaller than that is repeated first."""
    rows, columns = _GRID
    height, width = picture.shape[:2]
    wide = picture.repeat(-(-rows // height), axis=0).repeat(-(-columns // width), axis=1)
    high, broad = wide.shape[0] // rows, wide.shape[1] // columns
    cut = wide[: high * rows, : broad * columns].astype(np.float32)
    cells = cut.reshape(rows, high, columns, broad, -1).mean(axis=(1, 3))
    return np.asarray(cells.ravel() / 255, np.float32)


def _ridge(known: NDArray[np.float32], success: NDArray[np.bool_], asked: NDArray[np.float32]) -> tuple[float, int]:
    """What a linear rule says of `asked`, above 0 for success; and how many known trials the others tell right.

    Args:
        known: (n, F). success: (n,). asked: (F,).
    """
    x = known.astype(np.float64)
    gram, others = x @ x.T, ~np.eye(len(x), dtype=bool)
    best = -1, _RIDGES[0]
    for ridge in _RIDGES:
        told = [_told(gram[k][:, k], gram[k, i], success[k], ridge) for i, k in enumerate(others)]
        best = max(best, (int(((np.array(told) > 0) == success).sum()), ridge))
    right, ridge = best
    return _told(gram, x @ asked.astype(np.float64), success, ridge), right


def _told(gram: NDArray[np.float64], asked: NDArray[np.float64], success: NDArray[np.bool_], ridge: float) -> float:
    """What the rule of some trials says of one that is none of them; nothing of that one is in it.

    Args:
        gram: products of their features, (n, n). asked: their products with the features of the one, (n,).
        ridge: in shares of the mean size of the features about their mean.
    """
    n, mean = len(gram), gram.mean(axis=0)
    if success.all() or not success.any():
        return 0.0
    centred = gram - mean - mean[:, None] + mean.mean()
    product = asked - mean - asked.mean() + mean.mean()
    y = np.where(success, 0.5 / success.mean(), -0.5 / (1 - success.mean()))  # both kinds weigh alike
    scale = max(float(np.trace(centred)) / n, 1e-12)
    return float(product @ np.linalg.solve(centred + ridge * scale * np.eye(n), y))
