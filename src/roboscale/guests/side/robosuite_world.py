"""robosuite 1.5 as a world: one task, Panda arms, the pose of the tip commanded by small moves, pictures when asked.

The model is loaded once, from seed 0, and reset in place: loading it anew for every case takes a second. All that is
drawn at random in a reset comes from the case's seed. Pictures are drawn by MuJoCo's own renderer, without shadows.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from roboscale.guests.side.contact_force import ContactForce
from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.mujoco_pictures import MujocoPictures
from roboscale.guests.side.robosuite_experts import EXPERTS, wxyz

__all__ = ["RobosuiteCheck", "RobosuiteWorld"]

RATE_HZ = 20
TASKS = {
    "Lift": ("lift the red cube from the table", ("cube_pos", "cube_quat"), 500),
    "Stack": ("put the red cube on the green cube", ("cubeA_pos", "cubeA_quat", "cubeB_pos", "cubeB_quat"), 500),
    "PickPlaceCan": ("put the can into its own bin", ("Can_pos", "Can_quat"), 500),
    "NutAssemblySquare": ("put the square nut onto the square peg", ("SquareNut_pos", "SquareNut_quat"), 500),
    "Door": ("turn the handle and pull the door open", ("door_pos", "handle_pos", "hinge_qpos", "handle_qpos"), 500),
    "ToolHang": (
        "put the frame into its stand, hang the tool on it",
        ("base_pos", "base_quat", "frame_pos", "frame_quat", "tool_pos", "tool_quat"),
        700,
    ),
    "TwoArmLift": ("lift the pot level, with both arms", ("pot_pos", "pot_quat", "handle0_xpos", "handle1_xpos"), 500),
}
"""Task -> what is asked, what of its objects is shown, and its horizon in steps."""
SUCCESS = {
    "Lift": {"cube": "the cube is more than 0.04 m above the table"},
    "Stack": {"cubes": "the red cube touches the green cube, is lifted and not held"},
    "PickPlaceCan": {"can": "the can is inside its bin and the gripper is away"},
    "NutAssemblySquare": {"nut": "the nut is around the square peg and the gripper is away"},
    "Door": {"hinge": "the door is opened more than 0.3 rad"},
    "ToolHang": {"frame": "the frame stands in its base", "tool": "the tool hangs on the frame"},
    "TwoArmLift": {"pot": "the pot is more than 0.1 m above the table, tilted less than 30 degrees"},
}
_SIZES = {"quat": 4, "qpos": 1}


class RobosuiteWorld:
    """One task of robosuite.

    Args:
        task: one of `TASKS`.
        size: of the pictures, pixels.
        robot: of robosuite, e.g. `Panda`, `Sawyer`; both arms of a task with two.
    """

    def __init__(self, task: str, size: int = 128, robot: str = "Panda") -> None:
        import robosuite

        if task not in TASKS:
            raise Refusal(f"task {task}: there is none; there are {', '.join(TASKS)}")
        logging.getLogger("robosuite_logs").setLevel(logging.ERROR)  # it warns of legs that an arm has not
        self.task, self.size = task, size
        self.sentence, self.shown, self.horizon = TASKS[task]
        arms = 2 if task.startswith("TwoArm") else 1
        controller = robosuite.load_composite_controller_config(controller="BASIC", robot=robot)
        self.env = robosuite.make(
            task,
            robots=[robot] * arms,
            controller_configs=controller,
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            reward_shaping=True,
            control_freq=RATE_HZ,
            ignore_done=True,
            hard_reset=False,
            seed=0,
        )
        self.version, self.embodiment = robosuite.__version__, robot.lower() + ("_pair" if arms == 2 else "")
        self.prefixes = [f"robot{arm}_" for arm in range(arms)]
        self.cameras = {"front": "agentview"}
        for arm, prefix in enumerate(self.prefixes):
            self.cameras["wrist" if arms == 1 else f"wrist{arm}"] = prefix + "eye_in_hand"
        self.pictures: MujocoPictures | None = None
        self.force: ContactForce | None = None
        if task in EXPERTS:
            self.expert = lambda seed: EXPERTS[task]()

    def describe(self) -> dict[str, Any]:
        """What it is."""
        low, high = self.env.action_spec
        moves = ["tip.dx", "tip.dy", "tip.dz", "tip.rotvec.x", "tip.rotvec.y", "tip.rotvec.z", "gripper_effort"]
        state = ["tip.x", "tip.y", "tip.z", "tip.qw", "tip.qx", "tip.qy", "tip.qz", "gripper_width"]
        objects = [f"{key.partition('_')[0]}.{part}" for key in self.shown for part in _parts(key)]
        pictures = [
            {"name": f"observation.images.{name}", "shape": [self.size, self.size, 3], "dtype": "uint8"}
            for name in self.cameras
        ]
        return {
            "version": f"robosuite {self.version}",
            "embodiment": self.embodiment,
            "tasks": {self.task: self.sentence},
            "observation": [
                _numbers("observation.state", [f"{p}{n}" for p in self._arms() for n in state]),
                _numbers("observation.joints", [f"{p}joint{n}" for p in self._arms() for n in range(7)], "rad"),
                _numbers("observation.environment_state", objects),
                *pictures,
            ],
            "action": dict(
                _numbers("action", [f"{p}{n}" for p in self._arms() for n in moves]),
                mode="relative to state at prediction",
                unit="0.05 m; 0.5 rad; gripper_effort 1",
                low=[float(x) for x in low],
                high=[float(x) for x in high],
            ),
            "rate_hz": float(RATE_HZ),
            "horizon": self.horizon,
            "rule": "first",
            "measures": [
                {"name": "success", "unit": "bool"},
                {"name": "reward", "series": True},
                {"name": "peak_force", "unit": "N", "about": "damage"},
            ],
            "deterministic": True,
            "pictures": True,
            "past_success": True,
            "hold": [0.0] * len(low),
            "success_terms": SUCCESS[self.task],
            "cost": "5 to 70 ms of one core a step",
        }

    def _arms(self) -> list[str]:
        return [""] if len(self.prefixes) == 1 else [f"arm{n}." for n in range(len(self.prefixes))]

    def start(self, task: str, start: int, variation: str) -> RobosuiteScene:
        """A case: the same seed gives the same bytes."""
        self.env.rng.bit_generator.state = np.random.default_rng(start).bit_generator.state
        seen = self.env.reset()
        model, data = self.env.sim.model._model, self.env.sim.data._data
        if self.force is None:
            self.force = ContactForce(model, ("robot", "gripper"))
        return RobosuiteScene(self, seen, model, data)

    def draw(self, camera: str, width: int, height: int, model: Any, data: Any) -> Any:
        """One picture."""
        if self.pictures is None:
            self.pictures = MujocoPictures(hidden=(0,))  # what only collides
        return self.pictures.draw(model, data, camera, width, height)


class RobosuiteScene:
    """One case being run.

    Args:
        world: whose it is. seen: what the reset showed. model, data: of MuJoCo.
    """

    def __init__(self, world: RobosuiteWorld, seen: dict[str, Any], model: Any, data: Any) -> None:
        self._world, self._seen, self._model, self._data = world, seen, model, data
        self._reward, self._peak = 0.0, 0.0

    def observe(self, names: list[str]) -> dict[str, Any]:
        """The named fields."""
        return {name: self._field(name) for name in names}

    def _field(self, name: str) -> Any:
        world, seen = self._world, self._seen
        if name == "observation.state":
            return np.concatenate([_arm(seen, prefix) for prefix in world.prefixes])
        if name == "observation.joints":
            return np.concatenate([seen[prefix + "joint_pos"] for prefix in world.prefixes])
        if name == "observation.environment_state":
            return np.concatenate([_object(key, seen[key]) for key in world.shown])
        camera = world.cameras[name.rpartition(".")[2]]
        return world.draw(camera, world.size, world.size, self._model, self._data)

    def step(self, action: Any) -> dict[str, Any]:
        """One control step."""
        self._seen, self._reward, _, _ = self._world.env.step(action)
        assert self._world.force is not None
        self._peak = max(self._peak, self._world.force.largest(self._data))
        return {}

    def measures(self) -> dict[str, Any]:
        """As it stands; the largest force is that of the control steps so far."""
        success = bool(self._world.env._check_success())
        return {"success": success, "reward": self._reward, "peak_force": self._peak}

    def picture(self, width: int, height: int) -> Any:
        """For people."""
        return self._world.draw("agentview", width, height, self._model, self._data)


def _parts(key: str) -> list[str]:
    kind = key.rpartition("_")[2]
    return {"quat": ["qw", "qx", "qy", "qz"], "qpos": ["angle"]}.get(kind, ["x", "y", "z"])


def _object(key: str, value: Any) -> Any:
    return wxyz(value) if key.endswith("_quat") else np.ravel(value)


def _arm(seen: dict[str, Any], prefix: str) -> Any:
    fingers = np.abs(seen[prefix + "gripper_qpos"])
    quat = wxyz(seen[prefix + "eef_quat_site"])
    return np.concatenate([seen[prefix + "eef_pos"], quat, [fingers.sum()]])


def _numbers(name: str, layout: list[str], unit: str = "mixed") -> dict[str, Any]:
    frame = "" if name.endswith("joints") else "world"
    return {
        "name": name,
        "shape": [len(layout)],
        "dtype": "float32",
        "unit": unit,
        "frame": frame,
        "layout": layout,
    }


class RobosuiteCheck:
    """What works, one text each; the first that does not raises."""

    def describe(self) -> list[str]:
        import mujoco

        world = RobosuiteWorld("Lift", size=64)
        said = [f"{world.describe()['version']} makes Lift, MuJoCo {mujoco.__version__}"]
        scene = world.start("Lift", 1, "nominal")
        first = scene.observe(["observation.environment_state"])["observation.environment_state"]
        for _ in range(5):
            scene.step(np.array([0, 0, -1, 0, 0, 0, 0.0]))
        said.append("it is reset and stepped")
        again = world.start("Lift", 1, "nominal").observe(["observation.environment_state"])
        if not np.array_equal(first, again["observation.environment_state"]):
            raise RuntimeError("the same seed gave another scene")
        said.append("the same seed gives the same scene")
        picture = scene.observe(["observation.images.front"])["observation.images.front"]
        if picture.std() < 5:
            raise RuntimeError(f"the picture is one colour: {picture[0, 0]}")
        said.append("it draws pictures")
        return said
