"""Worlds by name and of one's own: a class of sixty lines is enough, and what it lacks is said line by line."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from roboscale.core import BadData, Case, HasExpert, Identity, RoboscaleError, SpecMismatch, UnknownName, WorldInfo
from roboscale.testing.world_checks import check_world
from roboscale.worlds import WORLDS, as_world, open_world
from roboscale.worlds.catalog import BuiltIn
from tests.toy_world import ToyWorld

MINE = Path(__file__).parents[2] / "examples" / "my_world.py"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE.read_text())
    return tmp_path


@pytest.mark.parametrize("text", ["mine.py:PointWorld", "mine:PointWorld", "./mine.py:PointWorld"])
def test_a_class_in_a_file_is_a_world(here: Path, text: str):
    world = open_world(text)
    info = world.info
    assert (info.name, info.kind, info.horizon, info.rate_hz, info.scenes) == ("point", "simulated", 50, 10.0, None)
    assert [(m.name, m.unit, m.series) for m in info.measures] == [("success", "bool", True), ("progress", "1", True)]
    assert info.identity.verified and not info.expert
    assert check_world(world, "reach") == []


def test_an_instance_a_factory_and_a_class_are_the_same_world(here: Path):
    (here / "mine.py").write_text(
        MINE.read_text() + "\n\nready = PointWorld()\n\ndef make():\n    return PointWorld()\n"
    )
    texts = ["mine:PointWorld", "mine:ready", "mine:make"]
    assert len({open_world(text).info.identity for text in texts}) == 1


def test_an_edited_class_and_another_argument_are_another_world(here: Path):
    before = open_world("mine:PointWorld")
    (here / "mine.py").write_text(MINE.read_text().replace("self.point + action", "self.point + 2 * action"))
    after = open_world("mine:PointWorld")
    assert after.info.identity != before.info.identity and after.info.name == before.info.name
    made = type(before.thing)
    assert (
        as_world(made(0.05)).info.identity == as_world(made(0.05)).info.identity != as_world(made(0.1)).info.identity
    )


def test_state_that_is_no_plain_value_is_said(here: Path):
    thing = open_world("mine:PointWorld").thing
    thing.model = (number for number in (1, 2))
    identity = as_world(thing).info.identity
    assert len(identity.unverified) == 1 and "model" in identity.unverified[0]


@pytest.mark.parametrize("method", ["start", "observe", "step", "measures"])
def test_a_world_that_reads_while_it_runs_is_not_known(here: Path, method: str):
    lines = MINE.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(f"    def {method}("))
    lines.insert(at + 1, "        import json; near = json.load(open('near.json'))")
    (here / "mine.py").write_text("\n".join(lines))
    (why, *_) = open_world("mine.py:PointWorld").info.identity.unverified
    assert "reads a file while acting" in why


def test_a_class_with_an_info_of_its_own_keeps_its_word_and_adds_its_source():
    toy = ToyWorld()
    world = as_world(toy)
    assert world.info.identity.verified and world.info.identity != toy.info.identity
    assert as_world(ToyWorld(faults={3: "void"})).info.identity == world.info.identity
    assert isinstance(world, HasExpert) and world.info.tasks == toy.info.tasks
    scene = world.start(Case("near", 1))
    scene.close()
    assert as_world(world) is world


def test_what_it_does_not_have_is_refused_although_its_author_did_not_check(here: Path):
    world = open_world("mine:PointWorld")
    for case in (Case("raech", 0), Case("reach", 0, "light:1"), Case("reach", "episode:1@1")):
        with pytest.raises(UnknownName):
            world.start(case)


class Nearly:
    """Everything is there, and nothing is right."""

    tasks = ["reach"]
    observation_specs = ToyWorld().info.observation_spec
    action_spec = ToyWorld().info.observation_spec
    horizon = 0
    measures = "success"
    deterministic = "yes"
    scenes = 0
    pace = "fast"

    def start(self, case: Case, scene: int) -> None: ...


def test_what_is_missing_or_wrong_is_one_line_each():
    with pytest.raises(SpecMismatch) as error:
        as_world(Nearly)
    lines = str(error.value).splitlines()
    assert lines[0].endswith("Nearly is no world yet:")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        *("tasks", "observation_spec", "action_spec", "horizon", "measures", "deterministic", "scenes", "pace"),
    ]
    assert "  observation_spec: expected a Spec, found nothing but observation_specs" in lines
    assert "  horizon: expected a whole number from 1 up, found int 0" in lines


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (("    horizon = 50", "    horizon = 50\n    hold = (0.0,)"), "hold: expected 2 numbers, .* found 1"),
        (('"progress")', '"success")'), "measures: expected each name once, found twice: success"),
        (("Spec((ACTION,), RATE_HZ)", "Spec((ACTION,), 5.0)"), "expected one rate above 0 Hz, found 10.0 and 5.0"),
        (
            ("def start(self, case", "def start(self, seed, case"),
            r"expected start\(case\) -> scene, found start\(seed",
        ),
        (("    horizon = 50", "    info = 3"), "info: expected a WorldInfo .*, found int"),
        (("def start(self, case", "def reset(self, case"), r"start: expected a method, found nothing"),
        (("def start(self, case", "def begin(self, case"), r"start: expected a method, found nothing"),
        (
            ("near_m: float = 0.05", "near_m: float"),
            "without any, found one that needs near_m; name a function",
        ),
        (("self.near_m = near_m", "raise ValueError('no table')"), "expected a world, found ValueError: no table"),
    ],
)
def test_mistakes_in_a_class_say_both_sides(here: Path, edit: tuple[str, str], says: str):
    (here / "mine.py").write_text(MINE.read_text().replace(*edit))
    with pytest.raises((SpecMismatch, BadData), match=says) as error:
        open_world("mine.py:PointWorld")
    assert "PointWorld" in str(error.value)


class PointEnv(gymnasium.Env):
    """No world: nobody knows what its arrays mean."""


class OldEnv:
    """As gymnasium's, without its base class."""

    action_space = None

    def reset(self) -> None: ...
    def step(self, action: object) -> None: ...


@pytest.mark.parametrize("thing", [PointEnv, OldEnv, OldEnv(), lambda: OldEnv()])
def test_a_gymnasium_environment_is_told_how_its_declaration_begins(thing: object):
    with pytest.raises(RoboscaleError, match=r'gymnasium environment; a TOML file .*\n  name = "\w+env"\n  environ'):
        as_world(thing)


@pytest.mark.parametrize("thing", [3, "metaworld", lambda: 3, np.zeros(3)])
def test_what_is_nothing_of_the_kind_is_refused(thing: object):
    with pytest.raises(SpecMismatch, match="expected a world .* or a robot .*, found"):
        as_world(thing)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (
            "metawold",
            UnknownName,
            "did you mean metaworld",
        ),
        ("qqqqqqq", UnknownName, "valid: FILE.toml, adroit-door, .*fetch-push, .*file.py:Name, metaw"),
        ("mine.py", UnknownName, "mine.py:PointWorld"),
        ("mine.py:PiontWorld", UnknownName, "did you mean PointWorld"),
        ("mien:PointWorld", UnknownName, "unknown module 'mien'; did you mean mine"),
    ],
)
def test_names_that_are_wrong_suggest_the_near_ones(here: Path, text: str, error: type, says: str):
    with pytest.raises(error, match=says):
        open_world(text)


def test_a_missing_extra_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch):
    packages = ("no-such-package-anywhere", "numpy")
    absent = BuiltIn(name="moon", about="dust", extra="moon", packages=packages, make=ToyWorld)
    monkeypatch.setitem(WORLDS, "moon", absent)
    assert absent.missing == ("no-such-package-anywhere",)
    with pytest.raises(RoboscaleError, match=r"world moon: no-such-.* not installed; pip install 'roboscale\[moon\]'"):
        open_world("moon")


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from roboscale.cli.__main__ import main; main()", "world", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def test_the_command_checks_a_class_and_fails_for_a_broken_one(here: Path):
    well = run("check", "mine.py:PointWorld", cwd=here)
    assert (
        well.returncode == 0 and "ok, same bytes again" in well.stdout and "success counts when first" in well.stdout
    )
    broken = MINE.read_text().replace("return Step()", "raise ValueError('motor')")
    (here / "mine.py").write_text(broken)
    ill = run("check", "mine.py:PointWorld", cwd=here)
    assert ill.returncode == 1 and "raises ValueError: motor" in ill.stdout and "Traceback" not in ill.stderr


def test_what_a_class_does_not_say_and_what_is_assumed_is_one_line(here: Path):
    assert open_world("mine:PointWorld").notes == (
        "world point does not say, and is taken to be: rule (first), pace (simulated), hold (there is none)",
    )
    assert as_world(ToyWorld()).notes == ()  # its info says everything


def test_an_info_says_everything_without_its_identity_being_guessed(here: Path):
    info = open_world("mine:PointWorld").info
    assert isinstance(info, WorldInfo) and isinstance(info.identity, Identity) and len(info.identity.digest) == 32
