"""Planted faults are found, each with a line that mends it, and pairs that fit are left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from roboscale.core import Field, RoboscaleError, Spec
from roboscale.policies.remote import PolicyProfile
from roboscale.policies.remote.pitfalls import Line, Moves, Seen, TrainedNumbers, TrainedOn, apply_lines, find_pitfalls

LAYOUT = ("joint_position.0", "joint_position.1", "joint_position.2", "gripper_closedness")
QUAT = tuple(f"quat_wxyz.{c}" for c in "wxyz")
INSTRUCTION = "put the red block into the tray"

PROFILE = """
name = "arm"
prompt = "prompt"

[[observation]]
key = "image"
field = "observation.images.front"

[[observation]]
key = "state"
field = "observation.state"

[[observation]]
key = "hand"
field = "observation.hand"

[action]
dimension = 4
mode = "{mode}"
"""


class Arm:
    """Three joints and a gripper that follow what they are told, a camera, and the hand's orientation.

    Args:
        relative: whether it takes differences.
        degrees, opened, bgr, turned, mirrored, xyzw: how it shows itself otherwise than a dataset of `Arm()`.
    """

    def __init__(
        self,
        *,
        relative: bool = False,
        degrees: bool = False,
        opened: bool = False,
        bgr: bool = False,
        turned: int = 0,
        mirrored: bool = False,
        xyzw: bool = False,
        rate_hz: float = 20.0,
    ) -> None:
        self.relative, self.degrees, self.opened, self.bgr = relative, degrees, opened, bgr
        self.turned, self.mirrored, self.xyzw = turned, mirrored, xyzw
        unit = "deg" if degrees else "rad"
        layout = (*LAYOUT[:3], "gripper_openness" if opened else LAYOUT[3])
        shape = (48, 64, 3) if turned % 180 == 0 else (64, 48, 3)
        self.observation_spec = Spec(
            (
                Field("observation.images.front", shape, "uint8"),
                Field("observation.state", (4,), "float32", unit=unit, layout=layout),
                Field("observation.hand", (4,), "float32"),
            ),
            rate_hz,
        )
        mode = "relative to state" if relative else "absolute"
        most = np.array([np.pi] * 3 + [1.0]) * ([57.3] * 3 + [1.0] if degrees else [1.0] * 4)
        bounds = {} if relative else {"low": tuple(-most), "high": tuple(most)}
        self.action_spec = Spec(
            (Field("action", (4,), "float32", unit=unit, layout=layout, mode=mode, **bounds),), rate_hz
        )

    def begin(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.state = np.array([0.8, -1.1, 0.5, 0.05]) + self.rng.normal(0, [0.05, 0.05, 0.05, 0.01])
        self.block = self.rng.uniform(10, 34, 2).astype(int)

    def observe(self) -> dict[str, np.ndarray]:
        image = np.full((48, 64, 3), (90, 110, 120), np.uint8)
        image[30:] = (150, 120, 60)  # the table
        image[4:14, 4:20] = (30, 60, 200)  # a blue box in a corner
        row, column = self.block
        image[row : row + 8, column : column + 8] = (220, 30, 20)
        image = np.rot90(image, self.turned // 90)
        image = image[:, ::-1] if self.mirrored else image
        shown = self.state.copy()
        if self.degrees:
            shown[:3] = np.degrees(shown[:3])
        if self.opened:
            shown[3] = 1 - shown[3]
        half = self.state[0] / 2
        quat = np.array([np.cos(half), 0.1 * np.sin(half), 0.2 * np.sin(half), np.sin(half)])
        quat = quat / np.linalg.norm(quat)
        return {
            "observation.images.front": np.ascontiguousarray(image[..., ::-1] if self.bgr else image),
            "observation.state": shown.astype(np.float32),
            "observation.hand": (quat[[1, 2, 3, 0]] if self.xyzw else quat).astype(np.float32),
        }

    def step(self, action: np.ndarray) -> None:
        action = np.array(action, np.float64)
        if self.degrees:
            action[:3] = np.radians(action[:3])
        if self.opened:
            action[3] = -action[3] if self.relative else 1 - action[3]
        target = self.state + action if self.relative else action
        self.state = self.state + 0.8 * (target - self.state)


def demonstrations(arm: Arm, episodes: int = 12, steps: int = 30):
    """Observations and actions of an arm that wanders, by episode."""
    told = []
    for seed in range(episodes):
        arm.begin(1000 + seed)
        seen, actions = [], []
        walk = arm.rng.normal(0, [0.12, 0.12, 0.12, 0.0], (steps, 4))
        walk[:, 3] = np.where(np.arange(steps) % 10 < 5, 0.3, -0.3)
        for t in range(steps):
            seen.append(arm.observe())
            shown = seen[-1]["observation.state"].astype(np.float64)
            delta = walk[t] * ([57.3] * 3 + [1.0] if arm.degrees else [1.0] * 4)
            delta[3] = np.clip(shown[3] + delta[3], 0, 1) - shown[3]
            actions.append(delta if arm.relative else shown + delta)
            arm.step(actions[-1])
        told.append((seen, np.array(actions)))
    return told


def trained_on(arm: Arm, **other: Any) -> TrainedOn:
    told = demonstrations(arm)
    names = {"image": "observation.images.front", "state": "observation.state", "hand": "observation.hand"}

    def numbers(field: str) -> TrainedNumbers:
        rows = np.array([o[field] for seen, _ in told for o in seen])
        return TrainedNumbers.of(rows, np.array([seen[0][field] for seen, _ in told]))

    states = [np.array([o["observation.state"] for o in seen], np.float64) for seen, _ in told]
    moves = Moves(
        np.concatenate([s[:-1] for s in states]),
        np.concatenate([actions[:-1] for _, actions in told]),
        np.concatenate([s[1:] for s in states]),
    )
    every = np.concatenate([actions for _, actions in told])
    made = {
        "source": "demonstrations",
        "pictures": {"image": np.array([seen[0][names["image"]] for seen, _ in told])},
        "numbers": {"state": numbers(names["state"]), "hand": numbers(names["hand"])},
        "action": TrainedNumbers.of(every, np.array([actions[0] for _, actions in told])),
        "moves": ("state", moves),
        "sentences": (INSTRUCTION, "put the blue block into the tray"),
        "rate_hz": 20.0,
    }
    return TrainedOn(**(made | other))


def seen_in(arm: Arm, trained: TrainedOn) -> Seen:
    starts = []
    for seed in range(6):
        arm.begin(seed)
        starts.append(arm.observe())

    def respond(profile: PolicyProfile) -> Moves:
        """The first training actions, through the profile."""
        entry = next(o for o in profile.observations if o.key == ("state",))
        arm.begin(3)
        before, after = [], []
        rows = trained.moves[1].actions[:60]
        for row in rows:
            shown = arm.observe()
            before.append(entry.raw([shown["observation.state"]]))
            arm.step(profile.chunk(row[None], shown).actions[0])
            after.append(entry.raw([arm.observe()["observation.state"]]))
        return Moves(np.array(before), rows, np.array(after))

    return Seen(
        starts=tuple(starts),
        observation_spec=arm.observation_spec,
        action_spec=arm.action_spec,
        instruction=INSTRUCTION,
        respond=respond,
    )


def profile_for(arm: Arm, *changes: tuple[str, str]) -> str:
    text = PROFILE.format(mode="relative to state" if arm.relative else "absolute")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


IMAGE = 'field = "observation.images.front"'
STATE = 'field = "observation.state"'

IN_DEGREES = "scale = [57.29578, 57.29578, 57.29578, 1.0]"

PLANTED = {
    "bgr world": ({"bgr": True}, (), {}, [("bgr", "image")]),
    "bgr profile": ({}, ((IMAGE, IMAGE + '\nchannels = "bgr"'),), {}, [("bgr", "image")]),
    "chw": ({}, ((IMAGE, IMAGE + '\naxes = "chw"'),), {}, [("channels-first", "image")]),
    "0..1": ({}, ((IMAGE, IMAGE + '\nvalues = "0..1"'),), {}, [("picture-range", "image")]),
    "turned by 180": ({"turned": 180}, (), {}, [("turned", "image")]),
    "turned by 90": ({"turned": 90}, (), {}, [("turned", "image")]),
    "mirrored": ({"mirrored": True}, (), {}, [("turned", "image")]),
    "bgr and turned": ({"bgr": True, "turned": 180}, (), {}, [("bgr", "image"), ("turned", "image")]),
    "gripper": ({"opened": True}, (), {}, [("gripper-sign", "state"), ("gripper-sign", "action")]),
    "gripper of the action": (
        {},
        (("dimension = 4", "dimension = 4\nscale = [1.0, 1.0, 1.0, -1.0]\noffset = [0.0, 0.0, 0.0, 1.0]"),),
        {},
        [("gripper-sign", "action")],
    ),
    "quaternion": ({"xyzw": True}, (), {}, [("quaternion-order", "hand")]),
    "degrees": ({"degrees": True}, (), {}, [("degrees", "state"), ("degrees", "action")]),
    "prompt": ({}, (('prompt = "prompt"', 'prompt = ""'),), {}, [("prompt", "prompt")]),
    "rate": ({"rate_hz": 10.0}, (), {}, [("control-rate", "action")]),
    "delta": ({"relative": True}, (), {}, [("delta-for-absolute", "action")]),
    "turned by 270": ({"turned": 270}, (), {}, [("turned", "image")]),
    "turned by the profile": ({}, ((IMAGE, IMAGE + "\nrotate = 180"),), {}, [("turned", "image")]),
    "upside down in the profile": ({}, ((IMAGE, IMAGE + '\nflip = "vertical"'),), {}, [("turned", "image")]),
    "degrees of the state": ({}, ((STATE, f"{STATE}\n{IN_DEGREES}"),), {}, [("degrees", "state")]),
    "degrees of the action": ({}, (("dimension = 4", f"dimension = 4\n{IN_DEGREES}"),), {}, [("degrees", "action")]),
    "gripper of the state": (
        {},
        ((STATE, STATE + "\nscale = [1.0, 1.0, 1.0, -1.0]\noffset = [0.0, 0.0, 0.0, 1.0]"),),
        {},
        [("gripper-sign", "state")],
    ),
    "a quicker world": ({"rate_hz": 40.0}, (), {}, [("control-rate", "action")]),
    "delta and degrees": (
        {"relative": True, "degrees": True},
        (),
        {},
        [("delta-for-absolute", "action"), ("degrees", "state"), ("degrees", "action")],
    ),
    "delta and degrees of the action": (
        {"relative": True},
        (("dimension = 4", f"dimension = 4\n{IN_DEGREES}"),),
        {},
        [("delta-for-absolute", "action"), ("degrees", "action")],
    ),
    "bgr, quaternion, rate and prompt": (
        {"bgr": True, "xyzw": True, "rate_hz": 10.0},
        (('prompt = "prompt"', 'prompt = ""'),),
        {},
        [("bgr", "image"), ("quaternion-order", "hand"), ("control-rate", "action"), ("prompt", "prompt")],
    ),
    "statistics": (
        {},
        (
            (
                STATE,
                STATE + '\nnormalise = { kind = "mean_std", mean = [3.0, 3.0, 3.0, 0.5], std = [1.0, 1.0, 1.0, 1.0] }',
            ),
        ),
        {},
        [("statistics", "state")],
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_its_line_mends_it(name: str):
    world, changes, other, expected = PLANTED[name]
    arm = Arm(**world)
    trained = trained_on(Arm(), **other)
    seen, text = seen_in(arm, trained), profile_for(arm, *changes)
    found = find_pitfalls(text, seen, trained)
    assert sorted({(p.check, p.where) for p in found.pitfalls}) == sorted(expected), found.pitfalls
    assert all(p.lines for p in found.pitfalls)
    mended = apply_lines(text, [line for p in found.pitfalls for line in p.lines])
    assert mended == found.profile
    again = find_pitfalls(mended, seen, trained)
    assert not again.pitfalls, again.pitfalls
    PolicyProfile.parse(mended).check(arm.observation_spec, arm.action_spec)


def test_differences_for_a_world_that_takes_values():
    trained = trained_on(Arm(relative=True))
    arm = Arm()
    seen, text = seen_in(arm, trained), profile_for(arm)
    found = find_pitfalls(text, seen, trained)
    (one,) = found.pitfalls
    assert one.check == "delta-for-absolute"
    assert any("degrees: the policy says differences" in said for said in found.not_looked_for)
    assert one.lines[0].text == 'relative = { field = "observation.state", make = "absolute" }'
    assert not find_pitfalls(found.profile, seen, trained).pitfalls


def test_statistics_of_another_dataset_in_the_checkpoint():
    trained = trained_on(Arm())
    numbers = trained.numbers["state"]
    other = replace(numbers, mean=numbers.mean + 2.0, std=numbers.std * 3)
    trained = replace(trained, checkpoint={"state": other})
    seen, text = seen_in(Arm(), trained), profile_for(Arm())
    found = find_pitfalls(text, seen, trained)
    assert [(p.check, p.where) for p in found.pitfalls] == [("statistics", "state")]
    assert not find_pitfalls(found.profile, seen, trained).pitfalls


def statistics_alone(trained: TrainedOn) -> TrainedOn:
    bare = {key: replace(n, starts=None) for key, n in trained.numbers.items()}
    return replace(trained, pictures={}, numbers=bare, moves=None, sentences=None, rate_hz=None)


def test_degrees_are_found_by_statistics_alone():
    trained = statistics_alone(trained_on(Arm(degrees=True)))
    found = find_pitfalls(profile_for(Arm()), replace(seen_in(Arm(), trained_on(Arm())), respond=None), trained)
    assert ("degrees", "state") in {(p.check, p.where) for p in found.pitfalls}


def test_what_could_not_be_looked_for_is_listed():
    trained = TrainedOn(source="nothing")
    found = find_pitfalls(profile_for(Arm()), seen_in(Arm(), trained_on(Arm())), trained)
    assert not found.pitfalls
    said = " ".join(found.not_looked_for)
    for word in (
        "bgr",
        "turned",
        "range",
        "gripper sign",
        "quaternion order",
        "degrees",
        "prompt",
        "control rate",
        "delta",
    ):
        assert word in said, word


def test_an_element_that_never_moves_is_said_to_tell_nothing():
    trained = trained_on(Arm())
    key, moves = trained.moves
    still = Moves(*(np.concatenate([a[:, :3], np.zeros((len(a), 1))], axis=1) for a in moves))
    found = find_pitfalls(profile_for(Arm()), seen_in(Arm(), trained), replace(trained, moves=(key, still)))
    assert any("sign of element 3" in text for text in found.not_looked_for)


def test_grey_symmetric_pictures_are_said_to_tell_nothing():
    trained = trained_on(Arm(), pictures={"image": np.full((3, 48, 64, 3), 100, np.uint8)})
    found = find_pitfalls(profile_for(Arm()), seen_in(Arm(), trained), trained)
    assert any("no colours" in text for text in found.not_looked_for)
    assert any("look the same" in text for text in found.not_looked_for)


FITTING = {
    "plain": ({}, ()),
    "relative": ({"relative": True}, ()),
    "degrees on both sides": ({"degrees": True}, ()),
    "opened on both sides": ({"opened": True}, ()),
    "turned on both sides": ({"turned": 180}, ()),
    "xyzw on both sides": ({"xyzw": True}, ()),
    "mirrored on both sides": ({"mirrored": True}, ()),
    "relative and degrees": ({"relative": True, "degrees": True}, ()),
    "blue for red on both sides": ({"bgr": True}, ()),
    "another size": ({}, ((IMAGE, IMAGE + "\nresize = [24, 32]"),)),
    "relative, opened": ({"relative": True, "opened": True}, ()),
}


@pytest.mark.parametrize(
    ("world", "changes"),
    [
        ({"bgr": True}, ((IMAGE, IMAGE + '\nchannels = "bgr"'),)),
        ({"turned": 180}, ((IMAGE, IMAGE + "\nrotate = 180"),)),
        ({"opened": True}, ((STATE, STATE + "\nscale = [1.0, 1.0, 1.0, -1.0]\noffset = [0.0, 0.0, 0.0, 1.0]"),)),
    ],
)
def test_two_faults_that_undo_each_other_are_none(world: dict, changes: tuple):
    arm, trained = Arm(**world), trained_on(Arm())
    found = find_pitfalls(profile_for(arm, *changes), seen_in(arm, trained), trained)
    assert all(p.where == "action" for p in found.pitfalls), found.pitfalls


@pytest.mark.parametrize("name", FITTING)
def test_no_false_alarm(name: str):
    world, changes = FITTING[name]
    trained = trained_on(Arm(**world))
    found = find_pitfalls(profile_for(Arm(**world), *changes), seen_in(Arm(**world), trained), trained)
    assert not found.pitfalls, found.pitfalls


def test_lines_are_added_or_replace_what_stands_there():
    text = """name = "x"
[[observation]]
key = "a"

[[observation]]
key = "b"
scale = [
  1.0,
]  # two rows
[[observation.part]]
field = "f"
[action]
mode = "m"
"""
    lines = [
        Line("", "prompt", '"p"'),
        Line("observation[0]", "rotate", "180"),
        Line("observation[1]", "scale", "[2.0]"),
        Line("observation[1].part[0]", "index", "[3]"),
        Line("action", "mode", '"n"'),
    ]
    made = """name = "x"
prompt = "p"
[[observation]]
key = "a"
rotate = 180

[[observation]]
key = "b"
scale = [2.0]
[[observation.part]]
field = "f"
index = [3]
[action]
mode = "n"
"""
    assert apply_lines(text, lines) == made
    assert lines[3].header == "[[observation.part]]"
    with pytest.raises(RoboscaleError, match=r"no table action\.part\[0\]"):
        apply_lines(text, [Line("action.part[0]", "index", "[0]")])
