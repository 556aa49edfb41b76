"""A guest's world is an ordinary one: cases, looks, steps, measures, pictures; its faults void a trial, no more."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import Case, HasExpert, InfrastructureError, RoboscaleError, UnknownName
from roboscale.guests import GuestWorld, open_guest_world
from roboscale.jobs.opening import open_any_world
from roboscale.testing.world_checks import check_world
from tests.guests.toy_guest_world import World as ToyWorld

TASK, STATE, FIRST = "point", "observation.state", "observation.images.camera0"


@pytest.fixture
def opened(toy):
    """Opens worlds of the toy, and closes them."""
    worlds: list[GuestWorld] = []

    def opening(task: str = TASK, **options: str) -> GuestWorld:
        worlds.append(open_guest_world(toy, task, options, start_s=30, answer_s=2))
        return worlds[-1]

    yield opening
    for world in worlds:
        world.close()


def test_it_keeps_every_promise_of_a_world(opened):
    world = opened()
    assert check_world(world, TASK, images=True) == []
    assert world.info.hold == (0.0, 0.0) and world.info.measures[1].unit == "m" and world.notes == ("a toy",)


def test_it_shows_moves_and_measures_what_the_same_code_does_in_this_process(opened, capsys):
    world = opened(size="16")
    numbers = st.floats(-0.125, 0.125, width=32)
    field = st.sampled_from([STATE, "observation.goal", FIRST, "observation.images.camera1"])
    looks = st.one_of(st.just({STATE, FIRST}), st.none(), st.sets(field))

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 2**31 - 1),
        light=st.integers(0, 200),
        steps=st.lists(st.tuples(numbers, numbers, looks), max_size=12),
    )
    def equal(seed, light, steps):
        variation = f"light:{light}" if light else "nominal"
        here = ToyWorld(TASK, size=16).start(TASK, seed, variation)
        there = world.start(Case(TASK, seed, variation))
        kept: list[tuple[int, dict]] = []
        for number, (x, y, names) in enumerate([(None, None, {STATE}), *steps]):
            if x is not None:
                here.step(np.array([x, y], np.float32))
                there.step(np.array([x, y], np.float32))
            assert there.measures() == {name: float(v) for name, v in here.measures().items()}
            if names is None:
                continue
            seen, right = there.observe(names), here.observe(names)
            assert seen.keys() == set(names)
            for name, array in seen.items():
                assert not array.flags.writeable
                np.testing.assert_array_equal(array, np.asarray(right[name], array.dtype))
            kept.append((number, seen))
        assert all(seen[FIRST][0, 0, 0] == number for number, seen in kept if FIRST in seen), (
            "a later look drew over it"
        )
        there.close()

    equal()


def test_what_was_applied_is_told(opened):
    scene = opened("applied").start(Case("applied", 1))
    assert scene.step(np.array([0.2, 0.1], np.float32)).applied == pytest.approx([0.1, 0.05])


def test_what_could_not_be_measured_is_nothing(opened):
    assert opened("unmeasured").start(Case("unmeasured", 1)).measures()["success"] is None


@pytest.mark.parametrize(
    ("does", "text"),
    [
        ("die", r"died with exit code 9; its last lines: .*the last word"),
        ("memory", "was killed by signal 9"),
        ("hang", "did not answer within 2 s; its last lines: .*a step prints"),
        ("raise", "ValueError: the simulation diverged"),
    ],
)
def test_a_fault_voids_the_trial_and_the_next_finds_a_process(opened, does: str, text: str):
    world = opened(does)
    for _ in range(2):
        scene = world.start(Case(does, 1))
        scene.step(np.zeros(2, np.float32))
        scene.step(np.zeros(2, np.float32))
        with pytest.raises(InfrastructureError, match=text):
            scene.step(np.zeros(2, np.float32))
        with pytest.raises(InfrastructureError, match="its process is gone, with the scene"):
            scene.observe()
        scene.close()
    assert world.process.number == 2


def test_an_old_scene_does_not_speak_for_a_new_process(opened):
    world = opened()
    old = world.start(Case(TASK, 1))
    os.kill(world.process.pid, signal.SIGKILL)
    with pytest.raises(InfrastructureError, match="killed by signal 9"):
        world.start(Case(TASK, 2))
    new = world.start(Case(TASK, 2))
    with pytest.raises(InfrastructureError, match="with the scene"):
        old.step(np.zeros(2, np.float32))
    old.close()
    assert new.observe([STATE])[STATE].tolist() == [0, 0], "closing the old one left the new one alone"


def test_one_that_breaks_while_it_ends_spoils_no_trial(opened):
    world = opened("bad end")
    world.start(Case("bad end", 1)).close()
    assert world.start(Case("bad end", 1)).observe([STATE])


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("nan", "observation.state: expected finite numbers"),
        ("shape", r"observation.state: expected \[2\], found \[3\]"),
        ("channels first", r"camera0: expected uint8\[8, 8, 3\], found uint8\[3, 8, 8\]"),
    ],
)
def test_what_it_shows_is_as_it_says(opened, task: str, text: str):
    scene = opened(task).start(Case(task, 1))
    with pytest.raises(InfrastructureError, match=text):
        scene.observe()


@pytest.mark.parametrize(
    ("task", "options", "error", "text"),
    [
        ("nowhere", {}, RoboscaleError, "guest toy: no such task; there is point"),
        (TASK, {"colour": "red"}, RoboscaleError, "option colour: there is none; there are size, pictures, speed"),
        (TASK, {"size": "big"}, RoboscaleError, "option size: expected int as 8, found 'big'"),
        ("stranger", {}, InfrastructureError, "guest toy: world stranger says price, and nothing here knows"),
        ("silent", {}, InfrastructureError, "guest toy: world silent does not say horizon"),
    ],
)
def test_what_cannot_be_opened_says_why(opened, task, options, error, text):
    with pytest.raises(error, match=text):
        opened(task, **options)


def test_identity_is_lock_options_and_what_it_says(opened):
    plain, same, other = opened(), opened(), opened(speed="0.5")
    assert plain.info.identity == same.info.identity and plain.info.identity.verified
    assert plain.info.identity != other.info.identity


def test_its_expert_acts_on_what_is_seen(opened):
    world = opened()
    assert isinstance(world, HasExpert)
    scene, act = world.start(Case(TASK, 3)), world.expert().start("", 0)
    for _ in range(10):
        scene.step(act(scene.observe()).rows[0])
    assert scene.measures()["success"] == 1


@pytest.fixture
def known(toy, monkeypatch: pytest.MonkeyPatch):
    """The toy as a guest that is found by its name."""
    from roboscale.guests import definition

    everything = definition.guest_folders
    monkeypatch.setattr(definition, "guest_folders", lambda: {**everything(), "toy": toy.folder})
    monkeypatch.setattr("roboscale.guests.guest_folders", definition.guest_folders)
    return toy


def run(*words: str):
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_commands_take_it_as_a_world(known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--trials", "4", "--workers", "0")
    tried = run("eval", "--world", "toy:point?size=4", "--policy", "expert", *words)
    (policy,) = tried["policies"].values()
    (rate,) = policy["tasks"].values()
    assert (rate["value"], rate["n"]) == (1.0, 4), tried
    assert run("world", "check", "toy:point")["ok"]
    told = run("world", "list", "toy:point")
    assert told["tasks"] == {"point": "move the point to the goal"} and told["horizon"] == 50


def test_a_crash_in_a_run_is_void_and_says_why(known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--world", "toy:die", "--policy", "expert", "--seeds", "1", "--workers", "0", "--retries", "0")
    done = CliRunner().invoke(app, ["eval", *words])
    assert done.exit_code == 1
    assert "no trial could be counted" in done.stderr and "the last word" in done.stderr


def test_worlds_of_guests_are_listed_with_tasks_and_measures(folder):
    told = run("world", "list")["guests"]["robosuite"]
    assert not told["installed"] and "Lift" in told["tasks"] and "success" in told["measures"]
    assert list(run("world", "list", "robosuite")["guests"]) == ["robosuite"]
    with pytest.raises(UnknownName, match="robosuite:Lift"):
        open_any_world("robosuite")
    with pytest.raises(RoboscaleError, match="roboscale guest install robosuite"):
        open_any_world("robosuite:Lift")


def test_a_number_of_standard_input_is_no_number_for_a_child():
    from roboscale.guests.process import above_standard

    try:
        kept = os.dup(0)
        os.close(0)
    except OSError:  # it is closed here already, as where a service closes it
        kept = -1
    try:
        first = os.open(os.devnull, os.O_RDONLY)
        moved = above_standard(first)
        assert first == 0 and moved > 2 and above_standard(moved) == moved
        os.close(moved)
    finally:  # its number was given back when the descriptor moved, so there is nothing to close where none was open
        if kept >= 0:
            os.dup2(kept, 0)
            os.close(kept)
