"""The Fetch and Adroit worlds of roboscale: what the list says is what they are; the experts solve theirs."""

import pytest

from roboscale import ListWorlds, evaluate, list_worlds
from roboscale.core import HasExpert
from roboscale.worlds import WORLDS, open_world

BY_FILE = sorted(WORLDS.keys() - {"metaworld"})


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_what_is_said_without_opening_is_what_the_world_says(name: str):
    if WORLDS[name].missing:
        pytest.skip(WORLDS[name].advice)
    tasks, measures = WORLDS[name].describe()
    world = open_world(name)
    try:
        assert dict(world.info.tasks) == tasks
        assert tuple(measure.name for measure in world.info.measures) == measures
        assert world.info.expert == isinstance(world, HasExpert)
    finally:
        world.close()


def test_the_list_has_six_benchmarks_with_tasks_and_measures():
    pytest.importorskip("gymnasium_robotics")
    pytest.importorskip("gym_pusht")
    listed = list_worlds(ListWorlds())
    families = {name.split("-")[0] for name in listed.brings} | set(listed.guests)
    assert families >= {"adroit", "aloha", "fetch", "metaworld", "pusht", "robosuite"}
    assert all(one.tasks and one.measures for one in (*listed.brings.values(), *listed.guests.values()))
    text = "\n".join(listed.lines)
    assert "50 tasks: roboscale world list metaworld" in text and "bring the block to the red point" in text
    said = listed.to_json()["tasks_and_measures"]["fetch-reach"]
    assert said == {"tasks": {"fetch-reach": "move the hand to the red point"}, "measures": ["success", "reward"]}


@pytest.mark.parametrize("name", ["fetch-reach", "fetch-push", "fetch-pick-and-place"])
def test_the_expert_solves_its_task(name: str):
    pytest.importorskip("gymnasium_robotics")
    done = evaluate("expert", world=name, trials=20, workers=0, seed=3)
    assert done.value == 1.0 and done.success.n == 20
    assert evaluate("constant", world=name, trials=5, workers=0, seed=3).value < 0.5


def test_an_expert_is_known_by_its_script():
    pytest.importorskip("gymnasium_robotics")
    made = [open_world(name) for name in ("fetch-push", "fetch-pick-and-place")]
    first, second = (world.expert().identity for world in made)
    assert first.verified and first.digest != second.digest
    assert first == open_world("fetch-push").expert().identity
    for world in made:
        world.close()


@pytest.mark.parametrize(
    "name", [name for name in BY_FILE if name.startswith(("adroit", "fetch-slide", "fetch-reach"))]
)
def test_a_seed_gives_the_same_scene_again_and_it_can_be_seen(name: str):
    pytest.importorskip("gymnasium_robotics")
    from roboscale.testing.world_checks import check_world

    seen = name in ("adroit-relocate", "fetch-slide", "fetch-reach")  # the hands share a renderer, which is slow
    world = open_world(name)
    try:
        errors = [str(finding) for finding in check_world(world, name, images=seen) if finding.severity == "error"]
        assert not errors
    finally:
        world.close()
