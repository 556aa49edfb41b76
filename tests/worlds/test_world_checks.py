"""Every promise of a world, broken on purpose: the check says so in one sentence, and never with a traceback."""

import random
import re
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Case, Field, Measure, Spec, Step, UnknownName
from roboscale.testing.world_checks import check_world, success_rule
from tests.toy_world import ACTION, IMAGE, RATE_HZ, STATE, TIME, ToyScene, ToyWorld


def broken(scene: type[ToyScene] = ToyScene, **info: object) -> ToyWorld:
    """The toy with scenes of another class and another info."""

    class Broken(ToyWorld):
        def start(self, case: Case) -> ToyScene:
            self.info.require(case)
            self.open.append(scene(self, case))
            return self.open[-1]

    world = Broken()
    world.info = replace(world.info, **info)
    return world


def found(world: ToyWorld, **more: object) -> dict[str, str]:
    return {f"{f.severity} {f.check}": f.text for f in check_world(world, "near", **more)}


def seen(**arrays: object) -> type[ToyScene]:
    """Scenes that show other arrays from the third step on, or always."""

    class Shows(ToyScene):
        late = arrays.pop("late", False)

        def observe(self, names=None):
            shown = dict(super().observe(names))
            if not self.late or self.steps >= 3:
                shown |= {name: copy(array) for name, array in arrays.items() if name in shown}
            return shown

    return Shows


def test_a_world_that_keeps_its_promises_has_no_finding():
    for world in (ToyWorld(), ToyWorld(judged=False), ToyWorld(past_success=True), ToyWorld(scenes=1, hold=None)):
        assert check_world(world, "near", images=True) == [] and world.open == []


@pytest.mark.parametrize(
    ("field", "array", "check", "says"),
    [
        (STATE, np.zeros(2), "observation", r"float32\[2\] is declared, float64\[2\] given"),
        (STATE, np.zeros(3, np.float32), "observation", r"float32\[2\] is declared, float32\[3\] given"),
        (STATE, [0.0, 1.0], "observation", "is a list, not an array"),
        (STATE, np.array([0, np.nan], np.float32), "not-finite", "observation.state holds nan at element 1"),
        (
            IMAGE,
            np.zeros((3, 16, 16), np.uint8),
            "observation",
            r"uint8\[16, 16, 3\] is declared, uint8\[3, 16, 16\] given",
        ),
        (IMAGE, np.zeros(IMAGE.shape, np.uint8), "picture-black", "is black: its largest value is 0 of 255"),
        (IMAGE, np.ones(IMAGE.shape, np.uint8), "picture-black", "is black: .* 1 of 255; a picture in 0..1 looks so"),
    ],
)
def test_what_is_seen_is_what_was_declared(field: Field, array: object, check: str, says: str):
    assert re.search(says, found(broken(seen(**{field.name: array})))[f"error {check}"])


def test_a_field_that_changes_its_shape_while_the_episode_runs_is_found():
    assert "given" in found(broken(seen(late=True, **{STATE.name: np.zeros(3, np.float32)})))["error observation"]


@pytest.mark.parametrize(
    ("field", "check", "says"),
    [
        (Field("observation.images.front", (3, 16, 16), "uint8"), "picture-axes", "channels come first"),
        (Field("observation.images.front", (16, 16, 3), "float32"), "picture-dtype", "uint8, found float32"),
    ],
)
def test_pictures_are_height_width_channels_in_uint8(field: Field, check: str, says: str):
    world = broken(
        seen(**{IMAGE.name: np.full(field.shape, 0.5).astype(field.dtype)}),
        observation_spec=Spec((STATE, TIME, field), RATE_HZ),
    )
    assert says in found(world)[f"error {check}"]


class Restless(ToyScene):
    def observe(self, names=None):
        self.x += 0.01
        return super().observe(names)


class Aliased(ToyScene):
    def observe(self, names=None):
        self.memory = vars(self).get("memory", np.array([0.1, self.goal], np.float32))
        return {
            **super().observe(names),
            **({STATE.name: self.memory} if names is None or STATE.name in names else {}),
        }


class Deaf(ToyScene):
    def observe(self, names=None):
        return super().observe(None)


class Silent(ToyScene):
    def observe(self, names=None):
        return None


class Raises(ToyScene):
    def step(self, action):
        raise RuntimeError("the simulator has died")


class FourTuple(ToyScene):
    def step(self, action):
        super().step(action)
        return np.zeros(2), 0.0, False, {}


class AppliesLess(ToyScene):
    def step(self, action):
        return replace(super().step(action), applied=np.zeros(3))


class Prints(ToyScene):
    def step(self, action):
        print("reward 0.3")
        return super().step(action)


class Random(ToyScene):
    def step(self, action):
        self.x += random.random() * 1e-6
        return super().step(action)


class Remembers(ToyScene):
    last = 0.0

    def __init__(self, world, case):
        super().__init__(world, case)
        self.x = Remembers.last

    def step(self, action):
        Remembers.last = (Remembers.last + 1e-3) % 0.2
        return super().step(action)


class Shared(ToyScene):
    running = 0

    def __init__(self, world, case):
        super().__init__(world, case)
        Shared.running += 1

    def step(self, action):
        return super().step(action * (0.5 if Shared.running > 1 else 1))

    def close(self):
        super().close()
        Shared.running -= 1


class Seedless(ToyScene):
    def __init__(self, world, case):
        super().__init__(world, Case(case.task, 3))


class Ajar(ToyScene):
    def close(self):
        raise OSError("the window is gone")


@pytest.mark.parametrize(
    ("scene", "check", "says"),
    [
        (Restless, "error looking", "looking twice without a step shows two different observation.state"),
        (Aliased, "error aliased", "observation.state is the world's own memory"),
        (Deaf, "error names", "observe(['observation.state']) gives observation.images.front, observation.state"),
        (Silent, "error observation", "observe gives a mapping of arrays, found NoneType"),
        (Raises, "error raises", r"step([0.]) at step 1 raises RuntimeError: the simulator has died"),
        (FourTuple, "error step", "step gives a Step, found tuple"),
        (AppliesLess, "error step", "what was applied has shape [3], an action [1]"),
        (Prints, "warning prints", "prints to stdout, where results go: 'reward 0.3'"),
        (Random, "error determinism", "the same case gave other bytes the second time"),
        (Remembers, "error determinism", "observation.state, the measures from step 0 on"),
        (Shared, "error determinism", "other bytes while another scene ran"),
        (Seedless, "warning seeds", "begin with the same scene"),
        (Ajar, "error raises", "close() raises OSError: the window is gone"),
    ],
)
def test_what_a_scene_does_wrong_is_one_sentence(scene: type[ToyScene], check: str, says: str):
    assert says in found(broken(scene))[check]


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        ({"success": np.nan}, "success is a finite number or None, found float nan"),
        ({"success": 0.5}, "success is 0, 1 or None, found float 0.5"),
        ({"success": "False"}, "success is a finite number or None, found str 'False'"),
        ({"success": np.zeros(2)}, "success is a finite number or None, found ndarray"),
        ({"success": {"task": False}}, "found dict {'task': False}"),
        ({"success": 0.0, "smell": 1.0}, "smell is measured and not declared"),
        ({}, "success is declared and not measured"),
    ],
)
def test_measures_are_numbers_or_none_and_those_declared(measured: dict, says: str):
    class Measures(ToyScene):
        def measures(self):
            given = super().measures()
            given.pop("success")
            return {**given, **measured}

    assert says in found(broken(Measures))["error measures"]


def test_a_success_that_could_not_be_measured_is_allowed():
    class Unknown(ToyScene):
        def measures(self):
            return {**super().measures(), "success": None}

    assert found(broken(Unknown)) == {}


def test_a_world_that_takes_every_case_is_found():
    class Lenient(ToyWorld):
        def start(self, case: Case) -> ToyScene:
            self.open.append(ToyScene(self, Case("near", case.seed or 0)))
            return self.open[-1]

    texts = [f.text for f in check_world(Lenient(), "near")]
    assert [t.split(" (")[0] for t in texts] == ["an unknown task", "an unknown variation", "an unknown kind of start"]
    assert "call info.require(case) in start" in texts[0]


def test_a_world_that_stumbles_over_an_unknown_task_is_found():
    class Stumbles(ToyWorld):
        def start(self, case: Case) -> ToyScene:
            {"near": 1}[case.task]
            return super().start(case)

    assert "raises KeyError instead of UnknownName" in found(Stumbles())["error refusal"]


@pytest.mark.parametrize(
    ("shape", "low", "high"),
    [
        ((1,), (-np.inf,), (np.inf,)),
        ((1,), None, None),
        ((1, 2), (-1.0, 0.0), (1.0, 2.0)),
        ((2,), (-np.inf, 3.0), (-5.0, np.inf)),
        ((3,), (-3.4e38,) * 3, (3.4e38,) * 3),
        ((), (-1.0,), (1.0,)),
    ],
)
def test_actions_without_bounds_and_of_any_shape_are_tried(shape: tuple, low: tuple | None, high: tuple | None):
    field = Field("action", shape, "float32", low=low, high=high)
    taken = []

    class Takes(ToyScene):
        def step(self, action):
            taken.append(action)
            return Step()

    assert found(broken(Takes, action_spec=Spec((field,), RATE_HZ), hold=None, expert=False)) == {
        "error expert": "info says expert False, and expert() is the contrary"
    }
    for action in taken:
        assert action.shape == shape and action.dtype == np.float32 and np.isfinite(action).all()
        assert (action >= np.reshape(-np.inf if low is None else low, shape if low else ())).all()
        assert (action <= np.reshape(np.inf if high is None else high, shape if high else ())).all()


def test_both_bounds_and_the_action_that_keeps_still_are_tried():
    tried = []

    class Takes(ToyScene):
        def step(self, action):
            tried.append(float(action[0]))
            return super().step(action)

    found(broken(Takes))
    assert tried[:3] == pytest.approx([0.0, -0.1, 0.1])


def test_an_info_that_contradicts_itself_is_found():
    assert "has 2 values, an action 1" in found(broken(hold=(0.0, 0.0)))["error hold"]
    blind = type("Blind", (ToyScene,), {"picture": None})
    assert "info says pictures, and the scene has no picture" in found(broken(blind))["error picture"]


def test_determinism_is_asked_of_who_declares_it_and_of_others_on_request():
    assert "error determinism" not in found(broken(Random, deterministic=False))
    assert "error determinism" in found(broken(Random, deterministic=False), determinism=True)


def test_what_cannot_be_compared_is_said():
    assert "seeds and determinism" in found(broken(Raises))["info not-tried"]


def test_an_unknown_task_is_an_error_and_no_finding():
    with pytest.raises(UnknownName, match="near"):
        check_world(ToyWorld(), "naer")


def test_the_success_rule_stands_beside_the_sentence():
    said = success_rule(ToyWorld(), "near")
    assert said.severity == "info" and "asks 'move the point to the near goal'" in said.text
    assert "success counts when first reached, horizon 20 steps (2 s)" in said.text
    assert "somebody has to judge" in success_rule(ToyWorld(judged=False), "near").text


def test_conditions_that_the_sentence_does_not_mention_are_named():
    class Explains(ToyWorld):
        def success_terms(self, task: str) -> dict[str, str]:
            return {"goalDistance": "goalDistance < 0.05", "gripper_open": "gripper_open"}

    said = success_rule(Explains(), "near")
    assert said.evidence["unsaid"] == ["gripper_open"]
    assert said.text.endswith(
        "success is goalDistance < 0.05, gripper_open; the sentence has no word for gripper_open"
    )


def test_only_the_tasks_own_measures_are_listed_as_such():
    damage = Measure(name="broken_eggs", unit="1", about="damage")
    world = broken(measures=(damage,))
    assert "measures nothing" in success_rule(world, "near").text and ACTION.low == (-0.1,)
