"""The evaluator's desk at a robot: what the page is shown, and what each click starts.

The page is this machine's own: a stop does not travel. Before the vote nothing on it tells the policies apart, because
nothing of them is here; how the arm moves is the one thing that cannot be hidden.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.arena.match import DAMAGES
from roboscale.core import InfrastructureError, RoboscaleError, UnknownName
from roboscale.core.seeds import derive_seed
from roboscale.jobs.arena_robot import ArenaRobot

__all__ = ["EvaluatorDesk"]

LIMITS = (
    "The guard is a protective stop, not an emergency stop (ISO 13850): the hardware button stays within your reach. "
    "You are not told which policies run before you vote; how the arm moves is the one thing that cannot be hidden."
)
_WANTED: Mapping[str, tuple[str, ...]] = {
    "describe": ("look", "draw"),
    "ready": ("run", "release", "give up"),
    "score": ("score", "give up"),
    "vote": ("vote", "give up"),
    "over": ("next",),
}
_ENDS = {"policy error": "it failed by itself", "truncated": "its time was up", "terminated": "it ended"}


class EvaluatorDesk:
    """One evaluator at one robot.

    Args:
        robot: registered at the arena.
        seed: of the numbers of the scenes.
    """

    def __init__(self, robot: ArenaRobot, seed: int) -> None:
        self._robot, self._seed = robot, seed
        self._lock = threading.RLock()
        self._phase, self._busy = "describe", ""
        self._match: dict[str, Any] = {}
        self._scene = 0
        self._problem, self._result = "", ""
        self._finished = 0

    # what the page asks (`web.bench.Desk`)

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        with self._lock:
            match, robot = self._match, self._robot
            task = match.get("task", "")
            return {
                "title": f"{robot.name}, {robot.site}",
                "phase": self._busy or self._phase,
                "number": max(1, self._finished + (self._phase != "over")),
                "tasks": [
                    {"name": name, "instruction": sentence, "steps": robot.rubrics.get(name, [])}
                    for name, sentence in robot.world.info.tasks.items()
                ],
                "instruction": match.get("instruction", ""),
                "steps": robot.rubrics.get(task, []),
                "letters": match.get("letters", []),
                "due": match.get("due", ""),
                "scored": match.get("scored", []),
                "live": robot.shown is not None,
                "first": robot.first is not None and bool(match),
                "damage": list(DAMAGES),
                "policies": match.get("policies", {}),
                "result": self._result,
                "problem": self._problem,
                "guard": self._guard(),
                "limits": LIMITS,
            }

    def picture(self, camera: str, *, scene: int | None) -> NDArray[np.uint8] | None:
        """What the camera showed last, or when this scene was first set up."""
        return self._robot.shown if scene is None else self._robot.first

    def act(self, action: str, values: Mapping[str, Any]) -> None:
        """A click. RoboscaleError where it does not fit what happens now."""
        if action == "stop":
            stop = getattr(getattr(self._robot.world, "robot", None), "protective_stop", None)
            if stop is None:
                raise RoboscaleError("this robot has no protective stop of ours: use its own button")
            stop()
            return
        known = {one for some in _WANTED.values() for one in some}
        if action not in known:
            raise UnknownName("click", action, known)
        with self._lock:
            if self._busy or action not in _WANTED[self._phase]:
                raise RoboscaleError(f"{action} does not fit now: {self._busy or self._phase}")
            if action == "next":
                self._match, self._phase, self._result = {}, "describe", ""
                return
            does, busy = self._does(action, dict(values))
            self._busy, self._problem = busy, ""
        threading.Thread(target=self._work, args=(does,), daemon=True).start()

    # between the two

    def _does(self, action: str, values: dict[str, Any]) -> tuple[Callable[[], None], str]:
        """What a click does, checked, and what happens meanwhile."""
        robot = self._robot
        if action in ("look", "draw"):
            task = str(values.get("task", ""))
            if task not in robot.world.info.tasks:
                raise UnknownName("task", task, robot.world.info.tasks)
            if action == "look":
                self._scene += 1
                start = self._start()
                return (lambda: _drop(robot.look(task, start))), "moving"
            instruction = str(values.get("instruction", "")).strip()
            sides = values.get("sides", 2)
            if not instruction:
                raise RoboscaleError("say first what the policies are to do")
            if not self._scene:
                raise RoboscaleError("show the scene first")
            if type(sides) is not int:
                raise RoboscaleError("sides: expected a number from 2 to 7")
            return (lambda: self._draw(task, instruction, sides)), "drawing"
        match, letter = str(self._match["match"]), str(self._match["due"])
        if action == "run":
            return (lambda: self._run(match, letter)), "running"
        if action == "release":
            return self._release, "moving"
        if action == "score":
            said = _score(values)
            return (lambda: self._go(robot.score(match, letter, said))), "filing"
        if action == "give up":
            text = str(values.get("text", "")).strip()
            if not text:
                raise RoboscaleError("say why this session does not count")
            return (lambda: self._end(robot.vote(match, "", text, valid=False))), "filing"
        preference, text = str(values.get("preference", "")), str(values.get("text", ""))[:4000]
        if preference not in (*self._match["letters"], "tie"):
            raise RoboscaleError("say which was better, or that neither was")
        return (lambda: self._end(robot.vote(match, preference, text))), "filing"

    def _start(self) -> int:
        return derive_seed("arena scene", self._seed, self._scene)

    def _work(self, does: Callable[[], None]) -> None:
        try:
            does()
        except RoboscaleError as error:
            with self._lock:
                self._problem = str(error)
        finally:
            with self._lock:
                self._busy = ""

    def _draw(self, task: str, instruction: str, sides: int) -> None:
        drawn = self._robot.draw(task, instruction, self._start(), sides)
        self._scene = 0  # the next match has a scene of its own
        self._seed = derive_seed("arena scenes after", self._seed, drawn["match"])
        self._go(drawn)

    def _run(self, match: str, letter: str) -> None:
        said: list[str] = []
        result = self._robot.play(match, letter, said.append)
        word = _ENDS.get(result.end, result.end)
        with self._lock:
            self._result = f"{letter}: {word} after {result.steps} steps" + (f" ({len(said)} void)" if said else "")
        self._go(self._robot.client.get(f"/api/matches/{match}"))

    def _release(self) -> None:
        robot = getattr(self._robot.world, "robot", None)
        release = getattr(robot, "release", None)
        if release is None:
            raise InfrastructureError("this robot is not released by us")
        release()

    def _go(self, match: dict[str, Any]) -> None:
        """To whatever is due now."""
        with self._lock:
            self._match = {**self._match, **match}
            due = match["due"]
            self._phase = "vote" if not due else ("score" if due in match["ran"] else "ready")

    def _end(self, match: dict[str, Any]) -> None:
        with self._lock:
            self._match = {**self._match, **match}
            self._phase = "over"
            self._finished += 1

    def _guard(self) -> dict[str, Any]:
        robot = getattr(self._robot.world, "robot", None)
        reason = getattr(robot, "reason", None)
        mode = getattr(robot, "mode", "")
        text = f"Guard: stopped: {reason.text}" if reason is not None else (f"Guard: {mode}" if mode else "")
        return {"mode": "stopped" if reason is not None else mode, "text": text}


def _drop(picture: object) -> None:
    """The page asks for the picture itself."""


def _score(values: Mapping[str, Any]) -> dict[str, Any]:
    progress, success, damage = values.get("progress"), values.get("success"), values.get("damage", [])
    if type(progress) not in (int, float) or not 0 <= progress <= 100:  # type: ignore[operator]
        raise RoboscaleError("say how far it came, from 0 to 100")
    if type(success) is not bool:
        raise RoboscaleError("say whether it was done")
    if not isinstance(damage, list) or set(map(str, damage)) - set(DAMAGES):
        raise RoboscaleError(f"damage: expected some of {', '.join(DAMAGES)}")
    text = str(values.get("text", ""))[:4000]
    return {"progress": float(progress), "success": success, "damage": [*map(str, damage)], "text": text}  # type: ignore[arg-type]
