"""Meta-World as a world: tasks, determinism, scenes at once, damage, pictures."""

import subprocess
import sys

import numpy as np
import pytest

from roboscale.core import BadData, Case, SuccessRule, UnknownName, cases, check_action
from roboscale.testing.world_checks import check_world, success_rule
from roboscale.worlds.simulated import metaworld
from roboscale.worlds.simulated.metaworld import MetaWorld, MetaWorldScene
from roboscale.worlds.simulated.metaworld_tasks import TASKS

STATE = "observation.environment_state"
FIELD = MetaWorld().info.action_spec["action"]


@pytest.fixture(scope="module")
def world():
    opened = MetaWorld()
    yield opened
    opened.close()


def drive(
    world: MetaWorld, case: Case, actions: np.ndarray | None = None, *, most: int = 500
) -> tuple[MetaWorldScene, np.ndarray]:
    """The expert until success, or the given actions; the scene, still open, and the actions (T, 4)."""
    scene = world.start(case)
    session = world.expert().start(world.info.instruction(case.task), 0)
    done: list[np.ndarray] = []
    for t in range(most if actions is None else len(actions)):
        row = session(scene.observe([STATE])).rows[0] if actions is None else actions[t]
        done.append(check_action(row, FIELD)[0])
        scene.step(done[-1])
        if actions is None and scene.measures()["success"]:
            break
    return scene, np.array(done)


def seen_bytes(scene: MetaWorldScene, images: bool = False) -> bytes:
    names = [f.name for f in MetaWorld().info.observation_spec if images or not f.is_image]
    return b"".join(array.tobytes() for array in scene.observe(names).values()) + repr(scene.measures()).encode()


def test_all_fifty_tasks_have_a_sentence_of_their_own():
    sentences = [info.instruction for info in TASKS.values()]
    assert len(TASKS) == 50 and len(set(sentences)) == 50
    assert all(25 <= len(s) <= 50 for s in sentences)


def test_every_row_of_the_table_names_bodies_of_its_model():
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    assert set(TASKS) == set(ALL_V3_ENVIRONMENTS)
    for task in ("assembly-v3", "pick-place-wall-v3", "stick-pull-v3", "sweep-v3", "coffee-button-v3"):
        model = ALL_V3_ENVIRONMENTS[task]().model
        names = {model.body(i).name for i in range(model.nbody)}
        info = TASKS[task]
        assert {*info.touch, *info.avoid, *([info.moves] if info.moves else [])} <= names, task


def test_the_info_needs_no_simulator():
    code = (
        "import sys; from roboscale.worlds import open_world; i = open_world('metaworld').info;"
        "print(i.version, len(i.tasks), sorted({'mujoco', 'metaworld', 'gymnasium'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == "metaworld 3.1.1, mujoco 3.3.0 50 []"


@pytest.mark.parametrize("then", ["", "prepare_rendering();"], ids=["", "and another world chose"])
def test_pictures_do_not_depend_on_who_imported_mujoco_first(then: str):
    code = (
        "import os; os.environ.pop('MUJOCO_GL', None); import mujoco;"
        f"from roboscale.worlds.simulated.headless import prepare_rendering; {then}"
        "from roboscale.core import Case; from roboscale.worlds import open_world;"
        "print(open_world('metaworld').start(Case('reach-v3', 1)).picture(64, 48).std() > 10)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "True", done.stderr


def test_what_changes_a_result_changes_the_identity(monkeypatch: pytest.MonkeyPatch):
    plain = MetaWorld().info.identity
    assert MetaWorld().info.identity == plain and plain.verified
    assert MetaWorld(image_size=64).info.identity != plain
    assert MetaWorld().expert().identity not in (plain, MetaWorld(64).expert().identity)
    monkeypatch.setitem(TASKS, "reach-v3", TASKS["push-v3"])
    assert MetaWorld().info.identity != plain


@pytest.mark.parametrize("task", ["pick-place-v3", "door-open-v3", "peg-insert-side-v3"])
def test_expert_succeeds_and_the_world_keeps_its_promises(world: MetaWorld, task: str):
    scene, _ = drive(world, cases(task, 1, 0, "eval")[0])
    measures = scene.measures()
    assert measures["success"] == 1.0 and measures["progress"] > 0.5 and measures["reward"] > 5
    scene.close()
    assert check_world(world, task, images=task == "pick-place-v3") == []


def test_the_same_case_gives_the_same_bytes_in_a_fresh_world(world: MetaWorld):
    case = cases("push-v3", 1, 1, "eval")[0]
    scene, actions = drive(world, case)
    fresh = MetaWorld()
    again, _ = drive(fresh, case, actions)
    assert seen_bytes(scene, images=True) == seen_bytes(again, images=True)
    scene.close()
    fresh.close()


def test_scenes_that_run_beside_each_other_do_not_feel_it(world: MetaWorld):
    first, second = cases("pick-place-v3", 2, 0, "eval")
    elsewhere = cases("door-open-v3", 1, 0, "eval")[0]
    alone = {}
    for case in (first, second, elsewhere):
        scene, actions = drive(world, case, most=40)
        alone[case] = seen_bytes(scene), actions
        scene.close()
    scenes = {case: world.start(case) for case in alone}
    for t in range(max(len(actions) for _, actions in alone.values())):
        for case, (_, actions) in alone.items():
            if t < len(actions):
                scenes[case].step(actions[t])
    assert {case: seen_bytes(scene) for case, scene in scenes.items()} == {c: b for c, (b, _) in alone.items()}
    for scene in scenes.values():
        scene.close()


def test_an_environment_is_built_once_for_scenes_that_follow_each_other(monkeypatch: pytest.MonkeyPatch):
    built = []
    build = metaworld._build
    monkeypatch.setattr(metaworld, "_build", lambda task: built.append(task) or build(task))
    opened = MetaWorld()
    for case in cases("reach-v3", 3, 0, "eval"):
        opened.start(case).close()
    assert built == ["reach-v3"]
    beside = [opened.start(case) for case in cases("reach-v3", 2, 0, "eval")]
    assert built == ["reach-v3"] * 2
    opened.close()
    for scene in beside:
        scene.close()  # closed with its world already: nothing to do
    with pytest.raises(AttributeError):
        beside[0].measures()


def test_idle_environments_and_renderers_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metaworld, "MAX_IDLE", 1)
    monkeypatch.setattr(metaworld, "MAX_RENDERERS", 1)
    opened = MetaWorld(image_size=16)
    scenes = [opened.start(case) for task in ("reach-v3", "push-v3") for case in cases(task, 1, 0, "eval")]
    for scene in scenes:
        scene.observe()
    assert len(opened._renderers) == 2  # both scenes run: neither may lose its renderer at every step
    for scene in scenes:
        scene.close()
    assert len(opened._idle) == 1 and len(opened._renderers) == 1
    opened.close()
    assert not opened._idle and not opened._renderers


def test_renderers_of_scenes_that_are_over_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch):
    """A context costs memory: with room for two a third is made in place of the oldest that nobody uses."""
    monkeypatch.setattr(metaworld, "MAX_RENDERERS", 2)
    opened = MetaWorld(image_size=16)
    most = []
    for task in ("reach-v3", "push-v3", "reach-v3", "door-open-v3"):
        scene = opened.start(cases(task, 1, 0, "eval")[0])
        scene.observe()
        most.append(len(opened._renderers))
        scene.close()
    opened.close()
    assert most == [1, 2, 2, 2]


def test_a_scene_never_ends_by_itself(world: MetaWorld):
    scene = world.start(cases("reach-v3", 1, 0, "eval")[0])
    ends = {(step.terminated, step.truncated) for step in (scene.step(np.zeros(4, np.float32)) for _ in range(520))}
    assert ends == {(False, False)}
    assert scene.observe(["time.observation_ns"])["time.observation_ns"].tolist() == [6_500_000_000]
    scene.close()


def test_seeds_change_the_scene(world: MetaWorld):
    shown = set()
    for case in cases("pick-place-v3", 5, 0, "eval"):
        scene = world.start(case)
        shown.add(scene.observe([STATE])[STATE].tobytes())
        scene.close()
    assert len(shown) == 5


def test_pictures_show_the_scene_and_cannot_be_written(world: MetaWorld):
    scene = world.start(cases("pick-place-v3", 1, 0, "eval")[0])
    seen = scene.observe()
    for camera in ("front", "wrist"):
        image = seen[f"observation.images.{camera}"]
        assert image.shape == (96, 96, 3) and image.std() > 10
    assert not any(array.flags.writeable for array in seen.values())
    assert scene.picture(320, 240).shape == (240, 320, 3)
    scene.close()


@pytest.mark.parametrize("task", ["window-close-v3", "drawer-open-v3", "lever-pull-v3"])
def test_the_first_look_shows_the_case_and_not_the_draw_before(world: MetaWorld, task: str):
    scene = world.start(cases(task, 1, 0, "eval")[0])
    first = scene.observe([STATE])[STATE]
    scene.step(np.zeros(4, np.float32))
    then = scene.observe([STATE])[STATE]
    np.testing.assert_allclose(first[4:7], then[4:7], atol=0.002)  # where the handle is, metres
    assert first[18:36].tobytes() == first[:18].tobytes()  # one step earlier there was nothing
    scene.close()


def test_a_goal_marker_is_where_the_goal_is_in_the_first_picture(world: MetaWorld):
    scene = world.start(cases("reach-v3", 1, 0, "eval")[0])
    env = scene._rig.env
    np.testing.assert_allclose(env.data.site("goal").xpos, env._target_pos)
    scene.close()


def test_a_lifted_puck_that_is_let_go_is_dropped(world: MetaWorld):
    case = cases("pick-place-v3", 1, 0, "eval")[0]
    held, actions = drive(world, case)
    assert held.measures()["dropped"] == 0.0
    held.close()
    dropped, _ = drive(world, case, actions[: len(actions) - 1])
    for _ in range(40):
        dropped.step(np.array([0, 0, 0, -1.0], np.float32))
    assert dropped.measures()["dropped"] == 1.0
    dropped.close()


def test_what_a_task_cannot_break_is_none_and_not_zero(world: MetaWorld):
    known = (("door-open-v3", None, None), ("reach-v3", None, 0.0), ("sweep-v3", None, None))
    for task, dropped, off in (*known, ("pick-place-v3", 0.0, 0.0), ("assembly-v3", None, 0.0)):
        scene = world.start(cases(task, 1, 0, "eval")[0])
        measures = scene.measures()
        assert (measures["dropped"], measures["off_table"], measures["peak_force"]) == (dropped, off, 0.0), task
        assert measures["success"] is measures["reward"] is None  # nothing was done yet
        scene.close()


def test_every_measure_has_a_unit_and_success_is_kept_step_by_step():
    info = MetaWorld().info
    assert {m.name: m.unit for m in info.measures} == {
        "success": "bool",
        "progress": "1",
        "reward": "1",
        "peak_force": "N",
        "dropped": "bool",
        "off_table": "bool",
        "joint_limit_steps": "step",
    }
    assert [m.name for m in info.measures if m.series] == ["success", "progress", "reward"]
    assert info.measures_about("damage") == ("peak_force", "dropped", "off_table", "joint_limit_steps")
    assert info.rule == SuccessRule("first") and info.horizon == 500 and info.scenes is None


def test_the_packages_own_success_condition_stands_beside_the_sentence(world: MetaWorld):
    assert world.success_terms("pick-place-v3") == {"obj_to_target": "obj_to_target <= 0.07"}
    assert all(world.success_terms(task) for task in TASKS)
    said = success_rule(world, "hammer-v3")
    assert "drive the nail in" in said.text and "> 0.09" in said.text and said.evidence["unsaid"] == []
    assert "no word for reach_dist" in success_rule(world, "reach-v3").text


@pytest.mark.parametrize(
    ("case", "error", "says"),
    [
        (Case("pick-place-v2", 0), UnknownName, "did you mean .*pick-place-v3"),
        (Case("reach-v3", 0, "light:2"), UnknownName, "variation of metaworld 'light:2'; valid: nominal"),
        (Case("reach-v3", "episode:1@2"), UnknownName, "start of metaworld 'episode:1@2'; valid: a seed"),
        (Case("reach-v3", -1), BadData, "start: expected a seed from 0 up, found -1"),
    ],
)
def test_a_case_that_it_does_not_have_is_refused_before_anything_is_built(case: Case, error: type, says: str):
    fresh = MetaWorld()
    with pytest.raises(error, match=says):
        fresh.start(case)
    assert not fresh._idle and not fresh._running


def test_an_unknown_field_is_refused(world: MetaWorld):
    scene = world.start(cases("reach-v3", 1, 0, "eval")[0])
    with pytest.raises(UnknownName, match="observation.images.front"):
        scene.observe(["observation.images.frnt"])
    scene.close()


def test_progress_is_a_tenth_of_the_reward(world: MetaWorld):
    scene = world.start(Case("reach-v3", 5))
    assert scene.measures()["progress"] is None and scene.measures()["reward"] is None
    seen = set()
    for _ in range(5):
        scene.step(np.array([0.3, 0.2, 0.1, 0.0], np.float32))
        measures = scene.measures()
        assert measures["progress"] == pytest.approx(min(max(measures["reward"] / 10, 0.0), 1.0))
        seen.add(round(measures["progress"], 6))
    assert len(seen) > 1 and max(seen) < 1.0
    scene.close()
