"""SO-101 as a world: the community's arm of five joints, its jaws moved in small steps, a cube to lift or to place.

The package `lerobot_env_so101` simulates it; here its success is read where it says it, its pictures are drawn without
shadows, and a case's seed places cube and goal. Its own arguments are another scale of actions and, for the first task,
jaws that hang slanted and slip off the cube: what is set otherwise here stands in `describe`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.mujoco_pictures import MujocoPictures

__all__ = ["So101Check", "So101World"]

RATE_HZ = 10
TASKS = {
    "pick-cube": ("lift the cube from the table", "the cube is lifted by 0.1 m and at most 0.05 m from the jaws", 100),
    "pick-place": ("put the cube down on the goal", "carried before, at rest within 0.03 m of the goal, let go", 300),
}
"""Task -> what is asked, when it succeeds, horizon in steps."""
_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
_CAMERAS = {"front": "front"}


class So101World:
    """One task.

    Args:
        task: one of `TASKS`.
        size: of the pictures, pixels.
        metres: of a position action of 1; the package's own default of 1 m is the whole workspace in one step.
        top_down: the jaws point straight down and have flat pads; without, the cube cannot be lifted.
    """

    def __init__(self, task: str, size: int = 128, metres: float = 0.025, top_down: bool = True) -> None:
        if task not in TASKS:
            raise Refusal(f"task {task}: there is none; there are {', '.join(TASKS)}")
        if not metres > 0:
            raise Refusal(f"option metres: expected more than 0, found {metres:g}")
        from lerobot_env_so101 import SO101PickCubeGymEnv, SO101PickPlaceGymEnv

        make = SO101PickCubeGymEnv if task == "pick-cube" else SO101PickPlaceGymEnv
        self.task, self.size, self.metres, self.top_down = task, size, metres, top_down
        self.env = make(random_block_position=True, action_scale=metres, top_down_ik=top_down, jaw_pads=top_down)
        self.pictures = MujocoPictures()

    def describe(self) -> dict[str, Any]:
        """What it is."""
        from importlib.metadata import version

        sentence, success, horizon = TASKS[self.task]
        state = [*(f"{n}.rad" for n in _JOINTS), *(f"{n}.rad_s" for n in _JOINTS), "gripper_openness",
                 "tip.x", "tip.y", "tip.z"]  # fmt: skip
        things = ["cube.x", "cube.y", "cube.z", *(["goal.x", "goal.y", "goal.z"] if self.task == "pick-place" else [])]
        numbers = {"dtype": "float32", "unit": "mixed", "frame": "world"}
        return {
            "version": f"lerobot_env_so101 {version('lerobot_env_so101')}",
            "embodiment": "so101",
            "tasks": {self.task: sentence},
            "observation": [
                dict(numbers, name="observation.state", shape=[14], layout=state),
                dict(numbers, name="observation.environment_state", shape=[len(things)], layout=things, unit="m"),
                dict(numbers, name="observation.grasp_point", shape=[3], layout=["jaws.x", "jaws.y", "jaws.z"], unit="m"),
                *({"name": f"observation.images.{name}", "shape": [self.size, self.size, 3], "dtype": "uint8"}
                  for name in _CAMERAS),
            ],
            "action": dict(numbers, shape=[4], layout=["target.dx", "target.dy", "target.dz", "gripper_openness"],
                           low=[-1.0, -1.0, -1.0, 0.0], high=[1.0] * 4, mode="relative to previous action",
                           unit=f"{self.metres:g} m; gripper_openness 1"),
            "rate_hz": float(RATE_HZ),
            "horizon": horizon,
            "rule": "first",
            "measures": [{"name": "success", "unit": "bool"}, {"name": "lifted", "unit": "m"}],
            "deterministic": True,
            "pictures": True,
            "success_terms": {"cube": success},
            "notes": [
                f"an action of 1 is {self.metres:g} m (the package's own default is 1 m)",
                *(["jaws point straight down, with pads (the package's own default for pick-cube is neither)"]
                  if self.top_down and self.task == "pick-cube" else []),
                "motor parameters are the package's, which says that nobody measured them on a real arm",
            ],
        }  # fmt: skip

    def start(self, task: str, start: int, variation: str) -> So101Scene:
        """A case: the seed places cube and goal."""
        seen, _ = self.env.reset(seed=start)
        return So101Scene(self, seen)

    def expert(self, seed: int) -> Callable[[Mapping[str, Any]], Any]:
        """A script that reads where jaws, cube and goal are."""
        return So101Expert(self.metres, self.task == "pick-place")


class So101Scene:
    """One case being run."""

    def __init__(self, world: So101World, seen: dict[str, Any]) -> None:
        self._world, self._seen, self._success = world, seen, False
        self._height = float(seen["environment_state"][2])

    def observe(self, names: list[str]) -> dict[str, Any]:
        """The named fields."""
        return {name: self._field(name) for name in names}

    def _field(self, name: str) -> Any:
        if name == "observation.state":
            return self._seen["agent_pos"]
        if name == "observation.environment_state":
            return self._seen["environment_state"]
        if name == "observation.grasp_point":
            return self._world.env.ik_point_pos
        return self.picture(self._world.size, self._world.size)

    def step(self, action: Any) -> dict[str, Any]:
        """One control step; the package ends an episode where the cube leaves its field."""
        self._seen, _, terminated, _, info = self._world.env.step(np.asarray(action, np.float64))
        self._success = bool(info["succeed"])
        return {"terminated": bool(terminated)}

    def measures(self) -> dict[str, Any]:
        """Success as the package says it, and how far the cube is above where it lay."""
        return {"success": self._success, "lifted": float(self._seen["environment_state"][2]) - self._height}

    def picture(self, width: int, height: int) -> Any:
        """From the front."""
        env = self._world.env
        return self._world.pictures.draw(env.model, env.data, "front", width, height)


_OPEN, _CLOSED = 1.0, 0.0
_HOVER_M, _GRASP_M, _LIFT_M = 0.07, 0.015, 0.14  # above the middle of the cube
_NEAR_M, _CAREFUL = 0.004, 0.4


class So101Expert:
    """Over the cube, down, closed, up; then over the goal, down and open.

    Args:
        metres: of a position action of 1. places: whether there is a goal.
    """

    def __init__(self, metres: float, places: bool) -> None:
        self._metres, self._places = metres, places
        self._jaws, self._cube, self._goal = np.zeros(3), np.zeros(3), np.zeros(3)
        self._plan: Iterator[Any] | None = None

    def __call__(self, seen: Mapping[str, Any]) -> Any:
        """One action (4,)."""
        things = np.asarray(seen["observation.environment_state"], float)
        self._jaws = np.asarray(seen["observation.grasp_point"], float)
        self._cube, self._goal = things[:3], things[3:]
        if self._plan is None:
            self._plan = self._steps(float(things[2]))
        return next(self._plan)

    def _steps(self, table: float) -> Iterator[Any]:
        def at(place: Any, height: float) -> Any:
            return np.array([place[0], place[1], table + height])

        yield from self._to(lambda: at(self._cube, _HOVER_M), _OPEN)
        yield from self._to(lambda: at(self._cube, _GRASP_M), _OPEN, _CAREFUL)
        yield from [self._stay(_CLOSED)] * 10
        if self._places:
            yield from self._to(lambda: at(self._jaws, _GRASP_M + 0.06), _CLOSED, _CAREFUL)
            yield from self._to(lambda: at(self._jaws + self._goal - self._cube, _GRASP_M + 0.06), _CLOSED)
            yield from self._to(lambda: self._jaws + self._goal - self._cube + [0, 0, 0.002], _CLOSED, _CAREFUL)
            yield from [self._stay(_OPEN)] * 8
            yield from self._to(lambda: at(self._jaws, _HOVER_M), _OPEN)
        else:
            yield from self._to(lambda: at(self._jaws, _LIFT_M), _CLOSED, _CAREFUL)
        while True:
            yield self._stay(_OPEN if self._places else _CLOSED)

    def _to(self, place: Callable[[], Any], gripper: float, most: float = 1.0, steps: int = 60) -> Iterator[Any]:
        """There, at `most` of the full speed."""
        for _ in range(steps):
            off = place() - self._jaws
            if np.linalg.norm(off) < _NEAR_M:
                return
            yield np.array([*np.clip(off / self._metres, -most, most), gripper], np.float32)

    def _stay(self, gripper: float) -> Any:
        return np.array([0, 0, 0, gripper], np.float32)


class So101Check:
    """What works, one text each; the first that does not raises."""

    def describe(self) -> list[str]:
        world = So101World("pick-place", size=64)
        scene = world.start("pick-place", 1, "nominal")
        expert, steps = world.expert(0), 0
        names = ["observation.environment_state", "observation.grasp_point"]
        while not scene.measures()["success"] and steps < TASKS["pick-place"][2]:
            scene.step(expert(scene.observe(names)))
            steps += 1
        if not scene.measures()["success"]:
            raise RuntimeError(f"the expert did not put the cube down in {steps} steps")
        picture = scene.picture(64, 64)
        if picture.std() < 5:
            raise RuntimeError(f"the picture is one colour: {picture[0, 0]}")
        return [f"the expert puts the cube down in {steps} steps", "it draws pictures"]
