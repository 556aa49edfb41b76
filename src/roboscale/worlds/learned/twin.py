"""The state twin: an ensemble of small networks that says where everything is a step later.

It was fitted to recorded steps (`fitting`), knows where its data was, and says of each step how far its members agree,
how far the state lies from the data, and whether the action that it was given can be read back from what it imagined.
System identification on states; not a model of pictures. Knows no success: a judge does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core.ensembles import SmallNets
from roboscale.worlds.learned.features import TwinFrame

__all__ = ["Imagined", "StateTwin"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imagined:
    """One step of B scenes.

    Args:
        states: (B, S) after it.
        spread: (B,) how far the members disagree, in typical steps.
        residual: (B,) how far the action that is read back lies from the one given, in spreads of the data's actions.
        away: (B,) distance of the state before it from the nearest one of the data, 1 where 99 % of held-out states
            lie nearer.
    """

    states: Floats
    spread: Floats
    residual: Floats
    away: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTwin:
    """Dynamics, support and inverse dynamics in one.

    Args:
        frame: how states become inputs.
        nets: of the dynamics, (M, B, outputs).
        inverse: one network: state and step -> action.
        support: (R, P + V) states of the data, as `TwinFrame.normal` has them.
        radius: distance that 99 % of held-out states do not exceed.
    """

    frame: TwinFrame
    nets: SmallNets
    inverse: SmallNets
    support: NDArray[np.float32]
    radius: float

    def step(self, now: Floats, before: Floats, actions: Floats, task: NDArray[np.intp]) -> Imagined:
        """One step of states (B, S) with those before them, under actions (B, D), of tasks (B,)."""
        inputs = self.frame.inputs(now, before, actions, task)
        said = self.nets(inputs).astype(np.float64)
        steps = len(self.frame.elements.predicted)
        then = self.frame.advance(now, said.mean(axis=0))
        return Imagined(
            states=then,
            spread=said[:, :, :steps].std(axis=0).mean(axis=1),
            residual=self.residual(now, before, then, actions),
            away=self.away(now),
        )

    def residual(self, now: Floats, before: Floats, then: Floats, actions: Floats) -> Floats:
        """(B,) mean distance of the actions read back from a step, in spreads of the data's actions."""
        read = self.inverse(self.inverse_inputs(now, before, then))[0].astype(np.float64)
        scale = np.array(self.frame.action_spread)
        given = (actions - np.array(self.frame.action_centre)) / scale
        apart: Floats = np.abs(read - np.clip(given, -6, 6)).mean(axis=1)
        return apart

    def inverse_inputs(self, now: Floats, before: Floats, then: Floats) -> NDArray[np.float32]:
        """(B, 3 P + V) where it is, how it came there and how it goes on."""
        return self.inverse_inputs_of(self.frame, now, before, then)

    @staticmethod
    def inverse_inputs_of(frame: TwinFrame, now: Floats, before: Floats, then: Floats) -> NDArray[np.float32]:
        """As `inverse_inputs`, for whoever fits it."""
        came, goes = (frame.outputs_of(a, b)[0] for a, b in ((before, now), (now, then)))
        return np.concatenate([frame.normal(now), np.clip(came, -9, 9), np.clip(goes, -9, 9)], axis=1).astype(
            np.float32
        )

    def away(self, states: Floats) -> Floats:
        """(B,) distance from the nearest state of the data, in the radius of held-out states."""
        return nearest(self.frame.normal(states).astype(np.float32), self.support) / self.radius

    def rollout(
        self, now: Floats, before: Floats, actions: Floats, task: NDArray[np.intp]
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Open loop under actions (B, T, D): states (B, T + 1, S), and (B, T) of spread, residual and away."""
        states, signals = [now], []
        for t in range(actions.shape[1]):
            done = self.step(now, before, actions[:, t], task)
            before, now = now, done.states
            states.append(now)
            signals.append((done.spread, done.residual, done.away))
        spread, residual, away = (np.stack(values, axis=1) for values in zip(*signals, strict=True))
        return np.stack(states, axis=1), spread, residual, away


def nearest(points: NDArray[np.float32], among: NDArray[np.float32]) -> Floats:
    """(B,) root mean square distance of points (B, K) from the nearest of (R, K), row by row."""
    found = np.empty(len(points))
    for row, point in enumerate(points):  # one at a time: the same bits whoever else is asked
        found[row] = np.sqrt(np.square(among - point).sum(axis=1).min() / len(point))
    return found
