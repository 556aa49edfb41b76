"""Meta-World 3.1.1 as a world: 50 tasks of a Sawyer arm, two cameras, the package's own success and experts.

The scene of a case follows from its seed alone, also in an environment that was used before and while other scenes
run. Knows no policy but the package's scripted experts, which read the full state.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Field,
    Identity,
    Measure,
    Observation,
    Session,
    Spec,
    Step,
    UnknownName,
    WorldInfo,
    combine,
)
from roboscale.core.simulation import Simulation, View
from roboscale.worlds.simulated.contacts import DAMAGE, THRESHOLDS, ContactTable, DamageMeter
from roboscale.worlds.simulated.headless import SceneRenderer, import_mujoco
from roboscale.worlds.simulated.metaworld_tasks import TASKS
from roboscale.worlds.simulated.model_axes import MODEL_AXES

__all__ = ["CAMERAS", "MEASURES", "Expert", "MetaWorld", "MetaWorldScene"]

REVISION = 1  # of this file: raised when the code changes what is seen, done or measured

RATE_HZ = 80.0  # 5 physics steps of 2.5 ms
HORIZON = 500  # steps, the package's own
GRIPPER_OPENING_M = 0.1  # what the package divides the finger distance by
MAX_IDLE = 50  # environments kept for the next scene of their task: about 25 MB and 0.1 s each
MAX_RENDERERS = 6  # of environments that no scene runs in; those of running scenes are kept as long as they run

CAMERAS: dict[str, View] = {
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
        Field(f"observation.images.{name}", (size, size, 3), "uint8", unit="1", layout=("height", "width", "channel"))
        for name in CAMERAS
    ]
    state = ("hand.x", "hand.y", "hand.z", "gripper_width")
    fields = [
        Field("observation.state", (4,), "float32", unit="m", frame="world", layout=state),
        Field("observation.environment_state", (39,), "float32", unit="mixed", frame="world", layout=STATE_LAYOUT),
        Field("contact.gripper_n", (1,), "float32", unit="N"),
        Field("time.observation_ns", (1,), "int64", unit="ns"),
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
                unit="0.01 m; gripper_effort 1",
                frame="world",
                layout=layout,
                mode="relative to previous action",
                low=(-1.0,) * 4,
                high=(1.0,) * 4,
            ),
        ),
        RATE_HZ,
    )


MEASURES = (
    Measure(name="success", unit="bool", series=True),
    Measure(name="progress", series=True),
    Measure(name="reward", series=True),
    *DAMAGE,
)
"""What every task measures."""
_GOES_ON = Step()  # the package never ends an episode by itself
_WIDTHS = np.array([1, 1, 1, GRIPPER_OPENING_M], np.float32)


@dataclass(slots=True, eq=False)
class _Rig:
    """One task's environment and what is measured on it; one scene runs in it at a time."""

    task: str
    env: Any
    meter: DamageMeter


def _build(task: str) -> _Rig:
    mujoco = import_mujoco()  # before the package imports it: this chooses the renderer
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    env = ALL_V3_ENVIRONMENTS[task]()
    env._partially_observable = False  # the goal is part of the full state
    env._freeze_rand_vec, env.seeded_rand_vec, env._set_task_called = False, True, True
    env.max_path_length = sys.maxsize  # how long an episode lasts is the rollout's to say
    del env.sawyer_observation_space  # cached with the goal hidden
    info = TASKS[task]
    gripper = {"rightclaw", "rightpad", "leftclaw", "leftpad"}
    table = ContactTable(env.model, "base", gripper, info.touch, info.avoid)
    drops = info.carries and not info.release
    return _Rig(task, env, DamageMeter(mujoco, env.model, table, info.moves, drops=drops, leaves=info.leaves))


def _comparisons(environment: type) -> dict[str, str]:
    """Left side -> comparison, of every one in the expressions that a class computes `success` with."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(environment)))
    rules: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "success" for t in node.targets):
            rules.append(node.value)
        elif isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else "" for key in node.keys]
            rules += [value for key, value in zip(keys, node.values, strict=True) if key == "success"]
    compared = [node for rule in rules for node in ast.walk(rule) if isinstance(node, ast.Compare)]
    return {ast.unparse(node.left): ast.unparse(node) for node in compared}


class MetaWorld:
    """All 50 tasks as one world. Any number of scenes at once, each in an environment of its own.

    Args:
        image_size: height and width of both cameras, pixels.
    """

    def __init__(self, image_size: int = 96) -> None:
        self.image_size = image_size
        self._idle: list[_Rig] = []  # the one used last is the last
        self._running: set[MetaWorldScene] = set()
        self._renderers: OrderedDict[tuple[_Rig, int, int, str], SceneRenderer] = OrderedDict()

    @cached_property
    def info(self) -> WorldInfo:
        """Says everything without building an environment.

        Raises:
            PackageNotFoundError: Meta-World or MuJoCo is not installed.
        """
        versions = {package: version(package) for package in ("metaworld", "mujoco", "gymnasium")}
        observations, actions = _observation_spec(self.image_size), _action_spec()
        return WorldInfo(
            name="metaworld",
            kind="simulated",
            version=f"metaworld {versions['metaworld']}, mujoco {versions['mujoco']}",
            identity=combine(
                "metaworld",
                REVISION,
                versions,
                observations.to_json(),
                actions.to_json(),
                CAMERAS,
                {task: asdict(row) for task, row in TASKS.items()},
                THRESHOLDS,
            ),
            embodiment="sawyer",
            tasks={task: row.instruction for task, row in TASKS.items()},
            observation_spec=observations,
            action_spec=actions,
            horizon=HORIZON,
            measures=MEASURES,
            deterministic=True,
            pictures=True,
            expert=True,
            scenes=None,
            hold=(0.0, 0.0, 0.0, 0.0),  # the hand stays; the fingers relax, since what they held is not known here
            past_success=True,
        )

    def expert(self) -> Expert:
        """The package's scripted policies."""
        info = self.info
        return Expert(info.identity, info.observation_spec.select(["observation.environment_state"]), info.action_spec)

    def changeable(self) -> dict[str, str]:
        """Every axis of the model: it is MuJoCo's, and the table is known."""
        return dict.fromkeys(MODEL_AXES, "")

    def success_terms(self, task: str) -> dict[str, str]:
        """The comparisons in the package's own success condition, as its source has them."""
        self.info.instruction(task)
        import_mujoco()
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS

        return _comparisons(ALL_V3_ENVIRONMENTS[task])

    def start(self, case: Case) -> MetaWorldScene:
        """A scene in an environment that no other scene runs in."""
        self.info.require(case)
        assert case.seed is not None  # the only kind of start there is
        rig = self._take(case.task)
        scene = MetaWorldScene(self, rig, case.seed)
        self._running.add(scene)
        return scene

    def _take(self, task: str) -> _Rig:
        for i, rig in reversed(list(enumerate(self._idle))):
            if rig.task == task:
                return self._idle.pop(i)
        return _build(task)

    def give_back(self, scene: MetaWorldScene, rig: _Rig) -> None:
        """Takes the environment of a scene that has ended, for the next one of its task."""
        self._running.discard(scene)
        self._idle.append(rig)
        while len(self._idle) > MAX_IDLE:
            self._discard(self._idle.pop(0))
        self._limit_renderers(MAX_RENDERERS)

    def renderer(self, rig: _Rig, width: int, height: int, quality: str) -> SceneRenderer:
        """A renderer of that environment, size in pixels."""
        key = (rig, width, height, quality)
        if key not in self._renderers:
            self._limit_renderers(MAX_RENDERERS - 1)
            self._renderers[key] = SceneRenderer(rig.env.model, width, height, quality)
        self._renderers.move_to_end(key)
        return self._renderers[key]

    def redraw(self, rig: _Rig) -> None:
        """Closes the renderers of an environment whose textures or meshes are other ones now."""
        for key in [key for key in self._renderers if key[0] is rig]:
            self._renderers.pop(key).close()

    def _limit_renderers(self, most: int) -> None:
        """Closes the oldest ones that no scene runs with; a context costs memory, and 50 tasks would hold 50."""
        for key in [key for key in self._renderers if key[0] in self._idle]:
            if len(self._renderers) <= most:
                return
            self._renderers.pop(key).close()

    def _discard(self, rig: _Rig) -> None:
        self.redraw(rig)
        rig.env.close()

    def close(self) -> None:
        """Ends what still runs, and gives environments and renderers back."""
        for scene in tuple(self._running):
            scene.close()
        while self._idle:
            self._discard(self._idle.pop())


def _reset(env: Any, seed: int) -> NDArray[np.float64]:
    """Sets a case up and gives its full state (39,).

    The package's reset leaves bodies and goal markers where the draw before put them until the first step: in 30 tasks
    the first picture is wrong, in 7 of them the state too, by up to 20 cm, and a little of the episode before shines
    through. Positions are therefore computed once more; the physics starts from the same joints either way.
    """
    env.seed(seed)
    env.reset()
    mujoco = import_mujoco()
    mujoco.mj_kinematics(env.model, env.data)
    mujoco.mj_camlight(env.model, env.data)
    env._prev_obs = env._get_curr_obs_combined_no_goal()
    state: NDArray[np.float64] = env._get_obs()
    return state


def _raise_targets(env: Any, shift: float) -> Callable[[], None]:
    """Lifts what the package remembers of heights on the table, m; returns what undoes that."""
    before = {name: getattr(env, name, None) for name in ("_target_pos", "obj_init_pos")}
    for name, place in before.items():
        if place is not None:
            setattr(env, name, np.asarray(place, float) + np.array([0.0, 0.0, shift]))

    def undo() -> None:
        for name, place in before.items():
            setattr(env, name, place)

    return undo


class MetaWorldScene:
    """One case in one environment."""

    def __init__(self, world: MetaWorld, rig: _Rig, seed: int) -> None:
        self._world, self._rig, self._size = world, rig, world.image_size
        self._names = world.info.observation_spec.names
        state = _reset(rig.env, seed)
        rig.meter.start(rig.env.data)
        self._steps = 0
        self._success: float | None = None
        self._reward: float | None = None
        self._full: NDArray[np.float64] = state
        self._seen: NDArray[np.float32] | None = None
        self._views, self._extras = dict(CAMERAS), list[dict[str, Any]]()

    def simulation(self) -> Simulation:
        """The model, for whoever makes the world worse."""
        rig, world = self._rig, self._world
        return Simulation(
            model=rig.env.model,
            data=rig.env.data,
            views=self._views,
            extras=self._extras,
            redraw=lambda: world.redraw(rig),
            refresh=self._refresh,
            raise_table=lambda shift: _raise_targets(rig.env, shift),
        )

    def _refresh(self) -> None:
        """Looks anew at a scene in which things were moved before the first step."""
        env = self._rig.env
        env._prev_obs = env._get_curr_obs_combined_no_goal()
        self._full, self._seen = env._get_obs(), None
        self._rig.meter.start(env.data)

    def step(self, action: NDArray[Any]) -> Step:
        """Applies one action (4,) within its bounds; the episode never ends by itself."""
        rig = self._rig
        self._full, reward, _, _, info = rig.env.step(action)
        self._seen = None
        rig.meter.update(rig.env.data)
        self._steps += 1
        self._success, self._reward = float(info["success"]), float(reward)
        return _GOES_ON

    def measures(self) -> dict[str, float | None]:
        """As it stands; success, progress and reward are `None` before the first step."""
        reward = self._reward
        return {
            "success": self._success,
            "progress": None if reward is None else min(max(reward / 10, 0.0), 1.0),
            "reward": reward,
            **self._rig.meter.measures(),
        }

    @property
    def _state(self) -> NDArray[np.float32]:
        """The full state (39,), converted when it is first looked at."""
        if self._seen is None:
            self._seen = self._full.astype(np.float32)
            self._seen.flags.writeable = False
        return self._seen

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The named fields, read-only; UnknownName for one that is not there."""
        return {name: self._field(name) for name in (self._names if names is None else names)}

    def _field(self, name: str) -> NDArray[Any]:
        array: NDArray[Any]
        match name:
            case "observation.environment_state":
                return self._state
            case "observation.state":
                array = self._state[:4] * _WIDTHS
            case "contact.gripper_n":
                array = np.array([self._rig.meter.gripper_n], np.float32)
            case "time.observation_ns":
                array = np.array([round(self._steps * 1e9 / RATE_HZ)], np.int64)
            case _:
                self._world.info.observation_spec[name]  # UnknownName when it is no camera either
                array = self._render(self._size, self._size, "fast", name.rsplit(".", 1)[1])
        array.flags.writeable = False
        return array

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width, 3) RGB for people: the front camera, multisampled."""
        return self._render(width, height, "good", "front")

    def _render(self, width: int, height: int, quality: str, camera: str) -> NDArray[np.uint8]:
        renderer = self._world.renderer(self._rig, width, height, quality)
        return renderer.render(self._rig.env.data, self._views[camera], self._extras)

    def close(self) -> None:
        """Gives the environment back; the scene cannot be used any more."""
        if "_rig" in vars(self):  # the world may have closed it before
            self._world.give_back(self, self._rig)
            del self._rig


class Expert:
    """The package's scripted policy of whichever task the instruction names; reads the full state."""

    name = "expert"
    history = 1

    def __init__(self, world: Identity, observation_spec: Spec, action_spec: Spec) -> None:
        self.identity = combine("expert", world, "expert")
        self.observation_spec: Spec | None = observation_spec
        self.action_spec: Spec | None = action_spec
        self._tasks = {row.instruction: task for task, row in TASKS.items()}

    def start(self, instruction: str, seed: int) -> Session:
        """The experts draw nothing at random, so `seed` changes nothing. UnknownName for a foreign instruction."""
        if instruction not in self._tasks:
            raise UnknownName("instruction of metaworld", instruction, self._tasks)
        import_mujoco()  # the policies' package imports it, and the first import chooses the renderer
        from metaworld.policies import ENV_POLICY_MAP

        # The experts command more than the range and warn of it at every step; the rollout clips, and counts.
        warnings.filterwarnings("ignore", message="Constant.s. may be too high", module="metaworld")
        script = ENV_POLICY_MAP[self._tasks[instruction]]()

        def act(observation: Observation) -> ActionChunk:
            state = observation["observation.environment_state"].astype(np.float64)
            return ActionChunk(np.asarray(script.get_action(state), np.float32)[None])

        return act
