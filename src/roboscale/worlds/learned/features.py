"""What the dynamics looks at and what it says: states in relative coordinates, steps in units of typical steps.

Where a planar body turns, everything is seen from it, so that a push from the left is one push wherever the block lies
(SE(2)-equivariance by canonicalisation). Elsewhere positions stay in the world, since tables and hinges stand there,
and differences of points are added twice: as they are, and squashed at the scale of contact. Arrays only; the same
functions make what is trained on and what is imagined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field
from roboscale.core.layouts import points_in
from roboscale.core.plain import Plain
from roboscale.worlds.learned.elements import StateElements

__all__ = ["TwinFrame", "wrapped_angle"]

Floats = NDArray[np.float64]
NEAR = 0.12
"""The scale of contact: the share of a point's range within which differences are resolved finely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinFrame(Plain):
    """How states (B, S), the states before them and actions (B, D) become inputs, and outputs become steps.

    Args:
        elements: the roles of the elements.
        target: places in the action of a point that is sent somewhere, and `sent` those of the point in the state;
            empty where the action is no absolute place.
        centre, spread: (S,) of the elements. low, high: (S,) range in the data, widened by a tenth.
        action_centre, action_spread: (D,).
        step: (P,) typical size of a step of each predicted element, where it moves.
        still: (P,) below which an element counts as not moving.
        groups: places among the P predicted of what moves together: a body.
        gated: numbers of the groups that stand still in a fifth of all steps or more.
        tasks: names, in the order of the inputs that say which.
        varied: places of elements that are held in an episode and differ between episodes.
    """

    elements: StateElements
    target: tuple[int, ...]
    sent: tuple[int, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    action_centre: tuple[float, ...]
    action_spread: tuple[float, ...]
    step: tuple[float, ...]
    still: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]
    gated: tuple[int, ...]
    tasks: tuple[str, ...]
    varied: tuple[int, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TwinFrame:
        """Inverse of `to_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["groups"] = tuple(tuple(group) for group in data["groups"])
        plain["elements"] = StateElements.from_json(data["elements"])
        return cls(**plain)

    @classmethod
    def fit(
        cls, elements: StateElements, episodes: Sequence[Floats], actions: Floats, action: Field, tasks: Sequence[str]
    ) -> TwinFrame:
        """Units from the data: states (T, S) of each episode, all actions (N, D)."""
        states = np.concatenate(episodes)
        places = np.array(elements.predicted)
        delta = np.concatenate([np.diff(e[:, places], axis=0) for e in episodes if len(e) > 1])
        turning = np.isin(places, elements.angles)
        delta[:, turning] = wrapped_angle(delta[:, turning])
        large = np.quantile(np.abs(delta), 0.99, axis=0)
        still = 0.02 * np.maximum(large, 1e-9)
        moving = np.abs(delta) > still
        step = np.sqrt((delta**2 * moving).sum(axis=0) / np.maximum(moving.sum(axis=0), 1))
        groups = _groups(elements)
        shares = [moving[:, list(group)].any(axis=1).mean() for group in groups]
        reach = 0.1 * np.ptp(states, axis=0)
        target, sent = _sent(elements, action)
        firsts = np.stack([e[0] for e in episodes])
        varied = [i for i in elements.held if np.ptp(firsts[:, i]) > 1e-6]
        return cls(
            elements=elements,
            target=target,
            sent=sent,
            centre=_numbers(states.mean(axis=0)),
            spread=_numbers(_positive(states.std(axis=0))),
            low=_numbers(states.min(axis=0) - reach),
            high=_numbers(states.max(axis=0) + reach),
            action_centre=_numbers(actions.mean(axis=0)),
            action_spread=_numbers(_positive(actions.std(axis=0))),
            step=_numbers(_positive(step)),
            still=_numbers(still),
            groups=groups,
            gated=tuple(n for n, share in enumerate(shares) if share < 0.8),
            tasks=tuple(tasks),
            varied=tuple(varied),
        )

    @property
    def outputs(self) -> int:
        """Steps of the predicted elements and, for each gated group, whether it moves."""
        return len(self.elements.predicted) + len(self.gated)

    def inputs(self, now: Floats, before: Floats, actions: Floats, task: NDArray[np.intp]) -> NDArray[np.float32]:
        """(B, F) of states now and a step before (B, S), actions (B, D) and the number of each one's task (B,)."""
        one_hot = np.eye(len(self.tasks))[task] if len(self.tasks) > 1 else np.zeros((len(now), 0))
        seen = self._from_body(now, before, actions) if self.elements.body else self._in_world(now, before, actions)
        return np.concatenate([*seen, one_hot], axis=1).astype(np.float32)

    def outputs_of(self, now: Floats, then: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """What should be said of a step from `now` to `then`: steps (B, P) in typical ones, and which gated move."""
        delta = self._delta(now, then)
        moving = self.moving(delta)
        return self._turned(now, delta, -1.0) / np.array(self.step), moving[:, list(self.gated)]

    def moving(self, delta: Floats) -> NDArray[np.bool_]:
        """(B, G) which groups move in steps (B, P)."""
        big = np.abs(delta) > np.array(self.still)
        return np.stack([big[:, list(group)].any(axis=1) for group in self.groups], axis=1)

    def advance(self, now: Floats, said: Floats) -> Floats:
        """The states (B, S) after what was said (B, outputs): steps, and logits of moving for the gated groups."""
        places, count = np.array(self.elements.predicted), len(self.elements.predicted)
        step = said[:, :count] * np.array(self.step)
        for column, group in enumerate(self.gated):
            step[:, list(self.groups[group])] *= (said[:, count + column] > 0)[:, None]
        moved = now[:, places] + self._turned(now, step, 1.0)
        if not np.isfinite(moved).all():
            moved = np.where(np.isfinite(moved), moved, now[:, places])
        then = now.copy()
        then[:, places] = moved
        for place in self.elements.angles:
            first = 0.0 if self.low[place] > -1.0 else -np.pi
            then[:, place] = (then[:, place] - first) % (2 * np.pi) + first
        plain = [i for i in self.elements.predicted if i not in self.elements.angles]
        then[:, plain] = np.clip(then[:, plain], np.array(self.low)[plain], np.array(self.high)[plain])
        for place, source in self.elements.shifted.items():
            then[:, place] = now[:, source]
        for place, (source, scale, offset) in self.elements.copies.items():
            then[:, place] = scale * then[:, source] + offset
        return then

    def normal(self, states: Floats) -> Floats:
        """(B, P + V) predicted and varied elements in units of their spread: where a state is."""
        places = [*self.elements.predicted, *self.varied]
        normal: Floats = (states[:, places] - np.array(self.centre)[places]) / np.array(self.spread)[places]
        return normal

    def _delta(self, now: Floats, then: Floats) -> Floats:
        places = np.array(self.elements.predicted)
        delta = then[:, places] - now[:, places]
        turning = np.isin(places, self.elements.angles)
        delta[:, turning] = wrapped_angle(delta[:, turning])
        return delta

    def _turned(self, now: Floats, step: Floats, sign: float) -> Floats:
        """Steps (B, P) of planar points turned into the body's frame (-1), or back (1); as they are without one."""
        if not self.elements.body:
            return step
        angle, turned = sign * now[:, self.elements.body[2]], step.copy()
        places = list(self.elements.predicted)
        for at in self.elements.points.values():
            if len(at) == 2 and set(at) <= set(places):
                pair = [places.index(i) for i in at]
                turned[:, pair] = _rotated(step[:, pair], angle)
        return turned

    def _in_world(self, now: Floats, before: Floats, actions: Floats) -> list[Floats]:
        spread, places = np.array(self.spread), list(self.elements.predicted)
        parts = [self.normal(now), self._delta(before, now) / np.array(self.step), self._acts(actions)]
        points = [at for at in self.elements.points.values() if set(at) & set(places)]
        for n, one in enumerate(points):
            for other in points[n + 1 :]:
                k = min(len(one), len(other))
                gap = now[:, list(one[:k])] - now[:, list(other[:k])]
                scale = np.maximum(spread[list(one[:k])], spread[list(other[:k])]).max()
                parts += [gap / scale, np.tanh(gap / (NEAR * 4 * scale))]
                parts.append(np.log(np.linalg.norm(gap, axis=1, keepdims=True) / scale + 0.02))
        if self.target:
            parts.append((actions[:, list(self.target)] - now[:, list(self.sent)]) / spread[list(self.sent)])
        return parts

    def _from_body(self, now: Floats, before: Floats, actions: Floats) -> list[Floats]:
        *place, turn = self.elements.body
        angle, at = now[:, turn], now[:, place]
        spread = np.array(self.spread)[place].mean()
        step = self._turned(now, self._delta(before, now), -1.0) / np.array(self.step)
        parts = [step]
        for point in self.elements.points.values():
            if len(point) == 2 and list(point) != place:
                gap = _rotated(now[:, list(point)] - at, -angle)
                parts += [gap / spread, np.tanh(gap / (NEAR * 4 * spread))]
        if self.target:
            gap = _rotated(actions[:, list(self.target)] - now[:, list(self.sent)], -angle)
            aim = _rotated(actions[:, list(self.target)] - at, -angle)
            parts += [gap / spread, aim / spread, np.tanh(gap / (NEAR * 4 * spread))]
        rest = [i for i in range(actions.shape[1]) if i not in self.target]
        parts.append(self._acts(actions)[:, rest])
        flat = {i for point in self.elements.points.values() for i in point} | {turn}
        others = [i for i in (*self.elements.predicted, *self.varied) if i not in flat]
        parts.append((now[:, others] - np.array(self.centre)[others]) / np.array(self.spread)[others])
        return parts

    def _acts(self, actions: Floats) -> Floats:
        acts: Floats = (actions - np.array(self.action_centre)) / np.array(self.action_spread)
        return acts


def wrapped_angle(angle: Floats) -> Floats:
    """Angles in -pi .. pi, radians."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _rotated(vector: Floats, angle: Floats) -> Floats:
    """(B, 2) turned by angles (B,)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * vector[:, 0] - s * vector[:, 1], s * vector[:, 0] + c * vector[:, 1]], axis=1)


def _groups(elements: StateElements) -> tuple[tuple[int, ...], ...]:
    """Places among the predicted, by the name before the last dot."""
    groups: dict[str, list[int]] = {}
    for number, place in enumerate(elements.predicted):
        name = elements.names[place]
        groups.setdefault(name.rpartition(".")[0] or name, []).append(number)
    return tuple(tuple(group) for group in groups.values())


def _sent(elements: StateElements, action: Field) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places in the action and in the state of a point that is sent to an absolute place."""
    if action.mode != "absolute":
        return (), ()
    for name, at in points_in(action.layout).items():
        there = elements.points.get(name, ())
        if len(there) == len(at):
            return at, there
    return (), ()


def _positive(values: Floats) -> Floats:
    return np.where(values > 1e-9, values, 1.0)


def _numbers(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
