"""ManiSkill 3 as a world: one task on a Panda arm, simulated by PhysX on the processor, pictures by Vulkan when asked.

The package needs a Vulkan driver to make a scene at all, also where nobody looks. Its own loader comes with it, so
that the driver may lie in the guest's folder (`vulkan.sh` puts it there) and the system stays as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.maniskill_experts import SCREW_EXPERTS, ScrewExpert

__all__ = ["ManiSkillCheck", "ManiSkillWorld"]

RATE_HZ = 20
_POSE = ("x", "y", "z", "qw", "qx", "qy", "qz")
_FRONT, _BOTH = ("front",), ("front", "wrist")
TASKS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "PickCube": ("carry the red cube to the goal", 100, _FRONT),
    "StackCube": ("put the red cube on the green cube", 200, _BOTH),
    "PushCube": ("push the blue cube to the target", 100, _FRONT),
    "PegInsertionSide": ("put the peg into the hole in the box", 300, _BOTH),
}
"""Task -> what is asked, horizon in steps, cameras."""
SUCCESS = {
    "PickCube": {"cube": "the cube is within 0.025 m of the goal", "arm": "the arm rests"},
    "StackCube": {"cube": "the red cube lies on the green one, within 5 mm of its height, at rest and not held"},
    "PushCube": {"cube": "the cube is on the table within 0.1 m of the target"},
    "PegInsertionSide": {"peg": "the peg's head is in the hole, at most 0.015 m before its middle"},
}
_PLACE = ("goal.x", "goal.y", "goal.z")
THINGS: dict[str, tuple[str, ...]] = {
    "PickCube": (*(f"cube.{n}" for n in _POSE), *_PLACE),
    "StackCube": tuple(f"{cube}.{n}" for cube in ("red", "green") for n in _POSE),
    "PushCube": (*(f"cube.{n}" for n in _POSE), *_PLACE),
    "PegInsertionSide": (
        *(f"{thing}.{n}" for thing in ("peg", "hole") for n in _POSE),
        "peg.half_length",
        "peg.half_width",
    ),
}
"""Task -> numbers of its things that are shown."""
_CAMERAS = {"front": "base_camera", "wrist": "hand_camera"}
_CONTROLS = {
    "pd_joint_pos": ([*(f"joint{n}" for n in range(7)), "gripper_openness"], "absolute", "rad; -1..1"),
    "pd_joint_delta_pos": ([*(f"joint{n}" for n in range(7)), "gripper_openness"], "relative to state at prediction",
                           "0.1 rad; -1..1"),
    "pd_ee_delta_pose": (["tip.dx", "tip.dy", "tip.dz", "tip.rotvec.x", "tip.rotvec.y", "tip.rotvec.z",
                          "gripper_openness"], "relative to state at prediction", "0.1 m; 0.1 rad; -1..1"),
}  # fmt: skip
"""ManiSkill's name of a way to command the arm -> parts, mode, unit."""


class ManiSkillWorld:
    """One task.

    Args:
        task: one of `TASKS`.
        size: of the pictures, pixels.
        control: how the arm is commanded; the expert speaks `pd_joint_pos` alone.
        render: `cpu`, or `gpu` where ManiSkill finds one.
    """

    def __init__(self, task: str, size: int = 128, control: str = "pd_joint_pos", render: str = "cpu") -> None:
        if task not in TASKS:
            raise Refusal(f"task {task}: there is none; there are {', '.join(TASKS)}")
        if control not in _CONTROLS:
            raise Refusal(f"option control: expected one of {', '.join(_CONTROLS)}, found {control!r}")
        if render not in ("cpu", "gpu"):
            raise Refusal(f"option render: expected cpu or gpu, found {render!r}")
        self.task, self.size, self.control = task, size, control
        self.device = _require_vulkan()
        self.env = _made(task, size, control, render)
        self._cameras: dict[Any, Any] = {}
        if control == "pd_joint_pos":
            self.expert = self._expert

    def describe(self) -> dict[str, Any]:
        """What it is."""
        from importlib.metadata import version

        sentence, horizon, cameras = TASKS[self.task]
        space = self.env.single_action_space
        layout, mode, unit = _CONTROLS[self.control]
        joints = [*(f"joint{n}.rad" for n in range(7)), "finger0.m", "finger1.m"]
        return {
            "version": f"mani_skill {version('mani_skill')}, sapien {version('sapien')}",
            "embodiment": "panda",
            "tasks": {self.task: sentence},
            "observation": [
                _numbers("observation.state", [*(f"tip.{n}" for n in _POSE), "gripper_width"]),
                _numbers("observation.joints", joints, ""),
                _numbers("observation.joint_velocities", [f"{name}_s" for name in joints], ""),
                _numbers("observation.environment_state", THINGS[self.task]),
                *({"name": f"observation.images.{name}", "shape": [self.size, self.size, 3], "dtype": "uint8"}
                  for name in cameras),
            ],
            "action": dict(_numbers("action", layout, ""), mode=mode, unit=unit,
                           low=[float(x) for x in space.low], high=[float(x) for x in space.high]),
            "rate_hz": float(RATE_HZ),
            "horizon": horizon,
            "rule": "first",
            "measures": [
                {"name": "success", "unit": "bool"},
                {"name": "reward", "series": True},
                {"name": "peak_force", "unit": "N", "about": "damage"},
            ],
            "deterministic": True,
            "pictures": True,
            "past_success": True,
            "success_terms": SUCCESS[self.task],
            "notes": [f"pictures are drawn by {self.device}",
                      "horizons leave room for its planner; its own environments end after 50 or 100 steps"],
            "cost": "4 ms of one core a step, 43 ms with one picture, 129 ms with two",
        }  # fmt: skip

    def start(self, task: str, start: int, variation: str) -> ManiSkillScene:
        """A case. The scene is made anew for each: what touched what before would be left in the solver."""
        seed = start if start < 2**32 else int(np.random.SeedSequence(start).generate_state(1)[0])
        self._cameras.clear()
        self.env.reset(seed=seed, options={"reconfigure": True})
        return ManiSkillScene(self)

    def _expert(self, seed: int) -> Callable[[Mapping[str, Any]], Any]:
        return ScrewExpert(_planner(self.env.agent), SCREW_EXPERTS[self.task], RATE_HZ)

    def sensors(self) -> dict[str, Any]:
        """Pictures (size, size, 3) of all cameras, as ManiSkill's own observations have them."""
        drawn = self.env._get_obs_sensor_data()
        return {name: _array(drawn[camera]["rgb"]) for name, camera in _CAMERAS.items() if camera in drawn}

    def picture(self, width: int, height: int) -> Any:
        """For people: from where ManiSkill's own films are taken, with the goal in it."""
        scene = self.env.scene.sub_scenes[0]
        if (width, height) not in self._cameras:
            theirs = self.env._human_render_cameras["render_camera"].camera
            camera = scene.add_camera(f"people_{width}_{height}", width, height, 1.0, 0.01, 100.0)
            camera.set_local_pose(theirs.global_pose.sp)
            self._cameras[width, height] = camera
        for hidden in self.env._hidden_objects:
            hidden.show_visual()
        scene.update_render()
        camera = self._cameras[width, height]
        camera.take_picture()
        colours = np.asarray(camera.get_picture("Color"))[..., :3]
        return colours if colours.dtype == np.uint8 else (np.clip(colours, 0, 1) * 255).astype(np.uint8)


class ManiSkillScene:
    """One case being run."""

    def __init__(self, world: ManiSkillWorld) -> None:
        self._world, self._env = world, world.env
        self._success, self._reward, self._peak = False, 0.0, 0.0
        self._robot = {link._objs[0].entity for link in world.env.agent.robot.links}
        self._drawn: dict[str, Any] | None = None  # all cameras of this step, once one was asked for

    def observe(self, names: list[str]) -> dict[str, Any]:
        """The named fields."""
        return {name: self._field(name) for name in names}

    def _field(self, name: str) -> Any:
        env = self._env
        if name == "observation.state":
            fingers = _array(env.agent.robot.get_qpos())[-2:]
            return np.concatenate([_pose(env.agent.tcp.pose), [fingers.sum()]])
        if name == "observation.joints":
            return _array(env.agent.robot.get_qpos())
        if name == "observation.joint_velocities":
            return _array(env.agent.robot.get_qvel())
        if name == "observation.environment_state":
            return np.concatenate(_things(self._world.task, env))
        if self._drawn is None:
            self._drawn = self._world.sensors()
        return self._drawn[name.rpartition(".")[2]]

    def step(self, action: Any) -> dict[str, Any]:
        """One control step."""
        self._drawn = None
        _, reward, _, _, info = self._env.step(np.asarray(action, np.float32))
        self._success, self._reward = bool(info["success"][0]), float(reward[0])
        self._peak = max(self._peak, self._force())
        return {}

    def _force(self) -> float:
        """The largest force between the arm and anything else, N."""
        system = self._env.scene.px
        largest = 0.0
        for contact in system.get_contacts():
            first, second = (body.entity in self._robot for body in contact.bodies)
            if first != second:
                impulse = sum((point.impulse for point in contact.points), np.zeros(3))
                largest = max(largest, float(np.linalg.norm(impulse)) / system.timestep)
        return largest

    def measures(self) -> dict[str, Any]:
        """As it stands; the largest force is that at the ends of the control steps so far."""
        return {"success": self._success, "reward": self._reward, "peak_force": self._peak}

    def picture(self, width: int, height: int) -> Any:
        """For people."""
        return self._world.picture(width, height)


def _made(task: str, size: int, control: str, render: str) -> Any:
    import gymnasium
    import mani_skill.envs  # noqa: F401 - registers the tasks

    made = gymnasium.make(
        f"{task}-v1",
        obs_mode="rgb",
        control_mode=control,
        sim_backend="physx_cpu",
        render_backend=render,
        sensor_configs={"width": size, "height": size},
    )
    env: Any = made.unwrapped
    env.get_obs = lambda *_, **__: {}  # who looks asks for it: a picture costs ten steps
    return env


def _things(task: str, env: Any) -> list[Any]:
    """The numbers of `THINGS`."""
    if task == "StackCube":
        return [_pose(env.cubeA.pose), _pose(env.cubeB.pose)]
    if task == "PegInsertionSide":
        return [_pose(env.peg.pose), _pose(env.box_hole_pose), _array(env.peg_half_sizes)[:2]]
    cube, goal = (env.cube, env.goal_site) if task == "PickCube" else (env.obj, env.goal_region)
    return [_pose(cube.pose), _array(goal.pose.p)]


def _array(tensor: Any) -> Any:
    """Of the one environment."""
    return tensor[0].cpu().numpy()


def _pose(pose: Any) -> Any:
    """x, y, z and a quaternion w, x, y, z with w >= 0."""
    seven = _array(pose.raw_pose).astype(float)
    if seven[3] < 0:
        seven[3:] *= -1
    return seven


def _numbers(name: str, layout: Any, frame: str = "world") -> dict[str, Any]:
    return {
        "name": name,
        "shape": [len(layout)],
        "dtype": "float32",
        "unit": "mixed",
        "frame": frame,
        "layout": list(layout),
    }


def _planner(agent: Any) -> Any:
    """Of mplib, for the arm."""
    import mplib

    planner = mplib.Planner(
        urdf=agent.urdf_path,
        srdf=agent.urdf_path.replace(".urdf", ".srdf"),
        user_link_names=[link.name for link in agent.robot.get_links()],
        user_joint_names=[joint.name for joint in agent.robot.get_active_joints()],
        move_group="panda_hand_tcp",
    )
    planner.set_base_pose(np.array([-0.615, 0, 0, 1, 0, 0, 0.0]))
    return planner


def _require_vulkan() -> str:
    """What draws, after the guest's own driver was made known where it has one; Refusal says what is missing."""
    own = Path(sys.prefix).parent / "vulkan/lvp_icd.json"
    if own.is_file() and not {"VK_DRIVER_FILES", "VK_ICD_FILENAMES"} & set(os.environ):
        os.environ["VK_DRIVER_FILES"] = os.environ["VK_ICD_FILENAMES"] = str(own)
    import sapien
    import sapien.render

    try:
        sapien.render.RenderMaterial()
    except RuntimeError as error:
        raise Refusal(f"no Vulkan driver that can draw ({error}): {_advice()}") from None
    return next(
        (line[5:].strip() for line in sapien.render.get_device_summary().splitlines() if line[:4] == "GPU:"), ""
    )


def _advice() -> str:
    folder = Path(sys.prefix).parent / "vulkan"
    script = Path(os.environ.get("ROBOSCALE_GUEST_FOLDER", "")) / "vulkan.sh"
    return (
        "ManiSkill needs that of Mesa 25, also for states alone. Debian 12, without root and with nothing of the "
        f"system changed: bash {script} {folder}\n"
        "where Mesa is 25 or newer (Debian 13): sudo apt-get install -y mesa-vulkan-drivers"
    )


class ManiSkillCheck:
    """What works, one text each; the first that does not raises."""

    def describe(self) -> list[str]:
        world = ManiSkillWorld("PickCube", size=64)
        said = [f"{world.describe()['version']}, drawn by {world.device}"]
        names = ["observation.state", "observation.joints", "observation.environment_state"]
        scene = world.start("PickCube", 1, "nominal")
        first = scene.observe(names)
        expert, steps = world.expert(0), 0
        while not scene.measures()["success"] and steps < TASKS["PickCube"][1]:
            scene.step(expert(scene.observe(names)))
            steps += 1
        if not scene.measures()["success"]:
            raise RuntimeError(f"the expert did not carry the cube to the goal in {steps} steps")
        said.append(f"the expert carries the cube to the goal in {steps} steps")
        picture = scene.observe(["observation.images.front"])["observation.images.front"]
        if picture.std() < 5:
            raise RuntimeError(f"the picture is one colour: {picture[0, 0]}")
        said.append("it draws pictures")
        again = world.start("PickCube", 1, "nominal").observe(names)
        if any(not np.array_equal(first[name], again[name]) for name in names):
            raise RuntimeError("the same seed gave another scene")
        said.append("the same seed gives the same scene")
        return said
