"""What a worse world changes of a MuJoCo model, what it leaves alone, and that it all comes back to the last bit."""

import hashlib
from typing import Any

import numpy as np
import pytest

from roboscale.core import BadData, Case, InfrastructureError, Spec, Step, UnknownName
from roboscale.core.simulation import Simulation
from roboscale.core.spec import Field
from roboscale.worlds import as_world, open_world
from roboscale.worlds.perturbed import AXES, PARTS, PerturbedWorld, axes_of
from roboscale.worlds.perturbed.axes import settings_of
from roboscale.worlds.perturbed.parts import MODEL_PARTS
from roboscale.worlds.simulated.metaworld import MetaWorld

mujoco = pytest.importorskip("mujoco")

FRONT, STATE = "observation.images.front", "observation.environment_state"
PICTURE_AXES = ("light", "camera", "texture", "distractors")
PHYSICS_AXES = ("friction", "mass", "size", "initial_spread", "table_height")
ACTIONS = np.random.default_rng(3).uniform(-1, 1, (12, 4)).astype(np.float32)


def model_digest(model: Any) -> str:
    """Of everything in a model: numbers of its physics, pictures, names."""
    buffer = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return hashlib.blake2b(buffer.tobytes()).hexdigest()


def walk(world: PerturbedWorld, case: Case, *, pictures: bool = True) -> dict[str, Any]:
    """What is seen at the start, the joints after some actions, and the model while it runs."""
    scene = world.start(case)
    try:
        seen = scene.observe([FRONT, STATE] if pictures else [STATE])
        data = scene.simulation().data  # type: ignore[attr-defined]
        model = model_digest(scene.simulation().model)  # type: ignore[attr-defined]
        start = np.array(data.qpos)
        for action in ACTIONS:
            scene.step(action)
        return {
            "picture": seen.get(FRONT),
            "state": seen[STATE].copy(),
            "start": start,
            "joints": np.array(data.qpos),
            "model": model,
        }
    finally:
        scene.close()


@pytest.fixture(scope="module")
def world():
    opened = PerturbedWorld(MetaWorld(image_size=48))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def fresh():
    """The same cases in environments in which nothing was ever changed."""
    known: dict[str, dict[str, Any]] = {}

    def of(task: str) -> dict[str, Any]:
        if task not in known:
            untouched = PerturbedWorld(MetaWorld(image_size=48))
            known[task] = walk(untouched, Case(task, 11))
            untouched.close()
        return known[task]

    return of


@pytest.mark.parametrize("task", ["push-v3", "drawer-open-v3"])
def test_the_next_unperturbed_case_is_what_it_always_was(world: PerturbedWorld, fresh, task: str):
    """Pictures, joints and the whole model, after every axis at its strongest, in one environment used again."""
    expected = fresh(task)
    idle = world.idle_axes(Case(task, 11))
    for axis in MODEL_PARTS:
        if axis not in idle:
            worse = walk(world, Case(task, 11, f"{axis}:3"))
            assert worse["model"] != expected["model"] or axis in ("distractors", "camera", "initial_spread")
        again = walk(world, Case(task, 11))
        np.testing.assert_array_equal(again["picture"], expected["picture"], axis)
        np.testing.assert_array_equal(again["joints"], expected["joints"], axis)
        np.testing.assert_array_equal(again["state"], expected["state"], axis)
        assert again["model"] == expected["model"], axis


@pytest.mark.parametrize("axis", PICTURE_AXES)
def test_what_is_only_seen_changes_pictures_and_no_number(world: PerturbedWorld, fresh, axis: str):
    plain = fresh("push-v3")
    doses = []
    for level in (1, 2, 3):
        worse = walk(world, Case("push-v3", 11, f"{axis}:{level}"))
        np.testing.assert_array_equal(worse["joints"], plain["joints"])
        np.testing.assert_array_equal(worse["state"], plain["state"])
        doses.append(np.abs(worse["picture"].astype(int) - plain["picture"]).mean())
    assert doses[0] > 0.2 and doses[2] > doses[0], doses


@pytest.mark.parametrize("axis", PHYSICS_AXES)
def test_what_is_felt_changes_how_the_same_actions_go(world: PerturbedWorld, fresh, axis: str):
    """The expert's own actions: what it takes and lets go ends elsewhere."""
    task, ends, moved = "pick-place-v3", [], []
    for variation in ("nominal", f"{axis}:3"):
        case = Case(task, 11, variation)
        scene = world.start(case)
        session = world.expert().start(world.info.sentence(case), 0)
        data = scene.simulation().data  # type: ignore[attr-defined]
        moved.append(np.array(data.qpos))
        for _ in range(60):
            action = session(scene.observe([STATE])).actions[0]  # type: ignore[union-attr]
            scene.step(np.clip(action, -1, 1))
        ends.append(np.array(data.qpos))
        scene.close()
    assert not np.array_equal(ends[0], ends[1])
    assert np.array_equal(moved[0], moved[1]) == (axis in ("friction", "mass"))


def test_a_heavier_puck_weighs_more_and_a_larger_one_is_larger(world: PerturbedWorld):
    case = Case("pick-place-v3", 11, "mass.factor:4,size.factor:1.25")
    plain = world.start(Case("pick-place-v3", 11))
    model = plain.simulation().model  # type: ignore[attr-defined]
    body = model.body("obj").id
    mass, box = float(model.body_mass[body]), model.geom_size[model.body_geomadr[body]].copy()
    plain.close()
    scene = world.start(case)
    model = scene.simulation().model  # type: ignore[attr-defined]
    assert float(model.body_mass[body]) == pytest.approx(4 * mass)
    np.testing.assert_allclose(model.geom_size[model.body_geomadr[body]], 1.25 * box)
    robot = model.body("hand").id
    assert float(model.body_mass[robot]) == float(plain_mass(world, robot))
    scene.close()


def plain_mass(world: PerturbedWorld, body: int) -> float:
    other = PerturbedWorld(MetaWorld(image_size=48))
    scene = other.start(Case("pick-place-v3", 11))
    mass = float(scene.simulation().model.body_mass[body])  # type: ignore[attr-defined]
    scene.close()
    other.close()
    return mass


def test_the_table_rises_with_what_stands_on_it_and_with_the_goal(world: PerturbedWorld):
    seen = []
    for variation in ("nominal", "table_height.shift:0.03"):
        scene = world.start(Case("push-v3", 11, variation))
        seen.append(scene.observe([STATE])[STATE].copy())
        scene.close()
    rise = seen[1] - seen[0]
    puck, goal = rise[4:7], rise[36:39]
    np.testing.assert_allclose(puck, [0, 0, 0.03], atol=1e-6)
    np.testing.assert_allclose(goal, [0, 0, 0.03], atol=1e-6)
    np.testing.assert_allclose(rise[:3], 0, atol=1e-6)  # the hand stays where it was


def test_what_lies_loose_begins_elsewhere_and_the_goal_stays(world: PerturbedWorld):
    seen = []
    for variation in ("nominal", "initial_spread.x:0.03,initial_spread.y:-0.02"):
        scene = world.start(Case("push-v3", 11, variation))
        seen.append(scene.observe([STATE])[STATE].copy())
        scene.close()
    moved = seen[1] - seen[0]
    np.testing.assert_allclose(moved[4:7], [0.03, -0.02, 0], atol=1e-6)
    np.testing.assert_allclose(moved[36:39], 0, atol=1e-6)


def test_one_value_can_be_given_in_its_own_unit_beside_a_level():
    asked = settings_of("camera:2,camera.yaw:3,light.brightness:0.5")
    values = asked.model_values(Case("push-v3", 11))
    assert values["camera.yaw"] == 3 and values["light.brightness"] == 0.5
    assert abs(values["camera.x"]) == PARTS["camera.x"].sizes[1]
    assert set(values) == {*(part.name for part in MODEL_PARTS["camera"]), "light.brightness"}


def test_the_dose_grows_with_the_level_and_its_direction_does_not_change():
    for seed in range(5):
        case = Case("push-v3", seed)
        for part in PARTS.values():
            if part.kind == "plain":
                continue
            sizes = [settings_of(f"{part.axis}:{s}").model_values(case)[part.name] for s in (0.5, 1, 1.5, 2, 3)]
            away = np.abs(np.log(sizes)) if part.neutral else np.abs(sizes)
            assert (np.diff(away) > 0).all() and len(set(np.sign(np.array(sizes) - part.neutral))) == 1
    signs = [settings_of("camera:1").model_values(Case("push-v3", s))["camera.x"] > 0 for s in range(40)]
    assert 8 < sum(signs) < 32


def test_an_axis_that_would_change_nothing_is_no_robustness(world: PerturbedWorld):
    idle = world.idle_axes(Case("drawer-open-v3", 1))
    assert idle == {"size": "nothing lies loose", "initial_spread": "nothing lies loose"}
    with pytest.raises(InfrastructureError, match="size changes nothing here: nothing lies loose"):
        world.start(Case("drawer-open-v3", 1, "size:2"))


def test_every_world_says_which_axes_it_can_do_and_why_not_the_others():
    fetch, pusht = open_world("fetch-push"), open_world("pusht")
    try:
        missing = axes_of(fetch)
        assert missing["friction"] == missing["mass"] == missing["size"] == ""
        assert "table" in missing["table_height"] and missing["camera"] == missing["texture"] == ""
        assert "MuJoCo" in axes_of(pusht)["friction"]
        assert axes_of(PerturbedWorld(MetaWorld()))["table_height"] == ""
    finally:
        fetch.close()
        pusht.close()


def test_a_declared_environment_is_changed_and_comes_back():
    world = PerturbedWorld(open_world("fetch-push"))
    task, (camera, *_) = next(iter(world.info.tasks)), [f.name for f in world.info.observation_spec.images]

    def run(variation: str) -> tuple[np.ndarray, str, np.ndarray]:
        scene = world.start(Case(task, 5, variation))
        sim = scene.simulation()  # type: ignore[attr-defined]
        picture = np.array(scene.observe([camera])[camera])
        for action in ACTIONS:
            scene.step(action)
        found = np.array(sim.data.qpos), model_digest(sim.model), picture
        scene.close()
        return found

    before = run("nominal")
    for axis in (*PICTURE_AXES, "friction", "mass", "size", "initial_spread"):
        worse = run(f"{axis}:3")
        assert worse[1] != before[1] or axis in ("distractors", "camera", "initial_spread")
        assert np.array_equal(worse[2], before[2]) == (axis in ("friction", "mass")), axis
        if axis in PICTURE_AXES:
            np.testing.assert_array_equal(worse[0], before[0], axis)
        again = run("nominal")
        np.testing.assert_array_equal(again[0], before[0], axis)
        np.testing.assert_array_equal(again[2], before[2], axis)
        assert again[1] == before[1], axis
    world.close()


BALL = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <light pos="0 0 2"/>
    <camera name="front" pos="0 -1 0.5" xyaxes="1 0 0 0 0.45 0.9"/>
    <geom name="floor" type="plane" size="1 1 0.1"/>
    <body name="ball" pos="0 0 0.3"><freejoint/><geom name="ball" type="sphere" size="0.05" rgba="1 0 0 1"/></body>
  </worldbody>
</mujoco>
"""


class BallScene:
    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(BALL)
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)

    def simulation(self) -> Simulation:
        return Simulation(model=self.model, data=self.data)

    def observe(self, names=None):
        return {"observation.state": self.data.qpos[:3].astype(np.float32)}

    def step(self, action):
        mujoco.mj_step(self.model, self.data)
        return Step()

    def measures(self):
        return {"success": float(self.data.qpos[2] < 0.08)}

    def close(self):
        self.closed_with = model_digest(self.model)


class BallWorld:
    """A user's own world on a MuJoCo model: a ball that falls."""

    tasks = {"fall": "let the ball fall onto the floor"}
    observation_spec = Spec((Field("observation.state", (3,), "float32", unit="m"),), 100.0)
    action_spec = Spec((Field("action", (1,), "float32", low=(-1.0,), high=(1.0,)),), 100.0)
    horizon = 100
    measures = ("success",)
    deterministic = True

    def changeable(self):
        return {"friction": "", "mass": "", "size": ""}

    def start(self, case):
        self.scene = BallScene()
        return self.scene


def test_a_users_own_world_can_be_made_worse_too():
    own = BallWorld()
    world = PerturbedWorld(as_world(own))
    assert {"size", "mass", "friction", "size.factor"} <= set(world.info.variations)
    assert "light" not in world.info.variations and "no pictures" in world.missing["light"]
    plain = world.start(Case("fall", 1))
    plain.close()
    untouched = own.scene.closed_with
    scene = world.start(Case("fall", 1, "size.factor:1.2,mass:3"))
    assert own.scene.model.geom("ball").size[0] == pytest.approx(0.06)
    assert own.scene.data.qpos[2] == pytest.approx(0.31)  # it stands on the same height
    scene.close()
    assert own.scene.closed_with == untouched


@pytest.mark.parametrize(
    ("variation", "error", "words"),
    [
        ("camera.yaww:3", UnknownName, "variation of metaworld 'camera.yaww:3'"),
        ("camera.yaw:much", BadData, "camera.yaw: expected a number in deg"),
        ("mass.factor:-1", BadData, "mass.factor: expected a factor above 0"),
        ("light:3.5", UnknownName, "level of light '3.5'"),
    ],
)
def test_a_value_that_cannot_be_is_refused(world: PerturbedWorld, variation: str, error: type[Exception], words: str):
    with pytest.raises(error, match=words.replace(".", r"\.")):
        world.start(Case("push-v3", 1, variation))


def test_sizes_are_said_for_people():
    assert AXES["mass"].size_text(3) == "factor ×÷4"
    assert AXES["light"].size_text(1).startswith("brightness ÷1.3, turn ±20 deg")
    assert "yaw ±3 deg" in AXES["camera"].size_text(2)
    assert AXES["action_delay"].size_text(1) == "0.05 s"
