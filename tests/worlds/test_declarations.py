"""The grammar of declared worlds: what is refused, and that whatever can change a result changes the identity."""

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.core.declared import as_declared
from roboscale.worlds.simulated.declaration import WorldDeclaration
from roboscale.worlds.simulated.making import Maker
from tests.worlds.point_env import DECLARATION, Edit, write

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_world.toml"
BUILT_IN = files("roboscale.worlds.simulated")


def load(folder: Path, *edits: Edit) -> WorldDeclaration:
    return WorldDeclaration.load(write(folder, *edits))


SUCCESS = 'success = "is_success"'
SENTENCE = 'instruction = "move the point to the goal"'
RULE = ("#more", 'rule = "hold"\nhold = 5')


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([("rate_hz = 10.0", 'rate_hz = "ten"')], "rate_hz: expected a number above 0, found 'ten'"),
        ([("rate_hz = 10.0", "rate_hz = 0")], "rate_hz: expected a number above 0, found 0"),
        ([("rate_hz = 10.0", "rate_hz = inf")], "rate_hz: expected a number above 0, found inf"),
        ([("rate_hz = 10.0", "rate_hz =")], "file: expected TOML"),
        ([("horizon = 30", "horizon = -3")], "horizon: expected an integer of 1 or more, found -3"),
        ([("horizon = 30", "horizon = 0")], "horizon: expected an integer of 1 or more, found 0"),
        ([("horizon = 30", "horizon = 9.5")], "horizon: expected an integer of 1 or more, found 9.5"),
        ([("#more", 'rule = "any"')], "rule: expected one of first, end, hold, found 'any'"),
        ([RULE, ("hold = 5", "hold = 0")], "hold: expected an integer of 1 or more, found 0"),
        ([RULE, ("hold = 5", "hold = 31")], "hold: expected at most the horizon of 30, found 31"),
        ([("#more", 'rule = "hold"')], "hold: expected how many steps"),
        ([("#more", "hold = 5")], "hold: expected rule = \"hold\" beside it, found rule = 'first'"),
        ([('unit = "m"\nmode', "unit = 5\nmode")], "action.unit: expected text"),
        ([('name = "observation.state"', 'name = "observation state"')], r"field\[0\].name: expected letters, digits"),
        ([('name = "observation.state"', 'name = "action"')], r"field\[0\].name: expected an observation"),
        ([('"observation.state"', '"observation.environment_state"')], "field: expected each name once, found"),
        ([('"observation.state"', '"time.observation_ns"')], r"field\[0\].name: expected another name"),
        ([('from = "at"', "from = []")], r"field\[0\].from: expected at least one path"),
        ([('from = "at"', 'from = "at"\nside = "left"')], r"field\[0\].side: expected one of body, world"),
        ([('from = "at"', 'from = "at"\ndtype = "float16"')], r"field\[0\].dtype: expected one of"),
        ([('from = "at"', 'from = "at"\nrange = [1, 0]')], r"field\[0\].range: expected \[black, white\]"),
        ([(SUCCESS, "success = 5")], "success: expected text that is not empty or a table, found 5"),
        ([(SUCCESS, "")], "success: expected a key of the info, or a table, found nothing"),
        ([(SUCCESS, "success = {below = 0.5}")], "success.key: expected a key"),
        ([(SUCCESS, 'success = {from = "reward"}')], "success.from: expected a threshold beside it"),
        ([(SUCCESS, 'success = {from = "terminated", above = 1}')], "success.from: expected no threshold"),
        ([(SUCCESS, 'success = {key = "d", above = 1, at_least = 2}')], "success.above: expected above or at_least"),
        ([(SUCCESS, 'success = {key = "d", above = 2, below = 1}')], "success.below: expected more than 2, found 1"),
        ([(SUCCESS, 'success = {key = "d", equals = 1, below = 1}')], "success.equals: expected equals or thresholds"),
        ([(SUCCESS, 'success = {from = "reward", above = 1, only_at_end = true}')], "success.only_at_end: expected"),
        ([("#more", 'progress = {key = "d", low = 1}')], "progress.low: expected low and high"),
        ([("#more", 'progress = {key = "d", low = 1, high = 1}')], "progress.high: expected another number"),
        ([("#last", "[measures.reward]")], "measures.reward: expected another name"),
        ([("#last", '[measures.d]\nabout = "demage"')], "measures.d.about: expected one of task, damage"),
        ([("#more", "seeds = [1, 1]")], "seeds: expected one seed or more, from 0 up, each once"),
        ([("#more", "seeds = []")], "seeds: expected one seed or more, from 0 up, each once"),
        ([("#more", "starts = []")], "starts: expected one table or more"),
        ([("#last", '[measures.held]\nunit = "N"')], "measures.held: expected another name: the rollout counts this"),
        ([("#more", "seeds = [1]\nstarts = [{}]")], "seeds: expected seeds or starts, found both"),
        ([('task = "reach"', 'task = "a/b"')], "task: expected a name without"),
        ([(SENTENCE, "")], "instruction: expected what is asked, a sentence"),
        ([(SENTENCE, 'instruction = " "')], "instruction: expected text that is not empty"),
        ([(SENTENCE, 'instruction = {from = "sentence"}')], "instruction.from: expected info.KEY"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, edits: list[Edit], says: str):
    with pytest.raises(BadData, match=says) as error:
        load(tmp_path, *edits)
    assert "point.toml" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("edit", "near"),
    [
        (("#more", 'ruel = "end"'), "rule"),
        ((SUCCESS, 'succes = "is_success"'), "success"),
        (('unit = "m"\nmode', 'units = "m"\nmode'), "unit"),
        (("[action]", "[actions]"), "action"),
        (('from = "at"', 'form = "at"'), "from"),
        ((SUCCESS, 'success = {key = "d", belov = 1}'), "below"),
        (("#last", '[measures.d]\nabuot = "task"'), "about"),
    ],
)
def test_an_unknown_key_names_the_near_one(tmp_path: Path, edit: Edit, near: str):
    with pytest.raises(UnknownName, match=f"did you mean .*{near}") as error:
        load(tmp_path, edit)
    assert "point.toml" in str(error.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path):
    with pytest.raises(BadData, match="found 3:") as error:
        load(tmp_path, ("rate_hz = 10.0", "rate_hz = 0"), ("horizon = 30", "horizon = 0"), ("#more", "ruel = 1"))
    assert str(error.value).count("\n") == 3


TASKS = """
[[task]]
name = "near"
instruction = "move the point to the near goal"
options = {goal = [0.1, 0.1]}

[[task]]
name = "far"
instruction = "move the point to the far goal"
arguments = {speed = 2.0}
success = {key = "distance", below = 0.5}
"""
ONE = f'task = "reach"\n{SENTENCE}\n'


def test_a_task_has_what_the_file_says_for_all_and_its_own_before_that(tmp_path: Path):
    arguments = ("#more", "options = {a = 1}\narguments = {render_mode = 'rgb_array'}")
    near, far = load(tmp_path, (ONE, ""), ("#last", TASKS), arguments).tasks
    assert near.options == {"a": 1, "goal": [0.1, 0.1]} and near.arguments == {"render_mode": "rgb_array"}
    assert near.condition.text == "is_success" and far.condition.text == "distance below 0.5"
    assert far.arguments == {"render_mode": "rgb_array", "speed": 2.0} and far.options == {"a": 1}


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([("#last", TASKS.replace('"far"', '"near"'))], "task: expected each name once, found 'near' 2 times"),
        ([("#last", TASKS), (SUCCESS, "")], r"task\[0\].success: expected one in the task, or one for the file"),
        ([("#last", TASKS), ("#more", 'instruction = "go"')], r"instruction: expected one in each \[\[task\]\]"),
        ([("#last", TASKS.replace("instruction", "sentence", 1))], r"task\[0\]: 'sentence'"),
    ],
)
def test_mistakes_in_tasks(tmp_path: Path, edits: list[Edit], says: str):
    with pytest.raises(RoboscaleError, match=says):
        load(tmp_path, (ONE, ""), *edits)


# ---- identity

FULL = """
name = "point"
environment = "my_env.py:Point"
module = "my_env"
embodiment = "point"
rate_hz = 10.0
horizon = 30
rule = "hold"
hold = 3
deterministic = true
past_success = true
seeds = [1, 2]
unobserved = ["at"]
success = {from = "info", key = "distance", above = 1, below = 2, negate = true, only_at_end = true}
progress = {key = "distance", low = 1, high = 0, optional = true}

[arguments]
speed = 2.0

[options]
goal = [0.0, 1.0]

[[task]]
name = "reach"
instruction = "move the point to the goal"
options = {goal = [0.0, 2.0]}
arguments = {speed = 3.0}
success = {key = "distance", equals = 3.5}
starts = [{goal = [0.0, 3.0]}]

[[task]]
name = "other"
instruction = {from = "info.sentence"}
environment = "my_env.py:Point"

[[field]]
name = "observation.state"
from = ["at", "goal"]
unit = "m"
frame = "world"
layout = ["a", "b", "c", "d"]
mode = "absolute"
side = "body"
role = "wrist"
dtype = "float32"
shape = [4]
range = [0.0, 1.0]

[action]
unit = "m"
frame = "world"
layout = ["dx", "dy"]
mode = "relative to state"
side = "world"
hold = [0.0, 0.0]

[measures.force]
key = "distance"
unit = "N"
about = "damage"
series = true
reduce = "max"
optional = true
"""


def identity(values: dict[str, Any], folder: Path) -> str:
    return Maker(as_declared(values, WorldDeclaration, "full.toml"), folder / "full.toml").identity().digest


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything in a parsed file that is no table and no list of tables."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from leaves(item, (*path, key))
    if not inner:
        yield path


def changed(values: dict[str, Any], path: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """The same file with another value at a path, for every value that might be allowed there."""
    words = ["other", "end", "reward", "info.other", "min", "task", "world", "float64", "my_env.py:make"]
    for value in (*words, "body", "goal", True, False, 7, 0.5, 4.5, -3, 11):
        made = json.loads(json.dumps(values))
        inner = made
        for key in path[:-1]:
            inner = inner[key]
        if type(value) is type(inner[path[-1]]) and value != inner[path[-1]]:
            inner[path[-1]] = value
            yield made


LEAVES = [".".join(map(str, path)) for path in leaves(tomllib.loads(FULL))]


@pytest.fixture
def env_folder(tmp_path: Path) -> Path:
    write(tmp_path, environment=(("NEAR = 0.1", "NEAR = 0.1\n\ndef make(**kwargs):\n    return Point(**kwargs)\n"),))
    return tmp_path


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf not in ("name", "module", "rule", "success.from")])
def test_another_value_of_any_key_is_another_world(leaf: str, env_folder: Path):
    values = tomllib.loads(FULL)
    path = tuple(int(key) if key.isdigit() else key for key in leaf.split("."))
    before, tried = identity(values, env_folder), 0
    for other in changed(values, path):
        try:
            after = identity(other, env_folder)
        except RoboscaleError:
            continue  # not allowed there, or only beside something else
        tried += 1
        assert after != before, leaf
    assert tried, f"no other value of {leaf} was tried"


def test_another_rule_or_origin_of_success_is_another_world(env_folder: Path):
    values = tomllib.loads(FULL)
    others = [{k: v for k, v in values.items() if k != "hold"} | {"rule": rule} for rule in ("first", "end")]
    others += [values | {"success": {"from": source, "above": 1}} for source in ("reward", "return")]
    others += [values | {"success": {"from": "terminated"}}]
    assert len({identity(other, env_folder) for other in (values, *others)}) == 6


def test_every_key_of_the_grammar_is_tried():
    said = {key for leaf in LEAVES for key in leaf.split(".") if not key.isdigit()} - {"speed", "goal", "force"}
    grammar = set(as_declared(tomllib.loads(FULL), WorldDeclaration, "full.toml").content) - {"fields", "starts"}
    assert grammar <= said | {"task"} and len(said) > 40


@pytest.mark.parametrize(
    "edit",
    [
        ('name = "point"\n', 'name = "another"\n'),  # a name is for people
        ("hold = 3", "hold =    3  # steps"),
        ("[action]\n", "# what it means\n\n[action]\n"),
        ('key = "distance"\nunit = "N"', 'unit = "N"\nkey = "distance"'),
        ('success = {from = "info", key = "distance", above', 'success = {key = "distance", above'),
        ('mode = "absolute"\n', ""),  # it is the default
    ],
)
def test_what_changes_no_result_is_the_same_world(edit: Edit, env_folder: Path):
    assert edit[0] in FULL
    same = FULL.replace(edit[0], edit[1], 1)
    assert identity(tomllib.loads(same), env_folder) == identity(tomllib.loads(FULL), env_folder)


@pytest.mark.parametrize("edit", [("NEAR = 0.1", "NEAR = 0.2"), ("self.steps + 1", "self.steps + 2")])
def test_another_environment_is_another_world(edit: Edit, tmp_path: Path):
    made = []
    for edits in ((), (edit,), ()):
        path = write(tmp_path, environment=edits)
        made.append(Maker(WorldDeclaration.load(path), path).identity())
    assert made[0].verified and made[0] == made[2] != made[1]


def test_a_file_that_an_argument_names_is_part_of_the_world(tmp_path: Path):
    scene = tmp_path / "scene.xml"
    edit = ("#more", f"arguments = {{speed = '{scene}'}}")
    digests = []
    for content in ("one", "two", "one"):
        scene.write_text(content)
        digests.append(Maker(load(tmp_path, edit), tmp_path / "point.toml").identity().digest)
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize("name", ["pusht.toml", "fetch_push.toml"])
def test_what_comes_with_us_loads(name: str):
    assert WorldDeclaration.load(Path(str(BUILT_IN / name))).deterministic


def test_the_example_loads():
    made = WorldDeclaration.load(EXAMPLE)
    assert made.success_rule.needs == 5 <= made.horizon


def test_the_files_in_the_documentation_load():
    page = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text()
    blocks = [block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if block.startswith("name = ")]
    tasks = [as_declared(tomllib.loads(block), WorldDeclaration, "docs/worlds.md").tasks for block in blocks]
    assert [len(t) for t in tasks] == [1, 2]


def test_the_tests_own_declaration_is_one(tmp_path: Path):
    assert "#more" in DECLARATION and load(tmp_path).name == "point"


def test_a_key_of_the_info_may_say_so():
    """As `instruction = {from = "info.sentence"}` does; people write it at success, too."""
    plain = tomllib.loads(FULL) | {"success": "is_success", "progress": "near.share"}
    said = plain | {"success": "info.is_success", "progress": "info.near.share"}
    ours, theirs = (as_declared(values, WorldDeclaration, "point.toml") for values in (plain, said))
    assert theirs.tasks[0].condition == ours.tasks[0].condition
    assert theirs.score == ours.score and ours.content == theirs.content
