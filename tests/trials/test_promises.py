"""A world that breaks its own word is told so: its mistakes are neither failures of a policy nor numbers."""

from pathlib import Path

import pytest

import roboscale as rs
from roboscale.core import RoboscaleError
from roboscale.worlds import open_world

MINE = (Path(__file__).parents[2] / "examples" / "my_world.py").read_text()

STEP = "return Step()"
SEEN = "np.concatenate([self.point, self.goal])"
PROGRESS = "max(0.0, 1 - self.distance / start)"
SCENE = "return PointScene(case.seed, self.near_m)"
LATER = f"(self.goal if self.point.any() else {SEEN})"


def towards(o):
    return o["observation.state"][2:] - o["observation.state"][:2]


def tried(place: Path, *edits: tuple[str, str]):
    text = MINE
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    (place / "mine.py").write_text(text)
    return rs.evaluate(towards, world="mine.py:PointWorld", trials=3, workers=0, retries=0, store=str(place / "store"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (SCENE, SCENE.removeprefix("return "), r"start: expected a scene with .*found None; is a `return` missing"),
        ("    def measures(", "    def measure(", "start: expected a scene .* found PointScene without measures"),
        (STEP, "return None", "step: expected a Step, found None"),
        (STEP, "return {}, 0.0, False, False, {}", "step: expected a Step, found the five values of gymnasium"),
        (STEP, 'return Step(terminated="no")', "Step.terminated: expected True or False, found str 'no'"),
        (STEP, "return Step(truncated=np.zeros(2))", "Step.truncated: expected True or False, found ndarray"),
        (STEP, "return Step(applied=np.zeros(3))", r"Step.applied: expected .*\[2\], found ndarray"),
        (SEEN, "self.goal", r"observe of observation.state: expected float32\[4\], found float32\[2\]"),
        (".astype(np.float32)}", ".astype(str)}", r"observe of observation.state: expected float32\[4\], found <U"),
        (
            'every = {"',
            'return None\n        every = {"',
            "observe: expected a dictionary of field -> array, found None",
        ),
        ('every = {"', 'return {"state": 1}\n        every = {"', "observe: .*observation spec.*found 'state'"),
        (PROGRESS, "7.0", "measure progress: expected a number in 0..1, found float 7.0"),
        (PROGRESS, '"far"', "measure progress: expected a number, or None, found str 'far'"),
        (f', "progress": {PROGRESS}', "", "measures: expected progress, success, .*found no progress"),
        ('"progress": max', '"force": 1, "progress": max', "measures: expected .*found undeclared force"),
        ('return {"success"', 'return [("success", 1)]\n        return {"success"', "measures: expected a dictionary"),
    ],
)
def test_a_mistake_of_the_world_is_no_failure_of_the_policy(place: Path, old: str, new: str, says: str):
    with pytest.raises(RoboscaleError, match=f"^world point: {says}"):
        tried(place, (old, new))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (SEEN, f"({SEEN} * np.nan)", "observe of observation.state: expected finite numbers, found 4 of"),
        (SEEN, LATER, r"observe of observation.state: expected float32\[4\], found float32\[2\]"),
        (STEP, "return Step(applied=action * np.nan)", "Step.applied: expected finite numbers"),
    ],
)
def test_what_breaks_later_or_is_not_finite_is_void(place: Path, old: str, new: str, what: str):
    with pytest.raises(RoboscaleError, match=rf"no trial could be counted: .* 3 void: world point: {what}"):
        tried(place, (old, new))


@pytest.mark.parametrize("flag", ["np.bool_(self.distance < 0.05)", "int(self.distance < 0.05)", "np.array([0])"])
def test_flags_that_mean_true_or_false_are_taken(place: Path, flag: str):
    assert tried(place, (STEP, f"return Step(terminated={flag})")).value == 1.0


def test_a_measure_that_the_rollout_counts_itself_is_refused(place: Path):
    with pytest.raises(RoboscaleError, match="measures: expected other names: the rollout counts clipped itself"):
        tried(place, ('("success", "progress")', '("success", "clipped")'), ('"progress": max', '"clipped": max'))


@pytest.mark.parametrize(("rule", "found"), [("end", "end"), ("hold 3", "hold 3"), ("last", None), ("hold", None)])
def test_a_rule_is_a_text(place: Path, rule: str, found: str | None):
    (place / "mine.py").write_text(MINE.replace("scenes = None", f'rule = "{rule}"'))
    if found is None:
        with pytest.raises(RoboscaleError, match="rule: expected a SuccessRule, or `first`, `end` or `hold K`"):
            open_world("mine.py:PointWorld")
    else:
        assert str(open_world("mine.py:PointWorld").info.rule) == found


def test_an_attribute_that_says_nothing_names_the_near_one(place: Path):
    (place / "mine.py").write_text(MINE.replace("deterministic = True", "determinstic = True"))
    assert any(
        "determinstic, which says nothing; is deterministic meant?" in n
        for n in open_world("mine.py:PointWorld").notes
    )
    (place / "fine.py").write_text(MINE)
    assert not any("says nothing" in note for note in open_world("fine.py:PointWorld").notes)


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("@property\n    def info(self):\n        return {}['x']", "info: expected a WorldInfo, found KeyError: 'x'"),
        ('starts = ("nothing",)', "starts: expected some of seed, episode, picture, found tuple"),
    ],
)
def test_what_cannot_be_asked_is_refused(place: Path, attribute: str, says: str):
    (place / "mine.py").write_text(MINE.replace("    scenes = None  # any number at once", f"    {attribute}"))
    with pytest.raises(RoboscaleError, match=says):
        open_world("mine.py:PointWorld")


ROBOT = """
class Arm:
    name, version, tasks, horizon, hold = "arm", "1", {"reach": "reach the mark"}, 5, (0.0, 0.0)
    from my_world import PointWorld
    observation_spec, action_spec = PointWorld.observation_spec, PointWorld.action_spec

    def connect(self): ...
    def read(self): ...
    def send(self, action): ...
    def stop(self): ...
    def disconnect(self): ...
"""


@pytest.mark.parametrize("method", ["connect", "read", "send", "stop"])
def test_a_robot_that_lacks_a_method_is_told_which(place: Path, method: str):
    (place / "my_world.py").write_text(MINE)
    (place / "arm.py").write_text(ROBOT.replace(f"    def {method}(", f"    def {method}_it("))
    with pytest.raises(RoboscaleError, match=rf"Arm is no robot yet:\n  {method}: expected a method, found nothing"):
        open_world("arm.py:Arm")
