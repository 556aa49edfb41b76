"""gym-aloha as a world: two ViperX arms at 50 Hz, joint targets, pictures only when they are asked for.

gym-aloha itself draws three pictures of 640 x 480 at every step, whoever looks; its task's observation is replaced by
one of numbers, and pictures are drawn by MuJoCo's own renderer, without shadows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.mujoco_pictures import MujocoPictures

__all__ = ["AlohaCheck", "AlohaWorld"]

TASKS = {
    "transfer-cube": ("hand the red cube from right to left", "transfer_cube", "the left arm alone holds the cube"),
    "insertion": ("put the red peg into the blue socket", "insertion", "the peg touches the pin inside the socket"),
}
"""Task -> what is asked, what gym-aloha calls it, and when it succeeds."""
_JOINTS = ("waist", "shoulder", "elbow", "forearm", "wrist_angle", "wrist_rotation", "gripper_openness")


class AlohaWorld:
    """One task of gym-aloha.

    Args:
        task: one of `TASKS`.
        size: of the pictures, pixels.
    """

    def __init__(self, task: str, size: int = 128) -> None:
        if task not in TASKS:
            raise Refusal(f"task {task}: there is none; there are {', '.join(TASKS)}")
        from gym_aloha.env import AlohaEnv
        from gym_aloha.tasks.sim import BimanualViperXTask

        def numbers(self: Any, physics: Any) -> dict[str, Any]:
            seen = {"qpos": self.get_qpos(physics), "env_state": self.get_env_state(physics)}
            return dict(seen, images={"top": np.zeros((1, 1, 3), np.uint8)})

        BimanualViperXTask.get_observation = numbers
        self.task, self.size = task, size
        self.env = AlohaEnv(TASKS[task][1], obs_type="pixels_agent_pos")
        self.physics = self.env._env.physics
        self.poses = 7 if task == "transfer-cube" else 14
        self.pictures = MujocoPictures()

    def describe(self) -> dict[str, Any]:
        """What it is."""
        sentence, _, success = TASKS[self.task]
        joints = [f"{side}.{joint}" for side in ("left", "right") for joint in _JOINTS]
        objects = ["cube"] if self.poses == 7 else ["peg", "socket"]
        poses = [f"{name}.{part}" for name in objects for part in ("x", "y", "z", "qw", "qx", "qy", "qz")]
        numbers = {"dtype": "float32", "unit": "mixed"}
        ranges = self.physics.model.actuator_ctrlrange  # (16, 2): of each arm six joints and two fingers
        arms = [[*(float(x) for x in ranges[arm : arm + 6, side]), float(side)] for side in (0, 1) for arm in (0, 8)]
        return {
            "version": "gym-aloha 0.1.5",
            "embodiment": "aloha",
            "tasks": {self.task: sentence},
            "observation": [
                dict(numbers, name="observation.state", shape=[14], layout=joints),
                dict(numbers, name="observation.environment_state", shape=[self.poses], layout=poses, frame="world"),
                {"name": "observation.images.top", "shape": [self.size, self.size, 3], "dtype": "uint8"},
            ],
            "action": dict(numbers, shape=[14], layout=joints, low=arms[0] + arms[1], high=arms[2] + arms[3]),
            "rate_hz": 50.0,
            "horizon": 400,
            "rule": "first",
            "measures": [{"name": "success", "unit": "bool"}, {"name": "reward", "series": True}],
            "deterministic": True,
            "pictures": True,
            "past_success": True,
            "success_terms": {"contacts": success},
            "notes": [
                "a command that keeps still depends on where the arms are: there is no hold action",
                "joint targets so far away that the simulation diverges end the episode",
            ],
        }

    def start(self, task: str, start: int, variation: str) -> AlohaScene:
        """A case: the same seed gives the same bytes."""
        self.env.reset(seed=start)
        return AlohaScene(self)


class AlohaScene:
    """One case being run."""

    def __init__(self, world: AlohaWorld) -> None:
        self._world, self._reward = world, 0.0

    def observe(self, names: list[str]) -> dict[str, Any]:
        """The named fields."""
        world = self._world
        fields = {
            "observation.state": lambda: world.env._env.task.get_qpos(world.physics),
            "observation.environment_state": lambda: world.env._env.task.get_env_state(world.physics)[: world.poses],
            "observation.images.top": lambda: self.picture(world.size, world.size),
        }
        return {name: fields[name]() for name in names}

    def step(self, action: Any) -> dict[str, Any]:
        """One control step. Joint targets far away make these arms diverge: the episode ends then, as a failure."""
        from dm_control.rl.control import PhysicsError

        try:
            _, self._reward, _, _, _ = self._world.env.step(action)
        except PhysicsError:
            self._reward = 0.0
            self._world.physics.reset()  # what is shown stays finite
            return {"terminated": True}
        return {}

    def measures(self) -> dict[str, Any]:
        """Reward is the stage that was reached, 0 to 4."""
        return {"success": self._reward == 4, "reward": float(self._reward)}

    def picture(self, width: int, height: int) -> Any:
        """From above."""
        physics = self._world.physics
        return self._world.pictures.draw(physics.model.ptr, physics.data.ptr, "top", width, height)


class AlohaCheck:
    """What works, one text each; the first that does not raises."""

    def describe(self) -> list[str]:
        scene = AlohaWorld("transfer-cube", size=64).start("transfer-cube", 1, "nominal")
        for _ in range(5):
            scene.step(np.zeros(14))
        picture = scene.observe(["observation.images.top"])["observation.images.top"]
        if picture.std() < 5:
            raise RuntimeError(f"the picture is one colour: {picture[0, 0]}")
        return ["it is reset and stepped", "it draws pictures"]
