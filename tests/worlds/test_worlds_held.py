"""What worlds keep to at the edges: lengths, times, ranges and numbers that are none."""

import ast
import itertools
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from roboscale.core import BadData, Case, RoboscaleError
from roboscale.worlds.environments import WorldEnv
from roboscale.worlds.real.declaration import Workspace
from roboscale.worlds.simulated.acting import _row
from roboscale.worlds.simulated.readings import AfterStep, MeasureTable, ScoreTable, read_measure, read_progress, shown
from tests.worlds.point_env import CASE, opened, write

STILL = np.zeros(2, np.float32)
LOOKS = ('name = "observation.state"\nfrom = "at"\nunit = "m"', 'name = "observation.images.front"\nfrom = "render"')
RENDERS = ("#more", 'arguments = {render_mode = "rgb_array"}\nunobserved = ["at"]')
GREY = "np.full((24, 32, 3), 128, np.uint8)"


@pytest.mark.parametrize("length", [1, 76, 77, 78, 79, 80, 81, 82, 200])
def test_a_value_in_a_message_is_whole_up_to_eighty_signs_and_never_longer(length: int):
    said = shown("x" * (length - 2))
    text = said.removeprefix("str ")
    assert len(text) == min(length, 80) or length < 2
    assert text == repr("x" * (length - 2)) if length <= 80 else text == repr("x" * 200)[:77] + "..."


@pytest.mark.parametrize(
    ("value", "low", "high", "progress"),
    [
        (0.0, None, None, 0.0),
        (0.25, None, None, 0.25),
        (1.0, None, None, 1.0),
        (1.0 + 1e-7, None, None, 1.0),
        (-1e-7, None, None, 0.0),
        (1.001, None, None, "in 0..1"),
        (-0.001, None, None, "in 0..1"),
        (7.0, None, None, "in 0..1"),
        (30.0, 20.0, 60.0, 0.25),
        (60.0, 20.0, 60.0, 1.0),
        (90.0, 20.0, 60.0, 1.0),
        (-3.0, 20.0, 60.0, 0.0),
    ],
)
def test_progress_is_a_share_of_the_way(value: float, low, high, progress: float | str):
    step = AfterStep(
        where="w.toml", info={"p": value}, reward=value, total=value, terminated=False, ended=False, last=False
    )
    for table in (ScoreTable(key="p", low=low, high=high), ScoreTable(source="reward", low=low, high=high)):
        if isinstance(progress, float):
            assert read_progress(table, step) == pytest.approx(progress)
            continue
        with pytest.raises(BadData, match=progress) as caught:
            read_progress(table, step)
        assert f"w.toml: {'info[p]' if table.source == 'info' else 'reward'}: " in str(caught.value)


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [("last", [3.0, None, 1.0]), ("sum", [3.0, 3.0, 4.0]), ("max", [3.0, 3.0, 3.0]), ("min", [3.0, 3.0, 1.0])],
)
def test_a_measure_is_reduced_over_the_steps_that_have_it(reduce: str, expected: list[float | None]):
    table = MeasureTable(unit="N", reduce=reduce, optional=True)
    before, seen = None, []
    for info in ({"f": 3}, {}, {"f": 1}):
        step = AfterStep(where="w.toml", info=info, reward=None, total=None, terminated=False, ended=False, last=False)
        before = read_measure("f", table, step, before)
        seen.append(before)
    assert seen == expected


def test_an_episode_is_as_long_as_its_horizon_whatever_a_registry_says(tmp_path: Path):
    """A limit that is registered with an environment is a wrapper's; the horizon is the rollout's."""
    gymnasium.register("held/Point-v0", entry_point=f"{__name__}:_point", max_episode_steps=7)
    try:
        _Point.folder = tmp_path
        world = opened(
            tmp_path,
            ('environment = "my_env.py:Point"', 'environment = "held/Point-v0"'),
            ("horizon = 30", "horizon = 400"),
        )
        scene = world.start(CASE)
        ends = [scene.step(STILL) for _ in range(300)]
        scene.close()
    finally:
        gymnasium.registry.pop("held/Point-v0")
    assert not any(step.truncated or step.terminated for step in ends)


class _Point:
    folder = Path()


def _point(**arguments: object) -> gymnasium.Env:
    names: dict = {}
    exec(compile((_Point.folder / "my_env.py").read_text(), "my_env.py", "exec"), names)
    return names["Point"](**arguments)


@pytest.mark.parametrize("rate_hz", [10.0, 3.0, 62.5])
def test_a_declared_world_tells_the_time_of_its_steps(tmp_path: Path, rate_hz: float):
    world = opened(tmp_path, ("rate_hz = 10.0", f"rate_hz = {rate_hz}"))
    scene = world.start(CASE)
    times = []
    for _ in range(5):
        times.append(int(scene.observe(("time.observation_ns",))["time.observation_ns"][0]))
        scene.step(STILL)
    scene.close()
    assert times == [round(step * 1e9 / rate_hz) for step in range(5)]


@pytest.mark.parametrize(
    ("low", "high", "value", "expected"),
    [(-1, 1, -1.0, 0), (-1, 1, 0.5, 191), (-1, 1, 1.0, 255), (0, 2, 0.5, 64), (0, 0.5, 0.25, 128), (-4, 3, 0.0, 146)],
)
def test_black_and_white_are_as_declared(tmp_path: Path, low, high, value: float, expected: int):
    picture = f"np.full((24, 32, 3), {value})"
    ranged = ('from = "render"', f'from = "render"\nrange = [{low}, {high}]')
    world = opened(tmp_path, RENDERS, LOOKS, ranged, environment=((GREY, picture),))
    seen = world.start(CASE).observe()["observation.images.front"]
    assert (seen == expected).all() and seen.shape == (24, 32, 3)


@pytest.mark.parametrize(("layout", "picture"), [('["height", "width"]', True), ('["joint", "axis"]', False)])
def test_an_array_whose_axes_are_those_of_a_picture_is_one(tmp_path: Path, layout: str, picture: bool):
    environment = (
        ("at=gymnasium.spaces.Box(-9, 9, (2,), np.float32)", "at=gymnasium.spaces.Box(0, 1, (4, 6), np.float32)"),
        ('"at": self.at.astype(np.float32)', '"at": np.full((4, 6), 0.5, np.float32)'),
    )
    world = opened(tmp_path, ('from = "at"\nunit = "m"', f'from = "at"\nlayout = {layout}'), environment=environment)
    seen = world.start(CASE).observe()["observation.state"]
    assert seen.shape == ((4, 6, 3) if picture else (4, 6)) and (seen == (128 if picture else 0.5)).all()


@pytest.mark.parametrize(("value", "expected"), [(0.5, 128), (1.0, 255), (1.5, 2), (2.0, 2), (200.0, 200)])
def test_floats_above_one_are_of_a_byte(tmp_path: Path, value: float, expected: int):
    world = opened(tmp_path, RENDERS, LOOKS, environment=((GREY, f"np.full((24, 32, 3), {value})"),))
    assert (world.start(CASE).observe()["observation.images.front"] == expected).all()


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [
        ("uint8", 255, True),
        ("uint8", 256, False),
        ("uint8", -1, False),
        ("int64", 2**40, True),
        ("int64", -(2**40), True),
        ("int64", 2**63, False),
    ],
)
def test_whole_numbers_fit_their_field_or_are_refused(tmp_path: Path, dtype: str, value: int, fits: bool):
    kind = "int64" if value < 2**63 else "uint64"
    environment = (
        ("at=gymnasium.spaces.Box(-9, 9, (2,), np.float32)", f"at=gymnasium.spaces.Box(0, 9, (2,), np.{kind})"),
        ('"at": self.at.astype(np.float32)', f'"at": np.full(2, {value}, np.{kind})'),
    )
    world = opened(tmp_path, ('from = "at"', f'from = "at"\ndtype = "{dtype}"'), environment=environment)
    scene = world.start(CASE)
    if fits:
        seen = scene.observe()["observation.state"]
        assert seen.tolist() == [value] * 2 and seen.dtype == dtype
        return
    with pytest.raises(RoboscaleError, match=rf"{dtype}\[2\], found {value} to {value}"):
        scene.observe()


@pytest.mark.parametrize(("low", "high"), [((0, 0, 0), (1, 0, 1)), ((0.25,) * 3, (0.25,) * 3), ((0, 2, 0), (1, 1, 1))])
def test_a_workspace_has_an_inside(low, high):
    mistakes = list(Workspace(low=low, high=high).mistakes())
    assert [name for name, _, _ in mistakes] == ["low"]
    assert not list(Workspace(low=(-1, -1, -1), high=(1, 1, 1)).mistakes())


def test_a_world_in_gymnasium_ends_by_the_world_or_at_the_horizon_and_never_by_both(tmp_path: Path):
    env = WorldEnv(str(write(tmp_path, ("horizon = 30", "horizon = 12"))), "reach")
    ended = set()
    for seed, moves in itertools.product(range(6), (False, True)):
        seen, _ = env.reset(seed=seed)
        for step in range(1, 13):
            way = seen["observation.environment_state"] - seen["observation.state"]
            action = np.clip(way, -0.2, 0.2).astype(np.float32) if moves else STILL
            seen, _, terminated, truncated, info = env.step(action)
            assert truncated is (step == 12 and not terminated)
            assert ("success" in info) is ("measures" in info) is (terminated or truncated)
            if terminated or truncated:
                assert info["success"] is terminated
                ended.add((moves, terminated))
                break
    env.close()
    assert ended == {(False, False), (True, True)}


def test_seeds_that_gymnasium_draws_are_spread_over_all_there_are(tmp_path: Path):
    env = WorldEnv(str(write(tmp_path)), "reach")
    tried: list[Case] = []
    start = env.world.start
    env.world.start = lambda case: tried.append(case) or start(case)
    env.reset(seed=5)
    for _ in range(300):
        env.reset()
    env.close()
    assert tried[0] == Case("reach", 5) and len({case.start for case in tried}) == 301
    tried.clear()
    env = WorldEnv(str(tmp_path / "point.toml"), "reach")
    env.world.start = lambda case: tried.append(case) or start(case)
    env.reset(seed=5)
    env.reset()
    env.reset(seed=5)
    env.reset()
    env.close()
    assert tried[:2] == tried[2:] and tried[0] != tried[1]


@pytest.mark.parametrize(
    ("space", "low", "high"),
    [
        (gymnasium.spaces.Discrete(5), (0,), (4,)),
        (gymnasium.spaces.Discrete(3, start=-1), (-1,), (1,)),
        (gymnasium.spaces.MultiBinary(2), (0, 0), (1, 1)),
        (gymnasium.spaces.MultiDiscrete([2, 5]), (0, 0), (1, 4)),
        (gymnasium.spaces.MultiDiscrete([2, 5], start=[3, -2]), (3, -2), (4, 2)),
        (gymnasium.spaces.Box(np.array([-1, -3]), np.array([2, 7]), dtype=np.float64), (-1, -3), (2, 7)),
        (gymnasium.spaces.Box(-2, 3, (2, 2), np.int32), (-2,) * 4, (3,) * 4),
    ],
)
def test_the_bounds_of_an_action_are_its_first_and_last_element(space, low, high):
    size, _, least, most = _row(space, Path("w.toml"), [])
    assert size == (len(low),) and tuple(least) == low and tuple(most) == high
    for element in (space.low, space.high) if hasattr(space, "low") else ():
        assert space.contains(element)


@pytest.mark.parametrize(
    ("hold", "fits"),
    [
        ("[0, 0]", True),
        ("[-0.2, 0.2]", True),
        ("[-0.3, 0]", False),
        ("[0, -0.3]", False),
        ("[0.3, 0]", False),
        ("[0, 0.3]", False),
        ("[0]", False),
        ("[0, 0, 0]", False),
    ],
)
def test_what_holds_still_is_an_action(tmp_path: Path, hold: str, fits: bool):
    """Between both bounds, which are -.2 and .2, with as many numbers as the action has."""
    world = opened(tmp_path, ('[action]\nunit = "m"', f'[action]\nunit = "m"\nhold = {hold}'))
    if fits:
        assert list(world.info.hold) == pytest.approx(ast.literal_eval(hold))
        return
    with pytest.raises(BadData, match=r"action\.hold: expected (numbers within -0\.2\.\.0\.2|2 numbers)"):
        _ = world.info


def test_the_version_of_an_environment_is_that_of_who_brings_it():
    """Ours and gymnasium's have one, a user's own has none, nor has what belongs to no module that is loaded."""
    import gymnasium.envs.classic_control as control

    from roboscale.worlds.simulated.making import _Source

    class Unloaded:
        pass

    Unloaded.__module__ = "no.such.module"
    assert gymnasium.__version__ in _Source(name="CartPole", creator=control.CartPoleEnv).version
    assert _Source(name="mine", creator=_point).version == ""
    assert _Source(name="gone", creator=Unloaded).version == ""
