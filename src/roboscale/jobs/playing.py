"""An imagined scene that a person steers, and the true one under the same actions beside it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Case, RoboscaleError, World

if TYPE_CHECKING:
    from roboscale.worlds.learned import LearnedWorld

__all__ = ["SteeredScenes"]

Floats = NDArray[np.float64]
SIZE = 320


class SteeredScenes:
    """What the page steers.

    Args:
        world: what imagines.
        truth: runs beside it under the same actions; `None` for none.
        task: of its recorded starts.
        doubt: what must be said of the world on the page.

    Raises:
        BadData: no start of this task was recorded.
    """

    def __init__(self, world: LearnedWorld, truth: World | None, task: str, doubt: str) -> None:
        self._world, self._truth, self._task, self._doubt = world, truth, task, doubt
        self._starts = [start for start in world.info.listed.get(task, ()) if truth is None or isinstance(start, int)]
        if not self._starts:
            raise BadData(task, "starts", "a recorded seed" if truth is not None else "a recorded start", "none")
        self._lock = threading.Lock()
        self._number = -1
        self._true: Any = None
        self.begin()

    def begin(self) -> None:
        """The next recorded start, in both."""
        with self._lock:
            self._number += 1
            case = Case(self._task, self._starts[self._number % len(self._starts)])
            self._scene = self._world.start(case)
            if self._true is not None:
                self._true.close()
            self._true = None if self._truth is None else self._truth.start(case)
            self._steps, self._ended = 0, False

    def step(self, motion: Sequence[float]) -> None:
        """One control step of both scenes; motion is -1 .. 1 for each axis."""
        field = self._world.info.action_spec["action"]
        size = int(np.prod(field.shape))
        if len(motion) != size:
            raise RoboscaleError(f"motion: expected {size} numbers, found {len(motion)}")
        with self._lock:
            action = self._action(np.asarray(motion, float)).reshape(field.shape).astype(field.dtype)
            self._ended = self._scene.step(action).truncated or self._ended
            if self._true is not None:
                self._true.step(action)
            self._steps += 1

    def state(self) -> Mapping[str, Any]:
        """What the page shows beside the pictures."""
        field = self._world.info.action_spec["action"]
        with self._lock:
            said = self._scene.measures()
            return {
                "task": self._task,
                "sentence": self._world.info.instruction(self._task),
                "axes": list(field.layout) or [f"axis {i}" for i in range(int(np.prod(field.shape)))],
                "doubt": self._doubt,
                "points": self._points(),
                "step": self._steps,
                "success": said["success_probability"],
                "outside": said["outside_data"],
                "divergence": self._divergence(),
                "ended": self._ended,
            }

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Both scenes, drawn alike from their states."""
        from roboscale.worlds.learned.drawing import draw_points

        frame = self._world.twin.frame
        with self._lock:
            shown = {"imagined": draw_points(frame, self._scene.state, SIZE, SIZE)}
            if self._true is not None:
                shown["true"] = draw_points(frame, self._true_state(), SIZE, SIZE)
            return shown

    def close(self) -> None:
        """Ends the true scene and its world."""
        with self._lock:
            if self._true is not None:
                self._true.close()
                self._true = None
            if self._truth is not None:
                self._truth.close()

    def _action(self, motion: Floats) -> Floats:
        """Relative actions: a share of their bounds. Absolute places: a step from where the point is."""
        frame, field = self._world.twin.frame, self._world.info.action_spec["action"]
        centre, spread = np.array(frame.action_centre), np.array(frame.action_spread)
        if field.low is not None and field.high is not None:
            low, high = np.array(field.low), np.array(field.high)
        else:
            low, high = centre - 2 * spread, centre + 2 * spread
        if not frame.target:
            action: Floats = (low + high) / 2 + motion * (high - low) / 2
            return action
        action = np.array(centre)
        for place, sent in zip(frame.target, frame.sent, strict=True):
            reach = 0.08 * (high[place] - low[place])
            action[place] = np.clip(self._scene.state[sent] + motion[place] * reach, low[place], high[place])
        return action

    def _points(self) -> list[dict[str, Any]]:
        """What is drawn, for a legend."""
        from roboscale.worlds.learned.drawing import colour_of

        elements = self._world.twin.frame.elements
        held = set(elements.held)
        return [
            {"name": name, "colour": colour_of(number), "held": set(at) <= held}
            for number, (name, at) in enumerate(elements.points.items())
        ]

    def _true_state(self) -> Floats:
        from roboscale.worlds.learned import flat_state

        fields = self._world.manifest.observed.fields
        seen = self._true.observe([field.name for field in fields])
        state: Floats = flat_state(fields, {name: np.asarray(values)[None] for name, values in seen.items()})[0]
        return state

    def _divergence(self) -> float | None:
        """Root mean square over what is predicted, in its spreads; `None` without a truth."""
        if self._true is None:
            return None
        frame = self._world.twin.frame
        places = list(frame.elements.predicted)
        gap = frame.normal(self._scene.state[None]) - frame.normal(self._true_state()[None])
        return float(np.sqrt(np.square(gap[:, : len(places)]).mean()))
