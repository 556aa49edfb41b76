"""Meta-World as a world: tasks, determinism, damage, pictures."""

import numpy as np
import pytest

from roboscale.core import Case, PolicyError, SuccessRule, UnknownName, cases
from roboscale.testing.world_checks import check_world
from roboscale.worlds import open_world
from roboscale.worlds.simulated.metaworld import MetaWorld
from roboscale.worlds.simulated.metaworld_tasks import TASKS


@pytest.fixture(scope="module")
def world():
    opened = MetaWorld()
    yield opened
    opened.close()


def drive(world: MetaWorld, case: Case, actions: np.ndarray | None = None) -> np.ndarray:
    """The expert's rollout, or the given actions; returns the actions."""
    world.reset(case)
    session = world.expert().start(world.instruction(case.task), 0)
    done = []
    for t in range(world.horizon):
        action = session(world.observe(["observation.environment_state"])).rows[0] if actions is None else actions[t]
        done.append(action)
        step = world.step(action)
        if step.terminated or step.truncated:
            break
    return np.array(done)


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


@pytest.mark.parametrize("task", ["pick-place-v3", "door-open-v3", "peg-insert-side-v3"])
def test_expert_succeeds_and_the_world_keeps_its_promises(world: MetaWorld, task: str):
    drive(world, cases(task, 1, 0, "eval")[0])
    outcome = world.outcome()
    assert outcome.status == "success" and outcome.terminated and outcome.progress == 1.0
    assert check_world(world, task, determinism=True, images=task == "pick-place-v3") == []


def test_the_same_case_gives_the_same_bytes_in_a_fresh_world(world: MetaWorld):
    case = cases("push-v3", 1, 1, "eval")[0]
    actions = drive(world, case)
    seen = world.observe()
    fresh = MetaWorld()
    drive(fresh, case, actions)
    again = fresh.observe()
    fresh.close()
    assert all(seen[k].tobytes() == again[k].tobytes() for k in seen)


def test_seeds_change_the_scene(world: MetaWorld):
    scenes = set()
    for case in cases("pick-place-v3", 5, 0, "eval"):
        world.reset(case)
        scenes.add(world.observe(["observation.environment_state"])["observation.environment_state"].tobytes())
    assert len(scenes) == 5


def test_pictures_show_the_scene(world: MetaWorld):
    world.reset(cases("pick-place-v3", 1, 0, "eval")[0])
    seen = world.observe()
    for camera in ("front", "wrist"):
        image = seen[f"observation.images.{camera}"]
        assert image.shape == (96, 96, 3) and image.std() > 10
    assert world.picture(320, 240).shape == (240, 320, 3)


def test_a_lifted_puck_that_is_let_go_is_dropped(world: MetaWorld):
    case = cases("pick-place-v3", 1, 0, "eval")[0]
    hold = MetaWorld(success_rule=SuccessRule("end"), horizon=120)
    actions = drive(hold, case)
    assert hold.outcome().damage.dropped is False
    lifted = len(actions) * 2 // 3
    hold.reset(case)
    for action in actions[:lifted]:
        hold.step(action)
    for _ in range(40):
        hold.step(np.array([0, 0, 0, -1.0]))
    assert hold.outcome().damage.dropped is True
    hold.close()


def test_what_a_task_cannot_break_is_none_and_not_zero(world: MetaWorld):
    for task, dropped, off in (("door-open-v3", None, None), ("reach-v3", None, False), ("sweep-v3", None, None)):
        world.reset(cases(task, 1, 0, "eval")[0])
        damage = world.outcome().damage
        assert (damage.dropped, damage.off_table, damage.peak_force_n) == (dropped, off, 0.0), task


def test_clipping_is_counted_and_nonsense_refused(world: MetaWorld):
    world.reset(cases("reach-v3", 1, 0, "eval")[0])
    step = world.step(np.array([3.0, 0, 0, 0]))
    assert step.clipped and step.applied[0] == 1.0
    assert world.outcome().damage.clipped_steps == 1
    with pytest.raises(PolicyError, match="finite"):
        world.step(np.array([np.nan, 0, 0, 0]))


def test_unknown_names_suggest_the_near_ones(world: MetaWorld):
    with pytest.raises(UnknownName, match="did you mean .*pick-place-v3"):
        world.instruction("pick-place-v2")
    with pytest.raises(UnknownName, match="valid: FILE.toml, fetch-push, metaworld, pusht"):
        open_world("metawold")
