"""Gymnasium environments as worlds by declaration, and our worlds as gymnasium environments."""

import multiprocessing
import warnings
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import (
    ActionChunk,
    BadData,
    Case,
    InfrastructureError,
    PolicyError,
    RoboscaleError,
    RolloutSettings,
    UnknownName,
    cases,
)
from roboscale.referees import SuccessReferee
from roboscale.testing.world_checks import check_world, success_rule
from roboscale.trials.rollout import RolloutResult, rollout
from roboscale.worlds import open_world
from roboscale.worlds.environments import WorldEnv, register_envs
from roboscale.worlds.simulated.gymnasium_world import GymnasiumWorld
from tests.worlds.point_env import CASE, Edit, opened, write

pusht = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("gym_pusht"), reason="the extra `gym` is not installed"
)
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_world.toml"

IS_SUCCESS = '"is_success": near'
SUCCESS = 'success = "is_success"'
AT = '"at": self.at.astype(np.float32)'
BOX = "at=gymnasium.spaces.Box(-9, 9, (2,), np.float32)"
SPACE = "gymnasium.spaces.Box(-0.2, 0.2, (2,), np.float32)"
STILL = np.zeros(2, np.float32)


def errors(world: GymnasiumWorld, task: str = "reach", **how: bool) -> list[str]:
    """Broken promises that the check of worlds finds."""
    return [f.text for f in check_world(world, task, steps=10, **how) if f.severity == "error"]


def stepped(world: GymnasiumWorld, action: np.ndarray = STILL, count: int = 1) -> dict[str, float | None]:
    """What is measured after some steps."""
    scene = world.start(CASE)
    scene.observe()
    for _ in range(count):
        scene.step(action)
        scene.observe()
    scene.close()
    return scene.measures()


def played(world: GymnasiumWorld, action: np.ndarray, case: Case = CASE) -> RolloutResult:
    """A whole rollout under the world's own rule."""
    info = world.info
    settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz)
    run = rollout(world, case, settings, referee=SuccessReferee(info.rule))
    next(run)
    try:
        run.send(ActionChunk(np.tile(action, (info.horizon, 1))))
    except StopIteration as done:
        return done.value
    raise AssertionError("a chunk as long as the horizon ends it")


# ---- what comes with us


@pusht
@pytest.mark.parametrize(("name", "task"), [("pusht", "push-t"), ("fetch-push", "fetch-push")])
def test_what_comes_with_us_keeps_its_promises_and_has_nothing_to_say(name: str, task: str):
    world = open_world(name)
    assert errors(world, task, determinism=True) == []
    assert world.notes == () and world.info.identity.verified and world.info.scenes is None
    assert world.info.measures_about("damage") == ()  # not measured is not zero
    assert "success is is_success" in success_rule(world, task).text
    world.close()


CLASSIC = """
name = "{name}"
environment = "{id}"
task = "balance"
instruction = "keep the pole upright"
rate_hz = {rate}
horizon = 200
success = {success}
rule = "end"
[[field]]
name = "observation.state"
"""


@pytest.mark.parametrize(
    ("environment", "rate", "success", "action"),
    [
        ("CartPole-v1", 50, '{from = "terminated", negate = true}', [0]),
        ("Pendulum-v1", 20, '{from = "reward", at_least = -0.1}', [0.0]),
        ("MountainCarContinuous-v0", 30, '{from = "terminated"}', [1.0]),
        ("Acrobot-v1", 15, '{from = "return", at_least = -100}', [1]),
    ],
)
def test_registered_environments_work_in_ten_lines(
    environment: str, rate: int, success: str, action: list[float], tmp_path: Path
):
    file = tmp_path / "classic.toml"
    file.write_text(CLASSIC.format(name="classic", id=environment, rate=rate, success=success))
    world = open_world(str(file))
    assert errors(world, "balance", determinism=True) == []
    case = cases("balance", 1, 0, "eval")[0]
    result = played(world, np.array(action), case)
    assert result.end in ("terminated", "truncated") and result.measures["success"] == 0
    assert any("deterministic" in note for note in world.notes)
    world.close()


# ---- scenes


def test_info_resets_nothing_and_opens_one_environment(tmp_path: Path):
    log = tmp_path / "log"
    edits = (
        ("        super().reset(seed=seed)", f"        open({str(log)!r}, 'a').write('r'); super().reset(seed=seed)"),
        (
            "        self.render_mode, self.speed",
            f"        open({str(log)!r}, 'a').write('m')\n        self.render_mode, self.speed",
        ),
    )
    world = opened(tmp_path, environment=edits)
    assert not log.exists()
    assert world.info is world.info and log.read_text() == "m"
    scenes = [world.start(Case("reach", seed)) for seed in range(3)]
    assert log.read_text() == "mrmrmr"
    for scene in scenes:
        scene.close()
    world.start(CASE).close()
    assert log.read_text() == "mrmrmrr"
    world.close()


def test_scenes_side_by_side_do_not_meet(tmp_path: Path):
    world = opened(tmp_path)
    assert errors(world, determinism=True) == [] and world.notes == ()
    left, right = world.start(CASE), world.start(CASE)
    left.step(np.full(2, 0.2, np.float32))
    assert left.observe()["observation.state"][0] > right.observe()["observation.state"][0]
    assert left.observe(["time.observation_ns"])["time.observation_ns"] == [100_000_000]
    world.close()
    right.step(STILL)  # a scene that runs still runs
    left.close()
    right.close()


def test_nothing_is_measured_before_the_first_step(tmp_path: Path):
    scene = opened(tmp_path).start(CASE)
    assert scene.measures() == {"success": None, "reward": None}


# ---- success and other measures


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("True", 1),
        ("False", 0),
        ("1", 1),
        ("0.0", 0),
        ("np.bool_(True)", 1),
        ("np.array([False])", 0),
        ("np.array(1)", 1),
        ("np.array([[1.0]])", 1),
    ],
)
def test_success_is_a_truth_value_or_an_array_of_one(value: str, held: int, tmp_path: Path):
    assert stepped(opened(tmp_path, environment=((IS_SUCCESS, f'"is_success": {value}'),)))["success"] == held


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("float('nan')", "found float nan"),
        ("'False'", "found str 'False'"),
        ("{'task': False}", r"as in KEY\.task, found dict"),
        ("0.3", "for a score say a threshold.*found float 0.3"),
        ("2", "found int 2"),
        ("None", "found None"),
        ("np.array([True, False])", "found ndarray"),
        ("np.array([0.3])", "for a score say a threshold.*found ndarray"),
        ("[]", "found list"),
        ("-1", "found int -1"),
    ],
)
def test_everything_else_is_no_success_and_stops_the_run(value: str, says: str, tmp_path: Path):
    world = opened(tmp_path, environment=((IS_SUCCESS, f'"is_success": {value}'),))
    with pytest.raises(BadData, match=rf"point.toml: info\[is_success\]: expected true or false.*{says}"):
        stepped(world)
    assert any("info[is_success]" in text for text in errors(world))


DISTANCE = '"distance": distance'


@pytest.mark.parametrize(
    ("success", "distance", "held"),
    [
        ('{key = "distance", below = 0.05}', "0.04", 1),
        ('{key = "distance", below = 0.05}', "0.05", 0),
        ('{key = "distance", at_most = 0.05}', "0.05", 1),
        ('{key = "distance", above = 0.5}', "np.array([0.6])", 1),
        ('{key = "distance", above = 0.1, below = 0.2}', "0.3", 0),
        ('{key = "distance", at_least = 0.5, negate = true}', "0.6", 0),
        ('{key = "distance", equals = 4}', "4.0", 1),
        ('{key = "distance", equals = "done"}', "'doing'", 0),
        ('"distance.left.0"', "{'left': [True, False]}", 1),
        ('"distance.a.b"', "{'a.b': True}", 1),
        ('{from = "reward", above = -0.5}', "0.0", 0),
        ('{from = "terminated"}', "0.0", 0),
        ('{from = "return", below = -1.5}', "0.0", 1),
    ],
)
def test_success_is_declared_in_many_ways(success: str, distance: str, held: int, tmp_path: Path):
    world = opened(tmp_path, (SUCCESS, f"success = {success}"), environment=((DISTANCE, f'"distance": {distance}'),))
    assert stepped(world, count=2)["success"] == held


@pytest.mark.parametrize(
    ("success", "edit", "says"),
    [
        (
            '{key = "distance", below = 1}',
            (DISTANCE, '"distance": float("nan")'),
            "as distance below 1, found float nan",
        ),
        ('{key = "distance", below = 1}', (DISTANCE, '"distance": None'), "as distance below 1, found None"),
        ('{key = "distance", below = 1}', (DISTANCE, '"distance": "near"'), "found str 'near'"),
        ('{key = "distance", equals = "a"}', (DISTANCE, '"distance": 3'), "text.*found int 3"),
        ('{from = "reward", above = 1}', ("-distance,", "None,"), "reward: expected a finite number.*found None"),
        ('{from = "return", above = 1}', ("-distance,", "None,"), "return: expected a finite number.*found None"),
        ('{from = "terminated"}', ("-distance, near,", "-distance, 'no',"), "terminated: expected true or false"),
    ],
)
def test_a_score_has_to_be_a_number(success: str, edit: Edit, says: str, tmp_path: Path):
    with pytest.raises(BadData, match=says):
        stepped(opened(tmp_path, (SUCCESS, f"success = {success}"), environment=(edit,)))


def test_a_key_that_the_info_lacks_names_the_near_ones(tmp_path: Path):
    with pytest.raises(UnknownName, match=r"point.toml.*'succes'; did you mean is_success"):
        stepped(opened(tmp_path, (SUCCESS, 'success = "succes"')))


END = (SUCCESS, 'success = {key = "late", only_at_end = true}')
LATE = (
    "        return self.see(), -distance",
    "        if near: info['late'] = True\n        return self.see(), -distance",
)


def test_success_that_is_only_said_at_the_end(tmp_path: Path):
    world = opened(tmp_path, END, environment=(LATE, ("self.np_random.uniform(-1, 1, 2)", "np.array([0.55, 0.0])")))
    assert stepped(world)["success"] == 0
    result = played(world, np.array([0.1, 0.0], np.float32))
    assert result.end == "decided" and result.series["success"].tolist() == [0, 0, 0, 0, 1]


def test_an_end_that_never_comes_is_no_failure_of_the_policy(tmp_path: Path):
    world = opened(tmp_path, END, environment=(LATE,))
    with pytest.raises(BadData, match="success.only_at_end: expected the environment's own end within the horizon"):
        played(world, STILL)


MEASURES = """
[measures.force]
key = "distance"
unit = "N"
about = "damage"
reduce = "max"
[measures.final_near]
key = "final.near"
unit = "bool"
[measures.sometimes]
optional = true
series = true
"""


def test_measures_of_the_info(tmp_path: Path):
    late = (
        "        return self.see(), -distance",
        "        if self.steps == 2: info['sometimes'] = 7\n        return self.see(), -distance",
    )
    world = opened(tmp_path, ("#last", MEASURES), environment=(late,))
    assert world.info.measures_about("damage") == ("force",) and errors(world) == []
    scene = world.start(CASE)
    seen = []
    for action in (STILL, np.full(2, -0.2, np.float32), STILL):
        scene.step(action)
        seen.append(scene.measures())
    assert [m["sometimes"] for m in seen] == [None, 7, None] and seen[0]["final_near"] == 0
    distance = -seen[1]["reward"]
    assert seen[2]["force"] == max(-seen[0]["reward"], distance)


@pytest.mark.parametrize(
    ("declared", "value", "says"),
    [
        ("[measures.distanc]", "0.5", "'distanc'; did you mean distance"),
        ("[measures.distance]", "'far'", "one number, found str 'far'"),
        ('[measures.distance]\nunit = "bool"', "0.5", "since its unit is bool, found 0.5"),
    ],
)
def test_a_measure_that_is_none(declared: str, value: str, says: str, tmp_path: Path):
    with pytest.raises(RoboscaleError, match=says):
        stepped(opened(tmp_path, ("#last", declared), environment=((DISTANCE, f'"distance": {value}'),)))


@pytest.mark.parametrize(
    ("progress", "value", "measured"),
    [
        ('"distance"', "0.25", 0.25),
        ('"distance"', "1.0000000001", 1.0),
        ('"distance"', "None", None),
        ('"distance"', "float('nan')", None),
        ('{key = "distance", low = 2, high = 0}', "0.5", 0.75),
        ('{key = "distance", low = 2, high = 0}', "3.0", 0.0),
        ('{from = "reward", low = -10, high = 0}', "0.0", pytest.approx(0.9018, abs=1e-3)),
        ('{key = "other", optional = true}', "0.0", None),
    ],
)
def test_progress(progress: str, value: str, measured: float | None, tmp_path: Path):
    world = opened(tmp_path, ("#more", f"progress = {progress}"), environment=((DISTANCE, f'"distance": {value}'),))
    assert stepped(world)["progress"] == measured


@pytest.mark.parametrize(
    ("progress", "says"),
    [('"distance"', "a number in 0..1, or low and high.*found float 35.0"), ('"distanc"', "did you mean distance")],
)
def test_progress_that_is_none(progress: str, says: str, tmp_path: Path):
    world = opened(tmp_path, ("#more", f"progress = {progress}"), environment=((DISTANCE, '"distance": 35.0'),))
    with pytest.raises(RoboscaleError, match=says):
        stepped(world)


def test_the_check_says_what_decides_and_what_the_sentence_leaves_unsaid(tmp_path: Path):
    assert "unsaid" in success_rule(opened(tmp_path), "reach").evidence
    for success, unsaid in (('"is_success"', []), ('{key = "distance", below = 1}', ["distance"])):
        said = success_rule(opened(tmp_path, (SUCCESS, f"success = {success}")), "reach")
        assert said.evidence["unsaid"] == unsaid


# ---- what breaks, and whose fault it is

API = "        return self.see(), -distance, near, False, info"


@pytest.mark.parametrize(
    ("edit", "error", "says"),
    [
        ((API, "        return self.see(), -distance, near, info"), BadData, "found 4 values; that is gym of before"),
        ((API, "        pass"), BadData, "step to return .*found None"),
        ((API, API.replace("info", "None")), BadData, "an info that is a dictionary, found None"),
        (("-distance,", "'bad',"), BadData, "reward: expected one number, found str 'bad'"),
        (("-distance, near", "-distance, 2"), BadData, "terminated: expected true or false"),
        (
            ('self.see(), {"sentence": "move the point to the goal"}', "self.see()"),
            BadData,
            "gym of before 0.26 gives",
        ),
        (
            ("def reset(self, *, seed=None, options=None):", "def reset(self, options=None):\n        seed = 0"),
            BadData,
            "without seed",
        ),
        (
            ("        distance = ", "        1 / 0\n        distance = "),
            InfrastructureError,
            "step 1 raised ZeroDivision",
        ),
        (
            ("        if options:", "        1 / 0\n        if options:"),
            InfrastructureError,
            "reset raised ZeroDivision",
        ),
        (
            ("        if options:", "        int([])\n        if options:"),
            InfrastructureError,
            "reset raised TypeError",
        ),
        ((AT, '"at": "hello"'), BadData, "field observation.state: expected an array of numbers, found str 'hello'"),
        ((AT, '"at": [[1], [1, 2]]'), BadData, "field observation.state: expected an array of numbers, found list"),
        ((AT, '"at": np.zeros(3, np.float32)'), BadData, r"expected float32\[2\], found float32\[3\]"),
        ((AT, '"ta": 0'), UnknownName, "'at'; did you mean ta"),
        (
            (AT, '"at": np.array([0.0, np.nan])'),
            InfrastructureError,
            "expected finite numbers, found nan at element 1",
        ),
        ((AT, '"at": np.array([np.inf, 0.0])'), InfrastructureError, "found inf at element 0"),
        (
            (AT, '"at": np.zeros(2 + self.steps)'),
            InfrastructureError,
            r"float32\[2\], found float64\[3\]; it was so be",
        ),
    ],
)
def test_a_fault_of_the_environment_is_one_line(edit: Edit, error: type[RoboscaleError], says: str, tmp_path: Path):
    world = opened(tmp_path, environment=(edit,))
    with pytest.raises(error, match=says) as raised:
        stepped(world)
    assert type(raised.value) is error
    assert errors(opened(tmp_path, environment=(edit,))), "the check of worlds finds it, too"


@pytest.mark.parametrize(
    ("edits", "environment", "says"),
    [
        ([("#more", "arguments = {speeed = 1}")], (), r"arguments.*: 'speeed'; did you mean speed"),
        ([('from = "at"', 'from = "att"')], (), "'att'; did you mean at"),
        (
            [('from = "at"', 'from = ""')],
            (),
            "field observation.state.from: expected the path of one array, of at, goal",
        ),
        ([('from = "at"', 'from = "render"')], (), 'expected render_mode = "rgb_array" in'),
        ([('from = "at"', 'from = "at"\nlayout = ["x"]')], (), r"names that fit shape \[2\]"),
        ([('from = "at"', 'from = "at"\nshape = [3]')], (), r"shape: expected \[2\] as the environment has it"),
        (
            [('from = "at"', 'from = "at"\ndtype = "int64"')],
            (),
            "dtype: expected a float: the environment gives float32",
        ),
        ([("#more", 'unobserved = ["gaol"]')], (), "unobserved: expected parts of the observation, of at, goal"),
        ([('mode = "relative', 'hold = [0]\nmode = "relative')], (), "action.hold: expected 2 numbers"),
        (
            [('mode = "relative', 'hold = [0, 1]\nmode = "relative')],
            (),
            "action.hold: expected numbers within -0.2..0.2",
        ),
        ([('mode = "relative', 'layout = ["x"]\nmode = "relative')], (), "action.layout: expected 2 names"),
        ([], [("        self.render_mode,", "        1 / 0\n        self.render_mode,")], "ZeroDivisionError"),
        ([], [(SPACE, f"gymnasium.spaces.Dict(a={SPACE})")], "a wrapper can make one row of the others, found gymna"),
        ([], [(SPACE, "gymnasium.spaces.Text(3)")], "expected actions of one Box"),
        (
            [],
            [("    def step(", "    def stop("), ("gymnasium.Env", "object"), ("super().reset(seed=seed)", "pass")],
            "without step",
        ),
    ],
)
def test_what_cannot_be_a_world_is_refused_before_the_first_reset(
    edits: list[Edit], environment: list[Edit], says: str, tmp_path: Path
):
    world = opened(tmp_path, *edits, environment=tuple(environment))
    with pytest.raises(RoboscaleError, match=says) as error:
        _ = world.info
    assert "point.toml" in str(error.value) and not isinstance(error.value, InfrastructureError)


# ---- observations


@pytest.mark.parametrize(
    ("edits", "environment", "shape", "note"),
    [
        ([('from = "at"', 'from = ["at", "goal"]')], [], (4,), ""),
        ([('from = "at"', 'from = "at"\ndtype = "float64"')], [], (2,), ""),
        ([], [(BOX, BOX.replace("32", "64"))], (2,), "observation.state: float64 is read as float32"),
        ([], [(BOX, "at=gymnasium.spaces.Discrete(5)"), (AT, '"at": 3')], (1,), ""),
        ([], [(BOX, "at=gymnasium.spaces.MultiBinary(3)"), (AT, '"at": np.ones(3, bool)')], (3,), "int8 is read"),
        ([('from = "goal"', 'from = "at"')], [], (2,), "not observed, since no [[field]] declares it: goal"),
        ([('from = "goal"', 'from = "at"'), ("#more", 'unobserved = ["goal"]')], [], (2,), ""),
        ([("rate_hz = 10.0", "rate_hz = 50")], [], (2,), "rate_hz is 50, and the environment's own render_fps is 10"),
        ([("deterministic = true", "")], [], (2,), "it is assumed that a seed gives the same episode again"),
        ([('embodiment = "point"', "")], [], (2,), "embodiment is not declared"),
        ([('mode = "relative to state"', "")], [], (2,), "is taken to be: mode (absolute)"),
        ([("#more", "seeds = [5, 6, 7]")], [], (2,), "task reach has 3 initial states"),
    ],
)  # fmt: skip
def test_what_is_converted_or_left_out_is_said(
    edits: list[Edit], environment: list[Edit], shape: tuple[int, ...], note: str, tmp_path: Path
):
    world = opened(tmp_path, *edits, environment=tuple(environment))
    assert errors(world, determinism=True) == []
    assert world.info.observation_spec["observation.state"].shape == shape
    assert [n for n in world.notes if note in n] if note else world.notes == ()
    assert len(world.notes) == bool(note)


BOTH = "at=gymnasium.spaces.Box(-9, 9, (2,), np.float32), goal=gymnasium.spaces.Box(-9, 9, (2,), np.float32)"
DICT = f"gymnasium.spaces.Dict(\n        {BOTH}\n    )"
SEE = '{"at": self.at.astype(np.float32), "goal": self.goal.astype(np.float32)}'
PARTS = [('from = "at"', 'from = "0"'), ('from = "goal"', 'from = "1.deep"')]


def test_tuples_and_nested_dictionaries(tmp_path: Path):
    box = "gymnasium.spaces.Box(-9, 9, (2,), np.float32)"
    environment = ((DICT, f"gymnasium.spaces.Tuple(({box}, gymnasium.spaces.Dict(deep={box}, more={box})))"),)
    environment += ((SEE, '(self.at.astype("f4"), {"deep": self.goal.astype("f4"), "more": self.at})'),)
    world = opened(tmp_path, *PARTS, environment=environment)
    assert errors(world) == [] and world.notes == (
        "world point: not observed, since no [[field]] declares it: 1.more",
    )


def test_an_environment_without_a_space_is_looked_at_once(tmp_path: Path):
    world = opened(tmp_path, environment=((DICT, "None"),))
    assert errors(world, determinism=True) == []
    assert world.info.observation_spec["observation.state"].shape == (2,)


# ---- pictures

PICTURE = ("#more", 'arguments = {render_mode = "rgb_array"}\nunobserved = ["at"]')
RENDER = ('name = "observation.state"\nfrom = "at"\nunit = "m"', 'name = "observation.images.front"\nfrom = "render"')
GREY = "np.full((24, 32, 3), 128, np.uint8)"
CHANNELS_FIRST = ('from = "render"', 'from = "render"\nlayout = ["channel", "height", "width"]')


@pytest.mark.parametrize(
    ("picture", "more", "value", "note"),
    [
        (GREY, (), 128, ""),
        ("np.full((24, 32, 3), 0.5)", (), 128, "a picture of float64 in 0..1 is read as uint8 in 0..255"),
        ("np.full((24, 32, 3), 100.0)", (), 100, "a picture of float64 in 0..255 is read as uint8"),
        ("np.full((24, 32, 3), 0.0)", [('from = "render"', 'from = "render"\nrange = [-1, 1]')], 128, ""),
        ("np.full((3, 24, 32), 128, np.uint8)", [CHANNELS_FIRST], 128, ""),
        ("np.full((24, 32), 128, np.uint8)", (), 128, ""),
        ("np.full((24, 32, 1), 128, np.int64)", (), 128, ""),
        ("np.full((24, 32, 4), 128, np.uint8)", (), 128, "the fourth channel is left out"),
        (GREY, [('from = "render"', 'from = "render"\nshape = [24, 32]')], 128, ""),
    ],
)
def test_pictures_are_height_width_rgb(picture: str, more: list[Edit], value: int, note: str, tmp_path: Path):
    world = opened(tmp_path, PICTURE, RENDER, *more, environment=((GREY, picture),))
    assert errors(world, determinism=True, images=True) == []
    seen = world.start(CASE).observe()["observation.images.front"]
    assert seen.shape == (24, 32, 3) and seen.dtype == np.uint8 and (seen == value).all()
    assert len(world.notes) == bool(note) and all(note in n for n in world.notes)


@pytest.mark.parametrize(
    ("picture", "more", "says"),
    [
        ("np.full((3, 24, 32), 128, np.uint8)", (), "1, 3 or 4 channels .they come first. layout"),
        ("np.full((24, 32, 9), 128, np.uint8)", (), "1, 3 or 4 channels, found 9"),
        ("np.full((24, 32, 3), -0.5)", (), r"range = \[0, 1\] or what else"),
        ("np.full((24, 32, 3), 300)", (), "values in 0..255, found 300..300"),
        ("np.full((24, 32, 3), 0.5)", [('from = "render"', 'from = "render"\nshape = [24, 32]')], "uint8, or a range"),
        ("None", (), "an array of numbers, found None"),
        ("[np.zeros((24, 32, 3), np.uint8)]", (), "its axes in their order"),
        ("np.full((24, 32, 3), 0.5 + self.steps)", (), "values in 0..1, found 1.5..1.5; it was so before"),
        ("np.full((24 + self.steps, 32, 3), 1, np.uint8)", (), r"shape \[24, 32, 3\], found \[25, 32, 3\]; it was so"),
        ("np.full((24, 32, 3), 0.5 if self.steps else 1)", (), "expected integers, found float64; it was so before"),
        ("np.full((24, 32, 3), np.nan if self.steps else 0.5)", (), "expected finite numbers, found nan"),
        ("1 / 0", (), "render raised ZeroDivisionError"),
    ],
)
def test_pictures_that_would_be_black_or_striped_are_refused(
    picture: str, more: list[Edit], says: str, tmp_path: Path
):
    world = opened(tmp_path, PICTURE, RENDER, *more, environment=((GREY, picture),))
    with pytest.raises(RoboscaleError, match=says):
        stepped(world)


CAMERA = "camera=gymnasium.spaces.Box({bounds}, (24, 32, 3), np.float32)"


@pytest.mark.parametrize(
    ("bounds", "field", "note"),
    [
        ("0, 1", "", "float32 in 0..1 is read as uint8"),
        ("-1, 1", "", "float32 in -1..1 is read as uint8"),
        ("-np.inf, np.inf", "range = [0, 1]", ""),
        ("-np.inf, np.inf", "", None),
    ],
)
def test_cameras_in_floats_say_their_range(bounds: str, field: str, note: str | None, tmp_path: Path):
    environment = (
        ("at=gymnasium.spaces.Box(-9, 9, (2,), np.float32)", CAMERA.format(bounds=bounds)),
        (AT, '"camera": np.full((24, 32, 3), 0.5, np.float32)'),
    )
    edit = ('name = "observation.state"\nfrom = "at"\nunit = "m"', 'name = "observation.images.a"\nfrom = "camera"')
    world = opened(tmp_path, edit, ('from = "camera"', f'from = "camera"\n{field}'), environment=environment)
    if note is None:
        with pytest.raises(BadData, match=r"observation.images.a.range: expected range = \[0, 1\]"):
            _ = world.info
        return
    assert [n for n in world.notes if note in n] if (world.info, note)[1] else world.notes == ()
    assert errors(world) == []


@pytest.mark.parametrize("picture", ["np.full((24, 32, 3), 0.5)", "np.full((3, 24, 32), 128, np.uint8)"])
def test_people_see_what_the_environment_renders(picture: str, tmp_path: Path):
    world = opened(tmp_path, PICTURE, environment=((GREY, picture),))
    seen = world.start(CASE).picture(640, 480)
    assert world.info.pictures and seen.shape == (24, 32, 3) and (seen == 128).all()
    assert not opened(tmp_path).info.pictures


# ---- actions


@pytest.mark.parametrize(
    ("space", "shape", "dtype", "low", "high"),
    [
        ("gymnasium.spaces.Discrete(3)", (1,), "int64", (0,), (2,)),
        ("gymnasium.spaces.Discrete(3, start=-1)", (1,), "int64", (-1,), (1,)),
        ("gymnasium.spaces.MultiDiscrete([2, 4])", (2,), "int64", (0, 0), (1, 3)),
        ("gymnasium.spaces.MultiBinary(2)", (2,), "int64", (0, 0), (1, 1)),
        ("gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)", (2,), "float32", None, None),
        ("gymnasium.spaces.Box(-1, 1, (1, 2), np.float64)", (2,), "float32", (-1, -1), (1, 1)),
        ("gymnasium.spaces.Box(-1, 1, (), np.float32)", (1,), "float32", (-1,), (1,)),
        ("gymnasium.spaces.Box(0, 3, (2,), np.int32)", (2,), "int64", (0, 0), (3, 3)),
        ("gymnasium.spaces.Box(np.array([0, -np.inf]), np.array([1, np.inf]))", (2,), "float32", ..., ...),
    ],
)
def test_an_action_is_a_row_of_numbers(space: str, shape: tuple[int], dtype: str, low, high, tmp_path: Path):
    check = "        assert self.action_space.contains(action), repr(action)\n        distance = "
    environment = ((SPACE, space), ("        distance = ", check))
    environment += (("self.speed * np.asarray(action)", "np.resize(np.asarray(action, float), 2)"),)
    world = opened(tmp_path, environment=environment)
    field = world.info.action_spec["action"]
    assert (field.shape, field.dtype) == (shape, dtype)
    assert low is ... or (field.low, field.high) == (low, high)
    assert field.low is None or np.isfinite([field.low, field.high]).all()
    assert errors(world, determinism=True) == []


def test_bounds_that_float32_rounds_up_are_kept(tmp_path: Path):
    check = (
        "        distance = ",
        "        assert self.action_space.contains(action), repr(action)\n        distance = ",
    )
    world = opened(tmp_path, environment=((SPACE, "gymnasium.spaces.Box(-0.1, 0.1, (2,), np.float64)"), check))
    assert errors(world) == []


@pytest.mark.parametrize(
    ("action", "end"), [([1.0], "terminated"), ([0.7], "policy error"), ([np.nan], "policy error")]
)
def test_a_fraction_is_no_discrete_action(action: list[float], end: str, tmp_path: Path):
    file = tmp_path / "classic.toml"
    success = '{from = "terminated", negate = true}'
    file.write_text(CLASSIC.format(name="classic", id="CartPole-v1", rate=50, success=success))
    assert played(open_world(str(file)), np.array(action), cases("balance", 1, 0, "eval")[0]).end == end


# ---- past success


@pusht
def test_the_example_can_be_solved_by_a_block_that_stays_on_its_outline(tmp_path: Path):
    exact = "starts = [{reset_to_state = [50.0, 50.0, 224.18019485, 242.81980515, 0.78539816339]}]\n\n[arguments]"
    (tmp_path / "solved.toml").write_text(EXAMPLE.read_text().replace("[arguments]", exact, 1))
    world = open_world(str(tmp_path / "solved.toml"))
    case = Case("push-t-and-hold", 0)
    scene = world.start(case)
    for _ in range(8):
        assert scene.step(np.array([50.0, 50.0], np.float32)).terminated
        assert scene.measures()["success"] == 1
    scene.close()
    result = played(world, np.array([50.0, 50.0], np.float32), case)
    assert result.satisfied and result.steps == 5 and result.end == "decided"
    world.close()


HOLD = ("#more", 'rule = "hold"\nhold = 3')
AT_GOAL = ("self.np_random.uniform(-1, 1, 2)", "np.array([0.3, 0.0])")


def test_hold_goes_on_after_the_environment_has_terminated(tmp_path: Path):
    world = opened(tmp_path, HOLD, environment=(AT_GOAL, ("NEAR = 0.1", "NEAR = 0.15")))
    moving = played(world, np.array([0.1, 0.0], np.float32))
    assert moving.series["success"].tolist() == [0, 1, 1, 1] and moving.satisfied


def test_an_environment_that_refuses_to_go_on_stops_the_run(tmp_path: Path):
    refuses = (
        "        distance = ",
        "        if self.steps > 3: raise RuntimeError('call reset')\n        distance = ",
    )
    world = opened(tmp_path, HOLD, environment=(AT_GOAL, refuses))
    with pytest.raises(BadData, match=r"past_success: expected past_success = false, or rule = .first.*call reset"):
        played(world, np.array([0.1, 0.0], np.float32))
    declared = opened(tmp_path, ("#more", 'rule = "hold"\nhold = 3\npast_success = false'), environment=(AT_GOAL,))
    with pytest.raises(RoboscaleError, match="ends at the first success"):
        played(declared, np.array([0.1, 0.0], np.float32))


# ---- tasks and starts

TASKS = """
[[task]]
name = "near"
instruction = {from = "info.sentence"}
starts = [{goal = [0.1, 0.1]}, {goal = [0.2, 0.2]}]

[[task]]
name = "far"
instruction = "move the point to the far goal"
options = {goal = [1.0, 1.0]}
arguments = {speed = 2.0}
"""
ONE = 'task = "reach"\ninstruction = "move the point to the goal"\n'
ASKED = 'instruction = "move the point to the goal"'


def test_several_tasks_of_one_environment(tmp_path: Path):
    world = opened(tmp_path, (ONE, ""), ("#last", TASKS))
    assert world.info.tasks == {"near": "move the point to the goal", "far": "move the point to the far goal"}
    goals = []
    for task, start in (("near", 0), ("near", 1), ("near", 2), ("far", 0)):
        scene = world.start(Case(task, start))
        goals.append(float(scene.observe()["observation.environment_state"][0]))
        scene.step(np.full(2, 0.1, np.float32))
        moved = scene.observe()["observation.state"][0]
        assert moved == pytest.approx(0.2 if task == "far" else 0.1)
        scene.close()
    assert goals == pytest.approx([0.1, 0.2, 0.1, 1.0])
    with pytest.raises(UnknownName, match="did you mean near"):
        world.start(Case("neat", 0))


def test_seeds_are_the_environments_own(tmp_path: Path):
    plain, fixed = opened(tmp_path), opened(tmp_path, ("#more", "seeds = [7, 8]"))
    for start in (0, 1, 2):
        seen = fixed.start(Case("reach", start)).observe()["observation.environment_state"]
        own = plain.start(Case("reach", 7 + start % 2)).observe()["observation.environment_state"]
        assert (seen == own).all()


def test_tasks_whose_fields_differ_are_refused(tmp_path: Path):
    other = TASKS.replace("arguments = {speed = 2.0}", 'environment = "my_env.py:other"')
    made = "def other():\n    env = Point()\n    env.action_space = gymnasium.spaces.Discrete(2)\n    return env\n"
    world = opened(tmp_path, (ONE, ""), ("#last", other), environment=(("class Point(", f"{made}\nclass Point("),))
    assert world.info.tasks
    with pytest.raises(BadData, match="task far: expected the fields of the other tasks"):
        world.start(Case("far", 0))


@pytest.mark.parametrize(
    ("source", "edit", "says"),
    [
        ("info.sentence", (), "move the point to the goal"),
        ("attribute.said", [("    def see(", "    said = 'go to the goal'\n\n    def see(")], "go to the goal"),
    ],
)
def test_the_environment_says_what_is_asked(source: str, edit: list[Edit], says: str, tmp_path: Path):
    world = opened(tmp_path, (ASKED, f'instruction = {{from = "{source}"}}'), environment=tuple(edit))
    assert world.info.instruction("reach") == says and errors(world) == []


@pytest.mark.parametrize(
    ("source", "edit", "error"),
    [
        ("info.sentense", (), "'sentense'; did you mean sentence"),
        ("attribute.said", (), "a sentence in attribute.said, found None"),
        (
            "info.sentence",
            [('"sentence": "move the point to the goal"', '"sentence": " "')],
            "a sentence in info.sent",
        ),
        (
            "info.sentence",
            [('"sentence": "move the point to the goal"', '"sentence": f"move to {self.goal}"')],
            "the same sentence in every episode of a task.*one .*task.* for each",
        ),
    ],
)
def test_a_sentence_has_to_be_one_and_the_same(source: str, edit: list[Edit], error: str, tmp_path: Path):
    world = opened(tmp_path, (ASKED, f'instruction = {{from = "{source}"}}'), environment=tuple(edit))
    with pytest.raises(RoboscaleError, match=error):
        world.start(CASE)


# ---- where environments are found

REGISTERED = ('environment = "my_env.py:Point"', 'environment = "Point-v0"\nmodule = "my_env"')
REGISTERS = ("NEAR = 0.1", 'NEAR = 0.1\ngymnasium.register("Point-v0", "my_env:Point", max_episode_steps=7)')


def _identity_in_another_process(path: str) -> str:
    return open_world(path).info.identity.digest


def test_a_module_is_found_beside_the_file_here_and_in_other_processes(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # executed anew, it registers anew: nothing to warn of
        for edit in ((), (("NEAR = 0.1", "NEAR = 0.2"),)):
            world = opened(tmp_path, REGISTERED, environment=(REGISTERS, *edit))
            assert errors(world, determinism=True) == []
    assert world.notes == ("world point: horizon is 30, and Point-v0 is registered with 7 steps",)
    assert played(world, STILL).steps == 30  # the horizon is the rollout's, whatever it was registered with
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(_identity_in_another_process, (str(tmp_path / "point.toml"),))
    assert there == world.info.identity.digest


def test_a_module_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path, REGISTERED, environment=(REGISTERS,))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = path.rename(elsewhere / "point.toml")
    monkeypatch.chdir(tmp_path)
    assert errors(open_world("elsewhere/point.toml")) == []


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        (('"my_env.py:Point"', '"CartPol-v1"'), "no such id is registered; did you mean CartPole-v1"),
        (('"my_env.py:Point"', '"CartPole"'), "no such id is registered; did you mean CartPole-v1"),
        (('"my_env.py:Point"', '"none/Such-v0"'), 'say module = "..." for the package that registers it'),
        (('"my_env.py:Point"', '"gymnasium/Such-v0"'), 'say module = "gymnasium"'),
        (('"my_env.py:Point"', '"my_envy.py:Point"'), "unknown environment file 'my_envy.py'; .*my_env.py"),
        (('"my_env.py:Point"', '"my_env.py:Pont"'), "'Pont'; did you mean Point"),
        (('"my_env.py:Point"', '"my_env.py:NEAR"'), "a class or function that makes an environment, found"),
        (('"my_env.py:Point"', '"my_env.py:np"'), "a class or function that makes an environment"),
        (('"my_env.py:Point"', '"P-v0"\nmodule = "my_envy"'), "my_envy.*did you mean my_env.*looked for beside"),
    ],
)  # fmt: skip
def test_an_environment_that_is_not_there(edits: Edit, says: str, tmp_path: Path):
    world = opened(tmp_path, edits)
    with pytest.raises(RoboscaleError, match=says) as error:
        _ = world.info
    assert "point.toml" in str(error.value)


def test_an_extra_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.worlds.simulated.making.EXTRAS", {"gym_none": "gym"})
    world = opened(tmp_path, ('environment = "my_env.py:Point"', 'environment = "gym_none/A-v0"\nmodule = "gym_none"'))
    with pytest.raises(RoboscaleError, match=r"pip install 'roboscale\[gym\]' brings it"):
        _ = world.info


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("gymnasium.vector.SyncVectorEnv([Point])", "one environment, found my_env.py:make, a vector of 1"),
        ("gymnasium.wrappers.Autoreset(Point())", "an environment that waits to be reset"),
        ("None", "a gymnasium environment, found my_env.py:make, a NoneType without reset, step"),
    ],
)
def test_what_makes_no_single_environment(function: str, says: str, tmp_path: Path):
    make = ("NEAR = 0.1", f"NEAR = 0.1\n\ndef make():\n    return {function}\n")
    with pytest.raises(BadData, match=says):
        _ = opened(tmp_path, ("my_env.py:Point", "my_env.py:make"), environment=(make,)).info


# ---- repeating


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        ((), True),
        ([("self.np_random.uniform(-1, 1, 2)", "np.random.default_rng().uniform(-1, 1, 2)")], False),
        ([("super().reset(seed=seed)", "pass")], False),  # a generator that goes on from episode to episode
        ([("self.np_random.uniform(-1, 1, 2)", "np.ones(2)")], True),
    ],
)
def test_a_world_that_ignores_the_seed_is_told_apart(edit: list[Edit], same: bool, tmp_path: Path):
    world = opened(tmp_path, environment=tuple(edit))
    assert (errors(world, determinism=True) == []) is same
    assert len(world._free) == 1  # every scene was closed


def test_a_world_that_is_declared_not_to_repeat_is_not_taken_to(tmp_path: Path):
    assert opened(tmp_path).info.deterministic
    assert not opened(tmp_path, ("deterministic = true", "deterministic = false")).info.deterministic


def test_an_assumption_that_is_wrong_is_found_by_the_check(tmp_path: Path):
    wild = ("self.np_random.uniform(-1, 1, 2)", "np.random.default_rng().uniform(-1, 1, 2)")
    assert any("the same case gave other bytes" in text for text in errors(opened(tmp_path, environment=(wild,))))


# ---- our worlds in gymnasium


@pusht
@pytest.mark.parametrize(
    "name", ["roboscale/metaworld-reach-v3", "roboscale/pusht", "roboscale/fetch-push", "roboscale/adroit-pen"]
)
def test_gymnasium_accepts_our_environments(name: str):
    import gymnasium
    from gymnasium.utils.env_checker import check_env

    assert len(register_envs()) == 59
    env = gymnasium.make(name, render_mode="rgb_array", disable_env_checker=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checker warns of spaces that are not symmetric
        check_env(env.unwrapped)
    env.reset(seed=0)
    assert env.render().ndim == 3
    env.close()


def test_a_world_in_gymnasium_does_what_a_rollout_does(tmp_path: Path):
    path = write(tmp_path, HOLD, environment=(AT_GOAL, ("NEAR = 0.1", "NEAR = 0.15")))
    env = WorldEnv(str(path), "reach")
    with pytest.raises(RoboscaleError, match="reset comes before step"):
        env.step(STILL)
    observation, info = env.reset(seed=3)
    assert info == {"instruction": "move the point to the goal"} and env.observation_space.contains(observation)
    ends = [env.step(np.array([0.1, 0.0]))[2:] for _ in range(4)]
    assert [(terminated, truncated) for terminated, truncated, _ in ends] == [(False, False)] * 3 + [(True, False)]
    assert [i["is_success"] for *_, i in ends] == [False, True, True, True] and ends[-1][2]["success"]
    env.reset(seed=3)
    *_, info = env.step(np.array([-9.0, 0.0]))
    assert info["clipped"]
    with pytest.raises(PolicyError):
        env.step(np.zeros(3))
    for _ in range(29):
        *_, truncated, info = env.step(STILL)
    assert truncated and not info["success"]
    assert env.render() is None
    env.close()
