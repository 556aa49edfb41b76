"""Meta-World 3.1.1 as a world: 50 tasks of a Sawyer arm, two cameras, the package's own success and experts.

The scene of a case follows from its seed alone, also in an environment that was used before. Knows no policy
but the package's scripted experts, which read the full state.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Capabilities,
    Case,
    Field,
    Observation,
    Outcome,
    Session,
    Spec,
    Step,
    SuccessRule,
    UnknownName,
    WorldKind,
    check_action,
)
from roboscale.worlds.simulated.contacts import ContactTable, DamageMeter
from roboscale.worlds.simulated.headless import Camera, SceneRenderer, import_mujoco
from roboscale.worlds.simulated.metaworld_tasks import TASKS
from roboscale.worlds.simulated.progress import Account

__all__ = ["CAMERAS", "Expert", "MetaWorld"]

RATE_HZ = 80.0  # 5 physics steps of 2.5 ms
GRIPPER_OPENING_M = 0.1  # what the package divides the finger distance by
MAX_RENDERERS = 6

CAMERAS: dict[str, Camera] = {
    # The package's corner2 sees the puck as four pixels at 96 x 96; this one faces the robot across the work area.
    "front": {"lookat": (0.0, 0.74, 0.1), "distance": 0.85, "azimuth": 270.0, "elevation": -38.0},
    "wrist": "gripperPOV",
}

_XYZ, _ROTATION = ("x", "y", "z"), ("rotation0", "rotation1", "rotation2", "rotation3")
_HALF: tuple[str, ...] = (
    *(f"hand.{axis}" for axis in _XYZ),
    "gripper.opening",
    *(f"{thing}.{element}" for thing in ("object1", "object2") for element in (*_XYZ, *_ROTATION)),
)
STATE_LAYOUT = (*_HALF, *(f"previous.{name}" for name in _HALF), "goal.x", "goal.y", "goal.z")
"""Elements of `observation.environment_state`. The package mixes quaternion orders between tasks, hence `rotation`."""


def _observation_spec(size: int) -> Spec:
    images = [
        Field(f"observation.images.{name}", (size, size, 3), "uint8", "1", layout=("height", "width", "channel"))
        for name in CAMERAS
    ]
    state = ("hand.x", "hand.y", "hand.z", "gripper_width")
    fields = [
        Field("observation.state", (4,), "float32", "m", "world", state),
        Field("observation.environment_state", (39,), "float32", "mixed", "world", STATE_LAYOUT),
        Field("contact.gripper_n", (1,), "float32", "N"),
        Field("time.observation_ns", (1,), "int64", "ns"),
        *images,
    ]
    return Spec(tuple(fields), RATE_HZ)


def _action_spec() -> Spec:
    layout = ("target.dx", "target.dy", "target.dz", "gripper_effort")
    return Spec(
        (
            Field(
                "action",
                (4,),
                "float32",
                "0.01 m; gripper_effort 1",
                "world",
                layout,
                "relative to previous action",
                low=(-1.0,) * 4,
                high=(1.0,) * 4,
            ),
        ),
        RATE_HZ,
    )


@dataclass(slots=True)
class _Scene:
    """One task's environment and what is measured on it."""

    env: Any
    meter: DamageMeter


class MetaWorld:
    """All 50 tasks as one world.

    Args:
        image_size: height and width of both cameras, pixels.
        success_rule, horizon: Meta-World counts the first success within 500 steps.
    """

    name = "metaworld"
    kind: WorldKind = "simulated"
    embodiment = "sawyer"
    tasks: Sequence[str] = tuple(TASKS)
    capabilities = Capabilities(object_poses=True, contacts=True, rendering=True, deterministic=True, expert=True)

    def __init__(self, image_size: int = 96, success_rule: SuccessRule = SuccessRule(), horizon: int = 500) -> None:
        self._mujoco = import_mujoco()
        from importlib.metadata import version

        self.version = f"metaworld {version('metaworld')}, mujoco {self._mujoco.__version__}"
        self.image_size, self.success_rule, self.horizon = image_size, success_rule, horizon
        self.observation_spec, self.action_spec = _observation_spec(image_size), _action_spec()
        self._scenes: dict[str, _Scene] = {}
        self._renderers: OrderedDict[tuple[str, int, int, str], SceneRenderer] = OrderedDict()
        self._task = ""
        self._account = Account(success_rule, horizon)
        self._state = np.zeros(39, np.float32)

    def instruction(self, task: str) -> str:
        if task not in TASKS:
            raise UnknownName("task of metaworld", task, TASKS)
        return TASKS[task].instruction

    def expert(self) -> Expert:
        return Expert(self.observation_spec.select(["observation.environment_state"]), self.action_spec)

    def _scene(self, task: str) -> _Scene:
        if task not in self._scenes:
            from metaworld.env_dict import ALL_V3_ENVIRONMENTS

            self.instruction(task)  # UnknownName before anything is built
            env = ALL_V3_ENVIRONMENTS[task]()
            env._partially_observable = False  # the goal is part of the full state
            env._freeze_rand_vec, env.seeded_rand_vec, env._set_task_called = False, True, True
            env.max_path_length = max(env.max_path_length, self.horizon + 1)
            del env.sawyer_observation_space  # cached with the goal hidden
            info = TASKS[task]
            gripper = {"rightclaw", "rightpad", "leftclaw", "leftpad"}
            table = ContactTable(env.model, "base", gripper, info.touch, info.avoid)
            drops = info.carries and not info.release
            meter = DamageMeter(self._mujoco, env.model, table, info.moves, drops=drops, leaves=info.leaves)
            self._scenes[task] = _Scene(env, meter)
        return self._scenes[task]

    def reset(self, case: Case) -> None:
        if case.scene != "default":
            raise UnknownName("scene of metaworld", case.scene, ["default"])
        scene = self._scene(case.task)
        scene.env.seed(case.seed)
        observation, _ = scene.env.reset()
        self._task = case.task
        self._state = np.asarray(observation, np.float32)
        self._account = Account(self.success_rule, self.horizon)
        scene.meter.start(scene.env.data)

    def step(self, action: NDArray[Any]) -> Step:
        applied, clipped = check_action(action, self.action_spec["action"])
        scene = self._scenes[self._task]
        state, reward, _, _, info = scene.env.step(applied)
        self._state = np.asarray(state, np.float32)
        scene.meter.update(scene.env.data)
        success = bool(info["success"])
        account = self._account
        account.add(success=success, clipped=clipped, progress=float(reward) / 10)
        return Step(applied, clipped, float(reward), success, account.terminated, account.truncated)

    def observe(self, names: Collection[str] | None = None) -> Observation:
        wanted = self.observation_spec.names if names is None else names
        return {name: self._field(name) for name in wanted}

    def _field(self, name: str) -> NDArray[Any]:
        scene = self._scenes[self._task]
        match name:
            case "observation.environment_state":
                return self._state.copy()
            case "observation.state":
                return self._state[:4] * np.array([1, 1, 1, GRIPPER_OPENING_M], np.float32)
            case "contact.gripper_n":
                return np.array([scene.meter.gripper_n], np.float32)
            case "time.observation_ns":
                return np.array([round(self._account.steps * 1e9 / RATE_HZ)], np.int64)
        self.observation_spec[name]  # UnknownName when it is no camera either
        size = self.image_size
        return self._renderer(size, size, "fast").render(scene.env.data, CAMERAS[name.rsplit(".", 1)[1]])

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width, 3) RGB for people: the front camera, multisampled."""
        scene = self._scenes[self._task]
        return self._renderer(width, height, "good").render(scene.env.data, CAMERAS["front"])

    def _renderer(self, width: int, height: int, quality: str) -> SceneRenderer:
        key = (self._task, width, height, quality)
        if key not in self._renderers:
            if len(self._renderers) >= MAX_RENDERERS:  # a context costs memory; 50 tasks would hold 50
                self._renderers.popitem(last=False)[1].close()
            self._renderers[key] = SceneRenderer(self._scenes[self._task].env.model, width, height, quality)
        self._renderers.move_to_end(key)
        return self._renderers[key]

    def outcome(self) -> Outcome:
        self._account.damage = self._scenes[self._task].meter.damage()
        return self._account.outcome()

    def close(self) -> None:
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        for scene in self._scenes.values():
            scene.env.close()
        self._scenes.clear()


class Expert:
    """The package's scripted policy of whichever task the instruction names; reads the full state."""

    name = "expert"

    def __init__(self, observation_spec: Spec, action_spec: Spec) -> None:
        self.observation_spec: Spec | None = observation_spec
        self.action_spec: Spec | None = action_spec
        self._tasks = {info.instruction: task for task, info in TASKS.items()}

    def start(self, instruction: str, seed: int) -> Session:
        """The experts draw nothing at random, so `seed` changes nothing. UnknownName for a foreign instruction."""
        if instruction not in self._tasks:
            raise UnknownName("instruction of metaworld", instruction, self._tasks)
        from metaworld.policies import ENV_POLICY_MAP

        script = ENV_POLICY_MAP[self._tasks[instruction]]()

        def act(observation: Observation) -> ActionChunk:
            state = observation["observation.environment_state"].astype(np.float64)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the experts command more than the range, which is clipped
                action = script.get_action(state)
            return ActionChunk(np.asarray(action, np.float32)[None])

        return act
