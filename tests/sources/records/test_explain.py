"""What the numbers suggest: right where the truth is known, silent where there is nothing to see."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from roboscale.core import UNKNOWN, BadData, Field, Provenance, RecordedEpisode, Spec
from roboscale.sources.records.declaration import parse_declaration
from roboscale.sources.records.explain import Explanation, ReadingEvidence, explain

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
RATE = 20.0
Arrays = Mapping[str, NDArray[np.float64]]
RELATIVE = "relative to state at prediction"


class Synthetic:
    """Episodes made by `make(rng)`, which returns the arrays of one."""

    format, root, robot_type, licence = "memory", Path("synthetic"), "", ""
    origins, unmapped, missing, findings = (), {}, {}, ()

    def __init__(
        self,
        make: Callable[[np.random.Generator], Arrays],
        layouts: Mapping[str, tuple[str, ...]] | None = None,
        episodes: int = 12,
        broken: Collection[str] = (),
        rate_hz: float = RATE,
    ) -> None:
        self.keys = [str(i) for i in range(episodes)]
        self._make, self._broken = make, broken
        first = make(np.random.default_rng(0))
        fields = [
            Field(n, a.shape[1:], "float64", unit=UNKNOWN, mode=UNKNOWN, layout=(layouts or {}).get(n, ()))
            for n, a in first.items()
        ]
        self.spec = Spec(tuple(fields), rate_hz)

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        assert cameras == (), "no picture is needed"
        if key in self._broken:
            raise BadData(self.root, key, "a whole episode", "half of it")
        return RecordedEpisode(
            key=key,
            arrays=self._make(np.random.default_rng(int(key))),
            pictures={},
            instruction="",
            provenance=Provenance("memory"),
        )

    def close(self) -> None: ...


def smooth(rng: np.random.Generator, frames: int = 80, size: int = 6, scale: float = 0.05) -> NDArray[np.float64]:
    """A path that goes somewhere without jerks."""
    speed = np.cumsum(rng.normal(size=(frames, size)), axis=0)
    speed -= np.linspace(0, 1, frames)[:, None] * speed[-1]
    return np.cumsum(speed, axis=0) * scale / 10 + rng.normal(size=size) * scale


def follow(targets: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """What a robot does that reaches its target `lag` frames later."""
    return np.concatenate([np.repeat(targets[:1], lag, axis=0), targets[:-lag]])


def mode_of(explanation: Explanation, name: str = "action") -> ReadingEvidence:
    (found,) = explanation.of(name, "mode")
    return found


@pytest.mark.parametrize("lag", [1, 4, 9])
def test_absolute_targets_are_found_with_their_lag(lag: int):
    def make(rng: np.random.Generator) -> Arrays:
        targets = smooth(rng)
        return {"observation.state": follow(targets, lag) + rng.normal(size=targets.shape) * 1e-4, "action": targets}

    found = mode_of(explain(Synthetic(make)))
    assert (found.proposal, found.confidence) == ("absolute", "strong")
    assert found.numbers["absolute"]["lag"] == lag
    assert found.numbers["absolute"]["slope"] == pytest.approx(1, abs=0.02)


def test_absolute_targets_in_degrees_against_radians():
    def make(rng: np.random.Generator) -> Arrays:
        targets = smooth(rng)
        return {"observation.state": follow(targets, 2), "action": np.rad2deg(targets)}

    found = mode_of(explain(Synthetic(make)))
    assert found.proposal == "absolute" and "other units" in found.text
    assert 1 / found.numbers["absolute"]["slope"] == pytest.approx(57.3, rel=0.02)


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_deltas_are_found_with_their_scale(scale: float):
    def make(rng: np.random.Generator) -> Arrays:
        state = smooth(rng)
        action = np.diff(state, axis=0, append=state[-1:]) * scale
        return {"observation.state": state + rng.normal(size=state.shape) * 1e-4, "action": action}

    found = mode_of(explain(Synthetic(make)))
    assert (found.proposal, found.confidence) == (RELATIVE, "strong")
    assert found.numbers["motion"]["slope"] == pytest.approx(1 / scale, rel=0.05)
    assert ("one unit of action" in found.text) == (scale != 1)


def velocity(rng: np.random.Generator) -> Arrays:
    state = smooth(rng)
    return {"observation.state": state, "action": np.diff(state, axis=0, append=state[-1:]) * RATE}


def test_velocities_are_found_by_the_time_between_frames():
    explanation = explain(Synthetic(velocity))
    assert mode_of(explanation).proposal == "velocity"
    assert explanation.draft.fields["action"].mode == "absolute", "a velocity is an absolute number in another unit"


def test_at_one_hertz_a_velocity_is_a_delta():
    def make(rng: np.random.Generator) -> Arrays:
        arrays = velocity(rng)
        return {**arrays, "action": arrays["action"] / RATE}

    found = mode_of(explain(Synthetic(make, rate_hz=1.0)))
    assert (found.proposal, found.confidence) == ("", "ambiguous")


@pytest.mark.parametrize("seed", range(5))
def test_white_noise_is_ambiguous_and_nothing_is_proposed(seed: int):
    def make(rng: np.random.Generator) -> Arrays:
        rng = np.random.default_rng([seed, int(rng.integers(2**31))])
        return {"observation.state": rng.normal(size=(60, 7)), "action": rng.normal(size=(60, 7))}

    explanation = explain(Synthetic(make))
    assert (mode_of(explanation).proposal, mode_of(explanation).confidence) == ("", "ambiguous")
    assert explanation.draft.fields == {}


def test_two_readings_that_fit_alike_are_ambiguous():
    """A state that decays to zero: its change is a fixed share of it, so an action can be either."""

    def make(rng: np.random.Generator) -> Arrays:
        state = rng.uniform(1, 2, size=6) * 0.97 ** np.arange(60)[:, None]
        return {"observation.state": state, "action": -state + rng.normal(size=state.shape) * 1e-6}

    def rising(rng: np.random.Generator) -> Arrays:
        state = rng.uniform(1, 2, size=6) * 1.03 ** np.arange(60)[:, None]
        return {"observation.state": state, "action": state * 0.03}

    assert mode_of(explain(Synthetic(make))).proposal == RELATIVE, "an absolute target has the sign of its state"
    assert mode_of(explain(Synthetic(rising))).confidence == "ambiguous"


GRIPPER = ("x", "y", "z", "roll", "pitch", "yaw", "gripper_width")


def gripping(open_is: float, closed_is: float) -> Callable[[np.random.Generator], Arrays]:
    def make(rng: np.random.Generator) -> Arrays:
        state = smooth(rng)
        opened = np.repeat(rng.random(8) < 0.5, 10)
        width = np.where(follow(opened[:, None], 3)[:, 0], 0.08, 0.01) + rng.normal(size=80) * 1e-3
        arm = np.diff(state, axis=0, append=state[-1:])
        command = np.where(opened, open_is, closed_is)
        return {"observation.state": np.c_[state, width], "action": np.c_[arm, command]}

    return make


@pytest.mark.parametrize(
    ("open_is", "closed_is", "expected"),
    [(1, 0, "gripper_openness"), (0, 1, "gripper_closedness"), (-1, 1, "gripper_closedness")],
)
def test_gripper_polarity_follows_from_the_width(open_is: float, closed_is: float, expected: str):
    layouts = {"observation.state": GRIPPER, "action": (*GRIPPER[:-1], "gripper")}
    explanation = explain(Synthetic(gripping(open_is, closed_is), layouts))
    (found,) = explanation.of("action", "gripper")
    assert found.proposal == expected and found.numbers["lag"] == 3
    assert mode_of(explanation).proposal == RELATIVE, "the gripper does not vote on the arm"


def test_a_gripper_against_an_unnamed_state_is_ambiguous():
    (found,) = explain(Synthetic(gripping(1, 0))).of("action", "gripper")
    assert (found.proposal, found.confidence) == ("", "ambiguous") and "moves with" in found.text


def test_a_gripper_that_does_nothing_is_ambiguous():
    def make(rng: np.random.Generator) -> Arrays:
        arrays = dict(gripping(1, 0)(rng))
        arrays["action"][:, -1] = rng.random(80) < 0.5
        return arrays

    layouts = {"observation.state": GRIPPER, "action": (*GRIPPER[:-1], "gripper")}
    (found,) = explain(Synthetic(make, layouts)).of("action", "gripper")
    assert (found.proposal, found.confidence) == ("", "ambiguous")


def test_fields_are_matched_by_name_and_not_by_place():
    order = (3, 1, 5, 0, 2, 4)
    names = tuple(f"joint_{i}" for i in range(6))

    def make(rng: np.random.Generator) -> Arrays:
        targets = smooth(rng)
        return {"observation.state": follow(targets, 2)[:, order], "action": targets}

    layouts = {"observation.state": tuple(names[i] for i in order), "action": names}
    assert mode_of(explain(Synthetic(make, layouts))).proposal == "absolute"
    assert mode_of(explain(Synthetic(make))).confidence == "ambiguous"


def quaternions(rng: np.random.Generator, frames: int = 60) -> NDArray[np.float64]:
    q = rng.normal(size=4) + np.cumsum(rng.normal(size=(frames, 4)) * 0.1, axis=0)
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def rows_of(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """First two rows of the rotation of quaternions wxyz."""
    w, x, y, z = q.T
    first = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=1)
    second = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=1)
    return np.concatenate([first, second], axis=1)


def test_rotation_layouts_are_seen():
    def make(rng: np.random.Generator) -> Arrays:
        q = quaternions(rng)
        return {
            "observation.pose": np.c_[rng.normal(size=(60, 3)), q],
            "observation.six": np.c_[rows_of(q), rng.normal(size=60)],
            "observation.none": rng.normal(size=(60, 9)),
        }

    explanation = explain(Synthetic(make))
    (quaternion,) = explanation.of("observation.pose", "rotation")
    assert (quaternion.numbers["first"], quaternion.numbers["size"]) == (3, 4)
    (six,) = explanation.of("observation.six", "rotation")
    assert (six.numbers["first"], six.numbers["size"]) == (0, 6)
    assert explanation.of("observation.none", "rotation") == ()


def test_angles_that_wrap_are_seen_and_do_not_hide_a_delta():
    def make(rng: np.random.Generator) -> Arrays:
        turn = np.linspace(0, 9, 80)[:, None] + smooth(rng, scale=0.02) + rng.uniform(-3, 3, size=6)
        wrapped = (turn + np.pi) % (2 * np.pi) - np.pi
        return {"observation.state": wrapped, "action": np.diff(turn, axis=0, append=turn[-1:])}

    explanation = explain(Synthetic(make))
    (found,) = explanation.of("observation.state", "rotation")
    assert found.numbers["elements"] == list(range(6)) and "rad" in found.text
    assert mode_of(explanation).proposal == RELATIVE


def test_joints_that_end_at_100_may_be_normalised():
    def make(rng: np.random.Generator) -> Arrays:
        return {"observation.state": np.clip(70 * smooth(rng, scale=1.0), -100, 100)}

    names = tuple(f"joint_{i}" for i in range(6))
    (found,) = explain(Synthetic(make, {"observation.state": names})).of("observation.state", "unit")
    assert (found.proposal, found.confidence) == ("", "ambiguous")
    assert "-100..100" in found.text


@pytest.mark.parametrize(("factor", "unit"), [(1.0, "rad"), (180 / np.pi, "deg")])
def test_units_are_proposed_for_joints_only(factor: float, unit: str):
    def make(rng: np.random.Generator) -> Arrays:
        return {"observation.state": np.clip(smooth(rng, scale=1), -3, 3) * factor}

    names = {"observation.state": tuple(f"joint_{i}" for i in range(6))}
    assert explain(Synthetic(make, names)).of("observation.state", "unit")[0].proposal == unit
    assert explain(Synthetic(make)).of("observation.state", "unit")[0].proposal == ""


def test_constant_elements_and_ranges_are_listed():
    def make(rng: np.random.Generator) -> Arrays:
        return {"observation.state": np.c_[smooth(rng), np.full(80, 0.25)]}

    explanation = explain(Synthetic(make))
    assert explanation.of("observation.state", "constant")[0].numbers["elements"] == [6]
    assert explanation.of("observation.state", "range")[0].numbers["max"][6] == 0.25


def test_broken_episodes_are_passed_over_and_none_at_all_is_an_error():
    found = explain(Synthetic(velocity, broken=("3", "7")))
    assert found.episodes == 10 and mode_of(found).proposal == "velocity"
    with pytest.raises(BadData, match="half of it"):
        explain(Synthetic(velocity, episodes=2, broken=("0", "1")))


def test_an_action_without_a_state_is_ambiguous():
    found = mode_of(explain(Synthetic(lambda rng: {"action": smooth(rng)})))
    assert found.confidence == "ambiguous" and "nothing to compare" in found.text


def test_the_draft_is_a_declaration_and_the_rest_is_json():
    explanation = explain(Synthetic(velocity))
    text = explanation.to_toml()
    assert "# mode, strong: against observation.state" in text and '# robot_type = ""' in text
    draft = parse_declaration(tomllib.loads(text), "draft")
    assert {n: f for n, f in draft.fields.items() if f.words()} == explanation.draft.fields
    assert json.loads(json.dumps(explanation.to_json()))["episodes"] == 12
    assert "to be declared: observation.state, action, robot_type, licence" in explanation.to_text()


def real(name: str, format: str, **options: object) -> Explanation:
    if not (DATA / name).exists():
        pytest.skip(f"no recording at {DATA / name}; set ROBOSCALE_TEST_DATA")
    from roboscale.sources.records.formats import open_recording

    return explain(open_recording(DATA / name, format, **options))


def test_a_humanoid_with_absolute_joint_targets():
    found = mode_of(real("lerobot_v21_g1", "lerobot-v2.1"))
    assert (found.proposal, found.confidence) == ("absolute", "strong")
    assert len(found.numbers["absolute"]["r2"]) == 26


def test_bridge_with_deltas_of_the_end_effector():
    explanation = real("rlds_bridge", "rlds", fps=5.0)
    found = mode_of(explanation)
    assert found.proposal == RELATIVE
    assert 0.8 < found.numbers["motion"]["slope"] < 1.25
    (gripper,) = explanation.of("action", "gripper")
    assert gripper.confidence == "ambiguous" and gripper.numbers["r"] > 0.8
