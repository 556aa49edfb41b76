"""Results belong to what was tried, by content: the recipes of wrong numbers under an old label."""

import html
import json
from pathlib import Path

import pytest

import roboscale as rs
from roboscale.jobs.events import Progress
from tests.toy_world import ToyWorld

POINT = {"world": "point.toml", "workers": 0}


def goal(observation):
    return observation["observation.environment_state"]


def at(observation):
    return observation["observation.state"]


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_an_edited_function_is_another_policy(place: Path, roboscale):
    words = ("eval", "--policy", "policies.py:good", "--world", "point.toml", "--out", "x", "--json", "--trials")
    first = json.loads(roboscale(*words, "5").stdout)
    edit(place / "policies.py", "GAIN = 1.0", "GAIN = -1.0")
    second = json.loads(roboscale(*words, "5").stdout)
    assert (first["success"]["value"], second["success"]["value"]) == (1.0, 0.0)
    longer = json.loads(roboscale(*words, "10").stdout)
    assert (longer["success"]["value"], longer["success"]["n"]) == (0.0, 10), "no version is mixed with another"
    assert any("found 5 of 10" in note for note in longer["notes"])
    other = "the store also holds trials of another policy"
    assert not any(other in note for note in first["notes"])
    for again in (second, longer):  # what lies there under the same name is not counted, and that is said
        assert sum(other in note and "not counted" in note for note in again["notes"]) == 1


def test_an_edit_that_changes_nothing_finds_its_results(place: Path, roboscale):
    words = ("eval", "--policy", "policies.py:good", "--world", "point.toml", "--out", "x", "--trials", "3", "--json")
    first = json.loads(roboscale(*words).stdout)
    edit(place / "policies.py", "GAIN = 1.0", "# faster\nGAIN =   1.0")
    second = roboscale(*words)
    assert "found 3 of 3 trials" in second.stderr
    assert json.loads(second.stdout)["success"] == first["success"]


def test_lambdas_in_a_loop_are_different_policies(place: Path):
    rates = []
    for s in (1, -1):
        done = rs.evaluate(lambda o: s * (goal(o) - at(o)), trials=3, out="x", **POINT)  # noqa: B023
        rates.append(done.value)
    assert rates == [1.0, 0.0]


def test_closures_of_one_factory_are_different_policies(place: Path):
    def factory(gain):
        return lambda o: gain * (goal(o) - at(o))

    assert [rs.evaluate(factory(gain), trials=3, out="x", **POINT).value for gain in (1.0, -1.0)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate_hz = 10.0", "rate_hz = 5.0"),
        ("horizon = 30", "horizon = 29"),
        ('unit = "m"\n\n[action]', 'unit = "mm"\n\n[action]'),
        ('task = "reach"', 'task = "reach"\n[arguments]\nspeed = 0.5\n'),
    ],
)
def test_an_edited_declaration_is_another_world(place: Path, old: str, new: str):
    policy = "policies.py:still"
    rs.evaluate(policy, trials=2, out="x", **POINT)
    text = (place / "point.toml").read_text()
    if "[arguments]" in new:
        text = text.replace("[[field]]", "[arguments]\nspeed = 0.5\n\n[[field]]", 1)
    else:
        text = text.replace(old, new, 1)
    (place / "point.toml").write_text(text)
    again = rs.evaluate(policy, trials=2, out="x", **POINT)
    assert not any("found" in note for note in again.notes)


def test_an_edited_environment_is_another_world(place: Path, roboscale):
    words = ("eval", "--policy", "policies.py:good", "--world", "point.toml", "--out", "x", "--trials", "3", "--json")
    roboscale(*words)
    edit(place / "my_env.py", "< 0.1)", "< -1)")
    assert json.loads(roboscale(*words).stdout)["success"]["value"] == 0.0


def test_another_world_of_the_same_name_is_said(place: Path, roboscale):
    words = ("eval", "--policy", "policies.py:good", "--world", "point.toml", "--out", "x", "--trials", "2")
    assert "another world" not in roboscale(*words).stderr
    edit(place / "point.toml", "horizon = 30", "horizon = 29")
    assert "another world point" in roboscale(*words).stderr


def test_again_opens_a_round_and_the_newest_counts(place: Path, roboscale, here):
    words = ("eval", "--policy", "policies.py:good", "--world", "point.toml", "--out", "x", "--trials", "2", "--json")
    roboscale(*words)
    again = json.loads(roboscale(*words, "--again").stdout)
    assert again["round"] == 1 and again["success"]["n"] == 2
    listed = json.loads(here("trials", "list", "x", "--json").stdout)
    assert {one["rounds"] for one in listed["trials"]} == {2}


def test_what_cannot_be_known_is_unverified_and_never_reused(place: Path, roboscale, here):
    (place / "gain.txt").write_text("1")
    (place / "reads.py").write_text(
        "import numpy as np\n"
        "def act(o):\n"
        "    gain = float(open('gain.txt').read())\n"
        "    return gain * (o['observation.environment_state'] - o['observation.state'])\n"
    )
    words = ("eval", "--policy", "reads.py:act", "--world", "point.toml", "--out", "x", "--trials", "2", "--json")
    first = json.loads(roboscale(*words).stdout)
    assert first["unverified"] and first["success"]["value"] == 1.0
    (place / "gain.txt").write_text("-1")
    second = roboscale(*words)
    assert json.loads(second.stdout)["success"]["value"] == 0.0, "a finished run of it is never used again"
    assert "unverified" in second.stderr
    page = here("report", "x", "--videos", "0")
    assert "unverified" in (place / "x" / "report.html").read_text(), page.stderr


def test_again_is_never_answered_with_what_is_there(place: Path):
    """Trials that wait for a person leave their run unfinished; one that was interrupted goes on, all the same."""

    def asked(**more):
        return rs.evaluate(goal_of_the_toy, world=ToyWorld(judged=False), trials=2, store="x", workers=0, **more)

    rounds = [asked(task="near", again=again).judged.run.round for again in (False, True, True, False)]
    assert rounds == [0, 1, 2, 2]

    def interrupt(event):
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rs.evaluate(
            goal_of_the_toy, interrupt, world=ToyWorld(judged=False), trials=2, store="x", task="near", again=True,
            workers=0,
        )  # fmt: skip
    done = asked(task="near", again=True)
    assert done.judged.run.round == 3 and any("found 1 of 2" in note for note in done.notes)


def goal_of_the_toy(observation):
    x, there = observation["observation.state"]
    return [there - x]


def test_what_a_run_assumed_stays_in_its_store_its_files_and_its_page(place: Path, roboscale, here):
    """A number without what it rests on reads as if nothing had been assumed."""
    asked = ("--world", "point.toml", "--workers", "0", "--store", "x", "--json")
    both = ("compare", "policies.py:good", "policies.py:bad", "--budget", "4", *asked)
    first = json.loads(roboscale(*both).stdout)["notes"]
    again = json.loads(roboscale(*both).stdout)["notes"]
    assert any("is taken to be" in note for note in first), "the world that is tried leaves nothing open"
    assert any(note.startswith("found ") for note in again), again
    kept = json.loads((place / "x" / "verdict.json").read_text())
    assert {*first, *again} == {*kept["notes"], *kept["reasons"]}
    alone = json.loads(roboscale("eval", "--policy", "policies.py:good", "--trials", "2", *asked).stdout)["notes"]
    assert json.loads((place / "x" / "eval_info.json").read_text())["roboscale"]["notes"] == alone
    here("report", "x", "--videos", "0")
    page = html.unescape((place / "x" / "report.html").read_text())
    assert all(note in page for note in alone)
